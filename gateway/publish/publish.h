/*
 * Publishing: rows of the store go to the broker in order and leave the outbox on PUBACK.
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
#include "gateway/store/store.h"

struct publish;

struct publish_state {
	bool configured;
	bool connected;
	uint64_t session; /* of the connection, random */
	unsigned int in_flight, window;
	uint64_t connects, batches, acked, refused, no_subscriber, errors;
	char why[128]; /* why not connected, for people; "" */
};

/* `store` is borrowed and used from the loop thread only. Without config->broker it does nothing. */
int publish_new(sd_event *event, const struct config *config, struct store *store,
		struct publish **ret);
/* Says offline (retained), waits at most `timeout_us` for outstanding PUBACKs, ends the thread. */
void publish_free(struct publish *p, int64_t timeout_us);

void publish_kick(struct publish *p); /* rows were committed */
/* Called by the loop when the status changed; packed HubStatus is built inside. */
void publish_set_status(struct publish *p, const Wellgate__V1__HubStatus *status);
void publish_state(const struct publish *p, struct publish_state *ret);
bool publish_drained(const struct publish *p); /* nothing waits and nothing is in flight */
/* called after every acknowledgement was recorded; may be NULL */
void publish_on_progress(struct publish *p, void (*fn)(void *user), void *user);
