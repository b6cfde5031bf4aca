/* links: protocols */
#include "protocols/bytes/decimal.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define N(rows) (sizeof(rows) / sizeof((rows)[0]))

static struct decimal dec(int64_t mantissa, int32_t exponent)
{
	return (struct decimal){ .mantissa = mantissa, .exponent = exponent };
}

static void assert_decimal(struct decimal d, int64_t mantissa, int32_t exponent)
{
	assert_true(d.mantissa == mantissa);
	assert_int_equal(d.exponent, exponent);
}

/* where `back`, the text parses to the same mantissa and exponent again */
static void test_format(void **state)
{
	static const struct {
		struct decimal d;
		const char *text;
		bool back;
	} rows[] = {
		{ { 79960, -3 }, "79.960", true },
		{ { 740, -1 }, "74.0", true },
		{ { 5, 2 }, "500", false },
		{ { 0, 0 }, "0", true },
		{ { 0, -2 }, "0.00", true },
		{ { 0, 3 }, "0", false },
		{ { -5, -3 }, "-0.005", true },
		{ { -123, -2 }, "-1.23", true },
		{ { 123, -3 }, "0.123", true },
		{ { 123, -4 }, "0.0123", true },
		{ { INT64_MAX, 0 }, "9223372036854775807", true },
		{ { INT64_MIN, 0 }, "-9223372036854775808", true },
		{ { INT64_MIN, -19 }, "-0.9223372036854775808", true },
		{ { INT64_MIN, 40 },
		  "-92233720368547758080000000000000000000000000000000000000000",
		  false },
		{ { 1, -40 }, "0.0000000000000000000000000000000000000001", true },
	};
	char buf[DECIMAL_TEXT_MAX];
	struct decimal back;

	(void)state;
	for (size_t i = 0; i < N(rows); i++) {
		assert_int_equal(decimal_format(buf, sizeof(buf), rows[i].d), strlen(rows[i].text));
		assert_string_equal(buf, rows[i].text);
		if (!rows[i].back)
			continue;
		assert_int_equal(decimal_parse(buf, &back), 0);
		assert_decimal(back, rows[i].d.mantissa, rows[i].d.exponent);
	}
}

static void test_format_room(void **state)
{
	char buf[7];

	(void)state;
	assert_int_equal(decimal_format(buf, 7, dec(79960, -3)), 6);
	memset(buf, 'x', sizeof(buf));
	assert_int_equal(decimal_format(buf, 6, dec(79960, -3)), -ENOSPC);
	assert_string_equal(buf, "");
	assert_int_equal(decimal_format(buf, 1, dec(0, 0)), -ENOSPC);
	assert_int_equal(decimal_format(buf, 7, dec(1, 41)), -ERANGE);
	assert_int_equal(decimal_format(buf, 7, dec(1, -41)), -ERANGE);
	assert_int_equal(decimal_format(buf, 7, dec(1, INT32_MIN)), -ERANGE);
	assert_string_equal(buf, "");
}

static void test_parse_refuses(void **state)
{
	static const struct {
		const char *text;
		int r;
	} rows[] = {
		{ "", -EINVAL },
		{ "-", -EINVAL },
		{ "+1", -EINVAL },
		{ ".5", -EINVAL },
		{ "5.", -EINVAL },
		{ "1.2.3", -EINVAL },
		{ "1e5", -EINVAL },
		{ " 1", -EINVAL },
		{ "1 ", -EINVAL },
		{ "--1", -EINVAL },
		{ "0x1", -EINVAL },
		{ "1,5", -EINVAL },
		{ "-.5", -EINVAL },
		{ "NaN", -EINVAL },
		{ "1.-2", -EINVAL },
		{ "9223372036854775808", -ERANGE },
		{ "-9223372036854775809", -ERANGE },
		{ "99999999999999999999", -ERANGE },
		{ "0.00000000000000000000000000000000000000001", -ERANGE },
	};
	struct decimal d = dec(7, 7);

	(void)state;
	for (size_t i = 0; i < N(rows); i++) {
		assert_int_equal(decimal_parse(rows[i].text, &d), rows[i].r);
		assert_decimal(d, 7, 7);
	}
}

