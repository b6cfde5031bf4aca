#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "drivers/cleanup.h"
#include "tests/lab/radio/control.h"

int control_open(struct control *c, const char *path, control_execute *execute, void *user)
{
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	if (fd < 0)
		return -errno;
	if (strlen(path) >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	memcpy(address.sun_path, path, strlen(path));
	(void)unlink(path);
	if (bind(fd, (const struct sockaddr *)&address, sizeof(address)) < 0 || listen(fd, 8) < 0)
		return -errno;
	c->fd = take_fd(&fd);
	c->execute = execute;
	c->user = user;
	for (size_t i = 0; i < CONTROL_CLIENTS_MAX; i++)
		c->clients[i].fd = -1;
	return 0;
}

static void hang_up(struct control_client *client)
{
	if (client->fd >= 0)
		(void)close(client->fd);
	client->fd = -1;
	client->have = 0;
	client->skips = false;
}

void control_close(struct control *c)
{
	for (size_t i = 0; i < CONTROL_CLIENTS_MAX; i++)
		hang_up(&c->clients[i]);
	if (c->fd >= 0)
		(void)close(c->fd);
	c->fd = -1;
}

size_t control_poll(const struct control *c, struct pollfd *ret)
{
	size_t n = 0;

	ret[n++] = (struct pollfd){ .fd = c->fd, .events = POLLIN };
	for (size_t i = 0; i < CONTROL_CLIENTS_MAX; i++) {
		if (c->clients[i].fd >= 0)
			ret[n++] = (struct pollfd){ .fd = c->clients[i].fd, .events = POLLIN };
	}
	return n;
}

static bool put(int fd, const char *text, size_t len)
{
	return send(fd, text, len, MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)len;
}

static bool answer(struct control *c, struct control_client *client, int r)
{
	const char *word = r < 0 ? "error " : "ok ";
	const size_t skip = c->answer[0] ? 0 : 1; /* "ok" alone has no space */
	const size_t len = strlen(c->answer);

	c->answer[len] = '\n';
	if (!put(client->fd, word, strlen(word) - skip) || !put(client->fd, c->answer, len + 1))
		return false;
	return true;
}

static bool one_line(struct control *c, struct control_client *client, bool *ret_quit)
{
	int r;

	if (client->skips) {
		client->skips = false;
		(void)snprintf(c->answer, sizeof(c->answer), "%s", strerror(EMSGSIZE));
		return answer(c, client, -EMSGSIZE);
	}
	/* one byte is kept for the line feed */
	r = c->execute(c->user, client->line, c->answer, sizeof(c->answer) - 1, ret_quit);
	return answer(c, client, r);
}

static void lines_of(struct control *c, struct control_client *client, bool *ret_quit)
{
	char *end;

	while ((end = memchr(client->line, '\n', client->have)) != NULL) {
		const size_t used = (size_t)(end - client->line) + 1;

		*end = 0;
		if (!one_line(c, client, ret_quit)) {
			hang_up(client);
			return;
		}
		client->have -= used;
		memmove(client->line, client->line + used, client->have);
	}
	if (client->have == sizeof(client->line)) {
		client->skips = true;
		client->have = 0;
	}
}

static void read_client(struct control *c, struct control_client *client, bool *ret_quit)
{
	const ssize_t n = recv(client->fd, client->line + client->have,
			       sizeof(client->line) - client->have, MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		hang_up(client);
		return;
	}
	client->have += (size_t)n;
	lines_of(c, client, ret_quit);
}

static void welcome(struct control *c)
{
	_cleanup_close_ int fd = accept4(c->fd, NULL, NULL, SOCK_CLOEXEC);

	for (size_t i = 0; fd >= 0 && i < CONTROL_CLIENTS_MAX; i++) {
		if (c->clients[i].fd < 0)
			c->clients[i].fd = take_fd(&fd);
	}
}

void control_serve(struct control *c, const struct pollfd *fds, size_t n, bool *ret_quit)
{
	for (size_t i = 0; i < n; i++) {
		if (fds[i].revents == 0)
			continue;
		for (size_t k = 0; k < CONTROL_CLIENTS_MAX; k++) {
			if (c->clients[k].fd == fds[i].fd)
				read_client(c, &c->clients[k], ret_quit);
		}
	}
	if (n > 0 && fds[0].revents)
		welcome(c);
}
