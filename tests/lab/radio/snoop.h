/*
 * Writes what passes between host and controller as btsnoop, datalink 1002 (H4), as protocols/
 * capture and btmon read it. Each packet is flushed: a harness may end us at any time.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct snoop;

/* Replaces the file. 0 or -errno. */
int snoop_open(const char *path, struct snoop **ret);
/* packet begins with the H4 type byte; received: by the host. at_us: UTC since 1970. 0 or -EIO. */
int snoop_packet(struct snoop *s, bool received, const uint8_t *packet, size_t len, int64_t at_us);
void snoop_close(struct snoop *s); /* NULL is fine */
