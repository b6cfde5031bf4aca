/* Hashes and public keys, by OpenSSL. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define FIRMWARE_SHA256 32

enum firmware_scheme {
	FIRMWARE_ECDSA_P256, /* SHA-256 of the message; signature in DER */
	FIRMWARE_ED25519,    /* over the message itself */
	FIRMWARE_RSA_PSS,    /* SHA-256, MGF1 of it, salt of 32 bytes */
};

/* A message and its signature, borrowed. */
struct firmware_signed {
	const uint8_t *message;
	size_t len;
	const uint8_t *signature;
	size_t signature_len;
};

struct firmware_key;

/* One public key in PEM ("BEGIN PUBLIC KEY"): P-256, Ed25519, or RSA of 2048 bits and more.
 * -EBADMSG: none, or of another kind; -ENOMEM. */
int firmware_key_read(const void *pem, size_t len, struct firmware_key **ret);
void firmware_key_free(struct firmware_key *key); /* NULL is fine */
/* 0; -EBADMSG: not by this key; -EPROTOTYPE: the key is of another kind than the signature */
int firmware_key_verify(const struct firmware_key *key, enum firmware_scheme scheme,
			const struct firmware_signed *what);
/* SHA-256 of the key as MCUboot takes it: of SubjectPublicKeyInfo in DER, for RSA of PKCS #1.
 * -ENOMEM */
int firmware_key_hash(const struct firmware_key *key, uint8_t ret[FIRMWARE_SHA256]);

/* -ENOMEM */
int firmware_sha256(const void *data, size_t len, uint8_t ret[FIRMWARE_SHA256]);
/* r and s, 32 bytes each, big endian, to DER: 72 bytes at most; *ret_len. -EBADMSG, -ENOMEM */
int firmware_ecdsa_der(const uint8_t r_and_s[64], uint8_t ret[72], size_t *ret_len);
