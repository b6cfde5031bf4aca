#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "drivers/transport/bluez.h"
#include "drivers/transport/gatt_dbus_objects.h"
#include "drivers/transport/gatt_dbus_private.h"

#define BLUEZ         "org.bluez"
#define ADAPTER1      "org.bluez.Adapter1"
#define DBUS          "org.freedesktop.DBus"
#define PROPERTIES    "org.freedesktop.DBus.Properties"
#define MANAGER       "org.freedesktop.DBus.ObjectManager"
#define REOPEN_MIN_US INT64_C(100000)
#define REOPEN_MAX_US INT64_C(5000000)

static void check_stand(struct gatt_device *d);
static void remove_chrc(struct gatt_device *d, size_t i);

int64_t gatt_now(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

/* One-shot, `usec` from now; made at its first use. */
static void set_timer(struct gatt_dbus *g, sd_event_source **source, int64_t usec,
		      sd_event_time_handler_t handler)
{
	const uint64_t at = (uint64_t)(gatt_now() + usec);

	if (!*source &&
	    sd_event_add_time(g->event, source, CLOCK_MONOTONIC, at, 1000, handler, g) < 0)
		return;
	(void)sd_event_source_set_time(*source, at);
	(void)sd_event_source_set_enabled(*source, SD_EVENT_ONESHOT);
}

/* ---- calls ---- */

int gatt_method(struct gatt_dbus *g, const char *path, const char *interface, const char *member,
		sd_bus_message **ret)
{
	int r;

	if (!g->bus || !g->owner[0])
		return -ENOTCONN;
	/* to the unique name: what is meant for this daemon never starts another */
	r = sd_bus_message_new_method_call(g->bus, ret, g->owner, path, interface, member);
	return r < 0 ? r : 0;
}

int gatt_call(struct gatt_dbus *g, sd_bus_message *m, int64_t usec, sd_bus_slot **slot,
	      sd_bus_message_handler_t done, void *user)
{
	int r;

	if (g->options.call_us > 0)
		usec = g->options.call_us;
	*slot = sd_bus_slot_unref(*slot);
	r = sd_bus_call_async(g->bus, slot, m, done, user, (uint64_t)usec);
	return r < 0 ? r : 0;
}

void gatt_tell(struct gatt_dbus *g, const char *path, const char *interface, const char *member)
{
	sd_bus_message *m = NULL;

	if (gatt_method(g, path, interface, member, &m) == 0 &&
	    sd_bus_message_set_expect_reply(m, 0) >= 0)
		(void)sd_bus_send(g->bus, m, NULL);
	sd_bus_message_unref(m);
}

/* "Operation failed with ATT error: 0x80", as 5.66 writes what it has no name for */
static uint8_t att_error_in(const char *text)
{
	static const char before[] = "Operation failed with ATT error: 0x";
	const size_t len = sizeof(before) - 1;
	char *end;
	unsigned long error;

	if (!text || strncmp(text, before, len) != 0 || strnlen(text, len + 3) != len + 2)
		return ATT_ERROR_UNLIKELY;
	error = strtoul(text + len, &end, 16);
	return *end || error == 0 ? ATT_ERROR_UNLIKELY : (uint8_t)error;
}

uint8_t gatt_refusal(sd_bus_message *reply)
{
	static const struct {
		const char *name;
		uint8_t refusal;
	} rows[] = {
		{ "org.bluez.Error.NotPermitted", ATT_ERROR_READ_NOT_PERMITTED },
		{ "org.bluez.Error.NotAuthorized", ATT_ERROR_INSUFFICIENT_AUTHORIZATION },
		{ "org.bluez.Error.NotSupported", ATT_ERROR_REQUEST_NOT_SUPPORTED },
		{ "org.bluez.Error.InvalidOffset", ATT_ERROR_INVALID_OFFSET },
		{ "org.bluez.Error.InvalidValueLength", ATT_ERROR_INVALID_LENGTH },
		{ "org.bluez.Error.InvalidArguments", ATT_ERROR_INVALID_LENGTH },
		{ SD_BUS_ERROR_UNKNOWN_OBJECT, ATT_ERROR_ATTRIBUTE_NOT_FOUND },
	};
	const sd_bus_error *error = sd_bus_message_get_error(reply);

	if (!error)
		return 0;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (strcmp(error->name, rows[i].name) == 0)
			return rows[i].refusal;
	}
	return att_error_in(error->message);
}

static bool is_from_daemon(const struct gatt_dbus *g, sd_bus_message *m)
{
	const char *sender = sd_bus_message_get_sender(m);

	return sender && g->owner[0] && strcmp(sender, g->owner) == 0;
}

/* ---- the queue of values ---- */

static bool is_notifying(const struct gatt_chrc *c)
{
	return c->flags & ATT_PROPERTY_NOTIFY; /* with both, bluetoothd chooses this one */
}

