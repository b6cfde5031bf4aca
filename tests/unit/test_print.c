/* links: gateway_print */
#include "gateway/cli/print.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void assert_measurement(const struct measurement *m, const char *driver, const char *line)
{
	char *text = print_measurement(m, driver);

	assert_non_null(text);
	assert_string_equal(text, line);
	free(text);
}

static struct measurement pressure(void)
{
	struct measurement m = { .metric = METRIC_BLOOD_PRESSURE };

	measurement_add(&m, METRIC_SYSTOLIC, UNIT_MMHG, number_of(1280, -1));
	measurement_add(&m, METRIC_DIASTOLIC, UNIT_MMHG, number_absent(ABSENT_NRES));
	return m;
}

static void test_measurement(void **state)
{
	struct measurement m = pressure();

	(void)state;
	assert_measurement(
		&m, NULL,
		"{\"metric\":\"blood_pressure\",\"components\":[{\"metric\":\"systolic\","
		"\"value\":\"128.0\",\"unit\":\"mm[Hg]\"}],"
		"\"absent\":{\"diastolic\":\"NRes\"}}");
	m.time = (struct device_time){ DEVICE_TIME_UTC, 2026, 5, 12, 18, 53, 4, 0, 0, 0 };
	m.has_user_slot = m.has_record_number = m.has_duration = true;
	m.user_slot = 2;
	m.record_number = 70000;
	m.duration_ms = 30000;
	m.flags = FLAG_BIT(FLAG_IRREGULAR_PULSE) | FLAG_BIT(FLAG_MOVEMENT);
	m.context = "left arm";
	assert_measurement(
		&m, "cuff",
		"{\"metric\":\"blood_pressure\",\"components\":[{\"metric\":\"systolic\","
		"\"value\":\"128.0\",\"unit\":\"mm[Hg]\"}],"
		"\"device_time\":\"2026-05-12T18:53:04Z\",\"user_slot\":2,"
		"\"record_number\":70000,\"duration_ms\":30000,"
		"\"flags\":[\"movement\",\"irregular_pulse\"],"
		"\"absent\":{\"diastolic\":\"NRes\"},\"context\":\"left arm\","
		"\"driver\":\"cuff\"}");
}

static void test_what_is_no_reading(void **state)
{
	struct measurement m = pressure();

	(void)state;
	m.flags = FLAG_BIT(FLAG_UNSTABLE);
	assert_measurement(&m, NULL,
			   "{\"metric\":\"blood_pressure\",\"flags\":[\"unstable\"],"
			   "\"absent\":{\"diastolic\":\"NRes\"}}");
}

static void test_unknown_user_and_date(void **state)
{
	struct measurement m = { .metric = METRIC_BODY_WEIGHT,
				 .has_user_slot = true,
				 .user_slot = 255,
				 .flags = FLAG_BIT(FLAG_CLOCK_NOT_SET) };

	(void)state;
	m.time = (struct device_time){ DEVICE_TIME_LOCAL, 0, 5, 12, 18, 53, 4, 0, 0, 0 };
	assert_measurement(&m, NULL,
			   "{\"metric\":\"body_weight\",\"user_slot\":null,"
			   "\"flags\":[\"clock_not_set\"]}");
}

static void test_times(void **state)
{
	struct measurement m = { .metric = METRIC_STEPS };

	(void)state;
	m.time = (struct device_time){ DEVICE_TIME_LOCAL, 2026, 5, 12, 18, 53, 4, 7, 0, 0 };
	assert_measurement(&m, NULL,
			   "{\"metric\":\"steps\",\"device_time\":\"2026-05-12T18:53:04.000007\"}");
	m.time = (struct device_time){ .kind = DEVICE_TIME_TICKS, .ticks = 600, .tick_us = 1000 };
	assert_measurement(&m, NULL,
			   "{\"metric\":\"steps\",\"device_time\":{\"ticks\":600,"
			   "\"tick_us\":1000}}");
}

/* ---- messages ---- */

static char text_kg[] = "kg", text_lb[] = "[lb_av]", text_loinc[] = "29463-7", text_goal[] = "g1",
	    text_subject[] = "s-1", text_make[] = "Maker", text_model[] = "M1", text_fw[] = "1.2",
	    text_driver[] = "weight_scale", text_words[] = "Well done.";

