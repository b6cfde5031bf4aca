/*
 * A goal in words: the keys of [goal NAME] in the configuration and of `wellgate goal set`, one
 * table for both. A value is checked by itself here; the goal as a whole by goal_check().
 */
#pragma once

#include <stdbool.h>

#include "gateway/goals/goals.h"

enum goal_key {
	GOAL_TITLE,
	GOAL_METRIC,
	GOAL_RULE,
	GOAL_PERIOD,
	GOAL_TARGET,
	GOAL_WEEK_START,
	GOAL_STARTS_ON,
	GOAL_ENDS_ON,
	GOAL_DAY_TARGET,
	GOAL_DIASTOLIC_TARGET,
	GOAL_MIN_POINTS,
	GOAL_DIRECTION,
	GOAL_BAND,
	GOAL_HEIGHT,
	GOAL_SHOW_WEIGHT,
	GOAL_AGREED_BY,
	GOAL_EATING_DISORDER,
	GOAL_KEEP_HERE,
	GOAL_HIDDEN,
	GOAL_PAUSES,
	GOAL_KEY_END
};

struct goal_key_info {
	const char *name;
	const char *allowed; /* for people: what a value looks like */
	bool required;       /* of the first version */
};

const struct goal_key_info *goal_key_info(enum goal_key key);
/* GOAL_KEY_END: there is none of this name */
enum goal_key goal_key_find(const char *name);
/* "title, metric, ... and pauses" */
const char *goal_key_names(void);
/* false: not allowed; then the field may hold anything */
bool goal_key_set(struct goal *g, enum goal_key key, const char *value);
/* A later version says what is new; what is not `set` is as before. */
void goal_key_inherit(struct goal *g, const bool set[GOAL_KEY_END], const struct goal *before);

/* "2027-01-31", as the first instant of that day would be numbered by zone.h */
bool goal_day_parse(const char *value, int64_t *ret);
/* a number of up to four digits */
bool goal_number_parse(const char *value, unsigned int min, unsigned int max, unsigned int *ret);
