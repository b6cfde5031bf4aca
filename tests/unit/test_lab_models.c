/* links: lab_peers protocols */
/*
 * The simulated peripherals as a host meets them: what each sends, when it lets go of a reading,
 * and how it misbehaves when told to. Frames are compared as literals and read by our decoders.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "protocols/colmi/ring.h"
#include "protocols/fitbit/dump.h"
#include "protocols/fitbit/message.h"
#include "protocols/gatt/blood_pressure.h"
#include "protocols/gatt/body_composition.h"
#include "protocols/gatt/glucose.h"
#include "protocols/gatt/heart_rate.h"
#include "protocols/gatt/plx.h"
#include "protocols/gatt/temperature.h"
#include "protocols/gatt/weight.h"
#include "tests/lab/radio/models/model.h"
#include "tests/unit/lab_world.h"

#define N(a)   (sizeof(a) / sizeof((a)[0]))
#define SECOND INT64_C(1000000)

/* ---- tools ---- */

static struct peer *born(const char *model)
{
	struct peer *p;

	world_reset();
	assert_int_equal(peer_new(model, 5, &p), 0);
	return p;
}

static const char *tell(struct peer *p, const char *line)
{
	static char answer[256];

	if (peer_command(p, line, answer, sizeof(answer)) < 0)
		fail_msg("%s: %s", line, answer);
	return answer;
}

static void assert_state(struct peer *p, const char *part)
{
	const char *const answer = tell(p, "state");

	if (!strstr(answer, part))
		fail_msg("%s is not in %s", part, answer);
}

static uint16_t handle_of(const struct peer *p, uint16_t uuid)
{
	const struct server *const s = &p->state->server;

	for (size_t i = 0; i < s->n_attrs; i++)
		if (s->attrs[i].type == uuid && !s->attrs[i].type128)
			return s->attrs[i].handle;
	fail_msg("no attribute %04x", uuid);
	return 0;
}

/* an authenticated link, as after a pairing that left a bond */
static void encrypt(struct peer *p)
{
	p->state->smp.bond.valid = true;
	p->state->server.bonded = p->state->server.has_key = true;
	p->state->smp.offered = SERVER_AUTHENTICATED;
	p->encrypted = true;
	peer_encrypted(p);
}

static void secure_link(struct peer *p)
{
	p->state->smp.bond.valid = true;
	world_link_up(p);
	encrypt(p);
}

static void say(struct peer *p, const uint8_t *pdu, size_t len)
{
	peer_receive(p, PEER_CID_ATT, pdu, len);
}

static void write_to(struct peer *p, uint16_t handle, const char *hex)
{
	uint8_t pdu[64] = { 0x12, (uint8_t)handle, (uint8_t)(handle >> 8) };

	say(p, pdu, 3 + world_bytes(hex, pdu + 3, sizeof(pdu) - 3));
}

static void heard(const char *hex)
{
	uint8_t expected[PEER_SDU_MAX];
	const size_t len = world_bytes(hex, expected, sizeof(expected));
	const struct world_sdu *const sdu = world_next();

	if (sdu->len != len || memcmp(sdu->data, expected, len) != 0)
		fail_msg("%s expected, %s sent", hex, world_hex(sdu->data, sdu->len));
}

/* the write is taken */
static void wrote(struct peer *p, uint16_t handle, const char *hex)
{
	write_to(p, handle, hex);
	heard("13");
}

static void refused(struct peer *p, uint16_t handle, const char *hex, uint8_t error)
{
	const struct world_sdu *sdu;

	write_to(p, handle, hex);
	sdu = world_next();
	if (sdu->len != 5 || sdu->data[0] != 0x01 || sdu->data[4] != error)
		fail_msg("error %02x expected, %s sent", error, world_hex(sdu->data, sdu->len));
}

static void confirm(struct peer *p)
{
	say(p, (const uint8_t[]){ 0x1e }, 1);
}

/* the next thing sent is an indication (or a notification) under the handle; its value */
static const struct world_sdu *value_under(uint8_t opcode, uint16_t handle)
{
	const struct world_sdu *const sdu = world_next();

	if (sdu->len < 3 || sdu->data[0] != opcode || (sdu->data[1] | sdu->data[2] << 8) != handle)
		fail_msg("%02x under %04x expected, %s sent", opcode, handle,
			 world_hex(sdu->data, sdu->len));
	return sdu;
}

static const struct world_sdu *indicated(uint16_t handle)
{
	return value_under(0x1d, handle);
}

/* ---- frames ---- */

struct frame_row {
	const char *model;
	unsigned int part;
	bool failed, no_time;
	const char *hex;
};

