/*
 * The medical device encoding rules, on top of the bounded cursor and writer: big endian, fixed
 * layouts, no padding. Source: ISO/IEEE 11073-20601, its medical device encoding rules.
 *
 *   SEQUENCE OF            count u16, length u16 (bytes), items
 *   OCTET STRING and ANY   length u16, bytes
 *   BIT STRING             8, 16 or 32 bits, bit 0 is the most significant
 *   AbsoluteTime           8 bytes BCD: century year month day hour minute second 1/100 s
 *
 * Every read has the contract of cursor.h: it cannot run over, and a failure sticks.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "protocols/bytes/cursor.h"
#include "protocols/bytes/writer.h"

#define MDER_LIST_HEADER   4
#define MDER_ABSOLUTE_TIME 8

/* The bytes of an OCTET STRING or ANY. This and the next are inline: to return a cursor costs more
 * than to read one. */
static inline struct cursor mder_any(struct cursor *c)
{
	return cursor_sub(c, cursor_be16(c));
}

/*
 * The items of a SEQUENCE OF. *ret_count is always written, 0 on failure. A count that cannot fit
 * (fewer than item_min bytes each), or items without a count, fail both cursors.
 */
__attribute__((always_inline)) static inline struct cursor
mder_list(struct cursor *c, size_t item_min, unsigned int *ret_count)
{
	unsigned int count = cursor_be16(c);
	struct cursor items = mder_any(c);

	if (cursor_left(&items) < count * item_min || (count == 0 && cursor_left(&items) > 0)) {
		c->failed = true;
		items.failed = true;
	}
	*ret_count = items.failed ? 0 : count;
	return items;
}

/* One attribute: AVA-Type, an identifier of the object partition and a value. */
struct mder_attribute {
	uint16_t id;
	struct cursor value;
};

/* the next of an AttributeList that mder_list() opened; false: failed, nothing is written */
bool mder_attribute(struct cursor *items, struct mder_attribute *ret);
/* whether the list holds exactly `count` whole attributes; reads a copy */
bool mder_attributes_valid(struct cursor items, unsigned int count);

/* Local wall time of the device, without a zone. */
struct mder_time {
	uint16_t year;
	uint8_t month, day, hour, minute, second, hundredth;
};

/* -ERANGE: a digit above 9 or a field outside the calendar; -EMSGSIZE: fewer than 8 bytes left */
int mder_read_time(struct cursor *c, struct mder_time *ret);
void mder_write_time(struct writer *w, const struct mder_time *t);

/*
 * BaseOffsetTime: seconds u32 since 1900-01-01 UTC, fraction u16 of 2^-16 s, offset i16 in minutes.
 * The time is that of the base, UTC as the device believes it. -ERANGE: no second was ever set (0)
 * or an offset of more than a day; -EMSGSIZE: fewer than 8 bytes left
 */
int mder_read_base_offset(struct cursor *c, struct mder_time *ret, int16_t *ret_offset_min);

/* Room for a u16 length; mder_end() writes how many bytes came since. */
static inline size_t mder_begin(struct writer *w)
{
	size_t begun = w->len;

	writer_be16(w, 0);
	return begun;
}

static inline void mder_end(struct writer *w, size_t begun)
{
	size_t len;

	if (w->failed)
		return;
	len = w->len - begun - 2;
	if (len > UINT16_MAX) {
		w->failed = true;
		return;
	}
	w->data[begun] = (uint8_t)(len >> 8);
	w->data[begun + 1] = (uint8_t)(len & 0xff);
}

/* the same for a list: the count is known, the length is not */
size_t mder_begin_list(struct writer *w, unsigned int count);
void mder_write_any(struct writer *w, const void *data, size_t len);
