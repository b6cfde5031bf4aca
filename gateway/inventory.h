/*
 * The devices that were heard, for `wellgate devices`: a table in memory, filled again from the
 * stored readings at start. Knows digests, never a serial number or an address.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gateway/arena.h"
#include "gateway/intake/intake.h"
#include "wellgate.pb-c.h"

#define INVENTORY_MAX  64 /* the one that was silent longest makes room */
#define INVENTORY_TEXT 65

struct inventory_device {
	char driver[INVENTORY_TEXT], make[INVENTORY_TEXT], model[INVENTORY_TEXT];
	char firmware[INVENTORY_TEXT], hardware[INVENTORY_TEXT];
	uint8_t digest[16];
	bool has_digest;
	int64_t last_seen_ms;
	uint64_t readings;
	uint64_t bad_length, bad_checksum, bad_range, not_mine;
	unsigned int links; /* open now */
	bool has_battery;
	uint32_t battery; /* percent */
};

struct inventory {
	struct inventory_device devices[INVENTORY_MAX];
	size_t n;
};

/* Found by digest, or by driver where there is none; made if it is new. Text that is not clean or
 * too long counts as not stated. Valid until the next call. */
struct inventory_device *inventory_device(struct inventory *inv, const struct intake_device *key);
/* A reading of the device was stored (or found in the store). */
void inventory_count(struct inventory *inv, const Wellgate__V1__Reading *reading);
/* The link to the device is gone; counts may be NULL. */
void inventory_link_down(struct inventory_device *d, const Wellgate__V1__DeviceInfo *counts);
/* -ENOMEM */
int inventory_reply(const struct inventory *inv, struct arena *arena, Wellgate__V1__Reply *reply);
