#include "gateway/cli/goals_text.h"

#include <string.h>
#include <time.h>

#include "gateway/cli/format.h"
#include "gateway/goals/zone.h"
#include "gateway/words/words.h"
#include "protocols/messages/codes.h"

enum {
	CELLS_MAX = 24,
	DATE_MAX = 32,
	DAY_S = 86400,
	TEXT_MAX = 512,
};

static struct decimal decimal_of(const Wellgate__V1__Decimal *d)
{
	return (struct decimal){ d ? d->mantissa : 0, d ? d->exponent : 0 };
}

static void say(FILE *out, enum words_id id, const struct words_fill *fill)
{
	char text[TEXT_MAX];

	if (words_say(WORDS_EN, id, fill, text, sizeof(text)) > 0)
		(void)fputs(text, out);
}

static void say_number(FILE *out, enum words_id id, size_t number)
{
	char text[24];
	const struct words_fill fill = { .of = { [WORDS_NUMBER] = text } };

	(void)snprintf(text, sizeof(text), "%zu", number);
	say(out, id, &fill);
}

static bool is_by_day(const Wellgate__V1__Goal *g)
{
	return g->period == WELLGATE__V1__PERIOD__PERIOD_DAY;
}

/* ---- earlier periods */

void goals_past_note(struct goals_past *past, const Wellgate__V1__GoalResult *r)
{
	struct goals_past_one one = { .start_ms = r->period_start_ms, .end_ms = r->period_end_ms };
	size_t at = past->n;

	if (!r->has_outcome || r->outcome == WELLGATE__V1__GOAL_RESULT__OUTCOME__OUTCOME_NO_DATA)
		return;
	one.progress = decimal_of(r->progress);
	one.target = decimal_of(r->target);
	one.met = r->outcome == WELLGATE__V1__GOAL_RESULT__OUTCOME__OUTCOME_MET;
	(void)snprintf(one.words, sizeof(one.words), "%s", r->words ? r->words : "");
	while (at > 0 && past->of[at - 1].start_ms > one.start_ms)
		at--;
	if (at > 0 && past->of[at - 1].start_ms == one.start_ms) {
		past->of[at - 1] = one;
		return;
	}
	if (past->n == GOALS_PAST + 1) {
		if (at == 0)
			return;
		memmove(&past->of[0], &past->of[1], (--at) * sizeof(one));
	} else {
		memmove(&past->of[at + 1], &past->of[at], (past->n - at) * sizeof(one));
		past->n++;
	}
	past->of[at] = one;
}

/* how many periods before the running one it was; whole ones, whatever the clocks did */
static size_t periods_ago(const struct goals_past_one *one, const Wellgate__V1__GoalResult *r)
{
	const int64_t length = r->period_end_ms - r->period_start_ms;

	if (length <= 0 || one->start_ms >= r->period_start_ms)
		return 0;
	return (size_t)((r->period_start_ms - one->start_ms + length / 2) / length);
}

static void print_past(FILE *out, const struct bars *style, const Wellgate__V1__Goal *g,
		       const Wellgate__V1__GoalResult *r, const struct goals_past *past)
{
	struct bars_value values[GOALS_PAST] = { 0 };
	char line[BARS_TEXT_MAX];
	size_t shown = 0, met = 0;
	struct decimal target = decimal_of(g->target);

	for (size_t i = 0; i < past->n; i++) {
		const struct goals_past_one *one = &past->of[i];
		const size_t ago = periods_ago(one, r);

		if (ago == 0 || ago > GOALS_PAST)
			continue;
		values[GOALS_PAST - ago] = (struct bars_value){ true, one->progress };
		/* reached is the full height, whatever the target was then */
		if (one->met)
			values[GOALS_PAST - ago].value = target;
		shown = ago > shown ? ago : shown;
		met += one->met;
	}
	if (shown < 2)
		return;
	bars_line(style, &values[GOALS_PAST - shown], shown, (struct decimal){ 0, 0 }, target,
		  line);
	(void)fputs("    ", out);
	say_number(out, is_by_day(g) ? WORDS_PAST_DAYS : WORDS_PAST_WEEKS, shown);
	(void)fprintf(out, " %s", line);
	if (met > 0) {
		(void)fputs("  ", out);
		say_number(out, met == 1 ? WORDS_PAST_REACHED_ONCE : WORDS_PAST_REACHED, met);
	}
	(void)fputc('\n', out);
}

/* ---- the running period */

static bool has_data(const Wellgate__V1__GoalResult *r)
{
	return r && r->outcome != WELLGATE__V1__GOAL_RESULT__OUTCOME__OUTCOME_NO_DATA;
}

static bool is_in_group(const Wellgate__V1__Goal *g, enum metric_group group)
{
	const struct metric_info *info = metric_info((unsigned int)g->metric);

	return info && info->group == group;
}

bool goals_text_hides(const Wellgate__V1__Goal *g)
{
	switch ((unsigned int)g->rule) {
	case WELLGATE__V1__RULE__RULE_MEASURE_REGULARLY:
	case WELLGATE__V1__RULE__RULE_COUNT_DAYS:
	case WELLGATE__V1__RULE__RULE_NIGHTS_MEETING:
		return false; /* times, days, nights: no value */
	case WELLGATE__V1__RULE__RULE_SUM_PER_PERIOD:
		return is_in_group(g, GROUP_WEIGHT) || is_in_group(g, GROUP_SLEEP);
	case WELLGATE__V1__RULE__RULE_MEAN_PER_PERIOD:
		return is_in_group(g, GROUP_WEIGHT);
	default: /* a weight's trend, a pressure, and what this program does not know */
		return true;
	}
}

