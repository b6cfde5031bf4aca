/*
 * What the drivers of cuffs on wires share: their stored reading as a measurement. Pure, as they
 * are.
 */
#pragma once

#include "drivers/driver.h"
#include "protocols/beurer/dialogue.h"
#include "protocols/microlife/cuff.h"

/* On the cuff's own clock, which knows neither seconds nor a zone. */
struct cuff_reading {
	uint16_t year;
	uint8_t month, day; /* 0: the clock was never set */
	uint8_t hour, minute;
	uint16_t systolic, diastolic; /* mmHg */
	uint16_t pulse;               /* per minute; 0: not measured */
	uint8_t user;                 /* from 1; 0: the cuff does not say */
	uint64_t flags;               /* FLAG_BIT()s */
	/* How many before it in the cuff's memory are equal to it in user, minute and values. It is
	 * said as the record's number where it is not 0, so that two equal readings of one minute
	 * stay two, and the same memory read again makes none. */
	unsigned int repeat;
};

struct cuff_reading cuff_of_beurer(const struct beurer_reading *x);
struct cuff_reading cuff_of_microlife(const struct microlife_reading *x);
/* All that it says, into an empty measurement. */
void cuff_measure(struct measurement *m, const struct cuff_reading *x);
/* As out of the cuff's memory. 0, or as drv_emit() */
int cuff_emit(struct drv_ctx *ctx, const struct cuff_reading *x);

/* Carries a move of the dialogue out, on the channel of d's kind. Returns r, what the dialogue said
 * of the answer, or what went wrong here. */
int cuff_beurer_move(struct drv_ctx *ctx, const struct beurer_dialogue *d,
		     const struct beurer_move *m, int r);
