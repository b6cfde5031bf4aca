#include "protocols/colmi/ring.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "protocols/bytes/cursor.h"

#define UNKNOWN_COMMAND 0x80 /* bit of an answer */
#define NO_DATA         0xff
#define STEPS_HEADER    0xf0
#define BIG_DATA        0xbc

static uint8_t sum(const uint8_t *data, size_t len)
{
	unsigned int n = 0;

	for (size_t i = 0; i < len; i++)
		n += data[i];
	return (uint8_t)n;
}

uint16_t colmi_crc(const void *data, size_t len)
{
	const uint8_t *bytes = data;
	unsigned int crc = 0xffff;

	for (size_t i = 0; i < len; i++) {
		crc ^= bytes[i];
		for (unsigned int bit = 0; bit < 8; bit++)
			crc = crc & 1 ? crc >> 1 ^ 0xa001 : crc >> 1;
	}
	return (uint16_t)crc;
}

/* ---- questions ---- */

static int write_frame(struct writer *w, const uint8_t *content, size_t len)
{
	uint8_t frame[COLMI_FRAME_SIZE] = { 0 };
	const struct writer start = *w;

	assert(len < COLMI_FRAME_SIZE);
	memcpy(frame, content, len);
	frame[COLMI_FRAME_SIZE - 1] = sum(frame, COLMI_FRAME_SIZE - 1);
	writer_bytes(w, frame, sizeof(frame));
	if (writer_ok(w))
		return 0;
	*w = start;
	return -ENOSPC;
}

static uint8_t to_bcd(unsigned int n)
{
	return (uint8_t)(n / 10 << 4 | n % 10);
}

int colmi_set_time_encode(const struct gatt_date_time *t, struct writer *w)
{
	const uint8_t content[] = {
		COLMI_SET_TIME,  to_bcd(t->year % 100U), to_bcd(t->month),  to_bcd(t->day),
		to_bcd(t->hour), to_bcd(t->minute),      to_bcd(t->second), 1, /* English */
	};

	if (t->year < 2000 || t->year > 2099 || t->month == 0 || t->day == 0 ||
	    !gatt_date_time_valid(t))
		return -ERANGE;
	return write_frame(w, content, sizeof(content));
}

int colmi_battery_encode(struct writer *w)
{
	return write_frame(w, (const uint8_t[]){ COLMI_BATTERY }, 1);
}

int colmi_heart_rates_encode(uint32_t midnight, struct writer *w)
{
	const uint8_t content[] = { COLMI_HEART_RATES, (uint8_t)midnight, (uint8_t)(midnight >> 8),
				    (uint8_t)(midnight >> 16), (uint8_t)(midnight >> 24) };

	return write_frame(w, content, sizeof(content));
}

int colmi_steps_encode(uint8_t days_ago, struct writer *w)
{
	const uint8_t content[] = { COLMI_STEPS, days_ago, 0x0f, 0x00, COLMI_QUARTERS - 1, 0x01 };

	return write_frame(w, content, sizeof(content));
}

int colmi_sleep_encode(struct writer *w)
{
	static const uint8_t all = 0xff; /* days */
	const struct writer start = *w;

	writer_u8(w, BIG_DATA);
	writer_u8(w, COLMI_BIG_SLEEP);
	writer_le16(w, sizeof(all));
	writer_le16(w, colmi_crc(&all, sizeof(all)));
	writer_u8(w, all);
	if (writer_ok(w))
		return 0;
	*w = start;
	return -ENOSPC;
}

/* ---- answers ---- */

int colmi_frame_check(const uint8_t *data, size_t len, uint8_t *ret_command)
{
	if (len != COLMI_FRAME_SIZE)
		return -EMSGSIZE;
	if (sum(data, COLMI_FRAME_SIZE - 1) != data[COLMI_FRAME_SIZE - 1])
		return -EBADMSG;
	if (data[0] & UNKNOWN_COMMAND)
		return -ENOMSG;
	*ret_command = data[0];
	return 0;
}

/* a cursor over what is between the command and the sum */
static int open_frame(const uint8_t *data, size_t len, enum colmi_command command,
		      struct cursor *ret)
{
	uint8_t is;
	int r = colmi_frame_check(data, len, &is);

	if (r < 0)
		return r;
	if (is != command)
		return -ENOMSG;
	*ret = cursor_of(data + 1, COLMI_FRAME_SIZE - 2);
	return 0;
}

int colmi_battery_decode(const uint8_t *data, size_t len, uint8_t *ret_percent)
{
	struct cursor c;
	uint8_t percent;
	int r = open_frame(data, len, COLMI_BATTERY, &c);

	if (r < 0)
		return r;
	percent = cursor_u8(&c);
	if (percent > 100)
		return -ERANGE;
	*ret_percent = percent;
	return 0;
}

static int read_rates(struct cursor *c, struct colmi_heart_rates *x)
{
	x->part = COLMI_DATA;
	x->has_midnight = x->index == 1;
	if (x->has_midnight)
		x->midnight = cursor_le32(c);
	x->n_rates = (unsigned int)cursor_left(c);
	memcpy(x->rates, cursor_bytes(c, x->n_rates), x->n_rates);
	return 0;
}

int colmi_heart_rates_decode(const uint8_t *data, size_t len, struct colmi_heart_rates *ret)
{
	struct colmi_heart_rates x = { 0 };
	struct cursor c;
	int r = open_frame(data, len, COLMI_HEART_RATES, &c);

	if (r < 0)
		return r;
	x.index = cursor_u8(&c);
	if (x.index == NO_DATA) {
		x.part = COLMI_NOTHING;
	} else if (x.index != 0) {
		r = read_rates(&c, &x);
	} else {
		x.part = COLMI_HEADER;
		x.frames = cursor_u8(&c);
		x.minutes = cursor_u8(&c);
		if (x.frames < 2 || x.frames == NO_DATA || x.minutes == 0 || x.minutes > 60)
			r = -ERANGE;
	}
	if (r >= 0)
		*ret = x;
	return r;
}

