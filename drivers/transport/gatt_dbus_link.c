#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "drivers/transport/gatt_dbus_private.h"

/* ---- what is told, one thing at a time, because the link may be freed in each ---- */

static bool is_due(const struct gatt_dbus_link *l)
{
	return l->tell_connected || l->tell_bonded || l->tell_result || l->tell_value ||
	       l->tell_lost;
}

static void schedule(struct gatt_dbus_link *l)
{
	(void)sd_event_source_set_enabled(l->defer, SD_EVENT_ONESHOT);
}

static void tell_result(struct gatt_dbus_link *l)
{
	const struct att_result result = l->result;

	l->tell_result = false;
	l->handlers.done(l->handlers.user, &result);
}

/* Each case ends with its handler. */
static int on_defer(sd_event_source *source, void *user)
{
	struct gatt_dbus_link *l = user;

	(void)source;
	if (!is_due(l))
		return 0;
	schedule(l); /* for the next one; once too often does no harm */
	if (l->tell_connected) {
		l->tell_connected = false;
		l->handlers.connected(l->handlers.user, l->device->bonded || l->device->paired);
	} else if (l->tell_bonded) {
		l->tell_bonded = false;
		l->handlers.bonded(l->handlers.user);
	} else if (l->tell_lost) {
		l->tell_lost = false;
		l->handlers.lost(l->handlers.user, l->end, l->error);
	} else if (l->tell_result) {
		tell_result(l);
	} else {
		l->tell_value = false;
		l->handlers.value(l->handlers.user);
	}
	return 0;
}

/* ---- jobs ---- */

static void finish(struct gatt_dbus_link *l, int error, uint8_t refusal)
{
	if (!l->busy)
		return;
	l->busy = l->discovering = false;
	l->subscribing = NULL;
	l->call = sd_bus_slot_unref(l->call);
	l->result.error = error;
	l->result.refusal = refusal;
	l->tell_result = true;
	schedule(l);
}

static int begin(struct gatt_dbus_link *l, enum att_kind kind, uint16_t handle)
{
	if (l->busy || l->tell_result)
		return -EBUSY;
	l->result = (struct att_result){ .kind = kind, .handle = handle, .data = l->data };
	return 0;
}

static void finish_by(struct gatt_dbus_link *l, sd_bus_message *reply)
{
	const uint8_t refusal = gatt_refusal(reply);
	const bool late = sd_bus_message_is_method_error(reply, SD_BUS_ERROR_NO_REPLY) ||
			  sd_bus_message_is_method_error(reply, SD_BUS_ERROR_TIMEOUT);

	if (late)
		finish(l, -ETIMEDOUT, 0);
	else if (refusal != 0)
		finish(l, -EREMOTEIO, refusal);
	else
		finish(l, 0, 0);
}

void gatt_link_resolved(struct gatt_dbus_link *l)
{
	int r;

	if (!l->discovering)
		return;
	r = gatt_table_build(l->device);
	if (r == 0)
		*l->table = l->device->table;
	finish(l, r, 0);
}

/* for what is in the queue: its database as it was last known */
static void finish_by_memory(struct gatt_dbus_link *l)
{
	*l->table = l->device->table;
	finish(l, 0, 0);
}

int gatt_dbus_discover(struct gatt_dbus_link *l, struct att_table *table)
{
	int r = begin(l, ATT_DO_DISCOVER, 0);

	if (r < 0)
		return r;
	if (l->is_lost && !l->device->table.complete)
		return -ENOTCONN;
	l->busy = l->discovering = true;
	l->table = table;
	if (l->is_lost) {
		finish_by_memory(l);
	} else if (l->device->resolved) {
		gatt_link_resolved(l);
	}
	return 0;
}

static int on_read(sd_bus_message *reply, void *user, sd_bus_error *ret_error)
{
	struct gatt_dbus_link *l = user;
	const void *data = NULL;
	size_t len = 0;

	(void)ret_error;
	if (sd_bus_message_get_error(reply)) {
		gatt_read_over(l->device, NULL, 0);
		finish_by(l, reply);
		return 0;
	}
	if (!sd_bus_message_has_signature(reply, "ay") ||
	    sd_bus_message_read_array(reply, SD_BUS_TYPE_BYTE, &data, &len) < 0 ||
	    len > sizeof(l->data)) {
		l->g->counts.malformed++;
		gatt_read_over(l->device, NULL, 0);
		finish(l, -EBADMSG, 0);
		return 0;
	}
	if (len > 0)
		memcpy(l->data, data, len);
	l->result.len = len;
	gatt_read_over(l->device, l->data, len);
	finish(l, 0, 0);
	return 0;
}

