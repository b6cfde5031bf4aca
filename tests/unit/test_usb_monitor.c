/* links: transports umockdev */
/*
 * What is plugged in, over umockdev: a made-up sysfs and made-up messages of udev, heard through
 * the real sd-device. Runs with umockdev's library in front of libc (CMake sets LD_PRELOAD).
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "drivers/transport/usb_monitor.h"
#include <umockdev.h>

#define PATIENCE_US 60000000 /* of a turn of the loop: a hang, not a delay */
#define NEVER_US    INT64_C(3600000000)

struct stand {
	UMockdevTestbed *bed;
	sd_event *event;
	struct usb_monitor *monitor;
	unsigned int attached, detached;
	struct usb_attachment last;
	char gone[256];
};

static void on_attached(void *user, const struct usb_attachment *attachment)
{
	struct stand *s = user;

	s->attached++;
	s->last = *attachment;
}

static void on_detached(void *user, const char *syspath)
{
	struct stand *s = user;

	s->detached++;
	(void)snprintf(s->gone, sizeof(s->gone), "%s", syspath);
}

static int set_up(void **state)
{
	struct stand *s = calloc(1, sizeof(*s));

	assert_non_null(s);
	s->bed = umockdev_testbed_new();
	assert_true(sd_event_new(&s->event) >= 0);
	*state = s;
	return 0;
}

static int tear_down(void **state)
{
	struct stand *s = *state;

	usb_monitor_free(s->monitor);
	(void)sd_event_unref(s->event);
	g_object_unref(s->bed);
	free(s);
	return 0;
}

static void listen_to_it(struct stand *s, int64_t look_us)
{
	const struct usb_monitor_handlers handlers = { .attached = on_attached,
						       .detached = on_detached,
						       .user = s };

	assert_int_equal(usb_monitor_new(s->event, look_us, &handlers, &s->monitor), 0);
	assert_true(usb_monitor_hears(s->monitor));
}

static void until(struct stand *s, const unsigned int *count, unsigned int wanted)
{
	while (*count < wanted)
		assert_true(sd_event_run(s->event, PATIENCE_US) > 0);
	while (sd_event_run(s->event, 0) > 0)
		;
	assert_int_equal(*count, wanted);
}

static void plug_in(struct stand *s, const char *port, unsigned int devnum, const char *serial)
{
	char text[2048];
	GError *error = NULL;

	(void)snprintf(
		text, sizeof(text),
		"P: /devices/pci0/usb1/%s\n"
		"N: bus/usb/001/%03u\n"
		"E: SUBSYSTEM=usb\nE: DEVTYPE=usb_device\nE: DEVNAME=/dev/bus/usb/001/%03u\n"
		"A: idVendor=0590\nA: idProduct=0090\nA: busnum=1\nA: devnum=%u\n"
		"A: product=BP meter\nA: manufacturer= Andon  \nA: bcdDevice=0210\nA: serial=%s\n"
		/* device, configuration, interface of class 03, endpoint */
		"H: descriptors=120100020000004090059000000101020301"
		"0902190001010080320904000001030000000705810340000a\n",
		port, devnum, devnum, devnum, serial);
	assert_true(umockdev_testbed_add_from_string(s->bed, text, &error));
}

static void add_interface(struct stand *s)
{
	static const char text[] = "P: /devices/pci0/usb1/1-1/1-1:1.0\n"
				   "E: SUBSYSTEM=usb\nE: DEVTYPE=usb_interface\n"
				   "L: driver=../../../../../bus/usb/drivers/usbhid\n";
	GError *error = NULL;

	assert_true(umockdev_testbed_add_from_string(s->bed, text, &error));
}

static void add_hidraw(struct stand *s, unsigned int number)
{
	char text[512];
	GError *error = NULL;

	(void)snprintf(text, sizeof(text),
		       "P: /devices/pci0/usb1/1-1/1-1:1.0/0003:0590:0090.%04u/hidraw/hidraw%u\n"
		       "N: hidraw%u\n"
		       "E: SUBSYSTEM=hidraw\nE: DEVNAME=/dev/hidraw%u\n",
		       number, number, number, number);
	assert_true(umockdev_testbed_add_from_string(s->bed, text, &error));
}

