/*
 * The ATT server of a simulated peripheral: an attribute table and the PDUs that read and write it.
 * Source: Bluetooth Core 5.4, volume 3, part F (ATT) and part G (GATT).
 *
 * A model describes its database as rows; the server lays them out, gives handles, answers requests
 * and keeps the client characteristic configurations (per bond: they outlive the link only when the
 * client is bonded). It has no clock and sends through a callback, so a test drives it with bytes.
 *
 * It speaks as a device should. What devices do wrong is added outside, by peer.c.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "protocols/bytes/writer.h"

#define SERVER_ATTRS_MAX    96
#define SERVER_VALUE_MAX    40 /* bytes of one value */
#define SERVER_MTU_MIN      23
#define SERVER_MTU_MAX      517
#define SERVER_PREPARED_MAX 128 /* bytes of all prepared writes together */

/* ATT error codes that models use too (part F, 3.4.1.1) */
enum att_error {
	ATT_OK = 0x00, /* no error: not sent */
	ATT_INVALID_HANDLE = 0x01,
	ATT_READ_NOT_PERMITTED = 0x02,
	ATT_WRITE_NOT_PERMITTED = 0x03,
	ATT_INVALID_PDU = 0x04,
	ATT_INSUFFICIENT_AUTHENTICATION = 0x05,
	ATT_REQUEST_NOT_SUPPORTED = 0x06,
	ATT_INVALID_OFFSET = 0x07,
	ATT_PREPARE_QUEUE_FULL = 0x09,
	ATT_NOT_FOUND = 0x0a,
	ATT_INVALID_LENGTH = 0x0d,
	ATT_INSUFFICIENT_ENCRYPTION = 0x0f,
	ATT_UNSUPPORTED_GROUP_TYPE = 0x10,
	ATT_VALUE_NOT_ALLOWED = 0x13,
	ATT_APPLICATION = 0x80, /* 0x80 to 0x9f: the service's own */
	ATT_CCC_IMPROPER = 0xfd,
	ATT_IN_PROGRESS = 0xfe,
};

enum gatt_property {
	GATT_READ = 0x02,
	GATT_WRITE_COMMAND = 0x04,
	GATT_WRITE = 0x08,
	GATT_NOTIFY = 0x10,
	GATT_INDICATE = 0x20,
};

enum server_kind {
	SERVER_SERVICE = 1,
	SERVER_CHARACTERISTIC, /* declaration, value and, if it notifies or indicates, its CCC */
	SERVER_DESCRIPTOR,     /* one attribute of any type, read only: 0x2900, 0x2802... */
};

/* One row of a database. The first row is a service. */
struct server_row {
	enum server_kind kind;
	uint16_t uuid;          /* 0: uuid128 */
	uint8_t properties;     /* characteristics */
	bool secure;            /* value and CCC need the server's security level */
	const uint8_t *uuid128; /* 16 bytes, least significant first, or NULL */
	const void *value;      /* the value at first; NULL with len 0 */
	uint8_t len;
	uint8_t id; /* the model's name for the value, from 1; 0: fixed, never told of */
};

/* Security of the link or asked for by an attribute, as the kernel counts it. */
enum server_level {
	SERVER_CLEAR = 1,
	SERVER_ENCRYPTED = 2,     /* unauthenticated key */
	SERVER_AUTHENTICATED = 3, /* the key came from a passkey or a comparison */
};

struct server_host {
	void *context;
	void (*send)(void *context, const uint8_t *pdu, size_t len);
	/* NULL or untouched writer: the stored value is read; otherwise what is written is read */
	uint8_t (*read)(void *context, uint8_t id, struct writer *value);
	/* a write to a value with an id, after all checks; the value is stored if ATT_OK */
	uint8_t (*write)(void *context, uint8_t id, const uint8_t *data, size_t len);
	/* a write that was taken, after its response has gone */
	void (*wrote)(void *context, uint8_t id, const uint8_t *data, size_t len);
	/* the CCC of this value was written, after its response has gone */
	void (*subscribed)(void *context, uint8_t id, uint16_t ccc);
	/* the outstanding indication was confirmed */
	void (*confirmed)(void *context);
};

struct server_attr {
	uint16_t handle;
	uint16_t type; /* 0: type128 */
	const uint8_t *type128;
	uint8_t id;
	bool readable, writable, commandable, secure;
	uint8_t properties; /* of the characteristic: value and CCC */
	uint8_t len;
	uint8_t value[SERVER_VALUE_MAX];
};

struct server {
	struct server_host host; /* by value */
	struct server_attr attrs[SERVER_ATTRS_MAX];
	size_t n_attrs;
	uint16_t gap; /* unused handles in front of the third service: a changed database */

	/* set by the owner */
	enum server_level required; /* of the rows marked secure */
	enum server_level level;    /* of the link */
	bool has_key;               /* bonded, so 0x0f and not 0x05 when the link is in clear */
	uint16_t own_mtu;

	/* of the link */
	bool connected, bonded;
	uint16_t mtu;
	bool indicating;
	uint8_t prepared
		[SERVER_PREPARED_MAX]; /* handle, offset, length u8, bytes; again and again */
	size_t prepared_len;
	unsigned int bad_pdus; /* what no client should have sent */
};

/* rows is copied, uuid128 borrowed for good. -ENOSPC too many rows, -EINVAL a value too long. */
int server_init(struct server *s, const struct server_host *host, const struct server_row *rows,
		size_t n_rows);
/* Moves all services from the third on by `gap` handles: a firmware update. CCCs stay. */
void server_move(struct server *s, uint16_t gap);
/* Core volume 3 part G 7.3, least significant byte first; over the table as it is now */
void server_hash(const struct server *s, uint8_t ret[16]);

void server_connected(struct server *s);
/* bonded: the CCCs are kept for the next link of the same client */
void server_disconnected(struct server *s);
/* forgets every CCC: the bond is gone or new */
void server_forget(struct server *s);
void server_receive(struct server *s, const uint8_t *pdu, size_t len);

/* 0 for an id that is not in the table */
uint16_t server_handle(const struct server *s, uint8_t id);
uint16_t server_ccc(const struct server *s, uint8_t id);
/* handle: to be sent under it, right or wrong. A value longer than the MTU allows is cut, as GATT
 * says. -ENOTCONN no link; -EBUSY an indication is outstanding (server_indicate only). */
int server_notify(struct server *s, uint16_t handle, const uint8_t *value, size_t len);
int server_indicate(struct server *s, uint16_t handle, const uint8_t *value, size_t len);
