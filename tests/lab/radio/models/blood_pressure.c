/*
 * A cuff in the manner of Beurer's BM54: Blood Pressure Service, pairing with a passkey that it
 * shows, two users. As soon as its measurements are subscribed to over an encrypted link it sends
 * all that it holds, of both users, oldest first, and lets go of each when it is confirmed.
 *
 *   1e | systolic, diastolic SFLOAT | mean 0 | Date Time 7 | pulse SFLOAT | user u8 | status u16
 *   The mean pressure is 0: the device does not work it out. Clock not set: no flag 02, no time.
 *   A measurement that did not succeed: all pressures and the pulse NaN (07ff).
 *
 * Source: Blood Pressure Service 1.0; flags, mean, feature and passkey as reported of a BM54.
 */
#include "tests/lab/radio/models/models.h"

enum {
	MEASUREMENT = 1,
	CLOCK
};

static void frame(const struct peer_state *s, const struct reading *r, unsigned int part,
		  struct writer *w)
{
	const unsigned int n = r->number;

	(void)part;
	writer_u8(w, r->has_time ? 0x1e : 0x1c);
	/* pressures by the reading, the pulse by the device too */
	put_sfloat(w, r->failed ? SFLOAT_NAN : (int)(95 + n % 90), 0);
	put_sfloat(w, r->failed ? SFLOAT_NAN : (int)(50 + n / 90 % 40), 0);
	put_sfloat(w, r->failed ? SFLOAT_NAN : 0, 0);
	if (r->has_time)
		put_date_time(w, r->time);
	put_sfloat(w, r->failed ? SFLOAT_NAN : (int)(50 + s->peer->index % 64), 0);
	/* users count from 0 on the air */
	writer_u8(w, (uint8_t)(r->user ? r->user - 1 : 0xff));
	writer_le16(w, n % 7 ? 0x0000 : 0x0004);
}

static uint8_t on_write(struct peer_state *s, uint8_t id, const uint8_t *data, size_t len)
{
	if (id != CLOCK)
		return ATT_OK;
	return len == 10 ? set_device_time(s, data, len) : ATT_INVALID_LENGTH;
}

static uint8_t on_read(struct peer_state *s, uint8_t id, struct writer *w)
{
	if (id != CLOCK)
		return ATT_OK;
	put_device_time(s, w);
	writer_bytes(w, "\0\0\0", 3);
	return ATT_OK;
}

static const struct server_row ROWS[] = {
	{ .kind = SERVER_SERVICE, .uuid = 0x1810 },
	{ .kind = SERVER_CHARACTERISTIC,
	  .uuid = 0x2a35,
	  .properties = GATT_INDICATE,
	  .id = MEASUREMENT,
	  .secure = true },
	{ .kind = SERVER_CHARACTERISTIC,
	  .uuid = 0x2a49,
	  .properties = GATT_READ,
	  .value = "\x04\x00",
	  .len = 2 },
	{ .kind = SERVER_SERVICE, .uuid = 0x1805 },
	{ .kind = SERVER_CHARACTERISTIC,
	  .uuid = 0x2a2b,
	  .properties = GATT_READ | GATT_WRITE,
	  .id = CLOCK,
	  .secure = true },
};

const struct model model_blood_pressure = {
	.name = "blood_pressure",
	.label = "Sim BPM",
	.maker = "Simulated",
	.type = "BP-1",
	.appearance = 0x0381,
	.services = { 0x1810 },
	MODEL_ROWS(ROWS),
	.pairing = SMP_PASSKEY,
	.modern = true,
	.battery = true,
	.mtu = 247,
	.n_users = 2,
	.frame_ids = { MEASUREMENT },
	.frame = frame,
	.write = on_write,
	.read = on_read,
};
