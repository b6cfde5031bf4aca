/* links: drivers */
/* What a capture cannot say: refused requests, late commits, a memory that is full. */
#include "tests/unit/driver_test.h"

#define KEPT_WEIGHINGS 8

static const struct session_memory two_users = {
	.consents = { { .slot = 1, .code = 1234 }, { .slot = 2, .code = 4321 } },
	.n_consents = 2,
};
static const struct session_memory new_user = {
	.consents = { { .slot = DRV_SLOT_NEW, .code = 7007 } },
	.n_consents = 1,
};

static void test_no_consent_no_question(void **state)
{
	struct bench b = { 0 };

	(void)state;
	bench_begin(&b, "weight_scale", 0, NULL, true);
	assert_said(&b, "");
	indicate(&b, 0x2a9f, "200201");
	assert_said(&b, "confirm:2a9f ");
	bench_end(&b);
}

/* the scale will not hear of it (no bond yet, say): that is not the code's fault */
static void test_a_refused_write_says_nothing_of_the_code(void **state)
{
	struct bench b = { 0 };

	(void)state;
	bench_begin(&b, "weight_scale", 0, &two_users, false);
	assert_said(&b, "write:2a9f:0201d204 timer:30000 ");
	refuse(&b, 0x2a9f, 0x05);
	assert_said(&b, "timer:1000 ");
	refuse(&b, 0x2a9f, 0x05);
	fire(&b, 1000000);
	assert_said(&b, ""); /* and the next user is not tried */
	/* neither is a user made */
	bench_begin(&b, "weight_scale", 0, &new_user, false);
	assert_said(&b, "write:2a9f:015f1b timer:30000 ");
	refuse(&b, 0x2a9f, 0x05);
	assert_said(&b, "timer:1000 ");
	session_close(b.session, b.now);
	assert_said(&b, "");
	bench_end(&b);
}

static void test_a_silent_scale(void **state)
{
	struct bench b = { 0 };

	(void)state;
	bench_begin(&b, "weight_scale", 0, &two_users, false);
	assert_said(&b, "write:2a9f:0201d204 timer:30000 ");
	fire(&b, 30000000);
	assert_said(&b, "timer:1000 ");
	indicate(&b, 0x2a9f, "200201"); /* too late */
	assert_said(&b, "confirm:2a9f ");
	bench_begin(&b, "weight_scale", 0, &new_user, false);
	assert_said(&b, "write:2a9f:015f1b timer:30000 ");
	fire(&b, 30000000);
	assert_said(&b, "refused:0:255 timer:1000 kept:0 ");
	session_close(b.session, b.now);
	assert_said(&b, "");
	bench_end(&b);
}

static void test_the_next_user_waits_for_the_commit(void **state)
{
	struct bench b = { 0 };

	(void)state;
	bench_begin(&b, "weight_scale", 0, &two_users, false);
	indicate(&b, 0x2a9f, "200201");
	b.log[0] = '\0';
	indicate(&b, 0x2a9d, "06 783e ea07050c123536 01");
	assert_said(&b, "reading timer:1000 ");
	fire(&b, 1000000);
	assert_said(&b, "");
	commit(&b);
	assert_said(&b, "confirm:2a9d timer:1000 ");
	/* one that failed is heard too */
	indicate(&b, 0x2a9d, "06 ffff ea07050c123600 01");
	assert_said(&b, "news confirm:2a9d timer:1000 ");
	fire(&b, 1000000);
	assert_said(&b, "write:2a9f:0202e110 timer:30000 ");
	/* an answer to another request is not ours */
	indicate(&b, 0x2a9f, "20010107");
	assert_said(&b, "confirm:2a9f ");
	indicate(&b, 0x2a9f, "200205");
	assert_said(&b, "refused:1:2 confirm:2a9f timer:1000 kept:0 ");
	bench_end(&b);
}

