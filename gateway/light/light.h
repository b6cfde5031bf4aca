/*
 * What the light of the hub shows: pure, without I/O, heap or clock. What happened goes in; a
 * colour, its brightness and when to ask again come out.
 *
 *   steady white                on and fine; off in the night
 *   slow white pulse            a reading is being saved; 3 s at most
 *   two blue blinks             it is saved on this box: after COMMIT, never before
 *   steady blue, 5 s            all that was saved is delivered
 *   amber, 4 s and 1 s dark     please look at the card; off in the night
 *
 * There is no red, and nothing here knows a value. A colour is never the only difference: each
 * pattern has a rhythm of its own, for who does not see colours. A box without an amber light shows
 * nothing instead of white.
 *
 * The short patterns are answers to somebody in front of a device, so they are shown in the night
 * too, and above amber. One ends before the next begins: pulse, blinks, blue. What is delivered
 * later than LIGHT_ANSWER_US after it was saved is no answer any more, and not shown in the night.
 *
 * Times are microseconds of a clock that never goes back. Source: the states that were agreed on
 * for the home kit (README.md).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define LIGHT_PULSE_US  INT64_C(3000000)
#define LIGHT_BLINKS_US INT64_C(1200000) /* with the dark in which they end */
#define LIGHT_SENT_US   INT64_C(5000000)
#define LIGHT_ANSWER_US INT64_C(60000000)
#define LIGHT_NEVER     INT64_MAX
/* wellgate-devices that ended is started again: only what lasts longer is worth a worry */
#define LIGHT_PATIENCE_US INT64_C(30000000)

enum light_colour {
	LIGHT_WHITE,
	LIGHT_BLUE,
	LIGHT_AMBER,
	LIGHT_COLOURS
};

/* What the card is about; its number is on the box's own card and in `wellgate doctor`. */
enum light_card {
	LIGHT_CARD_NONE,
	LIGHT_CARD_FULL,    /* 1: the box cannot keep more readings */
	LIGHT_CARD_DEVICES, /* 2: the box cannot hear its devices */
	LIGHT_CARD_END
};

enum light_pattern {
	LIGHT_DARK,
	LIGHT_FINE,
	LIGHT_SAVING,
	LIGHT_SAVED,
	LIGHT_SENT,
	LIGHT_LOOK
};

/* Zero is a good start: on and fine, by day. */
struct light {
	enum light_card card;
	bool night;
	bool saving, saved, saved_again, sent; /* running, or due */
	int64_t saving_us, saved_us,
		sent_us;          /* when it began; sent: 0 while it waits for its turn */
	int64_t card_us;          /* since when it is this card */
	int64_t kept_us;          /* the last time that something was saved */
	uint64_t kept, delivered; /* numbers: saved so far, delivered so far */
};

struct light_show {
	enum light_pattern pattern;
	enum light_colour colour; /* all others are dark */
	unsigned int level;       /* percent of the brightness that was chosen, 0: dark */
	int64_t next_us;          /* when to look again, LIGHT_NEVER: when something happens */
};

/* What was saved and delivered before the start: nobody waits for an answer. */
void light_start(struct light *l, uint64_t kept, uint64_t delivered);
/* A reading came in and is not durable yet. */
void light_reading(struct light *l, int64_t now_us);
/* Nothing of it is new, or it will not be saved now. */
void light_gave_up(struct light *l);
/* Something new is durable. last: the number of the last reading that will be sent; a reading that
 * is held has none, so it may be the same as before. */
void light_saved(struct light *l, uint64_t last, int64_t now_us);
/* All up to this number is delivered. */
void light_delivered(struct light *l, uint64_t upto, int64_t now_us);
/* That devices are not heard is shown after LIGHT_PATIENCE_US, all others at once. */
void light_card(struct light *l, enum light_card card, int64_t now_us);
void light_night(struct light *l, bool night);

/* What to show now. Patterns that are over are forgotten by it. */
void light_look(struct light *l, int64_t now_us, struct light_show *ret);

/*
 * The night, minutes of the local day: from `from` until `until`, over midnight if it is the lesser
 * one. Equal: there is none.
 */
struct light_hours {
	unsigned int from, until;
};

/* "22:00-07:00", or "none". -EINVAL */
int light_hours_parse(const char *text, struct light_hours *ret);
/* minute: of the local day, 0 to 1439. *ret_minutes: until it changes; 0: never */
bool light_hours_now(const struct light_hours *h, unsigned int minute, unsigned int *ret_minutes);
