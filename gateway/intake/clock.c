/*
 * When was it measured? The table below is that of HL7 PHD IG 2.0.0 (timestamps; domain.md 1.5),
 * and what it leaves open. "Compared": the device's clock was read on this link, with the hub's own
 * synchronised. "Timeline": whether the device's clock ran without a break since the stamp; where
 * nobody says, it is taken to have, and doubted where it matters (is_doubtful, changes_zone).
 *
 * There is no time (CLOCK_UNKNOWN, TIME_UNCERTAIN, time_fault says why) also where it would come
 * out before 2015 or over 5 minutes ahead of us, and for what is out of memory without a stamp.
 *
 * A stamp is usable if it is a whole, possible date and the device does not say that its clock was
 * never set. Local stamps are read in the hub's zone. A local time that came by twice (clocks put
 * back) is taken as the earlier; one that never was (put forward) is read with the offset before;
 * both are flagged TIME_UNCERTAIN. A compared clock is one line, whatever it shows, so there
 * neither can happen.
 *
 * The coincident record of the IG is what goes with a shifted stamp: clock_correction_ms, and for a
 * counter the difference between measured_at_ms and the counter as sent.
 */
#include <errno.h>

#include "gateway/intake/steps.h"

#define KIND(name)     WELLGATE__V1__DEVICE_TIME__KIND__KIND_##name
#define CLOCK(name)    WELLGATE__V1__CLOCK_QUALITY__CLOCK_##name
#define FAULT(name)    WELLGATE__V1__TIME_FAULT__TIME_FAULT_##name
#define TIMELINE(name) WELLGATE__V1__TIMELINE__TIMELINE_##name

enum {
	AHEAD_MS = 5 * 60 * 1000,
	CORRECTED_MS = 60 * 1000, /* clocks that show minutes are off by less */
	LIVE_MS = 15 * 60 * 1000, /* what is older was kept by the device */
	LATE_MS = 24 * 3600 * 1000,
	YEAR_MAX = 9999,
};
#define DURATION_MAX_MS (INT64_C(31) * 24 * 3600 * 1000)
#define EARLIEST_MS     INT64_C(1420070400000) /* 2015-01-01: before any of this hardware */
#define LATEST_MS       INT64_C(253402300799000)

/* ---- the device's stamp */

static bool is_possible(const Wellgate__V1__DeviceTime *t)
{
	return t->year >= 1 && t->year <= YEAR_MAX && t->month >= 1 && t->month <= 12 &&
	       t->day >= 1 && t->day <= zone_days_in_month(t->year, t->month) && t->hour < 24 &&
	       t->minute < 60 && t->second < 60 && t->fraction_us < 1000000;
}

/* the stamp in ms, its date and time read as if it were UTC */
static int64_t naive_ms(const Wellgate__V1__DeviceTime *t)
{
	int64_t day = zone_day_number(t->year, t->month, t->day);

	return ((day * 24 + t->hour) * 60 + t->minute) * 60000 + t->second * INT64_C(1000) +
	       t->fraction_us / 1000;
}

bool intake_device_ms(const Wellgate__V1__DeviceTime *t, int64_t *ret)
{
	if (!t || (t->kind != KIND(LOCAL) && t->kind != KIND(UTC)) || !is_possible(t))
		return false;
	*ret = naive_ms(t);
	return true;
}

struct answer {
	Wellgate__V1__ClockQuality clock;
	int64_t at_ms;
	bool has_correction;
	int64_t correction_ms;
	Wellgate__V1__TimeFault fault; /* CLOCK_UNKNOWN: why */
};

static void no_time(struct draft *d, Wellgate__V1__TimeFault fault, struct answer *ret)
{
	*ret = (struct answer){ .clock = CLOCK(UNKNOWN), .fault = fault };
	d->flags &= ~FLAG_BIT(FLAG_TIME_CORRECTED);
	d->flags |= FLAG_BIT(FLAG_TIME_UNCERTAIN);
}

