/*
 * A stand-in for the air (tests/lab/radio/air.c), for tests of the simulated peripherals: the clock
 * is a variable, what is sent lands in a list, the log in a text. Include it once in a test.
 */
#pragma once

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "tests/lab/radio/peer.h"

#define WORLD_SENT_MAX 64
#define WORLD_LOG_MAX  65536
#define WORLD_HEX_MAX  (2 * PEER_SDU_MAX + 1)

struct world_sdu {
	uint16_t cid;
	size_t len;
	uint8_t data[PEER_SDU_MAX];
};

static struct {
	int64_t now, wake_at;
	struct world_sdu sent[WORLD_SENT_MAX];
	size_t n_sent, taken;
	char log[WORLD_LOG_MAX];
	size_t log_len;
	int dropped; /* the reason of the last drop, -1: none */
} world;

static inline void world_reset(void)
{
	memset(&world, 0, sizeof(world));
	world.now = 1000000;
	world.wake_at = INT64_MAX;
	world.dropped = -1;
}

int64_t air_now(void)
{
	return world.now;
}

void air_wake(struct peer *p, int64_t at)
{
	(void)p;
	world.wake_at = at;
}

void air_send(struct peer *p, uint16_t cid, const uint8_t *data, size_t len)
{
	struct world_sdu *const sdu = &world.sent[world.n_sent];

	if (!p->connected || world.n_sent == WORLD_SENT_MAX || len > sizeof(sdu->data))
		return;
	sdu->cid = cid;
	sdu->len = len;
	if (len)
		memcpy(sdu->data, data, len);
	world.n_sent++;
}

void air_drop(struct peer *p, uint8_t reason)
{
	world.dropped = reason;
	if (!p->connected)
		return;
	p->connected = p->encrypted = false;
	peer_disconnected(p, reason);
}

void air_changed(struct peer *p)
{
	(void)p;
}

void air_log(const struct peer *p, const char *format, ...)
{
	const size_t left = sizeof(world.log) - world.log_len;
	va_list args;
	int n;

	(void)p;
	va_start(args, format);
	n = vsnprintf(world.log + world.log_len, left, format, args);
	va_end(args);
	if (n < 0 || (size_t)n + 2 > left) {
		/* a long test: start anew */
		world.log_len = 0;
		return;
	}
	world.log_len += (size_t)n;
	world.log[world.log_len++] = '\n';
	world.log[world.log_len] = '\0';
}

static inline bool world_silent(void)
{
	return world.taken == world.n_sent;
}

/* the next SDU that was sent and not yet looked at; an empty one on channel 0 if there is none */
static inline const struct world_sdu *world_next(void)
{
	static const struct world_sdu NOTHING;

	return world_silent() ? &NOTHING : &world.sent[world.taken++];
}

/* forgets what was sent */
static inline void world_quiet(void)
{
	world.n_sent = world.taken = 0;
}

static inline void world_link_up(struct peer *p)
{
	static const uint8_t HOST[6] = { 0x02, 0x00, 0x5e, 0x20, 0x00, 0x01 };

	world_quiet();
	memcpy(p->host, HOST, sizeof(HOST));
	p->host_random = false;
	p->connected = true;
	p->encrypted = false;
	peer_connected(p);
}

static inline void world_link_down(struct peer *p)
{
	if (!p->connected)
		return;
	p->connected = p->encrypted = false;
	peer_disconnected(p, 0x13);
}

/* lets the time go to when the peripheral wants to be woken, if that is within so long */
static inline bool world_wait(struct peer *p, int64_t usec)
{
	const int64_t end = world.now + usec;

	if (world.wake_at > end) {
		world.now = end;
		return false;
	}
	if (world.wake_at > world.now)
		world.now = world.wake_at;
	world.wake_at = INT64_MAX;
	peer_wake(p);
	return true;
}

static inline int world_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* bytes of a text in hex, spaces between them; 0 if it is none or too long */
static inline size_t world_bytes(const char *hex, uint8_t *ret, size_t size)
{
	size_t n = 0;

	while (*hex) {
		if (*hex == ' ') {
			hex++;
			continue;
		}
		if (n == size || world_digit(hex[0]) < 0 || world_digit(hex[1]) < 0)
			return 0;
		ret[n++] = (uint8_t)(world_digit(hex[0]) << 4 | world_digit(hex[1]));
		hex += 2;
	}
	return n;
}

static inline const char *world_hex(const uint8_t *data, size_t len)
{
	static char text[WORLD_HEX_MAX];

	for (size_t i = 0; i < len && i < PEER_SDU_MAX; i++)
		(void)snprintf(text + 2 * i, 3, "%02x", data[i]);
	text[2 * len] = '\0';
	return text;
}
