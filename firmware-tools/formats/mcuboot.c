/*
 * MCUboot, "Bootloader design", image format. All little endian:
 *
 *     magic u32 | load address u32 | header size u16 | protected size u16 | image size u32 |
 *     flags u32 | version u8.u8.u16+u32 | u32          then the image at "header size", then
 *     protected TLVs: 6908 u16 | size u16 | TLV*       if "protected size" is not 0
 *     TLVs:           6907 u16 | size u16 | TLV*       TLV: type u16 | length u16 | value
 *
 * The hash is over all that is before the second list, and a signature over the same bytes, but
 * Ed25519 signs the hash. What is behind, the trailer of a slot, is covered by neither.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "firmware-tools/formats/format.h"
#include "protocols/bytes/cursor.h"

#define MAGIC           UINT32_C(0x96f3b83d)
#define MAGIC_TLV       0x6907
#define MAGIC_PROTECTED 0x6908
#define HEADER_BYTES    32
#define TLVS_MAX        32
#define FLAGS_ENCRYPTED 0x0c
#define FLAG_RAM_LOAD   0x20

enum tlv_type {
	TLV_KEY_HASH = 0x01,
	TLV_PUBLIC_KEY = 0x02,
	TLV_SHA256 = 0x10,
	TLV_SHA384 = 0x11,
	TLV_SHA512 = 0x12,
	TLV_RSA2048 = 0x20,
	TLV_ECDSA = 0x22,
	TLV_RSA3072 = 0x23,
	TLV_ED25519 = 0x24,
	TLV_DEPENDENCY = 0x40,
	TLV_SECURITY_COUNTER = 0x50,
};

struct tlv {
	const uint8_t *data;
	uint16_t type, len;
};

struct header {
	uint32_t load, image, flags, build;
	uint16_t header, protected, revision;
	uint8_t major, minor;
};

struct reading {
	const struct firmware_input *in;
	struct firmware_image *image;
	size_t covered; /* bytes under the hash */
	uint8_t hash[FIRMWARE_SHA256];
	bool has_hash, has_signature, is_encrypted;
	char others[FIRMWARE_TEXT]; /* kinds of properties that are not looked at */
	size_t others_len;
	bool has_key_hash, has_counter;
	bool is_protected; /* what is read now is under the hash */
	size_t n_tlvs;
};

static bool is_mcuboot(const uint8_t *data, size_t len)
{
	struct cursor c = cursor_of(data, len);

	return cursor_le32(&c) == MAGIC;
}

static int read_header(struct cursor *c, struct firmware_image *image, struct header *ret)
{
	cursor_skip(c, 4);
	ret->load = cursor_le32(c);
	ret->header = cursor_le16(c);
	ret->protected = cursor_le16(c);
	ret->image = cursor_le32(c);
	ret->flags = cursor_le32(c);
	ret->major = cursor_u8(c);
	ret->minor = cursor_u8(c);
	ret->revision = cursor_le16(c);
	ret->build = cursor_le32(c);
	cursor_skip(c, 4);
	if (!cursor_ok(c) || ret->header < HEADER_BYTES)
		return firmware_bad(image, "its header is cut");
	cursor_skip(c, (size_t)ret->header - HEADER_BYTES);
	return 0;
}

static void say_header(const struct header *h, struct firmware_image *image)
{
	char version[48];

	(void)snprintf(version, sizeof(version), "%u.%u.%u+%u", h->major, h->minor, h->revision,
		       (unsigned int)h->build);
	firmware_text(image, NULL, "version", version);
	firmware_number(image, NULL, "image_size", h->image);
	firmware_hex(image, NULL, "flags", h->flags, 8);
	if (h->flags & FLAG_RAM_LOAD)
		firmware_hex(image, NULL, "load_address", h->load, 8);
	image->has_version = true;
	image->version[0] = h->major;
	image->version[1] = h->minor;
	image->version[2] = h->revision;
	image->version[3] = h->build;
}

/* ---- TLVs ---- */

static int check_hash(struct reading *s, const struct tlv *t)
{
	if (t->len != FIRMWARE_SHA256)
		return firmware_bad(s->image, "its hash has a wrong length");
	if (s->has_hash)
		return firmware_bad(s->image, "it has more than one hash");
	s->has_hash = true;
	firmware_bytes(s->image, NULL, "hash", t->data, t->len);
	if (s->is_encrypted)
		firmware_unchecked(s->image, NULL, "image hash",
				   "it is of the bytes before they were encrypted");
	else
		firmware_check(s->image, NULL, "image hash", memcmp(s->hash, t->data, t->len) == 0,
			       "the image was damaged or changed after it was made");
	return 0;
}

static int check_key_hash(struct reading *s, const struct tlv *t)
{
	uint8_t hash[FIRMWARE_SHA256] = { 0 };
	int r;

	if (t->len != FIRMWARE_SHA256 || s->has_key_hash)
		return firmware_bad(s->image, "the hash of its key is not one");
	s->has_key_hash = true;
	firmware_bytes(s->image, NULL, "key_hash", t->data, t->len);
	if (!s->in->key)
		return 0;
	r = firmware_key_hash(s->in->key, hash);
	if (r < 0)
		return r;
	firmware_check(s->image, NULL, "key hash", memcmp(hash, t->data, t->len) == 0,
		       "the image names another key than the one that was given");
	return 0;
}

