/*
 * pcapng: a chain of blocks. Read are the section header, interface descriptions (link type and
 * the resolution of its clock), enhanced and simple packets; every other block is stepped over.
 *
 *   block   type 32  total length 32  body (padded to 32 bits)  total length 32
 *
 * A section decides the byte order of its blocks and numbers its own interfaces. Simple packet
 * blocks carry no time: theirs is that of the packet before them.
 * Source: draft-ietf-opsawg-pcapng.
 */
#include <errno.h>
#include <string.h>

#include "protocols/capture/packets_format.h"

#define BLOCK_SECTION    UINT32_C(0x0a0d0d0a) /* reads the same in both byte orders */
#define BLOCK_INTERFACE  1
#define BLOCK_SIMPLE     3
#define BLOCK_ENHANCED   6
#define BYTE_ORDER_MAGIC UINT32_C(0x1a2b3c4d)

#define BLOCK_MIN     12 /* type and both lengths */
#define BLOCK_HEADER  8
#define BLOCK_TRAILER 4
#define SECTION_MIN   28

#define OPTION_END        0
#define OPTION_RESOLUTION 9
#define OPTION_OFFSET     14
#define RESOLUTION_BINARY 0x80 /* power of two instead of ten */

static uint16_t u16(const struct packets *p, struct cursor *c)
{
	return p->big_endian ? cursor_be16(c) : cursor_le16(c);
}

static uint32_t u32(const struct packets *p, struct cursor *c)
{
	return p->big_endian ? cursor_be32(c) : cursor_le32(c);
}

static uint64_t u64(const struct packets *p, struct cursor *c)
{
	return p->big_endian ? cursor_be64(c) : cursor_le64(c);
}

bool pcapng_recognise(const uint8_t *data, size_t len)
{
	struct cursor c = cursor_of(data, len);

	return cursor_be32(&c) == BLOCK_SECTION;
}

int pcapng_begin(struct packets *p, const uint8_t *data, size_t len)
{
	if (len < SECTION_MIN || !pcapng_recognise(data, len))
		return packets_fail(p, -EBADMSG, "the pcapng section header is cut short");
	p->format = PACKETS_PCAPNG;
	return 0; /* the section header is the first block */
}

/* the byte order stands behind the two fields that are read with it */
static int section_order(struct packets *p, const uint8_t *view, size_t len)
{
	struct cursor c = cursor_of(view, len);
	uint32_t magic;

	cursor_skip(&c, BLOCK_HEADER);
	magic = cursor_be32(&c);
	p->big_endian = magic == BYTE_ORDER_MAGIC;
	if (p->big_endian)
		return 0;
	c = cursor_of(view, len);
	cursor_skip(&c, BLOCK_HEADER);
	if (cursor_le32(&c) != BYTE_ORDER_MAGIC)
		return packets_fail(p, -EBADMSG, "a section without byte order");
	return 0;
}

static int read_section(struct packets *p, struct cursor *body)
{
	uint16_t major;

	cursor_skip(body, sizeof(uint32_t)); /* byte order, known by now */
	major = u16(p, body);
	if (!cursor_ok(body))
		return packets_fail(p, -EBADMSG, "the section header is cut short");
	if (major != 1)
		return packets_fail_value(p, -EPROTONOSUPPORT, "unknown pcapng version", major);
	p->n_interfaces = 0;
	return 0;
}

/* 10^-n or 2^-n seconds; 0 if finer than anything that fits */
static uint64_t resolution(uint8_t value)
{
	uint64_t ticks = 1;
	const uint8_t power = value & (uint8_t)~RESOLUTION_BINARY;

	if ((value & RESOLUTION_BINARY) != 0)
		return power < 60 ? UINT64_C(1) << power : 0;
	if (power > 18)
		return 0;
	for (uint8_t i = 0; i < power; i++)
		ticks *= 10;
	return ticks;
}

static int read_options(struct packets *p, struct cursor *c, struct packets_interface *interface)
{
	while (cursor_left(c) > 0) {
		const uint16_t code = u16(p, c), length = u16(p, c);
		struct cursor value = cursor_sub(c, length);

		cursor_skip(c, (size_t)(-length & 3));
		if (code == OPTION_END)
			break;
		if (code == OPTION_RESOLUTION)
			interface->ticks_per_second = resolution(cursor_u8(&value));
		if (code == OPTION_OFFSET)
			interface->offset_s = (int64_t)u64(p, &value);
		if (!cursor_ok(c) || !cursor_ok(&value))
			return packets_fail(p, -EBADMSG, "an option runs over its block");
	}
	if (interface->ticks_per_second == 0)
		return packets_fail(p, -EBADMSG, "a time resolution that does not exist");
	return 0;
}

