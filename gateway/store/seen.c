#include "gateway/store/seen.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "drivers/cleanup.h"
#include "gateway/store/database.h"
#include "gateway/store/meta.h"
#include "gateway/store/seal.h"
#include "gateway/store/store.h"

#define SLOTS 4096 /* power of two; at most half full, so probes are short and end */
_Static_assert(SEEN_BATCH * 2 <= SLOTS, "the table of slots must stay sparse");

struct seen {
	sqlite3 *db;
	const struct keyring *keys;
	sqlite3_stmt *find, *insert, *put, *rows;
	uint64_t upto;
	int64_t newest; /* stamp in the table: what is beyond needs no look */
	size_t n;
	struct seen_entry entries[SEEN_BATCH];
	uint16_t slots[SLOTS]; /* index + 1, 0 = free */
};

/* only what is also packed: the same stamp must come out of the stored row */
#define GIVEN(message, field) ((message)->has_##field ? (message)->field : 0)

/* Minutes, not seconds: one byte shorter, and what falls into one minute is sorted by key. */
static int64_t stamp_of_time(const Wellgate__V1__DeviceTime *t)
{
	uint64_t year = GIVEN(t, year), month = GIVEN(t, month), day = GIVEN(t, day);
	uint64_t tick_us = GIVEN(t, tick_us), per_minute = tick_us ? 60000000 / tick_us : 0;

	if (!t->has_kind || t->kind != WELLGATE__V1__DEVICE_TIME__KIND__KIND_TICKS)
		return (int64_t)((((year * 13 + month) * 32 + day) * 24 + GIVEN(t, hour)) * 60 +
				 GIVEN(t, minute));
	return (int64_t)(GIVEN(t, ticks) / (per_minute ? per_minute : 1));
}

static bool is_backfill(const Wellgate__V1__Reading *reading)
{
	for (size_t i = 0; i < reading->n_flags; i++) {
		if (reading->flags[i] == WELLGATE__V1__FLAG__FLAG_BACKFILL)
			return true;
	}
	return false;
}

/* Nothing but the receipt tells it from another: a repetition has the key of the first, but its
 * own receipt. */
static void place_by_receipt(const Wellgate__V1__Reading *reading, struct seen_entry *e)
{
	bool booted = reading->has_boot_id && reading->boot_id.len > 0;

	e->stamp = booted ? GIVEN(reading, received_boottime_us) / STORE_WINDOW_US
			  : GIVEN(reading, received_at_ms) / (STORE_WINDOW_US / 1000);
	e->span = 1;
}

/* A key is a digest: with a few bits turned it is the key of nothing else. */
static void turn(uint8_t key[SEEN_KEY], uint32_t revision)
{
	for (size_t i = 0; i < sizeof(revision); i++)
		key[i] = (uint8_t)(key[i] ^ revision >> 8 * i);
}

int seen_entry_of(const Wellgate__V1__Reading *reading, struct seen_entry *ret)
{
	struct seen_entry e = { .sequence = reading->sequence };

	if (!reading->has_dedupe_key || reading->dedupe_key.len != SEEN_KEY)
		return -EBADMSG;
	(void)memcpy(e.key, reading->dedupe_key.data, SEEN_KEY);
	if (reading->has_revision && reading->revision > 1)
		turn(e.key, reading->revision);
	if (reading->device_time)
		e.stamp = stamp_of_time(reading->device_time);
	else if (reading->has_record_number)
		e.stamp = -1 - (int64_t)reading->record_number;
	else if (is_backfill(reading)) /* read again at any time: by key alone, and rare */
		e.stamp = -1;
	else
		place_by_receipt(reading, &e);
	*ret = e;
	return 0;
}

static int entry_of_bytes(const uint8_t *data, size_t len, struct seen_entry *ret)
{
	Wellgate__V1__Reading *reading = wellgate__v1__reading__unpack(NULL, len, data);
	int r;

	if (!reading)
		return -EBADMSG;
	r = seen_entry_of(reading, ret);
	wellgate__v1__reading__free_unpacked(reading, NULL);
	return r;
}

