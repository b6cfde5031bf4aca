/* links: gateway_store gateway_base */
/*
 * Persons: what is theirs is sealed, and after the end of a person no file of the store holds any
 * of it. The judge reads the files byte by byte, in the clear and with the keys that are left.
 */
#include "store_test.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>

#include "gateway/store/database.h"
#include "gateway/store/meta.h"
#include "gateway/store/seal.h"

#define ALICE "ref-alice-4711"
#define BOB   "ref-bob-0815"

struct blob {
	uint8_t data[4 << 20];
	size_t len;
};

/* Everything that lies in the directory and below, one file after the other. */
static struct blob everything;

static int read_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	FILE *file;

	(void)st;
	(void)ftw;
	if (type != FTW_F)
		return 0;
	file = fopen(path, "re");
	if (!file)
		return 1;
	everything.len += fread(everything.data + everything.len, 1,
				sizeof(everything.data) - everything.len, file);
	(void)fclose(file);
	return everything.len == sizeof(everything.data);
}

static bool on_disk(const struct fixture *f, const void *what, size_t len)
{
	everything.len = 0;
	assert_int_equal(nftw(f->dir, read_entry, 8, FTW_PHYS), 0);
	return memmem(everything.data, everything.len, what, len) != NULL;
}

static bool text_on_disk(const struct fixture *f, const char *text)
{
	return on_disk(f, text, strlen(text));
}

static bool add_of(struct fixture *f, uint32_t i, const char *subject, enum store_where where)
{
	struct sample s;
	bool is_new = false;

	(void)sample(&s, i);
	s.reading.subject = (char *)(uintptr_t)subject;
	s.reading.context = (char *)(uintptr_t) "canary of a payload";
	assert_int_equal(store_add_reading(f->store, &s.reading, where, &is_new), 0);
	return is_new;
}

static void add_result(struct fixture *f, const char *subject)
{
	Wellgate__V1__GoalResult result = WELLGATE__V1__GOAL_RESULT__INIT;

	result.subject = (char *)(uintptr_t)subject;
	result.words = (char *)(uintptr_t) "canary of a result";
	assert_int_equal(store_add_result(f->store, &result), 0);
}

static void add_correction(struct fixture *f, const char *from, const char *to)
{
	Wellgate__V1__Correction c = WELLGATE__V1__CORRECTION__INIT;

	c.from_subject = (char *)(uintptr_t)from;
	c.to_subject = (char *)(uintptr_t)to;
	assert_int_equal(store_add_correction(f->store, &c), 0);
}

static void add_entry(struct fixture *f, const char *subject)
{
	Wellgate__V1__JournalEntry entry = WELLGATE__V1__JOURNAL_ENTRY__INIT;
	Wellgate__V1__GoalChange change = WELLGATE__V1__GOAL_CHANGE__INIT;

	change.by = (char *)(uintptr_t)subject;
	entry.what_case = WELLGATE__V1__JOURNAL_ENTRY__WHAT_GOAL;
	entry.goal = &change;
	assert_int_equal(store_add_entry(f->store, &entry, subject), 0);
}

/* Twenty rows of each lane, half of them Alice's and half Bob's, held ones and entries. */
static void fill_two(struct fixture *f, uint32_t first)
{
	for (uint32_t i = first; i < first + 20; i++) {
		const char *who = i % 2 ? ALICE : BOB;

		assert_true(add_of(f, i, who, STORE_PUBLISH));
		assert_true(add_of(f, 1000 + i, who, STORE_HOLD));
		add_result(f, who);
		add_entry(f, who);
	}
	add_correction(f, ALICE, BOB);
	add_correction(f, BOB, NULL);
	assert_int_equal(store_commit(f->store), 0);
}

static void acknowledge_all(struct fixture *f)
{
	struct store_counts counts = counts_of(f);

	for (int lane = 0; lane < LANE_END; lane++)
		assert_int_equal(store_acknowledge(f->store, (enum lane)lane, counts.last[lane]),
				 0);
}

