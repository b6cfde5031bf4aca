/* links: gateway_store gateway_base */
/*
 * What the store does with a file that is not as it left it. The judge of every salvage is the
 * reading itself: what comes out must be what went in under that number, or must not come out.
 */
#include "store_test.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>

#include <sqlite3.h>

#define UNCOMMITTED 6000

struct image {
	uint8_t *data;
	size_t len;
};

static void path_of(const struct fixture *f, const char *name, char ret[160])
{
	assert_true(snprintf(ret, 160, "%s/%s", f->dir, name) < 160);
}

static struct image load_image(const struct fixture *f, const char *name)
{
	struct image image = { 0 };
	struct stat st;
	char path[160];

	path_of(f, name, path);
	FILE *file = fopen(path, "re");
	assert_non_null(file);
	assert_int_equal(fstat(fileno(file), &st), 0);
	image.len = (size_t)st.st_size;
	image.data = malloc(image.len + 1);
	assert_non_null(image.data);
	assert_int_equal(fread(image.data, 1, image.len, file), image.len);
	assert_int_equal(fclose(file), 0);
	return image;
}

static void save_image(const struct fixture *f, const char *name, const struct image *image)
{
	char path[160];

	path_of(f, name, path);
	FILE *file = fopen(path, "we");
	assert_non_null(file);
	assert_int_equal(fwrite(image->data, 1, image->len, file), image->len);
	assert_int_equal(fclose(file), 0);
}

static bool exists(const struct fixture *f, const char *name)
{
	char path[160];

	path_of(f, name, path);
	return access(path, F_OK) == 0;
}

static void close_store(struct fixture *f)
{
	store_close(f->store);
	f->store = NULL;
}

/* Opens and expects a quarantine: its directory. */
static void open_damaged(struct fixture *f, char ret_dir[160])
{
	char *error = NULL;
	const char *name;
	size_t n;

	assert_int_equal(store_open(&f->options, &f->store, &error), 0);
	assert_non_null(error);
	name = strstr(error, "quarantine-");
	assert_non_null(name);
	n = strcspn(name, ";");
	assert_true(snprintf(ret_dir, 160, "%.*s/wellgate.db", (int)n, name) < 160);
	assert_true(exists(f, ret_dir));
	free(error);
}

static void refuse(struct fixture *f, const struct image *image, const char *word)
{
	struct image after;
	struct store *store;
	char *error;

	save_image(f, "wellgate.db", image);
	assert_int_equal(store_open(&f->options, &store, &error), -EUCLEAN);
	assert_non_null(strstr(error, word));
	free(error);
	after = load_image(f, "wellgate.db");
	assert_int_equal(after.len, image->len);
	assert_memory_equal(after.data, image->data, image->len);
	assert_false(exists(f, "wellgate.db-wal"));
	free(after.data);
}

static void test_foreign_files_are_refused_untouched(void **state)
{
	static uint8_t text[] = "these are my notes, please keep them";
	struct fixture *f = *state;
	struct image image = { text, sizeof(text) };
	char path[160];
	sqlite3 *db;

	refuse(f, &image, "not a database of wellgate");
	path_of(f, "other.db", path);
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db,
				      "CREATE TABLE reading(id INTEGER PRIMARY KEY, a,b,c,d);"
				      "INSERT INTO reading VALUES(1,2,3,4,x'00')",
				      NULL, NULL, NULL),
			 SQLITE_OK);
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
	image = load_image(f, "other.db");
	refuse(f, &image, "not a database of wellgate");
	free(image.data);
}

static void test_newer_versions_are_refused_untouched(void **state)
{
	struct fixture *f = *state;
	struct image image;
	char path[160];
	sqlite3 *db;

	fill(f, 0, 3);
	close_store(f);
	path_of(f, "wellgate.db", path);
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, "PRAGMA user_version=99", NULL, NULL, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
	image = load_image(f, "wellgate.db");
	refuse(f, &image, "newer version");
	free(image.data);
}

