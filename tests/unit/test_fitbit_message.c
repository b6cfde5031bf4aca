/* links: protocols */
/* Messages and packets of Fitbit trackers: every kind there and back, and dumps on their way. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "protocols/bytes/crc.h"
#include "protocols/fitbit/advert.h"
#include "protocols/fitbit/dump.h"
#include "protocols/fitbit/live.h"
#include "protocols/fitbit/message.h"

#define N(a) (sizeof(a) / sizeof((a)[0]))
#define B(...)              \
	{                   \
		__VA_ARGS__ \
	}

struct row {
	uint8_t len;
	uint8_t bytes[16];
	struct fitbit_control want;
};

static const struct row rows[] = {
	{ 1, B(0xc0), { .kind = FITBIT_FILLER } },
	{ 2, B(0xc0, 0x01), { .kind = FITBIT_CLOSE } },
	{ 2, B(0xc0, 0x02), { .kind = FITBIT_DONE } },
	{ 4, B(0xc0, 0x03, 0x15, 0x20), { .kind = FITBIT_REFUSED, .error = 0x2015 } },
	{ 6,
	  B(0xc0, 0x04, 0x28, 0xf1, 0x53, 0x65),
	  { .kind = FITBIT_SET_TIME, .time = 1700000040 } },
	{ 2, B(0xc0, 0x06), { .kind = FITBIT_BLINK } },
	{ 12,
	  B(0xc0, 0x0a, 0x0a, 0, 6, 0, 6, 0, 0, 0, 0xc8, 0),
	  { .kind = FITBIT_AIRLINK_OPEN, .airlink = { 10, 6, 6, 0, 200, false, 0 } } },
	{ 13,
	  B(0xc0, 0x0a, 0x0a, 0, 8, 0, 16, 0, 0, 0, 0xc8, 0, 1),
	  { .kind = FITBIT_AIRLINK_OPEN, .airlink = { 10, 8, 16, 0, 200, true, 1 } } },
	{ 2, B(0xc0, 0x0b), { .kind = FITBIT_PIPE_SWITCHED } },
	{ 3, B(0xc0, 0x10, 0x0d), { .kind = FITBIT_DUMP_REQUEST, .type = FITBIT_MEGADUMP } },
	{ 12,
	  B(0xc0, 0x14, 0x0c, 1, 0, 0, 1, 2, 3, 4, 5, 6),
	  { .kind = FITBIT_AIRLINK_UP, .unknown = { 0x0c, 1 }, .id = { 1, 2, 3, 4, 5, 6 } } },
	{ 14,
	  B(0xc0, 0x14, 0x0c, 0x0a, 0, 0, 1, 2, 3, 4, 5, 6, 0x17, 0),
	  { .kind = FITBIT_AIRLINK_UP,
	    .unknown = { 0x0c, 0x0a },
	    .id = { 1, 2, 3, 4, 5, 6 },
	    .has_mtu = true,
	    .mtu = 23 } },
	{ 3, B(0xc0, 0x41, 0x0d), { .kind = FITBIT_DUMP_BEGINS, .type = FITBIT_MEGADUMP } },
	{ 7,
	  B(0xc0, 0x41, 0x0d, 4, 3, 2, 1),
	  { .kind = FITBIT_DUMP_BEGINS, .type = 0x0d, .has_length = true, .length = 0x01020304 } },
	{ 9, /* of a published trace: 359 bytes */
	  B(0xc0, 0x42, 0x0d, 0x0c, 0x37, 0x67, 1, 0, 0),
	  { .kind = FITBIT_DUMP_ENDS,
	    .type = 0x0d,
	    .crc = 0x370c,
	    .has_length = true,
	    .length = 359 } },
	{ 10,
	  B(0xc0, 0x50, 1, 2, 3, 4, 0x78, 0x56, 0x34, 0x12),
	  { .kind = FITBIT_LOGIN, .random = { 1, 2, 3, 4 }, .nonce = 0x12345678 } },
	{ 14,
	  B(0xc0, 0x51, 8, 7, 6, 5, 4, 3, 2, 1, 0x78, 0x56, 0x34, 0x12),
	  { .kind = FITBIT_CHALLENGE,
	    .proof = { 8, 7, 6, 5, 4, 3, 2, 1 },
	    .challenge = { 0x78, 0x56, 0x34, 0x12 } } },
	{ 10,
	  B(0xc0, 0x52, 8, 7, 6, 5, 4, 3, 2, 1),
	  { .kind = FITBIT_RESPONSE, .proof = { 8, 7, 6, 5, 4, 3, 2, 1 } } },
};

