/*
 * Microlife's older USB cuffs (04b4:5500): a bridge that says it is HID and that the kernel's
 * cypress_m8 takes as a tty. Reports of 8 bytes, the low bits of the first count those that
 * follow.
 *
 *   12 16 18 22 -> 06, the memory, sum     12 16 18 26 -> 06, the clock, sum
 *
 * The rest is hexadecimal text; the sum is of its characters. Commands that set something are
 * logged as a host's error. Source: the project's notes on these cuffs, from a program of an
 * owner.
 */
#include <stdarg.h>
#include <string.h>

#include "tests/lab/usb/models/stock.h"

#define COUNT     0x07
#define LINE_SIZE 5
#define TEXT_MAX  (64 + 32 * USB_STOCK_MAX)

#define SET_REPORT     0x09
#define GET_REPORT     0x01
#define FEATURE_REPORT 3

struct microlife {
	struct usb_stock stock;
	uint8_t line[LINE_SIZE];
	uint8_t command[4];
	size_t have;
	char text[TEXT_MAX];
	size_t len;
};

static void put(struct microlife *m, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void put(struct microlife *m, const char *format, ...)
{
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(m->text + m->len, sizeof(m->text) - m->len, format, args);
	va_end(args);
	if (n > 0 && (size_t)n < sizeof(m->text) - m->len)
		m->len += (size_t)n;
}

static void send_text(struct usb_device *d)
{
	struct microlife *const m = d->state;
	unsigned int sum = 0;

	for (size_t i = 1; i < m->len; i++)
		sum += (uint8_t)m->text[i];
	put(m, "%02X", sum & 0xff);
	usb_log(d, "sends %zu characters", m->len);
	usb_stock_send(d, m->text, m->len);
}

static void put_record(struct usb_device *d, uint32_t number)
{
	struct microlife *const m = d->state;
	const struct usb_pressure p = usb_pressure_of(d, number);
	const time_t time = usb_device_time(number);
	struct tm t;

	(void)gmtime_r(&time, &t);
	put(m, "%02d%02d%02d%02d%02d", t.tm_year - 100, t.tm_mon + 1, t.tm_mday, t.tm_hour,
	    t.tm_min);
	put(m, "000000%08X00000000",
	    (unsigned int)p.systolic | (unsigned int)p.diastolic << 10 |
		    (unsigned int)p.pulse << 20);
	usb_log(d, "reported n=%u", number);
}

static void send_memory(struct usb_device *d)
{
	struct microlife *const m = d->state;

	m->text[0] = 0x06;
	m->len = 1;
	put(m, "%04X0000%024d", m->stock.n, 0);
	for (unsigned int n = 1; n <= m->stock.n; n++)
		put_record(d, n);
	send_text(d);
}

static void send_clock(struct usb_device *d)
{
	struct microlife *const m = d->state;
	const time_t now = time(NULL);
	struct tm t;

	(void)gmtime_r(&now, &t);
	m->text[0] = 0x06;
	m->len = 1;
	put(m, "%02d%02d%04d%02d%02d%02d", t.tm_mon + 1, t.tm_mday, t.tm_year + 1900, t.tm_hour,
	    t.tm_min, t.tm_sec);
	send_text(d);
}

static void on_command(struct usb_device *d)
{
	struct microlife *const m = d->state;

	usb_log_bytes(d, "hears", m->command, sizeof(m->command));
	if (memcmp(m->command, "\x12\x16\x18", 3) != 0)
		usb_log(d, "host-error command");
	else if (m->command[3] == 0x22)
		send_memory(d);
	else if (m->command[3] == 0x26)
		send_clock(d);
	else
		usb_log(d, "host-error command %02x", m->command[3]);
}

static void microlife_out(struct usb_device *d, uint8_t endpoint, const uint8_t *data, size_t len)
{
	struct microlife *const m = d->state;

	(void)endpoint;
	if (len == 0 || len > USB_REPORT || (data[0] & COUNT) > len - 1) {
		usb_log_bytes(d, "host-error report", data, len);
		return;
	}
	for (size_t i = 1; i <= (data[0] & COUNT); i++) {
		m->command[m->have++] = data[i];
		if (m->have == sizeof(m->command)) {
			m->have = 0;
			on_command(d);
		}
	}
}

/* the line's speed, which means nothing here */
static int microlife_control(struct usb_device *d, const struct usb_setup *setup, uint8_t *data)
{
	struct microlife *const m = d->state;
	const uint16_t n = setup->length < LINE_SIZE ? setup->length : LINE_SIZE;

	if (setup->value != FEATURE_REPORT << 8)
		return USB_STALL;
	if (setup->request == SET_REPORT) {
		memcpy(m->line, data, n);
		return 0;
	}
	if (setup->request != GET_REPORT)
		return USB_STALL;
	memcpy(data, m->line, n);
	return n;
}

static void microlife_configured(struct usb_device *d)
{
	((struct microlife *)d->state)->have = 0;
}

static const uint8_t DEVICE[18] = {
	18, 1, 0x10, 0x01, 0, 0, 0, 8, 0xb4, 0x04, 0x00, 0x55, 0x00, 0x01, 1, 2, 0, 1,
};
static const uint8_t REPORTS[] = {
	0x06, 0xa0, 0xff, 0x09, 0xa5, 0xa1, 0x01, 0x15, 0x00, 0x26, 0xff, 0x00, 0x75, 0x08, /* */
	0x09, 0xa6, 0x95, 0x08, 0x81, 0x02,                                                 /* in */
	0x09, 0xa7, 0x95, 0x08, 0x91, 0x02,       /* out */
	0x09, 0xa8, 0x95, 0x05, 0xb1, 0x02, 0xc0, /* feature: the line */
};
static const uint8_t CONFIGURATION[] = USB_HID_CONFIGURATION(sizeof(REPORTS), USB_REPORT, 10);

const struct usb_model usb_microlife = {
	.name = "microlife",
	.speed = USBIP_LOW,
	.device = { DEVICE, sizeof(DEVICE) },
	.configuration = { CONFIGURATION, sizeof(CONFIGURATION) },
	.report = { REPORTS, sizeof(REPORTS) },
	.strings = { NULL, "Simulated", "USB to serial", NULL },
	.state_size = sizeof(struct microlife),
	.configured = microlife_configured,
	.control = microlife_control,
	.out = microlife_out,
	.measure = usb_stock_measure,
};
