/*
 * The devices that belong to this hub, one small text file each, DIR/<address>-<type>.device (mode
 * 0600): what the radio must know to find, reach and trust one again. Never a person. Written to a
 * new file, synced and renamed, so a pulled plug leaves the old or the new. A file that cannot be
 * read is set aside as <name>.bad and reported, never guessed at.
 *
 * One KEY=VALUE a line, always these, in this order, and no others; numbers are decimal, bytes are
 * pairs of lower-case hexadecimal digits:
 *
 *   wellgate-device=1           version of the format
 *   address=02:00:5E:10:00:01
 *   type=random                 or public
 *   driver=weight_scale
 *   quirks=0
 *   name=BF720                  the rest of the line
 *   level=encrypted             clear, encrypted, authenticated, broadcast
 *   path=bearer                 or bluetoothd
 *   consent=1 1234              slot and code, and " refused" if the device did not accept
 *                               it; up to DRV_CONSENTS_MAX lines, or none
 *   kept=0102                   bytes, may be empty
 *   last_record=17              left out if there is none
 *   wipe=1                      its memory is to be emptied; left out if not
 *   enrolled_ms=1767225600000
 *   table=0101ab...             att_table_export(), may be empty
 *   checksum=cbf43926           CRC-32 of all lines before
 */
#pragma once

#include "drivers/session.h"
#include "drivers/transport/ble.h"
#include "protocols/att/table.h"

#define ENROLMENT_MAX       256                 /* devices of one hub */
#define ENROLMENT_BYTES_MAX ((size_t)16 * 1024) /* of one file */

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
	bool wipe;              /* its memory is to be emptied on the next link */
	int64_t enrolled_ms;    /* UTC; 0 unknown */
	struct att_table table; /* complete, or empty */
};

/*
 * One device as the text of its file. print: 0; -EINVAL a field that could not be read back (a name
 * that is not UTF-8 or holds control characters, a driver that is no identifier, numbers out of
 * range); -EMSGSIZE. parse: the text is not trusted; 0; -EMSGSIZE; -ENOMSG another version;
 * -EBADMSG anything else. What parse accepts, print makes again, byte for byte.
 */
int enrolment_print(const struct enrolment *device, char *buffer, size_t size, size_t *ret_len);
int enrolment_parse(const char *text, size_t len, struct enrolment *ret);

struct enrolments;

/*
 * Reads DIR, made if missing (mode 0700). *ret_bad counts files that were set aside, and those
 * beyond ENROLMENT_MAX, which are left alone. 0; -errno: the directory cannot be used, or memory or
 * descriptors have run out (no file is set aside for that).
 */
int enrolments_open(const char *directory, struct enrolments **ret, unsigned int *ret_bad);
void enrolments_free(struct enrolments *e); /* NULL is fine */
/* in the order of their addresses */
size_t enrolments_count(const struct enrolments *e);
/* Valid until that device is removed; its content changes with enrolments_put(). */
const struct enrolment *enrolments_at(const struct enrolments *e, size_t i);
/* type is part of the address; NULL: not ours */
const struct enrolment *enrolments_find(const struct enrolments *e, const struct ble_address *a);
/* Adds it or replaces the one with that address; durable when it returns 0. -ENOSPC more than
 * ENROLMENT_MAX; -EINVAL as enrolment_print(); another -errno of the file: then the old one holds,
 * or, if only the directory could not be synced, the new one. */
int enrolments_put(struct enrolments *e, const struct enrolment *device);
/* durable; -ENOENT */
int enrolments_remove(struct enrolments *e, const struct ble_address *a);
