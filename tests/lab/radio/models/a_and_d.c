/*
 * A&D UA-651BLE (cuff) and UC-352BLE (scale), alike but for the measurement.
 *
 *   host encrypts; within 5 s (30 s when it has just paired) it must BOTH write Date Time, which
 *   lies inside the measurement's service, AND write 0002 to the CCC, on this very link;
 *   then all stored records come, oldest first; 5 s after the last the device drops the link.
 *   While records go no setting is taken (0x80). Not armed in time: the link is dropped, and all
 *   stays stored. Confirmed records stay too: only the delete command of the vendor's service
 *   takes them, and it takes everything.
 *
 *   vendor service 233BF000-5A34-1B6D-975C-000D5690ABE4, characteristic 233BF001, frames
 *   [length of what follows][0 read, 1 write][command][value]:
 *     08 01 01 yy mm dd hh mm ss  clock     02 01 12  delete memory     02 01 03  disconnect
 *     02 00 e1  send the stored records again
 *
 *   cuff  16 | systolic, diastolic, mean SFLOAT | Date Time 7 | pulse SFLOAT | status u16
 *         (14 while the clock is not set); error: pressures 07ff, pulse 0800
 *   scale 02 | weight u16 0.005 kg | Date Time 7    (00 while the clock is not set)
 *
 * Source: public descriptions of both devices' protocols; no device was at hand. The error code
 * for a refused setting is not known; the first of the service's own range stands for it.
 */
#include <string.h>

#include "tests/lab/radio/models/models.h"

#define SECOND      INT64_C(1000000)
#define ARM_LIMIT   (5 * SECOND)
#define PAIR_LIMIT  (30 * SECOND)
#define IDLE_LIMIT  (5 * SECOND)
#define REASON_USER 0x13

enum {
	MEASUREMENT = 1,
	CLOCK,
	VENDOR
};

struct a_and_d {
	bool time_written, subscribed; /* on this link */
	bool was_bonded;
};

static const uint8_t VENDOR_SERVICE[16] = { 0xe4, 0xab, 0x90, 0x56, 0x0d, 0x00, 0x5c, 0x97,
					    0x6d, 0x1b, 0x34, 0x5a, 0x00, 0xf0, 0x3b, 0x23 };
static const uint8_t VENDOR_VALUE[16] = { 0xe4, 0xab, 0x90, 0x56, 0x0d, 0x00, 0x5c, 0x97,
					  0x6d, 0x1b, 0x34, 0x5a, 0x01, 0xf0, 0x3b, 0x23 };

static bool armed(const struct peer_state *s)
{
	const struct a_and_d *const d = s->own;

	return d->time_written && d->subscribed;
}

static bool ready(const struct peer_state *s, const struct reading *r)
{
	(void)r;
	return armed(s);
}

/* records are on their way or wait for it */
static bool dumping(const struct peer_state *s)
{
	if (!armed(s))
		return false;
	for (size_t i = 0; i < s->n_stock; i++)
		if (!s->stock[i].sent)
			return true;
	return s->n_out != 0;
}

static void on_connected(struct peer_state *s)
{
	struct a_and_d *const d = s->own;

	*d = (struct a_and_d){ .was_bonded = s->smp.bond.valid };
	peer_timer(s, TIMER_MODEL, d->was_bonded ? ARM_LIMIT : PAIR_LIMIT);
}

static void on_encrypted(struct peer_state *s)
{
	const struct a_and_d *const d = s->own;

	peer_timer(s, TIMER_MODEL, d->was_bonded ? ARM_LIMIT : PAIR_LIMIT);
}

static void check_armed(struct peer_state *s)
{
	if (!armed(s))
		return;
	air_log(s->peer, "armed");
	peer_timer(s, TIMER_MODEL, IDLE_LIMIT);
}

static void on_drained(struct peer_state *s)
{
	peer_timer(s, TIMER_MODEL, IDLE_LIMIT);
}

static void on_timeout(struct peer_state *s)
{
	if (dumping(s)) {
		/* a confirmation is awaited: that has a limit of its own */
		peer_timer(s, TIMER_MODEL, IDLE_LIMIT);
		return;
	}
	air_log(s->peer, armed(s) ? "idle, drops the link" : "not armed in time, drops the link");
	air_drop(s->peer, REASON_USER);
}

static void on_subscribed(struct peer_state *s, uint8_t id, uint16_t ccc)
{
	struct a_and_d *const d = s->own;

	if (id != MEASUREMENT)
		return;
	d->subscribed = ccc & 2;
	check_armed(s);
}

/* yy mm dd hh mm ss to a Date Time */
static uint8_t vendor_clock(struct peer_state *s, const uint8_t *data)
{
	const unsigned int year = 2000U + data[0];
	uint8_t value[7] = { (uint8_t)year, (uint8_t)(year >> 8) };

	memcpy(value + 2, data + 1, 5);
	return set_device_time(s, value, sizeof(value));
}

static uint8_t on_write(struct peer_state *s, uint8_t id, const uint8_t *data, size_t len)
{
	if (id != CLOCK && id != VENDOR)
		return ATT_OK;
	if (dumping(s)) {
		air_log(s->peer, "refuses a setting while it sends");
		return ATT_APPLICATION;
	}
	if (id == CLOCK)
		return len == 7 ? set_device_time(s, data, len) : ATT_INVALID_LENGTH;
	if (len < 3 || len > 20 || data[0] != len - 1)
		return ATT_INVALID_LENGTH;
	if (data[1] == 1 && data[2] == 0x01)
		return len == 9 ? vendor_clock(s, data + 3) : ATT_INVALID_LENGTH;
	return ATT_OK;
}