static void queue_value(struct gatt_chrc *c, const struct gatt_properties *p)
{
	struct gatt_device *d = c->device;
	struct gatt_entry *e = NULL;

	if (d->queued < GATT_DBUS_QUEUE)
		e = malloc(sizeof(*e) + p->value_len);
	if (!e) {
		d->g->counts.lost++;
		return;
	}
	*e = (struct gatt_entry){ .uuid = c->uuid,
				  .notifies = is_notifying(c),
				  .maybe_echo = d->reading == c,
				  .since = gatt_now(),
				  .len = p->value_len };
	if (e->len > 0)
		memcpy(e->data, p->value, e->len);
	if (d->last)
		d->last->next = e;
	else
		d->first = e;
	d->last = e;
	d->queued++;
	d->g->counts.values++;
	if (!d->table.complete) /* so that it can be told apart even if the link is gone */
		(void)gatt_table_build(d);
}

static void clear_queue(struct gatt_device *d)
{
	while (d->first) {
		struct gatt_entry *e = d->first;

		d->first = e->next;
		free(e);
	}
	d->last = NULL;
	d->queued = 0;
}

static bool is_echo(const struct gatt_entry *e, const uint8_t *data, size_t len)
{
	return e->maybe_echo && data && e->len == len &&
	       (len == 0 || memcmp(e->data, data, len) == 0);
}

/* bluetoothd shows what was read as a change of Value, and sends that before the answer. Exactly
 * one is dropped: the device may have sent the same at the same time. */
void gatt_read_over(struct gatt_device *d, const uint8_t *data, size_t len)
{
	struct gatt_entry **at = &d->first, *before = NULL;
	bool dropped = false;

	d->reading = NULL;
	while (*at) {
		struct gatt_entry *e = *at;

		if (!dropped && is_echo(e, data, len)) {
			*at = e->next;
			if (d->last == e)
				d->last = before;
			free(e);
			d->queued--;
			d->g->counts.echoes++;
			dropped = true;
			continue;
		}
		e->maybe_echo = false;
		before = e;
		at = &e->next;
	}
	if (d->first && d->link)
		gatt_link_value(d->link);
}

/* ---- subscriptions ---- */

static int on_notifying(sd_bus_message *reply, void *user, sd_bus_error *ret_error)
{
	struct gatt_chrc *c = user;
	struct gatt_device *d = c->device;
	const uint8_t refusal = gatt_refusal(reply);

	(void)ret_error;
	c->slot = sd_bus_slot_unref(c->slot);
	c->notify = refusal == 0 ? GATT_NOTIFY_ON : GATT_NOTIFY_OFF; /* the nudge tries again */
	if (d->link)
		gatt_link_subscribed(d->link, c, refusal, refusal == 0 ? 0 : -EREMOTEIO);
	return 0;
}

int gatt_start_notify(struct gatt_chrc *c)
{
	struct gatt_dbus *g = c->device->g;
	sd_bus_message *m = NULL;
	int r = gatt_method(g, c->path, CHARACTERISTIC1, "StartNotify", &m);

	if (r >= 0)
		r = gatt_call(g, m, GATT_DBUS_CALL, &c->slot, on_notifying, c);
	sd_bus_message_unref(m);
	if (r >= 0)
		c->notify = GATT_NOTIFY_ASKED;
	return r;
}

static bool is_channel_of(const struct drv_channel *c, const struct att_uuid *uuid)
{
	if (c->uuid128)
		return memcmp(c->uuid128, uuid->bytes, sizeof(uuid->bytes)) == 0;
	return c->id == att_uuid_16(uuid);
}

static bool is_watched(const struct gatt_device *d, const struct gatt_chrc *c)
{
	if (!d->watched || !(c->flags & GATT_CAN_NOTIFY))
		return false;
	for (const struct drv_channel *ch = d->channels; ch && ch->mode; ch++) {
		if (ch->mode != DRV_READ && ch->mode != DRV_WRITE && is_channel_of(ch, &c->uuid))
			return true;
	}
	return false;
}

static bool is_wanted(const struct gatt_device *d, const struct gatt_chrc *c)
{
	return c->asked_by_link || is_watched(d, c);
}

/* While it is not connected bluetoothd says yes and subscribes when it is. */
static void check_stand(struct gatt_device *d)
{
	for (size_t i = 0; i < d->n_chrcs; i++) {
		struct gatt_chrc *c = d->chrcs[i];

		if (c->notify == GATT_NOTIFY_OFF && is_wanted(d, c))
			(void)gatt_start_notify(c);
	}
}

bool gatt_dbus_stands(const struct gatt_dbus *g, const struct ble_address *address)
{
	const struct gatt_device *d = gatt_device_find(g, address);
	bool any = false;

	for (size_t i = 0; d && i < d->n_chrcs; i++) {
		if (!is_watched(d, d->chrcs[i]))
			continue;
		if (d->chrcs[i]->notify != GATT_NOTIFY_ON)
			return false;
		any = true;
	}
	return any;
}

/* ---- its GATT database ---- */

