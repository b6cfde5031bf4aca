/*
 * What cuffs have in common that let go of nothing: readings with numbers from 1, all of them
 * always there; and of those that are HID with an interrupt endpoint either way, the descriptors.
 */
#pragma once

#include "tests/lab/usb/models/models.h"

#define USB_STOCK_MAX 250

#define USB_REPORTS_IN  0x81
#define USB_REPORTS_OUT 0x02
#define USB_REPORT      8 /* bytes, of those that count in the first */

/* configuration, interface, HID, and an endpoint either way; report_len: of the report descriptor,
 * interval: ms */
#define USB_HID_CONFIGURATION(report_len, packet, interval)                      \
	{                                                                        \
		9, 2, 41, 0, 1, 1, 0, 0x80, 50,                            /* */ \
			9, 4, 0, 0, 2, 3, 0, 0, 0,                         /* */ \
			9, 0x21, 0x11, 0x01, 0, 1, 0x22, (report_len), 0,  /* */ \
			7, 5, USB_REPORTS_IN, 3, (packet), 0, (interval),  /* */ \
			7, 5, USB_REPORTS_OUT, 3, (packet), 0, (interval), /* */ \
	}

/* the first member of the state of such a cuff */
struct usb_stock {
	unsigned int n;
	bool two_users; /* even numbers are those of user 2 */
};

unsigned int usb_stock_user(const struct usb_stock *s, uint32_t number); /* 0: it has no users */
/* in reports of eight bytes, of which the first counts those that follow */
void usb_stock_send(struct usb_device *d, const void *data, size_t len);
/* a model's `measure` */
int usb_stock_measure(struct usb_device *d, unsigned int count);
