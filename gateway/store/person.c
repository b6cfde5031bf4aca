/* Persons and the end of them: store.h. Order of an erasure: README.md. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <sodium.h>

#include "gateway/store/database.h"
#include "gateway/store/inside.h"
#include "gateway/store/meta.h"
#include "gateway/store/seal.h"
#include "protocols/bytes/writer.h"

int store_person(struct store *s, const char *subject, uint64_t *ret_number)
{
	uint32_t number = 0;
	int r;

	if (s->failed)
		return -EIO;
	if (!subject || subject[0] == '\0')
		return -EINVAL;
	r = keyring_number(s->place.keys, subject, &number);
	if (r == 0)
		*ret_number = number;
	return r;
}

const char *store_person_subject(const struct store *s, uint64_t number)
{
	return number > KEYRING_MAX ? NULL : keyring_subject(s->place.keys, (uint32_t)number);
}

/* Adds the rows of a lane that wait: nothing of s->lent survives. */
static int count_waiting(struct store *s, enum lane lane, uint32_t number, uint64_t *n)
{
	sqlite3_stmt *rows = s->statements[S_NEXT + (int)lane];
	struct row row;
	int rc, r = 0;

	(void)sqlite3_bind_int64(rows, 1, (int64_t)s->lanes[lane].acked);
	(void)sqlite3_bind_int64(rows, 2, (int64_t)s->lanes[lane].last);
	while (r == 0 && (rc = sqlite3_step(rows)) != SQLITE_DONE) {
		if (rc != SQLITE_ROW) {
			r = inside_judge(s, database_errno(s->place.db, rc));
			break;
		}
		database_row(rows, &row);
		inside_copy(s, &row);
		if (!row_is_sound(&row))
			continue;
		if (!seal_is_plain(&row) && !seal_is_under(s->place.keys, &row, s->lent, number))
			continue;
		r = inside_is_parked(s, lane, (uint64_t)row.id);
		*n += r == 0;
		if (r == 1)
			r = 0;
	}
	(void)sqlite3_reset(rows);
	return r;
}

static int waiting(struct store *s, uint32_t number, uint64_t *ret)
{
	uint64_t n = 0;
	int r = 0;

	for (int lane = 0; r == 0 && lane < LANE_END; lane++)
		r = count_waiting(s, (enum lane)lane, number, &n);
	if (r == 0)
		*ret = n;
	return r;
}

int store_person_waiting(struct store *s, const char *subject, uint64_t *ret_rows)
{
	uint32_t number = 0;
	int r = s->failed ? -EIO : keyring_find(s->place.keys, subject, &number);

	if (r < 0)
		return r;
	return number == 0 ? -ENOENT : waiting(s, number, ret_rows);
}

/* Held rows under the key: they cannot be read any more, and would be in the way for ever. */
static int delete_held(struct store *s, uint32_t number)
{
	struct row row = { 0 };
	int r;

	while ((r = inside_lend(s, S_HELD_NEXT, (uint64_t)row.id, &row)) == 1) {
		if (!row_is_sound(&row) || !seal_is_under(s->place.keys, &row, s->lent, number))
			continue;
		r = seen_keep(s->seen, (uint64_t)-row.id);
		if (r == 0)
			r = held_delete(s, (uint64_t)row.id);
		if (r < 0)
			return r;
	}
	return r;
}

/* 1: the row begins after `after` and was never sealed; 0: there are no more of these */
static int next_plain(struct store *s, sqlite3_stmt *find, int64_t after, struct row *ret)
{
	int rc, r;

	(void)sqlite3_bind_int64(find, 1, after);
	rc = sqlite3_step(find);
	r = rc == SQLITE_ROW ? 1 : database_errno(s->place.db, rc);
	if (r == 1) {
		database_row(find, ret);
		inside_copy(s, ret);
		r = ret->len <= sizeof(s->lent) && seal_is_plain(ret);
	}
	(void)sqlite3_reset(find);
	return r;
}

/* Rows of versions that did not seal come before all others. They are packed messages: a subject is
 * its length and its text. */
