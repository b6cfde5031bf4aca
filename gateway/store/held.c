/* What is stored and not sent: held readings and the journal. */
#include <assert.h>
#include <errno.h>
#include <string.h>

#include "gateway/store/database.h"
#include "gateway/store/inside.h"
#include "gateway/store/meta.h"

static int64_t received_s(const Wellgate__V1__Reading *reading)
{
	return reading->has_received_at_ms ? reading->received_at_ms / 1000 : 0;
}

/* Writes the row of a held reading, which has no sequence: 0, or -errno as inside_append(). */
static int put(struct store *s, uint64_t number, const Wellgate__V1__Reading *reading)
{
	Wellgate__V1__Reading copy = *reading;
	struct row row = { .id = (int64_t)number };
	int r = inside_kind(reading, ROW_HELD, &row.kind);

	copy.has_sequence = 0;
	if (r == 0)
		r = inside_pack(s, &copy.base, copy.subject, NULL, &row);
	if (r < 0)
		return r;
	row.at_s = received_s(reading);
	r = inside_begin(s);
	if (r < 0)
		return r;
	s->in_transaction = true;
	return database_put(s->statements[S_HELD_PUT], &row);
}

int held_add(struct store *s, const Wellgate__V1__Reading *reading, struct seen_entry *seen)
{
	uint64_t number = s->held.last + 1;
	int r = put(s, number, reading);

	if (r < 0)
		return r;
	s->held.last = number;
	s->held.n++;
	seen->sequence = (uint64_t) - (int64_t)number;
	return seen_put(s->seen, seen);
}

int inside_lend(struct store *s, int statement, uint64_t number, struct row *ret)
{
	sqlite3_stmt *find = s->statements[statement];
	struct row row = { 0 };
	int rc, r;

	if (number > INT64_MAX)
		return 0;
	(void)sqlite3_bind_int64(find, 1, (int64_t)number);
	rc = sqlite3_step(find);
	r = rc == SQLITE_ROW ? 1 : inside_judge(s, database_errno(s->place.db, rc));
	if (r == 1) {
		database_row(find, &row);
		inside_copy(s, &row);
		*ret = row;
	}
	(void)sqlite3_reset(find);
	return r;
}

/* Counted once, also where it is met again before the commit; what finds no room is met again. */
static void pass_damaged(struct store *s, int statement, uint64_t number)
{
	if (statement != S_HELD_NEXT) {
		s->damaged++;
		return;
	}
	for (size_t i = 0; i < s->n_spoiled; i++) {
		if (s->spoiled[i] == number)
			return;
	}
	if (s->n_spoiled == SPOILED_MAX)
		return;
	s->damaged++;
	s->spoiled[s->n_spoiled++] = number;
}

/* The next row that can be read: 1, 0 or -errno. */
static int next(struct store *s, int statement, uint64_t after, struct store_row *ret)
{
	struct row row = { 0 };
	int r;

	if (s->failed)
		return -EIO;
	for (;; after = (uint64_t)row.id) {
		r = inside_lend(s, statement, after, &row);
		if (r <= 0)
			return r;
		r = row_is_sound(&row) ? inside_open(s, &row, ret) : -EBADMSG;
		if (r == 1)
			return 1;
		if (r < 0)
			pass_damaged(s, statement, (uint64_t)row.id);
	}
}

int store_next_held(struct store *s, uint64_t after, struct store_row *ret)
{
	return next(s, S_HELD_NEXT, after, ret);
}

/* 1 = there is such a held row */
static int is_held(struct store *s, uint64_t number)
{
	struct row row;
	int r;

	if (s->failed)
		return -EIO;
	if (number == 0)
		return 0;
	r = inside_lend(s, S_HELD_NEXT, number - 1, &row);
	return r < 0 ? r : r == 1 && (uint64_t)row.id == number;
}

int held_delete(struct store *s, uint64_t number)
{
	sqlite3_stmt *statement = s->statements[S_HELD_DELETE];
	int r;

	(void)sqlite3_bind_int64(statement, 1, (int64_t)number);
	r = database_run(statement);
	if (r == 0)
		s->held.n -= (uint64_t)sqlite3_changes(s->place.db);
	return r;
}

int held_let_go(struct store *s)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < s->n_spoiled; i++) {
		r = seen_forget(s->seen, (uint64_t) - (int64_t)s->spoiled[i]);
		if (r == 0)
			r = held_delete(s, s->spoiled[i]);
	}
	return r;
}

int store_release(struct store *s, uint64_t held, Wellgate__V1__Reading *reading)
{
	struct seen_entry seen;
	int r = is_held(s, held);

	if (r <= 0)
		return r < 0 ? r : -ENOENT;
	if (seen_entry_of(reading, &seen) < 0)
		return -EBADMSG;
	r = inside_append(s, reading, true);
	if (inside_is_refusal(r))
		return r;
	seen.sequence = reading->sequence;
	if (r == 0)
		r = seen_add(s->seen, &seen);
	if (r == 0)
		r = seen_put(s->seen, &seen);
	if (r == 0)
		r = held_delete(s, held);
	return r < 0 ? inside_undo(s, r) : 0;
}

