/*
 * What bench_drain is compared with, and what it goes through: a publisher of a few lines over a
 * bare socket, which is the most that a broker takes with QoS 1, and a way with a round trip.
 */
#pragma once

#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>

#include "tests/unit/broker.h"

#define RAW_BUFFER ((size_t)512 * 1024)

struct raw_message {
	const uint8_t *data;
	size_t len;
};

static inline int peer_connect(int port)
{
	struct sockaddr_in a = broker_address(port);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;

	must(fd >= 0 && connect(fd, (struct sockaddr *)&a, sizeof(a)) == 0);
	must(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) == 0);
	return fd;
}

/* ---- MQTT 5 over a bare socket: sections 3.1, 3.2, 3.3, 3.4 ---- */

static inline size_t raw_varint(uint8_t *to, size_t v)
{
	size_t n = 0;

	for (; v >= 0x80; v >>= 7)
		to[n++] = (uint8_t)(v | 0x80);
	to[n++] = (uint8_t)v;
	return n;
}

static inline size_t raw_text(uint8_t *to, const char *text, size_t len)
{
	to[0] = (uint8_t)(len >> 8);
	to[1] = (uint8_t)len;
	(void)memcpy(to + 2, text, len);
	return len + 2;
}

static inline void raw_write(int fd, const uint8_t *data, size_t len)
{
	while (len > 0) {
		ssize_t n = send(fd, data, len, MSG_NOSIGNAL);

		must(n > 0);
		data += n;
		len -= (size_t)n;
	}
}

static inline int raw_open(int port)
{
	static const uint8_t hello[] = { 0x10, 16, 0,  4, 'M', 'Q', 'T', 'T', 5,
					 2,    0,  60, 0, 0,   3,   'r', 'a', 'w' };
	uint8_t answer[256];
	int fd = peer_connect(port);

	raw_write(fd, hello, sizeof(hello));
	/* its reason code */
	must(recv(fd, answer, sizeof(answer), 0) >= 4 && answer[0] == 0x20 && answer[3] == 0);
	return fd;
}

static inline size_t raw_publish(uint8_t *to, const char *topic, const char *type, uint16_t id,
				 const struct raw_message *m)
{
	const size_t properties = 3 + strlen(type);
	size_t n = 0;

	to[n++] = 0x32; /* QoS 1 */
	must(properties < 0x80);
	n += raw_varint(to + n, 2 + strlen(topic) + 2 + 1 + properties + m->len);
	n += raw_text(to + n, topic, strlen(topic));
	to[n++] = (uint8_t)(id >> 8);
	to[n++] = (uint8_t)id;
	to[n++] = (uint8_t)properties;
	to[n++] = 0x03; /* content type */
	n += raw_text(to + n, type, strlen(type));
	(void)memcpy(to + n, m->data, m->len);
	return n + m->len;
}

/* Confirmations in what arrived; the rest of the last packet moves to the front. */
static inline size_t raw_count(uint8_t *data, size_t *len)
{
	size_t n = 0, at = 0;

	while (*len - at >= 2 && *len - at >= 2 + (size_t)data[at + 1]) {
		must(data[at] == 0x40 && (data[at + 1] == 2 || data[at + 4] < 0x80));
		at += 2 + (size_t)data[at + 1];
		n++;
	}
	*len -= at;
	(void)memmove(data, data + at, *len);
	return n;
}

/* Publishes all with `window` on the way; every turn fills the window with one write. */
static inline void raw_run(int fd, const char *topic, const char *type,
			   const struct raw_message *messages, size_t count, size_t window)
{
	static uint8_t out[RAW_BUFFER], in[RAW_BUFFER];
	size_t sent = 0, confirmed = 0, held = 0;

	while (confirmed < count) {
		size_t len = 0;

		for (; sent < count && sent - confirmed < window; sent++) {
			if (len + messages[sent].len + 512 > sizeof(out))
				break;
			len += raw_publish(out + len, topic, type, (uint16_t)(1 + sent % 65535),
					   &messages[sent]);
		}
		raw_write(fd, out, len);
		ssize_t n = recv(fd, in + held, sizeof(in) - held, 0);
		must(n > 0);
		held += (size_t)n;
		confirmed += raw_count(in, &held);
	}
}

