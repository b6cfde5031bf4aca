#include "protocols/bytes/cursor.h"

#include <assert.h>

struct cursor cursor_of(const void *data, size_t len)
{
	assert(data || len == 0);
	return (struct cursor){ .data = data, .len = len };
}

size_t cursor_left(const struct cursor *c)
{
	return c->failed ? 0 : c->len - c->pos;
}

bool cursor_ok(const struct cursor *c)
{
	return !c->failed;
}

bool cursor_at_end(const struct cursor *c)
{
	return !c->failed && c->pos == c->len;
}

const uint8_t *cursor_bytes(struct cursor *c, size_t n)
{
	static const uint8_t nothing[1]; /* data may be NULL; NULL here would read as a failure */
	const uint8_t *bytes;

	if (cursor_left(c) < n || c->failed) {
		c->failed = true;
		return NULL;
	}
	bytes = c->data ? c->data + c->pos : nothing;
	c->pos += n;
	return bytes;
}

void cursor_skip(struct cursor *c, size_t n)
{
	(void)cursor_bytes(c, n);
}

struct cursor cursor_sub(struct cursor *c, size_t n)
{
	const uint8_t *bytes = cursor_bytes(c, n);

	if (!bytes)
		return (struct cursor){ .failed = true };
	return cursor_of(bytes, n);
}

uint8_t cursor_u8(struct cursor *c)
{
	const uint8_t *b = cursor_bytes(c, 1);

	return b ? b[0] : 0;
}

uint16_t cursor_le16(struct cursor *c)
{
	const uint8_t *b = cursor_bytes(c, 2);

	if (!b)
		return 0;
	return (uint16_t)(b[0] | b[1] << 8);
}

uint32_t cursor_le24(struct cursor *c)
{
	const uint8_t *b = cursor_bytes(c, 3);

	return b ? b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 : 0;
}

uint32_t cursor_le32(struct cursor *c)
{
	const uint8_t *b = cursor_bytes(c, 4);

	return b ? b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24 : 0;
}

uint64_t cursor_le64(struct cursor *c)
{
	const uint8_t *b = cursor_bytes(c, 8);
	uint64_t v = 0;

	for (unsigned int i = 0; b && i < 8; i++)
		v |= (uint64_t)b[i] << (8 * i);
	return v;
}

uint16_t cursor_be16(struct cursor *c)
{
	const uint8_t *b = cursor_bytes(c, 2);

	if (!b)
		return 0;
	return (uint16_t)(b[0] << 8 | b[1]);
}

uint32_t cursor_be24(struct cursor *c)
{
	const uint8_t *b = cursor_bytes(c, 3);

	return b ? (uint32_t)b[0] << 16 | (uint32_t)b[1] << 8 | b[2] : 0;
}

uint32_t cursor_be32(struct cursor *c)
{
	const uint8_t *b = cursor_bytes(c, 4);

	return b ? (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3] : 0;
}

uint64_t cursor_be64(struct cursor *c)
{
	const uint8_t *b = cursor_bytes(c, 8);
	uint64_t v = 0;

	for (unsigned int i = 0; b && i < 8; i++)
		v = v << 8 | b[i];
	return v;
}
