/*
 * The worker: takes messages out of the queue, stores them in groups, one transaction each, and
 * hands the receipts on. Runs on the caller's thread until the queue is stopped and empty.
 */
#pragma once

#include "gateway/record/ledger.h"
#include "gateway/record/queue.h"

struct service {
	struct queue *queue;
	struct ledger *ledger;
	ledger_receipt_fn receipt; /* may be NULL */
	/* each message, once it is durable; may be NULL */
	void (*stored)(const struct queue_item *item, void *user);
	void *user;
};

/* 0: stopped, and everything that was taken is durable. What the database says that waiting does
 * not mend (db.h): nothing of it was acknowledged. */
int service_run(struct service *s);
