#include "gateway/record/queue.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

int queue_init(struct queue *q, size_t size)
{
	pthread_condattr_t attributes;
	int r;

	*q = (struct queue){ .size = size };
	q->items = calloc(size, sizeof(*q->items));
	if (!q->items)
		return -ENOMEM;
	r = pthread_mutex_init(&q->lock, NULL);
	if (r == 0) {
		(void)pthread_condattr_init(&attributes);
		(void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
		r = pthread_cond_init(&q->changed, &attributes);
		(void)pthread_condattr_destroy(&attributes);
		if (r != 0)
			(void)pthread_mutex_destroy(&q->lock);
	}
	if (r != 0)
		free(q->items);
	return -r;
}

void queue_finish(struct queue *q)
{
	for (; q->n > 0; q->n--, q->first = (q->first + 1) % q->size)
		free(q->items[q->first].topic);
	free(q->items);
	(void)pthread_cond_destroy(&q->changed);
	(void)pthread_mutex_destroy(&q->lock);
}

/* the lock is held */
static int put_locked(struct queue *q, const struct queue_item *item, size_t bytes, bool until_done)
{
	uint64_t number;

	while (!q->stopped && (q->n == q->size || q->bytes + bytes > QUEUE_BYTES_MAX))
		(void)pthread_cond_wait(&q->changed, &q->lock);
	if (q->stopped)
		return -ESHUTDOWN;
	q->items[(q->first + q->n++) % q->size] = *item;
	q->bytes += bytes;
	number = ++q->put;
	(void)pthread_cond_broadcast(&q->changed);
	while (until_done && q->done < number && !q->stopped)
		(void)pthread_cond_wait(&q->changed, &q->lock);
	/* taken all the same: it may be stored, but the giver must not count on it */
	return until_done && q->done < number ? -EINPROGRESS : 0;
}

static size_t bytes_of(const struct queue_item *item)
{
	return strlen(item->topic) + 1 + item->len;
}

int queue_put(struct queue *q, const char *topic, const void *payload, size_t len, bool until_done)
{
	const size_t topic_len = strlen(topic) + 1;
	struct queue_item item = { .len = len };
	int r;

	if (len > QUEUE_BYTES_MAX - topic_len)
		return -EMSGSIZE;
	item.topic = malloc(topic_len + len);
	if (!item.topic)
		return -ENOMEM;
	item.payload = (uint8_t *)item.topic + topic_len;
	(void)memcpy(item.topic, topic, topic_len);
	if (len > 0)
		(void)memcpy(item.payload, payload, len);
	(void)pthread_mutex_lock(&q->lock);
	r = put_locked(q, &item, topic_len + len, until_done);
	(void)pthread_mutex_unlock(&q->lock);
	if (r == -ESHUTDOWN)
		free(item.topic);
	return r == -EINPROGRESS ? -ESHUTDOWN : r;
}

void queue_take(struct queue *q, struct queue_item *ret, size_t max, size_t *ret_n)
{
	size_t n;

	(void)pthread_mutex_lock(&q->lock);
	while (q->n == 0 && !q->stopped)
		(void)pthread_cond_wait(&q->changed, &q->lock);
	n = q->n < max ? q->n : max;
	for (size_t i = 0; i < n; i++)
		ret[i] = q->items[(q->first + i) % q->size];
	(void)pthread_mutex_unlock(&q->lock);
	*ret_n = n;
}

void queue_done(struct queue *q, size_t n)
{
	(void)pthread_mutex_lock(&q->lock);
	assert(n <= q->n);
	for (size_t i = 0; i < n; i++) {
		q->bytes -= bytes_of(&q->items[q->first]);
		free(q->items[q->first].topic);
		q->items[q->first] = (struct queue_item){ 0 };
		q->first = (q->first + 1) % q->size;
	}
	q->n -= n;
	q->done += n;
	(void)pthread_cond_broadcast(&q->changed);
	(void)pthread_mutex_unlock(&q->lock);
}

void queue_stop(struct queue *q)
{
	(void)pthread_mutex_lock(&q->lock);
	q->stopped = true;
	(void)pthread_cond_broadcast(&q->changed);
	(void)pthread_mutex_unlock(&q->lock);
}

bool queue_stopped(struct queue *q)
{
	bool stopped;

	(void)pthread_mutex_lock(&q->lock);
	stopped = q->stopped;
	(void)pthread_mutex_unlock(&q->lock);
	return stopped;
}

bool queue_pause(struct queue *q, unsigned int ms)
{
	struct timespec until;
	bool stopped;
	int r = 0;

	(void)clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += ms / 1000;
	until.tv_nsec += (long)(ms % 1000) * 1000000;
	if (until.tv_nsec >= 1000000000) {
		until.tv_sec++;
		until.tv_nsec -= 1000000000;
	}
	(void)pthread_mutex_lock(&q->lock);
	while (!q->stopped && r == 0)
		r = pthread_cond_timedwait(&q->changed, &q->lock, &until);
	stopped = q->stopped;
	(void)pthread_mutex_unlock(&q->lock);
	return stopped;
}
