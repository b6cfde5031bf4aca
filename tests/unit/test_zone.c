/* links: gateway_goals */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "drivers/cleanup.h"
#include "gateway/goals/calendar.h"

static struct zone *load(const char *name)
{
	struct zone *z = NULL;

	assert_int_equal(zone_load(name, &z), 0);
	return z;
}

static int64_t utc(int64_t year, unsigned int month, unsigned int day, int hour)
{
	return zone_day_number(year, month, day) * 86400 + (int64_t)hour * 3600;
}

/* domain.md 2.3.2 */
static void test_london_days_and_weeks(void **state)
{
	static const struct {
		int year;
		unsigned int month, day;
		enum goal_period period;
		int hours;
		int start_hour; /* UTC, relative to the date */
	} rows[] = {
		{ 2026, 10, 25, GOAL_DAY, 25, -1 }, { 2027, 3, 28, GOAL_DAY, 23, 0 },
		{ 2027, 10, 31, GOAL_DAY, 25, -1 }, { 2026, 10, 19, GOAL_WEEK, 169, -1 },
		{ 2027, 3, 22, GOAL_WEEK, 167, 0 }, { 2026, 11, 23, GOAL_WEEK, 168, 0 },
		{ 2090, 10, 29, GOAL_DAY, 25, -1 }, /* far future: the footer */
	};
	struct zone *z = load("Europe/London");

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct goal goal = { .period = rows[i].period, .week_start = 1 };
		int64_t start = utc(rows[i].year, rows[i].month, rows[i].day, rows[i].start_hour);
		int64_t end = start + (int64_t)rows[i].hours * 3600, first;
		int64_t instants[] = { start, start + 1, (start + end) / 2, end - 1 };

		for (size_t k = 0; k < 4; k++) {
			struct goal_span span = goal_span_of(&goal, z, instants[k] * 1000, &first);

			assert_int_equal(span.start_ms, start * 1000);
			assert_int_equal(span.end_ms, end * 1000);
			assert_int_equal(first,
					 zone_day_number(rows[i].year, rows[i].month, rows[i].day));
		}
	}
	zone_free(z);
}

static void test_week_start(void **state)
{
	struct zone *z = load("Europe/London");
	int64_t first;

	(void)state;
	for (unsigned int start = 1; start <= 7; start++) {
		const struct goal goal = { .period = GOAL_WEEK, .week_start = start };

		/* 2026-11-23 is a Monday; the week that holds it starts on the latest such day */
		(void)goal_span_of(&goal, z, utc(2026, 11, 23, 12) * 1000, &first);
		assert_int_equal(first, zone_day_number(2026, 11, 23) - (8 - start) % 7);
	}
	zone_free(z);
}

/* noon to noon: the night of the change is 25 h or 23 h long (domain.md 2.3.2) */
static void test_nights(void **state)
{
	static const struct {
		int64_t year, hours;
		unsigned int month, day;
	} rows[] = {
		{ 2026, 25, 10, 25 }, { 2027, 23, 3, 28 },  { 2027, 25, 10, 31 },
		{ 2026, 24, 10, 24 }, { 2026, 24, 10, 26 },
	};
	struct zone *z = load("Europe/London");

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		int64_t day = zone_day_number(rows[i].year, rows[i].month, rows[i].day);
		int64_t start = zone_night_start(z, day), end = zone_night_start(z, day + 1), noon;

		assert_int_equal(end - start, rows[i].hours * 3600);
		assert_int_equal(zone_to_utc(z, day * 86400 + 43200, &noon), ZONE_ONCE);
		assert_int_equal(end, noon);
		assert_int_equal(zone_night_of(z, start - 1), day - 1);
		assert_int_equal(zone_night_of(z, start), day);
		assert_int_equal(zone_night_of(z, end - 1), day);
		assert_int_equal(zone_night_of(z, end), day + 1);
	}
	zone_free(z);
}