static void same(const struct fitbit_control *a, const struct fitbit_control *b)
{
	assert_int_equal(a->kind, b->kind);
	assert_int_equal(a->type, b->type);
	assert_int_equal(a->error, b->error);
	assert_int_equal(a->crc, b->crc);
	assert_int_equal(a->has_length, b->has_length);
	assert_int_equal(a->length, b->length);
	assert_int_equal(a->time, b->time);
	assert_int_equal(a->airlink.value, b->airlink.value);
	assert_int_equal(a->airlink.interval_min, b->airlink.interval_min);
	assert_int_equal(a->airlink.interval_max, b->airlink.interval_max);
	assert_int_equal(a->airlink.latency, b->airlink.latency);
	assert_int_equal(a->airlink.supervision, b->airlink.supervision);
	assert_int_equal(a->airlink.has_last, b->airlink.has_last);
	assert_int_equal(a->airlink.last, b->airlink.last);
	assert_memory_equal(a->unknown, b->unknown, sizeof(a->unknown));
	assert_memory_equal(a->id, b->id, sizeof(a->id));
	assert_int_equal(a->has_mtu, b->has_mtu);
	assert_int_equal(a->mtu, b->mtu);
	assert_memory_equal(a->random, b->random, sizeof(a->random));
	assert_int_equal(a->nonce, b->nonce);
	assert_memory_equal(a->proof, b->proof, sizeof(a->proof));
	assert_memory_equal(a->challenge, b->challenge, sizeof(a->challenge));
}

static void test_control(void **state)
{
	(void)state;
	for (size_t i = 0; i < N(rows); i++) {
		struct fitbit_control m;
		uint8_t buf[16];
		struct writer w = writer_of(buf, sizeof(buf));

		assert_int_equal(fitbit_control_decode(rows[i].bytes, rows[i].len, &m), 0);
		same(&m, &rows[i].want);
		assert_int_equal(fitbit_control_encode(&m, &w), 0);
		assert_int_equal(w.len, rows[i].len);
		assert_memory_equal(buf, rows[i].bytes, rows[i].len);
		for (size_t room = 0; room < rows[i].len; room++) {
			w = writer_of(buf, room);
			assert_int_equal(fitbit_control_encode(&m, &w), -ENOSPC);
			assert_int_equal(w.len, 0);
		}
	}
}

/* any other length of a kind is refused, and the result stays as it was */
static void test_control_length(void **state)
{
	(void)state;
	for (size_t i = 1; i < N(rows); i++)
		for (size_t len = 2; len <= 20; len++) {
			uint8_t data[20] = { 0 };
			struct fitbit_control m = { .error = 0xabcd };
			bool known = false;

			memcpy(data, rows[i].bytes, rows[i].len);
			for (size_t k = 0; k < N(rows); k++)
				known |= rows[k].want.kind == rows[i].want.kind &&
					 rows[k].len == len;
			if (known)
				continue;
			assert_int_equal(fitbit_control_decode(data, len, &m), -EMSGSIZE);
			assert_int_equal(m.error, 0xabcd);
		}
}