/* reading 1 of device 5, user 1, 2026-11-23 08:30:15 */
static const struct frame_row FRAMES[] = {
	{ "weight_scale", 0, false, false, "02 5527 ea070b17081e0f" },
	{ "weight_scale", 0, true, false, "02 ffff ea070b17081e0f" },
	{ "weight_scale", 0, false, true, "00 5527" },
	{ "body_scale", 0, false, false, "0e 5527 ea070b17081e0f 01 b500 a406" },
	{ "body_scale", 1, false, false, "9803 9700 7117 2d01 411f 7117 fd0b" },
	{ "body_scale", 1, true, false, "9803 0000 9623 0000 0000 0000 0000" },
	{ "blood_pressure", 0, false, false, "1e 6000 3200 0000 ea070b17081e0f 3700 00 0000" },
	{ "blood_pressure", 0, true, false, "1e ff07 ff07 ff07 ea070b17081e0f ff07 00 0000" },
	{ "blood_pressure", 0, false, true, "1c 6000 3200 0000 3700 00 0000" },
	{ "bm85", 0, false, false, "56 6000 3200 4200 ea070b17081e0f 0037 00 0000" },
	{ "a_and_d_cuff", 0, false, false, "16 6000 3200 4200 ea070b17081e0f 3700 0000" },
	{ "a_and_d_cuff", 0, true, false, "16 ff07 ff07 ff07 ea070b17081e0f 0008 0000" },
	{ "a_and_d_cuff", 0, false, true, "14 6000 3200 4200 3700 0000" },
	{ "a_and_d_scale", 0, false, false, "02 5527 ea070b17081e0f" },
	{ "thermometer", 0, false, false, "06 2d8100fd ea070b17081e0f 03" },
	{ "thermometer", 0, true, false, "06 ffff7f00 ea070b17081e0f 03" },
	{ "pulse_oximeter", 0, false, false, "01 5b00 39f2 ea070b17081e0f" },
	{ "pulse_oximeter", 0, false, true, "10 5b00 39f2" },
	{ "glucose_meter", 0, false, false, "02 0100 ea070b17081e0f 47b0 11" },
	{ "heart_rate", 0, false, false, "16 3d 3902" },
	{ "infinitime", 0, false, false, "45000000" },
	{ "infinitime", 1, false, false, "00 3d" },
	{ "hr_sharing", 0, false, false, "00 2e" },
	{ "xiaomi_scale", 0, false, false, "02 22 ea070b17081e0f 9101 5527" },
	{ "xiaomi_scale", 0, true, false, "02 20 ea070b17081e0f feff 5527" },
	{ "colmi_ring", 0, false, false, "43 261123 22 00 01 0000 a900 7000 0000 d9" },
	{ "fitbit", 0, false, false, "97f9036b 45000000 acbc0000 0000 0000" },
};

static void frames_as_drawn(void **state)
{
	(void)state;
	for (size_t i = 0; i < N(FRAMES); i++) {
		struct peer *const p = born(FRAMES[i].model);
		const struct reading r = { .number = 1,
					   .user = 1,
					   .time = 1795422615,
					   .has_time = !FRAMES[i].no_time,
					   .failed = FRAMES[i].failed };
		uint8_t frame[FRAME_MAX], expected[FRAME_MAX];
		struct writer w = writer_of(frame, sizeof(frame));
		const size_t len = world_bytes(FRAMES[i].hex, expected, sizeof(expected));

		p->state->model->frame(p->state, &r, FRAMES[i].part, &w);
		if (w.len != len || memcmp(frame, expected, len) != 0)
			fail_msg("%s %zu: %s expected, %s made", FRAMES[i].model, i, FRAMES[i].hex,
				 world_hex(frame, w.len));
		peer_free(p);
	}
}

static int decode(const char *model, unsigned int part, const uint8_t *data, size_t len)
{
	union {
		struct gatt_weight weight;
		struct gatt_body_composition body;
		struct gatt_blood_pressure pressure;
		struct gatt_temperature temperature;
		struct gatt_plx_spot plx;
		struct gatt_glucose glucose;
		struct gatt_heart_rate heart;
		struct colmi_steps steps;
	} out;

	if (!strcmp(model, "weight_scale") || !strcmp(model, "a_and_d_scale"))
		return gatt_weight_decode(data, len, &out.weight);
	if (!strcmp(model, "body_scale"))
		return part ? gatt_body_composition_decode(data, len, &out.body)
			    : gatt_weight_decode(data, len, &out.weight);
	if (!strcmp(model, "blood_pressure") || !strcmp(model, "a_and_d_cuff"))
		return gatt_blood_pressure_decode(data, len, &out.pressure);
	if (!strcmp(model, "thermometer"))
		return gatt_temperature_decode(data, len, &out.temperature);
	if (!strcmp(model, "pulse_oximeter"))
		return gatt_plx_spot_decode(data, len, &out.plx);
	if (!strcmp(model, "glucose_meter"))
		return gatt_glucose_decode(data, len, &out.glucose);
	if (!strcmp(model, "heart_rate") || !strcmp(model, "hr_sharing"))
		return gatt_heart_rate_decode(data, len, &out.heart);
	if (!strcmp(model, "xiaomi_scale"))
		return len == 13 ? 0 : -EMSGSIZE; /* no layout of the standard */
	if (!strcmp(model, "colmi_ring"))
		return colmi_steps_decode(data, len, &out.steps);
	if (!strcmp(model, "fitbit"))
		return len == 16 ? 0 : -EMSGSIZE;
	if (!strcmp(model, "infinitime"))
		return part ? gatt_heart_rate_decode(data, len, &out.heart)
			    : (len == 4 ? 0 : -EMSGSIZE);
	return gatt_blood_pressure_decode_bm85(data, len, &out.pressure);
}

/* 200 readings of two devices: all decodable, and no two alike */
static void frames_are_distinct(void **state)
{
	static uint8_t seen[400][FRAME_MAX];

	(void)state;
	for (size_t m = 0; peer_models[m]; m++) {
		size_t n = 0;

		for (unsigned int index = 0; index < 2; index++) {
			struct peer *p;

			world_reset();
			assert_int_equal(peer_new(peer_models[m], index, &p), 0);
			if (p->state->model->frame)
				(void)tell(p, "measure 200");
			for (size_t i = 0; i < p->state->n_stock; i++) {
				struct writer w = writer_of(seen[n], FRAME_MAX);

				memset(seen[n], 0, FRAME_MAX);
				p->state->model->frame(p->state, &p->state->stock[i], 0, &w);
				assert_true(writer_ok(&w));
				assert_int_equal(decode(peer_models[m], 0, seen[n], w.len), 0);
				for (size_t k = (size_t)index * 200; k < n; k++)
					assert_memory_not_equal(seen[k], seen[n], FRAME_MAX);
				n++;
			}
			peer_free(p);
		}
	}
}

static void adverts(void **state)
{
	(void)state;
	for (size_t m = 0; peer_models[m]; m++) {
		struct peer *const p = born(peer_models[m]);

		assert_true(p->advert_len > 3 && p->advert_len <= PEER_ADVERT_MAX);
		assert_memory_equal(p->advert, "\x02\x01\x06", 3);
		/* 16-bit or 128-bit services */
		assert_true(p->advert[4] == 0x03 || p->advert[4] == 0x06);
		assert_true(p->scan_response_len <= PEER_ADVERT_MAX);
		assert_int_equal(p->scan_response[1], 0x09);
		assert_true(p->advertises && p->connectable);
		peer_free(p);
	}
	assert_int_equal(peer_new("toaster", 0, &(struct peer *){ NULL }), -ENOENT);
	peer_free(NULL);
}

