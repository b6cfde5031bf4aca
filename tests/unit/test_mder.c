/* links: protocols */
/* Lists, attributes and times of the encoding rules, and what they must refuse. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "protocols/ieee11073/mder.h"

static void test_list(void **state)
{
	const uint8_t good[] = { 0, 2, 0, 4, 1, 2, 3, 4, 9 };
	const uint8_t many[] = { 0, 3, 0, 4, 1, 2, 3, 4 };
	const uint8_t over[] = { 0, 2, 0, 5, 1, 2, 3, 4 };
	const uint8_t none[] = { 0, 0, 0, 1, 7 };
	const uint8_t empty[] = { 0, 0, 0, 0 };
	struct cursor c = cursor_of(good, sizeof(good)), items;
	unsigned int count = 99;

	(void)state;
	items = mder_list(&c, 2, &count);
	assert_int_equal(count, 2);
	assert_int_equal(cursor_left(&items), 4);
	assert_int_equal(cursor_left(&c), 1);
	c = cursor_of(many, sizeof(many));
	items = mder_list(&c, 2, &count);
	assert_int_equal(count, 0);
	assert_false(cursor_ok(&c) || cursor_ok(&items));
	c = cursor_of(over, sizeof(over));
	items = mder_list(&c, 2, &count);
	assert_false(cursor_ok(&c) || cursor_ok(&items));
	c = cursor_of(none, sizeof(none));
	(void)mder_list(&c, 2, &count);
	assert_false(cursor_ok(&c));
	c = cursor_of(empty, sizeof(empty));
	items = mder_list(&c, 2, &count);
	assert_true(cursor_at_end(&c) && cursor_at_end(&items));
	assert_int_equal(count, 0);
}

static void test_attributes(void **state)
{
	const uint8_t two[] = { 0x09, 0x2f, 0, 4, 0, 2, 0x4a, 4, 0x09, 0x96, 0, 2, 0x0f, 0x20 };
	struct cursor c = cursor_of(two, sizeof(two));
	struct mder_attribute a;

	(void)state;
	assert_true(mder_attributes_valid(c, 2));
	assert_false(mder_attributes_valid(c, 1));
	assert_false(mder_attributes_valid(c, 3));
	assert_true(mder_attribute(&c, &a));
	assert_int_equal(a.id, 0x092f);
	assert_int_equal(cursor_be32(&a.value), 0x00024a04);
	assert_true(mder_attribute(&c, &a));
	assert_int_equal(a.id, 0x0996);
	assert_false(mder_attribute(&c, &a));
	assert_int_equal(a.id, 0x0996);
}

static void test_time(void **state)
{
	const uint8_t good[] = { 0x20, 0x26, 0x11, 0x23, 0x01, 0x41, 0x16, 0x50 };
	static const struct {
		uint8_t at, byte;
	} bad[] = { { 0, 0x2a }, { 2, 0x13 }, { 2, 0x00 }, { 3, 0x31 }, { 3, 0x00 },
		    { 4, 0x24 }, { 5, 0x60 }, { 6, 0x60 }, { 7, 0xa0 } };
	uint8_t bytes[8];
	struct mder_time t = { 0 };
	struct cursor c = cursor_of(good, sizeof(good));
	struct writer w = writer_of(bytes, sizeof(bytes));

	(void)state;
	assert_int_equal(mder_read_time(&c, &t), 0);
	assert_int_equal(t.year, 2026);
	assert_int_equal(t.month, 11);
	assert_int_equal(t.day, 23);
	assert_int_equal(t.hour, 1);
	assert_int_equal(t.minute, 41);
	assert_int_equal(t.second, 16);
	assert_int_equal(t.hundredth, 50);
	mder_write_time(&w, &t);
	assert_true(writer_ok(&w));
	assert_memory_equal(bytes, good, sizeof(good));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		memcpy(bytes, good, sizeof(good));
		bytes[bad[i].at] = bad[i].byte;
		c = cursor_of(bytes, sizeof(bytes));
		assert_int_equal(mder_read_time(&c, &t), -ERANGE);
	}
	for (size_t n = 0; n < sizeof(good); n++) {
		c = cursor_of(good, n);
		assert_int_equal(mder_read_time(&c, &t), -EMSGSIZE);
	}
	assert_int_equal(t.year, 2026);
}

static void test_leap_days(void **state)
{
	const uint8_t leap[] = { 0x20, 0x24, 0x02, 0x29, 0, 0, 0, 0 };
	const uint8_t common[] = { 0x20, 0x26, 0x02, 0x29, 0, 0, 0, 0 };
	const uint8_t century[] = { 0x21, 0x00, 0x02, 0x29, 0, 0, 0, 0 };
	struct mder_time t;
	struct cursor c = cursor_of(leap, sizeof(leap));

	(void)state;
	assert_int_equal(mder_read_time(&c, &t), 0);
	c = cursor_of(common, sizeof(common));
	assert_int_equal(mder_read_time(&c, &t), -ERANGE);
	c = cursor_of(century, sizeof(century));
	assert_int_equal(mder_read_time(&c, &t), -ERANGE);
}

static void test_writing(void **state)
{
	const uint8_t expected[] = { 0, 1, 0, 5, 0, 3, 'a', 'b', 'c' };
	uint8_t bytes[9];
	struct writer w = writer_of(bytes, sizeof(bytes));
	size_t begun = mder_begin_list(&w, 1);

	(void)state;
	mder_write_any(&w, "abc", 3);
	mder_end(&w, begun);
	assert_true(writer_ok(&w));
	assert_int_equal(w.len, sizeof(expected));
	assert_memory_equal(bytes, expected, sizeof(expected));
	w = writer_of(bytes, 4);
	mder_write_any(&w, "abc", 3);
	assert_false(writer_ok(&w));
	w = writer_of(bytes, sizeof(bytes));
	(void)mder_begin_list(&w, 0x10000);
	assert_false(writer_ok(&w));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_list),    cmocka_unit_test(test_attributes),
		cmocka_unit_test(test_time),    cmocka_unit_test(test_leap_days),
		cmocka_unit_test(test_writing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
