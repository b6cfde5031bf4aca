/* What a wearer is made of; for this folder. */
#pragma once

#include "tests/wearer/wearer.h"

#define WEARER_DAY_S       INT64_C(86400)
#define WEARER_MINUTE_S    60
#define WEARER_MINUTES_MAX (WEARER_DAYS_MAX * 1440 + 60) /* a day of 25 hours among them */
#define WEARER_SLEEPS_MAX  (2 * WEARER_DAYS_MAX + 2)
#define WEARER_SYNCS_MAX   64
#define WEARER_STRIDE_MM   700

struct span {
	int64_t start, end; /* minutes of the plan; a night may begin before or end after it */
	bool nap;
};

struct wearer {
	uint64_t random;
	unsigned int memory_minutes;
	unsigned int n_days;
	int64_t midnights[WEARER_DAYS_MAX + 1]; /* s since 1970 */
	int64_t start;
	size_t n;
	struct wearer_minute minutes[WEARER_MINUTES_MAX];
	uint8_t doing[WEARER_MINUTES_MAX];
	size_t n_sleeps;
	struct span sleeps[WEARER_SLEEPS_MAX];
	size_t n_syncs;
	int64_t syncs[WEARER_SYNCS_MAX]; /* rising, or as they were told */
};

/* minute i as it stands at an instant in or behind it */
struct wearer_minute wearer_so_far(const struct wearer *w, size_t i, int64_t until);
