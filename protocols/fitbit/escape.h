/*
 * The escapes of SLIP (RFC 1055), which trackers use twice, one inside the other: on the first byte
 * of each packet (message.h), and inside the sections of a dump (dump.h).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define FITBIT_END            0xc0
#define FITBIT_ESCAPE         0xdb
#define FITBIT_ESCAPED_END    0xdc
#define FITBIT_ESCAPED_ESCAPE 0xdd

/* The byte that stands after FITBIT_ESCAPE; false if it may not stand there. */
static inline bool fitbit_unescape(uint8_t byte, uint8_t *ret)
{
	if (byte != FITBIT_ESCAPED_END && byte != FITBIT_ESCAPED_ESCAPE)
		return false;
	*ret = byte == FITBIT_ESCAPED_END ? FITBIT_END : FITBIT_ESCAPE;
	return true;
}
