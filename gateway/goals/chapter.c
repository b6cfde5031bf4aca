#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/goals/book.h"
#include "gateway/goals/calendar.h"

enum {
	/* a day goal: today, 3 days of grace, 35 days of late readings, slack */
	PAGES_MAX = 64,
	/* and the days that a trend looks back from the first of them */
	DAYS_MAX = PAGES_MAX + GOAL_TREND_DAYS + 7,
	POINTS_KEPT = 65536,
	POINTS_MAX = POINTS_KEPT * 3 / 2, /* before the trim that brings it down again */
};
#define MINUTE_MS INT64_C(60000)

bool goal_grow(void **array, size_t *size, size_t n, size_t item)
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

void goal_chapter_finish(struct goal_chapter *c)
{
	for (size_t i = 0; i < c->n_buckets; i++)
		free(c->buckets[i].points);
	free(c->buckets);
	free(c->pages);
	free(c->versions);
	zone_free(c->zone);
}

const struct goal *goal_chapter_version(const struct goal_chapter *c, int64_t first_day)
{
	size_t i = c->n_versions - 1;

	while (i > 0 && c->versions[i].starts_on > first_day)
		i--;
	return &c->versions[i];
}

/* What places points is the same in all versions. */
static const struct goal *any_version(const struct goal_chapter *c)
{
	return &c->versions[0];
}

/* ---- buckets */

/* where the bucket is, or would be; nearly always at the end */
static size_t bucket_index(const struct goal_chapter *c, int64_t day)
{
	size_t i = c->n_buckets;

	while (i > 0 && c->buckets[i - 1].day >= day)
		i--;
	return i;
}

static struct goal_bucket *bucket_find(struct goal_chapter *c, int64_t day)
{
	size_t i = bucket_index(c, day);

	return i < c->n_buckets && c->buckets[i].day == day ? &c->buckets[i] : NULL;
}

static struct goal_bucket *bucket_make(struct goal_chapter *c, int64_t day)
{
	struct goal_bucket *found = bucket_find(c, day);
	void *buckets = c->buckets;
	bool room;
	size_t i;

	if (found)
		return found;
	room = goal_grow(&buckets, &c->buckets_size, c->n_buckets, sizeof(*c->buckets));
	c->buckets = buckets;
	if (!room)
		return NULL;
	i = bucket_index(c, day);
	memmove(&c->buckets[i + 1], &c->buckets[i], (c->n_buckets - i) * sizeof(*c->buckets));
	c->buckets[i] = (struct goal_bucket){
		.day = day,
		.span = goal_bucket_span(any_version(c), c->zone, day),
	};
	c->n_buckets++;
	return &c->buckets[i];
}

static void bucket_refresh(const struct goal_chapter *c, struct goal_bucket *b)
{
	if (!b->stale)
		return;
	b->tally = goal_tally_empty();
	for (size_t i = 0; i < b->n; i++)
		goal_tally_step(&b->tally, any_version(c), &b->span, &b->points[i]);
	b->stale = false;
}

