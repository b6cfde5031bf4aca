/* links: gateway_goals gateway_base */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "drivers/cleanup.h"
#include "drivers/measurement.h"
#include "gateway/goals/calendar.h"
#include "gateway/goals/goals.h"
#include "goals_make.h"

#define N(a)      (sizeof(a) / sizeof((a)[0]))
#define STATE(x)  WELLGATE__V1__GOAL_RESULT__STATE__STATE_##x
#define RESULT(x) WELLGATE__V1__GOAL_RESULT__OUTCOME__OUTCOME_##x

static struct goal steps_goal(enum goal_period period, int64_t target)
{
	return (struct goal){ .id = "walk",
			      .title = "Walk more",
			      .version = 3,
			      .metric = METRIC_STEPS,
			      .rule = GOAL_SUM_PER_PERIOD,
			      .period = period,
			      .target = { target, 0 },
			      .week_start = 1,
			      .time_zone = "Europe/London" };
}

static struct goal measure_goal(enum metric metric, enum goal_period period, int64_t times)
{
	struct goal goal = steps_goal(period, times);

	memcpy(goal.id, "measure", 8);
	goal.metric = metric;
	goal.rule = GOAL_MEASURE_REGULARLY;
	return goal;
}

/* ---- goal_check */

static void check(const struct goal *goal, int expected)
{
	const char *problem = NULL;
	int r = goal_check(goal, &problem);

	if (r != expected)
		fail_msg("%d: %s", r, problem ? problem : "no problem");
	assert_int_equal(problem != NULL, r < 0);
}

static void test_check_rules(void **state)
{
	static const unsigned int sums[] = { METRIC_STEPS,
					     METRIC_DISTANCE,
					     METRIC_FLOORS,
					     METRIC_ACTIVE_MINUTES,
					     METRIC_SLEEP_DURATION,
					     METRIC_EXERCISE_DURATION,
					     METRIC_ACTIVE_ZONE_MINUTES };
	static const unsigned int never[] = { METRIC_ENERGY,       METRIC_BASAL_METABOLISM,
					      METRIC_CARBOHYDRATE, METRIC_BATTERY_LEVEL,
					      METRIC_NONE,         METRIC_END };

	(void)state;
	for (unsigned int metric = 0; metric <= METRIC_END; metric++) {
		struct goal goal = measure_goal((enum metric)metric, GOAL_WEEK, 1);
		bool adds_up = false, is_never = false;

		for (size_t i = 0; i < sizeof(sums) / sizeof(sums[0]); i++)
			adds_up = adds_up || sums[i] == metric;
		for (size_t i = 0; i < sizeof(never) / sizeof(never[0]); i++)
			is_never = is_never || never[i] == metric;
		if (is_never)
			check(&goal, -EINVAL);
		goal.rule = GOAL_SUM_PER_PERIOD;
		check(&goal, adds_up ? 0 : -EINVAL);
	}
}

static void test_check_fields(void **state)
{
	static const char *const bad_ids[] = { "", "Walk", "a b", "a_b", "a/b", "\xc3\xa9" };
	struct goal goal = steps_goal(GOAL_WEEK, 30000);

	(void)state;
	check(&goal, 0);
	for (size_t i = 0; i < sizeof(bad_ids) / sizeof(bad_ids[0]); i++) {
		(void)snprintf(goal.id, sizeof(goal.id), "%s", bad_ids[i]);
		check(&goal, -EINVAL);
	}
	memset(goal.id, 'a', sizeof(goal.id)); /* no end */
	check(&goal, -EINVAL);
	goal = measure_goal(METRIC_BODY_WEIGHT, GOAL_WEEK, 10);
	goal.target.exponent = -1; /* 1.0 times is once */
	check(&goal, 0);
}

/* what is wrong with an otherwise good goal */
static void bad_text(struct goal *goal, int i)
{
	if (i == 0)
		goal->title[0] = (char)0xff;
	else if (i == 1)
		memset(goal->subject, 'a', sizeof(goal->subject));
	else if (i == 2)
		memcpy(goal->time_zone, "Mars/Base", 10);
	else
		goal->time_zone[0] = '\0';
}

static void bad_target(struct goal *goal, int i)
{
	static const struct decimal targets[] = {
		{ 0, 0 }, { -1, 0 }, { 150000 * 7 + 1, 0 }, { 1, 38 }
	};
	static const struct decimal times[] = { { 13, 0 }, { 15, -1 }, { 1, -1 }, { 0, 0 } };

	if (i < 4) {
		goal->target = targets[i];
		return;
	}
	*goal = measure_goal(METRIC_BODY_WEIGHT, GOAL_DAY, 1);
	goal->target = times[i - 4];
}

static void bad_rule(struct goal *goal, int i)
{
	if (i == 0)
		goal->period = (enum goal_period)3;
	else if (i == 1)
		goal->rule = (enum goal_rule)2;
	else
		goal->week_start = i == 2 ? 0 : 8;
}

static void test_check_refuses(void **state)
{
	static const struct {
		void (*spoil)(struct goal *, int);
		int n;
	} rows[] = { { bad_text, 4 }, { bad_target, 8 }, { bad_rule, 4 } };

	(void)state;
	for (size_t i = 0; i < N(rows); i++) {
		for (int k = 0; k < rows[i].n; k++) {
			struct goal goal = steps_goal(GOAL_WEEK, 30000);

			rows[i].spoil(&goal, k);
			check(&goal, -EINVAL);
		}
	}
}

