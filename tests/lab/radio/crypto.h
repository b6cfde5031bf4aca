/*
 * The security toolbox of Bluetooth LE for the simulated peripherals, over libcrypto.
 * Source: Bluetooth Core 5.4, volume 3, part H, section 2.2 (functions of the same names) and
 * part G, section 7.3 (Database Hash).
 *
 * All byte strings are least significant byte first, as on the air; libcrypto wants them the other
 * way round, and that is hidden here. A failure of libcrypto itself is an assertion: this is a
 * test program.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* a device address as the toolbox hashes it */
struct crypto_address {
	uint8_t random;   /* 1: random, 0: public */
	uint8_t bytes[6]; /* least significant first */
};

void crypto_random(uint8_t *ret, size_t len);

/* AES-128 of one block; out may be in */
void crypto_e(const uint8_t key[16], const uint8_t in[16], uint8_t out[16]);
/* AES-CMAC over a message in its own order, key and result most significant first (RFC 4493) */
void crypto_cmac(const uint8_t key[16], const uint8_t *message, size_t len, uint8_t ret[16]);

/* Confirm value of legacy pairing; request and response are the 7-byte pairing PDUs. */
void crypto_c1(const uint8_t tk[16], const uint8_t r[16], const uint8_t pdus[14],
	       const struct crypto_address addresses[2], uint8_t ret[16]);
/* Short term key of legacy pairing: r1 of the responder, r2 of the initiator. */
void crypto_s1(const uint8_t tk[16], const uint8_t r1[16], const uint8_t r2[16], uint8_t ret[16]);

/* Confirm value of Secure Connections: u, v x-coordinates; z 0 or 0x80 | bit of the passkey. */
void crypto_f4(const uint8_t u[32], const uint8_t v[32], const uint8_t x[16], uint8_t z,
	       uint8_t ret[16]);
/* what f5 and f6 hash: nonces and addresses of the initiator [0] and the responder [1] */
struct crypto_pair {
	uint8_t nonce[2][16];
	struct crypto_address address[2];
};
void crypto_f5(const uint8_t dhkey[32], const struct crypto_pair *pair, uint8_t ret_mackey[16],
	       uint8_t ret_ltk[16]);
/* Check value of the side `from` (0 initiator, 1 responder); iocap: its PDU's bytes 1 to 3. */
void crypto_f6(const uint8_t mackey[16], const struct crypto_pair *pair, unsigned int from,
	       const uint8_t r[16], const uint8_t iocap[3], uint8_t ret[16]);
/* The number both sides show; 0 to 999999. */
uint32_t crypto_g2(const uint8_t u[32], const uint8_t v[32], const uint8_t x[16],
		   const uint8_t y[16]);
/* Hash of a resolvable private address: prand 3 bytes to hash 3 bytes. */
void crypto_ah(const uint8_t irk[16], const uint8_t prand[3], uint8_t ret[3]);

/* P-256; a public key is x, then y, 32 bytes each */
struct crypto_key;
/* secret: 32 bytes for known answers, or NULL for a random one; -EINVAL: not a private key */
int crypto_key_new(const uint8_t *secret, struct crypto_key **ret);
void crypto_key_free(struct crypto_key *key);
void crypto_key_public(const struct crypto_key *key, uint8_t ret[64]);
/* -EINVAL: the peer's point is not on the curve */
int crypto_key_agree(const struct crypto_key *key, const uint8_t peer[64], uint8_t ret[32]);
