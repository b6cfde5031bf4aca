/* wellgate replay: captures through the drivers, without any daemon. */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <string.h>

#include "drivers/cleanup.h"
#include "drivers/transport/feed.h"
#include "drivers/transport/recorder.h"
#include "drivers/transport/replay.h"
#include "gateway/cli/cli.h"
#include "gateway/cli/print.h"

#define HANDLES_MAX 32
#define WHERE_MAX   512

static const char usage[] =
	"usage: wellgate replay [--handle HANDLE=UUID16]... [--events] FILE...\n"
	"\n"
	"Plays captures through the drivers and prints what they measured, one JSON object a\n"
	"line. Reads .cap, btsnoop, pcap and pcapng (Bluetooth HCI); no daemon is needed.\n"
	"\n"
	"  --handle 0x0012=2a35  names an attribute of a capture without discovery\n"
	"  --events              prints the events in the text of .cap files instead\n"
	"\n"
	"A frame that a driver refuses is one line on stderr, and the exit status is 65; what\n"
	"was good is printed all the same.\n";

struct run {
	struct replay_handle handles[HANDLES_MAX];
	struct replay_options options;
	bool events;
	/* of the present file */
	struct replay *replay;
	struct feed *feed;
	uint64_t next_seq;
	uint64_t known; /* frames that went to a driver */
	bool failed;    /* output */
	enum exit_code code;
};

static void spoil(struct run *r, enum exit_code code)
{
	if (r->code == EXIT_GOOD)
		r->code = code;
}

/* ---- what the sessions say ---- */

static void on_measurement(void *user, uint16_t link, const struct measurement *m, uint64_t seq)
{
	struct run *r = user;
	const struct session *session = feed_session(r->feed, link);
	_cleanup_free_ char *line = NULL;

	(void)seq;
	line = print_measurement(m, session ? session_driver(session)->name : NULL);
	if (!line || puts(line) == EOF)
		r->failed = true;
}

static void on_request(void *user, uint16_t link, const struct session_request *request)
{
	(void)user;
	(void)link;
	(void)request;
}

static void on_confirm(void *user, uint16_t link, uint16_t channel)
{
	(void)user;
	(void)link;
	(void)channel;
}

static void on_fault(void *user, uint16_t link, uint16_t channel, enum session_fault fault, int err)
{
	struct run *r = user;
	char where[WHERE_MAX];

	(void)link;
	(void)err;
	replay_where(r->replay, where, sizeof(where));
	(void)cli_fail("replay", EXIT_DATA, "%s: channel %04x: spoiled frame: %s", where, channel,
		       session_fault_name(fault));
	spoil(r, EXIT_DATA);
}

/* ---- one file ---- */

static void print_event(struct run *r, const struct cap_event *e)
{
	char line[CAP_LINE_MAX];

	if (cap_write_event(e, line, sizeof(line)) < 0 || fputs(line, stdout) == EOF)
		r->failed = true;
}

/* commits at once: there is nobody to wait for */
static void feed_one(struct run *r, const struct cap_event *e)
{
	const int err = feed_event(r->feed, e);
	char where[WHERE_MAX];

	if (e->kind == CAP_FRAME || e->kind == CAP_ADVERT)
		r->known += err != -ENODEV;
	if (r->next_seq > 1)
		(void)feed_committed(r->feed, r->next_seq - 1, e->at_us);
	if (err == 0 || err == -ENODEV || err == -EMSGSIZE || err == -EBADMSG || err == -ERANGE ||
	    err == -ENOMSG)
		return; /* nobody's, or said in on_fault() */
	replay_where(r->replay, where, sizeof(where));
	(void)cli_fail("replay", EXIT_DATA, "%s: the driver gave up: %s", where, strerror(-err));
	spoil(r, EXIT_DATA);
}

