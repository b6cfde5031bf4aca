/*
 * Goals: what a person wants to do, and how far the readings go towards it.
 *
 * goal_evaluate() is a pure function of (goal version, points, zone data, now). The book holds
 * the goals and the points they need, and says which results changed. Local calendar days
 * and weeks (23 h and 25 h days are days); missing data is never "not met"; no streaks; kind words
 * (goals/wording.c). Specification: domain.md section 2.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gateway/arena.h"
#include "protocols/bytes/decimal.h"
#include "protocols/messages/codes.h"
#include "wellgate.pb-c.h"

/* numbers equal enums Rule and Period in wellgate.proto */
enum goal_rule {
	GOAL_SUM_PER_PERIOD = 1,
	GOAL_MEASURE_REGULARLY = 7,
};
enum goal_period {
	GOAL_DAY = 1,
	GOAL_WEEK = 2
};

struct goal {
	char id[33];      /* [a-z0-9-] */
	char title[129];  /* UTF-8, the person's own words */
	char subject[65]; /* "" = whoever the box serves */
	uint32_t version;
	enum metric metric;
	enum goal_rule rule;
	enum goal_period period;
	struct decimal target;   /* SUM: canonical unit of metric; MEASURE: times */
	unsigned int week_start; /* 1 Monday .. 7 */
	char time_zone[64];
	bool paused;
};

/* One reading, as far as a goal is concerned. */
struct goal_point {
	int64_t at_ms;
	int64_t duration_ms;
	uint64_t device;      /* first bytes of the device digest: sums never add two sources */
	struct decimal value; /* canonical unit; for a panel: of its first component */
};

struct goal_book;

int goal_book_new(const struct goal *goals, size_t n, const char *hub, uint64_t epoch,
		  struct goal_book **ret);
void goal_book_free(struct goal_book *b);

/* Sets reading->goals: the goals it counts towards (from the arena), before it is stored. Held,
 * flagged and unattributed readings, and readings without a trustworthy time, count towards none. */
int goal_book_tag(const struct goal_book *b, Wellgate__V1__Reading *reading, struct arena *arena);
/* A tagged reading was stored as new (or, at start, was found in the store). */
int goal_book_add(struct goal_book *b, const Wellgate__V1__Reading *reading);
/* The transaction failed: forget what was added since the last goal_book_settle. */
void goal_book_undo(struct goal_book *b);
void goal_book_settle(struct goal_book *b);

/* Results that changed since they were last handed out: 1 and *ret (in the arena), 0 = no more.
 * Also called when a period ends: *goal_book_next_due* says when. */
int goal_book_next_result(struct goal_book *b, int64_t now_ms, struct arena *arena,
			  Wellgate__V1__GoalResult **ret);
int64_t goal_book_next_due(const struct goal_book *b, int64_t now_ms); /* -1 = never */

const struct goal *goal_book_goals(const struct goal_book *b, size_t *ret_n);
/* the current result of goal i, whether or not it changed (for status and the command line) */
int goal_book_current(struct goal_book *b, size_t i, int64_t now_ms, struct arena *arena,
		      Wellgate__V1__GoalResult **ret);
/* At start: what was handed out before, so that a restart does not repeat it. */
int goal_book_restore(struct goal_book *b, const Wellgate__V1__GoalResult *result);
