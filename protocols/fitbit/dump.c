#include "protocols/fitbit/dump.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "protocols/bytes/crc.h"
#include "protocols/bytes/cursor.h"
#include "protocols/fitbit/escape.h"
#include "protocols/fitbit/record.h"

#define N(a) (sizeof(a) / sizeof((a)[0]))

#define BODY         16  /* where it begins */
#define STATIC_SIZE  108 /* of the body */
#define STATIC_KNOWN 28  /* the facts of the static block come first; the wearer's name does not */
#define TRAILER      11
#define ZEROS        6 /* behind a CRC */
#define SECTION_MARK 0xdd
#define UNFRAMED     4
#define PAD_MAX      7

#define FORMAT_IONIC 0x03

enum {
	PLAIN = 0,
	XTEA = 1,
	AES = 2,
};

/* ---- what it is ---- */

static const struct {
	uint8_t product;
	const char *name;
} products[] = {
	{ FITBIT_ZIP, "Zip" },
	{ FITBIT_ONE, "One" },
	{ FITBIT_FLEX, "Flex" },
	{ FITBIT_CHARGE, "Charge" },
	{ FITBIT_SURGE, "Surge" },
	{ FITBIT_ELECTRON, "Electron" },
	{ FITBIT_CHARGE_HR, "Charge HR" },
	{ FITBIT_ALTA, "Alta" },
	{ FITBIT_CHARGE_2, "Charge 2" },
	{ FITBIT_IONIC, "Ionic" },
};

const char *fitbit_product_name(uint8_t product)
{
	for (size_t i = 0; i < N(products); i++)
		if (products[i].product == product)
			return products[i].name;
	return NULL;
}

enum fitbit_link fitbit_link_of_service(const uint8_t *uuid, size_t len)
{
	static const uint8_t tracker[16] = { 0xba, 0x56, 0x89, 0xa6, 0xfa, 0xbf, 0xa2, 0xbd,
					     0x01, 0x46, 0x7d, 0x6e, 0x00, 0xfb, 0xab, 0xad };
	static const uint8_t gate[16] = { 0xe8, 0xbf, 0x6c, 0xcf, 0x17, 0x8b, 0x32, 0xb8,
					  0x4c, 0x48, 0x6a, 0xe5, 0x00, 0xff, 0xba, 0xab };
	static const uint8_t short_gate[2] = { 0x62, 0xfd };

	if (len == sizeof(tracker) && memcmp(uuid, tracker, len) == 0)
		return FITBIT_LINK_TRACKER;
	if (len == sizeof(gate) && memcmp(uuid, gate, len) == 0)
		return FITBIT_LINK_GOLDEN_GATE;
	if (len == sizeof(short_gate) && memcmp(uuid, short_gate, len) == 0)
		return FITBIT_LINK_GOLDEN_GATE;
	return FITBIT_LINK_OTHER;
}

enum shape {
	SHAPE_MEGA = 1,
	SHAPE_MICRO,
	SHAPE_LATER, /* its header may be another one */
};

static const struct {
	uint8_t format;
	enum shape shape;
} formats[] = {
	{ 0x26, SHAPE_MEGA },  { 0x28, SHAPE_MEGA },  { 0x2a, SHAPE_MEGA },  { 0x2c, SHAPE_MEGA },
	{ 0x2e, SHAPE_MEGA },  { 0xf4, SHAPE_MEGA },  { 0x30, SHAPE_MICRO }, { 0x31, SHAPE_MICRO },
	{ 0x01, SHAPE_LATER }, { 0x03, SHAPE_LATER },
};

static enum shape shape_of(uint8_t format)
{
	for (size_t i = 0; i < N(formats); i++)
		if (formats[i].format == format)
			return formats[i].shape;
	return 0;
}

static enum fitbit_verdict verdict_of(const struct fitbit_dump *d, enum shape shape)
{
	if (d->format == FORMAT_IONIC)
		return FITBIT_KEEP_LAYOUT;
	if (d->encryption == AES)
		return FITBIT_KEEP_AES;
	if (d->encryption != PLAIN && d->encryption != XTEA)
		return FITBIT_KEEP_CIPHER;
	if (shape == SHAPE_MICRO)
		return FITBIT_KEEP_MICRODUMP;
	if (shape != SHAPE_MEGA || !record_layout_of(d->product))
		return FITBIT_KEEP_LAYOUT;
	return d->encryption == XTEA ? FITBIT_NEEDS_KEY : FITBIT_READABLE;
}

