/*
 * Omron's HEM-7322U (0590:0090): a cuff that lets its memory be read, 2 x 100 records. HID reports
 * of 64 bytes, number 2, each with one frame:
 *
 *   len u8 | command u16 | address u16 | size u8 | data | result u8 | xor
 *
 *   08 0000 0000 10 00 18  begin -> 8000 with 16 bytes     08 0f00 0000 00 00 07  end -> 8f00
 *   08 0100 ADDR nn 00 xx  read -> 8100 with nn bytes      .. 01c0  write -> 81c0
 *
 * Asleep (`asleep on`) it does not answer before its button is pressed. What is written lands in
 * its memory only inside the settings' copy; anything else is logged as a host's error. Source:
 * the project's notes, from programs of owners; records are of HEM-7322U, big-endian words.
 */
#include <errno.h>
#include <string.h>

#include "protocols/bytes/cursor.h"
#include "protocols/bytes/writer.h"
#include "tests/lab/usb/models/stock.h"

#define REPORT    64
#define NUMBER    2
#define FRAME_MIN 8
#define BLOCK_MAX 40

#define MEMORY     0x1000
#define SETTINGS   0x0260
#define MIRROR     0x0286
#define SETTINGS_N 0x26
#define USER_1     0x02ac
#define USER_2     0x0824
#define RECORD     14
#define RECORDS    100

enum command {
	BEGIN = 0x0000,
	READ = 0x0100,
	WRITE = 0x01c0,
	END = 0x0f00,
	ANSWER = 0x8000,
};

struct omron {
	struct usb_stock stock;
	bool begun, asleep;
	uint8_t memory[MEMORY];
};

/* one word of a record, its high byte first */
static void put_record(struct usb_device *d, uint32_t number)
{
	struct omron *const o = d->state;
	const unsigned int slot = (number - 1) / 2 % RECORDS;
	const size_t at =
		(usb_stock_user(&o->stock, number) == 2 ? USER_2 : USER_1) + (size_t)slot * RECORD;
	const struct usb_pressure p = usb_pressure_of(d, number);
	const time_t time = usb_device_time(number);
	struct writer w = writer_of(o->memory + at, RECORD);
	uint8_t sum = 0;
	struct tm t;

	(void)gmtime_r(&time, &t);
	writer_u8(&w, (uint8_t)p.diastolic);
	writer_u8(&w, (uint8_t)(p.systolic - 25));
	writer_u8(&w, (uint8_t)(t.tm_year - 100));
	writer_u8(&w, (uint8_t)p.pulse);
	writer_be16(&w, (uint16_t)(t.tm_hour | t.tm_mday << 5 | (t.tm_mon + 1) << 10));
	writer_be16(&w, (uint16_t)(t.tm_sec | t.tm_min << 6 | 1 << 12)); /* the cuff sits well */
	writer_be16(&w, 0);
	writer_be16(&w, 0);
	for (size_t i = 0; i < w.len; i++)
		sum = (uint8_t)(sum + o->memory[at + i]);
	writer_u8(&w, 0);
	writer_u8(&w, sum);
}

static int omron_measure(struct usb_device *d, unsigned int count)
{
	struct omron *const o = d->state;
	const unsigned int before = o->stock.n;
	const int r = usb_stock_measure(d, count);

	for (unsigned int n = before + 1; r == 0 && n <= o->stock.n; n++)
		put_record(d, n);
	return r;
}

static void omron_born(struct usb_device *d)
{
	struct omron *const o = d->state;

	o->stock.two_users = true;
	memset(o->memory, 0xff, sizeof(o->memory));
	memset(o->memory + SETTINGS, 0, SETTINGS_N);
}

static void omron_configured(struct usb_device *d)
{
	((struct omron *)d->state)->begun = false;
}

static void reply(struct usb_device *d, uint16_t command, uint16_t address, const uint8_t *data,
		  uint8_t len)
{
	uint8_t report[REPORT] = { NUMBER };
	struct writer w = writer_of(report + 1, sizeof(report) - 1);
	uint8_t check = 0;

	writer_u8(&w, (uint8_t)(FRAME_MIN + len));
	writer_be16(&w, (uint16_t)(ANSWER | command));
	writer_be16(&w, address);
	writer_u8(&w, len);
	writer_bytes(&w, data, len);
	writer_u8(&w, 0);
	for (size_t i = 0; i < w.len; i++)
		check ^= report[1 + i];
	writer_u8(&w, check);
	usb_log_bytes(d, "sends", report, 1 + w.len);
	usb_send(d, USB_REPORTS_IN, report, sizeof(report));
}

