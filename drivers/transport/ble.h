/*
 * What all of the Bluetooth LE transport shares. Its parts, and the way of the data:
 *
 *   bluetoothd <--D-Bus--> adapter --advert--> radio --+--> device (state machine of one peer)
 *                                                      |
 *   kernel <--L2CAP--> wellgate-link <--> bearer <--> peer: ATT client <--> session --> gateway
 *
 * adapter   power, scanning, pairing agent, bonds, recovery; knows nothing of readings
 * bearer    one link: starts wellgate-link, PDUs in and out; knows nothing of ATT
 * enrolment the devices that belong to this hub: one small file each
 * device    the state machine of one enrolled device; pure
 * peer      one link at work: discovery, subscription, session, confirmation after commit
 * radio     owns all of these; decides who may connect when
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "drivers/measurement.h"

enum ble_address_type {
	BLE_PUBLIC = 0,
	BLE_RANDOM = 1
};

struct ble_address {
	uint8_t bytes[6]; /* as printed: most significant first */
	enum ble_address_type type;
};

#define BLE_ADDRESS_TEXT 18 /* "02:00:5E:10:00:01" */

/* 0; -EINVAL. Takes both cases; type is the caller's. */
int ble_address_parse(const char *text, enum ble_address_type type, struct ble_address *ret);
void ble_address_print(const struct ble_address *a, char ret[BLE_ADDRESS_TEXT]);
bool ble_address_equal(const struct ble_address *a, const struct ble_address *b);
/* random with the two top bits 01: it changes every quarter of an hour and names nobody */
bool ble_address_is_resolvable(const struct ble_address *a);

/* one advertising report, or what bluetoothd made of it; borrowed for the call */
#define BLE_ADVERT_SERVICES 16
#define BLE_ADVERT_DATA     8

struct ble_advert_data {
	uint16_t id; /* company, or 16-bit service */
	const uint8_t *data;
	size_t len;
};

struct ble_advert {
	struct ble_address address;
	const char *name; /* UTF-8, or NULL */
	bool has_rssi;
	int8_t rssi; /* dBm */
	bool bonded;
	uint16_t services[BLE_ADVERT_SERVICES];
	size_t n_services;
	uint8_t services128[BLE_ADVERT_SERVICES]
			   [16]; /* little endian; those without a 16-bit form */
	size_t n_services128;
	struct ble_advert_data company[BLE_ADVERT_DATA], service[BLE_ADVERT_DATA];
	size_t n_company, n_service;
	int64_t at; /* monotonic microseconds */
};
