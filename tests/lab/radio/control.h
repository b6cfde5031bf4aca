/*
 * The control socket: a UNIX stream, several clients, one command a line, one answer a line, "ok"
 * or "error" and what there is to say. A client that does not read its answers is hung up on.
 */
#pragma once

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>

#define CONTROL_CLIENTS_MAX 16
#define CONTROL_LINE_MAX    1024
#define CONTROL_ANSWER_MAX  65536
#define CONTROL_POLL_MAX    (1 + CONTROL_CLIENTS_MAX)

struct control_client {
	int fd; /* -1: free */
	size_t have;
	char line[CONTROL_LINE_MAX];
	bool skips; /* the rest of a line that was too long */
};

/* Carries out one line; writes one line of answer without "ok", "error" or line feed. 0, -errno */
typedef int control_execute(void *user, const char *line, char *answer, size_t size,
			    bool *ret_quit);

struct control {
	int fd;
	control_execute *execute;
	void *user;
	struct control_client clients[CONTROL_CLIENTS_MAX];
	char answer[CONTROL_ANSWER_MAX];
};

/* Replaces the socket file. 0 or -errno. */
int control_open(struct control *c, const char *path, control_execute *execute, void *user);
void control_close(struct control *c);
/* fills at most CONTROL_POLL_MAX entries, returns how many */
size_t control_poll(const struct control *c, struct pollfd *ret);
/* serves what poll() has found in entries filled by control_poll() */
void control_serve(struct control *c, const struct pollfd *fds, size_t n, bool *ret_quit);
