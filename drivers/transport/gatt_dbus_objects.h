/*
 * What bluetoothd says of a device and of its GATT database, read with every type and size checked.
 * Interfaces: org.bluez.Device1, GattService1 and GattCharacteristic1 (device-api and gatt-api of
 * BlueZ 5.66).
 */
#pragma once

#include <systemd/sd-bus.h>

#include "drivers/transport/ble.h"
#include "protocols/att/pdu.h"

/* Which of them were there, with the right type and a value that can be. */
enum gatt_property {
	GATT_ADDRESS = 1 << 0,
	GATT_ADDRESS_TYPE = 1 << 1,
	GATT_PAIRED = 1 << 2,
	GATT_BONDED = 1 << 3,
	GATT_CONNECTED = 1 << 4,
	GATT_RESOLVED = 1 << 5,
	GATT_UUID = 1 << 6,
	GATT_FLAGS = 1 << 7,
	GATT_VALUE = 1 << 8,
};

struct gatt_properties {
	unsigned int seen;      /* enum gatt_property */
	unsigned int malformed; /* single ones of a wrong type or size: left out */
	struct ble_address address;
	bool paired, bonded, connected, resolved;
	struct att_uuid uuid;
	uint8_t flags;        /* as the properties of a characteristic: Vol 3 part G 3.3.1.1 */
	const uint8_t *value; /* into the message; NULL if it is empty */
	size_t value_len;     /* <= ATT_VALUE_MAX */
};

/* Reads the a{sv} at which the message stands. -EBADMSG or another -errno: the message ends or is
 * of another type. */
int gatt_properties_read(sd_bus_message *m, struct gatt_properties *ret);
