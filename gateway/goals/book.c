#include "gateway/goals/book.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/goals/calendar.h"

/* ---- making */

void goal_book_free(struct goal_book *b)
{
	if (!b)
		return;
	for (size_t i = 0; b->chapters && i < b->n; i++)
		goal_chapter_finish(&b->chapters[i]);
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
			if (strcmp(goals[i].id, goals[k].id) == 0 &&
			    strcmp(goals[i].subject, goals[k].subject) == 0 &&
			    goal_check_version(&goals[i], &goals[k], &problem) < 0)
				return -EINVAL;
		}
	}
	return 0;
}

static int chapter_begin(struct goal_chapter *c, const struct goal *goal, size_t n)
{
	int r = zone_load(goal->time_zone, &c->zone);

	if (r < 0)
		return r == -ENOMEM ? r : -EINVAL;
	c->versions = calloc(n, sizeof(*c->versions)); /* as many as there can be */
	if (!c->versions)
		return -ENOMEM;
	c->forgotten = INT64_MIN;
	c->due_ms = -1;
	memcpy(c->subject, goal->subject, sizeof(c->subject));
	return 0;
}

static void add_version(struct goal_chapter *c, const struct goal *goal)
{
	size_t i = c->n_versions++;

	for (; i > 0 && c->versions[i - 1].version > goal->version; i--)
		c->versions[i] = c->versions[i - 1];
	c->versions[i] = *goal;
}

/* When a goal rests, it rests, whichever version a period is closed by. */
static void share_pauses(struct goal_chapter *c)
{
	const struct goal *latest = &c->versions[c->n_versions - 1];

	for (size_t i = 0; i + 1 < c->n_versions; i++) {
		c->versions[i].n_pauses = latest->n_pauses;
		memcpy(c->versions[i].pauses, latest->pauses, sizeof(latest->pauses));
		c->versions[i].paused = latest->paused;
	}
}

static size_t same_goal(const struct goal_book *b, const struct goal *goal)
{
	size_t i = 0;

	while (i < b->n && (strcmp(b->goals[i].id, goal->id) != 0 ||
			    strcmp(b->goals[i].subject, goal->subject) != 0))
		i++;
	return i;
}

