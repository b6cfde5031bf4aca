/* What a scenario or the control socket can make a simulated peripheral do; see peer_command(). */
#pragma once

#include "tests/lab/radio/models/model.h"

/* how it pairs from now on, and with it what its readings ask of the link */
void peer_set_pairing(struct peer_state *s, enum smp_method method);
