/*
 * One connected device: a driver with its state, the queue of its requests, its error counts, and
 * the device's unanswered indication, which is confirmed only when every reading the driver emitted
 * from it is durable. A good indication without a reading in it (scale still moving, error frame)
 * is confirmed at once: there is nothing to lose.
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
	SESSION_CLOSE /* drop the link; asked for once */
};

struct session_request {
	enum session_request_kind kind;
	uint16_t channel;
	const uint8_t *data; /* borrowed for the call */
	size_t len;
	unsigned int msec; /* SESSION_TIMER; 0 cancels */
};

/* When a SESSION_TIMER is due, in the caller's microseconds. INT64_MAX: never. */
static inline int64_t session_deadline(const struct session_request *request, int64_t now)
{
	return request->msec == 0 ? INT64_MAX : now + (int64_t)request->msec * 1000;
}

enum session_fault {
	FAULT_LENGTH,
	FAULT_CHECKSUM,
	FAULT_RANGE,
	FAULT_NOT_MINE,
	FAULT_END
};
const char *session_fault_name(enum session_fault fault); /* "length" "checksum" ... */

/* What is known about the device from earlier links. */
struct session_memory {
	struct drv_consent consents[DRV_CONSENTS_MAX];
	size_t n_consents;
	uint8_t kept[DRV_KEPT_MAX];
	size_t kept_len;
};

struct session_sink {
	/* seq rises by one with each call, within the process that owns `next_seq`; *next_seq is
	 * the number of the next one */
	void (*measurement)(void *user, const struct measurement *m, uint64_t seq);
	void (*request)(void *user, const struct session_request *request);
	/* the transport may now answer the outstanding indication on this channel */
	void (*confirm)(void *user, uint16_t channel);
	/* a spoiled frame: the transport must not confirm it; r is the -errno */
	void (*fault)(void *user, uint16_t channel, enum session_fault fault, int r);
	/* the memory of the device has changed and is to be kept: nothing in it waits for a commit;
	 * may be NULL */
	void (*memory)(void *user, const struct session_memory *memory);
	/* may be NULL */
	void (*consent)(void *user, size_t i, enum drv_consent_outcome outcome, uint8_t slot);
	void *user;
};

/* What the hub knows, asked for by a driver within its callback. */
struct session_hub {
	int (*midnight)(void *user, int64_t at, int64_t *ret);                 /* drv_midnight() */
	size_t (*key)(void *user, const char *name, uint8_t ret[DRV_KEY_MAX]); /* drv_key() */
	int (*aes)(void *user, const uint8_t key[16], const uint8_t in[16], uint8_t ret[16]);
	void *user;
};

/* Which of enum drv_news are true: a bit each. */
#define SESSION_NEWS(news) (UINT32_C(1) << (news))

/* What is told of a device, and told again when it has changed. */
struct session_facts {
	char text[DRV_FACT_END][64];         /* valid UTF-8, "" = unknown */
	char identity[DRV_IDENTITY_MAX + 1]; /* drv_identity(), SPACE:TEXT; "" = not stated */
	bool has_battery;
	uint8_t battery;
	uint16_t unused; /* zero: it is compared as bytes, so nothing may be padding */
	uint32_t news;
};

struct session_counts {
	uint64_t frames, measurements, faults[FAULT_END];
};

/* What became of session_ask_wipe(). */
struct session_wipe {
	enum drv_wipe outcome; /* 0: nothing was said, so nothing is known */
	uint32_t records;
};

struct session;

/* Allocates. next_seq is shared by the sessions of one process; borrowed, outlives the session. */
int session_new(const struct driver *driver, uint32_t quirks, const struct session_sink *sink,
		uint64_t *next_seq, struct session **ret);
void session_free(struct session *s); /* NULL is fine */

/*
 * All of these: 0; -EMSGSIZE, -EBADMSG, -ERANGE, -ENOMSG: one frame is spoiled, already counted and
 * reported through sink->fault, the link may stay; any other: the link must drop
 * (session_is_done() is true from then on).
 */
/* The link is up. What the driver asks for here is meant for after its channels are open. */
int session_open(struct session *s, enum link_security security, int64_t now);
/*
 * indication: the peer waits for our confirmation of this frame. -EBUSY, and nothing happens, if an
 * earlier good one still waits for its commit. After a spoiled indication no later one of the same
 * session is confirmed: the peer could take that confirmation for the spoiled one. They are decoded
 * and emitted all the same, and the device will offer them again on its next link.
 */
int session_frame(struct session *s, const struct drv_frame *frame, bool indication, int64_t now);
/* driver->hides: a recording is to leave this frame out. Call before session_frame(). */
bool session_hides(struct session *s, const struct drv_frame *frame);
int session_advert(struct session *s, const struct drv_advert *advert, int64_t now);
int session_timeout(struct session *s, int64_t now);
/* The device refused a write or a read on this channel; error: its ATT error, or another bus's. */
int session_refused(struct session *s, uint16_t channel, uint8_t error, int64_t now);
/* Everything up to seq is durable. The driver hears of it once all that it emitted is. */
int session_committed(struct session *s, uint64_t seq, int64_t now);
void session_close(struct session *s, int64_t now);

bool session_idle(const struct session *s);    /* nothing waits for a commit */
bool session_is_done(const struct session *s); /* the driver said so, or the link must drop */
/* The device was understood, and the link did not have to drop: news that it did not say on this
 * one are over. */
bool session_was_good(const struct session *s);
const struct driver *session_driver(const struct session *s);
const struct session_facts *session_facts(const struct session *s);
const struct session_counts *session_counts(const struct session *s);
/* The wall clock as it was at now == 0 (UTC ms - now / 1000), if the caller knows it: needed only
 * to measure a device's clock offset. The offset of a device clock without a zone is measured as if
 * it ran in UTC, so it contains the zone. */
void session_set_wall(struct session *s, int64_t utc_ms_at_zero);
/* For drv_local_time(): minutes east of UTC; without this call, or without session_set_wall(), the
 * driver sets no clock. */
void session_set_zone(struct session *s, int offset_min);
/* Copied. Call before session_open(). */
void session_set_memory(struct session *s, const struct session_memory *memory);
/* What drv_random() hands out, each byte once; copied, at most DRV_RANDOM_MAX. Without this call it
 * has none. Call before session_open(). */
void session_set_random(struct session *s, const void *data, size_t len);
/* The device's memory is to be emptied, once all that it has to say on this link is durable. Call
 * before session_open(). -EOPNOTSUPP: its driver has no way to do that. */
int session_ask_wipe(struct session *s);
const struct session_wipe *session_wiped(const struct session *s);
/* What drv_last_record() tells the driver; call before session_open(). */
void session_set_last_record(struct session *s, uint32_t record);
/* Copied; any may be NULL. Without this call the hub has none of it. Call before
 * session_open(). */
void session_set_hub(struct session *s, const struct session_hub *hub);
