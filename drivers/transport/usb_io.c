#include "drivers/transport/usb_io.h"

#include <assert.h>
#include <errno.h>
#include <linux/usbdevice_fs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>

#include "drivers/cleanup.h"
#include "drivers/transport/usb_context.h"

#define USEC_PER_MSEC INT64_C(1000)
#define USEC_PER_SEC  INT64_C(1000000)

#define OUT_TIMEOUT     5000 /* ms */
#define CONTROL_TIMEOUT 1000 /* ms */
#define GRACE           (USEC_PER_SEC / 2)
/* After a failure, before the pipe is tried again: a device that was pulled fails for about that
 * long until its hub has noticed. */
#define REST         (150 * USEC_PER_MSEC)
#define ACCURACY     USEC_PER_MSEC
#define REQUESTS_MAX 16

/* USB 2.0, 9.4 */
#define TO_ENDPOINT   0x02
#define CLEAR_FEATURE 0x01
#define SET_FEATURE   0x03
#define ENDPOINT_HALT 0

struct out {
	struct out *next;
	size_t len;
	bool end;
	uint8_t data[];
};

enum purpose {
	FOR_THE_USER,
	TO_HALT,
	TO_FREE
};

struct control {
	struct usb_io_request request;
	enum purpose purpose;
	enum usb_io_pipe pipe;
};

struct transfer {
	struct usb_io *io;
	struct libusb_transfer *libusb;
	bool in_flight;
	bool ended; /* came back, and nobody has looked at it yet */
};

struct pipe {
	struct transfer transfer;
	struct usb_endpoint_choice endpoint;
	uint8_t packet[USB_PACKET_MAX]; /* of an IN pipe */
	bool wanted;                    /* an IN pipe is to be read */
	bool halted;                    /* on the way to be freed */
	bool resting;                   /* is to be freed after a while */
	unsigned int faults;            /* since the last good transfer */
};

struct usb_io {
	struct usb_io *next; /* of all */
	int fd;
	uint8_t interface;
	bool claimed;
	libusb_device_handle *handle;
	struct usb_io_handlers handlers;
	struct pipe pipes[USB_IO_PIPES];
	struct out *first, **last;
	size_t waiting; /* bytes */
	struct control requests[REQUESTS_MAX];
	size_t n_requests;
	struct transfer control;
	uint8_t setup[LIBUSB_CONTROL_SETUP_SIZE + USB_IO_ANSWER_MAX];
	sd_event_source *turn, *rest, *grace;
	int64_t grace_ends;
	int error; /* positive: the device is given up */
	bool told, freed, cancelled;
	struct usb_io_counts counts;
};

static struct usb_io *all; /* open, or on their way to be closed */

static int64_t now(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * USEC_PER_SEC + t.tv_nsec / 1000;
}

static void wake(struct usb_io *io)
{
	(void)sd_event_source_set_enabled(io->turn, SD_EVENT_ONESHOT);
}

static void give_up(struct usb_io *io, int error)
{
	if (io->error == 0)
		io->error = error;
	wake(io);
}

static void on_failure(void)
{
	for (struct usb_io *io = all; io; io = io->next)
		give_up(io, EIO);
}

static bool is_over(const struct usb_io *io)
{
	return io->error != 0 || io->freed;
}

/* ---- transfers ---- */

static void LIBUSB_CALL on_transfer(struct libusb_transfer *libusb)
{
	struct transfer *t = libusb->user_data;

	t->in_flight = false;
	t->ended = true;
	wake(t->io);
}

static void submit(struct transfer *t)
{
	const int r = libusb_submit_transfer(t->libusb);

	if (r == LIBUSB_SUCCESS)
		t->in_flight = true;
	else
		give_up(t->io, -usb_context_errno(r));
}

static void cancel(struct transfer *t)
{
	if (t->in_flight)
		(void)libusb_cancel_transfer(t->libusb); /* fails if it is about to come back */
}

static bool is_idle(const struct pipe *p)
{
	return !p->transfer.in_flight && !p->transfer.ended && !p->halted;
}

static void start_in(struct usb_io *io, struct pipe *p)
{
	struct libusb_transfer *t = p->transfer.libusb;

	if (!p->wanted || !is_idle(p) || is_over(io))
		return;
	libusb_fill_bulk_transfer(t, io->handle, p->endpoint.address, p->packet, p->endpoint.packet,
				  on_transfer, &p->transfer, 0);
	if (p->endpoint.interrupt || p == &io->pipes[USB_IO_INTERRUPT_IN])
		t->type = LIBUSB_TRANSFER_TYPE_INTERRUPT;
	submit(&p->transfer);
}

