#include "protocols/dfu/cbor.h"

#include <errno.h>
#include <string.h>

#define LENGTH_1       24 /* additional information: one more byte, and so on */
#define LENGTH_8       27
#define LENGTH_ENDLESS 31

static int argument(struct cursor *c, uint8_t information, uint64_t *ret)
{
	if (information < LENGTH_1)
		*ret = information;
	else if (information == LENGTH_1)
		*ret = cursor_u8(c);
	else if (information == 25)
		*ret = cursor_be16(c);
	else if (information == 26)
		*ret = cursor_be32(c);
	else if (information == LENGTH_8)
		*ret = cursor_be64(c);
	else
		return -EBADMSG;
	return cursor_ok(c) ? 0 : -EBADMSG;
}

static int endless(struct cbor_item *item)
{
	if (item->type == CBOR_SIMPLE)
		item->type = CBOR_BREAK;
	else if (item->type != CBOR_ARRAY && item->type != CBOR_MAP)
		return -EBADMSG; /* strings in pieces: nobody sends them here */
	item->endless = item->type != CBOR_BREAK;
	return 0;
}

int cbor_next(struct cursor *c, struct cbor_item *ret)
{
	uint8_t head = cursor_u8(c);
	struct cbor_item item = { .type = (enum cbor_type)(head >> 5) };
	int r;

	if (!cursor_ok(c))
		return -EBADMSG;
	if ((head & 0x1f) == LENGTH_ENDLESS)
		r = endless(&item);
	else
		r = argument(c, head & 0x1f, &item.value);
	if (r < 0)
		return r;
	if (item.type == CBOR_BYTES || item.type == CBOR_TEXT) {
		if (item.value > cursor_left(c))
			return -EBADMSG;
		item.len = (size_t)item.value;
		item.bytes = cursor_bytes(c, item.len);
	}
	*ret = item;
	return 0;
}

bool cbor_more(struct cursor *c, struct cbor_item *list)
{
	if (!list->endless)
		return list->value != 0 && list->value-- != 0;
	if (cursor_left(c) != 0 && c->data[c->pos] == 0xff) {
		cursor_skip(c, 1);
		list->endless = false;
		list->value = 0;
		return false;
	}
	return true; /* at the end of the bytes the next one fails */
}

/* how many items follow, per level */
struct levels {
	struct cbor_item open[CBOR_DEPTH_MAX];
	size_t n;
};

static int open_level(struct levels *l, const struct cbor_item *item)
{
	struct cbor_item list = *item;

	if (l->n == CBOR_DEPTH_MAX)
		return -E2BIG;
	if (list.type == CBOR_TAG)
		list.value = 1;
	else if (list.type == CBOR_MAP && !list.endless) {
		if (list.value > UINT32_MAX)
			return -EBADMSG;
		list.value *= 2;
	}
	l->open[l->n++] = list;
	return 0;
}

int cbor_skip(struct cursor *c)
{
	struct levels l = { .n = 0 };
	struct cbor_item item;
	int r;

	do {
		r = cbor_next(c, &item);
		if (r < 0)
			return r;
		if (item.type == CBOR_BREAK)
			return -EBADMSG;
		if (item.type == CBOR_ARRAY || item.type == CBOR_MAP || item.type == CBOR_TAG) {
			r = open_level(&l, &item);
			if (r < 0)
				return r;
		}
		while (l.n != 0 && !cbor_more(c, &l.open[l.n - 1]))
			l.n--;
	} while (l.n != 0);
	return 0;
}

bool cbor_is(const struct cbor_item *item, const char *text)
{
	size_t len = strlen(text);

	return item->type == CBOR_TEXT && item->len == len && memcmp(item->bytes, text, len) == 0;
}

void cbor_put_head(struct writer *w, enum cbor_type type, uint64_t value)
{
	uint8_t major = (uint8_t)((unsigned int)type << 5);

	if (value < LENGTH_1) {
		writer_u8(w, (uint8_t)(major | value));
	} else if (value <= UINT8_MAX) {
		writer_u8(w, major | LENGTH_1);
		writer_u8(w, (uint8_t)value);
	} else if (value <= UINT16_MAX) {
		writer_u8(w, major | 25);
		writer_be16(w, (uint16_t)value);
	} else if (value <= UINT32_MAX) {
		writer_u8(w, major | 26);
		writer_be32(w, (uint32_t)value);
	} else {
		writer_u8(w, major | LENGTH_8);
		writer_be64(w, value);
	}
}

void cbor_put_text(struct writer *w, const char *text)
{
	cbor_put_head(w, CBOR_TEXT, strlen(text));
	writer_bytes(w, text, strlen(text));
}

void cbor_put_bytes(struct writer *w, const void *data, size_t len)
{
	cbor_put_head(w, CBOR_BYTES, len);
	writer_bytes(w, data, len);
}

void cbor_put_bool(struct writer *w, bool value)
{
	cbor_put_head(w, CBOR_SIMPLE, value ? 21 : 20);
}
