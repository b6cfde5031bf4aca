/* links: gateway_pipeline gateway_publish gateway_registry gateway_intake gateway_goals gateway_store */
/* The light of a whole gateway, in a folder that stands for the kernel's. */
#include "filing_world.h"

#include <sys/stat.h>

#include "gateway/light/show.h"
#include "gateway/pipeline_part.h"

static const char *const names[LIGHT_COLOURS] = { "w", "b", "a" };

struct lit {
	struct world w;
	struct show *show;
	char leds[80], name[LIGHT_COLOURS][4];
};

static void led_path(const struct lit *l, size_t led, const char *file, char ret[160])
{
	assert_true(snprintf(ret, 160, "%s/%s/%s", l->leds, names[led], file) < 160);
}

static void put(const struct lit *l, size_t led, const char *file, const char *text)
{
	char path[160];
	FILE *out;

	led_path(l, led, file, path);
	out = fopen(path, "w");
	assert_non_null(out);
	assert_true(fputs(text, out) >= 0);
	assert_int_equal(fclose(out), 0);
}

/* the letter of the light that shines; '.': none */
static char shines(const struct lit *l)
{
	char seen = '.';

	for (size_t i = 0; i < LIGHT_COLOURS; i++) {
		char path[160], text[16] = "";
		FILE *in;

		led_path(l, i, "brightness", path);
		in = fopen(path, "r");
		assert_non_null(in);
		assert_non_null(fgets(text, sizeof(text), in));
		assert_int_equal(fclose(in), 0);
		if (strcmp(text, "0") == 0)
			continue;
		assert_int_equal(seen, '.'); /* never two of them */
		seen = names[i][0];
	}
	return seen;
}

/* Turns the loop until this light shines: the test hangs if it never does. */
static void until(struct lit *l, char wanted)
{
	while (shines(l) != wanted)
		assert_true(sd_event_run(l->w.event, UINT64_MAX) >= 0);
}

static void light_up(struct lit *l)
{
	start_up(&l->w);
	assert_int_equal(show_new(l->w.event, &l->w.config, &l->show), 0);
	pipeline_set_light(l->w.pipeline, l->show);
}

static void light_down(struct lit *l)
{
	shut_down(&l->w);
	show_free(l->show);
	l->show = NULL;
}

static int set_up(void **state)
{
	static struct lit l;
	char path[160];

	world_new(&l.w);
	(void)snprintf(l.w.zone, sizeof(l.w.zone), "Etc/UTC");
	(void)snprintf(l.leds, sizeof(l.leds), "%s/leds", l.w.dir);
	assert_int_equal(mkdir(l.leds, 0700), 0);
	for (size_t i = 0; i < LIGHT_COLOURS; i++) {
		led_path(&l, i, "", path);
		assert_int_equal(mkdir(path, 0700), 0);
		put(&l, i, "max_brightness", "255\n");
		put(&l, i, "brightness", "0");
		(void)snprintf(l.name[i], sizeof(l.name[i]), "%s", names[i]);
	}
	l.w.config.light_white = l.name[LIGHT_WHITE];
	l.w.config.light_blue = l.name[LIGHT_BLUE];
	l.w.config.light_amber = l.name[LIGHT_AMBER];
	l.w.config.light_dir = l.leds;
	l.w.config.light_brightness = 40;
	*state = &l;
	return 0;
}

static int tear_down(void **state)
{
	struct lit *l = *state;

	world_free(&l->w);
	return 0;
}

static void weigh(struct lit *l, uint32_t tag)
{
	const struct made weight = { .link = 1, .grams = 74000, .tag = tag };

	measure(&l->w, &weight);
}

/* nothing is left that wakes the loop now */
static void assert_quiet(struct lit *l)
{
	assert_int_equal(sd_event_run(l->w.event, 0), 0);
}

static void test_reading(void **state)
{
	struct lit *l = *state;

	light_up(l);
	assert_int_equal(shines(l), 'w');
	link_up(&l->w, 1, "scale");
	settle(&l->w);
	weigh(l, 1);
	assert_int_equal(shines(l), '.'); /* the pulse begins */
	commit(&l->w);
	until(l, 'b');
	until(l, '.');
	until(l, 'b');
	until(l, '.');
	assert_int_equal(store_acknowledge(l->w.store, LANE_READINGS, 1), 0);
	pipeline_light_progress(l->w.pipeline);
	until(l, 'b');
	show_start(l->show, 1, 1);
	assert_int_equal(shines(l), 'w');
	/* the same again is no news: no answer, and nothing that was not so */
	weigh(l, 1);
	assert_int_equal(shines(l), 'w');
	commit(&l->w);
	assert_int_equal(shines(l), 'w');
	assert_quiet(l);
	light_down(l);
	assert_int_equal(shines(l), '.'); /* nobody knows any more whether all is fine */
}

