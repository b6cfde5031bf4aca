#include "firmware-tools/formats/nordic_init.h"

#include <errno.h>

#include "protocols/bytes/cursor.h"

#define HASH_SHA256 3

enum wire {
	VARINT = 0,
	BYTES = 2,
};

/* One field of a protobuf message: `value`, or `bytes`. dfu-cc.proto has no other wire types. */
struct field {
	uint32_t number;
	enum wire wire;
	uint64_t value;
	struct cursor bytes;
};

static uint64_t read_varint(struct cursor *c)
{
	uint64_t value = 0;

	for (unsigned int shift = 0; shift < 64; shift += 7) {
		const uint8_t byte = cursor_u8(c);

		if (shift == 63 && byte > 1)
			break;
		value |= (uint64_t)(byte & 0x7f) << shift;
		if (byte < 0x80)
			return value;
	}
	c->failed = true;
	return 0;
}

/* false at the end, or when c failed */
static bool next_field(struct cursor *c, struct field *ret)
{
	uint64_t tag, len;

	if (cursor_left(c) == 0)
		return false;
	tag = read_varint(c);
	*ret = (struct field){ .number = (uint32_t)(tag >> 3), .wire = VARINT };
	if (tag >> 3 == 0 || tag >> 3 > UINT32_MAX || ((tag & 7) != VARINT && (tag & 7) != BYTES))
		c->failed = true;
	if (!cursor_ok(c))
		return false;
	if ((tag & 7) == VARINT) {
		ret->value = read_varint(c);
		return cursor_ok(c);
	}
	ret->wire = BYTES;
	len = read_varint(c);
	ret->bytes = cursor_sub(c, len > SIZE_MAX ? SIZE_MAX : (size_t)len);
	return cursor_ok(c);
}

/* a number that has to fit; false: it does not, or the field is none */
static bool number(const struct field *f, uint32_t *ret)
{
	if (f->wire != VARINT || f->value > UINT32_MAX)
		return false;
	*ret = (uint32_t)f->value;
	return true;
}

static bool add_softdevice(struct nordic_init *init, uint64_t value)
{
	if (init->n_softdevices >= NORDIC_SOFTDEVICES_MAX || value > UINT32_MAX)
		return false;
	init->softdevices[init->n_softdevices++] = (uint32_t)value;
	return true;
}

/* packed or not, as protobuf has it */
static bool read_softdevices(const struct field *f, struct nordic_init *init)
{
	struct cursor c = f->bytes;
	bool good = true;

	if (f->wire == VARINT)
		return add_softdevice(init, f->value);
	while (good && cursor_left(&c) > 0)
		good = add_softdevice(init, read_varint(&c));
	return good && cursor_ok(&c);
}

static void copy_reversed(uint8_t *to, const uint8_t *from, size_t len)
{
	for (size_t i = 0; i < len; i++)
		to[i] = from[len - 1 - i];
}

static bool read_hash(const struct field *hash, struct nordic_init *init)
{
	struct cursor c = hash->bytes;
	struct field f;
	bool good = hash->wire == BYTES, has_bytes = false;

	while (good && next_field(&c, &f)) {
		if (f.number == 1)
			good = number(&f, &init->hash_type);
		if (f.number != 2)
			continue;
		good = f.wire == BYTES && f.bytes.len <= sizeof(init->hash) && !has_bytes;
		has_bytes = good && f.bytes.len == sizeof(init->hash);
		if (has_bytes)
			copy_reversed(init->hash, f.bytes.data, sizeof(init->hash));
	}
	init->has_hash = has_bytes && init->hash_type == HASH_SHA256;
	return good && cursor_ok(&c);
}

static bool read_init_field(const struct field *f, struct nordic_init *init)
{
	uint32_t flag = 0;

	switch (f->number) {
	case 1:
		return number(f, &init->version);
	case 2:
		init->has_hardware = true;
		return number(f, &init->hardware);
	case 3:
		return read_softdevices(f, init);
	case 4:
		init->has_type = true;
		return number(f, &init->type);
	case 5:
		return number(f, &init->softdevice_size);
	case 6:
		return number(f, &init->bootloader_size);
	case 7:
		return number(f, &init->application_size);
	case 8:
		return !init->has_hash && read_hash(f, init);
	case 9:
		if (!number(f, &flag))
			return false;
		init->is_debug = flag != 0;
		return true;
	default:
		return true; /* boot validation, and what is new */
	}
}

/* Command { op_code 1, init 2 }: *bytes is what a signature is over */
static bool read_command(struct cursor c, struct nordic_init *init)
{
	struct field f, inner;
	bool good = true, has_init = false;

	init->command = c.data;
	init->command_len = c.len;
	while (good && next_field(&c, &f)) {
		if (f.number != 2)
			continue;
		good = f.wire == BYTES && !has_init;
		has_init = true;
		while (good && next_field(&f.bytes, &inner))
			good = read_init_field(&inner, init);
		good = good && cursor_ok(&f.bytes);
	}
	return good && has_init && cursor_ok(&c);
}

/* SignedCommand { command 1, signature_type 2, signature 3 } */
static bool read_signed(struct cursor c, struct nordic_init *init)
{
	struct field f;
	bool good = true, has_command = false;

	while (good && next_field(&c, &f)) {
		if (f.number == 1) {
			good = f.wire == BYTES && !has_command && read_command(f.bytes, init);
			has_command = true;
		} else if (f.number == 2) {
			good = number(&f, &init->signature_type);
		} else if (f.number == 3) {
			good = f.wire == BYTES && f.bytes.len == 64 && !init->is_signed;
			init->is_signed = true;
			if (good) {
				copy_reversed(init->signature, f.bytes.data, 32);
				copy_reversed(init->signature + 32, f.bytes.data + 32, 32);
			}
		}
	}
	return good && has_command && init->is_signed && cursor_ok(&c);
}

static bool read_secure(struct cursor c, struct nordic_init *ret)
{
	struct nordic_init init = { .is_secure = true };
	struct field f;
	bool good = next_field(&c, &f) && f.wire == BYTES;

	if (!good || !cursor_at_end(&c))
		return false;
	if (f.number == 1)
		good = read_command(f.bytes, &init);
	else
		good = f.number == 2 && read_signed(f.bytes, &init);
	if (good)
		*ret = init;
	return good;
}

static bool read_legacy(struct cursor c, struct nordic_init *ret)
{
	struct nordic_init init = { 0 };
	uint16_t n;

	init.device_type = cursor_le16(&c);
	init.device_revision = cursor_le16(&c);
	init.version = cursor_le32(&c);
	n = cursor_le16(&c);
	if (n > NORDIC_SOFTDEVICES_MAX)
		return false;
	for (size_t i = 0; i < n; i++)
		init.softdevices[i] = cursor_le16(&c);
	init.n_softdevices = n;
	init.crc = cursor_le16(&c);
	if (!cursor_at_end(&c))
		return false;
	*ret = init;
	return true;
}

int nordic_read_init(const uint8_t *data, size_t len, struct nordic_init *ret)
{
	/* protobuf first: it has to fit to the last byte, and begins as no device type does */
	if (read_secure(cursor_of(data, len), ret) || read_legacy(cursor_of(data, len), ret))
		return 0;
	return -EBADMSG;
}
