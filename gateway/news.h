/*
 * What somebody in front of a device could do or has to know (enum drv_news of drivers/driver.h),
 * as a set of bits and as words. The words are ours alone, never a device's; they help and do not
 * scold: who reads them may be unwell.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "gateway/words/words.h"
#include "wellgate.pb-c.h"

#define NEWS_MAX       32
#define NEWS_BIT(name) (UINT32_C(1) << WELLGATE__V1__NEWS__NEWS_##name)

/* News of a newer wellgate-devices are kept; what cannot be one is not. */
uint32_t news_of(const Wellgate__V1__News *news, size_t n);
/* The other way round, rising; returns how many. */
size_t news_list(uint32_t set, Wellgate__V1__News ret[NEWS_MAX]);

struct news_words {
	Wellgate__V1__News news;
	const char *text;   /* a sentence about "it" */
	const char *of_all; /* for a count behind it: "devices whose battery is low" */
	const char *advice; /* what to do */
};
/* All texts are constant (gateway/words); news that are not known have words of their own. */
struct news_words news_words(enum words_language language, Wellgate__V1__News news);
