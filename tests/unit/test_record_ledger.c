/* links: gateway_record */
/* What messages do to the rows, in SQLite; tests/system/test_record.py compares PostgreSQL. */
#include <errno.h>
#include <setjmp.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "gateway/record/ledger.h"
#include "gateway/record/report.h"
#include "tests/unit/broker.h"
#include "tests/unit/record_make.h"

#define TOPIC "wellgate/v1/site/hub1/"

struct world {
	char dir[64], url[160];
	struct db *db;
	struct ledger ledger;
	Wellgate__V1__Receipt *receipt; /* the last one */
	char topic[ARRIVAL_TOPIC_MAX];
	uint8_t buf[65536];
};

static void take_receipt(struct ledger_receipt *receipt, void *user)
{
	struct world *w = user;

	if (w->receipt)
		wellgate__v1__receipt__free_unpacked(w->receipt, NULL);
	w->receipt = wellgate__v1__receipt__unpack(NULL, receipt->len, receipt->payload);
	(void)memcpy(w->topic, receipt->topic, sizeof(w->topic));
	free(receipt->payload);
	assert_non_null(w->receipt);
}

static int setup(void **state)
{
	struct world *w = calloc(1, sizeof(*w));
	struct db_options o = { 0 };

	must(w && sodium_init() >= 0);
	(void)snprintf(w->dir, sizeof(w->dir), "/tmp/wellgate-test-XXXXXX");
	must(mkdtemp(w->dir));
	(void)snprintf(w->url, sizeof(w->url), "sqlite:%s/record.db", w->dir);
	o.url = w->url;
	assert_int_equal(db_open(&o, &w->db), 0);
	assert_int_equal(ledger_init(&w->ledger, w->db, "record-test"), 0);
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	struct world *w = *state;
	const char *argv[] = { "rm", "-rf", w->dir, NULL };
	pid_t pid = broker_spawn(argv, "/dev/null");

	must(waitpid(pid, NULL, 0) == pid);
	ledger_finish(&w->ledger);
	db_close(w->db);
	if (w->receipt)
		wellgate__v1__receipt__free_unpacked(w->receipt, NULL);
	free(w);
	return 0;
}

/* ---- one message, one transaction ---- */

static void deliver_raw(struct world *w, const char *topic, const uint8_t *payload, size_t len)
{
	assert_int_equal(ledger_begin(&w->ledger, MAKE_TIME), 0);
	assert_int_equal(ledger_apply(&w->ledger, topic, payload, len), 0);
	assert_int_equal(ledger_commit(&w->ledger, take_receipt, w), 0);
}

static void deliver(struct world *w, const char *end, const ProtobufCMessage *message)
{
	char topic[ARRIVAL_TOPIC_MAX];

	(void)snprintf(topic, sizeof(topic), TOPIC "%s", end);
	assert_true(protobuf_c_message_get_packed_size(message) <= sizeof(w->buf));
	deliver_raw(w, topic, w->buf, protobuf_c_message_pack(message, w->buf));
}

static void deliver_readings(struct world *w, uint64_t epoch, struct make_reading *m, size_t n)
{
	size_t len = make_batch(w->buf, sizeof(w->buf), epoch, m, n);

	assert_true(len > 0);
	deliver_raw(w, TOPIC "reading/activity", w->buf, len);
}

static void deliver_one(struct world *w, uint64_t sequence, uint8_t event)
{
	struct make_reading m;

	make_reading(&m, sequence, event);
	deliver_readings(w, MAKE_EPOCH, &m, 1);
}

struct answer {
	char text[4096];
};

static int add_row(const struct db_row *row, void *user)
{
	struct answer *a = user;

	for (size_t i = 0; i < row->n; i++) {
		const size_t len = strlen(a->text);

		(void)snprintf(a->text + len, sizeof(a->text) - len, "%s%c",
			       row->column[i] ? row->column[i] : "-", i + 1 < row->n ? ' ' : ';');
	}
	return 0;
}

#define assert_query(w, sql, expected)                                                 \
	do {                                                                           \
		struct answer _answer = { "" };                                        \
		assert_int_equal(db_run((w)->db, sql, NULL, 0, add_row, &_answer), 0); \
		assert_string_equal(_answer.text, expected);                           \
	} while (0)

