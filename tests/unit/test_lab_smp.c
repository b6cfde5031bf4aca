/* links: lab_peers */
/*
 * The security manager of the simulated peripherals. Its toolbox against the sample data of
 * Bluetooth Core volume 3 part H appendix D (part G appendix B for the Database Hash), which a
 * second implementation (Python's cryptography) gives too; the conversations against an initiator
 * that is written here from the specification's figures.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/lab/radio/crypto.h"
#include "tests/lab/radio/models/model.h"
#include "tests/unit/lab_world.h"

#define N(a) (sizeof(a) / sizeof((a)[0]))

/* ---- the toolbox ---- */

#define U  "20b003d2f297be2c5e2c83a7e9f9a5b9eff49111acf4fddbcc0301480e359de6"
#define UY "dc809c49652aeb6d63329abf5a52155c766345c28fed3024741c8ed01589d28b"
#define V  "55188b3d32f6bb9a900afcfbeed4e72a59cb9ac2f19d7cfb6b4fdd49f47fc5fd"
#define X  "d5cb8454d177733effffb2ec712baeab"
#define Y  "a6e8e7cc25a75f6e216583f7ff3dc4cf"
#define W  "ec0234a357c8ad05341010a60a397d9b99796b13b4f866f1868d34f373bfa698"
#define A  "3f49f6d4a3c55f3874c9b3e3d2103f504aff607beb40b7995899b8a6cd3c1abd"
#define BX "1ea1f0f01faf1d9609592284f19e4c0047b58afd8615a69f559077b22faaa190"
#define BY "4c55f33e429dad377356703a9ab85160472d1130e28e36765f89aff915b1214a"

/* as the specification prints them: most significant first; the toolbox wants it the other way */
static void le(const char *hex, uint8_t *ret, size_t len)
{
	uint8_t bytes[64] = { 0 };

	assert_int_equal(world_bytes(hex, bytes, sizeof(bytes)), len);
	for (size_t i = 0; i < len; i++)
		ret[i] = bytes[len - 1 - i];
}

static void assert_le(const uint8_t *data, const char *hex, size_t len)
{
	uint8_t expected[64];

	le(hex, expected, len);
	assert_memory_equal(data, expected, len);
}

static void c1_and_s1(void **state)
{
	struct crypto_address addresses[2] = { { .random = 1 }, { .random = 0 } };
	uint8_t k[16] = { 0 }, r[16], r2[16], pdus[14], out[16];

	(void)state;
	le("5783d52156ad6f0e6388274ec6702ee0", r, 16);
	le("07071000000101", pdus, 7);
	le("05000800000302", pdus + 7, 7);
	le("a1a2a3a4a5a6", addresses[0].bytes, 6);
	le("b1b2b3b4b5b6", addresses[1].bytes, 6);
	crypto_c1(k, r, pdus, addresses, out);
	assert_le(out, "1e1e3fef878988ead2a74dc5bef13b86", 16);
	le("000f0e0d0c0b0a091122334455667788", r, 16);
	le("010203040506070899aabbccddeeff00", r2, 16);
	crypto_s1(k, r, r2, out);
	assert_le(out, "9a1fe1f0e8b0f49b5b4216ae796da062", 16);
}

static void f4_and_g2(void **state)
{
	uint8_t u[32], v[32], x[16], y[16], out[16];

	(void)state;
	le(U, u, 32);
	le(V, v, 32);
	le(X, x, 16);
	le(Y, y, 16);
	crypto_f4(u, v, x, 0, out);
	assert_le(out, "f2c916f107a9bd1cf1eda1bea974872d", 16);
	assert_int_equal(crypto_g2(u, v, x, y), 0x2f9ed5ba % 1000000);
}

static void f5_and_f6(void **state)
{
	struct crypto_pair pair = { .address = { { .random = 0 }, { .random = 0 } } };
	uint8_t w[32], mackey[16], ltk[16], r[16], iocap[3], out[16];

	(void)state;
	le(W, w, 32);
	le(X, pair.nonce[0], 16);
	le(Y, pair.nonce[1], 16);
	le("56123737bfce", pair.address[0].bytes, 6);
	le("a713702dcfc1", pair.address[1].bytes, 6);
	crypto_f5(w, &pair, mackey, ltk);
	assert_le(mackey, "2965f176a1084a02fd3f6a20ce636e20", 16);
	assert_le(ltk, "6986791169d7cd23980522b594750a38", 16);
	le("12a3343bb453bb5408da42d20c2d0fc8", r, 16);
	le("010102", iocap, 3);
	crypto_f6(mackey, &pair, 0, r, iocap, out);
	assert_le(out, "e3c473989cd0e8c5d26c0b09da958f61", 16);
}

