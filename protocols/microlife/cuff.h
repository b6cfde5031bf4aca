/*
 * Microlife cuffs with USB of the older kind (BP3GX1-5X, BP A200 PC and relatives): commands, the
 * answer to them, the memory inside it.
 *
 *   12 16 18 22     06, the memory, 2 digits       12 16 18 26     06, the clock, 2 digits
 *   12 16 18 27     06; then we send the clock and 2 digits
 *
 * Everything behind the 06 is hexadecimal text, and the last two digits are the sum of the
 * characters before them (without the 06), modulo 256: the cuff's in upper case, ours in lower, as
 * the tool below has them. The answer does not say how long it is: it ends with silence.
 *
 *   memory   count (4 digits), 4 digits, who it is (24 digits), then for each record 32 digits:
 *            yymmddHHMM, 6 digits, a word of 8 digits, 8 digits;
 *            word, from its low end: systolic 10 bits, diastolic 10, pulse 10
 *   clock    mmddyyyyHHMMSS, and more
 *
 * Who it is is a name that people enter: it is checked and never handed on. 12 16 18 23, which sets
 * it, is never sent.
 *
 * On its USB these are reports of 8 bytes, of which the low half of the first counts the bytes that
 * follow; the kernel's cypress_m8 unpacks and packs them, so that they are not seen here.
 *
 * Source: the maker has published nothing. All of it: the tool blood-pressure-monitor
 * (joergmlpts), read as a description, for a BP3GX1-5X. Not known: the digits between; in what
 * unit a cuff counts that is set to kPa (a word of 30 bits has no room to say); what else the
 * answer about the clock holds.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "protocols/bytes/writer.h"

#define MICROLIFE_ACK          0x06
#define MICROLIFE_COMMAND_SIZE 4
#define MICROLIFE_HEAD_SIZE    32 /* digits of a memory before its records */
#define MICROLIFE_RECORD_SIZE  32 /* digits */
#define MICROLIFE_RECORDS_MAX  512
#define MICROLIFE_ANSWER_MAX \
	(1 + MICROLIFE_HEAD_SIZE + MICROLIFE_RECORDS_MAX * MICROLIFE_RECORD_SIZE + 64 + 2)
#define MICROLIFE_CLOCK_DIGITS  14
#define MICROLIFE_SETTING_BYTES 40 /* of what sets the clock */
#define MICROLIFE_SETTING_SIZE  (2 * MICROLIFE_SETTING_BYTES + 2)

enum microlife_command {
	MICROLIFE_READ_MEMORY = 0x22,
	MICROLIFE_READ_CLOCK = 0x26,
	MICROLIFE_SET_CLOCK = 0x27,
};

/* On the cuff's own clock. */
struct microlife_time {
	uint16_t year;
	uint8_t month, day, hour, minute, second;
};

struct microlife_reading {
	uint16_t year; /* 2000 to 2099 */
	uint8_t month, day, hour, minute;
	uint16_t systolic, diastolic; /* never 0 */
	uint16_t pulse;               /* 0: not measured */
};

void microlife_command(enum microlife_command command, uint8_t ret[MICROLIFE_COMMAND_SIZE]);

/* What an answer holds, without 06 and the digits of the sum. -EMSGSIZE too short to be one;
 * -EBADMSG it does not begin with 06, has other characters than digits, or the sum is another. */
int microlife_answer(const uint8_t *data, size_t len, const uint8_t **ret_text, size_t *ret_len);

/* Of the text of an answer. -EMSGSIZE fewer digits than the count asks for; -ERANGE more records
 * than MICROLIFE_RECORDS_MAX. */
int microlife_memory(const uint8_t *text, size_t len, size_t *ret_count);
/* The i-th record of a memory that microlife_memory() has found whole. -ERANGE: a date or a time
 * that cannot be, or a pressure that is none. */
int microlife_record(const uint8_t *text, size_t i, struct microlife_reading *ret);
/* -EMSGSIZE, -ERANGE as above. */
int microlife_clock(const uint8_t *text, size_t len, struct microlife_time *ret);
/* What sets the clock, behind 12 16 18 27: the time as it is, then what the answer about the clock
 * held behind its own time, unchanged; text is that answer's. -ENOTSUP it has another length
 * than the setting, so that nobody knows what belongs there. */
int microlife_setting(const struct microlife_time *t, const uint8_t *text, size_t len,
		      struct writer *w);
