/*
 * A wire over /dev/hidraw*: reports in and out (DRV_WIRE_REPORT), feature reports out
 * (DRV_WIRE_FEATURE). The kernel's driver keeps the device; nothing is detached. Source: the
 * kernel's Documentation/hid/hidraw.rst.
 *
 * What is written is carried out by a thread of this wire, which waits for the device instead of
 * the loop (hid_out.h). A device that does not take a report within the kernel's 5 s is gone; so is
 * one that refuses one.
 */
#pragma once

#include <systemd/sd-event.h>

#include "drivers/transport/hid_reports.h"
#include "drivers/transport/wire.h"

/* fd: open for reading and writing, non-blocking; taken on success. The sink is copied. -ENOTTY it
 * is no hidraw node; -EBADMSG, -ERANGE, -EMSGSIZE as hid_reports_parse(); -ENODEV; -ENOMEM; the
 * -errno of making a thread.
 * wire_write(): -EMSGSIZE longer than DRV_WRITE_MAX or than the device's report of that number;
 * where the descriptor has none of that number, it is the device's to judge. */
int hidraw_open(sd_event *event, int fd, const struct wire_sink *sink, struct wire **ret);
/* The same for a node whose descriptor is known. For tests, over a socket of packets. */
int hidraw_over(sd_event *event, int fd, const struct hid_reports *reports,
		const struct wire_sink *sink, struct wire **ret);