static const Wellgate__V1__Receipt__Lane *lane(const struct world *w,
					       Wellgate__V1__Receipt__Kind kind)
{
	static const Wellgate__V1__Receipt__Lane nothing = WELLGATE__V1__RECEIPT__LANE__INIT;

	for (size_t i = 0; i < w->receipt->n_lanes; i++) {
		if (w->receipt->lanes[i]->kind == kind)
			return w->receipt->lanes[i];
	}
	fail();
	return &nothing;
}

static const Wellgate__V1__Receipt__Lane *readings(const struct world *w)
{
	return lane(w, WELLGATE__V1__RECEIPT__KIND__KIND_READINGS);
}

/* ---- numbers ---- */

static void once_and_in_order(void **state)
{
	struct world *w = *state;
	struct make_reading m[3];

	for (uint8_t i = 0; i < 3; i++)
		make_reading(&m[i], i + 1U, i);
	deliver_readings(w, MAKE_EPOCH, m, 3);
	assert_string_equal(w->topic, TOPIC "receipt");
	assert_string_equal(w->receipt->hub, "hub1");
	assert_true(w->receipt->epoch == MAKE_EPOCH);
	assert_int_equal(readings(w)->committed, 3);
	assert_int_equal(readings(w)->rows, 3);
	deliver_readings(w, MAKE_EPOCH, m, 3); /* the broker sends it again */
	assert_int_equal(readings(w)->committed, 3);
	assert_int_equal(readings(w)->rows, 3);
	assert_int_equal(readings(w)->again, 3);
	assert_query(w, "SELECT COUNT(*) FROM reading", "3;");
	assert_query(w, "SELECT value, unit FROM component ORDER BY reading_row",
		     "1000 {steps};1001 {steps};1002 {steps};");
	assert_query(w, "SELECT hub, epoch FROM gap", "");
}

/* in any order, with every gap known until it is closed */
static void gaps_are_known(void **state)
{
	struct world *w = *state;

	deliver_one(w, 5, 5);
	deliver_one(w, 2, 2);
	assert_int_equal(readings(w)->committed, 0);
	assert_int_equal(readings(w)->n_above, 2);
	assert_int_equal(readings(w)->above[0]->first, 2);
	assert_int_equal(readings(w)->above[1]->last, 5);
	assert_query(w, "SELECT first_sequence, last_sequence, missing FROM gap ORDER BY 1",
		     "1 1 1;3 4 2;");
	deliver_one(w, 1, 1);
	assert_int_equal(readings(w)->committed, 2);
	deliver_one(w, 4, 4);
	assert_int_equal(readings(w)->n_above, 1);
	assert_int_equal(readings(w)->above[0]->first, 4);
	assert_int_equal(readings(w)->above[0]->last, 5);
	assert_query(w, "SELECT first_sequence, last_sequence FROM gap", "3 3;");
	assert_query(w, "SELECT in_gaps FROM is_anything_missing", "1;");
	deliver_one(w, 3, 3);
	assert_int_equal(readings(w)->committed, 5);
	assert_int_equal(readings(w)->n_above, 0);
	assert_query(w, "SELECT COUNT(*) FROM sequence_span", "0;");
}

/* against a plain array of numbers, with joins of every shape */
static void ranges_are_right_whatever_the_order(void **state)
{
	struct world *w = *state;
	bool there[41] = { false };
	uint32_t random = 12345;

	for (int i = 0; i < 60; i++) {
		unsigned int at, mark = 0, n = 0;

		random = random * 1103515245u + 12345u;
		at = 1 + (random >> 16) % 40;
		deliver_one(w, at, (uint8_t)at);
		there[at] = true;
		while (mark < 40 && there[mark + 1])
			mark++;
		assert_int_equal(readings(w)->committed, mark);
		for (unsigned int s = mark + 1; s <= 40; s++) {
			if (!there[s] || there[s - 1])
				continue;
			assert_true(n < readings(w)->n_above);
			assert_int_equal(readings(w)->above[n++]->first, s);
		}
		assert_int_equal(readings(w)->n_above, n);
	}
}

static void many_ranges_are_said_to_be_many(void **state)
{
	struct world *w = *state;

	for (unsigned int i = 1; i <= LEDGER_RANGES_MAX + 2; i++)
		deliver_one(w, UINT64_C(2) * i, (uint8_t)i);
	assert_int_equal(readings(w)->n_above, LEDGER_RANGES_MAX);
	assert_true(readings(w)->more);
}