static bool is_below(const char *path, const char *parent, const char *prefix)
{
	const size_t len = strlen(parent), more = strlen(prefix);

	return len > 0 && strncmp(path, parent, len) == 0 &&
	       strncmp(path + len, prefix, more) == 0 && path[len + more] != '\0' &&
	       !strchr(path + len + 1, '/') && strnlen(path, GATT_PATH) < GATT_PATH;
}

static struct gatt_service *service_of(const struct gatt_device *d, const char *path)
{
	for (size_t i = 0; i < d->n_services; i++) {
		if (is_below(path, d->services[i]->path, "/char"))
			return d->services[i];
	}
	return NULL;
}

static struct gatt_chrc *chrc_at(const struct gatt_device *d, const char *path)
{
	for (size_t i = 0; i < d->n_chrcs; i++) {
		if (strcmp(d->chrcs[i]->path, path) == 0)
			return d->chrcs[i];
	}
	return NULL;
}

struct gatt_chrc *gatt_chrc_by_handle(struct gatt_device *d, uint16_t handle)
{
	for (size_t i = 0; handle != 0 && i < d->n_chrcs; i++) {
		if (d->chrcs[i]->handle == handle)
			return d->chrcs[i];
	}
	return NULL;
}

/* in the order of the paths, which is that of the handles */
static void add_service(struct gatt_device *d, const char *path, const struct gatt_properties *p)
{
	struct gatt_service *s;
	size_t i = 0;

	while (i < d->n_services && strcmp(d->services[i]->path, path) < 0)
		i++;
	if (i < d->n_services && strcmp(d->services[i]->path, path) == 0) {
		d->services[i]->uuid = p->uuid;
		return;
	}
	s = d->n_services < ATT_SERVICES_MAX ? calloc(1, sizeof(*s)) : NULL;
	if (!s) {
		d->g->counts.malformed++;
		return;
	}
	memcpy(s->path, path, strlen(path) + 1);
	s->uuid = p->uuid;
	memmove(&d->services[i + 1], &d->services[i],
		(d->n_services - i) * sizeof(struct gatt_service *));
	d->services[i] = s;
	d->n_services++;
}

static void add_chrc(struct gatt_device *d, const char *path, const struct gatt_properties *p)
{
	struct gatt_chrc *c = chrc_at(d, path);
	size_t i = 0;

	if (c) {
		c->uuid = p->uuid;
		c->flags = p->flags;
		return;
	}
	c = d->n_chrcs < ATT_CHARACTERISTICS_MAX ? calloc(1, sizeof(*c)) : NULL;
	if (!c) {
		d->g->counts.malformed++;
		return;
	}
	c->device = d;
	memcpy(c->path, path, strlen(path) + 1);
	c->uuid = p->uuid;
	c->flags = p->flags;
	while (i < d->n_chrcs && strcmp(d->chrcs[i]->path, path) < 0)
		i++;
	memmove(&d->chrcs[i + 1], &d->chrcs[i], (d->n_chrcs - i) * sizeof(struct gatt_chrc *));
	d->chrcs[i] = c;
	d->n_chrcs++;
}

static void remove_chrc(struct gatt_device *d, size_t i)
{
	struct gatt_chrc *c = d->chrcs[i];

	if (d->link)
		gatt_link_chrc_gone(d->link, c);
	if (d->reading == c)
		gatt_read_over(d, NULL, 0);
	(void)sd_bus_slot_unref(c->slot);
	free(c);
	d->n_chrcs--;
	memmove(&d->chrcs[i], &d->chrcs[i + 1], (d->n_chrcs - i) * sizeof(struct gatt_chrc *));
}

static void remove_service(struct gatt_device *d, size_t i)
{
	free(d->services[i]);
	d->n_services--;
	memmove(&d->services[i], &d->services[i + 1],
		(d->n_services - i) * sizeof(struct gatt_service *));
}

/* Handles of our own making: bluetoothd does not tell them to clients. A service takes one, a
 * characteristic three. */
static int build_service(struct att_table *t, struct gatt_device *d, const struct gatt_service *s,
			 uint16_t *next)
{
	struct att_service service = { .start = *next, .end = *next, .uuid = s->uuid };
	int r;

	for (size_t i = 0; i < d->n_chrcs; i++)
		service.end =
			(uint16_t)(service.end + (service_of(d, d->chrcs[i]->path) == s ? 3 : 0));
	r = att_table_add_service(t, &service);
	for (size_t i = 0; r == 0 && i < d->n_chrcs; i++) {
		struct gatt_chrc *c = d->chrcs[i];
		const struct att_characteristic ch = { .declaration = (uint16_t)(*next + 1),
						       .value = (uint16_t)(*next + 2),
						       .properties = c->flags,
						       .uuid = c->uuid };

		if (service_of(d, c->path) != s)
			continue;
		c->handle = ch.value;
		r = att_table_add_characteristic(t, &ch);
		if (r == 0 && (c->flags & GATT_CAN_NOTIFY))
			r = att_table_set_ccc(t, t->n_characteristics - 1,
					      (uint16_t)(ch.value + 1));
		*next = (uint16_t)(*next + 3);
	}
	*next = (uint16_t)(*next + 1);
	return r;
}

