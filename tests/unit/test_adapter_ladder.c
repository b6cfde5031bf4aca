/* links: transports */
/* The adapter's state machine: every cell of its table, and whole climbs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "drivers/transport/adapter_ladder.h"

#define SECOND INT64_C(1000000)
#define MINUTE (60 * SECOND)

static const char *const state_names[LADDER_STATE_END] = {
	"NO_BUS",  "NO_DAEMON", "ABSENT", "BLOCKED", "OFF",    "POWERING", "READY",
	"SUSPECT", "RESET1",    "RESET2", "RESET3",  "RESET4", "RESET5",   "FAILED",
};

/* Rows of single letters, to be checked against the drawing: - stays, f facts, p probes in place,
 * s SUSPECT, 1 RESET1, 2 RESET2, o OFF, n one rung up, w well */
/* clang-format off */
static const char *const drawing[LADDER_STATE_END] = {
	/*                   BbDdFG XxPp Sdc yntT */
	[LADDER_NO_BUS] =    "f-f--- ---- --- ----",
	[LADDER_NO_DAEMON] = "fff-f- ---- --- ----",
	[LADDER_ABSENT] =    "fffff- ---- -1- ----",
	[LADDER_BLOCKED] =   "ffffff -ff- --- ----",
	[LADDER_OFF] =       "ffffff f-f- --- ---2",
	[LADDER_POWERING] =  "ffffff f-f- --- -o-2",
	[LADDER_READY] =     "ffffff f--f ps2 -s--",
	[LADDER_SUSPECT] =   "ffffff f--f --2 w1-1",
	[LADDER_RESET1] =    "ffffff f--f --- wnnn",
	[LADDER_RESET2] =    "ffff-f f--- --- wnnn",
	[LADDER_RESET3] =    "ffff-- ---- --- wnnn",
	[LADDER_RESET4] =    "ff---- f--- --- wnnn",
	[LADDER_RESET5] =    "ffff-- f--- --- wnnn",
	[LADDER_FAILED] =    "ffffff f--- --- w--1",
};
/* clang-format on */

static char letter_of(enum ladder_state state, enum ladder_event event)
{
	size_t column = 0;

	for (const char *p = drawing[state]; *p; p++) {
		if (*p == ' ')
			continue;
		if (column++ == (size_t)event)
			return *p;
	}
	fail_msg("the drawing lacks a column");
	return 0;
}

/* A machine in this state, with the facts that belong to it. */
static struct ladder in_state(enum ladder_state state)
{
	struct ladder l;

	ladder_init(&l, 10 * SECOND);
	l.state = state;
	l.facts.bus = state > LADDER_NO_BUS;
	l.facts.daemon = state > LADDER_NO_DAEMON;
	l.facts.present = state > LADDER_ABSENT;
	l.facts.blocked = state == LADDER_BLOCKED;
	l.facts.powered = state >= LADDER_READY;
	return l;
}

/* by the facts after the event, worked out here in another way than the code does */
static enum ladder_state expected_by_facts(enum ladder_state from, enum ladder_event event)
{
	switch (event) {
	case LADDER_BUS_DOWN:
		return LADDER_NO_BUS;
	case LADDER_BUS_UP:
	case LADDER_DAEMON_DOWN:
		return from == LADDER_NO_BUS && event == LADDER_DAEMON_DOWN ? LADDER_NO_BUS
									    : LADDER_NO_DAEMON;
	case LADDER_DAEMON_UP:
		return from == LADDER_NO_BUS ? LADDER_NO_BUS : LADDER_ABSENT;
	case LADDER_GONE:
		return LADDER_ABSENT;
	case LADDER_FOUND:
		return from == LADDER_NO_DAEMON ? LADDER_NO_DAEMON : LADDER_POWERING;
	case LADDER_BLOCK:
		return LADDER_BLOCKED;
	case LADDER_UNBLOCK:
	case LADDER_UNPOWERED:
		return LADDER_POWERING;
	case LADDER_POWERED:
	case LADDER_PROVED:
		return LADDER_READY;
	case LADDER_SILENT:
	case LADDER_DOUBT:
	case LADDER_CONNECTS:
	case LADDER_UNPROVED:
	case LADDER_SKIPPED:
	case LADDER_TIMEOUT:
	case LADDER_EVENT_END:
		break;
	}
	fail_msg("no fact in this event");
	return LADDER_STATE_END;
}

