/* The suffix of USB DFU 1.1, which DfuSe files have, too; and what writes both. */
#pragma once

#include "firmware-tools/formats/format.h"
#include "protocols/bytes/writer.h"

#define DFU_SUFFIX       16
#define DFU_VERSION      0x0100
#define DFU_VERSION_ST   0x011a /* a DfuSe file */
#define DFUSE_OVERHEAD   (11 + 274 + 8)
#define DFUSE_NAME_BYTES 255

struct dfu_suffix {
	uint16_t release, product, vendor; /* FIRMWARE_USB_ANY: any */
	uint16_t version;
	uint8_t len; /* of the suffix, 16 and up */
	uint32_t crc;
};

/* its signature is there */
bool dfu_has_suffix(const uint8_t *data, size_t len);
/* dfu_has_suffix() is true. Adds its facts and its check. 0, -EBADMSG */
int dfu_read_suffix(const uint8_t *data, size_t len, struct firmware_image *image,
		    struct dfu_suffix *ret);
/* over all but the last four bytes of a file */
uint32_t dfu_crc(const uint8_t *data, size_t len);
/* Appends 16 bytes to the whole file that is in w; len and crc of *suffix do not matter. */
void dfu_write_suffix(struct writer *w, const struct dfu_suffix *suffix);
/* One target with one element, without the suffix: DFUSE_OVERHEAD bytes and len of them. name: of
 * the target, cut after 254 bytes; NULL: none. */
void dfuse_write(struct writer *w, const struct firmware_segment *segment, const char *name);
