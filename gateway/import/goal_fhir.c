/*
 * The way through a file: resources, references, whose plan it is, what still stands, and which
 * goals are there twice. What one target says is in goal_fhir_target.c.
 */
#include "gateway/import/goal_fhir.h"

#include <assert.h>
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/import/goal_fhir_part.h"

/* How a resource stands; of two that bear on a goal the higher one holds. */
enum standing {
	STANDING_GOOD,
	STANDING_ON_HOLD,
	STANDING_NOT_AGREED,
	STANDING_OVER,
	STANDING_MISTAKE,
	STANDING_UNKNOWN,
};

enum {
	OF_GOAL = 1,
	OF_PLAN = 2,
	OF_ACTIVITY = 4,
	OF_INTENT = 8,
};

/* FHIR R4 value sets goal-status, request-status, care-plan-activity-status, care-plan-intent */
static const struct {
	const char *code;
	unsigned int of;
	enum standing standing;
} standings[] = {
	{ "proposed", OF_GOAL, STANDING_NOT_AGREED },
	{ "planned", OF_GOAL, STANDING_NOT_AGREED },
	{ "rejected", OF_GOAL, STANDING_NOT_AGREED },
	{ "accepted", OF_GOAL, STANDING_GOOD },
	{ "draft", OF_PLAN, STANDING_NOT_AGREED },
	{ "active", OF_GOAL | OF_PLAN, STANDING_GOOD },
	{ "not-started", OF_ACTIVITY, STANDING_GOOD },
	{ "scheduled", OF_ACTIVITY, STANDING_GOOD },
	{ "in-progress", OF_ACTIVITY, STANDING_GOOD },
	{ "on-hold", OF_GOAL | OF_PLAN | OF_ACTIVITY, STANDING_ON_HOLD },
	{ "completed", OF_GOAL | OF_PLAN | OF_ACTIVITY, STANDING_OVER },
	{ "cancelled", OF_GOAL | OF_ACTIVITY, STANDING_OVER },
	{ "stopped", OF_ACTIVITY, STANDING_OVER },
	{ "revoked", OF_PLAN, STANDING_OVER },
	{ "entered-in-error", OF_GOAL | OF_PLAN | OF_ACTIVITY, STANDING_MISTAKE },
	{ "proposal", OF_INTENT, STANDING_NOT_AGREED },
	{ "option", OF_INTENT, STANDING_NOT_AGREED },
	{ "plan", OF_INTENT, STANDING_GOOD },
	{ "order", OF_INTENT, STANDING_GOOD },
};

struct resource {
	const json_t *json;
	const char *url; /* fullUrl; "" */
};

/* A Goal, and how the plans that name it stand. */
struct candidate {
	const json_t *goal;
	const json_t *holder; /* whose contained resources "#..." means: itself, or a plan */
	bool named;
	enum standing plan;
};

struct reader {
	const struct goal_fhir_options *options;
	struct goal_fhir *plan;
	struct resource resources[GOAL_FHIR_ENTRIES];
	size_t n_resources;
	struct candidate goals[GOAL_FHIR_ITEMS_MAX];
	size_t n_goals;
	unsigned int n_activities;
	/* of the first goal or plan, and what that leads to in the file */
	const json_t *subject, *person;
	bool has_subject;
	struct fhir_names names;
};

static bool is_a(const json_t *resource, const char *type)
{
	return strcmp(fhir_text(resource, "resourceType"), type) == 0;
}

static enum standing higher(enum standing a, enum standing b)
{
	return a > b ? a : b;
}

static enum standing standing_of(const json_t *object, const char *key, unsigned int of)
{
	const char *code = fhir_text(object, key);

	for (size_t i = 0; i < sizeof(standings) / sizeof(standings[0]); i++) {
		if ((standings[i].of & of) && strcmp(standings[i].code, code) == 0)
			return standings[i].standing;
	}
	return STANDING_UNKNOWN;
}

/* FHIR R4 section 2.6.2: who does not know a modifier must not go on as if it were not there. */
static bool is_modified(const json_t *object)
{
	return json_object_get(object, "modifierExtension") ||
	       json_object_get(object, "implicitRules");
}

static enum standing standing_of_plan(const json_t *plan)
{
	if (is_modified(plan))
		return STANDING_UNKNOWN;
	return higher(standing_of(plan, "status", OF_PLAN), standing_of(plan, "intent", OF_INTENT));
}

/* ---- references ---- */

