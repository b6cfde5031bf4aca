/*
 * The bus, the bluetoothd on it, and calls to it.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "drivers/transport/adapter_private.h"
#include "drivers/transport/bluez.h"

#define CALL_US       INT64_C(5000000)
#define REOPEN_MIN_US INT64_C(100000)
#define REOPEN_MAX_US INT64_C(5000000)
#define DBUS          "org.freedesktop.DBus"

static void bus_lost(struct adapter *a);

/* ---- calls ---- */

struct call {
	struct adapter *a;
	uint64_t generation;
	int64_t since;
	call_done *done;
	void *user;
	bool is_owed; /* done is also called for an older generation, and user is freed with this */
};

bool adapter_error_is(const char *error, const char *name)
{
	static const char prefix[] = "org.bluez.Error.";

	return error && strncmp(error, prefix, sizeof(prefix) - 1) == 0 &&
	       strcmp(error + sizeof(prefix) - 1, name) == 0;
}

bool adapter_error_is_timeout(const char *error)
{
	return error && (strcmp(error, SD_BUS_ERROR_NO_REPLY) == 0 ||
			 strcmp(error, SD_BUS_ERROR_TIMEOUT) == 0);
}

static int64_t call_us(const struct adapter *a)
{
	return a->options.call_timeout_us > 0 ? a->options.call_timeout_us : CALL_US;
}

/* The daemon's death ends its calls with the same error, but sooner. */
static void mind_slowness(struct adapter *a, const struct call *call, const char *error)
{
	if (adapter_error_is_timeout(error) && adapter_now(a) - call->since >= call_us(a))
		adapter_post(a, LADDER_DOUBT);
}

static int on_reply(sd_bus_message *m, void *user, sd_bus_error *ret_error)
{
	const struct call *call = user;
	struct adapter *a = call->a;
	const sd_bus_error *error = sd_bus_message_get_error(m);
	const char *name = error ? error->name : NULL;

	(void)ret_error;
	if (call->generation != a->generation) {
		if (call->is_owed)
			call->done(a, m, ADAPTER_STALE, call->user);
		return 0;
	}
	mind_slowness(a, call, name);
	call->done(a, m, name, call->user);
	return 0;
}

static void call_free(void *user)
{
	struct call *call = user;

	if (call->is_owed)
		free(call->user);
	free(call);
}

static int call_send(struct adapter *a, sd_bus_message *m, const struct call *what)
{
	struct call *call = malloc(sizeof(*call));
	sd_bus_slot *slot = NULL;
	int r;

	if (!call)
		return -ENOMEM;
	*call = *what;
	call->a = a;
	call->generation = a->generation;
	call->since = adapter_now(a);
	r = sd_bus_call_async(a->bus, &slot, m, on_reply, call, (uint64_t)call_us(a));
	if (r < 0) {
		free(call);
		return r;
	}
	(void)sd_bus_slot_set_destroy_callback(slot, call_free);
	(void)sd_bus_slot_set_floating(slot, 1);
	sd_bus_slot_unref(slot);
	return 0;
}

int adapter_call(struct adapter *a, sd_bus_message *m, call_done *done, void *user)
{
	return call_send(a, m, &(struct call){ .done = done, .user = user });
}

int adapter_call_owed(struct adapter *a, sd_bus_message *m, call_done *done, void *user)
{
	return call_send(a, m, &(struct call){ .done = done, .user = user, .is_owed = true });
}

int adapter_method(struct adapter *a, const char *path, const char *interface, const char *member,
		   sd_bus_message **ret)
{
	int r;

	if (!a->bus || !a->owner[0])
		return -ENOTCONN;
	/* to the unique name: what is meant for this daemon never starts another */
	r = sd_bus_message_new_method_call(a->bus, ret, a->owner, path, interface, member);
	return r < 0 ? r : 0;
}

int adapter_own_call(struct adapter *a, const char *member, call_done *done, void *user)
{
	sd_bus_message *m = NULL;
	int r;

	if (!a->own)
		return -ENODEV;
	r = adapter_method(a, a->own->path, ADAPTER1, member, &m);
	if (r >= 0)
		r = adapter_call(a, m, done, user);
	sd_bus_message_unref(m);
	return r;
}

int adapter_own_set(struct adapter *a, const char *property, bool value, call_done *done,
		    void *user)
{
	sd_bus_message *m = NULL;
	int r;

	if (!a->own)
		return -ENODEV;
	r = adapter_method(a, a->own->path, PROPERTIES, "Set", &m);
	if (r >= 0)
		r = sd_bus_message_append(m, "ssv", ADAPTER1, property, "b", (int)value);
	if (r >= 0)
		r = adapter_call(a, m, done, user);
	sd_bus_message_unref(m);
	return r;
}

bool adapter_is_from_daemon(const struct adapter *a, sd_bus_message *m)
{
	const char *sender = sd_bus_message_get_sender(m);

	return sender && a->owner[0] && strcmp(sender, a->owner) == 0;
}

/* ---- bluetoothd and the bus ---- */

