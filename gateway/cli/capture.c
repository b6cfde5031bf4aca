/* wellgate capture: what wellgate-devices shows on its tap socket, as captures. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>

#include "drivers/cleanup.h"
#include "drivers/transport/feed.h"
#include "drivers/transport/recorder.h"
#include "gateway/cli/cli.h"
#include "protocols/capture/anonymise.h"

#define DEFAULT_TAP "/run/wellgate/tap.sock"
#define LINKS_MAX   16
#define SECONDS_MAX 31536000
#define DAY_MS      INT64_C(86400000)

static const char usage[] =
	"usage: wellgate capture DIR [--anonymise] [--seconds N] [--tap PATH]\n"
	"\n"
	"Writes each connection of a device to a .cap file in DIR, until interrupted.\n"
	"wellgate-devices must run with --tap PATH.\n"
	"\n"
	"  --anonymise    shift all times by a random number of days, make every user slot 1,\n"
	"                 blank names and serial numbers, leave out what cannot be understood\n"
	"  --seconds N    stop after N seconds\n"
	"  --tap PATH     default " DEFAULT_TAP "\n";

/* One connection, one file. */
struct taking {
	uint32_t link;
	FILE *file; /* NULL = free */
	int64_t begin_us;
	struct cap_reader reader;
};

struct capturing {
	const char *directory, *tap;
	bool anonymise;
	int32_t days; /* shift */
	int64_t stop_ms;
	unsigned int files;
	struct taking takings[LINKS_MAX];
};

