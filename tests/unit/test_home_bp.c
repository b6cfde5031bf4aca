/* links: gateway_goals drivers */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "drivers/measurement.h"
#include "gateway/goals/home_bp.h"
#include "protocols/messages/codes.h"

#define MINUTE INT64_C(60000)
#define HOUR   (60 * MINUTE)
#define MAX    200
#define LONDON "Europe/London"

struct world {
	struct zone *zone;
	struct home_bp_course course;
	struct home_bp_reading readings[MAX];
	enum home_bp_place places[MAX];
	size_t n;
	struct home_bp_result result;
};

static int64_t utc_ms(int64_t year, unsigned int month, unsigned int day, int64_t hour,
		      int64_t minute)
{
	return (zone_day_number(year, month, day) * 86400 + hour * 3600 + minute * 60) * 1000;
}

static void world_begin(struct world *w, const char *zone)
{
	memset(w, 0, sizeof(*w));
	assert_int_equal(zone_load(zone, &w->zone), 0);
	w->course = (struct home_bp_course){ .zone = w->zone,
					     .from_ms = utc_ms(2026, 1, 1, 0, 0),
					     .until_ms = utc_ms(2028, 1, 1, 0, 0),
					     .systolic_below = { 135, 0 },
					     .diastolic_below = { 85, 0 },
					     .average = true };
}

static struct home_bp_reading *take(struct world *w, int64_t at_ms, int systolic, int diastolic)
{
	struct home_bp_reading *r = &w->readings[w->n++];

	assert_true(w->n <= MAX);
	*r = (struct home_bp_reading){ at_ms, { systolic, 0 }, { diastolic, 0 }, 0 };
	return r;
}

static const struct home_bp_result *evaluate(struct world *w)
{
	assert_int_equal(home_bp_evaluate(&w->course, w->readings, w->n, w->places, &w->result), 0);
	return &w->result;
}

static void assert_mean(const struct home_bp_result *r, const char *systolic, const char *diastolic)
{
	char text[DECIMAL_TEXT_MAX];

	assert_true(r->has_mean);
	(void)decimal_format(text, sizeof(text), r->systolic);
	assert_string_equal(text, systolic);
	(void)decimal_format(text, sizeof(text), r->diastolic);
	assert_string_equal(text, diastolic);
}

/* days of two pairs, in London's winter; each pair's readings are a minute and a half apart */
static void take_days(struct world *w, int64_t days, const uint8_t (*values)[4][2])
{
	for (int64_t day = 0; day < days; day++) {
		int64_t start = utc_ms(2026, 11, 16, 0, 0) + day * 24 * HOUR;

		for (int64_t k = 0; k < 4; k++) {
			const uint8_t *v = values ? values[day][k] : (const uint8_t[]){ 134, 84 };

			take(w, start + (k < 2 ? 7 * HOUR : 20 * HOUR) + (k & 1) * 3 * MINUTE / 2,
			     v[0], v[1]);
		}
	}
}

/* domain.md 2.3 */
static void test_golden(void **state)
{
	static const uint8_t values[4][4][2] = {
		{ { 158, 98 }, { 150, 95 }, { 149, 94 }, { 147, 92 } },
		{ { 138, 88 }, { 136, 86 }, { 134, 84 }, { 132, 84 } },
		{ { 135, 85 }, { 133, 83 }, { 136, 86 }, { 134, 84 } },
		{ { 137, 86 }, { 133, 85 }, { 132, 82 }, { 130, 82 } },
	};
	struct home_bp_result all = { .has_mean = true };
	const struct home_bp_result *r;
	struct world w;

	(void)state;
	world_begin(&w, LONDON);
	take_days(&w, 4, values);
	r = evaluate(&w);
	assert_int_equal(r->state, HOME_BP_COMPLETE);
	assert_mean(r, "134.2", "84.6");
	assert_true(r->both_below);
	assert_int_equal(r->first_day, zone_day_number(2026, 11, 16));
	assert_int_equal(r->dates, 4);
	assert_int_equal(r->discarded, 4);
	assert_int_equal(r->readings, 12);
	assert_int_equal(r->off_session + r->excluded + r->outside + r->soft_range, 0);
	assert_true(r->first_ms == w.readings[4].at_ms && r->last_ms == w.readings[15].at_ms);
	for (size_t i = 0; i < w.n; i++)
		assert_int_equal(w.places[i], i % 4 < 2 ? HOME_BP_MORNING : HOME_BP_EVENING);
	/* with the first day the answer flips */
	assert_int_equal(home_bp_mean(w.readings, w.n, &all.systolic, &all.diastolic), 0);
	assert_mean(&all, "138.4", "87.1");
	zone_free(w.zone);
}

