/*
 * Times as captures write them: RFC 3339 in UTC, "2026-11-16T07:58:00Z" or with up to three
 * decimals. Proleptic Gregorian calendar, no leap seconds. Pure: no clock, no time zone data.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define STAMP_TEXT_MAX 32

struct stamp {
	int32_t year; /* 1..9999 */
	uint8_t month, day, hour, minute, second;
	uint16_t ms;
};

/* Milliseconds since 1970-01-01T00:00Z, and back. */
int64_t stamp_to_ms(const struct stamp *s);
struct stamp stamp_of_ms(int64_t ms);
/* -EINVAL form, -ERANGE a field that no calendar has; *ret_ms untouched then. */
int stamp_parse(const char *text, size_t len, int64_t *ret_ms);
/* Its length; milliseconds only when they are not zero. -ERANGE: before year 1 or after 9999. */
int stamp_format(int64_t ms, char buf[STAMP_TEXT_MAX]);
