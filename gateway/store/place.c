#include "gateway/store/place.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "drivers/cleanup.h"
#include "gateway/store/database.h"
#include "gateway/store/meta.h"
#include "gateway/store/rebuild.h"
#include "protocols/bytes/cursor.h"

#define DB     "wellgate.db"
#define LOG    "wellgate.db-wal"
#define BUILD  "wellgate.new"
#define CHECK  "wellgate.check"
#define HEADER 100

/* Above this a whole check would take many seconds at every start on a memory card. */
#define CHECK_BYTES (INT64_C(64) << 20)

enum verdict {
	VERDICT_ABSENT,
	VERDICT_OURS,
	VERDICT_DAMAGED,
	VERDICT_FOREIGN,
	VERDICT_NEWER,
};

__attribute__((format(printf, 3, 4))) static int fail(char **ret_error, int error,
						      const char *format, ...)
{
	char *text = NULL;
	va_list args;

	if (!ret_error)
		return error;
	va_start(args, format);
	if (vasprintf(&text, format, args) < 0)
		text = NULL;
	va_end(args);
	*ret_error = text;
	return error;
}

static int open_dir(const char *dir, struct place *p)
{
	if (mkdir(dir, 0700) < 0 && errno != EEXIST)
		return -errno;
	p->dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (p->dir_fd < 0)
		return -errno;
	if (faccessat(p->dir_fd, ".", W_OK | X_OK, AT_EACCESS) < 0)
		return -errno;
	if (flock(p->dir_fd, LOCK_EX | LOCK_NB) < 0)
		return errno == EWOULDBLOCK ? -EBUSY : -errno;
	if (asprintf(&p->path, "%s/" DB, dir) < 0) {
		p->path = NULL;
		return -ENOMEM;
	}
	return 0;
}

