/*
 * Reading the memory of an Omron cuff, as a passive engine: it says what to ask and takes what was
 * answered; the same over Bluetooth and USB.
 *
 *   begin -> [index] -> [clock] -> records of all regions, block by block -> all durable
 *         -> [index again, reset, read back] -> [clock, set, read back] -> end
 *
 * All slots are read each time, not only those that the cuff counts as unread: a telephone resets
 * that counter, too, and what it has read we may not have. Who reads the same again must know it
 * again: by number, time and values, never by the slot, which is used again when the ring is full.
 *
 * Nothing is written but inside the windows of the profile, and that only with its option, after
 * omron_walk_committed(), and only what was read just before with the least change:
 *   reset  the counters of unread records become 0x8000, "none"; only those of users all of whose
 *          slots could be read, and only if the index is the same as in the beginning
 *   set    the date of the clock
 * Then the mirror is read back. If it is not what was written, `trouble` says so and nothing is
 * tried again. There is no erasing.
 *
 * Each question is asked at most OMRON_ATTEMPTS times. A block that does not come is left out, and
 * the rest is read (`left_out`); three of them in a row, or silence elsewhere, end the walk.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "protocols/bytes/writer.h"
#include "protocols/omron/frame.h"
#include "protocols/omron/profile.h"

#define OMRON_ATTEMPTS 3
#define OMRON_ID_SIZE  16

#define OMRON_MAY_RESET     0x01
#define OMRON_MAY_SET_CLOCK 0x02

enum omron_step {
	OMRON_STEP_BEGIN = 0,
	OMRON_STEP_INDEX,
	OMRON_STEP_CLOCK,
	OMRON_STEP_RECORDS,
	OMRON_STEP_COMMIT, /* nothing to ask: everything read must be durable first */
	OMRON_STEP_INDEX_AGAIN,
	OMRON_STEP_RESET,
	OMRON_STEP_RESET_CHECK,
	OMRON_STEP_CLOCK_AGAIN,
	OMRON_STEP_SET,
	OMRON_STEP_SET_CHECK,
	OMRON_STEP_END,
	OMRON_STEP_OVER, /* ended well, even if with trouble */
	OMRON_STEP_FAILED,
	OMRON_STEP_LAST
};

/* why something was not done; the worst is kept */
enum omron_trouble {
	OMRON_FINE = 0,
	OMRON_INDEX_STRANGE, /* not what we know of it, or changed meanwhile: not reset */
	OMRON_WRITE_REFUSED,
	OMRON_WRITE_DOUBTFUL, /* read back, it was something else */
	OMRON_REJECTED,       /* the cuff ended the dialogue */
	OMRON_SILENT,
};

struct omron_walk {
	const struct omron_profile *profile;
	unsigned int options; /* OMRON_MAY_* */
	enum omron_step step;
	enum omron_trouble trouble;
	unsigned int attempts; /* at the question */
	unsigned int
		patience; /* attempts at the first question, before somebody presses a button */

	unsigned int lost_in_row; /* blocks that did not come */
	size_t region;
	uint16_t slot; /* of the first record of the block */
	size_t block_len, got;
	uint8_t block[OMRON_DATA_MAX];

	bool left_out;           /* a block did not come */
	unsigned int incomplete; /* bit i: region i could not be read whole */

	bool has_index, has_clock, has_id;
	bool set_wanted;
	struct gatt_date_time now; /* to be set */
	uint8_t id[OMRON_ID_SIZE]; /* what it said of itself when it began; not understood */
	uint8_t index[OMRON_INDEX_MAX];
	uint8_t clock[OMRON_CLOCK_MAX];
	uint8_t written[OMRON_INDEX_MAX];
};

/* What an answer was good for. */
struct omron_step_result {
	enum omron_step answered;
	/* RECORDS: `n` records of profile->record_size bytes from `records` on, of `region`, slots
	 * from `slot`; borrowed from the walk until the next call */
	size_t n;
	const uint8_t *records;
	size_t region;
	uint16_t slot;
};

/* patience: how often to ask until the cuff answers at all, at least 1. */
void omron_walk_begin(struct omron_walk *w, const struct omron_profile *profile,
		      unsigned int options, unsigned int patience);
/* The frame to send now. -ENODATA: nothing, see w->step. -ENOSPC. */
int omron_walk_question(const struct omron_walk *w, struct writer *to);
/*
 * A whole frame of the cuff. 0: it was the answer, go on with omron_walk_question(). -EMSGSIZE,
 * -EBADMSG: spoiled; call omron_walk_silence(), too, to ask again. -ENOMSG: no answer to what was
 * asked, perhaps to what was asked before: wait on. -EPROTO: rejected, the walk has failed.
 */
int omron_walk_answer(struct omron_walk *w, const uint8_t *data, size_t len,
		      struct omron_step_result *ret);
/* No answer in time. 0: go on with omron_walk_question(), which may ask the next thing.
 * -ETIMEDOUT: the walk has failed, or, having written already, is over. */
int omron_walk_silence(struct omron_walk *w);
/* A record of the region, last handed out, is nonsense: its counter will not be reset. */
void omron_walk_doubt(struct omron_walk *w, size_t region_index);
/* Everything read so far is durable; only in OMRON_STEP_COMMIT. now: the hub's local time, to set
 * the clock; NULL: not known, or it is right. */
void omron_walk_committed(struct omron_walk *w, const struct gatt_date_time *now);
