/* links: protocols */
#include "protocols/bytes/wide.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define N(rows) (sizeof(rows) / sizeof((rows)[0]))
#define ROUNDS  50000

static void assert_wide(struct wide w, uint64_t high, uint64_t low)
{
	assert_true(w.high == high);
	assert_true(w.low == low);
}

static void assert_quotient(struct wide n, struct wide d, struct wide quotient, struct wide rest)
{
	struct wide r;
	const struct wide q = wide_divide(n, d, &r);

	assert_wide(q, quotient.high, quotient.low);
	assert_wide(r, rest.high, rest.low);
}

/* calculated by hand: these hold on processors that have no wider numbers, too */
static void test_products(void **state)
{
	const uint64_t most = UINT64_MAX, ten_19 = UINT64_C(10000000000000000000);

	(void)state;
	assert_wide(wide_product(0, most), 0, 0);
	assert_wide(wide_product(1, most), 0, most);
	assert_wide(wide_product(most, most), most - 1, 1);
	assert_wide(wide_product(UINT64_C(1) << 63, UINT64_C(1) << 63), UINT64_C(1) << 62, 0);
	assert_wide(wide_product(UINT32_MAX, UINT32_MAX), 0, UINT64_C(0xfffffffe00000001));
	/* 10^38 */
	assert_wide(wide_product(ten_19, ten_19), UINT64_C(0x4b3b4ca85a86c47a),
		    UINT64_C(0x098a224000000000));
	assert_wide(wide_times((struct wide){ .high = 1, .low = most }, 10), 19, most - 9);
	assert_wide(wide_times((struct wide){ .high = UINT64_C(1) << 60, .low = 1 }, 15),
		    UINT64_C(15) << 60, 15);
}

static void test_quotients(void **state)
{
	const struct wide most = { .high = UINT64_MAX, .low = UINT64_MAX }, none = { .low = 0 };
	const struct wide one_high = { .high = 1 };

	(void)state;
	assert_quotient(none, most, none, none);
	assert_quotient(most, most, wide_of(1), none);
	assert_quotient(most, wide_of(1), most, none);
	assert_quotient(most, wide_of(2), (struct wide){ .high = INT64_MAX, .low = UINT64_MAX },
			wide_of(1));
	assert_quotient(one_high, wide_of(10), wide_of(UINT64_C(1844674407370955161)), wide_of(6));
	assert_quotient((struct wide){ .high = 7, .low = 5 }, (struct wide){ .high = 7, .low = 6 },
			none, (struct wide){ .high = 7, .low = 5 });
	assert_quotient((struct wide){ .high = UINT64_MAX }, one_high, wide_of(UINT64_MAX), none);
	assert_quotient(wide_of(1000), wide_of(7), wide_of(142), wide_of(6));
}

static void test_order(void **state)
{
	const struct wide rows[] = {
		{ .low = 0 },
		{ .low = 1 },
		{ .low = UINT64_MAX },
		{ .high = 1, .low = 0 },
		{ .high = 1, .low = 1 },
		{ .high = UINT64_MAX, .low = 0 },
		{ .high = UINT64_MAX, .low = UINT64_MAX },
	};

	(void)state;
	for (size_t i = 0; i < N(rows); i++) {
		for (size_t j = 0; j < N(rows); j++)
			assert_int_equal(wide_compare(rows[i], rows[j]), (i > j) - (i < j));
	}
	assert_wide(wide_subtract(rows[3], rows[1]), 0, UINT64_MAX);
	assert_wide(wide_subtract(rows[6], rows[6]), 0, 0);
	assert_wide(wide_subtract(rows[6], rows[4]), UINT64_MAX - 1, UINT64_MAX - 1);
}

/* xorshift: the same numbers on every machine */
static uint64_t next(uint64_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 7;
	*seed ^= *seed << 17;
	return *seed;
}

/* of any length, every second time next to a power of two */
static uint64_t draw(uint64_t *seed)
{
	const uint64_t n = next(seed), shift = next(seed) % 64, form = next(seed) % 4;

	if (form == 0)
		return UINT64_C(1) << shift;
	if (form == 1)
		return (UINT64_C(1) << shift) - 1;
	return n >> shift;
}

#ifdef __SIZEOF_INT128__
__extension__ typedef unsigned __int128 native;

static native native_of(struct wide w)
{
	return (native)w.high << 64 | w.low;
}

static void compare_with_compiler(struct wide n, struct wide d, uint64_t factor)
{
	struct wide rest;
	const struct wide quotient = wide_divide(n, d, &rest);

	assert_true(native_of(quotient) == native_of(n) / native_of(d));
	assert_true(native_of(rest) == native_of(n) % native_of(d));
	assert_true(native_of(wide_product(n.low, factor)) == (native)n.low * factor);
	if (factor && native_of(n) <= ~(native)0 / factor)
		assert_true(native_of(wide_times(n, factor)) == native_of(n) * factor);
}
#else
/* what undoes the division gives the number again */
static void compare_with_compiler(struct wide n, struct wide d, uint64_t factor)
{
	struct wide rest;
	const struct wide quotient = wide_divide(n, d, &rest);

	(void)factor;
	assert_true(wide_compare(rest, d) < 0);
	if (d.high == 0) {
		const struct wide back = wide_subtract(n, wide_times(quotient, d.low));

		assert_wide(back, rest.high, rest.low);
	}
}
#endif

static void test_random(void **state)
{
	uint64_t seed = UINT64_C(0x9e3779b97f4a7c15);

	(void)state;
	for (int i = 0; i < ROUNDS; i++) {
		struct wide n = { .low = draw(&seed) }, d = { .low = draw(&seed) };
		const uint64_t factor = draw(&seed), form = next(&seed) % 4;

		if (form > 0)
			n.high = draw(&seed);
		if (form > 1)
			d.high = draw(&seed);
		if (d.high == 0 && d.low == 0)
			d.low = 1;
		compare_with_compiler(n, d, factor);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_products),
		cmocka_unit_test(test_quotients),
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_random),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