/* 30 December 2011 never was: from the noon of the 29th to that of the 31st is one night */
static void test_night_over_a_lost_day(void **state)
{
	struct zone *z = load("Pacific/Apia");
	int64_t lost = zone_day_number(2011, 12, 30);
	int64_t start = utc(2011, 12, 29, 22), end = utc(2011, 12, 30, 22);

	(void)state;
	assert_int_equal(zone_night_start(z, lost), start);
	assert_int_equal(zone_night_start(z, lost + 1), start);
	assert_int_equal(zone_night_start(z, lost + 2), end);
	assert_int_equal(zone_night_of(z, start - 1), lost - 1);
	assert_int_equal(zone_night_of(z, start), lost + 1);
	assert_int_equal(zone_night_of(z, end - 1), lost + 1);
	assert_int_equal(zone_night_of(z, end), lost + 2);
	zone_free(z);
}

static void test_folds(void **state)
{
	struct zone *z = load("Europe/London");
	int64_t at;

	(void)state;
	assert_int_equal(zone_to_utc(z, utc(2026, 10, 25, 1) + 1800, &at), ZONE_TWICE);
	assert_int_equal(at, utc(2026, 10, 25, 0) + 1800); /* the first of the two */
	assert_int_equal(zone_to_utc(z, utc(2027, 3, 28, 1) + 1800, &at), ZONE_NEVER);
	assert_int_equal(at, utc(2027, 3, 28, 1) + 1800); /* as if still winter */
	assert_int_equal(zone_to_utc(z, utc(2027, 7, 1, 0), &at), ZONE_ONCE);
	assert_int_equal(at, utc(2027, 6, 30, 23));
	zone_free(z);
}

/* a midnight that is skipped, and a date that never was */
static void test_odd_days(void **state)
{
	struct zone *z = load("America/Sao_Paulo");
	int64_t day = zone_day_number(2018, 11, 4);

	(void)state;
	assert_int_equal(zone_day_start(z, day), utc(2018, 11, 4, 3));
	assert_int_equal(zone_day_start(z, day + 1) - zone_day_start(z, day), 23 * 3600);
	assert_int_equal(zone_day_of(z, utc(2018, 11, 4, 3)), day);
	assert_int_equal(zone_day_of(z, utc(2018, 11, 4, 3) - 1), day - 1);
	zone_free(z);

	z = load("Pacific/Apia");
	day = zone_day_number(2011, 12, 30);
	assert_int_equal(zone_day_start(z, day), zone_day_start(z, day + 1));
	assert_int_equal(zone_day_of(z, zone_day_start(z, day)), day + 1);
	assert_int_equal(zone_day_of(z, zone_day_start(z, day) - 1), day - 1);
	zone_free(z);
}

/* A midnight that comes twice: the day begins with the first. Until 2011 Newfoundland put its
 * clocks back at 00:01, so 59 minutes of a new day showed the date of the old one. */
static void test_midnight_twice(void **state)
{
	struct zone *z = load("America/Havana");
	int64_t day = zone_day_number(2024, 11, 3);

	(void)state;
	assert_int_equal(zone_day_start(z, day), utc(2024, 11, 3, 4));
	assert_int_equal(zone_day_start(z, day + 1) - zone_day_start(z, day), 25 * 3600);
	zone_free(z);

	z = load("America/St_Johns");
	day = zone_day_number(2010, 11, 7);
	assert_int_equal(zone_day_start(z, day), utc(2010, 11, 7, 2) + 1800);
	assert_int_equal(zone_day_of(z, utc(2010, 11, 7, 2) + 1799), day - 1);
	assert_int_equal(zone_day_of(z, utc(2010, 11, 7, 2) + 1800), day);
	assert_int_equal(zone_day_of(z, utc(2010, 11, 7, 3)), day); /* shows 23:30 */
	zone_free(z);
}

