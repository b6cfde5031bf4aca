/* links: wearer drivers */
/* Sleep estimated from movement: against the rules written down once more over an array, and that
 * what is said never changes whatever part of the minutes is at hand. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "drivers/sleep.h"
#include "tests/wearer/wearer.h"

#define N(a)   (sizeof(a) / sizeof((a)[0]))
#define MANY   40000
#define SAID   64
#define ORIGIN INT64_C(1700000040)

static uint32_t movement[MANY];
static bool known[MANY];
static size_t n;

struct said {
	struct sleep_episode episode[SAID];
	size_t n;
	int refuse;
};

static int hear(void *user, const struct sleep_episode *e)
{
	struct said *said = user;

	assert_true(said->n < SAID);
	assert_int_equal(e->asleep + e->awake, e->minutes);
	said->episode[said->n++] = *e;
	return said->refuse;
}

/* minutes [from, to) */
static struct said estimate(size_t from, size_t to)
{
	struct said said = { .n = 0 };
	struct sleep_estimate s = { .say = hear, .user = &said };

	for (size_t i = from; i < to; i++)
		if (known[i])
			assert_int_equal(sleep_minute(&s, ORIGIN + 60 * (int64_t)i, movement[i]),
					 0);
	return said;
}

static void fill(size_t count, uint32_t even, uint32_t odd)
{
	for (size_t i = 0; i < count; i++, n++) {
		assert_true(n < MANY);
		movement[n] = n % 2 ? odd : even;
		known[n] = true;
	}
}

/* asleep, turning over each half hour: one that does not make a minute awake */
static void fill_asleep(size_t count)
{
	const size_t from = n;

	fill(count, 0, 0);
	for (size_t i = from + 29; i < n; i += 30)
		movement[i] = 2;
}

/* ---- rows made by hand ---- */

/* A night from minute 300 on; 480 minutes, of them 20 awake at 600. */
static void night(void)
{
	n = 0;
	fill(300, 8, 12);
	fill_asleep(300);
	fill(20, 8, 12);
	fill_asleep(160);
	fill(300, 8, 12);
}

static void test_night(void **state)
{
	struct said said;

	(void)state;
	night();
	said = estimate(0, n);
	assert_int_equal(said.n, 1);
	/* the window reaches two minutes behind and four ahead, and the first four asleep after a
	 * quarter of an hour awake do not count */
	assert_in_range((said.episode[0].start - ORIGIN) / 60, 300, 309);
	assert_in_range(said.episode[0].awake, 20, 35);
	assert_in_range(said.episode[0].minutes, 465, 480);
	assert_int_equal(said.episode[0].awakenings, 1);
}

static void test_cut_nights_are_not_said(void **state)
{
	(void)state;
	night();
	assert_int_equal(estimate(305, n).n, 0); /* began before the first minute */
	assert_int_equal(estimate(220, n).n, 0); /* too near to it */
	assert_int_equal(estimate(200, n).n, 1);
	assert_int_equal(estimate(0, 700).n, 0); /* it goes on */
	assert_int_equal(estimate(0, 860).n, 0); /* it may */
	assert_int_equal(estimate(0, 880).n, 1);
	known[650] = false; /* a hole */
	assert_int_equal(estimate(0, n).n, 0);
	night();
	known[820] = false; /* behind it: nothing more will be known about it */
	assert_int_equal(estimate(0, n).n, 1);
	known[820] = true;
	known[790] = false; /* whether that was its end is not known */
	assert_int_equal(estimate(0, n).n, 0);
}

/* nobody wore it, or somebody did who never moved */
static void test_without_movement(void **state)
{
	struct said said;

	(void)state;
	night();
	for (size_t i = 320; i < 320 + SLEEP_STILL - 1; i++)
		movement[i] = 0;
	movement[319] = movement[320 + SLEEP_STILL - 1] = 2;
	assert_int_equal(estimate(0, n).n, 1);
	movement[320 + SLEEP_STILL - 1] = 0;
	movement[320 + SLEEP_STILL] = 2;
	assert_int_equal(estimate(0, n).n, 0);
	night();
	fill(600, 0, 0); /* on a table all day */
	fill(300, 8, 12);
	said = estimate(0, n);
	assert_int_equal(said.n, 1);
	assert_in_range(said.episode[0].minutes, 465, 480);
	n = 0;
	fill(MANY / 2, 0, 0);
	assert_int_equal(estimate(0, n).n, 0);
}

