/* links: drivers */
/* Dumps of Fitbit trackers as measurements: what each record becomes, what must not come out. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "drivers/fitbit.h"
#include "drivers/session.h"
#include "tests/unit/fitbit_make.h"

#define N(a)  (sizeof(a) / sizeof((a)[0]))
#define SAID  64
#define NIGHT INT64_C(1699999200) /* 2023-11-14T22:00:00Z: midnight two hours east */

static const uint8_t key[FITBIT_KEY_SIZE] = {
	0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
};

static struct make made;
static uint8_t payload[4096];
static size_t filled;

/* alone in a struct: an array of measurements is checked for its padding */
static struct heard {
	struct measurement m;
} heard[SAID];
static size_t n_said;
static struct fitbit_told told;
static int east = 120;

/* ---- dumps ---- */

static void put(uint32_t value, size_t n)
{
	for (size_t i = 0; i < n; i++)
		payload[filled++] = (uint8_t)(value >> 8 * i);
}

static void anchor(int64_t at)
{
	for (int shift = 24; shift >= 0; shift -= 8)
		payload[filled++] = (uint8_t)(at >> shift);
}

static void minute(uint8_t met, uint8_t steps)
{
	payload[filled++] = 0x81;
	payload[filled++] = met;
	payload[filled++] = steps;
	payload[filled++] = 0;
}

static void day(int64_t at, uint16_t met, uint32_t steps, uint32_t active)
{
	put((uint32_t)at, 4);
	put(met, 2);
	put(steps, 4);
	put(steps * 700, 4);
	put(25, 2);
	put(active, 4);
}

static void flush_section(void)
{
	make_section(&made, payload, filled);
	filled = 0;
}

static void begin(bool encrypted)
{
	make_begin(&made, 0x2c, FITBIT_FLEX, encrypted);
	make_section(&made, NULL, 0);
	filled = 0;
}

static void minutes_end(void)
{
	flush_section();
	make_section(&made, NULL, 0);
}

static void days_end(bool encrypted)
{
	flush_section();
	make_unframed(&made);
	make_section(&made, NULL, 0);
	make_end(&made, encrypted ? key : NULL, false);
}

/* ---- what is said ---- */

static int hear(void *user, const struct measurement *m, const struct fitbit_record *record)
{
	(void)user;
	assert_true(n_said < SAID);
	assert_true(record || (m->flags & FLAG_BIT(FLAG_UNAVAILABLE)));
	heard[n_said++].m = *m;
	return 0;
}

static int measure_bytes(const uint8_t *data, size_t len, const struct fitbit_rules *rules)
{
	struct fitbit_dump d;
	int r = fitbit_dump_recognise(data, len, &d);

	n_said = 0;
	return r < 0 ? r : fitbit_measure(&d, key, rules, hear, NULL, &told);
}

static void measure(const struct fitbit_rules *rules)
{
	assert_int_equal(measure_bytes(made.out, made.len, rules), 0);
}

static const struct fitbit_rules in_zone = { .midnight = fitbit_midnight_at_offset, .zone = &east };

static void check_time(const struct measurement *m, unsigned int hour, unsigned int min)
{
	assert_int_equal(m->time.kind, DEVICE_TIME_UTC);
	assert_int_equal(m->time.year, 2023);
	assert_int_equal(m->time.month, 11);
	assert_int_equal(m->time.day, 14);
	assert_int_equal(m->time.hour, hour);
	assert_int_equal(m->time.minute, min);
	assert_int_equal(m->time.second, 0);
}

static int64_t value(const struct measurement *m, enum metric metric)
{
	for (unsigned int i = 0; i < m->n_parts; i++)
		if (m->parts[i].metric == metric && m->parts[i].number.absent == ABSENT_NO)
			return m->parts[i].number.value.mantissa;
	fail_msg("no metric %d", (int)metric);
	return -1;
}

/* 22:00 two minutes, a gap of one, 22:03 one; a snapshot within the last */
static void small_dump(bool encrypted)
{
	begin(encrypted);
	anchor(NIGHT);
	minute(30, 90);
	minute(10, 0);
	anchor(NIGHT + 180);
	minute(28, 0xdb);
	minutes_end();
	day(NIGHT, 15000, 4000, 30);
	day(NIGHT + 200, 68, 90 + 0xdb, 2);
	days_end(encrypted);
}

