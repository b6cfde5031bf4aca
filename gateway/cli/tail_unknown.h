/*
 * Fields of a message that this program does not know: its sender is newer. They are shown by
 * their numbers and as they stand on the wire, for no more can be known of them.
 *
 * Wire types: Protocol Buffers, encoding, "message structure". A varint is shown as an unsigned
 * decimal, fixed32 and fixed64 as 0x and 8 or 16 digits, everything else as hexadecimal octets.
 */
#pragma once

#include <stdbool.h>
#include <stdio.h>

#include <protobuf-c/protobuf-c.h>

/* shown of one message; the rest is counted */
#define TAIL_UNKNOWN_MAX 64

/* What is looked at: the message and all within it, or its own fields only. */
enum tail_unknown_reach {
	TAIL_UNKNOWN_WITHIN,
	TAIL_UNKNOWN_OWN,
};

bool tail_unknown_any(const ProtobufCMessage *m, enum tail_unknown_reach reach);
/* "field 77 = 5, components[0] field 12 = 6869": nothing if there is none. Of long octets only
 * the first are shown, with how many there are. */
void tail_unknown_text(FILE *out, const ProtobufCMessage *m, enum tail_unknown_reach reach);
/* "unknown_fields":[{"field":77,"wire":"varint","value":"5"},{"in":"components[0]",...}] and, if
 * there are more than TAIL_UNKNOWN_MAX, "unknown_more":N. All octets. Nothing if there is none. */
void tail_unknown_json(FILE *out, const ProtobufCMessage *m, enum tail_unknown_reach reach);
