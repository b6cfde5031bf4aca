/*
 * Goals out of a care plan: FHIR R4 (4.0.1) Goal, CarePlan, or a Bundle of them, as a care plan in
 * PKB, EMIS, RiO or Salesforce yields it, become goals that a hub can hold.
 *
 * Taken is what says exactly what is counted (LOINC or SNOMED CT code of the one registry), how
 * much of it (detailQuantity, detailRange, detailRatio or detailInteger, UCUM) and for how long a
 * time (a day or a week: said by the code, by "5000 {steps}/d", or by a ratio); and CarePlan
 * activities that say how often something is to be measured (detail.code, detail.scheduledTiming).
 * Everything else is refused with one plain sentence; nothing is guessed, and nothing is left out
 * silently.
 *
 * Never taken, whatever the plan says: calories, a weight or other measure of the body to reach, a
 * rate (domain.md section 2.4). Never kept: subject, identifiers, notes, names, ids of resources. A
 * description becomes the title when it is short, plain, and has no word of any name in the file;
 * else the title is ours. The id of a goal is made from what it counts ("steps-week"), so the same
 * plan read again names the same goals.
 */
#pragma once

#include <stdint.h>

#include "gateway/goals/goals.h"
#include "gateway/words/words.h"

#define GOAL_FHIR_FILE_MAX  ((size_t)2 * 1024 * 1024)
#define GOAL_FHIR_DEPTH_MAX 32  /* of objects and lists in each other */
#define GOAL_FHIR_ENTRIES   512 /* resources of a Bundle */
#define GOAL_FHIR_ITEMS_MAX 64

enum goal_fhir_refusal {
	GOAL_FHIR_TAKEN,
	GOAL_FHIR_NO_NUMBER,       /* no target, or one in words */
	GOAL_FHIR_UNKNOWN_MEASURE, /* no code that the registry knows */
	GOAL_FHIR_TWO_MEASURES,    /* its codes mean different things, or one of them does */
	GOAL_FHIR_WHICH_MINUTES,   /* options.minutes has to say it */
	GOAL_FHIR_FOOD,
	GOAL_FHIR_WEIGHT,
	GOAL_FHIR_RATE,
	GOAL_FHIR_UNIT,   /* not of this measure, not exactly convertible, not known */
	GOAL_FHIR_NUMBER, /* not above zero, or more digits than a decimal holds */
	GOAL_FHIR_AT_MOST,
	GOAL_FHIR_NO_PERIOD, /* options.period has to say it */
	GOAL_FHIR_NOT_HELD,  /* known, but no rule for it */
	GOAL_FHIR_DATES,
	GOAL_FHIR_OVER, /* by its status, its plan's, or its date */
	GOAL_FHIR_MISTAKE,
	GOAL_FHIR_NOT_AGREED,
	GOAL_FHIR_SAME_TWICE,
	GOAL_FHIR_TWO_OF_A_KIND, /* none of them is taken */
	GOAL_FHIR_NOT_IN_FILE,   /* a reference that leads nowhere */
	GOAL_FHIR_MORE_TO_IT,    /* modifiers or statuses that we do not know */
	GOAL_FHIR_TOO_MUCH,      /* goal_check refuses it */
	GOAL_FHIR_REFUSALS
};

struct goal_fhir_options {
	const char *zone;        /* IANA: the calendar of the goals; one that zone_load() knows */
	unsigned int week_start; /* 1 Monday .. 7 */
	int64_t today;           /* local day number (goals/zone.h) */
	/* What was asked for at the import, because the file does not say it; 0 = refused. */
	enum goal_period period;
	enum metric minutes; /* LOINC 55411-3: METRIC_ACTIVE_MINUTES or METRIC_EXERCISE_DURATION */
	enum words_language language; /* of titles that are ours */
};

struct goal_fhir_item {
	enum goal_fhir_refusal refusal;
	bool is_activity;    /* of a CarePlan; else a Goal */
	unsigned int number; /* which Goal, or activity, of the file, from 1 */
	unsigned int target; /* which target of it, from 1; 0 = the whole of it */
	/* the rest: if taken */
	struct goal goal; /* subject "", version 1 */
	/* local days [from, to); INT64_MIN and INT64_MAX where the plan says none. A goal has no
	 * last day of its own: whoever sets it ends it on to_day. */
	int64_t from_day, to_day;
};

struct goal_fhir {
	size_t n;
	unsigned int others; /* activities that say nothing about measuring: no goals */
	struct goal_fhir_item items[GOAL_FHIR_ITEMS_MAX];
};

/*
 * Reads a file's text. -EFBIG: too large; -EBADMSG: no JSON, nested too deep, or none of the three
 * resources; -E2BIG: more entries or goals than above; -EXDEV: about more than one person, or it
 * cannot be seen that it is about one; -ENOMEM. Pure but for the zone file.
 */
int goal_fhir_read(const char *text, size_t len, const struct goal_fhir_options *options,
		   struct goal_fhir **ret);
void goal_fhir_free(struct goal_fhir *plan); /* NULL is fine */

/* The sentence for a refusal; WORDS_NONE for GOAL_FHIR_TAKEN. */
enum words_id goal_fhir_words(enum goal_fhir_refusal why);
