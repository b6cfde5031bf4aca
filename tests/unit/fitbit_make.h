/*
 * Fitbit dumps for tests: an encoder written from the description of the format, not from the
 * decoder. Invented data throughout.
 */
#pragma once

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "protocols/bytes/crc.h"
#include "protocols/fitbit/cipher.h"

#define MAKE_MAX 40000

struct make {
	uint8_t out[MAKE_MAX]; /* as sent */
	size_t len;
	uint8_t logical[MAKE_MAX]; /* what length and checksum count */
	size_t counted;
	bool is_encrypted;
};

static inline void make_raw(struct make *m, uint8_t byte)
{
	assert(m->len < MAKE_MAX);
	m->out[m->len++] = byte;
}

static inline void make_plain(struct make *m, uint8_t byte)
{
	make_raw(m, byte);
	m->logical[m->counted++] = byte;
}

static inline void make_escaped(struct make *m, uint8_t byte)
{
	m->logical[m->counted++] = byte;
	if (byte == 0xc0 || byte == 0xdb) {
		make_raw(m, 0xdb);
		make_raw(m, byte == 0xc0 ? 0xdc : 0xdd);
		return;
	}
	make_raw(m, byte);
}

static inline void make_section(struct make *m, const uint8_t *payload, size_t len)
{
	make_raw(m, 0xc0);
	make_raw(m, 0xdb);
	make_raw(m, 0xdc);
	make_raw(m, 0xdd);
	for (size_t i = 0; i < len; i++)
		make_escaped(m, payload[i]);
	make_raw(m, 0xc0);
}

/* header and static block: loader 7.88, application 7.89, 4000 mV, 80 %, strides 700 and 1000 mm */
static inline void make_begin(struct make *m, uint8_t format, uint8_t product, bool is_encrypted)
{
	static const uint8_t facts[28] = { 7, 88, 7, 89, 0,    0,    0,    0,    0,    0,
					   0, 0,  0, 0,  0x14, 0x14, 0xa0, 0x0f, 0x14, 80,
					   0, 0,  0, 0,  0xbc, 2,    0xe8, 3 };
	const uint8_t header[16] = { format, 2, 0,    0,    is_encrypted, 0, 1, 2,
				     3,      4, 0x10, 0xff, 0xee,         0, 1, product };

	memset(m, 0, sizeof(*m));
	m->is_encrypted = is_encrypted;
	for (size_t i = 0; i < sizeof(header); i++)
		make_plain(m, header[i]);
	for (size_t i = 0; i < 108; i++) /* some of the rest looks like framing, and is not */
		make_plain(m, i < sizeof(facts) ? facts[i] : i % 2 ? 0xc0 : 0xdb);
}

static inline void make_unframed(struct make *m)
{
	for (int i = 0; i < 4; i++)
		make_plain(m, 0);
}

static inline void make_encrypt(struct make *m, const uint8_t *key, bool sign_header,
				uint8_t tag[FITBIT_TAG_SIZE])
{
	const struct fitbit_cipher xtea = fitbit_xtea(key);
	const struct fitbit_eax eax = { .nonce = m->out + 6,
					.nonce_len = 4,
					.header = m->out,
					.header_len = sign_header ? 16 : 0 };
	struct fitbit_stream s = fitbit_stream_begin(&xtea, &eax);

	while ((m->len - 16) % 8 != 0)
		make_raw(m, 0x5a);
	for (size_t i = 16; i < m->len; i++)
		m->out[i] ^= fitbit_stream_next(&s);
	fitbit_eax_tag(&xtea, &eax, m->out + 16, m->len - 16, tag);
}

/* key: NULL if it is not encrypted */
static inline void make_end(struct make *m, const uint8_t *key, bool sign_header)
{
	const uint16_t crc = crc_16_xmodem(m->logical, m->counted);
	uint8_t trailer[11] = { (uint8_t)crc, (uint8_t)(crc >> 8) };

	if (key)
		make_encrypt(m, key, sign_header, trailer);
	trailer[8] = (uint8_t)m->counted;
	trailer[9] = (uint8_t)(m->counted >> 8);
	trailer[10] = (uint8_t)(m->counted >> 16);
	for (size_t i = 0; i < sizeof(trailer); i++)
		make_raw(m, trailer[i]);
}
