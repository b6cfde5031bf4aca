#include "gateway/record/ledger.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/record/ledger_rows.h"

/* one reading with all its texts, and its bytes */
#define SCRATCH_BYTES    ((size_t)4 * 1024 * 1024)
#define LETTER_BYTES_MAX ((size_t)128 * 1024)

static const char *const kind_names[] = { [LEDGER_READING] = "reading",
					  [LEDGER_RESULT] = "goal_result",
					  [LEDGER_CORRECTION] = "correction" };

int ledger_init(struct ledger *l, struct db *db, const char *service)
{
	*l = (struct ledger){ .db = db, .service = service };
	if (arena_init(&l->message, ARRIVAL_ARENA) < 0)
		return -ENOMEM;
	if (arena_init(&l->scratch, SCRATCH_BYTES) < 0) {
		arena_finish(&l->message);
		return -ENOMEM;
	}
	return 0;
}

static void forget_receipts(struct ledger *l)
{
	for (size_t i = 0; i < l->n_receipts; i++)
		free(l->receipts[i].payload);
	l->n_receipts = 0;
	l->n_touched = 0;
}

void ledger_finish(struct ledger *l)
{
	forget_receipts(l);
	arena_finish(&l->message);
	arena_finish(&l->scratch);
}

int ledger_begin(struct ledger *l, int64_t now_ms)
{
	forget_receipts(l);
	l->now_ms = now_ms;
	return db_begin(l->db);
}

void ledger_rollback(struct ledger *l)
{
	forget_receipts(l);
	db_rollback(l->db);
}

/* ---- small things ---- */

const char *ledger_hex(struct ledger *l, const void *data, size_t len)
{
	char *text = arena_alloc(&l->scratch, 2 * len + 1);

	return text ? sodium_bin2hex(text, 2 * len + 1, data, len) : NULL;
}

const char *ledger_epoch(struct ledger *l, uint64_t epoch)
{
	char text[17];

	(void)snprintf(text, sizeof(text), "%016" PRIx64, epoch);
	return arena_strdup(&l->scratch, text);
}

struct numbers {
	int64_t value[DB_COLUMNS_MAX];
	bool any;
};

/* the last row's columns as numbers; NULL is 0 */
static int read_numbers(const struct db_row *row, void *user)
{
	struct numbers *n = user;

	n->any = true;
	for (size_t i = 0; i < row->n; i++)
		n->value[i] = row->column[i] ? strtoll(row->column[i], NULL, 10) : 0;
	return 0;
}

static int find_hub(struct ledger *l, const struct arrival *a, int64_t *ret)
{
	const struct db_value values[] = { db_text(a->site), db_text(a->hub), db_integer(l->now_ms),
					   db_integer(l->now_ms) };
	struct numbers n = { 0 };
	int r = db_run(l->db,
		       "INSERT INTO hub (site, hub, first_heard_ms, last_heard_ms)"
		       " VALUES ($1, $2, $3, $4) ON CONFLICT (site, hub)"
		       " DO UPDATE SET last_heard_ms = excluded.last_heard_ms RETURNING hub_id",
		       values, 4, read_numbers, &n);

	if (r == 0)
		*ret = n.value[0];
	return r < 0 ? r : n.any ? 0 : -EIO;
}

static int touch(struct ledger *l, const struct arrival *a, int64_t hub_id)
{
	struct ledger_touched *t;

	for (size_t i = 0; i < l->n_touched; i++) {
		if (l->touched[i].hub_id == hub_id && l->touched[i].epoch == a->epoch)
			return 0;
	}
	assert(l->n_touched < LEDGER_TOUCHED_MAX);
	t = &l->touched[l->n_touched++];
	*t = (struct ledger_touched){ .hub_id = hub_id, .epoch = a->epoch };
	(void)memcpy(t->site, a->site, sizeof(t->site));
	(void)memcpy(t->hub, a->hub, sizeof(t->hub));
	return 0;
}

/* ---- sequence logs ---- */

