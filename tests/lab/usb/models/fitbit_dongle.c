/*
 * Fitbit's base station (2687:fb01), a tracker in its reach and two of the neighbours'. Interface 0
 * carries data, 1 commands; both are HID, interrupt endpoints of 32 bytes.
 *
 *   commands  LENGTH COMMAND ...; what is behind LENGTH is what was there before
 *   data      a packet of at most 20 bytes | 0 | its length
 *
 * The tracker is on somebody made up (tests/wearer): its memory as at an instant of its own, of
 * yesterday half past three, and a minute more for each that is measured. What it tells in a dump
 * is in the log beforehand: "minute TIME STEPS", "day BEGIN END STEPS MILLIMETRES".
 *
 * Source: the project's notes on the base station, from the trace and the tests of an open client.
 * Not from hardware. A host that uploads, sets or deletes anything is logged as a host's error.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "protocols/bytes/crc.h"
#include "protocols/fitbit/dump.h"
#include "protocols/fitbit/message.h"
#include "tests/lab/usb/models/models.h"
#include "tests/lab/usb/world.h"
#include "tests/wearer/wearer.h"

#define DATA_OUT    0x01
#define DATA_IN     0x81
#define CONTROL_OUT 0x02
#define CONTROL_IN  0x82
#define FRAME       32
#define STALE       0xa5
#define MEMORY      120 /* minutes, unless told otherwise */
#define MINUTE      60
#define NOW_IN_DAY  (15 * 3600 + 30 * MINUTE + 30)
#define NEIGHBOURS  2
#define KEY_DIGITS  ((size_t)2 * FITBIT_KEY_SIZE)

enum quirk {
	LATE = 1 << 0,     /* StartDiscovery comes after the count */
	LONELY = 1 << 1,   /* nothing was connected, so no TerminateLink */
	MISCOUNT = 1 << 2, /* and out of order */
	COUNTLESS = 1 << 3,
	OLD = 1 << 4,      /* firmware 1.6, without EstablishLinkEx */
	WANTS_EX = 1 << 5, /* firmware 1.6, and all the same */
	FILLERS = 1 << 6,
	NOISE = 1 << 7,  /* statuses that nobody asked for */
	REASON = 1 << 8, /* 08 in place of 16 */
	CRC = 1 << 9,    /* of the dump, damaged */
	LENGTH = 1 << 10,
	LOST = 1 << 11,    /* the link, in the middle of the dump */
	REFUSES = 1 << 12, /* authentication is wanted */
	AWAY = 1 << 13,    /* the tracker is */
};

static const char *const quirk_names[] = { "late",   "lonely",  "miscount", "countless", "old",
					   "ex",     "fillers", "noise",    "reason",    "crc",
					   "length", "lost",    "refuses",  "away" };

struct station {
	struct wearer *wearer;
	int64_t now, told; /* s since 1970; told: minutes before it are in the log */
	unsigned int memory, quirks;
	bool linked, piped, airlinked, encrypted;
	uint8_t key[FITBIT_KEY_SIZE];
	uint32_t dumps;
	uint8_t dump[WEARER_DUMP_MAX];
};

/* until the program ends: a model is not told when its device goes */
static struct wearer *kept[WORLD_DEVICES_MAX];

/* ---- frames ---- */

static void control(struct usb_device *d, uint8_t command, const void *payload, size_t len)
{
	uint8_t frame[FRAME];

	memset(frame, STALE, sizeof(frame));
	frame[0] = (uint8_t)(len + 2);
	frame[1] = command;
	if (len > 0)
		memcpy(frame + 2, payload, len);
	usb_send(d, CONTROL_IN, frame, sizeof(frame));
}

static void status(struct usb_device *d, const char *text)
{
	uint8_t bytes[FRAME - 2] = { 0 };

	memcpy(bytes, text, strnlen(text, sizeof(bytes)));
	control(d, 0x01, bytes, sizeof(bytes));
}

