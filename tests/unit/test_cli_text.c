/* links: gateway_print gateway_goals */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "gateway/cli/goals_text.h"
#include "gateway/cli/readings_text.h"
#include "gateway/goals/zone.h"
#include "protocols/messages/codes.h"

#define N(rows) (sizeof(rows) / sizeof((rows)[0]))
#define DAY_MS  INT64_C(86400000)

static const struct bars blocks = { .blocks = true, .width = 80 };
static const struct bars ascii = { .blocks = false, .width = 60 };

static char *text_of(const char *constant)
{
	return (char *)(uintptr_t)constant;
}

static int64_t utc_ms(int64_t year, unsigned int month, unsigned int day, int64_t minute)
{
	return (zone_day_number(year, month, day) * 1440 + minute) * 60000;
}

/* ---- goals */

struct goal_case {
	Wellgate__V1__Goal goal;
	Wellgate__V1__GoalResult result;
	Wellgate__V1__Decimal target, progress;
	struct goals_past past;
};

static void goal_begin(struct goal_case *c, enum metric metric, Wellgate__V1__Rule rule,
		       int64_t target, int64_t progress)
{
	memset(c, 0, sizeof(*c));
	wellgate__v1__goal__init(&c->goal);
	wellgate__v1__goal_result__init(&c->result);
	wellgate__v1__decimal__init(&c->target);
	wellgate__v1__decimal__init(&c->progress);
	c->target.mantissa = target;
	c->progress.mantissa = progress;
	c->goal.title = text_of("My goal");
	c->goal.metric = (Wellgate__V1__Metric)metric;
	c->goal.rule = rule;
	c->goal.period = WELLGATE__V1__PERIOD__PERIOD_WEEK;
	c->goal.target = &c->target;
	c->goal.time_zone = text_of("Europe/London");
	c->result.words = text_of("Words.");
	c->result.progress = &c->progress;
	c->result.target = &c->target;
	c->result.has_outcome = true;
	c->result.outcome = WELLGATE__V1__GOAL_RESULT__OUTCOME__OUTCOME_IN_PROGRESS;
	c->result.has_period_start_ms = c->result.has_period_end_ms = true;
	/* the week of the 25 h day */
	c->result.period_start_ms = utc_ms(2026, 10, 18, 1380);
	c->result.period_end_ms = utc_ms(2026, 10, 26, 0);
	c->result.unit = text_of(metric == METRIC_STEPS ? "{steps}" : "1");
}

static void assert_goal(const struct goal_case *c, const struct bars *style, const char *expected)
{
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);

	assert_non_null(out);
	goals_text(out, style, &c->goal, &c->result, &c->past);
	(void)fclose(out);
	assert_string_equal(text, expected);
	free(text);
}

static void past(struct goal_case *c, int64_t weeks_ago, int64_t progress, bool met)
{
	Wellgate__V1__GoalResult r = c->result;
	Wellgate__V1__Decimal value = c->progress;

	value.mantissa = progress;
	r.progress = &value;
	r.period_start_ms -= weeks_ago * 7 * DAY_MS;
	r.period_end_ms = r.period_start_ms + 7 * DAY_MS;
	r.words = text_of("Words of then.");
	if (met)
		r.outcome = WELLGATE__V1__GOAL_RESULT__OUTCOME__OUTCOME_MET;
	goals_past_note(&c->past, &r);
}

static void test_goal(void **state)
{
	struct goal_case c;

	(void)state;
	goal_begin(&c, METRIC_STEPS, WELLGATE__V1__RULE__RULE_SUM_PER_PERIOD, 7000, 3500);
	assert_goal(&c, &blocks,
		    "My goal\n    Words.\n    ████████████░░░░░░░░░░░░  3500 of 7000 steps\n"
		    "    This week: Mon 19 October to Sun 25 October\n");
	assert_goal(&c, &ascii,
		    "My goal\n    Words.\n    [##########..........]  3500 of 7000 steps\n"
		    "    This week: Mon 19 October to Sun 25 October\n");
	c.goal.title = text_of("\033[2Jbad\xc2\x9b\x7f");
	c.goal.paused = true;
	assert_goal(&c, &blocks, "?[2Jbad??\n    Words.\n");
	goal_begin(&c, METRIC_BLOOD_PRESSURE, WELLGATE__V1__RULE__RULE_MEASURE_REGULARLY, 14, 7);
	c.goal.time_zone = text_of("No/Where");
	assert_goal(&c, &ascii, "My goal\n    Words.\n    [##########..........]  7 of 14 times\n");
	goal_begin(&c, METRIC_STEPS, WELLGATE__V1__RULE__RULE_COUNT_DAYS, 4, 4);
	c.goal.period = WELLGATE__V1__PERIOD__PERIOD_DAY;
	assert_goal(&c, &ascii,
		    "My goal\n    Words.\n    [####################]  4 of 4 days\n"
		    "    Today: Mon 19 October\n");
}

