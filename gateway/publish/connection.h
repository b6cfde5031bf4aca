/*
 * One MQTT connection: one Paho handle, from create to destroy. Used from the uplink thread only.
 *
 * Paho's callbacks come from its own threads, under its own lock. They post a note and return;
 * nothing else is allowed there. A note carries the session it belongs to, so that one of an
 * earlier connection is recognised. A connection's memory must outlive every callback: the uplink
 * frees it one connection later.
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

#include "gateway/config.h"
#include "gateway/publish/ring.h"
#include "gateway/publish/topics.h"

enum note_kind {
	NOTE_CONNECTED,
	NOTE_REFUSED, /* or not reached */
	NOTE_LOST,
	NOTE_ANSWER, /* to the message in `slot` */
	NOTE_CLOSED,
	NOTE_SUBSCRIBED, /* code: below 0x80 it worked */
	NOTE_HEARD,      /* a message for us */
};

/* What the hub listens to. */
enum inbound {
	INBOUND_COMMAND,
	INBOUND_RECEIPT,
	INBOUND_END
};
/* longer ones are none of ours */
#define INBOUND_MAX ((size_t)8192)

struct note {
	enum note_kind kind;
	uint64_t session;
	unsigned int slot;
	int code; /* reason code, or negative: Paho's own */
	/* NOTE_CONNECTED, 0 = not stated */
	unsigned int receive_maximum, packet_maximum, keep_alive;
	bool no_retain, no_qos;
	/* NOTE_HEARD: malloc'd, of whoever takes the note */
	enum inbound inbound;
	uint8_t *data;
	size_t len;
};

/* Several Paho threads may post; the lock is a leaf: nothing is called while it is held. */
struct notes {
	struct mailbox box;
	pthread_mutex_t producers;
	atomic_bool overflowed; /* a note was lost: the connection cannot be trusted */
	atomic_int tls;         /* enum tls_trouble of the last attempt */
};

enum tls_trouble {
	TLS_FINE,
	TLS_UNTRUSTED, /* the broker's certificate does not verify */
	TLS_FAILED,
};

struct message {
	enum content content;
	bool retained;
	const char *topic; /* of struct topics */
	uint8_t *payload;  /* malloc'd, owned by whoever holds the message */
	size_t len;
	uint64_t tag; /* the caller's */
};

struct connection_options {
	const struct config *config;
	const struct topics *topics;
	const char *hub;
	uint64_t epoch;
	unsigned int window;       /* messages that can be on the way */
	unsigned int keep_alive;   /* seconds */
	bool no_retain;            /* the broker said so */
	bool inbound[INBOUND_END]; /* which are listened to */
};

struct connection;

int notes_init(struct notes *n, size_t items);
void notes_finish(struct notes *n);

/* Starts to connect; the end is a note. -ENOMEM, -EIO, or the errno of the password file. */
int connection_open(const struct connection_options *options, uint64_t session, struct notes *notes,
		    struct connection **ret);
/* Hands the message to Paho, which copies it. *ret_slot comes back in the NOTE_ANSWER. -ENOBUFS */
int connection_send(struct connection *c, const struct message *m, unsigned int *ret_slot);
/* Asks for what options.inbound names; NOTE_SUBSCRIBED follows. With nothing to ask for: 0, and no
 * note. */
int connection_subscribe(struct connection *c);
/* the slot is free for another message */
void connection_release(struct connection *c, unsigned int slot);
/* Says good-bye, or asks the broker to publish the will; NOTE_CLOSED follows. */
int connection_close(struct connection *c, bool with_will);
/* Ends the Paho handle; may block in Paho. After it no callback begins. */
void connection_end(struct connection *c);
void connection_free(struct connection *c); /* NULL is fine */
uint64_t connection_session(const struct connection *c);
