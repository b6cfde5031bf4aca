/*
 * ATT as a listener follows it (Core 5.4 vol 3 part F 3.4). Only the exchange in which the
 * capturing host is the client is followed: the host's own server has no readings.
 */
#include <assert.h>
#include <errno.h>
#include <string.h>

#include "protocols/bytes/cursor.h"
#include "protocols/capture/hci_format.h"

enum opcode {
	ERROR_RSP = 0x01,
	MTU_REQ = 0x02,
	MTU_RSP = 0x03,
	FIND_INFO_REQ = 0x04,
	FIND_INFO_RSP = 0x05,
	FIND_TYPE_REQ = 0x06,
	FIND_TYPE_RSP = 0x07,
	READ_TYPE_REQ = 0x08,
	READ_TYPE_RSP = 0x09,
	READ_REQ = 0x0a,
	READ_RSP = 0x0b,
	READ_BLOB_REQ = 0x0c,
	READ_BLOB_RSP = 0x0d,
	READ_GROUP_REQ = 0x10,
	READ_GROUP_RSP = 0x11,
	WRITE_REQ = 0x12,
	WRITE_RSP = 0x13,
	NOTIFICATION = 0x1b,
	INDICATION = 0x1d,
	CONFIRMATION = 0x1e,
	MULTIPLE_NOTIFICATION = 0x23,
	WRITE_CMD = 0x52,
};

#define UUID_PRIMARY_SERVICE 0x2800
#define UUID_CHARACTERISTIC  0x2803

/*
 * Declarations and descriptors, and what the Generic Attribute Profile says about its own table
 * (Service Changed, Client and Server Supported Features, Database Hash): no channel of a driver.
 */
static bool is_structural(uint16_t uuid)
{
	return (uuid >= 0x2800 && uuid <= 0x29ff) || uuid == 0x2a05 || uuid == 0x2b29 ||
	       uuid == 0x2b2a || uuid == 0x2b3a;
}

static int too_short(struct hci *h)
{
	h->problem = "an ATT packet shorter than its kind must be";
	return -EBADMSG;
}

/* ---- handles ---- */

static uint16_t lookup(const struct hci_handle *table, size_t n, uint16_t handle)
{
	for (size_t i = 0; i < n; i++) {
		if (table[i].handle == handle)
			return table[i].uuid16;
	}
	return 0;
}

/* 0 if nothing told */
static uint16_t channel_of(struct hci *h, const struct hci_link *l, uint16_t handle)
{
	const struct hci_device *d = &h->devices[l->device];
	uint16_t uuid = lookup(h->fixed, h->n_fixed, handle);

	if (uuid == 0)
		uuid = lookup(d->handles, d->n_handles, handle);
	if (uuid == 0)
		h->counts.unknown_handles++;
	return is_structural(uuid) ? 0 : uuid;
}

static void learn(struct hci_device *d, uint16_t handle, uint16_t uuid)
{
	for (size_t i = 0; i < d->n_handles; i++) {
		if (d->handles[i].handle == handle) {
			d->handles[i].uuid16 = uuid;
			return;
		}
	}
	if (d->n_handles < HCI_HANDLES_MAX)
		d->handles[d->n_handles++] = (struct hci_handle){ handle, uuid };
}

/* a 16-bit UUID, or a 128-bit one made from it; 0 for a vendor's own */
static uint16_t read_uuid(struct cursor *c, size_t size)
{
	/* 00000000-0000-1000-8000-00805f9b34fb, little endian, without its 32 variable bits */
	static const uint8_t base[12] = { 0xfb, 0x34, 0x9b, 0x5f, 0x80, 0x00,
					  0x00, 0x80, 0x00, 0x10, 0x00, 0x00 };
	const uint8_t *bytes;
	uint16_t uuid;

	if (size == 2)
		return cursor_le16(c);
	bytes = cursor_bytes(c, sizeof(base));
	uuid = cursor_le16(c);
	if (cursor_le16(c) != 0 || !bytes || memcmp(bytes, base, sizeof(base)) != 0)
		return 0;
	return uuid;
}