/* ---- goal_evaluate */

static int compare_points(const void *a, const void *b)
{
	return goal_point_compare(a, b);
}

static struct goal_progress evaluate(const struct goal *goal, int64_t start, int64_t end,
				     struct goal_point *points, size_t n)
{
	struct goal_progress progress;
	struct zone *zone = NULL;
	struct goal_span span;
	int64_t first_day;

	for (size_t i = 0; i < n; i++)
		points[i].count = 1;
	qsort(points, n, sizeof(*points), compare_points);
	assert_int_equal(zone_load(goal->time_zone, &zone), 0);
	span = goal_span_of(goal, zone, start, &first_day);
	assert_int_equal(span.start_ms, start);
	assert_int_equal(span.end_ms, end);
	goal_evaluate(goal, zone, first_day, points, n, &progress);
	zone_free(zone);
	return progress;
}

static void assert_value(const struct goal_progress *p, int64_t mantissa, int32_t exponent)
{
	const struct decimal expected = { mantissa, exponent };

	if (decimal_compare(p->value, expected) != 0)
		fail_msg("%lld e %d, not %lld e %d", (long long)p->value.mantissa,
			 p->value.exponent, (long long)mantissa, exponent);
}

#define POINT(device_, at_, duration_, value_)                             \
	{                                                                  \
		.at_ms = (at_), .device = (device_), .mantissa = (value_), \
		.duration_ms = (uint32_t)(duration_)                       \
	}

static void test_sums(void **state)
{
	struct goal goal = steps_goal(GOAL_DAY, 1000);
	struct goal_point plain[] = { POINT(1, MONDAY, HOUR, 400),
				      POINT(1, MONDAY + HOUR, HOUR, 600) };
	struct goal_point two[] = { POINT(1, MONDAY, HOUR, 400), POINT(2, MONDAY, HOUR, 700),
				    POINT(1, MONDAY + HOUR, HOUR, 200) };
	struct goal_point grows[] = { POINT(1, MONDAY, HOUR, 300), POINT(1, MONDAY, 10 * HOUR, 700),
				      POINT(1, MONDAY, 24 * HOUR, 900) };
	struct goal_point parts[] = { POINT(1, MONDAY, 24 * HOUR, 900), POINT(1, MONDAY, MINUTE, 5),
				      POINT(1, MONDAY + HOUR, MINUTE, 6) };
	struct goal_point events[] = { POINT(1, MONDAY, 0, 5), POINT(1, MONDAY, 0, 5) };
	struct goal_progress p;

	(void)state;
	p = evaluate(&goal, MONDAY, MONDAY + DAY, plain, N(plain));
	assert_value(&p, 1000, 0);
	assert_true(p.met);
	assert_int_equal(p.readings, 2);
	p = evaluate(&goal, MONDAY, MONDAY + DAY, two, N(two)); /* never both */
	assert_value(&p, 700, 0);
	assert_int_equal(p.readings, 1);
	assert_false(p.met);
	p = evaluate(&goal, MONDAY, MONDAY + DAY, grows, N(grows));
	assert_value(&p, 900, 0);
	p = evaluate(&goal, MONDAY, MONDAY + DAY, parts, N(parts));
	assert_value(&p, 900, 0);
	p = evaluate(&goal, MONDAY, MONDAY + DAY, events, N(events));
	assert_value(&p, 10, 0);
	p = evaluate(&goal, MONDAY + DAY, MONDAY + 2 * DAY, plain, N(plain));
	assert_value(&p, 0, 0);
	assert_int_equal(p.readings, 0);
	assert_false(p.met);
}

/* an interval across midnight, and a day's total after it: the total stands */
static void test_total_after_a_split(void **state)
{
	struct goal goal = steps_goal(GOAL_DAY, 1000);
	struct goal_point points[] = { POINT(1, MONDAY - 30 * MINUTE, HOUR, 60),
				       POINT(1, MONDAY, 24 * HOUR, 9000) };
	struct goal_progress p = evaluate(&goal, MONDAY, MONDAY + DAY, points, N(points));

	(void)state;
	assert_value(&p, 9000, 0);
	assert_int_equal(p.readings, 1);
}

static void test_boundaries(void **state)
{
	static const struct {
		int64_t at, duration, value;
		int64_t before, after; /* what belongs to Sunday and to Monday */
	} rows[] = {
		{ MONDAY - 30 * MINUTE, HOUR, 100, 50, 50 },
		{ MONDAY - 20 * MINUTE, HOUR, 100, 33, 67 },
		{ MONDAY - HOUR, HOUR, 100, 100, 0 }, /* ends at midnight: Sunday's */
		{ MONDAY, HOUR, 100, 0, 100 },
		{ MONDAY - 1, 0, 100, 100, 0 },
		{ MONDAY, 0, 100, 0, 100 },
		{ MONDAY - 20 * MINUTE, HOUR + 1, 100, 0, 100 }, /* longer: where it ends */
		{ MONDAY - DAY, DAY, 100, 100, 0 },
	};
	struct goal goal = steps_goal(GOAL_DAY, 1000);

	(void)state;
	for (size_t i = 0; i < N(rows); i++) {
		struct goal_point point[] = { POINT(1, rows[i].at, rows[i].duration,
						    rows[i].value) };
		struct goal_progress p;

		p = evaluate(&goal, MONDAY - DAY, MONDAY, point, 1);
		assert_value(&p, rows[i].before, 0);
		p = evaluate(&goal, MONDAY, MONDAY + DAY, point, 1);
		assert_value(&p, rows[i].after, 0);
	}
	/* a night belongs to the day of waking, a short one too */
	goal.metric = METRIC_SLEEP_DURATION;
	{
		struct goal_point night[] = { POINT(1, MONDAY - 20 * MINUTE, 40 * MINUTE, 40) };
		struct goal_progress p = evaluate(&goal, MONDAY, MONDAY + DAY, night, 1);

		assert_value(&p, 40, 0);
	}
}

