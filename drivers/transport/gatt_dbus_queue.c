/*
 * The values that came and were not taken yet, one queue a device: it outlives the link,
 * bluetoothd and the bus.
 */
#include <stdlib.h>
#include <string.h>

#include "drivers/transport/gatt_dbus_objects.h"
#include "drivers/transport/gatt_dbus_private.h"

static bool is_notifying(const struct gatt_chrc *c)
{
	return c->flags & ATT_PROPERTY_NOTIFY; /* with both, bluetoothd chooses this one */
}

void gatt_queue_value(struct gatt_chrc *c, const struct gatt_properties *p)
{
	struct gatt_device *d = c->device;
	struct gatt_entry *e = NULL;

	if (d->queued < GATT_DBUS_QUEUE)
		e = malloc(sizeof(*e) + p->value_len);
	if (!e) {
		d->g->counts.lost++;
		return;
	}
	*e = (struct gatt_entry){ .uuid = c->uuid,
				  .notifies = is_notifying(c),
				  .maybe_echo = d->reading == c,
				  .since = gatt_now(),
				  .len = p->value_len };
	if (e->len > 0)
		memcpy(e->data, p->value, e->len);
	if (d->last)
		d->last->next = e;
	else
		d->first = e;
	d->last = e;
	d->queued++;
	d->g->counts.values++;
	if (!d->table.complete) /* so that it can be told apart even if the link is gone */
		(void)gatt_table_build(d);
}

void gatt_queue_clear(struct gatt_device *d)
{
	while (d->first) {
		struct gatt_entry *e = d->first;

		d->first = e->next;
		free(e);
	}
	d->last = NULL;
	d->queued = 0;
}

static bool is_echo(const struct gatt_entry *e, const uint8_t *data, size_t len)
{
	return e->maybe_echo && data && e->len == len &&
	       (len == 0 || memcmp(e->data, data, len) == 0);
}

/* bluetoothd shows what was read as a change of Value, and sends that before the answer. Exactly
 * one is dropped: the device may have sent the same at the same time. */
void gatt_read_over(struct gatt_device *d, const uint8_t *data, size_t len)
{
	struct gatt_entry **at = &d->first, *before = NULL;
	bool dropped = false;

	d->reading = NULL;
	while (*at) {
		struct gatt_entry *e = *at;

		if (!dropped && is_echo(e, data, len)) {
			*at = e->next;
			if (d->last == e)
				d->last = before;
			free(e);
			d->queued--;
			d->g->counts.echoes++;
			dropped = true;
			continue;
		}
		e->maybe_echo = false;
		before = e;
		at = &e->next;
	}
	if (d->first && d->link)
		gatt_link_value(d->link);
}
