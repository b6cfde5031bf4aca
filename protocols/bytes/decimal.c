#include "protocols/bytes/decimal.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

__extension__ typedef __int128 wide;

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

static wide power_of_ten(int32_t n)
{
	wide p = 1;

	assert(n >= 0 && n <= WIDE_DIGITS);
	while (n-- > 0)
		p *= 10;
	return p;
}

/* n / d, half to even; d > 0 */
static wide divide_half_even(wide n, wide d)
{
	wide quotient = n / d;
	const wide down = n % d < 0 ? -(n % d) : n % d; /* how far n is from the quotient... */
	const wide up = d - down;                       /* ...and from the next one */

	if (down > up || (down == up && quotient % 2 != 0))
		quotient += n < 0 ? -1 : 1;
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
	const uint64_t magnitude = d.mantissa < 0 ? 0 - (uint64_t)d.mantissa : (uint64_t)d.mantissa;
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

static int narrow(wide n, int32_t exponent, struct decimal *ret)
{
	if (n > INT64_MAX || n < INT64_MIN)
		return -ERANGE;
	*ret = (struct decimal){ .mantissa = (int64_t)n, .exponent = exponent };
	return 0;
}

int decimal_rescale(struct decimal d, int32_t exponent, struct decimal *ret)
{
	int32_t shift;

	if (!exponent_is_sane(d.exponent) || !exponent_is_sane(exponent))
		return -ERANGE;
	shift = d.exponent - exponent;
	if (shift <= 0)
		return narrow(-shift > WIDE_DIGITS
				      ? 0
				      : divide_half_even(d.mantissa, power_of_ten(-shift)),
			      exponent, ret);
	if (d.mantissa == 0)
		return narrow(0, exponent, ret);
	if (shift > 18)
		return -ERANGE;
	return narrow((wide)d.mantissa * power_of_ten(shift), exponent, ret);
}

static int sign_of(wide n)
{
	return (n > 0) - (n < 0);
}

int decimal_compare(struct decimal a, struct decimal b)
{
	const int64_t shift = (int64_t)a.exponent - b.exponent;

	if (sign_of(a.mantissa) != sign_of(b.mantissa) || a.mantissa == 0)
		return sign_of((wide)sign_of(a.mantissa) - sign_of(b.mantissa));
	/* same sign, neither zero: 19 digits against one more power than they hold decides */
	if (shift > 19)
		return sign_of(a.mantissa);
	if (shift < -19)
		return -sign_of(b.mantissa);
	if (shift >= 0)
		return sign_of((wide)a.mantissa * power_of_ten((int32_t)shift) - b.mantissa);
	return sign_of(a.mantissa - (wide)b.mantissa * power_of_ten((int32_t)-shift));
}

int decimal_add(struct decimal a, struct decimal b, struct decimal *ret)
{
	const int32_t exponent = a.exponent < b.exponent ? a.exponent : b.exponent;
	int r = decimal_rescale(a, exponent, &a);

	if (r == 0)
		r = decimal_rescale(b, exponent, &b);
	return r < 0 ? r : narrow((wide)a.mantissa + b.mantissa, exponent, ret);
}

/* numerator * 10^exponent / denominator, lengthened until the division ends or the digits do */
static int divide(wide numerator, int32_t exponent, wide denominator, int32_t max_digits,
		  struct decimal *ret)
{
	while (numerator % denominator != 0 && -exponent < max_digits) {
		if (numerator > ((wide)1 << 120) / 10 || numerator < -((wide)1 << 120) / 10)
			return -ERANGE;
		numerator *= 10;
		exponent--;
	}
	if (numerator % denominator != 0 && -exponent > max_digits) {
		const int32_t extra = -exponent - max_digits;

		if (extra > WIDE_DIGITS || denominator > ((wide)1 << 126) / power_of_ten(extra))
			return -ERANGE;
		denominator *= power_of_ten(extra);
		exponent = -max_digits;
	}
	return narrow(divide_half_even(numerator, denominator), exponent, ret);
}

int decimal_scale(struct decimal d, int64_t add, struct decimal num, struct decimal den,
		  int32_t max_digits, struct decimal *ret)
{
	struct decimal sum = d;
	int64_t exponent;
	wide numerator;
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
	numerator = (wide)sum.mantissa * num.mantissa;
	if (den.mantissa < 0)
		numerator = -numerator;
	return divide(numerator, (int32_t)exponent,
		      den.mantissa < 0 ? -(wide)den.mantissa : (wide)den.mantissa, max_digits, ret);
}