static void test_rescale(void **state)
{
	static const struct {
		struct decimal d;
		int64_t mantissa;
		int32_t exponent;
		int r;
	} rows[] = {
		{ { 740, -1 }, 74000, -3, 0 },
		{ { 740, -1 }, 74, 0, 0 },
		{ { 25, -1 }, 2, 0, 0 },
		{ { 35, -1 }, 4, 0, 0 },
		{ { -25, -1 }, -2, 0, 0 },
		{ { -35, -1 }, -4, 0, 0 },
		{ { 251, -2 }, 3, 0, 0 },
		{ { 249, -2 }, 2, 0, 0 },
		{ { 5, -1 }, 0, 0, 0 },
		{ { 15, -1 }, 2, 0, 0 },
		{ { 5, 2 }, 500, 0, 0 },
		{ { INT64_MAX, 0 }, 922337203685477581, 1, 0 },
		{ { INT64_MIN, 0 }, -1, 19, 0 },
		{ { INT64_MIN, 0 }, 0, 20, 0 },
		{ { INT64_MAX, -40 }, 0, 40, 0 },
		{ { 0, 40 }, 0, -40, 0 },
		{ { 1, 18 }, INT64_C(1000000000000000000), 0, 0 },
		{ { 1, 19 }, 0, 0, -ERANGE },
		{ { 10, 18 }, 0, 0, -ERANGE },
		{ { INT64_MIN, 0 }, 0, -1, -ERANGE },
		{ { 1, 41 }, 0, 0, -ERANGE },
		{ { 1, 0 }, 0, -41, -ERANGE },
	};

	(void)state;
	for (size_t i = 0; i < N(rows); i++) {
		struct decimal d = dec(7, 7);

		assert_int_equal(decimal_rescale(rows[i].d, rows[i].exponent, &d), rows[i].r);
		if (rows[i].r == 0)
			assert_decimal(d, rows[i].mantissa, rows[i].exponent);
		else
			assert_decimal(d, 7, 7);
	}
}

/* every one less than the next */
static void test_compare(void **state)
{
	static const struct decimal rising[] = {
		{ INT64_MIN, INT32_MAX },
		{ INT64_MIN, 1 },
		{ INT64_MIN, 0 },
		{ -1, 18 },
		{ -741, -1 },
		{ -74, 0 },
		{ -1, INT32_MIN },
		{ 0, 5 },
		{ 1, INT32_MIN },
		{ 1, -19 },
		{ 1, -1 },
		{ 74, 0 },
		{ 741, -1 },
		{ 1, 18 },
		{ INT64_MAX, 0 },
		{ 1, 19 },
		{ 1, 20 },
		{ INT64_MAX, 2 },
		{ 1, INT32_MAX },
	};

	(void)state;
	for (size_t i = 0; i < N(rising); i++) {
		for (size_t j = 0; j < N(rising); j++)
			assert_int_equal(decimal_compare(rising[i], rising[j]), (i > j) - (i < j));
	}
	assert_int_equal(decimal_compare(dec(740, -1), dec(74, 0)), 0);
	assert_int_equal(decimal_compare(dec(0, INT32_MAX), dec(0, INT32_MIN)), 0);
	assert_int_equal(decimal_compare(dec(INT64_MAX / 10 * 10, 0), dec(INT64_MAX / 10, 1)), 0);
}

static void test_add(void **state)
{
	struct decimal d = dec(7, 7);

	(void)state;
	assert_int_equal(decimal_add(dec(740, -1), dec(5, -3), &d), 0);
	assert_decimal(d, 74005, -3);
	assert_int_equal(decimal_add(dec(5, -3), dec(-5, -3), &d), 0);
	assert_decimal(d, 0, -3);
	assert_int_equal(decimal_add(dec(INT64_MAX, 0), dec(1, 0), &d), -ERANGE);
	assert_int_equal(decimal_add(dec(INT64_MIN, 0), dec(-1, 0), &d), -ERANGE);
	assert_int_equal(decimal_add(dec(1, 20), dec(1, 0), &d), -ERANGE);
	assert_decimal(d, 0, -3);
}

