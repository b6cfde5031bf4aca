/*
 * A virtual wearer of a Fitbit tracker, and the tracker's memory at any instant. From a seed: the
 * same plan is the same life, on any machine. Nobody ever lived it; how people move and sleep here
 * is made up, so what is measured on it says how code behaves, not how well it does on a person.
 *
 *   a day    rest, housework, walks, now and then a run; a shower without the tracker; some naps
 *   a night  in bed awake, asleep with small movements and some times awake, in bed awake; some
 *            nights without the tracker
 *
 * The tracker records each minute unless it is dead: also when it lies on a table, as rest without
 * any motion. Steps, distance, floors, active minutes are counted since local midnight; the zone is
 * Europe/London, by the rule of the European Union (last Sundays of March and October, 01:00 UTC).
 *
 * Battery death: it stops within that day and goes on within the next, by the same clock and with
 * its memory: what a real one does with its clock then is not known. A lost day: from midnight to
 * midnight without a minute.
 *
 * Memory, as in life: the oldest minutes and snapshots fall out.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WEARER_DAYS_MAX  32
#define WEARER_DUMP_MAX  131072 /* enough for a memory of twenty days */
#define WEARER_NEVER     (-1)
#define WEARER_OCTOBER   INT64_C(1792281600) /* 2026-10-18 00:00Z: the clocks go back on day 7 */
#define WEARER_MARCH     INT64_C(1774137600) /* 2026-03-22 00:00Z: and forward on day 7 */
#define WEARER_FORTNIGHT 14

struct wearer_plan {
	uint64_t seed;
	int64_t first;               /* an instant of the first local day, s since 1970 */
	unsigned int days;           /* 1 to WEARER_DAYS_MAX */
	int battery_dies;            /* on which day, from 0; or WEARER_NEVER */
	int lost_day;                /* from 0; or WEARER_NEVER */
	unsigned int memory_minutes; /* that the tracker keeps; 0: 10080, seven days */
};

/* The truth about a minute. What the tracker did not record has no numbers. */
struct wearer_minute {
	bool recorded, worn, in_bed, asleep;
	uint8_t state, met_tenths, steps, motion; /* as in a dump of a Flex */
	uint8_t floors_tenths, active;            /* what it adds to the day */
};

/* By the tracker's own counters, which is what it can know. */
struct wearer_day {
	int64_t start, end; /* local midnights: 23, 24 or 25 hours */
	uint32_t steps, distance_mm, active_minutes;
	uint32_t met_tenths, floors_tenths;
	unsigned int recorded, worn; /* minutes; worn: those of them on the wrist */
};

/* From falling asleep to the last waking; naps, too. */
struct wearer_sleep {
	int64_t start, end;
	unsigned int asleep, awake; /* minutes in between */
	unsigned int times_awake;
	bool nap;
	bool whole; /* within the plan, and every minute of it recorded and on the wrist */
};

struct wearer; /* opaque, on the heap */

/* -ENOMEM; -EINVAL a plan that cannot be */
int wearer_new(const struct wearer_plan *plan, struct wearer **ret);
void wearer_free(struct wearer *w);

/* ---- the truth ---- */

/* ret_start: of the first one, a local midnight. Borrowed; one after the other, a minute each. */
const struct wearer_minute *wearer_minutes(const struct wearer *w, size_t *ret_n,
					   int64_t *ret_start);
/* Day i of the plan, as counted up to `until` (s since 1970; INT64_MAX: all of it). */
int wearer_day(const struct wearer *w, unsigned int i, int64_t until, struct wearer_day *ret);
/* -ENOENT: no i-th episode */
int wearer_sleep(const struct wearer *w, unsigned int i, struct wearer_sleep *ret);
/* The local midnight at or before an instant; a fitbit_midnight (drivers/fitbit.h). Always 0. */
int wearer_midnight(void *user, int64_t at, int64_t *ret);
int wearer_utc_offset(int64_t at); /* s east of UTC */
/* It runs on the battery, so it can be read. */
bool wearer_alive(const struct wearer *w, int64_t at);

/* ---- the tracker ---- */

struct wearer_tracker {
	uint8_t format;     /* 0x2c and the like; 0: 0x2c */
	uint8_t product;    /* FITBIT_FLEX, FITBIT_ONE or FITBIT_ZIP */
	uint8_t serial[5];  /* the sixth byte is the product */
	const uint8_t *key; /* 16 bytes, borrowed: XTEA; NULL: plain */
	uint8_t nonce[4];   /* another one each time */
	uint8_t battery_percent;
};

/* A sync took place: it leaves a snapshot of the day's counters in the memory. -ENODATA: dead */
int wearer_synced(struct wearer *w, int64_t at);
/*
 * The mega dump as at an instant, with a snapshot of that instant. The minute at hand is in it,
 * with what it has so far. -ENOSPC size; -ENODATA the tracker is dead, or the instant is not of the
 * plan.
 */
int wearer_dump(const struct wearer *w, int64_t now, const struct wearer_tracker *tracker,
		uint8_t *buf, size_t size, size_t *ret_len);
