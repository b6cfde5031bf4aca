#include "tests/lab/radio/smp.h"

#include <assert.h>
#include <string.h>

#include "protocols/bytes/writer.h"

enum {
	OP_REQUEST = 0x01,
	OP_RESPONSE = 0x02,
	OP_CONFIRM = 0x03,
	OP_RANDOM = 0x04,
	OP_FAILED = 0x05,
	OP_ENCRYPTION = 0x06,
	OP_IDENTIFICATION = 0x07, /* EDIV and rand */
	OP_IDENTITY = 0x08,
	OP_IDENTITY_ADDRESS = 0x09,
	OP_SIGNING = 0x0a,
	OP_SECURITY_REQUEST = 0x0b,
	OP_PUBLIC_KEY = 0x0c,
	OP_CHECK = 0x0d,
	OP_KEYPRESS = 0x0e,
	OP_LAST = OP_KEYPRESS,

	AUTH_BONDING = 0x01,
	AUTH_MITM = 0x04,
	AUTH_SECURE = 0x08,

	KEY_ENCRYPTION = 0x01,
	KEY_IDENTITY = 0x02,
	KEY_SIGNING = 0x04,

	IO_DISPLAY_ONLY = 0,
	IO_DISPLAY_YES_NO = 1,
	IO_KEYBOARD_ONLY = 2,
	IO_NONE = 3,
	IO_KEYBOARD_DISPLAY = 4,

	KEY_SIZE_MIN = 7,
	KEY_SIZE_MAX = 16,
	PASSKEY_ROUNDS = 20,
};

/* bytes of each PDU with its code; 0: not a PDU */
static const uint8_t LENGTHS[OP_LAST + 1] = {
	[OP_REQUEST] = 7,         [OP_RESPONSE] = 7,         [OP_CONFIRM] = 17,
	[OP_RANDOM] = 17,         [OP_FAILED] = 2,           [OP_ENCRYPTION] = 17,
	[OP_IDENTIFICATION] = 11, [OP_IDENTITY] = 17,        [OP_IDENTITY_ADDRESS] = 8,
	[OP_SIGNING] = 17,        [OP_SECURITY_REQUEST] = 2, [OP_PUBLIC_KEY] = 65,
	[OP_CHECK] = 17,          [OP_KEYPRESS] = 2,
};

static bool all_zero(const uint8_t *data, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (data[i])
			return false;
	return true;
}

void smp_init(struct smp *s, const struct smp_host *host)
{
	*s = (struct smp){ .host = *host, .offered = SERVER_CLEAR };
}

static void end_pairing(struct smp *s)
{
	s->state = SMP_IDLE;
	crypto_key_free(s->own);
	s->own = NULL;
}

void smp_free(struct smp *s)
{
	end_pairing(s);
}

void smp_connected(struct smp *s, const struct crypto_address addresses[2])
{
	end_pairing(s);
	s->fresh = (struct smp_key){ 0 };
	s->offered = SERVER_CLEAR;
	s->pair.address[0] = addresses[0];
	s->pair.address[1] = addresses[1];
}

void smp_disconnected(struct smp *s)
{
	end_pairing(s);
	s->fresh = (struct smp_key){ 0 };
	s->offered = SERVER_CLEAR;
}

void smp_forget(struct smp *s)
{
	s->bond = (struct smp_key){ 0 };
}

static void send_pdu(const struct smp *s, uint8_t opcode, const void *body, size_t len)
{
	uint8_t pdu[65];
	struct writer w = writer_of(pdu, sizeof(pdu));

	writer_u8(&w, opcode);
	writer_bytes(&w, body, len);
	assert(writer_ok(&w));
	s->host.send(s->host.context, pdu, w.len);
}

static void fail(struct smp *s, uint8_t reason)
{
	end_pairing(s);
	send_pdu(s, OP_FAILED, &reason, 1);
	s->host.failed(s->host.context, reason, false);
}

/* ---- features ---- */

static bool wants_secure(const struct smp *s)
{
	return s->method >= SMP_SECURE;
}

static uint8_t own_io(const struct smp *s)
{
	if (s->method == SMP_PASSKEY || s->method == SMP_SECURE_PASSKEY)
		return IO_DISPLAY_ONLY;
	return s->method == SMP_SECURE_COMPARE ? IO_DISPLAY_YES_NO : IO_NONE;
}

static uint8_t own_auth(const struct smp *s)
{
	uint8_t auth = AUTH_BONDING;

	if (own_io(s) != IO_NONE)
		auth |= AUTH_MITM;
	if (wants_secure(s))
		auth |= AUTH_SECURE;
	return auth;
}

