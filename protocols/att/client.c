#include "protocols/att/client.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "protocols/att/client_parts.h"
#include "protocols/bytes/cursor.h"

#define CCC_NOTIFY   0x0001
#define CCC_INDICATE 0x0002

/* of Read Multiple and Read Multiple Variable, which we never ask for */
#define READ_MULTIPLE_RSP          0x0f
#define READ_MULTIPLE_VARIABLE_RSP 0x21

const char *att_fault_name(enum att_fault fault)
{
	static const char *const names[ATT_FAULT_END] = {
		"length", "structure", "range", "unexpected", "second-indication", "second-request",
	};

	assert(fault < ATT_FAULT_END);
	return names[fault];
}

void att_client_init(struct att_client *c, const struct att_sink *sink, struct att_table *table,
		     size_t rx_mtu, enum att_security required)
{
	assert(rx_mtu >= ATT_MTU_DEFAULT && rx_mtu <= ATT_MTU_MAX);
	memset(c, 0, sizeof(*c));
	c->sink = sink;
	c->table = table;
	c->rx_mtu = rx_mtu;
	c->mtu = ATT_MTU_DEFAULT;
	c->required = required;
	c->security = ATT_SECURITY_CLEAR;
}

void att_client_set_security(struct att_client *c, enum att_security level)
{
	assert(!c->in_sink);
	c->security = level;
}

size_t att_client_mtu(const struct att_client *c)
{
	return c->mtu;
}

bool att_client_is_dead(const struct att_client *c)
{
	return c->dead;
}

const struct att_counts *att_client_counts(const struct att_client *c)
{
	return &c->counts;
}

/* ---- the end of things ---- */

static void finish(struct att_client *c, int error)
{
	const struct att_op *op = &c->queue[c->head];
	struct att_result result = { .kind = op->kind, .tag = op->tag, .handle = op->handle };

	result.error = error;
	result.refusal = c->step.refusal;
	if (error == 0 && (op->kind == ATT_DO_READ || op->kind == ATT_DO_HASH)) {
		result.data = c->value;
		result.len = c->value_len;
	}
	if (error < 0 && op->kind == ATT_DO_DISCOVER && c->step.begun)
		att_table_clear(c->table);
	c->head = (c->head + 1) % ATT_QUEUE_MAX;
	c->n--;
	memset(&c->step, 0, sizeof(c->step));
	c->in_sink = true;
	c->sink->done(c->sink->user, &result);
	c->in_sink = false;
}

/* first: what happened to the request that was under way */
static void end_bearer(struct att_client *c, int first)
{
	c->dead = true;
	c->reply_len = 0;
	c->indication.waiting = c->indication.confirmed = false;
	while (c->n > 0)
		finish(c, c->step.sent ? first : -ECANCELED);
}

void att_client_close(struct att_client *c)
{
	assert(!c->in_sink);
	end_bearer(c, -ECANCELED);
}

static void die(struct att_client *c)
{
	end_bearer(c, -ETIMEDOUT);
	c->in_sink = true;
	c->sink->dead(c->sink->user, -ETIMEDOUT);
	c->in_sink = false;
}

int64_t att_client_deadline(const struct att_client *c)
{
	int64_t deadline = INT64_MAX;

	if (c->step.sent)
		deadline = c->step.deadline;
	if (c->indication.waiting && c->indication.deadline < deadline)
		deadline = c->indication.deadline;
	return deadline;
}

void att_client_tick(struct att_client *c, int64_t now)
{
	assert(!c->in_sink);
	if (now >= att_client_deadline(c))
		die(c);
}

/* ---- asking ---- */

static int enqueue(struct att_client *c, const struct att_op *head, const uint8_t *data, size_t len)
{
	struct att_op *op;

	assert(!c->in_sink);
	if (c->dead)
		return -ENOTCONN;
	if (len > ATT_VALUE_MAX)
		return -EMSGSIZE;
	if (c->n == ATT_QUEUE_MAX)
		return -ENOBUFS;
	op = &c->queue[(c->head + c->n) % ATT_QUEUE_MAX];
	op->kind = head->kind;
	op->tag = head->tag;
	op->handle = head->handle;
	op->len = len;
	if (len > 0)
		memcpy(op->data, data, len);
	c->n++;
	return 0;
}

