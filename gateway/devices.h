/*
 * The devices socket: wellgate-devices connects, sends FromDevices and hears ToDevices. One client
 * at a time; a new one replaces the old, because a restarted devices process must not wait for
 * its predecessor to be noticed as dead.
 */
#pragma once

#include <systemd/sd-event.h>

#include "gateway/pipeline.h"

struct devices;

/* path is copied; the pipeline is borrowed. */
int devices_new(sd_event *event, const char *path, struct pipeline *pipeline, struct devices **ret);
/* Ends the connection: what was taken is committed. NULL is fine. */
void devices_free(struct devices *d);
