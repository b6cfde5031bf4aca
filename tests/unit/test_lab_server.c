/* links: lab_peers */
/*
 * The ATT server of the simulated peripherals, PDU for PDU. Scripts: words of hex, '>' to the
 * server, '<' from it; a '>' without '<' behind it is met with silence.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/lab/radio/server.h"
#include "tests/unit/lab_world.h"

#define N(a)     (sizeof(a) / sizeof((a)[0]))
#define SENT_MAX 16

enum {
	MEASUREMENT = 1,
	CONTROL,
	SECRET,
	DYNAMIC,
	CALM
};

static const uint8_t LONG_UUID[16] = { 0xe4, 0xab, 0x90, 0x56, 0x0d, 0x00, 0x5c, 0x97,
				       0x6d, 0x1b, 0x34, 0x5a, 0x01, 0xf0, 0x3b, 0x23 };

/*  1 service 1800        2 char 02 -> 3 2a00 "Name"     4 service 1801   5 char 20 -> 6 2a05  7 ccc
 *  8 service LONG        9 char 3a -> 10 LONG measure  11 ccc
 * 12 char 0c -> 13 2a9f control                        14 char 0a -> 15 2a99 secret
 * 16 char 02 -> 17 2a19 dynamic                        18 char 02 -> 19 2a24, 30 bytes */
static const struct server_row ROWS[] = {
	{ .kind = SERVER_SERVICE, .uuid = 0x1800 },
	{ .kind = SERVER_CHARACTERISTIC,
	  .uuid = 0x2a00,
	  .properties = GATT_READ,
	  .value = "Name",
	  .len = 4 },
	{ .kind = SERVER_SERVICE, .uuid = 0x1801 },
	{ .kind = SERVER_CHARACTERISTIC, .uuid = 0x2a05, .properties = GATT_INDICATE, .id = CALM },
	{ .kind = SERVER_SERVICE, .uuid128 = LONG_UUID },
	{ .kind = SERVER_CHARACTERISTIC,
	  .uuid128 = LONG_UUID,
	  .properties = GATT_READ | GATT_WRITE | GATT_NOTIFY | GATT_INDICATE,
	  .id = MEASUREMENT,
	  .value = "\x01\x02",
	  .len = 2 },
	{ .kind = SERVER_CHARACTERISTIC,
	  .uuid = 0x2a9f,
	  .properties = GATT_WRITE | GATT_WRITE_COMMAND,
	  .id = CONTROL },
	{ .kind = SERVER_CHARACTERISTIC,
	  .uuid = 0x2a99,
	  .properties = GATT_READ | GATT_WRITE,
	  .id = SECRET,
	  .secure = true,
	  .value = "\x2a",
	  .len = 1 },
	{ .kind = SERVER_CHARACTERISTIC, .uuid = 0x2a19, .properties = GATT_READ, .id = DYNAMIC },
	{ .kind = SERVER_CHARACTERISTIC,
	  .uuid = 0x2a24,
	  .properties = GATT_READ,
	  .value = "abcdefghijklmnopqrstuvwxyz0123",
	  .len = 30 },
};

struct bench {
	struct server server;
	uint8_t sent[SENT_MAX][SERVER_MTU_MAX];
	size_t len[SENT_MAX], n_sent, taken;
	uint8_t written_id, wrote_id, ccc_id;
	uint16_t ccc;
	unsigned int confirmed;
};

static void on_send(void *context, const uint8_t *pdu, size_t len)
{
	struct bench *const b = context;

	assert_true(len <= b->server.mtu);
	assert_true(b->n_sent < SENT_MAX);
	memcpy(b->sent[b->n_sent], pdu, len);
	b->len[b->n_sent++] = len;
}

static uint8_t on_read(void *context, uint8_t id, struct writer *w)
{
	(void)context;
	if (id == DYNAMIC)
		writer_u8(w, 77);
	return ATT_OK;
}

static uint8_t on_write(void *context, uint8_t id, const uint8_t *data, size_t len)
{
	struct bench *const b = context;

	b->written_id = id;
	return id == CONTROL && len && data[0] == 0xee ? ATT_IN_PROGRESS : ATT_OK;
}

static void on_wrote(void *context, uint8_t id, const uint8_t *data, size_t len)
{
	struct bench *const b = context;

	(void)data;
	(void)len;
	/* the response has gone before */
	assert_true(b->n_sent > 0 || id == CONTROL);
	b->wrote_id = id;
}

static void on_subscribed(void *context, uint8_t id, uint16_t ccc)
{
	struct bench *const b = context;

	b->ccc_id = id;
	b->ccc = ccc;
}

