/*
 * One enrolled device: what is kept of it, and what the gateway is told of its sessions.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "drivers/log.h"
#include "drivers/registry.h"
#include "drivers/transport/radio_private.h"

/* ---- its driver ---- */

bool radio_row_ends(const struct drv_match *row)
{
	return row->bus == DRV_BUS_ANY && row->service == 0 && !row->service_uuid128 &&
	       row->company == 0 && !row->name_prefix && row->vid == 0 && row->pid == 0 &&
	       row->usb_class == 0;
}

bool radio_driver_on(const struct driver *driver, enum drv_bus bus)
{
	for (const struct drv_match *row = driver->match; !radio_row_ends(row); row++) {
		if (row->bus == bus || row->bus == DRV_BUS_ANY)
			return true;
	}
	return false;
}

enum bearer_level radio_level_of(enum link_security security)
{
	switch (security) {
	case LINK_ENCRYPTED:
		return BEARER_ENCRYPTED;
	case LINK_AUTHENTICATED:
		return BEARER_AUTHENTICATED;
	case LINK_UNKNOWN:
	case LINK_REPLAY:
	case LINK_CLEAR:
	case LINK_CABLE:
	case LINK_BROADCAST:
		break;
	}
	return BEARER_CLEAR;
}

/* ---- what is kept of a device ---- */

const struct enrolment *node_enrolment(const struct node *n)
{
	return enrolments_find(n->radio->enrolments, &n->address);
}

struct enrolment *node_change(const struct node *n)
{
	const struct enrolment *e;
	struct enrolment *copy;

	if (n->pairing)
		return n->radio->pairing.draft;
	e = node_enrolment(n);
	copy = e ? malloc(sizeof(*copy)) : NULL;
	if (copy)
		*copy = *e;
	return copy;
}

int node_keep(struct node *n, struct enrolment *e)
{
	int r;

	if (n->pairing)
		return 0;
	r = enrolments_put(n->radio->enrolments, e);
	if (r < 0)
		log_error("bluetooth: enrolment not written error=%d", -r);
	free(e);
	return r;
}

void node_on_memory(void *user, const struct session_memory *memory)
{
	struct enrolment *e = node_change(user);

	if (!e)
		return;
	e->memory = *memory;
	(void)node_keep(user, e);
}

/* ---- emptying its memory ---- */

/* Only where a stranger cannot answer in its place, and where what it says comes in its order. */
bool node_can_wipe(const struct node *n, const struct enrolment *e)
{
	return n->driver && n->driver->wipe && e->path == ENROLMENT_BEARER &&
	       (e->level == LINK_ENCRYPTED || e->level == LINK_AUTHENTICATED);
}

void node_on_wiped(struct node *n, const struct session_wipe *wiped)
{
	struct enrolment *e = wiped->outcome && !n->pairing ? node_change(n) : NULL;

	if (!e)
		return;
	log_info("bluetooth: device memory outcome=%d records=%" PRIu32, (int)wiped->outcome,
		 wiped->records);
	e->wipe = false;
	/* it may number its records from the start again */
	if (wiped->outcome == DRV_WIPE_PROVEN)
		e->has_last_record = false;
	e->last_record = e->has_last_record ? e->last_record : 0;
	(void)node_keep(n, e);
	radio_changed(n->radio);
}

/* ---- sessions and the gateway ---- */

struct peer_driver node_driver(const struct node *n, const struct enrolment *e)
{
	const struct radio *r = n->radio;

	return (struct peer_driver){
		.driver = n->driver,
		.quirks = e->quirks,
		.name = e->name,
		.memory = &e->memory,
		.has_last_record = e->has_last_record,
		.last_record = e->last_record,
		.wipe = e->wipe && node_can_wipe(n, e),
		.has_wall = r->trusted,
		.utc_ms_at_zero = radio_utc_ms_at_zero(),
		.has_zone = r->trusted,
		.zone_min = r->zone_min,
	};
}

bool node_has_room(void *user)
{
	const struct radio *r = ((const struct node *)user)->radio;

	return r->sink.has_room(r->sink.user);
}

static int say_up(struct node *n, struct line *line, const struct session *session)
{
	const struct radio *radio = n->radio;
	int r;

	n->facts = *session_facts(session);
	n->has_facts = true;
	r = radio->sink.up(radio->sink.user, line->id, &n->address, session);
	if (r < 0) {
		log_error("bluetooth: link not announced link=%u error=%d", line->id, -r);
		return r;
	}
	line->announced = true;
	line->facts = n->facts;
	return 0;
}

