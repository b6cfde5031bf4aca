/*
 * wellgate-devices: transports on one side, the gateway's socket on the other, drivers in between.
 * It parses what radios and cables say, so it has no network, no database and no keys but those of
 * trackers that their owners put into its folder.
 */
#include <dirent.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <systemd/sd-daemon.h>

#include "drivers/bluetooth.h"
#include "drivers/cleanup.h"
#include "drivers/link.h"
#include "drivers/log.h"
#include "drivers/registry.h"
#include "drivers/transport/hub.h"
#include "drivers/transport/phd_door.h"
#include "drivers/transport/player.h"
#include "drivers/transport/recorder.h"
#include "drivers/transport/tap.h"
#include "drivers/wired.h"

#define PROGRAM        "wellgate-devices"
#define DEFAULT_SOCKET "/run/wellgate/devices.sock"
#define DEFAULT_STATE  "/var/lib/wellgate-devices"
#define KEYS           "keys" /* in the state folder */
#define SPEED_MAX      1000000

enum exit_status {
	STATUS_GOOD = 0,
	STATUS_USAGE = 64,
	STATUS_DATA = 65,
	STATUS_UNAVAILABLE = 69,
	STATUS_IO = 74
};

struct options {
	const char *socket, *memory, *record, *tap;
	const char *state, *adapter, *link_helper;
	const char *door; /* address and port */
	char **files;     /* owned, like the strings */
	size_t n_files;
	unsigned int speed;
	bool once, list, verbose, bluetooth, usb, usb_preamble;
};

struct program {
	struct options options;
	sd_event *event;
	struct link *link;
	struct player *player;
	struct bluetooth *bluetooth;
	struct wired *wired;
	/* of all that reads devices: numbers are given out once */
	uint64_t next_seq;
	uint32_t next_id;
	struct phd_door *door;
	struct recorder *recorder;
	struct tap *tap;
};

static void options_free(struct options *o)
{
	for (size_t i = 0; i < o->n_files; i++)
		free(o->files[i]);
	free(o->files);
}

static void usage(FILE *out)
{
	(void)fputs("usage: " PROGRAM " [OPTION]...\n"
		    "\n"
		    "Reads devices and hands their measurements to the gateway.\n"
		    "\n"
		    "  --socket PATH      the gateway's socket, default " DEFAULT_SOCKET "\n"
		    "  --bluetooth        read the devices that were paired, and pair new "
		    "ones\n"
		    "  --no-bluetooth     no radio; this is the default\n"
		    "  --usb              read the supported devices that are plugged in\n"
		    "  --no-usb           none of them; this is the default\n"
		    "  --usb-preamble     for tests: the metadata preamble of PHDC, with devices "
		    "that offer it\n"
		    "  --state DIR        what is known of paired devices, default " DEFAULT_STATE
		    "\n"
		    "  --adapter ADDRESS  the Bluetooth adapter, default the first usable one\n"
		    "  --link-helper PATH the program that holds a link, default wellgate-link "
		    "beside this one\n"
		    "  --replay FILE      play a capture as a simulated device, or all .cap of a "
		    "directory;\n"
		    "                     may be given several times\n"
		    "  --speed N          N times real time, default 1; 0 or max: as fast as "
		    "confirmed\n"
		    "  --memory FILE      what the simulated devices still hold, kept across "
		    "restarts\n"
		    "  --once             exit when everything is played and committed\n"
		    "  --record DIR       write each session to a capture in DIR\n"
		    "  --tap PATH         show the dialogue to `wellgate capture` on this socket\n"
		    "  --ieee11073-tcp ADDRESS:PORT\n"
		    "                     for tests: take IEEE 11073 agents over TCP, on this "
		    "machine alone\n"
		    "  --list-devices     print the supported devices as a Markdown table\n"
		    "  --verbose          say more\n"
		    "  --help, --version\n"
		    "\n"
		    "Exit status: 0 good, 64 usage, 65 bad data, 69 service unavailable, 74 I/O.\n",
		    out);
}

/* ---- options ---- */

static int add_file(struct options *o, const char *directory, const char *name)
{
	char **files = reallocarray(o->files, o->n_files + 1, sizeof(*files));
	char *path;

	if (!files)
		return -ENOMEM;
	o->files = files;
	if (asprintf(&path, "%s%s%s", directory ? directory : "", directory ? "/" : "", name) < 0)
		return -ENOMEM;
	o->files[o->n_files++] = path;
	return 0;
}