static void on_read(struct usb_device *d, uint16_t address, uint8_t size)
{
	const struct omron *const o = d->state;

	if (size > BLOCK_MAX || (size_t)address + size > MEMORY) {
		usb_log(d, "host-error read %04x %u", address, size);
		reply(d, END, 0, NULL, 0);
		return;
	}
	reply(d, READ, address, o->memory + address, size);
}

static void on_write(struct usb_device *d, uint16_t address, const uint8_t *data, uint8_t size)
{
	struct omron *const o = d->state;
	const unsigned int at = (unsigned int)address - MIRROR; /* huge, if it lies before */

	usb_log_bytes(d, "wrote", data, size);
	if (size > SETTINGS_N || at > (unsigned int)(SETTINGS_N - size)) {
		usb_log(d, "host-error write %04x %u", address, size);
		return;
	}
	memcpy(o->memory + MIRROR + at, data, size);
	reply(d, WRITE, address, data, size);
}

static void on_frame(struct usb_device *d, const uint8_t *frame, size_t len)
{
	static const uint8_t ABOUT[16] = { 0 };
	struct omron *const o = d->state;
	struct cursor c = cursor_of(frame + 1, len - 1);
	const uint16_t command = cursor_be16(&c), address = cursor_be16(&c);
	const uint8_t size = cursor_u8(&c);

	if (command == BEGIN) {
		o->begun = true;
		reply(d, BEGIN, 0, ABOUT, sizeof(ABOUT));
	} else if (!o->begun) {
		usb_log(d, "host-error %04x before the beginning", command);
	} else if (command == READ) {
		on_read(d, address, size);
	} else if (command == WRITE && len == (size_t)FRAME_MIN + size) {
		on_write(d, address, frame + 6, size);
	} else if (command == END) {
		o->begun = false;
		usb_log(d, "ended");
		reply(d, END, 0, NULL, 0);
	} else {
		usb_log(d, "host-error command %04x", command);
	}
}

static void omron_out(struct usb_device *d, uint8_t endpoint, const uint8_t *data, size_t len)
{
	const struct omron *const o = d->state;
	uint8_t check = 0;

	(void)endpoint;
	if (len < 1 + FRAME_MIN || data[0] != NUMBER || data[1] < FRAME_MIN || data[1] > len - 1) {
		usb_log_bytes(d, "host-error report", data, len);
		return;
	}
	usb_log_bytes(d, "hears", data, 1 + (size_t)data[1]);
	for (size_t i = 1; i <= data[1]; i++)
		check ^= data[i];
	if (check != 0)
		usb_log(d, "host-error check");
	else if (!o->asleep)
		on_frame(d, data + 1, data[1]);
}

static int omron_command(struct usb_device *d, char **words, size_t n, char *answer, size_t size)
{
	(void)answer;
	(void)size;
	if (n != 2 || strcmp(words[0], "asleep") != 0)
		return -ENOENT;
	((struct omron *)d->state)->asleep = strcmp(words[1], "on") == 0;
	return 0;
}

static const uint8_t DEVICE[18] = {
	18, 1, 0x00, 0x02, 0, 0, 0, 64, 0x90, 0x05, 0x90, 0x00, 0x00, 0x01, 1, 2, 0, 1,
};
static const uint8_t REPORTS[] = {
	0x06, 0x00,   0xff, 0x09,       0x01, 0xa1, 0x01,
	0x85, NUMBER,                                     /* vendor's page, report number */
	0x15, 0x00,   0x26, 0xff,       0x00, 0x75, 0x08, /* bytes */
	0x09, 0x02,   0x95, REPORT - 1, 0x81, 0x02,       /* in */
	0x09, 0x03,   0x95, REPORT - 1, 0x91, 0x02, 0xc0, /* out */
};
static const uint8_t CONFIGURATION[] = USB_HID_CONFIGURATION(sizeof(REPORTS), REPORT, 4);

const struct usb_model usb_omron_memory = {
	.name = "omron_memory",
	.speed = USBIP_FULL,
	.device = { DEVICE, sizeof(DEVICE) },
	.configuration = { CONFIGURATION, sizeof(CONFIGURATION) },
	.report = { REPORTS, sizeof(REPORTS) },
	.strings = { NULL, "Simulated", "HEM-7322U", NULL },
	.state_size = sizeof(struct omron),
	.born = omron_born,
	.configured = omron_configured,
	.out = omron_out,
	.measure = omron_measure,
	.command = omron_command,
};
