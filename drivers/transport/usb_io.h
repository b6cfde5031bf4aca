/*
 * One claimed interface of one USB device, over libusb, on the loop: no thread, no call that waits
 * for the device but one (below). The whole process shares one libusb context, which lives as long
 * as something is open and never looks for devices itself: it is given descriptors.
 *
 *   usbfs fd --writable: something ended--> libusb --callbacks note it--> turn --> handlers
 *
 * libusb's callbacks only take notes. Everything else, handlers included, is done in a turn of its
 * own afterwards; so nothing re-enters, a device that answers at once cannot keep the loop, and an
 * interface is never closed from inside libusb.
 *
 * A pair of usb_choose_pair() may be interrupt endpoints: they are the bulk pipes here all the
 * same.
 *
 * An IN transfer is one packet long. So it ends with whatever the device sends, and a device that
 * ends its data with a full packet and sends no empty one behind it is not waited for.
 *
 * A pipe that stalls, babbles or fails is freed by CLEAR_FEATURE(ENDPOINT_HALT), then used again;
 * after USB_IO_FAULTS_MAX times without a good transfer in between the device is given up.
 */
#pragma once

#include <systemd/sd-event.h>

#include "protocols/phdc/descriptor.h"

#define USB_IO_FAULTS_MAX 8
#define USB_IO_QUEUE_MAX  ((size_t)128 * 1024) /* bytes that wait to be sent */
#define USB_IO_ANSWER_MAX 64                   /* bytes of an answer to a control request */

enum usb_io_pipe {
	USB_IO_BULK_IN,
	USB_IO_INTERRUPT_IN,
	USB_IO_BULK_OUT,
	USB_IO_PIPES
};

/* Called from the loop only, never from inside a function below. All but `gone` may be followed by
 * others; usb_io_free() may be called from any. */
struct usb_io_handlers {
	/* What usb_io_read() asked for: one packet, len may be 0. It stays valid until the next
	 * usb_io_read() of this pipe, or usb_io_free(). */
	void (*in)(void *user, enum usb_io_pipe pipe, const uint8_t *data, size_t len);
	/* The pipe was halted and is free again. What was under way in a packet is lost: an IN pipe
	 * is read again by itself; of an OUT pipe the transfer at hand is sent again from its
	 * start. */
	void (*halted)(void *user, enum usb_io_pipe pipe);
	/* Once, the last call. Positive errno: ENODEV unplugged; ETIMEDOUT a transfer was not taken
	 * in time; EIO, EPROTO it failed or stalled too often. */
	void (*gone)(void *user, int error);
	void *user;
};

struct usb_io_counts {
	uint64_t packets_in, transfers_out;
	uint64_t stalls, babbles, failures; /* per pipe event, whether they were mended or not */
};

struct usb_io;

/*
 * fd: the device's node, taken on success. The kernel's driver of the interface, if there is one,
 * is detached, and given it back at the end. libusb asks the device for its configuration here,
 * in the foreground, for up to 1 s. Nothing else is asked: strings may be missing or nonsense,
 * and the identity of a device is somebody else's matter.
 *
 * -EBUSY: claimed by others, or a context runs on another loop; -ENODEV, -EACCES, -ENOENT no such
 * interface, -ENOMEM, -ENOTSUP this libusb cannot keep its timeouts on a loop, -EIO.
 */
int usb_io_open(sd_event *event, int fd, const struct usb_interface_choice *choice,
		const struct usb_io_handlers *handlers, struct usb_io **ret);
/* Asks for the next packet; nothing happens if it was asked for already. */
void usb_io_read(struct usb_io *io, enum usb_io_pipe pipe);
/* Copied and sent in order; 5 s for each once it is its turn. end: an empty packet follows if the
 * last one is full, so that the other side sees where it ends. 0; -ENOBUFS; -EPIPE gone. */
int usb_io_write(struct usb_io *io, const uint8_t *data, size_t len, bool end);
/* Halts the pipe by SET_FEATURE and frees it: how a bad preamble is answered. `halted` follows. */
void usb_io_halt(struct usb_io *io, enum usb_io_pipe pipe);

/* A control request without data, or with an answer. */
struct usb_io_request {
	uint8_t type, request; /* bmRequestType, bRequest */
	uint16_t value, index, length;
	/* error: 0, or positive errno: EPIPE refused, ETIMEDOUT after 1 s, EIO; may be NULL. Not
	 * called after `gone`. */
	void (*done)(void *user, int error, const uint8_t *data, size_t len);
};
/* In order, one at a time. -ENOBUFS, -EPIPE gone. */
int usb_io_request(struct usb_io *io, const struct usb_io_request *request);

/*
 * No handler is called any more. What was written before is still sent if that takes no longer than
 * 0.5 s; then all transfers are cancelled, and when they have come back, on the loop, the interface
 * is released and the device closed. NULL is fine.
 */
void usb_io_free(struct usb_io *io);
struct usb_io_counts usb_io_counts(const struct usb_io *io);
/* How many are open or on their way to be closed. */
size_t usb_io_open_count(void);
/* For the end of a program, when its loop runs no more: waits up to `usec` for what was freed. 0;
 * -EBUSY something is still open. */
int usb_io_settle(int64_t usec);