int gatt_table_build(struct gatt_device *d)
{
	struct att_table *t = malloc(sizeof(*t));
	uint16_t next = 1;
	int r = 0;

	if (!t)
		return -ENOMEM;
	att_table_clear(t);
	for (size_t i = 0; i < d->n_chrcs; i++)
		d->chrcs[i]->handle = 0;
	for (size_t i = 0; r == 0 && i < d->n_services; i++)
		r = build_service(t, d, d->services[i], &next);
	if (r == 0) {
		t->complete = true;
		d->table = *t;
	}
	free(t);
	return r;
}

/* ---- devices ---- */

struct gatt_device *gatt_device_find(const struct gatt_dbus *g, const struct ble_address *address)
{
	for (struct gatt_device *d = g->devices; d; d = d->next) {
		if (ble_address_equal(&d->address, address))
			return d;
	}
	return NULL;
}

static struct gatt_device *device_at(const struct gatt_dbus *g, const char *path)
{
	for (struct gatt_device *d = g->devices; d; d = d->next) {
		if (d->path[0] && strcmp(d->path, path) == 0)
			return d;
	}
	return NULL;
}

/* the one to which this object of its database belongs */
static struct gatt_device *device_above(const struct gatt_dbus *g, const char *path)
{
	for (struct gatt_device *d = g->devices; d; d = d->next) {
		const size_t len = strlen(d->path);

		if (len > 0 && strncmp(d->path, path, len) == 0 && path[len] == '/')
			return d;
	}
	return NULL;
}

int gatt_device_get(struct gatt_dbus *g, const struct ble_address *address,
		    struct gatt_device **ret)
{
	struct gatt_device *d = gatt_device_find(g, address);

	if (!d) {
		d = calloc(1, sizeof(*d));
		if (!d)
			return -ENOMEM;
		d->g = g;
		d->address = *address;
		d->next = g->devices;
		g->devices = d;
	}
	*ret = d;
	return 0;
}

/* bluetoothd has none of it any more; what is in the queue, and what it was, stays */
static void device_gone(struct gatt_device *d)
{
	d->path[0] = '\0';
	d->connected = d->resolved = false;
	d->match = sd_bus_slot_unref(d->match);
	while (d->n_chrcs > 0)
		remove_chrc(d, d->n_chrcs - 1);
	while (d->n_services > 0)
		remove_service(d, d->n_services - 1);
}

static void device_free(struct gatt_device *d)
{
	struct gatt_device **at = &d->g->devices;

	while (*at != d)
		at = &(*at)->next;
	*at = d->next;
	for (size_t i = 0; i < d->n_chrcs; i++) {
		if (d->chrcs[i]->notify != GATT_NOTIFY_OFF)
			gatt_tell(d->g, d->chrcs[i]->path, CHARACTERISTIC1, "StopNotify");
	}
	device_gone(d);
	clear_queue(d);
	free(d);
}

void gatt_device_release(struct gatt_device *d)
{
	if (!d->watched && !d->link)
		device_free(d);
}

static void set_connected(struct gatt_device *d, bool connected)
{
	if (d->connected == connected)
		return;
	d->connected = connected;
	if (!connected)
		d->resolved = false;
	if (!d->link)
		return;
	if (connected)
		gatt_link_connected(d->link);
	else if (d->link->is_connected) /* a failed attempt also looks like this for a moment */
		gatt_link_lost(d->link, d->link->connect ? DEVICE_END_TRANSIENT : DEVICE_END_PEER,
			       -ECONNRESET);
}

static void take_flags(struct gatt_device *d, const struct gatt_properties *p)
{
	if (p->seen & GATT_PAIRED)
		d->paired = p->paired;
	if (p->seen & GATT_BONDED)
		d->bonded = p->bonded;
	if (p->seen & GATT_CONNECTED)
		set_connected(d, p->connected);
	if (!(p->seen & GATT_RESOLVED))
		return;
	d->resolved = p->resolved;
	if (d->resolved && d->link)
		gatt_link_resolved(d->link);
}

static void value_changed(struct gatt_chrc *c, const struct gatt_properties *p)
{
	struct gatt_device *d = c->device;
	struct gatt_dbus *g = d->g;

	if (!is_wanted(d, c)) {
		g->counts.strays += d->reading != c;
		return;
	}
	queue_value(c, p);
	if (d->link && !d->link->offline)
		gatt_link_value(d->link);
	else if (!d->link)
		g->waiting(g->user, &d->address);
}

