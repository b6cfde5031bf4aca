/*
 * Receipts: what the record service has committed, as it says itself (message Receipt). Pure.
 *
 * With delivery = receipt a PUBACK only frees the window; a row leaves the outbox when a receipt
 * covers it. While rows that the broker confirmed stay without one, they are sent again from the
 * last receipt: after RECEIPT_FIRST_US without progress, then twice as long each time, up to
 * RECEIPT_LAST_US, so that a record service that is away costs a prepaid card little.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gateway/store/store.h"

#define RECEIPT_FIRST_US INT64_C(60000000)
#define RECEIPT_LAST_US  INT64_C(3600000000)

struct receipts {
	uint64_t committed[LANE_END]; /* by the last receipt; 0: none yet */
	uint64_t taken, foreign, malformed;
	uint64_t used[LANE_END]; /* after -ERANGE: what it says was committed */
	int64_t wait_us;         /* before rows go again */
};

/*
 * Takes a packed Receipt. 1: a watermark rose; 0: nothing new; -EXDEV: of another hub or epoch;
 * -EBADMSG: malformed. last: what each lane can have sent; a higher one than that is no receipt of
 * ours: -ERANGE, then this hub's numbers were used before (a restored card), and nothing is taken
 * but `used`.
 */
int receipts_take(struct receipts *r, const char *hub, uint64_t epoch,
		  const uint64_t last[LANE_END], const uint8_t *data, size_t len);
/* A new epoch: nothing is committed yet. The counts stay. */
void receipts_restart(struct receipts *r);
/* How long to wait before rows go again, from now on. */
int64_t receipts_wait(struct receipts *r);