static int64_t now_ms(clockid_t clock)
{
	struct timespec t;

	(void)clock_gettime(clock, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static struct taking *find(struct capturing *c, uint32_t link)
{
	for (size_t i = 0; i < LINKS_MAX; i++) {
		if (c->takings[i].file && c->takings[i].link == link)
			return &c->takings[i];
	}
	return NULL;
}

static FILE *create(struct capturing *c)
{
	_cleanup_free_ char *path = NULL;
	FILE *file;
	int fd;

	do {
		free(path);
		if (asprintf(&path, "%s/capture-%03u.cap", c->directory, ++c->files) < 0) {
			path = NULL;
			return NULL;
		}
		fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	} while (fd < 0 && errno == EEXIST);
	if (fd < 0)
		return NULL;
	file = fdopen(fd, "w");
	if (!file)
		(void)close(fd);
	return file;
}

static struct taking *begin(struct capturing *c, uint32_t link, const struct cap_event *e)
{
	const char *consent =
		c->anonymise ? "anonymised, by wellgate capture" : "private, not for sharing";
	int64_t start_ms = now_ms(CLOCK_REALTIME) + c->days * DAY_MS;
	struct taking *t = NULL;

	for (size_t i = 0; i < LINKS_MAX && !t; i++) {
		if (!c->takings[i].file)
			t = &c->takings[i];
	}
	if (!t)
		return NULL;
	t->file = create(c);
	if (!t->file)
		return NULL;
	t->link = link;
	t->begin_us = e->at_us;
	if (recorder_header(t->file, NULL, "wellgate capture", consent, start_ms) < 0)
		return NULL;
	return t;
}

/* The name may be what the driver was found by, so the driver takes its place. */
static void name_driver(struct cap_event *e)
{
	const struct driver *driver = feed_driver(&e->open, 0);

	if (driver && e->open.driver[0] == '\0')
		(void)snprintf(e->open.driver, sizeof(e->open.driver), "%s", driver->name);
}

static int put(struct capturing *c, struct taking *t, struct cap_event *e)
{
	char line[CAP_LINE_MAX];
	const char *why;
	int n;

	e->at_us = e->at_us > t->begin_us ? e->at_us - t->begin_us : 0;
	if (c->anonymise && e->kind == CAP_OPEN)
		name_driver(e);
	if (c->anonymise && !anonymise_event(c->days, e, &why)) {
		n = snprintf(line, sizeof(line), "# left out: channel %04x, %zu bytes: %s\n",
			     e->channel, e->len, why);
	} else {
		n = cap_write_event(e, line, sizeof(line));
	}
	if (n < 0 || fputs(line, t->file) == EOF || fflush(t->file) != 0)
		return -EIO;
	return 0;
}

/* "LINK CAP-LINE\n" */
static int parse(const char *packet, size_t len, uint32_t *ret_link, struct cap_event *ret)
{
	struct cap_reader reader;
	const char *line = memchr(packet, ' ', len);
	uint32_t link = 0;

	if (!line || len == 0 || packet[len - 1] != '\n')
		return -EBADMSG;
	for (const char *p = packet; p < line; p++) {
		if (*p < '0' || *p > '9' || link > UINT32_MAX / 10 - 1)
			return -EBADMSG;
		link = link * 10 + (uint32_t)(*p - '0');
	}
	cap_reader_init(&reader);
	reader.has_version = reader.has_consent = true;
	line++;
	len -= (size_t)(line - packet) + 1;
	/* lines of several links are mixed: whether a session is open is known here, not there */
	if (cap_read_line(&reader, line, len, ret) <= 0) {
		reader.in_session = true;
		if (cap_read_line(&reader, line, len, ret) <= 0)
			return -EBADMSG;
	}
	*ret_link = link;
	return 0;
}

static int take(struct capturing *c, const char *packet, size_t len)
{
	struct cap_event e;
	struct taking *t;
	uint32_t link;
	int r = parse(packet, len, &link, &e);

	if (r < 0)
		return r;
	t = e.kind == CAP_OPEN ? begin(c, link, &e) : find(c, link);
	if (!t) /* a connection that was open before we came has no beginning here */
		return e.kind == CAP_OPEN ? -EIO : 0;
	r = put(c, t, &e);
	if (r < 0 || e.kind == CAP_CLOSE) {
		(void)fclose(t->file);
		t->file = NULL;
	}
	return r;
}

/* ---- waiting ---- */

static int connect_tap(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd;

	if (strlen(path) >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	memcpy(address.sun_path, path, strlen(path) + 1);
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0) {
		const int r = -errno;

		(void)close(fd);
		return r;
	}
	return fd;
}

static int catch_signals(void)
{
	sigset_t signals;
	int fd;

	(void)sigemptyset(&signals);
	(void)sigaddset(&signals, SIGINT);
	(void)sigaddset(&signals, SIGTERM);
	if (sigprocmask(SIG_BLOCK, &signals, NULL) < 0)
		return -errno;
	fd = signalfd(-1, &signals, SFD_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/* milliseconds that poll may wait; -1 for ever, 0 it is over */
static int time_left(const struct capturing *c)
{
	const int64_t left = c->stop_ms - now_ms(CLOCK_MONOTONIC);

	if (c->stop_ms == 0)
		return -1;
	return left <= 0 ? 0 : left > INT32_MAX ? INT32_MAX : (int)left;
}

/* 0 stopped or the other side went away, -errno */
static int take_all(struct capturing *c, int tap, int signals)
{
	char packet[CAP_LINE_MAX + 32];

	for (;;) {
		struct pollfd fds[2] = { { .fd = tap, .events = POLLIN },
					 { .fd = signals, .events = POLLIN } };
		const int wait = time_left(c);
		ssize_t n;
		int r;

		if (wait == 0 || poll(fds, 2, wait) == 0 || fds[1].revents != 0)
			return 0;
		n = recv(tap, packet, sizeof(packet), 0);
		if (n <= 0)
			return n < 0 ? -errno : 0;
		r = take(c, packet, (size_t)n);
		if (r < 0)
			return r;
	}
}

static int run(struct capturing *c)
{
	_cleanup_close_ int signals = catch_signals();
	_cleanup_close_ int tap = connect_tap(c->tap);
	uint32_t random;
	int r;

	if (tap < 0)
		return cli_fail("capture", EXIT_UNAVAILABLE,
				"%s: %s; does wellgate-devices run with --tap?", c->tap,
				strerror(-tap));
	if (signals < 0 || getrandom(&random, sizeof(random), 0) != (ssize_t)sizeof(random))
		return cli_fail("capture", EXIT_IO, "cannot start");
	if (c->anonymise) /* back by up to ten years, at least a month */
		c->days = -30 - (int32_t)(random % 3650);
	r = take_all(c, tap, signals);
	for (size_t i = 0; i < LINKS_MAX; i++) {
		if (c->takings[i].file && fclose(c->takings[i].file) != 0)
			r = -EIO;
	}
	if (r < 0)
		return cli_fail("capture", r == -EBADMSG ? EXIT_DATA : EXIT_IO, "%s: %s",
				c->directory, strerror(-r));
	return EXIT_GOOD;
}

static bool parse_seconds(const char *text, int64_t *ret)
{
	char *end;
	unsigned long value;

	if (text[0] < '0' || text[0] > '9')
		return false;
	errno = 0;
	value = strtoul(text, &end, 10);
	if (errno != 0 || *end != '\0' || value == 0 || value > SECONDS_MAX)
		return false;
	*ret = (int64_t)value;
	return true;
}

static const struct option options[] = {
	{ "anonymise", no_argument, NULL, 'a' },
	{ "seconds", required_argument, NULL, 's' },
	{ "tap", required_argument, NULL, 't' },
	{ "help", no_argument, NULL, 'h' },
	{ NULL, 0, NULL, 0 },
};

int cmd_capture(int argc, char **argv)
{
	struct capturing c = { .tap = DEFAULT_TAP };
	int64_t seconds = 0;
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) >= 0) {
		switch (option) {
		case 'a':
			c.anonymise = true;
			break;
		case 's':
			if (!parse_seconds(optarg, &seconds))
				return cli_fail("capture", EXIT_USAGE, "--seconds takes 1 to %d",
						SECONDS_MAX);
			break;
		case 't':
			c.tap = optarg;
			break;
		case 'h':
			(void)fputs(usage, stdout);
			return EXIT_GOOD;
		default:
			return cli_fail("capture", EXIT_USAGE, "see --help");
		}
	}
	if (optind + 1 != argc)
		return cli_fail("capture", EXIT_USAGE, "into which DIR? see --help");
	c.directory = argv[optind];
	if (seconds > 0)
		c.stop_ms = now_ms(CLOCK_MONOTONIC) + seconds * 1000;
	return run(&c);
}