void line_begin(struct node *n, struct line *line)
{
	*line = (struct line){ .id = (*n->radio->next_id)++ };
}

void line_end(struct node *n, struct line *line, const struct session *session)
{
	const struct radio *r = n->radio;
	const struct session_counts *counts = session_counts(session);

	for (size_t i = 0; i < FAULT_END; i++)
		n->faults[i] += counts->faults[i];
	if (!line->announced && (counts->frames > 0 || session_facts(session)->news != 0))
		(void)say_up(n, line, session);
	n->facts = *session_facts(session);
	n->has_facts = true;
	if (line->announced && r->sink.down(r->sink.user, line->id, session) < 0)
		log_error("bluetooth: link end not announced link=%u", line->id);
	node_on_wiped(n, session_wiped(session));
	line->id = 0;
}

int line_deliver(struct node *n, struct line *line, const struct session *session,
		 const struct measurement *m, uint64_t seq)
{
	const struct radio *radio = n->radio;
	int r = 0;

	/* Late enough to name the device, and again when more has become known. What nobody could
	 * be told of it, its reading would be filed without. */
	if (!line->announced ||
	    memcmp(&line->facts, session_facts(session), sizeof(line->facts)) != 0)
		r = say_up(n, line, session);
	return r < 0 ? r : radio->sink.measurement(radio->sink.user, line->id, m, seq);
}

void node_alarm(struct node *n)
{
	log_warning("bluetooth: device trouble=%s", device_trouble_name(n->device.trouble));
	radio_changed(n->radio);
}

/* One refused code is a trouble until somebody has looked, whatever the others say. */
void node_tell_consent(struct node *n)
{
	/* not a word about a link in it, so there is nothing to be done with the peer */
	if (device_event(&n->device, DEVICE_ON_CONSENT, n->consent_refused, radio_now()) &
	    DEVICE_DO_ALARM)
		node_alarm(n);
}

/* ---- nodes ---- */

int radio_node_new(struct radio *r, const struct ble_address *address, struct node **ret)
{
	struct node *n = calloc(1, sizeof(*n));

	if (!n)
		return -ENOMEM;
	n->radio = r;
	n->address = *address;
	n->heard_deadline = n->leftover_at = n->held_at = RADIO_NEVER;
	*ret = n;
	return 0;
}

void radio_node_free(struct node *n)
{
	if (!n)
		return;
	radio_attempt_over(n->radio, n);
	if (n->radio->chosen == n) /* the scan is being stopped for it */
		n->radio->chosen = NULL;
	radio_hang_up(n);
	heard_end(n);
	free(n);
}

int radio_node_enrolled(struct node *n, const struct enrolment *e)
{
	struct radio *r = n->radio;
	struct device_config config = { .level = radio_level_of(e->level),
					.raise_late = r->raise_late };

	if (r->n_nodes == ENROLMENT_MAX)
		return -ENOSPC;
	n->driver = registry_by_name(e->driver);
	if (!n->driver)
		log_warning("bluetooth: no such driver any more, its device is left alone");
	config.broadcast = !n->driver || e->level == LINK_BROADCAST ||
			   !radio_driver_on(n->driver, DRV_BUS_BLE);
	n->adverts =
		n->driver && n->driver->advert && radio_driver_on(n->driver, DRV_BUS_BLE_ADVERT);
	n->pairing = false;
	n->bluetoothd = e->path == ENROLMENT_BLUETOOTHD && !config.broadcast;
	if (n->bluetoothd)
		node_watch(n);
	device_init(&n->device, &config);
	r->nodes[r->n_nodes++] = n;
	for (size_t i = 0; i < e->memory.n_consents; i++)
		n->consent_refused = n->consent_refused || e->memory.consents[i].refused;
	if (n->consent_refused)
		node_tell_consent(n);
	return 0;
}

void radio_node_remove(struct node *n)
{
	struct radio *r = n->radio;

	for (size_t i = 0; i < r->n_nodes; i++) {
		if (r->nodes[i] != n)
			continue;
		r->nodes[i] = r->nodes[--r->n_nodes];
		break;
	}
	radio_hang_up(n);
	if (n->bluetoothd && r->gatt)
		gatt_dbus_unwatch(r->gatt, &n->address);
	radio_node_free(n);
}
