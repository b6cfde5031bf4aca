#include "gateway/goals/evaluate.h"

#include <stddef.h>

#define MINUTE_MS INT64_C(60000)

static bool belongs_where_it_ends(const struct goal *goal, const struct goal_point *point)
{
	const struct metric_info *info = metric_info(goal->metric);

	/* a night belongs to the day of waking, however short it was */
	return point->duration_ms > GOAL_SPLIT_MS || (info && info->group == GROUP_SLEEP);
}

static bool contains(const struct goal_span *span, int64_t at_ms)
{
	return at_ms >= span->start_ms && at_ms < span->end_ms;
}

static int64_t point_end(const struct goal_point *point)
{
	return point->at_ms + point->duration_ms;
}

/* the last instant of the interval: one that ends at midnight belongs to the day before */
static int64_t point_last(const struct goal_point *point)
{
	return point->duration_ms ? point_end(point) - 1 : point->at_ms;
}

void goal_instants(const struct goal *goal, const struct goal_point *point, int64_t ret[2])
{
	ret[0] = ret[1] = point->at_ms;
	if (goal->rule != GOAL_SUM_PER_PERIOD)
		return;
	ret[1] = point_last(point);
	if (belongs_where_it_ends(goal, point))
		ret[0] = ret[1];
}

/* The part of the value up to an instant, rounded to the value's own precision. A share is the
 * difference of two of these, so the shares of all periods add up to the value exactly. */
static int value_until(const struct goal_point *point, int64_t until_ms, struct decimal *ret)
{
	struct decimal value = { point->mantissa, point->exponent };
	int64_t elapsed = until_ms - point->at_ms;

	if (elapsed <= 0) {
		*ret = (struct decimal){ 0, point->exponent };
		return 0;
	}
	if (elapsed >= point->duration_ms) {
		*ret = value;
		return 0;
	}
	return decimal_scale(value, 0, (struct decimal){ elapsed, 0 },
			     (struct decimal){ point->duration_ms, 0 },
			     point->exponent < 0 ? -point->exponent : 0, ret);
}

int goal_share(const struct goal *goal, const struct goal_span *span,
	       const struct goal_point *point, struct decimal *ret)
{
	struct decimal before, until;

	if (goal->rule != GOAL_SUM_PER_PERIOD || point->duration_ms == 0 ||
	    belongs_where_it_ends(goal, point)) {
		int64_t at = goal->rule == GOAL_SUM_PER_PERIOD ? point_last(point) : point->at_ms;

		if (!contains(span, at))
			return 0;
		*ret = (struct decimal){ point->mantissa, point->exponent };
		return 1;
	}
	if (point->at_ms >= span->end_ms || point_end(point) <= span->start_ms ||
	    span->end_ms <= span->start_ms)
		return 0;
	if (value_until(point, span->start_ms, &before) < 0 ||
	    value_until(point, span->end_ms, &until) < 0)
		return 0;
	before.mantissa = -before.mantissa;
	return decimal_add(until, before, ret) < 0 ? 0 : 1;
}

/* ---- tally */

static struct goal_source *source_of(struct goal_tally *t, uint64_t device)
{
	for (size_t i = 0; i < t->n_sources; i++) {
		if (t->sources[i].device == device)
			return &t->sources[i];
	}
	if (t->n_sources == GOAL_SOURCES_MAX)
		return NULL;
	t->sources[t->n_sources] =
		(struct goal_source){ .device = device, .covered_until_ms = INT64_MIN };
	return &t->sources[t->n_sources++];
}

/* Points come by start, so an interval can only overlap the last one that was counted. */
static void take_interval(struct goal_source *source, const struct goal_point *point,
			  struct decimal share)
{
	struct decimal sum = source->sum, last = source->last;
	uint32_t readings = source->readings;