static void test_naps_are_not_said(void **state)
{
	(void)state;
	n = 0;
	fill(300, 8, 12);
	fill_asleep(150);
	fill(300, 8, 12);
	assert_int_equal(estimate(0, n).n, 0);
}

static void test_stops(void **state)
{
	struct said said = { .refuse = -ECANCELED };
	struct sleep_estimate s = { .say = hear, .user = &said };
	int r = 0;

	(void)state;
	night();
	for (size_t i = 0; i < n && r == 0; i++)
		r = sleep_minute(&s, ORIGIN + 60 * (int64_t)i, movement[i]);
	assert_int_equal(r, -ECANCELED);
}

/* ---- the rules over an array ---- */

static bool score[MANY], rescored[MANY], final[MANY];

static void cole_kripke(size_t from, size_t to)
{
	static const uint32_t weight[] = { 106, 54, 58, 76, 230, 74, 67 };

	for (size_t i = from + 4; i + 2 < to; i++) {
		uint32_t sum = 0;

		for (size_t k = 0; k < N(weight); k++)
			sum += weight[k] * (movement[i - 4 + k] > 300 ? 300 : movement[i - 4 + k]);
		score[i] = sum < 1000;
	}
}

/* how long what `row` says of minute i lasts, from i on or (back) up to i */
static size_t run(const bool *row, size_t from, size_t to, size_t i, bool back)
{
	size_t len = 1;

	while (back ? i - len + 1 > from && row[i - len] == row[i]
		    : i + len < to && row[i + len] == row[i])
		len++;
	return len;
}

static void webster(size_t from, size_t to)
{
	memcpy(rescored, score, sizeof(score));
	for (size_t i = from + 1; i < to; i++) {
		const size_t awake = run(score, from, to, i - 1, true);
		const size_t change = awake >= 15 ? 4 : awake >= 10 ? 3 : awake >= 4 ? 1 : 0;

		if (!score[i] || score[i - 1])
			continue;
		for (size_t k = i; k < i + change && k < to && score[k]; k++)
			rescored[k] = false;
	}
	memcpy(final, rescored, sizeof(rescored));
	for (size_t i = from + 1; i < to; i++) {
		const size_t len = run(rescored, from, to, i, false);
		size_t before, after;

		if (!rescored[i] || rescored[i - 1])
			continue;
		before = run(rescored, from, to, i - 1, true);
		after = i + len < to ? run(rescored, from, to, i + len, false) : 0;
		if (len < 5 || (len <= 6 && before >= 10 && after >= 10) ||
		    (len <= 10 && before >= 20 && after >= 20))
			memset(final + i, 0, len * sizeof(final[0]));
	}
}

/* A row without a gap or long stillness at its edges; what is said 60 minutes from them. */
static struct said by_the_book(size_t from, size_t to)
{
	struct said said = { .n = 0 };
	size_t awake = 0, onset = 0;
	uint32_t asleep = 0;
	bool ready = false, within = false;

	cole_kripke(from, to);
	webster(from + 4, to - 2);
	for (size_t i = from + 60; i < to - 60; i++) {
		awake = final[i] ? 0 : awake + 1;
		if (final[i] && !within && ready) {
			within = true;
			onset = i;
			asleep = 0;
		}
		asleep += final[i] && within;
		if (within && awake == 30 && i - 29 - onset >= 160)
			said.episode[said.n++] = (struct sleep_episode){
				.start = ORIGIN + 60 * (int64_t)onset,
				.minutes = (uint32_t)(i - 29 - onset),
				.asleep = asleep,
			};
		within = within && awake < 30;
		ready = awake >= 30;
	}
	return said;
}

static uint32_t motion_of(const struct wearer_minute *m)
{
	return m->recorded ? (uint32_t)(m->motion >> 4) + (m->motion & 15U) + m->steps : 0;
}

