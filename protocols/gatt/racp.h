/*
 * Record Access Control Point 0x2A52 (write, indicate), with the operands of the Glucose Service.
 *
 *   opcode u8 | operator u8 | operand
 *     report, delete, report number:   operand by operator
 *       all, first, last                 none
 *       less or equal                    filter u8 | maximum
 *       greater or equal                 filter u8 | minimum
 *       within range (inclusive)         filter u8 | minimum | maximum
 *     abort                            operator null, no operand
 *     number response                  operator null | count u16
 *     response                         operator null | request opcode u8 | result u8
 *   filter 1: sequence numbers u16; filter 2: user facing time (base time + offset), Date Time 7
 *
 * Safe order: subscribe, report >= the last committed sequence, COMMIT, and only then, if wanted,
 * delete <= that sequence.
 *
 * Source: opcodes, operators and results: SIG characteristic data (gatt-xml, 2011); filter types:
 * tshark 4.0's value table. The layout of filter 2 (a Date Time) is from memory of the Glucose
 * Service specification and not verified. Continuous glucose uses filter 1 for time offsets of the
 * same size.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "protocols/bytes/writer.h"
#include "protocols/gatt/time.h"

enum gatt_racp_opcode {
	GATT_RACP_REPORT = 1,
	GATT_RACP_DELETE,
	GATT_RACP_ABORT,
	GATT_RACP_REPORT_NUMBER,
	GATT_RACP_NUMBER,   /* device to us */
	GATT_RACP_RESPONSE, /* device to us */
};

enum gatt_racp_operator {
	GATT_RACP_NULL = 0,
	GATT_RACP_ALL,
	GATT_RACP_LESS_OR_EQUAL,
	GATT_RACP_GREATER_OR_EQUAL,
	GATT_RACP_RANGE,
	GATT_RACP_FIRST, /* the oldest */
	GATT_RACP_LAST,  /* the most recent */
};

enum gatt_racp_filter {
	GATT_RACP_BY_SEQUENCE = 1,
	GATT_RACP_BY_TIME = 2,
};

enum gatt_racp_result {
	GATT_RACP_SUCCESS = 1,
	GATT_RACP_OPCODE_NOT_SUPPORTED,
	GATT_RACP_INVALID_OPERATOR,
	GATT_RACP_OPERATOR_NOT_SUPPORTED,
	GATT_RACP_INVALID_OPERAND,
	GATT_RACP_NO_RECORDS,
	GATT_RACP_ABORT_FAILED,
	GATT_RACP_NOT_COMPLETED,
	GATT_RACP_OPERAND_NOT_SUPPORTED,
};

/* Only the members that opcode and operator call for are used; a decoded struct has 0 elsewhere. */
struct gatt_racp {
	enum gatt_racp_opcode opcode;
	enum gatt_racp_operator condition; /* the Operator field */
	enum gatt_racp_filter filter;
	uint16_t min_sequence, max_sequence;
	struct gatt_date_time min_time, max_time;
	uint16_t count;                /* NUMBER */
	enum gatt_racp_opcode request; /* RESPONSE: which request it answers */
	enum gatt_racp_result result;  /* RESPONSE */
};

/* -EMSGSIZE length; -ERANGE opcode, operator, filter, result, date, or an empty range.
 * ret untouched on failure. */
int gatt_racp_decode(const uint8_t *data, size_t len, struct gatt_racp *ret);
/* -ERANGE a combination that the layout cannot hold; -ENOSPC the writer is too small */
int gatt_racp_encode(const struct gatt_racp *x, struct writer *w);
/* "no records" ...: for logs; NULL outside the definition */
const char *gatt_racp_result_name(unsigned int result);
