/*
 * USB Device Firmware Upgrade 1.1, appendix B: any bytes, then a suffix that says whose they are.
 * It is laid out to be read from the end:
 *
 *     release u16 | product u16 | vendor u16 | version u16 | "UFD" | length u8 | CRC u32
 *
 * little endian. The CRC is that of Ethernet without the last inversion, over all bytes before it.
 * A suffix may be longer than 16 bytes, with the additional ones in front.
 */
#include "firmware-tools/formats/dfu.h"

#include <string.h>

#include "protocols/bytes/crc.h"
#include "protocols/bytes/cursor.h"
#include "protocols/bytes/writer.h"

#define SIGNATURE_FROM_END 8

bool dfu_has_suffix(const uint8_t *data, size_t len)
{
	return len >= DFU_SUFFIX && memcmp(data + len - SIGNATURE_FROM_END, "UFD", 3) == 0;
}

int dfu_read_suffix(const uint8_t *data, size_t len, struct firmware_image *image,
		    struct dfu_suffix *ret)
{
	struct cursor c = cursor_of(data + len - DFU_SUFFIX, DFU_SUFFIX);
	struct dfu_suffix s = { 0 };

	s.release = cursor_le16(&c);
	s.product = cursor_le16(&c);
	s.vendor = cursor_le16(&c);
	s.version = cursor_le16(&c);
	cursor_skip(&c, 3);
	s.len = cursor_u8(&c);
	s.crc = cursor_le32(&c);
	if (s.len < DFU_SUFFIX || s.len > len)
		return firmware_bad(image, "the length in its suffix cannot be");
	image->usb_vendor = s.vendor;
	image->usb_product = s.product;
	image->usb_release = s.release;
	firmware_hex(image, NULL, "usb_vendor", s.vendor, 4);
	firmware_hex(image, NULL, "usb_product", s.product, 4);
	firmware_hex(image, NULL, "usb_release", s.release, 4);
	firmware_hex(image, NULL, "dfu_version", s.version, 4);
	firmware_check(image, NULL, "suffix checksum", dfu_crc(data, len - 4) == s.crc,
		       "the file was damaged or changed after it was made");
	*ret = s;
	return 0;
}

uint32_t dfu_crc(const uint8_t *data, size_t len)
{
	return ~crc_32_iso_hdlc(data, len);
}

void dfu_write_suffix(struct writer *w, const struct dfu_suffix *suffix)
{
	writer_le16(w, suffix->release);
	writer_le16(w, suffix->product);
	writer_le16(w, suffix->vendor);
	writer_le16(w, suffix->version);
	writer_bytes(w, "UFD", 3);
	writer_u8(w, DFU_SUFFIX);
	if (writer_ok(w))
		writer_le32(w, dfu_crc(w->data, w->len));
}

static int read_dfu(const struct firmware_input *in, struct firmware_image *image)
{
	struct firmware_segment segment = { .name = "firmware", .data = in->data };
	struct dfu_suffix suffix = { 0 };
	int r;

	if (!dfu_has_suffix(in->data, in->len))
		return firmware_bad(image, "it has no DFU suffix");
	r = dfu_read_suffix(in->data, in->len, image, &suffix);
	if (r < 0)
		return r;
	/* 0100 by the specification; 0101 and 0110 are found, too */
	if (suffix.version == DFU_VERSION_ST || suffix.version >> 8 != DFU_VERSION >> 8)
		return firmware_bad(image, "its suffix is not that of a USB DFU file");
	segment.len = in->len - suffix.len;
	firmware_unsigned(image, NULL);
	return segment.len > 0 ? firmware_add_segment(image, &segment) : 0;
}

const struct firmware_format firmware_dfu = {
	.name = "dfu",
	.label = "USB DFU file with suffix",
	.probe = dfu_has_suffix,
	.read = read_dfu,
};
