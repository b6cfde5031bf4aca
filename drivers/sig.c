#include "drivers/sig.h"

#include <assert.h>
#include <errno.h>

#include "protocols/gatt/battery.h"

static struct device_time device_time_of(const struct gatt_date_time *t)
{
	return (struct device_time){
		.kind = DEVICE_TIME_LOCAL,
		.year = t->year,
		.month = t->month,
		.day = t->day,
		.hour = t->hour,
		.minute = t->minute,
		.second = t->second,
	};
}

bool sig_is_whole(const struct gatt_date_time *t)
{
	return t->year != 0 && t->month != 0 && t->day != 0;
}

/* A clock that was never set says so, which is no error: there is only no offset. */
int sig_tell_clock(struct drv_ctx *ctx, const struct gatt_date_time *now, uint32_t fraction_us)
{
	struct device_time time = device_time_of(now);

	time.fraction_us = fraction_us;
	return sig_is_whole(now) ? drv_clock(ctx, &time) : 0;
}

/* 2A2B or 2A08 */
static int decode_clock(const struct drv_frame *frame, struct gatt_date_time *ret,
			uint32_t *ret_fraction_us)
{
	struct gatt_current_time now;
	int r;

	if (frame->channel == SIG_DATE_TIME) {
		*ret_fraction_us = 0;
		return gatt_date_time_decode(frame->data, frame->len, ret);
	}
	r = gatt_current_time_decode(frame->data, frame->len, &now);
	if (r < 0)
		return r;
	*ret = now.time;
	*ret_fraction_us = now.fractions256 * UINT32_C(15625) / 4;
	return 0;
}

static int read_clock(struct drv_ctx *ctx, const struct drv_frame *frame)
{
	struct gatt_date_time now;
	uint32_t fraction_us;
	int r = decode_clock(frame, &now, &fraction_us);

	return r < 0 ? r : sig_tell_clock(ctx, &now, fraction_us);
}

static int read_battery(struct drv_ctx *ctx, const struct drv_frame *frame)
{
	struct gatt_battery battery;
	int r = gatt_battery_decode(frame->data, frame->len, &battery);

	return r < 0 ? r : drv_battery(ctx, (unsigned int)battery.level.value.mantissa);
}

int sig_frame(struct drv_ctx *ctx, const struct drv_frame *frame)
{
	switch (frame->channel) {
	case SIG_MAKER:
		return drv_fact(ctx, DRV_MAKE, frame->data, frame->len);
	case SIG_MODEL:
		return drv_fact(ctx, DRV_MODEL, frame->data, frame->len);
	case SIG_SERIAL:
		return drv_fact(ctx, DRV_SERIAL, frame->data, frame->len);
	case SIG_FIRMWARE:
		return drv_fact(ctx, DRV_FIRMWARE, frame->data, frame->len);
	case SIG_HARDWARE:
		return drv_fact(ctx, DRV_HARDWARE, frame->data, frame->len);
	case SIG_BATTERY_LEVEL:
		return read_battery(ctx, frame);
	case SIG_CURRENT_TIME:
	case SIG_DATE_TIME:
		return read_clock(ctx, frame);
	default:
		return -ENOMSG;
	}
}

void sig_set_time(struct measurement *m, const struct gatt_date_time *time)
{
	m->time = device_time_of(time);
	if (!sig_is_whole(time))
		m->flags |= FLAG_BIT(FLAG_CLOCK_NOT_SET);
}

/* ---- the Gregorian calendar, years counted from March, eras of 400 years ---- */

#define DAYS_PER_ERA 146097
#define DAYS_TO_1970 719468

static int64_t floor_div(int64_t a, int64_t b)
{
	return a / b - (a % b < 0);
}

static int64_t day_number(const struct gatt_date_time *t)
{
	const int64_t year = (int64_t)t->year - (t->month <= 2);
	const int64_t month = (t->month + 9) % 12;

	return year * 365 + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + t->day -
	       1 - DAYS_TO_1970;
}

static void set_day(struct gatt_date_time *t, int64_t day_number)
{
	const int64_t days = day_number + DAYS_TO_1970;
	const int64_t era = floor_div(days, DAYS_PER_ERA);
	const int64_t day = days - era * DAYS_PER_ERA;
	const int64_t year = (day - day / 1460 + day / 36524 - day / 146096) / 365;
	const int64_t of_year = day - (365 * year + year / 4 - year / 100);
	const int64_t month = (5 * of_year + 2) / 153;

	t->day = (uint8_t)(of_year - (153 * month + 2) / 5 + 1);
	t->month = (uint8_t)(month < 10 ? month + 3 : month - 9);
	t->year = (uint16_t)(era * 400 + year + (t->month <= 2));
}

