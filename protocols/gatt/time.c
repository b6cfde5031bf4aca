#include "protocols/gatt/time.h"

#include <errno.h>

#include "protocols/gatt/field.h"

#define YEAR_MIN 1582
#define YEAR_MAX 9999

static bool is_leap(unsigned int year)
{
	return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

/* An unknown year may be a leap year; an unknown month may have 31 days. */
static unsigned int days_in(unsigned int year, unsigned int month)
{
	static const uint8_t days[] = { 31, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };

	if (month == 2 && (year == 0 || is_leap(year)))
		return 29;
	return days[month];
}

bool gatt_date_time_valid(const struct gatt_date_time *x)
{
	if (x->year != 0 && (x->year < YEAR_MIN || x->year > YEAR_MAX))
		return false;
	if (x->month > 12 || x->day > days_in(x->year, x->month))
		return false;
	return x->hour < 24 && x->minute < 60 && x->second < 60;
}

struct gatt_date_time gatt_date_time_read(struct cursor *c)
{
	struct gatt_date_time x = { .year = cursor_le16(c) };

	x.month = cursor_u8(c);
	x.day = cursor_u8(c);
	x.hour = cursor_u8(c);
	x.minute = cursor_u8(c);
	x.second = cursor_u8(c);
	return x;
}

void gatt_date_time_write(const struct gatt_date_time *x, struct writer *w)
{
	writer_le16(w, x->year);
	writer_u8(w, x->month);
	writer_u8(w, x->day);
	writer_u8(w, x->hour);
	writer_u8(w, x->minute);
	writer_u8(w, x->second);
}

int gatt_date_time_decode(const uint8_t *data, size_t len, struct gatt_date_time *ret)
{
	struct cursor c = cursor_of(data, len);
	const struct gatt_date_time x = gatt_date_time_read(&c);

	if (!cursor_at_end(&c))
		return -EMSGSIZE;
	if (!gatt_date_time_valid(&x))
		return -ERANGE;
	*ret = x;
	return 0;
}

int gatt_date_time_encode(const struct gatt_date_time *x, struct writer *w)
{
	const struct writer start = *w;

	if (!gatt_date_time_valid(x))
		return -ERANGE;
	gatt_date_time_write(x, w);
	return field_close(w, &start, 0);
}

static bool current_time_valid(const struct gatt_current_time *x)
{
	return gatt_date_time_valid(&x->time) && x->day_of_week <= 7 &&
	       !(x->adjust & ~GATT_TIME_ADJUST_ALL);
}

int gatt_current_time_decode(const uint8_t *data, size_t len, struct gatt_current_time *ret)
{
	struct cursor c = cursor_of(data, len);
	struct gatt_current_time x = { .time = gatt_date_time_read(&c) };

	x.day_of_week = cursor_u8(&c);
	x.fractions256 = cursor_u8(&c);
	x.adjust = cursor_u8(&c);
	if (!cursor_at_end(&c))
		return -EMSGSIZE;
	if (!current_time_valid(&x))
		return -ERANGE;
	*ret = x;
	return 0;
}

int gatt_current_time_encode(const struct gatt_current_time *x, struct writer *w)
{
	const struct writer start = *w;

	if (!current_time_valid(x))
		return -ERANGE;
	gatt_date_time_write(&x->time, w);
	writer_u8(w, x->day_of_week);
	writer_u8(w, x->fractions256);
	writer_u8(w, x->adjust);
	return field_close(w, &start, 0);
}

static bool local_time_valid(const struct gatt_local_time_information *x)
{
	const bool zone = x->zone_quarters == GATT_ZONE_UNKNOWN ||
			  (x->zone_quarters >= -48 && x->zone_quarters <= 56);

	switch (x->dst_quarters) {
	case 0:
	case 2:
	case 4:
	case 8:
	case GATT_DST_UNKNOWN:
		return zone;
	default:
		return false;
	}
}

int gatt_local_time_information_decode(const uint8_t *data, size_t len,
				       struct gatt_local_time_information *ret)
{
	struct cursor c = cursor_of(data, len);
	struct gatt_local_time_information x = { .zone_quarters = (int8_t)cursor_u8(&c) };

	x.dst_quarters = cursor_u8(&c);
	if (!cursor_at_end(&c))
		return -EMSGSIZE;
	if (!local_time_valid(&x))
		return -ERANGE;
	*ret = x;
	return 0;
}

int gatt_local_time_information_encode(const struct gatt_local_time_information *x,
				       struct writer *w)
{
	const struct writer start = *w;

	if (!local_time_valid(x))
		return -ERANGE;
	writer_u8(w, (uint8_t)x->zone_quarters);
	writer_u8(w, x->dst_quarters);
	return field_close(w, &start, 0);
}
