/*
 * Times as GATT carries them: Date Time 0x2A08 (also inside other characteristics), Current Time
 * 0x2A2B, Local Time Information 0x2A0F.
 * Source: GATT Specification Supplement; Current Time Service 1.1.
 *
 * Common to every codec in this folder:
 *   decode  the whole value, no byte more or less: -EMSGSIZE. A field outside its definition, or a
 *           flag that would change the layout in a way we do not know: -ERANGE. *ret is untouched
 *           on failure.
 *   encode  appends to the writer; -ERANGE if a field cannot be said in this format, exactly;
 *           -ENOSPC if the writer is full. Nothing is appended on failure.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "protocols/bytes/cursor.h"
#include "protocols/bytes/writer.h"

#define GATT_DATE_TIME_SIZE 7

/* Local time of the device without a zone. Year, month and day are 0 where the device does not
 * know them. */
struct gatt_date_time {
	uint16_t year; /* 1582..9999, 0 */
	uint8_t month; /* 1..12, 0 */
	uint8_t day;   /* 1..31 and in the calendar, 0 */
	uint8_t hour, minute, second;
};

int gatt_date_time_decode(const uint8_t *data, size_t len, struct gatt_date_time *ret);
int gatt_date_time_encode(const struct gatt_date_time *x, struct writer *w);
/* For codecs with a Date Time inside: seven bytes, unchecked; then ask _valid. */
struct gatt_date_time gatt_date_time_read(struct cursor *c);
bool gatt_date_time_valid(const struct gatt_date_time *x);
void gatt_date_time_write(const struct gatt_date_time *x, struct writer *w);

/* why the clock was changed last, a set of bits */
#define GATT_TIME_ADJUST_MANUAL    0x01
#define GATT_TIME_ADJUST_REFERENCE 0x02 /* by an external reference: the clock is synchronised */
#define GATT_TIME_ADJUST_ZONE      0x04
#define GATT_TIME_ADJUST_DST       0x08
#define GATT_TIME_ADJUST_ALL       0x0f

struct gatt_current_time {
	struct gatt_date_time time;
	uint8_t day_of_week;  /* 1 Monday .. 7 Sunday, 0 unknown; not compared with the date */
	uint8_t fractions256; /* 1/256 s */
	uint8_t adjust;       /* GATT_TIME_ADJUST_*; other bits are reserved: -ERANGE */
};

int gatt_current_time_decode(const uint8_t *data, size_t len, struct gatt_current_time *ret);
int gatt_current_time_encode(const struct gatt_current_time *x, struct writer *w);

#define GATT_ZONE_UNKNOWN (-128)
#define GATT_DST_UNKNOWN  255

struct gatt_local_time_information {
	int8_t zone_quarters; /* from UTC, in 15 minutes, without daylight saving: -48..56; -128 */
	uint8_t dst_quarters; /* 0, 2, 4, 8 quarters of an hour more; 255 unknown */
};

int gatt_local_time_information_decode(const uint8_t *data, size_t len,
				       struct gatt_local_time_information *ret);
int gatt_local_time_information_encode(const struct gatt_local_time_information *x,
				       struct writer *w);
