#include "gateway/record/fhir/fhir_lint.h"

#include <ctype.h>
#include <errno.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "gateway/record/fhir/part.h"

#define PKB_PRIVACY "http://fhir.patientsknowbest.com/codesystem/privacy-label"
#define CATEGORY    "http://terminology.hl7.org/CodeSystem/observation-category"
#define NODES_MAX   1024 /* of one resource, waiting to be looked at */

static const struct {
	const char *name;
	enum fhir_effect effect;
	const char *sentence;
} rules[FHIR_RULES] = {
#define RULE(id, name, effect, sentence) [FHIR_RULE_##id] = { name, FHIR_##effect, sentence },
#include "gateway/record/fhir/fhir_lint.def"
#undef RULE
};

struct lint {
	const struct fhir_lint_options *options;
	const json_t *bundle; /* NULL: a resource alone */
	json_t *entry, *resource;
	size_t index;
	struct fhir_finding *ret;
	size_t max, n;
};

static bool applies(const struct lint *l, enum fhir_rule rule)
{
	return !l->options->general || rules[rule].effect == FHIR_DOUBLED ||
	       rules[rule].effect == FHIR_UNSAFE || rule == FHIR_RULE_DANGLING_REFERENCE ||
	       rule == FHIR_RULE_BUNDLE_TYPE;
}

static void found(struct lint *l, enum fhir_rule rule)
{
	if (!applies(l, rule))
		return;
	for (size_t i = l->n < l->max ? l->n : l->max; i > 0 && l->ret[i - 1].entry == l->index;
	     i--) {
		if (l->ret[i - 1].rule == rule)
			return;
	}
	if (l->n < l->max)
		l->ret[l->n] = (struct fhir_finding){ .rule = rule, .entry = l->index };
	l->n++;
}

static const char *text(const json_t *object, const char *key)
{
	const char *t = json_string_value(json_object_get(object, key));

	return t ? t : "";
}

static bool is_type(const json_t *resource, const char *type)
{
	return strcmp(text(resource, "resourceType"), type) == 0;
}

static bool keeps(const struct lint *l, const char *type, size_t len)
{
	static const char *const usual[] = { "Patient", "Observation", NULL };
	const char *const *types = l->options->types ? l->options->types : usual;

	for (; *types; types++) {
		if (strlen(*types) == len && strncmp(*types, type, len) == 0)
			return true;
	}
	return false;
}

/* ---- references ---- */

static const json_t *entry_at(const struct lint *l, const char *url)
{
	const json_t *entries = json_object_get(l->bundle, "entry"), *entry;
	size_t i;

	json_array_foreach(entries, i, entry)
	{
		if (strcmp(text(entry, "fullUrl"), url) == 0)
			return entry;
	}
	return NULL;
}

static void look_at_reference(struct lint *l, const json_t *reference)
{
	const char *to = text(reference, "reference"), *slash = strchr(to, '/');

	if (!to[0]) {
		if (json_object_get(reference, "identifier"))
			found(l, FHIR_RULE_IDENTIFIER_REFERENCE);
		return;
	}
	if (strncmp(to, "urn:", 4) == 0) {
		const json_t *entry = entry_at(l, to);
		const char *type = text(json_object_get(entry, "resource"), "resourceType");

		if (!entry)
			found(l, FHIR_RULE_DANGLING_REFERENCE);
		else if (!keeps(l, type, strlen(type)))
			found(l, FHIR_RULE_UNSUPPORTED_REFERENCE);
	} else if (strstr(to, "://")) {
		found(l, FHIR_RULE_ABSOLUTE_REFERENCE);
	} else if (to[0] == '#' || !slash) {
		found(l, FHIR_RULE_DANGLING_REFERENCE);
	} else if (!keeps(l, to, (size_t)(slash - to))) {
		found(l, FHIR_RULE_UNSUPPORTED_REFERENCE);
	}
}

/* elements of type Reference in what we send; extensions have valueReference */
static bool names_something(const char *key)
{
	static const char *const keys[] = {
		"subject",   "performer",   "device",   "encounter",   "focus",
		"hasMember", "derivedFrom", "specimen", "basedOn",     "partOf",
		"patient",   "addresses",   "author",   "expressedBy", "organization",
	};
	const size_t len = strlen(key), tail = strlen("Reference");

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		if (strcmp(key, keys[i]) == 0)
			return true;
	}
	return len > tail && strcmp(key + len - tail, "Reference") == 0;
}

