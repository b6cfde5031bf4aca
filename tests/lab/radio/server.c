#include "tests/lab/radio/server.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "protocols/bytes/cursor.h"
#include "tests/lab/radio/crypto.h"

enum {
	OP_ERROR = 0x01,
	OP_MTU_REQ = 0x02,
	OP_MTU_RSP = 0x03,
	OP_FIND_INFO = 0x04,
	OP_FIND_VALUE = 0x06,
	OP_READ_TYPE = 0x08,
	OP_READ = 0x0a,
	OP_READ_BLOB = 0x0c,
	OP_READ_GROUP = 0x10,
	OP_WRITE = 0x12,
	OP_PREPARE = 0x16,
	OP_EXECUTE = 0x18,
	OP_NOTIFY = 0x1b,
	OP_INDICATE = 0x1d,
	OP_CONFIRM = 0x1e,
	OP_WRITE_COMMAND = 0x52,
	OP_COMMAND_BIT = 0x40,

	TYPE_SERVICE = 0x2800,
	TYPE_SECONDARY = 0x2801,
	TYPE_INCLUDE = 0x2802,
	TYPE_CHARACTERISTIC = 0x2803,
	TYPE_EXTENDED = 0x2900,
	TYPE_CCC = 0x2902,
	TYPE_AGGREGATE = 0x2905,

	PREPARED_HEAD = 5,
};

/* a request being answered */
struct request {
	struct server *server;
	uint8_t opcode;
	struct cursor in; /* what follows the opcode */
};

/* 16 bytes, least significant first */
static const uint8_t BASE_UUID[16] = { 0xfb, 0x34, 0x9b, 0x5f, 0x80, 0x00, 0x00, 0x80,
				       0x00, 0x10, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00 };

/* ---- the table ---- */

static struct server_attr *add(struct server *s, uint16_t type, const void *value, size_t len)
{
	struct server_attr *const attr = &s->attrs[s->n_attrs++];

	*attr = (struct server_attr){
		.handle = (uint16_t)s->n_attrs, .type = type, .readable = true, .len = (uint8_t)len
	};
	if (len)
		memcpy(attr->value, value, len);
	return attr;
}

static size_t put_uuid(uint8_t *to, const struct server_row *row)
{
	if (row->uuid128) {
		memcpy(to, row->uuid128, 16);
		return 16;
	}
	to[0] = (uint8_t)row->uuid;
	to[1] = (uint8_t)(row->uuid >> 8);
	return 2;
}

static void add_characteristic(struct server *s, const struct server_row *row)
{
	uint8_t declaration[3 + 16] = { row->properties };
	const size_t len = 3 + put_uuid(declaration + 3, row);
	struct server_attr *attr;

	/* the handle in it is put by lay_out() */
	(void)add(s, TYPE_CHARACTERISTIC, declaration, len);
	attr = add(s, row->uuid128 ? 0 : row->uuid, row->value, row->len);
	attr->type128 = row->uuid128;
	attr->id = row->id;
	attr->properties = row->properties;
	attr->readable = row->properties & GATT_READ;
	attr->writable = row->properties & GATT_WRITE;
	attr->commandable = row->properties & GATT_WRITE_COMMAND;
	attr->secure = row->secure;
	if (!(row->properties & (GATT_NOTIFY | GATT_INDICATE)))
		return;
	attr = add(s, TYPE_CCC, "\0", 2);
	attr->id = row->id;
	attr->properties = row->properties;
	attr->writable = true;
	attr->secure = row->secure;
}

static bool is_service(const struct server_attr *attr)
{
	return attr->type == TYPE_SERVICE || attr->type == TYPE_SECONDARY;
}

