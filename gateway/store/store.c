#include "gateway/store/store.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/store/database.h"
#include "gateway/store/inside.h"
#include "gateway/store/meta.h"
#include "gateway/store/row.h"
#include "gateway/store/seal.h"
#include "protocols/bytes/cursor.h"
#include "protocols/bytes/writer.h"
#include "protocols/messages/codes.h"

#define LOG_HARD_MAX \
	(INT64_C(4) * DATABASE_LOG_MAX) /* checkpoints fail: stop before the disk is full */
#define LOG_IDLE     INT64_C(262144)    /* below this an idle checkpoint is not worth its wear */
#define DELETE_BATCH 256

/* Each lane has numbers of its own among the parked rows: an even one, an odd one, far away. */
static const int64_t parked_base[LANE_END] = {
	[LANE_READINGS] = 0,
	[LANE_RESULTS] = 1,
	[LANE_CORRECTIONS] = INT64_C(1) << 62,
};

#define OLDEST(table)                                               \
	"SELECT id, at FROM " table " t WHERE id > ?3 AND id <= ?1" \
	" AND NOT EXISTS (SELECT 1 FROM parked WHERE id = t.id * 2 + ?2) ORDER BY id"
#define DELETE(table)                          \
	"DELETE FROM " table " WHERE id <= ?1" \
	" AND NOT EXISTS (SELECT 1 FROM parked WHERE id = " table ".id * 2 + ?2)"
#define NEXT(table)  "SELECT * FROM " table " WHERE id > ?1 AND id <= ?2 ORDER BY id"
#define ADD(table)   "INSERT INTO " table " VALUES(?1,?2,?3,?4,?5)"
#define FIRST(table) "SELECT id, at FROM " table " WHERE id >= ?1 AND at >= ?2 ORDER BY id LIMIT 1"

static const char *const sql[S_END] = {
	[S_BEGIN] = "BEGIN IMMEDIATE",
	[S_COMMIT] = "COMMIT",
	[S_ROLLBACK] = "ROLLBACK",
	[S_PARK] = "REPLACE INTO parked VALUES(?1,?2,?3,?4,?5)",
	[S_IS_PARKED] = "SELECT 1 FROM parked WHERE id=?1",
	[S_HELD_NEXT] = "SELECT * FROM held WHERE id > ?1 ORDER BY id LIMIT 1",
	[S_HELD_PUT] = "REPLACE INTO held VALUES(?1,?2,?3,?4,?5)",
	[S_HELD_DELETE] = "DELETE FROM held WHERE id=?1",
	[S_ENTRY_NEXT] = "SELECT * FROM journal WHERE id > ?1 ORDER BY id LIMIT 1",
	[S_ENTRY_ADD] = ADD("journal"),
	[S_BACK] = "SELECT * FROM reading ORDER BY id DESC",
	[S_ADD + LANE_READINGS] = ADD("reading"),
	[S_ADD + LANE_RESULTS] = ADD("result"),
	[S_ADD + LANE_CORRECTIONS] = ADD("correction"),
	[S_NEXT + LANE_READINGS] = NEXT("reading"),
	[S_NEXT + LANE_RESULTS] = NEXT("result"),
	[S_NEXT + LANE_CORRECTIONS] = NEXT("correction"),
	[S_OLDEST + LANE_READINGS] = OLDEST("reading"),
	[S_OLDEST + LANE_RESULTS] = OLDEST("result"),
	[S_OLDEST + LANE_CORRECTIONS] = OLDEST("correction"),
	[S_DELETE + LANE_READINGS] = DELETE("reading"),
	[S_DELETE + LANE_RESULTS] = DELETE("result"),
	[S_DELETE + LANE_CORRECTIONS] = DELETE("correction"),
	[S_FIRST_AT + LANE_READINGS] = FIRST("reading"),
	[S_FIRST_AT + LANE_RESULTS] = FIRST("result"),
	[S_FIRST_AT + LANE_CORRECTIONS] = FIRST("correction"),
};

/* After this nothing is trusted until the file was closed, opened and checked. */
int inside_judge(struct store *s, int r)
{
	if (r == -EUCLEAN)
		place_ask_check(&s->place);
	if (r == -EIO || r == -EUCLEAN)
		s->failed = true;
	return r;
}

