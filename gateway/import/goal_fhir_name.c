/* Id and title of a goal: nothing of the person goes into the one, and no name into the other. */
#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "gateway/import/goal_fhir_part.h"

enum {
	TITLE_LETTERS = 40,
	TITLE_DIGITS = 5, /* "10000 steps"; an NHS number has ten */
	WORD_LETTERS = 2, /* shorter ones are no names */
};

static const char *next_word(const char *text, size_t *ret_len)
{
	while (*text && !isalpha((unsigned char)*text))
		text++;
	*ret_len = 0;
	while (isalpha((unsigned char)text[*ret_len]))
		(*ret_len)++;
	return text;
}

static bool has_word(const char *text, const char *word, size_t len)
{
	size_t n;

	for (const char *p = next_word(text, &n); n > 0; p = next_word(p + n, &n)) {
		if (n == len && strncasecmp(p, word, len) == 0)
			return true;
	}
	return false;
}

static bool has_name(const char *title, const struct fhir_names *names)
{
	static const char titles[] = "Mr Mrs Ms Miss Mx Dr Prof NHS";
	size_t len;

	for (const char *p = next_word(title, &len); len > 0; p = next_word(p + len, &len)) {
		if (has_word(titles, p, len))
			return true;
		for (size_t i = 0; len >= WORD_LETTERS && i < names->n; i++) {
			if (has_word(names->of[i], p, len))
				return true;
		}
	}
	return false;
}

/* Short and plain: letters, digits and a little punctuation. Letters beyond ASCII are refused, too:
 * a name in them could not be compared. */
static bool is_plain(const char *title)
{
	size_t len = strlen(title), n = 0;

	for (size_t i = 0; i < len; i++) {
		if (!isalnum((unsigned char)title[i]) && !strchr(" ,.'-", title[i]))
			return false;
		n += isdigit((unsigned char)title[i]) != 0;
	}
	return len > 0 && len <= TITLE_LETTERS && n <= TITLE_DIGITS &&
	       isalpha((unsigned char)title[0]);
}

static enum words_id title_of(const struct goal *goal)
{
	static const enum words_id titles[METRIC_END] = {
		[METRIC_STEPS] = WORDS_TITLE_STEPS,
		[METRIC_DISTANCE] = WORDS_TITLE_DISTANCE,
		[METRIC_FLOORS] = WORDS_TITLE_FLOORS,
		[METRIC_ACTIVE_MINUTES] = WORDS_TITLE_ACTIVITY,
		[METRIC_ACTIVE_ZONE_MINUTES] = WORDS_TITLE_ACTIVITY,
		[METRIC_EXERCISE_DURATION] = WORDS_TITLE_EXERCISE,
		[METRIC_SLEEP_DURATION] = WORDS_TITLE_SLEEP,
	};

	if (goal->rule == GOAL_MEASURE_REGULARLY || titles[goal->metric] == WORDS_NONE)
		return WORDS_TITLE_MEASURE;
	return titles[goal->metric];
}

void fhir_name(const json_t *description, const struct fhir_names *names,
	       const struct goal_fhir_options *options, struct goal *goal)
{
	const struct metric_info *info = metric_info(goal->metric);
	const char *title = fhir_text(description, "text");

	if (!is_plain(title) || names->more || has_name(title, names))
		title = words_text(options->language, title_of(goal));
	(void)snprintf(goal->title, sizeof(goal->title), "%s", title);
	(void)snprintf(goal->id, sizeof(goal->id), "%s%.18s-%s",
		       goal->rule == GOAL_MEASURE_REGULARLY ? "measure-" : "",
		       info ? info->name : "goal", goal->period == GOAL_DAY ? "day" : "week");
	for (char *p = goal->id; *p; p++) {
		if (*p == '_')
			*p = '-';
	}
}