static void ah_and_cmac(void **state)
{
	uint8_t irk[16], prand[3], hash[3], mac[16], expected[16];
	const uint8_t zero[16] = { 0 };
	uint8_t message[128];
	size_t len;

	(void)state;
	le("ec0234a357c8ad05341010a60a397d9b", irk, 16);
	le("708194", prand, 3);
	crypto_ah(irk, prand, hash);
	assert_le(hash, "0dfbaa", 3);
	/* the database of part G appendix B */
	len = world_bytes("0100002800180200 03280a0300002a0400 0328020500012a06 0000280118070003"
			  "28200800052a0900 02290a0003280a0b 00292b0c00032802 0d002a2b0e000028"
			  "08180f0002281400 16000f1810000328 a21100182a120002 2913000029000014"
			  "000128 0f1815000328 021600192a",
			  message, sizeof(message));
	crypto_cmac(zero, message, len, mac);
	assert_int_equal(world_bytes("f1ca2d48ecf58bac8a8830bbb9fba990", expected, 16), 16);
	assert_memory_equal(mac, expected, 16);
}

static void p256(void **state)
{
	uint8_t secret[32], public[64], peer[64], shared[32];
	struct crypto_key *key;

	(void)state;
	le(A, secret, 32);
	assert_int_equal(crypto_key_new(secret, &key), 0);
	crypto_key_public(key, public);
	assert_le(public, U, 32);
	assert_le(public + 32, UY, 32);
	le(BX, peer, 32);
	le(BY, peer + 32, 32);
	assert_int_equal(crypto_key_agree(key, peer, shared), 0);
	assert_le(shared, W, 32);
	/* off the curve, and the point that is none */
	peer[40] ^= 1;
	assert_int_equal(crypto_key_agree(key, peer, shared), -EINVAL);
	memset(peer, 0, sizeof(peer));
	assert_int_equal(crypto_key_agree(key, peer, shared), -EINVAL);
	crypto_key_free(key);
	memset(secret, 0, 32);
	assert_int_equal(crypto_key_new(secret, &key), -EINVAL);
	memset(secret, 0xff, 32);
	assert_int_equal(crypto_key_new(secret, &key), -EINVAL);
	crypto_key_free(NULL);
}

/* ---- an initiator ---- */

enum {
	IO_DISPLAY_YES_NO = 1,
	IO_NONE = 3,
	IO_KEYBOARD_DISPLAY = 4
};

struct host {
	struct peer *peer;
	uint8_t pdus[14];
	struct crypto_pair pair;
	struct crypto_key *key;
	uint8_t public[64], peer_public[64];
	uint8_t tk[16], stk[16], ltk[16], rand[8], irk[16];
	uint16_t ediv;
	uint32_t passkey; /* what the person types */
	bool with_passkey;
	uint8_t failed; /* reason that the peripheral gave; 0: none */
	bool spoil_confirm, spoil_check;
};

static void say(struct host *h, const uint8_t *pdu, size_t len)
{
	peer_receive(h->peer, PEER_CID_SMP, pdu, len);
}

static void say_with(struct host *h, uint8_t opcode, const uint8_t *body, size_t len)
{
	uint8_t pdu[65] = { opcode };

	memcpy(pdu + 1, body, len);
	say(h, pdu, len + 1);
}

/* the body of the next PDU on the channel, which must have this code; NULL: pairing failed */
static const uint8_t *hear(struct host *h, uint8_t opcode, size_t len)
{
	const struct world_sdu *const sdu = world_next();

	assert_int_equal(sdu->cid, PEER_CID_SMP);
	if (sdu->data[0] == 0x05 && opcode != 0x05) {
		assert_int_equal(sdu->len, 2);
		h->failed = sdu->data[1];
		return NULL;
	}
	assert_int_equal(sdu->data[0], opcode);
	assert_int_equal(sdu->len, len + 1);
	return sdu->data + 1;
}

