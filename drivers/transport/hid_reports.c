#include "drivers/transport/hid_reports.h"

#include <errno.h>
#include <string.h>

#define LONG_ITEM  0xfe
#define STACK_MAX  4
#define BITS_MAX   ((uint32_t)HID_REPORT_MAX * 8)
#define ITEM_INDEX 0xfc /* tag and type, without the length */

enum item {
	ITEM_INPUT = 0x80,
	ITEM_OUTPUT = 0x90,
	ITEM_FEATURE = 0xb0,
	ITEM_REPORT_SIZE = 0x74,
	ITEM_REPORT_ID = 0x84,
	ITEM_REPORT_COUNT = 0x94,
	ITEM_PUSH = 0xa4,
	ITEM_POP = 0xb4
};

struct globals {
	uint32_t size, count;
	uint8_t id;
};

struct parser {
	struct hid_reports reports;
	struct globals now, stack[STACK_MAX];
	size_t depth;
};

static int add_field(struct parser *p, enum hid_kind type)
{
	uint32_t *bits = &p->reports.bits[type][p->now.id];
	const uint64_t more = (uint64_t)p->now.size * p->now.count;

	if (more > BITS_MAX - *bits)
		return -ERANGE;
	*bits += (uint32_t)more;
	return 0;
}

static int push(struct parser *p)
{
	if (p->depth == STACK_MAX)
		return -EBADMSG;
	p->stack[p->depth++] = p->now;
	return 0;
}

static int pop(struct parser *p)
{
	if (p->depth == 0)
		return -EBADMSG;
	p->now = p->stack[--p->depth];
	return 0;
}

static int set_id(struct parser *p, uint32_t value)
{
	if (value == 0 || value > UINT8_MAX)
		return -EBADMSG;
	p->reports.numbered = true;
	p->now.id = (uint8_t)value;
	return 0;
}

static int take_item(struct parser *p, uint8_t item, uint32_t value)
{
	switch (item) {
	case ITEM_INPUT:
		return add_field(p, HID_INPUT);
	case ITEM_OUTPUT:
		return add_field(p, HID_OUTPUT);
	case ITEM_FEATURE:
		return add_field(p, HID_FEATURE);
	case ITEM_REPORT_SIZE:
		p->now.size = value;
		return 0;
	case ITEM_REPORT_COUNT:
		p->now.count = value;
		return 0;
	case ITEM_REPORT_ID:
		return set_id(p, value);
	case ITEM_PUSH:
		return push(p);
	case ITEM_POP:
		return pop(p);
	default:
		return 0; /* usages, ranges, collections */
	}
}

int hid_reports_parse(const uint8_t *data, size_t len, struct hid_reports *ret)
{
	static const size_t lengths[] = { 0, 1, 2, 4 };
	struct parser p = { .depth = 0 };
	size_t at = 0;
	int r = 0;

	if (len > HID_DESCRIPTOR_MAX)
		return -EMSGSIZE;
	while (r == 0 && at < len) {
		const uint8_t head = data[at++];
		const bool is_long = head == LONG_ITEM;
		size_t n = lengths[head & 3];
		uint32_t value = 0;

		if (is_long) /* its length, its tag, its data; none is defined */
			n = at < len ? (size_t)data[at] + 2 : len;
		if (n > len - at)
			return -EBADMSG;
		for (size_t i = 0; i < n && !is_long; i++)
			value |= (uint32_t)data[at + i] << (8 * i);
		at += n;
		if (!is_long)
			r = take_item(&p, head & ITEM_INDEX, value);
	}
	if (r == 0)
		*ret = p.reports;
	return r;
}

size_t hid_report_size(const struct hid_reports *r, enum hid_kind type, uint8_t number)
{
	const uint32_t bits = r->bits[type][number];

	return bits == 0 ? 0 : 1 + ((size_t)bits + 7) / 8;
}
