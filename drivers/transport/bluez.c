#include "drivers/transport/bluez.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define DBUS          "org.freedesktop.DBus"
#define REOPEN_MIN_US INT64_C(100000)
#define REOPEN_MAX_US INT64_C(5000000)

/* ---- bluetoothd ---- */

static void daemon_lost(struct bluez *b)
{
	if (!b->owner[0])
		return;
	b->owner[0] = '\0';
	b->generation++;
	b->handlers.daemon(b->handlers.user, false);
}

static void daemon_came(struct bluez *b, const char *owner)
{
	if (strcmp(b->owner, owner) == 0)
		return;
	daemon_lost(b);
	if (strnlen(owner, sizeof(b->owner)) >= sizeof(b->owner)) {
		(*b->handlers.malformed)++;
		return;
	}
	memcpy(b->owner, owner, strlen(owner) + 1);
	b->generation++;
	b->handlers.daemon(b->handlers.user, true);
}

/* ---- the bus ---- */

static int on_reopen(sd_event_source *source, uint64_t usec, void *user);

static void bus_close(struct bluez *b)
{
	b->ask = sd_bus_slot_unref(b->ask);
	if (b->bus) {
		(void)sd_bus_detach_event(b->bus);
		sd_bus_close(b->bus);
	}
	b->bus = sd_bus_unref(b->bus);
}

static int reopen_in(struct bluez *b, int64_t usec)
{
	int r;

	if (!b->reopen)
		return sd_event_add_time_relative(b->event, &b->reopen, CLOCK_MONOTONIC,
						  (uint64_t)usec, 1000, on_reopen, b);
	r = sd_event_source_set_time_relative(b->reopen, (uint64_t)usec);
	return r < 0 ? r : sd_event_source_set_enabled(b->reopen, SD_EVENT_ONESHOT);
}

/* The connection itself is closed from the loop: we may be in one of its callbacks. */
static void bus_lost(struct bluez *b)
{
	daemon_lost(b);
	b->generation++;
	b->is_up = false;
	if (b->handlers.bus)
		b->handlers.bus(b->handlers.user, false);
	(void)reopen_in(b, b->reopen_us);
	b->reopen_us = b->reopen_us * 2 < REOPEN_MAX_US ? b->reopen_us * 2 : REOPEN_MAX_US;
}

static void bus_answers(struct bluez *b)
{
	if (b->is_up)
		return;
	b->is_up = true;
	b->reopen_us = REOPEN_MIN_US;
	if (b->handlers.bus)
		b->handlers.bus(b->handlers.user, true);
}

static int on_disconnected(sd_bus_message *m, void *user, sd_bus_error *ret_error)
{
	(void)m;
	(void)ret_error;
	bus_lost(user);
	return 0;
}

/* It may come before the answer to the first question. */
static int on_owner(sd_bus_message *m, void *user, sd_bus_error *ret_error)
{
	struct bluez *b = user;
	const char *name, *before, *after;

	(void)ret_error;
	if (sd_bus_message_read(m, "sss", &name, &before, &after) < 0 || strcmp(name, BLUEZ) != 0)
		return 0;
	bus_answers(b);
	if (after[0])
		daemon_came(b, after);
	else
		daemon_lost(b);
	return 0;
}

static int on_first_owner(sd_bus_message *reply, void *user, sd_bus_error *ret_error)
{
	struct bluez *b = user;
	const char *owner;

	(void)ret_error;
	b->ask = sd_bus_slot_unref(b->ask);
	if (sd_bus_message_is_method_error(reply, SD_BUS_ERROR_NO_REPLY) ||
	    sd_bus_message_is_method_error(reply, SD_BUS_ERROR_TIMEOUT)) {
		bus_lost(b);
		return 0;
	}
	bus_answers(b);
	if (!sd_bus_message_get_error(reply) &&
	    sd_bus_message_read_basic(reply, SD_BUS_TYPE_STRING, &owner) > 0)
		daemon_came(b, owner);
	return 0;
}

static int ask_owner(struct bluez *b)
{
	sd_bus_message *m = NULL;
	int r = sd_bus_message_new_method_call(b->bus, &m, DBUS, "/org/freedesktop/DBus", DBUS,
					       "GetNameOwner");

	if (r >= 0)
		r = sd_bus_message_append(m, "s", BLUEZ);
	if (r >= 0)
		r = sd_bus_call_async(b->bus, &b->ask, m, on_first_owner, b, (uint64_t)b->call_us);
	sd_bus_message_unref(m);
	return r;
}

static int connect_bus(struct bluez *b)
{
	int r;

	if (!b->address)
		return sd_bus_open_system(&b->bus);
	r = sd_bus_new(&b->bus);
	if (r >= 0)
		r = sd_bus_set_address(b->bus, b->address);
	if (r >= 0)
		r = sd_bus_set_bus_client(b->bus, 1);
	if (r >= 0)
		r = sd_bus_start(b->bus);
	return r;
}

static int listen_to_bus(struct bluez *b)
{
	static const struct bluez_match row = {
		"type='signal',sender='" DBUS "',interface='" DBUS "',"
		"member='NameOwnerChanged',arg0='" BLUEZ "'",
		on_owner,
	};
	int r = sd_bus_match_signal_async(b->bus, NULL, NULL, "/org/freedesktop/DBus/Local",
					  "org.freedesktop.DBus.Local", "Disconnected",
					  on_disconnected, NULL, b);

	return r < 0 ? r : bluez_match(b, &row, 1, b);
}

