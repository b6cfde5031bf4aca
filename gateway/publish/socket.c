#include "gateway/publish/socket.h"

#include <dirent.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "drivers/cleanup.h"

#define PORT     1883
#define PORT_TLS 8883

uint16_t socket_port(const char *url)
{
	const char *host = strstr(url, "://"), *colon;
	long port;

	host = host ? host + strlen("://") : url;
	/* an IPv6 address has colons of its own, in brackets */
	colon = strchr(strchr(host, ']') ? strchr(host, ']') : host, ':');
	port = colon ? strtol(colon + 1, NULL, 10) : 0;
	if (port > 0 && port <= UINT16_MAX)
		return (uint16_t)port;
	return strncmp(url, "mqtts:", strlen("mqtts:")) == 0 ? PORT_TLS : PORT;
}

static bool leads_to(int fd, uint16_t port)
{
	union {
		struct sockaddr any;
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
		struct sockaddr_storage room;
	} peer = { .any.sa_family = AF_UNSPEC };
	socklen_t len = sizeof(peer);

	if (getpeername(fd, &peer.any, &len) < 0)
		return false;
	if (peer.any.sa_family == AF_INET)
		return peer.v4.sin_port == htons(port);
	return peer.any.sa_family == AF_INET6 && peer.v6.sin6_port == htons(port);
}

/* Another thread may close what is found, and open something else under its number: then these
 * options are refused, or do no harm. */
static bool tune(int fd, unsigned int timeout_ms)
{
	const int on = 1;

	if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) < 0)
		return false;
	return setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout_ms, sizeof(timeout_ms)) == 0;
}

static void close_dir(DIR **dir)
{
	if (*dir)
		(void)closedir(*dir);
}

unsigned int socket_tune(uint16_t port, unsigned int timeout_ms)
{
	__attribute__((cleanup(close_dir))) DIR *dir = opendir("/proc/self/fd");
	const struct dirent *entry;
	unsigned int n = 0;

	while (dir && (entry = readdir(dir))) {
		char *end;
		long fd = strtol(entry->d_name, &end, 10);

		if (end != entry->d_name && *end == '\0' && leads_to((int)fd, port))
			n += tune((int)fd, timeout_ms);
	}
	return n;
}
