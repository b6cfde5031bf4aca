/* links: gateway_goals gateway_base */
/*
 * What one more reading costs with 20 goals, when the book holds a thousand readings and when it
 * holds a hundred thousand, as a ratio in one run (aim: 1.5 times); and all 20 goals from scratch.
 * A reading here is tagged, added, and what is new is said, as the pipeline does it for a commit.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "gateway/goals/goals.h"
#include "tests/unit/goals_make.h"

#define GOALS    20
#define SAMPLES  500
#define FEW      1000
#define MANY     100000
#define EVERY_MS (5 * MINUTE) /* a wearable's reading */

struct bench {
	struct goal goals[GOALS];
	struct goal_book *book;
	struct arena arena;
	int64_t n;
};

static void must(int r)
{
	if (r >= 0)
		return;
	(void)fprintf(stderr, "bench_goals: error %d\n", r);
	exit(1);
}

static double seconds(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static struct goal make_goal(int i)
{
	static const enum goal_rule rules[] = { GOAL_SUM_PER_PERIOD, GOAL_COUNT_DAYS,
						GOAL_MEAN_PER_PERIOD, GOAL_MEASURE_REGULARLY };
	struct goal g = { .title = "Walk",
			  .version = 1,
			  .metric = METRIC_STEPS,
			  .rule = rules[i % 4],
			  .period = GOAL_WEEK,
			  .target = { 3, 0 },
			  .week_start = 1,
			  .starts_on = INT64_MIN,
			  .time_zone = "Europe/London",
			  .day_target = { 5000 + i, 0 } };

	(void)snprintf(g.id, sizeof(g.id), "goal-%d", i);
	return g;
}

static void say(struct bench *b, int64_t now_ms)
{
	Wellgate__V1__GoalResult *result;

	do {
		arena_reset(&b->arena);
	} while (goal_book_next_result(b->book, now_ms, &b->arena, &result) > 0);
	goal_book_settle(b->book);
}

static void add(struct bench *b)
{
	const int64_t at_ms = MONDAY + b->n++ * EVERY_MS;
	struct made m;

	make(&m, METRIC_STEPS, at_ms, EVERY_MS, 40 + b->n % 30);
	arena_reset(&b->arena);
	must(goal_book_tag(b->book, &m.r, &b->arena));
	(void)goal_book_add(b->book, &m.r);
	say(b, at_ms + EVERY_MS);
}

/* a reading's cost, in microseconds, of the next SAMPLES */
static double cost(struct bench *b)
{
	const double start = seconds();

	for (int i = 0; i < SAMPLES; i++)
		add(b);
	return (seconds() - start) * 1e6 / SAMPLES;
}

static void fill(struct bench *b, int64_t n)
{
	while (b->n < n)
		add(b);
}

static void begin(struct bench *b)
{
	*b = (struct bench){ 0 };
	for (int i = 0; i < GOALS; i++)
		b->goals[i] = make_goal(i);
	must(arena_init(&b->arena, (size_t)1 << 20));
	must(goal_book_new(b->goals, GOALS, "hub", 1, &b->book));
}

static void end(struct bench *b)
{
	goal_book_free(b->book);
	arena_finish(&b->arena);
}

static double scratch(struct bench *b)
{
	const double start = seconds();
	const int64_t now_ms = MONDAY + b->n * EVERY_MS;

	must(goal_book_change(b->book, b->goals, GOALS));
	for (int64_t i = b->n > 2000 ? b->n - 2000 : 0; i < b->n; i++) {
		struct made m;

		make(&m, METRIC_STEPS, MONDAY + i * EVERY_MS, EVERY_MS, 40);
		arena_reset(&b->arena);
		must(goal_book_tag(b->book, &m.r, &b->arena));
		(void)goal_book_add(b->book, &m.r);
	}
	say(b, now_ms);
	return (seconds() - start) * 1e3;
}

int main(void)
{
	double few = 0, many = 0;
	struct bench b;

	for (int round = 0; round < 3; round++) {
		begin(&b);
		fill(&b, FEW);
		few += cost(&b);
		fill(&b, MANY);
		many += cost(&b);
		if (round == 2)
			printf("20 goals of a week of minutes (2,000 readings) from scratch: %.1f "
			       "ms\n",
			       scratch(&b));
		end(&b);
	}
	printf("one more reading, 20 goals: %.1f us with %d in the book, %.1f us with %d: %.2f "
	       "times (aim 1.5)\n",
	       few / 3, FEW, many / 3, MANY, many / few);
	return 0;
}
