/* lab-usb: USB devices without hardware, in the kernel's virtual host controller. See README.md. */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "drivers/cleanup.h"
#include "tests/lab/radio/control.h"
#include "tests/lab/usb/world.h"

#define LONGEST_WAIT 60000 /* milliseconds */

static volatile sig_atomic_t told_to_end;

static void on_signal(int number)
{
	(void)number;
	told_to_end = 1;
}

static int usage(void)
{
	(void)fputs("usage: lab-usb --control SOCKET [--log FILE]\n", stderr);
	return EX_USAGE;
}

static int parse_options(int argc, char **argv, const char **ret_control, const char **ret_log)
{
	static const struct option names[] = {
		{ "control", required_argument, NULL, 'c' },
		{ "log", required_argument, NULL, 'l' },
		{ NULL, 0, NULL, 0 },
	};
	int k;

	while ((k = getopt_long(argc, argv, "", names, NULL)) >= 0) {
		if (k == 'c')
			*ret_control = optarg;
		else if (k == 'l')
			*ret_log = optarg;
		else
			return -EINVAL;
	}
	return optind == argc && *ret_control ? 0 : -EINVAL;
}

/* milliseconds, rounded up */
static int timeout_of(const struct usb_world *w)
{
	const int64_t next = world_next(w);
	int64_t left;

	if (next == USB_NEVER)
		return -1;
	left = (next - usb_now() + 999) / 1000;
	return left < 0 ? 0 : left > LONGEST_WAIT ? LONGEST_WAIT : (int)left;
}

static void run(struct usb_world *w, struct control *c)
{
	struct pollfd fds[WORLD_DEVICES_MAX + CONTROL_POLL_MAX];
	bool quit = false;

	while (!quit && !told_to_end) {
		const size_t devices = world_poll(w, fds);
		const size_t all = devices + control_poll(c, fds + devices);

		if (poll(fds, all, timeout_of(w)) < 0)
			continue; /* a signal */
		world_serve(w, fds, devices);
		control_serve(c, fds + devices, all - devices, &quit);
	}
}

int main(int argc, char **argv)
{
	static struct usb_world world;
	static struct control control;
	struct sigaction end = { .sa_handler = on_signal };
	const char *path = NULL, *log = NULL;
	_cleanup_file_ FILE *file = NULL;
	int r;

	if (parse_options(argc, argv, &path, &log) < 0)
		return usage();
	(void)sigaction(SIGTERM, &end, NULL);
	(void)sigaction(SIGINT, &end, NULL);
	if (log && !(file = fopen(log, "we"))) {
		(void)fprintf(stderr, "lab-usb: %s: %s\n", log, strerror(errno));
		return EX_OSERR;
	}
	r = control_open(&control, path, world_execute, &world);
	if (r < 0) {
		(void)fprintf(stderr, "lab-usb: %s: %s\n", path, strerror(-r));
		return EX_OSERR;
	}
	world_init(&world, file ? file : stdout);
	run(&world, &control);
	world_done(&world);
	control_close(&control);
	return EXIT_SUCCESS;
}
