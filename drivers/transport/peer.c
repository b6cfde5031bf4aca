#include "drivers/transport/peer.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define REQUESTS       24 /* of the driver */
#define REQUESTS_SPARE 8  /* what one callback may ask for */
#define EVENTS         32
#define DISCOVERIES    3
#define NEVER          INT64_MAX
#define DEPARTED_US    INT64_C(5000000) /* for what the driver still waits to put together */

#define SERVICE_CHANGED 0x2a05
#define DATABASE_HASH   0x2b2a

#define PROPERTY_READ              0x02
#define PROPERTY_WRITE_NO_RESPONSE 0x04
#define PROPERTY_WRITE             0x08

/* What the link is doing; what it may do next is the device's to say. */
enum stage {
	STAGE_IDLE,
	STAGE_VERIFYING,
	STAGE_ARMING,
	STAGE_WORKING
};

/* The one request that is under way. */
enum job {
	JOB_NONE,
	JOB_MTU,
	JOB_CHECK, /* Database Hash against the cached table */
	JOB_DISCOVER,
	JOB_HASH,    /* of the table just discovered */
	JOB_CHANGED, /* subscribing to Service Changed */
	JOB_CHANNEL, /* arming: p->channel */
	JOB_REQUEST  /* requests[first] */
};

struct value {
	uint16_t handle;
	bool indication, stream;
	enum bearer_level level;
	int64_t since;
	size_t len;
	uint8_t data[ATT_VALUE_MAX];
};

struct request {
	enum session_request_kind kind;
	uint16_t channel;
	size_t len;
	uint8_t data[DRV_WRITE_MAX];
};

struct told {
	enum device_event event;
	unsigned int argument;
};

struct peer {
	sd_event_source *work, *timer;
	struct peer_handlers handlers;
	struct bearer *bearer;         /* or */
	struct gatt_dbus_link *remote; /* without PDUs of ours: the client below is idle */
	struct att_client client;
	struct att_sink sink;
	struct att_table table;
	struct session *session;
	const struct driver *driver;
	uint64_t *next_seq;
	int64_t raise_us, held_us, stalled_us;
	enum bearer_level required, level, pdu_level, opened_at;
	int error;

	enum stage stage;
	enum job job;
	unsigned int discoveries;
	unsigned int faults, unrouted;
	const struct drv_channel *channel; /* arming: the next one to be opened */
	struct att_result result;
	int64_t raise_until;
	uint8_t result_data[ATT_VALUE_MAX];

	struct value inbox[PEER_INBOX];
	size_t first_value, n_values;
	int64_t indication_since;
	uint16_t indication;     /* the one that is unconfirmed */
	uint16_t changed_handle; /* of Service Changed */

	struct request requests[REQUESTS];
	size_t first_request, n_requests;
	int64_t driver_deadline;

	uint64_t first_seq, last_seq;
	uint32_t record;

	struct told events[EVENTS];
	size_t first_event, n_events;
	size_t out_len;
	uint8_t out[ATT_MTU_MAX];

	bool bonded, ended, up;
	bool dispatching, freed; /* freed by a handler: the memory goes when it has returned */
	bool mtu_wanted, changed_asked, has_result;
	bool changed;         /* Service Changed has come */
	bool raised, raising; /* the peer demanded more security for the job at hand */
	bool has_indication, confirm;
	bool done_wanted, done_told, lost_measurement;
	bool pending, told_waits; /* readings up to last_seq are not durable */
	bool has_record, record_waits;
	bool holds; /* the bearer */
	/* The remote link is over; what it caught goes on to the session. */
	bool standing, departed;
	enum device_end departed_how;
	int departed_error;
	int64_t departed_at;
};

static int64_t now_us(void)
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

static void schedule(struct peer *p)
{
	(void)sd_event_source_set_enabled(p->work, SD_EVENT_ONESHOT);
}

static void end(struct peer *p, enum device_end how, int error);

