/* What the subcommands of `wellgate` share. Exit codes are public (README.md). */
#pragma once

#include <stdio.h>

enum exit_code {
	EXIT_GOOD = 0,
	EXIT_USAGE = 64,
	EXIT_DATA = 65,
	EXIT_UNAVAILABLE = 69,
	EXIT_IO = 74,
};

#define COMMAND(name, help) int cmd_##name(int argc, char **argv);
#include "gateway/cli/commands.def"
#undef COMMAND

/* "wellgate NAME: message" on stderr; returns code, so that `return cli_fail(...)` reads well */
__attribute__((format(printf, 3, 4))) int cli_fail(const char *name, enum exit_code code,
						   const char *format, ...);
