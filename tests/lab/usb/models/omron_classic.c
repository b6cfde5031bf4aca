/*
 * Omron's first generation on USB (0590:0028) as a HEM-7080IT: commands in ASCII over HID reports
 * of eight bytes, of which the first counts. Two banks, one for each user; the newest reading is
 * 0.
 *
 *   zeros (12) -> OK    VER00 -> OK 00 "M7080IT 207" x    GDC 00 bank 00 00 x -> count
 *   GME 00 bank 00 i x -> reading    GCL00 -> clock    END ff ff -> OFF, and it is off
 *
 * What erases (MCL) is a host's error, and does nothing here. Source: the project's notes, from a
 * program of owners.
 */
#include <stdlib.h>
#include <string.h>

#include "protocols/bytes/writer.h"
#include "tests/lab/usb/models/stock.h"

#define ZEROS       12
#define COMMAND_MAX 12
#define ANSWER_MAX  32
#define SET_REPORT  0x09

struct classic {
	struct usb_stock stock;
	bool off;
	uint8_t command[COMMAND_MAX];
	size_t have;
};

static const char VERSION[] = "M7080IT 207";

static void reply_bytes(struct usb_device *d, const uint8_t *data, size_t len)
{
	usb_log_bytes(d, "sends", data, len);
	usb_stock_send(d, data, len);
}

/* OK 00, data, and what makes the xor of all behind OK zero */
static void reply(struct usb_device *d, const void *data, size_t len)
{
	const uint8_t *const bytes = data;
	uint8_t answer[ANSWER_MAX], check = 0;
	struct writer w = writer_of(answer, sizeof(answer));

	writer_bytes(&w, "OK", 3);
	writer_bytes(&w, data, len);
	for (size_t i = 0; i < len; i++)
		check ^= bytes[i];
	writer_u8(&w, check);
	reply_bytes(d, answer, w.len);
}

static unsigned int count_of(const struct classic *c, uint8_t bank)
{
	return bank == 0 ? (c->stock.n + 1) / 2 : bank == 1 ? c->stock.n / 2 : 0;
}

static void put_time(struct writer *w, time_t time)
{
	struct tm t;

	(void)gmtime_r(&time, &t);
	writer_u8(w, (uint8_t)(t.tm_year - 100));
	writer_u8(w, (uint8_t)(t.tm_mon + 1));
	writer_u8(w, (uint8_t)t.tm_mday);
	writer_u8(w, (uint8_t)t.tm_hour);
	writer_u8(w, (uint8_t)t.tm_min);
	writer_u8(w, (uint8_t)t.tm_sec);
}

static void send_reading(struct usb_device *d, uint8_t bank, uint8_t index)
{
	const unsigned int count = count_of(d->state, bank);
	uint8_t record[16];
	struct writer w = writer_of(record, sizeof(record));
	struct usb_pressure p;
	uint32_t number;

	if (index >= count) {
		reply_bytes(d, (const uint8_t *)"NO", 2);
		return;
	}
	number = 2 * (count - index) - (bank == 0);
	p = usb_pressure_of(d, number);
	put_time(&w, usb_device_time(number));
	writer_u8(&w, 0); /* mmHg */
	writer_be16(&w, p.systolic);
	writer_u8(&w, (uint8_t)p.diastolic);
	writer_u8(&w, (uint8_t)p.pulse);
	writer_be16(&w, 0);
	usb_log(d, "reported n=%u", number);
	reply(d, record, w.len);
}

static void send_count(struct usb_device *d, uint8_t bank)
{
	const unsigned int n = count_of(d->state, bank);

	reply(d, (const uint8_t[]){ 0, 0, (uint8_t)(n >> 8), (uint8_t)n }, 4);
}

static void send_clock(struct usb_device *d)
{
	uint8_t clock[8];
	struct writer w = writer_of(clock, sizeof(clock));

	put_time(&w, time(NULL));
	reply(d, clock, w.len);
}

static bool is(const struct classic *c, const char *letters)
{
	return memcmp(c->command, letters, 3) == 0;
}

