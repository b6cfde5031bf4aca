/*
 * What arrived, into the database: rows, the numbers they came under, and the receipt that tells
 * the hub. All of it within the caller's transaction, so that a receipt never says more than what
 * is durable. Used by one thread.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "gateway/arena.h"
#include "gateway/record/arrival.h"
#include "gateway/record/db.h"

/* beyond the watermark a receipt names at most so many ranges */
#define LEDGER_RANGES_MAX 64
/* hubs that one transaction can be about; a caller begins another one before that */
#define LEDGER_TOUCHED_MAX 256

enum ledger_kind {
	LEDGER_READING,
	LEDGER_RESULT,
	LEDGER_CORRECTION,
};

/* since the start; of transactions that were rolled back, too */
struct ledger_counts {
	uint64_t messages, readings, results, corrections, statuses;
	uint64_t again;   /* were there already */
	uint64_t refused; /* kept as dead letters */
};

struct ledger_receipt {
	char topic[ARRIVAL_TOPIC_MAX];
	uint8_t *payload; /* malloc'd; the taker's */
	size_t len;
};

/* takes the payload over */
typedef void (*ledger_receipt_fn)(struct ledger_receipt *receipt, void *user);

struct ledger_touched {
	int64_t hub_id;
	uint64_t epoch;
	char site[ARRIVAL_LEVEL_MAX + 1], hub[ARRIVAL_LEVEL_MAX + 1];
};

struct ledger {
	struct db *db;
	const char *service; /* named in receipts */
	struct arena message, scratch;
	int64_t now_ms;
	struct ledger_touched touched[LEDGER_TOUCHED_MAX];
	size_t n_touched;
	struct ledger_receipt receipts[LEDGER_TOUCHED_MAX];
	size_t n_receipts;
	struct ledger_counts counts;
};

int ledger_init(struct ledger *l, struct db *db, const char *service); /* -ENOMEM */
void ledger_finish(struct ledger *l);

/* Begins a transaction. now_ms: milliseconds since 1970, of this machine. Errors: those of db.h */
int ledger_begin(struct ledger *l, int64_t now_ms);
/* One message. What cannot be read becomes a dead letter; an error is the database's (db.h), and
 * the transaction has to be rolled back then. */
int ledger_apply(struct ledger *l, const char *topic, const uint8_t *payload, size_t len);
/* As a dead letter, whatever it is: `reason` is one short constant text. */
int ledger_bury(struct ledger *l, const char *topic, const uint8_t *payload, size_t len,
		const char *reason);
/* Commits, and hands out one receipt for each hub that was heard: only if 0 is returned. */
int ledger_commit(struct ledger *l, ledger_receipt_fn fn, void *user);
void ledger_rollback(struct ledger *l);
