/*
 * The devices that bluetoothd knows on our adapter: their links, bonds and reports, and requests
 * about one of them.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "drivers/transport/adapter_private.h"
#include "drivers/transport/enrolment.h"

/* An object may be removed with its adapter or its daemon, which says nothing of its bond: this
 * long it is not believed. */
#define REMOVED_US INT64_C(1000000)
/* Questions on their way about devices that had made room: about strangers, and about all. Ours are
 * told by address, so there are as many as a hub may have. */
#define FETCHING_MAX  4
#define FETCHING_OURS (FETCHING_MAX + ENROLMENT_MAX)

/* ---- what is known of one ---- */

void devices_set_linked(struct adapter *a, struct object *object, bool linked)
{
	const struct ble_address address = object->address;

	if (object->linked == linked)
		return;
	object->linked = linked;
	if (a->handlers.linked)
		a->handlers.linked(a->handlers.user, &address, linked);
}

static void set_bonded(struct adapter *a, struct object *object, bool bonded)
{
	const struct ble_address address = object->address;

	if (object->bonded == bonded)
		return;
	object->bonded = bonded;
	if (a->handlers.bonded)
		a->handlers.bonded(a->handlers.user, &address, bonded);
}

static void remove_object(struct adapter *a, struct object *object)
{
	devices_set_linked(a, object, false);
	set_bonded(a, object, false);
	objects_remove(a->objects, object);
}

/* Bonded says that keys are stored, Paired that there were some; 5.66 has both. */
static void take_flags(struct adapter *a, struct object *object, const struct device_properties *p)
{
	if (p->seen & PROPERTY_BONDED)
		set_bonded(a, object, p->bonded);
	else if (p->seen & PROPERTY_PAIRED && !p->paired)
		set_bonded(a, object, false);
	if (p->seen & PROPERTY_CONNECTED)
		devices_set_linked(a, object, p->connected);
}

static bool is_ours(const struct adapter *a, const struct ble_address *address)
{
	return a->handlers.is_ours && a->handlers.is_ours(a->handlers.user, address);
}

static bool is_report(const struct device_properties *p)
{
	return p->seen & (PROPERTY_RSSI | PROPERTY_COMPANY | PROPERTY_SERVICE_DATA);
}

static void report(struct adapter *a, struct object *object, const struct device_properties *p)
{
	const int64_t now = adapter_now(a);
	struct ble_advert advert;

	object->heard_at = now;
	object->ours = is_ours(a, &object->address);
	scan_heard(a, now);
	object_advert(object, p, now, &advert);
	if (a->handlers.advert)
		a->handlers.advert(a->handlers.user, &advert);
}

/* A device as a whole: from the list, or new. */
static struct object *take_device(struct adapter *a, const char *path,
				  const struct device_properties *p)
{
	struct object *object = objects_find(a->objects, path);
	bool evicted = false;

	if (!(p->seen & PROPERTY_ADDRESS)) {
		a->counts.malformed++;
		return NULL;
	}
	if (!object && objects_add(a->objects, path, &object, &evicted) < 0) {
		a->counts.dropped++;
		return NULL;
	}
	a->counts.dropped += evicted;
	object->stale = false;
	object->removed_at = 0;
	object->is_forgotten = false;
	object->heard_at = adapter_now(a);
	object->ours = is_ours(a, &p->address);
	object_learn(object, p);
	take_flags(a, object, p);
	return object;
}

/* A child of our adapter, directly. */
bool devices_is_own(const struct adapter *a, const char *path)
{
	const size_t len = a->own ? strlen(a->own->path) : 0;

	return len && strncmp(path, a->own->path, len) == 0 &&
	       strncmp(path + len, "/dev_", 5) == 0 && !strchr(path + len + 1, '/') &&
	       strnlen(path, OBJECT_PATH) < OBJECT_PATH;
}

