/*
 * The one libusb context of the process, and its descriptors on the loop. It is there while
 * something is open. It neither looks for devices nor listens for them, so libusb starts no
 * thread.
 */
#pragma once

#include <libusb.h>
#include <systemd/sd-event.h>

/* 0; -EBUSY it runs on another loop; -ENOTSUP its timeouts have no descriptor to wait for; -ENOMEM,
 * -EIO. Each success is undone by usb_context_unref(). on_failure: libusb cannot handle what a
 * descriptor has; that one is not waited for any more, or the loop would spin. */
int usb_context_ref(sd_event *event, void (*on_failure)(void), libusb_context **ret);
/* Closes it with the last one; not from inside libusb. */
void usb_context_unref(void);
/* When the loop runs no more: handles what comes within `usec`. */
void usb_context_handle(int64_t usec);
int usb_context_errno(int libusb_error); /* -errno */
