/* links: gateway_intake gateway_goals gateway_base */
#include "gateway/intake/anchor.h"
#include "intake_make.h"

#include <errno.h>

#define KIND(name)  WELLGATE__V1__DEVICE_TIME__KIND__KIND_##name
#define CLOCK(name) WELLGATE__V1__CLOCK_QUALITY__CLOCK_##name
#define SECOND_MS   INT64_C(1000)
#define MINUTE_MS   INT64_C(60000)
#define HOUR_MS     INT64_C(3600000)
#define DAY_MS      (24 * HOUR_MS)

static const uint8_t boot_a[16] = { 0xa }, boot_b[16] = { 0xb }, boot_none[16];

/* boot: its first byte; ms: of the steady clock */
static struct receipt at(uint8_t boot, int64_t utc_ms, int64_t ms, bool synced)
{
	return (struct receipt){
		.utc_ms = utc_ms, .boottime_us = ms * 1000, .boot_id = { boot }, .synced = synced
	};
}

/* ---- the pure part */

static void test_one_number_per_boot(void **state)
{
	struct anchors a = { 0 };
	struct receipt now = at(0xa, MAKE_NOW_MS, 3 * DAY_MS, false);
	struct anchored ret = { .utc_ms = 7 };

	(void)state;
	assert_int_equal(anchor_by_hub(&a, &now), 0);
	assert_int_equal(anchor_utc(&a, boot_a, 0, &ret), -ENOENT);
	assert_int_equal(ret.utc_ms, 7);
	now.synced = true;
	assert_int_equal(anchor_by_hub(&a, &now), 1);
	assert_int_equal(anchor_by_hub(&a, &now), 0);
	assert_int_equal(anchor_utc(&a, boot_a, 1000000, &ret), 0);
	assert_int_equal(ret.grade, ANCHOR_HUB);
	assert_int_equal(ret.utc_ms, MAKE_NOW_MS - 3 * DAY_MS + 1000);
	assert_int_equal(ret.error_ms, 25919); /* 100 ppm of three days less a second */
	assert_int_equal(anchor_utc(&a, boot_b, 1000000, &ret), -ENOENT);
}

/* The steady clock counts on during suspend; the wall clock is slewed, or stepped. */
static void test_step(void **state)
{
	struct anchors a = { 0 };
	struct receipt first = at(0xa, MAKE_NOW_MS, HOUR_MS, true);
	struct receipt slewed = at(0xa, MAKE_NOW_MS + DAY_MS + 999, HOUR_MS + DAY_MS, true);
	struct receipt stepped = at(0xa, MAKE_NOW_MS + DAY_MS + 1000, HOUR_MS + DAY_MS, true);
	struct anchored ret;

	(void)state;
	assert_int_equal(anchor_by_hub(&a, &first), 1);
	assert_int_equal(anchor_by_hub(&a, &slewed), 0);
	assert_int_equal(anchor_utc(&a, boot_a, 0, &ret), 0);
	assert_int_equal(ret.utc_ms, MAKE_NOW_MS - HOUR_MS);
	stepped.synced = false; /* by hand, say: nobody vouches for it */
	assert_int_equal(anchor_by_hub(&a, &stepped), 0);
	stepped.synced = true;
	assert_int_equal(anchor_by_hub(&a, &stepped), 1);
	assert_int_equal(anchor_utc(&a, boot_a, 0, &ret), 0);
	assert_int_equal(ret.utc_ms, MAKE_NOW_MS - HOUR_MS + 1000);
}

