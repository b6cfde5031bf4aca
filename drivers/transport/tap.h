/*
 * A listening SOCK_SEQPACKET socket that shows what passes between transports and sessions: one
 * packet "LINK CAP-LINE\n" for each event (protocols/capture/cap.h), LINK a number in decimal.
 * `wellgate capture` writes files from it. Only root and the user that runs the program may
 * connect. A reader that is too slow is cut off; it never holds up a device.
 */
#pragma once

#include <systemd/sd-event.h>

#include "protocols/capture/cap.h"

#define TAP_CLIENTS_MAX 8

struct tap;

/* Removes a socket that an earlier run left behind. */
int tap_new(sd_event *event, const char *path, struct tap **ret);
void tap_free(struct tap *t); /* NULL is fine */
void tap_event(struct tap *t, uint32_t link, const struct cap_event *event);
