/*
 * Intake: a measurement becomes a reading. In order: clock, attribution, normalisation (canonical
 * units, codes, ranges), identity (dedupe key). One file per step.
 *
 * No clock and no I/O but for the random reading id: the receipt carries the clocks. The only
 * memory from one measurement to the next is a short one of measurements that came without a stamp
 * (dedupe.c). The reading lives in the caller's arena until the arena is reset.
 *
 * measured_at_ms is the start of what was measured: [measured_at, measured_at + duration).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "gateway/arena.h"
#include "wellgate.pb-c.h"

/* When something arrived, by every clock we have. */
struct receipt {
	int64_t utc_ms;
	int64_t boottime_us; /* CLOCK_BOOTTIME */
	uint8_t boot_id[16];
	bool synced; /* the system clock is synchronised (adjtimex) */
};

void receipt_now(struct receipt *ret); /* the only clock of the gateway's data path */

/* The device a link stands for; text is borrowed. */
struct intake_device {
	const char *driver, *make, *model, *firmware, *hardware;
	uint8_t serial_digest[16]; /* keyed: intake_digest() */
	bool has_digest;
};

struct intake_options {
	/* IANA: device clocks without a zone are read in it; NULL: the machine's */
	const char *time_zone;
	const char *subject; /* or NULL */
	bool test;
	/* what comes is out of a file: origin import, identity is its import_id and the subject */
	bool import;
	bool zone_stated; /* time_zone was stated for this import, it is not the hub's */
};

struct intake;
/* Copies what it needs. -EINVAL: no such time zone, or a subject that is not clean UTF-8. */
int intake_new(const struct intake_options *options, struct intake **ret);
void intake_free(struct intake *in); /* NULL is fine */

/* Keyed BLAKE2b of a serial number or address: tells devices apart, names none. */
int intake_digest(const uint8_t key[32], const char *text, uint8_t ret[16]);

/* -EBADMSG: the message breaks the contract of Measurement (unknown metric, unit that does not fit
 * it, too many parts...): refused, never stored. -ENOMSG: well formed, but not a final measurement
 * of a person (unstable, an error, a test of the device, no number at all). -ENOMEM: the arena is
 * full. */
int intake_normalise(struct intake *in, const Wellgate__V1__Measurement *m,
		     const struct intake_device *device, const struct receipt *receipt,
		     struct arena *arena, Wellgate__V1__Reading **ret);

/* At start, for the last readings in the store, oldest first: so that a device which is still
 * repeating one of them is recognised after a restart, too. */
void intake_remember(struct intake *in, const Wellgate__V1__Reading *reading);
