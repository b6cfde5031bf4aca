/* links: gateway_publish gateway_store gateway_base */
/* Which numbers wait and which are on the way: by example, and by chance against a plain table. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "gateway/publish/outbox.h"

#define WINDOW 20
#define ROWS   4000

static struct outbox o;

static int begin(void **state)
{
	(void)state;
	return outbox_init(&o, WINDOW);
}

static int end(void **state)
{
	(void)state;
	outbox_finish(&o);
	return 0;
}

/* the next message, of up to n numbers; its entry */
static unsigned int send(uint64_t n, struct span *ret)
{
	struct span picked;
	struct entry e = { 0 };

	assert_true(outbox_pick(&o, &picked));
	e.span.first = picked.first;
	e.span.last = picked.first + n - 1 < picked.last ? picked.first + n - 1 : picked.last;
	e.rows = (unsigned int)(e.span.last - e.span.first + 1);
	*ret = e.span;
	return outbox_take(&o, &picked, &e);
}

static void expect_sent(uint64_t n, uint64_t first, uint64_t last)
{
	struct span s;

	(void)send(n, &s);
	assert_int_equal(s.first, first);
	assert_int_equal(s.last, last);
}

static void the_newest_goes_first(void **state)
{
	(void)state;
	outbox_restart(&o, 100, 10000);
	expect_sent(10, 101, 110);
	outbox_extend(&o, 10001);
	expect_sent(10, 10001, 10001);
	expect_sent(10, 111, 120);
	outbox_extend(&o, 10003);
	outbox_extend(&o, 10004); /* joins what has not gone yet */
	assert_int_equal(o.n_waits, 2);
	expect_sent(10, 121, 130); /* the fourth is of the oldest, whatever comes */
	expect_sent(10, 10002, 10004);
	assert_int_equal(outbox_watermark(&o), 100);
	outbox_done(&o, 1); /* 10001 */
	assert_int_equal(outbox_watermark(&o), 100);
	outbox_done(&o, 0);
	assert_int_equal(outbox_watermark(&o), 110);
	outbox_done(&o, 2);
	outbox_done(&o, 3);
	assert_int_equal(outbox_watermark(&o), 130);
	assert_int_equal(outbox_handed_over(&o), 130);
}

/* the turn of the oldest does not hold up what is new, where there is no room for it */
static void newest_all_the_same(void **state)
{
	struct span s;

	(void)state;
	outbox_restart(&o, 0, 10000);
	for (unsigned int i = 0; i < OUTBOX_TURNS - 1; i++)
		expect_sent(10, 1 + 10 * i, 10 + 10 * i);
	outbox_extend(&o, 10001);
	assert_true(outbox_pick(&o, &s));
	assert_int_equal(s.last, 10000);
	assert_false(outbox_is_live(&o, &s));
	outbox_pick_newest(&o, &s);
	assert_int_equal(s.first, 10001);
	assert_true(outbox_is_live(&o, &s));
}

static void in_order_stays_so(void **state)
{
	(void)state;
	o.in_order = true;
	outbox_restart(&o, 0, 1000);
	outbox_extend(&o, 1001);
	assert_int_equal(o.n_waits, 1);
	expect_sent(1, 1, 1);
	expect_sent(1, 2, 2);
}

static void a_lost_connection_sends_again(void **state)
{
	struct span picked;

	(void)state;
	outbox_restart(&o, 0, 200);
	expect_sent(50, 1, 50);
	expect_sent(50, 51, 100);
	outbox_done(&o, 1);
	outbox_lost(&o);
	assert_int_equal(outbox_watermark(&o), 0);
	assert_int_equal(o.n_waits, 2); /* 51 to 100 was confirmed and stays so */
	expect_sent(150, 101, 200);
	expect_sent(100, 1, 50);
	assert_false(outbox_pick(&o, &picked));
	outbox_done(&o, 0);
	outbox_done(&o, 1);
	assert_int_equal(outbox_watermark(&o), 200);
}

static void receipts_cover(void **state)
{
	(void)state;
	outbox_restart(&o, 0, 100);
	expect_sent(10, 1, 10);
	outbox_cover(&o, 1, 20);
	assert_int_equal(outbox_handed_over(&o), 20);
	outbox_cover(&o, 50, 59);
	assert_int_equal(o.n_waits, 2);
	expect_sent(100, 60, 100);
	expect_sent(100, 21, 49);
	outbox_rewind(&o, 5); /* what is on the way is not sent twice */
	assert_int_equal(o.n_waits, 2);
	assert_int_equal(o.waits[0].first, 11);
	assert_int_equal(o.waits[0].last, 20);
	assert_int_equal(o.waits[1].first, 50);
	assert_int_equal(o.waits[1].last, 59);
}

