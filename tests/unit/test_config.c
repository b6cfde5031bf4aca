/* links: gateway_config */
#include <dirent.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "drivers/cleanup.h"
#include "gateway/config.h"

#define GOAL "[goal g]\ntitle = T\nmetric = blood_pressure\nrule = measure_regularly\n"

struct folder {
	char path[64];
	char conf[96];
	char drop_ins[96];
};

static void write_file(const char *path, const void *data, size_t len)
{
	_cleanup_file_ FILE *f = fopen(path, "w");

	assert_non_null(f);
	assert_int_equal(fwrite(data, 1, len, f), len);
}

static int set_up(void **state)
{
	struct folder *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	(void)snprintf(f->path, sizeof(f->path), "/tmp/test_config.XXXXXX");
	assert_non_null(mkdtemp(f->path));
	(void)snprintf(f->conf, sizeof(f->conf), "%s/w.conf", f->path);
	(void)snprintf(f->drop_ins, sizeof(f->drop_ins), "%s/w.conf.d", f->path);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct folder *f = *state;
	char path[512];
	DIR *dir = opendir(f->drop_ins);

	for (const struct dirent *e; dir && (e = readdir(dir));) {
		(void)snprintf(path, sizeof(path), "%s/%s", f->drop_ins, e->d_name);
		(void)unlink(path);
	}
	if (dir)
		(void)closedir(dir);
	(void)rmdir(f->drop_ins);
	(void)unlink(f->conf);
	assert_int_equal(rmdir(f->path), 0);
	free(f);
	return 0;
}

static struct config *load_good(const char *path)
{
	_cleanup_free_ char *error = NULL;
	struct config *c = NULL;
	const int r = config_load(path, &c, &error);

	if (r < 0)
		fail_msg("%s", error);
	return c;
}

/* the error line, which must begin with FILE:LINE: */
static char *load_bad(const char *path, const char *where, int line)
{
	struct config *c = NULL;
	char *error = NULL, prefix[160];

	if (config_load(path, &c, &error) == 0)
		fail_msg("what should fail at line %d was accepted", line);
	assert_null(c);
	assert_non_null(error);
	assert_null(strchr(error, '\n'));
	if (line > 0)
		(void)snprintf(prefix, sizeof(prefix), "%s:%d: ", where, line);
	else
		(void)snprintf(prefix, sizeof(prefix), "%s: ", where);
	if (strncmp(error, prefix, strlen(prefix)) != 0)
		fail_msg("\"%s\" does not begin with \"%s\"", error, prefix);
	return error;
}

static void test_defaults(void **state)
{
	struct config *c = load_good(NULL);

	(void)state;
	assert_string_equal(c->site, "home");
	assert_null(c->hub);
	assert_string_equal(c->state_dir, "/var/lib/wellgate");
	assert_string_equal(c->runtime_dir, "/run/wellgate");
	assert_non_null(c->time_zone);
	assert_false(c->test);
	assert_true(c->max_bytes == INT64_C(1) << 30);
	assert_int_equal(c->keep_days, 90);
	assert_null(c->broker);
	assert_int_equal(c->keep_alive, 25);
	assert_int_equal(c->window, 100);
	assert_int_equal(c->batch, 50);
	assert_null(c->subject);
	assert_int_equal(c->n_goals, 0);
	config_free(c);
	config_free(NULL);
}

