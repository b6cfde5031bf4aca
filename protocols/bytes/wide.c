#include "protocols/bytes/wide.h"

#include <assert.h>
#include <stddef.h>

int wide_compare(struct wide a, struct wide b)
{
	if (a.high != b.high)
		return a.high > b.high ? 1 : -1;
	return (a.low > b.low) - (a.low < b.low);
}

struct wide wide_subtract(struct wide a, struct wide b)
{
	assert(wide_compare(a, b) >= 0);
	return (struct wide){ .high = a.high - b.high - (a.low < b.low ? 1 : 0),
			      .low = a.low - b.low };
}

struct wide wide_product(uint64_t a, uint64_t b)
{
	const uint64_t a0 = a & UINT32_MAX, a1 = a >> 32, b0 = b & UINT32_MAX, b1 = b >> 32;
	const uint64_t first = a0 * b0;
	/* (2^32 - 1)^2 + 2^32 - 1 is below 2^64: no carry is lost */
	const uint64_t second = a1 * b0 + (first >> 32);
	const uint64_t third = a0 * b1 + (second & UINT32_MAX);

	return (struct wide){ .high = a1 * b1 + (second >> 32) + (third >> 32),
			      .low = third << 32 | (first & UINT32_MAX) };
}

struct wide wide_times(struct wide a, uint64_t b)
{
	struct wide product = wide_product(a.low, b);
	const struct wide upper = wide_product(a.high, b);

	assert(upper.high == 0 && upper.low <= UINT64_MAX - product.high);
	product.high += upper.low;
	return product;
}

static struct wide twice(struct wide n)
{
	return (struct wide){ .high = n.high << 1 | n.low >> 63, .low = n.low << 1 };
}

static struct wide half(struct wide n)
{
	return (struct wide){ .high = n.high >> 1, .low = n.high << 63 | n.low >> 1 };
}

/* as on paper, bit by bit: what no longer fits 64 bits is rare */
static struct wide divide_long(struct wide n, struct wide d, struct wide *ret_rest)
{
	struct wide quotient = { .low = 0 }, bit = { .low = 1 };

	while (d.high >> 63 == 0 && wide_compare(d, n) < 0) {
		d = twice(d);
		bit = twice(bit);
	}
	for (; bit.high || bit.low; bit = half(bit), d = half(d)) {
		if (wide_compare(n, d) < 0)
			continue;
		n = wide_subtract(n, d);
		quotient.high |= bit.high;
		quotient.low |= bit.low;
	}
	*ret_rest = n;
	return quotient;
}

struct wide wide_divide(struct wide n, struct wide d, struct wide *ret_rest)
{
	struct wide quotient, rest;

	assert(d.high || d.low);
	if (n.high == 0 && d.high == 0) {
		quotient = wide_of(n.low / d.low);
		rest = wide_of(n.low % d.low);
	} else {
		quotient = divide_long(n, d, &rest);
	}
	if (ret_rest)
		*ret_rest = rest;
	return quotient;
}