/* gives the handles, and the declarations the handles of their values */
static void lay_out(struct server *s)
{
	uint16_t handle = 0;
	unsigned int services = 0;

	for (size_t i = 0; i < s->n_attrs; i++) {
		struct server_attr *const attr = &s->attrs[i];

		if (is_service(attr) && ++services == 3)
			handle = (uint16_t)(handle + s->gap);
		attr->handle = ++handle;
		if (attr->type == TYPE_CHARACTERISTIC) {
			attr->value[1] = (uint8_t)(handle + 1);
			attr->value[2] = (uint8_t)((handle + 1) >> 8);
		}
	}
}

int server_init(struct server *s, const struct server_host *host, const struct server_row *rows,
		size_t n_rows)
{
	uint8_t uuid[16];

	*s = (struct server){ .host = *host,
			      .required = SERVER_CLEAR,
			      .level = SERVER_CLEAR,
			      .own_mtu = SERVER_MTU_MIN,
			      .mtu = SERVER_MTU_MIN };
	for (size_t i = 0; i < n_rows; i++) {
		if (rows[i].len > SERVER_VALUE_MAX)
			return -EINVAL;
		if (s->n_attrs + 3 > SERVER_ATTRS_MAX)
			return -ENOSPC;
		if (rows[i].kind == SERVER_SERVICE)
			(void)add(s, TYPE_SERVICE, uuid, put_uuid(uuid, &rows[i]));
		else if (rows[i].kind == SERVER_CHARACTERISTIC)
			add_characteristic(s, &rows[i]);
		else
			(void)add(s, rows[i].uuid, rows[i].value, rows[i].len);
	}
	lay_out(s);
	return 0;
}

void server_move(struct server *s, uint16_t gap)
{
	s->gap = gap;
	lay_out(s);
}

static struct server_attr *attr_of(const struct server *s, uint16_t handle)
{
	for (size_t i = 0; i < s->n_attrs; i++)
		if (s->attrs[i].handle == handle)
			return (struct server_attr *)(uintptr_t)&s->attrs[i];
	return NULL;
}

/* the value with this id, or its CCC */
static struct server_attr *attr_by_id(const struct server *s, uint8_t id, bool ccc)
{
	for (size_t i = 0; id && i < s->n_attrs; i++)
		if (s->attrs[i].id == id && (s->attrs[i].type == TYPE_CCC) == ccc)
			return (struct server_attr *)(uintptr_t)&s->attrs[i];
	return NULL;
}

/* the last handle of the group that starts at index i; 0xffff for the last group is not used,
 * as many devices state the true end */
static uint16_t group_end(const struct server *s, size_t i)
{
	if (is_service(&s->attrs[i]))
		while (i + 1 < s->n_attrs && !is_service(&s->attrs[i + 1]))
			i++;
	return s->attrs[i].handle;
}

uint16_t server_handle(const struct server *s, uint8_t id)
{
	const struct server_attr *const attr = attr_by_id(s, id, false);

	return attr ? attr->handle : 0;
}

uint16_t server_ccc(const struct server *s, uint8_t id)
{
	const struct server_attr *const attr = attr_by_id(s, id, true);

	if (!attr)
		return 0;
	return (uint16_t)(attr->value[0] | attr->value[1] << 8);
}

void server_forget(struct server *s)
{
	for (size_t i = 0; i < s->n_attrs; i++)
		if (s->attrs[i].type == TYPE_CCC)
			memset(s->attrs[i].value, 0, 2);
}

/* which attributes are hashed, and whether with their value */
static bool hashed(const struct server_attr *attr, bool *ret_value)
{
	const bool declaration = attr->type >= TYPE_SERVICE && attr->type <= TYPE_CHARACTERISTIC;

	*ret_value = declaration || attr->type == TYPE_EXTENDED;
	return declaration || (attr->type >= TYPE_EXTENDED && attr->type <= TYPE_AGGREGATE);
}

