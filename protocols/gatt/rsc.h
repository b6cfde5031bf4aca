/*
 * Running Speed and Cadence Service 0x1814: RSC Measurement 0x2A53 (notify), RSC Feature 0x2A54
 * (read).
 *
 * 0x2A53:  flags u8 | speed u16 1/256 m/s | cadence u8 1/min | [stride u16 cm] | [distance u32 dm]
 *   flags: b0 stride length; b1 total distance; b2 running (0 walking); b3-7 reserved
 *
 * Source: layout: tshark 4.0's dissector and public implementations; feature bits: SIG data
 * (gatt-xml, 2012). Resolutions 1/256 m/s, 1 cm and 1 dm are from memory of the SIG data.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "protocols/bytes/decimal.h"
#include "protocols/bytes/writer.h"

struct gatt_rsc {
	struct number speed;   /* m/s: n * 390625e-8, which is n / 256 exactly */
	struct number cadence; /* steps per minute */
	bool running;
	bool has_stride;
	struct number stride; /* m, two digits */
	bool has_distance;
	struct number distance; /* m since the device's own zero, one digit */
};

/* bits of the feature field; 5 to 15 are reserved, kept and tolerated */
enum gatt_rsc_feature {
	GATT_RSC_HAS_STRIDE = 1 << 0,
	GATT_RSC_HAS_DISTANCE = 1 << 1,
	GATT_RSC_HAS_RUNNING = 1 << 2,
	GATT_RSC_HAS_CALIBRATION = 1 << 3,
	GATT_RSC_HAS_LOCATIONS = 1 << 4,
};

/* -EMSGSIZE length; -ERANGE reserved flag. ret untouched on failure. */
int gatt_rsc_decode(const uint8_t *data, size_t len, struct gatt_rsc *ret);
/* -ERANGE a value that the layout cannot hold; -ENOSPC the writer is too small */
int gatt_rsc_encode(const struct gatt_rsc *x, struct writer *w);
int gatt_rsc_feature_decode(const uint8_t *data, size_t len, uint16_t *ret);
int gatt_rsc_feature_encode(uint16_t feature, struct writer *w);
