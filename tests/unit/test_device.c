/* links: transports */
/* The state machine of one enrolled device: each transition that the README draws is a row here. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "drivers/transport/device.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define SECOND       INT64_C(1000000)
#define START        (1000 * SECOND)

#define CLEAR     1
#define ENCRYPTED 2

static const struct device_config OPEN = { .level = CLEAR };
static const struct device_config BONDED = { .level = ENCRYPTED };
static const struct device_config LATE = { .level = ENCRYPTED, .raise_late = true };
static const struct device_config BROADCAST = { .level = CLEAR, .broadcast = true };

struct step {
	enum device_event event;
	unsigned int argument;
};

/* the shortest way of a bonded device from KNOWN to DRAIN */
static const struct step WAY[] = {
	{ DEVICE_ON_ADVERT, 0 }, { DEVICE_ON_TURN, 0 },     { DEVICE_ON_CONNECTED, ENCRYPTED },
	{ DEVICE_ON_MTU, 0 },    { DEVICE_ON_VERIFIED, 0 }, { DEVICE_ON_ARMED, 0 },
};

static int64_t reach(struct device *d, const struct device_config *config, enum device_state state)
{
	int64_t now = START;

	device_init(d, config);
	if (state == DEVICE_SEEN)
		d->not_before = now + 5 * SECOND;
	for (size_t i = 0; i < COUNT(WAY) && d->state != state; i++) {
		if (state == DEVICE_SECURING && d->state == DEVICE_LINKING) {
			(void)device_event(d, DEVICE_ON_CONNECTED, CLEAR, now);
			break;
		}
		(void)device_event(d, WAY[i].event, WAY[i].argument, now);
	}
	if (state == DEVICE_LINGER || state == DEVICE_CLOSING) {
		(void)device_event(d, DEVICE_ON_READING, DEVICE_LIFE_WAITS, now);
		(void)device_event(d, DEVICE_ON_COMMITTED, 0, now);
	}
	if (state == DEVICE_CLOSING)
		(void)device_event(d, DEVICE_ON_END, DEVICE_END_PEER, now);
	assert_int_equal(d->state, state);
	return now;
}

/* after: -1: at the deadline */
struct transition {
	const struct device_config *config;
	enum device_state from;
	enum device_event event;
	unsigned int argument;
	int32_t after; /* microseconds */
	enum device_state to;
	unsigned int actions;
	enum device_trouble trouble;
};

#define AT_DEADLINE (-1)
#define QUEUE       DEVICE_DO_QUEUE
#define CLOSE       DEVICE_DO_CLOSE
#define RELEASE     DEVICE_DO_RELEASE
#define ALARM       DEVICE_DO_ALARM

