/* What the subcommands of `wellgate-firmware` share. Exit codes are public (README.md), and those
 * of `wellgate`. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum tool_exit {
	TOOL_GOOD = 0,
	TOOL_NOT_ALLOWED = 1, /* inventory: some devices are outdated or unknown */
	TOOL_RECALLED = 2,    /* inventory: some are recalled */
	TOOL_USAGE = 64,
	TOOL_DATA = 65,
	TOOL_UNAVAILABLE = 69,
	TOOL_IO = 74,
};

#define COMMAND(name, help) int tool_##name(int argc, char **argv);
#include "firmware-tools/commands.def"
#undef COMMAND

/* "wellgate-firmware NAME: message" on stderr; returns code */
__attribute__((format(printf, 3, 4))) int tool_fail(const char *name, enum tool_exit code,
						    const char *format, ...);
/* Flushes stdout; code, or TOOL_IO and why. */
int tool_end(const char *name, int code);
/* The whole of a file, *ret is the caller's to free (one NUL more than *ret_len). 0, or an exit
 * code: what is wrong was said. */
int tool_read_file(const char *name, const char *path, size_t max, uint8_t **ret, size_t *ret_len);
