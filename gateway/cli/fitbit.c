/*
 * wellgate fitbit: which tracker this hub reads over Fitbit's base station. Discovery hears the
 * neighbours' trackers, too. Their addresses go to the operator's screen and nowhere else, and only
 * while this runs: wellgate-devices itself forgets all but the one that is allowed here.
 *
 * It talks to the base station itself. The kernel lends it to one program at a time, so while it is
 * ours, wellgate-devices has no session with it, and no note of it is written but by us.
 */
#include <errno.h>
#include <getopt.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "drivers/cleanup.h"
#include "drivers/fitbit_station.h"
#include "drivers/registry.h"
#include "drivers/transport/cable.h"
#include "drivers/transport/usb.h"
#include "drivers/transport/usb_io.h"
#include "drivers/transport/usb_open.h"
#include "gateway/cli/cli.h"
#include "protocols/fitbit/dump.h"

static const char usage[] =
	"usage: wellgate fitbit list [--json]\n"
	"       wellgate fitbit allow ADDRESS [--replace] [--state DIR]\n\n"
	"A Fitbit base station hears every tracker in reach, the neighbours', too. This hub\n"
	"reads the one that was allowed, and looks for nobody before. Run it as root, with\n"
	"one base station plugged in.\n\n"
	"list    the trackers in reach, for ten seconds; nothing of it is kept. To tell\n"
	"        whose is whose: take the wearer's away, and list again\n"
	"allow   the wearer's tracker, by its address: it is read from the next visit on,\n"
	"        which is within 15 minutes, or when the base station is plugged in again\n\n"
	"  --replace     another tracker was allowed before, and is not read here any more.\n"
	"                Readings belong to the tracker, whichever way it is read\n"
	"  --state DIR   of wellgate-devices, default " /* */
	"/var/lib/wellgate-devices\n\n"
	"Exit status: 0 done, 64 usage, 69 no base station, in use, or another tracker is\n"
	"allowed, 74 I/O.\n";

#define NAME          "fitbit"
#define DEFAULT_STATE "/var/lib/wellgate-devices"
#define NOTES         "wired"
#define FOUND_MAX     64
#define SETTLE_US     INT64_C(1000000)
#define ADDRESS_TEXT  18 /* 02:00:5E:10:00:01 */

struct options {
	bool json, allow, replace;
	const char *state;
	uint8_t id[FITBIT_ID_SIZE];
};

struct survey {
	const struct options *options;
	sd_event *event;
	struct cable *cable;
	uint64_t next_seq;
	size_t n_stations;
	struct usb_attachment station;
	char serial[FITBIT_STATION_TEXT]; /* "": not told */
	struct fitbit_found found[FOUND_MAX];
	size_t n_found;
	bool over;
	int error, noted; /* positive; 0 or -errno */
};

/* ---- addresses ---- */

static void print_address(const uint8_t *id, char ret[ADDRESS_TEXT])
{
	(void)snprintf(ret, ADDRESS_TEXT, "%02X:%02X:%02X:%02X:%02X:%02X", id[5], id[4], id[3],
		       id[2], id[1], id[0]);
}

static int parse_address(const char *text, uint8_t ret[FITBIT_ID_SIZE])
{
	uint8_t id[FITBIT_ID_SIZE];

	if (strlen(text) != ADDRESS_TEXT - 1)
		return -EINVAL;
	for (size_t i = 0; i < FITBIT_ID_SIZE; i++) {
		const char digits[] = { text[3 * i], text[3 * i + 1], '\0' };

		if (strspn(digits, "0123456789abcdefABCDEF") != 2 ||
		    (i + 1 < FITBIT_ID_SIZE && text[3 * i + 2] != ':'))
			return -EINVAL;
		id[FITBIT_ID_SIZE - 1 - i] = (uint8_t)strtoul(digits, NULL, 16);
	}
	memcpy(ret, id, sizeof(id));
	return 0;
}

/* ---- what the base station says ---- */

static void add_found(struct survey *s, const struct fitbit_found *found)
{
	for (size_t i = 0; i < s->n_found; i++) {
		if (memcmp(s->found[i].id, found->id, sizeof(found->id)) == 0)
			return;
	}
	if (s->n_found < FOUND_MAX)
		s->found[s->n_found++] = *found;
}

static void on_observe(void *user, const struct cap_event *event)
{
	struct survey *s = user;
	struct fitbit_found found;
	const uint8_t *payload;
	size_t len;
	int number;

	if (event->kind != CAP_FRAME || event->channel != DRV_WIRE_REPORT)
		return;
	number = fitbit_station_frame(event->data, event->len, &payload, &len);
	if (number == FITBIT_STATION_INFO)
		(void)fitbit_station_decode(payload, len, s->serial);
	else if (number == FITBIT_STATION_FOUND && fitbit_found_decode(payload, len, &found) == 0)
		add_found(s, &found);
}

