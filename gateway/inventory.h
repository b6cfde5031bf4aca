/*
 * The devices that were heard, and those that are enrolled with the radio of this hub, for
 * `wellgate devices`: a table in memory, filled again from the stored readings at start. Knows
 * digests; the Bluetooth address of an enrolled device is held because the operator labels
 * devices by it, and is never stored or logged.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gateway/arena.h"
#include "gateway/intake/intake.h"
#include "wellgate.pb-c.h"

/* the one that was silent longest makes room, unless it is linked or enrolled */
#define INVENTORY_MAX     320
#define INVENTORY_TEXT    65
#define INVENTORY_ADDRESS 32
#define INVENTORY_PAGE    64 /* devices of one reply */
#define INVENTORY_FLEET   40 /* rows of inventory_fleet() */

/* What the radio knows of a device that is enrolled with it. */
struct inventory_radio {
	bool enrolled, listed; /* listed: named by the status that is coming in */
	char address[INVENTORY_ADDRESS], name[INVENTORY_TEXT];
	Wellgate__V1__RadioDevice__State state;
	Wellgate__V1__RadioDevice__Trouble trouble;
	Wellgate__V1__RadioDevice__Path path;
	Wellgate__V1__LinkSecurity security;
	bool has_rssi;
	int32_t rssi;
	uint64_t links, failed_links, in_clear;
	uint64_t bad_length, bad_checksum, bad_range, not_mine; /* since the radio started */
	int64_t enrolled_ms;
	uint32_t consents;
	bool can_wipe, wipe_asked;
};

struct inventory_device {
	char driver[INVENTORY_TEXT], make[INVENTORY_TEXT], model[INVENTORY_TEXT];
	char firmware[INVENTORY_TEXT], hardware[INVENTORY_TEXT];
	uint8_t digest[16];
	bool has_digest;
	int64_t first_seen_ms, last_seen_ms; /* 0: not known; first: that is still stored */
	/* the highest of the device's own numbers that was ever heard, kept or not; and when it was
	 * last read without a fault, 0: not since the start */
	bool has_record;
	uint32_t record;
	int64_t read_out_ms;
	uint64_t readings;
	uint64_t bad_length, bad_checksum, bad_range, not_mine;
	unsigned int links; /* open now */
	bool has_battery;
	uint32_t battery; /* percent */
	uint32_t news;    /* NEWS_BIT of those that stand */
	struct inventory_radio radio;
};

/* A digest under which a device was known before it said who it is: of the way to it. */
struct inventory_way {
	uint8_t way[16], device[16];
};

struct inventory {
	struct inventory_device devices[INVENTORY_MAX];
	size_t n;
	struct inventory_way ways[INVENTORY_MAX];
	size_t n_ways, next_way;
};

/* Found by digest, or by driver where there is none; made if it is new. Text that is not clean or
 * too long counts as not stated. Valid until the next call. */
struct inventory_device *inventory_device(struct inventory *inv, const struct intake_device *key);
/* A link was made by the way with this digest (of an address, of a base station) to this device,
 * whose own digest is another. An address is the device's: the two are one line from now on, also
 * for what the radio says. A base station stays a line of its own; what it lacked is over. key has
 * a digest. Where there are too many ways, an old one is forgotten. */
void inventory_way(struct inventory *inv, const uint8_t way[16], const struct intake_device *key);
/* It was there at this time (UTC; not above 0: not known). */
void inventory_seen(struct inventory_device *d, int64_t ms);
/* A reading of the device was stored (or found in the store). */
void inventory_count(struct inventory *inv, const Wellgate__V1__Reading *reading);
/* What the driver says on a link. *said: the news of this link so far, zero at first; what was in
 * it and is not in the list any more is over. */
void inventory_news(struct inventory_device *d, uint32_t *said, const Wellgate__V1__News *news,
		    size_t n);
/* The link to the device is gone; said: its news. counts may be NULL: nobody knows how it ended, so
 * all news stand. */
void inventory_link_down(struct inventory_device *d, uint32_t said,
			 const Wellgate__V1__DeviceInfo *counts);

/* A status of the radio begins, or ends: what it did not list is not enrolled any more. */
void inventory_radio_begin(struct inventory *inv);
void inventory_radio_end(struct inventory *inv);
/* The radio is gone, and with it all that it knew. */
void inventory_radio_gone(struct inventory *inv);
/* An enrolled device; key as for inventory_device(), seen_ms 0: not known. */
void inventory_radio_device(struct inventory *inv, const struct intake_device *key,
			    const Wellgate__V1__RadioDevice *m, int64_t seen_ms);
/* Devices counted by make, model, hardware, firmware and driver, in the order of the list: the rows
 * that were filled. Text is the inventory's and good until it changes. *ret_unlisted: devices for
 * which there was no row. */
size_t inventory_fleet(const struct inventory *inv,
		       Wellgate__V1__FirmwareCount rows[INVENTORY_FLEET], uint32_t *ret_unlisted);
/* A reading came from it, whatever becomes of that. */
void inventory_heard(struct inventory_device *d, const Wellgate__V1__Reading *reading);
/* Its memory is empty now: it may number its records from the start again. */
void inventory_emptied(struct inventory_device *d);
/* The device with this digest, or NULL. */
const struct inventory_device *inventory_known(const struct inventory *inv,
					       const uint8_t digest[16]);
/* The enrolled device with this digest, or with an address of this digest, or NULL. */
const struct inventory_device *inventory_enrolled(const struct inventory *inv,
						  const uint8_t *digest, size_t len);

/* A page of devices from `after` on; reply->more: ask again, after = INVENTORY_PAGE further.
 * -ENOMEM */
int inventory_reply(const struct inventory *inv, uint64_t after, bool addresses,
		    struct arena *arena, Wellgate__V1__Reply *reply);
