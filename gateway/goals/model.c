#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "gateway/goals/goals.h"
#include "gateway/goals/zone.h"
#include "gateway/text.h"

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

static bool is_of_sleep(unsigned int metric)
{
	return metric_info(metric)->group == GROUP_SLEEP;
}

/* what the rule makes of the metric */
static const char *problem_of_metric(const struct goal *g)
{
	switch (g->rule) {
	case GOAL_MEASURE_REGULARLY:
		return NULL;
	case GOAL_TREND:
		return g->metric == METRIC_BODY_WEIGHT ? NULL : "a trend is of body_weight";
	case GOAL_RANGE_MEAN:
		return g->metric == METRIC_BLOOD_PRESSURE
			       ? NULL
			       : "a course at home (range_mean) is of blood_pressure";
	case GOAL_SUM_PER_PERIOD:
	case GOAL_MEAN_PER_PERIOD:
	case GOAL_COUNT_DAYS:
	case GOAL_NIGHTS_MEETING:
		break;
	default:
		return "the rule is not known";
	}
	if (!adds_up(g->metric))
		return "this metric does not add up over time; the rule \"measure\" does fit";
	if (g->rule == GOAL_NIGHTS_MEETING && !is_of_sleep(g->metric))
		return "nights are of sleep_duration; for other metrics count days";
	if (g->rule == GOAL_COUNT_DAYS && is_of_sleep(g->metric))
		return "sleep is counted in nights";
	return NULL;
}