static void tell(struct stand *s, const char *path, const char *action)
{
	char full[256];

	(void)snprintf(full, sizeof(full), "/sys/devices/pci0/usb1/%s", path);
	umockdev_testbed_uevent(s->bed, full, action);
}

static void unplug(struct stand *s, const char *path)
{
	char full[256];

	(void)snprintf(full, sizeof(full), "/sys/devices/pci0/usb1/%s", path);
	umockdev_testbed_uevent(s->bed, full, "remove");
	umockdev_testbed_remove_device(s->bed, full);
}

/* ---- */

static void what_is_there_already(void **state)
{
	struct stand *s = *state;
	struct usb_label label;

	plug_in(s, "1-1", 5, "20190601234");
	listen_to_it(s, NEVER_US);
	assert_int_equal(s->attached, 1);
	assert_int_equal(s->last.bus, DRV_BUS_USB);
	assert_string_equal(s->last.syspath, "/sys/devices/pci0/usb1/1-1");
	assert_string_equal(s->last.parent, s->last.syspath);
	assert_string_equal(s->last.node, "/dev/bus/usb/001/005");
	assert_int_equal(s->last.vid, 0x0590);
	assert_int_equal(s->last.pid, 0x0090);
	assert_int_equal(s->last.devnum, 5);
	assert_string_equal(s->last.serial, "20190601234");
	assert_string_equal(s->last.product, "BP meter");
	assert_true(s->last.has_release);
	assert_int_equal(s->last.release, 0x0210);
	usb_label(&s->last, &label);
	assert_string_equal(label.make, s->last.manufacturer);
	assert_non_null(strstr(label.make, "Andon"));
	assert_string_equal(label.model, "BP meter");
	assert_string_equal(label.release, "2.10");
	assert_int_equal(s->last.n_classes, 1);
	assert_int_equal(s->last.classes[0], 3);
	usb_monitor_look(s->monitor);
	assert_int_equal(s->attached, 1); /* once */
	assert_int_equal(s->detached, 0);
}

static void arrival_removal_and_arrival(void **state)
{
	struct stand *s = *state;

	listen_to_it(s, NEVER_US);
	for (unsigned int i = 1; i <= 3; i++) {
		plug_in(s, "1-1", 4 + i, "20190601234");
		tell(s, "1-1", "add");
		until(s, &s->attached, i);
		tell(s, "1-1", "bind"); /* udev says more than once that it is there */
		tell(s, "1-1", "change");
		usb_monitor_look(s->monitor);
		until(s, &s->attached, i);
		unplug(s, "1-1");
		until(s, &s->detached, i);
		assert_string_equal(s->gone, "/sys/devices/pci0/usb1/1-1");
	}
}

static void two_equal_ones(void **state)
{
	struct stand *s = *state;
	char first[256];

	listen_to_it(s, NEVER_US);
	plug_in(s, "1-1", 5, "SAME-0042");
	tell(s, "1-1", "add");
	until(s, &s->attached, 1);
	memcpy(first, s->last.syspath, sizeof(first));
	plug_in(s, "1-2", 6, "SAME-0042");
	tell(s, "1-2", "add");
	until(s, &s->attached, 2);
	assert_string_not_equal(s->last.syspath, first);
	unplug(s, "1-1");
	until(s, &s->detached, 1);
	assert_string_equal(s->gone, first);
	usb_monitor_look(s->monitor);
	assert_int_equal(s->detached, 1);
}

