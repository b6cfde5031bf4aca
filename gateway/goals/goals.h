/*
 * Goals: what a person wants to do, and how far the readings go towards it.
 *
 * goal_evaluate() is a pure function of (goal version, period, points); the period comes from the
 * zone data (goals/zone.c). The book holds the goals and the points they need, and says which
 * results changed. Local calendar days and weeks (23 h and 25 h days are days); missing data is
 * never "not met"; no streaks; kind words (wording.c). Specification: domain.md section 2.
 *
 * Which readings count: final, attributed, with nothing against them (see goal_book_tag) and with a
 * time that can be trusted: clock quality of at least DEVICE_TRUSTED, or a device stamp that
 * agrees with the receipt within 15 minutes (then the two clocks bear each other out).
 * At most GOAL_LATE_DAYS after they were measured.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gateway/arena.h"
#include "protocols/bytes/decimal.h"
#include "protocols/messages/codes.h"
#include "wellgate.pb-c.h"

/* a reading older than this on arrival counts towards nothing */
#define GOAL_LATE_DAYS 35
/* a period is provisional for so long after its end: late readings are expected */
#define GOAL_GRACE_MS (INT64_C(72) * 3600 * 1000)
/* measurements this close to the first of them are one occasion (two cuff readings in a row) */
#define GOAL_OCCASION_MS (INT64_C(10) * 60 * 1000)
/* intervals up to this long are split where a period ends; longer ones belong where they end */
#define GOAL_SPLIT_MS (INT64_C(60) * 60 * 1000)
/* devices told apart within one bucket; the readings of any further ones are left out */
#define GOAL_SOURCES_MAX 8
#define GOAL_WORDS_MAX   128
#define GOAL_PAUSES_MAX  8
/* a day is observed when its intervals cover this much of it (a day's total covers all of it) */
#define GOAL_WEAR_MS (INT64_C(600) * 60 * 1000)
/* weigh-ins of one day that its median is made of; further ones are left out */
#define GOAL_WEIGHTS_MAX 32
/* TREND: days looked at, ending with the period; and what they must hold before anything is said */
#define GOAL_TREND_DAYS  28
#define GOAL_TREND_MIN   4
#define GOAL_TREND_WEEKS 3
/* more than this between two days of one week: the record service should look at it */
#define GOAL_REVIEW_GRAMS 2000
/* met in so many of so many periods: sustaining */
#define GOAL_SUSTAINED_MET 4
#define GOAL_SUSTAINED_OF  6
/* RANGE_MEAN: days of a course, and readings that it may have */
#define GOAL_COURSE_MIN_DAYS 4
#define GOAL_COURSE_MAX_DAYS 31
#define GOAL_COURSE_POINTS   1024

/* numbers equal enums Rule and Period in wellgate.proto */
enum goal_rule {
	GOAL_SUM_PER_PERIOD = 1,
	GOAL_COUNT_DAYS = 2,
	GOAL_MEAN_PER_PERIOD = 3,
	GOAL_NIGHTS_MEETING = 4,
	GOAL_TREND = 5,
	GOAL_RANGE_MEAN = 6,
	GOAL_MEASURE_REGULARLY = 7,
};
enum goal_period {
	GOAL_DAY = 1,
	GOAL_WEEK = 2,
	GOAL_COURSE = 3 /* [starts_on, ends_on), once: RANGE_MEAN */
};
/* numbers equal enums State and Outcome of GoalResult */
enum goal_state {
	GOAL_OPEN = 1,
	GOAL_PROVISIONAL,
	GOAL_CLOSED,
	GOAL_PAUSED,
};
enum goal_outcome {
	GOAL_NO_DATA = 1,
	GOAL_IN_PROGRESS,
	GOAL_MET,
	GOAL_NOT_ENOUGH_DATA,
};
/* numbers equal enum Achievement: FHIR's achievementStatus as far as a box may say it. Worsening
 * and not-achieved are for a person to say. */
