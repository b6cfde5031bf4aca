/* links: protocols */
/*
 * Every APDU, byte for byte: the rows are byte strings seen between independent programs or written
 * by hand from the ASN.1, never from the encoder. All truncations, and what must be refused.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "protocols/ieee11073/apdu.h"

#define APDU_TEST_MAX 256
#define N(a)          (sizeof(a) / sizeof((a)[0]))

static size_t from_hex(const char *hex, uint8_t *ret)
{
	size_t n = 0;

	while (*hex) {
		const char pair[3] = { hex[0], hex[1], '\0' };

		if (*hex == ' ') {
			hex++;
			continue;
		}
		assert_true(n < APDU_TEST_MAX);
		ret[n++] = (uint8_t)strtoul(pair, NULL, 16);
		hex += 2;
	}
	return n;
}

#define AARQ                                                                                   \
	"E200 0032 80000000 0001 002A 5079 0026 80000000 8000 80000000 00000000 00800000 0008" \
	"0102030405060708 02BC 0001 01 00 0000 0000"
#define AARE                                                                     \
	"E300 002C 0003 5079 0026 80000000 8000 80000000 00000000 80000000 0008" \
	"1112131415161718 0000 0000 00 00 0000 0000"
#define REPORT                                                                                \
	"E700 003E 003C 1234 0101 0036 0000 FFFFFFFF 0D1D 002C F000 0000 0002 0024 0001 0012" \
	"0003 0006 007B 004C 0061 2026112301411650 0002 000A 0055 2026112301411650"

static const struct row {
	const char *hex;
	uint16_t choice, result, invoke_id, operation, handle, type, count;
	size_t len;
} ROWS[] = {
	{ AARQ, APDU_AARQ, 0, 0, 0, 0, 0, 0, 0 },
	{ AARE, APDU_AARE, 3, 0, 0, 0, 0, 0, 0 },
	{ "E300 0006 0004 0000 0000", APDU_AARE, 4, 0, 0, 0, 0, 0, 0 },
	{ "E400 0002 0001", APDU_RLRQ, 1, 0, 0, 0, 0, 0, 0 },
	{ "E500 0002 0000", APDU_RLRE, 0, 0, 0, 0, 0, 0, 0 },
	{ "E600 0002 0003", APDU_ABRT, 3, 0, 0, 0, 0, 0, 0 },
	{ REPORT, APDU_PRST, 0, 0x1234, 0x0101, 0, 0x0d1d, 0, 44 },
	{ "E700 0012 0010 1111 0100 000A 0000 FFFFFFFF 0D1D 0000", APDU_PRST, 0, 0x1111, 0x0100, 0,
	  0x0d1d, 0, 0 },
	{ "E700 0012 0010 1234 0201 000A 0000 FFFFFFFF 0D1D 0000", APDU_PRST, 0, 0x1234, 0x0201, 0,
	  0x0d1d, 0, 0 },
	{ "E700 0016 0014 0007 0201 000E 0000 FFFFFFFF 0D1C 0004 02BC 0000", APDU_PRST, 0, 7,
	  0x0201, 0, 0x0d1c, 0, 4 },
	{ "E700 000E 000C 0001 0103 0006 0000 0000 0000", APDU_PRST, 0, 1, 0x0103, 0, 0, 0, 0 },
	{ "E700 0012 0010 0001 0103 000A 0003 0002 0004 0A4D 0951", APDU_PRST, 0, 1, 0x0103, 3, 0,
	  2, 4 },
	{ "E700 0022 0020 0001 0203 001A 0000 0002 0014 0984 000A 0008 0102030405060708"
	  "0A44 0002 02BC",
	  APDU_PRST, 0, 1, 0x0203, 0, 0, 2, 20 },
	{ "E700 0016 0014 0002 0105 000E 0014 0001 0008 0000 0953 0002 0001", APDU_PRST, 0, 2,
	  0x0105, 20, 0, 1, 8 },
	{ "E700 0016 0014 0002 0104 000E 0014 0001 0008 0000 0953 0002 0001", APDU_PRST, 0, 2,
	  0x0104, 20, 0, 1, 8 },
	{ "E700 0014 0012 0002 0205 000C 0014 0001 0006 0953 0002 0001", APDU_PRST, 0, 2, 0x0205,
	  20, 0, 1, 6 },
	{ "E700 001A 0018 0003 0107 0012 0000 0C17 000C 2026112301411650 00000000", APDU_PRST, 0, 3,
	  0x0107, 0, 0x0c17, 0, 12 },
	{ "E700 0010 000E 0003 0106 0008 0003 0C1C 0002 0007", APDU_PRST, 0, 3, 0x0106, 3, 0x0c1c,
	  0, 2 },
	{ "E700 0012 0010 0003 0207 000A 0003 0C1C 0004 0007 0000", APDU_PRST, 0, 3, 0x0207, 3,
	  0x0c1c, 0, 4 },
	{ "E700 000C 000A 1234 0300 0004 0009 0000", APDU_PRST, 9, 0x1234, 0x0300, 0, 0, 0, 0 },
	{ "E700 000A 0008 1234 0400 0002 0002", APDU_PRST, 2, 0x1234, 0x0400, 0, 0, 0, 0 },
};

static void test_rows(void **state)
{
	uint8_t bytes[APDU_TEST_MAX], back[APDU_TEST_MAX];
	size_t len, n;
	struct apdu a;

	(void)state;
	for (size_t i = 0; i < N(ROWS); i++) {
		const struct row *row = &ROWS[i];

		len = from_hex(row->hex, bytes);
		assert_int_equal(apdu_size(bytes, len), len);
		assert_int_equal(apdu_decode(bytes, len, &a), 0);
		assert_int_equal(a.choice, row->choice);
		assert_int_equal(a.result, row->result);
		assert_int_equal(a.invoke_id, row->invoke_id);
		assert_int_equal(a.operation, row->operation);
		assert_int_equal(a.handle, row->handle);
		assert_int_equal(a.type, row->type);
		assert_int_equal(a.count, row->count);
		assert_int_equal(a.len, row->len);
		assert_int_equal(apdu_encode(&a, back, sizeof(back), &n), 0);
		assert_int_equal(n, len);
		assert_memory_equal(back, bytes, len);
		assert_int_equal(apdu_encode(&a, back, len - 1, &n), -EMSGSIZE);
	}
}

/* cut off anywhere: as it is, and with the lengths of the APDU and the octet string made to fit */
static void test_truncations(void **state)
{
	uint8_t bytes[APDU_TEST_MAX];
	struct apdu a, untouched;

	(void)state;
	memset(&untouched, 0xa5, sizeof(untouched));
	for (size_t i = 0; i < N(ROWS); i++) {
		size_t len = from_hex(ROWS[i].hex, bytes);

		a = untouched;
		for (size_t n = 0; n < len; n++)
			assert_int_equal(apdu_decode(bytes, n, &a), -EMSGSIZE);
		for (size_t n = len - 1; n >= APDU_HEADER; n--) {
			bytes[2] = (uint8_t)((n - 4) >> 8);
			bytes[3] = (uint8_t)(n - 4);
			if (bytes[0] == 0xe7 && n >= 6) {
				bytes[4] = (uint8_t)((n - 6) >> 8);
				bytes[5] = (uint8_t)(n - 6);
			}
			assert_int_equal(apdu_decode(bytes, n, &a), -EMSGSIZE);
		}
		assert_memory_equal(&a, &untouched, sizeof(a));
	}
}