/* PropertiesChanged of a device of ours or below it */
static int on_changed(sd_bus_message *m, void *user, sd_bus_error *ret_error)
{
	struct gatt_device *d = user;
	struct gatt_dbus *g = d->g;
	const char *path = sd_bus_message_get_path(m), *interface;
	struct gatt_properties p;
	struct gatt_chrc *c;

	(void)ret_error;
	if (!is_from_daemon(g, m) || !path)
		return 0;
	if (!sd_bus_message_has_signature(m, "sa{sv}as") ||
	    sd_bus_message_read_basic(m, SD_BUS_TYPE_STRING, &interface) < 0 ||
	    gatt_properties_read(m, &p) < 0) {
		g->counts.malformed++;
		return 0;
	}
	g->counts.malformed += p.malformed;
	if (strcmp(interface, DEVICE1) == 0 && strcmp(path, d->path) == 0) {
		take_flags(d, &p);
		return 0;
	}
	c = strcmp(interface, CHARACTERISTIC1) == 0 ? chrc_at(d, path) : NULL;
	if (c && (p.seen & GATT_VALUE))
		value_changed(c, &p);
	return 0;
}

static int match_device(struct gatt_device *d)
{
	char rule[320];

	(void)snprintf(rule, sizeof(rule),
		       "type='signal',sender='" BLUEZ "',interface='" PROPERTIES
		       "',member='PropertiesChanged',path_namespace='%s'",
		       d->path);
	return sd_bus_add_match_async(d->g->bus, &d->match, rule, on_changed, NULL, d);
}

static const struct ble_address *adapter_of(const struct gatt_dbus *g, const char *path)
{
	for (size_t i = 0; i < GATT_ADAPTERS; i++) {
		if (is_below(path, g->adapters[i].path, "/dev_"))
			return &g->adapters[i].address;
	}
	return NULL;
}

static bool is_on_our_adapter(const struct gatt_dbus *g, const char *path)
{
	const struct ble_address *a = adapter_of(g, path);

	return a && (!g->has_adapter || memcmp(a->bytes, g->adapter.bytes, sizeof(a->bytes)) == 0);
}

/* Signals come only once they are asked for: what changed before that is in a second list. */
static void take_device(struct gatt_dbus *g, const char *path, const struct gatt_properties *p)
{
	struct gatt_device *d;

	if (!(p->seen & GATT_ADDRESS) || !is_on_our_adapter(g, path))
		return;
	d = gatt_device_find(g, &p->address);
	if (!d)
		return;
	if (strcmp(d->path, path) != 0) {
		device_gone(d);
		memcpy(d->path, path, strlen(path) + 1);
		if (match_device(d) < 0) {
			device_gone(d);
			return;
		}
		g->list_again = true;
	}
	take_flags(d, p);
}

static void take_adapter(struct gatt_dbus *g, const char *path, const struct gatt_properties *p)
{
	struct gatt_adapter *free_one = NULL;

	if (!(p->seen & GATT_ADDRESS) || strnlen(path, GATT_PATH) >= GATT_PATH)
		return;
	for (size_t i = 0; i < GATT_ADAPTERS; i++) {
		struct gatt_adapter *a = &g->adapters[i];

		if (strcmp(a->path, path) == 0) {
			a->address = p->address;
			return;
		}
		if (!a->path[0] && !free_one)
			free_one = a;
	}
	if (!free_one)
		return;
	memcpy(free_one->path, path, strlen(path) + 1);
	free_one->address = p->address;
}

static void take_attribute(struct gatt_dbus *g, const char *path, const char *interface,
			   const struct gatt_properties *p)
{
	struct gatt_device *d = device_above(g, path);

	if (!d)
		return;
	if (!(p->seen & GATT_UUID)) {
		g->counts.malformed++;
		return;
	}
	if (strcmp(interface, SERVICE1) == 0 && is_below(path, d->path, "/service"))
		add_service(d, path, p);
	else if (strcmp(interface, CHARACTERISTIC1) == 0 && (p->seen & GATT_FLAGS) &&
		 service_of(d, path))
		add_chrc(d, path, p);
	else
		g->counts.malformed++;
}

/* ---- objects ---- */

enum pass {
	PASS_ADAPTERS = 1,
	PASS_DEVICES = 2,
	PASS_SERVICES = 4,
	PASS_CHARACTERISTICS = 8,
	PASS_ALL = 15
};

static unsigned int pass_of(const char *interface)
{
	static const struct {
		const char *name;
		enum pass pass;
	} rows[] = {
		{ ADAPTER1, PASS_ADAPTERS },
		{ DEVICE1, PASS_DEVICES },
		{ SERVICE1, PASS_SERVICES },
		{ CHARACTERISTIC1, PASS_CHARACTERISTICS },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (strcmp(interface, rows[i].name) == 0)
			return rows[i].pass;
	}
	return 0;
}

static int read_interface(struct gatt_dbus *g, sd_bus_message *m, const char *path,
			  const char *interface, unsigned int passes)
{
	const unsigned int pass = pass_of(interface) & passes;
	struct gatt_properties p;
	int r;

	if (pass == 0)
		return sd_bus_message_skip(m, "a{sv}");
	r = gatt_properties_read(m, &p);
	if (r < 0)
		return r;
	if (pass == PASS_ADAPTERS)
		take_adapter(g, path, &p);
	else if (pass == PASS_DEVICES)
		take_device(g, path, &p);
	else
		take_attribute(g, path, interface, &p);
	return 0;
}

