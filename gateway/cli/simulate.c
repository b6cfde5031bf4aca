/*
 * wellgate simulate: synthetic captures of made-up people. The same scenario, seed and start give
 * the same bytes on every machine: integers and a small generator of our own.
 */
#include <assert.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "drivers/transport/recorder.h"
#include "gateway/cli/cli.h"
#include "gateway/cli/simulate.h"
#include "protocols/bytes/writer.h"
#include "protocols/capture/cap.h"
#include "protocols/capture/stamp.h"
#include "protocols/gatt/blood_pressure.h"
#include "protocols/gatt/heart_rate.h"
#include "protocols/gatt/temperature.h"
#include "protocols/gatt/weight.h"

#define UUID_BLOOD_PRESSURE    0x1810
#define UUID_WEIGHT_SCALE      0x181d
#define UUID_THERMOMETER       0x1809
#define UUID_HEART_RATE        0x180d
#define UUID_PRESSURE_VALUE    0x2a35
#define UUID_WEIGHT_VALUE      0x2a9d
#define UUID_TEMPERATURE_VALUE 0x2a1c
#define UUID_HEART_RATE_VALUE  0x2a37
/* Device Information; no serial number: a made-up one would be an identity */
#define UUID_MODEL    0x2a24
#define UUID_FIRMWARE 0x2a26
#define UUID_HARDWARE 0x2a27
#define UUID_MAKER    0x2a29

#define SECOND INT64_C(1000) /* times here are milliseconds since the start */
#define MINUTE (60 * SECOND)
#define HOUR   (60 * MINUTE)
#define DAY    (24 * HOUR)

#define READINGS_DEFAULT 1000
#define READINGS_MAX     10000000
#define SESSION_READINGS 50

static const char usage[] =
	"usage: wellgate simulate SCENARIO [--seed N] [--readings N] [--start TIME] >FILE.cap\n"
	"       wellgate simulate ieee11073-agent --connect HOST:PORT --sensor SENSOR [--help]\n"
	"\n"
	"Writes a synthetic capture for `wellgate replay` and `wellgate-devices --replay`.\n"
	"\n"
	"  home-week   a week at home: cuff, scale, thermometer, heart rate on walks\n"
	"  many        N readings of stored data, each with a time of its own\n"
	"\n"
	"  --seed N      another made-up person, default 1\n"
	"  --readings N  of `many`, default 1000\n"
	"  --start TIME  like 2026-11-16T06:30:00Z; default: that, and for `many` the month\n"
	"                that the seed stands for\n";

struct simulation {
	uint64_t random;
	int64_t start_ms;
	int64_t now; /* ms since the start; may only rise */
	bool failed; /* output */
};

/* xorshift64*, Vigna 2016; never zero */
static uint32_t next_random(struct simulation *s)
{
	s->random ^= s->random >> 12;
	s->random ^= s->random << 25;
	s->random ^= s->random >> 27;
	return (uint32_t)((s->random * UINT64_C(0x2545f4914f6cdd1d)) >> 32);
}

/* low..high, both included; the middle is likelier than the ends, as in people */
static int between(struct simulation *s, int low, int high)
{
	const uint32_t span = (uint32_t)(high - low) + 1;
	const uint32_t sum = next_random(s) % span + next_random(s) % span;

	return low + (int)(sum / 2);
}

/* ---- events ---- */

static void emit(struct simulation *s, struct cap_event *e)
{
	char line[CAP_LINE_MAX];

	e->at_us = s->now * 1000;
	if (cap_write_event(e, line, sizeof(line)) < 0 || fputs(line, stdout) == EOF)
		s->failed = true;
}

static void open_device(struct simulation *s, uint16_t service, const char *name)
{
	struct cap_event e = { .kind = CAP_OPEN, .open = { .bus = "ble", .service = service } };

	(void)snprintf(e.open.name, sizeof(e.open.name), "%s", name);
	emit(s, &e);
	s->now += 200;
}