/* a new week says what was before it; an empty bar is not drawn */
static void test_goal_without_data(void **state)
{
	struct goal_case c;

	(void)state;
	goal_begin(&c, METRIC_STEPS, WELLGATE__V1__RULE__RULE_SUM_PER_PERIOD, 7000, 0);
	past(&c, 1, 3500, false);
	c.result.outcome = WELLGATE__V1__GOAL_RESULT__OUTCOME__OUTCOME_NO_DATA;
	goals_past_note(&c.past, &c.result); /* says nothing */
	assert_goal(&c, &blocks,
		    "My goal\n    Words.\n    This week: Mon 19 October to Sun 25 October\n"
		    "    Before: Words of then.\n");
}

static void test_goal_before(void **state)
{
	struct goal_case c;

	(void)state;
	goal_begin(&c, METRIC_STEPS, WELLGATE__V1__RULE__RULE_SUM_PER_PERIOD, 7000, 7000);
	past(&c, 2, 7000, true);
	past(&c, 1, 100, false);
	past(&c, 9, 7000, true); /* too long ago */
	past(&c, 4, 7000, true);
	past(&c, 4, 3500, false); /* revised */
	past(&c, 0, 9999, true);  /* the running one is not before */
	assert_int_equal(c.past.n, 5);
	assert_goal(&c, &blocks,
		    "My goal\n    Words.\n    ████████████████████████  7000 of 7000 steps\n"
		    "    This week: Mon 19 October to Sun 25 October\n"
		    "    The 4 weeks before: ▅·█▂  reached 1 time\n");
	/* the week of 167 hours; a week that was reached with less is as high as any */
	goal_begin(&c, METRIC_STEPS, WELLGATE__V1__RULE__RULE_SUM_PER_PERIOD, 7000, 7000);
	c.result.period_start_ms = utc_ms(2027, 3, 22, 0);
	c.result.period_end_ms = utc_ms(2027, 3, 28, 1380);
	for (int64_t ago = 1; ago <= 8; ago++)
		past(&c, ago, 3500, ago == 8 || ago == 1);
	assert_goal(&c, &ascii,
		    "My goal\n    Words.\n    [####################]  7000 of 7000 steps\n"
		    "    This week: Mon 22 March to Sun 28 March\n"
		    "    The 8 weeks before: #======#  reached 2 times\n");
	for (int64_t ago = 20; ago >= 0; ago--)
		past(&c, ago, ago, false);
	assert_int_equal(c.past.n, GOALS_PAST + 1);
	for (size_t i = 0; i < c.past.n; i++)
		assert_int_equal(c.past.of[i].progress.mantissa, GOALS_PAST - (int64_t)i);
}

/* no number, bar or line: weight whatever the rule, a night's sleep, rules not known here */
static void test_hidden(void **state)
{
	static const struct {
		enum metric metric;
		Wellgate__V1__Rule rule;
		bool hidden;
	} rows[] = {
		{ METRIC_BODY_WEIGHT, WELLGATE__V1__RULE__RULE_TREND, true },
		{ METRIC_BODY_WEIGHT, WELLGATE__V1__RULE__RULE_SUM_PER_PERIOD, true },
		{ METRIC_BMI, WELLGATE__V1__RULE__RULE_MEAN_PER_PERIOD, true },
		{ METRIC_BODY_WEIGHT, WELLGATE__V1__RULE__RULE_MEASURE_REGULARLY, false },
		{ METRIC_SLEEP_DURATION, WELLGATE__V1__RULE__RULE_SUM_PER_PERIOD, true },
		{ METRIC_SLEEP_DURATION, WELLGATE__V1__RULE__RULE_MEAN_PER_PERIOD, false },
		{ METRIC_SLEEP_DURATION, WELLGATE__V1__RULE__RULE_NIGHTS_MEETING, false },
		{ METRIC_BLOOD_PRESSURE, WELLGATE__V1__RULE__RULE_RANGE_MEAN, true },
		{ METRIC_STEPS, (Wellgate__V1__Rule)99, true },
		{ METRIC_STEPS, WELLGATE__V1__RULE__RULE_SUM_PER_PERIOD, false },
	};

	(void)state;
	for (size_t i = 0; i < N(rows); i++) {
		struct goal_case c;

		goal_begin(&c, rows[i].metric, rows[i].rule, 777, 333);
		past(&c, 1, 555, false);
		past(&c, 2, 555, false);
		assert_int_equal(goals_text_hides(&c.goal), rows[i].hidden);
		if (rows[i].hidden)
			assert_goal(&c, &blocks,
				    "My goal\n    Words.\n"
				    "    This week: Mon 19 October to Sun 25 October\n");
	}
}