int inside_run(struct store *s, int statement)
{
	return database_run(s->statements[statement]);
}

static int64_t parked_id(enum lane lane, uint64_t sequence)
{
	return (int64_t)sequence * 2 + parked_base[lane];
}

enum lane inside_parked_lane(int64_t id, uint64_t *ret_sequence)
{
	enum lane lane = (id & 1) != 0 ? LANE_RESULTS : LANE_READINGS;

	if (id >= parked_base[LANE_CORRECTIONS])
		lane = LANE_CORRECTIONS;
	*ret_sequence = (uint64_t)(id - parked_base[lane]) / 2;
	return lane;
}

void store_rollback(struct store *s)
{
	s->in_transaction = false;
	for (int lane = 0; lane < LANE_END; lane++) {
		s->lanes[lane].last = s->lanes[lane].committed;
		s->lanes[lane].newest_s = s->lanes[lane].newest_s_committed;
	}
	s->held.last = s->held.last_committed;
	s->held.n = s->held.n_committed;
	s->journal.last = s->journal.last_committed;
	/* SQLite has rolled back by itself after some errors */
	if (sqlite3_get_autocommit(s->place.db))
		(void)inside_judge(s, seen_load(s->seen));
	else if (inside_judge(s, inside_run(s, S_ROLLBACK)) == 0)
		(void)inside_judge(s, seen_load(s->seen));
}

/* The log restarts from its beginning once all of it is in the database: it is overwritten in
 * place, which costs a commit less than appending. A failure here loses nothing. */
static int checkpoint(struct store *s)
{
	int log = 0, done = 0;
	int rc = sqlite3_wal_checkpoint_v2(s->place.db, NULL, SQLITE_CHECKPOINT_PASSIVE, &log,
					   &done);

	if (rc == SQLITE_OK && log == done)
		s->log_pages = 0;
	return database_errno(s->place.db, rc);
}

int inside_truncate(struct store *s)
{
	int rc = sqlite3_wal_checkpoint_v2(s->place.db, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL,
					   NULL);

	if (rc == SQLITE_OK)
		s->log_pages = 0;
	return database_errno(s->place.db, rc);
}

static int on_log(void *user, sqlite3 *db, const char *name, int pages)
{
	struct store *s = user;

	(void)db;
	(void)name;
	s->log_pages = pages;
	return SQLITE_OK;
}

int inside_begin(struct store *s)
{
	int r;

	if (s->failed)
		return -EIO;
	if (!sqlite3_get_autocommit(s->place.db))
		return 0;
	if ((int64_t)s->log_pages * DATABASE_PAGE > LOG_HARD_MAX) {
		r = checkpoint(s);
		if (r < 0)
			return inside_judge(s, r);
	}
	return inside_judge(s, inside_run(s, S_BEGIN));
}

/* the transaction is over, by an error */
int inside_undo(struct store *s, int r)
{
	(void)inside_judge(s, r);
	store_rollback(s);
	return r;
}

static int add_row(struct store *s, enum lane lane, const struct row *row)
{
	int r = database_put(s->statements[S_ADD + (int)lane], row);

	if (r == 0) {
		s->lanes[lane].last = (uint64_t)row->id;
		s->lanes[lane].newest_s = row->at_s;
	}
	return r;
}

static bool is_test(const Wellgate__V1__Reading *reading)
{
	for (size_t i = 0; i < reading->n_flags; i++) {
		if (reading->flags[i] == WELLGATE__V1__FLAG__FLAG_TEST)
			return true;
	}
	return false;
}

int inside_kind(const Wellgate__V1__Reading *reading, enum row_table table, uint32_t *ret)
{
	const struct metric_info *metric = metric_info((unsigned int)reading->metric);

	if (!metric)
		return -EBADMSG;
	*ret = row_kind(table, (unsigned int)metric->group, is_test(reading));
	return 0;
}

bool inside_is_refusal(int r)
{
	return r == -EMSGSIZE || r == -EBADMSG;
}

static int key_number(struct store *s, const char *subject, uint32_t *ret)
{
	int r = keyring_number(s->place.keys, subject, ret);

	return r == -EINVAL ? -EBADMSG : r;
}

