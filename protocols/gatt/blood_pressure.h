/*
 * Blood Pressure Service 0x1810, versions 1.0 and 1.1.1. Errors: see time.h.
 *
 * 0x2A35 Blood Pressure Measurement (indicated) and 0x2A36 Intermediate Cuff Pressure (notified):
 *   0      flags u8   b0 kPa  b1 time  b2 pulse  b3 user  b4 status  b5..7 reserved
 *   1 3 5  systolic, diastolic, mean: SFLOAT mmHg | kPa, each may be a special value; the
 *          intermediate cuff pressure stands in the systolic field, the others are unused (NaN)
 *   -      [b1] Date Time 7, [b2] pulse SFLOAT, [b3] user u8, [b4] status u16
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "protocols/bytes/decimal.h"
#include "protocols/bytes/writer.h"
#include "protocols/gatt/time.h"

#define GATT_BLOOD_PRESSURE_SIZE_MAX 19

/* bits of the measurement status; 6..15 are reserved and kept as sent */
#define GATT_BP_STATUS_MOVEMENT        0x0001
#define GATT_BP_STATUS_CUFF_LOOSE      0x0002
#define GATT_BP_STATUS_IRREGULAR_PULSE 0x0004
#define GATT_BP_STATUS_PULSE_RANGE     0x0018 /* a field of two bits, one of these: */
#define GATT_BP_STATUS_PULSE_ABOVE     0x0008
#define GATT_BP_STATUS_PULSE_BELOW     0x0010 /* 0x18 is reserved */
#define GATT_BP_STATUS_POSITION        0x0020
#define GATT_BP_STATUS_ALL             0x003f

struct gatt_blood_pressure {
	bool kpa; /* kPa instead of mmHg */
	struct number systolic, diastolic, mean;
	bool has_time;
	struct gatt_date_time time;
	bool has_pulse;
	struct number pulse; /* per minute */
	bool has_user;
	uint8_t user; /* 255 = the device does not know who */
	bool has_status;
	uint16_t status; /* GATT_BP_STATUS_* */
};

/* 0x2A35 and 0x2A36 */
int gatt_blood_pressure_decode(const uint8_t *data, size_t len, struct gatt_blood_pressure *ret);
int gatt_blood_pressure_encode(const struct gatt_blood_pressure *x, struct writer *w);

/*
 * 0x2A35 as a Beurer BM85 sends it: flags 0x56, of which bit 6 is reserved; a user byte although
 * its flag is clear; pulse and status big endian, everything else as in the specification:
 *   0x56 | systolic, diastolic, mean | Date Time 7 | pulse SFLOAT, BE | user u8 | status u16, BE
 * Whether all of them do is not known, so both orders are tried. One is plausible if it makes the
 * pulse a number from 20 to 300 /min or a special value, and sets no reserved bit of the status.
 * -ERANGE if both are, and differ, or neither is: a pulse is not guessed. -ENOMSG the flags are not
 * 0x56: then gatt_blood_pressure_decode() is the one to ask. -EMSGSIZE.
 * Source: notes of two public projects; no frame of a real one was at hand.
 */
int gatt_blood_pressure_decode_bm85(const uint8_t *data, size_t len,
				    struct gatt_blood_pressure *ret);

/* bits of the Feature 0x2A49 */
#define GATT_BP_FEATURE_MOVEMENT         0x0001
#define GATT_BP_FEATURE_CUFF_FIT         0x0002
#define GATT_BP_FEATURE_IRREGULAR_PULSE  0x0004
#define GATT_BP_FEATURE_PULSE_RANGE      0x0008
#define GATT_BP_FEATURE_POSITION         0x0010
#define GATT_BP_FEATURE_MULTIPLE_BONDS   0x0020
#define GATT_BP_FEATURE_E2E_CRC          0x0040 /* from here on: service 1.1 */
#define GATT_BP_FEATURE_USER_DATA        0x0080
#define GATT_BP_FEATURE_USER_FACING_TIME 0x0100