static const struct transition TRANSITIONS[] = {
	{ &BONDED, DEVICE_KNOWN, DEVICE_ON_ADVERT, 0, 0, DEVICE_QUEUED, QUEUE, 0 },
	{ &BROADCAST, DEVICE_KNOWN, DEVICE_ON_ADVERT, 0, 0, DEVICE_SEEN, 0, 0 },
	{ &BONDED, DEVICE_SEEN, DEVICE_ON_ADVERT, 0, SECOND, DEVICE_SEEN, 0, 0 },
	{ &BONDED, DEVICE_SEEN, DEVICE_ON_ADVERT, 0, 6 * SECOND, DEVICE_QUEUED, QUEUE, 0 },
	{ &BONDED, DEVICE_SEEN, DEVICE_ON_TIME, 0, AT_DEADLINE, DEVICE_QUEUED, QUEUE, 0 },
	{ &BONDED, DEVICE_SEEN, DEVICE_ON_TIME, 0, 11 * SECOND, DEVICE_KNOWN, 0, 0 },
	{ &BONDED, DEVICE_SEEN, DEVICE_ON_ADAPTER_LOST, 0, 0, DEVICE_KNOWN, RELEASE, 0 },
	{ &BONDED, DEVICE_QUEUED, DEVICE_ON_ADVERT, 0, SECOND, DEVICE_QUEUED, 0, 0 },
	{ &BONDED, DEVICE_QUEUED, DEVICE_ON_TURN, 0, 0, DEVICE_LINKING, DEVICE_DO_CONNECT, 0 },
	{ &BONDED, DEVICE_QUEUED, DEVICE_ON_TIME, 0, AT_DEADLINE, DEVICE_KNOWN, RELEASE, 0 },
	{ &BONDED, DEVICE_QUEUED, DEVICE_ON_ADAPTER_LOST, 0, 0, DEVICE_KNOWN, RELEASE, 0 },

	{ &OPEN, DEVICE_LINKING, DEVICE_ON_CONNECTED, CLEAR, 0, DEVICE_MTU, DEVICE_DO_MTU, 0 },
	{ &BONDED, DEVICE_LINKING, DEVICE_ON_CONNECTED, 2, 0, DEVICE_MTU, DEVICE_DO_MTU, 0 },
	{ &BONDED, DEVICE_LINKING, DEVICE_ON_CONNECTED, CLEAR, 0, DEVICE_SECURING, 0, 0 },
	{ &LATE, DEVICE_LINKING, DEVICE_ON_CONNECTED, CLEAR, 0, DEVICE_MTU, DEVICE_DO_MTU, 0 },
	{ &BONDED, DEVICE_LINKING, DEVICE_ON_TIME, 0, AT_DEADLINE, DEVICE_CLOSING,
	  CLOSE | DEVICE_DO_DOUBT, 0 },
	{ &BONDED, DEVICE_LINKING, DEVICE_ON_END, DEVICE_END_TIMEOUT, 0, DEVICE_CLOSING,
	  CLOSE | DEVICE_DO_DOUBT, 0 },
	{ &BONDED, DEVICE_LINKING, DEVICE_ON_END, DEVICE_END_TRANSIENT, 0, DEVICE_CLOSING, CLOSE,
	  0 },
	{ &BONDED, DEVICE_LINKING, DEVICE_ON_END, DEVICE_END_AUTH, 0, DEVICE_CLOSING, CLOSE, 0 },
	{ &BONDED, DEVICE_LINKING, DEVICE_ON_END, DEVICE_END_KILLED, 0, DEVICE_CLOSING, CLOSE, 0 },
	{ &BONDED, DEVICE_LINKING, DEVICE_ON_END, DEVICE_END_BUSY, 0, DEVICE_CLOSING, CLOSE | ALARM,
	  DEVICE_BUSY_ELSEWHERE },
	{ &BONDED, DEVICE_LINKING, DEVICE_ON_ADAPTER_LOST, 0, 0, DEVICE_KNOWN, CLOSE | RELEASE, 0 },
	{ &BONDED, DEVICE_LINKING, DEVICE_ON_IN_CLEAR, 0, 0, DEVICE_LINKING, 0, 0 },

	{ &BONDED, DEVICE_SECURING, DEVICE_ON_LEVEL, 2, 0, DEVICE_MTU, DEVICE_DO_MTU, 0 },
	{ &BONDED, DEVICE_SECURING, DEVICE_ON_LEVEL, CLEAR, 0, DEVICE_SECURING, 0, 0 },
	{ &BONDED, DEVICE_SECURING, DEVICE_ON_TIME, 0, AT_DEADLINE, DEVICE_CLOSING, CLOSE, 0 },
	{ &BONDED, DEVICE_SECURING, DEVICE_ON_IN_CLEAR, 0, 0, DEVICE_SECURING, 0, 0 },

	{ &BONDED, DEVICE_MTU, DEVICE_ON_MTU, 0, 0, DEVICE_VERIFY, DEVICE_DO_VERIFY, 0 },
	{ &BONDED, DEVICE_MTU, DEVICE_ON_LEVEL, 3, 0, DEVICE_MTU, 0, 0 },
	{ &BONDED, DEVICE_MTU, DEVICE_ON_LEVEL, CLEAR, 0, DEVICE_CLOSING, CLOSE, 0 },
	{ &BONDED, DEVICE_MTU, DEVICE_ON_TIME, 0, AT_DEADLINE, DEVICE_CLOSING, CLOSE, 0 },
	{ &BONDED, DEVICE_VERIFY, DEVICE_ON_READING, 0, SECOND, DEVICE_VERIFY, 0, 0 },
	{ &BONDED, DEVICE_VERIFY, DEVICE_ON_VERIFIED, 0, 0, DEVICE_ARMING,
	  DEVICE_DO_OPEN | DEVICE_DO_ARM, 0 },
	{ &BONDED, DEVICE_VERIFY, DEVICE_ON_TIME, 0, AT_DEADLINE, DEVICE_CLOSING, CLOSE, 0 },
	{ &BONDED, DEVICE_VERIFY, DEVICE_ON_END, DEVICE_END_PEER, 0, DEVICE_CLOSING, CLOSE, 0 },
	{ &BONDED, DEVICE_VERIFY, DEVICE_ON_DONE, 0, 0, DEVICE_CLOSING, CLOSE, 0 },
	{ &BONDED, DEVICE_ARMING, DEVICE_ON_READING, 0, SECOND, DEVICE_ARMING, 0, 0 },
	{ &BONDED, DEVICE_ARMING, DEVICE_ON_ARMED, 0, 0, DEVICE_DRAIN, 0, 0 },
	{ &BONDED, DEVICE_ARMING, DEVICE_ON_TIME, 0, AT_DEADLINE, DEVICE_CLOSING, CLOSE, 0 },
	{ &BONDED, DEVICE_ARMING, DEVICE_ON_DONE, 0, 0, DEVICE_CLOSING, CLOSE, 0 },
	{ &BONDED, DEVICE_ARMING, DEVICE_ON_IN_CLEAR, 0, 0, DEVICE_CLOSING, CLOSE, 0 },

	{ &BONDED, DEVICE_DRAIN, DEVICE_ON_READING, 1, 0, DEVICE_DRAIN, 0, 0 },
	{ &BONDED, DEVICE_DRAIN, DEVICE_ON_COMMITTED, 0, 0, DEVICE_LINGER, 0, 0 },
	{ &BONDED, DEVICE_DRAIN, DEVICE_ON_COMMITTED, 1, 0, DEVICE_DRAIN, 0, 0 },
	{ &BONDED, DEVICE_DRAIN, DEVICE_ON_DONE, 0, 0, DEVICE_LINGER, 0, 0 },
	{ &BONDED, DEVICE_DRAIN, DEVICE_ON_YIELD, 0, 0, DEVICE_CLOSING, CLOSE, 0 },
	{ &BONDED, DEVICE_DRAIN, DEVICE_ON_TIME, 0, AT_DEADLINE, DEVICE_CLOSING, CLOSE, 0 },
	{ &BONDED, DEVICE_DRAIN, DEVICE_ON_END, DEVICE_END_PEER, 0, DEVICE_CLOSING, CLOSE, 0 },
	{ &BONDED, DEVICE_DRAIN, DEVICE_ON_END, DEVICE_END_TRANSIENT, 0, DEVICE_CLOSING, CLOSE, 0 },
	{ &BONDED, DEVICE_DRAIN, DEVICE_ON_LEVEL, CLEAR, 0, DEVICE_CLOSING, CLOSE, 0 },
	{ &BONDED, DEVICE_DRAIN, DEVICE_ON_ADAPTER_LOST, 0, 0, DEVICE_KNOWN, CLOSE | RELEASE, 0 },
	{ &BONDED, DEVICE_DRAIN, DEVICE_ON_CONSENT, 1, 0, DEVICE_DRAIN, ALARM,
	  DEVICE_CONSENT_NEEDED },
	{ &BONDED, DEVICE_LINGER, DEVICE_ON_READING, 1, 0, DEVICE_DRAIN, 0, 0 },
	{ &BONDED, DEVICE_LINGER, DEVICE_ON_READING, 0, SECOND, DEVICE_LINGER, 0, 0 },
	{ &BONDED, DEVICE_LINGER, DEVICE_ON_COMMITTED, 0, SECOND, DEVICE_LINGER, 0, 0 },
	{ &BONDED, DEVICE_LINGER, DEVICE_ON_DONE, 0, 0, DEVICE_LINGER, 0, 0 },
	{ &BONDED, DEVICE_LINGER, DEVICE_ON_YIELD, 0, 0, DEVICE_CLOSING, CLOSE, 0 },
	{ &BONDED, DEVICE_LINGER, DEVICE_ON_TIME, 0, AT_DEADLINE, DEVICE_CLOSING, CLOSE, 0 },
	{ &BONDED, DEVICE_LINGER, DEVICE_ON_END, DEVICE_END_PEER, 0, DEVICE_CLOSING, CLOSE, 0 },

	{ &BONDED, DEVICE_CLOSING, DEVICE_ON_ADVERT, 0, 0, DEVICE_CLOSING, 0, 0 },
	{ &BONDED, DEVICE_CLOSING, DEVICE_ON_GONE, 0, SECOND, DEVICE_SEEN, RELEASE, 0 },
	{ &BONDED, DEVICE_CLOSING, DEVICE_ON_GONE, 0, 11 * SECOND, DEVICE_KNOWN, RELEASE, 0 },
	{ &BONDED, DEVICE_CLOSING, DEVICE_ON_TIME, 0, AT_DEADLINE, DEVICE_SEEN, RELEASE, 0 },
	{ &BONDED, DEVICE_CLOSING, DEVICE_ON_ADAPTER_LOST, 0, 0, DEVICE_KNOWN, RELEASE, 0 },
};

