/* links: gateway_goals gateway_base */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>

#include "gateway/goals/message.h"
#include "goals_make.h"

#define START (MONDAY / DAY) /* a Monday in London's winter */

static const struct goal course = {
	.id = "pressure-course",
	.title = "Blood pressure at home",
	.subject = "subject-1",
	.version = 1,
	.metric = METRIC_BLOOD_PRESSURE,
	.rule = GOAL_RANGE_MEAN,
	.period = GOAL_COURSE,
	.target = { 135, 0 },
	.diastolic_target = { 85, 0 },
	.week_start = 1,
	.starts_on = START,
	.ends_on = START + 7,
	.time_zone = "Europe/London",
	.agreed_by = GOAL_AGREED_BY_PROFESSIONAL,
	.average = true,
};

/* domain.md 2.3 */
static const uint8_t golden[4][4][2] = {
	{ { 158, 98 }, { 150, 95 }, { 149, 94 }, { 147, 92 } },
	{ { 138, 88 }, { 136, 86 }, { 134, 84 }, { 132, 84 } },
	{ { 135, 85 }, { 133, 83 }, { 136, 86 }, { 134, 84 } },
	{ { 137, 86 }, { 133, 85 }, { 132, 82 }, { 130, 82 } },
};

struct pressure {
	struct made m;
	Wellgate__V1__Component diastolic, *both[2];
	Wellgate__V1__Decimal value;
};

static void make_pressure(struct pressure *p, int64_t at_ms, int64_t systolic, int64_t diastolic)
{
	make(&p->m, METRIC_SYSTOLIC, at_ms, 0, systolic);
	p->m.r.metric = WELLGATE__V1__METRIC__METRIC_BLOOD_PRESSURE;
	wellgate__v1__component__init(&p->diastolic);
	wellgate__v1__decimal__init(&p->value);
	p->value.mantissa = diastolic;
	p->diastolic.metric = WELLGATE__V1__METRIC__METRIC_DIASTOLIC;
	p->diastolic.value = &p->value;
	p->both[0] = &p->m.component;
	p->both[1] = &p->diastolic;
	p->m.r.components = p->both;
	p->m.r.n_components = 2;
}

struct desk {
	struct goal_book *book;
	struct arena arena;
};

static void desk_open(struct desk *d, const struct goal *goal)
{
	assert_int_equal(goal_book_new(goal, 1, "hub", 1, &d->book), 0);
	assert_int_equal(arena_init(&d->arena, 65536), 0);
}

static void desk_close(struct desk *d)
{
	goal_book_free(d->book);
	arena_finish(&d->arena);
}

/* whether it counts */
static bool add(struct desk *d, struct pressure *p)
{
	arena_reset(&d->arena);
	assert_int_equal(goal_book_tag(d->book, &p->m.r, &d->arena), 0);
	assert_int_equal(goal_book_add(d->book, &p->m.r), 0);
	return p->m.r.n_goals == 1;
}

static int64_t instant(int64_t day, int64_t k)
{
	return MONDAY + day * DAY + (k < 2 ? 7 : 20) * HOUR + (k & 1) * 2 * MINUTE;
}

static void add_days(struct desk *d, int64_t first, int64_t last)
{
	for (int64_t day = first; day < last; day++) {
		for (int64_t k = 0; k < 4; k++) {
			struct pressure p;

			make_pressure(&p, instant(day, k), golden[day][k][0], golden[day][k][1]);
			assert_true(add(d, &p));
		}
	}
}

static const Wellgate__V1__GoalResult *result(struct desk *d, int64_t now_ms)
{
	Wellgate__V1__GoalResult *r = NULL;

	arena_reset(&d->arena);
	assert_int_equal(goal_book_current(d->book, 0, now_ms, &d->arena, &r), 0);
	return r;
}

static void assert_mean(const Wellgate__V1__GoalResult *r, size_t i, int64_t tenths,
			uint64_t snomed)
{
	assert_true(r->n_means == 2);
	assert_int_equal(r->means[i]->value->mantissa, tenths);
	assert_int_equal(r->means[i]->value->exponent, -1);
	assert_true(r->means[i]->snomed == snomed);
}

static void test_golden(void **state)
{
	const Wellgate__V1__GoalResult *r;
	struct desk d;

	(void)state;
	desk_open(&d, &course);
	add_days(&d, 0, 2);
	r = result(&d, MONDAY + 2 * DAY);
	assert_int_equal(r->n_means, 0);
	assert_int_equal(r->progress->mantissa, 4);
	assert_int_equal(r->observed_days, 2);
	assert_string_equal(r->words, "Thank you. Still to take: 8 more readings, on 2 more days.");
	add_days(&d, 2, 4);
	r = result(&d, MONDAY + 4 * DAY);
	assert_mean(r, 0, 1342, 413606001);
	assert_mean(r, 1, 846, 413605002);
	assert_int_equal(r->readings, 16);
	assert_null(r->target);
	/* more readings may still come, and take it back */
	assert_int_equal(r->outcome, WELLGATE__V1__GOAL_RESULT__OUTCOME__OUTCOME_IN_PROGRESS);
	r = result(&d, MONDAY + 7 * DAY);
	assert_int_equal(r->outcome, WELLGATE__V1__GOAL_RESULT__OUTCOME__OUTCOME_MET);
	assert_int_equal(r->period_start_ms, MONDAY);
	assert_int_equal(r->period_end_ms, MONDAY + 7 * DAY);
	assert_null(strpbrk(r->words, "0123456789"));
	desk_close(&d);
}

