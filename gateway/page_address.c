#include "gateway/page_address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define HOST_MAX 46

static bool is_private_v4(struct in_addr address)
{
	const uint32_t a = ntohl(address.s_addr);

	return a >> 24 == 127 || a >> 24 == 10 || a >> 20 == (172U << 4 | 1) ||
	       a >> 16 == (192U << 8 | 168) || a >> 16 == (169U << 8 | 254);
}

static bool is_private_v6(const struct in6_addr *a)
{
	return IN6_IS_ADDR_LOOPBACK(a) || (a->s6_addr[0] & 0xfe) == 0xfc;
}

/* digits alone, no sign and no leading zero */
static int parse_port(const char *text, in_port_t *ret)
{
	unsigned int port = 0;
	const size_t len = strlen(text);

	if (len < 4 || len > 5 || text[0] == '0' || strspn(text, "0123456789") != len)
		return -EINVAL;
	for (const char *p = text; *p; p++)
		port = port * 10 + (unsigned int)(*p - '0');
	if (port < PAGE_PORT_MIN || port > UINT16_MAX)
		return -EINVAL;
	*ret = htons((uint16_t)port);
	return 0;
}

static int parse_v6(const char *host, in_port_t port, struct page_address *ret)
{
	struct page_address a = { .v6 = { .sin6_family = AF_INET6, .sin6_port = port },
				  .len = sizeof(a.v6) };

	if (inet_pton(AF_INET6, host, &a.v6.sin6_addr) != 1)
		return -EINVAL;
	if (!is_private_v6(&a.v6.sin6_addr))
		return -EPERM;
	*ret = a;
	return 0;
}

static int parse_v4(const char *host, in_port_t port, struct page_address *ret)
{
	struct page_address a = { .v4 = { .sin_family = AF_INET, .sin_port = port },
				  .len = sizeof(a.v4) };

	if (inet_pton(AF_INET, host, &a.v4.sin_addr) != 1)
		return -EINVAL;
	if (!is_private_v4(a.v4.sin_addr))
		return -EPERM;
	*ret = a;
	return 0;
}

int page_address_parse(const char *text, struct page_address *ret)
{
	const char *colon = strrchr(text, ':');
	const size_t len = colon ? (size_t)(colon - text) : 0;
	char host[HOST_MAX + 2];
	in_port_t port;

	if (len == 0 || len >= sizeof(host) || parse_port(colon + 1, &port) < 0)
		return -EINVAL;
	memcpy(host, text, len);
	host[len] = '\0';
	if (host[0] != '[')
		return parse_v4(host, port, ret);
	if (len < 3 || host[len - 1] != ']')
		return -EINVAL;
	host[len - 1] = '\0';
	return parse_v6(host + 1, port, ret);
}
