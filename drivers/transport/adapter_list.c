/*
 * The objects of bluetoothd: the list of all, and the signals that change it.
 */
#include <string.h>

#include "drivers/transport/adapter_private.h"

#define LIST_US INT64_C(2000000) /* until the objects are asked for again */

/* ---- the list of all objects ---- */

/* The order of the objects is anybody's guess; our adapter is needed before its devices. */
static int take_adapters(void *user, sd_bus_message *m, const char *path, const char *interface)
{
	if (strcmp(interface, ADAPTER1) != 0)
		return 0;
	seen_read(user, m, path);
	return 1;
}

static int take_devices(void *user, sd_bus_message *m, const char *path, const char *interface)
{
	if (strcmp(interface, DEVICE1) != 0 || !devices_is_own(user, path))
		return 0;
	devices_read(user, m, path, false);
	return 1;
}

/* InterfacesAdded */
static int take_new(void *user, sd_bus_message *m, const char *path, const char *interface)
{
	if (strcmp(interface, DEVICE1) != 0 || !devices_is_own(user, path))
		return take_adapters(user, m, path, interface);
	devices_read(user, m, path, true);
	return 1;
}

static int on_list_again(sd_event_source *source, uint64_t usec, void *user)
{
	(void)source;
	(void)usec;
	adapter_list(user);
	return 0;
}

static void on_list(struct adapter *a, sd_bus_message *reply, const char *error, void *user)
{
	(void)user;
	if (error || !sd_bus_message_has_signature(reply, "a{oa{sa{sv}}}")) {
		a->counts.failed_calls++;
		adapter_timer(a, &a->list, LIST_US, on_list_again);
		return;
	}
	if (bluez_read_objects(reply, take_adapters, a) < 0) {
		a->counts.malformed++;
		return;
	}
	seen_choose(a);
	if (bluez_read_objects(reply, take_devices, a) < 0)
		a->counts.malformed++;
	else
		devices_reconcile(a);
}

void adapter_list(struct adapter *a)
{
	sd_bus_message *m = NULL;
	int r;

	r = bluez_method(&a->bluez, "/", MANAGER, "GetManagedObjects", &m);
	if (r >= 0)
		r = adapter_call(a, m, on_list, NULL);
	sd_bus_message_unref(m);
	if (r < 0 && a->bluez.owner[0])
		adapter_timer(a, &a->list, LIST_US, on_list_again);
}

/* ---- signals ---- */

int adapter_on_added(sd_bus_message *m, void *user, sd_bus_error *ret_error)
{
	struct adapter *a = user;
	const char *path;

	(void)ret_error;
	if (!bluez_is_from_daemon(&a->bluez, m))
		return 0;
	if (!sd_bus_message_has_signature(m, "oa{sa{sv}}") ||
	    sd_bus_message_read_basic(m, 'o', &path) < 0 ||
	    bluez_read_interfaces(m, path, take_new, a) < 0) {
		a->counts.malformed++;
		return 0;
	}
	if (!a->own) {
		seen_choose(a);
		/* its devices may have been announced before it */
		if (a->own)
			adapter_list(a);
	}
	return 0;
}

int adapter_on_removed(sd_bus_message *m, void *user, sd_bus_error *ret_error)
{
	struct adapter *a = user;
	const char *path, *interface;

	(void)ret_error;
	if (!bluez_is_from_daemon(&a->bluez, m))
		return 0;
	if (!sd_bus_message_has_signature(m, "oas") ||
	    sd_bus_message_read_basic(m, 'o', &path) < 0 ||
	    sd_bus_message_enter_container(m, 'a', "s") < 0) {
		a->counts.malformed++;
		return 0;
	}
	while (sd_bus_message_read_basic(m, 's', &interface) > 0) {
		if (strcmp(interface, DEVICE1) == 0)
			devices_removed(a, path);
		else if (strcmp(interface, ADAPTER1) == 0)
			seen_removed(a, path);
	}
	return 0;
}

int adapter_on_changed(sd_bus_message *m, void *user, sd_bus_error *ret_error)
{
	struct adapter *a = user;
	const char *path = sd_bus_message_get_path(m), *interface;
	struct adapter_seen *seen;

	(void)ret_error;
	if (!bluez_is_from_daemon(&a->bluez, m) || !path)
		return 0;
	if (!sd_bus_message_has_signature(m, "sa{sv}as") ||
	    sd_bus_message_read_basic(m, 's', &interface) < 0) {
		a->counts.malformed++;
		return 0;
	}
	seen = seen_find(a, path);
	if (strcmp(interface, DEVICE1) == 0 && devices_is_own(a, path))
		devices_changed(a, m, path);
	else if (strcmp(interface, ADAPTER1) == 0 && seen)
		seen_changed(a, m, seen);
	return 0;
}
