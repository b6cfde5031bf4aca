/*
 * Bounded reader over bytes from outside. It cannot run over: a read past the end returns zero
 * and sets `failed`, which sticks; a decoder reads its whole layout and asks once.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cursor {
	const uint8_t *data; /* borrowed */
	size_t len;
	size_t pos;
	bool failed;
};

struct cursor cursor_of(const void *data, size_t len);
size_t cursor_left(const struct cursor *c);
bool cursor_ok(const struct cursor *c);     /* nothing failed */
bool cursor_at_end(const struct cursor *c); /* nothing failed and nothing is left */
/* pointer to n bytes inside the data, or NULL and failed */
const uint8_t *cursor_bytes(struct cursor *c, size_t n);
void cursor_skip(struct cursor *c, size_t n);
/* a cursor over the next n bytes; an empty failed one if there are fewer (c fails too) */
struct cursor cursor_sub(struct cursor *c, size_t n);

uint8_t cursor_u8(struct cursor *c);
uint16_t cursor_le16(struct cursor *c);
uint32_t cursor_le24(struct cursor *c);
uint32_t cursor_le32(struct cursor *c);
uint64_t cursor_le64(struct cursor *c);
uint16_t cursor_be16(struct cursor *c);
uint32_t cursor_be24(struct cursor *c);
uint32_t cursor_be32(struct cursor *c);
uint64_t cursor_be64(struct cursor *c);