void server_hash(const struct server *s, uint8_t ret[16])
{
	static const uint8_t KEY[16] = { 0 };
	uint8_t message[SERVER_ATTRS_MAX * (4 + SERVER_VALUE_MAX)], mac[16];
	struct writer w = writer_of(message, sizeof(message));
	bool value;

	for (size_t i = 0; i < s->n_attrs; i++) {
		const struct server_attr *const attr = &s->attrs[i];

		if (!hashed(attr, &value))
			continue;
		writer_le16(&w, attr->handle);
		writer_le16(&w, attr->type);
		if (value)
			writer_bytes(&w, attr->value, attr->len);
	}
	assert(writer_ok(&w));
	crypto_cmac(KEY, message, w.len, mac);
	for (size_t i = 0; i < 16; i++)
		ret[i] = mac[15 - i];
}

/* ---- the link ---- */

void server_connected(struct server *s)
{
	s->connected = true;
	s->mtu = SERVER_MTU_MIN;
	s->indicating = false;
	s->prepared_len = 0;
	s->level = SERVER_CLEAR;
}

void server_disconnected(struct server *s)
{
	s->connected = false;
	s->indicating = false;
	s->level = SERVER_CLEAR;
	if (!s->bonded)
		server_forget(s);
}

static void send_writer(const struct server *s, const struct writer *w)
{
	assert(writer_ok(w));
	s->host.send(s->host.context, w->data, w->len);
}

static void send_error(const struct request *r, uint16_t handle, uint8_t error)
{
	uint8_t pdu[5];
	struct writer w = writer_of(pdu, sizeof(pdu));

	writer_u8(&w, OP_ERROR);
	writer_u8(&w, r->opcode);
	writer_le16(&w, handle);
	writer_u8(&w, error);
	send_writer(r->server, &w);
}

/* does an attribute have this type; uuid: 2 or 16 bytes */
static bool has_type(const struct server_attr *attr, const uint8_t *uuid, size_t len)
{
	if (len == 16 && attr->type128)
		return !memcmp(attr->type128, uuid, 16);
	if (len == 16 && memcmp(uuid, BASE_UUID, 12) != 0)
		return false;
	if (len == 16)
		return !uuid[14] && !uuid[15] && has_type(attr, uuid + 12, 2);
	return !attr->type128 && attr->type == (uuid[0] | uuid[1] << 8);
}

/* part F 4: 0x05 without a key for it, 0x0f when there is one and the link is in clear */
static uint8_t security_error(const struct server *s, const struct server_attr *attr)
{
	if (!attr->secure || s->level >= s->required)
		return ATT_OK;
	return s->level == SERVER_CLEAR && s->has_key ? ATT_INSUFFICIENT_ENCRYPTION
						      : ATT_INSUFFICIENT_AUTHENTICATION;
}

/* the value as it is read now, into value; an error code */
static uint8_t read_value(const struct server *s, const struct server_attr *attr,
			  struct writer *value)
{
	uint8_t error;

	if (!attr->readable)
		return ATT_READ_NOT_PERMITTED;
	error = security_error(s, attr);
	if (!error && attr->id && attr->type != TYPE_CCC && s->host.read)
		error = s->host.read(s->host.context, attr->id, value);
	if (!error && !value->len)
		writer_bytes(value, attr->value, attr->len);
	assert(writer_ok(value));
	return error;
}

/* start, end of a range request; answers the error itself */
static bool take_range(struct request *r, uint16_t *ret_start, uint16_t *ret_end)
{
	const uint16_t start = cursor_le16(&r->in), end = cursor_le16(&r->in);

	if (!cursor_ok(&r->in)) {
		r->server->bad_pdus++;
		send_error(r, 0, ATT_INVALID_PDU);
		return false;
	}
	if (!start || start > end) {
		send_error(r, start, ATT_INVALID_HANDLE);
		return false;
	}
	*ret_start = start;
	*ret_end = end;
	return true;
}

static void bad_length(struct request *r)
{
	r->server->bad_pdus++;
	send_error(r, 0, ATT_INVALID_PDU);
}

