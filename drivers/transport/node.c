#include "drivers/transport/node.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define READS_MAX  32 /* in one turn: others are on the loop, too */
#define CHUNK_COST 64 /* what a queued piece counts beside its bytes */

static int queue_add(struct node_queue *q, const uint8_t *data, size_t len, size_t max)
{
	struct node_chunk *c;

	if (q->bytes + len + CHUNK_COST > max)
		return -ENOBUFS;
	c = malloc(sizeof(*c) + len);
	if (!c)
		return -ENOMEM;
	c->next = NULL;
	c->len = len;
	c->done = 0;
	if (len > 0)
		memcpy(c->data, data, len);
	if (q->last)
		q->last->next = c;
	else
		q->first = c;
	q->last = c;
	q->bytes += len + CHUNK_COST;
	return 0;
}

static void queue_drop(struct node_queue *q)
{
	struct node_chunk *c = q->first;

	q->bytes -= c->len + CHUNK_COST;
	q->first = c->next;
	if (!q->first)
		q->last = NULL;
	free(c);
}

/* The kernel's words for an unplugged device, and for one that refuses. */
static int error_of(int error)
{
	switch (error) {
	case ENODEV:
	case ENXIO:
	case ENOENT:
	case ESHUTDOWN:
		return ENODEV;
	case ETIMEDOUT:
	case ENOBUFS:
	case ENOMEM:
		return error;
	case EPIPE: /* a stall */
	case EPROTO:
	case EOVERFLOW:
		return EPROTO;
	default:
		return EIO;
	}
}

void node_fail(struct node *n, int error)
{
	if (n->error)
		return;
	n->error = error_of(error);
	(void)sd_event_source_set_enabled(n->io,
					  SD_EVENT_OFF); /* a hang-up would be told for ever */
	(void)sd_event_source_set_enabled(n->timer, SD_EVENT_OFF);
	(void)sd_event_source_set_enabled(n->work, SD_EVENT_ONESHOT);
}

/* ---- in ---- */

static void hand_on(struct node *n, const uint8_t *data, size_t len)
{
	int r;

	if (!n->held && !n->in.first) {
		n->sink.frame(n->sink.user, n->channel, data, len);
		return;
	}
	r = queue_add(&n->in, data, len, NODE_HELD_MAX);
	if (r < 0)
		node_fail(n, -r);
}

/* False: there is no more for now. Nothing more is read once the wire has failed: what failed is
 * told behind all that was read. */
static bool read_one(struct node *n, bool hung_up)
{
	const ssize_t len = read(n->fd, n->buffer, sizeof(n->buffer));

	if (len > 0) {
		hand_on(n, n->buffer, (size_t)len);
		return n->error == 0;
	}
	if (len < 0 && errno == EINTR)
		return true;
	if (len < 0 && errno == EAGAIN) {
		if (hung_up)
			node_fail(n, ENODEV);
		return false;
	}
	/* a tty that was hung up reads as the end of a file, or as EIO like hidraw */
	node_fail(n, len == 0 || errno == EIO ? ENODEV : errno);
	return false;
}

/* ---- out ---- */

static void ask_for_writing(struct node *n, bool on)
{
	if (n->error || on == n->wants_out)
		return;
	n->wants_out = on;
	(void)sd_event_source_set_io_events(n->io, EPOLLIN | (on ? EPOLLOUT : 0U));
	(void)sd_event_source_set_enabled(n->timer, on ? SD_EVENT_ONESHOT : SD_EVENT_OFF);
	if (on)
		(void)sd_event_source_set_time_relative(n->timer, (uint64_t)NODE_STALLED_US);
}

/* How much of it was taken; 0: nothing for now. */
static size_t write_some(struct node *n, const uint8_t *data, size_t len)
{
	ssize_t done;

	do {
		done = write(n->fd, data, len);
	} while (done < 0 && errno == EINTR);
	if (done < 0 && errno == EAGAIN)
		return 0;
	if (done < 0) {
		node_fail(n, errno);
		return 0;
	}
	return (size_t)done;
}

static void send_queued(struct node *n)
{
	while (n->out.first && !n->error) {
		struct node_chunk *c = n->out.first;
		const size_t done = write_some(n, c->data + c->done, c->len - c->done);

		if (done == 0)
			break;
		c->done += done;
		(void)sd_event_source_set_time_relative(n->timer, (uint64_t)NODE_STALLED_US);
		if (c->done == c->len)
			queue_drop(&n->out);
	}
	ask_for_writing(n, n->out.first != NULL);
}

int node_write(struct node *n, const uint8_t *data, size_t len)
{
	int r;

	if (n->error)
		return -EPIPE;
	if (len == 0)
		return 0;
	r = queue_add(&n->out, data, len, NODE_QUEUE_MAX);
	if (r == 0)
		send_queued(n);
	return r;
}

/* ---- the loop ---- */

static int on_io(sd_event_source *source, int fd, uint32_t revents, void *user)
{
	struct node *n = user;
	const bool hung_up = revents & (EPOLLHUP | EPOLLERR);

	(void)source;
	(void)fd;
	if (revents & EPOLLOUT)
		send_queued(n);
	for (unsigned int i = 0; i < READS_MAX && !n->error; i++) {
		if (!read_one(n, hung_up))
			break;
	}
	return 0;
}

static int on_work(sd_event_source *source, void *user)
{
	struct node *n = user;

	(void)source;
	while (n->in.first && !n->held) {
		struct node_chunk *c = n->in.first;

		n->sink.frame(n->sink.user, n->channel, c->data, c->len);
		queue_drop(&n->in);
	}
	if (n->error && !n->in.first && !n->told) {
		n->told = true;
		n->sink.gone(n->sink.user, n->error);
	}
	return 0;
}

static int on_timer(sd_event_source *source, uint64_t usec, void *user)
{
	(void)source;
	(void)usec;
	node_fail(user, ETIMEDOUT);
	return 0;
}

void node_hold(struct node *n, bool hold)
{
	n->held = hold;
	if (!hold && n->in.first)
		(void)sd_event_source_set_enabled(n->work, SD_EVENT_ONESHOT);
}

int node_init(struct node *n, sd_event *event, int fd, const struct wire_sink *sink)
{
	int r = sd_event_add_defer(event, &n->work, on_work, n);

	n->fd = -1;
	if (r >= 0)
		r = sd_event_source_set_enabled(n->work, SD_EVENT_OFF);
	if (r >= 0)
		r = sd_event_add_time_relative(event, &n->timer, CLOCK_MONOTONIC,
					       (uint64_t)NODE_STALLED_US, 0, on_timer, n);
	if (r >= 0)
		r = sd_event_source_set_enabled(n->timer, SD_EVENT_OFF);
	if (r >= 0)
		r = sd_event_add_io(event, &n->io, fd, EPOLLIN, on_io, n);
	if (r < 0) {
		node_clear(n);
		return r;
	}
	n->sink = *sink;
	n->fd = fd;
	return 0;
}

void node_clear(struct node *n)
{
	n->io = sd_event_source_disable_unref(n->io);
	n->work = sd_event_source_disable_unref(n->work);
	n->timer = sd_event_source_disable_unref(n->timer);
	while (n->in.first)
		queue_drop(&n->in);
	while (n->out.first)
		queue_drop(&n->out);
	if (n->fd >= 0)
		(void)close(n->fd);
	n->fd = -1;
}
