/*
 * The HCI side of the virtual controller: commands in, events out. An LE-only controller of
 * Bluetooth 4.2: legacy advertising and scanning, LE data length, no link-layer privacy (so the
 * host resolves addresses), no connection parameter request of the link layer (so peripherals ask
 * over L2CAP). What a host may send is not trusted: a command has the length of its table row or is
 * answered with "invalid parameters"; an unknown one with "unknown command".
 * Source: Bluetooth Core 5.4, vol 4 part E, 7.1 to 7.8; status codes vol 1 part F.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tests/lab/radio/acl.h"
#include "tests/lab/radio/vhci.h"

#define CONTROLLER_ACCEPT_MAX  32
#define CONTROLLER_FAULTS_MAX  16
#define CONTROLLER_ACL_BUFFERS 16
#define CONTROLLER_UNKNOWN_MAX 64

#define H4_COMMAND 1
#define H4_ACL     2
#define H4_EVENT   4

enum controller_status {
	STATUS_GOOD = 0x00,
	STATUS_UNKNOWN_COMMAND = 0x01,
	STATUS_UNKNOWN_CONNECTION = 0x02,
	STATUS_KEY_MISSING = 0x06,
	STATUS_MEMORY_FULL = 0x07,
	STATUS_TIMEOUT = 0x08,
	STATUS_TOO_MANY_LINKS = 0x09,
	STATUS_DISALLOWED = 0x0c,
	STATUS_UNSUPPORTED = 0x11,
	STATUS_INVALID = 0x12,
	STATUS_PEER_ENDED = 0x13,
	STATUS_HOST_ENDED = 0x16,
	STATUS_MIC_FAILURE = 0x3d,
	STATUS_NOT_ESTABLISHED = 0x3e,
};

/* types of an advertising report */
#define REPORT_IND           0
#define REPORT_SCANNABLE     2
#define REPORT_NONCONN       3
#define REPORT_SCAN_RESPONSE 4

struct controller_report {
	uint8_t type;
	bool random;
	uint8_t address[6]; /* most significant first, here and everywhere outside the packets */
	const uint8_t *data;
	size_t len; /* up to PEER_ADVERT_MAX */
	int8_t rssi;
};

/* what the air does for the controller; `user` is the air */
struct controller_ops {
	void (*reset)(void *user);
	void (*scan_changed)(void *user, bool on);
	bool (*is_link)(void *user, uint16_t handle);
	bool (*has_room)(void *user); /* for one more link */
	int8_t (*rssi)(void *user, uint16_t handle);
	void (*disconnect)(void *user, uint16_t handle, uint8_t reason);
	void (*cancelled)(void *user);
	/* the key of the host, as in the command */
	void (*encrypt)(void *user, uint16_t handle, const uint8_t rand[8], uint16_t ediv,
			const uint8_t key[16]);
	uint64_t (*random)(void *user);
	void (*note)(void *user, const char *text); /* one line of the world's log */
};

struct controller_address {
	uint8_t type;
	uint8_t bytes[6]; /* as in the packets */
};

struct controller_fault {
	uint16_t opcode;
	bool mute; /* no answer and no effect; else the status */
	uint8_t status;
	unsigned int left;
};

struct controller {
	struct vhci *port;
	const struct controller_ops *ops;
	void *user;
	uint8_t address[6]; /* its own public one */

	struct controller_fault faults[CONTROLLER_FAULTS_MAX];
	uint16_t unknown[CONTROLLER_UNKNOWN_MAX]; /* already said */
	size_t n_unknown;

	/* from here on a reset clears it */
	bool scanning, active, dedupe;
	uint8_t scan_policy;
	uint8_t random_address[6]; /* as in the packet */
	struct controller_address accept[CONTROLLER_ACCEPT_MAX];
	size_t n_accept;
	struct {
		bool on, by_list;
		struct controller_address peer;
		bool own_random;
		uint16_t interval, latency, timeout;
	} connect;
};

void controller_init(struct controller *c, struct vhci *port, const struct controller_ops *ops,
		     void *user, const uint8_t address[6]);
void controller_reset(struct controller *c);
/* one command without the H4 type byte, from the host: anything may be in it */
void controller_command(struct controller *c, const uint8_t *data, size_t len);

/* The next `times` commands of this opcode are not answered, or answered with this status. times 0
 * ends it. -ENOSPC. */
int controller_add_fault(struct controller *c, uint16_t opcode, bool mute, uint8_t status,
			 unsigned int times);

/* Would a scan report this advertiser; would the outstanding Create Connection take it? */
bool controller_listens(const struct controller *c, bool random, const uint8_t address[6]);
bool controller_initiates(const struct controller *c, bool random, const uint8_t address[6]);
/* the address the host uses for its links */
void controller_own_address(const struct controller *c, bool *ret_random, uint8_t ret[6]);

void controller_report(struct controller *c, const struct controller_report *r);
/* Connection Complete; the outstanding Create Connection is over */
void controller_connected(struct controller *c, uint8_t status, uint16_t handle, bool random,
			  const uint8_t address[6]);
void controller_disconnected(struct controller *c, uint16_t handle, uint8_t reason);
/* refreshed: the link was encrypted before */
void controller_encrypted(struct controller *c, uint16_t handle, uint8_t status, bool refreshed);
void controller_completed(struct controller *c, uint16_t handle, uint16_t packets);
void controller_acl(struct controller *c, uint16_t handle, unsigned int boundary,
		    const uint8_t *data, size_t len);
