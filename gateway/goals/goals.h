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
/* devices told apart within one period; the readings of any further ones are left out */
#define GOAL_SOURCES_MAX 8
#define GOAL_WORDS_MAX   128

/* numbers equal enums Rule and Period in wellgate.proto */
enum goal_rule {
	GOAL_SUM_PER_PERIOD = 1,
	GOAL_MEASURE_REGULARLY = 7,
};
enum goal_period {
	GOAL_DAY = 1,
	GOAL_WEEK = 2
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
};

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
	struct decimal target;   /* SUM: canonical unit of metric; MEASURE: times */
	char time_zone[64];
};

/*
 * Is this a goal that may be set? -EINVAL and one plain sentence in *ret_problem (constant text).
 * Safety rules: no goal on energy or food, whatever the rule; sums only of what adds up (steps,
 * distance, floors, active and zone minutes, sleep, exercise); so weight can only be "measured
 * regularly", and no value of it is ever judged. Reads the zone file.
 */
int goal_check(const struct goal *goal, const char **ret_problem);

/* One reading, as far as a goal is concerned: [at, at + duration). */
struct goal_point {
	int64_t at_ms;
	uint64_t device;  /* first bytes of the device digest: sums never add two sources */
	int64_t mantissa; /* value in the canonical unit, mantissa * 10^exponent */
	uint32_t duration_ms;
	int16_t exponent;
	uint16_t count; /* readings that this point stands for */
};

struct goal_span {
	int64_t start_ms, end_ms; /* half-open */
};

struct goal_progress {
	struct decimal value; /* SUM: of the chosen source; MEASURE: occasions */
	uint32_t readings;    /* that the value is made of */
	bool met;
};

/* The order in which goal_evaluate takes points: by start, the longer one first; total. */
int goal_point_compare(const struct goal_point *a, const struct goal_point *b);

/*
 * How far the points that belong to the span go towards the goal. Points in order; those of other
 * periods may be among them.
 *
 * SUM_PER_PERIOD  of the one source with the largest sum (then the smallest id). Within a source,
 *                 of two intervals that overlap only one counts: the outer, or else the one with
 *                 more; so a day's total and the minutes it is made of, or a total sent again as
 *                 it grows, count once. A point without duration is an event of its own.
 * MEASURE_REGULARLY  occasions: a measurement within GOAL_OCCASION_MS of the first of an occasion
 *                 belongs to it, whichever device it came from. Times count in whole minutes.
 */
void goal_evaluate(const struct goal *goal, const struct goal_span *span,
		   const struct goal_point *points, size_t n, struct goal_progress *ret);
enum goal_state goal_state_at(const struct goal *goal, const struct goal_span *span,
			      int64_t now_ms);

/* What may be said to the person about a period. Never longer than GOAL_WORDS_MAX with NUL. */
void goal_words(const struct goal *goal, enum goal_state state, enum goal_outcome outcome,
		struct decimal progress, char ret[GOAL_WORDS_MAX]);

struct goal_book;

/* -EINVAL: a goal that goal_check refuses, two of one id, or a zone that cannot be read. */
int goal_book_new(const struct goal *goals, size_t n, const char *hub, uint64_t epoch,
		  struct goal_book **ret);
void goal_book_free(struct goal_book *b);
/* The whole box is a test: its test readings count. Otherwise none does. */
void goal_book_set_test(struct goal_book *b, bool test);

/* Sets reading->goals: the goals it counts towards (from the arena), before it is stored. Held,
 * flagged and unattributed readings, and those without a trustworthy time, count towards none. */
int goal_book_tag(const struct goal_book *b, Wellgate__V1__Reading *reading, struct arena *arena);
/* A tagged reading was stored as new, or at start was found in the store (settle after loading).
 * -ENOBUFS: more points in one period than the book keeps (98,304); the rest are left out. */
int goal_book_add(struct goal_book *b, const Wellgate__V1__Reading *reading);
/* The transaction failed: forget what was added, and which results were handed out, since the last
 * goal_book_settle. */
void goal_book_undo(struct goal_book *b);
void goal_book_settle(struct goal_book *b);

/* Results that changed since they were last handed out: 1 and *ret (in the arena), 0 = no more.
 * A change is one that can be seen: of state, outcome or progress. A period is first spoken of when
 * it has a reading. Also called when a period ends: *goal_book_next_due* says when. */
int goal_book_next_result(struct goal_book *b, int64_t now_ms, struct arena *arena,
			  Wellgate__V1__GoalResult **ret);
int64_t goal_book_next_due(const struct goal_book *b, int64_t now_ms); /* -1 = never */

const struct goal *goal_book_goals(const struct goal_book *b, size_t *ret_n);
/* the current result of goal i, whether or not it changed (for status and the command line) */
int goal_book_current(struct goal_book *b, size_t i, int64_t now_ms, struct arena *arena,
		      Wellgate__V1__GoalResult **ret);
/* At start: what was handed out before, so that a restart does not repeat it. Results of one
 * period come in the order they were made; -ENOENT: no such goal any more. */
int goal_book_restore(struct goal_book *b, const Wellgate__V1__GoalResult *result);
