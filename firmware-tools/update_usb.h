/*
 * One firmware update over USB: a machine of protocols/dfu on libusb, asynchronous on the loop. The
 * device is named by its port ("1-1.2", as /sys/bus/usb/devices has it), which stays the same while
 * it leaves as its application and comes back as its boot loader. What it says of itself is read
 * from the kernel's copy of its descriptors.
 *
 * In the foreground: opening the node (libusb asks for the configuration, up to 1 s), and the reset
 * of a port, which the kernel waits for.
 */
#pragma once

#include <systemd/sd-event.h>

#include "protocols/dfu/dfu.h"

#define UPDATE_USB_PORT 64

/* What is in this port. -ENODEV nothing, or it is not configured yet; -EIO the kernel's copy cannot
 * be read or is not what it should be. A device without DFU: DFU_MODE_APPLICATION, attributes 0 */
int update_usb_look(const char *port, struct dfu_usb_facts *ret);

/* The only device with DFU that has these numbers (0xffff: any); -ENODEV none, -ENOTUNIQ several */
int update_usb_find(uint16_t vid, uint16_t pid, char ret_port[UPDATE_USB_PORT]);

struct update_usb_handlers {
	/* often: bytes that the device has, of all */
	void (*progress)(void *user, size_t done, size_t total);
	void (*step)(void *user, const char *text); /* what begins now, for people */
	void (*ended)(void *user);                  /* once; update_usb_result() says how */
	void *user;
};

struct update_usb;

/* plan: borrowed until it is freed. -EINVAL it lacks something; -EBUSY, -ENOTSUP, -ENOMEM, -EIO as
 * usb_context_ref() */
int update_usb_start(sd_event *event, const char *port, const struct dfu_plan *plan,
		     const struct update_usb_handlers *handlers, struct update_usb **ret);
const struct dfu *update_usb_result(const struct update_usb *u);
/* Also before it has ended: the device is left as it is. Waits for a transfer that is under way, up
 * to 1 s. NULL is fine. */
void update_usb_free(struct update_usb *u);
