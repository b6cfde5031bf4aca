/*
 * Health Thermometer Service 0x1809: Temperature Measurement 0x2A1C (indicate), Intermediate
 * Temperature 0x2A1E (notify, the same layout), Temperature Type 0x2A1D (read), Measurement
 * Interval 0x2A21 (read, write, indicate).
 *
 * 0x2A1C:  flags u8 | value FLOAT 32 | [time stamp 7] | [type u8]
 *   flags: b0 Fahrenheit; b1 time stamp; b2 type; b3-7 reserved
 *
 * Source: SIG characteristic data (gatt-xml); agrees with tshark 4.0's dissector.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "protocols/bytes/decimal.h"
#include "protocols/bytes/writer.h"
#include "protocols/gatt/time.h"

enum gatt_temperature_type {
	GATT_TEMPERATURE_ARMPIT = 1,
	GATT_TEMPERATURE_BODY,
	GATT_TEMPERATURE_EAR, /* usually the lobe */
	GATT_TEMPERATURE_FINGER,
	GATT_TEMPERATURE_GASTRO_INTESTINAL,
	GATT_TEMPERATURE_MOUTH,
	GATT_TEMPERATURE_RECTUM,
	GATT_TEMPERATURE_TOE,
	GATT_TEMPERATURE_TYMPANUM,
};

struct gatt_temperature {
	bool fahrenheit;     /* otherwise degrees Celsius */
	struct number value; /* in that unit, as precise as sent */
	bool has_time;
	struct gatt_date_time time;
	bool has_type;
	enum gatt_temperature_type type;
};

/* -EMSGSIZE length; -ERANGE reserved flag, date, or type. ret untouched on failure. */
int gatt_temperature_decode(const uint8_t *data, size_t len, struct gatt_temperature *ret);
/* -ERANGE a value that the layout cannot hold; -ENOSPC the writer is too small */
int gatt_temperature_encode(const struct gatt_temperature *x, struct writer *w);

int gatt_temperature_type_decode(const uint8_t *data, size_t len, enum gatt_temperature_type *ret);
int gatt_temperature_type_encode(enum gatt_temperature_type x, struct writer *w);
/* "armpit" "body" ...; NULL outside the definition */
const char *gatt_temperature_type_name(unsigned int type);

/* seconds between measurements; 0 = none on its own */
int gatt_measurement_interval_decode(const uint8_t *data, size_t len, uint16_t *ret);
int gatt_measurement_interval_encode(uint16_t seconds, struct writer *w);
