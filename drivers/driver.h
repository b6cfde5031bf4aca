/*
 * The driver contract. A driver is a passive state machine: events in, measurements and requests
 * out. It does no I/O, has no heap, static variable or clock of its own; so a capture replays it
 * exactly, a fuzzer drives it directly, and nothing is re-entrant: what it asks for is carried out
 * by the session after the callback has returned.
 *
 * One device family = one file in devices/ = one row in drivers.def = one folder of captures.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "drivers/measurement.h"

struct drv_ctx; /* opaque: the session */

enum drv_bus {
	DRV_BUS_ANY = 0,
	DRV_BUS_BLE,
	DRV_BUS_BLE_ADVERT,
	DRV_BUS_USB,
	DRV_BUS_HID,
	DRV_BUS_SERIAL,
	DRV_BUS_FILE,
};

/*
 * Zero fields match anything; the row with most agreeing fields wins, then the one with the longer
 * name prefix, then the one with the higher rank. A device may offer several services (a chest belt
 * also counts strides), so rows about different services differ in rank: registry_check() refuses a
 * table in which two rows could tie. A table ends with {0}.
 */
struct drv_match {
	enum drv_bus bus;
	uint16_t service;               /* 16-bit service UUID, advertised or found */
	uint16_t company;               /* manufacturer data id */
	const uint8_t *service_uuid128; /* vendor service, 16 bytes little endian, or NULL */
	const char *name_prefix;        /* advertised or GAP name */
	uint16_t vid, pid; /* USB; of the adapter if it is one: a first guess, so ask the device */
	uint8_t usb_class; /* of an interface, instead of vid and pid: 0x0f personal healthcare */
	uint8_t rank;      /* decides between rows with equally many agreeing fields */
	uint32_t quirks;   /* handed to the driver unchanged */
};

enum drv_channel_mode {
	DRV_INDICATE = 1, /* subscribed; each frame is confirmed only when it is durable */
	DRV_NOTIFY,       /* subscribed; nothing to confirm */
	DRV_READ,         /* read once when the link is up */
	DRV_WRITE,        /* resolved only */
};

/*
 * Wires have no characteristics. What a frame is, and what drv_write() takes, on their channels; a
 * driver of a wire lists the one or two that it uses, as DRV_NOTIFY (and DRV_WRITE). Nothing is
 * confirmed by the transport there: a driver answers in committed().
 */
enum drv_wire_channel {
	/* DRV_BUS_HID, as Linux hidraw has it. In: one input report, led by its report number if
	 * the device numbers them. Out: one output report, always led by its number, 0 where there
	 * is none; its length is that of the device's reports, padding is the driver's. */
	DRV_WIRE_REPORT = 1,
	/* DRV_BUS_HID, out only: a SET_REPORT of type feature, led by its number. */
	DRV_WIRE_FEATURE = 2,
	/* DRV_BUS_SERIAL: bytes, cut anyhow. 8N1, no flow control, at `baud`. */
	DRV_WIRE_BYTES = 3,
	/* DRV_BUS_USB of class 0x0f, and the door for 11073 tools: one whole APDU each way. */
	DRV_WIRE_APDU = 4,
	/* DRV_BUS_USB, other: bulk transfers, cut anyhow. */
	DRV_WIRE_BULK = 5,
	/*
	 * DRV_BUS_USB with both DRV_WIRE_REPORT and DRV_WIRE_BULK in its table: one wire over two
	 * interfaces, `interface` says which is whose. Each is read and written at its first pair
	 * of endpoints, bulk or interrupt as they say; a kernel's driver (usbhid) is sent away
	 * meanwhile. Reports are packets there: out, number 0 leads them and is not sent.
	 */
};

/* Opened when the link is up, in this order. A table ends with {0}. */
struct drv_channel {
	const uint8_t *uuid128; /* 16 bytes little endian, or NULL: id is a 16-bit SIG UUID */
	enum drv_channel_mode mode;
	uint16_t id;       /* characteristic UUID, or the driver's own number with uuid128 */
	bool optional;     /* a device without it is still ours */
	uint8_t interface; /* DRV_BUS_USB of two channels: its number */
};

