/* links: gateway_intake gateway_goals gateway_base */
#include "intake_make.h"

#include <errno.h>

#define KIND(name)  WELLGATE__V1__DEVICE_TIME__KIND__KIND_##name
#define CLOCK(name) WELLGATE__V1__CLOCK_QUALITY__CLOCK_##name
#define HOUR        INT64_C(3600000)
#define MINUTE      INT64_C(60000)
#define DAY         (24 * HOUR)

enum {
	SYNCED = 1,   /* the hub's clock */
	OFFSET = 2,   /* offset_min was measured */
	TRUSTED = 4,  /* the device's clock is set from outside */
	BACKFILL = 8, /* out of memory */
	NOT_SET = 16, /* the device says its clock was never set */
	NO_STAMP = 32,
	DURATION = 64, /* 10 minutes */
};

struct row {
	const char *what;
	Wellgate__V1__DeviceTime__Kind kind;
	unsigned int stamp[6];
	int64_t offset_min; /* ours - device's */
	unsigned int how;
	Wellgate__V1__ClockQuality clock;
	int64_t at_ms; /* relative to the receipt, 2026-11-23T12:00Z; -1: no time */
	int64_t correction_ms;
	uint64_t flags;
};

#define NO_TIME   INT64_MIN
#define UNCERTAIN FLAG_BIT(FLAG_TIME_UNCERTAIN)

