/*
 * Whose a goal result or a correction is: its hub and epoch have to be those of its topic and of
 * now. The store does not know the hub's name, and a row that waited while a new epoch began was
 * packed under the old one. Pure.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* what is appended at most: hub and epoch with their tags */
#define ORIGIN_MAX (2 + 1 + 127 + 2 + 8)

struct origin {
	const char *hub; /* at most 127 bytes */
	uint64_t epoch;
	bool result; /* a GoalResult, else a Correction */
};

/*
 * Appends to `data`, a packed message of `len` bytes with room for ORIGIN_MAX more, what differs:
 * of a field that comes twice the last one counts (protobuf encoding: "last one wins"). The same
 * row gives the same bytes within one epoch, as a resend must. Returns the new length; what is not
 * a message stays as it is. *ret_tombstone: it says that numbers will not come.
 */
size_t origin_complete(const struct origin *o, uint8_t *data, size_t len, bool *ret_tombstone);
