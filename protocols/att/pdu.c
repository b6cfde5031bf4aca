#include "protocols/att/pdu.h"

#include <errno.h>
#include <string.h>

#include "protocols/bytes/cursor.h"
#include "protocols/bytes/writer.h"

#define INFO_FORMAT_16  1
#define INFO_FORMAT_128 2
#define INFO_SIZE_16    (2 + 2)
#define INFO_SIZE_128   (2 + 16)
#define FOUND_SIZE      (2 + 2) /* Find By Type Value: first and last handle */

/*
 * Fields of each kind in their order:
 *   r opcode answered  x error  f flags  h handle  e end of range  m MTU  o offset
 *   u type, 16 or 128 bits  t type, 16 bits  i format of an information list  s size of an item
 *   l list of items  p list of handle pairs  n list of handle, length, value  v value
 */
static const struct layout {
	uint8_t opcode;
	uint8_t item_min;
	const char *fields;
} LAYOUTS[] = {
	{ ATT_ERROR_RSP, 0, "rhx" },
	{ ATT_MTU_REQ, 0, "m" },
	{ ATT_MTU_RSP, 0, "m" },
	{ ATT_FIND_INFO_REQ, 0, "he" },
	{ ATT_FIND_INFO_RSP, 0, "il" },
	{ ATT_FIND_TYPE_REQ, 0, "hetv" },
	{ ATT_FIND_TYPE_RSP, 0, "p" },
	{ ATT_READ_TYPE_REQ, 0, "heu" },
	{ ATT_READ_TYPE_RSP, 2, "sl" },
	{ ATT_READ_REQ, 0, "h" },
	{ ATT_READ_RSP, 0, "v" },
	{ ATT_READ_BLOB_REQ, 0, "ho" },
	{ ATT_READ_BLOB_RSP, 0, "v" },
	{ ATT_READ_GROUP_REQ, 0, "heu" },
	{ ATT_READ_GROUP_RSP, 4, "sl" },
	{ ATT_WRITE_REQ, 0, "hv" },
	{ ATT_WRITE_RSP, 0, "" },
	{ ATT_PREPARE_REQ, 0, "hov" },
	{ ATT_PREPARE_RSP, 0, "hov" },
	{ ATT_EXECUTE_REQ, 0, "f" },
	{ ATT_EXECUTE_RSP, 0, "" },
	{ ATT_NOTIFICATION, 0, "hv" },
	{ ATT_INDICATION, 0, "hv" },
	{ ATT_CONFIRMATION, 0, "" },
	{ ATT_MULTIPLE_NOTIFICATION, 0, "n" },
	{ ATT_WRITE_CMD, 0, "hv" },
};

static const struct layout *layout_of(uint8_t opcode)
{
	for (size_t i = 0; i < sizeof(LAYOUTS) / sizeof(LAYOUTS[0]); i++) {
		if (LAYOUTS[i].opcode == opcode)
			return &LAYOUTS[i];
	}
	return NULL;
}

/* ---- names ---- */

const char *att_error_name(uint8_t error)
{
	static const char *const names[] = {
		"no error",
		"invalid handle",
		"read not permitted",
		"write not permitted",
		"invalid PDU",
		"insufficient authentication",
		"request not supported",
		"invalid offset",
		"insufficient authorization",
		"prepare queue full",
		"attribute not found",
		"attribute not long",
		"encryption key too short",
		"invalid attribute value length",
		"unlikely error",
		"insufficient encryption",
		"unsupported group type",
		"insufficient resources",
		"database out of sync",
		"value not allowed",
	};
	/* the last ones of the common profile and service codes, Core Supplement part B */
	static const char *const common[] = {
		"write request rejected",
		"client characteristic configuration improper",
		"procedure already in progress",
		"out of range",
	};

	if (error < sizeof(names) / sizeof(names[0]))
		return names[error];
	if (error >= 0xfc)
		return common[error - 0xfc];
	return error >= 0x80 && error <= 0x9f ? "application error" : "reserved";
}

/* ---- UUIDs ---- */

/* 00000000-0000-1000-8000-00805f9b34fb, little endian, without its 32 variable bits */
static const uint8_t BASE[12] = { 0xfb, 0x34, 0x9b, 0x5f, 0x80, 0x00,
				  0x00, 0x80, 0x00, 0x10, 0x00, 0x00 };

struct att_uuid att_uuid_of16(uint16_t uuid16)
{
	struct att_uuid u = { { 0 } };

	memcpy(u.bytes, BASE, sizeof(BASE));
	u.bytes[12] = (uint8_t)(uuid16 & 0xff);
	u.bytes[13] = (uint8_t)(uuid16 >> 8);
	return u;
}

uint16_t att_uuid_16(const struct att_uuid *uuid)
{
	if (memcmp(uuid->bytes, BASE, sizeof(BASE)) != 0 || uuid->bytes[14] || uuid->bytes[15])
		return 0;
	return (uint16_t)(uuid->bytes[12] | uuid->bytes[13] << 8);
}

bool att_uuid_equal(const struct att_uuid *a, const struct att_uuid *b)
{
	return memcmp(a->bytes, b->bytes, sizeof(a->bytes)) == 0;
}

/* ---- decoding ---- */

bool att_multiple_next(const struct att_pdu *pdu, size_t *position, struct att_value *ret)
{
	struct cursor c = cursor_of(pdu->data, pdu->len);
	struct att_value v;

	cursor_skip(&c, *position);
	if (cursor_left(&c) == 0)
		return false;
	v.handle = cursor_le16(&c);
	v.len = cursor_le16(&c);
	v.data = cursor_bytes(&c, v.len);
	if (!cursor_ok(&c))
		return false;
	*position = c.pos;
	*ret = v;
	return true;
}

