/*
 * What the hub knows that drivers may ask for: where its local days begin, and the keys of the
 * trackers whose owners gave them. One for the process, since libc keeps one zone for it.
 */
#pragma once

#include <stdint.h>

struct session;

/*
 * The gateway's zone. name: IANA, "Europe/London"; NULL or "": that of the machine. offset_min:
 * minutes east of UTC that the gateway has there now. Where libc does not know that zone, or says
 * another offset now, nobody knows when a day begins: -ENODATA from then on. 0; -EINVAL not a zone
 * name, -ENOENT no such zone, -EPROTO another offset. Sets TZ: from the loop's thread only.
 */
int hub_set_zone(const char *name, int offset_min);
/* Where the owners' keys are: a file each (key_file.h), named as drv_key() asks. NULL: nowhere; it
 * may come and go later. Copied; -ENOMEM. */
int hub_set_keys(const char *folder);
/* For the end of a program. */
void hub_forget(void);

/* Gives a session what drv_midnight(), drv_key() and drv_aes() hand out. Call before
 * session_open(). */
void hub_give(struct session *s);
