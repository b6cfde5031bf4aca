/* links: drivers */
/*
 * A glucose meter whose memory the operator wants to be empty: the whole conversation, each way in
 * which it can go wrong, and that nothing is taken for empty that was not read back empty. All
 * values are made up.
 */
#include "tests/unit/driver_test.h"

#define CONTROL 0x2a52
#define RECORD  0x2a18
#define CONTEXT 0x2a34

#define ASK_ALL   "write:2a52:0101 timer:30000 "
#define ASK_COUNT "write:2a52:0401 timer:30000 "
#define END       "timer:0 close "

/* the meter's answers */
#define REPORTED  "06 00 01 01"
#define NOTHING   "06 00 01 06"
#define DELETED   "06 00 02 01"
#define NO_NUMBER "06 00 04 02"

static void begin(struct bench *b)
{
	const struct session_sink sink = { .measurement = bench_measurement,
					   .request = bench_request,
					   .confirm = bench_confirm,
					   .fault = bench_fault,
					   .user = b };

	*b = (struct bench){ .next_seq = 1 };
	assert_int_equal(
		session_new(registry_by_name("glucose_meter"), 0, &sink, &b->next_seq, &b->session),
		0);
	assert_int_equal(session_ask_wipe(b->session), 0);
	assert_int_equal(session_open(b->session, LINK_ENCRYPTED, 0), 0);
	assert_said(b, ASK_ALL);
}

/* mg/dL 100; flags 12: its context follows */
static void record(struct bench *b, unsigned int number, bool context)
{
	char hex[64];

	(void)snprintf(hex, sizeof(hex), "%s %02x%02x ea07050c120000 64b0 11",
		       context ? "12" : "02", number & 0xff, number >> 8);
	notify(b, RECORD, hex);
}

/* The ordinary visit is over, all is durable, and the wipe has begun. */
static void visit(struct bench *b, unsigned int first, unsigned int last)
{
	begin(b);
	for (unsigned int i = first; i <= last; i++)
		record(b, i, false);
	b->log[0] = '\0';
	indicate(b, CONTROL, last >= first ? REPORTED : NOTHING);
	if (last < first) {
		assert_said(b, "confirm:2a52 timer:0 " ASK_ALL);
		return;
	}
	assert_said(b, "confirm:2a52 timer:0 "); /* nothing is asked before it is durable */
	commit(b);
	assert_said(b, ASK_ALL);
}

/* ... its records came once more, and it is asked how many they are. */
static void counted(struct bench *b, unsigned int first, unsigned int last)
{
	visit(b, first, last);
	for (unsigned int i = first; i <= last; i++)
		record(b, i, false);
	b->log[0] = '\0';
	indicate(b, CONTROL, REPORTED);
	assert_said(b, "confirm:2a52 timer:0 ");
	commit(b);
	assert_said(b, ASK_COUNT);
}

static void check(struct bench *b, enum drv_wipe outcome, uint32_t records)
{
	assert_int_equal(session_wiped(b->session)->outcome, outcome);
	assert_int_equal(session_wiped(b->session)->records, records);
	bench_end(b);
}

static void test_all_of_it(void **state)
{
	struct bench b;

	(void)state;
	counted(&b, 1, 3);
	indicate(&b, CONTROL, "05 00 03 00");
	assert_said(&b, "confirm:2a52 write:2a52:0202010300 timer:30000 ");
	indicate(&b, CONTROL, DELETED);
	assert_said(&b, "confirm:2a52 " ASK_COUNT);
	assert_int_equal(session_wiped(b.session)->outcome, 0);
	indicate(&b, CONTROL, "05 00 00 00");
	assert_said(&b, "confirm:2a52 " END);
	check(&b, DRV_WIPE_PROVEN, 3);
}

static void test_empty_already(void **state)
{
	struct bench b;

	(void)state;
	visit(&b, 1, 0);
	indicate(&b, CONTROL, NOTHING);
	assert_said(&b, "confirm:2a52 " ASK_COUNT);
	indicate(&b, CONTROL, "06 00 04 06"); /* as good as the number 0 */
	assert_said(&b, "confirm:2a52 " END);
	check(&b, DRV_WIPE_PROVEN, 0);
}