static void test_occasions(void **state)
{
	struct goal goal = measure_goal(METRIC_BLOOD_PRESSURE, GOAL_DAY, 2);
	struct goal_point points[] = {
		POINT(1, MONDAY + 8 * HOUR, 0, 120),               /* one */
		POINT(1, MONDAY + 8 * HOUR + 2 * MINUTE, 0, 118),  /* the second of the pair */
		POINT(2, MONDAY + 8 * HOUR + 10 * MINUTE, 0, 118), /* still, on another cuff */
		POINT(1, MONDAY + 8 * HOUR + 11 * MINUTE, 0,
		      119),                           /* two: 11 minutes after the first */
		POINT(1, MONDAY + 20 * HOUR, 0, 119), /* three */
		POINT(1, MONDAY + DAY, 0, 119),       /* tomorrow */
	};
	struct goal_progress p = evaluate(&goal, MONDAY, MONDAY + DAY, points, N(points));

	(void)state;
	assert_value(&p, 3, 0);
	assert_int_equal(p.readings, 5);
	assert_true(p.met);
	p = evaluate(&goal, MONDAY, MONDAY + DAY, points, 3);
	assert_value(&p, 1, 0);
	assert_false(p.met);
}

static void test_states(void **state)
{
	const struct goal_span span = { MONDAY, MONDAY + 7 * DAY };
	const struct goal_progress some = { .asked = 1 }, resting = { .asked = 0 };
	struct goal goal = steps_goal(GOAL_WEEK, 1);

	(void)state;
	assert_int_equal(goal_state_at(&goal, &span, &some, MONDAY), GOAL_OPEN);
	assert_int_equal(goal_state_at(&goal, &span, &some, MONDAY + 7 * DAY - 1), GOAL_OPEN);
	assert_int_equal(goal_state_at(&goal, &span, &some, MONDAY + 7 * DAY), GOAL_PROVISIONAL);
	assert_int_equal(goal_state_at(&goal, &span, &some, MONDAY + 10 * DAY - 1),
			 GOAL_PROVISIONAL);
	assert_int_equal(goal_state_at(&goal, &span, &some, MONDAY + 10 * DAY), GOAL_CLOSED);
	assert_int_equal(goal_state_at(&goal, &span, &resting, MONDAY), GOAL_PAUSED);
	assert_int_equal(goal_state_at(&goal, &span, &resting, MONDAY + 70 * DAY), GOAL_PAUSED);
	goal.paused = true;
	assert_int_equal(goal_state_at(&goal, &span, &some, MONDAY), GOAL_PAUSED);
	assert_int_equal(goal_state_at(&goal, &span, &some, MONDAY + 7 * DAY), GOAL_PROVISIONAL);
}

/* ---- the book */

struct desk {
	struct goal_book *book;
	struct arena arena, scratch;
};

static void desk_open(struct desk *d, const struct goal *goals, size_t n)
{
	assert_int_equal(goal_book_new(goals, n, "hub1", 77, &d->book), 0);
	assert_int_equal(arena_init(&d->arena, 65536), 0);
	assert_int_equal(arena_init(&d->scratch, 65536), 0);
}

static void desk_close(struct desk *d)
{
	goal_book_free(d->book);
	arena_finish(&d->arena);
	arena_finish(&d->scratch);
}

static size_t tag(struct desk *d, struct made *m)
{
	arena_reset(&d->scratch);
	assert_int_equal(goal_book_tag(d->book, &m->r, &d->scratch), 0);
	return m->r.n_goals;
}

static int add(struct desk *d, enum metric metric, int64_t at_ms, int64_t duration_ms,
	       int64_t value)
{
	struct made m;

	make(&m, metric, at_ms, duration_ms, value);
	assert_int_equal(tag(d, &m), 1);
	return goal_book_add(d->book, &m.r);
}

/* the one result that is due, or NULL; more than one is a failure of the test */
static Wellgate__V1__GoalResult *next(struct desk *d, int64_t now_ms)
{
	Wellgate__V1__GoalResult *first = NULL, *second = NULL;
	int r;

	arena_reset(&d->arena);
	r = goal_book_next_result(d->book, now_ms, &d->arena, &first);
	assert_in_range(r, 0, 1);
	assert_int_equal(r == 1, first != NULL);
	if (r == 1)
		assert_int_equal(goal_book_next_result(d->book, now_ms, &d->arena, &second), 0);
	return first;
}

static void expect(const Wellgate__V1__GoalResult *r, int state, int outcome, int64_t progress,
		   uint32_t revision)
{
	assert_non_null(r);
	assert_int_equal(r->state, state);
	assert_int_equal(r->outcome, outcome);
	assert_int_equal(r->progress->mantissa, progress);
	assert_int_equal(r->revision, revision);
}

