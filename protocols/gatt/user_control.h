/*
 * User Data Service 0x181C: User Control Point 0x2A9F (write, indicate), User Index 0x2A9A (read),
 * Database Change Increment 0x2A99 (read, write, notify).
 *
 *   0x01 register new user   consent code u16
 *   0x02 consent             user index u8, consent code u16
 *   0x03 delete user data    -                               (the user who gave consent)
 *   0x04 list all users      -                               (UDS 1.1)
 *   0x05 delete users        user index u8                   (UDS 1.1)
 *   0x20 response            request opcode u8, result u8, [parameter]
 *          parameter of a success: register and delete users: user index u8; list: count u8
 *
 * A consent code is a secret between device and person: never log it, never try codes (repeated
 * wrong ones lock some devices). After writing profile fields the client writes the increment + 1,
 * or Beurer scales drop the edit.
 *
 * Source: opcodes 1 to 3, 0x20 and results: tshark 4.0's value tables; opcodes 4 and 5 and the
 * response parameters: two independent public implementations; the specification was not at hand.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "protocols/bytes/writer.h"

#define GATT_USER_UNKNOWN 0xFF
#define GATT_CONSENT_MAX  9999

enum gatt_user_control_opcode {
	GATT_USER_REGISTER = 0x01,
	GATT_USER_CONSENT = 0x02,
	GATT_USER_DELETE_DATA = 0x03,
	GATT_USER_LIST = 0x04,
	GATT_USER_DELETE = 0x05,
	GATT_USER_RESPONSE = 0x20,
};

enum gatt_user_control_result {
	GATT_USER_SUCCESS = 1,
	GATT_USER_OPCODE_NOT_SUPPORTED,
	GATT_USER_INVALID_PARAMETER,
	GATT_USER_OPERATION_FAILED,
	GATT_USER_NOT_AUTHORISED,
};

/* Only the members that the opcode calls for are used; a decoded struct has 0 elsewhere. */
struct gatt_user_control {
	enum gatt_user_control_opcode opcode;
	uint8_t user_index;                    /* CONSENT, DELETE, successful REGISTER and DELETE */
	uint16_t consent_code;                 /* REGISTER, CONSENT: 0 to 9999 */
	enum gatt_user_control_opcode request; /* RESPONSE: which request it answers */
	enum gatt_user_control_result result;  /* RESPONSE */
	uint8_t user_count;                    /* successful LIST */
};

/* -EMSGSIZE length; -ERANGE opcode, result, or consent code. ret untouched on failure. */
int gatt_user_control_decode(const uint8_t *data, size_t len, struct gatt_user_control *ret);
/* -ERANGE a value that the layout cannot hold; -ENOSPC the writer is too small */
int gatt_user_control_encode(const struct gatt_user_control *x, struct writer *w);

int gatt_user_index_decode(const uint8_t *data, size_t len, uint8_t *ret);
int gatt_user_index_encode(uint8_t user_index, struct writer *w);
int gatt_database_change_decode(const uint8_t *data, size_t len, uint32_t *ret);
int gatt_database_change_encode(uint32_t increment, struct writer *w);