static void frame(struct simulation *s, uint16_t channel, const struct writer *w)
{
	struct cap_event e = { .kind = CAP_FRAME, .channel = channel, .len = w->len };

	assert(writer_ok(w) && w->len <= sizeof(e.data));
	memcpy(e.data, w->data, w->len);
	emit(s, &e);
}

static void say_text(struct simulation *s, uint16_t channel, const char *text)
{
	struct cap_event e = { .kind = CAP_FRAME, .channel = channel, .len = strlen(text) };

	assert(e.len <= sizeof(e.data));
	memcpy(e.data, text, e.len);
	emit(s, &e);
}

/* as devices of these kinds do, right after the link is up */
static void say_who(struct simulation *s, const char *model, const char *firmware)
{
	say_text(s, UUID_MAKER, "Wellgate simulated");
	say_text(s, UUID_MODEL, model);
	say_text(s, UUID_FIRMWARE, firmware);
	say_text(s, UUID_HARDWARE, "A");
}

static void close_device(struct simulation *s)
{
	struct cap_event e = { .kind = CAP_CLOSE };

	s->now += 300;
	emit(s, &e);
}

static void wait_until(struct simulation *s, int64_t at)
{
	if (at > s->now)
		s->now = at;
}

/* the device's clock shows UTC, to the second */
static struct gatt_date_time device_time(const struct simulation *s, int64_t at)
{
	const struct stamp t = stamp_of_ms(s->start_ms + at);

	return (struct gatt_date_time){
		.year = (uint16_t)t.year,
		.month = t.month,
		.day = t.day,
		.hour = t.hour,
		.minute = t.minute,
		.second = t.second,
	};
}

/* ---- devices ---- */

static void pressure(struct simulation *s, int64_t measured, int systolic, uint16_t status)
{
	const int diastolic = systolic * 3 / 5 + between(s, -4, 4);
	struct gatt_blood_pressure x = {
		.systolic = number_of(systolic, 0),
		.diastolic = number_of(diastolic, 0),
		.mean = number_of(diastolic + (systolic - diastolic) / 3, 0),
		.has_time = true,
		.time = device_time(s, measured),
		.has_pulse = true,
		.pulse = number_of(between(s, 60, 76), 0),
		.has_user = true,
		.user = 1,
		.has_status = true,
		.status = status,
	};
	uint8_t data[GATT_BLOOD_PRESSURE_SIZE_MAX];
	struct writer w = writer_of(data, sizeof(data));
	const int r = gatt_blood_pressure_encode(&x, &w);

	assert(r == 0);
	(void)r;
	frame(s, UUID_PRESSURE_VALUE, &w);
}

/* grams in steps of 50, as scales show them */
static void weight(struct simulation *s, int64_t measured, int grams)
{
	const int shown = grams / 50 * 50;
	struct gatt_weight x = {
		.weight = number_of(shown, -3),
		.has_time = true,
		.time = device_time(s, measured),
		.has_user = true,
		.user = 1,
		.has_bmi_height = true,
		.bmi = number_of(shown * 100 / (178 * 178), -1),
		.height = number_of(1780, -3),
	};
	uint8_t data[GATT_WEIGHT_SIZE_MAX];
	struct writer w = writer_of(data, sizeof(data));
	const int r = gatt_weight_encode(&x, &w);

	assert(r == 0);
	(void)r;
	frame(s, UUID_WEIGHT_VALUE, &w);
}

static void temperature(struct simulation *s, int64_t measured)
{
	struct gatt_temperature x = {
		.value = number_of(between(s, 362, 371), -1),
		.has_time = true,
		.time = device_time(s, measured),
		.has_type = true,
		.type = GATT_TEMPERATURE_MOUTH,
	};
	uint8_t data[32];
	struct writer w = writer_of(data, sizeof(data));
	const int r = gatt_temperature_encode(&x, &w);

	assert(r == 0);
	(void)r;
	frame(s, UUID_TEMPERATURE_VALUE, &w);
}

