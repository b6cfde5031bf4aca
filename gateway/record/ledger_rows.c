/* Messages to rows. Column by column; what a message leaves out is NULL. */
#include "gateway/record/ledger_rows.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/cli/format.h"
#include "protocols/bytes/decimal.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* ---- values; texts live in the scratch arena ---- */

static struct db_value number_or_null(bool has, int64_t value)
{
	return has ? db_integer(value) : db_null();
}

/* FLAG_LATE -> "late"; a number that this version does not know stays a number */
static struct db_value name_or_null(struct ledger *l, const ProtobufCEnumDescriptor *descriptor,
				    bool has, int value, const char *prefix)
{
	char name[FORMAT_ENUM_MAX];

	if (!has)
		return db_null();
	format_enum(name, descriptor, value, prefix);
	return db_text(arena_strdup(&l->scratch, name));
}

static struct db_value hex_or_null(struct ledger *l, bool has, const ProtobufCBinaryData *data)
{
	return has ? db_text(ledger_hex(l, data->data, data->len)) : db_null();
}

static struct db_value decimal_or_null(struct ledger *l, const Wellgate__V1__Decimal *d)
{
	char text[DECIMAL_TEXT_MAX];

	if (!d)
		return db_null();
	format_decimal(text, sizeof(text), d);
	return text[0] ? db_text(arena_strdup(&l->scratch, text)) : db_null();
}

static struct db_value flags_of(struct ledger *l, const Wellgate__V1__Reading *r)
{
	char *text = arena_alloc(&l->scratch, r->n_flags * FORMAT_ENUM_MAX + 1);
	size_t len = 0;

	if (!text || r->n_flags == 0)
		return db_null();
	for (size_t i = 0; i < r->n_flags; i++) {
		char name[FORMAT_ENUM_MAX];

		format_enum(name, &wellgate__v1__flag__descriptor, (int)r->flags[i], "FLAG_");
		if (i > 0)
			text[len++] = ' ';
		(void)memcpy(text + len, name, strlen(name) + 1);
		len += strlen(name);
	}
	return db_text(text);
}

static struct db_value goals_of(struct ledger *l, const Wellgate__V1__Reading *r)
{
	char *text = arena_alloc(&l->scratch, r->n_goals * (ARRIVAL_TEXT_MAX + 1) + 1);
	size_t len = 0;

	if (!text || r->n_goals == 0)
		return db_null();
	for (size_t i = 0; i < r->n_goals; i++) {
		const size_t n = strlen(r->goals[i]);

		if (i > 0)
			text[len++] = ' ';
		(void)memcpy(text + len, r->goals[i], n + 1);
		len += n;
	}
	return db_text(text);
}

static bool is_test(const struct arrival *a, const Wellgate__V1__Reading *r)
{
	for (size_t i = 0; i < r->n_flags; i++) {
		if (r->flags[i] == WELLGATE__V1__FLAG__FLAG_TEST)
			return true;
	}
	return a->test;
}

/* ---- reading ---- */

static const char insert_reading[] =
	"INSERT INTO reading (hub_id, log_id, sequence, test, reading_id, dedupe_key, revision,"
	" replaces, subject, subject_first, superseded, retracted, metric, loinc, snomed, mdc,"
	" measured_at_ms, measured_at, local_date, utc_offset_min, offset_source, duration_ms,"
	" clock, clock_correction_ms, time_fault, received_at_ms, driver, make, model, firmware,"
	" hardware, serial_digest, user_slot, record_number, attribution, confidence,"
	" registry_revision, flags, goals, link_security, origin, context, recorded_at_ms, message)"
	" VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, 0, 0, $11, $12, $13, $14, $15, $16, $17,"
	" $18, $19, $20, $21, $22, $23, $24, $25, $26, $27, $28, $29, $30, $31, $32, $33, $34, $35,"
	" $36, $37, $38, $39, $40, $41, $42) ON CONFLICT DO NOTHING RETURNING reading_row";

#define READING_VALUES 42

/* appends; the order is that of the statement */
struct values {
	struct db_value v[READING_VALUES];
	size_t n;
};

static void add(struct values *values, struct db_value value)
{
	values->v[values->n++] = value;
}

