#include "gateway/page/html.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GROW     ((size_t)16 * 1024)
#define TEXT_MAX 512

void html_finish(struct html *h)
{
	free(h->data);
	*h = (struct html){ 0 };
}

static void put(struct html *h, const char *bytes, size_t n)
{
	if (h->failed || n > HTML_MAX - h->len) {
		h->failed = true;
		return;
	}
	if (h->len + n > h->size) {
		const size_t size = h->len + n + GROW;
		char *data = realloc(h->data, size);

		if (!data) {
			h->failed = true;
			return;
		}
		h->data = data;
		h->size = size;
	}
	if (n > 0)
		memcpy(h->data + h->len, bytes, n);
	h->len += n;
}

void html_raw(struct html *h, const char *markup)
{
	put(h, markup, strlen(markup));
}

static const char *escaped(char c)
{
	switch (c) {
	case '&':
		return "&amp;";
	case '<':
		return "&lt;";
	case '>':
		return "&gt;";
	case '"':
		return "&quot;";
	case '\'':
		return "&#39;";
	default:
		return (unsigned char)c < 0x20 || c == 0x7f ? "?" : NULL;
	}
}

void html_text(struct html *h, const char *text)
{
	for (const char *p = text ? text : ""; *p; p++) {
		const char *other = escaped(*p);

		put(h, other ? other : p, other ? strlen(other) : 1);
	}
}

void html_markup(struct html *h, const char *format, ...)
{
	char text[TEXT_MAX];
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	if (n < 0 || (size_t)n >= sizeof(text))
		h->failed = true;
	else
		put(h, text, (size_t)n);
}

void html_element(struct html *h, const char *tag, const char *text)
{
	html_raw(h, "<");
	html_raw(h, tag);
	html_raw(h, ">");
	html_text(h, text);
	html_raw(h, "</");
	put(h, tag, strcspn(tag, " "));
	html_raw(h, ">\n");
}

void html_say(struct html *h, const char *tag, enum words_id id, const struct words_fill *fill)
{
	char text[TEXT_MAX];

	if (words_say(WORDS_EN, id, fill, text, sizeof(text)) < 0)
		h->failed = true;
	else
		html_element(h, tag, text);
}

void html_words(struct html *h, enum words_id id)
{
	html_text(h, words_text(WORDS_EN, id));
}
