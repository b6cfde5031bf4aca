#include "protocols/gatt/rsc.h"

#include <errno.h>

#include "protocols/bytes/cursor.h"
#include "protocols/gatt/field.h"

#define FLAG_STRIDE   0x01
#define FLAG_DISTANCE 0x02
#define FLAG_RUNNING  0x04
#define FLAG_RESERVED 0xf8

/* 1/256 m/s = 390625e-8 m/s */
#define SPEED_STEP     390625
#define SPEED_EXPONENT (-8)

int gatt_rsc_decode(const uint8_t *data, size_t len, struct gatt_rsc *ret)
{
	struct cursor c = cursor_of(data, len);
	struct gatt_rsc x = { 0 };
	uint8_t flags = cursor_u8(&c);

	if (flags & FLAG_RESERVED)
		return -ERANGE;
	x.running = flags & FLAG_RUNNING;
	x.speed = number_of((int64_t)cursor_le16(&c) * SPEED_STEP, SPEED_EXPONENT);
	x.cadence = number_of(cursor_u8(&c), 0);
	x.has_stride = flags & FLAG_STRIDE;
	if (x.has_stride)
		x.stride = number_of(cursor_le16(&c), -2);
	x.has_distance = flags & FLAG_DISTANCE;
	if (x.has_distance)
		x.distance = number_of(cursor_le32(&c), -1);
	if (!cursor_at_end(&c))
		return -EMSGSIZE;
	*ret = x;
	return 0;
}

static int rsc_write(const struct gatt_rsc *x, struct writer *w)
{
	int64_t speed, distance;
	int r = field_integer(x->speed, SPEED_EXPONENT, 0, (int64_t)UINT16_MAX * SPEED_STEP,
			      &speed);

	if (r < 0)
		return r;
	if (speed % SPEED_STEP != 0)
		return -ERANGE;
	writer_u8(w, (uint8_t)((x->has_stride ? FLAG_STRIDE : 0) |
			       (x->has_distance ? FLAG_DISTANCE : 0) |
			       (x->running ? FLAG_RUNNING : 0)));
	writer_le16(w, (uint16_t)(speed / SPEED_STEP));
	r = field_u8(w, x->cadence, 0);
	if (r == 0 && x->has_stride)
		r = field_u16(w, x->stride, -2);
	if (r == 0 && x->has_distance) {
		r = field_integer(x->distance, -1, 0, UINT32_MAX, &distance);
		if (r == 0)
			writer_le32(w, (uint32_t)distance);
	}
	return r;
}

int gatt_rsc_encode(const struct gatt_rsc *x, struct writer *w)
{
	struct writer start = *w;

	return field_close(w, &start, rsc_write(x, w));
}

int gatt_rsc_feature_decode(const uint8_t *data, size_t len, uint16_t *ret)
{
	struct cursor c = cursor_of(data, len);
	uint16_t feature = cursor_le16(&c);

	if (!cursor_at_end(&c))
		return -EMSGSIZE;
	*ret = feature;
	return 0;
}

int gatt_rsc_feature_encode(uint16_t feature, struct writer *w)
{
	struct writer start = *w;

	writer_le16(w, feature);
	return field_close(w, &start, 0);
}
