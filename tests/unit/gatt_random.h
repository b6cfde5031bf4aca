/*
 * Reproducible random values of the GATT codecs, for the unit tests and for the tshark oracle.
 * All of them are valid: every one can be encoded.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "protocols/bytes/medfloat.h"
#include "protocols/gatt/glucose.h"
#include "protocols/gatt/heart_rate.h"
#include "protocols/gatt/plx.h"
#include "protocols/gatt/rsc.h"
#include "protocols/gatt/temperature.h"
#include "protocols/gatt/time.h"

/* xorshift64*; any seed but 0 */
struct rng {
	uint64_t state;
};

static inline uint32_t rng_u32(struct rng *rng)
{
	rng->state ^= rng->state >> 12;
	rng->state ^= rng->state << 25;
	rng->state ^= rng->state >> 27;
	return (uint32_t)((rng->state * UINT64_C(0x2545F4914F6CDD1D)) >> 32);
}

/* 0 to n - 1; the bias is of no account here */
static inline uint32_t rng_below(struct rng *rng, uint32_t n)
{
	return rng_u32(rng) % n;
}

static inline uint32_t rng_between(struct rng *rng, uint32_t first, uint32_t last)
{
	return first + rng_below(rng, last - first + 1);
}

static inline bool rng_coin(struct rng *rng)
{
	return rng_u32(rng) >> 31;
}

static inline uint16_t rng_u16(struct rng *rng)
{
	return (uint16_t)(rng_u32(rng) >> 16);
}

static inline uint8_t rng_u8(struct rng *rng)
{
	return (uint8_t)(rng_u32(rng) >> 24);
}

/* one in eight is a special value */
static inline struct number rng_sfloat(struct rng *rng)
{
	return medfloat16_decode(rng_below(rng, 8) ? rng_u16(rng)
						   : (uint16_t)rng_between(rng, 0x07fe, 0x0802));
}

static inline struct number rng_float(struct rng *rng)
{
	return medfloat32_decode(rng_below(rng, 8) ? rng_u32(rng)
						   : rng_between(rng, 0x007ffffe, 0x00800002));
}

/* one in eight parts of a date is unknown */
static inline struct gatt_date_time rng_date_time(struct rng *rng)
{
	struct gatt_date_time t = {
		.year = (uint16_t)(rng_below(rng, 8) ? rng_between(rng, 1582, 9999) : 0),
		.month = (uint8_t)(rng_below(rng, 8) ? rng_between(rng, 1, 12) : 0),
		.day = (uint8_t)(rng_below(rng, 8) ? rng_between(rng, 1, 28) : 0),
		.hour = (uint8_t)rng_below(rng, 24),
		.minute = (uint8_t)rng_below(rng, 60),
		.second = (uint8_t)rng_below(rng, 60),
	};

	return t;
}

static inline struct gatt_heart_rate rng_heart_rate(struct rng *rng)
{
	struct gatt_heart_rate x = { 0 };

	x.wide = rng_coin(rng);
	x.rate = number_of(x.wide ? rng_u16(rng) : rng_u8(rng), 0);
	x.contact = (enum gatt_heart_rate_contact)rng_below(rng, 4);
	x.has_energy = rng_coin(rng);
	if (x.has_energy)
		x.energy = number_of(rng_u16(rng), 0);
	if (rng_coin(rng))
		x.interval_count = rng_between(rng, 1, 9);
	for (size_t i = 0; i < x.interval_count; i++)
		x.intervals[i] = rng_u16(rng);
	return x;
}

static inline struct gatt_temperature rng_temperature(struct rng *rng)
{
	struct gatt_temperature x = { 0 };

	x.fahrenheit = rng_coin(rng);
	x.value = rng_float(rng);
	x.has_time = rng_coin(rng);
	if (x.has_time)
		x.time = rng_date_time(rng);
	x.has_type = rng_coin(rng);
	if (x.has_type)
		x.type = (enum gatt_temperature_type)rng_between(rng, 1, 9);
	return x;
}

static inline struct number rng_time_offset(struct rng *rng)
{
	switch (rng_below(rng, 16)) {
	case 0:
		return number_absent(ABSENT_POSITIVE_INFINITY);
	case 1:
		return number_absent(ABSENT_NEGATIVE_INFINITY);
	default:
		return number_of((int32_t)rng_between(rng, 0, 2 * 32766) - 32766, 0);
	}
}

