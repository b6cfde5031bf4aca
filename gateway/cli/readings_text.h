/*
 * What `wellgate readings` says in a terminal: a heading per local date, a line per reading, and at
 * the end how pressures, pulse and the like went, if all readings are one person's.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "gateway/cli/bars.h"
#include "wellgate.pb-c.h"

#define READINGS_SERIES_MAX 8

struct readings_point {
	int64_t at_ms;
	struct decimal value;
};

struct readings_series {
	unsigned int metric;
	size_t n; /* the last BARS_CELLS_MAX that were listed */
	struct readings_point points[BARS_CELLS_MAX];
};

struct readings_text {
	FILE *out;
	struct bars style;
	char heading[48];
	char subject[65]; /* of those in the series; "" none yet */
	bool several;     /* people: nothing is drawn then */
	size_t n_series;
	struct readings_series series[READINGS_SERIES_MAX];
};

void readings_text_begin(struct readings_text *t, FILE *out, struct bars style);
void readings_text_add(struct readings_text *t, const Wellgate__V1__Reading *r);
/* The same for one that was replaced or retracted since. */
void readings_text_add_hidden(struct readings_text *t, const Wellgate__V1__Reading *r);
/* The same for one that is held: `id` instead of its number, what is known of it (may be NULL) on a
 * line of its own. */
void readings_text_add_as(struct readings_text *t, const Wellgate__V1__Reading *r, const char *id,
			  const char *known);
void readings_text_end(const struct readings_text *t);
