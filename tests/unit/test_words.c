/* links: gateway_words */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "gateway/words/words.h"

static void test_each_is_said(void **state)
{
	(void)state;
	for (int id = WORDS_NONE + 1; id < WORDS_END; id++) {
		const char *text = words_text(WORDS_EN, (enum words_id)id);

		assert_non_null(text);
		assert_true(text[0] != '\0');
	}
}

static void test_language(void **state)
{
	(void)state;
	assert_int_equal(words_language("en"), WORDS_EN);
	assert_int_equal(words_language("EN-GB"), WORDS_EN);
	assert_int_equal(words_language("en_GB.UTF-8"), WORDS_EN);
	assert_int_equal(words_language("tlh"), WORDS_EN);
	assert_int_equal(words_language(""), WORDS_EN);
}

static void test_gaps_are_english(void **state)
{
	static const char *const table[WORDS_END] = { [WORDS_TITLE_SLEEP] = "Schlaf" };

	(void)state;
	assert_string_equal(words_of(table, WORDS_TITLE_SLEEP), "Schlaf");
	assert_string_equal(words_of(table, WORDS_TITLE_STEPS), "Walking");
}

static void test_holes(void **state)
{
	const struct words_fill fill = {
		.of = { [WORDS_NUMBER] = "{when}", [WORDS_WHEN] = "this week" }
	};
	const char *want = "You walked {when} steps this week.";
	char text[64], tight[8] = "before";
	const size_t len = strlen(want);

	(void)state;
	assert_int_equal(words_say(WORDS_EN, WORDS_GOAL_SUM_STEPS, &fill, text, sizeof(text)), len);
	assert_string_equal(text, want);
	assert_int_equal(words_say(WORDS_EN, WORDS_GOAL_SUM_STEPS, &fill, text, len + 1), len);
	assert_int_equal(words_say(WORDS_EN, WORDS_GOAL_SUM_STEPS, &fill, tight, sizeof(tight)),
			 -ENOSPC);
	assert_string_equal(tight, "before");
	assert_int_equal(words_say(WORDS_EN, WORDS_GOAL_SUM_STEPS, &fill, text, len), -ENOSPC);
	assert_int_equal(words_say(WORDS_EN, WORDS_TITLE_SLEEP, NULL, tight, sizeof(tight)), 5);
	assert_string_equal(tight, "Sleep");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_is_said),
		cmocka_unit_test(test_language),
		cmocka_unit_test(test_gaps_are_english),
		cmocka_unit_test(test_holes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