/* ---- the stock ---- */

static void let_go_when_confirmed(void **state)
{
	struct peer *const p = born("weight_scale");
	const uint16_t h = handle_of(p, 0x2a9d);
	uint8_t first[PEER_SDU_MAX];

	(void)state;
	(void)tell(p, "measure 3");
	world_link_up(p);
	assert_true(world_silent());
	wrote(p, h + 1, "0200");
	memcpy(first, indicated(h)->data, 13);
	assert_true(world_silent());
	assert_state(p, "stored=3 indicated=1 confirmed=0");
	/* the link goes before the confirmation: the same again */
	world_link_down(p);
	assert_non_null(strstr(world.log, "unconfirmed 02"));
	world_link_up(p);
	wrote(p, h + 1, "0200");
	assert_memory_equal(indicated(h)->data, first, 13);
	confirm(p);
	assert_state(p, "stored=2 indicated=3 confirmed=1");
	assert_memory_not_equal(indicated(h)->data, first, 13);
	confirm(p);
	(void)indicated(h);
	confirm(p);
	assert_true(world_silent());
	assert_state(p, "stored=0 indicated=4 confirmed=3");
	/* a live one */
	(void)tell(p, "measure");
	(void)indicated(h);
	confirm(p);
	assert_state(p, "stored=0");
	peer_free(p);
}

static void only_over_a_secured_link(void **state)
{
	struct peer *const p = born("blood_pressure");
	const uint16_t h = handle_of(p, 0x2a35);

	(void)state;
	(void)tell(p, "measure 2");
	world_link_up(p);
	refused(p, h + 1, "0200", 0x05);
	encrypt(p);
	wrote(p, h + 1, "0200");
	(void)indicated(h);
	world_link_down(p);
	/* the bond keeps the subscription: all by itself, but not in clear */
	world_link_up(p);
	assert_true(world_silent());
	encrypt(p);
	(void)indicated(h);
	confirm(p);
	(void)indicated(h);
	confirm(p);
	assert_state(p, "stored=0");
	/* a link with too weak a key */
	(void)tell(p, "measure");
	world_link_down(p);
	world_link_up(p);
	p->state->smp.offered = SERVER_ENCRYPTED;
	peer_encrypted(p);
	assert_true(world_silent());
	/* and a device that does not care */
	world_link_down(p);
	(void)tell(p, "fault in-clear");
	world_link_up(p);
	(void)indicated(h);
	assert_non_null(strstr(world.log, "level=1"));
	peer_free(p);
}

static void early(void **state)
{
	struct peer *const p = born("thermometer");
	const uint16_t h = handle_of(p, 0x2a1c);

	(void)state;
	(void)tell(p, "measure");
	(void)tell(p, "early on");
	world_link_up(p);
	(void)indicated(h);
	assert_true(world_silent());
	/* answers come between */
	say(p, (const uint8_t[]){ 0x02, 0x00, 0x02 }, 3);
	heard("03 1700");
	confirm(p);
	assert_state(p, "stored=0 indicated=1 confirmed=1");
	world_link_down(p);
	(void)tell(p, "early encrypted");
	(void)tell(p, "measure");
	world_link_up(p);
	assert_true(world_silent());
	encrypt(p);
	(void)indicated(h);
	peer_free(p);
}

static void no_confirmation_ends_the_link(void **state)
{
	struct peer *const p = born("weight_scale");

	(void)state;
	(void)tell(p, "measure");
	world_link_up(p);
	wrote(p, handle_of(p, 0x2a9d) + 1, "0200");
	assert_false(world_wait(p, 30 * SECOND - 1));
	assert_true(world_wait(p, 1));
	assert_int_equal(world.dropped, 0x13);
	assert_state(p, "stored=1");
	peer_free(p);
}

/* ---- faults ---- */

static struct peer *subscribed_scale(const char *command, uint16_t *ret_handle)
{
	struct peer *const p = born("weight_scale");

	*ret_handle = handle_of(p, 0x2a9d);
	(void)tell(p, command);
	(void)tell(p, "measure 3");
	world_link_up(p);
	wrote(p, *ret_handle + 1, "0200");
	return p;
}

static void frame_faults(void **state)
{
	uint16_t h = 0;
	struct peer *p = subscribed_scale("fault duplicate", &h);
	uint8_t first[13];

	(void)state;
	memcpy(first, indicated(h)->data, 13);
	confirm(p);
	assert_memory_equal(indicated(h)->data, first, 13);
	confirm(p);
	assert_state(p, "stored=2 indicated=3 confirmed=2");
	peer_free(p);

	p = subscribed_scale("fault truncate", &h);
	assert_int_equal(indicated(h)->len, 3 + 5);
	assert_non_null(strstr(world.log, "fault=truncate"));
	peer_free(p);

	p = subscribed_scale("fault wrong-handle", &h);
	(void)indicated(0x7ff0);
	confirm(p);
	(void)indicated(h);
	peer_free(p);

	p = subscribed_scale("fault second-indication", &h);
	(void)indicated(h);
	(void)indicated(h);
	assert_true(world_silent());
	confirm(p);
	assert_true(world_silent());
	confirm(p);
	(void)indicated(h);
	assert_state(p, "stored=1");
	peer_free(p);

	p = subscribed_scale("fault no-confirm-wait", &h);
	for (unsigned int i = 0; i < 3; i++)
		(void)indicated(h);
	confirm(p);
	assert_state(p, "stored=2 indicated=3 confirmed=1");
	peer_free(p);

	p = subscribed_scale("drop-after 2", &h);
	(void)indicated(h);
	confirm(p);
	assert_int_equal(world.dropped, 0x13);
	assert_state(p, "stored=2 indicated=2 confirmed=1");
	peer_free(p);
}

