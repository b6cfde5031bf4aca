#include "protocols/microlife/cuff.h"

#include <assert.h>
#include <errno.h>

#define YEAR_BASE      2000
#define RECORD_WORD_AT 16 /* digits into a record */
#define VALUE_BITS     10
#define VALUE_MASK     0x3ffU
#define SUM_SIZE       2
#define COUNT_DIGITS   4

/* -1: no digit */
static int digit(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* n digits, at most 8, all of which are hexadecimal */
static uint32_t number(const uint8_t *text, size_t n)
{
	uint32_t x = 0;

	for (size_t i = 0; i < n; i++)
		x = x << 4 | (uint32_t)digit(text[i]);
	return x;
}

/* Two decimal digits; 255: they are not. */
static uint8_t two(const uint8_t *text)
{
	const int high = digit(text[0]), low = digit(text[1]);

	return high < 0 || high > 9 || low < 0 || low > 9 ? 255 : (uint8_t)(high * 10 + low);
}

static uint8_t sum(const uint8_t *text, size_t len)
{
	unsigned int s = 0;

	for (size_t i = 0; i < len; i++)
		s += text[i];
	return (uint8_t)s;
}

void microlife_command(enum microlife_command command, uint8_t ret[MICROLIFE_COMMAND_SIZE])
{
	ret[0] = 0x12;
	ret[1] = 0x16;
	ret[2] = 0x18;
	ret[3] = (uint8_t)command;
}

int microlife_answer(const uint8_t *data, size_t len, const uint8_t **ret_text, size_t *ret_len)
{
	const uint8_t *text = data + 1;
	size_t n;

	if (len < 1 + SUM_SIZE + 1)
		return -EMSGSIZE;
	if (data[0] != MICROLIFE_ACK)
		return -EBADMSG;
	n = len - 1 - SUM_SIZE;
	for (size_t i = 0; i < n + SUM_SIZE; i++) {
		if (digit(text[i]) < 0)
			return -EBADMSG;
	}
	if (number(text + n, SUM_SIZE) != sum(text, n))
		return -EBADMSG;
	*ret_text = text;
	*ret_len = n;
	return 0;
}

int microlife_memory(const uint8_t *text, size_t len, size_t *ret_count)
{
	size_t count;

	if (len < MICROLIFE_HEAD_SIZE)
		return -EMSGSIZE;
	count = number(text, COUNT_DIGITS);
	if (count > MICROLIFE_RECORDS_MAX)
		return -ERANGE;
	if ((len - MICROLIFE_HEAD_SIZE) / MICROLIFE_RECORD_SIZE < count)
		return -EMSGSIZE;
	*ret_count = count;
	return 0;
}

static bool is_value(uint16_t x)
{
	return x != 0 && x != VALUE_MASK;
}

static bool time_is_possible(uint8_t month, uint8_t day, uint8_t hour, uint8_t minute)
{
	return month <= 12 && day <= 31 && hour < 24 && minute < 60;
}

int microlife_record(const uint8_t *text, size_t i, struct microlife_reading *ret)
{
	const uint8_t *record = text + MICROLIFE_HEAD_SIZE + i * MICROLIFE_RECORD_SIZE;
	const uint32_t word = number(record + RECORD_WORD_AT, 8);
	const uint8_t year = two(record);
	const struct microlife_reading x = {
		.year = (uint16_t)(YEAR_BASE + year),
		.month = two(record + 2),
		.day = two(record + 4),
		.hour = two(record + 6),
		.minute = two(record + 8),
		.systolic = word & VALUE_MASK,
		.diastolic = word >> VALUE_BITS & VALUE_MASK,
		.pulse = word >> (2 * VALUE_BITS) & VALUE_MASK,
	};

	if (year > 99 || !time_is_possible(x.month, x.day, x.hour, x.minute))
		return -ERANGE;
	if (!is_value(x.systolic) || !is_value(x.diastolic) || x.pulse == VALUE_MASK)
		return -ERANGE;
	*ret = x;
	return 0;
}

int microlife_clock(const uint8_t *text, size_t len, struct microlife_time *ret)
{
	struct microlife_time x;
	uint8_t century, year;

	if (len < MICROLIFE_CLOCK_DIGITS)
		return -EMSGSIZE;
	x.month = two(text);
	x.day = two(text + 2);
	century = two(text + 4);
	year = two(text + 6);
	x.hour = two(text + 8);
	x.minute = two(text + 10);
	x.second = two(text + 12);
	if (century > 99 || year > 99 || x.second >= 60 ||
	    !time_is_possible(x.month, x.day, x.hour, x.minute))
		return -ERANGE;
	x.year = (uint16_t)(century * 100 + year);
	*ret = x;
	return 0;
}

static void put_digits(struct writer *w, uint8_t byte)
{
	static const char digits[] = "0123456789abcdef";

	writer_u8(w, (uint8_t)digits[byte >> 4]);
	writer_u8(w, (uint8_t)digits[byte & 15]);
}

static uint8_t bcd(unsigned int x)
{
	return (uint8_t)(x / 10 << 4 | x % 10);
}

int microlife_setting(const struct microlife_time *t, const uint8_t *text, size_t len,
		      struct writer *w)
{
	const size_t start = w->len;

	assert(t->year <= 9999 && t->month <= 12 && t->day <= 31 && t->hour < 24);
	assert(t->minute < 60 && t->second < 60);
	if (len != MICROLIFE_SETTING_SIZE - SUM_SIZE)
		return -ENOTSUP;
	if (w->failed || w->size - w->len < MICROLIFE_SETTING_SIZE)
		return -ENOSPC;
	put_digits(w, bcd(t->month));
	put_digits(w, bcd(t->day));
	put_digits(w, bcd(t->year / 100));
	put_digits(w, bcd(t->year % 100));
	put_digits(w, bcd(t->hour));
	put_digits(w, bcd(t->minute));
	put_digits(w, bcd(t->second));
	for (size_t i = MICROLIFE_CLOCK_DIGITS; i < len; i += 2)
		put_digits(w, (uint8_t)number(text + i, 2));
	put_digits(w, sum(w->data + start, w->len - start));
	return 0;
}
