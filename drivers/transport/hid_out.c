#include "drivers/transport/hid_out.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/hidraw.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define PUT_MS     5000 /* as the kernel waits for a device */
#define CHUNK_COST 64   /* what a queued report counts beside its bytes */

struct chunk {
	struct chunk *next;
	enum hid_kind type;
	size_t len;
	uint8_t data[];
};

struct hid_out {
	/* never changed while the thread runs */
	int fd, wake; /* wake: there is an error to tell */
	hid_put put;
	pthread_t thread;

	pthread_mutex_t lock; /* holds what follows */
	pthread_cond_t changed;
	struct chunk *first, *last;
	size_t bytes;
	int error;        /* positive; nothing is sent any more */
	bool is_putting;  /* one is with the kernel */
	bool is_ending;   /* nobody writes any more */
	bool is_orphaned; /* the thread is to free it */

	/* the loop's alone */
	sd_event_source *source;
	hid_out_failed failed;
	void *user;
};

/* ---- the thread ---- */

/* Locked. NULL: it is over. */
static struct chunk *next_chunk(struct hid_out *o)
{
	struct chunk *c;

	while (!o->first && !o->is_ending && o->error == 0)
		(void)pthread_cond_wait(&o->changed, &o->lock);
	c = o->first;
	if (!c || o->error != 0)
		return NULL;
	o->first = c->next;
	if (!o->first)
		o->last = NULL;
	return c;
}

static void dispose(struct hid_out *o)
{
	while (o->first) {
		struct chunk *c = o->first;

		o->first = c->next;
		free(c);
	}
	if (o->fd >= 0)
		(void)close(o->fd);
	if (o->wake >= 0)
		(void)close(o->wake);
	(void)pthread_cond_destroy(&o->changed);
	(void)pthread_mutex_destroy(&o->lock);
	free(o);
}

static void put_all(struct hid_out *o)
{
	struct chunk *c;

	while ((c = next_chunk(o)) != NULL) {
		int r;

		o->is_putting = true;
		(void)pthread_mutex_unlock(&o->lock);
		r = o->put(o->fd, c->type, c->data, c->len);
		(void)pthread_mutex_lock(&o->lock);
		o->is_putting = false;
		o->bytes -= c->len + CHUNK_COST;
		free(c);
		if (r < 0) {
			o->error = -r;
			(void)eventfd_write(o->wake, 1);
		}
	}
}

static void *run(void *user)
{
	struct hid_out *o = user;
	bool is_orphaned;

	(void)pthread_mutex_lock(&o->lock);
	put_all(o);
	is_orphaned = o->is_orphaned;
	(void)pthread_mutex_unlock(&o->lock);
	if (is_orphaned)
		dispose(o);
	return NULL;
}

/* ---- the loop ---- */

static int on_wake(sd_event_source *source, int fd, uint32_t revents, void *user)
{
	struct hid_out *o = user;
	int error;

	(void)fd;
	(void)revents;
	(void)sd_event_source_set_enabled(source, SD_EVENT_OFF);
	(void)pthread_mutex_lock(&o->lock);
	error = o->error;
	(void)pthread_mutex_unlock(&o->lock);
	o->failed(o->user, error);
	return 0;
}

static int start(struct hid_out *o)
{
	sigset_t all, before;
	int r;

	(void)sigfillset(&all); /* signals are the loop's */
	(void)pthread_sigmask(SIG_SETMASK, &all, &before);
	r = pthread_create(&o->thread, NULL, run, o);
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	return -r;
}

static int prepare(struct hid_out *o, sd_event *event, int fd)
{
	int r;

	o->fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	if (o->fd < 0)
		return -errno;
	o->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (o->wake < 0)
		return -errno;
	r = sd_event_add_io(event, &o->source, o->wake, EPOLLIN, on_wake, o);
	return r < 0 ? r : start(o);
}

int hid_out_new(sd_event *event, int fd, hid_put put, hid_out_failed failed, void *user,
		struct hid_out **ret)
{
	struct hid_out *o = calloc(1, sizeof(*o));
	int r;

	if (!o)
		return -ENOMEM;
	o->fd = o->wake = -1;
	o->put = put;
	o->failed = failed;
	o->user = user;
	r = -pthread_mutex_init(&o->lock, NULL);
	if (r < 0) {
		free(o);
		return r;
	}
	r = -pthread_cond_init(&o->changed, NULL);
	if (r < 0) {
		(void)pthread_mutex_destroy(&o->lock);
		free(o);
		return r;
	}
	r = prepare(o, event, fd);
	if (r < 0) {
		o->source = sd_event_source_disable_unref(o->source);
		dispose(o);
		return r;
	}
	*ret = o;
	return 0;
}

static int enqueue(struct hid_out *o, struct chunk *c)
{
	if (o->error != 0)
		return -EPIPE;
	if (o->bytes + c->len + CHUNK_COST > HID_OUT_QUEUE_MAX)
		return -ENOBUFS;
	if (o->last)
		o->last->next = c;
	else
		o->first = c;
	o->last = c;
	o->bytes += c->len + CHUNK_COST;
	(void)pthread_cond_signal(&o->changed);
	return 0;
}

int hid_out_write(struct hid_out *o, enum hid_kind type, const uint8_t *data, size_t len)
{
	struct chunk *c;
	int r;

	assert(len > 0);
	if (len > HID_OUT_QUEUE_MAX)
		return -ENOBUFS;
	c = malloc(sizeof(*c) + len);
	if (!c)
		return -ENOMEM;
	c->next = NULL;
	c->type = type;
	c->len = len;
	memcpy(c->data, data, len);
	(void)pthread_mutex_lock(&o->lock);
	r = enqueue(o, c);
	(void)pthread_mutex_unlock(&o->lock);
	if (r < 0)
		free(c);
	return r;
}

void hid_out_free(struct hid_out *o)
{
	pthread_t thread;
	bool is_orphaned;

	if (!o)
		return;
	o->source = sd_event_source_disable_unref(o->source);
	(void)pthread_mutex_lock(&o->lock);
	thread = o->thread; /* afterwards the thread may have freed the rest */
	o->is_ending = true;
	o->is_orphaned = is_orphaned = o->is_putting || (o->first && o->error == 0);
	(void)pthread_cond_signal(&o->changed);
	(void)pthread_mutex_unlock(&o->lock);
	if (is_orphaned) {
		(void)pthread_detach(thread);
		return;
	}
	(void)pthread_join(thread, NULL);
	dispose(o);
}

/* ---- what the kernel is asked ---- */

static int put_output(int fd, const uint8_t *data, size_t len)
{
	struct pollfd p = { .fd = fd, .events = POLLOUT };
	ssize_t n;

	for (;;) {
		n = write(fd, data, len);
		if (n >= 0)
			return (size_t)n == len ? 0 : -EIO;
		if (errno == EINTR)
			continue;
		if (errno != EAGAIN)
			return -errno;
		if (poll(&p, 1, PUT_MS) == 0)
			return -ETIMEDOUT;
	}
}

int hid_out_put(int fd, enum hid_kind type, uint8_t *data, size_t len)
{
	int r;

	if (type == HID_OUTPUT)
		return put_output(fd, data, len);
	do {
		r = ioctl(fd, HIDIOCSFEATURE(len), data);
	} while (r < 0 && errno == EINTR);
	return r < 0 ? -errno : 0;
}