static void assert_reading(const Wellgate__V1__Reading *r, const char *line)
{
	char *text = print_reading(r, "hub-1");

	assert_non_null(text);
	assert_string_equal(text, line);
	free(text);
}

static void test_reading_values(void **state)
{
	Wellgate__V1__Decimal value = WELLGATE__V1__DECIMAL__INIT;
	Wellgate__V1__Decimal original = WELLGATE__V1__DECIMAL__INIT;
	Wellgate__V1__Component c = WELLGATE__V1__COMPONENT__INIT;
	Wellgate__V1__Component none = WELLGATE__V1__COMPONENT__INIT;
	Wellgate__V1__Component *list[] = { &c, &none };
	Wellgate__V1__Reading r = WELLGATE__V1__READING__INIT;
	Wellgate__V1__Flag flags[] = { WELLGATE__V1__FLAG__FLAG_UNIT_CONVERTED, 60 };

	(void)state;
	value.mantissa = 799729, value.exponent = -4;
	original.mantissa = 17631, original.exponent = -2;
	c.metric = none.metric = WELLGATE__V1__METRIC__METRIC_BODY_WEIGHT;
	c.value = &value, c.unit = text_kg, c.original_value = &original;
	c.original_unit = text_lb, c.loinc = text_loinc;
	none.metric = WELLGATE__V1__METRIC__METRIC_BMI;
	none.has_absent = 1, none.absent = WELLGATE__V1__ABSENT__ABSENT_UNSUCCESSFUL;
	r.metric = WELLGATE__V1__METRIC__METRIC_BODY_WEIGHT;
	r.components = list, r.n_components = 2;
	r.flags = flags, r.n_flags = 2;
	assert_reading(&r,
		       "{\"metric\":\"body_weight\",\"components\":[{\"metric\":\"body_weight\","
		       "\"value\":\"79.9729\",\"unit\":\"kg\",\"original_value\":\"176.31\","
		       "\"original_unit\":\"[lb_av]\",\"loinc\":\"29463-7\"}],"
		       "\"absent\":{\"bmi\":\"unsuccessful\"},"
		       "\"flags\":[\"unit_converted\",\"flag_60\"],\"hub\":\"hub-1\"}");
	flags[0] = WELLGATE__V1__FLAG__FLAG_ERROR;
	r.n_flags = 1;
	assert_reading(&r, "{\"metric\":\"body_weight\",\"absent\":{\"bmi\":\"unsuccessful\"},"
			   "\"flags\":[\"error\"],\"hub\":\"hub-1\"}");
}

static void test_reading_times(void **state)
{
	Wellgate__V1__DeviceTime t = WELLGATE__V1__DEVICE_TIME__INIT;
	Wellgate__V1__Reading r = WELLGATE__V1__READING__INIT;

	(void)state;
	t.kind = WELLGATE__V1__DEVICE_TIME__KIND__KIND_LOCAL;
	t.year = 2026, t.month = 5, t.day = 12, t.hour = 18, t.minute = 53, t.second = 54;
	r.metric = WELLGATE__V1__METRIC__METRIC_STEPS;
	r.device_time = &t;
	r.has_measured_at_ms = r.has_clock = r.has_received_at_ms = r.has_utc_offset_min = 1;
	r.measured_at_ms = INT64_C(1778608434007);
	r.received_at_ms = -1;
	r.utc_offset_min = 60;
	r.clock = WELLGATE__V1__CLOCK_QUALITY__CLOCK_DEVICE_CORRECTED;
	assert_reading(&r, "{\"metric\":\"steps\",\"measured_at\":\"2026-05-12T17:53:54.007Z\","
			   "\"clock\":\"device_corrected\",\"utc_offset_min\":60,"
			   "\"device_time\":\"2026-05-12T18:53:54\","
			   "\"received_at\":\"1969-12-31T23:59:59.999Z\",\"hub\":\"hub-1\"}");
	r.device_time = NULL;
	r.has_measured_at_ms = r.has_received_at_ms = r.has_utc_offset_min = 0;
	r.clock = 77;
	assert_reading(&r, "{\"metric\":\"steps\",\"clock\":\"77\",\"hub\":\"hub-1\"}");
	r.clock = WELLGATE__V1__CLOCK_QUALITY__CLOCK_UNKNOWN;
	r.has_time_fault = 1;
	r.time_fault = WELLGATE__V1__TIME_FAULT__TIME_FAULT_NO_STAMP;
	assert_reading(&r, "{\"metric\":\"steps\",\"clock\":\"unknown\","
			   "\"time_fault\":\"no_stamp\",\"hub\":\"hub-1\"}");
}

