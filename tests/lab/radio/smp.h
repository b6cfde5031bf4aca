/*
 * The security manager of a simulated peripheral: the responder's side of pairing.
 * Source: Bluetooth Core 5.4, volume 3, part H.
 *
 *   legacy           request > response, confirm > confirm, random > random, STK encrypts
 *   secure           request > response, public key > public key, confirm (ours first),
 *   connections      random > random [x 20 with a passkey], check > check, LTK encrypts
 *   then             our keys: LTK with EDIV and rand (legacy), IRK, identity address; the host's
 *
 * Passive: bytes in, bytes out, no clock; the owner closes it down when the 30 s of the
 * specification are over. It keeps one bond, as most scales and cuffs do.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tests/lab/radio/crypto.h"
#include "tests/lab/radio/server.h"

enum smp_method {
	SMP_NONE, /* answers "pairing not supported" */
	SMP_JUST_WORKS,
	SMP_PASSKEY, /* legacy: we show six digits, they are typed at the host */
	SMP_SECURE,  /* secure connections, just works */
	SMP_SECURE_PASSKEY,
	SMP_SECURE_COMPARE, /* both show six digits */
};

/* Pairing Failed reasons (3.5.5) */
enum smp_reason {
	SMP_PASSKEY_FAILED = 0x01,
	SMP_AUTHENTICATION_REQUIREMENTS = 0x03,
	SMP_CONFIRM_FAILED = 0x04,
	SMP_PAIRING_NOT_SUPPORTED = 0x05,
	SMP_KEY_SIZE = 0x06,
	SMP_COMMAND_NOT_SUPPORTED = 0x07,
	SMP_UNSPECIFIED = 0x08,
	SMP_INVALID_PARAMETERS = 0x0a,
	SMP_CHECK_FAILED = 0x0b,
	SMP_COMPARISON_FAILED = 0x0c,
};

struct smp_host {
	void *context;
	void (*send)(void *context, const uint8_t *pdu, size_t len);
	/* the number that we show: a passkey, or one to compare */
	void (*display)(void *context, uint32_t number);
	/* keys are out and kept */
	void (*bonded)(void *context);
	/* pairing is over without a key; by_host: the host said so */
	void (*failed)(void *context, uint8_t reason, bool by_host);
};

struct smp_key {
	bool valid;
	bool secure, authenticated;
	uint8_t ltk[16];
	uint8_t rand[8]; /* zero with secure connections */
	uint16_t ediv;
};

enum smp_state {
	SMP_IDLE,
	SMP_WAIT_PUBLIC_KEY,
	SMP_WAIT_CONFIRM,
	SMP_WAIT_RANDOM,
	SMP_WAIT_CHECK,
	SMP_WAIT_ENCRYPTION,
	SMP_WAIT_KEYS, /* the host's */
};

struct smp {
	struct smp_host host; /* by value */

	/* set by the owner */
	enum smp_method method;
	uint32_t passkey;
	bool refuses_number; /* our user says no to the comparison */
	uint8_t refuses;     /* every request fails with this reason; 0: none */
	bool gives_wrong_key;
	struct crypto_address identity;
	uint8_t irk[16]; /* as in the PDU; all zero: none is given */

	struct smp_key bond;

	/* of the link */
	struct crypto_pair pair;   /* addresses and nonces */
	enum server_level offered; /* level of the key given last */

	bool asked; /* for security, and nothing came of it yet */

	/* of one pairing */
	enum smp_state state;
	bool secure, with_passkey, bonding;
	unsigned int round;
	uint8_t pdus[14]; /* request, response */
	uint8_t tk[16], confirm[16], mackey[16];
	uint8_t peer_public[64];
	struct crypto_key *own;
	struct smp_key fresh; /* the STK, then what is kept */
	uint8_t host_keys;    /* still to come: bits of the key distribution */
};

void smp_init(struct smp *s, const struct smp_host *host);
void smp_free(struct smp *s);

/* addresses as used on this link: [0] the host's, [1] ours */
void smp_connected(struct smp *s, const struct crypto_address addresses[2]);
void smp_disconnected(struct smp *s);
void smp_receive(struct smp *s, const uint8_t *pdu, size_t len);
/* asks the host to pair or to encrypt; without a pairing method nothing is asked */
void smp_request(struct smp *s);
/* the key for an encryption that the host starts; false: none for these */
bool smp_long_term_key(struct smp *s, const uint8_t rand[8], uint16_t ediv, uint8_t ret[16]);
/* the link is encrypted with the key given last: its level. Distributes keys if it was pairing. */
enum server_level smp_encrypted(struct smp *s);
void smp_forget(struct smp *s);