static void packet(struct usb_device *d, const void *bytes, size_t len)
{
	uint8_t frame[FRAME] = { [FRAME - 1] = (uint8_t)len };

	memcpy(frame, bytes, len);
	usb_send(d, DATA_IN, frame, sizeof(frame));
}

/* ---- discovery ---- */

static void tracker_id(const struct usb_device *d, uint8_t ret[FITBIT_ID_SIZE])
{
	const uint8_t id[FITBIT_ID_SIZE] = { 0xe5, 0x14, 0x53, 0x33, (uint8_t)d->index, 0xff };

	memcpy(ret, id, sizeof(id));
}

static void found(struct usb_device *d, const uint8_t *id, uint8_t product)
{
	uint8_t payload[17] = { [6] = 1, [7] = 0xbc, [8] = 2, [9] = product, [10] = 4 };

	memcpy(payload, id, FITBIT_ID_SIZE);
	memset(payload + 11, STALE, 4); /* beyond the two that count */
	payload[16] = 0xfb;
	control(d, 0x03, payload, sizeof(payload));
}

static void discover(struct usb_device *d)
{
	const struct station *s = d->state;
	uint8_t id[FITBIT_ID_SIZE], count = NEIGHBOURS;

	if (!(s->quirks & LATE))
		status(d, "StartDiscovery");
	if (s->quirks & NOISE) {
		status(d, "ERROR: P1[7:1] should be 0");
		status(d, "3");
	}
	for (uint8_t i = 0; i < NEIGHBOURS; i++)
		found(d, (const uint8_t[]){ 0x0a, 0x1b, 0x2c, 0x3d, i, 0xcf }, FITBIT_ONE);
	if (s->quirks & MISCOUNT)
		control(d, 0x02, &count, 1);
	tracker_id(d, id);
	if (!(s->quirks & AWAY)) {
		found(d, id, FITBIT_FLEX);
		count++;
	}
	if (s->quirks & COUNTLESS)
		control(d, 0x0a, NULL, 0);
	else if (!(s->quirks & MISCOUNT))
		control(d, 0x02, &count, 1);
	if (s->quirks & LATE)
		status(d, "StartDiscovery");
}

/* ---- links ---- */

static void parameters(struct usb_device *d)
{
	control(d, 0x06, "\6\0\0\0\310\0", 6);
}

static void cut_link(struct usb_device *d)
{
	struct station *s = d->state;

	s->linked = s->airlinked = false;
	control(d, 0x05, s->quirks & REASON ? "\10" : "\26", 1);
	status(d, "GAP_LINK_TERMINATED_EVENT");
	status(d, s->quirks & REASON ? "8" : "22");
}

static void disconnect_all(struct usb_device *d)
{
	struct station *s = d->state;

	status(d, "CancelDiscovery");
	if (!(s->quirks & LONELY))
		status(d, "TerminateLink");
	if (s->linked)
		cut_link(d);
	s->piped = false;
}

static void establish(struct usb_device *d, bool ex, const uint8_t *whom)
{
	struct station *s = d->state;
	uint8_t id[FITBIT_ID_SIZE];

	tracker_id(d, id);
	if (memcmp(whom, id, sizeof(id)) != 0)
		usb_log(d, "host-error somebody else's tracker");
	if (s->quirks & (ex ? OLD : WANTS_EX)) {
		control(d, 0xff, "\2\3", 2);
		return;
	}
	status(d, ex ? "EstablishLinkEx called..." : "EstablishLink");
	control(d, 0x04, "\0", 1);
	status(d, "GAP_LINK_ESTABLISHED_EVENT");
	if (ex)
		parameters(d);
	s->linked = true;
	control(d, 0x07, NULL, 0);
}