static void test_control_unknown(void **state)
{
	struct fitbit_control m;
	uint8_t buf[20] = { 0 };
	struct writer w = writer_of(buf, sizeof(buf));

	(void)state;
	assert_int_equal(fitbit_control_decode(buf, 0, &m), -EMSGSIZE);
	assert_int_equal(fitbit_control_decode((const uint8_t[]){ 0xdb, 0xdc }, 2, &m), -ENOMSG);
	/* reading memory, uploads, and what only altered firmware says */
	for (size_t i = 0; i < 4; i++) {
		static const uint8_t commands[] = { 0x11, 0x24, 0x43, 0x00 };
		const uint8_t data[11] = { 0xc0, commands[i] };

		assert_int_equal(fitbit_control_decode(data, sizeof(data), &m), -ENOMSG);
	}
	assert_int_equal(fitbit_control_decode((const uint8_t[]){ 0xc0, 0x12, 4, 0, 0 }, 5, &m), 0);
	assert_int_equal(m.kind, FITBIT_UPLOAD_ACCEPTED);
	assert_int_equal(fitbit_control_encode(&m, &w), -EINVAL);
	m.kind = 0;
	assert_int_equal(fitbit_control_encode(&m, &w), -EINVAL);
	m.kind = FITBIT_RESPONSE + 1;
	assert_int_equal(fitbit_control_encode(&m, &w), -EINVAL);
}

static void test_errors(void **state)
{
	unsigned int known = 0;

	(void)state;
	for (unsigned int e = 0; e <= UINT16_MAX; e++)
		known += fitbit_error_name((uint16_t)e) ? 1U : 0U;
	assert_int_equal(known, 1 + 11 + 24);
	assert_string_equal(fitbit_error_name(0x2015), "authentication failed");
	assert_string_equal(fitbit_error_name(0x2016), "authentication required");
	assert_string_equal(fitbit_error_name(0x100a), "invalid state");
	assert_null(fitbit_error_name(0x2018));
}

/* ---- packets ---- */

static void test_packet(void **state)
{
	static const struct {
		int r;
		uint8_t len, n;
		uint8_t data[20], want[20];
	} packets[] = {
		{ 0, 1, 1, B(0x2c), B(0x2c) },
		{ 0, 2, 1, B(0xdb, 0xdc), B(0xc0) },
		{ 0, 2, 1, B(0xdb, 0xdd), B(0xdb) },
		/* only the first byte is escaped: the rest may look like it */
		{ 0, 6, 5, B(0xdb, 0xdc, 0xdb, 0xdc, 0xdd, 0xc0), B(0xc0, 0xdb, 0xdc, 0xdd, 0xc0) },
		{ 0, 4, 4, B(0x01, 0xdb, 0xdc, 0xc0), B(0x01, 0xdb, 0xdc, 0xc0) },
		{ -EBADMSG, 1, 0, B(0xdb), B(0) },
		{ -EBADMSG, 2, 0, B(0xdb, 0xdb), B(0) },
		{ -EBADMSG, 2, 0, B(0xdb, 0xc0), B(0) },
		{ -ENOMSG, 1, 0, B(0xc0), B(0) },
		{ -EMSGSIZE, 0, 0, B(0), B(0) },
		{ -EMSGSIZE, 21, 0, B(1), B(0) },
	};

	(void)state;
	for (size_t i = 0; i < N(packets); i++) {
		uint8_t data[21] = { 0 }, buf[20];
		struct writer w = writer_of(buf, sizeof(buf));

		memcpy(data, packets[i].data, 20);
		assert_int_equal(fitbit_packet_decode(data, packets[i].len, &w), packets[i].r);
		assert_int_equal(w.len, packets[i].n);
		assert_memory_equal(buf, packets[i].want, packets[i].n);
		if (packets[i].r == 0) {
			w = writer_of(buf, packets[i].n - 1U);
			assert_int_equal(fitbit_packet_decode(data, packets[i].len, &w), -ENOSPC);
			assert_int_equal(w.len, 0);
			assert_true(writer_ok(&w));
		}
	}
}

/* ---- dumps on their way ---- */

struct wire {
	uint8_t packets[40][FITBIT_PACKET_MAX];
	size_t len[40];
	size_t n;
};

static void add(struct wire *wire, const uint8_t *data, size_t len)
{
	assert_true(wire->n < N(wire->len) && len <= FITBIT_PACKET_MAX);
	memcpy(wire->packets[wire->n], data, len);
	wire->len[wire->n++] = len;
}

