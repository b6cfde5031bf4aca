/*
 * The radio world: peripherals and strangers, what they advertise, the links between them and the
 * host, and everything that goes wrong on the way. One thread; air_tick() does what is due.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "tests/lab/radio/acl.h"
#include "tests/lab/radio/controller.h"
#include "tests/lab/radio/peer.h"

#define AIR_PEERS_MAX    512
#define AIR_QUEUE_MAX    256 /* SDUs on the way, per direction of a link */
#define AIR_NEVER        INT64_MAX
#define AIR_ALWAYS       UINT32_MAX
#define AIR_SECOND       INT64_C(1000000)
#define AIR_MILLISECOND  INT64_C(1000)
#define AIR_CROWD_STAY_S 900

/* what goes wrong for one peripheral; counts end by themselves */
struct air_faults {
	unsigned int drop_at; /* times that a PDU with that opcode ends the link instead */
	uint8_t drop_at_opcode, drop_at_reason;
	unsigned int unconfirmed; /* times that a link ends between indication and confirmation */
	int64_t unconfirmed_us;   /* ... and how long after the indication */
	unsigned int lost;        /* connections that are never established: 0x3e */
	int64_t lost_us;
	unsigned int refused; /* Connection Complete with this status */
	uint8_t refused_status;
	unsigned int hang; /* attempts that never complete */
	int64_t delay_us, jitter_us;
	unsigned int loss_percent; /* of the SDUs, both ways */
	size_t fragment;           /* bytes of an ACL packet to the host */
};

struct air_sdu;

struct air_queue {
	struct air_sdu *first, *last;
	unsigned int n;
};

struct air_peer {
	struct air *air;
	struct peer *peer;
	struct air_faults faults;
	struct air_queue to_host, to_peer;
	struct acl_sdu incoming;
	unsigned int uncompleted; /* packets of the host for which no buffer was given back */

	bool was_advertising; /* as the log last said it */
	bool reported;        /* the duplicate filter has seen it */
	int64_t next_advert;
	int8_t rssi, rssi_mean;
	int64_t wake_at;
	int64_t rotate_every, rotate_at;
	bool rotate_later; /* not while linked */
	int64_t drop_at;
	uint8_t drop_reason;
	bool told;    /* the peripheral knows of the link */
	bool muffled; /* nothing comes through any more, and the link is about to end */
	uint8_t signal_id;
};

struct air_crowd {
	uint32_t count, rate; /* rate: adverts a second, of all of them */
	int64_t stay, next;
	uint32_t *reported; /* generation + 1 */
};

struct air {
	struct vhci port;
	struct controller controller;
	struct peer *peers[AIR_PEERS_MAX]; /* NULL: was removed */
	unsigned int n_peers;
	struct air_crowd crowd;
	uint64_t random;
	FILE *log;          /* NULL: none */
	bool deaf;          /* hears no adverts, and says so to nobody */
	bool strict_filter; /* the duplicate filter looks at the address only */
	bool stalled;       /* gives no buffers back */
	unsigned int links_max;
	uint16_t next_handle;
	uint64_t reports, host_errors; /* packets of the host that made no sense */
};

/* port: open or not; taken over. The log is borrowed. */
void air_init(struct air *a, const struct vhci *port, const uint8_t address[6], uint64_t seed,
	      FILE *log);
void air_done(struct air *a);

/* -ENOSPC, or what peer_new() says */
int air_add(struct air *a, const char *model, unsigned int *ret_index);
/* a new peripheral of the same model that claims the same address and name; -ENOENT, -ENOSPC */
int air_clone(struct air *a, unsigned int index, unsigned int *ret_index);
/* it is gone, its link with it; -ENOENT */
int air_remove(struct air *a, unsigned int index);
/* NULL: none */
struct peer *air_find(const struct air *a, unsigned int index);

/* Does all that is due. */
void air_tick(struct air *a);
/* when there will be something to do; AIR_NEVER */
int64_t air_next(const struct air *a);
/* one H4 packet of the host */
void air_from_host(struct air *a, const uint8_t *packet, size_t len);
/* Reads what the host has sent. 0; -errno: the host is gone. */
int air_read_host(struct air *a);
/* The adapter is taken away: links end, the port is closed. */
void air_unplug(struct air *a);

/* faults by hand */
void air_cut(struct peer *p, uint8_t reason, int64_t delay_us); /* the link ends, as if by radio */
int air_rotate(struct peer *p);                                 /* -EOPNOTSUPP without a key */
void air_rotate_every(struct peer *p, int64_t usec);            /* 0: never again */
void air_release_buffers(struct air *a);
int air_set_crowd(struct air *a, uint32_t count, uint32_t rate, int64_t stay_us);
/* asks the host for other connection parameters; -ENOTCONN */
int air_ask_parameters(struct peer *p, const uint16_t parameters[4]);

/* a line of the log that is nobody's */
void air_note(struct air *a, const char *format, ...) __attribute__((format(printf, 2, 3)));
