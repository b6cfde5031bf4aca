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
	/* >= 0: a connected SEQPACKET socket that stands in for the kernel's, for tests; taken
	 * over, also on failure. It has no security level: it counts as `stand_in_level`, and
	 * bearer_raise() brings it to what was asked, but at most to `stand_in_reach` (0: raising
	 * does nothing, as the kernel fails: silently). */
	int stand_in;
	enum bearer_level stand_in_level, stand_in_reach;
};

enum bearer_end {
	BEARER_CLOSED,  /* by us; never reported */
	BEARER_REFUSED, /* no link came up: error says why; -ETIMEDOUT our own timer */
	BEARER_BUSY,    /* somebody else holds ATT on this link: an alarm */
	/* It was up and went down: error from SO_ERROR, 0 if the kernel gave none; -EMSGSIZE the
	 * peer sent more than BEARER_PDU_MAX, or took less than what we sent. */
	BEARER_LOST,
	/* The helper died, or spoke nonsense (-EPROTO) and was dropped; the parent goes on. One
	 * that something else kills may on 6.1 never be reported as dead: keep timers. */
	BEARER_KILLED,
	BEARER_NO_HELPER /* it could not be started, or not begin: no such program, no Bluetooth */
};
const char *bearer_end_name(enum bearer_end end);

/* Called from the event loop only, never from inside a function below. The bearer may be freed from
 * any of them. */
struct bearer_handlers {
	void (*connected)(void *user, enum bearer_level level); /* once, before any pdu */
	/*
	 * Also what arrives before the level is what it should be: `level` is that of this PDU, and
	 * never too high: what was in the socket's queue when a higher level was first seen counts
	 * as received below it. len may be 0.
	 */
	void (*pdu)(void *user, const uint8_t *data, size_t len, enum bearer_level level);
	/* it changed, or it is what bearer_raise() asked for */
	void (*level)(void *user, enum bearer_level level);
	/* once, after everything that was received; error 0 or -errno */
	void (*lost)(void *user, enum bearer_end end, int error);
	void (*writable)(void *user); /* after -EAGAIN: try again; may be NULL */
	void *user;
};

struct bearer;

/* 0: the attempt runs, and what fails comes by `lost`; -ENOMEM, -EMFILE and the like: nothing
 * began. options is copied. */
int bearer_new(sd_event *event, const struct bearer_options *options,
	       const struct bearer_handlers *handlers, struct bearer **ret);
/* 0: on its way; -ENOTCONN not up; -EMSGSIZE empty or too long; -EAGAIN the peer does not take
 * data: `writable` will be called */
int bearer_send(struct bearer *b, const uint8_t *data, size_t len);
bool bearer_writable(const struct bearer *b);
/* Asks for more security on a live link (6.1: after the first packet has come). The answer is
 * `level`, or nothing at all: the kernel may fail silently, so the caller has a timer. -ENOTCONN;
 * -EAGAIN as bearer_send(). Sends wait while it is pending. */
int bearer_raise(struct bearer *b, enum bearer_level level);
/* Hands nothing on until it is let go again (the store is full): no pdu, level or lost. The peer is
 * stopped once the buffers between are full, which takes about a hundred PDUs; the kernel drops
 * what comes after its own, so hold back the confirmation as well. */
void bearer_hold(struct bearer *b, bool hold);
/* Drops the link without waiting; what was sent before still goes out if the peer takes it. No
 * handler is called afterwards. NULL is fine. */
void bearer_free(struct bearer *b);
