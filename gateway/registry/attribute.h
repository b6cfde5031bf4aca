/*
 * Whose reading is it? Rules A1 to A9 of domain.md 4.2, and what staff says, as a pure function of
 * the registry at a revision, the presses in it, the weights that people confirmed, and the
 * question. How the rules meet one another, and which holes of theirs are closed how, is in
 * README.md.
 *
 * Never the nearest match: a weight only ever suggests. Only CONFIRMED and ASSIGNED are final.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "gateway/registry/registry.h"
#include "protocols/messages/codes.h"

/* a press speaks of a reading for so long after it was measured */
#define ATTRIBUTE_PRESS_MS (INT64_C(10) * 60 * 1000)
/* people that one device may have at one time; with more, nobody is named */
#define ATTRIBUTE_PEOPLE_MAX  32
#define ATTRIBUTE_WEIGHTS_MAX 64

/* somebody looked at this one reading and said whose it is: event Filed */
#define ATTRIBUTE_RULE_FILED 10

enum attribute_verdict {
	ATTRIBUTE_CONFIRMED = 1,  /* final: a person said so */
	ATTRIBUTE_ASSIGNED,       /* final: the registry says so */
	ATTRIBUTE_SUGGESTED,      /* held: perhaps this person */
	ATTRIBUTE_UNASSIGNED,     /* held: nobody can be named */
	ATTRIBUTE_UNATTRIBUTABLE, /* held: more than one had the device; purge after 30 days */
	ATTRIBUTE_OTHER_PERSON,   /* an earlier person's: never shown or sent; counted, purged */
	ATTRIBUTE_GUEST,          /* of nobody in the registry: discarded, counted */
};

struct attribute_question {
	uint8_t device[REGISTRY_DIGEST];
	uint8_t reading[REGISTRY_DIGEST]; /* what a press or Filed names; equal in all revisions */
	/* Whom it was filed under before, or NULL: it stays theirs if the rules still say so, also
	 * after they have left. */
	const char *holder;
	uint64_t revision; /* of the registry; 0: the latest */
	/* the earliest start and the latest end that are possible, UTC, both included: what is not
	 * known exactly is wider, never shifted */
	int64_t from_ms, to_ms;
	Wellgate__V1__ClockQuality clock;
	bool live; /* measured while the link was up: the receipt is its time, memory or not */
	bool has_slot, has_record;
	uint32_t slot, record; /* the device's user slot and record number */
	enum metric metric;
	int64_t grams; /* METRIC_BODY_WEIGHT: the value; 0: unknown */
};

struct attribute_answer {
	enum attribute_verdict verdict;
	char subject[REFERENCE_TEXT_MAX]; /* "" for none; only with the first three verdicts */
	unsigned int rule;                /* 1 to 9: A1 to A9; ATTRIBUTE_RULE_FILED */
	uint64_t revision;                /* of the registry that was asked */
};

/* What people weighed when they said "this was me". Zeroed: nobody did yet. */
struct attribute_weights {
	struct attribute_weight {
		char subject[REFERENCE_TEXT_MAX];
		int64_t grams, at_ms;
	} weight[ATTRIBUTE_WEIGHTS_MAX];
	size_t n;
};

/* Never fails: what is not known to the registry is UNASSIGNED. */
void attribute_reading(const struct registry *r, const struct attribute_weights *weights,
		       const struct attribute_question *question, struct attribute_answer *ret);

bool attribute_is_final(enum attribute_verdict verdict);
/* one plain sentence for staff or the person; constant text */
const char *attribute_words(enum attribute_verdict verdict);

/* Remembers a weight, if it is one and the answer is CONFIRMED; anything less teaches nothing, so
 * that one mistake cannot breed another. The latest by time counts; when full, the oldest goes. */
void attribute_learn(struct attribute_weights *weights, const struct attribute_question *question,
		     const struct attribute_answer *answer);