static void heart_rate(struct simulation *s, int rate)
{
	struct gatt_heart_rate x = {
		.rate = number_of(rate, 0),
		.contact = GATT_HEART_RATE_CONTACT_GOOD,
	};
	uint8_t data[32];
	struct writer w = writer_of(data, sizeof(data));
	const int r = gatt_heart_rate_encode(&x, &w);

	assert(r == 0);
	(void)r;
	frame(s, UUID_HEART_RATE_VALUE, &w);
}

/* ---- a week at home ---- */

/* two readings about a minute apart, the second a little lower */
static void take_pressure(struct simulation *s, int64_t at, int systolic, uint16_t status)
{
	wait_until(s, at + between(s, 0, 600) * SECOND);
	open_device(s, UUID_BLOOD_PRESSURE, "Home cuff");
	say_who(s, "Home cuff", "2.1.0");
	pressure(s, s->now - 2 * SECOND, systolic + between(s, -5, 7), status);
	s->now += between(s, 62, 85) * SECOND;
	pressure(s, s->now - 2 * SECOND, systolic + between(s, -8, 3), 0);
	close_device(s);
}

static void step_on_scale(struct simulation *s, int64_t at, int grams)
{
	wait_until(s, at + between(s, 0, 300) * SECOND);
	open_device(s, UUID_WEIGHT_SCALE, "Home scale");
	say_who(s, "Home scale", "1.4");
	weight(s, s->now - SECOND, grams);
	close_device(s);
}

static void take_temperature(struct simulation *s, int64_t at)
{
	wait_until(s, at + between(s, 0, 900) * SECOND);
	open_device(s, UUID_THERMOMETER, "Home thermometer");
	say_who(s, "Home thermometer", "1.0.3");
	temperature(s, s->now - SECOND);
	close_device(s);
}

/* twenty minutes: the pulse climbs, holds, and settles */
static void go_for_a_walk(struct simulation *s, int64_t at)
{
	wait_until(s, at + between(s, 0, 1800) * SECOND);
	open_device(s, UUID_HEART_RATE, "Chest strap");
	say_who(s, "Chest strap", "3.07");
	for (int minute = 0; minute < 20; minute++) {
		const int climb = minute < 6 ? minute * 4 : minute < 16 ? 24 : (20 - minute) * 5;

		heart_rate(s, 82 + climb + between(s, -4, 4));
		s->now += MINUTE;
	}
	close_device(s);
}

/* begins at half past six in the morning */
static void home_week(struct simulation *s)
{
	for (int day = 0; day < 7; day++) {
		const int64_t morning = day * DAY;

		step_on_scale(s, morning + 10 * MINUTE, 82600 - day * 90 + between(s, -300, 300));
		take_pressure(s, morning + 30 * MINUTE, 136 - day, 0);
		if (day % 2 == 0)
			go_for_a_walk(s, morning + 4 * HOUR);
		if (day == 2 || day == 3 || day == 5)
			take_temperature(s, morning + 8 * HOUR);
		take_pressure(s, morning + 13 * HOUR, 131 - day,
			      day == 4 ? GATT_BP_STATUS_MOVEMENT : 0);
	}
}

/* ---- many stored readings ---- */

/* One reading a minute; a device hands over what it has stored, then the next one does. */
static void many(struct simulation *s, unsigned int readings)
{
	static const struct {
		uint16_t service;
		const char *name;
	} devices[] = {
		{ UUID_BLOOD_PRESSURE, "Simulated cuff" },
		{ UUID_WEIGHT_SCALE, "Simulated scale" },
		{ UUID_THERMOMETER, "Simulated thermometer" },
	};
	unsigned int done = 0;

	for (unsigned int k = 0; done < readings; k++) {
		const unsigned int left = readings - done;
		const unsigned int n = left < SESSION_READINGS ? left : SESSION_READINGS;

		wait_until(s, (int64_t)(done + n) * MINUTE);
		open_device(s, devices[k % 3].service, devices[k % 3].name);
		for (unsigned int i = 0; i < n; i++, done++) {
			if (k % 3 == 0)
				pressure(s, done * MINUTE, between(s, 105, 155), 0);
			else if (k % 3 == 1)
				weight(s, done * MINUTE, between(s, 60000, 95000));
			else
				temperature(s, done * MINUTE);
			s->now += 100;
		}
		close_device(s);
	}
}

