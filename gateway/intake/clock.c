/*
 * When was it measured? The rules, in order (domain.md 1.5):
 *
 *   device stamp, its clock set from outside        as stamped                  DEVICE_TRUSTED
 *   device stamp, offset measured, hub synchronised stamp + offset              DEVICE_CORRECTED
 *   device stamp, otherwise                         as stamped                  DEVICE_UNVERIFIED
 *   counter, offset measured, hub synchronised      counter + offset            DEVICE_CORRECTED
 *   no usable stamp, just measured                  receipt (less duration)     HUB_SYNCED or
 *                                                                               RECEIPT_UNSYNCED
 *   out of the device's memory without usable stamp, a counter without anchor,
 *   or a time before 2015 or over 5 minutes ahead   none: TIME_UNCERTAIN        UNKNOWN
 *
 * A stamp is usable if it is a whole, possible date and the device does not say that its clock was
 * never set. Local stamps are read in the hub's zone. A local time that came by twice (clocks put
 * back) is taken as the earlier; one that never was (put forward) is read with the offset before;
 * both are flagged TIME_UNCERTAIN. With a measured offset neither can happen: the device's clock is
 * then one line, whatever it shows.
 */
#include <errno.h>
#include <string.h>
#include <sys/timex.h>
#include <systemd/sd-id128.h>
#include <time.h>

#include "gateway/intake/steps.h"

#define KIND(name)  WELLGATE__V1__DEVICE_TIME__KIND__KIND_##name
#define CLOCK(name) WELLGATE__V1__CLOCK_QUALITY__CLOCK_##name

enum {
	AHEAD_MS = 5 * 60 * 1000,
	CORRECTED_MS = 60 * 1000, /* clocks that show minutes are off by less */
	LATE_MS = 24 * 3600 * 1000,
	BOOT_ID_BYTES = 16,
	YEAR_MAX = 9999,
};
#define DURATION_MAX_MS (INT64_C(31) * 24 * 3600 * 1000)
#define EARLIEST_MS     INT64_C(1420070400000) /* 2015-01-01: before any of this hardware */
#define LATEST_MS       INT64_C(253402300799000)

/* ---- the hub's clocks */

static bool clock_is_synced(void)
{
	struct timex state = { 0 };

	return adjtimex(&state) != TIME_ERROR && !(state.status & STA_UNSYNC);
}

