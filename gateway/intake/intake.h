/*
 * Intake: a measurement becomes a reading. In order: clock, attribution, normalisation (canonical
 * units, codes, ranges), identity (dedupe key). One file per step.
 *
 * No clock and no I/O but for the random reading id: the receipt carries the clocks. The only
 * memory from one measurement to the next are a short one of measurements that came without a stamp
 * (dedupe.c) and what the time was in the last boots (anchor.h). The reading lives in the caller's
 * arena until the arena is reset.
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
	/* the clocks; NULL: receipt_now(). Tests have others */
	void (*now)(struct receipt *ret);
};

struct intake;
/* Copies what it needs. -EINVAL: no such time zone, or a subject that is not clean UTF-8. */
int intake_new(const struct intake_options *options, struct intake **ret);
void intake_free(struct intake *in); /* NULL is fine */

/* The clocks of this intake, now. */
void intake_now(const struct intake *in, struct receipt *ret);

/* Keyed BLAKE2b of a serial number or address: tells devices apart, names none. */
int intake_digest(const uint8_t key[32], const char *text, uint8_t ret[16]);

/* -EBADMSG: the message breaks the contract of Measurement (unknown metric, unit that does not fit
 * it, too many parts...): refused, never stored. -ENOMSG: well formed, but not a final measurement
 * of a person (unstable, an error, a test of the device, no number at all). -ENOMEM: the arena is
 * full. */
int intake_normalise(struct intake *in, const Wellgate__V1__Measurement *m,
		     const struct intake_device *device, const struct receipt *receipt,
		     struct arena *arena, Wellgate__V1__Reading **ret);

/* At start, for the readings in the store, oldest first: so that a device which is still repeating
 * one of the last of them is recognised after a restart, too, and that the boots they came in keep
 * their times. */
void intake_remember(struct intake *in, const Wellgate__V1__Reading *reading);

/*
 * Looks whether the hub's clock is synchronised by now (each intake_normalise() does, too). 1:
 * since it was last asked it became known when this boot was, or known better: readings that were
 * received in it are worth an intake_retime(). 0: nothing new.
 */
int intake_anchor(struct intake *in, const struct receipt *now);
/* The same for a boot that never learnt the time: r came in it from a device whose clock has been
 * compared just now, offset_ms as Measurement has it. What is timed by it is graded, never
 * certain. */
int intake_anchor_by_device(struct intake *in, const Wellgate__V1__Reading *r, int64_t offset_ms,
			    const struct receipt *now);

/* The next revision of a reading: same dedupe_key, new reading_id, replaces the old; no sequence,
 * no goals yet. All else it borrows from it. -ENOMEM */
int intake_revise(const Wellgate__V1__Reading *old, struct arena *arena,
		  Wellgate__V1__Reading **ret);

/*
 * A reading from before the hub knew the time, judged again by what is known of its boot now. 1 and
 * *ret, its next revision: same dedupe_key, new reading_id, replaces the old; no sequence, no goals
 * yet; attributed anew, because that depends on the time. 0: its boot is not known, or its time
 * would not change. What the revision has in common with the old one it borrows from it.
 */
int intake_retime(const struct intake *in, const Wellgate__V1__Reading *old, struct arena *arena,
		  Wellgate__V1__Reading **ret);
