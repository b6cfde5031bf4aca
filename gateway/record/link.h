/*
 * The connection to the broker, on a thread of its own: the only one that calls Paho. What arrives
 * goes into the queue; receipts go out.
 *
 * Paho acknowledges a message when the callback that got it returns, whatever it returns. So with
 * `acknowledge = commit` the callback waits in queue_put() until the message is durable, and where
 * it never will be (we are stopping) the callback does not return at all: the process has to end by
 * _exit(), and the broker sends the message again.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gateway/record/ledger.h"
#include "gateway/record/queue.h"
#include "gateway/record/settings.h"

struct link;

/* Starts the thread; connects, and again whenever it has to. -ENOMEM, -errno */
int link_start(const struct settings *settings, struct queue *queue, struct link **ret);
/* Hands a receipt over; a later one for the same topic takes its place. From any thread. */
void link_receipt(struct link *l, struct ledger_receipt *receipt);
/* Ends what can be ended within `ms`: sends what receipts there are, says good-bye. The memory
 * stays: Paho's threads may still be in it. */
void link_stop(struct link *l, unsigned int ms);