static void test_a_week(void **state)
{
	const struct goal goal = steps_goal(GOAL_WEEK, 1000);
	const int64_t end = MONDAY + 7 * DAY;
	Wellgate__V1__GoalResult *r;
	struct desk d;

	(void)state;
	desk_open(&d, &goal, 1);
	assert_null(next(&d, MONDAY));
	assert_int_equal(goal_book_next_due(d.book, MONDAY), -1);
	assert_int_equal(add(&d, METRIC_STEPS, MONDAY + HOUR, HOUR, 400), 0);
	r = next(&d, MONDAY + 2 * HOUR);
	expect(r, STATE(OPEN), RESULT(IN_PROGRESS), 400, 1);
	assert_string_equal(r->goal_id, "walk");
	assert_int_equal(r->goal_version, 3);
	assert_string_equal(r->subject, "subject-1");
	assert_string_equal(r->unit, "{steps}");
	assert_string_equal(r->hub, "hub1");
	assert_int_equal(r->epoch, 77);
	assert_int_equal(r->period_start_ms, MONDAY);
	assert_int_equal(r->period_end_ms, end);
	assert_int_equal(r->readings, 1);
	assert_int_equal(r->target->mantissa, 1000);
	assert_string_equal(r->words, "You walked 400 steps this week.");
	assert_null(next(&d, MONDAY + 2 * HOUR));
	assert_int_equal(goal_book_next_due(d.book, MONDAY + 2 * HOUR), end);

	assert_int_equal(add(&d, METRIC_STEPS, MONDAY + DAY, HOUR, 600), 0);
	expect(next(&d, MONDAY + DAY + HOUR), STATE(OPEN), RESULT(MET), 1000, 2);
	assert_null(next(&d, end - 1));
	expect(next(&d, end), STATE(PROVISIONAL), RESULT(MET), 1000, 3);
	assert_int_equal(goal_book_next_due(d.book, end), end + GOAL_GRACE_MS);
	assert_null(next(&d, end + GOAL_GRACE_MS - 1));
	expect(next(&d, end + GOAL_GRACE_MS), STATE(CLOSED), RESULT(MET), 1000, 4);
	assert_int_equal(goal_book_next_due(d.book, end + GOAL_GRACE_MS), -1);

	/* late data: its old period, a new revision */
	assert_int_equal(add(&d, METRIC_STEPS, MONDAY + 3 * DAY, HOUR, 5), 0);
	r = next(&d, end + 20 * DAY);
	expect(r, STATE(CLOSED), RESULT(MET), 1005, 5);
	assert_string_equal(r->words, "You reached your walking goal that week.");
	desk_close(&d);
}

static void test_current(void **state)
{
	struct goal goals[2] = { steps_goal(GOAL_DAY, 1000),
				 measure_goal(METRIC_BODY_WEIGHT, GOAL_WEEK, 1) };
	Wellgate__V1__GoalResult *r;
	struct desk d;
	size_t n;

	(void)state;
	goals[1].paused = true;
	desk_open(&d, goals, 2);
	assert_ptr_not_equal(goal_book_goals(d.book, &n), NULL);
	assert_int_equal(n, 2);
	assert_int_equal(goal_book_current(d.book, 0, MONDAY, &d.arena, &r), 0);
	expect(r, STATE(OPEN), RESULT(NO_DATA), 0, 0);
	assert_string_equal(r->words, "No readings yet. That is fine.");
	assert_int_equal(goal_book_current(d.book, 1, MONDAY, &d.arena, &r), 0);
	expect(r, STATE(PAUSED), RESULT(NO_DATA), 0, 0);
	assert_int_equal(goal_book_current(d.book, 2, MONDAY, &d.arena, &r), -EINVAL);
	assert_int_equal(add(&d, METRIC_STEPS, MONDAY + HOUR, HOUR, 400), 0);
	(void)next(&d, MONDAY + 3 * HOUR);
	assert_int_equal(goal_book_current(d.book, 0, MONDAY + 3 * HOUR, &d.arena, &r), 0);
	expect(r, STATE(OPEN), RESULT(IN_PROGRESS), 400, 1);
	desk_close(&d);
}

static void test_undo(void **state)
{
	const struct goal goal = steps_goal(GOAL_DAY, 1000);
	Wellgate__V1__GoalResult *r = NULL;
	struct desk d;

	(void)state;
	desk_open(&d, &goal, 1);
	assert_int_equal(add(&d, METRIC_STEPS, MONDAY + HOUR, HOUR, 100), 0);
	expect(next(&d, MONDAY + 3 * HOUR), STATE(OPEN), RESULT(IN_PROGRESS), 100, 1);
	goal_book_settle(d.book);

	/* one out of order, one in order, one over midnight; and what was said about them */
	assert_int_equal(add(&d, METRIC_STEPS, MONDAY, HOUR, 50), 0);
	assert_int_equal(add(&d, METRIC_STEPS, MONDAY + 2 * HOUR, HOUR, 70), 0);
	assert_int_equal(add(&d, METRIC_STEPS, MONDAY - 30 * MINUTE, 30 * MINUTE, 7), 0);
	for (int i = 0; i < 2; i++)
		assert_int_equal(goal_book_next_result(d.book, MONDAY + 4 * HOUR, &d.arena, &r), 1);
	goal_book_undo(d.book);
	assert_null(next(&d, MONDAY + 4 * HOUR)); /* nothing to correct: nobody was told */

	assert_int_equal(add(&d, METRIC_STEPS, MONDAY + 2 * HOUR, HOUR, 70), 0);
	expect(next(&d, MONDAY + 4 * HOUR), STATE(OPEN), RESULT(IN_PROGRESS), 170, 2);
	goal_book_settle(d.book);
	goal_book_undo(d.book); /* what was settled stays */
	assert_null(next(&d, MONDAY + 4 * HOUR));
	desk_close(&d);
}

