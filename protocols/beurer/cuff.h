/*
 * Blood pressure cuffs of Beurer and Sanitas that are made by Andon ("KD001" and its relatives) and
 * read over USB: commands, answers, records.
 *
 *   aa          55 (here)
 *   a4          serial: 32 characters, what it is; HID: a4, a5, a6, a7 give 8 of them each
 *   a2          the number of records; BM96: those of user 1, those of user 2
 *   a3 n        serial, HID: the n-th record, from 1, the newest first
 *   a3 user n   BM96: user from 0, record from 0
 *   f7, f6      the end (HID; 40 ms apart)
 *
 *   serial, 9 bytes   ac systolic-25 diastolic-25 pulse month day hour minute year-2000
 *                     or one byte, a9: there is no such record
 *   HID, 8 bytes      systolic-25 diastolic-25 pulse month+M day+U hour minute (year-2000)+A
 *                     M, U, A: bit 7; M the arm moved (BM55), U user 2, A irregular heartbeat;
 *                     or a9 f4 f4 f4 f4 f4 f4 f4: there is no such record. A systolic pressure of
 *                     194 begins with a9 too: only what follows tells them apart.
 *   BM96, 64 bytes    user row ? sensor hour minute day month year-2000 rest ? systolic diastolic
 *                     pulse ...; sensor: 1 blood pressure, 2 electrocardiogram;
 *                     rest: 2 the circulation was at rest, 3 it was not
 *
 * HID answers shorter than their report are padded with f4, and a report that begins with f4 (BM96)
 * or is nothing else (the other) says nothing. Nothing has a checksum. Pressures are in mmHg.
 *
 * Source: the makers have published nothing. Frames and fields: the tools gobm65,
 * BM65DataDownloader, bm58 (babo), beurer_bm58, bpconnect, bmtoolkit, which agree; read as
 * descriptions. Movement, user and heartbeat bits: observed by the authors of bpconnect and of
 * reports on the BM55. Not certain: bits 5 and 6 of the day, 4 to 6 of the month: refused.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BEURER_SERIAL_SIZE   9
#define BEURER_HID_SIZE      8
#define BEURER_CARDIO_SIZE   64
#define BEURER_IDENTITY_SIZE 32
#define BEURER_BODY_SIZE     8 /* of a record: serial without ac, HID as it comes */

enum beurer_byte {
	BEURER_COUNT = 0xa2,
	BEURER_RECORD = 0xa3,
	BEURER_IDENTITY = 0xa4, /* to 0xa7 */
	BEURER_NO_RECORD = 0xa9,
	BEURER_HELLO = 0xaa,
	BEURER_HAS_RECORD = 0xac,
	BEURER_HERE = 0x55,
	BEURER_IDLE = 0xf4,
	BEURER_OVER = 0xf6,
	BEURER_END = 0xf7,
};

enum beurer_sensor {
	BEURER_PRESSURE = 1,
	BEURER_ECG = 2,
};

/* As the cuff says it, on its own clock, which knows no seconds and no zone. */
struct beurer_reading {
	uint16_t year;      /* 2000 to 2255 */
	uint8_t month, day; /* 0: the clock was never set */
	uint8_t hour, minute;
	uint16_t systolic, diastolic; /* mmHg, never 0 */
	uint8_t pulse;                /* per minute; 0: not measured */
	uint8_t user;                 /* from 1; 0: the cuff does not say */
	bool movement, irregular;
	bool restless; /* BM96: not at rest */
};

struct beurer_row {
	uint8_t user, row; /* as asked for, from 0 */
	enum beurer_sensor sensor;
	struct beurer_reading reading; /* BEURER_PRESSURE */
};

/* -EMSGSIZE length; -EBADMSG it does not begin with ac; -ENOENT there is no such record; -ERANGE a
 * field that cannot be, among them a pressure of 0. *ret is untouched on failure. */
int beurer_serial_decode(const uint8_t *data, size_t len, struct beurer_reading *ret);
int beurer_hid_decode(const uint8_t *data, size_t len, struct beurer_reading *ret);
/* An ECG row is not read beyond its sensor. -ENOMSG an idle report. */
int beurer_cardio_decode(const uint8_t *data, size_t len, struct beurer_row *ret);

/* The answer a9 of the HID cuffs, not a systolic pressure of 194. */
bool beurer_hid_is_no_record(const uint8_t data[BEURER_HID_SIZE]);
/* Nothing but f4. */
bool beurer_is_idle(const uint8_t *data, size_t len);
