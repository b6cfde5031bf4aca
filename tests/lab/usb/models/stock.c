#include "tests/lab/usb/models/stock.h"

#include <errno.h>
#include <string.h>

unsigned int usb_stock_user(const struct usb_stock *s, uint32_t number)
{
	return s->two_users ? 2 - number % 2 : 0;
}

void usb_stock_send(struct usb_device *d, const void *data, size_t len)
{
	const uint8_t *const bytes = data;

	for (size_t at = 0; at < len; at += USB_REPORT - 1) {
		const size_t n = len - at < USB_REPORT - 1 ? len - at : USB_REPORT - 1;
		uint8_t report[USB_REPORT] = { (uint8_t)n };

		memcpy(report + 1, bytes + at, n);
		usb_send(d, USB_REPORTS_IN, report, sizeof(report));
	}
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
