/* wellgate import fitbit: what a person downloaded from Fitbit, into this hub. */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "drivers/cleanup.h"
#include "gateway/cli/cli.h"
#include "gateway/cli/client.h"
#include "gateway/cli/import_batch.h"
#include "gateway/cli/import_registry.h"
#include "gateway/goals/zone.h"
#include "gateway/import/source.h"

static const char usage[] =
	"usage: wellgate import fitbit FILE|FOLDER|ZIP [OPTIONS]\n"
	"       wellgate import registry FILE (see wellgate import registry --help)\n\n"
	"Reads what a person downloaded from Fitbit (Google Takeout, or the export of the\n"
	"account): steps, sleep with stages, resting heart rate, weight, activities. They are\n"
	"filed to the person of this hub, or to --subject where it has loans. The same export "
	"again adds nothing.\n\n"
	"  --subject REFERENCE     whose they are: somebody who has a device on loan or owned\n"
	"  --zone NAME             local times are of this zone (Europe/London), not the hub's\n"
	"  --json-times utc|local  what steps and activities in JSON are stamped in: the file\n"
	"                          does not say, so they are refused without it\n"
	"  --weight-unit kg|lb     of weights in JSON, which do not say it either\n"
	"  --dry-run               only read and count; nothing is stored\n"
	"  --json  --runtime-dir DIR\n\n"
	"Exit status: 0 good, 64 usage, 65 a file is not what it should be, 69 no gateway, 74 "
	"I/O.\n";

struct import {
	struct client client;
	const char *path, *zone, *subject;
	struct fitbit_options options;
	bool dry_run;

	struct import_batch *batch;
	bool has[FITBIT_KIND_END];
	struct total {
		uint64_t files;
		struct fitbit_counts counts;
		struct import_batch_counts stored;
	} totals[FITBIT_KIND_END];
	enum fitbit_kind kind; /* of the file that is being read */
	uint64_t twins, others, bad_files;
	int code; /* of the gateway, if it was that which ended a file */
};

/* ---- arguments */

static int take_words(struct import *i, int option)
{
	if (option == 't' && strcmp(optarg, "utc") == 0)
		i->options.times = FITBIT_TIMES_UTC;
	else if (option == 't' && strcmp(optarg, "local") == 0)
		i->options.times = FITBIT_TIMES_LOCAL;
	else if (option == 'w' && strcmp(optarg, "kg") == 0)
		i->options.weight = UNIT_KG;
	else if (option == 'w' && strcmp(optarg, "lb") == 0)
		i->options.weight = UNIT_LB;
	else
		return cli_fail("import", EXIT_USAGE, "unknown or incomplete option; see --help");
	return -1;
}

static int take_option(struct import *i, int option)
{
	switch (option) {
	case 'z':
		i->zone = i->options.zone = optarg;
		return -1;
	case 's':
		i->subject = optarg;
		return -1;
	case 'n':
		i->dry_run = true;
		return -1;
	case 'j':
		i->client.json = true;
		return -1;
	case 'r':
		i->client.runtime_dir = optarg;
		return -1;
	default:
		return take_words(i, option);
	}
}

static int check_zone(const struct import *i)
{
	struct zone *zone = NULL;

	if (!i->zone)
		return -1;
	if (zone_load(i->zone, &zone) < 0)
		return cli_fail("import", EXIT_USAGE, "there is no such time zone");
	zone_free(zone);
	return -1;
}

