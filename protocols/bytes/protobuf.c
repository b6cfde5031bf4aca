#include "protocols/bytes/protobuf.h"

#include <string.h>

enum wire_type {
	WIRE_VARINT = 0,
	WIRE_LENGTH = 2, /* its length, and as many bytes */
};

/* bytes of a varint: seven bits in each; most numbers need one */
static size_t varint_size(uint64_t v)
{
	return v <= 0x7f ? 1 : (size_t)(63 - __builtin_clzll(v)) / 7 + 1;
}

/* the end of what it wrote */
static uint8_t *write_varint(uint8_t *room, uint64_t v)
{
	for (; v > 0x7f; v >>= 7)
		*room++ = (uint8_t)(v | 0x80);
	*room++ = (uint8_t)v;
	return room;
}

static uint64_t tag(unsigned int field, enum wire_type type)
{
	return (uint64_t)field << 3 | type;
}

static void put_two(struct writer *w, uint64_t first, uint64_t second)
{
	uint8_t *room = writer_room(w, varint_size(first) + varint_size(second));

	if (room)
		(void)write_varint(write_varint(room, first), second);
}

void protobuf_uint(struct writer *w, unsigned int field, uint64_t v)
{
	put_two(w, tag(field, WIRE_VARINT), v);
}

void protobuf_sint(struct writer *w, unsigned int field, int64_t v)
{
	/* zigzag: numbers near zero are short, whatever their sign */
	protobuf_uint(w, field, (uint64_t)v << 1 ^ (v < 0 ? UINT64_MAX : 0));
}

void protobuf_bytes(struct writer *w, unsigned int field, const void *data, size_t n)
{
	put_two(w, tag(field, WIRE_LENGTH), n);
	if (n > 0)
		writer_bytes(w, data, n);
}

void protobuf_packed(struct writer *w, uint64_t v)
{
	uint8_t *room = writer_room(w, varint_size(v));

	if (room)
		(void)write_varint(room, v);
}

size_t protobuf_begin(struct writer *w, unsigned int field)
{
	/* most have a length of one byte: it is written when it is known */
	put_two(w, tag(field, WIRE_LENGTH), 0);
	return w->len;
}

void protobuf_end(struct writer *w, size_t begun)
{
	const size_t len = w->len - begun, more = varint_size(len) - 1;

	(void)writer_room(w, more);
	if (w->failed || !w->data)
		return;
	if (more > 0)
		memmove(w->data + begun + more, w->data + begun, len);
	(void)write_varint(w->data + begun - 1, len);
}
