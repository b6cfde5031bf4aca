/*
 * What the operator sees of the devices, and does with them; pairing is in radio_pair.c.
 */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "drivers/log.h"
#include "drivers/transport/radio_private.h"

/* An address that was read off a label has no type. */
static struct node *by_label(struct radio *r, const struct ble_address *address)
{
	struct ble_address other = *address;

	other.type = address->type == BLE_PUBLIC ? BLE_RANDOM : BLE_PUBLIC;
	return radio_node(r, &other);
}

int radio_unpair(struct radio *r, const struct ble_address *address)
{
	struct node *n = radio_node(r, address);
	struct ble_address own;
	int result;

	if (!n)
		n = by_label(r, address);
	if (!n)
		return -ENOENT;
	own = n->address;
	/* ours first: a bond without a device does no harm, a device that nobody wants does */
	result = enrolments_remove(r->enrolments, &own);
	if (result < 0 && result != -ENOENT)
		return result;
	radio_node_remove(n);
	result = adapter_forget(r->adapter, &own, NULL, NULL);
	if (result < 0)
		log_warning("bluetooth: bond not dropped error=%d", -result);
	adapter_scan(r->adapter, r->n_nodes > 0 || pairing_runs(r));
	radio_changed(r);
	radio_settle(r);
	return 0;
}

/* Codes that were refused are tried once more. */
static void forgive_consents(struct node *n)
{
	struct enrolment *e = n->consent_refused ? node_change(n) : NULL;

	n->consent_refused = false;
	if (!e)
		return;
	for (size_t i = 0; i < e->memory.n_consents; i++)
		e->memory.consents[i].refused = false;
	(void)node_keep(n, e);
}

int radio_retry(struct radio *r, const struct ble_address *address)
{
	struct node *n = radio_node(r, address);

	if (!n)
		n = by_label(r, address);
	if (!n)
		return -ENOENT;
	forgive_consents(n);
	radio_node_event(n, DEVICE_ON_TRIED_BY_OPERATOR, 0);
	radio_settle(r);
	return 0;
}

int radio_wipe(struct radio *r, const struct ble_address *address)
{
	struct node *n = radio_node(r, address);
	struct enrolment *e;
	int result;

	if (!n)
		n = by_label(r, address);
	if (!n || n->pairing || !node_enrolment(n))
		return -ENOENT;
	if (!node_can_wipe(n, node_enrolment(n)))
		return -EOPNOTSUPP;
	e = node_change(n);
	if (!e)
		return -ENOMEM;
	e->wipe = true;
	result = node_keep(n, e);
	radio_changed(r);
	return result;
}

size_t radio_devices(const struct radio *r)
{
	return r->n_nodes;
}

void radio_device_at(const struct radio *r, size_t i, struct radio_device *ret)
{
	const struct node *n = r->nodes[i];

	assert(i < r->n_nodes);
	*ret = (struct radio_device){
		.enrolment = node_enrolment(n),
		.state = n->device.state,
		.trouble = n->device.trouble,
		.has_rssi = n->has_rssi,
		.rssi = n->rssi,
		.last_seen_us = n->last_seen,
		.links = n->links,
		.failed_links = n->failed_links,
		.in_clear = n->in_clear,
		.can_wipe = node_enrolment(n) && node_can_wipe(n, node_enrolment(n)),
		.facts = n->has_facts ? &n->facts : NULL,
	};
	memcpy(ret->faults, n->faults, sizeof(ret->faults));
}

void radio_own_findings(const struct radio *r,
			void (*finding)(void *user, enum adapter_finding_level level,
					const char *text, const char *advice),
			void *user)
{
	char text[160];
	size_t n = 0;

	for (size_t i = 0; i < r->n_nodes; i++)
		n += r->nodes[i]->bluetoothd;
	if (n == 0)
		return;
	(void)snprintf(text, sizeof(text),
		       "bluetoothd confirms readings of %zu device%s before they are stored: a "
		       "power cut at that moment loses one.",
		       n, n == 1 ? "" : "s");
	finding(user, ADAPTER_NOTICE, text,
		"`wellgate devices` shows which. Pair such a device again without "
		"--via-bluetoothd if it can be reached the direct way.");
}
