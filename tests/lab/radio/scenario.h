/*
 * A scenario: lines of the control socket with a time in front.
 *
 *   # comment
 *   at 5 0 measure           five seconds after the beginning
 *   wait 0.5 0 drop 0x08     half a second after the line before
 *   wait 2                   just waits
 *   add scale                at once
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tests/lab/radio/command.h"

struct scenario;

/* Reads the file. 0; -errno; -EINVAL with the number of the line. */
int scenario_load(const char *path, struct scenario **ret, unsigned int *ret_line);
void scenario_free(struct scenario *s); /* NULL is fine */
/* The clock starts. */
void scenario_begin(struct scenario *s, int64_t now);
/* when the next line is due; INT64_MAX: it is over */
int64_t scenario_next(const struct scenario *s);
/* Carries out what is due. Lines that fail are logged and counted; they stop nothing. */
void scenario_tick(struct scenario *s, struct air *a, int64_t now, bool *ret_quit);
unsigned int scenario_failures(const struct scenario *s);
