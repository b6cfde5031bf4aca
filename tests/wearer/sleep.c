/*
 * wearer-sleep: how far estimated sleep (drivers/sleep.h) is from the truth of many virtual
 * wearers. The same figures each time. Prints what README.md shows (sleep_table).
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "drivers/sleep.h"
#include "tests/wearer/wearer.h"

#define WEARERS    200
#define NIGHTS_MAX (WEARERS * (WEARER_FORTNIGHT + 1))
#define SAID_MAX   64
#define HOUR_S     INT64_C(3600)

/* said minus true, minutes */
struct errors {
	int n, minute[NIGHTS_MAX];
};

struct figures {
	struct errors asleep, onset, waking, awake;
	int worn, once, parts, unsaid; /* nights, on the wrist from beginning to end */
	int not_worn, not_worn_said; /* nights that the tracker was not there for, or not all of */
	int nobody;                  /* said, and nobody was asleep for half of it */
	int64_t slept, slept_right, lay_awake, lay_awake_right; /* minutes in bed on such nights */
};

struct life {
	const struct wearer_minute *minutes;
	size_t n, n_said;
	int64_t start;
	bool *asleep, *scored;
	struct sleep_episode said[SAID_MAX];
};

static int hear(void *user, const struct sleep_episode *e)
{
	struct life *l = user;

	if (l->n_said == SAID_MAX)
		return -ENOSPC;
	l->said[l->n_said++] = *e;
	return 0;
}

static void hear_score(void *user, int64_t at, bool asleep)
{
	const struct life *l = user;
	const int64_t i = (at - l->start) / 60;

	if (i < 0 || i >= (int64_t)l->n)
		return;
	l->asleep[i] = asleep;
	l->scored[i] = true;
}

/* as drivers/fitbit.c feeds it */
static int estimate(struct life *l)
{
	struct sleep_estimate s = { .say = hear, .score = hear_score, .user = l };
	int r = 0;

	for (size_t i = 0; i < l->n && r == 0; i++) {
		const struct wearer_minute *m = &l->minutes[i];
		const uint32_t movement = (uint32_t)(m->motion >> 4) + (m->motion & 15U) + m->steps;

		if (m->recorded)
			r = sleep_minute(&s, l->start + 60 * (int64_t)i, movement);
	}
	return r;
}

/* ---- against the truth ---- */

static int64_t end_of(const struct sleep_episode *e)
{
	return e->start + 60 * (int64_t)e->minutes;
}

static void add(struct errors *e, int64_t said, int64_t was)
{
	if (e->n < NIGHTS_MAX)
		e->minute[e->n++] = (int)(said - was);
}

static void compare(struct figures *f, const struct sleep_episode *e,
		    const struct wearer_sleep *was)
{
	add(&f->asleep, e->asleep, was->asleep);
	add(&f->awake, e->awake, was->awake);
	add(&f->onset, e->start / 60, was->start / 60);
	add(&f->waking, end_of(e) / 60, was->end / 60);
}

static void count_minutes(struct figures *f, const struct life *l, const struct wearer_sleep *was)
{
	int64_t from = (was->start - l->start) / 60, to = (was->end - l->start) / 60;

	while (from > 0 && l->minutes[from - 1].in_bed)
		from--;
	while (to < (int64_t)l->n && l->minutes[to].in_bed)
		to++;
	for (int64_t i = from; i < to; i++) {
		if (!l->scored[i])
			continue;
		f->slept += l->minutes[i].asleep;
		f->slept_right += l->minutes[i].asleep && l->asleep[i];
		f->lay_awake += !l->minutes[i].asleep;
		f->lay_awake_right += !l->minutes[i].asleep && !l->asleep[i];
	}
}

