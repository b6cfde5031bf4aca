#include "gateway/store/database.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* One entry per schema version; entries are only ever added. */
static const char *const migrations[] = {
	/* 1: seen is clustered by a stamp that nearly rises, never by a random key (README.md) */
	"CREATE TABLE identity(id INTEGER PRIMARY KEY, kind, at, sum, payload);"
	"CREATE TABLE identity_copy(id INTEGER PRIMARY KEY, kind, at, sum, payload);"
	"CREATE TABLE mark(id INTEGER PRIMARY KEY, kind, at, sum, payload);"
	"CREATE TABLE parked(id INTEGER PRIMARY KEY, kind, at, sum, payload);"
	"CREATE TABLE reading(id INTEGER PRIMARY KEY, kind, at, sum, payload);"
	"CREATE TABLE result(id INTEGER PRIMARY KEY, kind, at, sum, payload);"
	"CREATE TABLE seen(stamp INTEGER, key BLOB, sequence INTEGER, PRIMARY KEY(stamp, key))"
	" WITHOUT ROWID;",
	/* 2: readings without an owner, corrections, and what the hub was told */
	"CREATE TABLE held(id INTEGER PRIMARY KEY, kind, at, sum, payload);"
	"CREATE TABLE journal(id INTEGER PRIMARY KEY, kind, at, sum, payload);"
	"CREATE TABLE correction(id INTEGER PRIMARY KEY, kind, at, sum, payload);",
};
#define N_MIGRATIONS ((int)(sizeof(migrations) / sizeof(migrations[0])))

static const char settings[] =
	"PRAGMA locking_mode=EXCLUSIVE;" /* before the first access: no -shm, no second opener */
	"PRAGMA synchronous=FULL;"
	"PRAGMA temp_store=MEMORY;"
	"PRAGMA cache_size=-512;"
	"PRAGMA mmap_size=0;"
	"PRAGMA secure_delete=ON;"
	"PRAGMA trusted_schema=OFF;"
	"PRAGMA cell_size_check=ON;"
	"PRAGMA wal_autocheckpoint=0;"; /* our own policy: store.c */

static int errno_of_open(int saved)
{
	switch (saved) {
	case EACCES:
	case EROFS:
	case ENOSPC:
	case ENOENT:
	case EMFILE:
	case ENFILE:
		return -saved;
	case EPERM:
		return -EACCES;
	case EDQUOT:
		return -ENOSPC;
	default:
		return -EIO;
	}
}

int database_errno(sqlite3 *db, int rc)
{
	int saved = db ? sqlite3_system_errno(db) : 0;

	switch (rc & 0xff) {
	case SQLITE_OK:
	case SQLITE_ROW:
	case SQLITE_DONE:
		return 0;
	case SQLITE_FULL:
		return -ENOSPC;
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return -EBUSY;
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
	case SQLITE_CONSTRAINT: /* a number that cannot be there yet is there */
		return -EUCLEAN;
	case SQLITE_NOMEM:
		return -ENOMEM;
	case SQLITE_READONLY:
	case SQLITE_PERM:
		return saved == EROFS ? -EROFS : -EACCES;
	case SQLITE_CANTOPEN:
		return errno_of_open(saved);
	case SQLITE_IOERR:
		if (rc == SQLITE_IOERR_NOMEM)
			return -ENOMEM;
		return saved == ENOSPC || saved == EDQUOT ? -ENOSPC : -EIO;
	default:
		return -EIO;
	}
}

int database_exec(sqlite3 *db, const char *sql)
{
	return database_errno(db, sqlite3_exec(db, sql, NULL, NULL, NULL));
}

int database_prepare(sqlite3 *db, const char *sql, sqlite3_stmt **ret)
{
	return database_errno(
		db, sqlite3_prepare_v3(db, sql, -1, SQLITE_PREPARE_PERSISTENT, ret, NULL));
}

int database_run(sqlite3_stmt *statement)
{
	int rc = sqlite3_step(statement);
	int r = database_errno(sqlite3_db_handle(statement), rc);

	(void)sqlite3_reset(statement);
	return r;
}

int database_integer(sqlite3 *db, const char *sql, int64_t *ret)
{
	sqlite3_stmt *statement;
	int r = database_prepare(db, sql, &statement);

	if (r < 0)
		return r;
	int rc = sqlite3_step(statement);
	r = database_errno(db, rc);
	if (r == 0)
		*ret = rc == SQLITE_ROW ? sqlite3_column_int64(statement, 0) : 0;
	(void)sqlite3_finalize(statement);
	return r;
}

