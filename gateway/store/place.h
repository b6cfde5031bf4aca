/*
 * The directory of the store: locking it, making the database, judging the one that is there, and
 * putting a damaged one aside.
 *
 *   wellgate.db, -wal            the database
 *   wellgate.new, -wal           one that is being built; worthless, removed at start
 *   salvaged-STAMP.db            a finished rebuild on its way to the place of wellgate.db: all
 *                                that was readable is in it, so what is there may be moved away
 *   quarantine-STAMP/            a damaged database and its log, as they were found
 *   wellgate.keys, .keys2, hub.key   keyring.h; they stay where they are, whatever is damaged
 *   wellgate.check               the next start checks the whole file, however big
 */
#pragma once

#include <sqlite3.h>

#include "gateway/store/keyring.h"
#include "gateway/store/store.h"

struct place {
	int dir_fd; /* -1 = none; holds the lock */
	char *path; /* of wellgate.db */
	sqlite3 *db;
	struct keyring *keys;
	struct store_identity identity;
};

/* Errors and *ret_error as store_open(). */
int place_open(const struct store_options *options, struct place *ret, char **ret_error);
void place_close(struct place *p);
/* SQLite met damage: ask for a whole check at the next start. */
void place_ask_check(const struct place *p);
int64_t place_bytes(const struct place *p);
