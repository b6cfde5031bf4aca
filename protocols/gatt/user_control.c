#include "protocols/gatt/user_control.h"

#include <errno.h>
#include <stdbool.h>

#include "protocols/bytes/cursor.h"
#include "protocols/gatt/field.h"

static bool opcode_valid(unsigned int opcode)
{
	return (opcode >= GATT_USER_REGISTER && opcode <= GATT_USER_DELETE) ||
	       opcode == GATT_USER_RESPONSE;
}

static bool response_has_index(const struct gatt_user_control *x)
{
	return x->result == GATT_USER_SUCCESS &&
	       (x->request == GATT_USER_REGISTER || x->request == GATT_USER_DELETE);
}

static bool response_has_count(const struct gatt_user_control *x)
{
	return x->result == GATT_USER_SUCCESS && x->request == GATT_USER_LIST;
}

static void response_read(struct cursor *c, struct gatt_user_control *x)
{
	x->request = (enum gatt_user_control_opcode)cursor_u8(c);
	x->result = (enum gatt_user_control_result)cursor_u8(c);
	if (response_has_index(x))
		x->user_index = cursor_u8(c);
	if (response_has_count(x))
		x->user_count = cursor_u8(c);
}

static void parameter_read(struct cursor *c, struct gatt_user_control *x)
{
	switch (x->opcode) {
	case GATT_USER_REGISTER:
		x->consent_code = cursor_le16(c);
		break;
	case GATT_USER_CONSENT:
		x->user_index = cursor_u8(c);
		x->consent_code = cursor_le16(c);
		break;
	case GATT_USER_DELETE:
		x->user_index = cursor_u8(c);
		break;
	case GATT_USER_RESPONSE:
		response_read(c, x);
		break;
	case GATT_USER_DELETE_DATA:
	case GATT_USER_LIST:
		break;
	}
}

static bool user_control_valid(const struct gatt_user_control *x)
{
	unsigned int result = (unsigned int)x->result;

	if (!opcode_valid((unsigned int)x->opcode) || x->consent_code > GATT_CONSENT_MAX)
		return false;
	/* the request may be one that we do not know: "opcode not supported" echoes it */
	return x->opcode != GATT_USER_RESPONSE ||
	       (result >= GATT_USER_SUCCESS && result <= GATT_USER_NOT_AUTHORISED &&
		(unsigned int)x->request <= UINT8_MAX);
}

int gatt_user_control_decode(const uint8_t *data, size_t len, struct gatt_user_control *ret)
{
	struct cursor c = cursor_of(data, len);
	struct gatt_user_control x = { 0 };
	uint8_t opcode = cursor_u8(&c);

	if (!cursor_ok(&c))
		return -EMSGSIZE;
	if (!opcode_valid(opcode))
		return -ERANGE;
	x.opcode = (enum gatt_user_control_opcode)opcode;
	parameter_read(&c, &x);
	if (!cursor_at_end(&c))
		return -EMSGSIZE;
	if (!user_control_valid(&x))
		return -ERANGE;
	*ret = x;
	return 0;
}

static void response_write(struct writer *w, const struct gatt_user_control *x)
{
	writer_u8(w, (uint8_t)x->request);
	writer_u8(w, (uint8_t)x->result);
	if (response_has_index(x))
		writer_u8(w, x->user_index);
	if (response_has_count(x))
		writer_u8(w, x->user_count);
}

int gatt_user_control_encode(const struct gatt_user_control *x, struct writer *w)
{
	struct writer start = *w;

	if (!user_control_valid(x))
		return -ERANGE;
	writer_u8(w, (uint8_t)x->opcode);
	if (x->opcode == GATT_USER_CONSENT || x->opcode == GATT_USER_DELETE)
		writer_u8(w, x->user_index);
	if (x->opcode == GATT_USER_CONSENT || x->opcode == GATT_USER_REGISTER)
		writer_le16(w, x->consent_code);
	if (x->opcode == GATT_USER_RESPONSE)
		response_write(w, x);
	return field_close(w, &start, 0);
}

int gatt_user_index_decode(const uint8_t *data, size_t len, uint8_t *ret)
{
	if (len != 1)
		return -EMSGSIZE;
	*ret = data[0];
	return 0;
}

int gatt_user_index_encode(uint8_t user_index, struct writer *w)
{
	struct writer start = *w;

	writer_u8(w, user_index);
	return field_close(w, &start, 0);
}

int gatt_database_change_decode(const uint8_t *data, size_t len, uint32_t *ret)
{
	struct cursor c = cursor_of(data, len);
	uint32_t increment = cursor_le32(&c);

	if (!cursor_at_end(&c))
		return -EMSGSIZE;
	*ret = increment;
	return 0;
}

int gatt_database_change_encode(uint32_t increment, struct writer *w)
{
	struct writer start = *w;

	writer_le32(w, increment);
	return field_close(w, &start, 0);
}
