/* wellgate-firmware inventory: what firmware the devices of this hub run, and if that may be. */
#include <errno.h>
#include <getopt.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "drivers/cleanup.h"
#include "firmware-tools/fleet.h"
#include "firmware-tools/tool.h"

#define RUNTIME_DIR   "/run/wellgate"
#define SHOWN_DIGITS  8 /* of a reference, for people */
#define COLUMNS       9
#define CELL_BYTES    (FLEET_TEXT + 40)
#define TIME_BYTES    32
#define STATE_COLUMNS 2

static const char usage[] =
	"usage: wellgate-firmware inventory [--policy FILE] [--format text|json|csv]\n"
	"                                   [--runtime-dir DIR]\n\n"
	"Lists the devices that the gateway of this hub knows and what firmware each runs, as\n"
	"far as it said so. Days are in UTC; first seen is the earliest that the hub still knows.\n"
	"--json is short for --format json: one object a line.\n\n"
	"With --policy each is allowed, outdated, recalled or unknown, and the exit status is\n"
	"  0  all are allowed        1  some are outdated or unknown       2  some are recalled\n"
	"The file has a row a line; recalled is stronger than outdated, and that than allowed:\n"
	"  allowed  | Omron | HEM-7155T | 1.2..     | any text\n"
	"  recalled | Omron | HEM-7*    | ..<1.2    | loses readings when its clock is set\n"
	"firmware: 1.4 (this one), 1.2..1.9, 1.2.., ..1.9, ..<2.0 (below), * (any, or not known)\n";

enum output {
	TEXT,
	JSON,
	CSV,
};

struct options {
	const char *name, *policy_path, *runtime_dir;
	enum output output;
};

static bool take_format(struct options *o, const char *text)
{
	static const char *const names[] = { "text", "json", "csv" };

	for (int i = TEXT; i <= CSV; i++) {
		if (strcmp(text, names[i]) == 0) {
			o->output = (enum output)i;
			return true;
		}
	}
	return false;
}