static void test_minutes(void **state)
{
	static const uint8_t steps[] = { 90, 0, 0xdb }, at[] = { 0, 1, 3 };

	(void)state;
	for (int encrypted = 0; encrypted < 2; encrypted++) {
		small_dump(encrypted);
		measure(&in_zone);
		assert_int_equal(told.minutes, 3);
		assert_int_equal(told.refused + told.running, 0);
		assert_int_equal(told.device.percent, 80);
		assert_int_equal(n_said, 5);
		assert_int_equal(told.total, 5);
		for (size_t i = 0; i < N(steps); i++) {
			const uint64_t ongoing = i == 2 ? FLAG_BIT(FLAG_ONGOING) : 0;

			check_time(&heard[i].m, 22, at[i]);
			assert_true(measurement_is_final(&heard[i].m));
			assert_true(heard[i].m.has_duration && heard[i].m.duration_ms == 60000);
			assert_int_equal(heard[i].m.metric, METRIC_STEPS);
			assert_int_equal(heard[i].m.n_parts, 1);
			assert_int_equal(value(&heard[i].m, METRIC_STEPS), steps[i]);
			assert_int_equal(heard[i].m.flags, FLAG_BIT(FLAG_BACKFILL) | ongoing);
		}
	}
}

/* the minute that still counts is left for the next sync, no other */
static void test_settled(void **state)
{
	struct fitbit_rules rules = in_zone;

	(void)state;
	rules.settled = true;
	small_dump(false);
	measure(&rules);
	assert_int_equal(told.running, 1);
	assert_int_equal(told.minutes, 3);
	assert_int_equal(n_said, 4);
	begin(false);
	anchor(NIGHT);
	minute(30, 90);
	minutes_end();
	day(NIGHT + 60, 30, 90, 1);
	days_end(false);
	measure(&rules);
	assert_int_equal(told.running, 0);
	assert_int_equal(n_said, 2);
}

/* A snapshot is of the day from its midnight; the one at midnight is of the day that ended. */
static void test_days(void **state)
{
	(void)state;
	small_dump(false);
	measure(&in_zone);
	assert_int_equal(told.days, 2);
	assert_int_equal(heard[3].m.time.day, 13);
	assert_int_equal(heard[3].m.time.hour, 22);
	assert_int_equal(heard[3].m.duration_ms, 86400000);
	assert_int_equal(heard[3].m.flags, FLAG_BIT(FLAG_BACKFILL));
	assert_int_equal(value(&heard[3].m, METRIC_STEPS), 4000);
	check_time(&heard[4].m, 22, 0);
	assert_int_equal(heard[4].m.duration_ms, 200000);
	assert_int_equal(heard[4].m.flags, FLAG_BIT(FLAG_BACKFILL) | FLAG_BIT(FLAG_ONGOING));
	assert_int_equal(value(&heard[4].m, METRIC_STEPS), 309);
	assert_int_equal(value(&heard[4].m, METRIC_DISTANCE), 309 * 700);
	assert_int_equal(value(&heard[4].m, METRIC_FLOORS), 25);
	assert_int_equal(value(&heard[4].m, METRIC_ACTIVE_MINUTES), 2);
	assert_string_equal(heard[4].m.context, "day");
	assert_int_equal(heard[4].m.n_parts, 4);
}

static void test_no_zone(void **state)
{
	const struct fitbit_rules nothing = { .limit = 0 };

	(void)state;
	small_dump(false);
	measure(&nothing);
	assert_int_equal(n_said, 5);
	for (size_t i = 3; i < 5; i++) {
		assert_false(heard[i].m.has_duration);
		assert_false(measurement_is_final(&heard[i].m));
	}
	assert_int_equal(heard[4].m.time.minute, 3);
	assert_int_equal(heard[4].m.time.second, 20);
}

