#include "drivers/transport/usb_monitor.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <systemd/sd-device.h>
#include <unistd.h>

#include "drivers/cleanup.h"
#include "protocols/gatt/device_information.h"

#define DESCRIPTOR_DEVICE    1
#define DESCRIPTOR_INTERFACE 4
#define INTERFACE_LENGTH     9
#define SERIAL_LEAST         4 /* characters that count */

struct known {
	char syspath[256];
	unsigned int busnum, devnum;
	bool seen;
};

struct usb_monitor {
	struct usb_monitor_handlers handlers;
	sd_device_monitor *monitor; /* NULL: udev cannot be listened to */
	sd_event_source *timer;
	int64_t look_us;
	uint64_t passed_over;
	size_t n;
	struct known known[USB_ATTACHMENTS_MAX];
};

/* ---- descriptors and texts, all the device's own ---- */

static size_t add_class(uint8_t value, size_t n, uint8_t ret[USB_CLASSES_MAX])
{
	if (n == USB_CLASSES_MAX || (n > 0 && memchr(ret, value, n)))
		return n;
	ret[n] = value;
	return n + 1;
}

size_t usb_classes(const uint8_t *descriptors, size_t len, uint8_t ret[USB_CLASSES_MAX])
{
	size_t at = 0, n = 0;

	while (len - at >= 2) {
		const uint8_t *d = descriptors + at;
		const size_t size = d[0];

		if (size < 2 || size > len - at)
			break;
		if (d[1] == DESCRIPTOR_DEVICE && size > 4 && d[4] != 0)
			n = add_class(d[4], n, ret);
		if (d[1] == DESCRIPTOR_INTERFACE && size >= INTERFACE_LENGTH)
			n = add_class(d[5], n, ret);
		at += size;
	}
	return n;
}

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : (unsigned char)c;
}

/* each one more than the one before it, or each one less */
static bool is_run(const char *text, int step)
{
	for (size_t i = 1; text[i]; i++) {
		const int next = hex_value(text[i - 1]) + step;

		if (hex_value(text[i]) != next && !(text[i - 1] == '9' && text[i] == '0'))
			return false;
	}
	return true;
}

static size_t distinct(const char *text)
{
	size_t n = 0;

	for (size_t i = 0; text[i]; i++)
		n += !memchr(text, text[i], i);
	return n;
}

bool usb_serial_is_good(const char *serial)
{
	const char *rest = serial + strspn(serial, "0 .:-");

	return strlen(rest) >= SERIAL_LEAST && distinct(serial) > 2 && !is_run(serial, 1) &&
	       !is_run(rest, 1) && !is_run(serial, -1);
}

static void copy_text(char ret[USB_TEXT_MAX + 1], const char *text)
{
	if (gatt_text((const uint8_t *)text, strlen(text), ret, USB_TEXT_MAX + 1) < 0)
		ret[0] = '\0';
}

/* 0x0210 -> "2.10" */
static void print_release(uint16_t bcd, char ret[USB_LABEL_RELEASE])
{
	const unsigned int digits[] = { bcd >> 12, bcd >> 8 & 15, bcd >> 4 & 15, bcd & 15 };

	for (size_t i = 0; i < sizeof(digits) / sizeof(digits[0]); i++) {
		if (digits[i] > 9)
			return;
	}
	(void)snprintf(ret, USB_LABEL_RELEASE, "%u.%u%u", digits[0] * 10 + digits[1], digits[2],
		       digits[3]);
}

void usb_label(const struct usb_attachment *a, struct usb_label *ret)
{
	*ret = (struct usb_label){ .make = "" };
	if (a->bus == DRV_BUS_SERIAL && strcmp(a->kernel_driver, "cdc_acm") != 0)
		return;
	memcpy(ret->make, a->manufacturer, sizeof(ret->make));
	memcpy(ret->model, a->product, sizeof(ret->model));
	if (a->has_release)
		print_release(a->release, ret->release);
}

