/*
 * The simulated radio world, inside: the line between the air and the peripherals.
 *
 *   kernel <--/dev/vhci, H4--> vhci.c, hci.c, air.c | peer.h | peer.c, server.c, smp.c, models/
 *            controller: commands, events,          |        | one peripheral: ATT server,
 *            adverts, links, L2CAP, faults, btsnoop |        | security manager, device model
 *
 * Both sides are one process and one thread. Peripherals are told what happens on their link and
 * say what they want to send; the air has the clock, the timers and all that goes wrong on the way.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PEER_CID_ATT    4
#define PEER_CID_SIGNAL 5
#define PEER_CID_SMP    6
#define PEER_ADVERT_MAX 31
#define PEER_SDU_MAX    600
#define PEER_NAME_MAX   32

/* What the air sees of a peripheral. The peripheral fills the upper part before it is added and may
 * change adverts at any time (air_changed()); the lower part is the air's. */
struct peer {
	unsigned int index; /* from 0: how the control socket names it */
	const char *model;
	char name[PEER_NAME_MAX];
	uint8_t identity[6];  /* most significant first */
	bool identity_random; /* static random; else public */
	/* for addresses that rotate; as in the PDU Identity Information; all zero: none */
	uint8_t irk[16];
	bool advertises, connectable;
	unsigned int interval_ms;
	uint8_t advert[PEER_ADVERT_MAX], scan_response[PEER_ADVERT_MAX];
	size_t advert_len, scan_response_len;
	struct peer_state *state; /* the peripheral's own */

	uint8_t address[6]; /* on air now: the identity, or a resolvable private one */
	bool address_random;
	bool rotates; /* uses resolvable private addresses */
	bool connected, encrypted;
	uint16_t handle;
	/* the host's address as used on this link, most significant first: pairing hashes it; the
	 * air sets it before peer_connected() */
	uint8_t host[6];
	bool host_random;
	void *air; /* the air's own: timers, queues, faults */
};

/* ---- what the peripheral side offers (peer.c) ---- */

/* model: a name of models/; -ENOENT, -ENOMEM. The same index always gives the same identity. */
int peer_new(const char *model, unsigned int index, struct peer **ret);
void peer_free(struct peer *p);
/* NULL-terminated */
extern const char *const peer_models[];

void peer_connected(struct peer *p);
void peer_disconnected(struct peer *p, uint8_t reason);
/* an L2CAP SDU of the host on a fixed channel */
void peer_receive(struct peer *p, uint16_t cid, const uint8_t *data, size_t len);
/* The host starts encryption: the key for this (rand, ediv), or false: this peripheral has none.
 * rand and the key are in the order of HCI and of the security manager's PDUs. */
bool peer_long_term_key(struct peer *p, const uint8_t rand[8], uint16_t ediv, uint8_t ret[16]);
void peer_encrypted(struct peer *p);
/* the time asked for with air_wake() has come */
void peer_wake(struct peer *p);
/*
 * One line of the control socket or of a scenario for this peripheral, without its index:
 * "measure", "measure 5", "pair passkey 123456", "fault malformed 3", "fault silent",
 * "fault in-clear", "forget" (its bond), "state". Writes one line of answer. 0 or -errno.
 */
int peer_command(struct peer *p, const char *line, char *answer, size_t size);

/* ---- what the air offers (air.c) ---- */

int64_t air_now(void); /* microseconds, monotonic */
/* calls peer_wake() once at or after `at`; a new call replaces the old; INT64_MAX: never */
void air_wake(struct peer *p, int64_t at);
/* queues one SDU to the host; nothing happens without a link */
void air_send(struct peer *p, uint16_t cid, const uint8_t *data, size_t len);
/* drops the link with this reason, as the peripheral's own doing */
void air_drop(struct peer *p, uint8_t reason);
/* advertising data or state has changed */
void air_changed(struct peer *p);
/* one line of the world's log: "<time> <index> <model> ..."; the harness reads `confirmed`,
 * `indicated` etc. from it. Synthetic data only, so values may be in it. */
void air_log(const struct peer *p, const char *format, ...) __attribute__((format(printf, 2, 3)));
