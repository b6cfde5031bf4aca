/*
 * The Bundle, its entries, and the small types that every resource is made of.
 */
#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/record/fhir/part.h"

#define ID_MAX 64 /* FHIR R4 id: [A-Za-z0-9-.]{1,64} */

int fhir_bundle_new(const struct fhir_options *options, struct fhir_bundle **ret)
{
	struct fhir_bundle *b;

	if (options->batch && options->profile == FHIR_PHD)
		return -EINVAL;
	b = calloc(1, sizeof(*b));
	if (!b)
		return -ENOMEM;
	b->options = *options;
	(void)snprintf(b->system, sizeof(b->system) / 2, "%s",
		       options->system ? options->system : FHIR_SYSTEM);
	b->entries = json_array();
	if (!b->entries) {
		free(b);
		return -ENOMEM;
	}
	*ret = b;
	return 0;
}

void fhir_bundle_free(struct fhir_bundle *b)
{
	if (!b)
		return;
	json_decref(b->entries);
	free(b);
}

size_t fhir_bundle_size(const struct fhir_bundle *b)
{
	return json_array_size(b->entries);
}

char *fhir_bundle_dump(const struct fhir_bundle *b, bool pretty)
{
	struct build build = { .failed = b->build.failed };
	json_t *bundle = build_object(&build);
	char *text = NULL;

	build_text(&build, bundle, "resourceType", "Bundle");
	build_text(&build, bundle, "type", b->options.batch ? "batch" : "transaction");
	build_put(&build, bundle, "entry", json_incref(b->entries));
	if (!build.failed)
		text = build_dump(bundle, pretty);
	json_decref(bundle);
	return text;
}

static bool is_id(const char *text)
{
	size_t n = 0;

	for (; text[n]; n++) {
		if (n == ID_MAX || (!isalnum((unsigned char)text[n]) && !strchr("-.", text[n])))
			return false;
	}
	return n > 0;
}

enum fhir_refusal fhir_patient(const struct fhir_about *about, const char *subject,
			       char ret[FHIR_PATIENT_MAX])
{
	static const char prefix[] = "Patient/";
	const char *id = subject;

	if (about->patient) {
		if (strncmp(about->patient, prefix, strlen(prefix)) != 0)
			return FHIR_BAD_PATIENT;
		id = about->patient + strlen(prefix);
	}
	if (!id || !id[0])
		return FHIR_NO_PERSON;
	if (!is_id(id))
		return FHIR_BAD_PATIENT;
	(void)snprintf(ret, FHIR_PATIENT_MAX, "%s%.*s", prefix, ID_MAX, id);
	return FHIR_TAKEN;
}

void fhir_system(const struct fhir_bundle *b, const char *kind, char ret[FHIR_SYSTEM_MAX])
{
	/* a URN goes on with ':', a URL with '/' */
	(void)snprintf(ret, FHIR_SYSTEM_MAX, "%.*s%c%s", FHIR_SYSTEM_MAX / 2, b->system,
		       strncmp(b->system, "urn:", 4) == 0 ? ':' : '/', kind);
}

/* ---- entries ---- */

void fhir_uuid_of(const struct fhir_bundle *b, const struct fhir_key *key, char ret[BUILD_UUID_MAX])
{
	char whole[FHIR_QUERY_MAX];
	const int len = snprintf(whole, sizeof(whole), "%s|%s|%s|%s", b->system, key->kind,
				 key->value, key->patient ? key->patient : "");

	assert(len > 0 && (size_t)len < sizeof(whole)); /* everything in it is bounded */
	build_uuid(ret, key->type, whole, (size_t)len);
}

static bool has_entry(const struct fhir_bundle *b, const char *url)
{
	const json_t *entry;
	size_t i;

	json_array_foreach(b->entries, i, entry)
	{
		const char *other = json_string_value(json_object_get(entry, "fullUrl"));

		if (other && strcmp(other, url) == 0)
			return true;
	}
	return false;
}

