/* MTU exchange, reads and writes, step by step: part G 4.3, 4.8, 4.9. */
#include <assert.h>
#include <errno.h>
#include <string.h>

#include "protocols/att/client_parts.h"

#define HASH_ITEM (2 + ATT_HASH_SIZE)

enum write_phase {
	WRITE_PLAIN,
	WRITE_PREPARE,
	WRITE_EXECUTE,
	WRITE_CANCEL,
};

static size_t smaller(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* ---- asking ---- */

static void request_write(struct att_client *c, const struct att_op *op, struct att_pdu *p)
{
	struct att_step *s = &c->step;

	if (s->phase == WRITE_PLAIN && op->len > c->mtu - 3)
		s->phase = WRITE_PREPARE;
	switch ((enum write_phase)s->phase) {
	case WRITE_PLAIN:
		*p = (struct att_pdu){ .opcode = ATT_WRITE_REQ, .handle = op->handle };
		p->data = op->data;
		p->len = op->len;
		return;
	case WRITE_PREPARE:
		s->chunk = smaller(op->len - s->offset, c->mtu - 5);
		*p = (struct att_pdu){ .opcode = ATT_PREPARE_REQ, .handle = op->handle };
		p->offset = (uint16_t)s->offset;
		p->data = op->data + s->offset;
		p->len = s->chunk;
		return;
	case WRITE_EXECUTE:
	case WRITE_CANCEL:
		*p = (struct att_pdu){ .opcode = ATT_EXECUTE_REQ };
		p->flags = s->phase == WRITE_EXECUTE ? 1 : 0;
		return;
	}
}

void att_procedure_request(struct att_client *c, struct att_pdu *ret)
{
	const struct att_op *op = &c->queue[c->head];

	switch (op->kind) {
	case ATT_DO_MTU:
		*ret = (struct att_pdu){ .opcode = ATT_MTU_REQ, .mtu = (uint16_t)c->rx_mtu };
		return;
	case ATT_DO_DISCOVER:
		att_discover_request(c, ret);
		return;
	case ATT_DO_HASH:
		*ret = (struct att_pdu){ .opcode = ATT_READ_TYPE_REQ, .handle = 1, .end = 0xffff };
		ret->type = att_uuid_of16(ATT_UUID_DATABASE_HASH);
		return;
	case ATT_DO_READ:
		*ret = (struct att_pdu){ .opcode = ATT_READ_REQ, .handle = op->handle };
		if (c->value_len > 0)
			ret->opcode = ATT_READ_BLOB_REQ;
		ret->offset = (uint16_t)c->value_len;
		return;
	case ATT_DO_WRITE:
		request_write(c, op, ret);
		return;
	case ATT_DO_COMMAND:
		*ret = (struct att_pdu){ .opcode = ATT_WRITE_CMD, .handle = op->handle };
		ret->data = op->data;
		ret->len = op->len;
		return;
	}
}

/* ---- answers ---- */

static int refused(struct att_client *c, const struct att_pdu *p)
{
	c->step.refusal = p->error;
	return -EREMOTEIO;
}

static int answer_mtu(struct att_client *c, const struct att_pdu *p)
{
	size_t mtu;

	if (p->opcode == ATT_ERROR_RSP)
		return refused(c, p);
	mtu = smaller(p->mtu, c->rx_mtu);
	c->mtu = mtu < ATT_MTU_DEFAULT ? ATT_MTU_DEFAULT : mtu;
	return ATT_STEP_DONE;
}

static int answer_hash(struct att_client *c, const struct att_pdu *p)
{
	if (p->opcode == ATT_ERROR_RSP)
		return refused(c, p);
	if (p->item_size != HASH_ITEM || p->len != HASH_ITEM)
		return -EBADMSG;
	memcpy(c->value, p->data + 2, ATT_HASH_SIZE);
	c->value_len = ATT_HASH_SIZE;
	return ATT_STEP_DONE;
}

/* A part as long as the MTU allows may not be the last one. */
static int answer_read(struct att_client *c, const struct att_pdu *p)
{
	if (p->opcode == ATT_ERROR_RSP) {
		/* the value ended exactly with the part before */
		if (c->value_len > 0 && (p->error == ATT_ERROR_INVALID_OFFSET ||
					 p->error == ATT_ERROR_ATTRIBUTE_NOT_LONG))
			return ATT_STEP_DONE;
		return refused(c, p);
	}
	if (p->len > sizeof(c->value) - c->value_len)
		return -EMSGSIZE;
	if (p->len > 0)
		memcpy(c->value + c->value_len, p->data, p->len);
	c->value_len += p->len;
	if (p->len + 1 < c->step.mtu || c->value_len == sizeof(c->value))
		return ATT_STEP_DONE;
	return ATT_STEP_MORE;
}

static bool is_echo(const struct att_client *c, const struct att_pdu *p)
{
	const struct att_op *op = &c->queue[c->head];
	const struct att_step *s = &c->step;

	return p->handle == op->handle && p->offset == s->offset && p->len == s->chunk &&
	       memcmp(p->data, op->data + s->offset, s->chunk) == 0;
}

/* What the peer has prepared must go, or the next long write would execute it as well. */
static int cancel_write(struct att_client *c, int r)
{
	c->step.phase = WRITE_CANCEL;
	c->step.failed = r;
	return ATT_STEP_MORE;
}

static int answer_write(struct att_client *c, const struct att_pdu *p)
{
	struct att_step *s = &c->step;

	switch ((enum write_phase)s->phase) {
	case WRITE_PREPARE:
		if (p->opcode == ATT_ERROR_RSP)
			return cancel_write(c, refused(c, p));
		if (!is_echo(c, p))
			return cancel_write(c, -EBADMSG);
		s->offset += s->chunk;
		if (s->offset == c->queue[c->head].len)
			s->phase = WRITE_EXECUTE;
		return ATT_STEP_MORE;
	case WRITE_CANCEL:
		return s->failed;
	case WRITE_PLAIN:
	case WRITE_EXECUTE:
		break;
	}
	return p->opcode == ATT_ERROR_RSP ? refused(c, p) : ATT_STEP_DONE;
}

int att_procedure_answer(struct att_client *c, const struct att_pdu *p)
{
	switch (c->queue[c->head].kind) {
	case ATT_DO_MTU:
		return answer_mtu(c, p);
	case ATT_DO_DISCOVER:
		return att_discover_answer(c, p);
	case ATT_DO_HASH:
		return answer_hash(c, p);
	case ATT_DO_READ:
		return answer_read(c, p);
	case ATT_DO_WRITE:
		return answer_write(c, p);
	case ATT_DO_COMMAND:
		break;
	}
	assert(false); /* a command expects no response, so none gets here */
	return -EBADMSG;
}

int att_procedure_spoiled(struct att_client *c, int r)
{
	if (c->queue[c->head].kind == ATT_DO_WRITE && c->step.phase == WRITE_PREPARE)
		return cancel_write(c, r);
	if (c->queue[c->head].kind == ATT_DO_WRITE && c->step.phase == WRITE_CANCEL)
		return c->step.failed;
	return r;
}
