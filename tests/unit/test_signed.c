/* links: gateway_control */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <sodium.h>
#include <string.h>

#include "gateway/control/signed.h"

#define NOW INT64_C(1795446000000) /* 2026-11-23T15:00:00Z */
#define HUB "hub-7"

struct bytes {
	uint8_t at[8192];
	size_t len;
};

static struct bytes unhex(const char *hex)
{
	struct bytes b = { .len = 0 };

	assert_int_equal(sodium_hex2bin(b.at, sizeof(b.at), hex, strlen(hex), NULL, &b.len, NULL),
			 0);
	return b;
}

/* RFC 8032 section 7.1, tests 1 to 3 */
static void test_rfc8032(void **state)
{
	static const struct {
		const char *key, *message, *signature;
	} rows[] = {
		{ "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
		  "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155"
		  "5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b" },
		{ "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "72",
		  "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
		  "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00" },
		{ "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025", "af82",
		  "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac"
		  "18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct bytes key = unhex(rows[i].key), message = unhex(rows[i].message);
		struct bytes signature = unhex(rows[i].signature);

		assert_int_equal(signed_check(key.at, message.at, message.len, signature.at), 0);
		assert_int_equal(signed_check(key.at, message.at, message.len + 1, signature.at),
				 -EKEYREJECTED);
		for (size_t bit = 0; bit < 512; bit++) {
			signature.at[bit / 8] ^= (uint8_t)(1U << bit % 8);
			assert_int_equal(
				signed_check(key.at, message.at, message.len, signature.at),
				-EKEYREJECTED);
			signature.at[bit / 8] ^= (uint8_t)(1U << bit % 8);
		}
	}
}

/* The order of the group is added to S: the same equation holds, and RFC 8032 5.1.7 forbids it; a
 * signature that can be altered would make one command look like two. */
static void test_not_malleable(void **state)
{
	static const uint8_t order[32] = { 0xed, 0xd3, 0xf5, 0x5c, 0x1a,       0x63,
					   0x12, 0x58, 0xd6, 0x9c, 0xf7,       0xa2,
					   0xde, 0xf9, 0xde, 0x14, [31] = 0x10 };
	const struct bytes key =
		unhex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a");
	struct bytes signature =
		unhex("e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155"
		      "5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b");
	unsigned int carry = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(order); i++) {
		carry += signature.at[32 + i] + order[i];
		signature.at[32 + i] = (uint8_t)carry;
		carry >>= 8;
	}
	assert_int_equal(carry, 0);
	assert_int_equal(signed_check(key.at, NULL, 0, signature.at), -EKEYREJECTED);
}

/* ---- envelopes ---- */

struct order {
	uint64_t serial;
	int64_t issued, expires;
	const char *hub;
	size_t len; /* of the payload */
};

struct world {
	uint8_t secret[crypto_sign_SECRETKEYBYTES];
	struct signed_key keys[2];
};

static const struct order usual = { 8, NOW - 1000, NOW + 60000, HUB, 3 };

/* keys[1] is that of the first test of RFC 8032: known to everybody, good for tests alone */
static struct world begin(void)
{
	const struct bytes seed =
		unhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60");
	struct world w = { .keys = { { .key = { 1 } }, { .last = 7 } } };

	assert_true(sodium_init() >= 0);
	assert_int_equal(crypto_sign_seed_keypair(w.keys[1].key, w.secret, seed.at), 0);
	return w;
}

static void put_number(struct bytes *b, uint64_t value, unsigned int n)
{
	while (n-- > 0)
		b->at[b->len++] = (uint8_t)(value >> 8 * n);
}

static struct bytes make(const struct world *w, const struct order *o)
{
	struct bytes b = { .len = 4 }, message = { .len = sizeof(SIGNED_CONTEXT) - 1 };
	uint8_t digest[crypto_hash_sha256_BYTES];
	const size_t hub_len = strlen(o->hub);

