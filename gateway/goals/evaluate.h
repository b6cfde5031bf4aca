/*
 * Inside the goals room: a tally takes the points of one period one by one, in order. Evaluating is
 * tallying from the beginning; the book keeps the tally of a period and goes on from there when
 * the next point comes last, as nearly all do.
 */
#pragma once

#include "gateway/goals/goals.h"

struct goal_source {
	uint64_t device;
	struct decimal sum;
	uint32_t readings;
	/* the last interval counted */
	int64_t covered_until_ms;
	struct decimal last;
	uint16_t last_count;
};

struct goal_tally {
	size_t n_sources;
	struct goal_source sources[GOAL_SOURCES_MAX];
	int64_t occasion_ms; /* start of the last occasion */
	uint32_t occasions, readings;
};

struct goal_tally goal_tally_empty(void);
void goal_tally_step(struct goal_tally *t, const struct goal *goal, const struct goal_span *span,
		     const struct goal_point *point);
void goal_tally_result(const struct goal_tally *t, const struct goal *goal,
		       struct goal_progress *ret);

/* What of the point's value belongs to the span: 1 and *ret, or 0 if nothing does. */
int goal_share(const struct goal *goal, const struct goal_span *span,
	       const struct goal_point *point, struct decimal *ret);
/* The instants whose periods the point may belong to; the second equals the first if it is one. */
void goal_instants(const struct goal *goal, const struct goal_point *point, int64_t ret[2]);
