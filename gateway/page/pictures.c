#include "gateway/page/pictures.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "gateway/cli/format.h"
#include "gateway/page/chart.h"

#define DAY_MS       (INT64_C(24) * 3600 * 1000)
#define METRIC(name) WELLGATE__V1__METRIC__METRIC_##name
#define TEXT_MAX     512
#define NIGHTS_MIN   4 /* of 7, before an average is said */
#define WEEKS        (HISTORY_DAYS / 7)

static void calendar(int64_t seconds, struct tm *ret)
{
	const time_t at = (time_t)seconds;

	*ret = (struct tm){ 0 };
	(void)gmtime_r(&at, ret);
}

void picture_when(int64_t local_ms, char ret[PICTURE_NUMBER_MAX])
{
	struct tm tm;

	calendar(local_ms / 1000 - (local_ms % 1000 < 0), &tm);
	if (strftime(ret, PICTURE_NUMBER_MAX, "%a %-d %B, %H:%M", &tm) == 0)
		ret[0] = '\0';
}

void picture_day(int64_t day, char ret[PICTURE_NUMBER_MAX])
{
	struct tm tm;

	calendar(day * (DAY_MS / 1000), &tm);
	if (strftime(ret, PICTURE_NUMBER_MAX, "%-d %B", &tm) == 0)
		ret[0] = '\0';
}

void picture_number(const Wellgate__V1__Component *c, char ret[PICTURE_NUMBER_MAX])
{
	ret[0] = '\0';
	if (c)
		format_decimal(ret, PICTURE_NUMBER_MAX, c->value);
}

/* ---- a table */

static void begin_table(struct html *h, enum words_id caption, const enum words_id *columns,
			size_t n)
{
	html_raw(h, "<details class=\"nhsuk-details\"><summary class=\"nhsuk-details__summary\">"
		    "<span class=\"nhsuk-details__summary-text\">");
	html_words(h, WORDS_PAGE_TABLE);
	html_raw(h, "<span class=\"nhsuk-u-visually-hidden\">: ");
	html_words(h, caption);
	html_raw(h, "</span></span></summary>\n<div class=\"wide\" tabindex=\"0\" role=\"region\" "
		    "aria-label=\"");
	html_words(h, caption);
	html_raw(h, "\"><table class=\"nhsuk-table\"><thead><tr>");
	for (size_t i = 0; i < n; i++)
		html_say(h, "th scope=\"col\"", columns[i], NULL);
	html_raw(h, "</tr></thead><tbody>\n");
}

static void end_table(struct html *h)
{
	html_raw(h, "</tbody></table></div></details>\n");
}

static void say_time(struct html *h, const Wellgate__V1__Reading *r)
{
	char text[PICTURE_NUMBER_MAX];

	if (!r->has_measured_at_ms) {
		html_say(h, "td", WORDS_READING_NO_TIME, NULL);
		return;
	}
	picture_when(history_local_ms(r), text);
	html_element(h, "td", text);
}

static void say_part(struct html *h, const Wellgate__V1__Reading *r, Wellgate__V1__Metric metric)
{
	char text[PICTURE_NUMBER_MAX];

	picture_number(history_part(r, metric), text);
	html_element(h, "td", text);
}

static bool is_time_sure(const Wellgate__V1__Reading *r)
{
	return !r->has_clock || r->clock >= WELLGATE__V1__CLOCK_QUALITY__CLOCK_DEVICE_TRUSTED;
}

/* What stands against taking it as it is; the words are those of the terminal. */
static void say_notes(struct html *h, const Wellgate__V1__Reading *r)
{
	html_raw(h, "<td>");
	for (size_t i = 0; i < r->n_flags; i++) {
		if (i > 0)
			html_raw(h, ", ");
		if (r->flags[i] == WELLGATE__V1__FLAG__FLAG_IRREGULAR_PULSE)
			html_words(h, WORDS_FLAG_IRREGULAR_PULSE);
		else if (r->flags[i] == WELLGATE__V1__FLAG__FLAG_MOVEMENT)
			html_words(h, WORDS_FLAG_MOVEMENT);
		else if (r->flags[i] == WELLGATE__V1__FLAG__FLAG_CUFF_FIT)
			html_words(h, WORDS_FLAG_CUFF_FIT);
		else if (r->flags[i] == WELLGATE__V1__FLAG__FLAG_BODY_POSITION)
			html_words(h, WORDS_FLAG_BODY_POSITION);
		else if (r->flags[i] == WELLGATE__V1__FLAG__FLAG_MANUAL)
			html_words(h, WORDS_FLAG_MANUAL);
		else if (r->flags[i] == WELLGATE__V1__FLAG__FLAG_TEST)
			html_words(h, WORDS_FLAG_TEST);
		else {
			char name[FORMAT_ENUM_MAX];

			format_enum(name, &wellgate__v1__flag__descriptor, (int)r->flags[i],
				    "FLAG_");
			for (char *p = name; *p; p++)
				*p = *p == '_' ? ' ' : *p;
			html_text(h, name);
		}
	}
	if (r->has_measured_at_ms && !is_time_sure(r)) {
		html_raw(h, r->n_flags > 0 ? ", " : "");
		html_words(h, WORDS_PAGE_TIME_UNSURE);
	}
	html_raw(h, "</td>");
}

