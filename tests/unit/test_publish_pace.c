/* links: gateway_publish gateway_store gateway_base */
/*
 * How much is on the way, over a simulated link: so many bytes a second behind one queue, then a
 * round trip. Time is simulated, too, so the figures are the same on every machine.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "gateway/publish/pace.h"

#define ROW_BYTES  200
#define ENVELOPE   170
#define ROUTES_MAX 1024

struct link {
	int64_t round_us;
	int64_t bytes_per_s;
	int64_t now_us, free_us; /* the queue is empty then */
	struct {
		int64_t sent_us, back_us;
		unsigned int rows;
	} way[ROUTES_MAX]; /* first in, first out */
	unsigned int head, tail, rows;
	uint64_t delivered;
	int64_t queue_max_us;
};

static struct link l;
static struct pace p;

static void send_all(void)
{
	while (l.tail - l.head < ROUTES_MAX && pace_room(&p, l.tail - l.head, l.rows)) {
		unsigned int rows = pace_batch(&p);
		int64_t bytes = (int64_t)rows * ROW_BYTES + ENVELOPE;

		if (l.free_us < l.now_us)
			l.free_us = l.now_us;
		l.free_us += bytes * 1000000 / l.bytes_per_s;
		if (l.free_us - l.now_us > l.queue_max_us)
			l.queue_max_us = l.free_us - l.now_us;
		l.way[l.tail % ROUTES_MAX].sent_us = l.now_us;
		l.way[l.tail % ROUTES_MAX].back_us = l.free_us + l.round_us;
		l.way[l.tail % ROUTES_MAX].rows = rows;
		l.tail++;
		l.rows += rows;
	}
}

static void run(int64_t until_us)
{
	for (send_all(); l.way[l.head % ROUTES_MAX].back_us < until_us; send_all()) {
		const unsigned int i = l.head++ % ROUTES_MAX;

		assert_true(l.head <= l.tail);
		l.now_us = l.way[i].back_us;
		l.rows -= l.way[i].rows;
		l.delivered += l.way[i].rows;
		pace_answer(&p, l.way[i].rows, l.now_us - l.way[i].sent_us, true, l.now_us);
	}
	l.now_us = until_us;
}

static void begin(int64_t round_us, int64_t bytes_per_s, unsigned int window, unsigned int batch)
{
	l = (struct link){ .round_us = round_us, .bytes_per_s = bytes_per_s };
	pace_begin(&p, window, batch);
}

/* a long way, and wide: window x batch is reached, and used */
static void a_long_way(void **state)
{
	(void)state;
	begin(50000, 1000000000, 20, 50);
	run(1000000);
	assert_int_equal(p.flight, 1000);
	assert_int_equal(pace_batch(&p), 50);
	l.delivered = 0;
	run(11000000);
	assert_true(l.delivered >= 10 * 20000 * 9 / 10);
}

/* a short way: no queue is seen, all is used */
static void a_short_way(void **state)
{
	(void)state;
	begin(400, 1000000000, 100, 50);
	run(1000000);
	assert_int_equal(p.flight, 5000);
}

/* Narrow: what is on the way is no more than the link carries and a little, whose queue a reading
 * of now can stand; and hardly anything of the link is wasted. */
static void a_narrow_way(void **state)
{
	const int64_t rate = 125000; /* 1 Mbit/s */

	(void)state;
	begin(50000, rate, 100, 50);
	run(5000000);
	l.delivered = 0;
	l.queue_max_us = 0;
	run(65000000);
	assert_true(l.queue_max_us <= 250000); /* 100 x 50 at once: 8 s */
	assert_true((int64_t)l.delivered * ROW_BYTES >= 60 * rate * 8 / 10);
}

/* Another way: longer by far. It is not taken for a queue for ever. */
static void the_way_becomes_longer(void **state)
{
	(void)state;
	begin(20000, 1000000000, 20, 50);
	run(5000000);
	l.round_us = 400000;
	run(40000000);
	l.delivered = 0;
	run(60000000);
	assert_int_equal(p.flight, 1000);
	assert_true(l.delivered >= 20 * 2500 * 9 / 10);
}

static void small_limits(void **state)
{
	(void)state;
	begin(50000, 1000000000, 1, 1);
	assert_int_equal(pace_batch(&p), 1);
	assert_true(pace_room(&p, 0, 0));
	assert_false(pace_room(&p, 1, 1));
	run(1000000);
	assert_int_equal(p.flight, 1);
	begin(50000, 1000000000, 1000, 1);
	run(3000000);
	assert_int_equal(p.flight, 1000);
	assert_int_equal(pace_batch(&p), 1);
}

/* without a backlog nothing grows */
static void nothing_waits(void **state)
{
	(void)state;
	pace_begin(&p, 20, 50);
	for (int i = 0; i < 1000; i++)
		pace_answer(&p, 1, 1000, false, i * INT64_C(1000000));
	assert_int_equal(pace_batch(&p), PACE_BATCH_MIN);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_long_way),   cmocka_unit_test(a_short_way),
		cmocka_unit_test(a_narrow_way), cmocka_unit_test(the_way_becomes_longer),
		cmocka_unit_test(small_limits), cmocka_unit_test(nothing_waits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