static int is_capture(const struct dirent *entry)
{
	const size_t len = strlen(entry->d_name);

	return len > strlen(".cap") && strcmp(entry->d_name + len - strlen(".cap"), ".cap") == 0;
}

static int add_directory(struct options *o, const char *path)
{
	struct dirent **entries;
	const int n = scandir(path, &entries, is_capture, alphasort);
	int r = 0;

	if (n < 0)
		return -errno;
	for (int i = 0; i < n; i++) {
		if (r == 0)
			r = add_file(o, path, entries[i]->d_name);
		free(entries[i]);
	}
	free(entries);
	return n == 0 ? -ENOENT : r;
}

static int add_replay(struct options *o, const char *path)
{
	struct stat st;
	int r;

	if (stat(path, &st) < 0)
		r = -errno;
	else
		r = S_ISDIR(st.st_mode) ? add_directory(o, path) : add_file(o, NULL, path);
	if (r < 0)
		(void)fprintf(stderr, PROGRAM ": %s: %s\n", path, strerror(-r));
	return r;
}

static int parse_speed(const char *text, unsigned int *ret)
{
	char *end;
	unsigned long value;

	if (strcmp(text, "max") == 0) {
		*ret = 0;
		return 0;
	}
	if (text[0] < '0' || text[0] > '9')
		return -EINVAL;
	errno = 0;
	value = strtoul(text, &end, 10);
	if (errno != 0 || *end != '\0' || value > SPEED_MAX)
		return -EINVAL;
	*ret = (unsigned int)value;
	return 0;
}

static const struct option long_options[] = {
	{ "socket", required_argument, NULL, 's' },
	{ "replay", required_argument, NULL, 'r' },
	{ "speed", required_argument, NULL, 'p' },
	{ "memory", required_argument, NULL, 'm' },
	{ "once", no_argument, NULL, 'o' },
	{ "record", required_argument, NULL, 'd' },
	{ "tap", required_argument, NULL, 't' },
	{ "list-devices", no_argument, NULL, 'l' },
	{ "verbose", no_argument, NULL, 'v' },
	{ "help", no_argument, NULL, 'h' },
	{ "version", no_argument, NULL, 'V' },
	{ "bluetooth", no_argument, NULL, 'b' },
	{ "no-bluetooth", no_argument, NULL, 'B' },
	{ "usb", no_argument, NULL, 'u' },
	{ "no-usb", no_argument, NULL, 'U' },
	{ "usb-preamble", no_argument, NULL, 'P' },
	{ "state", required_argument, NULL, 'S' },
	{ "adapter", required_argument, NULL, 'a' },
	{ "link-helper", required_argument, NULL, 'H' },
	{ "ieee11073-tcp", required_argument, NULL, 'D' },
	{ NULL, 0, NULL, 0 },
};

/* true: it was one about the radio */
static bool take_radio_option(struct options *o, int option)
{
	switch (option) {
	case 'b':
		o->bluetooth = true;
		return true;
	case 'B':
		o->bluetooth = false;
		return true;
	case 'u':
		o->usb = true;
		return true;
	case 'U':
		o->usb = false;
		return true;
	case 'P':
		o->usb_preamble = true;
		return true;
	case 'S':
		o->state = optarg;
		return true;
	case 'a':
		o->adapter = optarg;
		return true;
	case 'H':
		o->link_helper = optarg;
		return true;
	default:
		return false;
	}
}

/* -1 to go on, otherwise the exit status */
static int take_door(struct options *o)
{
	const int r = phd_door_check(optarg);

	o->door = optarg;
	if (r == 0)
		return -1;
	if (r == -EACCES)
		(void)fprintf(stderr,
			      PROGRAM ": %s: --ieee11073-tcp opens on this machine alone "
				      "(127.0.0.1 or [::1]): it knows neither keys nor names\n",
			      optarg);
	else
		(void)fputs(PROGRAM ": --ieee11073-tcp takes an address and a port, like "
				    "127.0.0.1:6024\n",
			    stderr);
	return STATUS_USAGE;
}