/* ---- points */

static size_t gather(const struct history *history, Wellgate__V1__Metric metric,
		     struct chart_point points[CHART_POINTS_MAX])
{
	size_t n = 0;

	for (size_t i = history->n; i > 0 && n < CHART_POINTS_MAX; i--) {
		const Wellgate__V1__Reading *r = history->rows[i - 1];
		const Wellgate__V1__Component *c = history_part(r, metric);

		if (c && r->has_measured_at_ms)
			points[n++] =
				(struct chart_point){ history_local_ms(r),
						      { c->value->mantissa, c->value->exponent } };
	}
	for (size_t i = 0; i < n / 2; i++) { /* the newest came first */
		const struct chart_point other = points[i];

		points[i] = points[n - 1 - i];
		points[n - 1 - i] = other;
	}
	return n;
}

/* "The picture has 14 readings, from 4 November to 18 November." */
static void summary(const struct chart *c, char ret[TEXT_MAX])
{
	char number[24], from[PICTURE_NUMBER_MAX], to[PICTURE_NUMBER_MAX];
	const struct words_fill fill = {
		.of = { [WORDS_NUMBER] = number, [WORDS_FROM] = from, [WORDS_TO] = to }
	};
	const struct chart_series *s = &c->series[0];

	(void)snprintf(number, sizeof(number), "%zu", s->n);
	picture_day(s->points[0].at_ms / DAY_MS, from);
	picture_day(s->points[s->n - 1].at_ms / DAY_MS, to);
	if (words_say(WORDS_EN, WORDS_PAGE_PICTURE, &fill, ret, TEXT_MAX) < 0)
		ret[0] = '\0';
}

static void draw(struct html *h, const struct history *history, struct chart *c)
{
	char text[TEXT_MAX];

	summary(c, text);
	c->summary = text;
	c->to_day = history->today;
	c->from_day = c->series[0].points[0].at_ms / DAY_MS;
	if (c->to_day < c->from_day)
		c->to_day = c->from_day;
	if (c->to_day - c->from_day < 6)
		c->from_day = c->to_day - 6;
	chart_draw(h, c);
	c->summary = NULL; /* text is this function's */
	html_element(h, "p", text);
	if (c->line)
		html_say(h, "p class=\"small\"", WORDS_PAGE_LINE, NULL);
	if (c->has_band)
		html_say(h, "p class=\"small\"", WORDS_PAGE_BAND, NULL);
	html_say(h, "p class=\"small\"", WORDS_PAGE_GAPS, NULL);
}

static void begin_part(struct html *h, const char *id, enum words_id heading)
{
	html_markup(h, "<section id=\"%s\">\n", id);
	html_say(h, "h2", heading, NULL);
}

/* ---- blood pressure */

static void pressure_table(struct html *h, const struct history *history)
{
	static const enum words_id columns[] = { WORDS_PAGE_WHEN, WORDS_PAGE_UPPER,
						 WORDS_PAGE_LOWER, WORDS_PAGE_PULSE,
						 WORDS_PAGE_NOTES };

	begin_table(h, WORDS_PAGE_PRESSURE, columns, sizeof(columns) / sizeof(columns[0]));
	for (size_t i = history->n; i > 0; i--) {
		const Wellgate__V1__Reading *r = history->rows[i - 1];

		if (!history_part(r, METRIC(SYSTOLIC)))
			continue;
		html_raw(h, "<tr>");
		say_time(h, r);
		say_part(h, r, METRIC(SYSTOLIC));
		say_part(h, r, METRIC(DIASTOLIC));
		say_part(h, r, METRIC(PULSE));
		say_notes(h, r);
		html_raw(h, "</tr>\n");
	}
	end_table(h);
}

