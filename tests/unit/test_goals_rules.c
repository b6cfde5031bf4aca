/* links: gateway_goals gateway_base */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "gateway/goals/calendar.h"
#include "gateway/goals/evaluate.h"
#include "goals_make.h"

#define N(a)      (sizeof(a) / sizeof((a)[0]))
#define FIRST_DAY (MONDAY / DAY)
#define ADD_MAX   64

static struct goal week_goal(enum metric metric, enum goal_rule rule, int64_t target)
{
	return (struct goal){ .id = "g",
			      .title = "T",
			      .version = 1,
			      .metric = metric,
			      .rule = rule,
			      .period = GOAL_WEEK,
			      .target = { target, 0 },
			      .week_start = 1,
			      .time_zone = "Europe/London" };
}

static struct goal count_goal(int64_t days, int64_t day_target)
{
	struct goal goal = week_goal(METRIC_STEPS, GOAL_COUNT_DAYS, days);

	goal.day_target.mantissa = day_target;
	return goal;
}

static struct goal trend_goal(enum goal_direction direction, int64_t kg)
{
	struct goal goal = week_goal(METRIC_BODY_WEIGHT, GOAL_TREND, kg);

	goal.direction = direction;
	goal.height_mm = 1700;
	goal.agreed_by = GOAL_AGREED_BY_PROFESSIONAL;
	return goal;
}

static void pause_days(struct goal *goal, int64_t from, int64_t n)
{
	goal->pauses[goal->n_pauses++] =
		(struct goal_pause){ FIRST_DAY + from, FIRST_DAY + from + n };
}

/* ---- what may be set */

static void check(const struct goal *goal, const char *expected)
{
	const char *problem = NULL;
	int r = goal_check(goal, &problem);

	if ((r == 0) != (expected == NULL))
		fail_msg("%s", problem ? problem : "no problem");
	assert_int_equal(r, expected ? -EINVAL : 0);
	if (expected && !strstr(problem, expected))
		fail_msg("\"%s\" does not say \"%s\"", problem, expected);
}

static void test_counts_and_means(void **state)
{
	struct goal goal = count_goal(4, 5000);

	(void)state;
	check(&goal, NULL);
	goal.target.mantissa = 8;
	check(&goal, "1 to 7");
	goal = count_goal(4, 0);
	check(&goal, "day_target");
	goal = count_goal(4, 150001);
	check(&goal, "more than anybody does");
	goal = count_goal(4, 5000);
	goal.min_points = 8;
	check(&goal, "7 days");
	goal = count_goal(4, 5000);
	goal.period = GOAL_DAY;
	check(&goal, "a week");
	goal = count_goal(4, 400);
	goal.metric = METRIC_SLEEP_DURATION;
	check(&goal, "nights");
	goal.rule = GOAL_NIGHTS_MEETING;
	check(&goal, NULL);
	goal.metric = METRIC_STEPS;
	check(&goal, "sleep_duration");
	goal = week_goal(METRIC_SLEEP_DURATION, GOAL_MEAN_PER_PERIOD, 420);
	check(&goal, NULL);
	goal.target.mantissa = 1441;
	check(&goal, "more than anybody does");
	goal = week_goal(METRIC_BODY_WEIGHT, GOAL_MEAN_PER_PERIOD, 70);
	check(&goal, "does not add up");
	goal = week_goal(METRIC_ENERGY, GOAL_MEAN_PER_PERIOD, 2000);
	check(&goal, "harm");
	pause_days(&goal, 0, 0);
	goal.metric = METRIC_STEPS;
	check(&goal, "pause");
}

static void test_weights_that_are_safe(void **state)
{
	/* at 1.70 m a BMI of 18.5 is 53.465 kg */
	struct goal goal = trend_goal(GOAL_DOWN, 0);

	(void)state;
	check(&goal, "stop at");
	goal.target = (struct decimal){ 53464, -3 };
	check(&goal, "18.5");
	goal.target = (struct decimal){ 53465, -3 };
	check(&goal, NULL);
	goal.height_mm = 0;
	check(&goal, "height");
	goal = trend_goal(GOAL_UP, 0);
	goal.height_mm = 0;
	check(&goal, NULL);
	goal.target.mantissa = 50;
	check(&goal, "height");
	goal.height_mm = 1700;
	check(&goal, "18.5");
	goal = trend_goal(GOAL_STEADY, 0);
	check(&goal, NULL);
	goal.target.mantissa = 70;
	check(&goal, "steady");
	goal = trend_goal(GOAL_STEADY, 0);
	goal.agreed_by = GOAL_AGREED_BY_PERSON;
	check(&goal, "professional");
	goal = trend_goal((enum goal_direction)0, 0);
	check(&goal, "direction");
	goal = trend_goal(GOAL_STEADY, 0);
	goal.band = (struct decimal){ 51, -1 };
	check(&goal, "band");
	goal = trend_goal(GOAL_STEADY, 0);
	goal.metric = METRIC_BMI;
	check(&goal, "body_weight");
}