static void tell(struct peer *p, enum device_event event, unsigned int argument)
{
	struct told *last;

	if (p->ended)
		return;
	if (p->n_events > 0) {
		last = &p->events[(p->first_event + p->n_events - 1) % EVENTS];
		if (last->event == event && event == DEVICE_ON_READING) {
			last->argument |= argument;
			return;
		}
		if (last->event == event && event != DEVICE_ON_END) {
			last->argument = argument;
			return;
		}
	}
	if (p->n_events == EVENTS) { /* only a flood can do that: nothing of it matters now */
		p->n_events = 0;
		event = DEVICE_ON_END;
		argument = DEVICE_END_TRANSIENT;
		p->error = -ENOBUFS;
	}
	p->events[(p->first_event + p->n_events) % EVENTS] = (struct told){ event, argument };
	p->n_events++;
	p->ended = event == DEVICE_ON_END;
	schedule(p);
}

static void end(struct peer *p, enum device_end how, int error)
{
	if (p->ended)
		return;
	p->error = error;
	tell(p, DEVICE_ON_END, how);
}

static void fail(struct peer *p, int error)
{
	end(p, DEVICE_END_TRANSIENT, error);
}

static void observe(struct peer *p, struct cap_event *e)
{
	e->at_us = now_us();
	if (p->handlers.observe)
		p->handlers.observe(p->handlers.user, e);
}

static void observe_value(struct peer *p, enum cap_kind kind, uint16_t channel, const uint8_t *data,
			  size_t len)
{
	struct cap_event e = { .kind = kind, .channel = channel, .len = len };

	if (!p->handlers.observe)
		return;
	assert(len <= sizeof(e.data));
	if (len > 0)
		memcpy(e.data, data, len);
	observe(p, &e);
}

/* ---- characteristics and channels ---- */

static struct att_uuid uuid_of(const struct drv_channel *c)
{
	struct att_uuid uuid;

	if (!c->uuid128)
		return att_uuid_of16(c->id);
	memcpy(uuid.bytes, c->uuid128, sizeof(uuid.bytes));
	return uuid;
}

static const struct att_characteristic *characteristic_of(const struct peer *p,
							  const struct drv_channel *c)
{
	const struct att_uuid uuid = uuid_of(c);

	return att_table_characteristic(&p->table, NULL, &uuid);
}

static const struct drv_channel *channel_by_id(const struct peer *p, uint16_t id)
{
	for (const struct drv_channel *c = p->driver->channels; c && c->mode; c++) {
		if (c->id == id)
			return c;
	}
	return NULL;
}

static const struct drv_channel *channel_by_handle(const struct peer *p, uint16_t handle)
{
	for (const struct drv_channel *c = p->driver->channels; c && c->mode; c++) {
		const struct att_characteristic *ch = characteristic_of(p, c);

		if (ch && ch->value == handle)
			return c;
	}
	return NULL;
}

static const struct att_characteristic *characteristic_16(const struct peer *p, uint16_t uuid16)
{
	const struct att_uuid uuid = att_uuid_of16(uuid16);

	return att_table_characteristic(&p->table, NULL, &uuid);
}

/* ---- what the ATT client says: noted down, acted upon when it has returned ---- */

static void on_done(void *user, const struct att_result *result)
{
	struct peer *p = user;

	p->has_result = true;
	p->result = *result;
	if (result->len > 0)
		memcpy(p->result_data, result->data, result->len);
	p->result.data = p->result_data;
}

static void on_value(void *user, const struct att_notice *notice)
{
	struct peer *p = user;
	struct value *v;

	if (notice->in_clear) {
		tell(p, DEVICE_ON_IN_CLEAR, notice->indication);
		return;
	}
	if (p->n_values == PEER_INBOX) {
		fail(p, -ENOBUFS);
		return;
	}
	v = &p->inbox[(p->first_value + p->n_values++) % PEER_INBOX];
	v->handle = notice->handle;
	v->indication = notice->indication;
	v->stream = !notice->indication;
	v->level = p->pdu_level;
	v->since = now_us();
	v->len = notice->len;
	if (v->len > 0)
		memcpy(v->data, notice->data, v->len);
	if (v->indication) {
		p->has_indication = true;
		p->indication = v->handle;
		p->indication_since = v->since;
	}
}

static void on_changed(void *user, uint16_t handle, uint16_t start, uint16_t last)
{
	struct peer *p = user;

	(void)start;
	(void)last;
	p->changed = true;
	p->changed_handle = handle;
}

/* After a spoiled indication the peer would take our next confirmation for that one. */
static void on_fault(void *user, enum att_fault fault, uint8_t opcode, int r)
{
	struct peer *p = user;

	(void)fault;
	if (opcode == ATT_INDICATION || ++p->faults >= PEER_FAULTS_MAX)
		fail(p, r);
}