static int from_bcd(uint8_t bcd, unsigned int *ret)
{
	if ((bcd >> 4) > 9 || (bcd & 0x0f) > 9)
		return -ERANGE;
	*ret = (bcd >> 4) * 10U + (bcd & 0x0f);
	return 0;
}

static int read_day(uint8_t year, uint8_t month, uint8_t day, struct gatt_date_time *ret)
{
	unsigned int y, m, d;
	struct gatt_date_time t;

	if (from_bcd(year, &y) < 0 || from_bcd(month, &m) < 0 || from_bcd(day, &d) < 0)
		return -ERANGE;
	t = (struct gatt_date_time){ .year = (uint16_t)(2000 + y),
				     .month = (uint8_t)m,
				     .day = (uint8_t)d };
	if (m == 0 || d == 0 || !gatt_date_time_valid(&t))
		return -ERANGE;
	*ret = t;
	return 0;
}

static int read_steps(struct cursor *c, uint8_t year, struct colmi_steps *x)
{
	const uint8_t month = cursor_u8(c), day = cursor_u8(c);
	int r = read_day(year, month, day, &x->day);

	x->part = COLMI_DATA;
	x->quarter = cursor_u8(c);
	x->index = cursor_u8(c);
	x->frames = cursor_u8(c);
	x->energy = cursor_le16(c);
	x->steps = cursor_le16(c);
	x->metres = cursor_le16(c);
	return r < 0 || x->quarter >= COLMI_QUARTERS || x->index >= x->frames ? -ERANGE : 0;
}

int colmi_steps_decode(const uint8_t *data, size_t len, struct colmi_steps *ret)
{
	struct colmi_steps x = { 0 };
	struct cursor c;
	uint8_t first;
	int r = open_frame(data, len, COLMI_STEPS, &c);

	if (r < 0)
		return r;
	first = cursor_u8(&c);
	if (first == NO_DATA) {
		x.part = COLMI_NOTHING;
	} else if (first == STEPS_HEADER) {
		x.part = COLMI_HEADER;
		x.frames = cursor_u8(&c);
	} else {
		r = read_steps(&c, first, &x);
	}
	if (r >= 0)
		*ret = x;
	return r;
}

/* ---- big data ---- */

int colmi_big_length(const uint8_t *data, size_t len, size_t *ret)
{
	struct cursor c = cursor_of(data, len);
	const uint8_t magic = cursor_u8(&c);
	const uint8_t what = cursor_u8(&c);
	const uint16_t payload = cursor_le16(&c);

	cursor_skip(&c, 2);
	if (!cursor_ok(&c))
		return -EMSGSIZE;
	if (magic != BIG_DATA || what != COLMI_BIG_SLEEP)
		return -ENOMSG;
	if (payload > COLMI_BIG_MAX)
		return -EMSGSIZE;
	*ret = (size_t)COLMI_BIG_HEADER + payload;
	return 0;
}

static int read_stages(struct cursor *c, struct colmi_night *n)
{
	unsigned int sum = 0, length;

	while (cursor_left(c) > 0) {
		const uint8_t stage = cursor_u8(c);
		const uint8_t minutes = cursor_u8(c);

		if (!cursor_ok(c))
			return -EBADMSG;
		if (stage >= COLMI_STAGE_END)
			return -ERANGE;
		n->minutes[stage] = (uint16_t)(n->minutes[stage] + minutes);
		sum += minutes;
	}
	length = (n->end + COLMI_DAY_MINUTES - n->start) % COLMI_DAY_MINUTES;
	n->adds_up = sum == length;
	return sum > COLMI_DAY_MINUTES ? -ERANGE : 0;
}

static int read_night(struct cursor *c, struct colmi_night *n)
{
	struct cursor night;

	n->days_ago = cursor_u8(c);
	night = cursor_sub(c, cursor_u8(c));
	n->start = cursor_le16(&night);
	n->end = cursor_le16(&night);
	if (!cursor_ok(&night))
		return -EBADMSG;
	if (n->start >= COLMI_DAY_MINUTES || n->end >= COLMI_DAY_MINUTES)
		return -ERANGE;
	n->evening = n->start > n->end;
	return read_stages(&night, n);
}

int colmi_sleep_decode(const uint8_t *data, size_t len, struct colmi_night ret[COLMI_NIGHTS_MAX],
		       size_t *ret_n)
{
	struct colmi_night nights[COLMI_NIGHTS_MAX] = { 0 };
	struct cursor c = cursor_of(data, len);
	size_t whole, n = 0;
	int r = colmi_big_length(data, len, &whole);

	if (r < 0)
		return r;
	if (len != whole)
		return -EMSGSIZE;
	cursor_skip(&c, COLMI_BIG_HEADER - 2);
	if (cursor_le16(&c) != colmi_crc(data + COLMI_BIG_HEADER, len - COLMI_BIG_HEADER))
		return -EBADMSG;
	if (len > COLMI_BIG_HEADER)
		n = cursor_u8(&c);
	if (n > COLMI_NIGHTS_MAX)
		return -EBADMSG;
	for (size_t i = 0; i < n && r >= 0; i++)
		r = read_night(&c, &nights[i]);
	if (r < 0)
		return r;
	if (!cursor_at_end(&c))
		return -EBADMSG;
	memcpy(ret, nights, sizeof(nights));
	*ret_n = n;
	return 0;
}