static void test_transitions(void **unused)
{
	(void)unused;
	for (size_t i = 0; i < COUNT(TRANSITIONS); i++) {
		const struct transition *t = &TRANSITIONS[i];
		struct device d;
		int64_t now = reach(&d, t->config, t->from);
		unsigned int actions;

		now = t->after == AT_DEADLINE ? device_deadline(&d) : now + t->after;
		actions = device_event(&d, t->event, t->argument, now);
		if (d.state != t->to || actions != t->actions || d.trouble != t->trouble)
			fail_msg("row %zu: %s on %s: %s, actions %x, %s", i,
				 device_state_name(t->from), device_event_name(t->event),
				 device_state_name(d.state), actions,
				 device_trouble_name(d.trouble));
	}
}

static void test_events_out_of_place_change_nothing(void **unused)
{
	static const struct step strange[] = {
		{ DEVICE_ON_TURN, 0 },  { DEVICE_ON_CONNECTED, 2 }, { DEVICE_ON_MTU, 0 },
		{ DEVICE_ON_ARMED, 0 }, { DEVICE_ON_VERIFIED, 0 },  { DEVICE_ON_READING, 1 },
		{ DEVICE_ON_END, 0 },   { DEVICE_ON_IN_CLEAR, 0 },  { DEVICE_ON_GONE, 0 },
	};
	struct device d;
	int64_t now = reach(&d, &BONDED, DEVICE_KNOWN);

	(void)unused;
	for (size_t i = 0; i < COUNT(strange); i++) {
		assert_int_equal(device_event(&d, strange[i].event, strange[i].argument, now), 0);
		assert_int_equal(d.state, DEVICE_KNOWN);
	}
	/* too early is no time */
	now = reach(&d, &BONDED, DEVICE_LINKING);
	assert_int_equal(device_event(&d, DEVICE_ON_TIME, 0, now + DEVICE_STEP_US - 1), 0);
	assert_int_equal(d.state, DEVICE_LINKING);
}