static uint64_t rows_of(struct fixture *f, enum lane lane)
{
	struct store_row row = { 0 };
	uint64_t n = 0;

	while (store_next(f->store, lane, row.sequence, &row) == 1)
		n++;
	return n;
}

static uint64_t entries(struct fixture *f)
{
	struct store_row row = { 0 };
	uint64_t n = 0;

	while (store_next_entry(f->store, row.sequence, &row) == 1)
		n++;
	return n;
}

static void key_of(const struct fixture *f, const char *subject, uint8_t ret[KEYRING_KEY])
{
	struct keyring *k;
	const uint8_t *key;
	uint32_t number;
	int fd = open(f->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	assert_int_equal(keyring_open(fd, NULL, &k), 0);
	assert_int_equal(keyring_find(k, subject, &number), 0);
	assert_int_equal(keyring_key(k, number, &key), 1);
	(void)memcpy(ret, key, KEYRING_KEY);
	keyring_close(k);
	assert_int_equal(close(fd), 0);
}

static void test_nothing_lies_there_in_the_clear(void **state)
{
	struct fixture *f = *state;
	struct sample s;
	uint8_t key[KEYRING_KEY];

	fill_two(f, 0);
	for (int round = 0; round < 2; round++) {
		assert_false(text_on_disk(f, ALICE));
		assert_false(text_on_disk(f, "canary"));
		assert_false(on_disk(f, sample(&s, 3)->reading_id.data, 16));
		key_of(f, ALICE, key);
		assert_false(on_disk(f, key, sizeof(key)));
		reopen_store(f);
	}
	assert_int_equal(rows_of(f, LANE_READINGS), 20);
	assert_int_equal(rows_of(f, LANE_CORRECTIONS), 2);
}

static void test_persons_have_numbers(void **state)
{
	struct fixture *f = *state;
	char name[200];
	uint64_t alice = 0, bob = 0, again = 0, rows;

	assert_int_equal(store_person_waiting(f->store, ALICE, &rows), -ENOENT);
	assert_int_equal(store_person(f->store, ALICE, &alice), 0);
	assert_int_equal(store_person(f->store, BOB, &bob), 0);
	assert_int_not_equal(alice, bob);
	reopen_store(f);
	assert_int_equal(store_person(f->store, ALICE, &again), 0);
	assert_int_equal(again, alice);
	assert_string_equal(store_person_subject(f->store, bob), BOB);
	assert_null(store_person_subject(f->store, 0));
	assert_null(store_person_subject(f->store, 99));
	assert_null(store_person_subject(f->store, UINT64_MAX));
	assert_int_equal(store_person(f->store, "", &again), -EINVAL);
	(void)memset(name, 'n', sizeof(name));
	name[199] = '\0';
	assert_int_equal(store_person(f->store, name, &again), -EINVAL);
	for (int i = 0; i < 100; i++) {
		(void)snprintf(name, sizeof(name), "ref-%d", i);
		assert_int_equal(store_person(f->store, name, &again), 0);
	}
	reopen_store(f);
	assert_string_equal(store_person_subject(f->store, again), "ref-99");
}

static void test_erasure_waits_for_delivery(void **state)
{
	struct fixture *f = *state;
	uint64_t rows = 0;

	assert_int_equal(store_erase_person(f->store, ALICE), -ENOENT);
	fill_two(f, 0);
	assert_int_equal(store_person_waiting(f->store, ALICE, &rows), 0);
	assert_int_equal(rows, 21); /* 10 readings, 10 results, 1 correction */
	assert_int_equal(store_person_waiting(f->store, BOB, &rows), 0);
	assert_int_equal(rows, 22);
	assert_int_equal(store_erase_person(f->store, ALICE), -EBUSY);
	assert_int_equal(store_park(f->store, LANE_READINGS, 2, 0x87), 0);
	assert_int_equal(store_acknowledge(f->store, LANE_RESULTS, 20), 0);
	assert_int_equal(store_person_waiting(f->store, ALICE, &rows), 0);
	assert_int_equal(rows, 10);
	assert_true(add_of(f, 100, ALICE, STORE_PUBLISH));
	assert_int_equal(store_person_waiting(f->store, ALICE, &rows), 0);
	assert_int_equal(rows, 11);
	assert_int_equal(store_acknowledge(f->store, LANE_READINGS, 20), 0);
	assert_int_equal(store_acknowledge(f->store, LANE_CORRECTIONS, 2), 0);
	assert_int_equal(store_erase_person(f->store, ALICE), -EBUSY);
	assert_int_equal(store_commit(f->store), 0);
	acknowledge_all(f);
	assert_int_equal(store_erase_person(f->store, ALICE), 0);
	assert_int_equal(store_erase_person(f->store, ALICE), -ENOENT);
}

/* The rows of Bob are there; those of Alice are not, and are no damage. */
static void check_only_bob(struct fixture *f)
{
	assert_int_equal(rows_of(f, LANE_READINGS), 10);
	assert_int_equal(rows_of(f, LANE_RESULTS), 10);
	assert_int_equal(rows_of(f, LANE_CORRECTIONS), 1);
	assert_int_equal(counts_of(f).held, 10);
	assert_int_equal(entries(f), 11); /* and that she was erased */
	assert_int_equal(counts_of(f).damaged, 0);
	assert_int_equal(counts_of(f).parked, 0);
}

static void test_erased_is_gone_from_every_file(void **state)
{
	struct fixture *f = *state;
	uint8_t key[KEYRING_KEY];
	uint64_t number = 0, again = 0;
	struct store_found found;
	struct sample s;

	fill_two(f, 0);
	acknowledge_all(f);
	assert_int_equal(store_person(f->store, ALICE, &number), 0);
	key_of(f, ALICE, key);
	assert_int_equal(store_erase_person(f->store, ALICE), 0);
	for (int round = 0; round < 2; round++) {
		assert_false(text_on_disk(f, ALICE));
		assert_false(on_disk(f, key, sizeof(key)));
		check_only_bob(f);
		assert_int_equal(store_find(f->store, sample(&s, 3)->reading_id.data, &found), 0);
		assert_int_equal(store_find(f->store, sample(&s, 4)->reading_id.data, &found), 1);
		assert_null(store_person_subject(f->store, number));
		reopen_store(f);
	}
	for (uint32_t i = 0; i < 20; i++) { /* what she sent stays known */
		assert_false(add_of(f, i, BOB, STORE_PUBLISH));
		assert_false(add_of(f, 1000 + i, BOB, STORE_PUBLISH));
	}
	assert_int_equal(store_person(f->store, ALICE, &again), 0);
	assert_int_not_equal(again, number); /* nobody gets her number, not even she */
}

/* Puts a row as version 1 did, not sealed: reading i of Alice, as the next of the lane. */
static void put_plain(struct fixture *f, uint32_t i, int64_t id)
{
	uint8_t packed[512];
	struct sample s;
	struct row row = { .id = id, .kind = row_kind(ROW_READING, GROUP_WEIGHT, false) };
	sqlite3_stmt *insert;
	char path[96];
	sqlite3 *db;

	(void)sample(&s, i);
	s.reading.subject = (char *)(uintptr_t)ALICE;
	s.reading.has_sequence = 1;
	s.reading.sequence = (uint64_t)id;
	row.len = wellgate__v1__reading__pack(&s.reading, packed);
	row.payload = packed;
	row.at_s = START_MS / 1000;
	(void)snprintf(path, sizeof(path), "%s/wellgate.db", f->dir);
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(
		database_prepare(db, "INSERT INTO reading VALUES(?1,?2,?3,?4,?5)", &insert), 0);
	assert_int_equal(database_put(insert, &row), 0);
	assert_int_equal(sqlite3_finalize(insert), SQLITE_OK);
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

/* Rows of an older version are erased as well, from freed pages and the log, too. */
static void test_rows_that_were_never_sealed_go(void **state)
{
	struct fixture *f = *state;
	struct sample s;
	uint64_t number;

	store_close(f->store);
	put_plain(f, 0, 1);
	put_plain(f, 1, 2);
	open_store(f);
	assert_int_equal(rows_of(f, LANE_READINGS), 2);
	assert_false(add_of(f, 1, ALICE, STORE_PUBLISH));
	assert_true(text_on_disk(f, ALICE)); /* the judge can see it */
	assert_int_equal(store_person(f->store, ALICE, &number), 0);
	assert_int_equal(store_erase_person(f->store, ALICE), -EBUSY);
	/* the page comes into the log, with both rows */
	assert_true(add_of(f, 2, BOB, STORE_PUBLISH));
	assert_int_equal(store_commit(f->store), 0);
	acknowledge_all(f);
	assert_int_equal(store_erase_person(f->store, ALICE), 0);
	assert_false(text_on_disk(f, ALICE));
	assert_false(on_disk(f, sample(&s, 1)->reading_id.data, 16));
	assert_int_equal(rows_of(f, LANE_READINGS), 1);
	assert_false(add_of(f, 1, BOB, STORE_PUBLISH));
	reopen_store(f);
	assert_int_equal(counts_of(f).last[LANE_READINGS], 3);
	assert_int_equal(rows_of(f, LANE_READINGS), 1);
}

/* The power failed when all was prepared and the key still there. */
static void test_erasure_is_finished_at_start(void **state)
{
	struct fixture *f = *state;
	uint8_t key[KEYRING_KEY];
	uint64_t number = 0;
	char path[96];
	sqlite3 *db;

	fill_two(f, 0);
	acknowledge_all(f);
	assert_int_equal(store_person(f->store, ALICE, &number), 0);
	key_of(f, ALICE, key);
	store_close(f->store);
	(void)snprintf(path, sizeof(path), "%s/wellgate.db", f->dir);
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(mark_write(db, MARK_ERASING, &(struct mark){ number, 0 }), 0);
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
	for (int round = 0; round < 2; round++) {
		open_store(f);
		assert_null(store_person_subject(f->store, number));
		assert_int_equal(rows_of(f, LANE_READINGS), 10);
		assert_int_equal(counts_of(f).damaged, 0);
		assert_false(on_disk(f, key, sizeof(key)));
		store_close(f->store);
	}
	open_store(f);
}

/* Stores, sends and erases one person after the other; never ends by itself. */
static void erase_forever(struct fixture *f, int to, uint32_t first)
{
	if (store_open(&f->options, &f->store, NULL) < 0)
		_exit(1);
	for (uint32_t i = first;; i++) {
		char name[32];

		(void)snprintf(name, sizeof(name), "ref-person-%u-", i);
		for (uint32_t k = 0; k < 5; k++)
			(void)add_of(f, i * 10 + k, name, k == 4 ? STORE_HOLD : STORE_PUBLISH);
		if (store_commit(f->store) < 0)
			_exit(2);
		acknowledge_all(f);
		if (store_erase_person(f->store, name) < 0 || write(to, &i, sizeof(i)) != sizeof(i))
			_exit(3);
	}
}

/* Persons up to `done` are gone; of the next all is there, or nothing. */
static uint32_t check_erased(struct fixture *f, uint32_t done)
{
	struct store_counts counts;
	char name[32];
	int r;

	open_store(f);
	for (uint32_t i = done > 5 ? done - 5 : 0; i <= done + 1; i++) {
		uint64_t rows;

		(void)snprintf(name, sizeof(name), "ref-person-%u-", i);
		if (i <= done)
			assert_int_equal(store_person_waiting(f->store, name, &rows), -ENOENT);
		assert_false(text_on_disk(f, name));
	}
	counts = counts_of(f);
	assert_int_equal(counts.damaged, 0);
	assert_int_equal(counts.parked, 0);
	assert_true(counts.held <= 1);
	assert_int_equal(rows_of(f, LANE_READINGS), counts.held ? 4 : 0);
	for (uint32_t i = 0; i <= done; i++) {
		for (uint32_t k = 0; k < 5; k++)
			assert_false(add_of(f, i * 10 + k, NULL, STORE_PUBLISH));
	}
	/* what is half done is ended, as its caller would; the key may be there without a row */
	(void)snprintf(name, sizeof(name), "ref-person-%u-", done + 1);
	acknowledge_all(f);
	r = store_erase_person(f->store, name);
	assert_true(r == 0 || r == -ENOENT);
	if (!add_of(f, (done + 1) * 10, NULL, STORE_DROP))
		done++;
	store_close(f->store); /* rolls back */
	f->store = NULL;
	return done + 1;
}

static void test_killed_while_erasing(void **state)
{
	struct fixture *f = *state;
	uint32_t next = 0;

	for (uint32_t round = 0; round < 12; round++) {
		uint32_t last = next, i, lines = 1 + round * 5 % 17;
		int fds[2], status;
		pid_t child;

		assert_int_equal(pipe(fds), 0);
		child = fork();
		assert_true(child >= 0);
		if (child == 0)
			erase_forever(f, fds[1], next);
		(void)close(fds[1]);
		while (lines-- > 0 && read(fds[0], &i, sizeof(i)) == (ssize_t)sizeof(i))
			last = i;
		(void)usleep(round * 131); /* at another place each time */
		assert_int_equal(kill(child, SIGKILL), 0);
		while (read(fds[0], &i, sizeof(i)) == (ssize_t)sizeof(i))
			last = i;
		(void)close(fds[0]);
		assert_int_equal(waitpid(child, &status, 0), child);
		assert_true(WIFSIGNALED(status));
		next = check_erased(f, last);
	}
}

/* Opens every slot of both files with the key of the hub, as a thief of the whole card would. */
static void test_no_copy_of_a_key_is_left(void **state)
{
	struct fixture *f = *state;
	static const char *const files[] = { "wellgate.keys", "wellgate.keys2" };
	uint8_t slots[2][2][256];
	char path[96];

	fill_two(f, 0);
	acknowledge_all(f);
	for (int round = 0; round < 2; round++) {
		for (int i = 0; i < 2; i++) {
			(void)snprintf(path, sizeof(path), "%s/%s", f->dir, files[i]);
			FILE *file = fopen(path, "re");
			assert_non_null(file);
			assert_int_equal(fseek(file, 512, SEEK_SET), 0); /* Bob came first */
			assert_int_equal(fread(slots[round][i], 1, 256, file), 256);
			assert_int_equal(fclose(file), 0);
		}
		if (round == 0)
			assert_int_equal(store_erase_person(f->store, ALICE), 0);
	}
	for (int i = 0; i < 2; i++) {
		for (size_t k = 12; k < 228; k += 8) /* all of nonce, seal and tag */
			assert_memory_equal(slots[1][i] + k, (uint8_t[8]){ 0 }, 8);
		assert_false(on_disk(f, slots[0][i] + 36, 64));
	}
}

static void path_in(const struct fixture *f, const char *name, char ret[96])
{
	assert_true(snprintf(ret, 96, "%s/%s", f->dir, name) < 96);
}

static void overwrite(const struct fixture *f, const char *name, long at, size_t n)
{
	char path[96];
	FILE *file;

	path_in(f, name, path);
	file = fopen(path, "r+e");
	assert_non_null(file);
	assert_int_equal(fseek(file, at, SEEK_SET), 0);
	for (size_t i = 0; i < n; i++)
		assert_int_not_equal(fputc(0x5a, file), EOF);
	assert_int_equal(fclose(file), 0);
}

static void test_one_copy_of_the_keys_is_enough(void **state)
{
	static const char *const files[] = { "wellgate.keys", "wellgate.keys2" };
	struct fixture *f = *state;
	char path[96];

	fill_two(f, 0);
	for (int round = 0; round < 6; round++) {
		store_close(f->store);
		f->store = NULL;
		path_in(f, files[round % 2], path);
		if (round < 2)
			assert_int_equal(unlink(path), 0);
		else if (round < 4)
			assert_int_equal(truncate(path, 600), 0); /* in the middle of Alice */
		else
			overwrite(f, files[round % 2], 300, 20);
		open_store(f);
		assert_int_equal(rows_of(f, LANE_READINGS), 20);
		assert_int_equal(counts_of(f).damaged, 0);
	}
}

/* Both copies of Alice's slot: her rows cannot be read, are said to be damaged, and may come again
 * as far as they were not sent. */
static void test_lost_keys_are_said(void **state)
{
	struct fixture *f = *state;

	fill_two(f, 0);
	assert_int_equal(store_acknowledge(f->store, LANE_READINGS, 10), 0);
	store_close(f->store);
	f->store = NULL;
	overwrite(f, "wellgate.keys", 512, 256);
	overwrite(f, "wellgate.keys2", 512, 256);
	open_store(f);
	assert_int_equal(rows_of(f, LANE_READINGS), 10);
	assert_int_equal(counts_of(f).damaged, 10);
	assert_int_equal(counts_of(f).parked, 5);
	assert_int_equal(store_commit(f->store), 0);
	assert_true(add_of(f, 13, ALICE, STORE_PUBLISH)); /* it was not sent */
	assert_int_equal(store_commit(f->store), 0);
	reopen_store(f);
	assert_int_equal(rows_of(f, LANE_READINGS), 11);
}

/* Both files: nothing can be read, nothing is taken for good, and it is said. */
static void test_all_keys_lost(void **state)
{
	static const char *const files[] = { "wellgate.keys", "wellgate.keys2" };
	struct fixture *f = *state;
	char path[96], *error = NULL;

	fill_two(f, 0);
	store_close(f->store);
	f->store = NULL;
	for (int i = 0; i < 2; i++) {
		path_in(f, files[i], path);
		assert_int_equal(unlink(path), 0);
	}
	assert_int_equal(store_open(&f->options, &f->store, &error), 0);
	assert_non_null(error);
	assert_non_null(strstr(error, "keys"));
	free(error);
	assert_int_equal(rows_of(f, LANE_READINGS), 0);
	assert_int_equal(counts_of(f).parked, 20);
	assert_true(add_of(f, 3, ALICE, STORE_PUBLISH));
	assert_int_equal(store_commit(f->store), 0);
	reopen_store(f);
	assert_int_equal(rows_of(f, LANE_READINGS), 1);
}

static int open_again(struct fixture *f, const char *word)
{
	char *error = NULL;
	int r = store_open(&f->options, &f->store, &error);

	if (r < 0) {
		assert_non_null(error);
		assert_non_null(strstr(error, word));
	}
	free(error);
	return r;
}

static void test_without_its_key_the_store_stays_shut(void **state)
{
	struct fixture *f = *state;
	char path[96], moved[96], other[96];

	path_in(f, "hub.key", path);
	path_in(f, "other.key", other);
	path_in(f, "moved.key", moved);
	fill_two(f, 0);
	store_close(f->store);
	f->store = NULL;
	assert_int_equal(rename(path, moved), 0);
	assert_int_equal(open_again(f, "hub.key"), -EKEYREJECTED);
	FILE *file = fopen(other, "we");
	assert_non_null(file);
	assert_true(fputs("0123456789 0123456789 0123456789 0123456789", file) >= 0);
	assert_int_equal(fclose(file), 0);
	f->options.key_file = other;
	assert_int_equal(open_again(f, "other.key"), -EKEYREJECTED);
	assert_int_equal(access(path, F_OK), -1); /* none was made */
	assert_int_equal(rename(moved, path), 0);
	/* with both, everything goes over to the one that was given */
	assert_int_equal(open_again(f, ""), 0);
	assert_int_equal(rows_of(f, LANE_READINGS), 20);
	assert_int_equal(access(path, F_OK), -1);
	reopen_store(f);
	assert_int_equal(rows_of(f, LANE_READINGS), 20);
	store_close(f->store);
	f->store = NULL;
	f->options.key_file = NULL;
	assert_int_equal(open_again(f, "hub.key"), -EKEYREJECTED);
	f->options.key_file = path;
	assert_int_equal(open_again(f, "cannot"), -ENOENT);
	f->options.key_file = other;
	assert_int_equal(open_again(f, ""), 0);
}

/* Two starts from the same image of a card give the same rows the same numbers: never a nonce. */
static void test_no_nonce_comes_twice(void **state)
{
	struct fixture *f = *state;
	int fd = open(f->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	static uint8_t sealed[4][300][64];
	struct keyring *k;
	uint32_t number;

	for (size_t start = 0; start < 4; start++) {
		assert_int_equal(keyring_open(fd, NULL, &k), 0);
		assert_int_equal(keyring_number(k, ALICE, &number), 0);
		for (size_t i = 0; i < 300; i++) {
			struct row row = { .id = (int64_t)(i / 2), .kind = ROW_READING };
			uint8_t *data = sealed[start][i];

			(void)memset(data + seal_head(number), (int)(i % 3), 20);
			assert_int_equal(seal_close(k, number, &row, data, 20), 10 + 20 + 16);
		}
		keyring_close(k);
	}
	for (size_t a = 0; a < 1200; a++) {
		for (size_t b = 0; b < a; b++)
			assert_memory_not_equal(sealed[a / 300][a % 300] + 2,
						sealed[b / 300][b % 300] + 2, 8);
	}
	assert_int_equal(close(fd), 0);
}

/* A sealed payload is good in its own place only, and only as it is. */
static void test_a_seal_holds(void **state)
{
	struct fixture *f = *state;
	int fd = open(f->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct row row = { .id = 7, .kind = ROW_READING };
	uint8_t data[128] = { 0 }, copy[128];
	const uint8_t *content = NULL;
	struct keyring *k;
	uint32_t number;
	size_t len = 0;

	assert_int_equal(keyring_open(fd, NULL, &k), 0);
	assert_int_equal(keyring_number(k, ALICE, &number), 0);
	(void)memcpy(data + seal_head(number), (uint8_t[5]){ 'h', 'e', 'l', 'l', 'o' }, 5);
	row.len = (size_t)seal_close(k, number, &row, data, 5);
	row.payload = data;
	for (size_t i = 0; i < row.len; i++) { /* byte 0 says whether it is sealed */
		(void)memcpy(copy, data, sizeof(copy));
		assert_int_equal(seal_open(k, &row, copy, &content, &len), 1);
		assert_int_equal(len, 5);
		assert_memory_equal(content, "hello", 5);
		(void)memcpy(copy, data, sizeof(copy));
		copy[i] ^= 1;
		if (i > 0)
			assert_int_equal(seal_open(k, &row, copy, &content, &len), -EBADMSG);
		(void)memcpy(copy, data, sizeof(copy));
		row.len -= i + 1;
		if (row.len > 0)
			assert_int_equal(seal_open(k, &row, copy, &content, &len), -EBADMSG);
		row.len += i + 1;
	}
	row.id = 8;
	assert_int_equal(seal_open(k, &row, copy, &content, &len), -EBADMSG);
	row.id = 7;
	row.kind = ROW_HELD;
	assert_int_equal(seal_open(k, &row, copy, &content, &len), -EBADMSG);
	row.kind = ROW_READING;
	assert_int_equal(keyring_destroy(k, number), 0);
	assert_int_equal(seal_open(k, &row, copy, &content, &len), 0);
	keyring_close(k);
	assert_int_equal(close(fd), 0);
}

int main(void)
{
#define T(name, setup) cmocka_unit_test_setup_teardown(name, setup, remove_store)
	const struct CMUnitTest tests[] = {
		T(test_nothing_lies_there_in_the_clear, make_store),
		T(test_persons_have_numbers, make_store),
		T(test_erasure_waits_for_delivery, make_store),
		T(test_erased_is_gone_from_every_file, make_store),
		T(test_rows_that_were_never_sealed_go, make_store),
		T(test_erasure_is_finished_at_start, make_store),
		T(test_killed_while_erasing, make_dir),
		T(test_no_copy_of_a_key_is_left, make_store),
		T(test_one_copy_of_the_keys_is_enough, make_store),
		T(test_lost_keys_are_said, make_store),
		T(test_all_keys_lost, make_store),
		T(test_no_nonce_comes_twice, make_dir),
		T(test_a_seal_holds, make_dir),
		T(test_without_its_key_the_store_stays_shut, make_store),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