int ledger_log_open(struct ledger *l, int64_t hub_id, uint64_t epoch, enum ledger_kind kind,
		    struct ledger_log *ret)
{
	const struct db_value values[] = { db_integer(hub_id), db_text(ledger_epoch(l, epoch)),
					   db_text(kind_names[kind]), db_integer(l->now_ms),
					   db_integer(l->now_ms) };
	struct numbers n = { 0 };
	/* the update locks the row, so that two workers do not both count on from one watermark */
	int r = db_run(l->db,
		       "INSERT INTO sequence_log (hub_id, epoch, kind, watermark, stored, again,"
		       " refused, first_heard_ms, last_heard_ms)"
		       " VALUES ($1, $2, $3, 0, 0, 0, 0, $4, $5)"
		       " ON CONFLICT (hub_id, epoch, kind)"
		       " DO UPDATE SET last_heard_ms = excluded.last_heard_ms"
		       " RETURNING log_id, watermark",
		       values, 5, read_numbers, &n);

	if (r < 0)
		return r;
	if (!n.any)
		return -EIO;
	*ret = (struct ledger_log){ .log_id = n.value[0],
				    .watermark = n.value[1],
				    .hub_id = hub_id };
	return 0;
}

/* one run of numbers, joined with those that it touches */
static int join_range(struct ledger *l, struct ledger_log *log, int64_t first, int64_t last)
{
	struct db_value values[3];
	struct numbers n = { 0 };
	int r;

	if (last <= log->watermark)
		return 0;
	if (first <= log->watermark)
		first = log->watermark + 1;
	values[0] = db_integer(log->log_id);
	values[1] = db_integer(last + 1);
	values[2] = db_integer(first - 1);
	r = db_run(l->db,
		   "SELECT MIN(first_sequence), MAX(last_sequence) FROM sequence_span"
		   " WHERE log_id = $1 AND first_sequence <= $2 AND last_sequence >= $3",
		   values, 3, read_numbers, &n);
	if (r < 0)
		return r;
	if (n.value[0] > 0) {
		first = n.value[0] < first ? n.value[0] : first;
		last = n.value[1] > last ? n.value[1] : last;
		r = db_run(l->db,
			   "DELETE FROM sequence_span"
			   " WHERE log_id = $1 AND first_sequence <= $2 AND last_sequence >= $3",
			   values, 3, NULL, NULL);
	}
	if (r == 0 && first == log->watermark + 1) {
		log->watermark = last;
		return 0;
	}
	values[1] = db_integer(first);
	values[2] = db_integer(last);
	return r < 0 ? r
		     : db_run(l->db,
			      "INSERT INTO sequence_span (log_id, first_sequence, last_sequence)"
			      " VALUES ($1, $2, $3)",
			      values, 3, NULL, NULL);
}

static int flush_run(struct ledger *l, struct ledger_log *log)
{
	int r = log->first > 0 ? join_range(l, log, log->first, log->last) : 0;

	log->first = log->last = 0;
	return r;
}

int ledger_log_note(struct ledger *l, struct ledger_log *log, int64_t first, int64_t last)
{
	int r = 0;

	if (log->first > 0 && first == log->last + 1) {
		log->last = last;
		return 0;
	}
	r = flush_run(l, log);
	log->first = first;
	log->last = last;
	return r;
}

int ledger_log_close(struct ledger *l, struct ledger_log *log)
{
	struct db_value values[5];
	int r = flush_run(l, log);

	if (r < 0)
		return r;
	values[0] = db_integer(log->watermark);
	values[1] = db_integer(log->stored);
	values[2] = db_integer(log->again);
	values[3] = db_integer(log->refused);
	values[4] = db_integer(log->log_id);
	return db_run(l->db,
		      "UPDATE sequence_log SET watermark = $1, stored = stored + $2,"
		      " again = again + $3, refused = refused + $4 WHERE log_id = $5",
		      values, 5, NULL, NULL);
}

/* ---- dead letters ---- */

/* a topic from outside, as it may stand in a database and on a terminal */
static const char *printable(struct ledger *l, const char *topic)
{
	const size_t len = strnlen(topic, ARRIVAL_TOPIC_MAX);
	char *text = arena_memdup(&l->scratch, topic, len + 1);

	for (size_t i = 0; text && i < len; i++) {
		if (text[i] < ' ' || text[i] > '~')
			text[i] = '?';
	}
	if (text)
		text[len] = '\0';
	return text;
}