/* 6.1: level after the first packet */
static void test_security_is_raised_late(void **unused)
{
	struct device d;
	int64_t now = reach(&d, &LATE, DEVICE_LINKING);

	(void)unused;
	assert_int_equal(device_ask(&d), CLEAR);
	assert_int_equal(device_event(&d, DEVICE_ON_CONNECTED, CLEAR, now), DEVICE_DO_MTU);
	assert_int_equal(device_event(&d, DEVICE_ON_MTU, 0, now), DEVICE_DO_RAISE);
	assert_int_equal(d.state, DEVICE_SECURING);
	assert_int_equal(device_event(&d, DEVICE_ON_LEVEL, ENCRYPTED, now), DEVICE_DO_VERIFY);
	assert_int_equal(d.state, DEVICE_VERIFY);

	/* it spoke before: from now on the level is asked for first */
	now = reach(&d, &LATE, DEVICE_LINKING);
	(void)device_event(&d, DEVICE_ON_CONNECTED, CLEAR, now);
	(void)device_event(&d, DEVICE_ON_IN_CLEAR, 0, now);
	assert_int_equal(device_ask(&d), ENCRYPTED);
}

/* Data in clear ends its link; whether it is an alarm shows when the key is proved, or is not. */
static void test_who_spoke_in_clear(void **unused)
{
	static const struct {
		enum device_event event;
		unsigned int argument;
		enum device_trouble trouble;
	} then[] = {
		{ DEVICE_ON_LEVEL, ENCRYPTED, DEVICE_FINE },
		{ DEVICE_ON_TIME, 0, DEVICE_SPOOF_SUSPECT },
		{ DEVICE_ON_END, DEVICE_END_AUTH, DEVICE_SPOOF_SUSPECT },
		{ DEVICE_ON_END, DEVICE_END_PEER, DEVICE_SPOOF_SUSPECT },
		{ DEVICE_ON_END, DEVICE_END_KILLED, DEVICE_SPOOF_SUSPECT },
	};
	const enum device_state states[] = { DEVICE_SECURING, DEVICE_MTU };

	(void)unused;
	for (size_t i = 0; i < COUNT(then) * COUNT(states); i++) {
		const enum device_state from = states[i % COUNT(states)];
		const size_t n = i / COUNT(states);
		struct device d;
		int64_t now = reach(&d, from == DEVICE_MTU ? &LATE : &BONDED, DEVICE_LINKING);
		unsigned int actions;

		(void)device_event(&d, DEVICE_ON_CONNECTED, CLEAR, now);
		assert_int_equal(d.state, from);
		assert_int_equal(device_event(&d, DEVICE_ON_IN_CLEAR, 0, now), 0);
		now = then[n].event == DEVICE_ON_TIME ? device_deadline(&d) : now;
		actions = device_event(&d, then[n].event, then[n].argument, now);
		assert_int_equal(d.state, DEVICE_CLOSING);
		assert_int_equal(d.trouble, then[n].trouble);
		assert_int_equal(actions, CLOSE | (d.trouble != DEVICE_FINE ? ALARM : 0));
		assert_int_equal(d.auth_failures, 0);
	}
}

