/*
 * What the wirings of radio and wires (bluetooth.h, wired.h) have in common: the sinks of both
 * transports hand measurements to the link and what passes on to tap and recorder.
 */
#pragma once

#include "drivers/link.h"

/* The first member of a wiring, which is the `user` of its transport's sink. */
struct wiring {
	struct link *link; /* NULL before it is started; borrowed */
	/* what passes between devices and sessions; may be NULL */
	void (*observe)(void *user, uint32_t id, const struct cap_event *event, int64_t utc_ms);
	void *observe_user;
};

/* For the sinks. What cannot be queued is logged here. */
int wiring_measurement(void *wiring, uint32_t id, const struct measurement *m, uint64_t seq);
int wiring_down(void *wiring, uint32_t id, const struct session *session);
bool wiring_has_room(void *wiring);
void wiring_observe(void *wiring, uint32_t id, const struct cap_event *event);