static inline struct gatt_glucose rng_glucose(struct rng *rng)
{
	struct gatt_glucose x = { 0 };

	x.sequence = rng_u16(rng);
	x.base_time = rng_date_time(rng);
	x.has_offset = rng_coin(rng);
	if (x.has_offset)
		x.offset = rng_time_offset(rng);
	x.mol_per_litre = rng_coin(rng);
	x.has_concentration = rng_coin(rng);
	if (x.has_concentration) {
		x.concentration = rng_sfloat(rng);
		x.type = (enum gatt_glucose_type)rng_between(rng, 1, 10);
		x.location = (enum gatt_glucose_location)rng_between(rng, 1, 5);
		if (x.location == 5)
			x.location = GATT_GLUCOSE_LOCATION_UNKNOWN;
	}
	x.has_status = rng_coin(rng);
	if (x.has_status)
		x.status = rng_u16(rng);
	x.context_follows = rng_coin(rng);
	return x;
}

static inline struct gatt_glucose_context rng_glucose_context(struct rng *rng)
{
	struct gatt_glucose_context x = { .sequence = rng_u16(rng) };

	x.has_extended = rng_coin(rng);
	x.has_carbohydrate = rng_coin(rng);
	if (x.has_carbohydrate) {
		x.carbohydrate = (enum gatt_carbohydrate)rng_between(rng, 1, 7);
		x.carbohydrate_mass = rng_sfloat(rng);
	}
	x.has_meal = rng_coin(rng);
	if (x.has_meal)
		x.meal = (enum gatt_meal)rng_between(rng, 1, 5);
	x.has_tester = rng_coin(rng);
	if (x.has_tester) {
		x.tester = rng_below(rng, 4) ? (enum gatt_tester)rng_between(rng, 1, 3)
					     : GATT_TESTER_UNKNOWN;
		x.health = rng_below(rng, 6) ? (enum gatt_health)rng_between(rng, 1, 5)
					     : GATT_HEALTH_UNKNOWN;
	}
	x.has_exercise = rng_coin(rng);
	if (x.has_exercise) {
		x.exercise_duration = rng_below(rng, 8) ? number_of(rng_between(rng, 0, 0xfffe), 0)
							: number_absent(ABSENT_POSITIVE_INFINITY);
		x.exercise_intensity = number_of(rng_u8(rng), 0);
	}
	x.medication_litres = rng_coin(rng);
	x.has_medication = rng_coin(rng);
	if (x.has_medication) {
		x.medication = (enum gatt_medication)rng_between(rng, 1, 5);
		x.medication_amount = rng_sfloat(rng);
	}
	x.has_hba1c = rng_coin(rng);
	if (x.has_hba1c)
		x.hba1c = rng_sfloat(rng);
	return x;
}

static inline struct gatt_plx_pair rng_plx_pair(struct rng *rng)
{
	struct gatt_plx_pair pair;

	pair.spo2 = rng_sfloat(rng);
	pair.pulse = rng_sfloat(rng);
	return pair;
}

static inline struct gatt_plx_spot rng_plx_spot(struct rng *rng)
{
	struct gatt_plx_spot x = { .pair = rng_plx_pair(rng) };

	x.has_time = rng_coin(rng);
	if (x.has_time)
		x.time = rng_date_time(rng);
	x.clock_not_set = rng_coin(rng);
	x.has_measurement_status = rng_coin(rng);
	if (x.has_measurement_status)
		x.measurement_status = rng_u16(rng);
	x.has_device_status = rng_coin(rng);
	if (x.has_device_status)
		x.device_status = rng_u32(rng) >> 8;
	x.has_amplitude = rng_coin(rng);
	if (x.has_amplitude)
		x.amplitude = rng_sfloat(rng);
	return x;
}

static inline struct gatt_plx_continuous rng_plx_continuous(struct rng *rng)
{
	struct gatt_plx_continuous x = { .normal = rng_plx_pair(rng) };

	x.has_fast = rng_coin(rng);
	if (x.has_fast)
		x.fast = rng_plx_pair(rng);
	x.has_slow = rng_coin(rng);
	if (x.has_slow)
		x.slow = rng_plx_pair(rng);
	x.has_measurement_status = rng_coin(rng);
	if (x.has_measurement_status)
		x.measurement_status = rng_u16(rng);
	x.has_device_status = rng_coin(rng);
	if (x.has_device_status)
		x.device_status = rng_u32(rng) >> 8;
	x.has_amplitude = rng_coin(rng);
	if (x.has_amplitude)
		x.amplitude = rng_sfloat(rng);
	return x;
}

static inline struct gatt_rsc rng_rsc(struct rng *rng)
{
	struct gatt_rsc x = { 0 };

	x.speed = number_of((int64_t)rng_u16(rng) * 390625, -8);
	x.cadence = number_of(rng_u8(rng), 0);
	x.running = rng_coin(rng);
	x.has_stride = rng_coin(rng);
	if (x.has_stride)
		x.stride = number_of(rng_u16(rng), -2);
	x.has_distance = rng_coin(rng);
	if (x.has_distance)
		x.distance = number_of(rng_u32(rng), -1);
	return x;
}
