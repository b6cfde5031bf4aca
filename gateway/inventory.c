#include "gateway/inventory.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "gateway/text.h"

static void set_text(char *field, const char *text)
{
	if (text && *text && strlen(text) < INVENTORY_TEXT && text_is_clean(text))
		(void)snprintf(field, INVENTORY_TEXT, "%s", text);
}

static bool is_same(const struct inventory_device *d, const struct intake_device *key)
{
	if (d->has_digest != key->has_digest)
		return false;
	if (d->has_digest)
		return memcmp(d->digest, key->serial_digest, sizeof(d->digest)) == 0;
	return strcmp(d->driver, key->driver ? key->driver : "") == 0;
}

static struct inventory_device *make_room(struct inventory *inv)
{
	struct inventory_device *oldest = &inv->devices[0];

	if (inv->n < INVENTORY_MAX)
		return &inv->devices[inv->n++];
	for (size_t i = 1; i < inv->n; i++) {
		struct inventory_device *d = &inv->devices[i];

		if (d->links < oldest->links ||
		    (d->links == oldest->links && d->last_seen_ms < oldest->last_seen_ms))
			oldest = d;
	}
	return oldest;
}

struct inventory_device *inventory_device(struct inventory *inv, const struct intake_device *key)
{
	struct inventory_device *d = NULL;

	for (size_t i = 0; i < inv->n && !d; i++) {
		if (is_same(&inv->devices[i], key))
			d = &inv->devices[i];
	}
	if (!d) {
		d = make_room(inv);
		memset(d, 0, sizeof(*d));
		d->has_digest = key->has_digest;
		memcpy(d->digest, key->serial_digest, sizeof(d->digest));
	}
	set_text(d->driver, key->driver);
	set_text(d->make, key->make);
	set_text(d->model, key->model);
	set_text(d->firmware, key->firmware);
	set_text(d->hardware, key->hardware);
	return d;
}

void inventory_count(struct inventory *inv, const Wellgate__V1__Reading *reading)
{
	const Wellgate__V1__DeviceRef *ref = reading->device;
	struct intake_device key = { 0 };
	struct inventory_device *d;

	if (!ref)
		return;
	key.driver = ref->driver;
	key.make = ref->make;
	key.model = ref->model;
	key.firmware = ref->firmware;
	key.hardware = ref->hardware;
	key.has_digest =
		ref->has_serial_digest && ref->serial_digest.len == sizeof(key.serial_digest);
	if (key.has_digest)
		memcpy(key.serial_digest, ref->serial_digest.data, sizeof(key.serial_digest));
	d = inventory_device(inv, &key);
	d->readings++;
	if (reading->has_received_at_ms && reading->received_at_ms > d->last_seen_ms)
		d->last_seen_ms = reading->received_at_ms;
}

void inventory_link_down(struct inventory_device *d, const Wellgate__V1__DeviceInfo *counts)
{
	if (d->links > 0)
		d->links--;
	if (!counts)
		return;
	d->bad_length += counts->bad_length;
	d->bad_checksum += counts->bad_checksum;
	d->bad_range += counts->bad_range;
	d->not_mine += counts->not_mine;
	if (counts->has_battery && counts->battery <= 100) {
		d->has_battery = true;
		d->battery = counts->battery;
	}
}

static char *said(struct arena *arena, const char *text)
{
	return *text ? arena_strdup(arena, text) : NULL;
}

static int reply_one(const struct inventory_device *d, struct arena *arena,
		     Wellgate__V1__DeviceInfo **ret)
{
	Wellgate__V1__DeviceInfo *info = arena_alloc(arena, sizeof(*info));
	Wellgate__V1__DeviceRef *ref = arena_alloc(arena, sizeof(*ref));

	if (!info || !ref)
		return -ENOMEM;
	wellgate__v1__device_info__init(info);
	wellgate__v1__device_ref__init(ref);
	ref->driver = said(arena, d->driver);
	ref->make = said(arena, d->make);
	ref->model = said(arena, d->model);
	ref->firmware = said(arena, d->firmware);
	ref->hardware = said(arena, d->hardware);
	ref->has_serial_digest = d->has_digest;
	ref->serial_digest.data = arena_memdup(arena, d->digest, sizeof(d->digest));
	ref->serial_digest.len = sizeof(d->digest);
	if (!ref->serial_digest.data)
		return -ENOMEM;
	info->device = ref;
	info->has_last_seen_ms = d->last_seen_ms != 0;
	info->last_seen_ms = d->last_seen_ms;
	info->has_readings = true;
	info->readings = d->readings;
	info->has_bad_length = info->has_bad_checksum = info->has_bad_range = true;
	info->bad_length = d->bad_length;
	info->bad_checksum = d->bad_checksum;
	info->bad_range = d->bad_range;
	info->has_not_mine = info->has_connected = true;
	info->not_mine = d->not_mine;
	info->connected = d->links > 0;
	info->has_battery = d->has_battery;
	info->battery = d->battery;
	*ret = info;
	return 0;
}

int inventory_reply(const struct inventory *inv, struct arena *arena, Wellgate__V1__Reply *reply)
{
	Wellgate__V1__DeviceInfo **list = arena_alloc(arena, (inv->n + 1) * sizeof(void *));

	if (!list)
		return -ENOMEM;
	for (size_t i = 0; i < inv->n; i++) {
		const int r = reply_one(&inv->devices[i], arena, &list[i]);

		if (r < 0)
			return r;
	}
	reply->devices = list;
	reply->n_devices = inv->n;
	return 0;
}