static void test_night(void **state)
{
	struct lit *l = *state;
	const int64_t now_s = clocks.utc_ms / 1000;
	const unsigned int minute = (unsigned int)(now_s % 86400 / 60);

	l->w.config.light_night =
		(struct light_hours){ .from = minute, .until = (minute + 60) % 1440 };
	light_up(l);
	assert_int_equal(shines(l), '.');
	pass(HOUR);
	show_clock(l->show);
	assert_int_equal(shines(l), 'w');
	pass(23 * HOUR);
	show_clock(l->show);
	assert_int_equal(shines(l), '.');
	clocks.synced = false; /* who knows whether it is night */
	show_clock(l->show);
	assert_int_equal(shines(l), 'w');
	light_down(l);
	l->w.config.light_night = (struct light_hours){ 0 };
}

static void radio(struct lit *l, Wellgate__V1__RadioStatus__Adapter adapter)
{
	Wellgate__V1__FromDevices m = WELLGATE__V1__FROM_DEVICES__INIT;
	Wellgate__V1__RadioStatus status = WELLGATE__V1__RADIO_STATUS__INIT;

	status.has_first = status.has_last = status.first = status.last = true;
	status.has_adapter = true;
	status.adapter = adapter;
	m.what_case = WELLGATE__V1__FROM_DEVICES__WHAT_RADIO;
	m.radio = &status;
	take(&l->w, &m);
}

static void test_cards(void **state)
{
	struct lit *l = *state;

	light_up(l);
	assert_int_equal(show_card_now(l->show), LIGHT_CARD_NONE);
	pipeline_attach(l->w.pipeline, NULL); /* a replay that has ended */
	assert_int_equal(show_card_now(l->show), LIGHT_CARD_NONE);
	attach(&l->w);
	radio(l, WELLGATE__V1__RADIO_STATUS__ADAPTER__ADAPTER_ABSENT);
	assert_int_equal(show_card_now(l->show), LIGHT_CARD_DEVICES);
	assert_int_equal(shines(l), 'w'); /* not yet: it may come back by itself */
	radio(l, WELLGATE__V1__RADIO_STATUS__ADAPTER__ADAPTER_READY);
	assert_int_equal(show_card_now(l->show), LIGHT_CARD_NONE);
	pipeline_attach(l->w.pipeline, NULL);
	assert_int_equal(show_card_now(l->show), LIGHT_CARD_DEVICES);
	/* it comes and goes, and never says a word */
	attach(&l->w);
	assert_int_equal(show_card_now(l->show), LIGHT_CARD_DEVICES);
	radio(l, WELLGATE__V1__RADIO_STATUS__ADAPTER__ADAPTER_READY);
	assert_int_equal(show_card_now(l->show), LIGHT_CARD_NONE);
	show_card(l->show, LIGHT_CARD_FULL);
	assert_int_equal(shines(l), 'a');
	show_card(l->show, LIGHT_CARD_NONE);
	assert_int_equal(shines(l), 'w');
	light_down(l);
}

/* A light that is not there stops nothing. */
static void test_missing(void **state)
{
	struct lit *l = *state;
	char none[] = "none";
	const char *name = NULL;

	l->w.config.light_white = none;
	light_up(l);
	assert_int_equal(show_problem(l->show, &name), -ENOENT);
	assert_string_equal(name, "none");
	link_up(&l->w, 1, "scale");
	weigh(l, 1);
	commit(&l->w);
	until(l, 'b');
	light_down(l);
	l->w.config.light_white = l->w.config.light_blue = l->w.config.light_amber = NULL;
	light_up(l);
	assert_null(l->show);
	assert_int_equal(show_problem(pipeline_light(l->w.pipeline), &name), 0);
	link_up(&l->w, 1, "scale");
	weigh(l, 2);
	commit(&l->w);
	assert_int_equal(shines(l), '.');
	light_down(l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_reading, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_night, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_cards, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_missing, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
