/* links: drivers messages */
#include "drivers/measurement.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "wellgate.pb-c.h"

/* "FLAG_IRREGULAR_PULSE" and "irregular_pulse" */
static bool same_name(const char *message, const char *name)
{
	message += strlen("FLAG_");
	for (; *message && *name; message++, name++) {
		const char c =
			(char)(*message >= 'A' && *message <= 'Z' ? *message + 32 : *message);

		if (c != *name)
			return false;
	}
	return *message == *name;
}

static void test_flags_equal_the_message(void **state)
{
	const ProtobufCEnumDescriptor *type = &wellgate__v1__flag__descriptor;

	(void)state;
	assert_int_equal(type->n_values, FLAG_END); /* with UNSPECIFIED, which has no name */
	assert_null(flag_name(0));
	assert_null(flag_name(FLAG_END));
	for (unsigned int i = 1; i < FLAG_END; i++) {
		const ProtobufCEnumValue *v = protobuf_c_enum_descriptor_get_value(type, (int)i);

		assert_non_null(v);
		assert_non_null(flag_name(i));
		assert_true(same_name(v->name, flag_name(i)));
	}
}

static void test_link_security_equals_the_message(void **state)
{
	(void)state;
	assert_int_equal(LINK_REPLAY, WELLGATE__V1__LINK_SECURITY__LINK_REPLAY);
	assert_int_equal(LINK_CLEAR, WELLGATE__V1__LINK_SECURITY__LINK_CLEAR);
	assert_int_equal(LINK_ENCRYPTED, WELLGATE__V1__LINK_SECURITY__LINK_ENCRYPTED);
	assert_int_equal(LINK_AUTHENTICATED, WELLGATE__V1__LINK_SECURITY__LINK_AUTHENTICATED);
	assert_int_equal(LINK_CABLE, WELLGATE__V1__LINK_SECURITY__LINK_CABLE);
	assert_int_equal(LINK_BROADCAST, WELLGATE__V1__LINK_SECURITY__LINK_BROADCAST);
}

static void test_final(void **state)
{
	static const unsigned int still_readings[] = {
		FLAG_MOVEMENT,      FLAG_CUFF_FIT,      FLAG_IRREGULAR_PULSE,
		FLAG_BODY_POSITION, FLAG_SOFT_RANGE,    FLAG_BACKFILL,
		FLAG_LATE,          FLAG_MANUAL,        FLAG_PART,
		FLAG_QUESTIONABLE,  FLAG_CLOCK_NOT_SET, FLAG_ONGOING,
	};
	static const unsigned int no_readings[] = {
		FLAG_TEST,           FLAG_NO_CONTACT,  FLAG_UNSTABLE,
		FLAG_REMOVED,        FLAG_ERROR,       FLAG_INVALID,
		FLAG_EARLY_ESTIMATE, FLAG_CALIBRATING, FLAG_CONTROL_SOLUTION,
		FLAG_INTERMEDIATE,   FLAG_UNAVAILABLE,
	};
	struct measurement m = { .metric = METRIC_BLOOD_PRESSURE };

	(void)state;
	assert_false(measurement_is_final(&m));
	measurement_add(&m, METRIC_SYSTOLIC, UNIT_MMHG, number_absent(ABSENT_NAN));
	assert_false(measurement_is_final(&m));
	m.parts[0].number = number_absent(ABSENT_POSITIVE_INFINITY); /* HI */
	assert_true(measurement_is_final(&m));
	m.parts[0].number = number_absent(ABSENT_NEGATIVE_INFINITY); /* LO */
	assert_true(measurement_is_final(&m));
	m.parts[0].number = number_absent(ABSENT_NRES);
	assert_false(measurement_is_final(&m));
	measurement_add(&m, METRIC_DIASTOLIC, UNIT_MMHG, number_of(80, 0));
	assert_int_equal(m.n_parts, 2);
	assert_true(measurement_is_final(&m));
	for (size_t i = 0; i < sizeof(still_readings) / sizeof(still_readings[0]); i++) {
		m.flags = FLAG_BIT(still_readings[i]);
		assert_true(measurement_is_final(&m));
	}
	for (size_t i = 0; i < sizeof(no_readings) / sizeof(no_readings[0]); i++) {
		m.flags = FLAG_BIT(no_readings[i]) | FLAG_BIT(FLAG_MOVEMENT);
		assert_false(measurement_is_final(&m));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_flags_equal_the_message),
		cmocka_unit_test(test_link_security_equals_the_message),
		cmocka_unit_test(test_final),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
