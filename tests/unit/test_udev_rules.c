/* links: drivers */
/*
 * The udev rules open to wellgate-devices what its drivers serve, and nothing else. That udev reads
 * them as they are meant is tried in the lab.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "drivers/registry.h"

#define RULES     "/../../gateway/dist/60-wellgate-usb.rules"
#define RULES_MAX 16384

static char rules[RULES_MAX];

static int read_rules(void **state)
{
	char path[512];
	FILE *f;
	size_t n;

	(void)state;
	(void)snprintf(path, sizeof(path), "%.*s" RULES, (int)(strrchr(__FILE__, '/') - __FILE__),
		       __FILE__);
	f = fopen(path, "re");
	if (!f)
		return -1;
	n = fread(rules, 1, sizeof(rules) - 1, f);
	rules[n] = '\0';
	return fclose(f) == 0 && n > 0 && n < sizeof(rules) - 1 ? 0 : -1;
}

/* Is there a line with all three? */
static bool has_line(const char *a, const char *b, const char *c)
{
	char line[512];
	const char *at = rules, *end;

	for (; (end = strchr(at, '\n')); at = end + 1) {
		if (*at == '#' || (size_t)(end - at) >= sizeof(line))
			continue;
		memcpy(line, at, (size_t)(end - at));
		line[end - at] = '\0';
		if (strstr(line, a) && strstr(line, b) && strstr(line, c))
			return true;
	}
	return false;
}

static const char *subsystem_of(enum drv_bus bus)
{
	return bus == DRV_BUS_HID ? "SUBSYSTEM==\"hidraw\"" : "SUBSYSTEM==\"tty\"";
}

static void check_numbers(const struct drv_match *row)
{
	char nodes[128], device[128];

	(void)snprintf(nodes, sizeof(nodes),
		       "ATTRS{idVendor}==\"%04x\", ATTRS{idProduct}==\"%04x\"", row->vid, row->pid);
	(void)snprintf(device, sizeof(device),
		       "ATTR{idVendor}==\"%04x\", ATTR{idProduct}==\"%04x\"", row->vid, row->pid);
	if (row->bus == DRV_BUS_USB)
		assert_true(has_line(device, "GROUP=\"wellgate-usb\"", "MODE=\"0660\""));
	else
		assert_true(has_line(subsystem_of(row->bus), nodes,
				     "GROUP=\"wellgate-usb\", MODE=\"0660\""));
	assert_true(has_line(device, "ATTR{power/control}=\"on\"", ""));
	if (row->bus == DRV_BUS_SERIAL) {
		assert_true(has_line(device, "ENV{ID_MM_DEVICE_IGNORE}=\"1\"", ""));
		assert_true(has_line(nodes, "ENV{ID_MM_PORT_IGNORE}=\"1\"", "\"tty\""));
	}
}

static bool is_wired(const struct drv_match *row)
{
	return row->bus == DRV_BUS_USB || row->bus == DRV_BUS_HID || row->bus == DRV_BUS_SERIAL;
}

static void every_row_has_its_rules(void **state)
{
	char interfaces[64];
	size_t n = 0;

	(void)state;
	for (const struct driver *const *d = drivers; *d; d++) {
		for (const struct drv_match *row = (*d)->match; is_wired(row); row++) {
			n++;
			if (row->vid != 0) {
				check_numbers(row);
				continue;
			}
			assert_int_not_equal(row->usb_class, 0);
			(void)snprintf(interfaces, sizeof(interfaces),
				       "ENV{ID_USB_INTERFACES}==\"*:%02x0000:*\"", row->usb_class);
			assert_true(
				has_line(interfaces, "GROUP=\"wellgate-usb\"", "MODE=\"0660\""));
		}
	}
	assert_true(n >= 5);
}

static bool is_served(unsigned int vid, unsigned int pid)
{
	for (const struct driver *const *d = drivers; *d; d++) {
		for (const struct drv_match *row = (*d)->match; is_wired(row); row++) {
			if (row->vid == vid && row->pid == pid)
				return true;
		}
	}
	return false;
}

static void every_rule_has_its_row(void **state)
{
	static const char vendor[] = "{idVendor}==\"", product[] = "{idProduct}==\"";
	size_t n = 0;

	(void)state;
	for (const char *at = strstr(rules, vendor); at; at = strstr(at + 1, vendor)) {
		const char *next = strstr(at, product);

		assert_non_null(next);
		assert_true(is_served((unsigned int)strtoul(at + strlen(vendor), NULL, 16),
				      (unsigned int)strtoul(next + strlen(product), NULL, 16)));
		n++;
	}
	assert_true(n > 0);
	assert_null(strstr(rules, "0666"));
	assert_null(strstr(rules, "uaccess"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_row_has_its_rules),
		cmocka_unit_test(every_rule_has_its_row),
	};

	return cmocka_run_group_tests(tests, read_rules, NULL);
}