int inside_pack(struct store *s, const ProtobufCMessage *message, const char *subject,
		const char *second, struct row *row)
{
	const size_t size = protobuf_c_message_get_packed_size(message);
	uint32_t outer = 0, inner = 0;
	size_t head;
	int r;

	if (size > STORE_PAYLOAD_MAX)
		return -EMSGSIZE;
	r = key_number(s, subject, &outer);
	if (r == 0)
		r = key_number(s, second, &inner);
	if (r < 0)
		return r;
	if (outer == 0 || inner == outer) {
		outer = outer == 0 ? inner : outer;
		inner = 0;
	}
	head = seal_head(outer);
	(void)protobuf_c_message_pack(message, s->pack + head + (inner ? seal_head(inner) : 0));
	r = (int)size;
	if (inner)
		r = seal_close(s->place.keys, inner, row, s->pack + head, size);
	if (r >= 0)
		r = seal_close(s->place.keys, outer, row, s->pack, (size_t)r);
	if (r < 0)
		return r;
	row->payload = s->pack;
	row->len = (size_t)r;
	return 0;
}

/* Who a message is about, and where its number goes. */
struct numbered {
	ProtobufCMessage *message;
	protobuf_c_boolean *has;
	uint64_t *number;
	const char *subject, *second;
};

/* Gives the message its number and packs it. -EMSGSIZE, -EBADMSG: the message is as it was. */
static int pack(struct store *s, const struct numbered *n, struct row *row)
{
	protobuf_c_boolean had = *n->has;
	uint64_t was = *n->number;
	int r;

	*n->has = 1;
	*n->number = (uint64_t)row->id;
	r = inside_pack(s, n->message, n->subject, n->second, row);
	if (r < 0) {
		*n->has = had;
		*n->number = was;
	}
	return r;
}

int inside_append(struct store *s, Wellgate__V1__Reading *reading, bool late)
{
	struct lane_state *l = &s->lanes[LANE_READINGS];
	const struct numbered numbered = { &reading->base, &reading->has_sequence,
					   &reading->sequence, reading->subject, NULL };
	struct row row = { .id = (int64_t)l->last + 1 };
	int r = inside_kind(reading, ROW_READING, &row.kind);

	if (r == 0)
		r = pack(s, &numbered, &row);
	if (r < 0)
		return r;
	row.at_s = reading->has_received_at_ms ? reading->received_at_ms / 1000 : 0;
	if (late && row.at_s < l->newest_s)
		row.at_s = l->newest_s;
	r = inside_begin(s);
	if (r < 0)
		return r;
	s->in_transaction = true;
	return add_row(s, LANE_READINGS, &row);
}

static int publish_reading(struct store *s, Wellgate__V1__Reading *reading, struct seen_entry *seen)
{
	int r = inside_append(s, reading, reading->has_revision && reading->revision > 1);

	if (r < 0)
		return r;
	seen->sequence = reading->sequence;
	return seen_add(s->seen, seen);
}

static int drop_reading(struct store *s, struct seen_entry *seen)
{
	int r = inside_begin(s);

	if (r < 0)
		return r;
	s->in_transaction = true;
	seen->sequence = 0;
	return seen_put(s->seen, seen);
}

static int place_reading(struct store *s, Wellgate__V1__Reading *reading, enum store_where where,
			 struct seen_entry *seen)
{
	switch (where) {
	case STORE_HOLD:
		return held_add(s, reading, seen);
	case STORE_DROP:
		return drop_reading(s, seen);
	case STORE_PUBLISH:
	default:
		return publish_reading(s, reading, seen);
	}
}

int store_add_reading(struct store *s, Wellgate__V1__Reading *reading, enum store_where where,
		      bool *ret_new)
{
	struct seen_entry seen;
	int r;

	if (s->failed)
		return -EIO;
	if (!metric_info((unsigned int)reading->metric) || seen_entry_of(reading, &seen) < 0)
		return -EBADMSG;
	r = seen_find(s->seen, &seen);
	if (r < 0)
		return inside_undo(s, r);
	if (r == 1) {
		s->duplicates++;
		*ret_new = false;
		return 0;
	}
	r = place_reading(s, reading, where, &seen);
	if (inside_is_refusal(r))
		return r;
	if (r < 0)
		return inside_undo(s, r);
	*ret_new = true;
	return 0;
}

