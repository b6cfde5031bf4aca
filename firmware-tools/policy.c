#include "firmware-tools/policy.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct row {
	enum policy_state state;
	const char *make, *model, *note;
	bool any;              /* firmware "*" */
	const char *from, *to; /* NULL: no limit */
	bool below;            /* `to` itself is not in it */
};

struct policy {
	struct row *rows;
	size_t n;
};

static const char *const states[] = {
	[POLICY_UNKNOWN] = "unknown",
	[POLICY_ALLOWED] = "allowed",
	[POLICY_OUTDATED] = "outdated",
	[POLICY_RECALLED] = "recalled",
};

const char *policy_state_name(enum policy_state state)
{
	return states[state];
}

/* ---- versions ---- */

enum run {
	DIGITS,
	LETTERS,
	MARKS, /* dots and the like */
};

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static enum run run_of(char c)
{
	if (is_digit(c))
		return DIGITS;
	return strchr(" .,-_+/:", c) ? MARKS : LETTERS;
}

/* the next run of one kind; `text` moves behind it */
static size_t next_run(const char **text, const char **ret)
{
	const char *at = *text;
	size_t len = 0;

	while (at[len] && run_of(at[len]) == run_of(*at))
		len++;
	*text = at + len;
	*ret = at;
	return len;
}

static int sign(int n)
{
	return (n > 0) - (n < 0);
}

static int compare_numbers(const char *a, size_t a_len, const char *b, size_t b_len)
{
	while (a_len > 1 && *a == '0') {
		a++;
		a_len--;
	}
	while (b_len > 1 && *b == '0') {
		b++;
		b_len--;
	}
	if (a_len != b_len)
		return a_len < b_len ? -1 : 1;
	return sign(memcmp(a, b, a_len));
}

static int compare_text(const char *a, size_t a_len, const char *b, size_t b_len)
{
	const size_t len = a_len < b_len ? a_len : b_len;
	const int r = strncasecmp(a, b, len);

	return r ? sign(r) : (a_len > b_len) - (a_len < b_len);
}

int policy_compare(const char *a, const char *b)
{
	a += (*a == 'v' || *a == 'V') && is_digit(a[1]);
	b += (*b == 'v' || *b == 'V') && is_digit(b[1]);
	while (*a && *b) {
		const char *x, *y;
		const size_t x_len = next_run(&a, &x), y_len = next_run(&b, &y);
		int r;

		if (run_of(*x) != run_of(*y))
			return POLICY_NOT_COMPARABLE;
		r = run_of(*x) == DIGITS ? compare_numbers(x, x_len, y, y_len)
					 : compare_text(x, x_len, y, y_len);
		if (r != 0)
			return r;
	}
	return (*a != '\0') - (*b != '\0');
}

/* ---- rows ---- */

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

static char *trim(char *text)
{
	size_t len;

	while (is_blank(*text))
		text++;
	len = strlen(text);
	while (len > 0 && is_blank(text[len - 1]))
		text[--len] = '\0';
	return text;
}

/* The next field of a line; NULL if there is none. */
static char *next_field(char **line, bool last)
{
	char *field = *line, *end = field && !last ? strchr(field, '|') : NULL;

	if (!field)
		return NULL;
	if (end)
		*end++ = '\0';
	*line = end;
	return trim(field);
}

static const char *read_state(const char *text, enum policy_state *ret)
{
	for (int i = POLICY_ALLOWED; i <= POLICY_RECALLED; i++) {
		if (strcasecmp(text, states[i]) == 0) {
			*ret = (enum policy_state)i;
			return NULL;
		}
	}
	return "it begins with none of allowed, outdated and recalled";
}

static const char *read_range(char *text, struct row *row)
{
	char *dots = strstr(text, "..");

	row->any = strcmp(text, "*") == 0;
	if (*text == '\0')
		return "its firmware is empty; * is any";
	if (row->any)
		return NULL;
	if (!dots) {
		row->from = row->to = text;
		return NULL;
	}
	*dots = '\0';
	row->below = dots[2] == '<';
	row->from = *trim(text) ? trim(text) : NULL;
	row->to = trim(dots + 2 + row->below);
	if (strstr(row->to, ".."))
		return "its firmware has more than two ends";
	if (*row->to == '\0')
		row->to = NULL;
	if (row->below && !row->to)
		return "its firmware says below, but not below what";
	if (!row->from && !row->to)
		return "its firmware has no end; * is any";
	if (row->from && row->to && policy_compare(row->from, row->to) >= (row->below ? 0 : 1))
		return "its firmware goes from a later to an earlier one, or cannot be compared";
	return NULL;
}

