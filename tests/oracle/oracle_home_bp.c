/*
 * Reads courses, prints what goals/home_bp.c makes of them. One line a course:
 *   ZONE FROM_MS UNTIL_MS SYSTOLIC_BELOW DIASTOLIC_BELOW N, then N times
 *   AT_MS SYSTOLIC DIASTOLIC FLAGS
 * (pressures as decimal text, flags as bits in decimal). See home_bp.py.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/goals/home_bp.h"

enum {
	READINGS_MAX = 64,
	LINE_MAX_BYTES = 16384
};

/* the next word, or the end: the input is of our own making */
static const char *word(char **rest)
{
	const char *w = strtok_r(NULL, " \n", rest);

	if (!w)
		exit(65);
	return w;
}

static int64_t number(char **rest)
{
	return strtoll(word(rest), NULL, 10);
}

static struct decimal value(char **rest)
{
	struct decimal d;

	if (decimal_parse(word(rest), &d) < 0)
		exit(65);
	return d;
}

static void print(const struct home_bp_result *r, const enum home_bp_place *places, size_t n)
{
	static const char letters[] = { 'o', 'x', 'm', 'e', '-' };
	char systolic[DECIMAL_TEXT_MAX] = "none", diastolic[DECIMAL_TEXT_MAX] = "none";

	if (r->has_mean) {
		(void)decimal_format(systolic, sizeof(systolic), r->systolic);
		(void)decimal_format(diastolic, sizeof(diastolic), r->diastolic);
	}
	(void)printf("%d %" PRId64 " %u %u %u %u %u %u %u %s %s %d ", (int)r->state,
		     r->state == HOME_BP_NOT_BEGUN ? 0 : r->first_day, r->dates, r->discarded,
		     r->readings, r->off_session, r->soft_range, r->more_dates, r->more_readings,
		     systolic, diastolic, r->both_below);
	for (size_t i = 0; i < n; i++)
		(void)putchar(letters[places[i]]);
	(void)putchar('\n');
}

static void course(const struct zone *zone, char **rest)
{
	struct home_bp_reading readings[READINGS_MAX];
	enum home_bp_place places[READINGS_MAX];
	struct home_bp_course c = { .zone = zone, .average = true };
	struct home_bp_result result;
	size_t n;

	c.from_ms = number(rest);
	c.until_ms = number(rest);
	c.systolic_below = value(rest);
	c.diastolic_below = value(rest);
	n = (size_t)number(rest);
	if (n > READINGS_MAX)
		exit(65);
	for (size_t i = 0; i < n; i++) {
		readings[i].at_ms = number(rest);
		readings[i].systolic = value(rest);
		readings[i].diastolic = value(rest);
		readings[i].flags = (uint64_t)number(rest);
	}
	if (home_bp_evaluate(&c, readings, n, places, &result) < 0)
		exit(65);
	print(&result, places, n);
}

int main(void)
{
	static char line[LINE_MAX_BYTES];
	char loaded[ZONE_NAME_MAX] = "";
	struct zone *zone = NULL;

	while (fgets(line, sizeof(line), stdin)) {
		char *rest;
		const char *name = strtok_r(line, " ", &rest);

		if (!name)
			return 65;
		if (strcmp(name, loaded) != 0) {
			zone_free(zone);
			zone = NULL;
			if (zone_load(name, &zone) < 0)
				return 65;
			(void)snprintf(loaded, sizeof(loaded), "%s", name);
		}
		course(zone, &rest);
	}
	zone_free(zone);
	return 0;
}
