/*
 * Firmware updates of devices with an open update protocol, as passive machines: what the link
 * tells goes in with dfu_event(), what is to be carried out comes out of dfu_next(), and the time
 * is the caller's. One shape for all protocols, so one loop serves them all:
 *
 *   dfu_begin(&d, &DFU_SMP, &plan)
 *   loop:  dfu_next(&d, now, &r)    SEND: carry it out      RELINK: close the link, open it again
 *                                   WAIT: until an event, or r.until     END: d.outcome says how
 *          dfu_event(&d, now, &e)   what came of it
 *
 * The image was verified by the caller; the device's answers are hostile. What is known before the
 * first write: that the device is the right one as far as it says so, the version that it runs if
 * it tells one, and that the image fits if it tells its room. A lost link is not the end: the
 * machine asks for another one and goes on where the device says that it is.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Up to four numbers, the most important first: major.minor.revision.build, or a counter alone. */
struct dfu_version {
	bool known;
	uint32_t part[4];
};

/* below, the same and above 0; both must be known */
int dfu_version_compare(const struct dfu_version *a, const struct dfu_version *b);

#define DFU_HASH_SIZE 32 /* SHA-256 */

/* What is to be installed. Borrowed, with all that it points to, until the run has ended. */
struct dfu_plan {
	const uint8_t *image; /* for DfuSe: of one element, without any prefix or suffix */
	size_t len;           /* not 0 */
	struct dfu_version version;
	bool allow_older; /* else a device that says it runs a newer one is left alone */
	/* Nordic: the init packet, and what the image is (legacy only) */
	const uint8_t *init;
	size_t init_len;
	enum dfu_nordic_part {
		DFU_NORDIC_SOFTDEVICE = 1,
		DFU_NORDIC_BOOTLOADER = 2,
		DFU_NORDIC_APPLICATION = 4,
	} part;
	uint32_t address;  /* DfuSe: where the image belongs */
	uint16_t vid, pid; /* USB: of the DFU suffix; 0xffff: any */
	/* SMP: SHA-256 of the whole file; the hash that the image carries in its MCUboot TLV */
	const uint8_t *file_hash, *image_hash;
};

enum dfu_mode {
	DFU_MODE_APPLICATION = 1, /* it runs its firmware */
	DFU_MODE_UPDATE,          /* its boot loader waits for an update */
};

#define DFUSE_REGIONS_MAX 16

/* Memory of equal pages, in address order, from the interface's name. */
struct dfuse_region {
	uint32_t address, page; /* bytes */
	uint32_t pages;
	bool readable, erasable, writable;
};

struct dfuse_layout {
	struct dfuse_region region[DFUSE_REGIONS_MAX];
	size_t n;
};

/* the page that holds the address; false: none, or not within the layout */
bool dfuse_page_at(const struct dfuse_layout *l, uint32_t address, struct dfuse_region *ret);

/* The functional descriptor of the DFU interface (DFU 1.1, table 4.2), and what else is known. */
struct dfu_usb_facts {
	uint16_t vid, pid, device; /* of the device descriptor, as it is now */
	uint8_t interface, alternate;
	uint8_t name;       /* iInterface: index of the string with DfuSe's layout, 0: none */
	uint8_t attributes; /* enum dfu_usb_attribute */
	uint16_t detach_ms; /* wDetachTimeOut */
	uint16_t transfer;  /* wTransferSize, bytes */
	uint16_t dfu;       /* bcdDFUVersion: 0x0110, 0x011a for DfuSe, 0: it has no DFU */
	enum dfu_mode mode; /* bInterfaceProtocol 1 or 2 */
	struct dfuse_layout layout; /* DfuSe; of the chosen alternate setting's name */
};

enum dfu_usb_attribute {
	DFU_USB_CAN_DOWNLOAD = 1,
	DFU_USB_CAN_UPLOAD = 2,
	DFU_USB_MANIFEST_TOLERANT = 4,
	DFU_USB_WILL_DETACH = 8,
};

#define DFU_USB_DFUSE 0x011a

/* A link that is up. */
struct dfu_link {
	enum dfu_mode mode;              /* Bluetooth: which services are there says it */
	size_t mtu;                      /* ATT_MTU in force; Bluetooth */
	struct dfu_version running;      /* of the application, if the caller could read it */
	const struct dfu_usb_facts *usb; /* borrowed for the call */
};

enum dfu_channel {
	DFU_CONTROL = 1, /* USB: control transfers to the interface */
	DFU_POINT,       /* Nordic: write with response, notifications come back */
	DFU_PACKET,      /* Nordic: write without response */
	DFU_BUTTONLESS,  /* Nordic Secure: write with response, indications come back */
	DFU_SMP_CHANNEL, /* SMP: write without response, notifications come back */
};

struct dfu_setup {
	uint8_t type, request;
	uint16_t value, index, length; /* length: of data, or the most that may come back */
};

enum dfu_act {
	DFU_WAIT = 1,
	DFU_SEND,
	DFU_RELINK, /* asked once; exactly one DFU_LINKED or DFU_LOST answers it */
	DFU_END,
};

struct dfu_request {
	enum dfu_act act;
	int64_t until;      /* DFU_WAIT: ask again at this time at the latest */
	int64_t pause;      /* DFU_RELINK: between the two, microseconds */
	bool reset;         /* DFU_RELINK: by a reset of the USB port */
	enum dfu_mode mode; /* DFU_RELINK: what is expected to answer; 0: whatever comes */
	enum dfu_channel channel;
	struct dfu_setup setup; /* DFU_CONTROL */
	const uint8_t *data;    /* borrowed until the next call with this dfu */
	size_t len;
};

