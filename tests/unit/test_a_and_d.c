/* links: drivers */
/* What a capture cannot say: a device that refuses to be read or set; late commits. */
#include "tests/unit/driver_test.h"

#define QUIRK_DELETE 1

static const char pressure[] = "16 7f00 5100 6000 ea07050c120000 4200 0000";

static void test_a_clock_that_cannot_be_read(void **state)
{
	struct bench b = { 0 };

	(void)state;
	bench_begin(&b, "a_and_d", 0, NULL, true);
	assert_said(&b, "read:2a08 ");
	refuse(&b, 0x2a08, 0x02);
	assert_said(&b, "write:2a08:ea07050c123528 "); /* 18:53:40 */
	indicate(&b, 0x2a35, pressure);
	assert_false(b.last.has_clock_offset);
	assert_false(b.last.flags & FLAG_BIT(FLAG_CLOCK_NOT_SET));
	/* nor does this hub know it: nothing can be done, and the device keeps what it has */
	bench_begin(&b, "a_and_d", 0, NULL, false);
	refuse(&b, 0x2a08, 0x02);
	assert_said(&b, "read:2a08 close ");
	bench_end(&b);
}

static void test_a_clock_that_cannot_be_set(void **state)
{
	const struct session_memory memory = { .kept = { 0xea, 7, 5, 12, 7, 0, 0 }, .kept_len = 7 };
	struct bench b = { 0 };

	(void)state;
	bench_begin(&b, "a_and_d", 0, &memory, true);
	notify(&b, 0x2a08, "ea07050c110000");
	assert_said(&b, "read:2a08 write:2a08:ea07050c123528 kept:7 ");
	assert_memory_equal(b.memory.kept, "\xea\x07\x05\x0c\x12\x35\x28", 7);
	refuse(&b, 0x2a08, 0x03);
	assert_said(&b, "kept:7 "); /* as it was */
	assert_memory_equal(b.memory.kept, memory.kept, 7);
	refuse(&b, 0x2a08, 0x03);
	refuse(&b, 0x2a35, 0x03);
	assert_said(&b, "");
	bench_end(&b);
}

/* asked once; what it says later is not a reason to set it again */
static void test_set_once(void **state)
{
	struct bench b = { 0 };

	(void)state;
	bench_begin(&b, "a_and_d", 0, NULL, true);
	notify(&b, 0x2a08, "ea07050c123400");
	assert_said(&b, "read:2a08 write:2a08:ea07050c123528 kept:7 ");
	notify(&b, 0x2a08, "ea07050c110000");
	assert_said(&b, "");
	indicate(&b, 0x2a35, pressure);
	assert_int_equal(b.last.clock_offset_ms, 100000); /* by the first */
	bench_end(&b);
}

/* to the second: a minute off is right, and a second more is not */
static void test_a_minute(void **state)
{
	static const struct {
		const char *device;
		bool kept;
	} rows[] = {
		{ "ea07050c123428", false }, { "ea07050c123427", true },
		{ "ea07050c123628", false }, { "ea07050c123629", true },
		{ "0000050c123528", true },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct bench b = { 0 };

		bench_begin(&b, "a_and_d", 0, NULL, true);
		notify(&b, 0x2a08, rows[i].device);
		assert_int_equal(strstr(b.log, "kept") != NULL, rows[i].kept);
		assert_non_null(strstr(b.log, "write:2a08:ea07050c123528"));
		bench_end(&b);
	}
}

static void test_deleted_only_when_all_is_durable(void **state)
{
	struct bench b = { 0 };

	(void)state;
	bench_begin(&b, "a_and_d", QUIRK_DELETE, NULL, true);
	notify(&b, 0x2a08, "ea07050c123528");
	b.log[0] = '\0';
	indicate(&b, 0x2a35, pressure);
	assert_said(&b, "reading timer:0 ");
	fire(&b, 5000000); /* whatever made it ring */
	assert_said(&b, "");
	commit(&b);
	assert_said(&b, "confirm:2a35 timer:1000 ");
	indicate(&b, 0x2a35, pressure);
	assert_said(&b, "reading timer:0 ");
	fire(&b, 5000000);
	assert_said(&b, "");
	commit(&b);
	b.log[0] = '\0';
	fire(&b, 1000000);
	assert_said(&b, "write:f001:020112 ");
	/* without the quirk: never */
	bench_begin(&b, "a_and_d", 0, NULL, true);
	notify(&b, 0x2a08, "ea07050c123528");
	indicate(&b, 0x2a35, pressure);
	b.log[0] = '\0';
	commit(&b);
	assert_said(&b, "confirm:2a35 ");
	bench_end(&b);
}

/* nothing is deleted after a frame that was not understood: it is still in the device */
static void test_not_deleted_after_a_spoiled_frame(void **state)
{
	struct bench b = { 0 };

	(void)state;
	bench_begin(&b, "a_and_d", QUIRK_DELETE, NULL, true);
	notify(&b, 0x2a08, "ea07050c123528");
	indicate(&b, 0x2a35, pressure);
	commit(&b);
	b.log[0] = '\0';
	assert_int_equal(bench_give(&b, 0x2a35, "16 7f00", true), -EMSGSIZE);
	assert_non_null(strstr(b.log, "fault:2a35:length"));
	b.log[0] = '\0';
	fire(&b, 1000000);
	assert_said(&b, "");
	indicate(&b, 0x2a35, pressure);
	commit(&b);
	fire(&b, 1000000);
	assert_null(strstr(b.log, "f001"));
	bench_end(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_clock_that_cannot_be_read),
		cmocka_unit_test(test_a_clock_that_cannot_be_set),
		cmocka_unit_test(test_set_once),
		cmocka_unit_test(test_a_minute),
		cmocka_unit_test(test_deleted_only_when_all_is_durable),
		cmocka_unit_test(test_not_deleted_after_a_spoiled_frame),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