/* a site that did not switch averages on learns what was measured, and no more */
static void test_switched_off(void **state)
{
	struct goal goal = course;
	const Wellgate__V1__GoalResult *r;
	struct desk d;

	(void)state;
	goal.average = false;
	desk_open(&d, &goal);
	add_days(&d, 0, 4);
	r = result(&d, MONDAY + 7 * DAY);
	assert_int_equal(r->n_means, 0);
	assert_int_equal(r->outcome, WELLGATE__V1__GOAL_RESULT__OUTCOME__OUTCOME_IN_PROGRESS);
	assert_string_equal(r->words, "That is all the readings. Thank you.");
	desk_close(&d);
}

/* what was measured before, after, or with a moving arm is no part of it */
static void test_what_counts(void **state)
{
	struct pressure p;
	struct desk d;

	(void)state;
	desk_open(&d, &course);
	make_pressure(&p, MONDAY - 1, 140, 90);
	assert_false(add(&d, &p));
	make_pressure(&p, MONDAY, 140, 90);
	assert_true(add(&d, &p));
	make_pressure(&p, MONDAY + 7 * DAY - 1, 140, 90);
	assert_true(add(&d, &p));
	make_pressure(&p, MONDAY + 7 * DAY, 140, 90);
	assert_false(add(&d, &p));
	make_pressure(&p, MONDAY + HOUR, 140, 90);
	p.m.flag = WELLGATE__V1__FLAG__FLAG_IRREGULAR_PULSE;
	p.m.r.n_flags = 1;
	assert_false(add(&d, &p));
	desk_close(&d);
}

/* a goal that ends: what ends at midnight was of the day before; no length overflows */
static void test_the_end(void **state)
{
	struct goal goal = course;
	struct made m;
	struct desk d;
	const struct {
		int64_t at_ms, duration_ms;
		size_t counts;
	} rows[] = {
		{ MONDAY + 7 * DAY - HOUR, HOUR, 1 },
		{ MONDAY + 7 * DAY - HOUR, HOUR + 1, 0 },
		{ MONDAY + 7 * DAY, 0, 0 },
		{ MONDAY, INT64_MAX, 0 },
	};

	(void)state;
	goal.metric = METRIC_STEPS;
	goal.rule = GOAL_SUM_PER_PERIOD;
	goal.period = GOAL_WEEK;
	desk_open(&d, &goal);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		make(&m, METRIC_STEPS, rows[i].at_ms, 0, 100);
		m.r.duration_ms = rows[i].duration_ms;
		arena_reset(&d.arena);
		assert_int_equal(goal_book_tag(d.book, &m.r, &d.arena), 0);
		assert_int_equal(m.r.n_goals, rows[i].counts);
	}
	desk_close(&d);
}

/* a correction takes a reading out again: as if it had never been there */
static void test_taken_back(void **state)
{
	struct pressure p;
	struct desk d;

	(void)state;
	desk_open(&d, &course);
	add_days(&d, 0, 4);
	make_pressure(&p, instant(3, 1) + 2 * MINUTE, 190, 110);
	assert_true(add(&d, &p));
	assert_int_equal(result(&d, MONDAY + 7 * DAY)->means[0]->value->mantissa, 1385);
	arena_reset(&d.arena);
	assert_int_equal(goal_book_tag(d.book, &p.m.r, &d.arena), 0);
	assert_int_equal(goal_book_remove(d.book, &p.m.r), 0);
	assert_mean(result(&d, MONDAY + 7 * DAY), 0, 1342, 413606001);
	desk_close(&d);
}

static void refused(const struct goal *goal, const char *word)
{
	const char *problem = NULL;

	assert_int_equal(goal_check(goal, &problem), -EINVAL);
	assert_non_null(strstr(problem, word));
}

static void test_what_may_be_set(void **state)
{
	const char *problem;
	struct goal g = course;

	(void)state;
	assert_int_equal(goal_check(&g, &problem), 0);
	g.agreed_by = GOAL_AGREED_BY_PERSON;
	refused(&g, "professional");
	g = course;
	g.ends_on = START + 3;
	refused(&g, "4 to 31");
	g.ends_on = 0;
	refused(&g, "4 to 31");
	g.ends_on = INT64_MIN;
	refused(&g, "centuries");
	g = course;
	g.diastolic_target = (struct decimal){ 135, 0 };
	refused(&g, "both limits");
	g = course;
	g.period = GOAL_WEEK;
	refused(&g, "belong together");
	g = course;
	g.metric = METRIC_BODY_WEIGHT;
	refused(&g, "blood_pressure");
}