static void host_init(struct host *h, struct peer *p, uint32_t passkey, bool with_passkey)
{
	*h = (struct host){ .peer = p, .passkey = passkey, .with_passkey = with_passkey };
	for (size_t i = 0; i < 6; i++) {
		h->pair.address[0].bytes[i] = p->host[5 - i];
		h->pair.address[1].bytes[i] = p->address[5 - i];
	}
	h->pair.address[1].random = p->address_random;
	for (size_t i = 0; with_passkey && i < 4; i++)
		h->tk[i] = (uint8_t)(passkey >> 8 * i);
	assert_int_equal(crypto_key_new(NULL, &h->key), 0);
	crypto_key_public(h->key, h->public);
}

static void host_done(struct host *h)
{
	crypto_key_free(h->key);
}

/* request and response; our_keys, their_keys: key distribution */
static bool features(struct host *h, uint8_t io, uint8_t auth, uint8_t our_keys, uint8_t their_keys)
{
	const uint8_t request[7] = { 0x01, io, 0, auth, 16, our_keys, their_keys };
	const uint8_t *body;

	memcpy(h->pdus, request, 7);
	say(h, request, 7);
	body = hear(h, 0x02, 6);
	if (!body)
		return false;
	h->pdus[7] = 0x02;
	memcpy(h->pdus + 8, body, 6);
	return true;
}

static bool legacy(struct host *h)
{
	uint8_t confirm[16], check[16];
	const uint8_t *body;

	crypto_random(h->pair.nonce[0], 16);
	crypto_c1(h->tk, h->pair.nonce[0], h->pdus, h->pair.address, confirm);
	if (h->spoil_confirm)
		confirm[3] ^= 1;
	say_with(h, 0x03, confirm, 16);
	body = hear(h, 0x03, 16);
	if (!body)
		return false;
	memcpy(check, body, 16);
	say_with(h, 0x04, h->pair.nonce[0], 16);
	body = hear(h, 0x04, 16);
	if (!body)
		return false;
	memcpy(h->pair.nonce[1], body, 16);
	crypto_c1(h->tk, h->pair.nonce[1], h->pdus, h->pair.address, confirm);
	assert_memory_equal(confirm, check, 16);
	crypto_s1(h->tk, h->pair.nonce[1], h->pair.nonce[0], h->stk);
	return true;
}

static uint8_t bit(const struct host *h, unsigned int round)
{
	if (!h->with_passkey)
		return 0;
	return (uint8_t)(0x80 | (h->passkey >> round & 1));
}

/* one commitment and its nonces; with a passkey both commit themselves */
static bool secure_round(struct host *h, unsigned int round)
{
	uint8_t confirm[16], theirs[16];
	const uint8_t *body;

	crypto_random(h->pair.nonce[0], 16);
	if (h->with_passkey) {
		crypto_f4(h->public, h->peer_public, h->pair.nonce[0], bit(h, round), confirm);
		if (h->spoil_confirm)
			confirm[0] ^= 1;
		say_with(h, 0x03, confirm, 16);
	}
	body = hear(h, 0x03, 16);
	if (!body)
		return false;
	memcpy(theirs, body, 16);
	say_with(h, 0x04, h->pair.nonce[0], 16);
	body = hear(h, 0x04, 16);
	if (!body)
		return false;
	memcpy(h->pair.nonce[1], body, 16);
	crypto_f4(h->peer_public, h->public, h->pair.nonce[1], bit(h, round), confirm);
	assert_memory_equal(confirm, theirs, 16);
	return true;
}

static bool secure(struct host *h)
{
	uint8_t dhkey[32], mackey[16], check[16];
	const uint8_t *body;

	say_with(h, 0x0c, h->public, 64);
	body = hear(h, 0x0c, 64);
	if (!body)
		return false;
	memcpy(h->peer_public, body, 64);
	for (unsigned int i = 0; i < (h->with_passkey ? 20U : 1U); i++)
		if (!secure_round(h, i))
			return false;
	assert_int_equal(crypto_key_agree(h->key, h->peer_public, dhkey), 0);
	crypto_f5(dhkey, &h->pair, mackey, h->ltk);
	crypto_f6(mackey, &h->pair, 0, h->tk, h->pdus + 1, check);
	if (h->spoil_check)
		check[15] ^= 0x80;
	say_with(h, 0x0d, check, 16);
	body = hear(h, 0x0d, 16);
	if (!body)
		return false;
	crypto_f6(mackey, &h->pair, 1, h->tk, h->pdus + 8, check);
	assert_memory_equal(body, check, 16);
	return true;
}

