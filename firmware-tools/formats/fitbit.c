/*
 * The container in which trackers of the base-station years got their firmware. Read only: nothing
 * here writes to a tracker, ever. Evidence: public analyses of these trackers and their firmware;
 * a historical frame of 40521 bytes fits all of it. Little endian.
 *
 *     opcode 30 or 31 | 02 | 0000 | encryption u16 | nonce u32         10 bytes
 *     size of what follows but the trailer u32
 *     chunk: product u8 | kind u8 | address u32 | length u32 | length u32 | CRC u16 | bytes
 *     trailer: CRC u16 and 6 zeros, or a tag of 8 | u24 all bytes less 21
 *
 * The last chunks are empty: one of the same kind, then one of kind 3 or 4 (restart into what was
 * sent). All sums are CRC-16/XMODEM.
 */
#include "firmware-tools/formats/fitbit.h"

#include <errno.h>
#include <string.h>

#include "protocols/bytes/crc.h"
#include "protocols/bytes/cursor.h"

enum {
	HEADER_BYTES = 10,
	SIZE_BYTES = 4,
	CHUNK_BYTES = 16,
	TRAILER_BYTES = 11,
	ZEROS = 6,
	TOTAL_LESS = 21,
};

enum kind {
	BOOT_DATA = 1,
	APP_DATA = 2,
	BOOT_RESTART = 3,
	APP_RESTART = 4,
};

static const char cut[] = "its sizes do not add up: it is cut, or made wrongly";

struct chunk {
	uint8_t product, kind;
	uint32_t address, len;
	uint16_t crc;
	const uint8_t *data;
};

struct reading {
	struct firmware_image *image;
	bool good;            /* sums of all chunks */
	uint8_t kind;         /* of the data; 0: none yet */
	unsigned int endings; /* empty chunks: 1 of the same kind, 2 the restart */
	uint8_t *joined;
	size_t used;
};

static bool is_container(const uint8_t *data, size_t len)
{
	return len >= HEADER_BYTES && (data[0] == 0x30 || data[0] == 0x31) && data[1] == 2 &&
	       data[2] == 0 && data[3] == 0;
}

void fitbit_check_image(struct firmware_image *image, const char *of, const uint8_t *data,
			size_t len)
{
	const size_t behind = FITBIT_CRC_AT + FITBIT_CRC_BYTES;
	const uint16_t stored = (uint16_t)(data[FITBIT_CRC_AT] | data[FITBIT_CRC_AT + 1] << 8);
	const uint16_t crc =
		crc_16_xmodem_add(crc_16_xmodem(data, FITBIT_CRC_AT), data + behind, len - behind);

	firmware_check(image, of, "self-checksum", crc == stored,
		       "it was changed after it was made, or is no memory image of a Fitbit");
}

static int read_chunk(struct cursor *c, struct firmware_image *image, struct chunk *ret)
{
	uint32_t again;

	ret->product = cursor_u8(c);
	ret->kind = cursor_u8(c);
	ret->address = cursor_le32(c);
	ret->len = cursor_le32(c);
	again = cursor_le32(c);
	ret->crc = cursor_le16(c);
	if (!cursor_ok(c) || ret->len != again)
		return firmware_bad(image, cut);
	ret->data = cursor_bytes(c, ret->len);
	return ret->data ? 0 : firmware_bad(image, cut);
}

static int add_data(struct reading *s, const struct chunk *k)
{
	struct firmware_segment segment = { .has_address = true, .address = k->address };

	if (s->endings > 0 || (s->kind != 0 && s->kind != k->kind))
		return firmware_bad(s->image, "its chunks are not in their order");
	if (k->len > UINT64_C(0x100000000) - k->address)
		return firmware_bad(s->image, "a chunk of it goes beyond the last address");
	if (s->kind == 0)
		firmware_number(s->image, NULL, "product", k->product);
	s->kind = k->kind;
	s->good = s->good && crc_16_xmodem(k->data, k->len) == k->crc;
	if (k->data)
		memcpy(s->joined + s->used, k->data, k->len);
	s->used += k->len;
	segment.name = k->kind == BOOT_DATA ? "bootloader" : "application";
	segment.data = k->data;
	segment.len = k->len;
	return firmware_add_segment(s->image, &segment);
}

static int add_ending(struct reading *s, const struct chunk *k)
{
	const uint8_t restart = s->kind == BOOT_DATA ? BOOT_RESTART : APP_RESTART;
	const uint8_t expected = s->endings == 0 ? s->kind : restart;

	if (s->kind == 0 || s->endings >= 2 || k->kind != expected || k->address != 0 ||
	    k->crc != 0)
		return firmware_bad(s->image, "its chunks are not in their order");
	s->endings++;
	return 0;
}