static void test_by_device(void **state)
{
	struct anchors a = { 0 };
	struct receipt hub = at(0xa, MAKE_NOW_MS, HOUR_MS, true);
	struct receipt now = at(0xb, MAKE_NOW_MS + DAY_MS, HOUR_MS, true);
	struct anchored ret;

	(void)state;
	/* ahead of now; in this boot; compared with a clock that nobody vouches for */
	assert_int_equal(anchor_by_device(&a, boot_a, 1, MAKE_NOW_MS + DAY_MS, 1, &now), 0);
	assert_int_equal(anchor_by_device(&a, boot_b, 1, MAKE_NOW_MS, 1, &now), 0);
	now.synced = false;
	assert_int_equal(anchor_by_device(&a, boot_a, 1, MAKE_NOW_MS, 1, &now), 0);
	now.synced = true;
	/* a reading that the device had kept for a day, then one that came at once */
	assert_int_equal(anchor_by_device(&a, boot_a, 1000000, MAKE_NOW_MS - DAY_MS, 5000, &now),
			 1);
	assert_int_equal(anchor_by_device(&a, boot_a, 2000000, MAKE_NOW_MS, 5000, &now), 1);
	assert_int_equal(anchor_by_device(&a, boot_a, 3000000, MAKE_NOW_MS - HOUR_MS, 5000, &now),
			 0);
	assert_int_equal(anchor_utc(&a, boot_a, 62000000, &ret), 0);
	assert_int_equal(ret.grade, ANCHOR_DEVICE);
	assert_int_equal(ret.utc_ms, MAKE_NOW_MS + 5000 + MINUTE_MS);
	assert_int_equal(ret.error_ms, ANCHOR_DEVICE_ERROR_MS + 6);
	/* the hub's own clock is better, whichever came first */
	assert_int_equal(anchor_by_hub(&a, &hub), 1);
	assert_int_equal(anchor_by_device(&a, boot_a, 2000000, MAKE_NOW_MS + HOUR_MS, 5000, &now),
			 0);
	assert_int_equal(anchor_utc(&a, boot_a, 0, &ret), 0);
	assert_int_equal(ret.grade, ANCHOR_HUB);
	assert_int_equal(ret.utc_ms, MAKE_NOW_MS - HOUR_MS);
}

static void test_impossible(void **state)
{
	struct anchors a = { 0 };
	struct receipt early = at(0xa, 40 * SECOND_MS, 10, true); /* "synchronised" in 1970 */
	struct receipt nowhere = at(0, MAKE_NOW_MS, 10, true);
	struct receipt good = at(0xa, MAKE_NOW_MS, 10, true);
	struct receipt now = at(0xb, INT64_MAX, 10, true);
	struct anchored ret;

	(void)state;
	assert_int_equal(anchor_by_hub(&a, &early), 0);
	assert_int_equal(anchor_by_hub(&a, &nowhere), 0);
	assert_int_equal(anchor_by_device(&a, boot_none, 0, MAKE_NOW_MS, 0, &now), 0);
	assert_int_equal(anchor_by_device(&a, boot_a, 0, INT64_MAX, 1, &now), 0);
	assert_int_equal(anchor_by_device(&a, boot_a, 0, INT64_MAX / 2, 1, &now), 0);
	assert_int_equal(anchor_by_device(&a, boot_a, -1, MAKE_NOW_MS, 1, &now), 0);
	assert_int_equal(anchor_utc(&a, boot_a, 0, &ret), -ENOENT);
	assert_int_equal(anchor_by_hub(&a, &good), 1);
	assert_int_equal(anchor_utc(&a, boot_a, -1, &ret), -ERANGE);
	good = at(0xb, MAKE_NOW_MS, 20000 * DAY_MS, true);
	assert_int_equal(anchor_by_hub(&a, &good), 1);
	assert_int_equal(anchor_utc(&a, boot_b, 0, &ret), -ERANGE);
	assert_int_equal(anchor_utc(&a, boot_a, INT64_MAX, &ret), -ERANGE);
}

