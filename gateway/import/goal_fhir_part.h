/* Inside the import of goals: one target or activity of a plan. */
#pragma once

#include <jansson.h>

#include "gateway/import/goal_fhir.h"

/* "" unless it is text */
const char *fhir_text(const json_t *object, const char *key);

/*
 * Fills metric, rule, period and target of item->goal, and narrows its days. Returns why not;
 * GOAL_FHIR_TAKEN otherwise. target: an entry of Goal.target; start: day of the goal's start, or
 * INT64_MIN.
 */
enum goal_fhir_refusal fhir_target(const json_t *target, const struct goal_fhir_options *options,
				   struct goal_fhir_item *item);
/* detail: of an entry of CarePlan.activity. */
enum goal_fhir_refusal fhir_activity(const json_t *detail, const struct goal_fhir_options *options,
				     struct goal_fhir_item *item);
/* Has it a code that we know, and a timing? Else it is no goal. */
bool fhir_is_measuring(const json_t *detail);

/* startDate of a Goal, start and end of a Period. */
enum goal_fhir_refusal fhir_starts(const json_t *goal, struct goal_fhir_item *item);

/* id and title of what was taken. names: everything in the file that may be a person's name */
struct fhir_names {
	size_t n;
	const char *of[256];
	bool more; /* than fit: then no title is taken */
};
void fhir_name(const json_t *description, const struct fhir_names *names,
	       const struct goal_fhir_options *options, struct goal *goal);
