/* wellgate: the command line. Each subcommand is one file and one row of commands.def. */
#include "gateway/cli/cli.h"

#include <stdarg.h>
#include <string.h>

struct command {
	const char *name;
	const char *help;
	int (*run)(int argc, char **argv);
};

static const struct command commands[] = {
#define COMMAND(name, help) { #name, help, cmd_##name },
#include "gateway/cli/commands.def"
#undef COMMAND
	{ NULL, NULL, NULL },
};

int cli_fail(const char *name, enum exit_code code, const char *format, ...)
{
	va_list args;

	(void)fprintf(stderr, "wellgate %s: ", name);
	va_start(args, format);
	(void)vfprintf(stderr, format, args);
	va_end(args);
	(void)fputc('\n', stderr);
	return (int)code;
}

static void usage(FILE *out)
{
	(void)fputs("usage: wellgate COMMAND [ARGUMENTS]\n\n", out);
	for (const struct command *c = commands; c->name; c++)
		(void)fprintf(out, "  %-10s %s\n", c->name, c->help);
	(void)fputs("\nEach command explains itself with --help.\n", out);
}

int main(int argc, char **argv)
{
	if (argc < 2) {
		usage(stderr);
		return EXIT_USAGE;
	}
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "help") == 0) {
		usage(stdout);
		return EXIT_GOOD;
	}
	if (strcmp(argv[1], "--version") == 0) {
		(void)puts("wellgate " WELLGATE_VERSION);
		return EXIT_GOOD;
	}
	for (const struct command *c = commands; c->name; c++) {
		if (strcmp(argv[1], c->name) == 0)
			return c->run(argc - 1, argv + 1);
	}
	(void)fprintf(stderr, "wellgate: no command \"%s\"; wellgate --help lists them\n", argv[1]);
	return EXIT_USAGE;
}