static void on_mtu(struct request *r)
{
	struct server *const s = r->server;
	uint8_t pdu[3];
	struct writer w = writer_of(pdu, sizeof(pdu));
	uint16_t mtu = cursor_le16(&r->in);

	if (!cursor_at_end(&r->in)) {
		bad_length(r);
		return;
	}
	writer_u8(&w, OP_MTU_RSP);
	writer_le16(&w, s->own_mtu);
	send_writer(s, &w);
	if (mtu > s->own_mtu)
		mtu = s->own_mtu;
	s->mtu = mtu < SERVER_MTU_MIN ? SERVER_MTU_MIN : mtu;
}

static void on_find_info(struct request *r)
{
	const struct server *const s = r->server;
	uint8_t pdu[SERVER_MTU_MAX];
	struct writer w = writer_of(pdu, s->mtu);
	uint16_t start = 0, end = 0;
	size_t size = 0;

	if (!take_range(r, &start, &end))
		return;
	if (cursor_left(&r->in)) {
		bad_length(r);
		return;
	}
	for (size_t i = 0; i < s->n_attrs; i++) {
		const struct server_attr *const attr = &s->attrs[i];
		const size_t len = attr->type128 ? 16 : 2;

		if (attr->handle < start || attr->handle > end)
			continue;
		if (!size) {
			size = len;
			writer_u8(&w, OP_FIND_INFO + 1);
			writer_u8(&w, len == 2 ? 1 : 2);
		}
		if (len != size || w.len + 2 + len > w.size)
			break;
		writer_le16(&w, attr->handle);
		if (attr->type128)
			writer_bytes(&w, attr->type128, 16);
		else
			writer_le16(&w, attr->type);
	}
	if (size)
		send_writer(s, &w);
	else
		send_error(r, start, ATT_NOT_FOUND);
}

static void on_find_value(struct request *r)
{
	const struct server *const s = r->server;
	uint8_t pdu[SERVER_MTU_MAX];
	struct writer w = writer_of(pdu, s->mtu);
	uint16_t start = 0, end = 0, type;
	const uint8_t *value;
	size_t len;

	if (!take_range(r, &start, &end))
		return;
	type = cursor_le16(&r->in);
	len = cursor_left(&r->in);
	value = cursor_bytes(&r->in, len);
	if (!cursor_ok(&r->in)) {
		bad_length(r);
		return;
	}
	writer_u8(&w, OP_FIND_VALUE + 1);
	for (size_t i = 0; i < s->n_attrs && w.len + 4 <= w.size; i++) {
		const struct server_attr *const attr = &s->attrs[i];

		if (attr->handle < start || attr->handle > end || attr->type128 ||
		    attr->type != type || attr->len != len || security_error(s, attr) ||
		    (len && memcmp(attr->value, value, len) != 0))
			continue;
		writer_le16(&w, attr->handle);
		writer_le16(&w, group_end(s, i));
	}
	if (w.len > 1)
		send_writer(s, &w);
	else
		send_error(r, start, ATT_NOT_FOUND);
}

/* Read By Type and Read By Group Type: one list of equally long entries */
struct listing {
	struct writer out;
	bool groups;
	size_t entry; /* bytes of each, 0 before the first */
};

/* false: the list ends before this attribute */
static bool list_attr(const struct server *s, struct listing *list, size_t i, uint8_t *ret_error)
{
	uint8_t buffer[SERVER_VALUE_MAX];
	struct writer value = writer_of(buffer, sizeof(buffer));
	const size_t head = list->groups ? 4 : 2;
	const uint8_t error = read_value(s, &s->attrs[i], &value);
	size_t len = value.len;

	if (error) {
		*ret_error = error;
		return false;
	}
	if (!list->entry) {
		if (len > list->out.size - 2 - head)
			len = list->out.size - 2 - head;
		list->entry = head + len;
		writer_u8(&list->out, (uint8_t)list->entry);
	}
	if (head + len != list->entry || list->out.len + list->entry > list->out.size)
		return false;
	writer_le16(&list->out, s->attrs[i].handle);
	if (list->groups)
		writer_le16(&list->out, group_end(s, i));
	writer_bytes(&list->out, buffer, len);
	return true;
}