static void test_empty_file_is_a_new_store(void **state)
{
	struct fixture *f = *state;
	struct image image = { (uint8_t[1]){ 0 }, 0 };

	save_image(f, "wellgate.db", &image);
	save_image(f, "wellgate.new", &image); /* left over from a power cut */
	open_store(f);
	fill(f, 0, 3);
	assert_false(exists(f, "wellgate.new"));
}

/* Where the payload of the row of reading i lies (sealed: nothing of the reading can be found). */
static size_t find_reading(const struct fixture *f, const struct image *image, uint32_t i)
{
	sqlite3_stmt *row;
	const uint8_t *p;
	char path[160];
	sqlite3 *db;

	path_of(f, "wellgate.db", path);
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(
		sqlite3_prepare_v2(db, "SELECT payload FROM reading WHERE id=?1", -1, &row, NULL),
		SQLITE_OK);
	assert_int_equal(sqlite3_bind_int64(row, 1, (int64_t)i + 1), SQLITE_OK);
	assert_int_equal(sqlite3_step(row), SQLITE_ROW);
	p = memmem(image->data, image->len, sqlite3_column_blob(row, 0),
		   (size_t)sqlite3_column_bytes(row, 0));
	assert_non_null(p);
	assert_int_equal(sqlite3_finalize(row), SQLITE_OK);
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
	return (size_t)(p - image->data);
}

/* A bit of its reading_id, which comes first. */
static void flip_reading(struct fixture *f, uint32_t i)
{
	struct image image = load_image(f, "wellgate.db");

	image.data[find_reading(f, &image, i) + 20] ^= 0x10;
	save_image(f, "wellgate.db", &image);
	free(image.data);
}

static void test_damaged_rows_are_never_handed_out(void **state)
{
	struct fixture *f = *state;
	struct store_row row;

	fill(f, 0, 10);
	assert_int_equal(store_acknowledge(f->store, LANE_READINGS, 3), 0);
	close_store(f);
	flip_reading(f, 1); /* sent already */
	flip_reading(f, 5);
	flip_reading(f, 9); /* the last */
	open_store(f);      /* SQLite sees nothing wrong */
	assert_int_equal(store_next(f->store, LANE_READINGS, 5, &row), 1);
	assert_int_equal(row.sequence, 7);
	assert_int_equal(counts_of(f).damaged, 1);
	assert_int_equal(counts_of(f).parked, 1);
	assert_int_equal(store_next(f->store, LANE_READINGS, 9, &row), 0);
	assert_int_equal(walk_lane(f, 0), 7);
	assert_int_equal(counts_of(f).parked, 2);
	assert_int_equal(store_commit(f->store), 0);
	/* the device may deliver what was lost; what was sent before stays known */
	assert_int_equal(add(f, 5), 11);
	assert_int_equal(add(f, 9), 12);
	assert_int_equal(add(f, 1), 0);
	assert_int_equal(store_commit(f->store), 0);
	reopen_store(f);
	assert_int_equal(walk_lane(f, 0), 9);
	assert_int_equal(counts_of(f).parked, 2);
	assert_int_equal(add(f, 5), 0);
}

