/* Where the random bytes of drivers come from. */
#pragma once

struct session;

/* Gives a session what drv_random() hands out; nothing while the kernel has none yet. Call before
 * session_open(). */
void chance_give(struct session *s);
