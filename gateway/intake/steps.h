/* Inside intake: the steps, and the draft that they work on. */
#pragma once

#include "drivers/measurement.h"
#include "gateway/goals/zone.h"
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
};

struct draft {
	const Wellgate__V1__Measurement *m;
	const struct intake_device *device;
	struct arena *arena;
	struct receipt seen; /* when the frame arrived */
	bool simulated;
	uint64_t flags; /* FLAG_BIT()s, from the device and ours */
	Wellgate__V1__Reading *r;
};

/* clock.c: received_*, boot_id, measured_at, clock, offsets, late */
int intake_receipt(const struct intake *in, const struct receipt *now, struct draft *d);
int intake_clock(const struct intake *in, struct draft *d);
/* attribute.c: subject, attribution */
int intake_attribute(const struct intake *in, struct draft *d);
/* normalise.c: components, codes, ranges */
int intake_components(struct draft *d);
/* dedupe.c: dedupe_key; the reading is otherwise complete */
int intake_key(struct intake *in, struct draft *d);
