/* links: gateway_fhir gateway_words */
/* Readings are made up. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "drivers/measurement.h"
#include "fhir_make.h"
#include "gateway/record/fhir/build.h"
#include "gateway/record/fhir/fhir.h"

static const struct fhir_about about = { .hub = "hub-1", .patient = "Patient/12" };
static const struct fhir_options phd = { .profile = FHIR_PHD };
static const struct fhir_options ukcore = { .profile = FHIR_UKCORE,
					    .privacy_label = "GENERAL_HEALTH" };

static struct fhir_bundle *bundle_of(const struct fhir_options *options)
{
	struct fhir_bundle *b = NULL;

	assert_int_equal(fhir_bundle_new(options, &b), 0);
	assert_non_null(b);
	return b;
}

/* the bundle as a receiver reads it; b is freed */
static json_t *parsed(struct fhir_bundle *b)
{
	char *text = fhir_bundle_dump(b, false);
	json_t *tree;

	assert_non_null(text);
	tree = json_loads(text, JSON_REJECT_DUPLICATES | JSON_DECODE_INT_AS_REAL, NULL);
	assert_non_null(tree);
	free(text);
	fhir_bundle_free(b);
	return tree;
}

static json_t *render(const struct fhir_options *options, const struct fhir_made *m,
		      enum fhir_change change)
{
	struct fhir_bundle *b = bundle_of(options);
	enum fhir_refusal why;

	assert_int_equal(fhir_add_reading(b, &about, &m->r, change, &why), 0);
	assert_int_equal(why, FHIR_TAKEN);
	return parsed(b);
}

static enum fhir_refusal refused(const struct fhir_options *options, const struct fhir_made *m)
{
	struct fhir_bundle *b = bundle_of(options);
	enum fhir_refusal why;

	assert_int_equal(fhir_add_reading(b, &about, &m->r, FHIR_NEW, &why), -ENODATA);
	assert_int_equal(fhir_bundle_size(b), 0);
	assert_true(strlen(fhir_refusal_text(why)) > 0);
	fhir_bundle_free(b);
	return why;
}

/* "entry.0.resource.status" */
static const json_t *at(const json_t *tree, const char *path)
{
	char copy[200], *rest = copy, *step;

	(void)snprintf(copy, sizeof(copy), "%s", path);
	while (tree && (step = strsep(&rest, "."))) {
		if (json_is_array(tree))
			tree = json_array_get(tree, (size_t)strtoul(step, NULL, 10));
		else
			tree = json_object_get(tree, step);
	}
	return tree;
}

static const char *text_at(const json_t *tree, const char *path)
{
	const char *text = json_string_value(at(tree, path));

	return text ? text : "";
}

static double number_at(const json_t *tree, const char *path)
{
	assert_true(json_is_real(at(tree, path)));
	return json_real_value(at(tree, path));
}

/* the Observation with a code, wherever it is */
static const json_t *observation(const json_t *bundle, const char *code)
{
	const json_t *entry, *coding;
	size_t i, j;

	json_array_foreach(at(bundle, "entry"), i, entry)
	{
		json_array_foreach(at(entry, "resource.code.coding"), j, coding)
		{
			if (strcmp(text_at(coding, "code"), code) == 0)
				return at(entry, "resource");
		}
	}
	return NULL;
}

/* ---- UK Core ---- */

