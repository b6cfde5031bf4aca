/* links: gateway_goals gateway_base */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "gateway/goals/agreed.h"
#include "gateway/goals/message.h"
#include "goals_make.h"

static struct goal walk(const char *subject, uint32_t version, int64_t starts_on)
{
	struct goal g = { .id = "walk",
			  .title = "Walk",
			  .version = version,
			  .metric = METRIC_STEPS,
			  .rule = GOAL_SUM_PER_PERIOD,
			  .period = GOAL_WEEK,
			  .target = { INT64_C(1000) * version, 0 },
			  .week_start = 1,
			  .starts_on = starts_on,
			  .time_zone = "Europe/London" };

	(void)snprintf(g.subject, sizeof(g.subject), "%s", subject);
	return g;
}

static int change(struct goal_agreed *a, int kind, const struct goal *goal)
{
	Wellgate__V1__GoalChange m = WELLGATE__V1__GOAL_CHANGE__INIT;
	const char *problem = NULL;
	struct arena arena;
	int r;

	assert_int_equal(arena_init(&arena, 16384), 0);
	m.has_kind = true;
	m.kind = (Wellgate__V1__GoalChange__Kind)kind;
	assert_int_equal(goal_to_message(goal, &arena, &m.goal), 0);
	r = goal_agreed_change(a, &m, &problem);
	assert_true((r == 0) == (problem == NULL));
	arena_finish(&arena);
	return r;
}

#define SET  WELLGATE__V1__GOAL_CHANGE__KIND__KIND_SET
#define STOP WELLGATE__V1__GOAL_CHANGE__KIND__KIND_STOP

static size_t count(const struct goal_agreed *a)
{
	size_t n;

	(void)goal_agreed_goals(a, &n);
	return n;
}

static void test_changes(void **state)
{
	const struct goal fixed = walk("", 1, INT64_MIN);
	struct goal a1 = walk("a", 1, INT64_MIN), a2 = walk("a", 2, 20800),
		    b1 = walk("b", 1, 20000);
	struct goal_agreed *a;

	(void)state;
	assert_int_equal(goal_agreed_new(&fixed, 1, true, &a), 0);
	assert_int_equal(change(a, SET, &fixed), -EPERM);
	assert_int_equal(change(a, STOP, &fixed), -EPERM);
	assert_int_equal(change(a, STOP, &a1), -ENOENT);
	assert_int_equal(change(a, SET, &a1), 0);
	assert_int_equal(change(a, SET, &a2), 0);
	assert_int_equal(change(a, SET, &b1), 0);
	assert_int_equal(count(a), 4);
	/* pauses and words may be added to a version; its numbers may not be changed */
	a2.n_pauses = 1;
	a2.pauses[0] = (struct goal_pause){ 20801, 20803 };
	assert_int_equal(change(a, SET, &a2), 0);
	assert_int_equal(count(a), 4);
	assert_int_equal(goal_agreed_goals(a, &(size_t){ 0 })[2].n_pauses, 1);
	assert_true(goal_agreed_goals(a, &(size_t){ 0 })[2].average);
	a2.target.mantissa++;
	assert_int_equal(change(a, SET, &a2), -EINVAL);
	/* a version that starts before the one it follows */
	a2 = walk("a", 3, 20700);
	assert_int_equal(change(a, SET, &a2), -EINVAL);
	/* nor one that may not be set at all */
	b1.id[0] = 'x';
	b1.metric = METRIC_ENERGY;
	assert_int_equal(change(a, SET, &b1), -EINVAL);
	assert_int_equal(count(a), 4);
	assert_int_equal(change(a, STOP, &a1), 0);
	assert_int_equal(count(a), 2);
	goal_agreed_forget(a, "b");
	assert_int_equal(count(a), 1);
	goal_agreed_forget(a, "");
	assert_int_equal(count(a), 1);
	goal_agreed_free(a);
}

static void test_full(void **state)
{
	struct goal g = walk("a", 1, INT64_MIN);
	struct goal_agreed *a;

	(void)state;
	assert_int_equal(goal_agreed_new(NULL, 0, false, &a), 0);
	for (int i = 0; i < GOAL_AGREED_MAX; i++) {
		(void)snprintf(g.id, sizeof(g.id), "walk-%d", i);
		assert_int_equal(change(a, SET, &g), 0);
	}
	memcpy(g.id, "more", 5);
	assert_int_equal(change(a, SET, &g), -ENOSPC);
	goal_agreed_free(a);
}

/* other goals, the same readings added again: as if they had always been these */
static void test_book_changes(void **state)
{
	struct goal goals[2] = { walk("", 1, INT64_MIN), walk("", 1, INT64_MIN) };
	Wellgate__V1__GoalResult *r = NULL;
	struct goal_book *book;
	struct arena arena;
	struct made m;
	size_t n;

	(void)state;
	memcpy(goals[1].id, "more", 5);
	assert_int_equal(arena_init(&arena, 65536), 0);
	assert_int_equal(goal_book_new(goals, 1, "hub", 1, &book), 0);
	assert_int_equal(goal_book_change(book, goals, 2), 0);
	make(&m, METRIC_STEPS, MONDAY + HOUR, HOUR, 700);
	assert_int_equal(goal_book_tag(book, &m.r, &arena), 0);
	assert_int_equal(m.r.n_goals, 2);
	assert_int_equal(goal_book_add(book, &m.r), 0);
	(void)goal_book_goals(book, &n);
	assert_int_equal(n, 2);
	assert_int_equal(goal_book_current(book, 1, MONDAY + DAY, &arena, &r), 0);
	assert_int_equal(r->progress->mantissa, 700);
	assert_string_equal(r->hub, "hub");
	goals[0].metric = METRIC_ENERGY;
	assert_int_equal(goal_book_change(book, goals, 2), -EINVAL);
	(void)goal_book_goals(book, &n);
	assert_int_equal(n, 2);
	goal_book_free(book);
	arena_finish(&arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_changes),
		cmocka_unit_test(test_full),
		cmocka_unit_test(test_book_changes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