void picture_pressure(struct html *h, const struct history *history)
{
	struct chart_point upper[CHART_POINTS_MAX], lower[CHART_POINTS_MAX];
	struct chart c = { .title = WORDS_PAGE_PRESSURE, .n_series = 2 };

	c.series[0] =
		(struct chart_series){ upper, gather(history, METRIC(SYSTOLIC), upper), "dot" };
	c.series[1] =
		(struct chart_series){ lower, gather(history, METRIC(DIASTOLIC), lower), "ring" };
	if (c.series[0].n == 0)
		return;
	begin_part(h, "pressure", WORDS_PAGE_PRESSURE);
	draw(h, history, &c);
	pressure_table(h, history);
	html_say(h, "p class=\"nhsuk-inset-text\"", WORDS_PAGE_SAFETY, NULL);
	html_raw(h, "</section>\n");
}

/* ---- weight */

/* The band of the one goal that shows it. */
static void add_band(struct chart *c, const Wellgate__V1__Reply *goals)
{
	for (size_t i = 0; goals && i < goals->n_goals; i++) {
		const Wellgate__V1__Goal *g = goals->goals[i];
		struct decimal target, band = { 1, 0 };

		if (g->rule != WELLGATE__V1__RULE__RULE_TREND || !g->show_weight || !g->target ||
		    g->target->mantissa <= 0)
			continue;
		target = (struct decimal){ g->target->mantissa, g->target->exponent };
		if (g->band && g->band->mantissa > 0)
			band = (struct decimal){ g->band->mantissa, g->band->exponent };
		if (decimal_add(target, band, &c->high) < 0)
			continue;
		band.mantissa = -band.mantissa;
		c->has_band = decimal_add(target, band, &c->low) == 0;
	}
}

static void weight_table(struct html *h, const struct history *history)
{
	static const enum words_id columns[] = { WORDS_PAGE_WHEN, WORDS_PAGE_KG, WORDS_PAGE_NOTES };

	begin_table(h, WORDS_PAGE_WEIGHT, columns, sizeof(columns) / sizeof(columns[0]));
	for (size_t i = history->n; i > 0; i--) {
		const Wellgate__V1__Reading *r = history->rows[i - 1];

		if (!history_part(r, METRIC(BODY_WEIGHT)))
			continue;
		html_raw(h, "<tr>");
		say_time(h, r);
		say_part(h, r, METRIC(BODY_WEIGHT));
		say_notes(h, r);
		html_raw(h, "</tr>\n");
	}
	end_table(h);
}

static void weight_blind(struct html *h, const struct history *history)
{
	char number[24], from[PICTURE_NUMBER_MAX] = "", to[PICTURE_NUMBER_MAX] = "";
	const struct words_fill fill = {
		.of = { [WORDS_NUMBER] = number, [WORDS_FROM] = from, [WORDS_TO] = to }
	};
	size_t n = 0;

	for (size_t i = 0; i < history->n; i++) {
		const Wellgate__V1__Reading *r = history->rows[i];

		if (r->metric != METRIC(BODY_WEIGHT) || !r->has_measured_at_ms)
			continue;
		picture_day(history_local_ms(r) / DAY_MS, n++ == 0 ? from : to);
	}
	if (n == 0)
		return;
	(void)snprintf(number, sizeof(number), "%zu", n);
	if (n == 1)
		memcpy(to, from, sizeof(to));
	begin_part(h, "weight", WORDS_PAGE_WEIGHT);
	html_say(h, "p", WORDS_PAGE_WEIGHT_COUNT, &fill);
	html_say(h, "p class=\"small\"", WORDS_PAGE_WEIGHT_RESTS, NULL);
	html_raw(h, "</section>\n");
}

void picture_weight(struct html *h, const struct history *history, const Wellgate__V1__Reply *goals)
{
	struct chart_point points[CHART_POINTS_MAX];
	struct chart c = { .title = WORDS_PAGE_WEIGHT, .n_series = 1, .line = true };

	if (!history->show_weight) {
		weight_blind(h, history);
		return;
	}
	c.series[0] = (struct chart_series){ points, gather(history, METRIC(BODY_WEIGHT), points),
					     "dot" };
	if (c.series[0].n == 0)
		return;
	add_band(&c, goals);
	begin_part(h, "weight", WORDS_PAGE_WEIGHT);
	draw(h, history, &c);
	weight_table(h, history);
	html_raw(h, "</section>\n");
}

/* ---- steps */