/* "Goal/12" is what "https://somewhere/Goal/12" ends with, and the resource Goal with id 12 */
static bool is_at(const struct resource *r, const char *reference)
{
	const char *type = fhir_text(r->json, "resourceType"), *id = fhir_text(r->json, "id");
	const size_t len = strlen(type);

	if (r->url[0] && strcmp(r->url, reference) == 0)
		return true;
	return type[0] && id[0] && strncmp(reference, type, len) == 0 && reference[len] == '/' &&
	       strcmp(reference + len + 1, id) == 0;
}

/* NULL: not in the file */
static const json_t *resolve(const struct reader *r, const json_t *holder, const json_t *reference)
{
	const char *to = fhir_text(reference, "reference");
	const json_t *contained = json_object_get(holder, "contained");

	if (to[0] == '#') {
		for (size_t i = 0; i < json_array_size(contained); i++) {
			const json_t *one = json_array_get(contained, i);

			if (to[1] && strcmp(fhir_text(one, "id"), to + 1) == 0)
				return one;
		}
		return NULL;
	}
	for (size_t i = 0; to[0] && i < r->n_resources; i++) {
		if (is_at(&r->resources[i], to))
			return r->resources[i].json;
	}
	return NULL;
}

/* ---- whose plan ---- */

static bool is_same_text(const json_t *a, const json_t *b, const char *key)
{
	return fhir_text(a, key)[0] && strcmp(fhir_text(a, key), fhir_text(b, key)) == 0;
}

/* Doubt is a difference. person_a, person_b: what they lead to in the file, or NULL. */
static bool is_same_subject(const json_t *a, const json_t *person_a, const json_t *b,
			    const json_t *person_b)
{
	const json_t *id_a = json_object_get(a, "identifier");
	const json_t *id_b = json_object_get(b, "identifier");

	if (!a || !b)
		return !a && !b;
	if (person_a || person_b)
		return person_a == person_b;
	if (fhir_text(a, "reference")[0] || fhir_text(b, "reference")[0])
		return fhir_text(a, "reference")[0] != '#' && is_same_text(a, b, "reference");
	return is_same_text(id_a, id_b, "system") && is_same_text(id_a, id_b, "value");
}

static int see_subject(struct reader *r, const json_t *holder, const json_t *resource)
{
	const json_t *subject = json_object_get(resource, "subject");
	const json_t *person = resolve(r, holder, subject);

	if (strncmp(fhir_text(subject, "reference"), "Group/", strlen("Group/")) == 0 ||
	    is_a(person, "Group"))
		return -EXDEV;
	if (r->has_subject && !is_same_subject(r->subject, r->person, subject, person))
		return -EXDEV;
	r->subject = subject;
	r->person = person;
	r->has_subject = true;
	return 0;
}

static void add_name(struct fhir_names *names, const char *text)
{
	if (!text[0])
		return;
	if (names->n == sizeof(names->of) / sizeof(names->of[0]))
		names->more = true;
	else
		names->of[names->n++] = text;
}

/* of a Patient, a Practitioner, a RelatedPerson */
static void add_person(struct fhir_names *names, const json_t *resource)
{
	const json_t *list = json_object_get(resource, "name");

	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *name = json_array_get(list, i);
		const json_t *given = json_object_get(name, "given");

		add_name(names, fhir_text(name, "text"));
		add_name(names, fhir_text(name, "family"));
		for (size_t j = 0; j < json_array_size(given); j++) {
			const char *text = json_string_value(json_array_get(given, j));

			add_name(names, text ? text : "");
		}
	}
}

static void add_names(struct fhir_names *names, const json_t *resource)
{
	static const char *const references[] = { "subject", "expressedBy", "author" };
	const json_t *contained = json_object_get(resource, "contained");

	add_person(names, resource);
	for (size_t i = 0; i < json_array_size(contained); i++)
		add_person(names, json_array_get(contained, i));
	for (size_t i = 0; i < sizeof(references) / sizeof(references[0]); i++)
		add_name(names, fhir_text(json_object_get(resource, references[i]), "display"));
}

/* ---- what the file holds ---- */

static struct candidate *candidate_of(struct reader *r, const json_t *holder, const json_t *goal)
{
	for (size_t i = 0; i < r->n_goals; i++) {
		if (r->goals[i].goal == goal)
			return &r->goals[i];
	}
	if (r->n_goals == GOAL_FHIR_ITEMS_MAX)
		return NULL;
	r->goals[r->n_goals] = (struct candidate){ .goal = goal, .holder = holder };
	return &r->goals[r->n_goals++];
}

