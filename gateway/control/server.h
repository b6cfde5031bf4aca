/* The control socket: Command packets in, Reply packets out. Peers: our user or root; at the page's
 * door also our group. */
#pragma once

#include <systemd/sd-event.h>

#include "gateway/control/control.h"

struct server;

/* path is copied, control borrowed */
int server_new(sd_event *event, const char *path, const struct control *control,
	       struct server **ret);
void server_free(struct server *s); /* NULL is fine */
