/*
 * A firmware image, read: what it says of itself, what of that was checked, and which bytes go
 * where. Whatever the format is, what comes out has this shape; who writes firmware to a device
 * takes it from here. Sizes are in bytes.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "firmware-tools/key.h"

#define FIRMWARE_FILE_MAX     ((size_t)32 * 1024 * 1024)
#define FIRMWARE_FACTS_MAX    96
#define FIRMWARE_TEXT         136
#define FIRMWARE_CHECKS_MAX   48
#define FIRMWARE_SEGMENTS_MAX 4096
#define FIRMWARE_USB_ANY      0xffff /* vendor, product or release: any, or not stated */

/* Bytes for one place. Pointers are into the file or into memory of the image. */
struct firmware_segment {
	const char *name; /* constant: "application", "bootloader"...; never NULL */
	bool has_address;
	uint32_t address;
	uint8_t alternate; /* DfuSe: alternate setting of the interface; else 0 */
	const uint8_t *data;
	size_t len;
	const uint8_t *init; /* Nordic: the init packet that goes first; else NULL */
	size_t init_len;
};

/* Something that the image says of itself. */
struct firmware_fact {
	const char *of;   /* constant, the name of a segment; NULL: of the whole */
	const char *name; /* constant, with underscores */
	bool is_number;   /* text is a decimal number */
	char text[FIRMWARE_TEXT];
};

enum firmware_result {
	FIRMWARE_GOOD,
	FIRMWARE_BAD,
	FIRMWARE_NOT_CHECKED,
};

struct firmware_check {
	const char *of;   /* as in a fact */
	const char *name; /* constant */
	bool is_origin;   /* it tells who made the image, not only that it is whole */
	enum firmware_result result;
	const char *why; /* constant, why it is not good; "" */
};

struct firmware_format;

struct firmware_image {
	const struct firmware_format *format;
	struct firmware_segment *segments;
	size_t n_segments;
	uint16_t usb_vendor, usb_product, usb_release; /* FIRMWARE_USB_ANY if not stated */
	bool has_version;
	uint32_t version[4]; /* major, minor, revision, build; Nordic: the first only */
	struct firmware_fact facts[FIRMWARE_FACTS_MAX];
	size_t n_facts;
	struct firmware_check checks[FIRMWARE_CHECKS_MAX];
	size_t n_checks;
	void **owned; /* memory that goes with the image */
	size_t n_owned;
	const char *why; /* inside a format: see firmware_bad() */
};

/* Reads `len` bytes; they must outlive the image. `format` NULL: found out. `key` may be NULL: then
 * signatures are not checked. 0 also when a check is bad: ask firmware_is_intact().
 * -ENOMSG: of no format that is known; -EBADMSG: the format's rules are broken, *ret_why says how
 * (a constant sentence; may be NULL); -ENOMEM. */
int firmware_read(const uint8_t *data, size_t len, const struct firmware_format *format,
		  const struct firmware_key *key, struct firmware_image **ret,
		  const char **ret_why);
void firmware_free(struct firmware_image *image); /* NULL is fine */

/* Something was checked that tells that the image is whole, and no check was bad. */
bool firmware_is_intact(const struct firmware_image *image);
/* A signature was checked and is good, and there is none that was not. */
bool firmware_is_genuine(const struct firmware_image *image);
/* The first check that is bad, or NULL. */
const struct firmware_check *firmware_first_bad(const struct firmware_image *image);
/* "good", "bad", "not checked" */
const char *firmware_result_name(enum firmware_result result);

/* ---- for the formats ---- */

/* notes the sentence and returns -EBADMSG, so that `return firmware_bad(...)` reads well */
int firmware_bad(struct firmware_image *image, const char *why);
/* Zeroed memory that is freed with the image, or NULL. */
void *firmware_alloc(struct firmware_image *image, size_t len);
/* -EBADMSG: too many; -ENOMEM */
int firmware_add_segment(struct firmware_image *image, const struct firmware_segment *segment);
/* Sorted by alternate setting and address; -EBADMSG if two of them share an address. */
int firmware_sort_segments(struct firmware_image *image);
/* A format keeps below FIRMWARE_FACTS_MAX and FIRMWARE_CHECKS_MAX, whatever the image holds. */
void firmware_number(struct firmware_image *image, const char *of, const char *name,
		     uint64_t value);
/* "0x0483" with 4 digits */
void firmware_hex(struct firmware_image *image, const char *of, const char *name, uint64_t value,
		  int digits);
void firmware_text(struct firmware_image *image, const char *of, const char *name,
		   const char *text);
/* at most 64 bytes of them, as hex digits */
void firmware_bytes(struct firmware_image *image, const char *of, const char *name,
		    const uint8_t *data, size_t len);
/* a check that the image is whole; why: said if it is not */
void firmware_check(struct firmware_image *image, const char *of, const char *name, bool good,
		    const char *why);
void firmware_unchecked(struct firmware_image *image, const char *of, const char *name,
			const char *why);
/* A signature over message. key NULL: not checked. */
void firmware_signature(struct firmware_image *image, const char *of,
			const struct firmware_key *key, enum firmware_scheme scheme,
			const struct firmware_signed *what);
/* there is none */
void firmware_unsigned(struct firmware_image *image, const char *of);
