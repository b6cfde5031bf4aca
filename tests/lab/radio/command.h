/* One line of the control socket or of a scenario, carried out. The README lists them. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "tests/lab/radio/air.h"

#define COMMAND_LINE_MAX   1024
#define COMMAND_ANSWER_MAX 65536

/* Writes one line of answer without "ok", "error" or line feed: what there is to say, or what is
 * wrong. 0 or -errno. */
int command_execute(struct air *a, const char *line, char *answer, size_t size, bool *ret_quit);
