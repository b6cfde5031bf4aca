#include "drivers/transport/cable.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "drivers/transport/chance.h"
#include "drivers/transport/hub.h"

#define NEVER       INT64_MAX
#define REQUESTS    32 /* of the driver, between one call of the session and the next */
#define RANGES      64 /* of sequences that are not durable */
#define FRAME_COST  64 /* what a waiting frame counts beside its bytes */
#define ACCURACY_US 1000

/* A frame that came while there was no room. */
struct waiting {
	struct waiting *next;
	uint16_t channel;
	size_t len;
	uint8_t data[];
};

struct request {
	enum session_request_kind kind;
	uint16_t channel;
	size_t len;
	uint8_t data[DRV_WRITE_MAX];
};

struct range {
	uint64_t first, last;
};

struct cable {
	struct cable_sink sink;
	struct session *session;
	const struct driver *driver;
	uint32_t quirks;
	struct session_facts facts; /* as told */
	struct wire *wire;
	sd_event_source *work, *timer;
	int64_t deadline; /* of the driver */
	int64_t linger_until;
	int error; /* why it ends */

	struct waiting *first_waiting, **last_waiting;
	size_t waiting_bytes;

	struct request requests[REQUESTS];
	size_t n_requests;

	/* own measurements that are not durable, rising; other devices have numbers in between */
	struct range ranges[RANGES];
	size_t n_ranges;

	bool started, up;
	bool held;         /* the wire */
	bool gone;         /* the wire */
	bool ending, told; /* nothing goes through any more; and the owner knows */
	bool done;         /* the session wants to be closed */
};

