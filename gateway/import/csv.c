/* Comma separated files of numbers, stamps and plain names: no quotes, one header line. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "gateway/import/layout.h"

enum {
	LINE_MAX_BYTES = 512,
	CELLS_MAX = 16,
};

struct row {
	char text[LINE_MAX_BYTES]; /* cells end in NUL */
	const char *cells[CELLS_MAX];
	size_t n;
};

struct columns {
	size_t time, value, source; /* source: CELLS_MAX if there is none */
};

/* -EBADMSG: too long, too many cells, or a NUL in it */
static int split(const char *line, size_t len, struct row *row)
{
	if (len > 0 && line[len - 1] == '\r')
		len--;
	if (len >= sizeof(row->text) || memchr(line, '\0', len))
		return -EBADMSG;
	memcpy(row->text, line, len);
	row->text[len] = '\0';
	row->n = 0;
	for (char *next = row->text; next; row->n++) {
		char *cell = next;

		if (row->n == CELLS_MAX)
			return -EBADMSG;
		next = strchr(cell, ',');
		if (next)
			*next++ = '\0';
		row->cells[row->n] = cell;
	}
	return 0;
}

static size_t column(const struct row *header, const char *name)
{
	for (size_t i = 0; i < header->n; i++) {
		if (strcmp(header->cells[i], name) == 0)
			return i;
	}
	return CELLS_MAX;
}

static int find_columns(enum fitbit_kind kind, const struct row *header, struct columns *ret)
{
	const char *value = kind == FITBIT_STEPS_CSV    ? "steps"
			    : kind == FITBIT_WEIGHT_CSV ? "weight grams"
							: "beats per minute";

	ret->time = column(header, "timestamp");
	ret->value = column(header, value);
	ret->source = column(header, "data source");
	return ret->time == CELLS_MAX || ret->value == CELLS_MAX ? -EBADMSG : 0;
}

/* "Phone Health Connect", "Strava Health Connect": another maker's device, another app's count */
static bool is_other_app(const char *source)
{
	static const char tail[] = "health connect";
	const size_t len = strlen(source);

	return len >= sizeof(tail) - 1 && strcasecmp(source + len - (sizeof(tail) - 1), tail) == 0;
}

static int take_steps(const struct fitbit_reader *r, const struct device_time *t,
		      struct number value)
{
	struct fitbit_item item;

	if (value.value.mantissa == 0)
		return reader_refuse(r, FITBIT_EMPTY);
	item_init(&item, METRIC_STEPS, UNIT_STEPS, value);
	item.m.time = *t;
	item.m.has_duration = true;
	item.m.duration_ms = 60000;
	(void)snprintf(item.id, sizeof(item.id), "steps/%lld", (long long)stamp_seconds(t));
	(void)snprintf(item.context, sizeof(item.context),
		       "Fitbit export; time: UTC, as the file says");
	return reader_take(r, &item);
}

static int take_weight(const struct fitbit_reader *r, const struct device_time *t,
		       struct number value)
{
	struct fitbit_item item;

	item_init(&item, METRIC_BODY_WEIGHT, UNIT_G, value);
	item.m.time = *t;
	(void)snprintf(item.id, sizeof(item.id), "weight/%lldZ", (long long)stamp_seconds(t));
	(void)snprintf(item.context, sizeof(item.context),
		       "Fitbit export; time: UTC, as the file says");
	return reader_take(r, &item);
}

static int take_resting(const struct fitbit_reader *r, const char *day, struct number value)
{
	struct fitbit_item item;
	struct device_time t;

	if (stamp_day(day, &t) < 0)
		return reader_refuse(r, FITBIT_BAD_TIME);
	if (value.value.mantissa == 0)
		return reader_refuse(r, FITBIT_EMPTY);
	item_init(&item, METRIC_RESTING_HEART_RATE, UNIT_PER_MIN, value);
	item.m.time = t;
	item.m.flags = FLAG_BIT(FLAG_TIME_UNCERTAIN);
	(void)snprintf(item.id, sizeof(item.id), "resting/%04u-%02u-%02u", t.year, t.month, t.day);
	(void)snprintf(item.context, sizeof(item.context),
		       "Fitbit export; the value of a day, no time of day is known");
	return reader_take(r, &item);
}

static int take_row(enum fitbit_kind kind, const struct fitbit_reader *r, const struct row *row,
		    const struct columns *c)
{
	struct device_time t;
	struct number value;

	if (c->time >= row->n || c->value >= row->n ||
	    number_parse(row->cells[c->value], &value) < 0 || value.value.mantissa < 0)
		return reader_refuse(r, FITBIT_BAD_FIELD);
	if (c->source < row->n && is_other_app(row->cells[c->source]))
		return reader_refuse(r, FITBIT_OTHER_APP);
	if (kind == FITBIT_RESTING_CSV)
		return take_resting(r, row->cells[c->time], value);
	if (stamp_iso(row->cells[c->time], &t) < 0)
		return reader_refuse(r, FITBIT_BAD_TIME);
	if (t.kind != DEVICE_TIME_UTC)
		return reader_refuse(r, FITBIT_NO_ZONE);
	return kind == FITBIT_STEPS_CSV ? take_steps(r, &t, value) : take_weight(r, &t, value);
}

/* the next line without its end; NULL at the end of the text */
static const char *next_line(const char **text, size_t *len, size_t *ret_len)
{
	const char *line = *text, *end;

	if (*len == 0)
		return NULL;
	end = memchr(line, '\n', *len);
	*ret_len = end ? (size_t)(end - line) : *len;
	*text += *ret_len + (end ? 1 : 0);
	*len -= *ret_len + (end ? 1 : 0);
	return line;
}

/* Its nights are counted, and none is taken: see fitbit.h. */
static int refuse_sleep(const struct fitbit_reader *r, const char *text, size_t len)
{
	static const char first[] = "sleep_id,";
	const char *line;
	size_t n = 0;
	int result = 0;

	line = next_line(&text, &len, &n);
	if (!line || (n >= 7 && memcmp(line, "no data", 7) == 0))
		return 0;
	if (n < sizeof(first) || memcmp(line, first, sizeof(first) - 1) != 0)
		return -EBADMSG;
	while (result == 0 && (line = next_line(&text, &len, &n)) != NULL) {
		if (n > 0 && *line != '\r')
			result = reader_refuse(r, FITBIT_SAME_NIGHT);
	}
	return result;
}

int layout_csv(enum fitbit_kind kind, const struct fitbit_reader *r, const char *text, size_t len)
{
	struct columns columns;
	const char *line;
	struct row row;
	size_t n = 0;
	int result;

	if (kind == FITBIT_SLEEP_CSV)
		return refuse_sleep(r, text, len);
	line = next_line(&text, &len, &n);
	if (!line)
		return 0;
	if (split(line, n, &row) < 0)
		return -EBADMSG;
	if (strcmp(row.text, "no data") == 0) /* what is written where there is nothing */
		return 0;
	result = find_columns(kind, &row, &columns);
	while (result == 0 && (line = next_line(&text, &len, &n)) != NULL) {
		if (n == 0 || (n == 1 && *line == '\r'))
			continue;
		result = split(line, n, &row) < 0 ? reader_refuse(r, FITBIT_BAD_FIELD)
						  : take_row(kind, r, &row, &columns);
	}
	return result;
}