/* -1 = go on */
static int arguments(int argc, char **argv, struct options *o)
{
	static const struct option options[] = {
		{ "policy", required_argument, NULL, 'p' },
		{ "format", required_argument, NULL, 'f' },
		{ "json", no_argument, NULL, 'j' },
		{ "runtime-dir", required_argument, NULL, 'r' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	int option;

	opterr = 0;
	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (option == 'p')
			o->policy_path = optarg;
		else if (option == 'r')
			o->runtime_dir = optarg;
		else if (option == 'j')
			o->output = JSON;
		else if (option == 'h') {
			(void)fputs(usage, stdout);
			return tool_end(o->name, TOOL_GOOD);
		} else if (option != 'f' || !take_format(o, optarg))
			return tool_fail(o->name, TOOL_USAGE,
					 "unknown, incomplete or wrong option; see --help");
	}
	if (optind < argc)
		return tool_fail(o->name, TOOL_USAGE, "unexpected argument %s", argv[optind]);
	return -1;
}

/* ---- cells ---- */

/* "2026-11-16", or with its time; "" if it is not known */
static void put_time(char ret[TIME_BYTES], int64_t ms, bool day_only)
{
	const time_t seconds = (time_t)(ms / 1000);
	struct tm tm;
	size_t len = 0;

	if (ms > 0 && gmtime_r(&seconds, &tm))
		len = day_only ? strftime(ret, TIME_BYTES, "%Y-%m-%d", &tm)
			       : strftime(ret, TIME_BYTES, "%Y-%m-%dT%H:%M:%SZ", &tm);
	ret[len] = '\0';
}

/* Text of a radio for a terminal: plain characters, so that columns stay straight, too. */
static void put_plain(char ret[CELL_BYTES], const char *text)
{
	size_t n = 0;

	for (; *text && n + 1 < CELL_BYTES; text++) {
		if (*text >= 0x20 && *text < 0x7f)
			ret[n++] = *text;
		else if ((*text & 0xc0) != 0x80) /* one mark for a character of several bytes */
			ret[n++] = '?';
	}
	ret[n] = '\0';
	if (n == 0)
		(void)snprintf(ret, CELL_BYTES, "-");
}

static const char *const titles[COLUMNS] = { "device",    "make",     "model",
					     "hardware",  "firmware", "first seen",
					     "last seen", "state",    "note" };

static void fill_row(char cells[COLUMNS][CELL_BYTES], const struct fleet_device *d)
{
	char reference[SHOWN_DIGITS + 1], first[TIME_BYTES], last[TIME_BYTES];
	const char *texts[COLUMNS] = { reference,   d->make, d->model, d->hardware,
				       d->firmware, first,   last,     policy_state_name(d->state),
				       d->note };

	(void)snprintf(reference, sizeof(reference), "%.*s", SHOWN_DIGITS, d->reference);
	put_time(first, d->first_seen_ms, true);
	put_time(last, d->last_seen_ms, true);
	for (size_t i = 0; i < COLUMNS; i++)
		put_plain(cells[i], texts[i]);
	/* what gave no model is known by the driver that reads it */
	if (*d->model == '\0' && *d->driver)
		(void)snprintf(cells[2], CELL_BYTES, "(%s)", d->driver);
}

/* ---- the three ways to print ---- */

static void print_cells(char cells[COLUMNS][CELL_BYTES], const size_t widths[COLUMNS], size_t n)
{
	for (size_t i = 0; i < n; i++)
		(void)printf("%-*s%s", i + 1 < n ? (int)widths[i] : 0, cells[i],
			     i + 1 < n ? "  " : "\n");
}

static void print_sum(const struct fleet *fleet, bool judged)
{
	size_t n[POLICY_RECALLED + 1] = { 0 };

	for (size_t i = 0; i < fleet->n; i++)
		n[fleet->devices[i].state]++;
	(void)printf("%zu device%s", fleet->n, fleet->n == 1 ? "" : "s");
	if (judged)
		(void)printf(": %zu allowed, %zu outdated, %zu recalled, %zu unknown",
			     n[POLICY_ALLOWED], n[POLICY_OUTDATED], n[POLICY_RECALLED],
			     n[POLICY_UNKNOWN]);
	(void)putchar('\n');
}

static void print_text(const struct fleet *fleet, bool judged)
{
	const size_t n = judged ? COLUMNS : COLUMNS - STATE_COLUMNS;
	char cells[COLUMNS][CELL_BYTES];
	size_t widths[COLUMNS];

	for (size_t i = 0; i < COLUMNS; i++)
		widths[i] = strlen(titles[i]);
	for (size_t k = 0; k < fleet->n; k++) {
		fill_row(cells, &fleet->devices[k]);
		for (size_t i = 0; i < COLUMNS; i++)
			widths[i] = strlen(cells[i]) > widths[i] ? strlen(cells[i]) : widths[i];
	}
	for (size_t i = 0; i < COLUMNS; i++)
		(void)snprintf(cells[i], CELL_BYTES, "%s", titles[i]);
	print_cells(cells, widths, n);
	for (size_t k = 0; k < fleet->n; k++) {
		fill_row(cells, &fleet->devices[k]);
		print_cells(cells, widths, n);
	}
	print_sum(fleet, judged);
}

static void add_text(json_t *object, const char *key, const char *text)
{
	if (*text)
		(void)json_object_set_new(object, key, json_string(text));
}

static void print_json(const struct fleet *fleet, bool judged)
{
	for (size_t i = 0; i < fleet->n; i++) {
		const struct fleet_device *d = &fleet->devices[i];
		char first[TIME_BYTES], last[TIME_BYTES];
		json_t *object = json_object();

		put_time(first, d->first_seen_ms, false);
		put_time(last, d->last_seen_ms, false);
		add_text(object, "device", d->reference);
		add_text(object, "driver", d->driver);
		add_text(object, "make", d->make);
		add_text(object, "model", d->model);
		add_text(object, "hardware", d->hardware);
		add_text(object, "firmware", d->firmware);
		add_text(object, "first_seen", first);
		add_text(object, "last_seen", last);
		if (judged) {
			add_text(object, "state", policy_state_name(d->state));
			add_text(object, "note", d->note);
		}
		(void)json_dumpf(object, stdout, JSON_COMPACT);
		(void)putchar('\n');
		json_decref(object);
	}
}

/* RFC 4180. A text that a spreadsheet would take for a formula gets a ' in front. */
static void print_csv_cell(const char *text, char end)
{
	(void)putchar('"');
	if (*text && strchr("=+-@\t\r", *text))
		(void)putchar('\'');
	for (; *text; text++) {
		if (*text == '"')
			(void)putchar('"');
		(void)putchar(*text);
	}
	(void)printf("\"%s", end == '\n' ? "\r\n" : ",");
}

static void print_csv(const struct fleet *fleet, bool judged)
{
	(void)fputs("device,driver,make,model,hardware,firmware,first_seen,last_seen", stdout);
	(void)fputs(judged ? ",state,note\r\n" : "\r\n", stdout);
	for (size_t i = 0; i < fleet->n; i++) {
		const struct fleet_device *d = &fleet->devices[i];
		char first[TIME_BYTES], last[TIME_BYTES];

		put_time(first, d->first_seen_ms, false);
		put_time(last, d->last_seen_ms, false);
		print_csv_cell(d->reference, ',');
		print_csv_cell(d->driver, ',');
		print_csv_cell(d->make, ',');
		print_csv_cell(d->model, ',');
		print_csv_cell(d->hardware, ',');
		print_csv_cell(d->firmware, ',');
		print_csv_cell(first, ',');
		print_csv_cell(last, judged ? ',' : '\n');
		if (judged) {
			print_csv_cell(policy_state_name(d->state), ',');
			print_csv_cell(d->note, '\n');
		}
	}
}

/* ---- all of it ---- */

static int load_policy(const struct options *o, uint8_t **ret_text, struct policy **ret)
{
	const char *why = NULL;
	unsigned int line = 0;
	size_t len = 0;
	int code, r;

	if (!o->policy_path)
		return 0;
	code = tool_read_file(o->name, o->policy_path, POLICY_FILE_MAX, ret_text, &len);
	if (code)
		return code;
	r = policy_read((char *)*ret_text, len, ret, &line, &why);
	if (r == -ENOMEM)
		return tool_fail(o->name, TOOL_UNAVAILABLE, "no memory");
	return r < 0 ? tool_fail(o->name, TOOL_DATA, "%s, line %u: %s", o->policy_path, line, why)
		     : 0;
}

/* the exit status */
static int judge(const struct policy *policy, struct fleet *fleet)
{
	int worst = 0;

	for (size_t i = 0; i < fleet->n; i++) {
		struct fleet_device *d = &fleet->devices[i];

		d->state = policy_judge(policy, d->make, d->model, d->firmware, &d->note);
		if (d->state == POLICY_RECALLED)
			worst = TOOL_RECALLED;
		else if (d->state != POLICY_ALLOWED && worst == 0)
			worst = TOOL_NOT_ALLOWED;
	}
	return worst;
}

static int list(const struct options *o, const struct policy *policy)
{
	struct fleet fleet = { 0 };
	int code = fleet_ask(o->name, o->runtime_dir, &fleet);

	if (code)
		return code;
	if (policy)
		code = judge(policy, &fleet);
	if (o->output == JSON)
		print_json(&fleet, policy != NULL);
	else if (o->output == CSV)
		print_csv(&fleet, policy != NULL);
	else
		print_text(&fleet, policy != NULL);
	fleet_free(&fleet);
	return code;
}

int tool_inventory(int argc, char **argv)
{
	const char *runtime_dir = getenv("WELLGATE_RUNTIME_DIR");
	struct options o = { .name = argv[0] };
	_cleanup_free_ uint8_t *text = NULL;
	struct policy *policy = NULL;
	int code;

	o.runtime_dir = runtime_dir && *runtime_dir ? runtime_dir : RUNTIME_DIR;
	code = arguments(argc, argv, &o);
	if (code >= 0)
		return code;
	code = load_policy(&o, &text, &policy);
	if (code == 0)
		code = list(&o, policy);
	policy_free(policy);
	return tool_end(o.name, code);
}
