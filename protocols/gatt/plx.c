#include "protocols/gatt/plx.h"

#include <errno.h>

#include "protocols/bytes/cursor.h"
#include "protocols/bytes/medfloat.h"
#include "protocols/gatt/field.h"

#define SPOT_TIME          0x01
#define SPOT_STATUS        0x02
#define SPOT_DEVICE        0x04
#define SPOT_AMPLITUDE     0x08
#define SPOT_CLOCK_NOT_SET 0x10
#define SPOT_RESERVED      0xe0

#define CONTINUOUS_FAST      0x01
#define CONTINUOUS_SLOW      0x02
#define CONTINUOUS_STATUS    0x04
#define CONTINUOUS_DEVICE    0x08
#define CONTINUOUS_AMPLITUDE 0x10
#define CONTINUOUS_RESERVED  0xe0

#define U24_MAX 0xffffff

static struct gatt_plx_pair pair_read(struct cursor *c)
{
	struct gatt_plx_pair pair;

	pair.spo2 = medfloat16_read(c);
	pair.pulse = medfloat16_read(c);
	return pair;
}

static int pair_write(struct writer *w, const struct gatt_plx_pair *pair)
{
	int r = medfloat16_write(w, pair->spo2);

	return r < 0 ? r : medfloat16_write(w, pair->pulse);
}

int gatt_plx_spot_decode(const uint8_t *data, size_t len, struct gatt_plx_spot *ret)
{
	struct cursor c = cursor_of(data, len);
	struct gatt_plx_spot x = { 0 };
	uint8_t flags = cursor_u8(&c);

	if (flags & SPOT_RESERVED)
		return -ERANGE;
	x.clock_not_set = flags & SPOT_CLOCK_NOT_SET;
	x.pair = pair_read(&c);
	x.has_time = flags & SPOT_TIME;
	if (x.has_time)
		x.time = gatt_date_time_read(&c);
	x.has_measurement_status = flags & SPOT_STATUS;
	if (x.has_measurement_status)
		x.measurement_status = cursor_le16(&c);
	x.has_device_status = flags & SPOT_DEVICE;
	if (x.has_device_status)
		x.device_status = cursor_le24(&c);
	x.has_amplitude = flags & SPOT_AMPLITUDE;
	if (x.has_amplitude)
		x.amplitude = medfloat16_read(&c);
	if (!cursor_at_end(&c))
		return -EMSGSIZE;
	if (x.has_time && !gatt_date_time_valid(&x.time))
		return -ERANGE;
	*ret = x;
	return 0;
}

static int spot_write(const struct gatt_plx_spot *x, struct writer *w)
{
	int r;

	if (x->has_time && !gatt_date_time_valid(&x->time))
		return -ERANGE;
	if (x->has_device_status && x->device_status > U24_MAX)
		return -ERANGE;
	writer_u8(w, (uint8_t)((x->has_time ? SPOT_TIME : 0) |
			       (x->has_measurement_status ? SPOT_STATUS : 0) |
			       (x->has_device_status ? SPOT_DEVICE : 0) |
			       (x->has_amplitude ? SPOT_AMPLITUDE : 0) |
			       (x->clock_not_set ? SPOT_CLOCK_NOT_SET : 0)));
	r = pair_write(w, &x->pair);
	if (x->has_time)
		gatt_date_time_write(&x->time, w);
	if (x->has_measurement_status)
		writer_le16(w, x->measurement_status);
	if (x->has_device_status)
		writer_le24(w, x->device_status);
	if (r == 0 && x->has_amplitude)
		r = medfloat16_write(w, x->amplitude);
	return r;
}

int gatt_plx_spot_encode(const struct gatt_plx_spot *x, struct writer *w)
{
	struct writer start = *w;

	return field_close(w, &start, spot_write(x, w));
}

int gatt_plx_continuous_decode(const uint8_t *data, size_t len, struct gatt_plx_continuous *ret)
{
	struct cursor c = cursor_of(data, len);
	struct gatt_plx_continuous x = { 0 };
	uint8_t flags = cursor_u8(&c);

	if (flags & CONTINUOUS_RESERVED)
		return -ERANGE;
	x.normal = pair_read(&c);
	x.has_fast = flags & CONTINUOUS_FAST;
	if (x.has_fast)
		x.fast = pair_read(&c);
	x.has_slow = flags & CONTINUOUS_SLOW;
	if (x.has_slow)
		x.slow = pair_read(&c);
	x.has_measurement_status = flags & CONTINUOUS_STATUS;
	if (x.has_measurement_status)
		x.measurement_status = cursor_le16(&c);
	x.has_device_status = flags & CONTINUOUS_DEVICE;
	if (x.has_device_status)
		x.device_status = cursor_le24(&c);
	x.has_amplitude = flags & CONTINUOUS_AMPLITUDE;
	if (x.has_amplitude)
		x.amplitude = medfloat16_read(&c);
	if (!cursor_at_end(&c))
		return -EMSGSIZE;
	*ret = x;
	return 0;
}

static int continuous_write(const struct gatt_plx_continuous *x, struct writer *w)
{
	int r;

	if (x->has_device_status && x->device_status > U24_MAX)
		return -ERANGE;
	writer_u8(w, (uint8_t)((x->has_fast ? CONTINUOUS_FAST : 0) |
			       (x->has_slow ? CONTINUOUS_SLOW : 0) |
			       (x->has_measurement_status ? CONTINUOUS_STATUS : 0) |
			       (x->has_device_status ? CONTINUOUS_DEVICE : 0) |
			       (x->has_amplitude ? CONTINUOUS_AMPLITUDE : 0)));
	r = pair_write(w, &x->normal);
	if (r == 0 && x->has_fast)
		r = pair_write(w, &x->fast);
	if (r == 0 && x->has_slow)
		r = pair_write(w, &x->slow);
	if (x->has_measurement_status)
		writer_le16(w, x->measurement_status);
	if (x->has_device_status)
		writer_le24(w, x->device_status);
	if (r == 0 && x->has_amplitude)
		r = medfloat16_write(w, x->amplitude);
	return r;
}

int gatt_plx_continuous_encode(const struct gatt_plx_continuous *x, struct writer *w)
{
	struct writer start = *w;

	return field_close(w, &start, continuous_write(x, w));
}

int gatt_plx_features_decode(const uint8_t *data, size_t len, struct gatt_plx_features *ret)
{
	struct cursor c = cursor_of(data, len);
	struct gatt_plx_features x = { .features = cursor_le16(&c) };

	if (x.features & GATT_PLX_HAS_MEASUREMENT_STATUS)
		x.measurement_status = cursor_le16(&c);
	if (x.features & GATT_PLX_HAS_DEVICE_STATUS)
		x.device_status = cursor_le24(&c);
	if (!cursor_at_end(&c))
		return -EMSGSIZE;
	*ret = x;
	return 0;
}

int gatt_plx_features_encode(const struct gatt_plx_features *x, struct writer *w)
{
	struct writer start = *w;

	if (x->device_status > U24_MAX)
		return -ERANGE;
	writer_le16(w, x->features);
	if (x->features & GATT_PLX_HAS_MEASUREMENT_STATUS)
		writer_le16(w, x->measurement_status);
	if (x->features & GATT_PLX_HAS_DEVICE_STATUS)
		writer_le24(w, x->device_status);
	return field_close(w, &start, 0);
}
