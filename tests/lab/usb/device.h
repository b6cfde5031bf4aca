/*
 * A simulated USB device: what all of them share. It answers the standard requests from the
 * model's descriptors, keeps what waits to be read at each endpoint, and does what goes wrong on
 * a cable. A model (models/NAME.c) says what the device is and what it does with what it is told.
 *
 *   kernel --request--> device --control, out--> model      model --usb_send--> device --> kernel
 *
 * What an endpoint sends is a queue of packets, as on the wire: a request of the host ends with
 * its buffer full or with a packet shorter than the endpoint's largest, and one too long for what
 * is left of the buffer is babble. A model is called from the loop, one device at a time; what it
 * sends goes out after it has returned.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "tests/lab/usb/usbip.h"

#define USB_ENDPOINTS  16
#define USB_STRINGS    4 /* index 0 is unused: make, product, serial number */
#define USB_STRING_MAX 64
#define USB_PACKET_MAX 512
#define USB_STALL      (-32) /* -EPIPE: what a model answers to a request that it does not know */
#define USB_NEVER      INT64_MAX
#define USB_SECOND     INT64_C(1000000)
#define USB_IN         0x80

struct usb_device;

struct usb_setup {
	uint8_t type, request; /* bmRequestType, bRequest */
	uint16_t value, index, length;
};

struct usb_bytes {
	const uint8_t *data;
	size_t len;
};

/* All callbacks but `configured` are optional. */
struct usb_model {
	const char *name;
	enum usbip_speed speed;
	struct usb_bytes device,
		configuration;            /* descriptors, the second with all that belongs to it */
	struct usb_bytes report;          /* of a HID device */
	const char *strings[USB_STRINGS]; /* NULL: none; the last is followed by the index */
	size_t state_size;
	const void *variant; /* the model's own: several in one file */

	/* it exists; it may have readings before it is plugged */
	void (*born)(struct usb_device *d);
	/* SET_CONFIGURATION: also what a device sees of a reset. Nothing waits at its endpoints. */
	void (*configured)(struct usb_device *d);
	/* A class or vendor request, or one to the interface. data: what came with it, or where at
	 * most setup->length bytes of answer go. Bytes of the answer, 0, or USB_STALL. */
	int (*control)(struct usb_device *d, const struct usb_setup *setup, uint8_t *data);
	/* bytes at an OUT endpoint: one transfer */
	void (*out)(struct usb_device *d, uint8_t endpoint, const uint8_t *data, size_t len);
	/* all that was sent at this endpoint has been fetched */
	void (*fetched)(struct usb_device *d, uint8_t endpoint);
	void (*unplugged)(struct usb_device *d);
	/* usb_timer() is due */
	void (*timer)(struct usb_device *d);
	/* COUNT new readings; 0 or -errno */
	int (*measure)(struct usb_device *d, unsigned int count);
	/* The model's own commands: words of a line, words[0] is the first. 0, -ENOENT not one of
	 * mine, -errno. An answer may be written. */
	int (*command)(struct usb_device *d, char **words, size_t n, char *answer, size_t size);
};

enum usb_fault {
	USB_FAULT_STALL,    /* this many transfers are refused, and their endpoint halts */
	USB_FAULT_MUTE,     /* no answer, to anything but requests at endpoint 0 */
	USB_FAULT_SILENT,   /* the same, endpoint 0 too: dead firmware */
	USB_FAULT_BABBLE,   /* this many transfers to the host are too long */
	USB_FAULT_SHORT,    /* packets of at most so many bytes, each the end of a transfer */
	USB_FAULT_COALESCE, /* so much is sent as one transfer, or what there is after 200 ms */
	USB_FAULT_NO_ZERO,  /* no empty packet behind a transfer that ends with a full one */
	USB_FAULT_N,
};

struct usb_packet;
struct usb_waiting;

struct usb_endpoint {
	uint16_t largest; /* packet; 0: no such endpoint */
	bool bulk;        /* ends a transfer that fills its packets with an empty one */
	bool halted;
	unsigned int held; /* sends that wait for more, under USB_FAULT_COALESCE */
	struct usb_packet *first, *last;
};

struct usb_device {
	const struct usb_model *model;
	unsigned int index;
	FILE *log;
	void *state; /* of the model */
	struct usbip_plug plug;
	char serial[USB_STRING_MAX]; /* empty: none */
	uint8_t configuration;
	struct usb_endpoint in[USB_ENDPOINTS], out[USB_ENDPOINTS];
	struct usb_waiting *first; /* requests of the host, oldest first */
	unsigned int fault[USB_FAULT_N];
	unsigned int transfers; /* since it was plugged; without the kernel's own enumeration */
	unsigned int cut_at;    /* pulled at this one, 0: never */
	bool cut_after;         /* it still arrives */
	bool working;
	int64_t due, flush_due;
};

void usb_device_init(struct usb_device *d, const struct usb_model *model, unsigned int index,
		     FILE *log);
int usb_device_open(struct usb_device *d); /* the model's state; 0 or -ENOMEM */
void usb_device_close(struct usb_device *d);

int usb_plug_in(struct usb_device *d); /* -EALREADY, or as usbip_plug_in() */
void usb_unplug(struct usb_device *d);
/* a request of the kernel is to be read */
void usb_read(struct usb_device *d);
/* what can go out now, goes */
void usb_work(struct usb_device *d);
void usb_tick(struct usb_device *d, int64_t now);
int64_t usb_next(const struct usb_device *d);
/* requests of the host that it has not answered */
unsigned int usb_waiting(const struct usb_device *d);

/* ---- for models ---- */

int64_t usb_now(void); /* microseconds, monotonic */
/* One transfer at an IN endpoint (with USB_IN). */
void usb_send(struct usb_device *d, uint8_t endpoint, const void *data, size_t len);
/* What waits there to be fetched is never said. */
void usb_drop(struct usb_device *d, uint8_t endpoint);
bool usb_all_fetched(const struct usb_device *d, uint8_t endpoint);
/* timer() once, in so many microseconds; USB_NEVER: not at all */
void usb_timer(struct usb_device *d, int64_t in);
/* a line of the event log: SECONDS.MICROSECONDS INDEX MODEL TEXT */
void usb_log(const struct usb_device *d, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
/* the same with bytes in hex at its end */
void usb_log_bytes(const struct usb_device *d, const char *text, const void *data, size_t len);
