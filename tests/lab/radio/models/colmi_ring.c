/*
 * A Colmi ring: steps of hours, heart rates and a night, asked for and never deleted. A reading is
 * an hour with its steps and one heart rate at its beginning; "measure" takes hours that are over,
 * each the one after the last.
 *
 *   frames of 16 bytes, the last the sum of the others; 6e400002 written, 6e400003 notified
 *   03            > 03 percent                   01 yymmddhhmmss (BCD)  > 01
 *   43 days ago   > 43 f0 n, then 43 yymmdd (BCD) quarter i n energy u16 steps u16 metres u16
 *                   or 43 ff
 *   15 midnight   > 15 00 18 05, 15 01 midnight u32 and 9 rates, 15 02 to 17 and 13 rates
 *                   or 15 ff
 *   de5bf72a bc 27 ... > de5bf729 bc 27 length crc, one night before yesterday's day, in pieces
 *
 * Source: descriptions of the protocol by others. Not tried on hardware.
 */
#include <string.h>

#include "protocols/colmi/ring.h"
#include "tests/lab/radio/models/models.h"

#define HOUR  3600
#define DAY   86400
#define SLOT  300
#define RATES 24 /* frames */

enum {
	COMMAND = 1,
	ANSWER,
	BIG_COMMAND,
	BIG_ANSWER
};

struct ring {
	uint32_t known; /* the newest reading that has its hour */
	int64_t next;   /* hour */
};

static const uint8_t RING[16] = { 0x9e, 0xca, 0xdc, 0x24, 0x0e, 0xe5, 0xa9, 0xe0,
				  0x93, 0xf3, 0xa3, 0xb5, 0xf0, 0xff, 0x40, 0x6e };
static const uint8_t RING_WRITE[16] = { 0x9e, 0xca, 0xdc, 0x24, 0x0e, 0xe5, 0xa9, 0xe0,
					0x93, 0xf3, 0xa3, 0xb5, 0x02, 0x00, 0x40, 0x6e };
static const uint8_t RING_NOTIFY[16] = { 0x9e, 0xca, 0xdc, 0x24, 0x0e, 0xe5, 0xa9, 0xe0,
					 0x93, 0xf3, 0xa3, 0xb5, 0x03, 0x00, 0x40, 0x6e };
static const uint8_t BIG[16] = { 0xc7, 0x5d, 0x2a, 0x01, 0xe3, 0x65, 0x26, 0xaf,
				 0x47, 0x4e, 0x11, 0xd7, 0x28, 0xf7, 0x5b, 0xde };
static const uint8_t BIG_WRITE[16] = { 0xc7, 0x5d, 0x2a, 0x01, 0xe3, 0x65, 0x26, 0xaf,
				       0x47, 0x4e, 0x11, 0xd7, 0x2a, 0xf7, 0x5b, 0xde };
static const uint8_t BIG_NOTIFY[16] = { 0xc7, 0x5d, 0x2a, 0x01, 0xe3, 0x65, 0x26, 0xaf,
					0x47, 0x4e, 0x11, 0xd7, 0x29, 0xf7, 0x5b, 0xde };

static uint8_t to_bcd(unsigned int n)
{
	return (uint8_t)(n / 10 << 4 | n % 10);
}

static void close_frame(uint8_t frame[COLMI_FRAME_SIZE])
{
	unsigned int sum = 0;

	for (size_t i = 0; i < COLMI_FRAME_SIZE - 1; i++)
		sum += frame[i];
	frame[COLMI_FRAME_SIZE - 1] = (uint8_t)sum;
}

static void reply(struct peer_state *s, uint8_t frame[COLMI_FRAME_SIZE])
{
	close_frame(frame);
	stock_notify(s, ANSWER, frame, COLMI_FRAME_SIZE);
}

