/* wellgated: opens what it needs, runs, and takes it down in reverse. The work is in pipeline.c. */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <systemd/sd-daemon.h>
#include <systemd/sd-event.h>
#include <unistd.h>

#include "drivers/cleanup.h"
#include "drivers/log.h"
#include "gateway/config.h"
#include "gateway/control/orders.h"
#include "gateway/control/page.h"
#include "gateway/control/server.h"
#include "gateway/devices.h"
#include "gateway/light/show.h"

#define CONFIG_FILE     "/etc/wellgate/wellgate.conf"
#define STOP_TIMEOUT_US INT64_C(2000000)

enum {
	EXIT_GOOD = 0,
	EXIT_USAGE = 64,
	EXIT_DATA = 65,
	EXIT_UNAVAILABLE = 69,
	EXIT_IO = 74,
};

struct arguments {
	const char *config, *state_dir, *runtime_dir;
	bool check, verbose;
};

struct gateway {
	const char *config_file;
	struct config *config;
	sd_event *event;
	struct store *store;
	struct intake *intake;
	struct goal_book *book;
	struct publish *publish;
	struct pipeline *pipeline;
	struct show *light;
	struct devices *devices;
	struct control control;
	struct orders *orders;
	struct server *server;
	struct page_door *page;
	struct control page_control;
	struct server *page_server;
};

static void usage(FILE *out)
{
	(void)fputs("usage: wellgated [OPTIONS]\n\n"
		    "  --config FILE       configuration, default " CONFIG_FILE " if it exists\n"
		    "  --state-dir DIR     instead of [hub] state_dir\n"
		    "  --runtime-dir DIR   instead of [hub] runtime_dir\n"
		    "  --check             only check the configuration\n"
		    "  --verbose           say more on stderr\n"
		    "  --version, --help\n",
		    out);
}

/* -1 = go on, or the exit code */
static int parse_arguments(int argc, char **argv, struct arguments *ret)
{
	static const struct option options[] = {
		{ "config", required_argument, NULL, 'c' },
		{ "state-dir", required_argument, NULL, 's' },
		{ "runtime-dir", required_argument, NULL, 'r' },
		{ "check", no_argument, NULL, 'k' },
		{ "verbose", no_argument, NULL, 'v' },
		{ "version", no_argument, NULL, 'V' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c == 'c')
			ret->config = optarg;
		else if (c == 's')
			ret->state_dir = optarg;
		else if (c == 'r')
			ret->runtime_dir = optarg;
		else if (c == 'k')
			ret->check = true;
		else if (c == 'v')
			ret->verbose = true;
		else if (c == 'V')
			return puts("wellgated " WELLGATE_VERSION) < 0 ? EXIT_IO : EXIT_GOOD;
		else if (c == 'h')
			return usage(stdout), EXIT_GOOD;
		else
			return EXIT_USAGE;
	}
	if (optind == argc)
		return -1;
	log_error("unexpected argument %s", argv[optind]);
	return EXIT_USAGE;
}

static int replace(char **field, const char *value)
{
	char *copy;

	if (!value)
		return 0;
	copy = strdup(value);
	if (!copy)
		return -ENOMEM;
	free(*field);
	*field = copy;
	return 0;
}

static int load(struct gateway *g, const struct arguments *arguments)
{
	_cleanup_free_ char *error = NULL;
	struct stat st;
	int r;

	g->config_file = arguments->config;
	if (!g->config_file && stat(CONFIG_FILE, &st) == 0)
		g->config_file = CONFIG_FILE;
	r = config_load(g->config_file, &g->config, &error);
	if (r < 0) {
		log_error("%s", error ? error : "out of memory");
		return r == -EINVAL ? EXIT_DATA : EXIT_IO;
	}
	if (replace(&g->config->state_dir, arguments->state_dir) < 0 ||
	    replace(&g->config->runtime_dir, arguments->runtime_dir) < 0)
		return EXIT_IO;
	return EXIT_GOOD;
}

/* The key that seals what is stored, if the system gives one (LoadCredential= in the unit). */
static char *credential(const char *name)
{
	const char *dir = getenv("CREDENTIALS_DIRECTORY");
	char *path = NULL;

	if (!dir || asprintf(&path, "%s/%s", dir, name) < 0)
		return NULL;
	if (access(path, F_OK) == 0)
		return path;
	free(path);
	return NULL;
}

static int open_store(struct gateway *g)
{
	_cleanup_free_ char *key_file = credential("wellgate-key");
	const struct store_options options = { .dir = g->config->state_dir,
					       .max_bytes = g->config->max_bytes,
					       .keep_days = g->config->keep_days,
					       .key_file = key_file };
	_cleanup_free_ char *said = NULL;
	const int r = store_open(&options, &g->store, &said);

	if (r == -EBUSY) {
		log_error("another wellgated works in %s: stop it first, or use --state-dir",
			  g->config->state_dir);
		return EXIT_UNAVAILABLE;
	}
	if (r < 0) {
		log_error("%s", said ? said : strerror(-r));
		return r == -EUCLEAN || r == -EKEYREJECTED ? EXIT_DATA : EXIT_IO;
	}
	if (said)
		log_warning("%s", said);
	return EXIT_GOOD;
}

