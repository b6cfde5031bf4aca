/* links: gateway_goals gateway_base */
/*
 * Generated histories: readings that come late, twice, out of order, that are corrected or given to
 * another person; goals that are edited and paused; transactions that fail; restarts. However it
 * went, the book must come to the same bytes as one that is given the final readings in order, and
 * to what goal_evaluate says of them. WELLGATE_GOAL_HISTORIES=100000 is the long form.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/goals/calendar.h"
#include "gateway/goals/evaluate.h"
#include "goals_make.h"

enum {
	READINGS_MAX = 60,
	EVENTS_MAX = READINGS_MAX * 4,
	GOALS = 6,
	VERSIONS = 3,
	DAYS = 56, /* that readings are of */
	TOLD_MAX = 1024,
	HISTORIES = 2000,
};

/* the change of October, or of March, is in the middle */
static const int64_t starts[] = { MONDAY - 50 * DAY, INT64_C(1801267200000) };
static const char *const zones[] = { "Europe/London", "America/New_York", "Australia/Lord_Howe",
				     "Asia/Kathmandu" };

struct event {
	int64_t at_ms;
	size_t reading;
	bool remove;
	int64_t value; /* the reading as it was then */
	int person;
};

struct reading {
	enum metric metric;
	int64_t at_ms, duration_ms, received_ms, value;
	uint8_t device;
	int person; /* 0, 1 */
};

struct history {
	uint64_t seed;
	int64_t start_ms, now_ms;
	struct goal goals[GOALS * VERSIONS];
	size_t n_goals, n_first; /* the first versions come first */
	struct reading readings[READINGS_MAX];
	size_t n_readings;
	struct event events[EVENTS_MAX];
	size_t n_events;
	int64_t edited_ms; /* when the later versions and the pauses were made */
};

static uint64_t roll(struct history *h, uint64_t sides)
{
	h->seed = h->seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (h->seed >> 33) % sides;
}

/* ---- making up a history */

static void make_rule(struct history *h, struct goal *g)
{
	static const struct {
		enum metric metric;
		enum goal_rule rule;
		enum goal_period period;
		int64_t target, day_target;
	} rules[] = {
		{ METRIC_STEPS, GOAL_SUM_PER_PERIOD, GOAL_WEEK, 9000, 0 },
		{ METRIC_STEPS, GOAL_SUM_PER_PERIOD, GOAL_DAY, 2000, 0 },
		{ METRIC_STEPS, GOAL_COUNT_DAYS, GOAL_WEEK, 3, 2500 },
		{ METRIC_STEPS, GOAL_MEAN_PER_PERIOD, GOAL_WEEK, 2500, 0 },
		{ METRIC_SLEEP_DURATION, GOAL_NIGHTS_MEETING, GOAL_WEEK, 2, 420 },
		{ METRIC_SLEEP_DURATION, GOAL_MEAN_PER_PERIOD, GOAL_WEEK, 400, 0 },
		{ METRIC_BODY_WEIGHT, GOAL_TREND, GOAL_WEEK, 65, 0 },
		{ METRIC_BODY_WEIGHT, GOAL_TREND, GOAL_WEEK, 0, 0 },
		{ METRIC_BODY_WEIGHT, GOAL_MEASURE_REGULARLY, GOAL_WEEK, 2, 0 },
	};
	size_t i = roll(h, sizeof(rules) / sizeof(rules[0]));

	g->metric = rules[i].metric;
	g->rule = rules[i].rule;
	g->period = rules[i].period;
	g->target = (struct decimal){ rules[i].target, 0 };
	g->day_target = (struct decimal){ rules[i].day_target, 0 };
	g->direction = rules[i].target ? GOAL_DOWN : GOAL_STEADY;
	g->agreed_by = GOAL_AGREED_BY_PROFESSIONAL;
	g->height_mm = 1700;
	g->show_weight = roll(h, 2);
	g->min_points = (unsigned int)roll(h, 6);
	g->week_start = (unsigned int)roll(h, 7) + 1;
}

