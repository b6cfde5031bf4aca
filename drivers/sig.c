#include "drivers/sig.h"

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

static bool complete(const struct gatt_date_time *t)
{
	return t->year != 0 && t->month != 0 && t->day != 0;
}

/* A clock that was never set says so, which is no error: there is only no offset. */
static int set_clock(struct drv_ctx *ctx, const struct gatt_date_time *t, uint32_t fraction_us)
{
	struct device_time time = device_time_of(t);

	time.fraction_us = fraction_us;
	return complete(t) ? drv_clock(ctx, &time) : 0;
}

static int read_current_time(struct drv_ctx *ctx, const struct drv_frame *frame)
{
	struct gatt_current_time now;
	int r = gatt_current_time_decode(frame->data, frame->len, &now);

	if (r < 0)
		return r;
	return set_clock(ctx, &now.time, now.fractions256 * UINT32_C(15625) / 4);
}

static int read_date_time(struct drv_ctx *ctx, const struct drv_frame *frame)
{
	struct gatt_date_time now;
	int r = gatt_date_time_decode(frame->data, frame->len, &now);

	return r < 0 ? r : set_clock(ctx, &now, 0);
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
		return read_current_time(ctx, frame);
	case SIG_DATE_TIME:
		return read_date_time(ctx, frame);
	default:
		return -ENOMSG;
	}
}

void sig_set_time(struct measurement *m, const struct gatt_date_time *time)
{
	m->time = device_time_of(time);
	if (!complete(time))
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
	int64_t seconds;

	if (!complete(time))
		return *time;
	seconds = ((day_number(time) * 24 + time->hour) * 60 + time->minute + minutes) * 60;
	return date_of(seconds + time->second);
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
