/*
 * One short dialogue with a blood-pressure cuff as HCI packets, written out by hand from the Core
 * specification, and the file formats put around it. Synthetic.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "protocols/bytes/writer.h"
#include "protocols/capture/packets.h"

#define FIXTURE_CONNECTION 0x0040
#define FIXTURE_HANDLE     0x0012
#define FIXTURE_UUID       0x2a35
#define FIXTURE_START_US   INT64_C(1794815880000000) /* 2026-11-16T07:58:00Z */
#define FIXTURE_STEP_US    250000

struct fixture_packet {
	enum packet_type type;
	bool received;
	size_t len;
	uint8_t data[64];
};

#define ADDRESS 0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0xc6

static const struct fixture_packet fixture_packets[] = {
	/* LE advertising report: flags, service 1810, name "Cuff" */
	{ PACKET_EVENT, true, 27, { 0x3e, 25,   0x02, 1, 0x00, ADDRESS, 13,  2,   0x01, 0x06, 3,
				    0x03, 0x10, 0x18, 5, 0x09, 'C',     'u', 'f', 'f',  0xc4 } },
	/* LE connection complete, handle 0x0040 */
	{ PACKET_EVENT,
	  true,
	  21,
	  { 0x3e, 19, 0x01, 0, 0x40, 0x00, 0, ADDRESS, 0x18, 0, 0, 0, 0x48, 0, 0 } },
	/* Read By Group Type 2800; services 1800 and 1810 */
	{ PACKET_ACL,
	  false,
	  15,
	  { 0x40, 0x00, 11, 0, 7, 0, 4, 0, 0x10, 0x01, 0, 0xff, 0xff, 0x00, 0x28 } },
	{ PACKET_ACL, true, 22, { 0x40, 0x20, 18, 0,    14,   0,    4, 0,    0x11, 6,    0x01,
				  0,    0x05, 0,  0x00, 0x18, 0x10, 0, 0x20, 0,    0x10, 0x18 } },
	/* Read By Type 2803: handle 0x0012 is characteristic 2a35, indicate */
	{ PACKET_ACL,
	  false,
	  15,
	  { 0x40, 0x00, 11, 0, 7, 0, 4, 0, 0x08, 0x10, 0, 0x20, 0, 0x03, 0x28 } },
	{ PACKET_ACL,
	  true,
	  17,
	  { 0x40, 0x20, 13, 0, 9, 0, 4, 0, 0x09, 7, 0x11, 0, 0x20, 0x12, 0, 0x35, 0x2a } },
	/* Find Information: handle 0x0013 is descriptor 2902 */
	{ PACKET_ACL, false, 13, { 0x40, 0x00, 9, 0, 5, 0, 4, 0, 0x04, 0x13, 0, 0x13, 0 } },
	{ PACKET_ACL, true, 14, { 0x40, 0x20, 10, 0, 6, 0, 4, 0, 0x05, 1, 0x13, 0, 0x02, 0x29 } },
	/* Write: indications on */
	{ PACKET_ACL, false, 13, { 0x40, 0x00, 9, 0, 5, 0, 4, 0, 0x12, 0x13, 0, 0x02, 0 } },
	{ PACKET_ACL, true, 9, { 0x40, 0x20, 5, 0, 1, 0, 4, 0, 0x13 } },
	/* the reading, 120/80 mmHg, mean 93, in two fragments */
	{ PACKET_ACL, true, 11, { 0x40, 0x20, 7, 0, 10, 0, 4, 0, 0x1d, 0x12, 0 } },
	{ PACKET_ACL, true, 11, { 0x40, 0x10, 7, 0, 0x00, 0x78, 0, 0x50, 0, 0x5d, 0 } },
	/* its confirmation */
	{ PACKET_ACL, false, 9, { 0x40, 0x00, 5, 0, 1, 0, 4, 0, 0x1e } },
	/* disconnection complete */
	{ PACKET_EVENT, true, 6, { 0x05, 4, 0, 0x40, 0x00, 0x13 } },
};
#define FIXTURE_N (sizeof(fixture_packets) / sizeof(fixture_packets[0]))

static const uint8_t fixture_value[] = { 0x00, 0x78, 0, 0x50, 0, 0x5d, 0 };

static inline int64_t fixture_time(size_t i)
{
	return FIXTURE_START_US + (int64_t)i * FIXTURE_STEP_US;
}

