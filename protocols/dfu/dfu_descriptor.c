#include "protocols/dfu/dfu_descriptor.h"

#include <errno.h>
#include <string.h>

#include "protocols/bytes/cursor.h"

#define DESCRIPTOR_INTERFACE  4
#define DESCRIPTOR_FUNCTIONAL 0x21
#define CLASS_APPLICATION     0xfe
#define SUBCLASS_DFU          1

/* an interface descriptor, behind its length and type; false: not DFU, or another setting */
static bool interface_is(struct cursor c, uint8_t alternate, struct dfu_usb_facts *f)
{
	uint8_t number = cursor_u8(&c), setting = cursor_u8(&c), protocol;

	cursor_skip(&c, 1);
	if (cursor_u8(&c) != CLASS_APPLICATION || cursor_u8(&c) != SUBCLASS_DFU)
		return false;
	protocol = cursor_u8(&c);
	f->interface = number;
	f->alternate = setting;
	f->name = cursor_u8(&c);
	f->mode = protocol == 2 ? DFU_MODE_UPDATE : DFU_MODE_APPLICATION;
	return cursor_ok(&c) && setting == alternate && (protocol == 1 || protocol == 2);
}

static bool functional(struct cursor c, struct dfu_usb_facts *f)
{
	f->attributes = cursor_u8(&c);
	f->detach_ms = cursor_le16(&c);
	f->transfer = cursor_le16(&c);
	if (!cursor_ok(&c))
		return false;
	f->dfu = cursor_left(&c) == 0 ? 0x0100 : cursor_le16(&c);
	return cursor_at_end(&c);
}

int dfu_usb_descriptor(const uint8_t *data, size_t len, uint8_t alternate,
		       struct dfu_usb_facts *ret)
{
	struct cursor c = cursor_of(data, len), body;
	struct dfu_usb_facts f = { 0 }, other;
	bool found = false, dfu = false;
	uint8_t size, type;

	while (cursor_left(&c) != 0) {
		size = cursor_u8(&c);
		type = cursor_u8(&c);
		if (size < 2)
			return -EMSGSIZE;
		body = cursor_sub(&c, size - 2u);
		if (!cursor_ok(&c))
			return -EMSGSIZE;
		if (type == DESCRIPTOR_INTERFACE) {
			other = (struct dfu_usb_facts){ 0 };
			dfu = interface_is(body, alternate, found ? &other : &f) || found;
			found = dfu;
		} else if (type == DESCRIPTOR_FUNCTIONAL && found) {
			/* one for all alternate settings, behind the last of them */
			if (!functional(body, &f))
				return -EBADMSG;
			*ret = f;
			return 0;
		}
	}
	return found ? -EBADMSG : -ENOMSG;
}

/* ---- DfuSe's layout in words ---- */

static bool peek(const struct cursor *c, char wanted)
{
	return cursor_left(c) != 0 && c->data[c->pos] == (uint8_t)wanted;
}

static int digit(uint8_t letter, unsigned int base)
{
	int value = -1;

	if (letter >= '0' && letter <= '9')
		value = letter - '0';
	else if (letter >= 'a' && letter <= 'f')
		value = letter - 'a' + 10;
	else if (letter >= 'A' && letter <= 'F')
		value = letter - 'A' + 10;
	return value < (int)base ? value : -1;
}

static int number(struct cursor *c, unsigned int base, uint32_t *ret)
{
	uint64_t value = 0;
	size_t digits = 0;
	int next;

	while (cursor_left(c) != 0 && (next = digit(c->data[c->pos], base)) >= 0) {
		value = value * base + (unsigned int)next;
		if (value > UINT32_MAX)
			return -ERANGE;
		cursor_skip(c, 1);
		digits++;
	}
	if (digits == 0)
		return -EBADMSG;
	*ret = (uint32_t)value;
	return 0;
}

static uint32_t unit(uint8_t letter)
{
	if (letter == 'K')
		return 1024;
	if (letter == 'M')
		return 1024u * 1024u;
	return letter == 'B' || letter == ' ' ? 1 : 0;
}

/* "04*016Kg" at *at, which moves behind it */
static int region(struct cursor *c, uint64_t *at, struct dfuse_layout *l)
{
	uint32_t pages, size, factor;
	uint8_t letter;
	int r;

	r = number(c, 10, &pages);
	if (r < 0)
		return r;
	if (cursor_u8(c) != '*')
		return -EBADMSG;
	r = number(c, 10, &size);
	if (r < 0)
		return r;
	factor = unit(cursor_u8(c));
	letter = cursor_u8(c);
	if (!cursor_ok(c) || factor == 0 || letter < 'a' || letter > 'g')
		return -EBADMSG;
	if (pages == 0 || size == 0 || (uint64_t)size * factor > UINT32_MAX ||
	    *at + (uint64_t)pages * size * factor > (uint64_t)UINT32_MAX + 1)
		return -ERANGE;
	if (l->n == DFUSE_REGIONS_MAX)
		return -E2BIG;
	letter = (uint8_t)(letter - 'a' + 1); /* bits: 1 read, 2 erase, 4 write */
	l->region[l->n++] = (struct dfuse_region){
		.address = (uint32_t)*at,
		.page = size * factor,
		.pages = pages,
		.readable = (letter & 1) != 0,
		.erasable = (letter & 2) != 0,
		.writable = (letter & 4) != 0,
	};
	*at += (uint64_t)pages * size * factor;
	return 0;
}

/* "0x08000000/04*016Kg,01*064Kg" */
static int bank(struct cursor *c, struct dfuse_layout *l)
{
	uint32_t address;
	uint64_t at;
	int r;

	if (cursor_u8(c) != '0' || (cursor_u8(c) | 0x20) != 'x')
		return -EBADMSG;
	r = number(c, 16, &address);
	if (r < 0)
		return r;
	if (cursor_u8(c) != '/')
		return -EBADMSG;
	at = address;
	for (;;) {
		while (peek(c, ' '))
			cursor_skip(c, 1);
		r = region(c, &at, l);
		if (r < 0 || !peek(c, ','))
			return r;
		cursor_skip(c, 1);
	}
}

int dfuse_layout_decode(const char *name, size_t len, struct dfuse_layout *ret)
{
	struct cursor c = cursor_of(name, len);
	struct dfuse_layout l = { 0 };
	int r;

	if (cursor_u8(&c) != '@')
		return -EBADMSG;
	while (cursor_left(&c) != 0 && !peek(&c, '/'))
		cursor_skip(&c, 1);
	while (peek(&c, '/')) {
		cursor_skip(&c, 1);
		r = bank(&c, &l);
		if (r < 0)
			return r;
	}
	while (peek(&c, ' '))
		cursor_skip(&c, 1);
	if (!cursor_at_end(&c) || l.n == 0)
		return -EBADMSG;
	*ret = l;
	return 0;
}

bool dfuse_page_at(const struct dfuse_layout *l, uint32_t address, struct dfuse_region *ret)
{
	for (size_t i = 0; i < l->n; i++) {
		const struct dfuse_region *r = &l->region[i];
		uint64_t size = (uint64_t)r->pages * r->page;

		if (address < r->address || address - r->address >= size)
			continue;
		*ret = *r;
		ret->pages = 1;
		ret->address += (address - r->address) / r->page * r->page;
		return true;
	}
	return false;
}
