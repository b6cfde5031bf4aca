#include "gateway/import/registry_file.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/goals/zone.h"
#include "gateway/text.h"
#include "gateway/words/words.h"

#define KIND(name)  WELLGATE__V1__REGISTRY_EVENT__DEVICE_KIND__DEVICE_KIND_##name
#define BASIS(name) WELLGATE__V1__REGISTRY_EVENT__BASIS__BASIS_##name

enum {
	CELL_MAX = 80, /* longer is nothing that belongs here */
	HEX_DIGITS = 2 * REGISTRY_DIGEST,
	SLOT_MOST = 255,
	OFFSET_MOST_MIN = 14 * 60,
};

/* What a row may have. */
enum key {
	KEY_WHAT,
	KEY_DEVICE,
	KEY_KIND,
	KEY_MEMORY,
	KEY_SLOTS,
	KEY_CLOCK,
	KEY_GUESSED,
	KEY_SUBJECT,
	KEY_BASIS,
	KEY_FROM,
	KEY_TO,
	KEY_SLOT,
	KEY_WIPED,
	KEY_MARK,
	KEYS
};

static const char *const names[KEYS] = {
	[KEY_WHAT] = "what",
	[KEY_DEVICE] = "device",
	[KEY_KIND] = "kind",
	[KEY_MEMORY] = "memory",
	[KEY_SLOTS] = "slots",
	[KEY_CLOCK] = "clock",
	[KEY_GUESSED] = "slot_guessed",
	[KEY_SUBJECT] = "subject",
	[KEY_BASIS] = "basis",
	[KEY_FROM] = "from",
	[KEY_TO] = "to",
	[KEY_SLOT] = "slot",
	[KEY_WIPED] = "wiped",
	[KEY_MARK] = "mark",
};

struct cells {
	char of[KEYS][CELL_MAX];
};

struct reader {
	struct registry_file *file;
	size_t line, room;
	struct registry_problem problem;
};

static int refuse(struct reader *r, enum words_id id)
{
	r->problem = (struct registry_problem){ r->line, words_text(WORDS_EN, id) };
	return -EBADMSG;
}

/* ---- values */