static void start_out(struct usb_io *io)
{
	struct pipe *p = &io->pipes[USB_IO_BULK_OUT];
	struct libusb_transfer *t = p->transfer.libusb;
	struct out *o = io->first;

	if (!o || !is_idle(p) || io->error != 0 || io->cancelled)
		return;
	libusb_fill_bulk_transfer(t, io->handle, p->endpoint.address, o->data, (int)o->len,
				  on_transfer, &p->transfer, OUT_TIMEOUT);
	if (p->endpoint.interrupt)
		t->type = LIBUSB_TRANSFER_TYPE_INTERRUPT;
	t->flags = o->end && o->len % p->endpoint.packet == 0 ? LIBUSB_TRANSFER_ADD_ZERO_PACKET : 0;
	submit(&p->transfer);
}

static void start_control(struct usb_io *io)
{
	const struct usb_io_request *r = &io->requests[0].request;
	struct transfer *t = &io->control;

	if (io->n_requests == 0 || t->in_flight || t->ended || is_over(io))
		return;
	libusb_fill_control_setup(io->setup, r->type, r->request, r->value, r->index, r->length);
	libusb_fill_control_transfer(t->libusb, io->handle, io->setup, on_transfer, t,
				     CONTROL_TIMEOUT);
	submit(t);
}

static void start_all(struct usb_io *io)
{
	start_control(io);
	start_in(io, &io->pipes[USB_IO_BULK_IN]);
	start_in(io, &io->pipes[USB_IO_INTERRUPT_IN]);
	start_out(io);
}

static void drop_first(struct usb_io *io)
{
	struct out *o = io->first;

	io->first = o->next;
	if (!io->first)
		io->last = &io->first;
	io->waiting -= o->len;
	free(o);
}

/* ---- halts ---- */

static int add_request(struct usb_io *io, const struct control *c)
{
	if (io->error != 0)
		return -EPIPE;
	if (io->n_requests == REQUESTS_MAX)
		return -ENOBUFS;
	io->requests[io->n_requests++] = *c;
	start_control(io);
	return 0;
}

static void ask_halt(struct usb_io *io, enum usb_io_pipe pipe, enum purpose purpose)
{
	const struct control c = {
		.request = { .type = TO_ENDPOINT,
			     .request = purpose == TO_HALT ? SET_FEATURE : CLEAR_FEATURE,
			     .value = ENDPOINT_HALT,
			     .index = io->pipes[pipe].endpoint.address },
		.purpose = purpose,
		.pipe = pipe,
	};

	if (add_request(io, &c) < 0)
		give_up(io, EIO);
}

/* Not at once after a failure: see REST. */
static void mend(struct usb_io *io, enum usb_io_pipe pipe, int error)
{
	struct pipe *p = &io->pipes[pipe];

	if (++p->faults > USB_IO_FAULTS_MAX) {
		give_up(io, error);
		return;
	}
	p->halted = true;
	if (error == EPROTO) {
		ask_halt(io, pipe, TO_FREE);
		return;
	}
	p->resting = true;
	(void)sd_event_source_set_time_relative(io->rest, (uint64_t)REST);
	(void)sd_event_source_set_enabled(io->rest, SD_EVENT_ONESHOT);
}

static int on_rest(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct usb_io *io = userdata;

	(void)source;
	(void)usec;
	for (enum usb_io_pipe i = 0; i < USB_IO_PIPES; i++) {
		if (io->pipes[i].resting && !is_over(io))
			ask_halt(io, i, TO_FREE);
		io->pipes[i].resting = false;
	}
	return 0;
}

/*
 * The device has freed its side. The host's own (data toggle, and the queue of the controller) is
 * put back by usbfs without asking the device; libusb_clear_halt() would do both, but wait for
 * it.
 */
static void on_freed(struct usb_io *io, enum usb_io_pipe pipe)
{
	struct pipe *p = &io->pipes[pipe];
	unsigned int endpoint = p->endpoint.address;

	(void)ioctl(io->fd, USBDEVFS_RESETEP, &endpoint);
	p->halted = false;
	if (!is_over(io))
		io->handlers.halted(io->handlers.user, pipe);
}

/* ---- what came back ---- */

