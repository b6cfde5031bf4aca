#include "drivers/transport/phdc.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "drivers/driver.h"
#include "drivers/transport/usb_io.h"
#include "protocols/phdc/stream.h"

/* An APDU is sent in one go; one that stops in its middle is not waited for any longer than any
 * time-out of the protocol. */
#define STALE_USEC (10 * UINT64_C(1000000))
#define ACCURACY   UINT64_C(100000)

/* USB 2.0, 9.4.5: of the device. Every device has it; some meters begin to speak only after it. */
#define DEVICE_STATUS_TYPE 0x80
#define CLASS_SET_TYPE     0x21 /* class request to an interface */
#define STATUS_SIZE        2

#define PIPES_IN 2 /* enum usb_io_pipe begins with them */

struct in_pipe {
	struct phdc_stream *stream; /* NULL: not used, or frames are packets */
	const uint8_t *packet;      /* one that was held back, in place of a stream */
	size_t len;
	bool packet_waits;
	bool reads;     /* a packet was asked for */
	bool lost_step; /* its endpoint is being halted and freed */
};

struct phdc {
	struct wire wire;
	struct wire_sink sink;
	struct usb_io *io; /* NULL: over, or freed */
	struct usb_interface_choice choice;
	struct in_pipe in[PIPES_IN];
	uint16_t channel;
	bool started;            /* reading may begin */
	bool preamble;           /* the device was told to */
	unsigned int steps_lost; /* since the last APDU */
	bool held;
	int over; /* positive: the end, to be told when all that came has been handed on */
	bool told, freed;
	unsigned int busy; /* inside a callback of ours: freed at its end */
	sd_event_source *turn, *stale;
};

_Static_assert(PHDC_APDU_MAX <= WIRE_FRAME_MAX, "an APDU is a frame");
_Static_assert((int)USB_IO_BULK_IN < PIPES_IN && (int)USB_IO_INTERRUPT_IN < PIPES_IN,
	       "IN pipes come first");

static struct phdc *phdc_of(struct wire *w)
{
	return (struct phdc *)w; /* its first member */
}

static void destroy(struct phdc *p)
{
	usb_io_free(p->io);
	for (size_t i = 0; i < PIPES_IN; i++)
		free(p->in[i].stream);
	(void)sd_event_source_disable_unref(p->turn);
	(void)sd_event_source_disable_unref(p->stale);
	free(p);
}

static void enter(struct phdc *p)
{
	p->busy++;
}

/* the last thing a callback does */
static void leave(struct phdc *p)
{
	if (--p->busy == 0 && p->freed)
		destroy(p);
}

static bool has_waiting(const struct phdc *p)
{
	for (size_t i = 0; i < PIPES_IN; i++) {
		const struct in_pipe *in = &p->in[i];

		if (in->packet_waits || (in->stream && phdc_stream_is_pending(in->stream)))
			return true;
	}
	return false;
}

static void tell_if_over(struct phdc *p)
{
	if (p->over == 0 || p->told || p->freed || has_waiting(p))
		return;
	p->told = true;
	p->sink.gone(p->sink.user, p->over);
}

/* Nothing more is read or sent; what was read may still be waiting. */
static void end(struct phdc *p, int error)
{
	if (p->over == 0)
		p->over = error;
	tell_if_over(p);
}

/* ---- in ---- */

static void watch_partial(struct phdc *p)
{
	bool partial = false;

	for (size_t i = 0; i < PIPES_IN; i++)
		partial |= p->in[i].stream && phdc_stream_is_partial(p->in[i].stream);
	if (partial)
		(void)sd_event_source_set_time_relative(p->stale, STALE_USEC);
	(void)sd_event_source_set_enabled(p->stale, partial ? SD_EVENT_ONESHOT : SD_EVENT_OFF);
}

static int on_stale(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct phdc *p = userdata;

	(void)source;
	(void)usec;
	if (p->held) {
		watch_partial(p); /* it is we who do not read */
		return 0;
	}
	enter(p);
	end(p, EPROTO);
	leave(p);
	return 0;
}

/* The answer to a bad preamble: both sides forget what was begun. */
static void lose_step(struct phdc *p, enum usb_io_pipe pipe)
{
	if (++p->steps_lost > USB_IO_FAULTS_MAX) {
		end(p, EPROTO);
		return;
	}
	phdc_stream_reset(p->in[pipe].stream);
	p->in[pipe].lost_step = true;
	usb_io_halt(p->io, pipe);
}

static void read_on(struct phdc *p, enum usb_io_pipe pipe)
{
	if (p->over != 0 || p->freed)
		return;
	p->in[pipe].reads = true;
	usb_io_read(p->io, pipe);
}

