#include "gateway/page/ask.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "drivers/cleanup.h"
#include "gateway/listener.h"

static int open_door(const char *path)
{
	const struct timeval patience = { .tv_sec = ASK_SECONDS };
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	_cleanup_close_ int fd = -1;
	const int len = snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);

	if (len < 0 || (size_t)len >= sizeof(address.sun_path))
		return -1;
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience)) < 0 ||
	    connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
		return -1;
	return take_fd(&fd);
}

/* packet has LISTENER_PACKET_MAX bytes */
static Wellgate__V1__Reply *talk(int fd, const Wellgate__V1__Command *command, uint8_t *packet)
{
	const size_t len = wellgate__v1__command__get_packed_size(command);
	ssize_t n;

	if (len > LISTENER_PACKET_MAX)
		return NULL;
	(void)wellgate__v1__command__pack(command, packet);
	if (send(fd, packet, len, MSG_NOSIGNAL) < 0)
		return NULL;
	n = recv(fd, packet, LISTENER_PACKET_MAX, MSG_TRUNC);
	if (n <= 0 || (size_t)n > LISTENER_PACKET_MAX)
		return NULL;
	return wellgate__v1__reply__unpack(NULL, (size_t)n, packet);
}

static Wellgate__V1__Reply *exchange(int fd, const Wellgate__V1__Command *command)
{
	uint8_t *packet = malloc(LISTENER_PACKET_MAX);
	Wellgate__V1__Reply *reply = packet ? talk(fd, command, packet) : NULL;

	free(packet);
	return reply;
}

static Wellgate__V1__Reply *ask_command(const struct asker *a, const char *verb,
					Wellgate__V1__PageCommand *page,
					Wellgate__V1__Command *command)
{
	Wellgate__V1__PageCommand empty = WELLGATE__V1__PAGE_COMMAND__INIT;
	_cleanup_close_ int fd = open_door(a->path);
	Wellgate__V1__Reply *reply;

	if (fd < 0)
		return NULL;
	command->verb = (char *)(uintptr_t)verb; /* protobuf-c has no const; packing reads */
	command->page = page ? page : &empty;
	command->page->has_token = a->has_token;
	command->page->token =
		(ProtobufCBinaryData){ sizeof(a->token), (uint8_t *)(uintptr_t)a->token };
	reply = exchange(fd, command);
	command->page = NULL; /* it may be ours */
	return reply;
}

Wellgate__V1__Reply *ask(const struct asker *a, const char *verb, Wellgate__V1__PageCommand *page)
{
	Wellgate__V1__Command command = WELLGATE__V1__COMMAND__INIT;

	return ask_command(a, verb, page, &command);
}

Wellgate__V1__Reply *ask_after(const struct asker *a, const char *verb,
			       Wellgate__V1__PageCommand *page, uint64_t after)
{
	Wellgate__V1__Command command = WELLGATE__V1__COMMAND__INIT;

	command.has_after = after > 0;
	command.after = after;
	return ask_command(a, verb, page, &command);
}