struct node {
	json_t *json;
	bool is_reference; /* or a list of them */
};

struct walk {
	struct node waiting[NODES_MAX];
	size_t n;
};

static bool push(struct walk *w, json_t *json, bool is_reference)
{
	if (!json_is_object(json) && !json_is_array(json))
		return true;
	if (w->n == NODES_MAX)
		return false;
	w->waiting[w->n++] = (struct node){ .json = json, .is_reference = is_reference };
	return true;
}

static bool push_children(struct lint *l, struct walk *w, const struct node *node)
{
	const char *key;
	bool good = true;
	json_t *child;
	size_t i;

	json_array_foreach(node->json, i, child)
	{
		good = good && push(w, child, node->is_reference);
	}
	json_object_foreach(node->json, key, child)
	{
		if (strcmp(key, "modifierExtension") == 0 || strcmp(key, "implicitRules") == 0)
			found(l, FHIR_RULE_MODIFIER);
		if (strcmp(key, "contained") != 0)
			good = good && push(w, child, names_something(key));
	}
	return good;
}

/* Everything in the resource, contained ones aside: they are a finding of their own. */
static void look_through(struct lint *l)
{
	struct walk w = { .n = 0 };
	bool good = push(&w, l->resource, false);

	while (good && w.n > 0) {
		const struct node node = w.waiting[--w.n];

		if (node.is_reference && json_is_object(node.json))
			look_at_reference(l, node.json);
		good = push_children(l, &w, &node);
	}
	if (!good)
		found(l, FHIR_RULE_TOO_MUCH);
}

/* ---- codes and quantities ---- */

static const char *code_of(const json_t *concept, const char *system)
{
	const json_t *coding;
	size_t i;

	json_array_foreach(json_object_get(concept, "coding"), i, coding)
	{
		if (strcmp(text(coding, "system"), system) == 0 && text(coding, "code")[0])
			return text(coding, "code");
	}
	return "";
}

static bool has_code(const json_t *concept, const char *system, const char *code)
{
	const json_t *coding;
	size_t i;

	json_array_foreach(json_object_get(concept, "coding"), i, coding)
	{
		if (strcmp(text(coding, "system"), system) == 0 &&
		    strcmp(text(coding, "code"), code) == 0)
			return true;
	}
	return false;
}

/* UK Core, structure definitions of 2022 to 2025; glucose: LOINC of mmol/L */
static const struct {
	const char *loinc, *snomed;
	const char *unit, *code;
} fixed[] = {
	{ "8480-6", "271649006", "millimeter of mercury", "mm[Hg]" },
	{ "8462-4", "271650006", "millimeter of mercury", "mm[Hg]" },
	{ "8478-0", "6797001", "millimeter of mercury", "mm[Hg]" },
	{ "", "413606001", "millimeter of mercury", "mm[Hg]" },
	{ "", "413605002", "millimeter of mercury", "mm[Hg]" },
	{ "29463-7", "27113001", "kilogram", "kg" },
	{ "8302-2", "1153637007", "meter", "m" },
	{ "8867-4", "", "per minute", "/min" },
	{ "8310-5", "386725007", "degree Celsius", "Cel" },
	{ "15074-8", "434911002", "millimoles per litre", "mmol/L" },
};

static void look_at_unit(struct lint *l, const json_t *concept, const json_t *quantity)
{
	if (!quantity)
		return;
	if (strcmp(text(quantity, "system"), FHIR_UCUM) != 0 || !text(quantity, "code")[0] ||
	    !text(quantity, "unit")[0]) {
		found(l, FHIR_RULE_UNIT);
		return;
	}
	for (size_t i = 0; i < sizeof(fixed) / sizeof(fixed[0]); i++) {
		if ((!fixed[i].loinc[0] || !has_code(concept, FHIR_LOINC, fixed[i].loinc)) &&
		    (!fixed[i].snomed[0] || !has_code(concept, FHIR_SNOMED, fixed[i].snomed)))
			continue;
		if (strcmp(text(quantity, "unit"), fixed[i].unit) != 0 ||
		    strcmp(text(quantity, "code"), fixed[i].code) != 0)
			found(l, FHIR_RULE_FIXED_UNIT);
		return;
	}
}