/* The lane's next row; id, kind and time are set. */
static int add_numbered(struct store *s, enum lane lane, const struct numbered *n, struct row *row)
{
	int r;

	if (s->failed)
		return -EIO;
	r = pack(s, n, row);
	if (inside_is_refusal(r))
		return r;
	if (r == 0)
		r = inside_begin(s);
	if (r < 0)
		return inside_undo(s, r);
	s->in_transaction = true;
	r = add_row(s, lane, row);
	return r < 0 ? inside_undo(s, r) : 0;
}

int store_add_result(struct store *s, Wellgate__V1__GoalResult *result)
{
	const struct numbered numbered = { &result->base, &result->has_sequence, &result->sequence,
					   result->subject, NULL };
	struct row row = { .id = (int64_t)s->lanes[LANE_RESULTS].last + 1,
			   .kind = row_kind(ROW_RESULT, 0, false) };

	row.at_s = result->has_evaluated_at_ms ? result->evaluated_at_ms / 1000 : 0;
	return add_numbered(s, LANE_RESULTS, &numbered, &row);
}

int store_add_correction(struct store *s, Wellgate__V1__Correction *correction)
{
	const struct numbered numbered = { &correction->base, &correction->has_sequence,
					   &correction->sequence, correction->from_subject,
					   correction->to_subject };
	struct row row = { .id = (int64_t)s->lanes[LANE_CORRECTIONS].last + 1,
			   .kind = row_kind(ROW_CORRECTION, 0, false) };

	row.at_s = correction->has_at_ms ? correction->at_ms / 1000 : 0;
	return add_numbered(s, LANE_CORRECTIONS, &numbered, &row);
}

static bool marks_wait(const struct store *s)
{
	for (int lane = 0; lane < LANE_END; lane++) {
		if (s->lanes[lane].acked != s->lanes[lane].acked_durable)
			return true;
	}
	return s->n_notes > 0 || s->n_spoiled > 0;
}

static int write_note(struct store *s, const struct note *note)
{
	uint8_t payload[4];
	struct writer w = writer_of(payload, sizeof(payload));
	struct row row = { .id = parked_id(note->lane, note->sequence),
			   .kind = row_kind(ROW_PARKED, 0, false) };
	int r;

	writer_le32(&w, (uint32_t)note->reason);
	row.payload = payload;
	row.len = w.len;
	r = database_put(s->statements[S_PARK], &row);
	if (r == 0 && note->reason == STORE_REASON_DAMAGED && note->lane == LANE_READINGS)
		r = seen_forget(s->seen, note->sequence);
	return r;
}

/* Marks and parked rows join the open transaction. */
static int write_marks(struct store *s)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < s->n_notes; i++)
		r = write_note(s, &s->notes[i]);
	if (r == 0)
		r = tombstone_notes(s);
	for (int lane = 0; r == 0 && lane < LANE_END; lane++) {
		struct mark mark = { s->lanes[lane].acked, s->lanes[lane].last };

		if (s->lanes[lane].acked != s->lanes[lane].acked_durable)
			r = mark_write(s->place.db, MARK_LANE + lane, &mark);
	}
	if (r == 0)
		r = held_let_go(s);
	return r < 0 ? r : held_write_mark(s);
}

static void settle(struct store *s)
{
	for (int lane = 0; lane < LANE_END; lane++) {
		s->lanes[lane].committed = s->lanes[lane].last;
		s->lanes[lane].acked_durable = s->lanes[lane].acked;
		s->lanes[lane].newest_s_committed = s->lanes[lane].newest_s;
	}
	s->held.last_committed = s->held.last;
	s->held.n_committed = s->held.n;
	s->journal.last_committed = s->journal.last;
	s->parked += s->n_notes;
	s->n_notes = 0;
	s->n_spoiled = 0;
	s->in_transaction = false;
}