static void on_confirmed(void *context)
{
	((struct bench *)context)->confirmed++;
}

static void bench_init(struct bench *b)
{
	const struct server_host host = { .context = b,
					  .send = on_send,
					  .read = on_read,
					  .write = on_write,
					  .wrote = on_wrote,
					  .subscribed = on_subscribed,
					  .confirmed = on_confirmed };

	memset(b, 0, sizeof(*b));
	assert_int_equal(server_init(&b->server, &host, ROWS, N(ROWS)), 0);
	b->server.own_mtu = 100;
	server_connected(&b->server);
}

/* `where` names the line when it fails */
static void play(struct bench *b, const char *const *lines, size_t n)
{
	uint8_t pdu[600];

	for (size_t i = 0; i < n; i++) {
		const size_t len = world_bytes(lines[i] + 1, pdu, sizeof(pdu));

		if (lines[i][0] == '>') {
			if (b->taken != b->n_sent)
				fail_msg("before %s: %s unexpected", lines[i],
					 world_hex(b->sent[b->taken], b->len[b->taken]));
			b->n_sent = b->taken = 0;
			server_receive(&b->server, pdu, len);
			continue;
		}
		if (b->taken == b->n_sent)
			fail_msg("%s expected, nothing sent", lines[i]);
		if (b->len[b->taken] != len || memcmp(b->sent[b->taken], pdu, len) != 0)
			fail_msg("%s expected, %s sent", lines[i],
				 world_hex(b->sent[b->taken], b->len[b->taken]));
		b->taken++;
	}
	if (b->taken != b->n_sent)
		fail_msg("%s unexpected", world_hex(b->sent[b->taken], b->len[b->taken]));
}

#define PLAY(b, ...)                                                \
	do {                                                        \
		static const char *const lines[] = { __VA_ARGS__ }; \
		play((b), lines, N(lines));                         \
	} while (0)

static void discovery(void **state)
{
	struct bench b;

	(void)state;
	bench_init(&b);
	PLAY(&b,
	     /* services: 16-bit ones together, the long one by itself */
	     ">10 0100 ffff 0028", "<11 06 0100 0300 0018 0400 0700 0118", ">10 0800 ffff 0028",
	     "<11 14 0800 1300 e4ab90560d005c976d1b345a01f03b23", ">10 1400 ffff 0028",
	     "<01 10 1400 0a",
	     /* the same type as 128 bits */
	     ">10 0100 0400 fb349b5f800000800010000000280000",
	     "<11 06 0100 0300 0018 0400 0700 0118",
	     /* not a group */
	     ">10 0100 ffff 0328", "<01 10 0100 10",
	     /* characteristics; entries of one length only */
	     ">08 0800 1300 0328", "<09 15 0900 3a 0a00 e4ab90560d005c976d1b345a01f03b23",
	     ">08 0a00 1300 0328", "<09 07 0c00 0c 0d00 9f2a 0e00 0a 0f00 992a 1000 02 1100 192a",
	     /* descriptors */
	     ">04 0b00 0b00", "<05 01 0b00 0229", ">04 0a00 0b00",
	     "<05 02 0a00 e4ab90560d005c976d1b345a01f03b23", ">04 1400 ffff", "<01 04 1400 0a",
	     /* a service by its UUID */
	     ">06 0100 ffff 0028 0118", "<07 0400 0700", ">06 0100 ffff 0028 0f18",
	     "<01 06 0100 0a");
}

static void ranges(void **state)
{
	struct bench b;

	(void)state;
	bench_init(&b);
	PLAY(&b, ">04 0000 ffff", "<01 04 0000 01", ">04 0500 0400", "<01 04 0500 01",
	     ">10 0000 0100 0028", "<01 10 0000 01", ">08 0200 0100 0328", "<01 08 0200 01",
	     ">06 0000 ffff 0028 0118", "<01 06 0000 01");
}

static void reading(void **state)
{
	struct bench b;

	(void)state;
	bench_init(&b);
	PLAY(&b, ">0a 0300", "<0b 4e616d65", ">0a 1100", "<0b 4d", ">08 0100 ffff 002a",
	     "<09 06 0300 4e616d65",
	     /* longer than the MTU of 23: the rest by blobs */
	     ">0a 1300", "<0b 6162636465666768696a6b6c6d6e6f70717273747576", ">0c 1300 1600",
	     "<0d 7778797a30313233", ">0c 1300 1e00", "<0d", ">0c 1300 1f00", "<01 0c 1300 07",
	     /* cut in a list, too */
	     ">08 0100 ffff 242a", "<09 15 1300 6162636465666768696a6b6c6d6e6f70717273",
	     /* no such handle, not readable */
	     ">0a 0000", "<01 0a 0000 01", ">0a 1400", "<01 0a 1400 01", ">0a 0d00",
	     "<01 0a 0d00 02", ">08 0100 ffff 9f2a", "<01 08 0d00 02", ">08 0100 ffff 012a",
	     "<01 08 0100 0a");
}

