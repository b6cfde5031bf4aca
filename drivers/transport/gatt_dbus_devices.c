/*
 * The devices that are watched or linked, and what bluetoothd says of them.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "drivers/transport/gatt_dbus_objects.h"
#include "drivers/transport/gatt_dbus_private.h"

struct gatt_device *gatt_device_find(const struct gatt_dbus *g, const struct ble_address *address)
{
	for (struct gatt_device *d = g->devices; d; d = d->next) {
		if (ble_address_equal(&d->address, address))
			return d;
	}
	return NULL;
}

struct gatt_device *gatt_device_at(const struct gatt_dbus *g, const char *path)
{
	for (struct gatt_device *d = g->devices; d; d = d->next) {
		if (d->path[0] && strcmp(d->path, path) == 0)
			return d;
	}
	return NULL;
}

/* the one to which this object of its database belongs */
struct gatt_device *gatt_device_above(const struct gatt_dbus *g, const char *path)
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
void gatt_device_gone(struct gatt_device *d)
{
	d->path[0] = '\0';
	d->connected = d->resolved = false;
	d->match = sd_bus_slot_unref(d->match);
	while (d->n_chrcs > 0)
		gatt_remove_chrc(d, d->n_chrcs - 1);
	while (d->n_services > 0)
		gatt_remove_service(d, d->n_services - 1);
}

void gatt_device_free(struct gatt_device *d)
{
	struct gatt_device **at = &d->g->devices;

	while (*at != d)
		at = &(*at)->next;
	*at = d->next;
	for (size_t i = 0; i < d->n_chrcs; i++) {
		if (d->chrcs[i]->notify != GATT_NOTIFY_OFF)
			gatt_tell(d->g, d->chrcs[i]->path, CHARACTERISTIC1, "StopNotify");
	}
	gatt_device_gone(d);
	gatt_queue_clear(d);
	free(d);
}

void gatt_device_release(struct gatt_device *d)
{
	if (!d->watched && !d->link)
		gatt_device_free(d);
}

/* ---- what is said of one ---- */

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

	if (!gatt_is_wanted(d, c)) {
		g->counts.strays += d->reading != c;
		return;
	}
	gatt_queue_value(c, p);
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
	if (!bluez_is_from_daemon(&g->bluez, m) || !path)
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
	c = strcmp(interface, CHARACTERISTIC1) == 0 ? gatt_chrc_at(d, path) : NULL;
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
	return sd_bus_add_match_async(d->g->bluez.bus, &d->match, rule, on_changed, NULL, d);
}

/* ---- on which adapter ---- */

static const struct ble_address *adapter_of(const struct gatt_dbus *g, const char *path)
{
	for (size_t i = 0; i < GATT_ADAPTERS; i++) {
		if (gatt_is_below(path, g->adapters[i].path, "/dev_"))
			return &g->adapters[i].address;
	}
	return NULL;
}

bool gatt_is_on_our_adapter(const struct gatt_dbus *g, const char *path)
{
	const struct ble_address *a = adapter_of(g, path);

	return a && (!g->has_adapter || memcmp(a->bytes, g->adapter.bytes, sizeof(a->bytes)) == 0);
}

/* Signals come only once they are asked for: what changed before that is in a second list. */
void gatt_take_device(struct gatt_dbus *g, const char *path, const struct gatt_properties *p)
{
	struct gatt_device *d;

	if (!(p->seen & GATT_ADDRESS) || !gatt_is_on_our_adapter(g, path))
		return;
	d = gatt_device_find(g, &p->address);
	if (!d)
		return;
	if (strcmp(d->path, path) != 0) {
		gatt_device_gone(d);
		memcpy(d->path, path, strlen(path) + 1);
		if (match_device(d) < 0) {
			gatt_device_gone(d);
			return;
		}
		g->list_again = true;
	}
	take_flags(d, p);
}

void gatt_take_adapter(struct gatt_dbus *g, const char *path, const struct gatt_properties *p)
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
