/*
 * A goal's result: the Goal as it stands, and an Observation of how far it is.
 *
 * An R4 Observation cannot name a Goal, so the Goal names the Observation (outcomeReference). The
 * achievement is said as far as a box may say it; "not-achieved" and "worsening" are for a person.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "gateway/record/fhir/part.h"

#define ACHIEVEMENT   "http://terminology.hl7.org/CodeSystem/goal-achievement"
#define CATEGORY      "http://terminology.hl7.org/CodeSystem/observation-category"
#define ABSENT_REASON "http://terminology.hl7.org/CodeSystem/data-absent-reason"
#define GOAL_ID_MAX   32

struct outcome {
	struct fhir_bundle *b;
	const Wellgate__V1__GoalResult *r;
	const Wellgate__V1__Goal *goal;
	char patient[FHIR_PATIENT_MAX];
	char start[BUILD_TIME_MAX], end[BUILD_TIME_MAX];
};

static const char *achievement_code(const Wellgate__V1__GoalResult *r)
{
	static const char *const codes[] = {
		[WELLGATE__V1__GOAL_RESULT__ACHIEVEMENT__ACHIEVEMENT_IN_PROGRESS] = "in-progress",
		[WELLGATE__V1__GOAL_RESULT__ACHIEVEMENT__ACHIEVEMENT_IMPROVING] = "improving",
		[WELLGATE__V1__GOAL_RESULT__ACHIEVEMENT__ACHIEVEMENT_ACHIEVED] = "achieved",
		[WELLGATE__V1__GOAL_RESULT__ACHIEVEMENT__ACHIEVEMENT_SUSTAINING] = "sustaining",
	};
	const unsigned int n = (unsigned int)r->achievement;

	return r->has_achievement && n < sizeof(codes) / sizeof(codes[0]) ? codes[n] : NULL;
}

static bool has_number(const Wellgate__V1__Decimal *d)
{
	return d && d->exponent <= DECIMAL_EXPONENT_MAX / 2 &&
	       d->exponent >= -DECIMAL_EXPONENT_MAX / 2;
}

static struct decimal decimal_of(const Wellgate__V1__Decimal *d)
{
	return (struct decimal){ .mantissa = d->mantissa, .exponent = d->exponent };
}

/* Only where the number is an amount of what is counted: "4 of 7 days" has no measure. */
static bool counts_metric(const Wellgate__V1__GoalResult *r)
{
	const struct metric_info *info = metric_info((unsigned int)r->metric);

	return info && r->unit && r->unit[0] && unit_by_ucum(r->unit) == info->unit;
}

static json_t *targets(const struct outcome *o)
{
	struct build *build = &o->b->build;
	json_t *list = build_list(build), *target = build_object(build);

	if (counts_metric(o->r) && has_number(o->r->target)) {
		build_put(build, target, "measure",
			  fhir_metric_code(o->b, (unsigned int)o->r->metric, NULL));
		build_put(build, target, "detailQuantity",
			  fhir_quantity(o->b, decimal_of(o->r->target), o->r->unit, o->r->unit));
	}
	build_add(build, list, target);
	return list;
}

static json_t *description(const struct outcome *o)
{
	const struct metric_info *info = metric_info((unsigned int)o->r->metric);
	json_t *text = build_object(&o->b->build);

	build_text(&o->b->build, text, "text",
		   o->goal && o->goal->title && o->goal->title[0] ? o->goal->title : info->label);
	return text;
}

static bool is_paused(const struct outcome *o)
{
	return o->r->state == WELLGATE__V1__GOAL_RESULT__STATE__STATE_PAUSED ||
	       (o->goal && o->goal->has_paused && o->goal->paused);
}

static json_t *goal(const struct outcome *o, const char *observation)
{
	struct build *build = &o->b->build;
	json_t *g = build_object(build), *outcomes = build_list(build);
	const char *achieved = achievement_code(o->r);

	build_text(build, g, "resourceType", "Goal");
	build_text(build, g, "lifecycleStatus", is_paused(o) ? "on-hold" : "active");
	if (achieved)
		build_put(build, g, "achievementStatus",
			  fhir_concept(o->b, ACHIEVEMENT, achieved, NULL));
	build_put(build, g, "description", description(o));
	build_put(build, g, "subject", fhir_reference(o->b, o->patient));
	build_put(build, g, "target", targets(o));
	build_add(build, outcomes, fhir_reference(o->b, observation));
	build_put(build, g, "outcomeReference", outcomes);
	return g;
}

static json_t *progress_code(struct fhir_bundle *b)
{
	char system[FHIR_SYSTEM_MAX];

	fhir_system(b, "code", system);
	return fhir_concept(b, system, "goal-progress", "Progress towards a goal");
}

