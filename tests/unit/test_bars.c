/* links: gateway_print */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "gateway/cli/bars.h"

static const struct bars blocks = { .blocks = true, .width = 80 };
static const struct bars ascii = { .blocks = false, .width = 80 };

static void test_bar(void **state)
{
	static const struct {
		struct decimal value, of;
		const char *blocks, *ascii;
	} rows[] = {
		{ { 0, 0 }, { 10, 0 }, "░░░░░░░░░░", "[..........]" },
		{ { -5, 0 }, { 10, 0 }, "░░░░░░░░░░", "[..........]" },
		{ { 1, -9 }, { 10, 0 }, "▏░░░░░░░░░", "[#.........]" }, /* begun */
		{ { 5, 0 }, { 10, 0 }, "█████░░░░░", "[#####.....]" },
		{ { 4200, 0 }, { 7, 3 }, "██████░░░░", "[######....]" },
		{ { 555, -2 }, { 10, 0 }, "█████▌░░░░", "[######....]" },
		{ { 999999, 0 }, { 1, 6 }, "█████████▉", "[#########.]" }, /* not there yet */
		{ { 10, 0 }, { 10, 0 }, "██████████", "[##########]" },
		{ { 9, 9 }, { 10, 0 }, "██████████", "[##########]" },
		{ { 5, 0 }, { 0, 0 }, "░░░░░░░░░░", "[..........]" },
		{ { INT64_MAX, 40 }, { 1, -40 }, "██████████", "[##########]" },
		{ { 1, -40 }, { INT64_MAX, 40 }, "▏░░░░░░░░░", "[#.........]" },
	};
	char text[BARS_TEXT_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		bars_bar(&blocks, rows[i].value, rows[i].of, 10, text);
		assert_string_equal(text, rows[i].blocks);
		bars_bar(&ascii, rows[i].value, rows[i].of, 10, text);
		assert_string_equal(text, rows[i].ascii);
	}
}

static void test_line(void **state)
{
	const struct bars_value values[] = {
		{ true, { 0, 0 } }, { true, { 1, 0 } },   { true, { 35, -1 } }, { true, { 6, 0 } },
		{ true, { 7, 0 } }, { false, { 99, 0 } }, { true, { 8, 0 } },   { true, { -9, 0 } },
	};
	const struct decimal low = { 0, 0 }, high = { 7, 0 };
	char text[BARS_TEXT_MAX];

	(void)state;
	bars_line(&blocks, values, 8, low, high, text);
	assert_string_equal(text, "▁▂▅▇█·█▁");
	bars_line(&ascii, values, 8, low, high, text);
	assert_string_equal(text, "_.=*# #_");
	bars_line(&blocks, values, 0, low, high, text);
	assert_string_equal(text, "");
	bars_line(&blocks, values, 3, high, high, text); /* all alike: in the middle */
	assert_string_equal(text, "▄▄▄");
}

/* the most that is asked for fits, and of too many the last are shown */
static void test_most(void **state)
{
	struct bars_value values[BARS_CELLS_MAX + 1] = { { .known = true } };
	char text[BARS_TEXT_MAX];

	(void)state;
	for (size_t i = 1; i <= BARS_CELLS_MAX; i++)
		values[i] = (struct bars_value){ true, { 7, 0 } };
	bars_line(&blocks, values, BARS_CELLS_MAX + 1, (struct decimal){ 0, 0 },
		  (struct decimal){ 7, 0 }, text);
	assert_int_equal(strlen(text), 3 * BARS_CELLS_MAX);
	assert_int_equal(strncmp(text, "█", 3), 0);
	bars_bar(&blocks, (struct decimal){ 1, 0 }, (struct decimal){ 2, 0 }, 1000, text);
	assert_int_equal(strlen(text), 3 * BARS_CELLS_MAX);
	bars_bar(&ascii, (struct decimal){ 1, 0 }, (struct decimal){ 2, 0 }, 1000, text);
	assert_int_equal(strlen(text), BARS_CELLS_MAX + 2);
}

static void test_style(void **state)
{
	static const struct {
		const char *lc_all, *lang, *term;
		bool blocks;
	} rows[] = {
		{ "", "en_GB.UTF-8", "xterm-256color", true }, { "", "C.utf8", "xterm", true },
		{ "C", "en_GB.UTF-8", "xterm", false },        { "", "", "xterm", false },
		{ "", "en_GB.UTF-8", "linux", false },         { "", "en_GB.UTF-8", "dumb", false },
	};

	(void)state;
	(void)unsetenv("LC_CTYPE");
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		(void)setenv("LC_ALL", rows[i].lc_all, 1);
		(void)setenv("LANG", rows[i].lang, 1);
		(void)setenv("TERM", rows[i].term, 1);
		assert_int_equal(bars_style().blocks, rows[i].blocks);
		assert_in_range(bars_style().width, 40, 200);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bar),
		cmocka_unit_test(test_line),
		cmocka_unit_test(test_most),
		cmocka_unit_test(test_style),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