/* -1 = go on, or the exit code */
static int parse(int argc, char **argv, struct import *i)
{
	static const struct option options[] = {
		{ "zone", required_argument, NULL, 'z' },
		{ "subject", required_argument, NULL, 's' },
		{ "json-times", required_argument, NULL, 't' },
		{ "weight-unit", required_argument, NULL, 'w' },
		{ "dry-run", no_argument, NULL, 'n' },
		{ "json", no_argument, NULL, 'j' },
		{ "runtime-dir", required_argument, NULL, 'r' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	int option, code = -1;

	client_init(&i->client, argv[0]);
	opterr = 0;
	while (code < 0 && (option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (option == 'h')
			return fputs(usage, stdout) < 0 ? EXIT_IO : EXIT_GOOD;
		code = take_option(i, option);
	}
	if (code >= 0)
		return code;
	if (argc - optind != 2 || strcmp(argv[optind], "fitbit") != 0)
		return cli_fail(argv[0], EXIT_USAGE, "import fitbit WHAT? see --help");
	i->path = argv[optind + 1];
	return check_zone(i);
}

/* ---- reading */

static int take_item(void *user, const struct fitbit_item *item)
{
	struct import *i = user;

	i->code = import_batch_add(i->batch, item, &i->totals[i->kind].stored);
	return i->code ? -ECANCELED : 0;
}

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

/* One bad file does not keep the others out. The name is one of our patterns: nothing in it steers
 * a terminal. */
static int say_bad_file(struct import *i, const char *name, int r)
{
	if (r == -ENOMEM)
		return cli_fail("import", EXIT_IO, "no memory");
	i->bad_files++;
	(void)cli_fail("import", EXIT_DATA, "%s was not read: %s", base_name(name),
		       r == -EFBIG     ? "it is too large"
		       : r == -EBADMSG ? "it is damaged, or not what its name says"
				       : strerror(-r));
	return 0;
}

static int read_file(struct import *i, struct source *s, size_t n)
{
	struct total *total = &i->totals[i->kind];
	_cleanup_free_ char *text = NULL;
	const struct fitbit_reader reader = { &i->options, take_item, i, &total->counts };
	size_t len = 0;
	int r = source_read(s, n, FITBIT_FILE_MAX, &text, &len);

	if (r == 0)
		r = fitbit_parse(i->kind, &reader, text, len);
	if (r == -ECANCELED)
		return i->code;
	if (r < 0)
		return say_bad_file(i, source_name(s, n), r);
	total->files++;
	return import_batch_send(i->batch, &total->stored);
}

/* The newer exports have the same values twice; the CSV says more about its times and units. */
static bool is_twin(const struct import *i, enum fitbit_kind kind)
{
	return (kind == FITBIT_STEPS_JSON && i->has[FITBIT_STEPS_CSV]) ||
	       (kind == FITBIT_WEIGHT_JSON && i->has[FITBIT_WEIGHT_CSV]) ||
	       (kind == FITBIT_RESTING_JSON && i->has[FITBIT_RESTING_CSV]);
}

static int read_all(struct import *i, struct source *s)
{
	int code = 0;

	for (size_t n = 0; n < source_count(s); n++)
		i->has[fitbit_kind_of(source_name(s, n))] = true;
	for (size_t n = 0; n < source_count(s) && code == 0; n++) {
		i->kind = fitbit_kind_of(source_name(s, n));
		if (i->kind == FITBIT_OTHER)
			i->others++;
		else if (is_twin(i, i->kind))
			i->twins++;
		else
			code = read_file(i, s, n);
	}
	return code;
}

/* ---- what became of it */

static uint64_t refused_of(const struct total *t)
{
	uint64_t n = t->stored.refused;

	for (int why = 0; why < FITBIT_REFUSALS; why++)
		n += t->counts.refused[why];
	return n;
}

static void print_json(const struct import *i, int kind)
{
	const struct total *t = &i->totals[kind];
	json_t *reasons = json_object(), *object;

	for (int why = 0; why < FITBIT_REFUSALS; why++) {
		if (t->counts.refused[why] > 0)
			(void)json_object_set_new(reasons,
						  fitbit_refusal_text((enum fitbit_refusal)why),
						  json_integer((json_int_t)t->counts.refused[why]));
	}
	if (t->stored.refused > 0)
		(void)json_object_set_new(reasons, "the gateway refused it",
					  json_integer((json_int_t)t->stored.refused));
	object = json_pack("{s:s, s:I, s:I, s:I, s:I, s:I, s:o, s:b}", "kind",
			   fitbit_kind_name((enum fitbit_kind)kind), "files", (json_int_t)t->files,
			   "read", (json_int_t)t->counts.read, "new", (json_int_t)t->stored.added,
			   "known", (json_int_t)t->stored.known, "refused",
			   (json_int_t)refused_of(t), "reasons", reasons, "dry_run", i->dry_run);
	(void)json_dumpf(object, stdout, JSON_COMPACT);
	(void)putchar('\n');
	json_decref(object);
}

static void print_text(const struct import *i, int kind)
{
	const struct total *t = &i->totals[kind];

	(void)printf("  %-19s %" PRIu64 " read", fitbit_kind_name((enum fitbit_kind)kind),
		     t->counts.read);
	if (!i->dry_run)
		(void)printf(", %" PRIu64 " new, %" PRIu64 " known", t->stored.added,
			     t->stored.known);
	(void)printf(", %" PRIu64 " refused\n", refused_of(t));
	for (int why = 0; why < FITBIT_REFUSALS; why++) {
		if (t->counts.refused[why] > 0)
			(void)printf("      %" PRIu64 ": %s\n", t->counts.refused[why],
				     fitbit_refusal_text((enum fitbit_refusal)why));
	}
	if (t->stored.refused > 0)
		(void)printf("      %" PRIu64 ": the gateway refused it\n", t->stored.refused);
}

static void print_rest(const struct import *i)
{
	if (i->twins > 0)
		(void)printf("  %" PRIu64 " files left out: the same values stand in CSV files\n",
			     i->twins);
	if (i->others > 0)
		(void)printf("  %" PRIu64 " files are about other things and were not read\n",
			     i->others);
	if (i->bad_files > 0)
		(void)printf("  %" PRIu64 " files could not be read\n", i->bad_files);
	(void)printf("Times that the files give without a zone were read in %s%s.\n",
		     i->zone ? i->zone : "the hub's time zone", i->zone ? " (--zone)" : "");
	if (i->dry_run)
		(void)puts("Nothing was stored (--dry-run); which are new only the gateway knows.");
}

static int report(const struct import *i)
{
	uint64_t files = 0;

	for (int kind = FITBIT_OTHER + 1; kind < FITBIT_KIND_END; kind++) {
		if (i->totals[kind].files == 0)
			continue;
		files += i->totals[kind].files;
		if (i->client.json)
			print_json(i, kind);
		else
			print_text(i, kind);
	}
	if (files == 0 && i->bad_files == 0)
		return cli_fail("import", EXIT_DATA, "there is no file of a Fitbit export in it");
	if (!i->client.json)
		print_rest(i);
	return i->bad_files > 0 ? EXIT_DATA : client_flush(&i->client);
}

static int run(struct import *i, struct source *s)
{
	int code;

	i->batch = import_batch_new(i->dry_run ? NULL : &i->client, i->zone, i->subject);
	if (!i->batch)
		return cli_fail("import", EXIT_IO, "no memory");
	code = i->dry_run ? 0 : client_open(&i->client);
	if (code == 0)
		code = read_all(i, s);
	if (code == 0)
		code = report(i);
	client_close(&i->client);
	import_batch_free(i->batch);
	return code;
}

int cmd_import(int argc, char **argv)
{
	struct import i = { 0 };
	struct source *s = NULL;
	const char *why = NULL;
	int code, r;

	if (argc > 1 && strcmp(argv[1], "registry") == 0)
		return import_registry(argc, argv);
	code = parse(argc, argv, &i);
	if (code >= 0)
		return code;
	r = source_open(i.path, &s, &why);
	if (r == -EBADMSG)
		return cli_fail("import", EXIT_DATA, "nothing was imported: %s",
				why ? why : "it cannot be read");
	if (r < 0)
		return cli_fail("import", EXIT_IO, "cannot read it: %s", strerror(-r));
	code = run(&i, s);
	source_close(s);
	return code;
}