/* For how long a link is kept from those who wait. */
static void test_turns(void **unused)
{
	struct device d;

	(void)unused;
	device_init(&d, &BONDED);
	d.state = DEVICE_DRAIN;
	assert_int_equal(device_turn(&d), INT64_MAX); /* it may be thinking */
	d.empty = 1;
	assert_int_equal(device_turn(&d), DEVICE_EMPTY_TURN);
	d.had_reading = true;
	assert_int_equal(device_turn(&d), INT64_MAX);
	d.streams = true;
	assert_int_equal(device_turn(&d), DEVICE_STREAM_TURN);
	d.state = DEVICE_ARMING;
	assert_int_equal(device_turn(&d), INT64_MAX);
}

/* However often one without our key speaks: the bond is as good as before. */
static void test_a_stranger_does_not_spoil_the_bond(void **unused)
{
	struct device d;
	int64_t now = START;

	(void)unused;
	device_init(&d, &BONDED);
	for (int i = 0; i < 3 * DEVICE_AUTH_MAX; i++) {
		(void)device_event(&d, DEVICE_ON_ADVERT, 0, now);
		(void)device_event(&d, DEVICE_ON_TURN, 0, now);
		(void)device_event(&d, DEVICE_ON_CONNECTED, CLEAR, now);
		(void)device_event(&d, DEVICE_ON_IN_CLEAR, 0, now);
		(void)device_event(&d, DEVICE_ON_END, DEVICE_END_AUTH, now);
		assert_int_equal(d.trouble, DEVICE_SPOOF_SUSPECT);
		(void)device_event(&d, DEVICE_ON_GONE, 0, now);
		now = d.not_before;
	}
}

/* Fails one attempt; returns how long after its end the next one may begin. */
static int64_t attempt(struct device *d, enum device_end end, int64_t *now)
{
	int64_t closed;

	if (d->state != DEVICE_QUEUED)
		(void)device_event(d, DEVICE_ON_ADVERT, 0, *now);
	assert_int_equal(d->state, DEVICE_QUEUED);
	(void)device_event(d, DEVICE_ON_TURN, 0, *now);
	(void)device_event(d, DEVICE_ON_END, end, *now);
	closed = *now;
	(void)device_event(d, DEVICE_ON_GONE, 0, *now);
	*now = d->not_before;
	return d->not_before - closed;
}

static void test_three_quick_attempts_then_back_off(void **unused)
{
	static const int64_t delays[] = { 250000,      250000,      250000,      SECOND,
					  2 * SECOND,  4 * SECOND,  8 * SECOND,  16 * SECOND,
					  32 * SECOND, 60 * SECOND, 60 * SECOND, 60 * SECOND };
	struct device d;
	int64_t now = START;

	(void)unused;
	device_init(&d, &BONDED);
	d.last_seen = now; /* one burst: it is heard all the time */
	d.state = DEVICE_SEEN;
	for (size_t i = 0; i < COUNT(delays); i++)
		assert_int_equal(attempt(&d, DEVICE_END_TRANSIENT, &now), delays[i]);
	assert_int_equal(d.trouble, DEVICE_FINE);
}

static void test_a_new_burst_has_quick_attempts_again(void **unused)
{
	struct device d;
	int64_t now = START;

	(void)unused;
	device_init(&d, &BONDED);
	for (size_t i = 0; i < 5; i++)
		(void)attempt(&d, DEVICE_END_TRANSIENT, &now);
	now += 60 * SECOND;
	(void)device_event(&d, DEVICE_ON_TIME, 0, now);
	assert_int_equal(d.state, DEVICE_KNOWN);
	assert_int_equal(attempt(&d, DEVICE_END_TRANSIENT, &now), 250000);
}