static void ukcore_pressure(void **state)
{
	struct fhir_made m;
	const json_t *o;
	json_t *b;

	(void)state;
	made_pressure(&m, 140, 90); /* the values of the UK Core example */
	b = render(&ukcore, &m, FHIR_NEW);
	assert_int_equal(json_array_size(at(b, "entry")), 3); /* panel, mean, pulse: no Device */
	o = observation(b, "85354-9");
	assert_non_null(o);
	assert_string_equal(text_at(o, "status"), "final");
	assert_string_equal(text_at(o, "code.coding.0.code"), "75367002");
	assert_string_equal(text_at(o, "code.coding.1.display"),
			    "Blood pressure panel with all children optional");
	assert_int_equal(json_array_size(at(o, "component")), 2);
	assert_string_equal(text_at(o, "component.0.code.text"), "Systolic blood pressure");
	assert_string_equal(text_at(o, "component.0.code.coding.0.code"), "271649006");
	assert_string_equal(text_at(o, "component.0.code.coding.1.code"), "8480-6");
	assert_true(number_at(o, "component.0.valueQuantity.value") == 140);
	assert_string_equal(text_at(o, "component.0.valueQuantity.unit"), "millimeter of mercury");
	assert_string_equal(text_at(o, "component.1.code.text"), "Diastolic blood pressure");
	assert_true(number_at(o, "component.1.valueQuantity.value") == 90);
	assert_string_equal(text_at(o, "component.1.valueQuantity.code"), "mm[Hg]");
	assert_string_equal(text_at(o, "subject.reference"), "Patient/12");
	assert_string_equal(text_at(o, "effectiveDateTime"), "2026-11-16T07:31:00Z");
	assert_string_equal(text_at(o, "meta.security.0.code"), "GENERAL_HEALTH");
	assert_null(at(o, "device"));
	assert_null(at(o, "extension"));
	assert_non_null(observation(b, "8867-4"));
	assert_non_null(observation(b, "8478-0"));
	json_decref(b);
}

static void conditional_create(void **state)
{
	const char *want = "identifier=urn:x-wellgate:reading%7C"
			   "101112131415161718191a1b1c1d1e1f-blood_pressure&subject=Patient/12";
	struct fhir_made m;
	json_t *b;

	(void)state;
	made_pressure(&m, 120, 80);
	b = render(&ukcore, &m, FHIR_NEW);
	assert_string_equal(text_at(b, "entry.0.request.method"), "POST");
	assert_string_equal(text_at(b, "entry.0.request.url"), "Observation");
	assert_string_equal(text_at(b, "entry.0.request.ifNoneExist"), want);
	assert_string_equal(text_at(b, "entry.0.resource.identifier.0.value"),
			    "101112131415161718191a1b1c1d1e1f-blood_pressure");
	json_decref(b);
	/* a later revision is the same one, put right */
	m.r.has_revision = true;
	m.r.revision = 2;
	b = render(&ukcore, &m, FHIR_NEW);
	assert_string_equal(text_at(b, "entry.0.request.method"), "PUT");
	assert_string_equal(text_at(b, "entry.0.request.url") + strlen("Observation?"), want);
	assert_null(at(b, "entry.0.request.ifNoneExist"));
	assert_string_equal(text_at(b, "entry.0.resource.status"), "corrected");
	json_decref(b);
}

static void extreme_arrives_flagged(void **state)
{
	struct fhir_made m;
	const json_t *o;
	json_t *b;

	(void)state;
	made_pressure(&m, 250, 150);
	made_flag(&m, FLAG_SOFT_RANGE);
	for (int profile = FHIR_PHD; profile <= FHIR_UKCORE; profile++) {
		b = render(profile == FHIR_PHD ? &phd : &ukcore, &m, FHIR_NEW);
		o = observation(b, "85354-9");
		assert_true(number_at(o, "component.0.valueQuantity.value") == 250);
		assert_true(number_at(o, "component.1.valueQuantity.value") == 150);
		assert_string_equal(text_at(o, "status"), "final");
		assert_string_equal(text_at(o, "meta.tag.0.code"), "soft_range");
		assert_string_equal(text_at(o, "note.0.text"),
				    words_text(WORDS_EN, WORDS_NOTE_UNUSUAL));
		json_decref(b);
	}
	/* beyond what can be: sent all the same, and in doubt */
	made_flag(&m, FLAG_HARD_RANGE);
	b = render(&ukcore, &m, FHIR_NEW);
	o = observation(b, "85354-9");
	assert_string_equal(text_at(o, "interpretation.0.coding.0.code"), "questionable");
	assert_int_equal(json_array_size(at(o, "meta.tag")), 2);
	json_decref(b);
}

