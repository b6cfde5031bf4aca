/*
 * Orders: the door for signed commands that come over the broker (signed.h). A command is carried
 * out by the same handler as one of the control socket, in one transaction with the serial that
 * keeps it from being carried out twice, and answered on topic .../reply.
 *
 * Taken are the verbs that a care team may need from afar: status, devices, doctor, goal, desk,
 * resend, redecode, diagnostics.
 * What is not signed by a known sender is counted and not answered.
 */
#pragma once

#include "gateway/control/control.h"

/* one entry of the journal, unpacked */
#define ORDERS_ARENA_BYTES ((size_t)512 * 1024)

struct orders_counts {
	uint64_t
		carried_out; /* also those that the handler refused, with its reason in the reply */
	uint64_t refused;    /* of a known sender: answered */
	uint64_t strangers;  /* malformed, of no known sender, or not signed by it */
};

struct orders;

/* Reads the keys (config->command_keys_file: base64, one a line, # begins a comment) and from the
 * journal what each sender sent last. *control is borrowed. Without a file: 0 and *ret NULL.
 * -EINVAL: a line is no key; -errno. The arena is reset. */
int orders_new(const struct control *control, struct arena *arena, struct orders **ret);
void orders_free(struct orders *o);                                    /* NULL is fine */
void orders_counts(const struct orders *o, struct orders_counts *ret); /* of NULL: zeros */
