/*
 * Heart Rate Service 0x180D: Heart Rate Measurement 0x2A37 (notify), Body Sensor Location 0x2A38
 * (read), Heart Rate Control Point 0x2A39 (write).
 *
 * 0x2A37:  flags u8 | rate u8 or u16 | [energy u16] | [beat intervals u16 ...]
 *   flags: b0 rate is u16; b1-2 contact; b3 energy; b4 beat intervals; b5-7 reserved
 *
 * Source: field order, widths and location numbers agree with tshark 4.0's dissector. From the
 * service specification by memory, not verified: energy stays at 65535 kJ until it is reset, and
 * beat intervals come oldest first.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "protocols/bytes/decimal.h"
#include "protocols/bytes/writer.h"

/* an attribute value has 512 bytes at most; flags and an 8-bit rate leave room for 255 */
#define GATT_HEART_RATE_INTERVALS_MAX 255

/* as sent: 0 and 1 both mean that the sensor cannot tell */
enum gatt_heart_rate_contact {
	GATT_HEART_RATE_CONTACT_UNSUPPORTED = 0,
	GATT_HEART_RATE_CONTACT_UNSUPPORTED_1 = 1,
	GATT_HEART_RATE_CONTACT_NONE = 2,
	GATT_HEART_RATE_CONTACT_GOOD = 3,
};

struct gatt_heart_rate {
	bool wide;          /* the rate was sent as u16 */
	struct number rate; /* beats per minute */
	enum gatt_heart_rate_contact contact;
	bool has_energy;
	struct number energy;  /* kJ since the last reset; 65535 also stands for more */
	size_t interval_count; /* 0: not present */
	uint16_t intervals[GATT_HEART_RATE_INTERVALS_MAX]; /* 1/1024 s, oldest first */
};

enum gatt_body_sensor_location {
	GATT_BODY_SENSOR_OTHER = 0,
	GATT_BODY_SENSOR_CHEST,
	GATT_BODY_SENSOR_WRIST,
	GATT_BODY_SENSOR_FINGER,
	GATT_BODY_SENSOR_HAND,
	GATT_BODY_SENSOR_EAR_LOBE,
	GATT_BODY_SENSOR_FOOT,
};

/* the one command of the control point */
#define GATT_HEART_RATE_RESET_ENERGY 0x01

/* -EMSGSIZE length; -ERANGE reserved flag. ret untouched on failure. */
int gatt_heart_rate_decode(const uint8_t *data, size_t len, struct gatt_heart_rate *ret);
/* -ERANGE a value that the layout cannot hold; -ENOSPC the writer is too small */
int gatt_heart_rate_encode(const struct gatt_heart_rate *x, struct writer *w);
/* an interval in milliseconds, exact: 1/1024 s = 0.9765625 ms */
struct number gatt_heart_rate_interval_ms(uint16_t interval);

int gatt_body_sensor_location_decode(const uint8_t *data, size_t len,
				     enum gatt_body_sensor_location *ret);
int gatt_body_sensor_location_encode(enum gatt_body_sensor_location x, struct writer *w);
/* "other" "chest" ... for people and Reading.context; NULL outside the definition */
const char *gatt_body_sensor_location_name(unsigned int location);

int gatt_heart_rate_control_decode(const uint8_t *data, size_t len, uint8_t *ret);
int gatt_heart_rate_control_encode(uint8_t command, struct writer *w);
