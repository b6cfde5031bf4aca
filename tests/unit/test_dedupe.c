/* links: gateway_intake gateway_goals gateway_base */
#include "intake_make.h"

#include <errno.h>

#define LOCAL WELLGATE__V1__DEVICE_TIME__KIND__KIND_LOCAL

static const unsigned int stamp[6] = { 2026, 11, 23, 11, 55, 0 };

struct key {
	uint8_t bytes[16];
};

static struct key key_of(struct bench *b, const struct made *made)
{
	struct key key;

	memcpy(key.bytes, bench_run(b, made)->dedupe_key.data, 16);
	arena_reset(&b->arena);
	return key;
}

static bool same(struct key a, struct key b)
{
	return memcmp(a.bytes, b.bytes, 16) == 0;
}

static void make_stamped(struct made *made)
{
	make_weight(made);
	make_time(made, LOCAL, stamp);
}

/* seen by the devices process, seconds after the boot; same boot as the receipt */
static void make_seen(struct made *made, int64_t second)
{
	made->m.has_seen_boot_id = made->m.has_seen_boottime_us = made->m.has_seen_utc_ms = true;
	memcpy(made->boot_id, make_receipt.boot_id, 16);
	made->m.seen_boot_id = (ProtobufCBinaryData){ 16, made->boot_id };
	made->m.seen_boottime_us = second * 1000000;
	made->m.seen_utc_ms = MAKE_NOW_MS;
}

/* The memory of a device read again, a day later, over another link, after a restart, for another
 * person, with another correction: still the same event. */
static void test_same_event(void **state)
{
	struct made made;
	struct bench b;
	struct key first;

	(void)state;
	bench_open(&b, "Europe/London", NULL, false);
	make_stamped(&made);
	first = key_of(&b, &made);
	made.m.has_link = true;
	made.m.link = 7;
	made.m.has_clock_offset_ms = true;
	made.m.clock_offset_ms = -5000;
	make_flag(&made, FLAG_BACKFILL);
	made.values[0].mantissa = 7400; /* 74.00 */
	made.values[0].exponent = -2;
	b.receipt.utc_ms += 86400000;
	b.receipt.boot_id[0] = 99;
	assert_true(same(first, key_of(&b, &made)));
	bench_close(&b);
	bench_open(&b, "Asia/Tokyo", "somebody", true);
	assert_true(same(first, key_of(&b, &made)));
	bench_close(&b);
}

static void test_different_events(void **state)
{
	struct made made;
	struct bench b;
	struct key first;

	(void)state;
	bench_open(&b, "Europe/London", NULL, false);
	make_stamped(&made);
	first = key_of(&b, &made);
#define DIFFERS(change)                                       \
	do {                                                  \
		make_stamped(&made);                          \
		change;                                       \
		assert_false(same(first, key_of(&b, &made))); \
	} while (0)
	DIFFERS(made.values[0].mantissa = 741);
	DIFFERS(made.values[0].exponent = 0);
	DIFFERS(made.time.second = 1);
	DIFFERS(made.time.kind = WELLGATE__V1__DEVICE_TIME__KIND__KIND_UTC);
	DIFFERS(made.time.fraction_us = 1);
	DIFFERS(made.m.has_record_number = true); /* number 0 is a number */
	DIFFERS(made.m.has_user_slot = true);
	DIFFERS(made.m.has_duration_ms = true);
	DIFFERS(made.m.metric = (Wellgate__V1__Metric)METRIC_BODY_COMPOSITION);
	DIFFERS((void)make_part(&made, METRIC_BMI, 25, 0, UNIT_KG_M2));
#undef DIFFERS
	bench_close(&b);
}

static void test_devices_differ(void **state)
{
	struct intake_device device = make_device;
	Wellgate__V1__Reading *one = NULL, *two = NULL;
	struct made made;
	struct bench b;

	(void)state;
	bench_open(&b, "UTC", NULL, false);
	make_stamped(&made);
	one = bench_run(&b, &made);
	device.serial_digest[0] ^= 1;
	assert_int_equal(intake_normalise(b.in, &made.m, &device, &b.receipt, &b.arena, &two), 0);
	assert_memory_not_equal(one->dedupe_key.data, two->dedupe_key.data, 16);
	bench_close(&b);
}

