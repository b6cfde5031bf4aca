/* links: wearer drivers */
/* Nights out of dumps: each is said the same by every dump that says it, and as an estimate. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "drivers/fitbit.h"
#include "tests/wearer/wearer.h"

#define NIGHTS 64
#define HOUR   INT64_C(3600)

struct night {
	struct device_time start;
	int64_t duration_ms, asleep;
};

struct heard {
	struct night nights[NIGHTS];
	size_t n;
};

static uint8_t dump[WEARER_DUMP_MAX];

static int hear(void *user, const struct measurement *m, const struct fitbit_record *record)
{
	const uint64_t flags = FLAG_BIT(FLAG_BACKFILL) | FLAG_BIT(FLAG_ESTIMATED);
	struct heard *h = user;

	if (m->metric != METRIC_SLEEP_DURATION)
		return 0;
	assert_null(record);
	assert_true(h->n < NIGHTS && m->has_duration && measurement_is_final(m));
	assert_int_equal(m->flags, flags);
	assert_string_equal(m->context, "estimated from movement: Cole-Kripke 1992");
	assert_int_equal(m->n_parts, 1);
	assert_int_equal(m->time.kind, DEVICE_TIME_UTC);
	h->nights[h->n++] =
		(struct night){ m->time, m->duration_ms, m->parts[0].number.value.mantissa };
	return 0;
}

static struct heard listen(const struct wearer *w, int64_t now, uint8_t product)
{
	const struct fitbit_rules rules = { .midnight = wearer_midnight, .settled = true };
	const struct wearer_tracker tracker = { .product = product };
	struct heard h = { .n = 0 };
	struct fitbit_told told;
	struct fitbit_dump d;
	size_t len;

	assert_int_equal(wearer_dump(w, now, &tracker, dump, sizeof(dump), &len), 0);
	assert_int_equal(fitbit_dump_recognise(dump, len, &d), 0);
	assert_int_equal(fitbit_measure(&d, NULL, &rules, hear, &h, &told), 0);
	assert_int_equal(told.nights, h.n);
	return h;
}

static struct wearer *wearer_of(uint64_t seed)
{
	const struct wearer_plan plan = { .seed = seed,
					  .first = WEARER_OCTOBER,
					  .days = WEARER_FORTNIGHT,
					  .battery_dies = 4,
					  .lost_day = 9,
					  .memory_minutes = 4000 };
	struct wearer *w = NULL;

	assert_int_equal(wearer_new(&plan, &w), 0);
	return w;
}

static bool same_start(const struct night *a, const struct night *b)
{
	return a->start.day == b->start.day && a->start.hour == b->start.hour &&
	       a->start.minute == b->start.minute;
}

static void compare(struct heard *seen, struct heard now)
{
	for (size_t i = 0; i < now.n; i++) {
		size_t k = 0;

		while (k < seen->n && !same_start(&seen->nights[k], &now.nights[i]))
			k++;
		assert_true(k < NIGHTS);
		if (k == seen->n)
			seen->nights[seen->n++] = now.nights[i];
		assert_int_equal(seen->nights[k].duration_ms, now.nights[i].duration_ms);
		assert_int_equal(seen->nights[k].asleep, now.nights[i].asleep);
	}
}

/* Every two hours, with a memory that nights fall out of: a start that comes again comes with the
 * same length and the same minutes asleep. */
static void test_same_from_every_dump(void **state)
{
	size_t all = 0;

	(void)state;
	for (uint64_t seed = 1; seed <= 2; seed++) {
		struct wearer *w = wearer_of(seed);
		struct heard seen = { .n = 0 };

		for (int64_t at = HOUR; at < 312 * HOUR; at += 2 * HOUR + 77)
			if (wearer_alive(w, WEARER_OCTOBER + at))
				compare(&seen, listen(w, WEARER_OCTOBER + at, FITBIT_FLEX));
		all += seen.n;
		wearer_free(w);
	}
	assert_in_range(all, 15, 2 * WEARER_FORTNIGHT);
}

/* what the motion byte of the others means is not known, or they have none */
static void test_flex_alone(void **state)
{
	struct wearer *w = wearer_of(5);

	(void)state;
	assert_true(listen(w, WEARER_OCTOBER + 80 * HOUR, FITBIT_FLEX).n > 0);
	assert_int_equal(listen(w, WEARER_OCTOBER + 80 * HOUR, FITBIT_ONE).n, 0);
	assert_int_equal(listen(w, WEARER_OCTOBER + 80 * HOUR, FITBIT_ZIP).n, 0);
	wearer_free(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_same_from_every_dump),
		cmocka_unit_test(test_flex_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