struct gatt_blood_pressure_feature {
	uint16_t bits; /* GATT_BP_FEATURE_*; the others as sent, they change no layout of ours */
};

int gatt_blood_pressure_feature_decode(const uint8_t *data, size_t len,
				       struct gatt_blood_pressure_feature *ret);
int gatt_blood_pressure_feature_encode(const struct gatt_blood_pressure_feature *x,
				       struct writer *w);

/*
 * 0x2B34 Enhanced Blood Pressure Measurement (indicated), 0x2B35 Enhanced Intermediate Cuff
 * Pressure (notified):
 *   0  flags u8  b0 kPa  b1 time stamp  b2 pulse  b3 user  b4 status  b5 user facing time
 *                b6 epoch is 2000 instead of 1900  b7 reserved
 *   1  systolic, diastolic, mean: SFLOAT each; in 0x2B35 one SFLOAT only
 *   -  [b1] u32 seconds UTC since the epoch, [b2] pulse SFLOAT, [b3] user u8, [b4] status u16,
 *      [b5] u32 seconds since the epoch of the time that the device shows
 * Field order and sizes: GATT Specification Supplement. Flag bits 5 and 6: not read in the SIG's
 * own text but in one public library that follows it; no device has been seen that sends these.
 */
#define GATT_ENHANCED_BLOOD_PRESSURE_SIZE_MAX 20

struct gatt_enhanced_blood_pressure {
	bool kpa;
	bool epoch_2000; /* 2000-01-01T00:00Z, otherwise 1900-01-01T00:00Z */
	struct number systolic, diastolic, mean; /* of 0x2B35: systolic is the cuff pressure */
	bool has_time;
	uint32_t time_s; /* UTC, seconds since the epoch */
	bool has_pulse;
	struct number pulse; /* per minute */
	bool has_user;
	uint8_t user; /* 255 = the device does not know who */
	bool has_status;
	uint16_t status; /* GATT_BP_STATUS_* */
	bool has_user_facing_time;
	uint32_t user_facing_time_s; /* the device's local time, seconds since the epoch */
};

int gatt_enhanced_blood_pressure_decode(const uint8_t *data, size_t len,
					struct gatt_enhanced_blood_pressure *ret);
int gatt_enhanced_blood_pressure_encode(const struct gatt_enhanced_blood_pressure *x,
					struct writer *w);
/* 0x2B35; diastolic and mean come out as ABSENT_NAN and are not looked at when encoding */
int gatt_enhanced_cuff_pressure_decode(const uint8_t *data, size_t len,
				       struct gatt_enhanced_blood_pressure *ret);
int gatt_enhanced_cuff_pressure_encode(const struct gatt_enhanced_blood_pressure *x,
				       struct writer *w);

/*
 * 0x2B36 Blood Pressure Record (notified): a stored value of another characteristic, cut into
 * segments.
 *   0  segmentation u8  b0 first  b1 last  b2..7 rolling segment counter
 *   1  first segment only: sequence number u16, uuid u16 of the recorded characteristic
 *   -  a piece of its value
 * Where the Feature has GATT_BP_FEATURE_E2E_CRC the last segment ends in a u16 E2E-CRC, which
 * stands in `data` as sent: over which bytes of a record it runs has not been verified, nor that
 * later segments go without sequence number and uuid other than in one implementation.
 */
#define GATT_BLOOD_PRESSURE_RECORD_COUNTER_MAX 63

struct gatt_blood_pressure_record {
	bool first, last;
	uint8_t counter;     /* 0..63, goes round */
	uint16_t sequence;   /* of the record; 0 if not first */
	uint16_t uuid;       /* 0 if not first */
	const uint8_t *data; /* borrowed from what was decoded */
	size_t len;
};

int gatt_blood_pressure_record_decode(const uint8_t *data, size_t len,
				      struct gatt_blood_pressure_record *ret);
int gatt_blood_pressure_record_encode(const struct gatt_blood_pressure_record *x, struct writer *w);
