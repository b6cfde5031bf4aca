/*
 * One plug in the kernel's virtual host controller (vhci_hcd): its end of the cable is a socket on
 * which the kernel speaks USB/IP. Requests in, answers out; nothing of what they mean. Source:
 * Documentation/usb/usbip_protocol.rst of Linux, the URB part; the sysfs file `attach`.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define USBIP_TRANSFER_MAX (1U << 20)

/* as the file `attach` numbers them, enum usb_device_speed */
enum usbip_speed {
	USBIP_LOW = 1,
	USBIP_FULL = 2,
	USBIP_HIGH = 3,
};

struct usbip_plug {
	int fd; /* -1: in no port */
	unsigned int port;
};

/* One request of the kernel. */
struct usbip_request {
	bool cancels;     /* of `cancelled`; the rest is meaningless then */
	uint8_t endpoint; /* 0x80 set: to the host */
	uint32_t sequence;
	uint32_t cancelled;
	uint32_t len; /* asked for, or in `data` */
	uint8_t setup[8];
	uint8_t *data; /* what an OUT transfer brings; the caller frees */
};

/* Into the first free port. 0; -ENODEV no controller, -EBUSY no free port, -errno. */
int usbip_plug_in(enum usbip_speed speed, struct usbip_plug *ret);
/* The kernel sees the device go. */
void usbip_pull(struct usbip_plug *plug);
/* Blocks until a whole request is there. -EPIPE: the kernel let go; -EBADMSG: nonsense. */
int usbip_read(const struct usbip_plug *plug, struct usbip_request *ret);
/* status: 0 or -errno as an URB has it; len: bytes that went; data: of an IN transfer, or NULL */
int usbip_answer(const struct usbip_plug *plug, uint32_t sequence, int status, const void *data,
		 size_t len);
int usbip_answer_cancel(const struct usbip_plug *plug, uint32_t sequence, int status);