static const struct row rows[] = {
	{ "local winter stamp",
	  KIND(LOCAL),
	  { 2026, 11, 23, 11, 55, 0 },
	  0,
	  SYNCED,
	  CLOCK(DEVICE_UNVERIFIED),
	  -5 * MINUTE,
	  0,
	  0 },
	{ "local summer stamp is an hour ahead of UTC",
	  KIND(LOCAL),
	  { 2026, 10, 24, 13, 0, 0 },
	  0,
	  SYNCED,
	  CLOCK(DEVICE_UNVERIFIED),
	  -30 * DAY,
	  0,
	  FLAG_BIT(FLAG_LATE) },
	{ "UTC stamp in summer",
	  KIND(UTC),
	  { 2026, 10, 24, 12, 0, 0 },
	  0,
	  SYNCED,
	  CLOCK(DEVICE_UNVERIFIED),
	  -30 * DAY,
	  0,
	  FLAG_BIT(FLAG_LATE) },
	{ "offset measured: 12 h wrong",
	  KIND(LOCAL),
	  { 2026, 11, 22, 23, 50, 0 },
	  720,
	  SYNCED | OFFSET,
	  CLOCK(DEVICE_CORRECTED),
	  -10 * MINUTE,
	  12 * HOUR,
	  FLAG_BIT(FLAG_TIME_CORRECTED) },
	{ "offset measured: clock right",
	  KIND(LOCAL),
	  { 2026, 11, 23, 11, 50, 0 },
	  0,
	  SYNCED | OFFSET,
	  CLOCK(DEVICE_CORRECTED),
	  -10 * MINUTE,
	  0,
	  0 },
	{ "offset measured, year 2000 default",
	  KIND(LOCAL),
	  { 2000, 1, 1, 0, 10, 0 },
	  14145820,
	  SYNCED | OFFSET,
	  CLOCK(DEVICE_CORRECTED),
	  -10 * MINUTE,
	  14145820 * MINUTE,
	  FLAG_BIT(FLAG_TIME_CORRECTED) },
	{ "offset measured, one hour out since the summer",
	  KIND(LOCAL),
	  { 2026, 11, 23, 12, 55, 0 },
	  -60,
	  SYNCED | OFFSET,
	  CLOCK(DEVICE_CORRECTED),
	  -5 * MINUTE,
	  -HOUR,
	  FLAG_BIT(FLAG_TIME_CORRECTED) },
	{ "offset measured by a hub without time is worth nothing",
	  KIND(LOCAL),
	  { 2026, 11, 23, 11, 50, 0 },
	  720,
	  OFFSET,
	  CLOCK(DEVICE_UNVERIFIED),
	  -10 * MINUTE,
	  0,
	  0 },
	{ "device set from outside: never shifted",
	  KIND(LOCAL),
	  { 2026, 11, 23, 11, 50, 0 },
	  7,
	  SYNCED | OFFSET | TRUSTED,
	  CLOCK(DEVICE_TRUSTED),
	  -10 * MINUTE,
	  0,
	  0 },
	{ "counter with anchor",
	  KIND(TICKS),
	  { 0 },
	  29923820,
	  SYNCED | OFFSET,
	  CLOCK(DEVICE_CORRECTED),
	  -99 * MINUTE,
	  0,
	  0 },
	{ "counter without anchor",
	  KIND(TICKS),
	  { 0 },
	  0,
	  SYNCED,
	  CLOCK(UNKNOWN),
	  NO_TIME,
	  0,
	  UNCERTAIN },
	{ "no stamp", KIND(UNSPECIFIED), { 0 }, 0, SYNCED | NO_STAMP, CLOCK(HUB_SYNCED), 0, 0, 0 },
	{ "no stamp, hub without time",
	  KIND(UNSPECIFIED),
	  { 0 },
	  0,
	  NO_STAMP,
	  CLOCK(RECEIPT_UNSYNCED),
	  0,
	  0,
	  0 },
	{ "no stamp: it ended when it came",
	  KIND(UNSPECIFIED),
	  { 0 },
	  0,
	  SYNCED | NO_STAMP | DURATION,
	  CLOCK(HUB_SYNCED),
	  -10 * MINUTE,
	  0,
	  0 },
	{ "no stamp, out of memory",
	  KIND(UNSPECIFIED),
	  { 0 },
	  0,
	  SYNCED | NO_STAMP | BACKFILL,
	  CLOCK(UNKNOWN),
	  NO_TIME,
	  0,
	  UNCERTAIN | FLAG_BIT(FLAG_BACKFILL) },
	{ "year unknown",
	  KIND(LOCAL),
	  { 0, 11, 23, 11, 55, 0 },
	  0,
	  SYNCED,
	  CLOCK(HUB_SYNCED),
	  0,
	  0,
	  FLAG_BIT(FLAG_CLOCK_NOT_SET) },
	{ "month unknown",
	  KIND(LOCAL),
	  { 2026, 0, 23, 11, 55, 0 },
	  0,
	  SYNCED,
	  CLOCK(HUB_SYNCED),
	  0,
	  0,
	  FLAG_BIT(FLAG_CLOCK_NOT_SET) },
	{ "day unknown",
	  KIND(UTC),
	  { 2026, 11, 0, 11, 55, 0 },
	  0,
	  SYNCED,
	  CLOCK(HUB_SYNCED),
	  0,
	  0,
	  FLAG_BIT(FLAG_CLOCK_NOT_SET) },
	{ "30 February",
	  KIND(LOCAL),
	  { 2026, 2, 30, 11, 55, 0 },
	  0,
	  SYNCED,
	  CLOCK(HUB_SYNCED),
	  0,
	  0,
	  FLAG_BIT(FLAG_CLOCK_NOT_SET) },
	{ "29 February of no leap year",
	  KIND(LOCAL),
	  { 2025, 2, 29, 11, 55, 0 },
	  0,
	  SYNCED,
	  CLOCK(HUB_SYNCED),
	  0,
	  0,
	  FLAG_BIT(FLAG_CLOCK_NOT_SET) },
	{ "24 o'clock",
	  KIND(LOCAL),
	  { 2026, 11, 23, 24, 0, 0 },
	  0,
	  SYNCED,
	  CLOCK(HUB_SYNCED),
	  0,
	  0,
	  FLAG_BIT(FLAG_CLOCK_NOT_SET) },
	{ "month unknown, out of memory",
	  KIND(LOCAL),
	  { 2026, 0, 23, 11, 55, 0 },
	  0,
	  SYNCED | BACKFILL,
	  CLOCK(UNKNOWN),
	  NO_TIME,
	  0,
	  UNCERTAIN | FLAG_BIT(FLAG_CLOCK_NOT_SET) | FLAG_BIT(FLAG_BACKFILL) },
	{ "the device says it was never set",
	  KIND(LOCAL),
	  { 2026, 11, 20, 11, 55, 0 },
	  0,
	  SYNCED | NOT_SET,
	  CLOCK(HUB_SYNCED),
	  0,
	  0,
	  FLAG_BIT(FLAG_CLOCK_NOT_SET) },
	{ "5 minutes ahead",
	  KIND(LOCAL),
	  { 2026, 11, 23, 12, 5, 0 },
	  0,
	  SYNCED,
	  CLOCK(DEVICE_UNVERIFIED),
	  5 * MINUTE,
	  0,
	  0 },
	{ "more than 5 minutes ahead",
	  KIND(LOCAL),
	  { 2026, 11, 23, 12, 5, 1 },
	  0,
	  SYNCED,
	  CLOCK(UNKNOWN),
	  NO_TIME,
	  0,
	  UNCERTAIN },
	{ "before 2015",
	  KIND(LOCAL),
	  { 2014, 12, 31, 23, 59, 59 },
	  0,
	  SYNCED,
	  CLOCK(UNKNOWN),
	  NO_TIME,
	  0,
	  UNCERTAIN },
	{ "24 h old is not late",
	  KIND(LOCAL),
	  { 2026, 11, 22, 12, 0, 0 },
	  0,
	  SYNCED,
	  CLOCK(DEVICE_UNVERIFIED),
	  -24 * HOUR,
	  0,
	  0 },
	{ "a second more is late",
	  KIND(LOCAL),
	  { 2026, 11, 22, 11, 59, 59 },
	  0,
	  SYNCED,
	  CLOCK(DEVICE_UNVERIFIED),
	  -24 * HOUR - 1000,
	  0,
	  FLAG_BIT(FLAG_LATE) },
	{ "an hour that came by twice: the first, and uncertain",
	  KIND(LOCAL),
	  { 2026, 10, 25, 1, 30, 0 },
	  0,
	  SYNCED,
	  CLOCK(DEVICE_UNVERIFIED),
	  -29 * DAY - 11 * HOUR - 30 * MINUTE,
	  0,
	  UNCERTAIN | FLAG_BIT(FLAG_LATE) },
	{ "an hour that never was: as if still winter, and uncertain",
	  KIND(LOCAL),
	  { 2026, 3, 29, 1, 30, 0 },
	  0,
	  SYNCED,
	  CLOCK(DEVICE_UNVERIFIED),
	  -239 * DAY - 10 * HOUR - 30 * MINUTE,
	  0,
	  UNCERTAIN | FLAG_BIT(FLAG_LATE) },
	{ "the hour that came by twice, with an offset: one line",
	  KIND(LOCAL),
	  { 2026, 10, 25, 1, 30, 0 },
	  0,
	  SYNCED | OFFSET,
	  CLOCK(DEVICE_CORRECTED),
	  -29 * DAY - 10 * HOUR - 30 * MINUTE,
	  HOUR,
	  FLAG_BIT(FLAG_TIME_CORRECTED) | FLAG_BIT(FLAG_LATE) },
	{ "a kind from a later version",
	  (Wellgate__V1__DeviceTime__Kind)9,
	  { 2026, 11, 23, 11, 55, 0 },
	  0,
	  SYNCED,
	  CLOCK(UNKNOWN),
	  NO_TIME,
	  0,
	  UNCERTAIN },
};

