#include "drivers/transport/usb_open.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>

#include "drivers/cleanup.h"
#include "drivers/transport/hidraw.h"
#include "drivers/transport/phdc.h"
#include "drivers/transport/serial.h"
#include "drivers/transport/usb_pairs.h"

static bool has_channel(const struct driver *driver, uint16_t channel)
{
	for (const struct drv_channel *c = driver->channels; c && c->mode; c++) {
		if (c->id == channel)
			return true;
	}
	return false;
}

static int open_node(const struct usb_opening *o, int *ret)
{
	_cleanup_close_ int fd =
		open(o->attachment->node, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC | O_NOFOLLOW);
	int r;

	if (fd < 0)
		return -errno;
	r = o->unchecked ? 0 : usb_is_still(o->attachment, fd);
	if (r >= 0)
		*ret = TAKE_FD(fd);
	return r;
}

/* A channel, an interface: see enum drv_wire_channel. */
static int choose_pairs(const struct usb_opening *o, const uint8_t *descriptors, size_t len,
			struct usb_pairs_part parts[USB_PAIRS_MAX], size_t *ret_n)
{
	const uint8_t configuration = usb_read_configuration(o->attachment->parent);
	size_t n = 0;
	int r = 0;

	for (const struct drv_channel *c = o->driver->channels; c->mode && r >= 0; c++) {
		assert(n < USB_PAIRS_MAX);
		parts[n].channel = c->id;
		r = usb_choose_pair(descriptors, len, configuration, c->interface,
				    &parts[n++].choice);
	}
	*ret_n = n;
	return r;
}

/* The node is the first one's, and taken once all of them are open. */
static int open_pairs(const struct usb_opening *o, int *fd, const uint8_t *descriptors, size_t len,
		      const struct wire_sink *sink, struct wire **ret)
{
	struct usb_pairs_part parts[USB_PAIRS_MAX] = { { .fd = *fd } };
	size_t n, opened = 1;
	int r = choose_pairs(o, descriptors, len, parts, &n);

	while (r >= 0 && opened < n) {
		r = open_node(o, &parts[opened].fd);
		opened += r >= 0;
	}
	if (r >= 0) {
		*fd = -1;
		return usb_pairs_open(o->event, parts, n, sink, ret);
	}
	while (--opened > 0)
		(void)close(parts[opened].fd);
	return r;
}

/* *fd: -1 where it was taken */
static int open_usb(const struct usb_opening *o, int *fd, const struct wire_sink *sink,
		    struct wire **ret)
{
	uint8_t descriptors[USB_DESCRIPTORS_MAX];
	struct usb_interface_choice choice;
	const bool apdus = has_channel(o->driver, DRV_WIRE_APDU);
	const uint8_t configuration = usb_read_configuration(o->attachment->parent);
	size_t len;
	int r = usb_read_descriptors(o->attachment->parent, descriptors, sizeof(descriptors), &len);

	if (r < 0)
		return r;
	if (has_channel(o->driver, DRV_WIRE_REPORT) && has_channel(o->driver, DRV_WIRE_BULK))
		return open_pairs(o, fd, descriptors, len, sink, ret);
	r = apdus ? phdc_choose(descriptors, len, configuration, &choice)
		  : usb_choose_bulk(descriptors, len, configuration, -1, &choice);
	if (r < 0)
		return r;
	choice.use_preamble = choice.can_preamble && o->preamble;
	r = apdus ? phdc_open(o->event, *fd, &choice, sink, ret)
		  : usb_bulk_open(o->event, *fd, &choice, sink, ret);
	if (r >= 0)
		*fd = -1;
	return r;
}

int usb_open_wire(const struct usb_opening *o, const struct wire_sink *sink, struct wire **ret)
{
	_cleanup_close_ int fd = -1;
	int r = open_node(o, &fd);

	if (r < 0)
		return r;
	switch (o->attachment->bus) {
	case DRV_BUS_USB:
		return open_usb(o, &fd, sink, ret);
	case DRV_BUS_HID:
		r = hidraw_open(o->event, fd, sink, ret);
		break;
	case DRV_BUS_SERIAL:
		r = serial_open(o->event, fd, o->driver->baud, sink, ret);
		break;
	case DRV_BUS_ANY:
	case DRV_BUS_BLE:
	case DRV_BUS_BLE_ADVERT:
	case DRV_BUS_FILE:
	default:
		r = -ENOTSUP;
		break;
	}
	if (r >= 0)
		(void)TAKE_FD(fd);
	return r;
}