static void test_bond_is_suspect_after_three_refusals(void **unused)
{
	struct device d;
	int64_t now = START;

	(void)unused;
	device_init(&d, &BONDED);
	(void)attempt(&d, DEVICE_END_AUTH, &now);
	(void)attempt(&d, DEVICE_END_TRANSIENT, &now);
	(void)attempt(&d, DEVICE_END_AUTH, &now);
	assert_int_equal(d.trouble, DEVICE_FINE);
	(void)attempt(&d, DEVICE_END_AUTH, &now);
	assert_int_equal(d.trouble, DEVICE_BOND_SUSPECT);
	/* no cure by trying again, ever */
	for (size_t i = 0; i < 1000; i++) {
		now += SECOND;
		(void)device_event(&d, DEVICE_ON_ADVERT, 0, now);
		(void)device_event(&d, DEVICE_ON_TIME, 0, now);
		assert_int_equal(d.state, DEVICE_SEEN);
	}
	/* but by a person */
	assert_int_equal(device_event(&d, DEVICE_ON_TRIED_BY_OPERATOR, 0, now),
			 DEVICE_DO_QUEUE | DEVICE_DO_ALARM);
	assert_int_equal(d.state, DEVICE_QUEUED);
	assert_int_equal(d.trouble, DEVICE_FINE);
}

static void test_a_proved_key_clears_doubts(void **unused)
{
	struct device d;
	int64_t now = START;

	(void)unused;
	device_init(&d, &BONDED);
	(void)attempt(&d, DEVICE_END_AUTH, &now);
	(void)attempt(&d, DEVICE_END_AUTH, &now);
	(void)device_event(&d, DEVICE_ON_ADVERT, 0, now);
	(void)device_event(&d, DEVICE_ON_TURN, 0, now);
	(void)device_event(&d, DEVICE_ON_CONNECTED, CLEAR, now);
	(void)device_event(&d, DEVICE_ON_IN_CLEAR, 0, now);
	(void)device_event(&d, DEVICE_ON_END, DEVICE_END_PEER, now);
	assert_int_equal(d.trouble, DEVICE_SPOOF_SUSPECT);
	(void)device_event(&d, DEVICE_ON_GONE, 0, now);
	now = d.not_before;
	(void)device_event(&d, DEVICE_ON_ADVERT, 0, now);
	(void)device_event(&d, DEVICE_ON_TURN, 0, now);
	assert_int_equal(device_event(&d, DEVICE_ON_CONNECTED, ENCRYPTED, now),
			 DEVICE_DO_MTU | DEVICE_DO_ALARM);
	assert_int_equal(d.trouble, DEVICE_FINE);
	assert_int_equal(d.auth_failures, 0);
}

static void test_one_without_pairing_has_no_bond_to_suspect(void **unused)
{
	struct device d;
	int64_t now = START;

	(void)unused;
	device_init(&d, &OPEN);
	for (size_t i = 0; i < 5; i++)
		(void)attempt(&d, DEVICE_END_AUTH, &now);
	assert_int_equal(d.trouble, DEVICE_FINE);
}

/* What waits for its commit is not waited for longer than the peer's patience. */
static void test_commit_is_waited_for_less_than_30_seconds(void **unused)
{
	struct device d;
	int64_t now = reach(&d, &BONDED, DEVICE_DRAIN);

	(void)unused;
	(void)device_event(&d, DEVICE_ON_READING, DEVICE_LIFE_WAITS, now);
	assert_int_equal(device_deadline(&d), now + DEVICE_COMMIT_US);
	(void)device_event(&d, DEVICE_ON_READING, DEVICE_LIFE_WAITS, now + 20 * SECOND);
	assert_int_equal(device_deadline(&d), now + DEVICE_COMMIT_US);
	assert_int_equal(device_event(&d, DEVICE_ON_TIME, 0, now + DEVICE_COMMIT_US), CLOSE);
	assert_true(DEVICE_COMMIT_US < 30 * SECOND);
	assert_int_equal(d.delay, DEVICE_QUICK_US);
}

static void test_idle_links_end_streams_stay(void **unused)
{
	struct device d;
	int64_t now = reach(&d, &BONDED, DEVICE_LINGER);

	(void)unused;
	assert_int_equal(device_deadline(&d), now + DEVICE_LINGER_US);
	/* the answer to a question of ours after the last reading: no reason to stay for long */
	(void)device_event(&d, DEVICE_ON_READING, 0, now + SECOND);
	assert_int_equal(device_deadline(&d), now + SECOND + DEVICE_LINGER_US);
	now = reach(&d, &BONDED, DEVICE_DRAIN);
	for (size_t i = 0; i < 10000; i++) {
		(void)device_event(&d, DEVICE_ON_READING, DEVICE_LIFE_STREAM | DEVICE_LIFE_WAITS,
				   now);
		assert_int_equal(d.state, DEVICE_DRAIN);
		(void)device_event(&d, DEVICE_ON_COMMITTED, 0, now);
		assert_int_equal(d.state, DEVICE_LINGER);
		assert_int_equal(device_event(&d, DEVICE_ON_TIME, 0, now + 5 * SECOND), 0);
		now += 5 * SECOND;
	}
	/* the driver is done: nothing keeps it */
	(void)device_event(&d, DEVICE_ON_DONE, 0, now);
	(void)device_event(&d, DEVICE_ON_READING, DEVICE_LIFE_STREAM, now);
	assert_int_equal(device_deadline(&d), now + DEVICE_LEAVE_US);
}

