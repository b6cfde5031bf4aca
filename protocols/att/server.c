/*
 * The other direction: a peer may ask us. After a request without an answer the bearer is dead for
 * the peer 30 s later. All that we hold is the GAP service, which each device must have (Core 5.4,
 * vol 3 part C, 12), so that a watch can show its wearer who wants to read it:
 *
 *   1  2800  1800         primary service
 *   2  2803  02 0003 2a00
 *   3  2a00  "Wellgate"   the same on all hubs: no place and no person
 *   4  2803  02 0005 2a01
 *   5  2a01  0000         appearance: unknown
 *
 * It can be read in clear and not written. Each answer fits the least MTU.
 */
#include <assert.h>
#include <errno.h>
#include <string.h>

#include "protocols/att/client_parts.h"

#define GROUP_END 5

struct attribute {
	uint16_t type;
	uint8_t len;
	const char *value;
};

static const struct attribute attributes[] = {
	{ ATT_UUID_PRIMARY_SERVICE, 2, "\x00\x18" },
	{ ATT_UUID_CHARACTERISTIC, 5, "\x02\x03\x00\x00\x2a" },
	{ ATT_UUID_DEVICE_NAME, sizeof(ATT_OWN_NAME) - 1, ATT_OWN_NAME },
	{ ATT_UUID_CHARACTERISTIC, 5, "\x02\x05\x00\x01\x2a" },
	{ ATT_UUID_APPEARANCE, 2, "\x00\x00" },
};

/* ---- what it holds ---- */

static const struct attribute *attribute_at(uint16_t handle)
{
	return handle >= 1 && handle <= GROUP_END ? &attributes[handle - 1] : NULL;
}

static void put16(uint8_t *to, uint16_t value)
{
	to[0] = (uint8_t)value;
	to[1] = (uint8_t)(value >> 8);
}

static uint8_t find_information(const struct att_pdu *p, uint8_t *list, struct att_pdu *ret)
{
	size_t n = 0;

	for (uint16_t i = 0; i < GROUP_END; i++) {
		if (i + 1 < p->handle || i + 1 > p->end)
			continue;
		put16(list + n, (uint16_t)(i + 1));
		put16(list + n + 2, attributes[i].type);
		n += 4;
	}
	*ret = (struct att_pdu){
		.opcode = ATT_FIND_INFO_RSP, .item_size = 4, .data = list, .len = n
	};
	return n > 0 ? 0 : ATT_ERROR_ATTRIBUTE_NOT_FOUND;
}

static uint8_t find_by_type(const struct att_pdu *p, uint8_t *list, struct att_pdu *ret)
{
	const struct attribute *const service = &attributes[0];

	if (p->handle > 1 || att_uuid_16(&p->type) != service->type || p->len != service->len ||
	    memcmp(p->data, service->value, service->len) != 0)
		return ATT_ERROR_ATTRIBUTE_NOT_FOUND;
	put16(list, 1);
	put16(list + 2, GROUP_END);
	*ret = (struct att_pdu){ .opcode = ATT_FIND_TYPE_RSP, .data = list, .len = 4 };
	return 0;
}

/* Those whose values are as long as that of the first. */
static uint8_t read_by_type(const struct att_pdu *p, uint8_t *list, struct att_pdu *ret)
{
	size_t n = 0, item = 0;

	for (uint16_t i = 0; i < GROUP_END; i++) {
		const struct attribute *const a = &attributes[i];

		if (i + 1 < p->handle || i + 1 > p->end || a->type != att_uuid_16(&p->type) ||
		    (n > 0 && 2U + a->len != item))
			continue;
		item = 2U + a->len;
		put16(list + n, (uint16_t)(i + 1));
		memcpy(list + n + 2, a->value, a->len);
		n += item;
	}
	*ret = (struct att_pdu){
		.opcode = ATT_READ_TYPE_RSP, .item_size = item, .data = list, .len = n
	};
	return n > 0 ? 0 : ATT_ERROR_ATTRIBUTE_NOT_FOUND;
}

