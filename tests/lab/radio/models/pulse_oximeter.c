/*
 * A finger oximeter: Pulse Oximeter Service, spot checks with time, indicated.
 *
 *   01 | SpO2 SFLOAT | pulse SFLOAT | Date Time 7     10 | ... clock not set: the device says so
 *   A measurement that did not succeed: both NaN. The pulse has one decimal, to be distinct.
 *
 * Source: Pulse Oximeter Service 1.0.
 */
#include "tests/lab/radio/models/models.h"

enum {
	SPOT = 1
};

static void frame(const struct peer_state *s, const struct reading *r, unsigned int part,
		  struct writer *w)
{
	(void)part;
	writer_u8(w, r->has_time ? 0x01 : 0x10);
	put_sfloat(w, r->failed ? SFLOAT_NAN : (int)(90 + r->number % 10), 0);
	if (r->failed)
		put_sfloat(w, SFLOAT_NAN, 0);
	else
		put_sfloat(w, (int)distinct(s, r, 500, 1500), -1);
	if (r->has_time)
		put_date_time(w, r->time);
}

static const struct server_row ROWS[] = {
	{ .kind = SERVER_SERVICE, .uuid = 0x1822 },
	{ .kind = SERVER_CHARACTERISTIC,
	  .uuid = 0x2a5e,
	  .properties = GATT_INDICATE,
	  .id = SPOT,
	  .secure = true },
	/* no optional fields */
	{ .kind = SERVER_CHARACTERISTIC,
	  .uuid = 0x2a60,
	  .properties = GATT_READ,
	  .value = "\x00\x00",
	  .len = 2 },
};

const struct model model_pulse_oximeter = {
	.name = "pulse_oximeter",
	.label = "Sim Oxi",
	.maker = "Simulated",
	.type = "OX-1",
	.appearance = 0x0c40,
	.services = { 0x1822 },
	MODEL_ROWS(ROWS),
	.pairing = SMP_NONE,
	.battery = true,
	.mtu = 23,
	.frame_ids = { SPOT },
	.frame = frame,
};
