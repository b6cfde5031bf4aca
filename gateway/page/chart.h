/*
 * A picture of readings over time as SVG: dots, a line through the median of the 7 days up to each
 * dot, the band of a goal, and gaps where nothing came. No colour says whether a value is good.
 * Numbers are drawn from integers; what people read as numbers stands in the table beside it.
 */
#pragma once

#include <stdint.h>

#include "gateway/page/html.h"
#include "protocols/bytes/decimal.h"

#define CHART_POINTS_MAX 512
/* two readings further apart than this are not joined */
#define CHART_GAP_MS (INT64_C(3) * 24 * 3600 * 1000)

struct chart_point {
	int64_t at_ms; /* local time of the person */
	struct decimal value;
};

struct chart_series {
	const struct chart_point *points; /* ascending */
	size_t n;
	const char *mark; /* class of the dots: "dot", "ring" */
};

struct chart {
	int64_t from_day, to_day; /* local days, both drawn */
	struct chart_series series[2];
	size_t n_series;
	bool line;     /* the median line of the first series */
	bool columns;  /* from the bottom, which is 0: what adds up */
	bool has_band; /* of the goal */
	struct decimal low, high;
	enum words_id title;
	const char *summary; /* for who cannot see it: what the picture says */
};

/* median of the values of the 7 days up to points[i], twice itself in 1/1000: a mean of two
 * stays whole */
int64_t chart_median2(const struct chart_point *points, size_t i);
void chart_draw(struct html *h, const struct chart *c);