static int half_byte(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool take_digest(const char *text, uint8_t ret[REGISTRY_DIGEST])
{
	if (strlen(text) != HEX_DIGITS)
		return false;
	for (size_t i = 0; i < REGISTRY_DIGEST; i++) {
		const int high = half_byte(text[2 * i]), low = half_byte(text[2 * i + 1]);

		if (high < 0 || low < 0)
			return false;
		ret[i] = (uint8_t)(high << 4 | low);
	}
	return true;
}

/* n digits; -1: they are none */
static int digits(const char **at, unsigned int n)
{
	int value = 0;

	for (; n > 0; n--, (*at)++) {
		if (**at < '0' || **at > '9')
			return -1;
		value = value * 10 + (**at - '0');
	}
	return value;
}

static bool take_char(const char **at, char c)
{
	if (**at != c)
		return false;
	(*at)++;
	return true;
}

/* Z, or +hh:mm; minutes east */
static bool take_offset(const char **at, int *ret_min)
{
	const int sign = **at == '-' ? -1 : 1;
	int hours, minutes;

	*ret_min = 0;
	if (take_char(at, 'Z'))
		return true;
	if (!take_char(at, '+') && !take_char(at, '-'))
		return false;
	hours = digits(at, 2);
	if (hours < 0 || !take_char(at, ':'))
		return false;
	minutes = digits(at, 2);
	*ret_min = sign * (hours * 60 + minutes);
	return minutes >= 0 && minutes < 60 && hours * 60 + minutes <= OFFSET_MOST_MIN;
}

/* "2026-11-23"; the day's number since 1970 */
static bool take_date(const char **at, int64_t *ret_day)
{
	const int year = digits(at, 4);
	int month, day;

	if (year < 0 || !take_char(at, '-'))
		return false;
	month = digits(at, 2);
	if (month < 1 || month > 12 || !take_char(at, '-'))
		return false;
	day = digits(at, 2);
	if (day < 1 || day > (int)zone_days_in_month(year, (unsigned int)month))
		return false;
	*ret_day = zone_day_number(year, (unsigned int)month, (unsigned int)day);
	return true;
}

static bool take_time(const char *at, int64_t *ret_ms)
{
	int hour, minute, second = 0, offset = 0;
	int64_t day, ms;

	if (!take_date(&at, &day) || (!take_char(&at, 'T') && !take_char(&at, ' ')))
		return false;
	hour = digits(&at, 2);
	if (hour < 0 || hour > 23 || !take_char(&at, ':'))
		return false;
	minute = digits(&at, 2);
	if (minute < 0 || minute > 59)
		return false;
	if (take_char(&at, ':'))
		second = digits(&at, 2);
	if (second < 0 || second > 59 || !take_offset(&at, &offset) || *at)
		return false;
	ms = (((day * 24 + hour) * 60 + minute - offset) * 60 + second) * 1000;
	if (ms < REGISTRY_EARLIEST_MS || ms >= REGISTRY_LATEST_MS)
		return false;
	*ret_ms = ms;
	return true;
}

/* at most nine digits; what is empty is absent */
static bool take_count(const char *text, bool *ret_has, uint32_t *ret)
{
	const size_t len = strlen(text);

	if (ret_has)
		*ret_has = len > 0;
	if (len == 0)
		return true;
	if (len > 9 || strspn(text, "0123456789") != len)
		return false;
	*ret = (uint32_t)strtoul(text, NULL, 10);
	return true;
}

static bool take_yes(const char *text, bool *ret)
{
	*ret = strcmp(text, "yes") == 0;
	return *ret || !*text || strcmp(text, "no") == 0;
}

struct word {
	const char *text;
	int value;
};

static const struct word kinds[] = {
	{ "cuff", KIND(CUFF) },
	{ "scale", KIND(SCALE) },
	{ "wearable", KIND(WEARABLE) },
	{ "oximeter", KIND(OXIMETER) },
	{ "glucose", KIND(GLUCOSE_METER) },
	{ "thermometer", KIND(THERMOMETER) },
	{ "other", KIND(OTHER) },
	{ NULL, 0 },
};

static const struct word bases[] = {
	{ "loan", BASIS(LOAN) },
	{ "owned", BASIS(OWNED) },
	{ "shared", BASIS(SHARED) },
	{ NULL, 0 },
};

/* 0: none of them */
static int take_word(const struct word *words, const char *text)
{
	for (; words->text; words++) {
		if (strcmp(words->text, text) == 0)
			return words->value;
	}
	return 0;
}

/* ---- rows */

static bool has_any(const struct cells *c, enum key from, enum key to)
{
	for (int key = (int)from; key <= (int)to; key++) {
		if (c->of[key][0])
			return true;
	}
	return false;
}

static int take_device(struct reader *r, const struct cells *c, struct registry_row *row)
{
	row->kind = (Wellgate__V1__RegistryEvent__DeviceKind)take_word(kinds, c->of[KEY_KIND]);
	if (row->kind == KIND(UNSPECIFIED))
		return refuse(r, WORDS_FILE_KIND);
	if (!c->of[KEY_MEMORY][0])
		return refuse(r, WORDS_FILE_MEMORY);
	if (!take_count(c->of[KEY_MEMORY], NULL, &row->memory) ||
	    !take_count(c->of[KEY_SLOTS], NULL, &row->slots) || row->slots > SLOT_MOST)
		return refuse(r, WORDS_FILE_NUMBER);
	if (!take_yes(c->of[KEY_CLOCK], &row->clock) ||
	    !take_yes(c->of[KEY_GUESSED], &row->slot_guessed))
		return refuse(r, WORDS_FILE_YES);
	return has_any(c, KEY_SUBJECT, KEY_MARK) ? refuse(r, WORDS_FILE_MIXED) : 0;
}

static int take_assignment(struct reader *r, const struct cells *c, struct registry_row *row)
{
	const char *problem = NULL;

	if (reference_check(c->of[KEY_SUBJECT], &problem) < 0) {
		r->problem = (struct registry_problem){ r->line, problem };
		return -EBADMSG;
	}
	memcpy(row->subject, c->of[KEY_SUBJECT], strlen(c->of[KEY_SUBJECT]) + 1);
	row->basis = (Wellgate__V1__RegistryEvent__Basis)take_word(bases, c->of[KEY_BASIS]);
	if (row->basis == BASIS(UNSPECIFIED))
		return refuse(r, WORDS_FILE_BASIS);
	row->has_to = c->of[KEY_TO][0] != '\0';
	if (!take_time(c->of[KEY_FROM], &row->from_ms) ||
	    (row->has_to && !take_time(c->of[KEY_TO], &row->to_ms)))
		return refuse(r, WORDS_FILE_TIME);
	if (row->has_to && row->to_ms < row->from_ms)
		return refuse(r, WORDS_FILE_ORDER);
	if (!take_count(c->of[KEY_SLOT], &row->has_slot, &row->slot) ||
	    !take_count(c->of[KEY_MARK], &row->has_mark, &row->mark))
		return refuse(r, WORDS_FILE_NUMBER);
	if (!take_yes(c->of[KEY_WIPED], &row->wiped))
		return refuse(r, WORDS_FILE_YES);
	return has_any(c, KEY_KIND, KEY_GUESSED) ? refuse(r, WORDS_FILE_MIXED) : 0;
}

static int make_room(struct reader *r)
{
	const size_t room = r->room ? 2 * r->room : 64;
	struct registry_row *rows;

	if (r->file->n == REGISTRY_FILE_ROWS_MAX)
		return refuse(r, WORDS_FILE_TOO_LARGE);
	if (r->file->n < r->room)
		return 0;
	rows = reallocarray(r->file->rows, room, sizeof(*rows));
	if (!rows)
		return -ENOMEM;
	r->file->rows = rows;
	r->room = room;
	return 0;
}

static int take_row(struct reader *r, const struct cells *c, bool is_device)
{
	struct registry_row row = { .line = r->line, .is_device = is_device };
	int result;

	if (!take_digest(c->of[KEY_DEVICE], row.device))
		return refuse(r, WORDS_FILE_DEVICE);
	result = is_device ? take_device(r, c, &row) : take_assignment(r, c, &row);
	if (result == 0)
		result = make_room(r);
	if (result == 0)
		r->file->rows[r->file->n++] = row;
	return result;
}

static int set_cell(struct reader *r, struct cells *c, enum key key, const char *text, size_t len)
{
	if (len >= CELL_MAX)
		return refuse(r, WORDS_FILE_LONG);
	memcpy(c->of[key], text, len);
	c->of[key][len] = '\0';
	/* a value that says it is none of ours: nothing here has such letters */
	return text_is_clean(c->of[key]) ? 0 : refuse(r, WORDS_FILE_TEXT);
}

static int find_key(const char *name)
{
	for (int key = 0; key < KEYS; key++) {
		if (strcmp(names[key], name) == 0)
			return key;
	}
	return -1;
}

/* ---- CSV */

struct line {
	const char *at, *end;
};

/* One cell, its quotes taken off; false: there is none. -EBADMSG in *ret: a quote without its
 * other one, or too long. */
static bool next_cell(struct line *l, char ret[CELL_MAX], size_t *ret_len, bool *ret_bad)
{
	const bool quoted = l->at && l->at < l->end && *l->at == '"';
	bool open = quoted;
	size_t len = 0;

	*ret_bad = false;
	if (!l->at)
		return false;
	l->at += quoted;
	while (l->at < l->end && (open || *l->at != ',')) {
		const bool quote = *l->at == '"';

		if (quote && open && (l->end - l->at < 2 || l->at[1] != '"')) {
			open = false;
			l->at++;
			continue;
		}
		if ((quote && !open) || (quoted && !open) || len == CELL_MAX - 1) {
			*ret_bad = true;
			return true;
		}
		l->at += quote && open; /* a doubled one */
		ret[len++] = *l->at++;
	}
	*ret_bad = open;
	*ret_len = len;
	l->at = l->at < l->end ? l->at + 1 : NULL;
	return true;
}

struct header {
	int keys[KEYS]; /* of each column */
	size_t n;
	bool has[KEYS];
};

static int read_header(struct reader *r, struct line l, struct header *ret)
{
	char cell[CELL_MAX];
	size_t len = 0;
	bool bad;

	while (next_cell(&l, cell, &len, &bad)) {
		int key;

		if (bad || ret->n == KEYS)
			return refuse(r, WORDS_FILE_COLUMNS);
		cell[len] = '\0';
		key = strlen(cell) == len ? find_key(cell) : -1;
		if (key < 0 || ret->has[key])
			return refuse(r, WORDS_FILE_COLUMNS);
		ret->has[key] = true;
		ret->keys[ret->n++] = key;
	}
	return ret->has[KEY_WHAT] && ret->has[KEY_DEVICE] ? 0 : refuse(r, WORDS_FILE_COLUMNS);
}

static int read_line(struct reader *r, struct line l, const struct header *header)
{
	struct cells c = { 0 };
	char cell[CELL_MAX];
	size_t len = 0, n = 0;
	bool bad;
	int result = 0;

	for (; result == 0 && next_cell(&l, cell, &len, &bad); n++) {
		if (bad)
			return refuse(r, WORDS_FILE_TEXT);
		if (n == header->n)
			return refuse(r, WORDS_FILE_CELLS);
		result = set_cell(r, &c, (enum key)header->keys[n], cell, len);
	}
	if (result < 0)
		return result;
	if (n != header->n)
		return refuse(r, WORDS_FILE_CELLS);
	if (strcmp(c.of[KEY_WHAT], "device") == 0)
		return take_row(r, &c, true);
	if (strcmp(c.of[KEY_WHAT], "assignment") == 0)
		return take_row(r, &c, false);
	return refuse(r, WORDS_FILE_WHAT);
}

static int read_csv(struct reader *r, const char *text, size_t len)
{
	const char *end = text + len;
	struct header header = { 0 };
	int result = 0;

	while (text < end && result == 0) {
		const char *stop = memchr(text, '\n', (size_t)(end - text));
		struct line l = { text, stop ? stop : end };

		text = stop ? stop + 1 : end;
		r->line++;
		if (l.end > l.at && l.end[-1] == '\r')
			l.end--;
		if (l.at == l.end)
			continue;
		result = header.n == 0 ? read_header(r, l, &header) : read_line(r, l, &header);
	}
	return result;
}

/* ---- JSON */

/* a text, a number or a yes/no as the text that a CSV would have */
static int json_cell(struct reader *r, struct cells *c, enum key key, const json_t *value)
{
	char number[24];

	if (json_is_string(value))
		return set_cell(r, c, key, json_string_value(value), json_string_length(value));
	if (json_is_boolean(value))
		return set_cell(r, c, key, json_is_true(value) ? "yes" : "no",
				json_is_true(value) ? 3 : 2);
	if (json_is_null(value))
		return 0;
	if (!json_is_integer(value))
		return refuse(r, WORDS_FILE_TEXT);
	(void)snprintf(number, sizeof(number), "%lld", (long long)json_integer_value(value));
	return set_cell(r, c, key, number, strlen(number));
}

static int json_entry(struct reader *r, json_t *entry, bool is_device)
{
	struct cells c = { 0 };
	const char *name;
	json_t *value;
	int result = json_is_object(entry) ? 0 : refuse(r, WORDS_FILE_TEXT);

	json_object_foreach(entry, name, value)
	{
		const int key = find_key(name);

		if (result < 0)
			return result;
		if (key < 0 || key == KEY_WHAT)
			return refuse(r, WORDS_FILE_COLUMNS);
		result = json_cell(r, &c, (enum key)key, value);
	}
	return result < 0 ? result : take_row(r, &c, is_device);
}

static int json_list(struct reader *r, const json_t *list, bool is_device)
{
	int result = 0;

	r->line = 0;
	if (list && !json_is_array(list))
		return refuse(r, WORDS_FILE_COLUMNS);
	for (size_t i = 0; result == 0 && i < json_array_size(list); i++) {
		r->line = i + 1;
		result = json_entry(r, json_array_get(list, i), is_device);
	}
	return result;
}

static int read_json(struct reader *r, const char *text, size_t len)
{
	json_t *root = json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL);
	const json_t *devices = json_object_get(root, "devices");
	const json_t *assignments = json_object_get(root, "assignments");
	const size_t lists = (devices != NULL) + (size_t)(assignments != NULL);
	int result = 0;

	r->file->json = true;
	if (!json_is_object(root) || lists == 0 || json_object_size(root) != lists)
		result = refuse(r, WORDS_FILE_COLUMNS);
	if (result == 0)
		result = json_list(r, devices, true);
	if (result == 0)
		result = json_list(r, assignments, false);
	json_decref(root);
	return result;
}