static int on_up(void *user, const struct session *session)
{
	(void)user;
	(void)session;
	return 0;
}

static int on_measurement(void *user, const struct session *session, const struct measurement *m,
			  uint64_t seq)
{
	(void)user;
	(void)session;
	(void)m;
	(void)seq;
	return 0;
}

static bool has_room(void *user)
{
	(void)user;
	return true;
}

/* ---- the note ---- */

/* The files are those of wellgate-devices, so root writes them as its user. */
static int become_owner(const char *state)
{
	struct stat st;

	if (stat(state, &st) < 0)
		return -errno;
	if (geteuid() != 0 || st.st_uid == 0)
		return 0;
	if (setegid(st.st_gid) < 0 || seteuid(st.st_uid) < 0)
		return -errno;
	return 0;
}

/* -EEXIST: another tracker is allowed. The same one again: what is known of it stays. */
static int save_note(const struct survey *s, struct wire_notes *notes)
{
	struct wire_note note = { .kept_len = FITBIT_ALLOWED_SIZE }, before;
	int r;

	(void)snprintf(note.driver, sizeof(note.driver), "%s", "fitbit_dongle");
	usb_identify(&s->station, s->serial, note.identity);
	fitbit_allow(s->options->id, note.kept);
	r = wire_notes_load(notes, note.driver, note.identity, &before);
	if (r == 0 && before.kept_len >= FITBIT_ALLOWED_SIZE) {
		if (memcmp(before.kept, note.kept, FITBIT_ALLOWED_SIZE) == 0)
			return 0;
		if (!s->options->replace)
			return -EEXIST;
	}
	return wire_notes_save(notes, &note);
}

static int write_note(const struct survey *s)
{
	_cleanup_free_ char *folder = NULL;
	struct wire_notes *notes;
	int r = become_owner(s->options->state);

	if (r < 0)
		return r;
	if (asprintf(&folder, "%s/" NOTES, s->options->state) < 0) {
		folder = NULL;
		return -ENOMEM;
	}
	r = wire_notes_open(folder, &notes);
	if (r < 0)
		return r;
	r = save_note(s, notes);
	wire_notes_free(notes);
	return r;
}

/* While the base station is still ours. */
static void on_ended(void *user, int error)
{
	struct survey *s = user;

	s->over = true;
	s->error = error;
	if (error == 0 && s->options->allow && s->serial[0])
		s->noted = write_note(s);
	(void)sd_event_exit(s->event, 0);
}

/* ---- the base station ---- */

static void on_attached(void *user, const struct usb_attachment *a)
{
	struct survey *s = user;
	const struct drv_match *row = fitbit_survey.match;

	if (a->bus != row->bus || a->vid != row->vid || a->pid != row->pid)
		return;
	s->station = *a;
	s->n_stations++;
}

static void on_detached(void *user, const char *syspath)
{
	(void)user;
	(void)syspath;
}

static int find_station(struct survey *s)
{
	const struct usb_monitor_handlers handlers = {
		.attached = on_attached,
		.detached = on_detached,
		.user = s,
	};
	struct usb_monitor *monitor;
	int r = usb_monitor_new(s->event, 0, &handlers, &monitor);

	if (r < 0)
		return r;
	usb_monitor_free(monitor);
	return s->n_stations == 0 ? -ENODEV : s->n_stations > 1 ? -E2BIG : 0;
}

static int open_station(struct survey *s)
{
	const struct usb_opening opening = {
		.event = s->event,
		.attachment = &s->station,
		.driver = &fitbit_survey,
	};
	const struct cable_sink sink = {
		.up = on_up,
		.measurement = on_measurement,
		.has_room = has_room,
		.ended = on_ended,
		.observe = on_observe,
		.user = s,
	};
	struct wire_sink wire_sink;
	struct wire *wire;
	int r = cable_new(s->event, &fitbit_survey, 0, &sink, &s->next_seq, &s->cable);

	if (r < 0)
		return r;
	wire_sink = cable_wire_sink(s->cable);
	r = usb_open_wire(&opening, &wire_sink, &wire);
	return r < 0 ? r : cable_start(s->cable, wire);
}

/* Ten seconds. 0 or -errno */
static int look(struct survey *s)
{
	int r = sd_event_new(&s->event);

	if (r >= 0)
		r = find_station(s);
	if (r >= 0)
		r = open_station(s);
	if (r >= 0)
		r = sd_event_loop(s->event);
	cable_free(s->cable);
	(void)usb_io_settle(SETTLE_US);
	(void)sd_event_unref(s->event);
	if (r < 0)
		return r;
	if (s->error > 0)
		return -s->error;
	return s->serial[0] ? 0 : -ETIMEDOUT;
}

/* ---- for people and machines ---- */