/* ---- the table */

enum stamp {
	NO_STAMP,
	DATE, /* UTC or local time */
	TICKS,
	UNREADABLE, /* a stamp that this version, or any arithmetic, cannot follow */
};
enum is {
	NO,
	YES,
	ANY
};
enum action {
	KEEP,        /*                         DEVICE_TRUSTED */
	SHIFT,       /* by hub - device         DEVICE_CORRECTED */
	AS_STAMPED,  /* graded                  DEVICE_UNVERIFIED */
	RECEIPT,     /* less the duration       HUB_SYNCED or RECEIPT_UNSYNCED */
	THROW_AWAY,  /* the time, never the reading: TIME_FAULT_SENSOR */
	NO_ANCHOR,   /*                         TIME_FAULT_NO_ANCHOR */
	NOT_STAMPED, /* and out of memory       TIME_FAULT_NO_STAMP */
};

struct rule {
	enum stamp stamp;
	enum is current, synced, compared, stored;
	enum action action;
};

/* The first that fits; one does. Externally synchronised comes before compared: the hub is the
 * worse clock then. "Fix zone only" is what KEEP does to a local stamp. */
static const struct rule rules[] = {
	/* stamp   timeline  externally  compared  out of
	 *         current   synced                memory  */
	{ DATE, YES, YES, ANY, ANY, KEEP },
	{ DATE, YES, NO, YES, ANY, SHIFT },
	{ DATE, YES, NO, NO, ANY, AS_STAMPED }, /* it cannot tell its time, or we could not */
	{ DATE, NO, YES, ANY, ANY, KEEP },
	{ DATE, NO, NO, ANY, ANY, THROW_AWAY },
	{ TICKS, YES, ANY, YES, ANY, SHIFT },
	{ TICKS, YES, ANY, NO, ANY, NO_ANCHOR },
	{ TICKS, NO, ANY, ANY, ANY, THROW_AWAY },
	{ UNREADABLE, ANY, ANY, ANY, ANY, THROW_AWAY },
	{ NO_STAMP, ANY, ANY, ANY, NO, RECEIPT },
	{ NO_STAMP, ANY, ANY, ANY, YES, NOT_STAMPED }, /* it may be years old */
};

static bool is(enum is asked, bool fact)
{
	return asked == ANY || (asked == YES) == fact;
}

static enum action action_for(const struct draft *d, enum stamp stamp)
{
	const Wellgate__V1__Measurement *m = d->m;
	const bool current = m->timeline != TIMELINE(EARLIER);
	const bool compared = m->has_clock_offset_ms && d->seen.synced && !d->hub_was_set;
	const bool stored = (d->flags & FLAG_BIT(FLAG_BACKFILL)) != 0;

	for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
		const struct rule *rule = &rules[i];

		if (rule->stamp == stamp && is(rule->current, current) &&
		    is(rule->synced, m->clock_synced) && is(rule->compared, compared) &&
		    is(rule->stored, stored))
			return rule->action;
	}
	return THROW_AWAY;
}

/* ---- what the stamp says */

static int64_t magnitude(int64_t n)
{
	return n < 0 ? -n : n;
}

struct stamped {
	int64_t naive_ms; /* a counter in ms, or a date and time read as UTC */
	int64_t at_ms;    /* read in the hub's zone; DATE only */
	enum zone_fold fold;
};

static void read_date(const struct intake *in, const Wellgate__V1__DeviceTime *t,
		      struct stamped *ret)
{
	int64_t utc_s;

	*ret = (struct stamped){ .naive_ms = naive_ms(t), .fold = ZONE_ONCE };
	ret->at_ms = ret->naive_ms;
	if (t->kind != KIND(LOCAL))
		return;
	/* naive is above zero for every year that passes doubt() */
	ret->fold = zone_to_utc(in->zone, ret->naive_ms / 1000, &utc_s);
	ret->at_ms = utc_s * 1000 + ret->naive_ms % 1000;
}

