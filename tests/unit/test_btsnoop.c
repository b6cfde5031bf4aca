/* links: protocols */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/hci_fixture.h"

#define SIZE 4096

static void all_datalinks_give_the_same_packets(void **state)
{
	static const uint32_t datalinks[] = { 1001, 1002, 2001 };
	uint8_t file[SIZE];

	(void)state;
	for (size_t k = 0; k < 3; k++) {
		const size_t len = fixture_btsnoop(file, sizeof(file), datalinks[k]);
		struct packets p;

		assert_true(packets_recognise(file, len));
		assert_int_equal(packets_begin(&p, file, len), 0);
		for (size_t i = 0; i < FIXTURE_N; i++) {
			const struct fixture_packet *expected = &fixture_packets[i];
			struct packet packet;

			assert_int_equal(packets_next(&p, file + p.offset, (size_t)(len - p.offset),
						      &packet),
					 1);
			assert_int_equal(packet.type, expected->type);
			assert_int_equal(packet.direction,
					 expected->received ? PACKET_RECEIVED : PACKET_SENT);
			assert_int_equal(packet.at_us, fixture_time(i));
			assert_int_equal(packet.len, expected->len);
			assert_memory_equal(packet.data, expected->data, expected->len);
			assert_false(packet.cut);
		}
		assert_int_equal(p.offset, len);
		assert_int_equal(packets_next(&p, file + len, 0, &(struct packet){ 0 }), -ENODATA);
	}
}

static void bad_headers_are_named(void **state)
{
	uint8_t file[SIZE];
	char text[128];
	struct packets p;

	(void)state;
	(void)fixture_btsnoop(file, sizeof(file), 1002);
	assert_int_equal(packets_begin(&p, file, 12), -EBADMSG);
	file[11] = 2;
	assert_int_equal(packets_begin(&p, file, sizeof(file)), -EPROTONOSUPPORT);
	packets_explain(&p, text, sizeof(text));
	assert_string_equal(text, "file header: unknown btsnoop version 2");
	(void)fixture_btsnoop(file, sizeof(file), 1003);
	assert_int_equal(packets_begin(&p, file, sizeof(file)), -EPROTONOSUPPORT);
	packets_explain(&p, text, sizeof(text));
	assert_string_equal(text, "file header: unserved btsnoop datalink 1003");
	memset(file, 0, sizeof(file));
	assert_false(packets_recognise(file, sizeof(file)));
	assert_int_equal(packets_begin(&p, file, sizeof(file)), -EBADMSG);
}

/* the first record's header with one field changed */
static int first_record(size_t offset, uint32_t value, char text[128])
{
	uint8_t file[SIZE];
	const size_t len = fixture_btsnoop(file, sizeof(file), 1002);
	struct writer w = writer_of(file + 16 + offset, 4);
	struct packet packet;
	struct packets p;
	int r;

	writer_be32(&w, value);
	assert_int_equal(packets_begin(&p, file, len), 0);
	r = packets_next(&p, file + p.offset, (size_t)(len - p.offset), &packet);
	if (r < 0)
		packets_explain(&p, text, 128);
	if (r > 0)
		assert_int_equal(packet.cut, value > 28);
	return r;
}

static void bad_records_say_where(void **state)
{
	char text[128];

	(void)state;
	assert_int_equal(first_record(4, 70000, text), -EBADMSG);
	assert_string_equal(text, "record 1 at byte 0x10: length 70000 exceeds 65535");
	assert_int_equal(first_record(4, 29, text), -EBADMSG);
	assert_string_equal(text, "record 1 at byte 0x10: included length 29 exceeds 28");
	assert_int_equal(first_record(0, 200, text), 1); /* cut short by the tool, and says so */
	assert_int_equal(first_record(16, 0, text), -EBADMSG);
	assert_non_null(strstr(text, "before 1970"));
}

static void a_file_may_end_anywhere(void **state)
{
	uint8_t file[SIZE];
	const size_t len = fixture_btsnoop(file, sizeof(file), 1002);

	(void)state;
	for (size_t cut = 16; cut < len; cut++) {
		uint8_t *copy = malloc(cut); /* exactly, so that a sanitizer sees a read beyond */
		struct packet packet;
		struct packets p;
		int r = 1;

		assert_non_null(copy);
		memcpy(copy, file, cut);
		assert_int_equal(packets_begin(&p, copy, cut), 0);
		while (r > 0)
			r = packets_next(&p, copy + p.offset, (size_t)(cut - p.offset), &packet);
		assert_int_equal(r, p.offset == cut ? -ENODATA : -EBADMSG);
		free(copy);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_datalinks_give_the_same_packets),
		cmocka_unit_test(bad_headers_are_named),
		cmocka_unit_test(bad_records_say_where),
		cmocka_unit_test(a_file_may_end_anywhere),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
