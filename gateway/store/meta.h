/*
 * The small rows: who this hub is (kept twice, in two trees, written once) and the marks.
 * A mark is two numbers: of a lane {acknowledged, last given out}; of `seen` {in the index up to
 * this sequence, 0}; of `held` {0, last given out};
 * of an erasure {number of the key that is being destroyed, 0}; of an epoch in a lane {its first
 * number, up to which others had used numbers when it began, 0 = none}, {1, 0} = it has yet to be
 * said where it begins.
 */
#pragma once

#include "gateway/store/database.h"
#include "gateway/store/store.h"

enum mark_id {
	MARK_LANE = 0, /* + enum lane */
	MARK_SEEN = 16,
	MARK_HELD = 17,
	MARK_ERASING = 18,
	MARK_EPOCH_DUE = 19,
	MARK_EPOCH = 20, /* + enum lane */
};

struct mark {
	uint64_t a, b;
};

int identity_random(struct store_identity *ret);
/* -EUCLEAN: neither copy is sound */
int identity_read(sqlite3 *db, struct store_identity *ret);
/* Writes both copies. */
int identity_write(sqlite3 *db, const struct store_identity *identity);
/* false: not a sound identity row */
bool identity_decode(const struct row *row, struct store_identity *ret);

/* A mark that was never written is {0, 0}. -EUCLEAN: damaged. */
int mark_read(sqlite3 *db, int64_t id, struct mark *ret);
int mark_write(sqlite3 *db, int64_t id, const struct mark *mark);
bool mark_decode(const struct row *row, struct mark *ret);