static int print_json(const struct fitbit_found *f)
{
	char address[ADDRESS_TEXT], *text;
	const char *model = f->has_product ? fitbit_product_name(f->product) : NULL;
	json_t *line;
	int r;

	print_address(f->id, address);
	line = json_pack("{s:s, s:s*, s:i, s:b}", "address", address, "model", model, "rssi",
			 (int)f->rssi, "unsynced", (int)f->unsynced);
	text = line ? json_dumps(line, JSON_COMPACT | JSON_PRESERVE_ORDER) : NULL;
	r = text && puts(text) != EOF ? 0 : -EIO;
	free(text);
	json_decref(line);
	return r;
}

static int print_line(const struct fitbit_found *f)
{
	const char *model = f->has_product ? fitbit_product_name(f->product) : NULL;
	char address[ADDRESS_TEXT];

	print_address(f->id, address);
	return printf("%s  %-10s  %4d dBm  %s\n", address, model ? model : "unknown", f->rssi,
		      f->unsynced ? "not synced lately" : "synced lately") < 0
		       ? -EIO
		       : 0;
}

static int by_rssi(const void *a, const void *b)
{
	const struct fitbit_found *x = a, *y = b;

	return (int)y->rssi - (int)x->rssi;
}

static int print_all(struct survey *s)
{
	int r = 0;

	qsort(s->found, s->n_found, sizeof(s->found[0]), by_rssi);
	for (size_t i = 0; i < s->n_found && r == 0; i++)
		r = s->options->json ? print_json(&s->found[i]) : print_line(&s->found[i]);
	if (s->n_found == 0 && !s->options->json)
		(void)puts("no tracker is in reach");
	return r < 0 || fflush(stdout) != 0 ? EXIT_IO : EXIT_GOOD;
}

static int say_allowed(const struct survey *s)
{
	if (s->noted == -EEXIST)
		return cli_fail(NAME, EXIT_UNAVAILABLE,
				"another tracker is allowed here: see --replace in --help");
	if (s->noted < 0)
		return cli_fail(NAME, EXIT_IO, "it could not be noted: %s", strerror(-s->noted));
	for (size_t i = 0; i < s->n_found; i++) {
		if (memcmp(s->found[i].id, s->options->id, FITBIT_ID_SIZE) == 0)
			return puts("allowed; it is in reach") < 0 ? EXIT_IO : EXIT_GOOD;
	}
	return puts("allowed; it is not in reach now") < 0 ? EXIT_IO : EXIT_GOOD;
}

static int explain(int r)
{
	switch (r) {
	case -ENODEV:
		return cli_fail(NAME, EXIT_UNAVAILABLE, "no base station is plugged in");
	case -E2BIG:
		return cli_fail(NAME, EXIT_UNAVAILABLE,
				"several base stations: leave one plugged in");
	case -EBUSY:
		return cli_fail(NAME, EXIT_UNAVAILABLE,
				"the base station is being read: try again in a minute");
	case -EACCES:
	case -EPERM:
		return cli_fail(NAME, EXIT_UNAVAILABLE, "only root may open the base station");
	default:
		return cli_fail(NAME, EXIT_UNAVAILABLE, "the base station does not answer: %s",
				strerror(-r));
	}
}

/* ---- options ---- */

/* -1 = go on, or the exit code */
static int parse_words(int argc, char **argv, struct options *o)
{
	if (argc == 1 && strcmp(argv[0], "list") == 0)
		return -1;
	if (argc != 2 || strcmp(argv[0], "allow") != 0)
		return cli_fail(NAME, EXIT_USAGE, "list, or allow ADDRESS; see --help");
	o->allow = true;
	if (parse_address(argv[1], o->id) < 0)
		return cli_fail(NAME, EXIT_USAGE, "an address is like 02:00:5E:10:00:01");
	return -1;
}

static int parse(int argc, char **argv, struct options *o)
{
	static const struct option longs[] = {
		{ "json", no_argument, NULL, 'j' },
		{ "replace", no_argument, NULL, 'r' },
		{ "state", required_argument, NULL, 's' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	int option;

	opterr = 0;
	while ((option = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		if (option == 'h')
			return fputs(usage, stdout) < 0 ? EXIT_IO : EXIT_GOOD;
		if (option == 'j')
			o->json = true;
		else if (option == 'r')
			o->replace = true;
		else if (option == 's')
			o->state = optarg;
		else
			return cli_fail(NAME, EXIT_USAGE,
					"unknown or incomplete option; see --help");
	}
	return parse_words(argc - optind, argv + optind, o);
}

int cmd_fitbit(int argc, char **argv)
{
	struct options options = { .state = DEFAULT_STATE };
	struct survey survey = { .options = &options, .next_seq = 1 };
	int r = parse(argc, argv, &options);

	if (r >= 0)
		return r;
	r = look(&survey);
	if (r < 0)
		return explain(r);
	return options.allow ? say_allowed(&survey) : print_all(&survey);
}
