/* links: gateway_config */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "drivers/cleanup.h"
#include "gateway/config.h"
#include "gateway/goals/zone.h"

#define HUB  "[hub]\nsite = a\nhub = h\ntime_zone = Europe/London\n"
#define WALK "[goal walk]\ntitle = T\nmetric = steps\nrule = count_days\nperiod = week\n"

static int load(const char *goals, struct config **ret, char **ret_error)
{
	char path[] = "/tmp/wellgate-test-XXXXXX";
	int fd = mkstemp(path), r;
	FILE *out;

	assert_true(fd >= 0);
	out = fdopen(fd, "w");
	assert_non_null(out);
	(void)fputs(HUB, out);
	(void)fputs(goals, out);
	assert_int_equal(fclose(out), 0);
	r = config_load(path, ret, ret_error);
	(void)unlink(path);
	return r;
}

static struct config *load_good(const char *goals)
{
	_cleanup_free_ char *error = NULL;
	struct config *c = NULL;

	if (load(goals, &c, &error) < 0)
		fail_msg("%s", error ? error : "?");
	return c;
}

static void load_bad(const char *goals, const char *says)
{
	_cleanup_free_ char *error = NULL;
	struct config *c = NULL;

	assert_true(load(goals, &c, &error) < 0);
	assert_non_null(error);
	if (!strstr(error, says))
		fail_msg("\"%s\" does not say \"%s\"", error, says);
}

static void test_days(void **state)
{
	struct config *c = load_good(WALK "target = 3\nday_target = 5000\nmin_points = 5\n"
					  "pauses = 2027-01-31 to 2027-02-01, 2027-03-08 to "
					  "2027-03-08\n");
	const struct goal *g = &c->goals[0];

	(void)state;
	assert_int_equal(g->rule, GOAL_COUNT_DAYS);
	assert_int_equal(g->day_target.mantissa, 5000);
	assert_int_equal(g->min_points, 5);
	assert_int_equal(g->n_pauses, 2);
	assert_int_equal(g->pauses[0].from_day, zone_day_number(2027, 1, 31));
	assert_int_equal(g->pauses[0].to_day, zone_day_number(2027, 2, 2));
	assert_int_equal(g->pauses[1].from_day, zone_day_number(2027, 3, 8));
	assert_int_equal(g->pauses[1].to_day, zone_day_number(2027, 3, 9));
	assert_true(g->starts_on == INT64_MIN);
	config_free(c);
}

static void test_rules(void **state)
{
	static const struct {
		const char *text;
		enum goal_rule rule;
	} rows[] = {
		{ "rule = mean_per_period\nmetric = sleep_duration\ntarget = 420\n",
		  GOAL_MEAN_PER_PERIOD },
		{ "rule = nights_meeting\nmetric = sleep_duration\ntarget = 4\nday_target = 420\n",
		  GOAL_NIGHTS_MEETING },
		{ "rule = trend\nmetric = body_weight\ndirection = steady\nagreed_by = "
		  "professional\n",
		  GOAL_TREND },
		{ "rule = sum_per_period\nmetric = steps\ntarget = 9000\n", GOAL_SUM_PER_PERIOD },
		{ "rule = measure_regularly\nmetric = body_weight\ntarget = 1\n",
		  GOAL_MEASURE_REGULARLY },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char text[256];
		struct config *c;

		(void)snprintf(text, sizeof(text), "[goal g]\ntitle = T\nperiod = week\n%s",
			       rows[i].text);
		c = load_good(text);
		assert_int_equal(c->goals[0].rule, rows[i].rule);
		assert_false(c->goals[0].show_weight); /* blind */
		config_free(c);
	}
}

static void test_weight(void **state)
{
	struct config *c =
		load_good("[goal w]\ntitle = T\nmetric = body_weight\nrule = trend\nperiod = week\n"
			  "direction = down\ntarget = 75\nheight = 172\nband = 1.5\n"
			  "agreed_by = professional\nshow_weight = yes\n");
	const struct goal *g = &c->goals[0];

	(void)state;
	assert_int_equal(g->direction, GOAL_DOWN);
	assert_int_equal(g->height_mm, 1720);
	assert_int_equal(g->band.mantissa, 15);
	assert_int_equal(g->agreed_by, GOAL_AGREED_BY_PROFESSIONAL);
	assert_true(g->show_weight);
	config_free(c);
}

static void test_versions(void **state)
{
	/* in any order: the first version comes last */
	struct config *c = load_good("[goal walk 3]\nstarts_on = 2027-05-03\nday_target = 6000\n"
				     "[goal walk 2]\nstarts_on = 2027-04-05\ntarget = 4\n" WALK
				     "target = 3\nday_target = 5000\nweek_start = sunday\n");

	(void)state;
	assert_int_equal(c->n_goals, 3);
	for (size_t i = 0; i < 3; i++) {
		const struct goal *g = &c->goals[i];

		assert_string_equal(g->id, "walk");
		assert_int_equal(g->version, 3 - i);
		assert_int_equal(g->week_start, 7);
		assert_int_equal(g->target.mantissa, g->version == 1 ? 3 : 4);
		assert_int_equal(g->day_target.mantissa, g->version == 3 ? 6000 : 5000);
	}
	assert_int_equal(c->goals[1].starts_on, zone_day_number(2027, 4, 5));
	config_free(c);
}

static void test_refusals(void **state)
{
	static const struct {
		const char *text, *says;
	} rows[] = {
		{ WALK "day_target = 5000\n", "lacks target" },
		{ WALK "target = 3\n", "day_target" },
		{ WALK "min_points = 0\n", "1 to 7" },
		{ WALK "min_points = 8\n", "1 to 7" },
		{ WALK "height = 99\n", "100 to 250" },
		{ WALK "height = 1720\n", "100 to 250" },
		{ WALK "direction = thinner\n", "steady, down or up" },
		{ WALK "show_weight = maybe\n", "yes or no" },
		{ WALK "agreed_by = me\n", "professional" },
		{ WALK "rate = 1\n", "unknown key" },
		{ WALK "band = -1\n", "positive" },
		{ WALK "starts_on = 2027-02-29\n", "a day like" },
		{ WALK "starts_on = 2027-2-29\n", "a day like" },
		{ WALK "starts_on = 2027-02-2x\n", "a day like" },
		{ WALK "pauses = 2027-02-01\n", "days like" },
		{ WALK "pauses = 2027-02-01 to 2027-02-02,\n", "days like" },
		{ WALK "pauses = 2027-02-01 to 2027-13-02\n", "days like" },
		{ WALK "target = 3\nday_target = 1\npauses = 2027-02-03 to 2027-02-01\n", "pause" },
		{ WALK "target = 3\nday_target = 1\n[goal walk 2]\ntarget = 4\n", "starts_on" },
		{ WALK "target = 3\nday_target = 1\n[goal walk 3]\nstarts_on = 2027-04-05\n",
		  "version 2 is missing" },
		{ WALK "target = 3\nday_target = 1\n[goal walk 2]\nstarts_on = 2027-04-05\n"
		       "metric = floors\n",
		  "a new goal" },
		{ WALK "[goal walk 1]\ntarget = 1\n", "from 2 on" },
		{ WALK "[goal walk x]\ntarget = 1\n", "from 2 on" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		load_bad(rows[i].text, rows[i].says);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_days),     cmocka_unit_test(test_rules),
		cmocka_unit_test(test_weight),   cmocka_unit_test(test_versions),
		cmocka_unit_test(test_refusals),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
