/*
 * The memory of a Fitbit tracker as it hands it out ("megadump"), of the models that can be read.
 *
 *   0    FORMAT u8, CLASS u8, 0 u16, ENCRYPTION u16 (0 none, 1 XTEA, 2 AES), NONCE 4
 *   10   SERIAL 6, its last byte the product
 *   16   static block, 108 bytes, not escaped; encrypted from here on
 *   124  c0 db dc dd EVENTS  c0   u32 LE time, 11 bytes (Zip: 9) that nobody understands
 *        c0 db dc dd MINUTES c0   80..ff, MET * 10, steps, motion (Zip: without)
 *                                 00..7f begins a u32 BE time instead: that of the next minute
 *        c0 db dc dd FLOORS  c0   80, floors * 10; 00..7f begins a time
 *        c0 db dc dd DAYS    c0   u32 LE time, u16 MET * 10, u32 steps, u32 distance mm,
 *                                 u16 floors * 10 [, Flex: u32 active minutes]; all since midnight
 *        4 bytes
 *        c0 db dc dd ALARMS  c0   u32 LE s after midnight, 1c 02 01, days, 15 bytes, index
 *        plain: CRC u16, 0 x 6       encrypted: 0 to 7 bytes up to a multiple of 8, tag 8
 *        LENGTH u24
 *
 * Inside a section c0 and db are escaped (escape.h); db dc dd is the marker c0 dd, escaped. LENGTH
 * and CRC (CRC-16/XMODEM) count everything up to the end of the alarms, but for the c0 around the
 * sections, the markers and the escapes. XTEA is in EAX mode (cipher.h), the nonce that of the
 * header, the tag over what is sent.
 *
 * The tag is not known to cover the header: compare the serial with the address of the link.
 *
 * Days are snapshots of counters that begin at local midnight: one at each sync, one at midnight.
 * The last of a day is the day. Never add them up. The zone is not in the dump.
 *
 * Source: the maker has published nothing. Structure, length, CRC and padding verified by
 * calculation on five public dumps of One and Flex, minutes and days against each other (six of
 * six). From one program only: Zip. From descriptions only, no sample: the records of FLOORS.
 * Guessed well: battery, active minutes. Not known: events, the meaning of motion.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "protocols/fitbit/cipher.h"

#define FITBIT_DUMP_MAX    1048576U /* the largest ever seen has 71318 bytes */
#define FITBIT_SERIAL_SIZE 6
#define FITBIT_NONCE_SIZE  4
#define FITBIT_RECORD_MAX  24
/* 2011-01-01: the first tracker with this protocol came later */
#define FITBIT_TIME_MIN 1293840000U

/* The last byte of the serial, and the first of the service data on air. */
enum fitbit_product {
	FITBIT_ZIP = 0x01,
	FITBIT_ONE = 0x05,
	FITBIT_FLEX = 0x07,
	FITBIT_CHARGE = 0x08,
	FITBIT_SURGE = 0x10,
	FITBIT_ELECTRON = 0x11,
	FITBIT_CHARGE_HR = 0x12,
	FITBIT_ALTA = 0x15,
	FITBIT_CHARGE_2 = 0x16,
	FITBIT_IONIC = 0x1b,
};

/* "One", "Charge HR"; NULL for one that is not in the list */
const char *fitbit_product_name(uint8_t product);

/* Which protocol a Bluetooth service stands for. */
enum fitbit_link {
	FITBIT_LINK_OTHER,       /* none of these */
	FITBIT_LINK_TRACKER,     /* adabfb00: message.h */
	FITBIT_LINK_GOLDEN_GATE, /* abbaff00 or fd62: encrypted end to end, nothing to read here */
};

/* uuid: little-endian as on air, of 2 or 16 bytes */
enum fitbit_link fitbit_link_of_service(const uint8_t *uuid, size_t len);

/* What can be done with a dump. All but the first two: keep the bytes, say why. */
enum fitbit_verdict {
	FITBIT_READABLE = 1,
	FITBIT_NEEDS_KEY,      /* XTEA: with the owner's key */
	FITBIT_KEEP_AES,       /* how AES is used in dumps is not known */
	FITBIT_KEEP_CIPHER,    /* neither plain nor XTEA nor AES */
	FITBIT_KEEP_MICRODUMP, /* its body is not known */
	FITBIT_KEEP_LAYOUT,    /* a product whose sections are not known */
};

