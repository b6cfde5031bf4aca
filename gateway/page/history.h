/*
 * A person's readings of some weeks, as the daemon hands them out (numbers of a hidden weight are
 * not among them), in order of time; and what they come to by day and by week, worked out by the
 * same rules as goals are (gateway/goals), so that the page and a goal never disagree.
 */
#pragma once

#include "gateway/goals/zone.h"
#include "gateway/page/ask.h"
#include "protocols/bytes/decimal.h"

#define HISTORY_MAX  3000
#define HISTORY_DAYS 28

struct history {
	Wellgate__V1__Reply **replies; /* hold what the rows point to */
	size_t n_replies;
	const Wellgate__V1__Reading **rows; /* by time; those without a time come first */
	size_t n;
	bool show_weight, more; /* more: not all of them fit */
	int code;               /* of the last reply: 0 or why there is nothing */
	struct zone *zone;
	int64_t today; /* local day */
};

/* 0; -EIO: no answer; -ENOMEM; otherwise look at code. Finish it in any case. */
int history_load(const struct asker *a, int64_t now_ms, int days, struct history *ret);
void history_finish(struct history *h);

/* local time of the person as ms since 1970 */
int64_t history_local_ms(const Wellgate__V1__Reading *r);
/* NULL: it has no value for this */
const Wellgate__V1__Component *history_part(const Wellgate__V1__Reading *r,
					    Wellgate__V1__Metric metric);
/* The sum of a day: of the one source with most. false: nothing is known of it. */
bool history_sum(const struct history *h, Wellgate__V1__Metric metric, int64_t day,
		 struct decimal *ret);
/* The mean of the nights of the 7 days from first_day on; nights: how many are known. */
bool history_nights(const struct history *h, int64_t first_day, struct decimal *ret_minutes,
		    unsigned int *ret_nights);
