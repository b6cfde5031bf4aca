#include "gateway/cli/goal_plan.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "drivers/cleanup.h"
#include "gateway/cli/cli.h"
#include "gateway/goals/zone.h"
#include "gateway/words/words.h"

#define ZONE_DEFAULT   "Europe/London"
#define LINE_MAX_BYTES 256

int goal_plan_period(const char *value, struct goal_plan_options *options)
{
	if (strcmp(value, "day") != 0 && strcmp(value, "week") != 0)
		return -EINVAL;
	options->period = strcmp(value, "day") == 0 ? GOAL_DAY : GOAL_WEEK;
	return 0;
}

int goal_plan_minutes(const char *value, struct goal_plan_options *options)
{
	if (strcmp(value, "active") != 0 && strcmp(value, "exercise") != 0)
		return -EINVAL;
	options->minutes =
		strcmp(value, "active") == 0 ? METRIC_ACTIVE_MINUTES : METRIC_EXERCISE_DURATION;
	return 0;
}

/* *ret is the caller's to free; -EFBIG, or the errno of reading */
static int read_file(const char *path, char **ret, size_t *ret_len)
{
	FILE *file = fopen(path, "re");
	char *text;
	size_t len;
	int r = 0;

	if (!file)
		return -errno;
	text = malloc(GOAL_FHIR_FILE_MAX + 1);
	if (!text) {
		(void)fclose(file);
		return -ENOMEM;
	}
	len = fread(text, 1, GOAL_FHIR_FILE_MAX + 1, file);
	if (ferror(file))
		r = -EIO;
	else if (len > GOAL_FHIR_FILE_MAX)
		r = -EFBIG;
	(void)fclose(file);
	if (r < 0) {
		free(text);
		return r;
	}
	*ret = text;
	*ret_len = len;
	return 0;
}

static int say_problem(const char *path, int r)
{
	switch (r) {
	case -EFBIG:
	case -E2BIG:
		return cli_fail("goal", EXIT_DATA, "%s: too large for a care plan", path);
	case -EBADMSG:
		return cli_fail("goal", EXIT_DATA,
				"%s: not a FHIR R4 Goal, CarePlan or Bundle in JSON", path);
	case -EXDEV:
		return cli_fail("goal", EXIT_DATA, "%s: %s", path,
				words_text(WORDS_EN, WORDS_PLAN_WHOSE));
	default:
		return cli_fail("goal", EXIT_IO, "%s: %s", path, strerror(-r));
	}
}

static enum words_id plan_words(bool is_activity, bool taken)
{
	if (is_activity)
		return taken ? WORDS_PLAN_ACTIVITY : WORDS_PLAN_ACTIVITY_NOT;
	return taken ? WORDS_PLAN_GOAL : WORDS_PLAN_GOAL_NOT;
}

static void say_item(const struct goal_fhir_item *item, bool json)
{
	const bool taken = item->refusal == GOAL_FHIR_TAKEN;
	const char *why = taken ? NULL : words_text(WORDS_EN, goal_fhir_words(item->refusal));
	const char *what = item->is_activity ? "activity" : "goal";
	char number[24], line[LINE_MAX_BYTES];
	const struct words_fill fill = { .of = { [WORDS_NUMBER] = number } };
	json_t *object;

	(void)snprintf(number, sizeof(number), "%u", item->number);
	if (!json && words_say(WORDS_EN, plan_words(item->is_activity, taken), &fill, line,
			       sizeof(line)) < 0)
		return;

	if (!json && taken) {
		(void)printf("%s %s (%s)\n", line, item->goal.title, item->goal.id);
		return;
	}
	if (!json) {
		(void)printf("%s %s\n", line, why);
		return;
	}
	object = json_pack("{s:s, s:i, s:i, s:b, s:s*, s:s*}", "item", what, "number",
			   (int)item->number, "target", (int)item->target, "taken", taken,
			   "goal_id", taken ? item->goal.id : NULL, "why", why);
	(void)json_dumpf(object, stdout, JSON_COMPACT);
	(void)putchar('\n');
	json_decref(object);
}

static int take_all(const struct goal_fhir *plan, bool json,
		    int (*take)(void *user, const struct goal_fhir_item *item), void *user)
{
	size_t taken = 0;
	int code = 0;

	for (size_t i = 0; i < plan->n && code == 0; i++) {
		const struct goal_fhir_item *item = &plan->items[i];

		if (item->refusal == GOAL_FHIR_TAKEN) {
			code = take(user, item);
			taken += code == 0;
		}
		if (code == 0)
			say_item(item, json);
	}
	if (code == 0 && taken == 0)
		return cli_fail("goal", EXIT_DATA, "%s", words_text(WORDS_EN, WORDS_PLAN_NOTHING));
	return code;
}

int goal_plan_import(const char *path, const struct goal_plan_options *options, bool json,
		     int (*take)(void *user, const struct goal_fhir_item *item), void *user)
{
	struct goal_fhir_options fhir = { .zone = ZONE_DEFAULT,
					  .week_start = 1,
					  .period = options->period,
					  .minutes = options->minutes,
					  .language = WORDS_EN };
	struct goal_fhir *plan = NULL;
	struct zone *zone = NULL;
	char *text = NULL;
	size_t len = 0;
	int code, r;

	r = zone_load(fhir.zone, &zone);
	if (r == 0)
		fhir.today = zone_day_of(zone, time(NULL));
	zone_free(zone);
	if (r == 0)
		r = read_file(path, &text, &len);
	if (r == 0)
		r = goal_fhir_read(text, len, &fhir, &plan);
	free(text);
	if (r < 0 || !plan)
		return say_problem(path, r);
	code = take_all(plan, json, take, user);
	goal_fhir_free(plan);
	return code;
}