int store_replace_held(struct store *s, uint64_t held, const Wellgate__V1__Reading *reading)
{
	struct seen_entry seen;
	int r = is_held(s, held);

	if (r <= 0)
		return r < 0 ? r : -ENOENT;
	if (seen_entry_of(reading, &seen) < 0)
		return -EBADMSG;
	r = put(s, held, reading);
	if (r == 0) {
		seen.sequence = (uint64_t) - (int64_t)held;
		r = seen_put(s->seen, &seen);
	}
	return r == 0 || inside_is_refusal(r) ? r : inside_undo(s, r);
}

int store_discard(struct store *s, uint64_t held)
{
	int r = is_held(s, held);

	if (r <= 0)
		return r < 0 ? r : -ENOENT;
	r = inside_begin(s);
	if (r < 0)
		return r;
	s->in_transaction = true;
	r = seen_keep(s->seen, (uint64_t) - (int64_t)held);
	if (r == 0)
		r = held_delete(s, held);
	return r < 0 ? inside_undo(s, r) : 0;
}

static bool is_reading(const struct store_row *row, const uint8_t id[16])
{
	Wellgate__V1__Reading *reading;
	bool is = false;

	if (!memmem(row->payload, row->len, id, 16))
		return false;
	reading = wellgate__v1__reading__unpack(NULL, row->len, row->payload);
	if (!reading)
		return false;
	is = reading->has_reading_id && reading->reading_id.len == 16 &&
	     memcmp(reading->reading_id.data, id, 16) == 0;
	wellgate__v1__reading__free_unpacked(reading, NULL);
	return is;
}

static int find_held(struct store *s, const uint8_t id[16], struct store_found *ret)
{
	struct store_row row = { 0 };
	int r;

	while ((r = store_next_held(s, row.sequence, &row)) == 1) {
		if (is_reading(&row, id)) {
			*ret = (struct store_found){ .held = true, .row = row };
			return 1;
		}
	}
	return r;
}

/* From the newest row back. What is lent stays good: it is a copy. */
static int find_sent(struct store *s, const uint8_t id[16], struct store_found *ret)
{
	sqlite3_stmt *back = s->statements[S_BACK];
	struct store_row found;
	struct row row;
	int rc, r = 0;

	while (r == 0 && (rc = sqlite3_step(back)) != SQLITE_DONE) {
		if (rc != SQLITE_ROW) {
			r = inside_judge(s, database_errno(s->place.db, rc));
			break;
		}
		database_row(back, &row);
		inside_copy(s, &row);
		if (!row_is_sound(&row) || inside_open(s, &row, &found) != 1)
			continue;
		r = is_reading(&found, id);
	}
	if (r == 1)
		*ret = (struct store_found){ .row = found };
	(void)sqlite3_reset(back);
	return r;
}

int store_find(struct store *s, const uint8_t reading_id[16], struct store_found *ret)
{
	int r;

	if (s->failed)
		return -EIO;
	r = find_held(s, reading_id, ret);
	return r != 0 ? r : find_sent(s, reading_id, ret);
}

/* ---- journal ---- */

int store_add_entry(struct store *s, Wellgate__V1__JournalEntry *entry, const char *subject)
{
	const Wellgate__V1__JournalEntry was = *entry;
	struct row row = { .id = (int64_t)s->journal.last + 1,
			   .kind = row_kind(ROW_JOURNAL, 0, false) };
	int r;

	if (s->failed)
		return -EIO;
	entry->has_number = 1;
	entry->number = (uint64_t)row.id;
	r = inside_pack(s, &entry->base, subject, NULL, &row);
	if (r < 0)
		*entry = was;
	if (inside_is_refusal(r))
		return r;
	if (r < 0)
		return inside_undo(s, r);
	row.at_s = entry->has_at_ms ? entry->at_ms / 1000 : 0;
	r = inside_begin(s);
	if (r < 0)
		return r;
	s->in_transaction = true;
	r = database_put(s->statements[S_ENTRY_ADD], &row);
	if (r < 0)
		return inside_undo(s, r);
	s->journal.last = (uint64_t)row.id;
	return 0;
}

int store_next_entry(struct store *s, uint64_t after, struct store_row *ret)
{
	return next(s, S_ENTRY_NEXT, after, ret);
}

/* ---- start and end ---- */

/* Numbers of `held` are never given out again, also when the newest row went: a person may have
 * one in front of them. */
int held_write_mark(struct store *s)
{
	struct mark mark = { 0, s->held.last };

	if (s->held.last == s->held.last_committed && s->held.n == s->held.n_committed)
		return 0;
	return mark_write(s->place.db, MARK_HELD, &mark);
}

int held_load(struct store *s)
{
	struct mark mark = { 0, 0 };
	int64_t last = 0, n = 0, entry = 0;
	int r = mark_read(s->place.db, MARK_HELD, &mark);

	if (r == 0)
		r = database_integer(s->place.db, "SELECT max(id) FROM held", &last);
	if (r == 0)
		r = database_integer(s->place.db, "SELECT count(*) FROM held", &n);
	if (r == 0)
		r = database_integer(s->place.db, "SELECT max(id) FROM journal", &entry);
	if (r < 0)
		return r;
	s->held.last = (uint64_t)last > mark.b ? (uint64_t)last : mark.b;
	s->held.n = (uint64_t)n;
	s->held.last_committed = s->held.last;
	s->held.n_committed = s->held.n;
	s->journal.last = s->journal.last_committed = (uint64_t)entry;
	return 0;
}
