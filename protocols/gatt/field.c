#include "protocols/gatt/field.h"

#include <errno.h>

int field_integer(struct number n, int32_t exponent, int64_t min, int64_t max, int64_t *ret)
{
	struct decimal d;

	if (n.absent != ABSENT_NO)
		return -ERANGE;
	if (decimal_rescale(n.value, exponent, &d) < 0 || decimal_compare(d, n.value) != 0)
		return -ERANGE;
	if (d.mantissa < min || d.mantissa > max)
		return -ERANGE;
	*ret = d.mantissa;
	return 0;
}

int field_u8(struct writer *w, struct number n, int32_t exponent)
{
	int64_t v;
	int r = field_integer(n, exponent, 0, UINT8_MAX, &v);

	if (r < 0)
		return r;
	writer_u8(w, (uint8_t)v);
	return 0;
}

int field_u16(struct writer *w, struct number n, int32_t exponent)
{
	int64_t v;
	int r = field_integer(n, exponent, 0, UINT16_MAX, &v);

	if (r < 0)
		return r;
	writer_le16(w, (uint16_t)v);
	return 0;
}

struct number field_measured(uint16_t raw, int64_t factor, int32_t exponent)
{
	return raw == UINT16_MAX ? number_absent(ABSENT_UNSUCCESSFUL)
				 : number_of(raw * factor, exponent);
}

int field_write_measured(struct writer *w, struct number n, int64_t factor, int32_t exponent)
{
	int64_t v = UINT16_MAX * factor;
	int r = 0;

	if (n.absent != ABSENT_UNSUCCESSFUL)
		r = field_integer(n, exponent, 0, (UINT16_MAX - 1) * factor, &v);
	if (r < 0 || v % factor != 0)
		return -ERANGE;
	writer_le16(w, (uint16_t)(v / factor));
	return 0;
}

struct number field_mass(uint16_t raw, bool imperial)
{
	return imperial ? field_measured(raw, 1, -2) : field_measured(raw, 5, -3);
}

int field_write_mass(struct writer *w, struct number n, bool imperial)
{
	return imperial ? field_write_measured(w, n, 1, -2) : field_write_measured(w, n, 5, -3);
}

struct number field_height(uint16_t raw, bool imperial)
{
	return field_measured(raw, 1, imperial ? -1 : -3);
}

int field_write_height(struct writer *w, struct number n, bool imperial)
{
	return field_write_measured(w, n, 1, imperial ? -1 : -3);
}

int field_close(struct writer *w, const struct writer *start, int r)
{
	if (r == 0 && !writer_ok(w))
		r = -ENOSPC;
	if (r < 0) {
		w->len = start->len;
		w->failed = start->failed || r == -ENOSPC;
	}
	return r;
}
