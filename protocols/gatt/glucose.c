#include "protocols/gatt/glucose.h"

#include <errno.h>

#include "protocols/bytes/cursor.h"
#include "protocols/bytes/medfloat.h"
#include "protocols/gatt/field.h"

#define FLAG_OFFSET        0x01
#define FLAG_CONCENTRATION 0x02
#define FLAG_MOL           0x04
#define FLAG_STATUS        0x08
#define FLAG_CONTEXT       0x10
#define FLAG_RESERVED      0xe0

#define CONTEXT_CARBOHYDRATE 0x01
#define CONTEXT_MEAL         0x02
#define CONTEXT_TESTER       0x04
#define CONTEXT_EXERCISE     0x08
#define CONTEXT_MEDICATION   0x10
#define CONTEXT_LITRES       0x20
#define CONTEXT_HBA1C        0x40
#define CONTEXT_EXTENDED     0x80

#define OFFSET_OVERRUN   0x7fff
#define OFFSET_UNDERRUN  0x8000
#define EXERCISE_OVERRUN 0xffff

static struct number offset_read(struct cursor *c)
{
	uint16_t raw = cursor_le16(c);

	if (raw == OFFSET_OVERRUN)
		return number_absent(ABSENT_POSITIVE_INFINITY);
	if (raw == OFFSET_UNDERRUN)
		return number_absent(ABSENT_NEGATIVE_INFINITY);
	return number_of((int16_t)raw, 0);
}

static int offset_write(struct writer *w, struct number offset)
{
	int64_t minutes = OFFSET_OVERRUN;
	int r = 0;

	if (offset.absent == ABSENT_NEGATIVE_INFINITY)
		minutes = -OFFSET_UNDERRUN;
	else if (offset.absent != ABSENT_POSITIVE_INFINITY)
		r = field_integer(offset, 0, INT16_MIN + 1, INT16_MAX - 1, &minutes);
	if (r == 0)
		writer_le16(w, (uint16_t)minutes);
	return r;
}

static bool type_valid(unsigned int type)
{
	return type >= GATT_GLUCOSE_CAPILLARY_BLOOD && type <= GATT_GLUCOSE_CONTROL_SOLUTION;
}

/* type in the low nibble, location in the high one */
static void sample_read(struct cursor *c, struct gatt_glucose *x)
{
	uint8_t sample;

	x->concentration = medfloat16_read(c);
	sample = cursor_u8(c);
	x->type = (enum gatt_glucose_type)(sample & 0x0f);
	x->location = (enum gatt_glucose_location)(sample >> 4);
}

static bool glucose_valid(const struct gatt_glucose *x)
{
	if (!gatt_date_time_valid(&x->base_time))
		return false;
	return !x->has_concentration || (type_valid((unsigned int)x->type) &&
					 gatt_glucose_location_name((unsigned int)x->location));
}

int gatt_glucose_decode(const uint8_t *data, size_t len, struct gatt_glucose *ret)
{
	struct cursor c = cursor_of(data, len);
	struct gatt_glucose x = { 0 };
	uint8_t flags = cursor_u8(&c);

	if (flags & FLAG_RESERVED)
		return -ERANGE;
	x.mol_per_litre = flags & FLAG_MOL;
	x.context_follows = flags & FLAG_CONTEXT;
	x.sequence = cursor_le16(&c);
	x.base_time = gatt_date_time_read(&c);
	x.has_offset = flags & FLAG_OFFSET;
	if (x.has_offset)
		x.offset = offset_read(&c);
	x.has_concentration = flags & FLAG_CONCENTRATION;
	if (x.has_concentration)
		sample_read(&c, &x);
	x.has_status = flags & FLAG_STATUS;
	if (x.has_status)
		x.status = cursor_le16(&c);
	if (!cursor_at_end(&c))
		return -EMSGSIZE;
	if (!glucose_valid(&x))
		return -ERANGE;
	*ret = x;
	return 0;
}