static void answer_faults(void **state)
{
	static const uint8_t READ[] = { 0x0a, 0x03, 0x00 };
	struct peer *const p = born("weight_scale");

	(void)state;
	world_link_up(p);
	(void)tell(p, "fault malformed 5");
	for (unsigned int i = 0; i < 5; i++)
		say(p, READ, 3);
	heard("0b 53696d205363616c652030");
	assert_int_equal(world_next()->len, 1);
	assert_int_equal(world_next()->data[0], 0x3f);
	assert_int_equal(world_next()->data[1], 0);
	assert_int_equal(world_next()->len, 24);
	say(p, READ, 3);
	heard("0b 53696d205363616c65203035");
	(void)tell(p, "fault silent");
	say(p, READ, 3);
	assert_true(world_silent());
	(void)tell(p, "fault none");
	(void)tell(p, "fault att-error 14");
	say(p, READ, 3);
	heard("01 0a 0300 0e");
	say(p, (const uint8_t[]){ 0x02, 0x00, 0x02 }, 3);
	heard("03 1700");
	peer_free(p);
}

static void moved_services(void **state)
{
	struct peer *const p = born("blood_pressure");
	const uint16_t changed = handle_of(p, 0x2a05), before = handle_of(p, 0x2a35);
	uint8_t hash[16];

	(void)state;
	secure_link(p);
	wrote(p, changed + 1, "0200");
	server_hash(&p->state->server, hash);
	world_link_down(p);
	(void)tell(p, "move 16");
	assert_int_equal(handle_of(p, 0x2a35), before + 16);
	secure_link(p);
	heard("1d 0800 0100 ffff");
	confirm(p);
	{
		const uint16_t h = handle_of(p, 0x2b2a);
		const uint8_t read[3] = { 0x0a, (uint8_t)h, 0 };

		say(p, read, 3);
		assert_memory_not_equal(world_next()->data + 1, hash, 16);
	}
	/* once */
	world_link_down(p);
	secure_link(p);
	assert_true(world_silent());
	peer_free(p);
}

/* ---- A&D ---- */

static void a_and_d_dump(void **state)
{
	struct peer *const p = born("a_and_d_cuff");
	const uint16_t h = handle_of(p, 0x2a35), clock = handle_of(p, 0x2a08),
		       vendor = (uint16_t)(clock + 3);

	(void)state;
	(void)tell(p, "measure 2");
	secure_link(p);
	/* half armed is not armed; a read does not help */
	wrote(p, h + 1, "0200");
	assert_true(world_silent());
	wrote(p, clock, "ea070b17081e0f");
	assert_non_null(strstr(world.log, "clock set 2026-11-23 08:30:15"));
	(void)indicated(h);
	/* no setting now */
	refused(p, clock, "ea070b17081e10", 0x80);
	refused(p, vendor, "020112", 0x80);
	confirm(p);
	(void)indicated(h);
	confirm(p);
	assert_state(p, "stored=2 indicated=2 confirmed=2 deleted=0");
	/* confirmed is not deleted: all again on the next link, once it is armed there */
	world_link_down(p);
	secure_link(p);
	assert_true(world_silent());
	wrote(p, clock, "ea070b17081e0f");
	assert_true(world_silent());
	wrote(p, h + 1, "0200");
	(void)indicated(h);
	confirm(p);
	(void)indicated(h);
	confirm(p);
	refused(p, vendor, "0201", 0x0d);
	refused(p, vendor, "030112", 0x0d);
	wrote(p, vendor, "020112");
	assert_state(p, "stored=0 indicated=4 confirmed=4 deleted=2");
	/* idle for 5 s */
	assert_false(world_wait(p, 5 * SECOND - 1));
	assert_true(world_wait(p, 1));
	assert_int_equal(world.dropped, 0x13);
	peer_free(p);
}

static void a_and_d_not_armed(void **state)
{
	struct peer *const p = born("a_and_d_scale");

	(void)state;
	(void)tell(p, "measure 2");
	secure_link(p);
	wrote(p, handle_of(p, 0x2a9d) + 1, "0200");
	assert_false(world_wait(p, 5 * SECOND - 1));
	assert_true(world_wait(p, 1));
	assert_int_equal(world.dropped, 0x13);
	assert_state(p, "stored=2 indicated=0");
	/* 30 s when it has just paired */
	p->state->smp.bond.valid = false;
	world.dropped = -1;
	world_link_up(p);
	encrypt(p);
	assert_false(world_wait(p, 30 * SECOND - 1));
	assert_true(world_wait(p, 1));
	assert_int_equal(world.dropped, 0x13);
	/* disconnect command */
	world.dropped = -1;
	secure_link(p);
	wrote(p, (uint16_t)(handle_of(p, 0x2a08) + 3), "020103");
	assert_int_equal(world.dropped, 0x13);
	peer_free(p);
}

/* ---- body scale ---- */

static void body_scale_consent(void **state)
{
	struct peer *const p = born("body_scale");
	const uint16_t w = handle_of(p, 0x2a9d), b = handle_of(p, 0x2a9c), u = handle_of(p, 0x2a9f);

	(void)state;
	world_link_up(p);
	refused(p, w + 1, "0200", 0x05);
	encrypt(p);
	wrote(p, w + 1, "0200");
	wrote(p, b + 1, "0200");
	refused(p, u, "01d204", 0xfd);
	wrote(p, u + 1, "0200");
	(void)tell(p, "measure 1 1");
	assert_true(world_silent());
	/* nobody is registered; a new user; a wrong code; the right one */
	wrote(p, u, "0201d204");
	heard("1d 2900 20 02 05");
	refused(p, u, "01d204", 0xfe);
	confirm(p);
	wrote(p, u, "01d204");
	heard("1d 2900 20 01 01 01");
	confirm(p);
	wrote(p, u, "0201d304");
	heard("1d 2900 20 02 05");
	confirm(p);
	assert_state(p, "stored=1 indicated=0");
	wrote(p, u, "0201d204");
	heard("1d 2900 20 02 01");
	confirm(p);
	(void)indicated(w);
	confirm(p);
	assert_state(p, "stored=1 indicated=2 confirmed=1");
	(void)indicated(b);
	confirm(p);
	assert_state(p, "stored=0 indicated=2 confirmed=2");
	wrote(p, u, "09");
	heard("1d 2900 20 09 02");
	confirm(p);
	wrote(p, u, "01ffff");
	heard("1d 2900 20 01 03");
	confirm(p);
	/* another's reading is not sent; consent ends with the link */
	(void)tell(p, "measure 1 2");
	assert_true(world_silent());
	world_link_down(p);
	secure_link(p);
	(void)tell(p, "measure 1 1");
	assert_true(world_silent());
	peer_free(p);
}