int seen_entry_of_row(const struct keyring *keys, const struct row *row, bool sound,
		      struct seen_entry *ret)
{
	_cleanup_free_ uint8_t *copy = NULL;
	const uint8_t *content = NULL;
	size_t len = 0;
	int r;

	if (row->len == 0 || row->len > ROW_PAYLOAD_MAX)
		return -EBADMSG;
	copy = malloc(row->len);
	if (!copy)
		return -ENOMEM;
	(void)memcpy(copy, row->payload, row->len);
	r = sound ? seal_open(keys, row, copy, &content, &len)
		  : seal_guess(keys, row, copy, &content, &len);
	if (r == 0)
		return -ENOKEY;
	if (r < 0)
		return r;
	r = entry_of_bytes(content, len, ret);
	if (r == 0)
		ret->sequence = (uint64_t)row->id;
	return r;
}

/* The slot that holds the entry, or the free one where it belongs. The key is a digest already. */
static uint16_t *slot_of(struct seen *s, const struct seen_entry *e)
{
	uint32_t hash;

	(void)memcpy(&hash, e->key, sizeof(hash));
	for (;; hash++) {
		uint16_t *slot = &s->slots[hash & (SLOTS - 1)];

		if (*slot == 0 || memcmp(s->entries[*slot - 1].key, e->key, SEEN_KEY) == 0)
			return slot;
	}
}

static void remember(struct seen *s, const struct seen_entry *e)
{
	assert(s->n < SEEN_BATCH);
	s->entries[s->n++] = *e;
	*slot_of(s, e) = (uint16_t)s->n;
}

static void clear(struct seen *s)
{
	s->n = 0;
	(void)memset(s->slots, 0, sizeof(s->slots));
}

static int write_entry(struct seen *s, sqlite3_stmt *statement, const struct seen_entry *e)
{
	if (e->stamp > s->newest)
		s->newest = e->stamp;
	(void)sqlite3_bind_int64(statement, 1, e->stamp);
	(void)sqlite3_bind_blob(statement, 2, e->key, SEEN_KEY, SQLITE_STATIC);
	(void)sqlite3_bind_int64(statement, 3, (int64_t)e->sequence);
	return database_run(statement);
}

int seen_put(struct seen *s, const struct seen_entry *e)
{
	return write_entry(s, s->put, e);
}

int seen_flush(struct seen *s)
{
	int r = 0;

	if (s->n == 0)
		return 0;
	for (size_t i = 0; r == 0 && i < s->n; i++)
		r = write_entry(s, s->insert, &s->entries[i]);
	if (r == 0) {
		struct mark mark = { s->entries[s->n - 1].sequence, 0 };

		r = mark_write(s->db, MARK_SEEN, &mark);
		s->upto = mark.a;
	}
	if (r == 0)
		clear(s);
	return r;
}

static int find_at(struct seen *s, int64_t stamp, const struct seen_entry *e)
{
	int rc, r;

	if (stamp > s->newest)
		return 0;
	(void)sqlite3_bind_int64(s->find, 1, stamp);
	(void)sqlite3_bind_blob(s->find, 2, e->key, SEEN_KEY, SQLITE_STATIC);
	rc = sqlite3_step(s->find);
	r = rc == SQLITE_ROW ? 1 : database_errno(s->db, rc);
	(void)sqlite3_reset(s->find);
	return r;
}

int seen_find(struct seen *s, const struct seen_entry *e)
{
	int r = *slot_of(s, e) != 0 ? 1 : 0;

	for (int64_t i = -e->span; r == 0 && i <= e->span; i++)
		r = find_at(s, e->stamp + i, e);
	return r;
}

int seen_add(struct seen *s, const struct seen_entry *e)
{
	if (s->n == SEEN_BATCH) {
		int r = seen_flush(s);

		if (r < 0)
			return r;
	}
	remember(s, e);
	return 0;
}