static void test_many_boots(void **state)
{
	struct anchors a = { 0 };
	struct anchored ret;

	(void)state;
	for (unsigned int i = 1; i <= ANCHOR_BOOTS + 1; i++) {
		struct receipt now = at((uint8_t)i, MAKE_NOW_MS + i, 0, true);

		assert_int_equal(anchor_by_hub(&a, &now), 1);
	}
	for (unsigned int i = 1; i <= ANCHOR_BOOTS + 1; i++) {
		const uint8_t boot[16] = { (uint8_t)i };

		assert_int_equal(anchor_utc(&a, boot, 0, &ret), i == 1 ? -ENOENT : 0);
		assert_true(i == 1 || ret.utc_ms == MAKE_NOW_MS + i);
	}
}

/* ---- a hub that wakes up in 1970 */

static void make_seen(struct made *made, const struct receipt *when)
{
	made->m.has_seen_boot_id = made->m.has_seen_boottime_us = made->m.has_seen_utc_ms = true;
	memcpy(made->boot_id, when->boot_id, 16);
	made->m.seen_boot_id = (ProtobufCBinaryData){ 16, made->boot_id };
	made->m.seen_boottime_us = when->boottime_us;
	made->m.seen_utc_ms = when->utc_ms;
}

static void open_hub(struct bench *b)
{
	bench_open(b, "Europe/London", "p-1", false);
}

/* the weight that came at `when`; a different one each time */
static Wellgate__V1__Reading *weigh(struct bench *b, const struct receipt *when, int64_t value)
{
	struct made made;

	make_weight(&made);
	made.values[0].mantissa = value;
	make_seen(&made, when);
	b->receipt = *when;
	return bench_run(b, &made);
}

static const Wellgate__V1__Reading *retime(struct bench *b, const Wellgate__V1__Reading *old)
{
	Wellgate__V1__Reading *r = NULL;

	assert_int_equal(intake_retime(b->in, old, &b->arena, &r), 1);
	return r;
}

/* Powered on at T without a clock: 1970. Three days without network, a reading every 5 h 17 s, then
 * NTP: each has its time to the second, as if the hub had known it all along. */
static void test_three_days_in_1970(void **state)
{
	enum {
		READINGS = 14
	};
	const int64_t power_on = MAKE_NOW_MS - 3 * DAY_MS;
	const int64_t every = 5 * HOUR_MS + 17 * SECOND_MS;
	const Wellgate__V1__Reading *old[READINGS];
	struct receipt ntp;
	struct bench b;

	(void)state;
	open_hub(&b);
	for (int i = 0; i < READINGS; i++) {
		const int64_t ms = 20 * SECOND_MS + i * every;
		const struct receipt when = at(0xa, ms, ms, false);

		old[i] = weigh(&b, &when, 700 + i);
		assert_int_equal(old[i]->clock, CLOCK(UNKNOWN));
		assert_false(old[i]->has_measured_at_ms);
		assert_int_equal(old[i]->time_fault, WELLGATE__V1__TIME_FAULT__TIME_FAULT_HUB);
		assert_int_equal(intake_anchor(b.in, &when), 0);
	}
	ntp = at(0xa, power_on + 3 * DAY_MS, 3 * DAY_MS, true);
	assert_int_equal(intake_anchor(b.in, &ntp), 1);
	assert_int_equal(intake_anchor(b.in, &ntp), 0);
	for (int i = 0; i < READINGS; i++) {
		const Wellgate__V1__Reading *r = retime(&b, old[i]);

		assert_int_equal(r->clock, CLOCK(HUB_SYNCED));
		assert_int_equal(r->measured_at_ms, power_on + 20 * SECOND_MS + i * every);
		assert_int_equal(r->received_at_ms, r->measured_at_ms);
		assert_false(reading_has_flag(r, FLAG_TIME_UNCERTAIN));
		assert_false(r->has_time_fault);
		assert_int_equal(r->revision, 2);
		assert_memory_equal(r->replaces.data, old[i]->reading_id.data, 16);
		assert_memory_not_equal(r->reading_id.data, old[i]->reading_id.data, 16);
		assert_memory_equal(r->dedupe_key.data, old[i]->dedupe_key.data, 16);
		assert_string_equal(r->subject, "p-1");
		assert_int_equal(r->components[0]->value->mantissa, 700 + i);
	}
	bench_close(&b);
}

