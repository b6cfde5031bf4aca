/* links: protocols */
/* The wire format: the examples of its documentation, each length of a number, and full. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "protocols/bytes/protobuf.h"

#define SIZE 20000

static void expect(const struct writer *w, const char *bytes, size_t len)
{
	assert_true(writer_ok(w));
	assert_int_equal(w->len, len);
	assert_memory_equal(w->data, bytes, len);
}

/* "Encoding": Test1, Test2, a message in a message, Test5 */
static void test_documented(void **state)
{
	uint8_t data[64];
	struct writer w = writer_of(data, sizeof(data));
	size_t begun;

	(void)state;
	protobuf_uint(&w, 1, 150);
	expect(&w, "\x08\x96\x01", 3);
	w = writer_of(data, sizeof(data));
	protobuf_bytes(&w, 2, "testing", 7);
	expect(&w, "\x12\x07testing", 9);
	w = writer_of(data, sizeof(data));
	begun = protobuf_begin(&w, 3);
	protobuf_uint(&w, 1, 150);
	protobuf_end(&w, begun);
	expect(&w, "\x1a\x03\x08\x96\x01", 5);
	w = writer_of(data, sizeof(data));
	begun = protobuf_begin(&w, 6);
	protobuf_packed(&w, 3);
	protobuf_packed(&w, 270);
	protobuf_packed(&w, 86942);
	protobuf_end(&w, begun);
	expect(&w, "\x32\x06\x03\x8e\x02\x9e\xa7\x05", 8);
	/* nothing in it, which is not nothing */
	w = writer_of(data, sizeof(data));
	protobuf_bytes(&w, 2, NULL, 0);
	protobuf_uint(&w, 3, 0);
	expect(&w, "\x12\x00\x18\x00", 4);
}

static void test_signed(void **state)
{
	static const struct {
		int64_t v;
		const char *bytes;
		size_t len;
	} rows[] = {
		{ 0, "\x08\x00", 2 },
		{ -1, "\x08\x01", 2 },
		{ 1, "\x08\x02", 2 },
		{ -2, "\x08\x03", 2 },
		{ 63, "\x08\x7e", 2 },
		{ -64, "\x08\x7f", 2 },
		{ 64, "\x08\x80\x01", 3 },
		{ 2147483647, "\x08\xfe\xff\xff\xff\x0f", 6 },
		{ -2147483648, "\x08\xff\xff\xff\xff\x0f", 6 },
		{ INT64_MAX, "\x08\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01", 11 },
		{ INT64_MIN, "\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 11 },
	};
	uint8_t data[16];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct writer w = writer_of(data, sizeof(data));

		protobuf_sint(&w, 1, rows[i].v);
		expect(&w, rows[i].bytes, rows[i].len);
	}
}

static uint64_t read_varint(const uint8_t **at)
{
	uint64_t v = 0;
	unsigned int bits = 0;

	do {
		v |= (uint64_t)(**at & 0x7f) << bits;
		bits += 7;
	} while (*(*at)++ & 0x80);
	return v;
}

/* the last number of each length and the first of the next, behind tags of one byte and of two */
static void test_lengths(void **state)
{
	uint8_t data[16];

	(void)state;
	for (unsigned int bits = 7; bits < 64; bits += 7) {
		for (uint64_t less = 0; less < 2; less++) {
			const uint64_t v = (UINT64_C(1) << bits) - less;

			for (unsigned int field = 15; field < 17; field++) {
				struct writer w = writer_of(data, sizeof(data));
				const uint8_t *at = data;

				protobuf_uint(&w, field, v);
				assert_int_equal(w.len, field / 16 + 1 + bits / 7 + 1 - less);
				assert_int_equal(read_varint(&at), field << 3);
				assert_true(read_varint(&at) == v);
				assert_ptr_equal(at, data + w.len);
				/* it goes in whole or not at all */
				w = writer_of(data, w.len - 1);
				protobuf_uint(&w, field, v);
				assert_false(writer_ok(&w));
			}
		}
	}
}

/* a message whose length needs one byte, two and three: what is in it moves for that */
static void test_nested(void **state)
{
	static const size_t inner[] = { 0, 1, 127, 128, 16383, 16384 };
	static uint8_t data[SIZE], expected[SIZE];

	(void)state;
	for (size_t i = 0; i < SIZE; i++)
		expected[i] = (uint8_t)(i * 7);
	for (size_t i = 0; i < sizeof(inner) / sizeof(inner[0]); i++) {
		struct writer w = writer_of(data, sizeof(data));
		const size_t begun = protobuf_begin(&w, 5);
		const uint8_t *at = data + 1;
		size_t whole;

		writer_bytes(&w, expected, inner[i]);
		protobuf_end(&w, begun);
		assert_true(writer_ok(&w));
		assert_int_equal(data[0], 5 << 3 | PROTOBUF_LENGTH);
		assert_int_equal(read_varint(&at), inner[i]);
		assert_memory_equal(at, expected, inner[i]);
		assert_ptr_equal(at + inner[i], data + w.len);
		whole = w.len;
		if (inner[i] == 0)
			continue;
		/* and where there is a byte too little for that */
		w = writer_of(data, whole - 1);
		(void)protobuf_begin(&w, 5);
		writer_bytes(&w, expected, inner[i]);
		protobuf_end(&w, begun);
		assert_false(writer_ok(&w));
	}
}

static void test_full(void **state)
{
	uint8_t data[8];

	(void)state;
	for (size_t size = 0; size < 2; size++) {
		struct writer w = writer_of(data, size);

		protobuf_uint(&w, 1, 1);
		assert_false(writer_ok(&w));
		w = writer_of(data, size);
		protobuf_packed(&w, 300);
		assert_false(writer_ok(&w));
	}
	struct writer w = writer_of(data, sizeof(data));

	protobuf_bytes(&w, 1, "1234567", 7);
	assert_false(writer_ok(&w));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_documented), cmocka_unit_test(test_signed),
		cmocka_unit_test(test_lengths),    cmocka_unit_test(test_nested),
		cmocka_unit_test(test_full),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
