/* links: gateway_pipeline */
/* What the gateway believes of the radio and hands to it; paired devices; the hub's clock. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "gateway/hub_clock.h"
#include "gateway/inventory.h"
#include "gateway/radio_state.h"

#define ARENA_BYTES ((size_t)1024 * 1024)
#define PHASE(name) WELLGATE__V1__PAIRING__PHASE__PHASE_##name

struct stand {
	sd_event *event;
	struct radio_state *state;
	struct arena arena;
	struct inventory inventory;
	Wellgate__V1__Reply reply;
	/* wellgate-devices */
	int result;
	unsigned int said;
	uint64_t last_id, last_pairing;
	int last_what;
	/* hub clock */
	unsigned int clocks;
	int offset_min;
};

static int on_say(void *user, const Wellgate__V1__ToDevices *message)
{
	struct stand *s = user;

	if (s->result < 0)
		return s->result;
	assert_int_equal(message->what_case, WELLGATE__V1__TO_DEVICES__WHAT_RADIO);
	s->said++;
	s->last_id = message->radio->id;
	s->last_pairing = message->radio->pairing;
	s->last_what = (int)message->radio->what_case;
	return 0;
}

static int set_up(void **state)
{
	struct stand *s = calloc(1, sizeof(*s));

	assert_non_null(s);
	assert_int_equal(sd_event_new(&s->event), 0);
	assert_int_equal(radio_state_new(s->event, on_say, s, &s->state), 0);
	assert_int_equal(arena_init(&s->arena, ARENA_BYTES), 0);
	*state = s;
	return 0;
}

static int tear_down(void **state)
{
	struct stand *s = *state;

	radio_state_free(s->state);
	arena_finish(&s->arena);
	sd_event_unref(s->event);
	free(s);
	return 0;
}

static Wellgate__V1__Reply *new_reply(struct stand *s)
{
	arena_reset(&s->arena);
	wellgate__v1__reply__init(&s->reply);
	return &s->reply;
}

static uint64_t command(struct stand *s, Wellgate__V1__RadioCommand *m)
{
	uint64_t id = 0;

	assert_int_equal(radio_state_command(s->state, m, &id), 0);
	assert_int_equal(id, s->last_id);
	return id;
}

static uint64_t start_pairing(struct stand *s)
{
	Wellgate__V1__RadioCommand m = WELLGATE__V1__RADIO_COMMAND__INIT;
	Wellgate__V1__RadioCommand__Pair pair = WELLGATE__V1__RADIO_COMMAND__PAIR__INIT;

	m.what_case = WELLGATE__V1__RADIO_COMMAND__WHAT_PAIR;
	m.pair = &pair;
	return command(s, &m);
}

static uint64_t report(struct stand *s)
{
	Wellgate__V1__RadioCommand m = WELLGATE__V1__RADIO_COMMAND__INIT;

	m.what_case = WELLGATE__V1__RADIO_COMMAND__WHAT_REPORT;
	return command(s, &m);
}

static int answer(struct stand *s, uint64_t id, int error)
{
	Wellgate__V1__RadioOutcome m = WELLGATE__V1__RADIO_OUTCOME__INIT;

	m.has_id = m.has_error = true;
	m.id = id;
	m.error = error;
	return radio_state_take_outcome(s->state, &m);
}

/* -1: not known yet */
static int outcome(struct stand *s, uint64_t id)
{
	Wellgate__V1__Reply *reply = new_reply(s);

	assert_int_equal(radio_state_reply_outcome(s->state, id, &s->arena, reply), 0);
	return reply->outcome ? reply->outcome->error : -1;
}

static const Wellgate__V1__Pairing *pairing(struct stand *s, bool addresses)
{
	Wellgate__V1__Reply *reply = new_reply(s);

	assert_int_equal(radio_state_reply_pairing(s->state, addresses, &s->arena, reply), 0);
	return reply->pairing;
}

/* ---- commands ---- */

