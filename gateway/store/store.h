/*
 * The store: one SQLite connection, owned by one thread; WAL, synchronous=FULL, exclusive.
 * The durable point of the whole system is store_commit().
 *
 *   lane READINGS      sequence -> packed wellgate.v1.Reading      never deleted before it was sent
 *   lane RESULTS       sequence -> packed wellgate.v1.GoalResult   and its keeping time is over
 *   lane CORRECTIONS   sequence -> packed wellgate.v1.Correction
 *   held               number -> packed wellgate.v1.Reading        waits for an owner, is not sent
 *   journal            number -> packed wellgate.v1.JournalEntry   append-only, never sent
 *
 * Each lane is also its own outbox: what lies above the lane's acknowledged watermark has yet to
 * be sent. So a payload is written once, nothing is deleted one by one, and a row "leaves the
 * outbox" by one small update. Sequences rise by one without gaps and are never reused, also when
 * the lane has been emptied.
 *
 * Errors: -ENOSPC disk or quota full (everything committed is intact; goes on when space returns),
 * -EIO the medium failed (close, stop confirming), -EUCLEAN a damaged or foreign database,
 * -EBUSY somebody else holds it, -EROFS, -EACCES, -EKEYREJECTED no key opens what is stored. After
 * -EIO or -EUCLEAN every later call fails with -EIO: close and open again, which checks, and puts a
 * damaged database into quarantine.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wellgate.pb-c.h"

/*
 * What the store relies on in a reading: dedupe_key has 16 bytes, and two readings with equal keys
 * agree in the device time as sent (or neither has one); without it in the record number; without
 * that either both have FLAG_BACKFILL, or they were received within STORE_WINDOW_US of each other:
 * by received_boottime_us of one boot_id, by received_at_ms where there is no boot_id. This places
 * a key among its neighbours in time, and only there an older one is looked for (intake/dedupe.c
 * makes the keys).
 */
#define STORE_WINDOW_US INT64_C(120000000)

#define STORE_PAYLOAD_MAX 65440 /* bytes of a packed message */

enum lane {
	LANE_READINGS,
	LANE_RESULTS,
	LANE_CORRECTIONS,
	LANE_END
};

/* Where a reading goes; its dedupe key is durable with it wherever that is. */
enum store_where {
	STORE_PUBLISH, /* lane READINGS */
	STORE_HOLD,    /* table `held`: kept as durably, and not sent */
	STORE_DROP,    /* nothing of it is kept but the key */
};

struct store_options {
	const char *dir;   /* made 0700 if missing (not its parents); holds wellgate.db */
	int64_t max_bytes; /* quota of the database file, 0 = none; its log adds a few MiB */
	unsigned int keep_days;
	const char *key_file; /* seals the keys of the rows; NULL: hub.key in dir (keyring.h) */
};

struct store_identity {
	uint64_t epoch;         /* random, made with the database; new after a salvage */
	char hub[40];           /* random name, used where the configuration gives none */
	uint8_t digest_key[32]; /* for intake_digest */
};

struct store_row {
	uint64_t sequence;      /* in its lane; the number of a held row or a journal entry */
	int group;              /* enum metric_group for readings, else 0 */
	bool test;              /* a reading with FLAG_TEST; else false */
	const uint8_t *payload; /* borrowed until the next call on the store */
	size_t len;
};

struct store_found {
	bool held; /* row.sequence is a number of `held`, else of lane READINGS */
	struct store_row row;
};

struct store_counts {
	uint64_t last[LANE_END];         /* highest sequence given out, 0 = none yet */
	uint64_t acknowledged[LANE_END]; /* watermark */
	uint64_t held;                   /* rows of `held` */
	uint64_t parked;                 /* refused by the broker for good, or damaged; kept */
	uint64_t duplicates;             /* seen again and not stored, since start */
	uint64_t damaged;                /* times a row's checksum failed, since start */
	int64_t bytes;                   /* size of database and log */
};

/* Reasons of store_park(): the checksum failed; its person's key was destroyed. MQTT's own are 0x80
 * to 0xff. */
#define STORE_REASON_DAMAGED 1
#define STORE_REASON_ERASED  2

/* Numbers that store_new_epoch() passes over at most. */
#define STORE_USED_MAX (UINT64_C(1) << 40)

struct store;

/* *ret_error: one malloc'd line for people (may be NULL); set on failure, and also on success when
 * a damaged database was put into quarantine (its name is in the text) or all keys are gone, else
 * NULL. */
int store_open(const struct store_options *options, struct store **ret, char **ret_error);
/* NULL is fine; rolls an open transaction back, makes acknowledgements durable. */
void store_close(struct store *s);
const struct store_identity *store_identity(const struct store *s);

/*
 * Opens the transaction if needed. STORE_PUBLISH sets reading->sequence (also in what is stored);
 * the others leave the reading without one. If it is known nothing is stored: 0 and *ret_new =
 * false. Known is (dedupe_key, revision): 0, 1 and no revision are the same, a later one is another
 * reading at the same stamp. After an error the whole transaction is rolled back: everything added
 * since the last commit has to come again. Two errors are about this one reading alone and leave
 * the transaction as it was: -EMSGSIZE it is larger than STORE_PAYLOAD_MAX packed, -EBADMSG it has
 * no dedupe key of 16 bytes or an unknown metric.
 */
int store_add_reading(struct store *s, Wellgate__V1__Reading *reading, enum store_where where,
		      bool *ret_new);
int store_add_result(struct store *s, Wellgate__V1__GoalResult *result);
int store_add_correction(struct store *s, Wellgate__V1__Correction *correction);
/* Durable when it returns 0, with all acknowledgements and parked rows so far. With nothing to
 * write: 0, at once. After an error the transaction is rolled back; acknowledgements wait. */
