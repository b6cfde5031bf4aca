/* links: protocols */
/* Dumps of Fitbit trackers: invented vectors, random ones there and back, and every damage. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "protocols/bytes/writer.h"
#include "protocols/fitbit/dump.h"
#include "protocols/fitbit/message.h"
#include "tests/unit/fitbit_make.h"

#define N(a)        (sizeof(a) / sizeof((a)[0]))
#define RECORDS_MAX 2000

static const uint8_t key[FITBIT_KEY_SIZE] = {
	0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
};

static const char plain_hex[] =
	"2c02000000000102030410ffee00010707580758000000000000000000001414a00f145000000000bc02"
	"e8030000000000000000000000000000000048454c4c4f20202020204f4e452020202020202054574f20"
	"20202020202054485245452020202020000000000000000000000000000000000000000000000000c0db"
	"dcdd28f153650b00050000000000000000c0c0dbdcdd6553f1289f2019ff990a00119fdbdcdbddffc0c0"
	"dbdcddc0c0dbdcdddcf15365ea00f4000000309b0200000002000000c000000000c0dbdcddc0e51b0000"
	"00000000b30000";
static const char encrypted_hex[] =
	"2c02000001000102030410ffee00010746f29a61e8cb5e15df6af5fbbaf2835af0526a6890ba21070b37"
	"903d9c17d5fc9bede62301fd2ef173eaae583a39705a26cc84732d5f26cea5c21fc85e7b204fec55ef76"
	"45a796be0de4ec77bac62f4a024e13228708d3c23315ed10339a5a024cd3bd339453d85b3f4a7488ca7d"
	"ca96ad2b15d59a0965ed26bc1f28c924d848d52868628aab353e570cf647fadb854f121f28dffb6222d6"
	"a099e84de704f48cd71e1b1751a7db3aa0cb5844372a962b2d9abfa9d78a23365d9ecd1e7d6f018737ce"
	"dc5bafc4601cb30000";

static size_t bytes_of(const char *hex, uint8_t *data)
{
	size_t n = 0;

	for (; *hex; hex += 2) {
		const char pair[3] = { hex[0], hex[1], 0 };

		data[n++] = (uint8_t)strtoul(pair, NULL, 16);
	}
	return n;
}

struct heard {
	struct fitbit_record records[RECORDS_MAX];
	uint8_t bytes[RECORDS_MAX][FITBIT_RECORD_MAX];
	size_t n;
	size_t stop_at; /* 0: never */
};

static struct heard heard; /* too large for a stack */
static struct make made, saved;

static int hear(void *user, const struct fitbit_record *record)
{
	struct heard *h = user;

	assert_true(h->n < RECORDS_MAX && record->len <= FITBIT_RECORD_MAX);
	h->records[h->n] = *record;
	if (record->bytes)
		memcpy(h->bytes[h->n], record->bytes, record->len);
	h->n++;
	return h->n == h->stop_at ? -ECANCELED : 0;
}

static int listen(const uint8_t *data, size_t len, const uint8_t *with)
{
	struct fitbit_dump d;
	int r = fitbit_dump_recognise(data, len, &d);

	heard.n = 0;
	heard.stop_at = 0;
	return r < 0 ? r : fitbit_dump_read(&d, with, hear, &heard);
}

/* where the n-th record of a kind is; RECORDS_MAX: nowhere */
static size_t place(enum fitbit_record_kind kind, size_t n)
{
	for (size_t i = 0; i < heard.n; i++)
		if (heard.records[i].kind == kind && n-- == 0)
			return i;
	return RECORDS_MAX;
}

static const struct fitbit_record *nth(enum fitbit_record_kind kind, size_t n)
{
	const size_t i = place(kind, n);

	assert_true(i < RECORDS_MAX);
	return &heard.records[i < RECORDS_MAX ? i : 0];
}

static size_t count(enum fitbit_record_kind kind)
{
	size_t n = 0;

	while (place(kind, n) < RECORDS_MAX)
		n++;
	return n;
}

/* ---- the vectors ---- */