static void test_switch_is_off(void **state)
{
	struct world w;

	(void)state;
	world_begin(&w, LONDON);
	take_days(&w, 4, NULL);
	w.course.average = (struct home_bp_course){ .zone = w.zone }.average;
	assert_int_equal(evaluate(&w)->state, HOME_BP_COMPLETE);
	assert_false(w.result.has_mean);
	assert_false(w.result.both_below);
	assert_int_equal(w.result.systolic.mantissa, 0);
	assert_int_equal(home_bp_report(&w.result, NULL, NULL), -ENODATA);
	zone_free(w.zone);
}

/* both, less than, and not as shown but as they are */
static void test_limits(void **state)
{
	static const struct {
		struct decimal systolic, diastolic;
		const char *shown[2];
		bool below;
	} rows[] = {
		{ { 134, 0 }, { 84, 0 }, { "134.0", "84.0" }, true },
		{ { 135, 0 }, { 84, 0 }, { "135.0", "84.0" }, false },
		{ { 134, 0 }, { 85, 0 }, { "134.0", "85.0" }, false },
		{ { 13499, -2 }, { 8499, -2 }, { "135.0", "85.0" }, true },
		{ { 134999999, -6 }, { 84999999, -6 }, { "135.0", "85.0" }, true },
		{ { 135000001, -6 }, { 84, 0 }, { "135.0", "84.0" }, false },
		{ { 13445, -2 }, { 8415, -2 }, { "134.4", "84.2" }, true }, /* half to even */
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct world w;

		world_begin(&w, LONDON);
		take_days(&w, 4, NULL);
		for (size_t k = 0; k < w.n; k++) {
			w.readings[k].systolic = rows[i].systolic;
			w.readings[k].diastolic = rows[i].diastolic;
		}
		assert_mean(evaluate(&w), rows[i].shown[0], rows[i].shown[1]);
		assert_int_equal(w.result.both_below, rows[i].below);
		zone_free(w.zone);
	}
}

static void test_what_is_still_to_do(void **state)
{
	struct world w;

	(void)state;
	world_begin(&w, LONDON);
	take_days(&w, 5, NULL);
	for (size_t n = 0; n <= 20; n++) {
		unsigned int dates = (unsigned int)(n + 3) / 4;
		unsigned int readings = n > 4 ? (unsigned int)n - 4 : 0;
		const struct home_bp_result *r;

		if (n == 1)
			continue; /* alone */
		w.n = n;
		r = evaluate(&w);
		assert_int_equal(r->more_dates, dates < 4 ? 4 - dates : 0);
		assert_int_equal(r->more_readings, readings < 12 ? 12 - readings : 0);
		assert_int_equal(r->state, n == 0   ? HOME_BP_NOT_BEGUN
					   : n < 16 ? HOME_BP_IN_PROGRESS
						    : HOME_BP_COMPLETE);
		assert_int_equal(r->has_mean, n >= 16);
	}
	/* enough readings on three dates are not a course */
	for (size_t i = 0; i < 20; i++)
		w.readings[i].at_ms = utc_ms(2026, 11, 16, 8, 0) +
				      (i < 4    ? 0
				       : i < 12 ? 24 * HOUR
						: 48 * HOUR) +
				      (int64_t)i * 2 * MINUTE;
	assert_int_equal(evaluate(&w)->state, HOME_BP_IN_PROGRESS);
	assert_int_equal(w.result.more_dates, 1);
	assert_int_equal(w.result.more_readings, 0);
	zone_free(w.zone);
}

