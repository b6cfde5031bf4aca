/* links: wearer drivers */
/* The virtual wearer: its dumps say what its truth says, its days are as long as London's. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "protocols/fitbit/dump.h"
#include "tests/wearer/wearer.h"

#define N(a) (sizeof(a) / sizeof((a)[0]))

static uint8_t dump[WEARER_DUMP_MAX];
static size_t dump_len;
static const uint8_t key[16] = { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15 };
static const struct wearer_tracker flex = { .product = FITBIT_FLEX, .serial = { 1, 2, 3, 4, 5 } };

static const struct wearer_plan fortnight = {
	.seed = 7,
	.first = WEARER_OCTOBER,
	.days = WEARER_FORTNIGHT,
	.battery_dies = 4,
	.lost_day = 9,
};

static struct wearer *wearer_of(const struct wearer_plan *plan)
{
	struct wearer *w = NULL;

	assert_int_equal(wearer_new(plan, &w), 0);
	return w;
}

/* ---- days ---- */

static void test_days_are_london_s(void **state)
{
	static const struct {
		int64_t first;
		unsigned int changed, hours;
	} rows[] = { { WEARER_OCTOBER, 7, 25 }, { WEARER_MARCH, 7, 23 } };

	(void)state;
	for (size_t r = 0; r < N(rows); r++) {
		struct wearer_plan plan = fortnight;
		struct wearer *w;
		struct wearer_day day;

		plan.first = rows[r].first;
		w = wearer_of(&plan);
		for (unsigned int d = 0; d < WEARER_FORTNIGHT; d++) {
			assert_int_equal(wearer_day(w, d, INT64_MAX, &day), 0);
			assert_int_equal((day.end - day.start) / 3600,
					 d == rows[r].changed ? rows[r].hours : 24);
		}
		assert_int_equal(wearer_day(w, WEARER_FORTNIGHT, INT64_MAX, &day), -ENOENT);
		wearer_free(w);
	}
}

/* libc knows the zone from its own table */
static void test_zone_as_libc(void **state)
{
	(void)state;
	(void)setenv("TZ", "Europe/London", 1);
	tzset();
	for (int64_t at = 1000000000; at < 2000000000; at += 102947) {
		const time_t t = at;
		struct tm tm;
		int64_t midnight;

		assert_non_null(localtime_r(&t, &tm));
		assert_int_equal(wearer_utc_offset(at), tm.tm_gmtoff);
		tm.tm_hour = tm.tm_min = tm.tm_sec = 0;
		tm.tm_isdst = -1;
		assert_int_equal(wearer_midnight(NULL, at, &midnight), 0);
		assert_int_equal(midnight, mktime(&tm));
	}
}

/* ---- dumps ---- */

struct heard {
	const struct wearer *w;
	size_t minutes, snapshots;
	int64_t first_minute, now;
};

static int64_t day_of(int64_t at)
{
	int64_t midnight = 0;

	(void)wearer_midnight(NULL, at, &midnight);
	return midnight;
}

static void hear_minute(struct heard *h, const struct fitbit_minute *x)
{
	size_t n;
	int64_t start;
	const struct wearer_minute *m = wearer_minutes(h->w, &n, &start);
	const int64_t i = (x->time - start) / 60;

	assert_true(x->has_time && i >= 0 && i < (int64_t)n && m[i].recorded);
	if (h->minutes++ == 0)
		h->first_minute = x->time;
	if (x->time + 60 > h->now) /* the one at hand */
		return;
	assert_int_equal(x->steps, m[i].steps);
	assert_int_equal(x->met_tenths, m[i].met_tenths);
	assert_int_equal(x->motion, m[i].motion);
}

static void hear_day(struct heard *h, const struct fitbit_day *x)
{
	struct wearer_day day;

	h->snapshots++;
	for (unsigned int d = 0; wearer_day(h->w, d, x->time, &day) == 0; d++) {
		if (day_of(x->time - 1) != day.start)
			continue;
		assert_int_equal(x->steps, day.steps);
		assert_int_equal(x->distance_mm, day.steps * 700);
		assert_int_equal(x->met_tenths, day.met_tenths);
		assert_int_equal(x->active_minutes, day.active_minutes);
		return;
	}
	fail_msg("a snapshot of no day");
}

static int hear(void *user, const struct fitbit_record *record)
{
	if (record->kind == FITBIT_MINUTE)
		hear_minute(user, &record->minute);
	else if (record->kind == FITBIT_DAY)
		hear_day(user, &record->day);
	return 0;
}

static struct heard listen(const struct wearer *w, int64_t now, const struct wearer_tracker *t)
{
	struct heard h = { .w = w, .now = now };
	struct fitbit_dump d;

