/*
 * The other direction: a peer may ask us. We are a client only and hold no attributes, but after a
 * request without an answer the bearer is dead for the peer 30 s later.
 */
#include <assert.h>
#include <errno.h>

#include "protocols/att/client_parts.h"

/* what an empty database says, by the "shall" of each request in part F 3.4 */
static uint8_t error_for(uint8_t opcode, int r)
{
	if (r == -ENOMSG)
		return ATT_ERROR_REQUEST_NOT_SUPPORTED;
	if (r == -ERANGE && opcode != ATT_EXECUTE_REQ)
		return ATT_ERROR_INVALID_HANDLE;
	if (r < 0)
		return ATT_ERROR_INVALID_PDU;
	switch (opcode) {
	case ATT_FIND_INFO_REQ:
	case ATT_FIND_TYPE_REQ:
	case ATT_READ_TYPE_REQ:
	case ATT_READ_GROUP_REQ:
		return ATT_ERROR_ATTRIBUTE_NOT_FOUND;
	case ATT_READ_REQ:
	case ATT_READ_BLOB_REQ:
	case ATT_WRITE_REQ:
		return ATT_ERROR_INVALID_HANDLE;
	default:
		return ATT_ERROR_REQUEST_NOT_SUPPORTED;
	}
}

void att_server_reply(struct att_client *c, const struct att_pdu *p, const uint8_t *packet,
		      size_t len, int r)
{
	struct att_pdu reply = { .opcode = ATT_ERROR_RSP, .request = packet[0] };
	int encoded;

	c->reply_mtu = 0;
	if (r == 0 && p->opcode == ATT_MTU_REQ) {
		reply = (struct att_pdu){ .opcode = ATT_MTU_RSP, .mtu = (uint16_t)c->rx_mtu };
		c->reply_mtu = p->mtu;
	} else {
		reply.error = error_for(packet[0], r);
		if (r == 0)
			reply.handle = p->handle;
		else if (r == -ERANGE && len >= 3)
			reply.handle = (uint16_t)(packet[1] | packet[2] << 8);
	}
	encoded = att_encode(&reply, c->reply, sizeof(c->reply), &c->reply_len);
	assert(encoded == 0);
	(void)encoded;
}