static void test_versions(void **state)
{
	struct goal one = count_goal(4, 5000), two = count_goal(5, 5000);
	const char *problem = NULL;

	(void)state;
	assert_int_equal(goal_check_version(&one, &two, &problem), -EINVAL); /* one twice */
	two.version = 2;
	assert_int_equal(goal_check_version(&one, &two, &problem), -EINVAL); /* from one day */
	two.starts_on = 1;
	assert_int_equal(goal_check_version(&one, &two, &problem), 0);
	assert_int_equal(goal_check_version(&two, &one, &problem), 0);
	two.starts_on = -1;
	assert_int_equal(goal_check_version(&one, &two, &problem), -EINVAL);
	two.starts_on = 1;
	two.metric = METRIC_FLOORS;
	assert_int_equal(goal_check_version(&one, &two, &problem), -EINVAL);
}

/* ---- what comes out of it */

struct diary {
	struct goal_point points[ADD_MAX];
	size_t n;
};

static void note(struct diary *d, int64_t at_ms, int64_t duration_ms, struct decimal value)
{
	assert_true(d->n < ADD_MAX);
	d->points[d->n++] = (struct goal_point){ .at_ms = at_ms,
						 .mantissa = value.mantissa,
						 .exponent = (int16_t)value.exponent,
						 .duration_ms = (uint32_t)duration_ms,
						 .count = 1 };
}

static void note_day(struct diary *d, int64_t day, int64_t steps)
{
	note(d, MONDAY + day * DAY, DAY, (struct decimal){ steps, 0 });
}

static void weigh(struct diary *d, int64_t day, int64_t grams)
{
	note(d, MONDAY + day * DAY + 8 * HOUR, 0, (struct decimal){ grams, -3 });
}

static int compare_points(const void *a, const void *b)
{
	return goal_point_compare(a, b);
}

/* of the week from MONDAY */
static struct goal_progress progress_of(const struct goal *goal, struct diary *d)
{
	struct goal_progress p;
	struct zone *zone = NULL;

	qsort(d->points, d->n, sizeof(d->points[0]), compare_points);
	assert_int_equal(zone_load(goal->time_zone, &zone), 0);
	goal_evaluate(goal, zone, FIRST_DAY, d->points, d->n, &p);
	zone_free(zone);
	return p;
}

static void expect(const struct goal *goal, struct diary *d, int64_t mantissa, int32_t exponent,
		   enum goal_outcome open, enum goal_outcome closed)
{
	struct goal_progress p = progress_of(goal, d);

	if (decimal_compare(p.value, (struct decimal){ mantissa, exponent }) != 0)
		fail_msg("%lld e %d", (long long)p.value.mantissa, p.value.exponent);
	assert_int_equal(goal_outcome_of(goal, &p, GOAL_OPEN), open);
	assert_int_equal(goal_outcome_of(goal, &p, GOAL_CLOSED), closed);
}

static void test_count_days(void **state)
{
	struct goal goal = count_goal(4, 5000);
	struct diary d = { .n = 0 };

	(void)state;
	expect(&goal, &d, 0, 0, GOAL_NO_DATA, GOAL_NO_DATA);
	for (int64_t day = 0; day < 3; day++)
		note_day(&d, day, 5000 + day);
	expect(&goal, &d, 3, 0, GOAL_IN_PROGRESS, GOAL_NOT_ENOUGH_DATA);
	note_day(&d, 3, 4999);
	expect(&goal, &d, 3, 0, GOAL_IN_PROGRESS, GOAL_IN_PROGRESS);
	note_day(&d, 6, 5000);
	note_day(&d, 7, 9000); /* next week */
	expect(&goal, &d, 4, 0, GOAL_MET, GOAL_MET);
	assert_int_equal(progress_of(&goal, &d).observed, 5);
	/* an hour's walk reaches the day, but leaves it unobserved */
	d.n = 0;
	for (int64_t day = 0; day < 3; day++)
		note(&d, MONDAY + day * DAY + 9 * HOUR, HOUR, (struct decimal){ 6000, 0 });
	note(&d, MONDAY + 3 * DAY, GOAL_WEAR_MS - 1, (struct decimal){ 1, 0 });
	assert_int_equal(progress_of(&goal, &d).observed, 0);
	expect(&goal, &d, 3, 0, GOAL_IN_PROGRESS, GOAL_NOT_ENOUGH_DATA);
	goal.target.mantissa = 3; /* reached on partial data is reached */
	expect(&goal, &d, 3, 0, GOAL_MET, GOAL_MET);
	note(&d, MONDAY + 4 * DAY, GOAL_WEAR_MS, (struct decimal){ 1, 0 });
	assert_int_equal(progress_of(&goal, &d).observed, 1);
}

