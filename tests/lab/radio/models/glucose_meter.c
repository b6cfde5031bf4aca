/*
 * A glucose meter: records by sequence number, sent and deleted through the Record Access Control
 * Point. Nothing leaves the meter but by a delete.
 *
 *   02 | sequence u16 | base time 7 | concentration SFLOAT kg/L | type and place 11
 *   control point: 01 report, 02 delete, 03 abort, 04 number of records;
 *     operators 01 all, 02 up to, 03 from, 04 range, 05 first, 06 last; filter 01: sequence number
 *   answers (indicated): 06 00 request result; 05 00 number u16
 *
 * Source: Glucose Service 1.0.1.
 */
#include <string.h>

#include "tests/lab/radio/models/models.h"

enum {
	MEASUREMENT = 1,
	CONTROL,

	REPORT = 1,
	DELETE = 2,
	ABORT = 3,
	COUNT = 4,
	COUNT_ANSWER = 5,
	ANSWER = 6,

	ALL = 1,
	UP_TO = 2,
	FROM = 3,
	RANGE = 4,
	FIRST = 5,
	LAST = 6,

	SUCCESS = 1,
	OPCODE_NOT_SUPPORTED = 2,
	OPERATOR_INVALID = 3,
	OPERATOR_NOT_SUPPORTED = 4,
	OPERAND_INVALID = 5,
	NO_RECORDS = 6,
	OPERAND_NOT_SUPPORTED = 9,
};

/* the records that the request is about; only they are sent */
struct meter {
	uint32_t from, to;
	bool reporting;
};

static void frame(const struct peer_state *s, const struct reading *r, unsigned int part,
		  struct writer *w)
{
	(void)part;
	(void)s;
	writer_u8(w, 0x02);
	writer_le16(w, (uint16_t)r->number);
	put_date_time(w, r->time);
	/* mg/dL as 1e-5 kg/L */
	put_sfloat(w, r->failed ? SFLOAT_NAN : (int)(70 + r->number % 180), r->failed ? 0 : -5);
	writer_u8(w, 0x11);
}

static bool ready(const struct peer_state *s, const struct reading *r)
{
	const struct meter *const m = s->own;

	return m->reporting && r->number >= m->from && r->number <= m->to;
}

static bool in_range(const struct reading *r, const void *context)
{
	const struct meter *const m = context;

	return r->number >= m->from && r->number <= m->to;
}

static unsigned int count(const struct peer_state *s)
{
	unsigned int n = 0;

	for (size_t i = 0; i < s->n_stock; i++)
		n += in_range(&s->stock[i], s->own);
	return n;
}

static uint32_t le16(const uint8_t *data)
{
	return (uint32_t)(data[0] | data[1] << 8);
}

/* operator and operand to a range; a result */
static uint8_t select_records(const struct peer_state *s, const uint8_t *data, size_t len)
{
	struct meter *const m = s->own;
	const uint8_t operator= data[1];
	const size_t operands = operator== RANGE ? 2 : operator== UP_TO || operator== FROM;

	if (operator== 0)
		return OPERATOR_INVALID;
	if (operator> LAST)
		return OPERATOR_NOT_SUPPORTED;
	if (operands && len > 2 && data[2] != 1)
		return OPERAND_NOT_SUPPORTED;
	if (len != (operands ? 3 + 2 * operands : 2))
		return OPERAND_INVALID;
	m->from = 0;
	m->to = UINT32_MAX;
	if (operator== FIRST || operator== LAST) {
		if (!s->n_stock)
			return NO_RECORDS;
		m->from = m->to = s->stock[operator == FIRST ? 0 : s->n_stock - 1].number;
	} else if (operator== UP_TO) {
		m->to = le16(data + 3);
	} else if (operands) {
		m->from = le16(data + 3);
	}
	if (operator== RANGE)
		m->to = le16(data + 5);
	return m->from <= m->to ? SUCCESS : OPERAND_INVALID;
}

static uint8_t report(struct peer_state *s)
{
	struct meter *const m = s->own;

	if (!count(s))
		return NO_RECORDS;
	for (size_t i = 0; i < s->n_stock; i++)
		s->stock[i].sent = 0;
	m->reporting = true;
	stock_pump(s);
	m->reporting = false;
	return SUCCESS;
}

static void answer(struct peer_state *s, uint8_t request, uint8_t result)
{
	const uint8_t value[4] = { ANSWER, 0, request, result };

	(void)stock_answer(s, CONTROL, value, sizeof(value));
}

static uint8_t on_write(struct peer_state *s, uint8_t id, const uint8_t *data, size_t len)
{
	if (id != CONTROL)
		return ATT_OK;
	if (len < 2)
		return ATT_INVALID_LENGTH;
	if (!(server_ccc(&s->server, CONTROL) & 2) ||
	    (data[0] == REPORT && !(server_ccc(&s->server, MEASUREMENT) & 1)))
		return ATT_CCC_IMPROPER;
	return s->n_out ? ATT_IN_PROGRESS : ATT_OK;
}

static void on_wrote(struct peer_state *s, uint8_t id, const uint8_t *data, size_t len)
{
	uint8_t number[4] = { COUNT_ANSWER, 0 }, result = SUCCESS;

	if (id != CONTROL)
		return;
	/* a report is over before the host can abort it */
	if (data[0] != ABORT)
		result = select_records(s, data, len);
	if (data[0] < REPORT || data[0] > COUNT)
		result = OPCODE_NOT_SUPPORTED;
	if (result == SUCCESS && data[0] == COUNT) {
		number[2] = (uint8_t)count(s);
		number[3] = (uint8_t)(count(s) >> 8);
		(void)stock_answer(s, CONTROL, number, sizeof(number));
		return;
	}
	if (result == SUCCESS && data[0] == REPORT)
		result = report(s);
	else if (result == SUCCESS && data[0] == DELETE)
		result = stock_delete(s, in_range, s->own) ? SUCCESS : NO_RECORDS;
	answer(s, data[0], result);
}

static const struct server_row ROWS[] = {
	{ .kind = SERVER_SERVICE, .uuid = 0x1808 },
	{ .kind = SERVER_CHARACTERISTIC,
	  .uuid = 0x2a18,
	  .properties = GATT_NOTIFY,
	  .id = MEASUREMENT,
	  .secure = true },
	{ .kind = SERVER_CHARACTERISTIC,
	  .uuid = 0x2a51,
	  .properties = GATT_READ,
	  .value = "\x00\x00",
	  .len = 2 },
	{ .kind = SERVER_CHARACTERISTIC,
	  .uuid = 0x2a52,
	  .properties = GATT_WRITE | GATT_INDICATE,
	  .id = CONTROL,
	  .secure = true },
};

const struct model model_glucose_meter = {
	.name = "glucose_meter",
	.label = "Sim Gluco",
	.maker = "Simulated",
	.type = "GL-1",
	.appearance = 0x0400,
	.services = { 0x1808 },
	MODEL_ROWS(ROWS),
	.pairing = SMP_JUST_WORKS,
	.battery = true,
	.keeps = true,
	.own_size = sizeof(struct meter),
	.mtu = 23,
	.frame_ids = { MEASUREMENT },
	.frame = frame,
	.ready = ready,
	.write = on_write,
	.wrote = on_wrote,
};