/* Borrowed: valid until the callback returns. */
struct drv_frame {
	uint16_t channel;
	const uint8_t *data;
	size_t len;
};

struct drv_advert {
	const char *name;    /* or NULL */
	uint16_t company;    /* with manufacturer data */
	uint16_t service;    /* with service data */
	const uint8_t *data; /* the manufacturer or service data */
	size_t len;
};

enum drv_maturity {
	DRV_BY_SPECIFICATION = 1,
	DRV_BY_CAPTURES, /* frames of real devices, recorded by somebody */
	DRV_ON_HARDWARE,
};

struct driver {
	const char *name;  /* also devices/<name>.c and tests/captures/<name>/ */
	const char *label; /* for people: the supported-device table is made of these */
	const struct drv_match *match;
	const struct drv_channel *channels;
	enum drv_maturity maturity;
	size_t state_size; /* zeroed before open; at most DRV_STATE_MAX */
	unsigned int baud; /* DRV_BUS_SERIAL: bits per second */

	/* 0 or -errno. Four of them spoil one frame, which is counted and never confirmed as if it
	 * were good, while the link stays: -EMSGSIZE length, -EBADMSG checksum or structure,
	 * -ERANGE a field outside its definition, -ENOMSG not mine. Any other drops the link. */
	int (*open)(struct drv_ctx *ctx);                                 /* optional */
	int (*advert)(struct drv_ctx *ctx, const struct drv_advert *adv); /* broadcast devices */
	int (*frame)(struct drv_ctx *ctx, const struct drv_frame *frame);
	int (*committed)(struct drv_ctx *ctx); /* optional: all that was emitted so far is durable:
						* now acks and deletes may be sent */
	int (*timeout)(struct drv_ctx *ctx);   /* optional */
	/* Optional: the device refused what drv_write() or drv_read() asked on this channel; error
	 * is its ATT error code. Without it nothing happens. */
	int (*refused)(struct drv_ctx *ctx, uint16_t channel, uint8_t error);
	void (*close)(struct drv_ctx *ctx); /* optional */
	/* Optional, on wires: this frame tells of somebody else's device, a neighbour's in reach:
	 * no capture keeps it. Asked before frame(); changes nothing. */
	bool (*hides)(struct drv_ctx *ctx, const struct drv_frame *frame);
	/*
	 * Optional: the operator wants the device's own memory to be empty. Called at most once on
	 * a link, when the driver said drv_done() and all that it emitted is durable; it only asks
	 * for the first step and emits nothing. Then the dialogue goes on, until drv_wiped() and
	 * drv_done(). Read all that the device holds first, delete nothing that is not durable
	 * (committed()), and read it again.
	 */
	int (*wipe)(struct drv_ctx *ctx);
};

#define DRV_STATE_MAX 131072 /* one holds a tracker's whole memory, to check it at once */
#define DRV_WRITE_MAX 512
#define DRV_EMITS_MAX 8192 /* a segment of a meter's memory in one APDU */

/* ---- the whole vocabulary of a driver ---- */

void *drv_state(struct drv_ctx *ctx); /* state_size bytes, or NULL */
uint32_t drv_quirks(const struct drv_ctx *ctx);
int64_t drv_now(const struct drv_ctx *ctx); /* microseconds, monotonic; replayed in tests */
/* Hands one measurement on; copied. What a spoiled frame emitted is dropped with it. -ERANGE: a
 * number whose exponent is beyond DECIMAL_EXPONENT_MAX; -ENOBUFS: one callback emits more than
 * DRV_EMITS_MAX; -ENOMEM. */
int drv_emit(struct drv_ctx *ctx, const struct measurement *m);
/* For a measurement that a later frame completes: marks it with the frame at hand, so that its
 * digest is not that of the frame which happens to release it. */