/* the controller's part: both sides must hold the same key */
static bool encrypt(struct host *h, const uint8_t key[16])
{
	uint8_t theirs[16];

	if (!peer_long_term_key(h->peer, h->rand, h->ediv, theirs) || memcmp(theirs, key, 16) != 0)
		return false;
	h->peer->encrypted = true;
	peer_encrypted(h->peer);
	return true;
}

static void take_keys(struct host *h, bool with_ltk)
{
	const uint8_t *body;

	if (with_ltk) {
		memcpy(h->ltk, hear(h, 0x06, 16), 16);
		body = hear(h, 0x07, 10);
		h->ediv = (uint16_t)(body[0] | body[1] << 8);
		memcpy(h->rand, body + 2, 8);
	}
	memcpy(h->irk, hear(h, 0x08, 16), 16);
	body = hear(h, 0x09, 7);
	assert_int_equal(body[0], h->peer->identity_random);
	for (size_t i = 0; i < 6; i++)
		assert_int_equal(body[1 + i], h->peer->identity[5 - i]);
	assert_memory_equal(h->irk, h->peer->irk, 16);
}

static struct peer *peer_paired_by(const char *pair)
{
	struct peer *p;
	char answer[64];

	world_reset();
	assert_int_equal(peer_new("weight_scale", 3, &p), 0);
	assert_int_equal(peer_command(p, pair, answer, sizeof(answer)), 0);
	world_link_up(p);
	return p;
}

/* ---- pairing ---- */

struct way {
	const char *pair;
	uint8_t io, auth;
	bool secure, with_passkey;
	uint32_t passkey;
	int level;
};

static const struct way WAYS[] = {
	{ "pair just-works", IO_KEYBOARD_DISPLAY, 0x01, false, false, 0, 2 },
	{ "pair just-works", IO_NONE, 0x01, false, false, 0, 2 },
	{ "pair passkey 019655", IO_KEYBOARD_DISPLAY, 0x05, false, true, 19655, 3 },
	{ "pair secure", IO_NONE, 0x09, true, false, 0, 2 },
	{ "pair secure-passkey 000000", IO_KEYBOARD_DISPLAY, 0x0d, true, true, 0, 3 },
	{ "pair secure-passkey 999999", IO_KEYBOARD_DISPLAY, 0x0d, true, true, 999999, 3 },
	{ "pair compare yes", IO_DISPLAY_YES_NO, 0x0d, true, false, 0, 3 },
};

static void pair_in_way(struct host *h, const struct way *way)
{
	assert_true(features(h, way->io, way->auth, 0, way->secure ? 2 : 3));
	if (way->secure) {
		assert_true(secure(h));
		assert_true(encrypt(h, h->ltk));
	} else {
		assert_true(legacy(h));
		assert_true(encrypt(h, h->stk));
	}
	take_keys(h, !way->secure);
	assert_true(world_silent());
}

static void every_way(void **state)
{
	(void)state;
	for (size_t i = 0; i < N(WAYS); i++) {
		struct peer *const p = peer_paired_by(WAYS[i].pair);
		struct host h;

		host_init(&h, p, WAYS[i].passkey, WAYS[i].with_passkey);
		pair_in_way(&h, &WAYS[i]);
		assert_int_equal(p->state->server.level, WAYS[i].level);
		assert_int_equal(p->state->smp.bond.authenticated, WAYS[i].level == 3);
		assert_true(peer_secured(p->state));
		assert_non_null(strstr(world.log, "bonded "));
		/* and again by the key alone, on a new link */
		world_link_down(p);
		world_link_up(p);
		assert_int_equal(p->state->server.level, 1);
		assert_true(encrypt(&h, h.ltk));
		assert_int_equal(p->state->server.level, WAYS[i].level);
		assert_true(world_silent());
		host_done(&h);
		peer_free(p);
	}
}

static void both_see_the_same_number(void **state)
{
	struct peer *const p = peer_paired_by("pair compare");
	struct host h;
	char expected[32];

	(void)state;
	host_init(&h, p, 0, false);
	pair_in_way(&h, &WAYS[6]);
	(void)snprintf(expected, sizeof(expected), "displays %06u\n",
		       crypto_g2(h.public, h.peer_public, h.pair.nonce[0], h.pair.nonce[1]));
	assert_non_null(strstr(world.log, expected));
	host_done(&h);
	peer_free(p);
}