	(void)memcpy(b.at, "WGC1", 4);
	(void)crypto_hash_sha256(digest, w->keys[1].key, SIGNED_KEY);
	(void)memcpy(b.at + 4, digest, SIGNED_SENDER);
	b.len = 12;
	put_number(&b, o->serial, 8);
	put_number(&b, (uint64_t)o->issued, 8);
	put_number(&b, (uint64_t)o->expires, 8);
	put_number(&b, hub_len, 1);
	(void)memcpy(b.at + b.len, o->hub, hub_len);
	b.len += hub_len;
	put_number(&b, o->len, 2);
	(void)memset(b.at + b.len, 'p', o->len);
	b.len += o->len;
	(void)memcpy(message.at, SIGNED_CONTEXT, message.len);
	(void)memcpy(message.at + message.len, b.at, b.len);
	(void)crypto_sign_detached(b.at + b.len, NULL, message.at, message.len + b.len, w->secret);
	b.len += SIGNED_SIGNATURE;
	return b;
}

static int open_as(const struct signed_key *keys, size_t n, const char *hub, int64_t now,
		   const struct bytes *b, struct signed_command *ret)
{
	const struct signed_door door = { .keys = keys, .n = n, .hub = hub, .now_ms = now };

	return signed_open(&door, b->at, b->len, ret);
}

static int open_at(const struct world *w, const struct bytes *b, int64_t now)
{
	struct signed_command command = { .serial = 99 };
	const int r = open_as(w->keys, 2, HUB, now, b, &command);

	if (r < 0)
		assert_int_equal(command.serial, 99); /* untouched */
	return r;
}

static int open_order(const struct world *w, struct order o)
{
	const struct bytes b = make(w, &o);

	return open_at(w, &b, NOW);
}

static void test_good(void **state)
{
	const struct world w = begin();
	const struct bytes b = make(&w, &usual);
	struct signed_command c;

	(void)state;
	assert_int_equal(open_as(w.keys, 2, HUB, NOW, &b, &c), 0);
	assert_int_equal(c.key, 1);
	assert_int_equal(c.serial, 8);
	assert_int_equal(c.issued_ms, NOW - 1000);
	assert_int_equal(c.expires_ms, NOW + 60000);
	assert_int_equal(c.len, 3);
	assert_memory_equal(c.payload, "ppp", 3);
}

/* Made by OpenSSL, not by us: tests/oracle/signed_command.py makes more of them. */
static void test_golden(void **state)
{
	static const char golden[] =
		"5747433121fe31dfa154a2610000000000000008000001a208ebc598000001a208ecb3e00568"
		"75622d370006676f6c64656e7574301a1136020b7ed995a8bb0008a2ae84b05a0013bac3a825"
		"6dc80c16d5ea3b6b03488b10e5113b7d475eb1ad45d6885cd381c4c1f51724d512ffdc0c880d";
	const struct world w = begin();
	const struct bytes b = unhex(golden);

	(void)state;
	assert_int_equal(open_at(&w, &b, NOW), 0);
}

/* Whatever one bit or one byte less is: it is never carried out. */
static void test_nothing_else(void **state)
{
	const struct world w = begin();
	struct bytes b = make(&w, &usual);
	const size_t len = b.len;

	(void)state;
	for (size_t bit = 0; bit < len * 8; bit++) {
		b.at[bit / 8] ^= (uint8_t)(1U << bit % 8);
		assert_true(open_at(&w, &b, NOW) < 0);
		b.at[bit / 8] ^= (uint8_t)(1U << bit % 8);
	}
	for (b.len = 0; b.len < len; b.len++)
		assert_int_equal(open_at(&w, &b, NOW), -EBADMSG);
	b.len = len + 1;
	assert_int_equal(open_at(&w, &b, NOW), -EBADMSG);
	b.len = len;
	assert_int_equal(open_at(&w, &b, NOW), 0);
}

