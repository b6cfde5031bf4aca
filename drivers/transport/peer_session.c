/*
 * The session of the link: values in from the inbox, measurements and requests out of it, and the
 * confirmation of what is durable.
 */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "drivers/transport/chance.h"
#include "drivers/transport/hub.h"
#include "drivers/transport/peer_private.h"

#define REQUESTS_SPARE 8 /* what one callback may ask for */

/* ---- what captures are told ---- */

void peer_observe(struct peer *p, struct cap_event *e)
{
	e->at_us = peer_now();
	if (p->handlers.observe)
		p->handlers.observe(p->handlers.user, e);
}

void peer_observe_value(struct peer *p, enum cap_kind kind, uint16_t channel, const uint8_t *data,
			size_t len)
{
	struct cap_event e = { .kind = kind, .channel = channel, .len = len };

	if (!p->handlers.observe)
		return;
	assert(len <= sizeof(e.data));
	if (len > 0)
		memcpy(e.data, data, len);
	peer_observe(p, &e);
}

/* ---- what the session says: noted down as well ---- */

static void on_measurement(void *user, const struct measurement *m, uint64_t seq)
{
	struct peer *p = user;

	if (p->lost_measurement) /* what comes after it must not become durable before it */
		return;
	if (p->handlers.measurement(p->handlers.user, m, seq) < 0) {
		p->lost_measurement = true;
		return;
	}
	if (!measurement_is_final(m))
		return;
	if (!p->pending)
		p->first_seq = seq;
	p->pending = p->told_waits = true;
	p->last_seq = seq;
	peer_tell(p, DEVICE_ON_READING, DEVICE_LIFE_WAITS);
	if (m->has_record_number && (!p->has_record || m->record_number > p->record)) {
		p->has_record = p->record_waits = true;
		p->record = m->record_number;
	}
}

static void on_request(void *user, const struct session_request *request)
{
	struct peer *p = user;
	struct request *q;

	switch (request->kind) {
	case SESSION_TIMER:
		p->driver_deadline = session_deadline(request, peer_now());
		return;
	case SESSION_CLOSE:
		p->done_wanted = true;
		return;
	case SESSION_WRITE:
	case SESSION_READ:
		break;
	}
	if (p->n_requests == PEER_REQUESTS) {
		peer_fail(p, -ENOBUFS);
		return;
	}
	q = &p->requests[(p->first_request + p->n_requests++) % PEER_REQUESTS];
	q->kind = request->kind;
	q->channel = request->channel;
	q->len = request->len;
	if (q->len > 0)
		memcpy(q->data, request->data, q->len);
}

static void on_confirm(void *user, uint16_t channel)
{
	struct peer *p = user;

	peer_observe_value(p, CAP_CONFIRM, channel, NULL, 0);
	p->confirm = true;
}

static void on_spoiled(void *user, uint16_t channel, enum session_fault fault, int r)
{
	(void)user;
	(void)channel;
	(void)fault;
	(void)r;
	/* counted by the session; whether the link stays is peer_settled() to say */
}

static void on_memory(void *user, const struct session_memory *memory)
{
	struct peer *p = user;

	p->handlers.memory(p->handlers.user, memory);
}

static void on_consent(void *user, size_t i, enum drv_consent_outcome outcome, uint8_t slot)
{
	struct peer *p = user;

	p->handlers.consent(p->handlers.user, i, outcome, slot);
}

static bool spoils_one_frame(int r)
{
	return r == -EMSGSIZE || r == -EBADMSG || r == -ERANGE || r == -ENOMSG;
}

/* After each call of the session. */
void peer_settled(struct peer *p, int r)
{
	if (p->lost_measurement)
		peer_fail(p, -EIO);
	else if (r < 0 && !spoils_one_frame(r))
		peer_fail(p, r);
}

/* ---- the inbox ---- */

static void drop_value(struct peer *p)
{
	p->first_value = (p->first_value + 1) % PEER_INBOX;
	p->n_values--;
}

static bool may_feed(const struct peer *p, const struct value *v, int64_t now)
{
	if (p->stage != STAGE_WORKING && now < v->since + p->stalled_us)
		return false;
	if (PEER_REQUESTS - p->n_requests < REQUESTS_SPARE)
		return false;
	return p->handlers.has_room(p->handlers.user);
}

static void feed_session(struct peer *p, const struct value *v, const struct drv_channel *c,
			 int64_t now)
{
	const struct drv_frame frame = { c->id, v->data, v->len };
	int r;

	peer_observe_value(p, CAP_FRAME, c->id, v->data, v->len);
	r = session_frame(p->session, &frame, v->indication, now);
	peer_settled(p, r);
	if (r < 0 && v->indication) /* it stays unconfirmed, and nothing can follow it */
		peer_fail(p, r);
	peer_tell(p, DEVICE_ON_READING, v->stream ? DEVICE_LIFE_STREAM : 0);
}

/* An indication that is nobody's stays unconfirmed: what it says is not ours to let go of. */
static void feed_value(struct peer *p, const struct value *v, int64_t now)
{
	const struct drv_channel *c = peer_channel_by_handle(p, v->handle);
	const struct att_characteristic *ch = att_table_by_value(&p->table, v->handle);

	if (v->level < p->opened_at)
		peer_tell(p, DEVICE_ON_IN_CLEAR, v->indication);
	else if (c)
		feed_session(p, v, c, now);
	else if (v->indication && ch && att_uuid_16(&ch->uuid) == PEER_SERVICE_CHANGED)
		p->confirm = true; /* this database was read after it was sent */
	else
		p->unrouted++;
}

/* Of a remote link one value at a time: all others, and this one until it has been taken, are in
 * its queue, which outlives the link. */
