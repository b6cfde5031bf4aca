/* One line of the control socket or of a scenario, carried out. The README lists them. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "tests/lab/radio/air.h"
#include "tests/lab/radio/control.h"

#define COMMAND_LINE_MAX   CONTROL_LINE_MAX
#define COMMAND_ANSWER_MAX CONTROL_ANSWER_MAX

/* A control_execute() of a struct air. Writes one line of answer without "ok", "error" or line
 * feed: what there is to say, or what is wrong. 0 or -errno. */
int command_execute(void *air, const char *line, char *answer, size_t size, bool *ret_quit);