int database_put(sqlite3_stmt *statement, const struct row *row)
{
	sqlite3 *db = sqlite3_db_handle(statement);
	int rc = sqlite3_bind_int64(statement, 1, row->id);

	if (rc == SQLITE_OK)
		rc = sqlite3_bind_int64(statement, 2, row->kind);
	if (rc == SQLITE_OK)
		rc = sqlite3_bind_int64(statement, 3, row->at_s);
	if (rc == SQLITE_OK) /* signed: an unsigned one would often take six bytes */
		rc = sqlite3_bind_int(statement, 4, (int32_t)row_sum(row));
	if (rc == SQLITE_OK)
		rc = sqlite3_bind_blob(statement, 5, row->payload, (int)row->len, SQLITE_STATIC);
	if (rc != SQLITE_OK)
		return database_errno(db, rc);
	return database_run(statement);
}

void database_row(sqlite3_stmt *statement, struct row *ret)
{
	ret->id = sqlite3_column_int64(statement, 0);
	ret->kind = (uint32_t)sqlite3_column_int64(statement, 1);
	ret->at_s = sqlite3_column_int64(statement, 2);
	ret->sum = (uint32_t)sqlite3_column_int(statement, 3);
	ret->payload = sqlite3_column_blob(statement, 4);
	ret->len = (size_t)sqlite3_column_bytes(statement, 4);
}

static int create(sqlite3 *db)
{
	char sql[96];

	(void)snprintf(sql, sizeof(sql), "PRAGMA page_size=%d; PRAGMA application_id=%d;",
		       DATABASE_PAGE, DATABASE_APPLICATION);
	return database_exec(db, sql);
}

static int configure(sqlite3 *db, bool is_new)
{
	char limit[64];
	int r;

	(void)sqlite3_extended_result_codes(db, 1);
	(void)sqlite3_db_config(db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
	(void)sqlite3_db_config(db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	if (sqlite3_db_readonly(db, "main") == 1)
		return -EACCES;
	r = database_exec(db, settings);
	if (r == 0 && is_new)
		r = create(db);
	if (r == 0)
		r = database_exec(db, "PRAGMA journal_mode=WAL");
	if (r < 0)
		return r;
	(void)snprintf(limit, sizeof(limit), "PRAGMA journal_size_limit=%d", DATABASE_LOG_MAX);
	return database_exec(db, limit);
}

int database_open(const char *path, bool is_new, sqlite3 **ret)
{
	int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | (is_new ? SQLITE_OPEN_CREATE : 0);
	sqlite3 *db = NULL;
	int rc = sqlite3_open_v2(path, &db, flags, NULL);
	int r = database_errno(db, rc);

	if (r == 0)
		r = configure(db, is_new);
	if (r < 0) {
		(void)sqlite3_close(db);
		return r;
	}
	*ret = db;
	return 0;
}

int database_version(sqlite3 *db)
{
	int64_t version = 0;
	int r = database_integer(db, "PRAGMA user_version", &version);

	if (r < 0)
		return r;
	return version > N_MIGRATIONS ? -EUCLEAN : 0;
}

static int migrate_to(sqlite3 *db, int version)
{
	char sql[48];
	int r = database_exec(db, "BEGIN IMMEDIATE");

	if (r == 0)
		r = database_exec(db, migrations[version - 1]);
	(void)snprintf(sql, sizeof(sql), "PRAGMA user_version=%d", version);
	if (r == 0)
		r = database_exec(db, sql);
	if (r == 0)
		r = database_exec(db, "COMMIT");
	if (r < 0 && !sqlite3_get_autocommit(db))
		(void)database_exec(db, "ROLLBACK");
	return r;
}

int database_migrate(sqlite3 *db)
{
	int64_t version = 0;
	int r = database_integer(db, "PRAGMA user_version", &version);

	while (r == 0 && version < N_MIGRATIONS)
		r = migrate_to(db, (int)++version);
	return r;
}

static int check(sqlite3 *db, const char *sql)
{
	sqlite3_stmt *statement;
	int r = database_prepare(db, sql, &statement);

	if (r < 0)
		return r;
	int rc = sqlite3_step(statement);
	r = database_errno(db, rc);
	if (rc == SQLITE_ROW) {
		const char *text = (const char *)sqlite3_column_text(statement, 0);

		r = text && strcmp(text, "ok") == 0 ? 0 : -EUCLEAN;
	}
	(void)sqlite3_finalize(statement);
	return r;
}

int database_check(sqlite3 *db, bool everything)
{
	int r;

	if (everything)
		return check(db, "PRAGMA quick_check(1)");
	r = check(db, "PRAGMA quick_check(identity)");
	if (r == 0)
		r = check(db, "PRAGMA quick_check(mark)");
	return r;
}

int database_accept(sqlite3 *db, int64_t max_bytes)
{
	char sql[64];

	(void)sqlite3_db_config(db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0, NULL);
	if (max_bytes == 0)
		return 0;
	(void)snprintf(sql, sizeof(sql), "PRAGMA max_page_count=%" PRId64,
		       max_bytes / DATABASE_PAGE > 0 ? max_bytes / DATABASE_PAGE : 1);
	return database_exec(db, sql);
}
