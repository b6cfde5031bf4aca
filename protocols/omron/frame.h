/*
 * Frames of the memory protocol of Omron cuffs, over Bluetooth and USB alike:
 *
 *   len u8 | command u16 BE | address u16 BE | size u8 | data | result u8 | xor
 *
 * len counts all of it; the xor of all bytes is 0.
 *
 *   we   08 0000 0000 10 00 18   begin              cuff 8000: 16 bytes about itself
 *   we   08 0100 ADDR nn 00 xx   read nn bytes      cuff 8100 with data; or without, result not 0:
 *                                                   refused (the memory of a user who is none)
 *   we   .. 01c0 ADDR nn DATA 00 xx   write         cuff 81c0, as a rule with the data again
 *   we   08 0f00 0000 00 00 07   end                cuff 8f00; sent also for what it rejects
 *
 * Source: the maker has published nothing. Several open programs, and dialogues of real cuffs
 * published by their owners.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "protocols/bytes/writer.h"

#define OMRON_FRAME_MIN 8
#define OMRON_FRAME_MAX 64
#define OMRON_DATA_MAX  (OMRON_FRAME_MAX - OMRON_FRAME_MIN)

enum omron_command {
	OMRON_BEGIN = 0x0000,
	OMRON_READ = 0x0100,
	OMRON_WRITE = 0x01c0,
	OMRON_END = 0x0f00,
};
#define OMRON_ANSWER 0x8000 /* or-ed to the command it answers */

struct omron_frame {
	uint16_t command;
	uint16_t address;
	uint8_t size;        /* as sent; of a question to read: how many bytes it wants */
	const uint8_t *data; /* borrowed from what was decoded */
	size_t len;          /* of data: size, or 0 */
	uint8_t result;      /* 0: good */
};

/* One whole frame, and nothing behind it. -EMSGSIZE length; -EBADMSG xor. */
int omron_frame_decode(const uint8_t *data, size_t len, struct omron_frame *ret);
/* -ERANGE more data than a frame holds, or a size that is another; -ENOSPC. */
int omron_frame_encode(const struct omron_frame *f, struct writer *w);
