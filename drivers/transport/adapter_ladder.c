#include "drivers/transport/adapter_ladder.h"

#include <assert.h>

#define POWER_US  INT64_C(5000000)
#define MINUTE_US INT64_C(60000000)

/* What a cell of the table does. */
enum move {
	STAY,
	FACTS,   /* to the state that the facts say */
	PROBE,   /* a probe, without a change of state: silence is normal in a quiet home */
	SUSPECT, /* probe again, in public */
	CLIMB,   /* the first rung */
	CYCLE,   /* the power rung: 6.1 blocks every LE connection after one that failed */
	DROP,    /* power was refused: rest in OFF */
	NEXT,    /* one rung up, or FAILED */
	WELL     /* READY, if the facts agree */
};

/* clang-format off */
#define _ STAY
#define F FACTS
#define D SUSPECT
#define C CLIMB
#define Y CYCLE
#define N NEXT
#define W WELL
static const uint8_t moves[LADDER_STATE_END][LADDER_EVENT_END] = {
	/* the columns are the events: bus up, down, daemon up, down, found, gone | block, unblock,
	 * powered, unpowered | silent, doubt, connects | proved, unproved, skipped, timeout */
	[LADDER_NO_BUS]    = { F, _, F, _, _, _,   _, _, _, _,   _,     _, _,   _, _,    _, _ },
	[LADDER_NO_DAEMON] = { F, F, F, _, F, _,   _, _, _, _,   _,     _, _,   _, _,    _, _ },
	[LADDER_ABSENT]    = { F, F, F, F, F, _,   _, _, _, _,   _,     C, _,   _, _,    _, _ },
	[LADDER_BLOCKED]   = { F, F, F, F, F, F,   _, F, F, _,   _,     _, _,   _, _,    _, _ },
	[LADDER_OFF]       = { F, F, F, F, F, F,   F, _, F, _,   _,     _, _,   _, _,    _, Y },
	[LADDER_POWERING]  = { F, F, F, F, F, F,   F, _, F, _,   _,     _, _,   _, DROP, _, Y },
	[LADDER_READY]     = { F, F, F, F, F, F,   F, _, _, F,   PROBE, D, Y,   _, D,    _, _ },
	[LADDER_SUSPECT]   = { F, F, F, F, F, F,   F, _, _, F,   _,     _, Y,   W, C,    _, C },
	[LADDER_RESET1]    = { F, F, F, F, F, F,   F, _, _, F,   _,     _, _,   W, N,    N, N },
	[LADDER_RESET2]    = { F, F, F, F, _, F,   F, _, _, _,   _,     _, _,   W, N,    N, N },
	[LADDER_RESET3]    = { F, F, F, F, _, _,   _, _, _, _,   _,     _, _,   W, N,    N, N },
	[LADDER_RESET4]    = { F, F, _, _, _, _,   F, _, _, _,   _,     _, _,   W, N,    N, N },
	[LADDER_RESET5]    = { F, F, F, F, _, _,   F, _, _, _,   _,     _, _,   W, N,    N, N },
	[LADDER_FAILED]    = { F, F, F, F, F, F,   F, _, _, _,   _,     _, _,   W, _,    _, C },
};
#undef _
#undef F
#undef D
#undef C
#undef Y
#undef N
#undef W
/* clang-format on */

static const unsigned int backoff_min[] = { 1, 5, 15, 60 };

static int64_t backoff(unsigned int tries)
{
	const unsigned int last = sizeof(backoff_min) / sizeof(backoff_min[0]) - 1;

	return backoff_min[tries < last ? tries : last] * MINUTE_US;
}

void ladder_init(struct ladder *l, int64_t rung_us)
{
	*l = (struct ladder){ .state = LADDER_NO_BUS, .rung_us = rung_us };
}

unsigned int ladder_rung(const struct ladder *l)
{
	if (l->state < LADDER_RESET1 || l->state > LADDER_RESET5)
		return 0;
	return (unsigned int)l->state - LADDER_RESET1 + 1;
}

enum adapter_state ladder_public(enum ladder_state state)
{
	static const enum adapter_state states[LADDER_STATE_END] = {
		[LADDER_NO_BUS] = ADAPTER_NO_BUS, [LADDER_NO_DAEMON] = ADAPTER_NO_DAEMON,
		[LADDER_ABSENT] = ADAPTER_ABSENT, [LADDER_BLOCKED] = ADAPTER_BLOCKED,
		[LADDER_OFF] = ADAPTER_OFF,       [LADDER_POWERING] = ADAPTER_POWERING,
		[LADDER_READY] = ADAPTER_READY,   [LADDER_SUSPECT] = ADAPTER_SUSPECT,
		[LADDER_RESET1] = ADAPTER_RESET,  [LADDER_RESET2] = ADAPTER_RESET,
		[LADDER_RESET3] = ADAPTER_RESET,  [LADDER_RESET4] = ADAPTER_RESET,
		[LADDER_RESET5] = ADAPTER_RESET,  [LADDER_FAILED] = ADAPTER_FAILED,
	};

