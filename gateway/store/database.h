/*
 * What the store asks of SQLite: how a database file of ours is opened, what is in it, and what
 * its errors mean. Nothing here knows about readings.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <sqlite3.h>

#include "gateway/store/row.h"

#define DATABASE_APPLICATION 0x57656c67 /* "Welg", at offset 68 of the file */
#define DATABASE_PAGE        2048       /* why: README.md */
#define DATABASE_LOG_MAX     (4 << 20)  /* bytes of log that call for a checkpoint */

/* 0 or -errno for a result code of SQLite; db may be NULL */
int database_errno(sqlite3 *db, int rc);

/* Opens with every setting in place; nothing is changed in a database that exists, and closing
 * leaves its log alone until database_accept(). `is_new` makes the file. */
int database_open(const char *path, bool is_new, sqlite3 **ret);
/* -EUCLEAN: its schema is newer than this program */
int database_version(sqlite3 *db);
/* Steps the schema up to ours. */
int database_migrate(sqlite3 *db);
/* Structure check: of everything, or only of the small tables (a big file takes too long at
 * start; rows are checked again when they are read). -EUCLEAN: damaged. */
int database_check(sqlite3 *db, bool everything);
/* It is ours and sound: from now on closing tidies the log away. max_bytes 0 = no quota. */
int database_accept(sqlite3 *db, int64_t max_bytes);

int database_exec(sqlite3 *db, const char *sql);
int database_prepare(sqlite3 *db, const char *sql, sqlite3_stmt **ret);
/* Steps a statement that returns nothing, and resets it. */
int database_run(sqlite3_stmt *statement);
/* First column of the first row; 0 where there is none or it is NULL. */
int database_integer(sqlite3 *db, const char *sql, int64_t *ret);

/* Binds a row to ?1..?5, its checksum made here, and runs the statement. */
int database_put(sqlite3_stmt *statement, const struct row *row);
/* The five columns of the current row; payload borrowed until the statement moves. */
void database_row(sqlite3_stmt *statement, struct row *ret);
