/* links: gateway_store gateway_base */
/* What is stored and not sent: held readings, revisions, corrections, the journal. */
#include "store_test.h"

#include <signal.h>
#include <sys/wait.h>

#include <sqlite3.h>

/* Adds reading i somewhere, as this revision (0: it has none). */
static bool add_as(struct fixture *f, uint32_t i, enum store_where where, uint32_t revision)
{
	struct sample s;
	bool is_new = false;

	(void)sample(&s, i);
	s.reading.has_revision = revision > 0;
	s.reading.revision = revision;
	assert_int_equal(store_add_reading(f->store, &s.reading, where, &is_new), 0);
	assert_true(s.reading.has_sequence == (is_new && where == STORE_PUBLISH));
	return is_new;
}

/* The readings that are held, as a sum of 10^number. */
static uint64_t held_numbers(struct fixture *f)
{
	struct store_row row = { 0 };
	uint64_t n = 0, sum = 0;
	int r;

	while ((r = store_next_held(f->store, row.sequence, &row)) == 1) {
		uint64_t digit = 1;

		for (uint64_t i = 1; i < row.sequence; i++)
			digit *= 10;
		sum += digit;
		n++;
	}
	assert_int_equal(r, 0);
	assert_int_equal(counts_of(f).held, n);
	return sum;
}

static void commit(struct fixture *f)
{
	assert_int_equal(store_commit(f->store), 0);
}

static void release(struct fixture *f, uint64_t held, uint32_t i, uint64_t sequence)
{
	struct sample s;

	assert_int_equal(store_release(f->store, held, sample(&s, i)), 0);
	assert_int_equal(s.reading.sequence, sequence);
}

static void test_held_is_durable_and_not_sent(void **state)
{
	struct fixture *f = *state;
	struct store_row row;
	struct sample s;
	uint8_t packed[512];

	assert_true(add_as(f, 0, STORE_HOLD, 0));
	assert_int_equal(held_numbers(f), 1); /* before it is committed */
	assert_true(add_as(f, 1, STORE_PUBLISH, 0));
	assert_true(add_as(f, 2, STORE_HOLD, 0));
	commit(f);
	assert_true(add_as(f, 3, STORE_HOLD, 0));
	reopen_store(f); /* closing rolls back */
	assert_int_equal(held_numbers(f), 11);
	assert_int_equal(walk_lane(f, 0), 1);
	assert_int_equal(store_next_held(f->store, 1, &row), 1);
	assert_int_equal(row.sequence, 2);
	assert_int_equal(row.group, GROUP_WEIGHT);
	assert_int_equal(row.len, wellgate__v1__reading__pack(sample(&s, 2), packed));
	assert_memory_equal(row.payload, packed, row.len);
	assert_true(add_as(f, 3, STORE_HOLD, 0));
	for (uint32_t i = 0; i < 4; i++)
		assert_false(add_as(f, i, STORE_PUBLISH, 0)); /* wherever it went */
}

static void test_dropped_is_known_and_nothing_else(void **state)
{
	struct fixture *f = *state;

	for (uint32_t i = 0; i < 1500; i++)
		assert_true(add_as(f, i, STORE_DROP, 0));
	store_rollback(f->store);
	for (uint32_t i = 0; i < 1500; i++)
		assert_true(add_as(f, i, STORE_DROP, 0));
	commit(f);
	reopen_store(f);
	for (uint32_t i = 0; i < 1500; i++)
		assert_false(add_as(f, i, STORE_PUBLISH, 0));
	assert_int_equal(walk_lane(f, 0), 0);
	assert_int_equal(held_numbers(f), 0);
	assert_int_equal(counts_of(f).last[LANE_READINGS], 0);
}