static void test_who_and_whom(void **state)
{
	struct world w = begin();
	struct bytes b = make(&w, &usual);
	struct order o = usual;
	struct signed_command c;

	(void)state;
	assert_int_equal(open_as(w.keys, 1, HUB, NOW, &b, &c), -ENOKEY);
	assert_int_equal(open_as(NULL, 0, HUB, NOW, &b, &c), -ENOKEY);
	assert_int_equal(open_as(w.keys, 2, "hub-8", NOW, &b, &c), -EXDEV);
	assert_int_equal(open_as(w.keys, 2, "hub-77", NOW, &b, &c), -EXDEV);
	/* signed by somebody else, in the name of one that is obeyed */
	w.secret[0] ^= 1;
	b = make(&w, &usual);
	assert_int_equal(open_at(&w, &b, NOW), -EKEYREJECTED);
	w = begin();
	o.hub = "";
	assert_int_equal(open_order(&w, o), -EBADMSG);
	o = usual;
	o.len = 0;
	assert_int_equal(open_order(&w, o), -EBADMSG);
	o.len = SIGNED_PAYLOAD_MAX;
	assert_int_equal(open_order(&w, o), 0);
	o.len++;
	assert_int_equal(open_order(&w, o), -EBADMSG);
}

static void test_when(void **state)
{
	const struct world w = begin();
	const struct bytes b = make(&w, &usual);

	(void)state;
	assert_int_equal(open_at(&w, &b, NOW + 59999), 0);
	assert_int_equal(open_at(&w, &b, NOW + 60000), -ETIME);
	assert_int_equal(open_at(&w, &b, NOW - 1000 - SIGNED_CLOCK_MS), 0);
	assert_int_equal(open_at(&w, &b, NOW - 1001 - SIGNED_CLOCK_MS), -ETIME);
	assert_int_equal(open_at(&w, &b, SIGNED_NO_TIME), -EAGAIN);
	assert_int_equal(open_at(&w, &b, -1), -ETIME);
	assert_int_equal(open_order(&w, (struct order){ 8, NOW, NOW + SIGNED_LIFETIME_MS, HUB, 1 }),
			 0);
	assert_int_equal(
		open_order(&w, (struct order){ 8, NOW, NOW + SIGNED_LIFETIME_MS + 1, HUB, 1 }),
		-ETIME);
	assert_int_equal(open_order(&w, (struct order){ 8, NOW + 2, NOW + 1, HUB, 1 }), -ETIME);
	assert_int_equal(open_order(&w, (struct order){ 8, INT64_MIN, INT64_MIN + 1, HUB, 1 }),
			 -ETIME);
	assert_int_equal(open_order(&w, (struct order){ 8, -1, NOW, HUB, 1 }), -ETIME);
}

static void test_once(void **state)
{
	struct world w = begin();
	const struct bytes b = make(&w, &usual);

	(void)state;
	assert_int_equal(open_at(&w, &b, NOW), 0);
	w.keys[1].last = 8;
	assert_int_equal(open_at(&w, &b, NOW), -EALREADY);
	w.keys[1].last = UINT64_MAX;
	assert_int_equal(open_at(&w, &b, NOW), -EALREADY);
	w.keys[1].last = 0;
	assert_int_equal(open_order(&w, (struct order){ 0, NOW, NOW + 1, HUB, 1 }), -EALREADY);
}

static void test_keys(void **state)
{
	const struct world w = begin();
	uint8_t key[SIGNED_KEY] = { 0 };
	static const char *const bad[] = {
		"",
		"11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo",   /* no padding */
		"11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo==", /* too long */
		"11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcH Ro=",
		"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo=", /* of URLs */
		"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", /* small order */
		"AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", /* the neutral element */
		"7P///////////////////////////////////////38=",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(signed_key_parse(bad[i], key), -EINVAL);
	assert_true(sodium_is_zero(key, sizeof(key)));
	assert_int_equal(signed_key_parse("11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=", key), 0);
	assert_memory_equal(key, w.keys[1].key, sizeof(key));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rfc8032),      cmocka_unit_test(test_not_malleable),
		cmocka_unit_test(test_good),         cmocka_unit_test(test_golden),
		cmocka_unit_test(test_nothing_else), cmocka_unit_test(test_who_and_whom),
		cmocka_unit_test(test_when),         cmocka_unit_test(test_once),
		cmocka_unit_test(test_keys),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
