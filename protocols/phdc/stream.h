/*
 * APDUs out of the packets of one IN endpoint, and the metadata preamble. Source: PHDC 1.0, section
 * 4 (the preamble, and both sides' way back after a bad one); ISO/IEEE 11073-20601: an APDU is
 * led by choice and length, both of 16 bits, and knows its own end.
 *
 *   without preamble:  | APDU bytes, cut anyhow, any number of APDUs ...
 *   with preamble:     | preamble | transfer 1 .. bNumTransfers | preamble | ...
 *
 * A transfer ends with a packet that is not full. Devices that end an APDU with a full packet and
 * send no empty one behind it are known, so a packet that ends with its APDU ends the transfer,
 * too, and an empty packet behind that is nothing.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "protocols/bytes/writer.h"
#include "protocols/phdc/descriptor.h"

#define PHDC_APDU_MAX        65536 /* with its header of 4; agents may send 64512 */
#define PHDC_PREAMBLE_SIZE   20    /* without opaque data */
#define PHDC_PREAMBLE_OPAQUE 235   /* the most that is sent or taken */

/* wValue of SET_FEATURE and CLEAR_FEATURE to an interface, and of the preamble's version */
#define PHDC_FEATURE_METADATA 0x0101
#define PHDC_SET_FEATURE      0x03
#define PHDC_CLEAR_FEATURE    0x01
#define PHDC_GET_STATUS       0x00 /* answered by two bytes, bit n: endpoint n has data */

struct phdc_preamble {
	uint8_t transfers;     /* that follow; not 0 */
	uint8_t qos;           /* exactly one of enum phdc_qos */
	const uint8_t *opaque; /* borrowed */
	size_t opaque_len;
};

/* -EMSGSIZE length, -EBADMSG signature, -ERANGE no transfers, encoding, or not one quality */
int phdc_preamble_decode(const uint8_t *data, size_t len, struct phdc_preamble *ret);
/* -ENOSPC the writer is full, -ERANGE as above, -EMSGSIZE too much opaque data */
int phdc_preamble_encode(const struct phdc_preamble *p, struct writer *w);

/* One IN endpoint. The fields are its own. */
struct phdc_stream {
	uint16_t packet; /* the endpoint's; a packet is full at this size */
	bool preamble;
	uint8_t transfers;   /* that are due before the next preamble */
	bool empty_may_come; /* the last transfer ended with a full packet */
	const uint8_t *data; /* rest of the packet at hand; borrowed */
	size_t left;
	bool full;  /* the packet at hand was */
	size_t len; /* of the APDU so far */
	bool whole; /* it was handed out: the next byte begins another */
	uint8_t apdu[PHDC_APDU_MAX];
};

void phdc_stream_init(struct phdc_stream *s, uint16_t packet, bool preamble);
/*
 * One packet as it came; borrowed until phdc_stream_pull() has said 0. -EBADMSG: a preamble is due
 * and this is none: the host has to set and clear the endpoint's halt, and phdc_stream_reset().
 */
int phdc_stream_push(struct phdc_stream *s, const uint8_t *data, size_t len);
/*
 * 1: an APDU, whole by its own length and valid until the next call; 0: the packet is used up;
 * -EBADMSG: what comes is no APDU (no such choice) and there is no way back into step; -EMSGSIZE:
 * the APDU is longer than PHDC_APDU_MAX. After an error the stream is as after a reset.
 */
int phdc_stream_pull(struct phdc_stream *s, const uint8_t **ret, size_t *ret_len);
/* The endpoint was halted: what was begun will not be ended. */
void phdc_stream_reset(struct phdc_stream *s);
bool phdc_stream_is_pending(const struct phdc_stream *s); /* pull would say something else than 0 */
bool phdc_stream_is_partial(const struct phdc_stream *s); /* an APDU has begun */