struct fitbit_dump {
	const uint8_t *data; /* borrowed */
	size_t len;
	enum fitbit_verdict verdict;
	uint8_t format;
	uint8_t product; /* FITBIT_..., or one that is not in the list */
	uint8_t serial[FITBIT_SERIAL_SIZE];
	uint16_t encryption; /* as sent */
	uint32_t length;     /* of the trailer; READABLE and NEEDS_KEY only, else 0 */
};

/* Only the header and the length. data is borrowed for as long as ret is used. -EMSGSIZE too short
 * for any dump, or longer than FITBIT_DUMP_MAX; -ENOMSG not a dump, or of a format nobody knows. */
int fitbit_dump_recognise(const uint8_t *data, size_t len, struct fitbit_dump *ret);

enum fitbit_part {
	FITBIT_PART_EVENTS = 1,
	FITBIT_PART_MINUTES,
	FITBIT_PART_FLOORS,
	FITBIT_PART_DAYS,
	FITBIT_PART_ALARMS,
	FITBIT_PART_END
};

enum fitbit_record_kind {
	FITBIT_DEVICE = 1, /* the first one, once */
	FITBIT_EVENT,
	FITBIT_MINUTE,
	FITBIT_CLIMB,
	FITBIT_DAY,
	FITBIT_ALARM,
	FITBIT_UNREAD, /* bytes of events, floors or alarms that no rule fits */
};

/* The wearer's name and greetings stay in the dump. */
struct fitbit_device {
	uint8_t loader[2], application[2]; /* versions, major and minor */
	uint16_t battery_mv;
	bool has_percent; /* it said at most 100 */
	uint8_t percent;
	uint16_t walking_mm, running_mm; /* length of a stride */
	bool header_signed; /* the tag is over the header, too: not seen on a real dump so far */
};

struct fitbit_minute {
	bool has_time;      /* no: a minute before any time; it cannot be placed */
	uint32_t time;      /* where it begins, seconds since 1970, UTC, by the tracker's clock */
	uint8_t state;      /* 80..ff, not understood */
	uint8_t met_tenths; /* 10 is rest */
	uint8_t steps;
	bool has_motion;
	uint8_t motion; /* not understood; Flex: perhaps one half for each half minute */
};

struct fitbit_climb {
	bool has_time;
	uint32_t time; /* of the series, not of this record: its step is not known */
	uint32_t index;
	uint8_t floors_tenths;
};

struct fitbit_day {
	uint32_t time; /* of the snapshot; what follows is since local midnight */
	uint16_t met_tenths;
	uint32_t steps;
	uint32_t distance_mm;
	uint16_t floors_tenths;
	bool has_active;
	uint32_t active_minutes;
};

struct fitbit_alarm {
	bool empty;
	bool known; /* laid out as above and on a day; else only the bytes are worth something */
	uint32_t seconds; /* after local midnight */
	uint8_t days;     /* bit 0 Monday to bit 6 Sunday, bit 7 repeats */
	uint8_t index;
};

struct fitbit_record {
	enum fitbit_record_kind kind;
	enum fitbit_part part; /* not of DEVICE */
	const uint8_t *bytes;  /* as sent, escapes undone, for the call; NULL of DEVICE */
	size_t len;
	uint32_t event_time; /* EVENT */
	union {
		struct fitbit_device device;
		struct fitbit_minute minute;
		struct fitbit_climb climb;
		struct fitbit_day day;
		struct fitbit_alarm alarm;
	};
};

/* 0, or -errno to stop */
typedef int fitbit_sink(void *user, const struct fitbit_record *record);

/*
 * Hands every record to the sink, in the order of the dump; nothing before all of it was checked,
 * so a dump with any fault gives no record at all. key: FITBIT_KEY_SIZE bytes, or NULL; used only
 * if the dump is encrypted. sink may be NULL: only check.
 *
 * -EOPNOTSUPP a verdict of the KEEP kind; -ENOKEY it needs a key; -EKEYREJECTED the tag: another
 * key, or damage; -EBADMSG CRC or structure; -EMSGSIZE it ends too early or too late, or its
 * length is another than it says; or what the sink returned.
 *
 * Not checked here, for want of a clock: whether a time is in the future. See FITBIT_TIME_MIN.
 */
int fitbit_dump_read(const struct fitbit_dump *d, const uint8_t *key, fitbit_sink *sink,
		     void *user);