static void daemon_lost(struct adapter *a)
{
	if (!a->owner[0])
		return;
	a->owner[0] = '\0';
	a->generation++;
	a->own = NULL;
	a->fetching = 0;
	memset(a->seen, 0, sizeof(a->seen));
	devices_mark_stale(a);
	adapter_timer_stop(a->list);
	scan_lost(a, true);
	rung_lost(a, true);
	agent_lost(a);
	adapter_post(a, LADDER_DAEMON_DOWN);
}

static void daemon_came(struct adapter *a, const char *owner)
{
	if (strcmp(a->owner, owner) == 0)
		return;
	daemon_lost(a);
	if (strnlen(owner, sizeof(a->owner)) >= sizeof(a->owner)) {
		a->counts.malformed++;
		return;
	}
	memcpy(a->owner, owner, strlen(owner) + 1);
	a->generation++;
	a->counts.restarts_of_bluetoothd += a->had_daemon;
	a->had_daemon = true;
	adapter_post(a, LADDER_DAEMON_UP);
	agent_register(a);
	adapter_list(a);
}

static int on_owner(sd_bus_message *m, void *user, sd_bus_error *ret_error)
{
	struct adapter *a = user;
	const char *name, *before, *after;

	(void)ret_error;
	if (sd_bus_message_read(m, "sss", &name, &before, &after) < 0 || strcmp(name, BLUEZ) != 0)
		return 0;
	if (after[0])
		daemon_came(a, after);
	else
		daemon_lost(a);
	return 0;
}

static void on_first_owner(struct adapter *a, sd_bus_message *reply, const char *error, void *user)
{
	const char *owner;

	(void)user;
	if (adapter_error_is_timeout(error)) {
		bus_lost(a);
		return;
	}
	a->reopen_us = REOPEN_MIN_US;
	adapter_post(a, LADDER_BUS_UP);
	if (!error && sd_bus_message_read_basic(reply, 's', &owner) > 0)
		daemon_came(a, owner);
}

static int on_disconnected(sd_bus_message *m, void *user, sd_bus_error *ret_error)
{
	(void)m;
	(void)ret_error;
	bus_lost(user);
	return 0;
}

static int bus_match(struct adapter *a)
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
		  adapter_on_added },
		{ "type='signal',sender='" BLUEZ "',interface='" MANAGER "',"
		  "member='InterfacesRemoved'",
		  adapter_on_removed },
		/* not those of GATT: readings of others pass there */
		{ "type='signal',sender='" BLUEZ "',interface='" PROPERTIES "',"
		  "member='PropertiesChanged',arg0='" DEVICE1 "'",
		  adapter_on_changed },
		{ "type='signal',sender='" BLUEZ "',interface='" PROPERTIES "',"
		  "member='PropertiesChanged',arg0='" ADAPTER1 "'",
		  adapter_on_changed },
	};
	int r;

	r = sd_bus_match_signal_async(a->bus, NULL, NULL, "/org/freedesktop/DBus/Local",
				      "org.freedesktop.DBus.Local", "Disconnected", on_disconnected,
				      NULL, a);
	for (size_t i = 0; r >= 0 && i < sizeof(rows) / sizeof(rows[0]); i++)
		r = sd_bus_add_match_async(a->bus, NULL, rows[i].rule, rows[i].handler, NULL, a);
	return r;
}

static int ask_owner(struct adapter *a)
{
	sd_bus_message *m = NULL;
	int r;

	r = sd_bus_message_new_method_call(a->bus, &m, DBUS, "/org/freedesktop/DBus", DBUS,
					   "GetNameOwner");
	if (r >= 0)
		r = sd_bus_message_append(m, "s", BLUEZ);
	if (r >= 0)
		r = adapter_call(a, m, on_first_owner, NULL);
	sd_bus_message_unref(m);
	return r;
}

void adapter_bus_close(struct adapter *a)
{
	if (a->bus) {
		(void)sd_bus_detach_event(a->bus);
		sd_bus_close(a->bus);
	}
	a->bus = sd_bus_unref(a->bus);
}

static int on_reopen(sd_event_source *source, uint64_t usec, void *user)
{
	struct adapter *a = user;
	int r;

	(void)source;
	(void)usec;
	adapter_bus_close(a);
	a->generation++;
	r = bluez_bus_open(a->bus_address, &a->bus);
	if (r >= 0)
		r = sd_bus_attach_event(a->bus, a->event, SD_EVENT_PRIORITY_NORMAL);
	if (r >= 0)
		r = bus_match(a);
	if (r >= 0)
		r = agent_export(a);
	if (r >= 0)
		r = ask_owner(a);
	if (r < 0)
		bus_lost(a);
	return 0;
}

/* The connection itself is closed from the loop: we may be in one of its callbacks. */
static void bus_lost(struct adapter *a)
{
	daemon_lost(a);
	a->generation++;
	adapter_post(a, LADDER_BUS_DOWN);
	adapter_timer(a, &a->reopen, a->reopen_us, on_reopen);
	a->reopen_us = a->reopen_us * 2 < REOPEN_MAX_US ? a->reopen_us * 2 : REOPEN_MAX_US;
}

void adapter_bus_open(struct adapter *a)
{
	a->reopen_us = REOPEN_MIN_US;
	adapter_timer(a, &a->reopen, 0, on_reopen);
}
