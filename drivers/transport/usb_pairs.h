/*
 * A wire over several interfaces of one USB device, one pair of endpoints each, over libusb: each
 * interface is one channel. What usb_io.h says of one interface holds for each of them: no thread,
 * the kernel's driver sent away and called back, transfers cancelled before anything is closed.
 *
 *   usb_io of interface 1 --packets--> sink.frame(DRV_WIRE_REPORT)
 *   usb_io of interface 0 --packets--> sink.frame(DRV_WIRE_BULK)
 *
 * A frame is one packet. The order of frames of two interfaces is that in which they are seen
 * here. `gone` as soon as one of the interfaces is; what had come before has been handed on, unless
 * it was held (wire_hold()): that is handed on first.
 */
#pragma once

#include <systemd/sd-event.h>

#include "drivers/transport/wire.h"
#include "protocols/phdc/descriptor.h"

#define USB_PAIRS_MAX 2

struct usb_pairs_part {
	uint16_t
		channel; /* DRV_WIRE_REPORT: a leading 0 is taken off what is written; or another */
	int fd;          /* the device's node, opened for this part alone */
	struct usb_interface_choice choice; /* of usb_choose_pair() */
};

/*
 * The nodes are taken, also on failure. Each must be opened by itself: the kernel lends interfaces
 * to open files, and hands each the transfers that it began. The sink is copied. Errors as
 * phdc_open().
 */
int usb_pairs_open(sd_event *event, const struct usb_pairs_part *parts, size_t n,
		   const struct wire_sink *sink, struct wire **ret);
