/* links: protocols */
#include "protocols/bytes/medfloat.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/unit/gatt_random.h"

static enum absent special_of(uint32_t raw, uint32_t positive_infinity)
{
	if (raw == positive_infinity)
		return ABSENT_POSITIVE_INFINITY;
	if (raw == positive_infinity + 1)
		return ABSENT_NAN;
	if (raw == positive_infinity + 2)
		return ABSENT_NRES;
	if (raw == positive_infinity + 3)
		return ABSENT_RESERVED;
	return raw == positive_infinity + 4 ? ABSENT_NEGATIVE_INFINITY : ABSENT_NO;
}

/* what a number prints must be what arithmetic on doubles, and printf, make of the raw bits */
static void assert_value(struct number n, int mantissa, int exponent)
{
	static const double powers[] = { 1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8 };
	char want[DECIMAL_TEXT_MAX], have[DECIMAL_TEXT_MAX];
	const double value =
		exponent < 0 ? mantissa / powers[-exponent] : mantissa * powers[exponent];

	(void)snprintf(want, sizeof(want), "%.*f", exponent < 0 ? -exponent : 0, value);
	assert_int_equal(n.absent, ABSENT_NO);
	assert_true(decimal_format(have, sizeof(have), n.value) > 0);
	assert_string_equal(have, want);
}

static void test_every_sfloat(void **state)
{
	unsigned int numbers = 0;

	(void)state;
	for (unsigned int raw = 0; raw <= 0xffff; raw++) {
		const struct number n = medfloat16_decode((uint16_t)raw);
		const int mantissa = (int)(raw % 4096) - (raw % 4096 >= 2048 ? 4096 : 0);
		const int exponent = (int)(raw / 4096) - (raw / 4096 >= 8 ? 16 : 0);
		uint16_t back = 0;

		if (special_of(raw, 0x07fe) == ABSENT_NO) {
			assert_value(n, mantissa, exponent);
			numbers++;
		} else {
			assert_int_equal(n.absent, special_of(raw, 0x07fe));
			assert_int_equal(n.value.mantissa, 0);
		}
		assert_int_equal(medfloat16_encode(n, &back), 0);
		assert_int_equal(back, raw);
	}
	assert_int_equal(numbers, 65536 - 5);
}

static void test_floats(void **state)
{
	static const struct {
		int64_t mantissa;
		int32_t exponent;
		uint32_t raw;
	} rows[] = {
		{ 0, 0, 0x00000000 },         { 367, -1, 0xff00016f },
		{ -1, 0, 0x00ffffff },        { 8388605, 0, 0x007ffffd },
		{ -8388605, 0, 0x00800003 },  { 8388607, 1, 0x017fffff },
		{ -8388608, -1, 0xff800000 }, { 1, 127, 0x7f000001 },
		{ 1, -128, 0x80000001 },      { 10000, -2, 0xfe002710 },
		{ 8388606, 1, 0x017ffffe },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct number n = medfloat32_decode(rows[i].raw);
		uint32_t back = 0;

		assert_int_equal(n.absent, ABSENT_NO);
		assert_int_equal(n.value.mantissa, rows[i].mantissa);
		assert_int_equal(n.value.exponent, rows[i].exponent);
		assert_int_equal(medfloat32_encode(n, &back), 0);
		assert_true(back == rows[i].raw);
	}
}

static void test_floats_there_and_back(void **state)
{
	struct rng rng = { 0x20601 };

	(void)state;
	for (uint32_t raw = 0x007ffff0; raw < 0x00800010; raw++)
		assert_int_equal(medfloat32_decode(raw).absent, special_of(raw, 0x007ffffe));
	for (int i = 0; i < 1000000; i++) {
		const uint32_t raw = i < 64 ? 0x007fffe0 + (uint32_t)i : rng_u32(&rng);
		uint32_t back = 0;

		assert_int_equal(medfloat32_encode(medfloat32_decode(raw), &back), 0);
		assert_true(back == raw);
	}
}

static void test_encode(void **state)
{
	static const struct {
		int64_t mantissa;
		int32_t exponent;
		int raw; /* or -ERANGE */
	} rows[] = {
		{ 2, 0, 0x0002 },          { 20, -1, 0xf014 },        { -1234, 0, 0x0b2e },
		{ 200, -2, 0xe0c8 },       { 12000, -2, 0xf4b0 },     { 5, 9, 0x71f4 },
		{ 2047, 0, -ERANGE },      { 2046, 0, -ERANGE },      { -2046, 0, -ERANGE },
		{ 2045, 0, 0x07fd },       { -2045, 0, 0x0803 },      { 2047, 1, 0x17ff },
		{ -2048, -1, 0xf800 },     { 20470, -1, -ERANGE },    { 2048, 0, -ERANGE },
		{ 20480, 0, -ERANGE },     { 2050, 0, 0x10cd },       { 12345, -1, -ERANGE },
		{ 1, -9, -ERANGE },        { 10, -9, 0x8001 },        { 0, 20, 0x7000 },
		{ 0, -20, 0x8000 },        { 0, INT32_MIN, -ERANGE }, { 1, INT32_MAX, -ERANGE },
		{ INT64_MIN, 0, -ERANGE }, { INT64_MAX, 0, -ERANGE },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct number n = number_of(rows[i].mantissa, rows[i].exponent);
		uint16_t raw = 0xa5a5;
		const int r = medfloat16_encode(n, &raw);

		assert_int_equal(r < 0 ? r : raw, rows[i].raw);
		assert_true(r == 0 || raw == 0xa5a5);
	}
}

static void test_encode_absent(void **state)
{
	uint16_t sfloat = 0xa5a5;
	uint32_t wide = 0xa5a5;

	(void)state;
	assert_int_equal(medfloat16_encode(number_absent(ABSENT_UNSUCCESSFUL), &sfloat), -ERANGE);
	assert_int_equal(medfloat32_encode(number_absent(ABSENT_UNKNOWN), &wide), -ERANGE);
	assert_int_equal(sfloat, 0xa5a5);
	assert_int_equal(wide, 0xa5a5);
	assert_int_equal(medfloat32_encode(number_of(8388607, 0), &wide), -ERANGE);
	assert_int_equal(medfloat32_encode(number_of(83886070, 0), &wide), 0);
	assert_int_equal(wide, 0x017fffff);
}

static void test_read_and_write(void **state)
{
	uint8_t buffer[6];
	struct writer w = writer_of(buffer, sizeof(buffer));
	struct cursor c;

	(void)state;
	assert_int_equal(medfloat16_write(&w, number_of(2047, 0)), -ERANGE);
	assert_int_equal(medfloat32_write(&w, number_of(INT64_MAX, 0)), -ERANGE);
	assert_int_equal(w.len, 0);
	assert_int_equal(medfloat16_write(&w, number_of(20, -1)), 0);
	assert_int_equal(medfloat32_write(&w, number_of(367, -1)), 0);
	assert_memory_equal(buffer, "\x14\xf0\x6f\x01\x00\xff", 6);
	c = cursor_of(buffer, sizeof(buffer));
	assert_int_equal(medfloat16_read(&c).value.mantissa, 20);
	assert_int_equal(medfloat32_read(&c).value.mantissa, 367);
	assert_true(cursor_at_end(&c));
	assert_int_equal(medfloat16_read(&c).value.mantissa, 0);
	assert_false(cursor_ok(&c));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_sfloat),          cmocka_unit_test(test_floats),
		cmocka_unit_test(test_floats_there_and_back), cmocka_unit_test(test_encode),
		cmocka_unit_test(test_encode_absent),         cmocka_unit_test(test_read_and_write),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
