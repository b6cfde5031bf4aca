/*
 * Where the local page listens. Its readers are in the room: loopback, or the box's own network
 * (RFC 1918, RFC 4193, link-local), as numbers. An address that the internet could reach, any name,
 * and "all addresses" are refused: then nobody can put the page there by mistake.
 */
#pragma once

#include <netinet/in.h>
#include <stdbool.h>
#include <sys/socket.h>

#define PAGE_PORT_MIN 1024

struct page_address {
	union {
		struct sockaddr any;
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
	};
	socklen_t len;
};

/* "127.0.0.1:8080", "[fd00::1]:8080". -EINVAL; -EPERM: an address that is not for this. ret is
 * untouched on failure. */
int page_address_parse(const char *text, struct page_address *ret);