static void test_every_key(void **state)
{
	static const char text[] =
		"\xef\xbb\xbf# a comment\r\n[hub]\r\nsite = clinic-1\nhub=h.1_x\n"
		"time_zone = Europe/London ; zone\nstate_dir = /tmp/s\nruntime_dir = /tmp/r\n"
		"fleet_key_file = /f\ntest = yes\n\n[store]\nmax_bytes = 512M\nkeep_days = "
		"7\n[broker]\n"
		"url = mqtts://[::1]:8884\nca_file = /a\ncert_file = /b\nkey_file = /c\n"
		"username = \xc3\xa9t\xc3\xa9\npassword_file = /p\nkeep_alive = 60\nwindow = 20\n"
		"batch = 5\ndelivery = puback\nconnection = on-demand\ncollect = 0\n"
		"linger = 600\n[person]\nsubject = p-1\n" GOAL
		"target = 14\nperiod = week\nweek_start = sunday\n"
		"[goal walk]\ntitle = Walk\nmetric = steps\nrule = sum_per_period\n"
		"target = 7000.5\nperiod = day";
	const struct folder *f = *state;
	struct config *c;

	write_file(f->conf, text, sizeof(text) - 1);
	c = load_good(f->conf);
	assert_string_equal(c->site, "clinic-1");
	assert_string_equal(c->hub, "h.1_x");
	assert_string_equal(c->time_zone, "Europe/London");
	assert_string_equal(c->state_dir, "/tmp/s");
	assert_string_equal(c->runtime_dir, "/tmp/r");
	assert_string_equal(c->fleet_key_file, "/f");
	assert_true(c->test);
	assert_true(c->max_bytes == INT64_C(512) << 20);
	assert_int_equal(c->keep_days, 7);
	assert_string_equal(c->broker, "mqtts://[::1]:8884");
	assert_string_equal(c->ca_file, "/a");
	assert_string_equal(c->cert_file, "/b");
	assert_string_equal(c->key_file, "/c");
	assert_string_equal(c->username, "\xc3\xa9t\xc3\xa9");
	assert_string_equal(c->password_file, "/p");
	assert_int_equal(c->keep_alive, 60);
	assert_int_equal(c->window, 20);
	assert_int_equal(c->batch, 5);
	assert_int_equal(c->delivery, DELIVERY_PUBACK);
	assert_int_equal(c->connection, CONNECTION_ON_DEMAND);
	assert_int_equal(c->collect, 0);
	assert_int_equal(c->linger, 600);
	assert_string_equal(c->subject, "p-1");
	assert_int_equal(c->n_goals, 2);
	assert_string_equal(c->goals[0].id, "g");
	assert_string_equal(c->goals[0].title, "T");
	assert_int_equal(c->goals[0].metric, METRIC_BLOOD_PRESSURE);
	assert_int_equal(c->goals[0].rule, GOAL_MEASURE_REGULARLY);
	assert_int_equal(c->goals[0].period, GOAL_WEEK);
	assert_int_equal(c->goals[0].week_start, 7);
	assert_string_equal(c->goals[0].subject, "p-1");
	assert_string_equal(c->goals[0].time_zone, "Europe/London");
	assert_int_equal(c->goals[1].rule, GOAL_SUM_PER_PERIOD);
	assert_int_equal(c->goals[1].period, GOAL_DAY);
	assert_int_equal(c->goals[1].target.mantissa, 70005);
	assert_int_equal(c->goals[1].target.exponent, -1);
	config_free(c);
}

