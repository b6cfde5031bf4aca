#include "tests/wearer/wearer.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tests/wearer/private.h"

#define MEMORY_MINUTES 10080U
#define ELEVEN         660 /* minutes of the day */
#define TEN_PM         1320

/* ---- chance ---- */

/* splitmix64 */
static uint64_t next(struct wearer *w)
{
	uint64_t z = w->random += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

/* from low to high, both included */
static unsigned int between(struct wearer *w, unsigned int low, unsigned int high)
{
	return low + (unsigned int)(next(w) % (high - low + 1U));
}

static bool chance(struct wearer *w, unsigned int percent)
{
	return between(w, 1, 100) <= percent;
}

/* ---- the zone ---- */

/* days since 1970 of the first of March of a year (after 1970) */
static int64_t first_of_march(int64_t year)
{
	return 365 * (year - 1970) + (year - 1969) / 4 - (year - 1901) / 100 + (year - 1601) / 400 +
	       59 + (year % 4 == 0 && (year % 100 != 0 || year % 400 == 0));
}

/* 01:00 UTC on the last Sunday of the month whose last day is given */
static int64_t change_of(int64_t last_day)
{
	return (last_day - (last_day + 4) % 7) * WEARER_DAY_S + 3600; /* day 0 was a Thursday */
}

int wearer_utc_offset(int64_t at)
{
	int64_t year = 1970 + at / (365 * WEARER_DAY_S) + 1;

	while ((first_of_march(year) - 59) * WEARER_DAY_S > at) /* from above, to the year of it */
		year--;
	if (at < change_of(first_of_march(year) + 30) ||
	    at >= change_of(first_of_march(year) + 244))
		return 0;
	return 3600;
}

int wearer_midnight(void *user, int64_t at, int64_t *ret)
{
	const int64_t local = at + wearer_utc_offset(at);
	int64_t midnight = local - local % WEARER_DAY_S;

	(void)user;
	/* the clocks change at one or two: never between a midnight and itself */
	midnight -= wearer_utc_offset(midnight - wearer_utc_offset(at));
	*ret = midnight;
	return 0;
}

/* ---- a life ---- */

enum doing {
	SITTING,
	HOUSEWORK,
	WALKING,
	RUNNING,
	AWAKE_IN_BED,
	ASLEEP,
};

static struct wearer_minute *minute_of(struct wearer *w, int64_t i)
{
	return i >= 0 && i < (int64_t)w->n ? &w->minutes[i] : NULL;
}

static void put(struct wearer *w, int64_t from, unsigned int count, enum doing doing)
{
	for (unsigned int k = 0; k < count; k++) {
		if (minute_of(w, from + k))
			w->doing[from + k] = (uint8_t)doing;
	}
}

/* The length is drawn after the beginning, in every compiler: one call of chance a statement. */
static void put_some(struct wearer *w, int64_t from, unsigned int low, unsigned int high,
		     enum doing doing)
{
	put(w, from, between(w, low, high), doing);
}

static void take_off(struct wearer *w, int64_t from, unsigned int count)
{
	for (unsigned int k = 0; k < count; k++) {
		struct wearer_minute *m = minute_of(w, from + k);

		if (m)
			m->worn = false;
	}
}

static void add_sleep(struct wearer *w, int64_t start, int64_t end, bool nap)
{
	assert(w->n_sleeps < WEARER_SLEEPS_MAX);
	w->sleeps[w->n_sleeps++] = (struct span){ start, end, nap };
}

/* Asleep with some times awake; gives the minute after the last one asleep. */
static int64_t sleep_through(struct wearer *w, int64_t from, unsigned int minutes)
{
	const int64_t end = from + minutes;

	put(w, from, minutes, ASLEEP);
	for (int64_t at = from + between(w, 40, 120); at + 40 < end; at += between(w, 50, 170)) {
		const unsigned int awake = chance(w, 70) ? between(w, 1, 5) : between(w, 6, 28);

		put(w, at, awake, AWAKE_IN_BED);
		if (awake > 5 && chance(w, 40)) /* up for a moment */
			put(w, at + 2, 2, HOUSEWORK);
	}
	return end;
}

/* The night after the day that begins at minute `day`. */
static void live_night(struct wearer *w, int64_t day)
{
	const int64_t bed = day + between(w, 22 * 60, 24 * 60 + 45);
	const int64_t onset = bed + between(w, 4, 45);
	const int64_t end = sleep_through(w, onset, between(w, 330, 540));
	const int64_t up = end + between(w, 2, 25);

	put(w, bed, (unsigned int)(onset - bed), AWAKE_IN_BED);
	put(w, end, (unsigned int)(up - end), AWAKE_IN_BED);
	for (int64_t i = bed; i < up; i++)
		if (minute_of(w, i))
			minute_of(w, i)->in_bed = true;
	put_some(w, up, 5, 30, HOUSEWORK);
	add_sleep(w, onset, end, false);
	if (chance(w, 8))
		take_off(w, bed - 10, (unsigned int)(up - bed) + 25);
}

static void live_day(struct wearer *w, int64_t day)
{
	const unsigned int walks = between(w, 0, 4);

	for (int64_t at = day + ELEVEN; at < day + TEN_PM; at += between(w, 30, 110))
		put_some(w, at, 3, 25, HOUSEWORK);
	for (unsigned int k = 0; k < walks; k++)
		put_some(w, day + between(w, 11 * 60, 20 * 60), 5, 55, WALKING);
	if (chance(w, 15))
		put_some(w, day + between(w, 12 * 60, 18 * 60), 10, 35, RUNNING);
	if (chance(w, 20)) {
		const int64_t from = day + between(w, 14 * 60, 16 * 60);
		const unsigned int minutes = between(w, 20, 85);

		put(w, from, minutes, ASLEEP);
		add_sleep(w, from, from + minutes, true);
	}
	if (chance(w, 60)) { /* a shower */
		const int64_t from = day + between(w, 10 * 60, 12 * 60);

		take_off(w, from, between(w, 8, 25));
	}
	if (chance(w, 15)) { /* forgotten on a table */
		const int64_t from = day + between(w, 12 * 60, 17 * 60);

		take_off(w, from, between(w, 60, 300));
	}
}

static uint8_t halves(struct wearer *w, unsigned int low1, unsigned int high1, unsigned int low2,
		      unsigned int high2)
{
	const unsigned int first = between(w, low1, high1), second = between(w, low2, high2);

	return (uint8_t)((first > 15 ? 15 : first) << 4 | (second > 15 ? 15 : second));
}

/* What the tracker makes of a minute of that kind. */
static void feel(struct wearer *w, struct wearer_minute *m, enum doing doing)
{
	m->state = 0x81;
	m->met_tenths = 10;
	switch (doing) {
	case ASLEEP:
		if (chance(w, 8)) /* turns over */
			m->motion = halves(w, 0, 4, 0, 3);
		break;
	case AWAKE_IN_BED:
		if (chance(w, 65))
			m->motion = halves(w, 0, 5, 0, 5);
		break;
	case SITTING:
		if (chance(w, 75)) {
			m->motion = halves(w, 0, 6, 0, 6);
			m->met_tenths = (uint8_t)between(w, 10, 12);
		}
		if (chance(w, 4))
			m->steps = (uint8_t)between(w, 3, 25);
		break;
	case HOUSEWORK:
		m->motion = halves(w, 2, 12, 2, 12);
		m->met_tenths = (uint8_t)between(w, 12, 25);
		m->steps = (uint8_t)between(w, 0, 45);
		m->state = 0x82;
		break;
	case WALKING:
		m->motion = halves(w, 9, 18, 9, 18);
		m->met_tenths = (uint8_t)between(w, 28, 45);
		m->steps = (uint8_t)between(w, 80, 125);
		m->state = 0x83;
		m->floors_tenths = chance(w, 3) ? 10 : 0;
		break;
	case RUNNING:
		m->motion = 0xff;
		m->met_tenths = (uint8_t)between(w, 60, 100);
		m->steps = (uint8_t)between(w, 150, 225);
		m->state = 0x87;
		break;
	}
	m->active = m->met_tenths >= 30;
}

static void record(struct wearer *w)
{
	for (size_t i = 0; i < w->n; i++) {
		struct wearer_minute *m = &w->minutes[i];

		m->asleep = w->doing[i] == ASLEEP;
		if (m->worn)
			feel(w, m, (enum doing)w->doing[i]);
		else { /* a table is not alive */
			m->state = 0x81;
			m->met_tenths = 10;
		}
		m->recorded = true;
	}
}

static void lose(struct wearer *w, int64_t from, int64_t to)
{
	for (int64_t i = from; i < to; i++) {
		struct wearer_minute *m = minute_of(w, i);

		if (m)
			*m = (struct wearer_minute){ .in_bed = m->in_bed,
						     .asleep = m->asleep,
						     .worn = m->worn };
	}
}

static void live(struct wearer *w, const struct wearer_plan *plan)
{
	for (size_t i = 0; i < w->n; i++)
		w->minutes[i].worn = true;
	live_night(w, -1440);
	for (unsigned int d = 0; d < w->n_days; d++) {
		live_day(w, (w->midnights[d] - w->start) / WEARER_MINUTE_S);
		live_night(w, (w->midnights[d] - w->start) / WEARER_MINUTE_S);
	}
	record(w);
	if (plan->battery_dies >= 0) {
		const int64_t day = (w->midnights[plan->battery_dies] - w->start) / WEARER_MINUTE_S;
		const int64_t from = day + between(w, 600, 1200);

		lose(w, from, day + 1440 + between(w, 500, 1000));
	}
	if (plan->lost_day >= 0)
		lose(w, (w->midnights[plan->lost_day] - w->start) / WEARER_MINUTE_S,
		     (w->midnights[plan->lost_day + 1] - w->start) / WEARER_MINUTE_S);
}

/* ---- made and asked ---- */

static bool can_be(const struct wearer_plan *plan)
{
	const int days = (int)plan->days;

	return days >= 1 && days <= WEARER_DAYS_MAX && plan->first > WEARER_DAY_S &&
	       plan->battery_dies < days && plan->lost_day < days;
}

static void set_days(struct wearer *w, const struct wearer_plan *plan)
{
	int64_t at = plan->first;

	for (unsigned int d = 0; d <= plan->days; d++) {
		(void)wearer_midnight(NULL, at, &w->midnights[d]);
		at = w->midnights[d] +
		     30 * INT64_C(3600); /* in the next day, whatever its length */
	}
	w->n_days = plan->days;
	w->start = w->midnights[0];
	w->n = (size_t)((w->midnights[plan->days] - w->start) / WEARER_MINUTE_S);
}

int wearer_new(const struct wearer_plan *plan, struct wearer **ret)
{
	struct wearer *w;

	if (!can_be(plan))
		return -EINVAL;
	w = calloc(1, sizeof(*w));
	if (!w)
		return -ENOMEM;
	w->random = plan->seed;
	w->memory_minutes = plan->memory_minutes ? plan->memory_minutes : MEMORY_MINUTES;
	set_days(w, plan);
	live(w, plan);
	*ret = w;
	return 0;
}

void wearer_free(struct wearer *w)
{
	free(w);
}

const struct wearer_minute *wearer_minutes(const struct wearer *w, size_t *ret_n,
					   int64_t *ret_start)
{
	*ret_n = w->n;
	*ret_start = w->start;
	return w->minutes;
}

bool wearer_alive(const struct wearer *w, int64_t at)
{
	return at >= w->start && (at - w->start) / WEARER_MINUTE_S < (int64_t)w->n &&
	       w->minutes[(at - w->start) / WEARER_MINUTE_S].recorded;
}

/* What a minute has so far. */
struct wearer_minute wearer_so_far(const struct wearer *w, size_t i, int64_t until)
{
	const int64_t at = w->start + (int64_t)i * WEARER_MINUTE_S;
	struct wearer_minute m = w->minutes[i];

	if (until >= at + WEARER_MINUTE_S)
		return m;
	m.steps = (uint8_t)(m.steps * (until - at) / WEARER_MINUTE_S);
	m.met_tenths = (uint8_t)(m.met_tenths * (until - at) / WEARER_MINUTE_S);
	m.floors_tenths = m.active = 0;
	return m;
}

static void add_minute(struct wearer_day *day, const struct wearer_minute *m)
{
	if (!m->recorded)
		return;
	day->recorded++;
	day->worn += m->worn;
	day->steps += m->steps;
	day->met_tenths += m->met_tenths;
	day->floors_tenths += m->floors_tenths;
	day->active_minutes += m->active;
}

int wearer_day(const struct wearer *w, unsigned int i, int64_t until, struct wearer_day *ret)
{
	struct wearer_day day = { 0 };

	if (i >= w->n_days)
		return -ENOENT;
	day.start = w->midnights[i];
	day.end = w->midnights[i + 1];
	for (int64_t at = day.start; at < day.end && at < until; at += WEARER_MINUTE_S) {
		const struct wearer_minute m =
			wearer_so_far(w, (size_t)((at - w->start) / WEARER_MINUTE_S), until);

		add_minute(&day, &m);
	}
	day.distance_mm = day.steps * WEARER_STRIDE_MM;
	*ret = day;
	return 0;
}

int wearer_sleep(const struct wearer *w, unsigned int i, struct wearer_sleep *ret)
{
	struct wearer_sleep sleep = { 0 };
	bool was_asleep = true;

	if (i >= w->n_sleeps)
		return -ENOENT;
	sleep.start = w->start + w->sleeps[i].start * WEARER_MINUTE_S;
	sleep.end = w->start + w->sleeps[i].end * WEARER_MINUTE_S;
	sleep.nap = w->sleeps[i].nap;
	sleep.whole = w->sleeps[i].start >= 0 && w->sleeps[i].end <= (int64_t)w->n;
	for (int64_t k = w->sleeps[i].start; k < w->sleeps[i].end; k++) {
		const struct wearer_minute *m = k >= 0 && k < (int64_t)w->n ? &w->minutes[k] : NULL;

		if (!m)
			continue;
		sleep.whole = sleep.whole && m->recorded && m->worn;
		sleep.asleep += m->asleep;
		sleep.awake += !m->asleep;
		sleep.times_awake += was_asleep && !m->asleep;
		was_asleep = m->asleep;
	}
	*ret = sleep;
	return 0;
}

int wearer_synced(struct wearer *w, int64_t at)
{
	if (!wearer_alive(w, at))
		return -ENODATA;
	if (w->n_syncs == WEARER_SYNCS_MAX) {
		memmove(w->syncs, w->syncs + 1, sizeof(w->syncs) - sizeof(w->syncs[0]));
		w->n_syncs--;
	}
	w->syncs[w->n_syncs++] = at;
	return 0;
}