static void test_release_moves_it(void **state)
{
	struct fixture *f = *state;
	struct sample s;

	for (uint32_t i = 0; i < 4; i++)
		assert_true(add_as(f, i, STORE_HOLD, 0));
	assert_true(add_as(f, 4, STORE_PUBLISH, 0));
	commit(f);
	release(f, 2, 1, 2);
	assert_int_equal(held_numbers(f), 1101);
	assert_int_equal(store_release(f->store, 2, sample(&s, 1)), -ENOENT);
	store_rollback(f->store);
	assert_int_equal(held_numbers(f), 1111);
	assert_int_equal(walk_lane(f, 0), 1);
	release(f, 4, 3, 2);
	release(f, 1, 0, 3);
	commit(f);
	reopen_store(f);
	assert_int_equal(held_numbers(f), 110);
	assert_int_equal(walk_lane(f, 0), 3);
	for (uint32_t i = 0; i < 5; i++)
		assert_false(add_as(f, i, STORE_PUBLISH, 0));
	assert_int_equal(store_release(f->store, 9, sample(&s, 9)), -ENOENT);
	assert_int_equal(store_release(f->store, 0, sample(&s, 9)), -ENOENT);
	assert_int_equal(store_release(f->store, UINT64_MAX, sample(&s, 9)), -ENOENT);
}

/* More than memory keeps of the newest keys: what is read back at start stays within bounds. */
static void test_many_are_released_at_once(void **state)
{
	struct fixture *f = *state;

	for (uint32_t i = 0; i < 3000; i++)
		assert_true(add_as(f, i, STORE_HOLD, 0));
	commit(f);
	for (uint32_t i = 0; i < 3000; i++)
		release(f, i + 1, i, i + 1);
	commit(f);
	reopen_store(f);
	assert_int_equal(walk_lane(f, 0), 3000);
	for (uint32_t i = 0; i < 3000; i++)
		assert_false(add_as(f, i, STORE_HOLD, 0));
}

static void test_discarded_stays_known_and_its_number_used(void **state)
{
	struct fixture *f = *state;

	assert_true(add_as(f, 0, STORE_HOLD, 0));
	assert_true(add_as(f, 1, STORE_HOLD, 0));
	commit(f);
	assert_int_equal(store_discard(f->store, 2), 0);
	assert_int_equal(store_discard(f->store, 2), -ENOENT);
	commit(f);
	reopen_store(f);
	assert_false(add_as(f, 1, STORE_HOLD, 0));
	assert_true(add_as(f, 2, STORE_HOLD, 0));
	commit(f);
	assert_int_equal(held_numbers(f), 101); /* 2 might still be on somebody's screen */
}

static void test_replaced_where_it_is(void **state)
{
	struct fixture *f = *state;
	struct store_row row;
	struct sample s;
	Wellgate__V1__Reading *got;

	assert_true(add_as(f, 0, STORE_HOLD, 0));
	commit(f);
	(void)sample(&s, 0);
	s.reading.has_measured_at_ms = 1;
	s.reading.measured_at_ms = 4711;
	assert_int_equal(store_replace_held(f->store, 1, &s.reading), 0);
	assert_int_equal(store_replace_held(f->store, 2, &s.reading), -ENOENT);
	commit(f);
	reopen_store(f);
	assert_int_equal(store_next_held(f->store, 0, &row), 1);
	got = wellgate__v1__reading__unpack(NULL, row.len, row.payload);
	assert_non_null(got);
	assert_int_equal(got->measured_at_ms, 4711);
	wellgate__v1__reading__free_unpacked(got, NULL);
	assert_int_equal(held_numbers(f), 1);
	assert_false(add_as(f, 0, STORE_HOLD, 0));
}

static void test_revisions_are_readings_of_their_own(void **state)
{
	struct fixture *f = *state;

	assert_true(add_as(f, 0, STORE_PUBLISH, 0));
	assert_false(add_as(f, 0, STORE_PUBLISH, 1));
	assert_true(add_as(f, 0, STORE_PUBLISH, 2));
	assert_true(add_as(f, 0, STORE_HOLD, 3));
	commit(f);
	reopen_store(f);
	for (uint32_t revision = 0; revision < 4; revision++)
		assert_false(add_as(f, 0, STORE_PUBLISH, revision));
	assert_true(add_as(f, 0, STORE_PUBLISH, 4));
	assert_true(add_as(f, 0, STORE_PUBLISH, 258)); /* not that of 2 */
	commit(f);
	assert_int_equal(walk_lane(f, 0), 4);
}

