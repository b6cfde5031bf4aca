/*
 * The hub's own clock as devices are told of it: the offset of the configured zone, now, and
 * whether the clock may be believed. Looks at every whole quarter of an hour (zones change at
 * none other) while it is synchronised, else every half minute, and only while somebody wants to
 * know.
 */
#pragma once

#include <stdbool.h>

#include <systemd/sd-event.h>

struct hub_clock;
struct receipt;

/* changed: never called from inside these functions, but for hub_clock_start() */
int hub_clock_new(sd_event *event, const char *time_zone,
		  void (*changed)(void *user, bool synced, int offset_min), void *user,
		  struct hub_clock **ret);
/* Other clocks than the machine's; for tests. */
void hub_clock_set(struct hub_clock *c, void (*now)(void *user, struct receipt *ret));
void hub_clock_free(struct hub_clock *c); /* NULL is fine */
/* Says it at once, then whenever it changes. */
void hub_clock_start(struct hub_clock *c);
void hub_clock_stop(struct hub_clock *c);
