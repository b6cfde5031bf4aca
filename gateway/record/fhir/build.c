#include "gateway/record/fhir/build.h"

#include <assert.h>
#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* No text of ours has a control character, so this cannot be one that somebody sent. */
#define MARK     "\001"
#define MARKED   "\"\\u0001" /* as jansson writes the beginning of a marked text */
#define YEAR_MAX INT64_C(253402300799999)
#define DAY_MIN  INT64_C(1440)

json_t *build_object(struct build *b)
{
	json_t *o = json_object();

	b->failed = b->failed || !o;
	return o;
}

json_t *build_list(struct build *b)
{
	json_t *l = json_array();

	b->failed = b->failed || !l;
	return l;
}

static bool is_empty(const json_t *value)
{
	return (json_is_object(value) && json_object_size(value) == 0) ||
	       (json_is_array(value) && json_array_size(value) == 0);
}

void build_put(struct build *b, json_t *to, const char *key, json_t *value)
{
	if (is_empty(value))
		json_decref(value);
	else if (json_object_set_new(to, key, value) < 0)
		b->failed = true;
}

void build_add(struct build *b, json_t *list, json_t *value)
{
	if (is_empty(value))
		json_decref(value);
	else if (json_array_append_new(list, value) < 0)
		b->failed = true;
}

/* what jansson takes, and FHIR: no control characters, UTF-8 */
static json_t *clean_string(char *text)
{
	json_t *s;

	for (char *c = text; *c; c++) {
		if ((unsigned char)*c < 0x20 || *c == 0x7f)
			*c = ' ';
	}
	s = json_string(text);
	for (char *c = text; !s && *c; c++) {
		if ((unsigned char)*c >= 0x80)
			*c = '?';
	}
	return s ? s : json_string(text);
}

json_t *build_string(struct build *b, const char *text)
{
	char *copy = strdup(text);
	json_t *s = copy ? clean_string(copy) : NULL;

	free(copy);
	b->failed = b->failed || !s;
	return s;
}

void build_text(struct build *b, json_t *to, const char *key, const char *text)
{
	if (text && text[0])
		build_put(b, to, key, build_string(b, text));
}

void build_decimal(struct build *b, json_t *to, const char *key, struct decimal value)
{
	char text[DECIMAL_TEXT_MAX + 1] = MARK;

	if (decimal_format(text + 1, sizeof(text) - 1, value) < 0)
		b->failed = true;
	else
		build_put(b, to, key, json_string(text));
}

bool build_time(char ret[BUILD_TIME_MAX], int64_t utc_ms, int32_t offset_min)
{
	const int32_t offset = abs(offset_min) < DAY_MIN ? offset_min : 0;
	char fraction[8] = "", zone[8] = "Z";
	time_t seconds;
	struct tm tm;

	if (utc_ms < 0 || utc_ms > YEAR_MAX - INT64_C(60000) * DAY_MIN)
		return false;
	seconds = (time_t)(utc_ms / 1000 + INT64_C(60) * offset);
	if (!gmtime_r(&seconds, &tm))
		return false;
	if (utc_ms % 1000 != 0)
		(void)snprintf(fraction, sizeof(fraction), ".%03u", (unsigned int)(utc_ms % 1000));
	if (offset != 0)
		(void)snprintf(zone, sizeof(zone), "%c%02u:%02u", offset < 0 ? '-' : '+',
			       (unsigned int)abs(offset) / 60U % 24U,
			       (unsigned int)abs(offset) % 60U);
	(void)snprintf(ret, BUILD_TIME_MAX, "%04d-%02d-%02dT%02d:%02d:%02d%s%s", tm.tm_year + 1900,
		       tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, fraction, zone);
	return true;
}

void build_uuid(char ret[BUILD_UUID_MAX], const char *what, const void *data, size_t len)
{
	crypto_generichash_state state;
	uint8_t u[16];

	/* these fail only for sizes that these are not */
	(void)crypto_generichash_init(&state, NULL, 0, sizeof(u));
	(void)crypto_generichash_update(&state, (const uint8_t *)what, strlen(what) + 1);
	(void)crypto_generichash_update(&state, data, len);
	(void)crypto_generichash_final(&state, u, sizeof(u));
	u[6] = (uint8_t)((u[6] & 0x0f) | 0x80);
	u[8] = (uint8_t)((u[8] & 0x3f) | 0x80);
	(void)snprintf(
		ret, BUILD_UUID_MAX,
		"urn:uuid:%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x",
		u[0], u[1], u[2], u[3], u[4], u[5], u[6], u[7], u[8], u[9], u[10], u[11], u[12],
		u[13], u[14], u[15]);
}

/* Marked texts become what they hold: "\u000174.0" is 74.0. Never longer than before. */
static void unmark(char *text)
{
	const char *from = text;
	char *to = text;

	while (*from) {
		if (strncmp(from, MARKED, strlen(MARKED)) != 0) {
			*to++ = *from++;
			continue;
		}
		from += strlen(MARKED);
		while (*from && *from != '"')
			*to++ = *from++;
		from += *from == '"';
	}
	*to = '\0';
}

char *build_dump(const json_t *tree, bool pretty)
{
	char *text = json_dumps(tree, pretty ? JSON_INDENT(2) : JSON_COMPACT);

	if (text)
		unmark(text);
	return text;
}