static enum ladder_state expected_state(enum ladder_state from, enum ladder_event event)
{
	switch (letter_of(from, event)) {
	case '-':
	case 'p':
		return from;
	case 'f':
	case 'w':
		return expected_by_facts(from, event);
	case 's':
		return LADDER_SUSPECT;
	case '1':
		return LADDER_RESET1;
	case '2':
		return LADDER_RESET2;
	case 'o':
		return LADDER_OFF;
	case 'n':
		return from + 1;
	default:
		fail_msg("an unknown letter");
		return LADDER_STATE_END;
	}
}

static enum ladder_action expected_action(char letter, enum ladder_state to)
{
	if (letter == '-')
		return LADDER_DO_NOTHING;
	if (letter == 'p' || to == LADDER_SUSPECT)
		return LADDER_DO_PROBE;
	if (to == LADDER_POWERING)
		return LADDER_DO_POWER;
	return to >= LADDER_RESET1 && to <= LADDER_RESET5 ? LADDER_DO_RUNG : LADDER_DO_NOTHING;
}

static void every_cell(void **arg)
{
	(void)arg;
	for (unsigned int s = 0; s < LADDER_STATE_END; s++) {
		for (unsigned int e = 0; e < LADDER_EVENT_END; e++) {
			struct ladder l = in_state(s);
			const enum ladder_action action = ladder_event(&l, e, MINUTE);
			const enum ladder_state want = expected_state(s, e);

			if (l.state != want)
				fail_msg("%s, event %u: %s, not %s", state_names[s], e,
					 state_names[l.state], state_names[want]);
			if (action != expected_action(letter_of(s, e), want))
				fail_msg("%s, event %u: action %d", state_names[s], e, (int)action);
		}
	}
}

static void a_timed_state_has_a_deadline(void **arg)
{
	static const struct {
		enum ladder_state from;
		enum ladder_event event;
		enum ladder_state to;
		int64_t after;
	} rows[] = {
		{ LADDER_ABSENT, LADDER_FOUND, LADDER_POWERING, 5 * SECOND },
		{ LADDER_POWERING, LADDER_UNPROVED, LADDER_OFF, 5 * SECOND },
		{ LADDER_READY, LADDER_DOUBT, LADDER_SUSPECT, 10 * SECOND },
		{ LADDER_SUSPECT, LADDER_TIMEOUT, LADDER_RESET1, 10 * SECOND },
		{ LADDER_RESET1, LADDER_UNPROVED, LADDER_RESET2, 10 * SECOND },
		{ LADDER_RESET5, LADDER_UNPROVED, LADDER_FAILED, 60 * SECOND },
		{ LADDER_RESET5, LADDER_PROVED, LADDER_READY, -1 },
		{ LADDER_READY, LADDER_GONE, LADDER_ABSENT, -1 },
	};

	(void)arg;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct ladder l = in_state(rows[i].from);

		(void)ladder_event(&l, rows[i].event, MINUTE);
		assert_int_equal(l.state, rows[i].to);
		assert_int_equal(l.deadline, rows[i].after < 0 ? 0 : MINUTE + rows[i].after);
	}
}

static void the_ladder_to_its_end_and_again(void **arg)
{
	static const int64_t rests[] = { 1, 5, 15, 60, 60 };
	struct ladder l = in_state(LADDER_READY);
	int64_t now = SECOND;

	(void)arg;
	assert_int_equal(ladder_event(&l, LADDER_DOUBT, now), LADDER_DO_PROBE);
	for (size_t i = 0; i < sizeof(rests) / sizeof(rests[0]); i++) {
		for (unsigned int rung = 1; rung <= 5; rung++) {
			now = l.deadline;
			assert_int_equal(ladder_event(&l, LADDER_TIMEOUT, now), LADDER_DO_RUNG);
			assert_int_equal(ladder_rung(&l), rung);
			assert_int_equal(ladder_public(l.state), ADAPTER_RESET);
		}
		now = l.deadline;
		assert_int_equal(ladder_event(&l, LADDER_TIMEOUT, now), LADDER_DO_NOTHING);
		assert_int_equal(l.state, LADDER_FAILED);
		assert_int_equal(l.deadline - now, rests[i] * MINUTE);
	}
	assert_int_equal(l.resets, 25);
	/* the last rest is over, and the first rung cures it */
	now = l.deadline;
	(void)ladder_event(&l, LADDER_TIMEOUT, now);
	now += SECOND;
	(void)ladder_event(&l, LADDER_PROVED, now);
	assert_int_equal(l.state, LADDER_READY);
	assert_int_equal(l.recoveries, 1);
	assert_int_equal(l.last_recovery_us, now - SECOND);
	/* and the next trouble rests from the beginning */
	assert_int_equal(l.climbs, 0);
}

