/*
 * Xiaomi's second scale (MIBFS), which speaks by adverts: no link is needed for a weighing.
 *
 *   advert, service data 181b:
 *   02 | control | Date Time 7 | impedance u16 1 ohm | weight u16 0.005 kg
 *      control 02 impedance valid, 20 stable, 80 the person has stepped down
 *   one weighing, a second each:  00 rising > 20 stable > 22 with impedance > a2 stepped down
 *   ("measure-failed": shoes, so no impedance: 00 > 20 > a0, impedance fffe); a2 then stays on air
 *
 *   history 00002a2f-0000-3512-2118-0009af100700 (write, notify), a pointer for each client id:
 *   host   01 <id 4>  > 01 nn      how many this client has not acknowledged
 *   host   02         > records as above (22 or 20), then 03
 *   host   03, then 04 <id 4>      what was sent to this client is not sent to it again
 *   host   06 12 00 00             erases all
 *
 * Source: public descriptions of the protocol; no scale was at hand. The form of the count's answer
 * is one of several that are described.
 */
#include <string.h>

#include "tests/lab/radio/models/models.h"

#define STEP_TIME   INT64_C(1000000)
#define CLIENTS_MAX 4
#define SERVICE     0x181b
#define RECORD_SIZE 13

enum {
	HISTORY = 1,
	CLOCK,
	CONFIGURATION
};

enum step {
	STEP_RISING,
	STEP_STABLE,
	STEP_IMPEDANCE,
	STEP_REMOVED
};

struct client {
	uint8_t id[4];
	bool used;
	uint32_t acknowledged, sent; /* numbers of readings */
};

struct xiaomi {
	struct client clients[CLIENTS_MAX];
	struct client *current; /* of this link */
	bool reporting;
	enum step step;
	struct reading last; /* the one on air */
};

static const uint8_t HISTORY_UUID[16] = { 0x00, 0x07, 0x10, 0xaf, 0x09, 0x00, 0x18, 0x21,
					  0x12, 0x35, 0x00, 0x00, 0x2f, 0x2a, 0x00, 0x00 };

static void put_record(const struct peer_state *s, const struct reading *r, uint8_t control,
		       struct writer *w)
{
	unsigned int weight = distinct(s, r, 10000, 40000);

	/* stepping on: not yet all of it */
	if (!(control & 0x20))
		weight /= 2;
	writer_u8(w, 0x02);
	writer_u8(w, control);
	put_date_time(w, r->time);
	writer_le16(w, control & 0x02 ? (uint16_t)(400 + r->number % 200) : 0xfffe);
	writer_le16(w, (uint16_t)weight);
}

static void frame(const struct peer_state *s, const struct reading *r, unsigned int part,
		  struct writer *w)
{
	(void)part;
	put_record(s, r, r->failed ? 0x20 : 0x22, w);
}

/* ---- adverts ---- */

static void advertise(struct peer_state *s, uint8_t control)
{
	const struct xiaomi *const x = s->own;
	struct peer *const p = s->peer;
	struct writer w = writer_of(p->advert, sizeof(p->advert));

	writer_bytes(&w, "\x02\x01\x06\x03\x03\x1b\x18", 7);
	writer_u8(&w, 3 + RECORD_SIZE);
	writer_u8(&w, 0x16);
	writer_le16(&w, SERVICE);
	put_record(s, &x->last, control, &w);
	p->advert_len = w.len;
	air_log(p, "broadcasts n=%u control=%02x", x->last.number, control);
	air_changed(p);
}

static void next_step(struct peer_state *s)
{
	struct xiaomi *const x = s->own;
	const uint8_t impedance = x->last.failed ? 0x00 : 0x02;

	switch (x->step) {
	case STEP_RISING:
		advertise(s, 0x00);
		break;
	case STEP_STABLE:
		advertise(s, 0x20);
		break;
	case STEP_IMPEDANCE:
		advertise(s, 0x20 | impedance);
		break;
	case STEP_REMOVED:
		advertise(s, 0xa0 | impedance);
		return;
	}
	x->step++;
	peer_timer(s, TIMER_MODEL, STEP_TIME);
}

static void on_taken(struct peer_state *s)
{
	struct xiaomi *const x = s->own;

	x->last = s->stock[s->n_stock - 1];
	x->step = STEP_RISING;
	next_step(s);
}

/* ---- history ---- */

static bool ready(const struct peer_state *s, const struct reading *r)
{
	const struct xiaomi *const x = s->own;

	return x->reporting && r->number > x->current->acknowledged;
}

