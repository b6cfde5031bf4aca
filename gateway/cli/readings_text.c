#include "gateway/cli/readings_text.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "gateway/cli/format.h"
#include "gateway/words/words.h"
#include "protocols/messages/codes.h"

enum {
	LINE_MAX_BYTES = 512,
	INDENT = 17,   /* the column that values begin in */
	DRAWN_MIN = 3, /* two values are no line */
	CELLS_MAX = 30,
	NOTES_MAX = 16,
};

/* ---- what may be said about a reading, in plain words; never whether a value is good */

static const char *flag_words(Wellgate__V1__Flag flag)
{
	static const struct {
		Wellgate__V1__Flag flag;
		enum words_id words;
	} rows[] = {
		{ WELLGATE__V1__FLAG__FLAG_MOVEMENT, WORDS_FLAG_MOVEMENT },
		{ WELLGATE__V1__FLAG__FLAG_CUFF_FIT, WORDS_FLAG_CUFF_FIT },
		{ WELLGATE__V1__FLAG__FLAG_IRREGULAR_PULSE, WORDS_FLAG_IRREGULAR_PULSE },
		{ WELLGATE__V1__FLAG__FLAG_BODY_POSITION, WORDS_FLAG_BODY_POSITION },
		{ WELLGATE__V1__FLAG__FLAG_PULSE_ABOVE_RANGE, WORDS_FLAG_PULSE_RANGE },
		{ WELLGATE__V1__FLAG__FLAG_PULSE_BELOW_RANGE, WORDS_FLAG_PULSE_RANGE },
		{ WELLGATE__V1__FLAG__FLAG_SOFT_RANGE, WORDS_FLAG_SOFT_RANGE },
		{ WELLGATE__V1__FLAG__FLAG_HARD_RANGE, WORDS_FLAG_HARD_RANGE },
		{ WELLGATE__V1__FLAG__FLAG_UNIT_CONVERTED, WORDS_FLAG_UNIT_CONVERTED },
		{ WELLGATE__V1__FLAG__FLAG_TIME_CORRECTED, WORDS_FLAG_TIME_CORRECTED },
		{ WELLGATE__V1__FLAG__FLAG_TIME_UNCERTAIN, WORDS_FLAG_TIME_UNCERTAIN },
		{ WELLGATE__V1__FLAG__FLAG_LATE, WORDS_FLAG_LATE },
		{ WELLGATE__V1__FLAG__FLAG_BACKFILL, WORDS_FLAG_BACKFILL },
		{ WELLGATE__V1__FLAG__FLAG_MANUAL, WORDS_FLAG_MANUAL },
		{ WELLGATE__V1__FLAG__FLAG_TEST, WORDS_FLAG_TEST },
		{ WELLGATE__V1__FLAG__FLAG_LOW_BATTERY, WORDS_FLAG_LOW_BATTERY },
		{ WELLGATE__V1__FLAG__FLAG_CLOCK_NOT_SET, WORDS_FLAG_CLOCK_NOT_SET },
		{ WELLGATE__V1__FLAG__FLAG_CONTROL_SOLUTION, WORDS_FLAG_CONTROL_SOLUTION },
		{ WELLGATE__V1__FLAG__FLAG_INCONSISTENT, WORDS_FLAG_INCONSISTENT },
		{ WELLGATE__V1__FLAG__FLAG_ESTIMATED, WORDS_FLAG_ESTIMATED },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (rows[i].flag == flag)
			return words_text(WORDS_EN, rows[i].words);
	}
	return NULL;
}

/* One line, broken where the terminal ends. Columns are counted for the ASCII that labels are; a
 * unit with an accent counts a little more than it is. */
struct line {
	FILE *out;
	size_t width, used;
};

static void say(struct line *l, const char *text)
{
	const size_t len = strlen(text);

	if (l->used + 1 + len > l->width && l->used > INDENT) {
		(void)fprintf(l->out, "\n%*s", INDENT, "");
		l->used = INDENT;
	} else if (l->used > INDENT) {
		(void)fputc(' ', l->out);
		l->used++;
	}
	(void)fputs(text, l->out);
	l->used += len;
}

/* "(uneven pulse, typed in)" */
struct notes {
	size_t n;
	char of[NOTES_MAX][FORMAT_ENUM_MAX];
};