static bool fetch(struct peer *p)
{
	struct gatt_dbus_value from;
	const struct att_characteristic *ch;
	struct value *v = &p->inbox[p->first_value];

	if (!p->remote || !gatt_dbus_peek(p->remote, &from))
		return false;
	ch = att_table_characteristic(&p->table, NULL, &from.uuid);
	*v = (struct value){ .handle = ch ? ch->value : 0,
			     .stream = from.notifies,
			     .level = p->level,
			     .since = from.since,
			     .len = from.len };
	if (v->len > 0)
		memcpy(v->data, from.data, v->len);
	p->n_values = 1;
	return true;
}

/* Its indications cannot be held back, but its link can: the device keeps what it has not sent. */
static void look_flood(struct peer *p)
{
	if (p->remote && !p->departed && gatt_dbus_queued(p->remote) > PEER_INBOX &&
	    !p->handlers.has_room(p->handlers.user))
		peer_fail(p, -ENOBUFS);
}

void peer_feed(struct peer *p, int64_t now)
{
	while (!p->ended && p->session && (p->n_values > 0 || fetch(p))) {
		struct value *v = &p->inbox[p->first_value];

		if (!may_feed(p, v, now)) {
			look_flood(p);
			return;
		}
		drop_value(p);
		feed_value(p, v, now);
		if (p->remote && !p->lost_measurement)
			gatt_dbus_taken(p->remote);
	}
}

/* ---- out of it ---- */

/* Only what the session has called durable comes here, and Service Changed once it is kept. */
void peer_confirm(struct peer *p)
{
	int r;

	if (!p->confirm)
		return;
	p->confirm = false;
	if (p->ended)
		return;
	r = att_client_confirm(&p->client, p->indication);
	if (r < 0) {
		peer_fail(p, r);
		return;
	}
	p->has_indication = false;
}

void peer_look_done(struct peer *p)
{
	if (!p->done_wanted || p->done_told || p->n_requests > 0 || p->job != JOB_NONE ||
	    p->out_len > 0)
		return;
	p->done_told = true;
	peer_tell(p, DEVICE_ON_DONE, 0);
}

void peer_look_durable(struct peer *p)
{
	if (!p->told_waits || p->pending || p->n_requests > 0 || p->job != JOB_NONE ||
	    p->n_values > 0)
		return;
	p->told_waits = false;
	peer_tell(p, DEVICE_ON_COMMITTED, 0);
}

void peer_committed(struct peer *p, uint64_t seq)
{
	if (p->ended || !p->session)
		return;
	if (p->pending && seq >= p->last_seq) {
		p->pending = false;
		if (p->record_waits)
			p->handlers.record(p->handlers.user, p->record);
		p->record_waits = false;
	} else if (p->pending && seq >= p->first_seq) {
		p->first_seq = seq + 1;
		peer_tell(p, DEVICE_ON_COMMITTED, 1);
	}
	peer_settled(p, session_committed(p->session, seq, peer_now()));
	peer_schedule(p);
}

/* ---- its beginning ---- */

static enum link_security security_of(const struct peer *p)
{
	return p->remote ? LINK_UNKNOWN : peer_security(p->level);
}

static void observe_open(struct peer *p, const struct peer_driver *d)
{
	static const char *const links[] = {
		[LINK_UNKNOWN] = "",
		[LINK_CLEAR] = "clear",
		[LINK_ENCRYPTED] = "encrypted",
		[LINK_AUTHENTICATED] = "authenticated",
	};
	struct cap_event e = { .kind = CAP_OPEN };

	(void)snprintf(e.open.bus, sizeof(e.open.bus), "ble");
	(void)snprintf(e.open.driver, sizeof(e.open.driver), "%s", d->driver->name);
	(void)snprintf(e.open.link, sizeof(e.open.link), "%s", links[security_of(p)]);
	if (d->name)
		(void)snprintf(e.open.name, sizeof(e.open.name), "%s", d->name);
	e.open.has_quirks = d->quirks != 0;
	e.open.quirks = d->quirks;
	peer_observe(p, &e);
}

void peer_inform(struct session *s, const struct peer_driver *d)
{
	if (d->memory)
		session_set_memory(s, d->memory);
	if (d->has_last_record)
		session_set_last_record(s, d->last_record);
	if (d->has_wall)
		session_set_wall(s, d->utc_ms_at_zero);
	if (d->has_zone)
		session_set_zone(s, d->zone_min);
	if (d->wipe)
		(void)session_ask_wipe(s); /* radio_wipe() has looked whether it can */
}

int peer_open(struct peer *p, const struct peer_driver *d)
{
	static const struct drv_channel none;
	const struct session_sink sink = {
		.measurement = on_measurement,
		.request = on_request,
		.confirm = on_confirm,
		.fault = on_spoiled,
		.memory = on_memory,
		.consent = on_consent,
		.user = p,
	};
	int r;

	assert(!p->session);
	if (!p->table.complete) /* it has changed since it was verified */
		return -ESTALE;
	r = session_new(d->driver, d->quirks, &sink, p->next_seq, &p->session);
	if (r < 0)
		return r;
	p->driver = d->driver;
	p->channel = d->driver->channels ? d->driver->channels : &none;
	p->opened_at = p->level;
	p->has_record = d->has_last_record;
	p->record = d->last_record;
	peer_inform(p->session, d);
	chance_give(p->session);
	hub_give(p->session);
	observe_open(p, d);
	r = session_open(p->session, security_of(p), peer_now());
	peer_settled(p, r);
	peer_schedule(p);
	return spoils_one_frame(r) ? 0 : r;
}
