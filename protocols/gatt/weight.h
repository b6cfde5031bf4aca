/*
 * Weight Scale Service 0x181D: Weight Measurement 0x2A9D (indicated), Weight Scale Feature 0x2A9E.
 * Source: GATT Specification Supplement; Weight Scale Service 1.0. Errors: see time.h.
 *
 *   0  flags u8   b0 imperial  b1 time  b2 user  b3 bmi and height  b4..7 reserved
 *   1  weight u16            0.005 kg | 0.01 lb; 0xffff = unsuccessful
 *   -  [b1] Date Time 7
 *   -  [b2] user u8
 *   -  [b3] bmi u16 0.1 kg/m2, height u16 0.001 m | 0.1 inch
 *
 * The number keeps the resolution of the field: 0x3e78 is 79960e-3 kg. 0xffff is no number in any
 * of the three fields, though the service states it for the weight alone.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "protocols/bytes/decimal.h"
#include "protocols/bytes/writer.h"
#include "protocols/gatt/time.h"

#define GATT_WEIGHT_SIZE_MAX 15

struct gatt_weight {
	bool imperial;        /* lb and inch instead of kg and m */
	struct number weight; /* e-3 kg or e-2 lb */
	bool has_time;
	struct gatt_date_time time;
	bool has_user;
	uint8_t user; /* 255 = the device does not know who */
	bool has_bmi_height;
	struct number bmi;    /* e-1 kg/m2 */
	struct number height; /* e-3 m or e-1 inch */
};

int gatt_weight_decode(const uint8_t *data, size_t len, struct gatt_weight *ret);
int gatt_weight_encode(const struct gatt_weight *x, struct writer *w);

struct gatt_weight_feature {
	bool time, users, bmi;
	/* 0 not stated; 1: 0.5 kg, 1 lb; 2: 0.2, 0.5; 3: 0.1, 0.2; 4: 0.05, 0.1; 5: 0.02, 0.05;
	 * 6: 0.01, 0.02; 7: 0.005, 0.01; 8..15 reserved, kept as sent */
	uint8_t weight_resolution;
	/* 0 not stated; 1: 0.01 m, 1 inch; 2: 0.005, 0.5; 3: 0.001, 0.1; 4..7 reserved */
	uint8_t height_resolution;
	uint32_t reserved; /* bits 10..31 as sent: they change no layout, so they are no error */
};

int gatt_weight_feature_decode(const uint8_t *data, size_t len, struct gatt_weight_feature *ret);
int gatt_weight_feature_encode(const struct gatt_weight_feature *x, struct writer *w);