static int end_transaction(struct store *s)
{
	int r = write_marks(s);

	if (r == 0)
		r = inside_run(s, S_COMMIT);
	if (r < 0)
		return inside_undo(s, r);
	settle(s);
	return 0;
}

int store_commit(struct store *s)
{
	int r;

	if (s->failed)
		return -EIO;
	if (!s->in_transaction && !marks_wait(s))
		return 0;
	r = inside_begin(s);
	if (r == 0)
		r = end_transaction(s);
	if (r == 0 && (int64_t)s->log_pages * DATABASE_PAGE > DATABASE_LOG_MAX)
		(void)inside_judge(s, checkpoint(s));
	return r;
}

bool store_in_transaction(const struct store *s)
{
	return s->in_transaction;
}

int inside_is_parked(struct store *s, enum lane lane, uint64_t sequence)
{
	sqlite3_stmt *statement = s->statements[S_IS_PARKED];
	int64_t id = parked_id(lane, sequence);
	int r;

	for (size_t i = 0; i < s->n_notes; i++) {
		if (s->notes[i].lane == lane && s->notes[i].sequence == sequence)
			return 1;
	}
	if (s->parked == 0)
		return 0;
	(void)sqlite3_bind_int64(statement, 1, id);
	int rc = sqlite3_step(statement);
	r = rc == SQLITE_ROW ? 1 : database_errno(s->place.db, rc);
	(void)sqlite3_reset(statement);
	return r;
}

int store_park(struct store *s, enum lane lane, uint64_t sequence, int reason_code)
{
	int r;

	if (s->failed)
		return -EIO;
	if (sequence == 0 || sequence > s->lanes[lane].committed)
		return -ERANGE;
	r = inside_is_parked(s, lane, sequence);
	if (r != 0)
		return r < 0 ? inside_judge(s, r) : 0;
	if (s->n_notes == NOTES_MAX) {
		/* many refusals in a row: worth a commit, with whatever is in the transaction */
		r = store_commit(s);
		if (r < 0)
			return r;
	}
	s->notes[s->n_notes++] = (struct note){ lane, sequence, reason_code };
	return 0;
}

int store_acknowledge(struct store *s, enum lane lane, uint64_t upto)
{
	if (s->failed)
		return -EIO;
	if (upto > s->lanes[lane].committed)
		return -ERANGE;
	if (upto > s->lanes[lane].acked)
		s->lanes[lane].acked = upto;
	return 0;
}

/* Copies the statement's row behind those that were read ahead; false: it does not fit any more. */
static bool keep_ahead(struct store *s, sqlite3_stmt *statement)
{
	struct ahead *ahead = &s->ahead;
	struct row row = { 0 };
	const bool first = ahead->n == 0;

	database_row(statement, &row);
	/* one that is too long for any row is damaged: its payload is not looked at */
	if (row.len > sizeof(s->row) - ahead->used) {
		if (!first)
			return false;
	} else if (row.len > 0) {
		(void)memcpy(s->row + ahead->used, row.payload, row.len);
	}
	row.payload = s->row + ahead->used;
	ahead->used += row.len;
	ahead->rows[ahead->n++] = row;
	return ahead->n < AHEAD_ROWS && ahead->used < sizeof(s->row);
}

/* Rows after `after`, copied out so that no read stays open: 1, 0 or -errno. A committed row does
 * not change, so those that were read ahead stay good whatever happens meanwhile. */
static int read_ahead(struct store *s, enum lane lane, uint64_t after)
{
	sqlite3_stmt *statement = s->statements[S_NEXT + (int)lane];
	int rc;

	(void)sqlite3_bind_int64(statement, 1, (int64_t)after);
	(void)sqlite3_bind_int64(statement, 2, (int64_t)s->lanes[lane].committed);
	rc = sqlite3_step(statement);
	if (rc == SQLITE_ROW) {
		s->ahead = (struct ahead){ .lane = lane, .after = after };
		while (keep_ahead(s, statement) && sqlite3_step(statement) == SQLITE_ROW)
			;
	}
	(void)sqlite3_reset(statement);
	return rc == SQLITE_ROW ? 1 : inside_judge(s, database_errno(s->place.db, rc));
}