/* ---- a way with a round trip ---- */

#define DELAY_CHUNKS 8192
#define DELAY_BYTES  16384

struct delay_chunk {
	int64_t due_us;
	size_t len, done;
	uint8_t data[DELAY_BYTES];
};

/* one direction: first in, first out */
struct delay_lane {
	int from, to;
	size_t head, tail;
	struct delay_chunk *chunks;
};

static inline int64_t delay_now_us(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * INT64_C(1000000) + t.tv_nsec / 1000;
}

/* false: the other end is gone */
static inline bool delay_read(struct delay_lane *l, int64_t each_us)
{
	struct delay_chunk *c = &l->chunks[l->tail % DELAY_CHUNKS];
	ssize_t n;

	if (l->tail - l->head == DELAY_CHUNKS)
		return true;
	n = recv(l->from, c->data, sizeof(c->data), MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return true;
	if (n <= 0)
		return false;
	c->due_us = delay_now_us() + each_us;
	c->len = (size_t)n;
	c->done = 0;
	l->tail++;
	return true;
}

static inline bool delay_write(struct delay_lane *l)
{
	while (l->head != l->tail) {
		struct delay_chunk *c = &l->chunks[l->head % DELAY_CHUNKS];
		ssize_t n;

		if (c->due_us > delay_now_us())
			return true;
		n = send(l->to, c->data + c->done, c->len - c->done, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return true;
		if (n <= 0)
			return false;
		c->done += (size_t)n;
		if (c->done == c->len)
			l->head++;
	}
	return true;
}

static inline int64_t delay_next_us(const struct delay_lane *l)
{
	return l->head == l->tail ? INT64_MAX : l->chunks[l->head % DELAY_CHUNKS].due_us;
}

static inline void delay_serve(struct delay_lane lanes[2], int64_t each_us)
{
	for (bool up = true; up;) {
		struct pollfd fds[] = { { .fd = lanes[0].from, .events = POLLIN },
					{ .fd = lanes[1].from, .events = POLLIN } };
		int64_t a = delay_next_us(&lanes[0]), b = delay_next_us(&lanes[1]);
		int64_t left = (a < b ? a : b) == INT64_MAX ? -1 : (a < b ? a : b) - delay_now_us();
		struct timespec t = { .tv_nsec = left > 0 ? left % 1000000 * 1000 : 0 };

		(void)ppoll(fds, 2, left < 0 && a == b ? NULL : &t, NULL);
		for (int i = 0; i < 2 && up; i++)
			up = (!fds[i].revents || delay_read(&lanes[i], each_us)) &&
			     delay_write(&lanes[i]);
	}
}

/* Forwards `from` to `to`, one connection after the other, each way each_us late. The process. */
static inline pid_t delay_start(int from, int to, int64_t each_us)
{
	struct sockaddr_in a = broker_address(from);
	int door = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;
	struct delay_lane lanes[2] = { 0 };
	pid_t pid;

	must(setsockopt(door, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == 0);
	must(bind(door, (struct sockaddr *)&a, sizeof(a)) == 0 && listen(door, 4) == 0);
	pid = fork();
	must(pid >= 0);
	if (pid > 0) {
		(void)close(door);
		return pid;
	}
	for (int i = 0; i < 2; i++) {
		lanes[i].chunks = calloc(DELAY_CHUNKS, sizeof(struct delay_chunk));
		must(lanes[i].chunks);
	}
	for (;;) {
		lanes[0].from = lanes[1].to = accept(door, NULL, NULL);
		lanes[0].to = lanes[1].from = peer_connect(to);
		must(lanes[0].from >= 0);
		must(setsockopt(lanes[0].from, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) == 0);
		lanes[0].head = lanes[0].tail = lanes[1].head = lanes[1].tail = 0;
		delay_serve(lanes, each_us);
		(void)close(lanes[0].from);
		(void)close(lanes[0].to);
	}
}
