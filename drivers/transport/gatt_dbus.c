#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "drivers/transport/gatt_dbus_private.h"

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

int gatt_call(struct gatt_dbus *g, sd_bus_message *m, int64_t usec, sd_bus_slot **slot,
	      sd_bus_message_handler_t done, void *user)
{
	int r;

	if (g->options.call_us > 0)
		usec = g->options.call_us;
	*slot = sd_bus_slot_unref(*slot);
	r = sd_bus_call_async(g->bluez.bus, slot, m, done, user, (uint64_t)usec);
	return r < 0 ? r : 0;
}

void gatt_tell(struct gatt_dbus *g, const char *path, const char *interface, const char *member)
{
	sd_bus_message *m = NULL;

	if (bluez_method(&g->bluez, path, interface, member, &m) == 0 &&
	    sd_bus_message_set_expect_reply(m, 0) >= 0)
		(void)sd_bus_send(g->bluez.bus, m, NULL);
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

/* ---- bluetoothd ---- */

static void daemon_lost(struct gatt_dbus *g)
{
	g->list = sd_bus_slot_unref(g->list);
	g->listed = g->list_again = false;
	memset(g->adapters, 0, sizeof(g->adapters));
	for (struct gatt_device *d = g->devices; d; d = d->next) {
		gatt_device_gone(d);
		if (d->link && d->link->begun)
			gatt_link_lost(d->link, DEVICE_END_TRANSIENT, -EPIPE);
	}
}

static void on_daemon(void *user, bool is_up)
{
	if (is_up)
		gatt_list(user);
	else
		daemon_lost(user);
}

static int on_opened(void *user)
{
	static const struct bluez_match rows[] = {
		{ "type='signal',sender='" BLUEZ "',interface='" MANAGER "',"
		  "member='InterfacesAdded'",
		  gatt_on_added },
		{ "type='signal',sender='" BLUEZ "',interface='" MANAGER "',"
		  "member='InterfacesRemoved'",
		  gatt_on_removed },
	};
	struct gatt_dbus *g = user;

	return bluez_match(&g->bluez, rows, sizeof(rows) / sizeof(rows[0]), g);
}

static int bus_start(struct gatt_dbus *g)
{
	const struct bluez_handlers handlers = {
		.opened = on_opened,
		.daemon = on_daemon,
		.user = g,
		.malformed = &g->counts.malformed,
	};

	return bluez_start(&g->bluez, g->event, g->options.bus_address,
			   g->options.call_us > 0 ? g->options.call_us : GATT_DBUS_CALL, &handlers);
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
	if (g->bluez.owner[0] && !g->listed && !g->list)
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
	int r;

	if (!g)
		return -ENOMEM;
	g->event = sd_event_ref(event);
	g->options = *options;
	g->waiting = waiting;
	g->user = user;
	r = bus_start(g);
	g->options.bus_address = NULL; /* not ours to keep */
	if (r < 0) {
		gatt_dbus_free(g);
		return r;
	}
	set_timer(g, &g->nudge, nudge_us(g), on_nudge);
	*ret = g;
	return 0;
}

void gatt_dbus_free(struct gatt_dbus *g)
{
	if (!g)
		return;
	g->bluez.owner[0] = '\0'; /* with the connection bluetoothd ends the subscriptions */
	while (g->devices) {
		assert(!g->devices->link);
		gatt_device_free(g->devices);
	}
	(void)sd_event_source_disable_unref(g->nudge);
	g->list = sd_bus_slot_unref(g->list);
	bluez_stop(&g->bluez);
	(void)sd_event_unref(g->event);
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
