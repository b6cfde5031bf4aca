/*
 * RANGE_MEAN: the blood-pressure course at home as a goal. The course itself is home_bp.c, which
 * knows nothing of goals; here its readings come out of points, and its answer becomes progress.
 */
#include <string.h>

#include "gateway/goals/calendar.h"
#include "gateway/goals/evaluate.h"
#include "gateway/goals/home_bp.h"

static size_t readings_of(const struct goal_point *points, size_t n,
			  struct home_bp_reading ret[GOAL_COURSE_POINTS])
{
	if (n > GOAL_COURSE_POINTS)
		n = GOAL_COURSE_POINTS; /* the book takes no more of them */
	for (size_t i = 0; i < n; i++)
		ret[i] = (struct home_bp_reading){
			.at_ms = points[i].at_ms,
			.systolic = { points[i].mantissa, points[i].exponent },
			.diastolic = { points[i].diastolic, -3 },
		};
	return n;
}

static void take(const struct home_bp_result *from, struct goal_progress *ret)
{
	ret->value = (struct decimal){ from->readings, 0 };
	ret->readings = from->readings + from->discarded;
	ret->observed = from->dates;
	ret->begun = from->state != HOME_BP_NOT_BEGUN;
	ret->more_days = from->more_dates;
	ret->more_readings = from->more_readings;
	ret->enough = from->state == HOME_BP_COMPLETE;
	ret->has_means = from->has_mean;
	ret->met = from->has_mean && from->both_below;
	if (!from->has_mean)
		return;
	ret->means[0] = from->systolic;
	ret->means[1] = from->diastolic;
}

void goal_course(const struct goal *goal, const struct zone *zone, const struct goal_point *points,
		 size_t n, struct goal_progress *ret)
{
	const struct goal_span span = goal_period_span(goal, zone, goal->starts_on);
	const struct home_bp_course course = {
		.zone = zone,
		.from_ms = span.start_ms,
		.until_ms = span.end_ms,
		.systolic_below = goal->target,
		.diastolic_below = goal->diastolic_target,
		.average = goal->average,
	};
	struct goal_progress p = { .asked = goal_days_asked(goal, goal->starts_on) };
	struct home_bp_reading readings[GOAL_COURSE_POINTS];
	struct home_bp_result result;

	if (home_bp_evaluate(&course, readings, readings_of(points, n, readings), NULL, &result) ==
	    0)
		take(&result, &p);
	*ret = p;
}

void goal_course_words(const struct goal_progress *progress, char ret[GOAL_WORDS_MAX])
{
	const struct home_bp_result result = {
		.state = progress->enough  ? HOME_BP_COMPLETE
			 : progress->begun ? HOME_BP_IN_PROGRESS
					   : HOME_BP_NOT_BEGUN,
		.more_dates = progress->more_days,
		.more_readings = progress->more_readings,
	};

	_Static_assert(HOME_BP_WORDS_MAX == GOAL_WORDS_MAX, "one length of what is said");
	home_bp_words(&result, ret);
}
