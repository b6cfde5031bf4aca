#include "gateway/page/chart.h"

#include <inttypes.h>
#include <stdlib.h>
#include <time.h>

#define DAY_MS  (INT64_C(24) * 3600 * 1000)
#define WEEK_MS (7 * DAY_MS)

/* the picture, in its own units; the style lets it fill the width */
enum {
	WIDTH = 640,
	HEIGHT = 300,
	LEFT = 96,
	RIGHT = 16,
	TOP = 16,
	BOTTOM = 48,
	TICKS = 4,
	SCALE = -3, /* values are drawn in 1/1000 */
	LABELS_MAX = 4,
};

struct frame {
	int64_t from_ms, to_ms, low, high; /* low < high, 1/1000 */
	int32_t decimals;
};

static int64_t milli(struct decimal d)
{
	struct decimal scaled;

	return decimal_rescale(d, SCALE, &scaled) == 0 ? scaled.mantissa : 0;
}

static int by_value(const void *a, const void *b)
{
	const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

int64_t chart_median2(const struct chart_point *points, size_t i)
{
	int64_t values[CHART_POINTS_MAX];
	size_t n = 0;

	for (size_t k = i + 1; k > 0 && n < CHART_POINTS_MAX; k--) {
		if (points[i].at_ms - points[k - 1].at_ms >= WEEK_MS)
			break;
		values[n++] = milli(points[k - 1].value);
	}
	if (n == 0)
		return 0;
	qsort(values, n, sizeof(values[0]), by_value);
	return values[n / 2] + values[(n - 1) / 2];
}

/* ---- what the axis goes from and to: steps of 1, 2 or 5 times a power of ten */

static int64_t step_of(int64_t range)
{
	static const int64_t tens[] = { 1, 2, 5 };
	int64_t power = 100;

	for (unsigned int i = 0; i < 36; i++) {
		const int64_t step = tens[i % 3] * power;

		if (step * TICKS >= range)
			return step;
		if (i % 3 == 2)
			power *= 10;
	}
	return power;
}

static void widen(struct frame *f, int64_t value)
{
	f->low = value < f->low ? value : f->low;
	f->high = value > f->high ? value : f->high;
}

static int64_t fit(struct frame *f, const struct chart *c)
{
	int64_t step;

	f->low = INT64_MAX;
	f->high = INT64_MIN;
	for (size_t s = 0; s < c->n_series; s++) {
		for (size_t i = 0; i < c->series[s].n; i++)
			widen(f, milli(c->series[s].points[i].value));
	}
	if (c->has_band) {
		widen(f, milli(c->low));
		widen(f, milli(c->high));
	}
	if (c->columns)
		f->low = 0;
	step = step_of(f->high - f->low);
	f->low -= ((f->low % step) + step) % step;
	f->high += (step - f->high % step) % step;
	if (f->high == f->low)
		f->high += step;
	f->decimals = step % 1000 ? 1 : 0;
	return step;
}

static int64_t at_x(const struct frame *f, int64_t ms)
{
	return LEFT + (ms - f->from_ms) * (WIDTH - LEFT - RIGHT) / (f->to_ms - f->from_ms);
}

static int64_t at_y(const struct frame *f, int64_t value)
{
	return HEIGHT - BOTTOM - (value - f->low) * (HEIGHT - TOP - BOTTOM) / (f->high - f->low);
}

/* ---- the parts */

/* last: its text ends with the picture, however large it is */
static void draw_day(struct html *h, const struct frame *f, int64_t day, bool last)
{
	const time_t seconds = (time_t)(day * (DAY_MS / 1000));
	struct tm tm = { 0 };
	char text[32];

	(void)gmtime_r(&seconds, &tm);
	(void)strftime(text, sizeof(text), "%-d %b", &tm);
	html_markup(h, "<text x=\"%" PRId64 "\" y=\"%d\" class=\"axis %s\">%s</text>",
		    last ? WIDTH - 8 : at_x(f, day * DAY_MS + DAY_MS / 2), HEIGHT - BOTTOM + 34,
		    last ? "end" : "middle", text);
}

static void draw_axes(struct html *h, const struct chart *c, const struct frame *f, int64_t step)
{
	const int64_t days = c->to_day - c->from_day;

	for (int64_t v = f->low; v <= f->high; v += step) {
		html_markup(h,
			    "<line x1=\"%d\" x2=\"%d\" y1=\"%" PRId64 "\" y2=\"%" PRId64
			    "\" class=\"grid\"/>",
			    LEFT, WIDTH - RIGHT, at_y(f, v), at_y(f, v));
		html_markup(h, "<text x=\"%d\" y=\"%" PRId64 "\" class=\"axis end\">", LEFT - 8,
			    at_y(f, v) + 6);
		html_markup(h, "%" PRId64, v / 1000);
		if (f->decimals > 0)
			html_markup(h, ".%" PRId64, v % 1000 / 100);
		html_raw(h, "</text>");
	}
	for (int i = 0; i < LABELS_MAX && days > 0; i++)
		draw_day(h, f, c->from_day + days * i / (LABELS_MAX - 1), i == LABELS_MAX - 1);
}

static void draw_band(struct html *h, const struct chart *c, const struct frame *f)
{
	const int64_t top = at_y(f, milli(c->high)), bottom = at_y(f, milli(c->low));

	html_markup(h,
		    "<rect x=\"%d\" y=\"%" PRId64 "\" width=\"%d\" height=\"%" PRId64
		    "\" class=\"band\"/>",
		    LEFT, top, WIDTH - LEFT - RIGHT, bottom - top > 2 ? bottom - top : 2);
}

static void draw_line(struct html *h, const struct chart_series *s, const struct frame *f)
{
	html_raw(h, "<path class=\"line\" d=\"");
	for (size_t i = 0; i < s->n; i++) {
		const bool gap =
			i == 0 || s->points[i].at_ms - s->points[i - 1].at_ms > CHART_GAP_MS;

		html_markup(h, "%c%" PRId64 " %" PRId64, gap ? 'M' : 'L',
			    at_x(f, s->points[i].at_ms), at_y(f, chart_median2(s->points, i) / 2));
	}
	html_raw(h, "\"/>");
}

static void draw_points(struct html *h, const struct chart *c, const struct chart_series *s,
			const struct frame *f)
{
	for (size_t i = 0; i < s->n; i++) {
		const int64_t x = at_x(f, s->points[i].at_ms);
		const int64_t y = at_y(f, milli(s->points[i].value));

		if (c->columns)
			html_markup(h,
				    "<rect x=\"%" PRId64 "\" y=\"%" PRId64
				    "\" width=\"12\" height=\"%" PRId64 "\" class=\"column\"/>",
				    x - 6, y, HEIGHT - BOTTOM - y);
		else
			html_markup(h,
				    "<circle cx=\"%" PRId64 "\" cy=\"%" PRId64
				    "\" r=\"5\" class=\"%s\"/>",
				    x, y, s->mark);
	}
}

void chart_draw(struct html *h, const struct chart *c)
{
	struct frame f = { .from_ms = c->from_day * DAY_MS, .to_ms = (c->to_day + 1) * DAY_MS };
	const int64_t step = fit(&f, c);

	html_markup(h, "<svg class=\"chart\" viewBox=\"0 0 %d %d\" role=\"img\" aria-label=\"",
		    WIDTH, HEIGHT);
	html_words(h, c->title);
	html_raw(h, ". ");
	html_text(h, c->summary);
	html_raw(h, "\">");
	if (c->has_band)
		draw_band(h, c, &f);
	draw_axes(h, c, &f, step);
	if (c->line && c->n_series > 0)
		draw_line(h, &c->series[0], &f);
	for (size_t i = 0; i < c->n_series; i++)
		draw_points(h, c, &c->series[i], &f);
	html_raw(h, "</svg>\n");
}
