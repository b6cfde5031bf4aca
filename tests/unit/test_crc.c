/* links: protocols */
#include "protocols/bytes/crc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>

#include <cmocka.h>

/* Every parameter of the catalogue, one bit at a time: slow, and written differently from crc.c. */
struct model {
	int width;
	uint32_t polynomial, initial, final;
	bool reflected;
};

static uint32_t reverse(uint32_t v, int width)
{
	uint32_t r = 0;

	for (int i = 0; i < width; i++)
		r |= (v >> i & 1) << (width - 1 - i);
	return r;
}

static uint32_t slow(const struct model *m, const uint8_t *data, size_t len)
{
	const uint32_t top = UINT32_C(1) << (m->width - 1);
	uint32_t crc = m->initial;

	for (size_t i = 0; i < len * 8; i++) {
		const int at = (int)(i % 8);
		const bool bit = data[i / 8] >> (m->reflected ? at : 7 - at) & 1;
		const bool out = (crc & top) != 0;

		crc <<= 1;
		if (bit != out)
			crc ^= m->polynomial;
	}
	if (m->width < 32)
		crc &= (UINT32_C(1) << m->width) - 1;
	return (m->reflected ? reverse(crc, m->width) : crc) ^ m->final;
}

static const struct model iso_hdlc = { 32, 0x04c11db7, 0xffffffff, 0xffffffff, true };
static const struct model xmodem = { 16, 0x1021, 0, 0, false };
static const struct model ccitt_false = { 16, 0x1021, 0xffff, 0, false };
static const struct model mcrf4xx = { 16, 0x1021, 0xffff, 0, true };

static void test_check_values(void **state)
{
	(void)state;
	assert_true(crc_32_iso_hdlc("123456789", 9) == 0xcbf43926);
	assert_int_equal(crc_16_xmodem("123456789", 9), 0x31c3);
	assert_int_equal(crc_16_ccitt_false("123456789", 9), 0x29b1);
	assert_int_equal(crc_16_mcrf4xx("123456789", 9), 0x6f91);
	assert_true(crc_32_iso_hdlc(NULL, 0) == 0);
	assert_int_equal(crc_16_ccitt_false(NULL, 0), 0xffff);
}

static void test_against_slow(void **state)
{
	uint8_t data[300];
	uint32_t x = 1;

	(void)state;
	for (size_t i = 0; i < sizeof(data); i++) {
		x = x * 1103515245 + 12345;
		data[i] = (uint8_t)(x >> 16);
	}
	for (size_t len = 0; len <= sizeof(data) - 3; len++) {
		const uint8_t *d = data + len % 3; /* all alignments */

		assert_true(crc_32_iso_hdlc(d, len) == slow(&iso_hdlc, d, len));
		assert_int_equal(crc_16_xmodem(d, len), slow(&xmodem, d, len));
		assert_int_equal(crc_16_ccitt_false(d, len), slow(&ccitt_false, d, len));
		assert_int_equal(crc_16_mcrf4xx(d, len), slow(&mcrf4xx, d, len));
	}
}

/* each entry of each table is used by some single byte within eight */
static void test_every_entry(void **state)
{
	(void)state;
	for (unsigned int at = 0; at < 8; at++) {
		for (unsigned int value = 0; value < 256; value++) {
			uint8_t data[8] = { 0 };

			data[at] = (uint8_t)value;
			assert_true(crc_32_iso_hdlc(data, 8) == slow(&iso_hdlc, data, 8));
		}
	}
}

static void test_in_pieces(void **state)
{
	const char text[] = "the same in pieces: begin with 0, hand on what came back";
	const uint32_t whole = crc_32_iso_hdlc(text, sizeof(text));

	(void)state;
	for (size_t cut = 0; cut <= sizeof(text); cut++) {
		uint32_t crc = crc_32_iso_hdlc_add(0, text, cut);

		crc = crc_32_iso_hdlc_add(crc, text + cut, sizeof(text) - cut);
		assert_true(crc == whole);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_check_values),
		cmocka_unit_test(test_against_slow),
		cmocka_unit_test(test_every_entry),
		cmocka_unit_test(test_in_pieces),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