static struct gatt_date_time date_of(int64_t seconds)
{
	const int64_t day = floor_div(seconds, 86400);
	const int64_t rest = seconds - day * 86400;
	struct gatt_date_time t = {
		.hour = (uint8_t)(rest / 3600),
		.minute = (uint8_t)(rest / 60 % 60),
		.second = (uint8_t)(rest % 60),
	};

	set_day(&t, day);
	return t;
}

void sig_set_utc(struct measurement *m, int64_t seconds)
{
	const struct gatt_date_time t = date_of(seconds);

	m->time = device_time_of(&t);
	m->time.kind = DEVICE_TIME_UTC;
}

struct gatt_date_time sig_add_minutes(const struct gatt_date_time *time, int64_t minutes)
{
	if (!sig_is_whole(time))
		return *time;
	return date_of(sig_seconds(time) + minutes * 60);
}

int64_t sig_seconds(const struct gatt_date_time *t)
{
	return ((day_number(t) * 24 + t->hour) * 60 + t->minute) * 60 + t->second;
}

/* ---- setting the clock ---- */

bool sig_local_time(const struct drv_ctx *ctx, struct gatt_date_time *ret)
{
	struct device_time now;

	if (!drv_local_time(ctx, &now))
		return false;
	*ret = (struct gatt_date_time){ now.year, now.month,  now.day,
					now.hour, now.minute, now.second };
	return true;
}

static bool is_wrong(const struct drv_ctx *ctx, const struct gatt_date_time *device)
{
	struct gatt_date_time hub;
	int64_t ahead;

	if (!sig_local_time(ctx, &hub))
		return false;
	if (!sig_is_whole(device))
		return true;
	ahead = sig_seconds(device) - sig_seconds(&hub);
	return ahead > SIG_CLOCK_OFF_S || ahead < -SIG_CLOCK_OFF_S;
}

int sig_clock_frame(struct drv_ctx *ctx, struct sig_clock *clock, const struct drv_frame *frame)
{
	struct gatt_date_time now;
	uint32_t fraction_us;
	int r;

	if (frame->channel != SIG_CURRENT_TIME && frame->channel != SIG_DATE_TIME)
		return sig_frame(ctx, frame);
	r = decode_clock(frame, &now, &fraction_us);
	if (clock->set) /* read back: from now on the offset of this link would be wrong */
		drv_done(ctx);
	if (clock->set || r < 0)
		return r;
	if (clock->channel == SIG_CURRENT_TIME && frame->channel == SIG_DATE_TIME)
		return 0; /* the same, less exactly */
	clock->channel = frame->channel;
	clock->wrong = is_wrong(ctx, &now);
	return sig_tell_clock(ctx, &now, fraction_us);
}

static int wait_for_quiet(struct drv_ctx *ctx, const struct sig_clock *clock)
{
	return clock->wrong && !clock->set ? drv_set_timeout(ctx, SIG_QUIET_MS) : 0;
}

int sig_clock_emit(struct drv_ctx *ctx, struct sig_clock *clock, const struct measurement *m)
{
	int r = drv_emit(ctx, m);

	if (r < 0)
		return r;
	if (measurement_is_final(m))
		clock->waits = true;
	return wait_for_quiet(ctx, clock);
}

int sig_clock_committed(struct drv_ctx *ctx, struct sig_clock *clock)
{
	clock->waits = false;
	clock->readings = true;
	return wait_for_quiet(ctx, clock);
}

/* 1 Monday .. 7 Sunday; 1970-01-01 was a Thursday */
static uint8_t day_of_week(const struct gatt_date_time *t)
{
	return (uint8_t)((day_number(t) % 7 + 10) % 7 + 1);
}

static int write_clock(struct drv_ctx *ctx, uint16_t channel, const struct gatt_date_time *hub)
{
	const struct gatt_current_time now = { .time = *hub,
					       .day_of_week = day_of_week(hub),
					       .adjust = GATT_TIME_ADJUST_REFERENCE };
	uint8_t data[16];
	struct writer w = writer_of(data, sizeof(data));
	int r = channel == SIG_DATE_TIME ? gatt_date_time_encode(hub, &w)
					 : gatt_current_time_encode(&now, &w);

	assert(r == 0); /* a date of ours is one */
	(void)r;
	return drv_write(ctx, channel, data, w.len);
}