static void put_steps(const struct peer_state *s, const struct reading *r, unsigned int i,
		      unsigned int n, struct writer *w)
{
	const unsigned int steps = distinct(s, r, 100, 20000);
	uint8_t date[7], frame[COLMI_FRAME_SIZE];
	struct writer d = writer_of(date, sizeof(date)), f = writer_of(frame, sizeof(frame));

	put_date_time(&d, r->time);
	writer_u8(&f, COLMI_STEPS);
	writer_u8(&f, to_bcd((date[0] | (unsigned int)date[1] << 8) % 100));
	writer_u8(&f, to_bcd(date[2]));
	writer_u8(&f, to_bcd(date[3]));
	writer_u8(&f, (uint8_t)(r->time % DAY / 900));
	writer_u8(&f, (uint8_t)i);
	writer_u8(&f, (uint8_t)n);
	writer_le16(&f, 0);
	writer_le16(&f, (uint16_t)steps);
	writer_le16(&f, (uint16_t)(steps * 2 / 3));
	writer_le16(&f, 0);
	writer_u8(&f, 0);
	close_frame(frame);
	writer_bytes(w, frame, sizeof(frame));
}

static void frame(const struct peer_state *s, const struct reading *r, unsigned int part,
		  struct writer *w)
{
	(void)part;
	put_steps(s, r, 0, 1, w);
}

/* it says nothing by itself */
static bool ready(const struct peer_state *s, const struct reading *r)
{
	(void)s;
	(void)r;
	return false;
}

static void on_taken(struct peer_state *s)
{
	struct ring *const x = s->own;
	size_t first = s->n_stock;

	while (first > 0 && s->stock[first - 1].number > x->known)
		first--;
	if (!x->next)
		x->next = device_time(s) / HOUR * HOUR - (int64_t)(s->n_stock - first + 1) * HOUR;
	for (; first < s->n_stock; first++, x->next += HOUR)
		s->stock[first].time = x->next;
	x->known = s->last_number;
}

static bool is_of(const struct reading *r, int64_t midnight)
{
	return r->time >= midnight && r->time < midnight + DAY;
}

static unsigned int count(const struct peer_state *s, int64_t midnight)
{
	unsigned int n = 0;

	for (size_t i = 0; i < s->n_stock; i++)
		n += is_of(&s->stock[i], midnight);
	return n;
}

static void answer_steps(struct peer_state *s, unsigned int days_ago)
{
	const int64_t midnight = (device_time(s) / DAY - days_ago) * DAY;
	const unsigned int n = count(s, midnight);
	uint8_t head[COLMI_FRAME_SIZE] = { COLMI_STEPS, n ? 0xf0 : 0xff, (uint8_t)n, 1 };
	unsigned int k = 0;

	reply(s, head);
	for (size_t i = 0; i < s->n_stock; i++) {
		uint8_t entry[COLMI_FRAME_SIZE];
		struct writer w = writer_of(entry, sizeof(entry));

		if (!is_of(&s->stock[i], midnight))
			continue;
		put_steps(s, &s->stock[i], k++, n, &w);
		stock_notify(s, ANSWER, entry, sizeof(entry));
	}
}

static void answer_rates(struct peer_state *s, uint32_t midnight)
{
	uint8_t head[COLMI_FRAME_SIZE] = { COLMI_HEART_RATES, 0, RATES, SLOT / 60 };
	uint8_t rates[9 + 13 * (RATES - 2)] = { 0 };

	if (!count(s, midnight))
		head[1] = 0xff;
	reply(s, head);
	if (!count(s, midnight))
		return;
	for (size_t i = 0; i < s->n_stock; i++)
		if (is_of(&s->stock[i], midnight))
			rates[(s->stock[i].time - midnight) / SLOT] =
				(uint8_t)(50 + s->stock[i].number % 100);
	for (uint8_t i = 1; i < RATES; i++) {
		uint8_t data[COLMI_FRAME_SIZE] = { COLMI_HEART_RATES, i };

		for (unsigned int k = 0; i == 1 && k < 4; k++)
			data[2 + k] = (uint8_t)(midnight >> (8 * k));
		if (i == 1)
			memcpy(data + 6, rates, 9);
		else
			memcpy(data + 2, &rates[9 + 13 * (size_t)(i - 2)], 13);
		reply(s, data);
	}
}

