/*
 * The blood-pressure course at home, as NICE describes it (NG136; domain.md 2.3): two measurements
 * one after the other, morning and evening, on four days or more; the first day is left out; all
 * that remains is averaged.
 *
 * REGULATORY LINE. An average that a clinical decision may rest on is near what makes software a
 * medical device. So this is a module of its own, nothing in the gateway depends on it, and it
 * makes no average and no verdict unless course.average was switched on for the site. It is off
 * when it is not mentioned. Counting what a course still needs is done either way.
 *
 * Pure: no clock, no state; the zone data come in. Exact: integers of 10^-6 mmHg throughout, limits
 * are compared with the unrounded mean, and rounding (half to even, one decimal) is only for show.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gateway/arena.h"
#include "gateway/goals/zone.h"
#include "protocols/bytes/decimal.h"
#include "wellgate.pb-c.h"

/* two measurements this far apart, borders included, are a pair */
#define HOME_BP_PAIR_MIN_MS (INT64_C(60) * 1000)
#define HOME_BP_PAIR_MAX_MS (INT64_C(10) * 60 * 1000)
/* local time of the sessions, half-open */
#define HOME_BP_AM_FROM_S (INT64_C(4) * 3600)
#define HOME_BP_AM_TO_S   (INT64_C(12) * 3600)
#define HOME_BP_PM_FROM_S (INT64_C(16) * 3600)
#define HOME_BP_PM_TO_S   (INT64_C(24) * 3600)
/* complete with as many dates, the first one among them, and as many readings after that one */
#define HOME_BP_DATES    4
#define HOME_BP_READINGS 12

/* One measurement: attributed, final, with a time that can be trusted (the caller's promise). */
struct home_bp_reading {
	int64_t at_ms;                      /* UTC */
	struct decimal systolic, diastolic; /* mmHg */
	uint64_t flags;                     /* FLAG_BIT()s of drivers/measurement.h */
};

struct home_bp_course {
	const struct zone *zone;   /* the goal's */
	int64_t from_ms, until_ms; /* half-open: from the start of the course to its end */
	struct decimal systolic_below,
		diastolic_below; /* mmHg; of the goal, never from a birth date */
	bool average;            /* the switch; see above */
};

/* What a reading is to the course. */
enum home_bp_place {
	HOME_BP_OUTSIDE,     /* of the course's time, or before its first session */
	HOME_BP_EXCLUDED,    /* flagged, or not a pressure: neither averaged nor half of a pair */
	HOME_BP_MORNING,     /* of a pair, 04:00 to 12:00 */
	HOME_BP_EVENING,     /* of a pair, 16:00 to 24:00 */
	HOME_BP_OFF_SESSION, /* at another time of day, or alone: averaged all the same */
};

enum home_bp_state {
	HOME_BP_NOT_BEGUN, /* no session yet */
	HOME_BP_IN_PROGRESS,
	HOME_BP_COMPLETE,
};

struct home_bp_result {
	enum home_bp_state state;
	int64_t first_day;         /* the day (zone.h) of the first session; not before it begun */
	int64_t first_ms, last_ms; /* of the readings averaged; while there are any */
	unsigned int dates;        /* with readings of the course, the first day among them */
	unsigned int discarded;    /* readings of the first day */
	unsigned int readings;     /* after it: those that are averaged */
	unsigned int off_session;  /* among both */
	unsigned int soft_range;   /* among both: unusual values, counted nevertheless */
	unsigned int excluded, outside;
	unsigned int more_dates, more_readings; /* still needed; both 0 when complete */
	/* only of a complete course whose average is switched on */
	bool has_mean;
	struct decimal systolic, diastolic; /* mmHg, one decimal */
	bool both_below;                    /* unrounded, each less than its limit */
};

/*
 * readings in the order of at_ms, equal ones in any order; ret_places, if not NULL, takes n.
 * -EINVAL: not in order, a limit finer than 10^-6 or out of 0..1000 mmHg, or a course that
 * reaches out of the years -6000 to 10000.
 */
int home_bp_evaluate(const struct home_bp_course *course, const struct home_bp_reading *readings,
		     size_t n, enum home_bp_place *ret_places, struct home_bp_result *ret);
/* The mean of all readings as they are, one decimal. -ENODATA if n is 0, -EINVAL: not pressures. */
int home_bp_mean(const struct home_bp_reading *readings, size_t n, struct decimal *ret_systolic,
		 struct decimal *ret_diastolic);

/*
 * The average as a derived reading (in the arena), codes and units from the one registry: panel,
 * systolic and diastolic. Identity, subject, sequence and attribution are the caller's to set.
 * -ENODATA: there is no mean, -ENOMEM.
 */
int home_bp_report(const struct home_bp_result *result, struct arena *arena,
		   Wellgate__V1__Reading **ret);

#define HOME_BP_WORDS_MAX 128
/* What may be said to the person: what is still to do, never a value and never a verdict. */
void home_bp_words(const struct home_bp_result *result, char ret[HOME_BP_WORDS_MAX]);
