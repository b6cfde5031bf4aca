#include "protocols/gatt/temperature.h"

#include <errno.h>

#include "protocols/bytes/cursor.h"
#include "protocols/bytes/medfloat.h"
#include "protocols/gatt/field.h"

#define FLAG_FAHRENHEIT 0x01
#define FLAG_TIME       0x02
#define FLAG_TYPE       0x04
#define FLAG_RESERVED   0xf8

int gatt_temperature_decode(const uint8_t *data, size_t len, struct gatt_temperature *ret)
{
	struct cursor c = cursor_of(data, len);
	struct gatt_temperature x = { 0 };
	uint8_t flags = cursor_u8(&c);

	if (flags & FLAG_RESERVED)
		return -ERANGE;
	x.fahrenheit = flags & FLAG_FAHRENHEIT;
	x.value = medfloat32_read(&c);
	x.has_time = flags & FLAG_TIME;
	if (x.has_time)
		x.time = gatt_date_time_read(&c);
	x.has_type = flags & FLAG_TYPE;
	if (x.has_type)
		x.type = (enum gatt_temperature_type)cursor_u8(&c);
	if (!cursor_at_end(&c))
		return -EMSGSIZE;
	if (x.has_time && !gatt_date_time_valid(&x.time))
		return -ERANGE;
	if (x.has_type && !gatt_temperature_type_name(x.type))
		return -ERANGE;
	*ret = x;
	return 0;
}

static int temperature_write(const struct gatt_temperature *x, struct writer *w)
{
	int r;

	writer_u8(w, (uint8_t)((x->fahrenheit ? FLAG_FAHRENHEIT : 0) |
			       (x->has_time ? FLAG_TIME : 0) | (x->has_type ? FLAG_TYPE : 0)));
	r = medfloat32_write(w, x->value);
	if (r < 0)
		return r;
	if (x->has_time) {
		if (!gatt_date_time_valid(&x->time))
			return -ERANGE;
		gatt_date_time_write(&x->time, w);
	}
	if (x->has_type) {
		if (!gatt_temperature_type_name((unsigned int)x->type))
			return -ERANGE;
		writer_u8(w, (uint8_t)x->type);
	}
	return 0;
}

int gatt_temperature_encode(const struct gatt_temperature *x, struct writer *w)
{
	struct writer start = *w;

	return field_close(w, &start, temperature_write(x, w));
}

int gatt_temperature_type_decode(const uint8_t *data, size_t len, enum gatt_temperature_type *ret)
{
	if (len != 1)
		return -EMSGSIZE;
	if (!gatt_temperature_type_name(data[0]))
		return -ERANGE;
	*ret = (enum gatt_temperature_type)data[0];
	return 0;
}

int gatt_temperature_type_encode(enum gatt_temperature_type x, struct writer *w)
{
	struct writer start = *w;

	if (!gatt_temperature_type_name((unsigned int)x))
		return -ERANGE;
	writer_u8(w, (uint8_t)x);
	return field_close(w, &start, 0);
}

const char *gatt_temperature_type_name(unsigned int type)
{
	static const char *const names[] = {
		[GATT_TEMPERATURE_ARMPIT] = "armpit",
		[GATT_TEMPERATURE_BODY] = "body",
		[GATT_TEMPERATURE_EAR] = "ear",
		[GATT_TEMPERATURE_FINGER] = "finger",
		[GATT_TEMPERATURE_GASTRO_INTESTINAL] = "gastro-intestinal tract",
		[GATT_TEMPERATURE_MOUTH] = "mouth",
		[GATT_TEMPERATURE_RECTUM] = "rectum",
		[GATT_TEMPERATURE_TOE] = "toe",
		[GATT_TEMPERATURE_TYMPANUM] = "ear drum",
	};

	return type < sizeof(names) / sizeof(names[0]) ? names[type] : NULL;
}

int gatt_measurement_interval_decode(const uint8_t *data, size_t len, uint16_t *ret)
{
	struct cursor c = cursor_of(data, len);
	uint16_t seconds = cursor_le16(&c);

	if (!cursor_at_end(&c))
		return -EMSGSIZE;
	*ret = seconds;
	return 0;
}

int gatt_measurement_interval_encode(uint16_t seconds, struct writer *w)
{
	struct writer start = *w;

	writer_le16(w, seconds);
	return field_close(w, &start, 0);
}