/* ---- values ---- */

static void emit_value(struct hci *h, struct hci_link *l, uint16_t channel, const uint8_t *data,
		       size_t len)
{
	struct cap_event e = { .kind = CAP_FRAME, .channel = channel, .len = len };

	assert(len <= CAP_DATA_MAX);
	if (channel == HCI_UUID_DEVICE_NAME)
		hci_learn_name(&h->devices[l->device], data, len);
	if (len > 0)
		memcpy(e.data, data, len);
	hci_emit(h, l, &e);
}

static void emit_ours(struct hci *h, struct hci_link *l, enum cap_kind kind, uint16_t channel)
{
	struct cap_event e = { .kind = kind, .channel = channel };

	hci_emit(h, l, &e);
}

void hci_att_flush(struct hci *h, struct hci_link *l)
{
	uint16_t channel;

	if (l->value_handle == 0)
		return;
	channel = channel_of(h, l, l->value_handle);
	if (channel != 0)
		emit_value(h, l, channel, l->value, l->value_len);
	l->value_handle = 0;
}

/* A value as long as the MTU allows may go on in Read Blob: it waits for the next request. */
static void on_read_part(struct hci *h, struct hci_link *l, struct cursor *c)
{
	const size_t len = cursor_left(c);

	if (l->request_handle == 0)
		return; /* the question is not in the capture */
	if (l->value_handle != l->request_handle)
		l->value_len = 0;
	l->value_handle = l->request_handle;
	if (len > sizeof(l->value) - l->value_len)
		l->value_handle = 0; /* no attribute is that long: the offsets make no sense */
	else if (len > 0)
		memcpy(l->value + l->value_len, c->data + c->pos, len);
	if (l->value_handle == 0)
		return;
	l->value_len += len;
	if (len + 1 < l->mtu)
		hci_att_flush(h, l);
}

static int on_notified(struct hci *h, struct hci_link *l, struct cursor *c, bool indication)
{
	const uint16_t handle = cursor_le16(c);
	uint16_t channel;

	if (!cursor_ok(c))
		return too_short(h);
	channel = channel_of(h, l, handle);
	if (indication)
		l->indicated = channel;
	if (channel != 0)
		emit_value(h, l, channel, c->data + c->pos, cursor_left(c));
	return 0;
}

static int on_multiple(struct hci *h, struct hci_link *l, struct cursor *c)
{
	while (cursor_left(c) > 0) {
		const uint16_t handle = cursor_le16(c), len = cursor_le16(c);
		const uint8_t *data = cursor_bytes(c, len);
		uint16_t channel;

		if (!cursor_ok(c))
			return too_short(h);
		channel = channel_of(h, l, handle);
		if (channel != 0)
			emit_value(h, l, channel, data, len);
	}
	return 0;
}

/* ---- discovery ---- */

static int on_find_info(struct hci *h, struct hci_link *l, struct cursor *c)
{
	const uint8_t format = cursor_u8(c);
	const size_t size = format == 1 ? 2 : 16;

	while (cursor_ok(c) && cursor_left(c) >= 2 + size) {
		const uint16_t handle = cursor_le16(c), uuid = read_uuid(c, size);

		if (uuid != 0)
			learn(&h->devices[l->device], handle, uuid);
	}
	return cursor_at_end(c) ? 0 : too_short(h);
}

/* handle, properties, value handle, UUID */
static void learn_characteristic(struct hci_device *d, struct cursor item)
{
	uint16_t value, uuid;

	cursor_skip(&item, 2 + 1);
	value = cursor_le16(&item);
	uuid = read_uuid(&item, cursor_left(&item));
	if (cursor_ok(&item) && uuid != 0)
		learn(d, value, uuid);
}

