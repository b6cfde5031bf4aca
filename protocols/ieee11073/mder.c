#include "protocols/ieee11073/mder.h"

#include <errno.h>

bool mder_attribute(struct cursor *items, struct mder_attribute *ret)
{
	uint16_t id = cursor_be16(items);
	struct cursor value = mder_any(items);

	if (!cursor_ok(items))
		return false;
	*ret = (struct mder_attribute){ .id = id, .value = value };
	return true;
}

bool mder_attributes_valid(struct cursor items, unsigned int count)
{
	struct mder_attribute a;

	for (unsigned int i = 0; i < count; i++) {
		if (!mder_attribute(&items, &a))
			return false;
	}
	return cursor_at_end(&items);
}

/* ---- time ---- */

/* a digit above 9 has its eight, and its four or its two */
static bool is_bcd(uint64_t digits)
{
	return (digits & (digits << 1 | digits << 2) & UINT64_C(0x8888888888888888)) == 0;
}

/* of each byte its number: ten of its upper digit count for sixteen */
static uint64_t from_bcd(uint64_t digits)
{
	return digits - 6 * (digits >> 4 & UINT64_C(0x0f0f0f0f0f0f0f0f));
}

static uint8_t to_bcd(unsigned int n)
{
	return (uint8_t)((n / 10 % 10) << 4 | n % 10);
}

static unsigned int days_of(unsigned int year, unsigned int month)
{
	static const uint8_t days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };

	if (month != 2)
		return days[month - 1];
	return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0 ? 29 : 28;
}

int mder_read_time(struct cursor *c, struct mder_time *ret)
{
	uint64_t digits = cursor_be64(c), n = from_bcd(digits);
	struct mder_time t = {
		.year = (uint16_t)((n >> 56) * 100 + (n >> 48 & 0xff)),
		.month = (uint8_t)(n >> 40),
		.day = (uint8_t)(n >> 32),
		.hour = (uint8_t)(n >> 24),
		.minute = (uint8_t)(n >> 16),
		.second = (uint8_t)(n >> 8),
		.hundredth = (uint8_t)n,
	};

	if (!cursor_ok(c))
		return -EMSGSIZE;
	if (!is_bcd(digits) || t.month < 1 || t.month > 12 || t.hour > 23 || t.minute > 59 ||
	    t.second > 59)
		return -ERANGE;
	if (t.day < 1 || t.day > days_of(t.year, t.month))
		return -ERANGE;
	*ret = t;
	return 0;
}

void mder_write_time(struct writer *w, const struct mder_time *t)
{
	writer_u8(w, to_bcd(t->year / 100U));
	writer_u8(w, to_bcd(t->year % 100U));
	writer_u8(w, to_bcd(t->month));
	writer_u8(w, to_bcd(t->day));
	writer_u8(w, to_bcd(t->hour));
	writer_u8(w, to_bcd(t->minute));
	writer_u8(w, to_bcd(t->second));
	writer_u8(w, to_bcd(t->hundredth));
}

#define DAY_SECONDS    86400U
#define OFFSET_MAX_MIN 1440
#define BASE_YEAR      1900U

/* the day of the base's calendar, counted from 0 */
static void date_of(uint32_t days, struct mder_time *t)
{
	unsigned int year = BASE_YEAR, month = 1;

	/* at most 136 years and 12 months: the seconds have 32 bits */
	for (uint32_t n; days >= (n = days_of(year, 2) == 29 ? 366 : 365); year++)
		days -= n;
	for (uint32_t n; days >= (n = days_of(year, month)); month++)
		days -= n;
	t->year = (uint16_t)year;
	t->month = (uint8_t)month;
	t->day = (uint8_t)(days + 1);
}

int mder_read_base_offset(struct cursor *c, struct mder_time *ret, int16_t *ret_offset_min)
{
	uint32_t seconds = cursor_be32(c), fraction = cursor_be16(c);
	int16_t offset = (int16_t)cursor_be16(c);
	uint32_t of_day = seconds % DAY_SECONDS;
	struct mder_time t = {
		.hour = (uint8_t)(of_day / 3600),
		.minute = (uint8_t)(of_day / 60 % 60),
		.second = (uint8_t)(of_day % 60),
		.hundredth = (uint8_t)(fraction * 100 >> 16),
	};

	if (!cursor_ok(c))
		return -EMSGSIZE;
	if (seconds == 0 || offset > OFFSET_MAX_MIN || offset < -OFFSET_MAX_MIN)
		return -ERANGE;
	date_of(seconds / DAY_SECONDS, &t);
	*ret = t;
	*ret_offset_min = offset;
	return 0;
}

/* ---- writing ---- */

size_t mder_begin_list(struct writer *w, unsigned int count)
{
	if (count > UINT16_MAX)
		w->failed = true;
	writer_be16(w, (uint16_t)count);
	return mder_begin(w);
}

void mder_write_any(struct writer *w, const void *data, size_t len)
{
	size_t begun = mder_begin(w);

	if (len > 0)
		writer_bytes(w, data, len);
	mder_end(w, begun);
}