static void mtu(void **state)
{
	struct bench b;

	(void)state;
	bench_init(&b);
	PLAY(&b, ">02 0502", "<03 6400");
	assert_int_equal(b.server.mtu, 100);
	PLAY(&b, ">0a 1300", "<0b 6162636465666768696a6b6c6d6e6f707172737475767778797a30313233");
	PLAY(&b, ">02 0500", "<03 6400");
	assert_int_equal(b.server.mtu, 23);
	/* longer than the MTU: not taken */
	PLAY(&b, ">12 0a00 000102030405060708090a0b0c0d0e0f101112131415161718");
	assert_int_equal(b.server.bad_pdus, 1);
}

static void writing(void **state)
{
	struct bench b;

	(void)state;
	bench_init(&b);
	PLAY(&b, ">12 0a00 aabb", "<13", ">0a 0a00", "<0b aabb");
	assert_int_equal(b.written_id, MEASUREMENT);
	assert_int_equal(b.wrote_id, MEASUREMENT);
	PLAY(&b, ">12 0d00 01", "<13", ">12 0d00 ee", "<01 12 0d00 fe", ">12 0300 01",
	     "<01 12 0300 03", ">12 1400 01", "<01 12 1400 01", ">12 0900 01", "<01 12 0900 03");
	/* commands are never answered */
	b.written_id = 0;
	PLAY(&b, ">52 0d00 02", ">52 0a00 02", ">52 1400 02");
	assert_int_equal(b.written_id, CONTROL);
	PLAY(&b, ">0a 0a00", "<0b aabb");
}

static void prepared_writes(void **state)
{
	struct bench b;

	(void)state;
	bench_init(&b);
	PLAY(&b, ">16 0a00 0000 1122", "<17 0a00 0000 1122", ">16 0a00 0200 33", "<17 0a00 0200 33",
	     ">18 01", "<19", ">0a 0a00", "<0b 112233",
	     /* cancelled */
	     ">16 0a00 0000 44", "<17 0a00 0000 44", ">18 00", "<19", ">18 01", "<19", ">0a 0a00",
	     "<0b 112233",
	     /* a hole, two attributes, too long, not allowed */
	     ">16 0a00 0100 44", "<17 0a00 0100 44", ">18 01", "<01 18 0a00 07", ">16 0a00 0000 44",
	     "<17 0a00 0000 44", ">16 0d00 0000 44", "<17 0d00 0000 44", ">18 01", "<01 18 0d00 06",
	     ">16 0300 0000 44", "<01 16 0300 03", ">16 1400 0000 44", "<01 16 1400 01", ">18 02",
	     "<01 18 0000 04",
	     /* a subscription in parts */
	     ">16 0b00 0000 02", "<17 0b00 0000 02", ">16 0b00 0100 00", "<17 0b00 0100 00",
	     ">18 01", "<19");
	assert_int_equal(b.ccc_id, MEASUREMENT);
	assert_int_equal(b.ccc, 2);
	/* the queue is finite: 128 bytes, 5 each for the head */
	for (unsigned int i = 0; i < 21; i++)
		PLAY(&b, ">16 0a00 0000 44", "<17 0a00 0000 44");
	PLAY(&b, ">16 0a00 0000 44", "<01 16 0a00 09");
	/* and does not outlive the link */
	server_disconnected(&b.server);
	server_connected(&b.server);
	PLAY(&b, ">18 01", "<19");
}

static void security(void **state)
{
	struct bench b;

	(void)state;
	bench_init(&b);
	b.server.required = SERVER_ENCRYPTED;
	PLAY(&b, ">0a 0f00", "<01 0a 0f00 05", ">12 0f00 01", "<01 12 0f00 05", ">16 0f00 0000 01",
	     "<01 16 0f00 05", ">08 0100 ffff 992a", "<01 08 0f00 05", ">0a 0300", "<0b 4e616d65");
	b.server.has_key = true;
	PLAY(&b, ">0a 0f00", "<01 0a 0f00 0f");
	b.server.level = SERVER_ENCRYPTED;
	PLAY(&b, ">0a 0f00", "<0b 2a", ">12 0f00 2b", "<13");
	/* an unauthenticated key where another is asked for */
	b.server.required = SERVER_AUTHENTICATED;
	PLAY(&b, ">0a 0f00", "<01 0a 0f00 05");
	b.server.level = SERVER_AUTHENTICATED;
	PLAY(&b, ">0a 0f00", "<0b 2b");
	/* the level is the link's, not the bond's */
	server_disconnected(&b.server);
	server_connected(&b.server);
	PLAY(&b, ">0a 0f00", "<01 0a 0f00 0f");
}

