/*
 * The book: per goal the periods it knows of ("pages"), each with its points in order, the tally of
 * them, and what was last said about it. A journal lets a failed transaction be forgotten.
 *
 * Memory: 32 bytes a point, PAGES_MAX pages and POINTS_KEPT points a goal; past that the oldest
 * pages go, at a settle, and are not revised any more.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "drivers/cleanup.h"
#include "drivers/measurement.h"
#include "gateway/goals/calendar.h"
#include "gateway/goals/evaluate.h"
#include "gateway/goals/goals.h"
#include "gateway/goals/zone.h"

enum {
	PAGES_MAX = 64, /* a day goal: today, 3 days of grace, 35 days of late readings, slack */
	POINTS_KEPT = 65536,
	POINTS_MAX = POINTS_KEPT * 3 / 2, /* before the settle that brings it down again */
	AGREES_MS = 15 * 60 * 1000,
	EXPONENT_MAX = DECIMAL_EXPONENT_MAX,
};
#define MINUTE_MS INT64_C(60000)
#define LATE_MS   (INT64_C(86400000) * GOAL_LATE_DAYS)

/* Flags that speak against nothing a goal asks for: it counts what was done, judging no value. */
#define FLAGS_HARMLESS                                                                         \
	(FLAG_BIT(FLAG_MOVEMENT) | FLAG_BIT(FLAG_CUFF_FIT) | FLAG_BIT(FLAG_IRREGULAR_PULSE) |  \
	 FLAG_BIT(FLAG_BODY_POSITION) | FLAG_BIT(FLAG_PULSE_ABOVE_RANGE) |                     \
	 FLAG_BIT(FLAG_PULSE_BELOW_RANGE) | FLAG_BIT(FLAG_SOFT_RANGE) |                        \
	 FLAG_BIT(FLAG_UNIT_CONVERTED) | FLAG_BIT(FLAG_TIME_CORRECTED) | FLAG_BIT(FLAG_LATE) | \
	 FLAG_BIT(FLAG_BACKFILL) | FLAG_BIT(FLAG_MANUAL) | FLAG_BIT(FLAG_LOW_BATTERY) |        \
	 FLAG_BIT(FLAG_CLOCK_NOT_SET))

struct told {
	bool any;
	bool restored; /* said before the restart */
	bool final;    /* said for an earlier version of the goal: not ours to revise */
	enum goal_state state;
	enum goal_outcome outcome;
	struct decimal progress;
	uint32_t readings, revision;
};

struct page {
	int64_t first_day;
	struct goal_span span;
	struct goal_point *points;
	size_t n, size;
	struct goal_tally tally;
	bool stale; /* the tally must be made anew */
	struct told told;
};

struct chapter { /* of one goal */
	struct zone *zone;
	struct page *pages; /* ascending */
	size_t n, size, n_points;
	int64_t forgotten; /* first day of the newest page that was dropped */
	bool pending;      /* look at the pages again */
	int64_t due_ms;    /* a state changes by itself; -1 never */
	char subject[sizeof(((struct goal *)NULL)->subject)];
};

struct journal_entry {
	size_t goal;
	int64_t first_day;
	bool is_told;
	union {
		struct goal_point point; /* was added */
		struct told told;        /* was said before */
	};
};

struct goal_book {
	struct goal *goals;
	struct chapter *chapters;
	size_t n;
	char *hub;
	uint64_t epoch;
	bool test;
	char tzdata[16];
	int64_t now_ms; /* of the last look */
	struct journal_entry *journal;
	size_t n_journal, journal_size;
};

/* ---- making */

static void page_finish(struct page *p)
{
	free(p->points);
}

void goal_book_free(struct goal_book *b)
{
	if (!b)
		return;
	for (size_t i = 0; b->chapters && i < b->n; i++) {
		for (size_t k = 0; k < b->chapters[i].n; k++)
			page_finish(&b->chapters[i].pages[k]);
		free(b->chapters[i].pages);
		zone_free(b->chapters[i].zone);
	}
	free(b->chapters);
	free(b->goals);
	free(b->journal);
	free(b->hub);
	free(b);
}

