#include "protocols/capture/cap.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "protocols/capture/stamp.h"

#define US_PER_SECOND INT64_C(1000000)
#define SECONDS_MAX   INT64_C(10000000000) /* three centuries: keeps every sum inside int64_t */

struct word {
	const char *text;
	size_t len;
};

struct line {
	struct cap_reader *reader;
	const char *text;
	size_t len, pos;
};

static int bad(struct line *l, int r, const char *problem)
{
	l->reader->problem = problem;
	return r;
}

static bool word_is(struct word w, const char *text)
{
	return w.len == strlen(text) && memcmp(w.text, text, w.len) == 0;
}

/* the next word; empty at the end of the line */
static struct word next_word(struct line *l)
{
	struct word w;

	while (l->pos < l->len && l->text[l->pos] == ' ')
		l->pos++;
	w.text = l->text + l->pos;
	while (l->pos < l->len && l->text[l->pos] != ' ')
		l->pos++;
	w.len = (size_t)(l->text + l->pos - w.text);
	return w;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

static bool parse_hex16(struct word w, uint16_t *ret)
{
	unsigned int value = 0;

	if (w.len == 0 || w.len > 4)
		return false;
	for (size_t i = 0; i < w.len; i++) {
		const int digit = hex_digit(w.text[i]);

		if (digit < 0)
			return false;
		value = value << 4 | (unsigned int)digit;
	}
	*ret = (uint16_t)value;
	return true;
}

/* ---- header ---- */

static struct word trim(struct word w)
{
	while (w.len > 0 && (w.text[0] == ' ' || w.text[0] == '\t')) {
		w.text++;
		w.len--;
	}
	while (w.len > 0 && (w.text[w.len - 1] == ' ' || w.text[w.len - 1] == '\t'))
		w.len--;
	return w;
}

static int header_start(struct line *l, struct word value)
{
	if (stamp_parse(value.text, value.len, &l->reader->start_ms) < 0)
		return bad(l, -EINVAL, "start is not a time like 2026-11-16T07:58:00Z");
	l->reader->has_start = true;
	return 0;
}

/* "# key: value"; anything else behind a # is a comment, and so is everything after an event */
static int parse_header(struct line *l)
{
	const char *colon = memchr(l->text, ':', l->len);
	struct cap_reader *r = l->reader;
	struct word key, value;

	if (!colon || r->last_us >= 0)
		return 0;
	key = trim((struct word){ l->text + 1, (size_t)(colon - l->text) - 1 });
	value = trim((struct word){ colon + 1, (size_t)(l->text + l->len - colon) - 1 });
	if (word_is(key, "wellgate-capture")) {
		if (!word_is(value, "1"))
			return bad(l, -EINVAL, "a capture of another version; only 1 is known");
		r->has_version = true;
		return 0;
	}
	if (word_is(key, "consent")) {
		if (value.len == 0)
			return bad(l, -EINVAL, "the consent line is empty");
		r->has_consent = true;
		return 0;
	}
	return word_is(key, "start") ? header_start(l, value) : 0;
}

/* ---- events ---- */

/* "seconds[.up to six decimals]", not before the line above */
static int parse_time(struct line *l, int64_t *ret)
{
	const struct word w = next_word(l);
	int64_t seconds = 0, us = 0, unit = US_PER_SECOND;
	size_t i;

	for (i = 0; i < w.len && w.text[i] >= '0' && w.text[i] <= '9'; i++) {
		seconds = seconds * 10 + (w.text[i] - '0');
		if (seconds > SECONDS_MAX)
			return bad(l, -ERANGE, "the time is too large");
	}
	if (i == 0)
		return bad(l, -EINVAL, "the line does not begin with a time in seconds");
	if (i < w.len && w.text[i] == '.') {
		for (i++; i < w.len && unit > 1 && w.text[i] >= '0' && w.text[i] <= '9'; i++) {
			unit /= 10;
			us += (w.text[i] - '0') * unit;
		}
	}
	if (i < w.len)
		return bad(l, -EINVAL, "the time has something other than six decimals in it");
	seconds = seconds * US_PER_SECOND + us;
	if (seconds < l->reader->last_us)
		return bad(l, -ERANGE, "the time lies before that of the line above");
	*ret = seconds;
	return 0;
}

static int parse_channel(struct line *l, uint16_t *ret)
{
	if (!parse_hex16(next_word(l), ret))
		return bad(l, -EINVAL, "the channel is not 1 to 4 hex digits");
	return 0;
}

/* the rest of the line: hex, blanks between bytes allowed */
static int parse_data(struct line *l, struct cap_event *e)
{
	e->len = 0;
	for (struct word w = next_word(l); w.len > 0; w = next_word(l)) {
		if (w.len % 2 != 0)
			return bad(l, -EINVAL, "the data has half a byte in it");
		for (size_t i = 0; i < w.len; i += 2) {
			const int high = hex_digit(w.text[i]), low = hex_digit(w.text[i + 1]);

			if (high < 0 || low < 0)
				return bad(l, -EINVAL, "the data has a character that is not hex");
			if (e->len == CAP_DATA_MAX)
				return bad(l, -EMSGSIZE, "the data is longer than 1024 bytes");
			e->data[e->len++] = (uint8_t)(high << 4 | low);
		}
	}
	return 0;
}

static int expect_end(struct line *l)
{
	return next_word(l).len == 0 ? 0 : bad(l, -EINVAL, "something stands after the event");
}

/* a byte of a quoted text: itself, or \" \\ \xHH */
static int quoted_byte(struct line *l, char *ret)
{
	char c = l->text[l->pos++];

	if (c != '\\') {
		*ret = c;
		return 0;
	}
	if (l->pos < l->len && (l->text[l->pos] == '"' || l->text[l->pos] == '\\')) {
		*ret = l->text[l->pos++];
		return 0;
	}
	if (l->len - l->pos >= 3 && l->text[l->pos] == 'x') {
		const int high = hex_digit(l->text[l->pos + 1]);
		const int low = hex_digit(l->text[l->pos + 2]);

		if (high >= 0 && low >= 0 && (high | low) != 0) {
			*ret = (char)(uint8_t)(high << 4 | low);
			l->pos += 3;
			return 0;
		}
	}
	return bad(l, -EINVAL, "an escape in quotes is not \\\" \\\\ or \\xHH");
}

/* text in quotes, the opening one consumed */
static int parse_quoted(struct line *l, char *ret, size_t size)
{
	char text[CAP_TEXT_MAX];
	size_t n = 0;
	int r;

	assert(size <= sizeof(text));
	while (l->pos < l->len && l->text[l->pos] != '"') {
		if (n + 1 >= size)
			return bad(l, -EMSGSIZE, "a quoted text is too long");
		r = quoted_byte(l, &text[n]);
		if (r < 0)
			return r;
		n++;
	}
	if (l->pos == l->len)
		return bad(l, -EINVAL, "a quote is not closed");
	l->pos++;
	text[n] = '\0';
	memcpy(ret, text, n + 1);
	return 0;
}

static bool is_bare(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '_' || c == '-' || c == '.';
}

/* the value of key=: letters, digits and _-. without quotes */
static int parse_bare(struct line *l, char *ret, size_t size)
{
	const struct word w = next_word(l);

	if (w.len >= size)
		return bad(l, -EMSGSIZE, "a value is too long");
	for (size_t i = 0; i < w.len; i++) {
		if (!is_bare(w.text[i]))
			return bad(l, -EINVAL, "a value without quotes has letters, digits, _-.");
	}
	memcpy(ret, w.text, w.len);
	ret[w.len] = '\0';
	return 0;
}

/* ... or anything in quotes */
static int parse_text(struct line *l, char *ret, size_t size)
{
	if (l->pos < l->len && l->text[l->pos] == '"') {
		l->pos++;
		return parse_quoted(l, ret, size);
	}
	return parse_bare(l, ret, size);
}

static int parse_number(struct line *l, uint16_t *ret)
{
	if (l->pos < l->len && l->text[l->pos] == ' ')
		return bad(l, -EINVAL, "a key has no value");
	if (!parse_hex16(next_word(l), ret))
		return bad(l, -EINVAL, "a value is not 1 to 4 hex digits");
	return 0;
}

/* moves behind "key=" of the next word; an empty word if there is no key */
static struct word next_key(struct line *l)
{
	size_t end;
	struct word w;

