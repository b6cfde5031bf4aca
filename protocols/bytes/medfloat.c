#include "protocols/bytes/medfloat.h"

#include <assert.h>
#include <errno.h>
#include <stddef.h>

/* one of the two formats */
struct format {
	int mantissa_bits;
	int64_t mantissa_min, mantissa_max;
	int32_t exponent_min, exponent_max;
	uint32_t first_special; /* +INF; the others follow in the order of specials[] */
};

static const struct format sfloat = { 12, -2048, 2047, -8, 7, MEDFLOAT16_SPECIAL };
static const struct format float32 = { 24, -8388608, 8388607, -128, 127, MEDFLOAT32_SPECIAL };

static const enum absent specials[] = { ABSENT_POSITIVE_INFINITY, ABSENT_NAN, ABSENT_NRES,
					ABSENT_RESERVED, ABSENT_NEGATIVE_INFINITY };
#define N_SPECIALS (sizeof(specials) / sizeof(specials[0]))
_Static_assert(N_SPECIALS == MEDFLOAT_SPECIALS, "a pattern without its reason");

/* no format has an exponent further from zero, and no 64-bit mantissa more digits to move there */
#define EXPONENT_MAX (128 + 19)

struct number medfloat_special(uint32_t which)
{
	assert(which < N_SPECIALS);
	return number_absent(specials[which]);
}

static int encode_special(enum absent why, const struct format *f, uint32_t *ret)
{
	for (uint32_t i = 0; i < N_SPECIALS; i++) {
		if (specials[i] == why) {
			*ret = f->first_special + i;
			return 0;
		}
	}
	return -ERANGE;
}

/* mantissa and exponent as they would stand in the format: free and not a special pattern */
static bool stands(struct decimal d, const struct format *f)
{
	if (d.mantissa < f->mantissa_min || d.mantissa > f->mantissa_max)
		return false;
	if (d.exponent < f->exponent_min || d.exponent > f->exponent_max)
		return false;
	/* specials: the largest two mantissas and the smallest three, at exponent zero */
	return d.exponent != 0 ||
	       (d.mantissa <= f->mantissa_max - 2 && d.mantissa >= f->mantissa_min + 3);
}

static bool shorten(struct decimal *d)
{
	if (d->mantissa % 10 != 0 || d->exponent > EXPONENT_MAX)
		return false;
	d->mantissa /= 10;
	d->exponent++;
	return true;
}

static bool lengthen(struct decimal *d)
{
	if (d->mantissa > INT64_MAX / 10 || d->mantissa < INT64_MIN / 10 ||
	    d->exponent < -EXPONENT_MAX)
		return false;
	d->mantissa *= 10;
	d->exponent--;
	return true;
}

/* the same value in the nearest form that stands */
static int fit(struct decimal d, const struct format *f, struct decimal *ret)
{
	struct decimal shorter = d, longer = d;

	if (d.exponent > EXPONENT_MAX || d.exponent < -EXPONENT_MAX)
		return -ERANGE;
	while (!stands(shorter, f)) {
		if (!shorten(&shorter))
			break;
	}
	while (!stands(longer, f)) {
		if (!lengthen(&longer))
			break;
	}
	if (!stands(shorter, f) && !stands(longer, f))
		return -ERANGE;
	*ret = stands(shorter, f) ? shorter : longer;
	return 0;
}

static int encode(struct number n, const struct format *f, uint32_t *ret)
{
	const uint32_t mask = (UINT32_C(1) << f->mantissa_bits) - 1;
	struct decimal d;
	int r;

	if (n.absent != ABSENT_NO)
		return encode_special(n.absent, f, ret);
	r = fit(n.value, f, &d);
	if (r < 0)
		return r;
	*ret = (uint32_t)d.exponent * (mask + 1) | ((uint32_t)d.mantissa & mask);
	return 0;
}

int medfloat16_encode(struct number n, uint16_t *ret)
{
	uint32_t raw = 0;
	int r = encode(n, &sfloat, &raw);

	if (r == 0)
		*ret = (uint16_t)raw;
	return r;
}

int medfloat32_encode(struct number n, uint32_t *ret)
{
	return encode(n, &float32, ret);
}

struct number medfloat16_read(struct cursor *c)
{
	return medfloat16_decode(cursor_le16(c));
}

struct number medfloat32_read(struct cursor *c)
{
	return medfloat32_decode(cursor_le32(c));
}

int medfloat16_write(struct writer *w, struct number n)
{
	uint16_t raw = 0;
	int r = medfloat16_encode(n, &raw);

	if (r == 0)
		writer_le16(w, raw);
	return r;
}

int medfloat32_write(struct writer *w, struct number n)
{
	uint32_t raw = 0;
	int r = medfloat32_encode(n, &raw);

	if (r == 0)
		writer_le32(w, raw);
	return r;
}