/* Two equal heart rates a minute apart are two; one message sent twice is one. */
static void test_without_stamp(void **state)
{
	struct made made;
	struct key first;
	struct bench b;

	(void)state;
	bench_open(&b, "UTC", NULL, false);
	make_new(&made, METRIC_HEART_RATE);
	(void)make_part(&made, METRIC_HEART_RATE, 60, 0, UNIT_PER_MIN);
	make_seen(&made, 1000);
	first = key_of(&b, &made);
	b.receipt.boottime_us += 77; /* sent again later */
	b.receipt.utc_ms += 5;
	made.m.has_link = true;
	made.m.link = 12;
	assert_true(same(first, key_of(&b, &made)));
	make_seen(&made, 1060);
	assert_false(same(first, key_of(&b, &made)));
	make_seen(&made, 1001);
	assert_false(same(first, key_of(&b, &made)));
	make_seen(&made, 1000); /* another boot */
	made.boot_id[0] ^= 1;
	assert_false(same(first, key_of(&b, &made)));
	bench_close(&b);
}

static void test_simulated_receipts(void **state)
{
	struct made made;
	struct key first;
	struct bench b;

	(void)state;
	bench_open(&b, "UTC", NULL, false);
	make_new(&made, METRIC_HEART_RATE);
	(void)make_part(&made, METRIC_HEART_RATE, 60, 0, UNIT_PER_MIN);
	make_simulated(&made, MAKE_NOW_MS);
	first = key_of(&b, &made);
	b.receipt.boottime_us += 1000000; /* the same capture, replayed later */
	b.receipt.boot_id[0] ^= 1;
	assert_true(same(first, key_of(&b, &made)));
	make_simulated(&made, MAKE_NOW_MS + 1000);
	assert_false(same(first, key_of(&b, &made)));
	bench_close(&b);
}