static void make_row(const struct row *row, struct made *made)
{
	make_weight(made);
	if (!(row->how & NO_STAMP))
		make_time(made, row->kind, row->stamp);
	if (row->kind == KIND(TICKS)) {
		made->time.has_ticks = made->time.has_tick_us = true;
		made->time.ticks = 60;
		made->time.tick_us = 1000000;
	}
	made->m.has_clock_offset_ms = (row->how & OFFSET) != 0;
	made->m.clock_offset_ms = row->offset_min * MINUTE;
	made->m.has_clock_synced = made->m.clock_synced = (row->how & TRUSTED) != 0;
	if (row->how & BACKFILL)
		make_flag(made, FLAG_BACKFILL);
	if (row->how & NOT_SET)
		make_flag(made, FLAG_CLOCK_NOT_SET);
	if (row->how & DURATION) {
		made->m.has_duration_ms = true;
		made->m.duration_ms = 10 * MINUTE;
	}
}

static uint64_t flags_of(const Wellgate__V1__Reading *r)
{
	uint64_t flags = 0;

	for (size_t i = 0; i < r->n_flags; i++)
		flags |= FLAG_BIT((unsigned int)r->flags[i]);
	return flags;
}

static void test_rules(void **state)
{
	struct bench b;

	(void)state;
	bench_open(&b, "Europe/London", NULL, false);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct row *row = &rows[i];
		Wellgate__V1__Reading *r;
		struct made made;

		make_row(row, &made);
		b.receipt.synced = (row->how & SYNCED) != 0;
		r = bench_run(&b, &made);
		if (r->clock != row->clock || flags_of(r) != row->flags ||
		    r->has_measured_at_ms != (row->at_ms != NO_TIME) ||
		    (r->has_measured_at_ms && r->measured_at_ms != MAKE_NOW_MS + row->at_ms) ||
		    r->clock_correction_ms != row->correction_ms)
			fail_msg("%s: clock %d, flags %llx, %lld ms from receipt, correction %lld",
				 row->what, (int)r->clock, (unsigned long long)flags_of(r),
				 (long long)(r->measured_at_ms - MAKE_NOW_MS),
				 (long long)r->clock_correction_ms);
		assert_int_equal(r->has_utc_offset_min, r->has_measured_at_ms);
		arena_reset(&b.arena);
	}
	bench_close(&b);
}