static void on_read_list(struct request *r)
{
	const struct server *const s = r->server;
	uint8_t pdu[SERVER_MTU_MAX], error = ATT_NOT_FOUND;
	/* the length of an entry is one byte */
	struct listing list = { .out = writer_of(pdu, s->mtu > 257 ? 257 : s->mtu),
				.groups = r->opcode == OP_READ_GROUP };
	uint16_t start = 0, end = 0, at;
	const uint8_t *uuid;
	size_t len;

	if (!take_range(r, &start, &end))
		return;
	len = cursor_left(&r->in);
	uuid = cursor_bytes(&r->in, len);
	if (len != 2 && len != 16) {
		bad_length(r);
		return;
	}
	if (list.groups && !has_type(&(struct server_attr){ .type = TYPE_SERVICE }, uuid, len) &&
	    !has_type(&(struct server_attr){ .type = TYPE_SECONDARY }, uuid, len)) {
		send_error(r, start, ATT_UNSUPPORTED_GROUP_TYPE);
		return;
	}
	at = start;
	writer_u8(&list.out, (uint8_t)(r->opcode + 1));
	for (size_t i = 0; i < s->n_attrs; i++) {
		if (s->attrs[i].handle < start || s->attrs[i].handle > end ||
		    !has_type(&s->attrs[i], uuid, len))
			continue;
		if (!list.entry)
			at = s->attrs[i].handle;
		if (!list_attr(s, &list, i, &error))
			break;
	}
	if (list.entry)
		send_writer(s, &list.out);
	else
		send_error(r, error == ATT_NOT_FOUND ? start : at, error);
}

static void on_read(struct request *r)
{
	const struct server *const s = r->server;
	uint8_t pdu[SERVER_MTU_MAX], buffer[SERVER_VALUE_MAX];
	struct writer w = writer_of(pdu, s->mtu), value = writer_of(buffer, sizeof(buffer));
	const uint16_t handle = cursor_le16(&r->in);
	const size_t offset = r->opcode == OP_READ_BLOB ? cursor_le16(&r->in) : 0;
	const struct server_attr *const attr = attr_of(s, handle);
	uint8_t error;
	size_t len;

	if (!cursor_at_end(&r->in)) {
		bad_length(r);
		return;
	}
	error = attr ? read_value(s, attr, &value) : ATT_INVALID_HANDLE;
	if (!error && offset > value.len)
		error = ATT_INVALID_OFFSET;
	if (error) {
		send_error(r, handle, error);
		return;
	}
	len = value.len - offset;
	if (len > w.size - 1)
		len = w.size - 1;
	writer_u8(&w, (uint8_t)(r->opcode + 1));
	writer_bytes(&w, buffer + offset, len);
	send_writer(s, &w);
}

/* only the bits of the characteristic may be set (part G 3.3.3.3) */
static uint8_t write_ccc(struct server_attr *attr, const uint8_t *data, size_t len)
{
	uint16_t allowed = 0;

	if (attr->properties & GATT_NOTIFY)
		allowed |= 1;
	if (attr->properties & GATT_INDICATE)
		allowed |= 2;
	if (len != 2)
		return ATT_INVALID_LENGTH;
	if (data[1] || (data[0] & ~allowed))
		return ATT_VALUE_NOT_ALLOWED;
	memcpy(attr->value, data, 2);
	return ATT_OK;
}

static uint8_t write_error(const struct server *s, const struct server_attr *attr, bool command)
{
	if (!attr)
		return ATT_INVALID_HANDLE;
	if (command ? !attr->commandable : !attr->writable)
		return ATT_WRITE_NOT_PERMITTED;
	return security_error(s, attr);
}