/* ---- command line ---- */

struct arguments {
	uint64_t seed;
	unsigned int readings;
	bool has_start;
	int64_t start_ms;
};

static bool parse_number(const char *text, uint64_t max, uint64_t *ret)
{
	char *end;
	unsigned long long value;

	if (text[0] < '0' || text[0] > '9')
		return false;
	errno = 0;
	value = strtoull(text, &end, 10);
	if (errno != 0 || *end != '\0' || value > max)
		return false;
	*ret = value;
	return true;
}

static const struct option options[] = {
	{ "seed", required_argument, NULL, 's' },
	{ "readings", required_argument, NULL, 'n' },
	{ "start", required_argument, NULL, 't' },
	{ "help", no_argument, NULL, 'h' },
	{ NULL, 0, NULL, 0 },
};

/* -1 to go on, otherwise the exit status */
static int take_option(struct arguments *a, int option)
{
	uint64_t value;

	switch (option) {
	case 's':
		if (parse_number(optarg, UINT32_MAX, &a->seed))
			return -1;
		return cli_fail("simulate", EXIT_USAGE, "--seed takes a number up to 4294967295");
	case 'n':
		if (!parse_number(optarg, READINGS_MAX, &value) || value == 0)
			return cli_fail("simulate", EXIT_USAGE, "--readings takes 1 to %d",
					READINGS_MAX);
		a->readings = (unsigned int)value;
		return -1;
	case 't':
		if (stamp_parse(optarg, strlen(optarg), &a->start_ms) < 0)
			return cli_fail("simulate", EXIT_USAGE,
					"--start takes a time like 2026-11-16T06:30:00Z");
		a->has_start = true;
		return -1;
	case 'h':
		(void)fputs(usage, stdout);
		return EXIT_GOOD;
	default:
		return cli_fail("simulate", EXIT_USAGE, "see --help");
	}
}

/* Each seed of `many` has a month of its own, so that two runs have no reading in common. */
static int64_t default_start(bool is_many, uint64_t seed)
{
	const struct stamp week = { .year = 2026, .month = 11, .day = 16, .hour = 6, .minute = 30 };
	const struct stamp first = { .year = 2024, .month = 1, .day = 1 };

	return is_many ? stamp_to_ms(&first) + (int64_t)(seed % 300) * 30 * DAY
		       : stamp_to_ms(&week);
}

int cmd_simulate(int argc, char **argv)
{
	struct arguments a = { .seed = 1, .readings = READINGS_DEFAULT };
	struct simulation s = { 0 };
	int option, status;
	bool is_many;

	if (argc > 1 && strcmp(argv[1], "ieee11073-agent") == 0)
		return simulate_agent(argc - 1, argv + 1);
	while ((option = getopt_long(argc, argv, "", options, NULL)) >= 0) {
		status = take_option(&a, option);
		if (status >= 0)
			return status;
	}
	if (optind + 1 != argc)
		return cli_fail("simulate", EXIT_USAGE, "which SCENARIO? see --help");
	is_many = strcmp(argv[optind], "many") == 0;
	if (!is_many && strcmp(argv[optind], "home-week") != 0)
		return cli_fail("simulate", EXIT_USAGE, "no scenario \"%s\": home-week or many",
				argv[optind]);
	s.random = a.seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
	s.start_ms = a.has_start ? a.start_ms : default_start(is_many, a.seed);
	if (recorder_header(stdout, "no device: made up by wellgate simulate", argv[optind],
			    "synthetic", s.start_ms) < 0)
		s.failed = true;
	if (is_many)
		many(&s, a.readings);
	else
		home_week(&s);
	if (s.failed || fflush(stdout) != 0)
		return cli_fail("simulate", EXIT_IO, "cannot write");
	return EXIT_GOOD;
}