static enum stamp read_stamp(const struct intake *in, struct draft *d, struct stamped *ret)
{
	const Wellgate__V1__DeviceTime *t = d->m->device_time;
	uint64_t us;

	switch (t ? t->kind : KIND(UNSPECIFIED)) {
	case KIND(LOCAL):
	case KIND(UTC):
		if (!is_possible(t))
			d->flags |= FLAG_BIT(FLAG_CLOCK_NOT_SET);
		if (d->flags & FLAG_BIT(FLAG_CLOCK_NOT_SET))
			return NO_STAMP;
		read_date(in, t, ret);
		return DATE;
	case KIND(TICKS):
		if (__builtin_mul_overflow(t->ticks, t->tick_us, &us))
			return UNREADABLE;
		ret->naive_ms = (int64_t)(us / 1000);
		return TICKS;
	case KIND(UNSPECIFIED):
		return NO_STAMP;
	case _WELLGATE__V1__DEVICE_TIME__KIND_IS_INT_SIZE:
	default:
		return UNREADABLE; /* a kind from a later version: the receipt is not its time */
	}
}

/* ---- what is done with it */

static void from_receipt(struct draft *d, struct answer *ret)
{
	ret->clock = d->seen.synced ? CLOCK(HUB_SYNCED) : CLOCK(RECEIPT_UNSYNCED);
	ret->at_ms = d->seen.utc_ms - d->m->duration_ms; /* it ended when it came */
}

static void as_stamped(struct draft *d, const struct stamped *s, Wellgate__V1__ClockQuality clock,
		       struct answer *ret)
{
	ret->clock = clock;
	ret->at_ms = s->at_ms;
	if (s->fold != ZONE_ONCE)
		d->flags |= FLAG_BIT(FLAG_TIME_UNCERTAIN);
}

/* A clock that shows no time of our days runs from where its battery was put in, and the one before
 * began at the same place: for what it kept, nobody can tell the two apart. */
static bool is_doubtful(const struct draft *d, int64_t at_ms)
{
	int64_t device_now_ms;
	bool kept = (d->flags & FLAG_BIT(FLAG_BACKFILL)) ||
		    d->seen.utc_ms - (at_ms + d->m->duration_ms) > LIVE_MS;

	return kept && d->m->timeline != TIMELINE(CURRENT) &&
	       !__builtin_sub_overflow(d->seen.utc_ms, d->m->clock_offset_ms, &device_now_ms) &&
	       device_now_ms < EARLIEST_MS;
}

/* Summer time began or ended since, and the device's clock shows the right time now: was it put
 * right in between? If so its stamp says the time as it is, if not it is one hour out. Where both
 * come to the same (a clock that is an hour out now) there is no doubt. */
static bool changes_zone(const struct intake *in, const struct draft *d, int64_t at_ms,
			 int64_t correction_ms)
{
	return d->m->device_time->kind == KIND(LOCAL) && d->m->timeline != TIMELINE(CURRENT) &&
	       magnitude(correction_ms) >= CORRECTED_MS &&
	       zone_offset(in->zone, at_ms / 1000) != zone_offset(in->zone, d->seen.utc_ms / 1000);
}

