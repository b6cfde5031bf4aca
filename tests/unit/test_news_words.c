/* links: gateway_base */
#include "gateway/news.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define DESCRIPTOR (&wellgate__v1__news__descriptor)

static void test_each_has_words(void **state)
{
	const struct news_words none = news_words(WORDS_EN, WELLGATE__V1__NEWS__NEWS_UNSPECIFIED);

	(void)state;
	assert_true(DESCRIPTOR->n_values > 1);
	for (unsigned int i = 0; i < DESCRIPTOR->n_values; i++) {
		const int news = DESCRIPTOR->values[i].value;
		const struct news_words w = news_words(WORDS_EN, (Wellgate__V1__News)news);

		assert_int_equal(w.news, news);
		assert_int_equal(w.text == none.text, news == 0);
		assert_true(w.text[0] >= 'A' && w.text[0] <= 'Z');
		assert_int_equal(w.text[strlen(w.text) - 1], '.');
		assert_true(w.of_all[0] && w.advice[0]);
	}
	assert_ptr_equal(news_words(WORDS_EN, (Wellgate__V1__News)31).text, none.text);
	assert_ptr_equal(news_words(WORDS_EN, (Wellgate__V1__News)-1).text, none.text);
}

/* Who reads them may be unwell: nobody is blamed, and nothing is an alarm. */
static void test_they_do_not_scold(void **state)
{
	static const char *const hard[] = { "you ",  "your",    "must",    "fail",  "error",
					    "wrong", "problem", "invalid", "never", "!" };

	(void)state;
	for (unsigned int i = 0; i < DESCRIPTOR->n_values; i++) {
		const struct news_words w =
			news_words(WORDS_EN, (Wellgate__V1__News)DESCRIPTOR->values[i].value);

		for (size_t j = 0; j < sizeof(hard) / sizeof(hard[0]); j++) {
			assert_null(strcasestr(w.text, hard[j]));
			assert_null(strcasestr(w.of_all, hard[j]));
			assert_null(strcasestr(w.advice, hard[j]));
		}
	}
}

static void test_sets(void **state)
{
	static const int said[] = { 12, 1, 1, 0, -1, 32, 31, INT32_MAX, INT32_MIN };
	Wellgate__V1__News list[sizeof(said) / sizeof(said[0])], back[NEWS_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof(said) / sizeof(said[0]); i++)
		list[i] = (Wellgate__V1__News)said[i];
	assert_int_equal(news_of(list, 0), 0);
	assert_true(news_of(list, sizeof(said) / sizeof(said[0])) ==
		    (NEWS_BIT(PRESS_BUTTON) | NEWS_BIT(ANOTHER_DEVICE) | UINT32_C(1) << 31));
	assert_int_equal(news_list(UINT32_MAX, back), NEWS_MAX - 1);
	assert_int_equal(news_list(NEWS_BIT(KEY_WRONG) | NEWS_BIT(PRESS_BUTTON), back), 2);
	assert_int_equal(back[0], WELLGATE__V1__NEWS__NEWS_PRESS_BUTTON);
	assert_int_equal(back[1], WELLGATE__V1__NEWS__NEWS_KEY_WRONG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_has_words),
		cmocka_unit_test(test_they_do_not_scold),
		cmocka_unit_test(test_sets),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
