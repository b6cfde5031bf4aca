/* links: drivers */
#include "drivers/sig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <time.h>

#include <cmocka.h>

/* the C library's calendar is the judge */
static void test_utc_against_gmtime(void **state)
{
	const int64_t first = INT64_C(-2208988800), last = INT64_C(6000000000);

	(void)state;
	for (int64_t s = first; s < last; s += 86400 * 13 + 3607) {
		const time_t t = (time_t)s;
		struct measurement m = { .metric = METRIC_STEPS };
		struct tm tm;

		assert_non_null(gmtime_r(&t, &tm));
		sig_set_utc(&m, s);
		assert_int_equal(m.time.kind, DEVICE_TIME_UTC);
		assert_int_equal(m.time.year, tm.tm_year + 1900);
		assert_int_equal(m.time.month, tm.tm_mon + 1);
		assert_int_equal(m.time.day, tm.tm_mday);
		assert_int_equal(m.time.hour, tm.tm_hour);
		assert_int_equal(m.time.minute, tm.tm_min);
		assert_int_equal(m.time.second, tm.tm_sec);
		assert_int_equal(m.flags, 0);
	}
}

static void test_add_minutes(void **state)
{
	static const struct {
		struct gatt_date_time from;
		int64_t minutes;
		struct gatt_date_time to;
	} rows[] = {
		{ { 2026, 5, 12, 18, 53, 54 }, 0, { 2026, 5, 12, 18, 53, 54 } },
		{ { 2026, 5, 12, 18, 53, 54 }, 60, { 2026, 5, 12, 19, 53, 54 } },
		{ { 2026, 3, 1, 0, 10, 0 }, -30, { 2026, 2, 28, 23, 40, 0 } },
		{ { 2024, 3, 1, 0, 10, 0 }, -30, { 2024, 2, 29, 23, 40, 0 } },
		{ { 2026, 12, 31, 23, 59, 59 }, 1, { 2027, 1, 1, 0, 0, 59 } },
		{ { 2100, 2, 28, 12, 0, 0 }, 1440, { 2100, 3, 1, 12, 0, 0 } },
		{ { 2000, 2, 28, 12, 0, 0 }, 1440, { 2000, 2, 29, 12, 0, 0 } },
		{ { 1583, 1, 1, 0, 0, 0 }, 32767, { 1583, 1, 23, 18, 7, 0 } },
		{ { 0, 5, 12, 18, 53, 54 }, 60, { 0, 5, 12, 18, 53, 54 } },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct gatt_date_time t = sig_add_minutes(&rows[i].from, rows[i].minutes);

		assert_int_equal(t.year, rows[i].to.year);
		assert_int_equal(t.month, rows[i].to.month);
		assert_int_equal(t.day, rows[i].to.day);
		assert_int_equal(t.hour, rows[i].to.hour);
		assert_int_equal(t.minute, rows[i].to.minute);
		assert_int_equal(t.second, rows[i].to.second);
	}
}

static void test_incomplete_date(void **state)
{
	struct gatt_date_time t = { 2026, 5, 12, 18, 53, 54 };
	struct measurement m = { .metric = METRIC_BODY_WEIGHT };

	(void)state;
	sig_set_time(&m, &t);
	assert_int_equal(m.time.kind, DEVICE_TIME_LOCAL);
	assert_int_equal(m.flags, 0);
	t.day = 0;
	sig_set_time(&m, &t);
	assert_int_equal(m.flags, FLAG_BIT(FLAG_CLOCK_NOT_SET));
	assert_int_equal(m.time.year, 2026);
}

static void test_flags(void **state)
{
	static const struct sig_bit table[] = { { 1, 0x10 }, { 2 | 4, 0x20 }, { 0 } };

	(void)state;
	assert_int_equal(sig_flags(0, table), 0);
	assert_int_equal(sig_flags(1, table), 0x10);
	assert_int_equal(sig_flags(4, table), 0x20);
	assert_int_equal(sig_flags(0xffffffff, table), 0x30);
	assert_int_equal(sig_flags(8, table), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_utc_against_gmtime),
		cmocka_unit_test(test_add_minutes),
		cmocka_unit_test(test_incomplete_date),
		cmocka_unit_test(test_flags),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