static void a_probe_that_succeeds_is_no_recovery(void **arg)
{
	struct ladder l = in_state(LADDER_READY);

	(void)arg;
	(void)ladder_event(&l, LADDER_DOUBT, SECOND);
	(void)ladder_event(&l, LADDER_PROVED, 2 * SECOND);
	assert_int_equal(l.state, LADDER_READY);
	assert_int_equal(l.recoveries, 0);
	assert_int_equal(l.resets, 0);
}

static void rungs_that_are_not_possible_are_not_counted(void **arg)
{
	struct ladder l = in_state(LADDER_RESET2);

	(void)arg;
	l.resets = 2;
	(void)ladder_event(&l, LADDER_UNPROVED, SECOND); /* to 3 */
	(void)ladder_event(&l, LADDER_SKIPPED, SECOND);  /* to 4 */
	(void)ladder_event(&l, LADDER_SKIPPED, SECOND);  /* to 5 */
	(void)ladder_event(&l, LADDER_SKIPPED, SECOND);
	assert_int_equal(l.state, LADDER_FAILED);
	assert_int_equal(l.resets, 2);
}

/* Two peers out of reach look like a blocked controller: the radio is not cycled for ever. */
static void connects_are_cycled_less_and_less(void **arg)
{
	struct ladder l = in_state(LADDER_READY);
	int64_t now = SECOND;

	(void)arg;
	assert_int_equal(ladder_event(&l, LADDER_CONNECTS, now), LADDER_DO_RUNG);
	assert_int_equal(l.state, LADDER_RESET2);
	(void)ladder_event(&l, LADDER_PROVED, now);
	assert_int_equal(ladder_event(&l, LADDER_CONNECTS, now + MINUTE - 1), LADDER_DO_NOTHING);
	assert_int_equal(l.state, LADDER_READY);
	now += MINUTE;
	assert_int_equal(ladder_event(&l, LADDER_CONNECTS, now), LADDER_DO_RUNG);
	(void)ladder_event(&l, LADDER_PROVED, now);
	assert_int_equal(ladder_event(&l, LADDER_CONNECTS, now + 5 * MINUTE - 1),
			 LADDER_DO_NOTHING);
	/* one that works, and the next is believed at once */
	ladder_works(&l);
	assert_int_equal(ladder_event(&l, LADDER_CONNECTS, now + SECOND), LADDER_DO_RUNG);
	assert_int_equal(l.connects, 1);
}

static void facts_are_kept_through_a_rung(void **arg)
{
	struct ladder l = in_state(LADDER_RESET4);

	(void)arg;
	(void)ladder_event(&l, LADDER_DAEMON_DOWN, SECOND);
	(void)ladder_event(&l, LADDER_DAEMON_UP, SECOND);
	assert_false(l.facts.present);
	(void)ladder_event(&l, LADDER_FOUND, SECOND);
	assert_true(l.facts.present);
	assert_false(l.facts.powered);
	(void)ladder_event(&l, LADDER_POWERED, SECOND);
	(void)ladder_event(&l, LADDER_PROVED, 2 * SECOND);
	assert_int_equal(l.state, LADDER_READY);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_cell),
		cmocka_unit_test(a_timed_state_has_a_deadline),
		cmocka_unit_test(the_ladder_to_its_end_and_again),
		cmocka_unit_test(a_probe_that_succeeds_is_no_recovery),
		cmocka_unit_test(rungs_that_are_not_possible_are_not_counted),
		cmocka_unit_test(connects_are_cycled_less_and_less),
		cmocka_unit_test(facts_are_kept_through_a_rung),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
