/*
 * What the drivers of Fitbit trackers and `wellgate decode` share: a dump (protocols/fitbit/dump.h)
 * as measurements. Pure, as drivers are. No name, greeting, alarm or event of the wearer comes out.
 *
 *   minutes    steps, [start, start + 60 s) on the tracker's clock (UTC), 0 steps too. A minute
 *              that the tracker did not record is not there: so zero and missing differ. Recorded
 *              is not worn: no byte is known to say that.
 *   snapshots  steps, distance, floors, and of a Flex active minutes, [local midnight, snapshot),
 *              context "day"; FLAG_ONGOING while that day is not over. A later one of a day takes
 *              the place of those before it; they are never added up, nor added to the minutes.
 *              Where nobody knows the zone: a point in time, and FLAG_INTERMEDIATE, so no reading.
 *              One of a day of which no minute was recorded is left out: it is no zero.
 *   energy     only with a resting rate, as each snapshot has it, context "estimated",
 *              FLAG_ESTIMATED: MET times that rate, not measured.
 *   sleep      of a Flex: sleep_duration, [falling asleep, waking for good), its value the minutes
 *              asleep in it: what is left of the duration is time awake. FLAG_ESTIMATED, context
 *              names the method: drivers/sleep.h, its movement both nibbles of a minute's motion
 *              and the steps. A night is said once it is certain to be said the same by every later
 *              dump. One and Zip: none, what their motion byte is nobody knows, or there is none.
 *
 * All are FLAG_BACKFILL. A tracker sends the same again at each sync, with the same stamps and
 * values, which the gateway knows again. Left out, with no guess: MET of minutes (no metric),
 * climbs (their time is not known), events, alarms.
 *
 * News about the tracker, FLAG_UNAVAILABLE and FLAG_CLOCK_NOT_SET, in the end if there was a time
 * that cannot be. A minute that is not later than all before it: FLAG_TIME_UNCERTAIN (the clock was
 * put back). A snapshot that says less than an earlier one of its day: FLAG_INCONSISTENT.
 *
 * Source: protocols/fitbit/dump.h. That one snapshot is taken at each sync, and one at midnight for
 * the day that ends there: seen in public dumps.
 */
#pragma once

#include "drivers/driver.h"
#include "protocols/fitbit/dump.h"

/* When the local day began that the instant lies in (at midnight: the day that begins). Seconds
 * since 1970, UTC. 0, or -ENODATA: the zone at that time is not known. */
typedef int fitbit_midnight(void *user, int64_t at, int64_t *ret);
/* The same everywhere; user: const int *, minutes east of UTC. Right between two changes of summer
 * time only. */
int fitbit_midnight_at_offset(void *user, int64_t at, int64_t *ret);

struct fitbit_rules {
	fitbit_midnight *midnight; /* or NULL: nobody knows */
	void *zone;                /* for midnight() */
	int64_t latest;            /* s since 1970: later times cannot be; 0: not known */
	/* Leave the minute out in which the newest snapshot was taken: it still counts, and comes
	 * whole with the next sync. Otherwise it is FLAG_ONGOING. */
	bool settled;
	unsigned int resting_kcal; /* a day; 0: not known */
	size_t skip, limit;        /* hand on at most limit, after the first skip; limit 0: all */
};

struct fitbit_told {
	size_t total;     /* measurements there are, whatever skip and limit */
	uint32_t minutes; /* recorded, with a time that can be */
	uint32_t running; /* left out by `settled` */
	uint32_t days;    /* snapshots */
	uint32_t nights;  /* estimated */
	uint32_t refused; /* minutes and snapshots of a time that cannot be, or of none */
	struct fitbit_device device;
};

/* record: what it is made of; NULL: news, or sleep. Both for the call. 0, or -errno to stop */
typedef int fitbit_say(void *user, const struct measurement *m, const struct fitbit_record *record);

/* Says all of a dump, in its order. As fitbit_dump_read(): nothing is said of a dump with any
 * fault. say may be NULL. */
int fitbit_measure(const struct fitbit_dump *d, const uint8_t *key,
		   const struct fitbit_rules *rules, fitbit_say *say, void *user,
		   struct fitbit_told *ret);
/* Who a tracker is, for drv_identity(), by whichever link it is read: the name of its serial. */
int fitbit_identity(struct drv_ctx *ctx, const uint8_t serial[FITBIT_SERIAL_SIZE]);
/* For drivers: its identity, facts of the device and drv_emit(). Of a long dump, one piece after
 * another: rules->limit at most DRV_EMITS_MAX, until skip + limit reaches ret->total. */
int fitbit_emit(struct drv_ctx *ctx, const struct fitbit_dump *d, const uint8_t *key,
		const struct fitbit_rules *rules, struct fitbit_told *ret);
/*
 * The owner's key of a tracker, out of what an owner may write: the key, or the serial (6 bytes)
 * and the key. -EBADMSG neither; -ENOKEY of another tracker.
 */
int fitbit_key_of(const uint8_t *bytes, size_t len, const uint8_t serial[FITBIT_SERIAL_SIZE],
		  uint8_t ret[FITBIT_KEY_SIZE]);
/* The same of drv_key(), by the name of the serial: 12 hexadecimal digits, small letters. -ENOKEY,
 * too, where there is none. Wipe it after use. */
int fitbit_key(const struct drv_ctx *ctx, const uint8_t serial[FITBIT_SERIAL_SIZE],
	       uint8_t ret[FITBIT_KEY_SIZE]);