static void test_utc_offset(void **state)
{
	static const unsigned int summer[6] = { 2026, 7, 1, 12, 0, 0 },
				  winter[6] = { 2026, 11, 23, 11, 0, 0 };
	struct made made;
	struct bench b;

	(void)state;
	bench_open(&b, "Europe/London", NULL, false);
	make_weight(&made);
	make_time(&made, KIND(LOCAL), summer);
	assert_int_equal(bench_run(&b, &made)->utc_offset_min, 60);
	make_time(&made, KIND(LOCAL), winter);
	assert_int_equal(bench_run(&b, &made)->utc_offset_min, 0);
	assert_int_equal(bench_run(&b, &made)->offset_source,
			 WELLGATE__V1__OFFSET_SOURCE__OFFSET_HUB_ZONE);
	bench_close(&b);
}

/* A hub that woke up in 1970 must not say that anything was measured then. */
static void test_hub_without_time(void **state)
{
	Wellgate__V1__Reading *r;
	struct made made;
	struct bench b;

	(void)state;
	bench_open(&b, "UTC", NULL, false);
	b.receipt.synced = false;
	b.receipt.utc_ms = 40000;
	make_weight(&made);
	r = bench_run(&b, &made);
	assert_int_equal(r->clock, CLOCK(UNKNOWN));
	assert_false(r->has_measured_at_ms);
	assert_true(reading_has_flag(r, FLAG_TIME_UNCERTAIN));
	assert_int_equal(r->received_at_ms, 40000); /* with boot id and boottime it can be mended */
	assert_int_equal(r->received_boottime_us, make_receipt.boottime_us);
	bench_close(&b);
}

static void make_seen(struct made *made, uint8_t boot, int64_t boottime_us, int64_t utc_ms)
{
	made->m.has_seen_boot_id = made->m.has_seen_boottime_us = made->m.has_seen_utc_ms = true;
	memcpy(made->boot_id, make_receipt.boot_id, 16);
	made->boot_id[0] = boot;
	made->m.seen_boot_id = (ProtobufCBinaryData){ 16, made->boot_id };
	made->m.seen_boottime_us = boottime_us;
	made->m.seen_utc_ms = utc_ms;
}

