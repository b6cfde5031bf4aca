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

/* domain.md 2.4, "never say", and their like */
static const char *const never[] = {
	"fail",   "miss",   "only",  "should", "must",    "behind", "crush",   "streak",
	"rank",   "better", "worse", "forgot", "forget",  "cheat",  "bad",     "lazy",
	"lost",   "lose",   "high",  "low",    "danger",  "normal", "alarm",   "warning",
	"target", "record", "beat",  "others", "average", "!",      "not met", "still",
	"fat",    "calor",  "red",   "green",  "try",     "harder", "down",    "improve",
};

static struct goal make(enum metric metric, enum goal_rule rule, enum goal_period period)
{
	return (struct goal){
		.metric = metric, .rule = rule, .period = period, .target = { 5000, 0 }
	};
}

/* `no` starts a word in `text` */
static bool says(const char *text, const char *no)
{
	for (const char *p = text; *p; p++) {
		if ((p == text || !isalpha((unsigned char)p[-1]) || !isalpha((unsigned char)*no)) &&
		    strncasecmp(p, no, strlen(no)) == 0)
			return true;
	}
	return false;
}

static void lint(const struct goal *goal, const char *words)
{
	const struct metric_info *info = metric_info(goal->metric);
	size_t len = strlen(words);

	assert_true(text_is_clean(words));
	assert_in_range(len, 10, 79); /* whole sentences that fit a small screen */
	assert_true(isupper((unsigned char)words[0]));
	assert_int_equal(words[len - 1], '.');
	assert_null(strchr(words, '%'));
	for (size_t i = 0; i < sizeof(never) / sizeof(never[0]); i++) {
		if (says(words, never[i]))
			fail_msg("\"%s\" says \"%s\"", words, never[i]);
	}
	/* blind weight; and a night's number is nobody's business in the morning */
	if (info && (info->group == GROUP_WEIGHT || info->group == GROUP_SLEEP))
		assert_null(strpbrk(words, "0123456789"));
}

static void test_everything_that_can_be_said(void **state)
{
	static const struct decimal progress[] = { { 0, 0 },          { 1, 0 },    { 10, -1 },
						   { 4210, 0 },       { 740, -1 }, { INT64_MAX, 0 },
						   { INT64_MIN, -18 } };
	static const enum goal_rule rules[] = { GOAL_SUM_PER_PERIOD,  GOAL_COUNT_DAYS,
						GOAL_MEAN_PER_PERIOD, GOAL_NIGHTS_MEETING,
						GOAL_TREND,           GOAL_MEASURE_REGULARLY };
	char words[GOAL_WORDS_MAX];
	unsigned int n = 0;

	(void)state;
	for (unsigned int i = 0; i < METRIC_END * 6 * 2 * 4 * 4 * 7; i++) {
		unsigned int rest = i;
		struct goal goal;

		goal = make((enum metric)(rest % METRIC_END), rules[rest / METRIC_END % 6],
			    GOAL_DAY);
		rest /= METRIC_END * 6;
		goal.period = rest % 2 ? GOAL_DAY : GOAL_WEEK;
		rest /= 2;
		goal_words(&goal, (enum goal_state)(rest % 4 + 1),
			   (enum goal_outcome)(rest / 4 % 4 + 1), progress[rest / 16 % 7], words);
		lint(&goal, words);
		n++;
	}
	assert_true(n > 10000);
}