static void home_average(void **state)
{
	struct fhir_made m;
	const json_t *o;
	json_t *b;

	(void)state;
	made_begin(&m, METRIC_HOME_BLOOD_PRESSURE);
	made_part(&m, METRIC_HOME_SYSTOLIC, 1342, -1);
	made_part(&m, METRIC_HOME_DIASTOLIC, 846, -1);
	m.r.device = NULL;
	m.r.origin = WELLGATE__V1__ORIGIN__ORIGIN_DERIVED;
	m.r.has_duration_ms = true;
	m.r.duration_ms = INT64_C(3) * 86400000;
	b = render(&ukcore, &m, FHIR_UPDATED);
	o = observation(b, "723232008");
	assert_non_null(o);
	assert_string_equal(text_at(o, "status"), "final"); /* fixed by the profile */
	assert_int_equal(json_array_size(at(o, "category")), 1);
	assert_string_equal(text_at(o, "component.0.code.coding.0.code"), "413606001");
	assert_string_equal(text_at(o, "component.1.code.coding.0.code"), "413605002");
	assert_string_equal(text_at(o, "component.0.code.text"), "Systolic blood pressure");
	assert_true(number_at(o, "component.0.valueQuantity.value") == 134.2);
	assert_string_equal(text_at(o, "effectivePeriod.end"), "2026-11-19T07:31:00Z");
	json_decref(b);
	/* no device measured it, so it is no PHD Observation */
	b = render(&phd, &m, FHIR_NEW);
	assert_int_equal(json_array_size(at(b, "entry")), 1);
	assert_null(at(b, "entry.0.resource.meta.profile"));
	json_decref(b);
}

/* ---- PHD ---- */

static void phd_pressure(void **state)
{
	const json_t *o, *clock;
	struct fhir_made m;
	json_t *b;

	(void)state;
	made_pressure(&m, 116, 71);
	m.r.has_utc_offset_min = true;
	m.r.utc_offset_min = 60;
	b = render(&phd, &m, FHIR_NEW);
	/* gateway, device, clock, pressure with mean, pulse */
	assert_int_equal(json_array_size(at(b, "entry")), 5);
	assert_string_equal(text_at(b, "type"), "transaction");
	o = observation(b, "150020");
	assert_string_equal(
		text_at(o, "meta.profile.0"),
		"http://hl7.org/fhir/uv/phd/StructureDefinition/PhdCompoundNumericObservation");
	assert_int_equal(json_array_size(at(o, "component")), 3);
	assert_string_equal(text_at(o, "extension.0.valueReference.reference"),
			    text_at(b, "entry.0.fullUrl"));
	assert_string_equal(text_at(o, "device.reference"), text_at(b, "entry.1.fullUrl"));
	assert_string_equal(text_at(o, "extension.1.valueReference.reference"),
			    text_at(b, "entry.2.fullUrl"));
	assert_string_equal(text_at(o, "category.1.coding.0.code"), "phd-observation");
	assert_string_equal(text_at(o, "effectiveDateTime"), "2026-11-16T08:31:00+01:00");
	/* 2026-11-16T07:25:00 as the device said it, in seconds since 2000: 848129100 */
	assert_string_equal(text_at(o, "identifier.1.value"),
			    "A0A1A2A3A4A5A6A7A8A9AAABACADAEAF-12-150020-848129100");
	clock = at(b, "entry.2.resource");
	assert_string_equal(text_at(clock, "code.coding.0.code"), "67975");
	assert_string_equal(text_at(clock, "effectiveDateTime"), "2026-11-16T08:31:30+01:00");
	assert_string_equal(text_at(clock, "valueDateTime"), "2026-11-16T08:25:30+01:00");
	assert_string_equal(text_at(clock, "subject.reference"), text_at(b, "entry.1.fullUrl"));
	assert_string_equal(text_at(b, "entry.0.resource.type.coding.0.code"), "531981");
	assert_string_equal(text_at(b, "entry.1.resource.type.coding.0.code"), "65573");
	json_decref(b);
}