static int open_stages(struct gateway *g)
{
	const struct config *c = g->config;
	const struct store_identity *id = store_identity(g->store);
	const struct intake_options intake = { .time_zone = c->time_zone,
					       .subject = c->subject,
					       .test = c->test };
	int r = intake_new(&intake, &g->intake);

	if (r >= 0)
		r = goal_book_new(c->goals, c->n_goals, c->hub ? c->hub : id->hub, id->epoch,
				  &g->book);
	if (r >= 0)
		goal_book_set_test(g->book, c->test);
	if (r >= 0)
		r = publish_new(g->event, c, g->store, &g->publish);
	if (r >= 0) {
		const struct pipeline_parts parts = { g->event,  c,       g->store,
						      g->intake, g->book, g->publish };

		r = pipeline_new(&parts, &g->pipeline);
	}
	if (r >= 0)
		r = show_new(g->event, c, &g->light);
	if (r >= 0)
		pipeline_set_light(g->pipeline, g->light);
	if (r < 0)
		log_error("cannot start: %s", strerror(-r));
	return r < 0 ? EXIT_IO : EXIT_GOOD;
}

static int open_orders(struct gateway *g)
{
	struct arena arena;
	int r = arena_init(&arena, ORDERS_ARENA_BYTES);

	if (r < 0)
		return r;
	r = orders_new(&g->control, &arena, &g->orders);
	arena_finish(&arena);
	if (r < 0)
		log_error("cannot use %s: %s", g->config->command_keys_file,
			  r == -EINVAL ? "a line is no public key" : strerror(-r));
	return r;
}

/* The page's own door, which is opened to its group alone and answers little (control/page.h). */
static int open_page(struct gateway *g)
{
	_cleanup_free_ char *path = NULL;
	int r;

	if (!g->config->page_listen)
		return 0;
	if (asprintf(&path, "%s/page.sock", g->config->runtime_dir) < 0)
		return -ENOMEM;
	r = page_door_new(&g->page);
	if (r < 0)
		return r;
	g->control.page = g->page;
	g->page_control = g->control;
	g->page_control.page_only = true;
	return server_new(g->event, path, &g->page_control, &g->page_server);
}

static int open_sockets(struct gateway *g)
{
	_cleanup_free_ char *devices = NULL, *control = NULL;
	const char *dir = g->config->runtime_dir;
	int r;

	if (mkdir(dir, 0700) < 0 && errno != EEXIST) {
		log_error("cannot make %s: %s", dir, strerror(errno));
		return EXIT_IO;
	}
	if (asprintf(&devices, "%s/devices.sock", dir) < 0 ||
	    asprintf(&control, "%s/control.sock", dir) < 0)
		return EXIT_IO;
	g->control = (struct control){ .config = g->config,
				       .config_file = g->config_file,
				       .store = g->store,
				       .book = g->book,
				       .publish = g->publish,
				       .pipeline = g->pipeline };
	r = open_orders(g);
	if (r >= 0)
		r = devices_new(g->event, devices, g->pipeline, &g->devices);
	if (r >= 0)
		r = open_page(g);
	if (r >= 0)
		r = server_new(g->event, control, &g->control, &g->server);
	if (r < 0)
		log_error("cannot open the sockets in %s: %s", dir, strerror(-r));
	return r < 0 ? EXIT_IO : EXIT_GOOD;
}

/* Blocked before the uplink thread exists, so that it inherits the mask. */
static int open_event(struct gateway *g)
{
	sigset_t mask;
	int r;

	(void)sigemptyset(&mask);
	(void)sigaddset(&mask, SIGTERM);
	(void)sigaddset(&mask, SIGINT);
	if (sigprocmask(SIG_BLOCK, &mask, NULL) < 0 || signal(SIGPIPE, SIG_IGN) == SIG_ERR)
		return EXIT_IO;
	r = sd_event_default(&g->event);
	if (r >= 0)
		r = sd_event_add_signal(g->event, NULL, SIGTERM, NULL, NULL);
	if (r >= 0)
		r = sd_event_add_signal(g->event, NULL, SIGINT, NULL, NULL);
	if (r >= 0)
		r = sd_event_set_watchdog(g->event, true);
	return r < 0 ? EXIT_IO : EXIT_GOOD;
}

static void close_all(struct gateway *g)
{
	server_free(g->server);
	server_free(g->page_server);
	page_door_free(g->page);
	orders_free(g->orders);
	devices_free(g->devices);
	pipeline_free(g->pipeline);
	show_free(g->light);
	publish_free(g->publish, STOP_TIMEOUT_US);
	if (g->store)
		(void)store_commit(g->store); /* the last acknowledgements */
	goal_book_free(g->book);
	intake_free(g->intake);
	store_close(g->store);
	sd_event_unref(g->event);
	config_free(g->config);
}

static int run(struct gateway *g)
{
	static int (*const steps[])(struct gateway *) = { open_event, open_store, open_stages,
							  open_sockets };
	int code = EXIT_GOOD, r;

	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]) && code == EXIT_GOOD; i++)
		code = steps[i](g);
	if (code != EXIT_GOOD)
		return code;
	log_info("ready");
	(void)sd_notify(0, "READY=1");
	r = sd_event_loop(g->event);
	(void)sd_notify(0, "STOPPING=1");
	log_info("stopping");
	return r < 0 ? EXIT_IO : r; /* 0 after a signal, else what ended the loop */
}

int main(int argc, char **argv)
{
	struct arguments arguments = { 0 };
	struct gateway gateway = { 0 };
	int code;

	(void)umask(077);
	log_open("wellgated", LOG_LEVEL_INFO);
	code = parse_arguments(argc, argv, &arguments);
	if (code >= 0)
		return code;
	if (arguments.verbose)
		log_open("wellgated", LOG_LEVEL_DEBUG);
	code = load(&gateway, &arguments);
	if (code == EXIT_GOOD && !arguments.check)
		code = run(&gateway);
	close_all(&gateway);
	return code;
}