uint64_t seen_upto(const struct seen *s)
{
	return s->upto;
}

static int of_sequence(struct seen *s, const char *sql, uint64_t sequence)
{
	sqlite3_stmt *statement = NULL;
	int r = database_prepare(s->db, sql, &statement);

	if (r < 0)
		return r;
	(void)sqlite3_bind_int64(statement, 1, (int64_t)sequence);
	r = database_run(statement);
	(void)sqlite3_finalize(statement);
	return r;
}

int seen_forget(struct seen *s, uint64_t sequence)
{
	int r = seen_flush(s); /* memory has no way to take one out */

	return r < 0 ? r : of_sequence(s, "DELETE FROM seen WHERE sequence=?1", sequence);
}

int seen_keep(struct seen *s, uint64_t sequence)
{
	return of_sequence(s, "UPDATE seen SET sequence=0 WHERE sequence=?1", sequence);
}

/* A damaged row that was not sent yet is not "seen": it may come again. One that was sent must not,
 * as far as its key can still be read (a wrong key equals no other). */
static int load_row(struct seen *s, uint64_t acked)
{
	struct seen_entry e;
	struct row row;
	bool sound;

	database_row(s->rows, &row);
	sound = row_is_sound(&row);
	if (!sound && (uint64_t)row.id > acked)
		return 0;
	if (seen_entry_of_row(s->keys, &row, sound, &e) < 0 || *slot_of(s, &e) != 0)
		return 0;
	if (s->n == SEEN_BATCH)
		return -EUCLEAN; /* the mark is older than it can be */
	remember(s, &e);
	return 0;
}

static int load_rows(struct seen *s, uint64_t acked)
{
	int r = 0, rc = SQLITE_DONE;

	(void)sqlite3_bind_int64(s->rows, 1, (int64_t)s->upto);
	while (r == 0 && (rc = sqlite3_step(s->rows)) == SQLITE_ROW)
		r = load_row(s, acked);
	if (r == 0)
		r = database_errno(s->db, rc);
	(void)sqlite3_reset(s->rows);
	return r;
}

int seen_load(struct seen *s)
{
	struct mark mark = { 0, 0 }, lane = { 0, 0 };
	int r = mark_read(s->db, MARK_SEEN, &mark);

	if (r == 0)
		r = mark_read(s->db, MARK_LANE + LANE_READINGS, &lane);
	if (r == 0)
		r = database_integer(s->db,
				     "SELECT coalesce(max(stamp), -9223372036854775807) FROM seen",
				     &s->newest);
	if (r < 0)
		return r;
	clear(s);
	s->upto = mark.a;
	return load_rows(s, lane.a);
}

void seen_close(struct seen *s)
{
	if (!s)
		return;
	(void)sqlite3_finalize(s->find);
	(void)sqlite3_finalize(s->insert);
	(void)sqlite3_finalize(s->put);
	(void)sqlite3_finalize(s->rows);
	free(s);
}

int seen_open(sqlite3 *db, const struct keyring *keys, struct seen **ret)
{
	struct seen *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return -ENOMEM;
	s->db = db;
	s->keys = keys;
	r = database_prepare(db, "SELECT 1 FROM seen WHERE stamp=?1 AND key=?2", &s->find);
	if (r == 0)
		r = database_prepare(db, "INSERT OR IGNORE INTO seen VALUES(?1,?2,?3)", &s->insert);
	if (r == 0)
		r = database_prepare(db, "REPLACE INTO seen VALUES(?1,?2,?3)", &s->put);
	if (r == 0)
		r = database_prepare(db, "SELECT * FROM reading WHERE id>?1 ORDER BY id", &s->rows);
	if (r == 0)
		r = seen_load(s);
	if (r < 0) {
		seen_close(s);
		return r;
	}
	*ret = s;
	return 0;
}
