/* links: transports */
/*
 * One link at work: the bearer with its helper, the ATT client, the session of a scale's driver and
 * the device's state machine, against a scale on the other end of a socket. The radio is this test,
 * so it is the clock of the device; the gateway is this test, too.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "drivers/registry.h"
#include "drivers/transport/peer.h"
#include "tests/unit/att_scale.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define PATIENCE_US  60000000 /* of a turn of the loop: a hang, not a delay */

struct stand {
	sd_event *event;
	char helper[512];
	struct scale scale;
	struct peer_options options;
	struct device device;
	struct peer *peer;
	uint64_t next_seq;
	struct att_table table; /* what the enrolment would keep */
	/* what was seen */
	size_t measurements, committed_late;
	uint64_t last_seq, committed;
	int64_t mantissa;
	enum link_security security;
	struct session_facts facts;
	unsigned int actions; /* all of a link */
	int error;
	enum device_end end;
	char order[64]; /* M measurement, C commit, K confirm seen by observe */
	/* how the gateway is */
	bool no_room, no_commit, table_fails, refuses;
};

static void note(struct stand *s, char what)
{
	const size_t n = strlen(s->order);

	if (n + 1 < sizeof(s->order)) {
		s->order[n] = what;
		s->order[n + 1] = '\0';
	}
}

static int on_measurement(void *user, const struct measurement *m, uint64_t seq)
{
	struct stand *s = user;

	note(s, 'M');
	assert_true(seq > s->last_seq);
	s->last_seq = seq;
	s->measurements++;
	s->mantissa = m->parts[0].number.value.mantissa;
	s->security = m->security;
	s->facts = *session_facts(peer_session(s->peer));
	return s->refuses ? -ENOMEM : 0;
}

static bool has_room(void *user)
{
	return !((const struct stand *)user)->no_room;
}

static void on_memory(void *user, const struct session_memory *memory)
{
	(void)user;
	(void)memory;
}

static void on_consent(void *user, size_t i, enum drv_consent_outcome outcome, uint8_t slot)
{
	(void)user;
	(void)i;
	(void)outcome;
	(void)slot;
}

static void on_record(void *user, uint32_t record)
{
	(void)user;
	(void)record;
}

static int on_table(void *user, const struct att_table *table)
{
	struct stand *s = user;

	if (s->table_fails)
		return -EIO;
	if (table)
		s->table = *table;
	else
		att_table_clear(&s->table);
	return 0;
}

static void on_observe(void *user, const struct cap_event *event)
{
	if (event->kind == CAP_CONFIRM)
		note(user, 'K');
}

/* ---- the device's actions, as the radio carries them out ---- */

static void act(struct stand *s, unsigned int actions)
{
	const struct peer_driver driver = {
		.driver = registry_by_name("weight_scale"),
		.name = "scale",
	};

	s->actions |= actions;
	if (actions & DEVICE_DO_RAISE)
		assert_int_equal(peer_raise(s->peer, s->options.required), 0);
	if (actions & DEVICE_DO_MTU)
		peer_mtu(s->peer);
	if (actions & DEVICE_DO_VERIFY)
		peer_verify(s->peer);
	if ((actions & DEVICE_DO_OPEN) && peer_open(s->peer, &driver) < 0)
		fail();
	if (actions & DEVICE_DO_ARM)
		peer_arm(s->peer);
	if (actions & DEVICE_DO_CLOSE) {
		s->error = peer_error(s->peer);
		peer_free(s->peer);
		s->peer = NULL;
	}
}

static int64_t now_us(const struct stand *s)
{
	uint64_t now;

	assert_true(sd_event_now(s->event, CLOCK_MONOTONIC, &now) >= 0);
	return (int64_t)now;
}

static void on_event(void *user, enum device_event event, unsigned int argument)
{
	struct stand *s = user;

	if (event == DEVICE_ON_END)
		s->end = (enum device_end)argument;
	act(s, device_event(&s->device, event, argument, now_us(s)));
}

