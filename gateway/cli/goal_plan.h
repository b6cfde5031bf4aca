/* `wellgate goal import`: reads a care plan and says what of it is taken, and why not. */
#pragma once

#include <stdbool.h>

#include "gateway/import/goal_fhir.h"

/* what the file may not say itself; 0 = refused then */
struct goal_plan_options {
	enum goal_period period;
	enum metric minutes;
};

int goal_plan_period(const char *value, struct goal_plan_options *options);  /* -EINVAL */
int goal_plan_minutes(const char *value, struct goal_plan_options *options); /* -EINVAL */

/*
 * Calls take() for each goal that can be held; it returns 0, or an exit code that ends it. Says
 * what was taken and what not, a line each (json: a JSON object each). 0; EXIT_DATA if nothing
 * could be taken, or the file is no care plan; or take()'s code.
 */
int goal_plan_import(const char *path, const struct goal_plan_options *options, bool json,
		     int (*take)(void *user, const struct goal_fhir_item *item), void *user);
