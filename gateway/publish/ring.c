#include "gateway/publish/ring.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

int ring_init(struct ring *r, size_t item, size_t items)
{
	size_t size = 1;

	assert(item > 0 && items > 0 && items <= SIZE_MAX / 4);
	while (size < items)
		size *= 2;
	uint8_t *data = calloc(size, item);
	if (!data)
		return -ENOMEM;
	r->data = data;
	r->item = item;
	r->mask = size - 1;
	atomic_init(&r->head, 0);
	atomic_init(&r->tail, 0);
	return 0;
}

void ring_finish(struct ring *r)
{
	free(r->data);
	r->data = NULL;
}

bool ring_push(struct ring *r, const void *item)
{
	size_t head = atomic_load_explicit(&r->head, memory_order_relaxed);
	size_t tail = atomic_load_explicit(&r->tail, memory_order_acquire);

	if (head - tail > r->mask)
		return false;
	(void)memcpy(r->data + (head & r->mask) * r->item, item, r->item);
	atomic_store_explicit(&r->head, head + 1, memory_order_release);
	return true;
}

bool ring_pop(struct ring *r, void *ret)
{
	size_t tail = atomic_load_explicit(&r->tail, memory_order_relaxed);
	size_t head = atomic_load_explicit(&r->head, memory_order_acquire);

	if (head == tail)
		return false;
	(void)memcpy(ret, r->data + (tail & r->mask) * r->item, r->item);
	atomic_store_explicit(&r->tail, tail + 1, memory_order_release);
	return true;
}

int mailbox_init(struct mailbox *m, size_t item, size_t items)
{
	int r = ring_init(&m->ring, item, items);

	if (r < 0)
		return r;
	atomic_init(&m->told, false);
	m->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (m->fd >= 0)
		return 0;
	r = -errno;
	ring_finish(&m->ring);
	return r;
}

void mailbox_finish(struct mailbox *m)
{
	if (!m->ring.data)
		return;
	ring_finish(&m->ring);
	(void)close(m->fd);
}

void mailbox_wake(struct mailbox *m)
{
	const uint64_t one = 1;

	/* the counter cannot overflow: it is cleared at every look */
	if (!atomic_exchange(&m->told, true))
		(void)!write(m->fd, &one, sizeof(one));
}

bool mailbox_post(struct mailbox *m, const void *item)
{
	bool stored = ring_push(&m->ring, item);

	mailbox_wake(m);
	return stored;
}

void mailbox_listen(struct mailbox *m)
{
	uint64_t count;

	(void)!read(m->fd, &count, sizeof(count));
	(void)atomic_exchange(&m->told, false);
}

bool mailbox_take(struct mailbox *m, void *ret)
{
	return ring_pop(&m->ring, ret);
}