/* ---- readings */

struct reading_case {
	Wellgate__V1__Reading reading;
	Wellgate__V1__Component parts[3], *list[3];
	Wellgate__V1__Decimal values[3];
	Wellgate__V1__Flag flags[20];
	Wellgate__V1__Attribution attribution;
};

static void add_part(struct reading_case *c, enum metric metric, int64_t mantissa, const char *unit)
{
	const size_t i = c->reading.n_components++;

	wellgate__v1__component__init(&c->parts[i]);
	wellgate__v1__decimal__init(&c->values[i]);
	c->values[i].mantissa = mantissa;
	c->parts[i].metric = (Wellgate__V1__Metric)metric;
	c->parts[i].value = &c->values[i];
	c->parts[i].unit = text_of(unit);
	c->list[i] = &c->parts[i];
}

static void reading_begin(struct reading_case *c, enum metric metric, int64_t at_ms)
{
	memset(c, 0, sizeof(*c));
	wellgate__v1__reading__init(&c->reading);
	wellgate__v1__attribution__init(&c->attribution);
	c->reading.metric = (Wellgate__V1__Metric)metric;
	c->reading.components = c->list;
	c->reading.flags = c->flags;
	c->reading.sequence = 12;
	c->reading.has_measured_at_ms = true;
	c->reading.measured_at_ms = at_ms;
	c->reading.utc_offset_min = 60;
	c->reading.has_clock = true;
	c->reading.clock = WELLGATE__V1__CLOCK_QUALITY__CLOCK_HUB_SYNCED;
	c->reading.subject = text_of("somebody");
}

static void pressure(struct reading_case *c, int64_t at_ms, int64_t systolic)
{
	reading_begin(c, METRIC_BLOOD_PRESSURE, at_ms);
	add_part(c, METRIC_SYSTOLIC, systolic, "mm[Hg]");
	add_part(c, METRIC_DIASTOLIC, 88, "mm[Hg]");
	add_part(c, METRIC_PULSE, 71, "/min");
}

struct listing {
	struct readings_text list;
	char *text;
	size_t size;
};

static void list_begin(struct listing *l, struct bars style)
{
	l->text = NULL;
	readings_text_begin(&l->list, open_memstream(&l->text, &l->size), style);
	assert_non_null(l->list.out);
}

static void assert_list(struct listing *l, const char *expected)
{
	readings_text_end(&l->list);
	(void)fclose(l->list.out);
	assert_string_equal(l->text, expected);
	free(l->text);
}

static void test_readings(void **state)
{
	struct reading_case c;
	struct listing l;

	(void)state;
	list_begin(&l, blocks);
	pressure(&c, utc_ms(2026, 11, 22, 1381), 142); /* 00:01 of the 23rd on the wall */
	readings_text_add(&l.list, &c.reading);
	reading_begin(&c, METRIC_STEPS, utc_ms(2026, 11, 23, 60));
	add_part(&c, METRIC_STEPS, 412, "{steps}");
	readings_text_add(&l.list, &c.reading);
	reading_begin(&c, METRIC_BODY_WEIGHT, 0);
	c.reading.has_measured_at_ms = false;
	add_part(&c, METRIC_BODY_WEIGHT, 740, "kg");
	c.values[0].exponent = -1;
	c.reading.attribution = &c.attribution;
	c.attribution.rule = WELLGATE__V1__ATTRIBUTION_RULE__ATTRIBUTION_UNASSIGNED;
	readings_text_add(&l.list, &c.reading);
	c.parts[0].value = NULL;
	c.reading.attribution = NULL;
	readings_text_add(&l.list, &c.reading);
	assert_list(&l, "Monday 23 November 2026\n"
			"      12  00:01  blood pressure 142 over 88 mmHg, pulse 71 per minute\n"
			"      12  02:00  steps 412\n"
			"\n"
			"Time not known\n"
			"      12    -    weight 74.0 kg (we do not know whose it is)\n"
			"      12    -    weight no value\n");
}