	assert_int_equal(wearer_dump(w, now, t, dump, sizeof(dump), &dump_len), 0);
	assert_int_equal(fitbit_dump_recognise(dump, dump_len, &d), 0);
	assert_int_equal(fitbit_dump_read(&d, t->key, hear, &h), 0);
	return h;
}

static void test_dumps_say_the_truth(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 6; seed++) {
		struct wearer_plan plan = fortnight;
		struct wearer_tracker t = flex;
		struct wearer *w;

		plan.seed = seed;
		t.key = seed % 2 ? key : NULL;
		w = wearer_of(&plan);
		for (unsigned int k = 1; k < 28; k++) {
			const int64_t now = WEARER_OCTOBER + k * INT64_C(43210);

			if (!wearer_alive(w, now))
				continue;
			assert_true(listen(w, now, &t).snapshots >= k / 2 - (k > 8) - (k > 18));
			assert_int_equal(wearer_synced(w, now), 0);
		}
		wearer_free(w);
	}
}

/* the oldest fall out, and no more than the tracker can hold is there */
static void test_memory_is_bounded(void **state)
{
	struct wearer_plan plan = fortnight;
	const int64_t now = WEARER_OCTOBER + INT64_C(13) * 86400;
	struct wearer *w;
	struct heard h;

	(void)state;
	plan.memory_minutes = 1000;
	plan.lost_day = WEARER_NEVER;
	w = wearer_of(&plan);
	h = listen(w, now, &flex);
	assert_int_equal(h.minutes, 1000);
	assert_int_equal(h.first_minute, now - 1000 * INT64_C(60));
	wearer_free(w);
}

static void test_dead_and_lost(void **state)
{
	struct wearer *w = wearer_of(&fortnight);
	struct wearer_day day;
	size_t n, gaps = 0;
	int64_t start;
	const struct wearer_minute *m = wearer_minutes(w, &n, &start);

	(void)state;
	for (size_t i = 1; i < n; i++)
		gaps += m[i - 1].recorded && !m[i].recorded;
	assert_int_equal(gaps, 2);
	assert_int_equal(wearer_day(w, 9, INT64_MAX, &day), 0);
	assert_int_equal(day.recorded + day.steps, 0);
	assert_false(wearer_alive(w, day.start));
	assert_true(wearer_alive(w, day.end));
	assert_int_equal(wearer_dump(w, day.start + 3600, &flex, dump, sizeof(dump), &n), -ENODATA);
	assert_int_equal(wearer_dump(w, day.end + 3600, &flex, dump, 5000, &n), -ENOSPC);
	assert_int_equal(wearer_dump(w, start, &flex, dump, sizeof(dump), &n), -ENODATA);
	wearer_free(w);
}

/* what nights are: long enough, with the awake minutes that the minutes say */
static void test_nights(void **state)
{
	unsigned int nights = 0, naps = 0, off = 0;

	(void)state;
	for (uint64_t seed = 1; seed <= 20; seed++) {
		struct wearer_plan plan = fortnight;
		struct wearer_sleep s;
		struct wearer *w;

		plan.seed = seed;
		w = wearer_of(&plan);
		for (unsigned int i = 0; wearer_sleep(w, i, &s) == 0; i++) {
			assert_true(!s.whole || (s.end - s.start) / 60 == s.asleep + s.awake);
			assert_true(!s.whole || s.nap || s.asleep > 200);
			nights += !s.nap;
			naps += s.nap;
			off += !s.whole;
		}
		wearer_free(w);
	}
	assert_int_equal(nights, 20 * (WEARER_FORTNIGHT + 1));
	assert_true(naps > 20 && off > 60);
}

static void test_plans_that_cannot_be(void **state)
{
	const struct wearer_plan bad[] = {
		{ .first = WEARER_MARCH, .days = 0, .battery_dies = -1, .lost_day = -1 },
		{ .first = WEARER_MARCH, .days = 33, .battery_dies = -1, .lost_day = -1 },
		{ .first = WEARER_MARCH, .days = 3, .battery_dies = 3, .lost_day = -1 },
		{ .first = WEARER_MARCH, .days = 3, .battery_dies = -1, .lost_day = 3 },
		{ .first = 0, .days = 3, .battery_dies = -1, .lost_day = -1 },
	};
	struct wearer *w = NULL;

	(void)state;
	for (size_t i = 0; i < N(bad); i++)
		assert_int_equal(wearer_new(&bad[i], &w), -EINVAL);
	assert_null(w);
	wearer_free(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_days_are_london_s),
		cmocka_unit_test(test_zone_as_libc),
		cmocka_unit_test(test_dumps_say_the_truth),
		cmocka_unit_test(test_memory_is_bounded),
		cmocka_unit_test(test_dead_and_lost),
		cmocka_unit_test(test_nights),
		cmocka_unit_test(test_plans_that_cannot_be),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