static void take_night(struct figures *f, const struct life *l, const struct wearer_sleep *was)
{
	const struct sleep_episode *last = NULL;
	int parts = 0;

	/* what is too near to the beginning or the end of the life cannot be said */
	if (was->nap || was->start < l->start + 3 * HOUR_S ||
	    was->end > l->start + 60 * (int64_t)l->n - 3 * HOUR_S)
		return;
	for (size_t i = 0; i < l->n_said; i++) {
		if (l->said[i].start < was->end && was->start < end_of(&l->said[i])) {
			last = &l->said[i];
			parts++;
		}
	}
	if (!was->whole) {
		f->not_worn++;
		f->not_worn_said += parts > 0;
		return;
	}
	f->worn++;
	f->once += parts == 1;
	f->parts += parts > 1;
	f->unsaid += parts == 0;
	count_minutes(f, l, was);
	if (last && parts == 1)
		compare(f, last, was);
}

static void take_said(struct figures *f, const struct life *l)
{
	for (size_t i = 0; i < l->n_said; i++) {
		const int64_t from = (l->said[i].start - l->start) / 60;
		uint32_t slept = 0;

		for (uint32_t k = 0; k < l->said[i].minutes; k++)
			slept += l->minutes[from + k].asleep;
		f->nobody += slept < l->said[i].minutes / 2;
	}
}

static int take_life(struct figures *f, uint64_t seed)
{
	const struct wearer_plan plan = { .seed = seed,
					  .first = seed % 2 ? WEARER_OCTOBER : WEARER_MARCH,
					  .days = WEARER_FORTNIGHT,
					  .battery_dies = seed % 4 ? WEARER_NEVER : 5,
					  .lost_day = WEARER_NEVER };
	struct wearer_sleep was;
	struct life l = { .n_said = 0 };
	struct wearer *w = NULL;
	int r = wearer_new(&plan, &w);

	if (r < 0)
		return r;
	l.minutes = wearer_minutes(w, &l.n, &l.start);
	l.asleep = calloc(l.n, sizeof(*l.asleep));
	l.scored = calloc(l.n, sizeof(*l.scored));
	r = l.asleep && l.scored ? estimate(&l) : -ENOMEM;
	for (unsigned int i = 0; r == 0 && wearer_sleep(w, i, &was) == 0; i++)
		take_night(f, &l, &was);
	if (r == 0)
		take_said(f, &l);
	free(l.asleep);
	free(l.scored);
	wearer_free(w);
	return r;
}

/* ---- for people ---- */

static int by_size(const void *a, const void *b)
{
	const int x = *(const int *)a, y = *(const int *)b;

	return (x > y) - (x < y);
}

static void print_errors(const char *what, struct errors *e)
{
	qsort(e->minute, (size_t)e->n, sizeof(e->minute[0]), by_size);
	(void)printf("| %s | %+d | %+d to %+d |\n", what, e->minute[e->n / 2], e->minute[e->n / 20],
		     e->minute[e->n - 1 - e->n / 20]);
}

static int percent(int64_t part, int64_t of)
{
	return of > 0 ? (int)((100 * part + of / 2) / of) : 0;
}

static void print(struct figures *f)
{
	(void)printf("| said minus true, minutes | median | nine nights of ten |\n|---|---|---|\n");
	print_errors("minutes asleep", &f->asleep);
	print_errors("falling asleep", &f->onset);
	print_errors("waking up for good", &f->waking);
	print_errors("awake in between", &f->awake);
	(void)printf(
		"\nOf %d nights with the tracker on the wrist, %d were said as one, %d in parts, "
		"%d not at all.\n",
		f->worn, f->once, f->parts, f->unsaid);
	(void)printf(
		"Of %d nights without it, or with it for a part of them: %d. Said where nobody "
		"slept for half of\nit: %d times. ",
		f->not_worn, f->not_worn_said, f->nobody);
	(void)printf("Minute by minute in bed: %d %% of those asleep were taken for sleep\n"
		     "(sensitivity), %d %% of those awake for wake (specificity).\n",
		     percent(f->slept_right, f->slept), percent(f->lay_awake_right, f->lay_awake));
}

int main(void)
{
	static struct figures figures;
	int r = 0;

	for (uint64_t seed = 1; seed <= WEARERS && r == 0; seed++)
		r = take_life(&figures, seed);
	if (r < 0 || figures.asleep.n == 0) {
		(void)fprintf(stderr, "wearer-sleep: %s\n", strerror(-r));
		return 1;
	}
	print(&figures);
	return 0;
}
