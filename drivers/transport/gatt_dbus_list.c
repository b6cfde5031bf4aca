/*
 * The objects of bluetoothd: the list of all, and the signals that change it.
 */
#include <errno.h>
#include <string.h>

#include "drivers/transport/gatt_dbus_objects.h"
#include "drivers/transport/gatt_dbus_private.h"

static void take_attribute(struct gatt_dbus *g, const char *path, const char *interface,
			   const struct gatt_properties *p)
{
	struct gatt_device *d = gatt_device_above(g, path);

	if (!d)
		return;
	if (!(p->seen & GATT_UUID)) {
		g->counts.malformed++;
		return;
	}
	if (strcmp(interface, SERVICE1) == 0 && gatt_is_below(path, d->path, "/service"))
		gatt_add_service(d, path, p);
	else if (strcmp(interface, CHARACTERISTIC1) == 0 && (p->seen & GATT_FLAGS) &&
		 gatt_service_of(d, path))
		gatt_add_chrc(d, path, p);
	else
		g->counts.malformed++;
}

static void take(struct gatt_dbus *g, const char *path, const char *interface,
		 const struct gatt_properties *p)
{
	if (strcmp(interface, ADAPTER1) == 0)
		gatt_take_adapter(g, path, p);
	else if (strcmp(interface, DEVICE1) == 0)
		gatt_take_device(g, path, p);
	else
		take_attribute(g, path, interface, p);
}

static int read_one(struct gatt_dbus *g, sd_bus_message *m, const char *path, const char *interface)
{
	struct gatt_properties p;
	const int r = gatt_properties_read(m, &p);

	if (r < 0)
		return r;
	take(g, path, interface, &p);
	return 1;
}

/* The order of the objects is anybody's guess; a parent is needed before its children. */
static const char *const passes[] = { ADAPTER1, DEVICE1, SERVICE1, CHARACTERISTIC1 };

#define PASSES (sizeof(passes) / sizeof(passes[0]))

struct pass {
	struct gatt_dbus *g;
	const char *interface;
};

static int take_of_pass(void *user, sd_bus_message *m, const char *path, const char *interface)
{
	const struct pass *pass = user;

	return strcmp(interface, pass->interface) == 0 ? read_one(pass->g, m, path, interface) : 0;
}

/* InterfacesAdded */
static int take_new(void *user, sd_bus_message *m, const char *path, const char *interface)
{
	for (size_t i = 0; i < PASSES; i++) {
		if (strcmp(interface, passes[i]) == 0)
			return read_one(user, m, path, interface);
	}
	return 0;
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
		gatt_check_stand(d);
		if (d->link)
			gatt_link_listed(d->link);
	}
}

static int on_list(sd_bus_message *reply, void *user, sd_bus_error *ret_error)
{
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
	for (size_t i = 0; i < PASSES; i++) {
		struct pass pass = { g, passes[i] };

		if (bluez_read_objects(reply, take_of_pass, &pass) < 0) {
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
	if (bluez_method(&g->bluez, "/", MANAGER, "GetManagedObjects", &m) == 0)
		(void)gatt_call(g, m, GATT_DBUS_CALL, &g->list, on_list, g);
	sd_bus_message_unref(m);
}

int gatt_on_added(sd_bus_message *m, void *user, sd_bus_error *ret_error)
{
	struct gatt_dbus *g = user;
	struct gatt_device *d;
	const char *path;

	(void)ret_error;
	if (!bluez_is_from_daemon(&g->bluez, m))
		return 0;
	if (!sd_bus_message_has_signature(m, "oa{sa{sv}}") ||
	    sd_bus_message_read_basic(m, SD_BUS_TYPE_OBJECT_PATH, &path) < 0 ||
	    bluez_read_interfaces(m, path, take_new, g) < 0) {
		g->counts.malformed++;
		return 0;
	}
	d = gatt_device_above(g, path);
	if (d)
		gatt_check_stand(d);
	if (g->list_again)
		gatt_list(g);
	return 0;
}

static void removed(struct gatt_dbus *g, const char *path, const char *interface)
{
	struct gatt_device *d = strcmp(interface, DEVICE1) == 0 ? gatt_device_at(g, path) : NULL;

	if (d) {
		gatt_device_gone(d);
		if (d->link)
			gatt_link_lost(d->link, DEVICE_END_TRANSIENT, -ENOENT);
		return;
	}
	d = gatt_device_above(g, path);
	for (size_t i = 0; d && i < d->n_chrcs; i++) {
		if (strcmp(interface, CHARACTERISTIC1) == 0 && strcmp(d->chrcs[i]->path, path) == 0)
			gatt_remove_chrc(d, i);
	}
	for (size_t i = 0; d && i < d->n_services; i++) {
		if (strcmp(interface, SERVICE1) == 0 && strcmp(d->services[i]->path, path) == 0)
			gatt_remove_service(d, i);
	}
	for (size_t i = 0; i < GATT_ADAPTERS; i++) {
		if (strcmp(interface, ADAPTER1) == 0 && strcmp(g->adapters[i].path, path) == 0)
			g->adapters[i] = (struct gatt_adapter){ 0 };
	}
}

int gatt_on_removed(sd_bus_message *m, void *user, sd_bus_error *ret_error)
{
	struct gatt_dbus *g = user;
	const char *path, *interface;

	(void)ret_error;
	if (!bluez_is_from_daemon(&g->bluez, m))
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
