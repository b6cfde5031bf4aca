/* The items of an import on their way to the gateway: some at a time, each packet answered. */
#pragma once

#include "gateway/cli/client.h"
#include "gateway/import/fitbit.h"

#define IMPORT_BATCH 128 /* 64 KiB of packet hold more than twice as many */

struct import_batch;

/* c is open and borrowed, or NULL: nothing is sent. zone: stated, or NULL for the hub's; subject:
 * whose they are, or NULL for the one person of the hub. NULL: no memory */
struct import_batch *import_batch_new(struct client *c, const char *zone, const char *subject);
void import_batch_free(struct import_batch *b); /* NULL is fine */

struct import_batch_counts {
	uint64_t added, known, refused;
};

/* Copies the item; sends when the batch is full. 0 or an exit code (it was said what is wrong).
 * Counts go to *counts when the gateway has answered. */
int import_batch_add(struct import_batch *b, const struct fitbit_item *item,
		     struct import_batch_counts *counts);
int import_batch_send(struct import_batch *b, struct import_batch_counts *counts);
