/* The table of drivers (drivers.def) and how a device finds its own. */
#pragma once

#include "drivers/driver.h"

/* What is known about a device before it is opened; unknown fields are zero. */
struct drv_identity {
	enum drv_bus bus;
	const uint16_t *services; /* 16-bit service UUIDs */
	size_t n_services;
	const uint8_t (*services128)[16];
	size_t n_services128;
	uint16_t company;
	const char *name;
	uint16_t vid, pid;
	const uint8_t *usb_classes; /* of the interfaces */
	size_t n_usb_classes;
};

extern const struct driver *const drivers[]; /* NULL-terminated, sorted by name */

const struct driver *registry_by_name(const char *name);
/* "verified on hardware", "by captures", "by specification": for the supported-device table, which
 * is drivers[] with name, label and maturity */
const char *registry_maturity_name(enum drv_maturity maturity);
/* the driver that listens to this characteristic (16-bit SIG): for decode, and for captures that
 * say nothing else. Where several do, the one with the least specific match: the standard's */
const struct driver *registry_by_channel(uint16_t uuid16);
/* The most specific matching row, or NULL; *ret_quirks from that row (may be NULL). */
const struct driver *registry_match(const struct drv_identity *id, uint32_t *ret_quirks);
/* 0, or -EEXIST if two rows could tie for one device (a test calls this); names of their drivers.
 * table is NULL-terminated: `drivers`, or one that a test made up. */
int registry_check(const struct driver *const *table, const char **ret_first,
		   const char **ret_second);
