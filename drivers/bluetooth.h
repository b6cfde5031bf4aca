/*
 * The wiring between the radio and the socket to the gateway: what the one says, the other is told.
 * No decisions of its own.
 */
#pragma once

#include "drivers/link.h"

struct bluetooth_options {
	const char *state;   /* directory of the enrolments */
	const char *adapter; /* its address as text; NULL: the first that is usable */
	const char *helper;  /* wellgate-link; NULL: beside this program */
	uint64_t *next_seq;  /* shared with the other transports of the process; borrowed */
	uint32_t *next_id;
	/* what passes between devices and sessions; may be NULL */
	void (*observe)(void *user, uint32_t id, const struct cap_event *event, int64_t utc_ms);
	void *user;
};

struct bluetooth;

/* Not yet running: the socket wants to know its handlers first. Strings are copied. -EINVAL: the
 * adapter's address is none. */
int bluetooth_new(const struct bluetooth_options *options, struct bluetooth **ret);
void bluetooth_free(struct bluetooth *b); /* before the link; NULL is fine */
/* for link_new() */
struct status_handlers bluetooth_handlers(struct bluetooth *b);
int bluetooth_start(struct bluetooth *b, sd_event *event, struct link *link);

/* from the link's handlers */
void bluetooth_committed(struct bluetooth *b, uint64_t seq);
void bluetooth_refused(struct bluetooth *b, uint64_t seq);
void bluetooth_wake(struct bluetooth *b);
