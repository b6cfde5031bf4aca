/*
 * One open wire to one device: hidraw, a tty, an interface over libusb, or the socket of the 11073
 * door. Frames in, writes out, on the channels of enum drv_wire_channel. Whoever uses it (cable.h)
 * need not know which of them it is.
 *
 *   device --bytes--> wire --sink.frame--> cable --> session        wire <--wire_write-- cable
 *
 * The sink is called from the loop, never from inside wire_write(), wire_hold() or wire_free().
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct wire_sink {
	/* one report, APDU or run of bytes; borrowed for the call; at most WIRE_FRAME_MAX */
	void (*frame)(void *user, uint16_t channel, const uint8_t *data, size_t len);
	/* The wire is of no use any more; called once, the last call. ENODEV it was unplugged
	 * (what it had said before has been handed on); EPROTO it speaks nonsense; ETIMEDOUT it
	 * takes nothing any more; EIO. Positive errno. */
	void (*gone)(void *user, int error);
	void *user;
};

#define WIRE_FRAME_MAX 65536

struct wire;

struct wire_ops {
	int (*write)(struct wire *w, uint16_t channel, const uint8_t *data, size_t len);
	void (*hold)(struct wire *w, bool hold);
	void (*free)(struct wire *w);
};

/* The first member of each kind of wire. */
struct wire {
	const struct wire_ops *ops;
};

/* Copied and sent in order. 0; -EMSGSIZE longer than the device's reports, -ENOTSUP no such channel
 * here, -ENOBUFS too much is waiting to be sent, -EPIPE gone. */
static inline int wire_write(struct wire *w, uint16_t channel, const uint8_t *data, size_t len)
{
	return w->ops->write(w, channel, data, len);
}

/* The gateway has no room: no frames until it has, and the device is not read meanwhile. */
static inline void wire_hold(struct wire *w, bool hold)
{
	w->ops->hold(w, hold);
}

/* No call of the sink any more. What was written before is sent if the device takes it at once. A
 * wire over libusb ends behind this call, on the loop. NULL is fine. */
static inline void wire_free(struct wire *w)
{
	if (w)
		w->ops->free(w);
}
