/*
 * A weight scale at the other end of a bearer, for tests of what reads it: a few attributes and the
 * answers to a client's requests. What it does wrong is asked for by its fields. It speaks on its
 * socket from the loop of the test.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <systemd/sd-event.h>
#include <unistd.h>

/* 79.960 kg, 2026-05-12 18:53:54, user 1, 23.8 kg/m2, 1.830 m */
#define SCALE_READING     "\x0e\x78\x3e\xea\x07\x05\x0c\x12\x35\x36\x01\xee\x00\x26\x07"
#define SCALE_READING_LEN 15

struct scale_attribute {
	uint16_t handle, type;
	uint16_t end; /* of a service */
	uint8_t len;
	const char *value;
};

/* handles that tests name */
enum {
	SCALE_CHANGED = 0x0003,
	SCALE_HASH = 0x0006,
	SCALE_SERIAL = 0x0012,
	SCALE_WEIGHT = 0x0032,
	SCALE_WEIGHT_CCC = 0x0033,
	SCALE_BATTERY = 0x0042,
};

static const struct scale_attribute SCALE[] = {
	{ 0x0001, 0x2800, 0x0006, 2, "\x01\x18" },
	{ 0x0002, 0x2803, 0, 5, "\x20\x03\x00\x05\x2a" },
	{ SCALE_CHANGED, 0x2a05, 0, 0, "" },
	{ 0x0004, 0x2902, 0, 2, "\0\0" },
	{ 0x0005, 0x2803, 0, 5, "\x02\x06\x00\x2a\x2b" },
	{ SCALE_HASH, 0x2b2a, 0, 16, "0123456789abcdef" },
	{ 0x0010, 0x2800, 0x0012, 2, "\x0a\x18" },
	{ 0x0011, 0x2803, 0, 5, "\x02\x12\x00\x25\x2a" },
	{ SCALE_SERIAL, 0x2a25, 0, 6, "SN-042" },
	{ 0x0030, 0x2800, 0x0035, 2, "\x1d\x18" },
	{ 0x0031, 0x2803, 0, 5, "\x20\x32\x00\x9d\x2a" },
	{ SCALE_WEIGHT, 0x2a9d, 0, 0, "" },
	{ SCALE_WEIGHT_CCC, 0x2902, 0, 2, "\0\0" },
	{ 0x0034, 0x2803, 0, 5, "\x02\x35\x00\x9e\x2a" },
	{ 0x0035, 0x2a9e, 0, 4, "\x0f\0\0\0" },
	{ 0x0040, 0x2800, 0x0043, 2, "\x0f\x18" },
	{ 0x0041, 0x2803, 0, 5, "\x12\x42\x00\x19\x2a" },
	{ SCALE_BATTERY, 0x2a19, 0, 1, "\x50" },
	{ 0x0043, 0x2902, 0, 2, "\0\0" },
};
#define SCALE_ATTRIBUTES (sizeof(SCALE) / sizeof(SCALE[0]))

/* A glucose meter instead: records 1 to `readings`, reported, counted and deleted up to a number.
 * 100 mg/dL, 2026-05-12 18:00:00 */
static const uint8_t METER_RECORD[] = { 0xea, 0x07, 5, 12, 18, 0, 0, 0x64, 0xb0, 0x11 };

enum {
	METER_MEASUREMENT = 0x0022,
	METER_CONTROL = 0x0027,
};

static const struct scale_attribute METER[] = {
	{ 0x0001, 0x2800, 0x0006, 2, "\x01\x18" },
	{ 0x0005, 0x2803, 0, 5, "\x02\x06\x00\x2a\x2b" },
	{ SCALE_HASH, 0x2b2a, 0, 16, "0123456789abcdef" },
	{ 0x0020, 0x2800, 0x0028, 2, "\x08\x18" },
	{ 0x0021, 0x2803, 0, 5, "\x10\x22\x00\x18\x2a" },
	{ METER_MEASUREMENT, 0x2a18, 0, 0, "" },
	{ 0x0023, 0x2902, 0, 2, "\0\0" },
	{ 0x0024, 0x2803, 0, 5, "\x02\x25\x00\x51\x2a" },
	{ 0x0025, 0x2a51, 0, 2, "\0\0" },
	{ 0x0026, 0x2803, 0, 5, "\x28\x27\x00\x52\x2a" },
	{ METER_CONTROL, 0x2a52, 0, 0, "" },
	{ 0x0028, 0x2902, 0, 2, "\0\0" },
};
#define METER_ATTRIBUTES (sizeof(METER) / sizeof(METER[0]))