static void check_vector(void)
{
	static const uint8_t met[] = { 32, 10, 192 }, steps[] = { 25, 0, 219 };
	const struct fitbit_device *device = &heard.records[0].device;
	const struct fitbit_day *day;

	assert_int_equal(heard.n, 6);
	assert_int_equal(heard.records[0].kind, FITBIT_DEVICE);
	assert_memory_equal(device->loader, ((uint8_t[]){ 7, 0x58 }), 2);
	assert_memory_equal(device->application, ((uint8_t[]){ 7, 0x58 }), 2);
	assert_int_equal(device->battery_mv, 4000);
	assert_true(device->has_percent);
	assert_int_equal(device->percent, 80);
	assert_int_equal(device->walking_mm, 700);
	assert_int_equal(device->running_mm, 1000);
	assert_false(device->header_signed);
	assert_int_equal(nth(FITBIT_EVENT, 0)->event_time, 1700000040);
	assert_int_equal(nth(FITBIT_EVENT, 0)->len, 15);
	for (size_t i = 0; i < 3; i++) {
		const struct fitbit_minute *m = &nth(FITBIT_MINUTE, i)->minute;

		assert_true(m->has_time);
		assert_int_equal(m->time, 1700000040 + 60 * i);
		assert_int_equal(m->met_tenths, met[i]);
		assert_int_equal(m->steps, steps[i]);
		assert_true(m->has_motion);
	}
	assert_int_equal(nth(FITBIT_MINUTE, 2)->minute.state, 0x9f);
	assert_int_equal(nth(FITBIT_MINUTE, 1)->minute.motion, 0x11);
	day = &nth(FITBIT_DAY, 0)->day;
	assert_int_equal(day->time, 1700000220);
	assert_int_equal(day->met_tenths, 234);
	assert_int_equal(day->steps, 244);
	assert_int_equal(day->distance_mm, 170800);
	assert_int_equal(day->floors_tenths, 0);
	assert_true(day->has_active);
	assert_int_equal(day->active_minutes, 2);
}

/* the dump through its packets: 13 messages and the footer that was computed elsewhere */
static void check_packets(const uint8_t *data, size_t len, size_t messages, const uint8_t *footer)
{
	uint8_t back[256], packet[FITBIT_PACKET_MAX];
	struct writer all = writer_of(back, sizeof(back));
	struct fitbit_transfer t = fitbit_transfer_of(&all, FITBIT_MEGADUMP);
	size_t taken, n = 2;

	assert_int_equal(fitbit_transfer_packet(&t, (const uint8_t[]){ 0xc0, 0x41, 0x0d }, 3), 0);
	for (size_t done = 0; done < len; done += taken, n++) {
		struct writer w = writer_of(packet, sizeof(packet));

		assert_int_equal(fitbit_packet_encode(data + done, len - done, &w, &taken), 0);
		assert_int_equal(fitbit_transfer_packet(&t, packet, w.len), 0);
	}
	assert_int_equal(fitbit_transfer_packet(&t, footer, 9), 0);
	assert_true(t.complete);
	assert_int_equal(n, messages);
	assert_int_equal(all.len, len);
	assert_memory_equal(back, data, len);
}

static void test_vectors(void **state)
{
	static const uint8_t plain_footer[] = { 0xc0, 0x42, 0x0d, 0x60, 0x9d, 0xd9, 0, 0, 0 };
	static const uint8_t footer[] = { 0xc0, 0x42, 0x0d, 0x02, 0xd1, 0xdb, 0, 0, 0 };
	uint8_t data[256];
	size_t len = bytes_of(plain_hex, data);

	(void)state;
	assert_int_equal(len, 217);
	check_packets(data, len, 13, plain_footer);
	assert_int_equal(listen(data, len, NULL), 0);
	check_vector();
	len = bytes_of(encrypted_hex, data);
	assert_int_equal(len, 219);
	check_packets(data, len, 13, footer);
	assert_int_equal(listen(data, len, NULL), -ENOKEY);
	assert_int_equal(heard.n, 0);
	assert_int_equal(listen(data, len, key), 0);
	check_vector();
}

/* ---- damage ---- */

static bool classified(int r)
{
	return r == -EMSGSIZE || r == -ENOMSG || r == -EBADMSG || r == -EOPNOTSUPP ||
	       r == -ENOKEY || r == -EKEYREJECTED;
}