static void note(struct notes *notes, const char *words)
{
	for (size_t i = 0; i < notes->n; i++) {
		if (strcmp(notes->of[i], words) == 0)
			return;
	}
	if (notes->n < NOTES_MAX)
		(void)snprintf(notes->of[notes->n++], FORMAT_ENUM_MAX, "%s", words);
}

static void note_flags(struct notes *notes, const Wellgate__V1__Reading *r)
{
	char name[FORMAT_ENUM_MAX];

	for (size_t i = 0; i < r->n_flags; i++) {
		const char *words = flag_words(r->flags[i]);

		if (!words) {
			format_enum(name, &wellgate__v1__flag__descriptor, (int)r->flags[i],
				    "FLAG_");
			for (char *p = name; *p; p++)
				*p = *p == '_' ? ' ' : *p;
			words = name;
		}
		note(notes, words);
	}
}

static bool is_time_sure(const Wellgate__V1__Reading *r)
{
	return !r->has_clock || r->clock >= WELLGATE__V1__CLOCK_QUALITY__CLOCK_DEVICE_TRUSTED;
}

static void say_notes(struct line *l, const Wellgate__V1__Reading *r)
{
	char text[FORMAT_ENUM_MAX + 4];
	struct notes notes = { 0 };

	note_flags(&notes, r);
	if (r->has_measured_at_ms && !is_time_sure(r))
		note(&notes, words_text(WORDS_EN, WORDS_FLAG_TIME_UNCERTAIN));
	if (r->attribution &&
	    r->attribution->rule == WELLGATE__V1__ATTRIBUTION_RULE__ATTRIBUTION_UNASSIGNED)
		note(&notes, words_text(WORDS_EN, WORDS_FLAG_NOBODY));
	for (size_t i = 0; i < notes.n; i++) {
		(void)snprintf(text, sizeof(text), "%s%s%s", i == 0 ? "(" : "", notes.of[i],
			       i + 1 < notes.n ? "," : ")");
		say(l, text);
	}
}

/* ---- values */

static bool is_pressure_pair(const Wellgate__V1__Reading *r, size_t i)
{
	return i + 1 < r->n_components &&
	       r->components[i]->metric == WELLGATE__V1__METRIC__METRIC_SYSTOLIC &&
	       r->components[i + 1]->metric == WELLGATE__V1__METRIC__METRIC_DIASTOLIC &&
	       r->components[i]->value && r->components[i + 1]->value;
}

static void say_component(struct line *l, const Wellgate__V1__Component *part, bool label,
			  const char *end)
{
	const struct metric_info *info = metric_info((unsigned int)part->metric);
	char value[DECIMAL_TEXT_MAX], unit[FORMAT_UNIT_MAX], text[LINE_MAX_BYTES];

	format_decimal(value, sizeof(value), part->value);
	format_unit(unit, part->unit ? part->unit : "");
	if (value[0] && info && strcmp(unit, info->label) == 0)
		unit[0] = '\0'; /* "steps 412", not "steps 412 steps" */
	(void)snprintf(text, sizeof(text), "%s%s%s%s%s%s", label ? info ? info->label : "?" : "",
		       label ? " " : "",
		       value[0] ? value : words_text(WORDS_EN, WORDS_READING_NO_VALUE),
		       unit[0] && value[0] ? " " : "", value[0] ? unit : "", end);
	say(l, text);
}

/* The mean that a cuff works its two numbers out from: for machines. */
static bool is_for_people(const Wellgate__V1__Reading *r, size_t i)
{
	return r->components[i]->metric != WELLGATE__V1__METRIC__METRIC_MEAN_PRESSURE ||
	       r->n_components == 1;
}

static bool is_last(const Wellgate__V1__Reading *r, size_t i)
{
	for (i++; i < r->n_components; i++) {
		if (is_for_people(r, i))
			return false;
	}
	return true;
}

static void say_upper(struct line *l, const char *upper)
{
	const struct words_fill fill = { .of = { [WORDS_NUMBER] = upper } };
	char text[LINE_MAX_BYTES];

	if (words_say(WORDS_EN, WORDS_READING_UPPER, &fill, text, sizeof(text)) > 0)
		say(l, text);
}