/* -1 to go on, otherwise the exit status */
static int take_option(struct options *o, int option)
{
	if (take_radio_option(o, option))
		return -1;
	switch (option) {
	case 's':
		o->socket = optarg;
		return -1;
	case 'r':
		return add_replay(o, optarg) < 0 ? STATUS_IO : -1;
	case 'p':
		if (parse_speed(optarg, &o->speed) == 0)
			return -1;
		(void)fprintf(stderr, PROGRAM ": --speed takes a number up to %d, or max\n",
			      SPEED_MAX);
		return STATUS_USAGE;
	case 'D':
		return take_door(o);
	case 'm':
		o->memory = optarg;
		return -1;
	case 'o':
		o->once = true;
		return -1;
	case 'd':
		o->record = optarg;
		return -1;
	case 't':
		o->tap = optarg;
		return -1;
	case 'l':
		o->list = true;
		return -1;
	case 'v':
		o->verbose = true;
		return -1;
	case 'h':
		usage(stdout);
		return STATUS_GOOD;
	case 'V':
		(void)puts(PROGRAM " " WELLGATE_VERSION);
		return STATUS_GOOD;
	default:
		(void)fputs(PROGRAM ": --help lists the options\n", stderr);
		return STATUS_USAGE;
	}
}

static int parse_options(int argc, char **argv, struct options *o)
{
	int option, status;

	while ((option = getopt_long(argc, argv, "", long_options, NULL)) >= 0) {
		status = take_option(o, option);
		if (status >= 0)
			return status;
	}
	if (optind < argc) {
		(void)fprintf(stderr, PROGRAM ": %s: not an option; --help lists them\n",
			      argv[optind]);
		return STATUS_USAGE;
	}
	if (o->once && o->n_files == 0) {
		(void)fputs(PROGRAM ": --once needs something to --replay\n", stderr);
		return STATUS_USAGE;
	}
	/* both would number their readings from 1 */
	if ((o->bluetooth || o->usb) && o->n_files > 0) {
		(void)fputs(PROGRAM ": --replay goes with no other devices\n", stderr);
		return STATUS_USAGE;
	}
	if (o->door && (o->bluetooth || o->usb || o->n_files > 0)) {
		(void)fputs(PROGRAM ": --ieee11073-tcp goes with no other devices\n", stderr);
		return STATUS_USAGE;
	}
	return -1;
}

/* ---- the table of devices ---- */

static const char *bus_label(enum drv_bus bus)
{
	switch (bus) {
	case DRV_BUS_BLE:
		return "Bluetooth LE";
	case DRV_BUS_BLE_ADVERT:
		return "Bluetooth LE broadcast";
	case DRV_BUS_USB:
		return "USB";
	case DRV_BUS_HID:
		return "USB HID";
	case DRV_BUS_SERIAL:
		return "serial";
	case DRV_BUS_FILE:
		return "file";
	case DRV_BUS_ANY:
	default:
		return "any";
	}
}

static int list_devices(void)
{
	(void)puts("| device | bus | driver | supported |\n|---|---|---|---|");
	for (const struct driver *const *d = drivers; *d; d++)
		(void)printf("| %s | %s | `%s` | %s |\n", (*d)->label, bus_label((*d)->match->bus),
			     (*d)->name, registry_maturity_name((*d)->maturity));
	return fflush(stdout) == 0 ? STATUS_GOOD : STATUS_IO;
}

/* ---- between player and gateway ---- */

static int on_up(void *user, uint32_t id, const struct session *session)
{
	const struct program *p = user;

	return link_up(p->link, id, session, true);
}

static int on_measurement(void *user, uint32_t id, const struct measurement *m, uint64_t seq,
			  int64_t at_utc_ms)
{
	const struct program *p = user;
	const struct link_stamp stamp = { .simulated = true, .simulated_at_ms = at_utc_ms };
	const int r = link_measurement(p->link, id, m, seq, &stamp);

	if (r < 0)
		log_error("gateway: measurement not queued error=%d", -r);
	return r;
}

static int on_down(void *user, uint32_t id, const struct session *session)
{
	const struct program *p = user;

	return link_down(p->link, id, session);
}

static bool has_room(void *user)
{
	const struct program *p = user;

	return link_has_room(p->link);
}

