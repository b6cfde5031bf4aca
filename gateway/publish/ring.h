/*
 * A bounded queue of small items from one thread to one other, and the eventfd that wakes the
 * taker. No lock: one producer moves `head`, one consumer moves `tail` (C11 release/acquire).
 *
 * mailbox_post() writes the eventfd only if the taker was told nothing since it last looked, so a
 * burst costs one system call.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ring {
	uint8_t *data;
	size_t item, mask;
	_Atomic size_t head, tail; /* count up for ever; the difference is the fill */
};

/* room for at least `items` items of `item` bytes; -ENOMEM */
int ring_init(struct ring *r, size_t item, size_t items);
void ring_finish(struct ring *r);                 /* zeroed is fine */
bool ring_push(struct ring *r, const void *item); /* false = full, nothing was stored */
bool ring_pop(struct ring *r, void *ret);         /* false = empty */

struct mailbox {
	struct ring ring;
	int fd; /* readable when something was posted since mailbox_listen() */
	atomic_bool told;
};

int mailbox_init(struct mailbox *m, size_t item, size_t items); /* -ENOMEM or -errno */
void mailbox_finish(struct mailbox *m);
bool mailbox_post(struct mailbox *m, const void *item);
void mailbox_wake(struct mailbox *m); /* as a post without an item; any thread */
/* The taker, when woken: from here on posts wake it again. Then take until there is no more. */
void mailbox_listen(struct mailbox *m);
bool mailbox_take(struct mailbox *m, void *ret);