/* The row after `after`, sound or not: 1, 0 or -errno. */
static int step_row(struct store *s, enum lane lane, uint64_t after, struct row *ret)
{
	struct ahead *ahead = &s->ahead;
	int r = 1;

	if (ahead->lane != lane || ahead->after != after || ahead->next == ahead->n)
		r = read_ahead(s, lane, after);
	if (r <= 0)
		return r;
	*ret = ahead->rows[ahead->next++];
	ahead->after = (uint64_t)ret->id;
	return 1;
}

/* A row that cannot be sent any more. */
static int pass_over(struct store *s, enum lane lane, uint64_t sequence, int reason)
{
	s->damaged += reason == STORE_REASON_DAMAGED;
	if (sequence <= s->lanes[lane].acked)
		return 0;
	return store_park(s, lane, sequence, reason);
}

void inside_copy(struct store *s, struct row *row)
{
	/* one that is too long for any row is damaged: its payload is not looked at */
	if (row->len > 0 && row->len <= sizeof(s->lent))
		(void)memcpy(s->lent, row->payload, row->len);
	row->payload = s->lent;
}

int inside_open(struct store *s, const struct row *row, struct store_row *ret)
{
	uint8_t *data = (uint8_t *)(uintptr_t)row->payload; /* ours, whoever holds the row */
	struct store_row opened = { .sequence = (uint64_t)row->id,
				    .group = (int)row_group(row),
				    .test = row_test(row) };
	int r = seal_open(s->place.keys, row, data, &opened.payload, &opened.len);

	if (r == 1)
		*ret = opened;
	return r;
}

int store_next(struct store *s, enum lane lane, uint64_t after, struct store_row *ret)
{
	struct row row = { 0 };
	int r;

	if (s->failed)
		return -EIO;
	if (after > INT64_MAX)
		return 0;
	for (;; after = (uint64_t)row.id) {
		r = step_row(s, lane, after, &row);
		if (r <= 0)
			return r;
		r = inside_is_parked(s, lane, (uint64_t)row.id);
		if (r < 0)
			return inside_judge(s, r);
		if (r == 1)
			continue;
		r = row_is_sound(&row) ? inside_open(s, &row, ret) : -EBADMSG;
		if (r == 1)
			return 1;
		r = pass_over(s, lane, (uint64_t)row.id,
			      r < 0 ? STORE_REASON_DAMAGED : STORE_REASON_ERASED);
		if (r < 0)
			return r;
	}
}

/* The first row from `id` on that has a real time: 1, 0 or -errno. */
static int first_at(struct store *s, enum lane lane, uint64_t id, uint64_t *ret, int64_t *ret_at_s)
{
	sqlite3_stmt *statement = s->statements[S_FIRST_AT + (int)lane];
	int rc, r;

	(void)sqlite3_bind_int64(statement, 1, (int64_t)id);
	(void)sqlite3_bind_int64(statement, 2, PLAUSIBLE_S);
	rc = sqlite3_step(statement);
	r = rc == SQLITE_ROW ? 1 : inside_judge(s, database_errno(s->place.db, rc));
	if (r == 1) {
		*ret = (uint64_t)sqlite3_column_int64(statement, 0);
		*ret_at_s = sqlite3_column_int64(statement, 1);
	}
	(void)sqlite3_reset(statement);
	return r;
}

/* Numbers rise in the order of receipt: whatever lies below a row that came before at_s came before
 * it, too, whatever its own stamp says. So only the row that is given back has to be right; those
 * that were stamped by an unset clock are passed over. */
uint64_t store_before(struct store *s, enum lane lane, int64_t at_s)
{
	uint64_t before = 0, end = s->lanes[lane].last + 1;

	while (!s->failed && end - before > 1) {
		uint64_t middle = before + (end - before) / 2, id = 0;
		int64_t row_s = 0;
		int r = first_at(s, lane, middle, &id, &row_s);

		if (r < 0)
			return 0;
		if (r == 1 && id < end && row_s < at_s)
			before = id;
		else
			end = middle;
	}
	return before;
}

/* Steps over the oldest rows: up to which may go now. Those with a time from before the clock was
 * set go with a later one; the first that is still to be kept ends the search. */
