/*
 * How much may be on the way: readings per message, and messages, by the round trip. Pure; the
 * caller has the clock.
 *
 * A broker allows so many messages at once, so on a long way the readings in each are the only
 * lever. With a backlog the readings on the way double per round trip until window x batch, the
 * most there is. But more on the way than the link carries only makes a queue before it, in which
 * a reading of now would wait: when the round trip is PACE_STRETCH times the shortest and
 * PACE_SLACK_US more, there are fewer. A reading alone is never held back by this.
 *
 * The shortest round trip of a connection is its measure. Where it keeps us back for
 * PACE_MEASURE_US it is measured anew, with next to nothing on the way for two round trips: the way
 * may have become longer.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define PACE_BATCH_MIN  16U /* readings: below this most of a message is its envelope */
#define PACE_STRETCH    2
#define PACE_SLACK_US   INT64_C(50000)
#define PACE_MEASURE_US INT64_C(10000000)

struct pace {
	unsigned int window;    /* messages on the way at most, of this connection */
	unsigned int batch_max; /* readings per message at most */
	unsigned int flight;    /* readings on the way at most */
	unsigned int least, most;
	bool steep;          /* nothing kept us back so far: double */
	int64_t shortest_us; /* round trip; 0: not known */
	int64_t round_us;    /* smoothed */
	int64_t cut_us;      /* when there were fewer last */
	int64_t kept_us;     /* since when we are kept back; 0: we are not */
	int64_t probe_us;    /* what is sent from here on measures anew; 0: no need */
	unsigned int credit; /* of slow growth */
};

/* A new connection. window, batch_max > 0 */
void pace_begin(struct pace *p, unsigned int window, unsigned int batch_max);
/* readings in the next message */
unsigned int pace_batch(const struct pace *p);
/* There is room for another message of a backlog. */
bool pace_room(const struct pace *p, unsigned int messages, unsigned int rows);
/* A message with `rows` readings was confirmed now, took_us after it was sent. limited: more waits
 * than there was room for. */
void pace_answer(struct pace *p, unsigned int rows, int64_t took_us, bool limited, int64_t now_us);
