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
		gatt_take_adapter(g, path, &p);
	else if (pass == PASS_DEVICES)
		gatt_take_device(g, path, &p);
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
		gatt_check_stand(d);
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
	    read_interfaces(g, m, path, PASS_ALL) < 0) {
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