static struct object *read_device(struct adapter *a, sd_bus_message *m, const char *path,
				  struct device_properties *ret)
{
	if (device_properties_read(m, ret) < 0) {
		a->counts.malformed++;
		return NULL;
	}
	a->counts.malformed += ret->malformed;
	return take_device(a, path, ret);
}

void devices_read(struct adapter *a, sd_bus_message *m, const char *path, bool is_new)
{
	struct device_properties p;
	struct object *object = read_device(a, m, path, &p);

	/* what is in the list was heard at some time; only a new one was heard now */
	if (object && is_new && is_report(&p))
		report(a, object, &p);
}

/* ---- signals ---- */

static int on_sweep(sd_event_source *source, uint64_t usec, void *user)
{
	struct adapter *a = user;
	struct object *object = objects_next(a->objects, NULL);
	bool left = false;

	(void)source;
	(void)usec;
	while (object) {
		struct object *next = objects_next(a->objects, object);

		if (object->removed_at && adapter_now(a) - object->removed_at >= REMOVED_US)
			remove_object(a, object);
		else
			left = left || object->removed_at;
		object = next;
	}
	if (left)
		adapter_timer(a, &a->sweep, REMOVED_US / 4, on_sweep);
	return 0;
}

void devices_removed(struct adapter *a, const char *path)
{
	struct object *object = objects_find(a->objects, path);

	if (!object)
		return;
	if (object->is_forgotten || (!object->bonded && !object->linked)) {
		remove_object(a, object);
		return;
	}
	object->removed_at = adapter_now(a);
	adapter_timer(a, &a->sweep, REMOVED_US, on_sweep);
}

struct fetch {
	char path[OBJECT_PATH];
	bool is_heard; /* what changed is a report */
};

static void on_fetched(struct adapter *a, sd_bus_message *reply, const char *error, void *user)
{
	const struct fetch *fetch = user;
	struct device_properties p;
	struct object *object;

	a->fetching -= a->fetching > 0;
	if (error || !devices_is_own(a, fetch->path))
		return;
	object = read_device(a, reply, fetch->path, &p);
	if (object && fetch->is_heard)
		report(a, object, &p);
}

static int fetch_call(struct adapter *a, struct fetch *fetch)
{
	sd_bus_message *m = NULL;
	int r;

	r = bluez_method(&a->bluez, fetch->path, PROPERTIES, "GetAll", &m);
	if (r >= 0)
		r = sd_bus_message_append(m, "s", DEVICE1);
	if (r >= 0)
		r = adapter_call_owed(a, m, on_fetched, fetch);
	sd_bus_message_unref(m);
	return r;
}

/* bluetoothd names a device by its address, except one whose address it has resolved. */
static bool is_path_of_ours(const struct adapter *a, const char *path)
{
	const char *name = strrchr(path, '/');
	char text[BLE_ADDRESS_TEXT];
	struct ble_address address;

	if (!name || strlen(name) != strlen("/dev_") + sizeof(text) - 1)
		return false;
	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = name[5 + i] == '_' ? ':' : name[5 + i];
	return ble_address_parse(text, BLE_PUBLIC, &address) >= 0 && is_ours(a, &address);
}

/* A device that had made room for others is heard again. */
static void fetch(struct adapter *a, const char *path, bool is_heard)
{
	const unsigned int max = is_path_of_ours(a, path) ? FETCHING_OURS : FETCHING_MAX;
	struct fetch *fetch = a->fetching < max ? malloc(sizeof(*fetch)) : NULL;

	if (!fetch) {
		a->counts.dropped++;
		return;
	}
	fetch->is_heard = is_heard;
	(void)snprintf(fetch->path, sizeof(fetch->path), "%s", path);
	if (fetch_call(a, fetch) < 0)
		free(fetch);
	else
		a->fetching++;
}

void devices_changed(struct adapter *a, sd_bus_message *m, const char *path)
{
	struct object *object = objects_find(a->objects, path);
	struct device_properties p;

	if (device_properties_read(m, &p) < 0) {
		a->counts.malformed++;
		return;
	}
	a->counts.malformed += p.malformed;
	if (!object || object->stale) {
		fetch(a, path, is_report(&p));
		return;
	}
	object_learn(object, &p);
	take_flags(a, object, &p);
	if (is_report(&p))
		report(a, object, &p);
}