static void body_scale_profile(void **state)
{
	struct peer *const p = born("body_scale");
	const uint16_t u = handle_of(p, 0x2a9f), height = handle_of(p, 0x2a8e),
		       increment = handle_of(p, 0x2a99);
	const uint8_t read[3] = { 0x0a, (uint8_t)height, (uint8_t)(height >> 8) };

	(void)state;
	(void)tell(p, "user 2 1234");
	secure_link(p);
	refused(p, height, "aa00", 0x80);
	wrote(p, u + 1, "0200");
	for (unsigned int i = 0; i < 2; i++) {
		wrote(p, u, "0202d204");
		heard("1d 2900 20 02 01");
		confirm(p);
		say(p, read, 3);
		heard("0b 0000");
		wrote(p, height, "aa00");
		/* without the right increment the edit is dropped */
		wrote(p, increment, "05000000");
		world_link_down(p);
		assert_non_null(strstr(world.log, "profile of user 2 dropped"));
		secure_link(p);
	}
	wrote(p, u, "0202d204");
	heard("1d 2900 20 02 01");
	confirm(p);
	wrote(p, height, "aa00");
	wrote(p, increment, "01000000");
	world_link_down(p);
	secure_link(p);
	wrote(p, u, "0202d204");
	heard("1d 2900 20 02 01");
	confirm(p);
	say(p, read, 3);
	heard("0b aa00");
	/* the battery is taken out */
	(void)tell(p, "battery-removed");
	assert_string_equal(tell(p, "users"), "users=0 consented=0");
	wrote(p, u, "0202d204");
	heard("1d 2900 20 02 05");
	peer_free(p);
}

/* ---- glucose ---- */

static void glucose_records(void **state)
{
	struct peer *const p = born("glucose_meter");
	const uint16_t h = handle_of(p, 0x2a18), c = handle_of(p, 0x2a52);

	(void)state;
	(void)tell(p, "measure 5");
	secure_link(p);
	refused(p, c, "0101", 0xfd);
	wrote(p, c + 1, "0200");
	refused(p, c, "0101", 0xfd);
	wrote(p, h + 1, "0100");
	assert_true(world_silent());
	wrote(p, c, "0401");
	heard("1d 1e00 05 00 0500");
	refused(p, c, "0401", 0xfe);
	confirm(p);
	wrote(p, c, "01 03 01 0400");
	assert_int_equal(value_under(0x1b, h)->data[4], 4);
	assert_int_equal(value_under(0x1b, h)->data[4], 5);
	heard("1d 1e00 06 00 01 01");
	confirm(p);
	/* and once more: nothing is let go of by sending */
	wrote(p, c, "0101");
	for (uint8_t i = 1; i <= 5; i++)
		assert_int_equal(value_under(0x1b, h)->data[4], i);
	heard("1d 1e00 06 00 01 01");
	confirm(p);
	wrote(p, c, "02 02 01 0200");
	heard("1d 1e00 06 00 02 01");
	confirm(p);
	assert_state(p, "stored=3 indicated=7 confirmed=0 deleted=2");
	wrote(p, c, "0105");
	assert_int_equal(value_under(0x1b, h)->data[4], 3);
	heard("1d 1e00 06 00 01 01");
	confirm(p);
	wrote(p, c, "0106");
	assert_int_equal(value_under(0x1b, h)->data[4], 5);
	heard("1d 1e00 06 00 01 01");
	confirm(p);
	wrote(p, c, "0201");
	heard("1d 1e00 06 00 02 01");
	confirm(p);
	wrote(p, c, "0101");
	heard("1d 1e00 06 00 01 06");
	peer_free(p);
}

static void glucose_refusals(void **state)
{
	static const struct {
		const char *request, *answer;
	} ROWS[] = {
		{ "0901", "1d 1e00 06 00 09 02" },
		{ "0100", "1d 1e00 06 00 01 03" },
		{ "0107", "1d 1e00 06 00 01 04" },
		{ "0103", "1d 1e00 06 00 01 05" },
		{ "0103010100ff", "1d 1e00 06 00 01 05" },
		{ "0103020100", "1d 1e00 06 00 01 09" },
		{ "010401 0500 0400", "1d 1e00 06 00 01 05" },
		{ "010101", "1d 1e00 06 00 01 05" },
		{ "0300", "1d 1e00 06 00 03 01" },
	};
	struct peer *const p = born("glucose_meter");
	const uint16_t h = handle_of(p, 0x2a18), c = handle_of(p, 0x2a52);

	(void)state;
	(void)tell(p, "measure 5");
	secure_link(p);
	wrote(p, c + 1, "0200");
	wrote(p, h + 1, "0100");
	refused(p, c, "01", 0x0d);
	for (size_t i = 0; i < N(ROWS); i++) {
		wrote(p, c, ROWS[i].request);
		heard(ROWS[i].answer);
		confirm(p);
	}
	assert_state(p, "stored=5 indicated=0");
	peer_free(p);
}

