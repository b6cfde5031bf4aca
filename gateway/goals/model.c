#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "gateway/goals/goals.h"
#include "gateway/goals/zone.h"
#include "gateway/text.h"
#include "gateway/words/words.h"

enum {
	TIMES_A_DAY_MAX = 12,
	DAYS_OF_WEEK = 7,
	HEIGHT_MIN_MM = 1000, /* of a grown-up */
	HEIGHT_MAX_MM = 2500,
	BAND_MAX_KG = 5,
	LAST_DAY = 100000, /* in the year 2243 */
};

static bool is_id(const char *id)
{
	size_t len = strnlen(id, sizeof(((struct goal *)NULL)->id));

	if (len == 0 || len == sizeof(((struct goal *)NULL)->id))
		return false;
	for (size_t i = 0; i < len; i++) {
		if (!islower((unsigned char)id[i]) && !isdigit((unsigned char)id[i]) &&
		    id[i] != '-')
			return false;
	}
	return true;
}

/* Does it make sense to add two of these up? */
static bool adds_up(unsigned int metric)
{
	static const uint8_t sums[] = { METRIC_STEPS,
					METRIC_DISTANCE,
					METRIC_FLOORS,
					METRIC_ACTIVE_MINUTES,
					METRIC_ACTIVE_ZONE_MINUTES,
					METRIC_SLEEP_DURATION,
					METRIC_EXERCISE_DURATION };

	return memchr(sums, (int)metric, sizeof(sums)) != NULL;
}

/* Energy and food: numbers that make eating disorders worse. */
static bool is_food(unsigned int metric)
{
	return metric == METRIC_ENERGY || metric == METRIC_BASAL_METABOLISM ||
	       metric == METRIC_CARBOHYDRATE;
}

/* what a device says about itself or while it measures */
static bool is_by_the_way(unsigned int metric)
{
	return metric == METRIC_BATTERY_LEVEL || metric == METRIC_CUFF_PRESSURE ||
	       metric == METRIC_RR_INTERVAL;
}

static enum words_id problem_of_text(const struct goal *g)
{
	if (!is_id(g->id))
		return WORDS_SET_NAME;
	if (strnlen(g->title, sizeof(g->title)) == sizeof(g->title) || !text_is_clean(g->title))
		return WORDS_SET_TITLE;
	if (strnlen(g->subject, sizeof(g->subject)) == sizeof(g->subject) ||
	    !text_is_clean(g->subject))
		return WORDS_SET_SUBJECT;
	return WORDS_NONE;
}

static bool is_of_sleep(unsigned int metric)
{
	return metric_info(metric)->group == GROUP_SLEEP;
}

/* what the rule makes of the metric */
static enum words_id problem_of_metric(const struct goal *g)
{
	switch (g->rule) {
	case GOAL_MEASURE_REGULARLY:
		return WORDS_NONE;
	case GOAL_TREND:
		return g->metric == METRIC_BODY_WEIGHT ? WORDS_NONE : WORDS_SET_TREND_WEIGHT;
	case GOAL_RANGE_MEAN:
		return g->metric == METRIC_BLOOD_PRESSURE ? WORDS_NONE : WORDS_SET_COURSE_PRESSURE;
	case GOAL_SUM_PER_PERIOD:
	case GOAL_MEAN_PER_PERIOD:
	case GOAL_COUNT_DAYS:
	case GOAL_NIGHTS_MEETING:
		break;
	default:
		return WORDS_SET_RULE;
	}
	if (!adds_up(g->metric))
		return WORDS_SET_ADDS_UP;
	if (g->rule == GOAL_NIGHTS_MEETING && !is_of_sleep(g->metric))
		return WORDS_SET_NIGHTS_SLEEP;
	if (g->rule == GOAL_COUNT_DAYS && is_of_sleep(g->metric))
		return WORDS_SET_SLEEP_NIGHTS;
	return WORDS_NONE;
}

static enum words_id problem_of_rule(const struct goal *g)
{
	enum words_id problem;

	if (!metric_info(g->metric))
		return WORDS_SET_METRIC;
	if (is_food(g->metric))
		return WORDS_SET_FOOD;
	if (is_by_the_way(g->metric))
		return WORDS_SET_BY_THE_WAY;
	problem = problem_of_metric(g);
	if (problem != WORDS_NONE)
		return problem;
	if ((g->rule == GOAL_RANGE_MEAN) != (g->period == GOAL_COURSE))
		return WORDS_SET_COURSE_MEAN;
	if (g->period != GOAL_DAY && g->period != GOAL_WEEK && g->period != GOAL_COURSE)
		return WORDS_SET_PERIOD;
	if (g->period == GOAL_DAY && g->rule != GOAL_SUM_PER_PERIOD &&
	    g->rule != GOAL_MEASURE_REGULARLY)
		return WORDS_SET_PERIOD_WEEK;
	if (g->week_start < 1 || g->week_start > DAYS_OF_WEEK)
		return WORDS_SET_WEEK_START;
	return WORDS_NONE;
}