/* The commit may come in the middle of the report; what came after it is not durable by it. */
static void test_nothing_is_deleted_before_it_is_durable(void **state)
{
	struct bench b;

	(void)state;
	visit(&b, 1, 2);
	record(&b, 1, false);
	commit(&b);
	record(&b, 2, false);
	b.log[0] = '\0';
	indicate(&b, CONTROL, REPORTED);
	assert_said(&b, "confirm:2a52 timer:0 ");
	assert_int_equal(session_committed(b.session, b.next_seq - 2, b.now), 0);
	assert_said(&b, "");
	commit(&b);
	assert_said(&b, ASK_COUNT);
	bench_end(&b);
}

/* The link ends at each step: nothing is known, and nothing says otherwise. */
static void test_lost_at_each_step(void **state)
{
	static const char *const answers[] = { "05 00 02 00", DELETED, "05 00 00 00" };

	(void)state;
	for (size_t steps = 0; steps < 3; steps++) {
		struct bench b;

		counted(&b, 1, 2);
		for (size_t i = 0; i < steps; i++)
			indicate(&b, CONTROL, answers[i]);
		session_close(b.session, b.now);
		check(&b, 0, 0);
	}
}

static void test_silent_at_each_step(void **state)
{
	static const char *const answers[] = { "05 00 02 00", DELETED };

	(void)state;
	for (size_t steps = 0; steps < 3; steps++) {
		struct bench b;

		counted(&b, 1, 2);
		for (size_t i = 0; i < steps; i++)
			indicate(&b, CONTROL, answers[i]);
		assert_int_equal(session_timeout(b.session, b.now), -ETIMEDOUT);
		check(&b, 0, 0);
	}
}

static void test_it_cannot_delete(void **state)
{
	static const char *const answers[] = { "06 00 02 02", "06 00 02 03", "06 00 02 04",
					       "06 00 02 05", "06 00 02 09" };

	(void)state;
	for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
		struct bench b;

		counted(&b, 1, 2);
		indicate(&b, CONTROL, "05 00 02 00");
		b.log[0] = '\0';
		indicate(&b, CONTROL, answers[i]);
		assert_said(&b, "confirm:2a52 " END); /* least of all "delete all" */
		check(&b, DRV_WIPE_REFUSED, 2);
	}
}

static void test_it_does_not_tell_how_many(void **state)
{
	struct bench b;

	(void)state;
	counted(&b, 1, 2);
	indicate(&b, CONTROL, NO_NUMBER);
	assert_said(&b, "confirm:2a52 " END);
	check(&b, DRV_WIPE_REFUSED, 2);
	counted(&b, 1, 2);
	indicate(&b, CONTROL, "05 00 02 00");
	indicate(&b, CONTROL, DELETED);
	indicate(&b, CONTROL, NO_NUMBER);
	check(&b, DRV_WIPE_LEFT, 2);
}

/* deleted in part, or a new one was measured meanwhile */
static void test_something_is_left(void **state)
{
	static const char *const deleted[] = { DELETED, "06 00 02 06", "06 00 02 08" };

	(void)state;
	for (size_t i = 0; i < sizeof(deleted) / sizeof(deleted[0]); i++) {
		struct bench b;

		counted(&b, 1, 2);
		indicate(&b, CONTROL, "05 00 02 00");
		indicate(&b, CONTROL, deleted[i]);
		indicate(&b, CONTROL, "05 00 01 00");
		check(&b, DRV_WIPE_LEFT, 2);
	}
}

/* One more than came, or one less: something was not heard. */
static void test_another_number(void **state)
{
	static const char *const numbers[] = { "05 00 03 00", "05 00 01 00", "05 00 00 00",
					       "06 00 04 06" };

	(void)state;
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		struct bench b;

		counted(&b, 1, 2);
		indicate(&b, CONTROL, numbers[i]);
		assert_said(&b, "confirm:2a52 " END);
		check(&b, DRV_WIPE_UNREAD, 2);
	}
}

static void test_spoiled_record(void **state)
{
	struct bench b;

	(void)state;
	visit(&b, 1, 2);
	record(&b, 1, false);
	assert_int_equal(bench_give(&b, RECORD, "02 0200 ea07", false), -EMSGSIZE);
	indicate(&b, CONTROL, REPORTED);
	check(&b, DRV_WIPE_UNREAD, 1);
}

/* The same one twice, and another not at all, add up to the right number. */
static void test_one_comes_twice(void **state)
{
	struct bench b;

	(void)state;
	visit(&b, 1, 2);
	record(&b, 1, false);
	record(&b, 1, false);
	indicate(&b, CONTROL, REPORTED);
	check(&b, DRV_WIPE_UNREAD, 1);
}