static void subscriptions(void **state)
{
	struct bench b;

	(void)state;
	bench_init(&b);
	PLAY(&b, ">0a 0b00", "<0b 0000", ">12 0b00 0300", "<13", ">0a 0b00", "<0b 0300",
	     ">12 0b00 04", "<01 12 0b00 0d", ">12 0b00 0400", "<01 12 0b00 13", ">12 0b00 0001",
	     "<01 12 0b00 13", ">12 0700 0100", "<01 12 0700 13", ">12 0700 0200", "<13");
	assert_int_equal(b.ccc_id, CALM);
	assert_int_equal(server_ccc(&b.server, MEASUREMENT), 3);
	/* without a bond they end with the link, with one they stay */
	server_disconnected(&b.server);
	server_connected(&b.server);
	PLAY(&b, ">0a 0b00", "<0b 0000", ">12 0b00 0200", "<13");
	b.server.bonded = true;
	server_disconnected(&b.server);
	server_connected(&b.server);
	PLAY(&b, ">0a 0b00", "<0b 0200");
	server_forget(&b.server);
	PLAY(&b, ">0a 0b00", "<0b 0000");
}

static void indications(void **state)
{
	static const uint8_t VALUE[30] = { 1, 2, 3 };
	struct bench b;

	(void)state;
	bench_init(&b);
	assert_int_equal(server_handle(&b.server, MEASUREMENT), 10);
	assert_int_equal(server_handle(&b.server, 99), 0);
	assert_int_equal(server_indicate(&b.server, 10, VALUE, 3), 0);
	assert_int_equal(server_indicate(&b.server, 10, VALUE, 3), -EBUSY);
	/* notifications need no turn; both are cut to the MTU */
	assert_int_equal(server_notify(&b.server, 10, VALUE, 30), 0);
	assert_int_equal(b.len[1], 23);
	PLAY(&b, "<1d 0a00 010203", "<1b 0a00 0102030000000000000000000000000000000000");
	PLAY(&b, ">1e");
	assert_int_equal(b.confirmed, 1);
	/* a confirmation of nothing */
	PLAY(&b, ">1e");
	assert_int_equal(b.confirmed, 1);
	assert_int_equal(b.server.bad_pdus, 1);
	assert_int_equal(server_indicate(&b.server, 10, VALUE, 3), 0);
	PLAY(&b, "<1d 0a00 010203", ">1e 00");
	assert_int_equal(b.confirmed, 1);
	server_disconnected(&b.server);
	assert_int_equal(server_indicate(&b.server, 10, VALUE, 3), -ENOTCONN);
	assert_int_equal(server_notify(&b.server, 10, VALUE, 3), -ENOTCONN);
}

static void unknown_requests(void **state)
{
	struct bench b;

	(void)state;
	bench_init(&b);
	PLAY(&b, ">0e 0300 0300", "<01 0e 0000 06", ">20 0300", "<01 20 0000 06",
	     /* commands and what only a server may send: nothing */
	     ">d2 0a00 01", ">7f", ">1b 0300 01", ">1d 0300 01", ">23 00", ">0b 01",
	     ">01 0a 0300 05");
	assert_int_equal(b.server.bad_pdus, 9);
}

static void moved(void **state)
{
	uint8_t before[16], after[16];
	struct bench b;

	(void)state;
	bench_init(&b);
	server_hash(&b.server, before);
	server_move(&b.server, 0x20);
	server_hash(&b.server, after);
	assert_memory_not_equal(before, after, 16);
	PLAY(&b, ">10 0100 ffff 0028", "<11 06 0100 0300 0018 0400 0700 0118", ">10 0800 ffff 0028",
	     "<11 14 2800 3300 e4ab90560d005c976d1b345a01f03b23", ">08 2c00 2d00 0328",
	     "<09 07 2c00 0c 2d00 9f2a", ">0a 0a00", "<01 0a 0a00 01", ">0a 3100", "<0b 4d");
	server_move(&b.server, 0);
	server_hash(&b.server, after);
	assert_memory_equal(before, after, 16);
}