static void heart_rate_is_live(void **state)
{
	struct peer *const p = born("heart_rate");
	const uint16_t h = handle_of(p, 0x2a37);

	(void)state;
	world_link_up(p);
	wrote(p, h + 1, "0100");
	(void)tell(p, "measure 2");
	(void)value_under(0x1b, h);
	(void)value_under(0x1b, h);
	assert_state(p, "stored=0 indicated=2");
	wrote(p, handle_of(p, 0x2a19) + 1, "0100");
	(void)tell(p, "battery 7");
	assert_int_equal(value_under(0x1b, handle_of(p, 0x2a19))->data[3], 7);
	refused(p, handle_of(p, 0x2a39), "02", 0x80);
	wrote(p, handle_of(p, 0x2a39), "01");
	peer_free(p);
}

static void watch_is_live(void **state)
{
	struct peer *const p = born("infinitime");
	const uint16_t rate = handle_of(p, 0x2a37), clock = handle_of(p, 0x2a2b),
		       steps = (uint16_t)(clock + 3);
	const uint8_t read[3] = { 0x0a, (uint8_t)steps, 0 };

	(void)state;
	world_link_up(p);
	wrote(p, rate + 1, "0100");
	wrote(p, steps + 1, "0100");
	(void)tell(p, "measure 2");
	for (uint8_t i = 1; i <= 2; i++) {
		assert_int_equal(value_under(0x1b, steps)->data[3], 64 * i + 5);
		assert_int_equal(value_under(0x1b, rate)->data[4], 60 + i);
	}
	assert_true(world_silent());
	assert_state(p, "stored=0 indicated=4");
	say(p, read, 3);
	heard("0b 85000000");
	wrote(p, clock, "ea070b17081e0f0100");
	peer_free(p);
}

/* ---- Xiaomi ---- */

/* control byte, impedance and weight of the service data on air */
static void broadcast(const struct peer *p, const char *control, const char *rest)
{
	uint8_t expected[5];

	assert_int_equal(p->advert_len, 24);
	assert_memory_equal(p->advert + 7, "\x10\x16\x1b\x18\x02", 5);
	(void)world_bytes(control, expected, 1);
	assert_int_equal(p->advert[12], expected[0]);
	assert_int_equal(world_bytes(rest, expected, sizeof(expected)), 4);
	assert_memory_equal(p->advert + 20, expected, 4);
}

/* the next notification of the ring, read by our own decoder */
static struct colmi_steps heard_steps(uint16_t handle)
{
	const struct world_sdu *const sdu = value_under(0x1b, handle);
	struct colmi_steps steps = { 0 };

	assert_int_equal(colmi_steps_decode(sdu->data + 3, sdu->len - 3, &steps), 0);
	return steps;
}

static void colmi_rates(struct peer *p, uint16_t command, uint16_t answer)
{
	struct colmi_heart_rates rates;
	const struct world_sdu *sdu;
	unsigned int n = 0;

	/* midnight of 2026-05-12 */
	wrote(p, command, "15 806d026a 00000000000000000000 6e");
	for (unsigned int i = 0; i < 24; i++) {
		sdu = value_under(0x1b, answer);
		assert_int_equal(colmi_heart_rates_decode(sdu->data + 3, sdu->len - 3, &rates), 0);
		assert_true(i == 0 || rates.index == i);
		for (unsigned int k = 0; k < rates.n_rates; k++)
			n += rates.rates[k] != 0;
	}
	assert_int_equal(n, 3);
	wrote(p, command, "15 00bf036a 00000000000000000000 41");
	sdu = value_under(0x1b, answer);
	assert_int_equal(colmi_heart_rates_decode(sdu->data + 3, sdu->len - 3, &rates), 0);
	assert_int_equal(rates.part, COLMI_NOTHING);
}

static void colmi_night(struct peer *p, uint16_t command, uint16_t answer)
{
	struct colmi_night nights[COLMI_NIGHTS_MAX];
	uint8_t message[64];
	size_t len = 0, n;

	wrote(p, command, "bc270100ff00ff");
	for (unsigned int i = 0; i < 2; i++) {
		const struct world_sdu *const sdu = value_under(0x1b, answer);

		memcpy(message + len, sdu->data + 3, sdu->len - 3);
		len += sdu->len - 3;
	}
	assert_int_equal(colmi_sleep_decode(message, len, nights, &n), 0);
	assert_true(n == 1 && nights[0].adds_up && nights[0].days_ago == 1);
}

static void colmi_dialogue(void **state)
{
	struct peer *const p = born("colmi_ring");
	const uint16_t command = server_handle(&p->state->server, 1);
	const uint16_t answer = server_handle(&p->state->server, 2);
	const uint16_t big = server_handle(&p->state->server, 4);
	struct colmi_steps x;

	(void)state;
	world_link_up(p);
	wrote(p, answer + 1, "0100");
	wrote(p, big + 1, "0100");
	/* 2026-05-12 04:30 */
	wrote(p, command, "01 260512043000 01 00000000000000 73");
	assert_int_equal(value_under(0x1b, answer)->data[3], 0x01);
	(void)tell(p, "measure 3");
	assert_true(world_silent());
	wrote(p, command, "43 00 0f 00 5f 01 000000000000000000 b2");
	x = heard_steps(answer);
	assert_true(x.part == COLMI_HEADER && x.frames == 3);
	for (unsigned int i = 0; i < 3; i++) {
		x = heard_steps(answer);
		assert_true(x.index == i && x.frames == 3 && x.quarter == 4 * i);
	}
	wrote(p, command, "43 01 0f 00 5f 01 000000000000000000 b3");
	assert_int_equal(heard_steps(answer).part, COLMI_NOTHING);
	colmi_rates(p, command, answer);
	colmi_night(p, server_handle(&p->state->server, 3), big);
	/* a wrong sum is no command; an unknown one is refused */
	wrote(p, command, "03 0000000000000000000000000000 04");
	assert_true(world_silent());
	wrote(p, command, "22 0000000000000000000000000000 22");
	assert_int_equal(value_under(0x1b, answer)->data[3], 0xa2);
	assert_state(p, "stored=3");
	peer_free(p);
}