enum goal_achievement {
	GOAL_ACHIEVEMENT_NONE,
	GOAL_ACHIEVEMENT_IN_PROGRESS,
	GOAL_ACHIEVEMENT_IMPROVING,
	GOAL_ACHIEVEMENT_ACHIEVED,
	GOAL_ACHIEVEMENT_SUSTAINING,
};
enum goal_direction {
	GOAL_STEADY = 1,
	GOAL_DOWN,
	GOAL_UP
};
/* who agreed the goal with the person; numbers are not sent */
enum goal_agreed_by {
	GOAL_AGREED_BY_NOBODY,
	GOAL_AGREED_BY_PERSON,
	GOAL_AGREED_BY_PROFESSIONAL
};

/* Local days [from, to), numbered as in zone.h. Illness, admission, holiday: the days are taken
 * out of what the goal asks for. What was done on them still counts where days add up; of a mean
 * and of a trend they are left out. */
struct goal_pause {
	int64_t from_day, to_day;
};

/*
 * One version of a goal. A version applies to the periods that start on starts_on or later, up to
 * the next version; so the running period is closed by the version it began under. The version
 * with the smallest number also applies to whatever was before it.
 */
struct goal {
	char id[33];      /* [a-z0-9-] */
	char title[129];  /* UTF-8, the person's own words */
	char subject[65]; /* "" = whoever the box serves */
	bool paused;
	uint32_t version;
	enum metric metric;
	enum goal_rule rule;
	enum goal_period period;
	unsigned int week_start; /* 1 Monday .. 7 */
	/* SUM, MEAN: canonical unit of metric (MEAN: a day or night); MEASURE: times; COUNT_DAYS,
	 * NIGHTS_MEETING: days or nights; TREND: the weight (kg) to get to and keep, or 0;
	 * RANGE_MEAN: the systolic mean is to be below it (mmHg) */
	struct decimal target;
	struct decimal diastolic_target; /* RANGE_MEAN: likewise */
	char time_zone[64];
	int64_t starts_on;         /* local day; INT64_MIN = always */
	int64_t ends_on;           /* first local day on which it is over; 0 = no end */
	struct decimal day_target; /* COUNT_DAYS, NIGHTS_MEETING: in the unit of metric */
	unsigned int min_points;   /* observed days a week that it takes to say anything; 0 = 4 */
	enum goal_direction direction; /* TREND */
	struct decimal band;           /* TREND: steady is within it, kg in 28 days; 0 = 1 */
	unsigned int height_mm;        /* 0 = not known; a weight to get to needs it */
	bool show_weight;              /* weight goals are blind unless the person chose this */
	enum goal_agreed_by agreed_by;
	bool eating_disorder; /* asks for more care: fewer goals may be set */
	bool keep_here;       /* its results are not sent */
	bool hidden;          /* not shown where others may look */
	bool average;         /* RANGE_MEAN: the switch of home_bp.h, from the configuration */
	size_t n_pauses;      /* of the latest version: they count for all versions */
	struct goal_pause pauses[GOAL_PAUSES_MAX];
};

/*
 * Is this a goal that may be set? -EINVAL and one plain sentence in *ret_problem (constant text).
 * Safety rules (domain.md 2.4): no goal on energy or food, whatever the rule; sums, counts of days
 * and means only of what adds up (steps, distance, floors, active and zone minutes, sleep,
 * exercise). Weight can be "measured regularly", where no value is judged, or be a trend that a
 * professional agreed to. A trend has a direction, never a rate; "down" needs a weight to stop at,
 * and a weight needs the height and is never below BMI 18.5. With an eating disorder no goal is on
 * weight, and what has a number to reach is agreed with a professional. Reads the zone file.
 */
int goal_check(const struct goal *goal, const char **ret_problem);
/* May `next` be a later version of `goal`? Metric, rule, period, start of the week, zone and
 * subject stay: another of these is another goal. Same results as goal_check. */
int goal_check_version(const struct goal *goal, const struct goal *next, const char **ret_problem);