struct dfu_event {
	enum dfu_event_kind {
		DFU_LINKED = 1,
		DFU_LOST,    /* the link, or it could not be had */
		DFU_WRITTEN, /* a write with response, a control transfer OUT */
		DFU_CAME,    /* a notification or indication, or the answer to a transfer IN */
		DFU_DENIED,  /* the write was refused: ATT error, STALL */
	} kind;
	enum dfu_channel channel;
	const uint8_t *data; /* borrowed for the call */
	size_t len;
	const struct dfu_link *link; /* DFU_LINKED */
};

enum dfu_outcome {
	DFU_RUNNING = 0,
	DFU_INSTALLED,
	DFU_REFUSED,
};

/* How far it is proved that the device runs what was sent. */
enum dfu_proof {
	DFU_PROOF_NONE = 0,
	DFU_PROOF_ACCEPTED,  /* the device checked it and said so, and left for its start */
	DFU_PROOF_READ_BACK, /* every byte was read back and is the same */
	DFU_PROOF_VERSION,   /* it runs, and tells the new version */
	DFU_PROOF_HASH,      /* it runs, and tells the hash of the image */
};

enum dfu_refusal {
	DFU_FINE = 0,
	DFU_WRONG_DEVICE,
	DFU_OLDER,
	DFU_TOO_LARGE,
	DFU_NOT_WRITABLE, /* it takes no update, or not at that address */
	DFU_SIGNATURE,
	DFU_INIT_PACKET, /* what describes the image was refused */
	DFU_CHECKSUM,    /* what it got is not what was sent, three times */
	DFU_ERASE,
	DFU_WRITE,
	DFU_READ_BACK,
	DFU_NO_ANSWER,
	DFU_LINK_LOST,   /* DFU_LINKS_MAX times without any progress */
	DFU_NONSENSE,    /* an answer that its protocol does not have */
	DFU_NOT_STARTED, /* it is back with its old firmware */
	DFU_BUSY,
	DFU_FAILED, /* anything else that it says; dfu.code has its number */
	DFU_REFUSAL_END
};

/* one plain sentence */
const char *dfu_refusal_text(enum dfu_refusal refusal);

#define DFU_LINKS_MAX   8
#define DFU_PACKET_MAX  1024 /* the largest of ours: one SMP request */
#define DFU_CONTROL_MAX 4096 /* the largest block over USB that is used */
#define DFU_IN_MAX      4096 /* an answer; longer ones are refused */

struct dfu;

/* One of the machines; called by dfu.c alone, with a link that is up. */
struct dfu_protocol {
	const char *name, *label;
	void (*linked)(struct dfu *d, const struct dfu_link *link);
	void (*ask)(struct dfu *d, struct dfu_request *ret);     /* nothing is awaited: what now? */
	void (*event)(struct dfu *d, const struct dfu_event *e); /* WRITTEN, CAME, DENIED */
	void (*late)(struct dfu *d); /* what was awaited did not come in time */
};

extern const struct dfu_protocol DFU_USB, DFU_NORDIC_LEGACY, DFU_NORDIC_SECURE, DFU_SMP;

struct dfu_usb_state {
	struct dfu_usb_facts facts;
	int step, pass;
	bool polling; /* GETSTATUS is what comes next */
	uint16_t block;
	size_t at, chunk;   /* offset in the image, bytes under way */
	uint32_t page;      /* DfuSe: address of the page to be erased */
	int64_t busy_until; /* then it takes too long */
	unsigned int clears;
	bool manifesting; /* all was handed over */
	bool manifested, read_back;
};

struct dfu_nordic_state {
	int step;
	size_t mtu;
	size_t sent;   /* of init packet or image */
	size_t object; /* where the object at hand began; its end */
	size_t object_end;
	size_t object_max;
	unsigned int receipt; /* packets since the last receipt */
	unsigned int tries;   /* of the same object */
	bool maybe_executed;
	uint8_t image; /* whose version is asked for */
};

struct dfu_smp_state {
	int step;
	size_t mtu, packet; /* largest SMP packet */
	uint8_t sequence;
	uint8_t group, id, op; /* of the request at hand */
	size_t out, out_sent;  /* its bytes in scratch */
	size_t offset, chunk;  /* of the image; bytes in the request at hand */
	size_t in;             /* of the answer, so far */
	unsigned int stuck;    /* answers without progress */
	bool uploaded;         /* on this link */
	unsigned int trials;   /* on any: how often it was told to start the new one */
	uint8_t answer[DFU_IN_MAX];
};

/* One run. Read outcome, refusal, code, proof, done and total; the rest is the machine's own. */
struct dfu {
	const struct dfu_protocol *protocol;
	const struct dfu_plan *plan;
	enum dfu_outcome outcome;
	enum dfu_refusal refusal;
	uint32_t code; /* the device's own number for it, 0 if none */
	enum dfu_proof proof;
	struct dfu_version before; /* what it ran, if it said so */
	size_t done, total;        /* bytes of the image that the device has */
	unsigned int links;        /* that were up */

	int64_t now, until, pause_until;
	bool up, asked, awaiting, relink, reset;
	int64_t relink_pause;
	enum dfu_mode relink_mode;
	unsigned int lost; /* links, and attempts at one, since there was progress */
	size_t best;
	unsigned int open_writes;
	uint8_t scratch[DFU_PACKET_MAX];
	union {
		struct dfu_usb_state usb;
		struct dfu_nordic_state nordic;
		struct dfu_smp_state smp;
	} of;
};

/* d need not be initialised; -EINVAL: the plan lacks what the protocol needs, or is too large */
int dfu_begin(struct dfu *d, const struct dfu_protocol *protocol, const struct dfu_plan *plan);
void dfu_next(struct dfu *d, int64_t now, struct dfu_request *ret);
void dfu_event(struct dfu *d, int64_t now, const struct dfu_event *e);
