#include "protocols/gatt/body_composition.h"

#include <errno.h>

#include "protocols/bytes/cursor.h"
#include "protocols/gatt/field.h"

#define FLAG_IMPERIAL 0x0001
#define FLAG_TIME     0x0002
#define FLAG_USER     0x0004
#define FLAG_MULTIPLE 0x1000
#define FLAG_RESERVED 0xe000

enum kind {
	KIND_KILOJOULE,
	KIND_TENTH,
	KIND_MASS,
	KIND_HEIGHT
};

/* the optional numbers, in the order in which they stand */
struct optional {
	uint16_t flag;
	enum kind kind;
	size_t has, number;
};

#define OPTIONAL(flag, kind, name)                                                  \
	{                                                                           \
		(flag), (kind), offsetof(struct gatt_body_composition, has_##name), \
			offsetof(struct gatt_body_composition, name)                \
	}

static const struct optional optionals[] = {
	OPTIONAL(0x0008, KIND_KILOJOULE, basal_metabolism),
	OPTIONAL(0x0010, KIND_TENTH, muscle_percent),
	OPTIONAL(0x0020, KIND_MASS, muscle_mass),
	OPTIONAL(0x0040, KIND_MASS, fat_free_mass),
	OPTIONAL(0x0080, KIND_MASS, soft_lean_mass),
	OPTIONAL(0x0100, KIND_MASS, body_water_mass),
	OPTIONAL(0x0200, KIND_TENTH, impedance),
	OPTIONAL(0x0400, KIND_MASS, weight),
	OPTIONAL(0x0800, KIND_HEIGHT, height),
};

#define N_OPTIONALS (sizeof(optionals) / sizeof(optionals[0]))

static struct number read_optional(struct cursor *c, enum kind kind, bool imperial)
{
	const uint16_t raw = cursor_le16(c);

	switch (kind) {
	case KIND_KILOJOULE:
		return field_measured(raw, 1, 0);
	case KIND_TENTH:
		return field_measured(raw, 1, -1);
	case KIND_MASS:
		return field_mass(raw, imperial);
	case KIND_HEIGHT:
		return field_height(raw, imperial);
	}
	return number_absent(ABSENT_RESERVED);
}

static int write_optional(struct writer *w, struct number n, enum kind kind, bool imperial)
{
	switch (kind) {
	case KIND_KILOJOULE:
		return field_write_measured(w, n, 1, 0);
	case KIND_TENTH:
		return field_write_measured(w, n, 1, -1);
	case KIND_MASS:
		return field_write_mass(w, n, imperial);
	case KIND_HEIGHT:
		return field_write_height(w, n, imperial);
	}
	return -ERANGE;
}

int gatt_body_composition_decode(const uint8_t *data, size_t len, struct gatt_body_composition *ret)
{
	struct cursor c = cursor_of(data, len);
	const uint16_t flags = cursor_le16(&c);
	struct gatt_body_composition x = { .imperial = flags & FLAG_IMPERIAL,
					   .multiple_packet = flags & FLAG_MULTIPLE };

	if (flags & FLAG_RESERVED)
		return -ERANGE;
	x.body_fat = field_measured(cursor_le16(&c), 1, -1);
	x.has_time = flags & FLAG_TIME;
	if (x.has_time)
		x.time = gatt_date_time_read(&c);
	x.has_user = flags & FLAG_USER;
	if (x.has_user)
		x.user = cursor_u8(&c);
	for (size_t i = 0; i < N_OPTIONALS; i++) {
		const struct optional *o = &optionals[i];

		if (!(flags & o->flag))
			continue;
		*(bool *)((char *)&x + o->has) = true;
		*(struct number *)(void *)((char *)&x + o->number) =
			read_optional(&c, o->kind, x.imperial);
	}
	if (!cursor_at_end(&c))
		return -EMSGSIZE;
	if (!gatt_date_time_valid(&x.time))
		return -ERANGE;
	*ret = x;
	return 0;
}

static bool has(const struct gatt_body_composition *x, const struct optional *o)
{
	return *(const bool *)((const char *)x + o->has);
}

static uint16_t flags_of(const struct gatt_body_composition *x)
{
	unsigned int flags = (x->imperial ? FLAG_IMPERIAL : 0U) | (x->has_time ? FLAG_TIME : 0U) |
			     (x->has_user ? FLAG_USER : 0U) |
			     (x->multiple_packet ? FLAG_MULTIPLE : 0U);

	for (size_t i = 0; i < N_OPTIONALS; i++)
		flags |= has(x, &optionals[i]) ? optionals[i].flag : 0U;
	return (uint16_t)flags;
}

static int composition_write(const struct gatt_body_composition *x, struct writer *w)
{
	int r;

	if (x->has_time && !gatt_date_time_valid(&x->time))
		return -ERANGE;
	writer_le16(w, flags_of(x));
	r = field_write_measured(w, x->body_fat, 1, -1);
	if (x->has_time)
		gatt_date_time_write(&x->time, w);
	if (x->has_user)
		writer_u8(w, x->user);
	for (size_t i = 0; i < N_OPTIONALS && r == 0; i++) {
		const struct optional *o = &optionals[i];
		const void *number = (const char *)x + o->number;

		if (has(x, o))
			r = write_optional(w, *(const struct number *)number, o->kind, x->imperial);
	}
	return r;
}

int gatt_body_composition_encode(const struct gatt_body_composition *x, struct writer *w)
{
	const struct writer start = *w;

	return field_close(w, &start, composition_write(x, w));
}

/* one bit each, from bit 0 */
static const size_t feature_bits[] = {
	offsetof(struct gatt_body_composition_feature, time),
	offsetof(struct gatt_body_composition_feature, users),
	offsetof(struct gatt_body_composition_feature, basal_metabolism),
	offsetof(struct gatt_body_composition_feature, muscle_percent),
	offsetof(struct gatt_body_composition_feature, muscle_mass),
	offsetof(struct gatt_body_composition_feature, fat_free_mass),
	offsetof(struct gatt_body_composition_feature, soft_lean_mass),
	offsetof(struct gatt_body_composition_feature, body_water_mass),
	offsetof(struct gatt_body_composition_feature, impedance),
	offsetof(struct gatt_body_composition_feature, weight),
	offsetof(struct gatt_body_composition_feature, height),
};

#define N_FEATURE_BITS       (sizeof(feature_bits) / sizeof(feature_bits[0]))
#define FEATURE_MASS_SHIFT   11
#define FEATURE_MASS_MAX     15
#define FEATURE_HEIGHT_SHIFT 15
#define FEATURE_HEIGHT_MAX   7
#define FEATURE_RESERVED     UINT32_C(0xfffc0000)

int gatt_body_composition_feature_decode(const uint8_t *data, size_t len,
					 struct gatt_body_composition_feature *ret)
{
	struct cursor c = cursor_of(data, len);
	const uint32_t bits = cursor_le32(&c);
	struct gatt_body_composition_feature x = {
		.mass_resolution = bits >> FEATURE_MASS_SHIFT & FEATURE_MASS_MAX,
		.height_resolution = bits >> FEATURE_HEIGHT_SHIFT & FEATURE_HEIGHT_MAX,
		.reserved = bits & FEATURE_RESERVED,
	};

	if (!cursor_at_end(&c))
		return -EMSGSIZE;
	for (size_t i = 0; i < N_FEATURE_BITS; i++)
		*(bool *)((char *)&x + feature_bits[i]) = bits >> i & 1;
	*ret = x;
	return 0;
}

int gatt_body_composition_feature_encode(const struct gatt_body_composition_feature *x,
					 struct writer *w)
{
	const struct writer start = *w;
	uint32_t bits = x->reserved;

	if (x->mass_resolution > FEATURE_MASS_MAX || x->height_resolution > FEATURE_HEIGHT_MAX ||
	    (x->reserved & ~FEATURE_RESERVED))
		return -ERANGE;
	for (size_t i = 0; i < N_FEATURE_BITS; i++) {
		if (*(const bool *)((const char *)x + feature_bits[i]))
			bits |= UINT32_C(1) << i;
	}
	bits |= (uint32_t)x->mass_resolution << FEATURE_MASS_SHIFT |
		(uint32_t)x->height_resolution << FEATURE_HEIGHT_SHIFT;
	writer_le32(w, bits);
	return field_close(w, &start, 0);
}