struct scale {
	int fd;
	sd_event_source *io;
	size_t requests, confirms, subscriptions;
	size_t readings; /* that it still holds: let go of when confirmed */
	bool outstanding;
	bool gone; /* the link was closed, by whom ever */
	/* what it does wrong; 0: never. Requests count from 1. */
	size_t silent_at, drop_at, malformed_at;
	bool indicates_at_once; /* when the link comes up, nobody asked */
	bool refuses_ccc;       /* once: insufficient authentication */
	bool new_hash;
	bool meter;
	size_t deletes; /* that it was asked for */
	char last_confirm_order[16];
};

static inline void scale_send(struct scale *s, const void *data, size_t len)
{
	(void)send(s->fd, data, len, MSG_NOSIGNAL);
}

static inline void scale_value(struct scale *s, uint8_t opcode, uint16_t handle, const void *data,
			       size_t len)
{
	uint8_t pdu[64] = { opcode, (uint8_t)handle, (uint8_t)(handle >> 8) };

	memcpy(pdu + 3, data, len);
	scale_send(s, pdu, 3 + len);
}

static inline void scale_indicate(struct scale *s)
{
	if (s->readings == 0 || s->outstanding)
		return;
	s->outstanding = true;
	scale_value(s, 0x1d, SCALE_WEIGHT, SCALE_READING, SCALE_READING_LEN);
}

static inline void scale_drop(struct scale *s)
{
	if (s->fd < 0)
		return;
	s->io = sd_event_source_disable_unref(s->io);
	(void)close(s->fd);
	s->fd = -1;
	s->gone = true;
	s->outstanding = false;
}

static inline void scale_error(struct scale *s, const uint8_t *request, uint8_t error)
{
	const uint8_t pdu[5] = { 0x01, request[0], request[1], request[2], error };

	scale_send(s, pdu, sizeof(pdu));
}

static inline uint16_t scale_u16(const uint8_t *at)
{
	return (uint16_t)(at[0] | at[1] << 8);
}

static inline const struct scale_attribute *scale_nth(const struct scale *s, size_t i)
{
	if (s->meter)
		return i < METER_ATTRIBUTES ? &METER[i] : NULL;
	return i < SCALE_ATTRIBUTES ? &SCALE[i] : NULL;
}

static inline const struct scale_attribute *scale_at(const struct scale *s, uint16_t handle)
{
	const struct scale_attribute *a;

	for (size_t i = 0; (a = scale_nth(s, i)); i++) {
		if (a->handle == handle)
			return a;
	}
	return NULL;
}

/* Read By Group Type, Read By Type, Find Information: one item in an answer is allowed. */
static inline void scale_list(struct scale *s, const uint8_t *request, size_t len)
{
	const uint16_t first = scale_u16(request + 1), last = scale_u16(request + 3);
	const uint16_t type = len >= 7 ? scale_u16(request + 5) : 0;
	uint8_t pdu[64] = { (uint8_t)(request[0] + 1) };
	const struct scale_attribute *a;
	size_t n = 2;

	for (size_t i = 0; (a = scale_nth(s, i)); i++) {
		if (a->handle < first || a->handle > last || (type != 0 && a->type != type))
			continue;
		pdu[n++] = (uint8_t)a->handle;
		pdu[n++] = (uint8_t)(a->handle >> 8);
		if (request[0] == 0x04) {
			pdu[1] = 1;
			pdu[n++] = (uint8_t)a->type;
			pdu[n++] = (uint8_t)(a->type >> 8);
			break;
		}
		if (request[0] == 0x10) {
			pdu[n++] = (uint8_t)a->end;
			pdu[n++] = (uint8_t)(a->end >> 8);
		}
		memcpy(pdu + n, a->value, a->len);
		if (s->new_hash && a->handle == SCALE_HASH)
			pdu[n] ^= 0xff;
		n += a->len;
		pdu[1] = (uint8_t)(n - 2);
		break;
	}
	if (n == 2)
		scale_error(s, request, 0x0a);
	else
		scale_send(s, pdu, n);
}

