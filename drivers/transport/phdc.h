/*
 * Wires over libusb: a personal healthcare device (USB class 0f), whose frames are whole APDUs of
 * IEEE 11073-20601, and any other bulk pair, whose frames are bytes as they come. Source: USB
 * Device Class Definition for Personal Healthcare Devices 1.0.
 *
 *   usb_io --packets--> phdc_stream --APDUs--> sink.frame      wire_write --transfers--> usb_io
 *
 * An APDU is not a transfer: it may come in many, or several in one. Nothing is read ahead of what
 * the sink has taken but one packet. `gone`: EPROTO the device sends what is no APDU, or half of
 * one and for 10 s nothing more; ETIMEDOUT it takes no data for 5 s; EIO its endpoints do not
 * recover.
 */
#pragma once

#include <systemd/sd-event.h>

#include "drivers/transport/wire.h"
#include "protocols/phdc/descriptor.h"

/*
 * fd: the device's node in /dev/bus/usb, open for reading and writing; taken on success. The sink
 * is copied. One loop for all wires of a process. Takes up to 1 s if the device does not answer:
 * the one question that libusb asks in the foreground.
 *
 * -EBUSY: somebody else has the interface; -ENODEV: it is no longer there; -EACCES; -ENOENT: the
 * device has no such interface any more; -ENOMEM; -EIO, also of a device that is just going.
 */
int phdc_open(sd_event *event, int fd, const struct usb_interface_choice *choice,
	      const struct wire_sink *sink, struct wire **ret);
/* The same for DRV_WIRE_BULK; a frame is one packet. */
int usb_bulk_open(sd_event *event, int fd, const struct usb_interface_choice *choice,
		  const struct wire_sink *sink, struct wire **ret);
