/* links: protocols */
/*
 * The manager of health devices. The input is a conversation: u16 length, then so many bytes of an
 * APDU; length ffff commits, fffe lets three seconds go by. What is checked: an APDU that decodes
 * encodes to the same bytes; a failure leaves the result alone; no report is answered with a
 * confirmation before its commit, and nobody is answered more often than they asked.
 */
#include <stdlib.h>
#include <string.h>

#include "protocols/ieee11073/manager.h"

#define COMMIT   0xffff
#define WAIT     0xfffe
#define APDU_MAX 1024

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool truth)
{
	if (!truth)
		abort();
}

struct watch {
	struct phd_cache cache;
	struct phd_manager m;
	bool may_confirm; /* a commit, or the answer to a configuration */
	unsigned int sent;
};

static void on_send(void *user, const uint8_t *bytes, size_t len)
{
	struct watch *w = user;
	struct apdu a;

	must(apdu_decode(bytes, len, &a) == 0);
	if (a.choice == APDU_PRST && a.operation == APDU_EVENT_RESPONSE)
		must(w->may_confirm || a.len == 4);
	w->sent++;
}

static void on_observation(void *user, const struct phd_observation *o, bool is_test)
{
	const struct watch *w = user;

	(void)is_test;
	must(w->m.state == PHD_OPERATING);
	must(o->n_values <= PHD_METRICS_MAX);
	must(phd_config_object(&w->m.config, o->handle) != NULL);
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
	w->sent = 0;
	phd_manager_apdu(&w->m, bytes, len, now);
	must(w->sent <= 2);
	must(w->m.n_pending <= pending + 1);
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
	while (cursor_left(&c) >= 2) {
		size_t len = cursor_be16(&c);
		uint8_t *copy;

		if (len == COMMIT) {
			w.may_confirm = true;
			phd_manager_committed(&w.m, 0);
			w.may_confirm = false;
			must(w.m.n_pending == 0);
			continue;
		}
		if (len == WAIT) {
			now += PHD_RESPONSE_TIMEOUT_US;
			phd_manager_timeout(&w.m, now);
			continue;
		}
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