static void hidraw_belongs_to_its_device(void **state)
{
	struct stand *s = *state;

	plug_in(s, "1-1", 5, "20190601234");
	add_interface(s);
	add_hidraw(s, 3);
	listen_to_it(s, NEVER_US);
	assert_int_equal(s->attached, 2);
	unplug(s, "1-1/1-1:1.0/0003:0590:0090.0003/hidraw/hidraw3");
	until(s, &s->detached, 1);
	add_hidraw(s, 4);
	tell(s, "1-1/1-1:1.0/0003:0590:0090.0004/hidraw/hidraw4", "add");
	until(s, &s->attached, 3);
	assert_int_equal(s->last.bus, DRV_BUS_HID);
	assert_string_equal(s->last.node, "/dev/hidraw4");
	assert_string_equal(s->last.kernel_driver, "usbhid");
	assert_string_equal(s->last.parent, "/sys/devices/pci0/usb1/1-1");
	assert_string_equal(s->last.serial, "20190601234");
	assert_int_equal(s->last.vid, 0x0590);
}

/* Where udev is not heard, looking finds what came and what went, and what did both in between. */
static void looking_is_enough(void **state)
{
	struct stand *s = *state;

	listen_to_it(s, 10000);
	plug_in(s, "1-1", 5, "20190601234");
	until(s, &s->attached, 1);
	umockdev_testbed_remove_device(s->bed, "/sys/devices/pci0/usb1/1-1");
	plug_in(s, "1-1", 6, "20190601234");
	until(s, &s->attached, 2);
	assert_int_equal(s->detached, 1);
	umockdev_testbed_remove_device(s->bed, "/sys/devices/pci0/usb1/1-1");
	until(s, &s->detached, 2);
}

static void bad_texts_are_no_texts(void **state)
{
	struct stand *s = *state;

	plug_in(s, "1-1", 5, "12\\x01\\x1b[2J34");
	umockdev_testbed_set_attribute(s->bed, "/sys/devices/pci0/usb1/1-1", "serial", "a\033[2Jb");
	umockdev_testbed_set_attribute(s->bed, "/sys/devices/pci0/usb1/1-1", "product", "\xff\xfe");
	listen_to_it(s, NEVER_US);
	assert_int_equal(s->attached, 1);
	assert_string_equal(s->last.serial, "");
	assert_string_equal(s->last.product, "");
}

static void a_device_that_cannot_be_read_is_passed_over(void **state)
{
	struct stand *s = *state;

	plug_in(s, "1-1", 5, "20190601234");
	umockdev_testbed_set_attribute(s->bed, "/sys/devices/pci0/usb1/1-1", "idVendor", "zz");
	listen_to_it(s, NEVER_US);
	assert_int_equal(s->attached, 0);
	assert_int_equal(usb_monitor_passed_over(s->monitor), 1);
}

/* ---- pure ---- */

static void classes_out_of_descriptors(void **state)
{
	static const uint8_t two[] = { 18, 1, 0, 2, 0xef, 0, 0, 64, 1, 2, 3, 4, 0, 1, 0, 0, 0,
				       1,  9, 2, 0, 0,    2, 1, 0,  0, 0, 9, 4, 0, 0, 0, 8, 0,
				       0,  0, 9, 4, 1,    0, 0, 8,  0, 0, 0, 9, 4, 2, 0, 0, 15 };
	uint8_t classes[USB_CLASSES_MAX];
	uint8_t many[20][9] = { 0 };

	(void)state;
	assert_int_equal(usb_classes(two, sizeof(two), classes), 2); /* the last one is cut short */
	assert_int_equal(classes[0], 0xef);
	assert_int_equal(classes[1], 8);
	assert_int_equal(usb_classes(two, 0, classes), 0);
	assert_int_equal(usb_classes((const uint8_t[]){ 0, 0, 0 }, 3, classes), 0);
	for (uint8_t i = 0; i < 20; i++) {
		many[i][0] = 9;
		many[i][1] = 4;
		many[i][5] = (uint8_t)(i + 1);
	}
	assert_int_equal(usb_classes(&many[0][0], sizeof(many), classes), USB_CLASSES_MAX);
}

static void serial_numbers_that_are_none(void **state)
{
	static const char *const bad[] = { "",
					   "0",
					   "0001",
					   "123",
					   "000000",
					   "11111111",
					   "1234567890",
					   "0123456789",
					   "ABCDEF",
					   "12345678",
					   "0123456789ABCDEF",
					   "fedcba9876543210",
					   "0000-0000",
					   "1212121212" };
	static const char *const good[] = { "20190601234", "A50285BI", "00124B0001020304", "2021",
					    "7130" };

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(usb_serial_is_good(bad[i]));
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		assert_true(usb_serial_is_good(good[i]));
}

