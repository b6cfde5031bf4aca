#include "protocols/gatt/racp.h"

#include <errno.h>
#include <stdbool.h>

#include "protocols/bytes/cursor.h"
#include "protocols/gatt/field.h"

/* seconds of a date are compared as one number; only the order matters */
static uint64_t time_order(const struct gatt_date_time *t)
{
	uint64_t days = ((uint64_t)t->year << 16) | ((uint64_t)t->month << 8) | t->day;

	return days << 24 | (uint64_t)t->hour << 16 | (uint64_t)t->minute << 8 | t->second;
}

static bool is_query(unsigned int opcode)
{
	return opcode == GATT_RACP_REPORT || opcode == GATT_RACP_DELETE ||
	       opcode == GATT_RACP_REPORT_NUMBER;
}

static bool has_min(enum gatt_racp_operator condition)
{
	return condition == GATT_RACP_GREATER_OR_EQUAL || condition == GATT_RACP_RANGE;
}

static bool has_max(enum gatt_racp_operator condition)
{
	return condition == GATT_RACP_LESS_OR_EQUAL || condition == GATT_RACP_RANGE;
}

static bool operator_valid(const struct gatt_racp *x)
{
	unsigned int condition = (unsigned int)x->condition;

	if (is_query((unsigned int)x->opcode))
		return condition >= GATT_RACP_ALL && condition <= GATT_RACP_LAST;
	return condition == GATT_RACP_NULL;
}

static bool filter_valid(const struct gatt_racp *x)
{
	bool range = x->condition == GATT_RACP_RANGE;

	if (!has_min(x->condition) && !has_max(x->condition))
		return true;
	if (x->filter == GATT_RACP_BY_SEQUENCE)
		return !range || x->min_sequence <= x->max_sequence;
	if (x->filter != GATT_RACP_BY_TIME)
		return false;
	if (has_min(x->condition) && !gatt_date_time_valid(&x->min_time))
		return false;
	if (has_max(x->condition) && !gatt_date_time_valid(&x->max_time))
		return false;
	return !range || time_order(&x->min_time) <= time_order(&x->max_time);
}

static bool racp_valid(const struct gatt_racp *x)
{
	unsigned int opcode = (unsigned int)x->opcode, request = (unsigned int)x->request;

	if (opcode < GATT_RACP_REPORT || opcode > GATT_RACP_RESPONSE || !operator_valid(x))
		return false;
	if (opcode == GATT_RACP_RESPONSE)
		return request >= GATT_RACP_REPORT && request <= GATT_RACP_RESPONSE &&
		       gatt_racp_result_name((unsigned int)x->result);
	return !is_query(opcode) || filter_valid(x);
}

static void bound_read(struct cursor *c, enum gatt_racp_filter filter, uint16_t *ret_sequence,
		       struct gatt_date_time *ret_time)
{
	if (filter == GATT_RACP_BY_TIME)
		*ret_time = gatt_date_time_read(c);
	else
		*ret_sequence = cursor_le16(c);
}

static void filter_read(struct cursor *c, struct gatt_racp *x)
{
	if (!has_min(x->condition) && !has_max(x->condition))
		return;
	x->filter = (enum gatt_racp_filter)cursor_u8(c);
	if (has_min(x->condition))
		bound_read(c, x->filter, &x->min_sequence, &x->min_time);
	if (has_max(x->condition))
		bound_read(c, x->filter, &x->max_sequence, &x->max_time);
}

int gatt_racp_decode(const uint8_t *data, size_t len, struct gatt_racp *ret)
{
	struct cursor c = cursor_of(data, len);
	struct gatt_racp x = { 0 };
	uint8_t opcode = cursor_u8(&c);

	x.opcode = (enum gatt_racp_opcode)opcode;
	x.condition = (enum gatt_racp_operator)cursor_u8(&c);
	if (!cursor_ok(&c))
		return -EMSGSIZE;
	if (opcode < GATT_RACP_REPORT || opcode > GATT_RACP_RESPONSE || !operator_valid(&x))
		return -ERANGE;
	if (is_query(opcode))
		filter_read(&c, &x);
	if (opcode == GATT_RACP_NUMBER)
		x.count = cursor_le16(&c);
	if (opcode == GATT_RACP_RESPONSE) {
		x.request = (enum gatt_racp_opcode)cursor_u8(&c);
		x.result = (enum gatt_racp_result)cursor_u8(&c);
	}
	if (!cursor_at_end(&c))
		return -EMSGSIZE;
	if (!racp_valid(&x))
		return -ERANGE;
	*ret = x;
	return 0;
}

static void bound_write(struct writer *w, enum gatt_racp_filter filter, uint16_t sequence,
			const struct gatt_date_time *time)
{
	if (filter == GATT_RACP_BY_TIME)
		gatt_date_time_write(time, w);
	else
		writer_le16(w, sequence);
}

static void filter_write(struct writer *w, const struct gatt_racp *x)
{
	if (!has_min(x->condition) && !has_max(x->condition))
		return;
	writer_u8(w, (uint8_t)x->filter);
	if (has_min(x->condition))
		bound_write(w, x->filter, x->min_sequence, &x->min_time);
	if (has_max(x->condition))
		bound_write(w, x->filter, x->max_sequence, &x->max_time);
}

int gatt_racp_encode(const struct gatt_racp *x, struct writer *w)
{
	struct writer start = *w;

	if (!racp_valid(x))
		return -ERANGE;
	writer_u8(w, (uint8_t)x->opcode);
	writer_u8(w, (uint8_t)x->condition);
	if (is_query((unsigned int)x->opcode))
		filter_write(w, x);
	if (x->opcode == GATT_RACP_NUMBER)
		writer_le16(w, x->count);
	if (x->opcode == GATT_RACP_RESPONSE) {
		writer_u8(w, (uint8_t)x->request);
		writer_u8(w, (uint8_t)x->result);
	}
	return field_close(w, &start, 0);
}

const char *gatt_racp_result_name(unsigned int result)
{
	static const char *const names[] = {
		[GATT_RACP_SUCCESS] = "success",
		[GATT_RACP_OPCODE_NOT_SUPPORTED] = "opcode not supported",
		[GATT_RACP_INVALID_OPERATOR] = "invalid operator",
		[GATT_RACP_OPERATOR_NOT_SUPPORTED] = "operator not supported",
		[GATT_RACP_INVALID_OPERAND] = "invalid operand",
		[GATT_RACP_NO_RECORDS] = "no records",
		[GATT_RACP_ABORT_FAILED] = "abort failed",
		[GATT_RACP_NOT_COMPLETED] = "not completed",
		[GATT_RACP_OPERAND_NOT_SUPPORTED] = "operand not supported",
	};

	return result < sizeof(names) / sizeof(names[0]) ? names[result] : NULL;
}
