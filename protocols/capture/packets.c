#include "protocols/capture/packets.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>

#include "protocols/capture/packets_format.h"

/* btsnoop record flags (btmodified_rfc1761.txt; datalink 2001 after BlueZ doc/btsnoop.txt) */
#define FLAG_RECEIVED UINT32_C(1)
#define FLAG_CONTROL  UINT32_C(2) /* command or event, not data */

/* tcpdump.org LINKTYPE numbers */
#define LINKTYPE_BLUETOOTH_HCI_H4           187
#define LINKTYPE_BLUETOOTH_HCI_H4_WITH_PHDR 201
#define LINKTYPE_BLUETOOTH_LINUX_MONITOR    254

int packets_fail(struct packets *p, int r, const char *problem)
{
	p->problem = problem;
	p->problem_offset = p->offset;
	p->has_value = p->has_limit = false;
	return r;
}

int packets_fail_value(struct packets *p, int r, const char *problem, uint64_t value)
{
	(void)packets_fail(p, r, problem);
	p->has_value = true;
	p->problem_value = value;
	return r;
}

int packets_fail_limit(struct packets *p, const char *problem, uint64_t value, uint64_t limit)
{
	(void)packets_fail_value(p, -EBADMSG, problem, value);
	p->has_limit = true;
	p->problem_limit = limit;
	return -EBADMSG;
}

void packets_explain(const struct packets *p, char *buf, size_t size)
{
	char number[64] = "", where[64] = "file header";

	assert(p->problem);
	if (p->has_limit)
		(void)snprintf(number, sizeof(number), " %llu exceeds %llu",
			       (unsigned long long)p->problem_value,
			       (unsigned long long)p->problem_limit);
	else if (p->has_value)
		(void)snprintf(number, sizeof(number), " %llu",
			       (unsigned long long)p->problem_value);
	if (p->record > 0)
		(void)snprintf(where, sizeof(where), "record %u at byte 0x%llx", p->record,
			       (unsigned long long)p->problem_offset);
	(void)snprintf(buf, size, "%s: %s%s", where, p->problem, number);
}

enum packets_layer packets_link_layer(uint32_t linktype)
{
	switch (linktype) {
	case LINKTYPE_BLUETOOTH_HCI_H4:
		return PACKETS_H4;
	case LINKTYPE_BLUETOOTH_HCI_H4_WITH_PHDR:
		return PACKETS_H4_DIRECTION;
	case LINKTYPE_BLUETOOTH_LINUX_MONITOR:
		return PACKETS_MONITOR_INLINE;
	default:
		return 0;
	}
}

int packets_time(const struct packets_interface *interface, uint64_t ticks, int64_t *ret_us)
{
	const uint64_t per_second = interface->ticks_per_second;
	const uint64_t seconds = ticks / per_second, rest = ticks % per_second;
	uint64_t us;

	/* the year 9999 is enough, and keeps the sums below inside 64 bits */
	if (seconds > UINT64_C(253402300799) || interface->offset_s < -INT64_C(253402300799) ||
	    interface->offset_s > INT64_C(253402300799))
		return -ERANGE;
	us = per_second <= UINT64_C(1000000000000) ? rest * 1000000 / per_second
						   : rest / (per_second / 1000000);
	*ret_us = ((int64_t)seconds + interface->offset_s) * 1000000 + (int64_t)us;
	return 0;
}

bool packets_recognise(const uint8_t *data, size_t len)
{
	return btsnoop_recognise(data, len) || pcap_recognise(data, len) ||
	       pcapng_recognise(data, len);
}

int packets_begin(struct packets *p, const uint8_t *data, size_t len)
{
	*p = (struct packets){ 0 };
	if (btsnoop_recognise(data, len))
		return btsnoop_begin(p, data, len);
	if (pcap_recognise(data, len))
		return pcap_begin(p, data, len);
	if (pcapng_recognise(data, len))
		return pcapng_begin(p, data, len);
	return packets_fail(p, -EBADMSG, "neither btsnoop nor pcap nor pcapng");
}

/* ---- layers: what a record's data begins with ---- */

static bool set_type(struct packet *packet, uint8_t type)
{
	switch (type) {
	case PACKET_COMMAND:
	case PACKET_ACL:
	case PACKET_SCO:
	case PACKET_EVENT:
	case PACKET_ISO:
		packet->type = (enum packet_type)type;
		return true;
	default:
		return false;
	}
}