static void test_pairs(void **state)
{
	static const struct {
		int64_t gap_ms;
		bool pair;
	} rows[] = {
		{ 0, false },          { MINUTE - 1, false },      { MINUTE, true },
		{ 10 * MINUTE, true }, { 10 * MINUTE + 1, false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		int64_t at = utc_ms(2026, 11, 17, 7, 0);
		struct world w;

		world_begin(&w, LONDON);
		take_days(&w, 1, NULL);
		take(&w, at, 134, 84);
		take(&w, at + rows[i].gap_ms, 134, 84);
		(void)evaluate(&w);
		for (size_t k = 4; k < 6; k++)
			assert_int_equal(w.places[k],
					 rows[i].pair ? HOME_BP_MORNING : HOME_BP_OFF_SESSION);
		assert_int_equal(w.result.readings, 2); /* either way */
		assert_int_equal(w.result.off_session, rows[i].pair ? 0 : 2);
		w.readings[5].flags = FLAG_BIT(FLAG_IRREGULAR_PULSE);
		(void)evaluate(&w);
		assert_int_equal(w.places[4], HOME_BP_OFF_SESSION); /* half a pair */
		assert_int_equal(w.places[5], HOME_BP_EXCLUDED);
		zone_free(w.zone);
	}
}

/* three in a row: each has another a minute or more away */
static void test_three_in_a_row(void **state)
{
	int64_t at = utc_ms(2026, 11, 17, 7, 0);
	struct world w;

	(void)state;
	world_begin(&w, LONDON);
	take(&w, at, 134, 84);
	take(&w, at + MINUTE / 2, 134, 84);
	take(&w, at + MINUTE, 134, 84);
	(void)evaluate(&w);
	assert_int_equal(w.places[0], HOME_BP_MORNING);
	assert_int_equal(w.places[1], HOME_BP_OFF_SESSION);
	assert_int_equal(w.places[2], HOME_BP_MORNING);
	zone_free(w.zone);
}

static void test_sessions(void **state)
{
	static const struct {
		int hour, minute;
		enum home_bp_place place;
	} rows[] = {
		{ 0, 0, HOME_BP_OFF_SESSION },  { 3, 59, HOME_BP_OFF_SESSION },
		{ 4, 0, HOME_BP_MORNING },      { 11, 59, HOME_BP_MORNING },
		{ 12, 0, HOME_BP_OFF_SESSION }, { 15, 59, HOME_BP_OFF_SESSION },
		{ 16, 0, HOME_BP_EVENING },     { 23, 59, HOME_BP_EVENING },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct world w;

		world_begin(&w, "Asia/Kathmandu"); /* 5:45 ahead */
		take(&w, utc_ms(2026, 11, 16, 7, 0), 134, 84);
		take(&w, utc_ms(2026, 11, 16, 7, 2), 134, 84);
		w.readings[0].at_ms -= 5 * HOUR + 45 * MINUTE;
		w.readings[1].at_ms -= 5 * HOUR + 45 * MINUTE;
		for (int k = 0; k < 2; k++)
			take(&w,
			     utc_ms(2026, 11, 17, rows[i].hour, rows[i].minute + k) -
				     (5 * HOUR + 45 * MINUTE),
			     134, 84);
		(void)evaluate(&w);
		assert_int_equal(w.places[2], rows[i].place);
		assert_int_equal(w.result.readings, 2);
		zone_free(w.zone);
	}
}

/* The first day is that of the first pair in a session. What came on days before is outside, what
 * came earlier that day goes with it. */
static void test_first_day(void **state)
{
	struct world w;

	(void)state;
	world_begin(&w, LONDON);
	take(&w, utc_ms(2026, 11, 14, 8, 0), 180, 110);
	take(&w, utc_ms(2026, 11, 15, 13, 0), 180, 110);
	take(&w, utc_ms(2026, 11, 15, 13, 2), 180, 110);
	assert_int_equal(evaluate(&w)->state, HOME_BP_NOT_BEGUN);
	assert_int_equal(w.result.outside, 3);
	take(&w, utc_ms(2026, 11, 16, 3, 0), 180, 110);
	take_days(&w, 4, NULL);
	assert_int_equal(evaluate(&w)->state, HOME_BP_COMPLETE);
	assert_int_equal(w.result.first_day, zone_day_number(2026, 11, 16));
	assert_int_equal(w.result.outside, 3);
	assert_int_equal(w.result.discarded, 5);
	assert_int_equal(w.result.off_session, 1);
	assert_mean(&w.result, "134.0", "84.0");
	w.course.from_ms = w.readings[4].at_ms;
	(void)evaluate(&w);
	assert_int_equal(w.places[4], HOME_BP_MORNING);
	w.course.from_ms++; /* opened between the readings of the pair */
	(void)evaluate(&w);
	assert_int_equal(w.places[4], HOME_BP_OUTSIDE);
	assert_int_equal(w.places[5], HOME_BP_OFF_SESSION);
	w.course.until_ms = w.readings[w.n - 1].at_ms; /* half-open */
	(void)evaluate(&w);
	assert_int_equal(w.places[w.n - 1], HOME_BP_OUTSIDE);
	assert_int_equal(w.places[w.n - 2], HOME_BP_OFF_SESSION);
	zone_free(w.zone);
}

static bool counts(unsigned int flag)
{
	static const unsigned int counted[] = { FLAG_SOFT_RANGE,     FLAG_UNIT_CONVERTED,
						FLAG_TIME_CORRECTED, FLAG_LATE,
						FLAG_BACKFILL,       FLAG_MANUAL,
						FLAG_LOW_BATTERY,    FLAG_CLOCK_NOT_SET };

	for (size_t i = 0; i < sizeof(counted) / sizeof(counted[0]); i++) {
		if (counted[i] == flag)
			return true;
	}
	return false;
}

static void test_flags(void **state)
{
	struct world w;

	(void)state;
	world_begin(&w, LONDON);
	take_days(&w, 5, NULL);
	for (unsigned int flag = 1; flag < 64; flag++) {
		w.readings[6].flags = UINT64_C(1) << flag;
		(void)evaluate(&w);
		assert_int_equal(w.result.excluded, counts(flag) ? 0 : 1);
		assert_int_equal(w.result.readings, counts(flag) ? 16 : 15);
		assert_int_equal(w.result.soft_range, flag == FLAG_SOFT_RANGE ? 1 : 0);
	}
	zone_free(w.zone);
}

static void test_no_pressures(void **state)
{
	static const struct decimal bad[][2] = {
		{ { 0, 0 }, { 80, 0 } },           { { -120, 0 }, { 80, 0 } },
		{ { 120, 0 }, { 0, 0 } },          { { 120, 0 }, { 120, 0 } },
		{ { 80, 0 }, { 120, 0 } },         { { 1000, 0 }, { 80, 0 } },
		{ { 1200000001, -7 }, { 8, 1 } },  { { 1, 40 }, { 80, 0 } },
		{ { 120, 0 }, { 80, INT32_MIN } }, { { INT64_MAX, INT32_MAX }, { 80, 0 } },
	};
	struct decimal unused = { 7, 7 };
	struct world w;

	(void)state;
	world_begin(&w, LONDON);
	take_days(&w, 5, NULL);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		w.readings[6].systolic = bad[i][0];
		w.readings[6].diastolic = bad[i][1];
		(void)evaluate(&w);
		assert_int_equal(w.result.excluded, 1);
		assert_mean(&w.result, "134.0", "84.0");
		assert_int_equal(home_bp_mean(&w.readings[6], 1, &unused, &unused), -EINVAL);
	}
	assert_int_equal(home_bp_mean(w.readings, 0, &unused, &unused), -ENODATA);
	assert_true(unused.mantissa == 7 && unused.exponent == 7);
	zone_free(w.zone);
}

