#include "gateway/news.h"

#include <stddef.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

#define ROW(name)                                                          \
	{                                                                  \
		WELLGATE__V1__NEWS__NEWS_##name, WORDS_NEWS_##name##_TEXT, \
			WORDS_NEWS_##name##_ALL, WORDS_NEWS_##name##_DO    \
	}

/* the last one: for news that this version has no words for */
static const struct {
	Wellgate__V1__News news;
	enum words_id text, of_all, advice;
} rows[] = {
	ROW(PRESS_BUTTON),  ROW(MODEL_NOT_SUPPORTED), ROW(MEMORY_FULL),   ROW(READINGS_LOST),
	ROW(CLOCK_NOT_SET), ROW(BATTERY_LOW),         ROW(MEASURE_AGAIN), ROW(ENCRYPTED_NO_KEY),
	ROW(KEY_WRONG),     ROW(NOT_CHOSEN),          ROW(OUT_OF_REACH),  ROW(ANOTHER_DEVICE),
	ROW(NOT_READ),      ROW(UNSPECIFIED),
};

uint32_t news_of(const Wellgate__V1__News *news, size_t n)
{
	uint32_t set = 0;

	for (size_t i = 0; i < n; i++) {
		const int value = (int)news[i];

		if (value > 0 && value < NEWS_MAX)
			set |= UINT32_C(1) << value;
	}
	return set;
}

size_t news_list(uint32_t set, Wellgate__V1__News ret[NEWS_MAX])
{
	size_t n = 0;

	for (int i = 1; i < NEWS_MAX; i++) {
		if (set & UINT32_C(1) << i)
			ret[n++] = (Wellgate__V1__News)i;
	}
	return n;
}

struct news_words news_words(enum words_language language, Wellgate__V1__News news)
{
	size_t i = 0;

	while (i + 1 < COUNT(rows) && rows[i].news != news)
		i++;
	return (struct news_words){ .news = rows[i].news,
				    .text = words_text(language, rows[i].text),
				    .of_all = words_text(language, rows[i].of_all),
				    .advice = words_text(language, rows[i].advice) };
}