static int on_read_type(struct hci *h, struct hci_link *l, struct cursor *c)
{
	const uint8_t size = cursor_u8(c);
	struct hci_device *d = &h->devices[l->device];

	if (!cursor_ok(c) || size < 2 || cursor_left(c) % size != 0)
		return too_short(h);
	while (cursor_left(c) > 0) {
		struct cursor item = cursor_sub(c, size);

		if (l->request_type == UUID_CHARACTERISTIC) {
			if (size == 7 || size == 21)
				learn_characteristic(d, item);
			continue;
		}
		if (l->request_type == 0 || is_structural(l->request_type))
			continue;
		learn(d, cursor_le16(&item), l->request_type);
		emit_value(h, l, l->request_type, item.data + item.pos, cursor_left(&item));
	}
	return 0;
}

static int on_read_group(struct hci *h, struct hci_link *l, struct cursor *c)
{
	const uint8_t size = cursor_u8(c);

	if (!cursor_ok(c) || (size != 6 && size != 20) || cursor_left(c) % size != 0)
		return too_short(h);
	while (cursor_left(c) > 0) {
		struct cursor item = cursor_sub(c, size);
		uint16_t uuid;

		cursor_skip(&item, 2 + 2);
		uuid = read_uuid(&item, (size_t)size - 4);
		if (uuid != 0 && l->request_type == UUID_PRIMARY_SERVICE)
			hci_learn_service(&h->devices[l->device], uuid);
	}
	return 0;
}

/* ---- both ways ---- */

static int from_server(struct hci *h, struct hci_link *l, uint8_t opcode, struct cursor *c)
{
	switch (opcode) {
	case NOTIFICATION:
	case INDICATION:
		return on_notified(h, l, c, opcode == INDICATION);
	case MULTIPLE_NOTIFICATION:
		return on_multiple(h, l, c);
	default:
		break;
	}
	/* an answer; to a question that is not in the capture it means nothing */
	if (opcode == ERROR_RSP) {
		hci_att_flush(h, l);
		l->request = 0;
		return 0;
	}
	if (l->request == 0 || opcode != l->request + 1)
		return 0;
	l->request = 0;
	switch (opcode) {
	case MTU_RSP:
		l->mtu = cursor_le16(c);
		if (!cursor_ok(c))
			return too_short(h);
		l->mtu = l->mtu < l->mtu_asked ? l->mtu : l->mtu_asked;
		l->mtu = l->mtu < HCI_ATT_MTU_DEFAULT ? HCI_ATT_MTU_DEFAULT : l->mtu;
		return 0;
	case FIND_INFO_RSP:
		return on_find_info(h, l, c);
	case FIND_TYPE_RSP:
		hci_learn_service(&h->devices[l->device], l->request_value);
		return 0;
	case READ_TYPE_RSP:
		return on_read_type(h, l, c);
	case READ_RSP:
	case READ_BLOB_RSP:
		on_read_part(h, l, c);
		return 0;
	case READ_GROUP_RSP:
		return on_read_group(h, l, c);
	default:
		return 0;
	}
}

static int on_write(struct hci *h, struct hci_link *l, struct cursor *c)
{
	struct cap_event e = { .kind = CAP_WRITE };
	const uint16_t handle = cursor_le16(c);

	if (!cursor_ok(c))
		return too_short(h);
	e.channel = channel_of(h, l, handle);
	e.len = cursor_left(c);
	if (e.channel == 0)
		return 0;
	if (e.len > 0)
		memcpy(e.data, c->data + c->pos, e.len);
	hci_emit(h, l, &e);
	return 0;
}

