/* All devices of the simulation, and the lines that command them. */
#pragma once

#include <poll.h>

#include "tests/lab/usb/device.h"

#define WORLD_DEVICES_MAX 32

struct usb_world {
	FILE *log;
	struct usb_device devices[WORLD_DEVICES_MAX];
	unsigned int n;
};

void world_init(struct usb_world *w, FILE *log);
void world_done(struct usb_world *w);
/* A control_execute(): one line of the README's list. */
int world_execute(void *world, const char *line, char *answer, size_t size, bool *ret_quit);

/* fills at most WORLD_DEVICES_MAX entries, returns how many */
size_t world_poll(const struct usb_world *w, struct pollfd *ret);
/* serves what poll() has found, and what is due */
void world_serve(struct usb_world *w, const struct pollfd *fds, size_t n);
/* when something is due, or USB_NEVER */
int64_t world_next(const struct usb_world *w);
