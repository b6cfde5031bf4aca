/*
 * A wire over a tty: bytes as they come (DRV_WIRE_BYTES). 8N1, raw, no flow control of either kind,
 * exclusive. What the adapter had caught before is dropped: no driver has asked for it yet.
 */
#pragma once

#include <systemd/sd-event.h>

#include "drivers/transport/wire.h"

/* fd: open for reading and writing, non-blocking, O_NOCTTY; taken on success. The sink is copied.
 * baud: one of the usual ones from 1200 to 230400. -EINVAL another, or one that the adapter cannot
 * do; -ENOTTY; -EBUSY somebody else has it for himself; -EIO, -ENODEV; -ENOMEM. */
int serial_open(sd_event *event, int fd, unsigned int baud, const struct wire_sink *sink,
		struct wire **ret);
