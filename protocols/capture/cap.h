/*
 * Our own capture format: text, one event a line, diffable. A file is a header of '#' lines and
 * sessions, one after the other:
 *
 *   # wellgate-capture: 1
 *   # device: Beurer BF720, firmware unknown
 *   # provenance: frame published in domain notes, session around it synthetic
 *   # consent: synthetic                       obligatory: synthetic | anonymised, <by whom>
 *   # start: 2026-11-16T07:58:00Z              optional: the wall clock at 0.000
 *   0.000 open ble service=181d name="BF720"   also: company=0611 driver=NAME link=LEVEL
 *   1.200 < 2a9d 0e783eea07...                 from the device: indication, notification, answer to
 *                                              a read; which of them is the driver's channel table
 *   1.210 > confirm 2a9d                       from us, as expectations
 *   1.300 > write 2a52 0101
 *   1.300 > read 2a19
 *   2.000 advert service=181d 62b00b...        a broadcast device's payload, inside a session
 *   9.000 close
 *
 * What a hub knows about the device before the link comes up, on the same open line, each optional:
 *
 *   zone=60                minutes east of UTC: the hub knows its zone and, with `start`, the time,
 *                          so that a driver may set the device's clock
 *   consent=1:1234         a user slot of the device and its code, decimal; slot "new": a user to
 *                          be registered; up to 8 times. Made up, always: such a code is a secret,
 *                          and nothing that records a live device writes this key
 *   kept=0a1b...           what the driver kept from an earlier link, up to 64 bytes
 *   last=42                the highest record number that is known to be durable, decimal
 *   quirks=1               instead of those of the row that matched, hex
 *
 * Times are seconds with up to six decimals, rising. Channels are 16-bit UUIDs in hex, or a
 * driver's own number.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CAP_VERSION      1
#define CAP_LINE_MAX     4096 /* longest line with newline: what cap_write_event needs */
#define CAP_DATA_MAX     1024
#define CAP_TEXT_MAX     64
#define CAP_KEPT_MAX     64
#define CAP_CONSENTS_MAX 8
#define CAP_SLOT_NEW     255  /* "new" */
#define CAP_ZONE_MAX     1080 /* minutes, either way */

enum cap_kind {
	CAP_OPEN = 1,
	CAP_FRAME,
	CAP_ADVERT,
	CAP_CONFIRM,
	CAP_WRITE,
	CAP_READ,
	CAP_CLOSE
};

struct cap_consent {
	uint8_t slot;
	uint16_t code; /* 0 to 9999 */
};

struct cap_open {
	char bus[8]; /* "ble" "advert" "usb" "hid" "serial" "file" */
	uint16_t service, company, vid, pid;
	char name[CAP_TEXT_MAX];   /* "" = none */
	char driver[CAP_TEXT_MAX]; /* forces a driver; "" = match */
	char link[16];             /* "clear" "encrypted" "authenticated", "" = replay */
	bool has_zone, has_last, has_quirks;
	int16_t zone_min;
	uint32_t last, quirks;
	size_t n_consents, kept_len;
	struct cap_consent consents[CAP_CONSENTS_MAX];
	uint8_t kept[CAP_KEPT_MAX];
};

struct cap_event {
	enum cap_kind kind;
	int64_t at_us; /* since the capture began */
	uint16_t link; /* sessions that overlap (HCI captures): tells them apart; 0 in .cap files */
	uint16_t channel;
	uint16_t company, service; /* CAP_ADVERT */
	size_t len;
	uint8_t data[CAP_DATA_MAX];
	struct cap_open open; /* CAP_OPEN */
};

struct cap_reader {
	unsigned int line; /* of the last line parsed, from 1: for messages */
	int64_t last_us;
	bool in_session;
	bool has_version, has_consent;
	bool has_start;
	int64_t start_ms;
	const char *problem; /* after an error: what is wrong, a constant string */
};

void cap_reader_init(struct cap_reader *r);
/* One line without its newline. The first event is refused if the version or the consent line is
 * missing above it. 1: *ret is an event. 0: comment or blank. -EINVAL, -EMSGSIZE,
 * -ERANGE: r->line and r->problem say what and where. */
int cap_read_line(struct cap_reader *r, const char *line, size_t len, struct cap_event *ret);
/* The line for an event, with newline: its length, or -ENOSPC. */
int cap_write_event(const struct cap_event *event, char *buf, size_t size);
