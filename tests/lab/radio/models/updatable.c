/*
 * Devices whose firmware is updated over the air (../../../dfu has their boot loaders):
 *
 *   secure_dfu  Nordic Secure DFU: its application has the buttonless characteristic, its boot
 *               loader another table of services and the address plus one
 *   smp         MCUmgr with two slots of MCUboot
 *   legacy_dfu  Nordic's first DFU; its boot loader has the address plus one, too
 *
 * `pair` has its usual meaning: they then take updates over an encrypted link only. Nordic: init
 * packets must be signed (Secure); the signature itself is not checked. They hold 4096 bytes of an
 * old firmware, all 0x11, of version 5. What they are to get is told first:
 *
 *   N firmware PATH     a file with exactly the bytes of the new firmware
 *   N buffer BYTES      smp: what it says that it has for one request
 *   N cut PACKET        the link ends right behind this packet of the next update; 0: never
 *   N runs              answers old, new, waits or mixture: what it would start now
 *
 * Source: the public documents of the nRF5 SDK and of Zephyr. Not tried on hardware.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/dfu/sim.h"
#include "tests/lab/radio/models/models.h"

#define OLD_LEN     4096
#define BANK        ((size_t)512 * 1024)
#define HASH        32
#define LEAVES_US   INT64_C(200000) /* between what it said last and its restart */
#define REASON_USER 0x13
#define REASON_LOST 0x08
#define OP_WRITE    0x52 /* ATT: write command */
#define HEAD        3    /* opcode and handle */

enum {
	POINT = 1,
	PACKET,
	BUTTONLESS,
	SMP_VALUE,
	VERSION,
};

struct updatable {
	struct sim sim;
	struct server application; /* while its boot loader runs */
	bool loads;
	uint8_t advert[PEER_ADVERT_MAX];
	size_t advert_len;
	uint8_t old_image[OLD_LEN], new_image[BANK];
	size_t new_len;
	size_t smp_buffer;
	uint64_t packets, cut_at;
};

static const uint8_t UUID_BUTTONLESS[16] = { 0x50, 0xea, 0xda, 0x30, 0x88, 0x83, 0xb8, 0x9f,
					     0x60, 0x4f, 0x15, 0xf3, 0x03, 0x00, 0xc9, 0x8e };
static const uint8_t UUID_POINT[16] = { 0x50, 0xea, 0xda, 0x30, 0x88, 0x83, 0xb8, 0x9f,
					0x60, 0x4f, 0x15, 0xf3, 0x01, 0x00, 0xc9, 0x8e };
static const uint8_t UUID_PACKET[16] = { 0x50, 0xea, 0xda, 0x30, 0x88, 0x83, 0xb8, 0x9f,
					 0x60, 0x4f, 0x15, 0xf3, 0x02, 0x00, 0xc9, 0x8e };
static const uint8_t UUID_LEGACY[16] = { 0x23, 0xd1, 0xbc, 0xea, 0x5f, 0x78, 0x23, 0x15,
					 0xde, 0xef, 0x12, 0x12, 0x30, 0x15, 0x00, 0x00 };
static const uint8_t UUID_LEGACY_POINT[16] = { 0x23, 0xd1, 0xbc, 0xea, 0x5f, 0x78, 0x23, 0x15,
					       0xde, 0xef, 0x12, 0x12, 0x31, 0x15, 0x00, 0x00 };
static const uint8_t UUID_LEGACY_PACKET[16] = { 0x23, 0xd1, 0xbc, 0xea, 0x5f, 0x78, 0x23, 0x15,
						0xde, 0xef, 0x12, 0x12, 0x32, 0x15, 0x00, 0x00 };
static const uint8_t UUID_LEGACY_VERSION[16] = { 0x23, 0xd1, 0xbc, 0xea, 0x5f, 0x78, 0x23, 0x15,
						 0xde, 0xef, 0x12, 0x12, 0x34, 0x15, 0x00, 0x00 };