static int check_signature(struct reading *s, const struct tlv *t, enum firmware_scheme scheme)
{
	struct firmware_signed what = { s->in->data, s->covered, t->data, t->len };

	if (s->has_signature)
		return firmware_bad(s->image, "it has more than one signature");
	s->has_signature = true;
	if (scheme == FIRMWARE_ED25519) {
		what.message = s->hash;
		what.len = sizeof(s->hash);
	}
	if (s->is_encrypted)
		firmware_unchecked(s->image, NULL, "signature",
				   "it is of the bytes before they were encrypted");
	else
		firmware_signature(s->image, NULL, s->in->key, scheme, &what);
	return 0;
}

static int read_tlv(struct reading *s, const struct tlv *t)
{
	struct cursor c = cursor_of(t->data, t->len);

	switch (t->type) {
	case TLV_SHA256:
		return check_hash(s, t);
	case TLV_KEY_HASH:
		return check_key_hash(s, t);
	case TLV_ECDSA:
		return check_signature(s, t, FIRMWARE_ECDSA_P256);
	case TLV_RSA2048:
	case TLV_RSA3072:
		return check_signature(s, t, FIRMWARE_RSA_PSS);
	case TLV_ED25519:
		return check_signature(s, t, FIRMWARE_ED25519);
	case TLV_SECURITY_COUNTER:
		if (t->len != 4 || !s->is_protected || s->has_counter)
			return firmware_bad(s->image, "its security counter is not one");
		s->has_counter = true;
		firmware_number(s->image, NULL, "security_counter", cursor_le32(&c));
		return 0;
	default:
		if (s->others_len < sizeof(s->others))
			s->others_len += (size_t)snprintf(
				s->others + s->others_len, sizeof(s->others) - s->others_len,
				"%s0x%04x", s->others_len ? " " : "", t->type);
		return 0;
	}
}

/* *ret: the TLVs of a list whose header is next */
static int open_list(struct cursor *c, uint16_t magic, struct firmware_image *image,
		     struct cursor *ret, uint16_t *ret_size)
{
	const uint16_t found = cursor_le16(c), size = cursor_le16(c);

	if (!cursor_ok(c) || found != magic || size < 4)
		return firmware_bad(image, "a list of its properties does not begin as one");
	*ret = cursor_sub(c, (size_t)size - 4);
	*ret_size = size;
	return cursor_ok(c) ? 0 : firmware_bad(image, "a list of its properties is cut");
}

static int read_list(struct reading *s, struct cursor *c)
{
	int r = 0;

	while (r == 0 && cursor_left(c) > 0) {
		struct tlv t = { 0 };

		t.type = cursor_le16(c);
		t.len = cursor_le16(c);
		t.data = cursor_bytes(c, t.len);
		if (!t.data)
			return firmware_bad(s->image, "one of its properties is cut");
		if (++s->n_tlvs > TLVS_MAX)
			return firmware_bad(s->image, "it has more properties than this reads");
		r = read_tlv(s, &t);
	}
	return r;
}

/* A hash or signature is in the second list, as it covers the first. */
static int read_lists(struct reading *s, struct cursor *c, const struct header *h)
{
	struct cursor protected = { 0 }, list = { 0 };
	uint16_t size = 0;
	int r = 0;

	if (h->protected > 0) {
		r = open_list(c, MAGIC_PROTECTED, s->image, &protected, &size);
		if (r == 0 && size != h->protected)
			r = firmware_bad(s->image, "its sizes do not add up");
	}
	s->covered = c->pos;
	if (r == 0)
		r = open_list(c, MAGIC_TLV, s->image, &list, &size);
	if (r == 0)
		r = firmware_sha256(s->in->data, s->covered, s->hash);
	if (r == 0)
		r = read_list(s, &protected);
	s->is_protected = false;
	if (r == 0 && (s->has_hash || s->has_signature))
		r = firmware_bad(s->image, "a hash of it is among the bytes that it is of");
	return r < 0 ? r : read_list(s, &list);
}

static void say_ends(struct reading *s, size_t behind)
{
	if (!s->has_hash)
		firmware_unchecked(s->image, NULL, "image hash", "it has none by SHA-256");
	if (!s->has_signature)
		firmware_unsigned(s->image, NULL);
	if (s->others_len > 0)
		firmware_text(s->image, NULL, "other_properties", s->others);
	if (behind > 0)
		firmware_number(s->image, NULL, "bytes_behind", behind);
}

static int read_mcuboot(const struct firmware_input *in, struct firmware_image *image)
{
	struct cursor c = cursor_of(in->data, in->len);
	struct firmware_segment segment = { .name = "image", .data = in->data };
	struct reading s = { .in = in, .image = image, .is_protected = true };
	struct header h = { 0 };
	int r;

	if (!is_mcuboot(in->data, in->len))
		return firmware_bad(image, "it does not begin as an MCUboot image");
	r = read_header(&c, image, &h);
	if (r < 0)
		return r;
	cursor_skip(&c, h.image);
	if (!cursor_ok(&c))
		return firmware_bad(image, "it is shorter than its header says");
	if (h.image == 0)
		return firmware_bad(image, "there is no firmware in it");
	s.is_encrypted = h.flags & FLAGS_ENCRYPTED;
	say_header(&h, image);
	r = read_lists(&s, &c, &h);
	if (r < 0)
		return r;
	say_ends(&s, cursor_left(&c));
	segment.len = c.pos;
	segment.has_address = h.flags & FLAG_RAM_LOAD;
	segment.address = segment.has_address ? h.load : 0;
	return firmware_add_segment(image, &segment);
}

const struct firmware_format firmware_mcuboot = {
	.name = "mcuboot",
	.label = "MCUboot image",
	.probe = is_mcuboot,
	.read = read_mcuboot,
};