/* the client with this id, or a new one in place of the first */
static struct client *client_of(struct xiaomi *x, const uint8_t id[4])
{
	struct client *fresh = &x->clients[0];

	for (size_t i = 0; i < CLIENTS_MAX; i++) {
		if (x->clients[i].used && !memcmp(x->clients[i].id, id, 4))
			return &x->clients[i];
		if (!x->clients[i].used && fresh->used)
			fresh = &x->clients[i];
	}
	*fresh = (struct client){ .used = true };
	memcpy(fresh->id, id, 4);
	return fresh;
}

static void tell_count(struct peer_state *s)
{
	const struct xiaomi *const x = s->own;
	uint8_t answer[2] = { 0x01 };

	for (size_t i = 0; i < s->n_stock; i++)
		if (s->stock[i].number > x->current->acknowledged && answer[1] < UINT8_MAX)
			answer[1]++;
	stock_notify(s, HISTORY, answer, sizeof(answer));
}

static void report(struct peer_state *s)
{
	static const uint8_t END = 0x03;
	struct xiaomi *const x = s->own;

	for (size_t i = 0; i < s->n_stock; i++)
		s->stock[i].sent = 0;
	x->reporting = true;
	stock_pump(s);
	x->reporting = false;
	x->current->sent = s->last_number;
	stock_notify(s, HISTORY, &END, 1);
}

static void on_wrote(struct peer_state *s, uint8_t id, const uint8_t *data, size_t len)
{
	struct xiaomi *const x = s->own;

	if (id == CONFIGURATION && len == 4 && !memcmp(data, "\x06\x12\x00\x00", 4)) {
		(void)stock_delete(s, NULL, NULL);
		return;
	}
	if (id != HISTORY || !len)
		return;
	if (data[0] == 0x01 && len == 5) {
		x->current = client_of(x, data + 1);
		tell_count(s);
	} else if (data[0] == 0x02 && len == 1 && x->current) {
		report(s);
	} else if (data[0] == 0x04 && len == 5 && x->current &&
		   !memcmp(x->current->id, data + 1, 4)) {
		x->current->acknowledged = x->current->sent;
		air_log(s->peer, "acknowledged up to n=%u", x->current->acknowledged);
	}
}

static uint8_t on_write(struct peer_state *s, uint8_t id, const uint8_t *data, size_t len)
{
	if (id != CLOCK)
		return ATT_OK;
	return len == 10 ? set_device_time(s, data, len) : ATT_INVALID_LENGTH;
}

static uint8_t on_read(struct peer_state *s, uint8_t id, struct writer *w)
{
	if (id == CLOCK) {
		put_device_time(s, w);
		writer_bytes(w, "\0\0\0", 3);
	}
	return ATT_OK;
}

static void on_disconnected(struct peer_state *s)
{
	struct xiaomi *const x = s->own;

	x->current = NULL;
	/* a weighing goes on without the link */
	if (x->last.number && x->step != STEP_REMOVED)
		peer_timer(s, TIMER_MODEL, STEP_TIME);
}

static const struct server_row ROWS[] = {
	{ .kind = SERVER_SERVICE, .uuid = SERVICE },
	{ .kind = SERVER_CHARACTERISTIC,
	  .uuid = 0x2a2b,
	  .properties = GATT_READ | GATT_WRITE,
	  .id = CLOCK },
	{ .kind = SERVER_CHARACTERISTIC,
	  .uuid128 = HISTORY_UUID,
	  .properties = GATT_WRITE | GATT_NOTIFY,
	  .id = HISTORY },
	{ .kind = SERVER_SERVICE, .uuid = 0x1530 },
	{ .kind = SERVER_CHARACTERISTIC,
	  .uuid = 0x1542,
	  .properties = GATT_WRITE,
	  .id = CONFIGURATION },
};

const struct model model_xiaomi_scale = {
	.name = "xiaomi_scale",
	.label = "MIBFS",
	.maker = "Simulated",
	.type = "XMTZC05HM",
	.appearance = 0x0c80,
	.services = { SERVICE },
	MODEL_ROWS(ROWS),
	.pairing = SMP_NONE,
	.keeps = true,
	.own_size = sizeof(struct xiaomi),
	.mtu = 23,
	.frame_ids = { HISTORY },
	.frame = frame,
	.ready = ready,
	.taken = on_taken,
	.disconnected = on_disconnected,
	.read = on_read,
	.write = on_write,
	.wrote = on_wrote,
	.timeout = next_step,
};
