/*
 * One link at work: a bearer, an ATT client on it, and the session of the device's driver.
 *
 *   bearer --PDU--> ATT client --value--> inbox --> session --measurement--> handlers
 *   bearer <--PDU-- ATT client <--confirm-- session <--peer_committed(seq)-- gateway
 *
 * The order of a link is the device's (device.h): what happens here is told as its events, and its
 * actions are the functions below, in this order: (peer_raise) peer_mtu peer_verify peer_open
 * peer_arm. What the driver asks for is carried out after its channels are open, one request at a
 * time.
 *
 * An indication that comes before there is a session is held: it goes to the driver once the
 * channels are open, because the values that name the device are read there, or after 3 s if
 * reading them does not come to an end. It is confirmed only when the session says that it is
 * durable. Where that takes 25 s the link is dropped instead: the peer keeps what was not
 * confirmed.
 *
 * What came below the required level is never handed to the driver and never confirmed.
 *
 * Back pressure: while there is no room, values wait in the inbox, PEER_INBOX of them. An
 * indication waits there unconfirmed, and no other follows it. Notifications do follow: from half
 * of the inbox on the bearer is held, and they wait on their way. If it is full all the same the
 * link is dropped, which is said (-ENOBUFS): a device that has a memory offers them again, and of a
 * live stream the gap is known.
 *
 * Through bluetoothd (gatt_dbus.h) nothing can be held: an indication was confirmed before it is
 * known here. Its values come one at a time out of a queue that outlives the link, and where the
 * link ended first they are handed on all the same. The link's security counts as unknown.
 */
#pragma once

#include "drivers/session.h"
#include "drivers/transport/bearer.h"
#include "drivers/transport/device.h"
#include "drivers/transport/gatt_dbus.h"
#include "protocols/att/client.h"
#include "protocols/capture/cap.h"

#define PEER_INBOX      32
#define PEER_HELD_US    INT64_C(25000000)
#define PEER_STALLED_US INT64_C(3000000)
#define PEER_RAISE_US   INT64_C(10000000) /* for a level that the peer demands */
#define PEER_FAULTS_MAX 64                /* malformed packets on one link, then it is dropped */

struct peer_options {
	struct bearer_options bearer;
	/* Not NULL: through bluetoothd instead of a bearer (of which only `peer` counts then). */
	struct gatt_dbus *gatt;
	bool standing; /* its channels are watched: what was caught is handed on in any case */
	enum bearer_level required;    /* the floor */
	const struct att_table *table; /* from an earlier link; copied; NULL or incomplete: none */
	bool bonded;                   /* so that Service Changed would reach us */
	/* For tests; 0: PEER_RAISE_US, PEER_HELD_US, PEER_STALLED_US. */
	int64_t raise_us, held_us, stalled_us;
};

/* What the session is told before it opens; borrowed for the call. */
struct peer_driver {
	const struct driver *driver;
	uint32_t quirks;
	const char *name; /* for captures; or NULL */
	const struct session_memory *memory;
	bool has_last_record, has_wall, has_zone;
	bool wipe; /* session_ask_wipe() */
	uint32_t last_record;
	int64_t utc_ms_at_zero;
	int zone_min;
};

struct peer_handlers {
	/* One of DEVICE_ON_CONNECTED, LEVEL, MTU, VERIFIED, ARMED, READING, COMMITTED, DONE,
	 * IN_CLEAR, END with its argument; after END there are no more. From the event loop only;
	 * every function below may be called, peer_free() too. */
	void (*event)(void *user, enum device_event event, unsigned int argument);

	/* These come from inside the functions below as well, and must not call the peer. */
	/* -errno: it was not taken, so it is never confirmed and the link is dropped */
	int (*measurement)(void *user, const struct measurement *m, uint64_t seq);
	bool (*has_room)(void *user);
	void (*memory)(void *user, const struct session_memory *memory);
	void (*consent)(void *user, size_t i, enum drv_consent_outcome outcome, uint8_t slot);
	/* the highest record number that is durable has risen */
	void (*record)(void *user, uint32_t record);
	/* The table is to be kept, or, NULL, to be forgotten: durable when it returns 0. The peer
	 * says only once that its database has changed. */
	int (*table)(void *user, const struct att_table *table);
	void (*observe)(void *user, const struct cap_event *event);
	void *user;
};

/* A session that is not open yet; also one without a link, of what is broadcast. */
void peer_inform(struct session *s, const struct peer_driver *driver);

struct peer;

/* The attempt runs when it returns 0. options and handlers are copied; next_seq as session_new().*/
int peer_new(sd_event *event, const struct peer_options *options,
	     const struct peer_handlers *handlers, uint64_t *next_seq, struct peer **ret);
/* Drops the link; what was not confirmed stays with the device. NULL is fine. */
void peer_free(struct peer *p);

/* The level arrives as DEVICE_ON_LEVEL, or not at all. */
int peer_raise(struct peer *p, enum bearer_level level);
void peer_mtu(struct peer *p);
/* The cached table is checked by the Database Hash if it has one. Without one it is believed where
 * the peer would have told us of a change: it is bonded, or it has no Service Changed to do so. */
void peer_verify(struct peer *p);
/* The session; -errno: none, and the link is to be dropped. Data that came below the level of this
 * moment is not handed to it. */
int peer_open(struct peer *p, const struct peer_driver *driver);
void peer_arm(struct peer *p);

/* Everything up to seq is durable. */
void peer_committed(struct peer *p, uint64_t seq);
/* This one will never be: if it is ours, the link is dropped and nothing of it is confirmed. */
void peer_refused(struct peer *p, uint64_t seq);
void peer_wake(struct peer *p); /* there may be room again */

const struct session *peer_session(const struct peer *p); /* NULL before peer_open() */
const struct att_table *peer_table(const struct peer *p);
enum bearer_level peer_level(const struct peer *p);
int peer_error(const struct peer *p); /* why it ended: 0 or -errno */
/* values on characteristics that no channel of the driver is for */
unsigned int peer_unrouted(const struct peer *p);
const struct att_counts *peer_counts(const struct peer *p);
enum link_security peer_security(enum bearer_level level);