static void test_reading_who(void **state)
{
	uint8_t id[16] = { 0xab, 0x01 };
	char *goals[] = { text_goal };
	Wellgate__V1__DeviceRef d = WELLGATE__V1__DEVICE_REF__INIT;
	Wellgate__V1__Attribution a = WELLGATE__V1__ATTRIBUTION__INIT;
	Wellgate__V1__Reading r = WELLGATE__V1__READING__INIT;

	(void)state;
	d.make = text_make, d.model = text_model, d.firmware = text_fw, d.driver = text_driver;
	a.rule = WELLGATE__V1__ATTRIBUTION_RULE__ATTRIBUTION_USER_SLOT;
	a.confidence = WELLGATE__V1__CONFIDENCE__CONFIDENCE_ASSIGNED;
	r.metric = WELLGATE__V1__METRIC__METRIC_STEPS;
	r.device = &d, r.attribution = &a, r.subject = text_subject;
	r.has_user_slot = r.has_sequence = r.has_reading_id = 1;
	r.user_slot = 1, r.sequence = 42;
	r.reading_id.data = id, r.reading_id.len = sizeof(id);
	r.goals = goals, r.n_goals = 1;
	assert_reading(&r, "{\"metric\":\"steps\",\"user_slot\":1,\"subject\":\"s-1\","
			   "\"attribution\":{\"rule\":\"user_slot\",\"confidence\":\"assigned\"},"
			   "\"goals\":[\"g1\"],\"device\":{\"make\":\"Maker\",\"model\":\"M1\","
			   "\"firmware\":\"1.2\"},\"driver\":\"weight_scale\",\"hub\":\"hub-1\","
			   "\"sequence\":42,\"reading_id\":\"ab010000000000000000000000000000\"}");
}

static void test_goal_result(void **state)
{
	Wellgate__V1__Decimal progress = WELLGATE__V1__DECIMAL__INIT;
	Wellgate__V1__GoalResult g = WELLGATE__V1__GOAL_RESULT__INIT;
	char *text;

	(void)state;
	progress.mantissa = 5100;
	g.goal_id = text_goal, g.words = text_words, g.progress = &progress;
	g.metric = WELLGATE__V1__METRIC__METRIC_STEPS;
	g.has_state = g.has_outcome = 1;
	g.state = WELLGATE__V1__GOAL_RESULT__STATE__STATE_PROVISIONAL;
	g.outcome = WELLGATE__V1__GOAL_RESULT__OUTCOME__OUTCOME_IN_PROGRESS;
	g.has_achievement = g.has_reason = g.has_asked_days = g.has_review = 1;
	g.achievement = WELLGATE__V1__GOAL_RESULT__ACHIEVEMENT__ACHIEVEMENT_IMPROVING;
	g.reason = WELLGATE__V1__GOAL_RESULT__REASON__REASON_LATE_DATA;
	g.asked_days = 5, g.review = 1;
	text = print_goal_result(&g);
	assert_non_null(text);
	assert_string_equal(text, "{\"goal_id\":\"g1\",\"metric\":\"steps\","
				  "\"state\":\"provisional\",\"outcome\":\"in_progress\","
				  "\"progress\":\"5100\",\"achievement\":\"improving\","
				  "\"reason\":\"late_data\",\"asked_days\":5,\"review\":true,"
				  "\"words\":\"Well done.\"}");
	free(text);
}

/* A line that is not JSON is worse than none. */
static void test_text_that_is_not_utf8(void **state)
{
	static char bad[] = "a\xff";
	Wellgate__V1__Reading r = WELLGATE__V1__READING__INIT;

	(void)state;
	r.subject = bad;
	assert_null(print_reading(&r, NULL));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_measurement),
		cmocka_unit_test(test_what_is_no_reading),
		cmocka_unit_test(test_unknown_user_and_date),
		cmocka_unit_test(test_times),
		cmocka_unit_test(test_reading_values),
		cmocka_unit_test(test_reading_times),
		cmocka_unit_test(test_reading_who),
		cmocka_unit_test(test_goal_result),
		cmocka_unit_test(test_text_that_is_not_utf8),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
