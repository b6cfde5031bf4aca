#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "drivers/transport/bluez.h"
#include "drivers/transport/gatt_dbus_private.h"

#define DBUS          "org.freedesktop.DBus"
#define REOPEN_MIN_US INT64_C(100000)
#define REOPEN_MAX_US INT64_C(5000000)

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

bool gatt_is_from_daemon(const struct gatt_dbus *g, sd_bus_message *m)
{
	const char *sender = sd_bus_message_get_sender(m);

	return sender && g->owner[0] && strcmp(sender, g->owner) == 0;
}

/* ---- bluetoothd and the bus ---- */

static void daemon_lost(struct gatt_dbus *g)
{
	g->owner[0] = '\0';
	g->list = sd_bus_slot_unref(g->list);
	g->listed = g->list_again = false;
	memset(g->adapters, 0, sizeof(g->adapters));
	for (struct gatt_device *d = g->devices; d; d = d->next) {
		gatt_device_gone(d);
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
		  gatt_on_added },
		{ "type='signal',sender='" BLUEZ "',interface='" MANAGER "',"
		  "member='InterfacesRemoved'",
		  gatt_on_removed },
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
		gatt_check_stand(d);
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
		gatt_device_free(g->devices);
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
		if (d->path[0] && !gatt_is_on_our_adapter(g, d->path))
			gatt_device_gone(d);
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
		gatt_check_stand(d);
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
