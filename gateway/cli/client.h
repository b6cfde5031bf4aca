/*
 * The command line's side of the control socket. What goes wrong is said here, in one line on
 * stderr; the functions return 0 or the exit code for it.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "wellgate.pb-c.h"

/* which options a command takes besides --runtime-dir and --help */
enum client_option {
	CLIENT_JSON = 1,
	CLIENT_PAGE = 2,      /* --limit, --after */
	CLIENT_EXPORT = 4,    /* --format, --output; every row unless --limit says otherwise */
	CLIENT_ADDRESSES = 8, /* --addresses */
	CLIENT_ALL = 16,      /* --all: readings that were replaced or retracted, too */
};

struct client {
	const char *name; /* of the command */
	const char *runtime_dir;
	bool json, addresses, all;
	bool hidden; /* the reading that is handed on was replaced or retracted */
	uint64_t after;
	uint64_t limit; /* UINT64_MAX = all */
	const char *format, *output;
	int fd;
};

/* Fills *ret from the arguments and WELLGATE_RUNTIME_DIR; -1 = go on, else the exit code (also of
 * --help). `takes` is a mask of client_option, usage the text of --help. */
int client_arguments(int argc, char **argv, unsigned int takes, const char *usage,
		     struct client *ret);
/* For a command that reads its options itself. */
void client_init(struct client *c, const char *name);
int client_open(struct client *c);
void client_close(struct client *c);
/* Free *ret with wellgate__v1__reply__free_unpacked(reply, NULL). */
int client_ask(struct client *c, const Wellgate__V1__Command *command, Wellgate__V1__Reply **ret);
/* The same for a command that is only a verb, with addresses if c->addresses. */
int client_ask_verb(struct client *c, const char *verb, uint64_t after, Wellgate__V1__Reply **ret);
/* Hands a command to the radio; *ret is the number of the request. c is open. */
int client_command(struct client *c, Wellgate__V1__RadioCommand *radio, uint64_t *ret);
/* Waits for the outcome of a request: 0 and *ret_error 0 or an errno; or an exit code. */
int client_outcome(struct client *c, uint64_t request, int *ret_error);
/* A command without arguments: opens, asks, closes. */
int client_ask_once(struct client *c, const char *verb, Wellgate__V1__Reply **ret);

/* Calls fn for each stored reading above c->after, c->limit of them at most. fn returns 0 or an
 * exit code, which ends it. */
int client_each_reading(struct client *c,
			int (*fn)(void *user, const Wellgate__V1__Reading *reading,
				  const char *hub),
			void *user);
/* Flushes stdout; 0 or the exit code of a full disk or a closed pipe. */
int client_flush(const struct client *c);
