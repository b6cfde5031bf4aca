/*
 * btsnoop, version 1. All numbers big endian.
 *
 *   file    "btsnoop\0"  version 32  datalink 32
 *   record  original length 32  included length 32  flags 32  drops 32  time 64  data...
 *
 * Time: microseconds since a year 0 that puts 1970 at 0x00dcddb30f2f8000, as BlueZ and Android
 * write it. Source: btmodified_rfc1761.txt (Symbian), BlueZ doc/btsnoop.txt for datalink 2001.
 */
#include <errno.h>
#include <string.h>

#include "protocols/capture/packets_format.h"

#define FILE_HEADER   16
#define RECORD_HEADER 24
#define VERSION       1
#define EPOCH_1970    UINT64_C(0x00dcddb30f2f8000)

#define DATALINK_HCI     1001
#define DATALINK_H4      1002
#define DATALINK_MONITOR 2001

static const uint8_t magic[8] = { 'b', 't', 's', 'n', 'o', 'o', 'p', 0 };

bool btsnoop_recognise(const uint8_t *data, size_t len)
{
	return len >= sizeof(magic) && memcmp(data, magic, sizeof(magic)) == 0;
}

static enum packets_layer layer_of(uint32_t datalink)
{
	switch (datalink) {
	case DATALINK_HCI:
		return PACKETS_HCI;
	case DATALINK_H4:
		return PACKETS_H4;
	case DATALINK_MONITOR:
		return PACKETS_MONITOR;
	default:
		return 0;
	}
}

int btsnoop_begin(struct packets *p, const uint8_t *data, size_t len)
{
	struct cursor c = cursor_of(data, len);
	uint32_t version, datalink;

	cursor_skip(&c, sizeof(magic));
	version = cursor_be32(&c);
	datalink = cursor_be32(&c);
	if (!cursor_ok(&c))
		return packets_fail(p, -EBADMSG, "the btsnoop header is cut short");
	if (version != VERSION)
		return packets_fail_value(p, -EPROTONOSUPPORT, "unknown btsnoop version", version);
	p->format = PACKETS_BTSNOOP;
	p->interfaces[0] = (struct packets_interface){
		.layer = layer_of(datalink),
		.ticks_per_second = 1000000,
	};
	if (p->interfaces[0].layer == 0)
		return packets_fail_value(p, -EPROTONOSUPPORT, "unserved btsnoop datalink",
					  datalink);
	p->n_interfaces = 1;
	p->offset = FILE_HEADER;
	return 0;
}

int btsnoop_next(struct packets *p, const uint8_t *view, size_t len, struct packets_record *ret)
{
	struct cursor c = cursor_of(view, len);
	const uint32_t original = cursor_be32(&c), included = cursor_be32(&c);
	const uint32_t flags = cursor_be32(&c);
	uint64_t time;

	cursor_skip(&c, sizeof(uint32_t)); /* drops since the file began */
	time = cursor_be64(&c);
	if (!cursor_ok(&c))
		return packets_fail(p, -EBADMSG, "the file ends inside a record header");
	if (included > PACKETS_RECORD_MAX)
		return packets_fail_limit(p, "length", included, PACKETS_RECORD_MAX);
	if (included > original)
		return packets_fail_limit(p, "included length", included, original);
	if (time < EPOCH_1970 ||
	    packets_time(&p->interfaces[0], time - EPOCH_1970, &ret->at_us) < 0)
		return packets_fail(p, -EBADMSG, "the time stamp is before 1970 or after 9999");
	ret->interface = &p->interfaces[0];
	ret->flags = flags;
	ret->cut = included < original;
	ret->len = included;
	ret->data = cursor_bytes(&c, included);
	if (!ret->data && included > 0)
		return packets_fail_limit(p, "the file ends inside a record: length", included,
					  len - RECORD_HEADER);
	p->offset += RECORD_HEADER + included;
	return 1;
}