static int on_reopen(sd_event_source *source, uint64_t usec, void *user)
{
	struct bluez *b = user;
	int r;

	(void)source;
	(void)usec;
	bus_close(b);
	b->generation++;
	r = connect_bus(b);
	if (r >= 0)
		r = sd_bus_attach_event(b->bus, b->event, SD_EVENT_PRIORITY_NORMAL);
	if (r >= 0)
		r = listen_to_bus(b);
	if (r >= 0)
		r = b->handlers.opened(b->handlers.user);
	if (r >= 0)
		r = ask_owner(b);
	if (r < 0)
		bus_lost(b);
	return 0;
}

/* ---- from outside ---- */

int bluez_start(struct bluez *b, sd_event *event, const char *address, int64_t call_us,
		const struct bluez_handlers *handlers)
{
	int r;

	b->event = sd_event_ref(event);
	b->handlers = *handlers;
	b->call_us = call_us;
	b->reopen_us = REOPEN_MIN_US;
	b->address = address ? strdup(address) : NULL;
	if (address && !b->address)
		return -ENOMEM;
	r = reopen_in(b, 0);
	return r < 0 ? r : 0;
}

void bluez_stop(struct bluez *b)
{
	(void)sd_event_source_disable_unref(b->reopen);
	bus_close(b);
	free(b->address);
	(void)sd_event_unref(b->event);
	*b = (struct bluez){ 0 };
}

int bluez_match(struct bluez *b, const struct bluez_match *rows, size_t n, void *user)
{
	int r = 0;

	for (size_t i = 0; r >= 0 && i < n; i++)
		r = sd_bus_add_match_async(b->bus, NULL, rows[i].rule, rows[i].handler, NULL, user);
	return r < 0 ? r : 0;
}

bool bluez_is_from_daemon(const struct bluez *b, sd_bus_message *m)
{
	const char *sender = sd_bus_message_get_sender(m);

	return sender && b->owner[0] && strcmp(sender, b->owner) == 0;
}

int bluez_method(struct bluez *b, const char *path, const char *interface, const char *member,
		 sd_bus_message **ret)
{
	int r;

	if (!b->bus || !b->owner[0])
		return -ENOTCONN;
	r = sd_bus_message_new_method_call(b->bus, ret, b->owner, path, interface, member);
	return r < 0 ? r : 0;
}

/* ---- values ---- */

int bluez_enter_variant(sd_bus_message *m, const char *type)
{
	const char *contents = NULL;
	char container = 0;
	int r;

	r = sd_bus_message_peek_type(m, &container, &contents);
	if (r < 0)
		return r;
	if (r == 0 || container != 'v' || !contents)
		return -EBADMSG;
	if (strcmp(contents, type) != 0) {
		r = sd_bus_message_skip(m, "v");
		return r < 0 ? r : 0;
	}
	r = sd_bus_message_enter_container(m, 'v', type);
	return r < 0 ? r : 1;
}

int bluez_read_basic(sd_bus_message *m, const char *type, void *ret)
{
	int r = bluez_enter_variant(m, type);

	if (r <= 0)
		return r;
	r = sd_bus_message_read_basic(m, type[0], ret);
	if (r < 0)
		return r;
	r = sd_bus_message_exit_container(m);
	return r < 0 ? r : 1;
}

int bluez_read_bool(sd_bus_message *m, bool *ret)
{
	int value = 0;
	const int r = bluez_read_basic(m, "b", &value);

	if (r > 0)
		*ret = value != 0;
	return r;
}

int bluez_read_address(sd_bus_message *m, struct ble_address *ret)
{
	const char *text = NULL;
	const int r = bluez_read_basic(m, "s", &text);

	if (r <= 0)
		return r;
	return ble_address_parse(text, ret->type, ret) == 0;
}

int bluez_read_address_type(sd_bus_message *m, enum ble_address_type *ret)
{
	const char *text = NULL;
	const int r = bluez_read_basic(m, "s", &text);

	if (r <= 0)
		return r;
	if (strcmp(text, "public") != 0 && strcmp(text, "random") != 0)
		return 0;
	*ret = text[0] == 'r' ? BLE_RANDOM : BLE_PUBLIC;
	return 1;
}

/* ---- objects ---- */

static int read_interface(sd_bus_message *m, const char *path, bluez_interface *take, void *user)
{
	const char *interface;
	int r = sd_bus_message_read_basic(m, SD_BUS_TYPE_STRING, &interface);

	if (r < 0)
		return r;
	r = take(user, m, path, interface);
	return r == 0 ? sd_bus_message_skip(m, "a{sv}") : r;
}

int bluez_read_interfaces(sd_bus_message *m, const char *path, bluez_interface *take, void *user)
{
	int r = sd_bus_message_enter_container(m, SD_BUS_TYPE_ARRAY, "{sa{sv}}");

	if (r < 0)
		return r;
	while ((r = sd_bus_message_enter_container(m, SD_BUS_TYPE_DICT_ENTRY, "sa{sv}")) > 0) {
		r = read_interface(m, path, take, user);
		if (r >= 0)
			r = sd_bus_message_exit_container(m);
		if (r < 0)
			return r;
	}
	return r < 0 ? r : sd_bus_message_exit_container(m);
}

int bluez_read_objects(sd_bus_message *m, bluez_interface *take, void *user)
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
			r = bluez_read_interfaces(m, path, take, user);
		if (r >= 0)
			r = sd_bus_message_exit_container(m);
		if (r < 0)
			return r;
	}
	return r < 0 ? r : sd_bus_message_exit_container(m);
}