/* ReadValue and WriteValue of a characteristic; the message is made, its arguments are not */
static int begin_call(struct gatt_dbus_link *l, enum att_kind kind, uint16_t handle,
		      const char *member, struct gatt_chrc **ret_chrc, sd_bus_message **ret)
{
	struct gatt_chrc *c = gatt_chrc_by_handle(l->device, handle);
	int r = begin(l, kind, handle);

	if (r < 0)
		return r;
	if (l->is_lost || !c)
		return -ENOTCONN;
	*ret_chrc = c;
	return bluez_method(&l->g->bluez, c->path, CHARACTERISTIC1, member, ret);
}

int gatt_dbus_read(struct gatt_dbus_link *l, uint16_t handle)
{
	sd_bus_message *m = NULL;
	struct gatt_chrc *c = NULL;
	int r = begin_call(l, ATT_DO_READ, handle, "ReadValue", &c, &m);

	if (r >= 0)
		r = sd_bus_message_append(m, "a{sv}", 0);
	if (r >= 0)
		r = gatt_call(l->g, m, GATT_DBUS_CALL, &l->call, on_read, l);
	sd_bus_message_unref(m);
	if (r < 0)
		return r;
	l->busy = true;
	l->device->reading = c;
	return 0;
}

static int on_written(sd_bus_message *reply, void *user, sd_bus_error *ret_error)
{
	(void)ret_error;
	finish_by(user, reply);
	return 0;
}

int gatt_dbus_write(struct gatt_dbus_link *l, uint16_t handle, const uint8_t *data, size_t len,
		    bool response)
{
	sd_bus_message *m = NULL;
	struct gatt_chrc *c = NULL;
	int r = begin_call(l, response ? ATT_DO_WRITE : ATT_DO_COMMAND, handle, "WriteValue", &c,
			   &m);

	if (r >= 0)
		r = sd_bus_message_append_array(m, SD_BUS_TYPE_BYTE, data, len);
	if (r >= 0)
		r = sd_bus_message_append(m, "a{sv}", 1, "type", "s",
					  response ? "request" : "command");
	if (r >= 0)
		r = gatt_call(l->g, m, GATT_DBUS_CALL, &l->call, on_written, l);
	sd_bus_message_unref(m);
	if (r < 0)
		return r;
	l->busy = true;
	return 0;
}

void gatt_link_subscribed(struct gatt_dbus_link *l, struct gatt_chrc *c, uint8_t refusal, int error)
{
	if (l->subscribing == c)
		finish(l, error, refusal);
}

int gatt_dbus_subscribe(struct gatt_dbus_link *l, uint16_t handle)
{
	struct gatt_chrc *c = gatt_chrc_by_handle(l->device, handle);
	int r = begin(l, ATT_DO_WRITE, handle);

	if (r < 0)
		return r;
	if (l->is_lost || !c)
		return -ENOTCONN;
	if (!(c->flags & GATT_CAN_NOTIFY))
		return -ENOTSUP;
	c->asked_by_link = true;
	if (c->notify == GATT_NOTIFY_OFF)
		r = gatt_start_notify(c);
	if (r < 0)
		return r;
	l->busy = true;
	l->subscribing = c;
	if (c->notify == GATT_NOTIFY_ON)
		finish(l, 0, 0);
	return 0;
}

void gatt_link_chrc_gone(struct gatt_dbus_link *l, const struct gatt_chrc *c)
{
	if (l->subscribing == c)
		finish(l, -ECANCELED, 0);
}

/* ---- the link ---- */

void gatt_link_connected(struct gatt_dbus_link *l)
{
	if (!l->begun || l->is_connected || l->is_lost)
		return;
	l->is_connected = l->tell_connected = true;
	schedule(l);
}

void gatt_link_value(struct gatt_dbus_link *l)
{
	l->tell_value = true;
	schedule(l);
}

void gatt_link_lost(struct gatt_dbus_link *l, enum device_end end, int error)
{
	if (l->is_lost)
		return;
	l->connect = sd_bus_slot_unref(l->connect);
	l->pair = sd_bus_slot_unref(l->pair);
	/* What was caught is handed on all the same: nobody can send it again. */
	if (l->device->queued > 0 && l->device->table.complete) {
		if (!l->is_connected)
			l->is_connected = l->tell_connected = true;
		if (l->discovering)
			finish_by_memory(l);
	}
	finish(l, -ECANCELED, 0);
	l->is_lost = l->tell_lost = true;
	l->end = end;
	l->error = error;
	schedule(l);
}

/* The text of an error says nothing: 5.66 has one for all causes, and success for some failures.
 * Connected alone says whether there is a link. */
static int on_connect(sd_bus_message *reply, void *user, sd_bus_error *ret_error)
{
	struct gatt_dbus_link *l = user;

	(void)ret_error;
	l->connect = sd_bus_slot_unref(l->connect);
	if (!sd_bus_message_get_error(reply) || l->device->connected)
		return 0; /* or Connected comes, or the caller's time is over */
	if (sd_bus_message_is_method_error(reply, SD_BUS_ERROR_NO_REPLY))
		gatt_link_lost(l, DEVICE_END_TIMEOUT, -ETIMEDOUT);
	else
		gatt_link_lost(l, DEVICE_END_TRANSIENT, -ECONNABORTED);
	return 0;
}