void smp_request(struct smp *s)
{
	const uint8_t auth = own_auth(s);

	if (s->method == SMP_NONE)
		return;
	s->asked = true;
	send_pdu(s, OP_SECURITY_REQUEST, &auth, 1);
}

/* can this host's abilities and ours give what our method stands for (table 2.8)? */
static bool host_is_able(const struct smp *s, uint8_t io)
{
	const bool keys = io == IO_KEYBOARD_ONLY || io == IO_KEYBOARD_DISPLAY;

	switch (s->method) {
	case SMP_PASSKEY:
	case SMP_SECURE_PASSKEY:
		return keys;
	case SMP_SECURE_COMPARE:
		return io == IO_DISPLAY_YES_NO || io == IO_KEYBOARD_DISPLAY;
	case SMP_NONE:
	case SMP_JUST_WORKS:
	case SMP_SECURE:
		return true;
	}
	return false;
}

static uint8_t request_error(const struct smp *s, const uint8_t *pdu)
{
	if (s->refuses)
		return s->refuses;
	if (s->method == SMP_NONE)
		return SMP_PAIRING_NOT_SUPPORTED;
	if (pdu[1] > IO_KEYBOARD_DISPLAY || pdu[2] > 1)
		return SMP_INVALID_PARAMETERS;
	if (pdu[4] < KEY_SIZE_MIN || pdu[4] > KEY_SIZE_MAX)
		return SMP_KEY_SIZE;
	if (wants_secure(s) && !(pdu[3] & AUTH_SECURE))
		return SMP_AUTHENTICATION_REQUIREMENTS;
	return host_is_able(s, pdu[1]) ? 0 : SMP_AUTHENTICATION_REQUIREMENTS;
}

static void on_request(struct smp *s, const uint8_t *pdu)
{
	const uint8_t error = request_error(s, pdu);
	uint8_t *const response = s->pdus + 7;
	uint8_t keys = KEY_IDENTITY;

	if (error) {
		fail(s, error);
		return;
	}
	end_pairing(s);
	s->secure = wants_secure(s);
	s->with_passkey = own_io(s) == IO_DISPLAY_ONLY;
	s->bonding = pdu[3] & AUTH_BONDING;
	s->round = 0;
	if (!s->secure)
		keys |= KEY_ENCRYPTION;
	memcpy(s->pdus, pdu, 7);
	response[0] = OP_RESPONSE;
	response[1] = own_io(s);
	response[2] = 0;
	response[3] = own_auth(s);
	response[4] = KEY_SIZE_MAX;
	response[5] = pdu[5] & keys;
	response[6] = pdu[6] & keys;
	if (all_zero(s->irk, 16))
		response[6] &= (uint8_t)~KEY_IDENTITY;
	memset(s->tk, 0, sizeof(s->tk));
	for (size_t i = 0; s->with_passkey && i < 4; i++)
		s->tk[i] = (uint8_t)(s->passkey >> 8 * i);
	s->state = s->secure ? SMP_WAIT_PUBLIC_KEY : SMP_WAIT_CONFIRM;
	if (s->with_passkey)
		s->host.display(s->host.context, s->passkey);
	send_pdu(s, OP_RESPONSE, response + 1, 6);
}

/* ---- confirm and random ---- */

/* z of f4: bit `round` of the passkey, or 0 without one */
static uint8_t passkey_bit(const struct smp *s)
{
	if (!s->with_passkey)
		return 0;
	return (uint8_t)(0x80 | (s->passkey >> s->round & 1));
}

static void send_confirm(struct smp *s)
{
	uint8_t value[16], public[64];

	crypto_random(s->pair.nonce[1], 16);
	if (s->secure) {
		crypto_key_public(s->own, public);
		crypto_f4(public, s->peer_public, s->pair.nonce[1], passkey_bit(s), value);
	} else {
		crypto_c1(s->tk, s->pair.nonce[1], s->pdus, s->pair.address, value);
	}
	send_pdu(s, OP_CONFIRM, value, 16);
}

static void on_public_key(struct smp *s, const uint8_t *pdu)
{
	uint8_t public[64], dhkey[32];

	if (crypto_key_new(NULL, &s->own) < 0) {
		fail(s, SMP_UNSPECIFIED);
		return;
	}
	memcpy(s->peer_public, pdu + 1, 64);
	if (crypto_key_agree(s->own, s->peer_public, dhkey) < 0) {
		fail(s, SMP_INVALID_PARAMETERS);
		return;
	}
	crypto_key_public(s->own, public);
	send_pdu(s, OP_PUBLIC_KEY, public, 64);
	if (s->with_passkey) {
		s->state = SMP_WAIT_CONFIRM;
		return;
	}
	/* just works and comparison: the responder alone commits itself */
	send_confirm(s);
	s->state = SMP_WAIT_RANDOM;
}

