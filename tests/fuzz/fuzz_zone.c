/* links: gateway_goals gateway_base */
/* A TZif file that anybody may have written: what is read from it must answer, within bounds. */
#include <stdlib.h>

#include "gateway/goals/calendar.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
	OFFSET_MAX = 26 * 3600,
	JUMP = 40000003, /* seconds: all times of day and of the year come by */
	JUMPS = 100,
};

static void check(int good)
{
	if (!good)
		abort();
}

static void ask(const struct zone *z, int64_t at)
{
	static const struct goal goal = { .period = GOAL_WEEK, .week_start = 1 };
	int64_t local = at, back = 0, first = 0;
	int32_t offset = zone_offset(z, at);
	struct goal_span span;

	check(offset >= -OFFSET_MAX && offset <= OFFSET_MAX);
	if (zone_to_utc(z, local, &back) != ZONE_NEVER && at > -60000000000 && at < 250000000000)
		check(back + zone_offset(z, back) == local);
	(void)zone_day_start(z, zone_day_of(z, at));
	span = goal_span_of(
		&goal, z, at > INT64_MAX / 1000 || at < INT64_MIN / 1000 ? at : at * 1000, &first);
	(void)span;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const int64_t ends[] = { INT64_MIN, INT64_MIN + 1, -62135596800, 253402300799,
					INT64_MAX };
	struct zone *z = NULL;

	if (zone_parse(data, size, &z) < 0)
		return 0;
	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++)
		ask(z, ends[i]);
	for (int64_t i = -JUMPS; i < JUMPS; i++)
		ask(z, i * JUMP);
	zone_free(z);
	return 0;
}
