/*
 * The HTTP side: libmicrohttpd on one event loop, no threads. What a browser sends is hostile until
 * shown otherwise: known paths and methods, the Host we listen on (a name that was made to point
 * here reaches nothing), small requests, few connections, short waits. A POST needs the token of
 * the form that this program made for this browser, and comes from our own page. Every answer
 * forbids scripts, frames, caching and referrers.
 */
#pragma once

#include <systemd/sd-event.h>

#include "gateway/page_address.h"

#define SERVE_BODY_MAX    ((size_t)1024)
#define SERVE_CONNECTIONS 32
#define SERVE_PER_ADDRESS 8
#define SERVE_SECONDS     10
#define SERVE_MEMORY      ((size_t)16 * 1024) /* of a connection: its headers fit in it */

struct serve;

/* `door`: path of the daemon's socket for the page, `listen`: the address as it was configured;
 * both copied. -EADDRINUSE and the like: -errno; -ENOMEM; -EIO: no random numbers */
int serve_new(sd_event *event, const char *listen, const struct page_address *address,
	      const char *door, struct serve **ret);
void serve_free(struct serve *s); /* NULL is fine */
