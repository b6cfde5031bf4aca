#include "gateway/goals/evaluate.h"

#include <stddef.h>

#include "gateway/goals/calendar.h"

#define MINUTE_MS INT64_C(60000)

enum {
	MIN_POINTS = 4, /* observed days a week that a count or a mean takes, if nothing is said */
	GRAMS_MAX = 1000000,
};

/* Does the rule add values up? Then a point is an interval, else an instant. */
static bool adds(const struct goal *goal)
{
	return goal->rule != GOAL_MEASURE_REGULARLY && goal->rule != GOAL_TREND &&
	       goal->rule != GOAL_RANGE_MEAN;
}

static bool belongs_where_it_ends(const struct goal *goal, const struct goal_point *point)
{
	/* a night belongs to the day of waking, however short it was */
	return point->duration_ms > GOAL_SPLIT_MS || goal_is_of_sleep(goal);
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
	if (!adds(goal))
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

	if (!adds(goal) || point->duration_ms == 0 || belongs_where_it_ends(goal, point)) {
		int64_t at = adds(goal) ? point_last(point) : point->at_ms;

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

static int64_t overlap_ms(const struct goal_span *span, const struct goal_point *point)
{
	int64_t from = point->at_ms > span->start_ms ? point->at_ms : span->start_ms;
	int64_t to = point_end(point) < span->end_ms ? point_end(point) : span->end_ms;

	return to > from ? to - from : 0;
}

/* Points come by start, so an interval can only overlap the last one that was counted. */
static void take_interval(struct goal_source *source, const struct goal_span *span,
			  const struct goal_point *point, struct decimal share)
{
	struct decimal sum = source->sum, last = source->last;
	uint32_t readings = source->readings;
	int64_t covered = source->covered_ms;

	if (point->at_ms < source->covered_until_ms) {
		if (point_end(point) <= source->covered_until_ms ||
		    decimal_compare(share, last) <= 0)
			return;
		last.mantissa = -last.mantissa;
		readings -= source->last_count;
		covered -= source->last_covered_ms;
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
	source->last_covered_ms = overlap_ms(span, point);
	source->covered_ms = covered + source->last_covered_ms;
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
		take_interval(source, span, point, share);
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

/* A median needs the weights in order of weight. */
static void step_weight(struct goal_tally *t, const struct goal_span *span,
			const struct goal_point *point)
{
	struct decimal grams;
	size_t i = t->n_weights;

	if (!contains(span, point->at_ms))
		return;
	if (decimal_rescale((struct decimal){ point->mantissa, point->exponent }, -3, &grams) < 0 ||
	    grams.mantissa <= 0 || grams.mantissa > GRAMS_MAX)
		return;
	t->readings += point->count;
	if (i == GOAL_WEIGHTS_MAX)
		return;
	for (; i > 0 && t->grams[i - 1] > grams.mantissa; i--)
		t->grams[i] = t->grams[i - 1];
	t->grams[i] = (int32_t)grams.mantissa;
	t->n_weights++;
}

struct goal_tally goal_tally_empty(void)
{
	return (struct goal_tally){ 0 };
}

void goal_tally_step(struct goal_tally *t, const struct goal *goal, const struct goal_span *span,
		     const struct goal_point *point)
{
	if (goal->rule == GOAL_TREND)
		step_weight(t, span, point);
	else if (goal->rule == GOAL_RANGE_MEAN)
		t->readings += contains(span, point->at_ms); /* pairs are looked for among all */
	else if (goal->rule == GOAL_MEASURE_REGULARLY)
		step_occasion(t, span, point);
	else
		step_sum(t, goal, span, point);
}

/* ---- what a bucket comes to */

static bool is_better(const struct goal_source *a, const struct goal_source *b)
{
	int order = decimal_compare(a->sum, b->sum);

	return order > 0 || (order == 0 && a->device < b->device);
}

struct goal_day goal_day_of(const struct goal_tally *t, const struct goal *goal, int64_t bucket)
{
	struct goal_day day = { .day = bucket,
				.value = { t->occasions, 0 },
				.readings = t->readings,
				.n_weights = t->n_weights };
	const struct goal_source *best = NULL;

	if (t->n_weights > 0) /* the mean of the two in the middle; of an odd number both are one */
		day.half_grams =
			(int64_t)t->grams[(t->n_weights - 1) / 2] + t->grams[t->n_weights / 2];
	for (size_t i = 0; i < t->n_sources; i++) {
		if (!best || is_better(&t->sources[i], best))
			best = &t->sources[i];
	}
	if (!best)
		return day;
	day.value = best->sum;
	day.readings = best->readings;
	day.observed =
		best->readings > 0 && (goal_is_of_sleep(goal) || best->covered_ms >= GOAL_WEAR_MS);
	return day;
}

/* ---- what a period comes to */

bool goal_is_paused_on(const struct goal *goal, int64_t day)
{
	for (size_t i = 0; i < goal->n_pauses && i < GOAL_PAUSES_MAX; i++) {
		if (day >= goal->pauses[i].from_day && day < goal->pauses[i].to_day)
			return true;
	}
	return goal->ends_on != 0 && day >= goal->ends_on;
}

uint32_t goal_days_asked(const struct goal *goal, int64_t first_day)
{
	uint32_t n = 0;

	for (int64_t i = 0; i < goal_period_days(goal); i++)
		n += !goal_is_paused_on(goal, first_day + i);
	return n;
}

/* value >= target * asked / days, exactly. A period that rests as a whole asks for nothing: what
 * was done in it is held against the whole target. */
static bool reaches(struct decimal value, struct decimal target, int64_t days, uint32_t asked)
{
	const struct decimal one = { 1, 0 };
	struct decimal have, need;

	if (asked == 0 || asked == days ||
	    decimal_scale(value, 0, (struct decimal){ days, 0 }, one, 0, &have) < 0 ||
	    decimal_scale(target, 0, (struct decimal){ asked, 0 }, one, 0, &need) < 0)
		return decimal_compare(value, target) >= 0;
	return decimal_compare(have, need) >= 0;
}

static void combine_count(const struct goal *goal, const struct goal_day *days, size_t n,
			  struct goal_progress *ret)
{
	for (size_t i = 0; i < n; i++) {
		ret->readings += days[i].readings;
		ret->observed += days[i].observed && !goal_is_paused_on(goal, days[i].day);
		ret->value.mantissa += days[i].readings > 0 &&
				       decimal_compare(days[i].value, goal->day_target) >= 0;
	}
	ret->met = ret->value.mantissa > 0 &&
		   reaches(ret->value, goal->target, goal_period_days(goal), ret->asked);
}

static void combine_mean(const struct goal *goal, const struct goal_day *days, size_t n,
			 struct goal_progress *ret)
{
	const struct decimal one = { 1, 0 };
	struct decimal sum = { 0, 0 }, need;

	for (size_t i = 0; i < n; i++) {
		ret->readings += days[i].readings;
		if (days[i].observed && !goal_is_paused_on(goal, days[i].day) &&
		    decimal_add(sum, days[i].value, &sum) == 0)
			ret->observed++;
	}
	if (ret->observed == 0)
		return;
	(void)decimal_scale(sum, 0, one, (struct decimal){ ret->observed, 0 },
			    sum.exponent < 0 ? 1 - sum.exponent : 1, &ret->value);
	ret->met = decimal_scale(goal->target, 0, (struct decimal){ ret->observed, 0 }, one, 0,
				 &need) == 0 &&
		   decimal_compare(sum, need) >= 0;
}

static bool has_enough(const struct goal *goal, const struct goal_progress *p)
{
	const int64_t min_points = goal->min_points ? goal->min_points : MIN_POINTS;

	return p->observed > 0 && p->asked > 0 &&
	       p->observed * goal_period_days(goal) >= min_points * p->asked;
}

void goal_combine(const struct goal *goal, int64_t first_day, const struct goal_day *days, size_t n,
		  struct goal_progress *ret)
{
	struct goal_progress p = { .asked = goal_days_asked(goal, first_day) };

	switch (goal->rule) {
	case GOAL_TREND:
		goal_trend(goal, first_day, days, n, &p);
		break;
	case GOAL_COUNT_DAYS:
	case GOAL_NIGHTS_MEETING:
		combine_count(goal, days, n, &p);
		p.enough = has_enough(goal, &p);
		break;
	case GOAL_MEAN_PER_PERIOD:
		combine_mean(goal, days, n, &p);
		p.enough = has_enough(goal, &p);
		p.met = p.met && p.enough;
		break;
	case GOAL_RANGE_MEAN: /* goal_course() */
	case GOAL_SUM_PER_PERIOD:
	case GOAL_MEASURE_REGULARLY:
	default:
		if (n > 0) {
			p.value = days[0].value;
			p.readings = days[0].readings;
		}
		p.enough = p.readings > 0;
		p.met = p.enough && reaches(p.value, goal->target, goal_period_days(goal), p.asked);
		break;
	}
	*ret = p;
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

static struct goal_day evaluate_bucket(const struct goal *goal, const struct zone *zone,
				       int64_t bucket, const struct goal_point *points, size_t n)
{
	struct goal_span span = goal_bucket_span(goal, zone, bucket);
	struct goal_tally tally = goal_tally_empty();

	for (size_t i = 0; i < n; i++)
		goal_tally_step(&tally, goal, &span, &points[i]);
	return goal_day_of(&tally, goal, bucket);
}

void goal_evaluate(const struct goal *goal, const struct zone *zone, int64_t first_day,
		   const struct goal_point *points, size_t n, struct goal_progress *ret)
{
	struct goal_window window = goal_window_of(goal, first_day);
	struct goal_day days[GOAL_TREND_DAYS];
	size_t n_days = 0;

	if (goal->rule == GOAL_RANGE_MEAN) {
		goal_course(goal, zone, points, n, ret);
		return;
	}
	if (!goal_is_by_day(goal))
		window.to = window.from + 1;
	for (int64_t bucket = window.from; bucket < window.to; bucket++) {
		struct goal_day day = evaluate_bucket(goal, zone, bucket, points, n);

		if (day.readings > 0)
			days[n_days++] = day;
	}
	goal_combine(goal, first_day, days, n_days, ret);
}

enum goal_state goal_state_at(const struct goal *goal, const struct goal_span *span,
			      const struct goal_progress *progress, int64_t now_ms)
{
	if (progress->asked == 0)
		return GOAL_PAUSED;
	if (now_ms < span->end_ms)
		return goal->paused ? GOAL_PAUSED : GOAL_OPEN;
	return now_ms < span->end_ms + GOAL_GRACE_MS ? GOAL_PROVISIONAL : GOAL_CLOSED;
}

/* More readings may take such a rule's result back again. */
static bool is_decided_late(const struct goal *goal)
{
	return goal->rule == GOAL_MEAN_PER_PERIOD || goal->rule == GOAL_TREND ||
	       goal->rule == GOAL_RANGE_MEAN;
}

enum goal_outcome goal_outcome_of(const struct goal *goal, const struct goal_progress *progress,
				  enum goal_state state)
{
	bool running = state == GOAL_OPEN || state == GOAL_PAUSED;

	if (progress->readings == 0)
		return GOAL_NO_DATA;
	if (progress->met && !(running && is_decided_late(goal)))
		return GOAL_MET;
	return running || progress->enough ? GOAL_IN_PROGRESS : GOAL_NOT_ENOUGH_DATA;
}

enum goal_achievement goal_achievement_of(const struct goal *goal,
					  const struct goal_progress *progress,
					  enum goal_state state, enum goal_outcome outcome,
					  unsigned int met_before)
{
	if (goal->rule == GOAL_TREND && progress->towards)
		return GOAL_ACHIEVEMENT_IMPROVING;
	if (outcome == GOAL_MET)
		return met_before + 1 >= GOAL_SUSTAINED_MET ? GOAL_ACHIEVEMENT_SUSTAINING
							    : GOAL_ACHIEVEMENT_ACHIEVED;
	return state == GOAL_CLOSED ? GOAL_ACHIEVEMENT_NONE : GOAL_ACHIEVEMENT_IN_PROGRESS;
}