static void link_up(struct stand *s)
{
	const struct peer_handlers handlers = {
		.event = on_event,
		.measurement = on_measurement,
		.has_room = has_room,
		.memory = on_memory,
		.consent = on_consent,
		.record = on_record,
		.table = on_table,
		.observe = on_observe,
		.user = s,
	};
	const struct device_config config = {
		.level = s->options.required,
		.raise_late = s->options.bearer.ask < s->options.required,
	};

	s->actions = 0;
	s->error = 0;
	s->end = (enum device_end) - 1;
	s->order[0] = '\0';
	device_init(&s->device, &config);
	assert_int_equal(device_event(&s->device, DEVICE_ON_ADVERT, 0, now_us(s)), DEVICE_DO_QUEUE);
	assert_int_equal(device_event(&s->device, DEVICE_ON_TURN, 0, now_us(s)), DEVICE_DO_CONNECT);
	s->options.table = &s->table;
	s->options.bearer.stand_in = scale_connect(&s->scale, s->event);
	assert_true(s->options.bearer.stand_in >= 0);
	assert_int_equal(peer_new(s->event, &s->options, &handlers, &s->next_seq, &s->peer), 0);
}

/* The gateway commits what it has heard of; what it does is seen after the loop has turned. */
static void commit(struct stand *s)
{
	if (s->no_commit || !s->peer || s->committed == s->last_seq)
		return;
	s->committed = s->last_seq;
	note(s, 'C');
	peer_committed(s->peer, s->committed);
}

static void turn(struct stand *s)
{
	const int r = sd_event_run(s->event, PATIENCE_US);

	assert_true(r > 0);
	commit(s);
}

#define RUN_UNTIL(s, condition)      \
	do {                         \
		while (!(condition)) \
			turn(s);     \
	} while (0)

static int set_up(void **state)
{
	struct stand *s = calloc(1, sizeof(*s));
	ssize_t n;
	char *slash;

	assert_non_null(s);
	assert_true(sd_event_new(&s->event) >= 0);
	n = readlink("/proc/self/exe", s->helper, sizeof(s->helper) - sizeof("wellgate-link"));
	assert_true(n > 0);
	slash = strrchr(s->helper, '/');
	assert_non_null(slash);
	memcpy(slash + 1, "wellgate-link", sizeof("wellgate-link"));
	s->next_seq = 1;
	s->scale.fd = -1;
	s->scale.readings = 1;
	s->options = (struct peer_options){
		.bearer = { .helper = s->helper,
			    .ask = BEARER_ENCRYPTED,
			    .stand_in_level = BEARER_ENCRYPTED,
			    .stand_in_reach = BEARER_ENCRYPTED },
		.required = BEARER_ENCRYPTED,
		.bonded = true,
	};
	*state = s;
	return 0;
}

static int tear_down(void **state)
{
	struct stand *s = *state;

	peer_free(s->peer);
	scale_drop(&s->scale);
	(void)sd_event_unref(s->event);
	free(s);
	return 0;
}

/* ---- the whole dialogue ---- */

static void test_a_scale_is_read(void **state)
{
	struct stand *s = *state;

	link_up(s);
	RUN_UNTIL(s, s->scale.confirms == 1);
	assert_int_equal(s->measurements, 1);
	assert_int_equal(s->mantissa, 79960);
	assert_int_equal(s->security, LINK_ENCRYPTED);
	/* named before it was measured */
	assert_string_equal(s->facts.text[DRV_SERIAL], "SN-042");
	assert_true(s->facts.has_battery);
	assert_string_equal(s->order, "MCK");
	RUN_UNTIL(s, s->device.state == DEVICE_LINGER);
	act(s, device_event(&s->device, DEVICE_ON_TIME, 0, device_deadline(&s->device)));
	assert_null(s->peer);
	RUN_UNTIL(s, s->scale.gone);
	assert_int_equal(s->scale.readings, 0);
	assert_true(s->table.complete && s->table.has_hash);
}

/* Without a commit there is no confirmation, and the link ends before the peer's patience does. */
static void test_no_commit_no_confirmation(void **state)
{
	struct stand *s = *state;

	s->no_commit = true;
	s->options.held_us = 200000;
	link_up(s);
	RUN_UNTIL(s, s->scale.gone);
	assert_int_equal(s->error, -ETIME);
	assert_string_equal(s->order, "M");
	assert_int_equal(s->scale.confirms, 0);
	assert_int_equal(s->scale.readings, 1);
	/* the same reading on the next link */
	s->no_commit = false;
	s->committed = s->last_seq;
	s->options.held_us = 0;
	link_up(s);
	RUN_UNTIL(s, s->scale.confirms == 1);
	assert_string_equal(s->order, "MCK");
	assert_int_equal(s->measurements, 2);
}