static void test_undo_of_occasions(void **state)
{
	const struct goal goal = measure_goal(METRIC_BODY_WEIGHT, GOAL_DAY, 2);
	Wellgate__V1__GoalResult *r;
	struct desk d;

	(void)state;
	desk_open(&d, &goal, 1);
	assert_int_equal(add(&d, METRIC_BODY_WEIGHT, MONDAY + HOUR, 0, 74), 0);
	(void)next(&d, MONDAY + 2 * HOUR);
	goal_book_settle(d.book);
	assert_int_equal(add(&d, METRIC_BODY_WEIGHT, MONDAY + HOUR + 30000, 0, 74),
			 0); /* same minute */
	assert_int_equal(add(&d, METRIC_BODY_WEIGHT, MONDAY + 90 * MINUTE, 0, 74), 0);
	assert_int_equal(goal_book_current(d.book, 0, MONDAY + 2 * HOUR, &d.arena, &r), 0);
	assert_int_equal(r->readings, 3);
	goal_book_undo(d.book);
	assert_int_equal(goal_book_current(d.book, 0, MONDAY + 2 * HOUR, &d.arena, &r), 0);
	expect(r, STATE(OPEN), RESULT(IN_PROGRESS), 1, 1);
	assert_int_equal(r->readings, 1);
	desk_close(&d);
}

static void test_two_results_at_once(void **state)
{
	const struct goal goal = steps_goal(GOAL_DAY, 1000);
	Wellgate__V1__GoalResult *r = NULL;
	struct desk d;
	int64_t sum = 0;

	(void)state;
	desk_open(&d, &goal, 1);
	assert_int_equal(add(&d, METRIC_STEPS, MONDAY - 20 * MINUTE, HOUR, 100), 0);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(goal_book_next_result(d.book, MONDAY + 2 * HOUR, &d.arena, &r), 1);
		sum += r->progress->mantissa;
	}
	assert_int_equal(sum, 100);
	assert_int_equal(goal_book_next_result(d.book, MONDAY + 2 * HOUR, &d.arena, &r), 0);
	desk_close(&d);
}

static void restore(struct desk *d, int64_t progress, uint32_t version, uint32_t readings,
		    int state, uint32_t revision)
{
	Wellgate__V1__GoalResult r = WELLGATE__V1__GOAL_RESULT__INIT;
	Wellgate__V1__Decimal value = WELLGATE__V1__DECIMAL__INIT;
	char id[] = "walk";

	value.mantissa = progress;
	r.goal_id = id;
	r.goal_version = version;
	r.period_start_ms = MONDAY;
	r.period_end_ms = MONDAY + DAY;
	r.state = (Wellgate__V1__GoalResult__State)state;
	r.outcome = RESULT(IN_PROGRESS);
	r.progress = &value;
	r.readings = readings;
	r.revision = revision;
	assert_int_equal(goal_book_restore(d->book, &r), 0);
}

static void test_restore(void **state)
{
	const struct goal goal = steps_goal(GOAL_DAY, 1000);
	const int64_t now = MONDAY + 5 * HOUR;
	struct desk d;

	(void)state;
	desk_open(&d, &goal, 1);
	assert_int_equal(add(&d, METRIC_STEPS, MONDAY + HOUR, HOUR, 400), 0);
	restore(&d, 300, 3, 1, STATE(OPEN), 1);
	restore(&d, 400, 3, 1, STATE(OPEN), 2);
	goal_book_settle(d.book);
	assert_null(next(&d, now)); /* said before */
	assert_int_equal(goal_book_next_due(d.book, now), MONDAY + DAY);
	assert_int_equal(add(&d, METRIC_STEPS, MONDAY + 2 * HOUR, HOUR, 1), 0);
	expect(next(&d, now), STATE(OPEN), RESULT(IN_PROGRESS), 401, 3);
	desk_close(&d);

	/* the store has dropped a reading since: what was said then stands */
	desk_open(&d, &goal, 1);
	assert_int_equal(add(&d, METRIC_STEPS, MONDAY + HOUR, HOUR, 400), 0);
	restore(&d, 900, 3, 2, STATE(OPEN), 2);
	goal_book_settle(d.book);
	assert_null(next(&d, now));
	desk_close(&d);

	/* a closed day keeps the version of the goal that it closed under */
	desk_open(&d, &goal, 1);
	assert_int_equal(add(&d, METRIC_STEPS, MONDAY + HOUR, HOUR, 400), 0);
	restore(&d, 300, 2, 1, STATE(CLOSED), 2);
	assert_null(next(&d, MONDAY + 9 * DAY));
	desk_close(&d);
}

