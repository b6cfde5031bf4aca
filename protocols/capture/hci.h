/*
 * From HCI packets to capture events: ACL fragments are put together to L2CAP, channel 4 is ATT,
 * and ATT values get the UUID that the discovery in the same capture gave their handle.
 *
 *   CAP_OPEN     a connection, before the first event on it; service and name from its
 *                advertisements or its discovery
 *   CAP_FRAME    notification, indication, answer to a read
 *   CAP_CONFIRM, CAP_WRITE, CAP_READ   what the capturing host sent
 *   CAP_CLOSE    disconnection
 *
 * Pure. All tables are bounded; what no longer fits pushes out what was used longest ago.
 * Source: Bluetooth Core 5.4: vol 4 part E (HCI) 5.4, 7.7; vol 3 part A (L2CAP) 3.1; part F (ATT)
 * 3.4.
 */
#pragma once

#include "protocols/capture/cap.h"
#include "protocols/capture/packets.h"

#define HCI_LINKS_MAX   16
#define HCI_DEVICES_MAX 32
#define HCI_HANDLES_MAX 192 /* per device */
#define HCI_FIXED_MAX   32
#define HCI_ATT_MAX     1024 /* one ATT packet; the specification ends at 517 */

struct hci_handle {
	uint16_t handle, uuid16;
};

/* What is remembered of a device, across connections. */
struct hci_device {
	bool used;
	bool has_address;
	uint16_t adapter;
	uint8_t address[7]; /* type, then as on the air */
	uint64_t touched;
	char name[CAP_TEXT_MAX];
	uint16_t service, company;
	size_t n_handles;
	struct hci_handle handles[HCI_HANDLES_MAX];
};

/* One direction of one connection. */
struct hci_sdu {
	bool skip;       /* another L2CAP channel: only counted to its end */
	uint16_t wanted; /* L2CAP header and payload; 0 = nothing begun */
	uint16_t have;
	uint8_t data[4 + HCI_ATT_MAX];
};

struct hci_link {
	bool used, opened;
	uint16_t adapter, handle; /* of the connection */
	uint16_t id;              /* cap_event.link */
	uint64_t touched;
	size_t device;
	struct hci_sdu sdu[2]; /* sent, received */
	uint16_t mtu, mtu_asked;
	uint8_t request;         /* opcode of our unanswered request */
	uint16_t request_handle; /* of a read */
	uint16_t request_type;   /* of Read By Type and its relatives; 0 = not 16 bit */
	uint16_t request_value;  /* of Find By Type Value */
	uint16_t indicated;      /* channel of the unconfirmed indication; 0 = none */
	uint16_t value_handle;   /* a long value being read; 0 = none */
	size_t value_len;
	uint8_t value[CAP_DATA_MAX];
};

struct hci_counts {
	uint64_t unknown_handles; /* values whose UUID nothing told */
	uint64_t unserved;        /* ATT packets of kinds that are not followed */
};

struct hci {
	struct hci_link links[HCI_LINKS_MAX];
	struct hci_device devices[HCI_DEVICES_MAX];
	struct hci_handle fixed[HCI_FIXED_MAX]; /* told by the user: goes before discovery */
	size_t n_fixed;
	uint16_t next_id;
	uint64_t touch;
	struct hci_counts counts;
	const char *problem; /* after an error: constant string */

	void (*event)(void *user, const struct cap_event *event);
	void *user;
	int64_t now; /* of the packet being looked at */
};

void hci_init(struct hci *h, void (*event)(void *user, const struct cap_event *event), void *user);
/* -ENOBUFS: more than HCI_FIXED_MAX */
int hci_add_handle(struct hci *h, struct hci_handle handle);
/* at_us of the packet must be relative to the beginning of the capture. 0, or -EBADMSG (lengths
 * contradict each other), -EMSGSIZE (longer than ATT can be): h->problem. */
int hci_packet(struct hci *h, const struct packet *packet);
/* The capture is over: hands on what was still being put together, closes what is open. */
void hci_finish(struct hci *h);
