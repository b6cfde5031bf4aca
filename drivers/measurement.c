#include "drivers/measurement.h"

#include <stddef.h>

static const char *const flag_names[FLAG_END] = {
	[FLAG_MOVEMENT] = "movement",
	[FLAG_CUFF_FIT] = "cuff_fit",
	[FLAG_IRREGULAR_PULSE] = "irregular_pulse",
	[FLAG_BODY_POSITION] = "body_position",
	[FLAG_PULSE_ABOVE_RANGE] = "pulse_above_range",
	[FLAG_PULSE_BELOW_RANGE] = "pulse_below_range",
	[FLAG_SOFT_RANGE] = "soft_range",
	[FLAG_HARD_RANGE] = "hard_range",
	[FLAG_UNIT_CONVERTED] = "unit_converted",
	[FLAG_TIME_CORRECTED] = "time_corrected",
	[FLAG_TIME_UNCERTAIN] = "time_uncertain",
	[FLAG_LATE] = "late",
	[FLAG_BACKFILL] = "backfill",
	[FLAG_MANUAL] = "manual",
	[FLAG_TEST] = "test",
	[FLAG_DEVICE_FAULT] = "device_fault",
	[FLAG_LOW_BATTERY] = "low_battery",
	[FLAG_NO_CONTACT] = "no_contact",
	[FLAG_UNSTABLE] = "unstable",
	[FLAG_REMOVED] = "removed",
	[FLAG_ERROR] = "error",
	[FLAG_QUESTIONABLE] = "questionable",
	[FLAG_INVALID] = "invalid",
	[FLAG_EARLY_ESTIMATE] = "early_estimate",
	[FLAG_ONGOING] = "ongoing",
	[FLAG_CALIBRATING] = "calibrating",
	[FLAG_CONTROL_SOLUTION] = "control_solution",
	[FLAG_PART] = "part",
	[FLAG_INTERMEDIATE] = "intermediate",
	[FLAG_CLOCK_NOT_SET] = "clock_not_set",
	[FLAG_INCONSISTENT] = "inconsistent",
	[FLAG_UNAVAILABLE] = "unavailable",
	[FLAG_SENSOR_FAULT] = "sensor_fault",
	[FLAG_ESTIMATED] = "estimated",
};

const char *flag_name(unsigned int flag)
{
	return flag < FLAG_END ? flag_names[flag] : NULL;
}

/* HI and LO are what the meter's display showed, and a reason to act: above or below its range. */
static bool number_says_something(const struct number *n)
{
	return n->absent == ABSENT_NO || n->absent == ABSENT_POSITIVE_INFINITY ||
	       n->absent == ABSENT_NEGATIVE_INFINITY;
}

bool measurement_is_final(const struct measurement *m)
{
	if (m->flags & FLAGS_NOT_FINAL)
		return false;
	for (unsigned int i = 0; i < m->n_parts; i++) {
		if (number_says_something(&m->parts[i].number))
			return true;
	}
	return false;
}