static const struct {
	const char *text;
	int line;
	const char *says;
} bad_lines[] = {
	{ "[light]\nwhite = a/b\n", 2, "the name of a folder" },
	{ "[light]\nbrightness = 0\n", 2, "1 to 100" },
	{ "[light]\nnight = 22-7\n", 2, "HH:MM-HH:MM or none" },
	{ "[light]\nmulticolor = m\nblue = b\n", 0, "one or the other" },
	{ "[hub]\nsight = x\n", 2, "allowed are site, hub" },
	{ "[hubb]\nsite = x\n", 2, "unknown section [hubb]" },
	{ "site = x\n", 1, "unknown section []" },
	{ "[hub]\nsite = a/b\n", 2, "allowed is 1 to 64" },
	{ "[hub]\nsite = a+\n", 2, "site = a+" },
	{ "[hub]\nsite =\n", 2, "allowed is 1 to 64" },
	{ "[hub]\nsite = a\n\nsite = b\n", 4, "given twice" },
	{ "[hub]\ntime_zone = Mars/Base\n", 2, "Europe/London" },
	{ "[hub]\ntime_zone = ../../../etc/passwd\n", 2, "IANA" },
	{ "[hub]\ntime_zone = Europe\n", 2, "IANA" },
	{ "[hub]\nstate_dir = here\n", 2, "absolute path" },
	{ "[hub]\ntest = maybe\n", 2, "yes or no" },
	{ "[hub]\ntest = YES\n", 2, "yes or no" },
	{ "[store]\nkeep_days = 0\n", 2, "1 to 36500" },
	{ "[store]\nkeep_days = 99999999999\n", 2, "1 to 36500" },
	{ "[store]\nkeep_days = 999999999999999999999999999999\n", 2, "1 to 36500" },
	{ "[store]\nkeep_days = 1x\n", 2, "1 to 36500" },
	{ "[store]\nmax_bytes = 1K\n", 2, "1M to 1024T" },
	{ "[store]\nmax_bytes = 2000000T\n", 2, "1M to 1024T" },
	{ "[store]\nmax_bytes = M\n", 2, "1M to 1024T" },
	{ "[store]\nmax_bytes = -5M\n", 2, "1M to 1024T" },
	{ "[broker]\nurl = http://x\n", 2, "mqtt://HOST" },
	{ "[broker]\nurl = mqtt://\n", 2, "mqtt://HOST" },
	{ "[broker]\nurl = mqtt://a:0\n", 2, "mqtt://HOST" },
	{ "[broker]\nurl = mqtt://a:65536\n", 2, "mqtt://HOST" },
	{ "[broker]\nurl = mqtt://a:1:2\n", 2, "mqtt://HOST" },
	{ "[broker]\nurl = mqtt://user@a\n", 2, "mqtt://HOST" },
	{ "[broker]\nurl = mqtt://[::1\n", 2, "mqtt://HOST" },
	{ "[broker]\nwindow = -1\n", 2, "1 to 1000" },
	{ "[broker]\nwindow = lots\n", 2, "1 to 1000" },
	{ "[broker]\nwindow = 1001\n", 2, "1 to 1000" },
	{ "[broker]\ndelivery = hope\n", 2, "puback or receipt" },
	{ "[broker]\nconnection = never\n", 2, "always or on-demand" },
	{ "[broker]\ncollect = 86401\n", 2, "0 to 86400" },
	{ "[broker]\nlinger = 0\n", 2, "1 to 600" },
	{ "[broker]\nurl = mqtt://a\nca_file = /x\n", 0, "mqtts" },
	{ "[broker]\nurl = mqtts://a\ncert_file = /x\n", 0, "belong together" },
	{ "[broker]\nusername = x\n", 0, "needs url" },
	{ "[broker]\nurl = mqtt://a\npassword_file = /x\n", 0, "needs username" },
	{ "[broker]\nurl = mqtt://a\n", 0, "mqtt:// is not encrypted" },
	{ "[broker]\nurl = mqtt://127.evil.example\n", 0, "mqtt:// is not encrypted" },
	{ "[broker]\nurl = mqtt://192.168.1.2:1883\n", 0, "mqtt:// is not encrypted" },
	{ "[person]\nsubject = Jane Doe\n", 2, "never a name" },
	{ "[hub\n", 1, "expected [SECTION]" },
	{ "[hub]\nsite\n", 2, "expected [SECTION]" },
	{ "[hub]\n  site = x\n", 2, "begin with a blank" },
	{ "[hub]\nsite = a\xff\n", 2, "UTF-8" },
	{ "[hub]\nsite = a\x01\n", 2, "UTF-8" },
	{ "[broker]\nusername = \xed\xa0\x80\n", 2, "UTF-8" },
	{ "[broker]\nusername = \xc0\x80\n", 2, "UTF-8" },
	{ "[goal A]\ntitle = x\n", 2, "a-z 0-9 -" },
	{ "[goal ]\ntitle = x\n", 2, "1 to 32" },
	{ "[goal 123456789012345678901234567890123]\ntitle = x\n", 2, "1 to 32" },
	{ "[goal g]\ntitle = x\ncolour = red\n", 3, "unknown key colour" },
	{ "[goal g]\ntitle = x\ntitle = y\n", 3, "given twice" },
	{ "[goal g]\ntitle = x\n", 2, "lacks metric" },
	{ GOAL "period = week\n", 2, "lacks target" },
	{ GOAL "target = 0\nperiod = week\n", 5, "positive number" },
	{ GOAL "target = -3\nperiod = week\n", 5, "positive number" },
	{ GOAL "target = 3\nperiod = month\n", 6, "day, week or course" },
	{ GOAL "target = 3\nperiod = week\nweek_start = 8\n", 7, "monday" },
	{ "[goal g]\nmetric = heart\n", 2, "metric name" },
	{ "[goal g]\nrule = lose_weight\n", 2, "range_mean or sum_per_period" },
	/* no goals on energy, no sums of weight: goal_check() */
	{ "[goal g]\ntitle = T\nmetric = energy\nrule = sum_per_period\ntarget = 1\n"
	  "period = day\n",
	  2, "[goal g]" },
	{ "[goal g]\ntitle = T\nmetric = body_weight\nrule = sum_per_period\ntarget = 1\n"
	  "period = day\n",
	  2, "[goal g]" },
};

static void test_errors(void **state)
{
	const struct folder *f = *state;

	for (size_t i = 0; i < sizeof(bad_lines) / sizeof(bad_lines[0]); i++) {
		_cleanup_free_ char *error = NULL;

		write_file(f->conf, bad_lines[i].text, strlen(bad_lines[i].text));
		error = load_bad(f->conf, f->conf, bad_lines[i].line);
		if (!strstr(error, bad_lines[i].says))
			fail_msg("\"%s\" does not say \"%s\"", error, bad_lines[i].says);
	}
}