void picture_steps(struct html *h, const struct history *history)
{
	static const enum words_id columns[] = { WORDS_PAGE_WHEN, WORDS_PAGE_STEP_COUNT };
	struct chart_point points[HISTORY_DAYS];
	struct chart c = { .title = WORDS_PAGE_STEPS, .n_series = 1, .columns = true };
	size_t n = 0;

	for (int64_t day = history->today - HISTORY_DAYS + 1; day <= history->today; day++) {
		struct decimal sum;

		if (history_sum(history, METRIC(STEPS), day, &sum) &&
		    decimal_rescale(sum, 0, &sum) == 0)
			points[n++] = (struct chart_point){ day * DAY_MS + DAY_MS / 2, sum };
	}
	if (n == 0)
		return;
	c.series[0] = (struct chart_series){ points, n, "dot" };
	begin_part(h, "steps", WORDS_PAGE_STEPS);
	draw(h, history, &c);
	begin_table(h, WORDS_PAGE_STEPS, columns, 2);
	for (size_t i = n; i > 0; i--) {
		char day[PICTURE_NUMBER_MAX], sum[DECIMAL_TEXT_MAX];

		picture_day(points[i - 1].at_ms / DAY_MS, day);
		(void)decimal_format(sum, sizeof(sum), points[i - 1].value);
		html_raw(h, "<tr>");
		html_element(h, "td", day);
		html_element(h, "td", sum);
		html_raw(h, "</tr>\n");
	}
	end_table(h);
	html_raw(h, "</section>\n");
}

/* ---- sleep: an average over a week, never a night (domain.md 2.4) */

struct week {
	int64_t last_day;
	unsigned int nights;
	bool enough;
	struct decimal hours; /* for the picture */
	char text[TEXT_MAX];  /* "7 h 25 min" */
};

static bool week_of(const struct history *history, int64_t last_day, struct week *ret)
{
	struct decimal minutes, whole;
	char hours[24], rest[24];
	const struct words_fill fill = { .of = { [WORDS_NUMBER] = hours, [WORDS_TO] = rest } };

	*ret = (struct week){ .last_day = last_day };
	if (!history_nights(history, last_day - 6, &minutes, &ret->nights) ||
	    decimal_rescale(minutes, 0, &whole) < 0)
		return false;
	ret->enough = ret->nights >= NIGHTS_MIN;
	ret->hours = (struct decimal){ whole.mantissa * 1000 / 60, -3 };
	(void)snprintf(hours, sizeof(hours), "%lld", (long long)(whole.mantissa / 60));
	(void)snprintf(rest, sizeof(rest), "%lld", (long long)(whole.mantissa % 60));
	return words_say(WORDS_EN, WORDS_PAGE_HOURS, &fill, ret->text, sizeof(ret->text)) > 0;
}

static void sleep_row(struct html *h, const struct week *w)
{
	char day[PICTURE_NUMBER_MAX], nights[24];
	const struct words_fill fill = { .of = { [WORDS_TO] = day } };

	picture_day(w->last_day, day);
	(void)snprintf(nights, sizeof(nights), "%u", w->nights);
	html_raw(h, "<tr>");
	html_say(h, "td", WORDS_PAGE_WEEK_TO, &fill);
	html_element(h, "td", nights);
	html_element(h, "td", w->enough ? w->text : "");
	html_raw(h, "</tr>\n");
}

void picture_sleep(struct html *h, const struct history *history)
{
	static const enum words_id columns[] = { WORDS_PAGE_WHEN, WORDS_PAGE_NIGHTS,
						 WORDS_PAGE_AVERAGE };
	struct week weeks[WEEKS];
	struct words_fill fill = { .of = { [WORDS_WHEN] = words_text(WORDS_EN,
								     WORDS_PAGE_IN_LAST_WEEK) } };
	size_t n = 0;

	for (int64_t i = 0; i < WEEKS; i++)
		n += week_of(history, history->today - 7 * i, &weeks[n]);
	if (n == 0)
		return;
	begin_part(h, "sleep", WORDS_PAGE_SLEEP);
	fill.of[WORDS_NUMBER] = weeks[0].text;
	if (weeks[0].last_day == history->today && weeks[0].enough)
		html_say(h, "p", WORDS_PAGE_SLEEP_WEEK, &fill);
	else
		html_say(h, "p", WORDS_PAGE_SLEEP_FEW, NULL);
	begin_table(h, WORDS_PAGE_SLEEP, columns, 3);
	for (size_t i = 0; i < n; i++)
		sleep_row(h, &weeks[i]);
	end_table(h);
	html_raw(h, "</section>\n");
}
