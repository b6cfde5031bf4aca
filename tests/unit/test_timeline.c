/* links: gateway_intake gateway_goals gateway_base */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>

#include "gateway/intake/timeline.h"

#define EARLIER WELLGATE__V1__TIMELINE__TIMELINE_EARLIER
#define NOBODY  WELLGATE__V1__TIMELINE__TIMELINE_UNSPECIFIED
#define HOUR    INT64_C(3600000)
#define Y2000   INT64_C(946684800000)
#define Y2026   INT64_C(1795435200000)
#define N(a)    (sizeof(a) / sizeof((a)[0]))

static void expect(const struct timeline_record *r, size_t n, size_t n_earlier)
{
	for (size_t i = 0; i < n; i++) {
		assert_true(i == 0 || r[i - 1].number < r[i].number);
		if (r[i].timeline != (i < n_earlier ? EARLIER : NOBODY))
			fail_msg("record %u: %d", r[i].number, (int)r[i].timeline);
	}
}

/* The batteries went flat, and the new ones began in 2000; then somebody set the clock. */
static void test_battery_changed(void **state)
{
	struct timeline_record r[] = {
		{ .number = 14, .stamp_ms = Y2026 + 9 * HOUR }, /* newest first, as some send */
		{ .number = 13, .stamp_ms = Y2000 + 2 * HOUR },
		{ .number = 12, .stamp_ms = Y2000 + HOUR },
		{ .number = 11, .stamp_ms = Y2026 + HOUR },
		{ .number = 10, .stamp_ms = Y2026 },
	};
	const int64_t now = Y2026 + 10 * HOUR;

	(void)state;
	assert_int_equal(timeline_judge(r, N(r), &now), 0);
	/* 12 and 13 leave no trace in the order: their clock went forward (2000 is refused
	 * as it is) */
	expect(r, N(r), 2);
	assert_int_equal(timeline_judge(r, N(r), NULL), 0);
	expect(r, N(r), 2);
}

static void test_default_now(void **state)
{
	struct timeline_record r[] = {
		{ .number = 3, .stamp_ms = Y2026 },
		{ .number = 4, .stamp_ms = Y2026 + HOUR },
	};
	const int64_t now = Y2000 + HOUR;

	(void)state;
	assert_int_equal(timeline_judge(r, N(r), &now), 0);
	expect(r, N(r), 2);
}

/* Put back by an hour in autumn: what was measured before runs on another line. */
static void test_put_back(void **state)
{
	struct timeline_record r[] = {
		{ .number = 1, .stamp_ms = Y2026 },
		{ .number = 2, .stamp_ms = Y2026 + HOUR },
		{ .number = 3, .stamp_ms = Y2026 + HOUR / 2 },
	};
	const int64_t now = Y2026 + HOUR;

	(void)state;
	assert_int_equal(timeline_judge(r, N(r), &now), 0);
	expect(r, N(r), 2);
}

static void test_one_line(void **state)
{
	struct timeline_record r[] = {
		{ .number = 1, .stamp_ms = Y2026 },
		{ .number = 2, .stamp_ms = Y2026 }, /* two in one minute */
		{ .number = 9, .stamp_ms = Y2026 + HOUR },
	};
	int64_t now = Y2026 + HOUR - 60000; /* read in the minute before */

	(void)state;
	assert_int_equal(timeline_judge(r, N(r), &now), 0);
	expect(r, N(r), 0);
	now--;
	assert_int_equal(timeline_judge(r, N(r), &now), 0);
	expect(r, N(r), 3);
}

static void test_refused(void **state)
{
	static struct timeline_record many[TIMELINE_MAX + 1];
	struct timeline_record twice[] = {
		{ .number = 1, .stamp_ms = Y2026 },
		{ .number = 1, .stamp_ms = Y2000 },
	};
	const int64_t now = INT64_MAX;

	(void)state;
	assert_int_equal(timeline_judge(twice, N(twice), NULL), -EINVAL);
	assert_int_equal(timeline_judge(many, N(many), NULL), -E2BIG);
	assert_int_equal(timeline_judge(NULL, 0, NULL), 0);
	twice[1].number = 2;
	twice[1].stamp_ms = INT64_MAX;
	assert_int_equal(timeline_judge(twice, N(twice), &now), 0);
	expect(twice, N(twice), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_battery_changed), cmocka_unit_test(test_default_now),
		cmocka_unit_test(test_put_back),        cmocka_unit_test(test_one_line),
		cmocka_unit_test(test_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