static void on_confirm(struct smp *s, const uint8_t *pdu)
{
	memcpy(s->confirm, pdu + 1, 16);
	send_confirm(s);
	s->state = SMP_WAIT_RANDOM;
}

/* did the host commit itself to the nonce that it now shows */
static bool confirm_holds(const struct smp *s)
{
	uint8_t value[16], public[64];

	if (s->secure && !s->with_passkey)
		return true;
	if (s->secure) {
		crypto_key_public(s->own, public);
		crypto_f4(s->peer_public, public, s->pair.nonce[0], passkey_bit(s), value);
	} else {
		crypto_c1(s->tk, s->pair.nonce[0], s->pdus, s->pair.address, value);
	}
	return !memcmp(value, s->confirm, 16);
}

/* the bits of a key beyond the agreed size are zero (2.3.4) */
static void cut_key(const struct smp *s, uint8_t key[16])
{
	const size_t size = s->pdus[4] < s->pdus[11] ? s->pdus[4] : s->pdus[11];

	memset(key + size, 0, 16 - size);
}

static void compare(struct smp *s)
{
	uint8_t public[64];

	crypto_key_public(s->own, public);
	s->host.display(s->host.context,
			crypto_g2(s->peer_public, public, s->pair.nonce[0], s->pair.nonce[1]));
	if (s->refuses_number)
		fail(s, SMP_COMPARISON_FAILED);
}

static void after_random_secure(struct smp *s)
{
	if (s->with_passkey && ++s->round < PASSKEY_ROUNDS) {
		s->state = SMP_WAIT_CONFIRM;
		return;
	}
	s->state = SMP_WAIT_CHECK;
	if (s->method == SMP_SECURE_COMPARE)
		compare(s);
}

static void on_random(struct smp *s, const uint8_t *pdu)
{
	memcpy(s->pair.nonce[0], pdu + 1, 16);
	if (!confirm_holds(s)) {
		fail(s, SMP_CONFIRM_FAILED);
		return;
	}
	send_pdu(s, OP_RANDOM, s->pair.nonce[1], 16);
	if (s->secure) {
		after_random_secure(s);
		return;
	}
	s->fresh = (struct smp_key){ .valid = true, .authenticated = s->with_passkey };
	crypto_s1(s->tk, s->pair.nonce[1], s->pair.nonce[0], s->fresh.ltk);
	cut_key(s, s->fresh.ltk);
	s->state = SMP_WAIT_ENCRYPTION;
}

static void on_check(struct smp *s, const uint8_t *pdu)
{
	uint8_t dhkey[32], value[16];

	if (crypto_key_agree(s->own, s->peer_public, dhkey) < 0) {
		fail(s, SMP_UNSPECIFIED);
		return;
	}
	s->fresh = (struct smp_key){ .valid = true,
				     .secure = true,
				     .authenticated = own_io(s) != IO_NONE };
	crypto_f5(dhkey, &s->pair, s->mackey, s->fresh.ltk);
	cut_key(s, s->fresh.ltk);
	/* r is the passkey, or zero: what the temporary key holds */
	crypto_f6(s->mackey, &s->pair, 0, s->tk, s->pdus + 1, value);
	if (memcmp(value, pdu + 1, 16) != 0) {
		s->fresh = (struct smp_key){ 0 };
		fail(s, SMP_CHECK_FAILED);
		return;
	}
	crypto_f6(s->mackey, &s->pair, 1, s->tk, s->pdus + 8, value);
	s->state = SMP_WAIT_ENCRYPTION;
	send_pdu(s, OP_CHECK, value, 16);
}

/* ---- keys ---- */

bool smp_long_term_key(struct smp *s, const uint8_t rand[8], uint16_t ediv, uint8_t ret[16])
{
	const bool pairing = s->state == SMP_WAIT_ENCRYPTION;
	const struct smp_key *const key = pairing ? &s->fresh : &s->bond;

	if (!key->valid || key->ediv != ediv || memcmp(key->rand, rand, 8) != 0)
		return false;
	memcpy(ret, key->ltk, 16);
	if (s->gives_wrong_key)
		ret[0] ^= 1;
	s->offered = key->authenticated ? SERVER_AUTHENTICATED : SERVER_ENCRYPTED;
	return true;
}

