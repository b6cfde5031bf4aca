/*
 * Discovery, part G 4.4.1, 4.6.1 and 4.7.1: all primary services; then service by service the
 * characteristics; then, for each one that notifies or indicates, the descriptors up to its CCC.
 * Every answer must lead further up the handles, so a hostile peer cannot make it endless.
 */
#include <errno.h>
#include <string.h>

#include "protocols/att/client_parts.h"
#include "protocols/bytes/cursor.h"

#define GROUP_16           (2 + 2 + 2)
#define GROUP_128          (2 + 2 + 16)
#define CHARACTERISTIC_16  (2 + 1 + 2 + 2)
#define CHARACTERISTIC_128 (2 + 1 + 2 + 16)

enum phase {
	PHASE_BEGIN,
	PHASE_SERVICES,
	PHASE_CHARACTERISTICS,
	PHASE_DESCRIPTORS,
};

static void read_uuid(struct cursor *c, struct att_uuid *ret)
{
	const size_t size = cursor_left(c);

	if (size == sizeof(ret->bytes))
		memcpy(ret->bytes, cursor_bytes(c, size), size);
	else
		*ret = att_uuid_of16(cursor_le16(c));
}

/* ---- where to go next ---- */

static int next_characteristic(struct att_client *c, size_t from)
{
	const struct att_table *t = c->table;

	for (size_t i = from; i < t->n_characteristics; i++) {
		const struct att_characteristic *ch = &t->characteristics[i];

		if (!(ch->properties & (ATT_PROPERTY_NOTIFY | ATT_PROPERTY_INDICATE)) ||
		    ch->value == ch->end)
			continue;
		c->step.phase = PHASE_DESCRIPTORS;
		c->step.index = i;
		c->step.next = (uint16_t)(ch->value + 1);
		c->step.end = ch->end;
		return ATT_STEP_MORE;
	}
	c->table->complete = true;
	return ATT_STEP_DONE;
}

static int next_service(struct att_client *c, size_t from)
{
	for (size_t i = from; i < c->table->n_services; i++) {
		const struct att_service *s = &c->table->services[i];

		if (s->start == s->end)
			continue; /* the declaration only */
		c->step.phase = PHASE_CHARACTERISTICS;
		c->step.index = i;
		c->step.next = s->start;
		c->step.end = s->end;
		return ATT_STEP_MORE;
	}
	return next_characteristic(c, 0);
}

/* the range is through, or the peer says there is no more in it */
static int next_range(struct att_client *c)
{
	switch ((enum phase)c->step.phase) {
	case PHASE_CHARACTERISTICS:
		return next_service(c, c->step.index + 1);
	case PHASE_DESCRIPTORS:
		return next_characteristic(c, c->step.index + 1);
	case PHASE_BEGIN:
	case PHASE_SERVICES:
		break;
	}
	return next_service(c, 0);
}

/* everything up to `last` is known */
static int advance(struct att_client *c, uint16_t last)
{
	if (last >= c->step.end)
		return next_range(c);
	c->step.next = (uint16_t)(last + 1);
	return ATT_STEP_MORE;
}

/* ---- asking ---- */

void att_discover_request(struct att_client *c, struct att_pdu *ret)
{
	struct att_step *s = &c->step;
	struct att_pdu p = { .opcode = ATT_READ_GROUP_REQ };

	if (s->phase == PHASE_BEGIN) {
		att_table_clear(c->table);
		s->phase = PHASE_SERVICES;
		s->next = 1;
		s->end = 0xffff;
	}
	p.type = att_uuid_of16(ATT_UUID_PRIMARY_SERVICE);
	if (s->phase == PHASE_CHARACTERISTICS) {
		p.opcode = ATT_READ_TYPE_REQ;
		p.type = att_uuid_of16(ATT_UUID_CHARACTERISTIC);
	} else if (s->phase == PHASE_DESCRIPTORS) {
		p.opcode = ATT_FIND_INFO_REQ;
	}
	p.handle = s->next;
	p.end = s->end;
	*ret = p;
}

/* ---- answers ---- */

static int add_services(struct att_client *c, const struct att_pdu *p)
{
	struct cursor list = cursor_of(p->data, p->len);
	struct att_service service = { .start = 0 };
	int r = 0;

	if (p->item_size != GROUP_16 && p->item_size != GROUP_128)
		return -EBADMSG;
	while (r == 0 && cursor_left(&list) > 0) {
		struct cursor item = cursor_sub(&list, p->item_size);

		service.start = cursor_le16(&item);
		service.end = cursor_le16(&item);
		read_uuid(&item, &service.uuid);
		r = att_table_add_service(c->table, &service); /* ascending only */
	}
	return r < 0 ? r : advance(c, service.end);
}

static int add_characteristics(struct att_client *c, const struct att_pdu *p)
{
	struct cursor list = cursor_of(p->data, p->len);
	struct att_characteristic ch = { .declaration = 0 };
	int r = 0;

	if (p->item_size != CHARACTERISTIC_16 && p->item_size != CHARACTERISTIC_128)
		return -EBADMSG;
	while (r == 0 && cursor_left(&list) > 0) {
		struct cursor item = cursor_sub(&list, p->item_size);

		ch.declaration = cursor_le16(&item);
		ch.properties = cursor_u8(&item);
		ch.value = cursor_le16(&item);
		read_uuid(&item, &ch.uuid);
		if (ch.declaration < c->step.next || ch.declaration > c->step.end)
			return -EBADMSG;
		r = att_table_add_characteristic(c->table, &ch);
	}
	/* its value is no declaration, so it need not be asked for */
	return r < 0 ? r : advance(c, ch.value);
}

static int find_ccc(struct att_client *c, const struct att_pdu *p)
{
	struct cursor list = cursor_of(p->data, p->len);
	uint16_t handle = (uint16_t)(c->step.next - 1);

	while (cursor_left(&list) > 0) {
		struct cursor item = cursor_sub(&list, p->item_size);
		const uint16_t before = handle;
		struct att_uuid uuid;
		int r;

		handle = cursor_le16(&item);
		read_uuid(&item, &uuid);
		if (handle <= before || handle > c->step.end)
			return -EBADMSG;
		if (att_uuid_16(&uuid) != ATT_UUID_CCC)
			continue;
		r = att_table_set_ccc(c->table, c->step.index, handle);
		return r < 0 ? r : next_range(c);
	}
	return advance(c, handle);
}

int att_discover_answer(struct att_client *c, const struct att_pdu *p)
{
	if (c->step.stale)
		return -ESTALE;
	if (p->opcode == ATT_ERROR_RSP) {
		if (p->error == ATT_ERROR_ATTRIBUTE_NOT_FOUND)
			return next_range(c);
		c->step.refusal = p->error;
		return -EREMOTEIO;
	}
	switch ((enum phase)c->step.phase) {
	case PHASE_CHARACTERISTICS:
		return add_characteristics(c, p);
	case PHASE_DESCRIPTORS:
		return find_ccc(c, p);
	case PHASE_BEGIN:
	case PHASE_SERVICES:
		break;
	}
	return add_services(c, p);
}