	if (point->at_ms < source->covered_until_ms) {
		if (point_end(point) <= source->covered_until_ms ||
		    decimal_compare(share, last) <= 0)
			return;
		last.mantissa = -last.mantissa;
		readings -= source->last_count;
		if (decimal_add(sum, last, &sum) < 0)
			return;
	}
	if (decimal_add(sum, share, &sum) < 0)
		return;
	source->sum = sum;
	source->readings = readings + point->count;
	source->last = share;
	source->last_count = point->count;
	source->covered_until_ms = point_end(point);
}

static void step_sum(struct goal_tally *t, const struct goal *goal, const struct goal_span *span,
		     const struct goal_point *point)
{
	struct goal_source *source;
	struct decimal share;

	if (goal_share(goal, span, point, &share) == 0)
		return;
	source = source_of(t, point->device);
	if (!source)
		return;
	if (point->duration_ms)
		take_interval(source, point, share);
	else if (decimal_add(source->sum, share, &source->sum) == 0)
		source->readings += point->count;
}

static void step_occasion(struct goal_tally *t, const struct goal_span *span,
			  const struct goal_point *point)
{
	int64_t minute = point->at_ms - (point->at_ms % MINUTE_MS);

	if (!contains(span, point->at_ms))
		return;
	t->readings += point->count;
	if (t->occasions > 0 && minute - t->occasion_ms <= GOAL_OCCASION_MS)
		return;
	t->occasions++;
	t->occasion_ms = minute;
}

struct goal_tally goal_tally_empty(void)
{
	return (struct goal_tally){ 0 };
}

void goal_tally_step(struct goal_tally *t, const struct goal *goal, const struct goal_span *span,
		     const struct goal_point *point)
{
	if (goal->rule == GOAL_SUM_PER_PERIOD)
		step_sum(t, goal, span, point);
	else
		step_occasion(t, span, point);
}

static bool is_better(const struct goal_source *a, const struct goal_source *b)
{
	int order = decimal_compare(a->sum, b->sum);

	return order > 0 || (order == 0 && a->device < b->device);
}

void goal_tally_result(const struct goal_tally *t, const struct goal *goal,
		       struct goal_progress *ret)
{
	const struct goal_source *best = NULL;

	for (size_t i = 0; i < t->n_sources; i++) {
		if (!best || is_better(&t->sources[i], best))
			best = &t->sources[i];
	}
	*ret = (struct goal_progress){ .value = { t->occasions, 0 }, .readings = t->readings };
	if (best) {
		ret->value = best->sum;
		ret->readings = best->readings;
	}
	ret->met = ret->readings > 0 && decimal_compare(ret->value, goal->target) >= 0;
}

/* ---- the specification */

static int order(int64_t a, int64_t b)
{
	return (a > b) - (a < b);
}

int goal_point_compare(const struct goal_point *a, const struct goal_point *b)
{
	int r = order(a->at_ms, b->at_ms);

	if (r == 0)
		r = order(b->duration_ms, a->duration_ms);
	if (r == 0)
		r = (a->device > b->device) - (a->device < b->device);
	if (r == 0) /* the larger first: of two totals of one interval the lesser adds nothing */
		r = decimal_compare((struct decimal){ b->mantissa, b->exponent },
				    (struct decimal){ a->mantissa, a->exponent });
	if (r == 0)
		r = order(a->exponent, b->exponent);
	return r ? r : order(a->count, b->count);
}

void goal_evaluate(const struct goal *goal, const struct goal_span *span,
		   const struct goal_point *points, size_t n, struct goal_progress *ret)
{
	struct goal_tally tally = goal_tally_empty();

	for (size_t i = 0; i < n; i++)
		goal_tally_step(&tally, goal, span, &points[i]);
	goal_tally_result(&tally, goal, ret);
}

enum goal_state goal_state_at(const struct goal *goal, const struct goal_span *span, int64_t now_ms)
{
	if (now_ms < span->end_ms)
		return goal->paused ? GOAL_PAUSED : GOAL_OPEN;
	return now_ms < span->end_ms + GOAL_GRACE_MS ? GOAL_PROVISIONAL : GOAL_CLOSED;
}