static int check_goals(const struct goal *goals, size_t n)
{
	const char *problem;

	for (size_t i = 0; i < n; i++) {
		if (goal_check(&goals[i], &problem) < 0)
			return -EINVAL;
		for (size_t k = 0; k < i; k++) {
			if (strcmp(goals[i].id, goals[k].id) == 0)
				return -EINVAL;
		}
	}
	return 0;
}

static int book_fill(struct goal_book *b, const struct goal *goals, size_t n, const char *hub)
{
	b->hub = strdup(hub);
	b->goals = calloc(n ? n : 1, sizeof(*b->goals));
	b->chapters = calloc(n ? n : 1, sizeof(*b->chapters));
	if (!b->hub || !b->goals || !b->chapters)
		return -ENOMEM;
	b->n = n;
	for (size_t i = 0; i < n; i++) {
		int r = zone_load(goals[i].time_zone, &b->chapters[i].zone);

		if (r < 0)
			return r == -ENOMEM ? r : -EINVAL;
		b->goals[i] = goals[i];
		b->chapters[i].forgotten = INT64_MIN;
		b->chapters[i].due_ms = -1;
		memcpy(b->chapters[i].subject, goals[i].subject, sizeof(goals[i].subject));
	}
	zone_data_version(b->tzdata);
	return 0;
}

int goal_book_new(const struct goal *goals, size_t n, const char *hub, uint64_t epoch,
		  struct goal_book **ret)
{
	struct goal_book *b;
	int r = check_goals(goals, n);

	if (r < 0)
		return r;
	b = calloc(1, sizeof(*b));
	if (!b)
		return -ENOMEM;
	b->epoch = epoch;
	r = book_fill(b, goals, n, hub);
	if (r < 0) {
		goal_book_free(b);
		return r;
	}
	*ret = b;
	return 0;
}

void goal_book_set_test(struct goal_book *b, bool test)
{
	b->test = test;
}

const struct goal *goal_book_goals(const struct goal_book *b, size_t *ret_n)
{
	*ret_n = b->n;
	return b->goals;
}

/* ---- which readings count */

static bool time_is_good(const Wellgate__V1__Reading *r)
{
	int64_t age;

	if (!r->has_measured_at_ms || !r->has_received_at_ms)
		return false;
	if (__builtin_sub_overflow(r->received_at_ms, r->measured_at_ms, &age) || age > LATE_MS)
		return false;
	/* an unknown quality from a later version cannot be judged: it does not count */
	switch (r->clock) {
	case WELLGATE__V1__CLOCK_QUALITY__CLOCK_HUB_SYNCED:
	case WELLGATE__V1__CLOCK_QUALITY__CLOCK_DEVICE_CORRECTED:
	case WELLGATE__V1__CLOCK_QUALITY__CLOCK_DEVICE_TRUSTED:
		return true;
	case WELLGATE__V1__CLOCK_QUALITY__CLOCK_DEVICE_UNVERIFIED:
		return age >= -AGREES_MS && age <= AGREES_MS;
	case WELLGATE__V1__CLOCK_QUALITY__CLOCK_RECEIPT_UNSYNCED:
	case WELLGATE__V1__CLOCK_QUALITY__CLOCK_UNKNOWN:
	case WELLGATE__V1__CLOCK_QUALITY__CLOCK_UNSPECIFIED:
	case _WELLGATE__V1__CLOCK_QUALITY_IS_INT_SIZE:
	default:
		return false;
	}
}

static bool is_attributed(const Wellgate__V1__Reading *r)
{
	return r->subject && *r->subject && r->attribution &&
	       r->attribution->confidence >= WELLGATE__V1__CONFIDENCE__CONFIDENCE_ASSIGNED;
}

static bool flags_are_good(const struct goal_book *b, const Wellgate__V1__Reading *r)
{
	uint64_t harmless = FLAGS_HARMLESS | (b->test ? FLAG_BIT(FLAG_TEST) : 0);

	for (size_t i = 0; i < r->n_flags; i++) {
		unsigned int flag = (unsigned int)r->flags[i];

		if (flag >= FLAG_END || !(harmless & FLAG_BIT(flag)))
			return false;
	}
	return true;
}

