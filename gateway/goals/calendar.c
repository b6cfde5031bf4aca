#include "gateway/goals/calendar.h"

enum {
	WEEK_DAYS = 7,
	THURSDAY = 3, /* 1970-01-01, with Monday 0 */
};

static int64_t floor_div(int64_t a, int64_t b)
{
	return a / b - (a % b < 0);
}

bool goal_is_by_day(const struct goal *goal)
{
	return goal->rule != GOAL_SUM_PER_PERIOD && goal->rule != GOAL_MEASURE_REGULARLY &&
	       goal->rule != GOAL_RANGE_MEAN;
}

bool goal_is_of_sleep(const struct goal *goal)
{
	const struct metric_info *info = metric_info(goal->metric);

	return info && info->group == GROUP_SLEEP;
}

int64_t goal_period_days(const struct goal *goal)
{
	if (goal->period == GOAL_COURSE)
		return goal->ends_on - goal->starts_on;
	return goal->period == GOAL_WEEK ? WEEK_DAYS : 1;
}

int64_t goal_period_of(const struct goal *goal, int64_t day)
{
	int64_t since_start = day + THURSDAY - ((int64_t)goal->week_start - 1);

	if (goal->period == GOAL_COURSE)
		return goal->starts_on; /* there is one; other days are kept out (tag.c) */
	if (goal->period != GOAL_WEEK)
		return day;
	return day - (since_start - WEEK_DAYS * floor_div(since_start, WEEK_DAYS));
}

struct goal_span goal_period_span(const struct goal *goal, const struct zone *zone,
				  int64_t first_day)
{
	return (struct goal_span){
		.start_ms = zone_day_start(zone, first_day) * 1000,
		.end_ms = zone_day_start(zone, first_day + goal_period_days(goal)) * 1000,
	};
}

struct goal_span goal_span_of(const struct goal *goal, const struct zone *zone, int64_t at_ms,
			      int64_t *ret_first_day)
{
	int64_t first = goal_period_of(goal, zone_day_of(zone, floor_div(at_ms, 1000)));

	*ret_first_day = first;
	return goal_period_span(goal, zone, first);
}

static bool is_by_night(const struct goal *goal)
{
	return goal_is_by_day(goal) && goal_is_of_sleep(goal);
}

int64_t goal_bucket_of(const struct goal *goal, const struct zone *zone, int64_t at_ms)
{
	int64_t at_s = floor_div(at_ms, 1000), day;

	if (is_by_night(goal))
		return zone_night_of(zone, at_s);
	day = zone_day_of(zone, at_s);
	return goal_is_by_day(goal) ? day : goal_period_of(goal, day);
}

struct goal_span goal_bucket_span(const struct goal *goal, const struct zone *zone, int64_t bucket)
{
	if (is_by_night(goal))
		return (struct goal_span){ zone_night_start(zone, bucket) * 1000,
					   zone_night_start(zone, bucket + 1) * 1000 };
	if (goal_is_by_day(goal))
		return (struct goal_span){ zone_day_start(zone, bucket) * 1000,
					   zone_day_start(zone, bucket + 1) * 1000 };
	return goal_period_span(goal, zone, bucket);
}

struct goal_window goal_window_of(const struct goal *goal, int64_t first_day)
{
	int64_t end = first_day + goal_period_days(goal);

	return (struct goal_window){
		.from = goal->rule == GOAL_TREND ? end - GOAL_TREND_DAYS : first_day,
		.to = end,
	};
}
