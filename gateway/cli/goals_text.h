/*
 * What `wellgate goals` says in a terminal: title, kind words, a bar, the dates, how it went
 * before. Weight goals stay blind and a night has no number (domain.md 2.4): these have words only.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "gateway/cli/bars.h"
#include "wellgate.pb-c.h"

#define GOALS_PAST 8 /* periods looked back at */

/* What was said last about earlier periods of one goal; ascending. Zeroed is empty. */
struct goals_past {
	size_t n;
	struct goals_past_one {
		int64_t start_ms, end_ms;
		struct decimal progress, target;
		bool met;
		char words[160];
	} of[GOALS_PAST + 1]; /* the running period may be among them */
};

/* Results in the order they were made: the last one of a period stays. One without data is none. */
void goals_past_note(struct goals_past *past, const Wellgate__V1__GoalResult *r);

/* No number of this goal may be shown. */
bool goals_text_hides(const Wellgate__V1__Goal *g);
/* r: the running period, or NULL */
void goals_text(FILE *out, const struct bars *style, const Wellgate__V1__Goal *g,
		const Wellgate__V1__GoalResult *r, const struct goals_past *past);