static json_t *request(struct fhir_bundle *b, const struct fhir_key *key, const char *system)
{
	json_t *o = build_object(&b->build);
	char query[FHIR_QUERY_MAX];

	/* the standard writes '|' as it is; a URL may not have it. Everything in it is bounded. */
	(void)snprintf(query, sizeof(query), "%s%sidentifier=%s%%7C%s%s%s",
		       key->update ? key->type : "", key->update ? "?" : "", system, key->value,
		       key->patient ? "&subject=" : "", key->patient ? key->patient : "");
	build_text(&b->build, o, "method", key->update ? "PUT" : "POST");
	build_text(&b->build, o, "url", key->update ? query : key->type);
	if (!key->update)
		build_text(&b->build, o, "ifNoneExist", query);
	return o;
}

void fhir_add_entry(struct fhir_bundle *b, const struct fhir_key *key, json_t *resource)
{
	json_t *entry = build_object(&b->build), *identifier = build_object(&b->build);
	json_t *identifiers = json_object_get(resource, "identifier");
	char url[BUILD_UUID_MAX], system[FHIR_SYSTEM_MAX];

	fhir_uuid_of(b, key, url);
	fhir_system(b, key->kind, system);
	build_text(&b->build, identifier, "system", system);
	build_text(&b->build, identifier, "value", key->value);
	if (!identifiers) {
		identifiers = build_list(&b->build);
		build_add(&b->build, identifiers, identifier);
		build_put(&b->build, resource, "identifier", identifiers);
	} else if (json_array_insert_new(identifiers, 0, identifier) < 0) {
		b->build.failed = true;
	}
	build_text(&b->build, entry, "fullUrl", url);
	build_put(&b->build, entry, "resource", resource);
	build_put(&b->build, entry, "request", request(b, key, system));
	if (has_entry(b, url))
		json_decref(entry);
	else
		build_add(&b->build, b->entries, entry);
}

/* ---- small types ---- */

json_t *fhir_coding(struct fhir_bundle *b, const char *system, const char *code,
		    const char *display)
{
	json_t *o = build_object(&b->build);

	build_text(&b->build, o, "system", system);
	build_text(&b->build, o, "code", code);
	build_text(&b->build, o, "display", display);
	return o;
}

json_t *fhir_concept(struct fhir_bundle *b, const char *system, const char *code, const char *text)
{
	json_t *o = build_object(&b->build), *list = build_list(&b->build);

	build_add(&b->build, list, fhir_coding(b, system, code, NULL));
	build_put(&b->build, o, "coding", list);
	build_text(&b->build, o, "text", text);
	return o;
}

json_t *fhir_reference(struct fhir_bundle *b, const char *to)
{
	json_t *o = build_object(&b->build);

	build_text(&b->build, o, "reference", to);
	return o;
}

json_t *fhir_quantity(struct fhir_bundle *b, struct decimal value, const char *unit,
		      const char *ucum)
{
	json_t *o = build_object(&b->build);

	build_decimal(&b->build, o, "value", value);
	build_text(&b->build, o, "unit", unit);
	build_text(&b->build, o, "system", FHIR_UCUM);
	build_text(&b->build, o, "code", ucum);
	return o;
}

const char *fhir_refusal_text(enum fhir_refusal why)
{
	static const char *const texts[FHIR_REFUSALS] = {
		[FHIR_TAKEN] = "",
		[FHIR_NO_PERSON] = "it is not certain whose it is",
		[FHIR_BAD_PATIENT] = "the person's reference is not Patient/ and an id",
		[FHIR_NO_IDENTITY] = "it has no identity to find it by",
		[FHIR_NO_TIME] = "nobody knows when it was measured",
		[FHIR_NOT_FINAL] = "it is not a finished measurement",
		[FHIR_QUALITY_CHECK] = "it is a check of the device, not a person's value",
		[FHIR_TEST_DATA] = "it is test data",
		[FHIR_UNKNOWN_METRIC] = "this version does not know what was measured",
		[FHIR_NO_CODE] = "there is no SNOMED CT or LOINC code for it",
		[FHIR_UNIT] = "its unit is not the one that this metric has",
		[FHIR_NO_VALUE] = "it says nothing, not even why there is no value",
		[FHIR_GOALS_NOT_KEPT] = "the receiver does not keep goals",
	};

	return (unsigned int)why < FHIR_REFUSALS ? texts[why] : "";
}