/* lesser than before on the same day; nothing recorded is no zero */
static void test_odd_days(void **state)
{
	(void)state;
	begin(false);
	minutes_end();
	day(NIGHT + 600, 100, 50, 0);
	day(NIGHT + 1200, 200, 40, 0);
	day(NIGHT + 86400 + 60, 10, 3, 0);
	put((uint32_t)NIGHT + 2 * 86400, 4);
	put(0, 4);
	put(0, 4);
	put(0, 4);
	put(0, 4);
	days_end(false);
	measure(&in_zone);
	assert_int_equal(n_said, 3);
	assert_int_equal(told.days, 3);
	assert_false(heard[0].m.flags & FLAG_BIT(FLAG_INCONSISTENT));
	assert_true(heard[1].m.flags & FLAG_BIT(FLAG_INCONSISTENT));
	assert_false(heard[2].m.flags & FLAG_BIT(FLAG_INCONSISTENT));
}

/* times that cannot be, and a clock that was put back */
static void test_clock(void **state)
{
	struct fitbit_rules rules = in_zone;

	(void)state;
	rules.latest = NIGHT + 600;
	begin(false);
	minute(10, 1); /* before any time */
	anchor(FITBIT_TIME_MIN - 60);
	minute(10, 2);
	minute(10, 3);
	anchor(NIGHT + 540);
	minute(10, 4);
	minute(10, 5);
	minute(10, 6); /* too late */
	anchor(NIGHT + 600);
	minute(10, 7);
	minutes_end();
	day(NIGHT + 601, 10, 4, 0);
	days_end(false);
	measure(&rules);
	assert_int_equal(told.minutes, 4);
	assert_int_equal(told.refused, 4);
	assert_int_equal(n_said, 5);
	assert_int_equal(value(&heard[0].m, METRIC_STEPS), 3);
	assert_int_equal(heard[1].m.flags, FLAG_BIT(FLAG_BACKFILL));
	assert_int_equal(heard[3].m.flags, FLAG_BIT(FLAG_BACKFILL) | FLAG_BIT(FLAG_TIME_UNCERTAIN));
	assert_true(heard[4].m.flags & FLAG_BIT(FLAG_CLOCK_NOT_SET));
	assert_false(measurement_is_final(&heard[4].m));
	assert_int_equal(heard[4].m.n_parts, 0);
}

static void test_energy(void **state)
{
	struct fitbit_rules rules = in_zone;

	(void)state;
	rules.resting_kcal = 1440; /* a kcal a minute */
	small_dump(false);
	measure(&rules);
	assert_int_equal(n_said, 7);
	assert_int_equal(heard[4].m.metric, METRIC_ENERGY);
	assert_string_equal(heard[4].m.context, "estimated");
	assert_int_equal(value(&heard[4].m, METRIC_ENERGY), 1500000);
	assert_int_equal(heard[4].m.parts[0].number.value.exponent, -3);
	assert_int_equal(value(&heard[6].m, METRIC_ENERGY), 6800);
	assert_int_equal(heard[6].m.duration_ms, 200000);
}

static void check_same(const struct measurement *a, const struct measurement *b)
{
	assert_int_equal(value(a, METRIC_STEPS), value(b, METRIC_STEPS));
	assert_int_equal(a->time.day, b->time.day);
	assert_int_equal(a->time.hour, b->time.hour);
	assert_int_equal(a->time.minute, b->time.minute);
	assert_int_equal(a->duration_ms, b->duration_ms);
	assert_int_equal(a->flags, b->flags);
}

/* in pieces it is the same as in one */
static void test_pieces(void **state)
{
	struct heard all[8];

	(void)state;
	small_dump(false);
	measure(&in_zone);
	memcpy(all, heard, sizeof(all));
	for (size_t limit = 1; limit < 7; limit++) {
		struct fitbit_rules rules = in_zone;
		size_t n = 0;

		rules.limit = limit;
		for (rules.skip = 0; rules.skip < told.total; rules.skip += limit) {
			measure(&rules);
			assert_true(n_said <= limit);
			for (size_t i = 0; i < n_said && n < N(all); i++, n++)
				check_same(&heard[i].m, &all[n].m);
		}
		assert_int_equal(n, 5);
	}
}

static void test_midnight(void **state)
{
	static const struct {
		int east;
		int64_t at, want;
	} rows[] = {
		{ 120, NIGHT, NIGHT },
		{ 120, NIGHT - 1, NIGHT - 86400 },
		{ 0, NIGHT, NIGHT - 79200 },
		{ -300, NIGHT, NIGHT - 79200 + 18000 },
		{ 0, 0, 0 },
		{ -60, 0, -82800 },
	};

	(void)state;
	for (size_t i = 0; i < N(rows); i++) {
		int minutes = rows[i].east;
		int64_t got = 1;

		assert_int_equal(fitbit_midnight_at_offset(&minutes, rows[i].at, &got), 0);
		assert_int_equal(got, rows[i].want);
	}
}

