/*
 * The part of CBOR that SMP uses (RFC 8949): integers, strings, booleans, arrays, maps. Strings in
 * pieces, tags and floating point are skipped or refused; nothing is recursive, nothing copied.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "protocols/bytes/cursor.h"
#include "protocols/bytes/writer.h"

enum cbor_type { /* major types, section 3.1 */
	CBOR_UNSIGNED = 0,
	CBOR_NEGATIVE = 1, /* -1 - value */
	CBOR_BYTES = 2,
	CBOR_TEXT = 3,
	CBOR_ARRAY = 4,
	CBOR_MAP = 5,
	CBOR_TAG = 6,
	CBOR_SIMPLE = 7, /* value 20 false, 21 true, 22 null; floats: their bits */
	CBOR_BREAK = 8,
};

#define CBOR_DEPTH_MAX 8

struct cbor_item {
	enum cbor_type type;
	uint64_t value;       /* the number; items of an array, pairs of a map */
	bool endless;         /* array or map that ends with CBOR_BREAK */
	const uint8_t *bytes; /* strings; borrowed */
	size_t len;
};

/* One head, with its bytes if it is a string. -EBADMSG cut off or not well formed */
int cbor_next(struct cursor *c, struct cbor_item *ret);
/* One whole item with all that is in it. -EBADMSG as above, -E2BIG deeper than CBOR_DEPTH_MAX */
int cbor_skip(struct cursor *c);
/* In an array or map that was just opened: is there one more? Takes the break of an endless one. */
bool cbor_more(struct cursor *c, struct cbor_item *list);
/* a text string with exactly these letters */
bool cbor_is(const struct cbor_item *item, const char *text);

/* Shortest form; the caller writes as many items as it said. */
void cbor_put_head(struct writer *w, enum cbor_type type, uint64_t value);
void cbor_put_text(struct writer *w, const char *text);
void cbor_put_bytes(struct writer *w, const void *data, size_t len);
void cbor_put_bool(struct writer *w, bool value);