static void test_truncated(void **state)
{
	uint8_t data[256];

	(void)state;
	for (int encrypted = 0; encrypted < 2; encrypted++) {
		const size_t all = bytes_of(encrypted ? encrypted_hex : plain_hex, data);

		for (size_t len = 0; len < all; len++) {
			uint8_t *exact = malloc(len + 1);

			assert_non_null(exact);
			memcpy(exact, data, len);
			assert_true(classified(listen(exact, len, key)));
			assert_int_equal(heard.n, 0);
			free(exact);
		}
		memset(data + all, 0, 8);
		for (size_t more = 1; more <= 8; more++) {
			assert_true(classified(listen(data, all + more, key)));
			assert_int_equal(heard.n, 0);
		}
	}
}

/* every bit of the plain one; of the encrypted one all but what no tag covers: format and serial */
static void test_flipped(void **state)
{
	uint8_t data[256];

	(void)state;
	for (int encrypted = 0; encrypted < 2; encrypted++) {
		const size_t len = bytes_of(encrypted ? encrypted_hex : plain_hex, data);

		for (size_t bit = 0; bit < 8 * len; bit++) {
			const size_t byte = bit / 8;
			const bool open = encrypted && (byte == 0 || (byte >= 10 && byte < 15));
			int r;

			data[byte] ^= (uint8_t)(1U << bit % 8);
			r = listen(data, len, key);
			assert_true(classified(r) || (open && r == 0));
			assert_true(r == 0 || heard.n == 0);
			data[byte] ^= (uint8_t)(1U << bit % 8);
		}
	}
}

static void test_wrong_key(void **state)
{
	uint8_t data[256], wrong[FITBIT_KEY_SIZE];
	const size_t len = bytes_of(encrypted_hex, data);

	(void)state;
	for (size_t bit = 0; bit < 8 * sizeof(wrong); bit++) {
		memcpy(wrong, key, sizeof(wrong));
		wrong[bit / 8] ^= (uint8_t)(1U << bit % 8);
		assert_int_equal(listen(data, len, wrong), -EKEYREJECTED);
		assert_int_equal(heard.n, 0);
	}
	data[len - 11] ^= 1;
	assert_int_equal(listen(data, len, key), -EKEYREJECTED);
}

static uint32_t random_state = 1;

static uint32_t dice(uint32_t n)
{
	random_state = random_state * 1664525U + 1013904223U;
	return (random_state >> 8) % n;
}

static void test_mutations(void **state)
{
	uint8_t good[256], data[256];

	(void)state;
	for (unsigned int i = 0; i < 10000; i++) {
		const size_t len = bytes_of(i % 2 ? encrypted_hex : plain_hex, good);
		int r;

		memcpy(data, good, len);
		for (uint32_t n = 1 + dice(4); n > 0; n--)
			data[15 + dice((uint32_t)len - 15)] = (uint8_t)dice(256);
		if (memcmp(data, good, len) == 0)
			continue;
		r = listen(data, len, key);
		assert_true(classified(r));
		assert_int_equal(heard.n, 0);
	}
}

/* ---- random dumps ---- */

static uint8_t any(void)
{
	static const uint8_t nasty[] = { 0xc0, 0xdb, 0xdc, 0xdd, 0, 0xff };

	return dice(3) == 0 ? nasty[dice(N(nasty))] : (uint8_t)dice(256);
}

static void put(uint8_t *to, uint32_t value, size_t n)
{
	for (size_t i = 0; i < n; i++)
		to[i] = (uint8_t)(value >> 8 * i);
}

struct truth {
	size_t n_minutes, n_days;
	struct fitbit_minute minutes[600];
	struct fitbit_day days[20];
};

static struct truth truth;

static size_t random_minutes(uint8_t *payload, size_t size)
{
	const uint32_t all = dice(600);
	uint32_t time = 0;
	size_t len = 0;

	for (truth.n_minutes = 0; truth.n_minutes < all; truth.n_minutes++) {
		struct fitbit_minute *m = &truth.minutes[truth.n_minutes];

		if (truth.n_minutes == 0 || dice(20) == 0) {
			time = FITBIT_TIME_MIN + dice(1U << 24) * 31;
			for (size_t i = 0; i < 4; i++)
				payload[len++] = (uint8_t)(time >> (24 - 8 * i));
		}
		m->time = time;
		m->state = any() | 0x80;
		m->met_tenths = any();
		m->steps = any();
		payload[len++] = m->state;
		payload[len++] = m->met_tenths;
		payload[len++] = m->steps;
		if (size == 4)
			payload[len++] = m->motion = any();
		time += 60;
	}
	return len;
}