/* the one that was refused needs a person, whatever the other says */
static void test_good_after_refused(void **state)
{
	struct bench b = { 0 };

	(void)state;
	bench_begin(&b, "weight_scale", 0, &two_users, false);
	b.log[0] = '\0';
	indicate(&b, 0x2a9f, "200205");
	assert_said(&b, "refused:0:1 confirm:2a9f write:2a9f:0202e110 timer:30000 kept:0 ");
	indicate(&b, 0x2a9f, "200201");
	assert_said(&b, "confirm:2a9f timer:1000 ");
	indicate(&b, 0x2a9d, "06 783e ea07050c123536 02"); /* and is read all the same */
	assert_said(&b, "reading timer:1000 ");
	bench_end(&b);
}

/* a wrong code is not tried again on every link: some scales lock their users */
static void test_refused_before(void **state)
{
	struct session_memory users = two_users;
	struct bench b = { 0 };

	(void)state;
	users.consents[0].refused = true;
	bench_begin(&b, "weight_scale", 0, &users, false);
	assert_said(&b, "write:2a9f:0202e110 timer:30000 ");
	indicate(&b, 0x2a9f, "200201");
	assert_said(&b, "confirm:2a9f timer:1000 "); /* still not good news for all */
	bench_end(&b);
}

static void test_bad_answers(void **state)
{
	static const struct {
		const char *hex;
		int r;
	} rows[] = {
		{ "", -EMSGSIZE },       { "20", -EMSGSIZE },         { "2001", -EMSGSIZE },
		{ "200101", -EMSGSIZE }, { "20010100ff", -EMSGSIZE }, { "200100", -ERANGE },
		{ "200106", -ERANGE },   { "015f1b", -ENOMSG },       { "200101ff", -ERANGE },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct bench b = { 0 };

		bench_begin(&b, "weight_scale", 0, &new_user, false);
		b.log[0] = '\0';
		assert_int_equal(bench_give(&b, 0x2a9f, rows[i].hex, true), rows[i].r);
		assert_null(strstr(b.log, "made"));
		assert_null(strstr(b.log, "confirm"));
		/* still asked: the answer may come yet */
		indicate(&b, 0x2a9f, "20010104");
		assert_non_null(strstr(b.log, "made:0:4"));
		assert_int_equal(b.memory.consents[0].slot, 4);
		assert_int_equal(b.memory.consents[0].code, 7007);
		bench_end(&b);
	}
}

static void test_a_code_that_is_none(void **state)
{
	const struct session_memory memory = { .consents = { { .slot = 1, .code = 10000 },
							     { .slot = 2, .code = 4321 } },
					       .n_consents = 2 };
	struct bench b = { 0 };

	(void)state;
	bench_begin(&b, "weight_scale", 0, &memory, false);
	assert_said(&b, "refused:0:1 write:2a9f:0202e110 timer:30000 kept:0 ");
	bench_end(&b);
}

/* the increment is written once, after a registration, and wraps as it may */
static void test_change_increment(void **state)
{
	struct bench b = { 0 };

	(void)state;
	bench_begin(&b, "weight_scale", 0, &two_users, false);
	indicate(&b, 0x2a9f, "200201");
	b.log[0] = '\0';
	notify(&b, 0x2a99, "01000000");
	assert_said(&b, "");
	bench_begin(&b, "weight_scale", 0, &new_user, false);
	notify(&b, 0x2a99, "01000000");
	assert_null(strstr(b.log, "2a99"));
	indicate(&b, 0x2a9f, "20010104");
	indicate(&b, 0x2a9f, "200201");
	b.log[0] = '\0';
	notify(&b, 0x2a99, "ffffffff");
	assert_said(&b, "write:2a99:00000000 ");
	notify(&b, 0x2a99, "00000000");
	assert_said(&b, "");
	bench_end(&b);
}

/* ---- weights that are said twice ---- */

/* weighing number i of user 1, at 07:00:i */
static void weigh(struct bench *b, unsigned int i)
{
	char hex[64];

	(void)snprintf(hex, sizeof(hex), "06 %02x3e ea07050c0700%02x 01", i, i);
	indicate(b, 0x2a9d, hex);
	commit(b);
}

