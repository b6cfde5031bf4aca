/*
 * A small zip archive in memory, as firmware is shipped in. It may be hostile: it is refused as a
 * whole, before anything of it is unpacked, when its entries share bytes, have names that are not
 * plain file names, come twice, are encrypted, or unpack to absurd sizes. Nothing is written to
 * disk.
 */
#pragma once

#include "firmware-tools/image.h"

#define PACKAGE_ENTRIES_MAX 32
#define PACKAGE_ENTRY_MAX   ((size_t)16 * 1024 * 1024) /* unpacked */
#define PACKAGE_TOTAL_MAX   ((size_t)32 * 1024 * 1024)
#define PACKAGE_NAME_MAX    127
#define PACKAGE_RATIO_MAX   250 /* unpacked to packed, above PACKAGE_RATIO_FROM bytes */
#define PACKAGE_RATIO_FROM  ((size_t)64 * 1024)

struct package;

/* The data must outlive the package. 0; -EBADMSG with the sentence in image->why; -ENOMEM */
int package_open(struct firmware_image *image, const uint8_t *data, size_t len,
		 struct package **ret);
void package_close(struct package *package); /* NULL is fine */
/* One file, whole; it belongs to the image and one NUL follows it. -ENOENT: there is none of this
 * name; else as above. */
int package_read(struct package *package, struct firmware_image *image, const char *name,
		 const uint8_t **ret, size_t *ret_len);
