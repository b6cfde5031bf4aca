/*
 * What will not come: numbers that were given out and whose rows cannot be sent, said to the record
 * service as corrections of kind TOMBSTONE; and the epoch, which says when numbers begin anew.
 */
#include <errno.h>
#include <stdio.h>

#include "gateway/store/database.h"
#include "gateway/store/inside.h"
#include "gateway/store/meta.h"
#include "protocols/bytes/cursor.h"

/* in front of the reason of a run: no row was set aside, there is none */
#define REASON_LOST   (-1)
#define REASON_BEFORE (-2)

static const char *const tables[LANE_END] = {
	[LANE_READINGS] = "reading",
	[LANE_RESULTS] = "result",
	[LANE_CORRECTIONS] = "correction",
};

/* numbers of one lane that share a reason; first 0 = none */
struct run {
	enum lane lane;
	uint64_t first, last;
	int reason;
};

static Wellgate__V1__Receipt__Kind kind_of(enum lane lane)
{
	if (lane == LANE_RESULTS)
		return WELLGATE__V1__RECEIPT__KIND__KIND_RESULTS;
	return lane == LANE_CORRECTIONS ? WELLGATE__V1__RECEIPT__KIND__KIND_CORRECTIONS
					: WELLGATE__V1__RECEIPT__KIND__KIND_READINGS;
}

static void name_reason(int reason, char *ret, size_t size)
{
	switch (reason) {
	case REASON_LOST:
		(void)snprintf(ret, size, "lost");
		break;
	case REASON_BEFORE:
		(void)snprintf(ret, size, "before_epoch");
		break;
	case STORE_REASON_DAMAGED:
		(void)snprintf(ret, size, "damaged");
		break;
	case STORE_REASON_ERASED:
		(void)snprintf(ret, size, "erased");
		break;
	default: /* a reason code of MQTT */
		(void)snprintf(ret, size, "refused_0x%02x", (unsigned int)reason);
		break;
	}
}

/* Hub and epoch are of whoever sends it; the store has no clock to say when. */
static int say(struct store *s, const struct run *run)
{
	Wellgate__V1__Correction c = WELLGATE__V1__CORRECTION__INIT;
	char reason[24];

	if (run->first == 0 || run->first > run->last)
		return 0;
	name_reason(run->reason, reason, sizeof(reason));
	c.has_kind = c.has_lane = c.has_first_sequence = c.has_last_sequence = 1;
	c.kind = WELLGATE__V1__CORRECTION__KIND__KIND_TOMBSTONE;
	c.lane = kind_of(run->lane);
	c.first_sequence = run->first;
	c.last_sequence = run->last;
	c.reason = reason;
	return store_add_correction(s, &c);
}

static int extend(struct store *s, struct run *run, const struct run *more)
{
	int r;

	if (run->first > 0 && run->reason == more->reason && run->last + 1 == more->first) {
		run->last = more->last;
		return 0;
	}
	r = say(s, run);
	*run = *more;
	return r;
}

static int say_runs(struct store *s, const struct run runs[LANE_END])
{
	int r = 0;

	for (int lane = 0; r == 0 && lane < LANE_END; lane++)
		r = say(s, &runs[lane]);
	return r;
}

static int reason_of(const struct row *row)
{
	struct cursor c = cursor_of(row->payload, row->len);
	const int reason = (int)cursor_le32(&c);

	return row_is_sound(row) && cursor_ok(&c) ? reason : STORE_REASON_DAMAGED;
}

/* Every row that was ever set aside. */
static int say_parked(struct store *s)
{
	struct run runs[LANE_END] = { 0 };
	sqlite3_stmt *all = NULL;
	struct row row;
	int r = database_prepare(s->place.db, "SELECT * FROM parked ORDER BY id", &all);
	int rc = SQLITE_DONE;

	while (r == 0 && (rc = sqlite3_step(all)) == SQLITE_ROW) {
		struct run one = { 0 };

		database_row(all, &row);
		one.lane = inside_parked_lane(row.id, &one.first);
		one.last = one.first;
		one.reason = reason_of(&row);
		r = extend(s, &runs[one.lane], &one);
	}
	if (r == 0)
		r = database_errno(s->place.db, rc);
	(void)sqlite3_finalize(all);
	return r < 0 ? r : say_runs(s, runs);
}

/* The gap between two rows, and why it is there. */
static int say_gap(struct store *s, enum lane lane, uint64_t first, uint64_t last, uint64_t used)
{
	const struct run run = { lane, first, last, last == used ? REASON_BEFORE : REASON_LOST };

	return say(s, &run);
}

