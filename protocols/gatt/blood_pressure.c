#include "protocols/gatt/blood_pressure.h"

#include <errno.h>

#include "protocols/bytes/cursor.h"
#include "protocols/bytes/decimal.h"
#include "protocols/bytes/medfloat.h"
#include "protocols/gatt/field.h"

#define FLAG_KPA              0x01
#define FLAG_TIME             0x02
#define FLAG_PULSE            0x04
#define FLAG_USER             0x08
#define FLAG_STATUS           0x10
#define FLAG_USER_FACING_TIME 0x20 /* of the enhanced ones only, and so is the next */
#define FLAG_EPOCH_2000       0x40

#define FLAGS_RESERVED          0xe0
#define FLAGS_RESERVED_ENHANCED 0x80

int gatt_blood_pressure_decode(const uint8_t *data, size_t len, struct gatt_blood_pressure *ret)
{
	struct cursor c = cursor_of(data, len);
	const uint8_t flags = cursor_u8(&c);
	struct gatt_blood_pressure x = { 0 };

	if (flags & FLAGS_RESERVED)
		return -ERANGE;
	x.kpa = flags & FLAG_KPA;
	x.systolic = medfloat16_read(&c);
	x.diastolic = medfloat16_read(&c);
	x.mean = medfloat16_read(&c);
	x.has_time = flags & FLAG_TIME;
	if (x.has_time)
		x.time = gatt_date_time_read(&c);
	x.has_pulse = flags & FLAG_PULSE;
	if (x.has_pulse)
		x.pulse = medfloat16_read(&c);
	x.has_user = flags & FLAG_USER;
	if (x.has_user)
		x.user = cursor_u8(&c);
	x.has_status = flags & FLAG_STATUS;
	if (x.has_status)
		x.status = cursor_le16(&c);
	if (!cursor_at_end(&c))
		return -EMSGSIZE;
	if (x.has_time && !gatt_date_time_valid(&x.time))
		return -ERANGE;
	*ret = x;
	return 0;
}

/* ---- BM85 ---- */

#define FLAGS_BM85 0x56
#define PULSE_MIN  20
#define PULSE_MAX  300

struct tail {
	struct number pulse;
	uint16_t status;
	bool plausible;
};

static bool plausible_pulse(struct number pulse)
{
	const struct decimal least = { PULSE_MIN, 0 }, most = { PULSE_MAX, 0 };

	return pulse.absent != ABSENT_NO || (decimal_compare(pulse.value, least) >= 0 &&
					     decimal_compare(pulse.value, most) <= 0);
}

/* pulse and status as 16 bit words, in one of the two orders */
static struct tail tail_of(uint16_t pulse, uint16_t status)
{
	struct tail t = { .pulse = medfloat16_decode(pulse), .status = status };

	t.plausible = plausible_pulse(t.pulse) && !(status & ~GATT_BP_STATUS_ALL);
	return t;
}

static uint16_t swapped(uint16_t word)
{
	return (uint16_t)(word << 8 | word >> 8);
}

static int choose_order(uint16_t pulse, uint16_t status, struct gatt_blood_pressure *x)
{
	const struct tail big = tail_of(pulse, status);
	const struct tail little = tail_of(swapped(pulse), swapped(status));
	const struct tail *t = big.plausible ? &big : &little;
	const bool same = pulse == swapped(pulse) && status == swapped(status);

	if (!t->plausible || (big.plausible && little.plausible && !same))
		return -ERANGE;
	x->pulse = t->pulse;
	x->status = t->status;
	return 0;
}

int gatt_blood_pressure_decode_bm85(const uint8_t *data, size_t len,
				    struct gatt_blood_pressure *ret)
{
	struct cursor c = cursor_of(data, len);
	const uint8_t flags = cursor_u8(&c);
	struct gatt_blood_pressure x = {
		.has_time = true, .has_pulse = true, .has_user = true, .has_status = true
	};
	uint16_t pulse, status;
	int r;