/* ---- damage: nothing is said of a dump with any fault ---- */

static bool classified(int r)
{
	return r == -EMSGSIZE || r == -ENOMSG || r == -EBADMSG || r == -EOPNOTSUPP ||
	       r == -ENOKEY || r == -EKEYREJECTED;
}

static void test_damage(void **state)
{
	uint32_t dice = 7;

	(void)state;
	for (unsigned int i = 0; i < 10000; i++) {
		size_t len;

		small_dump(i % 2);
		len = i / 2 < made.len ? i / 2 : made.len;
		if (len == made.len) {
			dice = dice * 1664525U + 1013904223U;
			made.out[16 + (dice >> 8) % (len - 16)] ^= (uint8_t)(1U << (dice >> 29));
		}
		assert_true(classified(measure_bytes(made.out, len, &in_zone)));
		assert_int_equal(n_said, 0);
	}
}

/* ---- through a session, as a driver does it ---- */

static int emit_on_frame(struct drv_ctx *ctx, const struct drv_frame *frame)
{
	struct fitbit_dump d;
	int r = fitbit_dump_recognise(frame->data, frame->len, &d);

	return r < 0 ? r : fitbit_emit(ctx, &d, key, &in_zone, &told);
}

static void count_measurement(void *user, const struct measurement *m, uint64_t seq)
{
	(void)m;
	(void)seq;
	*(size_t *)user += 1;
}

static void no_request(void *user, const struct session_request *request)
{
	(void)user;
	(void)request;
}

static void no_confirm(void *user, uint16_t channel)
{
	(void)user;
	(void)channel;
}

static void no_fault(void *user, uint16_t channel, enum session_fault fault, int r)
{
	(void)user;
	(void)channel;
	(void)fault;
	(void)r;
}

static void test_emit(void **state)
{
	static const struct drv_match match[] = { { 0 } };
	static const struct drv_channel channels[] = { { .id = 1, .mode = DRV_NOTIFY }, { 0 } };
	static const struct driver driver = { .name = "test",
					      .label = "test",
					      .match = match,
					      .channels = channels,
					      .maturity = DRV_BY_SPECIFICATION,
					      .frame = emit_on_frame };
	size_t count = 0;
	const struct session_sink sink = {
		count_measurement, no_request, no_confirm, no_fault, NULL, NULL, &count
	};
	struct session *s = NULL;
	uint64_t seq = 1;
	struct drv_frame frame = { .channel = 1, .data = made.out };

	(void)state;
	small_dump(true);
	frame.len = made.len;
	assert_int_equal(session_new(&driver, 0, &sink, &seq, &s), 0);
	assert_int_equal(session_open(s, LINK_CABLE, 0), 0);
	assert_int_equal(session_frame(s, &frame, false, 0), 0);
	assert_int_equal(count, 5);
	assert_string_equal(session_facts(s)->text[DRV_MAKE], "Fitbit");
	assert_string_equal(session_facts(s)->text[DRV_MODEL], "Flex");
	assert_string_equal(session_facts(s)->text[DRV_SERIAL], "10ffee000107");
	assert_string_equal(session_facts(s)->text[DRV_FIRMWARE], "7.89");
	assert_string_equal(session_facts(s)->identity, "fitbit:10ffee000107");
	assert_int_equal(session_facts(s)->battery, 80);
	made.out[40] ^= 1;
	assert_int_not_equal(session_frame(s, &frame, false, 0), 0);
	assert_int_equal(count, 5);
	session_free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_minutes),  cmocka_unit_test(test_settled),
		cmocka_unit_test(test_days),     cmocka_unit_test(test_no_zone),
		cmocka_unit_test(test_odd_days), cmocka_unit_test(test_clock),
		cmocka_unit_test(test_energy),   cmocka_unit_test(test_pieces),
		cmocka_unit_test(test_midnight), cmocka_unit_test(test_damage),
		cmocka_unit_test(test_emit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
