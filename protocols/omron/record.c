#include "protocols/omron/record.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "protocols/bytes/cursor.h"

#define SYSTOLIC_BASE 25
#define RAW_EMPTY     0xe1 /* a systolic above it: nothing was ever written here */
#define YEAR_BASE     2000
#define SECOND_MAX    59

#define IRREGULAR_BIT 0x4000
#define MOVEMENT_BIT  0x8000
#define CUFF_BIT      0x1000

#define GME_IRREGULAR 0x0001
#define GME_MOVEMENT  0x0002

size_t omron_record_size(enum omron_layout layout)
{
	switch (layout) {
	case OMRON_LE:
	case OMRON_BE:
	case OMRON_BE_6232:
	case OMRON_EITHER:
	case OMRON_GME:
		return 14;
	case OMRON_HEARTGUIDE:
		return 24;
	case OMRON_6401:
		return 16;
	case OMRON_GME_SHORT:
		return 12;
	case OMRON_LAYOUT_END:
		break;
	}
	return 0;
}

static bool size_fits(enum omron_layout layout, size_t len)
{
	if (layout == OMRON_LE)
		return len == 14 || len == 16;
	if (layout == OMRON_6401)
		return len == 16 || len == 32;
	return len > 0 && len == omron_record_size(layout);
}

uint8_t omron_sum(const uint8_t *data, size_t n)
{
	uint8_t sum = 0;

	for (size_t i = 0; i + 2 < n; i++)
		sum = (uint8_t)(sum + data[i]);
	return sum;
}

static bool all_are(const uint8_t *data, size_t n, uint8_t value)
{
	for (size_t i = 0; i < n; i++)
		if (data[i] != value)
			return false;
	return true;
}

/* An impossible date is none; the time of day stays if it is one. */
static struct gatt_date_time date_of(unsigned int year, const uint8_t rest[5])
{
	struct gatt_date_time t = { .year = (uint16_t)(YEAR_BASE + year),
				    .month = rest[0],
				    .day = rest[1],
				    .hour = rest[2],
				    .minute = rest[3],
				    .second = rest[4] };

	if (t.second > SECOND_MAX && t.second < 64)
		t.second = SECOND_MAX;
	if (t.month != 0 && t.day != 0 && gatt_date_time_valid(&t))
		return t;
	t.year = 0;
	t.month = t.day = 0;
	return gatt_date_time_valid(&t) ? t : (struct gatt_date_time){ .year = 0 };
}

/* ---- packed: the words are little endian here ---- */

static void turn(const uint8_t *from, uint8_t *to, size_t n)
{
	for (size_t i = 0; i + 1 < n; i += 2) {
		to[i] = from[i + 1];
		to[i + 1] = from[i];
	}
}

static bool adds_up(const uint8_t *data, size_t n)
{
	return omron_sum(data, n) == data[n - 2];
}

static uint16_t word(const uint8_t *data, size_t at)
{
	return (uint16_t)(data[at] | data[at + 1] << 8);
}

static void read_packed(const uint8_t *v, struct omron_record *x)
{
	const uint16_t day = word(v, 4), minute = word(v, 6);
	const uint8_t rest[5] = { (uint8_t)(day >> 10 & 0xf), (uint8_t)(day >> 5 & 0x1f),
				  (uint8_t)(day & 0x1f), (uint8_t)(minute >> 6 & 0x3f),
				  (uint8_t)(minute & 0x3f) };

	x->systolic = (uint16_t)(v[0] + SYSTOLIC_BASE);
	x->diastolic = v[1];
	x->pulse = v[2];
	x->time = date_of(v[3] & 0x3f, rest);
	x->irregular = day & IRREGULAR_BIT;
	x->movement = day & MOVEMENT_BIT;
	x->has_cuff = true;
	x->cuff_good = minute & CUFF_BIT;
	x->position = (uint8_t)(minute >> 14);
}

static void read_number(const uint8_t *v, struct omron_record *x)
{
	x->has_number = true;
	x->number = word(v, 10);
}

static bool is_dated(const uint8_t *v)
{
	struct omron_record x = { .error = 0 };

	read_packed(v, &x);
	return x.time.year != 0 && x.systolic > x.diastolic;
}