static int glucose_write(const struct gatt_glucose *x, struct writer *w)
{
	int r = 0;

	if (!glucose_valid(x))
		return -ERANGE;
	writer_u8(w,
		  (uint8_t)((x->has_offset ? FLAG_OFFSET : 0) |
			    (x->has_concentration ? FLAG_CONCENTRATION : 0) |
			    (x->mol_per_litre ? FLAG_MOL : 0) | (x->has_status ? FLAG_STATUS : 0) |
			    (x->context_follows ? FLAG_CONTEXT : 0)));
	writer_le16(w, x->sequence);
	gatt_date_time_write(&x->base_time, w);
	if (x->has_offset)
		r = offset_write(w, x->offset);
	if (r == 0 && x->has_concentration) {
		r = medfloat16_write(w, x->concentration);
		writer_u8(w, (uint8_t)((unsigned int)x->type | (unsigned int)x->location << 4));
	}
	if (x->has_status)
		writer_le16(w, x->status);
	return r;
}

int gatt_glucose_encode(const struct gatt_glucose *x, struct writer *w)
{
	struct writer start = *w;

	return field_close(w, &start, glucose_write(x, w));
}

static bool within(unsigned int value, unsigned int first, unsigned int last)
{
	return value >= first && value <= last;
}

static bool tester_valid(const struct gatt_glucose_context *x)
{
	unsigned int tester = (unsigned int)x->tester, health = (unsigned int)x->health;

	return (within(tester, GATT_TESTER_SELF, GATT_TESTER_LABORATORY) ||
		tester == GATT_TESTER_UNKNOWN) &&
	       (within(health, GATT_HEALTH_MINOR_ISSUES, GATT_HEALTH_NO_ISSUES) ||
		health == GATT_HEALTH_UNKNOWN);
}

static bool context_valid(const struct gatt_glucose_context *x)
{
	if (x->has_carbohydrate && !within((unsigned int)x->carbohydrate,
					   GATT_CARBOHYDRATE_BREAKFAST, GATT_CARBOHYDRATE_BRUNCH))
		return false;
	if (x->has_meal && !gatt_meal_name((unsigned int)x->meal))
		return false;
	if (x->has_tester && !tester_valid(x))
		return false;
	return !x->has_medication ||
	       within((unsigned int)x->medication, GATT_MEDICATION_INSULIN_RAPID,
		      GATT_MEDICATION_INSULIN_MIXED);
}

static void exercise_read(struct cursor *c, struct gatt_glucose_context *x)
{
	uint16_t seconds = cursor_le16(c);

	x->exercise_duration = seconds == EXERCISE_OVERRUN ? number_absent(ABSENT_POSITIVE_INFINITY)
							   : number_of(seconds, 0);
	x->exercise_intensity = number_of(cursor_u8(c), 0);
}

static int exercise_write(struct writer *w, const struct gatt_glucose_context *x)
{
	int64_t seconds = EXERCISE_OVERRUN;
	int r = 0;

	if (x->exercise_duration.absent != ABSENT_POSITIVE_INFINITY)
		r = field_integer(x->exercise_duration, 0, 0, EXERCISE_OVERRUN - 1, &seconds);
	if (r < 0)
		return r;
	writer_le16(w, (uint16_t)seconds);
	return field_u8(w, x->exercise_intensity, 0);
}

/* the optional fields, in their order; returns the extended flags byte, 0 when there is none */
static uint8_t context_read(struct cursor *c, uint8_t flags, struct gatt_glucose_context *x)
{
	uint8_t extended = flags & CONTEXT_EXTENDED ? cursor_u8(c) : 0;
	uint8_t who;

	if (flags & CONTEXT_CARBOHYDRATE) {
		x->carbohydrate = (enum gatt_carbohydrate)cursor_u8(c);
		x->carbohydrate_mass = medfloat16_read(c);
	}
	if (flags & CONTEXT_MEAL)
		x->meal = (enum gatt_meal)cursor_u8(c);
	if (flags & CONTEXT_TESTER) {
		who = cursor_u8(c);
		x->tester = (enum gatt_tester)(who & 0x0f);
		x->health = (enum gatt_health)(who >> 4);
	}
	if (flags & CONTEXT_EXERCISE)
		exercise_read(c, x);
	if (flags & CONTEXT_MEDICATION) {
		x->medication = (enum gatt_medication)cursor_u8(c);
		x->medication_amount = medfloat16_read(c);
	}
	if (flags & CONTEXT_HBA1C)
		x->hba1c = medfloat16_read(c);
	return extended;
}

