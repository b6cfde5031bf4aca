/*
 * A capture file as a stream of events: own .cap, btsnoop, pcap and pcapng are told apart by their
 * content. Memory is bounded whatever the file claims.
 */
#pragma once

#include "protocols/capture/cap.h"

struct replay_handle {
	uint16_t handle, uuid16;
};

struct replay_options {
	const struct replay_handle
		*handles; /* --handle 0x0012=2a35, for captures without discovery */
	size_t n_handles;
};

struct replay;

/* options may be NULL. *ret_error: one malloc'd line "FILE: ..." or "FILE:LINE: ..." on failure,
 * which is -EBADMSG or the -errno of opening and reading; a file without an event is one. */
int replay_open(const char *path, const struct replay_options *options, struct replay **ret,
		char **ret_error);
void replay_free(struct replay *r);
/* 1 and *ret; 0 at the end; -EBADMSG (or the -errno of reading) and *ret_error (malloc'd, what and
 * where) on bad data, after which the replay is at its end. */
int replay_next(struct replay *r, struct cap_event *ret, char **ret_error);
/* wall clock at 0, if the file knows it */
bool replay_start(const struct replay *r, int64_t *ret_utc_ms);
/* "FILE:LINE" or "FILE: record N" of the event handed out last */
void replay_where(const struct replay *r, char *buf, size_t size);
/* values so far whose handle nothing gave a UUID: --handle would help */
uint64_t replay_unknown_handles(const struct replay *r);
/* "0x0012=2a35"; -EINVAL */
int replay_parse_handle(const char *text, struct replay_handle *ret);