/* class 02 is a tracker, 04 what came later; the two bytes behind it were never seen but 0 */
static bool is_header(const uint8_t *data, enum shape shape)
{
	if (shape == SHAPE_LATER)
		return data[1] == 0x04;
	return data[1] == 0x02 && data[2] == 0 && data[3] == 0;
}

int fitbit_dump_recognise(const uint8_t *data, size_t len, struct fitbit_dump *ret)
{
	struct cursor c = cursor_of(data, len);
	struct fitbit_dump d = { .data = data, .len = len };
	enum shape shape;
	size_t serial;

	if (len < BODY + TRAILER || len > FITBIT_DUMP_MAX)
		return -EMSGSIZE;
	d.format = data[0];
	shape = shape_of(d.format);
	if (shape == 0 || !is_header(data, shape))
		return -ENOMSG;
	/* one program has nonce and serial of the Ionic a byte earlier, and nobody the rest */
	serial = d.format == FORMAT_IONIC ? 9 : 10;
	cursor_skip(&c, 4);
	d.encryption = d.format == FORMAT_IONIC ? 0 : cursor_le16(&c);
	memcpy(d.serial, data + serial, sizeof(d.serial));
	d.product = d.serial[sizeof(d.serial) - 1];
	d.verdict = verdict_of(&d, shape);
	if (d.verdict == FITBIT_READABLE || d.verdict == FITBIT_NEEDS_KEY) {
		c = cursor_of(data + len - 3, 3);
		d.length = cursor_le24(&c);
	}
	*ret = d;
	return 0;
}

/* ---- its bytes ---- */

struct walk {
	const uint8_t *body; /* borrowed */
	size_t len, pos;
	bool encrypted;
	struct fitbit_stream stream;
	size_t counted; /* bytes that count for the length, and for the CRC */
	uint32_t length;
	uint16_t crc;
	struct record_reader reader;
};

static int next(struct walk *w, uint8_t *ret)
{
	if (w->pos == w->len)
		return -EMSGSIZE;
	*ret = w->body[w->pos++];
	if (w->encrypted)
		*ret ^= fitbit_stream_next(&w->stream);
	return 0;
}

static void count(struct walk *w, uint8_t byte)
{
	w->counted++;
	w->crc = crc_16_xmodem_add(w->crc, &byte, 1);
}

static int next_counted(struct walk *w, uint8_t *ret)
{
	uint8_t byte;
	int r = next(w, &byte);

	if (r < 0)
		return r;
	count(w, byte);
	*ret = byte;
	return 0;
}

static int expect(struct walk *w, const uint8_t *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		uint8_t byte;
		int r = next(w, &byte);

		if (r < 0)
			return r;
		if (byte != bytes[i])
			return -EBADMSG;
	}
	return 0;
}

static int one_escaped(struct walk *w, uint8_t *ret)
{
	uint8_t byte;
	int r = next(w, &byte);

	if (r < 0)
		return r;
	return fitbit_unescape(byte, ret) ? 0 : -EBADMSG;
}

static int walk_section(struct walk *w, enum fitbit_part part)
{
	static const uint8_t mark[] = { FITBIT_END, FITBIT_ESCAPE, FITBIT_ESCAPED_END,
					SECTION_MARK };
	uint8_t byte;
	int r = expect(w, mark, sizeof(mark));

	if (r < 0)
		return r;
	record_begin(&w->reader, part);
	for (;;) {
		r = next(w, &byte);
		if (r < 0)
			return r;
		if (byte == FITBIT_END)
			return record_end(&w->reader);
		if (byte == FITBIT_ESCAPE)
			r = one_escaped(w, &byte);
		if (r < 0)
			return r;
		count(w, byte);
		r = record_byte(&w->reader, byte);
		if (r < 0)
			return r;
	}
}

static int walk_static(struct walk *w)
{
	uint8_t known[STATIC_KNOWN], byte;

	for (size_t i = 0; i < STATIC_SIZE; i++) {
		int r = next_counted(w, &byte);

		if (r < 0)
			return r;
		if (i < sizeof(known))
			known[i] = byte;
	}
	return record_device(&w->reader, known, sizeof(known));
}