static void test_calendar(void **state)
{
	(void)state;
	assert_int_equal(zone_day_number(1970, 1, 1), 0);
	assert_int_equal(zone_day_number(2000, 3, 1), 11017);
	assert_int_equal(zone_day_number(1900, 3, 1) - zone_day_number(1900, 2, 28), 1);
	assert_int_equal(zone_day_number(2024, 3, 1) - zone_day_number(2024, 2, 28), 2);
	assert_int_equal(zone_days_in_month(2023, 2), 28);
	assert_int_equal(zone_days_in_month(2000, 2), 29);
	assert_int_equal(zone_days_in_month(2026, 12), 31);
}

static void test_names(void **state)
{
	static const char *const bad[] = {
		"", "/etc/passwd", "../../../etc/passwd", "Europe/Lon.don", "Europe/London ", "a\nb"
	};
	struct zone *z = NULL;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(zone_load(bad[i], &z), -EINVAL);
	assert_int_equal(zone_load("Europe/Nowhere", &z), -ENOENT);
	assert_int_equal(zone_load("Europe", &z), -ENOENT); /* a folder */
	assert_null(z);
	z = load(NULL);
	zone_free(z);
}

/* ---- hostile files: a whole one made by hand, then broken */

struct file {
	uint8_t data[512];
	size_t len;
};

static void put(struct file *f, const void *data, size_t len)
{
	assert_true(f->len + len <= sizeof(f->data));
	memcpy(f->data + f->len, data, len);
	f->len += len;
}

static void put_be(struct file *f, uint64_t n, size_t bytes)
{
	while (bytes-- > 0) {
		uint8_t byte = (uint8_t)(n >> (bytes * 8));

		put(f, &byte, 1);
	}
}

static void put_header(struct file *f, uint32_t times, uint32_t types)
{
	const uint32_t counts[6] = { 0, 0, 0, times, types, 4 };

	put(f, "TZif2\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 20);
	for (size_t i = 0; i < 6; i++)
		put_be(f, counts[i], 4);
}

/* two changes: +1 h at 1000, +2 h at 2000, then the footer */
static struct file make_file(const char *footer)
{
	struct file f = { .len = 0 };

	put_header(&f, 0, 1);
	put(&f, "\0\0\0\0\0\0LMT\0", 10);
	put_header(&f, 2, 3);
	put_be(&f, 1000, 8);
	put_be(&f, 2000, 8);
	put(&f, "\1\2", 2);
	for (uint32_t i = 0; i < 3; i++) {
		put_be(&f, (uint64_t)i * 3600, 4);
		put(&f, "\0\0", 2);
	}
	put(&f, "LMT\0\n", 5);
	put(&f, footer, strlen(footer));
	put(&f, "\n", 1);
	return f;
}

static void test_made_file(void **state)
{
	struct file f = make_file("<+02>-2");
	struct zone *z = NULL;

	(void)state;
	assert_int_equal(zone_parse(f.data, f.len, &z), 0);
	assert_int_equal(zone_offset(z, INT64_MIN), 0);
	assert_int_equal(zone_offset(z, 999), 0);
	assert_int_equal(zone_offset(z, 1000), 3600);
	assert_int_equal(zone_offset(z, 1999), 3600);
	assert_int_equal(zone_offset(z, 2000), 7200);
	assert_int_equal(zone_offset(z, INT64_MAX), 7200);
	zone_free(z);
	for (size_t len = 0; len < f.len; len++) {
		z = NULL;
		assert_int_equal(zone_parse(f.data, len, &z), -EBADMSG);
		assert_null(z);
	}
}

static void test_broken_files(void **state)
{
	/* offset in the file, value: what it breaks */
	static const struct {
		size_t at;
		uint8_t value;
	} rows[] = {
		{ 0, 'X' },          /* magic */
		{ 4, 0 },            /* version 1: no 64 bit times */
		{ 32, 0xff },        /* absurd count of times, first block */
		{ 54, 'X' },         /* magic of the second block */
		{ 54 + 20 + 12, 1 }, /* 16 million changes */
		{ 54 + 20 + 19, 0 }, /* no types */
		{ 54 + 44 + 6, 9 },  /* changes not ascending */
		{ 54 + 44 + 16, 3 }, /* a type that does not exist */
		{ 54 + 44 + 18, 1 }, /* an offset of months */
	};
	struct zone *z = NULL;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct file f = make_file("");

		f.data[rows[i].at] = rows[i].value;
		assert_int_equal(zone_parse(f.data, f.len, &z), -EBADMSG);
	}
	assert_null(z);
}

