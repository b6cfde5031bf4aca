/*
 * What bluetoothd says of its objects, read with every length and type checked, and a bounded
 * table of its devices: a clinic hub hears thousands of strangers, so the one heard longest ago
 * makes room, never one that is bonded, linked or ours.
 *
 * Interfaces: org.bluez.Adapter1 and org.bluez.Device1 (adapter-api and device-api of BlueZ 5.66).
 */
#pragma once

#include <systemd/sd-bus.h>

#include "drivers/transport/ble.h"

#define OBJECT_PATH     64   /* "/org/bluez/hci0/dev_02_00_5E_10_00_01" */
#define OBJECT_DEVICES  2048 /* kept at the same time, about 300 bytes each */
#define OBJECT_NAME     64
#define OBJECT_NAME_MAX 248 /* octets: Core Specification Vol 4 Part E 6.23; longer is no name */
#define OBJECT_UUID128  4

struct uuid128 {
	uint8_t bytes[16]; /* little endian */
};

/* ---- one a{sv} ---- */

/* Which of them were there, with the right type and a value that can be. */
enum device_property {
	PROPERTY_ADDRESS = 1 << 0,
	PROPERTY_ADDRESS_TYPE = 1 << 1,
	PROPERTY_NAME = 1 << 2,
	PROPERTY_RSSI = 1 << 3,
	PROPERTY_PAIRED = 1 << 4,
	PROPERTY_BONDED = 1 << 5,
	PROPERTY_CONNECTED = 1 << 6,
	PROPERTY_UUIDS = 1 << 7,
	PROPERTY_COMPANY = 1 << 8,
	PROPERTY_SERVICE_DATA = 1 << 9,
};

/* Pointers are into the message. */
struct device_properties {
	unsigned int seen; /* enum device_property */
	unsigned int malformed;
	struct ble_address address;
	const char *name;
	int16_t rssi;
	bool paired, bonded, connected;
	uint16_t services[BLE_ADVERT_SERVICES];
	size_t n_services;
	struct uuid128 services128[OBJECT_UUID128];
	size_t n_services128;
	struct ble_advert_data company[BLE_ADVERT_DATA], service[BLE_ADVERT_DATA];
	size_t n_company, n_service;
};

/* Reads the a{sv} at which the message stands. -EBADMSG: the message ends or is of another type;
 * single properties of a wrong type or size are left out and counted in `malformed`. */
int device_properties_read(sd_bus_message *m, struct device_properties *ret);

enum adapter_property {
	PROPERTY_ADAPTER_ADDRESS = 1 << 0,
	PROPERTY_POWERED = 1 << 1,
	PROPERTY_DISCOVERING = 1 << 2,
	PROPERTY_MODALIAS = 1 << 3,
	PROPERTY_POWER_STATE = 1 << 4,
};

struct adapter_properties {
	unsigned int seen; /* enum adapter_property */
	unsigned int malformed;
	struct ble_address address;
	bool powered, discovering;
	bool rfkilled; /* PowerState "off-blocked"; bluetoothd with experimental interfaces only */
	const char *modalias;
};
int adapter_properties_read(sd_bus_message *m, struct adapter_properties *ret);

/* ---- the table ---- */

struct object {
	struct object *next; /* in its bucket, or free */
	char path[OBJECT_PATH];
	struct ble_address address;
	bool bonded, linked;
	bool ours;          /* enrolled */
	bool stale;         /* of an earlier generation: not confirmed since */
	bool is_forgotten;  /* we asked for its removal */
	int64_t heard_at;   /* monotonic microseconds */
	int64_t removed_at; /* 0: it is there */
	char name[OBJECT_NAME];
	uint16_t services[BLE_ADVERT_SERVICES];
	size_t n_services;
	struct uuid128 services128[OBJECT_UUID128];
	size_t n_services128;
};

struct objects;

int objects_new(struct objects **ret);
void objects_free(struct objects *o); /* NULL is fine */
size_t objects_count(const struct objects *o);
struct object *objects_find(const struct objects *o, const char *path);
struct object *objects_by_address(struct objects *o, const struct ble_address *address);
/* Adds it; the oldest stranger makes room (*evicted, may be NULL). -ENAMETOOLONG; -ENOSPC: no
 * stranger is there. */
int objects_add(struct objects *o, const char *path, struct object **ret, bool *evicted);
void objects_remove(struct objects *o, struct object *object);
/* The one after `object` (NULL: the first); removing the current one is allowed if the next was
 * taken before. */
struct object *objects_next(struct objects *o, const struct object *object);

/* Takes over what lasts; not `linked` and `bonded`. */
void object_learn(struct object *object, const struct device_properties *p);
/* What was advertised just now: the data of this report alone, with the name and services that are
 * known of the device. Borrows from both. */
void object_advert(const struct object *object, const struct device_properties *p, int64_t now,
		   struct ble_advert *ret);