static void say_values(struct line *l, const Wellgate__V1__Reading *r)
{
	const struct metric_info *info = metric_info((unsigned int)r->metric);

	/* "weight 82.6 kg, height...": where the first part is the whole, its name is said once */
	if (r->n_components == 0 || r->components[0]->metric != r->metric)
		say(l, info ? info->label : "?");
	for (size_t i = 0; i < r->n_components; i++) {
		const bool pair = is_pressure_pair(r, i);
		char upper[DECIMAL_TEXT_MAX];

		if (!is_for_people(r, i))
			continue;
		if (pair) {
			format_decimal(upper, sizeof(upper), r->components[i++]->value);
			say_upper(l, upper);
		}
		say_component(l, r->components[i], !pair, is_last(r, i) ? "" : ",");
	}
}

/* ---- how it went */

static bool is_drawn(unsigned int metric)
{
	switch (metric) {
	case METRIC_SYSTOLIC:
	case METRIC_DIASTOLIC:
	case METRIC_PULSE:
	case METRIC_HEART_RATE:
	case METRIC_RESTING_HEART_RATE:
	case METRIC_SPO2:
	case METRIC_TEMPERATURE:
	case METRIC_GLUCOSE:
		return true;
	default: /* weight and sleep on purpose; intervals are no points */
		return false;
	}
}

static struct readings_series *series_of(struct readings_text *t, unsigned int metric)
{
	for (size_t i = 0; i < t->n_series; i++) {
		if (t->series[i].metric == metric)
			return &t->series[i];
	}
	if (t->n_series == READINGS_SERIES_MAX)
		return NULL;
	t->series[t->n_series] = (struct readings_series){ .metric = metric };
	return &t->series[t->n_series++];
}

static void keep(struct readings_text *t, const Wellgate__V1__Component *part, int64_t at_ms)
{
	struct readings_series *s = is_drawn((unsigned int)part->metric) && part->value
					    ? series_of(t, (unsigned int)part->metric)
					    : NULL;

	if (!s)
		return;
	if (s->n == BARS_CELLS_MAX)
		memmove(&s->points[0], &s->points[1], --s->n * sizeof(s->points[0]));
	s->points[s->n++] =
		(struct readings_point){ at_ms, { part->value->mantissa, part->value->exponent } };
}

/* of a person who is known, at a time that is sure, with nothing said against it */
static void keep_all(struct readings_text *t, const Wellgate__V1__Reading *r)
{
	if (!r->subject || !*r->subject || !r->has_measured_at_ms || !is_time_sure(r))
		return;
	for (size_t i = 0; i < r->n_flags; i++) {
		if (r->flags[i] != WELLGATE__V1__FLAG__FLAG_BACKFILL &&
		    r->flags[i] != WELLGATE__V1__FLAG__FLAG_LATE &&
		    r->flags[i] != WELLGATE__V1__FLAG__FLAG_TIME_CORRECTED &&
		    r->flags[i] != WELLGATE__V1__FLAG__FLAG_UNIT_CONVERTED &&
		    r->flags[i] != WELLGATE__V1__FLAG__FLAG_SOFT_RANGE &&
		    r->flags[i] != WELLGATE__V1__FLAG__FLAG_LOW_BATTERY)
			return;
	}
	if (!t->subject[0])
		(void)snprintf(t->subject, sizeof(t->subject), "%s", r->subject);
	t->several = t->several || strcmp(t->subject, r->subject) != 0;
	for (size_t i = 0; i < r->n_components; i++)
		keep(t, r->components[i], r->measured_at_ms);
}

static int by_time(const void *a, const void *b)
{
	const struct readings_point *x = a, *y = b;

	return (x->at_ms > y->at_ms) - (x->at_ms < y->at_ms);
}

static void draw(const struct readings_text *t, const struct readings_series *s)
{
	const struct metric_info *info = metric_info(s->metric);
	struct readings_point points[BARS_CELLS_MAX];
	struct bars_value values[BARS_CELLS_MAX];
	struct decimal low = s->points[0].value, high = low;
	char line[BARS_TEXT_MAX], from[DECIMAL_TEXT_MAX], to[DECIMAL_TEXT_MAX];
	char unit[FORMAT_UNIT_MAX], range[LINE_MAX_BYTES];
	const struct words_fill fill = {
		.of = { [WORDS_FROM] = from, [WORDS_TO] = to, [WORDS_UNIT] = unit }
	};
	const size_t n = s->n > CELLS_MAX ? CELLS_MAX : s->n;

	memcpy(points, s->points, s->n * sizeof(points[0]));
	qsort(points, s->n, sizeof(points[0]), by_time); /* a memory may come last */
	for (size_t i = 0; i < n; i++) {
		const struct decimal value = points[s->n - n + i].value;

		values[i] = (struct bars_value){ true, value };
		if (i == 0 || decimal_compare(value, low) < 0)
			low = value;
		if (i == 0 || decimal_compare(value, high) > 0)
			high = value;
	}
	bars_line(&t->style, values, n, low, high, line);
	if (decimal_format(from, sizeof(from), low) < 0 || decimal_format(to, sizeof(to), high) < 0)
		return;
	format_unit(unit, info ? unit_info(info->unit)->ucum : "");
	if (words_say(WORDS_EN, WORDS_READING_RANGE, &fill, range, sizeof(range)) > 0)
		(void)fprintf(t->out, "  %-18s %s  %s\n", info ? info->label : "?", line, range);
}