static void tell_info(struct usb_device *d)
{
	const struct station *s = d->state;
	const bool old = s->quirks & (OLD | WANTS_EX);
	const uint8_t info[20] = { old ? 1 : 2,
				   old ? 6 : 5,
				   (uint8_t)d->index,
				   0x55,
				   0x44,
				   0x33,
				   0x22,
				   0x11,
				   0x74,
				   0x09,
				   0x00,
				   0x20,
				   0x00,
				   0x00,
				   0xff,
				   0xe7,
				   0x01,
				   0x00,
				   2,
				   0 };

	control(d, 0x08, info, old ? sizeof(info) - 1 : sizeof(info));
}

static void on_command(struct usb_device *d, const uint8_t *data, size_t len)
{
	struct station *s = d->state;

	if (len < 2 || data[0] != len) {
		usb_log_bytes(d, "host-error command", data, len);
		return;
	}
	switch (data[1]) {
	case 0x01:
		tell_info(d);
		break;
	case 0x02:
		disconnect_all(d);
		break;
	case 0x04:
		if (len == 26)
			discover(d);
		break;
	case 0x05:
		status(d, "CancelDiscovery");
		break;
	case 0x06:
	case 0x12:
		if (len == (data[1] == 0x06 ? 11 : 17))
			establish(d, data[1] == 0x12, data + 2);
		break;
	case 0x07:
		status(d, "TerminateLink");
		cut_link(d);
		break;
	case 0x08:
		s->piped = len == 3 && data[2] == 1;
		packet(d, "\300\13", 2);
		break;
	case 0x19:
		break;
	default:
		usb_log_bytes(d, "host-error command", data, len);
	}
}

/* ---- the tracker ---- */

static int make_wearer(const struct usb_device *d, struct station *s)
{
	const time_t day = time(NULL) / 86400 * 86400;
	struct wearer_plan plan = {
		.seed = 1 + d->index,
		.first = day - (int64_t)2 * 86400 + 43200,
		.days = 4,
		.battery_dies = WEARER_NEVER,
		.lost_day = WEARER_NEVER,
		.memory_minutes = s->memory,
	};

	int r;

	if (s->wearer)
		return 0;
	s->now = day - 86400 + NOW_IN_DAY;
	r = wearer_new(&plan, &s->wearer);
	kept[d->index] = s->wearer;
	return r;
}

/* What a host must make of the dump: whole minutes, and the day so far. */
static void log_truth(const struct usb_device *d, struct station *s)
{
	const int64_t from = s->now - (int64_t)s->memory * MINUTE;
	const struct wearer_minute *minutes;
	struct wearer_day day;
	size_t n;
	int64_t start;

	minutes = wearer_minutes(s->wearer, &n, &start);
	for (size_t i = 0; i < n; i++) {
		const int64_t at = start + (int64_t)i * MINUTE;

		if (at > from && at >= s->told && at + MINUTE <= s->now && minutes[i].recorded) {
			usb_log(d, "minute %lld %u", (long long)at, minutes[i].steps);
			s->told = at + MINUTE;
		}
	}
	for (unsigned int i = 0; wearer_day(s->wearer, i, s->now, &day) == 0; i++)
		if (day.start < s->now && s->now <= day.end)
			usb_log(d, "day %lld %lld %u %u", (long long)day.start, (long long)s->now,
				day.steps, day.distance_mm);
}

static size_t make_dump(struct usb_device *d, struct station *s)
{
	struct wearer_tracker tracker = { .product = FITBIT_FLEX, .battery_percent = 80 };
	size_t len = 0;

	tracker.serial[0] = (uint8_t)d->index;
	tracker.serial[4] = 0x42;
	tracker.key = s->encrypted ? s->key : NULL;
	tracker.nonce[0] = (uint8_t)++s->dumps;
	if (wearer_dump(s->wearer, s->now, &tracker, s->dump, sizeof(s->dump), &len) < 0)
		abort(); /* a plan that cannot be is our own mistake */
	return len;
}