static void on_dead(void *user, int r)
{
	fail(user, r);
}

/* ---- what the session says: noted down as well ---- */

static void on_measurement(void *user, const struct measurement *m, uint64_t seq)
{
	struct peer *p = user;

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
	tell(p, DEVICE_ON_READING, DEVICE_LIFE_WAITS);
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
		p->driver_deadline =
			request->msec == 0 ? NEVER : now_us() + (int64_t)request->msec * 1000;
		return;
	case SESSION_CLOSE:
		p->done_wanted = true;
		return;
	case SESSION_WRITE:
	case SESSION_READ:
		break;
	}
	if (p->n_requests == REQUESTS) {
		fail(p, -ENOBUFS);
		return;
	}
	q = &p->requests[(p->first_request + p->n_requests++) % REQUESTS];
	q->kind = request->kind;
	q->channel = request->channel;
	q->len = request->len;
	if (q->len > 0)
		memcpy(q->data, request->data, q->len);
}

static void on_confirm(void *user, uint16_t channel)
{
	struct peer *p = user;

	observe_value(p, CAP_CONFIRM, channel, NULL, 0);
	p->confirm = true;
}

static void on_spoiled(void *user, uint16_t channel, enum session_fault fault, int r)
{
	(void)user;
	(void)channel;
	(void)fault;
	(void)r;
	/* counted by the session; whether the link stays is settled() to say */
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
static void settled(struct peer *p, int r)
{
	if (p->lost_measurement)
		fail(p, -EIO);
	else if (r < 0 && !spoils_one_frame(r))
		fail(p, r);
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
	if (REQUESTS - p->n_requests < REQUESTS_SPARE)
		return false;
	return p->handlers.has_room(p->handlers.user);
}

static void feed_session(struct peer *p, const struct value *v, const struct drv_channel *c,
			 int64_t now)
{
	const struct drv_frame frame = { c->id, v->data, v->len };
	int r;

	observe_value(p, CAP_FRAME, c->id, v->data, v->len);
	r = session_frame(p->session, &frame, v->indication, now);
	settled(p, r);
	if (r < 0 && v->indication) /* it stays unconfirmed, and nothing can follow it */
		fail(p, r);
	tell(p, DEVICE_ON_READING, v->stream ? DEVICE_LIFE_STREAM : 0);
}

/* An indication that is nobody's stays unconfirmed: what it says is not ours to let go of. */
static void feed_value(struct peer *p, const struct value *v, int64_t now)
{
	const struct drv_channel *c = channel_by_handle(p, v->handle);
	const struct att_characteristic *ch = att_table_by_value(&p->table, v->handle);

	if (v->level < p->opened_at)
		tell(p, DEVICE_ON_IN_CLEAR, v->indication);
	else if (c)
		feed_session(p, v, c, now);
	else if (v->indication && ch && att_uuid_16(&ch->uuid) == SERVICE_CHANGED)
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
		fail(p, -ENOBUFS);
}

static void feed(struct peer *p, int64_t now)
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

/* ---- jobs ---- */

static uint8_t refusal_of(const struct att_result *result)
{
	if (result->error == -EREMOTEIO)
		return result->refusal;
	return result->error == -EMSGSIZE ? ATT_ERROR_INVALID_LENGTH : ATT_ERROR_UNLIKELY;
}

/* The two ways to the device's attributes. */

static int ask_discover(struct peer *p)
{
	return p->remote ? gatt_dbus_discover(p->remote, &p->table)
			 : att_client_discover(&p->client, 0);
}

static int ask_read(struct peer *p, uint16_t handle)
{
	return p->remote ? gatt_dbus_read(p->remote, handle)
			 : att_client_read(&p->client, handle, 0);
}

static int ask_subscribe(struct peer *p, const struct att_characteristic *ch)
{
	return p->remote ? gatt_dbus_subscribe(p->remote, ch->value)
			 : att_client_subscribe(&p->client, ch, true, 0);
}

static int ask_write(struct peer *p, const struct att_characteristic *ch, const struct request *q)
{
	const bool response =
		(ch->properties & PROPERTY_WRITE) || !(ch->properties & PROPERTY_WRITE_NO_RESPONSE);

	if (p->remote)
		return gatt_dbus_write(p->remote, ch->value, q->data, q->len, response);
	if (response)
		return att_client_write(&p->client, ch->value, q->data, q->len, 0);
	return att_client_write_command(&p->client, ch->value, q->data, q->len, 0);
}

static int ask_raise(struct peer *p, enum bearer_level level)
{
	return p->remote ? gatt_dbus_pair(p->remote) : bearer_raise(p->bearer, level);
}

static void begin(struct peer *p, enum job job, int r)
{
	if (r < 0)
		fail(p, r);
	else
		p->job = job;
}

static void discover(struct peer *p)
{
	if (p->discoveries++ == DISCOVERIES)
		fail(p, -ESTALE);
	else
		begin(p, JOB_DISCOVER, ask_discover(p));
}

static void verified(struct peer *p)
{
	p->stage = STAGE_IDLE;
	tell(p, DEVICE_ON_VERIFIED, 0);
}

static bool believes_table(const struct peer *p)
{
	return p->table.complete && (p->bonded || !characteristic_16(p, SERVICE_CHANGED));
}

static void verify_next(struct peer *p)
{
	if (p->table.complete && p->table.has_hash)
		begin(p, JOB_CHECK, att_client_read_hash(&p->client, 0));
	else if (believes_table(p))
		verified(p);
	else
		discover(p);
}

static void keep_table(struct peer *p)
{
	if (!p->remote) /* bluetoothd has a cache of its own */
		(void)p->handlers.table(p->handlers.user, &p->table);
	verified(p);
}

static void checked(struct peer *p, const struct att_result *result)
{
	if (result->error == 0 && result->len == ATT_HASH_SIZE &&
	    att_table_matches(&p->table, result->data))
		verified(p);
	else
		discover(p);
}

static void discovered(struct peer *p, const struct att_result *result)
{
	if (result->error == -ESTALE)
		discover(p);
	else if (result->error < 0)
		fail(p, result->error);
	else if (!p->remote && characteristic_16(p, DATABASE_HASH))
		begin(p, JOB_HASH, att_client_read_hash(&p->client, 0));
	else
		keep_table(p);
}

static void hashed(struct peer *p, const struct att_result *result)
{
	if (result->error == 0 && result->len == ATT_HASH_SIZE)
		att_table_set_hash(&p->table, result->data);
	keep_table(p);
}

/* false: this channel is to be left out */
static bool begin_channel(struct peer *p, const struct drv_channel *c)
{
	const struct att_characteristic *ch = characteristic_of(p, c);
	int r;

	if (p->departed)
		return false;
	if (!ch || c->mode == DRV_WRITE) {
		if (!ch && !c->optional)
			fail(p, -ENODEV);
		return false;
	}
	if (c->mode == DRV_READ) {
		if (!(ch->properties & PROPERTY_READ) && c->optional)
			return false;
		begin(p, JOB_CHANNEL, ask_read(p, ch->value));
		return true;
	}
	r = ask_subscribe(p, ch);
	if (r == -ENOTSUP && c->optional)
		return false;
	begin(p, JOB_CHANNEL, r);
	return true;
}

static bool begin_changed(struct peer *p)
{
	const struct att_characteristic *ch = characteristic_16(p, SERVICE_CHANGED);

	if (p->changed_asked || p->remote) /* there bluetoothd minds it */
		return false;
	p->changed_asked = true;
	if (!ch || att_client_subscribe(&p->client, ch, true, 0) < 0)
		return false;
	p->job = JOB_CHANGED;
	return true;
}

static void arm_next(struct peer *p)
{
	if (begin_changed(p))
		return;
	for (; !p->ended && p->channel->mode; p->channel++) {
		if (begin_channel(p, p->channel))
			return;
	}
	if (p->ended)
		return;
	p->stage = STAGE_WORKING;
	tell(p, DEVICE_ON_ARMED, 0);
}

static void channel_done(struct peer *p, const struct att_result *result, int64_t now)
{
	const struct drv_channel *c = p->channel++;
	const struct drv_frame frame = { c->id, result->data, result->len };

	if (result->error == 0 && c->mode == DRV_READ) {
		observe_value(p, CAP_FRAME, c->id, result->data, result->len);
		settled(p, session_frame(p->session, &frame, false, now));
	} else if (result->error == -EREMOTEIO && result->refusal == ATT_ERROR_INVALID_HANDLE) {
		(void)p->handlers.table(p->handlers.user, NULL); /* it was of another database */
		fail(p, -ESTALE);
	} else if (result->error < 0 && !c->optional && !p->departed) {
		fail(p, result->error);
	}
}

static void drop_request(struct peer *p)
{
	p->first_request = (p->first_request + 1) % REQUESTS;
	p->n_requests--;
}

static void refuse(struct peer *p, uint16_t channel, uint8_t error, int64_t now)
{
	settled(p, session_refused(p->session, channel, error, now));
}

/* 0: it is under way; otherwise the ATT error that it deserves */
static uint8_t begin_request(struct peer *p, const struct request *q)
{
	const struct drv_channel *c = channel_by_id(p, q->channel);
	const struct att_characteristic *ch = c ? characteristic_of(p, c) : NULL;
	int r;

	if (!ch)
		return ATT_ERROR_ATTRIBUTE_NOT_FOUND;
	if (q->kind == SESSION_READ) {
		observe_value(p, CAP_READ, q->channel, NULL, 0);
		r = ask_read(p, ch->value);
	} else {
		observe_value(p, CAP_WRITE, q->channel, q->data, q->len);
		r = ask_write(p, ch, q);
	}
	if (r < 0)
		return ATT_ERROR_UNLIKELY;
	p->job = JOB_REQUEST;
	return 0;
}

static void request_next(struct peer *p, int64_t now)
{
	while (!p->ended && p->job == JOB_NONE && p->n_requests > 0) {
		const struct request *q = &p->requests[p->first_request];
		const uint16_t channel = q->channel;
		const uint8_t error = begin_request(p, q);

		if (error == 0)
			return;
		drop_request(p);
		refuse(p, channel, error, now);
	}
}

static void request_done(struct peer *p, const struct att_result *result, int64_t now)
{
	const struct request *q = &p->requests[p->first_request];
	const struct drv_frame frame = { q->channel, result->data, result->len };
	const bool reading = q->kind == SESSION_READ;

	drop_request(p);
	if (result->error < 0) {
		refuse(p, frame.channel, refusal_of(result), now);
	} else if (reading) {
		observe_value(p, CAP_FRAME, frame.channel, result->data, result->len);
		settled(p, session_frame(p->session, &frame, false, now));
	}
	tell(p, DEVICE_ON_READING, 0);
}

/* ---- the peer demands more security ---- */

static bool demands_security(const struct att_result *result)
{
	return result->error == -EREMOTEIO &&
	       (result->refusal == ATT_ERROR_INSUFFICIENT_AUTHENTICATION ||
		result->refusal == ATT_ERROR_INSUFFICIENT_ENCRYPTION);
}

/* Facts that are read on the way are not worth a pairing. */
static bool worth_raising(const struct peer *p, enum job job)
{
	if (job == JOB_REQUEST)
		return true;
	return job == JOB_CHANNEL && p->channel->mode != DRV_READ;
}

/* true: the job is begun again once the level is there */
static bool raise_for(struct peer *p, enum job job, const struct att_result *result, int64_t now)
{
	if (p->remote || !demands_security(result) || !worth_raising(p, job))
		return false;
	if (p->raised || p->level >= BEARER_AUTHENTICATED) {
		end(p, DEVICE_END_AUTH, -EACCES);
		return true;
	}
	p->raised = p->raising = true;
	p->raise_until = now + p->raise_us;
	if (bearer_raise(p->bearer, p->level + 1) < 0)
		end(p, DEVICE_END_AUTH, -EACCES);
	return true;
}

static void take_result(struct peer *p, int64_t now)
{
	const enum job job = p->job;
	const struct att_result *result = &p->result;

	p->has_result = false;
	p->job = JOB_NONE;
	if (p->ended || raise_for(p, job, result, now))
		return;
	switch (job) {
	case JOB_MTU:
		tell(p, DEVICE_ON_MTU, 0);
		break;
	case JOB_CHECK:
		checked(p, result);
		break;
	case JOB_DISCOVER:
		discovered(p, result);
		break;
	case JOB_HASH:
		hashed(p, result);
		break;
	case JOB_CHANNEL:
		channel_done(p, result, now);
		break;
	case JOB_REQUEST:
		request_done(p, result, now);
		break;
	case JOB_CHANGED: /* a peer that does not want us to know is not worse for it */
	case JOB_NONE:
		break;
	}
}

static void next_job(struct peer *p, int64_t now)
{
	if (p->ended || p->job != JOB_NONE || p->has_result || p->raising || !p->up)
		return;
	if (p->mtu_wanted) {
		p->mtu_wanted = false;
		if (p->remote)
			tell(p, DEVICE_ON_MTU, 0);
		else
			begin(p, JOB_MTU, att_client_exchange_mtu(&p->client, 0));
		return;
	}
	switch (p->stage) {
	case STAGE_VERIFYING:
		verify_next(p);
		break;
	case STAGE_ARMING:
		arm_next(p);
		break;
	case STAGE_WORKING:
		request_next(p, now);
		break;
	case STAGE_IDLE:
		break;
	}
}

/* ---- out ---- */

static void send_pending(struct peer *p)
{
	/* -EAGAIN: on_writable() comes; any other error: the bearer says that it is lost */
	if (p->out_len > 0 && bearer_send(p->bearer, p->out, p->out_len) != -EAGAIN)
		p->out_len = 0;
}

static void flush(struct peer *p, int64_t now)
{
	if (p->remote)
		return;
	send_pending(p);
	while (p->out_len == 0 && !att_client_is_dead(&p->client)) {
		p->out_len = att_client_take(&p->client, p->out, now);
		if (p->out_len == 0)
			return;
		send_pending(p);
	}
}

/* Only what the session has called durable comes here, and Service Changed once it is kept. */
static void confirm(struct peer *p)
{
	int r;

	if (!p->confirm)
		return;
	p->confirm = false;
	if (p->ended)
		return;
	r = att_client_confirm(&p->client, p->indication);
	if (r < 0) {
		fail(p, r);
		return;
	}
	p->has_indication = false;
}

/* The peer says it once: forgotten first, then confirmed. */
static void service_changed(struct peer *p)
{
	if (!p->changed || p->ended)
		return;
	p->changed = false;
	if (p->handlers.table(p->handlers.user, NULL) < 0) {
		fail(p, -EIO);
		return;
	}
	(void)att_client_confirm(&p->client, p->changed_handle);
	if (p->session) /* its handles may be others now: the next link finds them */
		fail(p, -ESTALE);
}

/* Notifications cannot wait in the peer, only on the way: better there than nowhere. */
static void look_hold(struct peer *p)
{
	const bool hold = p->n_values > PEER_INBOX / 2 && p->session && !p->ended;

	if (hold == p->holds)
		return;
	p->holds = hold;
	bearer_hold(p->bearer, hold);
}

static void look_done(struct peer *p)
{
	if (!p->done_wanted || p->done_told || p->n_requests > 0 || p->job != JOB_NONE ||
	    p->out_len > 0)
		return;
	p->done_told = true;
	tell(p, DEVICE_ON_DONE, 0);
}

static void look_durable(struct peer *p)
{
	if (!p->told_waits || p->pending || p->n_requests > 0 || p->job != JOB_NONE ||
	    p->n_values > 0)
		return;
	p->told_waits = false;
	tell(p, DEVICE_ON_COMMITTED, 0);
}

/* Of a remote link that is over: all that it caught is handed on first. What there is no room for
 * stays in its queue. */
static void look_departed(struct peer *p, int64_t now)
{
	const bool caught = p->n_values > 0 || gatt_dbus_queued(p->remote) > 0;

	if (p->standing) {
		if (caught && p->handlers.has_room(p->handlers.user))
			return;
		if (p->pending ||
		    (p->driver_deadline != NEVER && now < p->departed_at + DEPARTED_US))
			return;
	}
	end(p, p->departed_how, p->departed_error);
}

static int64_t earlier(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

static void set_timer(struct peer *p)
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
	if (at != NEVER)
		(void)sd_event_source_set_time(p->timer, (uint64_t)at);
	(void)sd_event_source_set_enabled(p->timer, at == NEVER ? SD_EVENT_OFF : SD_EVENT_ONESHOT);
}

/* All that can be done now, in the order in which it came. */
static void pump(struct peer *p)
{
	const int64_t now = now_us();

	if (p->has_result)
		take_result(p, now);
	service_changed(p);
	feed(p, now);
	confirm(p);
	next_job(p, now);
	flush(p, now);
	while (p->has_result && !p->ended) { /* a write without response is done when it is sent */
		take_result(p, now);
		next_job(p, now);
		flush(p, now);
	}
	look_durable(p);
	look_done(p);
	look_hold(p);
	if (p->departed)
		look_departed(p, now);
	set_timer(p);
}

/* ---- the bearer ---- */

static void on_connected(void *user, enum bearer_level level)
{
	struct peer *p = user;

	p->up = true;
	p->level = level;
	tell(p, DEVICE_ON_CONNECTED, level);
	pump(p);
}

static void on_pdu(void *user, const uint8_t *data, size_t len, enum bearer_level level)
{
	struct peer *p = user;

	if (p->ended)
		return;
	p->pdu_level = level; /* of this one: the link may have more by now */
	att_client_set_security(&p->client, (enum att_security)level);
	(void)att_client_receive(&p->client, data, len, now_us());
	if (p->stage == STAGE_VERIFYING || p->stage == STAGE_ARMING)
		tell(p, DEVICE_ON_READING, 0); /* progress */
	pump(p);
}

static void on_level(void *user, enum bearer_level level)
{
	struct peer *p = user;

	p->level = level;
	tell(p, DEVICE_ON_LEVEL, level);
	p->raising = false;
	pump(p);
}

static void on_writable(void *user)
{
	pump(user);
}

/* Aborted by this side while the key was to be proved: it was not. */
static bool is_about_keys(const struct peer *p, int error)
{
	return error == -ECONNABORTED && p->required > BEARER_CLEAR && p->level < p->required;
}

static enum device_end end_of(const struct peer *p, enum bearer_end how, int error)
{
	switch (how) {
	case BEARER_BUSY:
		return DEVICE_END_BUSY;
	case BEARER_KILLED:
		return DEVICE_END_KILLED;
	case BEARER_REFUSED:
		if (error == -ETIMEDOUT || error == -ECONNREFUSED)
			return DEVICE_END_TIMEOUT;
		if (error == -EBUSY)
			return DEVICE_END_BUSY;
		return is_about_keys(p, error) ? DEVICE_END_AUTH : DEVICE_END_TRANSIENT;
	case BEARER_LOST:
		if (is_about_keys(p, error))
			return DEVICE_END_AUTH;
		return error == 0 || error == -ECONNRESET ? DEVICE_END_PEER : DEVICE_END_TRANSIENT;
	case BEARER_CLOSED:
	case BEARER_NO_HELPER:
		break;
	}
	return DEVICE_END_TRANSIENT;
}

static void on_lost(void *user, enum bearer_end how, int error)
{
	struct peer *p = user;

	end(p, end_of(p, how, error), error);
	p->up = false;
	set_timer(p);
}

/* ---- the remote link ---- */

/* Whether it is encrypted bluetoothd does not tell: that there is a bond is all that is known. */
static void on_remote_connected(void *user, bool bonded)
{
	struct peer *p = user;

	p->up = true;
	p->level = bonded ? BEARER_ENCRYPTED : BEARER_CLEAR;
	if (p->required > BEARER_CLEAR && !bonded)
		end(p, DEVICE_END_AUTH, -EACCES);
	else
		tell(p, DEVICE_ON_CONNECTED, p->level > p->required ? p->level : p->required);
	pump(p);
}

static void on_remote_bonded(void *user)
{
	on_level(user, BEARER_ENCRYPTED);
}

static void on_remote_progress(struct peer *p)
{
	if (p->stage == STAGE_VERIFYING || p->stage == STAGE_ARMING)
		tell(p, DEVICE_ON_READING, 0);
	pump(p);
}

static void on_remote_done(void *user, const struct att_result *result)
{
	if (!((struct peer *)user)->ended)
		on_done(user, result);
	on_remote_progress(user);
}

static void on_remote_value(void *user)
{
	on_remote_progress(user);
}

static void on_remote_lost(void *user, enum device_end how, int error)
{
	struct peer *p = user;

	p->departed = true;
	p->departed_at = now_us();
	p->departed_how = how;
	p->departed_error = error;
	pump(p);
}

/* ---- the loop ---- */

static int on_work(sd_event_source *source, void *user)
{
	struct peer *p = user;

	(void)source;
	if (!p->ended)
		pump(p);
	p->dispatching = true;
	while (!p->freed && p->n_events > 0) {
		const struct told t = p->events[p->first_event];

		p->first_event = (p->first_event + 1) % EVENTS;
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
	p->driver_deadline = NEVER;
	settled(p, session_timeout(p->session, now));
	tell(p, DEVICE_ON_READING, 0);
}

static int on_timer(sd_event_source *source, uint64_t usec, void *user)
{
	struct peer *p = user;
	const int64_t now = now_us();

	(void)source;
	(void)usec;
	if (p->has_indication && now >= p->indication_since + p->held_us)
		fail(p, -ETIME);
	if (p->raising && now >= p->raise_until)
		end(p, DEVICE_END_AUTH, -EACCES);
	if (!p->ended && p->session && now >= p->driver_deadline)
		driver_timeout(p, now);
	if (!p->ended)
		att_client_tick(&p->client, now);
	pump(p);
	return 0;
}

/* ---- from outside ---- */

static int link_up(struct peer *p, sd_event *event, const struct peer_options *options)
{
	const struct gatt_dbus_handlers remote = {
		.connected = on_remote_connected,
		.bonded = on_remote_bonded,
		.done = on_remote_done,
		.value = on_remote_value,
		.lost = on_remote_lost,
		.user = p,
	};
	const struct bearer_handlers handlers = {
		.connected = on_connected,
		.pdu = on_pdu,
		.level = on_level,
		.lost = on_lost,
		.writable = on_writable,
		.user = p,
	};

	if (options->gatt)
		return gatt_dbus_link_new(options->gatt, &options->bearer.peer, &remote,
					  &p->remote);
	return bearer_new(event, &options->bearer, &handlers, &p->bearer);
}

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
	return link_up(p, event, options);
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
	p->driver_deadline = NEVER;
	p->raise_us = options->raise_us ? options->raise_us : PEER_RAISE_US;
	p->held_us = options->held_us ? options->held_us : PEER_HELD_US;
	p->stalled_us = options->stalled_us ? options->stalled_us : PEER_STALLED_US;
	if (!options->gatt && options->table && options->table->complete)
		p->table = *options->table;
	p->sink = (struct att_sink){
		.done = on_done,
		.value = on_value,
		.changed = on_changed,
		.fault = on_fault,
		.dead = on_dead,
		.user = p,
	};
	att_client_init(&p->client, &p->sink, &p->table, ATT_MTU_MAX,
			(enum att_security)options->required);
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
		session_close(p->session, now_us());
		observe(p, &e);
	}
	session_free(p->session);
	(void)sd_event_source_disable_unref(p->work);
	(void)sd_event_source_disable_unref(p->timer);
	if (!p->dispatching)
		free(p);
}

