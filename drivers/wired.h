/*
 * The wiring between the devices on USB and the socket to the gateway: what the one says, the other
 * is told. No decisions of its own.
 */
#pragma once

#include "drivers/link.h"

struct wired_options {
	const char *state;  /* what is known of devices is in its folder `wired`; both are made */
	uint64_t *next_seq; /* shared with the other transports of the process; borrowed */
	uint32_t *next_id;
	bool preamble; /* as in usb_options */
	/* what passes between devices and sessions; may be NULL */
	void (*observe)(void *user, uint32_t id, const struct cap_event *event, int64_t utc_ms);
	void *user;
};

struct wired;

/* Not yet running: the socket wants to know its handlers first. Strings are copied. */
int wired_new(const struct wired_options *options, struct wired **ret);
void wired_free(struct wired *w); /* before the link; NULL is fine */
int wired_start(struct wired *w, sd_event *event, struct link *link);

/* from the link's handlers */
void wired_clock(void *wired, bool trusted, int zone_offset_min);
void wired_committed(struct wired *w, uint64_t seq);
void wired_refused(struct wired *w, uint64_t seq);
void wired_wake(struct wired *w);
