/*
 * PostgreSQL through libpq. Durable as the server is: synchronous_commit is asked for, so that a
 * receipt is never sent for what a crash of the server may take back.
 */
#include <errno.h>
#include <inttypes.h>
#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "drivers/cleanup.h"
#include "gateway/record/db_backend.h"

#define NUMBER_MAX 24

/* one byte-long constant of its own, so that a statement can be told by its address */
#define NAME_MAX_LEN 16

/* PostgreSQL's manual, appendix A: the class is the first two characters */
static int error_of_state(const char *state)
{
	static const struct {
		const char *prefix;
		int error;
	} table[] = {
		{ "08", -ENOTCONN },   { "57P", -ENOTCONN },  { "40", -EAGAIN },
		{ "55P03", -EAGAIN },  { "53100", -ENOSPC },  { "53", -EAGAIN },
		{ "22", -EBADMSG },    { "23", -EBADMSG },    { "54", -EBADMSG },
		{ "42501", -EACCES },  { "28", -EACCES },     { "3D", -EACCES },
		{ "XX001", -EUCLEAN }, { "XX002", -EUCLEAN },
	};

	for (size_t i = 0; state && i < sizeof(table) / sizeof(table[0]); i++) {
		if (strncmp(state, table[i].prefix, strlen(table[i].prefix)) == 0)
			return table[i].error;
	}
	return -EIO;
}

/* The server's message may quote a value; its state and the kind of constraint do not. */
static int error_of(struct db *db, const PGresult *result)
{
	const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
	char text[DB_ERROR_MAX];

	if (PQstatus(db->connection) != CONNECTION_OK) {
		db_set_error(db, "the connection to the server is lost");
		return -ENOTCONN;
	}
	(void)snprintf(text, sizeof(text), "the server refuses with state %s",
		       state ? state : "unknown");
	db_set_error(db, text);
	return error_of_state(state);
}

static void cleanup_result(PGresult **result)
{
	PQclear(*result);
}

static int finish(struct db *db, const PGresult *result)
{
	ExecStatusType status = PQresultStatus(result);

	return status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK ? 0 : error_of(db, result);
}

static int script_postgres(struct db *db, const char *sql)
{
	_cleanup_(cleanup_result) PGresult *result = PQexec(db->connection, sql);

	return finish(db, result);
}

/* "relation exists already, skipping": not worth a line at every start */
static void on_notice(void *user, const char *message)
{
	(void)user;
	(void)message;
}

static int open_postgres(struct db *db)
{
	static const char *const keys[] = {
		"dbname",           "connect_timeout",           "client_encoding",
		"application_name", "fallback_application_name", NULL
	};
	const char *const values[] = { db->url, "10", "UTF8", NULL, "wellgate-record", NULL };
	PGconn *connection = PQconnectdbParams(keys, values, 1);
	int r;

	db->connection = connection;
	if (PQstatus(connection) != CONNECTION_OK) {
		/* libpq names host and user, so only the kind is kept */
		db_set_error(db, "the server cannot be reached or does not let us in");
		return -ENOTCONN;
	}
	(void)PQsetNoticeProcessor(connection, on_notice, NULL);
	r = script_postgres(db, "SET synchronous_commit = on");
	if (r == 0 && db->read_only)
		r = script_postgres(db, "SET default_transaction_read_only = on");
	return r;
}

static void close_postgres(struct db *db)
{
	db->n_statements = 0;
	PQfinish(db->connection);
	db->connection = NULL;
}

static int prepare(struct db *db, const char *sql, char name[NAME_MAX_LEN])
{
	_cleanup_(cleanup_result) PGresult *result = NULL;
	size_t i = 0;
	int r;

	while (i < db->n_statements && db->keys[i] != sql)
		i++;
	(void)snprintf(name, NAME_MAX_LEN, "s%zu", i);
	if (i < db->n_statements)
		return 0;
	if (i == DB_STATEMENTS_MAX)
		return -ENOMEM;
	result = PQprepare(db->connection, name, sql, 0, NULL);
	r = finish(db, result);
	if (r == 0)
		db->keys[db->n_statements++] = sql;
	return r;
}

struct parameters {
	const char *values[DB_VALUES_MAX];
	int lengths[DB_VALUES_MAX], formats[DB_VALUES_MAX];
	char numbers[DB_VALUES_MAX][NUMBER_MAX];
};

static void set_parameter(struct parameters *p, size_t i, const struct db_value *v)
{
	p->values[i] = NULL;
	p->lengths[i] = p->formats[i] = 0;
	switch (v->type) {
	case DB_INTEGER:
		(void)snprintf(p->numbers[i], NUMBER_MAX, "%" PRId64, v->integer);
		p->values[i] = p->numbers[i];
		break;
	case DB_TEXT:
		p->values[i] = v->data;
		break;
	case DB_BYTES:
		p->values[i] = v->len > 0 ? v->data : "";
		p->lengths[i] = (int)v->len;
		p->formats[i] = 1;
		break;
	case DB_NULL:
	default:
		break;
	}
}

static int give_rows(const PGresult *result, db_row_fn fn, void *user)
{
	struct db_row row = { .n = (size_t)PQnfields(result) };
	int r = row.n > DB_COLUMNS_MAX ? -EIO : 0;

	for (int i = 0; r == 0 && i < PQntuples(result); i++) {
		for (size_t c = 0; c < row.n; c++)
			row.column[c] = PQgetisnull(result, i, (int)c)
						? NULL
						: PQgetvalue(result, i, (int)c);
		r = fn(&row, user);
	}
	return r;
}

static int run_postgres(struct db *db, const char *sql, const struct db_value *values, size_t n,
			db_row_fn fn, void *user)
{
	_cleanup_(cleanup_result) PGresult *result = NULL;
	struct parameters p;
	char name[NAME_MAX_LEN];
	int r = prepare(db, sql, name);

	if (r < 0)
		return r;
	for (size_t i = 0; i < n; i++)
		set_parameter(&p, i, &values[i]);
	result = PQexecPrepared(db->connection, name, (int)n, p.values, p.lengths, p.formats, 0);
	r = finish(db, result);
	return r == 0 && fn ? give_rows(result, fn, user) : r;
}

const struct db_backend db_postgres = {
	.scheme = "postgres",
	.row_id = "BIGINT GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY",
	.lock = "SELECT pg_advisory_xact_lock(87263415)",
	.open = open_postgres,
	.close = close_postgres,
	.script = script_postgres,
	.run = run_postgres,
};
