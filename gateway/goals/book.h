/*
 * Inside the goals room: what the book is made of. Per goal a chapter: buckets (calendar.h) with
 * their points in order and the tally of them, and periods with what was last said about each. A
 * journal lets a failed transaction be forgotten.
 *
 * Memory: 32 bytes a point, BUCKETS_MAX buckets and POINTS_KEPT points a goal; past that, at a
 * settle, the oldest buckets take no more points, and then go. Periods that need a bucket that
 * went are not revised any more.
 */
#pragma once

#include "gateway/goals/evaluate.h"
#include "gateway/goals/goals.h"
#include "gateway/goals/zone.h"

struct goal_told {
	bool any;
	bool restored; /* said before the restart; until the book is settled */
	bool bare;     /* by a version that did not speak of achievements */
	bool final;    /* not ours to revise, see goal_book_settle */
	enum goal_state state;
	enum goal_outcome outcome;
	enum goal_achievement achievement;
	struct goal_progress progress;
	bool known; /* progress.value is */
	uint32_t revision;
	int removed; /* see struct goal_page */
};

struct goal_bucket {
	int64_t day; /* its name */
	struct goal_span span;
	struct goal_point *points;
	size_t n, size;
	struct goal_tally tally;
	bool stale;  /* the tally must be made anew */
	bool sealed; /* its points are gone, the tally stays */
};

struct goal_page { /* of a period */
	int64_t first_day;
	struct goal_span span;
	bool stale; /* progress must be made anew */
	bool own;   /* has a reading of its own: a trend looks at earlier ones, too */
	struct goal_progress progress;
	int removed; /* points that were taken back */
	/* something may be new: of itself, or of a period before it, which says whether it is the
	 * fourth of six; or its state changes by itself at due_ms (-1: never) */
	bool look;
	int64_t due_ms;
	struct goal_told told;
};

struct goal_chapter { /* of one goal */
	struct zone *zone;
	struct goal *versions; /* ascending */
	size_t n_versions;
	struct goal_bucket *buckets; /* ascending */
	size_t n_buckets, buckets_size, n_points;
	struct goal_page *pages; /* ascending */
	size_t n_pages, pages_size;
	int64_t forgotten; /* the newest bucket that was dropped */
	bool pending;      /* look at the pages again */
	int64_t due_ms;    /* a state changes by itself; -1 never */
	char subject[sizeof(((struct goal *)NULL)->subject)];
};

enum goal_deed {
	GOAL_ADDED,
	GOAL_REMOVED,
	GOAL_TOLD
};

struct goal_journal_entry {
	size_t goal;
	int64_t day; /* of the bucket or the page */
	enum goal_deed deed;
	union {
		struct goal_point point;
		struct goal_told told; /* what was said before */
	};
};

struct goal_book {
	struct goal *goals; /* the latest versions */
	struct goal_chapter *chapters;
	size_t n;
	char *hub;
	uint64_t epoch;
	bool test;
	char tzdata[16];
	int64_t now_ms; /* of the last look */
	struct goal_journal_entry *journal;
	size_t n_journal, journal_size;
};

/* Index of the goal, b->n if there is none. Two people may have goals of one name; subject: NULL or
 * "" is whoever the box serves. */
size_t goal_book_index(const struct goal_book *b, const char *id, const char *subject);
/* does the reading lie in the time that the goal takes readings of? (tag.c) */
bool goal_is_in_time(const struct goal *goal, const struct zone *zone,
		     const Wellgate__V1__Reading *r);
/* the component that the goal is about, or NULL; for a panel any number will do (tag.c) */
const Wellgate__V1__Component *goal_component_of(const struct goal *goal,
						 const Wellgate__V1__Reading *r);
/* room for one more entry, which counts once n_journal is raised; NULL: no memory */
struct goal_journal_entry *goal_journal_next(struct goal_book *b);

/* ---- chapter.c */
void goal_chapter_finish(struct goal_chapter *c);
bool goal_grow(void **array, size_t *size, size_t n, size_t item);
/* the version that a period is evaluated under */
const struct goal *goal_chapter_version(const struct goal_chapter *c, int64_t first_day);
/* 1; 0 if the bucket takes no more points; -ENOMEM, -ENOBUFS */
int goal_chapter_add(struct goal_chapter *c, int64_t bucket, const struct goal_point *point);
/* 1; 0 if there is no such point */
int goal_chapter_remove(struct goal_chapter *c, int64_t bucket, const struct goal_point *point);
/* Take back one of these. */
void goal_chapter_undo(struct goal_chapter *c, const struct goal_journal_entry *entry);
struct goal_page *goal_chapter_page(struct goal_chapter *c, int64_t first_day); /* or NULL */
/* the same, made if need be: 1, 0 if its points went long ago, -ENOMEM */
int goal_chapter_make_page(struct goal_chapter *c, int64_t first_day, struct goal_page **ret);
/* The page with this index changed: it and all after it may have something new to say. */
void goal_chapter_look(struct goal_chapter *c, size_t page);
/* brings page->progress up to date; also for a page of the caller's */
void goal_chapter_refresh(struct goal_chapter *c, struct goal_page *page);
/* Keeps to the limits of memory. */
void goal_chapter_trim(struct goal_chapter *c);