/* A crystal that nobody guides is off by minutes after a month: then the time is said to be. */
static void test_forty_days(void **state)
{
	const struct receipt first = at(0xa, MINUTE_MS, MINUTE_MS, false);
	const struct receipt later = at(0xa, 10 * DAY_MS, 10 * DAY_MS, false);
	const struct receipt ntp = at(0xa, MAKE_NOW_MS, 40 * DAY_MS, true);
	const Wellgate__V1__Reading *far, *near;
	struct bench b;

	(void)state;
	open_hub(&b);
	far = weigh(&b, &first, 700);
	near = weigh(&b, &later, 710);
	assert_int_equal(intake_anchor(b.in, &ntp), 1);
	far = retime(&b, far);
	assert_int_equal(far->clock, CLOCK(HUB_SYNCED));
	assert_true(reading_has_flag(far, FLAG_TIME_UNCERTAIN)); /* 5 min 45 s */
	near = retime(&b, near);
	assert_false(reading_has_flag(near, FLAG_TIME_UNCERTAIN)); /* 4 min 19 s */
	bench_close(&b);
}

/* The plug is pulled before NTP came: nobody will ever know, and nobody pretends to. */
static void test_power_cut(void **state)
{
	const struct receipt lost = at(0xa, HOUR_MS, HOUR_MS, false);
	const struct receipt fake = at(0xa, MAKE_NOW_MS - 9 * DAY_MS, 2 * HOUR_MS, false);
	const struct receipt ntp = at(0xb, MAKE_NOW_MS, MINUTE_MS, true);
	const Wellgate__V1__Reading *held, *graded;
	Wellgate__V1__Reading *r = NULL;
	struct made again;
	struct bench b;

	(void)state;
	open_hub(&b);
	held = weigh(&b, &lost, 700);
	graded = weigh(&b, &fake, 710); /* the clock as it was saved at the last shutdown */
	assert_int_equal(held->clock, CLOCK(UNKNOWN));
	assert_int_equal(graded->clock, CLOCK(RECEIPT_UNSYNCED));
	b.receipt = ntp;
	assert_int_equal(intake_anchor(b.in, &ntp), 1);
	assert_int_equal(intake_retime(b.in, held, &b.arena, &r), 0);
	assert_int_equal(intake_retime(b.in, graded, &b.arena, &r), 0);
	/* nor if the devices process sends it again in the new boot */
	make_weight(&again);
	make_seen(&again, &lost);
	r = bench_run(&b, &again);
	assert_int_equal(r->clock, CLOCK(UNKNOWN));
	assert_false(r->has_measured_at_ms);
	bench_close(&b);
}