/* What is asked for once more waits below the watermark, and nothing but its sending ends that. */
static void what_is_repeated_stays(void **state)
{
	struct span s;

	(void)state;
	outbox_restart(&o, 100, 120);
	expect_sent(5, 101, 105);
	outbox_repeat(&o, 10, 29);
	outbox_repeat(&o, 30, 39);
	assert_int_equal(o.n_waits, 2);
	outbox_cover(&o, 101, 110); /* a receipt */
	outbox_rewind(&o, 110);
	assert_int_equal(o.n_waits, 2);
	assert_int_equal(o.waits[0].first, 10);
	assert_int_equal(o.waits[0].last, 39);
	assert_int_equal(o.waits[1].first, 111);
	outbox_repeat(&o, 103, 103); /* it is on the way */
	assert_int_equal(o.n_waits, 2);
	expect_sent(20, 111, 120);
	(void)send(100, &s);
	assert_int_equal(s.first, 10);
	assert_int_equal(s.last, 39);
	assert_int_equal(o.n_waits, 0);
}

static void refused_batches_go_alone(void **state)
{
	(void)state;
	outbox_restart(&o, 0, 100);
	expect_sent(10, 1, 10);
	outbox_again(&o, 0, true);
	assert_true(outbox_goes_alone(&o, 1) && outbox_goes_alone(&o, 10));
	assert_false(outbox_goes_alone(&o, 11));
	assert_int_equal(o.n_waits, 1);
	assert_int_equal(o.waits[0].first, 1);
}

/* ---- by chance ---- */

static uint32_t seed;

static uint32_t chance(uint32_t below)
{
	seed = seed * 1664525U + 1013904223U;
	return (seed >> 8) % below;
}

static uint8_t delivered[ROWS + 1];

static uint64_t true_watermark(void)
{
	uint64_t n = 0;

	while (n < o.end && delivered[n + 1])
		n++;
	return n;
}

static void check(void)
{
	uint64_t waits = 0;

	assert_true(outbox_watermark(&o) <= true_watermark());
	for (unsigned int i = 0; i < o.n_waits; i++) {
		assert_true(o.waits[i].first <= o.waits[i].last && o.waits[i].last <= o.end);
		assert_true(o.waits[i].first > waits);
		waits = o.waits[i].last;
	}
}

static void step(void)
{
	const uint32_t what = chance(20);
	struct span s;
	unsigned int n = chance(WINDOW);

	if (what < 3 && o.end < ROWS) {
		uint64_t more = o.end + 1 + (chance(4) ? chance(3) : chance(200));

		outbox_extend(&o, more < ROWS ? more : ROWS);
	} else if (what < 11 && o.n_busy < WINDOW && o.n_waits > 0) {
		(void)send(1 + chance(40), &s);
	} else if (what < 19 && o.entries[n].busy) {
		for (uint64_t i = o.entries[n].span.first; i <= o.entries[n].span.last; i++)
			delivered[i] = 1;
		outbox_done(&o, n);
	} else if (what == 19 && chance(10) == 0) {
		outbox_lost(&o);
	}
	check();
}

/* Whatever comes in whatever order: in the end all was delivered, and the watermark says so. */
static void nothing_is_left_behind(void **state)
{
	(void)state;
	for (seed = 1; seed < 200; seed += 7) {
		(void)memset(delivered, 0, sizeof(delivered));
		outbox_restart(&o, 0, 0);
		for (unsigned int i = 0; i < 200000 && outbox_watermark(&o) < ROWS; i++)
			step();
		assert_int_equal(outbox_watermark(&o), ROWS);
		assert_int_equal(true_watermark(), ROWS);
		assert_int_equal(o.n_busy, 0);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_newest_goes_first),  TEST(in_order_stays_so),
		TEST(newest_all_the_same),    TEST(a_lost_connection_sends_again),
		TEST(receipts_cover),         TEST(refused_batches_go_alone),
		TEST(what_is_repeated_stays), TEST(nothing_is_left_behind),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
