/*
 * wellgate decode fitbit FILE: all that a dump of a Fitbit tracker says, a line of JSON each:
 *
 *   {"record":"device",...}         model, versions, battery; no name, no serial
 *   {"metric":"steps",...}          one for each minute that was recorded, 0 too
 *   {"record":"coverage",...}       after each run of such minutes, from when to when it was
 *   {"record":"day",...}            the counters since local midnight, at the time of a snapshot
 *   {"metric":"sleep_duration",...} of a Flex: nights estimated from movement (drivers/sleep.h)
 *   {"metric":"energy",...}         with --resting-kcal, of the same time, estimated
 *   {"record":"floors" "event" "alarm" "unread"}   as sent: what they mean is not certain
 *
 * Nothing is printed of a dump with any fault. The wearer's name, greetings and strides are in the
 * dump, and stay there.
 */
#include "gateway/cli/decode_fitbit.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <jansson.h>
#include <limits.h>
#include <string.h>
#include <time.h>

#include "drivers/cleanup.h"
#include "drivers/fitbit.h"
#include "gateway/cli/cli.h"
#include "gateway/cli/fitbit_file.h"
#include "gateway/cli/format.h"
#include "gateway/cli/print.h"
#include "protocols/bytes/decimal.h"

#define NAME     "decode"
#define DRIVER   "fitbit"
#define DAY_S    86400
#define MINUTE_S 60
#define KCAL_MAX 20000

static void cleanup_json(json_t **j)
{
	json_decref(*j);
}

/* ---- lines ---- */

static int put_line(const json_t *line)
{
	_cleanup_free_ char *text = json_dumps(line, JSON_COMPACT | JSON_PRESERVE_ORDER);

	return text && puts(text) != EOF ? 0 : -EIO;
}

static json_t *record_of(const char *kind)
{
	return json_pack("{s:s}", "record", kind);
}

static void put_instant(json_t *line, const char *key, int64_t seconds)
{
	char text[FORMAT_TIME_MAX];

	format_utc(text, seconds * 1000);
	(void)json_object_set_new(line, key, json_string(text));
}

static void put_tenths(json_t *line, const char *key, int64_t tenths)
{
	char text[DECIMAL_TEXT_MAX];

	if (decimal_format(text, sizeof(text), (struct decimal){ tenths, -1 }) >= 0)
		(void)json_object_set_new(line, key, json_string(text));
}

static void put_number(json_t *line, const char *key, int64_t n)
{
	(void)json_object_set_new(line, key, json_integer(n));
}

static void put_raw(json_t *line, const struct fitbit_record *record)
{
	char hex[2 * FITBIT_RECORD_MAX + 1];

	format_hex(hex, record->bytes, record->len);
	(void)json_object_set_new(line, "raw", json_string(hex));
}

static int put_device(const struct fitbit_dump *d, const struct fitbit_device *x)
{
	_cleanup_(cleanup_json) json_t *line = record_of("device");
	const char *model = fitbit_product_name(d->product);

	(void)json_object_set_new(line, "make", json_string("Fitbit"));
	if (model)
		(void)json_object_set_new(line, "model", json_string(model));
	(void)json_object_set_new(line, "firmware",
				  json_sprintf("%u.%u", x->application[0], x->application[1]));
	(void)json_object_set_new(line, "loader",
				  json_sprintf("%u.%u", x->loader[0], x->loader[1]));
	put_number(line, "battery_mv", x->battery_mv);
	if (x->has_percent)
		put_number(line, "battery_level", x->percent);
	(void)json_object_set_new(line, "encrypted", json_boolean(d->verdict == FITBIT_NEEDS_KEY));
	(void)json_object_set_new(line, "driver", json_string(DRIVER));
	return put_line(line);
}

/* ---- minutes and days ---- */

struct printing {
	int64_t start, end; /* of the run of minutes at hand; equal: none */
};

static int put_coverage(struct printing *p)
{
	_cleanup_(cleanup_json) json_t *line = NULL;

	if (p->start == p->end)
		return 0;
	line = record_of("coverage");
	put_instant(line, "start", p->start);
	put_instant(line, "end", p->end);
	put_number(line, "minutes", (p->end - p->start) / MINUTE_S);
	p->start = p->end = 0;
	return put_line(line);
}

