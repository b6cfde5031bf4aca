#include "gateway/goals/calendar.h"

enum {
	WEEK_DAYS = 7,
	THURSDAY = 3, /* 1970-01-01, with Monday 0 */
};

static int64_t floor_div(int64_t a, int64_t b)
{
	return a / b - (a % b < 0);
}

struct goal_span goal_span_of(const struct goal *goal, const struct zone *zone, int64_t at_ms,
			      int64_t *ret_first_day)
{
	int64_t first = zone_day_of(zone, floor_div(at_ms, 1000));
	int64_t days = 1;

	if (goal->period == GOAL_WEEK) {
		int64_t since_start = first + THURSDAY - ((int64_t)goal->week_start - 1);

		first -= since_start - WEEK_DAYS * floor_div(since_start, WEEK_DAYS);
		days = WEEK_DAYS;
	}
	*ret_first_day = first;
	return (struct goal_span){ .start_ms = zone_day_start(zone, first) * 1000,
				   .end_ms = zone_day_start(zone, first + days) * 1000 };
}