static size_t random_days(uint8_t *payload, size_t size)
{
	size_t len = 0;

	truth.n_days = dice(20);
	for (size_t i = 0; i < truth.n_days; i++, len += size) {
		struct fitbit_day *d = &truth.days[i];

		*d = (struct fitbit_day){ FITBIT_TIME_MIN + dice(1U << 24) * 31,
					  (uint16_t)(any() * 256U + any()),
					  any() * 65536U + any(),
					  any() * 65536U + any() * 16777216U,
					  (uint16_t)(any() * 256U),
					  size == 20,
					  any() };
		put(payload + len, d->time, 4);
		put(payload + len + 4, d->met_tenths, 2);
		put(payload + len + 6, d->steps, 4);
		put(payload + len + 10, d->distance_mm, 4);
		put(payload + len + 14, d->floors_tenths, 2);
		if (size == 20)
			put(payload + len + 16, d->active_minutes, 4);
	}
	return len;
}

static void check_random(size_t minute_size)
{
	assert_int_equal(count(FITBIT_MINUTE), truth.n_minutes);
	assert_int_equal(count(FITBIT_DAY), truth.n_days);
	for (size_t i = 0, k = 0; i < heard.n; i++) {
		const struct fitbit_minute *m = &heard.records[i].minute, *want = &truth.minutes[k];

		if (heard.records[i].kind != FITBIT_MINUTE)
			continue;
		assert_true(m->has_time && m->time == want->time && m->state == want->state);
		assert_true(m->met_tenths == want->met_tenths && m->steps == want->steps);
		assert_int_equal(m->has_motion, minute_size == 4);
		assert_true(minute_size == 3 || m->motion == want->motion);
		k++;
	}
	for (size_t i = 0; i < truth.n_days; i++) {
		const struct fitbit_day *d = &nth(FITBIT_DAY, i)->day, *want = &truth.days[i];

		assert_true(d->time == want->time && d->met_tenths == want->met_tenths);
		assert_true(d->steps == want->steps && d->distance_mm == want->distance_mm);
		assert_true(d->floors_tenths == want->floors_tenths);
		assert_true(d->has_active == want->has_active);
		assert_true(!d->has_active || d->active_minutes == want->active_minutes);
	}
}

static void test_random(void **state)
{
	static const struct {
		uint8_t format, product;
		uint8_t event, minute, day;
	} models[] = {
		{ 0x26, FITBIT_ONE, 15, 4, 16 },
		{ 0x28, FITBIT_FLEX, 15, 4, 20 },
		{ 0xf4, FITBIT_ZIP, 13, 3, 16 },
	};
	static uint8_t payload[4000];

	(void)state;
	for (unsigned int i = 0; i < 300; i++) {
		const size_t m = i % N(models);
		const bool encrypted = dice(2), sign_header = dice(2);
		size_t len = (size_t)dice(10) * models[m].event;

		make_begin(&made, models[m].format, models[m].product, encrypted);
		for (size_t k = 0; k < len; k++)
			payload[k] = any();
		make_section(&made, payload, len);
		make_section(&made, payload, random_minutes(payload, models[m].minute));
		make_section(&made, NULL, 0);
		make_section(&made, payload, random_days(payload, models[m].day));
		make_unframed(&made);
		make_section(&made, NULL, 0);
		make_end(&made, encrypted ? key : NULL, sign_header);
		assert_int_equal(listen(made.out, made.len, key), 0);
		assert_int_equal(heard.records[0].device.header_signed, encrypted && sign_header);
		assert_int_equal(heard.records[0].device.application[1], 89);
		assert_int_equal(count(FITBIT_EVENT), len / models[m].event);
		check_random(models[m].minute);
	}
}

/* ---- what the sections may hold ---- */

struct payload {
	size_t len;
	uint8_t bytes[60];
};

static int listen_to(const struct payload parts[5])
{
	make_begin(&made, 0x2c, FITBIT_FLEX, false);
	for (size_t i = 0; i < 5; i++) {
		make_section(&made, parts[i].bytes, parts[i].len);
		if (i == 3)
			make_unframed(&made);
	}
	make_end(&made, NULL, false);
	return listen(made.out, made.len, NULL);
}