static void xiaomi_weighing(void **state)
{
	struct peer *const p = born("xiaomi_scale");

	(void)state;
	(void)tell(p, "measure");
	broadcast(p, "00", "feff aa13");
	assert_true(world_wait(p, SECOND));
	broadcast(p, "20", "feff 5527");
	/* a link in between stops nothing */
	world_link_up(p);
	world_link_down(p);
	assert_true(world_wait(p, SECOND));
	broadcast(p, "22", "9101 5527");
	assert_true(world_wait(p, SECOND));
	broadcast(p, "a2", "9101 5527");
	assert_false(world_wait(p, 100 * SECOND));
	(void)tell(p, "measure-failed");
	for (unsigned int i = 0; i < 3; i++)
		assert_true(world_wait(p, SECOND));
	broadcast(p, "a0", "feff 9527");
	peer_free(p);
}

static void xiaomi_history(void **state)
{
	struct peer *const p = born("xiaomi_scale");
	const uint16_t clock = handle_of(p, 0x2a2b), h = (uint16_t)(clock + 2);

	(void)state;
	(void)tell(p, "measure 2");
	world_link_up(p);
	wrote(p, h + 1, "0100");
	wrote(p, h, "02");
	assert_true(world_silent());
	for (unsigned int i = 0; i < 2; i++) {
		wrote(p, h, "01 11223344");
		assert_memory_equal(value_under(0x1b, h)->data + 3, "\x01\x02", 2);
		wrote(p, h, "02");
		assert_int_equal(value_under(0x1b, h)->len, 16);
		assert_int_equal(value_under(0x1b, h)->len, 16);
		assert_int_equal(value_under(0x1b, h)->data[3], 3);
		/* not acknowledged, or by another: all again */
		wrote(p, h, "04 11223345");
		assert_true(world_silent());
	}
	wrote(p, h, "03");
	wrote(p, h, "04 11223344");
	(void)tell(p, "measure");
	wrote(p, h, "01 11223344");
	assert_memory_equal(value_under(0x1b, h)->data + 3, "\x01\x01", 2);
	wrote(p, h, "01 99999999");
	assert_memory_equal(value_under(0x1b, h)->data + 3, "\x01\x03", 2);
	wrote(p, handle_of(p, 0x1542), "06120000");
	assert_state(p, "stored=0");
	peer_free(p);
}

/* ---- commands and hostile input ---- */

/* ---- Fitbit ---- */

/* a Write Command, which is all that it takes */
static void command(struct peer *p, const char *hex)
{
	const uint16_t handle = server_handle(&p->state->server, 2);
	uint8_t pdu[64] = { 0x52, (uint8_t)handle, (uint8_t)(handle >> 8) };

	say(p, pdu, 3 + world_bytes(hex, pdu + 3, sizeof(pdu) - 3));
}

static void message(struct peer *p, const char *hex)
{
	uint8_t expected[FITBIT_PACKET_MAX];
	const size_t len = world_bytes(hex, expected, sizeof(expected));
	const struct world_sdu *const sdu = value_under(0x1b, server_handle(&p->state->server, 1));

	assert_int_equal(sdu->len, 3 + len);
	assert_memory_equal(sdu->data + 3, expected, len);
}

static void hear_dump(struct peer *p)
{
	uint8_t memory[4096];
	struct writer w = writer_of(memory, sizeof(memory));
	struct fitbit_transfer t = fitbit_transfer_of(&w, FITBIT_MEGADUMP);
	struct fitbit_dump dump;

	while (!t.complete) {
		const struct world_sdu *sdu;

		while (world_silent())
			assert_true(world_wait(p, SECOND));
		sdu = value_under(0x1b, server_handle(&p->state->server, 1));
		assert_int_equal(fitbit_transfer_packet(&t, sdu->data + 3, sdu->len - 3), 0);
	}
	assert_int_equal(fitbit_dump_recognise(w.data, w.len, &dump), 0);
	assert_int_equal(dump.verdict, FITBIT_READABLE);
	assert_int_equal(fitbit_dump_read(&dump, NULL, NULL, NULL), 0);
}

static void fitbit_dialogue(void **state)
{
	struct peer *const p = born("fitbit");

	(void)state;
	world_link_up(p);
	refused(p, server_handle(&p->state->server, 2), "c001", 0x03);
	wrote(p, server_handle(&p->state->server, 1) + 1, "0100");
	command(p, "c0100d"); /* no airlink */
	message(p, "c003 0a10");
	command(p, "c00a0a00080010000000c80001");
	message(p, "c0");
	message(p, "c014 0c010000 0500105e00c0 1700");
	command(p, "c0100d");
	hear_dump(p);
	command(p, "c024040000000000000000");
	assert_non_null(strstr(world.log, "unexpected c02404"));
	(void)tell(p, "cut 1");
	command(p, "c001");
	message(p, "c001");
	assert_true(world_wait(p, SECOND));
	assert_int_equal(world.dropped, 0x08);
	peer_free(p);
}

/* ---- heart-rate sharing ---- */

static void asks(const uint8_t *expected, uint16_t cid, size_t len)
{
	const struct world_sdu *const sdu = world_next();

	assert_int_equal(sdu->cid, cid);
	assert_int_equal(sdu->len, len);
	assert_memory_equal(sdu->data, expected, len);
}

static void sharing_dialogue(void **state)
{
	struct peer *const p = born("hr_sharing");
	const uint8_t name[] = { 0x09, 4, 3, 0, 'H', 'i' }, no[] = { 0x05, 0x05 };

	(void)state;
	(void)tell(p, "measure");
	world_link_up(p);
	asks((const uint8_t[]){ 0x0b, 0x09 }, PEER_CID_SMP, 2);
	asks((const uint8_t[]){ 0x08, 1, 0, 0xff, 0xff, 0, 0x2a }, PEER_CID_ATT, 7);
	wrote(p, handle_of(p, 0x2a37) + 1, "0100");
	say(p, name, sizeof(name));
	assert_true(world_silent()); /* not before both were answered */
	peer_receive(p, PEER_CID_SMP, no, sizeof(no));
	(void)value_under(0x1b, handle_of(p, 0x2a37));
	world_link_down(p);
	/* only one of them */
	world_link_up(p);
	peer_receive(p, PEER_CID_SMP, no, sizeof(no));
	assert_true(world_wait(p, 30 * SECOND));
	assert_int_equal(world.dropped, 0x13);
	peer_free(p);
}