/* first point that is not before `point` */
static size_t point_index(const struct goal_bucket *b, const struct goal_point *point)
{
	size_t low = 0, high = b->n;

	if (b->n > 0 && goal_point_compare(&b->points[b->n - 1], point) < 0)
		return b->n;
	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (goal_point_compare(&b->points[middle], point) < 0)
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
static struct goal_point *same_minute(struct goal_bucket *b, const struct goal_point *point)
{
	size_t i = point_index(b, point);

	return i < b->n && b->points[i].at_ms == point->at_ms ? &b->points[i] : NULL;
}

static int insert_point(struct goal_chapter *c, struct goal_bucket *b,
			const struct goal_point *point)
{
	void *points = b->points;
	size_t i;
	bool room;

	if (c->n_points >= POINTS_MAX ||
	    (any_version(c)->rule == GOAL_RANGE_MEAN && c->n_points >= GOAL_COURSE_POINTS))
		return -ENOBUFS;
	room = goal_grow(&points, &b->size, b->n, sizeof(*b->points));
	b->points = points;
	if (!room)
		return -ENOMEM;
	i = point_index(b, point);
	memmove(&b->points[i + 1], &b->points[i], (b->n - i) * sizeof(*b->points));
	b->points[i] = *point;
	b->n++;
	c->n_points++;
	if (i + 1 == b->n && !b->stale)
		goal_tally_step(&b->tally, any_version(c), &b->span, point);
	else
		b->stale = true;
	return 1;
}

static void delete_point(struct goal_chapter *c, struct goal_bucket *b, size_t i)
{
	memmove(&b->points[i], &b->points[i + 1], (b->n - i - 1) * sizeof(*b->points));
	b->n--;
	c->n_points--;
}

static int bucket_add(struct goal_chapter *c, struct goal_bucket *b, const struct goal_point *point)
{
	struct goal_point minute = minute_of(point), *same;

	if (any_version(c)->rule != GOAL_MEASURE_REGULARLY)
		return insert_point(c, b, point);
	same = same_minute(b, &minute);
	if (!same) {
		minute.count = 1;
		return insert_point(c, b, &minute);
	}
	if (same->count == UINT16_MAX)
		return -ENOBUFS;
	same->count++;
	b->tally.readings++; /* one more of an occasion that is there already */
	return 1;
}

static int bucket_remove(struct goal_chapter *c, struct goal_bucket *b,
			 const struct goal_point *point)
{
	struct goal_point minute = minute_of(point), *same;
	size_t i;

	if (any_version(c)->rule == GOAL_MEASURE_REGULARLY) {
		same = same_minute(b, &minute);
		if (!same)
			return 0;
		if (--same->count == 0)
			delete_point(c, b, (size_t)(same - b->points));
	} else {
		i = point_index(b, point);
		if (i == b->n || goal_point_compare(&b->points[i], point) != 0)
			return 0;
		delete_point(c, b, i);
	}
	b->stale = true;
	return 1;
}

/* ---- pages */

static size_t page_index(const struct goal_chapter *c, int64_t first_day)
{
	size_t i = c->n_pages;

	while (i > 0 && c->pages[i - 1].first_day >= first_day)
		i--;
	return i;
}

struct goal_page *goal_chapter_page(struct goal_chapter *c, int64_t first_day)
{
	size_t i = page_index(c, first_day);

	return i < c->n_pages && c->pages[i].first_day == first_day ? &c->pages[i] : NULL;
}

int goal_chapter_make_page(struct goal_chapter *c, int64_t first_day, struct goal_page **ret)
{
	void *pages = c->pages;
	bool room;
	size_t i;

	*ret = goal_chapter_page(c, first_day);
	if (*ret)
		return 1;
	if (goal_window_of(any_version(c), first_day).from <= c->forgotten)
		return 0;
	room = goal_grow(&pages, &c->pages_size, c->n_pages, sizeof(*c->pages));
	c->pages = pages;
	if (!room)
		return -ENOMEM;
	i = page_index(c, first_day);
	memmove(&c->pages[i + 1], &c->pages[i], (c->n_pages - i) * sizeof(*c->pages));
	c->pages[i] = (struct goal_page){
		.first_day = first_day,
		.span = goal_period_span(any_version(c), c->zone, first_day),
		.stale = true,
		.due_ms = -1,
	};
	c->n_pages++;
	goal_chapter_look(c, i);
	*ret = &c->pages[i];
	return 1;
}

static void refresh_course(struct goal_chapter *c, const struct goal *goal, struct goal_page *page)
{
	const struct goal_bucket *b = bucket_find(c, page->first_day);

	goal_course(goal, c->zone, b ? b->points : NULL, b ? b->n : 0, &page->progress);
	page->own = b && b->n > 0;
	page->stale = false;
}

void goal_chapter_refresh(struct goal_chapter *c, struct goal_page *page)
{
	const struct goal *goal = goal_chapter_version(c, page->first_day);
	struct goal_window window = goal_window_of(goal, page->first_day);
	struct goal_day days[GOAL_TREND_DAYS];
	size_t n = 0;

	if (!page->stale)
		return;
	if (goal->rule == GOAL_RANGE_MEAN) {
		refresh_course(c, goal, page);
		return;
	}
	page->own = false;
	for (size_t i = bucket_index(c, window.from);
	     i < c->n_buckets && c->buckets[i].day < window.to; i++) {
		bucket_refresh(c, &c->buckets[i]);
		days[n] = goal_day_of(&c->buckets[i].tally, goal, c->buckets[i].day);
		if (days[n].readings == 0)
			continue;
		page->own = page->own || days[n].day >= page->first_day;
		n++;
	}
	goal_combine(goal, page->first_day, days, n, &page->progress);
	page->stale = false;
}

void goal_chapter_look(struct goal_chapter *c, size_t page)
{
	for (; page < c->n_pages; page++)
		c->pages[page].look = true;
	c->pending = true;
}

/* ---- both */

/* A trend looks at a bucket from several pages. */
static void bucket_changed(struct goal_chapter *c, int64_t day, int removed)
{
	size_t first = c->n_pages;

	for (size_t i = c->n_pages; i-- > 0;) {
		struct goal_page *page = &c->pages[i];
		struct goal_window window = goal_window_of(any_version(c), page->first_day);

		if (day < window.from || day >= window.to)
			continue;
		page->stale = true;
		page->removed += removed;
		first = i;
	}
	goal_chapter_look(c, first);
}

int goal_chapter_add(struct goal_chapter *c, int64_t bucket, const struct goal_point *point)
{
	struct goal_bucket *b;
	struct goal_page *page;
	int r;

	if (bucket <= c->forgotten)
		return 0;
	b = bucket_make(c, bucket);
	if (!b)
		return -ENOMEM;
	if (b->sealed)
		return 0;
	r = goal_chapter_make_page(c, goal_period_of(any_version(c), bucket), &page);
	if (r < 0)
		return r;
	r = bucket_add(c, b, point);
	if (r > 0)
		bucket_changed(c, bucket, 0);
	return r;
}

int goal_chapter_remove(struct goal_chapter *c, int64_t bucket, const struct goal_point *point)
{
	struct goal_bucket *b = bucket_find(c, bucket);

	if (!b || b->sealed || bucket_remove(c, b, point) == 0)
		return 0;
	bucket_changed(c, bucket, 1);
	return 1;
}

void goal_chapter_undo(struct goal_chapter *c, const struct goal_journal_entry *entry)
{
	struct goal_bucket *b;
	struct goal_page *page;

	c->pending = true;
	if (entry->deed == GOAL_TOLD) {
		page = goal_chapter_page(c, entry->day);
		if (page) {
			page->told = entry->told;
			goal_chapter_look(c, (size_t)(page - c->pages));
		}
		return;
	}
	b = bucket_find(c, entry->day);
	if (!b)
		return;
	if (entry->deed == GOAL_ADDED)
		(void)bucket_remove(c, b, &entry->point);
	else /* its place is still allocated */
		(void)bucket_add(c, b, &entry->point);
	bucket_changed(c, entry->day, entry->deed == GOAL_REMOVED ? -1 : 0);
}

static void forget_buckets(struct goal_chapter *c)
{
	size_t n = 0;

	for (; n < c->n_buckets && c->buckets[n].day <= c->forgotten; n++) {
		c->n_points -= c->buckets[n].n;
		free(c->buckets[n].points);
	}
	if (n == 0)
		return;
	c->n_buckets -= n;
	memmove(&c->buckets[0], &c->buckets[n], c->n_buckets * sizeof(*c->buckets));
}

static void seal_bucket(struct goal_chapter *c, struct goal_bucket *b)
{
	bucket_refresh(c, b);
	c->n_points -= b->n;
	free(b->points);
	b->points = NULL;
	b->n = b->size = 0;
	b->sealed = true;
}

static void forget_pages(struct goal_chapter *c)
{
	size_t n = 0;

	while (n < c->n_pages &&
	       goal_window_of(any_version(c), c->pages[n].first_day).from <= c->forgotten)
		n++;
	if (n == 0)
		return;
	c->n_pages -= n;
	memmove(&c->pages[0], &c->pages[n], c->n_pages * sizeof(*c->pages));
}

void goal_chapter_trim(struct goal_chapter *c)
{
	const size_t most = goal_is_by_day(any_version(c)) ? DAYS_MAX : PAGES_MAX;
	int64_t forgotten = c->forgotten;

	if (c->n_buckets > most)
		forgotten = c->buckets[c->n_buckets - most - 1].day;
	if (c->n_pages > PAGES_MAX) {
		int64_t day = c->pages[c->n_pages - PAGES_MAX - 1].first_day;
		int64_t from = goal_window_of(any_version(c), day).from;

		forgotten = from > forgotten ? from : forgotten;
	}
	if (forgotten > c->forgotten) {
		c->forgotten = forgotten;
		forget_buckets(c);
		forget_pages(c);
	}
	for (size_t i = 0; i + 1 < c->n_buckets && c->n_points > POINTS_KEPT; i++)
		seal_bucket(c, &c->buckets[i]);
}