static void test_a_cached_table_saves_the_discovery(void **state)
{
	struct stand *s = *state;
	size_t first, second;

	s->scale.readings = 3;
	link_up(s);
	RUN_UNTIL(s, s->scale.readings == 0);
	first = s->scale.requests;
	peer_free(s->peer);
	s->peer = NULL;
	RUN_UNTIL(s, s->scale.gone);

	s->scale.readings = 1;
	link_up(s);
	RUN_UNTIL(s, s->scale.readings == 0);
	second = s->scale.requests;
	assert_true(second + 10 < first);
	peer_free(s->peer);
	s->peer = NULL;
	RUN_UNTIL(s, s->scale.gone);

	/* another database: discovered again */
	s->scale.readings = 1;
	s->scale.new_hash = true;
	link_up(s);
	RUN_UNTIL(s, s->scale.readings == 0);
	assert_true(s->scale.requests > second + 10);
	assert_int_equal(s->table.hash[0], (uint8_t) ~'0');
}

/* ---- an indication at the moment of the link, before our first request ---- */

static void test_indication_at_link_up_is_held_until_it_is_durable(void **state)
{
	struct stand *s = *state;

	s->scale.indicates_at_once = true;
	s->no_commit = true;
	link_up(s);
	RUN_UNTIL(s, s->measurements == 1);
	/* the values that name the device came first */
	assert_string_equal(s->facts.text[DRV_SERIAL], "SN-042");
	assert_int_equal(s->device.state, DEVICE_DRAIN);
	assert_int_equal(s->scale.confirms, 0);
	s->no_commit = false;
	commit(s);
	RUN_UNTIL(s, s->scale.confirms == 1);
	assert_string_equal(s->order, "MCK");
}

/* Reading the facts does not come to an end: the reading is not held up by that. */
static void test_held_indication_does_not_wait_for_a_silent_peer(void **state)
{
	struct stand *s = *state;

	link_up(s);
	RUN_UNTIL(s, s->scale.confirms == 1);
	peer_free(s->peer);
	s->peer = NULL;
	RUN_UNTIL(s, s->scale.gone);

	s->scale.readings = 1;
	s->scale.indicates_at_once = true;
	s->scale.silent_at = 4; /* MTU, hash, Service Changed, then no more */
	s->options.stalled_us = 100000;
	link_up(s);
	RUN_UNTIL(s, s->scale.confirms == 2);
	assert_int_equal(s->device.state, DEVICE_ARMING);
	assert_string_equal(s->order, "MCK");
}

/* ---- security ---- */

static void test_data_in_clear_is_refused(void **state)
{
	struct stand *s = *state;

	s->options.bearer.stand_in_level = BEARER_CLEAR;
	s->scale.indicates_at_once = true;
	link_up(s);
	RUN_UNTIL(s, s->scale.gone);
	assert_true(s->actions & DEVICE_DO_ALARM);
	assert_int_equal(s->device.trouble, DEVICE_SPOOF_SUSPECT);
	assert_int_equal(s->measurements, 0);
	assert_int_equal(s->scale.confirms, 0);
	assert_int_equal(s->scale.readings, 1);
}

static void test_nothing_is_asked_below_the_level(void **state)
{
	struct stand *s = *state;

	s->options.bearer.stand_in_level = BEARER_CLEAR;
	link_up(s);
	RUN_UNTIL(s, s->device.state == DEVICE_SECURING);
	act(s, device_event(&s->device, DEVICE_ON_TIME, 0, device_deadline(&s->device)));
	RUN_UNTIL(s, s->scale.gone);
	assert_int_equal(s->scale.requests, 0);
	assert_int_equal(s->device.auth_failures, 1);
}

static void test_security_is_raised_after_the_first_packet(void **state)
{
	struct stand *s = *state;

	s->options.bearer.ask = BEARER_CLEAR;
	s->options.bearer.stand_in_level = BEARER_CLEAR;
	link_up(s);
	RUN_UNTIL(s, s->scale.confirms == 1);
	assert_true(s->actions & DEVICE_DO_RAISE);
	assert_int_equal(s->security, LINK_ENCRYPTED);
}

