/*
 * What the service was told: an ini file (libinih), then the command line, later wins.
 *
 *   [record]  database   sqlite:/PATH/FILE (default sqlite:/var/lib/wellgate-record/record.db), or
 *                        postgresql://...
 *             name       client id, 1 to 64 of A-Z a-z 0-9 . _ -; default wellgate-record. It names
 *                        the session on the broker: two services must not share one.
 *             share      group of a shared subscription; default none
 *             hubs       SITE/HUB, blanks between: only these; default all. + for any SITE or HUB
 *             acknowledge  commit (default) or receipt; see README.md
 *             session_days 1 to 3650, default 30: how long the broker keeps what came while the
 *                        service was down
 *             queue      1 to 65536 messages, default 1024
 *   [broker]  url, ca_file, cert_file, key_file, username, password_file, keep_alive: as wellgated
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#define SETTINGS_HUBS_MAX 256

struct settings {
	char *database, *name, *share, *hubs;
	char *broker, *ca_file, *cert_file, *key_file, *username, *password_file;
	bool acknowledge_on_receipt;
	unsigned int keep_alive, session_days, queue;
};

/* defaults; -ENOMEM */
int settings_init(struct settings *s);
void settings_finish(struct settings *s);
/* One key as in the file: -EINVAL and *ret_allowed says what is; -ENOENT: no such key. -ENOMEM */
int settings_set(struct settings *s, const char *section, const char *key, const char *value,
		 const char **ret_allowed);
/* Reads a file. On failure *ret_error is one malloc'd line or NULL; -EINVAL or -errno. */
int settings_load(struct settings *s, const char *file, char **ret_error);
/* What only the whole can say: NULL, or what is wrong. */
const char *settings_fault(const struct settings *s);
/* i-th of `hubs`, or NULL: start and length of SITE/HUB */
const char *settings_hub(const struct settings *s, size_t i, size_t *ret_len);