static int cover(struct printing *p, int64_t minute)
{
	int r = 0;

	if (minute != p->end)
		r = put_coverage(p);
	if (p->start == p->end)
		p->start = minute;
	p->end = minute + MINUTE_S;
	return r;
}

static json_t *line_of(const struct measurement *m)
{
	_cleanup_free_ char *text = print_measurement(m, DRIVER);

	return text ? json_loads(text, 0, NULL) : NULL;
}

static int put_minute(struct printing *p, const struct measurement *m,
		      const struct fitbit_record *record)
{
	_cleanup_(cleanup_json) json_t *line = line_of(m);
	int r = cover(p, record->minute.time);

	if (!line)
		return -ENOMEM;
	put_tenths(line, "met", record->minute.met_tenths);
	put_raw(line, record);
	return r < 0 ? r : put_line(line);
}

/* Since when is not in the dump: the zone is not known here. */
static int put_day(const struct measurement *m, const struct fitbit_record *record)
{
	_cleanup_(cleanup_json) json_t *line = NULL, *day = NULL;
	struct measurement shown = *m;

	shown.flags &= ~FLAG_BIT(FLAG_INTERMEDIATE);
	line = line_of(&shown);
	if (!line)
		return -ENOMEM;
	(void)json_object_set_new(line, "since", json_string("local midnight"));
	if (m->metric == METRIC_ENERGY)
		return put_line(line);
	put_tenths(line, "met_minutes", record->day.met_tenths);
	(void)json_object_del(line, "metric");
	day = record_of("day");
	(void)json_object_update(day, line);
	return put_line(day);
}

static int on_measurement(void *user, const struct measurement *m,
			  const struct fitbit_record *record)
{
	struct printing *p = user;
	_cleanup_(cleanup_json) json_t *line = NULL;
	int r;

	if (record && record->kind == FITBIT_MINUTE)
		return put_minute(p, m, record);
	/* a night is said between two minutes, and is no end of their row */
	r = m->metric == METRIC_SLEEP_DURATION ? 0 : put_coverage(p);
	if (r < 0 || record)
		return r < 0 ? r : put_day(m, record);
	line = line_of(m);
	return line ? put_line(line) : -ENOMEM;
}

/* ---- the rest, as sent ---- */

static int put_floors(const struct fitbit_record *record)
{
	_cleanup_(cleanup_json) json_t *line = record_of("floors");
	const struct fitbit_climb *x = &record->climb;

	if (x->has_time)
		put_instant(line, "series_began", x->time);
	put_number(line, "index", x->index);
	put_tenths(line, "floors", x->floors_tenths);
	put_raw(line, record);
	return put_line(line);
}

static int put_alarm(const struct fitbit_record *record)
{
	_cleanup_(cleanup_json) json_t *line = record_of("alarm");
	const struct fitbit_alarm *x = &record->alarm;

	if (x->empty)
		return 0;
	if (x->known) {
		(void)json_object_set_new(line, "at",
					  json_sprintf("%02" PRIu32 ":%02" PRIu32,
						       x->seconds / 3600, x->seconds / 60 % 60));
		put_number(line, "days", x->days);
	}
	put_raw(line, record);
	return put_line(line);
}

static int put_unread(const char *kind, const struct fitbit_record *record)
{
	_cleanup_(cleanup_json) json_t *line = record_of(kind);
	static const char *const parts[] = { [FITBIT_PART_EVENTS] = "events",
					     [FITBIT_PART_FLOORS] = "floors",
					     [FITBIT_PART_ALARMS] = "alarms" };

	if (record->kind == FITBIT_EVENT)
		put_instant(line, "device_time", record->event_time);
	else if (record->part < FITBIT_PART_END && parts[record->part])
		(void)json_object_set_new(line, "part", json_string(parts[record->part]));
	put_raw(line, record);
	return put_line(line);
}