/* ---- all of it */

void readings_text_begin(struct readings_text *t, FILE *out, struct bars style)
{
	memset(t, 0, sizeof(*t));
	t->out = out;
	t->style = style;
}

void readings_text_add_as(struct readings_text *t, const Wellgate__V1__Reading *r, const char *id,
			  const char *known)
{
	struct line l = { .out = t->out, .width = t->style.width, .used = INDENT };
	char heading[sizeof(t->heading)] = "", clock[8] = "  -  ";

	(void)snprintf(heading, sizeof(heading), "%s", words_text(WORDS_EN, WORDS_READING_NO_TIME));
	if (r->has_measured_at_ms) {
		const int64_t ms = r->measured_at_ms + (int64_t)r->utc_offset_min * 60000;
		const time_t seconds = (time_t)(ms / 1000 - (ms % 1000 < 0));
		struct tm tm = { 0 };

		(void)gmtime_r(&seconds, &tm);
		(void)strftime(heading, sizeof(heading), "%A %-d %B %Y", &tm);
		(void)strftime(clock, sizeof(clock), "%H:%M", &tm);
	}
	if (strcmp(heading, t->heading) != 0)
		(void)fprintf(t->out, "%s%s\n", t->heading[0] ? "\n" : "", heading);
	memcpy(t->heading, heading, sizeof(heading));
	(void)fprintf(t->out, "%8s  %s  ", id, clock);
	say_values(&l, r);
	say_notes(&l, r);
	(void)fputc('\n', t->out);
	if (known)
		(void)fprintf(t->out, "%*s%s\n", INDENT, "", known);
}

/* Why it is theirs, where that is more than "the box serves one person". */
static const char *why(const Wellgate__V1__Reading *r)
{
	switch ((unsigned int)(r->attribution ? r->attribution->rule : 0)) {
	case WELLGATE__V1__ATTRIBUTION_RULE__ATTRIBUTION_USER_SLOT:
		return words_text(WORDS_EN, WORDS_WHY_SLOT);
	case WELLGATE__V1__ATTRIBUTION_RULE__ATTRIBUTION_SESSION:
		return words_text(WORDS_EN, WORDS_WHY_SESSION);
	case WELLGATE__V1__ATTRIBUTION_RULE__ATTRIBUTION_LOAN:
		return words_text(WORDS_EN, WORDS_WHY_LOAN);
	case WELLGATE__V1__ATTRIBUTION_RULE__ATTRIBUTION_SAID_ME:
		return words_text(WORDS_EN, WORDS_WHY_SAID_ME);
	case WELLGATE__V1__ATTRIBUTION_RULE__ATTRIBUTION_STAFF:
		return words_text(WORDS_EN, WORDS_WHY_STAFF);
	default:
		return NULL;
	}
}

void readings_text_add(struct readings_text *t, const Wellgate__V1__Reading *r)
{
	char number[24];

	(void)snprintf(number, sizeof(number), "%" PRIu64, r->sequence);
	readings_text_add_as(t, r, number, why(r));
	keep_all(t, r);
}

void readings_text_add_hidden(struct readings_text *t, const Wellgate__V1__Reading *r)
{
	char number[24];

	(void)snprintf(number, sizeof(number), "%" PRIu64, r->sequence);
	readings_text_add_as(t, r, number, words_text(WORDS_EN, WORDS_READING_HIDDEN));
}

void readings_text_end(const struct readings_text *t)
{
	bool drawn = false;

	for (size_t i = 0; i < t->n_series && !t->several; i++) {
		if (t->series[i].n < DRAWN_MIN)
			continue;
		if (!drawn)
			(void)fprintf(t->out, "\n%s\n", words_text(WORDS_EN, WORDS_READING_COURSE));
		drawn = true;
		draw(t, &t->series[i]);
	}
}
