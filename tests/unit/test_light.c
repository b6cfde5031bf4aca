/* links: gateway_light */
/* What the light shows for what happened, and what of it arrives in the files of LED devices. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "gateway/light/lamp.h"
#include "gateway/light/light.h"

#define MS    INT64_C(1000)
#define S     INT64_C(1000000)
#define T0    (1000 * S)
#define NEVER LIGHT_NEVER

/* ---- the states ---- */

static struct light_show look(struct light *l, int64_t at)
{
	struct light_show show;

	light_look(l, at, &show);
	return show;
}

static void assert_show(struct light *l, int64_t at, enum light_pattern pattern,
			enum light_colour colour, unsigned int level, int64_t next)
{
	const struct light_show show = look(l, at);

	assert_int_equal(show.pattern, pattern);
	if (level > 0)
		assert_int_equal(show.colour, colour);
	assert_int_equal(show.level, level);
	assert_true(show.next_us == next);
}

static void assert_steady(struct light *l, int64_t at, enum light_pattern pattern,
			  enum light_colour colour, unsigned int level)
{
	assert_show(l, at, pattern, colour, level, NEVER);
}

static void test_fine(void **state)
{
	struct light l = { 0 };

	(void)state;
	assert_steady(&l, T0, LIGHT_FINE, LIGHT_WHITE, 100);
	light_night(&l, true);
	assert_steady(&l, T0, LIGHT_DARK, LIGHT_WHITE, 0);
	light_night(&l, false);
	assert_steady(&l, T0, LIGHT_FINE, LIGHT_WHITE, 100);
}

/* Follows a pattern as the timer would: what was shown, a letter each time it changed. */
static void follow(struct light *l, int64_t at, char *ret, size_t size)
{
	size_t len = 0;
	char last = 0;

	for (int i = 0; i < 500; i++) {
		const struct light_show show = look(l, at);
		const char now = show.level > 0 ? "wba"[show.colour] : '.';

		if (now != last) {
			assert_true(len + 2 < size);
			ret[len++] = now;
		}
		last = now;
		if (show.next_us == NEVER)
			break;
		assert_true(show.next_us > at);
		at = show.next_us;
	}
	ret[len] = '\0';
}

static void assert_follow(struct light *l, int64_t at, const char *wanted)
{
	char seen[64];

	follow(l, at, seen, sizeof(seen));
	assert_string_equal(seen, wanted);
}

static void test_saving(void **state)
{
	struct light l = { 0 };
	bool dark = false, bright = false;

	(void)state;
	light_reading(&l, T0);
	for (int64_t at = T0; at < T0 + LIGHT_PULSE_US; at += 50 * MS) {
		const struct light_show show = look(&l, at);

		assert_int_equal(show.pattern, LIGHT_SAVING);
		assert_int_equal(show.colour, LIGHT_WHITE);
		assert_true(show.next_us > at && show.next_us <= T0 + LIGHT_PULSE_US);
		dark = dark || show.level == 0;
		bright = bright || show.level == 100;
		light_reading(&l, at); /* more of them: it does not last longer */
	}
	assert_true(dark && bright);
	assert_steady(&l, T0 + LIGHT_PULSE_US, LIGHT_FINE, LIGHT_WHITE, 100);
	light_gave_up(&l);
	light_reading(&l, T0 + 10 * S);
	assert_int_equal(look(&l, T0 + 10 * S).pattern, LIGHT_SAVING);
	light_gave_up(&l);
	assert_steady(&l, T0 + 10 * S, LIGHT_FINE, LIGHT_WHITE, 100);
}

static void test_saved(void **state)
{
	struct light l = { 0 };

	(void)state;
	light_reading(&l, T0);
	light_saved(&l, 1, T0 + 5 * MS);
	assert_show(&l, T0 + 5 * MS, LIGHT_SAVED, LIGHT_BLUE, 0, T0 + 205 * MS);
	assert_show(&l, T0 + 205 * MS, LIGHT_SAVED, LIGHT_BLUE, 100, T0 + 405 * MS);
	assert_follow(&l, T0 + 5 * MS, ".b.b.w");
	/* two people, one after the other: both get their answer */
	light_saved(&l, 2, T0 + 10 * S);
	light_saved(&l, 3, T0 + 10 * S + 100 * MS);
	assert_follow(&l, T0 + 10 * S + 100 * MS, ".b.b.b.b.w");
	light_night(&l, true);
	light_saved(&l, 4, T0 + 30 * S);
	assert_follow(&l, T0 + 30 * S, ".b.b.");
}