static void test_seen(void **state)
{
	Wellgate__V1__Reading *r;
	struct made made;
	struct bench b;

	(void)state;
	bench_open(&b, "UTC", NULL, false);
	/* the same boot: the steady clock counts, whatever the wall clock said then */
	make_weight(&made);
	make_seen(&made, 1, make_receipt.boottime_us - 90000000, 12345);
	r = bench_run(&b, &made);
	assert_int_equal(r->received_at_ms, MAKE_NOW_MS - 90000);
	assert_int_equal(r->received_boottime_us, make_receipt.boottime_us - 90000000);
	assert_int_equal(r->clock, CLOCK(HUB_SYNCED));
	/* another boot: the wall clock of then, which nobody vouches for */
	make_seen(&made, 9, 77, MAKE_NOW_MS - HOUR);
	r = bench_run(&b, &made);
	assert_int_equal(r->received_at_ms, MAKE_NOW_MS - HOUR);
	assert_int_equal(r->boot_id.data[0], 9);
	assert_int_equal(r->clock, CLOCK(RECEIPT_UNSYNCED));
	/* from the future of this boot: impossible, so not believed */
	make_seen(&made, 1, make_receipt.boottime_us + 1, MAKE_NOW_MS - HOUR);
	assert_int_equal(bench_run(&b, &made)->clock, CLOCK(RECEIPT_UNSYNCED));
	/* only a part of the stamp: the receipt stands in */
	made.m.has_seen_utc_ms = false;
	assert_int_equal(bench_run(&b, &made)->received_at_ms, MAKE_NOW_MS);
	make_seen(&made, 1, 1, 1);
	made.m.seen_boot_id.len = 15;
	assert_int_equal(bench_try(&b, &made, &r), -EBADMSG);
	bench_close(&b);
}

static void test_simulated(void **state)
{
	Wellgate__V1__Reading *r;
	struct made made;
	struct bench b;

	(void)state;
	bench_open(&b, "UTC", NULL, false);
	b.receipt.synced = false; /* of no matter: the capture stands for its own time */
	make_weight(&made);
	make_simulated(&made, MAKE_NOW_MS - 100 * DAY);
	r = bench_run(&b, &made);
	assert_int_equal(r->measured_at_ms, MAKE_NOW_MS - 100 * DAY);
	assert_int_equal(r->received_at_ms, MAKE_NOW_MS - 100 * DAY);
	assert_int_equal(r->clock, CLOCK(HUB_SYNCED));
	assert_true(reading_has_flag(r, FLAG_TEST));
	assert_false(reading_has_flag(r, FLAG_LATE));
	assert_false(r->has_boot_id);
	made.m.test = false; /* a real reading may not choose its time of receipt */
	assert_int_equal(bench_try(&b, &made, &r), -EBADMSG);
	bench_close(&b);
}

static void test_durations(void **state)
{
	static const int64_t bad[] = { -1, INT64_MIN, INT64_MAX, 31 * DAY + 1 };
	Wellgate__V1__Reading *r;
	struct made made;
	struct bench b;

	(void)state;
	bench_open(&b, "UTC", NULL, false);
	make_weight(&made);
	made.m.has_duration_ms = true;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		made.m.duration_ms = bad[i];
		assert_int_equal(bench_try(&b, &made, &r), -EBADMSG);
	}
	bench_close(&b);
}

static void test_receipt_now(void **state)
{
	struct receipt a, b;
	uint8_t zeros[16] = { 0 };

	(void)state;
	receipt_now(&a);
	receipt_now(&b);
	assert_true(b.boottime_us >= a.boottime_us);
	assert_memory_equal(a.boot_id, b.boot_id, 16);
	assert_memory_not_equal(a.boot_id, zeros, 16);
	assert_true(a.utc_ms > INT64_C(1700000000000));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rules),
		cmocka_unit_test(test_utc_offset),
		cmocka_unit_test(test_hub_without_time),
		cmocka_unit_test(test_seen),
		cmocka_unit_test(test_simulated),
		cmocka_unit_test(test_durations),
		cmocka_unit_test(test_receipt_now),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