/* What a scale or an advertisement goes on showing is one measurement. */
static void test_repetitions(void **state)
{
	static const struct {
		enum metric metric;
		enum unit unit;
		int security;
		bool is_same;
		int64_t later; /* seconds */
	} rows[] = {
		{ METRIC_BODY_WEIGHT, UNIT_KG, LINK_CLEAR, true, 119 },
		{ METRIC_BODY_WEIGHT, UNIT_KG, LINK_CLEAR, false, 120 },
		{ METRIC_PULSE, UNIT_PER_MIN, LINK_CLEAR, true, 29 },
		{ METRIC_PULSE, UNIT_PER_MIN, LINK_CLEAR, false, 30 },
		{ METRIC_TEMPERATURE, UNIT_CELSIUS, LINK_BROADCAST, true, 29 },
		{ METRIC_TEMPERATURE, UNIT_CELSIUS, LINK_BROADCAST, false, 30 },
		{ METRIC_TEMPERATURE, UNIT_CELSIUS, LINK_CLEAR, false, 1 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct made made;
		struct key first;
		struct bench b;

		bench_open(&b, "UTC", NULL, false);
		make_new(&made, rows[i].metric);
		(void)make_part(&made, rows[i].metric, 40, 0, rows[i].unit);
		made.m.has_link_security = true;
		made.m.link_security = (Wellgate__V1__LinkSecurity)rows[i].security;
		make_seen(&made, 1000);
		first = key_of(&b, &made);
		make_seen(&made, 1000 + rows[i].later);
		assert_int_equal(same(first, key_of(&b, &made)), rows[i].is_same);
		bench_close(&b);
	}
}

/* The window starts with the first: a broadcast that never ends is one reading per window. */
static void test_window_does_not_slide(void **state)
{
	struct key last = { { 0 } };
	unsigned int keys = 0;
	struct made made;
	struct bench b;

	(void)state;
	bench_open(&b, "UTC", NULL, false);
	make_weight(&made);
	for (int64_t second = 0; second < 600; second += 10) {
		struct key key;

		make_seen(&made, 1000 + second);
		key = key_of(&b, &made);
		keys += !same(key, last);
		last = key;
	}
	assert_int_equal(keys, 5);
	bench_close(&b);
}

/* Another frame is another event, even with the same weight in it. */
static void test_frame_tells(void **state)
{
	struct made made;
	struct key first;
	struct bench b;

	(void)state;
	bench_open(&b, "UTC", NULL, false);
	make_weight(&made);
	make_seen(&made, 1000);
	made.m.has_raw_digest = true;
	made.m.raw_digest = (ProtobufCBinaryData){ sizeof(made.digest), made.digest };
	first = key_of(&b, &made);
	made.m.seen_boottime_us += 1000000;
	assert_true(same(first, key_of(&b, &made)));
	made.digest[0] = 1;
	assert_false(same(first, key_of(&b, &made)));
	bench_close(&b);
}

static void test_restart_in_between(void **state)
{
	Wellgate__V1__Reading *stored;
	struct bench before, after;
	struct made made;

	(void)state;
	bench_open(&before, "UTC", NULL, false);
	bench_open(&after, "UTC", NULL, false);
	make_weight(&made);
	make_seen(&made, 1000);
	stored = bench_run(&before, &made);
	intake_remember(after.in, stored);
	make_seen(&made, 1010); /* the scale goes on showing it */
	assert_memory_equal(bench_run(&after, &made)->dedupe_key.data, stored->dedupe_key.data, 16);
	bench_close(&before);
	bench_close(&after);
}

/* Zeros for a date: the receipt must tell; but out of memory it would double with each reading. */
static void test_useless_stamps(void **state)
{
	static const unsigned int zeros[6] = { 0 }, never_set[6] = { 2000, 1, 1, 0, 7, 0 };
	struct made made;
	struct key first;
	struct bench b;

	(void)state;
	bench_open(&b, "UTC", NULL, false);
	make_new(&made, METRIC_GLUCOSE);
	(void)make_part(&made, METRIC_GLUCOSE, 55, -1, UNIT_MMOL_L);
	make_time(&made, LOCAL, zeros);
	make_seen(&made, 1000);
	first = key_of(&b, &made);
	make_seen(&made, 2000);
	assert_false(same(first, key_of(&b, &made)));
	make_flag(&made, FLAG_BACKFILL);
	first = key_of(&b, &made);
	make_seen(&made, 3000);
	assert_true(same(first, key_of(&b, &made)));
	/* a wrong clock tells two apart as well as a right one */
	make_time(&made, LOCAL, never_set);
	make_flag(&made, FLAG_CLOCK_NOT_SET);
	first = key_of(&b, &made);
	make_seen(&made, 4000);
	assert_true(same(first, key_of(&b, &made)));
	bench_close(&b);
}

/* The key is part of what other hubs and later versions compare with: it must not change by
 * accident. Computed once with python3 hashlib from the layout in dedupe.c. */
static void test_key_is_stable(void **state)
{
	static const uint8_t expected[16] = { 0x53, 0x10, 0xcb, 0x03, 0xe3, 0x48, 0x35, 0x7f,
					      0xb2, 0x6d, 0xbe, 0xdf, 0x15, 0x36, 0x6d, 0x77 };
	struct made made;
	struct key key;
	struct bench b;

	(void)state;
	bench_open(&b, "UTC", NULL, false);
	make_stamped(&made);
	key = key_of(&b, &made);
	assert_memory_equal(key.bytes, expected, 16);
	bench_close(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_same_event),
		cmocka_unit_test(test_different_events),
		cmocka_unit_test(test_devices_differ),
		cmocka_unit_test(test_without_stamp),
		cmocka_unit_test(test_simulated_receipts),
		cmocka_unit_test(test_repetitions),
		cmocka_unit_test(test_window_does_not_slide),
		cmocka_unit_test(test_frame_tells),
		cmocka_unit_test(test_restart_in_between),
		cmocka_unit_test(test_useless_stamps),
		cmocka_unit_test(test_key_is_stable),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