static int book_fill(struct goal_book *b, const struct goal *goals, size_t n, const char *hub)
{
	b->hub = strdup(hub);
	b->goals = calloc(n ? n : 1, sizeof(*b->goals));
	b->chapters = calloc(n ? n : 1, sizeof(*b->chapters));
	if (!b->hub || !b->goals || !b->chapters)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		size_t k = same_goal(b, &goals[i]);

		if (k == b->n) {
			int r;

			b->goals[b->n++] = goals[i];
			r = chapter_begin(&b->chapters[k], &goals[i], n);
			if (r < 0)
				return r;
		}
		add_version(&b->chapters[k], &goals[i]);
	}
	for (size_t i = 0; i < b->n; i++) {
		share_pauses(&b->chapters[i]);
		b->goals[i] = b->chapters[i].versions[b->chapters[i].n_versions - 1];
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

int goal_book_change(struct goal_book *b, const struct goal *goals, size_t n)
{
	struct goal_book *other, old = *b;
	int r = goal_book_new(goals, n, b->hub, b->epoch, &other);

	if (r < 0)
		return r;
	other->test = b->test;
	*b = *other;
	*other = old;
	goal_book_free(other);
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

size_t goal_book_index(const struct goal_book *b, const char *id, const char *subject)
{
	size_t i = 0;

	for (; i < b->n; i++) {
		const char *own = b->goals[i].subject;

		if (strcmp(b->goals[i].id, id) == 0 &&
		    (!own[0] || !subject || !subject[0] || strcmp(own, subject) == 0))
			break;
	}
	return i;
}

/* ---- adding, taking back and forgetting */

struct goal_journal_entry *goal_journal_next(struct goal_book *b)
{
	void *journal = b->journal;
	bool room = goal_grow(&journal, &b->journal_size, b->n_journal, sizeof(*b->journal));

	b->journal = journal;
	return room ? &b->journal[b->n_journal] : NULL;
}

/* in 10^-3 mmHg; 0: none that can be */
static uint32_t diastolic_of(const Wellgate__V1__Reading *r)
{
	struct decimal milli;

	for (size_t i = 0; i < r->n_components; i++) {
		const Wellgate__V1__Component *c = r->components[i];

		if (c->metric == WELLGATE__V1__METRIC__METRIC_DIASTOLIC && c->value &&
		    decimal_rescale((struct decimal){ c->value->mantissa, c->value->exponent }, -3,
				    &milli) == 0 &&
		    milli.mantissa > 0 && milli.mantissa <= INT32_MAX)
			return (uint32_t)milli.mantissa;
	}
	return 0;
}

static struct goal_point point_of(const struct goal *goal, const Wellgate__V1__Reading *r,
				  const Wellgate__V1__Component *c)
{
	struct goal_point point = {
		.at_ms = r->measured_at_ms,
		.mantissa = c->value->mantissa,
		.exponent = (int16_t)c->value->exponent,
		.count = 1,
	};

	if (goal->rule == GOAL_RANGE_MEAN)
		point.diastolic = diastolic_of(r);
	else if (r->has_duration_ms && r->duration_ms > 0)
		point.duration_ms =
			r->duration_ms > UINT32_MAX ? UINT32_MAX : (uint32_t)r->duration_ms;
	if (r->device && r->device->has_serial_digest) {
		for (size_t i = 0; i < 8 && i < r->device->serial_digest.len; i++)
			point.device = point.device << 8 | r->device->serial_digest.data[i];
	}
	return point;
}

/* a result is about the person whose readings it counts */
static void keep_subject(struct goal_chapter *c, const char *subject)
{
	size_t len = subject ? strlen(subject) : 0;

	if (len > 0 && len < sizeof(c->subject))
		memcpy(c->subject, subject, len + 1);
}

static int change_bucket(struct goal_book *b, size_t i, const struct goal_point *point,
			 int64_t bucket, enum goal_deed deed)
{
	struct goal_journal_entry *entry = goal_journal_next(b);
	int r;

	if (!entry)
		return -ENOMEM;
	r = deed == GOAL_ADDED ? goal_chapter_add(&b->chapters[i], bucket, point)
			       : goal_chapter_remove(&b->chapters[i], bucket, point);
	if (r <= 0)
		return r;
	*entry = (struct goal_journal_entry){
		.goal = i, .day = bucket, .deed = deed, .point = *point
	};
	b->n_journal++;
	return 0;
}

static int change_goal(struct goal_book *b, size_t i, const Wellgate__V1__Reading *reading,
		       enum goal_deed deed)
{
	const struct goal *goal = &b->goals[i];
	const Wellgate__V1__Component *c = goal_component_of(goal, reading);
	struct goal_chapter *chapter = &b->chapters[i];
	int64_t at[2], first, second;
	struct goal_point point;
	int r;

	if (!c || !reading->has_measured_at_ms)
		return 0;
	point = point_of(goal, reading, c);
	goal_instants(goal, &point, at);
	first = goal_bucket_of(goal, chapter->zone, at[0]);
	second = at[1] == at[0] ? first : goal_bucket_of(goal, chapter->zone, at[1]);
	r = change_bucket(b, i, &point, first, deed);
	if (r == 0 && second != first)
		r = change_bucket(b, i, &point, second, deed);
	if (deed == GOAL_ADDED)
		keep_subject(chapter, reading->subject);
	return r;
}

static int change(struct goal_book *b, const Wellgate__V1__Reading *reading, enum goal_deed deed)
{
	int result = 0;

	for (size_t i = 0; i < reading->n_goals; i++) {
		size_t goal = goal_book_index(b, reading->goals[i], reading->subject);
		int r = goal < b->n ? change_goal(b, goal, reading, deed) : 0;

		if (r < 0 && r != -ENOBUFS)
			return r;
		if (r < 0)
			result = r;
	}
	return result;
}

int goal_book_add(struct goal_book *b, const Wellgate__V1__Reading *reading)
{
	return change(b, reading, GOAL_ADDED);
}

int goal_book_remove(struct goal_book *b, const Wellgate__V1__Reading *reading)
{
	return change(b, reading, GOAL_REMOVED);
}

void goal_book_undo(struct goal_book *b)
{
	while (b->n_journal > 0) {
		const struct goal_journal_entry *e = &b->journal[--b->n_journal];

		goal_chapter_undo(&b->chapters[e->goal], e);
	}
}

/* The store keeps readings for a limited time. What was said when all of them were here is better
 * than what can be said now. */
static void check_restored(struct goal_chapter *c, struct goal_page *page)
{
	struct goal_told *told = &page->told;

	if (!told->restored)
		return;
	goal_chapter_refresh(c, page);
	if (page->progress.readings < told->progress.readings)
		told->final = true;
	told->restored = false;
}

void goal_book_settle(struct goal_book *b)
{
	b->n_journal = 0;
	for (size_t i = 0; i < b->n; i++) {
		struct goal_chapter *c = &b->chapters[i];

		for (size_t k = 0; k < c->n_pages; k++)
			check_restored(c, &c->pages[k]);
		goal_chapter_trim(c);
	}
}

/* ---- at start */

static struct decimal decimal_of(const Wellgate__V1__Decimal *d)
{
	return (struct decimal){ d->mantissa, d->exponent };
}

static void remember(const struct goal *goal, const Wellgate__V1__GoalResult *result,
		     struct goal_told *told)
{
	bool same_version = result->goal_version == goal->version;

	*told = (struct goal_told){
		.any = true,
		.restored = same_version,
		.state = (enum goal_state)result->state,
		.outcome = (enum goal_outcome)result->outcome,
		.achievement = (enum goal_achievement)result->achievement,
		.progress.readings = result->readings,
		.progress.review = result->review,
		.known = result->progress != NULL,
		.bare = !result->has_asked_days,
		.revision = result->revision,
	};
	if (result->n_means == 2 && result->means[0]->value && result->means[1]->value) {
		told->progress.has_means = true;
		told->progress.means[0] = decimal_of(result->means[0]->value);
		told->progress.means[1] = decimal_of(result->means[1]->value);
	}
	if (result->progress)
		told->progress.value = decimal_of(result->progress);
	/* a period that had ended keeps the version it ended under; a running one takes the new */
	told->final = !same_version && told->state != GOAL_OPEN && told->state != GOAL_PAUSED;
}

int goal_book_restore(struct goal_book *b, const Wellgate__V1__GoalResult *result)
{
	size_t i = result->goal_id ? goal_book_index(b, result->goal_id, result->subject) : b->n;
	struct goal_chapter *c;
	struct goal_span span;
	struct goal_page *page;
	int64_t first_day;
	int r;

	if (i == b->n)
		return -ENOENT;
	c = &b->chapters[i];
	span = goal_span_of(&b->goals[i], c->zone, result->period_start_ms, &first_day);
	if (span.start_ms != result->period_start_ms || span.end_ms != result->period_end_ms)
		return 0; /* the goal had other periods then */
	r = goal_chapter_make_page(c, first_day, &page);
	if (r <= 0)
		return r;
	if (page->told.any && page->told.revision >= result->revision)
		return 0;
	remember(goal_chapter_version(c, first_day), result, &page->told);
	page->told.removed = page->removed;
	keep_subject(c, result->subject);
	goal_chapter_look(c, (size_t)(page - c->pages));
	return 0;
}
