/*
 * Sleep estimated from movement, minute by minute. An estimate, never a measurement: who lies awake
 * without moving counts as asleep. Pure: no heap, clock or state but the caller's.
 *
 *   score    Cole and Kripke, the form for one minute: with A the movement of the minutes around,
 *            asleep if 106 A-4 + 54 A-3 + 58 A-2 + 76 A-1 + 230 A0 + 74 A+1 + 67 A+2 < 1000
 *   rescore  Webster: of what follows 4, 10 or 15 minutes awake, the first 1, 3 or 4 are awake; so
 *            is a sleep of at most 6 (10) minutes between two times of at least 10 (20) awake
 *   period   begins with the first of 5 minutes asleep in a row (fewer count as awake), ends before
 *            30 without that; what is shorter than 160 from beginning to end is not said: no naps
 *
 * Ours, and in none of the papers: 30 where Tudor-Locke has 10, because nights with a long time
 * awake are what this is asked about; and all that is not said:
 *
 *   - a night that began before the first minute or less than 90 minutes behind it or behind a gap
 *   - one that ended less than 90 minutes before the last minute, unless a gap comes first
 *   - one with a gap in it, or with 120 minutes without any movement: nobody may have worn it. Very
 *     still sleepers (some medicines make them so) are lost by this
 *
 * So an episode never changes: other minutes before and after it (the memory of a tracker rolls on)
 * give the same one, or none. No score depends on a minute more than 60 away.
 *
 * Limits: validated on adults with a wrist device of another maker, in its own counts. How those
 * compare with what is given here nobody has measured; 1 of ours is taken for 1 of the formula.
 * Actigraphy calls most quiet wakefulness sleep, and fits poor sleepers worse than good ones.
 *
 * Sources: Cole, Kripke, Gruen, Mullaney, Gillin: Automatic sleep/wake identification from wrist
 * activity, Sleep 15 (1992) 461. Webster, Kripke, Messin, Mullaney, Wyborney: An activity-based
 * sleep monitor system for ambulatory use, Sleep 5 (1982) 389. Period: after Tudor-Locke, Barreira,
 * Schuna, Mire, Katzmarzyk, Applied Physiology, Nutrition and Metabolism 39 (2014) 53. The numbers
 * as the documentation of an open implementation (actigraph.sleepr) has them; the papers themselves
 * were not at hand.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define SLEEP_PERIOD_MIN 160 /* minutes */
#define SLEEP_END        30
#define SLEEP_STILL      120
#define SLEEP_MARGIN     60

struct sleep_episode {
	int64_t start;    /* of the first minute asleep; s since 1970 or any other second */
	uint32_t minutes; /* from there to the last one asleep */
	uint32_t asleep;  /* of them */
	uint32_t awake;   /* of them: wake after sleep onset; asleep + awake = minutes */
	uint32_t awakenings;
};

/* 0, or -errno to stop */
typedef int sleep_say(void *user, const struct sleep_episode *episode);

/* Each minute's last score, in order, for who compares them with the truth. */
typedef void sleep_score(void *user, int64_t at, bool asleep);

/* All zero but say, user and score (or NULL) to begin with. */
struct sleep_estimate {
	sleep_say *say;
	sleep_score *score;
	void *user;
	/* the minutes in a row at hand */
	int64_t first;      /* time of the first */
	uint32_t n;         /* of them, without `still` */
	uint32_t still;     /* minutes without movement, at the end */
	uint32_t window[7]; /* movement */
	/* rescoring */
	uint32_t wake_run, change;
	uint32_t before, held, after;
	/* periods */
	uint32_t done; /* minutes with their last score */
	uint32_t awake_run;
	bool ready, within, ended;
	uint32_t onset, decided;
	struct sleep_episode episode, told;
};

/*
 * One minute, later than all before it. movement: 0 none; a person who walks does more than 300 of
 * them, which is as much as counts. A minute that is not 60 s after the one before is behind a gap.
 * 0, or what say() returned.
 */
int sleep_minute(struct sleep_estimate *s, int64_t at, uint32_t movement);
