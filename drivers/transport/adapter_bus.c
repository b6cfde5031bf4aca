/*
 * The bus, the bluetoothd on it, and calls to it.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "drivers/transport/adapter_private.h"

/* The kernel works off its commands one by one, and was seen to wait its 2 s for an event that had
 * come already, twice in a row. */
#define CALL_US INT64_C(12000000)

/* ---- calls ---- */

struct call {
	struct adapter *a;
	uint64_t generation;
	int64_t since;
	char member[24];
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
	if (!adapter_error_is_timeout(error) || adapter_now(a) - call->since < call_us(a))
		return;
	(void)snprintf(a->why, sizeof(a->why), "%s is not answered", call->member);
	adapter_post(a, LADDER_DOUBT);
}

static int on_reply(sd_bus_message *m, void *user, sd_bus_error *ret_error)
{
	const struct call *call = user;
	struct adapter *a = call->a;
	const sd_bus_error *error = sd_bus_message_get_error(m);
	const char *name = error ? error->name : NULL;

	(void)ret_error;
	if (call->generation != a->bluez.generation) {
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
	call->generation = a->bluez.generation;
	call->since = adapter_now(a);
	(void)snprintf(call->member, sizeof(call->member), "%s", sd_bus_message_get_member(m));
	r = sd_bus_call_async(a->bluez.bus, &slot, m, on_reply, call, (uint64_t)call_us(a));
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

int adapter_own_call(struct adapter *a, const char *member, call_done *done, void *user)
{
	sd_bus_message *m = NULL;
	int r;

	if (!a->own)
		return -ENODEV;
	r = bluez_method(&a->bluez, a->own->path, ADAPTER1, member, &m);
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
	r = bluez_method(&a->bluez, a->own->path, PROPERTIES, "Set", &m);
	if (r >= 0)
		r = sd_bus_message_append(m, "ssv", ADAPTER1, property, "b", (int)value);
	if (r >= 0)
		r = adapter_call(a, m, done, user);
	sd_bus_message_unref(m);
	return r;
}

/* ---- bluetoothd and the bus ---- */

static void daemon_lost(struct adapter *a)
{
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

static void daemon_came(struct adapter *a)
{
	a->counts.restarts_of_bluetoothd += a->had_daemon;
	a->had_daemon = true;
	adapter_post(a, LADDER_DAEMON_UP);
	agent_register(a);
	adapter_list(a);
}

static void on_daemon(void *user, bool is_up)
{
	if (is_up)
		daemon_came(user);
	else
		daemon_lost(user);
}

static void on_bus(void *user, bool is_up)
{
	adapter_post(user, is_up ? LADDER_BUS_UP : LADDER_BUS_DOWN);
}

static int on_opened(void *user)
{
	static const struct bluez_match rows[] = {
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
	struct adapter *a = user;
	const int r = bluez_match(&a->bluez, rows, sizeof(rows) / sizeof(rows[0]), a);

	return r < 0 ? r : agent_export(a);
}

int adapter_bus_start(struct adapter *a, const char *address)
{
	const struct bluez_handlers handlers = {
		.opened = on_opened,
		.bus = on_bus,
		.daemon = on_daemon,
		.user = a,
		.malformed = &a->counts.malformed,
	};

	return bluez_start(&a->bluez, a->event, address, call_us(a), &handlers);
}