static void test_sent(void **state)
{
	struct light l;

	(void)state;
	light_start(&l, 7, 7);
	light_delivered(&l, 7, T0);
	assert_steady(&l, T0, LIGHT_FINE, LIGHT_WHITE, 100);
	light_saved(&l, 9, T0);
	light_delivered(&l, 8, T0 + 3 * S); /* not all of it */
	assert_steady(&l, T0 + 3 * S, LIGHT_FINE, LIGHT_WHITE, 100);
	light_delivered(&l, 9, T0 + 4 * S);
	assert_show(&l, T0 + 4 * S, LIGHT_SENT, LIGHT_BLUE, 100, T0 + 9 * S);
	assert_show(&l, T0 + 8 * S, LIGHT_SENT, LIGHT_BLUE, 100, T0 + 9 * S);
	assert_steady(&l, T0 + 9 * S, LIGHT_FINE, LIGHT_WHITE, 100);
	light_delivered(&l, 9, T0 + 10 * S);
	assert_steady(&l, T0 + 10 * S, LIGHT_FINE, LIGHT_WHITE, 100);
	/* faster than the blinks: it waits for them, and lasts as long */
	light_saved(&l, 10, T0 + 20 * S);
	light_delivered(&l, 10, T0 + 20 * S + 50 * MS);
	assert_int_equal(look(&l, T0 + 20 * S + 50 * MS).pattern, LIGHT_SAVED);
	assert_show(&l, T0 + 20 * S + LIGHT_BLINKS_US, LIGHT_SENT, LIGHT_BLUE, 100,
		    T0 + 25 * S + LIGHT_BLINKS_US);
	/* a held one is saved and not sent: the blue of the one before is not its answer */
	light_saved(&l, 10, T0 + 22 * S);
	assert_follow(&l, T0 + 22 * S, ".b.b.w");
}

static void test_sent_late(void **state)
{
	struct light l;

	(void)state;
	light_start(&l, 9, 3);
	light_night(&l, true);
	light_delivered(&l, 9, T0); /* nobody waits for what was before the start */
	assert_steady(&l, T0, LIGHT_DARK, LIGHT_WHITE, 0);
	light_saved(&l, 10, T0);
	(void)look(&l, T0 + 2 * S);
	light_delivered(&l, 10, T0 + LIGHT_ANSWER_US + 1);
	assert_steady(&l, T0 + LIGHT_ANSWER_US + 1, LIGHT_DARK, LIGHT_WHITE, 0);
	light_saved(&l, 11, T0 + 200 * S);
	light_delivered(&l, 11, T0 + 203 * S);
	assert_follow(&l, T0 + 203 * S, "b.");
	light_night(&l, false);
	light_saved(&l, 12, T0 + 300 * S);
	(void)look(&l, T0 + 302 * S);
	light_delivered(&l, 12, T0 + 3000 * S);
	assert_follow(&l, T0 + 3000 * S, "bw");
}

static void test_cards(void **state)
{
	struct light l = { 0 };

	(void)state;
	light_card(&l, LIGHT_CARD_FULL, T0);
	assert_show(&l, T0, LIGHT_LOOK, LIGHT_AMBER, 100, T0 + 4 * S);
	assert_show(&l, T0 + 4 * S, LIGHT_LOOK, LIGHT_AMBER, 0, T0 + 5 * S);
	assert_show(&l, T0 + 7 * S, LIGHT_LOOK, LIGHT_AMBER, 100, T0 + 9 * S);
	light_saved(&l, 1, T0 + 7 * S); /* an answer comes before */
	assert_int_equal(look(&l, T0 + 7 * S).pattern, LIGHT_SAVED);
	assert_int_equal(look(&l, T0 + 7 * S + LIGHT_BLINKS_US).pattern, LIGHT_LOOK);
	light_night(&l, true);
	assert_steady(&l, T0 + 8 * S, LIGHT_DARK, LIGHT_AMBER, 0);
	light_night(&l, false);
	light_card(&l, LIGHT_CARD_DEVICES, T0 + 10 * S);
	assert_show(&l, T0 + 39 * S, LIGHT_FINE, LIGHT_WHITE, 100, T0 + 40 * S);
	light_card(&l, LIGHT_CARD_DEVICES, T0 + 39 * S); /* the same: it began when it began */
	assert_show(&l, T0 + 40 * S, LIGHT_LOOK, LIGHT_AMBER, 100, T0 + 44 * S);
	light_card(&l, LIGHT_CARD_NONE, T0 + 41 * S);
	assert_steady(&l, T0 + 41 * S, LIGHT_FINE, LIGHT_WHITE, 100);
}