/* One reading, as far as a goal is concerned: [at, at + duration). */
struct goal_point {
	int64_t at_ms;
	uint64_t device;  /* first bytes of the device digest: sums never add two sources */
	int64_t mantissa; /* value in the canonical unit, mantissa * 10^exponent */
	union {
		uint32_t duration_ms;
		uint32_t diastolic; /* RANGE_MEAN, whose points are instants: 10^-3 mmHg */
	};
	int16_t exponent;
	uint16_t count; /* readings that this point stands for */
};

struct goal_span {
	int64_t start_ms, end_ms; /* half-open */
};

struct goal_progress {
	/* SUM: of the chosen source; MEASURE: occasions; COUNT_DAYS, NIGHTS_MEETING: days that
	 * meet; MEAN: a day, 1 digit more than the values; TREND: kg in 28 days, to the gram */
	struct decimal value;
	uint32_t readings; /* that the value is made of; by days: of all days looked at */
	uint32_t observed; /* days that something is known of; TREND: days with a weigh-in */
	uint32_t asked;    /* days that are not paused; 0: the goal rests */
	bool enough;       /* data to say that it is not met (yet) */
	bool met;
	bool towards; /* TREND: going in the agreed direction, and not there yet */
	bool review;  /* TREND: two days of one week differ by more than GOAL_REVIEW_GRAMS */
	/* RANGE_MEAN */
	bool begun;
	uint32_t more_days, more_readings; /* still to take; both 0: complete */
	bool has_means;                    /* complete, and averages are switched on */
	struct decimal means[2];           /* systolic, diastolic */
};

struct zone;

/* The order in which goal_evaluate takes points: by start, the longer one first; total. */
int goal_point_compare(const struct goal_point *a, const struct goal_point *b);

/*
 * The specification: how far the points go towards the goal in the period that starts on local day
 * first_day. Points in order (goal_point_compare); those of other periods may be among them.
 *
 * SUM_PER_PERIOD  of the one source with the largest sum (then the smallest id). Within a source,
 *                 of two intervals that overlap only one counts: the outer, or else the one with
 *                 more; so a day's total and the minutes it is made of, or a total sent again as
 *                 it grows, count once. A point without duration is an event of its own.
 * MEASURE_REGULARLY  occasions: a measurement within GOAL_OCCASION_MS of the first of an occasion
 *                 belongs to it, whichever device it came from. Times count in whole minutes.
 * COUNT_DAYS      days on which the sum (as above, source chosen for each day) is day_target or
 *                 more. A day is observed when the source covers GOAL_WEAR_MS of it.
 * NIGHTS_MEETING  the same for sleep. A night is [noon, noon) and has the date it ends on; it is
 *                 observed when it has a reading.
 * MEAN_PER_PERIOD of the sums of the observed days (nights for sleep).
 * RANGE_MEAN      the blood-pressure course of home_bp.h over [starts_on, ends_on), one period:
 *                 value = readings that are averaged, observed = days with readings. Met when it is
 *                 complete, averages are switched on, and both means are below their limits.
 * TREND           of the medians of the days with a weigh-in among the GOAL_TREND_DAYS that end
 *                 with the period: the median of all slopes between two days (Theil-Sen). It takes
 *                 GOAL_TREND_MIN weigh-ins in GOAL_TREND_WEEKS weeks of the goal.
 *
 * What is asked for shrinks with the paused days: of 7 days, 3 of them paused, 4 of 7 is 4 * 4/7.
 * Days from ends_on on are not asked for either, and readings of them count towards nothing.
 */
void goal_evaluate(const struct goal *goal, const struct zone *zone, int64_t first_day,
		   const struct goal_point *points, size_t n, struct goal_progress *ret);
/* goal: of the version in force; PAUSED: all its days are paused, for good, or the goal is
 * and the period is running */
enum goal_state goal_state_at(const struct goal *goal, const struct goal_span *span,
			      const struct goal_progress *progress, int64_t now_ms);
/* Sums and counts are met as soon as they are reached: evidence can only add. A mean and a trend
 * are met when the period is over. Less data than it takes is NOT_ENOUGH_DATA, never "not met". */
enum goal_outcome goal_outcome_of(const struct goal *goal, const struct goal_progress *progress,
				  enum goal_state state);
