/*
 * The adapters that bluetoothd knows, and which of them is ours.
 */
#include <stdio.h>
#include <string.h>

#include "drivers/transport/adapter_private.h"

struct adapter_seen *seen_find(struct adapter *a, const char *path)
{
	for (size_t i = 0; i < ADAPTERS_MAX; i++) {
		if (a->seen[i].path[0] && strcmp(a->seen[i].path, path) == 0)
			return &a->seen[i];
	}
	return NULL;
}

const char *adapter_hci(const struct adapter *a)
{
	const char *slash = a->own ? strrchr(a->own->path, '/') : NULL;

	return slash ? slash + 1 : "";
}

/* ---- power ---- */

void adapter_set_powered(struct adapter *a, bool powered)
{
	if (!a->own)
		return;
	a->own->powered = powered;
	a->lifted = a->lifted || powered;
	if (!powered) {
		a->own->discovering = false; /* said or not */
		scan_lost(a, false);
	}
	adapter_post(a, powered ? LADDER_POWERED : LADDER_UNPOWERED);
}

/* A block that was there before us may be left from a rung of ours that was killed, so it is lifted
 * once, where that is permitted. One that comes later is somebody's wish. */
static void lift(struct adapter *a, const struct rfkill *rfkill)
{
	if (a->lifted)
		return;
	a->lifted = true;
	if (rfkill->soft && !rfkill->hard)
		(void)rfkill_block(a->root, rfkill->index, false);
}

void adapter_check_block(struct adapter *a)
{
	struct rfkill rfkill = { 0 };
	bool blocked;

	if (!a->own || a->own->powered)
		return;
	if (rfkill_read(a->root, adapter_hci(a), &rfkill) < 0)
		blocked = a->own->rfkilled;
	else
		blocked = rfkill.soft || rfkill.hard;
	lift(a, &rfkill);
	if (blocked == a->ladder.facts.blocked)
		return;
	/* known at once, so that nothing is tried in vain */
	a->ladder.facts.blocked = blocked;
	adapter_post(a, blocked ? LADDER_BLOCK : LADDER_UNBLOCK);
}

/* ---- ours ---- */

static bool same_bytes(const struct ble_address *x, const struct ble_address *y)
{
	return memcmp(x->bytes, y->bytes, sizeof(x->bytes)) == 0;
}

/* The one that is named; else the one that was ours, else one that is on, else the first. */
static struct adapter_seen *best(struct adapter *a)
{
	struct adapter_seen *found = NULL;
	int found_rank = 0;

	for (size_t i = 0; i < ADAPTERS_MAX; i++) {
		struct adapter_seen *seen = &a->seen[i];
		int rank;

		if (!seen->path[0])
			continue;
		if (!a->options.any && !same_bytes(&seen->address, &a->options.adapter))
			continue;
		rank = 1 + seen->powered;
		if (a->has_address && same_bytes(&seen->address, &a->address))
			rank = 3;
		if (rank > found_rank) {
			found = seen;
			found_rank = rank;
		}
	}
	return found;
}

void seen_choose(struct adapter *a)
{
	if (a->own)
		return;
	a->own = best(a);
	if (!a->own)
		return;
	if (a->has_address && !same_bytes(&a->address, &a->own->address))
		devices_forget_all(a);
	a->address = a->own->address;
	a->has_address = true;
	adapter_post(a, LADDER_FOUND);
	a->lifted = a->lifted || a->own->powered;
	if (a->own->powered)
		adapter_post(a, LADDER_POWERED);
}

/* Its links are gone with it, its bonds are on the disk. */
static void own_gone(struct adapter *a)
{
	struct object *object = NULL;

	while ((object = objects_next(a->objects, object)))
		devices_set_linked(a, object, false);
	devices_mark_stale(a);
	a->own = NULL;
	scan_lost(a, false);
	rung_lost(a, false);
	agent_lost(a);
	adapter_post(a, LADDER_GONE);
}

/* ---- what is said of them ---- */

/* An unusable address would make two adapters one. */
static bool take_adapter(struct adapter *a, const char *path, const struct adapter_properties *p)
{
	struct adapter_seen *seen = seen_find(a, path);

	for (size_t i = 0; !seen && i < ADAPTERS_MAX; i++) {
		if (!a->seen[i].path[0])
			seen = &a->seen[i];
	}
	if (!seen || !(p->seen & PROPERTY_ADAPTER_ADDRESS) ||
	    strnlen(path, OBJECT_PATH) >= OBJECT_PATH || strncmp(path, "/org/bluez/", 11) != 0) {
		a->counts.malformed++;
		return false;
	}
	if (!seen->path[0])
		memcpy(seen->path, path, strlen(path) + 1);
	seen->address = p->address;
	seen->address.type = BLE_PUBLIC;
	seen->discovering = p->discovering;
	seen->rfkilled = p->rfkilled;
	if (seen == a->own && p->seen & PROPERTY_POWERED && p->powered != seen->powered)
		adapter_set_powered(a, p->powered);
	seen->powered = p->seen & PROPERTY_POWERED && p->powered;
	if (p->seen & PROPERTY_MODALIAS)
		(void)snprintf(seen->modalias, sizeof(seen->modalias), "%.47s", p->modalias);
	return true;
}

void seen_read(struct adapter *a, sd_bus_message *m, const char *path)
{
	struct adapter_properties p;

	if (adapter_properties_read(m, &p) < 0) {
		a->counts.malformed++;
		return;
	}
	a->counts.malformed += p.malformed;
	(void)take_adapter(a, path, &p);
}

void seen_removed(struct adapter *a, const char *path)
{
	struct adapter_seen *seen = seen_find(a, path);

	if (!seen)
		return;
	if (seen == a->own)
		own_gone(a);
	*seen = (struct adapter_seen){ 0 };
	seen_choose(a);
	if (a->own)
		adapter_list(a);
}

void seen_changed(struct adapter *a, sd_bus_message *m, struct adapter_seen *seen)
{
	struct adapter_properties p;

	if (adapter_properties_read(m, &p) < 0) {
		a->counts.malformed++;
		return;
	}
	a->counts.malformed += p.malformed;
	if (p.seen & PROPERTY_DISCOVERING)
		seen->discovering = p.discovering;
	if (p.seen & PROPERTY_POWER_STATE)
		seen->rfkilled = p.rfkilled;
	if (seen == a->own && p.seen & PROPERTY_DISCOVERING)
		scan_step(a);
	if (!(p.seen & PROPERTY_POWERED))
		return;
	seen->powered = p.powered;
	if (seen != a->own)
		return;
	adapter_set_powered(a, p.powered);
	adapter_check_block(a);
}
