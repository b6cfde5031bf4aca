/*
 * A device on a wire at work: one wire, one driver's session. What peer.h is for a link over the
 * air.
 *
 *   wire --frame--> session --measurement--> sink --> gateway
 *   gateway --cable_committed--> session --> driver->committed --> writes --> wire
 *
 * Nothing on a wire is confirmed by itself: a driver answers or clears in committed() alone.
 *
 * While the gateway has no room, the wire is held; what it had already read waits in the cable, at
 * most CABLE_WAITING_MAX bytes of it. A device that is unplugged is not over at once: what it had
 * said is handed on first, and for at most CABLE_LINGER_US the cable waits for the commit, so that
 * what the driver wants to be kept (drv_keep()) is.
 *
 * The functions below may be called from anywhere but from inside the sink, where only
 * cable_session(), cable_end() and the setters may be.
 */
#pragma once

#include <systemd/sd-event.h>

#include "drivers/session.h"
#include "drivers/transport/wire.h"
#include "protocols/capture/cap.h"

#define CABLE_WAITING_MAX ((size_t)256 * 1024)
#define CABLE_LINGER_US   INT64_C(5000000)

struct cable_sink {
	/* the driver's session is open: after its open() and what the wire brought at once, or
	 * right before its first measurement. Negative: the cable ends with it */
	int (*up)(void *user, const struct session *session);
	/* The driver has told a fact about the device, DRV_SERIAL above all: before the
	 * measurements of that frame, and before `up` if it did in its open(). May be NULL.
	 * Negative: the cable ends with it. */
	int (*facts)(void *user, const struct session *session);
	/* negative: it was not taken, and the cable ends with it */
	int (*measurement)(void *user, const struct session *session, const struct measurement *m,
			   uint64_t seq);
	bool (*has_room)(void *user);
	/* Called once, from the loop and the last call; the owner frees. error: 0 the driver is
	 * done and all is written; or a positive errno: as in wire_sink.gone; what `up`, `facts` or
	 * `measurement` returned; EPERM a measurement was refused; ENOBUFS the wire ran over
	 * while there was no room; what cable_end() was given; what the driver
	 * returned. */
	void (*ended)(void *user, int error);
	/* every frame and write as it passes; may be NULL. Those longer than CAP_DATA_MAX, which a
	 * capture cannot hold, are left out, but bytes of a serial or bulk wire come in pieces. */
	void (*observe)(void *user, const struct cap_event *event);
	/* the memory of the device has changed and is to be kept; may be NULL */
	void (*memory)(void *user, const struct session_memory *memory);
	void *user;
};

struct cable;

/* With no wire yet, since that wants its sink first. next_seq: shared by the transports of the
 * process, borrowed. */
int cable_new(sd_event *event, const struct driver *driver, uint32_t quirks,
	      const struct cable_sink *sink, uint64_t *next_seq, struct cable **ret);
/* What is known of the device from before; copied. Before cable_start(), or from inside sink.up and
 * sink.facts: a device that is not known before it speaks. The driver sees it from its next call
 * on. */
void cable_set_memory(struct cable *c, const struct session_memory *memory);
void cable_set_last_record(struct cable *c, uint32_t record);
/* for the wire's constructor */
struct wire_sink cable_wire_sink(struct cable *c);
/* Opens the session; the wire belongs to the cable from here on. */
int cable_start(struct cable *c, struct wire *wire);
void cable_free(struct cable *c); /* closes session and wire; NULL is fine */
/* It is to end with this positive errno: sink.ended comes from the loop. May be called from inside
 * the sink. */
void cable_end(struct cable *c, int error);

void cable_committed(struct cable *c, uint64_t seq);
/* This one will never be stored: nothing that came after it is let go of on this cable, which
 * ends. */
void cable_refused(struct cable *c, uint64_t seq);
void cable_wake(struct cable *c); /* there may be room again */
/* wall and zone of the hub for the driver, as session_set_wall() and _zone(); before cable_start().
 * trusted: devices may be set by it */
void cable_set_clock(struct cable *c, bool trusted, int zone_offset_min);
const struct session *cable_session(const struct cable *c);