int ledger_letter(struct ledger *l, const struct ledger_letter *letter, int *ret_new)
{
	const size_t kept = letter->len < LETTER_BYTES_MAX ? letter->len : LETTER_BYTES_MAX;
	crypto_hash_sha256_state hash;
	uint8_t digest[crypto_hash_sha256_BYTES];
	struct numbers n = { 0 };
	int r;

	(void)crypto_hash_sha256_init(&hash);
	(void)crypto_hash_sha256_update(&hash, (const uint8_t *)letter->topic,
					strlen(letter->topic) + 1);
	(void)crypto_hash_sha256_update(&hash, letter->payload, letter->len);
	(void)crypto_hash_sha256_final(&hash, digest);
	const struct db_value values[] = {
		db_text(ledger_hex(l, digest, sizeof(digest))),
		db_text(letter->reason),
		db_text(printable(l, letter->topic)),
		letter->hub_id > 0 ? db_integer(letter->hub_id) : db_null(),
		db_text(letter->epoch),
		letter->sequence > 0 ? db_integer(letter->sequence) : db_null(),
		db_integer(l->now_ms),
		db_integer(l->now_ms),
		db_integer((int64_t)letter->len),
		db_bytes(letter->payload, kept),
	};
	r = db_run(l->db,
		   "INSERT INTO dead_letter (digest, reason, topic, hub_id, epoch, sequence, times,"
		   " first_heard_ms, last_heard_ms, length, payload)"
		   " VALUES ($1, $2, $3, $4, $5, $6, 1, $7, $8, $9, $10)"
		   " ON CONFLICT (digest) DO UPDATE SET times = dead_letter.times + 1,"
		   " last_heard_ms = excluded.last_heard_ms RETURNING times",
		   values, sizeof(values) / sizeof(values[0]), read_numbers, &n);
	if (r == 0)
		*ret_new = n.value[0] == 1;
	return r;
}

int ledger_bury(struct ledger *l, const char *topic, const uint8_t *payload, size_t len,
		const char *reason)
{
	struct ledger_letter letter = {
		.topic = topic, .reason = reason, .payload = payload, .len = len
	};
	struct arrival a;
	int new = 0, r = 0;

	arena_reset(&l->scratch);
	l->counts.refused++;
	if (arrival_read_topic(topic, &a) == 0)
		r = find_hub(l, &a, &letter.hub_id);
	return r < 0 ? r : ledger_letter(l, &letter, &new);
}

/* ---- messages ---- */

/* what cannot be stored is kept with its reason, and its number is done with */
static int refuse_reading(struct ledger *l, const struct arrival *a, size_t i, const char *topic,
			  const char *reason, struct ledger_log *log)
{
	const Wellgate__V1__Reading *reading = a->batch->readings[i];
	const bool numbered = arrival_sequence_is_good(reading->has_sequence, reading->sequence);
	const struct ledger_letter letter = {
		.topic = topic,
		.reason = reason,
		.payload = a->bytes[i].data,
		.len = a->bytes[i].len,
		.hub_id = log->hub_id,
		.epoch = ledger_epoch(l, a->epoch),
		.sequence = numbered ? (int64_t)reading->sequence : 0,
	};
	int new = 0, r = ledger_letter(l, &letter, &new);

	if (r < 0)
		return r;
	log->refused += new;
	log->again += !new;
	l->counts.refused++;
	return numbered ? ledger_log_note(l, log, letter.sequence, letter.sequence) : 0;
}

static int apply_reading(struct ledger *l, const struct arrival *a, size_t i, const char *topic,
			 struct ledger_log *log)
{
	const Wellgate__V1__Reading *reading = a->batch->readings[i];
	const char *fault = arrival_reading_fault(reading);
	int r;

	arena_reset(&l->scratch);
	if (fault)
		return refuse_reading(l, a, i, topic, fault, log);
	r = ledger_put_reading(l, a, i, log);
	if (r == -EEXIST)
		return refuse_reading(l, a, i, topic, "its number belongs to another reading", log);
	if (r < 0)
		return r;
	log->stored += r;
	log->again += !r;
	l->counts.readings += (uint64_t)r;
	l->counts.again += !r;
	return ledger_log_note(l, log, (int64_t)reading->sequence, (int64_t)reading->sequence);
}

static int apply_batch(struct ledger *l, const struct arrival *a, int64_t hub_id, const char *topic)
{
	struct ledger_log log;
	int r = ledger_log_open(l, hub_id, a->epoch, LEDGER_READING, &log);

	for (size_t i = 0; r == 0 && i < a->batch->n_readings; i++)
		r = apply_reading(l, a, i, topic, &log);
	return r < 0 ? r : ledger_log_close(l, &log);
}

