/*
 * Bounded reader over bytes from outside. It cannot run over: a read past the end returns zero
 * and sets `failed`, which sticks; a decoder reads its whole layout and asks once. What decoders
 * call for nearly every byte is inline.
 */
#pragma once

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cursor {
	const uint8_t *data; /* borrowed */
	size_t len;
	size_t pos;
	bool failed;
};

static inline struct cursor cursor_of(const void *data, size_t len)
{
	assert(data || len == 0);
	return (struct cursor){ .data = data, .len = len };
}

static inline size_t cursor_left(const struct cursor *c)
{
	return c->failed ? 0 : c->len - c->pos;
}

/* nothing failed */
static inline bool cursor_ok(const struct cursor *c)
{
	return !c->failed;
}

/* nothing failed and nothing is left */
static inline bool cursor_at_end(const struct cursor *c)
{
	return !c->failed && c->pos == c->len;
}

/* pointer to n bytes inside the data, or NULL and failed */
static inline const uint8_t *cursor_bytes(struct cursor *c, size_t n)
{
	/* data may be NULL; NULL here would read as a failure */
	static const uint8_t nothing[1];
	const uint8_t *bytes;

	if (cursor_left(c) < n || c->failed) {
		c->failed = true;
		return NULL;
	}
	if (n == 0 && !c->data)
		return nothing;
	bytes = c->data + c->pos;
	c->pos += n;
	return bytes;
}

static inline void cursor_skip(struct cursor *c, size_t n)
{
	(void)cursor_bytes(c, n);
}

/* a cursor over the next n bytes; an empty failed one if there are fewer (c fails too) */
static inline struct cursor cursor_sub(struct cursor *c, size_t n)
{
	const uint8_t *bytes = cursor_bytes(c, n);

	/* one expression: of two, a compiler makes a copy in memory, which has to be waited for */
	return (struct cursor){ .data = bytes, .len = bytes ? n : 0, .failed = !bytes };
}

static inline uint8_t cursor_u8(struct cursor *c)
{
	const uint8_t *b = cursor_bytes(c, 1);

	return b ? b[0] : 0;
}

static inline uint16_t cursor_be16(struct cursor *c)
{
	const uint8_t *b = cursor_bytes(c, 2);

	if (!b)
		return 0;
	return (uint16_t)(b[0] << 8 | b[1]);
}

static inline uint32_t cursor_be32(struct cursor *c)
{
	const uint8_t *b = cursor_bytes(c, 4);

	return b ? (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3] : 0;
}

static inline uint64_t cursor_be64(struct cursor *c)
{
	const uint8_t *b = cursor_bytes(c, 8);

	if (!b)
		return 0;
	return (uint64_t)b[0] << 56 | (uint64_t)b[1] << 48 | (uint64_t)b[2] << 40 |
	       (uint64_t)b[3] << 32 | (uint64_t)b[4] << 24 | (uint64_t)b[5] << 16 |
	       (uint64_t)b[6] << 8 | b[7];
}

uint16_t cursor_le16(struct cursor *c);
uint32_t cursor_le24(struct cursor *c);
uint32_t cursor_le32(struct cursor *c);
uint64_t cursor_le64(struct cursor *c);
uint32_t cursor_be24(struct cursor *c);