/* a life without gaps; never_off: and never without movement for long */
static void load(uint64_t seed, bool never_off)
{
	const struct wearer_plan plan = { .seed = seed,
					  .first = WEARER_OCTOBER,
					  .days = 10,
					  .battery_dies = never_off ? WEARER_NEVER : 3,
					  .lost_day = never_off ? WEARER_NEVER : 6 };
	const struct wearer_minute *m;
	struct wearer *w = NULL;
	size_t still = 0;
	int64_t start;

	assert_int_equal(wearer_new(&plan, &w), 0);
	m = wearer_minutes(w, &n, &start);
	assert_true(n < MANY);
	for (size_t i = 0; i < n; i++) {
		known[i] = m[i].recorded;
		movement[i] = motion_of(&m[i]);
		if (never_off && !m[i].worn)
			movement[i] = (uint32_t)(i % 3);
		still = movement[i] ? 0 : still + 1;
		if (never_off && still == SLEEP_STILL - 1) {
			movement[i] = 1;
			still = 0;
		}
	}
	wearer_free(w);
}

static void check_by_the_book(size_t *nights)
{
	const struct said said = estimate(0, n), expected = by_the_book(0, n);

	assert_int_equal(said.n, expected.n);
	for (size_t i = 0; i < said.n; i++) {
		assert_int_equal(said.episode[i].start, expected.episode[i].start);
		assert_int_equal(said.episode[i].minutes, expected.episode[i].minutes);
		assert_int_equal(said.episode[i].asleep, expected.episode[i].asleep);
	}
	*nights += said.n;
}

/* Short sleeps between times awake, each as long as the rules are about, between long ones. */
static void restless(uint32_t seed)
{
	uint32_t x = seed;

	n = 0;
	fill(300, 8, 12);
	for (int k = 0; k < 120; k++) {
		x = x * 1664525 + 1013904223;
		fill_asleep(60 + (x >> 25));
		fill(3 + (x >> 20 & 15) + (x >> 19 & 8), 8, 12);
		fill(7 + (x >> 24 & 15), 0, 0);
		fill(3 + (x >> 16 & 15) + (x >> 15 & 8), 8, 12);
		if (k % 2) {
			fill(7 + (x >> 12 & 15), 0, 0);
			fill(9 + (x >> 10 & 15), 8, 12);
		}
	}
	fill(300, 8, 12);
}

static void test_restless_as_the_rules_say(void **state)
{
	size_t nights = 0;

	(void)state;
	for (uint32_t seed = 1; seed <= 60; seed++) {
		restless(seed);
		check_by_the_book(&nights);
	}
	assert_in_range(nights, 600, 99999);
}

static void test_as_the_rules_say(void **state)
{
	size_t nights = 0;

	(void)state;
	for (uint64_t seed = 1; seed <= 40; seed++) {
		load(seed, true);
		check_by_the_book(&nights);
	}
	assert_true(nights > 300);
}

/* ---- what is said does not change ---- */

static bool is_among(const struct sleep_episode *e, const struct said *all)
{
	for (size_t i = 0; i < all->n; i++)
		if (memcmp(e, &all->episode[i], sizeof(*e)) == 0)
			return true;
	return false;
}

static bool overlaps(const struct sleep_episode *a, const struct sleep_episode *b)
{
	return a->start < b->start + 60 * (int64_t)b->minutes &&
	       b->start < a->start + 60 * (int64_t)a->minutes;
}

/* Any two parts of the same minutes: the same episode, or none; never two of the same time. */
static void check_same(const struct said *a, const struct said *b)
{
	for (size_t i = 0; i < a->n; i++)
		for (size_t k = 0; k < b->n; k++)
			assert_true(!overlaps(&a->episode[i], &b->episode[k]) ||
				    is_among(&a->episode[i], b));
}

static void test_never_changes(void **state)
{
	size_t compared = 0;

	(void)state;
	for (uint64_t seed = 1; seed <= 12; seed++) {
		struct said all;

		load(seed, seed % 2);
		all = estimate(0, n);
		for (size_t k = 0; k < 300; k++) {
			const size_t from = (k * 7919 + seed * 31) % n;
			const size_t to = from + (k * 104729 + seed) % (n - from + 1);
			const struct said part = estimate(from, to);

			check_same(&part, &all);
			check_same(&all, &part);
			compared += part.n;
		}
	}
	assert_true(compared > 500);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_night),
		cmocka_unit_test(test_cut_nights_are_not_said),
		cmocka_unit_test(test_without_movement),
		cmocka_unit_test(test_naps_are_not_said),
		cmocka_unit_test(test_stops),
		cmocka_unit_test(test_as_the_rules_say),
		cmocka_unit_test(test_restless_as_the_rules_say),
		cmocka_unit_test(test_never_changes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