/* a hub that began anew: its numbers begin again, its readings do not */
static void another_epoch_is_another_log(void **state)
{
	struct world *w = *state;
	struct make_reading m;

	deliver_one(w, 1, 1);
	make_reading(&m, 1, 1);
	deliver_readings(w, MAKE_EPOCH + 1, &m, 1);
	assert_true(w->receipt->epoch == MAKE_EPOCH + 1);
	assert_int_equal(readings(w)->committed, 1);
	assert_int_equal(readings(w)->rows, 0);
	assert_int_equal(readings(w)->again, 1);
	assert_query(w, "SELECT COUNT(*) FROM reading", "1;");
	make_reading(&m, 2, 2);
	deliver_readings(w, MAKE_EPOCH + 1, &m, 1);
	assert_query(w, "SELECT COUNT(*) FROM reading", "2;");
}

/* what has a number that is taken is another reading, not the same one again */
static void a_number_used_twice_is_a_dead_letter(void **state)
{
	struct world *w = *state;
	struct make_reading m;

	deliver_one(w, 1, 1);
	deliver_one(w, 1, 2);
	assert_int_equal(readings(w)->refused, 1);
	assert_query(w, "SELECT value FROM component", "1001;");
	assert_query(w, "SELECT reason, sequence FROM dead_letter",
		     "its number belongs to another reading 1;");
	/* the same name with another value is no resend either */
	make_reading(&m, 1, 1);
	m.value.mantissa = 5;
	deliver_readings(w, MAKE_EPOCH, &m, 1);
	assert_query(w, "SELECT COUNT(*) FROM dead_letter", "2;");
	assert_query(w, "SELECT value FROM component", "1001;");
}

static void a_rollback_leaves_nothing(void **state)
{
	struct world *w = *state;
	struct make_reading m;
	size_t len;

	make_reading(&m, 1, 1);
	len = make_batch(w->buf, sizeof(w->buf), MAKE_EPOCH, &m, 1);
	assert_int_equal(ledger_begin(&w->ledger, MAKE_TIME), 0);
	assert_int_equal(ledger_apply(&w->ledger, TOPIC "reading/activity", w->buf, len), 0);
	ledger_rollback(&w->ledger);
	assert_null(w->receipt);
	assert_query(w, "SELECT COUNT(*) FROM reading", "0;");
	assert_query(w, "SELECT COUNT(*) FROM sequence_log", "0;");
}

/* ---- corrections ---- */

static void reattribute(struct world *w, uint64_t sequence, uint8_t event, const char *to)
{
	Wellgate__V1__Correction c =
		make_correction(sequence, WELLGATE__V1__CORRECTION__KIND__KIND_REATTRIBUTION);
	uint8_t id[16];

	(void)memset(id, event, sizeof(id));
	c.has_reading_id = 1;
	c.reading_id = (ProtobufCBinaryData){ 16, id };
	c.from_subject = make_text("subject-a");
	c.to_subject = to ? make_text(to) : NULL;
	deliver(w, "correction", &c.base);
}

/* whichever comes first */
static void whose_it_is_follows_the_last_correction(void **state)
{
	struct world *w = *state;

	deliver_one(w, 1, 1);
	reattribute(w, 2, 1, "subject-c");
	reattribute(w, 1, 1, "subject-b"); /* made before, came after */
	assert_query(w, "SELECT subject, subject_first FROM reading", "subject-c subject-a;");
	reattribute(w, 3, 2, "subject-d"); /* its reading comes later */
	deliver_one(w, 2, 2);
	assert_query(w, "SELECT subject, subject_first FROM reading WHERE sequence = 2",
		     "subject-d subject-a;");
	reattribute(w, 4, 1, NULL); /* nobody's */
	assert_query(w, "SELECT subject FROM reading WHERE sequence = 1", "-;");
	assert_query(w, "SELECT without_person FROM is_anything_missing", "1;");
	/* the history is all there, and nothing of it twice */
	reattribute(w, 4, 1, NULL);
	assert_query(w, "SELECT sequence, to_subject FROM correction ORDER BY sequence",
		     "1 subject-b;2 subject-c;3 subject-d;4 -;");
	assert_int_equal(lane(w, WELLGATE__V1__RECEIPT__KIND__KIND_CORRECTIONS)->committed, 4);
}

static void a_later_revision_takes_the_place(void **state)
{
	struct world *w = *state;
	struct make_reading first, second;

	make_reading(&first, 1, 1);
	make_reading(&second, 2, 1);
	(void)memset(second.id, 0x77, sizeof(second.id));
	second.reading.has_revision = second.reading.has_replaces = 1;
	second.reading.revision = 1;
	second.reading.replaces = (ProtobufCBinaryData){ 16, first.id };
	second.value.mantissa = 2000;
	deliver_readings(w, MAKE_EPOCH, &second, 1); /* the wrong way round */
	deliver_readings(w, MAKE_EPOCH, &first, 1);
	assert_query(w, "SELECT sequence, superseded FROM reading ORDER BY sequence", "1 1;2 0;");
	assert_query(w, "SELECT value FROM current_value", "2000;");
}

