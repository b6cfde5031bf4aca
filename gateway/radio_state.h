/*
 * What wellgate-devices says of its radio and of a pairing, and the commands to it. In memory
 * only: it holds Bluetooth addresses of candidates, which are never stored or logged. The
 * enrolled devices are in the inventory.
 *
 *   operator --command--> control --radio_state_command()--> wellgate-devices
 *   operator <--asks: outcome, pairing-- control <-- radio_state <--status, pairing, outcome--+
 *
 * Nothing that a message says is believed beyond its definition: text is checked and cut, lists are
 * bounded, an unknown enum value counts as not stated.
 */
#pragma once

#include <stdbool.h>

#include <systemd/sd-event.h>

#include "gateway/arena.h"
#include "wellgate.pb-c.h"

#define RADIO_STATE_FINDINGS   24
#define RADIO_STATE_CANDIDATES 16
#define RADIO_STATE_DEVICES    256 /* of one status */
/* an operator who does not ask for so long is gone, and his pairing is cancelled */
#define RADIO_STATE_PATIENCE_US INT64_C(20000000)

struct radio_state;

/* say: hands a message to wellgate-devices; -ENOTCONN if it is not there */
int radio_state_new(sd_event *event, int (*say)(void *user, const Wellgate__V1__ToDevices *message),
		    void *user, struct radio_state **ret);
void radio_state_free(struct radio_state *s); /* NULL is fine */

/* The devices process is gone: nothing is known any more, and nothing will be answered. */
void radio_state_detached(struct radio_state *s);
/* 0, or -EBADMSG: it breaks the contract of the message. The caller takes the devices of it. */
int radio_state_take_status(struct radio_state *s, const Wellgate__V1__RadioStatus *m);
int radio_state_take_pairing(struct radio_state *s, const Wellgate__V1__Pairing *m);
int radio_state_take_outcome(struct radio_state *s, const Wellgate__V1__RadioOutcome *m);

/* Gives the command its number and hands it on; *m is changed. -ENOTCONN; -EBADMSG it breaks its
 * contract; -EBUSY a pairing is running. */
int radio_state_command(struct radio_state *s, Wellgate__V1__RadioCommand *m, uint64_t *ret_id);

/* True once a whole status has come. */
bool radio_state_is_known(const struct radio_state *s);
/* the same, and also when wellgate-devices has gone since */
bool radio_state_was_known(const struct radio_state *s);
Wellgate__V1__RadioStatus__Adapter radio_state_adapter(const struct radio_state *s);

/* All of these: 0 or -ENOMEM. The outcome stays absent while it is not known; id is any number. */
int radio_state_reply_outcome(const struct radio_state *s, uint64_t id, struct arena *arena,
			      Wellgate__V1__Reply *reply);
/* Also says that somebody is there who asks. */
int radio_state_reply_pairing(struct radio_state *s, bool addresses, struct arena *arena,
			      Wellgate__V1__Reply *reply);
int radio_state_reply_radio(const struct radio_state *s, struct arena *arena,
			    Wellgate__V1__Reply *reply);
/* Calls fn for each finding about the radio. Text is valid for the call. */
void radio_state_findings(const struct radio_state *s,
			  void (*fn)(void *user, const Wellgate__V1__Finding *finding), void *user);
/* Text is what the message has after this: NULL if it is empty, too long or not clean. */
const char *radio_state_text(const char *text, size_t size);
/* An enum value of a message, or 0 if this version does not know it. */
int radio_state_enum(const ProtobufCEnumDescriptor *descriptor, int value);
