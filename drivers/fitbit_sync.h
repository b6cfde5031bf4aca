/*
 * What the drivers of Fitbit trackers share about one sync, whatever it goes over: the messages
 * that are sent, a dump on its way in, and that dump said in pieces. Pure, as drivers are.
 *
 *   we --c0 0a ...-->  c0 14 ... ID;   we --c0 10 0d-->  c0 41, data, c0 42;   we --c0 01-->  c0 01
 *
 * Nothing else is ever sent: nothing is uploaded, set or deleted, so a tracker says the same again
 * each time.
 */
#pragma once

#include "drivers/fitbit.h"
#include "protocols/fitbit/message.h"

#define FITBIT_SYNC_DUMP_MAX ((size_t)120 * 1024) /* the largest ever seen has 71318 bytes */
#define FITBIT_SYNC_US       INT64_C(600000000)   /* for a whole dump */
#define FITBIT_SYNC_PIECE    512                  /* measurements at once */

/* Part of a driver's state; too large for a stack. */
struct fitbit_sync {
	int64_t since;
	struct fitbit_transfer transfer;
	struct writer w;
	struct fitbit_rules rules;
	uint8_t dump[FITBIT_SYNC_DUMP_MAX];
};

/* The one packet of each; the lengths are returned. */
size_t fitbit_sync_airlink(const struct fitbit_airlink *airlink, uint8_t ret[FITBIT_PACKET_MAX]);
size_t fitbit_sync_close(uint8_t ret[FITBIT_PACKET_MAX]);
/* Asks for the dump, and begins to wait for it. */
size_t fitbit_sync_ask(const struct drv_ctx *ctx, struct fitbit_sync *s,
		       uint8_t ret[FITBIT_PACKET_MAX]);

/* A packet while the dump comes; s->transfer.complete says that it was the last. As
 * fitbit_transfer_packet(), and -ETIMEDOUT: it takes too long altogether. *ret_progress: it brought
 * something, so more may be waited for. */
int fitbit_sync_packet(const struct drv_ctx *ctx, struct fitbit_sync *s, const uint8_t *data,
		       size_t len, bool *ret_progress);

enum fitbit_outcome {
	FITBIT_SAID_PIECE = 1, /* more follows with the next call */
	FITBIT_SAID_ALL,
	FITBIT_SAID_DAMAGED,
	FITBIT_SAID_ANOTHER, /* of another tracker than `serial` */
	FITBIT_SAID_STRANGE, /* nothing that is known; no serial number either */
	FITBIT_SAID_UNREADABLE,
	FITBIT_SAID_NO_KEY,
	FITBIT_SAID_WRONG_KEY,
};

/*
 * Says the next piece of a dump that is complete: facts and measurements; nothing of a dump with
 * any fault, at once. serial: of the tracker whose dump it must be, or NULL; ret_serial: whose it
 * is, of any outcome but DAMAGED and STRANGE. An encrypted one is read with fitbit_key(). 0, or
 * -errno of the session.
 */
int fitbit_sync_say(struct drv_ctx *ctx, struct fitbit_sync *s, const uint8_t *serial,
		    uint8_t ret_serial[FITBIT_SERIAL_SIZE], enum fitbit_outcome *ret);

/* Times after it cannot be, s since 1970; 0: the hub does not know what time it is. */
int64_t fitbit_sync_latest(const struct drv_ctx *ctx);

/* What an operator should know about it; 0: nothing. */
enum drv_news fitbit_sync_news(enum fitbit_outcome outcome);
