#include "gateway/store/rebuild.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>

#include "gateway/store/database.h"
#include "gateway/store/meta.h"
#include "gateway/store/salvage.h"
#include "gateway/store/store.h"

struct rebuild {
	sqlite3 *db;
	const struct keyring *keys;
	sqlite3_stmt *rows[ROW_TABLES], *seen, *seen_put;
	uint64_t last_held;
	bool has_identity;
	struct store_identity identity;
	struct mark marks[LANE_END];
};

static int probe_row(void *user, const struct row *row)
{
	uint64_t *n = user;

	(void)row; /* its checksum is right, and every number of a table is one of ours */
	++*n;
	return 0;
}

int rebuild_probe(int dir_fd, const char *name, uint64_t *ret)
{
	uint64_t n = 0;
	struct salvage_sink sink = { probe_row, NULL, &n };
	int r = salvage_files(dir_fd, name, &sink);

	if (r == 0)
		*ret = n;
	return r;
}

static void raise_to(uint64_t *v, uint64_t least)
{
	if (*v < least)
		*v = least;
}

static int run_seen(sqlite3_stmt *statement, const struct seen_entry *e)
{
	(void)sqlite3_bind_int64(statement, 1, e->stamp);
	(void)sqlite3_bind_blob(statement, 2, e->key, SEEN_KEY, SQLITE_STATIC);
	(void)sqlite3_bind_int64(statement, 3, (int64_t)e->sequence);
	return database_run(statement);
}

static int put_seen(void *user, const struct seen_entry *e)
{
	struct rebuild *b = user;

	return run_seen(b->seen, e);
}

/* A row proves what an entry of `seen` only says: it may be left over from when it was held. */
static int put_reading(struct rebuild *b, const struct row *row)
{
	struct seen_entry e;
	int r = database_put(b->rows[ROW_READING], row);

	raise_to(&b->marks[LANE_READINGS].b, (uint64_t)row->id);
	if (r == 0 && seen_entry_of_row(b->keys, row, true, &e) == 0)
		r = run_seen(b->seen_put, &e);
	return r;
}

static void take_mark(struct rebuild *b, const struct row *row)
{
	struct mark mark;

	if (!mark_decode(row, &mark))
		return;
	if (row->id == MARK_HELD)
		raise_to(&b->last_held, mark.b);
	if (row->id >= LANE_END)
		return;
	raise_to(&b->marks[row->id].a, mark.a);
	raise_to(&b->marks[row->id].b, mark.b);
}

static int put_row(void *user, const struct row *row)
{
	struct rebuild *b = user;

	if (row->id < 0)
		return 0;
	switch (row_table(row)) {
	case ROW_IDENTITY:
		if (!b->has_identity)
			b->has_identity = identity_decode(row, &b->identity);
		return 0;
	case ROW_MARK:
		take_mark(b, row);
		return 0;
	case ROW_READING:
		return put_reading(b, row);
	case ROW_RESULT:
		raise_to(&b->marks[LANE_RESULTS].b, (uint64_t)row->id);
		break;
	case ROW_CORRECTION:
		raise_to(&b->marks[LANE_CORRECTIONS].b, (uint64_t)row->id);
		break;
	case ROW_HELD:
		raise_to(&b->last_held, (uint64_t)row->id);
		break;
	default: /* parked, journal */
		break;
	}
	return database_put(b->rows[row_table(row)], row);
}

static void finish_statements(struct rebuild *b)
{
	for (int i = 0; i < ROW_TABLES; i++)
		(void)sqlite3_finalize(b->rows[i]);
	(void)sqlite3_finalize(b->seen);
	(void)sqlite3_finalize(b->seen_put);
}

/* What the entry of `seen` says of a held row: *ret its number negated, 0 or a sequence if it was
 * discarded or released; INT64_MIN where there is none. */
