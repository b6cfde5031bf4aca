/*
 * A wire over /dev/hidraw*: reports in and out (DRV_WIRE_REPORT), feature reports out
 * (DRV_WIRE_FEATURE). The kernel's driver keeps the device; nothing is detached. Source: the
 * kernel's Documentation/hid/hidraw.rst.
 *
 * An output or feature report is a transfer in the foreground: a device that does not take it stops
 * this process for up to 5 s, then the wire is gone.
 */
#pragma once

#include <systemd/sd-event.h>

#include "drivers/transport/hid_reports.h"
#include "drivers/transport/wire.h"

/* fd: open for reading and writing, non-blocking; taken on success. The sink is copied. -ENOTTY it
 * is no hidraw node; -EBADMSG, -ERANGE, -EMSGSIZE as hid_reports_parse(); -ENODEV; -ENOMEM.
 * wire_write(): -EMSGSIZE longer than the device's report of that number; where the descriptor has
 * none of that number, it is the device's to judge. */
int hidraw_open(sd_event *event, int fd, const struct wire_sink *sink, struct wire **ret);
/* The same for a node whose descriptor is known. For tests, over a socket of packets. */
int hidraw_over(sd_event *event, int fd, const struct hid_reports *reports,
		const struct wire_sink *sink, struct wire **ret);