static uint8_t write_attr(struct server *s, struct server_attr *attr, const uint8_t *data,
			  size_t len)
{
	uint8_t error = ATT_OK;

	if (attr->type == TYPE_CCC)
		return write_ccc(attr, data, len);
	if (len > SERVER_VALUE_MAX)
		return ATT_INVALID_LENGTH;
	if (attr->id && s->host.write)
		error = s->host.write(s->host.context, attr->id, data, len);
	if (!error) {
		attr->len = (uint8_t)len;
		if (len)
			memcpy(attr->value, data, len);
	}
	return error;
}

/* after the response, so that what a model sends then comes second, as on a device */
static void tell_written(const struct server *s, const struct server_attr *attr)
{
	uint8_t value[SERVER_VALUE_MAX];
	const size_t len = attr ? attr->len : 0;

	if (!attr || !attr->id)
		return;
	memcpy(value, attr->value, len);
	if (attr->type == TYPE_CCC && s->host.subscribed)
		s->host.subscribed(s->host.context, attr->id, (uint16_t)(value[0] | value[1] << 8));
	else if (attr->type != TYPE_CCC && s->host.wrote)
		s->host.wrote(s->host.context, attr->id, value, len);
}

static void on_write(struct request *r)
{
	struct server *const s = r->server;
	const bool command = r->opcode == OP_WRITE_COMMAND;
	const uint16_t handle = cursor_le16(&r->in);
	struct server_attr *const attr = attr_of(s, handle);
	const size_t len = cursor_left(&r->in);
	const uint8_t *const data = cursor_bytes(&r->in, len);
	const uint8_t response = OP_WRITE + 1;
	uint8_t error;

	if (!cursor_ok(&r->in)) {
		s->bad_pdus++;
		if (!command)
			send_error(r, 0, ATT_INVALID_PDU);
		return;
	}
	error = write_error(s, attr, command);
	if (!error)
		error = write_attr(s, attr, data, len);
	if (error && !command)
		send_error(r, handle, error);
	else if (!command)
		s->host.send(s->host.context, &response, 1);
	if (!error)
		tell_written(s, attr);
}

static void on_prepare(struct request *r)
{
	struct server *const s = r->server;
	uint8_t pdu[SERVER_MTU_MAX];
	struct writer w = writer_of(pdu, sizeof(pdu));
	struct writer queue = writer_of(s->prepared, sizeof(s->prepared));
	const uint16_t handle = cursor_le16(&r->in), offset = cursor_le16(&r->in);
	const size_t len = cursor_left(&r->in);
	const uint8_t *const data = cursor_bytes(&r->in, len);
	uint8_t error;

	if (!cursor_ok(&r->in) || len > SERVER_MTU_MAX - PREPARED_HEAD) {
		bad_length(r);
		return;
	}
	error = write_error(s, attr_of(s, handle), false);
	if (!error && s->prepared_len + PREPARED_HEAD + len > sizeof(s->prepared))
		error = ATT_PREPARE_QUEUE_FULL;
	if (error) {
		send_error(r, handle, error);
		return;
	}
	queue.len = s->prepared_len;
	writer_le16(&queue, handle);
	writer_le16(&queue, offset);
	writer_u8(&queue, (uint8_t)len);
	writer_bytes(&queue, data, len);
	s->prepared_len = queue.len;
	writer_u8(&w, OP_PREPARE + 1);
	writer_le16(&w, handle);
	writer_le16(&w, offset);
	writer_bytes(&w, data, len);
	send_writer(s, &w);
}

/* the queue as one value; parts must follow one another and be of one attribute */
static uint8_t write_prepared(struct server *s, uint16_t *ret_handle)
{
	struct cursor in = cursor_of(s->prepared, s->prepared_len);
	uint8_t buffer[SERVER_VALUE_MAX];
	struct writer value = writer_of(buffer, sizeof(buffer));
	uint16_t handle = 0;
	uint8_t error;

	while (cursor_left(&in)) {
		const uint16_t part = cursor_le16(&in), offset = cursor_le16(&in);
		const uint8_t len = cursor_u8(&in);
		const uint8_t *const data = cursor_bytes(&in, len);

		*ret_handle = part;
		if (handle && part != handle)
			return ATT_REQUEST_NOT_SUPPORTED;
		handle = part;
		if (offset != value.len)
			return ATT_INVALID_OFFSET;
		writer_bytes(&value, data, len);
		if (!writer_ok(&value))
			return ATT_INVALID_LENGTH;
	}
	if (!handle)
		return ATT_OK;
	/* again: the link or the table may have changed since the parts came */
	error = write_error(s, attr_of(s, handle), false);
	return error ? error : write_attr(s, attr_of(s, handle), buffer, value.len);
}

