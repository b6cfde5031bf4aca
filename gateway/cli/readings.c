/* wellgate readings: what is stored, oldest first. */
#include <stdlib.h>
#include <string.h>

#include "drivers/cleanup.h"
#include "gateway/cli/cli.h"
#include "gateway/cli/client.h"
#include "gateway/cli/print.h"
#include "gateway/cli/readings_text.h"

static const char usage[] =
	"usage: wellgate readings [--json] [--limit N] [--after SEQUENCE] [--all]\n"
	"                         [--runtime-dir DIR]\n\n"
	"Lists stored readings in the order they were stored, 20 unless --limit says\n"
	"otherwise. --after goes on where an earlier list ended (its first column).\n"
	"What was corrected since is left out; --all shows that, too.\n"
	"Times are those on the wall where it was measured.\n";

struct list {
	const struct client *c;
	struct readings_text text;
};

static int print_one(void *user, const Wellgate__V1__Reading *reading, const char *hub)
{
	struct list *list = user;
	_cleanup_free_ char *line = NULL;

	if (!list->c->json) {
		if (list->c->hidden)
			readings_text_add_hidden(&list->text, reading);
		else
			readings_text_add(&list->text, reading);
		return 0;
	}
	line = print_reading(reading, hub);
	if (!line)
		return cli_fail(list->c->name, EXIT_IO, "out of memory");
	if (list->c->hidden)
		(void)printf("%.*s,\"hidden\":true}\n", (int)strlen(line) - 1, line);
	else
		(void)puts(line);
	return 0;
}

int cmd_readings(int argc, char **argv)
{
	struct client c;
	struct list list = { .c = &c };
	int code = client_arguments(argc, argv, CLIENT_JSON | CLIENT_PAGE | CLIENT_ALL, usage, &c);

	if (code >= 0)
		return code;
	readings_text_begin(&list.text, stdout, bars_style());
	code = client_each_reading(&c, print_one, &list);
	if (code == 0 && !c.json)
		readings_text_end(&list.text);
	return code ? code : client_flush(&c);
}
