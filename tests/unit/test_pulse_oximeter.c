/* links: drivers */
/* What a capture cannot say: a memory that may not be read, and a commit that takes its time. */
#include "tests/unit/driver_test.h"

static const char spot[] = "01 6100 4800 ea07050c070000";

static void begin(struct bench *b)
{
	bench_begin(b, "pulse_oximeter", 0, NULL, true);
	notify(b, 0x2a2b, "ea07050c110000020000"); /* an hour and more behind */
	notify(b, 0x2a60, "0400");
	assert_said(b, "write:2a52:0101 timer:30000 ");
}

static bool is_backfill(const struct bench *b)
{
	return b->last.flags & FLAG_BIT(FLAG_BACKFILL);
}

/* what may be stored keeps its clock: it is not set on this link */
static void test_a_memory_that_may_not_be_read(void **state)
{
	struct bench b = { 0 };

	(void)state;
	begin(&b);
	refuse(&b, 0x2a52, 0x03);
	assert_said(&b, "timer:0 ");
	indicate(&b, 0x2a5e, spot);
	assert_false(is_backfill(&b));
	commit(&b);
	fire(&b, 1000000);
	assert_said(&b, "reading confirm:2a5e ");
	bench_end(&b);
}

static void test_the_wait_is_for_the_device_only(void **state)
{
	struct bench b = { 0 };

	(void)state;
	begin(&b);
	indicate(&b, 0x2a5e, spot);
	b.log[0] = '\0';
	fire(&b, 30000000); /* the commit takes its time */
	assert_said(&b, "timer:30000 ");
	commit(&b);
	assert_said(&b, "confirm:2a5e timer:1000 timer:30000 ");
	indicate(&b, 0x2a5e, "01 6000 4700 ea07050c080000");
	assert_true(is_backfill(&b));
	commit(&b);
	b.log[0] = '\0';
	fire(&b, 30000000); /* it fell silent */
	assert_said(&b, "");
	indicate(&b, 0x2a5e, "01 6200 4700 ea07050c090000");
	assert_false(is_backfill(&b));
	commit(&b);
	fire(&b, 1000000);
	assert_null(strstr(b.log, "2a2b"));
	bench_end(&b);
}

static void test_answers(void **state)
{
	struct bench b = { 0 };

	(void)state;
	begin(&b);
	indicate(&b, 0x2a52, "06000201"); /* to another request */
	assert_said(&b, "confirm:2a52 ");
	notify(&b, 0x2a60, "0400"); /* asked already */
	assert_said(&b, "");
	indicate(&b, 0x2a52, "06000108"); /* not completed: what came, came */
	assert_said(&b, "confirm:2a52 timer:1000 ");
	indicate(&b, 0x2a52, "06000101");
	assert_said(&b, "confirm:2a52 ");
	assert_int_equal(bench_give(&b, 0x2a52, "0101", true), -ENOMSG);
	bench_end(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_memory_that_may_not_be_read),
		cmocka_unit_test(test_the_wait_is_for_the_device_only),
		cmocka_unit_test(test_answers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