int sig_clock_timeout(struct drv_ctx *ctx, struct sig_clock *clock)
{
	struct gatt_date_time hub;
	int r;

	if (!clock->wrong || clock->set || clock->waits || !clock->readings ||
	    !sig_local_time(ctx, &hub))
		return 0;
	r = write_clock(ctx, clock->channel, &hub);
	if (r < 0)
		return r;
	clock->set = true;
	return drv_read(ctx, clock->channel);
}

/* Whether the write or the read was refused cannot be told; everything has been read by now. */
int sig_clock_refused(struct drv_ctx *ctx, const struct sig_clock *clock, uint16_t channel)
{
	if (clock->set && channel == clock->channel)
		drv_done(ctx);
	return 0;
}

/* ---- measurements ---- */

uint64_t sig_pressure_flags(uint16_t status)
{
	static const struct sig_bit bits[] = {
		{ GATT_BP_STATUS_MOVEMENT, FLAG_BIT(FLAG_MOVEMENT) },
		{ GATT_BP_STATUS_CUFF_LOOSE, FLAG_BIT(FLAG_CUFF_FIT) },
		{ GATT_BP_STATUS_IRREGULAR_PULSE, FLAG_BIT(FLAG_IRREGULAR_PULSE) },
		{ GATT_BP_STATUS_POSITION, FLAG_BIT(FLAG_BODY_POSITION) },
		{ 0 },
	};
	uint64_t flags = sig_flags(status, bits);

	if ((status & GATT_BP_STATUS_PULSE_RANGE) == GATT_BP_STATUS_PULSE_ABOVE)
		flags |= FLAG_BIT(FLAG_PULSE_ABOVE_RANGE);
	if ((status & GATT_BP_STATUS_PULSE_RANGE) == GATT_BP_STATUS_PULSE_BELOW)
		flags |= FLAG_BIT(FLAG_PULSE_BELOW_RANGE);
	return flags;
}

void sig_pressures(struct measurement *m, enum unit unit, struct number systolic,
		   struct number diastolic, struct number mean)
{
	if (mean.absent == ABSENT_NO && mean.value.mantissa == 0)
		mean = number_absent(ABSENT_UNKNOWN);
	measurement_add(m, METRIC_SYSTOLIC, unit, systolic);
	measurement_add(m, METRIC_DIASTOLIC, unit, diastolic);
	measurement_add(m, METRIC_MEAN_PRESSURE, unit, mean);
	if (sig_says_nothing(m))
		m->flags |= FLAG_BIT(FLAG_ERROR);
}

void sig_blood_pressure(struct measurement *m, const struct gatt_blood_pressure *bp)
{
	sig_pressures(m, bp->kpa ? UNIT_KPA : UNIT_MMHG, bp->systolic, bp->diastolic, bp->mean);
	if (bp->has_time)
		sig_set_time(m, &bp->time);
	if (bp->has_pulse)
		measurement_add(m, METRIC_PULSE, UNIT_PER_MIN, bp->pulse);
	if (bp->has_user)
		sig_set_user(m, bp->user);
	if (bp->has_status)
		m->flags |= sig_pressure_flags(bp->status);
}

void sig_weight(struct measurement *m, const struct gatt_weight *w)
{
	measurement_add(m, METRIC_BODY_WEIGHT, w->imperial ? UNIT_LB : UNIT_KG, w->weight);
	if (w->has_bmi_height) {
		measurement_add(m, METRIC_BMI, UNIT_KG_M2, w->bmi);
		measurement_add(m, METRIC_HEIGHT, w->imperial ? UNIT_INCH : UNIT_M, w->height);
	}
	if (w->has_time)
		sig_set_time(m, &w->time);
	if (w->has_user)
		sig_set_user(m, w->user);
	if (w->weight.absent != ABSENT_NO)
		m->flags |= FLAG_BIT(FLAG_ERROR);
}

void sig_set_user(struct measurement *m, uint8_t user)
{
	m->has_user_slot = true;
	m->user_slot = user;
}

bool sig_says_nothing(const struct measurement *m)
{
	for (unsigned int i = 0; i < m->n_parts; i++) {
		if (m->parts[i].number.absent == ABSENT_NO)
			return false;
	}
	return true;
}

uint64_t sig_flags(uint32_t status, const struct sig_bit *table)
{
	uint64_t flags = 0;

	for (; table->bit; table++) {
		if (status & table->bit)
			flags |= table->flags;
	}
	return flags;
}