static int ask(struct att_client *c, enum att_kind kind, uint32_t tag)
{
	const struct att_op op = { .kind = kind, .tag = tag };

	return enqueue(c, &op, NULL, 0);
}

static int ask_handle(struct att_client *c, const struct att_op *op, const uint8_t *data,
		      size_t len)
{
	return op->handle == 0 ? -ERANGE : enqueue(c, op, data, len);
}

int att_client_exchange_mtu(struct att_client *c, uint32_t tag)
{
	int r;

	if (c->mtu_asked)
		return -EALREADY;
	r = ask(c, ATT_DO_MTU, tag);
	c->mtu_asked = r == 0;
	return r;
}

int att_client_discover(struct att_client *c, uint32_t tag)
{
	return ask(c, ATT_DO_DISCOVER, tag);
}

int att_client_read_hash(struct att_client *c, uint32_t tag)
{
	return ask(c, ATT_DO_HASH, tag);
}

int att_client_read(struct att_client *c, uint16_t handle, uint32_t tag)
{
	const struct att_op op = { .kind = ATT_DO_READ, .tag = tag, .handle = handle };

	return ask_handle(c, &op, NULL, 0);
}

int att_client_write(struct att_client *c, uint16_t handle, const uint8_t *data, size_t len,
		     uint32_t tag)
{
	const struct att_op op = { .kind = ATT_DO_WRITE, .tag = tag, .handle = handle };

	return ask_handle(c, &op, data, len);
}

int att_client_write_command(struct att_client *c, uint16_t handle, const uint8_t *data, size_t len,
			     uint32_t tag)
{
	const struct att_op op = { .kind = ATT_DO_COMMAND, .tag = tag, .handle = handle };

	return ask_handle(c, &op, data, len);
}

int att_client_subscribe(struct att_client *c, const struct att_characteristic *characteristic,
			 bool on, uint32_t tag)
{
	uint8_t ccc[2] = { 0, 0 };

	if (characteristic->ccc == 0)
		return -ENOTSUP;
	if (characteristic->properties & ATT_PROPERTY_INDICATE)
		ccc[0] = CCC_INDICATE;
	else if (characteristic->properties & ATT_PROPERTY_NOTIFY)
		ccc[0] = CCC_NOTIFY;
	else
		return -ENOTSUP;
	if (!on)
		ccc[0] = 0;
	return att_client_write(c, characteristic->ccc, ccc, sizeof(ccc), tag);
}

/* ---- out ---- */

static size_t take_reply(struct att_client *c, uint8_t *buffer)
{
	const size_t len = c->reply_len;
	size_t mtu = c->reply_mtu;

	memcpy(buffer, c->reply, len);
	c->reply_len = 0;
	if (buffer[0] == ATT_MTU_RSP) {
		mtu = mtu < c->rx_mtu ? mtu : c->rx_mtu;
		c->mtu = mtu < ATT_MTU_DEFAULT ? ATT_MTU_DEFAULT : mtu;
	}
	return len;
}

static size_t take_confirmation(struct att_client *c, uint8_t *buffer)
{
	c->indication.confirmed = false;
	buffer[0] = ATT_CONFIRMATION;
	return 1;
}

static size_t take_request(struct att_client *c, uint8_t *buffer, int64_t now)
{
	struct att_step *s = &c->step;
	struct att_pdu p;
	size_t len = 0;
	int r;

	if (!s->begun)
		c->value_len = 0;
	s->begun = true;
	att_procedure_request(c, &p);
	r = att_encode(&p, buffer, c->mtu, &len);
	if (p.opcode == ATT_WRITE_CMD) {
		finish(c, r);
		return r < 0 ? 0 : len;
	}
	assert(r == 0);
	s->sent = true;
	s->expected = (uint8_t)(p.opcode + 1);
	s->deadline = now + ATT_TIMEOUT_USEC;
	s->mtu = c->mtu;
	return len;
}