static int on_record(void *user, const struct fitbit_record *record)
{
	(void)user;
	switch (record->kind) {
	case FITBIT_CLIMB:
		return put_floors(record);
	case FITBIT_ALARM:
		return put_alarm(record);
	case FITBIT_EVENT:
		return put_unread("event", record);
	case FITBIT_UNREAD:
		return put_unread("unread", record);
	case FITBIT_DEVICE:
	case FITBIT_MINUTE:
	case FITBIT_DAY:
		break;
	}
	return 0;
}

/* ---- what is wrong ---- */

static const char *verdict_text(enum fitbit_verdict verdict)
{
	switch (verdict) {
	case FITBIT_KEEP_AES:
		return "it is encrypted with AES, in a way that its maker has not published";
	case FITBIT_KEEP_CIPHER:
		return "it is encrypted in a way that is not known";
	case FITBIT_KEEP_MICRODUMP:
		return "it is a micro dump, and what is in those is not known";
	case FITBIT_KEEP_LAYOUT:
	case FITBIT_READABLE:
	case FITBIT_NEEDS_KEY:
		break;
	}
	return "how this model lays out its memory is not known";
}

static int explain_kept(const struct fitbit_dump *d)
{
	const char *model = fitbit_product_name(d->product);

	return cli_fail(
		NAME, EXIT_DATA,
		"fitbit: a dump of a Fitbit%s%s that cannot be read: %s; keep the file if you "
		"like, nobody here can open it",
		model ? " " : "", model ? model : "", verdict_text(d->verdict));
}

/* what was wrong with the dump itself */
static int explain(const struct fitbit_dump *d, int r)
{
	switch (r) {
	case -EOPNOTSUPP:
		return explain_kept(d);
	case -ENOKEY:
		return cli_fail(
			NAME, EXIT_DATA,
			"fitbit: it is encrypted (XTEA): give the owner's key with --key FILE");
	case -EKEYREJECTED:
		return cli_fail(
			NAME, EXIT_DATA,
			"fitbit: %zu bytes: another key, or damaged: nothing was read (tag)",
			d->len);
	case -EMSGSIZE:
		return cli_fail(NAME, EXIT_DATA,
				"fitbit: %zu bytes: not as long as it says (length)", d->len);
	case -EBADMSG:
		return cli_fail(
			NAME, EXIT_DATA,
			"fitbit: %zu bytes: damaged: nothing was read (structure, checksum)",
			d->len);
	default:
		return cli_fail(NAME, EXIT_IO, "fitbit: %s", strerror(-r));
	}
}

/* what was wrong with how it is wrapped */
static int explain_file(int r)
{
	switch (r) {
	case -EPROTONOSUPPORT:
		return cli_fail(
			NAME, EXIT_DATA,
			"fitbit: this is Golden Gate, as trackers from about 2018 on speak it: "
			"it is encrypted end to end, and only its maker can read it");
	case -ENODATA:
		return cli_fail(NAME, EXIT_DATA, "fitbit: a capture without a whole dump in it");
	case -ECONNREFUSED:
		return cli_fail(NAME, EXIT_DATA, "fitbit: the tracker refused to give a dump");
	case -EMSGSIZE:
	case -ENOSPC:
		return cli_fail(NAME, EXIT_DATA, "fitbit: not as long as a dump can be (length)");
	case -EBADMSG:
	case -EPROTO:
		return cli_fail(
			NAME, EXIT_DATA,
			"fitbit: not hexadecimal, or damaged on its way (structure, checksum)");
	case -ENOMSG:
		return cli_fail(
			NAME, EXIT_DATA,
			"fitbit: not a dump of a tracker that is known; those from about 2018 on "
			"(Golden Gate) give none that anybody but their maker can read");
	default:
		return cli_fail(NAME, EXIT_IO, "fitbit: %s", strerror(-r));
	}
}

static int explain_key(int r)
{
	switch (r) {
	case -EPERM:
		return cli_fail(
			NAME, EXIT_DATA,
			"fitbit: the key must be a file of yours that nobody else may read (mode "
			"0600)");
	case -EBADMSG:
		return cli_fail(NAME, EXIT_DATA,
				"fitbit: the key file must hold one key: 32 hexadecimal digits");
	case -ENOKEY:
		return cli_fail(NAME, EXIT_DATA, "fitbit: the key file is for another tracker");
	default:
		return cli_fail(NAME, EXIT_IO, "fitbit: the key file: %s", strerror(-r));
	}
}