/* a{sa{sv}} of one path */
static int read_interfaces(struct gatt_dbus *g, sd_bus_message *m, const char *path,
			   unsigned int passes)
{
	const char *interface;
	int r = sd_bus_message_enter_container(m, SD_BUS_TYPE_ARRAY, "{sa{sv}}");

	if (r < 0)
		return r;
	while ((r = sd_bus_message_enter_container(m, SD_BUS_TYPE_DICT_ENTRY, "sa{sv}")) > 0) {
		r = sd_bus_message_read_basic(m, SD_BUS_TYPE_STRING, &interface);
		if (r >= 0)
			r = read_interface(g, m, path, interface, passes);
		if (r >= 0)
			r = sd_bus_message_exit_container(m);
		if (r < 0)
			return r;
	}
	return r < 0 ? r : sd_bus_message_exit_container(m);
}

static int read_list(struct gatt_dbus *g, sd_bus_message *m, unsigned int passes)
{
	const char *path;
	int r = sd_bus_message_rewind(m, 1);

	if (r >= 0)
		r = sd_bus_message_enter_container(m, SD_BUS_TYPE_ARRAY, "{oa{sa{sv}}}");
	if (r < 0)
		return r;
	while ((r = sd_bus_message_enter_container(m, SD_BUS_TYPE_DICT_ENTRY, "oa{sa{sv}}")) > 0) {
		r = sd_bus_message_read_basic(m, SD_BUS_TYPE_OBJECT_PATH, &path);
		if (r >= 0)
			r = read_interfaces(g, m, path, passes);
		if (r >= 0)
			r = sd_bus_message_exit_container(m);
		if (r < 0)
			return r;
	}
	return r;
}

static void after_list(struct gatt_dbus *g)
{
	struct gatt_device *next;

	if (g->list_again) {
		gatt_list(g);
		return;
	}
	g->listed = true;
	for (struct gatt_device *d = g->devices; d; d = next) {
		next = d->next;
		check_stand(d);
		if (d->link)
			gatt_link_listed(d->link);
	}
}

/* The order of the objects is anybody's guess; a parent is needed before its children. */
static int on_list(sd_bus_message *reply, void *user, sd_bus_error *ret_error)
{
	static const unsigned int passes[] = { PASS_ADAPTERS, PASS_DEVICES, PASS_SERVICES,
					       PASS_CHARACTERISTICS };
	struct gatt_dbus *g = user;

	(void)ret_error;
	g->list = sd_bus_slot_unref(g->list);
	g->list_again = false;
	if (sd_bus_message_get_error(reply))
		return 0; /* the nudge asks again */
	if (!sd_bus_message_has_signature(reply, "a{oa{sa{sv}}}")) {
		g->counts.malformed++;
		return 0;
	}
	for (size_t i = 0; i < sizeof(passes) / sizeof(passes[0]); i++) {
		if (read_list(g, reply, passes[i]) < 0) {
			g->counts.malformed++;
			return 0;
		}
	}
	after_list(g);
	return 0;
}

void gatt_list(struct gatt_dbus *g)
{
	sd_bus_message *m = NULL;

	g->listed = false;
	if (g->list) { /* that answer may have left without what is asked for now */
		g->list_again = true;
		return;
	}
	if (gatt_method(g, "/", MANAGER, "GetManagedObjects", &m) == 0)
		(void)gatt_call(g, m, GATT_DBUS_CALL, &g->list, on_list, g);
	sd_bus_message_unref(m);
}

static int on_added(sd_bus_message *m, void *user, sd_bus_error *ret_error)
{
	struct gatt_dbus *g = user;
	struct gatt_device *d;
	const char *path;

	(void)ret_error;
	if (!is_from_daemon(g, m))
		return 0;
	if (!sd_bus_message_has_signature(m, "oa{sa{sv}}") ||
	    sd_bus_message_read_basic(m, SD_BUS_TYPE_OBJECT_PATH, &path) < 0 ||
	    read_interfaces(g, m, path, PASS_ALL) < 0) {
		g->counts.malformed++;
		return 0;
	}
	d = device_above(g, path);
	if (d)
		check_stand(d);
	if (g->list_again)
		gatt_list(g);
	return 0;
}

static void removed(struct gatt_dbus *g, const char *path, const char *interface)
{
	struct gatt_device *d = strcmp(interface, DEVICE1) == 0 ? device_at(g, path) : NULL;

	if (d) {
		device_gone(d);
		if (d->link)
			gatt_link_lost(d->link, DEVICE_END_TRANSIENT, -ENOENT);
		return;
	}
	d = device_above(g, path);
	for (size_t i = 0; d && i < d->n_chrcs; i++) {
		if (strcmp(interface, CHARACTERISTIC1) == 0 && strcmp(d->chrcs[i]->path, path) == 0)
			remove_chrc(d, i);
	}
	for (size_t i = 0; d && i < d->n_services; i++) {
		if (strcmp(interface, SERVICE1) == 0 && strcmp(d->services[i]->path, path) == 0)
			remove_service(d, i);
	}
	for (size_t i = 0; i < GATT_ADAPTERS; i++) {
		if (strcmp(interface, ADAPTER1) == 0 && strcmp(g->adapters[i].path, path) == 0)
			g->adapters[i] = (struct gatt_adapter){ 0 };
	}
}