	assert(state < LADDER_STATE_END);
	return states[state];
}

static void learn(struct ladder *l, enum ladder_event event)
{
	const bool yes = event == LADDER_BUS_UP || event == LADDER_DAEMON_UP ||
			 event == LADDER_FOUND || event == LADDER_BLOCK || event == LADDER_POWERED;

	if (event <= LADDER_BUS_DOWN)
		l->facts.bus = yes;
	if (event <= LADDER_DAEMON_DOWN)
		l->facts.daemon = yes && event == LADDER_DAEMON_UP;
	if (event <= LADDER_GONE)
		l->facts.present = yes && event == LADDER_FOUND;
	if (event == LADDER_BLOCK || event == LADDER_UNBLOCK)
		l->facts.blocked = yes;
	else if (event <= LADDER_GONE)
		l->facts.blocked = false;
	if (event == LADDER_POWERED)
		l->facts.blocked = false;
	if (event == LADDER_POWERED || event == LADDER_UNPOWERED)
		l->facts.powered = yes;
	else if (event <= LADDER_BLOCK)
		l->facts.powered = false;
}

static enum ladder_state by_facts(const struct ladder *l)
{
	if (!l->facts.bus)
		return LADDER_NO_BUS;
	if (!l->facts.daemon)
		return LADDER_NO_DAEMON;
	if (!l->facts.present)
		return LADDER_ABSENT;
	if (l->facts.blocked)
		return LADDER_BLOCKED;
	return l->facts.powered ? LADDER_READY : LADDER_POWERING;
}

static void is_well(struct ladder *l, int64_t now)
{
	if (l->troubled && l->resets > l->resets_before) {
		l->recoveries++;
		l->last_recovery_us = now - l->trouble_since;
	}
	l->troubled = false;
	l->climbs = 0;
}

static void in_trouble(struct ladder *l, int64_t now)
{
	if (l->troubled)
		return;
	l->troubled = true;
	l->trouble_since = now;
	l->resets_before = l->resets;
}

/* The deadline and the action that belong to a state that is entered now. */
static enum ladder_action enter(struct ladder *l, enum ladder_state state, int64_t now)
{
	l->state = state;
	l->deadline = 0;
	switch (ladder_public(state)) {
	case ADAPTER_OFF:
		l->deadline = now + POWER_US;
		return LADDER_DO_NOTHING;
	case ADAPTER_POWERING:
		l->deadline = now + POWER_US;
		return LADDER_DO_POWER;
	case ADAPTER_READY:
		is_well(l, now);
		return LADDER_DO_NOTHING;
	case ADAPTER_SUSPECT:
		in_trouble(l, now);
		l->deadline = now + l->rung_us;
		return LADDER_DO_PROBE;
	case ADAPTER_RESET:
		in_trouble(l, now);
		l->resets++;
		l->deadline = now + l->rung_us;
		return LADDER_DO_RUNG;
	case ADAPTER_FAILED:
		l->deadline = now + backoff(l->climbs++);
		return LADDER_DO_NOTHING;
	case ADAPTER_NO_BUS:
	case ADAPTER_NO_DAEMON:
	case ADAPTER_ABSENT:
	case ADAPTER_BLOCKED:
	case ADAPTER_STATE_END:
		break;
	}
	return LADDER_DO_NOTHING;
}

/* Peers that are merely out of reach look the same: the radio is not cycled for them for ever. */
static enum ladder_action cycle(struct ladder *l, enum ladder_event event, int64_t now)
{
	if (event == LADDER_CONNECTS) {
		if (now < l->connects_rest_to)
			return LADDER_DO_NOTHING;
		l->connects_rest_to = now + backoff(l->connects++);
	}
	return enter(l, LADDER_RESET2, now);
}

static enum ladder_action next(struct ladder *l, enum ladder_event event, int64_t now)
{
	if (event == LADDER_SKIPPED)
		l->resets--;
	return enter(l, l->state == LADDER_RESET5 ? LADDER_FAILED : l->state + 1, now);
}

enum ladder_action ladder_event(struct ladder *l, enum ladder_event event, int64_t now)
{
	assert(l->state < LADDER_STATE_END && event < LADDER_EVENT_END);
	learn(l, event);
	switch ((enum move)moves[l->state][event]) {
	case STAY:
		break;
	case FACTS:
		return enter(l, by_facts(l), now);
	case PROBE:
		return LADDER_DO_PROBE;
	case SUSPECT:
		return enter(l, LADDER_SUSPECT, now);
	case CLIMB:
		return enter(l, LADDER_RESET1, now);
	case CYCLE:
		return cycle(l, event, now);
	case DROP:
		return enter(l, LADDER_OFF, now);
	case NEXT:
		return next(l, event, now);
	case WELL:
		return enter(l, by_facts(l), now);
	}
	return LADDER_DO_NOTHING;
}

void ladder_works(struct ladder *l)
{
	l->connects = 0;
	l->connects_rest_to = 0;
}