int store_commit(struct store *s);
void store_rollback(struct store *s);
/* readings or results were added and not committed */
bool store_in_transaction(const struct store *s);

/* Next unparked row above `after`: 1 and *ret, or 0 if there is none. Committed rows only. A row
 * whose checksum fails is stepped over and counted; if it was not yet acknowledged it is parked
 * with STORE_REASON_DAMAGED and its dedupe key forgotten, so that the device may deliver it
 * anew. */
int store_next(struct store *s, enum lane lane, uint64_t after, struct store_row *ret);
/* Everything up to `upto` was delivered. Kept in memory and written with the next commit, or by
 * store_maintain(); it forces no commit of its own. -ERANGE: no such sequence was committed. */
int store_acknowledge(struct store *s, enum lane lane, uint64_t upto);
/*
 * The broker refuses this row for good: keep it, step over it, say why. Durable as
 * store_acknowledge(). -ERANGE likewise. The commit that makes it durable adds a Correction of kind
 * TOMBSTONE to lane CORRECTIONS (without hub and epoch: the sender says them), so that the record
 * service knows that nothing comes under this number. One about a damaged correction says again
 * whatever was said before, because the row may have been a tombstone. Do not park a tombstone that
 * was refused: its own tombstone would be, too.
 */
int store_park(struct store *s, enum lane lane, uint64_t sequence, int reason_code);
/*
 * A new random epoch, durable when it returns 0: numbers of this one were used before by somebody
 * (this card is a copy). used: up to which, per lane. Numbers go on after these and ours; rows that
 * are not acknowledged keep theirs and belong to the new epoch. Tombstones (reason "before_epoch")
 * say which numbers the new epoch will never have. -EBUSY: a transaction is open; -ERANGE: more
 * than STORE_USED_MAX above ours. A salvage does the same by itself, with the next store_open().
 */
int store_new_epoch(struct store *s, const uint64_t used[LANE_END]);
/* The first number of the lane that belongs to this epoch, in *ret: 1 if there was none before. */
int store_epoch_begin(struct store *s, enum lane lane, uint64_t *ret);
/* A number up to which all rows of the lane came before at_s (seconds since 1970), as the hub's
 * clock had it: walks about what is newer may begin behind it. Rows of an unset clock are never
 * taken for a sign of "before". 0 = begin at the beginning. A handful of reads. */
uint64_t store_before(struct store *s, enum lane lane, int64_t at_s);

/*
 * Held readings. They have numbers of their own, which rise and are never given out again. These
 * functions see the open transaction: what was just held is walked, what was released is not.
 */
/* As store_next(): 1, 0 or -errno. A damaged row is stepped over and counted; with the next commit
 * it goes, and its key, so that the device may deliver it anew. */
int store_next_held(struct store *s, uint64_t after, struct store_row *ret);
/* `reading` goes into lane READINGS (its sequence is set), the held row goes, in the open
 * transaction. Its key is known already and stays so. -ENOENT: no such held row; -EMSGSIZE and
 * -EBADMSG as store_add_reading(); all three leave everything as it was. */
int store_release(struct store *s, uint64_t held, Wellgate__V1__Reading *reading);
/* The held row says this from now on, under the same number. Errors as store_release(). */
int store_replace_held(struct store *s, uint64_t held, const Wellgate__V1__Reading *reading);
/* The held row goes; its key stays known. -ENOENT */
int store_discard(struct store *s, uint64_t held);
/* The reading of this id: 1, 0 or -errno. Held ones first, then lane READINGS from the newest row
 * back, the open transaction included: quick for what is recent, a walk over everything for what
 * is not there. */
int store_find(struct store *s, const uint8_t reading_id[16], struct store_found *ret);

/*
 * The journal. `subject` is the person an entry is about, NULL for nobody: it is sealed under that
 * person's key and unreadable once that is destroyed.
 */
/* Opens the transaction if needed; sets entry->number. Errors as store_add_reading(). */
int store_add_entry(struct store *s, Wellgate__V1__JournalEntry *entry, const char *subject);
/* As store_next_held(). */
int store_next_entry(struct store *s, uint64_t after, struct store_row *ret);

/*
 * Persons. Every row about a person is sealed under a key of that person's own, by the subject in
 * the message (a Correction under both); what has no subject under the hub's. Give a held reading a
 * subject only if it can be nobody else's: it goes with that person's key.
 */
/* The number of a person's key; made, and durable at once, if new. -EINVAL: it is empty, or 143
 * bytes or longer */
int store_person(struct store *s, const char *subject, uint64_t *ret_number);
/* NULL: destroyed, or never given out. Valid until the next call on the store. */
const char *store_person_subject(const struct store *s, uint64_t number);
/* Rows of all lanes that are not acknowledged; not those that are held or parked. Rows of a version
 * that did not seal count for everybody. A walk over all that waits. */
int store_person_waiting(struct store *s, const char *subject, uint64_t *ret_rows);
/*
 * Destroys the key, and with it everything that is sealed under it: afterwards no file of ours in
 * the directory holds a payload, the name or the key of the person. Writes a journal entry Erased.
 * Once begun it is finished by the next start, should the power fail. What they sent stays known to
 * dedupe. -EBUSY: rows wait, or a transaction is open; -ENOENT: no such person.
 */
int store_erase_person(struct store *s, const char *subject);

/* For idle times; does nothing inside a transaction. Writes what acknowledgements wait, deletes
 * what was acknowledged and is older than keep_days (a bounded number of rows per call, never a
 * parked row, never the newest), and checkpoints if it is worth it. 1 = there is more to do. */
int store_maintain(struct store *s, int64_t now_ms);
void store_counts(const struct store *s, struct store_counts *ret);
