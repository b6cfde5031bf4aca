/*
 * Rows to one ReadingBatch. The rows are packed Readings already, so a batch is their bytes with a
 * tag and a length in front; nothing is unpacked. Pure but for the one buffer.
 *
 *   0a LEN hub   11 EPOCH(8)   { 1a LEN reading }...   20 code_table
 *
 * A batch holds rows of one group and one test flag, in ascending sequence.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gateway/store/store.h"

#define BATCH_BYTES    ((size_t)32 * 1024) /* a batch with more than one row stays below */
#define BATCH_ROW_MAX  ((size_t)64 * 1024) /* as the store has it */
#define BATCH_HUB_MAX  127                 /* its length is one byte on the wire */
#define BATCH_OVERHEAD 160                 /* hub, epoch, code table */

struct batch {
	uint8_t *data; /* BATCH_BYTES or one row, plus overhead */
	size_t len, head;
	size_t bytes;      /* limit of this connection, at most BATCH_BYTES */
	unsigned int rows; /* limit */
	unsigned int n;
	uint64_t first, last;
	int group;
	bool test;
};

/* -ENOMEM; -EINVAL if the hub's name is too long */
int batch_init(struct batch *b, const char *hub, uint64_t epoch);
void batch_set_epoch(struct batch *b, uint64_t epoch); /* of the batches from now on */
void batch_finish(struct batch *b);
void batch_begin(struct batch *b, unsigned int rows, size_t bytes);
/* false: the row starts the next batch. The first row is always taken. */
bool batch_add(struct batch *b, const struct store_row *row);
/* the bytes, valid until batch_begin; *ret_len 0 if there are no rows */
const uint8_t *batch_end(struct batch *b, size_t *ret_len);
