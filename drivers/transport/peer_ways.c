/*
 * The two ways to the device's attributes: an ATT client on a bearer of our own, or bluetoothd
 * (gatt_dbus.h). What comes over either is noted down here, and acted upon when it has returned.
 */
#include <errno.h>
#include <string.h>

#include "drivers/transport/peer_private.h"

#define PROPERTY_WRITE_NO_RESPONSE 0x04
#define PROPERTY_WRITE             0x08

#define DEPARTED_US INT64_C(5000000) /* for what the driver still waits to put together */

/* ---- what is asked ---- */

int peer_ask_discover(struct peer *p)
{
	return p->remote ? gatt_dbus_discover(p->remote, &p->table)
			 : att_client_discover(&p->client, 0);
}

int peer_ask_read(struct peer *p, uint16_t handle)
{
	return p->remote ? gatt_dbus_read(p->remote, handle)
			 : att_client_read(&p->client, handle, 0);
}

int peer_ask_subscribe(struct peer *p, const struct att_characteristic *ch)
{
	return p->remote ? gatt_dbus_subscribe(p->remote, ch->value)
			 : att_client_subscribe(&p->client, ch, true, 0);
}

int peer_ask_write(struct peer *p, const struct att_characteristic *ch, const struct request *q)
{
	const bool response =
		(ch->properties & PROPERTY_WRITE) || !(ch->properties & PROPERTY_WRITE_NO_RESPONSE);

	if (p->remote)
		return gatt_dbus_write(p->remote, ch->value, q->data, q->len, response);
	if (response)
		return att_client_write(&p->client, ch->value, q->data, q->len, 0);
	return att_client_write_command(&p->client, ch->value, q->data, q->len, 0);
}

int peer_ask_raise(struct peer *p, enum bearer_level level)
{
	return p->remote ? gatt_dbus_pair(p->remote) : bearer_raise(p->bearer, level);
}

/* ---- what the ATT client says ---- */

static void on_done(void *user, const struct att_result *result)
{
	struct peer *p = user;

	p->has_result = true;
	p->result = *result;
	if (result->len > 0)
		memcpy(p->result_data, result->data, result->len);
	p->result.data = p->result_data;
}

/* The last one's confirmation still waits here: the peer did not wait for it, and would now take
 * it for the one that just came. */
static bool came_too_early(const struct peer *p, const struct att_notice *notice)
{
	return notice->indication && p->out_len > 0 && p->out[0] == ATT_CONFIRMATION;
}

static void on_value(void *user, const struct att_notice *notice)
{
	struct peer *p = user;
	struct value *v;

	if (notice->in_clear) {
		peer_tell(p, DEVICE_ON_IN_CLEAR, notice->indication);
		return;
	}
	if (came_too_early(p, notice)) {
		p->out_len = 0;
		peer_fail(p, -EPROTO);
		return;
	}
	if (p->n_values == PEER_INBOX) {
		peer_fail(p, -ENOBUFS);
		return;
	}
	v = &p->inbox[(p->first_value + p->n_values++) % PEER_INBOX];
	v->handle = notice->handle;
	v->indication = notice->indication;
	v->stream = !notice->indication;
	v->level = p->pdu_level;
	v->since = peer_now();
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
		peer_fail(p, r);
}

static void on_dead(void *user, int r)
{
	peer_fail(user, r);
}

/* ---- the bearer ---- */

static void send_pending(struct peer *p)
{
	/* -EAGAIN: on_writable() comes; any other error: the bearer says that it is lost */
	if (p->out_len > 0 && bearer_send(p->bearer, p->out, p->out_len) != -EAGAIN)
		p->out_len = 0;
}

void peer_flush(struct peer *p, int64_t now)
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

/* Notifications cannot wait in the peer, only on the way: better there than nowhere. */
void peer_look_hold(struct peer *p)
{
	const bool hold = p->n_values > PEER_INBOX / 2 && p->session && !p->ended;

	if (hold == p->holds)
		return;
	p->holds = hold;
	bearer_hold(p->bearer, hold);
}

static void on_connected(void *user, enum bearer_level level)
{
	struct peer *p = user;

	p->up = true;
	p->level = level;
	peer_tell(p, DEVICE_ON_CONNECTED, level);
	peer_pump(p);
}

static void on_pdu(void *user, const uint8_t *data, size_t len, enum bearer_level level)
{
	struct peer *p = user;

	if (p->ended)
		return;
	p->pdu_level = level; /* of this one: the link may have more by now */
	att_client_set_security(&p->client, (enum att_security)level);
	(void)att_client_receive(&p->client, data, len, peer_now());
	if (p->stage == STAGE_VERIFYING || p->stage == STAGE_ARMING)
		peer_tell(p, DEVICE_ON_READING, 0); /* progress */
	peer_pump(p);
}

static void on_level(void *user, enum bearer_level level)
{
	struct peer *p = user;

	p->level = level;
	peer_tell(p, DEVICE_ON_LEVEL, level);
	p->raising = false;
	peer_pump(p);
}

static void on_writable(void *user)
{
	peer_pump(user);
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

	peer_end(p, end_of(p, how, error), error);
	p->up = false;
	peer_set_timer(p);
}

/* ---- the remote link ---- */

/* Of a remote link that is over: all that it caught is handed on first. What there is no room for
 * stays in its queue. */
void peer_look_departed(struct peer *p, int64_t now)
{
	const bool caught = p->n_values > 0 || gatt_dbus_queued(p->remote) > 0;

	if (p->standing) {
		if (caught && p->handlers.has_room(p->handlers.user))
			return;
		if (p->pending ||
		    (p->driver_deadline != PEER_NEVER && now < p->departed_at + DEPARTED_US))
			return;
	}
	peer_end(p, p->departed_how, p->departed_error);
}

/* Whether it is encrypted bluetoothd does not tell: that there is a bond is all that is known. */
static void on_remote_connected(void *user, bool bonded)
{
	struct peer *p = user;

	p->up = true;
	p->level = bonded ? BEARER_ENCRYPTED : BEARER_CLEAR;
	if (p->required > BEARER_CLEAR && !bonded)
		peer_end(p, DEVICE_END_AUTH, -EACCES);
	else
		peer_tell(p, DEVICE_ON_CONNECTED, p->level > p->required ? p->level : p->required);
	peer_pump(p);
}

static void on_remote_bonded(void *user)
{
	on_level(user, BEARER_ENCRYPTED);
}

static void on_remote_progress(struct peer *p)
{
	if (p->stage == STAGE_VERIFYING || p->stage == STAGE_ARMING)
		peer_tell(p, DEVICE_ON_READING, 0);
	peer_pump(p);
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
	p->departed_at = peer_now();
	p->departed_how = how;
	p->departed_error = error;
	peer_pump(p);
}

/* ---- the link begins ---- */

static void client_init(struct peer *p)
{
	p->sink = (struct att_sink){
		.done = on_done,
		.value = on_value,
		.changed = on_changed,
		.fault = on_fault,
		.dead = on_dead,
		.user = p,
	};
	att_client_init(&p->client, &p->sink, &p->table, ATT_MTU_MAX,
			(enum att_security)p->required);
}

int peer_link_up(struct peer *p, sd_event *event, const struct peer_options *options)
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

	client_init(p);
	if (options->gatt)
		return gatt_dbus_link_new(options->gatt, &options->bearer.peer, &remote,
					  &p->remote);
	return bearer_new(event, &options->bearer, &handlers, &p->bearer);
}
