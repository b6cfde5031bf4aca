/*
 * A plain scale: Weight Scale Service, time stamps, one indication for each reading, no users.
 *
 *   02 | weight u16 0.005 kg | Date Time 7        00 | weight         while its clock is not set
 *   a weighing that did not succeed: weight ffff
 *
 * Source: Weight Scale Service 1.0.
 */
#include "tests/lab/radio/models/models.h"

enum {
	MEASUREMENT = 1
};

static void frame(const struct peer_state *s, const struct reading *r, unsigned int part,
		  struct writer *w)
{
	(void)part;
	writer_u8(w, r->has_time ? 0x02 : 0x00);
	/* 50 to 250 kg */
	writer_le16(w, r->failed ? 0xffff : (uint16_t)distinct(s, r, 10000, 40000));
	if (r->has_time)
		put_date_time(w, r->time);
}

static const struct server_row ROWS[] = {
	{ .kind = SERVER_SERVICE, .uuid = 0x181d },
	{ .kind = SERVER_CHARACTERISTIC,
	  .uuid = 0x2a9d,
	  .properties = GATT_INDICATE,
	  .id = MEASUREMENT,
	  .secure = true },
	/* time stamps, 0.005 kg */
	{ .kind = SERVER_CHARACTERISTIC,
	  .uuid = 0x2a9e,
	  .properties = GATT_READ,
	  .value = "\x39\x00\x00\x00",
	  .len = 4 },
};

const struct model model_weight_scale = {
	.name = "weight_scale",
	.label = "Sim Scale",
	.maker = "Simulated",
	.type = "WS-1",
	.appearance = 0x0c80,
	.services = { 0x181d },
	MODEL_ROWS(ROWS),
	.pairing = SMP_NONE,
	.battery = true,
	.mtu = 23,
	.frame_ids = { MEASUREMENT },
	.frame = frame,
};
