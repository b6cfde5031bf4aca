#include "drivers/transport/tap.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "drivers/cleanup.h"

#define LINK_DIGITS 16 /* of a 32-bit number and a blank, with room to spare */

struct tap_client {
	struct tap *tap;
	int fd; /* -1 = free */
	sd_event_source *source;
};

struct tap {
	int fd;
	struct sockaddr_un address;
	sd_event_source *source;
	struct tap_client clients[TAP_CLIENTS_MAX];
};

static void drop(struct tap_client *c)
{
	c->source = sd_event_source_disable_unref(c->source);
	(void)close(c->fd);
	c->fd = -1;
}

/* A client has nothing to say: whatever happens, it is over. */
static int on_client(sd_event_source *source, int fd, uint32_t revents, void *user)
{
	struct tap_client *c = user;

	(void)source;
	(void)fd;
	(void)revents;
	drop(c);
	return 0;
}

static bool is_allowed(int fd)
{
	struct ucred peer = { 0 };
	socklen_t len = sizeof(peer);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0)
		return false;
	return peer.uid == 0 || peer.uid == geteuid();
}

static int on_connection(sd_event_source *source, int fd, uint32_t revents, void *user)
{
	struct tap *t = user;
	_cleanup_close_ int peer = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	(void)source;
	(void)revents;
	if (peer < 0 || !is_allowed(peer))
		return 0;
	for (size_t i = 0; i < TAP_CLIENTS_MAX; i++) {
		struct tap_client *c = &t->clients[i];

		if (c->fd >= 0)
			continue;
		if (sd_event_add_io(sd_event_source_get_event(source), &c->source, peer, EPOLLIN,
				    on_client, c) < 0)
			return 0;
		c->fd = TAKE_FD(peer);
		return 0;
	}
	return 0;
}

void tap_event(struct tap *t, uint32_t link, const struct cap_event *event)
{
	char line[LINK_DIGITS + CAP_LINE_MAX];
	const int head = snprintf(line, LINK_DIGITS, "%u ", link);
	const int n = cap_write_event(event, line + head, CAP_LINE_MAX);
	const ssize_t len = (ssize_t)head + n;

	if (n < 0)
		return;
	for (size_t i = 0; i < TAP_CLIENTS_MAX; i++) {
		struct tap_client *c = &t->clients[i];

		if (c->fd >= 0 &&
		    send(c->fd, line, (size_t)len, MSG_DONTWAIT | MSG_NOSIGNAL) != len)
			drop(c);
	}
}

static int listen_at(struct tap *t, sd_event *event)
{
	struct stat st;

	if (lstat(t->address.sun_path, &st) == 0 && S_ISSOCK(st.st_mode))
		(void)unlink(t->address.sun_path);
	t->fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (t->fd < 0)
		return -errno;
	/* before bind, so that the socket is never there with wider permissions */
	if (fchmod(t->fd, S_IRUSR | S_IWUSR) < 0 ||
	    bind(t->fd, (const struct sockaddr *)&t->address, sizeof(t->address)) < 0 ||
	    chmod(t->address.sun_path, S_IRUSR | S_IWUSR) < 0 || listen(t->fd, TAP_CLIENTS_MAX) < 0)
		return -errno;
	return sd_event_add_io(event, &t->source, t->fd, EPOLLIN, on_connection, t);
}

int tap_new(sd_event *event, const char *path, struct tap **ret)
{
	struct tap *t = calloc(1, sizeof(*t));
	int r;

	if (!t)
		return -ENOMEM;
	t->fd = -1;
	for (size_t i = 0; i < TAP_CLIENTS_MAX; i++)
		t->clients[i] = (struct tap_client){ .tap = t, .fd = -1 };
	t->address.sun_family = AF_UNIX;
	r = strlen(path) < sizeof(t->address.sun_path) ? 0 : -ENAMETOOLONG;
	if (r == 0) {
		memcpy(t->address.sun_path, path, strlen(path) + 1);
		r = listen_at(t, event);
	}
	if (r < 0) {
		tap_free(t);
		return r;
	}
	*ret = t;
	return 0;
}

void tap_free(struct tap *t)
{
	if (!t)
		return;
	for (size_t i = 0; i < TAP_CLIENTS_MAX; i++) {
		if (t->clients[i].fd >= 0)
			drop(&t->clients[i]);
	}
	if (t->source)
		(void)unlink(t->address.sun_path);
	(void)sd_event_source_disable_unref(t->source);
	if (t->fd >= 0)
		(void)close(t->fd);
	free(t);
}