/* what the caller may get wrong is refused, and the result left alone */
static void test_refused(void **state)
{
	struct home_bp_result untouched = { .dates = 99 };
	struct home_bp_course course;
	struct world w;

	(void)state;
	world_begin(&w, LONDON);
	take_days(&w, 1, NULL);
	course = w.course;
	course.systolic_below = (struct decimal){ 0, 0 };
	assert_int_equal(home_bp_evaluate(&course, w.readings, w.n, NULL, &untouched), -EINVAL);
	course = w.course;
	course.diastolic_below = (struct decimal){ 850000001, -7 };
	assert_int_equal(home_bp_evaluate(&course, w.readings, w.n, NULL, &untouched), -EINVAL);
	course = w.course;
	course.until_ms = INT64_MAX;
	assert_int_equal(home_bp_evaluate(&course, w.readings, w.n, NULL, &untouched), -EINVAL);
	course = w.course;
	course.from_ms = INT64_MIN;
	assert_int_equal(home_bp_evaluate(&course, w.readings, w.n, NULL, &untouched), -EINVAL);
	w.readings[0].at_ms = w.readings[1].at_ms + 1;
	assert_int_equal(home_bp_evaluate(&w.course, w.readings, w.n, NULL, &untouched), -EINVAL);
	assert_int_equal(untouched.dates, 99);
	/* the ends of all time are outside */
	w.readings[0].at_ms = INT64_MIN;
	w.readings[3].at_ms = INT64_MAX;
	assert_int_equal(home_bp_evaluate(&w.course, w.readings, w.n, NULL, &untouched), 0);
	assert_int_equal(untouched.outside, 4); /* nothing left that makes a pair */
	zone_free(w.zone);
}