static bool has_value(const json_t *object)
{
	static const char *const keys[] = { "valueQuantity", "valueCodeableConcept",
					    "valueString",   "valueBoolean",
					    "valueInteger",  "valueDateTime",
					    "valuePeriod",   "dataAbsentReason" };

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		if (json_object_get(object, keys[i]))
			return true;
	}
	return false;
}

static void look_at_values(struct lint *l)
{
	const json_t *parts = json_object_get(l->resource, "component"), *part;
	size_t i;

	look_at_unit(l, json_object_get(l->resource, "code"),
		     json_object_get(l->resource, "valueQuantity"));
	if (json_array_size(parts) == 0 && !has_value(l->resource))
		found(l, FHIR_RULE_NO_VALUE);
	json_array_foreach(parts, i, part)
	{
		look_at_unit(l, json_object_get(part, "code"),
			     json_object_get(part, "valueQuantity"));
		if (!has_value(part))
			found(l, FHIR_RULE_NO_VALUE);
	}
}

/* ---- blood pressure ---- */

struct half {
	const char *text, *loinc, *snomed;
};

static const struct half measured[2] = {
	{ "Systolic blood pressure", "8480-6",
	  "" }, /* UK Core's examples have other SNOMED codes */
	{ "Diastolic blood pressure", "8462-4", "" },
};
static const struct half averaged[2] = {
	{ "Systolic blood pressure", "", "413606001" },
	{ "Diastolic blood pressure", "", "413605002" },
};

static bool is_half(const json_t *concept, const struct half *half)
{
	return half->loinc[0] ? has_code(concept, FHIR_LOINC, half->loinc)
			      : has_code(concept, FHIR_SNOMED, half->snomed);
}

static void look_at_halves(struct lint *l, const struct half halves[2], enum fhir_rule rule)
{
	const json_t *parts = json_object_get(l->resource, "component"), *part;
	size_t i, seen[2] = { 0, 0 };

	json_array_foreach(parts, i, part)
	{
		const json_t *concept = json_object_get(part, "code");
		size_t h = 0;

		while (h < 2 && !is_half(concept, &halves[h]))
			h++;
		if (h == 2) {
			found(l, rule);
			continue;
		}
		seen[h]++;
		if (strcmp(text(concept, "text"), halves[h].text) != 0)
			found(l, FHIR_RULE_PRESSURE_TEXT);
	}
	if (seen[0] != 1 || seen[1] > 1)
		found(l, rule);
}

static void look_at_pressure(struct lint *l)
{
	const json_t *parts = json_object_get(l->resource, "component"), *part;
	const json_t *concept = json_object_get(l->resource, "code");
	size_t i;

	look_at_halves(l, measured, FHIR_RULE_PRESSURE_PARTS);
	if (!code_of(concept, FHIR_SNOMED)[0] || !code_of(concept, FHIR_LOINC)[0])
		found(l, FHIR_RULE_PRESSURE_CODES);
	json_array_foreach(parts, i, part)
	{
		concept = json_object_get(part, "code");
		if (!code_of(concept, FHIR_SNOMED)[0] || !code_of(concept, FHIR_LOINC)[0])
			found(l, FHIR_RULE_PRESSURE_CODES);
	}
}

static void look_at_average(struct lint *l)
{
	const char *status = text(l->resource, "status");

	look_at_halves(l, averaged, FHIR_RULE_AVERAGE);
	if ((strcmp(status, "final") != 0 && strcmp(status, "entered-in-error") != 0) ||
	    json_array_size(json_object_get(l->resource, "category")) != 1)
		found(l, FHIR_RULE_AVERAGE);
}

/* ---- the rest of an Observation ---- */

