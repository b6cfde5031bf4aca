/*
 * The socket to the gateway: packs measurements as FromDevices, one packet each, and keeps every
 * one until the gateway has committed it. A lost connection is made again, and all that was not
 * committed is sent again, in order, behind the LinkUp of its device; the gateway knows a message
 * that it has seen. Nothing is dropped: link_has_room() false means that devices must wait.
 *
 * Sequences come from the caller, rise by one, and stay the same when sent again.
 */
#pragma once

#include <systemd/sd-event.h>

#include "drivers/session.h"

#define LINK_QUEUE     256   /* from here on link_has_room() is false */
#define LINK_PACKET    65536 /* longest packet either way */
#define LINK_BOOT_ID   16
#define LINK_ID_NOBODY 0

struct link_handlers {
	/* everything up to seq is durable; rises */
	void (*committed)(void *user, uint64_t seq);
	/* this one will never be stored; it has left the queue */
	void (*refused)(void *user, uint64_t seq);
	/* there may be room again, or the gateway's "full" has changed */
	void (*wake)(void *user);
	void *user;
};

/* When a frame arrived. A measurement that is sent again carries the same one. */
struct link_stamp {
	bool simulated; /* from a capture: its time; then the rest is not used */
	int64_t simulated_at_ms;
	int64_t boottime_us, utc_ms;
	uint8_t boot_id[LINK_BOOT_ID];
};

struct link;

/* Begins to connect; it is no error if nobody listens yet. path is copied. */
int link_new(sd_event *event, const char *path, const struct link_handlers *handlers,
	     struct link **ret);
void link_free(struct link *l);

/* id: not zero, new for each connection of a device. test: a capture or a simulator. Called again
 * for the same id, it says that more has become known about the device. */
int link_up(struct link *l, uint32_t id, const struct session *session, bool test);
int link_measurement(struct link *l, uint32_t id, const struct measurement *m, uint64_t seq,
		     const struct link_stamp *stamp);
int link_down(struct link *l, uint32_t id, const struct session *session);
/* a replay is over and everything was confirmed */
int link_done(struct link *l, uint64_t measurements);

bool link_has_room(const struct link *l); /* and the gateway is not full */
bool link_idle(const struct link *l);     /* everything is sent and committed */
bool link_connected(const struct link *l);
/* now, by the clocks of this machine */
int link_stamp_now(struct link_stamp *ret);
