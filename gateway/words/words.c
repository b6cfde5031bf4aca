#include "gateway/words/words.h"

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <strings.h>

/* One table per language; check.cmake has compared each with words.def. */
static const char *const en[WORDS_END] = {
#define SAY(id, text) [WORDS_##id] = (text),
#include "gateway/words/en.def"
#undef SAY
};

static const struct {
	const char *tag; /* primary subtag */
	const char *const *table;
} languages[WORDS_LANGUAGES] = {
	[WORDS_EN] = { "en", en },
};

static const char *const hole_names[WORDS_HOLES] = {
	[WORDS_NUMBER] = "number", [WORDS_WHEN] = "when",     [WORDS_GOAL] = "goal",
	[WORDS_DAYS] = "days",     [WORDS_DEVICE] = "device", [WORDS_REFERENCE] = "reference",
	[WORDS_DATES] = "dates",   [WORDS_FROM] = "from",     [WORDS_TO] = "to",
	[WORDS_UNIT] = "unit",
};

enum words_language words_language(const char *tag)
{
	const size_t len = strcspn(tag, "-_."); /* "_" and ".": the names of locales */

	for (size_t i = 0; i < WORDS_LANGUAGES; i++) {
		if (strlen(languages[i].tag) == len && strncasecmp(languages[i].tag, tag, len) == 0)
			return (enum words_language)i;
	}
	return WORDS_EN;
}

const char *words_of(const char *const table[WORDS_END], enum words_id id)
{
	assert(id > WORDS_NONE && id < WORDS_END);
	return table[id] ? table[id] : en[id];
}

const char *words_text(enum words_language language, enum words_id id)
{
	assert(language < WORDS_LANGUAGES);
	return words_of(languages[language].table, id);
}

/* The piece that `text` begins with, up to a brace or what stands for a hole, and how long it is in
 * the text. */
static const char *piece(const char *text, const struct words_fill *fill, size_t *ret_in_text,
			 size_t *ret_len)
{
	*ret_in_text = *ret_len = strcspn(text, "{");
	if (*ret_len > 0)
		return text;
	for (size_t i = 0; i < WORDS_HOLES; i++) {
		const size_t len = strlen(hole_names[i]);

		if (strncmp(text + 1, hole_names[i], len) == 0 && text[1 + len] == '}') {
			assert(fill && fill->of[i]);
			*ret_in_text = len + 2;
			*ret_len = strlen(fill->of[i]);
			return fill->of[i];
		}
	}
	assert(false); /* check.cmake lets no other hole through */
	*ret_in_text = *ret_len = strlen(text);
	return text;
}

int words_say(enum words_language language, enum words_id id, const struct words_fill *fill,
	      char *ret, size_t size)
{
	const char *text = words_text(language, id), *from;
	size_t in_text, len, total = 0;

	for (const char *p = text; *p; p += in_text) {
		(void)piece(p, fill, &in_text, &len);
		total += len;
	}
	if (total >= size)
		return -ENOSPC;
	total = 0;
	for (const char *p = text; *p; p += in_text) {
		from = piece(p, fill, &in_text, &len);
		(void)memcpy(ret + total, from, len);
		total += len;
	}
	ret[total] = '\0';
	return (int)total;
}
