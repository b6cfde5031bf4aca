/* Weight, steps, sleep and blood pressure: text, picture and table of the same numbers. */
#pragma once

#include "gateway/page/history.h"
#include "gateway/page/html.h"

#define PICTURE_NUMBER_MAX 64

/* "Wed 18 November, 07:31" of local ms */
void picture_when(int64_t local_ms, char ret[PICTURE_NUMBER_MAX]);
/* "18 November" of a local day */
void picture_day(int64_t day, char ret[PICTURE_NUMBER_MAX]);
/* "" if there is none */
void picture_number(const Wellgate__V1__Component *c, char ret[PICTURE_NUMBER_MAX]);

/* Each says nothing where nothing came. goals: for the band of a weight goal; may be NULL. */
void picture_pressure(struct html *h, const struct history *history);
void picture_weight(struct html *h, const struct history *history,
		    const Wellgate__V1__Reply *goals);
void picture_steps(struct html *h, const struct history *history);
void picture_sleep(struct html *h, const struct history *history);