int peer_raise(struct peer *p, enum bearer_level level)
{
	return ask_raise(p, level);
}

void peer_mtu(struct peer *p)
{
	p->mtu_wanted = true;
	schedule(p);
}

void peer_verify(struct peer *p)
{
	p->stage = STAGE_VERIFYING;
	schedule(p);
}

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
	observe(p, &e);
}

static void inform(struct session *s, const struct peer_driver *d)
{
	if (d->memory)
		session_set_memory(s, d->memory);
	if (d->has_last_record)
		session_set_last_record(s, d->last_record);
	if (d->has_wall)
		session_set_wall(s, d->utc_ms_at_zero);
	if (d->has_zone)
		session_set_zone(s, d->zone_min);
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
	inform(p->session, d);
	observe_open(p, d);
	r = session_open(p->session, security_of(p), now_us());
	settled(p, r);
	schedule(p);
	return spoils_one_frame(r) ? 0 : r;
}

void peer_arm(struct peer *p)
{
	assert(p->session);
	p->stage = STAGE_ARMING;
	schedule(p);
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
		tell(p, DEVICE_ON_COMMITTED, 1);
	}
	settled(p, session_committed(p->session, seq, now_us()));
	schedule(p);
}

void peer_refused(struct peer *p, uint64_t seq)
{
	if (p->pending && seq >= p->first_seq && seq <= p->last_seq)
		fail(p, -EPERM);
}

void peer_wake(struct peer *p)
{
	schedule(p);
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
