/*
 * The conversation with a cuff of the KD001 family, serial or HID: whole answers in, moves out. The
 * driver cuts the answers out of its wire, and carries the moves out.
 *
 *   aa --> 55 | 200 ms of silence | a4 (to a7) --> what it is | a2 --> count | a3 1, a3 2 ... -->
 *   records | the same a second time, from a2 on | f7, 50 ms, f6 (HID)
 *
 * Nothing has a checksum and no answer says which question it belongs to. So everything is read
 * twice, and a record counts only if both readings of the memory agree in it; and an answer that is
 * missing, or one too many, ends the reading: silence, then all of it again from aa. What comes
 * late is dropped in that silence and never taken for the answer to the next question.
 *
 * An index is no identity: the memory is a ring, and its first record is always the newest. A
 * record is known again by user, minute and values; of several that are equal in these, `repeat`
 * counts the ones before it. They stay equally many until the ring drops one, so that reading the
 * memory again gives the same ones, and no others.
 */
#pragma once

#include "protocols/beurer/cuff.h"

#define BEURER_RECORDS_MAX 255

enum beurer_step {
	BEURER_AT_HELLO = 1,
	BEURER_AT_SILENCE, /* after the answer to aa */
	BEURER_AT_IDENTITY,
	BEURER_AT_COUNT,
	BEURER_AT_RECORDS,
	BEURER_AT_DISORDER, /* silence, before aa again */
	BEURER_AT_END,
	BEURER_AT_OVER,
};

struct beurer_dialogue {
	bool hid;
	enum beurer_step step;
	unsigned int attempts; /* with aa, and to begin again */
	bool known;            /* it has said what it is */
	uint8_t chunk;         /* of what it is, HID */
	bool second;           /* time */
	uint8_t count, index;  /* index from 1 */
	char identity[BEURER_IDENTITY_SIZE + 1];
	uint8_t records[BEURER_RECORDS_MAX][BEURER_BODY_SIZE];
};

/* What to do now; a field that is 0 asks for nothing. */
struct beurer_move {
	size_t n_ask;
	uint8_t ask[2];         /* to be sent, as HID padded with f4 */
	unsigned int wait_ms;   /* then _timeout(); an older wait is void */
	bool identified;        /* d->identity has become known */
	bool has_reading, over; /* over: hang up */
	struct beurer_reading reading;
	unsigned int repeat;
};

/* ret is overwritten by each of these: a move is there even with an error, which says what was
 * wrong with what came. */
void beurer_dialogue_begin(struct beurer_dialogue *d, bool hid, struct beurer_move *ret);
/* How many bytes (serial) the answer has that is awaited, if it begins with `first`. */
size_t beurer_dialogue_awaits(const struct beurer_dialogue *d, uint8_t first);
/* One whole answer. -EMSGSIZE it has another length; -ENOMSG nobody asked, or no cuff of this kind
 * speaks; -EBADMSG it contradicts what was said before; -ERANGE a record with a field that cannot
 * be, which stays in the cuff. */
int beurer_dialogue_answer(struct beurer_dialogue *d, const uint8_t *data, size_t len,
			   struct beurer_move *ret);
/* More came than was asked for: -EBADMSG, or 0 where it does no harm. */
int beurer_dialogue_disorder(struct beurer_dialogue *d, struct beurer_move *ret);
/* -ETIMEDOUT: a cuff that had answered before is silent; the link is to end. */
int beurer_dialogue_timeout(struct beurer_dialogue *d, struct beurer_move *ret);