void drv_stamp(const struct drv_ctx *ctx, struct measurement *m);
/* Random bytes, for keys and numbers that are used once; a capture that is played has the same ones
 * each time. -ENODATA, and nothing is written: there are no more of them for this link, which had
 * DRV_RANDOM_MAX at most. */
#define DRV_RANDOM_MAX 64
int drv_random(struct drv_ctx *ctx, void *ret, size_t len);
/* The highest record number of this device that is known to be durable, if the caller knows one. */
bool drv_last_record(const struct drv_ctx *ctx, uint32_t *ret);
/* Requests, carried out in order after the callback: -ENOBUFS if the queue is full, -EMSGSIZE. */
int drv_write(struct drv_ctx *ctx, uint16_t channel, const void *data, size_t len);
int drv_read(struct drv_ctx *ctx, uint16_t channel);
/* Calls timeout() once, msec from now; 0 cancels. */
int drv_set_timeout(struct drv_ctx *ctx, unsigned int msec);
/* Facts about the device that ride along with its readings. Copied; cut at 63 bytes; padding at the
 * end is dropped. -EBADMSG if it is not UTF-8 or holds control characters. */
enum drv_fact {
	DRV_MAKE,
	DRV_MODEL,
	DRV_SERIAL,
	DRV_FIRMWARE,
	DRV_HARDWARE,
	DRV_FACT_END
};
int drv_fact(struct drv_ctx *ctx, enum drv_fact fact, const void *text, size_t len);
/*
 * Who the device behind this link is, whatever way it is read: the same by radio and behind a base
 * station. Without it, a device is its driver and its address (or its own identity on a wire), so
 * one that is read in two ways is two, and what it keeps comes twice. space: of which numbering the
 * text is, "fitbit"; a constant of the driver, shared by all drivers that read such devices. text:
 * letters, digits and . - _, equal wherever it is stated; never stored or logged, digested by the
 * gateway. State it only as surely as readings are filed by it, before the first of them. The same
 * again is fine. -EMSGSIZE none, or too long; -EBADMSG another character; -EALREADY: another one
 * was stated, or something was emitted on this link before.
 */
#define DRV_IDENTITY_MAX 63 /* of space, ':' and text together */
int drv_identity(struct drv_ctx *ctx, const char *space, const char *text, size_t len);
int drv_battery(struct drv_ctx *ctx, unsigned int percent);
/* The device's clock, read just now: lets the gateway correct its stamps. Read stored readings, and
 * this, before setting a clock. */
int drv_clock(struct drv_ctx *ctx, const struct device_time *now);
/* The time to set a device's clock to: local civil time of the hub's zone. False: this hub does not
 * know the time well enough to set anybody's clock. */
bool drv_local_time(const struct drv_ctx *ctx, struct device_time *ret);
/* When the local day began, in the hub's zone, that the instant lies in (at midnight: the day that
 * begins); right across changes of summer time. Seconds since 1970, UTC. -ENODATA: this hub does
 * not know its zone. */
int drv_midnight(const struct drv_ctx *ctx, int64_t at, int64_t *ret);
/* A secret of the device's owner, which the owner has put into the hub's folder under this name
 * (letters, digits and . - _; say in the driver's header which): its length, 0: there is none that
 * may be used. It is read anew at each call and stays nowhere else: wipe ret after use
 * (explicit_bzero), keep it out of drv_state(). */
#define DRV_KEY_MAX 64
size_t drv_key(const struct drv_ctx *ctx, const char *name, uint8_t ret[DRV_KEY_MAX]);
/* AES-128 of one block, for devices that ask for an answer made with it: the hub's library does it.
 * ret may be in. -ENOSYS, and nothing is written: there is none here. */
int drv_aes(const struct drv_ctx *ctx, const uint8_t key[16], const uint8_t in[16],
	    uint8_t ret[16]);
/* A user slot of the device and the code with which it lets us read that user's data (SIG User Data
 * Service); i counts from 0, false: no more. */