static void add_identity(struct ledger *l, struct values *v, const struct arrival *a,
			 const Wellgate__V1__Reading *r, const struct ledger_log *log)
{
	add(v, db_integer(log->hub_id));
	add(v, db_integer(log->log_id));
	add(v, db_integer((int64_t)r->sequence));
	add(v, db_integer(is_test(a, r)));
	add(v, hex_or_null(l, true, &r->reading_id));
	add(v, hex_or_null(l, true, &r->dedupe_key));
	add(v, db_integer(r->has_revision ? r->revision : 0));
	add(v, hex_or_null(l, r->has_replaces, &r->replaces));
	add(v, db_text(r->subject));
	add(v, db_text(r->subject));
	add(v, name_or_null(l, &wellgate__v1__metric__descriptor, true, (int)r->metric, "METRIC_"));
	add(v, db_text(r->loinc));
	add(v, number_or_null(r->has_snomed, (int64_t)r->snomed));
	add(v, number_or_null(r->has_mdc, r->mdc));
}

static void add_times(struct ledger *l, struct values *v, const Wellgate__V1__Reading *r)
{
	char text[FORMAT_TIME_MAX];
	struct db_value utc = db_null(), date = db_null();

	if (r->has_measured_at_ms) {
		format_utc(text, r->measured_at_ms);
		utc = db_text(arena_strdup(&l->scratch, text));
	}
	if (r->has_measured_at_ms && r->has_utc_offset_min) {
		format_local_date(text, r->measured_at_ms, r->utc_offset_min);
		date = db_text(arena_strdup(&l->scratch, text));
	}
	add(v, number_or_null(r->has_measured_at_ms, r->measured_at_ms));
	add(v, utc);
	add(v, date);
	add(v, number_or_null(r->has_utc_offset_min, r->utc_offset_min));
	add(v, name_or_null(l, &wellgate__v1__offset_source__descriptor, r->has_offset_source,
			    (int)r->offset_source, "OFFSET_"));
	add(v, number_or_null(r->has_duration_ms, r->duration_ms));
	add(v, name_or_null(l, &wellgate__v1__clock_quality__descriptor, r->has_clock,
			    (int)r->clock, "CLOCK_"));
	add(v, number_or_null(r->has_clock_correction_ms, r->clock_correction_ms));
	add(v, name_or_null(l, &wellgate__v1__time_fault__descriptor, r->has_time_fault,
			    (int)r->time_fault, "TIME_FAULT_"));
	add(v, number_or_null(r->has_received_at_ms, r->received_at_ms));
}

static void add_device(struct ledger *l, struct values *v, const Wellgate__V1__Reading *r)
{
	static const Wellgate__V1__DeviceRef nothing = WELLGATE__V1__DEVICE_REF__INIT;
	const Wellgate__V1__DeviceRef *d = r->device ? r->device : &nothing;

	add(v, db_text(d->driver));
	add(v, db_text(d->make));
	add(v, db_text(d->model));
	add(v, db_text(d->firmware));
	add(v, db_text(d->hardware));
	add(v, hex_or_null(l, d->has_serial_digest, &d->serial_digest));
	add(v, number_or_null(r->has_user_slot, r->user_slot));
	add(v, number_or_null(r->has_record_number, r->record_number));
}

static void add_meaning(struct ledger *l, struct values *v, const Wellgate__V1__Reading *r)
{
	static const Wellgate__V1__Attribution nothing = WELLGATE__V1__ATTRIBUTION__INIT;
	const Wellgate__V1__Attribution *a = r->attribution ? r->attribution : &nothing;

	add(v, name_or_null(l, &wellgate__v1__attribution_rule__descriptor, a->has_rule,
			    (int)a->rule, "ATTRIBUTION_"));
	add(v, name_or_null(l, &wellgate__v1__confidence__descriptor, a->has_confidence,
			    (int)a->confidence, "CONFIDENCE_"));
	add(v, number_or_null(a->has_registry_revision, (int64_t)a->registry_revision));
	add(v, flags_of(l, r));
	add(v, goals_of(l, r));
	add(v, name_or_null(l, &wellgate__v1__link_security__descriptor, r->has_link_security,
			    (int)r->link_security, "LINK_"));
	add(v, name_or_null(l, &wellgate__v1__origin__descriptor, r->has_origin, (int)r->origin,
			    "ORIGIN_"));
	add(v, db_text(r->context));
}

static int read_number(const struct db_row *row, void *user)
{
	*(int64_t *)user = row->column[0] ? strtoll(row->column[0], NULL, 10) : 0;
	return 0;
}

