#include "protocols/dfu/smp.h"

#include <errno.h>
#include <string.h>

#include "protocols/bytes/cursor.h"
#include "protocols/dfu/cbor.h"

int smp_header_decode(const uint8_t *data, size_t len, struct smp_header *ret)
{
	struct cursor c = cursor_of(data, len);
	uint8_t first = cursor_u8(&c);
	struct smp_header h = { .op = first & 7, .version = (first >> 3) & 3 };

	h.flags = cursor_u8(&c);
	h.len = cursor_be16(&c);
	h.group = cursor_be16(&c);
	h.sequence = cursor_u8(&c);
	h.id = cursor_u8(&c);
	if (!cursor_ok(&c))
		return -EMSGSIZE;
	*ret = h;
	return 0;
}

void smp_header_encode(const struct smp_header *h, struct writer *w)
{
	writer_u8(w, (uint8_t)(h->version << 3 | h->op));
	writer_u8(w, h->flags);
	writer_be16(w, h->len);
	writer_be16(w, h->group);
	writer_u8(w, h->sequence);
	writer_u8(w, h->id);
}

struct dfu_version smp_version_decode(const uint8_t *text, size_t len)
{
	const struct dfu_version unknown = { 0 };
	struct dfu_version v = { .known = true };
	size_t part = 0, digits = 0;

	for (size_t i = 0; i < len; i++) {
		if (text[i] >= '0' && text[i] <= '9' && digits < 9) {
			v.part[part] = v.part[part] * 10 + (uint32_t)(text[i] - '0');
			digits++;
		} else if (text[i] == '.' && digits != 0 && part < 3) {
			part++;
			digits = 0;
		} else {
			return unknown;
		}
	}
	return digits != 0 ? v : unknown;
}

static int take_number(struct cursor *c, uint32_t *ret)
{
	struct cbor_item item;
	int r = cbor_next(c, &item);

	if (r < 0)
		return r;
	if (item.type != CBOR_UNSIGNED || item.value > UINT32_MAX)
		return -ERANGE;
	*ret = (uint32_t)item.value;
	return 0;
}

static int take_bool(struct cursor *c, bool *ret)
{
	struct cbor_item item;
	int r = cbor_next(c, &item);

	if (r < 0)
		return r;
	if (item.type != CBOR_SIMPLE || (item.value != 20 && item.value != 21))
		return -ERANGE;
	*ret = item.value == 21;
	return 0;
}

static int take_item(struct cursor *c, enum cbor_type type, struct cbor_item *ret)
{
	int r = cbor_next(c, ret);

	if (r < 0)
		return r;
	return ret->type == type ? 0 : -ERANGE;
}

/* Keys are text: what else a key may be in CBOR has contents of its own. */
static int take_key_name(struct cursor *c, struct cbor_item *ret)
{
	return take_item(c, CBOR_TEXT, ret);
}

/* {"group": 1, "rc": 27} */
static int take_error(struct cursor *c, struct smp_answer *a)
{
	struct cbor_item map, key;
	int r = take_item(c, CBOR_MAP, &map);

	while (r == 0 && cbor_more(c, &map)) {
		r = take_key_name(c, &key);
		if (r < 0)
			return r;
		if (cbor_is(&key, "group"))
			r = take_number(c, &a->rc_group);
		else if (cbor_is(&key, "rc"))
			r = take_number(c, &a->rc);
		else
			r = cbor_skip(c);
	}
	return r;
}

struct entry {
	uint32_t image, slot;
	bool has_slot;
	struct smp_image is;
};

static int take_hash(struct cursor *c, struct smp_image *image)
{
	struct cbor_item item;
	int r = cbor_next(c, &item);

	if (r < 0)
		return r;
	if (item.type != CBOR_BYTES)
		return -ERANGE;
	image->has_hash = item.len == DFU_HASH_SIZE;
	if (image->has_hash)
		memcpy(image->hash, item.bytes, DFU_HASH_SIZE);
	return 0;
}

static int take_version(struct cursor *c, struct smp_image *image)
{
	struct cbor_item item;
	int r = cbor_next(c, &item);

	if (r < 0)
		return r;
	if (item.type != CBOR_TEXT)
		return -ERANGE;
	image->version = smp_version_decode(item.bytes, item.len);
	return 0;
}

static int take_entry_key(struct cursor *c, const struct cbor_item *key, struct entry *e)
{
	if (cbor_is(key, "image"))
		return take_number(c, &e->image);
	if (cbor_is(key, "slot")) {
		e->has_slot = true;
		return take_number(c, &e->slot);
	}
	if (cbor_is(key, "hash"))
		return take_hash(c, &e->is);
	if (cbor_is(key, "version"))
		return take_version(c, &e->is);
	if (cbor_is(key, "pending"))
		return take_bool(c, &e->is.pending);
	if (cbor_is(key, "confirmed"))
		return take_bool(c, &e->is.confirmed);
	if (cbor_is(key, "active"))
		return take_bool(c, &e->is.active);
	if (cbor_is(key, "permanent"))
		return take_bool(c, &e->is.permanent);
	return cbor_skip(c);
}

static int take_images(struct cursor *c, struct smp_answer *a)
{
	struct cbor_item list, map, key;
	struct entry e;
	int r = take_item(c, CBOR_ARRAY, &list);

	while (r == 0 && cbor_more(c, &list)) {
		e = (struct entry){ .is.present = true };
		r = take_item(c, CBOR_MAP, &map);
		while (r == 0 && cbor_more(c, &map)) {
			r = take_key_name(c, &key);
			if (r == 0)
				r = take_entry_key(c, &key, &e);
		}
		if (r == 0 && e.has_slot && e.image == 0 && e.slot < SMP_SLOTS)
			a->slot[e.slot] = e.is;
	}
	return r;
}

static int take_key(struct cursor *c, const struct cbor_item *key, struct smp_answer *a)
{
	if (cbor_is(key, "rc"))
		return take_number(c, &a->rc);
	if (cbor_is(key, "err"))
		return take_error(c, a);
	if (cbor_is(key, "off")) {
		a->has_offset = true;
		return take_number(c, &a->offset);
	}
	if (cbor_is(key, "buf_size")) {
		a->has_buffer = true;
		return take_number(c, &a->buffer);
	}
	if (cbor_is(key, "match")) {
		a->has_match = true;
		return take_bool(c, &a->match);
	}
	if (cbor_is(key, "images"))
		return take_images(c, a);
	return cbor_skip(c);
}

int smp_answer_decode(const uint8_t *data, size_t len, struct smp_answer *ret)
{
	struct cursor c = cursor_of(data, len);
	struct smp_answer a = { 0 };
	struct cbor_item map, key;
	int r;

	r = cbor_next(&c, &map);
	if (r < 0)
		return r;
	if (map.type != CBOR_MAP)
		return -EBADMSG;
	while (cbor_more(&c, &map)) {
		r = take_key_name(&c, &key);
		if (r == 0)
			r = take_key(&c, &key, &a);
		if (r < 0)
			return r;
	}
	if (!cursor_at_end(&c))
		return -EBADMSG;
	*ret = a;
	return 0;
}