static void carry_out(struct usb_device *d)
{
	struct classic *const c = d->state;
	const uint8_t *const a = c->command + 3;

	if (c->command[0] == 0)
		reply_bytes(d, (const uint8_t *)"OK", 2);
	else if (is(c, "VER"))
		reply(d, VERSION, sizeof(VERSION) - 1);
	else if (is(c, "SRL") || is(c, "PRF"))
		reply(d, "0000000", 7);
	else if (is(c, "GCL"))
		send_clock(d);
	else if (is(c, "GDC"))
		send_count(d, a[1]);
	else if (is(c, "GME"))
		send_reading(d, a[1], a[3]);
	else if (is(c, "END"))
		reply_bytes(d, (const uint8_t *)"OFF\r\n", 5);
	else
		usb_log_bytes(d, "host-error command", c->command, c->have);
	if (is(c, "END")) {
		usb_log(d, "ended");
		c->off = true;
	}
}

static size_t length_of(const struct classic *c)
{
	if (c->command[0] == 0)
		return ZEROS;
	return is(c, "GDC") || is(c, "GME") ? 8 : is(c, "MES") ? 7 : 5;
}

static void classic_out(struct usb_device *d, uint8_t endpoint, const uint8_t *data, size_t len)
{
	struct classic *const c = d->state;

	(void)endpoint;
	if (len != USB_REPORT || data[0] == 0 || data[0] > USB_REPORT - 1) {
		usb_log_bytes(d, "host-error report", data, len);
		return;
	}
	usb_log_bytes(d, "hears", data, 1 + (size_t)data[0]);
	for (size_t i = 1; i <= data[0] && !c->off; i++) {
		c->command[c->have++] = data[i];
		if (c->have >= 3 && c->have == length_of(c)) {
			carry_out(d);
			c->have = 0;
		}
	}
}

/* the mode: two bytes as a feature report */
static int classic_control(struct usb_device *d, const struct usb_setup *setup, uint8_t *data)
{
	struct classic *const c = d->state;

	if (setup->type != 0x21 || setup->request != SET_REPORT || setup->value != 0x0300 ||
	    setup->length != 2)
		return USB_STALL;
	usb_log_bytes(d, "mode", data, 2);
	c->have = 0;
	return 0;
}

static void classic_configured(struct usb_device *d)
{
	struct classic *const c = d->state;

	c->off = false;
	c->have = 0;
}

static void classic_born(struct usb_device *d)
{
	((struct usb_stock *)d->state)->two_users = true;
}

static const uint8_t DEVICE[18] = {
	18, 1, 0x10, 0x01, 0, 0, 0, 8, 0x90, 0x05, 0x28, 0x00, 0x00, 0x01, 1, 2, 0, 1,
};
static const uint8_t REPORTS[] = {
	0x06, 0x00, 0xff, 0x09, 0x01, 0xa1, 0x01, 0x15, 0x00, 0x26, 0xff, 0x00, 0x75, 0x08, /* */
	0x09, 0x02, 0x95, 0x08, 0x81, 0x02,                                                 /* in */
	0x09, 0x03, 0x95, 0x08, 0x91, 0x02,       /* out */
	0x09, 0x04, 0x95, 0x02, 0xb1, 0x02, 0xc0, /* feature: the mode */
};
static const uint8_t CONFIGURATION[] = USB_HID_CONFIGURATION(sizeof(REPORTS), USB_REPORT, 10);

const struct usb_model usb_omron_classic = {
	.name = "omron_classic",
	.speed = USBIP_FULL,
	.device = { DEVICE, sizeof(DEVICE) },
	.configuration = { CONFIGURATION, sizeof(CONFIGURATION) },
	.report = { REPORTS, sizeof(REPORTS) },
	.strings = { NULL, "Simulated", "Blood pressure monitor", NULL },
	.state_size = sizeof(struct classic),
	.born = classic_born,
	.configured = classic_configured,
	.control = classic_control,
	.out = classic_out,
	.measure = usb_stock_measure,
};
