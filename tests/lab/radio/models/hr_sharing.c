/*
 * A watch that shares its heart rate (as Fitbit Charge 6 and Pixel Watch do): Heart Rate Service,
 * and demands on who reads it.
 *
 *   link up              > Security Request; 08 0001 ffff 2a00: the central's Device Name
 *   both answered        shares: 00 | rate u8, live
 *   one of them not      stalls: nothing is shared; after 30 s it ends the link
 *
 * An answer to the Security Request is a link that gets encrypted, or Pairing Failed: then it
 * shares in clear. A name that cannot be read, or is empty, is shown to nobody: it does not share.
 *
 * The log: asks security | asks name | name HEX | name refused | shares level=N | stalled
 *
 * Source: Google's compatibility guidelines for heart-rate sharing; order and times of a watch are
 * not known. Nothing here was seen on hardware.
 */
#include <stdio.h>
#include <string.h>

#include "tests/lab/radio/models/models.h"

#define STALL_US INT64_C(30000000)

enum {
	MEASUREMENT = 1
};

struct watch {
	bool named, answered, shares;
};

static void frame(const struct peer_state *s, const struct reading *r, unsigned int part,
		  struct writer *w)
{
	(void)part;
	writer_u8(w, 0x00);
	writer_u8(w, (uint8_t)(40 + (r->number + s->peer->index) % 200));
}

static void look(struct peer_state *s)
{
	struct watch *const x = s->own;

	if (x->shares || !x->named || !x->answered)
		return;
	x->shares = true;
	peer_timer_off(s, TIMER_MODEL);
	air_log(s->peer, "shares level=%d", (int)s->server.level);
	stock_pump(s);
}

static bool ready(const struct peer_state *s, const struct reading *r)
{
	const struct watch *const x = s->own;

	(void)r;
	return x->shares;
}

static void on_connected(struct peer_state *s)
{
	static const uint8_t ask[] = { 0x08, 0x01, 0x00, 0xff, 0xff, 0x00, 0x2a };
	struct watch *const x = s->own;

	*x = (struct watch){ 0 };
	air_log(s->peer, "asks security");
	smp_request(&s->smp);
	air_log(s->peer, "asks name");
	air_send(s->peer, PEER_CID_ATT, ask, sizeof(ask));
	peer_timer(s, TIMER_MODEL, STALL_US);
}

/* 09 LENGTH HANDLE u16 NAME, or 01 08 0001 ERROR */
static bool on_answer(struct peer_state *s, const uint8_t *pdu, size_t len)
{
	struct watch *const x = s->own;
	char text[2 * PEER_NAME_MAX + 1] = "";

	if (len == 5 && pdu[0] == 0x01 && pdu[1] == 0x08) {
		air_log(s->peer, "name refused");
		return true;
	}
	if (len < 2 || pdu[0] != 0x09)
		return false;
	for (size_t i = 4; i < len && i < 4 + PEER_NAME_MAX; i++)
		(void)snprintf(text + 2 * (i - 4), 3, "%02x", pdu[i]);
	air_log(s->peer, "name %s", text);
	x->named = len > 4 && (size_t)pdu[1] + 2 == len;
	look(s);
	return true;
}

static void on_encrypted(struct peer_state *s)
{
	((struct watch *)s->own)->answered = true;
	look(s);
}

static void on_pairing_failed(struct peer_state *s)
{
	((struct watch *)s->own)->answered = true;
	s->server.required = SERVER_CLEAR;
	look(s);
}

static void on_timeout(struct peer_state *s)
{
	air_log(s->peer, "stalled");
	air_drop(s->peer, 0x13);
}

static const struct server_row ROWS[] = {
	{ .kind = SERVER_SERVICE, .uuid = 0x180d },
	{ .kind = SERVER_CHARACTERISTIC,
	  .uuid = 0x2a37,
	  .properties = GATT_NOTIFY,
	  .id = MEASUREMENT },
	{ .kind = SERVER_CHARACTERISTIC,
	  .uuid = 0x2a38,
	  .properties = GATT_READ,
	  .value = "\x02",
	  .len = 1 },
};

const struct model model_hr_sharing = {
	.name = "hr_sharing",
	.label = "Sim Watch",
	.maker = "Simulated",
	.type = "Watch",
	.appearance = 0x00c1,
	.services = { 0x180d },
	MODEL_ROWS(ROWS),
	.pairing = SMP_SECURE,
	.live = true,
	.own_size = sizeof(struct watch),
	.mtu = 185,
	.frame_ids = { MEASUREMENT },
	.frame = frame,
	.ready = ready,
	.connected = on_connected,
	.encrypted = on_encrypted,
	.answer = on_answer,
	.pairing_failed = on_pairing_failed,
	.timeout = on_timeout,
};
