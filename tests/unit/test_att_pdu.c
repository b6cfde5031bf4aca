/* links: protocols */
/* One packet of every kind, all its truncations, and what no packet may say. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "protocols/att/pdu.h"

#define PACKET_MAX 64

static size_t from_hex(const char *hex, uint8_t *ret)
{
	size_t n = 0;

	while (*hex) {
		const char pair[3] = { hex[0], hex[1], '\0' };

		if (*hex == ' ') {
			hex++;
			continue;
		}
		assert_true(n < PACKET_MAX);
		ret[n++] = (uint8_t)strtoul(pair, NULL, 16);
		hex += 2;
	}
	return n;
}

/* truncations that are packets again: at least `least` bytes, then in steps; 0: none */
static const struct good {
	const char *hex;
	size_t least, step;
	uint16_t handle, end;
	size_t len; /* of the value or list */
} GOOD[] = {
	{ "01 0a 1200 05", 5, 0, 0x12, 0, 0 },
	{ "01 02 0000 06", 5, 0, 0, 0, 0 },
	{ "02 0502", 3, 0, 0, 0, 0 },
	{ "03 1700", 3, 0, 0, 0, 0 },
	{ "04 0100 ffff", 5, 0, 1, 0xffff, 0 },
	{ "05 01 0400 0229 0500 0129", 6, 4, 0, 0, 8 },
	{ "05 02 0400 fb349b5f80000080001000000229 0000", 20, 18, 0, 0, 18 },
	{ "06 0100 ffff 0028 1018", 7, 1, 1, 0xffff, 2 },
	{ "07 0100 0400 0500 0700", 5, 4, 0, 0, 8 },
	{ "08 0100 ffff 0328", 7, 0, 1, 0xffff, 0 },
	{ "08 0100 ffff 000102030405060708090a0b0c0d0e0f", 7, 14, 1, 0xffff, 0 },
	{ "09 07 0200 20 0300 052a 0400 02 0500 062a", 9, 7, 0, 0, 14 },
	{ "0a 1200", 3, 0, 0x12, 0, 0 },
	{ "0b 616263", 1, 1, 0, 0, 3 },
	{ "0c 1200 1600", 5, 0, 0x12, 0, 0 },
	{ "0d 616263", 1, 1, 0, 0, 3 },
	{ "10 0100 ffff 0028", 7, 0, 1, 0xffff, 0 },
	{ "11 06 0100 0400 0118 0500 0700 0a18", 8, 6, 0, 0, 12 },
	{ "12 1300 0200", 3, 1, 0x13, 0, 2 },
	{ "13", 1, 0, 0, 0, 0 },
	{ "16 1200 1200 616263", 5, 1, 0x12, 0, 3 },
	{ "17 1200 1200 616263", 5, 1, 0x12, 0, 3 },
	{ "18 01", 2, 0, 0, 0, 0 },
	{ "19", 1, 0, 0, 0, 0 },
	{ "1b 2200 64", 3, 1, 0x22, 0, 1 },
	{ "1d 1200 0078", 3, 1, 0x12, 0, 2 },
	{ "1e", 1, 0, 0, 0, 0 },
	{ "23 2200 0100 64 1200 0200 0078", 6, 6, 0, 0, 11 },
	{ "52 3200 0102", 3, 1, 0x32, 0, 2 },
};

#define N(a) (sizeof(a) / sizeof((a)[0]))

static bool is_packet(const struct good *g, size_t len)
{
	if (len < g->least)
		return false;
	return g->step == 0 ? len == g->least : (len - g->least) % g->step == 0;
}

/* a heap copy of exactly that size, so that a tool sees a read behind it */
static int decode_copy(const uint8_t *packet, size_t len, size_t mtu, struct att_pdu *ret)
{
	uint8_t *copy = malloc(len > 0 ? len : 1);
	int r;

	assert_non_null(copy);
	memcpy(copy, packet, len);
	r = att_decode(copy, len, mtu, ret);
	free(copy);
	return r;
}

static void test_every_kind_there_and_back(void **state)
{
	(void)state;
	for (size_t i = 0; i < N(GOOD); i++) {
		uint8_t packet[PACKET_MAX], again[PACKET_MAX];
		const size_t len = from_hex(GOOD[i].hex, packet);
		struct att_pdu p;
		size_t back = 0;

		assert_int_equal(att_decode(packet, len, len, &p), 0);
		assert_int_equal(p.opcode, packet[0]);
		assert_int_equal(p.handle, GOOD[i].handle);
		assert_int_equal(p.end, GOOD[i].end);
		assert_int_equal(p.len, GOOD[i].len);
		assert_int_equal(att_encode(&p, again, len, &back), 0);
		assert_int_equal(back, len);
		assert_memory_equal(again, packet, len);
		assert_int_equal(att_encode(&p, again, len - 1, &back), -EMSGSIZE);
	}
}

static void test_every_truncation(void **state)
{
	(void)state;
	for (size_t i = 0; i < N(GOOD); i++) {
		uint8_t packet[PACKET_MAX];
		const size_t full = from_hex(GOOD[i].hex, packet);

		for (size_t len = 0; len <= full; len++) {
			struct att_pdu p = { .opcode = 0xee };
			const int r = decode_copy(packet, len, ATT_MTU_MAX, &p);

			if (is_packet(&GOOD[i], len)) {
				assert_int_equal(r, 0);
			} else {
				assert_int_equal(r, -EMSGSIZE);
				assert_int_equal(p.opcode, 0xee);
			}
		}
		assert_int_equal(decode_copy(packet, full, full - 1, &(struct att_pdu){ 0 }),
				 -EMSGSIZE);
	}
}

