/*
 * Takes out of a capture what could lead to a person, and keeps what a driver is tested with.
 *
 *   times       all shifted by the same whole number of days: intervals and the time of day stay
 *   user slots  become 1 (255, "unknown", stays)
 *   identity    serial number, system id and advertised name are blanked
 *   the rest    what no codec here understands is left out, for it could hold anything: vendor
 *               frames, adverts, consent codes
 *
 * The measured values stay: they are what the capture is about. Whoever publishes one should have
 * been asked.
 */
#pragma once

#include "protocols/capture/cap.h"

#define ANONYMISE_DAYS_MAX 36525 /* a century, either way */

/* Changes *e in place: true. False: it must be left out, *ret_why says why (constant string);
 * *e is then untouched. */
bool anonymise_event(int32_t days, struct cap_event *e, const char **ret_why);
