/* Inside the goals room: the period of a goal that an instant lies in. */
#pragma once

#include "gateway/goals/goals.h"
#include "gateway/goals/zone.h"

/* *ret_first_day: the local day (zone.h) the period starts with, its name among its like */
struct goal_span goal_span_of(const struct goal *goal, const struct zone *zone, int64_t at_ms,
			      int64_t *ret_first_day);
