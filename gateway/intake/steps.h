/* Inside intake: the steps, and the draft that they work on. */
#pragma once

#include "drivers/measurement.h"
#include "gateway/goals/zone.h"
#include "gateway/intake/anchor.h"
#include "gateway/intake/intake.h"

#define RECENT_MAX 64

/* A measurement without a stamp, seen lately. */
struct recent {
	bool used;
	uint8_t identity[16]; /* all that identifies it but the time */
	uint8_t boot_id[16];  /* zeros for simulated receipts */
	int64_t first_us;     /* when it was first seen */
};

struct intake {
	struct zone *zone;
	char *subject;
	bool test, import, zone_stated;
	struct recent recent[RECENT_MAX]; /* a ring */
	size_t next_recent;
	struct anchors anchors; /* boots whose time is known */
	bool anchored;          /* one more since intake_anchor() was asked */
	void (*now)(struct receipt *ret);
};

struct draft {
	const Wellgate__V1__Measurement *m;
	const struct intake_device *device;
	struct arena *arena;
	struct receipt seen; /* when the frame arrived */
	bool simulated;
	bool hub_was_set; /* the hub's clock, since the frame arrived: what it measured is void */
	uint64_t flags;   /* FLAG_BIT()s, from the device and ours */
	Wellgate__V1__Reading *r;
};

/* receipt.c: received_*, boot_id */
int intake_receipt(struct intake *in, const struct receipt *now, struct draft *d);
/* clock.c: measured_at, clock, time_fault, offsets, late */
/* the stamp of a clock, date and time read as UTC, in ms; false: it has no usable one */
bool intake_device_ms(const Wellgate__V1__DeviceTime *t, int64_t *ret);
int intake_clock(const struct intake *in, struct draft *d);
/* attribute.c: subject, attribution */
int intake_attribute(const struct intake *in, struct draft *d);
/* normalise.c: components, codes, ranges */
int intake_components(struct draft *d);
/* dedupe.c: dedupe_key; the reading is otherwise complete */
int intake_key(struct intake *in, struct draft *d);
/* intake.c: the flags as a list */
int intake_list_flags(struct draft *d);