/* a later version asks for something else from a day to come on */
static void edit(struct history *h, struct goal *g)
{
	g->version++;
	if (g->rule == GOAL_TREND)
		g->band = (struct decimal){ 5 + (int64_t)roll(h, 20), -1 };
	else if (g->rule == GOAL_COUNT_DAYS || g->rule == GOAL_NIGHTS_MEETING)
		g->day_target.mantissa += (int64_t)roll(h, 100) - 50;
	else if (g->rule != GOAL_MEASURE_REGULARLY)
		g->target.mantissa += (int64_t)roll(h, 100) - 50;
	if (g->starts_on < h->edited_ms / DAY + 2)
		g->starts_on = h->edited_ms / DAY + 2;
	g->starts_on += 1 + (int64_t)roll(h, 10);
}

static void pause_some(struct history *h, struct goal *g)
{
	g->n_pauses = roll(h, 3);
	for (size_t i = 0; i < g->n_pauses; i++) {
		g->pauses[i].from_day = h->start_ms / DAY + (int64_t)roll(h, DAYS);
		g->pauses[i].to_day = g->pauses[i].from_day + 1 + (int64_t)roll(h, 12);
	}
}

static void make_goals(struct history *h)
{
	const char *zone = zones[roll(h, sizeof(zones) / sizeof(zones[0]))];

	h->n_first = h->n_goals = 1 + roll(h, GOALS);
	for (size_t i = 0; i < h->n_first; i++) {
		struct goal *g = &h->goals[i];

		make_rule(h, g);
		(void)snprintf(g->id, sizeof(g->id), "goal-%zu", i);
		(void)snprintf(g->title, sizeof(g->title), "Goal %zu", i);
		(void)snprintf(g->subject, sizeof(g->subject), "p-%d", (int)roll(h, 2));
		(void)snprintf(g->time_zone, sizeof(g->time_zone), "%s", zone);
		g->version = 1;
		g->starts_on = INT64_MIN;
	}
	for (size_t i = 0; i < h->n_first; i++) {
		const struct goal *last = &h->goals[i];

		for (uint64_t n = roll(h, VERSIONS); n > 0; n--) {
			h->goals[h->n_goals] = *last;
			last = &h->goals[h->n_goals++];
			edit(h, &h->goals[h->n_goals - 1]);
		}
		pause_some(h, &h->goals[last - h->goals]);
	}
}

static void make_value(struct history *h, struct reading *r)
{
	static const int64_t minutes[] = { 0, 1, 20, 60, 61, 700, 1440 };
	int64_t day = h->start_ms + (int64_t)roll(h, DAYS) * DAY;

	r->at_ms = day + (int64_t)roll(h, 96) * 15 * MINUTE;
	if (r->metric == METRIC_STEPS) {
		r->duration_ms = minutes[roll(h, 7)] * MINUTE;
		r->value = (int64_t)roll(h, 5000);
	} else if (r->metric == METRIC_SLEEP_DURATION) {
		r->duration_ms = (int64_t)(roll(h, 10) + 1) * HOUR;
		r->value = r->duration_ms / MINUTE - (int64_t)roll(h, 30);
	} else {
		r->value = 64 + (int64_t)roll(h, 5);
	}
}

static void add_event(struct history *h, int64_t at_ms, size_t reading, bool remove,
		      const struct reading *as)
{
	size_t i = h->n_events++;

	/* by time; those of one time in the order they were made */
	for (; i > 0 && h->events[i - 1].at_ms > at_ms; i--)
		h->events[i] = h->events[i - 1];
	h->events[i] = (struct event){ at_ms, reading, remove, as->value, as->person };
}

/* how a reading came in, and what became of it */
static void make_events(struct history *h, size_t i)
{
	struct reading *r = &h->readings[i], was = *r;
	int64_t at_ms = r->received_ms, next_ms = at_ms + (int64_t)roll(h, 144) * HOUR;

	switch (roll(h, 6)) {
	case 0: /* corrected */
		was.value += 1 + (int64_t)roll(h, 3);
		break;
	case 1: /* of somebody else, after all */
		was.person = !r->person;
		break;
	case 2: /* taken back, and stated again as it was */
		break;
	default:
		add_event(h, at_ms, i, false, r);
		return;
	}
	add_event(h, at_ms, i, false, &was);
	add_event(h, next_ms, i, true, &was);
	add_event(h, next_ms, i, false, r);
}