/* the component that the goal is about; for a panel any number will do */
static const Wellgate__V1__Component *component_of(const struct goal *goal,
						   const Wellgate__V1__Reading *r)
{
	bool panel = (unsigned int)r->metric == (unsigned int)goal->metric;

	for (size_t i = 0; i < r->n_components; i++) {
		const Wellgate__V1__Component *c = r->components[i];

		if (!c->value || c->value->exponent < -EXPONENT_MAX ||
		    c->value->exponent > EXPONENT_MAX)
			continue;
		if ((unsigned int)c->metric == (unsigned int)goal->metric ||
		    (panel && goal->rule == GOAL_MEASURE_REGULARLY))
			return c;
	}
	return NULL;
}

static bool counts_towards(const struct goal *goal, const Wellgate__V1__Reading *r)
{
	if (goal->subject[0] && strcmp(goal->subject, r->subject) != 0)
		return false;
	return component_of(goal, r) != NULL;
}

int goal_book_tag(const struct goal_book *b, Wellgate__V1__Reading *reading, struct arena *arena)
{
	char **list;
	size_t n = 0;

	reading->goals = NULL;
	reading->n_goals = 0;
	if (!is_attributed(reading) || !time_is_good(reading) || !flags_are_good(b, reading))
		return 0;
	list = arena_alloc(arena, (b->n ? b->n : 1) * sizeof(*list));
	if (!list)
		return -ENOMEM;
	for (size_t i = 0; i < b->n; i++) {
		if (!counts_towards(&b->goals[i], reading))
			continue;
		list[n] = arena_strdup(arena, b->goals[i].id);
		if (!list[n])
			return -ENOMEM;
		n++;
	}
	reading->goals = list;
	reading->n_goals = n;
	return 0;
}

/* ---- pages */

/* where the page of first_day is, or would be */
static size_t page_index(const struct chapter *c, int64_t first_day)
{
	size_t i = c->n;

	while (i > 0 && c->pages[i - 1].first_day >= first_day)
		i--;
	return i;
}

static struct page *page_find(struct chapter *c, int64_t first_day)
{
	size_t i = page_index(c, first_day);

	return i < c->n && c->pages[i].first_day == first_day ? &c->pages[i] : NULL;
}

static bool grow(void **array, size_t *size, size_t n, size_t item)
{
	size_t bigger = *size ? *size * 2 : 8;
	void *p;

	if (n < *size)
		return true;
	p = reallocarray(*array, bigger, item);
	if (!p)
		return false;
	*array = p;
	*size = bigger;
	return true;
}

static struct page *page_insert(struct chapter *c, int64_t first_day, const struct goal_span *span)
{
	void *pages = c->pages;
	bool room = grow(&pages, &c->size, c->n, sizeof(*c->pages));
	size_t i;

	c->pages = pages;
	if (!room)
		return NULL;
	i = page_index(c, first_day);
	memmove(&c->pages[i + 1], &c->pages[i], (c->n - i) * sizeof(*c->pages));
	c->pages[i] = (struct page){ .first_day = first_day, .span = *span };
	c->n++;
	return &c->pages[i];
}

/* 1 and *ret; 0 if the page was dropped long ago; -ENOMEM */
static int page_of(const struct goal *goal, struct chapter *c, int64_t at_ms, struct page **ret)
{
	struct goal_span span;
	int64_t first_day;
	struct page *p;

	if (c->n > 0) { /* nearly always the last one: spare the calendar */
		p = &c->pages[c->n - 1];
		if (at_ms >= p->span.start_ms && at_ms < p->span.end_ms) {
			*ret = p;
			return 1;
		}
	}
	span = goal_span_of(goal, c->zone, at_ms, &first_day);
	if (first_day <= c->forgotten)
		return 0;
	p = page_find(c, first_day);
	if (!p)
		p = page_insert(c, first_day, &span);
	if (!p)
		return -ENOMEM;
	*ret = p;
	return 1;
}