/* met_before: how many of the GOAL_SUSTAINED_OF - 1 periods before were met */
enum goal_achievement goal_achievement_of(const struct goal *goal,
					  const struct goal_progress *progress,
					  enum goal_state state, enum goal_outcome outcome,
					  unsigned int met_before);

/* What may be said to the person about a period. Never longer than GOAL_WORDS_MAX with NUL. */
void goal_words(const struct goal *goal, enum goal_state state, enum goal_outcome outcome,
		struct decimal progress, char ret[GOAL_WORDS_MAX]);

struct goal_book;

/* goals: every version of every goal, in any order; those of one id are one goal. -EINVAL: one that
 * goal_check or goal_check_version refuses, a version twice, or a zone that cannot be read. */
int goal_book_new(const struct goal *goals, size_t n, const char *hub, uint64_t epoch,
		  struct goal_book **ret);
void goal_book_free(struct goal_book *b);
/* Other goals from now on; hub, epoch and the test switch stay. The book is empty then, as a new
 * one: who changes goals adds the stored readings, restores the stored results, and settles. After
 * an error it is as it was. */
int goal_book_change(struct goal_book *b, const struct goal *goals, size_t n);
/* The whole box is a test: its test readings count. Otherwise none does. */
void goal_book_set_test(struct goal_book *b, bool test);

/* Sets reading->goals: the goals it counts towards (from the arena), before it is stored. Held,
 * flagged and unattributed readings, and those without a trustworthy time, count towards none. */
int goal_book_tag(const struct goal_book *b, Wellgate__V1__Reading *reading, struct arena *arena);
/* A tagged reading was stored as new, or at start was found in the store (settle after loading).
 * -ENOBUFS: more points in one period than the book keeps (98,304); the rest are left out. */
int goal_book_add(struct goal_book *b, const Wellgate__V1__Reading *reading);
/* The opposite, for a reading that is corrected, retracted or another person's after all: as it was
 * added, its tags included. What was never added is not removed. */
int goal_book_remove(struct goal_book *b, const Wellgate__V1__Reading *reading);
/* The transaction failed: forget what was added and removed, and which results were handed out,
 * since the last goal_book_settle. */
void goal_book_undo(struct goal_book *b);
/* After a commit; and after loading: what was restored and has fewer readings now than it had (the
 * store does not keep them for ever) stays as it was said. */
void goal_book_settle(struct goal_book *b);

/* Results that changed since they were last handed out: 1 and *ret (in the arena), 0 = no more.
 * A change is one that can be seen: of state, outcome, progress, achievement or review; or fewer
 * readings than before. A period is first spoken of when it has a reading. Also called when a
 * period ends: *goal_book_next_due* says when. A result without words is not for the person:
 * something that had been reached was taken back. */
int goal_book_next_result(struct goal_book *b, int64_t now_ms, struct arena *arena,
			  Wellgate__V1__GoalResult **ret);
int64_t goal_book_next_due(const struct goal_book *b, int64_t now_ms); /* -1 = never */
/* The result, as of now, of the period of goal i that an instant lies in. Equal readings, goals and
 * zone data give equal bytes, in whatever order the readings came and however often one was taken
 * back, but for: revision, reason and evaluated_at_ms. -EINVAL: no such goal */
int goal_book_result_at(struct goal_book *b, size_t i, int64_t at_ms, int64_t now_ms,
			struct arena *arena, Wellgate__V1__GoalResult **ret);

/* one a goal: its latest version */
const struct goal *goal_book_goals(const struct goal_book *b, size_t *ret_n);
/* the current result of goal i, whether or not it changed (for status and the command line) */
int goal_book_current(struct goal_book *b, size_t i, int64_t now_ms, struct arena *arena,
		      Wellgate__V1__GoalResult **ret);
/* At start: what was handed out before, so that a restart does not repeat it. Results of one
 * period come in the order they were made; -ENOENT: no such goal any more. */
int goal_book_restore(struct goal_book *b, const Wellgate__V1__GoalResult *result);