static void make_readings(struct history *h)
{
	static const enum metric metrics[] = { METRIC_STEPS, METRIC_STEPS, METRIC_SLEEP_DURATION,
					       METRIC_BODY_WEIGHT };

	h->n_readings = 5 + roll(h, READINGS_MAX - 5);
	for (size_t i = 0; i < h->n_readings; i++) {
		struct reading *r = &h->readings[i];

		if (i > 0 && roll(h, 8) == 0) { /* sent twice under another name */
			*r = h->readings[i - 1];
		} else {
			r->metric = metrics[roll(h, 4)];
			r->device = (uint8_t)roll(h, 2);
			r->person = roll(h, 4) == 0;
			make_value(h, r);
		}
		r->received_ms = r->at_ms + r->duration_ms;
		if (roll(h, 3) == 0) /* late; some too late to count */
			r->received_ms += (int64_t)roll(h, 960) * HOUR;
		make_events(h, i);
	}
	h->now_ms = h->events[h->n_events - 1].at_ms + (int64_t)roll(h, 12) * DAY;
}

static void make_history(struct history *h, uint64_t seed)
{
	memset(h, 0, sizeof(*h));
	h->seed = seed * UINT64_C(0x9e3779b97f4a7c15);
	h->start_ms = starts[roll(h, 2)];
	h->edited_ms = h->start_ms + (int64_t)roll(h, DAYS) * DAY;
	make_goals(h);
	make_readings(h);
}

/* ---- living through it */

struct told {
	Wellgate__V1__GoalResult *result; /* the last one of a period */
};

struct life {
	struct goal_book *book;
	struct arena arena, scratch;
	struct told told[TOLD_MAX];
	size_t n_told;
};

static void make_event(const struct history *h, const struct event *e, struct made *m)
{
	const struct reading *r = &h->readings[e->reading];

	make(m, r->metric, r->at_ms, r->duration_ms, e->value);
	(void)snprintf(m->subject, sizeof(m->subject), "p-%d", e->person);
	m->digest[7] = r->device;
	m->r.received_at_ms = r->received_ms;
}

static void apply(const struct history *h, struct life *l, const struct event *e, bool remove)
{
	struct made m;

	make_event(h, e, &m);
	arena_reset(&l->scratch);
	assert_int_equal(goal_book_tag(l->book, &m.r, &l->scratch), 0);
	assert_int_equal(remove ? goal_book_remove(l->book, &m.r) : goal_book_add(l->book, &m.r),
			 0);
}

static void life_open(struct life *l, const struct goal *goals, size_t n)
{
	assert_int_equal(goal_book_new(goals, n, "hub", 7, &l->book), 0);
	assert_int_equal(arena_init(&l->arena, 65536), 0);
	assert_int_equal(arena_init(&l->scratch, 65536), 0);
	l->n_told = 0;
}

static void life_close(struct life *l)
{
	for (size_t i = 0; i < l->n_told; i++)
		wellgate__v1__goal_result__free_unpacked(l->told[i].result, NULL);
	goal_book_free(l->book);
	arena_finish(&l->arena);
	arena_finish(&l->scratch);
}

static bool is_same_period(const Wellgate__V1__GoalResult *a, const Wellgate__V1__GoalResult *b)
{
	return strcmp(a->goal_id, b->goal_id) == 0 && a->period_start_ms == b->period_start_ms;
}

static Wellgate__V1__GoalResult **told_of(struct life *l, const Wellgate__V1__GoalResult *r)
{
	size_t i = 0;

	while (i < l->n_told && !is_same_period(l->told[i].result, r))
		i++;
	if (i == l->n_told) {
		assert_true(i < TOLD_MAX);
		l->told[l->n_told++].result = NULL;
	}
	return &l->told[i].result;
}

static Wellgate__V1__GoalResult *copy_of(const Wellgate__V1__GoalResult *r)
{
	static uint8_t bytes[4096];
	size_t len = wellgate__v1__goal_result__get_packed_size(r);

	assert_true(len <= sizeof(bytes));
	(void)wellgate__v1__goal_result__pack(r, bytes);
	return wellgate__v1__goal_result__unpack(NULL, len, bytes);
}

/* says all there is to say; not kept if the transaction is going to fail */
static void listen(struct life *l, int64_t now_ms, bool keep)
{
	Wellgate__V1__GoalResult *r = NULL;

	for (;;) {
		Wellgate__V1__GoalResult **told;

		arena_reset(&l->arena);
		if (goal_book_next_result(l->book, now_ms, &l->arena, &r) == 0)
			break;
		if (!keep)
			continue;
		told = told_of(l, r);
		if (*told) {
			assert_int_equal(r->revision, (*told)->revision + 1);
			wellgate__v1__goal_result__free_unpacked(*told, NULL);
		}
		*told = copy_of(r);
	}
}

