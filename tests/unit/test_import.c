/* links: gateway_import gateway_goals gateway_base */
/* What a person downloaded from Fitbit. All of it is made up, in the layouts of real exports. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "gateway/import/fitbit.h"
#include "gateway/import/layout.h"

#define ITEMS_MAX 8

struct got {
	struct fitbit_item items[ITEMS_MAX];
	size_t n;
	struct fitbit_counts counts;
};

static int take(void *user, const struct fitbit_item *item)
{
	struct got *got = user;

	if (got->n < ITEMS_MAX)
		got->items[got->n] = *item;
	got->n++;
	return 0;
}

static const char *zone; /* of the options */

static int parse(enum fitbit_kind kind, enum fitbit_times times, enum unit weight, const char *text,
		 struct got *ret)
{
	const struct fitbit_options options = { times, weight, zone };
	const struct fitbit_reader reader = { &options, take, ret, &ret->counts };

	*ret = (struct got){ 0 };
	return fitbit_parse(kind, &reader, text, strlen(text));
}

static void assert_part(const struct measurement *m, size_t i, enum metric metric, enum unit unit,
			int64_t mantissa, int32_t exponent)
{
	assert_true(i < m->n_parts);
	assert_int_equal(m->parts[i].metric, metric);
	assert_int_equal(m->parts[i].unit, unit);
	assert_int_equal(m->parts[i].number.value.mantissa, mantissa);
	assert_int_equal(m->parts[i].number.value.exponent, exponent);
}