static void outcomes_are_kept_until_asked_for(void **state)
{
	struct stand *s = *state;
	const uint64_t first = report(s), second = report(s);

	assert_true(second > first);
	assert_int_equal(outcome(s, first), -1);
	assert_int_equal(answer(s, first, EBUSY), 0);
	assert_int_equal(outcome(s, first), EBUSY);
	assert_int_equal(outcome(s, second), -1);
	assert_int_equal(outcome(s, second + 1), ECONNRESET); /* never asked for */
	assert_int_equal(outcome(s, 0), ECONNRESET);
	assert_int_equal(answer(s, second + 1, 0), -EBADMSG);
	assert_int_equal(answer(s, second, -1), -EBADMSG);
}

static void old_outcomes_are_lost_aloud(void **state)
{
	struct stand *s = *state;
	const uint64_t first = report(s);

	assert_int_equal(answer(s, first, 0), 0);
	for (int i = 0; i < 64; i++)
		assert_int_equal(answer(s, report(s), 0), 0);
	assert_int_equal(outcome(s, first), ECONNRESET);
	assert_int_equal(outcome(s, first + 1), 0);
}

static void a_radio_that_goes_answers_nothing(void **state)
{
	struct stand *s = *state;
	Wellgate__V1__RadioCommand m = WELLGATE__V1__RADIO_COMMAND__INIT;
	uint64_t id = report(s), none = 77;

	(void)start_pairing(s);
	radio_state_detached(s->state);
	assert_int_equal(outcome(s, id), ECONNRESET);
	assert_int_equal(pairing(s, false)->phase, PHASE(FAILED));
	assert_non_null(pairing(s, false)->reason);
	s->result = -ENOTCONN;
	m.what_case = WELLGATE__V1__RADIO_COMMAND__WHAT_REPORT;
	assert_int_equal(radio_state_command(s->state, &m, &none), -ENOTCONN);
	m.what_case = WELLGATE__V1__RADIO_COMMAND__WHAT__NOT_SET;
	assert_int_equal(radio_state_command(s->state, &m, &none), -EBADMSG);
	assert_int_equal(none, 77);
}

/* ---- pairing ---- */

struct candidates {
	Wellgate__V1__Pairing__Candidate message[RADIO_STATE_CANDIDATES + 1];
	Wellgate__V1__Pairing__Candidate *list[RADIO_STATE_CANDIDATES + 1];
};

static Wellgate__V1__Pairing make_pairing(const struct stand *s, struct candidates *c, size_t n)
{
	static char address[] = "02:00:5E:10:00:01 public", name[] = "Scale";
	Wellgate__V1__Pairing m = WELLGATE__V1__PAIRING__INIT;

	for (size_t i = 0; i < n; i++) {
		wellgate__v1__pairing__candidate__init(&c->message[i]);
		c->message[i].has_number = true;
		c->message[i].number = (uint32_t)i + 1;
		c->message[i].address = address;
		c->message[i].name = name;
		c->list[i] = &c->message[i];
	}
	m.has_pairing = m.has_phase = true;
	m.pairing = s->last_id;
	m.phase = PHASE(LOOKING);
	m.candidates = c->list;
	m.n_candidates = n;
	return m;
}

static void a_pairing_is_told_as_it_stands(void **state)
{
	struct stand *s = *state;
	struct candidates c;
	struct timespec t;
	Wellgate__V1__Pairing m;

	assert_null(pairing(s, false));
	(void)start_pairing(s);
	assert_int_equal(pairing(s, false)->phase, PHASE(LOOKING));
	m = make_pairing(s, &c, 2);
	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	m.has_ends_at_us = true;
	m.ends_at_us = (t.tv_sec + 90) * INT64_C(1000000);
	assert_int_equal(radio_state_take_pairing(s->state, &m), 0);
	assert_int_equal(pairing(s, false)->n_candidates, 2);
	assert_string_equal(pairing(s, false)->candidates[1]->name, "Scale");
	assert_null(pairing(s, false)->candidates[0]->address);
	assert_string_equal(pairing(s, true)->candidates[0]->address, "02:00:5E:10:00:01 public");
	assert_in_range(pairing(s, false)->seconds_left, 60, 90);
	assert_false(pairing(s, false)->has_ends_at_us);
	m.ends_at_us = 1; /* long ago */
	assert_int_equal(radio_state_take_pairing(s->state, &m), 0);
	assert_int_equal(pairing(s, false)->seconds_left, 0);
	m.ends_at_us = INT64_MIN; /* absurd: no time is told, or none is left */
	assert_int_equal(radio_state_take_pairing(s->state, &m), 0);
	assert_int_equal(pairing(s, false)->seconds_left, 0);
	m.ends_at_us = INT64_MAX;
	assert_int_equal(radio_state_take_pairing(s->state, &m), 0);
	assert_true(pairing(s, false)->seconds_left <= UINT16_MAX);
}

