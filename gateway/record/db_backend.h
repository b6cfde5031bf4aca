/* Inside db: what a kind of database has to do. The meaning is that of db.h. */
#pragma once

#include "gateway/record/db.h"

#define DB_ERROR_MAX      160
#define DB_STATEMENTS_MAX 64
#define DB_SCHEMA_VERSION 1

struct db_backend {
	const char *scheme; /* beginning of the URL */
	const char *row_id; /* stands for ROW_ID in the schema */
	/* before the schema is made, inside its transaction: keeps others out. May be NULL. */
	const char *lock;
	int (*open)(struct db *db);
	void (*close)(struct db *db);
	int (*script)(struct db *db, const char *sql); /* several statements */
	int (*run)(struct db *db, const char *sql, const struct db_value *values, size_t n,
		   db_row_fn fn, void *user);
};

struct db {
	const struct db_backend *backend;
	char *url;
	bool read_only;
	void *connection;
	int lock_fd;
	bool in_transaction;
	const char *keys[DB_STATEMENTS_MAX]; /* prepared statements: the text's address */
	void *statements[DB_STATEMENTS_MAX];
	size_t n_statements;
	char error[DB_ERROR_MAX];
};

extern const struct db_backend db_sqlite, db_postgres;

/* keeps the first line, without what the database adds about values */
void db_set_error(struct db *db, const char *text);

/* schema.sql and views.sql, made by the build; not terminated */
extern const unsigned char record_schema_sql[], record_views_sql[];
extern const size_t record_schema_sql_len, record_views_sql_len;