/* The rules written again, without the encoder of the library. */
static struct wire wire_of(const uint8_t *data, size_t len)
{
	const uint16_t crc = crc_16_xmodem(data, len);
	const uint8_t end[] = { 0xc0,
				0x42,
				0x0d,
				(uint8_t)crc,
				(uint8_t)(crc >> 8),
				(uint8_t)len,
				(uint8_t)(len >> 8),
				0,
				0 };
	struct wire wire = { 0 };

	add(&wire, (const uint8_t[]){ 0xc0 }, 1);
	add(&wire, (const uint8_t[]){ 0xc0, 0x41, 0x0d }, 3);
	for (size_t i = 0; i < len;) {
		uint8_t packet[FITBIT_PACKET_MAX] = { data[i] };
		size_t n = 1;

		if (data[i] == 0xc0 || data[i] == 0xdb) {
			packet[0] = 0xdb;
			packet[n++] = data[i] == 0xc0 ? 0xdc : 0xdd;
		}
		for (i++; i < len && n < FITBIT_PACKET_MAX;)
			packet[n++] = data[i++];
		add(&wire, packet, n);
	}
	add(&wire, end, sizeof(end));
	return wire;
}

/* data of which many packets begin with c0 or db */
static size_t dump_of(uint8_t *data, size_t len)
{
	for (size_t i = 0; i < len; i++)
		data[i] = i % 3 == 0 ? 0xc0 : i % 3 == 1 ? 0xdb : (uint8_t)i;
	return len;
}

static int take(struct fitbit_transfer *t, const struct wire *wire, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		int r = fitbit_transfer_packet(t, wire->packets[i], wire->len[i]);

		if (r < 0)
			return r;
	}
	return 0;
}

static void test_transfer(void **state)
{
	uint8_t data[300], buf[300];
	const size_t len = dump_of(data, sizeof(data));
	const struct wire wire = wire_of(data, len);

	(void)state;
	for (size_t n = 0; n <= wire.n; n++) {
		struct writer w = writer_of(buf, sizeof(buf));
		struct fitbit_transfer t = fitbit_transfer_of(&w, FITBIT_MEGADUMP);

		assert_int_equal(take(&t, &wire, n), 0);
		assert_int_equal(t.complete, n == wire.n);
		if (!t.complete)
			continue;
		assert_int_equal(w.len, len);
		assert_memory_equal(buf, data, len);
		assert_int_equal(take(&t, &wire, 1), -EPROTO);
	}
}

/* a dump is cut into packets that hold it, whatever its length */
static void test_packet_encode(void **state)
{
	uint8_t data[300], buf[20];

	(void)state;
	for (size_t len = 1; len <= dump_of(data, sizeof(data)); len++) {
		const struct wire wire = wire_of(data, len);
		size_t taken, done = 0, i = 2;

		for (; done < len; done += taken, i++) {
			struct writer w = writer_of(buf, sizeof(buf));

			assert_int_equal(fitbit_packet_encode(data + done, len - done, &w, &taken),
					 0);
			assert_int_equal(w.len, wire.len[i]);
			assert_memory_equal(buf, wire.packets[i], w.len);
			w = writer_of(buf, wire.len[i] - 1);
			assert_int_equal(fitbit_packet_encode(data + done, len - done, &w, &taken),
					 -ENOSPC);
		}
		assert_int_equal(i, wire.n - 1);
	}
}