static void on_execute(struct request *r)
{
	struct server *const s = r->server;
	const uint8_t flags = cursor_u8(&r->in), response = OP_EXECUTE + 1;
	uint16_t handle = 0;
	uint8_t error = ATT_OK;

	if (!cursor_at_end(&r->in) || flags > 1) {
		bad_length(r);
		return;
	}
	if (flags)
		error = write_prepared(s, &handle);
	s->prepared_len = 0;
	if (error) {
		send_error(r, handle, error);
		return;
	}
	s->host.send(s->host.context, &response, 1);
	if (handle)
		tell_written(s, attr_of(s, handle));
}

static void on_confirm(struct server *s, size_t len)
{
	if (len != 1 || !s->indicating) {
		s->bad_pdus++;
		return;
	}
	s->indicating = false;
	if (s->host.confirmed)
		s->host.confirmed(s->host.context);
}

static void dispatch(struct request *r)
{
	switch (r->opcode) {
	case OP_MTU_REQ:
		on_mtu(r);
		break;
	case OP_FIND_INFO:
		on_find_info(r);
		break;
	case OP_FIND_VALUE:
		on_find_value(r);
		break;
	case OP_READ_TYPE:
	case OP_READ_GROUP:
		on_read_list(r);
		break;
	case OP_READ:
	case OP_READ_BLOB:
		on_read(r);
		break;
	case OP_WRITE:
	case OP_WRITE_COMMAND:
		on_write(r);
		break;
	case OP_PREPARE:
		on_prepare(r);
		break;
	case OP_EXECUTE:
		on_execute(r);
		break;
	default:
		/* unknown commands are ignored, and so is what only a server may send */
		r->server->bad_pdus++;
		if (!(r->opcode & OP_COMMAND_BIT) && !(r->opcode & 1))
			send_error(r, 0, ATT_REQUEST_NOT_SUPPORTED);
		break;
	}
}

void server_receive(struct server *s, const uint8_t *pdu, size_t len)
{
	struct request r = { .server = s };

	if (!s->connected)
		return;
	/* a bearer takes no PDU longer than its MTU */
	if (!len || len > s->mtu) {
		s->bad_pdus++;
		return;
	}
	r.opcode = pdu[0];
	r.in = cursor_of(pdu + 1, len - 1);
	if (r.opcode == OP_CONFIRM)
		on_confirm(s, len);
	else
		dispatch(&r);
}

static int send_value(const struct server *s, uint8_t opcode, uint16_t handle, const uint8_t *value,
		      size_t len)
{
	uint8_t pdu[SERVER_MTU_MAX];
	struct writer w = writer_of(pdu, s->mtu);

	if (!s->connected)
		return -ENOTCONN;
	if (len > w.size - 3)
		len = w.size - 3;
	writer_u8(&w, opcode);
	writer_le16(&w, handle);
	writer_bytes(&w, value, len);
	send_writer(s, &w);
	return 0;
}

int server_notify(struct server *s, uint16_t handle, const uint8_t *value, size_t len)
{
	return send_value(s, OP_NOTIFY, handle, value, len);
}

int server_indicate(struct server *s, uint16_t handle, const uint8_t *value, size_t len)
{
	int err;

	if (s->indicating)
		return -EBUSY;
	err = send_value(s, OP_INDICATE, handle, value, len);
	if (!err)
		s->indicating = true;
	return err;
}
