/*
 * The trend of a weight: Theil-Sen, the median of the slopes between all pairs of days. One
 * weigh-in in heavy boots does not turn it. All in integers: half grams and whole days, so a
 * slope is a fraction and nothing is rounded before the last step.
 */
#include <stdlib.h>

#include "gateway/goals/calendar.h"
#include "gateway/goals/evaluate.h"

enum {
	PAIRS_MAX = GOAL_TREND_DAYS * (GOAL_TREND_DAYS - 1) / 2,
	REVIEW_DAYS = 7,
	GRAM = -3, /* exponent of a kilogram */
};

struct slope {
	int64_t half_grams, days; /* days > 0 */
};

struct decimal goal_band(const struct goal *goal)
{
	return goal->band.mantissa > 0 ? goal->band : (struct decimal){ 1, 0 };
}

static int compare_slopes(const void *a, const void *b)
{
	const struct slope *x = a, *y = b;
	int64_t left = x->half_grams * y->days, right = y->half_grams * x->days;

	return (left > right) - (left < right);
}

static struct slope median_slope(const struct goal_day *days, size_t n)
{
	struct slope slopes[PAIRS_MAX] = { { 0 } }, a, b;
	size_t pairs = 0;

	for (size_t i = 0; i < n; i++) {
		for (size_t k = i + 1; k < n; k++)
			slopes[pairs++] = (struct slope){ days[k].half_grams - days[i].half_grams,
							  days[k].day - days[i].day };
	}
	qsort(slopes, pairs, sizeof(slopes[0]), compare_slopes);
	b = slopes[pairs / 2];
	if (pairs % 2)
		return b;
	a = slopes[pairs / 2 - 1];
	return (struct slope){ a.half_grams * b.days + b.half_grams * a.days, 2 * a.days * b.days };
}

/* kg in GOAL_TREND_DAYS, rounded half to even to the gram */
static struct decimal change_of(const struct goal_day *days, size_t n)
{
	struct slope slope = median_slope(days, n);
	struct decimal grams = { 0, 0 };

	(void)decimal_scale((struct decimal){ slope.half_grams, 0 }, 0,
			    (struct decimal){ GOAL_TREND_DAYS, 0 },
			    (struct decimal){ slope.days * 2, 0 }, 0, &grams);
	(void)decimal_rescale(grams, 0, &grams);
	return (struct decimal){ grams.mantissa, GRAM };
}

static enum goal_direction going(const struct goal *goal, struct decimal change)
{
	struct decimal band = goal_band(goal), below = { -band.mantissa, band.exponent };

	if (decimal_compare(change, below) < 0)
		return GOAL_DOWN;
	return decimal_compare(change, band) > 0 ? GOAL_UP : GOAL_STEADY;
}

/* The weight a goal is about is one to get to and to stay at: on arrival the trend may still
 * point on, but going on past it is no success. */
static void judge(const struct goal *goal, const struct goal_day *last, struct goal_progress *p)
{
	enum goal_direction way = going(goal, p->value);
	struct decimal from_target = { last->half_grams * 5, GRAM - 1 }, size;
	struct decimal target = { -goal->target.mantissa, goal->target.exponent };
	bool there = false, near = false;

	if (goal->direction == GOAL_STEADY) {
		p->met = way == GOAL_STEADY;
		return;
	}
	if (goal->target.mantissa > 0 && decimal_add(from_target, target, &from_target) == 0) {
		there = goal->direction == GOAL_DOWN ? from_target.mantissa <= 0
						     : from_target.mantissa >= 0;
		size = from_target;
		size.mantissa = size.mantissa < 0 ? -size.mantissa : size.mantissa;
		near = decimal_compare(size, goal_band(goal)) <= 0;
	}
	p->towards = !there && way == goal->direction;
	p->met = p->towards || (there && (near || way != goal->direction));
}

/* Two weights of one week, the later in this period, that are far apart: a typing error, another
 * person on the scale, or something that a professional should know. */
static bool needs_review(const struct goal_day *days, size_t n, int64_t first_day)
{
	const int64_t limit = GOAL_REVIEW_GRAMS;

	for (size_t i = 0; i < n; i++) {
		for (size_t k = i + 1; k < n; k++) {
			int64_t by = days[k].half_grams - days[i].half_grams;

			if (days[k].day >= first_day && days[k].day - days[i].day <= REVIEW_DAYS &&
			    (by > 2 * limit || by < -2 * limit))
				return true;
		}
	}
	return false;
}

void goal_trend(const struct goal *goal, int64_t first_day, const struct goal_day *days, size_t n,
		struct goal_progress *ret)
{
	struct goal_day seen[GOAL_TREND_DAYS];
	size_t n_seen = 0, weigh_ins = 0, weeks = 0;

	for (size_t i = 0; i < n; i++) {
		ret->readings += days[i].readings;
		if (days[i].n_weights == 0 || goal_is_paused_on(goal, days[i].day))
			continue;
		weigh_ins += days[i].n_weights;
		weeks += n_seen == 0 || goal_period_of(goal, seen[n_seen - 1].day) !=
						goal_period_of(goal, days[i].day);
		seen[n_seen++] = days[i];
	}
	ret->observed = (uint32_t)n_seen;
	ret->enough = weigh_ins >= GOAL_TREND_MIN && weeks >= GOAL_TREND_WEEKS;
	ret->review = needs_review(seen, n_seen, first_day);
	if (!ret->enough)
		return;
	ret->value = change_of(seen, n_seen);
	judge(goal, &seen[n_seen - 1], ret);
}
