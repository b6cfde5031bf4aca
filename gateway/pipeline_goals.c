/* Goals that are set while the gateway runs: into the journal, and into a book made anew. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "drivers/log.h"
#include "gateway/goals/agreed.h"
#include "gateway/goals/message.h"
#include "gateway/pipeline_part.h"
#include "gateway/words/words.h"

/* ---- reading the journal ---- */

static int take_entry(struct pipeline *p, const struct store_row *row)
{
	const Wellgate__V1__JournalEntry *entry;
	const char *problem = NULL;
	int r;

	arena_reset(&p->arena);
	entry = wellgate__v1__journal_entry__unpack(arena_protobuf(&p->arena), row->len,
						    row->payload);
	if (!entry || entry->what_case != WELLGATE__V1__JOURNAL_ENTRY__WHAT_GOAL)
		return 0;
	r = goal_agreed_change(p->agreed, entry->goal, &problem);
	/* the rules may have become stricter since, or the goal is in the configuration by now */
	if (r < 0 && r != -ENOMEM)
		log_warning("a goal that was set before is left out: %s", problem);
	return r == -ENOMEM ? r : 0;
}

int pipeline_load_goals(struct pipeline *p)
{
	const struct config *c = p->parts.config;
	struct store_row row = { 0 };
	const struct goal *goals;
	size_t n;
	int r;

	goal_agreed_free(p->agreed);
	p->agreed = NULL;
	r = goal_agreed_new(c->goals, c->n_goals, c->home_bp_average, &p->agreed);
	while (r == 0 && (r = store_next_entry(p->parts.store, row.sequence, &row)) > 0)
		r = take_entry(p, &row);
	if (r < 0)
		return r;
	goals = goal_agreed_goals(p->agreed, &n);
	return goal_book_change(p->parts.book, goals, n);
}

/* ---- a change ---- */

static int refuse(const char **ret_problem, int error, enum words_id sentence)
{
	*ret_problem = words_text(WORDS_EN, sentence);
	return error;
}

/* What the sender left to the hub; and whose it is has to be clear. */
static int complete(struct pipeline *p, Wellgate__V1__Goal *goal, const char **ret_problem)
{
	const struct config *c = p->parts.config;
	const bool named = goal->subject && *goal->subject;
	bool known = false;

	if (!goal->time_zone || !*goal->time_zone)
		goal->time_zone = c->time_zone;
	if (!filing_in_use(p->filing)) {
		if (named && (!c->subject || strcmp(goal->subject, c->subject) != 0))
			return refuse(ret_problem, -ENOENT, WORDS_GOAL_NOT_HERE);
		if (!c->subject)
			return refuse(ret_problem, -ENOENT, WORDS_GOAL_NOBODY);
		goal->subject = c->subject;
		return 0;
	}
	if (!named)
		return refuse(ret_problem, -EINVAL, WORDS_GOAL_WHOSE);
	if (registry_is_here(filing_registry(p->filing), goal->subject, pipeline_now_ms(p), &known))
		return 0;
	return refuse(ret_problem, -ENOENT, WORDS_GOAL_NO_LOAN);
}

static int keep(struct pipeline *p, Wellgate__V1__GoalChange *change)
{
	Wellgate__V1__JournalEntry entry = WELLGATE__V1__JOURNAL_ENTRY__INIT;
	int r;

	entry.has_at_ms = true;
	entry.at_ms = pipeline_now_ms(p);
	entry.what_case = WELLGATE__V1__JOURNAL_ENTRY__WHAT_GOAL;
	entry.goal = change;
	r = store_add_entry(p->parts.store, &entry, change->goal->subject);
	if (r < 0) {
		pipeline_give_up(p, r);
		return r;
	}
	return pipeline_commit(p);
}

/* Whatever failed: the goals are what the journal says, and the book what is stored. */
static int begin_anew(struct pipeline *p)
{
	int r = pipeline_load_goals(p);

	if (r == 0)
		r = refill_book(p);
	if (r < 0)
		log_error("the goals cannot be read again: %s", strerror(-r));
	return r;
}

int pipeline_change_goal(struct pipeline *p, Wellgate__V1__GoalChange *change,
			 const char **ret_problem)
{
	int r;

	*ret_problem = NULL;
	if (p->deaf)
		return refuse(ret_problem, -ENOSPC, WORDS_HUB_FULL);
	if (!change->goal)
		return refuse(ret_problem, -EBADMSG, WORDS_SET_NONE_NAMED);
	r = pipeline_commit(p);
	if (r == 0)
		r = complete(p, change->goal, ret_problem);
	if (r == 0)
		r = goal_agreed_change(p->agreed, change, ret_problem);
	if (r < 0)
		return r;
	r = keep(p, change);
	if (r < 0) {
		(void)begin_anew(p);
		return r;
	}
	r = begin_anew(p);
	/* results that follow from what is stored already */
	return r < 0 ? r : pipeline_commit(p);
}