/* The same, but a cuff with a clock was heard in that boot, and is heard again in this one. */
static void test_power_cut_with_a_device(void **state)
{
	static const unsigned int stamp[6] = { 2026, 11, 20, 9, 0, 0 }; /* 3 min slow */
	const struct receipt heard = at(0xa, HOUR_MS, HOUR_MS, false);
	const struct receipt now = at(0xb, MAKE_NOW_MS, MINUTE_MS, true);
	const struct receipt weighed = at(0xa, 2 * HOUR_MS, 2 * HOUR_MS, false);
	const Wellgate__V1__Reading *cuff, *scale, *r;
	Wellgate__V1__Reading *none = NULL, synced;
	struct made made;
	struct bench b;

	(void)state;
	open_hub(&b);
	make_weight(&made);
	make_time(&made, KIND(LOCAL), stamp);
	make_seen(&made, &heard);
	b.receipt = heard;
	cuff = bench_run(&b, &made);
	assert_int_equal(cuff->clock, CLOCK(UNKNOWN)); /* fifty years ahead of the hub */
	scale = weigh(&b, &weighed, 700);
	assert_int_equal(intake_anchor_by_device(b.in, scale, 3 * MINUTE_MS, &now), 0);
	assert_int_equal(intake_anchor_by_device(b.in, cuff, 3 * MINUTE_MS, &now), 1);
	r = retime(&b, scale);
	assert_int_equal(r->clock, CLOCK(RECEIPT_UNSYNCED));
	assert_true(reading_has_flag(r, FLAG_TIME_UNCERTAIN));
	/* 2026-11-20T09:03Z and an hour */
	assert_int_equal(r->measured_at_ms, MAKE_NOW_MS - 3 * DAY_MS - 2 * HOUR_MS + 3 * MINUTE_MS);
	r = retime(&b, cuff);
	assert_int_equal(r->clock, CLOCK(DEVICE_UNVERIFIED));
	assert_true(reading_has_flag(r, FLAG_TIME_UNCERTAIN));
	assert_int_equal(r->measured_at_ms, MAKE_NOW_MS - 3 * DAY_MS - 3 * HOUR_MS);
	/* a graded anchor does not touch what a synchronised clock has timed */
	synced = *scale;
	synced.clock = CLOCK(HUB_SYNCED);
	synced.has_measured_at_ms = true;
	synced.received_at_ms = synced.measured_at_ms = MAKE_NOW_MS - DAY_MS;
	assert_int_equal(intake_retime(b.in, &synced, &b.arena, &none), 0);
	bench_close(&b);
}

/* ---- what else is judged anew, and what is not */

static void test_restart_and_resent(void **state)
{
	const struct receipt early = at(0xa, HOUR_MS, HOUR_MS, false);
	const struct receipt later = at(0xa, MAKE_NOW_MS, 2 * HOUR_MS, true);
	const struct receipt next = at(0xb, MAKE_NOW_MS + DAY_MS, MINUTE_MS, false);
	const Wellgate__V1__Reading *stored;
	Wellgate__V1__Reading *r;
	struct bench before, after;
	struct made made;

	(void)state;
	open_hub(&before);
	stored = weigh(&before, &later, 700);
	assert_int_equal(stored->clock, CLOCK(HUB_SYNCED));
	assert_int_equal(intake_anchor(before.in, &later), 1); /* the reading had noticed it */
	open_hub(&after);
	intake_remember(after.in, stored);
	/* another boot, without network yet: what was heard in the one before has its time */
	make_weight(&made);
	make_seen(&made, &early);
	after.receipt = next;
	r = bench_run(&after, &made);
	assert_int_equal(r->clock, CLOCK(HUB_SYNCED));
	assert_int_equal(r->measured_at_ms, MAKE_NOW_MS - HOUR_MS);
	assert_int_equal(r->received_at_ms, MAKE_NOW_MS - HOUR_MS);
	bench_close(&before);
	bench_close(&after);
}

/* The network went: the kernel calls the clock unsynchronised, and for a week it is still good. */
static void test_network_lost(void **state)
{
	const struct receipt known = at(0xa, MAKE_NOW_MS, HOUR_MS, true);
	struct receipt when;
	struct bench b;

	(void)state;
	open_hub(&b);
	assert_int_equal(intake_anchor(b.in, &known), 1);
	/* somebody set the wall clock by hand meanwhile: of no matter */
	when = at(0xa, MAKE_NOW_MS - 40 * DAY_MS, HOUR_MS + 6 * DAY_MS, false);
	assert_int_equal(weigh(&b, &when, 700)->clock, CLOCK(HUB_SYNCED));
	assert_int_equal(weigh(&b, &when, 710)->measured_at_ms, MAKE_NOW_MS + 6 * DAY_MS);
	when = at(0xa, MAKE_NOW_MS + 7 * DAY_MS, HOUR_MS + 7 * DAY_MS, false);
	assert_int_equal(weigh(&b, &when, 720)->clock, CLOCK(RECEIPT_UNSYNCED));
	bench_close(&b);
}

