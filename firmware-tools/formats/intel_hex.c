/*
 * Intel "Hexadecimal Object File Format Specification", revision A (1988). A line is
 *
 *     ':' length u8 | offset u16 | type u8 | data | sum u8      in hex digits, big endian
 *
 * and all its bytes add up to zero. Types: 0 data, 1 end, 2 segment base (times 16), 3 start as
 * CS:IP, 4 upper half of the address, 5 start address. Nothing tells that a whole line is missing,
 * so the checks here are weak ones; a hash from whoever made the file is better.
 */
#include <errno.h>
#include <string.h>

#include "firmware-tools/formats/format.h"
#include "protocols/bytes/cursor.h"

#define LINE_BYTES 260 /* with a length of 255 */

enum record_type {
	DATA = 0,
	END = 1,
	SEGMENT = 2,
	START_SEGMENT = 3,
	LINEAR = 4,
	START_LINEAR = 5,
};

struct reading {
	struct firmware_image *image;
	uint8_t *memory; /* the bytes of all records in their order */
	size_t used;
	uint64_t base;
	bool is_segmented; /* base came from a type 2: offsets wrap at 64 KiB */
	bool ended, has_start;
	struct firmware_segment run; /* not yet added if len > 0 */
};

static bool is_hex_file(const uint8_t *data, size_t len)
{
	return len >= 11 && data[0] == ':';
}

static int digit(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* the bytes between ':' and the end of a line; *ret_len at most LINE_BYTES */
static int read_line(struct reading *s, struct cursor *c, uint8_t ret[LINE_BYTES], size_t *ret_len)
{
	size_t n = 0;

	if (cursor_u8(c) != ':')
		return firmware_bad(s->image, "a line does not begin with a colon");
	while (cursor_left(c) >= 2) {
		const int high = digit(c->data[c->pos]), low = digit(c->data[c->pos + 1]);

		if (high < 0)
			break;
		if (low < 0 || n == LINE_BYTES)
			return firmware_bad(s->image, "a line is cut, too long, or not in hex");
		ret[n++] = (uint8_t)(high << 4 | low);
		cursor_skip(c, 2);
	}
	if (cursor_left(c) > 0 && c->data[c->pos] == '\r')
		cursor_skip(c, 1);
	if (cursor_left(c) > 0 && cursor_u8(c) != '\n')
		return firmware_bad(s->image, "a line is cut, too long, or not in hex");
	*ret_len = n;
	return 0;
}

static int end_run(struct reading *s)
{
	const struct firmware_segment run = s->run;

	s->run.len = 0;
	return run.len > 0 ? firmware_add_segment(s->image, &run) : 0;
}

static int add_data(struct reading *s, uint16_t offset, const uint8_t *data, size_t len)
{
	const uint64_t address = s->base + offset;
	const uint64_t limit = s->is_segmented ? s->base + 0x10000 : UINT64_C(0x100000000);
	int r = 0;

	if (address + len > limit)
		return firmware_bad(s->image, "a line goes round the end of the addresses");
	if (s->run.len == 0 || s->run.address + (uint64_t)s->run.len != address) {
		r = end_run(s);
		s->run = (struct firmware_segment){ .name = "firmware", .has_address = true };
		s->run.address = (uint32_t)address;
		s->run.data = s->memory + s->used;
	}
	memcpy(s->memory + s->used, data, len);
	s->used += len;
	s->run.len += len;
	return r;
}

static int wrong_length(struct reading *s)
{
	return firmware_bad(s->image, "a line has a length that its kind cannot have");
}

static int apply(struct reading *s, const uint8_t *line, size_t len)
{
	const uint16_t offset = (uint16_t)(line[1] << 8 | line[2]);
	const uint32_t word = len >= 2 ? (uint32_t)line[4] << 8 | line[5] : 0;

	switch (line[3]) {
	case DATA:
		return len > 0 ? add_data(s, offset, line + 4, len) : 0;
	case END:
		s->ended = true;
		return len == 0 ? 0 : wrong_length(s);
	case SEGMENT:
	case LINEAR:
		s->is_segmented = line[3] == SEGMENT;
		s->base = s->is_segmented ? word << 4 : word << 16;
		return len == 2 ? 0 : wrong_length(s);
	case START_SEGMENT:
	case START_LINEAR:
		if (len != 4)
			return wrong_length(s);
		if (s->has_start)
			return firmware_bad(s->image, "it says twice where it starts");
		s->has_start = true;
		firmware_hex(s->image, NULL, "start", word << 16 | (uint32_t)line[6] << 8 | line[7],
			     8);
		return 0;
	default:
		return firmware_bad(s->image, "a line is of a kind that does not exist");
	}
}

static int take_line(struct reading *s, struct cursor *c)
{
	uint8_t line[LINE_BYTES], sum = 0;
	size_t len = 0;
	int r = read_line(s, c, line, &len);

	if (r < 0)
		return r;
	if (len < 5 || len != (size_t)line[0] + 5)
		return firmware_bad(s->image, "a line is not as long as it says");
	for (size_t i = 0; i < len; i++)
		sum = (uint8_t)(sum + line[i]);
	if (sum != 0)
		return firmware_bad(s->image, "the checksum of a line is wrong");
	return apply(s, line, len - 5);
}

static int read_hex(const struct firmware_input *in, struct firmware_image *image)
{
	struct cursor c = cursor_of(in->data, in->len);
	struct reading s = { .image = image, .memory = firmware_alloc(image, in->len / 2) };
	int r = s.memory ? 0 : -ENOMEM;

	while (r == 0 && !s.ended && cursor_left(&c) > 0)
		r = take_line(&s, &c);
	if (r == 0)
		r = end_run(&s);
	if (r == 0 && !s.ended)
		r = firmware_bad(image, "its last line is missing: it is cut");
	if (r == 0 && cursor_left(&c) > 0)
		r = firmware_bad(image, "something follows its last line");
	if (r < 0)
		return r;
	firmware_check(image, NULL, "line checksums", true, "");
	firmware_unsigned(image, NULL);
	return firmware_sort_segments(image);
}

const struct firmware_format firmware_intel_hex = {
	.name = "intel_hex",
	.label = "Intel HEX",
	.probe = is_hex_file,
	.read = read_hex,
};