static int control_errno(enum libusb_transfer_status status)
{
	switch (status) {
	case LIBUSB_TRANSFER_COMPLETED:
		return 0;
	case LIBUSB_TRANSFER_STALL:
		return EPIPE;
	case LIBUSB_TRANSFER_TIMED_OUT:
		return ETIMEDOUT;
	case LIBUSB_TRANSFER_NO_DEVICE:
		return ENODEV;
	case LIBUSB_TRANSFER_CANCELLED:
	case LIBUSB_TRANSFER_OVERFLOW:
	case LIBUSB_TRANSFER_ERROR:
	default:
		return EIO;
	}
}

static void finish_request(struct usb_io *io, const struct control *c, int error)
{
	const uint8_t *answer = libusb_control_transfer_get_data(io->control.libusb);
	const int n = io->control.libusb->actual_length;

	switch (c->purpose) {
	case FOR_THE_USER:
		if (c->request.done)
			c->request.done(io->handlers.user, error, answer,
					error == 0 && n > 0 ? (size_t)n : 0);
		break;
	case TO_HALT: /* what it says to that does not matter: it is to be free */
		break;
	case TO_FREE:
		if (error == 0)
			on_freed(io, c->pipe);
		else
			mend(io, c->pipe, EIO);
		break;
	}
}

static void finish_control(struct usb_io *io)
{
	const struct control c = io->requests[0];
	const int error = control_errno(io->control.libusb->status);

	io->control.ended = false;
	io->n_requests--;
	memmove(io->requests, io->requests + 1, io->n_requests * sizeof(io->requests[0]));
	if (error == ENODEV)
		give_up(io, ENODEV);
	else if (!is_over(io))
		finish_request(io, &c, error);
}

/* 0: the transfer is what it was, or ended with some of it; else it was a fault, and is seen to */
static int judge(struct usb_io *io, enum usb_io_pipe pipe)
{
	switch (io->pipes[pipe].transfer.libusb->status) {
	case LIBUSB_TRANSFER_COMPLETED:
	case LIBUSB_TRANSFER_CANCELLED:
	case LIBUSB_TRANSFER_TIMED_OUT:
		return 0;
	case LIBUSB_TRANSFER_NO_DEVICE:
		give_up(io, ENODEV);
		return 0;
	case LIBUSB_TRANSFER_STALL:
		io->counts.stalls++;
		mend(io, pipe, EPROTO);
		break;
	case LIBUSB_TRANSFER_OVERFLOW:
		io->counts.babbles++;
		mend(io, pipe, EPROTO);
		break;
	case LIBUSB_TRANSFER_ERROR:
	default:
		io->counts.failures++;
		mend(io, pipe, EIO);
		break;
	}
	return -EIO;
}

static void finish_in(struct usb_io *io, enum usb_io_pipe pipe)
{
	struct pipe *p = &io->pipes[pipe];
	const struct libusb_transfer *t = p->transfer.libusb;

	p->transfer.ended = false;
	if (io->freed || io->told || judge(io, pipe) < 0)
		return;
	/* also of one that was cut short: what came, came */
	if (t->status != LIBUSB_TRANSFER_COMPLETED && t->actual_length <= 0)
		return;
	if (t->status == LIBUSB_TRANSFER_COMPLETED)
		p->faults = 0;
	io->counts.packets_in++;
	p->wanted = false;
	io->handlers.in(io->handlers.user, pipe, p->packet, (size_t)t->actual_length);
}

static void finish_out(struct usb_io *io)
{
	struct pipe *p = &io->pipes[USB_IO_BULK_OUT];
	const struct libusb_transfer *t = p->transfer.libusb;

	p->transfer.ended = false;
	if (io->error != 0 || io->cancelled || judge(io, USB_IO_BULK_OUT) < 0)
		return;
	if (t->status == LIBUSB_TRANSFER_TIMED_OUT) {
		give_up(io, ETIMEDOUT);
	} else if (t->status == LIBUSB_TRANSFER_COMPLETED &&
		   (size_t)t->actual_length == io->first->len) {
		p->faults = 0;
		io->counts.transfers_out++;
		drop_first(io);
	} else {
		give_up(io, EIO);
	}
}

/* ---- the end ---- */

static bool is_in_flight(const struct usb_io *io)
{
	bool any = io->control.in_flight;

	for (size_t i = 0; i < USB_IO_PIPES; i++)
		any |= io->pipes[i].transfer.in_flight;
	return any;
}

