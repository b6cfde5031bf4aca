/*
 * When did it arrive? By the hub's clock if that is synchronised, else by what is known of the boot
 * (anchor.h), else as the wall clock says, and then it is said that nobody vouches for it.
 */
#include <errno.h>
#include <string.h>
#include <sys/timex.h>
#include <systemd/sd-id128.h>
#include <time.h>

#include "gateway/intake/steps.h"

enum {
	BOOT_ID_BYTES = 16,
	CLOCK_TRIES = 5,
	CLOCK_APART_US = 1000,
	STEPPED_MS = 2000,   /* wall clock against steady clock: set in between */
	GOOD_MS = 60 * 1000, /* a clock that was right and is off by less still is */
};
#define LATEST_MS INT64_C(253402300799000)

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

/* Both clocks at one instant: between two readings of the steady one that are close together. */
static void both_clocks(struct receipt *ret)
{
	for (int i = 0; i < CLOCK_TRIES; i++) {
		const int64_t before = nanoseconds(CLOCK_BOOTTIME);

		ret->utc_ms = nanoseconds(CLOCK_REALTIME) / 1000000;
		ret->boottime_us = nanoseconds(CLOCK_BOOTTIME) / 1000;
		if (ret->boottime_us - before / 1000 < CLOCK_APART_US)
			return;
	}
}

void receipt_now(struct receipt *ret)
{
	sd_id128_t boot = SD_ID128_NULL; /* stays so if the kernel does not say */

	(void)sd_id128_get_boot(&boot);
	memcpy(ret->boot_id, boot.bytes, sizeof(ret->boot_id));
	/* asked first: a clock that is set after the question, before it is read, is not believed
	 * yet; the other way round the time from before would be */
	ret->synced = clock_is_synced();
	both_clocks(ret);
}

/* ---- the receipt of this measurement */

/* What another boot, or this one when it still knew, says about a receipt. */
static void by_anchor(const struct intake *in, struct receipt *seen)
{
	struct anchored anchored;

	if (anchor_utc(&in->anchors, seen->boot_id, seen->boottime_us, &anchored) < 0)
		return;
	seen->utc_ms = anchored.utc_ms;
	seen->synced = anchored.grade == ANCHOR_HUB && anchored.error_ms <= GOOD_MS;
}

/* The devices process stamped the frame on arrival. Within one boot the steady clock says how long
 * ago that was, so the time is as good as our clock is now; otherwise it is that boot's, if we know
 * when that was, or else theirs is all there is. */
static void seen_by_devices(const struct intake *in, const Wellgate__V1__Measurement *m,
			    const struct receipt *now, struct receipt *ret)
{
	int64_t ago_us;
	bool this_boot;

	*ret = *now;
	memcpy(ret->boot_id, m->seen_boot_id.data, sizeof(ret->boot_id));
	ret->boottime_us = m->seen_boottime_us;
	this_boot = memcmp(ret->boot_id, now->boot_id, sizeof(ret->boot_id)) == 0;
	if (this_boot && !__builtin_sub_overflow(now->boottime_us, m->seen_boottime_us, &ago_us) &&
	    ago_us >= 0) {
		ret->utc_ms = now->utc_ms - ago_us / 1000;
		return;
	}
	ret->utc_ms = m->seen_utc_ms;
	ret->synced = false;
	if (!this_boot)
		by_anchor(in, ret);
}

/* A wall clock that was set between the frame and now was wrong when the device's clock was
 * compared with it, on the same link. */
static bool was_set_since(const Wellgate__V1__Measurement *m, const struct receipt *seen)
{
	int64_t step;

	return __builtin_sub_overflow(seen->utc_ms, m->seen_utc_ms, &step) || step >= STEPPED_MS ||
	       step <= -STEPPED_MS;
}

static int real_receipt(struct intake *in, const struct receipt *now, struct draft *d)
{
	const Wellgate__V1__Measurement *m = d->m;
	struct receipt best = *now;

	if (anchor_by_hub(&in->anchors, now) > 0)
		in->anchored = true;
	if (!best.synced)
		by_anchor(in, &best); /* it was, in this boot */
	d->seen = best;
	if (!m->has_seen_boottime_us || !m->has_seen_boot_id || !m->has_seen_utc_ms)
		return 0;
	if (m->seen_boot_id.len != BOOT_ID_BYTES)
		return -EBADMSG;
	seen_by_devices(in, m, &best, &d->seen);
	d->hub_was_set = was_set_since(m, &d->seen);
	return 0;
}

int intake_receipt(struct intake *in, const struct receipt *now, struct draft *d)
{
	const Wellgate__V1__Measurement *m = d->m;
	int r = 0;

	if (m->has_simulated_at_ms) {
		if (!m->test && !in->test)
			return -EBADMSG; /* nobody may set a real reading's time of receipt */
		d->seen = (struct receipt){ .utc_ms = m->simulated_at_ms, .synced = true };
		d->simulated = true;
	} else {
		r = real_receipt(in, now, d);
	}
	if (r < 0)
		return r;
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
