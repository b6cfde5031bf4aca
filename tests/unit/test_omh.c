/* links: gateway_omh */
/* Readings are made up. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "drivers/measurement.h"
#include "fhir_make.h"
#include "gateway/record/omh/omh.h"

static char *points(const struct fhir_made *m, size_t left_out)
{
	enum fhir_refusal why;
	char *text = NULL;
	size_t n = 99;

	assert_int_equal(omh_points(&m->r, &text, &n, &why), 0);
	assert_non_null(text);
	assert_int_equal(n, left_out);
	return text;
}

static void pressure_and_pulse(void **state)
{
	struct fhir_made m;
	unsigned int lines = 0;
	char *text, *rest;

	(void)state;
	made_pressure(&m, 250, 150);
	made_flag(&m, FLAG_SOFT_RANGE);
	text = points(&m, 1); /* no schema for the mean */
	assert_non_null(strstr(text,
			       "\"systolic_blood_pressure\":{\"value\":250,\"unit\":\"mmHg\"},"
			       "\"diastolic_blood_pressure\":{\"value\":150,"));
	assert_non_null(strstr(text, "\"name\":\"blood-pressure\",\"version\":\"4.0\""));
	assert_non_null(strstr(text, "\"heart_rate\":{\"value\":72,\"unit\":\"beats/min\"}"));
	assert_non_null(strstr(text, "\"effective_time_frame\":{\"date_time\":"
				     "\"2026-11-16T07:31:00Z\"}"));
	assert_non_null(strstr(text, "\"flags\":[\"soft_range\"]"));
	assert_non_null(strstr(text, "\"modality\":\"sensed\""));
	/* two lines, each of them JSON, with names of their own */
	rest = text;
	for (char *line = strsep(&rest, "\n"); line && *line; line = strsep(&rest, "\n")) {
		json_t *point = json_loads(line, JSON_REJECT_DUPLICATES, NULL);

		assert_non_null(json_object_get(point, "header"));
		assert_non_null(json_object_get(point, "body"));
		json_decref(point);
		lines++;
	}
	assert_int_equal(lines, 2);
	free(text);
}

static void a_sum_is_an_interval(void **state)
{
	enum fhir_refusal why;
	char *text = NULL;
	struct fhir_made m;
	size_t n;

	(void)state;
	made_begin(&m, METRIC_STEPS);
	made_part(&m, METRIC_STEPS, 5210, 0);
	assert_int_equal(omh_points(&m.r, &text, &n, &why), -ENODATA);
	assert_int_equal(why, FHIR_NO_CODE);
	assert_null(text);
	m.r.has_duration_ms = m.r.has_utc_offset_min = true;
	m.r.duration_ms = 3600000;
	m.r.utc_offset_min = 60;
	text = points(&m, 0);
	assert_non_null(strstr(text, "\"time_interval\":{\"start_date_time\":"
				     "\"2026-11-16T08:31:00+01:00\",\"end_date_time\":"
				     "\"2026-11-16T09:31:00+01:00\"}"));
	assert_non_null(strstr(text, "\"namespace\":\"ieee\",\"name\":\"physical-activity\""));
	free(text);
}

static void precision_and_typed_in(void **state)
{
	struct fhir_made m;
	char *text;

	(void)state;
	made_begin(&m, METRIC_BODY_WEIGHT);
	made_part(&m, METRIC_BODY_WEIGHT, 7400, -2);
	made_part(&m, METRIC_IMPEDANCE, 500, 0);
	made_flag(&m, FLAG_MANUAL);
	text = points(&m, 1);
	assert_non_null(strstr(text, "{\"value\":74.00,\"unit\":\"kg\"}"));
	assert_non_null(strstr(text, "\"modality\":\"self-reported\""));
	free(text);
}

static void refusals(void **state)
{
	enum fhir_refusal why;
	char *text = NULL;
	struct fhir_made m;
	size_t n;

	(void)state;
	made_pressure(&m, 120, 80);
	m.r.subject = NULL;
	assert_int_equal(omh_points(&m.r, &text, &n, &why), -ENODATA);
	assert_int_equal(why, FHIR_NO_PERSON);
	made_pressure(&m, 120, 80);
	m.r.has_measured_at_ms = false;
	assert_int_equal(omh_points(&m.r, &text, &n, &why), -ENODATA);
	assert_int_equal(why, FHIR_NO_TIME);
	made_pressure(&m, 120, 80);
	memcpy(m.units[1], "kPa", sizeof("kPa"));
	assert_int_equal(omh_points(&m.r, &text, &n, &why), -ENODATA);
	assert_int_equal(why, FHIR_UNIT);
	made_begin(&m, METRIC_GLUCOSE);
	made_part(&m, METRIC_GLUCOSE, 56, -1);
	made_flag(&m, FLAG_CONTROL_SOLUTION);
	assert_int_equal(omh_points(&m.r, &text, &n, &why), -ENODATA);
	assert_int_equal(why, FHIR_QUALITY_CHECK);
	assert_null(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pressure_and_pulse),
		cmocka_unit_test(a_sum_is_an_interval),
		cmocka_unit_test(precision_and_typed_in),
		cmocka_unit_test(refusals),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
