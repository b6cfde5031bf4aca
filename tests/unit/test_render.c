/* links: gateway_print */
/* What wellgate tail writes for other systems. Readings are made up. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "drivers/measurement.h"
#include "fhir_make.h"
#include "gateway/cli/tail_print.h"

/* what one batch of one reading becomes; *ret_left is counted on */
static char *printed(enum tail_format format, const char *topic, struct fhir_made *m,
		     struct render_counts *ret_left)
{
	Wellgate__V1__ReadingBatch batch = WELLGATE__V1__READING_BATCH__INIT;
	Wellgate__V1__Reading *list[1] = { &m->r };
	struct tail_printer printer;
	uint8_t data[2048];
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);

	assert_non_null(out);
	batch.n_readings = 1;
	batch.readings = list;
	assert_true(wellgate__v1__reading_batch__get_packed_size(&batch) <= sizeof(data));
	assert_int_equal(tail_printer_init(&printer, out, format, UINT64_MAX), 0);
	assert_int_equal(
		tail_print(&printer, topic, data, wellgate__v1__reading_batch__pack(&batch, data)),
		0);
	*ret_left = printer.left_out;
	tail_printer_finish(&printer);
	(void)fclose(out);
	return text;
}

static void a_bundle_a_line(void **state)
{
	struct render_counts left;
	struct fhir_made m;
	json_t *bundle;
	char *text;

	(void)state;
	made_pressure(&m, 128, 79);
	text = printed(TAIL_FHIR, "wellgate/v1/site/hub-1/reading/bp", &m, &left);
	assert_ptr_equal(strchr(text, '\n'), text + strlen(text) - 1);
	bundle = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
	assert_int_equal(json_array_size(json_object_get(bundle, "entry")), 5);
	assert_non_null(strstr(text, "\"reference\":\"Patient/p-7f3a\""));
	assert_null(strstr(text, "HTEST"));
	json_decref(bundle);
	free(text);
}

static void test_topic_is_marked(void **state)
{
	struct render_counts left;
	struct fhir_made m;
	char *text;

	(void)state;
	made_pressure(&m, 128, 79);
	text = printed(TAIL_FHIR, "wellgate/v1/site/hub-1/test/reading/bp", &m, &left);
	assert_non_null(strstr(text, "HTEST"));
	free(text);
	text = printed(TAIL_OMH, "wellgate/v1/site/hub-1/test/reading/bp", &m, &left);
	assert_non_null(strstr(text, "\"flags\":[\"test\"]"));
	assert_int_equal(left.parts, 1); /* the mean */
	free(text);
}

static void what_is_left_out_is_counted(void **state)
{
	struct render_counts left;
	struct fhir_made m;
	char *text;

	(void)state;
	made_pressure(&m, 128, 79);
	m.r.subject = NULL;
	m.r.attribution = NULL;
	text = printed(TAIL_FHIR, "wellgate/v1/site/hub-1/reading/bp", &m, &left);
	assert_string_equal(text, "");
	assert_int_equal(left.refused[FHIR_NO_PERSON], 1);
	free(text);
	text = printed(TAIL_OMH, "wellgate/v1/site/hub-1/reading/bp", &m, &left);
	assert_string_equal(text, "");
	assert_int_equal(left.refused[FHIR_NO_PERSON], 1);
	free(text);
}

static char *printed_status(enum tail_format format, const Wellgate__V1__HubStatus *s)
{
	struct tail_printer printer;
	uint8_t data[2048];
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);

	assert_non_null(out);
	assert_true(wellgate__v1__hub_status__get_packed_size(s) <= sizeof(data));
	assert_int_equal(tail_printer_init(&printer, out, format, UINT64_MAX), 0);
	len = wellgate__v1__hub_status__pack(s, data);
	assert_int_equal(tail_print(&printer, "wellgate/v1/site/hub-1/status", data, len), 0);
	tail_printer_finish(&printer);
	(void)fclose(out);
	return text;
}

static void a_status_shows_its_fleet(void **state)
{
	Wellgate__V1__HubStatus s = WELLGATE__V1__HUB_STATUS__INIT;
	Wellgate__V1__FirmwareCount scale = WELLGATE__V1__FIRMWARE_COUNT__INIT;
	Wellgate__V1__FirmwareCount odd = WELLGATE__V1__FIRMWARE_COUNT__INIT;
	Wellgate__V1__FirmwareCount *rows[] = { &scale, &odd };
	char make[] = "Maker", model[] = "Scale", firmware[] = "1.4", driver[] = "weird\033[2J";
	char *text;

	(void)state;
	scale.make = make;
	scale.model = model;
	scale.firmware = firmware;
	scale.has_devices = scale.has_first_seen_ms = scale.has_last_seen_ms = true;
	scale.devices = 2;
	scale.first_seen_ms = INT64_C(1794787200000);
	scale.last_seen_ms = scale.first_seen_ms + INT64_C(86400000);
	odd.driver = driver;
	odd.has_last_seen_ms = true;
	odd.last_seen_ms = INT64_MAX; /* no time */
	s.fleet = rows;
	s.n_fleet = 2;
	text = printed_status(TAIL_TEXT, &s);
	assert_non_null(
		strstr(text, "2 Maker Scale, firmware 1.4, seen 2026-11-16 to 2026-11-17\n"));
	assert_non_null(strstr(text, "0 (weird?[2J), firmware not told\n"));
	free(text);
	text = printed_status(TAIL_JSON, &s);
	assert_non_null(strstr(text, "{\"make\":\"Maker\",\"model\":\"Scale\",\"firmware\":\"1.4\","
				     "\"devices\":2,\"first_seen\":\"2026-11-16\","
				     "\"last_seen\":\"2026-11-17\"}"));
	assert_non_null(strstr(text, "\"devices\":0}"));
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_bundle_a_line),
		cmocka_unit_test(test_topic_is_marked),
		cmocka_unit_test(a_status_shows_its_fleet),
		cmocka_unit_test(what_is_left_out_is_counted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
