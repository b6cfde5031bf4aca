/*
 * Reads "ZONE DAY" and "ZONE DAY AT" lines, prints what goals/zone.c and goals/calendar.c make of
 * them (see calendar_zones.py). Days are numbers since 1970-01-01, instants seconds.
 *   ZONE DAY     start of the day, start of the night
 *   ZONE DAY AT  day of the instant, its night, start and end of its day, and of its weeks that
 *                begin on Monday ... Sunday
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/goals/calendar.h"

static void print_span(const struct zone *zone, enum goal_period period, unsigned int week_start,
		       int64_t at)
{
	const struct goal goal = {
		.rule = GOAL_SUM_PER_PERIOD,
		.period = period,
		.week_start = week_start,
	};
	int64_t first;
	struct goal_span span = goal_span_of(&goal, zone, at * 1000 + 999, &first);

	(void)printf(" %" PRId64 " %" PRId64 " %" PRId64, first, span.start_ms / 1000,
		     span.end_ms / 1000);
}

static void answer(const struct zone *zone, char *rest)
{
	int64_t day = strtoll(rest, &rest, 10), at;

	if (*rest != ' ') {
		(void)printf("%" PRId64 " %" PRId64 "\n", zone_day_start(zone, day),
			     zone_night_start(zone, day));
		return;
	}
	at = strtoll(rest, NULL, 10);
	(void)printf("%" PRId64 " %" PRId64, zone_day_of(zone, at), zone_night_of(zone, at));
	print_span(zone, GOAL_DAY, 1, at);
	for (unsigned int start = 1; start <= 7; start++)
		print_span(zone, GOAL_WEEK, start, at);
	(void)putchar('\n');
}

int main(void)
{
	char line[128], loaded[ZONE_NAME_MAX] = "";
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
		answer(zone, rest);
	}
	zone_free(zone);
	return 0;
}