static int put_component(struct ledger *l, int64_t row, size_t position,
			 const Wellgate__V1__Component *c)
{
	const ProtobufCEnumDescriptor *metrics = &wellgate__v1__metric__descriptor;
	const struct db_value value = decimal_or_null(l, c->value);
	const struct db_value values[] = {
		db_integer(row),
		db_integer((int64_t)position),
		name_or_null(l, metrics, true, (int)c->metric, "METRIC_"),
		value,
		value,
		db_text(c->unit),
		name_or_null(l, &wellgate__v1__absent__descriptor, c->has_absent, (int)c->absent,
			     "ABSENT_"),
		decimal_or_null(l, c->original_value),
		db_text(c->original_unit),
		db_text(c->loinc),
		number_or_null(c->has_snomed, (int64_t)c->snomed),
		number_or_null(c->has_mdc, c->mdc),
	};

	return db_run(l->db,
		      "INSERT INTO component (reading_row, position, metric, value, number, unit,"
		      " absent, original_value, original_unit, loinc, snomed, mdc)"
		      " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
		      values, COUNT(values), NULL, NULL);
}

/*
 * What is true of a reading now, out of everything that is known: so it does not matter in which
 * order readings, revisions and corrections arrive. Of several re-attributions the last one made
 * counts: the highest number of the newest epoch.
 */
#define SETTLE                                                                     \
	"UPDATE reading SET"                                                       \
	" retracted = CASE WHEN EXISTS (SELECT 1 FROM correction c"                \
	"  WHERE c.hub_id = reading.hub_id AND c.reading_id = reading.reading_id"  \
	"  AND c.kind = 'retraction') THEN 1 ELSE 0 END,"                          \
	" subject = CASE WHEN EXISTS (SELECT 1 FROM correction c"                  \
	"  WHERE c.hub_id = reading.hub_id AND c.reading_id = reading.reading_id"  \
	"  AND c.kind = 'reattribution')"                                          \
	"  THEN (SELECT c.to_subject FROM correction c"                            \
	"   WHERE c.hub_id = reading.hub_id AND c.reading_id = reading.reading_id" \
	"   AND c.kind = 'reattribution'"                                          \
	"   ORDER BY c.log_id DESC, c.sequence DESC LIMIT 1)"                      \
	"  ELSE subject_first END,"                                                \
	" superseded = CASE WHEN EXISTS (SELECT 1 FROM reading n"                  \
	"  WHERE n.hub_id = reading.hub_id AND n.dedupe_key = reading.dedupe_key"  \
	"  AND n.test = reading.test AND n.revision > reading.revision)"           \
	" OR EXISTS (SELECT 1 FROM reading n WHERE n.hub_id = reading.hub_id"      \
	"  AND n.test = reading.test AND n.replaces = reading.reading_id)"         \
	" OR EXISTS (SELECT 1 FROM correction c"                                   \
	"  WHERE c.hub_id = reading.hub_id AND c.reading_id = reading.reading_id"  \
	"  AND c.kind = 'reattribution' AND c.new_reading_id IS NOT NULL)"         \
	" THEN 1 ELSE 0 END WHERE hub_id = $1 AND "

/* Two statements: with OR between the two, SQLite would read all readings of the hub. */
static const char settle_by_id[] = SETTLE "reading_id = $2";
static const char settle_by_key[] = SETTLE "dedupe_key = $2";

static int settle(struct ledger *l, const char *statement, int64_t hub_id,
		  const ProtobufCBinaryData *identity)
{
	const struct db_value values[] = { db_integer(hub_id), hex_or_null(l, true, identity) };

	return db_run(l->db, statement, values, COUNT(values), NULL, NULL);
}

/* ---- is it the same? ---- */

/* What has this number already: 1 = the same bytes, 0 = nothing, -EEXIST = something else. */
static int same_there(struct ledger *l, const char *sql, const struct ledger_log *log,
		      uint64_t sequence, const ProtobufCBinaryData *bytes)
{
	const struct db_value values[] = { db_bytes(bytes->data, bytes->len),
					   db_integer(log->log_id), db_integer((int64_t)sequence) };
	int64_t same = -1;
	int r = db_run(l->db, sql, values, COUNT(values), read_number, &same);

	if (r < 0)
		return r;
	return same < 0 ? 0 : same > 0 ? 1 : -EEXIST;
}

