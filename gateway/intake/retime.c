/*
 * A reading from before the hub knew the time, when the time of that boot has since become known: a
 * new revision of it. The rules are those of clock.c, asked again with the receipt as it was.
 */
#include <errno.h>
#include <string.h>

#include "gateway/intake/steps.h"

#define CLOCK(name) WELLGATE__V1__CLOCK_QUALITY__CLOCK_##name
#define RETIMED \
	(FLAG_BIT(FLAG_TIME_UNCERTAIN) | FLAG_BIT(FLAG_LATE) | FLAG_BIT(FLAG_TIME_CORRECTED))
enum {
	CERTAIN_MS = 5 * 60 * 1000,
	MOVED_MS = 2000,
	FLAGS_MAX = 63,
};

static uint64_t flags_of(const Wellgate__V1__Reading *r)
{
	uint64_t flags = 0;

	for (size_t i = 0; i < r->n_flags; i++) {
		if ((unsigned int)r->flags[i] <= FLAGS_MAX)
			flags |= FLAG_BIT((unsigned int)r->flags[i]);
	}
	return flags;
}

int intake_anchor(struct intake *in, const struct receipt *now)
{
	const bool news = anchor_by_hub(&in->anchors, now) > 0 || in->anchored;

	in->anchored = false;
	return news;
}

int intake_anchor_by_device(struct intake *in, const Wellgate__V1__Reading *r, int64_t offset_ms,
			    const struct receipt *now)
{
	int64_t device_ms;

	if (!r->has_boot_id || r->boot_id.len != ANCHOR_BOOT_ID || !r->has_received_boottime_us ||
	    (flags_of(r) & FLAG_BIT(FLAG_CLOCK_NOT_SET)) ||
	    !intake_device_ms(r->device_time, &device_ms))
		return 0;
	return anchor_by_device(&in->anchors, r->boot_id.data, r->received_boottime_us, device_ms,
				offset_ms, now);
}

static bool was_moved(const Wellgate__V1__Reading *r, int64_t utc_ms)
{
	int64_t by;

	return __builtin_sub_overflow(utc_ms, r->received_at_ms, &by) || by >= MOVED_MS ||
	       by <= -MOVED_MS;
}

/* Does what is known now touch it? A fault of the device's clock is not mended by ours. */
static bool is_touched(const Wellgate__V1__Reading *r, const struct anchored *now)
{
	if (r->clock == CLOCK(RECEIPT_UNSYNCED))
		return true;
	if (r->clock == CLOCK(UNKNOWN))
		return r->time_fault == WELLGATE__V1__TIME_FAULT__TIME_FAULT_HUB;
	return now->grade == ANCHOR_HUB && was_moved(r, now->utc_ms);
}

static bool is_better(const Wellgate__V1__Reading *now, const Wellgate__V1__Reading *old)
{
	return now->clock != old->clock || now->time_fault != old->time_fault ||
	       (now->has_measured_at_ms && now->measured_at_ms != old->measured_at_ms);
}

/* what the rules have to say anew */
static void forget_time(Wellgate__V1__Reading *r)
{
	r->has_measured_at_ms = r->has_clock = r->has_time_fault = false;
	r->has_clock_correction_ms = r->has_utc_offset_min = r->has_offset_source = false;
	r->measured_at_ms = r->clock_correction_ms = 0;
	r->utc_offset_min = 0;
	r->time_fault = WELLGATE__V1__TIME_FAULT__TIME_FAULT_UNSPECIFIED;
	r->offset_source = WELLGATE__V1__OFFSET_SOURCE__OFFSET_UNSPECIFIED;
	r->n_flags = 0;
	r->flags = NULL;
}

static int judge(const struct intake *in, const Wellgate__V1__Reading *old,
		 const struct anchored *anchored, struct draft *d)
{
	Wellgate__V1__Measurement m = WELLGATE__V1__MEASUREMENT__INIT;
	int r;

	m.device_time = old->device_time;
	m.has_duration_ms = old->has_duration_ms;
	m.duration_ms = old->duration_ms;
	d->m = &m;
	d->seen.utc_ms = anchored->utc_ms;
	d->seen.synced = anchored->grade == ANCHOR_HUB;
	d->flags = flags_of(old) & ~RETIMED;
	if (anchored->grade != ANCHOR_HUB || anchored->error_ms > CERTAIN_MS)
		d->flags |= FLAG_BIT(FLAG_TIME_UNCERTAIN);
	forget_time(d->r);
	d->r->received_at_ms = anchored->utc_ms;
	r = intake_clock(in, d);
	d->m = NULL;
	return r;
}

static int revise(const struct intake *in, struct draft *d)
{
	int r = intake_attribute(in, d);

	if (r == 0)
		r = intake_list_flags(d);
	return r == 0 ? intake_revise(d->r, d->arena, &d->r) : r;
}

int intake_retime(const struct intake *in, const Wellgate__V1__Reading *old, struct arena *arena,
		  Wellgate__V1__Reading **ret)
{
	struct draft d = { .arena = arena };
	struct anchored anchored;
	int r;

	if (!old->has_boot_id || old->boot_id.len != ANCHOR_BOOT_ID ||
	    !old->has_received_boottime_us || !old->has_received_at_ms ||
	    old->origin == WELLGATE__V1__ORIGIN__ORIGIN_IMPORT ||
	    anchor_utc(&in->anchors, old->boot_id.data, old->received_boottime_us, &anchored) < 0 ||
	    !is_touched(old, &anchored))
		return 0;
	d.r = arena_memdup(arena, old, sizeof(*old));
	if (!d.r)
		return -ENOMEM;
	r = judge(in, old, &anchored, &d);
	if (r < 0 || !is_better(d.r, old))
		return r == -EBADMSG ? 0 : r;
	r = revise(in, &d);
	if (r < 0)
		return r;
	*ret = d.r;
	return 1;
}