static void write_number(const char *folder, const char *name, const char *text)
{
	char path[128];
	FILE *f;

	(void)snprintf(path, sizeof(path), "%s/%s", folder, name);
	f = fopen(path, "we");
	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

/* hidraw3 is gone, and is another device at once: what was opened by that name is not read */
static void a_node_that_changed_hands(void **state)
{
	struct usb_attachment a = { .bus = DRV_BUS_HID, .busnum = 1, .devnum = 5 };
	char folder[] = "/tmp/test-usb-monitor-XXXXXX", path[128];
	const int fd = open("/dev/null", O_RDWR | O_CLOEXEC), file = memfd_create("no node", 0);

	(void)state;
	assert_true(fd >= 0 && file >= 0);
	assert_non_null(mkdtemp(folder));
	(void)snprintf(a.syspath, sizeof(a.syspath), "%s", folder);
	(void)snprintf(a.parent, sizeof(a.parent), "%s", folder);
	write_number(folder, "busnum", "1\n");
	write_number(folder, "devnum", "5\n");
	assert_int_equal(usb_is_still(&a, fd), -ENODEV); /* gone from sysfs */
	write_number(folder, "dev", "1:3\n");
	assert_int_equal(usb_is_still(&a, fd), 0);
	assert_int_equal(usb_is_still(&a, file), -ENODEV);
	write_number(folder, "dev", "1:33\n");
	assert_int_equal(usb_is_still(&a, fd), -ENODEV);
	write_number(folder, "dev", "1:3\n");
	write_number(folder, "devnum", "6\n"); /* another one in the same port */
	assert_int_equal(usb_is_still(&a, fd), -ENODEV);
	write_number(folder, "devnum", "5\n");
	write_number(folder, "busnum", "2\n");
	assert_int_equal(usb_is_still(&a, fd), -ENODEV);
	for (size_t i = 0; i < 3; i++) {
		static const char *const names[] = { "busnum", "devnum", "dev" };

		(void)snprintf(path, sizeof(path), "%s/%s", folder, names[i]);
		assert_int_equal(unlink(path), 0);
	}
	assert_int_equal(rmdir(folder), 0);
	(void)close(fd);
	(void)close(file);
}

static void a_label_is_the_devices_own(void **state)
{
	struct usb_attachment a = { .bus = DRV_BUS_SERIAL,
				    .has_release = true,
				    .release = 0x1234,
				    .kernel_driver = "pl2303",
				    .manufacturer = "Prolific",
				    .product = "USB-Serial" };
	struct usb_label label;

	(void)state;
	usb_label(&a, &label); /* the converter's */
	assert_string_equal(label.make, "");
	assert_string_equal(label.model, "");
	assert_string_equal(label.release, "");
	memcpy(a.kernel_driver, "cdc_acm", sizeof("cdc_acm"));
	usb_label(&a, &label);
	assert_string_equal(label.make, "Prolific");
	assert_string_equal(label.model, "USB-Serial");
	assert_string_equal(label.release, "12.34");
	a.release = 0x01a0; /* no BCD */
	usb_label(&a, &label);
	assert_string_equal(label.release, "");
	a.release = 0;
	usb_label(&a, &label);
	assert_string_equal(label.release, "0.00");
	a.has_release = false;
	usb_label(&a, &label);
	assert_string_equal(label.release, "");
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(what_is_there_already),
		TEST(arrival_removal_and_arrival),
		TEST(two_equal_ones),
		TEST(hidraw_belongs_to_its_device),
		TEST(looking_is_enough),
		TEST(bad_texts_are_no_texts),
		TEST(a_device_that_cannot_be_read_is_passed_over),
		cmocka_unit_test(a_node_that_changed_hands),
		cmocka_unit_test(a_label_is_the_devices_own),
		cmocka_unit_test(classes_out_of_descriptors),
		cmocka_unit_test(serial_numbers_that_are_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