static void passkey_is_shown(void **state)
{
	struct peer *const p = peer_paired_by("pair passkey 000042");
	struct host h;

	(void)state;
	host_init(&h, p, 42, true);
	assert_true(features(&h, IO_KEYBOARD_DISPLAY, 0x05, 0, 3));
	assert_non_null(strstr(world.log, "displays 000042\n"));
	host_done(&h);
	peer_free(p);
}

/* the host's keys are awaited before the bond is kept */
static void host_keys_end_it(void **state)
{
	static const uint8_t KEY[16] = { 1 }, ADDRESS[7] = { 0 };
	struct peer *const p = peer_paired_by("pair secure");
	struct host h;

	(void)state;
	host_init(&h, p, 0, false);
	assert_true(features(&h, IO_NONE, 0x09, 2, 2));
	assert_true(secure(&h));
	assert_true(encrypt(&h, h.ltk));
	take_keys(&h, false);
	assert_false(p->state->smp.bond.valid);
	say_with(&h, 0x08, KEY, 16);
	assert_false(p->state->smp.bond.valid);
	say_with(&h, 0x09, ADDRESS, 7);
	assert_true(p->state->smp.bond.valid);
	host_done(&h);
	peer_free(p);
}

static void short_keys_are_cut(void **state)
{
	static const uint8_t REQUEST[7] = { 0x01, IO_NONE, 0, 0x09, 7, 0, 2 };
	struct peer *const p = peer_paired_by("pair secure");
	struct host h;

	(void)state;
	host_init(&h, p, 0, false);
	memcpy(h.pdus, REQUEST, 7);
	say(&h, REQUEST, 7);
	h.pdus[7] = 2;
	memcpy(h.pdus + 8, hear(&h, 0x02, 6), 6);
	assert_true(secure(&h));
	memset(h.ltk + 7, 0, 9);
	assert_true(encrypt(&h, h.ltk));
	host_done(&h);
	peer_free(p);
}

/* ---- what fails ---- */

struct refusal {
	const char *pair, *refuse;
	uint8_t pdu[7];
	uint8_t reason;
};

static const struct refusal REFUSALS[] = {
	{ "pair none", NULL, { 1, 3, 0, 1, 16, 0, 3 }, SMP_PAIRING_NOT_SUPPORTED },
	/* a passkey cannot be typed */
	{ "pair passkey 1", NULL, { 1, 3, 0, 1, 16, 0, 3 }, SMP_AUTHENTICATION_REQUIREMENTS },
	{ "pair passkey 1", NULL, { 1, 1, 0, 5, 16, 0, 3 }, SMP_AUTHENTICATION_REQUIREMENTS },
	{ "pair compare", NULL, { 1, 2, 0, 13, 16, 0, 3 }, SMP_AUTHENTICATION_REQUIREMENTS },
	/* no secure connections */
	{ "pair secure", NULL, { 1, 3, 0, 1, 16, 0, 3 }, SMP_AUTHENTICATION_REQUIREMENTS },
	{ "pair just-works", NULL, { 1, 3, 0, 1, 6, 0, 3 }, SMP_KEY_SIZE },
	{ "pair just-works", NULL, { 1, 3, 0, 1, 17, 0, 3 }, SMP_KEY_SIZE },
	{ "pair just-works", NULL, { 1, 5, 0, 1, 16, 0, 3 }, SMP_INVALID_PARAMETERS },
	{ "pair just-works", "refuse 9", { 1, 3, 0, 1, 16, 0, 3 }, 9 },
};

static void requests_that_are_refused(void **state)
{
	char answer[64];

	(void)state;
	for (size_t i = 0; i < N(REFUSALS); i++) {
		struct peer *const p = peer_paired_by(REFUSALS[i].pair);
		struct host h;

		host_init(&h, p, 0, false);
		if (REFUSALS[i].refuse)
			assert_int_equal(
				peer_command(p, REFUSALS[i].refuse, answer, sizeof(answer)), 0);
		say(&h, REFUSALS[i].pdu, 7);
		assert_null(hear(&h, 0x02, 6));
		assert_int_equal(h.failed, REFUSALS[i].reason);
		assert_false(encrypt(&h, h.stk));
		host_done(&h);
		peer_free(p);
	}
}