static void retracted_readings_do_not_count(void **state)
{
	struct world *w = *state;
	Wellgate__V1__Correction c =
		make_correction(1, WELLGATE__V1__CORRECTION__KIND__KIND_RETRACTION);
	uint8_t id[16];

	(void)memset(id, 1, sizeof(id));
	c.has_reading_id = 1;
	c.reading_id = (ProtobufCBinaryData){ 16, id };
	deliver_one(w, 1, 1);
	deliver_one(w, 2, 2);
	deliver(w, "correction", &c.base);
	assert_query(w, "SELECT value FROM current_value", "1002;");
	assert_query(w, "SELECT COUNT(*) FROM reading", "2;");
}

static void what_the_hub_lost_is_known(void **state)
{
	struct world *w = *state;
	Wellgate__V1__Correction c =
		make_correction(1, WELLGATE__V1__CORRECTION__KIND__KIND_TOMBSTONE);

	c.has_first_sequence = c.has_last_sequence = 1;
	c.first_sequence = 2;
	c.last_sequence = 4;
	deliver_one(w, 1, 1);
	deliver_one(w, 5, 5);
	deliver(w, "correction", &c.base);
	assert_int_equal(readings(w)->committed, 5);
	assert_query(w, "SELECT in_gaps, lost_on_the_hub FROM is_anything_missing", "0 3;");
	deliver_one(w, 3, 3); /* not lost after all */
	assert_query(w, "SELECT COUNT(*) FROM reading", "3;");
	assert_query(w, "SELECT in_gaps, lost_on_the_hub FROM is_anything_missing", "0 2;");
}

static void bury_range(struct world *w, uint64_t sequence, Wellgate__V1__Receipt__Kind of,
		       uint64_t last, char *reason)
{
	Wellgate__V1__Correction c =
		make_correction(sequence, WELLGATE__V1__CORRECTION__KIND__KIND_TOMBSTONE);

	c.has_first_sequence = c.has_last_sequence = c.has_lane = 1;
	c.first_sequence = 1;
	c.last_sequence = last;
	c.lane = of;
	c.reason = reason;
	deliver(w, "correction", &c.base);
}

/* where an epoch begins, it is said of each kind of numbers; nothing of that is lost */
static void an_epoch_may_begin_anywhere(void **state)
{
	static char reason[] = "before_epoch";
	struct world *w = *state;

	bury_range(w, 4, WELLGATE__V1__RECEIPT__KIND__KIND_READINGS, 99, reason);
	bury_range(w, 5, WELLGATE__V1__RECEIPT__KIND__KIND_RESULTS, 7, reason);
	assert_int_equal(lane(w, WELLGATE__V1__RECEIPT__KIND__KIND_CORRECTIONS)->committed, 0);
	bury_range(w, 6, WELLGATE__V1__RECEIPT__KIND__KIND_CORRECTIONS, 3, reason);
	deliver_one(w, 100, 1);
	assert_int_equal(readings(w)->committed, 100);
	assert_int_equal(lane(w, WELLGATE__V1__RECEIPT__KIND__KIND_RESULTS)->committed, 7);
	assert_int_equal(lane(w, WELLGATE__V1__RECEIPT__KIND__KIND_CORRECTIONS)->committed, 6);
	assert_query(w, "SELECT in_gaps, lost_on_the_hub FROM is_anything_missing", "0 0;");
	assert_query(w, "SELECT COUNT(*) FROM correction WHERE kind = 'epoch_begin'", "3;");
}

static void what_else_the_hub_lost_is_known(void **state)
{
	static char reason[] = "damaged";
	struct world *w = *state;

	bury_range(w, 1, WELLGATE__V1__RECEIPT__KIND__KIND_RESULTS, 7, reason);
	assert_query(w, "SELECT kind, reason FROM correction", "tombstone_result damaged;");
	/* of a kind that we do not know: not ours to take for another */
	bury_range(w, 2, (Wellgate__V1__Receipt__Kind)9, 7, reason);
	assert_query(w, "SELECT reason FROM dead_letter", "a kind of numbers that is not known;");
	assert_query(w, "SELECT COUNT(*) FROM sequence_log WHERE kind = 'reading'", "0;");
}

