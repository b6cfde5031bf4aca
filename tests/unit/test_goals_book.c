/* links: gateway_goals gateway_base */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>

#include "goals_make.h"

#define WEEK          (7 * DAY)
#define FIRST_DAY     (MONDAY / DAY)
#define STATE(x)      WELLGATE__V1__GOAL_RESULT__STATE__STATE_##x
#define RESULT(x)     WELLGATE__V1__GOAL_RESULT__OUTCOME__OUTCOME_##x
#define REASON(x)     WELLGATE__V1__GOAL_RESULT__REASON__REASON_##x
#define ACHIEVED(x)   WELLGATE__V1__GOAL_RESULT__ACHIEVEMENT__ACHIEVEMENT_##x
#define NEVER_STARTED INT64_MIN

static struct goal walk(int64_t target)
{
	return (struct goal){ .id = "walk",
			      .title = "Walk",
			      .subject = "subject-1",
			      .version = 1,
			      .metric = METRIC_STEPS,
			      .rule = GOAL_SUM_PER_PERIOD,
			      .period = GOAL_WEEK,
			      .target = { target, 0 },
			      .week_start = 1,
			      .starts_on = NEVER_STARTED,
			      .time_zone = "Europe/London" };
}

struct desk {
	struct goal_book *book;
	struct arena arena, scratch;
};

static void desk_open(struct desk *d, const struct goal *goals, size_t n)
{
	assert_int_equal(goal_book_new(goals, n, "hub", 1, &d->book), 0);
	assert_int_equal(arena_init(&d->arena, 65536), 0);
	assert_int_equal(arena_init(&d->scratch, 65536), 0);
}

static void desk_close(struct desk *d)
{
	goal_book_free(d->book);
	arena_finish(&d->arena);
	arena_finish(&d->scratch);
}

static void change(struct desk *d, int64_t at_ms, int64_t steps, bool remove)
{
	struct made m;

	make(&m, METRIC_STEPS, at_ms, HOUR, steps);
	arena_reset(&d->scratch);
	assert_int_equal(goal_book_tag(d->book, &m.r, &d->scratch), 0);
	assert_int_equal(m.r.n_goals, 1);
	assert_int_equal(remove ? goal_book_remove(d->book, &m.r) : goal_book_add(d->book, &m.r),
			 0);
}

/* the last of what is new */
static Wellgate__V1__GoalResult *last(struct desk *d, int64_t now_ms, unsigned int expected)
{
	Wellgate__V1__GoalResult *r = NULL;

	for (unsigned int i = 0; i < expected; i++) {
		arena_reset(&d->arena);
		assert_int_equal(goal_book_next_result(d->book, now_ms, &d->arena, &r), 1);
	}
	{
		Wellgate__V1__GoalResult *more;

		assert_int_equal(goal_book_next_result(d->book, now_ms, &d->scratch, &more), 0);
	}
	return r;
}

static Wellgate__V1__GoalResult *at(struct desk *d, int64_t at_ms, int64_t now_ms)
{
	Wellgate__V1__GoalResult *r = NULL;

	arena_reset(&d->arena);
	assert_int_equal(goal_book_result_at(d->book, 0, at_ms, now_ms, &d->arena, &r), 0);
	return r;
}

/* the running week is closed by the version that it began under */
static void test_versions(void **state)
{
	struct goal goals[2] = { walk(800), walk(1000) };
	const struct goal *latest;
	struct desk d;
	size_t n;

	(void)state;
	goals[0].version = 2;
	goals[0].starts_on = FIRST_DAY + 2;
	goals[1].version = 1;
	desk_open(&d, goals, 2);
	latest = goal_book_goals(d.book, &n);
	assert_int_equal(n, 1);
	assert_int_equal(latest[0].version, 2);
	change(&d, MONDAY + HOUR, 900, false);
	change(&d, MONDAY + WEEK, 900, false);
	assert_int_equal(at(&d, MONDAY, MONDAY + 3 * DAY)->goal_version, 1);
	assert_int_equal(at(&d, MONDAY, MONDAY + 3 * DAY)->outcome, RESULT(IN_PROGRESS));
	assert_int_equal(at(&d, MONDAY + WEEK, MONDAY + 8 * DAY)->goal_version, 2);
	assert_int_equal(at(&d, MONDAY + WEEK, MONDAY + 8 * DAY)->outcome, RESULT(MET));
	desk_close(&d);
	/* from the very day that a week starts */
	goals[0].starts_on = FIRST_DAY;
	desk_open(&d, goals, 2);
	assert_int_equal(at(&d, MONDAY, MONDAY)->goal_version, 2);
	assert_int_equal(at(&d, MONDAY - DAY, MONDAY)->goal_version, 1);
	desk_close(&d);
	goals[0].metric = METRIC_FLOORS;
	assert_int_equal(goal_book_new(goals, 2, "hub", 1, &d.book), -EINVAL);
}

