/*
 * Bounded writer, the mirror of cursor.h: a write past the end sets `failed`, which sticks. What is
 * called for nearly every byte that is sent often is inline.
 */
#pragma once

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct writer {
	uint8_t *data; /* borrowed */
	size_t size;
	size_t len;
	bool failed;
};

static inline struct writer writer_of(void *data, size_t size)
{
	assert(data || size == 0);
	return (struct writer){ .data = data, .size = size };
}

static inline bool writer_ok(const struct writer *w)
{
	return !w->failed;
}

/* where the next n bytes go, for the caller to write all of them; NULL: failed, or n is 0 */
static inline uint8_t *writer_room(struct writer *w, size_t n)
{
	uint8_t *room;

	if (w->failed || w->size - w->len < n) {
		w->failed = true;
		return NULL;
	}
	if (n == 0)
		return NULL;
	room = w->data + w->len;
	w->len += n;
	return room;
}

static inline void writer_u8(struct writer *w, uint8_t v)
{
	uint8_t *room = writer_room(w, 1);

	if (room)
		room[0] = v;
}

static inline void writer_be16(struct writer *w, uint16_t v)
{
	uint8_t *room = writer_room(w, 2);

	if (!room)
		return;
	room[0] = (uint8_t)(v >> 8);
	room[1] = (uint8_t)v;
}

static inline void writer_put_be32(uint8_t room[4], uint32_t v)
{
	room[0] = (uint8_t)(v >> 24);
	room[1] = (uint8_t)(v >> 16);
	room[2] = (uint8_t)(v >> 8);
	room[3] = (uint8_t)v;
}

static inline void writer_be32(struct writer *w, uint32_t v)
{
	uint8_t *room = writer_room(w, 4);

	if (room)
		writer_put_be32(room, v);
}

static inline void writer_be64(struct writer *w, uint64_t v)
{
	uint8_t *room = writer_room(w, 8);

	if (!room)
		return;
	writer_put_be32(room, (uint32_t)(v >> 32));
	writer_put_be32(room + 4, (uint32_t)v);
}

static inline void writer_bytes(struct writer *w, const void *data, size_t n)
{
	uint8_t *room = writer_room(w, n);

	if (room)
		memcpy(room, data, n);
}

void writer_le16(struct writer *w, uint16_t v);
void writer_le24(struct writer *w, uint32_t v);
void writer_le32(struct writer *w, uint32_t v);
void writer_le64(struct writer *w, uint64_t v);
void writer_be24(struct writer *w, uint32_t v);