	while (l->pos < l->len && l->text[l->pos] == ' ')
		l->pos++;
	for (end = l->pos; end < l->len && l->text[end] != ' '; end++) {
		if (l->text[end] == '=' && end > l->pos) {
			w = (struct word){ l->text + l->pos, end - l->pos };
			l->pos = end + 1;
			return w;
		}
	}
	return (struct word){ l->text, 0 };
}

/* 1 to 10 decimal digits */
static bool parse_decimal(struct word w, uint32_t max, uint32_t *ret)
{
	uint64_t value = 0;

	if (w.len == 0 || w.len > 10)
		return false;
	for (size_t i = 0; i < w.len; i++) {
		if (w.text[i] < '0' || w.text[i] > '9')
			return false;
		value = value * 10 + (uint64_t)(w.text[i] - '0');
	}
	if (value > max)
		return false;
	*ret = (uint32_t)value;
	return true;
}

/* What stands right behind "key="; empty if a blank does. */
static struct word value_word(struct line *l)
{
	if (l->pos < l->len && l->text[l->pos] == ' ')
		return (struct word){ l->text + l->pos, 0 };
	return next_word(l);
}

static int open_zone(struct line *l, struct cap_open *o)
{
	struct word w = value_word(l);
	const bool west = w.len > 0 && w.text[0] == '-';
	uint32_t minutes;

	if (west) {
		w.text++;
		w.len--;
	}
	if (!parse_decimal(w, CAP_ZONE_MAX, &minutes))
		return bad(l, -EINVAL, "a zone is minutes east of UTC, up to 1080");
	o->has_zone = true;
	o->zone_min = (int16_t)(west ? -(int32_t)minutes : (int32_t)minutes);
	return 0;
}

static int open_consent(struct line *l, struct cap_open *o)
{
	const struct word w = value_word(l);
	const char *colon = w.len > 0 ? memchr(w.text, ':', w.len) : NULL;
	uint32_t slot = CAP_SLOT_NEW, code;
	struct word left, right;

	if (!colon)
		return bad(l, -EINVAL, "a consent is slot:code or new:code");
	left = (struct word){ w.text, (size_t)(colon - w.text) };
	right = (struct word){ colon + 1, (size_t)(w.text + w.len - colon) - 1 };
	if ((!word_is(left, "new") && !parse_decimal(left, CAP_SLOT_NEW - 1, &slot)) ||
	    !parse_decimal(right, 9999, &code))
		return bad(l, -EINVAL, "a consent is slot:code or new:code");
	if (o->n_consents == CAP_CONSENTS_MAX)
		return bad(l, -EMSGSIZE, "more than 8 consents");
	o->consents[o->n_consents++] = (struct cap_consent){ (uint8_t)slot, (uint16_t)code };
	return 0;
}

static int open_kept(struct line *l, struct cap_open *o)
{
	const struct word w = value_word(l);

	if (w.len == 0 || w.len % 2 != 0 || w.len / 2 > CAP_KEPT_MAX)
		return bad(l, -EINVAL, "kept is 1 to 64 bytes in hex");
	for (size_t i = 0; i < w.len; i += 2) {
		const int high = hex_digit(w.text[i]), low = hex_digit(w.text[i + 1]);

		if (high < 0 || low < 0)
			return bad(l, -EINVAL, "kept is 1 to 64 bytes in hex");
		o->kept[i / 2] = (uint8_t)(high << 4 | low);
	}
	o->kept_len = w.len / 2;
	return 0;
}

static int open_last(struct line *l, struct cap_open *o)
{
	if (!parse_decimal(value_word(l), UINT32_MAX, &o->last))
		return bad(l, -EINVAL, "last is a record number");
	o->has_last = true;
	return 0;
}

static int open_quirks(struct line *l, struct cap_open *o)
{
	const struct word w = value_word(l);
	uint32_t bits = 0;

	if (w.len == 0 || w.len > 8)
		return bad(l, -EINVAL, "quirks are 1 to 8 hex digits");
	for (size_t i = 0; i < w.len; i++) {
		const int digit = hex_digit(w.text[i]);

		if (digit < 0)
			return bad(l, -EINVAL, "quirks are 1 to 8 hex digits");
		bits = bits << 4 | (uint32_t)digit;
	}
	o->has_quirks = true;
	o->quirks = bits;
	return 0;
}

/* what the hub knows beforehand */
static int open_knowledge(struct line *l, struct word key, struct cap_open *o)
{
	if (word_is(key, "zone"))
		return open_zone(l, o);
	if (word_is(key, "consent"))
		return open_consent(l, o);
	if (word_is(key, "kept"))
		return open_kept(l, o);
	if (word_is(key, "last"))
		return open_last(l, o);
	if (word_is(key, "quirks"))
		return open_quirks(l, o);
	return bad(l, -EINVAL, "a key that open does not know");
}

static int open_value(struct line *l, struct word key, struct cap_open *o)
{
	if (word_is(key, "service"))
		return parse_number(l, &o->service);
	if (word_is(key, "company"))
		return parse_number(l, &o->company);
	if (word_is(key, "vid"))
		return parse_number(l, &o->vid);
	if (word_is(key, "pid"))
		return parse_number(l, &o->pid);
	if (word_is(key, "name"))
		return parse_text(l, o->name, sizeof(o->name));
	if (word_is(key, "driver"))
		return parse_bare(l, o->driver, sizeof(o->driver));
	if (word_is(key, "link"))
		return parse_bare(l, o->link, sizeof(o->link));
	return open_knowledge(l, key, o);
}

static bool known_word(const char *text, const char *const *words)
{
	for (; *words; words++) {
		if (strcmp(text, *words) == 0)
			return true;
	}
	return false;
}

static int parse_open(struct line *l, struct cap_event *e)
{
	static const char *const buses[] = {
		"ble", "advert", "usb", "hid", "serial", "file", NULL
	};
	static const char *const links[] = { "",      "clear",     "encrypted", "authenticated",
					     "cable", "broadcast", NULL };
	const struct word bus = next_word(l);
	int r;

	if (bus.len >= sizeof(e->open.bus))
		return bad(l, -EINVAL, "open names a bus that is not known");
	memcpy(e->open.bus, bus.text, bus.len);
	if (!known_word(e->open.bus, buses))
		return bad(l, -EINVAL, "open names a bus that is not known");
	for (struct word key = next_key(l); key.len > 0; key = next_key(l)) {
		r = open_value(l, key, &e->open);
		if (r < 0)
			return r;
	}
	if (!known_word(e->open.link, links))
		return bad(l, -EINVAL, "open names a link security that is not known");
	return expect_end(l);
}

static int parse_advert(struct line *l, struct cap_event *e)
{
	int r;

	for (struct word key = next_key(l); key.len > 0; key = next_key(l)) {
		if (word_is(key, "service"))
			r = parse_number(l, &e->service);
		else if (word_is(key, "company"))
			r = parse_number(l, &e->company);
		else
			r = bad(l, -EINVAL, "a key that advert does not know");
		if (r < 0)
			return r;
	}
	return parse_data(l, e);
}

/* what follows '>' : confirm, write, read */
static int parse_ours(struct line *l, struct cap_event *e)
{
	const struct word verb = next_word(l);
	int r;

	if (word_is(verb, "confirm"))
		e->kind = CAP_CONFIRM;
	else if (word_is(verb, "write"))
		e->kind = CAP_WRITE;
	else if (word_is(verb, "read"))
		e->kind = CAP_READ;
	else
		return bad(l, -EINVAL, "after '>' comes confirm, write or read");
	r = parse_channel(l, &e->channel);
	if (r < 0)
		return r;
	return e->kind == CAP_WRITE ? parse_data(l, e) : expect_end(l);
}

static int parse_what(struct line *l, struct cap_event *e)
{
	const struct word what = next_word(l);
	int r;

	if (word_is(what, "<")) {
		e->kind = CAP_FRAME;
		r = parse_channel(l, &e->channel);
		return r < 0 ? r : parse_data(l, e);
	}
	if (word_is(what, ">"))
		return parse_ours(l, e);
	if (word_is(what, "open")) {
		e->kind = CAP_OPEN;
		return parse_open(l, e);
	}
	if (word_is(what, "advert")) {
		e->kind = CAP_ADVERT;
		return parse_advert(l, e);
	}
	if (word_is(what, "close")) {
		e->kind = CAP_CLOSE;
		return expect_end(l);
	}
	return bad(l, -EINVAL, "after the time comes open, <, >, advert or close");
}

static int check_session(struct line *l, const struct cap_event *e)
{
	if (e->kind == CAP_OPEN)
		return l->reader->in_session ? bad(l, -EINVAL, "open inside an open session") : 0;
	return l->reader->in_session ? 0 : bad(l, -EINVAL, "an event before open");
}

void cap_reader_init(struct cap_reader *r)
{
	*r = (struct cap_reader){ .last_us = -1 };
}

int cap_read_line(struct cap_reader *r, const char *line, size_t len, struct cap_event *ret)
{
	struct line l = { .reader = r, .text = line, .len = len };
	struct cap_event e = { 0 };
	int err;

	r->line++;
	if (len > 0 && line[len - 1] == '\r')
		l.len--;
	if (trim((struct word){ line, l.len }).len == 0)
		return 0;
	if (line[0] == '#')
		return parse_header(&l);
	if (!r->has_version)
		return bad(&l, -EINVAL, "no line '# wellgate-capture: 1' above the first event");
	if (!r->has_consent)
		return bad(&l, -EINVAL, "no line '# consent: ...' above the first event");
	err = parse_time(&l, &e.at_us);
	if (err == 0)
		err = parse_what(&l, &e);
	if (err == 0)
		err = check_session(&l, &e);
	if (err < 0)
		return err;
	r->last_us = e.at_us;
	r->in_session = e.kind != CAP_CLOSE;
	*ret = e;
	return 1;
}

/* ---- writing ---- */

struct text {
	char *buf;
	size_t size, len;
	bool failed;
};

__attribute__((format(printf, 2, 3))) static void put(struct text *t, const char *format, ...)
{
	va_list args;
	int n;

	if (t->failed)
		return;
	va_start(args, format);
	n = vsnprintf(t->buf + t->len, t->size - t->len, format, args);
	va_end(args);
	if (n < 0 || (size_t)n >= t->size - t->len)
		t->failed = true;
	else
		t->len += (size_t)n;
}

static void put_hex(struct text *t, const uint8_t *data, size_t len)
{
	if (len > 0)
		put(t, " ");
	for (size_t i = 0; i < len; i++)
		put(t, "%02x", data[i]);
}

static void put_number(struct text *t, const char *key, uint16_t value)
{
	if (value != 0)
		put(t, " %s=%04x", key, value);
}

static void put_quoted(struct text *t, const char *key, const char *value)
{
	if (value[0] == '\0')
		return;
	put(t, " %s=\"", key);
	for (; *value; value++) {
		const uint8_t byte = (uint8_t)*value;

		if (byte == '"' || byte == '\\')
			put(t, "\\%c", byte);
		else if (byte < ' ' || byte == 0x7f)
			put(t, "\\x%02x", byte);
		else
			put(t, "%c", byte);
	}
	put(t, "\"");
}

static void put_knowledge(struct text *t, const struct cap_open *o)
{
	assert(o->n_consents <= CAP_CONSENTS_MAX && o->kept_len <= CAP_KEPT_MAX);
	if (o->has_zone)
		put(t, " zone=%d", o->zone_min);
	for (size_t i = 0; i < o->n_consents; i++) {
		const struct cap_consent *c = &o->consents[i];

		if (c->slot == CAP_SLOT_NEW)
			put(t, " consent=new:%u", c->code);
		else
			put(t, " consent=%u:%u", c->slot, c->code);
	}
	if (o->kept_len > 0)
		put(t, " kept=");
	for (size_t i = 0; i < o->kept_len; i++)
		put(t, "%02x", o->kept[i]);
	if (o->has_last)
		put(t, " last=%lu", (unsigned long)o->last);
	if (o->has_quirks)
		put(t, " quirks=%lx", (unsigned long)o->quirks);
}

static void put_open(struct text *t, const struct cap_open *o)
{
	put(t, "open %s", o->bus);
	put_number(t, "service", o->service);
	put_number(t, "company", o->company);
	put_number(t, "vid", o->vid);
	put_number(t, "pid", o->pid);
	put_quoted(t, "name", o->name);
	if (o->driver[0])
		put(t, " driver=%s", o->driver);
	if (o->link[0])
		put(t, " link=%s", o->link);
	put_knowledge(t, o);
}

static void put_time(struct text *t, int64_t us)
{
	const int64_t rest = us % US_PER_SECOND;

	assert(us >= 0);
	if (rest % 1000 == 0)
		put(t, "%lld.%03lld ", (long long)(us / US_PER_SECOND), (long long)(rest / 1000));
	else
		put(t, "%lld.%06lld ", (long long)(us / US_PER_SECOND), (long long)rest);
}

int cap_write_event(const struct cap_event *event, char *buf, size_t size)
{
	struct text t = { .buf = buf, .size = size };

	assert(event->len <= CAP_DATA_MAX);
	put_time(&t, event->at_us);
	switch (event->kind) {
	case CAP_OPEN:
		put_open(&t, &event->open);
		break;
	case CAP_FRAME:
		put(&t, "< %04x", event->channel);
		put_hex(&t, event->data, event->len);
		break;
	case CAP_ADVERT:
		put(&t, "advert");
		put_number(&t, "service", event->service);
		put_number(&t, "company", event->company);
		put_hex(&t, event->data, event->len);
		break;
	case CAP_CONFIRM:
		put(&t, "> confirm %04x", event->channel);
		break;
	case CAP_WRITE:
		put(&t, "> write %04x", event->channel);
		put_hex(&t, event->data, event->len);
		break;
	case CAP_READ:
		put(&t, "> read %04x", event->channel);
		break;
	case CAP_CLOSE:
		put(&t, "close");
		break;
	}
	put(&t, "\n");
	return t.failed ? -ENOSPC : (int)t.len;
}
