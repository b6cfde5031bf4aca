/*
 * HCI packets out of the files that other tools write: btsnoop (btmon, Android, tools for
 * Windows), pcap and pcapng (Wireshark, dumpcap). One record at a time out of a buffer that the
 * caller owns and refills, so memory is bounded whatever a file claims. Pure.
 *
 *   packets_begin(): the first bytes of the file -> format and header
 *   packets_next():  the bytes from `offset` on  -> one packet, "more bytes please", or an error
 *
 * Sources: btsnoop.c, pcap.c, pcapng.c name theirs.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PACKETS_RECORD_MAX     65535 /* of one record's data; an HCI ACL packet cannot be longer */
#define PACKETS_VIEW_MIN       (PACKETS_RECORD_MAX + 128) /* bytes a caller must be able to show */
#define PACKETS_INTERFACES_MAX 16

enum packets_format {
	PACKETS_BTSNOOP = 1,
	PACKETS_PCAP,
	PACKETS_PCAPNG,
};

/* what one record's data begins with */
enum packets_layer {
	PACKETS_HCI = 1,       /* nothing: type and direction are in the record's flags */
	PACKETS_H4,            /* a packet type byte */
	PACKETS_H4_DIRECTION,  /* 32 bits of direction, then H4 */
	PACKETS_MONITOR,       /* Linux monitor: adapter and opcode stand in the record's flags */
	PACKETS_MONITOR_INLINE /* adapter and opcode in front of the data */
};

enum packet_type {
	PACKET_COMMAND = 1, /* the numbers of H4 */
	PACKET_ACL = 2,
	PACKET_SCO = 3,
	PACKET_EVENT = 4,
	PACKET_ISO = 5,
};

enum packet_direction {
	PACKET_DIRECTION_UNKNOWN = 0,
	PACKET_SENT, /* host to controller */
	PACKET_RECEIVED,
};

struct packet {
	int64_t at_us; /* since 1970, UTC */
	uint16_t adapter;
	enum packet_type type;
	enum packet_direction direction;
	bool cut;            /* the capturing tool kept only the beginning */
	const uint8_t *data; /* borrowed from the view; without type byte */
	size_t len;
};

struct packets_interface {
	enum packets_layer layer;
	uint64_t ticks_per_second; /* of its time stamps */
	int64_t offset_s;
};

struct packets {
	enum packets_format format;
	bool big_endian;
	struct packets_interface interfaces[PACKETS_INTERFACES_MAX];
	size_t n_interfaces;
	int64_t last_us;     /* of the packet before: pcapng */
	uint64_t offset;     /* in the file: where the next view must begin */
	unsigned int record; /* number of the last one looked at, from 1; blocks count in pcapng */
	/* after an error: "record 17 at byte 0x1234: length 70000 exceeds 65535" */
	const char *problem;       /* constant string */
	uint64_t problem_offset;   /* of the record */
	bool has_value, has_limit; /* which of the two belong to the problem */
	uint64_t problem_value, problem_limit;
};

/* True if the beginning of a file is one of the formats. */
bool packets_recognise(const uint8_t *data, size_t len);
/* Reads the file header and sets p->offset behind it. -EBADMSG, -EPROTONOSUPPORT (a version or
 * link layer that is not served), with p->problem set. */
int packets_begin(struct packets *p, const uint8_t *data, size_t len);
/*
 * The view is what the file holds from p->offset on, at least PACKETS_VIEW_MIN bytes unless the
 * file ends before. 1: *ret is a packet, borrowed from the view. 0: a record without one (skipped).
 * In both cases p->offset has moved on, perhaps beyond the view. -ENODATA: the end of the file.
 * -EBADMSG, -EPROTONOSUPPORT: p->problem.
 */
int packets_next(struct packets *p, const uint8_t *view, size_t len, struct packet *ret);
/* The problem in words, as above. */
void packets_explain(const struct packets *p, char *buf, size_t size);