static const uint8_t UUID_SMP[16] = { 0x84, 0xaa, 0x60, 0x74, 0x52, 0x8a, 0x8b, 0x86,
				      0xd3, 0x4c, 0xb7, 0x1d, 0x1d, 0xdc, 0x53, 0x8d };
static const uint8_t UUID_SMP_VALUE[16] = { 0x48, 0x7c, 0x99, 0x74, 0x11, 0x26, 0x9e, 0xae,
					    0x01, 0x4e, 0xce, 0xfb, 0x28, 0x78, 0x2e, 0xda };

/* ---- the device behind the radio ---- */

static enum sim_kind kind_of(const struct peer_state *s)
{
	if (s->model == &model_smp)
		return SIM_SMP;
	return s->model == &model_legacy_dfu ? SIM_NORDIC_LEGACY : SIM_NORDIC_SECURE;
}

static void make(struct peer_state *s)
{
	struct updatable *const u = s->own;
	const struct sim_options o = {
		.kind = kind_of(s),
		.bank = BANK,
		.page = 4096,
		.mtu = SERVER_MTU_MIN,
		.version = 5,
		.smp_buffer = u->smp_buffer,
		.knows_version = true,
		.real_init = true,
	};

	if (u->sim.old_image)
		sim_done(&u->sim);
	sim_init(&u->sim, &o, u->old_image, sizeof(u->old_image), u->new_image, u->new_len);
	/* an MCUboot image without a signature ends with its hash */
	u->sim.new_hash = u->new_image + (u->new_len < HASH ? 0 : u->new_len - HASH);
}

static void on_born(struct peer_state *s)
{
	struct updatable *const u = s->own;

	memset(u->old_image, 0x11, sizeof(u->old_image));
	u->new_len = OLD_LEN;
	u->smp_buffer = 976; /* four packets of MTU 247 */
	memcpy(u->advert, s->peer->advert, sizeof(u->advert));
	u->advert_len = s->peer->advert_len;
	make(s);
}

static void on_gone(struct peer_state *s)
{
	struct updatable *const u = s->own;

	sim_done(&u->sim);
}

/* ---- what its boot loader shows instead of the application's services ---- */

static const struct server_row SECURE_LOADER[] = {
	{ .kind = SERVER_SERVICE, .uuid = 0x1800 },
	{ .kind = SERVER_CHARACTERISTIC,
	  .uuid = 0x2a00,
	  .properties = GATT_READ,
	  .value = "DfuTarg",
	  .len = 7 },
	{ .kind = SERVER_SERVICE, .uuid = 0xfe59 },
	{ .kind = SERVER_CHARACTERISTIC,
	  .uuid128 = UUID_PACKET,
	  .properties = GATT_WRITE_COMMAND,
	  .id = PACKET },
	{ .kind = SERVER_CHARACTERISTIC,
	  .uuid128 = UUID_POINT,
	  .properties = GATT_WRITE | GATT_NOTIFY,
	  .id = POINT },
};

static const struct server_row LEGACY_ROWS[] = {
	{ .kind = SERVER_SERVICE, .uuid128 = UUID_LEGACY },
	{ .kind = SERVER_CHARACTERISTIC,
	  .uuid128 = UUID_LEGACY_PACKET,
	  .properties = GATT_WRITE_COMMAND,
	  .id = PACKET },
	{ .kind = SERVER_CHARACTERISTIC,
	  .uuid128 = UUID_LEGACY_POINT,
	  .properties = GATT_WRITE | GATT_NOTIFY,
	  .id = POINT },
	{ .kind = SERVER_CHARACTERISTIC,
	  .uuid128 = UUID_LEGACY_VERSION,
	  .properties = GATT_READ,
	  .id = VERSION },
};

static void show_loader(struct peer_state *s)
{
	const struct updatable *const u = s->own;
	const struct server_host host = u->application.host;

	if (kind_of(s) == SIM_NORDIC_SECURE)
		(void)server_init(&s->server, &host, SECURE_LOADER,
				  sizeof(SECURE_LOADER) / sizeof(SECURE_LOADER[0]));
	else
		(void)server_init(&s->server, &host, LEGACY_ROWS,
				  sizeof(LEGACY_ROWS) / sizeof(LEGACY_ROWS[0]));
	s->server.own_mtu = u->application.own_mtu;
}