/* ---- all of them ---- */

/* Bonds are with one adapter; those of another say nothing here. */
void devices_forget_all(struct adapter *a)
{
	struct object *object;

	while ((object = objects_next(a->objects, NULL))) {
		devices_set_linked(a, object, false);
		objects_remove(a->objects, object);
	}
}

void devices_mark_stale(struct adapter *a)
{
	struct object *object = NULL;

	while ((object = objects_next(a->objects, object))) {
		object->stale = true;
		object->removed_at = 0;
	}
}

/* What was there before and is not in the list is gone for good. */
void devices_reconcile(struct adapter *a)
{
	struct object *object = objects_next(a->objects, NULL);

	while (object && a->own) {
		struct object *next = objects_next(a->objects, object);

		if (object->stale)
			remove_object(a, object);
		object = next;
	}
}

/* ---- requests about one device ---- */

struct forget {
	void (*done)(void *user, int r);
	void *user;
};

static void on_forgotten(struct adapter *a, sd_bus_message *reply, const char *error, void *user)
{
	const struct forget *forget = user;
	int r = 0;

	(void)a;
	if (error && strcmp(error, ADAPTER_STALE) == 0)
		r = -EPIPE;
	else if (adapter_error_is_timeout(error))
		r = -ETIMEDOUT;
	else if (error && !adapter_error_is(error, "DoesNotExist"))
		r = -sd_bus_message_get_errno(reply);
	if (forget->done)
		forget->done(forget->user, r);
}

static int forget_call(struct adapter *a, const char *path, struct forget *forget)
{
	sd_bus_message *m = NULL;
	int r;

	r = bluez_method(&a->bluez, a->own->path, ADAPTER1, "RemoveDevice", &m);
	if (r >= 0)
		r = sd_bus_message_append(m, "o", path);
	if (r >= 0)
		r = adapter_call_owed(a, m, on_forgotten, forget);
	sd_bus_message_unref(m);
	return r;
}

/* The path that bluetoothd would give it; for a resolved private address it has another. */
static void path_of(const struct adapter *a, const struct ble_address *address,
		    char ret[OBJECT_PATH])
{
	const uint8_t *b = address->bytes;

	(void)snprintf(ret, OBJECT_PATH, "%.40s/dev_%02X_%02X_%02X_%02X_%02X_%02X", a->own->path,
		       b[0], b[1], b[2], b[3], b[4], b[5]);
}

int adapter_forget(struct adapter *a, const struct ble_address *address,
		   void (*done)(void *user, int r), void *user)
{
	struct object *object = objects_by_address(a->objects, address);
	char path[OBJECT_PATH];
	struct forget *forget;
	int r;

	if (!a->own)
		return -ENODEV;
	path_of(a, address, path);
	if (object)
		memcpy(path, object->path, sizeof(path));
	forget = malloc(sizeof(*forget));
	if (!forget)
		return -ENOMEM;
	*forget = (struct forget){ done, user };
	r = forget_call(a, path, forget);
	if (r < 0)
		free(forget);
	else if (object)
		object->is_forgotten = true;
	return r;
}

static void on_asked(struct adapter *a, sd_bus_message *reply, const char *error, void *user)
{
	(void)reply;
	(void)user;
	a->counts.failed_calls += error != NULL;
}

int adapter_disconnect(struct adapter *a, const struct ble_address *address)
{
	const struct object *object = objects_by_address(a->objects, address);
	sd_bus_message *m = NULL;
	int r;

	if (!object)
		return -ENOENT;
	r = bluez_method(&a->bluez, object->path, DEVICE1, "Disconnect", &m);
	if (r >= 0)
		r = adapter_call(a, m, on_asked, NULL);
	sd_bus_message_unref(m);
	return r;
}