/* Damages one page of the middle and expects to be told; everything else must be there. */
static void test_damaged_page_is_salvaged_around(void **state)
{
	struct fixture *f = *state;
	struct store_identity was = *store_identity(f->store), now;
	struct image image;
	char dir[160];
	uint64_t left;
	uint32_t again = 0;

	fill(f, 0, 2000);
	assert_int_equal(store_acknowledge(f->store, LANE_READINGS, 500), 0);
	assert_int_equal(store_park(f->store, LANE_READINGS, 700, 0x87), 0);
	close_store(f);
	image = load_image(f, "wellgate.db");
	(void)memset(image.data + find_reading(f, &image, 1000) / 2048 * 2048, 0xa5, 2048);
	save_image(f, "wellgate.db", &image);
	open_damaged(f, dir);

	now = *store_identity(f->store);
	assert_int_not_equal(now.epoch, was.epoch);
	assert_string_equal(now.hub, was.hub);
	assert_memory_equal(now.digest_key, was.digest_key, sizeof(was.digest_key));
	assert_int_equal(counts_of(f).last[LANE_READINGS], 2000);
	assert_int_equal(counts_of(f).acknowledged[LANE_READINGS], 500);
	assert_int_equal(counts_of(f).parked, 1);
	left = walk_lane(f, 0);
	assert_true(left >= 1999 - 40 && left < 1999);
	for (uint32_t i = 0; i < 2000; i++)
		again += add(f, i) != 0;
	assert_int_equal(left + again, 1999); /* exactly what was lost may come again */
	assert_int_equal(counts_of(f).last[LANE_READINGS], 2000 + again);
	assert_int_equal(store_commit(f->store), 0);

	struct image kept = load_image(f, dir);
	assert_int_equal(kept.len, image.len);
	assert_memory_equal(kept.data, image.data, image.len);
	free(kept.data);
	free(image.data);
	now = *store_identity(f->store);
	reopen_store(f); /* sound now: no second quarantine */
	assert_memory_equal(&now, store_identity(f->store), sizeof(now));
}

static void test_lost_beginning_is_salvaged(void **state)
{
	static const size_t lost[] = { 16, 100, 2048 };
	struct fixture *f = *state;

	fill(f, 0, 1500);
	for (size_t i = 0; i < sizeof(lost) / sizeof(lost[0]); i++) {
		struct store_identity was = *store_identity(f->store);
		struct image image;
		char dir[160];

		close_store(f);
		image = load_image(f, "wellgate.db");
		(void)memset(image.data, 0, lost[i]);
		save_image(f, "wellgate.db", &image);
		free(image.data);
		open_damaged(f, dir);
		assert_int_equal(walk_lane(f, 0), 1500);
		assert_string_equal(store_identity(f->store)->hub, was.hub);
		assert_int_equal(add(f, 3), 0);
		assert_int_equal(add(f, 1400), 0);
	}
}

static void test_lost_end_is_salvaged(void **state)
{
	struct fixture *f = *state;
	struct image image;
	char dir[160];
	uint64_t left;

	fill(f, 0, 1500);
	close_store(f);
	image = load_image(f, "wellgate.db");
	image.len = image.len / 2 + 777;
	save_image(f, "wellgate.db", &image);
	free(image.data);
	open_damaged(f, dir);
	left = walk_lane(f, 0);
	assert_true(left > 500 && left < 1500);
	fill(f, 5000, 10);
}

/* Commits and dies: everything is in the log, nothing in the file, and the log goes on with rows of
 * a transaction that never ended. */
static void fill_and_die(struct fixture *f, uint32_t first, uint32_t n)
{
	pid_t child = fork();
	int status;

	assert_true(child >= 0);
	if (child == 0) {
		if (store_open(&f->options, &f->store, NULL) < 0)
			_exit(1);
		fill(f, first, n);
		for (uint32_t i = 0; i < UNCOMMITTED;
		     i++) /* too many for memory, and never committed */
			(void)add(f, first + n + i);
		(void)kill(getpid(), SIGKILL);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status));
}

static void test_log_is_salvaged_as_well(void **state)
{
	struct fixture *f = *state;
	struct image image;
	char dir[160], log[170];

	fill_and_die(f, 0, 300);
	assert_true(exists(f, "wellgate.db-wal"));
	image = load_image(f, "wellgate.db");
	(void)memset(image.data, 0xff, image.len < 4096 ? image.len : 4096);
	save_image(f, "wellgate.db", &image);
	free(image.data);
	open_damaged(f, dir);
	assert_int_equal(walk_lane(f, 0), 300);
	(void)snprintf(log, sizeof(log), "%s-wal", dir);
	assert_true(exists(f, log));
	assert_int_equal(add(f, 299), 0);
	assert_int_equal(add(f, 300), 301);
}

