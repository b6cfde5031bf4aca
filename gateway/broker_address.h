/*
 * The address of a broker: mqtt://HOST[:PORT] or mqtts://HOST[:PORT] (OASIS MQTT 5.0 section 4.2),
 * HOST a name, an IPv4 address or [IPv6].
 *
 * Without TLS every network on the way reads who weighs what, and may write it. So mqtt:// is for a
 * broker on this machine alone; who wants another one in the clear is refused, and there is no
 * setting that allows it.
 */
#pragma once

#include <stdbool.h>

enum broker_way {
	BROKER_TLS,
	BROKER_HERE,     /* in the clear, and it does not leave this machine */
	BROKER_IN_CLEAR, /* in the clear, to another machine: refused everywhere */
	BROKER_NONE,     /* not an address of a broker */
};

/* said where BROKER_IN_CLEAR is refused */
#define BROKER_IN_CLEAR_TEXT                                                                       \
	"mqtt:// is not encrypted, so it is for a broker on this machine alone (127.0.0.1, [::1] " \
	"or localhost): use mqtts://"

/* "On this machine" is 127.0.0.0/8 in full (four numbers), [::1], or localhost; no look-up is made,
 * so a name of /etc/hosts is not. */
enum broker_way broker_way(const char *url);
