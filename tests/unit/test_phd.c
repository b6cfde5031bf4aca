/* links: drivers */
/*
 * What a capture of the driver `phd` cannot say: late commits, agents that give up waiting, and
 * whole memories. The other side is a real agent (agent.h); this test is wire and gateway.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "drivers/registry.h"
#include "drivers/session.h"
#include "protocols/ieee11073/agent.h"
#include "protocols/ieee11073/manager.h"
#include "protocols/ieee11073/nomenclature.h"

#define QUEUE_MAX   16
#define APDU_LEN    2048
#define ENTRIES     300
#define SEEN_MAX    1000
#define ENTRY_BYTES 32

static const uint8_t AGENT_ID[APDU_SYSTEM_ID] = { 2, 0, 0, 0, 0, 0, 0, 7 };

struct queue {
	uint8_t bytes[QUEUE_MAX][APDU_LEN];
	size_t len[QUEUE_MAX], n;
};

struct world {
	struct session *session;
	struct phd_agent agent;
	struct queue to_agent, to_manager;
	uint64_t next_seq;
	int64_t now;
	struct measurement seen[SEEN_MAX];
	size_t n_seen, n_finals, n_faults, n_closed;
	unsigned int taken, refused, cleared;
	uint32_t entries_taken;
};

static void put(struct queue *q, const uint8_t *bytes, size_t len)
{
	assert_true(q->n < QUEUE_MAX && len <= APDU_LEN);
	memcpy(q->bytes[q->n], bytes, len);
	q->len[q->n++] = len;
}

static void on_measurement(void *user, const struct measurement *m, uint64_t seq)
{
	struct world *w = user;

	(void)seq;
	assert_true(w->n_seen < SEEN_MAX);
	w->seen[w->n_seen++] = *m;
	w->n_finals += measurement_is_final(m);
}

static void on_request(void *user, const struct session_request *request)
{
	struct world *w = user;

	if (request->kind == SESSION_WRITE) {
		assert_int_equal(request->channel, DRV_WIRE_APDU);
		put(&w->to_agent, request->data, request->len);
	}
	w->n_closed += request->kind == SESSION_CLOSE;
}

static void on_confirm(void *user, uint16_t channel)
{
	(void)user;
	(void)channel;
	fail(); /* nothing on a wire is confirmed but by the driver */
}

static void on_fault(void *user, uint16_t channel, enum session_fault fault, int r)
{
	struct world *w = user;

	(void)channel;
	(void)fault;
	(void)r;
	w->n_faults++;
}

static void agent_sends(void *user, const uint8_t *bytes, size_t len)
{
	struct world *w = user;

	put(&w->to_manager, bytes, len);
}

static void on_answered(void *user, uint16_t invoke_id, bool taken)
{
	struct world *w = user;

	(void)invoke_id;
	w->taken += taken;
	w->refused += !taken;
}

static void on_segment_taken(void *user, uint16_t segment, uint32_t first, uint32_t count)
{
	struct world *w = user;

	(void)segment;
	assert_int_equal(first, w->entries_taken % ENTRIES);
	w->entries_taken += count;
}

static void on_segment_cleared(void *user, uint16_t segment)
{
	struct world *w = user;

	(void)segment;
	w->cleared++;
}

static const struct phd_agent_sink AGENT_SINK = {
	.send = agent_sends,
	.answered = on_answered,
	.segment_taken = on_segment_taken,
	.segment_cleared = on_segment_cleared,
};

/* lets both talk until neither has something to say */
static void settle(struct world *w)
{
	while (w->to_manager.n + w->to_agent.n > 0) {
		struct queue up = w->to_manager, down = w->to_agent;

		w->to_manager.n = w->to_agent.n = 0;
		for (size_t i = 0; i < up.n; i++) {
			const struct drv_frame frame = { DRV_WIRE_APDU, up.bytes[i], up.len[i] };

			(void)session_frame(w->session, &frame, false, w->now);
		}
		for (size_t i = 0; i < down.n; i++)
			phd_agent_apdu(&w->agent, down.bytes[i], down.len[i]);
	}
}