static void hand_packet(struct phdc *p, struct in_pipe *in)
{
	in->packet_waits = false;
	if (in->len > 0)
		p->sink.frame(p->sink.user, p->channel, in->packet, in->len);
}

/* One frame of what waits, or nothing if nothing is whole; false: there is no more. */
static bool hand_one(struct phdc *p, enum usb_io_pipe pipe)
{
	struct in_pipe *in = &p->in[pipe];
	const uint8_t *apdu;
	size_t len;
	int r;

	if (!in->stream) {
		if (!in->packet_waits)
			return false;
		hand_packet(p, in);
		return true;
	}
	r = phdc_stream_pull(in->stream, &apdu, &len);
	if (r < 0)
		end(p, EPROTO);
	if (r <= 0)
		return false;
	p->steps_lost = 0;
	p->sink.frame(p->sink.user, p->channel, apdu, len);
	return true;
}

/* Hands on what there is; then asks for the next packet, unless one was asked for. */
static void pump(struct phdc *p, enum usb_io_pipe pipe)
{
	while (!p->held && !p->freed && !p->told)
		if (!hand_one(p, pipe))
			break;
	if (p->held || p->freed || p->told)
		return;
	if (!p->in[pipe].reads)
		read_on(p, pipe);
	watch_partial(p);
}

static void take_packet(struct phdc *p, enum usb_io_pipe pipe, const uint8_t *data, size_t len)
{
	struct in_pipe *in = &p->in[pipe];

	in->reads = false;
	if (in->lost_step)
		return; /* of before the halt; it is read again when it is free */
	if (!in->stream) {
		in->packet = data;
		in->len = len;
		in->packet_waits = true;
	} else if (phdc_stream_push(in->stream, data, len) < 0) {
		lose_step(p, pipe);
		return;
	}
	pump(p, pipe);
}

static void on_in(void *user, enum usb_io_pipe pipe, const uint8_t *data, size_t len)
{
	struct phdc *p = user;

	enter(p);
	take_packet(p, pipe, data, len);
	leave(p);
}

/*
 * A device that begins anew after a halt and one that goes on where it was look the same; bytes of
 * before and after are not put together, since they could make an APDU that nobody sent.
 */
static void on_halted(void *user, enum usb_io_pipe pipe)
{
	struct phdc *p = user;

	if (pipe >= PIPES_IN)
		return;
	if (p->in[pipe].stream)
		phdc_stream_reset(p->in[pipe].stream);
	p->in[pipe].lost_step = false;
	watch_partial(p);
	if (!p->in[pipe].reads && !p->held)
		read_on(p, pipe);
}

static void on_gone(void *user, int error)
{
	struct phdc *p = user;

	enter(p);
	end(p, error);
	leave(p);
}

/* ---- the sink's side ---- */

static void start_reading(struct phdc *p)
{
	if (!p->started)
		return;
	for (enum usb_io_pipe i = 0; i < PIPES_IN; i++)
		if (i == USB_IO_BULK_IN || p->in[i].stream)
			pump(p, i);
}

/* after a hold */
static int on_turn(sd_event_source *source, void *userdata)
{
	struct phdc *p = userdata;

	(void)source;
	enter(p);
	start_reading(p);
	tell_if_over(p);
	leave(p);
	return 0;
}

static void phdc_hold(struct wire *w, bool hold)
{
	struct phdc *p = phdc_of(w);

	if (p->held == hold)
		return;
	p->held = hold;
	(void)sd_event_source_set_enabled(p->turn, hold ? SD_EVENT_OFF : SD_EVENT_ONESHOT);
}

static uint8_t best_quality(uint8_t offered)
{
	uint8_t bit = PHDC_VERY_HIGH_BEST;

	while (bit > PHDC_MEDIUM_GOOD && !(offered & bit))
		bit >>= 1;
	return bit;
}

static int write_preamble(struct phdc *p)
{
	uint8_t bytes[PHDC_PREAMBLE_SIZE];
	struct writer w = writer_of(bytes, sizeof(bytes));
	const struct phdc_preamble preamble = { .transfers = 1,
						.qos = best_quality(p->choice.bulk_out.qos) };
	const int r = phdc_preamble_encode(&preamble, &w);

	assert(r == 0);
	(void)r;
	return usb_io_write(p->io, bytes, w.len, true);
}

static int phdc_write(struct wire *w, uint16_t channel, const uint8_t *data, size_t len)
{
	struct phdc *p = phdc_of(w);
	int r = 0;

	if (channel != p->channel)
		return -ENOTSUP;
	if (len == 0 || len > WIRE_FRAME_MAX)
		return -EMSGSIZE;
	if (p->over != 0)
		return -EPIPE;
	if (p->preamble)
		r = write_preamble(p);
	if (r < 0)
		return r;
	r = usb_io_write(p->io, data, len, p->channel == DRV_WIRE_APDU);
	if (r < 0 && p->preamble) {
		p->over = EIO; /* a preamble without its data */
		(void)sd_event_source_set_enabled(p->turn, SD_EVENT_ONESHOT);
	}
	return r;
}

