/*
 * A set of reading_ids that can go back to where it was at the last commit: those that are not
 * shown any more, because another reading took their place or they were retracted. Zeroed: empty.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ID_SET_BYTES 16

struct id_set {
	uint8_t (*ids)[ID_SET_BYTES]; /* in the order they were added */
	size_t n, settled, room;
	uint32_t *table; /* index + 1 into ids; 0: free */
	size_t table_size;
};

void id_set_finish(struct id_set *s);
int id_set_add(struct id_set *s, const uint8_t id[ID_SET_BYTES]); /* also if it is there; -ENOMEM */
bool id_set_has(const struct id_set *s, const uint8_t id[ID_SET_BYTES]);
void id_set_settle(struct id_set *s); /* what was added stays */
void id_set_undo(struct id_set *s);   /* what was added since is forgotten */
