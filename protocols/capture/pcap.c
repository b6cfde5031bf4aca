/*
 * pcap, as libpcap writes it: byte order of the machine that captured, told by the magic number.
 *
 *   file    magic 32  version 16.16  reserved 64  snapshot length 32  link type 32
 *   record  seconds 32  fraction 32  included length 32  original length 32  data...
 *
 * Source: draft-ietf-opsawg-pcap; link types www.tcpdump.org/linktypes.html.
 */
#include <errno.h>

#include "protocols/capture/packets_format.h"

#define FILE_HEADER    24
#define RECORD_HEADER  16
#define MAGIC_US       UINT32_C(0xa1b2c3d4)
#define MAGIC_NS       UINT32_C(0xa1b23c4d)
#define VERSION_MAJOR  2
#define LINK_TYPE_MASK UINT32_C(0xffff) /* above it: length of a frame check sequence */

static uint32_t u32(const struct packets *p, struct cursor *c)
{
	return p->big_endian ? cursor_be32(c) : cursor_le32(c);
}

static uint16_t u16(const struct packets *p, struct cursor *c)
{
	return p->big_endian ? cursor_be16(c) : cursor_le16(c);
}

/* ticks per second of the magic number, 0 if it is none */
static uint64_t ticks_of(uint32_t magic)
{
	if (magic == MAGIC_US)
		return 1000000;
	return magic == MAGIC_NS ? 1000000000 : 0;
}

bool pcap_recognise(const uint8_t *data, size_t len)
{
	struct cursor little = cursor_of(data, len), big = little;

	return ticks_of(cursor_le32(&little)) != 0 || ticks_of(cursor_be32(&big)) != 0;
}

int pcap_begin(struct packets *p, const uint8_t *data, size_t len)
{
	struct cursor c = cursor_of(data, len), big = c;
	uint32_t magic = cursor_be32(&big), version, linktype;

	p->big_endian = ticks_of(magic) != 0;
	magic = u32(p, &c);
	version = u16(p, &c);
	cursor_skip(&c, 2 + 4 + 4 + 4); /* minor version, two reserved fields, snapshot length */
	linktype = u32(p, &c) & LINK_TYPE_MASK;
	if (!cursor_ok(&c))
		return packets_fail(p, -EBADMSG, "the pcap header is cut short");
	if (version != VERSION_MAJOR)
		return packets_fail_value(p, -EPROTONOSUPPORT, "unknown pcap version", version);
	p->format = PACKETS_PCAP;
	p->interfaces[0] = (struct packets_interface){
		.layer = packets_link_layer(linktype),
		.ticks_per_second = ticks_of(magic),
	};
	if (p->interfaces[0].layer == 0)
		return packets_fail_value(p, -EPROTONOSUPPORT,
					  "not a Bluetooth HCI capture: link type", linktype);
	p->n_interfaces = 1;
	p->offset = FILE_HEADER;
	return 0;
}

int pcap_next(struct packets *p, const uint8_t *view, size_t len, struct packets_record *ret)
{
	const struct packets_interface *interface = &p->interfaces[0];
	struct cursor c = cursor_of(view, len);
	const uint64_t seconds = u32(p, &c), fraction = u32(p, &c);
	const uint32_t included = u32(p, &c), original = u32(p, &c);

	if (!cursor_ok(&c))
		return packets_fail(p, -EBADMSG, "the file ends inside a record header");
	if (included > PACKETS_RECORD_MAX)
		return packets_fail_limit(p, "length", included, PACKETS_RECORD_MAX);
	if (included > original)
		return packets_fail_limit(p, "included length", included, original);
	if (fraction >= interface->ticks_per_second)
		return packets_fail_limit(p, "fraction of a second", fraction,
					  interface->ticks_per_second - 1);
	ret->at_us =
		(int64_t)(seconds * 1000000 + fraction / (interface->ticks_per_second / 1000000));
	ret->interface = interface;
	ret->cut = included < original;
	ret->len = included;
	ret->data = cursor_bytes(&c, included);
	if (!ret->data && included > 0)
		return packets_fail_limit(p, "the file ends inside a record: length", included,
					  len - RECORD_HEADER);
	p->offset += RECORD_HEADER + included;
	return 1;
}
