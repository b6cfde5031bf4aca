#include "protocols/bytes/decimal.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "protocols/bytes/wide.h"

/* the largest power of ten that a 128-bit number holds is 10^38 */
#define WIDE_DIGITS 38

const char *absent_name(enum absent why)
{
	switch (why) {
	case ABSENT_NO:
		return NULL;
	case ABSENT_NAN:
		return "NaN";
	case ABSENT_NRES:
		return "NRes";
	case ABSENT_POSITIVE_INFINITY:
		return "+INF";
	case ABSENT_NEGATIVE_INFINITY:
		return "-INF";
	case ABSENT_RESERVED:
		return "reserved";
	case ABSENT_UNSUCCESSFUL:
		return "unsuccessful";
	case ABSENT_UNKNOWN:
		return "unknown";
	}
	return "unknown";
}

static struct wide power_of_ten(int32_t n)
{
	struct wide p = wide_of(1);

	assert(n >= 0 && n <= WIDE_DIGITS);
	while (n-- > 0)
		p = wide_times(p, 10);
	return p;
}

/* 10^19 is the largest that 64 bits hold */
static uint64_t short_power_of_ten(int32_t n)
{
	uint64_t p = 1;

	assert(n >= 0 && n <= 19);
	while (n-- > 0)
		p *= 10;
	return p;
}

static uint64_t magnitude_of(int64_t n)
{
	return n < 0 ? 0 - (uint64_t)n : (uint64_t)n;
}

/* n / d, half to even, which is the same above and below zero; d > 0 */
static struct wide divide_half_even(struct wide n, struct wide d)
{
	struct wide down; /* how far n is from the quotient... */
	struct wide quotient = wide_divide(n, d, &down);
	const struct wide up = wide_subtract(d, down); /* ...and from the next one */
	const int nearer = wide_compare(down, up);

	if (nearer < 0 || (nearer == 0 && quotient.low % 2 == 0))
		return quotient;
	quotient.low++;
	quotient.high += quotient.low == 0 ? 1 : 0;
	return quotient;
}

static bool exponent_is_sane(int32_t exponent)
{
	return exponent >= -DECIMAL_EXPONENT_MAX && exponent <= DECIMAL_EXPONENT_MAX;
}

/* digits of |n| without sign, at least one; returns their number */
static int digits_of(uint64_t n, char digits[20])
{
	char reversed[20];
	int count = 0;

	do {
		reversed[count++] = (char)('0' + n % 10);
		n /= 10;
	} while (n);
	for (int i = 0; i < count; i++)
		digits[i] = reversed[count - 1 - i];
	return count;
}

struct text {
	char *buf;
	size_t size, len;
};

static void put(struct text *t, char c)
{
	if (t->len + 1 < t->size)
		t->buf[t->len] = c;
	t->len++;
}

