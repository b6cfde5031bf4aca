/*
 * The first generation of Omron's USB devices, 0590:0028: commands in ASCII over HID reports of
 * eight bytes, whatever the device is; so it is asked what it is first.
 *
 *   report     n u8 (1 to 7) | 7 bytes, of which n count; in: n = 8 is "not ready yet"
 *   command    three letters | arguments | xor of the arguments
 *   answer     "OK" | 00 | data | xor of all after "OK"; or "NO": ask again; to zeros "OK" alone
 *
 *   VER00   12: eleven characters, the first ones the model ("M7080IT 207"), their xor
 *   SRL00   8: seven bytes, perhaps a serial number
 *   GDC 00 bank 00 00 x   5: u16 ?, u16 BE number of readings of the bank (user A: 0, user B: 1)
 *   GME 00 bank 00 i  x   14: reading i, 0 the newest (record.h: OMRON_GME)
 *   CNT00   5: u16 BE number of readings ..        only HEM-7301-ITKE7, without banks
 *   MES 00 00 i i   14: reading i, the same layout
 *   GCL00   7: its clock: year - 2000, month, day, hour, minute, second
 *   END ff ff   "OFF\r\n", and it switches off
 * Another command erases the memory; it is not here.
 *
 * Source: the maker has published nothing. Notes of an open program (BSD) on HEM-790IT, a
 * correction of them by somebody who read the maker's software, a program for HEM-7301-ITKE7.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "protocols/bytes/writer.h"
#include "protocols/gatt/time.h"
#include "protocols/omron/record.h"

#define OMRON_REPORT_SIZE    8
#define OMRON_REPORT_DATA    7
#define OMRON_COMMAND_MAX    8
#define OMRON_ANSWER_MAX     17
#define OMRON_READINGS_MAX   200 /* of a bank: more than any of them keeps */
#define OMRON_VERSION_LENGTH 11
#define OMRON_SERIAL_LENGTH  7

enum omron_classic_command {
	OMRON_ASK_CLEAR = 0, /* zeros, until it says OK */
	OMRON_ASK_VER,
	OMRON_ASK_SRL,
	OMRON_ASK_GCL,
	OMRON_ASK_GDC,
	OMRON_ASK_GME,
	OMRON_ASK_CNT,
	OMRON_ASK_MES,
	OMRON_ASK_OFF,
	OMRON_CLASSIC_LAST
};

/* How a model of this generation gives its readings. */
struct omron_classic_model {
	const char *version; /* what its version begins with */
	const char *name;    /* for people */
	enum omron_layout layout;
	unsigned int banks; /* 1: GDC and GME of bank 0, 2: of both; 0: CNT and MES */
};

/* text: the eleven characters. NULL: not a model whose readings are known. */
const struct omron_classic_model *omron_classic_model(const void *text, size_t len);

/* The bytes of a command. -ERANGE, -ENOSPC. */
int omron_classic_encode(enum omron_classic_command command, uint8_t bank, uint8_t index,
			 struct writer *w);

enum omron_classic_status {
	OMRON_ANSWER_OK = 1,
	OMRON_ANSWER_NO,
};

/* An answer as its reports come. */
struct omron_classic_answer {
	size_t want; /* bytes */
	size_t len;
	uint8_t data[OMRON_ANSWER_MAX];
};

/* short_record: its readings have two bytes less (OMRON_GME_SHORT) */
void omron_classic_expect(struct omron_classic_answer *a, enum omron_classic_command command,
			  bool short_record);
/* One report. 1: the answer is whole, *ret_status is set (OK: checked, its data from byte 3 to the
 * one before the last); 0: more is to come. -EMSGSIZE, -EBADMSG: the answer is spoiled, and what
 * came of it dropped. */
int omron_classic_report(struct omron_classic_answer *a, const uint8_t *data, size_t len,
			 enum omron_classic_status *ret_status);

/* Of a whole answer: the number of readings. -ERANGE more than OMRON_READINGS_MAX. */
int omron_classic_count(const struct omron_classic_answer *a, enum omron_classic_command command,
			unsigned int *ret);
/* -ERANGE no date */
int omron_classic_clock(const struct omron_classic_answer *a, struct gatt_date_time *ret);