struct drv_consent {
	uint8_t slot; /* DRV_SLOT_NEW: a user to be registered with this code */
	uint16_t code;
	bool refused; /* on an earlier link: not to be tried again before somebody has looked */
};
#define DRV_SLOT_NEW     255
#define DRV_CONSENTS_MAX 8
bool drv_consent(const struct drv_ctx *ctx, size_t i, struct drv_consent *ret);
/* What became of the i-th consent, for the operator to see and, DRV_CONSENT_MADE, for the hub to
 * remember: the new user got this slot. */
enum drv_consent_outcome {
	DRV_CONSENT_GOOD = 1,
	DRV_CONSENT_MADE,
	DRV_CONSENT_REFUSED, /* wrong code, or the user was wiped: somebody must pair again */
};
void drv_consent_outcome(struct drv_ctx *ctx, size_t i, enum drv_consent_outcome outcome,
			 uint8_t slot);
/* A few bytes that outlive the link: how far a history was read. Kept once all that was emitted
 * before is durable. -EMSGSIZE. drv_kept() returns the length, 0: nothing. */
#define DRV_KEPT_MAX 64
int drv_keep(struct drv_ctx *ctx, const void *data, size_t len);
size_t drv_kept(const struct drv_ctx *ctx, uint8_t ret[DRV_KEPT_MAX]);
/*
 * What somebody in front of the device could do or has to know; nothing else is news, and no word
 * of the device is passed on. Said as often as it is true: it stands until drv_news_over(), or
 * until a later link of the device was good and did not say it. Also where the callback then
 * returns an error. BATTERY_LOW and MEASURE_AGAIN also follow from the flags low_battery and error
 * of the last measurement, unless that is out of a memory. The words for people are in
 * gateway/news.c.
 */
enum drv_news {
	DRV_NEWS_PRESS_BUTTON = 1,    /* it sends only after a button or a menu of its own */
	DRV_NEWS_MODEL_NOT_SUPPORTED, /* a model, firmware or form of data that is not read */
	DRV_NEWS_MEMORY_FULL,         /* from now on it keeps nothing, or forgets the oldest */
	DRV_NEWS_READINGS_LOST,       /* it forgot readings before they were read */
	DRV_NEWS_CLOCK_NOT_SET,       /* and only people can set it, at the device */
	DRV_NEWS_BATTERY_LOW,         /* where it says no percentage */
	DRV_NEWS_MEASURE_AGAIN,       /* the last measurement did not succeed */
	DRV_NEWS_ENCRYPTED_NO_KEY,    /* what it sends is encrypted, and drv_key() has none */
	DRV_NEWS_KEY_WRONG,           /* there is one, and it does not fit */
	DRV_NEWS_NOT_CHOSEN,          /* nobody has said which device it may look for */
	DRV_NEWS_OUT_OF_REACH,        /* the one that it looked for did not answer */
	DRV_NEWS_ANOTHER_DEVICE,      /* it is not the one that it was: nothing was read */
	DRV_NEWS_NOT_READ,            /* a visit was given up; it still holds what it had */
	DRV_NEWS_END
};
void drv_news(struct drv_ctx *ctx, enum drv_news news);
/* It was true, and is not any more. */
void drv_news_over(struct drv_ctx *ctx, enum drv_news news);
/*
 * How wipe() came out; said once. What a link that ends before says is nothing: the device may hold
 * all, some or none of it, and is asked again on its next link.
 */
enum drv_wipe {
	DRV_WIPE_PROVEN = 1, /* read again after it: the device itself says that it holds nothing */
	DRV_WIPE_REFUSED,    /* it does not do that; nothing was deleted */
	DRV_WIPE_UNREAD,     /* it holds something that did not come whole: nothing was deleted */
	DRV_WIPE_LEFT,       /* it was asked to delete, and is not proven to be empty */
	DRV_WIPE_END
};
/* records: that the device held, all of them durable before any was deleted */
void drv_wiped(struct drv_ctx *ctx, enum drv_wipe outcome, uint32_t records);
/* The dialogue is over: the session closes the link once everything is committed. */
void drv_done(struct drv_ctx *ctx);