/*
 * The clocks go back on 25 October 2026: 25 hours of one date. Winter's 23:30 UTC is that evening,
 * summer's 23:30 UTC of the day before was after midnight.
 */
static void test_clock_change(void **state)
{
	static const struct {
		int64_t date;
		unsigned int day;
		int hour, minute;
		enum home_bp_place place;
	} rows[] = {
		{ 24, 24, 22, 58, HOME_BP_EVENING },    { 25, 24, 23, 30, HOME_BP_OFF_SESSION },
		{ 25, 25, 3, 58, HOME_BP_OFF_SESSION }, { 25, 25, 4, 0, HOME_BP_MORNING },
		{ 25, 25, 23, 50, HOME_BP_EVENING },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		int64_t at = utc_ms(2026, 10, rows[i].day, rows[i].hour, rows[i].minute);
		struct world w;

		world_begin(&w, LONDON);
		take(&w, utc_ms(2026, 10, 20, 7, 0), 134, 84);
		take(&w, utc_ms(2026, 10, 20, 7, 2), 134, 84);
		take(&w, at, 134, 84);
		take(&w, at + MINUTE, 134, 84);
		take(&w, utc_ms(2026, 10, (unsigned int)rows[i].date, 12, 0), 134, 84);
		if (w.readings[4].at_ms < at) { /* in order */
			struct home_bp_reading last = w.readings[4];

			memmove(&w.readings[3], &w.readings[2], 2 * sizeof(last));
			w.readings[2] = last;
		}
		(void)evaluate(&w);
		assert_int_equal(w.places[w.readings[2].at_ms == at ? 2 : 3], rows[i].place);
		assert_int_equal(w.result.dates, 2); /* the noon is of the same date */
		zone_free(w.zone);
	}
}

