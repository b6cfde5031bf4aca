/*
 * One lane's way out: which numbers wait, which are on the way, up to where all is delivered. Pure
 * but for its table of messages on the way, and it never looks into a row.
 *
 *   delivered       on the way          waits (spans, ascending)                 end
 *   1 ....... 400   401-450 451-500     501 ............ 90000    90003-90003    90003
 *
 * Most of the time one span waits, or none. What is committed while many rows wait becomes a span
 * of its own, and the newest span goes first: a reading of now does not stand behind those of a
 * week without a broker. Every OUTBOX_TURNS-th message is of the oldest span all the same, so that
 * the watermark moves whatever comes in. Numbers stay one sequence without gaps; the record service
 * takes them in any order.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define OUTBOX_SPANS 16
#define OUTBOX_LIVE  50 /* rows: a span of no more is not worth jumping over */
#define OUTBOX_TURNS 4
#define OUTBOX_ALONE 8

/* both included */
struct span {
	uint64_t first, last;
};

/* One message on the way. */
struct entry {
	struct span span;
	unsigned int rows;
	bool busy, tombstone;
};

struct outbox {
	struct entry *entries;
	unsigned int n_entries, n_busy;
	struct span waits[OUTBOX_SPANS];
	unsigned int n_waits;
	uint64_t end;       /* the highest number that was committed */
	uint64_t delivered; /* the broker has confirmed all up to here, on this run */
	uint64_t sent;      /* all up to here can have been sent under this epoch */
	unsigned int turn;
	struct span alone[OUTBOX_ALONE]; /* in these one row per message */
	unsigned int next_alone;
	bool in_order; /* the newest does not go first */
	bool paused;   /* nothing goes until the next kick: the store has no more, or failed */
	bool stuck;    /* nothing goes on this connection */
};

/* entries: messages that can be on the way. -ENOMEM */
int outbox_init(struct outbox *o, unsigned int entries);
void outbox_finish(struct outbox *o); /* zeroed is fine */
/* Nothing is on the way; all above `acknowledged` waits, in one span. */
void outbox_restart(struct outbox *o, uint64_t acknowledged, uint64_t end);
/* Numbers up to `end` were committed. */
void outbox_extend(struct outbox *o, uint64_t end);
/* From which span the next message is to be made: false, none waits. */
bool outbox_pick(struct outbox *o, struct span *ret);
/* After outbox_pick() said true: the newest span that may go at all, whosever turn it is. */
void outbox_pick_newest(const struct outbox *o, struct span *ret);
/* What was picked is few enough to go at once, whatever else is on the way. */
bool outbox_is_live(const struct outbox *o, const struct span *picked);
/* Of what was picked, e->span goes; numbers before it in the span do not exist. Returns the entry's
 * number. The caller sees to it that no more than the entries are on the way. */
unsigned int outbox_take(struct outbox *o, const struct span *picked, const struct entry *e);
/* Numbers of what was picked do not exist up to `last`. */
void outbox_skip(struct outbox *o, const struct span *picked, uint64_t last);
/* The message was confirmed, or its rows were parked. */
void outbox_done(struct outbox *o, unsigned int number);
/* It has to go again; alone: row by row. */
void outbox_again(struct outbox *o, unsigned int number, bool alone);
/* The connection ended: what was on the way waits again. */
void outbox_lost(struct outbox *o);
/* These need not be sent; what is on the way stays so. */
void outbox_cover(struct outbox *o, uint64_t first, uint64_t last);
/* These, which were delivered before, go once more, but what is on the way. */
void outbox_repeat(struct outbox *o, uint64_t first, uint64_t last);
/* All above `after` waits again, but what is on the way; what is repeated below still waits. */
void outbox_rewind(struct outbox *o, uint64_t after);
/* The lowest number that waits or is on the way, less 1. */
uint64_t outbox_watermark(const struct outbox *o);
/* The lowest number that waits, less 1. */
uint64_t outbox_handed_over(const struct outbox *o);
/* Rows of this number go one by one. */
bool outbox_goes_alone(const struct outbox *o, uint64_t sequence);