static void page_refresh(const struct goal *goal, struct page *p)
{
	if (!p->stale)
		return;
	p->tally = goal_tally_empty();
	for (size_t i = 0; i < p->n; i++)
		goal_tally_step(&p->tally, goal, &p->span, &p->points[i]);
	p->stale = false;
}

/* first point that is not before `point` */
static size_t point_index(const struct page *p, const struct goal_point *point)
{
	size_t low = 0, high = p->n;

	if (p->n > 0 && goal_point_compare(&p->points[p->n - 1], point) < 0)
		return p->n;
	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (goal_point_compare(&p->points[middle], point) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* Measuring is counted by the minute: what else a point says does not matter, and a stream of
 * heart rates stays small. */
static struct goal_point minute_of(const struct goal_point *point)
{
	return (struct goal_point){ .at_ms = point->at_ms - point->at_ms % MINUTE_MS };
}

/* the point of the same minute, whatever its count; NULL if there is none */
static struct goal_point *same_minute(struct page *p, const struct goal_point *point)
{
	size_t i = point_index(p, point);

	return i < p->n && p->points[i].at_ms == point->at_ms ? &p->points[i] : NULL;
}

static int page_add(const struct goal *goal, struct chapter *c, struct page *p,
		    struct goal_point point)
{
	void *points = p->points;
	size_t i;
	bool room;

	if (goal->rule == GOAL_MEASURE_REGULARLY) {
		struct goal_point minute = minute_of(&point);
		struct goal_point *same = same_minute(p, &minute);

		if (same && same->count == UINT16_MAX)
			return -ENOBUFS;
		if (same) {
			same->count++;
			p->tally.readings++; /* one more of an occasion that is there already */
			return 0;
		}
		point = minute;
		point.count = 1;
	}
	if (c->n_points >= POINTS_MAX)
		return -ENOBUFS;
	room = grow(&points, &p->size, p->n, sizeof(*p->points));
	p->points = points;
	if (!room)
		return -ENOMEM;
	i = point_index(p, &point);
	memmove(&p->points[i + 1], &p->points[i], (p->n - i) * sizeof(*p->points));
	p->points[i] = point;
	p->n++;
	c->n_points++;
	if (i + 1 == p->n && !p->stale)
		goal_tally_step(&p->tally, goal, &p->span, &point);
	else
		p->stale = true;
	return 0;
}

static void page_remove(const struct goal *goal, struct chapter *c, struct page *p,
			struct goal_point point)
{
	size_t i;

	p->stale = true;
	if (goal->rule == GOAL_MEASURE_REGULARLY) {
		struct goal_point minute = minute_of(&point);
		struct goal_point *same = same_minute(p, &minute);

		if (!same || --same->count > 0)
			return;
		i = (size_t)(same - p->points);
	} else {
		i = point_index(p, &point);
		if (i == p->n || goal_point_compare(&p->points[i], &point) != 0)
			return;
	}
	memmove(&p->points[i], &p->points[i + 1], (p->n - i - 1) * sizeof(*p->points));
	p->n--;
	c->n_points--;
}

/* ---- adding and forgetting */

static struct journal_entry *journal_next(struct goal_book *b)
{
	void *journal = b->journal;
	bool room = grow(&journal, &b->journal_size, b->n_journal, sizeof(*b->journal));

	b->journal = journal;
	return room ? &b->journal[b->n_journal] : NULL;
}

static int add_at(struct goal_book *b, size_t i, const struct goal_point *point, int64_t at_ms)
{
	struct journal_entry *entry = journal_next(b);
	struct page *page;
	int r;

	if (!entry)
		return -ENOMEM;
	r = page_of(&b->goals[i], &b->chapters[i], at_ms, &page);
	if (r <= 0)
		return r;
	r = page_add(&b->goals[i], &b->chapters[i], page, *point);
	if (r < 0)
		return r;
	*entry = (struct journal_entry){ .goal = i, .first_day = page->first_day, .point = *point };
	b->n_journal++;
	b->chapters[i].pending = true;
	return 0;
}

static struct goal_point point_of(const Wellgate__V1__Reading *r, const Wellgate__V1__Component *c)
{
	struct goal_point point = {
		.at_ms = r->measured_at_ms,
		.mantissa = c->value->mantissa,
		.exponent = (int16_t)c->value->exponent,
		.count = 1,
	};

	if (r->has_duration_ms && r->duration_ms > 0)
		point.duration_ms =
			r->duration_ms > UINT32_MAX ? UINT32_MAX : (uint32_t)r->duration_ms;
	if (r->device && r->device->has_serial_digest) {
		for (size_t i = 0; i < 8 && i < r->device->serial_digest.len; i++)
			point.device = point.device << 8 | r->device->serial_digest.data[i];
	}
	return point;
}

/* a result is about the person whose readings it counts */
static void keep_subject(struct chapter *c, const char *subject)
{
	size_t len = subject ? strlen(subject) : 0;

	if (len > 0 && len < sizeof(c->subject))
		memcpy(c->subject, subject, len + 1);
}

static int add_to_goal(struct goal_book *b, size_t i, const Wellgate__V1__Reading *reading)
{
	const Wellgate__V1__Component *c = component_of(&b->goals[i], reading);
	struct chapter *chapter = &b->chapters[i];
	struct goal_point point;
	int64_t at[2];
	int r;

	if (!c || !reading->has_measured_at_ms)
		return 0;
	point = point_of(reading, c);
	goal_instants(&b->goals[i], &point, at);
	r = add_at(b, i, &point, at[0]);
	/* not "a different instant" but "a different page": the same one would count it twice */
	if (r == 0 && at[1] != at[0]) {
		int64_t first, second;

		(void)goal_span_of(&b->goals[i], chapter->zone, at[0], &first);
		(void)goal_span_of(&b->goals[i], chapter->zone, at[1], &second);
		if (first != second)
			r = add_at(b, i, &point, at[1]);
	}
	keep_subject(chapter, reading->subject);
	return r;
}

static size_t goal_index(const struct goal_book *b, const char *id)
{
	size_t i = 0;

	while (i < b->n && strcmp(b->goals[i].id, id) != 0)
		i++;
	return i;
}

int goal_book_add(struct goal_book *b, const Wellgate__V1__Reading *reading)
{
	int result = 0;

	for (size_t i = 0; i < reading->n_goals; i++) {
		size_t goal = goal_index(b, reading->goals[i]);
		int r = goal < b->n ? add_to_goal(b, goal, reading) : 0;

		if (r < 0 && r != -ENOBUFS)
			return r;
		if (r < 0)
			result = r;
	}
	return result;
}

void goal_book_undo(struct goal_book *b)
{
	while (b->n_journal > 0) {
		struct journal_entry *e = &b->journal[--b->n_journal];
		struct chapter *c = &b->chapters[e->goal];
		struct page *p = page_find(c, e->first_day);

		c->pending = true;
		if (p && e->is_told)
			p->told = e->told;
		else if (p)
			page_remove(&b->goals[e->goal], c, p, e->point);
	}
}

static void drop_oldest(struct chapter *c)
{
	c->n_points -= c->pages[0].n;
	c->forgotten = c->pages[0].first_day;
	page_finish(&c->pages[0]);
	c->n--;
	memmove(&c->pages[0], &c->pages[1], c->n * sizeof(*c->pages));
}

void goal_book_settle(struct goal_book *b)
{
	b->n_journal = 0;
	for (size_t i = 0; i < b->n; i++) {
		struct chapter *c = &b->chapters[i];

		while (c->n > PAGES_MAX || (c->n > 1 && c->n_points > POINTS_KEPT))
			drop_oldest(c);
	}
}

/* ---- results */

static struct told verdict(const struct goal *goal, struct page *p, int64_t now_ms)
{
	struct goal_progress progress;
	struct told now = { .any = true };

	page_refresh(goal, p);
	goal_tally_result(&p->tally, goal, &progress);
	now.state = goal_state_at(goal, &p->span, now_ms);
	now.outcome = progress.readings == 0 ? GOAL_NO_DATA
		      : progress.met         ? GOAL_MET
					     : GOAL_IN_PROGRESS;
	now.progress = progress.value;
	now.readings = progress.readings;
	now.revision = p->told.revision + 1;
	return now;
}

static bool is_news(const struct told *before, const struct told *now)
{
	if (!before->any)
		return now->readings > 0;
	/* The store keeps readings for a limited time. What was said when all of them were here is
	 * better than what can be said now. */
	if (before->final || (before->restored && now->readings < before->readings))
		return false;
	return before->state != now->state || before->outcome != now->outcome ||
	       decimal_compare(before->progress, now->progress) != 0;
}

static Wellgate__V1__Decimal *decimal_message(struct arena *arena, struct decimal d)
{
	Wellgate__V1__Decimal *m = arena_alloc(arena, sizeof(*m));

	if (!m)
		return NULL;
	wellgate__v1__decimal__init(m);
	m->has_mantissa = m->has_exponent = true;
	m->mantissa = d.mantissa;
	m->exponent = d.exponent;
	return m;
}

static bool fill_texts(const struct goal_book *b, size_t i, const struct told *now,
		       struct arena *arena, Wellgate__V1__GoalResult *m)
{
	const struct goal *goal = &b->goals[i];
	const struct metric_info *info = metric_info(goal->metric);
	enum unit unit = goal->rule == GOAL_SUM_PER_PERIOD && info ? info->unit : UNIT_ONE;
	char words[GOAL_WORDS_MAX];

	goal_words(goal, now->state, now->outcome, now->progress, words);
	m->goal_id = arena_strdup(arena, goal->id);
	m->unit = arena_strdup(arena, unit_info(unit)->ucum);
	m->words = arena_strdup(arena, words);
	m->hub = arena_strdup(arena, b->hub);
	if (b->tzdata[0])
		m->tzdata = arena_strdup(arena, b->tzdata);
	if (b->chapters[i].subject[0])
		m->subject = arena_strdup(arena, b->chapters[i].subject);
	m->progress = decimal_message(arena, now->progress);
	m->target = decimal_message(arena, goal->target);
	return m->goal_id && m->unit && m->words && m->hub && m->progress && m->target;
}

static int make_result(const struct goal_book *b, size_t i, const struct goal_span *span,
		       const struct told *now, struct arena *arena, Wellgate__V1__GoalResult **ret)
{
	Wellgate__V1__GoalResult *m = arena_alloc(arena, sizeof(*m));

	if (!m)
		return -ENOMEM;
	wellgate__v1__goal_result__init(m);
	if (!fill_texts(b, i, now, arena, m))
		return -ENOMEM;
	m->has_goal_version = m->has_metric = m->has_period_start_ms = m->has_period_end_ms = true;
	m->goal_version = b->goals[i].version;
	m->metric = (Wellgate__V1__Metric)b->goals[i].metric;
	m->period_start_ms = span->start_ms;
	m->period_end_ms = span->end_ms;
	m->has_state = m->has_outcome = m->has_readings = m->has_revision = m->has_epoch = true;
	m->state = (Wellgate__V1__GoalResult__State)now->state;
	m->outcome = (Wellgate__V1__GoalResult__Outcome)now->outcome;
	m->readings = now->readings;
	m->revision = now->revision;
	m->epoch = b->epoch;
	m->has_evaluated_at_ms = true;
	m->evaluated_at_ms = b->now_ms;
	*ret = m;
	return 0;
}

static int tell(struct goal_book *b, size_t i, struct page *p, const struct told *now,
		struct arena *arena, Wellgate__V1__GoalResult **ret)
{
	struct journal_entry *entry = journal_next(b);
	int r;

	if (!entry)
		return -ENOMEM;
	r = make_result(b, i, &p->span, now, arena, ret);
	if (r < 0)
		return r;
	*entry = (struct journal_entry){
		.goal = i, .first_day = p->first_day, .is_told = true, .told = p->told
	};
	b->n_journal++;
	p->told = *now;
	return 1;
}

static int64_t page_due(const struct page *p, int64_t now_ms)
{
	if (!p->told.any || p->told.final)
		return -1;
	if (now_ms < p->span.end_ms)
		return p->span.end_ms;
	return now_ms < p->span.end_ms + GOAL_GRACE_MS ? p->span.end_ms + GOAL_GRACE_MS : -1;
}

static int64_t chapter_due(const struct chapter *c, int64_t now_ms)
{
	int64_t first = -1;

	for (size_t i = 0; i < c->n; i++) {
		int64_t due = page_due(&c->pages[i], now_ms);

		if (due >= 0 && (first < 0 || due < first))
			first = due;
	}
	return first;
}

static int next_of_goal(struct goal_book *b, size_t i, struct arena *arena,
			Wellgate__V1__GoalResult **ret)
{
	struct chapter *c = &b->chapters[i];

	if (!c->pending && (c->due_ms < 0 || b->now_ms < c->due_ms))
		return 0;
	for (size_t k = 0; k < c->n; k++) {
		struct told now = verdict(&b->goals[i], &c->pages[k], b->now_ms);

		if (is_news(&c->pages[k].told, &now))
			return tell(b, i, &c->pages[k], &now, arena, ret);
	}
	c->pending = false;
	c->due_ms = chapter_due(c, b->now_ms);
	return 0;
}

int goal_book_next_result(struct goal_book *b, int64_t now_ms, struct arena *arena,
			  Wellgate__V1__GoalResult **ret)
{
	bool back = now_ms < b->now_ms; /* the clock was set back: periods may be open again */

	b->now_ms = now_ms;
	for (size_t i = 0; i < b->n; i++) {
		int r;

		if (back)
			b->chapters[i].pending = true;
		r = next_of_goal(b, i, arena, ret);
		if (r != 0)
			return r;
	}
	return 0;
}

int64_t goal_book_next_due(const struct goal_book *b, int64_t now_ms)
{
	int64_t first = -1;

	for (size_t i = 0; i < b->n; i++) {
		int64_t due = chapter_due(&b->chapters[i], now_ms);

		if (due >= 0 && (first < 0 || due < first))
			first = due;
	}
	return first;
}

int goal_book_current(struct goal_book *b, size_t i, int64_t now_ms, struct arena *arena,
		      Wellgate__V1__GoalResult **ret)
{
	struct page blank = { 0 };
	struct page *page;
	struct told now;

	if (i >= b->n)
		return -EINVAL;
	blank.span = goal_span_of(&b->goals[i], b->chapters[i].zone, now_ms, &blank.first_day);
	page = page_find(&b->chapters[i], blank.first_day);
	if (!page)
		page = &blank;
	now = verdict(&b->goals[i], page, now_ms);
	if (!is_news(&page->told, &now))
		now.revision = page->told.revision;
	return make_result(b, i, &page->span, &now, arena, ret);
}

/* ---- at start */

int goal_book_restore(struct goal_book *b, const Wellgate__V1__GoalResult *result)
{
	size_t i = result->goal_id ? goal_index(b, result->goal_id) : b->n;
	struct goal_span span;
	struct page *page;
	int64_t first_day;
	bool same_version;
	int r;

	if (i == b->n)
		return -ENOENT;
	span = goal_span_of(&b->goals[i], b->chapters[i].zone, result->period_start_ms, &first_day);
	if (span.start_ms != result->period_start_ms || span.end_ms != result->period_end_ms)
		return 0; /* the goal had other periods then */
	r = page_of(&b->goals[i], &b->chapters[i], span.start_ms, &page);
	if (r <= 0)
		return r;
	if (page->told.any && page->told.revision >= result->revision)
		return 0;
	same_version = result->goal_version == b->goals[i].version;
	page->told = (struct told){
		.any = true,
		.restored = same_version,
		.state = (enum goal_state)result->state,
		.outcome = (enum goal_outcome)result->outcome,
		.readings = result->readings,
		.revision = result->revision,
	};
	if (result->progress)
		page->told.progress =
			(struct decimal){ result->progress->mantissa, result->progress->exponent };
	/* a period that had ended keeps the version it ended under; a running one takes the new */
	page->told.final =
		!same_version && page->told.state != GOAL_OPEN && page->told.state != GOAL_PAUSED;
	keep_subject(&b->chapters[i], result->subject);
	b->chapters[i].pending = true;
	return 0;
}
