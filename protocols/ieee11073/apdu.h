/*
 * The APDUs of the optimised exchange protocol, as bytes and as values, for both roles. Source:
 * ISO/IEEE 11073-20601, its ASN.1 under the encoding rules of mder.h; the layouts are one
 * table in apdu.c.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "protocols/bytes/cursor.h"

#define APDU_HEADER 4 /* choice and length */
/* agent to manager, and manager to agent: the sizes of the USB and Bluetooth profiles */
#define APDU_MAX_FROM_AGENT   64512
#define APDU_MAX_FROM_MANAGER 8192

#define APDU_SYSTEM_ID 8 /* EUI-64: the device, whatever it is plugged into */

#define APDU_PROTO_20601    20601
#define APDU_PROTO_EXTERNAL 65535
#define APDU_PROTO_EMPTY    0 /* in an AARE that rejects */

#define APDU_ASSOC_VERSION_1 0x80000000U
#define APDU_VERSION_1       0x80000000U
#define APDU_RULES_MDER      0x8000U
#define APDU_NOMENCLATURE_1  0x80000000U
#define APDU_UNITS_TEST      0x20000000U /* create a test association: no patient's data */
#define APDU_SYSTEM_MANAGER  0x80000000U
#define APDU_SYSTEM_AGENT    0x00800000U

enum apdu_choice {
	APDU_AARQ = 0xe200, /* association request */
	APDU_AARE = 0xe300, /* association response */
	APDU_RLRQ = 0xe400, /* release request */
	APDU_RLRE = 0xe500, /* release response */
	APDU_ABRT = 0xe600, /* abort */
	APDU_PRST = 0xe700, /* presentation: one of enum apdu_operation */
};

enum apdu_operation {
	APDU_EVENT = 0x0100,
	APDU_EVENT_CONFIRMED = 0x0101,
	APDU_GET = 0x0103,
	APDU_SET = 0x0104,
	APDU_SET_CONFIRMED = 0x0105,
	APDU_ACTION = 0x0106,
	APDU_ACTION_CONFIRMED = 0x0107,
	APDU_EVENT_RESPONSE = 0x0201,
	APDU_GET_RESPONSE = 0x0203,
	APDU_SET_RESPONSE = 0x0205,
	APDU_ACTION_RESPONSE = 0x0207,
	APDU_ERROR = 0x0300,
	APDU_REJECT = 0x0400,
};

enum apdu_associate_result {
	APDU_ACCEPTED = 0,
	APDU_REJECTED_PERMANENT = 1,
	APDU_REJECTED_TRANSIENT = 2,
	APDU_ACCEPTED_UNKNOWN_CONFIG = 3,
	APDU_REJECTED_NO_COMMON_PROTOCOL = 4,
	APDU_REJECTED_NO_COMMON_PARAMETER = 5,
	APDU_REJECTED_UNKNOWN = 6,
	APDU_REJECTED_UNAUTHORIZED = 7,
	APDU_REJECTED_ASSOC_VERSION = 8,
};

enum apdu_release_reason {
	APDU_RELEASE_NORMAL = 0,
	APDU_RELEASE_NO_MORE_CONFIGS = 1,
	APDU_RELEASE_CONFIG_CHANGED = 2,
};

enum apdu_abort_reason {
	APDU_ABORT_UNDEFINED = 0,
	APDU_ABORT_BUFFER_OVERFLOW = 1,
	APDU_ABORT_RESPONSE_TIMEOUT = 2,
	APDU_ABORT_CONFIG_TIMEOUT = 3,
};

enum apdu_error {
	APDU_ERROR_NO_SUCH_OBJECT = 1,
	APDU_ERROR_NO_SUCH_ACTION = 9,
	APDU_ERROR_INVALID_OBJECT = 17,
	APDU_ERROR_PROTOCOL_VIOLATION = 23,
	APDU_ERROR_NOT_ALLOWED = 24,
	APDU_ERROR_ACTION_TIMED_OUT = 25,
	APDU_ERROR_ACTION_ABORTED = 26,
};

enum apdu_reject {
	APDU_REJECT_UNRECOGNIZED_APDU = 0,
	APDU_REJECT_BADLY_STRUCTURED = 2,
	APDU_REJECT_UNRECOGNIZED_OPERATION = 101,
	APDU_REJECT_RESOURCE_LIMITATION = 103,
	APDU_REJECT_UNEXPECTED_ERROR = 303,
};

/* PhdAssociationInformation, the same for both roles */
struct apdu_association {
	uint32_t protocol_version; /* the agent sets all it can, the manager exactly one bit */
	uint16_t encoding_rules;
	uint32_t nomenclature_version;
	uint32_t functional_units;
	uint32_t system_type;
	uint8_t system_id[APDU_SYSTEM_ID];
	uint16_t config_id;
	uint16_t data_request_flags;
	uint8_t init_agent_count;
	uint8_t init_manager_count;
	uint16_t n_options;
	const uint8_t *options; /* AttributeList without its header; borrowed */
	size_t options_len;
};

/* One APDU of any kind; a field that its kind does not have is 0. */
struct apdu {
	uint16_t choice; /* enum apdu_choice */
	/* AARE: enum apdu_associate_result; release or abort reason; error-value; reject problem */
	uint16_t result;
	uint32_t assoc_version; /* AARQ */
	uint16_t proto;         /* AARQ: 20601 if it is offered; AARE */
	uint16_t n_protos;      /* AARQ: how many were offered; 1 when encoding */
	/* bytes after what we know of the association information: a newer peer's; not encoded */
	size_t extra;
	uint16_t invoke_id; /* PRST, and all below */
	uint16_t operation; /* enum apdu_operation */
	uint16_t handle;
	uint32_t time;  /* event-time or currentTime: 125 us ticks, ffffffff unsupported */
	uint16_t type;  /* event or action */
	uint16_t count; /* items of a list */
	/* event-info, action-info, parameter; or the items of a list; or another protocol's info */
	const uint8_t *data; /* borrowed */
	size_t len;
	struct apdu_association association; /* where proto is 20601 */
};

/* The size of the whole APDU that begins so, or 0 while its four header bytes are not there. */
size_t apdu_size(const uint8_t *bytes, size_t len);
/*
 * bytes is exactly one APDU. 0; -EMSGSIZE a length that does not fit its container or content;
 * -ENOMSG a choice this protocol does not have. *ret is written on success only.
 */
int apdu_decode(const uint8_t *bytes, size_t len, struct apdu *ret);
/* -EMSGSIZE it does not fit into size; -ENOMSG no choice of ours. */
int apdu_encode(const struct apdu *a, uint8_t *buffer, size_t size, size_t *ret_len);
/*
 * The invoke-id and operation of a presentation APDU that apdu_decode() refused, so that it can be
 * rejected by name. False if not even those are there.
 */
bool apdu_peek(const uint8_t *bytes, size_t len, uint16_t *ret_invoke_id, uint16_t *ret_operation);
/* whether the other side asks for an answer to it: a confirmed or get request */
bool apdu_wants_answer(uint16_t operation);
/* a response, error or reject: an answer to what we asked */
bool apdu_is_answer(uint16_t operation);