/* the first that the agent said, and nothing else */
static void give_first(struct world *w)
{
	const struct drv_frame frame = { DRV_WIRE_APDU, w->to_manager.bytes[0],
					 w->to_manager.len[0] };

	w->to_manager.n = 0;
	assert_int_equal(session_frame(w->session, &frame, false, w->now), 0);
}

static void commit(struct world *w, uint64_t seq)
{
	assert_int_equal(session_committed(w->session, seq, w->now), 0);
	settle(w);
}

static void commit_all(struct world *w)
{
	commit(w, w->next_seq - 1);
}

static void open_link(struct world *w)
{
	const struct session_sink sink = {
		.measurement = on_measurement,
		.request = on_request,
		.confirm = on_confirm,
		.fault = on_fault,
		.user = w,
	};

	assert_int_equal(session_new(registry_by_name("phd"), 0, &sink, &w->next_seq, &w->session),
			 0);
	assert_int_equal(session_open(w->session, LINK_CABLE, w->now), 0);
}

static void begin(struct world *w, uint16_t config)
{
	memset(w, 0, sizeof(*w));
	w->next_seq = 1;
	open_link(w);
	phd_agent_init(&w->agent, &AGENT_SINK, w, phd_agent_config(config), AGENT_ID);
	phd_agent_associate(&w->agent);
	settle(w);
	assert_int_equal(w->agent.state, PHD_AGENT_OPERATING);
}

static void end(struct world *w)
{
	session_close(w->session, w->now);
	session_free(w->session);
	w->session = NULL;
}

static void weigh(struct world *w, int64_t tenths, uint8_t minute)
{
	const struct phd_observation o = {
		.person = PHD_PERSON_UNKNOWN,
		.handle = 1,
		.n_values = 1,
		.values = { { .metric = (uint32_t)MDC_PART_SCADA << 16 | 57664,
			      .unit = MDC_DIM_KG,
			      .number = number_of(tenths, -1) } },
		.stamp = PHD_STAMP_GIVEN,
		.time = { .year = 2026, .month = 11, .day = 23, .hour = 1, .minute = minute },
	};
	uint8_t info[64];
	uint16_t id;
	size_t len;

	assert_int_equal(phd_report_encode(w->agent.config, 0, &o, 1, info, sizeof(info), &len), 0);
	assert_int_equal(phd_agent_report(&w->agent, MDC_NOTI_SCAN_FIXED, info, len, true, &id), 0);
	settle(w);
}

/* ---- commits ---- */

static void test_nothing_is_answered_before_its_commit(void **state)
{
	struct world w;

	(void)state;
	begin(&w, 0x05dc);
	weigh(&w, 702, 0);
	weigh(&w, 703, 1);
	assert_int_equal(w.n_finals, 2);
	assert_int_equal(w.taken, 0);
	/* the first is durable, the second is not: both wait */
	commit(&w, 1);
	assert_int_equal(w.taken, 0);
	commit(&w, 2);
	assert_int_equal(w.taken, 2);
	assert_int_equal(w.seen[0].parts[0].number.value.mantissa, 702);
	assert_int_equal(w.seen[0].parts[0].number.value.exponent, -1);
	assert_string_equal(session_facts(w.session)->text[DRV_SERIAL], "02-00-00-00-00-00-00-07");
	end(&w);
}

static void test_a_commit_after_the_agent_gave_up(void **state)
{
	static const uint8_t abort_apdu[] = { 0xe6, 0, 0, 2, 0, 2 };
	const struct drv_frame frame = { DRV_WIRE_APDU, abort_apdu, sizeof(abort_apdu) };
	struct world w;

	(void)state;
	begin(&w, 0x05dc);
	weigh(&w, 702, 0);
	/* it waits no longer, associates again and says it again */
	assert_int_equal(session_frame(w.session, &frame, false, w.now), 0);
	phd_agent_disconnected(&w.agent);
	phd_agent_associate(&w.agent);
	settle(&w);
	weigh(&w, 702, 0);
	commit(&w, 1); /* of the first time: nobody waits for that answer any more */
	assert_int_equal(w.taken, 0);
	commit(&w, 2);
	assert_int_equal(w.taken, 1);
	/* what was said twice is the same measurement */
	assert_int_equal(w.n_seen, 2);
	assert_memory_equal(&w.seen[0].time, &w.seen[1].time, sizeof(w.seen[0].time));
	assert_int_equal(w.seen[0].n_parts, w.seen[1].n_parts);
	assert_false(w.seen[0].has_record_number || w.seen[1].has_record_number);
	end(&w);
}