static int see_resources(struct reader *r, const json_t *root)
{
	const json_t *entries = json_object_get(root, "entry");
	size_t people = 0;

	if (!is_a(root, "Bundle"))
		r->resources[r->n_resources++] = (struct resource){ .json = root, .url = "" };
	else if (json_array_size(entries) > GOAL_FHIR_ENTRIES)
		return -E2BIG;
	for (size_t i = 0; is_a(root, "Bundle") && i < json_array_size(entries); i++) {
		const json_t *entry = json_array_get(entries, i);

		r->resources[r->n_resources++] = (struct resource){
			.json = json_object_get(entry, "resource"),
			.url = fhir_text(entry, "fullUrl"),
		};
	}
	for (size_t i = 0; i < r->n_resources; i++) {
		people += is_a(r->resources[i].json, "Patient");
		add_names(&r->names, r->resources[i].json);
	}
	return people > 1 ? -EXDEV : 0;
}

static int see_goals(struct reader *r)
{
	for (size_t i = 0; i < r->n_resources; i++) {
		const json_t *one = r->resources[i].json;

		if (is_a(one, "Goal") && !candidate_of(r, one, one))
			return -E2BIG;
	}
	return 0;
}

static struct goal_fhir_item *new_item(struct reader *r, bool is_activity, unsigned int number)
{
	struct goal_fhir_item *item = &r->plan->items[r->plan->n];

	if (r->plan->n == GOAL_FHIR_ITEMS_MAX)
		return NULL;
	*item = (struct goal_fhir_item){ .is_activity = is_activity,
					 .number = number,
					 .from_day = INT64_MIN,
					 .to_day = INT64_MAX };
	item->goal.version = 1;
	item->goal.week_start = r->options->week_start;
	(void)snprintf(item->goal.time_zone, sizeof(item->goal.time_zone), "%s", r->options->zone);
	r->plan->n++;
	return item;
}

/* the goals that a plan names, and how it stands to them: the best of the plans holds */
static int see_plan_goals(struct reader *r, const json_t *plan)
{
	const json_t *list = json_object_get(plan, "goal");

	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *goal = resolve(r, plan, json_array_get(list, i));
		struct candidate *c;

		if (!goal || !is_a(goal, "Goal")) {
			struct goal_fhir_item *item = new_item(r, false, 0);

			if (!item)
				return -E2BIG;
			item->refusal = GOAL_FHIR_NOT_IN_FILE;
			continue;
		}
		c = candidate_of(r, plan, goal);
		if (!c)
			return -E2BIG;
		if (!c->named || standing_of_plan(plan) < c->plan)
			c->plan = standing_of_plan(plan);
		c->named = true;
	}
	return 0;
}

/* ---- goals and activities ---- */

static enum goal_fhir_refusal refusal_of(enum standing standing)
{
	switch (standing) {
	case STANDING_GOOD:
	case STANDING_ON_HOLD:
		return GOAL_FHIR_TAKEN;
	case STANDING_NOT_AGREED:
		return GOAL_FHIR_NOT_AGREED;
	case STANDING_OVER:
		return GOAL_FHIR_OVER;
	case STANDING_MISTAKE:
		return GOAL_FHIR_MISTAKE;
	case STANDING_UNKNOWN:
		break;
	}
	return GOAL_FHIR_MORE_TO_IT;
}

/* what is left to see once a goal is whole */
static void finish(const struct reader *r, const json_t *description, enum standing standing,
		   struct goal_fhir_item *item)
{
	const char *problem;

	item->goal.paused = standing == STANDING_ON_HOLD;
	item->goal.starts_on = item->from_day;
	if (item->from_day >= item->to_day)
		item->refusal = GOAL_FHIR_DATES;
	else if (item->to_day <= r->options->today)
		item->refusal = GOAL_FHIR_OVER;
	if (item->refusal != GOAL_FHIR_TAKEN)
		return;
	fhir_name(description, &r->names, r->options, &item->goal);
	if (goal_check(&item->goal, &problem) < 0)
		item->refusal = GOAL_FHIR_TOO_MUCH;
}

static int read_goal(struct reader *r, const struct candidate *c, unsigned int number)
{
	const json_t *targets = json_object_get(c->goal, "target");
	const size_t n = json_array_size(targets);
	const enum standing standing =
		higher(is_modified(c->goal) ? STANDING_UNKNOWN
					    : standing_of(c->goal, "lifecycleStatus", OF_GOAL),
		       c->named ? c->plan : STANDING_GOOD);

	for (size_t i = 0; i < (n ? n : 1); i++) {
		struct goal_fhir_item *item = new_item(r, false, number);

		if (!item)
			return -E2BIG;
		item->target = n ? (unsigned int)i + 1 : 0;
		item->refusal = refusal_of(standing);
		if (item->refusal == GOAL_FHIR_TAKEN)
			item->refusal = n ? fhir_starts(c->goal, item) : GOAL_FHIR_NO_NUMBER;
		if (item->refusal == GOAL_FHIR_TAKEN)
			item->refusal = fhir_target(json_array_get(targets, i), r->options, item);
		if (item->refusal == GOAL_FHIR_TAKEN)
			finish(r, json_object_get(c->goal, "description"), standing, item);
	}
	return 0;
}