static void test_names(void **state)
{
	static const struct {
		const char *path;
		enum fitbit_kind kind;
	} table[] = {
		{ "Takeout/Fitbit/Global Export Data/steps-2024-03-01.json", FITBIT_STEPS_JSON },
		{ "steps_2024-03-01.csv", FITBIT_STEPS_CSV },
		{ "a/weight.csv", FITBIT_WEIGHT_CSV },
		{ "a/weight-2024-03-01.json", FITBIT_WEIGHT_JSON },
		{ "sleep-2024-03-01.json", FITBIT_SLEEP },
		{ "resting_heart_rate-2024-01-01.json", FITBIT_RESTING_JSON },
		{ "daily_resting_heart_rate.csv", FITBIT_RESTING_CSV },
		{ "exercise-100.json", FITBIT_EXERCISE },
		{ "b/UserSleeps_2026-04-07.csv", FITBIT_SLEEP_CSV },
		{ "UserSleepStages_2026-04-07.csv", FITBIT_OTHER },
		{ "sleep_score.csv", FITBIT_OTHER },
		{ "steps-2024-03-01.json.bak", FITBIT_OTHER },
		{ "heart_rate-2024-03-01.json", FITBIT_OTHER },
		{ "steps-\x1b[2J.json", FITBIT_OTHER },
		{ "steps-2024.json/x", FITBIT_OTHER },
		{ "", FITBIT_OTHER },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		assert_int_equal(fitbit_kind_of(table[i].path), table[i].kind);
}

static void test_stamps(void **state)
{
	static const char *const bad[] = { "02/29/25 00:00:00",  "13/01/24 00:00:00",
					   "03/01/24 24:00:00",  "03/01/24 00:60:00",
					   "03/01/24 00:00",     "3/1/24 00:00:00",
					   "03/01/24 00:00:00 ", "" };
	struct device_time t = { 0 };

	(void)state;
	assert_int_equal(stamp_us("02/29/24 23:59:58", &t), 0);
	assert_int_equal(t.kind, DEVICE_TIME_LOCAL);
	assert_int_equal(stamp_seconds(&t), 1709251198);
	assert_int_equal(stamp_iso("2024-02-29T23:59:58.000", &t), 0);
	assert_int_equal(t.kind, DEVICE_TIME_LOCAL);
	assert_int_equal(stamp_iso("2024-02-29T23:59:58Z", &t), 0);
	assert_int_equal(t.kind, DEVICE_TIME_UTC);
	assert_int_equal(stamp_iso("2024-02-29T23:59:58+01:00", &t), -EBADMSG);
	assert_int_equal(stamp_day("2024-02-30", &t), -EBADMSG);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(stamp_us(bad[i], &t), -EBADMSG);
	assert_int_equal(stamp_seconds(&t), 1709251198); /* untouched by failures */
}

static void test_csv(void **state)
{
	struct got got;

	(void)state;
	assert_int_equal(
		parse(FITBIT_STEPS_CSV, FITBIT_TIMES_UNSAID, UNIT_NONE,
		      "data source,timestamp,steps\r\nCharge 6,2024-03-01T08:00:00Z,61.0\r\n"
		      "X Health Connect,2024-03-01T08:01:00Z,1\n,2024-03-01T08:02:00Z,0\n"
		      ",2024-03-01T08:03:00,2\n,2024-03-01T08:04:00Z,-2\n,2024-03-01T25:00:00Z,2\n"
		      "a,b\n",
		      &got),
		0);
	assert_int_equal(got.n, 1);
	assert_int_equal(got.counts.read, 7);
	assert_int_equal(got.counts.refused[FITBIT_OTHER_APP], 1);
	assert_int_equal(got.counts.refused[FITBIT_EMPTY], 1);
	assert_int_equal(got.counts.refused[FITBIT_NO_ZONE], 1);
	assert_int_equal(got.counts.refused[FITBIT_BAD_TIME], 1);
	assert_int_equal(got.counts.refused[FITBIT_BAD_FIELD], 2);
	assert_part(&got.items[0].m, 0, METRIC_STEPS, UNIT_STEPS, 610, -1);
	assert_int_equal(got.items[0].m.duration_ms, 60000);
	assert_string_equal(got.items[0].id, "steps/1709280000");
	assert_int_equal(parse(FITBIT_WEIGHT_CSV, FITBIT_TIMES_UNSAID, UNIT_NONE,
			       "timestamp,weight kg\n2024-03-01T08:00:00Z,80\n", &got),
			 -EBADMSG); /* a unit that we do not know is no gram */
	assert_int_equal(parse(FITBIT_STEPS_CSV, FITBIT_TIMES_UNSAID, UNIT_NONE, "no data", &got),
			 0);
	assert_int_equal(got.counts.read, 0);
}

/* Counted, so that nobody thinks that there was none; and none is taken. */
static void test_newer_sleep(void **state)
{
	struct got got;

	(void)state;
	assert_int_equal(
		parse(FITBIT_SLEEP_CSV, FITBIT_TIMES_UNSAID, UNIT_NONE,
		      "sleep_id,sleep_type,minutes_in_sleep_period,start_utc_offset,sleep_start\r\n"
		      "1,STAGES,450,+01:00,2026-04-06T22:30:00Z\r\n\r\n2,CLASSIC,300,,\n3",
		      &got),
		0);
	assert_int_equal(got.n, 0);
	assert_int_equal(got.counts.read, 3);
	assert_int_equal(got.counts.refused[FITBIT_SAME_NIGHT], 3);
	assert_int_equal(parse(FITBIT_SLEEP_CSV, FITBIT_TIMES_UNSAID, UNIT_NONE, "", &got), 0);
	assert_int_equal(parse(FITBIT_SLEEP_CSV, FITBIT_TIMES_UNSAID, UNIT_NONE, "no data", &got),
			 0);
	assert_int_equal(parse(FITBIT_SLEEP_CSV, FITBIT_TIMES_UNSAID, UNIT_NONE, "sleep_id", &got),
			 -EBADMSG);
	assert_int_equal(got.counts.read, 0);
}

static void test_says_or_refuses(void **state)
{
	static const char steps[] = "[{\"dateTime\":\"03/01/24 08:00:00\",\"value\":\"61\"}]";
	static const char weight[] = "[{\"logId\":1,\"weight\":177.2,\"bmi\":24.9,"
				     "\"date\":\"03/01/24\",\"time\":\"07:00:00\"}]";
	struct got got;

	(void)state;
	assert_int_equal(parse(FITBIT_STEPS_JSON, FITBIT_TIMES_UNSAID, UNIT_NONE, steps, &got), 0);
	assert_int_equal(got.counts.refused[FITBIT_NO_ZONE], 1);
	assert_int_equal(parse(FITBIT_STEPS_JSON, FITBIT_TIMES_LOCAL, UNIT_NONE, steps, &got), 0);
	assert_int_equal(got.counts.refused[FITBIT_NO_ZONE], 1);
	assert_int_equal(parse(FITBIT_STEPS_JSON, FITBIT_TIMES_UTC, UNIT_NONE, steps, &got), 0);
	assert_int_equal(got.n, 1);
	assert_string_equal(got.items[0].id, "steps/1709280000"); /* as of the CSV */
	assert_int_equal(parse(FITBIT_WEIGHT_JSON, FITBIT_TIMES_UTC, UNIT_NONE, weight, &got), 0);
	assert_int_equal(got.counts.refused[FITBIT_NO_UNIT], 1);
	assert_int_equal(parse(FITBIT_WEIGHT_JSON, FITBIT_TIMES_UTC, UNIT_LB, weight, &got), 0);
	assert_part(&got.items[0].m, 0, METRIC_BODY_WEIGHT, UNIT_LB, 1772, -1);
	assert_part(&got.items[0].m, 1, METRIC_BMI, UNIT_KG_M2, 249, -1);
	assert_int_equal(got.items[0].m.time.kind, DEVICE_TIME_LOCAL);
}

#define SLEEP(date, end, ms)                                                                    \
	"[{\"logId\":7,\"dateOfSleep\":\"" date "\",\"startTime\":\"2024-03-30T23:00:00.000\"," \
	"\"endTime\":\"" end "\",\"duration\":" ms ",\"minutesAsleep\":370,\"efficiency\":91,"  \
	"\"levels\":{\"summary\":{\"deep\":{\"minutes\":80},\"rem\":{\"minutes\":90}}}}]"

static void test_sleep(void **state)
{
	struct got got;

	(void)state;
	assert_int_equal(parse(FITBIT_SLEEP, FITBIT_TIMES_UNSAID, UNIT_NONE,
			       SLEEP("2024-03-31", "2024-03-31T07:00:00.000", "25200000"), &got),
			 0);
	assert_int_equal(got.n, 1);
	assert_part(&got.items[0].m, 0, METRIC_SLEEP_DURATION, UNIT_MIN, 370, 0);
	assert_part(&got.items[0].m, 1, METRIC_SLEEP_DEEP, UNIT_MIN, 80, 0);
	assert_part(&got.items[0].m, 2, METRIC_SLEEP_REM, UNIT_MIN, 90, 0);
	assert_part(&got.items[0].m, 3, METRIC_SLEEP_EFFICIENCY, UNIT_PERCENT, 91, 0);
	assert_int_equal(got.items[0].m.duration_ms, 25200000);
	assert_string_equal(got.items[0].id, "sleep/7");
	assert_non_null(strstr(got.items[0].context, "woke up on 2024-03-31"));
	assert_non_null(
		strstr(got.items[0].context, "local, without a zone, read in the hub's zone"));
	zone = "America/Argentina/ComodRivadavia"; /* there is no longer one */
	assert_int_equal(parse(FITBIT_SLEEP, FITBIT_TIMES_UNSAID, UNIT_NONE,
			       SLEEP("2024-03-31", "2024-03-31T07:00:00.000", "25200000"), &got),
			 0);
	assert_non_null(strstr(got.items[0].context, zone));
	zone = NULL;
	assert_int_equal(parse(FITBIT_SLEEP, FITBIT_TIMES_UNSAID, UNIT_NONE,
			       SLEEP("2024-03-30", "2024-03-31T07:00:00.000", "25200000"), &got),
			 0);
	assert_int_equal(got.counts.refused[FITBIT_BAD_TIME], 1);
	assert_int_equal(parse(FITBIT_SLEEP, FITBIT_TIMES_UNSAID, UNIT_NONE,
			       SLEEP("2024-03-31", "2024-03-31T07:00:00.000", "18000000"), &got),
			 0);
	assert_int_equal(got.counts.refused[FITBIT_BAD_TIME], 1);
}

static void test_activity(void **state)
{
	static const char walk[] =
		"[{\"logId\":9,\"activityName\":\"Walk\",\"duration\":922000,"
		"\"steps\":1800,\"startTime\":\"03/01/24 12:10:53\"},"
		"{\"logId\":10,\"activityName\":\"Nora's run\",\"duration\":1000,"
		"\"startTime\":\"03/01/24 13:10:53\"}]";
	struct got got;

	(void)state;
	assert_int_equal(parse(FITBIT_EXERCISE, FITBIT_TIMES_LOCAL, UNIT_NONE, walk, &got), 0);
	assert_int_equal(got.n, 2);
	assert_int_equal(got.items[0].m.n_parts, 1); /* its steps are among those of the day */
	assert_part(&got.items[0].m, 0, METRIC_EXERCISE_DURATION, UNIT_MS, 922000, 0);
	assert_non_null(strstr(got.items[0].context, "Walk"));
	assert_null(strstr(got.items[1].context, "Nora")); /* what somebody typed stays out */
	assert_int_equal(got.items[0].m.time.kind, DEVICE_TIME_LOCAL);
}

static void test_hostile_json(void **state)
{
	static const char good[] = SLEEP("2024-03-31", "2024-03-31T07:00:00.000", "25200000");
	static const char *const odd[] = { "[1,null,[],{}]",
					   "[{\"duration\":9223372036854775807,\"logId\":1}]",
					   "[{\"minutesAsleep\":-5,\"logId\":-1,\"duration\":1}]" };
	struct got got;

	(void)state;
	for (size_t len = 0; len < sizeof(good) - 1; len++) {
		char cut[sizeof(good)] = "";

		memcpy(cut, good, len);
		assert_int_equal(parse(FITBIT_SLEEP, FITBIT_TIMES_UNSAID, UNIT_NONE, cut, &got),
				 -EBADMSG);
		assert_int_equal(got.n, 0);
	}
	for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
		assert_int_equal(parse(FITBIT_SLEEP, FITBIT_TIMES_UNSAID, UNIT_NONE, odd[i], &got),
				 0);
		assert_int_equal(got.n, 0);
		assert_true(got.counts.refused[FITBIT_BAD_FIELD] == got.counts.read &&
			    got.counts.read > 0);
	}
	assert_int_equal(
		parse(FITBIT_SLEEP, FITBIT_TIMES_UNSAID, UNIT_NONE, "[{\"a\":1,\"a\":2}]", &got),
		-EBADMSG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_stamps),
		cmocka_unit_test(test_csv),
		cmocka_unit_test(test_newer_sleep),
		cmocka_unit_test(test_says_or_refuses),
		cmocka_unit_test(test_sleep),
		cmocka_unit_test(test_activity),
		cmocka_unit_test(test_hostile_json),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
