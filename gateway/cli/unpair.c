/* wellgate unpair: takes a device from this hub. */
#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <jansson.h>
#include <string.h>
#include <unistd.h>

#include "gateway/cli/cli.h"
#include "gateway/cli/client.h"
#include "gateway/cli/device.h"

static const char usage[] =
	"usage: wellgate unpair DEVICE [--yes] [--json] [--runtime-dir DIR]\n\n"
	"Takes a device from this hub: it is not read any more, and its key is destroyed.\n"
	"Readings stay. DEVICE is its number or reference in `wellgate devices`; in a\n"
	"script use the reference.\n\n"
	"  --yes    do not ask\n\n"
	"Exit status: 0 done, 64 no such device, 69 it could not be done.\n";

struct unpair {
	struct client client;
	const char *device;
	bool yes;
};

/* -1 = go on, or the exit code */
static int parse(int argc, char **argv, struct unpair *u)
{
	static const struct option options[] = {
		{ "yes", no_argument, NULL, 'y' },
		{ "json", no_argument, NULL, 'j' },
		{ "runtime-dir", required_argument, NULL, 'r' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	int option;

	client_init(&u->client, argv[0]);
	opterr = 0;
	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (option == 'h')
			return fputs(usage, stdout) < 0 ? EXIT_IO : EXIT_GOOD;
		if (option == 'y')
			u->yes = true;
		else if (option == 'j')
			u->client.json = true;
		else if (option == 'r')
			u->client.runtime_dir = optarg;
		else
			return cli_fail(argv[0], EXIT_USAGE,
					"unknown or incomplete option; see --help");
	}
	if (argc - optind != 1)
		return cli_fail(argv[0], EXIT_USAGE, "which device? wellgate devices lists them");
	u->device = argv[optind];
	return -1;
}

/* 0 it is wanted; else the exit code */
static int confirm(const struct unpair *u, const struct device_choice *d)
{
	FILE *out = u->client.json ? stderr : stdout;
	char line[16] = "";

	if (u->yes)
		return 0;
	(void)fprintf(out,
		      "%s (%s), %" PRIu64 " reading%s.\n"
		      "It will not be read any more; its readings stay. To use it again it has to\n"
		      "be paired again.\nUnpair it? [y/N] ",
		      d->name, d->driver, d->readings, d->readings == 1 ? "" : "s");
	(void)fflush(out);
	if (fgets(line, sizeof(line), stdin) && tolower((unsigned char)line[0]) == 'y')
		return 0;
	return cli_fail(u->client.name, EXIT_UNAVAILABLE, "nothing was changed");
}

static int report(const struct unpair *u, const struct device_choice *d, int error)
{
	if (error == ENODEV)
		return cli_fail(u->client.name, EXIT_UNAVAILABLE,
				"no Bluetooth adapter works; wellgate doctor says why");
	if (error != 0)
		return cli_fail(u->client.name, EXIT_UNAVAILABLE, "it could not be done: %s",
				strerror(error));
	if (u->client.json) {
		json_t *object = json_pack("{s:s, s:s, s:s}", "event", "unpaired", "device",
					   d->reference, "name", d->name);

		(void)json_dumpf(object, stdout, JSON_COMPACT);
		(void)putchar('\n');
		json_decref(object);
	} else {
		(void)printf("%s is not paired with this hub any more. Its readings stay.\n"
			     "Before somebody else uses it, clear its own memory as its manual "
			     "says.\n",
			     d->name);
	}
	return client_flush(&u->client);
}

static int run(struct unpair *u)
{
	Wellgate__V1__RadioCommand command = WELLGATE__V1__RADIO_COMMAND__INIT;
	Wellgate__V1__RadioCommand__Device device = WELLGATE__V1__RADIO_COMMAND__DEVICE__INIT;
	struct device_choice choice;
	uint64_t request = 0;
	int error = 0, code = device_choose(&u->client, u->device, &choice);

	if (code == 0)
		code = confirm(u, &choice);
	if (code)
		return code;
	device.has_digest = true;
	device.digest.data = choice.digest;
	device.digest.len = sizeof(choice.digest);
	command.what_case = WELLGATE__V1__RADIO_COMMAND__WHAT_UNPAIR;
	command.unpair = &device;
	code = client_command(&u->client, &command, &request);
	if (code == 0)
		code = client_outcome(&u->client, request, &error);
	return code ? code : report(u, &choice, error);
}

int cmd_unpair(int argc, char **argv)
{
	struct unpair u = { 0 };
	int code = parse(argc, argv, &u);

	if (code >= 0)
		return code;
	code = client_open(&u.client);
	if (code == 0)
		code = run(&u);
	client_close(&u.client);
	return code;
}
