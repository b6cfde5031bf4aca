#include "drivers/sleep.h"

#include <string.h>

#define MINUTE_S     60
#define MOVEMENT_MAX 300
#define BEHIND       2 /* minutes of the window behind the one that is scored */
#define ONSET        5
#define SHORT        6 /* a sleep that 10 minutes awake on both sides undo */
#define SHORT_AWAKE  10
#define LONGER       10
#define LONGER_AWAKE 20

#define N(a) (sizeof(a) / sizeof((a)[0]))

/* ---- periods ---- */

static int say(struct sleep_estimate *s)
{
	s->ended = false;
	return s->say(s->user, &s->told);
}

static void period_ends(struct sleep_estimate *s)
{
	s->within = false;
	s->ready = true;
	s->episode.minutes = s->episode.asleep + s->episode.awake;
	if (s->episode.minutes < SLEEP_PERIOD_MIN)
		return;
	s->told = s->episode;
	s->ended = true;
	s->decided = s->done;
}

static void period_begins(struct sleep_estimate *s, uint32_t at)
{
	s->within = true;
	s->ready = false;
	s->awake_run = 0;
	s->episode = (struct sleep_episode){ .start = s->first + (int64_t)at * MINUTE_S };
}

static void take_final(struct sleep_estimate *s, bool asleep)
{
	const uint32_t at = s->done++;

	if (s->score)
		s->score(s->user, s->first + (int64_t)at * MINUTE_S, asleep);
	if (at < SLEEP_MARGIN)
		return;
	if (!asleep) {
		s->awake_run++;
		if (s->awake_run < SLEEP_END)
			return;
		if (s->within)
			period_ends(s);
		s->ready = true;
		return;
	}
	if (!s->within && s->ready)
		period_begins(s, at);
	if (s->within) {
		s->episode.asleep++;
		s->episode.awake += s->awake_run;
		s->episode.awakenings += s->awake_run > 0;
	}
	s->awake_run = 0;
}

static void take_finals(struct sleep_estimate *s, bool asleep, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		take_final(s, asleep);
}

/* ---- short sleeps ---- */

/* It was sleep; the minutes awake behind it come before the next one. */
static void keep_held(struct sleep_estimate *s)
{
	take_finals(s, true, s->held);
	take_finals(s, false, s->after);
	s->before = s->after;
	s->held = s->after = 0;
}

static void undo_held(struct sleep_estimate *s)
{
	take_finals(s, false, s->held + s->after);
	s->before = s->after;
	s->held = s->after = 0;
}

/* A short sleep, and one minute more awake behind it. */
static void judge_held(struct sleep_estimate *s)
{
	const bool between_short = s->held <= SHORT && s->before >= SHORT_AWAKE;
	const bool between_longer = s->before >= LONGER_AWAKE;

	if (s->held < ONSET || (between_short && s->after >= SHORT_AWAKE) ||
	    (between_longer && s->after >= LONGER_AWAKE))
		undo_held(s);
	else if (!between_short && !between_longer)
		keep_held(s);
}

/* What is held is at most LONGER minutes; of a longer sleep all have been handed on. */
static void take_rescored(struct sleep_estimate *s, bool asleep)
{
	if (asleep) {
		if (s->after > 0)
			keep_held(s);
		s->held++;
		if (s->held > LONGER)
			take_finals(s, true, s->held == LONGER + 1 ? s->held : 1);
		return;
	}
	if (s->held > LONGER) {
		s->held = 0;
		s->before = 0;
	}
	if (s->held > 0) {
		s->after++;
		judge_held(s);
		return;
	}
	s->before++;
	take_final(s, false);
}

/* ---- scores ---- */

static uint32_t to_change(uint32_t wake_run)
{
	if (wake_run >= 15)
		return 4;
	if (wake_run >= 10)
		return 3;
	return wake_run >= 4;
}

static void take_score(struct sleep_estimate *s, bool asleep)
{
	if (!asleep) {
		s->wake_run++;
		s->change = 0;
	} else if (s->wake_run > 0) {
		s->change = to_change(s->wake_run);
		s->wake_run = 0;
	}
	if (asleep && s->change > 0) {
		s->change--;
		asleep = false;
	}
	take_rescored(s, asleep);
}

static void take_movement(struct sleep_estimate *s, uint32_t movement)
{
	static const uint32_t weights[] = { 106, 54, 58, 76, 230, 74, 67 };
	uint32_t sum = 0;

	memmove(s->window, s->window + 1, sizeof(s->window) - sizeof(s->window[0]));
	s->window[N(weights) - 1] = movement < MOVEMENT_MAX ? movement : MOVEMENT_MAX;
	s->n++;
	if (s->n < N(weights)) /* too near to the beginning, and no score there is used */
		return;
	if (s->n == N(weights))
		s->done = (uint32_t)N(weights) - 1 - BEHIND;
	for (size_t i = 0; i < N(weights); i++)
		sum += weights[i] * s->window[i];
	take_score(s, sum < 1000);
}

/* ---- minutes ---- */

static void flush_still(struct sleep_estimate *s)
{
	for (; s->still > 0; s->still--)
		take_movement(s, 0);
}

/* Here the row of minutes ends for good: nothing will be known that could change what is said. */
static int end_row(struct sleep_estimate *s)
{
	const int r = s->ended ? say(s) : 0;

	*s = (struct sleep_estimate){ .say = s->say, .score = s->score, .user = s->user };
	return r;
}

static int end_if_gap(struct sleep_estimate *s, int64_t at)
{
	const int64_t next = s->first + (s->n + (int64_t)s->still) * MINUTE_S;

	if (s->n + s->still == 0 || at == next)
		return 0;
	if (s->still < SLEEP_STILL)
		flush_still(s);
	return end_row(s);
}

int sleep_minute(struct sleep_estimate *s, int64_t at, uint32_t movement)
{
	int r = end_if_gap(s, at);

	if (r < 0)
		return r;
	if (movement == 0 && s->still < SLEEP_STILL) {
		s->first = s->n + s->still == 0 ? at : s->first;
		s->still++;
		return 0;
	}
	if (movement == 0) { /* not worn, perhaps: the row has ended where this began */
		r = s->n > 0 ? end_row(s) : 0;
		s->n = 0;
		s->still = SLEEP_STILL;
		s->first = at + MINUTE_S - SLEEP_STILL * (int64_t)MINUTE_S;
		return r;
	}
	if (s->still >= SLEEP_STILL) {
		r = end_row(s);
		s->still = 0;
	}
	if (s->n + s->still == 0)
		s->first = at;
	flush_still(s);
	take_movement(s, movement);
	if (r == 0 && s->ended && s->n >= s->decided + SLEEP_MARGIN)
		r = say(s);
	return r;
}