static uint8_t read_by_group(const struct att_pdu *p, uint8_t *list, struct att_pdu *ret)
{
	if (att_uuid_16(&p->type) != ATT_UUID_PRIMARY_SERVICE)
		return ATT_ERROR_UNSUPPORTED_GROUP;
	if (p->handle > 1)
		return ATT_ERROR_ATTRIBUTE_NOT_FOUND;
	put16(list, 1);
	put16(list + 2, GROUP_END);
	memcpy(list + 4, attributes[0].value, 2);
	*ret = (struct att_pdu){
		.opcode = ATT_READ_GROUP_RSP, .item_size = 6, .data = list, .len = 6
	};
	return 0;
}

/* offset: 0 but for a Read Blob */
static uint8_t read_value(const struct att_pdu *p, struct att_pdu *ret)
{
	const struct attribute *const a = attribute_at(p->handle);

	if (!a)
		return ATT_ERROR_INVALID_HANDLE;
	if (p->offset > a->len)
		return ATT_ERROR_INVALID_OFFSET;
	*ret = (struct att_pdu){
		.opcode = p->opcode == ATT_READ_REQ ? ATT_READ_RSP : ATT_READ_BLOB_RSP,
		.data = (const uint8_t *)a->value + p->offset,
		.len = (size_t)a->len - p->offset,
	};
	return 0;
}

/* ---- answers ---- */

/* by the "shall" of each request in part F 3.4 */
static uint8_t error_for(uint8_t opcode, int r)
{
	if (r == -ENOMSG)
		return ATT_ERROR_REQUEST_NOT_SUPPORTED;
	if (r == -ERANGE && opcode != ATT_EXECUTE_REQ)
		return ATT_ERROR_INVALID_HANDLE;
	return ATT_ERROR_INVALID_PDU;
}

/* 0, or the error that the request deserves; list: for what the answer lists */
static uint8_t answer(const struct att_pdu *p, uint8_t *list, struct att_pdu *ret)
{
	switch (p->opcode) {
	case ATT_FIND_INFO_REQ:
		return find_information(p, list, ret);
	case ATT_FIND_TYPE_REQ:
		return find_by_type(p, list, ret);
	case ATT_READ_TYPE_REQ:
		return read_by_type(p, list, ret);
	case ATT_READ_GROUP_REQ:
		return read_by_group(p, list, ret);
	case ATT_READ_REQ:
	case ATT_READ_BLOB_REQ:
		return read_value(p, ret);
	case ATT_WRITE_REQ:
		return attribute_at(p->handle) ? ATT_ERROR_WRITE_NOT_PERMITTED
					       : ATT_ERROR_INVALID_HANDLE;
	default:
		return ATT_ERROR_REQUEST_NOT_SUPPORTED;
	}
}

static struct att_pdu refusal(const struct att_pdu *p, const uint8_t *packet, size_t len, int r,
			      uint8_t error)
{
	struct att_pdu reply = { .opcode = ATT_ERROR_RSP, .request = packet[0], .error = error };

	if (r == 0)
		reply.handle = p->handle;
	else if (r == -ERANGE && len >= 3)
		reply.handle = (uint16_t)(packet[1] | packet[2] << 8);
	return reply;
}

void att_server_reply(struct att_client *c, const struct att_pdu *p, const uint8_t *packet,
		      size_t len, int r)
{
	uint8_t list[ATT_MTU_DEFAULT], error;
	struct att_pdu reply;
	int encoded;

	c->reply_mtu = 0;
	if (r == 0 && p->opcode == ATT_MTU_REQ) {
		reply = (struct att_pdu){ .opcode = ATT_MTU_RSP, .mtu = (uint16_t)c->rx_mtu };
		c->reply_mtu = p->mtu;
	} else {
		error = r < 0 ? error_for(packet[0], r) : answer(p, list, &reply);
		if (error != 0)
			reply = refusal(p, packet, len, r, error);
	}
	encoded = att_encode(&reply, c->reply, sizeof(c->reply), &c->reply_len);
	assert(encoded == 0);
	(void)encoded;
}
