/*
 * MQTT 5 reason codes: what they ask of us, and how they read. MQTT 5.0 section 2.4. Every code of
 * CONNACK, PUBACK, SUBACK and DISCONNECT has its row in the table of reasons.c; a code that no
 * version of the standard names is taken for the 0x80 that it is a kind of.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* What a PUBACK asks of the message that it answers. */
enum verdict {
	VERDICT_DELIVERED,     /* below 0x80 */
	VERDICT_NO_SUBSCRIBER, /* delivered to nobody: 0x10 */
	VERDICT_NEVER,         /* this message will never be taken */
	VERDICT_NEVER_AS_IS,   /* as above, but a part of it may be */
	VERDICT_LATER,         /* slow down */
	VERDICT_RECONNECT,
};

/* What a CONNACK or DISCONNECT, or a PUBACK that ends the connection, asks of the next attempt. */
enum comeback {
	COMEBACK_SOON,   /* the usual back-off */
	COMEBACK_LATER,  /* it has too much to do, or we did */
	COMEBACK_PERSON, /* somebody has to change something: seldom, and the page says what */
};

enum reason_packet {
	REASON_CONNACK,
	REASON_PUBACK,
	REASON_SUBACK,
	REASON_DISCONNECT,
	REASON_PACKETS
};

struct reason_counts {
	uint64_t of[REASON_PACKETS][256];
};

enum verdict reason_verdict(int code);
/* Negative: the connection was lost, or not made, without a word of the broker's. */
enum comeback reason_comeback(int code);
/* for people: why a connection was refused or ended; codes of CONNACK and DISCONNECT */
const char *reason_text(int code);
/* another connection uses our client id: coming back at once would only start a fight */
bool reason_is_takeover(int code);
/* Negative codes are Paho's own and are not counted. */
void reason_count(struct reason_counts *c, enum reason_packet packet, int code);
