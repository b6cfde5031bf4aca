/* wellgate page: a code that lets one browser look at the local page. */
#include <getopt.h>
#include <inttypes.h>
#include <jansson.h>
#include <string.h>

#include "gateway/cli/cli.h"
#include "gateway/cli/client.h"
#include "gateway/words/words.h"

#define TEXT_MAX 256

static const char usage[] =
	"usage: wellgate page code [--subject REF | --staff] [--json] [--runtime-dir DIR]\n\n"
	"Prints a code of 6 digits that opens the local page once: for one person (the only\n"
	"one who has something here, unless --subject says who), or the clinic view (--staff).\n"
	"It is good for 10 minutes, and a new code takes the place of the last.\n\n"
	"Exit status: 0 done, 64 not as it has to be, 69 not done, 74 I/O.\n";

struct page_args {
	struct client client;
	char *subject;
	bool staff;
};

/* -1 = go on, or the exit code */
static int parse(int argc, char **argv, struct page_args *a)
{
	static const struct option options[] = {
		{ "subject", required_argument, NULL, 's' },
		{ "staff", no_argument, NULL, 't' },
		{ "json", no_argument, NULL, 'j' },
		{ "runtime-dir", required_argument, NULL, 'r' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	int option;

	client_init(&a->client, argv[0]);
	opterr = 0;
	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (option == 'h')
			return fputs(usage, stdout) < 0 ? EXIT_IO : EXIT_GOOD;
		if (option == 's')
			a->subject = optarg;
		else if (option == 't')
			a->staff = true;
		else if (option == 'j')
			a->client.json = true;
		else if (option == 'r')
			a->client.runtime_dir = optarg;
		else
			return cli_fail("page", EXIT_USAGE,
					"unknown or incomplete option; see --help");
	}
	if (argc - optind != 1 || strcmp(argv[optind], "code") != 0 || (a->staff && a->subject))
		return cli_fail("page", EXIT_USAGE, "what? see --help");
	return -1;
}

static void say(enum words_id id, const char *number)
{
	const struct words_fill fill = { .of = { [WORDS_NUMBER] = number } };
	char text[TEXT_MAX];

	if (words_say(WORDS_EN, id, &fill, text, sizeof(text)) > 0)
		(void)puts(text);
}

static int print(const struct page_args *a, const Wellgate__V1__PageReply *m)
{
	char minutes[12];

	(void)snprintf(minutes, sizeof(minutes), "%" PRIu32, m->minutes);
	if (a->client.json) {
		(void)printf("{\"code\":\"%s\",\"minutes\":%s}\n", m->code, minutes);
	} else {
		say(WORDS_PAGE_CODE_IS, m->code);
		say(WORDS_PAGE_CODE_HOW, minutes);
	}
	return client_flush(&a->client);
}

int cmd_page(int argc, char **argv)
{
	Wellgate__V1__Command command = WELLGATE__V1__COMMAND__INIT;
	Wellgate__V1__PageCommand page = WELLGATE__V1__PAGE_COMMAND__INIT;
	Wellgate__V1__Reply *reply = NULL;
	struct page_args a = { 0 };
	char verb[] = "page-code";
	int code = parse(argc, argv, &a);

	if (code >= 0)
		return code;
	command.verb = verb;
	command.page = &page;
	page.subject = a.subject;
	page.has_staff = true;
	page.staff = a.staff;
	code = client_open(&a.client);
	if (code == 0)
		code = client_ask(&a.client, &command, &reply);
	client_close(&a.client);
	if (code == 0 && reply && reply->page && reply->page->code)
		code = print(&a, reply->page);
	else if (code == 0)
		code = cli_fail("page", EXIT_UNAVAILABLE, "the gateway gave no code");
	if (reply)
		wellgate__v1__reply__free_unpacked(reply, NULL);
	return code;
}