static void bad_pairings_are_malformed(void **state)
{
	struct stand *s = *state;
	struct candidates c;
	Wellgate__V1__Pairing m;

	(void)start_pairing(s);
	m = make_pairing(s, &c, RADIO_STATE_CANDIDATES + 1);
	assert_int_equal(radio_state_take_pairing(s->state, &m), -EBADMSG);
	m = make_pairing(s, &c, 1);
	c.message[0].number = 0;
	assert_int_equal(radio_state_take_pairing(s->state, &m), -EBADMSG);
	c.message[0].number = 256;
	assert_int_equal(radio_state_take_pairing(s->state, &m), -EBADMSG);
	m = make_pairing(s, &c, 0);
	m.has_passkey = true;
	m.passkey = 1000000;
	assert_int_equal(radio_state_take_pairing(s->state, &m), -EBADMSG);
	assert_int_equal(pairing(s, false)->n_candidates, 0);
}

static void bad_text_is_not_told(void **state)
{
	struct stand *s = *state;
	struct candidates c;
	char bad[] = "\x1b[31m", broken[] = "\xff", reason[] = "It did not work.", big[300];
	Wellgate__V1__Pairing m;

	(void)start_pairing(s);
	memset(big, 'x', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	m = make_pairing(s, &c, 3);
	c.message[0].name = bad;
	c.message[1].name = broken;
	c.message[2].name = big;
	m.phase = PHASE(FAILED);
	m.reason = reason;
	assert_int_equal(radio_state_take_pairing(s->state, &m), 0);
	for (size_t i = 0; i < 3; i++)
		assert_null(pairing(s, false)->candidates[i]->name);
	assert_string_equal(pairing(s, false)->reason, "It did not work.");
}

static void only_the_pairing_that_runs_counts(void **state)
{
	struct stand *s = *state;
	struct candidates c;
	Wellgate__V1__RadioCommand cancel = WELLGATE__V1__RADIO_COMMAND__INIT;
	Wellgate__V1__RadioCommand again = WELLGATE__V1__RADIO_COMMAND__INIT;
	const uint64_t id = start_pairing(s);
	uint64_t none;
	Wellgate__V1__Pairing m = make_pairing(s, &c, 0);

	again.what_case = WELLGATE__V1__RADIO_COMMAND__WHAT_PAIR;
	assert_int_equal(radio_state_command(s->state, &again, &none), -EBUSY);
	m.phase = PHASE(DONE);
	m.pairing = id - 1;
	assert_int_equal(radio_state_take_pairing(s->state, &m), 0);
	assert_int_equal(pairing(s, false)->phase, PHASE(LOOKING));
	cancel.what_case = WELLGATE__V1__RADIO_COMMAND__WHAT_CANCEL;
	cancel.has_pairing = true;
	cancel.pairing = id;
	(void)command(s, &cancel);
	assert_int_equal(pairing(s, false)->phase, PHASE(NONE));
	m.pairing = id;
	assert_int_equal(radio_state_take_pairing(s->state, &m), 0);
	assert_int_equal(pairing(s, false)->phase, PHASE(NONE)); /* it came too late */
	assert_true(start_pairing(s) > id);
	assert_int_equal(answer(s, s->last_id, ENODEV), 0);
	assert_int_equal(pairing(s, false)->phase, PHASE(FAILED));
	assert_non_null(strstr(pairing(s, false)->reason, "adapter"));
}

/* ---- status ---- */

struct found {
	unsigned int n;
	char last[300];
};

static void on_finding(void *user, const Wellgate__V1__Finding *finding)
{
	struct found *f = user;

	assert_in_range(finding->level, 0, 3);
	f->n++;
	(void)snprintf(f->last, sizeof(f->last), "%s", finding->what);
}

static unsigned int findings(struct stand *s, struct found *ret)
{
	*ret = (struct found){ 0 };
	radio_state_findings(s->state, on_finding, ret);
	return ret->n;
}

static void findings_stay_until_new_ones_come(void **state)
{
	struct stand *s = *state;
	Wellgate__V1__RadioStatus m = WELLGATE__V1__RADIO_STATUS__INIT;
	Wellgate__V1__Finding f = WELLGATE__V1__FINDING__INIT, *list[RADIO_STATE_FINDINGS + 1];
	struct found found;
	char what[] = "fine";

	for (size_t i = 0; i <= RADIO_STATE_FINDINGS; i++)
		list[i] = &f;
	f.what = what;
	f.level = (Wellgate__V1__Finding__Level)99;
	m.has_first = m.has_last = m.has_examined = m.has_adapter = true;
	m.first = m.examined = true;
	m.findings = list;
	m.n_findings = 1;
	m.adapter = (Wellgate__V1__RadioStatus__Adapter)99;
	assert_int_equal(radio_state_take_status(s->state, &m), 0);
	assert_false(radio_state_is_known(s->state)); /* more is to come */
	m = (Wellgate__V1__RadioStatus)WELLGATE__V1__RADIO_STATUS__INIT;
	m.has_last = m.last = true;
	assert_int_equal(radio_state_take_status(s->state, &m), 0);
	assert_true(radio_state_is_known(s->state));
	assert_int_equal(radio_state_adapter(s->state), 0); /* unknown to this version */
	assert_int_equal(findings(s, &found), 1);
	assert_string_equal(found.last, "fine");
	assert_int_equal(radio_state_take_status(s->state, &m), -EBADMSG); /* no beginning */
	m.first = true;
	assert_int_equal(radio_state_take_status(s->state, &m), 0);
	assert_int_equal(findings(s, &found), 1);
	m.examined = true;
	assert_int_equal(radio_state_take_status(s->state, &m), 0);
	assert_int_equal(findings(s, &found), 0);
	m.findings = list;
	m.n_findings = RADIO_STATE_FINDINGS + 1;
	assert_int_equal(radio_state_take_status(s->state, &m), -EBADMSG);
	radio_state_detached(s->state);
	assert_false(radio_state_is_known(s->state));
}

static void too_many_devices_are_malformed(void **state)
{
	struct stand *s = *state;
	Wellgate__V1__RadioStatus m = WELLGATE__V1__RADIO_STATUS__INIT;

	m.first = true;
	m.n_devices = RADIO_STATE_DEVICES;
	m.n_devices--;
	m.devices = NULL;
	assert_int_equal(radio_state_take_status(s->state, &m), 0);
	m.first = false;
	m.n_devices = 2;
	assert_int_equal(radio_state_take_status(s->state, &m), -EBADMSG);
	m.n_devices = SIZE_MAX;
	assert_int_equal(radio_state_take_status(s->state, &m), -EBADMSG);
}

/* ---- the inventory ---- */

static struct intake_device key_of(unsigned int n)
{
	struct intake_device key = { .driver = "weight_scale", .has_digest = true };

	key.serial_digest[0] = (uint8_t)n;
	key.serial_digest[1] = (uint8_t)(n >> 8);
	return key;
}

static void enrol(struct stand *s, unsigned int n)
{
	const struct intake_device key = key_of(n);
	Wellgate__V1__RadioDevice m = WELLGATE__V1__RADIO_DEVICE__INIT;
	char address[] = "02:00:5E:10:00:01 public", name[] = "Scale";

	m.address = address;
	m.name = name;
	m.has_rssi = m.has_battery = true;
	m.rssi = -128;
	m.battery = 101;
	m.state = (Wellgate__V1__RadioDevice__State)99;
	m.bad_range = 5;
	inventory_radio_device(&s->inventory, &key, &m, 1000);
}

static size_t listed(struct stand *s, uint64_t after, bool *ret_more)
{
	Wellgate__V1__Reply *reply = new_reply(s);

	assert_int_equal(inventory_reply(&s->inventory, after, true, &s->arena, reply), 0);
	*ret_more = reply->more;
	return reply->n_devices;
}

static void a_paired_device_joins_what_was_heard(void **state)
{
	struct stand *s = *state;
	const struct intake_device key = key_of(1);
	const Wellgate__V1__DeviceInfo *d;
	bool more;

	inventory_device(&s->inventory, &key)->bad_range = 7;
	inventory_radio_begin(&s->inventory);
	enrol(s, 1);
	inventory_radio_end(&s->inventory);
	assert_int_equal(listed(s, 0, &more), 1);
	assert_false(more);
	d = s->reply.devices[0];
	assert_int_equal(d->bad_range, 7); /* the larger count */
	assert_false(d->has_battery);      /* 101 per cent is none */
	assert_int_equal(d->last_seen_ms, 1000);
	assert_int_equal(d->radio->rssi, -128);
	assert_int_equal(d->radio->state, 0);
	assert_string_equal(d->radio->address, "02:00:5E:10:00:01 public");
	assert_int_equal(inventory_reply(&s->inventory, 0, false, &s->arena, new_reply(s)), 0);
	assert_null(s->reply.devices[0]->radio->address);
	assert_non_null(inventory_enrolled(&s->inventory, key.serial_digest, 16));
	assert_null(inventory_enrolled(&s->inventory, key.serial_digest, 15));
	/* a status without it: it is not paired any more, but was heard */
	inventory_radio_begin(&s->inventory);
	inventory_radio_end(&s->inventory);
	assert_null(inventory_enrolled(&s->inventory, key.serial_digest, 16));
	assert_int_equal(listed(s, 0, &more), 1);
	assert_null(s->reply.devices[0]->radio);
}

/* Paired by its address, and known from readings by its serial number: two lines until a link tells
 * that they are one. The base station that it is read by, too, stays a line of its own. */
static void a_device_has_ways(void **state)
{
	struct stand *s = *state;
	const struct intake_device tracker = key_of(300), radio = key_of(1), station = key_of(2);
	const struct inventory_device *d;
	bool more;

	inventory_device(&s->inventory, &tracker)->readings = 10;
	enrol(s, 1);
	inventory_device(&s->inventory, &radio)->readings = 1;
	inventory_device(&s->inventory, &station)->news = 1;
	assert_int_equal(listed(s, 0, &more), 3);
	inventory_way(&s->inventory, radio.serial_digest, &tracker);
	inventory_way(&s->inventory, station.serial_digest, &tracker);
	inventory_way(&s->inventory, tracker.serial_digest, &tracker);
	assert_int_equal(listed(s, 0, &more), 2);
	inventory_radio_begin(&s->inventory);
	enrol(s, 1); /* the radio goes on telling by its address */
	inventory_radio_end(&s->inventory);
	assert_int_equal(listed(s, 0, &more), 2);
	d = inventory_enrolled(&s->inventory, tracker.serial_digest, 16);
	assert_non_null(d);
	assert_int_equal(d->readings, 11);
	assert_memory_equal(d->digest, tracker.serial_digest, 16);
	assert_ptr_equal(inventory_enrolled(&s->inventory, radio.serial_digest, 16), d);
	assert_null(inventory_enrolled(&s->inventory, station.serial_digest, 16));
	assert_int_equal(inventory_device(&s->inventory, &station)->news, 0);
}

/* Its readings came first, or the radio did: no line is there twice. */
static void a_way_may_be_known_first(void **state)
{
	struct stand *s = *state;
	const struct intake_device first = key_of(300), second = key_of(301), radio = key_of(1);
	bool more;

	inventory_way(&s->inventory, radio.serial_digest, &first);
	enrol(s, 1);
	assert_int_equal(listed(s, 0, &more), 1);
	assert_non_null(inventory_enrolled(&s->inventory, first.serial_digest, 16));
	/* the same address, and another one behind it */
	inventory_radio_gone(&s->inventory);
	inventory_way(&s->inventory, radio.serial_digest, &second);
	enrol(s, 1);
	assert_int_equal(listed(s, 0, &more), 2);
	assert_null(inventory_enrolled(&s->inventory, first.serial_digest, 16));
	assert_non_null(inventory_enrolled(&s->inventory, second.serial_digest, 16));
}

static void ways_are_forgotten_not_overrun(void **state)
{
	struct stand *s = *state;
	const struct intake_device tracker = key_of(60000);

	for (unsigned int i = 1; i <= 2 * INVENTORY_MAX + 3; i++) {
		const struct intake_device way = key_of(i);

		inventory_way(&s->inventory, way.serial_digest, &tracker);
	}
	enrol(s, 2 * INVENTORY_MAX + 3);
	assert_non_null(inventory_enrolled(&s->inventory, tracker.serial_digest, 16));
	assert_int_equal(s->inventory.n, 1);
	assert_int_equal(s->inventory.n_ways, INVENTORY_MAX);
}

static void the_list_comes_in_pages(void **state)
{
	struct stand *s = *state;
	size_t n = 0, page;
	bool more = true;

	for (unsigned int i = 0; i < 130; i++)
		enrol(s, i);
	while (more) {
		page = listed(s, n, &more);
		assert_true(page <= INVENTORY_PAGE);
		n += page;
	}
	assert_int_equal(n, 130);
	assert_int_equal(listed(s, UINT64_MAX, &more), 0);
	assert_false(more);
}

static void a_paired_device_is_never_pushed_out(void **state)
{
	struct stand *s = *state;
	const struct intake_device first = key_of(0);

	for (unsigned int i = 0; i < RADIO_STATE_DEVICES; i++)
		enrol(s, i);
	for (unsigned int i = 0; i < 2 * INVENTORY_MAX; i++) {
		const struct intake_device key = key_of(1000 + i);

		inventory_device(&s->inventory, &key)->last_seen_ms = 5000;
	}
	assert_int_equal(s->inventory.n, INVENTORY_MAX);
	assert_non_null(inventory_enrolled(&s->inventory, first.serial_digest, 16));
	inventory_radio_gone(&s->inventory);
	assert_null(inventory_enrolled(&s->inventory, first.serial_digest, 16));
}

/* ---- the hub's clock ---- */

static void on_clock(void *user, bool synced, int offset_min)
{
	struct stand *s = user;

	(void)synced;
	s->clocks++;
	s->offset_min = offset_min;
}

static void the_clock_is_told_at_the_start_and_then_only_if_it_changes(void **state)
{
	struct stand *s = *state;
	struct hub_clock *c = NULL;

	/* half an hour off the full hour, and no summer time */
	assert_int_equal(hub_clock_new(s->event, "Asia/Kolkata", on_clock, s, &c), 0);
	assert_int_equal(s->clocks, 0);
	hub_clock_start(c);
	assert_int_equal(s->clocks, 1);
	assert_int_equal(s->offset_min, 330);
	assert_int_equal(sd_event_run(s->event, 0), 0); /* nothing to do now */
	assert_int_equal(s->clocks, 1);
	hub_clock_stop(c);
	hub_clock_start(c); /* another process connected */
	assert_int_equal(s->clocks, 2);
	hub_clock_free(c);
	assert_true(hub_clock_new(s->event, "No/Where", on_clock, s, &c) < 0);
	hub_clock_free(NULL);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(outcomes_are_kept_until_asked_for),
		TEST(old_outcomes_are_lost_aloud),
		TEST(a_radio_that_goes_answers_nothing),
		TEST(a_pairing_is_told_as_it_stands),
		TEST(bad_pairings_are_malformed),
		TEST(bad_text_is_not_told),
		TEST(only_the_pairing_that_runs_counts),
		TEST(findings_stay_until_new_ones_come),
		TEST(too_many_devices_are_malformed),
		TEST(a_paired_device_joins_what_was_heard),
		TEST(a_device_has_ways),
		TEST(a_way_may_be_known_first),
		TEST(ways_are_forgotten_not_overrun),
		TEST(the_list_comes_in_pages),
		TEST(a_paired_device_is_never_pushed_out),
		TEST(the_clock_is_told_at_the_start_and_then_only_if_it_changes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