static void commands_not_understood(void **state)
{
	static const char *const LINES[] = {
		"",
		"measure 0",
		"measure x",
		"measure 257",
		"measure 1 0",
		"clock",
		"clock 1x",
		"early",
		"early maybe",
		"pair",
		"pair hard",
		"pair passkey",
		"pair passkey 1000000",
		"pair passkey -1",
		"fault",
		"fault what",
		"fault malformed -1",
		"fault att-error",
		"fault att-error 256",
		"refuse 256",
		"wrong-key",
		"ask-security 1",
		"move 70000",
		"mtu 22",
		"mtu 518",
		"battery 256",
		"drop-after",
		"dance",
		"a b c d e f g",
		"measure 99999999999999999999",
		"user 0 1",
		"user 9 1",
		"user 1 10000",
	};
	char longest[400], answer[8];

	(void)state;
	for (size_t m = 0; peer_models[m]; m++) {
		struct peer *const p = born(peer_models[m]);

		for (size_t i = 0; i < N(LINES); i++) {
			if (peer_command(p, LINES[i], answer, sizeof(answer)) >= 0)
				fail_msg("%s is understood", LINES[i]);
			assert_true(strlen(answer) > 0);
		}
		memset(longest, 'a', sizeof(longest) - 1);
		longest[sizeof(longest) - 1] = '\0';
		assert_int_equal(peer_command(p, longest, answer, sizeof(answer)), -E2BIG);
		assert_int_equal(p->state->n_stock, 0);
		peer_free(p);
	}
}

static void full_stock(void **state)
{
	struct peer *const p = born("weight_scale");
	char answer[64];

	(void)state;
	(void)tell(p, "measure 256");
	assert_int_equal(peer_command(p, "measure", answer, sizeof(answer)), -ENOSPC);
	assert_int_equal(peer_command(p, "measure-failed", answer, sizeof(answer)), -ENOSPC);
	assert_state(p, "stored=256");
	peer_free(p);
}

static uint32_t roll(uint32_t *seed)
{
	*seed = *seed * 1664525U + 1013904223U;
	return *seed >> 8;
}

/* random PDUs, links and commands: no crash, and no table runs over */
static void storm(void **state)
{
	static const char *const COMMANDS[] = {
		"measure 3",        "measure-failed",
		"fault duplicate",  "fault second-indication",
		"fault truncate 2", "fault malformed 3",
		"fault none",       "drop-after 2",
		"early on",         "early off",
		"move 8",           "forget",
		"pair none",        "pair just-works",
		"fault in-clear",   "battery 3",
		"ask-security on",  "fault no-confirm-wait",
		"mtu 60",           "clock unset",
	};
	uint32_t seed = 12345;
	uint8_t pdu[48];

	(void)state;
	for (size_t m = 0; peer_models[m]; m++) {
		struct peer *const p = born(peer_models[m]);
		char answer[256];

		for (unsigned int i = 0; i < 20000; i++) {
			const uint32_t what = roll(&seed) % 100;
			const size_t len = roll(&seed) % sizeof(pdu);

			world_quiet();
			for (size_t k = 0; k < len; k++)
				pdu[k] = (uint8_t)(roll(&seed) % (k == 1 ? 64 : 256));
			if (len > 2 && what % 2)
				pdu[2] = 0;
			if (what < 3 && !p->connected)
				world_link_up(p);
			else if (what < 4)
				world_link_down(p);
			else if (what < 6 && p->connected)
				encrypt(p);
			else if (what < 8)
				(void)peer_command(p, COMMANDS[roll(&seed) % N(COMMANDS)], answer,
						   sizeof(answer));
			else if (what < 10)
				(void)world_wait(p, SECOND);
			else if (what < 40)
				confirm(p);
			else if (what < 60 && len > 4)
				say(p, (const uint8_t[]){ 0x12, pdu[1], 0, (uint8_t)(what % 4), 0 },
				    5);
			else
				peer_receive(p, what < 90 ? PEER_CID_ATT : PEER_CID_SMP, pdu, len);
			assert_true(p->state->n_stock <= STOCK_MAX);
			assert_true(p->state->n_out <= STOCK_OUT_MAX);
		}
		peer_free(p);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(frames_as_drawn),
		cmocka_unit_test(frames_are_distinct),
		cmocka_unit_test(adverts),
		cmocka_unit_test(let_go_when_confirmed),
		cmocka_unit_test(only_over_a_secured_link),
		cmocka_unit_test(early),
		cmocka_unit_test(no_confirmation_ends_the_link),
		cmocka_unit_test(frame_faults),
		cmocka_unit_test(answer_faults),
		cmocka_unit_test(moved_services),
		cmocka_unit_test(a_and_d_dump),
		cmocka_unit_test(a_and_d_not_armed),
		cmocka_unit_test(body_scale_consent),
		cmocka_unit_test(body_scale_profile),
		cmocka_unit_test(glucose_records),
		cmocka_unit_test(glucose_refusals),
		cmocka_unit_test(heart_rate_is_live),
		cmocka_unit_test(watch_is_live),
		cmocka_unit_test(xiaomi_weighing),
		cmocka_unit_test(xiaomi_history),
		cmocka_unit_test(colmi_dialogue),
		cmocka_unit_test(fitbit_dialogue),
		cmocka_unit_test(sharing_dialogue),
		cmocka_unit_test(commands_not_understood),
		cmocka_unit_test(full_stock),
		cmocka_unit_test(storm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