static void put_progress(const struct outcome *o, json_t *to)
{
	struct build *build = &o->b->build;
	const bool known = o->r->outcome == WELLGATE__V1__GOAL_RESULT__OUTCOME__OUTCOME_MET ||
			   o->r->outcome == WELLGATE__V1__GOAL_RESULT__OUTCOME__OUTCOME_IN_PROGRESS;
	const char *unit = counts_metric(o->r) ? o->r->unit : "1";

	if (known && has_number(o->r->progress))
		build_put(build, to, "valueQuantity",
			  fhir_quantity(o->b, decimal_of(o->r->progress), unit, unit));
	else
		build_put(build, to, "dataAbsentReason",
			  fhir_concept(o->b, ABSENT_REASON, "unknown", NULL));
}

static const char *status(const Wellgate__V1__GoalResult *r)
{
	if (r->state != WELLGATE__V1__GOAL_RESULT__STATE__STATE_CLOSED)
		return "preliminary";
	return r->reason == WELLGATE__V1__GOAL_RESULT__REASON__REASON_LATE_DATA ||
			       r->reason == WELLGATE__V1__GOAL_RESULT__REASON__REASON_CORRECTION
		       ? "corrected"
		       : "final";
}

static json_t *observation(const struct outcome *o)
{
	struct build *build = &o->b->build;
	json_t *ob = build_object(build), *period = build_object(build);
	json_t *list = build_list(build), *note = build_object(build);

	build_text(build, ob, "resourceType", "Observation");
	build_text(build, ob, "status", status(o->r));
	build_add(build, list, fhir_concept(o->b, CATEGORY, "activity", NULL));
	build_put(build, ob, "category", list);
	build_put(build, ob, "code", progress_code(o->b));
	build_put(build, ob, "subject", fhir_reference(o->b, o->patient));
	build_text(build, period, "start", o->start);
	build_text(build, period, "end", o->end);
	build_put(build, ob, "effectivePeriod", period);
	put_progress(o, ob);
	list = build_list(build);
	build_text(build, note, "text", o->r->words);
	build_add(build, list, note);
	build_put(build, ob, "note", list);
	return ob;
}

/* it goes into a query */
static bool is_plain_id(const char *id)
{
	size_t n = 0;

	for (; id && id[n]; n++) {
		if (n == GOAL_ID_MAX || !strchr("abcdefghijklmnopqrstuvwxyz0123456789-", id[n]))
			return false;
	}
	return n > 0;
}

static enum fhir_refusal judge(struct outcome *o, const struct fhir_about *about)
{
	if (o->b->options.profile == FHIR_UKCORE && !o->b->options.goals)
		return FHIR_GOALS_NOT_KEPT;
	if (!is_plain_id(o->r->goal_id))
		return FHIR_NO_IDENTITY;
	if (!metric_info((unsigned int)o->r->metric))
		return FHIR_UNKNOWN_METRIC;
	if (!o->r->has_period_start_ms || !o->r->has_period_end_ms ||
	    o->r->period_end_ms <= o->r->period_start_ms ||
	    !build_time(o->start, o->r->period_start_ms, 0) ||
	    !build_time(o->end, o->r->period_end_ms, 0))
		return FHIR_NO_TIME;
	return fhir_patient(about, o->r->subject, o->patient);
}

int fhir_add_goal(struct fhir_bundle *b, const struct fhir_about *about,
		  const Wellgate__V1__GoalResult *result, const Wellgate__V1__Goal *g,
		  enum fhir_refusal *ret_why)
{
	struct outcome o = { .b = b, .r = result, .goal = g };
	struct fhir_key whole = { .type = "Goal", .kind = "goal", .update = true };
	struct fhir_key part = { .type = "Observation", .kind = "goal-result", .update = true };
	char url[BUILD_UUID_MAX];

	*ret_why = judge(&o, about);
	if (*ret_why != FHIR_TAKEN)
		return -ENODATA;
	whole.patient = part.patient = o.patient;
	(void)snprintf(whole.value, sizeof(whole.value), "%.*s", GOAL_ID_MAX, result->goal_id);
	(void)snprintf(part.value, sizeof(part.value), "%.*s.%u.%lld", GOAL_ID_MAX, result->goal_id,
		       result->goal_version, (long long)(result->period_start_ms / 1000));
	fhir_uuid_of(b, &part, url);
	fhir_add_entry(b, &part, observation(&o));
	fhir_add_entry(b, &whole, goal(&o, url));
	return b->build.failed ? -ENOMEM : 0;
}