static void test_reasons(void **state)
{
	struct goal goal = walk(1000);
	Wellgate__V1__GoalResult *r;
	struct desk d;

	(void)state;
	desk_open(&d, &goal, 1);
	change(&d, MONDAY + HOUR, 400, false);
	assert_int_equal(last(&d, MONDAY + DAY, 1)->reason, REASON(READINGS));
	r = last(&d, MONDAY + WEEK, 1);
	assert_int_equal(r->reason, REASON(TIME));
	assert_int_equal(r->state, STATE(PROVISIONAL));
	assert_int_equal(last(&d, MONDAY + WEEK + GOAL_GRACE_MS, 1)->reason, REASON(TIME));
	change(&d, MONDAY + DAY, 700, false);
	r = last(&d, MONDAY + 20 * DAY, 1);
	assert_int_equal(r->reason, REASON(LATE_DATA));
	assert_int_equal(r->outcome, RESULT(MET));
	assert_int_equal(r->revision, 4);
	goal_book_settle(d.book);
	/* What was reached is taken back: the record hears of it, the person does not. */
	change(&d, MONDAY + DAY, 700, true);
	r = last(&d, MONDAY + 20 * DAY, 1);
	assert_int_equal(r->reason, REASON(CORRECTION));
	assert_int_equal(r->outcome, RESULT(IN_PROGRESS));
	assert_null(r->words);
	assert_string_equal(at(&d, MONDAY, MONDAY + 20 * DAY)->words,
			    "You walked 400 steps that week.");
	goal_book_undo(d.book);
	last(&d, MONDAY + 20 * DAY, 0);
	change(&d, MONDAY + 2 * DAY, 1, false);
	assert_int_equal(last(&d, MONDAY + 20 * DAY, 1)->reason, REASON(LATE_DATA));
	change(&d, MONDAY + 3 * DAY, 1, true); /* never was added */
	last(&d, MONDAY + 20 * DAY, 0);
	desk_close(&d);
}

/* 4 of the last 6; a week that rests is not one of them */
static void test_sustaining(void **state)
{
	struct goal goal = walk(1000);
	struct desk d;

	(void)state;
	goal.n_pauses = 1;
	goal.pauses[0] = (struct goal_pause){ FIRST_DAY + 14, FIRST_DAY + 21 };
	desk_open(&d, &goal, 1);
	for (int64_t week = 0; week < 9; week++) {
		/* reached, reached, rests, reached, not, not, reached, not, reached */
		bool reached = 0x14b >> week & 1;

		if (week != 2)
			change(&d, MONDAY + week * WEEK, reached ? 1000 : 10, false);
	}
#define AFTER(week) at(&d, MONDAY + (week)*WEEK, MONDAY + 100 * DAY)
	assert_int_equal(AFTER(0)->achievement, ACHIEVED(ACHIEVED));
	assert_int_equal(AFTER(1)->achievement, ACHIEVED(ACHIEVED));
	assert_int_equal(AFTER(2)->state, STATE(PAUSED));
	assert_string_equal(AFTER(2)->words, "Goal resting. Start again when you want.");
	assert_int_equal(AFTER(3)->achievement, ACHIEVED(ACHIEVED));
	assert_int_equal(AFTER(4)->has_achievement, false);
	assert_int_equal(AFTER(6)->achievement, ACHIEVED(SUSTAINING)); /* 0 1 3 6 of 0 1 3 4 5 6 */
	assert_int_equal(AFTER(8)->achievement, ACHIEVED(ACHIEVED));   /* 3 6 8 of 3 to 8 */
#undef AFTER
	desk_close(&d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_versions),
		cmocka_unit_test(test_reasons),
		cmocka_unit_test(test_sustaining),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
