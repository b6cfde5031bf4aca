/*
 * Writes HTML into memory that grows to a limit. What comes from elsewhere goes through
 * html_text(), which escapes it; html_raw() is for our own constant markup. Once something did not
 * fit, all later calls do nothing and `failed` says so: half a page is never sent.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "gateway/words/words.h"

#define HTML_MAX ((size_t)512 * 1024)

struct html {
	char *data;
	size_t len, size;
	bool failed;
};

void html_finish(struct html *h);
void html_raw(struct html *h, const char *markup);
/* & < > " ' and control characters */
void html_text(struct html *h, const char *text);
/* Markup with numbers or safe names in it. The result is not escaped and at most 512 bytes. */
__attribute__((format(printf, 2, 3))) void html_markup(struct html *h, const char *format, ...);
/* <tag>text</tag>; tag may have attributes: "p class=\"x\"" */
void html_element(struct html *h, const char *tag, const char *text);
void html_say(struct html *h, const char *tag, enum words_id id, const struct words_fill *fill);
/* the text alone */
void html_words(struct html *h, enum words_id id);
