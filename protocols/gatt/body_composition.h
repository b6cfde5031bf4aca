/*
 * Body Composition Service 0x181B: Body Composition Measurement 0x2A9C (indicated) and Feature
 * 0x2A9B. Source: GATT Specification Supplement; Body Composition Service 1.0. Errors: see time.h.
 *
 *   0  flags u16  b0 imperial  b1 time  b2 user  b3 basal metabolism  b4 muscle %  b5 muscle mass
 *                 b6 fat free mass  b7 soft lean mass  b8 body water mass  b9 impedance  b10 weight
 *                 b11 height  b12 multiple packets  b13..15 reserved
 *   2  body fat u16 0.1 %; 0xffff = unsuccessful
 *   -  the others in the order of their bits: Date Time 7, user u8, then u16 each: kJ, 0.1 %,
 *      masses 0.005 kg | 0.01 lb, 0.1 Ohm, height 0.001 m | 0.1 inch
 *
 * b12: the set does not fit one indication and goes on in the next one, of the same time and user.
 * 0xffff is no number in any field, though the service states it for the body fat alone.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "protocols/bytes/decimal.h"
#include "protocols/bytes/writer.h"
#include "protocols/gatt/time.h"

#define GATT_BODY_COMPOSITION_SIZE_MAX 30

struct gatt_body_composition {
	bool imperial; /* lb and inch instead of kg and m */
	bool multiple_packet;
	bool has_time, has_user; /* each has_x says whether there is an x */
	bool has_basal_metabolism, has_muscle_percent, has_muscle_mass, has_fat_free_mass;
	bool has_soft_lean_mass, has_body_water_mass, has_impedance, has_weight, has_height;
	uint8_t user; /* 255 = the device does not know who */
	struct gatt_date_time time;
	struct number body_fat;         /* e-1 % */
	struct number basal_metabolism; /* kJ, per day */
	struct number muscle_percent;   /* e-1 % */
	struct number muscle_mass;      /* masses: e-3 kg or e-2 lb */
	struct number fat_free_mass;
	struct number soft_lean_mass;
	struct number body_water_mass;
	struct number impedance; /* e-1 Ohm */
	struct number weight;
	struct number height; /* e-3 m or e-1 inch */
};

int gatt_body_composition_decode(const uint8_t *data, size_t len,
				 struct gatt_body_composition *ret);
int gatt_body_composition_encode(const struct gatt_body_composition *x, struct writer *w);

struct gatt_body_composition_feature {
	bool time, users, basal_metabolism, muscle_percent, muscle_mass, fat_free_mass;
	bool soft_lean_mass, body_water_mass, impedance, weight, height;
	uint8_t mass_resolution;   /* 0..15, as weight_resolution in weight.h */
	uint8_t height_resolution; /* 0..7, as in weight.h */
	uint32_t reserved;         /* bits 18..31 as sent */
};

int gatt_body_composition_feature_decode(const uint8_t *data, size_t len,
					 struct gatt_body_composition_feature *ret);
int gatt_body_composition_feature_encode(const struct gatt_body_composition_feature *x,
					 struct writer *w);