	if (cursor_ok(&c) && flags != FLAGS_BM85)
		return -ENOMSG;
	x.systolic = medfloat16_read(&c);
	x.diastolic = medfloat16_read(&c);
	x.mean = medfloat16_read(&c);
	x.time = gatt_date_time_read(&c);
	pulse = cursor_be16(&c);
	x.user = cursor_u8(&c);
	status = cursor_be16(&c);
	if (!cursor_at_end(&c))
		return -EMSGSIZE;
	if (!gatt_date_time_valid(&x.time))
		return -ERANGE;
	r = choose_order(pulse, status, &x);
	if (r < 0)
		return r;
	*ret = x;
	return 0;
}

static int write_compound(struct writer *w, struct number systolic, struct number diastolic,
			  struct number mean)
{
	int r = medfloat16_write(w, systolic);

	if (r == 0)
		r = medfloat16_write(w, diastolic);
	return r < 0 ? r : medfloat16_write(w, mean);
}

static int blood_pressure_write(const struct gatt_blood_pressure *x, struct writer *w)
{
	int r;

	if (x->has_time && !gatt_date_time_valid(&x->time))
		return -ERANGE;
	writer_u8(w, (uint8_t)((x->kpa ? FLAG_KPA : 0) | (x->has_time ? FLAG_TIME : 0) |
			       (x->has_pulse ? FLAG_PULSE : 0) | (x->has_user ? FLAG_USER : 0) |
			       (x->has_status ? FLAG_STATUS : 0)));
	r = write_compound(w, x->systolic, x->diastolic, x->mean);
	if (x->has_time)
		gatt_date_time_write(&x->time, w);
	if (r == 0 && x->has_pulse)
		r = medfloat16_write(w, x->pulse);
	if (x->has_user)
		writer_u8(w, x->user);
	if (x->has_status)
		writer_le16(w, x->status);
	return r;
}

int gatt_blood_pressure_encode(const struct gatt_blood_pressure *x, struct writer *w)
{
	struct writer start = *w;

	return field_close(w, &start, blood_pressure_write(x, w));
}

int gatt_blood_pressure_feature_decode(const uint8_t *data, size_t len,
				       struct gatt_blood_pressure_feature *ret)
{
	struct cursor c = cursor_of(data, len);
	const uint16_t bits = cursor_le16(&c);

	if (!cursor_at_end(&c))
		return -EMSGSIZE;
	ret->bits = bits;
	return 0;
}

int gatt_blood_pressure_feature_encode(const struct gatt_blood_pressure_feature *x,
				       struct writer *w)
{
	struct writer start = *w;

	writer_le16(w, x->bits);
	return field_close(w, &start, 0);
}

/* what follows the pressure or pressures, in both enhanced characteristics */
static void read_enhanced_rest(struct cursor *c, uint8_t flags,
			       struct gatt_enhanced_blood_pressure *x)
{
	x->kpa = flags & FLAG_KPA;
	x->epoch_2000 = flags & FLAG_EPOCH_2000;
	x->has_time = flags & FLAG_TIME;
	if (x->has_time)
		x->time_s = cursor_le32(c);
	x->has_pulse = flags & FLAG_PULSE;
	if (x->has_pulse)
		x->pulse = medfloat16_read(c);
	x->has_user = flags & FLAG_USER;
	if (x->has_user)
		x->user = cursor_u8(c);
	x->has_status = flags & FLAG_STATUS;
	if (x->has_status)
		x->status = cursor_le16(c);
	x->has_user_facing_time = flags & FLAG_USER_FACING_TIME;
	if (x->has_user_facing_time)
		x->user_facing_time_s = cursor_le32(c);
}

int gatt_enhanced_blood_pressure_decode(const uint8_t *data, size_t len,
					struct gatt_enhanced_blood_pressure *ret)
{
	struct cursor c = cursor_of(data, len);
	const uint8_t flags = cursor_u8(&c);
	struct gatt_enhanced_blood_pressure x = { 0 };

	if (flags & FLAGS_RESERVED_ENHANCED)
		return -ERANGE;
	x.systolic = medfloat16_read(&c);
	x.diastolic = medfloat16_read(&c);
	x.mean = medfloat16_read(&c);
	read_enhanced_rest(&c, flags, &x);
	if (!cursor_at_end(&c))
		return -EMSGSIZE;
	*ret = x;
	return 0;
}

