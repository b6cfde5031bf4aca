/* links: drivers */
/*
 * InfiniTime: steps exactly once, whenever the hub dies: a watch that is simulated by its counter,
 * a store that keeps what was committed, a hub that dies at every point of the dialogue.
 */
#include "protocols/gatt/time.h"
#include "tests/unit/driver_test.h"

#define STEPS  0xf301
#define CLOCK  0x2a2b
#define HR     0x2a37
#define NOW    "ea07050c123528020000" /* 18:53:40, as the hub has it at 0 */
#define MAX    64
#define SECOND INT64_C(1000000)
#define MINUTE (60 * SECOND)
#define STAGES 12

/* What the gateway has: a reading that it knows is not taken again. */
struct store {
	struct measurement readings[MAX];
	size_t n;
};

static bool is_same(const struct measurement *a, const struct measurement *b)
{
	return a->time.day == b->time.day && a->time.hour == b->time.hour &&
	       a->time.minute == b->time.minute && a->time.second == b->time.second &&
	       a->duration_ms == b->duration_ms &&
	       a->parts[0].number.value.mantissa == b->parts[0].number.value.mantissa;
}

static void take(struct store *store, const struct measurement *m)
{
	for (size_t i = 0; i < store->n; i++) {
		if (is_same(&store->readings[i], m))
			return;
	}
	assert_true(store->n < MAX);
	store->readings[store->n++] = *m;
}

static int64_t total(const struct store *store)
{
	int64_t sum = 0;

	for (size_t i = 0; i < store->n; i++)
		sum += store->readings[i].parts[0].number.value.mantissa;
	return sum;
}

static void steps(struct bench *b, uint32_t n)
{
	char hex[16];

	(void)snprintf(hex, sizeof(hex), "%02x%02x%02x%02x", n & 0xff, n >> 8 & 0xff,
		       n >> 16 & 0xff, n >> 24);
	notify(b, STEPS, hex);
}

static bool said_reading(const struct bench *b)
{
	return strstr(b->log, "reading") != NULL;
}

/* One link in which the watch shows n at `at`; the hub dies after `life` of its moments. */
static void one_link(struct bench *b, struct store *store, struct session_memory *memory,
		     int64_t at, uint32_t n, unsigned int life)
{
	unsigned int moment = 0;

	bench_begin(b, "infinitime", 0, memory, true);
	b->memory = *memory;
	notify(b, CLOCK, NOW); /* the clock is that of 0 ... */
	b->now = at;           /* ... and both go on */
	if (moment++ < life)
		steps(b, n);
	if (moment++ < life && strstr(b->log, "timer:10"))
		fire(b, 10000);
	if (said_reading(b) && moment++ < life) {
		take(store, &b->last); /* durable; the driver may never hear of it */
		if (moment++ < life)
			commit(b);
	}
	*memory = b->memory;
}

/* Deaths at every moment, in every second link; what was walked is counted once. */
static void test_exactly_once(void **state)
{
	struct bench *b = *state;

	for (unsigned int life = 0; life < STAGES; life++) {
		struct session_memory memory = { 0 };
		struct store store = { 0 };
		int64_t at = MINUTE;

		one_link(b, &store, &memory, at, 1000, STAGES);
		for (uint32_t i = 1; i <= 10; i++, at += 10 * MINUTE)
			one_link(b, &store, &memory, at + MINUTE, 1000 + 100 * i,
				 i % 2 ? STAGES : life);
		/* the last links live: what was open is said now */
		one_link(b, &store, &memory, at, 2000, STAGES);
		one_link(b, &store, &memory, at + MINUTE, 2000, STAGES);
		if (total(&store) != 1000)
			fail_msg("dying after %u: %lld steps", life, (long long)total(&store));
	}
}

/* no interval begins before the last one has ended */
static void test_no_overlap(void **state)
{
	struct session_memory memory = { 0 };
	struct store store = { 0 };
	struct bench *b = *state;
	int64_t end = 0;

	for (uint32_t i = 0; i < 20; i++)
		one_link(b, &store, &memory, INT64_C(7) * (i + 1) * MINUTE, 300 + 10 * i,
			 i % 3 ? STAGES : 3);
	for (size_t i = 0; i < store.n; i++) {
		const struct device_time *t = &store.readings[i].time;
		const int64_t start = (t->hour * 60 + t->minute) * 60 + t->second;

		assert_true(start >= end);
		end = start + store.readings[i].duration_ms / 1000;
	}
	assert_true(store.n > 5);
}

/* A plan is kept before its reading leaves; while another reading waits, there is no plan. */
static void test_order(void **state)
{
	struct session_memory memory = { 0 };
	struct store store = { 0 };
	struct bench *b = *state;

	one_link(b, &store, &memory, MINUTE, 1000, STAGES);
	assert_int_equal(memory.kept_len, 20);
	bench_begin(b, "infinitime", 0, &memory, true);
	assert_said(b, "read:f301 ");
	notify(b, CLOCK, NOW);
	notify(b, HR, "0048");
	b->now = 20 * MINUTE;
	steps(b, 1100);
	assert_said(b, "reading ");
	commit(b);
	assert_said(b, "timer:10 kept:53 ");
	notify(b, HR, "0049");
	fire(b, 10000);
	assert_said(b, "reading reading ");
	assert_int_equal(b->last.metric, METRIC_STEPS);
	assert_int_equal(session_committed(b->session, 2, b->now), 0);
	assert_said(b, "");
	commit(b);
	assert_said(b, "kept:20 ");
}

/* a heart rate of 0 is none */
static void test_heart_rate(void **state)
{
	struct bench *b = *state;

	bench_begin(b, "infinitime", 0, NULL, true);
	notify(b, HR, "0000");
	notify(b, HR, "0048");
	assert_said(b, "read:f301 news reading ");
}

/* a note that was made by nobody */
static void test_bad_notes(void **state)
{
	struct session_memory memory = { .kept_len = 20 };
	struct bench *b = *state;

	for (unsigned int flags = 0; flags < 256; flags++) {
		memset(memory.kept, 0xff, sizeof(memory.kept));
		memory.kept[0] = 1;
		memory.kept[1] = (uint8_t)flags;
		memory.kept_len = flags % 2 ? 53 : 20;
		bench_begin(b, "infinitime", 0, &memory, true);
		notify(b, CLOCK, NOW);
		steps(b, 1000);
		assert_said(b, "read:f301 kept:20 ");
	}
}

static void test_refused(void **state)
{
	struct session_memory memory = { 0 };
	struct store store = { 0 };
	struct bench *b = *state;

	one_link(b, &store, &memory, MINUTE, 1000, STAGES);
	bench_begin(b, "infinitime", 0, &memory, true);
	notify(b, CLOCK, "ea07050c110000000000");
	refuse(b, STEPS, 0x0a);
	steps(b, 1000);
	fire(b, 10000);
	assert_said(b, "read:f301 timer:10 kept:20 write:2a2b:ea07050c123528020002 read:2a2b ");
	refuse(b, CLOCK, 0x80);
	assert_said(b, "close ");
}

static int set_up(void **state)
{
	static struct bench bench;

	*state = &bench;
	return 0;
}

static int tear_down(void **state)
{
	bench_end(*state);
	return 0;
}

#define driver_test(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		driver_test(test_exactly_once), driver_test(test_no_overlap),
		driver_test(test_order),        driver_test(test_heart_rate),
		driver_test(test_bad_notes),    driver_test(test_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
