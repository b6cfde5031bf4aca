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

/* Every packet of the fixture, and then the end. directed: the format knows who sent what. */
static void expect_fixture(const uint8_t *file, size_t len, bool directed)
{
	struct packet packet;
	struct packets p;
	size_t i = 0;
	int r;

	assert_true(packets_recognise(file, len));
	assert_int_equal(packets_begin(&p, file, len), 0);
	while ((r = packets_next(&p, file + p.offset, len - p.offset, &packet)) >= 0) {
		const struct fixture_packet *expected = &fixture_packets[i];

		if (r == 0)
			continue;
		assert_true(i < FIXTURE_N);
		assert_int_equal(packet.type, expected->type);
		if (directed || expected->type == PACKET_EVENT)
			assert_int_equal(packet.direction,
					 expected->received ? PACKET_RECEIVED : PACKET_SENT);
		else
			assert_int_equal(packet.direction, PACKET_DIRECTION_UNKNOWN);
		assert_int_equal(packet.at_us, fixture_time(i));
		assert_int_equal(packet.len, expected->len);
		assert_memory_equal(packet.data, expected->data, expected->len);
		i++;
	}
	assert_int_equal(r, -ENODATA);
	assert_int_equal(i, FIXTURE_N);
}

static void pcap_in_all_its_forms(void **state)
{
	static const uint32_t linktypes[] = { 187, 201, 254 };
	uint8_t file[SIZE];

	(void)state;
	for (size_t k = 0; k < 12; k++) {
		const uint32_t linktype = linktypes[k % 3];
		const size_t len = fixture_pcap(file, sizeof(file), linktype, k / 3 % 2, k / 6);

		expect_fixture(file, len, linktype != 187);
	}
}

static void pcapng_in_both_byte_orders(void **state)
{
	uint8_t file[SIZE];

	(void)state;
	expect_fixture(file, fixture_pcapng(file, sizeof(file), 201, false), true);
	expect_fixture(file, fixture_pcapng(file, sizeof(file), 254, true), true);
	expect_fixture(file, fixture_pcapng(file, sizeof(file), 187, true), false);
}

static void explain(const uint8_t *file, size_t len, int expected, const char *words)
{
	struct packet packet;
	struct packets p;
	char text[128];
	int r = packets_begin(&p, file, len);

	while (r >= 0)
		r = packets_next(&p, file + p.offset, len - p.offset, &packet);
	assert_int_equal(r, expected);
	packets_explain(&p, text, sizeof(text));
	assert_string_equal(text, words);
}

static void put_le32(uint8_t *file, size_t offset, uint32_t value)
{
	struct writer w = writer_of(file + offset, 4);

	writer_le32(&w, value);
}

static void bad_pcap_says_where(void **state)
{
	uint8_t file[SIZE];
	size_t len = fixture_pcap(file, sizeof(file), 1, false, false);

	(void)state;
	explain(file, len, -EPROTONOSUPPORT,
		"file header: not a Bluetooth HCI capture: link type 1");
	len = fixture_pcap(file, sizeof(file), 201, false, false);
	put_le32(file, 24 + 8, 70000);
	explain(file, len, -EBADMSG, "record 1 at byte 0x18: length 70000 exceeds 65535");
	len = fixture_pcap(file, sizeof(file), 201, false, false);
	put_le32(file, 24 + 4, 1000000);
	explain(file, len, -EBADMSG,
		"record 1 at byte 0x18: fraction of a second 1000000 exceeds 999999");
	len = fixture_pcap(file, sizeof(file), 201, false, false);
	explain(file, len - 1, -EBADMSG,
		"record 14 at byte 0x1ee: the file ends inside a record: length 11 exceeds 10");
	explain(file, 24 + 7, -EBADMSG,
		"record 1 at byte 0x18: the file ends inside a record header");
}

static void bad_pcapng_says_where(void **state)
{
	uint8_t file[SIZE];
	size_t len = fixture_pcapng(file, sizeof(file), 201, false);

	(void)state;
	put_le32(file, 28 + 4, 30);
	explain(file, len, -EBADMSG, "record 2 at byte 0x1c: a block of impossible length 30");
	len = fixture_pcapng(file, sizeof(file), 201, false);
	put_le32(file, 28 + 28, 36);
	explain(file, len, -EBADMSG, "record 2 at byte 0x1c: a block's two lengths differ");
	len = fixture_pcapng(file, sizeof(file), 201, false);
	put_le32(file, 76 + 8, 7); /* interface of the first packet */
	explain(file, len, -EBADMSG,
		"record 4 at byte 0x4c: a packet of an undescribed interface 7");
	len = fixture_pcapng(file, sizeof(file), 201, false);
	put_le32(file, 76 + 20, 4000);
	put_le32(file, 76 + 24, 4000);
	explain(file, len, -EBADMSG, "record 4 at byte 0x4c: length 4000 exceeds 32");
	len = fixture_pcapng(file, sizeof(file), 201, false);
	file[28 + 20] = 60; /* 10^-60 seconds */
	explain(file, len, -EBADMSG,
		"record 2 at byte 0x1c: a time resolution that does not exist");
}

static void files_may_end_anywhere(void **state)
{
	uint8_t file[SIZE];
	const size_t len = fixture_pcapng(file, sizeof(file), 254, false);

	(void)state;
	for (size_t cut = 28; cut < len; cut++) {
		uint8_t *copy = malloc(cut); /* exactly, so that a sanitizer sees a read beyond */
		struct packet packet;
		struct packets p;
		int r;

		assert_non_null(copy);
		memcpy(copy, file, cut);
		r = packets_begin(&p, copy, cut);
		while (r >= 0)
			r = packets_next(&p, copy + p.offset, cut - p.offset, &packet);
		assert_int_equal(r, p.offset == cut ? -ENODATA : -EBADMSG);
		free(copy);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pcap_in_all_its_forms),
		cmocka_unit_test(pcapng_in_both_byte_orders),
		cmocka_unit_test(bad_pcap_says_where),
		cmocka_unit_test(bad_pcapng_says_where),
		cmocka_unit_test(files_may_end_anywhere),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
