/* links: transports */
/* What devices and files say before there is a driver: report descriptors, USB descriptors, serial
 * numbers, notes. The first byte chooses. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "drivers/transport/hid_reports.h"
#include "drivers/transport/usb_monitor.h"
#include "drivers/transport/wire_notes.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void try_reports(const uint8_t *data, size_t size)
{
	struct hid_reports r;

	if (hid_reports_parse(data, size, &r) < 0)
		return;
	for (unsigned int i = 0; i <= UINT8_MAX; i++) {
		if (hid_report_size(&r, HID_INPUT, (uint8_t)i) > HID_REPORT_MAX + 1)
			abort();
	}
}

static void try_classes(const uint8_t *data, size_t size)
{
	uint8_t classes[USB_CLASSES_MAX];

	if (usb_classes(data, size, classes) > USB_CLASSES_MAX)
		abort();
}

static void try_serial(const uint8_t *data, size_t size)
{
	char text[USB_TEXT_MAX + 1];
	const size_t len = size < sizeof(text) - 1 ? size : sizeof(text) - 1;

	if (len > 0)
		memcpy(text, data, len);
	text[len] = '\0';
	if (usb_serial_is_good(text) && strlen(text) < 4)
		abort();
}

/* What is read must be what would be written. */
static void try_note(const uint8_t *data, size_t size)
{
	struct wire_note note;
	char text[WIRE_NOTE_BYTES];
	size_t len;

	if (wire_note_parse((const char *)data, size, &note) < 0)
		return;
	if (wire_note_print(&note, text, sizeof(text), &len) < 0 || len != size ||
	    memcmp(text, data, size) != 0)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static void (*const tries[])(const uint8_t *, size_t) = { try_reports, try_classes,
								  try_serial, try_note };

	if (size > 0)
		tries[data[0] % 4](data + 1, size - 1);
	return 0;
}
