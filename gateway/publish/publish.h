/*
 * Publishing: rows of the store go to the broker in order and leave the outbox on PUBACK, or with
 * delivery = receipt when the record service has committed them (receipts.h).
 *
 *   loop thread                                    uplink thread (the only one that calls Paho)
 *   publish_kick(): rows -> batches --ring+eventfd--> MQTTAsync_sendMessage
 *   on_event(): acknowledge rows    <--ring+eventfd-- callbacks, connection state
 *
 * MQTT 5, QoS 1, PERSISTENCE_NONE, clean start; the window never exceeds the broker's Receive
 * Maximum; a new handle per connection; own jittered back-off. Facts: mqtt.md 2.6 and 7.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <systemd/sd-event.h>

#include "gateway/config.h"
#include "gateway/publish/connection.h"
#include "gateway/publish/reasons.h"
#include "gateway/store/store.h"

struct publish;

struct publish_state {
	bool configured;
	bool connected;
	bool away;        /* on demand: nothing to send, and nothing is wrong */
	uint64_t leaves;  /* times that it was left for that */
	uint64_t session; /* of the connection, random */
	unsigned int in_flight, window;
	uint64_t connects, batches; /* connections made; messages with rows sent */
	uint64_t acked;             /* of these: confirmed */
	uint64_t refused;           /* rows parked */
	bool listening;             /* the broker sends what is for this hub */
	uint64_t heard;             /* such messages */
	uint64_t no_subscriber;     /* confirmed, but nobody listens (where the broker says so) */
	uint64_t errors;            /* of store and broker: each led to a retry */
	/* delivery = receipt: confirmed by the broker, in memory; and what came of receipts */
	uint64_t delivered[LANE_END];
	uint64_t sent[LANE_END]; /* numbers: handed to the connection, or delivered before */
	int64_t receipt_age_us;  /* of the last receipt; -1: none since the start */
	int64_t running_us;      /* since the start */
	uint64_t receipts, receipts_foreign, receipts_malformed;
	uint64_t sent_again; /* times that rows went again because no receipt came */
	bool numbers_reused; /* a receipt covers what this hub never sent: a restored card */
	uint64_t epochs;     /* begun for that */
	char why[128];       /* why not connected, for people; "" */
};

/* `config` and `store` are borrowed until publish_free; the store is used from the loop's thread
 * only. Without config->broker it does nothing. -EINVAL: site or hub is no level of a topic. */
int publish_new(sd_event *event, const struct config *config, struct store *store,
		struct publish **ret);
/* Says offline (retained), waits at most `timeout_us` for outstanding PUBACKs, ends the thread.
 * Should Paho hang (DNS) for 3 s more, the thread and its memory are left to the end of
 * the process.
 * Acknowledgements are in the store then, but not committed. NULL is fine. */
void publish_free(struct publish *p, int64_t timeout_us);

/* Calls `heard` on the loop for each message to this hub (data is borrowed). Which are listened to
 * follows from the configuration: commands if senders are named. Set it before the loop runs. */
void publish_on_heard(struct publish *p,
		      void (*heard)(void *user, enum inbound which, const uint8_t *data,
				    size_t len),
		      void *user);
/* Publishes the answer to a command, if the connection is there and has room for it; who asked asks
 * again otherwise. Copies the data. -ENOTCONN, -ENOBUFS, -ENOMEM */
int publish_reply(struct publish *p, const uint8_t *data, size_t len);

/* Rows of these numbers go once more, as far as they are kept, whoever has acknowledged them. It is
 * in memory: a restart forgets what has not gone yet. The caller sees to it that the numbers are of
 * this epoch. -ERANGE: they were not all committed; -ENOTCONN: there is no broker. */
int publish_repeat(struct publish *p, enum lane lane, uint64_t first, uint64_t last);

void publish_kick(struct publish *p); /* rows were committed */
/* Called by the loop when the status changed; packed HubStatus is built inside. */
void publish_set_status(struct publish *p, const Wellgate__V1__HubStatus *status);
void publish_state(const struct publish *p, struct publish_state *ret);
/* How often the broker said this since the start. */
uint64_t publish_reasons(const struct publish *p, enum reason_packet packet, uint8_t code);
/* nothing waits and nothing is in flight; also true without a broker */
bool publish_drained(const struct publish *p);
/* Called after acknowledgements were recorded and when the connection came or went; may be NULL.
 * Acknowledgements become durable with the next store_commit(), which a long drain does itself
 * every 512 rows. */
void publish_on_progress(struct publish *p, void (*fn)(void *user), void *user);