static int on_removed(sd_bus_message *m, void *user, sd_bus_error *ret_error)
{
	struct gatt_dbus *g = user;
	const char *path, *interface;

	(void)ret_error;
	if (!is_from_daemon(g, m))
		return 0;
	if (!sd_bus_message_has_signature(m, "oas") ||
	    sd_bus_message_read_basic(m, SD_BUS_TYPE_OBJECT_PATH, &path) < 0 ||
	    sd_bus_message_enter_container(m, SD_BUS_TYPE_ARRAY, "s") < 0) {
		g->counts.malformed++;
		return 0;
	}
	while (sd_bus_message_read_basic(m, SD_BUS_TYPE_STRING, &interface) > 0)
		removed(g, path, interface);
	return 0;
}

/* ---- bluetoothd and the bus ---- */

static void daemon_lost(struct gatt_dbus *g)
{
	g->owner[0] = '\0';
	g->list = sd_bus_slot_unref(g->list);
	g->listed = g->list_again = false;
	memset(g->adapters, 0, sizeof(g->adapters));
	for (struct gatt_device *d = g->devices; d; d = d->next) {
		device_gone(d);
		if (d->link && d->link->begun)
			gatt_link_lost(d->link, DEVICE_END_TRANSIENT, -EPIPE);
	}
}

static void daemon_came(struct gatt_dbus *g, const char *owner)
{
	if (strcmp(g->owner, owner) == 0)
		return;
	daemon_lost(g);
	if (strnlen(owner, sizeof(g->owner)) >= sizeof(g->owner)) {
		g->counts.malformed++;
		return;
	}
	memcpy(g->owner, owner, strlen(owner) + 1);
	gatt_list(g);
}

static int on_owner(sd_bus_message *m, void *user, sd_bus_error *ret_error)
{
	struct gatt_dbus *g = user;
	const char *name, *before, *after;

	(void)ret_error;
	if (sd_bus_message_read(m, "sss", &name, &before, &after) < 0 || strcmp(name, BLUEZ) != 0)
		return 0;
	if (after[0])
		daemon_came(g, after);
	else
		daemon_lost(g);
	return 0;
}

static int on_reopen(sd_event_source *source, uint64_t usec, void *user);

/* The connection itself is closed from the loop: we may be in one of its callbacks. */
static void bus_lost(struct gatt_dbus *g)
{
	daemon_lost(g);
	set_timer(g, &g->reopen, g->reopen_us, on_reopen);
	g->reopen_us = g->reopen_us * 2 < REOPEN_MAX_US ? g->reopen_us * 2 : REOPEN_MAX_US;
}

static int on_disconnected(sd_bus_message *m, void *user, sd_bus_error *ret_error)
{
	(void)m;
	(void)ret_error;
	bus_lost(user);
	return 0;
}

static int on_first_owner(sd_bus_message *reply, void *user, sd_bus_error *ret_error)
{
	struct gatt_dbus *g = user;
	const char *owner;

	(void)ret_error;
	g->ask = sd_bus_slot_unref(g->ask);
	if (sd_bus_message_is_method_error(reply, SD_BUS_ERROR_NO_REPLY)) {
		bus_lost(g);
		return 0;
	}
	g->reopen_us = REOPEN_MIN_US;
	if (!sd_bus_message_get_error(reply) &&
	    sd_bus_message_read_basic(reply, SD_BUS_TYPE_STRING, &owner) > 0)
		daemon_came(g, owner);
	return 0;
}

static int bus_match(struct gatt_dbus *g)
{
	static const struct {
		const char *rule;
		sd_bus_message_handler_t handler;
	} rows[] = {
		{ "type='signal',sender='" DBUS "',interface='" DBUS "',"
		  "member='NameOwnerChanged',arg0='" BLUEZ "'",
		  on_owner },
		{ "type='signal',sender='" BLUEZ "',interface='" MANAGER "',"
		  "member='InterfacesAdded'",
		  on_added },
		{ "type='signal',sender='" BLUEZ "',interface='" MANAGER "',"
		  "member='InterfacesRemoved'",
		  on_removed },
	};
	int r;

	r = sd_bus_match_signal_async(g->bus, NULL, NULL, "/org/freedesktop/DBus/Local",
				      "org.freedesktop.DBus.Local", "Disconnected", on_disconnected,
				      NULL, g);
	for (size_t i = 0; r >= 0 && i < sizeof(rows) / sizeof(rows[0]); i++)
		r = sd_bus_add_match_async(g->bus, NULL, rows[i].rule, rows[i].handler, NULL, g);
	return r;
}