static void look_at_subject(struct lint *l)
{
	const char *to = text(json_object_get(l->resource, "subject"), "reference");
	const json_t *entry = strncmp(to, "urn:", 4) == 0 ? entry_at(l, to) : NULL;

	/* a wrong way to name it has a rule of its own */
	if (json_object_get(json_object_get(l->resource, "subject"), "identifier") ||
	    strstr(to, "://") || is_type(json_object_get(entry, "resource"), "Patient"))
		return;
	if (strncmp(to, "Patient/", strlen("Patient/")) != 0 || !to[strlen("Patient/")])
		found(l, FHIR_RULE_NO_SUBJECT);
}

/* "2026-11-16" is a date, "2026-11-16T07:31" a time, which has to end with Z or +00:00 */
static bool has_zone(const char *time)
{
	const char *clock = strchr(time, 'T');

	return !clock || strpbrk(clock, "Z+-") != NULL;
}

static void look_at_time(struct lint *l)
{
	const json_t *period = json_object_get(l->resource, "effectivePeriod");
	const char *at = text(l->resource, "effectiveDateTime");

	if (!at[0] && !text(period, "start")[0])
		found(l, FHIR_RULE_NO_TIME);
	if (!has_zone(at) || !has_zone(text(period, "start")) || !has_zone(text(period, "end")))
		found(l, FHIR_RULE_TIME_ZONE);
}

static void look_at_labels(struct lint *l)
{
	const json_t *security = json_object_get(json_object_get(l->resource, "meta"), "security");
	const json_t *coding, *category;
	bool labelled = false, filed = false;
	size_t i;

	json_array_foreach(security, i, coding)
	{
		labelled = labelled || strcmp(text(coding, "system"), PKB_PRIVACY) == 0;
		if (strcmp(text(coding, "code"), "HTEST") == 0)
			found(l, FHIR_RULE_TEST_DATA);
	}
	json_array_foreach(json_object_get(l->resource, "category"), i, category)
	{
		filed = filed || code_of(category, CATEGORY)[0];
	}
	if (!labelled)
		found(l, FHIR_RULE_PRIVACY_LABEL);
	if (!filed)
		found(l, FHIR_RULE_CATEGORY);
}

static void look_at_observation(struct lint *l)
{
	static const char *const statuses[] = { "final", "amended", "corrected",
						"entered-in-error" };
	const json_t *concept = json_object_get(l->resource, "code");
	bool good = false;

	for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++)
		good = good || strcmp(text(l->resource, "status"), statuses[i]) == 0;
	/* an average has its own rule for it */
	if (!good && !has_code(concept, FHIR_SNOMED, "723232008"))
		found(l, FHIR_RULE_STATUS);
	if (!code_of(concept, FHIR_SNOMED)[0] && !code_of(concept, FHIR_LOINC)[0])
		found(l, FHIR_RULE_NO_CODE);
	look_at_subject(l);
	look_at_time(l);
	look_at_labels(l);
	look_at_values(l);
	if (has_code(concept, FHIR_LOINC, "85354-9") || has_code(concept, FHIR_SNOMED, "75367002"))
		look_at_pressure(l);
	if (has_code(concept, FHIR_SNOMED, "723232008"))
		look_at_average(l);
}

/* ---- entries ---- */

/* the identifier that has a system, "" without one */
static void identifier_of(const json_t *resource, char *ret, size_t size)
{
	const json_t *identifiers = json_object_get(resource, "identifier"), *one;
	size_t i;

	ret[0] = '\0';
	json_array_foreach(identifiers, i, one)
	{
		if (!text(one, "system")[0] || !text(one, "value")[0])
			continue;
		(void)snprintf(ret, size, "%s%%7C%s", text(one, "system"), text(one, "value"));
		return;
	}
}

/* a parameter of a query is this and no more */
static bool asks_for(const char *query, const char *name, const char *value)
{
	char wanted[FHIR_QUERY_MAX];
	const char *at;
	const int n = snprintf(wanted, sizeof(wanted), "%s=%s", name, value);

	if (n <= 0 || (size_t)n >= sizeof(wanted) || !value[0])
		return false;
	for (at = strstr(query, wanted); at; at = strstr(at + 1, wanted)) {
		if ((at == query || strchr("?&", at[-1])) && (!at[n] || at[n] == '&'))
			return true;
	}
	return false;
}

