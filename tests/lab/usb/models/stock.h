/* The readings of a cuff that lets go of nothing: numbers from 1, all of them always there. */
#pragma once

#include "tests/lab/usb/models/models.h"

#define USB_STOCK_MAX 250

/* the first member of the state of such a cuff */
struct usb_stock {
	unsigned int n;
	bool two_users; /* even numbers are those of user 2 */
};

unsigned int usb_stock_user(const struct usb_stock *s, uint32_t number); /* 0: it has no users */
/* a model's `measure` */
int usb_stock_measure(struct usb_device *d, unsigned int count);
