#include "gateway/control/server.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "drivers/cleanup.h"
#include "drivers/log.h"
#include "gateway/listener.h"

#define SOCKET_MODE 0600
/* the page runs as somebody else, of our group */
#define PAGE_MODE   0660
#define CLIENTS_MAX 8

struct client {
	struct server *server;
	int fd; /* -1 = free */
	sd_event_source *source;
};

struct server {
	sd_event *event;
	const struct control *control;
	char *path;
	int listen_fd;
	sd_event_source *listen;
	struct arena arena;
	struct client clients[CLIENTS_MAX];
	uint8_t packet[LISTENER_PACKET_MAX];
};

static void end(struct client *client)
{
	if (client->fd < 0)
		return;
	client->source = sd_event_source_disable_unref(client->source);
	(void)close(client->fd);
	client->fd = -1;
}

/* The request is unpacked into the same arena as the reply; a packet is reused for both. */
static int answer(struct server *s, int fd, size_t len)
{
	const Wellgate__V1__Command *command;
	Wellgate__V1__Reply *reply = NULL;
	int r;

	arena_reset(&s->arena);
	command = wellgate__v1__command__unpack(arena_protobuf(&s->arena), len, s->packet);
	if (!command)
		return -EBADMSG;
	r = control_handle(s->control, command, &s->arena, &reply);
	if (r < 0)
		return r;
	len = wellgate__v1__reply__pack(reply, s->packet);
	/* a client that does not read its replies is not waited for */
	return listener_send(fd, s->packet, len);
}

static int on_client(sd_event_source *source, int fd, uint32_t events, void *user)
{
	struct client *client = user;
	struct server *s = client->server;
	const ssize_t n = listener_receive(fd, s->packet, sizeof(s->packet));
	int r = n <= 0 ? -ECONNRESET : answer(s, fd, (size_t)n);

	(void)source;
	(void)events;
	if (n == -EAGAIN)
		r = 0;
	if (r == -EBADMSG || n == -EMSGSIZE)
		log_warning("malformed packet on the control socket: connection ended");
	if (r < 0)
		end(client);
	return 0;
}

static struct client *free_client(struct server *s)
{
	for (size_t i = 0; i < CLIENTS_MAX; i++) {
		if (s->clients[i].fd < 0)
			return &s->clients[i];
	}
	return NULL;
}

static int on_listen(sd_event_source *source, int fd, uint32_t events, void *user)
{
	struct server *s = user;
	struct client *client = free_client(s);
	const int room = (int)(2 * LISTENER_PACKET_MAX);
	int peer = -1, r;

	(void)source;
	(void)events;
	r = listener_accept(fd, s->control->page_only, &peer);
	if (r < 0) {
		if (r != -EAGAIN)
			log_warning("control socket: peer turned away: %s", strerror(-r));
		return 0;
	}
	(void)setsockopt(peer, SOL_SOCKET, SO_SNDBUF, &room, sizeof(room));
	if (!client ||
	    sd_event_add_io(s->event, &client->source, peer, EPOLLIN, on_client, client) < 0) {
		(void)close(peer);
		return 0;
	}
	client->fd = peer;
	return 0;
}

int server_new(sd_event *event, const char *path, const struct control *control,
	       struct server **ret)
{
	struct server *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return -ENOMEM;
	s->event = event;
	s->control = control;
	s->listen_fd = -1;
	for (size_t i = 0; i < CLIENTS_MAX; i++)
		s->clients[i] = (struct client){ .server = s, .fd = -1 };
	s->path = strdup(path);
	r = s->path ? arena_init(&s->arena, CONTROL_ARENA_BYTES + LISTENER_PACKET_MAX * 4)
		    : -ENOMEM;
	if (r >= 0)
		r = listener_open(path, control->page_only ? PAGE_MODE : SOCKET_MODE,
				  &s->listen_fd);
	if (r >= 0)
		r = sd_event_add_io(event, &s->listen, s->listen_fd, EPOLLIN, on_listen, s);
	if (r < 0) {
		server_free(s);
		return r;
	}
	*ret = s;
	return 0;
}

void server_free(struct server *s)
{
	if (!s)
		return;
	for (size_t i = 0; i < CLIENTS_MAX; i++)
		end(&s->clients[i]);
	sd_event_source_disable_unref(s->listen);
	if (s->listen_fd >= 0) {
		(void)unlink(s->path);
		(void)close(s->listen_fd);
	}
	arena_finish(&s->arena);
	free(s->path);
	free(s);
}
