/*
 * The messages of a Fitbit tracker: the same over the base station's data endpoint (2687:fb01) and
 * over GATT (service adabfb00, notified by adabfb01, written to adabfb02). One packet of at most 20
 * bytes is one message; one that begins with c0 is a control message, any other is data.
 *
 *   packet     c0 ..            control
 *              db dc | ..       data that begins with c0: only the FIRST byte of a packet is
 *              db dd | ..       escaped (db dd: db); the other 18 are as they are
 *
 *   c0                                filler; D>H
 *   c0 01                             close; both
 *   c0 02                             done; both
 *   c0 03 ERROR u16                   refused; D>H
 *   c0 04 TIME u32                    set the clock; H>D
 *   c0 06                             blink; H>D
 *   c0 0a 5 x u16 [u8]                open the airlink; H>D
 *   c0 0b                             pipe switched; the base station to the host
 *   c0 10 TYPE                        send a dump; H>D
 *   c0 12 TYPE ..   c0 13 ..          upload, piece of an upload accepted; D>H
 *   c0 14 u16 u16 ID 6 [u16]          airlink is up; D>H
 *   c0 41 TYPE [LENGTH u32]           a dump begins; D>H
 *   c0 42 TYPE CRC u16 LENGTH u32     and ends; D>H
 *   c0 50 RANDOM u32 NONCE u32        log in; H>D
 *   c0 51 8 bytes, 4 bytes            challenge; D>H
 *   c0 52 MAC 8                       its answer; H>D
 *
 * Numbers are little-endian. CRC (CRC-16/XMODEM) and LENGTH of c0 42 are of the data with the
 * packets' escapes undone. Not here, on purpose: c0 11 (reads memory) and c0 24 (uploads, firmware
 * too). A tracker that gets no upload keeps its records and sends them again.
 *
 * Source: the maker has published nothing. Two independent open clients and their traces; CRC and
 * LENGTH verified on one trace (359 bytes, 370c). The meaning of the two u16 and of the last u16 of
 * c0 14 is not known.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "protocols/bytes/writer.h"
#include "protocols/fitbit/cipher.h"

#define FITBIT_PACKET_MAX 20 /* the payload of a PDU with the smallest ATT_MTU */
#define FITBIT_ID_SIZE    6

/* kinds of dumps */
#define FITBIT_MICRODUMP 0x03
#define FITBIT_ALARMS    0x0a
#define FITBIT_MEGADUMP  0x0d

enum fitbit_control_kind {
	FITBIT_FILLER = 1,
	FITBIT_CLOSE,
	FITBIT_DONE,
	FITBIT_REFUSED,
	FITBIT_SET_TIME,
	FITBIT_BLINK,
	FITBIT_AIRLINK_OPEN,
	FITBIT_PIPE_SWITCHED,
	FITBIT_DUMP_REQUEST,
	FITBIT_UPLOAD_ACCEPTED,
	FITBIT_CHUNK_ACCEPTED,
	FITBIT_AIRLINK_UP,
	FITBIT_DUMP_BEGINS,
	FITBIT_DUMP_ENDS,
	FITBIT_LOGIN,
	FITBIT_CHALLENGE,
	FITBIT_RESPONSE,
};

struct fitbit_airlink {
	uint16_t value; /* 10 in every trace */
	uint16_t interval_min, interval_max, latency, supervision;
	bool has_last;
	uint8_t last; /* phones send one byte more */
};

struct fitbit_control {
	enum fitbit_control_kind kind;
	uint8_t type;   /* of a dump or an upload */
	uint16_t error; /* REFUSED */
	uint16_t crc;   /* DUMP_ENDS */
	bool has_length;
	uint32_t length;                /* DUMP_ENDS, some DUMP_BEGINS; bytes */
	uint32_t time;                  /* SET_TIME; seconds since 1970, UTC */
	struct fitbit_airlink airlink;  /* AIRLINK_OPEN */
	uint8_t unknown[4];             /* AIRLINK_UP */
	uint8_t id[FITBIT_ID_SIZE];     /* AIRLINK_UP; the address, least significant byte first */
	bool has_mtu;                   /* AIRLINK_UP */
	uint16_t mtu;                   /* ATT_MTU by its value (23), not certain */
	uint8_t random[4];              /* LOGIN */
	uint32_t nonce;                 /* LOGIN */
	uint8_t proof[FITBIT_TAG_SIZE]; /* CHALLENGE (not understood), RESPONSE */
	uint8_t challenge[4];           /* CHALLENGE: fitbit_mac() of these bytes is the answer */
};

/* -EMSGSIZE a length that its kind does not have; -ENOMSG no control message, or a kind that is not
 * in the table above. */
int fitbit_control_decode(const uint8_t *data, size_t len, struct fitbit_control *ret);
/* -EINVAL no such kind, -ENOSPC; w is then as it was. */
int fitbit_control_encode(const struct fitbit_control *m, struct writer *w);

/* A word for the error of c0 03, for logs and pages; NULL for one that is not known. */
const char *fitbit_error_name(uint16_t error);

/* Data of one packet, its escape undone. -EMSGSIZE none, or more than FITBIT_PACKET_MAX; -EBADMSG a
 * wrong escape; -ENOMSG a control message; -ENOSPC. */
int fitbit_packet_decode(const uint8_t *data, size_t len, struct writer *w);
/* As much of the data as one packet holds, at least 1 byte of len > 0. -ENOSPC: w has not enough
 * room left for it. */
int fitbit_packet_encode(const uint8_t *data, size_t len, struct writer *w, size_t *ret_taken);

/*
 * A dump on its way: begin with the type that was asked for and a writer over the caller's buffer
 * (which limits the size), then every packet until `complete`. Fillers are passed over.
 */
struct fitbit_transfer {
	struct writer *w; /* borrowed; w->data, w->len is the dump */
	size_t start;     /* w->len at the beginning */
	uint8_t type;
	bool begun, complete;
	bool has_length; /* as c0 41 said */
	uint32_t length;
};

struct fitbit_transfer fitbit_transfer_of(struct writer *w, uint8_t type);
/* -EMSGSIZE a packet without bytes or too long, or another length than was counted; -EBADMSG the
 * CRC, a wrong escape, data outside of a dump; -ENOSPC the dump is longer than the buffer; -EPROTO
 * another dump than the one asked for, or any other control message; -ECONNREFUSED the tracker said
 * c0 03. After a failure the transfer is over: nothing of it may be used. */
int fitbit_transfer_packet(struct fitbit_transfer *t, const uint8_t *data, size_t len);
