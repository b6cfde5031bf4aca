/*
 * How long the reports of a HID device are, out of its report descriptor, and whether they are
 * numbered. That is all that is read of it: what the bytes mean is the driver's to know. Source:
 * USB HID 1.11, sections 6.2.2 and 8.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HID_DESCRIPTOR_MAX 4096  /* as the kernel has it */
#define HID_REPORT_MAX     16384 /* bytes, without the number; as the kernel has it */

enum hid_kind {
	HID_INPUT = 0,
	HID_OUTPUT,
	HID_FEATURE,
	HID_KIND_END
};

struct hid_reports {
	bool numbered;
	/* bits, of the report of each number (0 where they are not numbered); 0: there is none */
	uint32_t bits[HID_KIND_END][256];
};

/* The descriptor is the device's, so it is not trusted. -EMSGSIZE longer than HID_DESCRIPTOR_MAX;
 * -EBADMSG cut short, number 0, an item where none may be, more than four levels of Push; -ERANGE a
 * report longer than HID_REPORT_MAX. */
int hid_reports_parse(const uint8_t *data, size_t len, struct hid_reports *ret);
/* Bytes of a report as written to hidraw, so always with the number in front; 0: no such report. */
size_t hid_report_size(const struct hid_reports *r, enum hid_kind type, uint8_t number);