static int check_multiple(const struct att_pdu *p)
{
	struct att_value v;
	size_t position = 0;

	while (att_multiple_next(p, &position, &v)) {
		if (v.handle == 0 || v.len > ATT_VALUE_MAX)
			return -ERANGE;
	}
	return position == p->len && p->len > 0 ? 0 : -EMSGSIZE;
}

static void read_type(struct cursor *c, struct att_pdu *p, size_t size)
{
	if (size == sizeof(p->type.bytes)) {
		const uint8_t *bytes = cursor_bytes(c, size);

		if (bytes)
			memcpy(p->type.bytes, bytes, size);
	} else {
		p->type = att_uuid_of16(cursor_le16(c));
	}
}

static void read_rest(struct cursor *c, struct att_pdu *p)
{
	p->len = cursor_left(c);
	p->data = cursor_bytes(c, p->len);
}

static size_t item_of_format(uint8_t format)
{
	if (format == INFO_FORMAT_16)
		return INFO_SIZE_16;
	return format == INFO_FORMAT_128 ? INFO_SIZE_128 : 0;
}

static void read_field(char field, struct cursor *c, struct att_pdu *p)
{
	switch (field) {
	case 'r':
		p->request = cursor_u8(c);
		return;
	case 'x':
		p->error = cursor_u8(c);
		return;
	case 'f':
		p->flags = cursor_u8(c);
		return;
	case 'h':
		p->handle = cursor_le16(c);
		return;
	case 'e':
		p->end = cursor_le16(c);
		return;
	case 'm':
		p->mtu = cursor_le16(c);
		return;
	case 'o':
		p->offset = cursor_le16(c);
		return;
	case 't':
		read_type(c, p, 2);
		return;
	case 'u':
		read_type(c, p, cursor_left(c));
		return;
	case 'i':
		p->item_size = item_of_format(cursor_u8(c));
		return;
	case 's':
		p->item_size = cursor_u8(c);
		return;
	case 'p':
		p->item_size = FOUND_SIZE;
		read_rest(c, p);
		return;
	default: /* l n v */
		read_rest(c, p);
		return;
	}
}

static int check_fields(const struct layout *layout, const struct att_pdu *p)
{
	const char *fields = layout->fields;

	/* an Error Response to a request without a handle has handle 0 */
	if (strchr(fields, 'h') && p->opcode != ATT_ERROR_RSP && p->handle == 0)
		return -ERANGE;
	if (strchr(fields, 'e') && p->end < p->handle)
		return -ERANGE;
	if (strchr(fields, 'f') && p->flags > 1)
		return -ERANGE;
	if (strchr(fields, 'v') && p->len > ATT_VALUE_MAX)
		return -ERANGE;
	if (strchr(fields, 'n'))
		return check_multiple(p);
	if (!strchr(fields, 'l') && !strchr(fields, 'p'))
		return 0;
	if (p->item_size == 0 || p->item_size < layout->item_min)
		return -ERANGE;
	return p->len > 0 && p->len % p->item_size == 0 ? 0 : -EMSGSIZE;
}

int att_decode(const uint8_t *packet, size_t len, size_t mtu, struct att_pdu *ret)
{
	struct cursor c = cursor_of(packet, len);
	struct att_pdu p = { .opcode = cursor_u8(&c) };
	const struct layout *layout;
	int r;

	if (!cursor_ok(&c) || len > mtu)
		return -EMSGSIZE;
	layout = layout_of(p.opcode);
	if (!layout)
		return -ENOMSG;
	for (const char *f = layout->fields; *f; f++)
		read_field(*f, &c, &p);
	if (!cursor_at_end(&c))
		return -EMSGSIZE;
	r = check_fields(layout, &p);
	if (r < 0)
		return r;
	*ret = p;
	return 0;
}

/* ---- encoding ---- */

static void write_type(struct writer *w, const struct att_pdu *p)
{
	const uint16_t uuid16 = att_uuid_16(&p->type);

	if (uuid16 != 0)
		writer_le16(w, uuid16);
	else
		writer_bytes(w, p->type.bytes, sizeof(p->type.bytes));
}

static void write_field(char field, struct writer *w, const struct att_pdu *p)
{
	switch (field) {
	case 'r':
		writer_u8(w, p->request);
		return;
	case 'x':
		writer_u8(w, p->error);
		return;
	case 'f':
		writer_u8(w, p->flags);
		return;
	case 'h':
		writer_le16(w, p->handle);
		return;
	case 'e':
		writer_le16(w, p->end);
		return;
	case 'm':
		writer_le16(w, p->mtu);
		return;
	case 'o':
		writer_le16(w, p->offset);
		return;
	case 't':
		writer_le16(w, att_uuid_16(&p->type));
		return;
	case 'u':
		write_type(w, p);
		return;
	case 'i':
		writer_u8(w, p->item_size == INFO_SIZE_16 ? INFO_FORMAT_16 : INFO_FORMAT_128);
		return;
	case 's':
		writer_u8(w, (uint8_t)p->item_size);
		return;
	default: /* l p n v */
		writer_bytes(w, p->data, p->len);
		return;
	}
}

int att_encode(const struct att_pdu *pdu, uint8_t *buffer, size_t mtu, size_t *ret_len)
{
	const struct layout *layout = layout_of(pdu->opcode);
	struct writer w = writer_of(buffer, mtu);

	if (!layout)
		return -ENOMSG;
	writer_u8(&w, pdu->opcode);
	for (const char *f = layout->fields; *f; f++)
		write_field(*f, &w, pdu);
	if (!writer_ok(&w))
		return -EMSGSIZE;
	*ret_len = w.len;
	return 0;
}