static void test_security_is_raised_when_the_peer_demands_it(void **state)
{
	struct stand *s = *state;

	s->options.required = s->options.bearer.ask = BEARER_CLEAR;
	s->options.bearer.stand_in_level = BEARER_CLEAR;
	s->scale.refuses_ccc = true;
	link_up(s);
	RUN_UNTIL(s, s->scale.confirms == 1);
	assert_int_equal(peer_level(s->peer), BEARER_ENCRYPTED);
}

static void test_security_that_cannot_be_raised_is_a_failure(void **state)
{
	struct stand *s = *state;

	s->options.required = s->options.bearer.ask = BEARER_CLEAR;
	s->options.bearer.stand_in_level = BEARER_CLEAR;
	s->options.bearer.stand_in_reach = 0;
	s->options.raise_us = 100000;
	s->scale.refuses_ccc = true;
	link_up(s);
	RUN_UNTIL(s, s->scale.gone);
	assert_int_equal(s->end, DEVICE_END_AUTH);
	assert_int_equal(s->measurements, 0);
}

/* ---- the peer fails, at each of its requests in turn ---- */

/* Drives a link to its end, however it ends. true: the reading was confirmed on it. */
static bool run_link(struct stand *s)
{
	const size_t confirms = s->scale.confirms;

	link_up(s);
	RUN_UNTIL(s, s->scale.gone || s->scale.confirms > confirms ||
			     (s->scale.silent_at != 0 && s->scale.requests >= s->scale.silent_at));
	if (!s->scale.gone && s->scale.confirms == confirms) {
		/* silence: the deadline of the state it is in */
		assert_int_not_equal(s->device.state, DEVICE_DRAIN);
		act(s, device_event(&s->device, DEVICE_ON_TIME, 0, device_deadline(&s->device)));
		assert_null(s->peer);
	}
	if (s->scale.confirms > confirms) {
		peer_free(s->peer);
		s->peer = NULL;
	}
	RUN_UNTIL(s, s->scale.gone && !s->peer);
	return s->scale.confirms > confirms;
}

static void fail_everywhere(struct stand *s, size_t *knob)
{
	size_t failed = 0;

	for (*knob = 1;; ++*knob) {
		att_table_clear(&s->table);
		s->scale.readings = 1;
		if (run_link(s))
			break;
		failed++;
		assert_int_equal(s->scale.readings, 1);
		assert_int_equal(s->device.state, DEVICE_CLOSING);
	}
	/* MTU, discovery, hash, facts, subscription: all of them were tried */
	assert_true(failed >= 20);
	assert_int_equal(s->mantissa, 79960);
	assert_int_equal(s->scale.confirms, 1);
}

static void test_disconnect_at_each_request(void **state)
{
	struct stand *s = *state;

	fail_everywhere(s, &s->scale.drop_at);
}

static void test_silence_at_each_request(void **state)
{
	struct stand *s = *state;

	fail_everywhere(s, &s->scale.silent_at);
}

/* Answers that are none: the request stays open, the state's deadline ends it. */
static void test_malformed_answer_at_each_request(void **state)
{
	struct stand *s = *state;
	size_t good = 0;

	for (size_t at = 1; at <= 30; at++) {
		att_table_clear(&s->table);
		s->scale.readings = 1;
		s->scale.malformed_at = s->scale.silent_at = at;
		good += run_link(s);
		assert_int_equal(s->scale.confirms, good);
	}
}

static void test_a_spoiled_reading_is_not_confirmed(void **state)
{
	struct stand *s = *state;

	s->scale.readings = 0;
	link_up(s);
	RUN_UNTIL(s, s->device.state == DEVICE_DRAIN);
	scale_value(&s->scale, 0x1d, SCALE_WEIGHT, SCALE_READING, 5);
	RUN_UNTIL(s, s->scale.gone);
	assert_int_equal(s->error, -EMSGSIZE);
	assert_int_equal(s->measurements, 0);
	assert_int_equal(s->scale.confirms, 0);
}

static void test_second_indication_spoils_both(void **state)
{
	struct stand *s = *state;

	s->no_commit = true;
	link_up(s);
	RUN_UNTIL(s, s->measurements == 1);
	scale_value(&s->scale, 0x1d, SCALE_WEIGHT, SCALE_READING, SCALE_READING_LEN);
	RUN_UNTIL(s, s->scale.gone);
	assert_int_equal(s->error, -EPROTO);
	assert_int_equal(s->scale.confirms, 0);
}

