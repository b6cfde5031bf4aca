#include "protocols/gatt/quantity.h"

#include <errno.h>

#include "protocols/gatt/field.h"

#define UNSUCCESSFUL 0xffff

const struct quantity quantity_tenth = { 1, -1 };
const struct quantity quantity_one = { 1, 0 };
const struct quantity quantity_mass[2] = { { 5, -3 }, { 1, -2 } };
const struct quantity quantity_length[2] = { { 1, -3 }, { 1, -1 } };

struct number quantity_read(struct cursor *c, const struct quantity *q)
{
	const uint16_t raw = cursor_le16(c);

	if (raw == UNSUCCESSFUL)
		return number_absent(ABSENT_UNSUCCESSFUL);
	return number_of((int64_t)raw * q->step, q->exponent);
}

int quantity_write(struct writer *w, struct number n, const struct quantity *q)
{
	int64_t v;
	int r;

	if (n.absent == ABSENT_UNSUCCESSFUL) {
		writer_le16(w, UNSUCCESSFUL);
		return 0;
	}
	r = field_integer(n, q->exponent, 0, (int64_t)(UNSUCCESSFUL - 1) * q->step, &v);
	if (r < 0)
		return r;
	if (v % q->step != 0)
		return -ERANGE;
	writer_le16(w, (uint16_t)(v / q->step));
	return 0;
}
