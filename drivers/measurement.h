/*
 * What a driver says: one clinical event in the device's own unit, clock and user slot.
 * A value; nothing in it is borrowed, so it may be copied freely.
 */
#pragma once

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "protocols/bytes/decimal.h"
#include "protocols/messages/codes.h"

#define MEASUREMENT_PARTS_MAX 16
#define MEASUREMENT_DIGEST    16

/* A flag's number equals enum Flag in wellgate.proto; FLAG_BIT makes it a bit of `flags`. */
enum flag {
	FLAG_MOVEMENT = 1,
	FLAG_CUFF_FIT,
	FLAG_IRREGULAR_PULSE,
	FLAG_BODY_POSITION,
	FLAG_PULSE_ABOVE_RANGE,
	FLAG_PULSE_BELOW_RANGE,
	FLAG_SOFT_RANGE,
	FLAG_HARD_RANGE,
	FLAG_UNIT_CONVERTED,
	FLAG_TIME_CORRECTED,
	FLAG_TIME_UNCERTAIN,
	FLAG_LATE,
	FLAG_BACKFILL,
	FLAG_MANUAL,
	FLAG_TEST,
	FLAG_DEVICE_FAULT,
	FLAG_LOW_BATTERY,
	FLAG_NO_CONTACT,
	FLAG_UNSTABLE,
	FLAG_REMOVED,
	FLAG_ERROR,
	FLAG_QUESTIONABLE,
	FLAG_INVALID,
	FLAG_EARLY_ESTIMATE,
	FLAG_ONGOING,
	FLAG_CALIBRATING,
	FLAG_CONTROL_SOLUTION,
	FLAG_PART,
	FLAG_INTERMEDIATE,
	FLAG_CLOCK_NOT_SET,
	FLAG_INCONSISTENT,
	FLAG_UNAVAILABLE,
	FLAG_SENSOR_FAULT,
	FLAG_ESTIMATED,
	FLAG_END
};
#define FLAG_BIT(flag) (UINT64_C(1) << (flag))

/* What carries one of these is news about the device, not a reading of a person. */
#define FLAGS_NOT_FINAL                                                              \
	(FLAG_BIT(FLAG_TEST) | FLAG_BIT(FLAG_NO_CONTACT) | FLAG_BIT(FLAG_UNSTABLE) | \
	 FLAG_BIT(FLAG_REMOVED) | FLAG_BIT(FLAG_ERROR) | FLAG_BIT(FLAG_INVALID) |    \
	 FLAG_BIT(FLAG_EARLY_ESTIMATE) | FLAG_BIT(FLAG_CALIBRATING) |                \
	 FLAG_BIT(FLAG_CONTROL_SOLUTION) | FLAG_BIT(FLAG_INTERMEDIATE) |             \
	 FLAG_BIT(FLAG_UNAVAILABLE))

/* lower case name as printed ("irregular_pulse"), NULL if unknown */
const char *flag_name(unsigned int flag);

enum device_time_kind {
	DEVICE_TIME_NONE = 0,
	DEVICE_TIME_LOCAL, /* no zone: the gateway must know which one the clock was set in */
	DEVICE_TIME_UTC,
	DEVICE_TIME_TICKS, /* ticks of tick_us microseconds since something only the device knows */
};

/* As sent; a part the device said it does not know is 0 (SIG Date Time: year, month, day). Drivers
 * that see an incomplete date also set FLAG_CLOCK_NOT_SET. */
struct device_time {
	enum device_time_kind kind;
	uint16_t year;
	uint8_t month, day, hour, minute, second;
	uint32_t fraction_us;
	uint64_t ticks;
	uint64_t tick_us;
};

struct measurement_part {
	enum metric metric;
	enum unit unit; /* as the device gave it */
	struct number number;
};

enum link_security {
	LINK_UNKNOWN = 0,
	LINK_REPLAY,
	LINK_CLEAR,
	LINK_ENCRYPTED,
	LINK_AUTHENTICATED,
	LINK_CABLE,
	LINK_BROADCAST,
};

struct measurement {
	enum metric metric; /* the whole: a panel (blood_pressure) or the single quantity */
	uint8_t n_parts;
	struct device_time time;
	bool has_user_slot;
	uint8_t user_slot; /* 255 = the device does not know the user */
	bool has_record_number;
	uint32_t record_number; /* the device's own sequence number */
	bool has_duration;
	int64_t duration_ms;
	uint64_t flags;      /* FLAG_BIT()s */
	const char *context; /* constant string: body site, sample type; NULL */

	/* filled by the session, not by drivers */
	enum link_security security;
	bool has_clock_offset;
	/* our UTC - device's clock read as if it showed UTC, measured on this link */
	int64_t clock_offset_ms;
	uint8_t digest[MEASUREMENT_DIGEST]; /* of the raw frame, with its channel */

	/* the last, and most of it: those beyond n_parts need not be written, nor copied */
	struct measurement_part parts[MEASUREMENT_PARTS_MAX];
};

/* An empty one, as { 0 } makes it, but for the parts: nothing is written there. */
static inline void measurement_begin(struct measurement *m)
{
	memset(m, 0, offsetof(struct measurement, parts));
}

static inline void measurement_copy(struct measurement *to, const struct measurement *from)
{
	assert(from->n_parts <= MEASUREMENT_PARTS_MAX);
	memcpy(to, from, offsetof(struct measurement, parts));
	for (unsigned int i = 0; i < from->n_parts; i++)
		to->parts[i] = from->parts[i];
}

/* Appends a part; what does not fit is a programming error. */
static inline void measurement_add(struct measurement *m, enum metric metric, enum unit unit,
				   struct number number)
{
	assert(m->n_parts < MEASUREMENT_PARTS_MAX);
	m->parts[m->n_parts++] = (struct measurement_part){ metric, unit, number };
}

/* True if it may become a reading: no flag of FLAGS_NOT_FINAL, and at least one number, or HI or LO
 * in place of one (the infinities). */
bool measurement_is_final(const struct measurement *m);
