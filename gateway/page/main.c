/* wellgate-page: the local page. It has no keys and no database; wellgated says what to show. */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <systemd/sd-daemon.h>

#include "drivers/cleanup.h"
#include "drivers/log.h"
#include "gateway/config.h"
#include "gateway/page/serve.h"

#define CONFIG_FILE "/etc/wellgate/wellgate.conf"

enum {
	EXIT_GOOD = 0,
	EXIT_USAGE = 64,
	EXIT_DATA = 65,
	EXIT_UNAVAILABLE = 69,
	EXIT_IO = 74,
};

static const char usage[] =
	"usage: wellgate-page [OPTIONS]\n\n"
	"  --config FILE       configuration, default " CONFIG_FILE " if it exists\n"
	"  --runtime-dir DIR   instead of [hub] runtime_dir\n"
	"  --version, --help\n\n"
	"Serves the local page where [page] listen says; without that it ends at once.\n";

struct arguments {
	const char *config, *runtime_dir;
};

/* -1 = go on, or the exit code */
static int parse(int argc, char **argv, struct arguments *ret)
{
	static const struct option options[] = {
		{ "config", required_argument, NULL, 'c' },
		{ "runtime-dir", required_argument, NULL, 'r' },
		{ "version", no_argument, NULL, 'v' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (option == 'c')
			ret->config = optarg;
		else if (option == 'r')
			ret->runtime_dir = optarg;
		else if (option == 'h')
			return fputs(usage, stdout) < 0 ? EXIT_IO : EXIT_GOOD;
		else if (option == 'v')
			return puts("wellgate-page " WELLGATE_VERSION) < 0 ? EXIT_IO : EXIT_GOOD;
		else
			return EXIT_USAGE;
	}
	return optind < argc ? EXIT_USAGE : -1;
}

static int open_event(sd_event **ret)
{
	sigset_t mask;
	int r;

	(void)sigemptyset(&mask);
	(void)sigaddset(&mask, SIGTERM);
	(void)sigaddset(&mask, SIGINT);
	if (sigprocmask(SIG_BLOCK, &mask, NULL) < 0 || signal(SIGPIPE, SIG_IGN) == SIG_ERR)
		return -errno;
	r = sd_event_default(ret);
	if (r >= 0)
		r = sd_event_add_signal(*ret, NULL, SIGTERM, NULL, NULL);
	if (r >= 0)
		r = sd_event_add_signal(*ret, NULL, SIGINT, NULL, NULL);
	if (r >= 0)
		r = sd_event_set_watchdog(*ret, true);
	return r;
}

static int run(const struct config *config, const char *runtime_dir)
{
	_cleanup_free_ char *door = NULL;
	struct page_address address;
	struct serve *serve = NULL;
	sd_event *event = NULL;
	int r = page_address_parse(config->page_listen, &address);

	if (r >= 0 && asprintf(&door, "%s/page.sock", runtime_dir) < 0)
		r = -ENOMEM;
	if (r >= 0)
		r = open_event(&event);
	if (r >= 0)
		r = serve_new(event, config->page_listen, &address, door, &serve);
	if (r < 0) {
		log_error("cannot listen where [page] listen says: %s", strerror(-r));
		sd_event_unref(event);
		return EXIT_UNAVAILABLE;
	}
	log_info("ready");
	(void)sd_notify(0, "READY=1");
	r = sd_event_loop(event);
	serve_free(serve);
	sd_event_unref(event);
	return r < 0 ? EXIT_IO : r;
}

int main(int argc, char **argv)
{
	_cleanup_free_ char *error = NULL;
	struct arguments arguments = { 0 };
	struct config *config = NULL;
	struct stat st;
	int code;

	(void)umask(077);
	log_open("wellgate-page", LOG_LEVEL_INFO);
	code = parse(argc, argv, &arguments);
	if (code >= 0)
		return code;
	if (!arguments.config && stat(CONFIG_FILE, &st) == 0)
		arguments.config = CONFIG_FILE;
	if (config_load(arguments.config, &config, &error) < 0) {
		log_error("%s", error ? error : "out of memory");
		return EXIT_DATA;
	}
	if (config->page_listen) {
		code = run(config,
			   arguments.runtime_dir ? arguments.runtime_dir : config->runtime_dir);
	} else {
		log_info("there is no page: [page] listen is not set");
		/* that is as it should be: no reason to start it again */
		(void)sd_notify(0, "READY=1");
		code = EXIT_GOOD;
	}
	config_free(config);
	return code;
}
