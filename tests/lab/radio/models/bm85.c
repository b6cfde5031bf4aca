/*
 * Beurer BM85, which breaks the layout of the Blood Pressure Service: flags 56, pulse and status
 * most significant byte first, and a user byte between them though its flag is clear.
 *
 *   56 | systolic, diastolic, mean SFLOAT | Date Time 7 | pulse u16 BE | user u8 | status u16 BE
 *
 * Source: reports of users of the device; no device was at hand, so the order of the last three
 * fields may be another.
 */
#include "tests/lab/radio/models/models.h"

enum {
	MEASUREMENT = 1
};

static void frame(const struct peer_state *s, const struct reading *r, unsigned int part,
		  struct writer *w)
{
	const unsigned int n = r->number;

	(void)part;
	writer_u8(w, 0x56);
	put_sfloat(w, (int)(95 + n % 90), 0);
	put_sfloat(w, (int)(50 + n / 90 % 40), 0);
	put_sfloat(w, (int)(65 + n % 60), 0);
	put_date_time(w, r->time);
	writer_be16(w, (uint16_t)(50 + s->peer->index % 64));
	writer_u8(w, (uint8_t)(r->user - 1));
	writer_be16(w, n % 7 ? 0x0000 : 0x0004);
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
};

const struct model model_bm85 = {
	.name = "bm85",
	.label = "BM85",
	.maker = "Beurer GmbH",
	.type = "BM85",
	.appearance = 0x0381,
	.services = { 0x1810 },
	MODEL_ROWS(ROWS),
	.pairing = SMP_JUST_WORKS,
	.battery = true,
	.mtu = 23,
	.n_users = 2,
	.frame_ids = { MEASUREMENT },
	.frame = frame,
};