static void test_malformed_flood_ends_the_link(void **state)
{
	struct stand *s = *state;

	s->scale.readings = 0;
	link_up(s);
	RUN_UNTIL(s, s->device.state == DEVICE_DRAIN);
	for (size_t i = 0; i < PEER_FAULTS_MAX; i++)
		scale_send(&s->scale, "\x1b", 1);
	RUN_UNTIL(s, s->scale.gone);
	assert_int_equal(s->error, -EMSGSIZE);
}

/* ---- the gateway is full, or refuses ---- */

static void test_no_room_holds_an_indication(void **state)
{
	struct stand *s = *state;

	s->no_room = true;
	link_up(s);
	RUN_UNTIL(s, s->device.state == DEVICE_DRAIN && s->scale.outstanding);
	for (size_t i = 0; i < 20; i++) {
		peer_wake(s->peer);
		turn(s);
	}
	assert_int_equal(s->measurements, 0);
	s->no_room = false;
	peer_wake(s->peer);
	RUN_UNTIL(s, s->scale.confirms == 1);
	assert_string_equal(s->order, "MCK");
}

/* They cannot wait in the peer: they wait on their way, and none is lost. */
static void test_no_room_holds_notifications(void **state)
{
	struct stand *s = *state;
	const struct session_counts *counts;
	uint64_t before;

	s->scale.readings = 0;
	link_up(s);
	RUN_UNTIL(s, s->device.state == DEVICE_DRAIN);
	counts = session_counts(peer_session(s->peer));
	before = counts->frames;
	s->no_room = true;
	for (size_t i = 0; i < 60; i++) {
		scale_value(&s->scale, 0x1b, SCALE_BATTERY, "\x40", 1);
		(void)sd_event_run(s->event, 10000);
	}
	assert_non_null(s->peer);
	assert_int_equal(counts->frames, before);
	s->no_room = false;
	peer_wake(s->peer);
	RUN_UNTIL(s, counts->frames == before + 60);
	assert_true(s->device.streams);
}

/* Nobody to give them to, and no end of them. */
static void test_flood_before_the_session_ends_the_link(void **state)
{
	struct stand *s = *state;

	s->scale.silent_at = 1;
	link_up(s);
	RUN_UNTIL(s, s->scale.requests == 1);
	for (size_t i = 0; i <= PEER_INBOX; i++)
		scale_value(&s->scale, 0x1b, SCALE_BATTERY, "\x40", 1);
	RUN_UNTIL(s, s->scale.gone);
	assert_int_equal(s->error, -ENOBUFS);
}

static void test_refused_reading_is_never_confirmed(void **state)
{
	struct stand *s = *state;

	s->no_commit = true;
	link_up(s);
	RUN_UNTIL(s, s->measurements == 1);
	peer_refused(s->peer, s->last_seq);
	/* what comes after it is durable; this one is not */
	peer_committed(s->peer, s->last_seq + 1);
	RUN_UNTIL(s, s->scale.gone);
	assert_int_equal(s->error, -EPERM);
	assert_int_equal(s->scale.confirms, 0);
}

static void test_reading_that_is_not_taken_is_never_confirmed(void **state)
{
	struct stand *s = *state;

	s->refuses = true;
	link_up(s);
	RUN_UNTIL(s, s->scale.gone);
	assert_int_equal(s->error, -EIO);
	assert_int_equal(s->scale.confirms, 0);
}

/* ---- what else a peer says ---- */

static void test_unknown_characteristic_is_not_confirmed(void **state)
{
	struct stand *s = *state;

	s->scale.readings = 0;
	link_up(s);
	RUN_UNTIL(s, s->device.state == DEVICE_DRAIN);
	scale_value(&s->scale, 0x1d, 0x0077, "\x01", 1);
	RUN_UNTIL(s, peer_unrouted(s->peer) == 1);
	assert_int_equal(s->measurements, 0);
}