static int64_t now_us(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static void schedule(struct cable *c)
{
	(void)sd_event_source_set_enabled(c->work, SD_EVENT_ONESHOT);
}

static void set_timer(struct cable *c)
{
	int64_t at = c->deadline;

	if (c->gone && c->linger_until < at)
		at = c->linger_until;
	if (c->ending || at == NEVER) {
		(void)sd_event_source_set_enabled(c->timer, SD_EVENT_OFF);
		return;
	}
	(void)sd_event_source_set_time(c->timer, (uint64_t)at);
	(void)sd_event_source_set_enabled(c->timer, SD_EVENT_ONESHOT);
}

static void end(struct cable *c, int error)
{
	assert(error >= 0);
	if (c->ending)
		return;
	c->ending = true;
	c->error = error;
	set_timer(c);
	schedule(c);
}

void cable_end(struct cable *c, int error)
{
	end(c, error);
}

/* ---- captures ---- */

static void observe_event(struct cable *c, struct cap_event *e)
{
	e->at_us = now_us();
	if (c->sink.observe)
		c->sink.observe(c->sink.user, e);
}

static bool is_stream(uint16_t channel)
{
	return channel == DRV_WIRE_BYTES || channel == DRV_WIRE_BULK;
}

static void observe(struct cable *c, enum cap_kind kind, uint16_t channel, const uint8_t *data,
		    size_t len)
{
	struct cap_event e = { .kind = kind, .channel = channel };
	size_t done = 0;

	if (!c->sink.observe || (len > sizeof(e.data) && !is_stream(channel)))
		return;
	do {
		e.len = len - done < sizeof(e.data) ? len - done : sizeof(e.data);
		if (e.len > 0)
			memcpy(e.data, data + done, e.len);
		observe_event(c, &e);
		done += e.len;
	} while (done < len);
}

static const char *bus_name(enum drv_bus bus)
{
	switch (bus) {
	case DRV_BUS_HID:
		return "hid";
	case DRV_BUS_SERIAL:
		return "serial";
	case DRV_BUS_FILE:
		return "file";
	case DRV_BUS_USB:
	case DRV_BUS_ANY:
	case DRV_BUS_BLE:
	case DRV_BUS_BLE_ADVERT:
	default:
		return "usb";
	}
}

/* The bus is that of the driver's first row: which adapter it was does not matter to a replay. */
static void observe_open(struct cable *c)
{
	struct cap_event e = { .kind = CAP_OPEN };

	(void)snprintf(e.open.bus, sizeof(e.open.bus), "%s", bus_name(c->driver->match->bus));
	(void)snprintf(e.open.driver, sizeof(e.open.driver), "%s", c->driver->name);
	e.open.has_quirks = c->quirks != 0;
	e.open.quirks = c->quirks;
	observe_event(c, &e);
}

/* ---- what is not durable ---- */

static void note_seq(struct cable *c, uint64_t seq)
{
	struct range *last = c->n_ranges > 0 ? &c->ranges[c->n_ranges - 1] : NULL;

	/* too many: the last one then covers what another device said in between, which only
	 * matters if that is refused */
	if (last && (last->last + 1 == seq || c->n_ranges == RANGES))
		last->last = seq;
	else
		c->ranges[c->n_ranges++] = (struct range){ seq, seq };
}

static void note_committed(struct cable *c, uint64_t seq)
{
	size_t n = 0;

	while (n < c->n_ranges && c->ranges[n].last <= seq)
		n++;
	c->n_ranges -= n;
	memmove(&c->ranges[0], &c->ranges[n], c->n_ranges * sizeof(c->ranges[0]));
	if (c->n_ranges > 0 && c->ranges[0].first <= seq)
		c->ranges[0].first = seq + 1;
}

static bool is_own(const struct cable *c, uint64_t seq)
{
	for (size_t i = 0; i < c->n_ranges; i++) {
		if (seq >= c->ranges[i].first && seq <= c->ranges[i].last)
			return true;
	}
	return false;
}

/* ---- what the session says ---- */

static void say_up(struct cable *c)
{
	int r;

	if (c->up || c->ending)
		return;
	c->up = true;
	r = c->sink.up(c->sink.user, c->session);
	if (r < 0)
		end(c, -r);
}

static void say_facts(struct cable *c)
{
	const struct session_facts *facts = session_facts(c->session);
	int r = 0;

	if (c->ending || memcmp(facts, &c->facts, sizeof(c->facts)) == 0)
		return;
	c->facts = *facts;
	if (c->sink.facts)
		r = c->sink.facts(c->sink.user, c->session);
	if (r < 0)
		end(c, -r);
}

/* Once it ends nothing more is handed on: what comes after a measurement that was not taken must
 * not become durable before it. */
static void on_measurement(void *user, const struct measurement *m, uint64_t seq)
{
	struct cable *c = user;
	int r;

	say_facts(c);
	say_up(c);
	if (c->ending)
		return;
	note_seq(c, seq);
	r = c->sink.measurement(c->sink.user, c->session, m, seq);
	if (r < 0)
		end(c, -r);
}

static void on_request(void *user, const struct session_request *request)
{
	struct cable *c = user;
	struct request *q;

	switch (request->kind) {
	case SESSION_TIMER:
		c->deadline = session_deadline(request, now_us());
		return;
	case SESSION_CLOSE:
		c->done = true;
		return;
	case SESSION_WRITE:
	case SESSION_READ:
		break;
	}
	if (c->n_requests == REQUESTS) {
		end(c, ENOBUFS);
		return;
	}
	q = &c->requests[c->n_requests++];
	q->kind = request->kind;
	q->channel = request->channel;
	q->len = request->len;
	if (q->len > 0)
		memcpy(q->data, request->data, q->len);
}

static void on_confirm(void *user, uint16_t channel)
{
	(void)user; /* a wire confirms nothing by itself, so no frame is an indication */
	(void)channel;
}

static void on_fault(void *user, uint16_t channel, enum session_fault fault, int r)
{
	(void)user; /* counted by the session; whether the cable stays is settled() to say */
	(void)channel;
	(void)fault;
	(void)r;
}

static void on_memory(void *user, const struct session_memory *memory)
{
	const struct cable *c = user;

	if (c->sink.memory)
		c->sink.memory(c->sink.user, memory);
}

/* ---- after each call of the session ---- */

static bool spoils_one_frame(int r)
{
	return r == -EMSGSIZE || r == -EBADMSG || r == -ERANGE || r == -ENOMSG;
}

/* What cannot be sent at all is told to nobody but the owner: a driver that waits for the answer
 * would wait in vain. */
static void carry_out(struct cable *c)
{
	for (size_t i = 0; i < c->n_requests && !c->ending && !c->gone; i++) {
		const struct request *q = &c->requests[i];
		int r = -ENOTSUP; /* nothing is read from a wire by asking the wire */

		if (q->kind == SESSION_WRITE) {
			observe(c, CAP_WRITE, q->channel, q->data, q->len);
			r = wire_write(c->wire, q->channel, q->data, q->len);
		}
		if (r < 0 && r != -EPIPE) /* the wire itself says that it is gone */
			end(c, -r);
	}
	c->n_requests = 0;
}

static void settled(struct cable *c, int r)
{
	if (r < 0 && !spoils_one_frame(r))
		end(c, -r);
	say_facts(c);
	carry_out(c);
	if (c->done)
		end(c, 0);
	set_timer(c);
}

static void feed(struct cable *c, uint16_t channel, const uint8_t *data, size_t len)
{
	const struct drv_frame frame = { channel, data, len };

	if (!session_hides(c->session, &frame))
		observe(c, CAP_FRAME, channel, data, len);
	settled(c, session_frame(c->session, &frame, false, now_us()));
}

/* ---- frames that wait ---- */

static bool has_room(const struct cable *c)
{
	return c->sink.has_room(c->sink.user);
}

static void look_hold(struct cable *c)
{
	const bool hold = c->first_waiting || !has_room(c);

	if (c->gone || c->ending || !c->wire || hold == c->held)
		return;
	c->held = hold;
	wire_hold(c->wire, hold);
}

static int add_waiting(struct cable *c, uint16_t channel, const uint8_t *data, size_t len)
{
	struct waiting *w;

	if (c->waiting_bytes + len + FRAME_COST > CABLE_WAITING_MAX)
		return -ENOBUFS;
	w = malloc(sizeof(*w) + len);
	if (!w)
		return -ENOMEM;
	w->next = NULL;
	w->channel = channel;
	w->len = len;
	if (len > 0)
		memcpy(w->data, data, len);
	c->waiting_bytes += len + FRAME_COST;
	*c->last_waiting = w;
	c->last_waiting = &w->next;
	return 0;
}

static void drop_waiting(struct cable *c)
{
	struct waiting *w = c->first_waiting;

	c->first_waiting = w->next;
	if (!c->first_waiting)
		c->last_waiting = &c->first_waiting;
	c->waiting_bytes -= w->len + FRAME_COST;
	free(w);
}

static void feed_waiting(struct cable *c)
{
	while (c->started && c->first_waiting && !c->ending && has_room(c)) {
		const struct waiting *w = c->first_waiting;

		feed(c, w->channel, w->data, w->len);
		drop_waiting(c);
	}
}

/* ---- the wire ---- */

static void on_frame(void *user, uint16_t channel, const uint8_t *data, size_t len)
{
	struct cable *c = user;
	int r = 0;

	assert(!c->gone);
	if (c->ending)
		return;
	if (c->started && !c->first_waiting && has_room(c))
		feed(c, channel, data, len);
	else
		r = add_waiting(c, channel, data, len);
	if (r < 0)
		end(c, -r);
	look_hold(c);
}

static void on_gone(void *user, int error)
{
	struct cable *c = user;

	c->gone = true;
	c->linger_until = now_us() + CABLE_LINGER_US;
	if (!c->ending)
		c->error = error;
	schedule(c);
}

struct wire_sink cable_wire_sink(struct cable *c)
{
	return (struct wire_sink){ .frame = on_frame, .gone = on_gone, .user = c };
}

/* ---- the loop ---- */

/* Unplugged: all that it said is handed on, then its commit is waited for, but not for ever. Frames
 * for which there is no room wait on: there is nobody who would say them again. */
static void look_gone(struct cable *c)
{
	if (!c->gone || c->ending || c->first_waiting)
		return;
	if (session_idle(c->session) || now_us() >= c->linger_until)
		end(c, c->error);
}

static int on_work(sd_event_source *source, void *user)
{
	struct cable *c = user;

	(void)source;
	if (c->gone) {
		wire_free(c->wire);
		c->wire = NULL;
	}
	feed_waiting(c);
	look_hold(c);
	look_gone(c);
	set_timer(c);
	if (c->ending && !c->told) {
		c->told = true;
		c->sink.ended(c->sink.user, c->error); /* which may free it */
	}
	return 0;
}

static int on_timer(sd_event_source *source, uint64_t usec, void *user)
{
	struct cable *c = user;
	const int64_t now = now_us();

	(void)source;
	(void)usec;
	if (now >= c->deadline && !c->ending) {
		c->deadline = NEVER;
		settled(c, session_timeout(c->session, now));
	}
	set_timer(c);
	schedule(c);
	return 0;
}

/* ---- beginning and end ---- */

static int add_sources(struct cable *c, sd_event *event)
{
	int r = sd_event_add_defer(event, &c->work, on_work, c);

	if (r < 0)
		return r;
	(void)sd_event_source_set_enabled(c->work, SD_EVENT_OFF);
	r = sd_event_add_time(event, &c->timer, CLOCK_MONOTONIC, UINT64_MAX, ACCURACY_US, on_timer,
			      c);
	if (r < 0)
		return r;
	return sd_event_source_set_enabled(c->timer, SD_EVENT_OFF);
}

int cable_new(sd_event *event, const struct driver *driver, uint32_t quirks,
	      const struct cable_sink *sink, uint64_t *next_seq, struct cable **ret)
{
	struct cable *c = calloc(1, sizeof(*c));
	const struct session_sink session_sink = {
		.measurement = on_measurement,
		.request = on_request,
		.confirm = on_confirm,
		.fault = on_fault,
		.memory = on_memory,
		.user = c,
	};
	int r;

	if (!c)
		return -ENOMEM;
	c->sink = *sink;
	c->driver = driver;
	c->quirks = quirks;
	c->deadline = c->linger_until = NEVER;
	c->last_waiting = &c->first_waiting;
	r = session_new(driver, quirks, &session_sink, next_seq, &c->session);
	if (r >= 0) {
		chance_give(c->session);
		hub_give(c->session);
		r = add_sources(c, event);
	}
	if (r < 0) {
		cable_free(c);
		return r;
	}
	*ret = c;
	return 0;
}

void cable_set_memory(struct cable *c, const struct session_memory *memory)
{
	session_set_memory(c->session, memory);
}

void cable_set_last_record(struct cable *c, uint32_t record)
{
	session_set_last_record(c->session, record);
}

int cable_start(struct cable *c, struct wire *wire)
{
	int r;

	assert(!c->started && !c->wire);
	c->wire = wire;
	c->started = true;
	observe_open(c);
	r = session_open(c->session, LINK_CABLE, now_us());
	say_facts(c);
	say_up(c);
	settled(c, r);
	schedule(c);
	return 0;
}

void cable_free(struct cable *c)
{
	struct cap_event e = { .kind = CAP_CLOSE };

	if (!c)
		return;
	wire_free(c->wire);
	if (c->started) {
		session_close(c->session, now_us());
		observe_event(c, &e);
	}
	session_free(c->session);
	while (c->first_waiting)
		drop_waiting(c);
	(void)sd_event_source_disable_unref(c->work);
	(void)sd_event_source_disable_unref(c->timer);
	free(c);
}

/* ---- from outside ---- */

void cable_committed(struct cable *c, uint64_t seq)
{
	if (c->ending || !c->started)
		return;
	note_committed(c, seq);
	settled(c, session_committed(c->session, seq, now_us()));
	schedule(c);
}

void cable_refused(struct cable *c, uint64_t seq)
{
	if (is_own(c, seq))
		end(c, EPERM);
}

void cable_wake(struct cable *c)
{
	if (c->started)
		schedule(c);
}

void cable_set_clock(struct cable *c, bool trusted, int zone_offset_min)
{
	struct timespec t;
	int64_t utc_ms;

	if (!trusted)
		return;
	(void)clock_gettime(CLOCK_REALTIME, &t);
	utc_ms = (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
	session_set_wall(c->session, utc_ms - now_us() / 1000);
	session_set_zone(c->session, zone_offset_min);
}

const struct session *cable_session(const struct cable *c)
{
	return c->session;
}
