/*
 * Inside the goals room: a tally takes the points of one bucket (calendar.h) one by one, in order.
 * What the tallies of a period's buckets come to is combined into its progress. Evaluating is
 * tallying from the beginning; the book keeps the tally of a bucket and goes on from there when
 * the next point comes last, as nearly all do.
 *
 * What a tally holds does not depend on the version of the goal: targets come in when it is read.
 */
#pragma once

#include "gateway/goals/goals.h"

struct goal_source {
	uint64_t device;
	struct decimal sum;
	uint32_t readings;
	int64_t covered_ms; /* of the bucket */
	/* the last interval counted */
	int64_t covered_until_ms, last_covered_ms;
	struct decimal last;
	uint16_t last_count;
};

struct goal_tally {
	size_t n_sources;
	struct goal_source sources[GOAL_SOURCES_MAX];
	int64_t occasion_ms; /* start of the last occasion */
	uint32_t occasions, readings;
	size_t n_weights;
	int32_t grams[GOAL_WEIGHTS_MAX]; /* TREND; ascending */
};

struct goal_tally goal_tally_empty(void);
void goal_tally_step(struct goal_tally *t, const struct goal *goal, const struct goal_span *span,
		     const struct goal_point *point);

/* What a bucket comes to. */
struct goal_day {
	int64_t day; /* its name */
	struct decimal value;
	uint32_t readings;
	bool observed;
	int64_t half_grams; /* TREND: the median */
	size_t n_weights;
};

struct goal_day goal_day_of(const struct goal_tally *t, const struct goal *goal, int64_t bucket);
/* What the buckets of a period come to; days: those that have points, ascending, at most
 * GOAL_TREND_DAYS. */
void goal_combine(const struct goal *goal, int64_t first_day, const struct goal_day *days, size_t n,
		  struct goal_progress *ret);

/* Rule TREND of goal_combine: fills what it knows of *ret (trend.c). */
void goal_trend(const struct goal *goal, int64_t first_day, const struct goal_day *days, size_t n,
		struct goal_progress *ret);
/* Rule RANGE_MEAN: there is one bucket, and no tally of it (course.c). */
void goal_course(const struct goal *goal, const struct zone *zone, const struct goal_point *points,
		 size_t n, struct goal_progress *ret);
/* What is still to be measured; never a value, never a verdict. */
void goal_course_words(const struct goal_progress *progress, char ret[GOAL_WORDS_MAX]);
/* not asked for: the goal rests then, or is over */
bool goal_is_paused_on(const struct goal *goal, int64_t day);
/* days of a period that are not paused */
uint32_t goal_days_asked(const struct goal *goal, int64_t first_day);
/* kg in 28 days within which a weight is steady */
struct decimal goal_band(const struct goal *goal);

/* What of the point's value belongs to the span: 1 and *ret, or 0 if nothing does. */
int goal_share(const struct goal *goal, const struct goal_span *span,
	       const struct goal_point *point, struct decimal *ret);
/* The instants whose buckets the point may belong to; the second equals the first if it is one. */
void goal_instants(const struct goal *goal, const struct goal_point *point, int64_t ret[2]);