static void test_notes(void **state)
{
	struct reading_case c;
	struct listing l;

	(void)state;
	list_begin(&l, ascii);
	pressure(&c, utc_ms(2026, 11, 22, 600), 142);
	c.reading.clock = WELLGATE__V1__CLOCK_QUALITY__CLOCK_RECEIPT_UNSYNCED;
	c.flags[0] = WELLGATE__V1__FLAG__FLAG_IRREGULAR_PULSE;
	c.flags[1] = WELLGATE__V1__FLAG__FLAG_TIME_UNCERTAIN;
	c.flags[2] = WELLGATE__V1__FLAG__FLAG_EARLY_ESTIMATE;
	c.flags[3] = (Wellgate__V1__Flag)99;
	c.reading.n_flags = 4;
	readings_text_add(&l.list, &c.reading);
	for (unsigned int i = 0; i < 20; i++)
		c.flags[i] = (Wellgate__V1__Flag)(1000000 + i); /* more than are shown */
	c.reading.n_flags = 20;
	readings_text_add(&l.list, &c.reading);
	(void)fclose(l.list.out);
	assert_non_null(strstr(l.text, "      12  11:00  blood pressure 142 over 88 mmHg,\n"
				       "                 pulse 71 per minute (uneven pulse,\n"
				       "                 time not sure, early estimate, 99)\n"));
	assert_non_null(strstr(l.text, " 1000015)\n"));
	free(l.text);
}

static void test_how_it_went(void **state)
{
	static const int64_t systolic[] = { 142, 118, 130 };
	struct reading_case c;
	struct listing l;

	(void)state;
	for (int other = 0; other < 2; other++) {
		list_begin(&l, blocks);
		for (size_t i = 0; i < N(systolic); i++) { /* the newest first, as a memory may */
			pressure(&c, utc_ms(2026, 11, 22, 600 - 5 * (int64_t)i), systolic[i]);
			readings_text_add(&l.list, &c.reading);
		}
		pressure(&c, utc_ms(2026, 11, 22, 700), 250); /* not drawn */
		c.flags[0] = WELLGATE__V1__FLAG__FLAG_MOVEMENT;
		c.reading.n_flags = 1;
		readings_text_add(&l.list, &c.reading);
		pressure(&c, utc_ms(2026, 11, 22, 700), 252);
		c.reading.clock = WELLGATE__V1__CLOCK_QUALITY__CLOCK_DEVICE_UNVERIFIED;
		readings_text_add(&l.list, &c.reading);
		pressure(&c, utc_ms(2026, 11, 22, 700), 253);
		c.reading.subject = text_of("");
		readings_text_add(&l.list, &c.reading);
		pressure(&c, utc_ms(2026, 11, 22, 701), 251);
		c.reading.subject = other ? text_of("somebody else") : NULL;
		readings_text_add(&l.list, &c.reading);
		readings_text_end(&l.list);
		(void)fclose(l.list.out);
		/* two people are never in one line */
		assert_int_equal(strstr(l.text,
					"\nHow it went:\n"
					"  upper pressure     ▅▁█  118 to 142 mmHg\n"
					"  lower pressure     ▄▄▄  88 to 88 mmHg\n"
					"  pulse              ▄▄▄  71 to 71 per minute\n") != NULL,
				 !other);
		assert_int_equal(strstr(l.text, "How it went") != NULL, !other);
		free(l.text);
	}
}

/* weights are listed, never drawn; of too many values the last are drawn */
static void test_not_drawn(void **state)
{
	struct reading_case c;
	struct listing l;

	(void)state;
	list_begin(&l, blocks);
	for (int64_t i = 0; i < 10; i++) {
		reading_begin(&c, METRIC_BODY_WEIGHT, utc_ms(2026, 11, 22, i));
		add_part(&c, METRIC_BODY_WEIGHT, 70 + i, "kg");
		readings_text_add(&l.list, &c.reading);
	}
	readings_text_end(&l.list);
	(void)fflush(l.list.out);
	assert_null(strstr(l.text, "How it went"));
	for (int64_t i = 0; i < 200; i++) {
		reading_begin(&c, METRIC_PULSE, utc_ms(2026, 11, 23, i));
		add_part(&c, METRIC_PULSE, 60 + i, "/min");
		readings_text_add(&l.list, &c.reading);
	}
	readings_text_end(&l.list);
	(void)fclose(l.list.out);
	assert_non_null(strstr(l.text, "  230 to 259 per minute\n"));
	free(l.text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_goal),        cmocka_unit_test(test_goal_without_data),
		cmocka_unit_test(test_goal_before), cmocka_unit_test(test_hidden),
		cmocka_unit_test(test_readings),    cmocka_unit_test(test_notes),
		cmocka_unit_test(test_how_it_went), cmocka_unit_test(test_not_drawn),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