static void test_log_without_its_file(void **state)
{
	struct fixture *f = *state;
	char path[160], *error = NULL;

	fill_and_die(f, 0, 300);
	path_of(f, "wellgate.db", path);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(store_open(&f->options, &f->store, &error), 0);
	assert_non_null(error);
	free(error);
	assert_int_equal(walk_lane(f, 0), 300);
}

static void test_long_rows_are_salvaged(void **state)
{
	struct fixture *f = *state;
	struct image image;
	char text[9001], dir[160];
	struct sample s;
	bool is_new;

	(void)memset(text, 'x', 9000);
	text[9000] = 0;
	for (uint32_t i = 0; i < 20; i++) {
		(void)sample(&s, i);
		text[1000 + i * 397] = 0; /* every length of tail */
		s.reading.context = text;
		assert_int_equal(store_add_reading(f->store, &s.reading, STORE_PUBLISH, &is_new),
				 0);
		text[1000 + i * 397] = 'x';
	}
	assert_int_equal(store_commit(f->store), 0);
	close_store(f);
	image = load_image(f, "wellgate.db");
	(void)memset(image.data, 0, 100);
	save_image(f, "wellgate.db", &image);
	free(image.data);
	open_damaged(f, dir);
	assert_int_equal(walk_lane(f, 0), 20);
}

/* A power cut between the steps of a quarantine: the next start finishes it. */
static void test_interrupted_quarantine_is_finished(void **state)
{
	struct fixture *f = *state;

	for (int step = 0; step < 3; step++) {
		struct image sound, log = { (uint8_t[3]){ 1, 2, 3 }, 3 };
		char path[160];

		if (!f->store)
			open_store(f);
		fill(f, (uint32_t)step * 10, 10);
		close_store(f);
		sound = load_image(f, "wellgate.db");
		save_image(f, "salvaged-4711.db", &sound);
		free(sound.data);
		path_of(f, "wellgate.db", path);
		if (step >= 1) /* the old database was moved, its log was not */
			assert_int_equal(unlink(path), 0);
		if (step <= 1)
			save_image(f, "wellgate.db-wal", &log);
		open_store(f);
		assert_int_equal(walk_lane(f, 0), (step + 1) * 10);
		assert_false(exists(f, "salvaged-4711.db"));
		if (step == 1)
			assert_true(exists(f, "quarantine-4711/wellgate.db-wal"));
	}
}

static void test_asked_for_a_check(void **state)
{
	struct fixture *f = *state;
	struct image nothing = { (uint8_t[1]){ 0 }, 0 };

	close_store(f);
	save_image(f, "wellgate.check", &nothing);
	open_store(f);
	assert_false(exists(f, "wellgate.check"));
}

static uint32_t next_random(uint32_t *seed)
{
	*seed = *seed * UINT32_C(1664525) + UINT32_C(1013904223);
	return *seed >> 8;
}

/* Every row that comes out is the reading of its number, byte for byte. Damage in the log can make
 * one that was never committed look as if it was; it is the reading of its number all the same. */
static uint64_t compare_rows(struct fixture *f, uint32_t n)
{
	struct store_row row;
	uint64_t after = 0, good = 0;
	int r;

	while ((r = store_next(f->store, LANE_READINGS, after, &row)) == 1) {
		uint8_t packed[512];
		struct sample s;

		assert_true(row.sequence >= 1 && row.sequence <= n);
		(void)sample(&s, (uint32_t)row.sequence - 1);
		s.reading.has_sequence = 1;
		s.reading.sequence = row.sequence;
		assert_int_equal(row.len, wellgate__v1__reading__pack(&s.reading, packed));
		assert_memory_equal(row.payload, packed, row.len);
		after = row.sequence;
		good++;
	}
	assert_true(r == 0 || r == -EUCLEAN); /* seen too late for the start: the next one heals */
	return good;
}

