#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "drivers/cleanup.h"
#include "tests/lab/radio/scenario.h"

#define LINES_MAX   4096
#define SECONDS_MAX 1000000

struct scenario_line {
	int64_t at; /* of the beginning */
	unsigned int number;
	char *text; /* empty: only waits */
};

struct scenario {
	struct scenario_line lines[LINES_MAX];
	size_t n, next;
	int64_t begun;
	unsigned int failures;
	char answer[COMMAND_ANSWER_MAX];
};

/* "1.5 rest" -> microseconds and the rest; NULL: no number */
static const char *seconds(const char *text, int64_t *ret)
{
	char *end;
	const double v = strtod(text, &end);

	if (end == text || !isfinite(v) || v < 0 || v > SECONDS_MAX ||
	    (*end && *end != ' ' && *end != '\t'))
		return NULL;
	*ret = (int64_t)(v * (double)AIR_SECOND);
	return end + strspn(end, " \t");
}

static const char *after_word(const char *text, const char *word)
{
	const size_t n = strlen(word);

	return strncmp(text, word, n) == 0 && strchr(" \t", text[n]) ? text + n : NULL;
}

/* 1: a line; 0: nothing in it */
static int parse(const char *text, int64_t before, struct scenario_line *ret)
{
	const char *rest, *at, *wait;
	int64_t time = 0;

	text += strspn(text, " \t");
	if (!*text || *text == '#')
		return 0;
	at = after_word(text, "at");
	wait = after_word(text, "wait");
	rest = at ? seconds(at, &time) : wait ? seconds(wait, &time) : text;
	if (!rest || (at && !*rest))
		return -EINVAL;
	ret->at = at ? time : before + time;
	ret->text = strdup(rest);
	return ret->text ? 1 : -ENOMEM;
}

static int add_line(struct scenario *s, char *text, unsigned int number)
{
	const int64_t before = s->n > 0 ? s->lines[s->n - 1].at : 0;
	int r;

	if (s->n == LINES_MAX)
		return -ENOSPC;
	text[strcspn(text, "\r\n")] = 0;
	r = parse(text, before, &s->lines[s->n]);
	if (r <= 0)
		return r;
	if (s->lines[s->n].at < before) { /* time does not go back */
		free(s->lines[s->n].text);
		return -EINVAL;
	}
	s->lines[s->n++].number = number;
	return 0;
}

void scenario_free(struct scenario *s)
{
	if (!s)
		return;
	for (size_t i = 0; i < s->n; i++)
		free(s->lines[i].text);
	free(s);
}

int scenario_load(const char *path, struct scenario **ret, unsigned int *ret_line)
{
	_cleanup_file_ FILE *file = fopen(path, "re");
	char text[COMMAND_LINE_MAX];
	struct scenario *s;

	if (!file)
		return -errno;
	s = calloc(1, sizeof(*s));
	if (!s)
		return -ENOMEM;
	for (unsigned int number = 1; fgets(text, sizeof(text), file); number++) {
		const bool cut = !strchr(text, '\n') && !feof(file);
		const int r = cut ? -EINVAL : add_line(s, text, number);

		if (r < 0) {
			scenario_free(s);
			*ret_line = number;
			return r;
		}
	}
	*ret = s;
	return 0;
}

void scenario_begin(struct scenario *s, int64_t now)
{
	s->begun = now;
}

int64_t scenario_next(const struct scenario *s)
{
	return s->next < s->n ? s->begun + s->lines[s->next].at : INT64_MAX;
}

void scenario_tick(struct scenario *s, struct air *a, int64_t now, bool *ret_quit)
{
	while (scenario_next(s) <= now && !*ret_quit) {
		const struct scenario_line *line = &s->lines[s->next++];
		int r;

		if (!*line->text)
			continue;
		r = command_execute(a, line->text, s->answer, sizeof(s->answer), ret_quit);
		if (r < 0)
			s->failures++;
		air_note(a, "scenario %u %s %s", line->number, r < 0 ? "error" : "ok", s->answer);
	}
}

unsigned int scenario_failures(const struct scenario *s)
{
	return s->failures;
}