static void look_at_request(struct lint *l, const char *identifier)
{
	const json_t *request = json_object_get(l->entry, "request");
	const char *query = text(request, "ifNoneExist");
	const char *subject = text(json_object_get(l->resource, "subject"), "reference");
	/* a record of a device's clock is about the device, which has no name yet */
	const bool person = strncmp(subject, "Patient/", strlen("Patient/")) == 0;

	if (strcmp(text(request, "method"), "PUT") == 0)
		query = text(request, "url");
	if (!query[0] || (query != text(request, "ifNoneExist") && !strchr(query, '?'))) {
		found(l, FHIR_RULE_NO_CONDITION);
		return;
	}
	if (identifier[0] && (!asks_for(query, "identifier", identifier) ||
			      (person && !asks_for(query, "subject", subject))))
		found(l, FHIR_RULE_WRONG_CONDITION);
}

static void look_for_twin(struct lint *l, const char *identifier)
{
	const json_t *entries = json_object_get(l->bundle, "entry");
	char other[FHIR_QUERY_MAX];

	for (size_t i = 0; i < l->index && identifier[0]; i++) {
		const json_t *resource = json_object_get(json_array_get(entries, i), "resource");

		identifier_of(resource, other, sizeof(other));
		if (strcmp(identifier, other) == 0 &&
		    strcmp(text(json_object_get(resource, "subject"), "reference"),
			   text(json_object_get(l->resource, "subject"), "reference")) == 0)
			found(l, FHIR_RULE_SAME_TWICE);
	}
}

static void look_at_resource(struct lint *l)
{
	const char *type = text(l->resource, "resourceType");
	char identifier[FHIR_QUERY_MAX];

	if (!keeps(l, type, strlen(type)))
		found(l, FHIR_RULE_UNSUPPORTED_TYPE);
	if (json_object_get(l->resource, "contained"))
		found(l, FHIR_RULE_CONTAINED);
	look_through(l);
	if (is_type(l->resource, "Observation"))
		look_at_observation(l);
	/* who the person is, is not ours to create */
	if (!l->bundle || is_type(l->resource, "Patient"))
		return;
	identifier_of(l->resource, identifier, sizeof(identifier));
	if (!identifier[0])
		found(l, FHIR_RULE_NO_IDENTIFIER);
	look_at_request(l, identifier);
	look_for_twin(l, identifier);
}

static int look_at(struct lint *l, json_t *root)
{
	const json_t *entries = json_object_get(root, "entry");
	const char *type = text(root, "type");

	if (is_type(root, "Observation")) {
		l->resource = root;
		look_at_resource(l);
		return 0;
	}
	if (!is_type(root, "Bundle"))
		return -EBADMSG;
	l->bundle = root;
	if (strcmp(type, "batch") != 0 && strcmp(type, "transaction") != 0)
		found(l, FHIR_RULE_BUNDLE_TYPE);
	json_array_foreach(entries, l->index, l->entry)
	{
		l->resource = json_object_get(l->entry, "resource");
		if (json_is_object(l->resource))
			look_at_resource(l);
	}
	return 0;
}

int fhir_lint(const char *json, size_t len, const struct fhir_lint_options *options,
	      struct fhir_finding *ret, size_t max, size_t *ret_n)
{
	struct lint l = { .options = options, .ret = ret, .max = max };
	json_error_t error;
	json_t *root = json_loadb(json, len, JSON_REJECT_DUPLICATES, &error);
	int r;

	if (!root)
		return json_error_code(&error) == json_error_out_of_memory ? -ENOMEM : -EBADMSG;
	r = look_at(&l, root);
	json_decref(root);
	if (r == 0)
		*ret_n = l.n;
	return r;
}

const char *fhir_rule_name(enum fhir_rule rule)
{
	return (unsigned int)rule < FHIR_RULES ? rules[rule].name : "";
}

const char *fhir_rule_sentence(enum fhir_rule rule)
{
	return (unsigned int)rule < FHIR_RULES ? rules[rule].sentence : "";
}

enum fhir_effect fhir_rule_effect(enum fhir_rule rule)
{
	return (unsigned int)rule < FHIR_RULES ? rules[rule].effect : FHIR_UNSAFE;
}
