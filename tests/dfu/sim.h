/*
 * Simulated devices with an open update protocol, each written from its specification and sharing
 * no code with the clients in protocols/dfu: bytes in, bytes out, a memory that survives.
 */
#pragma once

#include "protocols/dfu/dfu.h"
#include "tests/dfu/flash.h"

enum sim_kind {
	SIM_USB_DFU = 1,
	SIM_USB_DFUSE,
	SIM_NORDIC_LEGACY,
	SIM_NORDIC_SECURE,
	SIM_SMP,
};

struct sim_options {
	size_t bank;      /* room for one firmware; a multiple of page */
	size_t page;      /* bytes that are erased at once */
	size_t mtu;       /* Bluetooth */
	int64_t erase_us; /* fault: for each page */
	uint64_t corrupt; /* fault: the packet of the image with this number has one wrong bit */
	uint64_t corrupt_for; /* and so have all until this one */
	uint64_t mute_at;     /* fault: silent from this message on, until its power is cut */
	size_t smp_buffer;    /* what it says it has; 0: it does not know the request */
	enum sim_kind kind;
	uint32_t object;    /* Nordic Secure: bytes of one; 0: 4096 */
	uint16_t transfer;  /* USB */
	uint16_t version;   /* bcdDevice of the old firmware; the new one has one more */
	uint8_t attributes; /* USB: enum dfu_usb_attribute */
	bool knows_version; /* Nordic Secure: tells versions */
	bool old_errors;    /* SMP: "rc" alone */
	/* Nordic: init packets are signed ones of nrfutil; new_image is the right image */
	bool real_init;
	/* faults */
	bool other_hardware; /* the image is not for it */
	bool bad_write, bad_erase;
	bool short_upload; /* USB: half of what was asked for, and its end */
	bool reverts;      /* it does not start the new firmware */
};

enum sim_runs {
	SIM_OLD = 1,
	SIM_NEW,
	SIM_WAITS, /* it has no firmware, and its boot loader waits for one */
	SIM_MIXTURE,
};

struct sim_message {
	enum dfu_event_kind kind;
	enum dfu_channel channel;
	int64_t at; /* not before */
	size_t len;
	uint8_t data[DFU_CONTROL_MAX];
};

#define SIM_QUEUE 24

struct sim_usb {
	uint8_t state, status;
	size_t received;
	uint8_t block[DFU_CONTROL_MAX];
	size_t block_len;
	uint16_t block_number;
	int64_t busy_until;
	uint32_t pointer;
	bool button; /* DfuSe: held while it starts */
};

struct sim_nordic {
	uint8_t state;
	uint8_t buffer[4096]; /* Secure: the object; legacy: the init packet */
	size_t buffered;
	uint32_t object_size;
	uint8_t object_type;
	uint32_t receipts, counted;
	uint32_t sizes[3];
	size_t received;
	bool init_valid, entering;
	uint8_t init[NOTE_DATA];
	size_t init_len;
};

struct sim_smp {
	uint8_t in[4096];
	size_t got;
	uint8_t out[2048];
	uint32_t off, len; /* upload under way */
	uint8_t sha[32];
	bool session;
};

struct sim {
	struct sim_options o;
	struct flash flash;
	struct banks banks;
	const uint8_t *old_image, *new_image; /* borrowed */
	size_t old_len, new_len;
	const uint8_t *new_hash; /* SMP: of the new one, as its image says */
	enum dfu_mode mode;
	bool linked;
	bool dropped; /* it has ended the link itself */
	int64_t now;
	uint64_t packets; /* of the image */
	uint64_t taken;   /* messages */
	struct sim_message queue[SIM_QUEUE];
	size_t first, queued;
	union {
		struct sim_usb usb;
		struct sim_nordic nordic;
		struct sim_smp smp;
	} of;
};

void sim_init(struct sim *s, const struct sim_options *o, const uint8_t *old_image, size_t old_len,
	      const uint8_t *new_image, size_t new_len);
void sim_done(struct sim *s);
void sim_power_on(struct sim *s);            /* also after a cut */
enum sim_runs sim_runs(const struct sim *s); /* what it would start now */

/* A link; facts: for USB, filled in. */
void sim_link(struct sim *s, struct dfu_link *ret, struct dfu_usb_facts *facts);
void sim_unlink(struct sim *s, bool reset);
void sim_take(struct sim *s, const struct dfu_request *r);
/* the next answer, if it is due; false: none is. at: when it will be, INT64_MAX: there is none */
bool sim_answer(struct sim *s, struct sim_message *ret, int64_t *at);

/* for the devices: */
void sim_say(struct sim *s, enum dfu_event_kind kind, enum dfu_channel channel, const void *data,
	     size_t len, int64_t delay);
void sim_restart(struct sim *s); /* ends the link and boots */
/* the packet with its wrong bit, if it is the one; buffer is the caller's */
const uint8_t *sim_corrupt(struct sim *s, const uint8_t *data, size_t len, uint8_t *buffer);
/* of the image that is awaited; said: what the init packet says, which counts if it is made up */
uint32_t sim_wanted(const struct sim *s, const uint8_t *said);
void sim_put16(uint8_t *to, uint32_t v);
void sim_put32(uint8_t *to, uint32_t v);
uint32_t sim_get32(const uint8_t *from);

/* each device: after power on; on a link; a link's end; a message */
void sim_usb_boot(struct sim *s);
void sim_usb_link(struct sim *s, struct dfu_usb_facts *facts);
void sim_usb_unlink(struct sim *s, bool reset);
void sim_usb_take(struct sim *s, const struct dfu_request *r);
enum sim_runs sim_dfuse_runs(const struct sim *s);
void sim_legacy_boot(struct sim *s);
void sim_legacy_take(struct sim *s, const struct dfu_request *r);
void sim_secure_boot(struct sim *s);
void sim_secure_take(struct sim *s, const struct dfu_request *r);
void sim_smp_make(struct sim *s);
void sim_smp_boot(struct sim *s);
void sim_smp_take(struct sim *s, const struct dfu_request *r);
enum sim_runs sim_smp_runs(const struct sim *s);
