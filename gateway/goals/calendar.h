/*
 * Inside the goals room: the calendar of a goal. Its periods are days or weeks, named by the local
 * day (zone.h) they start with. Its points lie in buckets: one bucket is the period itself where
 * the rule looks at all points of it together, otherwise a day, or a night from noon to noon which
 * has the date of its end.
 */
#pragma once

#include "gateway/goals/goals.h"
#include "gateway/goals/zone.h"

bool goal_is_by_day(const struct goal *goal);
bool goal_is_of_sleep(const struct goal *goal);

/* the period that an instant lies in, and the one that starts on a day */
struct goal_span goal_span_of(const struct goal *goal, const struct zone *zone, int64_t at_ms,
			      int64_t *ret_first_day);
struct goal_span goal_period_span(const struct goal *goal, const struct zone *zone,
				  int64_t first_day);
int64_t goal_period_days(const struct goal *goal);
/* first day of the period that a day belongs to */
int64_t goal_period_of(const struct goal *goal, int64_t day);

/* the bucket that an instant lies in, and when that is */
int64_t goal_bucket_of(const struct goal *goal, const struct zone *zone, int64_t at_ms);
struct goal_span goal_bucket_span(const struct goal *goal, const struct zone *zone, int64_t bucket);

/* Which buckets a period looks at: [from, to). Names of buckets that are not there are days of a
 * week that is itself one bucket. */
struct goal_window {
	int64_t from, to;
};
struct goal_window goal_window_of(const struct goal *goal, int64_t first_day);
