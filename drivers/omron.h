/*
 * What the drivers of Omron cuffs share: the walk through the memory (protocols/omron/walk.h)
 * between a driver and its session, and a record as a measurement. Pure, as they are.
 *
 * A stored record is said each time it is read. It is known again by the device, its user, the time
 * and values it bears and, where it has one, its number; the slot it lies in is no part of that.
 */
#pragma once

#include "drivers/driver.h"
#include "protocols/omron/walk.h"

/* An allowance that a match row gives. */
#define OMRON_QUIRK_SET_CLOCK 0x100 /* a clock that is off by more than a minute is set */

/* Sends one frame; its transport's way. */
typedef int omron_send(struct drv_ctx *ctx, const uint8_t *frame, size_t len);

struct omron_reader {
	struct omron_walk walk;
	omron_send *send;
	unsigned int answer_ms; /* how long one answer may take */
	bool waits;             /* a reading is not durable yet */
	bool clock_off;
};

/* Each: 0, or as a driver's callback; the session is told to hang up when the walk is over. If some
 * of the memory could not be read, or a write is in doubt, news of the device says so in the
 * end. */
int omron_reader_begin(struct drv_ctx *ctx, struct omron_reader *r,
		       const struct omron_profile *profile, unsigned int options,
		       unsigned int patience);
/* one whole frame */
int omron_reader_frame(struct drv_ctx *ctx, struct omron_reader *r, const uint8_t *data,
		       size_t len);
int omron_reader_timeout(struct drv_ctx *ctx, struct omron_reader *r);
int omron_reader_committed(struct drv_ctx *ctx, struct omron_reader *r);

/* All that a record says, into an empty measurement. user: OMRON_USER_NONE if nobody knows. */
void omron_measure(struct measurement *m, const struct omron_record *x, uint8_t user);