int gatt_enhanced_cuff_pressure_decode(const uint8_t *data, size_t len,
				       struct gatt_enhanced_blood_pressure *ret)
{
	struct cursor c = cursor_of(data, len);
	const uint8_t flags = cursor_u8(&c);
	struct gatt_enhanced_blood_pressure x = { 0 };

	if (flags & FLAGS_RESERVED_ENHANCED)
		return -ERANGE;
	x.systolic = medfloat16_read(&c);
	x.diastolic = number_absent(ABSENT_NAN);
	x.mean = number_absent(ABSENT_NAN);
	read_enhanced_rest(&c, flags, &x);
	if (!cursor_at_end(&c))
		return -EMSGSIZE;
	*ret = x;
	return 0;
}

static uint8_t enhanced_flags(const struct gatt_enhanced_blood_pressure *x)
{
	return (uint8_t)((x->kpa ? FLAG_KPA : 0) | (x->has_time ? FLAG_TIME : 0) |
			 (x->has_pulse ? FLAG_PULSE : 0) | (x->has_user ? FLAG_USER : 0) |
			 (x->has_status ? FLAG_STATUS : 0) |
			 (x->has_user_facing_time ? FLAG_USER_FACING_TIME : 0) |
			 (x->epoch_2000 ? FLAG_EPOCH_2000 : 0));
}

static int write_enhanced_rest(struct writer *w, const struct gatt_enhanced_blood_pressure *x)
{
	int r = 0;

	if (x->has_time)
		writer_le32(w, x->time_s);
	if (x->has_pulse)
		r = medfloat16_write(w, x->pulse);
	if (x->has_user)
		writer_u8(w, x->user);
	if (x->has_status)
		writer_le16(w, x->status);
	if (x->has_user_facing_time)
		writer_le32(w, x->user_facing_time_s);
	return r;
}

int gatt_enhanced_blood_pressure_encode(const struct gatt_enhanced_blood_pressure *x,
					struct writer *w)
{
	struct writer start = *w;
	int r;

	writer_u8(w, enhanced_flags(x));
	r = write_compound(w, x->systolic, x->diastolic, x->mean);
	if (r == 0)
		r = write_enhanced_rest(w, x);
	return field_close(w, &start, r);
}

int gatt_enhanced_cuff_pressure_encode(const struct gatt_enhanced_blood_pressure *x,
				       struct writer *w)
{
	struct writer start = *w;
	int r;

	writer_u8(w, enhanced_flags(x));
	r = medfloat16_write(w, x->systolic);
	if (r == 0)
		r = write_enhanced_rest(w, x);
	return field_close(w, &start, r);
}

#define SEGMENT_FIRST         0x01
#define SEGMENT_LAST          0x02
#define SEGMENT_COUNTER_SHIFT 2

int gatt_blood_pressure_record_decode(const uint8_t *data, size_t len,
				      struct gatt_blood_pressure_record *ret)
{
	struct cursor c = cursor_of(data, len);
	const uint8_t header = cursor_u8(&c);
	struct gatt_blood_pressure_record x = { 0 };

	x.first = header & SEGMENT_FIRST;
	x.last = header & SEGMENT_LAST;
	x.counter = header >> SEGMENT_COUNTER_SHIFT;
	if (x.first) {
		x.sequence = cursor_le16(&c);
		x.uuid = cursor_le16(&c);
	}
	x.len = cursor_left(&c);
	x.data = cursor_bytes(&c, x.len);
	/* a segment without a byte of the record carries nothing: it was cut off */
	if (!cursor_ok(&c) || x.len == 0)
		return -EMSGSIZE;
	*ret = x;
	return 0;
}

int gatt_blood_pressure_record_encode(const struct gatt_blood_pressure_record *x, struct writer *w)
{
	struct writer start = *w;

	if (x->counter > GATT_BLOOD_PRESSURE_RECORD_COUNTER_MAX || x->len == 0)
		return -ERANGE;
	writer_u8(w, (uint8_t)((x->first ? SEGMENT_FIRST : 0) | (x->last ? SEGMENT_LAST : 0) |
			       x->counter << SEGMENT_COUNTER_SHIFT));
	if (x->first) {
		writer_le16(w, x->sequence);
		writer_le16(w, x->uuid);
	}
	writer_bytes(w, x->data, x->len);
	return field_close(w, &start, 0);
}