static void test_report(void **state)
{
	struct arena arena;
	Wellgate__V1__Reading *r = NULL;
	struct world w;

	(void)state;
	assert_int_equal(arena_init(&arena, 4096), 0);
	world_begin(&w, LONDON);
	take_days(&w, 4, NULL);
	(void)evaluate(&w);
	assert_int_equal(home_bp_report(&w.result, &arena, &r), 0);
	assert_true(r->snomed == 723232008);
	assert_int_equal(r->origin, WELLGATE__V1__ORIGIN__ORIGIN_DERIVED);
	assert_int_equal(r->metric, METRIC_HOME_BLOOD_PRESSURE);
	assert_int_equal(r->n_components, 2);
	assert_true(r->components[0]->snomed == 413606001);
	assert_true(r->components[1]->snomed == 413605002);
	assert_true(r->components[0]->value->mantissa == 1340);
	assert_int_equal(r->components[0]->value->exponent, -1);
	assert_true(r->components[1]->value->mantissa == 840);
	assert_string_equal(r->components[1]->unit, "mm[Hg]");
	assert_true(r->measured_at_ms == w.readings[4].at_ms);
	assert_true(r->measured_at_ms + r->duration_ms == w.readings[15].at_ms);
	for (size_t size = 0; size < arena.used; size += 16) {
		struct arena small;

		assert_int_equal(arena_init(&small, size ? size : 1), 0);
		assert_int_equal(home_bp_report(&w.result, &small, &r), -ENOMEM);
		arena_finish(&small);
	}
	arena_finish(&arena);
	zone_free(w.zone);
}

static void test_words(void **state)
{
	static const struct {
		struct home_bp_result result;
		const char *words;
	} rows[] = {
		{ { .state = HOME_BP_NOT_BEGUN, .more_dates = 4, .more_readings = 12 },
		  "Start when you want: two readings, a minute or two apart." },
		{ { .state = HOME_BP_IN_PROGRESS, .more_dates = 3, .more_readings = 12 },
		  "Thank you. Still to take: 12 more readings, on 3 more days." },
		{ { .state = HOME_BP_IN_PROGRESS, .more_dates = 1, .more_readings = 1 },
		  "Thank you. Still to take: 1 more reading, on 1 more day." },
		{ { .state = HOME_BP_IN_PROGRESS, .more_dates = 2, .more_readings = 1 },
		  "Thank you. Still to take: 1 more reading, on 2 more days." },
		{ { .state = HOME_BP_IN_PROGRESS, .more_dates = 1, .more_readings = 2 },
		  "Thank you. Still to take: 2 more readings, on 1 more day." },
		{ { .state = HOME_BP_IN_PROGRESS, .more_readings = 2 },
		  "Thank you. Still to take: 2 more readings." },
		{ { .state = HOME_BP_IN_PROGRESS, .more_dates = 1 },
		  "Thank you. Please take readings on 1 more day." },
		{ { .state = HOME_BP_IN_PROGRESS, .more_readings = 1 },
		  "Thank you. Still to take: 1 more reading." },
		{ { .state = HOME_BP_IN_PROGRESS, .more_dates = 2 },
		  "Thank you. Please take readings on 2 more days." },
		{ { .state = HOME_BP_COMPLETE, .has_mean = true, .systolic = { 1842, -1 } },
		  "That is all the readings. Thank you." },
	};
	const struct home_bp_result most = { .state = HOME_BP_IN_PROGRESS,
					     .more_dates = UINT32_MAX,
					     .more_readings = UINT32_MAX };
	char words[HOME_BP_WORDS_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		home_bp_words(&rows[i].result, words);
		assert_string_equal(words, rows[i].words);
	}
	home_bp_words(&most, words);
	assert_string_equal(
		words,
		"Thank you. Still to take: 4294967295 more readings, on 4294967295 more days.");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_golden),   cmocka_unit_test(test_switch_is_off),
		cmocka_unit_test(test_limits),   cmocka_unit_test(test_what_is_still_to_do),
		cmocka_unit_test(test_pairs),    cmocka_unit_test(test_three_in_a_row),
		cmocka_unit_test(test_sessions), cmocka_unit_test(test_first_day),
		cmocka_unit_test(test_flags),    cmocka_unit_test(test_no_pressures),
		cmocka_unit_test(test_refused),  cmocka_unit_test(test_clock_change),
		cmocka_unit_test(test_report),   cmocka_unit_test(test_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
