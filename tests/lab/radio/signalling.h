/*
 * The L2CAP signalling channel of LE as a peripheral sees it: it may ask for other connection
 * parameters, and knows nothing else.
 * Source: Bluetooth Core 5.4, vol 3 part A 4.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define SIGNAL_REPLY_MAX 12

/* What to answer to an SDU of the host: its length, 0 for nothing. *ret_word is a constant string
 * for the log where there is something to say, else untouched. */
size_t signal_answer(const uint8_t *data, size_t len, uint8_t ret[SIGNAL_REPLY_MAX],
		     const char **ret_word);
/* Connection Parameter Update Request: interval least and most (1.25 ms), latency, time-out
 * (10 ms). Returns the length. */
size_t signal_ask(uint8_t id, const uint16_t parameters[4], uint8_t ret[SIGNAL_REPLY_MAX]);
