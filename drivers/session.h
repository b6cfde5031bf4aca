/*
 * One connected device: a driver with its state, the queue of its requests, its error counts, and
 * the device's unanswered indication, which is confirmed only when everything the driver emitted
 * from it is durable.
 *
 *   transport --session_frame()--> driver --emit--> sink->measurement --> gateway
 *   gateway --session_committed(seq)--> driver->committed, sink->confirm --> transport
 *
 * No I/O, no clock: `now` comes in with each call. The sink is called from inside these functions,
 * after the driver's callback has returned; it must not call back into the session.
 */
#pragma once

#include "drivers/driver.h"

enum session_request_kind {
	SESSION_WRITE,
	SESSION_READ,
	SESSION_TIMER,
	SESSION_CLOSE
};

struct session_request {
	enum session_request_kind kind;
	uint16_t channel;
	const uint8_t *data; /* borrowed for the call */
	size_t len;
	unsigned int msec; /* SESSION_TIMER; 0 cancels */
};

enum session_fault {
	FAULT_LENGTH,
	FAULT_CHECKSUM,
	FAULT_RANGE,
	FAULT_NOT_MINE,
	FAULT_END
};
const char *session_fault_name(enum session_fault fault); /* "length" "checksum" ... */

struct session_sink {
	/* seq rises by one with each call, within the process that owns `next_seq` */
	void (*measurement)(void *user, const struct measurement *m, uint64_t seq);
	void (*request)(void *user, const struct session_request *request);
	/* the transport may now answer the outstanding indication on this channel */
	void (*confirm)(void *user, uint16_t channel);
	/* a spoiled frame: the transport must not confirm it; r is the -errno */
	void (*fault)(void *user, uint16_t channel, enum session_fault fault, int r);
	void *user;
};

struct session_facts {
	char text[DRV_FACT_END][64]; /* valid UTF-8, "" = unknown */
	bool has_battery;
	uint8_t battery;
};

struct session_counts {
	uint64_t frames, measurements, faults[FAULT_END];
};

struct session;

/* Allocates. next_seq is shared by the sessions of one process; borrowed, outlives the session. */
int session_new(const struct driver *driver, uint32_t quirks, const struct session_sink *sink,
		uint64_t *next_seq, struct session **ret);
void session_free(struct session *s); /* NULL is fine */

int session_open(struct session *s, enum link_security security, int64_t now);
/* indication: the peer waits for our confirmation of this frame. -EBUSY if one is outstanding. */
int session_frame(struct session *s, const struct drv_frame *frame, bool indication, int64_t now);
int session_advert(struct session *s, const struct drv_advert *advert, int64_t now);
int session_timeout(struct session *s, int64_t now);
/* Everything up to seq is durable. */
int session_committed(struct session *s, uint64_t seq, int64_t now);
void session_close(struct session *s, int64_t now);

bool session_idle(const struct session *s);    /* nothing waits for a commit */
bool session_is_done(const struct session *s); /* the driver said so, or the link must drop */
const struct driver *session_driver(const struct session *s);
const struct session_facts *session_facts(const struct session *s);
const struct session_counts *session_counts(const struct session *s);
/* the wall clock, if the caller knows it: needed only to measure a device's clock offset */
void session_set_wall(struct session *s, int64_t utc_ms);
