/*
 * Every sentence that a person may see, in one table per language: words.def names them, en.def has
 * them in English. Texts are constant; what a sentence is about goes into named holes.
 *
 * A sentence that a language does not have yet is said in English: better than none, and better
 * than a guess. Kind, plain, reading age 9 to 11 (domain.md section 2.4; the NHS asks for the same
 * age); tests/lint/words.py is the judge of that.
 */
#pragma once

#include <stddef.h>

enum words_id {
	WORDS_NONE,
#define WORD(id, kind, holes) WORDS_##id,
#include "gateway/words/words.def"
#undef WORD
	WORDS_END
};

/* What may stand in braces. */
enum words_hole {
	WORDS_NUMBER,    /* {number}: plain decimal */
	WORDS_WHEN,      /* {when}: "this week" */
	WORDS_GOAL,      /* {goal}: "walking" */
	WORDS_DAYS,      /* {days}: "one day", "3 days" */
	WORDS_DEVICE,    /* {device}: what people call it */
	WORDS_REFERENCE, /* {reference}: random, of a person */
	WORDS_DATES,     /* {dates}: plain number of days */
	WORDS_FROM,      /* {from}: a date, a value */
	WORDS_TO,        /* {to}: the same, at the other end */
	WORDS_UNIT,      /* {unit}: "steps", "mmHg" */
	WORDS_HOLES
};

enum words_language {
	WORDS_EN,
	WORDS_LANGUAGES
};

/* NULL: not filled, and the sentence has no such hole. Borrowed for the call. */
struct words_fill {
	const char *of[WORDS_HOLES];
};

/* From a language tag (RFC 5646), "en-GB"; English for one that we have no words in. */
enum words_language words_language(const char *tag);

/* The text with its holes unfilled. Never NULL or empty. */
const char *words_text(enum words_language language, enum words_id id);
/* The same of one table, which may have gaps (NULL): those are English. */
const char *words_of(const char *const table[WORDS_END], enum words_id id);

/* Fills the holes; fill may be NULL for a text without. What is filled in is taken as it is: braces
 * in it are no holes. Returns the length; -ENOSPC, ret untouched, if it does not fit with its NUL.
 * A hole that is not filled is the caller's mistake (assert). */
int words_say(enum words_language language, enum words_id id, const struct words_fill *fill,
	      char *ret, size_t size);