static inline void scale_read(struct scale *s, const uint8_t *request)
{
	const struct scale_attribute *a = scale_at(s, scale_u16(request + 1));
	uint8_t pdu[32] = { 0x0b };

	if (!a) {
		scale_error(s, request, 0x01);
		return;
	}
	memcpy(pdu + 1, a->value, a->len);
	scale_send(s, pdu, 1u + a->len);
}

static inline void meter_report(struct scale *s)
{
	uint8_t record[3 + sizeof(METER_RECORD)] = { 0x02 };

	memcpy(record + 3, METER_RECORD, sizeof(METER_RECORD));
	for (size_t i = 1; i <= s->readings; i++) {
		record[1] = (uint8_t)i;
		scale_value(s, 0x1b, METER_MEASUREMENT, record, sizeof(record));
	}
}

static inline void meter_asked(struct scale *s, const uint8_t *request, size_t len)
{
	uint8_t answer[4] = { 0x06, 0, request[0], s->readings > 0 ? 1 : 6 };

	s->outstanding = true;
	if (request[0] == 0x01)
		meter_report(s);
	if (request[0] == 0x02 && len == 5) { /* up to a number */
		s->deletes++;
		s->readings = request[3] >= s->readings ? 0 : s->readings;
	}
	if (request[0] == 0x04) {
		answer[0] = 0x05;
		answer[2] = (uint8_t)s->readings;
		answer[3] = 0;
	}
	scale_value(s, 0x1d, METER_CONTROL, answer, sizeof(answer));
}

static inline void scale_write(struct scale *s, const uint8_t *request, size_t len)
{
	const uint16_t handle = scale_u16(request + 1);

	if (s->refuses_ccc && handle == SCALE_WEIGHT_CCC) {
		s->refuses_ccc = false;
		scale_error(s, request, 0x05);
		return;
	}
	if (!scale_at(s, handle)) {
		scale_error(s, request, 0x01);
		return;
	}
	scale_send(s, "\x13", 1);
	if (s->meter) {
		if (handle == METER_CONTROL)
			meter_asked(s, request + 3, len - 3);
		return;
	}
	if (handle == SCALE_WEIGHT_CCC) {
		s->subscriptions++;
		scale_indicate(s);
	}
}

static inline void scale_confirmed(struct scale *s)
{
	if (!s->outstanding)
		return;
	s->outstanding = false;
	s->confirms++;
	if (s->meter)
		return;
	s->readings--; /* it lets go of it */
	scale_indicate(s);
}

static inline void scale_answer(struct scale *s, const uint8_t *request, size_t len)
{
	switch (request[0]) {
	case 0x02:
		scale_send(s, "\x03\x17\x00", 3);
		break;
	case 0x04:
	case 0x08:
	case 0x10:
		scale_list(s, request, len);
		break;
	case 0x0a:
		scale_read(s, request);
		break;
	case 0x12:
		scale_write(s, request, len);
		break;
	default:
		scale_error(s, request, 0x06);
	}
}

static inline int scale_on_io(sd_event_source *source, int fd, uint32_t events, void *user)
{
	struct scale *s = user;
	uint8_t pdu[600];
	ssize_t n = recv(fd, pdu, sizeof(pdu), MSG_DONTWAIT);

	(void)source;
	(void)events;
	if (n <= 0) {
		scale_drop(s);
		return 0;
	}
	if (pdu[0] == 0x1e) {
		scale_confirmed(s);
		return 0;
	}
	s->requests++;
	if (s->drop_at != 0 && s->requests >= s->drop_at)
		scale_drop(s);
	else if (s->malformed_at != 0 && s->requests == s->malformed_at)
		scale_send(s, "\x01\xff", 2);
	else if (s->silent_at == 0 || s->requests < s->silent_at)
		scale_answer(s, pdu, (size_t)n);
	return 0;
}

/* A new link to it: returns the other end, or -1. What it holds is kept from link to link. */
static inline int scale_connect(struct scale *s, sd_event *event)
{
	int fds[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) < 0)
		return -1;
	s->fd = fds[0];
	s->gone = s->outstanding = false;
	s->requests = 0;
	if (sd_event_add_io(event, &s->io, s->fd, EPOLLIN, scale_on_io, s) < 0)
		return -1;
	if (s->indicates_at_once)
		scale_indicate(s);
	return fds[1];
}
