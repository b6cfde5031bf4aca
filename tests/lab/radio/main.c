/*
 * lab-radio: a Bluetooth LE controller on /dev/vhci and the peripherals around it. The README has
 * the options, the commands and the grammar of the log.
 */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "drivers/cleanup.h"
#include "tests/lab/radio/command.h"
#include "tests/lab/radio/control.h"
#include "tests/lab/radio/scenario.h"

#define HOST_AND_CONTROL (1 + CONTROL_POLL_MAX)

struct options {
	const char *control, *scenario, *log, *btsnoop;
	uint8_t address[6];
	uint64_t seed;
	bool no_adapter;
};

struct program {
	struct air air;
	struct control control;
	struct scenario *scenario;
	struct snoop *snoop;
	FILE *log;
	bool has_control, quit;
};

static volatile sig_atomic_t told_to_end;

static void on_signal(int number)
{
	(void)number;
	told_to_end = 1;
}

static int complain(const char *what, int r)
{
	(void)fprintf(stderr, "lab-radio: %s: %s\n", what, strerror(-r));
	return EX_OSERR;
}

static int usage(void)
{
	(void)fputs("usage: lab-radio [--control SOCKET] [--scenario FILE] [--log FILE]\n"
		    "                 [--btsnoop FILE] [--address XX:XX:XX:XX:XX:XX] [--seed N]\n"
		    "                 [--no-adapter]\n",
		    stderr);
	return EX_USAGE;
}

static int parse_address(const char *text, uint8_t ret[6])
{
	uint8_t address[6];

	for (unsigned int i = 0; i < 6; i++) {
		char *end;
		const unsigned long v = strtoul(text, &end, 16);

		if (end != text + 2 || *end != (i < 5 ? ':' : 0))
			return -EINVAL;
		address[i] = (uint8_t)v;
		text = end + 1;
	}
	memcpy(ret, address, sizeof(address));
	return 0;
}

static int parse_options(int argc, char **argv, struct options *o)
{
	static const struct option names[] = {
		{ "control", required_argument, NULL, 'c' },
		{ "scenario", required_argument, NULL, 's' },
		{ "log", required_argument, NULL, 'l' },
		{ "btsnoop", required_argument, NULL, 'b' },
		{ "address", required_argument, NULL, 'a' },
		{ "seed", required_argument, NULL, 'r' },
		{ "no-adapter", no_argument, NULL, 'n' },
		{ NULL, 0, NULL, 0 },
	};
	int r = 0, k;

	while (r == 0 && (k = getopt_long(argc, argv, "", names, NULL)) >= 0) {
		switch (k) {
		case 'c':
			o->control = optarg;
			break;
		case 's':
			o->scenario = optarg;
			break;
		case 'l':
			o->log = optarg;
			break;
		case 'b':
			o->btsnoop = optarg;
			break;
		case 'a':
			r = parse_address(optarg, o->address);
			break;
		case 'r':
			o->seed = strtoull(optarg, NULL, 0);
			break;
		case 'n':
			o->no_adapter = true;
			break;
		default:
			r = -EINVAL;
		}
	}
	return optind == argc ? r : -EINVAL;
}

static int open_files(struct program *p, const struct options *o)
{
	unsigned int line = 0;
	int r;

	p->log = o->log ? fopen(o->log, "we") : stdout;
	if (!p->log)
		return complain(o->log, -errno);
	if (o->btsnoop && (r = snoop_open(o->btsnoop, &p->snoop)) < 0)
		return complain(o->btsnoop, r);
	if (o->scenario && (r = scenario_load(o->scenario, &p->scenario, &line)) < 0) {
		(void)fprintf(stderr, "lab-radio: %s:%u: %s\n", o->scenario, line, strerror(-r));
		return EX_DATAERR;
	}
	if (o->control) {
		r = control_open(&p->control, o->control, command_execute, &p->air);
		if (r < 0)
			return complain(o->control, r);
		p->has_control = true;
	}
	return 0;
}

static int open_world(struct program *p, const struct options *o)
{
	struct vhci port = { .fd = -1, .snoop = p->snoop };
	int r;

	air_init(&p->air, &port, o->address, o->seed, p->log);
	if (o->no_adapter)
		return 0;
	r = vhci_open(&p->air.port);
	return r < 0 ? complain("/dev/vhci", r) : 0;
}

/* milliseconds until something is due, rounded up */
static int timeout_of(const struct program *p)
{
	const int64_t scenario = p->scenario ? scenario_next(p->scenario) : AIR_NEVER;
	const int64_t air = air_next(&p->air), at = air < scenario ? air : scenario;
	int64_t left;

	if (at == AIR_NEVER)
		return -1;
	left = (at - air_now() + AIR_MILLISECOND - 1) / AIR_MILLISECOND;
	return left < 0 ? 0 : left > 60000 ? 60000 : (int)left;
}

static void turn(struct program *p)
{
	struct pollfd fds[HOST_AND_CONTROL] = { { .fd = p->air.port.fd, .events = POLLIN } };
	const size_t n = p->has_control ? control_poll(&p->control, fds + 1) : 0;

	if (poll(fds, 1 + n, timeout_of(p)) < 0)
		return;
	if (fds[0].revents && air_read_host(&p->air) < 0)
		air_unplug(&p->air);
	if (n > 0)
		control_serve(&p->control, fds + 1, n, &p->quit);
	if (p->scenario)
		scenario_tick(p->scenario, &p->air, air_now(), &p->quit);
	air_tick(&p->air);
}

static int run(struct program *p)
{
	if (p->scenario)
		scenario_begin(p->scenario, air_now());
	while (!p->quit && !told_to_end)
		turn(p);
	return p->scenario && scenario_failures(p->scenario) > 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

static void close_all(struct program *p)
{
	air_done(&p->air);
	scenario_free(p->scenario);
	snoop_close(p->snoop);
	if (p->has_control)
		control_close(&p->control);
	if (p->log && p->log != stdout)
		(void)fclose(p->log);
}

int main(int argc, char **argv)
{
	static struct program program;
	struct sigaction end = { .sa_handler = on_signal };
	struct options o = { .address = { 0x00, 0xaa, 0x01, 0x00, 0x00, 0x01 }, .seed = 1 };
	int r;

	if (parse_options(argc, argv, &o) < 0)
		return usage();
	(void)sigaction(SIGTERM, &end, NULL);
	(void)sigaction(SIGINT, &end, NULL);
	program.air.port.fd = -1;
	r = open_files(&program, &o);
	if (r == 0)
		r = open_world(&program, &o);
	if (r == 0)
		r = run(&program);
	close_all(&program);
	return r;
}
