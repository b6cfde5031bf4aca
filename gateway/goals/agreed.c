#include "gateway/goals/agreed.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/goals/message.h"
#include "gateway/words/words.h"

struct goal_agreed {
	struct goal *goals;
	size_t n, size;
	size_t n_fixed; /* of the configuration: the first ones */
	bool average;
};

static bool is_same(const struct goal *a, const struct goal *b)
{
	return strcmp(a->id, b->id) == 0 && strcmp(a->subject, b->subject) == 0;
}

int goal_agreed_new(const struct goal *goals, size_t n, bool average, struct goal_agreed **ret)
{
	struct goal_agreed *a = calloc(1, sizeof(*a));

	if (a)
		a->goals = calloc(n ? n : 1, sizeof(*a->goals));
	if (!a || !a->goals) {
		free(a);
		return -ENOMEM;
	}
	for (size_t i = 0; i < n; i++)
		a->goals[i] = goals[i];
	a->n = a->size = a->n_fixed = n;
	a->average = average;
	*ret = a;
	return 0;
}

void goal_agreed_free(struct goal_agreed *a)
{
	if (!a)
		return;
	free(a->goals);
	free(a);
}

const struct goal *goal_agreed_goals(const struct goal_agreed *a, size_t *ret_n)
{
	*ret_n = a->n;
	return a->goals;
}

static int grow(struct goal_agreed *a)
{
	const size_t size = a->size ? a->size * 2 : 8;
	struct goal *goals;

	if (a->n >= GOAL_AGREED_MAX)
		return -ENOSPC;
	if (a->n < a->size)
		return 0;
	goals = reallocarray(a->goals, size, sizeof(*goals));
	if (!goals)
		return -ENOMEM;
	a->goals = goals;
	a->size = size;
	return 0;
}

static bool is_fixed(const struct goal_agreed *a, const struct goal *goal)
{
	for (size_t i = 0; i < a->n_fixed; i++) {
		if (is_same(&a->goals[i], goal))
			return true;
	}
	return false;
}

/* What places points, and who they are of, is the same in all versions; another of these under the
 * same number would make another goal of the one that periods were closed by. */
static bool stays_in_place(const struct goal *before, const struct goal *goal)
{
	return before->metric == goal->metric && before->rule == goal->rule &&
	       before->period == goal->period && before->week_start == goal->week_start &&
	       before->starts_on == goal->starts_on &&
	       strcmp(before->time_zone, goal->time_zone) == 0 &&
	       decimal_compare(before->target, goal->target) == 0 &&
	       decimal_compare(before->diastolic_target, goal->diastolic_target) == 0 &&
	       decimal_compare(before->day_target, goal->day_target) == 0 &&
	       decimal_compare(before->band, goal->band) == 0 &&
	       before->direction == goal->direction && before->min_points == goal->min_points;
}

/* against every other version there is; *ret_index: the same version, or a->n */
static int check(const struct goal_agreed *a, const struct goal *goal, size_t *ret_index,
		 const char **ret_problem)
{
	size_t index = a->n;
	int r = goal_check(goal, ret_problem);

	for (size_t i = 0; i < a->n && r == 0; i++) {
		const struct goal *other = &a->goals[i];

		if (!is_same(other, goal))
			continue;
		if (other->version != goal->version) {
			r = goal_check_version(other, goal, ret_problem);
		} else if (stays_in_place(other, goal)) {
			index = i;
		} else {
			*ret_problem = words_text(WORDS_EN, WORDS_SET_NEW_VERSION);
			r = -EINVAL;
		}
	}
	*ret_index = index;
	return r;
}

static int set(struct goal_agreed *a, const struct goal *goal, const char **ret_problem)
{
	size_t i = 0;
	int r = check(a, goal, &i, ret_problem);

	if (r == 0 && i == a->n)
		r = grow(a);
	if (r == -ENOSPC)
		*ret_problem = words_text(WORDS_EN, WORDS_SET_FULL);
	if (r < 0)
		return r;
	a->goals[i] = *goal;
	a->n += i == a->n;
	return 0;
}

/* All versions of a goal, or with id "" all goals of a person. */
static size_t drop(struct goal_agreed *a, const char *id, const char *subject)
{
	const size_t before = a->n;
	size_t n = a->n_fixed;

	for (size_t i = a->n_fixed; i < a->n; i++) {
		if (strcmp(a->goals[i].subject, subject) == 0 &&
		    (!id[0] || strcmp(a->goals[i].id, id) == 0))
			continue;
		a->goals[n++] = a->goals[i];
	}
	a->n = n;
	return before - n;
}

int goal_agreed_change(struct goal_agreed *a, const Wellgate__V1__GoalChange *change,
		       const char **ret_problem)
{
	struct goal goal;

	*ret_problem = NULL;
	if (!change->goal || goal_from_message(change->goal, &goal) < 0) {
		*ret_problem = words_text(WORDS_EN, WORDS_SET_NONE_NAMED);
		return -EBADMSG;
	}
	if (is_fixed(a, &goal)) {
		*ret_problem = words_text(WORDS_EN, WORDS_SET_FIXED);
		return -EPERM;
	}
	goal.average = a->average;
	if (change->kind == WELLGATE__V1__GOAL_CHANGE__KIND__KIND_SET)
		return set(a, &goal, ret_problem);
	if (change->kind != WELLGATE__V1__GOAL_CHANGE__KIND__KIND_STOP) {
		*ret_problem = words_text(WORDS_EN, WORDS_SET_OR_STOPPED);
		return -EBADMSG;
	}
	if (drop(a, goal.id, goal.subject) > 0)
		return 0;
	*ret_problem = words_text(WORDS_EN, WORDS_SET_NO_SUCH);
	return -ENOENT;
}

void goal_agreed_forget(struct goal_agreed *a, const char *subject)
{
	(void)drop(a, "", subject);
}