static int step_expired(sqlite3_stmt *statement, int64_t before_s, struct lane_state *l,
			uint64_t *ret)
{
	int n = 0, rc = SQLITE_DONE;

	while (n < DELETE_BATCH && (rc = sqlite3_step(statement)) == SQLITE_ROW) {
		int64_t at_s = sqlite3_column_int64(statement, 1);

		if (at_s < PLAUSIBLE_S) {
			if (n == 0)
				l->unset_upto = (uint64_t)sqlite3_column_int64(statement, 0);
			continue;
		}
		if (at_s > before_s)
			break;
		*ret = (uint64_t)sqlite3_column_int64(statement, 0);
		n++;
	}
	return database_errno(sqlite3_db_handle(statement), rc);
}

/* The end of the next batch to delete, 0 = nothing. The newest row stays: its number counts on. */
static int expired(struct store *s, enum lane lane, int64_t before_s, uint64_t *ret)
{
	sqlite3_stmt *statement = s->statements[S_OLDEST + (int)lane];
	struct lane_state *l = &s->lanes[lane];
	uint64_t most = l->acked < l->committed ? l->acked : l->committed - 1;
	int r;

	*ret = 0;
	if (l->committed == 0 || most == 0)
		return 0;
	(void)sqlite3_bind_int64(statement, 1, (int64_t)most);
	(void)sqlite3_bind_int64(statement, 2, parked_base[lane]);
	(void)sqlite3_bind_int64(statement, 3, (int64_t)l->unset_upto);
	r = step_expired(statement, before_s, l, ret);
	(void)sqlite3_reset(statement);
	return inside_judge(s, r);
}

static int delete_upto(struct store *s, enum lane lane, uint64_t upto)
{
	sqlite3_stmt *statement = s->statements[S_DELETE + (int)lane];
	int r = inside_begin(s);

	if (r < 0)
		return r;
	/* the newest keys are read back from the rows: first they move to the index */
	if (lane == LANE_READINGS && upto > seen_upto(s->seen))
		r = seen_flush(s->seen);
	(void)sqlite3_bind_int64(statement, 1, (int64_t)upto);
	(void)sqlite3_bind_int64(statement, 2, parked_base[lane]);
	if (r == 0)
		r = database_run(statement);
	return r < 0 ? inside_undo(s, r) : end_transaction(s);
}

/* 1 = something was deleted: ask again */
static int delete_expired(struct store *s, int64_t now_ms)
{
	int64_t before_s = now_ms / 1000 - (int64_t)s->keep_days * 86400;
	int more = 0;

	for (int lane = 0; lane < LANE_END; lane++) {
		uint64_t upto = 0;
		int r = expired(s, (enum lane)lane, before_s, &upto);

		if (r == 0 && upto > 0) {
			r = delete_upto(s, (enum lane)lane, upto);
			more = 1;
		}
		if (r < 0)
			return r;
	}
	return more;
}

int store_maintain(struct store *s, int64_t now_ms)
{
	int more, r;

	if (s->failed)
		return -EIO;
	if (s->in_transaction)
		return 0;
	r = store_commit(s);
	if (r < 0)
		return r;
	more = delete_expired(s, now_ms);
	if (more == 0 && (int64_t)s->log_pages * DATABASE_PAGE > LOG_IDLE)
		more = inside_judge(s, checkpoint(s));
	return more;
}

void store_counts(const struct store *s, struct store_counts *ret)
{
	struct store_counts counts = { .held = s->held.n,
				       .parked = s->parked + s->n_notes,
				       .duplicates = s->duplicates,
				       .damaged = s->damaged,
				       .bytes = place_bytes(&s->place) };

	for (int lane = 0; lane < LANE_END; lane++) {
		counts.last[lane] = s->lanes[lane].last;
		counts.acknowledged[lane] = s->lanes[lane].acked;
	}
	*ret = counts;
}

const struct store_identity *store_identity(const struct store *s)
{
	return &s->place.identity;
}

static void raise_to(uint64_t *v, uint64_t least)
{
	if (*v < least)
		*v = least;
}

