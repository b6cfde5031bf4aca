/*
 * Commands for a hub that nobody can go to, over the broker or the control socket (control.h).
 * What is wrong with a command is said in words that hold no value, name or address.
 */
#pragma once

#include "gateway/control/control.h"

#define CONTROL_RESEND_MAX   500 /* numbers that one command looks at: the loop waits meanwhile */
#define CONTROL_GONE_MAX     32  /* ranges that one reply names */
#define CONTROL_COUNTERS_MAX 96
#define CONTROL_VERSIONS     5
#define CONTROL_WHY          128

/*
 * resend: rows of command->range go out again under their own numbers, the first CONTROL_RESEND_MAX
 * of them; reply->resent says how many, which are gone, and how far it looked. *ret_code: 0, or the
 * exit status of the command line (cli/cli.h), then ret_why holds the reason. -ENOMEM
 */
int control_resend(const struct control *c, const Wellgate__V1__Command *command,
		   struct arena *arena, Wellgate__V1__Reply *reply, int *ret_code,
		   char ret_why[CONTROL_WHY]);
/* reply->diagnostics: below 8 KiB packed. -ENOMEM, or -errno of the store */
int control_diagnostics(const struct control *c, struct arena *arena, Wellgate__V1__Reply *reply);
