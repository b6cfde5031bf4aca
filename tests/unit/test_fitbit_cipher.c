/* links: protocols */
/*
 * XTEA, CMAC and EAX against published and invented vectors; tests/oracle/fitbit_botan.py compares
 * them with a library on random ones. CMAC and EAX with a block of 16 bytes are held to published
 * vectors of AES by a table of the few blocks they need, as no AES is linked here.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "protocols/fitbit/cipher.h"

#define N(a) (sizeof(a) / sizeof((a)[0]))

static const uint8_t counting[FITBIT_KEY_SIZE] = { 0, 1, 2,  3,  4,  5,  6,  7,
						   8, 9, 10, 11, 12, 13, 14, 15 };

/* key ASCII 0123456789012345, text ABCDEFGH */
static void test_xtea_block(void **state)
{
	static const uint8_t want[] = { 0xb6, 0x7c, 0x01, 0x66, 0x2f, 0xf6, 0x96, 0x4a };
	uint8_t block[FITBIT_XTEA_BLOCK];

	(void)state;
	fitbit_xtea_encrypt("0123456789012345", (const uint8_t *)"ABCDEFGH", block);
	assert_memory_equal(block, want, sizeof(want));
	/* the published vector of all zeros, in place */
	memset(block, 0, sizeof(block));
	fitbit_xtea_encrypt((const uint8_t[FITBIT_KEY_SIZE]){ 0 }, block, block);
	assert_memory_equal(
		block, ((const uint8_t[]){ 0xde, 0xe9, 0xd4, 0xd8, 0xf7, 0x13, 0x1e, 0xd9 }), 8);
}

static void test_challenge(void **state)
{
	static const uint8_t challenge[] = { 0x78, 0x56, 0x34, 0x12 };
	static const uint8_t want[] = { 0x79, 0xb0, 0xf9, 0x99, 0x67, 0xf0, 0xcb, 0x1c };
	const struct fitbit_cipher xtea = fitbit_xtea(counting);
	uint8_t mac[FITBIT_TAG_SIZE];

	(void)state;
	fitbit_mac(&xtea, challenge, sizeof(challenge), mac);
	assert_memory_equal(mac, want, sizeof(want));
}

/* SP 800-38B, the examples of AES-128: E(0), and the one block that each MAC ends with */
static void aes_table(const void *key, const uint8_t *in, uint8_t *out)
{
	static const uint8_t table[][2][16] = {
		{ { 0 },
		  { 0x7d, 0xf7, 0x6b, 0x0c, 0x1a, 0xb8, 0x99, 0xb3, 0x3e, 0x42, 0xf0, 0x47, 0xb9,
		    0x1b, 0x54, 0x6f } },
		/* the empty message: 80 00.. with the second subkey */
		{ { 0x77, 0xdd, 0xac, 0x30, 0x6a, 0xe2, 0x66, 0xcc, 0xf9, 0x0b, 0xc1, 0x1e, 0xe4,
		    0x6d, 0x51, 0x3b },
		  { 0xbb, 0x1d, 0x69, 0x29, 0xe9, 0x59, 0x37, 0x28, 0x7f, 0xa3, 0x7d, 0x12, 0x9b,
		    0x75, 0x67, 0x46 } },
		/* 6bc1bee2 2e409f96 e93d7e11 7393172a with the first */
		{ { 0x90, 0x2f, 0x68, 0xfa, 0x1b, 0x31, 0xac, 0xf0, 0x95, 0xb8, 0x9e, 0x9e, 0x01,
		    0xa5, 0xbf, 0xf4 },
		  { 0x07, 0x0a, 0x16, 0xb4, 0x6b, 0x4d, 0x41, 0x44, 0xf7, 0x9b, 0xdd, 0x9d, 0xd0,
		    0x4a, 0x28, 0x7c } },
	};

	(void)key;
	for (size_t i = 0; i < N(table); i++)
		if (memcmp(table[i][0], in, 16) == 0) {
			memcpy(out, table[i][1], 16);
			return;
		}
	fail_msg("a block that the examples do not have");
}

