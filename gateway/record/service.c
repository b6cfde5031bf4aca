#include "gateway/record/service.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "drivers/log.h"

#define GROUP_MAX    128 /* messages; below LEDGER_TOUCHED_MAX, as each is about one hub */
#define HUB_LEVELS   4
#define PAUSE_MIN_MS 20
#define PAUSE_MAX_MS 30000

_Static_assert(GROUP_MAX <= LEDGER_TOUCHED_MAX, "a group may be about as many hubs");

static int64_t now_ms(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_REALTIME, &t);
	return t.tv_sec * INT64_C(1000) + t.tv_nsec / 1000000;
}

static void no_receipt(struct ledger_receipt *receipt, void *user)
{
	(void)user;
	free(receipt->payload);
}

/* wellgate/v1/{site}/{hub}: as much of a topic as names a hub */
static size_t hub_len(const char *topic)
{
	size_t len = 0;

	for (unsigned int levels = 0; topic[len]; len++) {
		if (topic[len] == '/' && ++levels == HUB_LEVELS)
			break;
	}
	return len;
}

static int by_hub(const void *a, const void *b)
{
	const struct queue_item *x = *(const struct queue_item *const *)a;
	const struct queue_item *y = *(const struct queue_item *const *)b;
	const size_t x_len = hub_len(x->topic), y_len = hub_len(y->topic);
	int r = memcmp(x->topic, y->topic, x_len < y_len ? x_len : y_len);

	if (r == 0)
		r = (x_len > y_len) - (x_len < y_len);
	return r != 0 ? r : (x > y) - (x < y); /* of one hub: as they came */
}

/*
 * `buried`: why they are dead letters, or NULL. Hub by hub, in the order of their names: a
 * transaction locks the row of each hub, and two workers that share a subscription would wait for
 * each other if they took them in the order in which messages happened to come.
 */
static int store_group(struct service *s, const struct queue_item *items, size_t n,
		       const char *buried)
{
	const struct queue_item *order[GROUP_MAX];
	struct ledger *l = s->ledger;
	int r = ledger_begin(l, now_ms());

	assert(n <= GROUP_MAX);
	for (size_t i = 0; i < n; i++)
		order[i] = &items[i];
	qsort(order, n, sizeof(const struct queue_item *), by_hub);
	for (size_t i = 0; r == 0 && i < n; i++) {
		const struct queue_item *item = order[i];

		r = buried ? ledger_bury(l, item->topic, item->payload, item->len, buried)
			   : ledger_apply(l, item->topic, item->payload, item->len);
	}
	if (r == 0)
		return ledger_commit(l, s->receipt ? s->receipt : no_receipt, s->user);
	ledger_rollback(l);
	return r;
}

/* waiting may mend it */
static bool is_passing(int r)
{
	return r == -ENOTCONN || r == -EAGAIN || r == -ENOSPC || r == -EIO;
}

/*
 * Until it is stored, or waiting is of no use, or we are stopped. Messages that the database does
 * not take are found one by one, so that one bad message does not hold up the others.
 */
static int store_for_sure(struct service *s, const struct queue_item *items, size_t n)
{
	unsigned int pause = PAUSE_MIN_MS;
	const char *buried = NULL;
	bool told = false;

	for (;;) {
		int r = store_group(s, items, n, buried);

		if (r == -EBADMSG && n > 1) {
			for (size_t i = 0; i < n; i++) {
				r = store_for_sure(s, &items[i], 1);
				if (r < 0)
					return r;
			}
			return 0;
		}
		if (r == -EBADMSG && !buried) {
			buried = "the database cannot take it";
			continue;
		}
		if (!is_passing(r))
			return r;
		if (r != -EAGAIN && !told) {
			log_error("the database cannot store error=%d reason=\"%s\"", -r,
				  db_error(s->ledger->db));
			told = true;
		}
		if (queue_pause(s->queue, pause))
			return r;
		pause = pause < PAUSE_MAX_MS / 2 ? pause * 2 : PAUSE_MAX_MS;
		if (r == -ENOTCONN || r == -EIO)
			(void)db_reopen(
				s->ledger->db); /* -ENOTCONN comes back if it is not there */
	}
}

int service_run(struct service *s)
{
	struct queue_item items[GROUP_MAX];
	size_t n;

	for (;;) {
		int r;

		queue_take(s->queue, items, GROUP_MAX, &n);
		if (n == 0)
			return 0;
		r = store_for_sure(s, items, n);
		if (r < 0)
			return r;
		for (size_t i = 0; s->stored && i < n; i++)
			s->stored(&items[i], s->user);
		queue_done(s->queue, n);
	}
}
