/* The records inside the sections of a dump, byte by byte; for dump.c alone. */
#pragma once

#include "protocols/fitbit/dump.h"

struct record_layout {
	uint8_t product;
	uint8_t event, minute, day; /* bytes of a record */
};

/* NULL for a product whose sections are not known */
const struct record_layout *record_layout_of(uint8_t product);

struct record_reader {
	const struct record_layout *layout; /* borrowed */
	fitbit_sink *sink;                  /* or NULL */
	void *user;
	bool header_signed;
	enum fitbit_part part;
	uint8_t bytes[FITBIT_RECORD_MAX];
	size_t len, size; /* of the record at hand; size is known from its first byte on */
	bool has_time;
	uint32_t time;
	uint32_t index; /* of a climb in its series */
};

/* known: the first bytes of the static block. All: 0, -EBADMSG, or what the sink returned. */
int record_device(struct record_reader *r, const uint8_t *known, size_t len);
void record_begin(struct record_reader *r, enum fitbit_part part);
int record_byte(struct record_reader *r, uint8_t byte);
int record_end(struct record_reader *r);
