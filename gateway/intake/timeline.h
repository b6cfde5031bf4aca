/*
 * Has a device's clock run without a break since it stamped a reading? A battery change or a clock
 * that was set begins another timeline, and a stamp from an earlier one cannot be corrected (HL7
 * PHD IG 2.0.0, timestamps). Where a device numbers its readings the order of the numbers shows a
 * break that went backwards: going back from now, no stamp may be later than the one after it.
 *
 * It proves breaks only. A clock that was put forward, or began anew and has since passed the older
 * stamps, leaves no trace in the order; so what is not found out stays UNSPECIFIED, never CURRENT.
 *
 * Only for true sequence numbers, one series of one device (and user slot) at a time: some drivers'
 * record numbers merely tell equal stamps apart. Pure.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wellgate.pb-c.h"

#define TIMELINE_MAX 1024

struct timeline_record {
	int64_t stamp_ms; /* the device's clock, date and time read as UTC */
	uint32_t number;
	Wellgate__V1__Timeline timeline;
};

/*
 * Sorts the records by number, ascending, and sets `timeline` of those from before a break. now_ms:
 * the device's clock now, or NULL. -E2BIG: more than TIMELINE_MAX; -EINVAL: two have one number, so
 * it is no sequence; nothing is set then.
 */
int timeline_judge(struct timeline_record *records, size_t n, const int64_t *now_ms);
