/*
 * A device on a wire at work: one wire, one driver's session. What peer.h is for a link over the air.
 *
 *   wire --frame--> session --measurement--> sink --> gateway
 *   gateway --cable_committed--> session --> driver->committed --> writes --> wire
 *
 * Nothing on a wire is confirmed by itself: a driver answers or clears in committed() alone.
 */
#pragma once

#include <systemd/sd-event.h>

#include "drivers/session.h"
#include "drivers/transport/wire.h"
#include "protocols/capture/cap.h"

struct cable_sink {
	/* the driver's session is open; before its first measurement */
	int (*up)(void *user, const struct session *session);
	/* negative: it was not taken, and the cable ends */
	int (*measurement)(void *user, const struct session *session, const struct measurement *m,
			   uint64_t seq);
	bool (*has_room)(void *user);
	/* unplugged, the driver is done, or a fault; called once, from the loop. The owner frees. */
	void (*ended)(void *user, int error);
	/* every frame, write and read as it passes; may be NULL */
	void (*observe)(void *user, const struct cap_event *event);
	/* the memory of the device has changed and is to be kept; may be NULL */
	void (*memory)(void *user, const struct session_memory *memory);
	void *user;
};

struct cable;

/* With no wire yet, since that wants its sink first. next_seq: shared by the transports of the
 * process, borrowed. memory: may be NULL. */
int cable_new(sd_event *event, const struct driver *driver, uint32_t quirks,
	      const struct session_memory *memory, const struct cable_sink *sink,
	      uint64_t *next_seq, struct cable **ret);
/* for the wire's constructor */
struct wire_sink cable_wire_sink(struct cable *c);
/* Opens the session; the wire belongs to the cable from here on. */
int cable_start(struct cable *c, struct wire *wire);
void cable_free(struct cable *c); /* closes session and wire; NULL is fine */

void cable_committed(struct cable *c, uint64_t seq);
/* This one will never be stored: nothing that came after it is let go of on this cable, which
 * ends. */
void cable_refused(struct cable *c, uint64_t seq);
void cable_wake(struct cable *c); /* there may be room again */
/* wall and zone of the hub for the driver, as session_set_wall() and _zone(); before cable_start().
 * trusted: devices may be set by it */
void cable_set_clock(struct cable *c, bool trusted, int zone_offset_min);
const struct session *cable_session(const struct cable *c);