static void one_device_of_several(void **state)
{
	struct fhir_bundle *b = bundle_of(&phd);
	enum fhir_refusal why;
	struct fhir_made m;

	(void)state;
	made_pressure(&m, 116, 71);
	assert_int_equal(fhir_add_reading(b, &about, &m.r, FHIR_NEW, &why), 0);
	m.key[0]++;
	m.r.measured_at_ms += 60000;
	assert_int_equal(fhir_add_reading(b, &about, &m.r, FHIR_NEW, &why), 0);
	assert_int_equal(fhir_bundle_size(b), 5 + 2);
	/* the same again adds nothing */
	assert_int_equal(fhir_add_reading(b, &about, &m.r, FHIR_NEW, &why), 0);
	assert_int_equal(fhir_bundle_size(b), 5 + 2);
	fhir_bundle_free(b);
}

/* a device that is better synchronised than the gateway; a UTC stamp that was not shifted */
static void clock_rules(void **state)
{
	struct fhir_made m;
	json_t *b;

	(void)state;
	made_pressure(&m, 116, 71);
	m.r.clock = WELLGATE__V1__CLOCK_QUALITY__CLOCK_DEVICE_TRUSTED;
	m.r.has_clock_correction_ms = false;
	b = render(&phd, &m, FHIR_NEW);
	assert_null(at(b, "entry.2.resource.effectiveDateTime"));
	assert_string_equal(text_at(b, "entry.2.resource.valueDateTime"), "2026-11-16T07:31:30Z");
	json_decref(b);
	m.device_time.kind = WELLGATE__V1__DEVICE_TIME__KIND__KIND_UTC;
	b = render(&phd, &m, FHIR_NEW);
	assert_int_equal(json_array_size(at(b, "entry")), 4);
	json_decref(b);
	m.r.has_clock_correction_ms = true;
	b = render(&phd, &m, FHIR_NEW);
	assert_int_equal(json_array_size(at(b, "entry")), 5);
	json_decref(b);
}

static void absent_values(void **state)
{
	static const struct {
		enum absent why;
		const char *code;
	} rows[] = {
		{ ABSENT_NAN, "not-a-number" },
		{ ABSENT_NRES, "error" },
		{ ABSENT_POSITIVE_INFINITY, "positive-infinity" },
		{ ABSENT_NEGATIVE_INFINITY, "negative-infinity" },
		{ ABSENT_RESERVED, "error" },
		{ ABSENT_UNSUCCESSFUL, "error" },
		{ ABSENT_UNKNOWN, "unknown" },
	};
	struct fhir_made m;
	json_t *b;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		made_begin(&m, METRIC_GLUCOSE);
		made_absent(&m, METRIC_GLUCOSE, rows[i].why);
		b = render(&ukcore, &m, FHIR_NEW);
		assert_string_equal(text_at(b, "entry.0.resource.dataAbsentReason.coding.0.code"),
				    rows[i].code);
		assert_null(at(b, "entry.0.resource.valueQuantity"));
		json_decref(b);
	}
}

/* what the device said, to the last zero */
static void precision(void **state)
{
	struct fhir_bundle *b = bundle_of(&ukcore);
	enum fhir_refusal why;
	struct fhir_made m;
	char *text;

	(void)state;
	made_begin(&m, METRIC_BODY_WEIGHT);
	made_part(&m, METRIC_BODY_WEIGHT, 79960, -3);
	made_part(&m, METRIC_BMI, 740, -1);
	assert_int_equal(fhir_add_reading(b, &about, &m.r, FHIR_NEW, &why), 0);
	text = fhir_bundle_dump(b, false);
	assert_non_null(text);
	assert_non_null(strstr(text, "\"value\":79.960,\"unit\":\"kilogram\""));
	assert_non_null(strstr(text, "\"value\":74.0,"));
	free(text);
	fhir_bundle_free(b);
}

