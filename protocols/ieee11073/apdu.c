#include "protocols/ieee11073/apdu.h"

#include <errno.h>
#include <string.h>

#include "protocols/bytes/writer.h"
#include "protocols/ieee11073/mder.h"

/* What an APDU is made of. Where there are several they stand in the order of their bits. */
enum field {
	RESULT = 1 << 0, /* result, reason, error or problem */
	ASSOC_VERSION = 1 << 1,
	PROTOS = 1 << 2, /* protocols offered */
	PROTO = 1 << 3,
	HANDLE = 1 << 4,
	TIME = 1 << 5,
	TYPE = 1 << 6, /* event or action */
	INFO = 1 << 7, /* ANY */
	IDS = 1 << 8,  /* list of attribute identifiers */
	ATTRIBUTES = 1 << 9,
	MODIFICATIONS = 1 << 10,
};

struct layout {
	uint16_t choice;
	uint16_t fields; /* enum field */
};

static const struct layout APDUS[] = {
	{ APDU_AARQ, ASSOC_VERSION | PROTOS },
	{ APDU_AARE, RESULT | PROTO },
	{ APDU_RLRQ, RESULT },
	{ APDU_RLRE, RESULT },
	{ APDU_ABRT, RESULT },
};

static const struct layout OPERATIONS[] = {
	{ APDU_EVENT, HANDLE | TIME | TYPE | INFO },
	{ APDU_EVENT_CONFIRMED, HANDLE | TIME | TYPE | INFO },
	{ APDU_GET, HANDLE | IDS },
	{ APDU_SET, HANDLE | MODIFICATIONS },
	{ APDU_SET_CONFIRMED, HANDLE | MODIFICATIONS },
	{ APDU_ACTION, HANDLE | TYPE | INFO },
	{ APDU_ACTION_CONFIRMED, HANDLE | TYPE | INFO },
	{ APDU_EVENT_RESPONSE, HANDLE | TIME | TYPE | INFO },
	{ APDU_GET_RESPONSE, HANDLE | ATTRIBUTES },
	{ APDU_SET_RESPONSE, HANDLE | ATTRIBUTES },
	{ APDU_ACTION_RESPONSE, HANDLE | TYPE | INFO },
	{ APDU_ERROR, RESULT | INFO },
	{ APDU_REJECT, RESULT },
};

#define N(a) (sizeof(a) / sizeof((a)[0]))

/* 0: there is no such choice */
static unsigned int fields_of(const struct layout *rows, size_t n, uint16_t choice)
{
	for (size_t i = 0; i < n; i++) {
		if (rows[i].choice == choice)
			return rows[i].fields;
	}
	return 0;
}

size_t apdu_size(const uint8_t *bytes, size_t len)
{
	if (len < APDU_HEADER)
		return 0;
	return APDU_HEADER + (size_t)(bytes[2] << 8 | bytes[3]);
}

bool apdu_wants_answer(uint16_t operation)
{
	return operation == APDU_EVENT_CONFIRMED || operation == APDU_GET ||
	       operation == APDU_SET_CONFIRMED || operation == APDU_ACTION_CONFIRMED;
}

bool apdu_is_answer(uint16_t operation)
{
	return operation >= APDU_EVENT_RESPONSE &&
	       fields_of(OPERATIONS, N(OPERATIONS), operation) != 0;
}

/* ---- decoding ---- */

static void take(struct cursor *items, struct apdu *a)
{
	a->len = cursor_left(items);
	a->data = cursor_bytes(items, a->len);
}

static void read_association(struct cursor *c, struct apdu *a)
{
	struct apdu_association *s = &a->association;
	struct cursor id, options;
	const uint8_t *bytes;
	unsigned int count;

	s->protocol_version = cursor_be32(c);
	s->encoding_rules = cursor_be16(c);
	s->nomenclature_version = cursor_be32(c);
	s->functional_units = cursor_be32(c);
	s->system_type = cursor_be32(c);
	id = mder_any(c);
	bytes = cursor_bytes(&id, APDU_SYSTEM_ID);
	if (bytes && cursor_at_end(&id))
		memcpy(s->system_id, bytes, APDU_SYSTEM_ID);
	else
		c->failed = true;
	s->config_id = cursor_be16(c);
	s->data_request_flags = cursor_be16(c);
	s->init_agent_count = cursor_u8(c);
	s->init_manager_count = cursor_u8(c);
	options = mder_list(c, MDER_LIST_HEADER, &count);
	if (!mder_attributes_valid(options, count))
		c->failed = true;
	s->n_options = (uint16_t)count;
	s->options_len = cursor_left(&options);
	s->options = cursor_bytes(&options, s->options_len);
	a->extra = cursor_left(c);
	cursor_skip(c, a->extra);
}

