/*
 * A watch with the open firmware InfiniTime: steps of today and the heart rate, live. It remembers
 * the steps itself, so the last value is also there to be read; a reading here is a change of both.
 *
 *   motion service 00030000-78fc-48fe-8e23-433b3a1942d0
 *     00030001 steps of today u32 (read, notify)
 *   2a37  00 | rate u8 (notify)         2a2b  written by the companion
 *
 * Source: the firmware's public description of its services. Not tried on hardware.
 */
#include "tests/lab/radio/models/models.h"

enum {
	STEPS = 1,
	RATE,
	CLOCK
};

/* 00030000 and 00030001-78fc-48fe-8e23-433b3a1942d0 */
static const uint8_t MOTION[16] = { 0xd0, 0x42, 0x19, 0x3a, 0x3b, 0x43, 0x23, 0x8e,
				    0xfe, 0x48, 0xfc, 0x78, 0x00, 0x00, 0x03, 0x00 };
static const uint8_t STEP_COUNT[16] = { 0xd0, 0x42, 0x19, 0x3a, 0x3b, 0x43, 0x23, 0x8e,
					0xfe, 0x48, 0xfc, 0x78, 0x01, 0x00, 0x03, 0x00 };

static uint32_t steps_at(const struct peer_state *s, uint32_t number)
{
	return number * 64 + s->peer->index % 64;
}

static void frame(const struct peer_state *s, const struct reading *r, unsigned int part,
		  struct writer *w)
{
	if (part == 0) {
		writer_le32(w, steps_at(s, r->number));
		return;
	}
	writer_u8(w, 0x00);
	writer_u8(w, (uint8_t)(60 + r->number % 60));
}

static uint8_t on_read(struct peer_state *s, uint8_t id, struct writer *w)
{
	if (id == STEPS) {
		writer_le32(w, s->last_number ? steps_at(s, s->last_number) : 0);
	} else if (id == CLOCK) {
		put_device_time(s, w);
		writer_bytes(w, "\0\0\0", 3);
	}
	return ATT_OK;
}

static uint8_t on_write(struct peer_state *s, uint8_t id, const uint8_t *data, size_t len)
{
	if (id != CLOCK)
		return ATT_OK;
	/* nine bytes, without a reason for the change, are taken too */
	return len >= 9 ? set_device_time(s, data, len) : ATT_INVALID_LENGTH;
}

static const struct server_row ROWS[] = {
	{ .kind = SERVER_SERVICE, .uuid = 0x180d },
	{ .kind = SERVER_CHARACTERISTIC,
	  .uuid = 0x2a37,
	  .properties = GATT_NOTIFY,
	  .id = RATE,
	  .secure = true },
	{ .kind = SERVER_SERVICE, .uuid = 0x1805 },
	{ .kind = SERVER_CHARACTERISTIC,
	  .uuid = 0x2a2b,
	  .properties = GATT_READ | GATT_WRITE,
	  .id = CLOCK },
	{ .kind = SERVER_SERVICE, .uuid128 = MOTION },
	{ .kind = SERVER_CHARACTERISTIC,
	  .uuid128 = STEP_COUNT,
	  .properties = GATT_READ | GATT_NOTIFY,
	  .id = STEPS,
	  .secure = true },
};

const struct model model_infinitime = {
	.name = "infinitime",
	.label = "InfiniTime",
	.maker = "Pine64",
	.type = "PineTime",
	.appearance = 0x00c1,
	.services = { 0x180d },
	MODEL_ROWS(ROWS),
	.pairing = SMP_NONE,
	.battery = true,
	.live = true,
	.mtu = 247,
	.frame_ids = { STEPS, RATE },
	.frame = frame,
	.read = on_read,
	.write = on_write,
};