static void test_a_bad_release_changes_nothing(void **state)
{
	struct fixture *f = *state;
	struct sample s;
	char *text = malloc(70000);

	assert_non_null(text);
	(void)memset(text, 'x', 69999);
	text[69999] = 0;
	assert_true(add_as(f, 0, STORE_HOLD, 0));
	(void)sample(&s, 0);
	s.reading.context = text;
	assert_int_equal(store_release(f->store, 1, &s.reading), -EMSGSIZE);
	assert_false(s.reading.has_sequence);
	assert_int_equal(store_replace_held(f->store, 1, &s.reading), -EMSGSIZE);
	(void)sample(&s, 0);
	s.reading.dedupe_key.len = 3;
	assert_int_equal(store_release(f->store, 1, &s.reading), -EBADMSG);
	(void)sample(&s, 0);
	s.reading.metric = (Wellgate__V1__Metric)9999;
	assert_int_equal(store_release(f->store, 1, &s.reading), -EBADMSG);
	assert_int_equal(held_numbers(f), 1);
	assert_int_equal(counts_of(f).last[LANE_READINGS], 0);
	release(f, 1, 0, 1);
	free(text);
}

static void test_find(void **state)
{
	struct fixture *f = *state;
	struct store_found found;
	struct sample s;
	uint8_t packed[512];

	fill(f, 0, 300);
	assert_true(add_as(f, 300, STORE_HOLD, 0));
	(void)sample(&s, 7);
	assert_int_equal(store_find(f->store, s.id, &found), 1);
	assert_false(found.held);
	assert_int_equal(found.row.sequence, 8);
	s.reading.has_sequence = 1;
	s.reading.sequence = 8;
	assert_int_equal(found.row.len, wellgate__v1__reading__pack(&s.reading, packed));
	assert_memory_equal(found.row.payload, packed, found.row.len);
	(void)sample(&s, 300);
	assert_int_equal(store_find(f->store, s.id, &found), 1);
	assert_true(found.held);
	assert_int_equal(found.row.sequence, 1);
	(void)sample(&s, 301);
	assert_int_equal(store_find(f->store, s.id, &found), 0);
	(void)sample(&s, 5);
	assert_int_equal(store_find(f->store, s.key, &found), 0); /* in it, and not its id */
}

static void test_before(void **state)
{
	struct fixture *f = *state;
	const int64_t start = START_MS / 1000;

	assert_int_equal(store_before(f->store, LANE_READINGS, start), 0);
	assert_true(add_as(f, 5000, STORE_HOLD, 0));
	fill(f, 0, 1000);
	assert_int_equal(store_before(f->store, LANE_READINGS, start), 0);
	assert_int_equal(store_before(f->store, LANE_READINGS, start + 1), 1);
	assert_int_equal(store_before(f->store, LANE_READINGS, start + 6000), 100);
	assert_int_equal(store_before(f->store, LANE_READINGS, start + 6001), 101);
	assert_int_equal(store_before(f->store, LANE_READINGS, start + 999999), 1000);
	/* released late: it came early, but stands here, and so do those before it */
	assert_int_equal(add(f, 2000), 1001);
	assert_true(add_as(f, 100, STORE_HOLD, 2));
	release(f, 2, 3000, 1002);
	commit(f);
	assert_int_equal(store_before(f->store, LANE_READINGS, start + 100000), 1000);
	assert_int_equal(store_before(f->store, LANE_CORRECTIONS, start), 0);
}