static void on_finished(void *user, uint64_t measurements)
{
	const struct program *p = user;

	log_info("replay: finished measurements=%" PRIu64 " spoiled=%" PRIu64, measurements,
		 player_spoiled(p->player));
	if (link_done(p->link, measurements) < 0)
		log_error("gateway: end of replay not announced");
}

static void on_observed(void *user, uint32_t id, const struct cap_event *event, int64_t at_utc_ms)
{
	struct program *p = user;
	int r;

	if (p->tap)
		tap_event(p->tap, id, event);
	if (!p->recorder)
		return;
	r = recorder_event(p->recorder, id, event, at_utc_ms);
	if (r < 0) {
		log_error("record: stopped error=%d", -r);
		recorder_free(p->recorder);
		p->recorder = NULL;
	}
}

static void on_committed(void *user, uint64_t seq)
{
	const struct program *p = user;

	if (p->player)
		player_committed(p->player, seq);
	if (p->bluetooth)
		bluetooth_committed(p->bluetooth, seq);
	if (p->wired)
		wired_committed(p->wired, seq);
	if (p->door)
		phd_door_committed(p->door, seq);
}

static void on_refused(void *user, uint64_t seq)
{
	const struct program *p = user;

	if (p->player)
		player_refused(p->player, seq);
	if (p->bluetooth)
		bluetooth_refused(p->bluetooth, seq);
	if (p->wired)
		wired_refused(p->wired, seq);
	if (p->door)
		phd_door_refused(p->door, seq);
}

static void on_wake(void *user)
{
	const struct program *p = user;

	if (p->player)
		player_wake(p->player);
	if (p->bluetooth)
		bluetooth_wake(p->bluetooth);
	if (p->wired)
		wired_wake(p->wired);
	if (p->door)
		phd_door_wake(p->door);
}

/* ---- running ---- */

static int make_bluetooth(struct program *p)
{
	const struct bluetooth_options options = {
		.state = p->options.state,
		.adapter = p->options.adapter,
		.helper = p->options.link_helper,
		.next_seq = &p->next_seq,
		.next_id = &p->next_id,
		.observe = p->tap || p->recorder ? on_observed : NULL,
		.user = p,
	};

	return p->options.bluetooth ? bluetooth_new(&options, &p->bluetooth) : 0;
}

static int make_wired(struct program *p)
{
	const struct wired_options options = {
		.state = p->options.state,
		.next_seq = &p->next_seq,
		.next_id = &p->next_id,
		.preamble = p->options.usb_preamble,
		.observe = p->tap || p->recorder ? on_observed : NULL,
		.user = p,
	};

	return p->options.usb ? wired_new(&options, &p->wired) : 0;
}

static void on_zone(const char *name, int zone_offset_min)
{
	const int r = hub_set_zone(name, zone_offset_min);

	if (r < 0)
		log_warning("clock: local days of this hub are not known error=%d", -r);
}

static int start_link(struct program *p)
{
	struct link_handlers handlers = {
		.committed = on_committed,
		.refused = on_refused,
		.wake = on_wake,
		.user = p,
	};

	if (p->bluetooth)
		handlers.radio = bluetooth_handlers(p->bluetooth);
	if (p->wired) {
		handlers.radio.wired_clock = wired_clock;
		handlers.radio.wired = p->wired;
	}
	handlers.radio.zone = on_zone;
	return link_new(p->event, p->options.socket, &handlers, &p->link);
}

static int start_player(struct program *p)
{
	const struct player_options options = {
		.files = p->options.files,
		.n_files = p->options.n_files,
		.speed = p->options.speed,
		.memory = p->options.memory,
	};
	const struct player_sink sink = {
		.up = on_up,
		.measurement = on_measurement,
		.down = on_down,
		.has_room = has_room,
		.finished = on_finished,
		.observe = on_observed,
		.user = p,
	};

	return player_new(p->event, &options, &sink, &p->player);
}

/* What comes through it is marked as test data, like what is replayed. */
static int start_door(struct program *p)
{
	const struct phd_door_sink sink = {
		.up = on_up,
		.measurement = on_measurement,
		.down = on_down,
		.has_room = has_room,
		.observe = p->tap || p->recorder ? on_observed : NULL,
		.user = p,
	};
	int r;

	r = phd_door_new(p->event, p->options.door, &sink, &p->next_seq, &p->next_id, &p->door);
	if (r >= 0)
		log_info("ieee11073: listening port=%u", phd_door_port(p->door));
	return r;
}