static int read_activity(struct reader *r, const json_t *plan, const json_t *activity)
{
	const json_t *detail = json_object_get(activity, "detail");
	const enum standing standing = higher(
		is_modified(activity) || is_modified(detail) ? STANDING_UNKNOWN : STANDING_GOOD,
		higher(standing_of_plan(plan), standing_of(detail, "status", OF_ACTIVITY)));
	struct goal_fhir_item *item;

	/* what is not to be done is no goal either */
	if (!fhir_is_measuring(detail) || json_is_true(json_object_get(detail, "doNotPerform"))) {
		r->plan->others++;
		return 0;
	}
	item = new_item(r, true, ++r->n_activities);
	if (!item)
		return -E2BIG;
	item->refusal = refusal_of(standing);
	if (item->refusal == GOAL_FHIR_TAKEN)
		item->refusal = fhir_activity(detail, r->options, item);
	if (item->refusal == GOAL_FHIR_TAKEN)
		finish(r, NULL, standing, item);
	return 0;
}

static int read_activities(struct reader *r, const json_t *plan)
{
	const json_t *list = json_object_get(plan, "activity");
	int result = 0;

	for (size_t i = 0; result == 0 && i < json_array_size(list); i++)
		result = read_activity(r, plan, json_array_get(list, i));
	return result;
}

static bool is_same_goal(const struct goal_fhir_item *a, const struct goal_fhir_item *b)
{
	return decimal_compare(a->goal.target, b->goal.target) == 0 &&
	       a->goal.paused == b->goal.paused && a->from_day == b->from_day &&
	       a->to_day == b->to_day;
}

/* Ids are made from what is counted: of one kind there is one. The same again is left out; where
 * they differ, somebody has to say which one holds, and none is taken. */
static void refuse_doubles(struct goal_fhir *plan)
{
	for (size_t i = 0; i < plan->n; i++) {
		struct goal_fhir_item *a = &plan->items[i];

		for (size_t j = i + 1; a->refusal == GOAL_FHIR_TAKEN && j < plan->n; j++) {
			struct goal_fhir_item *b = &plan->items[j];

			if (b->refusal == GOAL_FHIR_TAKEN && strcmp(a->goal.id, b->goal.id) == 0)
				b->refusal = is_same_goal(a, b) ? GOAL_FHIR_SAME_TWICE
								: GOAL_FHIR_TWO_OF_A_KIND;
		}
	}
	for (size_t i = 0; i < plan->n; i++) {
		for (size_t j = i + 1; j < plan->n; j++) {
			const struct goal_fhir_item *b = &plan->items[j];

			if (b->refusal == GOAL_FHIR_TWO_OF_A_KIND &&
			    plan->items[i].refusal == GOAL_FHIR_TAKEN &&
			    strcmp(plan->items[i].goal.id, b->goal.id) == 0)
				plan->items[i].refusal = GOAL_FHIR_TWO_OF_A_KIND;
		}
	}
}

/* ---- a file ---- */

/* Jansson's parser calls itself for each object in another: no deeper than a plan ever is. */
static bool is_flat(const char *text, size_t len)
{
	bool quoted = false;
	int depth = 0;

	for (size_t i = 0; i < len; i++) {
		if (quoted && text[i] == '\\')
			i++;
		else if (text[i] == '"')
			quoted = !quoted;
		else if (!quoted && (text[i] == '{' || text[i] == '['))
			depth++;
		else if (!quoted && (text[i] == '}' || text[i] == ']'))
			depth--;
		if (depth > GOAL_FHIR_DEPTH_MAX)
			return false;
	}
	return true;
}

static int see_people(struct reader *r)
{
	int result = 0;

	for (size_t i = 0; result == 0 && i < r->n_resources; i++) {
		if (is_a(r->resources[i].json, "CarePlan"))
			result = see_subject(r, r->resources[i].json, r->resources[i].json);
	}
	for (size_t i = 0; result == 0 && i < r->n_goals; i++)
		result = see_subject(r, r->goals[i].holder, r->goals[i].goal);
	return result;
}