/* ---- others ---- */

static void test_data_stays_apart(void **state)
{
	struct world *w = *state;
	struct make_reading m;
	size_t len;

	make_reading(&m, 1, 1);
	len = make_batch(w->buf, sizeof(w->buf), MAKE_EPOCH, &m, 1);
	deliver_raw(w, TOPIC "test/reading/activity", w->buf, len);
	make_reading(&m, 2, 2);
	m.reading.n_flags = 1;
	m.flags[0] = WELLGATE__V1__FLAG__FLAG_TEST;
	deliver_readings(w, MAKE_EPOCH, &m, 1);
	assert_query(w, "SELECT test FROM reading", "1;1;");
	assert_query(w, "SELECT value FROM current_value", "");
	/* a rehearsal does not stand in for the real thing */
	deliver_one(w, 3, 1);
	assert_query(w, "SELECT value FROM current_value", "1001;");
	assert_int_equal(readings(w)->committed, 3);
}

static void results_have_numbers_of_their_own(void **state)
{
	struct world *w = *state;
	Wellgate__V1__GoalResult g = WELLGATE__V1__GOAL_RESULT__INIT;

	g.hub = make_text("hub1");
	g.has_epoch = g.has_sequence = g.has_revision = 1;
	g.epoch = MAKE_EPOCH;
	g.goal_id = make_text("walk");
	for (unsigned int i = 1; i <= 2; i++) {
		g.sequence = g.revision = i;
		deliver(w, "goal", &g.base);
	}
	deliver(w, "goal", &g.base);
	assert_int_equal(lane(w, WELLGATE__V1__RECEIPT__KIND__KIND_RESULTS)->committed, 2);
	assert_int_equal(lane(w, WELLGATE__V1__RECEIPT__KIND__KIND_RESULTS)->again, 1);
	assert_query(w, "SELECT goal_id, revision FROM current_goal_result", "walk 2;");
	g.words = make_text("another text under a number that is taken");
	deliver(w, "goal", &g.base);
	assert_query(w, "SELECT reason FROM dead_letter", "its number belongs to another message;");
}

static void status_tells_how_far_behind(void **state)
{
	struct world *w = *state;
	Wellgate__V1__HubStatus s = WELLGATE__V1__HUB_STATUS__INIT;

	s.hub = make_text("hub1");
	s.has_epoch = s.has_state = s.has_session = s.has_readings = 1;
	s.epoch = MAKE_EPOCH;
	s.session = 2;
	s.readings = 10;
	s.state = WELLGATE__V1__HUB_STATUS__STATE__STATE_ONLINE;
	deliver(w, "status", &s.base);
	assert_int_equal(w->receipt->n_lanes, 0); /* an answer all the same: somebody is here */
	deliver_one(w, 1, 1);
	assert_query(w, "SELECT state, announced, behind FROM lag", "online 10 9;");
	s.session = 1; /* the will of an earlier connection */
	s.has_readings = 0;
	s.state = WELLGATE__V1__HUB_STATUS__STATE__STATE_LOST;
	deliver(w, "status", &s.base);
	assert_query(w, "SELECT state FROM lag", "online;");
	s.session = 2;
	deliver(w, "status", &s.base);
	assert_query(w, "SELECT state, announced FROM lag", "lost 10;");
}

static void steps_are_not_counted_twice(void **state)
{
	struct world *w = *state;
	/* a total of the day as it grows, minutes within it, and an interval of its own */
	static const struct {
		int64_t begins, lasts, steps;
	} rows[] = {
		{ 0, 600000, 100 }, { 0, 1200000, 250 }, { 60000, 60000, 30 }, { 2000000, 60000, 7 }
	};
	struct make_reading m[4];

	for (uint8_t i = 0; i < 4; i++) {
		make_reading(&m[i], i + 1U, i);
		m[i].reading.measured_at_ms = MAKE_TIME + rows[i].begins;
		m[i].reading.has_duration_ms = 1;
		m[i].reading.duration_ms = rows[i].lasts;
		m[i].value.mantissa = rows[i].steps;
	}
	deliver_readings(w, MAKE_EPOCH, m, 4);
	assert_query(w,
		     "SELECT subject, local_date, steps, readings, is_largest FROM steps_per_day",
		     "subject-a 2026-11-18 257 2 1;");
}

