#include "protocols/gatt/weight.h"

#include <errno.h>

#include "protocols/bytes/cursor.h"
#include "protocols/gatt/field.h"

#define FLAG_IMPERIAL   0x01
#define FLAG_TIME       0x02
#define FLAG_USER       0x04
#define FLAG_BMI_HEIGHT 0x08
#define FLAG_RESERVED   0xf0

int gatt_weight_decode(const uint8_t *data, size_t len, struct gatt_weight *ret)
{
	struct cursor c = cursor_of(data, len);
	const uint8_t flags = cursor_u8(&c);
	struct gatt_weight x = { .imperial = flags & FLAG_IMPERIAL };

	if (flags & FLAG_RESERVED)
		return -ERANGE;
	x.weight = field_mass(cursor_le16(&c), x.imperial);
	x.has_time = flags & FLAG_TIME;
	if (x.has_time)
		x.time = gatt_date_time_read(&c);
	x.has_user = flags & FLAG_USER;
	if (x.has_user)
		x.user = cursor_u8(&c);
	x.has_bmi_height = flags & FLAG_BMI_HEIGHT;
	if (x.has_bmi_height) {
		x.bmi = field_measured(cursor_le16(&c), 1, -1);
		x.height = field_height(cursor_le16(&c), x.imperial);
	}
	if (!cursor_at_end(&c))
		return -EMSGSIZE;
	if (!gatt_date_time_valid(&x.time))
		return -ERANGE;
	*ret = x;
	return 0;
}

static int weight_write(const struct gatt_weight *x, struct writer *w)
{
	int r;

	if (x->has_time && !gatt_date_time_valid(&x->time))
		return -ERANGE;
	writer_u8(w, (uint8_t)((x->imperial ? FLAG_IMPERIAL : 0) | (x->has_time ? FLAG_TIME : 0) |
			       (x->has_user ? FLAG_USER : 0) |
			       (x->has_bmi_height ? FLAG_BMI_HEIGHT : 0)));
	r = field_write_mass(w, x->weight, x->imperial);
	if (x->has_time)
		gatt_date_time_write(&x->time, w);
	if (x->has_user)
		writer_u8(w, x->user);
	if (r == 0 && x->has_bmi_height)
		r = field_write_measured(w, x->bmi, 1, -1);
	if (r == 0 && x->has_bmi_height)
		r = field_write_height(w, x->height, x->imperial);
	return r;
}

int gatt_weight_encode(const struct gatt_weight *x, struct writer *w)
{
	const struct writer start = *w;

	return field_close(w, &start, weight_write(x, w));
}

#define FEATURE_TIME             0x01
#define FEATURE_USERS            0x02
#define FEATURE_BMI              0x04
#define FEATURE_RESOLUTION_SHIFT 3
#define FEATURE_RESOLUTION_MAX   15
#define FEATURE_HEIGHT_SHIFT     7
#define FEATURE_HEIGHT_MAX       7
#define FEATURE_RESERVED         UINT32_C(0xfffffc00)

int gatt_weight_feature_decode(const uint8_t *data, size_t len, struct gatt_weight_feature *ret)
{
	struct cursor c = cursor_of(data, len);
	const uint32_t bits = cursor_le32(&c);

	if (!cursor_at_end(&c))
		return -EMSGSIZE;
	*ret = (struct gatt_weight_feature){
		.time = bits & FEATURE_TIME,
		.users = bits & FEATURE_USERS,
		.bmi = bits & FEATURE_BMI,
		.weight_resolution = bits >> FEATURE_RESOLUTION_SHIFT & FEATURE_RESOLUTION_MAX,
		.height_resolution = bits >> FEATURE_HEIGHT_SHIFT & FEATURE_HEIGHT_MAX,
		.reserved = bits & FEATURE_RESERVED,
	};
	return 0;
}

int gatt_weight_feature_encode(const struct gatt_weight_feature *x, struct writer *w)
{
	const struct writer start = *w;

	if (x->weight_resolution > FEATURE_RESOLUTION_MAX ||
	    x->height_resolution > FEATURE_HEIGHT_MAX || (x->reserved & ~FEATURE_RESERVED))
		return -ERANGE;
	writer_le32(w, (x->time ? FEATURE_TIME : 0U) | (x->users ? FEATURE_USERS : 0U) |
			       (x->bmi ? FEATURE_BMI : 0U) |
			       (uint32_t)x->weight_resolution << FEATURE_RESOLUTION_SHIFT |
			       (uint32_t)x->height_resolution << FEATURE_HEIGHT_SHIFT |
			       x->reserved);
	return field_close(w, &start, 0);
}
