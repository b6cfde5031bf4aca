#include "protocols/capture/stamp.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>

#define MS_PER_DAY 86400000

/* Days since 1970-01-01. Years are counted from March, so that the leap day is the last one. */
static int64_t days_from_civil(int32_t year, unsigned int month, unsigned int day)
{
	const int64_t y = (int64_t)year - (month <= 2);
	const int64_t era = (y >= 0 ? y : y - 399) / 400;
	const int64_t year_of_era = y - era * 400;
	const int64_t day_of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;

	return era * 146097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 +
	       day_of_year - 719468;
}

int64_t stamp_to_ms(const struct stamp *s)
{
	const int64_t seconds = s->hour * 3600 + s->minute * 60 + s->second;

	return days_from_civil(s->year, s->month, s->day) * MS_PER_DAY + seconds * 1000 + s->ms;
}

static void civil_from_days(int64_t days, struct stamp *s)
{
	const int64_t z = days + 719468;
	const int64_t era = (z >= 0 ? z : z - 146096) / 146097;
	const int64_t doe = z - era * 146097;
	const int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
	const int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
	const int64_t mp = (5 * doy + 2) / 153;

	s->day = (uint8_t)(doy - (153 * mp + 2) / 5 + 1);
	s->month = (uint8_t)(mp < 10 ? mp + 3 : mp - 9);
	s->year = (int32_t)(yoe + era * 400 + (s->month <= 2));
}

struct stamp stamp_of_ms(int64_t ms)
{
	struct stamp s = { 0 };
	int64_t days = ms / MS_PER_DAY, rest = ms % MS_PER_DAY;

	if (rest < 0) {
		rest += MS_PER_DAY;
		days--;
	}
	civil_from_days(days, &s);
	s.hour = (uint8_t)(rest / 3600000);
	s.minute = (uint8_t)(rest / 60000 % 60);
	s.second = (uint8_t)(rest / 1000 % 60);
	s.ms = (uint16_t)(rest % 1000);
	return s;
}

/* n digits at text[*pos]; -1 if they are not all digits */
static int digits(const char *text, size_t len, size_t *pos, size_t n)
{
	int value = 0;

	if (len - *pos < n)
		return -1;
	for (size_t i = 0; i < n; i++) {
		const char c = text[*pos + i];

		if (c < '0' || c > '9')
			return -1;
		value = value * 10 + (c - '0');
	}
	*pos += n;
	return value;
}

/* the layout up to the seconds; 'd' stands for a digit */
static bool has_layout(const char *text, size_t len)
{
	static const char layout[] = "dddd-dd-ddTdd:dd:dd";

	if (len < sizeof(layout))
		return false;
	for (size_t i = 0; i < sizeof(layout) - 1; i++) {
		const bool digit = text[i] >= '0' && text[i] <= '9';

		if (layout[i] == 'd' ? !digit : text[i] != layout[i])
			return false;
	}
	return true;
}

static int days_in_month(int year, int month)
{
	static const uint8_t days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	const bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

	return days[month - 1] + (month == 2 && leap);
}

/* ".d" to ".ddd" as milliseconds; 0 if there is none, -1 if malformed */
static int fraction(const char *text, size_t len, size_t *pos)
{
	int value = 0, scale = 1000;

	if (*pos >= len || text[*pos] != '.')
		return 0;
	for (++*pos; *pos < len && scale > 1; ++*pos) {
		if (text[*pos] < '0' || text[*pos] > '9')
			break;
		scale /= 10;
		value += (text[*pos] - '0') * scale;
	}
	return scale == 1000 ? -1 : value;
}

int stamp_parse(const char *text, size_t len, int64_t *ret_ms)
{
	int field[6], ms;
	size_t pos = 0;

	if (!has_layout(text, len))
		return -EINVAL;
	for (size_t i = 0; i < 6; i++) {
		field[i] = digits(text, len, &pos, i == 0 ? 4 : 2);
		pos += i < 5;
	}
	ms = fraction(text, len, &pos);
	if (ms < 0 || len - pos != 1 || text[pos] != 'Z')
		return -EINVAL;
	if (field[0] < 1 || field[1] < 1 || field[1] > 12 || field[2] < 1 ||
	    field[2] > days_in_month(field[0], field[1]))
		return -ERANGE;
	if (field[3] > 23 || field[4] > 59 || field[5] > 59)
		return -ERANGE;
	*ret_ms = stamp_to_ms(&(struct stamp){
		.year = field[0],
		.month = (uint8_t)field[1],
		.day = (uint8_t)field[2],
		.hour = (uint8_t)field[3],
		.minute = (uint8_t)field[4],
		.second = (uint8_t)field[5],
		.ms = (uint16_t)ms,
	});
	return 0;
}

int stamp_format(int64_t ms, char buf[STAMP_TEXT_MAX])
{
	const struct stamp s = stamp_of_ms(ms);
	int n;

	if (s.year < 1 || s.year > 9999)
		return -ERANGE;
	n = snprintf(buf, STAMP_TEXT_MAX, "%04d-%02u-%02uT%02u:%02u:%02u", s.year, s.month, s.day,
		     s.hour, s.minute, s.second);
	if (s.ms != 0)
		n += snprintf(buf + n, STAMP_TEXT_MAX - (size_t)n, ".%03u", s.ms);
	n += snprintf(buf + n, STAMP_TEXT_MAX - (size_t)n, "Z");
	return n;
}