static void height_in_the_unit_of_the_profile(void **state)
{
	struct fhir_made m;
	json_t *b;

	(void)state;
	made_begin(&m, METRIC_HEIGHT);
	made_part(&m, METRIC_HEIGHT, 171, -2);
	b = render(&phd, &m, FHIR_NEW);
	assert_true(number_at(observation(b, "8302-2"), "valueQuantity.value") == 171);
	assert_string_equal(text_at(observation(b, "8302-2"), "valueQuantity.code"), "cm");
	json_decref(b);
	b = render(&ukcore, &m, FHIR_NEW);
	assert_true(number_at(observation(b, "8302-2"), "valueQuantity.value") == 1.71);
	assert_string_equal(text_at(observation(b, "8302-2"), "valueQuantity.unit"), "meter");
	json_decref(b);
}

/* ---- corrections ---- */

static void moved_to_another_person(void **state)
{
	const struct fhir_about to = { .hub = "hub-1", .patient = "Patient/13" };
	struct fhir_bundle *b = bundle_of(&ukcore);
	enum fhir_refusal why;
	struct fhir_made m;
	json_t *tree;

	(void)state;
	made_begin(&m, METRIC_BODY_WEIGHT);
	made_part(&m, METRIC_BODY_WEIGHT, 821, -1);
	assert_int_equal(fhir_add_move(b, &about, &to, &m.r, &why), 0);
	tree = parsed(b);
	assert_int_equal(json_array_size(at(tree, "entry")), 2);
	assert_string_equal(text_at(tree, "entry.0.resource.status"), "entered-in-error");
	assert_string_equal(text_at(tree, "entry.0.resource.subject.reference"), "Patient/12");
	assert_null(at(tree, "entry.0.resource.valueQuantity")); /* it is somebody else's */
	assert_null(at(tree, "entry.0.resource.note"));
	assert_string_equal(text_at(tree, "entry.1.resource.subject.reference"), "Patient/13");
	assert_true(number_at(tree, "entry.1.resource.valueQuantity.value") == 82.1);
	/* both find their own, even if it was there before */
	assert_string_equal(text_at(tree, "entry.0.request.method"), "PUT");
	assert_string_equal(text_at(tree, "entry.1.request.method"), "PUT");
	assert_non_null(strstr(text_at(tree, "entry.1.request.url"), "&subject=Patient/13"));
	json_decref(tree);
}

static void move_is_all_or_nothing(void **state)
{
	const struct fhir_about nobody = { .patient = "Practitioner/1" };
	struct fhir_bundle *b = bundle_of(&ukcore);
	enum fhir_refusal why;
	struct fhir_made m;

	(void)state;
	made_pressure(&m, 120, 80);
	assert_int_equal(fhir_add_move(b, &about, &nobody, &m.r, &why), -ENODATA);
	assert_int_equal(why, FHIR_BAD_PATIENT);
	assert_int_equal(fhir_bundle_size(b), 0);
	fhir_bundle_free(b);
}

/* ---- what is not rendered ---- */

static void refusals(void **state)
{
	struct fhir_made m;

	(void)state;
	made_pressure(&m, 120, 80);
	m.attribution.confidence = WELLGATE__V1__CONFIDENCE__CONFIDENCE_SUGGESTED;
	assert_int_equal(refused(&phd, &m), FHIR_NO_PERSON);
	made_pressure(&m, 120, 80);
	m.r.attribution = NULL;
	assert_int_equal(refused(&ukcore, &m), FHIR_NO_PERSON);
	made_pressure(&m, 120, 80);
	m.r.has_measured_at_ms = false;
	assert_int_equal(refused(&phd, &m), FHIR_NO_TIME);
	made_pressure(&m, 120, 80);
	made_flag(&m, FLAG_UNSTABLE);
	assert_int_equal(refused(&phd, &m), FHIR_NOT_FINAL);
	made_pressure(&m, 120, 80);
	made_flag(&m, FLAG_CONTROL_SOLUTION);
	assert_int_equal(refused(&phd, &m), FHIR_QUALITY_CHECK);
	made_pressure(&m, 120, 80);
	memcpy(m.units[0], "kPa", sizeof("kPa"));
	assert_int_equal(refused(&phd, &m), FHIR_UNIT);
	made_pressure(&m, 120, 80);
	m.components[1].metric = (Wellgate__V1__Metric)9999;
	assert_int_equal(refused(&phd, &m), FHIR_UNKNOWN_METRIC);
	made_pressure(&m, 120, 80);
	m.r.has_dedupe_key = m.r.has_reading_id = false;
	assert_int_equal(refused(&phd, &m), FHIR_NO_IDENTITY);
	made_begin(&m, METRIC_IMPEDANCE);
	assert_int_equal(refused(&phd, &m), FHIR_NO_VALUE);
	made_part(&m, METRIC_IMPEDANCE, 500, 0);
	assert_int_equal(refused(&ukcore, &m), FHIR_NO_CODE);
}