static void test_uneven(void **state)
{
	(void)state;
	for (size_t part = 0; part < 5; part++) {
		struct payload parts[5] = { 0 };
		int r;

		parts[part].len = 3;
		memset(parts[part].bytes, 0x90, 3);
		r = listen_to(parts);
		if (part == 1 || part == 3) {
			assert_int_equal(r, -EBADMSG);
			assert_int_equal(heard.n, 0);
			continue;
		}
		assert_int_equal(r, 0);
		assert_int_equal(heard.n, 2);
		assert_int_equal(heard.records[1].kind, FITBIT_UNREAD);
		assert_int_equal(heard.records[1].part, part + 1);
		assert_int_equal(heard.records[1].len, 3);
		assert_memory_equal(heard.bytes[1], "\x90\x90\x90", 3);
	}
}

/* a minute that no time goes before has none, and is not lost */
static void test_no_time(void **state)
{
	const struct payload parts[5] = {
		[1] = { 12, { 0x81, 10, 7, 0, 0x65, 0x53, 0xf1, 0x28, 0x81, 11, 8, 0 } },
	};

	(void)state;
	assert_int_equal(listen_to(parts), 0);
	assert_int_equal(count(FITBIT_MINUTE), 2);
	assert_false(nth(FITBIT_MINUTE, 0)->minute.has_time);
	assert_int_equal(nth(FITBIT_MINUTE, 0)->minute.steps, 7);
	assert_int_equal(nth(FITBIT_MINUTE, 1)->minute.time, 1700000040);
}

static void test_floors(void **state)
{
	const struct payload parts[5] = {
		[2] = { 11, { 0x65, 0x53, 0xf1, 0x28, 0x80, 10, 0x90, 1, 2, 0x80, 20 } },
	};
	const struct fitbit_climb *c;

	(void)state;
	assert_int_equal(listen_to(parts), 0);
	assert_int_equal(heard.n, 4);
	c = &heard.records[1].climb;
	assert_int_equal(heard.records[1].kind, FITBIT_CLIMB);
	assert_true(c->has_time && c->time == 1700000040 && c->index == 0);
	assert_int_equal(c->floors_tenths, 10);
	assert_int_equal(heard.records[2].kind, FITBIT_UNREAD);
	assert_int_equal(heard.records[2].len, 3);
	c = &heard.records[3].climb;
	assert_true(c->index == 2 && c->floors_tenths == 20);
}

static void test_alarms(void **state)
{
	static const struct {
		uint32_t seconds;
		uint8_t kind;
		bool empty, known;
	} alarms[] = {
		{ 25200, 0x1c, false, true },   { 86399, 0x1c, false, true },
		{ 86400, 0x1c, false, false },  { 25200, 0x1d, false, false },
		{ 0x7fffffff, 0, true, false },
	};

	(void)state;
	for (size_t i = 0; i < N(alarms); i++) {
		struct payload parts[5] = { 0 };
		const struct fitbit_alarm *a;

		put(parts[4].bytes, alarms[i].seconds, 4);
		memcpy(parts[4].bytes + 4, ((uint8_t[]){ alarms[i].kind, 2, 1, 0x9f }), 4);
		parts[4].bytes[23] = 3;
		parts[4].len = 24;
		assert_int_equal(listen_to(parts), 0);
		a = &nth(FITBIT_ALARM, 0)->alarm;
		assert_int_equal(a->seconds, alarms[i].seconds);
		assert_true(a->empty == alarms[i].empty && a->known == alarms[i].known);
		assert_true(a->days == 0x9f && a->index == 3);
	}
}

static void test_percent(void **state)
{
	(void)state;
	for (unsigned int percent = 0; percent < 256; percent++) {
		make_begin(&made, 0x2c, FITBIT_ONE, false);
		made.out[35] = made.logical[35] = (uint8_t)percent;
		for (size_t i = 0; i < 5; i++) {
			make_section(&made, NULL, 0);
			if (i == 3)
				make_unframed(&made);
		}
		make_end(&made, NULL, false);
		assert_int_equal(listen(made.out, made.len, NULL), 0);
		assert_int_equal(heard.records[0].device.has_percent, percent <= 100);
	}
}

