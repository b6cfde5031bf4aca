/*
 * Physical Activity Monitor Service 0x183E, the three summaries that a gateway has use for: General
 * Activity 0x2B3D, Step Counter Activity 0x2B40, Sleep Activity 0x2B42 (all read and indicate).
 *
 *   header u8 | flags (u32, u8, u24) | session u16 | sub-session u16 | time u32 | sequence u32 |
 *   optional fields in the order of their flag bits
 *
 * How sure this is. No shipping consumer device with this service was found and the specification
 * was not at hand. Flag bits: the tables of a public library that cites the adopted specification.
 * Field order and widths: a 2017 implementation made from the draft; where both state something
 * they agree. Units: steps are plain counts; metres and seconds for u24 distances and durations as
 * in the Activity Goal characteristic 0x2B4E; every other field is handed on as the raw integer,
 * because its unit is not verified, and must not become a reading. The header carries the
 * segmentation of long values; sources disagree on its bits, so it is kept and not interpreted, and
 * a value must be complete in one PDU (an MTU of 128 holds the longest).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "protocols/bytes/decimal.h"
#include "protocols/bytes/writer.h"

/* the fields that all three share */
struct gatt_activity_session {
	uint8_t header; /* segmentation, not interpreted */
	uint16_t session;
	uint16_t sub_session;
	uint32_t time; /* relative to the session's start; believed seconds */
	uint32_t sequence;
};

/* bits of the flags of 0x2B3D; 25 to 31 are reserved */
enum gatt_activity_field {
	GATT_ACTIVITY_WALKING_ENERGY = 0,   /* u32 */
	GATT_ACTIVITY_INTENSITY_ENERGY = 1, /* u32 */
	GATT_ACTIVITY_TOTAL_ENERGY = 2,     /* u32 */
	GATT_ACTIVITY_FAT_BURNED = 3,       /* u16 */
	GATT_ACTIVITY_MET_MIN = 4,          /* u8 */
	GATT_ACTIVITY_MET_MAX = 5,          /* u8 */
	GATT_ACTIVITY_MET_MEAN = 6,         /* u8 */
	GATT_ACTIVITY_DISTANCE = 7,         /* u24 m */
	GATT_ACTIVITY_SPEED_MIN = 8,        /* u16 */
	GATT_ACTIVITY_SPEED_MAX = 9,        /* u16 */
	GATT_ACTIVITY_SPEED_MEAN = 10,      /* u16 */
	GATT_ACTIVITY_WALKING_TIME = 11,    /* u24 s */
	GATT_ACTIVITY_INTENSITY_TIME = 12,  /* u24 s */
	GATT_ACTIVITY_CADENCE_MIN = 13,     /* u16 */
	GATT_ACTIVITY_CADENCE_MAX = 14,     /* u16 */
	GATT_ACTIVITY_CADENCE_MEAN = 15,    /* u16 */
	GATT_ACTIVITY_FLOORS = 16,          /* s8 */
	GATT_ACTIVITY_ELEVATION_GAIN = 17,  /* u24 */
	GATT_ACTIVITY_ELEVATION_LOSS = 18,  /* u24 */
	GATT_ACTIVITY_COUNT = 19,           /* u32 */
	GATT_ACTIVITY_LEVEL_MIN = 20,       /* u16 */
	GATT_ACTIVITY_LEVEL_MAX = 21,       /* u16 */
	GATT_ACTIVITY_LEVEL_MEAN = 22,      /* u16 */
	GATT_ACTIVITY_TYPE = 23,            /* u16 */
	GATT_ACTIVITY_WORN = 24,            /* u24 s */
	GATT_ACTIVITY_FIELDS
};

struct gatt_activity {
	struct gatt_activity_session session;
	uint32_t flags;                     /* bit n: raw[n] is present */
	uint32_t raw[GATT_ACTIVITY_FIELDS]; /* 0 when absent; FLOORS: two's complement of 8 bits */
};

/* bits of the flags of 0x2B40; 5 to 7 are reserved. All u24. */
enum gatt_steps_field {
	GATT_STEPS_WALKING = 0,   /* steps */
	GATT_STEPS_INTENSITY = 1, /* steps */
	GATT_STEPS_FLOOR = 2,     /* steps */
	GATT_STEPS_DISTANCE = 3,  /* m */
	GATT_STEPS_WORN = 4,      /* s */
	GATT_STEPS_FIELDS
};

struct gatt_steps {
	struct gatt_activity_session session;
	uint32_t flags;
	uint32_t raw[GATT_STEPS_FIELDS];
};

/* bits of the flags of 0x2B42; 20 to 23 are reserved */
enum gatt_sleep_field {
	GATT_SLEEP_ASLEEP = 0,      /* u24 s */
	GATT_SLEEP_AWAKE = 1,       /* u24 s */
	GATT_SLEEP_IN_BED = 2,      /* u24 s */
	GATT_SLEEP_AWAKENINGS = 3,  /* u16 count */
	GATT_SLEEP_LATENCY = 4,     /* u16 */
	GATT_SLEEP_EFFICIENCY = 5,  /* u8 */
	GATT_SLEEP_SNOOZE = 6,      /* u16 */
	GATT_SLEEP_TURNS = 7,       /* u16 count */
	GATT_SLEEP_AFTER_ALARM = 8, /* u24 */
	GATT_SLEEP_LIGHT_MIN = 9,   /* u24 */
	GATT_SLEEP_LIGHT_MAX = 10,  /* u24 */
	GATT_SLEEP_LIGHT_MEAN = 11, /* u24 */
	GATT_SLEEP_UV_MIN = 12,     /* u24 */
	GATT_SLEEP_UV_MAX = 13,     /* u24 */
	GATT_SLEEP_UV_MEAN = 14,    /* u24 */
	GATT_SLEEP_IR_MIN = 15,     /* u24 */
	GATT_SLEEP_IR_MAX = 16,     /* u24 */
	GATT_SLEEP_IR_MEAN = 17,    /* u24 */
	GATT_SLEEP_HEART_RATE = 18, /* u8 per minute */
	GATT_SLEEP_WORN = 19,       /* u24 s */
	GATT_SLEEP_FIELDS
};

struct gatt_sleep {
	struct gatt_activity_session session;
	uint32_t flags;
	uint32_t raw[GATT_SLEEP_FIELDS];
};

/* -EMSGSIZE length; -ERANGE reserved flag. ret untouched on failure. */
int gatt_activity_decode(const uint8_t *data, size_t len, struct gatt_activity *ret);
int gatt_steps_decode(const uint8_t *data, size_t len, struct gatt_steps *ret);
int gatt_sleep_decode(const uint8_t *data, size_t len, struct gatt_sleep *ret);
/* -ERANGE a value that the layout cannot hold; -ENOSPC the writer is too small */
int gatt_activity_encode(const struct gatt_activity *x, struct writer *w);
int gatt_steps_encode(const struct gatt_steps *x, struct writer *w);
int gatt_sleep_encode(const struct gatt_sleep *x, struct writer *w);
/* walking + intensity steps, those that are present; ABSENT_UNKNOWN if neither is. Steps on stairs
 * (floor steps) are not added: whether they are counted twice is not stated. */
struct number gatt_steps_total(const struct gatt_steps *x);
