/*
 * What is asked of the device, one job at a time: its database, its channels, and then what the
 * driver wants.
 */
#include <errno.h>
#include <string.h>

#include "drivers/transport/peer_private.h"

#define DISCOVERIES   3
#define DATABASE_HASH 0x2b2a
#define PROPERTY_READ 0x02

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

const struct drv_channel *peer_channel_by_handle(const struct peer *p, uint16_t handle)
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

/* ---- the database ---- */

static void begin(struct peer *p, enum job job, int r)
{
	if (r < 0)
		peer_fail(p, r);
	else
		p->job = job;
}

static void discover(struct peer *p)
{
	if (p->discoveries++ == DISCOVERIES)
		peer_fail(p, -ESTALE);
	else
		begin(p, JOB_DISCOVER, peer_ask_discover(p));
}

static void verified(struct peer *p)
{
	p->stage = STAGE_IDLE;
	peer_tell(p, DEVICE_ON_VERIFIED, 0);
}

static bool believes_table(const struct peer *p)
{
	return p->table.complete && (p->bonded || !characteristic_16(p, PEER_SERVICE_CHANGED));
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
		peer_fail(p, result->error);
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

/* The peer says it once: forgotten first, then confirmed. */
void peer_service_changed(struct peer *p)
{
	if (!p->changed || p->ended)
		return;
	p->changed = false;
	if (p->handlers.table(p->handlers.user, NULL) < 0) {
		peer_fail(p, -EIO);
		return;
	}
	(void)att_client_confirm(&p->client, p->changed_handle);
	if (p->session) /* its handles may be others now: the next link finds them */
		peer_fail(p, -ESTALE);
}

/* ---- the channels ---- */

/* false: this channel is to be left out */
static bool begin_channel(struct peer *p, const struct drv_channel *c)
{
	const struct att_characteristic *ch = characteristic_of(p, c);
	int r;

	if (p->departed)
		return false;
	if (!ch || c->mode == DRV_WRITE) {
		if (!ch && !c->optional)
			peer_fail(p, -ENODEV);
		return false;
	}
	if (c->mode == DRV_READ) {
		if (!(ch->properties & PROPERTY_READ) && c->optional)
			return false;
		begin(p, JOB_CHANNEL, peer_ask_read(p, ch->value));
		return true;
	}
	r = peer_ask_subscribe(p, ch);
	if (r == -ENOTSUP && c->optional)
		return false;
	begin(p, JOB_CHANNEL, r);
	return true;
}

static bool begin_changed(struct peer *p)
{
	const struct att_characteristic *ch = characteristic_16(p, PEER_SERVICE_CHANGED);

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
	peer_tell(p, DEVICE_ON_ARMED, 0);
}

static void channel_done(struct peer *p, const struct att_result *result, int64_t now)
{
	const struct drv_channel *c = p->channel++;
	const struct drv_frame frame = { c->id, result->data, result->len };

	if (result->error == 0 && c->mode == DRV_READ) {
		peer_observe_value(p, CAP_FRAME, c->id, result->data, result->len);
		peer_settled(p, session_frame(p->session, &frame, false, now));
	} else if (result->error == -EREMOTEIO && result->refusal == ATT_ERROR_INVALID_HANDLE) {
		(void)p->handlers.table(p->handlers.user, NULL); /* it was of another database */
		peer_fail(p, -ESTALE);
	} else if (result->error < 0 && !c->optional && !p->departed) {
		peer_fail(p, result->error);
	}
}

/* ---- what the driver wants ---- */

static uint8_t refusal_of(const struct att_result *result)
{
	if (result->error == -EREMOTEIO)
		return result->refusal;
	return result->error == -EMSGSIZE ? ATT_ERROR_INVALID_LENGTH : ATT_ERROR_UNLIKELY;
}

static void drop_request(struct peer *p)
{
	p->first_request = (p->first_request + 1) % PEER_REQUESTS;
	p->n_requests--;
}

static void refuse(struct peer *p, uint16_t channel, uint8_t error, int64_t now)
{
	peer_settled(p, session_refused(p->session, channel, error, now));
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
		peer_observe_value(p, CAP_READ, q->channel, NULL, 0);
		r = peer_ask_read(p, ch->value);
	} else {
		peer_observe_value(p, CAP_WRITE, q->channel, q->data, q->len);
		r = peer_ask_write(p, ch, q);
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
		peer_observe_value(p, CAP_FRAME, frame.channel, result->data, result->len);
		peer_settled(p, session_frame(p->session, &frame, false, now));
	}
	peer_tell(p, DEVICE_ON_READING, 0);
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
		peer_end(p, DEVICE_END_AUTH, -EACCES);
		return true;
	}
	p->raised = p->raising = true;
	p->raise_until = now + p->raise_us;
	if (bearer_raise(p->bearer, p->level + 1) < 0)
		peer_end(p, DEVICE_END_AUTH, -EACCES);
	return true;
}

/* ---- one after the other ---- */

void peer_take_result(struct peer *p, int64_t now)
{
	const enum job job = p->job;
	const struct att_result *result = &p->result;

	p->has_result = false;
	p->job = JOB_NONE;
	if (p->ended || raise_for(p, job, result, now))
		return;
	switch (job) {
	case JOB_MTU:
		peer_tell(p, DEVICE_ON_MTU, 0);
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

void peer_next_job(struct peer *p, int64_t now)
{
	if (p->ended || p->job != JOB_NONE || p->has_result || p->raising || !p->up)
		return;
	if (p->mtu_wanted) {
		p->mtu_wanted = false;
		if (p->remote)
			peer_tell(p, DEVICE_ON_MTU, 0);
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