static int delete_plain(struct store *s, const char *table, const char *subject)
{
	uint8_t field[1 + KEYRING_SUBJECT_MAX];
	struct writer w = writer_of(field, sizeof(field));
	size_t len = strlen(subject);
	sqlite3_stmt *find = NULL, *gone = NULL;
	struct row row = { 0 };
	char sql[80];
	int r;

	writer_u8(&w, (uint8_t)len);
	writer_bytes(&w, (const uint8_t *)subject, len);
	(void)snprintf(sql, sizeof(sql), "SELECT * FROM %s WHERE id>?1 ORDER BY id LIMIT 1", table);
	r = database_prepare(s->place.db, sql, &find);
	(void)snprintf(sql, sizeof(sql), "DELETE FROM %s WHERE id=?1", table);
	if (r == 0)
		r = database_prepare(s->place.db, sql, &gone);
	while (r == 0 && (r = next_plain(s, find, row.id, &row)) == 1) {
		r = 0;
		if (!memmem(row.payload, row.len, field, w.len))
			continue;
		(void)sqlite3_bind_int64(gone, 1, row.id);
		r = database_run(gone);
	}
	(void)sqlite3_finalize(find);
	(void)sqlite3_finalize(gone);
	return r;
}

/* Numbers are counted from the newest row, and that one may go. */
static int write_lane_marks(struct store *s)
{
	int r = 0;

	for (int lane = 0; r == 0 && lane < LANE_END; lane++) {
		struct mark mark = { s->lanes[lane].acked, s->lanes[lane].last };

		r = mark_write(s->place.db, MARK_LANE + lane, &mark);
	}
	return r;
}

static int add_erased(struct store *s, uint32_t number)
{
	Wellgate__V1__JournalEntry__Erased erased = WELLGATE__V1__JOURNAL_ENTRY__ERASED__INIT;
	Wellgate__V1__JournalEntry entry = WELLGATE__V1__JOURNAL_ENTRY__INIT;

	erased.has_person = 1;
	erased.person = number;
	entry.what_case = WELLGATE__V1__JOURNAL_ENTRY__WHAT_ERASED;
	entry.erased = &erased;
	return store_add_entry(s, &entry, NULL);
}

/* All that has to be durable before the key may go, in one transaction. */
static int prepare(struct store *s, uint32_t number, const char *subject)
{
	static const char *const tables[] = { "reading", "result" };
	int r = inside_begin(s);

	if (r < 0)
		return r;
	s->in_transaction = true;
	r = seen_flush(s->seen); /* dedupe reads its newest keys from rows */
	if (r == 0)
		r = delete_held(s, number);
	for (size_t i = 0; r == 0 && i < sizeof(tables) / sizeof(tables[0]); i++)
		r = delete_plain(s, tables[i], subject);
	if (r == 0)
		r = write_lane_marks(s);
	if (r == 0)
		r = mark_write(s->place.db, MARK_ERASING, &(struct mark){ number, 0 });
	if (r < 0)
		return inside_undo(s, r);
	r = add_erased(s, number);
	return r < 0 ? r : store_commit(s);
}

static void wipe_memory(struct store *s)
{
	sodium_memzero(s->pack, sizeof(s->pack));
	sodium_memzero(s->row, sizeof(s->row));
	sodium_memzero(s->lent, sizeof(s->lent));
	s->ahead = (struct ahead){ 0 };
}

/* The key goes, then what the log holds from before (rows of older versions were not sealed). */
static int finish(struct store *s, uint32_t number)
{
	int r = keyring_destroy(s->place.keys, number);

	if (r == -ENOENT) /* it was lost meanwhile */
		r = 0;
	if (r == 0)
		r = inside_truncate(s);
	if (r == 0)
		r = mark_write(s->place.db, MARK_ERASING, &(struct mark){ 0, 0 });
	return inside_judge(s, r);
}

int store_erase_person(struct store *s, const char *subject)
{
	uint64_t rows = 0;
	uint32_t number = 0;
	int r = s->failed ? -EIO : keyring_find(s->place.keys, subject, &number);

	if (r < 0 || number == 0)
		return r < 0 ? r : -ENOENT;
	if (s->in_transaction)
		return -EBUSY;
	r = waiting(s, number, &rows);
	if (r == 0 && rows > 0)
		return -EBUSY;
	if (r == 0)
		r = prepare(s, number, subject);
	if (r == 0)
		r = finish(s, number);
	wipe_memory(s);
	return r;
}

int person_load(struct store *s)
{
	struct mark mark = { 0, 0 };
	int r = mark_read(s->place.db, MARK_ERASING, &mark);

	if (r < 0 || mark.a == 0)
		return r;
	return finish(s, (uint32_t)mark.a);
}