static void play(struct run *r)
{
	_cleanup_free_ char *error = NULL;
	struct cap_event e;
	int err;

	while ((err = replay_next(r->replay, &e, &error)) > 0) {
		if (r->events)
			print_event(r, &e);
		else
			feed_one(r, &e);
	}
	if (err == 0)
		return;
	(void)cli_fail("replay", EXIT_DATA, "%s", error ? error : "out of memory");
	spoil(r, err == -EBADMSG ? EXIT_DATA : EXIT_IO);
}

static void print_header(struct run *r)
{
	int64_t start_ms = 0;

	(void)replay_start(r->replay, &start_ms);
	if (recorder_header(stdout, NULL, "converted by wellgate replay --events",
			    "private, not for sharing", start_ms) < 0)
		r->failed = true;
}

static void summarise(struct run *r, const char *path)
{
	const uint64_t unknown = replay_unknown_handles(r->replay);

	if (unknown > 0)
		(void)cli_fail("replay", EXIT_DATA,
			       "%s: %" PRIu64 " values of attributes that the capture does not "
			       "name; --handle can",
			       path, unknown);
	if (r->events || r->known > 0 || r->code != EXIT_GOOD)
		return;
	(void)cli_fail("replay", EXIT_DATA, "%s: nothing in it that a driver knows", path);
	spoil(r, EXIT_DATA);
}

static int make_feed(struct run *r)
{
	const struct feed_sink sink = {
		.measurement = on_measurement,
		.request = on_request,
		.confirm = on_confirm,
		.fault = on_fault,
		.user = r,
	};
	int64_t start_ms;
	int err = feed_new(&sink, &r->next_seq, &r->feed);

	if (err == 0 && replay_start(r->replay, &start_ms))
		feed_set_start(r->feed, start_ms);
	return err;
}

static void replay_file(struct run *r, const char *path)
{
	_cleanup_free_ char *error = NULL;
	int err = replay_open(path, &r->options, &r->replay, &error);

	if (err < 0) {
		(void)cli_fail("replay", EXIT_DATA, "%s", error ? error : "out of memory");
		spoil(r, err == -EBADMSG ? EXIT_DATA : EXIT_IO);
		return;
	}
	r->next_seq = 1;
	r->known = 0;
	if (make_feed(r) < 0) {
		r->failed = true;
	} else {
		if (r->events)
			print_header(r);
		play(r);
		summarise(r, path);
	}
	feed_free(TAKE_PTR(r->feed));
	replay_free(TAKE_PTR(r->replay));
}

static int add_handle(struct run *r, const char *text)
{
	if (r->options.n_handles == HANDLES_MAX)
		return cli_fail("replay", EXIT_USAGE, "at most %d handles", HANDLES_MAX);
	if (replay_parse_handle(text, &r->handles[r->options.n_handles]) < 0)
		return cli_fail("replay", EXIT_USAGE,
				"--handle takes HANDLE=UUID16 in hex, like "
				"0x0012=2a35");
	r->options.n_handles++;
	return EXIT_GOOD;
}

static const struct option options[] = {
	{ "handle", required_argument, NULL, 'H' },
	{ "events", no_argument, NULL, 'e' },
	{ "help", no_argument, NULL, 'h' },
	{ NULL, 0, NULL, 0 },
};

int cmd_replay(int argc, char **argv)
{
	struct run run = { .code = EXIT_GOOD };
	int option, code;

	run.options.handles = run.handles;
	while ((option = getopt_long(argc, argv, "", options, NULL)) >= 0) {
		switch (option) {
		case 'H':
			code = add_handle(&run, optarg);
			if (code != EXIT_GOOD)
				return code;
			break;
		case 'e':
			run.events = true;
			break;
		case 'h':
			(void)fputs(usage, stdout);
			return EXIT_GOOD;
		default:
			return cli_fail("replay", EXIT_USAGE, "see --help");
		}
	}
	if (optind == argc)
		return cli_fail("replay", EXIT_USAGE, "which FILE? see --help");
	for (int i = optind; i < argc && !run.failed; i++)
		replay_file(&run, argv[i]);
	if (run.failed || fflush(stdout) != 0)
		return cli_fail("replay", EXIT_IO, "cannot write");
	return (int)run.code;
}
