/*
 * What the tests of single drivers share: a session, the time in its hand, and what came of it as a
 * line of text. For what a capture cannot say: refused requests, late commits, full memories.
 */
#pragma once

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "drivers/registry.h"
#include "drivers/session.h"

#define WALL_MS INT64_C(1778612020000) /* 2026-05-12T18:53:40Z at 0 */

struct bench {
	struct session *session;
	uint64_t next_seq;
	int64_t now;
	char log[4096];
	struct measurement last;
	struct session_memory memory; /* as it was handed on last */
};

#define say(b, ...)                                                              \
	do {                                                                     \
		const size_t n = strlen((b)->log);                               \
		(void)snprintf((b)->log + n, sizeof((b)->log) - n, __VA_ARGS__); \
	} while (0)

static void bench_measurement(void *user, const struct measurement *m, uint64_t seq)
{
	struct bench *b = user;

	(void)seq;
	say(b, "%s ", measurement_is_final(m) ? "reading" : "news");
	b->last = *m;
}

static void bench_request(void *user, const struct session_request *q)
{
	static const char *const names[] = { "write", "read", "timer", "close" };
	struct bench *b = user;

	say(b, "%s", names[q->kind]);
	if (q->kind == SESSION_TIMER)
		say(b, ":%u", q->msec);
	if (q->kind == SESSION_WRITE || q->kind == SESSION_READ)
		say(b, ":%04x", q->channel);
	for (size_t i = 0; i < q->len; i++)
		say(b, "%s%02x", i == 0 ? ":" : "", q->data[i]);
	say(b, " ");
}

static void bench_confirm(void *user, uint16_t channel)
{
	struct bench *b = user;

	say(b, "confirm:%04x ", channel);
}

static void bench_fault(void *user, uint16_t channel, enum session_fault fault, int r)
{
	struct bench *b = user;

	(void)r;
	say(b, "fault:%04x:%s ", channel, session_fault_name(fault));
}

static void bench_memory(void *user, const struct session_memory *memory)
{
	struct bench *b = user;

	say(b, "kept:%zu ", memory->kept_len);
	b->memory = *memory;
}

static void bench_consent(void *user, size_t i, enum drv_consent_outcome outcome, uint8_t slot)
{
	static const char *const names[] = { "?", "good", "made", "refused" };
	struct bench *b = user;

	say(b, "%s:%zu:%u ", names[outcome], i, slot);
}

static inline void bench_end(struct bench *b)
{
	session_free(b->session);
	b->session = NULL;
}

/* memory: NULL none; knows_time: the hub does, and its zone is UTC */
static inline void bench_begin(struct bench *b, const char *driver, uint32_t quirks,
			       const struct session_memory *memory, bool knows_time)
{
	const struct session_sink sink = { .measurement = bench_measurement,
					   .request = bench_request,
					   .confirm = bench_confirm,
					   .fault = bench_fault,
					   .memory = bench_memory,
					   .consent = bench_consent,
					   .user = b };

	bench_end(b);
	*b = (struct bench){ .next_seq = 1 };
	assert_non_null(registry_by_name(driver));
	assert_int_equal(
		session_new(registry_by_name(driver), quirks, &sink, &b->next_seq, &b->session), 0);
	session_set_random(b->session, "0123456789abcdefghij", 20);
	if (memory)
		session_set_memory(b->session, memory);
	if (knows_time) {
		session_set_wall(b->session, WALL_MS);
		session_set_zone(b->session, 0);
	}
	assert_int_equal(session_open(b->session, LINK_ENCRYPTED, 0), 0);
}

/* what came out since the last look */
static inline void assert_said(struct bench *b, const char *text)
{
	assert_string_equal(b->log, text);
	b->log[0] = '\0';
}

static inline uint8_t bench_nibble(char c)
{
	return (uint8_t)(c <= '9' ? c - '0' : c - 'a' + 10);
}

/* hex, lower case, blanks between bytes allowed; the bytes end where their memory ends */
static inline int bench_give(struct bench *b, uint16_t channel, const char *hex, bool indication)
{
	uint8_t *data = malloc(strlen(hex) + 1);
	struct drv_frame frame = { .channel = channel, .data = data };
	int r;

	assert_non_null(data);
	for (; *hex; hex++) {
		if (*hex == ' ')
			continue;
		data[frame.len++] = (uint8_t)(bench_nibble(hex[0]) << 4 | bench_nibble(hex[1]));
		hex++;
	}
	r = session_frame(b->session, &frame, indication, b->now);
	free(data);
	return r;
}

#define indicate(b, channel, hex) assert_int_equal(bench_give((b), (channel), (hex), true), 0)
#define notify(b, channel, hex)   assert_int_equal(bench_give((b), (channel), (hex), false), 0)

/* everything so far is durable */
static inline void commit(struct bench *b)
{
	assert_int_equal(session_committed(b->session, b->next_seq - 1, b->now), 0);
}

static inline void fire(struct bench *b, int64_t after_us)
{
	b->now += after_us;
	assert_int_equal(session_timeout(b->session, b->now), 0);
}

static inline void refuse(struct bench *b, uint16_t channel, uint8_t error)
{
	assert_int_equal(session_refused(b->session, channel, error, b->now), 0);
}