static void phdc_free(struct wire *w)
{
	struct phdc *p = phdc_of(w);

	p->freed = true;
	if (p->busy == 0)
		destroy(p);
}

static const struct wire_ops OPS = { .write = phdc_write, .hold = phdc_hold, .free = phdc_free };

/* ---- the beginning ---- */

static void on_preamble_set(void *user, int error, const uint8_t *data, size_t len)
{
	struct phdc *p = user;

	(void)data;
	(void)len;
	p->preamble = error == 0; /* one that refuses does without */
	for (size_t i = 0; i < PIPES_IN; i++)
		if (p->in[i].stream)
			p->in[i].stream->preamble = p->preamble;
	p->started = true;
	enter(p);
	start_reading(p);
	leave(p);
}

/* PHDC 1.0, 4.2: the feature is switched while nothing is under way. A device that is gone already
 * is told of as any other. */
static void begin(struct phdc *p)
{
	const struct usb_io_request status = { .type = DEVICE_STATUS_TYPE,
					       .request = PHDC_GET_STATUS,
					       .length = STATUS_SIZE };
	const struct usb_io_request preamble = { .type = CLASS_SET_TYPE,
						 .request = PHDC_SET_FEATURE,
						 .value = PHDC_FEATURE_METADATA,
						 .index = p->choice.interface,
						 .done = on_preamble_set };

	(void)usb_io_request(p->io, &status);
	if (p->channel == DRV_WIRE_APDU && p->choice.use_preamble) {
		(void)usb_io_request(p->io, &preamble);
		return;
	}
	p->started = true;
	(void)sd_event_source_set_enabled(p->turn, SD_EVENT_ONESHOT);
}

static int make_stream(struct in_pipe *in, const struct usb_endpoint_choice *endpoint)
{
	in->stream = malloc(sizeof(*in->stream));
	if (!in->stream)
		return -ENOMEM;
	phdc_stream_init(in->stream, endpoint->packet, false);
	return 0;
}

static int make_parts(struct phdc *p, sd_event *event)
{
	int r = sd_event_add_defer(event, &p->turn, on_turn, p);

	if (r >= 0)
		r = sd_event_source_set_enabled(p->turn, SD_EVENT_OFF);
	if (r >= 0)
		r = sd_event_add_time_relative(event, &p->stale, CLOCK_MONOTONIC, 0, ACCURACY,
					       on_stale, p);
	if (r >= 0)
		r = sd_event_source_set_enabled(p->stale, SD_EVENT_OFF);
	if (r < 0 || p->channel != DRV_WIRE_APDU)
		return r;
	r = make_stream(&p->in[USB_IO_BULK_IN], &p->choice.bulk_in);
	if (r == 0 && p->choice.interrupt_in.address != 0)
		r = make_stream(&p->in[USB_IO_INTERRUPT_IN], &p->choice.interrupt_in);
	return r;
}

static int open_wire(struct phdc *p, sd_event *event, int fd)
{
	const struct usb_io_handlers handlers = {
		.in = on_in, .halted = on_halted, .gone = on_gone, .user = p
	};
	int r = make_parts(p, event);

	if (r >= 0)
		r = usb_io_open(event, fd, &p->choice, &handlers, &p->io);
	if (r >= 0)
		begin(p);
	return r;
}

static int new_wire(sd_event *event, int fd, const struct usb_interface_choice *choice,
		    uint16_t channel, const struct wire_sink *sink, struct wire **ret)
{
	struct phdc *p = calloc(1, sizeof(*p));
	int r;

	if (!p)
		return -ENOMEM;
	p->wire.ops = &OPS;
	p->sink = *sink;
	p->choice = *choice;
	p->channel = channel;
	r = open_wire(p, event, fd);
	if (r < 0) {
		destroy(p);
		return r;
	}
	*ret = &p->wire;
	return 0;
}

int phdc_open(sd_event *event, int fd, const struct usb_interface_choice *choice,
	      const struct wire_sink *sink, struct wire **ret)
{
	return new_wire(event, fd, choice, DRV_WIRE_APDU, sink, ret);
}

int usb_bulk_open(sd_event *event, int fd, const struct usb_interface_choice *choice,
		  const struct wire_sink *sink, struct wire **ret)
{
	return new_wire(event, fd, choice, DRV_WIRE_BULK, sink, ret);
}
