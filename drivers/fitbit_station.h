/*
 * Fitbit's base station (2687:fb01), as its driver and the operator's `wellgate fitbit` both see
 * it: what it says of itself and of trackers in reach, and what a hub keeps about the one that is
 * allowed. Source: see devices/fitbit_dongle.c.
 */
#pragma once

#include "drivers/driver.h"
#include "protocols/fitbit/message.h"

/* Frames of DRV_WIRE_REPORT: LENGTH COMMAND payload */
#define FITBIT_STATION_FOUND 0x03
#define FITBIT_STATION_INFO  0x08

#define FITBIT_STATION_TEXT (2 * FITBIT_ID_SIZE + 1)

struct fitbit_found {
	uint8_t id[FITBIT_ID_SIZE]; /* its address, least significant byte first */
	uint8_t address_type;
	int8_t rssi; /* dBm */
	bool has_product;
	uint8_t product;  /* FITBIT_FLEX ... */
	bool unsynced;    /* it says that it was not synced recently */
	uint16_t service; /* as `establish link` wants it */
};

/* Payloads. -EMSGSIZE, -ERANGE. */
int fitbit_found_decode(const uint8_t *payload, size_t len, struct fitbit_found *ret);
/* The base station's own address as text, its DRV_SERIAL. -EMSGSIZE */
int fitbit_station_decode(const uint8_t *payload, size_t len, char ret[FITBIT_STATION_TEXT]);
/* A whole frame, with anything behind it: its command, and the payload within. -EMSGSIZE */
int fitbit_station_frame(const uint8_t *data, size_t len, const uint8_t **ret_payload,
			 size_t *ret_len);

/* drv_keep() of the base station's driver: which tracker is allowed. Its first dump adds a serial
 * number; without one the next dump decides. */
#define FITBIT_ALLOWED_VERSION 0x01
#define FITBIT_ALLOWED_SIZE    (1 + FITBIT_ID_SIZE)
void fitbit_allow(const uint8_t id[FITBIT_ID_SIZE], uint8_t ret[FITBIT_ALLOWED_SIZE]);

/* Not in the table of drivers: asks a base station what it is and who is in reach, and ends after
 * some ten seconds. What it hears is the caller's, in cable_sink.observe. */
extern const struct driver fitbit_survey;