static int fail(const char *what, int r)
{
	log_error("%s: %s", what, strerror(-r));
	return r == -EBADMSG ? STATUS_DATA : STATUS_IO;
}

static int block_signals(sd_event *event)
{
	sigset_t signals;
	int r;

	(void)sigemptyset(&signals);
	(void)sigaddset(&signals, SIGTERM);
	(void)sigaddset(&signals, SIGINT);
	if (sigprocmask(SIG_BLOCK, &signals, NULL) < 0)
		return -errno;
	r = sd_event_add_signal(event, NULL, SIGTERM, NULL, NULL);
	return r < 0 ? r : sd_event_add_signal(event, NULL, SIGINT, NULL, NULL);
}

static int find_keys(const struct program *p)
{
	char *folder;
	int r;

	if (asprintf(&folder, "%s/" KEYS, p->options.state) < 0)
		return -ENOMEM;
	r = hub_set_keys(folder);
	free(folder);
	return r;
}

static int start_real(struct program *p)
{
	int r = find_keys(p);

	if (r < 0)
		return r;
	r = p->bluetooth ? bluetooth_start(p->bluetooth, p->event, p->link) : 0;

	if (r >= 0 && p->wired)
		r = wired_start(p->wired, p->event, p->link);
	return r;
}

/* -1 to go on, otherwise the exit status */
static int start(struct program *p)
{
	const struct options *o = &p->options;
	int r = sd_event_default(&p->event);

	if (r >= 0)
		r = block_signals(p->event);
	if (r >= 0)
		(void)sd_event_set_watchdog(p->event, true);
	if (r < 0)
		return fail("event loop", r);
	r = o->record ? recorder_new(o->record, &p->recorder) : 0;
	if (r < 0)
		return fail(o->record, r);
	r = o->tap ? tap_new(p->event, o->tap, &p->tap) : 0;
	if (r < 0)
		return fail(o->tap, r);
	r = make_bluetooth(p);
	if (r < 0)
		return fail(o->adapter ? o->adapter : "bluetooth", r);
	r = make_wired(p);
	if (r < 0)
		return fail("usb", r);
	r = start_link(p);
	if (r < 0)
		return fail(o->socket, r);
	r = start_real(p);
	if (r < 0)
		return fail(o->state, r);
	r = o->n_files > 0 ? start_player(p) : 0;
	if (r < 0)
		return fail(o->memory ? o->memory : "replay", r);
	r = o->door ? start_door(p) : 0;
	if (r < 0)
		return fail(o->door, r);
	(void)sd_notify(0, "READY=1");
	return -1;
}

static bool is_over(const struct program *p)
{
	if (sd_event_get_state(p->event) == SD_EVENT_FINISHED)
		return true;
	return p->options.once && player_is_finished(p->player) && link_idle(p->link);
}

static int run(struct program *p)
{
	while (!is_over(p)) {
		const int r = sd_event_run(p->event, UINT64_MAX);

		if (r < 0)
			return fail("event loop", r);
	}
	(void)sd_notify(0, "STOPPING=1");
	return p->player && player_spoiled(p->player) > 0 ? STATUS_DATA : STATUS_GOOD;
}

static void stop(struct program *p)
{
	phd_door_free(p->door);
	player_free(p->player);
	bluetooth_free(p->bluetooth);
	wired_free(p->wired);
	link_free(p->link);
	tap_free(p->tap);
	recorder_free(p->recorder);
	hub_forget();
	(void)sd_event_unref(p->event);
}

int main(int argc, char **argv)
{
	_cleanup_(stop) struct program p = { .next_seq = 1, .next_id = 1 };
	_cleanup_(options_free) struct options owner = { .socket = DEFAULT_SOCKET,
							 .state = DEFAULT_STATE,
							 .speed = 1 };
	int status = parse_options(argc, argv, &owner);

	if (status >= 0)
		return status;
	if (owner.list)
		return list_devices();
	p.options = owner;
	log_open(PROGRAM, owner.verbose ? LOG_LEVEL_DEBUG : LOG_LEVEL_INFO);
	status = start(&p);
	return status >= 0 ? status : run(&p);
}