/* right in every checksum and wrong in structure */
static void test_structure(void **state)
{
	static const struct {
		int r;
		size_t n;
		uint8_t body[32];
	} bodies[] = {
		{ -EMSGSIZE, 0, { 0 } },
		{ -EBADMSG, 5, { 0, 0xdb, 0xdc, 0xdd, 0xc0 } },    /* no delimiter */
		{ -EBADMSG, 5, { 0xc0, 0xc0, 0xdd, 0xc0, 0xc0 } }, /* no marker */
		{ -EBADMSG, 5, { 0xc0, 0xdb, 0xdc, 0xde, 0xc0 } }, /* another one */
		{ -EBADMSG, 6, { 0xc0, 0xdb, 0xdc, 0xdd, 0xdb, 0xc0 } },
		{ -EBADMSG, 6, { 0xc0, 0xdb, 0xdc, 0xdd, 0xdb, 0xdb } },
		{ -EMSGSIZE, 5, { 0xc0, 0xdb, 0xdc, 0xdd, 0xdb } },
		{ -EMSGSIZE, 5, { 0xc0, 0xdb, 0xdc, 0xdd, 0xc0 } }, /* four sections less */
	};

	(void)state;
	for (size_t i = 0; i < N(bodies); i++) {
		make_begin(&made, 0x2c, FITBIT_FLEX, false);
		for (size_t k = 0; k < bodies[i].n; k++)
			make_raw(&made, bodies[i].body[k]);
		make_end(&made, NULL, false);
		assert_int_equal(listen(made.out, made.len, NULL), bodies[i].r);
		assert_int_equal(heard.n, 0);
	}
}

static void test_length(void **state)
{
	const struct payload none[5] = { 0 };

	(void)state;
	assert_int_equal(listen_to(none), 0);
	saved = made;
	for (int step = -1; step < 2; step += 2) {
		made = saved;
		made.out[made.len - 3] = (uint8_t)(made.out[made.len - 3] + step);
		assert_int_equal(listen(made.out, made.len, NULL), -EMSGSIZE);
	}
	made = saved;
	made.out[made.len - 4] = 1; /* the zeros behind the checksum */
	assert_int_equal(listen(made.out, made.len, NULL), -EBADMSG);
	assert_int_equal(heard.n, 0);
}

/* ---- what it is ---- */

static void test_verdicts(void **state)
{
	static const struct {
		int r;
		enum fitbit_verdict verdict;
		uint8_t format, class, encryption, product;
	} headers[] = {
		{ 0, FITBIT_READABLE, 0x26, 2, 0, FITBIT_ONE },
		{ 0, FITBIT_READABLE, 0xf4, 2, 0, FITBIT_ZIP },
		{ 0, FITBIT_READABLE, 0x2e, 2, 0, FITBIT_FLEX },
		{ 0, FITBIT_NEEDS_KEY, 0x28, 2, 1, FITBIT_FLEX },
		{ 0, FITBIT_KEEP_AES, 0x2e, 2, 2, FITBIT_ALTA },
		{ 0, FITBIT_KEEP_AES, 0x01, 4, 2, FITBIT_CHARGE_2 },
		{ 0, FITBIT_KEEP_CIPHER, 0x2c, 2, 3, FITBIT_ONE },
		{ 0, FITBIT_KEEP_MICRODUMP, 0x30, 2, 0, FITBIT_FLEX },
		{ 0, FITBIT_KEEP_MICRODUMP, 0x31, 2, 1, FITBIT_CHARGE_HR },
		{ 0, FITBIT_KEEP_LAYOUT, 0x2c, 2, 0, FITBIT_CHARGE },
		{ 0, FITBIT_KEEP_LAYOUT, 0x2c, 2, 1, FITBIT_CHARGE_HR },
		{ 0, FITBIT_KEEP_LAYOUT, 0x01, 4, 0, FITBIT_ONE },
		{ 0, FITBIT_KEEP_LAYOUT, 0x2c, 2, 0, 0xee },
		{ -ENOMSG, 0, 0x2c, 3, 0, FITBIT_ONE },
		{ -ENOMSG, 0, 0x01, 2, 2, FITBIT_CHARGE_2 },
		{ -ENOMSG, 0, 0x77, 2, 0, FITBIT_ONE },
	};

	(void)state;
	for (size_t i = 0; i < N(headers); i++) {
		uint8_t data[27] = { headers[i].format, headers[i].class, 0, 0,
				     headers[i].encryption };
		struct fitbit_dump d = { .verdict = 99 };

		data[15] = headers[i].product;
		assert_int_equal(fitbit_dump_recognise(data, 26, &d), -EMSGSIZE);
		assert_int_equal(fitbit_dump_recognise(data, sizeof(data), &d), headers[i].r);
		assert_int_equal(d.verdict, headers[i].r < 0 ? 99 : headers[i].verdict);
		if (headers[i].r == 0 && d.verdict > FITBIT_NEEDS_KEY)
			assert_int_equal(fitbit_dump_read(&d, key, hear, &heard), -EOPNOTSUPP);
	}
}

