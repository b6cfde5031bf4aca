#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "gateway/goals/goals.h"
#include "gateway/goals/zone.h"
#include "gateway/text.h"

enum {
	TIMES_A_DAY_MAX = 12,
	DAYS_OF_WEEK = 7,
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

static const char *problem_of_text(const struct goal *g)
{
	if (!is_id(g->id))
		return "a goal's name is 1 to 32 of a-z, 0-9 and \"-\"";
	if (strnlen(g->title, sizeof(g->title)) == sizeof(g->title) || !text_is_clean(g->title))
		return "the title is UTF-8 text of at most 128 bytes";
	if (strnlen(g->subject, sizeof(g->subject)) == sizeof(g->subject) ||
	    !text_is_clean(g->subject))
		return "the subject is UTF-8 text of at most 64 bytes";
	return NULL;
}

static const char *problem_of_rule(const struct goal *g)
{
	if (!metric_info(g->metric))
		return "the metric is not known";
	if (is_food(g->metric))
		return "goals on energy or food can do harm and are not offered";
	if (is_by_the_way(g->metric))
		return "this metric says nothing that a person can work towards";
	if (g->rule != GOAL_SUM_PER_PERIOD && g->rule != GOAL_MEASURE_REGULARLY)
		return "the rule is sum or measure";
	if (g->rule == GOAL_SUM_PER_PERIOD && !adds_up(g->metric))
		return "this metric does not add up over time; the rule \"measure\" does fit";
	if (g->period != GOAL_DAY && g->period != GOAL_WEEK)
		return "the period is day or week";
	if (g->week_start < 1 || g->week_start > DAYS_OF_WEEK)
		return "the week starts on a day from 1 (Monday) to 7";
	return NULL;
}

static const char *problem_of_target(const struct goal *g)
{
	struct decimal days = { g->period == GOAL_WEEK ? DAYS_OF_WEEK : 1, 0 }, one = { 1, 0 };
	struct decimal limit = { TIMES_A_DAY_MAX, 0 }, whole;

	if (decimal_compare(g->target, (struct decimal){ 0, 0 }) <= 0)
		return "the target is above zero";
	if (g->rule == GOAL_MEASURE_REGULARLY) {
		if (decimal_rescale(g->target, 0, &whole) < 0 ||
		    decimal_compare(whole, g->target) != 0)
			return "the target is a whole number of times";
	} else {
		limit = metric_info(g->metric)->hard_max.limit; /* of a day */
	}
	if (decimal_scale(limit, 0, days, one, 0, &limit) < 0 ||
	    decimal_compare(g->target, limit) > 0)
		return "the target is more than anybody does";
	return NULL;
}

static const char *problem_of_zone(const struct goal *g)
{
	struct zone *zone;

	if (strnlen(g->time_zone, sizeof(g->time_zone)) == sizeof(g->time_zone) ||
	    zone_load(g->time_zone, &zone) < 0)
		return "the time zone is not known here (an example: Europe/London)";
	zone_free(zone);
	return NULL;
}

int goal_check(const struct goal *goal, const char **ret_problem)
{
	static const char *(*const checks[])(const struct goal *) = {
		problem_of_text, problem_of_rule, problem_of_target, problem_of_zone
	};

	for (size_t i = 0; i < sizeof(checks) / sizeof(checks[0]); i++) {
		const char *problem = checks[i](goal);

		if (problem) {
			*ret_problem = problem;
			return -EINVAL;
		}
	}
	return 0;
}
