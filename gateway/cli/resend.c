/* wellgate resend: what was sent goes out again under its own numbers. */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/cli/cli.h"
#include "gateway/cli/client.h"

static const char usage[] =
	"usage: wellgate resend readings|results|corrections FIRST LAST [--json]\n\n"
	"Sends what has these numbers once more, whether or not it was acknowledged: for a record\n"
	"service that lost something (`wellgate-record gaps` has the numbers). They keep their\n"
	"numbers, so what is there already is not stored twice. Says which are not kept any more.\n"
	"A restart of the gateway forgets what has not gone yet: then ask again.\n\n"
	"  --json  --runtime-dir DIR\n\n"
	"Exit status: 0 they go, 64 no such numbers, 69 not done, 74 I/O.\n";

struct job {
	struct client client;
	Wellgate__V1__SequenceRange range;
	uint64_t rows, gone;
	json_t *ranges;
	bool more_gone;
};

static bool parse_number(const char *text, uint64_t *ret)
{
	char *end = NULL;
	unsigned long long n;

	errno = 0;
	n = strtoull(text, &end, 10);
	if (errno || end == text || *end || *text < '0' || *text > '9')
		return false;
	*ret = n;
	return true;
}

static bool parse_kind(const char *text, Wellgate__V1__Receipt__Kind *ret)
{
	static const char *const names[] = { "", "readings", "results", "corrections" };

	for (unsigned int i = 1; i < sizeof(names) / sizeof(names[0]); i++) {
		if (strcmp(names[i], text) == 0) {
			*ret = (Wellgate__V1__Receipt__Kind)i;
			return true;
		}
	}
	return false;
}

static int parse(struct job *j, int argc, char **argv)
{
	static const struct option options[] = {
		{ "runtime-dir", required_argument, NULL, 'r' },
		{ "json", no_argument, NULL, 'j' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	int option;

	client_init(&j->client, argv[0]);
	opterr = 0;
	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (option == 'h') {
			(void)fputs(usage, stdout);
			return EXIT_GOOD;
		}
		if (option == 'r')
			j->client.runtime_dir = optarg;
		else if (option == 'j')
			j->client.json = true;
		else
			return cli_fail("resend", EXIT_USAGE,
					"unknown or incomplete option; see --help");
	}
	j->range.has_kind = j->range.has_first = j->range.has_last = true;
	if (argc - optind != 3 || !parse_kind(argv[optind], &j->range.kind) ||
	    !parse_number(argv[optind + 1], &j->range.first) ||
	    !parse_number(argv[optind + 2], &j->range.last))
		return cli_fail("resend", EXIT_USAGE,
				"a kind and two numbers are needed; see --help");
	return -1;
}

static void note(struct job *j, const Wellgate__V1__Resent *m)
{
	j->rows += m->rows;
	j->gone += m->gone;
	j->more_gone = j->more_gone || m->more_gone;
	for (size_t i = 0; i < m->n_gone_ranges; i++)
		(void)json_array_append_new(j->ranges,
					    json_pack("[I,I]", (json_int_t)m->gone_ranges[i]->first,
						      (json_int_t)m->gone_ranges[i]->last));
}

/* One piece of the range: 0 and the next piece in j->range.first, or an exit code. */
static int ask(struct job *j, bool *ret_more)
{
	Wellgate__V1__Command command = WELLGATE__V1__COMMAND__INIT;
	Wellgate__V1__Reply *reply = NULL;
	const Wellgate__V1__Resent *m;
	char verb[] = "resend";
	int code;

	command.verb = verb;
	command.range = &j->range;
	code = client_ask(&j->client, &command, &reply);
	m = code == 0 && reply ? reply->resent : NULL;
	*ret_more = false;
	if (m && m->looked_upto >= j->range.first) {
		note(j, m);
		*ret_more = m->looked_upto < j->range.last && m->looked_upto < m->highest;
		j->range.first = m->looked_upto + 1;
	} else if (code == 0) {
		code = cli_fail("resend", EXIT_UNAVAILABLE, "the gateway gave no answer");
	}
	wellgate__v1__reply__free_unpacked(reply, NULL);
	return code;
}

static int print(const struct job *j)
{
	const json_t *range;
	size_t i;

	if (j->client.json) {
		json_t *object = json_pack("{s:I, s:I, s:O, s:b}", "rows", (json_int_t)j->rows,
					   "gone", (json_int_t)j->gone, "gone_ranges", j->ranges,
					   "more_gone", j->more_gone);

		if (!object)
			return cli_fail("resend", EXIT_IO, "out of memory");
		(void)json_dumpf(object, stdout, JSON_COMPACT);
		(void)putchar('\n');
		json_decref(object);
		return client_flush(&j->client);
	}
	(void)printf("%" PRIu64 " will be sent again\n", j->rows);
	json_array_foreach(j->ranges, i, range)
	{
		const json_int_t first = json_integer_value(json_array_get(range, 0));
		const json_int_t last = json_integer_value(json_array_get(range, 1));

		(void)printf("not kept any more: %" JSON_INTEGER_FORMAT " to %" JSON_INTEGER_FORMAT
			     "\n",
			     first, last);
	}
	if (j->more_gone)
		(void)printf("not kept any more, in all: %" PRIu64 "\n", j->gone);
	return client_flush(&j->client);
}

int cmd_resend(int argc, char **argv)
{
	struct job j = { .range = WELLGATE__V1__SEQUENCE_RANGE__INIT };
	int code = parse(&j, argc, argv);
	bool more = true;

	if (code >= 0)
		return code;
	j.ranges = json_array();
	if (!j.ranges)
		return cli_fail("resend", EXIT_IO, "out of memory");
	code = client_open(&j.client);
	while (code == 0 && more)
		code = ask(&j, &more);
	client_close(&j.client);
	if (code == 0)
		code = print(&j);
	json_decref(j.ranges);
	return code;
}