static void damage(struct image *image, uint32_t *seed)
{
	uint32_t n = 1 + next_random(seed) % 8;

	for (uint32_t i = 0; i < n; i++) {
		size_t at = next_random(seed) % image->len;
		size_t len = next_random(seed) % 4 ? 1 : next_random(seed) % 1024;

		if (next_random(seed) % 16 == 0)
			at %= 2048; /* more often where it hurts */
		for (size_t k = at; k < at + len && k < image->len; k++)
			image->data[k] = (uint8_t)next_random(seed);
	}
}

static int remove_all(const struct fixture *f)
{
	char command[320];

	/* the keys are no part of the database, and damaged by another test */
	assert_true(snprintf(command, sizeof(command), "rm -rf %s/wellgate.db* %s/[qs]* %s/*check",
			     f->dir, f->dir, f->dir) < 320);
	return system(command); /* NOLINT(cert-env33-c): our own directory */
}

struct damaged {
	struct image file, log;
	uint32_t seed, refused;
	uint64_t good;
};

static void save_damaged(struct fixture *f, const char *name, const struct image *image,
			 uint32_t *seed)
{
	struct image copy = { malloc(image->len), image->len };

	assert_non_null(copy.data);
	(void)memcpy(copy.data, image->data, image->len);
	damage(&copy, seed);
	save_image(f, name, &copy);
	free(copy.data);
}

static void damage_once(struct fixture *f, struct damaged *d)
{
	int r;

	assert_int_equal(remove_all(f), 0);
	save_damaged(f, "wellgate.db", &d->file, &d->seed);
	if (next_random(&d->seed) % 4 == 0)
		save_damaged(f, "wellgate.db-wal", &d->log, &d->seed);
	else
		save_image(f, "wellgate.db-wal", &d->log);
	r = store_open(&f->options, &f->store, NULL);
	assert_true(r == 0 || r == -EUCLEAN);
	if (r < 0) {
		d->refused++;
		return;
	}
	d->good += compare_rows(f, 900 + UNCOMMITTED);
	(void)store_commit(f->store);
	close_store(f);
	assert_int_equal(store_open(&f->options, &f->store, NULL), 0);
	(void)compare_rows(f, 900 + UNCOMMITTED);
	close_store(f);
}

/* Random damage to file and log: never a wrong row, never a stop. */
static void test_any_damage(void **state)
{
	struct fixture *f = *state;
	struct damaged d = { .seed = 1 };

	open_store(f);
	fill(f, 0, 600);
	close_store(f);
	fill_and_die(f, 600, 300);
	d.file = load_image(f, "wellgate.db");
	d.log = load_image(f, "wellgate.db-wal");
	for (int round = 0; round < 300; round++)
		damage_once(f, &d);
	free(d.file.data);
	free(d.log.data);
	assert_true(d.refused <= 3); /* the version number itself was hit */
	assert_true(d.good > UINT64_C(300) * 700);
}

int main(void)
{
#define T(name, setup) cmocka_unit_test_setup_teardown(name, setup, remove_store)
	const struct CMUnitTest tests[] = {
		T(test_foreign_files_are_refused_untouched, make_dir),
		T(test_newer_versions_are_refused_untouched, make_store),
		T(test_empty_file_is_a_new_store, make_dir),
		T(test_damaged_rows_are_never_handed_out, make_store),
		T(test_damaged_page_is_salvaged_around, make_store),
		T(test_lost_beginning_is_salvaged, make_store),
		T(test_lost_end_is_salvaged, make_store),
		T(test_log_is_salvaged_as_well, make_dir),
		T(test_log_without_its_file, make_dir),
		T(test_long_rows_are_salvaged, make_store),
		T(test_interrupted_quarantine_is_finished, make_store),
		T(test_asked_for_a_check, make_store),
		T(test_any_damage, make_dir),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