static void shifted(const struct intake *in, struct draft *d, enum stamp stamp,
		    const struct stamped *s, struct answer *ret)
{
	if (__builtin_add_overflow(s->naive_ms, d->m->clock_offset_ms, &ret->at_ms) ||
	    magnitude(ret->at_ms) > LATEST_MS || ret->at_ms == INT64_MIN) {
		no_time(d, FAULT(SENSOR), ret);
		return;
	}
	ret->clock = CLOCK(DEVICE_CORRECTED);
	if (stamp == DATE) {
		ret->has_correction = true;
		ret->correction_ms = ret->at_ms - s->at_ms;
		if (magnitude(ret->correction_ms) >= CORRECTED_MS)
			d->flags |= FLAG_BIT(FLAG_TIME_CORRECTED);
		if (changes_zone(in, d, ret->at_ms, ret->correction_ms))
			d->flags |= FLAG_BIT(FLAG_TIME_UNCERTAIN);
	}
	if (is_doubtful(d, ret->at_ms)) {
		ret->clock = CLOCK(DEVICE_UNVERIFIED);
		d->flags |= FLAG_BIT(FLAG_TIME_UNCERTAIN);
	}
}

static void decide(const struct intake *in, struct draft *d, struct answer *ret)
{
	struct stamped s = { 0 };
	const enum stamp stamp = read_stamp(in, d, &s);

	switch (action_for(d, stamp)) {
	case KEEP:
		as_stamped(d, &s, CLOCK(DEVICE_TRUSTED), ret);
		return;
	case SHIFT:
		shifted(in, d, stamp, &s, ret);
		return;
	case AS_STAMPED:
		as_stamped(d, &s, CLOCK(DEVICE_UNVERIFIED), ret);
		return;
	case RECEIPT:
		from_receipt(d, ret);
		return;
	case THROW_AWAY:
		no_time(d, FAULT(SENSOR), ret);
		return;
	case NO_ANCHOR:
		no_time(d, FAULT(NO_ANCHOR), ret);
		return;
	case NOT_STAMPED:
		no_time(d, FAULT(NO_STAMP), ret);
		return;
	}
}

/* Whichever way the time was found: it must be a time at which this can have happened. A hub that
 * does not know the time cannot say what is ahead of it, but neither vouch for it. */
static void doubt(struct draft *d, struct answer *a)
{
	const bool ahead = a->at_ms > d->seen.utc_ms + AHEAD_MS;
	const bool by_hub = a->clock == CLOCK(HUB_SYNCED) || a->clock == CLOCK(RECEIPT_UNSYNCED);

	if (a->clock == CLOCK(UNKNOWN))
		return;
	if (a->at_ms < EARLIEST_MS)
		no_time(d, by_hub ? FAULT(HUB) : FAULT(SENSOR), a);
	else if (ahead && d->seen.synced)
		no_time(d, FAULT(SENSOR), a);
	else if (ahead && a->clock != CLOCK(DEVICE_TRUSTED))
		no_time(d, FAULT(HUB), a);
	else if (d->seen.utc_ms - (a->at_ms + d->m->duration_ms) > LATE_MS)
		d->flags |= FLAG_BIT(FLAG_LATE);
}

int intake_clock(const struct intake *in, struct draft *d)
{
	struct answer answer = { .clock = CLOCK(UNKNOWN) };

	if (d->m->has_duration_ms && (d->m->duration_ms < 0 || d->m->duration_ms > DURATION_MAX_MS))
		return -EBADMSG;
	decide(in, d, &answer);
	doubt(d, &answer);
	d->r->has_clock = true;
	d->r->clock = answer.clock;
	if (answer.clock == CLOCK(UNKNOWN)) {
		d->r->has_time_fault = true;
		d->r->time_fault = answer.fault;
		return 0;
	}
	d->r->has_measured_at_ms = true;
	d->r->measured_at_ms = answer.at_ms;
	d->r->has_clock_correction_ms = answer.has_correction;
	d->r->clock_correction_ms = answer.correction_ms;
	d->r->has_utc_offset_min = d->r->has_offset_source = true;
	d->r->utc_offset_min = zone_offset(in->zone, answer.at_ms / 1000) / 60;
	d->r->offset_source = in->zone_stated ? WELLGATE__V1__OFFSET_SOURCE__OFFSET_IMPORT
					      : WELLGATE__V1__OFFSET_SOURCE__OFFSET_HUB_ZONE;
	return 0;
}
