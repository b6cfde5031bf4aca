/*
 * One ATT bearer: an L2CAP socket on CID 4 that lives in a process of its own, wellgate-link,
 * because Linux 6.1 kills the process that closes a link lost before its first packet. The parent
 * never holds the socket; the death of the helper is "link lost" and costs nothing else.
 *
 *   bearer <--socketpair (SEQPACKET, one message a packet)--> wellgate-link <--L2CAP--> peer
 *
 * Rules with their measurements: the bearer rule book in the README of this folder.
 */
#pragma once

#include <systemd/sd-event.h>

#include "drivers/transport/ble.h"

#define BEARER_PDU_MAX 517

/* Levels of the kernel's BT_SECURITY. */
enum bearer_level {
	BEARER_CLEAR = 1,
	BEARER_ENCRYPTED = 2,
	BEARER_AUTHENTICATED = 3,
	BEARER_FIPS = 4,
};

struct bearer_options {
	const char *helper;         /* path of wellgate-link */
	struct ble_address adapter; /* the adapter to use; all zero: any */
	struct ble_address peer;
	/* Asked for before connect, so that a bonded peer is normally encrypted when the link comes
	 * up. BEARER_CLEAR: ask for nothing; bearer_raise() may come later. */
	enum bearer_level ask;
	int64_t connect_timeout_us; /* of the attempt; 0: 10 s */
	/* >= 0: a connected SEQPACKET socket that stands in for the kernel's, for tests; taken over.
	 * It has no security level: it counts as `stand_in_level`. */
	int stand_in;
	enum bearer_level stand_in_level;
};

enum bearer_end {
	BEARER_CLOSED,   /* by us */
	BEARER_REFUSED,  /* no link came up: error says why; -ETIMEDOUT our own timer */
	BEARER_BUSY,     /* somebody else holds ATT on this link: an alarm */
	BEARER_LOST,     /* was up and went down: error from SO_ERROR */
	BEARER_KILLED,   /* the helper died; the parent goes on */
	BEARER_NO_HELPER /* it could not be started */
};
const char *bearer_end_name(enum bearer_end end);

/* Called from the event loop only, never from inside a function below. From `lost` the bearer may
 * be freed; from the others too. */
struct bearer_handlers {
	void (*connected)(void *user, enum bearer_level level);
	/* also what arrives before the level is what it should be: level is that of this PDU */
	void (*pdu)(void *user, const uint8_t *data, size_t len, enum bearer_level level);
	void (*level)(void *user, enum bearer_level level);       /* it changed */
	void (*lost)(void *user, enum bearer_end end, int error); /* once; error 0 or -errno */
	void *user;
};

struct bearer;

/* 0: the attempt runs; -errno: nothing began. options is copied. */
int bearer_new(sd_event *event, const struct bearer_options *options,
	       const struct bearer_handlers *handlers, struct bearer **ret);
/* 0; -ENOTCONN not up; -EMSGSIZE; -EAGAIN the peer does not take data, try at bearer_writable() */
int bearer_send(struct bearer *b, const uint8_t *data, size_t len);
bool bearer_writable(const struct bearer *b);
/* Asks for more security on a live link (6.1: after the first packet has come). The answer is
 * `level`, or nothing at all: the kernel may fail silently, so the caller has a timer. */
int bearer_raise(struct bearer *b, enum bearer_level level);
/* Drops the link without waiting. No handler is called afterwards. NULL is fine. */
void bearer_free(struct bearer *b);