/* The first DFU's service has no short form. */
static void advertise(struct peer_state *s, bool waits)
{
	const struct updatable *const u = s->own;
	struct writer w = writer_of(s->peer->advert, sizeof(s->peer->advert));

	if (!waits || kind_of(s) != SIM_NORDIC_LEGACY) {
		memcpy(s->peer->advert, u->advert, sizeof(u->advert));
		s->peer->advert_len = u->advert_len;
		return;
	}
	writer_bytes(&w, "\x02\x01\x06\x11\x07", 5);
	writer_bytes(&w, UUID_LEGACY, sizeof(UUID_LEGACY));
	s->peer->advert_len = w.len;
}

/* between two links */
static void show(struct peer_state *s)
{
	struct updatable *const u = s->own;
	const bool waits = u->sim.mode == DFU_MODE_UPDATE;

	if (kind_of(s) == SIM_SMP)
		return;
	if (waits && !u->loads)
		u->application = s->server;
	if (waits)
		show_loader(s);
	else if (u->loads)
		s->server = u->application;
	u->loads = waits;
	advertise(s, waits);
	s->peer->address[5] = (uint8_t)(s->peer->identity[5] + waits);
	air_log(s->peer, "starts its %s", waits ? "boot loader" : "program");
	air_changed(s->peer);
}

/* ---- on a link ---- */

static void on_connected(struct peer_state *s)
{
	struct updatable *const u = s->own;
	struct dfu_link link;

	u->sim.now = air_now();
	sim_link(&u->sim, &link, NULL);
}

static void on_disconnected(struct peer_state *s)
{
	struct updatable *const u = s->own;

	sim_unlink(&u->sim, false);
	show(s);
}

static void on_timeout(struct peer_state *s)
{
	air_drop(s->peer, REASON_USER);
}

static uint8_t id_of(enum dfu_channel channel)
{
	return channel == DFU_SMP_CHANNEL ? SMP_VALUE : POINT;
}

static void answer(struct peer_state *s)
{
	struct updatable *const u = s->own;
	struct sim_message m;
	int64_t next;

	while (sim_answer(&u->sim, &m, &next)) {
		if (m.kind != DFU_CAME)
			continue; /* the server has answered the write */
		if (m.channel == DFU_BUTTONLESS)
			(void)stock_answer(s, BUTTONLESS, m.data, m.len);
		else
			stock_notify(s, id_of(m.channel), m.data, m.len);
	}
	if (u->sim.dropped)
		peer_timer(s, TIMER_MODEL, LEAVES_US);
}

static void take(struct peer_state *s, enum dfu_channel channel, const uint8_t *data, size_t len)
{
	struct updatable *const u = s->own;
	const struct dfu_request r = {
		.act = DFU_SEND, .channel = channel, .data = data, .len = len
	};

	u->sim.now = air_now();
	u->sim.o.mtu = s->server.mtu;
	sim_take(&u->sim, &r);
	answer(s);
}

/* Packets are longer than the values that the server keeps, and nobody reads them. */
static bool on_pdu(struct peer_state *s, const uint8_t *pdu, size_t len)
{
	struct updatable *const u = s->own;
	uint16_t handle;

	if (len <= HEAD || len > s->server.mtu || pdu[0] != OP_WRITE)
		return false;
	handle = (uint16_t)(pdu[1] | pdu[2] << 8);
	if (!peer_secured(s))
		return true; /* a command in clear is dropped without a word */
	if (handle == server_handle(&s->server, PACKET))
		take(s, DFU_PACKET, pdu + HEAD, len - HEAD);
	else if (handle == server_handle(&s->server, SMP_VALUE))
		take(s, DFU_SMP_CHANNEL, pdu + HEAD, len - HEAD);
	else
		return false;
	if (++u->packets == u->cut_at) {
		air_log(s->peer, "cut behind packet %llu", (unsigned long long)u->packets);
		air_drop(s->peer, REASON_LOST);
	}
	return true;
}

