#include "gateway/store/meta.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <sodium.h>

#include "protocols/bytes/cursor.h"
#include "protocols/bytes/writer.h"

int identity_random(struct store_identity *ret)
{
	struct store_identity new = { 0 };
	uint8_t name[8];

	if (sodium_init() < 0)
		return -EIO;
	randombytes_buf(&new.epoch, sizeof(new.epoch));
	randombytes_buf(new.digest_key, sizeof(new.digest_key));
	randombytes_buf(name, sizeof(name));
	(void)memcpy(new.hub, "hub-", 4);
	(void)sodium_bin2hex(new.hub + 4, sizeof(new.hub) - 4, name, sizeof(name));
	*ret = new;
	return 0;
}

bool identity_decode(const struct row *row, struct store_identity *ret)
{
	struct store_identity id = { 0 };
	struct cursor c = cursor_of(row->payload, row->len);
	const uint8_t *key, *hub;
	size_t n;

	if (row_table(row) != ROW_IDENTITY || !row_is_sound(row))
		return false;
	id.epoch = cursor_le64(&c);
	key = cursor_bytes(&c, sizeof(id.digest_key));
	n = cursor_left(&c);
	hub = cursor_bytes(&c, n);
	if (!cursor_ok(&c) || n == 0 || n >= sizeof(id.hub))
		return false;
	(void)memcpy(id.digest_key, key, sizeof(id.digest_key));
	(void)memcpy(id.hub, hub, n);
	*ret = id;
	return true;
}

/* 1 = found, 0 = there is none or it is damaged */
static int read_copy(sqlite3 *db, const char *sql, struct store_identity *ret)
{
	sqlite3_stmt *statement;
	struct row row;
	int r = database_prepare(db, sql, &statement);

	if (r < 0)
		return r;
	int rc = sqlite3_step(statement);
	r = database_errno(db, rc);
	if (rc == SQLITE_ROW) {
		database_row(statement, &row);
		r = identity_decode(&row, ret) ? 1 : 0;
	}
	(void)sqlite3_finalize(statement);
	return r;
}

int identity_read(sqlite3 *db, struct store_identity *ret)
{
	int r = read_copy(db, "SELECT * FROM identity", ret);

	if (r <= 0)
		r = read_copy(db, "SELECT * FROM identity_copy", ret);
	if (r == 0)
		return -EUCLEAN;
	return r < 0 ? r : 0;
}

static int put(sqlite3 *db, const char *sql, const struct row *row)
{
	sqlite3_stmt *statement;
	int r = database_prepare(db, sql, &statement);

	if (r < 0)
		return r;
	r = database_put(statement, row);
	(void)sqlite3_finalize(statement);
	return r;
}

int identity_write(sqlite3 *db, const struct store_identity *identity)
{
	uint8_t payload[8 + sizeof(identity->digest_key) + sizeof(identity->hub)];
	struct writer w = writer_of(payload, sizeof(payload));
	struct row row = { .id = 1, .kind = row_kind(ROW_IDENTITY, 0, false), .payload = payload };
	int r;

	writer_le64(&w, identity->epoch);
	writer_bytes(&w, identity->digest_key, sizeof(identity->digest_key));
	writer_bytes(&w, identity->hub, strlen(identity->hub));
	row.len = w.len;
	r = put(db, "REPLACE INTO identity VALUES(?1,?2,?3,?4,?5)", &row);
	if (r == 0)
		r = put(db, "REPLACE INTO identity_copy VALUES(?1,?2,?3,?4,?5)", &row);
	return r;
}

bool mark_decode(const struct row *row, struct mark *ret)
{
	struct cursor c = cursor_of(row->payload, row->len);
	struct mark mark;

	if (row_table(row) != ROW_MARK || !row_is_sound(row))
		return false;
	mark.a = cursor_le64(&c);
	mark.b = cursor_le64(&c);
	if (!cursor_at_end(&c))
		return false;
	*ret = mark;
	return true;
}

int mark_read(sqlite3 *db, int64_t id, struct mark *ret)
{
	sqlite3_stmt *statement;
	struct mark mark = { 0, 0 };
	struct row row;
	int r = database_prepare(db, "SELECT * FROM mark WHERE id=?1", &statement);

	if (r < 0)
		return r;
	(void)sqlite3_bind_int64(statement, 1, id);
	int rc = sqlite3_step(statement);
	r = database_errno(db, rc);
	if (rc == SQLITE_ROW) {
		database_row(statement, &row);
		r = mark_decode(&row, &mark) ? 0 : -EUCLEAN;
	}
	(void)sqlite3_finalize(statement);
	if (r == 0)
		*ret = mark;
	return r;
}

int mark_write(sqlite3 *db, int64_t id, const struct mark *mark)
{
	uint8_t payload[16];
	struct writer w = writer_of(payload, sizeof(payload));
	struct row row = { .id = id, .kind = row_kind(ROW_MARK, 0, false), .payload = payload };

	writer_le64(&w, mark->a);
	writer_le64(&w, mark->b);
	row.len = w.len;
	return put(db, "REPLACE INTO mark VALUES(?1,?2,?3,?4,?5)", &row);
}