static void test_pauses(void **state)
{
	struct goal goal = count_goal(4, 5000),
		    sum = week_goal(METRIC_STEPS, GOAL_SUM_PER_PERIOD, 70);
	struct diary d = { .n = 0 };

	(void)state;
	for (int64_t day = 0; day < 2; day++)
		note_day(&d, day, 5000);
	expect(&goal, &d, 2, 0, GOAL_IN_PROGRESS, GOAL_NOT_ENOUGH_DATA);
	pause_days(&goal, 3, 4); /* 4 of 7 is 1.7 of 3 */
	expect(&goal, &d, 2, 0, GOAL_MET, GOAL_MET);
	pause_days(&goal, -20, 20); /* other weeks */
	assert_int_equal(progress_of(&goal, &d).asked, 3);
	d.n = 1;
	expect(&goal, &d, 1, 0, GOAL_IN_PROGRESS, GOAL_NOT_ENOUGH_DATA);
	d.n = 0;
	note_day(&d, 0, 39);
	pause_days(&sum, 4, 30);
	expect(&sum, &d, 39, 0, GOAL_IN_PROGRESS, GOAL_IN_PROGRESS);
	note(&d, MONDAY + 5 * DAY, 0, (struct decimal){ 1, 0 }); /* done on a paused day */
	expect(&sum, &d, 40, 0, GOAL_MET, GOAL_MET);
	/* a week that rests as a whole asks for nothing, and nothing is reached by a step */
	pause_days(&sum, 0, 7);
	expect(&sum, &d, 40, 0, GOAL_IN_PROGRESS, GOAL_IN_PROGRESS);
	assert_int_equal(progress_of(&sum, &d).asked, 0);
}

static void test_mean(void **state)
{
	struct goal goal = week_goal(METRIC_STEPS, GOAL_MEAN_PER_PERIOD, 5000);
	struct diary d = { .n = 0 };

	(void)state;
	for (int64_t day = 0; day < 3; day++)
		note_day(&d, day, 6000);
	expect(&goal, &d, 6000, 0, GOAL_IN_PROGRESS, GOAL_NOT_ENOUGH_DATA);
	note_day(&d, 3, 2000);
	expect(&goal, &d, 5000, 0, GOAL_IN_PROGRESS, GOAL_MET);
	note(&d, MONDAY + 4 * DAY, HOUR,
	     (struct decimal){ 1, 0 }); /* not observed: no part of it */
	expect(&goal, &d, 5000, 0, GOAL_IN_PROGRESS, GOAL_MET);
	d.n = 0;
	for (int64_t day = 0; day < 6; day++)
		note_day(&d, day, day < 5 ? 5000 : 4999);
	expect(&goal, &d, 49998, -1, GOAL_IN_PROGRESS, GOAL_IN_PROGRESS);
	pause_days(&goal, 5, 1); /* the poor day is out of it */
	expect(&goal, &d, 5000, 0, GOAL_IN_PROGRESS, GOAL_MET);
	/* the mean of 5000, 5000 and 4999.9 rounds up to the target, and does not reach it */
	goal = week_goal(METRIC_STEPS, GOAL_MEAN_PER_PERIOD, 10);
	goal.min_points = 3;
	d.n = 0;
	note_day(&d, 0, 10);
	note_day(&d, 1, 10);
	note(&d, MONDAY + 2 * DAY, DAY, (struct decimal){ 999999, -5 });
	expect(&goal, &d, 9999997, -6, GOAL_IN_PROGRESS, GOAL_IN_PROGRESS);
}

