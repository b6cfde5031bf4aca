/*
 * Messages on their way from the thread that receives to the thread that stores: in order, bounded
 * in number and bytes. A giver may wait until its message is durable, which is what makes an
 * acknowledgement to the broker honest.
 */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define QUEUE_BYTES_MAX ((size_t)64 * 1024 * 1024)

struct queue_item {
	char *topic;      /* owned by the queue until queue_done() */
	uint8_t *payload; /* behind the topic, in the same memory */
	size_t len;
};

struct queue {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct queue_item *items;
	size_t size, first, n, bytes;
	uint64_t put, done; /* items since the start */
	bool stopped;
};

int queue_init(struct queue *q, size_t size); /* -ENOMEM, -errno */
void queue_finish(struct queue *q);
/* Copies. Waits while there is no room, and if `until_done` until queue_done() was said of it.
 * -ESHUTDOWN: stopped; the message was not taken, or nobody says any more that it is done.
 * -ENOMEM, -EMSGSIZE: more than fits at all */
int queue_put(struct queue *q, const char *topic, const void *payload, size_t len, bool until_done);
/* Waits for messages and lends at most `max`, oldest first. *ret_n is 0 only when stopped and
 * empty. They stay in the queue. */
void queue_take(struct queue *q, struct queue_item *ret, size_t max, size_t *ret_n);
/* the oldest n are durable */
void queue_done(struct queue *q, size_t n);
/* no more are taken; what is in it can still be taken out */
void queue_stop(struct queue *q);
bool queue_stopped(struct queue *q);
/* Sleeps up to `ms`, or until stopped: true then. */
bool queue_pause(struct queue *q, unsigned int ms);