static void send_long_term_key(struct smp *s)
{
	uint8_t body[10];

	crypto_random(s->fresh.ltk, 16);
	cut_key(s, s->fresh.ltk);
	crypto_random(s->fresh.rand, 8);
	crypto_random(body, 2);
	s->fresh.ediv = (uint16_t)(body[0] | body[1] << 8);
	memcpy(body + 2, s->fresh.rand, 8);
	send_pdu(s, OP_ENCRYPTION, s->fresh.ltk, 16);
	send_pdu(s, OP_IDENTIFICATION, body, 10);
}

static void send_identity(const struct smp *s)
{
	uint8_t body[7] = { s->identity.random };

	memcpy(body + 1, s->identity.bytes, 6);
	send_pdu(s, OP_IDENTITY, s->irk, 16);
	send_pdu(s, OP_IDENTITY_ADDRESS, body, 7);
}

static void paired(struct smp *s)
{
	/* a legacy pairing without a distributed key leaves nothing to keep */
	const bool kept = s->bonding && (s->secure || (s->pdus[13] & KEY_ENCRYPTION));

	end_pairing(s);
	if (!kept)
		return;
	s->bond = s->fresh;
	s->host.bonded(s->host.context);
}

enum server_level smp_encrypted(struct smp *s)
{
	if (s->state != SMP_WAIT_ENCRYPTION)
		return s->offered;
	if (!s->secure && s->pdus[13] & KEY_ENCRYPTION)
		send_long_term_key(s);
	if (s->pdus[13] & KEY_IDENTITY)
		send_identity(s);
	s->host_keys = s->pdus[12];
	s->state = SMP_WAIT_KEYS;
	if (!s->host_keys)
		paired(s);
	return s->offered;
}

/* the host's keys are of no use to a peripheral that never looks for it; they end the pairing */
static void on_host_key(struct smp *s, uint8_t opcode)
{
	if (opcode == OP_IDENTIFICATION)
		s->host_keys &= (uint8_t)~KEY_ENCRYPTION;
	else if (opcode == OP_IDENTITY_ADDRESS)
		s->host_keys &= (uint8_t)~KEY_IDENTITY;
	else if (opcode == OP_SIGNING)
		s->host_keys &= (uint8_t)~KEY_SIGNING;
	if (!s->host_keys)
		paired(s);
}

/* ---- dispatch ---- */

/* the state in which a PDU is expected; a request is taken in any */
static bool expected(const struct smp *s, uint8_t opcode)
{
	switch (opcode) {
	case OP_REQUEST:
		return s->state != SMP_WAIT_KEYS;
	case OP_PUBLIC_KEY:
		return s->state == SMP_WAIT_PUBLIC_KEY;
	case OP_CONFIRM:
		return s->state == SMP_WAIT_CONFIRM;
	case OP_RANDOM:
		return s->state == SMP_WAIT_RANDOM;
	case OP_CHECK:
		return s->state == SMP_WAIT_CHECK;
	case OP_ENCRYPTION:
	case OP_IDENTIFICATION:
	case OP_IDENTITY:
	case OP_IDENTITY_ADDRESS:
	case OP_SIGNING:
		return s->state == SMP_WAIT_KEYS;
	default:
		return false;
	}
}

static void on_failed(struct smp *s, uint8_t reason)
{
	if (s->state == SMP_IDLE && !s->asked)
		return;
	s->asked = false;
	end_pairing(s);
	s->host.failed(s->host.context, reason, true);
}

static void dispatch(struct smp *s, const uint8_t *pdu)
{
	switch (pdu[0]) {
	case OP_REQUEST:
		on_request(s, pdu);
		break;
	case OP_PUBLIC_KEY:
		on_public_key(s, pdu);
		break;
	case OP_CONFIRM:
		on_confirm(s, pdu);
		break;
	case OP_RANDOM:
		on_random(s, pdu);
		break;
	case OP_CHECK:
		on_check(s, pdu);
		break;
	default:
		on_host_key(s, pdu[0]);
		break;
	}
}

void smp_receive(struct smp *s, const uint8_t *pdu, size_t len)
{
	if (!len)
		return;
	if (pdu[0] > OP_LAST || !LENGTHS[pdu[0]]) {
		/* part H 3.3: what is reserved is ignored */
		return;
	}
	if (len != LENGTHS[pdu[0]]) {
		fail(s, SMP_INVALID_PARAMETERS);
		return;
	}
	if (pdu[0] == OP_FAILED)
		on_failed(s, pdu[1]);
	else if (pdu[0] == OP_KEYPRESS)
		return;
	else if (expected(s, pdu[0]))
		dispatch(s, pdu);
	else if (s->state != SMP_IDLE)
		fail(s, SMP_UNSPECIFIED);
	else
		send_pdu(s, OP_FAILED, &(uint8_t){ SMP_COMMAND_NOT_SUPPORTED }, 1);
}