static int walk_sections(struct walk *w)
{
	uint8_t byte;

	for (enum fitbit_part part = FITBIT_PART_EVENTS; part < FITBIT_PART_END; part++) {
		int r = walk_section(w, part);

		for (int i = 0; part == FITBIT_PART_DAYS && r == 0 && i < UNFRAMED; i++)
			r = next_counted(w, &byte);
		if (r < 0)
			return r;
	}
	return 0;
}

static int walk_all(struct walk *w, const uint8_t *header)
{
	int r;

	for (size_t i = 0; i < BODY; i++)
		count(w, header[i]);
	r = walk_static(w);
	if (r == 0)
		r = walk_sections(w);
	if (r < 0)
		return r;
	if (w->len - w->pos > (w->encrypted ? PAD_MAX : 0) || w->counted != w->length)
		return -EMSGSIZE;
	return 0;
}

/* ---- whether to believe it ---- */

static int check_crc(const struct fitbit_dump *d, const struct walk *w)
{
	struct cursor c = cursor_of(d->data + d->len - TRAILER, TRAILER);
	static const uint8_t zeros[ZEROS];

	if (cursor_le16(&c) != w->crc)
		return -EBADMSG;
	return memcmp(cursor_bytes(&c, ZEROS), zeros, ZEROS) == 0 ? 0 : -EBADMSG;
}

/*
 * The tag is over the body alone, as uploads are made. No dump of a real tracker with its key is at
 * hand, so a tag over header and body is taken, too: nobody makes one without the key either.
 */
static int check_tag(const struct fitbit_dump *d, const struct fitbit_cipher *cipher,
		     bool *ret_header_signed)
{
	const uint8_t *said = d->data + d->len - TRAILER;
	const size_t len = d->len - BODY - TRAILER;

	for (int with_header = 0; with_header < 2; with_header++) {
		const struct fitbit_eax eax = {
			.nonce = d->data + 6,
			.nonce_len = FITBIT_NONCE_SIZE,
			.header = d->data,
			.header_len = with_header ? BODY : 0,
		};
		uint8_t tag[FITBIT_TAG_SIZE];

		fitbit_eax_tag(cipher, &eax, d->data + BODY, len, tag);
		if (fitbit_tag_equal(tag, said)) {
			*ret_header_signed = with_header;
			return 0;
		}
	}
	return -EKEYREJECTED;
}

static int check_key(const struct fitbit_dump *d, const uint8_t *key, struct walk *w)
{
	const struct fitbit_eax eax = { .nonce = d->data + 6, .nonce_len = FITBIT_NONCE_SIZE };
	struct fitbit_cipher xtea;
	int r;

	if (!key)
		return -ENOKEY;
	if (w->len % FITBIT_XTEA_BLOCK != 0)
		return -EMSGSIZE;
	xtea = fitbit_xtea(key);
	r = check_tag(d, &xtea, &w->reader.header_signed);
	if (r < 0)
		return r;
	w->encrypted = true;
	w->stream = fitbit_stream_begin(&xtea, &eax);
	return 0;
}

int fitbit_dump_read(const struct fitbit_dump *d, const uint8_t *key, fitbit_sink *sink, void *user)
{
	struct walk start = {
		.body = d->data + BODY,
		.len = d->len - BODY - TRAILER,
		.length = d->length,
		.reader = { .layout = record_layout_of(d->product) },
	};
	struct walk w;
	int r = 0;

	if (d->verdict != FITBIT_READABLE && d->verdict != FITBIT_NEEDS_KEY)
		return -EOPNOTSUPP;
	assert(start.reader.layout);
	if (d->verdict == FITBIT_NEEDS_KEY)
		r = check_key(d, key, &start);
	if (r < 0)
		return r;
	w = start;
	r = walk_all(&w, d->data);
	if (r == 0 && d->verdict == FITBIT_READABLE)
		r = check_crc(d, &w);
	if (r < 0 || !sink)
		return r;
	w = start;
	w.reader.sink = sink;
	w.reader.user = user;
	return walk_all(&w, d->data);
}