static enum ledger_kind tombstone_of(const Wellgate__V1__Correction *c)
{
	if (c->has_lane && c->lane == WELLGATE__V1__RECEIPT__KIND__KIND_RESULTS)
		return LEDGER_RESULT;
	if (c->has_lane && c->lane == WELLGATE__V1__RECEIPT__KIND__KIND_CORRECTIONS)
		return LEDGER_CORRECTION;
	return LEDGER_READING;
}

/* What the hub could not keep: its numbers will not come, and that is known. Should one come all
 * the same, it is stored as ever. */
static int apply_tombstone(struct ledger *l, const struct arrival *a, int64_t hub_id)
{
	struct ledger_log log;
	int r = ledger_log_open(l, hub_id, a->epoch, tombstone_of(a->correction), &log);

	if (r == 0)
		r = ledger_log_note(l, &log, (int64_t)a->correction->first_sequence,
				    (int64_t)a->correction->last_sequence);
	return r < 0 ? r : ledger_log_close(l, &log);
}

static int apply_single(struct ledger *l, const struct arrival *a, int64_t hub_id,
			const char *topic, const uint8_t *payload, size_t len)
{
	const bool result = a->kind == ARRIVAL_RESULT;
	const uint64_t sequence = result ? a->result->sequence : a->correction->sequence;
	struct ledger_log log;
	int r = ledger_log_open(l, hub_id, a->epoch, result ? LEDGER_RESULT : LEDGER_CORRECTION,
				&log);

	if (r < 0)
		return r;
	r = result ? ledger_put_result(l, a, payload, len, &log)
		   : ledger_put_correction(l, a, payload, len, &log);
	if (r == -EEXIST)
		return ledger_bury(l, topic, payload, len, "its number belongs to another message");
	if (r < 0)
		return r;
	log.stored = r;
	log.again = !r;
	l->counts.again += !r;
	*(result ? &l->counts.results : &l->counts.corrections) += (uint64_t)r;
	r = ledger_log_note(l, &log, (int64_t)sequence, (int64_t)sequence);
	if (r == 0)
		r = ledger_log_close(l, &log);
	if (r == 0 && !result &&
	    a->correction->kind == WELLGATE__V1__CORRECTION__KIND__KIND_TOMBSTONE)
		r = apply_tombstone(l, a, hub_id);
	return r;
}

int ledger_apply(struct ledger *l, const char *topic, const uint8_t *payload, size_t len)
{
	const char *reason = NULL;
	struct arrival a = { 0 };
	int64_t hub_id = 0;
	int r;

	arena_reset(&l->message);
	arena_reset(&l->scratch);
	l->counts.messages++;
	if (arrival_read(&l->message, topic, payload, len, &a, &reason) < 0)
		return ledger_bury(l, topic, payload, len, reason);
	r = find_hub(l, &a, &hub_id);
	if (r == 0)
		r = touch(l, &a, hub_id);
	if (r < 0)
		return r;
	switch (a.kind) {
	case ARRIVAL_READINGS:
		return apply_batch(l, &a, hub_id, topic);
	case ARRIVAL_STATUS:
		l->counts.statuses++;
		return ledger_put_status(l, &a, hub_id);
	case ARRIVAL_RESULT:
	case ARRIVAL_CORRECTION:
	default:
		return apply_single(l, &a, hub_id, topic, payload, len);
	}
}

/* ---- receipts ---- */

struct draft {
	Wellgate__V1__Receipt receipt;
	Wellgate__V1__Receipt__Lane lanes[3], *lane_at[3];
	Wellgate__V1__Receipt__Range ranges[3][LEDGER_RANGES_MAX], *range_at[3][LEDGER_RANGES_MAX];
	int64_t log_id[3];
	size_t lane; /* that ranges are being read of */
};

static uint64_t number_of(const char *text)
{
	return text ? (uint64_t)strtoll(text, NULL, 10) : 0;
}