static void free_all(struct usb_io *io)
{
	while (io->first)
		drop_first(io);
	if (io->claimed)
		(void)libusb_release_interface(io->handle, io->interface);
	if (io->handle)
		libusb_close(io->handle);
	for (size_t i = 0; i < USB_IO_PIPES; i++)
		libusb_free_transfer(io->pipes[i].transfer.libusb);
	libusb_free_transfer(io->control.libusb);
	(void)sd_event_source_disable_unref(io->turn);
	(void)sd_event_source_disable_unref(io->rest);
	(void)sd_event_source_disable_unref(io->grace);
	free(io);
}

static void cancel_all(struct usb_io *io)
{
	io->cancelled = true;
	for (size_t i = 0; i < USB_IO_PIPES; i++)
		cancel(&io->pipes[i].transfer);
	cancel(&io->control);
}

static void end(struct usb_io *io)
{
	struct usb_io **at = &all;
	const int fd = io->fd;

	if (!io->cancelled) {
		if (io->first && io->error == 0 && now() < io->grace_ends)
			return;
		cancel_all(io);
	}
	if (is_in_flight(io))
		return;
	while (*at != io)
		at = &(*at)->next;
	*at = io->next;
	free_all(io);
	(void)close(fd);
	usb_context_unref();
}

/* ---- the turn ---- */

static void work(struct usb_io *io)
{
	if (io->pipes[USB_IO_BULK_IN].transfer.ended)
		finish_in(io, USB_IO_BULK_IN);
	if (io->pipes[USB_IO_INTERRUPT_IN].transfer.ended)
		finish_in(io, USB_IO_INTERRUPT_IN);
	if (io->pipes[USB_IO_BULK_OUT].transfer.ended)
		finish_out(io);
	if (io->control.ended)
		finish_control(io);
	start_all(io);
	if (io->error == 0 || io->told || io->freed)
		return;
	io->told = true;
	io->handlers.gone(io->handlers.user, io->error);
}

static void take_turn(struct usb_io *io)
{
	work(io);
	if (io->freed)
		end(io);
}

static int on_turn(sd_event_source *source, void *userdata)
{
	(void)source;
	take_turn(userdata);
	return 0;
}

static int on_grace(sd_event_source *source, uint64_t usec, void *userdata)
{
	(void)source;
	(void)usec;
	wake(userdata);
	return 0;
}

/* ---- the caller's side ---- */

static int make_sources(struct usb_io *io, sd_event *event)
{
	int r = sd_event_add_defer(event, &io->turn, on_turn, io);

	if (r >= 0)
		r = sd_event_source_set_enabled(io->turn, SD_EVENT_OFF);
	if (r >= 0)
		r = sd_event_add_time_relative(event, &io->rest, CLOCK_MONOTONIC, 0, ACCURACY,
					       on_rest, io);
	if (r >= 0)
		r = sd_event_source_set_enabled(io->rest, SD_EVENT_OFF);
	if (r >= 0)
		r = sd_event_add_time_relative(event, &io->grace, CLOCK_MONOTONIC, 0, ACCURACY,
					       on_grace, io);
	if (r >= 0)
		r = sd_event_source_set_enabled(io->grace, SD_EVENT_OFF);
	return r;
}

static int make_transfer(struct usb_io *io, struct transfer *t)
{
	t->io = io;
	t->libusb = libusb_alloc_transfer(0);
	return t->libusb ? 0 : -ENOMEM;
}

static int make_pipes(struct usb_io *io, const struct usb_interface_choice *choice)
{
	int r = make_transfer(io, &io->control);

	io->pipes[USB_IO_BULK_IN].endpoint = choice->bulk_in;
	io->pipes[USB_IO_INTERRUPT_IN].endpoint = choice->interrupt_in;
	io->pipes[USB_IO_BULK_OUT].endpoint = choice->bulk_out;
	for (size_t i = 0; i < USB_IO_PIPES && r == 0; i++)
		r = make_transfer(io, &io->pipes[i].transfer);
	return r;
}

static int claim(struct usb_io *io, libusb_context *context)
{
	int r = libusb_wrap_sys_device(context, (intptr_t)io->fd, &io->handle);

	if (r == LIBUSB_SUCCESS) {
		(void)libusb_set_auto_detach_kernel_driver(io->handle, 1); /* Linux has it */
		r = libusb_claim_interface(io->handle, io->interface);
	}
	if (r != LIBUSB_SUCCESS)
		return usb_context_errno(r);
	io->claimed = true;
	return 0;
}

