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

/* ---- blocks by hand: type, body ---- */

#define SECTION   "\x4d\x3c\x2b\x1a\1\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff"
#define INTERFACE "\xc9\0\0\0\0\0\0\0" /* link type 201 */
#define ETHERNET  "\x01\0\0\0\0\0\0\0"
#define EVENT     "\0\0\0\1\4\x3e\1\0"
#define BODY(s)   s, sizeof(s) - 1

struct block {
	uint32_t type;
	const char *body;
	size_t len;
};

static size_t put_block(uint8_t *file, size_t at, const struct block *block)
{
	struct writer w = writer_of(file + at, SIZE - at);
	const uint32_t total = (uint32_t)block->len + 12;

	writer_le32(&w, block->type);
	writer_le32(&w, total);
	writer_bytes(&w, block->body, block->len);
	writer_le32(&w, total);
	assert_true(writer_ok(&w));
	return at + w.len;
}

static void bad_blocks_say_what(void **state)
{
	static const struct {
		struct block blocks[3];
		int r;
		const char *words;
	} rows[] = {
		{ { { 0x0a0d0d0a, BODY("\0\0\0\0\1\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff") } },
		  -EBADMSG,
		  "record 1 at byte 0x0: a section without byte order" },
		{ { { 0x0a0d0d0a,
		      BODY("\x4d\x3c\x2b\x1a\2\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff") } },
		  -EPROTONOSUPPORT,
		  "record 1 at byte 0x0: unknown pcapng version 2" },
		{ { { 0x0a0d0d0a, BODY(SECTION) }, { 3, BODY("\x08\0\0\0" EVENT) } },
		  -EBADMSG,
		  "record 2 at byte 0x1c: a packet of an undescribed interface" },
		{ { { 0x0a0d0d0a, BODY(SECTION) }, { 1, BODY(INTERFACE) }, { 3, BODY("") } },
		  -EBADMSG,
		  "record 3 at byte 0x30: a packet block is cut short" },
		{ { { 0x0a0d0d0a, BODY(SECTION) },
		    { 1, BODY(INTERFACE) },
		    { 6, BODY("\0\0\0\0\0\0\0\0\0\0\0\0\x08\0\0\0") } },
		  -EBADMSG,
		  "record 3 at byte 0x30: a packet block is cut short" },
		{ { { 0x0a0d0d0a, BODY(SECTION) }, { 1, BODY("\xc9\0\0\0") } },
		  -EBADMSG,
		  "record 2 at byte 0x1c: an interface description is cut short" },
		{ { { 0x0a0d0d0a, BODY(SECTION) },
		    { 1, BODY(INTERFACE "\x09\0\x08\0\x09\0\0\0") } },
		  -EBADMSG,
		  "record 2 at byte 0x1c: an option runs over its block" },
		/* 2^-60 seconds */
		{ { { 0x0a0d0d0a, BODY(SECTION) }, { 1, BODY(INTERFACE "\x09\0\1\0\xbc\0\0\0") } },
		  -EBADMSG,
		  "record 2 at byte 0x1c: a time resolution that does not exist" },
		{ { { 0x0a0d0d0a, BODY(SECTION) },
		    { 1, BODY(INTERFACE) },
		    { 6, BODY("\0\0\0\0\0\0\0\0\0\0\0\0\x08\0\0\0\4\0\0\0" EVENT) } },
		  -EBADMSG,
		  "record 3 at byte 0x30: included length 8 exceeds 4" },
		/* 2^63 seconds */
		{ { { 0x0a0d0d0a, BODY(SECTION) },
		    { 1, BODY(INTERFACE "\x09\0\1\0\0\0\0\0") },
		    { 6, BODY("\0\0\0\0\0\0\0\x80\0\0\0\0\x08\0\0\0\x08\0\0\0" EVENT) } },
		  -EBADMSG,
		  "record 3 at byte 0x38: the time stamp is after 9999" },
	};
	uint8_t file[SIZE];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		size_t len = 0;

		for (size_t k = 0; k < 3 && rows[i].blocks[k].body; k++)
			len = put_block(file, len, &rows[i].blocks[k]);
		explain(file, len, rows[i].r, rows[i].words);
	}
}

static void too_many_interfaces(void **state)
{
	static const struct block section = { 0x0a0d0d0a, BODY(SECTION) };
	static const struct block interface = { 1, BODY(INTERFACE) };
	uint8_t file[SIZE];
	size_t len = put_block(file, 0, &section);
	struct packet packet;
	struct packets p;
	int r;

	(void)state;
	for (int i = 0; i < PACKETS_INTERFACES_MAX; i++)
		len = put_block(file, len, &interface);
	r = packets_begin(&p, file, len);
	while (r >= 0)
		r = packets_next(&p, file + p.offset, len - p.offset, &packet);
	assert_int_equal(r, -ENODATA);
	len = put_block(file, len, &interface);
	explain(file, len, -EBADMSG, "record 18 at byte 0x15c: number of interfaces 17 exceeds 16");
}

/* A clock of 1024 ticks a second that began 100 s later; a simple packet has the time of the last;
 * what is no Bluetooth is stepped over, and keeps its number. */
static void times_of_blocks(void **state)
{
	static const struct block blocks[] = {
		{ 0x0a0d0d0a, BODY(SECTION) },
		{ 1, BODY(INTERFACE "\x09\0\1\0\x8a\0\0\0\x0e\0\x08\0\x64\0\0\0\0\0\0\0") },
		{ 1, BODY(ETHERNET) },
		{ 6, BODY("\1\0\0\0\0\0\0\0\0\x10\0\0\x08\0\0\0\x08\0\0\0" EVENT) },
		{ 6, BODY("\0\0\0\0\0\0\0\0\0\x0a\0\0\x08\0\0\0\x08\0\0\0" EVENT) },
		{ 3, BODY("\x08\0\0\0" EVENT) },
	};
	uint8_t file[SIZE];
	struct packet packet;
	struct packets p;
	size_t len = 0, n = 0;
	int r;

	(void)state;
	for (size_t i = 0; i < sizeof(blocks) / sizeof(blocks[0]); i++)
		len = put_block(file, len, &blocks[i]);
	assert_int_equal(packets_begin(&p, file, len), 0);
	while ((r = packets_next(&p, file + p.offset, len - p.offset, &packet)) >= 0) {
		if (r == 0)
			continue;
		n++;
		assert_int_equal(packet.at_us, 102500000);
		assert_int_equal(packet.type, PACKET_EVENT);
		assert_int_equal(packet.len, 3);
	}
	assert_int_equal(r, -ENODATA);
	assert_int_equal(n, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pcap_in_all_its_forms),
		cmocka_unit_test(pcapng_in_both_byte_orders),
		cmocka_unit_test(bad_pcap_says_where),
		cmocka_unit_test(bad_pcapng_says_where),
		cmocka_unit_test(files_may_end_anywhere),
		cmocka_unit_test(bad_blocks_say_what),
		cmocka_unit_test(too_many_interfaces),
		cmocka_unit_test(times_of_blocks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