static void test_only_what_advertises_after_a_link_is_linked_again(void **unused)
{
	struct device d;
	int64_t now = reach(&d, &BONDED, DEVICE_CLOSING);

	(void)unused;
	(void)device_event(&d, DEVICE_ON_GONE, 0, now);
	assert_int_equal(d.state, DEVICE_SEEN);
	/* it sleeps: its last advertisement is from before the link */
	assert_int_equal(device_event(&d, DEVICE_ON_TIME, 0, now + DEVICE_REST_US), 0);
	assert_int_equal(device_event(&d, DEVICE_ON_TRIED_BY_OPERATOR, 0, now), 0);
	assert_int_equal(d.state, DEVICE_SEEN);
	assert_int_equal(device_deadline(&d), now + DEVICE_SEEN_US);
	now += DEVICE_SEEN_US;
	assert_int_equal(device_event(&d, DEVICE_ON_TIME, 0, now), 0);
	assert_int_equal(d.state, DEVICE_KNOWN);
	/* it does not: one in the rest counts when the rest is over */
	now = reach(&d, &BONDED, DEVICE_CLOSING);
	(void)device_event(&d, DEVICE_ON_GONE, 0, now);
	(void)device_event(&d, DEVICE_ON_ADVERT, 0, now + 1);
	assert_int_equal(d.state, DEVICE_SEEN);
	assert_int_equal(device_event(&d, DEVICE_ON_TIME, 0, now + DEVICE_REST_US), QUEUE);
	assert_int_equal(d.state, DEVICE_QUEUED);
}

static void test_links_without_readings_become_rare_within_a_burst(void **unused)
{
	static const int64_t rests[] = { 5, 10, 20, 40, 60, 60 };
	struct device d;
	int64_t now = reach(&d, &BONDED, DEVICE_DRAIN);

	(void)unused;
	for (size_t i = 0; i < COUNT(rests); i++) {
		(void)device_event(&d, DEVICE_ON_END, DEVICE_END_PEER, now);
		(void)device_event(&d, DEVICE_ON_ADVERT, 0, now);
		(void)device_event(&d, DEVICE_ON_GONE, 0, now);
		assert_int_equal(d.not_before - now, rests[i] * SECOND);
		/* heard all the time */
		while (d.state == DEVICE_SEEN) {
			now += SECOND;
			(void)device_event(&d, DEVICE_ON_ADVERT, 0, now);
		}
		for (size_t k = 1; k < COUNT(WAY); k++)
			(void)device_event(&d, WAY[k].event, WAY[k].argument, now);
		assert_int_equal(d.state, DEVICE_DRAIN);
	}
}

/* A setup that makes a little progress all the time ends all the same. */
static void test_setup_has_an_end(void **unused)
{
	struct device d;
	int64_t now = reach(&d, &BONDED, DEVICE_VERIFY);
	const int64_t began = now;

	(void)unused;
	while (d.state == DEVICE_VERIFY) {
		now += SECOND;
		(void)device_event(&d, DEVICE_ON_READING, 0, now);
		(void)device_event(&d, DEVICE_ON_TIME, 0, now);
	}
	assert_int_equal(d.state, DEVICE_CLOSING);
	assert_true(now - began <= DEVICE_SETUP_US);
}

static void test_adopted_link_drains(void **unused)
{
	struct device d;

	(void)unused;
	device_init(&d, &BONDED);
	device_adopt(&d, ENCRYPTED, START);
	assert_int_equal(d.state, DEVICE_DRAIN);
	assert_true(device_holds_slot(&d));
	assert_int_equal(device_deadline(&d), START + DEVICE_PATIENCE_US);
}

/* ---- any events in any order ---- */

static uint32_t next_random(uint32_t *seed)
{
	*seed = *seed * 1664525 + 1013904223;
	return *seed >> 8;
}