static void test_restore_of_others(void **state)
{
	const struct goal goal = steps_goal(GOAL_WEEK, 1000);
	Wellgate__V1__GoalResult r = WELLGATE__V1__GOAL_RESULT__INIT;
	char id[] = "gone";
	struct desk d;

	(void)state;
	desk_open(&d, &goal, 1);
	assert_int_equal(goal_book_restore(d.book, &r), -ENOENT);
	r.goal_id = id;
	assert_int_equal(goal_book_restore(d.book, &r), -ENOENT);
	restore(&d, 300, 3, 1, STATE(OPEN), 9); /* of a day; the goal is weekly now */
	assert_int_equal(add(&d, METRIC_STEPS, MONDAY + HOUR, HOUR, 400), 0);
	expect(next(&d, MONDAY + 3 * HOUR), STATE(OPEN), RESULT(IN_PROGRESS), 400, 1);
	desk_close(&d);
	desk_open(&d, NULL, 0);
	assert_int_equal(goal_book_restore(d.book, &r), -ENOENT);
	assert_int_equal(goal_book_next_due(d.book, MONDAY), -1);
	assert_null(next(&d, MONDAY));
	desk_close(&d);
}

static void test_flags_that_count(void **state)
{
	static const unsigned int harmless[] = { FLAG_IRREGULAR_PULSE, FLAG_SOFT_RANGE, FLAG_LATE,
						 FLAG_UNIT_CONVERTED, FLAG_MOVEMENT };
	static const unsigned int harmful[] = { FLAG_HARD_RANGE,     FLAG_INCONSISTENT,
						FLAG_TIME_UNCERTAIN, FLAG_QUESTIONABLE,
						FLAG_TEST,           FLAG_DEVICE_FAULT,
						FLAG_ONGOING,        60 };
	struct goal goal = measure_goal(METRIC_BLOOD_PRESSURE, GOAL_WEEK, 2);
	struct made m;
	struct desk d;

	(void)state;
	desk_open(&d, &goal, 1);
	make(&m, METRIC_BLOOD_PRESSURE, MONDAY, 0, 120);
	m.component.metric =
		(Wellgate__V1__Metric)METRIC_SYSTOLIC; /* a panel: any number will do */
	assert_int_equal(tag(&d, &m), 1);
	assert_string_equal(m.r.goals[0], "measure");
	m.r.n_flags = 1;
	for (size_t i = 0; i < N(harmless); i++) {
		m.flag = (Wellgate__V1__Flag)harmless[i];
		assert_int_equal(tag(&d, &m), 1);
	}
	for (size_t i = 0; i < N(harmful); i++) {
		m.flag = (Wellgate__V1__Flag)harmful[i];
		assert_int_equal(tag(&d, &m), 0);
	}
	goal_book_set_test(d.book, true);
	m.flag = (Wellgate__V1__Flag)FLAG_TEST;
	assert_int_equal(tag(&d, &m), 1);
	desk_close(&d);
}

static void test_clocks_that_count(void **state)
{
	static const struct {
		Wellgate__V1__ClockQuality clock;
		int64_t age;
		size_t counts;
	} clocks[] = {
		{ WELLGATE__V1__CLOCK_QUALITY__CLOCK_HUB_SYNCED, 0, 1 },
		{ WELLGATE__V1__CLOCK_QUALITY__CLOCK_DEVICE_CORRECTED, DAY, 1 },
		{ WELLGATE__V1__CLOCK_QUALITY__CLOCK_DEVICE_TRUSTED, 35 * DAY, 1 },
		{ WELLGATE__V1__CLOCK_QUALITY__CLOCK_DEVICE_TRUSTED, 35 * DAY + 1, 0 },
		{ WELLGATE__V1__CLOCK_QUALITY__CLOCK_DEVICE_UNVERIFIED, 15 * MINUTE, 1 },
		{ WELLGATE__V1__CLOCK_QUALITY__CLOCK_DEVICE_UNVERIFIED, 15 * MINUTE + 1, 0 },
		{ WELLGATE__V1__CLOCK_QUALITY__CLOCK_RECEIPT_UNSYNCED, 0, 0 },
		{ WELLGATE__V1__CLOCK_QUALITY__CLOCK_UNKNOWN, 0, 0 },
		{ (Wellgate__V1__ClockQuality)99, 0, 0 },
	};
	struct goal goal = measure_goal(METRIC_BLOOD_PRESSURE, GOAL_WEEK, 2);
	struct made m;
	struct desk d;

	(void)state;
	desk_open(&d, &goal, 1);
	make(&m, METRIC_BLOOD_PRESSURE, MONDAY, 0, 120);
	for (size_t i = 0; i < N(clocks); i++) {
		m.r.clock = clocks[i].clock;
		m.r.received_at_ms = m.r.measured_at_ms + clocks[i].age;
		assert_int_equal(tag(&d, &m), clocks[i].counts);
	}
	desk_close(&d);
}

static void test_who_counts(void **state)
{
	struct goal goal = measure_goal(METRIC_BLOOD_PRESSURE, GOAL_WEEK, 2);
	struct made m;
	struct desk d;

	(void)state;
	memcpy(goal.subject, "subject-1", 10);
	desk_open(&d, &goal, 1);
	make(&m, METRIC_BLOOD_PRESSURE, MONDAY, 0, 120);
	assert_int_equal(tag(&d, &m), 1);
#define NOT(change)                                              \
	do {                                                     \
		make(&m, METRIC_BLOOD_PRESSURE, MONDAY, 0, 120); \
		change;                                          \
		assert_int_equal(tag(&d, &m), 0);                \
	} while (0)
	NOT(m.subject[0] = 'S');
	NOT(m.r.subject = NULL);
	NOT(m.r.attribution = NULL);
	NOT(m.attribution.confidence = WELLGATE__V1__CONFIDENCE__CONFIDENCE_SUGGESTED);
	NOT(m.r.has_measured_at_ms = false);
	NOT(m.component.value = NULL);
	NOT(m.value.exponent = 41);
	NOT(m.r.metric = m.component.metric = (Wellgate__V1__Metric)METRIC_PULSE);
#undef NOT
	desk_close(&d);
}

