/*
 * Cuffs of Beurer and Sanitas made by Andon: over HID (BM58, 0c45:7406) and behind a serial bridge
 * (BM65, PL2303 067b:2303, 4800 8N1). One byte asks, the answer has no checksum:
 *
 *   aa -> 55 | a4 -> what it is | a2 -> count | a3 n -> the n-th record, the newest first | f7, f6
 *
 * Both keep all their readings; nothing that they can be told erases one, so any other byte is
 * logged as a host's error. Source: the project's notes on these cuffs, from programs of owners.
 * The bridge: what Linux' pl2303 asks of one; answers are of a PL2303HX.
 */
#include <string.h>

#include "protocols/bytes/cursor.h"
#include "tests/lab/usb/models/stock.h"

#define EVENT_IN   0x81 /* HID: reports; bridge: its lines */
#define BULK_OUT   0x02
#define BULK_IN    0x83
#define REPORT     8
#define IDLE       0xf4
#define NO_RECORD  0xa9
#define HAS_RECORD 0xac
#define FLAG       0x80
#define BAUD       4800

#define SET_REPORT    0x09
#define OUTPUT_REPORT 2
#define VENDOR_READ   0xc0
#define SET_LINE      0x20
#define GET_LINE      0x21
#define SET_LINES     0x22 /* DTR and RTS */
#define BREAK         0x23
#define LINE_SIZE     7

struct beurer {
	struct usb_stock stock;
	bool wants_index; /* serial: a3 has come */
	uint8_t line[LINE_SIZE];
};

static const char IDENTITY[] = "Andon Blood Pressure Meter KD001"; /* 32 characters */

static void begin(struct usb_device *d)
{
	((struct beurer *)d->state)->wants_index = false;
}

/* sys-25, dia-25, pulse, month, day, hour, minute, year-2000 */
static void record_of(struct usb_device *d, uint32_t number, uint8_t ret[8])
{
	const struct usb_pressure p = usb_pressure_of(d, number);
	const time_t time = usb_device_time(number);
	struct tm t;

	(void)gmtime_r(&time, &t);
	ret[0] = (uint8_t)(p.systolic - 25);
	ret[1] = (uint8_t)(p.diastolic - 25);
	ret[2] = (uint8_t)p.pulse;
	ret[3] = (uint8_t)(t.tm_mon + 1);
	ret[4] = (uint8_t)t.tm_mday;
	ret[5] = (uint8_t)t.tm_hour;
	ret[6] = (uint8_t)t.tm_min;
	ret[7] = (uint8_t)(t.tm_year - 100);
}

/* The number of the index-th, 0: there is none. */
static uint32_t number_of(const struct beurer *b, uint8_t index)
{
	return index >= 1 && index <= b->stock.n ? b->stock.n - index + 1 : 0;
}

/* ---- HID ---- */

static void reply(struct usb_device *d, const uint8_t *data, size_t len)
{
	uint8_t report[REPORT];

	memset(report, IDLE, sizeof(report));
	memcpy(report, data, len);
	usb_log_bytes(d, "sends", report, sizeof(report));
	usb_send(d, EVENT_IN, report, sizeof(report));
}

static void hid_record(struct usb_device *d, uint8_t index)
{
	const struct beurer *const b = d->state;
	const uint32_t number = number_of(b, index);
	uint8_t record[8];

	if (number == 0) {
		reply(d, (const uint8_t[]){ NO_RECORD }, 1);
		return;
	}
	record_of(d, number, record);
	if (usb_stock_user(&b->stock, number) == 2)
		record[4] |= FLAG;
	usb_log(d, "reported n=%u", number);
	reply(d, record, sizeof(record));
}

static void hid_command(struct usb_device *d, const uint8_t *report)
{
	const struct beurer *const b = d->state;

	usb_log_bytes(d, "hears", report, REPORT);
	switch (report[0]) {
	case 0xaa:
		reply(d, (const uint8_t[]){ 0x55 }, 1);
		break;
	case 0xa4:
	case 0xa5:
	case 0xa6:
	case 0xa7:
		reply(d, (const uint8_t *)IDENTITY + (size_t)(8 * (report[0] - 0xa4)), 8);
		break;
	case 0xa2:
		reply(d, (const uint8_t[]){ (uint8_t)b->stock.n }, 1);
		break;
	case 0xa3:
		hid_record(d, report[1]);
		break;
	case 0xf7:
	case 0xf6:
		break;
	default:
		usb_log(d, "host-error command");
	}
}

static int hid_control(struct usb_device *d, const struct usb_setup *setup, uint8_t *data)
{
	if (setup->type != 0x21 || setup->request != SET_REPORT ||
	    setup->value != OUTPUT_REPORT << 8)
		return USB_STALL;
	if (setup->length != REPORT) {
		usb_log(d, "host-error report of %u", setup->length);
		return USB_STALL;
	}
	hid_command(d, data);
	return 0;
}

/* ---- serial ---- */

static void answer(struct usb_device *d, const uint8_t *data, size_t len)
{
	usb_log_bytes(d, "sends", data, len);
	usb_send(d, BULK_IN, data, len);
}

static void serial_record(struct usb_device *d, uint8_t index)
{
	const uint32_t number = number_of(d->state, index);
	uint8_t record[9] = { HAS_RECORD };

	if (number == 0) {
		answer(d, (const uint8_t[]){ NO_RECORD }, 1);
		return;
	}
	record_of(d, number, record + 1);
	usb_log(d, "reported n=%u", number);
	answer(d, record, sizeof(record));
}