static int prepare(struct usb_io *io, sd_event *event, libusb_context *context,
		   const struct usb_interface_choice *choice)
{
	int r = make_sources(io, event);

	if (r >= 0)
		r = make_pipes(io, choice);
	if (r >= 0)
		r = claim(io, context);
	return r;
}

int usb_io_open(sd_event *event, int fd, const struct usb_interface_choice *choice,
		const struct usb_io_handlers *handlers, struct usb_io **ret)
{
	libusb_context *context;
	struct usb_io *io;
	int r;

	assert(choice->bulk_in.address != 0 && choice->bulk_out.address != 0);
	assert(choice->bulk_in.packet <= USB_PACKET_MAX);
	assert(choice->interrupt_in.packet <= USB_PACKET_MAX);
	r = usb_context_ref(event, on_failure, &context);
	if (r < 0)
		return r;
	io = calloc(1, sizeof(*io));
	if (!io) {
		usb_context_unref();
		return -ENOMEM;
	}
	io->fd = fd;
	io->interface = choice->interface;
	io->handlers = *handlers;
	io->last = &io->first;
	r = prepare(io, event, context, choice);
	if (r < 0) {
		free_all(io);
		usb_context_unref();
		return r;
	}
	io->next = all;
	all = io;
	*ret = io;
	return 0;
}

void usb_io_read(struct usb_io *io, enum usb_io_pipe pipe)
{
	assert(pipe != USB_IO_BULK_OUT && io->pipes[pipe].endpoint.address != 0);
	io->pipes[pipe].wanted = true;
	start_in(io, &io->pipes[pipe]);
}

int usb_io_write(struct usb_io *io, const uint8_t *data, size_t len, bool end_of_data)
{
	struct out *o;

	assert(!io->freed && len > 0);
	if (io->error != 0)
		return -EPIPE;
	if (len > USB_IO_QUEUE_MAX - io->waiting)
		return -ENOBUFS;
	o = malloc(sizeof(*o) + len);
	if (!o)
		return -ENOBUFS;
	*o = (struct out){ .len = len, .end = end_of_data };
	memcpy(o->data, data, len);
	*io->last = o;
	io->last = &o->next;
	io->waiting += len;
	start_out(io);
	return 0;
}

void usb_io_halt(struct usb_io *io, enum usb_io_pipe pipe)
{
	struct pipe *p = &io->pipes[pipe];

	if (p->halted || is_over(io))
		return;
	if (++p->faults > USB_IO_FAULTS_MAX) {
		give_up(io, EPROTO);
		return;
	}
	p->halted = true;
	cancel(&p->transfer);
	ask_halt(io, pipe, TO_HALT);
	ask_halt(io, pipe, TO_FREE);
}

int usb_io_request(struct usb_io *io, const struct usb_io_request *request)
{
	const struct control c = { .request = *request, .purpose = FOR_THE_USER };

	assert(!io->freed && request->length <= USB_IO_ANSWER_MAX);
	assert(request->length == 0 || request->type & LIBUSB_ENDPOINT_IN);
	return add_request(io, &c);
}

void usb_io_free(struct usb_io *io)
{
	if (!io)
		return;
	assert(!io->freed);
	io->freed = true;
	io->grace_ends = now() + GRACE;
	(void)sd_event_source_set_time_relative(io->grace, (uint64_t)GRACE);
	(void)sd_event_source_set_enabled(io->grace, SD_EVENT_ONESHOT);
	cancel(&io->pipes[USB_IO_BULK_IN].transfer);
	cancel(&io->pipes[USB_IO_INTERRUPT_IN].transfer);
	wake(io);
}

struct usb_io_counts usb_io_counts(const struct usb_io *io)
{
	return io->counts;
}

size_t usb_io_open_count(void)
{
	size_t n = 0;

	for (const struct usb_io *io = all; io; io = io->next)
		n++;
	return n;
}

int usb_io_settle(int64_t usec)
{
	const int64_t until = now() + usec;
	struct usb_io *next;

	for (;;) {
		for (struct usb_io *io = all; io; io = next) {
			next = io->next;
			if (io->freed)
				take_turn(io);
		}
		if (!all)
			return 0;
		if (now() >= until)
			return -EBUSY;
		usb_context_handle(20 * USEC_PER_MSEC);
	}
}
