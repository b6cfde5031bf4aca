/*
 * The database behind the record service: SQLite or PostgreSQL, behind one small interface. One
 * connection, used by one thread. SQL is written once, in what both understand; parameters are $1,
 * $2... in the order of their first use.
 *
 * Errors of all functions, whatever the database calls them:
 *   -ENOTCONN  the server is not there, or went away: db_reopen() and do the transaction again
 *   -EAGAIN    another worker was in the way: the transaction again
 *   -ENOSPC    disk or quota is full: later
 *   -EBADMSG   the database cannot take these values: the same again would end the same
 *   -EUCLEAN   the file is damaged    -EACCES  it may not be used    -EBUSY  somebody else has it
 *   -ENOTSUP   made by a later version    -ENOENT  to be read, and nothing is there
 *   -EIO  anything else    -ENOMEM
 * After an error inside a transaction only db_rollback() is allowed.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DB_COLUMNS_MAX 16
#define DB_VALUES_MAX  64

enum db_type {
	DB_NULL,
	DB_INTEGER,
	DB_TEXT, /* UTF-8, terminated */
	DB_BYTES,
};

struct db_value {
	enum db_type type;
	int64_t integer;
	const void *data; /* borrowed for the call */
	size_t len;
};

/* what a query gives: text, NULL for NULL; valid during the callback */
struct db_row {
	size_t n;
	const char *column[DB_COLUMNS_MAX];
};

/* 0, or a negative error that ends the query and is returned by it */
typedef int (*db_row_fn)(const struct db_row *row, void *user);

struct db;

struct db_options {
	/* "sqlite:/PATH/FILE", or what libpq takes: "postgresql://..." */
	const char *url;
	bool read_only; /* for reports: no schema is made; one more reader does no harm */
};

/* Opens, makes or checks the schema. Blocks; PostgreSQL up to 10 s. */
int db_open(const struct db_options *options, struct db **ret);
void db_close(struct db *db); /* NULL is fine; a transaction is rolled back */
/* after -ENOTCONN; the same errors as db_open() */
int db_reopen(struct db *db);

int db_begin(struct db *db);
int db_commit(struct db *db); /* durable when it returns 0 */
void db_rollback(struct db *db);

/* One statement. `sql` is a constant: prepared once, by its address. fn may be NULL. */
int db_run(struct db *db, const char *sql, const struct db_value *values, size_t n, db_row_fn fn,
	   void *user);
/* what the database said last, for the log: never values, at most one line */
const char *db_error(const struct db *db);

static inline struct db_value db_null(void)
{
	return (struct db_value){ .type = DB_NULL };
}

static inline struct db_value db_integer(int64_t value)
{
	return (struct db_value){ .type = DB_INTEGER, .integer = value };
}

/* NULL is NULL */
static inline struct db_value db_text(const char *text)
{
	return (struct db_value){ .type = text ? DB_TEXT : DB_NULL, .data = text };
}

static inline struct db_value db_bytes(const void *data, size_t len)
{
	return (struct db_value){ .type = DB_BYTES, .data = data, .len = len };
}
