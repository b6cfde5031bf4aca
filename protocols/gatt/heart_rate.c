#include "protocols/gatt/heart_rate.h"

#include <errno.h>

#include "protocols/bytes/cursor.h"
#include "protocols/gatt/field.h"

#define FLAG_WIDE          0x01
#define FLAG_CONTACT       0x06
#define FLAG_CONTACT_SHIFT 1
#define FLAG_ENERGY        0x08
#define FLAG_INTERVALS     0x10
#define FLAG_RESERVED      0xe0

/* all that is left; at least one, because the flag says so */
static void heart_rate_intervals(struct cursor *c, struct gatt_heart_rate *x)
{
	do {
		x->intervals[x->interval_count++] = cursor_le16(c);
	} while (cursor_left(c) > 0 && x->interval_count < GATT_HEART_RATE_INTERVALS_MAX);
}

int gatt_heart_rate_decode(const uint8_t *data, size_t len, struct gatt_heart_rate *ret)
{
	struct cursor c = cursor_of(data, len);
	struct gatt_heart_rate x = { 0 };
	uint8_t flags = cursor_u8(&c);

	if (flags & FLAG_RESERVED)
		return -ERANGE;
	x.wide = flags & FLAG_WIDE;
	x.rate = number_of(x.wide ? cursor_le16(&c) : cursor_u8(&c), 0);
	x.contact = (enum gatt_heart_rate_contact)((flags & FLAG_CONTACT) >> FLAG_CONTACT_SHIFT);
	x.has_energy = flags & FLAG_ENERGY;
	if (x.has_energy)
		x.energy = number_of(cursor_le16(&c), 0);
	if (flags & FLAG_INTERVALS)
		heart_rate_intervals(&c, &x);
	if (!cursor_at_end(&c))
		return -EMSGSIZE;
	*ret = x;
	return 0;
}

static int heart_rate_write(const struct gatt_heart_rate *x, struct writer *w)
{
	unsigned int contact = (unsigned int)x->contact;
	int r;

	if (contact > GATT_HEART_RATE_CONTACT_GOOD ||
	    x->interval_count > GATT_HEART_RATE_INTERVALS_MAX)
		return -ERANGE;
	writer_u8(w, (uint8_t)((x->wide ? FLAG_WIDE : 0) | contact << FLAG_CONTACT_SHIFT |
			       (x->has_energy ? FLAG_ENERGY : 0) |
			       (x->interval_count ? FLAG_INTERVALS : 0)));
	r = x->wide ? field_u16(w, x->rate, 0) : field_u8(w, x->rate, 0);
	if (r == 0 && x->has_energy)
		r = field_u16(w, x->energy, 0);
	for (size_t i = 0; i < x->interval_count; i++)
		writer_le16(w, x->intervals[i]);
	return r;
}

int gatt_heart_rate_encode(const struct gatt_heart_rate *x, struct writer *w)
{
	struct writer start = *w;

	return field_close(w, &start, heart_rate_write(x, w));
}

struct number gatt_heart_rate_interval_ms(uint16_t interval)
{
	return number_of((int64_t)interval * 9765625, -7);
}

int gatt_body_sensor_location_decode(const uint8_t *data, size_t len,
				     enum gatt_body_sensor_location *ret)
{
	if (len != 1)
		return -EMSGSIZE;
	if (!gatt_body_sensor_location_name(data[0]))
		return -ERANGE;
	*ret = (enum gatt_body_sensor_location)data[0];
	return 0;
}

int gatt_body_sensor_location_encode(enum gatt_body_sensor_location x, struct writer *w)
{
	struct writer start = *w;

	if (!gatt_body_sensor_location_name((unsigned int)x))
		return -ERANGE;
	writer_u8(w, (uint8_t)x);
	return field_close(w, &start, 0);
}

const char *gatt_body_sensor_location_name(unsigned int location)
{
	static const char *const names[] = {
		[GATT_BODY_SENSOR_OTHER] = "other", [GATT_BODY_SENSOR_CHEST] = "chest",
		[GATT_BODY_SENSOR_WRIST] = "wrist", [GATT_BODY_SENSOR_FINGER] = "finger",
		[GATT_BODY_SENSOR_HAND] = "hand",   [GATT_BODY_SENSOR_EAR_LOBE] = "ear lobe",
		[GATT_BODY_SENSOR_FOOT] = "foot",
	};

	return location < sizeof(names) / sizeof(names[0]) ? names[location] : NULL;
}

int gatt_heart_rate_control_decode(const uint8_t *data, size_t len, uint8_t *ret)
{
	if (len != 1)
		return -EMSGSIZE;
	if (data[0] != GATT_HEART_RATE_RESET_ENERGY)
		return -ERANGE;
	*ret = data[0];
	return 0;
}

int gatt_heart_rate_control_encode(uint8_t command, struct writer *w)
{
	struct writer start = *w;

	if (command != GATT_HEART_RATE_RESET_ENERGY)
		return -ERANGE;
	writer_u8(w, command);
	return field_close(w, &start, 0);
}
