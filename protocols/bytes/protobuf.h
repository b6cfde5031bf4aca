/*
 * The wire format of Protocol Buffers, written field by field: what is sent for every reading is
 * put straight from our own structures, without a copy of them in those of a library. Source:
 * "Encoding" in the documentation of Protocol Buffers. A field whose value is zero is written, too:
 * that it is there says something. Fields are written in the order of their numbers.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "protocols/bytes/writer.h"

enum protobuf_wire {
	PROTOBUF_VARINT = 0,
	PROTOBUF_LENGTH = 2, /* its length, and as many bytes */
};

static inline uint64_t protobuf_tag(unsigned int field, enum protobuf_wire wire)
{
	return (uint64_t)field << 3 | wire;
}

/* two varints, a tag and what belongs to it */
void protobuf_put_long(struct writer *w, uint64_t tag, uint64_t v);

/* the same; nearly all have a byte each, so that case is inline */
static inline void protobuf_put(struct writer *w, uint64_t tag, uint64_t v)
{
	uint8_t *room;

	if (tag > 0x7f || v > 0x7f) {
		protobuf_put_long(w, tag, v);
		return;
	}
	room = writer_room(w, 2);
	if (!room)
		return;
	room[0] = (uint8_t)tag;
	room[1] = (uint8_t)v;
}

/* uint32, uint64, bool, and an enum, none of which has a negative number */
static inline void protobuf_uint(struct writer *w, unsigned int field, uint64_t v)
{
	protobuf_put(w, protobuf_tag(field, PROTOBUF_VARINT), v);
}

/* sint32, sint64 */
static inline void protobuf_sint(struct writer *w, unsigned int field, int64_t v)
{
	/* zigzag: numbers near zero are short, whatever their sign */
	protobuf_uint(w, field, (uint64_t)v << 1 ^ (v < 0 ? UINT64_MAX : 0));
}

/* bytes, string; data may be NULL if n is 0 */
void protobuf_bytes(struct writer *w, unsigned int field, const void *data, size_t n);
/* one number of a packed field, between protobuf_begin() and protobuf_end() */
void protobuf_packed(struct writer *w, uint64_t v);

/* A message, or a packed field: what is written until protobuf_end() is in it. */
static inline size_t protobuf_begin(struct writer *w, unsigned int field)
{
	/* most have a length of one byte: it is written when it is known */
	protobuf_put(w, protobuf_tag(field, PROTOBUF_LENGTH), 0);
	return w->len;
}

/* the length takes more than the byte that was left for it */
void protobuf_end_long(struct writer *w, size_t begun);

static inline void protobuf_end(struct writer *w, size_t begun)
{
	const size_t len = w->len - begun;

	if (len > 0x7f)
		protobuf_end_long(w, begun);
	else if (!w->failed)
		w->data[begun - 1] = (uint8_t)len;
}
