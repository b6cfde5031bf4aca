/*
 * wellgate-record: the reference record service. Three threads: this one waits for signals, the
 * worker owns the database, the link owns Paho.
 */
#include <errno.h>
#include <getopt.h>
#include <pthread.h>
#include <signal.h>
#include <sodium.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "drivers/cleanup.h"
#include "drivers/log.h"
#include "gateway/cli/tail_print.h"
#include "gateway/record/db.h"
#include "gateway/record/ledger.h"
#include "gateway/record/link.h"
#include "gateway/record/queue.h"
#include "gateway/record/report.h"
#include "gateway/record/service.h"
#include "gateway/record/settings.h"

#define BYE_MS 3000

enum {
	EXIT_GOOD = 0,
	EXIT_USAGE = 64,
	EXIT_DATA = 65,
	EXIT_UNAVAILABLE = 69,
	EXIT_IO = 74,
};

static const char usage[] =
	"usage: wellgate-record [run] [OPTIONS]      receive and store until told to end\n"
	"       wellgate-record lag|gaps|letters [--json] [OPTIONS]\n\n"
	"  lag      how far behind each hub is\n"
	"  gaps     numbers that never came although later ones did\n"
	"  letters  what came and could not be stored, and why\n\n"
	"  --config FILE         ini file, sections [record] and [broker]; later options win\n"
	"  --database URL        sqlite:/PATH/FILE or postgresql://...\n"
	"  --broker URL          mqtts://HOST[:PORT]; mqtt:// for this machine alone\n"
	"  --name NAME           client id and name of the session on the broker\n"
	"  --share GROUP         one of several workers: a shared subscription\n"
	"  --hubs 'SITE/HUB...'  only these\n"
	"  --acknowledge commit|receipt\n"
	"  --username NAME  --password-file FILE  --ca FILE  --cert FILE  --key FILE\n"
	"  --print               say each message to people, once it is stored\n"
	"  --verbose  --version  --help\n";

enum command {
	COMMAND_RUN,
	COMMAND_LAG,
	COMMAND_GAPS,
	COMMAND_LETTERS,
};

struct program {
	struct settings settings;
	enum command command;
	bool print, json, verbose;
	struct db *db;
	struct ledger ledger;
	struct queue queue;
	struct link *link;
	struct tail_printer printer;
	pthread_t worker;
	int result; /* of the worker */
};

/* ---- command line ---- */

static const struct option options[] = {
	{ "config", required_argument, NULL, 'C' },
	{ "database", required_argument, NULL, 'd' },
	{ "broker", required_argument, NULL, 'b' },
	{ "name", required_argument, NULL, 'n' },
	{ "share", required_argument, NULL, 's' },
	{ "hubs", required_argument, NULL, 'H' },
	{ "acknowledge", required_argument, NULL, 'A' },
	{ "username", required_argument, NULL, 'u' },
	{ "password-file", required_argument, NULL, 'P' },
	{ "ca", required_argument, NULL, 'a' },
	{ "cert", required_argument, NULL, 'c' },
	{ "key", required_argument, NULL, 'k' },
	{ "print", no_argument, NULL, 'p' },
	{ "json", no_argument, NULL, 'j' },
	{ "verbose", no_argument, NULL, 'v' },
	{ "version", no_argument, NULL, 'V' },
	{ "help", no_argument, NULL, 'h' },
	{ 0 },
};

/* the key of the file that an option stands for */
static bool key_of(int option, const char **ret_section, const char **ret_key)
{
	static const struct {
		int option;
		const char *section, *key;
	} table[] = {
		{ 'd', "record", "database" }, { 'b', "broker", "url" },
		{ 'n', "record", "name" },     { 's', "record", "share" },
		{ 'H', "record", "hubs" },     { 'A', "record", "acknowledge" },
		{ 'u', "broker", "username" }, { 'P', "broker", "password_file" },
		{ 'a', "broker", "ca_file" },  { 'c', "broker", "cert_file" },
		{ 'k', "broker", "key_file" },
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		if (table[i].option == option) {
			*ret_section = table[i].section;
			*ret_key = table[i].key;
			return true;
		}
	}
	return false;
}

