/*
 * The devices that belong to this hub, one small text file each, DIR/<address>.device (mode 0600):
 * what the radio must know to find, reach and trust one again. Never a person. Written to a new
 * file, synced and renamed, so a pulled plug leaves the old or the new. A file that cannot be read
 * is set aside as <name>.bad and reported, never guessed at.
 */
#pragma once

#include "drivers/session.h"
#include "drivers/transport/ble.h"
#include "protocols/att/table.h"

#define ENROLMENT_MAX 256 /* devices of one hub */

enum enrolment_path {
	ENROLMENT_BEARER,    /* our own ATT bearer: confirms after the commit */
	ENROLMENT_BLUETOOTHD /* GATT over D-Bus: bluetoothd confirms at once */
};

struct enrolment {
	struct ble_address address; /* the identity address of a bonded device */
	char driver[32];            /* drivers.def */
	uint32_t quirks;            /* of the row that matched */
	char name[64];              /* as advertised; UTF-8, no control characters */
	enum link_security level;   /* LINK_CLEAR, _ENCRYPTED, _AUTHENTICATED or, for one that only
				     * broadcasts, LINK_BROADCAST: the floor for every later link */
	enum enrolment_path path;
	struct session_memory memory; /* consents, and what the driver keeps */
	bool has_last_record;
	uint32_t last_record;   /* drv_last_record() */
	int64_t enrolled_ms;    /* UTC; 0 unknown */
	struct att_table table; /* complete, or empty */
};

struct enrolments;

/* Reads DIR, made if missing. *ret_bad counts files that were set aside. */
int enrolments_open(const char *directory, struct enrolments **ret, unsigned int *ret_bad);
void enrolments_free(struct enrolments *e);
size_t enrolments_count(const struct enrolments *e);
const struct enrolment *enrolments_at(const struct enrolments *e, size_t i);
/* type is part of the address; NULL: not ours */
const struct enrolment *enrolments_find(const struct enrolments *e, const struct ble_address *a);
/* Adds it or replaces the one with that address; durable when it returns 0. -ENOSPC. */
int enrolments_put(struct enrolments *e, const struct enrolment *device);
/* durable; -ENOENT */
int enrolments_remove(struct enrolments *e, const struct ble_address *a);
