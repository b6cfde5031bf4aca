#include "drivers/transport/usb_context.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/epoll.h>

#include "drivers/cleanup.h"

#define USEC_PER_SEC 1000000

struct watch {
	struct watch *next;
	sd_event_source *source;
	int fd;
};

static struct {
	libusb_context *libusb; /* NULL: there is none now */
	sd_event *event;
	struct watch *watches;
	size_t users;
	void (*on_failure)(void);
	int error; /* a descriptor could not be watched: whoever opens is told */
} context;

int usb_context_errno(int libusb_error)
{
	switch (libusb_error) {
	case LIBUSB_SUCCESS:
		return 0;
	case LIBUSB_ERROR_ACCESS:
		return -EACCES;
	case LIBUSB_ERROR_NO_DEVICE:
		return -ENODEV;
	case LIBUSB_ERROR_NOT_FOUND:
		return -ENOENT;
	case LIBUSB_ERROR_BUSY:
		return -EBUSY;
	case LIBUSB_ERROR_NO_MEM:
		return -ENOMEM;
	case LIBUSB_ERROR_NOT_SUPPORTED:
		return -ENOTSUP;
	default:
		return -EIO;
	}
}

/* An error switches the source off: sd-event does that. */
static int on_event(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
	struct timeval now = { 0 };
	int r;

	(void)source;
	(void)fd;
	(void)revents;
	(void)userdata;
	r = libusb_handle_events_timeout_completed(context.libusb, &now, NULL);
	if (r == LIBUSB_SUCCESS || r == LIBUSB_ERROR_INTERRUPTED)
		return 0; /* a signal: what is ready is ready still */
	context.on_failure();
	return usb_context_errno(r);
}

static uint32_t to_epoll(short events)
{
	return (events & POLLIN ? EPOLLIN : 0U) | (events & POLLOUT ? EPOLLOUT : 0U);
}

static void on_added(int fd, short events, void *user)
{
	struct watch *w = calloc(1, sizeof(*w));
	int r;

	(void)user;
	if (!w) {
		context.error = -ENOMEM;
		return;
	}
	r = sd_event_add_io(context.event, &w->source, fd, to_epoll(events), on_event, NULL);
	if (r < 0) {
		context.error = r;
		free(w);
		return;
	}
	w->fd = fd;
	w->next = context.watches;
	context.watches = w;
}

/* Unplugged, or closed: from here on the descriptor would be ready for ever. */
static void on_removed(int fd, void *user)
{
	struct watch **at = &context.watches;
	struct watch *w;

	(void)user;
	while (*at && (*at)->fd != fd)
		at = &(*at)->next;
	w = *at;
	if (!w)
		return;
	*at = w->next;
	(void)sd_event_source_disable_unref(w->source);
	free(w);
}

static int watch_all(void)
{
	const struct libusb_pollfd **fds;

	libusb_set_pollfd_notifiers(context.libusb, on_added, on_removed, NULL);
	fds = libusb_get_pollfds(context.libusb);
	if (!fds)
		return -ENOMEM;
	for (size_t i = 0; fds[i]; i++)
		on_added(fds[i]->fd, fds[i]->events, NULL);
	libusb_free_pollfds(fds);
	return context.error;
}

static void context_close(void)
{
	while (context.watches) /* while they are open */
		on_removed(context.watches->fd, NULL);
	if (context.libusb)
		libusb_exit(context.libusb);
	(void)sd_event_unref(context.event);
	context.libusb = NULL;
	context.event = NULL;
}

static int context_open(sd_event *event)
{
	int r;

	context.error = 0;
	context.event = sd_event_ref(event);
	/* for contexts to come */
	r = libusb_set_option(NULL, LIBUSB_OPTION_NO_DEVICE_DISCOVERY);
	if (r == LIBUSB_SUCCESS)
		r = libusb_init(&context.libusb);
	if (r != LIBUSB_SUCCESS)
		r = usb_context_errno(r);
	else if (!libusb_pollfds_handle_timeouts(context.libusb))
		r = -ENOTSUP;
	else
		r = watch_all();
	if (r < 0)
		context_close();
	return r;
}

int usb_context_ref(sd_event *event, void (*on_failure)(void), libusb_context **ret)
{
	int r = 0;

	if (context.users == 0)
		r = context_open(event);
	else if (event != context.event)
		r = -EBUSY;
	else
		r = context.error;
	if (r < 0)
		return r;
	context.users++;
	context.on_failure = on_failure;
	*ret = context.libusb;
	return 0;
}

void usb_context_unref(void)
{
	assert(context.users > 0);
	if (--context.users == 0)
		context_close();
}

void usb_context_handle(int64_t usec)
{
	/* libusb's timeval is two longs on every processor; ours is wider where a long is not */
	long limit[2] = { (long)(usec / USEC_PER_SEC), (long)(usec % USEC_PER_SEC) };

	if (context.libusb)
		(void)libusb_handle_events_timeout_completed(context.libusb,
							     (struct timeval *)(void *)limit, NULL);
}