/* a pairing that must fail with this reason and leave no key */
static void fails(const struct way *way, uint32_t typed, bool spoil_confirm, bool spoil_check,
		  uint8_t reason)
{
	struct peer *const p = peer_paired_by(way->pair);
	struct host h;

	host_init(&h, p, typed, way->with_passkey);
	h.spoil_confirm = spoil_confirm;
	h.spoil_check = spoil_check;
	assert_true(features(&h, way->io, way->auth, 0, 3));
	assert_false(way->secure ? secure(&h) : legacy(&h));
	assert_int_equal(h.failed, reason);
	assert_false(encrypt(&h, way->secure ? h.ltk : h.stk));
	assert_false(p->state->smp.bond.valid);
	assert_non_null(strstr(world.log, "pairing failed"));
	host_done(&h);
	peer_free(p);
}

static void wrong_values_fail(void **state)
{
	(void)state;
	fails(&WAYS[0], 0, true, false, SMP_CONFIRM_FAILED);
	fails(&WAYS[4], 0, true, false, SMP_CONFIRM_FAILED);
	fails(&WAYS[3], 0, false, true, SMP_CHECK_FAILED);
	fails(&WAYS[5], 999999, false, true, SMP_CHECK_FAILED);
}

static void our_user_says_no(void **state)
{
	struct peer *const p = peer_paired_by("pair compare no");
	struct host h;

	(void)state;
	host_init(&h, p, 0, false);
	assert_true(features(&h, IO_DISPLAY_YES_NO, 0x0d, 0, 3));
	assert_false(secure(&h));
	assert_int_equal(h.failed, SMP_COMPARISON_FAILED);
	host_done(&h);
	peer_free(p);
}

/* a wrong passkey is found out at the first bit (from the lowest) that differs, and not later */
static void wrong_passkey_fails(void **state)
{
	struct peer *p = peer_paired_by("pair secure-passkey 16");
	struct host h;
	unsigned int round = 0;

	(void)state;
	host_init(&h, p, 0, true);
	assert_true(features(&h, IO_KEYBOARD_DISPLAY, 0x0d, 0, 2));
	say_with(&h, 0x0c, h.public, 64);
	memcpy(h.peer_public, hear(&h, 0x0c, 64), 64);
	while (round < 4 && secure_round(&h, round))
		round++;
	assert_int_equal(round, 4);
	crypto_random(h.pair.nonce[0], 16);
	{
		uint8_t confirm[16];

		crypto_f4(h.public, h.peer_public, h.pair.nonce[0], 0x80, confirm);
		say_with(&h, 0x03, confirm, 16);
		assert_non_null(hear(&h, 0x03, 16));
		say_with(&h, 0x04, h.pair.nonce[0], 16);
		assert_null(hear(&h, 0x04, 16));
	}
	assert_int_equal(h.failed, SMP_CONFIRM_FAILED);
	host_done(&h);
	peer_free(p);
	/* legacy: at the random */
	p = peer_paired_by("pair passkey 123456");
	host_init(&h, p, 123457, true);
	assert_true(features(&h, IO_KEYBOARD_DISPLAY, 0x05, 0, 3));
	{
		uint8_t confirm[16];

		crypto_c1(h.tk, h.pair.nonce[0], h.pdus, h.pair.address, confirm);
		say_with(&h, 0x03, confirm, 16);
		assert_non_null(hear(&h, 0x03, 16));
		say_with(&h, 0x04, h.pair.nonce[0], 16);
		assert_null(hear(&h, 0x04, 16));
	}
	assert_int_equal(h.failed, SMP_CONFIRM_FAILED);
	host_done(&h);
	peer_free(p);
}

static void bad_public_key_fails(void **state)
{
	struct peer *const p = peer_paired_by("pair secure");
	struct host h;

	(void)state;
	host_init(&h, p, 0, false);
	assert_true(features(&h, IO_NONE, 0x09, 0, 2));
	h.public[17] ^= 0x20;
	say_with(&h, 0x0c, h.public, 64);
	assert_null(hear(&h, 0x0c, 64));
	assert_int_equal(h.failed, SMP_INVALID_PARAMETERS);
	host_done(&h);
	peer_free(p);
}

/* ---- keys that are gone or others ---- */