/* What waits for the clock is not even said, so an older commit does not speak for it. */
static void test_a_commit_while_a_reading_waits(void **state)
{
	static const uint8_t abort_apdu[] = { 0xe6, 0, 0, 2, 0, 2 };
	const struct drv_frame frame = { DRV_WIRE_APDU, abort_apdu, sizeof(abort_apdu) };
	struct queue asked;
	struct world w;

	(void)state;
	begin(&w, 0x05dc);
	weigh(&w, 702, 0);
	assert_int_equal(session_frame(w.session, &frame, false, w.now), 0);
	phd_agent_disconnected(&w.agent);
	phd_agent_associate(&w.agent);
	give_first(&w);
	asked = w.to_agent; /* the response, and the question what its clock shows */
	assert_int_equal(asked.n, 2);
	w.to_agent.n = 0;
	phd_agent_apdu(&w.agent, asked.bytes[0], asked.len[0]);
	weigh(&w, 702, 0);
	assert_int_equal(w.n_seen, 1);
	commit(&w, 1);
	assert_int_equal(w.taken, 0);
	phd_agent_apdu(&w.agent, asked.bytes[1], asked.len[1]);
	settle(&w);
	assert_int_equal(w.n_seen, 2);
	assert_int_equal(w.taken, 0);
	commit(&w, 2);
	assert_int_equal(w.taken, 1);
	end(&w);
}

static void test_nothing_after_the_link_ended(void **state)
{
	struct world w;

	(void)state;
	begin(&w, 0x05dc);
	weigh(&w, 702, 0);
	session_close(w.session, w.now);
	assert_int_equal(w.to_agent.n, 0);
	assert_int_equal(w.taken, 0);
	end(&w);
}

/* ---- a memory ---- */

struct memory {
	uint8_t map[128], entries[ENTRIES * ENTRY_BYTES];
	struct phd_agent_segment segment;
	struct phd_agent_store store;
};

static void fill_entry(const struct phd_config *config, struct phd_observation o[2], int i)
{
	const struct phd_object *pressure = phd_config_object(config, 1);

	memset(o, 0, 2 * sizeof(o[0]));
	o[0] = (struct phd_observation){ .handle = 1, .n_values = 3 };
	for (size_t k = 0; k < 3; k++) {
		o[0].values[k].metric = (uint32_t)MDC_PART_SCADA << 16 |
					config->metrics[pressure->first_metric + k];
		o[0].values[k].unit = MDC_DIM_MMHG;
		o[0].values[k].number = number_of(120 + i % 20, 0);
	}
	o[1] = (struct phd_observation){ .handle = 2, .n_values = 1 };
	o[1].values[0].metric = (uint32_t)MDC_PART_SCADA << 16 | 18474;
	o[1].values[0].unit = MDC_DIM_BPM;
	o[1].values[0].number = number_of(60 + i % 20, 0);
}

static void fill(struct memory *m, const struct phd_config *config)
{
	static const uint16_t handles[] = { 1, 2 };
	size_t len = 0, at = 0;

	memset(m, 0, sizeof(*m));
	assert_int_equal(
		phd_agent_entry_map(config, handles, 2, m->map, sizeof(m->map), &m->store.map_len),
		0);
	for (int i = 0; i < ENTRIES; i++) {
		const struct mder_time t = { .year = 2026,
					     .month = 11,
					     .day = (uint8_t)(1 + i / 24),
					     .hour = (uint8_t)(i % 24) };
		struct phd_observation o[2];

		fill_entry(config, o, i);
		assert_int_equal(phd_agent_entry(config, &t, o, 2, m->entries + at,
						 sizeof(m->entries) - at, &len),
				 0);
		at += len;
	}
	m->segment = (struct phd_agent_segment){ 1, ENTRIES, len, m->entries };
	m->store.handle = PHD_AGENT_STORE;
	m->store.map = m->map;
	m->store.segments = &m->segment;
	m->store.n_segments = 1;
	m->store.entries_per_event = 80;
}

