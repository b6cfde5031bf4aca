/* links: gateway_store gateway_base */
/* Rows that cannot be sent leave a tombstone in the same commit; an epoch says where it begins. */
#include <sqlite3.h>

#include "tests/unit/store_test.h"

#define REFUSED 0x87
#define ALL_MAX 32

/* the tombstones after `after`, as "r 1-4 before_epoch;", in order */
static const char *tombstones(struct fixture *f, uint64_t after)
{
	static const char lanes[] = "?rgc";
	static char text[ALL_MAX * 48];
	struct store_row row;
	size_t n = 0;

	text[0] = '\0';
	while (store_next(f->store, LANE_CORRECTIONS, after, &row) == 1) {
		Wellgate__V1__Correction *c =
			wellgate__v1__correction__unpack(NULL, row.len, row.payload);

		assert_non_null(c);
		after = row.sequence;
		assert_int_equal(c->sequence, row.sequence);
		if (c->kind == WELLGATE__V1__CORRECTION__KIND__KIND_TOMBSTONE)
			n += (size_t)snprintf(text + n, sizeof(text) - n, "%c %u-%u %s;",
					      lanes[c->lane], (unsigned int)c->first_sequence,
					      (unsigned int)c->last_sequence, c->reason);
		assert_true(n < sizeof(text));
		wellgate__v1__correction__free_unpacked(c, NULL);
	}
	return text;
}

static void add_readings(struct fixture *f, uint32_t first, uint32_t n)
{
	struct sample s;
	bool is_new;

	for (uint32_t i = first; i < first + n; i++)
		assert_int_equal(store_add_reading(f->store, sample(&s, i), STORE_PUBLISH, &is_new),
				 0);
	assert_int_equal(store_commit(f->store), 0);
}

static void add_correction(struct fixture *f)
{
	Wellgate__V1__Correction c = WELLGATE__V1__CORRECTION__INIT;

	c.has_kind = 1;
	c.kind = WELLGATE__V1__CORRECTION__KIND__KIND_RETRACTION;
	assert_int_equal(store_add_correction(f->store, &c), 0);
	assert_int_equal(store_commit(f->store), 0);
}

static void add_result(struct fixture *f)
{
	static char goal[] = "walk";
	Wellgate__V1__GoalResult r = WELLGATE__V1__GOAL_RESULT__INIT;

	r.goal_id = goal;
	assert_int_equal(store_add_result(f->store, &r), 0);
	assert_int_equal(store_commit(f->store), 0);
}

static uint64_t last(struct fixture *f, enum lane lane)
{
	struct store_counts counts;

	store_counts(f->store, &counts);
	return counts.last[lane];
}

static void what_was_refused_is_said(void **state)
{
	struct fixture *f = *state;

	add_readings(f, 0, 10);
	add_result(f);
	for (uint64_t i = 3; i <= 5; i++)
		assert_int_equal(store_park(f->store, LANE_READINGS, i, REFUSED), 0);
	assert_int_equal(store_park(f->store, LANE_READINGS, 8, 0x99), 0);
	assert_int_equal(store_park(f->store, LANE_RESULTS, 1, REFUSED), 0);
	assert_string_equal(tombstones(f, 0), ""); /* neither is durable */
	assert_int_equal(store_commit(f->store), 0);
	assert_string_equal(tombstones(f, 0),
			    "r 3-5 refused_0x87;r 8-8 refused_0x99;g 1-1 refused_0x87;");
	assert_int_equal(store_commit(f->store), 0);
	reopen_store(f);
	assert_int_equal(last(f, LANE_CORRECTIONS), 3); /* once */
}

static void a_refused_correction_is_said_too(void **state)
{
	struct fixture *f = *state;

	add_correction(f);
	add_correction(f);
	assert_int_equal(store_park(f->store, LANE_CORRECTIONS, 2, REFUSED), 0);
	assert_int_equal(store_commit(f->store), 0);
	assert_string_equal(tombstones(f, 0), "c 2-2 refused_0x87;");
}

static void run_sql(struct fixture *f, const char *sql)
{
	char path[128];
	sqlite3 *db;

	(void)snprintf(path, sizeof(path), "%s/wellgate.db", f->dir);
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
	(void)sqlite3_close(db);
}

/* closed, changed from outside, opened */
static void damage(struct fixture *f, const char *sql)
{
	store_close(f->store);
	f->store = NULL;
	run_sql(f, sql);
	open_store(f);
}

