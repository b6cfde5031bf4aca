/*
 * An ear thermometer: Health Thermometer Service, indications, no pairing.
 *
 *   06 | temperature FLOAT, exponent -3 | Date Time 7 | type 03 (ear)     04 | ... without time
 *   A measurement that did not succeed: NaN, 007fffff.
 *
 * Source: Health Thermometer Service 1.0.
 */
#include "tests/lab/radio/models/models.h"

#define FLOAT_NAN 0x007fffff

enum {
	MEASUREMENT = 1
};

static void frame(const struct peer_state *s, const struct reading *r, unsigned int part,
		  struct writer *w)
{
	(void)part;
	writer_u8(w, r->has_time ? 0x06 : 0x04);
	/* 33 to 42 degrees in thousandths, to be distinct */
	writer_le32(w, r->failed ? FLOAT_NAN : 0xfd000000 | distinct(s, r, 33000, 9000));
	if (r->has_time)
		put_date_time(w, r->time);
	writer_u8(w, 3);
}

static const struct server_row ROWS[] = {
	{ .kind = SERVER_SERVICE, .uuid = 0x1809 },
	{ .kind = SERVER_CHARACTERISTIC,
	  .uuid = 0x2a1c,
	  .properties = GATT_INDICATE,
	  .id = MEASUREMENT,
	  .secure = true },
	{ .kind = SERVER_CHARACTERISTIC,
	  .uuid = 0x2a1d,
	  .properties = GATT_READ,
	  .value = "\x03",
	  .len = 1 },
};

const struct model model_thermometer = {
	.name = "thermometer",
	.label = "Sim Thermo",
	.maker = "Simulated",
	.type = "TH-1",
	.appearance = 0x0301,
	.services = { 0x1809 },
	MODEL_ROWS(ROWS),
	.pairing = SMP_NONE,
	.battery = true,
	.mtu = 23,
	.frame_ids = { MEASUREMENT },
	.frame = frame,
};
