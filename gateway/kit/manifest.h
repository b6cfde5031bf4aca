/*
 * A kit: what a box needs to begin at a person's home, made at the clinic's desk, carried on a USB
 * stick or in the boot partition. A folder with the files, a list of them, and a signature:
 *
 *    wellgate-kit/manifest       text, below
 *    wellgate-kit/manifest.sig   Ed25519 (RFC 8032, pure) over the manifest's bytes, base64
 *    wellgate-kit/wellgate.conf ...
 *
 * The manifest, one item a line, in this order, each line ended by one \n:
 *
 *    wellgate kit 1
 *    box 0123456789abcdef            for which box (box.h)
 *    serial 7                        rises with each kit of a box; an older one is refused
 *    issued 1764000000               seconds since 1970-01-01 UTC
 *    expires 1766592000
 *    file wellgate.conf 812 SHA256   name, bytes, 64 hexadecimal digits; 1 to KIT_FILES_MAX of them
 *
 * The first line keeps a signature made here from meaning anything elsewhere (control/signed.h has
 * another). Pure: no clock, no files.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define KIT_BOX          16 /* hexadecimal digits */
#define KIT_NAME_MAX     48
#define KIT_FILES_MAX    16
#define KIT_BYTES_MAX    ((size_t)256 * 1024) /* of one file */
#define KIT_TEXT_MAX     ((size_t)4096)       /* of the manifest */
#define KIT_HASH         ((size_t)32)
#define KIT_DAYS_MAX     92
#define KIT_DEFAULT_DAYS 30

struct kit_entry {
	char name[KIT_NAME_MAX + 1];
	size_t size;
	uint8_t sha256[KIT_HASH];
};

struct kit_manifest {
	char box[KIT_BOX + 1];
	uint64_t serial;
	int64_t issued, expires; /* s, UTC */
	size_t n;
	struct kit_entry files[KIT_FILES_MAX];
};

/* Exactly the form above: 0, or -EBADMSG and ret untouched. A name is 1 to KIT_NAME_MAX of a-z 0-9
 * . _ - and begins with a letter or a digit, and is not there twice; nothing is called manifest. */
int kit_manifest_decode(const char *text, size_t len, struct kit_manifest *ret);

/* The text, with its NUL, and its length; -ENOSPC. */
int kit_manifest_encode(const struct kit_manifest *m, char *ret, size_t size);

/* The name, of a name of KIT_NAME_MAX + 1 bytes or less. */
int kit_name_check(const char *name);

/* What the box knows. Borrowed. */
struct kit_door {
	const uint8_t (*keys)[32]; /* of those who may prepare kits */
	size_t n;
	const char *box;
	uint64_t serial; /* of the kit that is applied; 0: none */
	int64_t now;     /* s, UTC, as the clock says; at the first start it may be far behind */
};

/*
 * Looks at signature, form, box, serial and age, in this order; ret is untouched unless all are
 * good. A clock behind `issued` is wrong, so the age is not known then: that is no reason to refuse
 * (a new box has no clock), the serial still holds.
 *
 *   -EKEYREJECTED  nobody signed it who may, or it was altered     -EBADMSG  not of that form
 *   -EXDEV         for another box                                -ETIME    too old
 *   -EALREADY      this kit, or a later one, is applied: which of the two says ret->serial, the
 *                  one thing that is written then
 */
int kit_open(const struct kit_door *door, const char *text, size_t len, const uint8_t signature[64],
	     struct kit_manifest *ret);
