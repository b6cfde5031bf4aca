/*
 * Which interface of a USB device to talk to, out of its raw descriptors. Sources: USB 2.0
 * chapter 9; USB Device Class Definition for Personal Healthcare Devices 1.0 (PHDC), section 5.
 * The bytes are the device's own, so each length is held against what contains it; what does not
 * fit is passed over and counted, and no answer is made of it.
 *
 *   device 01 | configuration 02 | interface 04, class 0f | function 20 | 11073 extension 30 |
 *   endpoint 05 | QoS 21 | metadata 22 | endpoint 05 | ...
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PHDC_CLASS               0x0f
#define PHDC_SPECIALISATIONS_MAX 16
#define USB_PACKET_MAX           1024 /* of a bulk or interrupt endpoint, at any speed */

enum phdc_data_code {
	PHDC_DATA_UNKNOWN = 0, /* the device has no function descriptor */
	PHDC_DATA_VENDOR = 1,
	PHDC_DATA_11073_20601 = 2,
};

/* bmLatencyReliability: which transfers an endpoint is good for */
enum phdc_qos {
	PHDC_LOW_GOOD = 0x01,    /* less than 20 ms; on an interrupt endpoint */
	PHDC_MEDIUM_GOOD = 0x02, /* less than 200 ms */
	PHDC_MEDIUM_BETTER = 0x04,
	PHDC_MEDIUM_BEST = 0x08,
	PHDC_HIGH_BEST = 0x10,      /* less than 2 s */
	PHDC_VERY_HIGH_BEST = 0x20, /* less than 20 s */
	PHDC_QOS_ALL = 0x3f
};

struct usb_endpoint_choice {
	uint8_t address;      /* 0: there is none */
	uint8_t qos;          /* of enum phdc_qos; 0: not said */
	uint8_t metadata_len; /* bytes of the metadata descriptor, opaque to us */
	bool interrupt;       /* of usb_choose_pair(): interrupt transfers, else bulk */
	uint16_t packet;      /* bytes, 1 to USB_PACKET_MAX */
};

struct usb_interface_choice {
	uint8_t configuration, interface; /* their numbers; always alternate setting 0 */
	struct usb_endpoint_choice bulk_in, bulk_out, interrupt_in;
	/* of a personal healthcare interface: */
	enum phdc_data_code data_code;
	bool can_preamble; /* the device implements the metadata preamble */
	bool use_preamble; /* the caller's wish, false as it is chosen: few devices need it */
	uint16_t specialisations[PHDC_SPECIALISATIONS_MAX]; /* MDC_DEV_SPEC_PROFILE_* it serves */
	size_t n_specialisations;
	unsigned int flaws; /* descriptors passed over: they did not fit, or contradicted others */
};

/*
 * descriptors: the device descriptor and behind it those of all configurations, as sysfs has them
 * in `descriptors` and as they are read from the device's node. configuration: the number of the
 * one that is in use (sysfs bConfigurationValue); 0: the first.
 *
 * The first interface with a bulk pair, of class 0f itself or in a device of class 0f, that does
 * not say its data are a vendor's own. -ENOMSG: there is none; -EBADMSG: there is none, and
 * descriptors were passed over; -EMSGSIZE: not even a device descriptor.
 */
int phdc_choose(const uint8_t *descriptors, size_t len, uint8_t configuration,
		struct usb_interface_choice *ret);
/* The same for any interface with a bulk pair, whatever its class; interface: its number, or -1:
 * the first. */
int usb_choose_bulk(const uint8_t *descriptors, size_t len, uint8_t configuration, int interface,
		    struct usb_interface_choice *ret);
/* The same for its first endpoint in and its first out, bulk or interrupt as each says of itself;
 * they are in bulk_in and bulk_out. */
int usb_choose_pair(const uint8_t *descriptors, size_t len, uint8_t configuration, int interface,
		    struct usb_interface_choice *ret);