/* In packets, each but the last of what fits into 20 bytes with its escape. */
static void send_packets(struct usb_device *d, const uint8_t *data, size_t len)
{
	for (size_t i = 0, taken; i < len; i += taken) {
		uint8_t bytes[FITBIT_PACKET_MAX];
		struct writer w = writer_of(bytes, sizeof(bytes));

		if (fitbit_packet_encode(data + i, len - i, &w, &taken) < 0)
			abort();
		packet(d, bytes, w.len);
	}
}

static void send_dump(struct usb_device *d, uint8_t type)
{
	struct station *s = d->state;
	struct fitbit_control m = { .kind = FITBIT_DUMP_BEGINS, .type = type };
	uint8_t bytes[FITBIT_PACKET_MAX];
	struct writer w = writer_of(bytes, sizeof(bytes));
	const size_t len = make_dump(d, s);

	log_truth(d, s);
	(void)fitbit_control_encode(&m, &w);
	packet(d, bytes, w.len);
	send_packets(d, s->dump, s->quirks & LOST ? len / 2 : len);
	if (s->quirks & LOST) {
		cut_link(d);
		return;
	}
	m.kind = FITBIT_DUMP_ENDS;
	m.crc = crc_16_xmodem_add(0, s->dump, len) ^ (s->quirks & CRC ? 1 : 0);
	m.has_length = true;
	m.length = (uint32_t)len + (s->quirks & LENGTH ? 1 : 0);
	w = writer_of(bytes, sizeof(bytes));
	(void)fitbit_control_encode(&m, &w);
	packet(d, bytes, w.len);
	usb_log(d, "told %zu bytes", len);
}

static void open_airlink(struct usb_device *d)
{
	struct station *s = d->state;
	struct fitbit_control m = {
		.kind = FITBIT_AIRLINK_UP, .unknown = { 0x0c, 0x01 }, .has_mtu = true, .mtu = 23
	};
	uint8_t bytes[FITBIT_PACKET_MAX];
	struct writer w = writer_of(bytes, sizeof(bytes));

	parameters(d);
	for (unsigned int i = 0; s->quirks & FILLERS && i < 2; i++)
		packet(d, "\300", 1);
	tracker_id(d, m.id);
	(void)fitbit_control_encode(&m, &w);
	packet(d, bytes, w.len);
	s->airlinked = true;
}

static void on_message(struct usb_device *d, const uint8_t *data, size_t len)
{
	struct station *s = d->state;
	struct fitbit_control m;

	if (fitbit_control_decode(data, len, &m) < 0) {
		usb_log_bytes(d, "host-error message", data, len);
		return;
	}
	if (!s->linked || !s->piped)
		return; /* nobody is there */
	if (m.kind == FITBIT_AIRLINK_OPEN) {
		open_airlink(d);
	} else if (m.kind == FITBIT_DUMP_REQUEST && s->airlinked) {
		if (s->quirks & REFUSES)
			packet(d, "\300\3\26\40", 4);
		else
			send_dump(d, m.type);
	} else if (m.kind == FITBIT_CLOSE) {
		s->airlinked = false;
		packet(d, "\300\1", 2);
	} else {
		usb_log_bytes(d, "host-error message", data, len);
	}
}

/* ---- as a device ---- */

static void station_out(struct usb_device *d, uint8_t endpoint, const uint8_t *data, size_t len)
{
	usb_log_bytes(d, endpoint == CONTROL_OUT ? "hears" : "packet", data, len);
	if (endpoint == CONTROL_OUT)
		on_command(d, data, len);
	else if (len != FRAME || data[FRAME - 1] > FITBIT_PACKET_MAX)
		usb_log_bytes(d, "host-error frame", data, len);
	else
		on_message(d, data, data[FRAME - 1]);
}

static void station_born(struct usb_device *d)
{
	struct station *s = d->state;

	s->memory = MEMORY;
}

