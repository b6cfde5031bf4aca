/*
 * The door for tests: IEEE 11073-20601 over TCP, as 11073 tools commonly offer it, so that other
 * people's agents can be run against our manager. Each connection is one agent: a wire (wire.h)
 * that carries whole APDUs, however the bytes were cut, and a cable (cable.h) with driver `phd`.
 *
 *   tool --TCP--> wire --APDU--> cable --measurement--> sink     all of it is test data
 *
 * There is no identity and no encryption in it, so it opens on loopback addresses alone, and only
 * when it is asked for.
 */
#pragma once

#include <systemd/sd-event.h>

#include "drivers/session.h"
#include "protocols/capture/cap.h"

#define PHD_DOOR_AGENTS_MAX 16 /* at a time; one more is turned away */

struct phd_door_sink {
	/* Before the first measurement of an agent, and again when more is known about it: readings
	 * are filed under what it says of itself. One that measures nothing comes at its end. */
	int (*up)(void *user, uint32_t id, const struct session *session);
	/* only readings; negative: it was not taken, and the connection ends */
	int (*measurement)(void *user, uint32_t id, const struct measurement *m, uint64_t seq,
			   int64_t at_utc_ms);
	int (*down)(void *user, uint32_t id, const struct session *session);
	bool (*has_room)(void *user);
	void (*observe)(void *user, uint32_t id, const struct cap_event *event,
			int64_t at_utc_ms); /* may be NULL */
	void *user;
};

struct phd_door;

/* "127.0.0.1:6024", "[::1]:6024"; port 0: any. 0; -EINVAL no such address; -EACCES it is not one of
 * this machine alone. */
int phd_door_check(const char *address);
/* Listens. next_seq and next_id: of the next measurement and the next connection; borrowed, shared
 * with the other transports of the process. As phd_door_check(), or the -errno of the socket. */
int phd_door_new(sd_event *event, const char *address, const struct phd_door_sink *sink,
		 uint64_t *next_seq, uint32_t *next_id, struct phd_door **ret);
void phd_door_free(struct phd_door *d); /* NULL is fine */
uint16_t phd_door_port(const struct phd_door *d);

void phd_door_committed(struct phd_door *d, uint64_t seq);
void phd_door_refused(struct phd_door *d, uint64_t seq);
void phd_door_wake(struct phd_door *d);
