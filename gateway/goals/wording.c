/*
 * Which sentence is said to the person; the sentences are in gateway/words. Facts, short, kind:
 * never a rank, a streak, a verdict on a value, or any number of a weight or a night (domain.md
 * section 2.4).
 */
#include "gateway/goals/evaluate.h"
#include "gateway/words/words.h"

/* kg in 28 days: a weight that changes by no more than this does so slowly */
#define SLOWLY ((struct decimal){ 4, 0 })

/* Where a field is WORDS_NONE, that of `other` is said. */
struct phrases {
	enum words_id goal; /* for "You reached your ... goal" */
	enum words_id sum, mean, days;
	enum words_id once, times; /* MEASURE */
	enum words_id done;        /* where no number may be said: instead of all of them */
};

static const struct phrases phrases[METRIC_END] = {
	[METRIC_STEPS] = { .goal = WORDS_NAME_STEPS,
			   .sum = WORDS_GOAL_SUM_STEPS,
			   .mean = WORDS_GOAL_MEAN_STEPS,
			   .days = WORDS_GOAL_DAYS_STEPS },
	[METRIC_DISTANCE] = { .goal = WORDS_NAME_DISTANCE,
			      .sum = WORDS_GOAL_SUM_DISTANCE,
			      .mean = WORDS_GOAL_MEAN_DISTANCE,
			      .days = WORDS_GOAL_DAYS_DISTANCE },
	[METRIC_FLOORS] = { .goal = WORDS_NAME_FLOORS,
			    .sum = WORDS_GOAL_SUM_FLOORS,
			    .mean = WORDS_GOAL_MEAN_FLOORS,
			    .days = WORDS_GOAL_DAYS_FLOORS },
	[METRIC_ACTIVE_MINUTES] = { .goal = WORDS_NAME_ACTIVITY,
				    .sum = WORDS_GOAL_SUM_ACTIVITY,
				    .mean = WORDS_GOAL_MEAN_ACTIVITY,
				    .days = WORDS_GOAL_DAYS_ACTIVITY },
	[METRIC_ACTIVE_ZONE_MINUTES] = { .goal = WORDS_NAME_ZONE,
					 .sum = WORDS_GOAL_SUM_ZONE,
					 .mean = WORDS_GOAL_MEAN_ZONE,
					 .days = WORDS_GOAL_DAYS_ACTIVITY },
	[METRIC_EXERCISE_DURATION] = { .goal = WORDS_NAME_EXERCISE,
				       .sum = WORDS_GOAL_SUM_EXERCISE,
				       .mean = WORDS_GOAL_MEAN_EXERCISE,
				       .days = WORDS_GOAL_DAYS_EXERCISE },
	[METRIC_BLOOD_PRESSURE] = { .goal = WORDS_NAME_PRESSURE,
				    .once = WORDS_GOAL_ONCE_PRESSURE,
				    .times = WORDS_GOAL_TIMES_PRESSURE },
};

static const struct phrases weight = { .goal = WORDS_NAME_WEIGHT, .done = WORDS_GOAL_WEIGHT_SAVED };
/* a night's number keeps people awake; averages over a week are for the page to show */
static const struct phrases sleep_saved = { .goal = WORDS_NAME_SLEEP,
					    .done = WORDS_GOAL_SLEEP_SAVED };
