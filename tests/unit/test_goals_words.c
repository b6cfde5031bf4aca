/* links: gateway_goals gateway_base */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "gateway/goals/goals.h"
#include "gateway/text.h"

/* "down" is what a trend may say; all else as in test_wording.c */
static const char *const never[] = { "fail",   "miss",    "only",   "should",  "must",   "behind",
				     "crush",  "streak",  "rank",   "better",  "worse",  "forgot",
				     "forget", "bad",     "lazy",   "lost",    "lose",   "danger",
				     "normal", "alarm",   "target", "record",  "beat",   "others",
				     "still",  "average", "!",      "not met", "enough", "fat",
				     "calor",  "try",     "harder", "improve" };

static void lint(const struct goal *goal, const char *words)
{
	size_t len = strlen(words);

	assert_true(text_is_clean(words));
	assert_in_range(len, 10, 79);
	assert_true(isupper((unsigned char)words[0]));
	assert_int_equal(words[len - 1], '.');
	assert_null(strchr(words, '%'));
	for (size_t i = 0; i < sizeof(never) / sizeof(never[0]); i++) {
		if (strcasestr(words, never[i]))
			fail_msg("\"%s\" says \"%s\"", words, never[i]);
	}
	if (goal->metric == METRIC_BODY_WEIGHT || goal->metric == METRIC_SLEEP_DURATION)
		assert_null(strpbrk(words, "0123456789"));
	if (goal->rule == GOAL_TREND && !goal->show_weight) {
		assert_null(strstr(words, "going"));
		assert_null(strstr(words, "steady"));
	}
}

static void test_everything_that_can_be_said(void **state)
{
	static const struct decimal progress[] = { { 0, 0 },          { 1, 0 },
						   { 3, 0 },          { 49998, -1 },
						   { -2800, -3 },     { INT64_MAX, 0 },
						   { INT64_MIN, -18 } };
	static const struct {
		enum metric metric;
		enum goal_rule rule;
	} kinds[] = {
		{ METRIC_STEPS, GOAL_COUNT_DAYS },
		{ METRIC_DISTANCE, GOAL_COUNT_DAYS },
		{ METRIC_FLOORS, GOAL_COUNT_DAYS },
		{ METRIC_ACTIVE_MINUTES, GOAL_COUNT_DAYS },
		{ METRIC_ACTIVE_ZONE_MINUTES, GOAL_MEAN_PER_PERIOD },
		{ METRIC_EXERCISE_DURATION, GOAL_MEAN_PER_PERIOD },
		{ METRIC_STEPS, GOAL_MEAN_PER_PERIOD },
		{ METRIC_SLEEP_DURATION, GOAL_MEAN_PER_PERIOD },
		{ METRIC_SLEEP_DURATION, GOAL_NIGHTS_MEETING },
		{ METRIC_BODY_WEIGHT, GOAL_TREND },
	};
	char words[GOAL_WORDS_MAX];

	(void)state;
	for (unsigned int i = 0; i < 10 * 7 * 2 * 4 * 4; i++) {
		struct goal goal = { .metric = kinds[i % 10].metric,
				     .rule = kinds[i % 10].rule,
				     .period = GOAL_WEEK,
				     .show_weight = i / 70 % 2 };

		goal_words(&goal, (enum goal_state)(i / 140 % 4 + 1),
			   (enum goal_outcome)(i / 560 % 4 + 1), progress[i / 10 % 7], words);
		lint(&goal, words);
	}
}

static void say(const struct goal *goal, enum goal_state state, enum goal_outcome outcome,
		struct decimal progress, const char *expected)
{
	char words[GOAL_WORDS_MAX];

	goal_words(goal, state, outcome, progress, words);
	assert_string_equal(words, expected);
}

static void test_days(void **state)
{
	struct goal goal = { .metric = METRIC_STEPS, .rule = GOAL_COUNT_DAYS, .period = GOAL_WEEK };
	struct decimal none = { 0, 0 }, one = { 1, 0 }, three = { 3, 0 };

	(void)state;
	say(&goal, GOAL_OPEN, GOAL_IN_PROGRESS, three, "You walked on 3 days this week.");
	say(&goal, GOAL_CLOSED, GOAL_IN_PROGRESS, one, "You walked on one day that week.");
	say(&goal, GOAL_OPEN, GOAL_IN_PROGRESS, none, "Your readings came in this week.");
	say(&goal, GOAL_CLOSED, GOAL_NOT_ENOUGH_DATA, one, "A few readings came in. That is fine.");
	say(&goal, GOAL_OPEN, GOAL_MET, three, "You reached your walking goal this week.");
	goal.rule = GOAL_MEAN_PER_PERIOD;
	say(&goal, GOAL_CLOSED, GOAL_IN_PROGRESS, (struct decimal){ 49998, -1 },
	    "You walked 5000 steps a day that week.");
}

static void test_weight(void **state)
{
	struct goal goal = { .metric = METRIC_BODY_WEIGHT,
			     .rule = GOAL_TREND,
			     .period = GOAL_WEEK };
	struct decimal loss = { -2800, -3 };

	(void)state;
	say(&goal, GOAL_CLOSED, GOAL_MET, loss, "Weigh-in saved.");
	say(&goal, GOAL_CLOSED, GOAL_NO_DATA, loss, "No readings came in. That is fine.");
	goal.show_weight = true;
	say(&goal, GOAL_CLOSED, GOAL_MET, loss, "Your weight is going down slowly.");
	say(&goal, GOAL_CLOSED, GOAL_IN_PROGRESS, loss, "Your weight is going down slowly.");
	say(&goal, GOAL_CLOSED, GOAL_NOT_ENOUGH_DATA, loss, "Weigh-in saved.");
	say(&goal, GOAL_OPEN, GOAL_IN_PROGRESS, loss, "Weigh-in saved.");
	loss.mantissa = -4001;
	say(&goal, GOAL_CLOSED, GOAL_MET, loss, "Your weight is going down.");
	loss.mantissa = 1001;
	say(&goal, GOAL_CLOSED, GOAL_MET, loss, "Your weight is going up slowly.");
	loss.mantissa = 1000;
	say(&goal, GOAL_CLOSED, GOAL_MET, loss, "Your weight is steady.");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_everything_that_can_be_said),
		cmocka_unit_test(test_days),
		cmocka_unit_test(test_weight),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