static bool is_whole(struct decimal d)
{
	struct decimal whole;

	return decimal_rescale(d, 0, &whole) == 0 && decimal_compare(whole, d) == 0;
}

static bool is_above_zero(struct decimal d)
{
	return decimal_compare(d, (struct decimal){ 0, 0 }) > 0;
}

/* no more than `limit` a day, for so many days */
static bool is_within(struct decimal target, struct decimal limit, int64_t days)
{
	return decimal_scale(limit, 0, (struct decimal){ days, 0 }, (struct decimal){ 1, 0 }, 0,
			     &limit) == 0 &&
	       decimal_compare(target, limit) <= 0;
}

static enum words_id problem_of_days(const struct goal *g)
{
	if (!is_whole(g->target) || !is_within(g->target, (struct decimal){ 1, 0 }, DAYS_OF_WEEK))
		return WORDS_SET_DAYS;
	if (!is_above_zero(g->day_target))
		return WORDS_SET_DAY_ZERO;
	if (!is_within(g->day_target, metric_info(g->metric)->hard_max.limit, 1))
		return WORDS_SET_DAY_TOO_MUCH;
	return WORDS_NONE;
}

/* Limits of a mean at home; what they are to be is for a professional to say. */
static enum words_id problem_of_course(const struct goal *g)
{
	const int64_t days = g->ends_on - g->starts_on;

	if (g->starts_on == INT64_MIN || g->ends_on == 0 || days < GOAL_COURSE_MIN_DAYS ||
	    days > GOAL_COURSE_MAX_DAYS)
		return WORDS_SET_COURSE_DAYS;
	if (g->agreed_by != GOAL_AGREED_BY_PROFESSIONAL)
		return WORDS_SET_COURSE_AGREED;
	if (!is_above_zero(g->target) || !is_above_zero(g->diastolic_target) ||
	    decimal_compare(g->diastolic_target, g->target) >= 0 ||
	    !is_within(g->target, metric_info(METRIC_SYSTOLIC)->hard_max.limit, 1))
		return WORDS_SET_COURSE_LIMITS;
	return WORDS_NONE;
}

static enum words_id problem_of_target(const struct goal *g)
{
	const int64_t days = g->period == GOAL_WEEK ? DAYS_OF_WEEK : 1;
	struct decimal limit = { TIMES_A_DAY_MAX, 0 };

	if (g->rule == GOAL_TREND)
		return WORDS_NONE;
	if (g->rule == GOAL_RANGE_MEAN)
		return problem_of_course(g);
	if (!is_above_zero(g->target))
		return WORDS_SET_ZERO;
	if (g->min_points > DAYS_OF_WEEK)
		return WORDS_SET_POINTS;
	if (g->rule == GOAL_COUNT_DAYS || g->rule == GOAL_NIGHTS_MEETING)
		return problem_of_days(g);
	if (g->rule == GOAL_MEASURE_REGULARLY && !is_whole(g->target))
		return WORDS_SET_TIMES;
	if (g->rule != GOAL_MEASURE_REGULARLY)
		limit = metric_info(g->metric)->hard_max.limit; /* of a day */
	if (!is_within(g->target, limit, g->rule == GOAL_MEAN_PER_PERIOD ? 1 : days))
		return WORDS_SET_TOO_MUCH;
	return WORDS_NONE;
}

/* Is the weight one of a BMI below 18.5? grams / 1000 < 18.5 * (mm / 1000)^2 */
static bool is_underweight(struct decimal kg, unsigned int height_mm)
{
	struct decimal limit = { (int64_t)height_mm * height_mm * 185, -7 };

	return decimal_compare(kg, limit) < 0;
}

static enum words_id problem_of_weight_to_get_to(const struct goal *g)
{
	if (decimal_compare(g->target, (struct decimal){ 0, 0 }) == 0)
		return g->direction == GOAL_DOWN ? WORDS_SET_WEIGHT_DOWN : WORDS_NONE;
	if (g->direction == GOAL_STEADY)
		return WORDS_SET_WEIGHT_STEADY;
	if (g->height_mm < HEIGHT_MIN_MM || g->height_mm > HEIGHT_MAX_MM)
		return WORDS_SET_HEIGHT;
	if (is_underweight(g->target, g->height_mm))
		return WORDS_SET_UNDERWEIGHT;
	if (!is_within(g->target, metric_info(g->metric)->hard_max.limit, 1))
		return WORDS_SET_WEIGHT_TOO_MUCH;
	return WORDS_NONE;
}

