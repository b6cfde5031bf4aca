/*
 * Devices on USB as wellgate-devices sees them: what the table of drivers names is opened, nothing
 * else; each gets a wire and a cable; what fails is tried again.
 *
 *   monitor --attached--> in a driver's row? --> wire (hidraw, serial, phdc) --> cable --> sink
 *
 * A device is known by its own identity, and never by the port it is in:
 *
 *   usb:VVVV:PPPP:SERIAL    the serial number in its descriptors, if it is a good one
 *                           (usb_serial_is_good())
 *   id:SERIAL               else what its driver tells as DRV_SERIAL (11073: the system id)
 *   model:VVVV:PPPP:PRODUCT else it is one of its kind, and no more can be said
 *
 * Nothing is said of a device to the gateway before its identity is settled, which is at its first
 * measurement at the latest. One that then tells another number is cut off before the next one is
 * handed on (EPROTO). Of two that are connected at once and claim one identity the second one is
 * not read (EEXIST): their readings could not be told apart, and each keeps what it has.
 *
 * A device that has said all (drv_done()) is asked again after USB_REVISIT_US if it was one that
 * its driver serves: it told a reading or a fact of itself; else not before it is plugged in
 * again. One that failed is tried again after 1, 2, 4 ... 60 s.
 */
#pragma once

#include <systemd/sd-event.h>

#include "drivers/session.h"
#include "drivers/transport/usb_monitor.h"
#include "drivers/transport/wire_notes.h"
#include "protocols/capture/cap.h"

#define USB_CABLES_MAX     16 /* at the same time; others wait until one is done */
#define USB_BACKOFF_MIN_US INT64_C(1000000)
#define USB_BACKOFF_MAX_US INT64_C(60000000)
#define USB_REVISIT_US     INT64_C(900000000)

struct usb_options {
	const char *directory; /* of the notes; NULL: nothing is kept */
	/* for tests, 0: as above */
	int64_t look_us, backoff_us, revisit_us;
	/* for tests: instead of the monitor, usb_attached() and usb_detached() are called */
	bool no_monitor;
	const struct driver *driver; /* for tests: serves whatever is attached; NULL: the table */
	bool preamble; /* for tests: PHDC's metadata preamble with devices that offer it */
};

struct usb_sink {
	/* identity: see above; again with the same id when more has become known of the device.
	 * label: what its descriptors say, for what its driver does not tell */
	int (*up)(void *user, uint32_t id, const char *identity, const struct usb_label *label,
		  const struct session *session);
	int (*measurement)(void *user, uint32_t id, const struct measurement *m, uint64_t seq);
	int (*down)(void *user, uint32_t id, const struct session *session);
	bool (*has_room)(void *user);
	void (*changed)(void *user); /* something that usb_findings() tells */
	/* what passes between device and session: tap and recorder; may be NULL */
	void (*observe)(void *user, uint32_t id, const struct cap_event *event);
	void *user;
};

enum usb_finding_level {
	USB_FINDING_GOOD = 1,
	USB_FINDING_NOTICE,
	USB_FINDING_PROBLEM
};

struct usb;

/* next_seq and next_id are shared with other transports of the process. */
int usb_new(sd_event *event, const struct usb_options *options, const struct usb_sink *sink,
	    uint64_t *next_seq, uint32_t *next_id, struct usb **ret);
void usb_free(struct usb *u); /* NULL is fine */
void usb_committed(struct usb *u, uint64_t seq);
void usb_refused(struct usb *u, uint64_t seq);
void usb_wake(struct usb *u);
/* The hub's zone, and whether its clock may be believed (and devices set by it). */
void usb_set_clock(struct usb *u, bool trusted, int zone_offset_min);

/* told: what its driver told as DRV_SERIAL, a good one; or NULL */
void usb_identify(const struct usb_attachment *attachment, const char *told,
		  char ret[WIRE_IDENTITY_MAX]);

/* as the monitor tells them */
void usb_attached(struct usb *u, const struct usb_attachment *attachment);
void usb_detached(struct usb *u, const char *syspath);

size_t usb_connected(const struct usb *u); /* cables at work */
/* What is wrong and what to do about it; no names, numbers or addresses of devices. */
void usb_findings(const struct usb *u,
		  void (*finding)(void *user, enum usb_finding_level level, const char *text,
				  const char *advice),
		  void *user);