/* what must hold whatever happened */
static void check(const struct device *d, enum device_state before, unsigned int actions,
		  int64_t now)
{
	const bool held = before >= DEVICE_LINKING && before <= DEVICE_CLOSING;
	const bool linked = before >= DEVICE_LINKING && before <= DEVICE_LINGER;

	assert_true(d->state < DEVICE_STATE_END && d->trouble < DEVICE_TROUBLE_END);
	if (d->state == DEVICE_KNOWN)
		assert_int_equal(device_deadline(d), INT64_MAX);
	else
		assert_true(device_deadline(d) <= now + 60 * SECOND);
	/* a slot is taken by the connection and given back once */
	assert_int_equal(!held && device_holds_slot(d), (actions & DEVICE_DO_CONNECT) != 0);
	if (held && !device_holds_slot(d))
		assert_true(actions & RELEASE);
	/* a link is closed exactly when it is left */
	assert_int_equal(linked && (d->state < DEVICE_LINKING || d->state == DEVICE_CLOSING),
			 (actions & CLOSE) != 0);
	/* data only at the level */
	if (d->state >= DEVICE_VERIFY && d->state <= DEVICE_LINGER)
		assert_true(d->level >= d->config.level);
	if (actions & (DEVICE_DO_OPEN | DEVICE_DO_ARM))
		assert_true(d->level >= d->config.level);
	if (d->config.broadcast || (d->trouble == DEVICE_BOND_SUSPECT && before <= DEVICE_SEEN))
		assert_true(d->state <= DEVICE_SEEN);
}

static void test_any_events_keep_the_rules(void **unused)
{
	static const struct device_config *const configs[] = { &OPEN, &BONDED, &LATE, &BROADCAST };

	(void)unused;
	for (uint32_t seed = 1; seed <= 400; seed++) {
		uint32_t random = seed;
		int64_t now = START;
		struct device d;

		device_init(&d, configs[seed % COUNT(configs)]);
		for (size_t i = 0; i < 1000; i++) {
			const enum device_state before = d.state;
			const enum device_event event = next_random(&random) % DEVICE_EVENT_END;
			const bool at_deadline = event == DEVICE_ON_TIME &&
						 device_deadline(&d) != INT64_MAX &&
						 device_deadline(&d) > now;

			now = at_deadline ? device_deadline(&d)
					  : now + next_random(&random) % 300000;
			check(&d, before, device_event(&d, event, next_random(&random) % 6, now),
			      now);
		}
	}
}

/* Whatever state it is in: when nothing happens, its deadlines bring it home. */
static void test_silence_leads_home(void **unused)
{
	(void)unused;
	for (enum device_state s = DEVICE_KNOWN; s < DEVICE_STATE_END; s++) {
		struct device d;
		int64_t now = reach(&d, &BONDED, s);
		size_t steps = 0;

		while (d.state != DEVICE_KNOWN) {
			assert_true(++steps < 10);
			assert_true(device_deadline(&d) >= now);
			now = device_deadline(&d);
			(void)device_event(&d, DEVICE_ON_TIME, 0, now);
		}
		assert_true(now - START < 90 * SECOND);
	}
}

static void test_names(void **unused)
{
	(void)unused;
	for (enum device_state s = 0; s < DEVICE_STATE_END; s++)
		assert_non_null(device_state_name(s));
	for (enum device_event e = 0; e < DEVICE_EVENT_END; e++)
		assert_non_null(device_event_name(e));
	assert_string_equal(device_state_name(DEVICE_CLOSING), "closing");
	assert_string_equal(device_event_name(DEVICE_ON_TRIED_BY_OPERATOR), "operator");
	assert_string_equal(device_trouble_name(DEVICE_CONSENT_NEEDED), "consent_needed");
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_transitions),
		cmocka_unit_test(test_events_out_of_place_change_nothing),
		cmocka_unit_test(test_security_is_raised_late),
		cmocka_unit_test(test_who_spoke_in_clear),
		cmocka_unit_test(test_turns),
		cmocka_unit_test(test_a_stranger_does_not_spoil_the_bond),
		cmocka_unit_test(test_three_quick_attempts_then_back_off),
		cmocka_unit_test(test_a_new_burst_has_quick_attempts_again),
		cmocka_unit_test(test_bond_is_suspect_after_three_refusals),
		cmocka_unit_test(test_a_proved_key_clears_doubts),
		cmocka_unit_test(test_one_without_pairing_has_no_bond_to_suspect),
		cmocka_unit_test(test_commit_is_waited_for_less_than_30_seconds),
		cmocka_unit_test(test_idle_links_end_streams_stay),
		cmocka_unit_test(test_only_what_advertises_after_a_link_is_linked_again),
		cmocka_unit_test(test_links_without_readings_become_rare_within_a_burst),
		cmocka_unit_test(test_setup_has_an_end),
		cmocka_unit_test(test_adopted_link_drains),
		cmocka_unit_test(test_any_events_keep_the_rules),
		cmocka_unit_test(test_silence_leads_home),
		cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
