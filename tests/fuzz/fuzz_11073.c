/* links: protocols */
/*
 * The manager of health devices. The input is a conversation: u16 length, then so many bytes of an
 * APDU; length ffff commits, fffe lets three seconds go by, fffd loses the link and finds it again,
 * fffc allows to clear, fffb asks to set the clock, fffa releases. What is checked: an APDU that
 * decodes encodes to the same bytes; a failure leaves the result alone; no report and no piece of a
 * store is confirmed before what it brought is committed, nobody is answered more often than they
 * asked, and nothing is cleared unasked or while anything waits. Our agent hears the same bytes.
 */
#include <stdlib.h>
#include <string.h>

#include "protocols/ieee11073/agent.h"
#include "protocols/ieee11073/manager.h"
#include "protocols/ieee11073/nomenclature.h"
#include "tests/fuzz/must.h"

#define COMMIT   0xffff
#define WAIT     0xfffe
#define RELINK   0xfffd
#define CLEARING 0xfffc
#define SET_TIME 0xfffb
#define RELEASE  0xfffa
#define APDU_MAX 1024

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct watch {
	struct phd_cache cache;
	struct phd_manager m;
	struct phd_agent agent;
	bool may_confirm; /* a commit, or the answer to a configuration */
	size_t handed_on; /* since the last commit */
	unsigned int sent;
};

static void on_send(void *user, const uint8_t *bytes, size_t len)
{
	struct watch *w = user;
	struct apdu a;

	must(apdu_decode(bytes, len, &a) == 0);
	if (a.choice == APDU_PRST && a.operation == APDU_EVENT_RESPONSE &&
	    a.type == MDC_NOTI_SEGMENT_DATA)
		must(w->may_confirm || w->handed_on == 0 || (a.len == 12 && a.data[11] == 0x08));
	else if (a.choice == APDU_PRST && a.operation == APDU_EVENT_RESPONSE)
		must(w->may_confirm || w->handed_on == 0 || a.type == MDC_NOTI_CONFIG);
	if (a.choice == APDU_PRST && a.operation == APDU_ACTION_CONFIRMED &&
	    a.type == MDC_ACTION_SEGMENTS_CLEAR)
		must(w->m.options.clear_stores && (w->may_confirm || w->handed_on == 0));
	w->sent++;
}

static void on_observation(void *user, const struct phd_observation *o, bool is_test)
{
	struct watch *w = user;

	(void)is_test;
	must(w->m.state == PHD_OPERATING);
	must(o->n_values <= PHD_METRICS_MAX);
	must(phd_config_object(&w->m.config, o->handle) != NULL);
	w->handed_on++;
}

static void on_mds(void *user, const struct phd_mds *mds)
{
	const struct watch *w = user;

	(void)mds;
	must(w->m.state == PHD_OPERATING);
}

static void check_codec(const uint8_t *bytes, size_t len)
{
	uint8_t back[APDU_MAX];
	struct apdu a;
	size_t n = 0;

	memset(&a, 0xa5, sizeof(a));
	if (apdu_decode(bytes, len, &a) < 0) {
		const uint8_t *raw = (const uint8_t *)&a;

		for (size_t i = 0; i < sizeof(a); i++)
			must(raw[i] == 0xa5);
		return;
	}
	if (a.extra > 0 || a.n_protos > 1 || (a.choice == APDU_AARQ && a.n_protos == 0))
		return;
	must(apdu_encode(&a, back, sizeof(back), &n) == 0);
	must(n == len && memcmp(back, bytes, len) == 0);
}

static void check_config(const uint8_t *bytes, size_t len)
{
	uint8_t back[8192];
	struct phd_config config, again;
	size_t n;

	if (phd_config_decode(bytes, len, &config) < 0)
		return;
	/* a map that mixes handle 0 with others cannot be written as it came */
	must(phd_config_encode(&config, back, sizeof(back), &n) == 0);
	if (phd_config_decode(back, n, &again) == 0)
		must(again.id == config.id && again.n_objects == config.n_objects);
}