static void test_footers(void **state)
{
	static const char *const good[] = { "",
					    "GMT0",
					    "<-03>3",
					    "EST5EDT,M3.2.0,M11.1.0",
					    "<+1030>-10:30<+11>-11,M10.1.0,M4.1.0",
					    "EST5EDT4,0/0,J365/25",
					    "IST-1GMT0,M10.5.0,M3.5.0/1",
					    "<-02>2<-01>,M3.5.0/-1,M10.5.0/0" };
	static const char *const bad[] = { "GM0",
					   "GMT",
					   "<GMT0",
					   "EST5EDT",
					   "EST5EDT,M3.2.0",
					   "EST5EDT,M13.2.0,M11.1.0",
					   "EST5EDT,M0.2.0,M11.1.0",
					   "EST5EDT,M3.6.0,M11.1.0",
					   "EST5EDT,M3.0.0,M11.1.0",
					   "EST5EDT,M3.2.7,M11.1.0",
					   "EST5EDT,J0,J365",
					   "EST5EDT,M3.2.0,M11.1.0x",
					   "EST99",
					   "EST5:99",
					   "EST5EDT,M3.2.0/168,M11.1.0",
					   "EST5EDT,366,0" };
	struct zone *z;

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		struct file f = make_file(good[i]);

		assert_int_equal(zone_parse(f.data, f.len, &z), 0);
		zone_free(z);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct file f = make_file(bad[i]);

		assert_int_equal(zone_parse(f.data, f.len, &z), -EBADMSG);
	}
}

static void test_permanent_summer(void **state)
{
	struct file f = make_file("EST5EDT4,0/0,J365/25");
	struct zone *z;

	(void)state;
	assert_int_equal(zone_parse(f.data, f.len, &z), 0);
	for (int64_t at = utc(2030, 12, 30, 0); at < utc(2031, 1, 3, 0); at += 1800)
		assert_int_equal(zone_offset(z, at), -4 * 3600);
	zone_free(z);
}