/* It says so once: forgotten on disk first, then confirmed, and found again on the next link. */
static void test_service_changed_is_forgotten_before_it_is_confirmed(void **state)
{
	struct stand *s = *state;

	s->scale.readings = 0;
	link_up(s);
	RUN_UNTIL(s, s->device.state == DEVICE_DRAIN);
	assert_true(s->table.complete);
	s->scale.outstanding = true;
	s->scale.readings = 1;
	scale_value(&s->scale, 0x1d, SCALE_CHANGED, "\x30\x00\x35\x00", 4);
	RUN_UNTIL(s, s->scale.gone);
	assert_int_equal(s->scale.confirms, 1);
	assert_false(s->table.complete);
	assert_int_equal(s->error, -ESTALE);

	s->scale.confirms = 0;
	s->scale.readings = 1;
	link_up(s);
	RUN_UNTIL(s, s->scale.confirms == 1);
	assert_true(s->table.complete);
}

static void test_service_changed_that_is_not_kept_is_not_confirmed(void **state)
{
	struct stand *s = *state;

	s->scale.readings = 0;
	link_up(s);
	RUN_UNTIL(s, s->device.state == DEVICE_DRAIN);
	s->table_fails = true;
	s->scale.outstanding = true;
	scale_value(&s->scale, 0x1d, SCALE_CHANGED, "\x30\x00\x35\x00", 4);
	RUN_UNTIL(s, s->scale.gone);
	assert_int_equal(s->scale.confirms, 0);
}

/* Right after the table was checked, right before the session: no session, no crash. */
static void test_service_changed_at_any_moment(void **state)
{
	struct stand *s = *state;

	for (size_t at = 1; at < 30; at++) {
		s->scale.readings = 0;
		s->scale.silent_at = at;
		att_table_clear(&s->table);
		link_up(s);
		RUN_UNTIL(s, s->scale.gone || s->scale.requests >= at ||
				     s->device.state == DEVICE_DRAIN);
		if (!s->scale.gone) {
			scale_value(&s->scale, 0x1d, SCALE_CHANGED, "\x01\x00\xff\xff", 4);
			for (size_t i = 0; i < 10 && s->peer; i++) {
				peer_wake(s->peer);
				turn(s);
			}
		}
		peer_free(s->peer);
		s->peer = NULL;
		RUN_UNTIL(s, s->scale.gone);
	}
}

static void test_peer_may_be_freed_at_any_moment(void **state)
{
	struct stand *s = *state;

	for (size_t turns = 0; turns < 60; turns++) {
		s->scale.readings = 1;
		s->scale.confirms = 0;
		link_up(s);
		for (size_t i = 0; i < turns && s->scale.confirms == 0; i++)
			turn(s);
		peer_free(s->peer);
		s->peer = NULL;
		RUN_UNTIL(s, s->scale.gone);
		assert_true(s->scale.confirms == 1 || s->scale.readings == 1);
	}
	peer_free(NULL);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	static const struct CMUnitTest tests[] = {
		TEST(test_a_scale_is_read),
		TEST(test_no_commit_no_confirmation),
		TEST(test_a_cached_table_saves_the_discovery),
		TEST(test_indication_at_link_up_is_held_until_it_is_durable),
		TEST(test_held_indication_does_not_wait_for_a_silent_peer),
		TEST(test_data_in_clear_is_refused),
		TEST(test_nothing_is_asked_below_the_level),
		TEST(test_security_is_raised_after_the_first_packet),
		TEST(test_security_is_raised_when_the_peer_demands_it),
		TEST(test_security_that_cannot_be_raised_is_a_failure),
		TEST(test_disconnect_at_each_request),
		TEST(test_silence_at_each_request),
		TEST(test_malformed_answer_at_each_request),
		TEST(test_a_spoiled_reading_is_not_confirmed),
		TEST(test_second_indication_spoils_both),
		TEST(test_malformed_flood_ends_the_link),
		TEST(test_no_room_holds_an_indication),
		TEST(test_no_room_holds_notifications),
		TEST(test_flood_before_the_session_ends_the_link),
		TEST(test_refused_reading_is_never_confirmed),
		TEST(test_reading_that_is_not_taken_is_never_confirmed),
		TEST(test_unknown_characteristic_is_not_confirmed),
		TEST(test_service_changed_is_forgotten_before_it_is_confirmed),
		TEST(test_service_changed_that_is_not_kept_is_not_confirmed),
		TEST(test_service_changed_at_any_moment),
		TEST(test_peer_may_be_freed_at_any_moment),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