static const struct phrases other = {
	.goal = WORDS_NAME_OTHER,
	.sum = WORDS_GOAL_SUM_OTHER,
	.mean = WORDS_GOAL_MEAN_OTHER,
	.days = WORDS_GOAL_DAYS_OTHER,
	.once = WORDS_GOAL_ONCE_OTHER,
	.times = WORDS_GOAL_TIMES_OTHER,
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

static enum words_id either(enum words_id id, enum words_id otherwise)
{
	return id != WORDS_NONE ? id : otherwise;
}

static const char *when(const struct goal *goal, enum goal_state state)
{
	if (state == GOAL_OPEN || state == GOAL_PAUSED)
		return words_text(WORDS_EN, goal->period == GOAL_WEEK ? WORDS_WHEN_THIS_WEEK
								      : WORDS_WHEN_TODAY);
	return words_text(WORDS_EN,
			  goal->period == GOAL_WEEK ? WORDS_WHEN_THAT_WEEK : WORDS_WHEN_THAT_DAY);
}

/* A sentence of another language may be too long with a long number in it: less is said then. */
static void say(enum words_id id, const struct words_fill *fill, char *ret)
{
	if (words_say(WORDS_EN, id, fill, ret, GOAL_WORDS_MAX) < 0)
		(void)words_say(WORDS_EN, WORDS_GOAL_SAVED, NULL, ret, GOAL_WORDS_MAX);
}

static bool is_within(struct decimal change, struct decimal limit)
{
	struct decimal below = { -limit.mantissa, limit.exponent };

	return decimal_compare(change, limit) <= 0 && decimal_compare(change, below) >= 0;
}

/* Only of a period that is over: in a running one there may not be enough to say anything. */
static enum words_id trend_words(const struct goal *goal, struct decimal change)
{
	bool slowly = is_within(change, SLOWLY);

	if (is_within(change, goal_band(goal)))
		return WORDS_TREND_STEADY;
	if (change.mantissa < 0)
		return slowly ? WORDS_TREND_DOWN_SLOWLY : WORDS_TREND_DOWN;
	return slowly ? WORDS_TREND_UP_SLOWLY : WORDS_TREND_UP;
}

static bool speaks_of_trend(const struct goal *goal, enum goal_state state,
			    enum goal_outcome outcome)
{
	return goal->show_weight && (state == GOAL_PROVISIONAL || state == GOAL_CLOSED) &&
	       (outcome == GOAL_MET || outcome == GOAL_IN_PROGRESS);
}

static void say_days(const struct phrases *p, struct decimal progress,
		     const struct words_fill *fill, char *ret)
{
	struct words_fill with = *fill;
	char days[GOAL_WORDS_MAX];

	if (decimal_compare(progress, (struct decimal){ 0, 0 }) <= 0) {
		say(WORDS_GOAL_READINGS_CAME, fill, ret);
		return;
	}
	say(decimal_compare(progress, (struct decimal){ 1, 0 }) == 0 ? WORDS_DAYS_ONE
								     : WORDS_DAYS_MANY,
	    fill, days);
	with.of[WORDS_DAYS] = days;
	say(either(p->days, other.days), &with, ret);
}

static enum words_id times(const struct goal *goal, const struct phrases *p,
			   struct decimal progress)
{
	bool once = decimal_compare(progress, (struct decimal){ 1, 0 }) == 0;

	if (goal->rule == GOAL_SUM_PER_PERIOD && p->sum)
		return p->sum;
	return once ? either(p->once, other.once) : either(p->times, other.times);
}

static void say_progress(const struct goal *goal, const struct phrases *p, enum goal_state state,
			 struct decimal progress, char *ret)
{
	char number[DECIMAL_TEXT_MAX];
	struct words_fill fill = {
		.of = { [WORDS_NUMBER] = number, [WORDS_WHEN] = when(goal, state) }
	};

	/* to the whole unit: a tenth of a step is nothing to know */
	if (goal->rule == GOAL_MEAN_PER_PERIOD)
		(void)decimal_rescale(progress, 0, &progress);
	(void)decimal_format(number, sizeof(number), progress);
	if (p->done)
		say(p->done, NULL, ret);
	else if (goal->rule == GOAL_COUNT_DAYS)
		say_days(p, progress, &fill, ret);
	else if (goal->rule == GOAL_MEAN_PER_PERIOD)
		say(either(p->mean, other.mean), &fill, ret);
	else
		say(times(goal, p, progress), &fill, ret);
}

void goal_words(const struct goal *goal, enum goal_state state, enum goal_outcome outcome,
		struct decimal progress, char ret[GOAL_WORDS_MAX])
{
	const struct phrases *p = phrases_of(goal);
	const struct words_fill reached = { .of = { [WORDS_GOAL] = words_text(WORDS_EN, p->goal),
						    [WORDS_WHEN] = when(goal, state) } };

	if (state == GOAL_PAUSED)
		say(WORDS_GOAL_RESTING, NULL, ret);
	else if (goal->rule == GOAL_TREND && outcome != GOAL_NO_DATA)
		say(speaks_of_trend(goal, state, outcome) ? trend_words(goal, progress)
							  : weight.done,
		    NULL, ret);
	else if (outcome == GOAL_NOT_ENOUGH_DATA)
		say(WORDS_GOAL_A_FEW, NULL, ret);
	else if (outcome == GOAL_MET)
		say(WORDS_GOAL_REACHED, &reached, ret);
	else if (outcome == GOAL_IN_PROGRESS)
		say_progress(goal, p, state, progress, ret);
	else
		say(state == GOAL_OPEN ? WORDS_GOAL_NOTHING_YET : WORDS_GOAL_NOTHING_CAME, NULL,
		    ret);
}
