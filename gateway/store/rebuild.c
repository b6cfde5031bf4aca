#include "gateway/store/rebuild.h"

#include <errno.h>
#include <stdbool.h>

#include "gateway/store/database.h"
#include "gateway/store/meta.h"
#include "gateway/store/salvage.h"
#include "gateway/store/store.h"

struct rebuild {
	sqlite3 *db;
	sqlite3_stmt *reading, *result, *parked, *seen;
	bool has_identity;
	struct store_identity identity;
	struct mark marks[LANE_END];
};

static int probe_row(void *user, const struct row *row)
{
	uint64_t *n = user;

	if (row_table(row) >= ROW_IDENTITY && row_table(row) <= ROW_RESULT)
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

static int put_seen(void *user, const struct seen_entry *e)
{
	struct rebuild *b = user;

	if (e->sequence > INT64_MAX)
		return 0;
	(void)sqlite3_bind_int64(b->seen, 1, e->stamp);
	(void)sqlite3_bind_blob(b->seen, 2, e->key, SEEN_KEY, SQLITE_STATIC);
	(void)sqlite3_bind_int64(b->seen, 3, (int64_t)e->sequence);
	return database_run(b->seen);
}

static int put_reading(struct rebuild *b, const struct row *row)
{
	struct seen_entry e;
	int r = database_put(b->reading, row);

	raise_to(&b->marks[LANE_READINGS].b, (uint64_t)row->id);
	if (r == 0 && seen_entry_of_row(row, &e) == 0)
		r = put_seen(b, &e);
	return r;
}

static void take_mark(struct rebuild *b, const struct row *row)
{
	struct mark mark;

	if (row->id < 0 || row->id >= LANE_END || !mark_decode(row, &mark))
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
	case ROW_PARKED:
		return database_put(b->parked, row);
	case ROW_READING:
		return put_reading(b, row);
	case ROW_RESULT:
		raise_to(&b->marks[LANE_RESULTS].b, (uint64_t)row->id);
		return database_put(b->result, row);
	default:
		return 0;
	}
}

static void finish_statements(struct rebuild *b)
{
	(void)sqlite3_finalize(b->reading);
	(void)sqlite3_finalize(b->result);
	(void)sqlite3_finalize(b->parked);
	(void)sqlite3_finalize(b->seen);
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
	for (int lane = 0; r == 0 && lane < LANE_END; lane++) {
		raise_to(&b->marks[lane].b, b->marks[lane].a);
		r = mark_write(b->db, MARK_LANE + lane, &b->marks[lane]);
	}
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
	static const char reading[] = "INSERT OR IGNORE INTO reading VALUES(?1,?2,?3,?4,?5)";
	static const char result[] = "INSERT OR IGNORE INTO result VALUES(?1,?2,?3,?4,?5)";
	static const char parked[] = "INSERT OR IGNORE INTO parked VALUES(?1,?2,?3,?4,?5)";
	int r = database_prepare(b->db, reading, &b->reading);

	if (r == 0)
		r = database_prepare(b->db, result, &b->result);
	if (r == 0)
		r = database_prepare(b->db, parked, &b->parked);
	if (r == 0)
		r = database_prepare(b->db, "INSERT OR IGNORE INTO seen VALUES(?1,?2,?3)",
				     &b->seen);
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

int rebuild_from(int dir_fd, const char *name, const char *path, struct rebuild_report *ret)
{
	struct rebuild b = { 0 };
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
