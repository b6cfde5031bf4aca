/*
 * The line between a simulated device (models/NAME.c) and what all of them share (peer.c, stock.c).
 *
 * A model is a table: what it advertises, its attribute rows, how it pairs, and how one of its
 * readings looks as a frame. The shared part keeps the stock of readings, sends them to whoever has
 * subscribed, and lets go of one only when it is confirmed, or, for a model that `keeps`, when it
 * is deleted as the device does it. What is special in a device is in the hooks; all are optional.
 *
 * The readings of a device are all different: the number of the reading is in the value, the index
 * of the device too, and no two have the same time; so a lost or doubled one shows.
 *
 * To add a device: one file here with one `const struct model`, one line in models.c, one line in
 * the README of the folder above. State the source of the facts in the file's first comment.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "protocols/bytes/writer.h"
#include "tests/lab/radio/peer.h"
#include "tests/lab/radio/server.h"
#include "tests/lab/radio/smp.h"

#define STOCK_MAX     256 /* readings in a device */
#define STOCK_OUT_MAX 16  /* indications on their way at once, by fault */
#define FRAME_MAX     40
#define FRAMES_MAX    2 /* frames of one reading */

/* ids of the rows that all devices have; a model's own are 1 to 127 */
enum model_id {
	ID_NAME = 0xf0,
	ID_SERVICE_CHANGED,
	ID_CLIENT_FEATURES,
	ID_HASH,
	ID_BATTERY,
};

struct reading {
	uint32_t number; /* from 1, never used again */
	int64_t time;    /* the device's clock, seconds since 1970 as if it were UTC */
	bool has_time;   /* false: taken while the clock was not set */
	uint8_t user;
	bool failed;             /* the measurement did not succeed, and the device says so */
	uint8_t sent, confirmed; /* bits: frames; sent: on this link */
};

/* an indication on its way */
struct stock_out {
	uint32_t number; /* of the reading; 0: not a reading (Service Changed, a control point) */
	uint8_t part;
	uint8_t len;
	uint8_t value[FRAME_MAX];
};

enum fault {
	FAULT_MALFORMED,         /* the next N responses are broken, each in another way */
	FAULT_SILENT,            /* no answer to any request */
	FAULT_NO_CONFIRM_WAIT,   /* all that is stored is indicated at once */
	FAULT_IN_CLEAR,          /* asks for no encryption and sends without */
	FAULT_ATT_ERROR,         /* every request but the MTU's fails with error N */
	FAULT_DUPLICATE,         /* the next N confirmed frames are sent once more */
	FAULT_SECOND_INDICATION, /* the next N indications are followed by another at once */
	FAULT_TRUNCATE,          /* the next N frames are cut in half */
	FAULT_WRONG_HANDLE,      /* the next N frames come under a handle of no characteristic */
	FAULT_N,
};

enum timer {
	TIMER_CONFIRM, /* 30 s for a confirmation */
	TIMER_SMP,     /* 30 s for the next PDU of a pairing */
	TIMER_MODEL,   /* the model's own */
	TIMER_N,
};

struct peer_state {
	struct peer *peer;
	const struct model *model;
	struct server server;
	struct smp smp;
	void *own; /* model->own_size bytes, zeroed at birth */

	struct reading stock[STOCK_MAX]; /* oldest first */
	size_t n_stock;
	struct stock_out out[STOCK_OUT_MAX];
	size_t n_out;
	uint32_t last_number;
	int64_t last_time;
	unsigned int indicated, confirmed, deleted;

	int64_t clock_offset; /* device clock minus the world's, seconds */
	bool clock_set;
	uint8_t battery;
	enum {
		EARLY_OFF,
		EARLY_LINK,
		EARLY_ENCRYPTED
	} early;
	unsigned int faults[FAULT_N];
	unsigned int malformed;  /* which way comes next */
	unsigned int drop_after; /* drops the link after this many frames; 0: off */
	bool asks_security;      /* sends a Security Request at link-up */
	bool moved;              /* owes a Service Changed */
	int64_t timers[TIMER_N]; /* INT64_MAX: off */
};

struct model {
	const char *name;  /* on the command line */
	const char *label; /* advertised name; the index is appended */
	const char *maker, *type;
	uint16_t appearance;
	uint16_t services[3]; /* advertised; 0: none */
	const struct server_row *rows;
	size_t n_rows;
	enum smp_method pairing;
	bool modern;  /* has the Database Hash */
	bool battery; /* has the Battery Service */
	bool keeps;   /* confirmed readings stay until they are deleted */
	bool live;    /* notified readings are gone; others stay in the stock */
	size_t own_size;
	uint16_t mtu;
	unsigned int n_users; /* readings go to users 1 to n in turn; 0: no users */

