/*
 * The GATT database of a device as bluetoothd shows it: a table with handles of our own making, and
 * the subscriptions in it.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "drivers/transport/gatt_dbus_objects.h"
#include "drivers/transport/gatt_dbus_private.h"

/* ---- its GATT database ---- */

bool gatt_is_below(const char *path, const char *parent, const char *prefix)
{
	const size_t len = strlen(parent), more = strlen(prefix);

	return len > 0 && strncmp(path, parent, len) == 0 &&
	       strncmp(path + len, prefix, more) == 0 && path[len + more] != '\0' &&
	       !strchr(path + len + 1, '/') && strnlen(path, GATT_PATH) < GATT_PATH;
}

struct gatt_service *gatt_service_of(const struct gatt_device *d, const char *path)
{
	for (size_t i = 0; i < d->n_services; i++) {
		if (gatt_is_below(path, d->services[i]->path, "/char"))
			return d->services[i];
	}
	return NULL;
}

struct gatt_chrc *gatt_chrc_at(const struct gatt_device *d, const char *path)
{
	for (size_t i = 0; i < d->n_chrcs; i++) {
		if (strcmp(d->chrcs[i]->path, path) == 0)
			return d->chrcs[i];
	}
	return NULL;
}

struct gatt_chrc *gatt_chrc_by_handle(struct gatt_device *d, uint16_t handle)
{
	for (size_t i = 0; handle != 0 && i < d->n_chrcs; i++) {
		if (d->chrcs[i]->handle == handle)
			return d->chrcs[i];
	}
	return NULL;
}

/* in the order of the paths, which is that of the handles */
void gatt_add_service(struct gatt_device *d, const char *path, const struct gatt_properties *p)
{
	struct gatt_service *s;
	size_t i = 0;

	while (i < d->n_services && strcmp(d->services[i]->path, path) < 0)
		i++;
	if (i < d->n_services && strcmp(d->services[i]->path, path) == 0) {
		d->services[i]->uuid = p->uuid;
		return;
	}
	s = d->n_services < ATT_SERVICES_MAX ? calloc(1, sizeof(*s)) : NULL;
	if (!s) {
		d->g->counts.malformed++;
		return;
	}
	memcpy(s->path, path, strlen(path) + 1);
	s->uuid = p->uuid;
	memmove(&d->services[i + 1], &d->services[i],
		(d->n_services - i) * sizeof(struct gatt_service *));
	d->services[i] = s;
	d->n_services++;
}

void gatt_add_chrc(struct gatt_device *d, const char *path, const struct gatt_properties *p)
{
	struct gatt_chrc *c = gatt_chrc_at(d, path);
	size_t i = 0;

	if (c) {
		c->uuid = p->uuid;
		c->flags = p->flags;
		return;
	}
	c = d->n_chrcs < ATT_CHARACTERISTICS_MAX ? calloc(1, sizeof(*c)) : NULL;
	if (!c) {
		d->g->counts.malformed++;
		return;
	}
	c->device = d;
	memcpy(c->path, path, strlen(path) + 1);
	c->uuid = p->uuid;
	c->flags = p->flags;
	while (i < d->n_chrcs && strcmp(d->chrcs[i]->path, path) < 0)
		i++;
	memmove(&d->chrcs[i + 1], &d->chrcs[i], (d->n_chrcs - i) * sizeof(struct gatt_chrc *));
	d->chrcs[i] = c;
	d->n_chrcs++;
}

void gatt_remove_chrc(struct gatt_device *d, size_t i)
{
	struct gatt_chrc *c = d->chrcs[i];

	if (d->link)
		gatt_link_chrc_gone(d->link, c);
	if (d->reading == c)
		gatt_read_over(d, NULL, 0);
	(void)sd_bus_slot_unref(c->slot);
	free(c);
	d->n_chrcs--;
	memmove(&d->chrcs[i], &d->chrcs[i + 1], (d->n_chrcs - i) * sizeof(struct gatt_chrc *));
}

void gatt_remove_service(struct gatt_device *d, size_t i)
{
	free(d->services[i]);
	d->n_services--;
	memmove(&d->services[i], &d->services[i + 1],
		(d->n_services - i) * sizeof(struct gatt_service *));
}

/* Handles of our own making: bluetoothd does not tell them to clients. A service takes one, a
 * characteristic three. */
