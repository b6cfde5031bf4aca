/* What the book says about its periods, and when. */
#include <errno.h>

#include "gateway/goals/book.h"
#include "gateway/goals/calendar.h"
#include "gateway/goals/home_bp.h"

enum {
	BACK_MAX = 26, /* periods looked back for the sustained ones, resting ones included */
};

/* ---- verdicts */

static bool was_met(struct goal_chapter *c, int64_t first_day, int64_t now_ms)
{
	const struct goal *goal = goal_chapter_version(c, first_day);
	struct goal_page *page = goal_chapter_page(c, first_day);
	enum goal_state state;

	if (!page)
		return false;
	goal_chapter_refresh(c, page);
	if (page->told.final)
		return page->told.outcome == GOAL_MET;
	if (!page->own) /* as if it had no page: a trend alone says nothing of a week */
		return false;
	state = goal_state_at(goal, &page->span, &page->progress, now_ms);
	return goal_outcome_of(goal, &page->progress, state) == GOAL_MET;
}

/* Periods that rest are passed over. */
static unsigned int met_before(struct goal_chapter *c, int64_t first_day, int64_t now_ms)
{
	unsigned int met = 0, seen = 0;

	if (c->versions[0].period == GOAL_COURSE)
		return 0;
	for (int i = 0; i < BACK_MAX && seen < GOAL_SUSTAINED_OF - 1; i++) {
		first_day = goal_period_of(&c->versions[0], first_day - 1);
		if (goal_days_asked(&c->versions[0], first_day) == 0)
			continue;
		met += was_met(c, first_day, now_ms);
		seen++;
	}
	return met;
}

/* Zero would say that a weight is steady, or that nobody slept. */
static bool is_known(const struct goal *goal, const struct goal_progress *progress)
{
	if (goal->rule == GOAL_TREND)
		return progress->enough;
	return goal->rule != GOAL_MEAN_PER_PERIOD || progress->observed > 0;
}

static struct goal_told verdict(struct goal_chapter *c, struct goal_page *page, int64_t now_ms)
{
	const struct goal *goal = goal_chapter_version(c, page->first_day);
	struct goal_told now = { .any = true, .removed = page->removed };

	goal_chapter_refresh(c, page);
	now.progress = page->progress;
	now.known = is_known(goal, &now.progress);
	now.state = goal_state_at(goal, &page->span, &now.progress, now_ms);
	now.outcome = goal_outcome_of(goal, &now.progress, now.state);
	now.achievement = goal_achievement_of(goal, &now.progress, now.state, now.outcome,
					      met_before(c, page->first_day, now_ms));
	now.revision = page->told.revision + 1;
	return now;
}

/* Results from before there were achievements say nothing of them. */
static bool is_achieved_anew(const struct goal_told *before, const struct goal_told *now)
{
	return before->achievement != now->achievement &&
	       !(before->bare && before->state == now->state);
}

static bool means_differ(const struct goal_progress *a, const struct goal_progress *b)
{
	if (!a->has_means || !b->has_means)
		return a->has_means != b->has_means;
	return decimal_compare(a->means[0], b->means[0]) != 0 ||
	       decimal_compare(a->means[1], b->means[1]) != 0;
}

static bool is_news(const struct goal_page *page, const struct goal_told *now)
{
	const struct goal_told *before = &page->told;

	if (!before->any)
		return page->own;
	if (page->told.final)
		return false;
	/* nobody sees that; but a restart must know that the store has kept all of them */
	if (before->progress.readings > now->progress.readings)
		return true;
	if (means_differ(&before->progress, &now->progress))
		return true;
	return before->known != now->known || before->state != now->state ||
	       before->outcome != now->outcome || is_achieved_anew(before, now) ||
	       before->progress.review != now->progress.review ||
	       decimal_compare(before->progress.value, now->progress.value) != 0;
}

static int reason_of(const struct goal_told *before, const struct goal_told *now)
{
	if (before->any && before->removed != now->removed)
		return WELLGATE__V1__GOAL_RESULT__REASON__REASON_CORRECTION;
	if (now->state == GOAL_CLOSED && (!before->any || before->state == GOAL_CLOSED))
		return WELLGATE__V1__GOAL_RESULT__REASON__REASON_LATE_DATA;
	if (before->any && before->state != now->state &&
	    before->progress.readings == now->progress.readings)
		return WELLGATE__V1__GOAL_RESULT__REASON__REASON_TIME;
	return WELLGATE__V1__GOAL_RESULT__REASON__REASON_READINGS;
}