/* Rows from before the clock was set say nothing. */
static void test_before_without_a_clock(void **state)
{
	struct fixture *f = *state;
	struct sample s;
	bool is_new;

	for (uint32_t i = 0; i < 100; i++) {
		(void)sample(&s, i);
		if (i >= 40 && i < 90)
			s.reading.received_at_ms = 1000 + i;
		assert_int_equal(store_add_reading(f->store, &s.reading, STORE_PUBLISH, &is_new),
				 0);
	}
	assert_true(store_before(f->store, LANE_READINGS, START_MS / 1000 + INT64_C(3600)) <= 40);
	assert_int_equal(store_before(f->store, LANE_READINGS, START_MS / 1000 + INT64_C(5700)),
			 95);
}

static void test_corrections_are_a_lane(void **state)
{
	struct fixture *f = *state;
	Wellgate__V1__Correction c = WELLGATE__V1__CORRECTION__INIT, *got;
	struct store_row row;

	fill(f, 0, 3);
	c.from_subject = (char *)(uintptr_t) "ref-a";
	c.to_subject = (char *)(uintptr_t) "ref-b";
	for (uint64_t i = 1; i <= 5; i++) {
		assert_int_equal(store_add_correction(f->store, &c), 0);
		assert_int_equal(c.sequence, i);
	}
	commit(f);
	/* each lane parks its own number 2 */
	assert_int_equal(store_park(f->store, LANE_CORRECTIONS, 2, 0x87), 0);
	assert_int_equal(store_park(f->store, LANE_READINGS, 1, 0x87), 0);
	assert_int_equal(store_acknowledge(f->store, LANE_CORRECTIONS, 1), 0);
	reopen_store(f);
	assert_int_equal(counts_of(f).parked, 2);
	assert_int_equal(counts_of(f).acknowledged[LANE_CORRECTIONS], 1);
	assert_int_equal(counts_of(f).last[LANE_CORRECTIONS], 7); /* + tombstones */
	assert_int_equal(walk_lane(f, 0), 2);
	assert_int_equal(store_next(f->store, LANE_CORRECTIONS, 1, &row), 1);
	assert_int_equal(row.sequence, 3);
	got = wellgate__v1__correction__unpack(NULL, row.len, row.payload);
	assert_non_null(got);
	assert_string_equal(got->to_subject, "ref-b");
	wellgate__v1__correction__free_unpacked(got, NULL);
}

static uint64_t add_goal_stop(struct fixture *f, const char *goal, const char *subject)
{
	Wellgate__V1__JournalEntry entry = WELLGATE__V1__JOURNAL_ENTRY__INIT;
	Wellgate__V1__GoalChange change = WELLGATE__V1__GOAL_CHANGE__INIT;

	change.by = (char *)(uintptr_t)goal;
	entry.what_case = WELLGATE__V1__JOURNAL_ENTRY__WHAT_GOAL;
	entry.goal = &change;
	assert_int_equal(store_add_entry(f->store, &entry, subject), 0);
	assert_true(entry.has_number);
	return entry.number;
}

static void test_journal_comes_back_in_order(void **state)
{
	struct fixture *f = *state;
	struct store_row row = { 0 };
	char name[16];

	for (uint64_t i = 1; i <= 20; i++) {
		(void)snprintf(name, sizeof(name), "entry %u", (unsigned int)i);
		assert_int_equal(add_goal_stop(f, name, i % 2 ? "ref-a" : NULL), i);
	}
	commit(f);
	assert_int_equal(add_goal_stop(f, "never", NULL), 21);
	reopen_store(f);
	for (uint64_t i = 1; i <= 20; i++) {
		Wellgate__V1__JournalEntry *got;

		assert_int_equal(store_next_entry(f->store, row.sequence, &row), 1);
		assert_int_equal(row.sequence, i);
		got = wellgate__v1__journal_entry__unpack(NULL, row.len, row.payload);
		assert_non_null(got);
		(void)snprintf(name, sizeof(name), "entry %u", (unsigned int)i);
		assert_string_equal(got->goal->by, name);
		assert_int_equal(got->number, i);
		wellgate__v1__journal_entry__free_unpacked(got, NULL);
	}
	assert_int_equal(store_next_entry(f->store, row.sequence, &row), 0);
	assert_int_equal(add_goal_stop(f, "more", NULL), 21);
}