static void test_scale(void **state)
{
	static const struct {
		struct decimal d;
		int64_t add;
		struct decimal num, den;
		int32_t digits;
		struct decimal want;
	} rows[] = {
		/* 986e-1 F in Celsius, exactly */
		{ { 986, -1 }, -32, { 5, 0 }, { 9, 0 }, 4, { 370, -1 } },
		/* endless: half to even at the fourth digit */
		{ { 1, 0 }, 0, { 1, 0 }, { 3, 0 }, 4, { 3333, -4 } },
		{ { 2, 0 }, 0, { 1, 0 }, { 3, 0 }, 4, { 6667, -4 } },
		{ { -2, 0 }, 0, { 1, 0 }, { -3, 0 }, 4, { 6667, -4 } },
		{ { -2, 0 }, 0, { 1, 0 }, { 3, 0 }, 4, { -6667, -4 } },
		/* ends after more digits than asked for: a tie goes to the even digit */
		{ { 1, 0 }, 0, { 1, 0 }, { 8, 0 }, 2, { 12, -2 } },
		{ { 3, 0 }, 0, { 1, 0 }, { 8, 0 }, 2, { 38, -2 } },
		{ { 1, 0 }, 0, { 1, 0 }, { 8, 0 }, 3, { 125, -3 } },
		/* no division: every digit stays, however many are asked for */
		{ { 17640, -2 }, 0, { 45359237, -8 }, { 1, 0 }, 4, { INT64_C(800136940680), -10 } },
		/* more digits came in than may go out, and the division does not end */
		{ { 100001, -5 }, 0, { 1, 0 }, { 3, 0 }, 2, { 33, -2 } },
		{ { 1, 0 }, 0, { 1, 0 }, { 3, 0 }, 0, { 0, 0 } },
		/* a denominator with an exponent */
		{ { 180156, -3 }, 0, { 1, 0 }, { 180156, -4 }, 4, { 1, 1 } },
		{ { 0, 0 }, 0, { 7, 0 }, { 3, 0 }, 4, { 0, 0 } },
	};

	(void)state;
	for (size_t i = 0; i < N(rows); i++) {
		struct decimal d;

		assert_int_equal(decimal_scale(rows[i].d, rows[i].add, rows[i].num, rows[i].den,
					       rows[i].digits, &d),
				 0);
		assert_decimal(d, rows[i].want.mantissa, rows[i].want.exponent);
	}
}

static void test_scale_refuses(void **state)
{
	struct decimal d = dec(7, 7);

	(void)state;
	assert_int_equal(decimal_scale(dec(1, 0), 0, dec(1, 0), dec(0, 0), 4, &d), -EDOM);
	assert_int_equal(decimal_scale(dec(INT64_MAX, 0), 0, dec(2, 0), dec(1, 0), 4, &d), -ERANGE);
	assert_int_equal(decimal_scale(dec(INT64_MAX, 0), 1, dec(1, 0), dec(1, 0), 4, &d), -ERANGE);
	assert_int_equal(
		decimal_scale(dec(INT64_MIN, 0), 0, dec(INT64_MIN, 0), dec(INT64_MIN, 0), 4, &d),
		0);
	assert_decimal(d, INT64_MIN, 0);
	assert_int_equal(decimal_scale(dec(1, 40), 0, dec(1, 1), dec(1, 0), 4, &d), -ERANGE);
	assert_int_equal(
		decimal_scale(dec(1, INT32_MAX), 0, dec(1, INT32_MAX), dec(1, INT32_MIN), 4, &d),
		-ERANGE);
	assert_int_equal(decimal_scale(dec(INT64_MAX, 0), 0, dec(INT64_MAX, 0), dec(3, 0), 40, &d),
			 -ERANGE);
	assert_decimal(d, INT64_MIN, 0);
}

static void test_number(void **state)
{
	static const char *const names[] = { NULL,   "NaN",      "NRes",         "+INF",
					     "-INF", "reserved", "unsuccessful", "unknown" };
	struct number n = number_absent(ABSENT_NRES);

	(void)state;
	assert_int_equal(n.absent, ABSENT_NRES);
	assert_decimal(n.value, 0, 0);
	n = number_of(74, -1);
	assert_int_equal(n.absent, ABSENT_NO);
	assert_decimal(n.value, 74, -1);
	assert_null(absent_name(ABSENT_NO));
	for (unsigned int i = 1; i < N(names); i++)
		assert_string_equal(absent_name((enum absent)i), names[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_format),        cmocka_unit_test(test_format_room),
		cmocka_unit_test(test_parse_refuses), cmocka_unit_test(test_rescale),
		cmocka_unit_test(test_compare),       cmocka_unit_test(test_add),
		cmocka_unit_test(test_scale),         cmocka_unit_test(test_scale_refuses),
		cmocka_unit_test(test_number),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