static void hostile_messages_are_kept(void **state)
{
	struct world *w = *state;
	struct make_reading m[2];
	size_t len;

	deliver_raw(w, TOPIC "reading/bp", (const uint8_t *)"\xff\xff", 2);
	deliver_raw(w, TOPIC "reading/bp", (const uint8_t *)"\xff\xff", 2);
	deliver_raw(w, "some/\x1b[31mthing", (const uint8_t *)"x", 1);
	assert_query(w, "SELECT reason, topic, times FROM dead_letter ORDER BY dead_row",
		     "not the message that its topic says wellgate/v1/site/hub1/reading/bp 2;"
		     "the topic is not one of ours some/?[31mthing 1;");
	/* one bad reading does not take the good ones with it, and is not asked for again */
	make_reading(&m[0], 1, 1);
	make_reading(&m[1], 2, 2);
	m[0].reading.subject = make_text("\xff");
	deliver_readings(w, MAKE_EPOCH, m, 2);
	assert_int_equal(readings(w)->committed, 2);
	assert_int_equal(readings(w)->rows, 1);
	assert_int_equal(readings(w)->refused, 1);
	/* another hub's name in it */
	make_reading(&m[0], 3, 3);
	len = make_batch(w->buf, sizeof(w->buf), MAKE_EPOCH, m, 1);
	deliver_raw(w, "wellgate/v1/site/hub2/reading/activity", w->buf, len);
	assert_query(w, "SELECT COUNT(*) FROM reading", "1;");
	assert_query(w, "SELECT reason FROM dead_letter ORDER BY dead_row DESC LIMIT 1",
		     "the hub is not that of the topic;");
}

static void reports_are_lines(void **state)
{
	struct world *w = *state;
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);

	must(out);
	deliver_one(w, 3, 3);
	assert_int_equal(report_print(w->db, REPORT_GAPS, true, out), 0);
	assert_string_equal(text, "{\"hub\":\"site/hub1\",\"epoch\":\"feed000000000001\",\"kind\":"
				  "\"reading\",\"first\":1,\"last\":2,\"missing\":2}\n");
	rewind(out);
	assert_int_equal(report_print(w->db, REPORT_LETTERS, false, out), 0);
	assert_non_null(strstr(text, "there are no dead letters\n"));
	(void)fclose(out);
	free(text);
}

/* one writer; a reader is no trouble, and a reader of nothing is told so */
static void one_service_per_file(void **state)
{
	struct world *w = *state;
	struct db_options o = { .url = w->url };
	struct db *other = NULL;

	assert_int_equal(db_open(&o, &other), -EBUSY);
	o.read_only = true;
	assert_int_equal(db_open(&o, &other), 0);
	assert_true(db_run(other, "DELETE FROM hub", NULL, 0, NULL, NULL) < 0);
	db_close(other);
	o.url = "sqlite:/nowhere/at/all.db";
	assert_true(db_open(&o, &other) < 0);
	o.url = "nonsense:";
	assert_int_equal(db_open(&o, &other), -EINVAL);
}

static void a_later_schema_is_refused(void **state)
{
	struct world *w = *state;
	struct db_options o = { .url = w->url, .read_only = true };
	struct db *other = NULL;

	assert_int_equal(db_run(w->db, "INSERT INTO record_schema (version) VALUES (99)", NULL, 0,
				NULL, NULL),
			 0);
	assert_int_equal(db_open(&o, &other), -ENOTSUP);
	assert_int_equal(db_reopen(w->db), -ENOTSUP);
	assert_int_equal(ledger_begin(&w->ledger, MAKE_TIME), -ENOTCONN);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(once_and_in_order),
		TEST(gaps_are_known),
		TEST(ranges_are_right_whatever_the_order),
		TEST(many_ranges_are_said_to_be_many),
		TEST(another_epoch_is_another_log),
		TEST(a_number_used_twice_is_a_dead_letter),
		TEST(a_rollback_leaves_nothing),
		TEST(whose_it_is_follows_the_last_correction),
		TEST(a_later_revision_takes_the_place),
		TEST(retracted_readings_do_not_count),
		TEST(what_the_hub_lost_is_known),
		TEST(what_else_the_hub_lost_is_known),
		TEST(an_epoch_may_begin_anywhere),
		TEST(test_data_stays_apart),
		TEST(results_have_numbers_of_their_own),
		TEST(status_tells_how_far_behind),
		TEST(steps_are_not_counted_twice),
		TEST(hostile_messages_are_kept),
		TEST(reports_are_lines),
		TEST(one_service_per_file),
		TEST(a_later_schema_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