/* ---- messages */

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

static enum unit unit_of(const struct goal *goal)
{
	const struct metric_info *info = metric_info(goal->metric);

	switch (goal->rule) {
	case GOAL_SUM_PER_PERIOD:
	case GOAL_MEAN_PER_PERIOD:
	case GOAL_TREND:
		return info ? info->unit : UNIT_ONE;
	case GOAL_COUNT_DAYS:
	case GOAL_NIGHTS_MEETING:
	case GOAL_RANGE_MEAN: /* progress is counted in readings */
	case GOAL_MEASURE_REGULARLY:
	default:
		return UNIT_ONE;
	}
}

/* A correction took away what had been reached: the record hears of it, the person is not told
 * that something was lost. */
static bool is_taken_back(const struct goal_told *before, const struct goal_told *now)
{
	return before->any && before->outcome == GOAL_MET && now->outcome != GOAL_MET;
}

static bool has_target(const struct goal *goal)
{
	return goal->target.mantissa != 0 && goal->rule != GOAL_RANGE_MEAN;
}

static bool fill_texts(const struct goal_book *b, size_t i, const struct goal *goal,
		       const struct goal_told *now, struct arena *arena,
		       Wellgate__V1__GoalResult *m)
{
	m->goal_id = arena_strdup(arena, goal->id);
	m->unit = arena_strdup(arena, unit_info(unit_of(goal))->ucum);
	m->hub = arena_strdup(arena, b->hub);
	if (b->tzdata[0])
		m->tzdata = arena_strdup(arena, b->tzdata);
	if (b->chapters[i].subject[0])
		m->subject = arena_strdup(arena, b->chapters[i].subject);
	if (now->known)
		m->progress = decimal_message(arena, now->progress.value);
	/* limits of a mean are no number of readings, which its progress is counted in */
	if (has_target(goal))
		m->target = decimal_message(arena, goal->target);
	return m->goal_id && m->unit && m->hub && (m->progress || !now->known) &&
	       (m->target || !has_target(goal));
}

static int fill_means(const struct goal_progress *p, struct arena *arena,
		      Wellgate__V1__GoalResult *m)
{
	const struct home_bp_result result = { .state = HOME_BP_COMPLETE,
					       .has_mean = p->has_means,
					       .systolic = p->means[0],
					       .diastolic = p->means[1] };
	Wellgate__V1__Reading *report;
	int r;

	if (!p->has_means)
		return 0;
	r = home_bp_report(&result, arena, &report);
	if (r < 0)
		return r;
	m->means = report->components;
	m->n_means = report->n_components;
	return 0;
}

static void fill_numbers(const struct goal *goal, const struct goal_page *page,
			 const struct goal_told *now, Wellgate__V1__GoalResult *m)
{
	m->has_goal_version = m->has_metric = m->has_period_start_ms = m->has_period_end_ms = true;
	m->goal_version = goal->version;
	m->metric = (Wellgate__V1__Metric)goal->metric;
	m->period_start_ms = page->span.start_ms;
	m->period_end_ms = page->span.end_ms;
	m->has_state = m->has_outcome = m->has_readings = m->has_revision = true;
	m->state = (Wellgate__V1__GoalResult__State)now->state;
	m->outcome = (Wellgate__V1__GoalResult__Outcome)now->outcome;
	m->readings = now->progress.readings;
	m->revision = now->revision;
	m->has_achievement = now->achievement != GOAL_ACHIEVEMENT_NONE;
	m->achievement = (Wellgate__V1__GoalResult__Achievement)now->achievement;
	m->has_reason = true;
	m->reason = (Wellgate__V1__GoalResult__Reason)reason_of(&page->told, now);
	m->has_asked_days = true;
	m->asked_days = now->progress.asked;
	m->has_observed_days = goal_is_by_day(goal) || goal->rule == GOAL_RANGE_MEAN;
	m->observed_days = now->progress.observed;
	m->has_review = now->progress.review;
	m->review = now->progress.review;
}