static void test_hours(void **state)
{
	static const char *const wrong[] = { "",
					     "22:00",
					     "22:00-7:00",
					     "24:00-07:00",
					     "22:60-07:00",
					     "22:00 07:00",
					     "22:00-07:00 ",
					     "no",
					     "2200-07:000",
					     "aa:00-07:00",
					     "-1:00-07:00" };
	static const struct {
		const char *hours;
		unsigned int minute;
		bool night;
		unsigned int minutes;
	} rows[] = {
		{ "22:00-07:00", 22 * 60, true, 9 * 60 },
		{ "22:00-07:00", 0, true, 7 * 60 },
		{ "22:00-07:00", 6 * 60 + 59, true, 1 },
		{ "22:00-07:00", 7 * 60, false, 15 * 60 },
		{ "22:00-07:00", 21 * 60 + 59, false, 1 },
		{ "01:30-05:45", 90, true, 255 },
		{ "01:30-05:45", 345, false, 1440 - 255 },
		{ "01:30-05:45", 0, false, 90 },
		{ "none", 0, false, 0 },
		{ "08:00-08:00", 480, false, 0 },
	};
	struct light_hours h = { 1, 2 };
	unsigned int minutes;

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		assert_int_equal(light_hours_parse(wrong[i], &h), -EINVAL);
	assert_true(h.from == 1 && h.until == 2);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_int_equal(light_hours_parse(rows[i].hours, &h), 0);
		assert_int_equal(light_hours_now(&h, rows[i].minute, &minutes), rows[i].night);
		assert_int_equal(minutes, rows[i].minutes);
	}
}

/* ---- the files ---- */

struct leds {
	char dir[64];
	struct lamp *lamp;
};

static void file_path(const struct leds *f, const char *file, char ret[160])
{
	assert_true(snprintf(ret, 160, "%s/%s", f->dir, file) < 160);
}

static void put(const struct leds *f, const char *file, const char *text)
{
	char path[160];
	FILE *out;

	file_path(f, file, path);
	out = fopen(path, "w");
	assert_non_null(out);
	assert_true(fputs(text, out) >= 0);
	assert_int_equal(fclose(out), 0);
}

static void assert_file(const struct leds *f, const char *file, const char *wanted)
{
	char path[160], seen[64] = "";
	FILE *in;

	file_path(f, file, path);
	in = fopen(path, "r");
	assert_non_null(in);
	(void)!fgets(seen, sizeof(seen), in);
	assert_int_equal(fclose(in), 0);
	assert_string_equal(seen, wanted);
}

static void make_led(const struct leds *f, const char *name, const char *max)
{
	char path[160];

	file_path(f, name, path);
	assert_int_equal(mkdir(path, 0700), 0);
	(void)snprintf(path, sizeof(path), "%s/max_brightness", name);
	put(f, path, max);
	(void)snprintf(path, sizeof(path), "%s/brightness", name);
	put(f, path, "7");
}

static int set_up(void **state)
{
	static struct leds f;

	f = (struct leds){ .dir = "/tmp/test_light.XXXXXX" };
	assert_non_null(mkdtemp(f.dir));
	*state = &f;
	return 0;
}

static int tear_down(void **state)
{
	static const char *const files[] = { "brightness", "max_brightness", "multi_index",
					     "multi_intensity" };
	static const char *const names[] = { "w", "b", "a", "m", "n" };
	struct leds *f = *state;
	char path[192];

	lamp_free(f->lamp);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		for (size_t j = 0; j < sizeof(files) / sizeof(files[0]); j++) {
			(void)snprintf(path, sizeof(path), "%s/%s/%s", f->dir, names[i], files[j]);
			(void)unlink(path);
		}
		(void)snprintf(path, sizeof(path), "%s/%s", f->dir, names[i]);
		(void)rmdir(path);
	}
	return rmdir(f->dir);
}

static void open_three(struct leds *f)
{
	const struct lamp_options options = {
		.dir = f->dir,
		.name = { [LIGHT_WHITE] = "w", [LIGHT_BLUE] = "b", [LIGHT_AMBER] = "a" },
		.brightness = 40,
	};

	assert_int_equal(lamp_new(&options, &f->lamp), 0);
}

static void test_three(void **state)
{
	struct leds *f = *state;

	make_led(f, "w", "255\n");
	make_led(f, "b", "1\n");
	make_led(f, "a", "100\n");
	open_three(f);
	assert_int_equal(lamp_set(f->lamp, LIGHT_WHITE, 100), 0);
	assert_file(f, "w/brightness", "102");
	assert_file(f, "b/brightness", "0");
	assert_file(f, "a/brightness", "0");
	/* on or off alone: on, however dim it was meant */
	assert_int_equal(lamp_set(f->lamp, LIGHT_BLUE, 20), 0);
	assert_file(f, "w/brightness", "0");
	assert_file(f, "b/brightness", "1");
	assert_int_equal(lamp_set(f->lamp, LIGHT_AMBER, 50), 0);
	assert_file(f, "b/brightness", "0");
	assert_file(f, "a/brightness", "20");
	assert_int_equal(lamp_set(f->lamp, LIGHT_AMBER, 0), 0);
	assert_file(f, "a/brightness", "0");
	/* what is so already is not written again */
	put(f, "a/brightness", "untouched");
	assert_int_equal(lamp_set(f->lamp, LIGHT_WHITE, 0), 0);
	assert_file(f, "a/brightness", "untouched");
}