size_t att_client_take(struct att_client *c, uint8_t *buffer, int64_t now)
{
	size_t len = 0;

	assert(!c->in_sink);
	if (c->reply_len > 0)
		len = take_reply(c, buffer);
	else if (c->indication.confirmed)
		len = take_confirmation(c, buffer);
	/* a command that does not fit gives way to the next one */
	while (len == 0 && c->n > 0 && !c->step.sent)
		len = take_request(c, buffer, now);
	if (len > 0)
		c->counts.sent++;
	return len;
}

/* ---- in ---- */

static enum att_fault fault_of(int r)
{
	if (r == -EMSGSIZE)
		return ATT_FAULT_LENGTH;
	return r == -ERANGE ? ATT_FAULT_RANGE : ATT_FAULT_STRUCTURE;
}

static int fault(struct att_client *c, enum att_fault fault, uint8_t opcode, int r)
{
	c->counts.faults[fault]++;
	c->in_sink = true;
	c->sink->fault(c->sink->user, fault, opcode, r);
	c->in_sink = false;
	return r;
}

static void hand_over(struct att_client *c, const struct att_value *v, bool indication)
{
	const struct att_notice notice = {
		.handle = v->handle,
		.data = v->data,
		.len = v->len,
		.indication = indication,
		.in_clear = c->security < c->required,
	};

	c->in_sink = true;
	c->sink->value(c->sink->user, &notice);
	c->in_sink = false;
}

static int on_notifications(struct att_client *c, const struct att_pdu *p)
{
	struct att_value v = { .handle = p->handle, .data = p->data, .len = p->len };
	size_t position = 0;

	if (p->opcode == ATT_NOTIFICATION)
		hand_over(c, &v, false);
	while (p->opcode == ATT_MULTIPLE_NOTIFICATION && att_multiple_next(p, &position, &v))
		hand_over(c, &v, false);
	return 0;
}

static bool is_service_changed(const struct att_client *c, uint16_t handle)
{
	const struct att_characteristic *ch = att_table_by_value(c->table, handle);

	return ch && att_uuid_16(&ch->uuid) == ATT_UUID_SERVICE_CHANGED;
}

static int on_service_changed(struct att_client *c, const struct att_pdu *p)
{
	struct cursor value = cursor_of(p->data, p->len);
	const uint16_t start = cursor_le16(&value), end = cursor_le16(&value);

	if (!cursor_at_end(&value))
		return -EMSGSIZE;
	if (start == 0 || end < start)
		return -ERANGE;
	att_table_invalidate(c->table, start, end);
	if (c->n > 0 && c->queue[c->head].kind == ATT_DO_DISCOVER && c->step.begun)
		c->step.stale = true;
	c->in_sink = true;
	c->sink->changed(c->sink->user, p->handle, start, end);
	c->in_sink = false;
	return 0;
}

/* An indication that cannot be handed over, but whose confirmation the peer now waits for. */
static int spoil_indication(struct att_client *c, enum att_fault why, int r)
{
	c->indication.spoiled = true;
	return fault(c, why, ATT_INDICATION, r);
}

static int on_indication(struct att_client *c, const struct att_pdu *p, int64_t now)
{
	const struct att_value v = { .handle = p->handle, .data = p->data, .len = p->len };
	const bool in_clear = c->security < c->required;
	int r;

	if (c->indication.waiting || c->indication.confirmed)
		return spoil_indication(c, ATT_FAULT_SECOND_INDICATION, -EPROTO);
	c->indication.waiting = true;
	c->indication.in_clear = in_clear;
	c->indication.handle = p->handle;
	c->indication.deadline = now + ATT_TIMEOUT_USEC;
	if (in_clear || !is_service_changed(c, p->handle)) {
		hand_over(c, &v, true);
		return 0;
	}
	r = on_service_changed(c, p);
	return r < 0 ? spoil_indication(c, fault_of(r), r) : 0;
}

int att_client_confirm(struct att_client *c, uint16_t handle)
{
	assert(!c->in_sink);
	if (c->dead)
		return -ENOTCONN;
	if (!c->indication.waiting || c->indication.handle != handle)
		return -ENOENT;
	if (c->indication.in_clear)
		return -EACCES;
	if (c->indication.spoiled)
		return -EPROTO;
	c->indication.waiting = false;
	c->indication.confirmed = true;
	return 0;
}

