#include "drivers/transport/peer_private.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <time.h>

int64_t peer_now(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

enum link_security peer_security(enum bearer_level level)
{
	switch (level) {
	case BEARER_ENCRYPTED:
		return LINK_ENCRYPTED;
	case BEARER_AUTHENTICATED:
	case BEARER_FIPS:
		return LINK_AUTHENTICATED;
	case BEARER_CLEAR:
	default:
		return LINK_CLEAR;
	}
}

/* ---- telling the device ---- */

void peer_schedule(struct peer *p)
{
	(void)sd_event_source_set_enabled(p->work, SD_EVENT_ONESHOT);
}

void peer_tell(struct peer *p, enum device_event event, unsigned int argument)
{
	struct told *last;

	if (p->ended)
		return;
	if (p->n_events > 0) {
		last = &p->events[(p->first_event + p->n_events - 1) % PEER_EVENTS];
		if (last->event == event && event == DEVICE_ON_READING) {
			last->argument |= argument;
			return;
		}
		if (last->event == event && event != DEVICE_ON_END) {
			last->argument = argument;
			return;
		}
	}
	if (p->n_events == PEER_EVENTS) { /* only a flood can do that: nothing of it matters now */
		p->n_events = 0;
		event = DEVICE_ON_END;
		argument = DEVICE_END_TRANSIENT;
		p->error = -ENOBUFS;
	}
	p->events[(p->first_event + p->n_events) % PEER_EVENTS] = (struct told){ event, argument };
	p->n_events++;
	p->ended = event == DEVICE_ON_END;
	peer_schedule(p);
}

void peer_end(struct peer *p, enum device_end how, int error)
{
	if (p->ended)
		return;
	p->error = error;
	peer_tell(p, DEVICE_ON_END, how);
}

void peer_fail(struct peer *p, int error)
{
	peer_end(p, DEVICE_END_TRANSIENT, error);
}

/* ---- the loop ---- */

static int64_t earlier(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

void peer_set_timer(struct peer *p)
{
	int64_t at = p->driver_deadline;

	if (p->ended) {
		(void)sd_event_source_set_enabled(p->timer, SD_EVENT_OFF);
		return;
	}
	at = earlier(at, att_client_deadline(&p->client));
	if (p->raising)
		at = earlier(at, p->raise_until);
	if (p->has_indication)
		at = earlier(at, p->indication_since + p->held_us);
	if (p->n_values > 0 && p->session && p->stage != STAGE_WORKING)
		at = earlier(at, p->inbox[p->first_value].since + p->stalled_us);
	if (at != PEER_NEVER)
		(void)sd_event_source_set_time(p->timer, (uint64_t)at);
	(void)sd_event_source_set_enabled(p->timer,
					  at == PEER_NEVER ? SD_EVENT_OFF : SD_EVENT_ONESHOT);
}

/* All that can be done now, in the order in which it came. */
void peer_pump(struct peer *p)
{
	const int64_t now = peer_now();

	if (p->has_result)
		peer_take_result(p, now);
	peer_service_changed(p);
	peer_feed(p, now);
	peer_confirm(p);
	peer_next_job(p, now);
	peer_flush(p, now);
	while (p->has_result && !p->ended) { /* a write without response is done when it is sent */
		peer_take_result(p, now);
		peer_next_job(p, now);
		peer_flush(p, now);
	}
	peer_look_durable(p);
	peer_look_done(p);
	peer_look_hold(p);
	if (p->departed)
		peer_look_departed(p, now);
	peer_set_timer(p);
}

static int on_work(sd_event_source *source, void *user)
{
	struct peer *p = user;

	(void)source;
	if (!p->ended)
		peer_pump(p);
	p->dispatching = true;
	while (!p->freed && p->n_events > 0) {
		const struct told t = p->events[p->first_event];

		p->first_event = (p->first_event + 1) % PEER_EVENTS;
		p->n_events--;
		p->handlers.event(p->handlers.user, t.event, t.argument);
	}
	p->dispatching = false;
	if (p->freed)
		free(p);
	return 0;
}

static void driver_timeout(struct peer *p, int64_t now)
{
	p->driver_deadline = PEER_NEVER;
	peer_settled(p, session_timeout(p->session, now));
	peer_tell(p, DEVICE_ON_READING, 0);
}

static int on_timer(sd_event_source *source, uint64_t usec, void *user)
{
	struct peer *p = user;
	const int64_t now = peer_now();

	(void)source;
	(void)usec;
	if (p->has_indication && now >= p->indication_since + p->held_us)
		peer_fail(p, -ETIME);
	if (p->raising && now >= p->raise_until)
		peer_end(p, DEVICE_END_AUTH, -EACCES);
	if (!p->ended && p->session && now >= p->driver_deadline)
		driver_timeout(p, now);
	if (!p->ended)
		att_client_tick(&p->client, now);
	peer_pump(p);
	return 0;
}

/* ---- from outside ---- */

static int set_up(struct peer *p, sd_event *event, const struct peer_options *options)
{
	int r = sd_event_add_defer(event, &p->work, on_work, p);

	if (r < 0)
		return r;
	(void)sd_event_source_set_enabled(p->work, SD_EVENT_OFF);
	r = sd_event_add_time(event, &p->timer, CLOCK_MONOTONIC, UINT64_MAX, 1000, on_timer, p);
	if (r < 0)
		return r;
	(void)sd_event_source_set_enabled(p->timer, SD_EVENT_OFF);
	return peer_link_up(p, event, options);
}

int peer_new(sd_event *event, const struct peer_options *options,
	     const struct peer_handlers *handlers, uint64_t *next_seq, struct peer **ret)
{
	struct peer *p = calloc(1, sizeof(*p));
	int r;

	if (!p)
		return -ENOMEM;
	p->handlers = *handlers;
	p->next_seq = next_seq;
	p->required = options->required;
	p->level = BEARER_CLEAR;
	p->bonded = options->bonded;
	p->standing = options->standing;
	p->driver_deadline = PEER_NEVER;
	p->raise_us = options->raise_us ? options->raise_us : PEER_RAISE_US;
	p->held_us = options->held_us ? options->held_us : PEER_HELD_US;
	p->stalled_us = options->stalled_us ? options->stalled_us : PEER_STALLED_US;
	if (!options->gatt && options->table && options->table->complete)
		p->table = *options->table;
	r = set_up(p, event, options);
	if (r < 0) {
		peer_free(p);
		return r;
	}
	*ret = p;
	return 0;
}

void peer_free(struct peer *p)
{
	struct cap_event e = { .kind = CAP_CLOSE };

	if (!p)
		return;
	p->freed = true;
	bearer_free(p->bearer);
	gatt_dbus_link_free(p->remote);
	if (p->session) {
		session_close(p->session, peer_now());
		peer_observe(p, &e);
	}
	session_free(p->session);
	(void)sd_event_source_disable_unref(p->work);
	(void)sd_event_source_disable_unref(p->timer);
	if (!p->dispatching)
		free(p);
}

int peer_raise(struct peer *p, enum bearer_level level)
{
	return peer_ask_raise(p, level);
}

void peer_mtu(struct peer *p)
{
	p->mtu_wanted = true;
	peer_schedule(p);
}

void peer_verify(struct peer *p)
{
	p->stage = STAGE_VERIFYING;
	peer_schedule(p);
}

void peer_arm(struct peer *p)
{
	assert(p->session);
	p->stage = STAGE_ARMING;
	peer_schedule(p);
}

void peer_refused(struct peer *p, uint64_t seq)
{
	if (p->pending && seq >= p->first_seq && seq <= p->last_seq)
		peer_fail(p, -EPERM);
}

void peer_wake(struct peer *p)
{
	peer_schedule(p);
}

const struct session *peer_session(const struct peer *p)
{
	return p->session;
}

const struct att_table *peer_table(const struct peer *p)
{
	return &p->table;
}

enum bearer_level peer_level(const struct peer *p)
{
	return p->level;
}

int peer_error(const struct peer *p)
{
	return p->error;
}

unsigned int peer_unrouted(const struct peer *p)
{
	return p->unrouted;
}

const struct att_counts *peer_counts(const struct peer *p)
{
	return att_client_counts(&p->client);
}
