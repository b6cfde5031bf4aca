/*
 * One shape of row for everything that must survive a damaged file: the row carries its own
 * checksum over number, kind, time and payload, so that it can be told from rubbish without
 * trusting the tree it hung in. Tables of this shape:
 *
 *   id INTEGER PRIMARY KEY | kind | at (seconds) | sum (CRC-32 as signed int32) | payload BLOB
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* stored in the low three bits of `kind`: never renumbered */
enum row_table {
	ROW_CORRECTION = 0,
	ROW_IDENTITY = 1,
	ROW_MARK = 2,
	ROW_PARKED = 3,
	ROW_READING = 4,
	ROW_RESULT = 5,
	ROW_HELD = 6,
	ROW_JOURNAL = 7,
};

#define ROW_TABLES      8
#define ROW_PAYLOAD_MAX 65536

struct row {
	int64_t id;
	int64_t at_s; /* seconds since 1970 */
	uint32_t kind;
	uint32_t sum;
	const uint8_t *payload; /* borrowed */
	size_t len;
};

/* group 0..7: with test and table it fits the one byte that SQLite stores for it */
uint32_t row_kind(enum row_table table, unsigned int group, bool test);
unsigned int row_table(const struct row *r); /* an unknown number is possible */
unsigned int row_group(const struct row *r);
bool row_test(const struct row *r);

uint32_t row_sum(const struct row *r);
bool row_is_sound(const struct row *r);