static enum words_id problem_of_trend(const struct goal *g)
{
	if (g->rule != GOAL_TREND)
		return WORDS_NONE;
	if (g->agreed_by != GOAL_AGREED_BY_PROFESSIONAL)
		return WORDS_SET_WEIGHT_AGREED;
	if (g->direction != GOAL_STEADY && g->direction != GOAL_DOWN && g->direction != GOAL_UP)
		return WORDS_SET_DIRECTION;
	if (g->band.mantissa < 0 || !is_within(g->band, (struct decimal){ BAND_MAX_KG, 0 }, 1))
		return WORDS_SET_BAND;
	return problem_of_weight_to_get_to(g);
}

/* Numbers on a body, or to chase day by day, make eating disorders worse (domain.md 2.4). */
static enum words_id problem_of_care(const struct goal *g)
{
	if (!g->eating_disorder)
		return WORDS_NONE;
	if (metric_info(g->metric)->group == GROUP_WEIGHT)
		return WORDS_SET_CARE_WEIGHT;
	if (g->rule != GOAL_MEASURE_REGULARLY && g->agreed_by != GOAL_AGREED_BY_PROFESSIONAL)
		return WORDS_SET_CARE_NUMBER;
	return WORDS_NONE;
}

static bool is_day(int64_t day)
{
	return day >= 0 && day < LAST_DAY;
}

static enum words_id problem_of_end(const struct goal *g)
{
	if ((g->starts_on != INT64_MIN && !is_day(g->starts_on)) ||
	    (g->ends_on != 0 && !is_day(g->ends_on)))
		return WORDS_SET_DATES;
	if (g->ends_on != 0 && g->starts_on != INT64_MIN && g->ends_on <= g->starts_on)
		return WORDS_SET_END;
	return WORDS_NONE;
}

static enum words_id problem_of_pauses(const struct goal *g)
{
	if (g->n_pauses > GOAL_PAUSES_MAX)
		return WORDS_SET_PAUSES;
	for (size_t i = 0; i < g->n_pauses; i++) {
		if (g->pauses[i].from_day >= g->pauses[i].to_day)
			return WORDS_SET_PAUSE_END;
	}
	return WORDS_NONE;
}

static enum words_id problem_of_zone(const struct goal *g)
{
	struct zone *zone;

	if (strnlen(g->time_zone, sizeof(g->time_zone)) == sizeof(g->time_zone) ||
	    zone_load(g->time_zone, &zone) < 0)
		return WORDS_SET_ZONE;
	zone_free(zone);
	return WORDS_NONE;
}

int goal_check(const struct goal *goal, const char **ret_problem)
{
	static enum words_id (*const checks[])(const struct goal *) = {
		problem_of_text,  problem_of_end,  problem_of_rule,   problem_of_target,
		problem_of_trend, problem_of_care, problem_of_pauses, problem_of_zone
	};

	for (size_t i = 0; i < sizeof(checks) / sizeof(checks[0]); i++) {
		const enum words_id problem = checks[i](goal);

		if (problem != WORDS_NONE) {
			*ret_problem = words_text(WORDS_EN, problem);
			return -EINVAL;
		}
	}
	return 0;
}

int goal_check_version(const struct goal *goal, const struct goal *next, const char **ret_problem)
{
	enum words_id problem = WORDS_NONE;

	if (next->version == goal->version)
		problem = WORDS_SET_VERSION_TWICE;
	else if (next->starts_on == goal->starts_on ||
		 (next->version > goal->version) != (next->starts_on > goal->starts_on))
		problem = WORDS_SET_VERSION_LATER;
	else if (next->metric != goal->metric || next->rule != goal->rule ||
		 next->period != goal->period || next->week_start != goal->week_start)
		problem = WORDS_SET_ANOTHER_GOAL;
	else if (next->period == GOAL_COURSE)
		problem = WORDS_SET_COURSE_VERSION;
	else if (strcmp(next->time_zone, goal->time_zone) != 0 ||
		 strcmp(next->subject, goal->subject) != 0)
		problem = WORDS_SET_VERSION_SAME;
	if (problem == WORDS_NONE)
		return 0;
	*ret_problem = words_text(WORDS_EN, problem);
	return -EINVAL;
}