static void lost_and_wrong_keys(void **state)
{
	struct peer *const p = peer_paired_by("pair just-works");
	struct host h;
	uint8_t key[16];
	char answer[200];

	(void)state;
	host_init(&h, p, 0, false);
	pair_in_way(&h, &WAYS[0]);
	world_link_down(p);
	world_link_up(p);
	assert_true(peer_long_term_key(p, h.rand, h.ediv, key));
	assert_false(peer_long_term_key(p, h.rand, (uint16_t)(h.ediv + 1), key));
	h.rand[7] ^= 1;
	assert_false(peer_long_term_key(p, h.rand, h.ediv, key));
	h.rand[7] ^= 1;
	assert_int_equal(peer_command(p, "wrong-key on", answer, sizeof(answer)), 0);
	assert_true(peer_long_term_key(p, h.rand, h.ediv, key));
	assert_memory_not_equal(key, h.ltk, 16);
	assert_int_equal(peer_command(p, "wrong-key off", answer, sizeof(answer)), 0);
	assert_true(encrypt(&h, h.ltk));
	assert_int_equal(peer_command(p, "forget", answer, sizeof(answer)), 0);
	assert_false(peer_long_term_key(p, h.rand, h.ediv, key));
	assert_int_equal(peer_command(p, "state", answer, sizeof(answer)), 0);
	assert_non_null(strstr(answer, "bonded=0"));
	host_done(&h);
	peer_free(p);
}

static void asks_for_security(void **state)
{
	struct peer *const p = peer_paired_by("pair secure-passkey 1");
	const struct world_sdu *sdu;
	char answer[64];

	(void)state;
	world_link_down(p);
	assert_int_equal(peer_command(p, "ask-security on", answer, sizeof(answer)), 0);
	world_link_up(p);
	sdu = world_next();
	assert_string_equal(world_hex(sdu->data, sdu->len), "0b0d");
	peer_free(p);
}

static void pairing_has_a_limit(void **state)
{
	struct peer *const p = peer_paired_by("pair just-works");
	struct host h;

	(void)state;
	host_init(&h, p, 0, false);
	assert_true(features(&h, IO_NONE, 0x01, 0, 3));
	assert_false(world_wait(p, 29999999));
	assert_int_equal(world.dropped, -1);
	assert_true(world_wait(p, 1));
	assert_int_equal(world.dropped, 0x05);
	host_done(&h);
	peer_free(p);
}

/* ---- hostile ---- */

/* PDUs of every code and length in every state: no crash, no key, and the next pairing works */
static void anything_at_any_time(void **state)
{
	uint8_t pdu[80];

	(void)state;
	for (unsigned int steps = 0; steps < 4; steps++) {
		for (unsigned int opcode = 0; opcode < 256; opcode += opcode < 0x10 ? 1 : 0x1d) {
			struct peer *const p = peer_paired_by("pair secure");
			struct host h;
			uint8_t key[16];

			host_init(&h, p, 0, false);
			for (size_t len = 0; len <= 70; len++) {
				/* so far an honest pairing, then this */
				world_quiet();
				if (steps > 0)
					assert_true(features(&h, IO_NONE, 0x09, 0, 2));
				if (steps > 1)
					say_with(&h, 0x0c, h.public, 64);
				if (steps > 2)
					say_with(&h, 0x04, h.pair.nonce[0], 16);
				memset(pdu, 0x41, sizeof(pdu));
				pdu[0] = (uint8_t)opcode;
				say(&h, pdu, len);
				assert_false(peer_long_term_key(p, h.rand, 0, key));
			}
			world_quiet();
			pair_in_way(&h, &WAYS[3]);
			host_done(&h);
			peer_free(p);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(c1_and_s1),
		cmocka_unit_test(f4_and_g2),
		cmocka_unit_test(f5_and_f6),
		cmocka_unit_test(ah_and_cmac),
		cmocka_unit_test(p256),
		cmocka_unit_test(every_way),
		cmocka_unit_test(both_see_the_same_number),
		cmocka_unit_test(passkey_is_shown),
		cmocka_unit_test(host_keys_end_it),
		cmocka_unit_test(short_keys_are_cut),
		cmocka_unit_test(requests_that_are_refused),
		cmocka_unit_test(wrong_values_fail),
		cmocka_unit_test(our_user_says_no),
		cmocka_unit_test(wrong_passkey_fails),
		cmocka_unit_test(bad_public_key_fails),
		cmocka_unit_test(lost_and_wrong_keys),
		cmocka_unit_test(asks_for_security),
		cmocka_unit_test(pairing_has_a_limit),
		cmocka_unit_test(anything_at_any_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