static void test_context_did_not_come(void **state)
{
	struct bench b;

	(void)state;
	visit(&b, 1, 2);
	record(&b, 1, true);
	notify(&b, CONTEXT, "02 0100 01");
	record(&b, 2, true);
	indicate(&b, CONTROL, REPORTED);
	check(&b, DRV_WIPE_UNREAD, 2);
	visit(&b, 1, 1);
	record(&b, 1, true);
	notify(&b, CONTEXT, "02 0100 01");
	indicate(&b, CONTROL, REPORTED);
	commit(&b);
	indicate(&b, CONTROL, "05 00 01 00");
	indicate(&b, CONTROL, DELETED);
	indicate(&b, CONTROL, "05 00 00 00");
	check(&b, DRV_WIPE_PROVEN, 1);
}

/* Measured while it is counted: it is not durable yet, so nothing may be deleted. */
static void test_a_new_one_meanwhile(void **state)
{
	struct bench b;

	(void)state;
	counted(&b, 1, 2);
	record(&b, 3, false);
	indicate(&b, CONTROL, "05 00 02 00");
	check(&b, DRV_WIPE_UNREAD, 2);
}

/* The number after 65535 is 0: a new one would be among those up to the highest. */
static void test_numbers_begin_again(void **state)
{
	struct bench b;

	(void)state;
	counted(&b, 65534, 65535);
	indicate(&b, CONTROL, "05 00 02 00");
	assert_said(&b, "confirm:2a52 " END);
	check(&b, DRV_WIPE_REFUSED, 2);
	visit(&b, 1, 1);
	record(&b, 65534, false);
	record(&b, 0, false);
	indicate(&b, CONTROL, REPORTED);
	check(&b, DRV_WIPE_UNREAD, 1);
}

/* by its ATT server, for example: a procedure is in progress */
static void test_a_write_is_refused(void **state)
{
	static const enum drv_wipe outcomes[] = { DRV_WIPE_REFUSED, DRV_WIPE_REFUSED,
						  DRV_WIPE_LEFT };
	static const char *const answers[] = { "05 00 02 00", DELETED };
	struct bench b;

	(void)state;
	visit(&b, 1, 2);
	refuse(&b, CONTROL, 0xfe);
	check(&b, DRV_WIPE_UNREAD, 0);
	for (size_t steps = 0; steps < 3; steps++) {
		counted(&b, 1, 2);
		for (size_t i = 0; i < steps; i++)
			indicate(&b, CONTROL, answers[i]);
		refuse(&b, CONTROL, 0xfe);
		check(&b, outcomes[steps], 2);
	}
}

/* An answer to another question is no answer. */
static void test_answers_out_of_turn(void **state)
{
	static const char *const wrong[] = { REPORTED, DELETED, "06 00 01 06" };

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		struct bench b;

		counted(&b, 1, 2);
		assert_int_equal(bench_give(&b, CONTROL, wrong[i], true), -ENOMSG);
		check(&b, 0, 0);
	}
}

static void test_not_asked(void **state)
{
	struct bench b = { .session = NULL };

	(void)state;
	bench_begin(&b, "glucose_meter", 0, NULL, false);
	record(&b, 1, false);
	b.log[0] = '\0';
	indicate(&b, CONTROL, REPORTED);
	commit(&b);
	assert_said(&b, "confirm:2a52 timer:0 close ");
	assert_int_equal(session_wiped(b.session)->outcome, 0);
	bench_end(&b);
	bench_begin(&b, "heart_rate", 0, NULL, false);
	assert_int_equal(session_ask_wipe(b.session), -EOPNOTSUPP);
	bench_end(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all_of_it),
		cmocka_unit_test(test_empty_already),
		cmocka_unit_test(test_nothing_is_deleted_before_it_is_durable),
		cmocka_unit_test(test_lost_at_each_step),
		cmocka_unit_test(test_silent_at_each_step),
		cmocka_unit_test(test_it_cannot_delete),
		cmocka_unit_test(test_it_does_not_tell_how_many),
		cmocka_unit_test(test_something_is_left),
		cmocka_unit_test(test_another_number),
		cmocka_unit_test(test_spoiled_record),
		cmocka_unit_test(test_one_comes_twice),
		cmocka_unit_test(test_context_did_not_come),
		cmocka_unit_test(test_a_new_one_meanwhile),
		cmocka_unit_test(test_numbers_begin_again),
		cmocka_unit_test(test_a_write_is_refused),
		cmocka_unit_test(test_answers_out_of_turn),
		cmocka_unit_test(test_not_asked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