static void test_bad_books(void **state)
{
	struct goal goals[2] = { steps_goal(GOAL_DAY, 1), steps_goal(GOAL_WEEK, 1) };
	struct goal_book *book = NULL;

	(void)state;
	assert_int_equal(goal_book_new(goals, 2, "hub", 1, &book), -EINVAL); /* one id twice */
	goals[0].metric = METRIC_ENERGY;
	assert_int_equal(goal_book_new(goals, 1, "hub", 1, &book), -EINVAL);
	assert_null(book);
	goal_book_free(NULL);
}

/* ---- the book agrees with the specification */

static uint32_t dice(uint32_t *seed)
{
	*seed = *seed * 1664525 + 1013904223;
	return *seed >> 8;
}

static void random_reading(uint32_t *seed, enum metric metric, struct made *m)
{
	static const int64_t durations[] = { 0, MINUTE, 15 * MINUTE, HOUR, 3 * HOUR, 24 * HOUR };
	/* a month, the change of October in it, with many equal minutes */
	int64_t at = MONDAY - 50 * DAY + (int64_t)(dice(seed) % 8000) * 11 * MINUTE / 2;

	make(m, metric, at, durations[dice(seed) % 6], dice(seed) % 1000);
	m->digest[7] = (uint8_t)(dice(seed) % 3);
}

static struct goal_point point_of(const struct made *m)
{
	return (struct goal_point){ .at_ms = m->r.measured_at_ms,
				    .device = m->digest[7],
				    .mantissa = m->value.mantissa,
				    .duration_ms = (uint32_t)m->r.duration_ms,
				    .count = 1 };
}

static void agree(const struct goal *goal, uint32_t seed)
{
	enum {
		POINTS = 600
	};
	static struct goal_point points[POINTS];
	struct zone *zone = NULL;
	unsigned int seen = 0;
	struct desk d;

	desk_open(&d, goal, 1);
	assert_int_equal(zone_load(goal->time_zone, &zone), 0);
	for (size_t i = 0; i < POINTS; i++) {
		struct made m;

		random_reading(&seed, goal->metric, &m);
		points[i] = point_of(&m);
		assert_int_equal(tag(&d, &m), 1);
		if (dice(&seed) % 4 == 0) { /* a transaction that fails */
			assert_int_equal(goal_book_add(d.book, &m.r), 0);
			goal_book_undo(d.book);
		}
		assert_int_equal(goal_book_add(d.book, &m.r), 0);
		goal_book_settle(d.book);
	}
	qsort(points, POINTS, sizeof(points[0]), compare_points);
	for (int64_t at = MONDAY - 52 * DAY; at < MONDAY + 10 * DAY; at += 8 * HOUR) {
		Wellgate__V1__GoalResult *r = NULL;
		struct goal_progress expected;
		struct goal_span span;
		int64_t first;

		arena_reset(&d.arena);
		assert_int_equal(goal_book_current(d.book, 0, at, &d.arena, &r), 0);
		span = goal_span_of(goal, zone, at, &first);
		goal_evaluate(goal, zone, first, points, POINTS, &expected);
		assert_int_equal(r->period_start_ms, span.start_ms);
		assert_int_equal(r->readings, expected.readings);
		assert_value(&expected, r->progress->mantissa, r->progress->exponent);
		seen += expected.readings > 0;
	}
	assert_true(seen > 80);
	zone_free(zone);
	desk_close(&d);
}

static void test_book_agrees(void **state)
{
	const struct goal goals[] = {
		steps_goal(GOAL_DAY, 500),
		steps_goal(GOAL_WEEK, 5000),
		measure_goal(METRIC_HEART_RATE, GOAL_DAY, 3),
		measure_goal(METRIC_HEART_RATE, GOAL_WEEK, 3),
	};

	(void)state;
	for (size_t i = 0; i < N(goals); i++) {
		for (uint32_t seed = 1; seed <= 5; seed++)
			agree(&goals[i], seed);
	}
}

/* ---- and is bounded, in time and in memory */

static int64_t clock_us(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return t.tv_sec * INT64_C(1000000) + t.tv_nsec / 1000;
}

/* adds n readings, each in a commit of its own; microseconds of processor time */
static int64_t commits(struct desk *d, const struct goal *goal, int64_t from, int64_t n)
{
	const bool weight = goal->rule == GOAL_TREND;
	int64_t start = clock_us();

	for (int64_t i = from; i < from + n; i++) {
		int64_t at = MONDAY + i * MINUTE;
		Wellgate__V1__GoalResult *r;

		if (weight)
			assert_int_equal(add(d, METRIC_BODY_WEIGHT, at, 0, 70 + i % 3), 0);
		else
			assert_int_equal(add(d, METRIC_STEPS, at, MINUTE, 10), 0);
		arena_reset(&d->arena);
		while (goal_book_next_result(d->book, at + MINUTE, &d->arena, &r) == 1)
			arena_reset(&d->arena);
		goal_book_settle(d->book);
	}
	return clock_us() - start;
}