/* A store of version 1, whose rows are not sealed, is read and goes on. */
static void test_older_stores_are_read(void **state)
{
	struct fixture *f = *state;
	char path[96];
	sqlite3 *db;

	fill(f, 0, 1);
	store_close(f->store);
	f->store = NULL;
	(void)snprintf(path, sizeof(path), "%s/wellgate.db", f->dir);
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db,
				      "DROP TABLE held; DROP TABLE journal; DROP TABLE correction;"
				      "PRAGMA user_version=1",
				      NULL, NULL, NULL),
			 SQLITE_OK);
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
	open_store(f);
	assert_int_equal(walk_lane(f, 0), 1);
	assert_true(add_as(f, 1, STORE_HOLD, 0));
	commit(f);
	assert_int_equal(held_numbers(f), 1);
}

/* A damaged held row was never sent: its device may deliver it again. */
static void test_damaged_held_rows_may_come_again(void **state)
{
	struct fixture *f = *state;
	char path[96];
	sqlite3 *db;

	for (uint32_t i = 0; i < 3; i++)
		assert_true(add_as(f, i, STORE_HOLD, 0));
	commit(f);
	store_close(f->store);
	(void)snprintf(path, sizeof(path), "%s/wellgate.db", f->dir);
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, "UPDATE held SET sum=sum+1 WHERE id=2", NULL, NULL, NULL),
			 SQLITE_OK);
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
	open_store(f);
	for (int round = 0; round < 2; round++) {
		struct store_row row;

		assert_int_equal(store_next_held(f->store, 1, &row), 1);
		assert_int_equal(row.sequence, 3);
		assert_int_equal(counts_of(f).damaged, 1);
	}
	assert_false(add_as(f, 1, STORE_HOLD, 0));
	commit(f);
	assert_int_equal(held_numbers(f), 101);
	assert_true(add_as(f, 1, STORE_HOLD, 0));
	assert_false(add_as(f, 2, STORE_HOLD, 0));
	commit(f);
	reopen_store(f);
	assert_int_equal(held_numbers(f), 1101);
}

/* Ends without closing: its log holds every version of each page. */
static void hold_release_and_die(struct fixture *f)
{
	if (store_open(&f->options, &f->store, NULL) < 0)
		_exit(1);
	for (uint32_t i = 0; i < 6; i++) {
		(void)add_as(f, i, STORE_HOLD, 0);
		commit(f);
	}
	release(f, 2, 1, 1);
	commit(f);
	(void)store_discard(f->store, 6);
	(void)add_goal_stop(f, "walk", NULL);
	commit(f);
	(void)kill(getpid(), SIGKILL);
}

/* Old pages hold what was released or discarded since: a salvage must not bring it back. */
static void test_salvage_tells_held_from_released(void **state)
{
	struct fixture *f = *state;
	char path[96], *error = NULL;
	FILE *file;

	if (fork() == 0)
		hold_release_and_die(f);
	assert_true(wait(NULL) > 0);
	(void)snprintf(path, sizeof(path), "%s/wellgate.db", f->dir);
	file = fopen(path, "r+e");
	assert_non_null(file);
	assert_int_equal(fwrite("broken", 1, 6, file), 6);
	assert_int_equal(fclose(file), 0);
	assert_int_equal(store_open(&f->options, &f->store, &error), 0);
	assert_non_null(error);
	free(error);
	assert_int_equal(held_numbers(f), 11101);
	assert_int_equal(walk_lane(f, 0), 1);
	assert_true(add_as(f, 7, STORE_HOLD, 0));
	assert_int_equal(held_numbers(f), 1011101);
	for (uint32_t i = 0; i < 6; i++)
		assert_false(add_as(f, i, STORE_PUBLISH, 0));
	assert_int_equal(add_goal_stop(f, "more", NULL), 2);
}

/* ---- killed at any moment ---- */