static int entry_of_held(struct rebuild *b, const struct row *row, int64_t *ret)
{
	struct seen_entry e;
	sqlite3_stmt *find = NULL;
	int r, rc;

	*ret = INT64_MIN;
	if (seen_entry_of_row(b->keys, row, true, &e) < 0)
		return 0;
	r = database_prepare(b->db, "SELECT sequence FROM seen WHERE stamp=?1 AND key=?2", &find);
	if (r < 0)
		return r;
	(void)sqlite3_bind_int64(find, 1, e.stamp);
	(void)sqlite3_bind_blob(find, 2, e.key, SEEN_KEY, SQLITE_STATIC);
	rc = sqlite3_step(find);
	r = database_errno(b->db, rc);
	if (rc == SQLITE_ROW)
		*ret = sqlite3_column_int64(find, 0);
	(void)sqlite3_finalize(find);
	if (r == 0 && *ret == INT64_MIN) {
		e.sequence = (uint64_t)-row->id;
		*ret = -row->id;
		r = run_seen(b->seen_put, &e);
	}
	return r;
}

static int settle_held_row(struct rebuild *b, sqlite3_stmt *gone, const struct row *row)
{
	int64_t entry = 0;
	int r = entry_of_held(b, row, &entry);

	if (r < 0 || entry == -row->id || entry == INT64_MIN)
		return r;
	(void)sqlite3_bind_int64(gone, 1, row->id);
	return database_run(gone);
}

/* Old pages still hold rows that were released or discarded since: they must not come back. The
 * key of one that is lost is forgotten, as that of a reading. */
static int settle_held(struct rebuild *b)
{
	static const char forget[] = "DELETE FROM seen WHERE sequence < 0"
				     " AND -sequence NOT IN (SELECT id FROM held)";
	sqlite3_stmt *all = NULL, *gone = NULL;
	struct row row;
	int r = database_prepare(b->db, "SELECT * FROM held ORDER BY id", &all);

	if (r == 0)
		r = database_prepare(b->db, "DELETE FROM held WHERE id=?1", &gone);
	while (r == 0 && sqlite3_step(all) == SQLITE_ROW) {
		database_row(all, &row);
		r = settle_held_row(b, gone, &row);
	}
	(void)sqlite3_finalize(all);
	(void)sqlite3_finalize(gone);
	return r < 0 ? r : database_exec(b->db, forget);
}

/* A key whose reading is gone although it was never sent is forgotten: the device may still have
 * it. Its number stays used. */
static int settle_seen(struct rebuild *b, struct rebuild_report *report)
{
	struct mark *mark = &b->marks[LANE_READINGS];
	char sql[128];
	int64_t last = 0, missing = 0;
	int r = database_integer(b->db, "SELECT max(sequence) FROM seen", &last);

	if (r < 0)
		return r;
	raise_to(&mark->b, (uint64_t)last);
	(void)sqlite3_snprintf(sizeof(sql), sql,
			       "DELETE FROM seen WHERE sequence > %lld"
			       " AND sequence NOT IN (SELECT id FROM reading)",
			       (long long)mark->a);
	r = database_exec(b->db, sql);
	if (r < 0)
		return r;
	(void)sqlite3_snprintf(sizeof(sql), sql, "SELECT count(*) FROM reading WHERE id > %lld",
			       (long long)mark->a);
	r = database_integer(b->db, sql, &missing);
	if (r == 0)
		report->missing = mark->b > mark->a ? mark->b - mark->a - (uint64_t)missing : 0;
	return r;
}

static int count(sqlite3 *db, const char *sql, uint64_t *ret)
{
	int64_t n = 0;
	int r = database_integer(db, sql, &n);

	if (r == 0)
		*ret = (uint64_t)n;
	return r;
}