static void answer_sleep(struct peer_state *s)
{
	/* yesterday, 23:00 to 06:40: light, deep, REM, light, awake */
	static const uint8_t NIGHT[] = { 1, 1,  14, 0x64, 0x05, 0x90, 0x01, 2, 120,
					 3, 90, 4,  80,   2,    160,  5,    10 };
	uint8_t data[COLMI_BIG_HEADER + sizeof(NIGHT)];
	struct writer w = writer_of(data, sizeof(data));

	writer_u8(&w, 0xbc);
	writer_u8(&w, COLMI_BIG_SLEEP);
	writer_le16(&w, sizeof(NIGHT));
	writer_le16(&w, colmi_crc(NIGHT, sizeof(NIGHT)));
	writer_bytes(&w, NIGHT, sizeof(NIGHT));
	for (size_t i = 0; i < w.len; i += 20)
		stock_notify(s, BIG_ANSWER, data + i, w.len - i < 20 ? w.len - i : 20);
}

static unsigned int from_bcd(uint8_t n)
{
	return (n >> 4) * 10U + (n & 15);
}

static void set_clock(struct peer_state *s, const uint8_t *data)
{
	const unsigned int year = 2000 + from_bcd(data[0]);
	uint8_t time[7] = { (uint8_t)year, (uint8_t)(year >> 8) };
	uint8_t done[COLMI_FRAME_SIZE] = { COLMI_SET_TIME };

	for (size_t i = 1; i < 6; i++)
		time[i + 1] = (uint8_t)from_bcd(data[i]);
	if (set_device_time(s, time, sizeof(time)) == ATT_OK)
		reply(s, done);
}

static void on_wrote(struct peer_state *s, uint8_t id, const uint8_t *data, size_t len)
{
	uint8_t other[COLMI_FRAME_SIZE] = { 0 }, command;

	if (id == BIG_COMMAND && len >= 2 && data[0] == 0xbc && data[1] == COLMI_BIG_SLEEP)
		answer_sleep(s);
	if (id != COMMAND || colmi_frame_check(data, len, &command) < 0)
		return;
	switch (command) {
	case COLMI_SET_TIME:
		set_clock(s, data + 1);
		return;
	case COLMI_STEPS:
		answer_steps(s, data[1]);
		return;
	case COLMI_HEART_RATES:
		answer_rates(s, data[1] | (uint32_t)data[2] << 8 | (uint32_t)data[3] << 16 |
					(uint32_t)data[4] << 24);
		return;
	case COLMI_BATTERY:
		other[1] = s->battery;
		break;
	default:
		command |= 0x80;
	}
	other[0] = command;
	reply(s, other);
}

static const struct server_row ROWS[] = {
	{ .kind = SERVER_SERVICE, .uuid128 = RING },
	{ .kind = SERVER_CHARACTERISTIC,
	  .uuid128 = RING_WRITE,
	  .properties = GATT_WRITE | GATT_WRITE_COMMAND,
	  .id = COMMAND },
	{ .kind = SERVER_CHARACTERISTIC,
	  .uuid128 = RING_NOTIFY,
	  .properties = GATT_NOTIFY,
	  .id = ANSWER },
	{ .kind = SERVER_SERVICE, .uuid128 = BIG },
	{ .kind = SERVER_CHARACTERISTIC,
	  .uuid128 = BIG_WRITE,
	  .properties = GATT_WRITE | GATT_WRITE_COMMAND,
	  .id = BIG_COMMAND },
	{ .kind = SERVER_CHARACTERISTIC,
	  .uuid128 = BIG_NOTIFY,
	  .properties = GATT_NOTIFY,
	  .id = BIG_ANSWER },
};

const struct model model_colmi_ring = {
	.name = "colmi_ring",
	.label = "R02_",
	.maker = "Simulated",
	.type = "R02",
	.appearance = 0x0541,
	.services = { 0x180a },
	MODEL_ROWS(ROWS),
	.pairing = SMP_NONE,
	.keeps = true,
	.own_size = sizeof(struct ring),
	.mtu = 23,
	.frame_ids = { ANSWER },
	.frame = frame,
	.ready = ready,
	.taken = on_taken,
	.wrote = on_wrote,
};