/* a packet lost, doubled or with one bit wrong never ends as a dump */
static void test_transfer_faults(void **state)
{
	uint8_t data[300], buf[400];
	const struct wire good = wire_of(data, dump_of(data, sizeof(data)));

	(void)state;
	for (size_t i = 1; i < good.n; i++) {
		struct writer w = writer_of(buf, sizeof(buf));
		struct fitbit_transfer t = fitbit_transfer_of(&w, FITBIT_MEGADUMP);
		struct wire bad = good;

		memmove(bad.packets + i, good.packets + i + 1,
			(good.n - i - 1) * sizeof(bad.packets[0]));
		memmove(bad.len + i, good.len + i + 1, (good.n - i - 1) * sizeof(bad.len[0]));
		assert_true(take(&t, &bad, good.n - 1) < 0 || !t.complete);
		bad = good;
		memmove(bad.packets + i + 1, good.packets + i,
			(good.n - i) * sizeof(bad.packets[0]));
		memmove(bad.len + i + 1, good.len + i, (good.n - i) * sizeof(bad.len[0]));
		w = writer_of(buf, sizeof(buf));
		t = fitbit_transfer_of(&w, FITBIT_MEGADUMP);
		assert_true(take(&t, &bad, good.n + 1) < 0);
		for (size_t bit = 0; bit < 8 * good.len[i]; bit++) {
			bad = good;
			bad.packets[i][bit / 8] ^= (uint8_t)(1U << bit % 8);
			w = writer_of(buf, sizeof(buf));
			t = fitbit_transfer_of(&w, FITBIT_MEGADUMP);
			assert_true(take(&t, &bad, good.n) < 0 || !t.complete);
		}
	}
}

static void test_transfer_classes(void **state)
{
	static const uint8_t begin[] = { 0xc0, 0x41, 0x0d }, other[] = { 0xc0, 0x41, 0x03 };
	static const uint8_t end[] = { 0xc0, 0x42, 0x0d, 0, 0, 0, 0, 0, 0 };
	static const uint8_t no[] = { 0xc0, 0x03, 0x16, 0x20 };
	uint8_t buf[20], more[21] = { 1 };
	struct writer w = writer_of(buf, sizeof(buf));
	struct fitbit_transfer t = fitbit_transfer_of(&w, FITBIT_MEGADUMP);

	(void)state;
	assert_int_equal(fitbit_transfer_packet(&t, more, 1), -EBADMSG);
	assert_int_equal(fitbit_transfer_packet(&t, other, 3), -EPROTO);
	assert_int_equal(fitbit_transfer_packet(&t, end, 9), -EPROTO);
	assert_int_equal(fitbit_transfer_packet(&t, no, 4), -ECONNREFUSED);
	assert_int_equal(fitbit_transfer_packet(&t, begin, 2), -EMSGSIZE);
	assert_int_equal(fitbit_transfer_packet(&t, begin, 3), 0);
	assert_int_equal(fitbit_transfer_packet(&t, begin, 3), -EPROTO);
	assert_int_equal(fitbit_transfer_packet(&t, more, 0), -EMSGSIZE);
	assert_int_equal(fitbit_transfer_packet(&t, more, 21), -EMSGSIZE);
	assert_int_equal(fitbit_transfer_packet(&t, more, 20), 0);
	assert_int_equal(fitbit_transfer_packet(&t, more, 1), -ENOSPC);
	assert_int_equal(fitbit_transfer_packet(&t, end, 9), -EMSGSIZE);
	assert_int_equal(fitbit_transfer_packet(&t, (const uint8_t[]){ 0xc0, 0x11 }, 2), -EPROTO);
}

/* the length that some trackers say at the beginning must be the one at the end */
static void test_transfer_length(void **state)
{
	uint8_t begin[] = { 0xc0, 0x41, 0x0d, 0, 0, 0, 0 };

	(void)state;
	for (uint8_t said = 0; said < 2; said++) {
		static const uint8_t end[] = { 0xc0, 0x42, 0x0d, 0, 0, 0, 0, 0, 0 };
		struct writer w = writer_of(begin, 0);
		struct fitbit_transfer t = fitbit_transfer_of(&w, FITBIT_MEGADUMP);

		begin[3] = said;
		assert_int_equal(fitbit_transfer_packet(&t, begin, sizeof(begin)), 0);
		assert_int_equal(fitbit_transfer_packet(&t, end, sizeof(end)),
				 said == 0 ? 0 : -EMSGSIZE);
	}
}