/* NULL, or what is wrong */
static const char *read_row(char *line, struct row *ret)
{
	struct row row = { .note = "" };
	char *state = next_field(&line, false), *make = next_field(&line, false);
	char *model = next_field(&line, false), *firmware = next_field(&line, false);
	const char *note = next_field(&line, true), *why;

	if (!firmware)
		return "it is not: state | make | model | firmware | note";
	why = read_state(state, &row.state);
	if (!why)
		why = read_range(firmware, &row);
	if (!why && (*make == '\0' || *model == '\0'))
		why = "its make or model is empty; * is any";
	if (why)
		return why;
	row.make = make;
	row.model = model;
	row.note = note ? note : "";
	*ret = row;
	return NULL;
}

static int add_line(struct policy *policy, char *line, const char **ret_why)
{
	if (*trim(line) == '\0' || *trim(line) == '#')
		return 0;
	if (policy->n >= POLICY_ROWS_MAX)
		*ret_why = "there are too many rows";
	else
		*ret_why = read_row(line, &policy->rows[policy->n]);
	if (*ret_why)
		return -EBADMSG;
	policy->n++;
	return 0;
}

static int add_lines(struct policy *policy, char *text, unsigned int *ret_line,
		     const char **ret_why)
{
	char *next = text;
	int r = 0;

	for (unsigned int number = 1; next && r == 0; number++) {
		char *line = next, *end = strchr(line, '\n');

		if (end)
			*end = '\0';
		next = end ? end + 1 : NULL;
		*ret_line = number;
		r = add_line(policy, line, ret_why);
	}
	return r;
}

int policy_read(char *text, size_t len, struct policy **ret, unsigned int *ret_line,
		const char **ret_why)
{
	struct policy *policy = calloc(1, sizeof(*policy));
	unsigned int line = 1;
	const char *why = NULL;
	int r = -ENOMEM;

	if (policy)
		policy->rows = calloc(POLICY_ROWS_MAX, sizeof(*policy->rows));
	if (policy && policy->rows) {
		why = strlen(text) == len ? NULL : "it is no text";
		r = why ? -EBADMSG : add_lines(policy, text, &line, &why);
	}
	if (r < 0) {
		*ret_line = line;
		*ret_why = why;
		policy_free(policy);
		return r;
	}
	*ret = policy;
	return 0;
}

void policy_free(struct policy *policy)
{
	if (!policy)
		return;
	free(policy->rows);
	free(policy);
}

/* ---- judgement ---- */

static bool fits_name(const char *pattern, const char *name)
{
	const size_t len = strlen(pattern);

	if (len > 0 && pattern[len - 1] == '*')
		return strncasecmp(pattern, name, len - 1) == 0;
	return strcasecmp(pattern, name) == 0;
}

enum fit {
	FITS,
	FITS_NOT,
	FIT_NOT_KNOWN,
};

static enum fit fits_firmware(const struct row *row, const char *firmware)
{
	int from, to;

	if (row->any)
		return FITS;
	if (*firmware == '\0')
		return FIT_NOT_KNOWN;
	from = row->from ? policy_compare(firmware, row->from) : 0;
	to = row->to ? policy_compare(firmware, row->to) : -1;
	if (from == POLICY_NOT_COMPARABLE || to == POLICY_NOT_COMPARABLE)
		return FIT_NOT_KNOWN;
	return from >= 0 && (to < 0 || (to == 0 && !row->below)) ? FITS : FITS_NOT;
}

enum policy_state policy_judge(const struct policy *policy, const char *make, const char *model,
			       const char *firmware, const char **ret_note)
{
	enum policy_state state = POLICY_UNKNOWN, worst_doubt = POLICY_UNKNOWN;
	const char *note = "";

	for (size_t i = 0; i < policy->n; i++) {
		const struct row *row = &policy->rows[i];
		enum fit fit;

		if (!fits_name(row->make, make) || !fits_name(row->model, model))
			continue;
		fit = fits_firmware(row, firmware);
		if (fit == FIT_NOT_KNOWN && row->state > worst_doubt)
			worst_doubt = row->state;
		if (fit == FITS && row->state > state) {
			state = row->state;
			note = row->note;
		}
	}
	/* it may be one that was recalled: that it is allowed cannot be said */
	if (worst_doubt > state) {
		state = POLICY_UNKNOWN;
		note = "";
	}
	if (ret_note)
		*ret_note = note;
	return state;
}
