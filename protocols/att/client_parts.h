/* Shared by client.c, procedure.c, discover.c and server.c. */
#pragma once

#include "protocols/att/client.h"

#define ATT_UUID_PRIMARY_SERVICE 0x2800
#define ATT_UUID_CHARACTERISTIC  0x2803
#define ATT_UUID_DEVICE_NAME     0x2a00
#define ATT_UUID_APPEARANCE      0x2a01
#define ATT_UUID_CCC             0x2902
#define ATT_UUID_SERVICE_CHANGED 0x2a05
#define ATT_UUID_DATABASE_HASH   0x2b2a

/* returns of an answer, beside -errno */
#define ATT_STEP_DONE 0
#define ATT_STEP_MORE 1

/* The next request of the op at the queue's head; data in *ret is borrowed from the client. */
void att_procedure_request(struct att_client *c, struct att_pdu *ret);
/* p is the response to it, or an Error Response */
int att_procedure_answer(struct att_client *c, const struct att_pdu *p);
/* its response was malformed: r */
int att_procedure_spoiled(struct att_client *c, int r);

void att_discover_request(struct att_client *c, struct att_pdu *ret);
int att_discover_answer(struct att_client *c, const struct att_pdu *p);

/* Our response to a request of the peer, into c->reply. r: what decoding it gave. */
void att_server_reply(struct att_client *c, const struct att_pdu *p, const uint8_t *packet,
		      size_t len, int r);