static void test_data(void **state)
{
	struct fhir_made m;
	json_t *b;

	(void)state;
	made_pressure(&m, 120, 80);
	made_flag(&m, FLAG_TEST);
	assert_int_equal(refused(&ukcore, &m), FHIR_TEST_DATA);
	b = render(&phd, &m, FHIR_NEW);
	assert_string_equal(text_at(observation(b, "150020"), "meta.security.0.code"), "HTEST");
	json_decref(b);
}

static void early_estimate(void **state)
{
	struct fhir_made m;
	json_t *b;

	(void)state;
	made_begin(&m, METRIC_TEMPERATURE);
	made_part(&m, METRIC_TEMPERATURE, 371, -1);
	made_flag(&m, FLAG_EARLY_ESTIMATE);
	assert_int_equal(refused(&ukcore, &m), FHIR_NOT_FINAL);
	b = render(&phd, &m, FHIR_NEW);
	assert_string_equal(text_at(observation(b, "150364"), "status"), "preliminary");
	json_decref(b);
}

static void batch_names_nothing(void **state)
{
	const struct fhir_options bad = { .profile = FHIR_PHD, .batch = true };
	struct fhir_bundle *b = NULL;

	(void)state;
	assert_int_equal(fhir_bundle_new(&bad, &b), -EINVAL);
	assert_null(b);
}

/* text of a radio: control characters, no UTF-8, what looks like our mark for numbers */
static void hostile_text(void **state)
{
	static const char radio[] = { 1, '9', '"', '\n', (char)0xff, '\0' };
	struct fhir_made m;
	json_t *b;

	(void)state;
	made_pressure(&m, 120, 80);
	memcpy(m.model, radio, sizeof(radio));
	memcpy(m.make, "\\u0001x", sizeof("\\u0001x"));
	b = render(&phd, &m, FHIR_NEW);
	assert_string_equal(text_at(b, "entry.1.resource.modelNumber"), " 9\" ?");
	assert_string_equal(text_at(b, "entry.1.resource.manufacturer"), "\\u0001x");
	json_decref(b);
}

/* ---- goals ---- */

static void made_result(Wellgate__V1__GoalResult *r, Wellgate__V1__Decimal *numbers)
{
	static char id[] = "steps-week", subject[] = "p-7f3a", unit[] = "{steps}";
	static char words[] = "You walked 21000 steps this week.";

	wellgate__v1__goal_result__init(r);
	wellgate__v1__decimal__init(&numbers[0]);
	wellgate__v1__decimal__init(&numbers[1]);
	numbers[0].mantissa = 21000;
	numbers[1].mantissa = 30000;
	r->goal_id = id;
	r->subject = subject;
	r->unit = unit;
	r->words = words;
	r->goal_version = 1;
	r->metric = WELLGATE__V1__METRIC__METRIC_STEPS;
	r->has_period_start_ms = r->has_period_end_ms = r->has_achievement = true;
	r->period_start_ms = INT64_C(1794787200000);
	r->period_end_ms = INT64_C(1795392000000);
	r->state = WELLGATE__V1__GOAL_RESULT__STATE__STATE_OPEN;
	r->outcome = WELLGATE__V1__GOAL_RESULT__OUTCOME__OUTCOME_IN_PROGRESS;
	r->achievement = WELLGATE__V1__GOAL_RESULT__ACHIEVEMENT__ACHIEVEMENT_IN_PROGRESS;
	r->progress = &numbers[0];
	r->target = &numbers[1];
}

