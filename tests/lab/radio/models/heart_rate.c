/*
 * A chest strap: Heart Rate Service. It keeps nothing for long: what is measured is notified to who
 * has subscribed, once, and never asked about again.
 *
 *   16 | rate u8 | RR interval u16 1/1024 s        contact is on
 *
 * Source: Heart Rate Service 1.0.
 */
#include "tests/lab/radio/models/models.h"

enum {
	MEASUREMENT = 1,
	CONTROL
};

static void frame(const struct peer_state *s, const struct reading *r, unsigned int part,
		  struct writer *w)
{
	(void)part;
	writer_u8(w, 0x16);
	writer_u8(w, (uint8_t)(60 + r->number % 60));
	writer_le16(w, (uint16_t)distinct(s, r, 500, 40000));
}

static uint8_t on_write(struct peer_state *s, uint8_t id, const uint8_t *data, size_t len)
{
	(void)s;
	/* 1 resets the energy; 0x80: control point value not supported */
	if (id == CONTROL && (len != 1 || data[0] != 1))
		return ATT_APPLICATION;
	return ATT_OK;
}

static const struct server_row ROWS[] = {
	{ .kind = SERVER_SERVICE, .uuid = 0x180d },
	{ .kind = SERVER_CHARACTERISTIC,
	  .uuid = 0x2a37,
	  .properties = GATT_NOTIFY,
	  .id = MEASUREMENT,
	  .secure = true },
	{ .kind = SERVER_CHARACTERISTIC,
	  .uuid = 0x2a38,
	  .properties = GATT_READ,
	  .value = "\x01",
	  .len = 1 },
	{ .kind = SERVER_CHARACTERISTIC, .uuid = 0x2a39, .properties = GATT_WRITE, .id = CONTROL },
};

const struct model model_heart_rate = {
	.name = "heart_rate",
	.label = "Sim HR",
	.maker = "Simulated",
	.type = "HR-1",
	.appearance = 0x0341,
	.services = { 0x180d },
	MODEL_ROWS(ROWS),
	.pairing = SMP_NONE,
	.battery = true,
	.live = true,
	.mtu = 23,
	.frame_ids = { MEASUREMENT },
	.frame = frame,
	.write = on_write,
};