static void test_refused(void **state)
{
	static const struct {
		const char *hex;
		int r;
	} rows[] = {
		{ "E700 0002 0000", -EMSGSIZE }, /* a presentation of nothing */
		{ "E800 0000", -ENOMSG },
		{ "E700 0008 0006 0001 0102 0000", -ENOMSG },
		{ "E400 0003 0001 00", -EMSGSIZE },
		/* an attribute list that says two and holds one */
		{ "E700 0014 0012 0002 0205 000C 0014 0002 0006 0953 0002 0001", -EMSGSIZE },
		/* identifiers: one and a half */
		{ "E700 0011 000F 0001 0103 0009 0003 0001 0003 0A4D 09", -EMSGSIZE },
		/* a system identity of seven bytes */
		{ "E300 002B 0003 5079 0025 80000000 8000 80000000 00000000 80000000 0007"
		  "11121314151617 0000 0000 00 00 0000 0000",
		  -EMSGSIZE },
	};
	uint8_t bytes[APDU_TEST_MAX];
	struct apdu a;

	(void)state;
	for (size_t i = 0; i < N(rows); i++) {
		size_t len = from_hex(rows[i].hex, bytes);

		assert_int_equal(apdu_decode(bytes, len, &a), rows[i].r);
	}
}

static void test_association(void **state)
{
	/* an unknown protocol before ours, and four bytes of a newer peer at the end of ours */
	static const char two[] =
		"E200 003A 80000000 0002 0032 FFFF 0000 5079 002A C0000000 8000 80000000 20000000"
		"00800000 0008 0102030405060708 4000 0001 01 00 0000 0000 DEADBEEF";
	static const uint8_t id[] = { 1, 2, 3, 4, 5, 6, 7, 8 };
	uint8_t bytes[APDU_TEST_MAX];
	struct apdu a;

	(void)state;
	assert_int_equal(apdu_decode(bytes, from_hex(two, bytes), &a), 0);
	assert_int_equal(a.n_protos, 2);
	assert_int_equal(a.proto, APDU_PROTO_20601);
	assert_int_equal(a.association.protocol_version, 0xc0000000);
	assert_int_equal(a.association.encoding_rules, APDU_RULES_MDER);
	assert_int_equal(a.association.functional_units, APDU_UNITS_TEST);
	assert_int_equal(a.association.system_type, APDU_SYSTEM_AGENT);
	assert_int_equal(a.association.config_id, 0x4000);
	assert_int_equal(a.association.init_agent_count, 1);
	assert_memory_equal(a.association.system_id, id, sizeof(id));
	assert_int_equal(a.extra, 4);
	assert_int_equal(apdu_decode(bytes, from_hex(AARQ, bytes), &a), 0);
	assert_int_equal(a.extra, 0);
	assert_int_equal(a.association.config_id, 0x02bc);
}

static void test_peek(void **state)
{
	uint8_t bytes[APDU_TEST_MAX];
	uint16_t invoke_id = 0, operation = 0;
	size_t len = from_hex("E700 0040 003E 1234 0101 0036", bytes);

	(void)state;
	assert_true(apdu_peek(bytes, len, &invoke_id, &operation));
	assert_int_equal(invoke_id, 0x1234);
	assert_int_equal(operation, APDU_EVENT_CONFIRMED);
	assert_false(apdu_peek(bytes, 9, &invoke_id, &operation));
	len = from_hex("E200 0040 003E 1234 0101 0036", bytes);
	assert_false(apdu_peek(bytes, len, &invoke_id, &operation));
	assert_true(apdu_wants_answer(APDU_GET) && !apdu_wants_answer(APDU_EVENT));
	assert_true(apdu_is_answer(APDU_REJECT) && !apdu_is_answer(APDU_GET));
	assert_false(apdu_is_answer(0x0500));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),    cmocka_unit_test(test_truncations),
		cmocka_unit_test(test_refused), cmocka_unit_test(test_association),
		cmocka_unit_test(test_peek),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