static void test_recognise(void **state)
{
	uint8_t ionic[27] = { 0x03, 4, [9] = 1, 2, 3, 4, 5, FITBIT_IONIC, 99 };
	struct fitbit_dump d;

	(void)state;
	assert_int_equal(fitbit_dump_recognise(ionic, sizeof(ionic), &d), 0);
	assert_int_equal(d.verdict, FITBIT_KEEP_LAYOUT);
	assert_int_equal(d.product, FITBIT_IONIC);
	assert_int_equal(fitbit_dump_recognise(ionic, FITBIT_DUMP_MAX + 1, &d), -EMSGSIZE);
	assert_string_equal(fitbit_product_name(FITBIT_CHARGE_HR), "Charge HR");
	assert_null(fitbit_product_name(0));
}

static void test_services(void **state)
{
	uint8_t uuid[16];

	(void)state;
	(void)bytes_of("ba5689a6fabfa2bd01467d6e00fbabad", uuid);
	assert_int_equal(fitbit_link_of_service(uuid, 16), FITBIT_LINK_TRACKER);
	assert_int_equal(fitbit_link_of_service(uuid, 15), FITBIT_LINK_OTHER);
	uuid[12] = 1;
	assert_int_equal(fitbit_link_of_service(uuid, 16), FITBIT_LINK_OTHER);
	(void)bytes_of("e8bf6ccf178b32b84c486ae500ffbaab", uuid);
	assert_int_equal(fitbit_link_of_service(uuid, 16), FITBIT_LINK_GOLDEN_GATE);
	assert_int_equal(fitbit_link_of_service((const uint8_t[]){ 0x62, 0xfd }, 2),
			 FITBIT_LINK_GOLDEN_GATE);
	assert_int_equal(fitbit_link_of_service((const uint8_t[]){ 0x0d, 0x18 }, 2),
			 FITBIT_LINK_OTHER);
}

/* a sink that says no is asked no more */
static void test_stop(void **state)
{
	uint8_t data[256];
	const size_t len = bytes_of(plain_hex, data);
	struct fitbit_dump d;

	(void)state;
	assert_int_equal(fitbit_dump_recognise(data, len, &d), 0);
	assert_int_equal(fitbit_dump_read(&d, NULL, NULL, NULL), 0);
	for (size_t n = 1; n <= 6; n++) {
		heard.n = 0;
		heard.stop_at = n;
		assert_int_equal(fitbit_dump_read(&d, NULL, hear, &heard), -ECANCELED);
		assert_int_equal(heard.n, n);
	}
}

/* in pieces as in one */
static void test_crc_add(void **state)
{
	(void)state;
	for (size_t cut = 0; cut <= 9; cut++) {
		const uint16_t crc = crc_16_xmodem_add(0, "123456789", cut);

		assert_int_equal(crc_16_xmodem_add(crc, &"123456789"[cut], 9 - cut), 0x31c3);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_vectors),   cmocka_unit_test(test_truncated),
		cmocka_unit_test(test_flipped),   cmocka_unit_test(test_wrong_key),
		cmocka_unit_test(test_mutations), cmocka_unit_test(test_random),
		cmocka_unit_test(test_uneven),    cmocka_unit_test(test_no_time),
		cmocka_unit_test(test_floors),    cmocka_unit_test(test_alarms),
		cmocka_unit_test(test_percent),   cmocka_unit_test(test_structure),
		cmocka_unit_test(test_length),    cmocka_unit_test(test_verdicts),
		cmocka_unit_test(test_recognise), cmocka_unit_test(test_services),
		cmocka_unit_test(test_stop),      cmocka_unit_test(test_crc_add),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
