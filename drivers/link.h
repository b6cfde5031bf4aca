/*
 * The socket to the gateway: packs measurements as FromDevices, one packet each, and keeps every
 * one until the gateway has committed it. A lost connection is made again, and all that was not
 * committed is sent again, in order, behind the LinkUp of its device; the gateway knows a message
 * that it has seen. Nothing is dropped: link_has_room() false means that devices must wait.
 *
 * Sequences come from the caller, rise by one, and stay the same when sent again.
 *
 * Beside the readings it carries what the operator sees and says of Bluetooth (drivers/status.h):
 *
 *   radio --sink.changed, sink.pairing--> link_changed(), link_pairing() --> gateway --> operator
 *   radio <--pair, choose, passkey ... unpair, retry, wipe, clock-- link_handlers.radio <-- gateway
 *
 * None of that is kept: a new connection begins with the newest state, and what is overtaken is not
 * sent.
 */
#pragma once

#include <systemd/sd-event.h>

#include "drivers/session.h"
#include "drivers/status.h"

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
	/* commands of the operator; all NULL: this process has no radio */
	struct status_handlers radio;
	void *user; /* of these, not of radio */
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
/* The same for a radio link. The address goes to the gateway, which digests it on arrival. */
int link_up_ble(struct link *l, uint32_t id, const struct ble_address *address,
		const struct session *session);
/* What is known of make, model and firmware without the driver; borrowed, "" nothing. */
struct link_label {
	const char *make, *model, *firmware;
};

/* The same for a device on a wire. identity: what it is known by (transport/usb.h), never a port;
 * digested on arrival like an address. What the driver tells goes before what the label says; a
 * session with an identity of its own is of another device behind this one (a tracker behind its
 * dongle), which the label does not describe. */
int link_up_wired(struct link *l, uint32_t id, const char *identity, const struct link_label *label,
		  const struct session *session);
int link_measurement(struct link *l, uint32_t id, const struct measurement *m, uint64_t seq,
		     const struct link_stamp *stamp);
/* The message that link_measurement() sends, as bytes, without a link: what a bench measures. Its
 * length, or -EMSGSIZE. */
int link_pack(uint32_t id, const struct measurement *m, uint64_t seq,
	      const struct link_stamp *stamp, uint8_t *buffer, size_t size);
/* Also how session_ask_wipe() came out on it, if it did. */
int link_down(struct link *l, uint32_t id, const struct session *session);
/* a replay is over and everything was confirmed */
int link_done(struct link *l, uint64_t measurements);

/* Where the state of the radio is read from when it is to be sent; copied. Without it the gateway
 * hears that no radio is used. Called once, by the wiring, after radio_new(). */
void link_set_source(struct link *l, const struct status_source *source);
/* Where findings about devices on wires are read from, as status_set_wired(); by the wiring. */
void link_set_wired(struct link *l,
		    void (*findings)(void *user,
				     void (*finding)(void *user, enum adapter_finding_level level,
						     const char *text, const char *advice),
				     void *finding_user),
		    void *user);
/* As link_changed(), and findings are asked for anew. */
void link_examine(struct link *l);
/* radio_sink.changed: sent soon, at most once a second. May be called from inside the handlers. */
void link_changed(struct link *l);
/* radio_sink.pairing: copied; sent at once if its phase is new, else at most five times a second.
 * May be called from inside the handlers. */
void link_pairing(struct link *l, const struct radio_pairing *pairing);

bool link_has_room(const struct link *l); /* and the gateway is not full */
bool link_idle(const struct link *l);     /* everything is sent and committed */
bool link_connected(const struct link *l);
/* now, by the clocks of this machine */
int link_stamp_now(struct link_stamp *ret);