/* btsnoop, any of its three datalinks */
static inline size_t fixture_btsnoop(uint8_t *buf, size_t size, uint32_t datalink)
{
	struct writer w = writer_of(buf, size);

	writer_bytes(&w, "btsnoop", 8);
	writer_be32(&w, 1);
	writer_be32(&w, datalink);
	for (size_t i = 0; i < FIXTURE_N; i++) {
		const struct fixture_packet *p = &fixture_packets[i];
		const bool h4 = datalink == 1002;
		const uint32_t len = (uint32_t)p->len + h4;
		uint32_t flags = (p->received ? 1U : 0U) | (p->type == PACKET_ACL ? 0U : 2U);

		if (datalink == 2001) /* adapter 0, monitor opcode */
			flags = p->type == PACKET_EVENT ? 3 : p->received ? 5 : 4;
		writer_be32(&w, len);
		writer_be32(&w, len);
		writer_be32(&w, flags);
		writer_be32(&w, 0);
		writer_be64(&w, UINT64_C(0x00dcddb30f2f8000) + (uint64_t)fixture_time(i));
		if (h4)
			writer_u8(&w, (uint8_t)p->type);
		writer_bytes(&w, p->data, p->len);
	}
	return w.len;
}

static inline void fixture_layer(struct writer *w, const struct fixture_packet *p,
				 uint32_t linktype)
{
	if (linktype == 201)
		writer_be32(w, p->received);
	if (linktype == 254) {
		writer_be16(w, 0);
		writer_be16(w, p->type == PACKET_EVENT ? 3 : p->received ? 5 : 4);
	} else {
		writer_u8(w, (uint8_t)p->type);
	}
	writer_bytes(w, p->data, p->len);
}

static inline void fixture_u32(struct writer *w, bool big, uint32_t value)
{
	if (big)
		writer_be32(w, value);
	else
		writer_le32(w, value);
}

static inline void fixture_u16(struct writer *w, bool big, uint16_t value)
{
	if (big)
		writer_be16(w, value);
	else
		writer_le16(w, value);
}

static inline size_t fixture_pcap(uint8_t *buf, size_t size, uint32_t linktype, bool big, bool nano)
{
	struct writer w = writer_of(buf, size);

	fixture_u32(&w, big, nano ? 0xa1b23c4d : 0xa1b2c3d4);
	fixture_u16(&w, big, 2);
	fixture_u16(&w, big, 4);
	fixture_u32(&w, big, 0);
	fixture_u32(&w, big, 0);
	fixture_u32(&w, big, 65535);
	fixture_u32(&w, big, linktype);
	for (size_t i = 0; i < FIXTURE_N; i++) {
		uint8_t data[128];
		struct writer d = writer_of(data, sizeof(data));
		const uint64_t us = (uint64_t)fixture_time(i);

		fixture_layer(&d, &fixture_packets[i], linktype);
		fixture_u32(&w, big, (uint32_t)(us / 1000000));
		fixture_u32(&w, big, (uint32_t)(us % 1000000 * (nano ? 1000 : 1)));
		fixture_u32(&w, big, (uint32_t)d.len);
		fixture_u32(&w, big, (uint32_t)d.len);
		writer_bytes(&w, data, d.len);
	}
	return w.len;
}

/* section, interface with nanoseconds, a block of a kind nobody knows, enhanced packets */
static inline size_t fixture_pcapng(uint8_t *buf, size_t size, uint16_t linktype, bool big)
{
	struct writer w = writer_of(buf, size);

	fixture_u32(&w, big, 0x0a0d0d0a);
	fixture_u32(&w, big, 28);
	fixture_u32(&w, big, 0x1a2b3c4d);
	fixture_u16(&w, big, 1);
	fixture_u16(&w, big, 0);
	fixture_u32(&w, big, 0xffffffff);
	fixture_u32(&w, big, 0xffffffff);
	fixture_u32(&w, big, 28);
	fixture_u32(&w, big, 1);
	fixture_u32(&w, big, 32);
	fixture_u16(&w, big, linktype);
	fixture_u16(&w, big, 0);
	fixture_u32(&w, big, 0);
	fixture_u16(&w, big, 9); /* if_tsresol */
	fixture_u16(&w, big, 1);
	writer_bytes(&w, "\x09\0\0\0", 4);
	fixture_u32(&w, big, 0); /* end of options */
	fixture_u32(&w, big, 32);
	fixture_u32(&w, big, 0x0bad);
	fixture_u32(&w, big, 16);
	fixture_u32(&w, big, 0x12345678);
	fixture_u32(&w, big, 16);
	for (size_t i = 0; i < FIXTURE_N; i++) {
		uint8_t data[128] = { 0 };
		struct writer d = writer_of(data, sizeof(data));
		const uint64_t ns = (uint64_t)fixture_time(i) * 1000;
		uint32_t padded, total;

		fixture_layer(&d, &fixture_packets[i], linktype);
		padded = ((uint32_t)d.len + 3) & ~3U;
		total = 32 + padded;
		fixture_u32(&w, big, 6);
		fixture_u32(&w, big, total);
		fixture_u32(&w, big, 0);
		fixture_u32(&w, big, (uint32_t)(ns >> 32));
		fixture_u32(&w, big, (uint32_t)ns);
		fixture_u32(&w, big, (uint32_t)d.len);
		fixture_u32(&w, big, (uint32_t)d.len);
		writer_bytes(&w, data, padded);
		fixture_u32(&w, big, total);
	}
	return w.len;
}