static void resend(struct peer_state *s)
{
	for (size_t i = 0; i < s->n_stock; i++)
		s->stock[i].sent = 0;
	stock_pump(s);
}

static void on_wrote(struct peer_state *s, uint8_t id, const uint8_t *data, size_t len)
{
	struct a_and_d *const d = s->own;

	if (id == CLOCK) {
		d->time_written = true;
		check_armed(s);
		stock_pump(s);
		return;
	}
	if (id != VENDOR || len < 3)
		return;
	peer_timer(s, TIMER_MODEL, IDLE_LIMIT);
	if (!memcmp(data, "\x02\x01\x12", 3)) {
		air_log(s->peer, "delete command takes %u", stock_delete(s, NULL, NULL));
	} else if (!memcmp(data, "\x02\x01\x03", 3)) {
		air_drop(s->peer, REASON_USER);
	} else if (!memcmp(data, "\x02\x00\xe1", 3)) {
		resend(s);
	}
}

static uint8_t on_read(struct peer_state *s, uint8_t id, struct writer *w)
{
	if (id == CLOCK)
		put_device_time(s, w);
	return ATT_OK;
}

static void cuff_frame(const struct peer_state *s, const struct reading *r, unsigned int part,
		       struct writer *w)
{
	const unsigned int n = r->number;

	(void)part;
	writer_u8(w, r->has_time ? 0x16 : 0x14);
	put_sfloat(w, r->failed ? SFLOAT_NAN : (int)(95 + n % 90), 0);
	put_sfloat(w, r->failed ? SFLOAT_NAN : (int)(50 + n / 90 % 40), 0);
	put_sfloat(w, r->failed ? SFLOAT_NAN : (int)(65 + n % 60), 0);
	if (r->has_time)
		put_date_time(w, r->time);
	put_sfloat(w, r->failed ? 0x0800 : (int)(50 + s->peer->index % 64), 0);
	writer_le16(w, n % 7 ? 0x0000 : 0x0004);
}

static void scale_frame(const struct peer_state *s, const struct reading *r, unsigned int part,
			struct writer *w)
{
	(void)part;
	writer_u8(w, r->has_time ? 0x02 : 0x00);
	writer_le16(w, r->failed ? 0xffff : (uint16_t)distinct(s, r, 10000, 40000));
	if (r->has_time)
		put_date_time(w, r->time);
}

#define ROW_CLOCK                                                                 \
	{                                                                         \
		.kind = SERVER_CHARACTERISTIC, .uuid = 0x2a08,                    \
		.properties = GATT_READ | GATT_WRITE, .id = CLOCK, .secure = true \
	}
#define ROW_VENDOR_SERVICE                                        \
	{                                                         \
		.kind = SERVER_SERVICE, .uuid128 = VENDOR_SERVICE \
	}
#define ROW_VENDOR                                                                 \
	{                                                                          \
		.kind = SERVER_CHARACTERISTIC, .uuid128 = VENDOR_VALUE,            \
		.properties = GATT_READ | GATT_WRITE, .id = VENDOR, .secure = true \
	}

static const struct server_row CUFF_ROWS[] = {
	{ .kind = SERVER_SERVICE, .uuid = 0x1810 },
	{ .kind = SERVER_CHARACTERISTIC,
	  .uuid = 0x2a35,
	  .properties = GATT_INDICATE,
	  .id = MEASUREMENT,
	  .secure = true },
	{ .kind = SERVER_CHARACTERISTIC,
	  .uuid = 0x2a49,
	  .properties = GATT_READ,
	  .value = "\x0c\x00",
	  .len = 2 },
	ROW_CLOCK,
	ROW_VENDOR_SERVICE,
	ROW_VENDOR,
};

static const struct server_row SCALE_ROWS[] = {
	{ .kind = SERVER_SERVICE, .uuid = 0x181d },
	{ .kind = SERVER_CHARACTERISTIC,
	  .uuid = 0x2a9d,
	  .properties = GATT_INDICATE,
	  .id = MEASUREMENT,
	  .secure = true },
	{ .kind = SERVER_CHARACTERISTIC,
	  .uuid = 0x2a9e,
	  .properties = GATT_READ,
	  .value = "\x01\x00\x00\x00",
	  .len = 4 },
	ROW_CLOCK,
	ROW_VENDOR_SERVICE,
	ROW_VENDOR,
};

#define COMMON                                                                             \
	.maker = "A&D Medical", .pairing = SMP_JUST_WORKS, .battery = true, .keeps = true, \
	.own_size = sizeof(struct a_and_d), .mtu = 23, .frame_ids = { MEASUREMENT },       \
	.ready = ready, .drained = on_drained, .connected = on_connected,                  \
	.encrypted = on_encrypted, .read = on_read, .write = on_write, .wrote = on_wrote,  \
	.subscribed = on_subscribed, .timeout = on_timeout

const struct model model_a_and_d_cuff = {
	COMMON,
	.name = "a_and_d_cuff",
	.label = "A&D_UA-651BLE",
	.type = "UA-651BLE",
	.appearance = 0x0381,
	.services = { 0x1810 },
	MODEL_ROWS(CUFF_ROWS),
	.frame = cuff_frame,
};

const struct model model_a_and_d_scale = {
	COMMON,
	.name = "a_and_d_scale",
	.label = "A&D_UC-352BLE",
	.type = "UC-352BLE",
	.appearance = 0x0c80,
	.services = { 0x181d },
	MODEL_ROWS(SCALE_ROWS),
	.frame = scale_frame,
};
