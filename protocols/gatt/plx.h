/*
 * Pulse Oximeter Service 0x1822: PLX Spot-check Measurement 0x2A5E (indicate), PLX Continuous
 * Measurement 0x2A5F (notify), PLX Features 0x2A60 (read).
 *
 * 0x2A5E:  flags u8 | SpO2 SFLOAT | pulse SFLOAT | [time stamp 7] | [measurement status u16] |
 *          [device and sensor status u24] | [pulse amplitude index SFLOAT]
 *   flags: b0 time stamp; b1 measurement status; b2 device and sensor status; b3 pulse amplitude
 *          index; b4 the device's clock is not set; b5-7 reserved
 * 0x2A5F:  flags u8 | SpO2, pulse | [fast pair] | [slow pair] | [measurement status u16] |
 *          [device and sensor status u24] | [pulse amplitude index SFLOAT]
 *   flags: b0 fast; b1 slow; b2 measurement status; b3 device and sensor status; b4 pulse
 *          amplitude index; b5-7 reserved
 * 0x2A60:  features u16 | [measurement status support u16] | [device status support u24]
 *
 * Reserved bits inside a status or feature field do not move anything, so they are kept and
 * tolerated; reserved *layout* flags are refused.
 *
 * Source: SIG characteristic data (gatt-xml, 2015-07-14).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "protocols/bytes/decimal.h"
#include "protocols/bytes/writer.h"
#include "protocols/gatt/time.h"

/* bits of the measurement status; 0 to 4 are reserved */
enum gatt_plx_measurement_status {
	GATT_PLX_ONGOING = 1 << 5,
	GATT_PLX_EARLY_ESTIMATE = 1 << 6,
	GATT_PLX_VALIDATED = 1 << 7,
	GATT_PLX_FULLY_QUALIFIED = 1 << 8,
	GATT_PLX_FROM_STORAGE = 1 << 9,
	GATT_PLX_DEMONSTRATION = 1 << 10,
	GATT_PLX_TEST = 1 << 11,
	GATT_PLX_CALIBRATING = 1 << 12,
	GATT_PLX_UNAVAILABLE = 1 << 13,
	GATT_PLX_QUESTIONABLE = 1 << 14,
	GATT_PLX_INVALID = 1 << 15,
};

/* bits of the device and sensor status; 16 to 23 are reserved */
enum gatt_plx_device_status {
	GATT_PLX_DISPLAY_UPDATE = 1 << 0,
	GATT_PLX_EQUIPMENT_MALFUNCTION = 1 << 1,
	GATT_PLX_SIGNAL_IRREGULAR = 1 << 2,
	GATT_PLX_SIGNAL_INADEQUATE = 1 << 3,
	GATT_PLX_SIGNAL_POOR = 1 << 4,
	GATT_PLX_PERFUSION_LOW = 1 << 5,
	GATT_PLX_SIGNAL_ERRATIC = 1 << 6,
	GATT_PLX_NOT_PULSATILE = 1 << 7,
	GATT_PLX_PULSE_QUESTIONABLE = 1 << 8,
	GATT_PLX_SIGNAL_ANALYSIS = 1 << 9,
	GATT_PLX_SENSOR_INTERFERENCE = 1 << 10,
	GATT_PLX_SENSOR_NOT_ON_USER = 1 << 11,
	GATT_PLX_SENSOR_UNKNOWN = 1 << 12,
	GATT_PLX_SENSOR_DISPLACED = 1 << 13,
	GATT_PLX_SENSOR_MALFUNCTION = 1 << 14,
	GATT_PLX_SENSOR_DISCONNECTED = 1 << 15,
};

struct gatt_plx_pair {
	struct number spo2;  /* percent */
	struct number pulse; /* beats per minute */
};

struct gatt_plx_spot {
	struct gatt_plx_pair pair;
	bool has_time;
	struct gatt_date_time time;
	bool clock_not_set; /* the time stamp means nothing */
	bool has_measurement_status;
	uint16_t measurement_status;
	bool has_device_status;
	uint32_t device_status; /* 24 bits */
	bool has_amplitude;
	struct number amplitude; /* percent */
};

struct gatt_plx_continuous {
	struct gatt_plx_pair normal;
	bool has_fast;
	struct gatt_plx_pair fast;
	bool has_slow;
	struct gatt_plx_pair slow;
	bool has_measurement_status;
	uint16_t measurement_status;
	bool has_device_status;
	uint32_t device_status; /* 24 bits */
	bool has_amplitude;
	struct number amplitude; /* percent */
};

/* bits of the features; 8 to 15 are reserved */
enum gatt_plx_feature {
	GATT_PLX_HAS_MEASUREMENT_STATUS = 1 << 0, /* a layout flag too */
	GATT_PLX_HAS_DEVICE_STATUS = 1 << 1,      /* a layout flag too */
	GATT_PLX_HAS_STORAGE = 1 << 2,
	GATT_PLX_HAS_TIME_STAMP = 1 << 3,
	GATT_PLX_HAS_FAST = 1 << 4,
	GATT_PLX_HAS_SLOW = 1 << 5,
	GATT_PLX_HAS_AMPLITUDE = 1 << 6,
	GATT_PLX_HAS_MULTIPLE_BONDS = 1 << 7,
};

struct gatt_plx_features {
	uint16_t features;
	uint16_t measurement_status; /* supported bits; 0 when the feature bit is clear */
	uint32_t device_status;      /* 24 bits; 0 when the feature bit is clear */
};

/* -EMSGSIZE length; -ERANGE reserved flag or date. ret untouched on failure. */
int gatt_plx_spot_decode(const uint8_t *data, size_t len, struct gatt_plx_spot *ret);
int gatt_plx_continuous_decode(const uint8_t *data, size_t len, struct gatt_plx_continuous *ret);
int gatt_plx_features_decode(const uint8_t *data, size_t len, struct gatt_plx_features *ret);
/* -ERANGE a value that the layout cannot hold; -ENOSPC the writer is too small */
int gatt_plx_spot_encode(const struct gatt_plx_spot *x, struct writer *w);
int gatt_plx_continuous_encode(const struct gatt_plx_continuous *x, struct writer *w);
int gatt_plx_features_encode(const struct gatt_plx_features *x, struct writer *w);
