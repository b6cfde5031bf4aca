#include "gateway/record/db.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "drivers/cleanup.h"
#include "gateway/record/db_backend.h"

void db_set_error(struct db *db, const char *text)
{
	size_t len = strcspn(text ? text : "", "\r\n");

	if (len >= sizeof(db->error))
		len = sizeof(db->error) - 1;
	if (text)
		(void)memcpy(db->error, text, len);
	db->error[len] = '\0';
}

const char *db_error(const struct db *db)
{
	return db->error;
}

/* ---- schema ---- */

/* `sql` with the database's own words; malloc'd */
static char *own_words(const struct db *db, const unsigned char *sql, size_t len)
{
	static const char token[] = "ROW_ID";
	const size_t token_len = sizeof(token) - 1, word = strlen(db->backend->row_id);
	char *text = malloc(len * (word > token_len ? word : token_len) + 1);
	size_t out = 0;

	for (size_t i = 0; text && i < len;) {
		if (len - i >= token_len && memcmp(sql + i, token, token_len) == 0) {
			(void)memcpy(text + out, db->backend->row_id, word);
			out += word;
			i += token_len;
		} else {
			text[out++] = (char)sql[i++];
		}
	}
	if (text)
		text[out] = '\0';
	return text;
}

static int run_script(struct db *db, const unsigned char *sql, size_t len)
{
	_cleanup_free_ char *text = own_words(db, sql, len);

	return text ? db->backend->script(db, text) : -ENOMEM;
}

static int read_version(const struct db_row *row, void *user)
{
	*(long *)user = row->column[0] ? strtol(row->column[0], NULL, 10) : 0;
	return 0;
}

static int check_version(struct db *db)
{
	long version = 0;
	int r = db_run(db, "SELECT MAX(version) FROM record_schema", NULL, 0, read_version,
		       &version);

	if (r < 0)
		return r;
	if (version > DB_SCHEMA_VERSION)
		return -ENOTSUP;
	if (version > 0)
		return 0;
	if (db->read_only)
		return -ENOENT;
	/* with the first start only: others may have built on the views */
	r = run_script(db, record_views_sql, record_views_sql_len);
	if (r < 0)
		return r;
	return db_run(db, "INSERT INTO record_schema (version) VALUES (1)", NULL, 0, NULL, NULL);
}

static int make_schema(struct db *db)
{
	int r = db_begin(db);

	if (r == 0 && db->backend->lock)
		r = db->backend->script(db, db->backend->lock);
	if (r == 0)
		r = run_script(db, record_schema_sql, record_schema_sql_len);
	if (r == 0)
		r = check_version(db);
	if (r == 0)
		return db_commit(db);
	db_rollback(db);
	return r;
}

/* ---- opening ---- */

static int open_connection(struct db *db)
{
	int r;

	db->error[0] = '\0';
	r = db->backend->open(db);
	if (r == 0)
		r = db->read_only ? check_version(db) : make_schema(db);
	if (r < 0)
		db->backend->close(db);
	return r;
}

int db_open(const struct db_options *options, struct db **ret)
{
	static const struct db_backend *const backends[] = { &db_sqlite, &db_postgres };
	struct db *db = calloc(1, sizeof(*db));
	int r;

	assert(options->url);
	if (!db)
		return -ENOMEM;
	db->lock_fd = -1;
	db->read_only = options->read_only;
	for (size_t i = 0; i < sizeof(backends) / sizeof(backends[0]); i++) {
		if (strncmp(options->url, backends[i]->scheme, strlen(backends[i]->scheme)) == 0)
			db->backend = backends[i];
	}
	db->url = strdup(options->url);
	r = !db->url ? -ENOMEM : !db->backend ? -EINVAL : open_connection(db);
	if (r < 0) {
		free(db->url);
		free(db);
		return r;
	}
	*ret = db;
	return 0;
}

void db_close(struct db *db)
{
	if (!db)
		return;
	db_rollback(db);
	db->backend->close(db);
	free(db->url);
	free(db);
}

int db_reopen(struct db *db)
{
	db->in_transaction = false;
	db->backend->close(db);
	return open_connection(db);
}

/* ---- use ---- */

int db_begin(struct db *db)
{
	int r;

	assert(!db->in_transaction);
	r = db_run(db, "BEGIN", NULL, 0, NULL, NULL);
	db->in_transaction = r == 0;
	return r;
}

int db_commit(struct db *db)
{
	int r;

	assert(db->in_transaction);
	r = db_run(db, "COMMIT", NULL, 0, NULL, NULL);
	if (r < 0)
		db_rollback(db);
	db->in_transaction = false;
	return r;
}

void db_rollback(struct db *db)
{
	char error[DB_ERROR_MAX];

	if (!db->in_transaction)
		return;
	(void)memcpy(error, db->error, sizeof(error)); /* the reason, not what follows from it */
	(void)db_run(db, "ROLLBACK", NULL, 0, NULL, NULL);
	(void)memcpy(db->error, error, sizeof(error));
	db->in_transaction = false;
}

int db_run(struct db *db, const char *sql, const struct db_value *values, size_t n, db_row_fn fn,
	   void *user)
{
	assert(n <= DB_VALUES_MAX);
	if (!db->connection)
		return -ENOTCONN;
	return db->backend->run(db, sql, values, n, fn, user);
}