/* text from elsewhere must not steer the terminal */
static void print_title(FILE *out, const char *title)
{
	for (const unsigned char *p = (const unsigned char *)title; *p; p++) {
		const bool c1 = p[0] == 0xc2 && p[1] >= 0x80 && p[1] <= 0x9f;

		(void)fputc(*p < 0x20 || *p == 0x7f || c1 ? '?' : *p, out);
		p += c1;
	}
	(void)fputc('\n', out);
}

static void unit_of(const Wellgate__V1__Goal *g, const Wellgate__V1__GoalResult *r,
		    char ret[FORMAT_UNIT_MAX])
{
	const bool one = decimal_compare(decimal_of(g->target), (struct decimal){ 1, 0 }) == 0;
	enum words_id word = one ? WORDS_UNIT_TIME : WORDS_UNIT_TIMES;

	if (g->rule == WELLGATE__V1__RULE__RULE_COUNT_DAYS)
		word = one ? WORDS_UNIT_DAY : WORDS_UNIT_DAYS;
	if (g->rule == WELLGATE__V1__RULE__RULE_NIGHTS_MEETING)
		word = one ? WORDS_UNIT_NIGHT : WORDS_UNIT_NIGHTS;
	format_unit(ret, r->unit ? r->unit : "1");
	if (ret[0] == '\0' || g->rule == WELLGATE__V1__RULE__RULE_COUNT_DAYS ||
	    g->rule == WELLGATE__V1__RULE__RULE_NIGHTS_MEETING)
		(void)snprintf(ret, FORMAT_UNIT_MAX, "%s", words_text(WORDS_EN, word));
}

static void print_progress(FILE *out, const struct bars *style, const Wellgate__V1__Goal *g,
			   const Wellgate__V1__GoalResult *r)
{
	char progress[DECIMAL_TEXT_MAX], target[DECIMAL_TEXT_MAX], unit[FORMAT_UNIT_MAX];
	char bar[BARS_TEXT_MAX];
	const struct words_fill fill = {
		.of = { [WORDS_NUMBER] = progress, [WORDS_TO] = target, [WORDS_UNIT] = unit }
	};

	format_decimal(progress, sizeof(progress), r->progress);
	format_decimal(target, sizeof(target), g->target);
	if (!progress[0] || !target[0])
		return;
	unit_of(g, r, unit);
	bars_bar(style, decimal_of(r->progress), decimal_of(g->target),
		 style->width / 3 < CELLS_MAX ? style->width / 3 : CELLS_MAX, bar);
	(void)fprintf(out, "    %s  ", bar);
	say(out, WORDS_GOAL_SO_FAR, &fill);
	(void)fputc('\n', out);
}

static void format_day(char buf[DATE_MAX], int64_t day)
{
	const time_t seconds = (time_t)(day * DAY_S);
	struct tm tm = { 0 };

	(void)gmtime_r(&seconds, &tm);
	(void)strftime(buf, DATE_MAX, "%a %-d %B", &tm);
}

/* The local dates; none where this machine does not know the goal's zone. */
static void print_dates(FILE *out, const Wellgate__V1__Goal *g, const Wellgate__V1__GoalResult *r)
{
	char first[DATE_MAX], last[DATE_MAX];
	const struct words_fill fill = { .of = { [WORDS_FROM] = first, [WORDS_TO] = last } };
	struct zone *zone = NULL;

	if (!r->has_period_start_ms || !r->has_period_end_ms ||
	    zone_load(g->time_zone && *g->time_zone ? g->time_zone : NULL, &zone) < 0)
		return;
	format_day(first, zone_day_of(zone, r->period_start_ms / 1000));
	format_day(last, zone_day_of(zone, r->period_end_ms / 1000 - 1));
	zone_free(zone);
	(void)fputs("    ", out);
	say(out, is_by_day(g) ? WORDS_DATES_TODAY : WORDS_DATES_WEEK, &fill);
	(void)fputc('\n', out);
}

void goals_text(FILE *out, const struct bars *style, const Wellgate__V1__Goal *g,
		const Wellgate__V1__GoalResult *r, const struct goals_past *past)
{
	const struct goals_past_one *last = past->n > 0 ? &past->of[past->n - 1] : NULL;
	const bool pictures = r && !g->paused && !goals_text_hides(g);

	print_title(out,
		    g->title && *g->title ? g->title : words_text(WORDS_EN, WORDS_GOAL_NO_TITLE));
	if (r && r->words)
		(void)fprintf(out, "    %s\n", r->words);
	if (pictures && has_data(r)) /* an empty bar is no kind thing to say */
		print_progress(out, style, g, r);
	if (r && !g->paused)
		print_dates(out, g, r);
	if (last && last->words[0] && !has_data(r))
		(void)fprintf(out, "    %s %s\n", words_text(WORDS_EN, WORDS_PAST_LAST),
			      last->words);
	if (pictures)
		print_past(out, style, g, r, past);
}
