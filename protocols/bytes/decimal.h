/*
 * Decimal numbers: mantissa * 10^exponent. The precision a device gave is part of the value
 * (740e-1 prints as 74.0), so nothing here normalises unless it is asked to.
 * No floating point.
 */
#pragma once

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* |exponent| beyond this is refused by every function that scales: no device says such things */
#define DECIMAL_EXPONENT_MAX 40
/* longest text of decimal_format, with sign, point and terminating NUL */
#define DECIMAL_TEXT_MAX 64

struct decimal {
	int64_t mantissa;
	int32_t exponent;
};

/* Why there is no number. Values equal enum Absent in wellgate.proto. */
enum absent {
	ABSENT_NO = 0, /* there is a number */
	ABSENT_NAN,
	ABSENT_NRES,
	ABSENT_POSITIVE_INFINITY,
	ABSENT_NEGATIVE_INFINITY,
	ABSENT_RESERVED,
	ABSENT_UNSUCCESSFUL, /* 0xFFFF in the integer fields of the SIG profiles */
	ABSENT_UNKNOWN,
};

/* A number, or the reason why there is none: never both. */
struct number {
	enum absent absent;
	struct decimal value; /* 0e0 when absent */
};

static inline struct number number_of(int64_t mantissa, int32_t exponent)
{
	return (struct number){ .absent = ABSENT_NO,
				.value = { .mantissa = mantissa, .exponent = exponent } };
}

static inline struct number number_absent(enum absent why)
{
	assert(why != ABSENT_NO);
	return (struct number){ .absent = why };
}

/* "NaN" "NRes" "+INF" "-INF" "reserved" "unsuccessful" "unknown"; NULL for ABSENT_NO */
const char *absent_name(enum absent why);

/* Plain decimal notation, every given digit kept: 79960e-3 -> "79.960", 5e2 -> "500".
 * Returns the length, or -ERANGE (exponent) or -ENOSPC; buf is a string in any case. */
int decimal_format(char *buf, size_t size, struct decimal d);
/* The inverse, "[-]digits[.digits]" only; -EINVAL, -ERANGE. ret untouched on failure. */
int decimal_parse(const char *text, struct decimal *ret);

/* The same value with another exponent. Coarser rounds half to even; -ERANGE on overflow. */
int decimal_rescale(struct decimal d, int32_t exponent, struct decimal *ret);
/* -1, 0, 1 by value (740e-1 equals 74e0). Never overflows. */
int decimal_compare(struct decimal a, struct decimal b);
int decimal_add(struct decimal a, struct decimal b, struct decimal *ret);
/* (d + add) * num / den. A division without rest keeps every digit, so den = 1 is always exact;
 * one that ends within max_digits (0..DECIMAL_EXPONENT_MAX) fractional digits is exact too; any
 * other is rounded half to even there, once. -ERANGE on overflow, -EDOM if den is zero. */
int decimal_scale(struct decimal d, int64_t add, struct decimal num, struct decimal den,
		  int32_t max_digits, struct decimal *ret);
