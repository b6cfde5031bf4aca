/*
 * What the time was at the start of a boot. Every receipt carries its boot and CLOCK_BOOTTIME,
 * which never steps and counts on while the machine sleeps. Once the hub's clock is synchronised in
 * a boot, UTC - BOOTTIME is one number for the whole of it, and every receipt of that boot has its
 * time, also those from before. Pure: no clock, no heap.
 *
 * A boot that never learnt the time can still be placed by a device with a clock of its own, which
 * was heard in that boot and compared with the hub in a later one: graded, for nobody can know that
 * the device's clock ran without a break in between.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wellgate.pb-c.h"

struct receipt;

#define ANCHOR_BOOTS           32 /* boots remembered; the one longest not added to goes first */
#define ANCHOR_BOOT_ID         16
#define ANCHOR_STEP_MS         1000  /* a synchronised clock that moved by so much was stepped */
#define ANCHOR_DRIFT           10000 /* an unguided crystal is off by up to 1 in 10,000 (100 ppm) */
#define ANCHOR_DEVICE_ERROR_MS (5 * 60 * 1000) /* how late a live reading may come */

enum anchor_grade {
	ANCHOR_NONE,
	ANCHOR_DEVICE, /* by the clock of a device */
	ANCHOR_HUB,    /* by the hub's own, synchronised */
};

struct anchor {
	enum anchor_grade grade;
	uint8_t boot_id[ANCHOR_BOOT_ID];
	int64_t zero_us; /* UTC when BOOTTIME was 0 */
	int64_t at_us;   /* BOOTTIME when that was found out */
};

struct anchors {
	struct anchor list[ANCHOR_BOOTS]; /* zeroed: none */
	size_t next;
};

/* What a receipt is worth. */
struct anchored {
	enum anchor_grade grade;
	int64_t utc_ms;
	int64_t error_ms; /* at most; by a device: provided one of its readings came at once */
};

/* The clocks now. 1: this boot's time is known from here on, or was moved by a step while the
 * clock was synchronised (the time service knew better; the newer holds): receipts of the boot are
 * worth asking for again. 0: nothing new; the clock is not synchronised, or the boot has no id. */
int anchor_by_hub(struct anchors *a, const struct receipt *now);

/* At start, for each reading in the store: one that was timed by a synchronised clock says what its
 * boot's time was. Whether that clock had been out of touch for some days is not known any more: up
 * to a minute may be missing from error_ms. */
void anchor_by_reading(struct anchors *a, const Wellgate__V1__Reading *reading);

/* At boottime_us of a boot came a reading that a device had stamped device_ms (date and time read
 * as UTC); now, in a later boot, its clock was compared: offset_ms = UTC - device. 1: the boot is
 * placed, graded, or placed later than by the readings before: no stamp is later than its receipt,
 * so the latest is best. 0: it had an anchor as good; or what comes out cannot be (ahead of now,
 * say); or the hub does not know the time. */
int anchor_by_device(struct anchors *a, const uint8_t boot_id[ANCHOR_BOOT_ID], int64_t boottime_us,
		     int64_t device_ms, int64_t offset_ms, const struct receipt *now);

/* -ENOENT: nobody knows when this boot was. -ERANGE: no time comes out of it. */
int anchor_utc(const struct anchors *a, const uint8_t boot_id[ANCHOR_BOOT_ID], int64_t boottime_us,
	       struct anchored *ret);