static void test_nights(void **state)
{
	struct goal goal = week_goal(METRIC_SLEEP_DURATION, GOAL_NIGHTS_MEETING, 4);
	struct diary d = { .n = 0 };

	(void)state;
	goal.day_target.mantissa = 420;
	for (int64_t day = 0; day < 3; day++)
		note(&d, MONDAY + day * DAY - HOUR, 8 * HOUR, (struct decimal){ 430, 0 });
	/* in two parts, one of them before midnight */
	note(&d, MONDAY + 3 * DAY - 4 * HOUR, 2 * HOUR, (struct decimal){ 120, 0 });
	note(&d, MONDAY + 3 * DAY, 6 * HOUR, (struct decimal){ 300, 0 });
	expect(&goal, &d, 4, 0, GOAL_MET, GOAL_MET);
	assert_int_equal(progress_of(&goal, &d).observed, 4);
	/* a night that ends on Monday is the next week's; one that ends at noon, still Monday's */
	d.n = 0;
	note(&d, MONDAY + 7 * DAY - HOUR, 8 * HOUR, (struct decimal){ 430, 0 });
	expect(&goal, &d, 0, 0, GOAL_NO_DATA, GOAL_NO_DATA);
	note(&d, MONDAY + 4 * HOUR, 8 * HOUR, (struct decimal){ 430, 0 });
	expect(&goal, &d, 1, 0, GOAL_IN_PROGRESS, GOAL_NOT_ENOUGH_DATA);
}

/* 25 and 23 hours from noon to noon (Europe/London) */
static void test_long_and_short_nights(void **state)
{
	struct goal goal = week_goal(METRIC_SLEEP_DURATION, GOAL_NIGHTS_MEETING, 4);
	static const struct {
		int64_t day, hours;
	} rows[] = { { 20751, 25 }, { 20752, 24 }, { 20905, 23 }, { 20906, 24 } };
	struct zone *zone = NULL;

	(void)state;
	assert_int_equal(zone_load(goal.time_zone, &zone), 0);
	for (size_t i = 0; i < N(rows); i++) {
		struct goal_span span = goal_bucket_span(&goal, zone, rows[i].day);

		assert_int_equal(span.end_ms - span.start_ms, rows[i].hours * HOUR);
		assert_int_equal(goal_bucket_of(&goal, zone, span.start_ms), rows[i].day);
		assert_int_equal(goal_bucket_of(&goal, zone, span.end_ms - 1), rows[i].day);
		assert_int_equal(goal_bucket_of(&goal, zone, span.end_ms), rows[i].day + 1);
	}
	zone_free(zone);
}

/* ---- the trend */

static void test_trend_needs_data(void **state)
{
	struct goal goal = trend_goal(GOAL_STEADY, 0);
	struct diary d = { .n = 0 };

	(void)state;
	weigh(&d, 0, 80000);
	weigh(&d, 1, 80000);
	weigh(&d, 2, 80000);
	weigh(&d, -1, 80000);
	expect(&goal, &d, 0, 0, GOAL_IN_PROGRESS, GOAL_NOT_ENOUGH_DATA); /* two weeks */
	weigh(&d, -21, 80000);
	weigh(&d, -22, 80000); /* the day before the window */
	expect(&goal, &d, 0, 0, GOAL_IN_PROGRESS, GOAL_MET);
	assert_int_equal(progress_of(&goal, &d).readings, 5);
	d.n = 0;
	weigh(&d, 0, 80000);
	weigh(&d, -7, 80000);
	weigh(&d, -14, 80000);
	expect(&goal, &d, 0, 0, GOAL_IN_PROGRESS, GOAL_NOT_ENOUGH_DATA); /* three weigh-ins */
	weigh(&d, -14, 80000);
	expect(&goal, &d, 0, 0, GOAL_IN_PROGRESS, GOAL_MET);
}

static void test_trend_is_robust(void **state)
{
	struct goal goal = trend_goal(GOAL_DOWN, 60);
	struct diary d = { .n = 0 };
	struct goal_progress p;

	(void)state;
	for (int64_t day = -21; day < 7; day += 3)
		weigh(&d, day, 80000 - (day + 21) * 100);
	expect(&goal, &d, -2800, -3, GOAL_IN_PROGRESS, GOAL_MET);
	p = progress_of(&goal, &d);
	assert_true(p.towards);
	assert_false(p.review);
	d.points[5].mantissa += 20000; /* a suitcase */
	expect(&goal, &d, -2800, -3, GOAL_IN_PROGRESS, GOAL_MET);
	/* the median of one day */
	for (int i = 0; i < 2; i++)
		weigh(&d, 6, 77300);
	weigh(&d, 6, 120000);
	expect(&goal, &d, -2800, -3, GOAL_IN_PROGRESS, GOAL_MET);
	goal.direction = GOAL_UP;
	goal.target.mantissa = 0;
	assert_false(progress_of(&goal, &d).met);
	goal = trend_goal(GOAL_STEADY, 0);
	assert_false(progress_of(&goal, &d).met);
	goal.band = (struct decimal){ 28, -1 }; /* up to the band, it included, is steady */
	assert_true(progress_of(&goal, &d).met);
}