/* An image that came in pieces carries one sum, if the pieces are one after the other. */
static void check_whole(struct reading *s)
{
	const struct firmware_segment *segments = s->image->segments;

	firmware_check(s->image, NULL, "chunk checksums", s->good,
		       "a chunk was damaged or changed after it was made");
	for (size_t i = 1; i < s->image->n_segments; i++) {
		if ((uint64_t)segments[i - 1].address + segments[i - 1].len != segments[i].address)
			return;
	}
	if (s->used > FITBIT_CRC_AT + FITBIT_CRC_BYTES)
		fitbit_check_image(s->image, NULL, s->joined, s->used);
}

static int read_chunks(struct cursor *c, struct firmware_image *image)
{
	struct reading s = { .image = image, .good = true };
	int r = 0;

	s.joined = firmware_alloc(image, c->len);
	if (!s.joined)
		return -ENOMEM;
	while (r == 0 && cursor_left(c) > 0) {
		struct chunk k = { 0 };

		r = read_chunk(c, image, &k);
		if (r == 0 && (k.kind < BOOT_DATA || k.kind > APP_RESTART))
			r = firmware_bad(image, "a chunk is of a kind that is not known");
		if (r == 0)
			r = k.len > 0 ? add_data(&s, &k) : add_ending(&s, &k);
	}
	if (r == 0 && s.endings != 2)
		r = firmware_bad(image, "its last chunks are missing");
	if (r == 0)
		r = firmware_sort_segments(image);
	if (r == 0)
		check_whole(&s);
	return r;
}

/* The bytes are a cipher's: only lengths can be looked at. */
static int read_encrypted(const struct firmware_input *in, struct firmware_image *image)
{
	struct firmware_segment segment = { .name = "encrypted" };

	segment.data = in->data + HEADER_BYTES + SIZE_BYTES;
	segment.len = in->len - HEADER_BYTES - SIZE_BYTES - TRAILER_BYTES;
	firmware_unchecked(image, NULL, "tag",
			   "only the maker's service and the tracker know the key");
	return segment.len > 0 ? firmware_add_segment(image, &segment) : 0;
}

static int read_trailer(const struct firmware_input *in, bool encrypted,
			struct firmware_image *image)
{
	const size_t at = in->len - TRAILER_BYTES;
	const uint16_t crc = crc_16_xmodem(in->data + HEADER_BYTES, at - HEADER_BYTES);
	struct cursor c = cursor_of(in->data + at, TRAILER_BYTES);
	const uint16_t stored = cursor_le16(&c);
	const uint8_t *zeros = cursor_bytes(&c, ZEROS);

	if (cursor_le24(&c) != in->len - TOTAL_LESS)
		return firmware_bad(image, cut);
	for (size_t i = 0; zeros && i < ZEROS && !encrypted; i++) {
		if (zeros[i] != 0)
			return firmware_bad(image, "its trailer is not that of an open container");
	}
	if (!encrypted)
		firmware_check(image, NULL, "container checksum", crc == stored,
			       "the file was damaged or changed after it was made");
	return 0;
}

static int read_container(const struct firmware_input *in, struct firmware_image *image)
{
	struct cursor c = cursor_of(in->data, in->len);
	uint32_t size, nonce;
	uint16_t encryption;
	int r;

	if (!is_container(in->data, in->len))
		return firmware_bad(image, "it does not begin as a Fitbit container");
	cursor_skip(&c, 4);
	encryption = cursor_le16(&c);
	nonce = cursor_le32(&c);
	size = cursor_le32(&c);
	c = cursor_sub(&c, size);
	if (!cursor_ok(&c) || in->len != (uint64_t)size + HEADER_BYTES + SIZE_BYTES + TRAILER_BYTES)
		return firmware_bad(image, cut);
	firmware_number(image, NULL, "encryption", encryption);
	if (encryption != 0)
		firmware_hex(image, NULL, "nonce", nonce, 8);
	r = read_trailer(in, encryption != 0, image);
	if (r < 0)
		return r;
	firmware_unsigned(image, NULL);
	return encryption != 0 ? read_encrypted(in, image) : read_chunks(&c, image);
}

const struct firmware_format firmware_fitbit = {
	.name = "fitbit",
	.label = "Fitbit firmware container",
	.probe = is_container,
	.read = read_container,
};
