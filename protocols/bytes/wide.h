/*
 * Unsigned numbers of 128 bits, for products and quotients of 64-bit ones: compilers for 32-bit
 * processors have no such type. One code for all processors, so that all calculate alike.
 */
#pragma once

#include <stdint.h>

struct wide {
	uint64_t high, low;
};

static inline struct wide wide_of(uint64_t n)
{
	return (struct wide){ .low = n };
}

/* -1, 0, 1 */
int wide_compare(struct wide a, struct wide b);
/* b is at most a */
struct wide wide_subtract(struct wide a, struct wide b);
struct wide wide_product(uint64_t a, uint64_t b);
/* the product is below 2^128 */
struct wide wide_times(struct wide a, uint64_t b);
/* n / d, rounded down; d is not zero. ret_rest: n % d, may be NULL */
struct wide wide_divide(struct wide n, struct wide d, struct wide *ret_rest);
