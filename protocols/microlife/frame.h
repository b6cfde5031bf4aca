/*
 * Microlife cuffs with Bluetooth Low Energy (BP3GY1-2N): the frames of their service FFF0.
 *
 *   we --FFF2-->     4d ff length u16 BE | command | arguments | sum
 *   cuff --FFF1-->   4d 3a length u16 BE | payload | sum             in pieces
 *
 * length counts what follows it; sum is of all bytes before it, modulo 256.
 *
 *   05                        who is it: payload ? user (1, 2) name...; the name is not read
 *   00 00 00 00 00 00 00 fd   the memory of that user: payload ? ? ? count ..., 38 bytes, then
 *                             records of 10: systolic diastolic pulse year-2000 month day hour
 *                             minute flags ?
 *                             flags: bit 7 the cuff fitted, bit 6 irregular heartbeat
 *
 * 06 (sets the name), 0d (sets the clock) and 04 exist and are not sent; the clock cannot be read.
 *
 * Source: the maker has published nothing. Frames and fields: the tools blood-pressure-monitor
 * (joergmlpts), for a BP3GY1-2N, and microlife_bp (vytautas-valaitis), for a relative over USB,
 * read as descriptions. The flags: observed by the author of the latter. Not known: the first 3 and
 * 34 more bytes of a memory, the last of a record.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "protocols/bytes/writer.h"
#include "protocols/microlife/cuff.h"

#define MICROLIFE_FRAME_HEADER    4
#define MICROLIFE_FRAME_MAX       4096
#define MICROLIFE_USERS           2
#define MICROLIFE_FRAME_RECORD    10
#define MICROLIFE_FRAME_HEAD      38
#define MICROLIFE_QUESTION_MAX    16
#define MICROLIFE_FRAME_LOOSE     0x01 /* of ret_flags: the cuff did not fit */
#define MICROLIFE_FRAME_IRREGULAR 0x02

enum microlife_question {
	MICROLIFE_ASK_MEMORY = 0x00,
	MICROLIFE_ASK_USER = 0x05,
};

/* -ENOSPC */
int microlife_question_encode(enum microlife_question question, struct writer *w);
/* The length of a whole frame by its beginning. -EAGAIN fewer than 4 bytes; -EBADMSG it does not
 * begin as one; -EMSGSIZE longer than MICROLIFE_FRAME_MAX, or without a payload. */
int microlife_frame_length(const uint8_t *data, size_t len, size_t *ret);
/* A whole frame. -EMSGSIZE, -EBADMSG as above and: it is not as long as it says, the sum. */
int microlife_frame_decode(const uint8_t *data, size_t len, const uint8_t **ret_payload,
			   size_t *ret_len);
/* Of payloads. -EMSGSIZE too short; -ERANGE neither user. */
int microlife_frame_user(const uint8_t *payload, size_t len, uint8_t *ret);
/* -EMSGSIZE too short; -EBADMSG the count is not that of the records that are there. */
int microlife_frame_memory(const uint8_t *payload, size_t len, size_t *ret_count);
/* The i-th record of a memory that is whole. -ERANGE a field that cannot be. */
int microlife_frame_record(const uint8_t *payload, size_t i, struct microlife_reading *ret,
			   unsigned int *ret_flags);
