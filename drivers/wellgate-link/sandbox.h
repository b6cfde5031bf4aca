/*
 * The sandbox of wellgate-link. From sandbox_close() on the process can wait, move bytes over the
 * descriptors it has, read and set the security level of its link, close them, and end. It can
 * open, connect, map, fork, signal and exec nothing: a forbidden call kills it.
 */
#pragma once

/* Limits; no core, no tracing by others, no new privileges; SIGTERM when the parent dies. Before
 * anything is read. 0 or -errno. */
int sandbox_prepare(void);
/* The filter. 0 or -errno. */
int sandbox_close(void);