static void test_bad_fields(void **state)
{
	static const struct {
		const char *hex;
		int r;
	} bad[] = {
		{ "0a 0000", -ERANGE }, /* handle 0 */
		{ "1d 0000 61", -ERANGE },
		{ "04 0000 ffff", -ERANGE },
		{ "08 0500 0400 0328", -ERANGE }, /* range upside down */
		{ "05 00 0400 0229", -ERANGE },   /* formats are 1 and 2 */
		{ "05 03 0400 0229", -ERANGE },
		{ "09 00 0400", -ERANGE },   /* items of nothing: an endless list */
		{ "09 01 04", -ERANGE },     /* no room for the handle */
		{ "11 03 040005", -ERANGE }, /* no room for both */
		{ "18 02", -ERANGE },
		{ "23 0000 0100 64", -ERANGE },
		{ "23 2200 0200 64", -EMSGSIZE }, /* longer than the packet */
		{ "23 2200 ffff 64", -EMSGSIZE },
		{ "13 00", -EMSGSIZE }, /* something behind the end */
		{ "1e 00", -EMSGSIZE },
		{ "0a 120000", -EMSGSIZE },
		{ "08 0100 ffff 032800", -EMSGSIZE }, /* a type of 24 bits */
		{ "09 07 0200 20 0300", -EMSGSIZE },  /* the item is longer than the packet */
		{ "20 0100 0200", -ENOMSG },          /* Read Multiple Variable */
		{ "d2 0100 00", -ENOMSG },            /* Signed Write */
		{ "00", -ENOMSG },
	};

	(void)state;
	for (size_t i = 0; i < N(bad); i++) {
		uint8_t packet[PACKET_MAX];
		const size_t len = from_hex(bad[i].hex, packet);
		struct att_pdu p = { .opcode = 0xee };

		assert_int_equal(decode_copy(packet, len, ATT_MTU_MAX, &p), bad[i].r);
		assert_int_equal(p.opcode, 0xee);
	}
}

static void test_values_end_at_512(void **state)
{
	static uint8_t packet[ATT_MTU_MAX] = { ATT_NOTIFICATION, 0x12, 0x00 };
	struct att_pdu p;

	(void)state;
	assert_int_equal(att_decode(packet, 3 + ATT_VALUE_MAX, ATT_MTU_MAX, &p), 0);
	assert_int_equal(p.len, ATT_VALUE_MAX);
	assert_int_equal(att_decode(packet, 4 + ATT_VALUE_MAX, ATT_MTU_MAX, &p), -ERANGE);
}

static void test_multiple(void **state)
{
	uint8_t packet[PACKET_MAX];
	const size_t len = from_hex("23 2200 0100 64 1200 0000 1300 0200 aabb", packet);
	struct att_pdu p;
	struct att_value v;
	size_t position = 0;

	(void)state;
	assert_int_equal(att_decode(packet, len, len, &p), 0);
	assert_true(att_multiple_next(&p, &position, &v));
	assert_int_equal(v.handle, 0x22);
	assert_int_equal(v.len, 1);
	assert_true(att_multiple_next(&p, &position, &v));
	assert_int_equal(v.len, 0);
	assert_true(att_multiple_next(&p, &position, &v));
	assert_int_equal(v.handle, 0x13);
	assert_int_equal(v.data[1], 0xbb);
	assert_false(att_multiple_next(&p, &position, &v));
}

static void test_uuids(void **state)
{
	const struct att_uuid battery = att_uuid_of16(0x2a19);
	struct att_uuid other = battery;

	(void)state;
	assert_int_equal(att_uuid_16(&battery), 0x2a19);
	assert_true(att_uuid_equal(&battery, &other));
	other.bytes[14] = 1; /* 32 bits */
	assert_int_equal(att_uuid_16(&other), 0);
	other = battery;
	other.bytes[0] ^= 1;
	assert_int_equal(att_uuid_16(&other), 0);
	assert_false(att_uuid_equal(&battery, &other));
}

static void test_names(void **state)
{
	(void)state;
	assert_string_equal(att_error_name(ATT_ERROR_INSUFFICIENT_AUTHENTICATION),
			    "insufficient authentication");
	assert_string_equal(att_error_name(ATT_ERROR_ATTRIBUTE_NOT_FOUND), "attribute not found");
	assert_string_equal(att_error_name(ATT_ERROR_VALUE_NOT_ALLOWED), "value not allowed");
	assert_string_equal(att_error_name(0x80), "application error");
	assert_string_equal(att_error_name(0xff), "out of range");
	assert_string_equal(att_error_name(0xa0), "reserved");
	for (unsigned int i = 0; i <= 0xff; i++)
		assert_non_null(att_error_name((uint8_t)i));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_kind_there_and_back),
		cmocka_unit_test(test_every_truncation),
		cmocka_unit_test(test_bad_fields),
		cmocka_unit_test(test_values_end_at_512),
		cmocka_unit_test(test_multiple),
		cmocka_unit_test(test_uuids),
		cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