static void test_the_table(void **state)
{
	static const struct {
		enum metric metric;
		enum goal_rule rule;
		enum goal_period period;
		enum goal_state state;
		enum goal_outcome outcome;
		int64_t progress;
		const char *words;
	} rows[] = {
		{ METRIC_STEPS, GOAL_SUM_PER_PERIOD, GOAL_WEEK, GOAL_OPEN, GOAL_MET, 9000,
		  "You reached your walking goal this week." },
		{ METRIC_STEPS, GOAL_SUM_PER_PERIOD, GOAL_DAY, GOAL_OPEN, GOAL_MET, 9000,
		  "You reached your walking goal today." },
		{ METRIC_STEPS, GOAL_SUM_PER_PERIOD, GOAL_WEEK, GOAL_CLOSED, GOAL_MET, 9000,
		  "You reached your walking goal that week." },
		{ METRIC_STEPS, GOAL_SUM_PER_PERIOD, GOAL_WEEK, GOAL_OPEN, GOAL_IN_PROGRESS, 4210,
		  "You walked 4210 steps this week." },
		{ METRIC_STEPS, GOAL_SUM_PER_PERIOD, GOAL_WEEK, GOAL_CLOSED, GOAL_IN_PROGRESS, 4210,
		  "You walked 4210 steps that week." },
		{ METRIC_STEPS, GOAL_SUM_PER_PERIOD, GOAL_WEEK, GOAL_OPEN, GOAL_NO_DATA, 0,
		  "No readings yet. That is fine." },
		{ METRIC_STEPS, GOAL_SUM_PER_PERIOD, GOAL_WEEK, GOAL_CLOSED, GOAL_NO_DATA, 0,
		  "No readings came in. That is fine." },
		{ METRIC_STEPS, GOAL_SUM_PER_PERIOD, GOAL_WEEK, GOAL_PAUSED, GOAL_MET, 9000,
		  "Goal resting. Start again when you want." },
		{ METRIC_BODY_WEIGHT, GOAL_MEASURE_REGULARLY, GOAL_WEEK, GOAL_OPEN,
		  GOAL_IN_PROGRESS, 1, "Weigh-in saved." },
		{ METRIC_BODY_WEIGHT, GOAL_MEASURE_REGULARLY, GOAL_WEEK, GOAL_OPEN, GOAL_MET, 2,
		  "You reached your weigh-in goal this week." },
		{ METRIC_BLOOD_PRESSURE, GOAL_MEASURE_REGULARLY, GOAL_DAY, GOAL_OPEN,
		  GOAL_IN_PROGRESS, 1, "You took your blood pressure once today." },
		{ METRIC_BLOOD_PRESSURE, GOAL_MEASURE_REGULARLY, GOAL_DAY, GOAL_PROVISIONAL,
		  GOAL_IN_PROGRESS, 2, "You took your blood pressure 2 times that day." },
		{ METRIC_SLEEP_DURATION, GOAL_SUM_PER_PERIOD, GOAL_WEEK, GOAL_OPEN,
		  GOAL_IN_PROGRESS, 420, "Sleep saved." },
		{ METRIC_STEPS, GOAL_COUNT_DAYS, GOAL_WEEK, GOAL_OPEN, GOAL_IN_PROGRESS, 3,
		  "You walked on 3 days this week." },
		{ METRIC_DISTANCE, GOAL_COUNT_DAYS, GOAL_WEEK, GOAL_CLOSED, GOAL_IN_PROGRESS, 1,
		  "You got about on one day that week." },
		{ METRIC_STEPS, GOAL_COUNT_DAYS, GOAL_WEEK, GOAL_OPEN, GOAL_IN_PROGRESS, 0,
		  "Your readings came in this week." },
		{ METRIC_STEPS, GOAL_MEAN_PER_PERIOD, GOAL_WEEK, GOAL_CLOSED, GOAL_IN_PROGRESS,
		  4210, "You walked 4210 steps a day that week." },
		{ METRIC_STEPS, GOAL_COUNT_DAYS, GOAL_WEEK, GOAL_CLOSED, GOAL_NOT_ENOUGH_DATA, 2,
		  "A few readings came in. That is fine." },
		{ METRIC_SLEEP_DURATION, GOAL_NIGHTS_MEETING, GOAL_WEEK, GOAL_OPEN,
		  GOAL_IN_PROGRESS, 2, "Sleep saved." },
		{ METRIC_BODY_WEIGHT, GOAL_TREND, GOAL_WEEK, GOAL_CLOSED, GOAL_MET, -1,
		  "Weigh-in saved." },
		{ METRIC_TEMPERATURE, GOAL_MEASURE_REGULARLY, GOAL_WEEK, GOAL_OPEN,
		  GOAL_IN_PROGRESS, 3, "You took 3 readings this week." },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct goal goal = make(rows[i].metric, rows[i].rule, rows[i].period);
		char words[GOAL_WORDS_MAX];

		goal_words(&goal, rows[i].state, rows[i].outcome,
			   (struct decimal){ rows[i].progress, 0 }, words);
		assert_string_equal(words, rows[i].words);
	}
}

/* in words, and only to who asked to see it, and only of a period that is over */
static void test_trend(void **state)
{
	static const struct {
		enum goal_state state;
		struct decimal change;
		const char *words;
	} rows[] = {
		{ GOAL_CLOSED, { -3, 0 }, "Your weight is going down slowly." },
		{ GOAL_CLOSED, { -41, -1 }, "Your weight is going down." },
		{ GOAL_PROVISIONAL, { 9, -1 }, "Your weight is steady." },
		{ GOAL_CLOSED, { 40, -1 }, "Your weight is going up slowly." },
		{ GOAL_CLOSED, { 5, 0 }, "Your weight is going up." },
		{ GOAL_OPEN, { 5, 0 }, "Weigh-in saved." },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct goal goal = make(METRIC_BODY_WEIGHT, GOAL_TREND, GOAL_WEEK);
		char words[GOAL_WORDS_MAX];

		goal.show_weight = true;
		goal_words(&goal, rows[i].state, GOAL_IN_PROGRESS, rows[i].change, words);
		assert_string_equal(words, rows[i].words);
	}
}

/* the lint itself must be able to fail */
static void test_lint_sees(void **state)
{
	(void)state;
	assert_true(says("You only walked", "only"));
	assert_true(says("Only today", "only"));
	assert_true(says("You failed.", "fail"));
	assert_true(says("Well done!", "!"));
	assert_false(says("You walked below", "low"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_everything_that_can_be_said),
		cmocka_unit_test(test_the_table),
		cmocka_unit_test(test_trend),
		cmocka_unit_test(test_lint_sees),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
