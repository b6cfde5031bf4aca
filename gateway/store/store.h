/*
 * The store: one SQLite connection, owned by one thread; WAL, synchronous=FULL, exclusive.
 * The durable point of the whole system is store_commit().
 *
 *   lane READINGS   sequence -> packed wellgate.v1.Reading   never deleted before it was sent and
 *   lane RESULTS    sequence -> packed wellgate.v1.GoalResult   its keeping time is over
 *
 * Each lane is also its own outbox: what lies above the lane's acknowledged watermark has yet to
 * be sent. So a payload is written once, nothing is deleted one by one, and a row "leaves the
 * outbox" by one small update. Sequences rise by one without gaps and are never reused, also when
 * the lane has been emptied.
 *
 * Errors: -ENOSPC disk or quota full, -EIO the medium failed (close, stop confirming), -EUCLEAN a
 * damaged or foreign database, -EBUSY somebody else holds it, -EROFS, -EACCES.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wellgate.pb-c.h"

enum lane {
	LANE_READINGS,
	LANE_RESULTS,
	LANE_END
};

struct store_options {
	const char *dir;   /* made 0700 if missing; holds wellgate.db */
	int64_t max_bytes; /* quota, 0 = none */
	unsigned int keep_days;
};

struct store_identity {
	uint64_t epoch;         /* random, made with the database */
	char hub[40];           /* random name, used where the configuration gives none */
	uint8_t digest_key[32]; /* for intake_digest */
};

struct store_row {
	uint64_t sequence;
	int group; /* enum metric_group for readings, 0 for results */
	bool test;
	const uint8_t *payload; /* borrowed until the next call on the store */
	size_t len;
};

struct store_counts {
	uint64_t last[LANE_END];         /* highest sequence given out, 0 = none yet */
	uint64_t acknowledged[LANE_END]; /* watermark */
	uint64_t parked;                 /* refused by the broker for good, kept */
	uint64_t duplicates;             /* seen again and not stored, since start */
	uint64_t damaged;                /* rows whose checksum failed, since start */
	int64_t bytes;                   /* size of database and log */
};

struct store;

/* *ret_error: one malloc'd line for people (may be NULL); set on failure, and also on success when
 * a damaged database was put into quarantine (its name is in the text). */
int store_open(const struct store_options *options, struct store **ret, char **ret_error);
void store_close(struct store *s); /* NULL is fine; rolls an open transaction back */
const struct store_identity *store_identity(const struct store *s);

/* Opens the transaction if needed. Sets reading->sequence (also in what is stored). If its dedupe
 * key is known nothing is stored: 0 and *ret_new = false. After an error the whole transaction is
 * rolled back: everything added since the last commit has to come again. */
int store_add_reading(struct store *s, Wellgate__V1__Reading *reading, bool *ret_new);
int store_add_result(struct store *s, Wellgate__V1__GoalResult *result);
/* Durable when it returns 0. Without an open transaction: 0, at once. */
int store_commit(struct store *s);
void store_rollback(struct store *s);
bool store_in_transaction(const struct store *s);

/* Next unparked row above `after`: 1 and *ret, or 0 if there is none. Committed rows only. */
int store_next(struct store *s, enum lane lane, uint64_t after, struct store_row *ret);
/* Everything up to `upto` was delivered. Durable with the next commit, which it does not force. */
int store_acknowledge(struct store *s, enum lane lane, uint64_t upto);
/* The broker refuses this row for good: keep it, step over it, say why. */
int store_park(struct store *s, enum lane lane, uint64_t sequence, int reason_code);

/* Deletes what was acknowledged and is older than keep_days, a bounded number of rows per call;
 * checkpoints when asked to. Call it when idle. 1 = there is more to do. */
int store_maintain(struct store *s, int64_t now_ms);
void store_counts(const struct store *s, struct store_counts *ret);