static void serial_byte(struct usb_device *d, uint8_t byte)
{
	struct beurer *const b = d->state;

	if (b->wants_index) {
		b->wants_index = false;
		serial_record(d, byte);
		return;
	}
	switch (byte) {
	case 0xaa:
		answer(d, (const uint8_t[]){ 0x55 }, 1);
		break;
	case 0xa4:
		answer(d, (const uint8_t *)IDENTITY, sizeof(IDENTITY) - 1);
		break;
	case 0xa2:
		answer(d, (const uint8_t[]){ (uint8_t)b->stock.n }, 1);
		break;
	case 0xa3:
		b->wants_index = true;
		break;
	case 0xf7:
	case 0xf6:
		break;
	default:
		usb_log(d, "host-error command");
	}
}

/* A cuff hears nothing at another speed. */
static bool line_is_right(const struct beurer *b)
{
	struct cursor c = cursor_of(b->line, sizeof(b->line));

	/* then one stop bit, no parity, eight bits */
	return cursor_le32(&c) == BAUD && cursor_u8(&c) == 0 && cursor_u8(&c) == 0 &&
	       cursor_u8(&c) == 8;
}

static void serial_out(struct usb_device *d, uint8_t endpoint, const uint8_t *data, size_t len)
{
	const struct beurer *const b = d->state;

	(void)endpoint;
	usb_log_bytes(d, "hears", data, len);
	if (!line_is_right(b)) {
		usb_log_bytes(d, "host-error line", b->line, sizeof(b->line));
		return;
	}
	for (size_t i = 0; i < len; i++)
		serial_byte(d, data[i]);
}

static int serial_control(struct usb_device *d, const struct usb_setup *setup, uint8_t *data)
{
	struct beurer *const b = d->state;

	if (setup->type == VENDOR_READ && setup->length >= 1) {
		data[0] = 0; /* registers of the bridge */
		return 1;
	}
	switch (setup->request) {
	case SET_LINE:
		if (setup->length != LINE_SIZE)
			return USB_STALL;
		memcpy(b->line, data, LINE_SIZE);
		usb_log_bytes(d, "line", data, LINE_SIZE);
		return 0;
	case GET_LINE:
		memcpy(data, b->line, LINE_SIZE);
		return setup->length < LINE_SIZE ? setup->length : LINE_SIZE;
	default: /* its registers, DTR and RTS, break */
		return setup->type & USB_IN ? USB_STALL : 0;
	}
}

/* ---- what they are ---- */

static void hid_born(struct usb_device *d)
{
	((struct usb_stock *)d->state)->two_users = true;
}

static const uint8_t HID_DEVICE[18] = {
	18, 1, 0x10, 0x01, 0, 0, 0, 8, 0x45, 0x0c, 0x06, 0x74, 0x00, 0x01, 1, 2, 0, 1,
};
static const uint8_t HID_REPORT[] = {
	0x06, 0x00, 0xff, 0x09, 0x01, 0xa1, 0x01, /* vendor's page, application */
	0x09, 0x02, 0x15, 0x00, 0x26, 0xff, 0x00,
	0x75, 0x08, 0x95, 0x08, 0x81, 0x02,       /* 8 bytes in */
	0x09, 0x03, 0x95, 0x08, 0x91, 0x02, 0xc0, /* 8 out */
};
static const uint8_t HID_CONFIGURATION[] = {
	9,  2,    34,       0,    1,      1, 0,    0x80,
	50, /* configuration */
	9,  4,    0,        0,    1,      3, 0,    0,
	0, /* HID, one endpoint */
	9,  0x21, 0x10,     0x01, 0,      1, 0x22, sizeof(HID_REPORT),
	0,                                       /* */
	7,  5,    EVENT_IN, 3,    REPORT, 0, 10, /* */
};

static const uint8_t BRIDGE_DEVICE[18] = {
	18, 1, 0x10, 0x01, 0, 0, 0, 64, 0x7b, 0x06, 0x03, 0x23, 0x00, 0x03, 1, 2, 0, 1,
};
static const uint8_t BRIDGE_CONFIGURATION[] = {
	9, 2, 39,       0, 1,  1,    0, 0x80, 50, /* configuration */
	9, 4, 0,        0, 3,  0xff, 0, 0,    0,  /* the vendor's, three endpoints */
	7, 5, EVENT_IN, 3, 10, 0,    1,           /* */
	7, 5, BULK_OUT, 2, 64, 0,    0,           /* */
	7, 5, BULK_IN,  2, 64, 0,    0,           /* */
};

const struct usb_model usb_beurer_hid = {
	.name = "beurer_hid",
	.speed = USBIP_FULL,
	.device = { HID_DEVICE, sizeof(HID_DEVICE) },
	.configuration = { HID_CONFIGURATION, sizeof(HID_CONFIGURATION) },
	.report = { HID_REPORT, sizeof(HID_REPORT) },
	.strings = { NULL, "Simulated", "Blood pressure monitor", NULL },
	.state_size = sizeof(struct beurer),
	.born = hid_born,
	.configured = begin,
	.control = hid_control,
	.measure = usb_stock_measure,
};

const struct usb_model usb_beurer_serial = {
	.name = "beurer_serial",
	.speed = USBIP_FULL,
	.device = { BRIDGE_DEVICE, sizeof(BRIDGE_DEVICE) },
	.configuration = { BRIDGE_CONFIGURATION, sizeof(BRIDGE_CONFIGURATION) },
	.strings = { NULL, "Simulated", "USB-Serial Controller", NULL },
	.state_size = sizeof(struct beurer),
	.configured = begin,
	.control = serial_control,
	.out = serial_out,
	.measure = usb_stock_measure,
};