/* the goals were edited, and the hub started again: what counts so far, then what was said */
static void restart(const struct history *h, struct life *l, size_t n_events)
{
	goal_book_free(l->book);
	assert_int_equal(goal_book_new(h->goals, h->n_goals, "hub", 7, &l->book), 0);
	for (size_t i = n_events; i-- > 0;) {
		bool gone = h->events[i].remove;

		for (size_t k = i + 1; k < n_events && !gone; k++)
			gone = h->events[k].remove && h->events[k].reading == h->events[i].reading;
		if (!gone)
			apply(h, l, &h->events[i], false);
	}
	for (size_t i = 0; i < l->n_told; i++)
		assert_int_equal(goal_book_restore(l->book, l->told[i].result), 0);
	goal_book_settle(l->book);
}

static void live(struct history *h, struct life *l)
{
	bool edited = false;

	life_open(l, h->goals, h->n_first);
	for (size_t i = 0; i < h->n_events;) {
		size_t end = i + 1 + roll(h, 4);
		bool fails = roll(h, 5) == 0;

		if (!edited && h->events[i].at_ms > h->edited_ms) {
			/* results are stored with the readings that they are of */
			listen(l, i > 0 ? h->events[i - 1].at_ms : h->start_ms, true);
			restart(h, l, i);
			edited = true;
		}
		if (end > h->n_events)
			end = h->n_events;
		while (!edited && end > i + 1 && h->events[end - 1].at_ms > h->edited_ms)
			end--; /* the edit comes first */
		while (end < h->n_events && h->events[end].at_ms == h->events[end - 1].at_ms)
			end++;
		for (int try = fails ? 0 : 1; try < 2; try++) {
			for (size_t k = i; k < end; k++)
				apply(h, l, &h->events[k], h->events[k].remove);
			if (roll(h, 3) > 0)
				listen(l, h->events[end - 1].at_ms, try == 1);
			if (try == 0)
				goal_book_undo(l->book);
		}
		goal_book_settle(l->book);
		i = end;
	}
	if (!edited || roll(h, 3) == 0) {
		listen(l, h->events[h->n_events - 1].at_ms, true);
		restart(h, l, h->n_events);
	}
	listen(l, h->now_ms, true);
}

/* ---- from scratch */

static bool is_final(const struct history *h, size_t event)
{
	for (size_t k = event + 1; k < h->n_events; k++) {
		if (h->events[k].reading == h->events[event].reading)
			return false;
	}
	return true;
}

static void from_scratch(const struct history *h, struct life *l)
{
	life_open(l, h->goals, h->n_goals);
	for (size_t i = 0; i < h->n_events; i++) {
		if (is_final(h, i))
			apply(h, l, &h->events[i], false);
	}
	goal_book_settle(l->book);
	listen(l, h->now_ms, true);
}

static size_t pack_result(Wellgate__V1__GoalResult *r, uint8_t *bytes, size_t size)
{
	size_t len;

	r->has_revision = r->has_reason = false;
	len = wellgate__v1__goal_result__get_packed_size(r);
	assert_true(len <= size);
	return wellgate__v1__goal_result__pack(r, bytes);
}

static int compare_points(const void *a, const void *b)
{
	return goal_point_compare(a, b);
}

static size_t points_of(const struct history *h, const struct goal *g, struct goal_point *points)
{
	size_t n = 0;

	for (size_t i = 0; i < h->n_readings; i++) {
		const struct reading *r = &h->readings[i];

		if (r->metric != g->metric || r->person != g->subject[2] - '0' ||
		    r->received_ms - r->at_ms > GOAL_LATE_DAYS * DAY)
			continue;
		points[n++] = (struct goal_point){ .at_ms = r->at_ms,
						   .device = r->device,
						   .mantissa = r->value,
						   .duration_ms = (uint32_t)r->duration_ms,
						   .count = 1 };
	}
	qsort(points, n, sizeof(*points), compare_points);
	return n;
}

static struct goal version_of(const struct history *h, const char *id, uint32_t version)
{
	size_t i = 0;

	while (i < h->n_goals &&
	       (strcmp(h->goals[i].id, id) != 0 || h->goals[i].version != version))
		i++;
	assert_true(i < h->n_goals);
	return h->goals[i];
}

