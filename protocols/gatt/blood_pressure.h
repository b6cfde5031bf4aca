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