static int read_interface(struct packets *p, struct cursor *body)
{
	struct packets_interface interface = { .ticks_per_second = 1000000 };
	const uint16_t linktype = u16(p, body);
	int r;

	cursor_skip(body, 2 + 4); /* reserved, snapshot length */
	if (!cursor_ok(body))
		return packets_fail(p, -EBADMSG, "an interface description is cut short");
	interface.layer = packets_link_layer(linktype);
	r = read_options(p, body, &interface);
	if (r < 0)
		return r;
	if (p->n_interfaces == PACKETS_INTERFACES_MAX)
		return packets_fail_limit(p, "number of interfaces", p->n_interfaces + 1,
					  PACKETS_INTERFACES_MAX);
	p->interfaces[p->n_interfaces++] = interface; /* other link layers keep their number */
	return 0;
}

static int take_data(struct packets *p, struct cursor *body, uint32_t included, uint32_t original,
		     struct packets_record *ret)
{
	const size_t left = cursor_left(body);

	if (included > PACKETS_RECORD_MAX)
		return packets_fail_limit(p, "length", included, PACKETS_RECORD_MAX);
	if (included > original)
		return packets_fail_limit(p, "included length", included, original);
	if (included > left)
		return packets_fail_limit(p, "length", included, left);
	ret->data = cursor_bytes(body, included);
	ret->len = included;
	ret->cut = included < original;
	return ret->interface->layer != 0; /* packets of other link layers are stepped over */
}

static int read_enhanced(struct packets *p, struct cursor *body, struct packets_record *ret)
{
	const uint32_t number = u32(p, body);
	const uint64_t high = u32(p, body), low = u32(p, body);
	const uint32_t included = u32(p, body), original = u32(p, body);

	if (!cursor_ok(body))
		return packets_fail(p, -EBADMSG, "a packet block is cut short");
	if (number >= p->n_interfaces)
		return packets_fail_value(p, -EBADMSG, "a packet of an undescribed interface",
					  number);
	ret->interface = &p->interfaces[number];
	if (packets_time(ret->interface, high << 32 | low, &ret->at_us) < 0)
		return packets_fail(p, -EBADMSG, "the time stamp is after 9999");
	p->last_us = ret->at_us;
	return take_data(p, body, included, original, ret);
}

static int read_simple(struct packets *p, struct cursor *body, struct packets_record *ret)
{
	const uint32_t original = u32(p, body);
	const size_t left = cursor_left(body);

	if (!cursor_ok(body))
		return packets_fail(p, -EBADMSG, "a packet block is cut short");
	if (p->n_interfaces == 0)
		return packets_fail(p, -EBADMSG, "a packet of an undescribed interface");
	ret->interface = &p->interfaces[0];
	ret->at_us = p->last_us;
	return take_data(p, body, original < left ? original : (uint32_t)left, original, ret);
}

static int read_block(struct packets *p, uint32_t type, struct cursor *body,
		      struct packets_record *ret)
{
	switch (type) {
	case BLOCK_SECTION:
		return read_section(p, body);
	case BLOCK_INTERFACE:
		return read_interface(p, body);
	case BLOCK_ENHANCED:
		return read_enhanced(p, body, ret);
	case BLOCK_SIMPLE:
		return read_simple(p, body, ret);
	default:
		return 0;
	}
}

static bool is_read(uint32_t type)
{
	return type == BLOCK_SECTION || type == BLOCK_INTERFACE || type == BLOCK_ENHANCED ||
	       type == BLOCK_SIMPLE;
}

/* A block that is not read may be longer than any view; its end is checked when it is reached. */
static int check_length(struct packets *p, uint32_t type, uint32_t total, size_t len)
{
	if (total < BLOCK_MIN || total % 4 != 0)
		return packets_fail_value(p, -EBADMSG, "a block of impossible length", total);
	if (is_read(type) && total > PACKETS_VIEW_MIN)
		return packets_fail_limit(p, "block length", total, PACKETS_VIEW_MIN);
	if (total > len && (is_read(type) || len < PACKETS_VIEW_MIN))
		return packets_fail_limit(p, "the file ends inside a block: length", total, len);
	return 0;
}

int pcapng_next(struct packets *p, const uint8_t *view, size_t len, struct packets_record *ret)
{
	struct cursor c = cursor_of(view, len), body, end;
	const uint64_t begin = p->offset;
	uint32_t type, total;
	int r;

	if (pcapng_recognise(view, len)) {
		r = section_order(p, view, len);
		if (r < 0)
			return r;
	}
	type = u32(p, &c);
	total = u32(p, &c);
	if (!cursor_ok(&c))
		return packets_fail(p, -EBADMSG, "the file ends inside a block header");
	r = check_length(p, type, total, len);
	if (r < 0)
		return r;
	if (is_read(type)) {
		body = cursor_sub(&c, total - BLOCK_MIN);
		end = cursor_sub(&c, BLOCK_TRAILER);
		if (u32(p, &end) != total)
			return packets_fail(p, -EBADMSG, "a block's two lengths differ");
		r = read_block(p, type, &body, ret);
		if (r < 0)
			return r;
	}
	p->offset = begin + total;
	return r;
}