/* A number could come again if the newest rows are lost: a new epoch keeps consumers right. */
static int settle(struct rebuild *b, struct rebuild_report *report)
{
	struct store_identity new;
	int r = identity_random(&new);

	if (r < 0)
		return r;
	if (b->has_identity) {
		uint64_t epoch = new.epoch;

		new = b->identity;
		new.epoch = epoch;
	}
	r = identity_write(b->db, &new);
	if (r == 0)
		r = settle_seen(b, report);
	if (r == 0)
		r = settle_held(b);
	if (r == 0)
		r = mark_write(b->db, MARK_HELD, &(struct mark){ 0, b->last_held });
	for (int lane = 0; r == 0 && lane < LANE_END; lane++) {
		raise_to(&b->marks[lane].b, b->marks[lane].a);
		r = mark_write(b->db, MARK_LANE + lane, &b->marks[lane]);
	}
	if (r == 0)
		r = mark_write(b->db, MARK_EPOCH_DUE, &(struct mark){ 1, 0 });
	if (r == 0)
		r = mark_write(b->db, MARK_SEEN, &(struct mark){ b->marks[LANE_READINGS].b, 0 });
	if (r == 0)
		r = count(b->db, "SELECT count(*) FROM reading", &report->readings);
	if (r == 0)
		r = count(b->db, "SELECT count(*) FROM result", &report->results);
	report->last = b->marks[LANE_READINGS].b;
	return r;
}

static int prepare(struct rebuild *b)
{
	static const char *const tables[ROW_TABLES] = {
		[ROW_CORRECTION] = "correction", [ROW_PARKED] = "parked", [ROW_READING] = "reading",
		[ROW_RESULT] = "result",         [ROW_HELD] = "held",     [ROW_JOURNAL] = "journal",
	};
	char sql[80];
	int r = 0;

	for (int i = 0; r == 0 && i < ROW_TABLES; i++) {
		if (!tables[i])
			continue;
		(void)snprintf(sql, sizeof(sql), "INSERT OR IGNORE INTO %s VALUES(?1,?2,?3,?4,?5)",
			       tables[i]);
		r = database_prepare(b->db, sql, &b->rows[i]);
	}
	if (r == 0)
		r = database_prepare(b->db, "INSERT OR IGNORE INTO seen VALUES(?1,?2,?3)",
				     &b->seen);
	if (r == 0)
		r = database_prepare(b->db, "REPLACE INTO seen VALUES(?1,?2,?3)", &b->seen_put);
	return r;
}

static int fill(struct rebuild *b, int dir_fd, const char *name, struct rebuild_report *report)
{
	struct salvage_sink sink = { put_row, put_seen, b };
	int r = prepare(b);

	if (r == 0)
		r = database_exec(b->db, "BEGIN IMMEDIATE");
	if (r == 0)
		r = salvage_files(dir_fd, name, &sink);
	if (r == 0)
		r = settle(b, report);
	if (r == 0)
		r = database_exec(b->db, "COMMIT");
	finish_statements(b);
	return r;
}

/* Everything into the file itself, so that one rename moves it. */
static int close_durably(sqlite3 *db, int r)
{
	if (r == 0)
		r = database_accept(db, 0);
	if (r == 0)
		r = database_errno(db, sqlite3_wal_checkpoint_v2(
					       db, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL));
	(void)sqlite3_close(db);
	return r;
}

int rebuild_empty(const char *path)
{
	struct store_identity identity;
	sqlite3 *db = NULL;
	int r = identity_random(&identity);

	if (r == 0)
		r = database_open(path, true, &db);
	if (r < 0)
		return r;
	r = database_migrate(db);
	if (r == 0)
		r = identity_write(db, &identity);
	return close_durably(db, r);
}

int rebuild_from(int dir_fd, const char *name, const char *path, const struct keyring *keys,
		 struct rebuild_report *ret)
{
	struct rebuild b = { .keys = keys };
	struct rebuild_report report = { 0 };
	int r = database_open(path, true, &b.db);

	if (r < 0)
		return r;
	r = database_migrate(b.db);
	if (r == 0)
		r = fill(&b, dir_fd, name, &report);
	r = close_durably(b.db, r);
	if (r == 0)
		*ret = report;
	return r;
}