int ledger_put_reading(struct ledger *l, const struct arrival *a, size_t i,
		       const struct ledger_log *log)
{
	const Wellgate__V1__Reading *reading = a->batch->readings[i];
	struct values v = { .n = 0 };
	int64_t row = 0;
	int r;

	add_identity(l, &v, a, reading, log);
	add_times(l, &v, reading);
	add_device(l, &v, reading);
	add_meaning(l, &v, reading);
	add(&v, db_integer(l->now_ms));
	add(&v, db_bytes(a->bytes[i].data, a->bytes[i].len));
	r = db_run(l->db, insert_reading, v.v, v.n, read_number, &row);
	if (r == 0 && row == 0) {
		r = same_there(l,
			       "SELECT CASE WHEN message = $1 THEN 1 ELSE 0 END FROM reading"
			       " WHERE log_id = $2 AND sequence = $3",
			       log, reading->sequence, &a->bytes[i]);
		return r < 0 ? r : 0; /* or the same event under another number */
	}
	for (size_t c = 0; r == 0 && c < reading->n_components; c++)
		r = put_component(l, row, c, reading->components[c]);
	if (r == 0)
		r = settle(l, settle_by_key, log->hub_id, &reading->dedupe_key);
	if (r == 0 && reading->has_replaces)
		r = settle(l, settle_by_id, log->hub_id, &reading->replaces);
	return r < 0 ? r : 1;
}

/* ---- goal results, corrections ---- */

static size_t result_values(struct ledger *l, const Wellgate__V1__GoalResult *r,
			    struct db_value *ret)
{
	const struct db_value values[] = {
		db_text(r->goal_id),
		number_or_null(r->has_goal_version, r->goal_version),
		db_text(r->subject),
		name_or_null(l, &wellgate__v1__metric__descriptor, r->has_metric, (int)r->metric,
			     "METRIC_"),
		number_or_null(r->has_period_start_ms, r->period_start_ms),
		number_or_null(r->has_period_end_ms, r->period_end_ms),
		name_or_null(l, &wellgate__v1__goal_result__state__descriptor, r->has_state,
			     (int)r->state, "STATE_"),
		name_or_null(l, &wellgate__v1__goal_result__outcome__descriptor, r->has_outcome,
			     (int)r->outcome, "OUTCOME_"),
		name_or_null(l, &wellgate__v1__goal_result__achievement__descriptor,
			     r->has_achievement, (int)r->achievement, "ACHIEVEMENT_"),
		name_or_null(l, &wellgate__v1__goal_result__reason__descriptor, r->has_reason,
			     (int)r->reason, "REASON_"),
		decimal_or_null(l, r->progress),
		decimal_or_null(l, r->target),
		db_text(r->unit),
		number_or_null(r->has_readings, r->readings),
		number_or_null(r->has_observed_days, r->observed_days),
		number_or_null(r->has_asked_days, r->asked_days),
		db_integer(r->has_revision ? r->revision : 0),
		db_text(r->words),
		number_or_null(r->has_evaluated_at_ms, r->evaluated_at_ms),
	};

	(void)memcpy(ret, values, sizeof(values));
	return COUNT(values);
}

int ledger_put_result(struct ledger *l, const struct arrival *a, const uint8_t *payload, size_t len,
		      const struct ledger_log *log)
{
	struct db_value v[26] = { db_integer(log->hub_id), db_integer(log->log_id),
				  db_integer((int64_t)a->result->sequence), db_integer(a->test) };
	size_t n = 4 + result_values(l, a->result, v + 4);
	const ProtobufCBinaryData bytes = { len, arena_memdup(&l->scratch, payload, len) };
	int64_t row = 0;
	int r;

	if (!bytes.data)
		return -ENOMEM;
	v[n++] = db_integer(l->now_ms);
	v[n++] = db_bytes(payload, len);
	r = db_run(l->db,
		   "INSERT INTO goal_result (hub_id, log_id, sequence, test, goal_id, goal_version,"
		   " subject, metric, period_start_ms, period_end_ms, state, outcome, achievement,"
		   " reason, progress, target, unit, readings, observed_days, asked_days, revision,"
		   " words, evaluated_at_ms, recorded_at_ms, message)"
		   " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16,"
		   " $17, $18, $19, $20, $21, $22, $23, $24, $25)"
		   " ON CONFLICT DO NOTHING RETURNING result_row",
		   v, n, read_number, &row);
	if (r < 0 || row > 0)
		return r < 0 ? r : 1;
	r = same_there(l,
		       "SELECT CASE WHEN message = $1 THEN 1 ELSE 0 END FROM goal_result"
		       " WHERE log_id = $2 AND sequence = $3",
		       log, a->result->sequence, &bytes);
	return r < 0 ? r : 0;
}

/* A tombstone of readings that are lost is a `tombstone`; the others are told apart, so that nobody
 * counts them as lost readings. */
static const char *correction_kind(const Wellgate__V1__Correction *c)
{
	if (c->kind != WELLGATE__V1__CORRECTION__KIND__KIND_TOMBSTONE)
		return NULL;
	if (c->reason && strcmp(c->reason, "before_epoch") == 0)
		return "epoch_begin";
	if (c->has_lane && c->lane == WELLGATE__V1__RECEIPT__KIND__KIND_RESULTS)
		return "tombstone_result";
	if (c->has_lane && c->lane == WELLGATE__V1__RECEIPT__KIND__KIND_CORRECTIONS)
		return "tombstone_correction";
	return NULL;
}

