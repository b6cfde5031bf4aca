/*
 * The way out to one hidraw node. The kernel carries out an output or a feature report in the
 * foreground and waits up to 5 s for a device that does not take it, non-blocking or not; so a
 * thread of its own does the waiting, one per node, and the loop never does.
 *
 *   hid_out_write() --> queue --> thread: put(), one report after the other     error --> loop
 */
#pragma once

#include <systemd/sd-event.h>

#include "drivers/transport/hid_reports.h"

#define HID_OUT_QUEUE_MAX ((size_t)16 * 1024) /* bytes that the device has not taken yet */

struct hid_out;

/* Carries out one report, on the thread; may wait. data is its to write into. 0 or -errno. */
typedef int (*hid_put)(int fd, enum hid_kind type, uint8_t *data, size_t len);
/* The first report that failed, told from the loop; nothing is sent any more. Positive errno. */
typedef void (*hid_out_failed)(void *user, int error);

/* fd is duplicated. -ENOMEM, or the -errno of making a descriptor or a thread. */
int hid_out_new(sd_event *event, int fd, hid_put put, hid_out_failed failed, void *user,
		struct hid_out **ret);
/* hid_put() over a hidraw node; an output report also over a socket of packets. -ETIMEDOUT */
int hid_out_put(int fd, enum hid_kind type, uint8_t *data, size_t len);
/* Copied and sent in order. 0; -ENOBUFS too much is waiting; -EPIPE one has failed; -ENOMEM. */
int hid_out_write(struct hid_out *o, enum hid_kind type, const uint8_t *data, size_t len);
/* Never waits for the device. What was written before is still sent, unless one fails; the node
 * stays open until then. NULL is fine. */
void hid_out_free(struct hid_out *o);
