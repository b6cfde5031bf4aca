/*
 * The PDUs of the Attribute Protocol, as bytes and as values. Source: Bluetooth Core 5.4, vol 3
 * part F, 3.3 and 3.4; the layouts are drawn there and are one table in pdu.c. Multi-byte fields
 * are little endian, a PDU is one packet of the bearer and begins with its opcode.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ATT_MTU_DEFAULT 23  /* of an LE bearer before an exchange, and the least there is */
#define ATT_MTU_MAX     517 /* the longest value in the longest PDU that needs one */
#define ATT_VALUE_MAX   512 /* 3.2.9 */

enum att_opcode {
	ATT_ERROR_RSP = 0x01,
	ATT_MTU_REQ = 0x02,
	ATT_MTU_RSP = 0x03,
	ATT_FIND_INFO_REQ = 0x04,
	ATT_FIND_INFO_RSP = 0x05,
	ATT_FIND_TYPE_REQ = 0x06,
	ATT_FIND_TYPE_RSP = 0x07,
	ATT_READ_TYPE_REQ = 0x08,
	ATT_READ_TYPE_RSP = 0x09,
	ATT_READ_REQ = 0x0a,
	ATT_READ_RSP = 0x0b,
	ATT_READ_BLOB_REQ = 0x0c,
	ATT_READ_BLOB_RSP = 0x0d,
	ATT_READ_GROUP_REQ = 0x10,
	ATT_READ_GROUP_RSP = 0x11,
	ATT_WRITE_REQ = 0x12,
	ATT_WRITE_RSP = 0x13,
	ATT_PREPARE_REQ = 0x16,
	ATT_PREPARE_RSP = 0x17,
	ATT_EXECUTE_REQ = 0x18,
	ATT_EXECUTE_RSP = 0x19,
	ATT_NOTIFICATION = 0x1b,
	ATT_INDICATION = 0x1d,
	ATT_CONFIRMATION = 0x1e,
	ATT_MULTIPLE_NOTIFICATION = 0x23,
	ATT_WRITE_CMD = 0x52,
};

/* in any opcode, known or not: nobody answers it */
#define ATT_COMMAND_FLAG 0x40

/* 3.4.1.1, table 3.4 */
enum att_error {
	ATT_ERROR_INVALID_HANDLE = 0x01,
	ATT_ERROR_READ_NOT_PERMITTED = 0x02,
	ATT_ERROR_WRITE_NOT_PERMITTED = 0x03,
	ATT_ERROR_INVALID_PDU = 0x04,
	ATT_ERROR_INSUFFICIENT_AUTHENTICATION = 0x05,
	ATT_ERROR_REQUEST_NOT_SUPPORTED = 0x06,
	ATT_ERROR_INVALID_OFFSET = 0x07,
	ATT_ERROR_INSUFFICIENT_AUTHORIZATION = 0x08,
	ATT_ERROR_PREPARE_QUEUE_FULL = 0x09,
	ATT_ERROR_ATTRIBUTE_NOT_FOUND = 0x0a,
	ATT_ERROR_ATTRIBUTE_NOT_LONG = 0x0b,
	ATT_ERROR_KEY_TOO_SHORT = 0x0c,
	ATT_ERROR_INVALID_LENGTH = 0x0d,
	ATT_ERROR_UNLIKELY = 0x0e,
	ATT_ERROR_INSUFFICIENT_ENCRYPTION = 0x0f,
	ATT_ERROR_UNSUPPORTED_GROUP = 0x10,
	ATT_ERROR_INSUFFICIENT_RESOURCES = 0x11,
	ATT_ERROR_OUT_OF_SYNC = 0x12,
	ATT_ERROR_VALUE_NOT_ALLOWED = 0x13,
};

/* never NULL; "application error" and "reserved" for the ranges without names */
const char *att_error_name(uint8_t error);

/* always as 128 bits, little endian; a 16-bit one is put on the Bluetooth base UUID */
struct att_uuid {
	uint8_t bytes[16];
};

struct att_uuid att_uuid_of16(uint16_t uuid16);
/* 0 if it is not one of the Bluetooth SIG's 16-bit ones */
uint16_t att_uuid_16(const struct att_uuid *uuid);
bool att_uuid_equal(const struct att_uuid *a, const struct att_uuid *b);

/* One PDU of any kind; a field that its kind does not have is 0. */
struct att_pdu {
	uint8_t opcode;  /* enum att_opcode */
	uint8_t request; /* Error Response: the opcode it answers */
	uint8_t error;   /* Error Response: enum att_error or another */
	uint8_t flags;   /* Execute Write: 0 cancel, 1 write */
	uint16_t handle; /* or the first of a range */
	uint16_t end;    /* last of a range */
	uint16_t mtu;
	uint16_t offset;
	struct att_uuid type;
	/* bytes of one item of a list: Find Information 4 or 18, Read By Type, Read By Group */
	size_t item_size;
	/* a value, or a list of whole items; decoded: borrowed from the packet */
	const uint8_t *data;
	size_t len;
};

/*
 * mtu: the longest packet allowed. 0; -EMSGSIZE shorter or longer than its kind, than the mtu, or a
 * list that does not divide; -ERANGE a field outside its definition (handle 0, range upside down,
 * value longer than ATT_VALUE_MAX); -ENOMSG no opcode of ours. *ret is written on success only.
 */
int att_decode(const uint8_t *packet, size_t len, size_t mtu, struct att_pdu *ret);
/*
 * buffer holds mtu bytes. 0; -EMSGSIZE it does not fit into the mtu; -ENOMSG no opcode of ours. The
 * fields are the caller's to get right.
 */
int att_encode(const struct att_pdu *pdu, uint8_t *buffer, size_t mtu, size_t *ret_len);

/* One value of a Multiple Handle Value Notification that att_decode() took: position 0 first. */
struct att_value {
	uint16_t handle;
	const uint8_t *data; /* borrowed */
	size_t len;
};

/* false: there is no more */
bool att_multiple_next(const struct att_pdu *pdu, size_t *position, struct att_value *ret);
