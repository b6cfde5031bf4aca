/*
 * Words for the person: facts, short, kind. Never: failed, missed, only, should, behind, a rank, a
 * streak, a verdict on a value, or any number of a weight goal (domain.md section 2.4).
 */
#include <stdio.h>
#include <string.h>

#include "gateway/goals/goals.h"

struct phrases {
	const char *goal; /* "You reached your ... goal this week." */
	const char *sum;  /* "You walked 4200 steps this week.", %s the number; NULL: no number */
	const char *done; /* where no number may be said */
	const char *once, *times; /* MEASURE: "You weighed yourself once", "... %s times" */
};

/* Metrics without a row speak of "readings". */
static const struct phrases phrases[METRIC_END] = {
	[METRIC_STEPS] = { "walking", "You walked %s steps", NULL, NULL, NULL },
	[METRIC_DISTANCE] = { "distance", "You covered %s metres", NULL, NULL, NULL },
	[METRIC_FLOORS] = { "climbing", "You climbed %s floors", NULL, NULL, NULL },
	[METRIC_ACTIVE_MINUTES] = { "activity", "You were active for %s minutes", NULL, NULL,
				    NULL },
	[METRIC_ACTIVE_ZONE_MINUTES] = { "zone minutes", "You have %s zone minutes", NULL, NULL,
					 NULL },
	[METRIC_EXERCISE_DURATION] = { "exercise", "You exercised for %s minutes", NULL, NULL,
				       NULL },
	[METRIC_BLOOD_PRESSURE] = { "blood pressure", NULL, NULL,
				    "You took your blood pressure once",
				    "You took your blood pressure %s times" },
};

static const struct phrases weight = { .goal = "weigh-in", .done = "Weigh-in saved." };
/* a night's number keeps people awake; averages over a week are for the page to show */
static const struct phrases sleep_saved = { .goal = "sleep", .done = "Sleep saved." };
static const struct phrases other = {
	.goal = "measuring",
	.once = "You took one reading",
	.times = "You took %s readings",
	.sum = "You are at %s",
};

static const struct phrases *phrases_of(const struct goal *goal)
{
	const struct metric_info *info = metric_info(goal->metric);
	const struct phrases *p = info ? &phrases[goal->metric] : &other;

	if (info && info->group == GROUP_WEIGHT)
		return &weight; /* blind, whatever the metric of the group */
	if (info && info->group == GROUP_SLEEP)
		return &sleep_saved;
	return p->goal ? p : &other;
}

static const char *when(const struct goal *goal, enum goal_state state)
{
	if (state == GOAL_OPEN || state == GOAL_PAUSED)
		return goal->period == GOAL_WEEK ? "this week" : "today";
	return goal->period == GOAL_WEEK ? "that week" : "that day";
}

/* %s of a phrase, filled in by hand: formats stay constant for the compiler to check */
static void say(const char *phrase, const char *number, const char *end, char *ret)
{
	const char *hole = strstr(phrase, "%s");
	int head = hole ? (int)(hole - phrase) : (int)strlen(phrase);

	(void)snprintf(ret, GOAL_WORDS_MAX, "%.*s%s%s %s.", head, phrase, hole ? number : "",
		       hole ? hole + 2 : "", end);
}

static void say_progress(const struct goal *goal, const struct phrases *p, enum goal_state state,
			 struct decimal progress, char *ret)
{
	char number[DECIMAL_TEXT_MAX];
	bool once = decimal_compare(progress, (struct decimal){ 1, 0 }) == 0;

	(void)decimal_format(number, sizeof(number), progress);
	if (p->done)
		(void)snprintf(ret, GOAL_WORDS_MAX, "%s", p->done);
	else if (goal->rule == GOAL_SUM_PER_PERIOD && p->sum)
		say(p->sum, number, when(goal, state), ret);
	else if (!p->times)
		say(once ? other.once : other.times, number, when(goal, state), ret);
	else
		say(once ? p->once : p->times, number, when(goal, state), ret);
}

void goal_words(const struct goal *goal, enum goal_state state, enum goal_outcome outcome,
		struct decimal progress, char ret[GOAL_WORDS_MAX])
{
	const struct phrases *p = phrases_of(goal);

	if (state == GOAL_PAUSED)
		(void)snprintf(ret, GOAL_WORDS_MAX, "Goal resting. Start again when you want.");
	else if (outcome == GOAL_MET)
		(void)snprintf(ret, GOAL_WORDS_MAX, "You reached your %s goal %s.", p->goal,
			       when(goal, state));
	else if (outcome == GOAL_IN_PROGRESS)
		say_progress(goal, p, state, progress, ret);
	else
		(void)snprintf(ret, GOAL_WORDS_MAX, "No readings %s That is fine.",
			       state == GOAL_OPEN ? "yet." : "came in.");
}
