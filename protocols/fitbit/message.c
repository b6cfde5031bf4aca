#include "protocols/fitbit/message.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "protocols/bytes/crc.h"
#include "protocols/bytes/cursor.h"
#include "protocols/fitbit/escape.h"

#define N(a) (sizeof(a) / sizeof((a)[0]))

/* The second byte of each kind, and the lengths it may have, c0 counted. */
static const struct shape {
	uint8_t command;
	uint8_t min, max; /* and nothing between them, but for the uploads */
} shapes[] = {
	[FITBIT_FILLER] = { 0, 1, 1 },
	[FITBIT_CLOSE] = { 0x01, 2, 2 },
	[FITBIT_DONE] = { 0x02, 2, 2 },
	[FITBIT_REFUSED] = { 0x03, 4, 4 },
	[FITBIT_SET_TIME] = { 0x04, 6, 6 },
	[FITBIT_BLINK] = { 0x06, 2, 2 },
	[FITBIT_AIRLINK_OPEN] = { 0x0a, 12, 13 },
	[FITBIT_PIPE_SWITCHED] = { 0x0b, 2, 2 },
	[FITBIT_DUMP_REQUEST] = { 0x10, 3, 3 },
	[FITBIT_UPLOAD_ACCEPTED] = { 0x12, 5, 6 },
	[FITBIT_CHUNK_ACCEPTED] = { 0x13, 5, 6 },
	[FITBIT_AIRLINK_UP] = { 0x14, 12, 14 },
	[FITBIT_DUMP_BEGINS] = { 0x41, 3, 7 },
	[FITBIT_DUMP_ENDS] = { 0x42, 9, 9 },
	[FITBIT_LOGIN] = { 0x50, 10, 10 },
	[FITBIT_CHALLENGE] = { 0x51, 14, 14 },
	[FITBIT_RESPONSE] = { 0x52, 10, 10 },
};

static enum fitbit_control_kind kind_of(uint8_t command)
{
	for (size_t i = FITBIT_CLOSE; i < N(shapes); i++)
		if (shapes[i].command == command)
			return (enum fitbit_control_kind)i;
	return 0;
}

static void copy(struct cursor *c, uint8_t *to, size_t n)
{
	const uint8_t *bytes = cursor_bytes(c, n);

	if (bytes)
		memcpy(to, bytes, n);
}

static void read_airlink_open(struct cursor *c, struct fitbit_airlink *a)
{
	a->value = cursor_le16(c);
	a->interval_min = cursor_le16(c);
	a->interval_max = cursor_le16(c);
	a->latency = cursor_le16(c);
	a->supervision = cursor_le16(c);
	a->has_last = cursor_left(c) > 0;
	if (a->has_last)
		a->last = cursor_u8(c);
}

static void read_airlink_up(struct cursor *c, struct fitbit_control *m)
{
	copy(c, m->unknown, sizeof(m->unknown));
	copy(c, m->id, sizeof(m->id));
	m->has_mtu = cursor_left(c) > 0;
	if (m->has_mtu)
		m->mtu = cursor_le16(c);
}

static void read_dump(struct cursor *c, struct fitbit_control *m)
{
	m->type = cursor_u8(c);
	if (m->kind == FITBIT_DUMP_ENDS)
		m->crc = cursor_le16(c);
	m->has_length = m->kind == FITBIT_DUMP_ENDS || cursor_left(c) > 0;
	if (m->has_length)
		m->length = cursor_le32(c);
}

static void read_login(struct cursor *c, struct fitbit_control *m)
{
	if (m->kind == FITBIT_LOGIN) {
		copy(c, m->random, sizeof(m->random));
		m->nonce = cursor_le32(c);
		return;
	}
	copy(c, m->proof, sizeof(m->proof));
	if (m->kind == FITBIT_CHALLENGE)
		copy(c, m->challenge, sizeof(m->challenge));
}

static void read_content(struct cursor *c, struct fitbit_control *m)
{
	switch (m->kind) {
	case FITBIT_REFUSED:
		m->error = cursor_le16(c);
		break;
	case FITBIT_SET_TIME:
		m->time = cursor_le32(c);
		break;
	case FITBIT_AIRLINK_OPEN:
		read_airlink_open(c, &m->airlink);
		break;
	case FITBIT_AIRLINK_UP:
		read_airlink_up(c, m);
		break;
	case FITBIT_DUMP_BEGINS:
	case FITBIT_DUMP_ENDS:
		read_dump(c, m);
		break;
	case FITBIT_LOGIN:
	case FITBIT_CHALLENGE:
	case FITBIT_RESPONSE:
		read_login(c, m);
		break;
	case FITBIT_DUMP_REQUEST:
		m->type = cursor_u8(c);
		break;
	case FITBIT_UPLOAD_ACCEPTED:
	case FITBIT_CHUNK_ACCEPTED:
		/* nothing here uploads; what these say after the type is not known */
		m->type = cursor_u8(c);
		cursor_skip(c, cursor_left(c));
		break;
	case FITBIT_FILLER:
	case FITBIT_CLOSE:
	case FITBIT_DONE:
	case FITBIT_BLINK:
	case FITBIT_PIPE_SWITCHED:
		break;
	}
}