static int64_t size_of(const struct place *p, const char *name)
{
	struct stat st;

	return fstatat(p->dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0 ? -1 : st.st_size;
}

static int move_aside(const struct place *p, int to_fd, const char *name)
{
	if (renameat(p->dir_fd, name, to_fd, name) < 0 && errno != ENOENT)
		return -errno;
	return 0;
}

/* salvaged-STAMP.db is complete: what is there goes to quarantine-STAMP/, it takes the place.
 * Each step may be the last before a power cut; the next start finds the file and goes on. */
static int install(const struct place *p, int64_t stamp)
{
	_cleanup_close_ int to_fd = -1;
	char dir[48], file[48];
	int r;

	(void)snprintf(dir, sizeof(dir), "quarantine-%" PRId64, stamp);
	(void)snprintf(file, sizeof(file), "salvaged-%" PRId64 ".db", stamp);
	if (mkdirat(p->dir_fd, dir, 0700) < 0 && errno != EEXIST)
		return -errno;
	to_fd = openat(p->dir_fd, dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (to_fd < 0)
		return -errno;
	r = move_aside(p, to_fd, DB);
	if (r == 0)
		r = move_aside(p, to_fd, LOG);
	if (r < 0)
		return r;
	if (fsync(to_fd) < 0 || fsync(p->dir_fd) < 0)
		return -errno;
	if (renameat(p->dir_fd, file, p->dir_fd, DB) < 0 || fsync(p->dir_fd) < 0)
		return -errno;
	return 0;
}

/* 0 = there is no interrupted quarantine */
static int64_t interrupted(const struct place *p)
{
	int fd = openat(p->dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *entry;
	int64_t stamp = 0;

	if (!d) {
		if (fd >= 0)
			(void)close(fd);
		return 0;
	}
	while (stamp == 0 && (entry = readdir(d)) != NULL) {
		if (strncmp(entry->d_name, "salvaged-", 9) == 0)
			stamp = strtoll(entry->d_name + 9, NULL, 10);
	}
	(void)closedir(d);
	return stamp;
}

static void remove_build(const struct place *p)
{
	static const char *const names[] = { BUILD, BUILD "-wal", BUILD "-journal" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		(void)unlinkat(p->dir_fd, names[i], 0);
}

/* The path of another file in the directory; freed by the caller. */
static char *sibling(const struct place *p, const char *name)
{
	char *path;
	int dir;

	if (!p->path)
		return NULL;
	dir = (int)(strlen(p->path) - strlen(DB));
	return asprintf(&path, "%.*s%s", dir, p->path, name) < 0 ? NULL : path;
}

static int make_new(const struct place *p)
{
	_cleanup_free_ char *build = sibling(p, BUILD);
	int r = build ? rebuild_empty(build) : -ENOMEM;

	if (r < 0)
		return r;
	if (renameat(p->dir_fd, BUILD, p->dir_fd, DB) < 0 || fsync(p->dir_fd) < 0)
		return -errno;
	return 0;
}

static int64_t free_stamp(const struct place *p)
{
	int64_t stamp = time(NULL);
	char dir[48];

	if (stamp <= 0)
		stamp = 1;
	for (;; stamp++) {
		(void)snprintf(dir, sizeof(dir), "quarantine-%" PRId64, stamp);
		if (size_of(p, dir) < 0)
			return stamp;
	}
}

static int put_aside(const struct place *p, char **ret_error)
{
	_cleanup_free_ char *build = sibling(p, BUILD);
	struct rebuild_report report;
	int64_t stamp = free_stamp(p);
	char file[48];
	int r = build ? rebuild_from(p->dir_fd, DB, build, p->keys, &report) : -ENOMEM;

	if (r < 0)
		return fail(ret_error, r, "%s is damaged and could not be rebuilt: %s", p->path,
			    strerror(-r));
	(void)snprintf(file, sizeof(file), "salvaged-%" PRId64 ".db", stamp);
	if (renameat(p->dir_fd, BUILD, p->dir_fd, file) < 0 || fsync(p->dir_fd) < 0)
		r = -errno;
	if (r == 0)
		r = install(p, stamp);
	if (r < 0)
		return fail(ret_error, r, "%s is damaged and could not be moved away: %s", p->path,
			    strerror(-r));
	return fail(ret_error, 0,
		    "the database was damaged and is in quarantine-%" PRId64 "; saved %" PRIu64
		    " readings and %" PRIu64 " results, %" PRIu64 " unsent readings are lost",
		    stamp, report.readings, report.results, report.missing);
}

/* By the bytes, before SQLite sees them. Whether a file without our header is ours nevertheless is
 * decided by what is in it. */
static int judge(const struct place *p, enum verdict *ret)
{
	static const char magic[16] = "SQLite format 3";
	_cleanup_close_ int fd = openat(p->dir_fd, DB, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	uint8_t header[HEADER] = { 0 };
	uint64_t found;
	ssize_t n = 0;
	int r;

	if (fd < 0 && errno != ENOENT)
		return -errno;
	if (fd >= 0) {
		n = pread(fd, header, sizeof(header), 0);
		if (n < 0)
			return -errno;
	}
	struct cursor c = cursor_of(header, sizeof(header));
	cursor_skip(&c, 68);
	if (memcmp(header, magic, sizeof(magic)) == 0 && cursor_be32(&c) == DATABASE_APPLICATION) {
		*ret = VERDICT_OURS;
		return 0;
	}
	if (n == 0 && size_of(p, LOG) <= 0) {
		*ret = VERDICT_ABSENT;
		return 0;
	}
	r = rebuild_probe(p->dir_fd, DB, &found);
	if (r == 0)
		*ret = found > 0 ? VERDICT_DAMAGED : VERDICT_FOREIGN;
	return r;
}

/* The marks as well: they must be sound before a number is given out. */
static int read_meta(struct place *p)
{
	struct mark mark;
	int r = identity_read(p->db, &p->identity);

	for (int lane = 0; r == 0 && lane < LANE_END; lane++)
		r = mark_read(p->db, MARK_LANE + lane, &mark);
	if (r == 0)
		r = mark_read(p->db, MARK_SEEN, &mark);
	if (r == 0)
		r = mark_read(p->db, MARK_HELD, &mark);
	if (r == 0)
		r = mark_read(p->db, MARK_ERASING, &mark);
	return r;
}

static int examine(struct place *p)
{
	bool asked = size_of(p, CHECK) >= 0;
	bool whole = asked || size_of(p, DB) + size_of(p, LOG) <= CHECK_BYTES;
	int r = database_check(p->db, whole);

	if (r == 0)
		r = database_migrate(p->db);
	if (r == 0)
		r = read_meta(p);
	return r;
}

/* Opens what judge() called ours; on VERDICT_DAMAGED and VERDICT_NEWER it is closed again. */
static int open_ours(struct place *p, int64_t max_bytes, enum verdict *ret)
{
	bool newer = false;
	int r = database_open(p->path, false, &p->db);

	if (r == 0) {
		r = database_version(p->db);
		newer = r == -EUCLEAN;
	}
	if (r == 0)
		r = examine(p);
	if (r == 0)
		r = database_accept(p->db, max_bytes);
	if (r == 0) {
		(void)unlinkat(p->dir_fd, CHECK, 0);
		return 0;
	}
	(void)sqlite3_close(p->db);
	p->db = NULL;
	if (size_of(p, LOG) == 0) /* made by opening */
		(void)unlinkat(p->dir_fd, LOG, 0);
	if (r == -EUCLEAN)
		*ret = newer ? VERDICT_NEWER : VERDICT_DAMAGED;
	return r;
}

static int refuse(const struct place *p, enum verdict verdict, char **ret_error)
{
	if (verdict == VERDICT_NEWER)
		return fail(ret_error, -EUCLEAN,
			    "%s was written by a newer version of wellgate; it was not touched",
			    p->path);
	return fail(ret_error, -EUCLEAN,
		    "%s is not a database of wellgate; it was not touched. Move it away, or set "
		    "another state directory",
		    p->path);
}

static int open_keys(struct place *p, const char *key_file, char **ret_error)
{
	int r = keyring_open(p->dir_fd, key_file, &p->keys);

	if (r == -EKEYREJECTED)
		return fail(ret_error, r,
			    "%s opens none of the keys in wellgate.keys; put the right one back, "
			    "or move wellgate.keys and wellgate.keys2 away: what is stored is lost "
			    "then",
			    key_file ? key_file : "hub.key");
	if (r < 0)
		return fail(ret_error, r, "cannot use the keys beside %s: %s", p->path,
			    strerror(-r));
	return 0;
}

static int open_judged(struct place *p, const struct store_options *options, char **ret_error)
{
	enum verdict verdict = VERDICT_ABSENT;
	int r = judge(p, &verdict);

	if (r == 0 && verdict != VERDICT_FOREIGN) {
		r = open_keys(p, options->key_file, ret_error);
		if (r < 0)
			return r;
	}
	if (r == 0 && verdict == VERDICT_ABSENT) {
		r = make_new(p);
		verdict = VERDICT_OURS;
	}
	if (r == 0 && verdict == VERDICT_OURS)
		r = open_ours(p, options->max_bytes, &verdict);
	if (verdict == VERDICT_FOREIGN || verdict == VERDICT_NEWER)
		return refuse(p, verdict, ret_error);
	if (verdict == VERDICT_DAMAGED) {
		r = put_aside(p, ret_error);
		if (r < 0)
			return r;
		r = open_ours(p, options->max_bytes, &verdict);
	}
	if (r < 0 && ret_error) {
		free(*ret_error);
		*ret_error = NULL;
	}
	return r < 0 ? fail(ret_error, r, "cannot open %s: %s", p->path, strerror(-r)) : 0;
}

int place_open(const struct store_options *options, struct place *ret, char **ret_error)
{
	struct place p = { .dir_fd = -1 };
	char *error = NULL;
	int64_t stamp;
	int r = open_dir(options->dir, &p);

	if (r < 0) {
		(void)fail(&error, r, "cannot use directory %s: %s", options->dir,
			   r == -EBUSY ? "another wellgated is using it" : strerror(-r));
		goto out;
	}
	remove_build(&p);
	stamp = interrupted(&p);
	if (stamp > 0)
		r = install(&p, stamp);
	if (r < 0)
		(void)fail(&error, r, "cannot finish the quarantine in %s: %s", options->dir,
			   strerror(-r));
	else
		r = open_judged(&p, options, &error);
out:
	if (r < 0)
		place_close(&p);
	else
		*ret = p;
	if (ret_error)
		*ret_error = error;
	else
		free(error);
	return r;
}

void place_close(struct place *p)
{
	(void)sqlite3_close(p->db);
	keyring_close(p->keys);
	free(p->path);
	if (p->dir_fd >= 0)
		(void)close(p->dir_fd);
	*p = (struct place){ .dir_fd = -1 };
}

void place_ask_check(const struct place *p)
{
	int fd = openat(p->dir_fd, CHECK, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd >= 0)
		(void)close(fd);
}

int64_t place_bytes(const struct place *p)
{
	int64_t db = size_of(p, DB), log = size_of(p, LOG);

	return (db > 0 ? db : 0) + (log > 0 ? log : 0);
}