static void read_proto(struct cursor *c, struct apdu *a)
{
	struct cursor info;

	a->proto = cursor_be16(c);
	info = mder_any(c);
	if (a->proto == APDU_PROTO_20601)
		read_association(&info, a);
	else
		take(&info, a);
	if (!cursor_ok(&info))
		c->failed = true;
}

/* the first 20601 of those offered, or else the last of the others */
static void read_protos(struct cursor *c, struct apdu *a)
{
	struct apdu one = { 0 };
	unsigned int count;
	struct cursor items = mder_list(c, MDER_LIST_HEADER, &count);

	for (unsigned int i = 0; i < count && cursor_ok(&items); i++) {
		memset(&one, 0, sizeof(one));
		read_proto(&items, &one);
		if (a->proto == APDU_PROTO_20601)
			continue;
		a->proto = one.proto;
		a->association = one.association;
		a->extra = one.extra;
		a->data = one.data;
		a->len = one.len;
	}
	a->n_protos = (uint16_t)count;
	if (!cursor_at_end(&items))
		c->failed = true;
}

static void read_ids(struct cursor *c, struct apdu *a)
{
	unsigned int count;
	struct cursor items = mder_list(c, 2, &count);

	a->count = (uint16_t)count;
	take(&items, a);
	if (a->len != (size_t)count * 2)
		c->failed = true;
}

static void read_attributes(struct cursor *c, struct apdu *a)
{
	unsigned int count;
	struct cursor items = mder_list(c, MDER_LIST_HEADER, &count);

	if (!mder_attributes_valid(items, count))
		c->failed = true;
	a->count = (uint16_t)count;
	take(&items, a);
}

/* each one: how to modify, u16, and an attribute */
static void read_modifications(struct cursor *c, struct apdu *a)
{
	struct mder_attribute attribute;
	unsigned int count;
	struct cursor items = mder_list(c, 2 + MDER_LIST_HEADER, &count), copy = items;

	for (unsigned int i = 0; i < count; i++) {
		(void)cursor_be16(&copy);
		if (!mder_attribute(&copy, &attribute))
			break;
	}
	if (!cursor_at_end(&copy))
		c->failed = true;
	a->count = (uint16_t)count;
	take(&items, a);
}

static void read_info(struct cursor *c, struct apdu *a)
{
	struct cursor info = mder_any(c);

	take(&info, a);
}

static int read_fields(unsigned int fields, struct cursor *c, struct apdu *a)
{
	if (fields == 0)
		return -ENOMSG;
	if (fields & RESULT)
		a->result = cursor_be16(c);
	if (fields & ASSOC_VERSION)
		a->assoc_version = cursor_be32(c);
	if (fields & PROTOS)
		read_protos(c, a);
	if (fields & PROTO)
		read_proto(c, a);
	if (fields & HANDLE)
		a->handle = cursor_be16(c);
	if (fields & TIME)
		a->time = cursor_be32(c);
	if (fields & TYPE)
		a->type = cursor_be16(c);
	if (fields & INFO)
		read_info(c, a);
	if (fields & IDS)
		read_ids(c, a);
	if (fields & ATTRIBUTES)
		read_attributes(c, a);
	if (fields & MODIFICATIONS)
		read_modifications(c, a);
	return cursor_at_end(c) ? 0 : -EMSGSIZE;
}

static int read_presentation(struct cursor *c, struct apdu *a)
{
	struct cursor data = mder_any(c);
	const uint16_t invoke_id = cursor_be16(&data), operation = cursor_be16(&data);
	struct cursor body = mder_any(&data);

	if (!cursor_at_end(c) || !cursor_at_end(&data))
		return -EMSGSIZE;
	a->invoke_id = invoke_id;
	a->operation = operation;
	return read_fields(fields_of(OPERATIONS, N(OPERATIONS), a->operation), &body, a);
}