int fitbit_control_decode(const uint8_t *data, size_t len, struct fitbit_control *ret)
{
	struct cursor c = cursor_of(data, len);
	struct fitbit_control m = { 0 };

	if (len == 0)
		return -EMSGSIZE;
	if (cursor_u8(&c) != FITBIT_END)
		return -ENOMSG;
	m.kind = len == 1 ? FITBIT_FILLER : kind_of(cursor_u8(&c));
	if (m.kind == 0)
		return -ENOMSG;
	if (len < shapes[m.kind].min || len > shapes[m.kind].max)
		return -EMSGSIZE;
	read_content(&c, &m);
	if (!cursor_at_end(&c))
		return -EMSGSIZE;
	*ret = m;
	return 0;
}

/* ---- the other way ---- */

static void write_airlink_up(struct writer *w, const struct fitbit_control *m)
{
	writer_bytes(w, m->unknown, sizeof(m->unknown));
	writer_bytes(w, m->id, sizeof(m->id));
	if (m->has_mtu)
		writer_le16(w, m->mtu);
}

static void write_airlink_open(struct writer *w, const struct fitbit_airlink *a)
{
	writer_le16(w, a->value);
	writer_le16(w, a->interval_min);
	writer_le16(w, a->interval_max);
	writer_le16(w, a->latency);
	writer_le16(w, a->supervision);
	if (a->has_last)
		writer_u8(w, a->last);
}

static void write_dump(struct writer *w, const struct fitbit_control *m)
{
	writer_u8(w, m->type);
	if (m->kind == FITBIT_DUMP_ENDS)
		writer_le16(w, m->crc);
	if (m->kind == FITBIT_DUMP_ENDS || m->has_length)
		writer_le32(w, m->length);
}

static void write_login(struct writer *w, const struct fitbit_control *m)
{
	if (m->kind == FITBIT_LOGIN) {
		writer_bytes(w, m->random, sizeof(m->random));
		writer_le32(w, m->nonce);
		return;
	}
	writer_bytes(w, m->proof, sizeof(m->proof));
	if (m->kind == FITBIT_CHALLENGE)
		writer_bytes(w, m->challenge, sizeof(m->challenge));
}

static void write_content(struct writer *w, const struct fitbit_control *m)
{
	switch (m->kind) {
	case FITBIT_REFUSED:
		writer_le16(w, m->error);
		break;
	case FITBIT_SET_TIME:
		writer_le32(w, m->time);
		break;
	case FITBIT_AIRLINK_OPEN:
		write_airlink_open(w, &m->airlink);
		break;
	case FITBIT_AIRLINK_UP:
		write_airlink_up(w, m);
		break;
	case FITBIT_DUMP_BEGINS:
	case FITBIT_DUMP_ENDS:
		write_dump(w, m);
		break;
	case FITBIT_LOGIN:
	case FITBIT_CHALLENGE:
	case FITBIT_RESPONSE:
		write_login(w, m);
		break;
	case FITBIT_DUMP_REQUEST:
		writer_u8(w, m->type);
		break;
	case FITBIT_FILLER:
	case FITBIT_CLOSE:
	case FITBIT_DONE:
	case FITBIT_BLINK:
	case FITBIT_PIPE_SWITCHED:
	case FITBIT_UPLOAD_ACCEPTED:
	case FITBIT_CHUNK_ACCEPTED:
		break;
	}
}

int fitbit_control_encode(const struct fitbit_control *m, struct writer *w)
{
	const struct writer start = *w;

	if (m->kind < FITBIT_FILLER || m->kind >= N(shapes) || m->kind == FITBIT_UPLOAD_ACCEPTED ||
	    m->kind == FITBIT_CHUNK_ACCEPTED)
		return -EINVAL;
	writer_u8(w, FITBIT_END);
	if (m->kind != FITBIT_FILLER)
		writer_u8(w, shapes[m->kind].command);
	write_content(w, m);
	if (writer_ok(w))
		return 0;
	*w = start;
	return -ENOSPC;
}

/* ---- errors ---- */