static int read_all(struct reader *r, const json_t *root)
{
	int result = see_resources(r, root);

	if (result == 0)
		result = see_goals(r);
	for (size_t i = 0; result == 0 && i < r->n_resources; i++) {
		if (is_a(r->resources[i].json, "CarePlan"))
			result = see_plan_goals(r, r->resources[i].json);
	}
	if (result == 0)
		result = see_people(r);
	for (size_t i = 0; result == 0 && i < r->n_goals; i++)
		result = read_goal(r, &r->goals[i], (unsigned int)i + 1);
	for (size_t i = 0; result == 0 && i < r->n_resources; i++) {
		if (is_a(r->resources[i].json, "CarePlan"))
			result = read_activities(r, r->resources[i].json);
	}
	if (result == 0)
		refuse_doubles(r->plan);
	return result;
}

static int load(const char *text, size_t len, json_t **ret)
{
	json_error_t error;
	json_t *root;

	if (len > GOAL_FHIR_FILE_MAX)
		return -EFBIG;
	if (!is_flat(text, len))
		return -EBADMSG;
	root = json_loadb(text, len, JSON_REJECT_DUPLICATES, &error);
	if (!is_a(root, "Goal") && !is_a(root, "CarePlan") && !is_a(root, "Bundle")) {
		json_decref(root);
		return -EBADMSG;
	}
	*ret = root;
	return 0;
}

static int read_root(const json_t *root, const struct goal_fhir_options *options,
		     struct goal_fhir *plan)
{
	struct reader *r = calloc(1, sizeof(*r));
	int result = -ENOMEM;

	if (r) {
		r->options = options;
		r->plan = plan;
		result = read_all(r, root);
	}
	free(r);
	return result;
}

int goal_fhir_read(const char *text, size_t len, const struct goal_fhir_options *options,
		   struct goal_fhir **ret)
{
	struct goal_fhir *plan = NULL;
	json_t *root = NULL;
	int result = load(text, len, &root);

	if (result == 0) {
		plan = calloc(1, sizeof(*plan));
		result = plan ? read_root(root, options, plan) : -ENOMEM;
	}
	json_decref(root);
	if (result == 0)
		*ret = plan;
	else
		free(plan);
	return result;
}

void goal_fhir_free(struct goal_fhir *plan)
{
	free(plan);
}

enum words_id goal_fhir_words(enum goal_fhir_refusal why)
{
	static const enum words_id words[GOAL_FHIR_REFUSALS] = {
		[GOAL_FHIR_TAKEN] = WORDS_NONE,
		[GOAL_FHIR_NO_NUMBER] = WORDS_REFUSED_NO_NUMBER,
		[GOAL_FHIR_UNKNOWN_MEASURE] = WORDS_REFUSED_UNKNOWN_MEASURE,
		[GOAL_FHIR_TWO_MEASURES] = WORDS_REFUSED_TWO_MEASURES,
		[GOAL_FHIR_WHICH_MINUTES] = WORDS_REFUSED_WHICH_MINUTES,
		[GOAL_FHIR_FOOD] = WORDS_REFUSED_FOOD,
		[GOAL_FHIR_WEIGHT] = WORDS_REFUSED_WEIGHT,
		[GOAL_FHIR_RATE] = WORDS_REFUSED_RATE,
		[GOAL_FHIR_UNIT] = WORDS_REFUSED_UNIT,
		[GOAL_FHIR_NUMBER] = WORDS_REFUSED_NUMBER,
		[GOAL_FHIR_AT_MOST] = WORDS_REFUSED_AT_MOST,
		[GOAL_FHIR_NO_PERIOD] = WORDS_REFUSED_NO_PERIOD,
		[GOAL_FHIR_NOT_HELD] = WORDS_REFUSED_NOT_HELD,
		[GOAL_FHIR_DATES] = WORDS_REFUSED_DATES,
		[GOAL_FHIR_OVER] = WORDS_REFUSED_OVER,
		[GOAL_FHIR_MISTAKE] = WORDS_REFUSED_MISTAKE,
		[GOAL_FHIR_NOT_AGREED] = WORDS_REFUSED_NOT_AGREED,
		[GOAL_FHIR_SAME_TWICE] = WORDS_REFUSED_SAME_TWICE,
		[GOAL_FHIR_TWO_OF_A_KIND] = WORDS_REFUSED_TWO_OF_A_KIND,
		[GOAL_FHIR_NOT_IN_FILE] = WORDS_REFUSED_NOT_IN_FILE,
		[GOAL_FHIR_MORE_TO_IT] = WORDS_REFUSED_MORE_TO_IT,
		[GOAL_FHIR_TOO_MUCH] = WORDS_REFUSED_TOO_MUCH,
	};

	assert(why < GOAL_FHIR_REFUSALS);
	return words[why];
}