static void test_device_stamps(void **state)
{
	static const unsigned int stamp[6] = { 2026, 11, 23, 11, 0, 0 };
	const struct receipt early = at(0xa, HOUR_MS, HOUR_MS, false);
	const struct receipt later = at(0xa, MAKE_NOW_MS, 2 * HOUR_MS, true);
	const Wellgate__V1__Reading *stamped, *ahead, *kept, *r;
	Wellgate__V1__Reading *none = NULL;
	struct made made;
	struct bench b;

	(void)state;
	open_hub(&b);
	b.receipt = early;
	make_weight(&made);
	make_seen(&made, &early);
	make_time(&made, KIND(LOCAL), stamp);
	stamped = bench_run(&b, &made);
	make_weight(&made);
	make_seen(&made, &early);
	make_time(&made, KIND(LOCAL), (const unsigned int[]){ 2026, 11, 24, 11, 0, 0 });
	ahead = bench_run(&b, &made);
	make_weight(&made);
	make_seen(&made, &early);
	make_flag(&made, FLAG_BACKFILL);
	kept = bench_run(&b, &made);
	assert_int_equal(intake_anchor(b.in, &later), 1);
	r = retime(&b, stamped);
	assert_int_equal(r->clock, CLOCK(DEVICE_UNVERIFIED));
	assert_int_equal(r->measured_at_ms, MAKE_NOW_MS - HOUR_MS);
	assert_int_equal(r->received_at_ms, MAKE_NOW_MS - HOUR_MS);
	/* a day ahead of a hub that knows the time: now it is the device's fault, for good */
	r = retime(&b, ahead);
	assert_int_equal(r->clock, CLOCK(UNKNOWN));
	assert_false(r->has_measured_at_ms);
	assert_int_equal(r->time_fault, WELLGATE__V1__TIME_FAULT__TIME_FAULT_SENSOR);
	assert_int_equal(intake_retime(b.in, r, &b.arena, &none), 0);
	assert_int_equal(intake_retime(b.in, kept, &b.arena, &none), 0);
	assert_null(none);
	bench_close(&b);
}

/* What was timed well is left alone, but for the clock that timed it being stepped. */
static void test_left_alone(void **state)
{
	const struct receipt good = at(0xa, MAKE_NOW_MS, HOUR_MS, true);
	const struct receipt better = at(0xa, MAKE_NOW_MS + HOUR_MS, HOUR_MS + MINUTE_MS, true);
	const Wellgate__V1__Reading *old;
	Wellgate__V1__Reading *r = NULL, imported;
	struct bench b;

	(void)state;
	open_hub(&b);
	old = weigh(&b, &good, 700);
	assert_int_equal(intake_retime(b.in, old, &b.arena, &r), 0);
	assert_int_equal(intake_anchor(b.in, &good), 1);
	assert_int_equal(intake_retime(b.in, old, &b.arena, &r), 0);
	assert_int_equal(intake_anchor(b.in, &better), 1);
	imported = *old;
	imported.origin = WELLGATE__V1__ORIGIN__ORIGIN_IMPORT;
	assert_int_equal(intake_retime(b.in, &imported, &b.arena, &r), 0);
	assert_int_equal(retime(&b, old)->measured_at_ms, MAKE_NOW_MS + HOUR_MS - MINUTE_MS);
	bench_close(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_number_per_boot),
		cmocka_unit_test(test_step),
		cmocka_unit_test(test_by_device),
		cmocka_unit_test(test_impossible),
		cmocka_unit_test(test_many_boots),
		cmocka_unit_test(test_three_days_in_1970),
		cmocka_unit_test(test_forty_days),
		cmocka_unit_test(test_power_cut),
		cmocka_unit_test(test_power_cut_with_a_device),
		cmocka_unit_test(test_restart_and_resent),
		cmocka_unit_test(test_network_lost),
		cmocka_unit_test(test_device_stamps),
		cmocka_unit_test(test_left_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