int apdu_decode(const uint8_t *bytes, size_t len, struct apdu *ret)
{
	struct cursor c = cursor_of(bytes, len);
	struct apdu a = { .choice = cursor_be16(&c) };
	struct cursor body = mder_any(&c);
	int r;

	if (!cursor_at_end(&c))
		return -EMSGSIZE;
	if (a.choice == APDU_PRST)
		r = read_presentation(&body, &a);
	else
		r = read_fields(fields_of(APDUS, N(APDUS), a.choice), &body, &a);
	if (r < 0)
		return r;
	/* most APDUs have no association: half of the structure */
	memcpy(ret, &a, offsetof(struct apdu, association));
	if (a.proto == APDU_PROTO_20601)
		ret->association = a.association;
	else
		memset(&ret->association, 0, sizeof(ret->association));
	return 0;
}

bool apdu_peek(const uint8_t *bytes, size_t len, uint16_t *ret_invoke_id, uint16_t *ret_operation)
{
	struct cursor c = cursor_of(bytes, len);
	uint16_t choice = cursor_be16(&c), invoke_id, operation;

	cursor_skip(&c, 4); /* the lengths of the APDU and of its octet string */
	invoke_id = cursor_be16(&c);
	operation = cursor_be16(&c);
	if (!cursor_ok(&c) || choice != APDU_PRST)
		return false;
	*ret_invoke_id = invoke_id;
	*ret_operation = operation;
	return true;
}

/* ---- encoding ---- */

static void write_association(struct writer *w, const struct apdu_association *s)
{
	size_t begun;

	writer_be32(w, s->protocol_version);
	writer_be16(w, s->encoding_rules);
	writer_be32(w, s->nomenclature_version);
	writer_be32(w, s->functional_units);
	writer_be32(w, s->system_type);
	mder_write_any(w, s->system_id, APDU_SYSTEM_ID);
	writer_be16(w, s->config_id);
	writer_be16(w, s->data_request_flags);
	writer_u8(w, s->init_agent_count);
	writer_u8(w, s->init_manager_count);
	begun = mder_begin_list(w, s->n_options);
	if (s->options_len > 0)
		writer_bytes(w, s->options, s->options_len);
	mder_end(w, begun);
}

static void write_proto(struct writer *w, const struct apdu *a)
{
	size_t begun;

	writer_be16(w, a->proto);
	begun = mder_begin(w);
	if (a->proto == APDU_PROTO_20601)
		write_association(w, &a->association);
	else if (a->len > 0)
		writer_bytes(w, a->data, a->len);
	mder_end(w, begun);
}

static void write_protos(struct writer *w, const struct apdu *a)
{
	size_t begun = mder_begin_list(w, 1);

	write_proto(w, a);
	mder_end(w, begun);
}

static void write_fields(unsigned int fields, struct writer *w, const struct apdu *a)
{
	size_t begun = mder_begin(w);

	if (fields & RESULT)
		writer_be16(w, a->result);
	if (fields & ASSOC_VERSION)
		writer_be32(w, a->assoc_version);
	if (fields & PROTOS)
		write_protos(w, a);
	if (fields & PROTO)
		write_proto(w, a);
	if (fields & HANDLE)
		writer_be16(w, a->handle);
	if (fields & TIME)
		writer_be32(w, a->time);
	if (fields & TYPE)
		writer_be16(w, a->type);
	if (fields & (IDS | ATTRIBUTES | MODIFICATIONS))
		writer_be16(w, a->count);
	if (fields & (INFO | IDS | ATTRIBUTES | MODIFICATIONS))
		mder_write_any(w, a->data, a->len);
	mder_end(w, begun);
}

int apdu_encode(const struct apdu *a, uint8_t *buffer, size_t size, size_t *ret_len)
{
	struct writer w = writer_of(buffer, size);
	bool presented = a->choice == APDU_PRST;
	unsigned int fields = presented ? fields_of(OPERATIONS, N(OPERATIONS), a->operation)
					: fields_of(APDUS, N(APDUS), a->choice);
	size_t apdu, octets;

	if (fields == 0)
		return -ENOMSG;
	writer_be16(&w, a->choice);
	if (presented) {
		apdu = mder_begin(&w);
		octets = mder_begin(&w);
		writer_be16(&w, a->invoke_id);
		writer_be16(&w, a->operation);
		write_fields(fields, &w, a);
		mder_end(&w, octets);
		mder_end(&w, apdu);
	} else {
		write_fields(fields, &w, a);
	}
	if (!writer_ok(&w))
		return -EMSGSIZE;
	*ret_len = w.len;
	return 0;
}