static void one_apdu(struct watch *w, const uint8_t *bytes, size_t len, int64_t now)
{
	size_t pending = w->m.n_pending;

	check_codec(bytes, len);
	check_config(bytes, len);
	if (w->m.state != PHD_OPERATING)
		w->handed_on = 0; /* by an association that is over */
	w->sent = 0;
	phd_manager_apdu(&w->m, bytes, len, now);
	/* an answer and the next request; or, where nothing waits, several answers and a request */
	must(w->sent <= 2 || w->handed_on == 0);
	must(w->m.n_pending <= pending + 1);
	must(w->m.n_uncommitted <= w->handed_on);
	phd_agent_apdu(&w->agent, bytes, len);
	if (w->agent.state == PHD_AGENT_IDLE)
		phd_agent_associate(&w->agent);
}

static void agent_send(void *user, const uint8_t *bytes, size_t len)
{
	struct apdu a;

	(void)user;
	must(apdu_decode(bytes, len, &a) == 0);
}

static void on_answered(void *user, uint16_t invoke_id, bool taken)
{
	(void)user;
	(void)invoke_id;
	(void)taken;
}

/* an agent with a store of four entries of two bytes, whose map says what it likes */
static void make_agent(struct watch *w)
{
	static const struct phd_agent_sink sink = { .send = agent_send, .answered = on_answered };
	static const uint8_t map[] = { 0, 0, 0, 0, 0, 0 }, entries[8] = { 1 };
	static const struct phd_agent_segment segment = { 7, 4, 2, entries };
	static const struct phd_agent_store store = {
		.handle = PHD_AGENT_STORE,
		.map = map,
		.map_len = sizeof(map),
		.segments = &segment,
		.n_segments = 1,
		.entries_per_event = 1,
	};
	static const struct phd_agent_identity identity = { .model = "x", .may_set_time = true };
	static const uint8_t id[APDU_SYSTEM_ID] = { 2 };

	phd_agent_init(&w->agent, &sink, w, phd_agent_config(PHD_AGENT_EXTENDED), id);
	w->agent.store = &store;
	w->agent.identity = &identity;
	phd_agent_associate(&w->agent);
}

/* what is no APDU; false: it is one */
static bool step(struct watch *w, size_t len, int64_t *now)
{
	static const struct mder_time t = { .year = 2026, .month = 1, .day = 1 };

	switch (len) {
	case COMMIT:
		w->may_confirm = true;
		phd_manager_committed(&w->m, *now);
		w->may_confirm = false;
		w->handed_on = 0;
		must(w->m.n_pending == 0 && w->m.n_uncommitted == 0);
		return true;
	case WAIT:
		*now += PHD_RESPONSE_TIMEOUT_US;
		phd_manager_timeout(&w->m, *now);
		return true;
	case RELINK:
		phd_manager_disconnected(&w->m);
		w->handed_on = 0;
		phd_manager_connected(&w->m);
		return true;
	case CLEARING:
		w->m.options.clear_stores = true;
		return true;
	case SET_TIME:
		(void)phd_manager_set_time(&w->m, &t, *now);
		return true;
	case RELEASE:
		phd_manager_release(&w->m, *now);
		return true;
	default:
		return false;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct phd_manager_sink sink = { on_send, on_observation, on_mds };
	static const uint8_t id[APDU_SYSTEM_ID] = { 1 };
	struct cursor c = cursor_of(data, size);
	struct watch w = { 0 };
	int64_t now = 0;

	phd_manager_init(&w.m, &sink, &w, &w.cache, id);
	phd_manager_connected(&w.m);
	make_agent(&w);
	while (cursor_left(&c) >= 2) {
		size_t len = cursor_be16(&c);
		uint8_t *copy;

		if (step(&w, len, &now))
			continue;
		if (len > cursor_left(&c))
			len = cursor_left(&c);
		if (len > APDU_MAX)
			len = APDU_MAX;
		copy = malloc(len + 1);
		must(copy != NULL);
		if (len > 0)
			memcpy(copy, cursor_bytes(&c, len), len);
		one_apdu(&w, copy, len, now);
		free(copy);
	}
	return 0;
}