/* a command goes out and an event comes in, whatever a record says or leaves out */
static void settle_direction(struct packet *packet)
{
	if (packet->type == PACKET_COMMAND)
		packet->direction = PACKET_SENT;
	if (packet->type == PACKET_EVENT)
		packet->direction = PACKET_RECEIVED;
}

/* Linux monitor opcodes (tcpdump.org LINKTYPE_BLUETOOTH_LINUX_MONITOR; 18 and 19 are not needed).
 * False: news about adapters, not a packet. */
static bool set_monitor(struct packet *packet, uint32_t opcode)
{
	static const struct {
		enum packet_type type;
		enum packet_direction direction;
	} opcodes[] = {
		[2] = { PACKET_COMMAND, PACKET_SENT }, [3] = { PACKET_EVENT, PACKET_RECEIVED },
		[4] = { PACKET_ACL, PACKET_SENT },     [5] = { PACKET_ACL, PACKET_RECEIVED },
		[6] = { PACKET_SCO, PACKET_SENT },     [7] = { PACKET_SCO, PACKET_RECEIVED },
	};

	if (opcode >= sizeof(opcodes) / sizeof(opcodes[0]) || opcodes[opcode].type == 0)
		return false;
	packet->type = opcodes[opcode].type;
	packet->direction = opcodes[opcode].direction;
	return true;
}

static void set_flags(struct packet *packet, uint32_t flags)
{
	const bool received = (flags & FLAG_RECEIVED) != 0;

	packet->direction = received ? PACKET_RECEIVED : PACKET_SENT;
	if ((flags & FLAG_CONTROL) != 0)
		packet->type = received ? PACKET_EVENT : PACKET_COMMAND;
	else
		packet->type = PACKET_ACL;
}

/* 1 a packet, 0 none, -EBADMSG */
static int unwrap(struct packets *p, const struct packets_record *rec, struct packet *ret)
{
	struct packet packet = { .at_us = rec->at_us, .cut = rec->cut };
	struct cursor c = cursor_of(rec->data, rec->len);
	uint32_t opcode;
	bool known = true;

	switch (rec->interface->layer) {
	case PACKETS_HCI:
		set_flags(&packet, rec->flags);
		break;
	case PACKETS_H4:
		if (p->format == PACKETS_BTSNOOP)
			set_flags(&packet, rec->flags);
		known = set_type(&packet, cursor_u8(&c));
		break;
	case PACKETS_H4_DIRECTION:
		packet.direction = (cursor_be32(&c) & 1) ? PACKET_RECEIVED : PACKET_SENT;
		known = set_type(&packet, cursor_u8(&c));
		break;
	case PACKETS_MONITOR:
		packet.adapter = (uint16_t)(rec->flags >> 16);
		known = set_monitor(&packet, rec->flags & 0xffff);
		break;
	case PACKETS_MONITOR_INLINE:
		packet.adapter = cursor_be16(&c);
		opcode = cursor_be16(&c);
		known = set_monitor(&packet, opcode);
		break;
	}
	if (!cursor_ok(&c))
		return packets_fail(p, -EBADMSG, "too short for its own header");
	if (!known)
		return 0;
	settle_direction(&packet);
	packet.len = cursor_left(&c);
	packet.data = rec->data + (rec->len - packet.len);
	*ret = packet;
	return 1;
}

int packets_next(struct packets *p, const uint8_t *view, size_t len, struct packet *ret)
{
	struct packets_record rec = { 0 };
	const uint64_t begin = p->offset;
	int r;

	if (len == 0)
		return -ENODATA;
	p->record++;
	switch (p->format) {
	case PACKETS_BTSNOOP:
		r = btsnoop_next(p, view, len, &rec);
		break;
	case PACKETS_PCAP:
		r = pcap_next(p, view, len, &rec);
		break;
	case PACKETS_PCAPNG:
		r = pcapng_next(p, view, len, &rec);
		break;
	default:
		assert(false);
		return -EINVAL;
	}
	if (r <= 0)
		return r;
	r = unwrap(p, &rec, ret);
	if (r < 0)
		p->problem_offset = begin;
	return r;
}
