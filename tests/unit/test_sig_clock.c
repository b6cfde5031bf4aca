/* links: drivers */
/* Setting a clock, seen through the cuff's driver: late commits, refusals, a minute exactly. */
#include "tests/unit/driver_test.h"

static const char good[] = "02 7f00 5100 6000 ea07050c070000";
static const char error[] = "02 ff07 ff07 ff07 ea07050c070100";

static void begin(struct bench *b, const char *clock)
{
	bench_begin(b, "blood_pressure", 0, NULL, true);
	notify(b, 0x2a2b, clock);
	assert_said(b, "");
}

static void test_a_minute(void **state)
{
	static const struct {
		const char *device; /* the hub has 18:53:40 */
		bool set;
	} rows[] = {
		{ "ea07050c123428020000", false }, { "ea07050c123427020000", true },
		{ "ea07050c123628020000", false }, { "ea07050c123629020000", true },
		{ "00000000000000000000", true },  { "ea0700000c0000000000", true },
		{ "d10701010c0000010000", true },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct bench b = { 0 };

		begin(&b, rows[i].device);
		indicate(&b, 0x2a35, good);
		commit(&b);
		fire(&b, 1000000);
		assert_int_equal(strstr(b.log, "write:2a2b") != NULL, rows[i].set);
		bench_end(&b);
	}
}

static void test_not_before_all_is_durable(void **state)
{
	struct bench b = { 0 };

	(void)state;
	begin(&b, "ea07050c110000020000");
	fire(&b, 1000000); /* no reading yet */
	assert_said(&b, "");
	indicate(&b, 0x2a35, error); /* is none */
	assert_said(&b, "news confirm:2a35 timer:1000 ");
	fire(&b, 1000000);
	assert_said(&b, "");
	indicate(&b, 0x2a35, good);
	assert_said(&b, "reading timer:1000 ");
	fire(&b, 1000000); /* not durable yet */
	assert_said(&b, "");
	commit(&b);
	assert_said(&b, "confirm:2a35 timer:1000 ");
	indicate(&b, 0x2a35, good);
	assert_said(&b, "reading timer:1000 ");
	fire(&b, 1000000); /* nor is this one */
	assert_said(&b, "");
	commit(&b);
	assert_said(&b, "confirm:2a35 timer:1000 ");
	fire(&b, 1000000);
	/* Tuesday; set by an external reference */
	assert_said(&b, "write:2a2b:ea07050c12352d020002 read:2a2b ");
	/* what is still on its way has the old stamps, and the old offset */
	indicate(&b, 0x2a35, good);
	assert_int_equal(b.last.clock_offset_ms, 6820000);
	assert_said(&b, "reading ");
	fire(&b, 1000000);
	assert_said(&b, "");
	notify(&b, 0x2a2b, "ea07050c12352d020002");
	assert_said(&b, ""); /* it is done, and waits for the commit */
	assert_true(session_is_done(b.session));
	commit(&b);
	assert_said(&b, "confirm:2a35 close ");
	assert_int_equal(b.last.clock_offset_ms, 6820000);
	bench_end(&b);
}

static void test_refused(void **state)
{
	struct bench b = { 0 };

	(void)state;
	begin(&b, "ea07050c110000020000");
	refuse(&b, 0x2a2b, 0x03); /* before anything was asked */
	assert_said(&b, "");
	indicate(&b, 0x2a35, good);
	commit(&b);
	fire(&b, 1000000);
	b.log[0] = '\0';
	refuse(&b, 0x2a35, 0x03);
	assert_said(&b, "");
	refuse(&b, 0x2a2b, 0x03);
	assert_said(&b, "close ");
	bench_end(&b);
}

static void test_bad_clocks(void **state)
{
	struct bench b = { 0 };

	(void)state;
	bench_begin(&b, "blood_pressure", 0, NULL, true);
	assert_int_equal(bench_give(&b, 0x2a2b, "ea07050c1100000200", false), -EMSGSIZE);
	assert_int_equal(bench_give(&b, 0x2a2b, "ea07050c190000020000", false), -ERANGE);
	b.log[0] = '\0';
	indicate(&b, 0x2a35, good);
	commit(&b);
	fire(&b, 1000000);
	assert_said(&b, "reading confirm:2a35 ");
	/* read back as rubbish: it may be set or not, and that is the end of this link too */
	begin(&b, "ea07050c110000020000");
	indicate(&b, 0x2a35, good);
	commit(&b);
	fire(&b, 1000000);
	assert_int_equal(bench_give(&b, 0x2a2b, "00", false), -EMSGSIZE);
	assert_true(session_is_done(b.session));
	b.log[0] = '\0';
	fire(&b, 1000000);
	assert_said(&b, "");
	bench_end(&b);
}

/* of two, the one that is more exact is set */
static void test_two_clocks(void **state)
{
	struct bench b = { 0 };

	(void)state;
	begin(&b, "ea07050c110000020000");
	notify(&b, 0x2a08, "ea07050c123500");
	indicate(&b, 0x2a35, good);
	assert_int_equal(b.last.clock_offset_ms, 6820000);
	commit(&b);
	b.log[0] = '\0';
	fire(&b, 1000000);
	assert_said(&b, "write:2a2b:ea07050c123529020002 read:2a2b ");
	bench_end(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_minute),   cmocka_unit_test(test_not_before_all_is_durable),
		cmocka_unit_test(test_refused),    cmocka_unit_test(test_bad_clocks),
		cmocka_unit_test(test_two_clocks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