static int build_service(struct att_table *t, struct gatt_device *d, const struct gatt_service *s,
			 uint16_t *next)
{
	struct att_service service = { .start = *next, .end = *next, .uuid = s->uuid };
	int r;

	for (size_t i = 0; i < d->n_chrcs; i++)
		service.end = (uint16_t)(service.end +
					 (gatt_service_of(d, d->chrcs[i]->path) == s ? 3 : 0));
	r = att_table_add_service(t, &service);
	for (size_t i = 0; r == 0 && i < d->n_chrcs; i++) {
		struct gatt_chrc *c = d->chrcs[i];
		const struct att_characteristic ch = { .declaration = (uint16_t)(*next + 1),
						       .value = (uint16_t)(*next + 2),
						       .properties = c->flags,
						       .uuid = c->uuid };

		if (gatt_service_of(d, c->path) != s)
			continue;
		c->handle = ch.value;
		r = att_table_add_characteristic(t, &ch);
		if (r == 0 && (c->flags & GATT_CAN_NOTIFY))
			r = att_table_set_ccc(t, t->n_characteristics - 1,
					      (uint16_t)(ch.value + 1));
		*next = (uint16_t)(*next + 3);
	}
	*next = (uint16_t)(*next + 1);
	return r;
}

int gatt_table_build(struct gatt_device *d)
{
	struct att_table *t = malloc(sizeof(*t));
	uint16_t next = 1;
	int r = 0;

	if (!t)
		return -ENOMEM;
	att_table_clear(t);
	for (size_t i = 0; i < d->n_chrcs; i++)
		d->chrcs[i]->handle = 0;
	for (size_t i = 0; r == 0 && i < d->n_services; i++)
		r = build_service(t, d, d->services[i], &next);
	if (r == 0) {
		t->complete = true;
		d->table = *t;
	}
	free(t);
	return r;
}

/* ---- subscriptions ---- */

static int on_notifying(sd_bus_message *reply, void *user, sd_bus_error *ret_error)
{
	struct gatt_chrc *c = user;
	struct gatt_device *d = c->device;
	const uint8_t refusal = gatt_refusal(reply);

	(void)ret_error;
	c->slot = sd_bus_slot_unref(c->slot);
	c->notify = refusal == 0 ? GATT_NOTIFY_ON : GATT_NOTIFY_OFF; /* the nudge tries again */
	if (d->link)
		gatt_link_subscribed(d->link, c, refusal, refusal == 0 ? 0 : -EREMOTEIO);
	return 0;
}

int gatt_start_notify(struct gatt_chrc *c)
{
	struct gatt_dbus *g = c->device->g;
	sd_bus_message *m = NULL;
	int r = bluez_method(&g->bluez, c->path, CHARACTERISTIC1, "StartNotify", &m);

	if (r >= 0)
		r = gatt_call(g, m, GATT_DBUS_CALL, &c->slot, on_notifying, c);
	sd_bus_message_unref(m);
	if (r >= 0)
		c->notify = GATT_NOTIFY_ASKED;
	return r;
}

static bool is_channel_of(const struct drv_channel *c, const struct att_uuid *uuid)
{
	if (c->uuid128)
		return memcmp(c->uuid128, uuid->bytes, sizeof(uuid->bytes)) == 0;
	return c->id == att_uuid_16(uuid);
}

static bool is_watched(const struct gatt_device *d, const struct gatt_chrc *c)
{
	if (!d->watched || !(c->flags & GATT_CAN_NOTIFY))
		return false;
	for (const struct drv_channel *ch = d->channels; ch && ch->mode; ch++) {
		if (ch->mode != DRV_READ && ch->mode != DRV_WRITE && is_channel_of(ch, &c->uuid))
			return true;
	}
	return false;
}

bool gatt_is_wanted(const struct gatt_device *d, const struct gatt_chrc *c)
{
	return c->asked_by_link || is_watched(d, c);
}

/* While it is not connected bluetoothd says yes and subscribes when it is. */
void gatt_check_stand(struct gatt_device *d)
{
	for (size_t i = 0; i < d->n_chrcs; i++) {
		struct gatt_chrc *c = d->chrcs[i];

		if (c->notify == GATT_NOTIFY_OFF && gatt_is_wanted(d, c))
			(void)gatt_start_notify(c);
	}
}

bool gatt_dbus_stands(const struct gatt_dbus *g, const struct ble_address *address)
{
	const struct gatt_device *d = gatt_device_find(g, address);
	bool any = false;

	for (size_t i = 0; d && i < d->n_chrcs; i++) {
		if (!is_watched(d, d->chrcs[i]))
			continue;
		if (d->chrcs[i]->notify != GATT_NOTIFY_ON)
			return false;
		any = true;
	}
	return any;
}