static void test_bad_files(void **state)
{
	static const char nul[] = "[hub]\nsite = a\0b\n";
	const struct folder *f = *state;
	static char big[70000];
	_cleanup_free_ char *missing = NULL, *zero = NULL, *large = NULL, *line = NULL,
			    *folder = NULL;

	missing = load_bad(f->conf, f->conf, 0);
	assert_non_null(strstr(missing, "cannot read"));
	write_file(f->conf, nul, sizeof(nul) - 1);
	zero = load_bad(f->conf, f->conf, 0);
	assert_non_null(strstr(zero, "NUL"));
	memset(big, '#', sizeof(big));
	write_file(f->conf, big, sizeof(big));
	large = load_bad(f->conf, f->conf, 0);
	assert_non_null(strstr(large, "larger than"));
	big[0] = '\n';
	write_file(f->conf, big, 500);
	line = load_bad(f->conf, f->conf, 2);
	assert_non_null(strstr(line, "190"));
	folder = load_bad(f->path, f->path, 0);
	assert_non_null(strstr(folder, "regular file"));
}

static void drop_in(const struct folder *f, const char *name, const char *text)
{
	char path[256];

	(void)snprintf(path, sizeof(path), "%s/%s", f->drop_ins, name);
	write_file(path, text, strlen(text));
}

static void test_drop_ins(void **state)
{
	static const char text[] = "[hub]\nsite = a\nhub = h\n" GOAL "target = 1\nperiod = day\n";
	const struct folder *f = *state;
	char where[256];
	_cleanup_free_ char *error = NULL;
	struct config *c;

	write_file(f->conf, text, sizeof(text) - 1);
	assert_int_equal(mkdir(f->drop_ins, 0700), 0);
	drop_in(f, "20-later.conf", "[hub]\nsite = c\n[goal g]\ntarget = 3\n");
	drop_in(f, "10-first.conf", "[hub]\nsite = b\n[goal g]\ntarget = 2\nperiod = week\n");
	drop_in(f, ".hidden.conf", "nonsense");
	drop_in(f, "30-note.txt", "nonsense");
	c = load_good(f->conf);
	assert_string_equal(c->site, "c");
	assert_string_equal(c->hub, "h");
	assert_int_equal(c->n_goals, 1);
	assert_int_equal(c->goals[0].target.mantissa, 3);
	assert_int_equal(c->goals[0].period, GOAL_WEEK);
	config_free(c);
	drop_in(f, "20-later.conf", "[hub]\nsite = c\nsite = d\n");
	(void)snprintf(where, sizeof(where), "%s/20-later.conf", f->drop_ins);
	error = load_bad(f->conf, where, 3);
	assert_non_null(strstr(error, "given twice"));
}

static void test_too_many_goals(void **state)
{
	const struct folder *f = *state;
	_cleanup_free_ char *error = NULL;
	FILE *out = fopen(f->conf, "w");

	assert_non_null(out);
	for (int i = 0; i <= CONFIG_GOALS_MAX; i++)
		(void)fprintf(out, "[goal g%d]\ntitle = T\n", i);
	assert_int_equal(fclose(out), 0);
	error = load_bad(f->conf, f->conf, 2 * CONFIG_GOALS_MAX + 2);
	assert_non_null(strstr(error, "more than 32 goals"));
}

/* "#key = value" and "#[goal x]" of the example become real lines: each documented key is known,
 * and what the comment says is accepted. */
static void test_example(void **state)
{
	const struct folder *f = *state;
	char example[512], line[256];
	const char *slash = strrchr(__FILE__, '/');
	struct config *c;
	FILE *in, *out;
	int keys = 0;

	assert_non_null(slash);
	(void)snprintf(example, sizeof(example), "%.*s/../../gateway/dist/wellgate.conf",
		       (int)(slash - __FILE__), __FILE__);
	config_free(load_good(example));
	in = fopen(example, "r");
	out = fopen(f->conf, "w");
	assert_true(in && out);
	while (fgets(line, sizeof(line), in)) {
		const bool key = line[0] == '#' && line[1] != ' ' && line[1] != '\n';

		keys += strstr(line, " = ") && (key || line[0] != '#');
		(void)fputs(key ? line + 1 : line, out);
	}
	(void)fclose(in);
	assert_int_equal(fclose(out), 0);
	c = load_good(f->conf);
	assert_int_equal(c->n_goals, 5);
	/* all of config.c but multicolor: 32 options, and the 20 keys of a goal in five goals */
	assert_int_equal(keys, 26 + 6 + 6 + 12 + 2 + 10 + 9);
	assert_int_equal(c->keep_days, 90);
	assert_true(c->max_bytes == INT64_C(1) << 30);
	assert_int_equal(c->keep_alive, 25);
	assert_int_equal(c->window, 100);
	assert_int_equal(c->batch, 50);
	assert_string_equal(c->light_amber, "wellgate:amber");
	assert_string_equal(c->light_dir, "/sys/class/leds");
	assert_int_equal(c->light_brightness, 40);
	assert_true(c->light_night.from == 1320 && c->light_night.until == 420);
	config_free(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults),
		cmocka_unit_test_setup_teardown(test_every_key, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_errors, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_bad_files, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_drop_ins, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_too_many_goals, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_example, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
