/*
 * What wires over a device node share (hidraw.h, serial.h): one non-blocking descriptor on the
 * loop, read in turns, written in order. hidraw only reads by it (hid_out.h).
 *
 * hidraw and ttys have no way to make a device wait: what nobody reads is dropped by the kernel
 * after 64 reports or some kilobytes, silently. So a node that is held is read all the same, and
 * what it says waits here, NODE_HELD_MAX bytes of it; beyond that the wire is gone with ENOBUFS,
 * which is said, and the device still has what nobody answered.
 */
#pragma once

#include <systemd/sd-event.h>

#include "drivers/transport/wire.h"

#define NODE_READ_MAX   16385 /* the longest report of the kernel, and its number */
#define NODE_HELD_MAX   ((size_t)256 * 1024)
#define NODE_QUEUE_MAX  ((size_t)16 * 1024) /* written, but not taken by the device */
#define NODE_STALLED_US INT64_C(5000000)    /* without taking anything of it */

struct node_chunk {
	struct node_chunk *next;
	size_t len, done;
	uint8_t data[];
};

struct node_queue {
	struct node_chunk *first, *last;
	size_t bytes;
};

/* The second member of a wire, after struct wire. */
struct node {
	int fd;
	uint16_t channel; /* of what is read */
	struct wire_sink sink;
	sd_event_source *io, *work, *timer;
	struct node_queue in, out;
	int error; /* why it is gone; 0: it is not */
	bool held, told, wants_out;
	uint8_t buffer[NODE_READ_MAX];
};

/* Takes fd on success. -errno of the loop. The struct is zeroed and must not move afterwards. */
int node_init(struct node *n, sd_event *event, int fd, const struct wire_sink *sink);
/* As wire_write(). */
int node_write(struct node *n, const uint8_t *data, size_t len);
void node_hold(struct node *n, bool hold);
void node_clear(struct node *n); /* closes */
/* The wire is of no use any more; positive errno of a system call. Told from the loop. */
void node_fail(struct node *n, int error);