/* Is it this one, of the two that the sum leaves? By chance, one in 256 adds up both ways. */
static bool is_it(const uint8_t *v, const uint8_t *other, size_t len)
{
	return adds_up(v, len) && (!adds_up(other, len) || (is_dated(v) && !is_dated(other)));
}

/* the record with its words little endian, by what the layout says and the sum proves */
static int straighten(enum omron_layout layout, const uint8_t *data, size_t len,
		      uint8_t ret[OMRON_RECORD_MAX], bool *ret_turned)
{
	const bool either = layout == OMRON_EITHER || layout == OMRON_HEARTGUIDE;
	uint8_t turned[OMRON_RECORD_MAX] = { 0 };
	bool turn_it = layout != OMRON_LE;

	turn(data, turned, len);
	if (either && is_it(data, turned, len))
		turn_it = false;
	else if (either && !is_it(turned, data, len))
		return -EBADMSG;
	else if (!either && !adds_up(turn_it ? turned : data, len))
		return -EBADMSG;
	memcpy(ret, turn_it ? turned : data, len);
	*ret_turned = turn_it;
	return 0;
}

static bool packed_is_empty(enum omron_layout layout, const uint8_t *data, size_t len)
{
	const bool turned = layout == OMRON_BE || layout == OMRON_BE_6232;

	if (all_are(data, len, 0xff) || all_are(data, 8, 0) || all_are(data, 3, 0xff))
		return true;
	if (layout == OMRON_EITHER || layout == OMRON_HEARTGUIDE)
		return false;
	return data[turned ? 1 : 0] > RAW_EMPTY;
}

static int decode_packed(enum omron_layout layout, const uint8_t *data, size_t len,
			 struct omron_record *x)
{
	uint8_t v[OMRON_RECORD_MAX];
	bool turned;
	int r;

	if (packed_is_empty(layout, data, len))
		return -ENODATA;
	r = straighten(layout, data, len, v, &turned);
	if (r < 0)
		return r;
	if (v[0] > RAW_EMPTY)
		return -ENODATA;
	read_packed(v, x);
	if (!turned || layout == OMRON_HEARTGUIDE)
		read_number(v, x);
	if (layout == OMRON_HEARTGUIDE)
		x->error = v[17];
	if (layout == OMRON_BE_6232)
		x->has_cuff = x->cuff_good = false;
	return 0;
}

/* ---- the others ---- */

static int decode_6401(const uint8_t *data, struct omron_record *x)
{
	if (all_are(data, 9, 0) || data[6] > RAW_EMPTY)
		return -ENODATA;
	x->systolic = (uint16_t)(data[6] + SYSTOLIC_BASE);
	x->diastolic = data[7];
	x->pulse = data[8];
	x->time = date_of(data[0], data + 1);
	x->irregular = data[11] & 0x03;
	x->movement = data[11] & 0x0c;
	return 0;
}

static int decode_gme(enum omron_layout layout, const uint8_t *data, size_t len,
		      struct omron_record *x)
{
	struct cursor c = cursor_of(data, len);
	uint8_t sum = 0;
	uint16_t flags;

	for (size_t i = 0; i < len; i++)
		sum ^= data[i];
	if (all_are(data, 11, 0) || all_are(data, len, 0xff))
		return -ENODATA;
	if (sum != 0)
		return -EBADMSG;
	cursor_skip(&c, 7);
	x->systolic = cursor_be16(&c);
	x->diastolic = cursor_u8(&c);
	x->pulse = cursor_u8(&c);
	x->time = date_of(data[0], data + 1);
	if (layout == OMRON_GME_SHORT)
		return 0;
	flags = cursor_be16(&c);
	x->irregular = flags & GME_IRREGULAR;
	x->movement = flags & GME_MOVEMENT;
	x->truread = flags >> 4 & 0x3;
	return 0;
}

int omron_record_decode(enum omron_layout layout, const uint8_t *data, size_t len,
			struct omron_record *ret)
{
	struct omron_record x = { .error = 0 };
	int r;

	assert(layout > 0 && layout < OMRON_LAYOUT_END);
	if (!size_fits(layout, len))
		return -EMSGSIZE;
	if (layout == OMRON_6401)
		r = decode_6401(data, &x);
	else if (layout == OMRON_GME || layout == OMRON_GME_SHORT)
		r = decode_gme(layout, data, len, &x);
	else
		r = decode_packed(layout, data, len, &x);
	if (r == 0)
		*ret = x;
	return r;
}