static const char *problem_of_rule(const struct goal *g)
{
	const char *problem;

	if (!metric_info(g->metric))
		return "the metric is not known";
	if (is_food(g->metric))
		return "goals on energy or food can do harm and are not offered";
	if (is_by_the_way(g->metric))
		return "this metric says nothing that a person can work towards";
	problem = problem_of_metric(g);
	if (problem)
		return problem;
	if ((g->rule == GOAL_RANGE_MEAN) != (g->period == GOAL_COURSE))
		return "the period \"course\" and the rule range_mean belong together";
	if (g->period != GOAL_DAY && g->period != GOAL_WEEK && g->period != GOAL_COURSE)
		return "the period is day, week or course";
	if (g->period == GOAL_DAY && g->rule != GOAL_SUM_PER_PERIOD &&
	    g->rule != GOAL_MEASURE_REGULARLY)
		return "for this rule the period is a week";
	if (g->week_start < 1 || g->week_start > DAYS_OF_WEEK)
		return "the week starts on a day from 1 (Monday) to 7";
	return NULL;
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

static const char *problem_of_days(const struct goal *g)
{
	if (!is_whole(g->target) || !is_within(g->target, (struct decimal){ 1, 0 }, DAYS_OF_WEEK))
		return "the target is a whole number of days or nights, 1 to 7";
	if (!is_above_zero(g->day_target))
		return "what a day or night needs (day_target) is above zero";
	if (!is_within(g->day_target, metric_info(g->metric)->hard_max.limit, 1))
		return "what a day or night needs (day_target) is more than anybody does";
	return NULL;
}

/* Limits of a mean at home; what they are to be is for a professional to say. */
static const char *problem_of_course(const struct goal *g)
{
	const int64_t days = g->ends_on - g->starts_on;

	if (g->starts_on == INT64_MIN || g->ends_on == 0 || days < GOAL_COURSE_MIN_DAYS ||
	    days > GOAL_COURSE_MAX_DAYS)
		return "a course has a day on which it starts, and ends 4 to 31 days later";
	if (g->agreed_by != GOAL_AGREED_BY_PROFESSIONAL)
		return "a course is agreed with a professional first (agreed_by)";
	if (!is_above_zero(g->target) || !is_above_zero(g->diastolic_target) ||
	    decimal_compare(g->diastolic_target, g->target) >= 0 ||
	    !is_within(g->target, metric_info(METRIC_SYSTOLIC)->hard_max.limit, 1))
		return "a course needs both limits, like 135 (target) and 85 (diastolic_target)";
	return NULL;
}

static const char *problem_of_target(const struct goal *g)
{
	const int64_t days = g->period == GOAL_WEEK ? DAYS_OF_WEEK : 1;
	struct decimal limit = { TIMES_A_DAY_MAX, 0 };

	if (g->rule == GOAL_TREND)
		return NULL;
	if (g->rule == GOAL_RANGE_MEAN)
		return problem_of_course(g);
	if (!is_above_zero(g->target))
		return "the target is above zero";
	if (g->min_points > DAYS_OF_WEEK)
		return "a week has no more than 7 days to look at (min_points)";
	if (g->rule == GOAL_COUNT_DAYS || g->rule == GOAL_NIGHTS_MEETING)
		return problem_of_days(g);
	if (g->rule == GOAL_MEASURE_REGULARLY && !is_whole(g->target))
		return "the target is a whole number of times";
	if (g->rule != GOAL_MEASURE_REGULARLY)
		limit = metric_info(g->metric)->hard_max.limit; /* of a day */
	if (!is_within(g->target, limit, g->rule == GOAL_MEAN_PER_PERIOD ? 1 : days))
		return "the target is more than anybody does";
	return NULL;
}

/* Is the weight one of a BMI below 18.5? grams / 1000 < 18.5 * (mm / 1000)^2 */
static bool is_underweight(struct decimal kg, unsigned int height_mm)
{
	struct decimal limit = { (int64_t)height_mm * height_mm * 185, -7 };

	return decimal_compare(kg, limit) < 0;
}

static const char *problem_of_weight_to_get_to(const struct goal *g)
{
	if (decimal_compare(g->target, (struct decimal){ 0, 0 }) == 0)
		return g->direction == GOAL_DOWN ? "a weight that goes down needs one to stop at "
						   "(target)"
						 : NULL;
	if (g->direction == GOAL_STEADY)
		return "a steady weight has no target";
	if (g->height_mm < HEIGHT_MIN_MM || g->height_mm > HEIGHT_MAX_MM)
		return "a weight to get to needs the person's height: without it nobody can tell "
		       "whether it is safe";
	if (is_underweight(g->target, g->height_mm))
		return "a weight below a BMI of 18.5 can do harm and is not offered";
	if (!is_within(g->target, metric_info(g->metric)->hard_max.limit, 1))
		return "the target is more than anybody weighs";
	return NULL;
}

static const char *problem_of_trend(const struct goal *g)
{
	if (g->rule != GOAL_TREND)
		return NULL;
	if (g->agreed_by != GOAL_AGREED_BY_PROFESSIONAL)
		return "a goal on weight is agreed with a professional first (agreed_by)";
	if (g->direction != GOAL_STEADY && g->direction != GOAL_DOWN && g->direction != GOAL_UP)
		return "the direction is steady, down or up";
	if (g->band.mantissa < 0 || !is_within(g->band, (struct decimal){ BAND_MAX_KG, 0 }, 1))
		return "the band is 0.1 to 5 kg";
	return problem_of_weight_to_get_to(g);
}

/* Numbers on a body, or to chase day by day, make eating disorders worse (domain.md 2.4). */
static const char *problem_of_care(const struct goal *g)
{
	if (!g->eating_disorder)
		return NULL;
	if (metric_info(g->metric)->group == GROUP_WEIGHT)
		return "with an eating disorder no goal is on weight; a professional can weigh in "
		       "with the person";
	if (g->rule != GOAL_MEASURE_REGULARLY && g->agreed_by != GOAL_AGREED_BY_PROFESSIONAL)
		return "with an eating disorder a number to reach is agreed with a professional "
		       "first (agreed_by)";
	return NULL;
}

static bool is_day(int64_t day)
{
	return day >= 0 && day < LAST_DAY;
}

static const char *problem_of_end(const struct goal *g)
{
	if ((g->starts_on != INT64_MIN && !is_day(g->starts_on)) ||
	    (g->ends_on != 0 && !is_day(g->ends_on)))
		return "a goal starts and ends on a day of these centuries";
	if (g->ends_on != 0 && g->starts_on != INT64_MIN && g->ends_on <= g->starts_on)
		return "a goal ends after it starts";
	return NULL;
}

static const char *problem_of_pauses(const struct goal *g)
{
	if (g->n_pauses > GOAL_PAUSES_MAX)
		return "a goal has at most 8 pauses";
	for (size_t i = 0; i < g->n_pauses; i++) {
		if (g->pauses[i].from_day >= g->pauses[i].to_day)
			return "a pause ends after it begins";
	}
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
		problem_of_text,  problem_of_end,  problem_of_rule,   problem_of_target,
		problem_of_trend, problem_of_care, problem_of_pauses, problem_of_zone
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

int goal_check_version(const struct goal *goal, const struct goal *next, const char **ret_problem)
{
	const char *problem = NULL;

	if (next->version == goal->version)
		problem = "a version is there twice";
	else if (next->starts_on == goal->starts_on ||
		 (next->version > goal->version) != (next->starts_on > goal->starts_on))
		problem = "a later version starts later";
	else if (next->metric != goal->metric || next->rule != goal->rule ||
		 next->period != goal->period || next->week_start != goal->week_start)
		problem = "another metric, rule, period or start of the week is another goal";
	else if (next->period == GOAL_COURSE)
		problem = "a course has one version; stop it and begin another";
	else if (strcmp(next->time_zone, goal->time_zone) != 0 ||
		 strcmp(next->subject, goal->subject) != 0)
		problem = "all versions of a goal have one person and one time zone";
	if (!problem)
		return 0;
	*ret_problem = problem;
	return -EINVAL;
}