static void test_cmac_of_16(void **state)
{
	static const uint8_t text[] = { 0x6b, 0xc1, 0xbe, 0xe2, 0x2e, 0x40, 0x9f, 0x96,
					0xe9, 0x3d, 0x7e, 0x11, 0x73, 0x93, 0x17, 0x2a };
	const struct fitbit_cipher aes = { .encrypt = aes_table, .block = 16 };
	static const uint8_t want[] = { 0x07, 0x0a, 0x16, 0xb4, 0x6b, 0x4d, 0x41, 0x44,
					0xf7, 0x9b, 0xdd, 0x9d, 0xd0, 0x4a, 0x28, 0x7c };
	struct fitbit_cmac c = fitbit_cmac_begin(&aes);
	uint8_t mac[FITBIT_BLOCK_MAX];

	(void)state;
	fitbit_cmac_end(&c, mac);
	assert_memory_equal(mac,
			    ((const uint8_t[]){ 0xbb, 0x1d, 0x69, 0x29, 0xe9, 0x59, 0x37, 0x28,
						0x7f, 0xa3, 0x7d, 0x12, 0x9b, 0x75, 0x67, 0x46 }),
			    16);
	c = fitbit_cmac_begin(&aes);
	fitbit_cmac_add(&c, text, sizeof(text));
	fitbit_cmac_end(&c, mac);
	assert_memory_equal(mac, want, sizeof(want));
}

/* pieces of any size are the same message */
static void test_cmac_in_pieces(void **state)
{
	const struct fitbit_cipher xtea = fitbit_xtea(counting);
	uint8_t text[40], whole[FITBIT_TAG_SIZE], pieces[FITBIT_BLOCK_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = (uint8_t)(i * 7);
	for (size_t len = 0; len <= sizeof(text); len++)
		for (size_t piece = 1; piece < 10; piece++) {
			struct fitbit_cmac c = fitbit_cmac_begin(&xtea);

			for (size_t i = 0; i < len; i += piece)
				fitbit_cmac_add(&c, text + i, len - i < piece ? len - i : piece);
			fitbit_cmac_end(&c, pieces);
			fitbit_mac(&xtea, text, len, whole);
			assert_memory_equal(pieces, whole, sizeof(whole));
		}
}

/* key 00..0f, nonce 01020304, text 20..44 */
static void test_eax(void **state)
{
	static const uint8_t nonce[] = { 1, 2, 3, 4 };
	static const uint8_t begin[] = { 0x9f, 0x2d, 0xd6, 0x99, 0x2b, 0x07, 0xbc, 0x66 };
	static const uint8_t want[37] = {
		0x61, 0x8b, 0xbf, 0x1a, 0xcc, 0xee, 0x78, 0x32, 0xf7, 0x43, 0xdf, 0xd0, 0x96,
		0xdf, 0xb9, 0x61, 0x60, 0x6c, 0x4c, 0x0b, 0xa4, 0x8f, 0x17, 0x30, 0x8f, 0x0c,
		0x42, 0x05, 0xa0, 0x2a, 0xeb, 0xc3, 0xdb, 0xac, 0xa4, 0x60, 0x45,
	};
	static const uint8_t want_tag[] = { 0x1a, 0x41, 0xd6, 0x88, 0x88, 0xcc, 0xf5, 0xdd };
	const struct fitbit_cipher xtea = fitbit_xtea(counting);
	const struct fitbit_eax eax = { .nonce = nonce, .nonce_len = sizeof(nonce) };
	struct fitbit_stream s = fitbit_stream_begin(&xtea, &eax);
	uint8_t text[37], tag[FITBIT_TAG_SIZE];

	(void)state;
	assert_memory_equal(s.counter, begin, sizeof(begin));
	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = (uint8_t)(0x20 + i) ^ fitbit_stream_next(&s);
	assert_memory_equal(text, want, sizeof(want));
	fitbit_eax_tag(&xtea, &eax, text, sizeof(text), tag);
	assert_memory_equal(tag, want_tag, sizeof(want_tag));
	assert_true(fitbit_tag_equal(tag, want_tag));
	for (size_t i = 0; i < 8 * sizeof(tag); i++) {
		tag[i / 8] ^= (uint8_t)(1U << i % 8);
		assert_false(fitbit_tag_equal(tag, want_tag));
		tag[i / 8] ^= (uint8_t)(1U << i % 8);
	}
}

/* the counter carries over all its bytes, the most significant first */
static void test_counter(void **state)
{
	const struct fitbit_cipher xtea = fitbit_xtea(counting);
	const struct fitbit_eax eax = { .nonce = counting, .nonce_len = 4 };
	struct fitbit_stream s = fitbit_stream_begin(&xtea, &eax);
	static const uint8_t after[] = { 1, 2, 3, 5, 0, 0, 0, 0 };

	(void)state;
	memcpy(s.counter, ((const uint8_t[]){ 1, 2, 3, 4, 255, 255, 255, 255 }), 8);
	(void)fitbit_stream_next(&s);
	assert_memory_equal(s.counter, after, sizeof(after));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_xtea_block),     cmocka_unit_test(test_challenge),
		cmocka_unit_test(test_cmac_of_16),     cmocka_unit_test(test_eax),
		cmocka_unit_test(test_cmac_in_pieces), cmocka_unit_test(test_counter),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
