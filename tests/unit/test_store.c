/* links: gateway_store gateway_base */
#include "store_test.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/wait.h>

#include <sqlite3.h>

#define SKIPPED 77 /* exit status of a child that may not do what it needs */

static void test_new_store_is_empty_and_knows_itself(void **state)
{
	struct fixture *f = *state;
	struct store_identity was = *store_identity(f->store);
	struct store_counts counts = counts_of(f);
	struct store_row row;
	struct stat st;

	assert_int_equal(counts.last[LANE_READINGS], 0);
	assert_int_equal(counts.acknowledged[LANE_RESULTS], 0);
	assert_int_equal(store_next(f->store, LANE_READINGS, 0, &row), 0);
	assert_int_equal(store_commit(f->store), 0);
	assert_int_equal(strncmp(was.hub, "hub-", 4), 0);
	assert_int_equal(strlen(was.hub), 20);
	assert_int_equal(stat(f->dir, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0700);
	reopen_store(f);
	assert_memory_equal(&was, store_identity(f->store), sizeof(was));
	store_close(NULL);
}

static void test_two_stores_are_two_hubs(void **state)
{
	struct fixture *f = *state, *g;
	void *other = NULL;

	(void)make_store(&other);
	g = other;
	assert_memory_not_equal(store_identity(f->store), store_identity(g->store), 8);
	assert_memory_not_equal(store_identity(f->store)->digest_key,
				store_identity(g->store)->digest_key, 32);
	assert_string_not_equal(store_identity(f->store)->hub, store_identity(g->store)->hub);
	(void)remove_store(&other);
}

static void test_row_comes_back_as_it_went_in(void **state)
{
	static Wellgate__V1__Flag flags[] = { WELLGATE__V1__FLAG__FLAG_LATE,
					      WELLGATE__V1__FLAG__FLAG_TEST };
	struct fixture *f = *state;
	struct sample s;
	struct store_row row;
	uint8_t packed[512];
	bool is_new;

	assert_int_equal(add(f, 1), 1);
	(void)sample(&s, 2);
	s.reading.metric = WELLGATE__V1__METRIC__METRIC_BLOOD_PRESSURE;
	s.reading.n_flags = 2;
	s.reading.flags = flags;
	assert_int_equal(store_add_reading(f->store, &s.reading, STORE_PUBLISH, &is_new), 0);
	assert_true(is_new);
	assert_int_equal(s.reading.sequence, 2);
	assert_int_equal(store_commit(f->store), 0);
	reopen_store(f);

	assert_int_equal(store_next(f->store, LANE_READINGS, 0, &row), 1);
	assert_int_equal(row.sequence, 1);
	assert_int_equal(row.group, GROUP_WEIGHT);
	assert_false(row.test);
	assert_int_equal(store_next(f->store, LANE_READINGS, 1, &row), 1);
	assert_int_equal(row.sequence, 2);
	assert_int_equal(row.group, GROUP_BP);
	assert_true(row.test);
	assert_int_equal(row.len, wellgate__v1__reading__pack(&s.reading, packed));
	assert_memory_equal(row.payload, packed, row.len);
	assert_int_equal(store_next(f->store, LANE_READINGS, 2, &row), 0);
	assert_int_equal(store_next(f->store, LANE_READINGS, UINT64_MAX, &row), 0);
}

static void test_uncommitted_rows_are_not_seen(void **state)
{
	struct fixture *f = *state;
	struct store_row row;

	fill(f, 0, 3);
	assert_false(store_in_transaction(f->store));
	assert_int_equal(add(f, 3), 4);
	assert_true(store_in_transaction(f->store));
	assert_int_equal(walk_lane(f, 0), 3);
	assert_int_equal(store_next(f->store, LANE_READINGS, 3, &row), 0);
	assert_int_equal(store_acknowledge(f->store, LANE_READINGS, 4), -ERANGE);
	assert_int_equal(store_park(f->store, LANE_READINGS, 4, 0x87), -ERANGE);
	assert_int_equal(store_commit(f->store), 0);
	assert_int_equal(walk_lane(f, 0), 4);
}

static void test_the_same_event_is_stored_once(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(add(f, 0), 1);
	assert_int_equal(add(f, 0), 0); /* in the same transaction */
	assert_int_equal(store_commit(f->store), 0);
	assert_int_equal(add(f, 0), 0);
	fill(f, 1, 2999); /* more than memory holds */
	for (uint32_t i = 0; i < 3000; i++)
		assert_int_equal(add(f, i), 0);
	assert_int_equal(counts_of(f).duplicates, 3002);
	assert_int_equal(counts_of(f).last[LANE_READINGS], 3000);
	reopen_store(f);
	for (uint32_t i = 0; i < 3000; i++)
		assert_int_equal(add(f, i), 0);
	assert_false(store_in_transaction(f->store));
	assert_int_equal(walk_lane(f, 0), 3000);
}

/* Keys are compared, not stamps: the same minute, and no time at all. */
static void test_dedupe_is_by_key(void **state)
{
	struct fixture *f = *state;
	struct sample s;
	bool is_new;

	for (uint32_t i = 0; i < 2500; i++) {
		(void)sample(&s, i);
		s.time.hour = s.time.minute = 0;
		if (i % 3 == 1)
			s.reading.device_time = NULL;
		if (i % 6 == 1)
			s.reading.has_record_number = 0;
		if (i % 9 == 0) {
			s.time.kind = WELLGATE__V1__DEVICE_TIME__KIND__KIND_TICKS;
			s.time.has_ticks = s.time.has_tick_us = i % 2;
			s.time.ticks = UINT64_MAX - i;
			s.time.tick_us = i;
		}
		assert_int_equal(store_add_reading(f->store, &s.reading, STORE_PUBLISH, &is_new),
				 0);
		assert_true(is_new);
		s.reading.received_at_ms++; /* heard again, in the same window */
		assert_int_equal(store_add_reading(f->store, &s.reading, STORE_PUBLISH, &is_new),
				 0);
		assert_false(is_new);
	}
	assert_int_equal(store_commit(f->store), 0);
	assert_int_equal(walk_lane(f, 0), 2500);
}

/* A value whose has_ flag is not set is not packed: the key must be found after a restart too. */
static void test_dedupe_goes_by_what_is_stored(void **state)
{
	struct fixture *f = *state;
	struct sample s;
	bool is_new = false;

	for (int round = 0; round < 3; round++) {
		for (uint32_t i = 0; i < 1500; i++) {
			(void)sample(&s, i);
			s.time.has_year = s.time.has_minute = s.time.has_kind = 0;
			s.reading.has_received_at_ms = 0;
			if (i % 2)
				s.reading.device_time = NULL;
			s.reading.has_record_number = 0;
			assert_int_equal(
				store_add_reading(f->store, &s.reading, STORE_PUBLISH, &is_new), 0);
			assert_true(is_new == (round == 0));
		}
		assert_int_equal(store_commit(f->store), 0);
		reopen_store(f);
	}
}

/* Reading i as it comes without time and number: at `at_us` after the boot. */
static uint64_t add_without_stamp(struct fixture *f, uint32_t i, int64_t at_us, bool backfill)
{
	static uint8_t boot[16] = { 1 };
	static Wellgate__V1__Flag flag = WELLGATE__V1__FLAG__FLAG_BACKFILL;
	struct sample s;
	bool is_new = false;

	(void)sample(&s, i);
	s.reading.device_time = NULL;
	s.reading.has_record_number = 0;
	s.reading.received_at_ms -= at_us % 7000 * 60000; /* the wall clock is set meanwhile */
	s.reading.has_boot_id = s.reading.has_received_boottime_us = 1;
	s.reading.boot_id = (ProtobufCBinaryData){ sizeof(boot), boot };
	s.reading.received_boottime_us = at_us;
	s.reading.n_flags = backfill;
	s.reading.flags = &flag;
	assert_int_equal(store_add_reading(f->store, &s.reading, STORE_PUBLISH, &is_new), 0);
	return is_new ? s.reading.sequence : 0;
}

/* Such a key is found although the receipt of the repetition is another one. */
static void test_dedupe_without_stamp(void **state)
{
	const int64_t second = 1000000;
	struct fixture *f = *state;

	for (uint32_t i = 0; i < 1500; i++) {
		assert_int_not_equal(add_without_stamp(f, i, i * second, false), 0);
		assert_int_not_equal(add_without_stamp(f, 5000 + i, i * second, true), 0);
	}
	assert_int_equal(store_commit(f->store), 0);
	for (int round = 0; round < 2; round++) {
		for (uint32_t i = 0; i < 1500; i++) {
			int64_t later = (i + 119) * second, earlier = ((int64_t)i - 119) * second;

			assert_int_equal(add_without_stamp(f, i, later, false), 0);
			assert_int_equal(add_without_stamp(f, i, earlier, false), 0);
			assert_int_equal(add_without_stamp(f, 5000 + i, later * 1000, true), 0);
		}
		reopen_store(f);
	}
}

static void test_numbers_have_no_gaps(void **state)
{
	struct fixture *f = *state;

	fill(f, 0, 5);
	assert_int_equal(add(f, 5), 6);
	assert_int_equal(add(f, 6), 7);
	store_rollback(f->store);
	assert_false(store_in_transaction(f->store));
	assert_int_equal(add(f, 6), 6); /* what was rolled back is not "seen" */
	assert_int_equal(add(f, 5), 7);
	assert_int_equal(store_commit(f->store), 0);
	assert_int_equal(add(f, 7), 8);
	reopen_store(f); /* closing rolls back */
	assert_int_equal(add(f, 8), 8);
	assert_int_equal(store_commit(f->store), 0);
	assert_int_equal(walk_lane(f, 0), 8);
}

static void test_rollback_of_a_moved_batch(void **state)
{
	struct fixture *f = *state;

	fill(f, 0, 1000);
	for (uint32_t i = 1000; i < 3000; i++)
		assert_int_not_equal(add(f, i), 0);
	store_rollback(f->store);
	for (uint32_t i = 0; i < 1000; i++)
		assert_int_equal(add(f, i), 0);
	fill(f, 1000, 2000);
	assert_int_equal(walk_lane(f, 0), 3000);
}

static void test_acknowledged_is_a_watermark(void **state)
{
	struct fixture *f = *state;

	fill(f, 0, 10);
	assert_int_equal(store_acknowledge(f->store, LANE_READINGS, 7), 0);
	assert_int_equal(store_acknowledge(f->store, LANE_READINGS, 4), 0);
	assert_int_equal(store_acknowledge(f->store, LANE_READINGS, 11), -ERANGE);
	assert_int_equal(store_acknowledge(f->store, LANE_RESULTS, 1), -ERANGE);
	assert_int_equal(counts_of(f).acknowledged[LANE_READINGS], 7);
	assert_int_equal(walk_lane(f, 7), 3);
	assert_int_equal(walk_lane(f, 0), 10); /* kept for its time */
	/* a transaction that fails does not take it back */
	assert_int_equal(add(f, 10), 11);
	store_rollback(f->store);
	assert_int_equal(counts_of(f).acknowledged[LANE_READINGS], 7);
	reopen_store(f);
	assert_int_equal(counts_of(f).acknowledged[LANE_READINGS], 7);
	assert_int_equal(counts_of(f).acknowledged[LANE_RESULTS], 0);
}

static void test_refused_rows_are_parked(void **state)
{
	struct fixture *f = *state;
	struct store_row row;

	fill(f, 0, 600);
	for (uint64_t i = 100; i < 500; i++) /* more than wait in memory */
		assert_int_equal(store_park(f->store, LANE_READINGS, i, 0x87), 0);
	assert_int_equal(store_park(f->store, LANE_READINGS, 100, 0x87), 0);
	assert_int_equal(store_park(f->store, LANE_READINGS, 0, 0x87), -ERANGE);
	assert_int_equal(counts_of(f).parked, 400);
	assert_int_equal(store_next(f->store, LANE_READINGS, 99, &row), 1);
	assert_int_equal(row.sequence, 500);
	reopen_store(f);
	assert_int_equal(counts_of(f).parked, 400);
	assert_int_equal(walk_lane(f, 0), 200);
}

static void test_results_are_a_lane_of_their_own(void **state)
{
	struct fixture *f = *state;
	Wellgate__V1__GoalResult result = WELLGATE__V1__GOAL_RESULT__INIT, *got;
	struct store_row row;

	fill(f, 0, 3);
	result.goal_id = (char *)(uintptr_t) "walk";
	for (uint64_t i = 1; i <= 2; i++) {
		assert_int_equal(store_add_result(f->store, &result), 0);
		assert_int_equal(result.sequence, i);
	}
	assert_true(store_in_transaction(f->store));
	assert_int_equal(store_commit(f->store), 0);
	assert_int_equal(store_acknowledge(f->store, LANE_RESULTS, 1), 0);
	assert_int_equal(store_park(f->store, LANE_READINGS, 2, 0x99), 0);
	reopen_store(f);
	assert_int_equal(counts_of(f).last[LANE_RESULTS], 2);
	assert_int_equal(counts_of(f).acknowledged[LANE_READINGS], 0);
	assert_int_equal(store_next(f->store, LANE_RESULTS, 1, &row), 1);
	assert_int_equal(row.sequence, 2);
	assert_int_equal(row.group, 0);
	got = wellgate__v1__goal_result__unpack(NULL, row.len, row.payload);
	assert_non_null(got);
	assert_string_equal(got->goal_id, "walk");
	assert_int_equal(got->sequence, 2);
	wellgate__v1__goal_result__free_unpacked(got, NULL);
}

static void maintain(struct fixture *f, int64_t now_ms)
{
	int r, calls = 0;

	while ((r = store_maintain(f->store, now_ms)) == 1)
		assert_true(++calls < 100);
	assert_int_equal(r, 0);
}

static void test_old_rows_go_when_they_were_sent(void **state)
{
	struct fixture *f = *state;
	int64_t late = START_MS + INT64_C(3000) * 60000 + 31 * DAY_MS;

	fill(f, 0, 3000);
	maintain(f, late);
	assert_int_equal(walk_lane(f, 0), 3000); /* nothing was acknowledged */
	assert_int_equal(store_park(f->store, LANE_READINGS, 10, 0x87), 0);
	assert_int_equal(store_acknowledge(f->store, LANE_READINGS, 2500), 0);
	maintain(f, START_MS + 29 * DAY_MS);
	assert_int_equal(walk_lane(f, 0), 2999);
	maintain(f, START_MS + INT64_C(59970000) + 30 * DAY_MS); /* the first 1000 */
	assert_int_equal(walk_lane(f, 0), 2000);
	maintain(f, late);
	assert_int_equal(walk_lane(f, 0), 500);
	assert_int_equal(counts_of(f).parked, 1);
	for (uint32_t i = 0; i < 3000; i++)
		assert_int_equal(add(f, i), 0); /* still known */
	reopen_store(f);
	for (uint32_t i = 0; i < 3000; i++)
		assert_int_equal(add(f, i), 0);
}

static void test_numbers_go_on_after_the_lane_was_emptied(void **state)
{
	struct fixture *f = *state;

	fill(f, 0, 20);
	assert_int_equal(store_acknowledge(f->store, LANE_READINGS, 20), 0);
	maintain(f, START_MS + 400 * DAY_MS);
	assert_int_equal(walk_lane(f, 0), 1); /* the newest stays */
	for (uint32_t i = 0; i < 20; i++)
		assert_int_equal(add(f, i), 0);
	reopen_store(f);
	assert_int_equal(add(f, 20), 21);
	assert_int_equal(store_commit(f->store), 0);
	assert_int_equal(counts_of(f).acknowledged[LANE_READINGS], 20);
}

/* A hub without a clock stamps 1970: that is no reason to delete. */
static void test_rows_without_a_real_time_wait_for_one(void **state)
{
	struct fixture *f = *state;
	struct sample s;
	bool is_new;

	for (uint32_t i = 0; i < 600; i++) {
		(void)sample(&s, i);
		s.reading.received_at_ms = 1000 + i;
		assert_int_equal(store_add_reading(f->store, &s.reading, STORE_PUBLISH, &is_new),
				 0);
	}
	fill(f, 600, 2);
	assert_int_equal(store_acknowledge(f->store, LANE_READINGS, 602), 0);
	maintain(f, START_MS + DAY_MS);
	assert_int_equal(walk_lane(f, 0), 602);
	maintain(f, START_MS + 40 * DAY_MS);
	assert_int_equal(walk_lane(f, 0), 1);
}

static void test_a_bad_reading_leaves_the_others(void **state)
{
	struct fixture *f = *state;
	struct sample s;
	bool is_new = true;
	char *text = malloc(70000);

	assert_non_null(text);
	(void)memset(text, 'x', 69999);
	text[69999] = 0;
	assert_int_equal(add(f, 0), 1);
	(void)sample(&s, 1);
	s.reading.context = text;
	assert_int_equal(store_add_reading(f->store, &s.reading, STORE_PUBLISH, &is_new),
			 -EMSGSIZE);
	assert_false(s.reading.has_sequence);
	text[60000] = 0; /* over many pages, but within bounds */
	assert_int_equal(store_add_reading(f->store, &s.reading, STORE_PUBLISH, &is_new), 0);
	(void)sample(&s, 2);
	s.reading.dedupe_key.len = 15;
	assert_int_equal(store_add_reading(f->store, &s.reading, STORE_PUBLISH, &is_new), -EBADMSG);
	(void)sample(&s, 2);
	s.reading.metric = (Wellgate__V1__Metric)9999;
	assert_int_equal(store_add_reading(f->store, &s.reading, STORE_PUBLISH, &is_new), -EBADMSG);
	assert_int_equal(add(f, 2), 3);
	assert_int_equal(store_commit(f->store), 0);
	assert_int_equal(walk_lane(f, 0), 3);
	free(text);
}

static void test_only_one_at_a_time(void **state)
{
	struct fixture *f = *state;
	struct store *second;
	char *error;

	assert_int_equal(store_open(&f->options, &second, &error), -EBUSY);
	assert_non_null(strstr(error, "another"));
	free(error);
	assert_int_equal(store_open(&f->options, &second, NULL), -EBUSY);
}

static int open_elsewhere(const char *dir)
{
	struct store_options options = { .dir = dir };
	struct store *store;
	char *error = NULL;
	int r = store_open(&options, &store, &error);

	if (r == 0)
		store_close(store);
	else
		assert_non_null(error);
	free(error);
	return r;
}

static void test_places_that_cannot_be_used(void **state)
{
	struct fixture *f = *state;
	char path[96];
	FILE *file;

	(void)snprintf(path, sizeof(path), "%s/a/b", f->dir);
	assert_int_equal(open_elsewhere(path), -ENOENT);
	(void)snprintf(path, sizeof(path), "%s/file", f->dir);
	file = fopen(path, "we");
	assert_non_null(file);
	assert_int_equal(fclose(file), 0);
	assert_int_equal(open_elsewhere(path), -ENOTDIR);
	(void)snprintf(path, sizeof(path), "%s/new", f->dir);
	assert_int_equal(open_elsewhere(path), 0);
}

/* Runs in a child, which may give up its rights: its exit status is -errno or 77. */
static int in_child(int (*fn)(struct fixture *), struct fixture *f)
{
	pid_t child = fork();
	int status;

	assert_true(child >= 0);
	if (child == 0)
		_exit(fn(f));
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static int open_as_nobody(struct fixture *f)
{
	struct store *store;

	if (geteuid() == 0 && setuid(65534) < 0)
		return SKIPPED;
	return -store_open(&f->options, &store, NULL);
}

static void test_directory_that_may_not_be_written(void **state)
{
	struct fixture *f = *state;
	int r;

	assert_int_equal(chmod(f->dir, 0555), 0);
	r = in_child(open_as_nobody, f);
	assert_int_equal(chmod(f->dir, 0755), 0);
	if (r == SKIPPED)
		skip();
	assert_int_equal(r, EACCES);
}

static void test_database_that_may_not_be_written(void **state)
{
	struct fixture *f = *state;
	char path[96];
	int r;

	store_close(f->store);
	f->store = NULL;
	(void)snprintf(path, sizeof(path), "%s/wellgate.db", f->dir);
	assert_int_equal(chmod(path, 0444), 0);
	assert_int_equal(chmod(f->dir, 0777), 0);
	r = in_child(open_as_nobody, f);
	if (r == SKIPPED)
		skip();
	assert_int_equal(r, EACCES);
}

/* Adds until it is full: how many readings are durable. */
static uint32_t add_until_full(struct fixture *f, uint32_t most)
{
	uint32_t i = 0;
	int r = 0;

	for (; r == 0 && i < most; i++) {
		struct sample s;
		bool is_new;

		r = store_add_reading(f->store, sample(&s, i), STORE_PUBLISH, &is_new);
		if (r == 0)
			r = store_commit(f->store);
	}
	return r == -ENOSPC ? i - 1 : UINT32_MAX;
}

static void test_full_by_quota(void **state)
{
	struct fixture *f = *state;
	uint32_t n;

	f->options.max_bytes = INT64_C(200) * 1024;
	open_store(f);
	n = add_until_full(f, 100000);
	assert_true(n > 500 && n < 3000);
	assert_false(store_in_transaction(f->store));
	assert_int_equal(walk_lane(f, 0), n);
	assert_int_equal(counts_of(f).last[LANE_READINGS], n);
	assert_true(counts_of(f).bytes > INT64_C(100) * 1024);
	reopen_store(f);
	assert_int_equal(walk_lane(f, 0), n);
	/* delivery makes room, also when full */
	assert_int_equal(store_acknowledge(f->store, LANE_READINGS, n), 0);
	maintain(f, START_MS + 100 * DAY_MS);
	for (uint32_t i = 0; i < n; i++)
		assert_int_equal(add(f, i), 0);
	assert_int_equal(add(f, n), n + 1);
	assert_int_equal(store_commit(f->store), 0);
}

/* 0 = as it should be; a line number otherwise */
static int fill_small_disk(struct fixture *f)
{
	char ballast[96];
	uint8_t block[4096] = { 0 };
	uint32_t n;
	int fd;

	if (unshare(CLONE_NEWNS) < 0 || mount("none", "/", "none", MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("tmpfs", f->dir, "tmpfs", 0, "size=512k") < 0)
		return SKIPPED;
	(void)snprintf(ballast, sizeof(ballast), "%s/ballast", f->dir);
	fd = open(ballast, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	for (int i = 0; i < 20; i++) {
		if (write(fd, block, sizeof(block)) != (ssize_t)sizeof(block))
			return 1;
	}
	(void)close(fd);
	if (store_open(&f->options, &f->store, NULL) < 0)
		return 2;
	n = add_until_full(f, 100000);
	if (n == UINT32_MAX || n < 50 || walk_lane(f, 0) != n)
		return 3;
	if (unlink(ballast) < 0)
		return 4;
	if (add(f, n) != n + 1 || store_commit(f->store) < 0)
		return 5;
	store_close(f->store);
	open_store(f);
	n = walk_lane(f, 0) == n + 1 ? 0 : 6;
	store_close(f->store);
	return (int)n;
}

static void test_full_disk(void **state)
{
	int r = in_child(fill_small_disk, *state);

	if (r == SKIPPED)
		skip();
	assert_int_equal(r, 0);
}

/* Commits one reading after the other and says so; never ends by itself. */
static void commit_forever(struct fixture *f, int to, uint32_t first)
{
	if (store_open(&f->options, &f->store, NULL) < 0)
		_exit(1);
	for (uint32_t i = first;; i++) {
		struct sample s;
		bool is_new;

		if (store_add_reading(f->store, sample(&s, i), STORE_PUBLISH, &is_new) < 0)
			_exit(2);
		if (i % 3 == 0 && store_acknowledge(f->store, LANE_READINGS, i / 2) < 0)
			_exit(3);
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
		commit_forever(f, fds[1], first);
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

/* What commit said is durable is there after kill -9, once, and without a gap. */
static void test_killed_at_any_moment(void **state)
{
	struct fixture *f = *state;
	uint32_t next = 0;

	for (uint32_t round = 0; round < 25; round++) {
		uint32_t last = run_and_kill(f, next, 1 + round * 37 % 120);
		struct store_counts counts;

		open_store(f);
		counts = counts_of(f);
		assert_true(counts.last[LANE_READINGS] >= last + 1);
		assert_int_equal(walk_lane(f, 0), counts.last[LANE_READINGS]);
		assert_true(counts.acknowledged[LANE_READINGS] <= last);
		assert_true(counts.acknowledged[LANE_READINGS] + 16 >= last / 2);
		for (uint32_t i = 0; i <= last; i++)
			assert_int_equal(add(f, i), 0);
		next = (uint32_t)counts.last[LANE_READINGS];
		store_close(f->store);
		f->store = NULL;
	}
}

/* A file system whose fsync can be made to fail. */
static struct {
	sqlite3_vfs vfs;
	sqlite3_io_methods methods[2]; /* of the database, of other files */
	const sqlite3_io_methods *real;
	bool fail;
} broken;

static int broken_sync(sqlite3_file *file, int flags)
{
	return broken.fail ? SQLITE_IOERR_FSYNC : broken.real->xSync(file, flags);
}

static int broken_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags, int *out)
{
	sqlite3_vfs *real = vfs->pAppData;
	int rc = real->xOpen(real, name, file, flags, out);

	if (rc == SQLITE_OK && file->pMethods) {
		sqlite3_io_methods *ours = &broken.methods[flags & SQLITE_OPEN_MAIN_DB ? 0 : 1];

		broken.real = file->pMethods;
		*ours = *file->pMethods;
		ours->xSync = broken_sync;
		file->pMethods = ours;
	}
	return rc;
}

static void test_failed_fsync_is_the_end(void **state)
{
	struct fixture *f = *state;
	sqlite3_vfs *real = sqlite3_vfs_find(NULL);
	struct store_row row;
	struct sample s;
	bool is_new;

	broken.vfs = *real;
	broken.vfs.zName = "broken";
	broken.vfs.pAppData = real;
	broken.vfs.xOpen = broken_open;
	assert_int_equal(sqlite3_vfs_register(&broken.vfs, 1), SQLITE_OK);
	open_store(f);
	fill(f, 0, 10);
	assert_int_equal(add(f, 10), 11);
	broken.fail = true;
	assert_int_equal(store_commit(f->store), -EIO);
	broken.fail =
		false; /* the kernel forgets the error: nothing may go on as if it were good */
	assert_int_equal(store_add_reading(f->store, sample(&s, 11), STORE_PUBLISH, &is_new), -EIO);
	assert_int_equal(store_commit(f->store), -EIO);
	assert_int_equal(store_next(f->store, LANE_READINGS, 0, &row), -EIO);
	assert_int_equal(store_acknowledge(f->store, LANE_READINGS, 1), -EIO);
	assert_int_equal(store_park(f->store, LANE_READINGS, 1, 0x87), -EIO);
	assert_int_equal(store_maintain(f->store, START_MS), -EIO);
	reopen_store(f);
	assert_true(walk_lane(f, 0) >= 10);
	assert_int_equal(sqlite3_vfs_unregister(&broken.vfs), SQLITE_OK);
}

static off_t log_size(const struct fixture *f)
{
	char path[96];
	struct stat st;

	(void)snprintf(path, sizeof(path), "%s/wellgate.db-wal", f->dir);
	assert_int_equal(stat(path, &st), 0);
	return st.st_size;
}

/* Reading `first` and the 2000 behind it, on top of what is there: what they write. */
static off_t cost_of_more(struct fixture *f, uint32_t first)
{
	reopen_store(f); /* its log is empty */
	fill(f, first, 2000);
	return log_size(f);
}

/* The short form of bench_store: no index grows dearer with what is in it. */
static void test_one_more_costs_the_same(void **state)
{
	struct fixture *f = *state;
	off_t few, many;

	fill(f, 0, 1000);
	few = cost_of_more(f, 1000);
	for (uint32_t i = 3000; i < 50000; i++) {
		assert_int_not_equal(add(f, i), 0);
		if (i % 5000 == 0)
			assert_int_equal(store_commit(f->store), 0);
	}
	assert_int_equal(store_commit(f->store), 0);
	many = cost_of_more(f, 50000);
	assert_true(few > 200000);
	assert_true(many < few * 5 / 4);
}

static void test_log_does_not_grow_for_ever(void **state)
{
	struct fixture *f = *state;

	fill(f, 0, 40000);
	maintain(f, START_MS);
	assert_true(log_size(f) < 5 << 20);
}

int main(void)
{
#define T(name, setup) cmocka_unit_test_setup_teardown(name, setup, remove_store)
	const struct CMUnitTest tests[] = {
		T(test_new_store_is_empty_and_knows_itself, make_store),
		T(test_two_stores_are_two_hubs, make_store),
		T(test_row_comes_back_as_it_went_in, make_store),
		T(test_uncommitted_rows_are_not_seen, make_store),
		T(test_the_same_event_is_stored_once, make_store),
		T(test_dedupe_is_by_key, make_store),
		T(test_dedupe_goes_by_what_is_stored, make_store),
		T(test_dedupe_without_stamp, make_store),
		T(test_numbers_have_no_gaps, make_store),
		T(test_rollback_of_a_moved_batch, make_store),
		T(test_acknowledged_is_a_watermark, make_store),
		T(test_refused_rows_are_parked, make_store),
		T(test_results_are_a_lane_of_their_own, make_store),
		T(test_old_rows_go_when_they_were_sent, make_store),
		T(test_numbers_go_on_after_the_lane_was_emptied, make_store),
		T(test_rows_without_a_real_time_wait_for_one, make_store),
		T(test_a_bad_reading_leaves_the_others, make_store),
		T(test_only_one_at_a_time, make_store),
		T(test_places_that_cannot_be_used, make_dir),
		T(test_directory_that_may_not_be_written, make_dir),
		T(test_database_that_may_not_be_written, make_store),
		T(test_full_by_quota, make_dir),
		T(test_full_disk, make_dir),
		T(test_killed_at_any_moment, make_dir),
		T(test_failed_fsync_is_the_end, make_dir),
		T(test_one_more_costs_the_same, make_store),
		T(test_log_does_not_grow_for_ever, make_store),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
