/*
 * What the parts of the store share: struct store, its statements and its transaction. For
 * gateway/store only; everybody else has store.h.
 */
#pragma once

#include <sqlite3.h>

#include "gateway/store/place.h"
#include "gateway/store/row.h"
#include "gateway/store/seen.h"
#include "gateway/store/store.h"

#define AHEAD_ROWS  64
#define NOTES_MAX   256
#define SPOILED_MAX 32

/* Times before this come from a clock that was never set. 2024-01-01. */
#define PLAUSIBLE_S INT64_C(1704067200)

enum statement {
	S_BEGIN,
	S_COMMIT,
	S_ROLLBACK,
	S_PARK,
	S_IS_PARKED,
	S_HELD_NEXT,
	S_HELD_PUT,
	S_HELD_DELETE,
	S_ENTRY_NEXT,
	S_ENTRY_ADD,
	S_BACK,                       /* lane READINGS from the newest row back */
	S_ADD,                        /* + lane */
	S_NEXT = S_ADD + LANE_END,    /* + lane */
	S_OLDEST = S_NEXT + LANE_END, /* + lane */
	S_DELETE = S_OLDEST + LANE_END,
	S_FIRST_AT = S_DELETE + LANE_END, /* + lane */
	S_END = S_FIRST_AT + LANE_END
};

struct lane_state {
	uint64_t last;      /* given out */
	uint64_t committed; /* of these: durable */
	uint64_t acked;
	uint64_t acked_durable;
	uint64_t unset_upto; /* rows up to here are from before the clock was set */
	int64_t newest_s, newest_s_committed; /* time of the newest row */
};

/* A table whose rows are numbered and that is no lane. */
struct numbers {
	uint64_t last, last_committed; /* given out */
	uint64_t n, n_committed;       /* rows there are; of `held` only */
};

/* A row to park, waiting for the next commit. */
struct note {
	enum lane lane;
	uint64_t sequence;
	int reason;
};

/* What store_next has read beyond the row it was asked for. */
struct ahead {
	enum lane lane;
	uint64_t after; /* rows[next] is the one after this */
	size_t n, next;
	size_t used; /* of store.row */
	struct row rows[AHEAD_ROWS];
};

struct store {
	struct place place;
	struct seen *seen;
	sqlite3_stmt *statements[S_END];
	unsigned int keep_days;
	bool in_transaction, failed;
	int log_pages; /* in the log after the last commit */
	struct lane_state lanes[LANE_END];
	struct numbers held, journal;
	struct note notes[NOTES_MAX];
	size_t n_notes;
	uint64_t
		spoiled[SPOILED_MAX]; /* held rows that are damaged; the next commit lets them go */
	size_t n_spoiled;
	uint64_t parked, duplicates, damaged;
	uint8_t pack[ROW_PAYLOAD_MAX];
	struct ahead ahead;
	uint8_t row[ROW_PAYLOAD_MAX];  /* rows that were read ahead */
	uint8_t lent[ROW_PAYLOAD_MAX]; /* of a held row or an entry */
};

/* Notes what an error means for later calls; returns it. */
int inside_judge(struct store *s, int r);
int inside_run(struct store *s, int statement);
/* Opens the transaction unless one is open; the caller sets in_transaction once it writes. */
int inside_begin(struct store *s);
/* The transaction is over, by an error, which is returned. */
int inside_undo(struct store *s, int r);
/* Packs a message into s->pack and seals it, under the key of one person, of two, or of the hub;
 * id and kind of the row are set already, payload and len get set. -EMSGSIZE, -EBADMSG (a name is
 * too long): nothing happened. Others: undo. */
int inside_pack(struct store *s, const ProtobufCMessage *message, const char *subject,
		const char *second, struct row *row);
/* Whether an error is about one message alone. */
bool inside_is_refusal(int r);
/* Group and so on of a reading as its row has them. -EBADMSG: unknown metric. */
int inside_kind(const Wellgate__V1__Reading *reading, enum row_table table, uint32_t *ret);
/* Appends to lane READINGS and sets the sequence. `late`: it was received earlier than its place
 * says, and its row gets the time of the place. Errors that leave everything as it was: -EMSGSIZE,
 * -EBADMSG. Others: undo. */
int inside_append(struct store *s, Wellgate__V1__Reading *reading, bool late);
/* The one row that `statement` finds for ?1 = number, copied to s->lent: 1, 0 or -errno. */
int inside_lend(struct store *s, int statement, uint64_t number, struct row *ret);
/* Content of a row that is sound and lies in s->row or s->lent, where it is opened: 1; 0: its key
 * was destroyed; -EBADMSG: damaged after all, or the key was lost. */
int inside_open(struct store *s, const struct row *row, struct store_row *ret);
/* Which row a row of `parked` is about. */
enum lane inside_parked_lane(int64_t id, uint64_t *ret_sequence);
/* tombstone.c: of the rows that are being parked; into the open transaction. */
int tombstone_notes(struct store *s);
/* After a salvage: says where its epoch begins and what is missing. */
int tombstone_load(struct store *s);
/* 1 = parked */
int inside_is_parked(struct store *s, enum lane lane, uint64_t sequence);
/* All of the log into the file, and the log to nothing. */
int inside_truncate(struct store *s);
/* Copies a row that SQLite lends to s->lent. */
void inside_copy(struct store *s, struct row *row);

/* held.c */
int held_load(struct store *s);
int held_add(struct store *s, const Wellgate__V1__Reading *reading, struct seen_entry *seen);
int held_delete(struct store *s, uint64_t number);
/* Damaged held rows go, and their keys, so that devices may deliver them again. */
int held_let_go(struct store *s);
/* The mark, if the newest held row went away. */
int held_write_mark(struct store *s);

/* person.c: ends an erasure that was cut off. */
int person_load(struct store *s);
