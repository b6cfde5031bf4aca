/*
 * What Fitbit trackers encrypt and sign with: XTEA, CMAC and EAX.
 *
 * CMAC and EAX work over any block cipher of 8 or 16 bytes that the caller brings. XTEA is here;
 * AES (the later models) is not: a library has it, and this room links none.
 *
 * Sources: XTEA: Needham and Wheeler, "Tea extensions", 1997, 32 cycles, words big-endian. CMAC:
 * NIST SP 800-38B; with a block of 8 bytes its constant is 0x1b, with 16 it is 0x87. EAX: Bellare,
 * Rogaway and Wagner, "The EAX Mode of Operation", 2004.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FITBIT_KEY_SIZE   16
#define FITBIT_XTEA_BLOCK 8
#define FITBIT_BLOCK_MAX  16
#define FITBIT_TAG_SIZE   8 /* what trackers keep of a CMAC or an EAX tag */

/* Encrypts one block; in and out may be the same. */
typedef void fitbit_encrypt(const void *key, const uint8_t *in, uint8_t *out);

struct fitbit_cipher {
	fitbit_encrypt *encrypt;
	const void *key; /* borrowed, for encrypt() */
	size_t block;    /* 8 or 16 */
};

void fitbit_xtea_encrypt(const void *key, const uint8_t *in, uint8_t *out);
/* key: FITBIT_KEY_SIZE bytes, borrowed */
struct fitbit_cipher fitbit_xtea(const uint8_t *key);

/* CMAC in pieces: begin, any number of adds, one end. */
struct fitbit_cmac {
	struct fitbit_cipher cipher;
	uint8_t chain[FITBIT_BLOCK_MAX];
	uint8_t last[FITBIT_BLOCK_MAX]; /* the block that may be the last one */
	size_t filled;                  /* of `last` */
};

struct fitbit_cmac fitbit_cmac_begin(const struct fitbit_cipher *cipher);
void fitbit_cmac_add(struct fitbit_cmac *c, const void *data, size_t len);
void fitbit_cmac_end(struct fitbit_cmac *c, uint8_t ret[FITBIT_BLOCK_MAX]);
/* One go, the first FITBIT_TAG_SIZE bytes: what a tracker's challenge is answered with. */
void fitbit_mac(const struct fitbit_cipher *cipher, const void *data, size_t len,
		uint8_t ret[FITBIT_TAG_SIZE]);

/* The key stream of EAX: a big-endian counter that begins at OMAC0 of the nonce. */
struct fitbit_stream {
	struct fitbit_cipher cipher;
	uint8_t counter[FITBIT_BLOCK_MAX];
	uint8_t key[FITBIT_BLOCK_MAX];
	size_t used; /* of `key` */
};

struct fitbit_eax {
	const uint8_t *nonce, *header; /* borrowed; header may be NULL with no length */
	size_t nonce_len, header_len;
};

struct fitbit_stream fitbit_stream_begin(const struct fitbit_cipher *cipher,
					 const struct fitbit_eax *eax);
uint8_t fitbit_stream_next(struct fitbit_stream *s);
/* The tag over a ciphertext. */
void fitbit_eax_tag(const struct fitbit_cipher *cipher, const struct fitbit_eax *eax,
		    const void *ciphertext, size_t len, uint8_t ret[FITBIT_TAG_SIZE]);
/* In a time that does not depend on where they differ. */
bool fitbit_tag_equal(const uint8_t *a, const uint8_t *b);
