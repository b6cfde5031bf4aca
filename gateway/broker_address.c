#include "gateway/broker_address.h"

#include <arpa/inet.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>

#define HOST_MAX   128
#define PORT_DIGIT "0123456789"

struct host {
	char name[HOST_MAX]; /* without the brackets */
	bool ipv6;
};

static bool port_valid(const char *text)
{
	const size_t len = strspn(text, PORT_DIGIT);
	unsigned int port = 0;

	if (len < 1 || len > 5 || text[len])
		return false;
	for (size_t i = 0; i < len; i++)
		port = port * 10 + (unsigned int)(text[i] - '0');
	return port > 0 && port <= UINT16_MAX;
}

/* NAME[:PORT] or [IPV6][:PORT] */
static bool take_host(const char *text, struct host *ret)
{
	static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				      "0123456789";
	const bool ipv6 = text[0] == '[';
	const char *name = text + ipv6, *rest;
	const size_t len = strcspn(name, ipv6 ? "]" : ":");

	if (len == 0 || len >= sizeof(ret->name))
		return false;
	rest = name + len;
	if (ipv6 && *rest++ != ']')
		return false;
	if (*rest && (*rest != ':' || !port_valid(rest + 1)))
		return false;
	for (size_t i = 0; i < len; i++) {
		if (!strchr(letters, name[i]) && !strchr(ipv6 ? ":." : ".-_", name[i]))
			return false;
	}
	ret->ipv6 = ipv6;
	memcpy(ret->name, name, len);
	ret->name[len] = '\0';
	return true;
}

static bool is_here(const struct host *host)
{
	struct in6_addr v6;
	struct in_addr v4;

	if (host->ipv6)
		return inet_pton(AF_INET6, host->name, &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6);
	if (inet_pton(AF_INET, host->name, &v4) == 1)
		return ntohl(v4.s_addr) >> 24 == IN_LOOPBACKNET;
	return strcasecmp(host->name, "localhost") == 0;
}

enum broker_way broker_way(const char *url)
{
	const bool tls = strncmp(url, "mqtts://", 8) == 0;
	struct host host;

	if (!tls && strncmp(url, "mqtt://", 7) != 0)
		return BROKER_NONE;
	if (!take_host(url + (tls ? 8 : 7), &host))
		return BROKER_NONE;
	if (tls)
		return BROKER_TLS;
	return is_here(&host) ? BROKER_HERE : BROKER_IN_CLEAR;
}
