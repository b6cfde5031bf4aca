/* Which readings count towards which goal. */
#include <errno.h>
#include <string.h>

#include "drivers/measurement.h"
#include "gateway/goals/book.h"

enum {
	AGREES_MS = 15 * 60 * 1000,
	EXPONENT_MAX = DECIMAL_EXPONENT_MAX,
};
#define LATE_MS (INT64_C(86400000) * GOAL_LATE_DAYS)

/* Flags that speak against nothing a goal asks for: it counts what was done, judging no value. */
#define FLAGS_HARMLESS                                                                         \
	(FLAG_BIT(FLAG_MOVEMENT) | FLAG_BIT(FLAG_CUFF_FIT) | FLAG_BIT(FLAG_IRREGULAR_PULSE) |  \
	 FLAG_BIT(FLAG_BODY_POSITION) | FLAG_BIT(FLAG_PULSE_ABOVE_RANGE) |                     \
	 FLAG_BIT(FLAG_PULSE_BELOW_RANGE) | FLAG_BIT(FLAG_SOFT_RANGE) |                        \
	 FLAG_BIT(FLAG_UNIT_CONVERTED) | FLAG_BIT(FLAG_TIME_CORRECTED) | FLAG_BIT(FLAG_LATE) | \
	 FLAG_BIT(FLAG_BACKFILL) | FLAG_BIT(FLAG_MANUAL) | FLAG_BIT(FLAG_LOW_BATTERY) |        \
	 FLAG_BIT(FLAG_CLOCK_NOT_SET))

static bool time_is_good(const Wellgate__V1__Reading *r)
{
	int64_t age;

	if (!r->has_measured_at_ms || !r->has_received_at_ms)
		return false;
	if (__builtin_sub_overflow(r->received_at_ms, r->measured_at_ms, &age) || age > LATE_MS)
		return false;
	/* an unknown quality from a later version cannot be judged: it does not count */
	switch (r->clock) {
	case WELLGATE__V1__CLOCK_QUALITY__CLOCK_HUB_SYNCED:
	case WELLGATE__V1__CLOCK_QUALITY__CLOCK_DEVICE_CORRECTED:
	case WELLGATE__V1__CLOCK_QUALITY__CLOCK_DEVICE_TRUSTED:
		return true;
	case WELLGATE__V1__CLOCK_QUALITY__CLOCK_DEVICE_UNVERIFIED:
		return age >= -AGREES_MS && age <= AGREES_MS;
	case WELLGATE__V1__CLOCK_QUALITY__CLOCK_RECEIPT_UNSYNCED:
	case WELLGATE__V1__CLOCK_QUALITY__CLOCK_UNKNOWN:
	case WELLGATE__V1__CLOCK_QUALITY__CLOCK_UNSPECIFIED:
	case _WELLGATE__V1__CLOCK_QUALITY_IS_INT_SIZE:
	default:
		return false;
	}
}

static bool is_attributed(const Wellgate__V1__Reading *r)
{
	return r->subject && *r->subject && r->attribution &&
	       r->attribution->confidence >= WELLGATE__V1__CONFIDENCE__CONFIDENCE_ASSIGNED;
}

static bool flags_are_good(const struct goal_book *b, const Wellgate__V1__Reading *r)
{
	uint64_t harmless = FLAGS_HARMLESS | (b->test ? FLAG_BIT(FLAG_TEST) : 0);

	for (size_t i = 0; i < r->n_flags; i++) {
		unsigned int flag = (unsigned int)r->flags[i];

		if (flag >= FLAG_END || !(harmless & FLAG_BIT(flag)))
			return false;
	}
	return true;
}

/* the component that the goal is about; for a panel any number will do */
const Wellgate__V1__Component *goal_component_of(const struct goal *goal,
						 const Wellgate__V1__Reading *r)
{
	const bool panel = (unsigned int)r->metric == (unsigned int)goal->metric;
	const unsigned int metric = goal->rule == GOAL_RANGE_MEAN ? (unsigned int)METRIC_SYSTOLIC
								  : (unsigned int)goal->metric;

	for (size_t i = 0; i < r->n_components; i++) {
		const Wellgate__V1__Component *c = r->components[i];

		if (!c->value || c->value->exponent < -EXPONENT_MAX ||
		    c->value->exponent > EXPONENT_MAX)
			continue;
		if ((unsigned int)c->metric == metric ||
		    (panel && goal->rule == GOAL_MEASURE_REGULARLY))
			return c;
	}
	return NULL;
}

/* A course averages values: more speaks against one than against counting it (home_bp.c). */
static bool is_good_for_course(const Wellgate__V1__Reading *r)
{
	const uint64_t against = FLAG_BIT(FLAG_MOVEMENT) | FLAG_BIT(FLAG_CUFF_FIT) |
				 FLAG_BIT(FLAG_IRREGULAR_PULSE) | FLAG_BIT(FLAG_BODY_POSITION) |
				 FLAG_BIT(FLAG_PULSE_ABOVE_RANGE) |
				 FLAG_BIT(FLAG_PULSE_BELOW_RANGE);

	for (size_t i = 0; i < r->n_flags; i++) {
		if (against & FLAG_BIT((unsigned int)r->flags[i]))
			return false;
	}
	return r->metric == WELLGATE__V1__METRIC__METRIC_BLOOD_PRESSURE;
}

bool goal_is_in_time(const struct goal *goal, const struct zone *zone,
		     const Wellgate__V1__Reading *r)
{
	/* the last instant: a night belongs to the day of waking, and what ends at midnight to the
	 * day before */
	const int64_t more = r->has_duration_ms && r->duration_ms > 0 ? r->duration_ms - 1 : 0;
	int64_t last_ms;

	if (goal->ends_on == 0)
		return true;
	if (__builtin_add_overflow(r->measured_at_ms, more, &last_ms) ||
	    last_ms >= zone_day_start(zone, goal->ends_on) * 1000)
		return false;
	return goal->period != GOAL_COURSE ||
	       r->measured_at_ms >= zone_day_start(zone, goal->starts_on) * 1000;
}

static bool counts_towards(const struct goal_book *b, size_t i, const Wellgate__V1__Reading *r)
{
	const struct goal *goal = &b->goals[i];

	if (goal->subject[0] && strcmp(goal->subject, r->subject) != 0)
		return false;
	if (goal->rule == GOAL_RANGE_MEAN && !is_good_for_course(r))
		return false;
	return goal_is_in_time(goal, b->chapters[i].zone, r) && goal_component_of(goal, r) != NULL;
}

int goal_book_tag(const struct goal_book *b, Wellgate__V1__Reading *reading, struct arena *arena)
{
	char **list;
	size_t n = 0;

	reading->goals = NULL;
	reading->n_goals = 0;
	if (!is_attributed(reading) || !time_is_good(reading) || !flags_are_good(b, reading))
		return 0;
	list = arena_alloc(arena, (b->n ? b->n : 1) * sizeof(*list));
	if (!list)
		return -ENOMEM;
	for (size_t i = 0; i < b->n; i++) {
		if (!counts_towards(b, i, reading))
			continue;
		list[n] = arena_strdup(arena, b->goals[i].id);
		if (!list[n])
			return -ENOMEM;
		n++;
	}
	reading->goals = list;
	reading->n_goals = n;
	return 0;
}