static void test_advert(void **state)
{
	static const struct {
		uint8_t data[7];
		size_t len;
		uint8_t product;
		bool unsynced;
	} adverts[] = {
		{ { 0x05, 0x04 }, 2, FITBIT_ONE, true },
		{ { 0x16, 0x04, 0xe9, 0x77, 0x03 }, 5, FITBIT_CHARGE_2, true },
		{ { 0x10, 0x06, 0xa7, 0x66, 0x03 }, 5, FITBIT_SURGE, false },
		{ { 0xff, 0xff, 0, 0, 0, 0 }, 6, 0xff, false },
	};
	struct fitbit_advert a;

	(void)state;
	for (size_t i = 0; i < N(adverts); i++) {
		assert_int_equal(fitbit_advert_decode(adverts[i].data, adverts[i].len, &a), 0);
		assert_int_equal(a.product, adverts[i].product);
		assert_int_equal(a.unsynced, adverts[i].unsynced);
	}
	memset(&a, 0xa5, sizeof(a));
	assert_int_equal(fitbit_advert_decode(adverts[0].data, 1, &a), -EMSGSIZE);
	assert_int_equal(fitbit_advert_decode(adverts[0].data, 0, &a), -EMSGSIZE);
	assert_int_equal(fitbit_advert_decode(adverts[0].data, 7, &a), -EMSGSIZE);
	assert_int_equal(a.product, 0xa5);
}

static void test_live(void **state)
{
	static const uint8_t data[] = { 0x30, 0xf8, 0x53, 0x65, 0xe1, 0x10, 1,  0, 0xf9, 0xf6,
					0x2d, 1,    0xd2, 0x04, 0x1e, 1,    20, 1, 77,   2 };
	static const uint8_t early[16] = { 0x7f, 0x0a, 0x1e, 0x4d }; /* 2010-12-31 */
	struct fitbit_live x = { .steps = 5 };

	(void)state;
	for (size_t len = 0; len < sizeof(data); len++) {
		if (len != 16)
			assert_int_equal(fitbit_live_decode(data, len, &x), -EMSGSIZE);
	}
	assert_int_equal(fitbit_live_decode(early, sizeof(early), &x), -ERANGE);
	assert_int_equal(x.steps, 5); /* untouched */
	assert_int_equal(fitbit_live_decode(data, sizeof(data), &x), 0);
	assert_int_equal(x.time, 1700001840);
	assert_int_equal(x.steps, 65536 + 4321);
	assert_int_equal(x.distance_mm, 16777216 + 3012345);
	assert_int_equal(x.met_tenths, 1234);
	assert_int_equal(x.floors_tenths, 256 + 30);
	assert_true(x.has_rate);
	assert_int_equal(x.active_minutes, 256 + 20);
	assert_int_equal(x.rate, 77);
	assert_int_equal(x.confidence, 2);
	assert_int_equal(fitbit_live_decode(data, 16, &x), 0);
	assert_false(x.has_rate);
	assert_int_equal(x.active_minutes + x.rate + x.confidence, 0);
}

static void test_login_cipher(void **state)
{
	(void)state;
	assert_int_equal(fitbit_login_cipher_of(FITBIT_FLEX), FITBIT_LOGIN_XTEA);
	assert_int_equal(fitbit_login_cipher_of(FITBIT_CHARGE_HR), FITBIT_LOGIN_XTEA);
	assert_int_equal(fitbit_login_cipher_of(FITBIT_CHARGE_2), FITBIT_LOGIN_AES);
	assert_int_equal(fitbit_login_cipher_of(FITBIT_SURGE), FITBIT_LOGIN_AES);
	assert_int_equal(fitbit_login_cipher_of(FITBIT_ELECTRON), FITBIT_LOGIN_UNKNOWN);
	assert_int_equal(fitbit_login_cipher_of(0), FITBIT_LOGIN_UNKNOWN);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_live),
		cmocka_unit_test(test_login_cipher),
		cmocka_unit_test(test_control),
		cmocka_unit_test(test_control_length),
		cmocka_unit_test(test_control_unknown),
		cmocka_unit_test(test_errors),
		cmocka_unit_test(test_packet),
		cmocka_unit_test(test_packet_encode),
		cmocka_unit_test(test_transfer),
		cmocka_unit_test(test_transfer_faults),
		cmocka_unit_test(test_transfer_classes),
		cmocka_unit_test(test_transfer_length),
		cmocka_unit_test(test_advert),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