static int read_lane(const struct db_row *row, void *user)
{
	static const Wellgate__V1__Receipt__Kind kinds[] = {
		[LEDGER_READING] = WELLGATE__V1__RECEIPT__KIND__KIND_READINGS,
		[LEDGER_RESULT] = WELLGATE__V1__RECEIPT__KIND__KIND_RESULTS,
		[LEDGER_CORRECTION] = WELLGATE__V1__RECEIPT__KIND__KIND_CORRECTIONS,
	};
	struct draft *d = user;
	const size_t i = d->receipt.n_lanes;
	Wellgate__V1__Receipt__Lane *lane;

	if (i == 3 || !row->column[1])
		return -EIO;
	lane = &d->lanes[i];
	wellgate__v1__receipt__lane__init(lane);
	for (int kind = LEDGER_READING; kind <= LEDGER_CORRECTION; kind++) {
		if (strcmp(row->column[1], kind_names[kind]) == 0)
			lane->kind = kinds[kind];
	}
	d->log_id[i] = (int64_t)number_of(row->column[0]);
	lane->committed = number_of(row->column[2]);
	lane->rows = number_of(row->column[3]);
	lane->again = number_of(row->column[4]);
	lane->refused = number_of(row->column[5]);
	lane->has_kind = lane->has_committed = lane->has_rows = 1;
	lane->has_again = lane->has_refused = 1;
	lane->above = d->range_at[i];
	d->lane_at[i] = lane;
	d->receipt.n_lanes++;
	return 0;
}

static int read_range(const struct db_row *row, void *user)
{
	struct draft *d = user;
	Wellgate__V1__Receipt__Lane *lane = &d->lanes[d->lane];
	Wellgate__V1__Receipt__Range *range;

	if (lane->n_above == LEDGER_RANGES_MAX) {
		lane->has_more = lane->more = 1;
		return 0;
	}
	range = &d->ranges[d->lane][lane->n_above];
	wellgate__v1__receipt__range__init(range);
	range->first = number_of(row->column[0]);
	range->last = number_of(row->column[1]);
	range->has_first = range->has_last = 1;
	d->range_at[d->lane][lane->n_above++] = range;
	return 0;
}

static int fill_draft(struct ledger *l, const struct ledger_touched *t, struct draft *d)
{
	const struct db_value of_hub[] = { db_integer(t->hub_id),
					   db_text(ledger_epoch(l, t->epoch)) };
	int r = db_run(l->db,
		       "SELECT log_id, kind, watermark, stored, again, refused FROM sequence_log"
		       " WHERE hub_id = $1 AND epoch = $2 ORDER BY kind",
		       of_hub, 2, read_lane, d);

	for (d->lane = 0; r == 0 && d->lane < d->receipt.n_lanes; d->lane++) {
		const struct db_value values[] = { db_integer(d->log_id[d->lane]),
						   db_integer(LEDGER_RANGES_MAX + 1) };

		r = db_run(l->db,
			   "SELECT first_sequence, last_sequence FROM sequence_span"
			   " WHERE log_id = $1 ORDER BY first_sequence LIMIT $2",
			   values, 2, read_range, d);
	}
	return r;
}

static int make_receipt(struct ledger *l, const struct ledger_touched *t)
{
	struct ledger_receipt *ret = &l->receipts[l->n_receipts];
	struct draft *d;
	int r;

	arena_reset(&l->scratch);
	d = arena_alloc(&l->scratch, sizeof(*d));
	if (!d)
		return -ENOMEM;
	wellgate__v1__receipt__init(&d->receipt);
	r = fill_draft(l, t, d);
	if (r < 0)
		return r;
	d->receipt.hub = arena_strdup(&l->scratch, t->hub);
	d->receipt.service = arena_strdup(&l->scratch, l->service);
	d->receipt.epoch = t->epoch;
	d->receipt.at_ms = l->now_ms;
	d->receipt.has_epoch = d->receipt.has_at_ms = 1;
	d->receipt.lanes = d->lane_at;
	(void)snprintf(ret->topic, sizeof(ret->topic), "wellgate/v1/%s/%s/receipt", t->site,
		       t->hub);
	ret->payload = malloc(protobuf_c_message_get_packed_size(&d->receipt.base));
	if (!ret->payload)
		return -ENOMEM;
	ret->len = protobuf_c_message_pack(&d->receipt.base, ret->payload);
	l->n_receipts++;
	return 0;
}

int ledger_commit(struct ledger *l, ledger_receipt_fn fn, void *user)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < l->n_touched; i++)
		r = make_receipt(l, &l->touched[i]);
	if (r == 0)
		r = db_commit(l->db);
	if (r < 0) {
		ledger_rollback(l);
		return r;
	}
	for (size_t i = 0; i < l->n_receipts; i++)
		fn(&l->receipts[i], user);
	l->n_receipts = l->n_touched = 0;
	return 0;
}
