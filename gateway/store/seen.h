/*
 * Which readings were seen: exact, by dedupe key, for ever (about 32 bytes each).
 *
 * The newest keys live in memory; the rows themselves are their durable form, and at start they
 * are read back from there. Every SEEN_BATCH readings they move to the table `seen` in one go, in
 * a transaction that happens anyway. The table is clustered by a stamp which nearly rises with
 * time, so a batch touches a few neighbouring pages; an index over the bare key would touch a
 * random page for every reading.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <sqlite3.h>

#include "gateway/store/keyring.h"
#include "gateway/store/row.h"
#include "wellgate.pb-c.h"

#define SEEN_KEY   16
#define SEEN_BATCH 1024

struct seen_entry {
	int64_t stamp;
	int64_t span;      /* an equal key may be this far away in stamp; 0 or 1 */
	uint64_t sequence; /* of the reading; as int64: -number of a held row, 0 it was dropped */
	uint8_t key[SEEN_KEY];
};

/* Stamp and key of a reading; a function only of what its dedupe key is made from (store.h), and of
 * its revision, which has a key of its own.
 * -EBADMSG: it has no key of 16 bytes. */
int seen_entry_of(const Wellgate__V1__Reading *reading, struct seen_entry *ret);
/* The same from a stored row, opened with these keys. -ENOKEY: it cannot be opened any more. A
 * row that is not `sound` is taken as it is. */
int seen_entry_of_row(const struct keyring *keys, const struct row *row, bool sound,
		      struct seen_entry *ret);

struct seen;

int seen_open(sqlite3 *db, const struct keyring *keys, struct seen **ret); /* loads */
void seen_close(struct seen *s);
/* After a rollback: forget what memory holds and read it back. */
int seen_load(struct seen *s);
/* 1 = known, 0 = new */
int seen_find(struct seen *s, const struct seen_entry *e);
/* `e` is new and its row is in the open transaction; may move a batch into the table. */
int seen_add(struct seen *s, const struct seen_entry *e);
/* Straight into the table, in the open transaction; one that is there is replaced. */
int seen_put(struct seen *s, const struct seen_entry *e);
/* The reading of this sequence will not come back under it: its key stays, for ever. Slow. */
int seen_keep(struct seen *s, uint64_t sequence);
/* Moves everything to the table, in the open transaction. */
int seen_flush(struct seen *s);
/* Everything up to this sequence is in the table (rows above it must not be deleted). */
uint64_t seen_upto(const struct seen *s);
/* The reading of this sequence was lost: it may come again. Slow; in the open transaction. */
int seen_forget(struct seen *s, uint64_t sequence);