void gatt_link_listed(struct gatt_dbus_link *l)
{
	sd_bus_message *m = NULL;
	int r;

	if (l->begun || l->is_lost)
		return;
	if (!l->device->path[0]) { /* nobody has heard it: to be looked for, not its fault */
		gatt_link_lost(l, DEVICE_END_TRANSIENT, -ENOENT);
		return;
	}
	r = bluez_method(&l->g->bluez, l->device->path, DEVICE1, "Connect", &m);
	if (r >= 0)
		r = gatt_call(l->g, m, GATT_DBUS_CONNECT, &l->connect, on_connect, l);
	sd_bus_message_unref(m);
	if (r < 0) {
		gatt_link_lost(l, DEVICE_END_TRANSIENT, r);
		return;
	}
	l->begun = true;
	if (l->device->connected)
		gatt_link_connected(l);
}

static int on_paired(sd_bus_message *reply, void *user, sd_bus_error *ret_error)
{
	struct gatt_dbus_link *l = user;

	(void)ret_error;
	l->pair = sd_bus_slot_unref(l->pair);
	if (sd_bus_message_get_error(reply) &&
	    !sd_bus_message_is_method_error(reply, "org.bluez.Error.AlreadyExists"))
		return 0;
	l->tell_bonded = true;
	schedule(l);
	return 0;
}

int gatt_dbus_pair(struct gatt_dbus_link *l)
{
	sd_bus_message *m = NULL;
	int r;

	if (!l->is_connected || l->is_lost)
		return -ENOTCONN;
	if (l->pair)
		return 0;
	r = bluez_method(&l->g->bluez, l->device->path, DEVICE1, "Pair", &m);
	if (r >= 0)
		r = gatt_call(l->g, m, GATT_DBUS_PAIR, &l->pair, on_paired, l);
	sd_bus_message_unref(m);
	return r < 0 ? r : 0;
}

static void start(struct gatt_dbus_link *l)
{
	const struct gatt_device *d = l->device;

	if (d->queued > 0 && !d->connected && d->table.complete) {
		l->offline = true;
		gatt_link_lost(l, DEVICE_END_PEER, -ECONNRESET);
	} else if (d->path[0]) {
		gatt_link_listed(l);
	} else {
		gatt_list(l->g);
	}
}

int gatt_dbus_link_new(struct gatt_dbus *g, const struct ble_address *address,
		       const struct gatt_dbus_handlers *handlers, struct gatt_dbus_link **ret)
{
	struct gatt_device *d = NULL;
	struct gatt_dbus_link *l;
	int r = gatt_device_get(g, address, &d);

	if (r < 0)
		return r;
	if (d->link)
		return -EBUSY;
	l = calloc(1, sizeof(*l));
	r = l ? sd_event_add_defer(g->event, &l->defer, on_defer, l) : -ENOMEM;
	if (r >= 0)
		r = sd_event_source_set_enabled(l->defer, SD_EVENT_OFF);
	if (r < 0) {
		if (l)
			(void)sd_event_source_disable_unref(l->defer);
		free(l);
		gatt_device_release(d);
		return r;
	}
	l->g = g;
	l->device = d;
	l->handlers = *handlers;
	d->link = l;
	start(l);
	*ret = l;
	return 0;
}

void gatt_dbus_link_free(struct gatt_dbus_link *l)
{
	struct gatt_device *d;

	if (!l)
		return;
	d = l->device;
	(void)sd_event_source_disable_unref(l->defer);
	(void)sd_bus_slot_unref(l->connect);
	(void)sd_bus_slot_unref(l->pair);
	(void)sd_bus_slot_unref(l->call);
	if (d->reading) /* nobody will say any more which value was the echo */
		gatt_read_over(d, NULL, 0);
	d->link = NULL;
	if (d->path[0] && (d->connected || (l->begun && !l->is_lost)))
		gatt_tell(l->g, d->path, DEVICE1, "Disconnect");
	gatt_device_release(d);
	free(l);
}

bool gatt_dbus_peek(const struct gatt_dbus_link *l, struct gatt_dbus_value *ret)
{
	const struct gatt_entry *e = l->device->first;

	if (!e || e->maybe_echo)
		return false;
	*ret = (struct gatt_dbus_value){ .uuid = e->uuid,
					 .notifies = e->notifies,
					 .since = e->since,
					 .data = e->data,
					 .len = e->len };
	return true;
}

void gatt_dbus_taken(struct gatt_dbus_link *l)
{
	struct gatt_device *d = l->device;
	struct gatt_entry *e = d->first;

	assert(e && !e->maybe_echo);
	d->first = e->next;
	if (!d->first)
		d->last = NULL;
	d->queued--;
	free(e);
}

size_t gatt_dbus_queued(const struct gatt_dbus_link *l)
{
	return l->device->queued;
}