static bool is_response(uint8_t opcode)
{
	switch (opcode) {
	case ATT_ERROR_RSP:
	case ATT_MTU_RSP:
	case ATT_FIND_INFO_RSP:
	case ATT_FIND_TYPE_RSP:
	case ATT_READ_TYPE_RSP:
	case ATT_READ_RSP:
	case ATT_READ_BLOB_RSP:
	case READ_MULTIPLE_RSP:
	case ATT_READ_GROUP_RSP:
	case ATT_WRITE_RSP:
	case ATT_PREPARE_RSP:
	case ATT_EXECUTE_RSP:
	case READ_MULTIPLE_VARIABLE_RSP:
		return true;
	default:
		return false;
	}
}

/* an answer that was well formed and still not what the request allows */
static int broken_rule(int r)
{
	return r == -EBADMSG || r == -EMSGSIZE ? r : 0;
}

/* r: what decoding it gave; p is valid if 0 */
static int on_response(struct att_client *c, uint8_t opcode, const struct att_pdu *p, int r)
{
	struct att_step *s = &c->step;
	bool cancelling;
	int next;

	if (r < 0 && opcode == ATT_ERROR_RSP)
		return fault(c, fault_of(r), opcode, r);
	if (!s->sent ||
	    (opcode != s->expected && !(opcode == ATT_ERROR_RSP && p->request == s->expected - 1)))
		return fault(c, ATT_FAULT_UNEXPECTED, opcode, -EPROTO);
	s->sent = false;
	cancelling = s->failed != 0;
	next = r < 0 ? att_procedure_spoiled(c, r) : att_procedure_answer(c, p);
	if (r == 0 && !cancelling)
		r = broken_rule(next == ATT_STEP_MORE ? s->failed : next);
	if (r < 0)
		(void)fault(c, fault_of(r), opcode, r);
	if (next <= ATT_STEP_DONE)
		finish(c, next);
	return r;
}

static int on_request(struct att_client *c, const struct att_pdu *p, const uint8_t *data,
		      size_t len, int r)
{
	if (c->reply_len > 0)
		return fault(c, ATT_FAULT_SECOND_REQUEST, data[0], -EPROTO);
	att_server_reply(c, p, data, len, r);
	return r == 0 || r == -ENOMSG ? 0 : fault(c, fault_of(r), data[0], r);
}

static int dispatch(struct att_client *c, const struct att_pdu *p, const uint8_t *data, size_t len,
		    int r, int64_t now)
{
	if (is_response(data[0]))
		return on_response(c, data[0], p, r);
	switch (data[0]) {
	case ATT_INDICATION:
		return r < 0 ? spoil_indication(c, fault_of(r), r) : on_indication(c, p, now);
	case ATT_NOTIFICATION:
	case ATT_MULTIPLE_NOTIFICATION:
		return r < 0 ? fault(c, fault_of(r), data[0], r) : on_notifications(c, p);
	case ATT_CONFIRMATION:
		return fault(c, ATT_FAULT_UNEXPECTED, data[0], -EPROTO);
	default:
		break;
	}
	if (data[0] & ATT_COMMAND_FLAG) {
		c->counts.ignored_commands++;
		return 0;
	}
	return on_request(c, p, data, len, r);
}

/* Before the response to our MTU request the peer may already use what it will grant. */
static size_t receive_mtu(const struct att_client *c)
{
	return c->step.sent && c->step.expected == ATT_MTU_RSP ? c->rx_mtu : c->mtu;
}

int att_client_receive(struct att_client *c, const uint8_t *data, size_t len, int64_t now)
{
	struct att_pdu p = { .opcode = 0 };
	int r;

	assert(!c->in_sink);
	if (c->dead)
		return -ENOTCONN;
	c->counts.received++;
	if (len == 0)
		return fault(c, ATT_FAULT_LENGTH, 0, -EMSGSIZE);
	r = att_decode(data, len, receive_mtu(c), &p);
	return dispatch(c, &p, data, len, r, now);
}
