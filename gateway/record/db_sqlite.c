/*
 * SQLite: one file. Written by one process only, which a lock file sees to: SQLite 3.40 has a race
 * between two connections that write or checkpoint at one time. Readers are welcome.
 */
#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "drivers/cleanup.h"
#include "gateway/record/db_backend.h"

#define BUSY_MS 10000

static int error_of(struct db *db, int code)
{
	sqlite3 *sqlite = db->connection;

	db_set_error(db, sqlite ? sqlite3_errstr(sqlite3_extended_errcode(sqlite))
				: sqlite3_errstr(code));
	switch (code & 0xff) {
	case SQLITE_FULL:
		return -ENOSPC;
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return -EAGAIN;
	case SQLITE_CONSTRAINT:
	case SQLITE_TOOBIG:
	case SQLITE_MISMATCH:
	case SQLITE_RANGE:
		return -EBADMSG;
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
		return -EUCLEAN;
	case SQLITE_READONLY:
	case SQLITE_PERM:
	case SQLITE_AUTH:
	case SQLITE_CANTOPEN:
		return -EACCES;
	case SQLITE_NOMEM:
		return -ENOMEM;
	default:
		return -EIO;
	}
}

static const char *path_of(const struct db *db)
{
	return db->url + strlen(db_sqlite.scheme);
}

static int take_lock(struct db *db)
{
	_cleanup_free_ char *name = NULL;
	_cleanup_close_ int fd = -1;

	if (asprintf(&name, "%s.lock", path_of(db)) < 0) {
		name = NULL;
		return -ENOMEM;
	}
	fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	if (flock(fd, LOCK_EX | LOCK_NB) < 0)
		return errno == EWOULDBLOCK ? -EBUSY : -errno;
	db->lock_fd = TAKE_FD(fd);
	return 0;
}

static int script_sqlite(struct db *db, const char *sql)
{
	int code = sqlite3_exec(db->connection, sql, NULL, NULL, NULL);

	return code == SQLITE_OK ? 0 : error_of(db, code);
}

static int open_sqlite(struct db *db)
{
	const mode_t mask = umask(077);
	sqlite3 *sqlite = NULL;
	int flags =
		db->read_only ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE;
	int code, r = db->read_only ? 0 : take_lock(db);

	if (r < 0) {
		(void)umask(mask);
		return r;
	}
	code = sqlite3_open_v2(path_of(db), &sqlite, flags | SQLITE_OPEN_NOMUTEX, NULL);
	(void)umask(mask);
	db->connection = sqlite;
	if (code != SQLITE_OK)
		return error_of(db, code);
	(void)sqlite3_extended_result_codes(sqlite, 1);
	(void)sqlite3_busy_timeout(sqlite, BUSY_MS);
	return script_sqlite(db, db->read_only ? "PRAGMA query_only=ON"
					       : "PRAGMA journal_mode=WAL;"
						 "PRAGMA synchronous=FULL;"
						 "PRAGMA foreign_keys=ON");
}

static void close_sqlite(struct db *db)
{
	for (size_t i = 0; i < db->n_statements; i++)
		(void)sqlite3_finalize(db->statements[i]);
	db->n_statements = 0;
	(void)sqlite3_close(db->connection);
	db->connection = NULL;
	if (db->lock_fd >= 0)
		(void)close(db->lock_fd);
	db->lock_fd = -1;
}

static int prepare(struct db *db, const char *sql, sqlite3_stmt **ret)
{
	sqlite3_stmt *statement = NULL;
	int code;

	for (size_t i = 0; i < db->n_statements; i++) {
		if (db->keys[i] == sql) {
			*ret = db->statements[i];
			return 0;
		}
	}
	if (db->n_statements == DB_STATEMENTS_MAX)
		return -ENOMEM;
	code = sqlite3_prepare_v3(db->connection, sql, -1, SQLITE_PREPARE_PERSISTENT, &statement,
				  NULL);
	if (code != SQLITE_OK)
		return error_of(db, code);
	db->keys[db->n_statements] = sql;
	db->statements[db->n_statements++] = statement;
	*ret = statement;
	return 0;
}

static int bind(sqlite3_stmt *statement, int index, const struct db_value *v)
{
	switch (v->type) {
	case DB_INTEGER:
		return sqlite3_bind_int64(statement, index, v->integer);
	case DB_TEXT:
		return sqlite3_bind_text(statement, index, v->data, -1, SQLITE_STATIC);
	case DB_BYTES:
		return sqlite3_bind_blob64(statement, index, v->len > 0 ? v->data : "", v->len,
					   SQLITE_STATIC);
	case DB_NULL:
	default:
		return sqlite3_bind_null(statement, index);
	}
}

static int give_row(sqlite3_stmt *statement, db_row_fn fn, void *user)
{
	struct db_row row = { .n = (size_t)sqlite3_column_count(statement) };

	if (row.n > DB_COLUMNS_MAX)
		return -EIO;
	for (size_t i = 0; i < row.n; i++)
		row.column[i] = (const char *)sqlite3_column_text(statement, (int)i);
	return fn(&row, user);
}

static int run_sqlite(struct db *db, const char *sql, const struct db_value *values, size_t n,
		      db_row_fn fn, void *user)
{
	sqlite3_stmt *statement = NULL;
	int code = SQLITE_OK, r = prepare(db, sql, &statement);

	if (r < 0)
		return r;
	for (size_t i = 0; i < n && code == SQLITE_OK; i++)
		code = bind(statement, (int)i + 1, &values[i]);
	while (r == 0 && code == SQLITE_OK) {
		code = sqlite3_step(statement);
		if (code == SQLITE_ROW) {
			r = fn ? give_row(statement, fn, user) : 0;
			code = SQLITE_OK;
		}
	}
	if (r == 0 && code != SQLITE_DONE)
		r = error_of(db, code);
	(void)sqlite3_reset(statement);
	(void)sqlite3_clear_bindings(statement);
	return r;
}

const struct db_backend db_sqlite = {
	.scheme = "sqlite:",
	.row_id = "INTEGER PRIMARY KEY",
	.open = open_sqlite,
	.close = close_sqlite,
	.script = script_sqlite,
	.run = run_sqlite,
};