static void cheap(const struct goal *goal)
{
	int64_t first, last;
	struct desk d;

	desk_open(&d, goal, 1);
	(void)commits(&d, goal, 0, 100);
	first = commits(&d, goal, 100, 500);
	(void)commits(&d, goal, 600, 8900);
	last = commits(&d, goal, 9500, 500);
	print_message("rule %d, 500 commits: %lld us at first, %lld us after 9,500 readings\n",
		      (int)goal->rule, (long long)first, (long long)last);
	assert_true(last < first * 10 + 1000);
	desk_close(&d);
}

/* A commit after 9,000 readings of a week costs what one costs at its beginning: a linear one would
 * cost hundreds of times as much, so a factor of 10 leaves room for a busy machine. */
static void test_commit_is_cheap(void **state)
{
	struct goal sum = steps_goal(GOAL_WEEK, 10000), mean = sum, trend = sum;

	(void)state;
	cheap(&sum);
	mean.rule = GOAL_MEAN_PER_PERIOD;
	cheap(&mean);
	trend.rule = GOAL_TREND;
	trend.metric = METRIC_BODY_WEIGHT;
	trend.target.mantissa = 0;
	trend.direction = GOAL_STEADY;
	trend.agreed_by = GOAL_AGREED_BY_PROFESSIONAL;
	cheap(&trend);
}

static void test_memory_is_bounded(void **state)
{
	const struct goal goal = steps_goal(GOAL_WEEK, 10000);
	unsigned int refused = 0;
	struct desk d;

	(void)state;
	desk_open(&d, &goal, 1);
	for (int64_t i = 0; i < 100000; i++) {
		int r = add(&d, METRIC_STEPS, MONDAY + i * 1000, 1000, 1);

		assert_true(r == 0 || r == -ENOBUFS);
		refused += r == -ENOBUFS;
	}
	assert_int_equal(refused, 100000 - 98304);
	goal_book_settle(d.book); /* the running period is never dropped */
	assert_int_equal(next(&d, MONDAY + 2 * DAY)->progress->mantissa, 98304);
	desk_close(&d);

	/* measuring is by the minute: a week of heart rates is 10,080 points at most */
	{
		const struct goal measure = measure_goal(METRIC_HEART_RATE, GOAL_WEEK, 7);

		desk_open(&d, &measure, 1);
		for (int64_t i = 0; i < 200000; i++)
			assert_int_equal(add(&d, METRIC_HEART_RATE, MONDAY + i * 1000, 0, 60), 0);
		assert_int_equal(next(&d, MONDAY + 3 * DAY)->readings, 200000);
		desk_close(&d);
	}
}

/* old periods go, and are not begun anew from half their readings */
static void test_old_periods_go(void **state)
{
	const struct goal goal = steps_goal(GOAL_DAY, 10000);
	Wellgate__V1__GoalResult *r;
	struct desk d;

	(void)state;
	desk_open(&d, &goal, 1);
	for (int64_t day = 0; day < 100; day++) {
		assert_int_equal(add(&d, METRIC_STEPS, MONDAY + day * DAY + 12 * HOUR, HOUR, 100),
				 0);
		do
			arena_reset(&d.arena);
		while (goal_book_next_result(d.book, MONDAY + (day + 1) * DAY - 1, &d.arena, &r) ==
		       1);
		goal_book_settle(d.book);
	}
	assert_int_equal(add(&d, METRIC_STEPS, MONDAY + 13 * HOUR, HOUR, 1), 0);
	assert_null(next(&d, MONDAY + 100 * DAY - 1));
	assert_int_equal(add(&d, METRIC_STEPS, MONDAY + 60 * DAY + 13 * HOUR, HOUR, 1), 0);
	assert_int_equal(next(&d, MONDAY + 100 * DAY - 1)->progress->mantissa, 101);
	desk_close(&d);
}

static void test_clock_set_back(void **state)
{
	const struct goal goal = steps_goal(GOAL_DAY, 1000);
	struct desk d;

	(void)state;
	desk_open(&d, &goal, 1);
	assert_int_equal(add(&d, METRIC_STEPS, MONDAY + HOUR, HOUR, 400), 0);
	expect(next(&d, MONDAY + 900 * DAY), STATE(CLOSED), RESULT(IN_PROGRESS), 400, 1);
	expect(next(&d, MONDAY + 3 * HOUR), STATE(OPEN), RESULT(IN_PROGRESS), 400, 2);
	desk_close(&d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_check_rules),
		cmocka_unit_test(test_check_fields),
		cmocka_unit_test(test_check_refuses),
		cmocka_unit_test(test_sums),
		cmocka_unit_test(test_total_after_a_split),
		cmocka_unit_test(test_boundaries),
		cmocka_unit_test(test_occasions),
		cmocka_unit_test(test_states),
		cmocka_unit_test(test_a_week),
		cmocka_unit_test(test_current),
		cmocka_unit_test(test_undo),
		cmocka_unit_test(test_undo_of_occasions),
		cmocka_unit_test(test_two_results_at_once),
		cmocka_unit_test(test_restore),
		cmocka_unit_test(test_restore_of_others),
		cmocka_unit_test(test_flags_that_count),
		cmocka_unit_test(test_clocks_that_count),
		cmocka_unit_test(test_who_counts),
		cmocka_unit_test(test_bad_books),
		cmocka_unit_test(test_book_agrees),
		cmocka_unit_test(test_commit_is_cheap),
		cmocka_unit_test(test_memory_is_bounded),
		cmocka_unit_test(test_old_periods_go),
		cmocka_unit_test(test_clock_set_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