static void station_configured(struct usb_device *d)
{
	struct station *s = d->state;

	s->linked = s->piped = s->airlinked = false;
	if (make_wearer(d, s) < 0)
		abort();
}

static int station_measure(struct usb_device *d, unsigned int count)
{
	struct station *s = d->state;
	const int r = make_wearer(d, s);

	s->now += (int64_t)count * MINUTE;
	return r;
}

static int set_key(struct station *s, const char *text)
{
	s->encrypted = strcmp(text, "none") != 0;
	if (!s->encrypted)
		return 0;
	if (strlen(text) != KEY_DIGITS)
		return -EINVAL;
	for (size_t i = 0; i < FITBIT_KEY_SIZE; i++) {
		const char digits[] = { text[2 * i], text[2 * i + 1], 0 };

		s->key[i] = (uint8_t)strtoul(digits, NULL, 16);
	}
	return 0;
}

static int set_quirk(struct station *s, const char *name, bool on)
{
	for (size_t i = 0; i < sizeof(quirk_names) / sizeof(quirk_names[0]); i++) {
		if (strcmp(name, quirk_names[i]) != 0)
			continue;
		s->quirks = on ? s->quirks | 1U << i : s->quirks & ~(1U << i);
		return 0;
	}
	return -EINVAL;
}

static int station_command(struct usb_device *d, char **words, size_t n, char *answer, size_t size)
{
	struct station *s = d->state;

	(void)answer;
	(void)size;
	if (n == 2 && strcmp(words[0], "key") == 0)
		return set_key(s, words[1]);
	if (n == 2 && strcmp(words[0], "memory") == 0) {
		s->memory = (unsigned int)strtoul(words[1], NULL, 10);
		return s->memory > 0 && !s->wearer ? 0 : -EINVAL;
	}
	if ((n == 2 || n == 3) && strcmp(words[0], "quirk") == 0)
		return set_quirk(s, words[1], n == 2 || strcmp(words[2], "off") != 0);
	return -ENOENT;
}

static const uint8_t DEVICE[18] = {
	18, 1, 0x00, 0x02, 0, 0, 0, 32, 0x87, 0x26, 0x01, 0xfb, 0x00, 0x02, 1, 2, 0, 1,
};
static const uint8_t REPORTS[] = {
	0x06, 0x00, 0xff, 0x09,  0x01, 0xa1, 0x01, 0x15, 0x00, 0x26, 0xff, 0x00, 0x75, 0x08, /* */
	0x09, 0x02, 0x95, FRAME, 0x81, 0x02, /* in */
	0x09, 0x03, 0x95, FRAME, 0x91, 0x02, /* out */
	0xc0,
};
#define INTERFACE(number, in, out)                                                                 \
	9, 4, number, 0, 2, 3, 0, 0, 0, 9, 0x21, 0x11, 0x01, 0, 1, 0x22, sizeof(REPORTS), 0, 7, 5, \
		in, 3, FRAME, 0, 1, 7, 5, out, 3, FRAME, 0, 1
static const uint8_t CONFIGURATION[] = {
	9,
	2,
	73,
	0,
	2,
	1,
	0,
	0x80,
	50, /* configuration */
	INTERFACE(0, DATA_IN, DATA_OUT),
	INTERFACE(1, CONTROL_IN, CONTROL_OUT),
};

const struct usb_model usb_fitbit_dongle = {
	.name = "fitbit_dongle",
	.speed = USBIP_FULL,
	.device = { DEVICE, sizeof(DEVICE) },
	.configuration = { CONFIGURATION, sizeof(CONFIGURATION) },
	.report = { REPORTS, sizeof(REPORTS) },
	.strings = { NULL, "Simulated", "Base station", NULL },
	.state_size = sizeof(struct station),
	.born = station_born,
	.configured = station_configured,
	.out = station_out,
	.measure = station_measure,
	.command = station_command,
};