static void goal_result(void **state)
{
	const struct fhir_options keeps = { .profile = FHIR_UKCORE, .goals = true };
	Wellgate__V1__Decimal numbers[2];
	Wellgate__V1__GoalResult r;
	struct fhir_bundle *b = bundle_of(&ukcore);
	enum fhir_refusal why;
	json_t *tree;

	(void)state;
	made_result(&r, numbers);
	assert_int_equal(fhir_add_goal(b, &about, &r, NULL, &why), -ENODATA);
	assert_int_equal(why, FHIR_GOALS_NOT_KEPT);
	fhir_bundle_free(b);
	b = bundle_of(&keeps);
	assert_int_equal(fhir_add_goal(b, &about, &r, NULL, &why), 0);
	tree = parsed(b);
	assert_string_equal(text_at(tree, "entry.0.resource.code.coding.0.code"), "goal-progress");
	assert_true(number_at(tree, "entry.0.resource.valueQuantity.value") == 21000);
	assert_string_equal(text_at(tree, "entry.0.resource.status"), "preliminary");
	assert_string_equal(text_at(tree, "entry.1.resource.resourceType"), "Goal");
	assert_string_equal(text_at(tree, "entry.1.resource.achievementStatus.coding.0.code"),
			    "in-progress");
	assert_true(number_at(tree, "entry.1.resource.target.0.detailQuantity.value") == 30000);
	assert_string_equal(text_at(tree, "entry.1.resource.outcomeReference.0.reference"),
			    text_at(tree, "entry.0.fullUrl"));
	assert_string_equal(text_at(tree, "entry.1.request.method"), "PUT");
	json_decref(tree);
}

/* too little is known: no number, and not "not met" */
static void goal_without_data(void **state)
{
	Wellgate__V1__Decimal numbers[2];
	Wellgate__V1__GoalResult r;
	struct fhir_bundle *b = bundle_of(&phd);
	enum fhir_refusal why;
	json_t *tree;

	(void)state;
	made_result(&r, numbers);
	r.outcome = WELLGATE__V1__GOAL_RESULT__OUTCOME__OUTCOME_NO_DATA;
	r.has_achievement = false;
	r.state = WELLGATE__V1__GOAL_RESULT__STATE__STATE_PAUSED;
	assert_int_equal(fhir_add_goal(b, &about, &r, NULL, &why), 0);
	tree = parsed(b);
	assert_null(at(tree, "entry.0.resource.valueQuantity"));
	assert_null(at(tree, "entry.1.resource.achievementStatus"));
	assert_string_equal(text_at(tree, "entry.1.resource.lifecycleStatus"), "on-hold");
	json_decref(tree);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ukcore_pressure),
		cmocka_unit_test(conditional_create),
		cmocka_unit_test(extreme_arrives_flagged),
		cmocka_unit_test(home_average),
		cmocka_unit_test(phd_pressure),
		cmocka_unit_test(one_device_of_several),
		cmocka_unit_test(clock_rules),
		cmocka_unit_test(absent_values),
		cmocka_unit_test(precision),
		cmocka_unit_test(height_in_the_unit_of_the_profile),
		cmocka_unit_test(moved_to_another_person),
		cmocka_unit_test(move_is_all_or_nothing),
		cmocka_unit_test(refusals),
		cmocka_unit_test(test_data),
		cmocka_unit_test(early_estimate),
		cmocka_unit_test(batch_names_nothing),
		cmocka_unit_test(hostile_text),
		cmocka_unit_test(goal_result),
		cmocka_unit_test(goal_without_data),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
