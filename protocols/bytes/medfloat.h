/*
 * The two decimal floats of medical devices: SFLOAT (16 bit: 4 exponent, 12 mantissa) and FLOAT
 * (32 bit: 8 exponent, 24 mantissa), both two's complement, value = mantissa * 10^exponent.
 * Source: IEEE 11073-20601 FLOAT-Type and SFLOAT-Type; the SIG calls them medfloat32, medfloat16.
 *
 * Five patterns are no numbers. They are exact patterns of all bits (exponent zero): the same
 * mantissa under another exponent is an ordinary number.
 *
 *             SFLOAT  FLOAT
 *   +INF      0x07fe  0x007ffffe   above what the device can say
 *   NaN       0x07ff  0x007fffff
 *   NRes      0x0800  0x00800000   not at this resolution
 *   reserved  0x0801  0x00800001
 *   -INF      0x0802  0x00800002   below what the device can say
 */
#pragma once

#include <stdint.h>

#include "protocols/bytes/cursor.h"
#include "protocols/bytes/decimal.h"
#include "protocols/bytes/writer.h"

/* the first of the five, which follow each other */
#define MEDFLOAT16_SPECIAL 0x07fe
#define MEDFLOAT32_SPECIAL 0x007ffffe
#define MEDFLOAT_SPECIALS  5

/* which: 0 +INF to 4 -INF */
struct number medfloat_special(uint32_t which);

/* two's complement of a field whose highest bit is `sign` */
static inline int32_t medfloat_signed(uint32_t field, int32_t sign)
{
	return ((int32_t)field ^ sign) - sign;
}

static inline struct number medfloat16_decode(uint16_t raw)
{
	const uint32_t special = (uint32_t)raw - MEDFLOAT16_SPECIAL;

	if (special < MEDFLOAT_SPECIALS)
		return medfloat_special(special);
	return number_of(medfloat_signed(raw & 0xfff, 0x800), medfloat_signed(raw >> 12, 0x8));
}

static inline struct number medfloat32_decode(uint32_t raw)
{
	const uint32_t special = raw - MEDFLOAT32_SPECIAL;

	if (special < MEDFLOAT_SPECIALS)
		return medfloat_special(special);
	return number_of(medfloat_signed(raw & 0xffffff, 0x800000),
			 medfloat_signed(raw >> 24, 0x80));
}

/* Exact, or -ERANGE. The exponent is kept where it can be, so 740e-1 comes back as 740e-1;
 * otherwise the same value with another exponent. ABSENT_UNSUCCESSFUL and ABSENT_UNKNOWN have no
 * pattern: -ERANGE. */
int medfloat16_encode(struct number n, uint16_t *ret);
int medfloat32_encode(struct number n, uint32_t *ret);

/* little-endian, as in GATT; a read past the end gives 0e0 and a failed cursor */
struct number medfloat16_read(struct cursor *c);
struct number medfloat32_read(struct cursor *c);
/* -ERANGE as above, and then nothing is written; a full writer fails by itself */
int medfloat16_write(struct writer *w, struct number n);
int medfloat32_write(struct writer *w, struct number n);