/* READ_REQ, READ_BLOB_REQ */
static int on_read(struct hci *h, struct hci_link *l, uint8_t opcode, struct cursor *c)
{
	const uint16_t handle = cursor_le16(c);
	const size_t offset = opcode == READ_BLOB_REQ ? cursor_le16(c) : 0;
	uint16_t channel;

	if (!cursor_ok(c))
		return too_short(h);
	if (offset == 0 || handle != l->value_handle || offset != l->value_len)
		hci_att_flush(h, l);
	/* a part without what comes before it is no value */
	l->request_handle = offset == 0 || handle == l->value_handle ? handle : 0;
	if (offset > 0)
		return 0;
	channel = channel_of(h, l, handle);
	if (channel != 0)
		emit_ours(h, l, CAP_READ, channel);
	return 0;
}

static int on_confirmation(struct hci *h, struct hci_link *l)
{
	if (l->indicated != 0)
		emit_ours(h, l, CAP_CONFIRM, l->indicated);
	l->indicated = 0;
	return 0;
}

/* FIND_TYPE_REQ, READ_TYPE_REQ, READ_GROUP_REQ: range of handles, then a type */
static int on_search(struct hci *h, struct hci_link *l, uint8_t opcode, struct cursor *c)
{
	cursor_skip(c, 2 + 2);
	l->request_type = l->request_value = 0;
	if (opcode == FIND_TYPE_REQ) {
		l->request_type = cursor_le16(c);
		if (l->request_type == UUID_PRIMARY_SERVICE && cursor_left(c) == 2)
			l->request_value = cursor_le16(c);
	} else if (cursor_left(c) == 2 || cursor_left(c) == 16) {
		l->request_type = read_uuid(c, cursor_left(c));
	} else {
		return too_short(h);
	}
	return cursor_ok(c) ? 0 : too_short(h);
}

static int from_client(struct hci *h, struct hci_link *l, uint8_t opcode, struct cursor *c)
{
	if (opcode == CONFIRMATION)
		return on_confirmation(h, l);
	if (opcode == WRITE_CMD)
		return on_write(h, l, c);
	l->request = opcode;
	if (opcode == READ_REQ || opcode == READ_BLOB_REQ)
		return on_read(h, l, opcode, c);
	hci_att_flush(h, l);
	switch (opcode) {
	case MTU_REQ:
		l->mtu_asked = cursor_le16(c);
		return cursor_ok(c) ? 0 : too_short(h);
	case FIND_TYPE_REQ:
	case READ_TYPE_REQ:
	case READ_GROUP_REQ:
		return on_search(h, l, opcode, c);
	case WRITE_REQ:
		return on_write(h, l, c);
	default:
		return 0;
	}
}

static bool is_from_server(uint8_t opcode)
{
	switch (opcode) {
	case ERROR_RSP:
	case MTU_RSP:
	case FIND_INFO_RSP:
	case FIND_TYPE_RSP:
	case READ_TYPE_RSP:
	case READ_RSP:
	case READ_BLOB_RSP:
	case READ_GROUP_RSP:
	case WRITE_RSP:
	case NOTIFICATION:
	case INDICATION:
	case MULTIPLE_NOTIFICATION:
		return true;
	default:
		return false;
	}
}

static bool is_from_client(uint8_t opcode)
{
	switch (opcode) {
	case MTU_REQ:
	case FIND_INFO_REQ:
	case FIND_TYPE_REQ:
	case READ_TYPE_REQ:
	case READ_REQ:
	case READ_BLOB_REQ:
	case READ_GROUP_REQ:
	case WRITE_REQ:
	case CONFIRMATION:
	case WRITE_CMD:
		return true;
	default:
		return false;
	}
}

int hci_att_packet(struct hci *h, struct hci_link *l, bool received, const uint8_t *data,
		   size_t len)
{
	struct cursor c = cursor_of(data, len);
	const uint8_t opcode = cursor_u8(&c);

	if (!cursor_ok(&c))
		return too_short(h);
	if (is_from_server(opcode))
		return received ? from_server(h, l, opcode, &c) : 0;
	if (is_from_client(opcode))
		return received ? 0 : from_client(h, l, opcode, &c);
	h->counts.unserved++;
	return 0;
}