static void compose(struct bench *b, unsigned int i)
{
	char hex[64];

	(void)snprintf(hex, sizeof(hex), "0604 e700 ea07050c0700%02x 01 %02x3e", i, i);
	indicate(b, 0x2a9c, hex);
	commit(b);
}

static bool has_weight(const struct bench *b)
{
	for (unsigned int i = 0; i < b->last.n_parts; i++) {
		if (b->last.parts[i].metric == METRIC_BODY_WEIGHT)
			return true;
	}
	return false;
}

static void test_the_newest_weighings_are_kept(void **state)
{
	struct session_memory memory = { 0 };
	struct bench b = { 0 };

	(void)state;
	for (int link = 0; link < 2; link++) { /* also when half of it was kept before */
		bench_begin(&b, "weight_scale", 0, &memory, false);
		notify(&b, 0x2a9b, "03020000");
		for (unsigned int i = 1; i <= 20; i++)
			weigh(&b, i);
		for (unsigned int i = 1; i <= 20; i++) {
			compose(&b, i);
			assert_false(has_weight(&b));
		}
		memory = b.memory;
		assert_int_equal(memory.kept_len, DRV_KEPT_MAX);
	}
	bench_begin(&b, "weight_scale", 0, &memory, false);
	for (unsigned int i = 1; i <= 20; i++) {
		compose(&b, i);
		assert_int_equal(has_weight(&b), i <= 20 - KEPT_WEIGHINGS);
	}
	bench_end(&b);
}

static void test_what_came_twice_is_kept_once(void **state)
{
	struct bench b = { 0 };

	(void)state;
	bench_begin(&b, "weight_scale", 0, NULL, false);
	notify(&b, 0x2a9b, "03020000");
	weigh(&b, 1);
	assert_int_equal(b.memory.kept_len, 8);
	weigh(&b, 1);
	assert_int_equal(b.memory.kept_len, 8);
	weigh(&b, 2);
	assert_int_equal(b.memory.kept_len, 16);
	bench_end(&b);
}

/* the composition of a BF720 has no weight: nothing is written down for nothing */
static void test_nothing_to_keep(void **state)
{
	struct bench b = { 0 };

	(void)state;
	bench_begin(&b, "weight_scale", 0, NULL, false);
	notify(&b, 0x2a9b, "03000000");
	for (unsigned int i = 1; i <= 100; i++)
		weigh(&b, i % 60);
	assert_null(strstr(b.log, "kept"));
	bench_end(&b);
}

/* the same number in pounds is another weight; a memory of rubbish is no harm */
static void test_units_and_rubbish(void **state)
{
	struct session_memory rubbish = { .kept_len = 61 };
	struct bench b = { 0 };

	(void)state;
	memset(rubbish.kept, 0xff, sizeof(rubbish.kept));
	bench_begin(&b, "weight_scale", 0, &rubbish, false);
	weigh(&b, 1);
	indicate(&b, 0x2a9c, "0704 e700 ea07050c070001 01 013e");
	assert_true(has_weight(&b));
	commit(&b);
	compose(&b, 1);
	assert_false(has_weight(&b));
	bench_end(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_no_consent_no_question),
		cmocka_unit_test(test_a_refused_write_says_nothing_of_the_code),
		cmocka_unit_test(test_a_silent_scale),
		cmocka_unit_test(test_the_next_user_waits_for_the_commit),
		cmocka_unit_test(test_good_after_refused),
		cmocka_unit_test(test_refused_before),
		cmocka_unit_test(test_bad_answers),
		cmocka_unit_test(test_a_code_that_is_none),
		cmocka_unit_test(test_change_increment),
		cmocka_unit_test(test_the_newest_weighings_are_kept),
		cmocka_unit_test(test_what_came_twice_is_kept_once),
		cmocka_unit_test(test_nothing_to_keep),
		cmocka_unit_test(test_units_and_rubbish),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
