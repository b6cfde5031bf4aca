/*
 * What is plugged in: USB devices, and the hidraw and tty nodes that the kernel makes of them. Told
 * of by udev, behind its rules; and looked for every 30 s, since where udev is not heard
 * (containers) nothing else would be. Each is reported once when it appears and once when it is
 * gone. Nothing is opened: all is read from sysfs.
 *
 * All text and numbers are the device's own, so they are a first guess and no identity. A device
 * that was unplugged and plugged in again between two looks is another one: its address on the bus
 * (devnum) has changed.
 */
#pragma once

#include <systemd/sd-event.h>

#include "drivers/driver.h"

#define USB_ATTACHMENTS_MAX 64 /* more are passed over, which is counted */
#define USB_CLASSES_MAX     16
#define USB_TEXT_MAX        127 /* bytes: a string descriptor has at most 126 characters */
#define USB_DESCRIPTORS_MAX ((size_t)16 * 1024)
#define USB_LOOK_US         INT64_C(30000000)

struct usb_attachment {
	enum drv_bus bus;  /* DRV_BUS_USB the device itself, DRV_BUS_HID, DRV_BUS_SERIAL */
	char syspath[256]; /* of the node */
	char node[64];     /* /dev/bus/usb/001/004, /dev/hidraw0, /dev/ttyUSB0 */
	char parent[256];  /* syspath of the USB device: where serial number and descriptors are */
	char kernel_driver[32];      /* of the interface ("usbhid", "cypress_m8"), "" unknown */
	unsigned int busnum, devnum; /* of the USB device: new each time it is plugged in */
	uint16_t vid, pid;
	bool has_release;
	uint16_t release;                 /* bcdDevice, USB 2.0 table 9-8: 0x0210 is 2.10 */
	uint8_t classes[USB_CLASSES_MAX]; /* of the interfaces, each once */
	size_t n_classes;
	/* UTF-8 without control characters, ends trimmed; "" none, or it was not */
	char serial[USB_TEXT_MAX + 1], product[USB_TEXT_MAX + 1], manufacturer[USB_TEXT_MAX + 1];
};

/* What a device's descriptors say of make, model and firmware, for the inventory; "" nothing. */
#define USB_LABEL_RELEASE 12 /* bytes; "99.99" at most */
struct usb_label {
	char make[USB_TEXT_MAX + 1], model[USB_TEXT_MAX + 1], release[USB_LABEL_RELEASE];
};

struct usb_monitor_handlers {
	/* borrowed for the call; from the loop, or from within usb_monitor_new() */
	void (*attached)(void *user, const struct usb_attachment *attachment);
	void (*detached)(void *user, const char *syspath);
	void *user;
};

struct usb_monitor;

/* look_us: how often to look, 0: USB_LOOK_US. It is no error if udev cannot be listened to
 * (usb_monitor_hears() is false then). -ENOMEM, -errno of the loop. */
int usb_monitor_new(sd_event *event, int64_t look_us, const struct usb_monitor_handlers *handlers,
		    struct usb_monitor **ret);
void usb_monitor_free(struct usb_monitor *m); /* NULL is fine */
void usb_monitor_look(struct usb_monitor *m); /* now */
bool usb_monitor_hears(const struct usb_monitor *m);
/* what could not be read, or was beyond USB_ATTACHMENTS_MAX */
uint64_t usb_monitor_passed_over(const struct usb_monitor *m);

/*
 * 0 if fd, opened by the attachment's node, is that device's: the kernel gives the number of a node
 * that is gone (hidraw3, ttyUSB0) to the next device at once, so what was opened by name may be
 * another one. -ENODEV it is not, or it is gone.
 */
int usb_is_still(const struct usb_attachment *attachment, int fd);
/* The raw descriptors of a USB device as sysfs has them: device, then all configurations. Their
 * content is not checked. 0 or -errno; -EMSGSIZE more than USB_DESCRIPTORS_MAX. */
int usb_read_descriptors(const char *syspath, uint8_t *buffer, size_t size, size_t *ret_len);
/* The number of the configuration in use; 0 none, or not known. */
uint8_t usb_read_configuration(const char *syspath);
/* Of a serial port that a converter makes (any kernel driver but cdc_acm) nothing: its descriptors
 * name the converter. A release that is no BCD is not told. */
void usb_label(const struct usb_attachment *attachment, struct usb_label *ret);
/* The classes of all interfaces in raw descriptors, each once; and that of the device, unless it
 * leaves it to them. What is cut short or does not fit is not looked into. */
size_t usb_classes(const uint8_t *descriptors, size_t len, uint8_t ret[USB_CLASSES_MAX]);
/*
 * False for what makers put in place of a serial number: fewer than four characters that count
 * (leading zeros do not), one or two characters repeated, a run up or down as in 0123456789ABCDEF.
 */
bool usb_serial_is_good(const char *serial);