/* ---- the command ---- */

struct options {
	const char *file, *key_file;
	unsigned int resting_kcal;
};

static int print(const struct fitbit_dump *d, const uint8_t *key, const struct options *o)
{
	const struct fitbit_rules rules = { .latest = time(NULL) + DAY_S,
					    .resting_kcal = o->resting_kcal };
	struct printing p = { .start = 0 };
	struct fitbit_told told;
	int r = fitbit_measure(d, key, &rules, NULL, NULL, &told);

	if (r == 0)
		r = put_device(d, &told.device);
	if (r == 0)
		r = fitbit_measure(d, key, &rules, on_measurement, &p, &told);
	if (r == 0)
		r = put_coverage(&p);
	return r == 0 ? fitbit_dump_read(d, key, on_record, NULL) : r;
}

/* As it is, or, if that is damaged, with the escapes of packets undone. */
static int check(uint8_t *data, size_t len, const uint8_t *key, struct fitbit_dump *d)
{
	struct fitbit_dump other;
	int r = fitbit_dump_read(d, key, NULL, NULL);

	if (r == 0 || r == -ENOKEY || r == -EOPNOTSUPP || fitbit_file_unescape(data, len, &len) < 0)
		return r;
	if (fitbit_dump_recognise(data, len, &other) < 0 ||
	    fitbit_dump_read(&other, key, NULL, NULL) < 0)
		return r;
	*d = other;
	return 0;
}

static int decode(uint8_t *data, size_t len, const struct options *o)
{
	uint8_t bytes[FITBIT_KEY_SIZE];
	const uint8_t *key = NULL;
	struct fitbit_dump d;
	int r = fitbit_dump_recognise(data, len, &d);

	if (r < 0)
		return explain_file(r);
	if (o->key_file) {
		r = fitbit_file_key(o->key_file, d.serial, bytes);
		if (r < 0)
			return explain_key(r);
		key = bytes;
	}
	r = check(data, len, key, &d);
	if (r == 0)
		r = print(&d, key, o);
	explicit_bzero(bytes, sizeof(bytes));
	return r < 0 ? explain(&d, r) : EXIT_GOOD;
}

static int decode_file(const struct options *o)
{
	_cleanup_free_ uint8_t *file = NULL, *dump = NULL;
	size_t file_len, len;
	int r = fitbit_file_read(o->file, &file, &file_len);

	if (r == -EMSGSIZE)
		return explain_file(r);
	if (r < 0)
		return cli_fail(NAME, EXIT_IO, "fitbit: %s: %s", o->file, strerror(-r));
	r = fitbit_file_dump(file, file_len, &dump, &len);
	return r < 0 ? explain_file(r) : decode(dump, len, o);
}

static bool parse_kcal(const char *text, unsigned int *ret)
{
	char *end;
	unsigned long n;

	errno = 0;
	n = strtoul(text, &end, 10);
	if (errno || end == text || *end || n == 0 || n > KCAL_MAX)
		return false;
	*ret = (unsigned int)n;
	return true;
}

int decode_fitbit(int argc, char **argv)
{
	static const struct option longs[] = { { "key", required_argument, NULL, 'k' },
					       { "resting-kcal", required_argument, NULL, 'r' },
					       { 0 } };
	struct options o = { .file = NULL };
	int c;

	opterr = 0;
	while ((c = getopt_long(argc, argv, "", longs, NULL)) >= 0) {
		if (c == 'k')
			o.key_file = optarg;
		else if (c != 'r' || !parse_kcal(optarg, &o.resting_kcal))
			return cli_fail(NAME, EXIT_USAGE, "see --help");
	}
	if (optind != argc - 1)
		return cli_fail(NAME, EXIT_USAGE, "which FILE? see --help");
	o.file = argv[optind];
	return decode_file(&o);
}