/* the whole memory over a new link; commits as they come */
static void read_memory(struct world *w, const struct memory *m)
{
	memset(w, 0, sizeof(*w));
	w->next_seq = 1;
	open_link(w);
	phd_agent_init(&w->agent, &AGENT_SINK, w, phd_agent_config(PHD_AGENT_EXTENDED), AGENT_ID);
	w->agent.store = &m->store;
	phd_agent_associate(&w->agent);
	settle(w);
	for (int i = 0; i < 100 && w->entries_taken < ENTRIES; i++) {
		const uint32_t before = w->entries_taken;

		/* a piece is here, and is not answered yet */
		assert_true(w->n_finals > before);
		commit_all(w);
		assert_true(w->entries_taken > before);
	}
}

static void test_a_memory_is_read_and_left(void **state)
{
	static struct memory m;
	static struct world first, again;

	(void)state;
	fill(&m, phd_agent_config(PHD_AGENT_EXTENDED));
	read_memory(&first, &m);
	assert_int_equal(first.entries_taken, ENTRIES);
	assert_int_equal(first.n_finals, ENTRIES);
	assert_int_equal(first.n_seen, ENTRIES);
	for (size_t i = 0; i < ENTRIES; i++) {
		const struct measurement *x = &first.seen[i];

		assert_int_equal(x->metric, METRIC_BLOOD_PRESSURE);
		assert_int_equal(x->n_parts, 4); /* the pulse of the same entry is in it */
		assert_int_equal(x->parts[0].number.value.mantissa, 120 + i % 20);
		assert_true(x->flags & FLAG_BIT(FLAG_BACKFILL));
		assert_int_equal(x->time.hour, i % 24);
		assert_false(x->has_record_number); /* its stamp names it */
	}
	end(&first);
	/* it is all there the next time, and is the same */
	read_memory(&again, &m);
	assert_int_equal(again.n_seen, ENTRIES);
	assert_memory_equal(&again.seen[7].time, &first.seen[7].time, sizeof(first.seen[7].time));
	assert_int_equal(first.cleared + again.cleared, 0);
	end(&again);
}

/* ---- what does not end well ---- */

static void test_any_bytes(void **state)
{
	struct world w;

	(void)state;
	begin(&w, 0x02bc);
	for (size_t len = 0; len < 64; len++) {
		uint8_t bytes[64];
		const struct drv_frame frame = { DRV_WIRE_APDU, bytes, len };

		memset(bytes, (int)len * 37, sizeof(bytes));
		assert_true(session_frame(w.session, &frame, false, w.now) < 0);
		w.to_agent.n = 0;
	}
	assert_int_equal(w.n_faults, 64);
	assert_int_equal(w.n_seen, 0);
	end(&w);
}

static void test_silence_ends_the_association(void **state)
{
	struct world w;

	(void)state;
	memset(&w, 0, sizeof(w));
	w.next_seq = 1;
	open_link(&w);
	phd_agent_init(&w.agent, &AGENT_SINK, &w, phd_agent_config(0x05dc), AGENT_ID);
	phd_agent_associate(&w.agent);
	give_first(&w); /* what it is asked is not answered */
	w.to_agent.n = 0;
	w.now += PHD_RESPONSE_TIMEOUT_US;
	assert_int_equal(session_timeout(w.session, w.now), 0);
	assert_int_equal(w.to_agent.n, 1);
	assert_memory_equal(w.to_agent.bytes[0], "\xe6\x00\x00\x02\x00\x02", 6);
	end(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nothing_is_answered_before_its_commit),
		cmocka_unit_test(test_a_commit_after_the_agent_gave_up),
		cmocka_unit_test(test_a_commit_while_a_reading_waits),
		cmocka_unit_test(test_nothing_after_the_link_ended),
		cmocka_unit_test(test_a_memory_is_read_and_left),
		cmocka_unit_test(test_any_bytes),
		cmocka_unit_test(test_silence_ends_the_association),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