int gatt_glucose_context_decode(const uint8_t *data, size_t len, struct gatt_glucose_context *ret)
{
	struct cursor c = cursor_of(data, len);
	uint8_t flags = cursor_u8(&c), extended;
	struct gatt_glucose_context x = {
		.sequence = cursor_le16(&c),
		.has_extended = flags & CONTEXT_EXTENDED,
		.has_carbohydrate = flags & CONTEXT_CARBOHYDRATE,
		.has_meal = flags & CONTEXT_MEAL,
		.has_tester = flags & CONTEXT_TESTER,
		.has_exercise = flags & CONTEXT_EXERCISE,
		.medication_litres = flags & CONTEXT_LITRES,
		.has_medication = flags & CONTEXT_MEDICATION,
		.has_hba1c = flags & CONTEXT_HBA1C,
	};

	extended = context_read(&c, flags, &x);
	/* an extended flag may well mean a field more: then the length cannot be judged */
	if (extended != 0)
		return -ERANGE;
	if (!cursor_at_end(&c))
		return -EMSGSIZE;
	if (!context_valid(&x))
		return -ERANGE;
	*ret = x;
	return 0;
}

static uint8_t context_flags(const struct gatt_glucose_context *x)
{
	return (uint8_t)((x->has_carbohydrate ? CONTEXT_CARBOHYDRATE : 0) |
			 (x->has_meal ? CONTEXT_MEAL : 0) | (x->has_tester ? CONTEXT_TESTER : 0) |
			 (x->has_exercise ? CONTEXT_EXERCISE : 0) |
			 (x->has_medication ? CONTEXT_MEDICATION : 0) |
			 (x->medication_litres ? CONTEXT_LITRES : 0) |
			 (x->has_hba1c ? CONTEXT_HBA1C : 0) |
			 (x->has_extended ? CONTEXT_EXTENDED : 0));
}

static int context_write(const struct gatt_glucose_context *x, struct writer *w)
{
	int r = 0;

	if (!context_valid(x))
		return -ERANGE;
	writer_u8(w, context_flags(x));
	writer_le16(w, x->sequence);
	if (x->has_extended)
		writer_u8(w, 0);
	if (x->has_carbohydrate) {
		writer_u8(w, (uint8_t)x->carbohydrate);
		r = medfloat16_write(w, x->carbohydrate_mass);
	}
	if (x->has_meal)
		writer_u8(w, (uint8_t)x->meal);
	if (x->has_tester)
		writer_u8(w, (uint8_t)((unsigned int)x->tester | (unsigned int)x->health << 4));
	if (r == 0 && x->has_exercise)
		r = exercise_write(w, x);
	if (r == 0 && x->has_medication) {
		writer_u8(w, (uint8_t)x->medication);
		r = medfloat16_write(w, x->medication_amount);
	}
	if (r == 0 && x->has_hba1c)
		r = medfloat16_write(w, x->hba1c);
	return r;
}

int gatt_glucose_context_encode(const struct gatt_glucose_context *x, struct writer *w)
{
	struct writer start = *w;

	return field_close(w, &start, context_write(x, w));
}

int gatt_glucose_feature_decode(const uint8_t *data, size_t len, uint16_t *ret)
{
	struct cursor c = cursor_of(data, len);
	uint16_t feature = cursor_le16(&c);

	if (!cursor_at_end(&c))
		return -EMSGSIZE;
	*ret = feature;
	return 0;
}

int gatt_glucose_feature_encode(uint16_t feature, struct writer *w)
{
	struct writer start = *w;

	writer_le16(w, feature);
	return field_close(w, &start, 0);
}

const char *gatt_glucose_location_name(unsigned int location)
{
	static const char *const names[] = {
		[GATT_GLUCOSE_FINGER] = "finger",
		[GATT_GLUCOSE_ALTERNATE_SITE] = "alternate site",
		[GATT_GLUCOSE_EARLOBE] = "earlobe",
		[GATT_GLUCOSE_LOCATION_CONTROL] = "control solution",
		[GATT_GLUCOSE_LOCATION_UNKNOWN] = "unknown",
	};

	return location < sizeof(names) / sizeof(names[0]) ? names[location] : NULL;
}

const char *gatt_meal_name(unsigned int meal)
{
	static const char *const names[] = {
		[GATT_MEAL_BEFORE] = "before meal", [GATT_MEAL_AFTER] = "after meal",
		[GATT_MEAL_FASTING] = "fasting",    [GATT_MEAL_CASUAL] = "casual",
		[GATT_MEAL_BEDTIME] = "bedtime",
	};

	return meal < sizeof(names) / sizeof(names[0]) ? names[meal] : NULL;
}
