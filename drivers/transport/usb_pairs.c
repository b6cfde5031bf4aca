#include "drivers/transport/usb_pairs.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "drivers/driver.h"
#include "drivers/transport/usb_io.h"

struct pairs;

struct part {
	struct pairs *pairs;
	struct usb_io *io;
	uint16_t channel;
	const uint8_t *packet; /* one that was held back */
	size_t len;
	bool waits;
};

struct pairs {
	struct wire wire; /* first */
	struct wire_sink sink;
	struct part parts[USB_PAIRS_MAX];
	size_t n;
	bool held, told, freed;
	int over;          /* positive: the end, to be told when all that came was handed on */
	unsigned int busy; /* inside a callback of ours: freed at its end */
	sd_event_source *turn;
};

static struct pairs *pairs_of(struct wire *w)
{
	return (struct pairs *)(void *)w;
}

static void destroy(struct pairs *p)
{
	for (size_t i = 0; i < p->n; i++)
		usb_io_free(p->parts[i].io);
	(void)sd_event_source_disable_unref(p->turn);
	free(p);
}

static void enter(struct pairs *p)
{
	p->busy++;
}

/* the last thing a callback does */
static void leave(struct pairs *p)
{
	if (--p->busy == 0 && p->freed)
		destroy(p);
}

/* ---- in ---- */

static bool is_stopped(const struct pairs *p)
{
	return p->held || p->freed || p->told;
}

/* Hands on what waits, and asks for the next packet. */
static void pump(struct part *t)
{
	struct pairs *p = t->pairs;

	if (is_stopped(p))
		return;
	if (t->waits) {
		t->waits = false;
		if (t->len > 0)
			p->sink.frame(p->sink.user, t->channel, t->packet, t->len);
	}
	if (!is_stopped(p) && !t->waits && p->over == 0)
		usb_io_read(t->io, USB_IO_BULK_IN);
}

static void tell_if_over(struct pairs *p)
{
	if (p->over == 0 || p->told || p->freed)
		return;
	for (size_t i = 0; i < p->n; i++)
		if (p->parts[i].waits)
			return;
	p->told = true;
	p->sink.gone(p->sink.user, p->over);
}

static void on_in(void *user, enum usb_io_pipe pipe, const uint8_t *data, size_t len)
{
	struct part *t = user;

	(void)pipe;
	enter(t->pairs);
	t->packet = data;
	t->len = len;
	t->waits = true;
	pump(t);
	leave(t->pairs);
}

static void on_halted(void *user, enum usb_io_pipe pipe)
{
	struct part *t = user;

	enter(t->pairs);
	if (pipe == USB_IO_BULK_IN)
		pump(t);
	leave(t->pairs);
}

static void on_gone(void *user, int error)
{
	struct part *t = user;
	struct pairs *p = t->pairs;

	enter(p);
	if (p->over == 0)
		p->over = error;
	tell_if_over(p);
	leave(p);
}

static int on_turn(sd_event_source *source, void *userdata)
{
	struct pairs *p = userdata;

	(void)source;
	enter(p);
	for (size_t i = 0; i < p->n; i++)
		pump(&p->parts[i]);
	tell_if_over(p);
	leave(p);
	return 0;
}

/* ---- the sink's side ---- */

static void pairs_hold(struct wire *w, bool hold)
{
	struct pairs *p = pairs_of(w);

	if (p->held == hold)
		return;
	p->held = hold;
	(void)sd_event_source_set_enabled(p->turn, hold ? SD_EVENT_OFF : SD_EVENT_ONESHOT);
}

static int pairs_write(struct wire *w, uint16_t channel, const uint8_t *data, size_t len)
{
	struct pairs *p = pairs_of(w);

	for (size_t i = 0; i < p->n; i++) {
		if (p->parts[i].channel != channel)
			continue;
		if (channel == DRV_WIRE_REPORT && (len == 0 || data[0] != 0))
			return -EMSGSIZE;
		if (channel == DRV_WIRE_REPORT) {
			data++;
			len--;
		}
		if (len == 0 || len > WIRE_FRAME_MAX)
			return -EMSGSIZE;
		return p->over != 0 ? -EPIPE : usb_io_write(p->parts[i].io, data, len, false);
	}
	return -ENOTSUP;
}

static void pairs_free(struct wire *w)
{
	struct pairs *p = pairs_of(w);

	p->freed = true;
	if (p->busy == 0)
		destroy(p);
}

static const struct wire_ops OPS = { .write = pairs_write, .hold = pairs_hold, .free = pairs_free };

/* ---- the beginning ---- */

static int open_part(struct pairs *p, sd_event *event, const struct usb_pairs_part *from)
{
	struct part *t = &p->parts[p->n];
	const struct usb_io_handlers handlers = {
		.in = on_in, .halted = on_halted, .gone = on_gone, .user = t
	};
	int r;

	t->pairs = p;
	t->channel = from->channel;
	r = usb_io_open(event, from->fd, &from->choice, &handlers, &t->io);
	if (r >= 0)
		p->n++;
	return r;
}

static void close_from(const struct usb_pairs_part *parts, size_t first, size_t n)
{
	for (size_t i = first; i < n; i++)
		(void)close(parts[i].fd);
}

int usb_pairs_open(sd_event *event, const struct usb_pairs_part *parts, size_t n,
		   const struct wire_sink *sink, struct wire **ret)
{
	struct pairs *p = calloc(1, sizeof(*p));
	int r;

	assert(n > 0 && n <= USB_PAIRS_MAX);
	if (!p) {
		close_from(parts, 0, n);
		return -ENOMEM;
	}
	p->wire.ops = &OPS;
	p->sink = *sink;
	r = sd_event_add_defer(event, &p->turn, on_turn, p); /* the first reads are asked there */
	for (size_t i = 0; i < n && r >= 0; i++)
		r = open_part(p, event, &parts[i]);
	if (r < 0) {
		close_from(parts, p->n, n);
		destroy(p);
		return r;
	}
	*ret = &p->wire;
	return 0;
}