/* J60 is 1 March in every year; 59 counts 29 February */
static void test_day_rules(void **state)
{
	static const struct {
		const char *footer;
		int64_t year;
		unsigned int month, day; /* that summer time starts on, at midnight */
	} rows[] = {
		{ "EST5EDT,J60/0,J100/0", 2027, 3, 1 },  { "EST5EDT,J60/0,J100/0", 2028, 3, 1 },
		{ "EST5EDT,J59/0,J100/0", 2028, 2, 28 }, { "EST5EDT,59/0,100/0", 2027, 3, 1 },
		{ "EST5EDT,59/0,100/0", 2028, 2, 29 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct file f = make_file(rows[i].footer);
		int64_t at = utc(rows[i].year, rows[i].month, rows[i].day, 5);
		struct zone *z;

		assert_int_equal(zone_parse(f.data, f.len, &z), 0);
		assert_int_equal(zone_offset(z, at - 1), -5 * 3600);
		assert_int_equal(zone_offset(z, at), -4 * 3600);
		zone_free(z);
	}
}

/* ---- an oracle that nobody here wrote: python's zoneinfo over the same files */

static const char script[] =
	"import random, zoneinfo\n"
	"from datetime import datetime, timezone, timedelta\n"
	"random.seed(1)\n"
	"E = datetime(1970, 1, 1)\n"
	"for name in ('Europe/London', 'Europe/Dublin', 'America/New_York', 'America/Sao_Paulo',\n"
	"             'Asia/Kolkata', 'Australia/Lord_Howe', 'Pacific/Apia', 'Africa/Casablanca',\n"
	"             'America/Nuuk', 'Antarctica/Troll', 'Asia/Gaza', 'UTC'):\n"
	"    zone = zoneinfo.ZoneInfo(name)\n"
	"    times = [random.randrange(-2208988800, 7258118400) for _ in range(1500)]\n"
	"    t, last = 1700000000, None\n"
	"    while t < 2600000000:\n" /* the hours around each change of thirty years */
	"        offset = datetime.fromtimestamp(t, zone).utcoffset()\n"
	"        if last is not None and offset != last:\n"
	"            times += range(t - 90000, t + 7200, 900)\n"
	"        last, t = offset, t + 86400\n"
	"    for t in times:\n"
	"        offset = datetime.fromtimestamp(t, zone).utcoffset()\n"
	"        local = E + timedelta(seconds=t) + offset\n"
	"        back = local.replace(tzinfo=zone, fold=0).astimezone(timezone.utc)\n"
	"        seconds = lambda d: (d - E) // timedelta(seconds=1)\n"
	"        print(name, t, offset // timedelta(seconds=1), seconds(local),\n"
	"              seconds(back.replace(tzinfo=None)))\n"
	"        gap = local + timedelta(minutes=45)\n"
	"        back = gap.replace(tzinfo=zone, fold=0).astimezone(timezone.utc)\n"
	"        print(name, t, offset // timedelta(seconds=1), seconds(gap),\n"
	"              seconds(back.replace(tzinfo=None)))\n";

static FILE *oracle_start(pid_t *ret_pid)
{
	int ends[2];

	assert_int_equal(pipe(ends), 0);
	*ret_pid = fork();
	assert_true(*ret_pid >= 0);
	if (*ret_pid == 0) {
		(void)dup2(ends[1], STDOUT_FILENO);
		(void)close(ends[0]);
		(void)close(ends[1]);
		(void)execl("/usr/bin/python3", "python3", "-c", script, (char *)NULL);
		_exit(127);
	}
	(void)close(ends[1]);
	return fdopen(ends[0], "r");
}

static int64_t next_number(char **text)
{
	char *end;
	int64_t n = strtoll(*text, &end, 10);

	assert_ptr_not_equal(end, *text);
	*text = end;
	return n;
}

static void test_oracle(void **state)
{
	_cleanup_file_ FILE *oracle = NULL;
	char loaded[160] = "", line[160];
	struct zone *z = NULL;
	unsigned int n = 0;
	int status;
	pid_t pid;

	(void)state;
	oracle = oracle_start(&pid);
	assert_non_null(oracle);
	while (fgets(line, sizeof(line), oracle)) {
		char *rest = strchr(line, ' ');
		int64_t t, offset, local, back, ours;

		assert_non_null(rest);
		*rest++ = '\0';
		t = next_number(&rest);
		offset = next_number(&rest);
		local = next_number(&rest);
		back = next_number(&rest);
		if (strcmp(line, loaded) != 0) {
			zone_free(z);
			z = load(line);
			memcpy(loaded, line, sizeof(loaded));
		}
		assert_int_equal(zone_offset(z, t), offset);
		(void)zone_to_utc(z, local, &ours);
		if (ours != back)
			fail_msg("%s: local %" PRId64 " is %" PRId64 ", not %" PRId64, line, local,
				 back, ours);
		n++;
	}
	zone_free(z);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_true(n > 20000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_london_days_and_weeks),
		cmocka_unit_test(test_week_start),
		cmocka_unit_test(test_nights),
		cmocka_unit_test(test_night_over_a_lost_day),
		cmocka_unit_test(test_folds),
		cmocka_unit_test(test_odd_days),
		cmocka_unit_test(test_midnight_twice),
		cmocka_unit_test(test_calendar),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_made_file),
		cmocka_unit_test(test_broken_files),
		cmocka_unit_test(test_footers),
		cmocka_unit_test(test_permanent_summer),
		cmocka_unit_test(test_day_rules),
		cmocka_unit_test(test_oracle),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
