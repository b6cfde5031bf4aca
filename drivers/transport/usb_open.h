/*
 * The wire that a driver's row asks for: of a hidraw node, a tty, or of an interface or two of the
 * USB device itself (enum drv_wire_channel).
 */
#pragma once

#include "drivers/driver.h"
#include "drivers/transport/usb_monitor.h"
#include "drivers/transport/wire.h"

struct usb_opening {
	sd_event *event;
	const struct usb_attachment *attachment;
	const struct driver *driver;
	bool unchecked; /* for tests: the node is nobody else's (usb_is_still()) */
	bool preamble;  /* for tests: PHDC's, where the device can */
};

/* -ENODEV it is not there any more; -ENOTSUP no such wire; or as hidraw_open(), serial_open(),
 * phdc_open(), usb_pairs_open() and their choosing of an interface. */
int usb_open_wire(const struct usb_opening *opening, const struct wire_sink *sink,
		  struct wire **ret);