/* the message says what the specification says of the final readings */
static void check_specification(const struct history *h, const struct goal *latest,
				struct zone *zone, const Wellgate__V1__GoalResult *r)
{
	struct goal goal = version_of(h, r->goal_id, r->goal_version);
	struct goal_point points[READINGS_MAX] = { 0 };
	struct goal_progress p;
	struct goal_span span;
	int64_t first_day;
	size_t n = points_of(h, &goal, points);

	goal.n_pauses = latest->n_pauses;
	memcpy(goal.pauses, latest->pauses, sizeof(goal.pauses));
	span = goal_span_of(&goal, zone, r->period_start_ms, &first_day);
	assert_int_equal(span.end_ms, r->period_end_ms);
	goal_evaluate(&goal, zone, first_day, points, n, &p);
	assert_int_equal(r->readings, p.readings);
	assert_int_equal(r->asked_days, p.asked);
	assert_int_equal(r->review, p.review);
	if (r->progress)
		assert_int_equal(
			decimal_compare(p.value, (struct decimal){ r->progress->mantissa,
								   r->progress->exponent }),
			0);
	assert_int_equal(r->outcome,
			 goal_outcome_of(&goal, &p, goal_state_at(&goal, &span, &p, h->now_ms)));
}

static void check_periods(const struct history *h, struct life *one, struct life *two)
{
	size_t n;
	const struct goal *goals = goal_book_goals(two->book, &n);
	struct zone *zone = NULL;

	assert_int_equal(zone_load(goals[0].time_zone, &zone), 0);
	for (size_t i = 0; i < n; i++) {
		for (int64_t at = h->start_ms - 8 * DAY; at < h->start_ms + (DAYS + 30) * DAY;
		     at += (goals[i].period == GOAL_DAY ? 1 : 7) * DAY) {
			static uint8_t bytes_one[4096], bytes_two[4096];
			Wellgate__V1__GoalResult *a, *b;
			size_t len;

			arena_reset(&one->arena);
			arena_reset(&two->arena);
			assert_int_equal(
				goal_book_result_at(one->book, i, at, h->now_ms, &one->arena, &a),
				0);
			assert_int_equal(
				goal_book_result_at(two->book, i, at, h->now_ms, &two->arena, &b),
				0);
			check_specification(h, &goals[i], zone, b);
			len = pack_result(a, bytes_one, sizeof(bytes_one));
			assert_int_equal(len, pack_result(b, bytes_two, sizeof(bytes_two)));
			assert_memory_equal(bytes_one, bytes_two, len);
		}
	}
	zone_free(zone);
}

static int64_t value_of(const Wellgate__V1__Decimal *d)
{
	return d ? d->mantissa : INT64_MIN;
}

/* what was said last is what is true */
static void check_told(struct life *one, struct life *two)
{
	for (size_t i = 0; i < two->n_told; i++) {
		const Wellgate__V1__GoalResult *b = two->told[i].result, *a = *told_of(one, b);

		assert_non_null(a);
		if (!a) /* cmocka has left already; the analyser does not know */
			return;
		assert_int_equal(a->state, b->state);
		assert_int_equal(a->outcome, b->outcome);
		assert_int_equal(a->achievement, b->achievement);
		assert_int_equal(a->review, b->review);
		assert_int_equal(value_of(a->progress), value_of(b->progress));
		if (a->words)
			assert_string_equal(a->words, b->words);
	}
}

static void test_histories(void **state)
{
	static struct history h;
	static struct life one, two;
	const char *text = getenv("WELLGATE_GOAL_HISTORIES");
	uint64_t n = text ? strtoull(text, NULL, 10) : HISTORIES;
	uint64_t results = 0, removed = 0;

	(void)state;
	for (uint64_t seed = 1; seed <= n; seed++) {
		make_history(&h, seed);
		live(&h, &one);
		from_scratch(&h, &two);
		check_periods(&h, &one, &two);
		check_told(&one, &two);
		results += one.n_told;
		for (size_t i = 0; i < h.n_events; i++)
			removed += h.events[i].remove;
		life_close(&one);
		life_close(&two);
	}
	print_message("%llu histories: %llu periods spoken of, %llu readings taken back\n",
		      (unsigned long long)n, (unsigned long long)results,
		      (unsigned long long)removed);
	assert_true(results > n * 10);
	assert_true(removed > n * 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_histories),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
