/*
 * Plays captures as simulated devices with a memory, one file after the other. What makes it worth
 * having is that it lets go of data as a device does:
 *
 *   - an indication is gone from the device only when the session confirms it, and the next one
 *     waits for that (ATT allows one unconfirmed indication);
 *   - a notification is gone when what came of it is committed; the next need not wait, but waits
 *     when the gateway has no room;
 *   - killed and started again with the same memory file, it offers again all that was not
 *     confirmed, in order, behind the values that are read on every connection.
 *
 * So a confirmation before the commit shows up as a lost reading in a kill test.
 *
 * A spoiled or refused frame is never confirmed. A real device would offer it again for ever; this
 * one reconnects and gives it up, and player_spoiled() counts it.
 *
 * Several links in one file (HCI captures) are played in the order of the file.
 */
#pragma once

#include <systemd/sd-event.h>

#include "drivers/session.h"
#include "protocols/capture/cap.h"

/* Where measurements go: the socket to the gateway, or a test. */
struct player_sink {
	/* a link is up, or more has become known about it; id is new for each connection */
	int (*up)(void *user, uint32_t id, const struct session *session);
	int (*measurement)(void *user, uint32_t id, const struct measurement *m, uint64_t seq,
			   int64_t at_utc_ms);
	int (*down)(void *user, uint32_t id, const struct session *session);
	bool (*has_room)(void *user);
	/* all files are played and all is committed */
	void (*finished)(void *user, uint64_t measurements);
	/* what passes between device and session; may be NULL */
	void (*observe)(void *user, uint32_t id, const struct cap_event *event, int64_t at_utc_ms);
	void *user;
};

struct player_options {
	char *const *files; /* borrowed */
	size_t n_files;
	unsigned int speed; /* times real time; 0 = as fast as confirmations allow */
	const char *memory; /* file, or NULL */
};

struct player;

/* Begins with the first turn of the loop. -EBADMSG: the memory file is not one. */
int player_new(sd_event *event, const struct player_options *options,
	       const struct player_sink *sink, struct player **ret);
void player_free(struct player *p); /* NULL is fine */
void player_committed(struct player *p, uint64_t seq);
void player_refused(struct player *p, uint64_t seq);
/* there may be room again */
void player_wake(struct player *p);
bool player_is_finished(const struct player *p);
/* frames that were given up, and files that could not be read to their end */
uint64_t player_spoiled(const struct player *p);
