#include "protocols/fitbit/cipher.h"

#include <assert.h>
#include <string.h>

#include "protocols/bytes/cursor.h"
#include "protocols/bytes/writer.h"

#define XTEA_DELTA  0x9e3779b9U
#define XTEA_CYCLES 32

/* ---- XTEA ---- */

static uint32_t xtea_mix(uint32_t v)
{
	return (v << 4 ^ v >> 5) + v;
}

void fitbit_xtea_encrypt(const void *key, const uint8_t *in, uint8_t *out)
{
	struct cursor c = cursor_of(key, FITBIT_KEY_SIZE);
	struct cursor block = cursor_of(in, FITBIT_XTEA_BLOCK);
	struct writer w = writer_of(out, FITBIT_XTEA_BLOCK);
	uint32_t k[4], v0 = cursor_be32(&block), v1 = cursor_be32(&block), sum = 0;

	for (size_t i = 0; i < 4; i++)
		k[i] = cursor_be32(&c);
	for (int cycle = 0; cycle < XTEA_CYCLES; cycle++) {
		v0 += xtea_mix(v1) ^ (sum + k[sum & 3]);
		sum += XTEA_DELTA;
		v1 += xtea_mix(v0) ^ (sum + k[sum >> 11 & 3]);
	}
	writer_be32(&w, v0);
	writer_be32(&w, v1);
}

struct fitbit_cipher fitbit_xtea(const uint8_t *key)
{
	assert(key);
	return (struct fitbit_cipher){ fitbit_xtea_encrypt, key, FITBIT_XTEA_BLOCK };
}

/* ---- CMAC ---- */

struct fitbit_cmac fitbit_cmac_begin(const struct fitbit_cipher *cipher)
{
	assert(cipher->block == 8 || cipher->block == FITBIT_BLOCK_MAX);
	return (struct fitbit_cmac){ .cipher = *cipher };
}

static void chain_last(struct fitbit_cmac *c)
{
	for (size_t i = 0; i < c->cipher.block; i++)
		c->chain[i] ^= c->last[i];
	c->cipher.encrypt(c->cipher.key, c->chain, c->chain);
}

void fitbit_cmac_add(struct fitbit_cmac *c, const void *data, size_t len)
{
	const uint8_t *bytes = data;

	for (size_t i = 0; i < len; i++) {
		if (c->filled == c->cipher.block) {
			chain_last(c);
			c->filled = 0;
		}
		c->last[c->filled++] = bytes[i];
	}
}

/* times x in the field of 2^(8 * block) elements */
static void doubled(uint8_t *subkey, size_t block)
{
	const unsigned int carry = subkey[0] >> 7;

	for (size_t i = 0; i + 1 < block; i++)
		subkey[i] = (uint8_t)(subkey[i] << 1 | subkey[i + 1] >> 7);
	subkey[block - 1] = (uint8_t)(subkey[block - 1] << 1);
	if (carry)
		subkey[block - 1] ^= block == FITBIT_XTEA_BLOCK ? 0x1b : 0x87;
}

void fitbit_cmac_end(struct fitbit_cmac *c, uint8_t ret[FITBIT_BLOCK_MAX])
{
	uint8_t subkey[FITBIT_BLOCK_MAX] = { 0 };
	const size_t block = c->cipher.block;

	c->cipher.encrypt(c->cipher.key, subkey, subkey);
	doubled(subkey, block);
	if (c->filled < block) {
		doubled(subkey, block);
		memset(c->last + c->filled, 0, block - c->filled);
		c->last[c->filled] = 0x80;
	}
	for (size_t i = 0; i < block; i++)
		c->last[i] ^= subkey[i];
	chain_last(c);
	memcpy(ret, c->chain, block);
}

void fitbit_mac(const struct fitbit_cipher *cipher, const void *data, size_t len,
		uint8_t ret[FITBIT_TAG_SIZE])
{
	struct fitbit_cmac c = fitbit_cmac_begin(cipher);
	uint8_t mac[FITBIT_BLOCK_MAX] = { 0 };

	fitbit_cmac_add(&c, data, len);
	fitbit_cmac_end(&c, mac);
	memcpy(ret, mac, FITBIT_TAG_SIZE);
}

/* ---- EAX ---- */

/* which of the three parts a CMAC inside EAX is of */
enum omac {
	OMAC_NONCE,
	OMAC_HEADER,
	OMAC_TEXT,
};

static void omac(const struct fitbit_cipher *cipher, enum omac which, const void *data, size_t len,
		 uint8_t ret[FITBIT_BLOCK_MAX])
{
	struct fitbit_cmac c = fitbit_cmac_begin(cipher);
	uint8_t number[FITBIT_BLOCK_MAX] = { 0 };

	number[cipher->block - 1] = (uint8_t)which;
	fitbit_cmac_add(&c, number, cipher->block);
	fitbit_cmac_add(&c, data, len);
	fitbit_cmac_end(&c, ret);
}

struct fitbit_stream fitbit_stream_begin(const struct fitbit_cipher *cipher,
					 const struct fitbit_eax *eax)
{
	struct fitbit_stream s = { .cipher = *cipher, .used = cipher->block };

	omac(cipher, OMAC_NONCE, eax->nonce, eax->nonce_len, s.counter);
	return s;
}

uint8_t fitbit_stream_next(struct fitbit_stream *s)
{
	if (s->used == s->cipher.block) {
		size_t i = s->cipher.block;

		s->cipher.encrypt(s->cipher.key, s->counter, s->key);
		s->used = 0;
		while (i > 0 && ++s->counter[--i] == 0)
			continue;
	}
	return s->key[s->used++];
}

void fitbit_eax_tag(const struct fitbit_cipher *cipher, const struct fitbit_eax *eax,
		    const void *ciphertext, size_t len, uint8_t ret[FITBIT_TAG_SIZE])
{
	uint8_t nonce[FITBIT_BLOCK_MAX] = { 0 }, header[FITBIT_BLOCK_MAX] = { 0 },
		text[FITBIT_BLOCK_MAX] = { 0 };

	omac(cipher, OMAC_NONCE, eax->nonce, eax->nonce_len, nonce);
	omac(cipher, OMAC_HEADER, eax->header, eax->header_len, header);
	omac(cipher, OMAC_TEXT, ciphertext, len, text);
	for (size_t i = 0; i < FITBIT_TAG_SIZE; i++)
		ret[i] = nonce[i] ^ header[i] ^ text[i];
}

bool fitbit_tag_equal(const uint8_t *a, const uint8_t *b)
{
	unsigned int difference = 0;

	for (size_t i = 0; i < FITBIT_TAG_SIZE; i++)
		difference |= (unsigned int)(a[i] ^ b[i]);
	return difference == 0;
}
