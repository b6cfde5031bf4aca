#include "gateway/intake/anchor.h"

#include <errno.h>
#include <string.h>

#include "gateway/intake/intake.h"

#define EARLIEST_US INT64_C(1420070400000000) /* 2015-01-01: no hub is older */
#define LATEST_US   INT64_C(253402300799000000)

static const struct anchor *find(const struct anchors *a, const uint8_t boot_id[ANCHOR_BOOT_ID])
{
	for (size_t i = 0; i < ANCHOR_BOOTS; i++) {
		const struct anchor *one = &a->list[i];

		if (one->grade != ANCHOR_NONE && memcmp(one->boot_id, boot_id, ANCHOR_BOOT_ID) == 0)
			return one;
	}
	return NULL;
}

static void keep(struct anchors *a, const struct anchor *one)
{
	const struct anchor *known = find(a, one->boot_id);
	const size_t i = known ? (size_t)(known - a->list) : a->next;

	a->list[i] = *one;
	if (!known)
		a->next = (a->next + 1) % ANCHOR_BOOTS;
}

static bool is_boot(const uint8_t boot_id[ANCHOR_BOOT_ID])
{
	static const uint8_t none[ANCHOR_BOOT_ID];

	return memcmp(boot_id, none, ANCHOR_BOOT_ID) != 0;
}

/* false: no sound anchor comes out of it */
static bool make(enum anchor_grade grade, const uint8_t boot_id[ANCHOR_BOOT_ID], int64_t utc_ms,
		 int64_t boottime_us, struct anchor *ret)
{
	struct anchor one = { .grade = grade, .at_us = boottime_us };
	int64_t utc_us;

	memcpy(one.boot_id, boot_id, ANCHOR_BOOT_ID);
	if (!is_boot(boot_id) || boottime_us < 0 ||
	    __builtin_mul_overflow(utc_ms, INT64_C(1000), &utc_us) || utc_us < EARLIEST_US ||
	    utc_us > LATEST_US || __builtin_sub_overflow(utc_us, boottime_us, &one.zero_us))
		return false;
	*ret = one;
	return true;
}

static int64_t apart(int64_t a, int64_t b)
{
	int64_t n;

	if (__builtin_sub_overflow(a, b, &n) || n == INT64_MIN)
		return INT64_MAX;
	return n < 0 ? -n : n;
}

static int settle(struct anchors *a, const struct anchor *one)
{
	const struct anchor *known = find(a, one->boot_id);

	if (known && known->grade > one->grade)
		return 0;
	/* No stamp is later than its receipt: each says "at least", so the latest is best. */
	if (known && one->grade == ANCHOR_DEVICE && known->zero_us >= one->zero_us)
		return 0;
	/* The first one stays as long as it holds: it is nearest to what came before it. */
	if (known && known->grade == ANCHOR_HUB &&
	    apart(known->zero_us, one->zero_us) < ANCHOR_STEP_MS * INT64_C(1000))
		return 0;
	keep(a, one);
	return 1;
}

int anchor_by_hub(struct anchors *a, const struct receipt *now)
{
	struct anchor one;

	if (!now->synced || !make(ANCHOR_HUB, now->boot_id, now->utc_ms, now->boottime_us, &one))
		return 0;
	return settle(a, &one);
}

void anchor_by_reading(struct anchors *a, const Wellgate__V1__Reading *r)
{
	struct anchor one;

	/* these two are given only while the hub's clock was synchronised */
	if (r->clock != WELLGATE__V1__CLOCK_QUALITY__CLOCK_HUB_SYNCED &&
	    r->clock != WELLGATE__V1__CLOCK_QUALITY__CLOCK_DEVICE_CORRECTED)
		return;
	if (!r->has_received_at_ms || !r->has_received_boottime_us || !r->has_boot_id ||
	    r->boot_id.len != ANCHOR_BOOT_ID)
		return;
	if (make(ANCHOR_HUB, r->boot_id.data, r->received_at_ms, r->received_boottime_us, &one))
		(void)settle(a, &one);
}

int anchor_by_device(struct anchors *a, const uint8_t boot_id[ANCHOR_BOOT_ID], int64_t boottime_us,
		     int64_t device_ms, int64_t offset_ms, const struct receipt *now)
{
	struct anchor one;
	int64_t utc_ms;

	if (!now->synced || memcmp(boot_id, now->boot_id, ANCHOR_BOOT_ID) == 0 ||
	    __builtin_add_overflow(device_ms, offset_ms, &utc_ms) || utc_ms > now->utc_ms ||
	    !make(ANCHOR_DEVICE, boot_id, utc_ms, boottime_us, &one))
		return 0;
	return settle(a, &one);
}

int anchor_utc(const struct anchors *a, const uint8_t boot_id[ANCHOR_BOOT_ID], int64_t boottime_us,
	       struct anchored *ret)
{
	const struct anchor *one = find(a, boot_id);
	int64_t utc_us;

	if (!one)
		return -ENOENT;
	if (boottime_us < 0 || __builtin_add_overflow(one->zero_us, boottime_us, &utc_us) ||
	    utc_us < EARLIEST_US || utc_us > LATEST_US)
		return -ERANGE;
	ret->grade = one->grade;
	ret->utc_ms = utc_us / 1000;
	ret->error_ms = apart(boottime_us, one->at_us) / 1000 / ANCHOR_DRIFT +
			(one->grade == ANCHOR_DEVICE ? ANCHOR_DEVICE_ERROR_MS : 0);
	return 0;
}
