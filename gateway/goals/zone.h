/*
 * Time zones: TZif files (RFC 9636, version 2 and later) with their POSIX TZ footer, and the local
 * calendar on top. Own code, because libc keeps one zone per process and a result must be the same
 * whatever TZ is set to.
 *
 * The file is treated as hostile: every count and index is checked, sizes are bounded. Seconds are
 * since 1970-01-01T00:00Z without leap seconds; local seconds and day numbers count from
 * 1970-01-01 local time in the same way. Instants outside the years 1 to 9999 are clamped.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define ZONE_NAME_MAX 64 /* with NUL */

struct zone;

/* name: IANA, "Europe/London"; NULL: /etc/localtime. -EINVAL not a zone name, -ENOENT, -EBADMSG not
 * a TZif file we can read, -ENOMEM or the errno of reading. */
int zone_load(const char *name, struct zone **ret);
int zone_parse(const uint8_t *data, size_t len, struct zone **ret); /* -EBADMSG, -ENOMEM */
void zone_free(struct zone *z);                                     /* NULL is fine */
/* version of the installed data, "2025b"; "" if the system does not say */
void zone_data_version(char ret[16]);

int32_t zone_offset(const struct zone *z, int64_t utc_s); /* seconds east of UTC */

/* How often a local time comes by. */
enum zone_fold {
	ZONE_ONCE,
	ZONE_TWICE, /* the clock was put back: the earlier instant is given */
	ZONE_NEVER, /* the clock was put forward: read with the offset before the change */
};
enum zone_fold zone_to_utc(const struct zone *z, int64_t local_s, int64_t *ret_utc_s);

/* Proleptic Gregorian calendar. month 1..12 and day 1..31 are the caller's promise. */
int64_t zone_day_number(int64_t year, unsigned int month, unsigned int day);
unsigned int zone_days_in_month(int64_t year, unsigned int month);
/* First instant of a local day: midnight, or the first that exists (a day may lose its midnight,
 * and a day that never was is empty). */
int64_t zone_day_start(const struct zone *z, int64_t day);
/* the local day that an instant lies in: day_start(day) <= utc_s < day_start(day + 1) */
int64_t zone_day_of(const struct zone *z, int64_t utc_s);
/* A night goes from noon to noon and has the date of its end. It starts at the first instant of
 * noon on the day before, or on the last day that was: that of a day that never was is empty. */
int64_t zone_night_start(const struct zone *z, int64_t day);
/* the night that an instant lies in: night_start(day) <= utc_s < night_start(day + 1) */
int64_t zone_night_of(const struct zone *z, int64_t utc_s);
