/*
 * Words for the person: facts, short, kind. Never: failed, missed, only, should, behind, a rank, a
 * streak, a verdict on a value, or any number of a weight goal (domain.md section 2.4).
 */
#include <stdio.h>
#include <string.h>

#include "gateway/goals/evaluate.h"

/* kg in 28 days: a weight that changes by no more than this does so slowly */
#define SLOWLY ((struct decimal){ 4, 0 })

struct phrases {
	const char *goal; /* "You reached your ... goal this week." */
	const char *sum;  /* "You walked 4200 steps this week.", %s the number; NULL: no number */
	const char *done; /* where no number may be said */
	const char *once, *times; /* MEASURE: "You weighed yourself once", "... %s times" */
	const char *days;         /* COUNT_DAYS: "You walked on %s", filled with "3 days" */
};

/* Metrics without a row speak of "readings". */
static const struct phrases phrases[METRIC_END] = {
	[METRIC_STEPS] = { .goal = "walking",
			   .sum = "You walked %s steps",
			   .days = "You walked on %s" },
	[METRIC_DISTANCE] = { .goal = "distance",
			      .sum = "You covered %s metres",
			      .days = "You got about on %s" },
	[METRIC_FLOORS] = { .goal = "climbing",
			    .sum = "You climbed %s floors",
			    .days = "You climbed on %s" },
	[METRIC_ACTIVE_MINUTES] = { .goal = "activity",
				    .sum = "You were active for %s minutes",
				    .days = "You were active on %s" },
	[METRIC_ACTIVE_ZONE_MINUTES] = { .goal = "zone minutes",
					 .sum = "You have %s zone minutes",
					 .days = "You were active on %s" },
	[METRIC_EXERCISE_DURATION] = { .goal = "exercise",
				       .sum = "You exercised for %s minutes",
				       .days = "You exercised on %s" },
	[METRIC_BLOOD_PRESSURE] = { .goal = "blood pressure",
				    .once = "You took your blood pressure once",
				    .times = "You took your blood pressure %s times" },
};

static const struct phrases weight = { .goal = "weigh-in", .done = "Weigh-in saved." };
/* a night's number keeps people awake; averages over a week are for the page to show */
static const struct phrases sleep_saved = { .goal = "sleep", .done = "Sleep saved." };
static const struct phrases other = {
	.goal = "measuring",
	.once = "You took one reading",
	.times = "You took %s readings",
	.sum = "You are at %s",
	.days = "You reached your day on %s",
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

/* Only of a period that is over: in a running one there may not be enough to say anything. */
static const char *trend_words(const struct goal *goal, struct decimal change)
{
	struct decimal size = { change.mantissa < 0 ? -change.mantissa : change.mantissa,
				change.exponent };
	bool slowly = decimal_compare(size, SLOWLY) <= 0;

	if (decimal_compare(size, goal_band(goal)) <= 0)
		return "Your weight is steady.";
	if (change.mantissa < 0)
		return slowly ? "Your weight is going down slowly." : "Your weight is going down.";
	return slowly ? "Your weight is going up slowly." : "Your weight is going up.";
}

static bool speaks_of_trend(const struct goal *goal, enum goal_state state,
			    enum goal_outcome outcome)
{
	return goal->show_weight && (state == GOAL_PROVISIONAL || state == GOAL_CLOSED) &&
	       (outcome == GOAL_MET || outcome == GOAL_IN_PROGRESS);
}

static void say_days(const struct phrases *p, struct decimal progress, const char *end, char *ret)
{
	char number[DECIMAL_TEXT_MAX], days[DECIMAL_TEXT_MAX + 8];

	(void)decimal_format(number, sizeof(number), progress);
	(void)snprintf(days, sizeof(days), "%s days", number);
	if (decimal_compare(progress, (struct decimal){ 0, 0 }) <= 0)
		(void)snprintf(ret, GOAL_WORDS_MAX, "Your readings came in %s.", end);
	else if (decimal_compare(progress, (struct decimal){ 1, 0 }) == 0)
		say(p->days, "one day", end, ret);
	else
		say(p->days, days, end, ret);
}

/* to the whole unit: a tenth of a step is nothing to know */
static void say_mean(const struct phrases *p, struct decimal progress, const char *end, char *ret)
{
	char number[DECIMAL_TEXT_MAX], when_each[32];

	(void)decimal_rescale(progress, 0, &progress);
	(void)decimal_format(number, sizeof(number), progress);
	(void)snprintf(when_each, sizeof(when_each), "a day %s", end);
	say(p->sum ? p->sum : other.sum, number, when_each, ret);
}

static void say_progress(const struct goal *goal, const struct phrases *p, enum goal_state state,
			 struct decimal progress, char *ret)
{
	char number[DECIMAL_TEXT_MAX];
	bool once = decimal_compare(progress, (struct decimal){ 1, 0 }) == 0;

	(void)decimal_format(number, sizeof(number), progress);
	if (p->done)
		(void)snprintf(ret, GOAL_WORDS_MAX, "%s", p->done);
	else if (goal->rule == GOAL_COUNT_DAYS)
		say_days(p->days ? p : &other, progress, when(goal, state), ret);
	else if (goal->rule == GOAL_MEAN_PER_PERIOD)
		say_mean(p, progress, when(goal, state), ret);
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
	else if (goal->rule == GOAL_TREND && outcome != GOAL_NO_DATA)
		(void)snprintf(ret, GOAL_WORDS_MAX, "%s",
			       speaks_of_trend(goal, state, outcome) ? trend_words(goal, progress)
								     : weight.done);
	else if (outcome == GOAL_NOT_ENOUGH_DATA)
		(void)snprintf(ret, GOAL_WORDS_MAX, "A few readings came in. That is fine.");
	else if (outcome == GOAL_MET)
		(void)snprintf(ret, GOAL_WORDS_MAX, "You reached your %s goal %s.", p->goal,
			       when(goal, state));
	else if (outcome == GOAL_IN_PROGRESS)
		say_progress(goal, p, state, progress, ret);
	else
		(void)snprintf(ret, GOAL_WORDS_MAX, "No readings %s That is fine.",
			       state == GOAL_OPEN ? "yet." : "came in.");
}
