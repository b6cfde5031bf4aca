#include "gateway/record/report.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/cli/format.h"

struct question {
	const char *sql;
	const char *nothing; /* to say when there are no rows */
	const char *names[8];
	bool number[8];
	bool time[8];
};

/* one line per row for people: the columns in order, each after its name */
static const struct question questions[] = {
	[REPORT_LAG] = {
		"SELECT site || '/' || hub, COALESCE(state, 'never said'), last_heard_ms,"
		" COALESCE(announced, 0), COALESCE(watermark, 0), behind, COALESCE(waiting, 0)"
		" FROM lag ORDER BY behind DESC, site, hub",
		"no hub was heard yet",
		{ "hub", "state", "heard", "announced", "stored_without_gap", "behind",
		  "waiting_on_the_hub" },
		{ false, false, true, true, true, true, true },
		{ false, false, true },
	},
	[REPORT_GAPS] = {
		"SELECT site || '/' || hub, epoch, kind, first_sequence, last_sequence, missing"
		" FROM gap ORDER BY site, hub, epoch, kind, first_sequence",
		"nothing is missing between the numbers that came",
		{ "hub", "epoch", "kind", "first", "last", "missing" },
		{ false, false, false, true, true, true },
		{ false },
	},
	[REPORT_LETTERS] = {
		"SELECT dead_row, topic, reason, times, length, last_heard_ms FROM dead_letter"
		" ORDER BY dead_row",
		"there are no dead letters",
		{ "number", "topic", "reason", "times", "length", "heard" },
		{ true, false, false, true, true, true },
		{ false, false, false, false, false, true },
	},
};

struct printing {
	const struct question *question;
	FILE *out;
	bool json;
	size_t n;
};

static int print_json(const struct db_row *row, struct printing *p)
{
	json_t *object = json_object();
	int r = object ? 0 : -ENOMEM;

	for (size_t i = 0; r == 0 && i < row->n; i++) {
		const char *text = row->column[i] ? row->column[i] : "";
		json_t *value = p->question->number[i] ? json_integer(strtoll(text, NULL, 10))
						       : json_string(text);

		if (json_object_set_new(object, p->question->names[i], value) < 0)
			r = -ENOMEM;
	}
	if (r == 0 && (json_dumpf(object, p->out, JSON_COMPACT) < 0 || fputc('\n', p->out) < 0))
		r = -EIO;
	json_decref(object);
	return r;
}

static int print_row(const struct db_row *row, void *user)
{
	struct printing *p = user;

	p->n++;
	if (p->json)
		return print_json(row, p);
	for (size_t i = 0; i < row->n; i++) {
		const char *text = row->column[i] ? row->column[i] : "";
		char when[FORMAT_TIME_MAX];

		if (p->question->time[i]) {
			format_utc(when, strtoll(text, NULL, 10));
			text = when;
		}
		if (fprintf(p->out, "%s%s %s", i > 0 ? "  " : "", p->question->names[i], text) < 0)
			return -EIO;
	}
	return fputc('\n', p->out) < 0 ? -EIO : 0;
}

int report_print(struct db *db, enum report report, bool json, FILE *out)
{
	struct printing p = { .question = &questions[report], .out = out, .json = json };
	int r = db_run(db, p.question->sql, NULL, 0, print_row, &p);

	if (r == 0 && p.n == 0 && !json && fprintf(out, "%s\n", p.question->nothing) < 0)
		r = -EIO;
	return r < 0 ? r : fflush(out) == 0 ? 0 : -EIO;
}
