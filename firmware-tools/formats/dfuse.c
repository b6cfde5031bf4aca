/*
 * DfuSe, the file format of ST's extension to USB DFU (UM0391 "DfuSe File Format Specification"):
 *
 *     "DfuSe" | 01 | size u32 of all but the suffix | targets u8
 *     target:  "Target" | alternate u8 | is named u32 | name[255] | size u32 | elements u32
 *     element: address u32 | size u32 | bytes
 *     suffix of USB DFU, version 011a
 *
 * Little endian. Sizes say the same thing three times over; all of them have to agree. Debian's
 * dfuse-pack counts the suffix in the first, ST's programs do not.
 */
#include <string.h>

#include "firmware-tools/formats/dfu.h"
#include "protocols/bytes/cursor.h"

#define PREFIX_BYTES 11
#define VERSION      1

static const char cut[] = "its sizes do not add up: it is cut, or made wrongly";

static bool is_dfuse(const uint8_t *data, size_t len)
{
	return len >= PREFIX_BYTES && memcmp(data, "DfuSe", 5) == 0;
}

static int read_element(struct cursor *c, uint8_t alternate, struct firmware_image *image)
{
	struct firmware_segment segment = { .name = "firmware",
					    .has_address = true,
					    .alternate = alternate };

	segment.address = cursor_le32(c);
	segment.len = cursor_le32(c);
	segment.data = cursor_bytes(c, segment.len);
	if (!segment.data)
		return firmware_bad(image, cut);
	if (segment.len == 0)
		return firmware_bad(image, "an element of it is empty");
	if (segment.len > UINT64_C(0x100000000) - segment.address)
		return firmware_bad(image, "an element of it goes beyond the last address");
	return firmware_add_segment(image, &segment);
}

static int read_target(struct cursor *c, struct firmware_image *image)
{
	const uint8_t *signature = cursor_bytes(c, 6);
	struct cursor elements = { 0 };
	uint8_t alternate;
	uint32_t size, n;
	int r = 0;

	if (!signature || memcmp(signature, "Target", 6) != 0)
		return firmware_bad(image, "a target of it does not begin as one");
	alternate = cursor_u8(c);
	cursor_skip(c, 4 + DFUSE_NAME_BYTES); /* free text */
	size = cursor_le32(c);
	n = cursor_le32(c);
	elements = cursor_sub(c, size);
	if (!cursor_ok(c))
		return firmware_bad(image, cut);
	for (uint32_t i = 0; i < n && r == 0; i++)
		r = read_element(&elements, alternate, image);
	if (r == 0 && !cursor_at_end(&elements))
		r = firmware_bad(image, cut);
	return r;
}

static int read_targets(struct cursor *c, size_t suffix_len, struct firmware_image *image)
{
	uint32_t size;
	uint8_t version, n;
	int r = 0;

	cursor_skip(c, 5);
	version = cursor_u8(c);
	size = cursor_le32(c);
	n = cursor_u8(c);
	if (version != VERSION)
		return firmware_bad(image, "it is of a version that this does not know");
	if (size != c->len && size != c->len + suffix_len)
		return firmware_bad(image, cut);
	firmware_number(image, NULL, "targets", n);
	for (unsigned int i = 0; i < n && r == 0; i++)
		r = read_target(c, image);
	if (r == 0 && !cursor_at_end(c))
		r = firmware_bad(image, cut);
	return r < 0 ? r : firmware_sort_segments(image);
}

static int read_dfuse(const struct firmware_input *in, struct firmware_image *image)
{
	struct dfu_suffix suffix = { 0 };
	struct cursor c;
	int r;

	if (!is_dfuse(in->data, in->len))
		return firmware_bad(image, "it does not begin as a DfuSe file");
	if (!dfu_has_suffix(in->data, in->len))
		return firmware_bad(image, "it has no DFU suffix: it is cut, or made wrongly");
	r = dfu_read_suffix(in->data, in->len, image, &suffix);
	if (r < 0)
		return r;
	if (suffix.version != DFU_VERSION_ST)
		return firmware_bad(image, "its suffix is not that of a DfuSe file");
	if (in->len - suffix.len < PREFIX_BYTES)
		return firmware_bad(image, cut);
	c = cursor_of(in->data, in->len - suffix.len);
	firmware_unsigned(image, NULL);
	return read_targets(&c, suffix.len, image);
}

void dfuse_write(struct writer *w, const struct firmware_segment *segment, const char *name)
{
	const size_t name_len = name ? strnlen(name, DFUSE_NAME_BYTES - 1) : 0;
	const uint32_t len = (uint32_t)segment->len;
	uint8_t text[DFUSE_NAME_BYTES] = { 0 };

	if (name_len > 0)
		memcpy(text, name, name_len);
	writer_bytes(w, "DfuSe", 5);
	writer_u8(w, VERSION);
	writer_le32(w, len + DFUSE_OVERHEAD);
	writer_u8(w, 1);
	writer_bytes(w, "Target", 6);
	writer_u8(w, segment->alternate);
	writer_le32(w, name_len > 0);
	writer_bytes(w, text, sizeof(text));
	writer_le32(w, len + 8);
	writer_le32(w, 1);
	writer_le32(w, segment->address);
	writer_le32(w, len);
	writer_bytes(w, segment->data, segment->len);
}

const struct firmware_format firmware_dfuse = {
	.name = "dfuse",
	.label = "DfuSe file",
	.probe = is_dfuse,
	.read = read_dfuse,
};
