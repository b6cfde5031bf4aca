/*
 * The uplink: the one thread that calls Paho. Paho blocks its callers (DNS, TLS); here it can.
 *
 * It connects, comes back after a loss (full jitter, 0.2 s to 120 s; on demand to half an hour),
 * hands messages to Paho,
 * measures the round trip, and drops a connection on which nothing is confirmed any more. It keeps
 * no message: what was on the way when a connection ended is lost here, and the caller sends it
 * again from the store. All functions are called from one thread, the loop's, and never block, but
 * for uplink_free().
 */
#pragma once

#include "gateway/publish/connection.h"

struct uplink;

enum uplink_event_kind {
	UPLINK_CONNECTED,
	UPLINK_LOST,       /* or not reached; everything on the way has to be sent again */
	UPLINK_ANSWER,     /* to the message with `tag` */
	UPLINK_SUBSCRIBED, /* code: what the broker says to that */
	UPLINK_HEARD,      /* a message for this hub: data and len, data is the taker's to free */
};

struct uplink_event {
	enum uplink_event_kind kind;
	uint64_t session; /* random, of the connection */
	uint64_t tag;
	int code;                    /* ANSWER, SUBSCRIBED, LOST: reason code; negative: none */
	bool refused;                /* UPLINK_LOST: it is that of a CONNACK */
	int64_t took_us;             /* UPLINK_ANSWER: since the message was handed to Paho */
	const char *why;             /* UPLINK_LOST: for people, static */
	unsigned int window;         /* UPLINK_CONNECTED: messages that may be on the way */
	unsigned int packet_maximum; /* UPLINK_CONNECTED: 0 = not limited */
	bool no_retain;              /* UPLINK_CONNECTED: retained messages are not allowed */
	enum inbound inbound;        /* UPLINK_HEARD */
	uint8_t *data;
	size_t len;
};

/* `options` and what it points to are borrowed until uplink_free; keep_alive is that of config */
int uplink_new(const struct connection_options *options, struct uplink **ret);
int uplink_fd(const struct uplink *u); /* poll for reading */
void uplink_listen(struct uplink *u);  /* when it is readable, before the events are taken */
bool uplink_next(struct uplink *u, struct uplink_event *ret);
/* Takes the payload, also on failure. `session` is that of UPLINK_CONNECTED: a message for an
 * earlier connection is dropped. -ENOBUFS: more than options->window are on the way. */
int uplink_send(struct uplink *u, uint64_t session, const struct message *m);
/* Of the wills from the next connection on. */
void uplink_set_epoch(struct uplink *u, uint64_t epoch);
/* For connection = on-demand. Says good-bye and stays away, without a wake-up; nothing may be on
 * the way. What the broker sends in the meantime waits there, if it keeps the session. */
void uplink_leave(struct uplink *u);
/* Connects again after uplink_leave(). */
void uplink_come(struct uplink *u);
/* A connection that is over for the caller: give it up and come back later. */
void uplink_drop(struct uplink *u, uint64_t session, int code);
/* Says good-bye (or, with_will, has the broker publish the will) and ends the thread. If Paho hangs
 * beyond the time the thread and its memory are left behind: -ETIMEDOUT, for the end of the
 * process only. NULL is fine. */
int uplink_free(struct uplink *u, bool with_will, int64_t timeout_us);