	/* frame `part` of a reading and the row it goes to; NULL: it takes no readings */
	uint8_t frame_ids[FRAMES_MAX]; /* 0: no such part */
	void (*frame)(const struct peer_state *s, const struct reading *r, unsigned int part,
		      struct writer *w);
	/* readings were taken, the last of the stock is the newest */
	void (*taken)(struct peer_state *s);
	/* may this reading be sent now */
	bool (*ready)(const struct peer_state *s, const struct reading *r);
	/* all that is ready is sent and confirmed; called after at least one was */
	void (*drained)(struct peer_state *s);

	void (*born)(struct peer_state *s);
	void (*gone)(struct peer_state *s); /* its own memory, but for `own` */
	void (*connected)(struct peer_state *s);
	void (*encrypted)(struct peer_state *s);
	void (*pairing_failed)(struct peer_state *s); /* the host said so */
	/* the host's answer to an ATT request of this device; false: it is not one */
	bool (*answer)(struct peer_state *s, const uint8_t *pdu, size_t len);
	void (*disconnected)(struct peer_state *s);
	uint8_t (*read)(struct peer_state *s, uint8_t id, struct writer *w);
	/* before the response; ATT_OK or an error */
	uint8_t (*write)(struct peer_state *s, uint8_t id, const uint8_t *data, size_t len);
	/* after the response of a write that was taken */
	void (*wrote)(struct peer_state *s, uint8_t id, const uint8_t *data, size_t len);
	void (*subscribed)(struct peer_state *s, uint8_t id, uint16_t ccc);
	void (*timeout)(struct peer_state *s);
	/* -ENOENT: not a command of this model */
	int (*command)(struct peer_state *s, unsigned int n, char *const words[], char *answer,
		       size_t size);
};

/* NULL-terminated */
extern const struct model *const models[];

/* ---- stock.c: readings, sent and let go ---- */

/* takes n readings, a minute apart, the last of them now; -ENOSPC: only what fits is taken;
 * -ENOTSUP: it has none */
int stock_measure(struct peer_state *s, unsigned int n, uint8_t user);
/* takes one reading that did not succeed: the device's error frame */
int stock_measure_failed(struct peer_state *s);
/* sends what may be sent now */
void stock_pump(struct peer_state *s);
/* sends the oldest reading at once, subscribed or not */
void stock_force(struct peer_state *s);
void stock_confirmed(struct peer_state *s);
/* what was not confirmed will be sent again */
void stock_disconnected(struct peer_state *s);
/* the device deletes readings for good: those for which pick() holds, or all */
unsigned int stock_delete(struct peer_state *s,
			  bool (*pick)(const struct reading *r, const void *context),
			  const void *context);
/* indicates something that is not a reading, e.g. a control point's answer; subscribed or not:
 * -EPERM when it is not subscribed, -EBUSY when an indication is outstanding */
int stock_answer(struct peer_state *s, uint8_t id, const uint8_t *value, size_t len);
/* notifies, if subscribed */
void stock_notify(struct peer_state *s, uint8_t id, const uint8_t *value, size_t len);

/* ---- for models ---- */

void peer_timer(struct peer_state *s, enum timer timer, int64_t in_us);
void peer_timer_off(struct peer_state *s, enum timer timer);
bool peer_secured(const struct peer_state *s);
/* the device's clock */
int64_t device_time(const struct peer_state *s);
/* the 7 bytes of Date Time */
void put_date_time(struct writer *w, int64_t at);
/* the device's clock as it is read: all zero (unknown) while it is not set */
void put_device_time(const struct peer_state *s, struct writer *w);
/* a written Date Time (first 7 of len bytes) becomes the device's clock; an ATT error */
uint8_t set_device_time(struct peer_state *s, const uint8_t *data, size_t len);
/* a number that is different for each reading of each device, from base, below base + range; with
 * ranges of 64 times the readings no two devices share one */
unsigned int distinct(const struct peer_state *s, const struct reading *r, unsigned int base,
		      unsigned int range);
/* IEEE 11073 SFLOAT: mantissa -2048 to 2047, exponent -8 to 7 */
void put_sfloat(struct writer *w, int mantissa, int exponent);
#define SFLOAT_NAN 0x07ff /* as a mantissa with exponent 0 */