/* Reading i goes to where i says; every second held one is released, every third discarded. */
static int one_step(struct fixture *f, uint32_t i, uint64_t *held)
{
	struct sample s;
	bool is_new = false;
	int r = store_add_reading(f->store, sample(&s, i), (enum store_where)(i % 3), &is_new);

	if (r < 0 || !is_new || i % 3 != STORE_HOLD)
		return r;
	++*held;
	if (*held % 2 == 0)
		return store_release(f->store, *held, sample(&s, i));
	return *held % 3 == 0 ? store_discard(f->store, *held) : 0;
}

static void work_forever(struct fixture *f, int to, uint32_t first)
{
	uint64_t held = 0;

	if (store_open(&f->options, &f->store, NULL) < 0)
		_exit(1);
	for (uint32_t i = 0; i < first; i++) /* how many were held before us */
		held += i % 3 == STORE_HOLD;
	for (uint32_t i = first;; i++) {
		if (one_step(f, i, &held) < 0)
			_exit(2);
		if (i % 7 == 0)
			continue;
		if (store_commit(f->store) < 0 || write(to, &i, sizeof(i)) != sizeof(i))
			_exit(4);
	}
}

static uint32_t run_and_kill(struct fixture *f, uint32_t first, uint32_t lines)
{
	uint32_t last = 0, i;
	int fds[2], status;
	pid_t child;

	assert_int_equal(pipe(fds), 0);
	child = fork();
	assert_true(child >= 0);
	if (child == 0)
		work_forever(f, fds[1], first);
	(void)close(fds[1]);
	while (lines-- > 0 && read(fds[0], &i, sizeof(i)) == (ssize_t)sizeof(i))
		last = i;
	assert_int_equal(kill(child, SIGKILL), 0);
	while (read(fds[0], &i, sizeof(i)) == (ssize_t)sizeof(i))
		last = i;
	(void)close(fds[0]);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status));
	return last;
}

/* Each reading is where it belongs, once. `n` readings were stored. */
static void check_places(struct fixture *f, uint32_t n)
{
	uint64_t held = 0, kept = 0, sent = 0;

	for (uint32_t i = 0; i < n; i++) {
		assert_false(add_as(f, i, STORE_PUBLISH, 0));
		sent += i % 3 == STORE_PUBLISH;
		if (i % 3 != STORE_HOLD)
			continue;
		held++;
		sent += held % 2 == 0;
		kept += held % 2 != 0 && held % 3 != 0;
	}
	assert_int_equal(walk_lane(f, 0), sent);
	assert_int_equal(counts_of(f).held, kept);
}

static void test_killed_at_any_moment(void **state)
{
	struct fixture *f = *state;
	uint32_t next = 0;

	for (uint32_t round = 0; round < 12; round++) {
		uint32_t last = run_and_kill(f, next, 1 + round * 37 % 60);

		open_store(f);
		/* a commit may have ended without being told of: how far is it? */
		next = last + 1;
		while (!add_as(f, next, STORE_DROP, 0))
			next++;
		store_rollback(f->store);
		check_places(f, next);
		store_close(f->store);
		f->store = NULL;
	}
}

int main(void)
{
#define T(name, setup) cmocka_unit_test_setup_teardown(name, setup, remove_store)
	const struct CMUnitTest tests[] = {
		T(test_held_is_durable_and_not_sent, make_store),
		T(test_dropped_is_known_and_nothing_else, make_store),
		T(test_release_moves_it, make_store),
		T(test_many_are_released_at_once, make_store),
		T(test_discarded_stays_known_and_its_number_used, make_store),
		T(test_replaced_where_it_is, make_store),
		T(test_revisions_are_readings_of_their_own, make_store),
		T(test_a_bad_release_changes_nothing, make_store),
		T(test_find, make_store),
		T(test_before, make_store),
		T(test_before_without_a_clock, make_store),
		T(test_corrections_are_a_lane, make_store),
		T(test_journal_comes_back_in_order, make_store),
		T(test_older_stores_are_read, make_store),
		T(test_damaged_held_rows_may_come_again, make_store),
		T(test_salvage_tells_held_from_released, make_dir),
		T(test_killed_at_any_moment, make_dir),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