static int read_file(const char *path, const char *name, uint8_t *buffer, size_t size,
		     size_t *ret_len)
{
	char full[512];
	_cleanup_close_ int fd = -1;
	size_t len = 0;
	ssize_t n;

	if (snprintf(full, sizeof(full), "%s/%s", path, name) >= (int)sizeof(full))
		return -ENAMETOOLONG;
	fd = open(full, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return -errno;
	while (len < size) {
		n = read(fd, buffer + len, size - len);
		if (n < 0 && errno != EINTR)
			return -errno;
		if (n == 0) {
			*ret_len = len;
			return 0;
		}
		len += n > 0 ? (size_t)n : 0;
	}
	return -EMSGSIZE;
}

int usb_read_descriptors(const char *syspath, uint8_t *buffer, size_t size, size_t *ret_len)
{
	return read_file(syspath, "descriptors", buffer, size, ret_len);
}

uint8_t usb_read_configuration(const char *syspath)
{
	uint8_t text[8] = { 0 };
	size_t len;
	unsigned long value;

	if (read_file(syspath, "bConfigurationValue", text, sizeof(text) - 1, &len) < 0)
		return 0;
	text[len] = '\0';
	value = strtoul((const char *)text, NULL, 10);
	return value <= UINT8_MAX ? (uint8_t)value : 0;
}

static unsigned int read_number(const char *path, const char *name)
{
	uint8_t text[16] = { 0 };
	size_t len;

	if (read_file(path, name, text, sizeof(text) - 1, &len) < 0)
		return UINT_MAX;
	return (unsigned int)strtoul((const char *)text, NULL, 10);
}

/* What is plugged in cannot have changed hands while it was there: so sysfs is asked last. */
int usb_is_still(const struct usb_attachment *a, int fd)
{
	uint8_t text[24] = { 0 };
	char number[sizeof(text)];
	struct stat st;
	size_t len = 0;

	if (fstat(fd, &st) < 0)
		return -errno;
	(void)snprintf(number, sizeof(number), "%u:%u\n", major(st.st_rdev), minor(st.st_rdev));
	if (!S_ISCHR(st.st_mode) ||
	    read_file(a->syspath, "dev", text, sizeof(text) - 1, &len) < 0 ||
	    strcmp((const char *)text, number) != 0)
		return -ENODEV;
	return read_number(a->parent, "busnum") == a->busnum &&
			       read_number(a->parent, "devnum") == a->devnum
		       ? 0
		       : -ENODEV;
}

/* ---- one device of sysfs ---- */

static int take_number(sd_device *d, const char *name, int base, unsigned long max,
		       unsigned long *ret)
{
	const char *text;
	char *end;
	unsigned long value;
	int r = sd_device_get_sysattr_value(d, name, &text);

	if (r < 0)
		return r;
	errno = 0;
	value = strtoul(text, &end, base);
	if (errno != 0 || end == text || *end != '\0' || value > max)
		return -EBADMSG;
	*ret = value;
	return 0;
}

static void take_text(sd_device *d, const char *name, char ret[USB_TEXT_MAX + 1])
{
	const char *text;

	if (sd_device_get_sysattr_value(d, name, &text) >= 0)
		copy_text(ret, text);
}

static int copy_path(char *ret, size_t size, const char *path)
{
	return snprintf(ret, size, "%s", path) < (int)size ? 0 : -ENAMETOOLONG;
}

static int take_parent(sd_device *usb, struct usb_attachment *a)
{
	uint8_t descriptors[USB_DESCRIPTORS_MAX];
	unsigned long vid = 0, pid = 0, busnum = 0, devnum = 0, release = 0;
	const char *path = "";
	size_t len = 0;
	int r = sd_device_get_syspath(usb, &path);

	if (r >= 0)
		r = copy_path(a->parent, sizeof(a->parent), path);
	if (r >= 0)
		r = take_number(usb, "idVendor", 16, UINT16_MAX, &vid);
	if (r >= 0)
		r = take_number(usb, "idProduct", 16, UINT16_MAX, &pid);
	if (r >= 0)
		r = take_number(usb, "busnum", 10, UINT16_MAX, &busnum);
	if (r >= 0)
		r = take_number(usb, "devnum", 10, UINT16_MAX, &devnum);
	if (r < 0)
		return r;
	a->vid = (uint16_t)vid;
	a->pid = (uint16_t)pid;
	a->busnum = (unsigned int)busnum;
	a->devnum = (unsigned int)devnum;
	take_text(usb, "serial", a->serial);
	take_text(usb, "product", a->product);
	take_text(usb, "manufacturer", a->manufacturer);
	a->has_release = take_number(usb, "bcdDevice", 16, UINT16_MAX, &release) >= 0;
	a->release = (uint16_t)release;
	if (usb_read_descriptors(a->parent, descriptors, sizeof(descriptors), &len) == 0)
		a->n_classes = usb_classes(descriptors, len, a->classes);
	return 0;
}

static void take_kernel_driver(sd_device *d, struct usb_attachment *a)
{
	sd_device *interface;
	const char *name;

	if (sd_device_get_parent_with_subsystem_devtype(d, "usb", "usb_interface", &interface) >=
		    0 &&
	    sd_device_get_driver(interface, &name) >= 0)
		(void)snprintf(a->kernel_driver, sizeof(a->kernel_driver), "%.31s", name);
}

static enum drv_bus bus_of(sd_device *d)
{
	const char *subsystem, *type;

	if (sd_device_get_subsystem(d, &subsystem) < 0)
		return DRV_BUS_ANY;
	if (strcmp(subsystem, "hidraw") == 0)
		return DRV_BUS_HID;
	if (strcmp(subsystem, "tty") == 0)
		return DRV_BUS_SERIAL;
	if (strcmp(subsystem, "usb") == 0 && sd_device_get_devtype(d, &type) >= 0 &&
	    strcmp(type, "usb_device") == 0)
		return DRV_BUS_USB;
	return DRV_BUS_ANY;
}

/* -ENODEV: nothing of ours; another -errno: it could not be read, because it is just going, most
 * likely */
static int describe(sd_device *d, struct usb_attachment *ret)
{
	struct usb_attachment a = { .bus = bus_of(d) };
	sd_device *usb = d;
	const char *path = "", *node = "";
	int r;

	if (a.bus == DRV_BUS_ANY)
		return -ENODEV;
	if (a.bus != DRV_BUS_USB &&
	    sd_device_get_parent_with_subsystem_devtype(d, "usb", "usb_device", &usb) < 0)
		return -ENODEV; /* Bluetooth's hidraw, a console */
	r = sd_device_get_syspath(d, &path);
	if (r >= 0)
		r = copy_path(a.syspath, sizeof(a.syspath), path);
	if (r >= 0)
		r = sd_device_get_devname(d, &node);
	if (r >= 0)
		r = copy_path(a.node, sizeof(a.node), node);
	if (r >= 0)
		r = take_parent(usb, &a);
	if (r < 0)
		return r;
	take_kernel_driver(d, &a);
	*ret = a;
	return 0;
}

/* ---- what is known ---- */

static struct known *find(struct usb_monitor *m, const char *syspath)
{
	for (size_t i = 0; i < m->n; i++) {
		if (strcmp(m->known[i].syspath, syspath) == 0)
			return &m->known[i];
	}
	return NULL;
}

static void forget(struct usb_monitor *m, struct known *k)
{
	char syspath[sizeof(k->syspath)];

	memcpy(syspath, k->syspath, sizeof(syspath));
	*k = m->known[--m->n];
	m->handlers.detached(m->handlers.user, syspath);
}

static void look_at(struct usb_monitor *m, sd_device *d)
{
	struct usb_attachment a;
	struct known *k;
	int r = describe(d, &a);

	if (r < 0) {
		m->passed_over += r != -ENODEV && r != -ENOENT;
		return;
	}
	k = find(m, a.syspath);
	if (k && (k->busnum != a.busnum || k->devnum != a.devnum)) {
		forget(m, k);
		k = NULL;
	}
	if (!k && m->n == USB_ATTACHMENTS_MAX) {
		m->passed_over++;
		return;
	}
	if (k) {
		k->seen = true;
		return;
	}
	k = &m->known[m->n++];
	*k = (struct known){ .busnum = a.busnum, .devnum = a.devnum, .seen = true };
	memcpy(k->syspath, a.syspath, sizeof(k->syspath));
	m->handlers.attached(m->handlers.user, &a);
}

/* Of a device that is removed sysfs knows nothing any more, but the path is told. */
static int on_uevent(sd_device_monitor *monitor, sd_device *d, void *user)
{
	struct usb_monitor *m = user;
	sd_device_action_t action;
	const char *path;
	struct known *k;

	(void)monitor;
	if (sd_device_get_action(d, &action) < 0 || sd_device_get_syspath(d, &path) < 0)
		return 0;
	if (action != SD_DEVICE_REMOVE) {
		look_at(m, d);
		return 0;
	}
	k = find(m, path);
	if (k)
		forget(m, k);
	return 0;
}

/* ---- looking ---- */

/* Uninitialised ones too: where no udev runs none ever is, and where it does, a node that its rules
 * have not reached yet refuses to be opened, and is tried again. */
static int enumerate(struct usb_monitor *m)
{
	static const char *const subsystems[] = { "usb", "hidraw", "tty" };
	sd_device_enumerator *e;
	int r = sd_device_enumerator_new(&e);

	for (size_t i = 0; r >= 0 && i < sizeof(subsystems) / sizeof(subsystems[0]); i++)
		r = sd_device_enumerator_add_match_subsystem(e, subsystems[i], true);
	if (r >= 0)
		r = sd_device_enumerator_allow_uninitialized(e);
	if (r >= 0) {
		for (sd_device *d = sd_device_enumerator_get_device_first(e); d;
		     d = sd_device_enumerator_get_device_next(e))
			look_at(m, d);
	}
	e = sd_device_enumerator_unref(e);
	return r;
}

void usb_monitor_look(struct usb_monitor *m)
{
	size_t i = 0;

	for (size_t k = 0; k < m->n; k++)
		m->known[k].seen = false;
	if (enumerate(m) < 0) { /* nothing is gone because it could not be looked for */
		m->passed_over++;
		return;
	}
	while (i < m->n) {
		if (m->known[i].seen)
			i++;
		else
			forget(m, &m->known[i]);
	}
}

static int on_timer(sd_event_source *source, uint64_t usec, void *user)
{
	struct usb_monitor *m = user;
	int r;

	(void)usec;
	usb_monitor_look(m);
	r = sd_event_source_set_time_relative(source, (uint64_t)m->look_us);
	return r < 0 ? r : sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

static int listen_to_udev(struct usb_monitor *m, sd_event *event)
{
	sd_device_monitor *monitor = NULL;
	int r = sd_device_monitor_new(&monitor);

	if (r >= 0)
		r = sd_device_monitor_filter_add_match_subsystem_devtype(monitor, "usb",
									 "usb_device");
	if (r >= 0)
		r = sd_device_monitor_filter_add_match_subsystem_devtype(monitor, "hidraw", NULL);
	if (r >= 0)
		r = sd_device_monitor_filter_add_match_subsystem_devtype(monitor, "tty", NULL);
	if (r >= 0)
		r = sd_device_monitor_attach_event(monitor, event);
	if (r >= 0)
		r = sd_device_monitor_start(monitor, on_uevent, m);
	if (r < 0)
		monitor = sd_device_monitor_unref(monitor);
	m->monitor = monitor;
	return r;
}

int usb_monitor_new(sd_event *event, int64_t look_us, const struct usb_monitor_handlers *handlers,
		    struct usb_monitor **ret)
{
	struct usb_monitor *m = calloc(1, sizeof(*m));
	int r;

	if (!m)
		return -ENOMEM;
	m->handlers = *handlers;
	m->look_us = look_us > 0 ? look_us : USB_LOOK_US;
	r = sd_event_add_time_relative(event, &m->timer, CLOCK_MONOTONIC, (uint64_t)m->look_us, 0,
				       on_timer, m);
	if (r < 0) {
		usb_monitor_free(m);
		return r;
	}
	/* listening first: what comes while we look is seen twice, not missed */
	(void)listen_to_udev(m, event);
	usb_monitor_look(m);
	*ret = m;
	return 0;
}

void usb_monitor_free(struct usb_monitor *m)
{
	if (!m)
		return;
	(void)sd_device_monitor_unref(m->monitor);
	(void)sd_event_source_disable_unref(m->timer);
	free(m);
}

bool usb_monitor_hears(const struct usb_monitor *m)
{
	return m->monitor != NULL;
}

uint64_t usb_monitor_passed_over(const struct usb_monitor *m)
{
	return m->passed_over;
}