/* ---- all of it */

/* Devices first; then in the order in which it happened, as the registry has to hear it. Of two at
 * one time the earlier line first. */
static int by_time(const void *a, const void *b)
{
	const struct registry_row *x = a, *y = b;

	if (x->is_device != y->is_device)
		return x->is_device ? -1 : 1;
	if (x->from_ms != y->from_ms)
		return x->from_ms < y->from_ms ? -1 : 1;
	return (x->line > y->line) - (x->line < y->line);
}

static int read_file(struct reader *r, const char *text, size_t len)
{
	static const char mark[] = "\xef\xbb\xbf";
	int result;

	if (len > REGISTRY_FILE_MAX)
		return refuse(r, WORDS_FILE_TOO_LARGE);
	if (len >= 3 && memcmp(text, mark, 3) == 0) {
		text += 3;
		len -= 3;
	}
	result = len > 0 && text[0] == '{' ? read_json(r, text, len) : read_csv(r, text, len);
	if (result < 0)
		return result;
	r->line = 0;
	if (r->file->n == 0)
		return refuse(r, WORDS_FILE_EMPTY);
	qsort(r->file->rows, r->file->n, sizeof(r->file->rows[0]), by_time);
	return 0;
}

int registry_file_read(const char *text, size_t len, struct registry_file **ret,
		       struct registry_problem *ret_problem)
{
	struct reader r = { .file = calloc(1, sizeof(*r.file)) };
	int result;

	if (!r.file)
		return -ENOMEM;
	result = read_file(&r, text, len);
	if (result < 0) {
		registry_file_free(r.file);
		if (result == -EBADMSG)
			*ret_problem = r.problem;
		return result;
	}
	*ret = r.file;
	return 0;
}

void registry_file_free(struct registry_file *f)
{
	if (!f)
		return;
	free(f->rows);
	free(f);
}