/* the database of part G appendix B, over the server's own table */
static void database_hash(void **state)
{
	static const struct server_row APPENDIX[] = {
		{ .kind = SERVER_SERVICE, .uuid = 0x1800 },
		{ .kind = SERVER_CHARACTERISTIC, .uuid = 0x2a00, .properties = 0x0a },
		{ .kind = SERVER_CHARACTERISTIC, .uuid = 0x2a01, .properties = 0x02 },
		{ .kind = SERVER_SERVICE, .uuid = 0x1801 },
		{ .kind = SERVER_CHARACTERISTIC, .uuid = 0x2a05, .properties = 0x20 },
		{ .kind = SERVER_CHARACTERISTIC, .uuid = 0x2b29, .properties = 0x0a },
		{ .kind = SERVER_CHARACTERISTIC, .uuid = 0x2b2a, .properties = 0x02 },
		{ .kind = SERVER_SERVICE, .uuid = 0x1808 },
		{ .kind = SERVER_DESCRIPTOR,
		  .uuid = 0x2802,
		  .value = "\x14\x00\x16\x00\x0f\x18",
		  .len = 6 },
		{ .kind = SERVER_CHARACTERISTIC, .uuid = 0x2a18, .properties = 0xa2 },
		{ .kind = SERVER_DESCRIPTOR, .uuid = 0x2900, .value = "\x00\x00", .len = 2 },
		{ .kind = SERVER_DESCRIPTOR, .uuid = 0x2801, .value = "\x0f\x18", .len = 2 },
		{ .kind = SERVER_CHARACTERISTIC, .uuid = 0x2a19, .properties = 0x02 },
	};
	const struct server_host host = { .send = on_send };
	uint8_t hash[16], expected[16];
	struct server s;

	(void)state;
	assert_int_equal(server_init(&s, &host, APPENDIX, N(APPENDIX)), 0);
	server_hash(&s, hash);
	assert_int_equal(world_bytes("90a9fbb9bb30888aac8bf5ec482dcaf1", expected, 16), 16);
	assert_memory_equal(hash, expected, 16);
}

static void too_much(void **state)
{
	static struct server_row rows[SERVER_ATTRS_MAX];
	const struct server_host host = { .send = on_send };
	struct server s;

	(void)state;
	for (size_t i = 0; i < N(rows); i++)
		rows[i] = (struct server_row){ .kind = SERVER_SERVICE, .uuid = 0x1800 };
	assert_int_equal(server_init(&s, &host, rows, N(rows)), -ENOSPC);
	rows[1] = (struct server_row){ .kind = SERVER_CHARACTERISTIC,
				       .uuid = 0x2a00,
				       .value = "",
				       .len = SERVER_VALUE_MAX + 1 };
	assert_int_equal(server_init(&s, &host, rows, 2), -EINVAL);
}

/* every request cut at every byte, and lengthened: an answer or silence, never more than one */
static void every_truncation(void **state)
{
	static const char *const REQUESTS[] = {
		"02 6400",
		"04 0100 ffff",
		"06 0100 ffff 0028 0018",
		"08 0100 ffff 0328",
		"0a 0300",
		"0c 1300 0200",
		"10 0100 ffff 0028",
		"12 0a00 0102",
		"16 0a00 0000 0102",
		"18 01",
		"1e",
		"52 0d00 01",
		"d2 0a00 01",
		"12 0b00 0300",
		"08 0100 ffff fb349b5f800000800010000003280000",
	};
	uint8_t pdu[64];

	(void)state;
	for (size_t i = 0; i < N(REQUESTS); i++) {
		const size_t full = world_bytes(REQUESTS[i], pdu, sizeof(pdu));

		for (size_t len = 0; len <= full + 3; len++) {
			struct bench b;
			uint8_t *const exact = malloc(len ? len : 1);

			assert_non_null(exact);
			bench_init(&b);
			/* from the heap, so that a sanitizer sees a read behind the end */
			memset(exact, 0, len ? len : 1);
			memcpy(exact, pdu, len < full ? len : full);
			server_receive(&b.server, exact, len);
			assert_true(b.n_sent <= 1);
			if (len && b.n_sent == 0)
				assert_true((exact[0] & 0x40) || exact[0] == 0x1e ||
					    len > SERVER_MTU_MIN);
			free(exact);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(discovery),   cmocka_unit_test(ranges),
		cmocka_unit_test(reading),     cmocka_unit_test(mtu),
		cmocka_unit_test(writing),     cmocka_unit_test(prepared_writes),
		cmocka_unit_test(security),    cmocka_unit_test(subscriptions),
		cmocka_unit_test(indications), cmocka_unit_test(unknown_requests),
		cmocka_unit_test(moved),       cmocka_unit_test(database_hash),
		cmocka_unit_test(too_much),    cmocka_unit_test(every_truncation),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
