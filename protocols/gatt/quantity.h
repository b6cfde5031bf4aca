/*
 * Quantities of scales: u16 in steps, where 0xffff says that the measurement did not succeed.
 * Not meant for callers outside protocols/gatt.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "protocols/bytes/cursor.h"
#include "protocols/bytes/decimal.h"
#include "protocols/bytes/writer.h"

/* one unit of the field is step * 10^exponent */
struct quantity {
	uint8_t step;
	int8_t exponent;
};

extern const struct quantity quantity_tenth;     /* 0.1: BMI, percent, Ohm */
extern const struct quantity quantity_one;       /* kJ */
extern const struct quantity quantity_mass[2];   /* by imperial: 0.005 kg, 0.01 lb */
extern const struct quantity quantity_length[2]; /* by imperial: 0.001 m, 0.1 inch */

struct number quantity_read(struct cursor *c, const struct quantity *q);
/* -ERANGE: not a whole number of steps, too large, or absent for another reason than 0xffff says;
 * then nothing is written */
int quantity_write(struct writer *w, struct number n, const struct quantity *q);