static int insert_correction(struct ledger *l, const struct arrival *a, const uint8_t *payload,
			     size_t len, const struct ledger_log *log, int64_t *ret_row)
{
	const Wellgate__V1__Correction *c = a->correction;
	const bool of_range = c->kind == WELLGATE__V1__CORRECTION__KIND__KIND_TOMBSTONE;
	const char *kind = correction_kind(c);
	const struct db_value values[] = {
		db_integer(log->hub_id),
		db_integer(log->log_id),
		db_integer((int64_t)c->sequence),
		db_integer(a->test),
		kind ? db_text(kind)
		     : name_or_null(l, &wellgate__v1__correction__kind__descriptor, true,
				    (int)c->kind, "KIND_"),
		hex_or_null(l, c->has_reading_id, &c->reading_id),
		hex_or_null(l, c->has_new_reading_id, &c->new_reading_id),
		db_text(c->from_subject),
		db_text(c->to_subject),
		db_text(c->reason),
		number_or_null(of_range, (int64_t)c->first_sequence),
		number_or_null(of_range, (int64_t)c->last_sequence),
		number_or_null(c->has_at_ms, c->at_ms),
		db_integer(l->now_ms),
		db_bytes(payload, len),
	};

	return db_run(l->db,
		      "INSERT INTO correction (hub_id, log_id, sequence, test, kind, reading_id,"
		      " new_reading_id, from_subject, to_subject, reason, first_sequence,"
		      " last_sequence, at_ms, recorded_at_ms, message)"
		      " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)"
		      " ON CONFLICT DO NOTHING RETURNING correction_row",
		      values, COUNT(values), read_number, ret_row);
}

int ledger_put_correction(struct ledger *l, const struct arrival *a, const uint8_t *payload,
			  size_t len, const struct ledger_log *log)
{
	const Wellgate__V1__Correction *c = a->correction;
	const ProtobufCBinaryData bytes = { len, arena_memdup(&l->scratch, payload, len) };
	int64_t row = 0;
	int r;

	if (!bytes.data)
		return -ENOMEM;
	r = insert_correction(l, a, payload, len, log, &row);
	if (r < 0)
		return r;
	if (row == 0) {
		r = same_there(l,
			       "SELECT CASE WHEN message = $1 THEN 1 ELSE 0 END FROM correction"
			       " WHERE log_id = $2 AND sequence = $3",
			       log, c->sequence, &bytes);
		return r < 0 ? r : 0;
	}
	if (!c->has_reading_id)
		return 1;
	r = settle(l, settle_by_id, log->hub_id, &c->reading_id);
	return r < 0 ? r : 1;
}

/* ---- status ---- */

int ledger_put_status(struct ledger *l, const struct arrival *a, int64_t hub_id)
{
	const Wellgate__V1__HubStatus *s = a->status;
	const char *session = s->has_session ? ledger_epoch(l, s->session) : NULL;
	/* the will of an earlier connection may come after the birth of the next one */
	const bool will = s->state == WELLGATE__V1__HUB_STATUS__STATE__STATE_LOST;
	const struct db_value values[] = {
		name_or_null(l, &wellgate__v1__hub_status__state__descriptor, s->has_state,
			     (int)s->state, "STATE_"),
		db_text(session),
		db_text(ledger_epoch(l, s->epoch)),
		number_or_null(s->has_since_ms, s->since_ms),
		db_text(s->version),
		number_or_null(s->has_readings, (int64_t)s->readings),
		number_or_null(s->has_waiting, (int64_t)s->waiting),
		number_or_null(s->has_clock_synced, s->clock_synced),
		number_or_null(s->has_store_full, s->store_full),
		db_integer(s->has_test && s->test),
		db_integer(hub_id),
		db_integer(will),
		db_text(session),
	};

	/* a will carries no counts: those of before stay */
	return db_run(l->db,
		      "UPDATE hub SET state = $1, session = $2, epoch = $3,"
		      " since_ms = COALESCE($4, since_ms), version = COALESCE($5, version),"
		      " announced = COALESCE($6, announced), waiting = COALESCE($7, waiting),"
		      " clock_synced = COALESCE($8, clock_synced),"
		      " store_full = COALESCE($9, store_full), test = $10"
		      " WHERE hub_id = $11 AND ($12 = 0 OR session IS NULL OR session = $13)",
		      values, COUNT(values), NULL, NULL);
}