static void test_care(void **state)
{
	struct goal g = { .id = "w",
			  .title = "W",
			  .version = 1,
			  .metric = METRIC_BODY_WEIGHT,
			  .rule = GOAL_MEASURE_REGULARLY,
			  .period = GOAL_WEEK,
			  .target = { 1, 0 },
			  .week_start = 1,
			  .starts_on = INT64_MIN,
			  .time_zone = "Europe/London",
			  .eating_disorder = true };
	const char *problem;

	(void)state;
	refused(&g, "no goal on weight");
	g.metric = METRIC_BLOOD_PRESSURE;
	assert_int_equal(goal_check(&g, &problem), 0);
	g.metric = METRIC_STEPS;
	g.rule = GOAL_SUM_PER_PERIOD;
	refused(&g, "agreed with a professional");
	g.agreed_by = GOAL_AGREED_BY_PROFESSIONAL;
	assert_int_equal(goal_check(&g, &problem), 0);
}

/* every field goes there and back */
static void test_message(void **state)
{
	Wellgate__V1__Goal *m;
	struct goal all = course, back;
	struct arena arena;

	(void)state;
	assert_int_equal(arena_init(&arena, 65536), 0);
	all.day_target = (struct decimal){ 75, -1 };
	all.band = (struct decimal){ 15, -1 };
	all.min_points = 3;
	all.direction = GOAL_DOWN;
	all.height_mm = 1720;
	all.show_weight = all.eating_disorder = all.keep_here = all.hidden = all.paused = true;
	all.average = false; /* the site's, not the goal's */
	all.n_pauses = 2;
	all.pauses[0] = (struct goal_pause){ 10, 12 };
	all.pauses[1] = (struct goal_pause){ 20, 21 };
	assert_int_equal(goal_to_message(&all, &arena, &m), 0);
	assert_int_equal(goal_from_message(m, &back), 0);
	assert_memory_equal(back.pauses, all.pauses, sizeof(all.pauses));
	assert_string_equal(back.id, all.id);
	assert_string_equal(back.title, all.title);
	assert_string_equal(back.subject, all.subject);
	assert_string_equal(back.time_zone, all.time_zone);
	assert_int_equal(back.starts_on, all.starts_on);
	assert_int_equal(back.ends_on, all.ends_on);
	assert_int_equal(decimal_compare(back.band, all.band), 0);
	assert_int_equal(decimal_compare(back.day_target, all.day_target), 0);
	assert_int_equal(decimal_compare(back.diastolic_target, all.diastolic_target), 0);
	assert_true(back.hidden && back.keep_here && back.eating_disorder && back.show_weight);
	assert_true(back.paused && back.height_mm == 1720 && back.direction == GOAL_DOWN);
	assert_int_equal(back.min_points, 3);
	m->n_pauses = GOAL_PAUSES_MAX + 1;
	assert_int_equal(goal_from_message(m, &back), -EBADMSG);
	m->n_pauses = 0;
	m->goal_id = NULL;
	assert_int_equal(goal_from_message(m, &back), -EBADMSG);
	arena_finish(&arena);
}

/* two people may call their goals by one name */
static void test_two_people(void **state)
{
	struct goal goals[2] = { course, course };
	struct pressure p;
	struct desk d;

	(void)state;
	memcpy(goals[1].subject, "subject-2", 10);
	assert_int_equal(goal_book_new(goals, 2, "hub", 1, &d.book), 0);
	assert_int_equal(arena_init(&d.arena, 65536), 0);
	make_pressure(&p, MONDAY + HOUR, 140, 90);
	memcpy(p.m.subject, "subject-2", 10);
	assert_true(add(&d, &p));
	for (size_t i = 0; i < 2; i++) {
		Wellgate__V1__GoalResult *r = NULL;

		arena_reset(&d.arena);
		assert_int_equal(goal_book_current(d.book, i, MONDAY + 2 * HOUR, &d.arena, &r), 0);
		assert_string_equal(r->subject, i == 0 ? "subject-1" : "subject-2");
		assert_true(r->observed_days == 0); /* a reading alone begins no course */
		assert_int_equal(r->state, WELLGATE__V1__GOAL_RESULT__STATE__STATE_OPEN);
	}
	desk_close(&d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_golden),      cmocka_unit_test(test_switched_off),
		cmocka_unit_test(test_what_counts), cmocka_unit_test(test_taken_back),
		cmocka_unit_test(test_the_end),     cmocka_unit_test(test_what_may_be_set),
		cmocka_unit_test(test_care),        cmocka_unit_test(test_message),
		cmocka_unit_test(test_two_people),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