static int load_file(struct program *p, const char *file)
{
	_cleanup_free_ char *error = NULL;

	if (settings_load(&p->settings, file, &error) == 0)
		return -1;
	log_error("%s", error ? error : "out of memory");
	return EXIT_DATA;
}

/* -1 = go on, or the exit code */
static int take_option(struct program *p, int option)
{
	const char *section = NULL, *key = NULL, *allowed = "";
	int r;

	switch (option) {
	case 'C':
		return load_file(p, optarg);
	case 'p':
		p->print = true;
		return -1;
	case 'j':
		p->json = true;
		return -1;
	case 'v':
		p->verbose = true;
		return -1;
	case 'V':
		return puts("wellgate-record " WELLGATE_VERSION) < 0 ? EXIT_IO : EXIT_GOOD;
	case 'h':
		return fputs(usage, stdout) < 0 ? EXIT_IO : EXIT_GOOD;
	default:
		break;
	}
	if (!key_of(option, &section, &key)) {
		log_error("unknown option or missing value, --help lists them");
		return EXIT_USAGE;
	}
	r = settings_set(&p->settings, section, key, optarg, &allowed);
	if (r == -EINVAL)
		log_error("%s: allowed is %s", key, allowed);
	return r == 0 ? -1 : EXIT_USAGE;
}

static int take_command(struct program *p, const char *name)
{
	static const char *const names[] = { [COMMAND_RUN] = "run",
					     [COMMAND_LAG] = "lag",
					     [COMMAND_GAPS] = "gaps",
					     [COMMAND_LETTERS] = "letters" };

	for (int i = COMMAND_RUN; i <= COMMAND_LETTERS; i++) {
		if (strcmp(name, names[i]) == 0) {
			p->command = (enum command)i;
			return -1;
		}
	}
	log_error("no such command, --help lists them");
	return EXIT_USAGE;
}

static int parse(struct program *p, int argc, char **argv)
{
	const char *fault;
	int option, code = -1;

	opterr = 0;
	while (code < 0 && (option = getopt_long(argc, argv, "", options, NULL)) != -1)
		code = take_option(p, option);
	if (code < 0 && optind < argc)
		code = take_command(p, argv[optind++]);
	if (code < 0 && optind < argc) {
		log_error("one command at most, --help lists them");
		code = EXIT_USAGE;
	}
	fault = code < 0 ? settings_fault(&p->settings) : NULL;
	if (!fault)
		return code;
	log_error("%s", fault);
	return EXIT_USAGE;
}

/* ---- running ---- */

static void on_receipt(struct ledger_receipt *receipt, void *user)
{
	struct program *p = user;

	link_receipt(p->link, receipt);
}

static void on_stored(const struct queue_item *item, void *user)
{
	struct program *p = user;

	if (!p->print)
		return;
	(void)tail_print(&p->printer, item->topic, item->payload, item->len);
	(void)fflush(stdout);
}

static void *work(void *user)
{
	struct program *p = user;
	struct service service = { .queue = &p->queue,
				   .ledger = &p->ledger,
				   .receipt = on_receipt,
				   .stored = on_stored,
				   .user = p };

	p->result = service_run(&service);
	/* it ended by itself: so does the program */
	(void)kill(getpid(), SIGTERM);
	return NULL;
}

static int exit_code(int r)
{
	if (r == -ENOTCONN || r == -EBUSY || r == -ENOENT)
		return EXIT_UNAVAILABLE;
	return r == -ENOTSUP || r == -EUCLEAN || r == -EINVAL ? EXIT_DATA : EXIT_IO;
}