static const struct {
	uint16_t error;
	const char *name;
} errors[] = {
	{ 0x0000, "success" },
	{ 0x1000, "general error" },
	{ 0x1001, "not implemented" },
	{ 0x1002, "fatal error" },
	{ 0x1003, "buffer overflow" },
	{ 0x1004, "not enough data" },
	{ 0x1005, "invalid data" },
	{ 0x1006, "command not recognised" },
	{ 0x1007, "write failed" },
	{ 0x1008, "read failed" },
	{ 0x1009, "invalid request" },
	{ 0x100a, "invalid state" },
	{ 0x2000, "invalid reboot" },
	{ 0x2001, "boot loader missing or invalid" },
	{ 0x2002, "application missing or invalid" },
	{ 0x2003, "cannot go from boot loader to boot loader" },
	{ 0x2004, "cannot go from application to application" },
	{ 0x2005, "firmware update failed" },
	{ 0x2006, "received data not handled" },
	{ 0x2007, "invalid ring" },
	{ 0x2008, "site command not recognised" },
	{ 0x2009, "protocol in the header wrong" },
	{ 0x200a, "encryption in the header wrong" },
	{ 0x200b, "length in the trailer wrong" },
	{ 0x200c, "signature in the trailer wrong" },
	{ 0x200d, "length in the section header wrong" },
	{ 0x200e, "section type wrong" },
	{ 0x200f, "too much section data" },
	{ 0x2010, "section length wrong" },
	{ 0x2011, "section checksum wrong" },
	{ 0x2012, "product wrong" },
	{ 0x2013, "sync delay wrong" },
	{ 0x2014, "key missing" },
	{ 0x2015, "authentication failed" },
	{ 0x2016, "authentication required" },
	{ 0x2017, "encryption required" },
};

const char *fitbit_error_name(uint16_t error)
{
	for (size_t i = 0; i < N(errors); i++)
		if (errors[i].error == error)
			return errors[i].name;
	return NULL;
}

/* ---- packets ---- */

int fitbit_packet_decode(const uint8_t *data, size_t len, struct writer *w)
{
	const struct writer start = *w;
	uint8_t byte;

	if (len == 0 || len > FITBIT_PACKET_MAX)
		return -EMSGSIZE;
	if (data[0] == FITBIT_END)
		return -ENOMSG;
	if (data[0] == FITBIT_ESCAPE) {
		if (len < 2 || !fitbit_unescape(data[1], &byte))
			return -EBADMSG;
		writer_u8(w, byte);
		data += 2;
		len -= 2;
	}
	writer_bytes(w, data, len);
	if (writer_ok(w))
		return 0;
	*w = start;
	return -ENOSPC;
}

int fitbit_packet_encode(const uint8_t *data, size_t len, struct writer *w, size_t *ret_taken)
{
	const struct writer start = *w;
	size_t n;

	assert(len > 0);
	if (data[0] == FITBIT_END || data[0] == FITBIT_ESCAPE) {
		n = len < FITBIT_PACKET_MAX - 1 ? len : FITBIT_PACKET_MAX - 1;
		writer_u8(w, FITBIT_ESCAPE);
		writer_u8(w, data[0] == FITBIT_END ? FITBIT_ESCAPED_END : FITBIT_ESCAPED_ESCAPE);
		writer_bytes(w, data + 1, n - 1);
	} else {
		n = len < FITBIT_PACKET_MAX ? len : FITBIT_PACKET_MAX;
		writer_bytes(w, data, n);
	}
	if (!writer_ok(w)) {
		*w = start;
		return -ENOSPC;
	}
	*ret_taken = n;
	return 0;
}

/* ---- a dump on its way ---- */

struct fitbit_transfer fitbit_transfer_of(struct writer *w, uint8_t type)
{
	assert(writer_ok(w));
	return (struct fitbit_transfer){ .w = w, .start = w->len, .type = type };
}

static int begin(struct fitbit_transfer *t, const struct fitbit_control *m)
{
	if (t->begun || m->type != t->type)
		return -EPROTO;
	t->begun = true;
	t->has_length = m->has_length;
	t->length = m->length;
	return 0;
}

static int end(struct fitbit_transfer *t, const struct fitbit_control *m)
{
	const size_t len = t->w->len - t->start;

	if (!t->begun || m->type != t->type)
		return -EPROTO;
	if (m->length != len || (t->has_length && t->length != len))
		return -EMSGSIZE;
	if (m->crc != crc_16_xmodem(t->w->data + t->start, len))
		return -EBADMSG;
	t->complete = true;
	return 0;
}

static int control(struct fitbit_transfer *t, const uint8_t *data, size_t len)
{
	struct fitbit_control m;
	int r = fitbit_control_decode(data, len, &m);

	if (r < 0)
		return r == -ENOMSG ? -EPROTO : r;
	if (m.kind == FITBIT_DUMP_BEGINS)
		return begin(t, &m);
	if (m.kind == FITBIT_DUMP_ENDS)
		return end(t, &m);
	if (m.kind == FITBIT_REFUSED)
		return -ECONNREFUSED;
	return m.kind == FITBIT_FILLER ? 0 : -EPROTO;
}

int fitbit_transfer_packet(struct fitbit_transfer *t, const uint8_t *data, size_t len)
{
	if (t->complete)
		return -EPROTO;
	if (len > 0 && data[0] == FITBIT_END)
		return control(t, data, len);
	if (!t->begun)
		return -EBADMSG;
	return fitbit_packet_decode(data, len, t->w);
}
