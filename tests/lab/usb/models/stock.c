#include "tests/lab/usb/models/stock.h"

#include <errno.h>

unsigned int usb_stock_user(const struct usb_stock *s, uint32_t number)
{
	return s->two_users ? 2 - number % 2 : 0;
}

int usb_stock_measure(struct usb_device *d, unsigned int count)
{
	struct usb_stock *const s = d->state;

	if (count > USB_STOCK_MAX - s->n)
		return -ENOSPC;
	for (unsigned int i = 0; i < count; i++) {
		s->n++;
		usb_say_pressure(d, s->n, usb_stock_user(s, s->n), false, usb_device_time(s->n));
	}
	return 0;
}
