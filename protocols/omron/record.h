/*
 * One stored measurement of an Omron cuff, as it lies in the cuff's memory.
 *
 *   OMRON_LE, 14 or 16 bytes
 *     0  systolic - 25 | 1 diastolic | 2 pulse | 3 year - 2000 (b0-5)
 *     4  u16: hour b0-4, day b5-9, month b10-13, irregular b14, movement b15
 *     6  u16: second b0-5, minute b6-11, cuff b12, (b13), position b14-15
 *     10 u16: number of the record, rising
 *     n-2  sum of all bytes before it, modulo 256 | n-1
 *   OMRON_BE, 14 bytes: the same with the two bytes of each 16-bit word changed about, and without
 *     a number; so diastolic comes first and the sum is the last byte
 *   OMRON_BE_6232: as OMRON_BE, of a wrist cuff: without the bit of the arm cuff
 *   OMRON_EITHER: one of the two, of which the sum tells
 *   OMRON_HEARTGUIDE, 24 bytes: as OMRON_EITHER, number at 10, error at 17 (0: none)
 *   OMRON_6401, 16 bytes or more, without a sum that is known
 *     0  year - 2000, month, day, hour, minute, second | 6 systolic - 25 | 7 diastolic | 8 pulse
 *     11 irregular b0-1, movement b2-3
 *   OMRON_GME, 14 bytes, what USB cuffs of the first generation answer to GME and MES
 *     0  year - 2000, month, day, hour, minute, second | 6 unit | 7 systolic u16 BE
 *     9  diastolic | 10 pulse | 11 u16 BE: irregular b0, movement b1, TruRead b4-5 | 13 xor
 *   OMRON_GME_SHORT, 12 bytes: without the u16 at 11
 *
 * Times are the cuff's own, without a zone. Its second may be 60 to 63: read as 59. mmHg.
 *
 * Source: the maker has published nothing. Layouts: several open programs, which agree on the first
 * eight bytes. The sum, and the number at 10, by calculation on records of real cuffs that their
 * owners published (five models little endian, two big endian): all of them add up, and the numbers
 * rise by one from slot to slot. Programs that read the number from the last two bytes read the
 * sum. That b12 is 0 when the cuff was wound badly: one description, and it is 1 in every real
 * record. Not known: b13 (called battery by some, and nothing by others), and what the values of
 * position mean: neither is made a flag.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "protocols/gatt/time.h"

#define OMRON_RECORD_MAX 32 /* bytes of the longest */

enum omron_layout {
	OMRON_LE = 1,
	OMRON_BE,
	OMRON_BE_6232,
	OMRON_EITHER,
	OMRON_HEARTGUIDE,
	OMRON_6401,
	OMRON_GME,
	OMRON_GME_SHORT,
	OMRON_LAYOUT_END
};

struct omron_record {
	uint16_t systolic, diastolic, pulse; /* mmHg, 1/min; 0: the cuff has none */
	struct gatt_date_time time;          /* year, month and day are 0 if they are no date */
	bool irregular, movement;
	bool has_cuff, cuff_good;
	uint8_t position, truread; /* as sent; TruRead: 1 to 3 of a series of three, else 0 */
	uint8_t error;             /* HeartGuide: not 0, it could not measure */
	bool has_number;
	uint16_t number; /* of this user's records */
};

/* Exactly one record. -ENODATA an empty slot; -EMSGSIZE another length; -EBADMSG its sum is wrong:
 * half written, or of another layout. */
int omron_record_decode(enum omron_layout layout, const uint8_t *data, size_t len,
			struct omron_record *ret);

/* 14 for OMRON_LE, too, which may have 16 */
size_t omron_record_size(enum omron_layout layout);

/* The sum as these cuffs make it: of the first n - 2 bytes. */
uint8_t omron_sum(const uint8_t *data, size_t n);