static int load_lane(struct store *s, enum lane lane, const char *table)
{
	struct lane_state *l = &s->lanes[lane];
	struct mark mark = { 0, 0 };
	int64_t last = 0;
	char text[64];
	int r = mark_read(s->place.db, MARK_LANE + (int)lane, &mark);

	(void)snprintf(text, sizeof(text), "SELECT max(id) FROM %s", table);
	if (r == 0)
		r = database_integer(s->place.db, text, &last);
	(void)snprintf(text, sizeof(text), "SELECT at FROM %s ORDER BY id DESC LIMIT 1", table);
	if (r == 0)
		r = database_integer(s->place.db, text, &l->newest_s);
	if (r < 0)
		return r;
	l->newest_s_committed = l->newest_s;
	l->last = (uint64_t)last;
	raise_to(&l->last, mark.a);
	raise_to(&l->last, mark.b);
	l->committed = l->last;
	l->acked = l->acked_durable = mark.a;
	return 0;
}

static int load(struct store *s)
{
	int64_t parked = 0;
	int r = 0;

	for (int i = 0; r == 0 && i < S_END; i++)
		r = database_prepare(s->place.db, sql[i], &s->statements[i]);
	if (r == 0)
		r = load_lane(s, LANE_READINGS, "reading");
	if (r == 0)
		r = load_lane(s, LANE_RESULTS, "result");
	if (r == 0)
		r = load_lane(s, LANE_CORRECTIONS, "correction");
	if (r == 0)
		r = held_load(s);
	if (r == 0)
		r = database_integer(s->place.db, "SELECT count(*) FROM parked", &parked);
	if (r == 0)
		r = seen_open(s->place.db, s->place.keys, &s->seen);
	if (r < 0)
		return r;
	raise_to(&s->lanes[LANE_READINGS].last, seen_upto(s->seen));
	s->lanes[LANE_READINGS].committed = s->lanes[LANE_READINGS].last;
	s->parked = (uint64_t)parked;
	(void)sqlite3_wal_hook(s->place.db, on_log, s);
	r = person_load(s);
	return r < 0 ? r : tombstone_load(s);
}

/* Both files of keys are gone, and here are rows that were sealed with them: that must be said. */
static int say_lost_keys(struct store *s, char **ret_error)
{
	static const char sealed[] =
		"SELECT (SELECT count(*) FROM (SELECT payload FROM reading ORDER BY id DESC LIMIT "
		"1)"
		" WHERE substr(payload,1,1)=x'00')"
		" + (SELECT count(*) FROM held WHERE substr(payload,1,1)=x'00')";
	int64_t n = 0;
	int r;

	if (!keyring_is_new(s->place.keys))
		return 0;
	r = database_integer(s->place.db, sealed, &n);
	if (r == 0 && n > 0 && ret_error && !*ret_error &&
	    asprintf(ret_error,
		     "the keys of %s are gone: what was stored before cannot be read any more, and "
		     "what was not sent is lost unless its device still has it",
		     s->place.path) < 0)
		*ret_error = NULL;
	return r;
}

static void dispose(struct store *s)
{
	for (int i = 0; i < S_END; i++)
		(void)sqlite3_finalize(s->statements[i]);
	seen_close(s->seen);
	place_close(&s->place);
	free(s);
}

void store_close(struct store *s)
{
	if (!s)
		return;
	if (!sqlite3_get_autocommit(s->place.db))
		store_rollback(s);
	(void)store_commit(s);
	dispose(s);
}

int store_open(const struct store_options *options, struct store **ret, char **ret_error)
{
	struct store *s = calloc(1, sizeof(*s));
	int r;

	if (ret_error)
		*ret_error = NULL;
	if (!s)
		return -ENOMEM;
	s->place.dir_fd = -1;
	s->keep_days = options->keep_days;
	r = place_open(options, &s->place, ret_error);
	if (r == 0)
		r = load(s);
	if (r == 0)
		r = say_lost_keys(s, ret_error);
	if (r < 0 && s->place.db) {
		(void)inside_judge(s, r);
		if (ret_error && !*ret_error &&
		    asprintf(ret_error, "cannot read %s: %s", s->place.path, strerror(-r)) < 0)
			*ret_error = NULL;
	}
	if (r < 0) {
		dispose(s);
		return r;
	}
	*ret = s;
	return 0;
}