static int ask_owner(struct gatt_dbus *g)
{
	sd_bus_message *m = NULL;
	int r = sd_bus_message_new_method_call(g->bus, &m, DBUS, "/org/freedesktop/DBus", DBUS,
					       "GetNameOwner");

	if (r >= 0)
		r = sd_bus_message_append(m, "s", BLUEZ);
	if (r >= 0)
		r = gatt_call(g, m, GATT_DBUS_CALL, &g->ask, on_first_owner, g);
	sd_bus_message_unref(m);
	return r;
}

static void bus_close(struct gatt_dbus *g)
{
	g->ask = sd_bus_slot_unref(g->ask);
	if (g->bus) {
		(void)sd_bus_detach_event(g->bus);
		sd_bus_close(g->bus);
	}
	g->bus = sd_bus_unref(g->bus);
}

static int on_reopen(sd_event_source *source, uint64_t usec, void *user)
{
	struct gatt_dbus *g = user;
	int r;

	(void)source;
	(void)usec;
	daemon_lost(g);
	bus_close(g);
	r = bluez_bus_open(g->bus_address, &g->bus);
	if (r >= 0)
		r = sd_bus_attach_event(g->bus, g->event, SD_EVENT_PRIORITY_NORMAL);
	if (r >= 0)
		r = bus_match(g);
	if (r >= 0)
		r = ask_owner(g);
	if (r < 0)
		bus_lost(g);
	return 0;
}

/* ---- what is due again and again ---- */

static int64_t nudge_us(const struct gatt_dbus *g)
{
	return g->options.nudge_us > 0 ? g->options.nudge_us : GATT_DBUS_NUDGE;
}

static int on_nudge(sd_event_source *source, uint64_t usec, void *user)
{
	struct gatt_dbus *g = user;
	struct gatt_device *next;

	(void)source;
	(void)usec;
	if (g->owner[0] && !g->listed && !g->list)
		gatt_list(g);
	for (struct gatt_device *d = g->devices; d; d = next) {
		next = d->next;
		check_stand(d);
		if (!d->link && d->queued > 0)
			g->waiting(g->user, &d->address);
	}
	set_timer(g, &g->nudge, nudge_us(g), on_nudge);
	return 0;
}

/* ---- from outside ---- */

int gatt_dbus_new(sd_event *event, const struct gatt_dbus_options *options,
		  gatt_dbus_waiting *waiting, void *user, struct gatt_dbus **ret)
{
	struct gatt_dbus *g = calloc(1, sizeof(*g));

	if (!g)
		return -ENOMEM;
	g->event = sd_event_ref(event);
	g->options = *options;
	g->waiting = waiting;
	g->user = user;
	g->reopen_us = REOPEN_MIN_US;
	g->bus_address = options->bus_address ? strdup(options->bus_address) : NULL;
	if (options->bus_address && !g->bus_address) {
		gatt_dbus_free(g);
		return -ENOMEM;
	}
	set_timer(g, &g->reopen, 0, on_reopen);
	set_timer(g, &g->nudge, nudge_us(g), on_nudge);
	*ret = g;
	return 0;
}

void gatt_dbus_free(struct gatt_dbus *g)
{
	if (!g)
		return;
	g->owner[0] = '\0'; /* with the connection bluetoothd ends the subscriptions */
	while (g->devices) {
		assert(!g->devices->link);
		device_free(g->devices);
	}
	(void)sd_event_source_disable_unref(g->reopen);
	(void)sd_event_source_disable_unref(g->nudge);
	g->list = sd_bus_slot_unref(g->list);
	bus_close(g);
	(void)sd_event_unref(g->event);
	free(g->bus_address);
	free(g);
}

void gatt_dbus_adapter(struct gatt_dbus *g, const struct ble_address *address)
{
	if (g->has_adapter && memcmp(g->adapter.bytes, address->bytes, sizeof(address->bytes)) == 0)
		return;
	g->has_adapter = true;
	g->adapter = *address;
	for (struct gatt_device *d = g->devices; d; d = d->next) {
		if (d->path[0] && !is_on_our_adapter(g, d->path))
			device_gone(d);
	}
	gatt_list(g);
}

int gatt_dbus_watch(struct gatt_dbus *g, const struct ble_address *address,
		    const struct drv_channel *channels)
{
	struct gatt_device *d = NULL;
	const int r = gatt_device_get(g, address, &d);

	if (r < 0)
		return r;
	d->watched = true;
	d->channels = channels;
	if (d->path[0])
		check_stand(d);
	else
		gatt_list(g);
	return 0;
}

void gatt_dbus_unwatch(struct gatt_dbus *g, const struct ble_address *address)
{
	struct gatt_device *d = gatt_device_find(g, address);

	if (!d)
		return;
	d->watched = false;
	d->channels = NULL;
	gatt_device_release(d);
}

const struct gatt_dbus_counts *gatt_dbus_counts(const struct gatt_dbus *g)
{
	return &g->counts;
}
