/*
 * What everything that speaks with bluetoothd shares: the connection, and values out of its
 * messages, which are not believed to have the type they should have.
 */
#pragma once

#include <systemd/sd-bus.h>

#include "drivers/transport/ble.h"

/* address NULL: the system bus. Nothing is waited for. *ret is the caller's, also after a failure:
 * then NULL, or a bus that was never started. */
int bluez_bus_open(const char *address, sd_bus **ret);

/* All of these: 1 taken, 0 of a wrong type or content and skipped, -errno the message is broken.
 * enter_variant: after 1 the container is open. *ret is written with 1 only. */
int bluez_enter_variant(sd_bus_message *m, const char *type);
int bluez_read_basic(sd_bus_message *m, const char *type, void *ret);
int bluez_read_bool(sd_bus_message *m, bool *ret);
/* "02:00:5E:10:00:01"; the type of *ret stays as it is */
int bluez_read_address(sd_bus_message *m, struct ble_address *ret);
int bluez_read_address_type(sd_bus_message *m, enum ble_address_type *ret);