static int make_result(const struct goal_book *b, size_t i, const struct goal_page *page,
		       const struct goal_told *now, struct arena *arena,
		       Wellgate__V1__GoalResult **ret)
{
	const struct goal *goal = goal_chapter_version(&b->chapters[i], page->first_day);
	Wellgate__V1__GoalResult *m = arena_alloc(arena, sizeof(*m));
	char words[GOAL_WORDS_MAX];

	if (!m)
		return -ENOMEM;
	wellgate__v1__goal_result__init(m);
	if (!fill_texts(b, i, goal, now, arena, m))
		return -ENOMEM;
	if (goal->rule == GOAL_RANGE_MEAN && now->state != GOAL_PAUSED)
		goal_course_words(&now->progress, words);
	else
		goal_words(goal, now->state, now->outcome, now->progress.value, words);
	m->words = arena_strdup(arena, words);
	if (!m->words || fill_means(&now->progress, arena, m) < 0)
		return -ENOMEM;
	fill_numbers(goal, page, now, m);
	m->has_epoch = m->has_evaluated_at_ms = true;
	m->epoch = b->epoch;
	m->evaluated_at_ms = b->now_ms;
	*ret = m;
	return 0;
}

/* ---- what is new */

static int tell(struct goal_book *b, size_t i, struct goal_page *page, const struct goal_told *now,
		struct arena *arena, Wellgate__V1__GoalResult **ret)
{
	struct goal_journal_entry *entry = goal_journal_next(b);
	int r;

	if (!entry)
		return -ENOMEM;
	r = make_result(b, i, page, now, arena, ret);
	if (r < 0)
		return r;
	if (is_taken_back(&page->told, now))
		(*ret)->words = NULL; /* the arena has it */
	*entry = (struct goal_journal_entry){
		.goal = i, .day = page->first_day, .deed = GOAL_TOLD, .told = page->told
	};
	b->n_journal++;
	page->told = *now;
	return 1;
}

static int64_t page_due(const struct goal_page *p, int64_t now_ms)
{
	if (!p->told.any || p->told.final)
		return -1;
	if (now_ms < p->span.end_ms)
		return p->span.end_ms;
	return now_ms < p->span.end_ms + GOAL_GRACE_MS ? p->span.end_ms + GOAL_GRACE_MS : -1;
}

static int64_t chapter_due(const struct goal_chapter *c, int64_t now_ms)
{
	int64_t first = -1;

	for (size_t i = 0; i < c->n_pages; i++) {
		int64_t due = page_due(&c->pages[i], now_ms);

		if (due >= 0 && (first < 0 || due < first))
			first = due;
	}
	return first;
}

/* periods whose state has changed by itself */
static void wake(struct goal_chapter *c, int64_t now_ms)
{
	for (size_t i = 0; i < c->n_pages; i++) {
		if (c->pages[i].due_ms < 0 || now_ms < c->pages[i].due_ms)
			continue;
		c->pages[i].due_ms = -1;
		goal_chapter_look(c, i);
		return;
	}
}

static int next_of_goal(struct goal_book *b, size_t i, struct arena *arena,
			Wellgate__V1__GoalResult **ret)
{
	struct goal_chapter *c = &b->chapters[i];

	if (!c->pending && (c->due_ms < 0 || b->now_ms < c->due_ms))
		return 0;
	wake(c, b->now_ms);
	for (size_t k = 0; k < c->n_pages; k++) {
		struct goal_page *page = &c->pages[k];
		struct goal_told now;

		if (!page->look)
			continue;
		now = verdict(c, page, b->now_ms);
		if (is_news(page, &now))
			return tell(b, i, page, &now, arena, ret);
		page->look = false;
		page->due_ms = page_due(page, b->now_ms);
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
			goal_chapter_look(&b->chapters[i], 0);
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

/* ---- what is asked for */

int goal_book_result_at(struct goal_book *b, size_t i, int64_t at_ms, int64_t now_ms,
			struct arena *arena, Wellgate__V1__GoalResult **ret)
{
	struct goal_page blank = { .stale = true };
	struct goal_chapter *c;
	struct goal_page *page;
	struct goal_told now;

	if (i >= b->n)
		return -EINVAL;
	c = &b->chapters[i];
	blank.span = goal_span_of(&b->goals[i], c->zone, at_ms, &blank.first_day);
	page = goal_chapter_page(c, blank.first_day);
	if (!page)
		page = &blank;
	now = verdict(c, page, now_ms);
	if (!is_news(page, &now))
		now.revision = page->told.revision;
	return make_result(b, i, page, &now, arena, ret);
}

int goal_book_current(struct goal_book *b, size_t i, int64_t now_ms, struct arena *arena,
		      Wellgate__V1__GoalResult **ret)
{
	return goal_book_result_at(b, i, now_ms, now_ms, arena, ret);
}