int decimal_format(char *buf, size_t size, struct decimal d)
{
	struct text t = { .buf = buf, .size = size };
	const uint64_t magnitude = magnitude_of(d.mantissa);
	char digits[20];
	int32_t fraction;
	int count;

	assert(size > 0);
	buf[0] = '\0';
	if (!exponent_is_sane(d.exponent))
		return -ERANGE;
	fraction = d.exponent < 0 ? -d.exponent : 0;
	count = digits_of(magnitude, digits);
	if (d.mantissa < 0)
		put(&t, '-');
	/* one digit stands before the point, invented zeros where there are too few */
	for (int i = count > fraction ? 0 : count - fraction - 1; i < count; i++) {
		if (fraction > 0 && i == count - fraction)
			put(&t, '.');
		put(&t, i < 0 ? '0' : digits[i]);
	}
	for (int32_t i = 0; i < d.exponent && magnitude != 0; i++)
		put(&t, '0');
	if (t.len >= size) {
		buf[0] = '\0';
		return -ENOSPC;
	}
	buf[t.len] = '\0';
	return (int)t.len;
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

int decimal_parse(const char *text, struct decimal *ret)
{
	const bool negative = *text == '-';
	const uint64_t limit = (uint64_t)INT64_MAX + (negative ? 1 : 0);
	uint64_t mantissa = 0;
	int32_t exponent = 0;
	bool point = false;

	if (negative)
		text++;
	if (!is_digit(*text))
		return -EINVAL;
	for (; *text; text++) {
		const uint64_t digit = (uint64_t)(*text - '0');

		if (*text == '.' && !point && is_digit(text[1])) {
			point = true;
			continue;
		}
		if (!is_digit(*text))
			return -EINVAL;
		if (mantissa > (limit - digit) / 10 || exponent == -DECIMAL_EXPONENT_MAX)
			return -ERANGE;
		mantissa = mantissa * 10 + digit;
		exponent -= point ? 1 : 0;
	}
	ret->mantissa = (int64_t)(negative ? 0 - mantissa : mantissa);
	ret->exponent = exponent;
	return 0;
}

static int narrow(bool negative, struct wide n, int32_t exponent, struct decimal *ret)
{
	if (n.high || n.low > (uint64_t)INT64_MAX + (negative ? 1 : 0))
		return -ERANGE;
	*ret = (struct decimal){ .mantissa = (int64_t)(negative ? 0 - n.low : n.low),
				 .exponent = exponent };
	return 0;
}

int decimal_rescale(struct decimal d, int32_t exponent, struct decimal *ret)
{
	const bool negative = d.mantissa < 0;
	const uint64_t n = magnitude_of(d.mantissa);
	int32_t shift;

	if (!exponent_is_sane(d.exponent) || !exponent_is_sane(exponent))
		return -ERANGE;
	shift = d.exponent - exponent;
	if (n == 0 || -shift > WIDE_DIGITS)
		return narrow(false, wide_of(0), exponent, ret);
	if (shift <= 0)
		return narrow(negative, divide_half_even(wide_of(n), power_of_ten(-shift)),
			      exponent, ret);
	if (shift > 18)
		return -ERANGE;
	return narrow(negative, wide_product(n, short_power_of_ten(shift)), exponent, ret);
}

static int sign_of(int64_t n)
{
	return (n > 0) - (n < 0);
}

int decimal_compare(struct decimal a, struct decimal b)
{
	const int64_t shift = (int64_t)a.exponent - b.exponent;
	const uint64_t of_a = magnitude_of(a.mantissa), of_b = magnitude_of(b.mantissa);
	const int sign = sign_of(a.mantissa);

	if (sign != sign_of(b.mantissa) || sign == 0)
		return sign_of(sign - sign_of(b.mantissa));
	/* same sign, neither zero: 19 digits against one more power than they hold decides */
	if (shift > 19)
		return sign;
	if (shift < -19)
		return -sign;
	if (shift >= 0)
		return sign * wide_compare(wide_product(of_a, short_power_of_ten((int32_t)shift)),
					   wide_of(of_b));
	return sign *
	       wide_compare(wide_of(of_a), wide_product(of_b, short_power_of_ten((int32_t)-shift)));
}

int decimal_add(struct decimal a, struct decimal b, struct decimal *ret)
{
	const int32_t exponent = a.exponent < b.exponent ? a.exponent : b.exponent;
	int64_t sum;
	int r = decimal_rescale(a, exponent, &a);

	if (r == 0)
		r = decimal_rescale(b, exponent, &b);
	if (r < 0)
		return r;
	if (__builtin_add_overflow(a.mantissa, b.mantissa, &sum))
		return -ERANGE;
	*ret = (struct decimal){ .mantissa = sum, .exponent = exponent };
	return 0;
}

static bool divides(struct wide numerator, struct wide denominator)
{
	struct wide rest;

	(void)wide_divide(numerator, denominator, &rest);
	return rest.high == 0 && rest.low == 0;
}

/* numerator * 10^exponent / denominator, lengthened until the division ends or the digits do */
static int divide(bool negative, struct wide numerator, int32_t exponent, uint64_t denominator,
		  int32_t max_digits, struct decimal *ret)
{
	/* 2^120 / 10, rounded down */
	const struct wide longest = { .high = 0x19999999999999, .low = 0x9999999999999999 };
	const struct wide largest = { .high = UINT64_C(1) << 62 };
	struct wide divisor = wide_of(denominator);
	bool ends = divides(numerator, divisor);

	for (; !ends && -exponent < max_digits; exponent--) {
		if (wide_compare(numerator, longest) > 0)
			return -ERANGE;
		numerator = wide_times(numerator, 10);
		ends = divides(numerator, divisor);
	}
	if (!ends && -exponent > max_digits) {
		const int32_t extra = -exponent - max_digits;

		if (extra > WIDE_DIGITS ||
		    wide_compare(divisor, wide_divide(largest, power_of_ten(extra), NULL)) > 0)
			return -ERANGE;
		divisor = wide_times(power_of_ten(extra), denominator);
		exponent = -max_digits;
	}
	return narrow(negative, divide_half_even(numerator, divisor), exponent, ret);
}

int decimal_scale(struct decimal d, int64_t add, struct decimal num, struct decimal den,
		  int32_t max_digits, struct decimal *ret)
{
	struct decimal sum = d;
	int64_t exponent;
	int r = 0;

	if (den.mantissa == 0)
		return -EDOM;
	if (add != 0)
		r = decimal_add(d, (struct decimal){ .mantissa = add }, &sum);
	if (r < 0)
		return r;
	exponent = (int64_t)sum.exponent + num.exponent - den.exponent;
	if (exponent < -DECIMAL_EXPONENT_MAX || exponent > DECIMAL_EXPONENT_MAX)
		return -ERANGE;
	return divide((sum.mantissa < 0) != ((num.mantissa < 0) != (den.mantissa < 0)),
		      wide_product(magnitude_of(sum.mantissa), magnitude_of(num.mantissa)),
		      (int32_t)exponent, magnitude_of(den.mantissa), max_digits, ret);
}
