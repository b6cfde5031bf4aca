/* links: protocols */
#include "protocols/bytes/cursor.h"
#include "protocols/bytes/writer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const uint8_t bytes[] = { 0x01, 0x82, 0x03, 0x84, 0x05, 0x86, 0x07, 0x88 };

static void test_reads(void **state)
{
	struct cursor c = cursor_of(bytes, sizeof(bytes));

	(void)state;
	assert_int_equal(cursor_u8(&c), 0x01);
	assert_int_equal(cursor_le16(&c), 0x0382);
	assert_int_equal(cursor_be16(&c), 0x8405);
	assert_int_equal(cursor_le24(&c), 0x880786);
	assert_true(cursor_at_end(&c));
	c = cursor_of(bytes, sizeof(bytes));
	assert_int_equal(cursor_be24(&c), 0x018203);
	assert_int_equal(cursor_le32(&c), 0x07860584);
	assert_int_equal(cursor_left(&c), 1);
	c = cursor_of(bytes + 1, 4);
	assert_int_equal(cursor_be32(&c), 0x82038405);
	c = cursor_of(bytes, 8);
	assert_true(cursor_le64(&c) == UINT64_C(0x8807860584038201));
	c = cursor_of(bytes, 8);
	assert_true(cursor_be64(&c) == UINT64_C(0x0182038405860788));
}

/* each reader, one byte short, on memory that ends where the data ends */
static void test_short_reads(void **state)
{
	(void)state;
	for (size_t width = 1; width <= 8; width++) {
		uint8_t *data = malloc(width);
		struct cursor c;

		assert_non_null(data);
		memset(data, 0xff, width);
		c = cursor_of(data, width - 1);
		assert_true(width != 1 || cursor_u8(&c) == 0);
		assert_true(width != 2 || (cursor_le16(&c) == 0 && cursor_be16(&c) == 0));
		assert_true(width != 3 || (cursor_le24(&c) == 0 && cursor_be24(&c) == 0));
		assert_true(width != 4 || (cursor_le32(&c) == 0 && cursor_be32(&c) == 0));
		assert_true(width != 8 || (cursor_le64(&c) == 0 && cursor_be64(&c) == 0));
		if (width <= 4 || width == 8)
			assert_false(cursor_ok(&c));
		free(data);
	}
}

static void test_failure_sticks(void **state)
{
	struct cursor c = cursor_of(bytes, 3);

	(void)state;
	assert_int_equal(cursor_le32(&c), 0);
	assert_false(cursor_ok(&c));
	assert_int_equal(cursor_u8(&c), 0); /* though a byte is there */
	assert_int_equal(cursor_left(&c), 0);
	assert_false(cursor_at_end(&c));
	assert_null(cursor_bytes(&c, 0));
}

static void test_bytes_and_skip(void **state)
{
	struct cursor c = cursor_of(bytes, sizeof(bytes));

	(void)state;
	assert_ptr_equal(cursor_bytes(&c, 2), bytes);
	cursor_skip(&c, 3);
	assert_ptr_equal(cursor_bytes(&c, 3), bytes + 5);
	assert_true(cursor_at_end(&c));
	assert_non_null(cursor_bytes(&c, 0));
	cursor_skip(&c, 1);
	assert_false(cursor_ok(&c));
	c = cursor_of(bytes, 2);
	assert_null(cursor_bytes(&c, SIZE_MAX));
}

static void test_nothing(void **state)
{
	struct cursor c = cursor_of(NULL, 0);

	(void)state;
	assert_true(cursor_at_end(&c));
	assert_non_null(cursor_bytes(&c, 0));
	assert_true(cursor_ok(&c));
	assert_int_equal(cursor_u8(&c), 0);
	assert_false(cursor_ok(&c));
}

static void test_sub(void **state)
{
	struct cursor c = cursor_of(bytes, sizeof(bytes)), sub = cursor_sub(&c, 3);

	(void)state;
	assert_int_equal(cursor_left(&sub), 3);
	assert_int_equal(cursor_be24(&sub), 0x018203);
	assert_int_equal(cursor_u8(&sub), 0); /* its own end, not the outer one */
	assert_false(cursor_ok(&sub));
	assert_true(cursor_ok(&c));
	assert_int_equal(cursor_u8(&c), 0x84);
	sub = cursor_sub(&c, 5);
	assert_false(cursor_ok(&sub));
	assert_false(cursor_ok(&c));
	assert_int_equal(cursor_left(&sub), 0);
}

static void test_writes(void **state)
{
	static const uint8_t want[] = { 0x01, 0x34, 0x12, 0x12, 0x34, 0x56, 0x34, 0x12, 0x12, 0x34,
					0x56, 0x78, 0x56, 0x34, 0x12, 0x12, 0x34, 0x56, 0x78, 0xef,
					0xcd, 0xab, 0x89, 0x67, 0x45, 0x23, 0x01, 0x01, 0x23, 0x45,
					0x67, 0x89, 0xab, 0xcd, 0xef, 0x61, 0x62 };
	uint8_t buffer[sizeof(want)];
	struct writer w = writer_of(buffer, sizeof(buffer));

	(void)state;
	writer_u8(&w, 0x01);
	writer_le16(&w, 0x1234);
	writer_be16(&w, 0x1234);
	writer_le24(&w, 0x123456);
	writer_be24(&w, 0x123456);
	writer_le32(&w, 0x12345678);
	writer_be32(&w, 0x12345678);
	writer_le64(&w, UINT64_C(0x0123456789abcdef));
	writer_be64(&w, UINT64_C(0x0123456789abcdef));
	writer_bytes(&w, "ab", 2);
	writer_bytes(&w, NULL, 0);
	assert_true(writer_ok(&w));
	assert_int_equal(w.len, sizeof(want));
	assert_memory_equal(buffer, want, 3);
	assert_memory_equal(buffer + 35, "ab", 2);
	assert_memory_equal(buffer + 3, "\x12\x34", 2);
	assert_memory_equal(buffer + 5, "\x56\x34\x12\x12\x34\x56", 6);
	assert_memory_equal(buffer + 11, want + 11, 24);
}

static void test_full_writer(void **state)
{
	uint8_t buffer[4] = { 0 };
	struct writer w = writer_of(buffer, 3);

	(void)state;
	writer_le32(&w, 0xffffffff);
	assert_false(writer_ok(&w));
	assert_int_equal(w.len, 0);
	writer_u8(&w, 1); /* would fit, but the failure sticks */
	assert_int_equal(w.len, 0);
	assert_memory_equal(buffer, "\0\0\0", 4);
	w = writer_of(buffer, 3);
	writer_bytes(&w, "abc", 3);
	assert_true(writer_ok(&w));
	writer_bytes(&w, "d", 1);
	assert_false(writer_ok(&w));
	assert_int_equal(buffer[3], 0);
	w = writer_of(NULL, 0);
	writer_bytes(&w, NULL, 0);
	assert_true(writer_ok(&w));
	writer_u8(&w, 0);
	assert_false(writer_ok(&w));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_reads),          cmocka_unit_test(test_short_reads),
		cmocka_unit_test(test_failure_sticks), cmocka_unit_test(test_bytes_and_skip),
		cmocka_unit_test(test_nothing),        cmocka_unit_test(test_sub),
		cmocka_unit_test(test_writes),         cmocka_unit_test(test_full_writer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
