#include "protocols/bytes/protobuf.h"

#include <string.h>

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

void protobuf_put_long(struct writer *w, uint64_t tag, uint64_t v)
{
	uint8_t *room = writer_room(w, varint_size(tag) + varint_size(v));

	if (room)
		(void)write_varint(write_varint(room, tag), v);
}

void protobuf_bytes(struct writer *w, unsigned int field, const void *data, size_t n)
{
	protobuf_put(w, protobuf_tag(field, PROTOBUF_LENGTH), n);
	if (n > 0)
		writer_bytes(w, data, n);
}

void protobuf_packed(struct writer *w, uint64_t v)
{
	uint8_t *room = writer_room(w, varint_size(v));

	if (room)
		(void)write_varint(room, v);
}

void protobuf_end_long(struct writer *w, size_t begun)
{
	const size_t len = w->len - begun, more = varint_size(len) - 1;

	(void)writer_room(w, more);
	if (w->failed || !w->data)
		return;
	if (more > 0)
		memmove(w->data + begun + more, w->data + begun, len);
	(void)write_varint(w->data + begun - 1, len);
}
