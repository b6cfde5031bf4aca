/*
 * Colmi rings (R02, R03, R06, R09, R10 and relatives, those of the app QRing).
 *
 * Commands and answers are frames of 16 bytes: command u8, 14 bytes, sum of the 15 modulo 256. An
 * answer has the command of its question; with bit 7 set, the ring does not know it.
 *
 *   01  yy mm dd hh mm ss (BCD), 01              sets the clock; answered by what the ring can do
 *   03                                           03 percent charging
 *   15  midnight u32, seconds of local time      15 00 n minutes       n frames, this one counted;
 *                                                         minutes of one slot
 *                                                15 01 midnight u32, 9 rates
 *                                                15 02 .. n-1, 13 rates each; 0: not measured
 *                                                15 ff                 nothing of that day
 *   43  days ago, 0f 00 5f 01                    43 f0 n kind          n frames follow
 *                                                43 yy mm dd (BCD) quarter i n energy u16
 *                                                         steps u16 metres u16
 *                                                43 ff                 nothing of that day
 *
 * Big data: bc, what u8, length u16, CRC-16/MODBUS u16 of the payload, payload; cut into
 * notifications of any size. Sleep (what = 27): number of days u8, then for each
 *   days ago u8 | bytes that follow u8 | start s16 | end s16 | (stage u8, minutes u8) ...
 *   start and end in minutes of the day; a start after the end is of the evening before.
 *
 * Source: the maker has published nothing. Frames, checksum and fields: two independent open
 * programs and frames in their tests, which are of real rings by their look; the CRC and the
 * meaning of the byte count and of start and end by calculation on one such frame (its stages add
 * up to the time between start and end to the minute). Not known: whether a quarter covers 15
 * minutes or an hour (all indices of one published day are multiples of 4), the unit of energy (it
 * differs by `kind`).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "protocols/bytes/writer.h"
#include "protocols/gatt/time.h"

#define COLMI_FRAME_SIZE  16
#define COLMI_RATES_MAX   13
#define COLMI_QUARTERS    96
#define COLMI_BIG_HEADER  6
#define COLMI_BIG_MAX     2048 /* payload; a week of sleep has less than half of it */
#define COLMI_NIGHTS_MAX  14
#define COLMI_DAY_MINUTES 1440U

enum colmi_command {
	COLMI_SET_TIME = 0x01,
	COLMI_BATTERY = 0x03,
	COLMI_HEART_RATES = 0x15,
	COLMI_STEPS = 0x43,
};

#define COLMI_BIG_SLEEP 0x27

/* Questions; times are local. -ERANGE a date that BCD with two digits of a year cannot hold;
 * -ENOSPC. */
int colmi_set_time_encode(const struct gatt_date_time *t, struct writer *w);
int colmi_battery_encode(struct writer *w);
int colmi_heart_rates_encode(uint32_t midnight, struct writer *w);
int colmi_steps_encode(uint8_t days_ago, struct writer *w);
int colmi_sleep_encode(struct writer *w);

/* what an answer of many frames says of itself */
enum colmi_part {
	COLMI_NOTHING = 1,
	COLMI_HEADER,
	COLMI_DATA,
};

struct colmi_heart_rates {
	enum colmi_part part;
	uint8_t frames;  /* HEADER: with itself */
	uint8_t minutes; /* HEADER: of a slot, 1 to 60 */
	uint8_t index;   /* DATA: 1 to frames - 1 */
	bool has_midnight;
	uint32_t midnight;
	unsigned int n_rates; /* DATA */
	uint8_t rates[COLMI_RATES_MAX];
};

struct colmi_steps {
	enum colmi_part part;
	uint8_t frames;            /* HEADER: that follow; DATA: in all */
	uint8_t index;             /* DATA: 0 to frames - 1 */
	struct gatt_date_time day; /* DATA: 00:00 of it */
	uint8_t quarter;           /* DATA: 0 to 95, of an hour, where the interval begins */
	uint16_t energy;           /* not understood */
	uint16_t steps, metres;
};

/* Answers. All: -EMSGSIZE not 16 bytes; -EBADMSG the sum; -ENOMSG another command, or the ring does
 * not know it; -ERANGE a field that cannot be. */
int colmi_frame_check(const uint8_t *data, size_t len, uint8_t *ret_command);
int colmi_battery_decode(const uint8_t *data, size_t len, uint8_t *ret_percent);
int colmi_heart_rates_decode(const uint8_t *data, size_t len, struct colmi_heart_rates *ret);
int colmi_steps_decode(const uint8_t *data, size_t len, struct colmi_steps *ret);

enum colmi_stage {
	COLMI_STAGE_NONE = 0,
	COLMI_STAGE_ERROR = 1,
	COLMI_STAGE_LIGHT = 2,
	COLMI_STAGE_DEEP = 3,
	COLMI_STAGE_REM = 4,
	COLMI_STAGE_AWAKE = 5,
	COLMI_STAGE_END
};

struct colmi_night {
	uint16_t start, end;               /* minutes of the day */
	uint16_t minutes[COLMI_STAGE_END]; /* in each stage */
	uint8_t days_ago;
	bool evening; /* the start is of the day before */
	bool adds_up; /* the stages fill the time from start to end */
};

/* The whole length of a message by its first notification. -EMSGSIZE too short to say, or longer
 * than COLMI_BIG_MAX; -ENOMSG no big data. */
int colmi_big_length(const uint8_t *data, size_t len, size_t *ret);
uint16_t colmi_crc(const void *data, size_t len); /* check 4b37 */
/* A whole message. -EBADMSG its CRC or its structure. *ret_n up to COLMI_NIGHTS_MAX. */
int colmi_sleep_decode(const uint8_t *data, size_t len, struct colmi_night ret[COLMI_NIGHTS_MAX],
		       size_t *ret_n);
