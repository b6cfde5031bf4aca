#include "gateway/listener.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "drivers/cleanup.h"

#define BACKLOG 8

int listener_open(const char *path, mode_t mode, int *ret_fd)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	_cleanup_close_ int fd = -1;

	if (strlen(path) >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	memcpy(address.sun_path, path, strlen(path) + 1);
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	if (unlink(path) < 0 && errno != ENOENT)
		return -errno;
	/* the umask of the daemon keeps it closed until chmod() */
	if (bind(fd, (const struct sockaddr *)&address, sizeof(address)) < 0 ||
	    chmod(path, mode) < 0 || listen(fd, BACKLOG) < 0)
		return -errno;
	*ret_fd = take_fd(&fd);
	return 0;
}

static bool is_allowed(const struct ucred *peer, bool group)
{
	return peer->uid == 0 || peer->uid == geteuid() || (group && peer->gid == getegid());
}

int listener_accept(int fd, bool group, int *ret_fd)
{
	_cleanup_close_ int peer = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct ucred credentials = { .uid = (uid_t)-1, .gid = (gid_t)-1 };
	socklen_t len = sizeof(credentials);

	if (peer < 0)
		return -errno;
	if (getsockopt(peer, SOL_SOCKET, SO_PEERCRED, &credentials, &len) < 0)
		return -errno;
	if (!is_allowed(&credentials, group))
		return -EPERM;
	*ret_fd = take_fd(&peer);
	return 0;
}

ssize_t listener_receive(int fd, void *buf, size_t size)
{
	/* MSG_TRUNC: the length of the packet, even if it does not fit */
	const ssize_t n = recv(fd, buf, size, MSG_DONTWAIT | MSG_TRUNC);

	if (n < 0)
		return -errno;
	return (size_t)n > size ? -EMSGSIZE : n;
}

int listener_send(int fd, const void *packet, size_t len)
{
	return send(fd, packet, len, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 ? -errno : 0;
}