/* Numbers from `first` to `last` that have no row. Up to `used` others may have used them. */
static int say_missing(struct store *s, enum lane lane, uint64_t first, uint64_t last,
		       uint64_t used)
{
	sqlite3_stmt *rows = NULL;
	char text[80];
	int r, rc = SQLITE_DONE;

	(void)snprintf(text, sizeof(text), "SELECT id FROM %s WHERE id>=?1 AND id<=?2 ORDER BY id",
		       tables[lane]);
	r = database_prepare(s->place.db, text, &rows);
	if (r < 0)
		return r;
	(void)sqlite3_bind_int64(rows, 1, (int64_t)first);
	(void)sqlite3_bind_int64(rows, 2, (int64_t)last);
	while (r == 0 && (rc = sqlite3_step(rows)) == SQLITE_ROW) {
		const uint64_t id = (uint64_t)sqlite3_column_int64(rows, 0);

		r = say_gap(s, lane, first, id - 1, used);
		first = id + 1;
	}
	if (r == 0)
		r = database_errno(s->place.db, rc);
	(void)sqlite3_finalize(rows);
	return r < 0 ? r : say_gap(s, lane, first, last, used);
}

/* Everything there is to say about the numbers of this epoch, in the open transaction. What was
 * said before is said again: that does no harm. */
static int say_all(struct store *s)
{
	uint64_t last[LANE_END];
	int r = 0;

	for (int lane = 0; lane < LANE_END; lane++)
		last[lane] = s->lanes[lane].last; /* what is said now gets numbers itself */
	for (int lane = 0; r == 0 && lane < LANE_END; lane++) {
		struct mark mark = { 0, 0 };
		struct run before = { (enum lane)lane, 1, 0, REASON_BEFORE };
		uint64_t from = s->lanes[lane].acked + 1;

		r = mark_read(s->place.db, MARK_EPOCH + lane, &mark);
		before.last = mark.a > 0 ? mark.a - 1 : 0;
		if (r == 0)
			r = say(s, &before);
		if (r == 0)
			r = say_missing(s, (enum lane)lane, from, last[lane], mark.b);
	}
	return r < 0 ? r : say_parked(s);
}

int tombstone_notes(struct store *s)
{
	struct run runs[LANE_END] = { 0 };
	int r = 0;

	/* a damaged correction may have been a tombstone: of what, nobody knows any more */
	for (size_t i = 0; i < s->n_notes; i++) {
		if (s->notes[i].lane == LANE_CORRECTIONS &&
		    s->notes[i].reason == STORE_REASON_DAMAGED)
			return say_all(s);
	}
	for (size_t i = 0; r == 0 && i < s->n_notes; i++) {
		const struct note *n = &s->notes[i];
		const struct run one = { n->lane, n->sequence, n->sequence, n->reason };

		r = extend(s, &runs[n->lane], &one);
	}
	return r < 0 ? r : say_runs(s, runs);
}

/* ---- the epoch ---- */

/* Where the epoch begins, per lane: after what was acknowledged. */
static int begin_lane(struct store *s, enum lane lane, uint64_t used)
{
	struct lane_state *l = &s->lanes[lane];
	struct mark epoch = { l->acked + 1, used > l->last ? used : 0 }, mark = { l->acked, 0 };
	int r = mark_write(s->place.db, MARK_EPOCH + (int)lane, &epoch);

	if (used > l->last)
		l->last = used;
	mark.b = l->last;
	return r < 0 ? r : mark_write(s->place.db, MARK_LANE + (int)lane, &mark);
}

static int begin_epoch(struct store *s, const uint64_t used[LANE_END])
{
	int r = inside_begin(s);

	for (int lane = 0; r == 0 && lane < LANE_END; lane++)
		r = begin_lane(s, (enum lane)lane, used ? used[lane] : 0);
	return r < 0 ? r : say_all(s);
}

int store_new_epoch(struct store *s, const uint64_t used[LANE_END])
{
	struct store_identity identity, new;
	int r;

	if (s->failed)
		return -EIO;
	for (int lane = 0; lane < LANE_END; lane++) {
		if (used[lane] > s->lanes[lane].last + STORE_USED_MAX)
			return -ERANGE;
	}
	if (s->in_transaction)
		return -EBUSY;
	r = identity_random(&new);
	if (r < 0)
		return r;
	identity = s->place.identity;
	identity.epoch = new.epoch;
	r = begin_epoch(s, used);
	if (r == 0)
		r = identity_write(s->place.db, &identity);
	if (r < 0)
		return inside_undo(s, r);
	s->in_transaction = true;
	r = store_commit(s);
	if (r == 0)
		s->place.identity = identity;
	return r;
}

int store_epoch_begin(struct store *s, enum lane lane, uint64_t *ret)
{
	struct mark mark = { 0, 0 };
	int r;

	if (s->failed)
		return -EIO;
	r = mark_read(s->place.db, MARK_EPOCH + (int)lane, &mark);
	if (r < 0)
		return inside_judge(s, r);
	*ret = mark.a > 0 ? mark.a : 1;
	return 0;
}

int tombstone_load(struct store *s)
{
	struct mark due = { 0, 0 };
	int r = mark_read(s->place.db, MARK_EPOCH_DUE, &due);

	if (r < 0 || due.a == 0)
		return r;
	r = begin_epoch(s, NULL);
	if (r == 0)
		r = mark_write(s->place.db, MARK_EPOCH_DUE, &(struct mark){ 0, 0 });
	if (r == 0) {
		s->in_transaction = true;
		r = store_commit(s);
	} else {
		r = inside_undo(s, r);
	}
	return r == -ENOSPC ? 0 : r; /* with a later start, then */
}