static void on_wrote(struct peer_state *s, uint8_t id, const uint8_t *data, size_t len)
{
	if (id == POINT)
		take(s, DFU_POINT, data, len);
	else if (id == BUTTONLESS)
		take(s, DFU_BUTTONLESS, data, len);
}

static uint8_t on_read(struct peer_state *s, uint8_t id, struct writer *w)
{
	const struct updatable *const u = s->own;

	if (id == VERSION)
		writer_le16(w, u->sim.mode == DFU_MODE_UPDATE ? 0x0008 : 0x0001);
	return ATT_OK;
}

/* ---- commands ---- */

static int load(struct peer_state *s, const char *path)
{
	struct updatable *const u = s->own;
	FILE *file = fopen(path, "rb");
	size_t len;

	if (!file)
		return -errno;
	len = fread(u->new_image, 1, sizeof(u->new_image), file);
	(void)fclose(file);
	if (len < HASH || len == sizeof(u->new_image))
		return -EINVAL;
	u->new_len = len;
	make(s);
	if (u->loads && !s->peer->connected)
		show(s); /* it has its old firmware again */
	return 0;
}

static int on_command(struct peer_state *s, unsigned int n, char *const words[], char *ret,
		      size_t size)
{
	static const char *const runs[] = { "", "old", "new", "waits", "mixture" };
	struct updatable *const u = s->own;

	if (strcmp(words[0], "runs") == 0 && n == 1) {
		(void)snprintf(ret, size, "%s", runs[sim_runs(&u->sim)]);
	} else if (strcmp(words[0], "firmware") == 0 && n == 2) {
		return load(s, words[1]);
	} else if (strcmp(words[0], "buffer") == 0 && n == 2) {
		u->smp_buffer = strtoul(words[1], NULL, 10);
		make(s);
	} else if (strcmp(words[0], "cut") == 0 && n == 2) {
		u->packets = 0;
		u->cut_at = strtoul(words[1], NULL, 10);
	} else {
		return -ENOENT;
	}
	return 0;
}

static const struct server_row SECURE_ROWS[] = {
	{ .kind = SERVER_SERVICE, .uuid = 0xfe59 },
	{ .kind = SERVER_CHARACTERISTIC,
	  .uuid128 = UUID_BUTTONLESS,
	  .properties = GATT_WRITE | GATT_INDICATE,
	  .secure = true,
	  .id = BUTTONLESS },
};

static const struct server_row SMP_ROWS[] = {
	{ .kind = SERVER_SERVICE, .uuid128 = UUID_SMP },
	{ .kind = SERVER_CHARACTERISTIC,
	  .uuid128 = UUID_SMP_VALUE,
	  .properties = GATT_WRITE_COMMAND | GATT_NOTIFY,
	  .secure = true,
	  .id = SMP_VALUE },
};

#define UPDATABLE(NAME, LABEL, ROWS)                                                        \
	.name = (NAME), .label = (LABEL), .maker = "Simulated", .type = (LABEL),            \
	.appearance = 0x0000, MODEL_ROWS(ROWS), .pairing = SMP_NONE, .battery = true,       \
	.own_size = sizeof(struct updatable), .mtu = 247, .born = on_born, .gone = on_gone, \
	.connected = on_connected, .disconnected = on_disconnected, .timeout = on_timeout,  \
	.answer = on_pdu, .wrote = on_wrote, .read = on_read, .command = on_command

const struct model model_secure_dfu = {
	UPDATABLE("secure_dfu", "Secure DFU", SECURE_ROWS),
	.services = { 0xfe59 },
};

const struct model model_legacy_dfu = {
	UPDATABLE("legacy_dfu", "Legacy DFU", LEGACY_ROWS),
	.services = { 0x180a },
};

const struct model model_smp = {
	UPDATABLE("smp", "SMP", SMP_ROWS),
	.services = { 0x180a },
};
