/*
 * Battery Service 0x180F: Battery Level 0x2A19 (read, notify): u8 percent, 0 to 100.
 * bluetoothd's own plugin claims this service; over our own bearer it can be read as any other.
 *
 * Source: SIG characteristic data (gatt-xml).
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "protocols/bytes/decimal.h"
#include "protocols/bytes/writer.h"

struct gatt_battery {
	struct number level; /* percent */
};

/* -EMSGSIZE length; -ERANGE above 100. ret untouched on failure. */
int gatt_battery_decode(const uint8_t *data, size_t len, struct gatt_battery *ret);
/* -ERANGE a value that the layout cannot hold; -ENOSPC the writer is too small */
int gatt_battery_encode(const struct gatt_battery *x, struct writer *w);