static const char *explain(int r)
{
	if (r == -EBUSY)
		return "another service has this file";
	if (r == -ENOTSUP)
		return "it was made by a later version";
	if (r == -ENOENT)
		return "there is nothing in it yet";
	if (r == -EUCLEAN)
		return "it is damaged: restore it from a copy, and start anew where there is none";
	return "";
}

static int open_database(struct program *p)
{
	const struct db_options o = { .url = p->settings.database,
				      .read_only = p->command != COMMAND_RUN };
	int r = db_open(&o, &p->db);
	bool told = false;

	/* a server may start later than we do; the broker keeps what comes until then */
	while (r == -ENOTCONN && p->command == COMMAND_RUN) {
		if (!told)
			log_warning("waiting for the database server");
		told = true;
		(void)sleep(1);
		r = db_open(&o, &p->db);
	}
	if (r == 0)
		return EXIT_GOOD;
	log_error("cannot use the database error=%d %s", -r, explain(r));
	return exit_code(r);
}

static int start(struct program *p)
{
	int r = ledger_init(&p->ledger, p->db, p->settings.name);

	if (r == 0 && p->print)
		r = tail_printer_init(&p->printer, stdout, TAIL_TEXT, UINT64_MAX);
	if (r == 0)
		r = queue_init(&p->queue, p->settings.queue);
	if (r == 0)
		r = link_start(&p->settings, &p->queue, &p->link);
	if (r == 0)
		r = -pthread_create(&p->worker, NULL, work, p);
	if (r < 0)
		log_error("cannot start error=%d", -r);
	return r == 0 ? EXIT_GOOD : EXIT_IO;
}

static void log_counts(const struct ledger_counts *c)
{
	log_info("stored readings=%llu results=%llu corrections=%llu again=%llu dead_letters=%llu",
		 (unsigned long long)c->readings, (unsigned long long)c->results,
		 (unsigned long long)c->corrections, (unsigned long long)c->again,
		 (unsigned long long)c->refused);
}

/* Does not return once Paho runs: a callback of it may be waiting for ever (link.h). */
static int run(struct program *p)
{
	sigset_t set;
	int code, sig;

	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGTERM);
	(void)sigaddset(&set, SIGINT);
	(void)pthread_sigmask(SIG_BLOCK, &set, NULL);
	code = start(p);
	if (code != EXIT_GOOD)
		_exit(code);
	(void)sd_notify(0, "READY=1");
	(void)sigwait(&set, &sig);
	(void)sd_notify(0, "STOPPING=1");
	queue_stop(&p->queue);
	(void)pthread_join(p->worker, NULL);
	link_stop(p->link, BYE_MS);
	db_close(p->db);
	log_counts(&p->ledger.counts);
	if (p->result < 0)
		log_error("ended: the database does not store error=%d %s", -p->result,
			  explain(p->result));
	(void)fflush(NULL);
	_exit(p->result == 0 ? EXIT_GOOD : exit_code(p->result));
}

static int report(struct program *p)
{
	static const enum report reports[] = { [COMMAND_LAG] = REPORT_LAG,
					       [COMMAND_GAPS] = REPORT_GAPS,
					       [COMMAND_LETTERS] = REPORT_LETTERS };
	int r = report_print(p->db, reports[p->command], p->json, stdout);

	if (r < 0)
		log_error("cannot read the database error=%d", -r);
	return r == 0 ? EXIT_GOOD : exit_code(r);
}

int main(int argc, char **argv)
{
	struct program p = { 0 };
	int code;

	log_open("wellgate-record", LOG_LEVEL_INFO);
	if (sodium_init() < 0 || settings_init(&p.settings) < 0) {
		log_error("out of memory");
		return EXIT_IO;
	}
	code = parse(&p, argc, argv);
	if (p.verbose)
		log_open("wellgate-record", LOG_LEVEL_DEBUG);
	if (code < 0)
		code = open_database(&p);
	if (code == EXIT_GOOD && p.db)
		code = p.command == COMMAND_RUN ? run(&p) : report(&p);
	db_close(p.db);
	settings_finish(&p.settings);
	return code;
}