/* A damaged tombstone cannot say what it was about: all of them are said again. */
static void a_damaged_tombstone_is_made_good(void **state)
{
	struct fixture *f = *state;

	add_readings(f, 0, 10);
	assert_int_equal(store_park(f->store, LANE_READINGS, 4, REFUSED), 0);
	assert_int_equal(store_commit(f->store), 0);
	assert_int_equal(store_park(f->store, LANE_READINGS, 7, REFUSED), 0);
	assert_int_equal(store_commit(f->store), 0);
	damage(f, "UPDATE correction SET sum = sum + 1 WHERE id = 1");
	assert_string_equal(tombstones(f, 0), "r 7-7 refused_0x87;"); /* finds it */
	assert_int_equal(store_commit(f->store), 0);
	assert_string_equal(tombstones(f, 2),
			    "r 4-4 refused_0x87;r 7-7 refused_0x87;c 1-1 damaged;");
}

static void a_damaged_reading_is_said(void **state)
{
	struct fixture *f = *state;
	struct store_row row;

	add_readings(f, 0, 3);
	damage(f, "UPDATE reading SET sum = sum + 1 WHERE id = 2");
	assert_int_equal(store_next(f->store, LANE_READINGS, 1, &row), 1);
	assert_int_equal(row.sequence, 3);
	assert_int_equal(store_commit(f->store), 0);
	assert_string_equal(tombstones(f, 0), "r 2-2 damaged;");
}

static void an_epoch_says_where_it_begins(void **state)
{
	struct fixture *f = *state;
	const uint64_t before = store_identity(f->store)->epoch;
	const uint64_t used[LANE_END] = { 100, 0, 50 };
	uint64_t epoch;

	add_readings(f, 0, 10);
	add_correction(f);
	assert_int_equal(store_acknowledge(f->store, LANE_READINGS, 6), 0);
	assert_int_equal(store_new_epoch(f->store, used), 0);
	epoch = store_identity(f->store)->epoch;
	assert_int_not_equal(epoch, before);
	/* 7 to 10 wait; 11 to 100 and 2 to 50 are numbers of others */
	assert_string_equal(tombstones(f, 0),
			    "r 1-6 before_epoch;r 11-100 before_epoch;c 2-50 before_epoch;");
	assert_int_equal(last(f, LANE_READINGS), 100);
	assert_int_equal(last(f, LANE_CORRECTIONS), 53);
	reopen_store(f);
	assert_true(store_identity(f->store)->epoch == epoch);
	add_readings(f, 10, 1);
	assert_int_equal(last(f, LANE_READINGS), 101);
	assert_string_equal(tombstones(f, 53), "");
}

static void an_epoch_is_not_begun_lightly(void **state)
{
	struct fixture *f = *state;
	const uint64_t before = store_identity(f->store)->epoch;
	const uint64_t far[LANE_END] = { 0, STORE_USED_MAX + 1, 0 }, near[LANE_END] = { 1, 1, 1 };
	struct sample s;
	bool is_new;

	assert_int_equal(store_new_epoch(f->store, far), -ERANGE);
	assert_int_equal(store_add_reading(f->store, sample(&s, 1), STORE_PUBLISH, &is_new), 0);
	assert_int_equal(store_new_epoch(f->store, near), -EBUSY);
	store_rollback(f->store);
	assert_true(store_identity(f->store)->epoch == before);
	assert_string_equal(tombstones(f, 0), "");
}

/* A salvage has a new epoch; what it did not find is said to be lost. */
static void a_salvage_says_what_is_missing(void **state)
{
	struct fixture *f = *state;
	const uint64_t before = store_identity(f->store)->epoch;

	add_readings(f, 0, 10);
	assert_int_equal(store_acknowledge(f->store, LANE_READINGS, 3), 0);
	assert_int_equal(store_commit(f->store), 0);
	damage(f, "UPDATE reading SET sum = sum + 1 WHERE id = 5;"
		  " UPDATE identity SET sum = sum + 1; UPDATE identity_copy SET sum = sum + 1");
	assert_true(store_identity(f->store)->epoch != before);
	assert_string_equal(tombstones(f, 0), "r 1-3 before_epoch;r 5-5 lost;");
	reopen_store(f);
	assert_int_equal(last(f, LANE_CORRECTIONS), 2); /* once */
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, make_store, remove_store)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_was_refused_is_said),         TEST(a_refused_correction_is_said_too),
		TEST(a_damaged_tombstone_is_made_good), TEST(a_damaged_reading_is_said),
		TEST(an_epoch_says_where_it_begins),    TEST(an_epoch_is_not_begun_lightly),
		TEST(a_salvage_says_what_is_missing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