static void test_troubles(void **state)
{
	struct leds *f = *state;
	const char *name = NULL;

	make_led(f, "w", "255\n");
	make_led(f, "a", "many\n");
	open_three(f);
	/* the blue one is missing; the others do what they should */
	assert_int_equal(lamp_set(f->lamp, LIGHT_WHITE, 100), -ENOENT);
	assert_file(f, "w/brightness", "102");
	assert_int_equal(lamp_problem(f->lamp, &name), -ENOENT);
	assert_string_equal(name, "b");
	/* it comes, as a plugged one does */
	make_led(f, "b", "255\n");
	assert_int_equal(lamp_set(f->lamp, LIGHT_WHITE, 100), 0);
	assert_int_equal(lamp_problem(f->lamp, &name), 0);
	assert_file(f, "b/brightness", "0");
	assert_int_equal(lamp_set(f->lamp, LIGHT_AMBER, 100), -EBADMSG);
	assert_file(f, "w/brightness", "0");
	for (size_t i = 0; i < 3; i++) {
		static const char *const hostile[] = { "0\n", "-5\n", "99999999999999999999\n" };

		put(f, "a/max_brightness", hostile[i]);
		assert_int_equal(lamp_set(f->lamp, LIGHT_AMBER, 100), -EBADMSG);
	}
}

static void test_multicolor(void **state)
{
	struct leds *f = *state;
	const struct lamp_options options = { .dir = f->dir, .multicolor = "m", .brightness = 100 };
	const char *name;

	make_led(f, "m", "255\n");
	put(f, "m/multi_index", "red green blue\n");
	put(f, "m/multi_intensity", "0 0 0");
	assert_int_equal(lamp_new(&options, &f->lamp), 0);
	assert_int_equal(lamp_set(f->lamp, LIGHT_WHITE, 100), 0);
	assert_file(f, "m/multi_intensity", "255 255 255");
	assert_file(f, "m/brightness", "255");
	assert_int_equal(lamp_set(f->lamp, LIGHT_BLUE, 100), 0);
	assert_file(f, "m/multi_intensity", "0 0 255");
	assert_int_equal(lamp_set(f->lamp, LIGHT_AMBER, 100), 0);
	assert_file(f, "m/multi_intensity", "255 110 0");
	assert_file(f, "m/brightness", "255");
	assert_int_equal(lamp_set(f->lamp, LIGHT_WHITE, 0), 0);
	assert_file(f, "m/brightness", "0");
	/* without green it would be red: nothing is shown then */
	put(f, "m/multi_index", "red blue\n");
	put(f, "m/multi_intensity", "");
	assert_int_equal(lamp_set(f->lamp, LIGHT_BLUE, 100), 0);
	assert_file(f, "m/multi_intensity", "0 255");
	assert_int_equal(lamp_set(f->lamp, LIGHT_AMBER, 100), -ENOTSUP);
	assert_file(f, "m/brightness", "0");
	assert_int_equal(lamp_problem(f->lamp, &name), -ENOTSUP);
}

/* A box that has a white light alone never shows white for amber. */
static void test_one(void **state)
{
	struct leds *f = *state;
	const struct lamp_options options = { .dir = f->dir,
					      .name = { [LIGHT_WHITE] = "w" },
					      .brightness = 100 };

	make_led(f, "w", "1\n");
	assert_int_equal(lamp_new(&options, &f->lamp), 0);
	assert_int_equal(lamp_set(f->lamp, LIGHT_WHITE, 100), 0);
	assert_file(f, "w/brightness", "1");
	assert_int_equal(lamp_set(f->lamp, LIGHT_AMBER, 100), 0);
	assert_file(f, "w/brightness", "0");
}

static void test_names(void **state)
{
	(void)state;
	assert_true(lamp_name_valid("wellgate:white:status"));
	assert_false(lamp_name_valid(""));
	assert_false(lamp_name_valid(".."));
	assert_false(lamp_name_valid("a/b"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fine),
		cmocka_unit_test(test_saving),
		cmocka_unit_test(test_saved),
		cmocka_unit_test(test_sent),
		cmocka_unit_test(test_sent_late),
		cmocka_unit_test(test_cards),
		cmocka_unit_test(test_hours),
		cmocka_unit_test(test_names),
		cmocka_unit_test_setup_teardown(test_three, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_troubles, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_multicolor, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_one, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