static int64_t nanoseconds(clockid_t id)
{
	struct timespec now = { 0 };

	(void)clock_gettime(id, &now);
	return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

void receipt_now(struct receipt *ret)
{
	sd_id128_t boot = SD_ID128_NULL; /* stays so if the kernel does not say */

	(void)sd_id128_get_boot(&boot);
	ret->utc_ms = nanoseconds(CLOCK_REALTIME) / 1000000;
	ret->boottime_us = nanoseconds(CLOCK_BOOTTIME) / 1000;
	memcpy(ret->boot_id, boot.bytes, sizeof(ret->boot_id));
	ret->synced = clock_is_synced();
}

/* ---- the receipt of this measurement */

/* The devices process stamped the frame on arrival. Within one boot the steady clock says how long
 * ago that was, so the time is as good as our clock is now; otherwise theirs is all there is. */
static void seen_by_devices(const Wellgate__V1__Measurement *m, const struct receipt *now,
			    struct receipt *ret)
{
	int64_t ago_us;

	*ret = *now;
	memcpy(ret->boot_id, m->seen_boot_id.data, sizeof(ret->boot_id));
	ret->boottime_us = m->seen_boottime_us;
	if (memcmp(ret->boot_id, now->boot_id, sizeof(ret->boot_id)) == 0 &&
	    !__builtin_sub_overflow(now->boottime_us, m->seen_boottime_us, &ago_us) &&
	    ago_us >= 0) {
		ret->utc_ms = now->utc_ms - ago_us / 1000;
		return;
	}
	ret->utc_ms = m->seen_utc_ms;
	ret->synced = false;
}

int intake_receipt(const struct intake *in, const struct receipt *now, struct draft *d)
{
	const Wellgate__V1__Measurement *m = d->m;

	d->seen = *now;
	if (m->has_simulated_at_ms) {
		if (!m->test && !in->test)
			return -EBADMSG; /* nobody may set a real reading's time of receipt */
		d->seen = (struct receipt){ .utc_ms = m->simulated_at_ms, .synced = true };
		d->simulated = true;
	} else if (m->has_seen_boottime_us && m->has_seen_boot_id && m->has_seen_utc_ms) {
		if (m->seen_boot_id.len != BOOT_ID_BYTES)
			return -EBADMSG;
		seen_by_devices(m, now, &d->seen);
	}
	if (d->seen.utc_ms < -LATEST_MS || d->seen.utc_ms > LATEST_MS)
		return -EBADMSG;
	d->r->has_received_at_ms = true;
	d->r->received_at_ms = d->seen.utc_ms;
	if (d->simulated)
		return 0;
	d->r->has_boot_id = d->r->has_received_boottime_us = true;
	d->r->received_boottime_us = d->seen.boottime_us;
	d->r->boot_id.len = BOOT_ID_BYTES;
	d->r->boot_id.data = arena_memdup(d->arena, d->seen.boot_id, BOOT_ID_BYTES);
	return d->r->boot_id.data ? 0 : -ENOMEM;
}

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

struct answer {
	Wellgate__V1__ClockQuality clock;
	int64_t at_ms;
	bool has_correction;
	int64_t correction_ms;
};

static void no_time(struct draft *d, struct answer *ret)
{
	*ret = (struct answer){ .clock = CLOCK(UNKNOWN) };
	d->flags |= FLAG_BIT(FLAG_TIME_UNCERTAIN);
}

static void from_receipt(struct draft *d, struct answer *ret)
{
	if (d->flags & FLAG_BIT(FLAG_BACKFILL)) {
		no_time(d, ret); /* it may be years old */
		return;
	}
	ret->clock = d->seen.synced ? CLOCK(HUB_SYNCED) : CLOCK(RECEIPT_UNSYNCED);
	ret->at_ms = d->seen.utc_ms - d->m->duration_ms; /* it ended when it came */
}

static bool can_correct(const struct draft *d)
{
	return d->m->has_clock_offset_ms && d->seen.synced;
}

static void corrected(struct draft *d, int64_t stamp_ms, struct answer *ret)
{
	ret->clock = CLOCK(DEVICE_CORRECTED);
	if (__builtin_add_overflow(stamp_ms, d->m->clock_offset_ms, &ret->at_ms))
		no_time(d, ret);
}

static int64_t magnitude(int64_t n)
{
	return n < 0 ? -n : n;
}

static void from_date(const struct intake *in, struct draft *d, struct answer *ret)
{
	const Wellgate__V1__DeviceTime *t = d->m->device_time;
	int64_t naive = naive_ms(t), as_stamped = naive;
	enum zone_fold fold = ZONE_ONCE;

	if (t->kind == KIND(LOCAL)) {
		int64_t utc_s;

		/* naive is above zero for every year that passes doubt() */
		fold = zone_to_utc(in->zone, naive / 1000, &utc_s);
		as_stamped = utc_s * 1000 + naive % 1000;
	}
	if (!d->m->clock_synced && can_correct(d)) {
		corrected(d, naive, ret);
		if (ret->clock == CLOCK(UNKNOWN) ||
		    __builtin_sub_overflow(ret->at_ms, as_stamped, &ret->correction_ms))
			return;
		ret->has_correction = true;
		if (ret->correction_ms == INT64_MIN ||
		    magnitude(ret->correction_ms) >= CORRECTED_MS)
			d->flags |= FLAG_BIT(FLAG_TIME_CORRECTED);
		return;
	}
	ret->clock = d->m->clock_synced ? CLOCK(DEVICE_TRUSTED) : CLOCK(DEVICE_UNVERIFIED);
	ret->at_ms = as_stamped;
	if (fold != ZONE_ONCE)
		d->flags |= FLAG_BIT(FLAG_TIME_UNCERTAIN);
}

static void from_ticks(struct draft *d, struct answer *ret)
{
	const Wellgate__V1__DeviceTime *t = d->m->device_time;
	uint64_t us;

	if (!can_correct(d) || __builtin_mul_overflow(t->ticks, t->tick_us, &us))
		no_time(d, ret);
	else
		corrected(d, (int64_t)(us / 1000), ret);
}

static void from_stamp(const struct intake *in, struct draft *d, struct answer *ret)
{
	const Wellgate__V1__DeviceTime *t = d->m->device_time;

	switch (t ? t->kind : KIND(UNSPECIFIED)) {
	case KIND(LOCAL):
	case KIND(UTC):
		if (!is_possible(t))
			d->flags |= FLAG_BIT(FLAG_CLOCK_NOT_SET);
		if (d->flags & FLAG_BIT(FLAG_CLOCK_NOT_SET))
			from_receipt(d, ret);
		else
			from_date(in, d, ret);
		return;
	case KIND(TICKS):
		from_ticks(d, ret);
		return;
	case KIND(UNSPECIFIED):
		from_receipt(d, ret);
		return;
	case _WELLGATE__V1__DEVICE_TIME__KIND_IS_INT_SIZE:
	default:
		no_time(d, ret);
	}
}

/* Whichever way the time was found: it must be a time at which this can have happened. */
static void doubt(struct draft *d, struct answer *a)
{
	if (a->clock == CLOCK(UNKNOWN))
		return;
	if (a->at_ms < EARLIEST_MS || a->at_ms > d->seen.utc_ms + AHEAD_MS)
		no_time(d, a);
	else if (d->seen.utc_ms - (a->at_ms + d->m->duration_ms) > LATE_MS)
		d->flags |= FLAG_BIT(FLAG_LATE);
}

int intake_clock(const struct intake *in, struct draft *d)
{
	struct answer answer = { .clock = CLOCK(UNKNOWN) };

	if (d->m->has_duration_ms && (d->m->duration_ms < 0 || d->m->duration_ms > DURATION_MAX_MS))
		return -EBADMSG;
	from_stamp(in, d, &answer);
	doubt(d, &answer);
	d->r->has_clock = true;
	d->r->clock = answer.clock;
	if (answer.clock == CLOCK(UNKNOWN))
		return 0;
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