/* four weigh-ins: an even number of slopes: their median is the mean of two fractions */
static void test_trend_to_the_gram(void **state)
{
	struct goal goal = trend_goal(GOAL_UP, 0);
	struct diary d = { .n = 0 };

	(void)state;
	weigh(&d, -15, 70000);
	weigh(&d, -8, 70100);
	weigh(&d, -1, 70300);
	weigh(&d, 2, 70400);
	/* slopes in g/day: 100/7 300/14 400/17 200/7 300/10 100/3; median (400/17 + 200/7) / 2 */
	expect(&goal, &d, 729, -3, GOAL_IN_PROGRESS, GOAL_IN_PROGRESS);
	goal.band = (struct decimal){ 5, -1 };
	expect(&goal, &d, 729, -3, GOAL_IN_PROGRESS, GOAL_MET);
}

/* On arrival it is reached; to go on below the weight that was agreed is not. */
static void test_weight_to_stay_at(void **state)
{
	struct goal goal = trend_goal(GOAL_DOWN, 78);
	struct diary d = { .n = 0 };

	(void)state;
	for (int64_t day = -21; day < 7; day += 3)
		weigh(&d, day, 80000 - (day + 21) * 100); /* 77.3 in the end */
	assert_true(progress_of(&goal, &d).met);
	assert_false(progress_of(&goal, &d).towards);
	goal.target.mantissa = 79; /* more than the band below it, and going on */
	assert_false(progress_of(&goal, &d).met);
	for (size_t i = 0; i < d.n; i++)
		d.points[i].mantissa = 77300;
	assert_true(progress_of(&goal, &d).met); /* steady */
}

static void test_review(void **state)
{
	struct goal goal = trend_goal(GOAL_STEADY, 0);
	struct diary d = { .n = 0 };

	(void)state;
	weigh(&d, -1, 80000);
	weigh(&d, 6, 82000);
	assert_false(progress_of(&goal, &d).review);
	d.points[1].mantissa = 82001;
	assert_true(progress_of(&goal, &d).review);
	d.points[1].mantissa = 77999;
	assert_true(progress_of(&goal, &d).review);
	d.n = 0;
	weigh(&d, -2, 80000); /* eight days */
	weigh(&d, 6, 90000);
	weigh(&d, -10, 70000); /* last week's affair */
	weigh(&d, -9, 75000);
	assert_false(progress_of(&goal, &d).review);
}

/* ---- achievement */

static void test_achievement(void **state)
{
	struct goal goal = count_goal(1, 100), trend = trend_goal(GOAL_DOWN, 60);
	struct goal_progress p = { .met = true, .asked = 7 };

	(void)state;
#define IS(g, state, outcome, before) goal_achievement_of(&(g), &p, state, outcome, before)
	assert_int_equal(IS(goal, GOAL_OPEN, GOAL_IN_PROGRESS, 5), GOAL_ACHIEVEMENT_IN_PROGRESS);
	assert_int_equal(IS(goal, GOAL_OPEN, GOAL_MET, 2), GOAL_ACHIEVEMENT_ACHIEVED);
	assert_int_equal(IS(goal, GOAL_CLOSED, GOAL_MET, 3), GOAL_ACHIEVEMENT_SUSTAINING);
	assert_int_equal(IS(goal, GOAL_CLOSED, GOAL_IN_PROGRESS, 5), GOAL_ACHIEVEMENT_NONE);
	assert_int_equal(IS(goal, GOAL_CLOSED, GOAL_NOT_ENOUGH_DATA, 0), GOAL_ACHIEVEMENT_NONE);
	p.towards = true;
	assert_int_equal(IS(trend, GOAL_CLOSED, GOAL_MET, 5), GOAL_ACHIEVEMENT_IMPROVING);
#undef IS
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_counts_and_means),
		cmocka_unit_test(test_weights_that_are_safe),
		cmocka_unit_test(test_versions),
		cmocka_unit_test(test_count_days),
		cmocka_unit_test(test_pauses),
		cmocka_unit_test(test_mean),
		cmocka_unit_test(test_nights),
		cmocka_unit_test(test_long_and_short_nights),
		cmocka_unit_test(test_trend_needs_data),
		cmocka_unit_test(test_trend_is_robust),
		cmocka_unit_test(test_trend_to_the_gram),
		cmocka_unit_test(test_weight_to_stay_at),
		cmocka_unit_test(test_review),
		cmocka_unit_test(test_achievement),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
