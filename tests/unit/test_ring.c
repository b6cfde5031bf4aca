/* links: gateway_publish */
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "gateway/publish/ring.h"

#define ITEMS 200000

static void full_and_empty(void **state)
{
	struct ring r;
	int v;

	(void)state;
	assert_int_equal(ring_init(&r, sizeof(int), 3), 0); /* room for 4 */
	for (int round = 0; round < 3; round++) {
		assert_false(ring_pop(&r, &v));
		for (int i = 0; i < 4; i++)
			assert_true(ring_push(&r, &i));
		assert_false(ring_push(&r, &round));
		for (int i = 0; i < 4; i++) {
			assert_true(ring_pop(&r, &v));
			assert_int_equal(v, i);
		}
	}
	ring_finish(&r);
}

static void *produce(void *user)
{
	struct mailbox *m = user;

	for (uint64_t i = 0; i < ITEMS;)
		i += mailbox_post(m, &i);
	return NULL;
}

/* Two threads, a ring far smaller than the traffic: nothing lost, doubled or reordered, and the
 * taker that sleeps in poll() is always woken. */
static void two_threads(void **state)
{
	struct mailbox m;
	struct pollfd fd;
	pthread_t thread;
	uint64_t next = 0, v;

	(void)state;
	assert_int_equal(mailbox_init(&m, sizeof(uint64_t), 64), 0);
	assert_int_equal(pthread_create(&thread, NULL, produce, &m), 0);
	fd = (struct pollfd){ .fd = m.fd, .events = POLLIN };
	while (next < ITEMS) {
		assert_int_equal(poll(&fd, 1, 60000), 1);
		mailbox_listen(&m);
		while (mailbox_take(&m, &v))
			assert_int_equal(v, next++);
	}
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_false(mailbox_take(&m, &v));
	mailbox_finish(&m);
}

/* a burst is one wake-up; a look without news is none */
static void wakes_once(void **state)
{
	struct mailbox m;
	struct pollfd fd;
	int v = 7;

	(void)state;
	assert_int_equal(mailbox_init(&m, sizeof(int), 8), 0);
	fd = (struct pollfd){ .fd = m.fd, .events = POLLIN };
	assert_int_equal(poll(&fd, 1, 0), 0);
	assert_true(mailbox_post(&m, &v));
	assert_true(mailbox_post(&m, &v));
	assert_int_equal(poll(&fd, 1, 0), 1);
	mailbox_listen(&m);
	assert_int_equal(poll(&fd, 1, 0), 0);
	mailbox_wake(&m);
	assert_int_equal(poll(&fd, 1, 0), 1);
	mailbox_finish(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(full_and_empty),
		cmocka_unit_test(two_threads),
		cmocka_unit_test(wakes_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
