/* links: gateway_store gateway_base */
/*
 * What the store costs beside the least SQLite could cost: the same bytes inserted by the same
 * groups into one bare table (WAL, synchronous=FULL, SQLite's own checkpoints). Rounds of both
 * alternate in one run; time is the median, bytes are what the kernel wrote for us
 * (/proc/self/io write_bytes, checkpoints and closing included).
 *
 *   bench_store [DIRECTORY]   on the file system of DIRECTORY (default: here); not on tmpfs
 *   bench_store DIRECTORY N...   instead: what one more reading costs in stores that hold N
 *                             readings already, beside the first of these, and how long each takes
 *                             to open; they are written in bulk, 260 bytes for each reading
 */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <sqlite3.h>

#include "gateway/store/meta.h"
#include "gateway/store/store.h"
#include "protocols/messages/codes.h"

#define ROUNDS 7

struct bench {
	const char *dir;
	size_t group, n;
	size_t first; /* number of the first reading: no round repeats one */
};

struct cost {
	double us;    /* per reading */
	double bytes; /* written, per reading */
};

static void die(const char *what, int r)
{
	(void)fprintf(stderr, "bench_store: %s: %s\n", what, r < 0 ? strerror(-r) : "failed");
	exit(1);
}

static double now_us(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static double written(void)
{
	FILE *f = fopen("/proc/self/io", "re");
	char line[128];
	double n = -1;

	while (f && fgets(line, sizeof(line), f)) {
		if (strncmp(line, "write_bytes: ", 13) == 0)
			n = strtod(line + 13, NULL);
	}
	if (f)
		(void)fclose(f);
	if (n < 0)
		die("/proc/self/io", 0);
	return n;
}

/* splitmix64: a key as random as a digest, the same in every run */
static uint64_t mix(uint64_t x)
{
	x += UINT64_C(0x9e3779b97f4a7c15);
	x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
	return x ^ x >> 31;
}

struct sample {
	uint8_t id[16], key[16], boot[16], raw[16], serial[16];
	Wellgate__V1__Decimal value, original;
	Wellgate__V1__Component component, *components[1];
	Wellgate__V1__DeviceTime time;
	Wellgate__V1__DeviceRef device;
	Wellgate__V1__Reading reading;
};

static ProtobufCBinaryData bytes_of(uint8_t *data, uint64_t seed)
{
	uint64_t words[2] = { mix(seed), mix(~seed) };

	(void)memcpy(data, words, 16);
	return (ProtobufCBinaryData){ 16, data };
}

/* A body weight every minute: 7 in 10 of its bytes are never the same. */
static void make(struct sample *s, size_t i)
{
	Wellgate__V1__Reading *r = &s->reading;

	wellgate__v1__decimal__init(&s->value);
	wellgate__v1__component__init(&s->component);
	wellgate__v1__device_time__init(&s->time);
	wellgate__v1__device_ref__init(&s->device);
	wellgate__v1__reading__init(r);
	s->value.has_mantissa = s->value.has_exponent = 1;
	s->value.mantissa = (int64_t)(700 + i % 100);
	s->value.exponent = -1;
	s->component.has_metric = 1;
	s->component.metric = WELLGATE__V1__METRIC__METRIC_BODY_WEIGHT;
	s->component.value = &s->value;
	s->component.unit = (char *)(uintptr_t) "kg";
	s->component.loinc = (char *)(uintptr_t) "29463-7";
	s->components[0] = &s->component;
	s->time.has_kind = s->time.has_year = s->time.has_month = s->time.has_day = 1;
	s->time.has_hour = s->time.has_minute = s->time.has_second = 1;
	s->time.kind = WELLGATE__V1__DEVICE_TIME__KIND__KIND_LOCAL;
	s->time.year = 2026;
	s->time.month = (uint32_t)(1 + i / 40320 % 12);
	s->time.day = (uint32_t)(1 + i / 1440 % 28);
	s->time.hour = (uint32_t)(i / 60 % 24);
	s->time.minute = (uint32_t)(i % 60);
	s->device.driver = (char *)(uintptr_t) "sig_weight";
	s->device.model = (char *)(uintptr_t) "Scale 1";
	s->device.has_serial_digest = 1;
	s->device.serial_digest = bytes_of(s->serial, 1);
	r->has_reading_id = r->has_dedupe_key = r->has_boot_id = r->has_raw_digest = 1;
	r->reading_id = bytes_of(s->id, 4 * i + 2);
	r->dedupe_key = bytes_of(s->key, 4 * i + 3);
	r->boot_id = bytes_of(s->boot, 0);
	r->raw_digest = bytes_of(s->raw, 4 * i + 4);
	r->has_metric = r->has_measured_at_ms = r->has_received_at_ms = r->has_clock = 1;
	r->metric = WELLGATE__V1__METRIC__METRIC_BODY_WEIGHT;
	r->n_components = 1;
	r->components = s->components;
	r->measured_at_ms = INT64_C(1790000000000) + (int64_t)i * 60000;
	r->received_at_ms = r->measured_at_ms + 1234;
	r->clock = WELLGATE__V1__CLOCK_QUALITY__CLOCK_DEVICE_CORRECTED;
	r->device_time = &s->time;
	r->device = &s->device;
}

static struct cost finish(const struct bench *b, double us, double bytes)
{
	return (struct cost){ us / (double)b->n, (written() - bytes) / (double)b->n };
}

static void path_in(const struct bench *b, const char *name, char ret[256])
{
	if (snprintf(ret, 256, "%s/%s", b->dir, name) >= 256)
		die("directory name too long", 0);
}

static struct cost run_store(const struct bench *b)
{
	char dir[256];
	struct store *store;
	double bytes = written(), start, us;

	path_in(b, "store", dir);
	struct store_options options = { .dir = dir };
	int r = store_open(&options, &store, NULL);
	if (r < 0)
		die("store_open", r);
	start = now_us();
	for (size_t i = 0; r == 0 && i < b->n; i++) {
		struct sample s;
		bool is_new;

		make(&s, b->first + i);
		r = store_add_reading(store, &s.reading, STORE_PUBLISH, &is_new);
		if (r == 0 && (i + 1) % b->group == 0)
			r = store_commit(store);
	}
	us = now_us() - start;
	store_close(store);
	if (r < 0)
		die("store", r);
	return finish(b, us, bytes);
}

static sqlite3 *open_bare(const char *path)
{
	static const char setup[] = "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"
				    "PRAGMA locking_mode=EXCLUSIVE;"
				    "CREATE TABLE IF NOT EXISTS reading(id INTEGER PRIMARY KEY, "
				    "payload BLOB)";
	sqlite3 *db;

	if (sqlite3_open(path, &db) != SQLITE_OK ||
	    sqlite3_exec(db, setup, NULL, NULL, NULL) != SQLITE_OK)
		die("sqlite", 0);
	return db;
}

static void insert_bare(sqlite3_stmt *insert, size_t i)
{
	uint8_t payload[1024];
	struct sample s;

	make(&s, i);
	s.reading.has_sequence = 1;
	s.reading.sequence = i + 1;
	size_t len = wellgate__v1__reading__pack(&s.reading, payload);
	(void)sqlite3_bind_blob(insert, 1, payload, (int)len, SQLITE_STATIC);
	if (sqlite3_step(insert) != SQLITE_DONE)
		die("sqlite insert", 0);
	(void)sqlite3_reset(insert);
}

static struct cost run_bare(const struct bench *b)
{
	char path[256];
	sqlite3_stmt *insert;
	double bytes = written(), start, us;

	path_in(b, "bare.db", path);
	sqlite3 *db = open_bare(path);
	if (sqlite3_prepare_v2(db, "INSERT INTO reading VALUES(NULL,?1)", -1, &insert, NULL))
		die("sqlite", 0);
	start = now_us();
	for (size_t i = 0; i < b->n; i++) {
		if (i % b->group == 0)
			(void)sqlite3_exec(db, "BEGIN", NULL, NULL, NULL);
		insert_bare(insert, b->first + i);
		if ((i + 1) % b->group == 0 &&
		    sqlite3_exec(db, "COMMIT", NULL, NULL, NULL) != SQLITE_OK)
			die("sqlite commit", 0);
	}
	us = now_us() - start;
	(void)sqlite3_finalize(insert);
	(void)sqlite3_close(db);
	return finish(b, us, bytes);
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double median(double *v)
{
	qsort(v, ROUNDS, sizeof(*v), by_value); /* now v[0] is the least */
	return v[ROUNDS / 2];
}

/* One line. Limits: README.md */
static void compare(struct bench b)
{
	double us[2][ROUNDS], bytes[2][ROUNDS], ratio[ROUNDS];

	for (size_t i = 0; i < ROUNDS; i++, b.first += b.n) {
		struct cost bare = run_bare(&b), ours = run_store(&b);

		us[0][i] = bare.us;
		us[1][i] = ours.us;
		bytes[0][i] = bare.bytes;
		bytes[1][i] = ours.bytes;
		ratio[i] = ours.us / bare.us;
	}
	double middle = median(ratio);
	(void)printf("group %4zu  %8.1f us/reading  bare %8.1f  ratio %.2f (%.2f to %.2f)  "
		     "%6.0f bytes/reading  bare %6.0f\n",
		     b.group, median(us[1]), median(us[0]), middle, ratio[0], ratio[ROUNDS - 1],
		     median(bytes[1]), median(bytes[0]));
}

/* ---- one more reading, with many there ---- */

#define FLAT_SIZES  4
#define FLAT_ROUNDS 15
#define FLAT_GROUPS 10 /* of 100 readings, per round */

struct flat {
	uint64_t n;
	struct store *store;
	double open_ms, bytes, us[FLAT_ROUNDS];
};

/* Rows as long as sealed ones and keys as `seen` has them, a minute apart. Nobody reads these rows:
 * what is newest in the index is said to be in it already. */
static void write_many(const char *dir, uint64_t n)
{
	char path[300], sql[1200];
	sqlite3 *db;

	if (n == 0)
		return;
	(void)snprintf(path, sizeof(path), "%s/wellgate.db", dir);
	(void)snprintf(
		sql, sizeof(sql),
		"PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF; PRAGMA cache_size=-65536;"
		"PRAGMA locking_mode=EXCLUSIVE; BEGIN;"
		"WITH RECURSIVE i(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM i LIMIT %" PRIu64
		") INSERT INTO reading SELECT n, 20, 1700000000 + n, n %% 65536 * 32768,"
		" randomblob(205) FROM i;"
		"WITH RECURSIVE i(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM i LIMIT %" PRIu64
		") INSERT INTO seen SELECT 1000000000 + n, randomblob(16), n FROM i;"
		"COMMIT; PRAGMA journal_mode=WAL",
		n, n);
	if (sqlite3_open(path, &db) != SQLITE_OK ||
	    sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK ||
	    mark_write(db, MARK_SEEN, &(struct mark){ n, 0 }) < 0)
		die("sqlite bulk", 0);
	(void)sqlite3_close(db);
}

static void open_flat(const struct bench *b, struct flat *f)
{
	char name[32], dir[256];
	struct store_options options = { .dir = dir };
	double start;
	int r;

	(void)snprintf(name, sizeof(name), "flat-%" PRIu64, f->n);
	path_in(b, name, dir);
	r = store_open(&options, &f->store, NULL);
	if (r < 0)
		die("store_open", r);
	store_close(f->store);
	write_many(dir, f->n);
	start = now_us();
	r = store_open(&options, &f->store, NULL);
	if (r < 0)
		die("store_open", r);
	f->open_ms = (now_us() - start) / 1e3;
}

static void add_some(struct flat *f, size_t round, size_t first)
{
	const size_t n = FLAT_GROUPS * (size_t)100;
	double bytes = written(), start = now_us();
	int r = 0;

	for (size_t i = 0; r == 0 && i < n; i++) {
		struct sample s;
		bool is_new;

		make(&s, first + i);
		r = store_add_reading(f->store, &s.reading, STORE_PUBLISH, &is_new);
		if (r == 0 && (i + 1) % 100 == 0)
			r = store_commit(f->store);
	}
	if (r < 0)
		die("store", r);
	f->us[round] = (now_us() - start) / (double)n;
	f->bytes += (written() - bytes) / (double)n / FLAT_ROUNDS;
}

/* Limits: README.md */
static void flat(const struct bench *b, char **sizes, int n_sizes)
{
	struct flat flats[FLAT_SIZES] = { 0 };
	const size_t n = n_sizes < FLAT_SIZES ? (size_t)n_sizes : FLAT_SIZES;
	double ratios[FLAT_SIZES][FLAT_ROUNDS];

	for (size_t i = 0; i < n; i++) {
		flats[i].n = strtoull(sizes[i], NULL, 10);
		open_flat(b, &flats[i]);
	}
	for (size_t round = 0; round < FLAT_ROUNDS; round++) {
		for (size_t i = 0; i < n; i++) {
			add_some(&flats[i], round, round * FLAT_GROUPS * 100);
			ratios[i][round] = flats[i].us[round] / flats[0].us[round];
		}
	}
	for (size_t i = 0; i < n; i++) {
		double bytes = written();

		store_close(flats[i].store); /* the last checkpoint belongs to it */
		flats[i].bytes += (written() - bytes) / (FLAT_ROUNDS * FLAT_GROUPS * 100);
		qsort(ratios[i], FLAT_ROUNDS, sizeof(double), by_value);
		qsort(flats[i].us, FLAT_ROUNDS, sizeof(double), by_value);
		(void)printf("%9" PRIu64 " readings there: %7.1f us and %5.0f bytes for one more, "
			     "ratio %.2f; opens in %.0f ms\n",
			     flats[i].n, flats[i].us[FLAT_ROUNDS / 2], flats[i].bytes,
			     ratios[i][FLAT_ROUNDS / 2], flats[i].open_ms);
	}
}

int main(int argc, char **argv)
{
	const char *parent = argc > 1 ? argv[1] : ".";
	char dir[200], command[256];
	struct sample s;

	if (snprintf(dir, sizeof(dir), "%s/bench-store-XXXXXX", parent) >= (int)sizeof(dir) ||
	    !mkdtemp(dir))
		die(parent, 0);
	make(&s, 12345);
	(void)printf("reading: %zu bytes\n", wellgate__v1__reading__get_packed_size(&s.reading));
	if (argc > 2) {
		flat(&(struct bench){ .dir = dir }, argv + 2, argc - 2);
	} else {
		compare((struct bench){ dir, 1, 1500, 0 });
		compare((struct bench){ dir, 100, 30000, 20000 });
	}
	(void)snprintf(command, sizeof(command), "rm -r -- '%s'", dir);
	return system(command) == 0 ? 0 : 1; /* NOLINT(cert-env33-c): our own directory */
}
