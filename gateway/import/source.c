/* libzip has a time_t within zip_stat_t: on 32-bit processors Debian 12 made it with the short
 * one */
#undef _TIME_BITS
#include "gateway/import/source.h"

#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zip.h>

#include "drivers/cleanup.h"
#include "gateway/import/zip.h"
#include "gateway/text.h"

#define RATIO_FROM (UINT64_C(1024) * 1024)

struct entry {
	char *name;
	uint64_t index; /* in the archive */
};

struct source {
	zip_t *zip; /* NULL: names are paths */
	struct entry *entries;
	size_t n, room;
	int64_t left; /* of SOURCE_TOTAL_MAX */
};

static int bad(const char *why, const char **ret_why)
{
	*ret_why = why;
	return -EBADMSG;
}

static int add(struct source *s, const char *name, uint64_t index)
{
	struct entry *more;

	if (s->n == s->room) {
		s->room = s->room ? s->room * 2 : 64;
		more = realloc(s->entries, s->room * sizeof(*more));
		if (!more)
			return -ENOMEM;
		s->entries = more;
	}
	s->entries[s->n] = (struct entry){ strdup(name), index };
	return s->entries[s->n].name ? (s->n++, 0) : -ENOMEM;
}

static int by_name(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;

	return strcmp(x->name, y->name);
}

/* ---- archives */

/* We write nothing, but who has such names in an archive means harm to somebody who does. */
static bool is_trick(const char *name)
{
	const size_t len = strlen(name);

	return len == 0 || len > SOURCE_NAME_MAX || name[0] == '/' || strchr(name, '\\') ||
	       strcmp(name, "..") == 0 || strncmp(name, "../", 3) == 0 || strstr(name, "/../") ||
	       (len >= 3 && strcmp(name + len - 3, "/..") == 0) || !text_is_clean(name);
}

static int check_entry(const zip_stat_t *st, const char **ret_why)
{
	const uint64_t need =
		ZIP_STAT_NAME | ZIP_STAT_SIZE | ZIP_STAT_COMP_SIZE | ZIP_STAT_ENCRYPTION_METHOD;

	if ((st->valid & need) != need || is_trick(st->name))
		return bad("the archive has names that no export has: somebody made it to do harm",
			   ret_why);
	if (st->encryption_method != ZIP_EM_NONE)
		return bad("the archive is encrypted; unpack it and import the folder", ret_why);
	if (st->size > RATIO_FROM && st->size / SOURCE_RATIO_MAX > st->comp_size)
		return bad("the archive unpacks to absurd sizes: somebody made it to do harm",
			   ret_why);
	return 0;
}

static int list_archive(struct source *s, const char **ret_why)
{
	const zip_int64_t n = zip_get_num_entries(s->zip, 0);
	int r = 0;

	for (zip_int64_t i = 0; i < n && r == 0; i++) {
		zip_stat_t st;

		zip_stat_init(&st);
		if (zip_stat_index(s->zip, (zip_uint64_t)i, 0, &st) < 0)
			return bad("an entry of the archive cannot be read", ret_why);
		r = check_entry(&st, ret_why);
		if (r == 0 && st.name[strlen(st.name) - 1] != '/')
			r = add(s, st.name, (uint64_t)i);
	}
	return r;
}

static int open_archive(struct source *s, int *fd, int64_t size, const char **ret_why)
{
	int r = zip_guard(*fd, size, ret_why), why = 0;

	if (r < 0)
		return r;
	s->zip = zip_fdopen(*fd, ZIP_CHECKCONS, &why);
	if (!s->zip)
		return bad("the archive is damaged or contradicts itself", ret_why);
	*fd = -1; /* closed by zip_fdopen() */
	return list_archive(s, ret_why);
}

static int read_archived(struct source *s, const struct entry *e, char *data, size_t len)
{
	zip_file_t *file = zip_fopen_index(s->zip, e->index, 0);
	char one;
	int r = -EBADMSG;

	if (!file)
		return -EBADMSG;
	/* one byte more than it said: its end, and with it the checksum, is reached */
	if (zip_fread(file, data, len) == (zip_int64_t)len && zip_fread(file, &one, 1) == 0)
		r = 0;
	return zip_fclose(file) == 0 ? r : -EBADMSG;
}

/* ---- folders and files */

static int open_folder(const char *path, FTS **ret)
{
	char *roots[] = { strdup(path), NULL };
	int r = -ENOMEM;

	if (roots[0]) {
		*ret = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
		r = *ret ? 0 : -errno;
	}
	free(roots[0]);
	return r;
}

static int list_folder(struct source *s, const char *path, const char **ret_why)
{
	FTS *fts = NULL;
	const FTSENT *e;
	int r = open_folder(path, &fts);

	if (r < 0)
		return r;
	while (r == 0 && (e = fts_read(fts)) != NULL) {
		if (e->fts_info == FTS_F)
			r = add(s, e->fts_path, 0);
		if (e->fts_info == FTS_DNR || e->fts_info == FTS_ERR)
			r = -e->fts_errno;
		if (s->n > SOURCE_ENTRIES_MAX)
			r = bad("the folder has too many files", ret_why);
	}
	(void)fts_close(fts);
	return r;
}

static int open_plain(const struct entry *e, int *ret_fd, struct stat *st)
{
	_cleanup_close_ int fd = open(e->name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

	if (fd < 0 || fstat(fd, st) < 0)
		return -errno;
	if (!S_ISREG(st->st_mode))
		return -EBADMSG;
	*ret_fd = take_fd(&fd);
	return 0;
}

static int read_fd(int fd, char *data, size_t len)
{
	size_t have = 0;

	while (have < len) {
		const ssize_t n = read(fd, data + have, len - have);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EBADMSG; /* it became shorter meanwhile */
		have += (size_t)n;
	}
	return 0;
}

/* ---- all of them */

static int list(struct source *s, const char *path, const char **ret_why)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	const size_t len = strlen(path);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (S_ISDIR(st.st_mode))
		return list_folder(s, path, ret_why);
	if (!S_ISREG(st.st_mode))
		return bad("it is neither a file nor a folder", ret_why);
	if (len > 4 && strcmp(path + len - 4, ".zip") == 0)
		return open_archive(s, &fd, st.st_size, ret_why);
	return add(s, path, 0);
}

int source_open(const char *path, struct source **ret, const char **ret_why)
{
	struct source *s = calloc(1, sizeof(*s));
	const char *why = NULL;
	int r;

	if (!s)
		return -ENOMEM;
	s->left = SOURCE_TOTAL_MAX;
	r = list(s, path, &why);
	if (r < 0) {
		if (ret_why)
			*ret_why = why;
		source_close(s);
		return r;
	}
	if (s->n > 0)
		qsort(s->entries, s->n, sizeof(*s->entries), by_name);
	*ret = s;
	return 0;
}

void source_close(struct source *s)
{
	if (!s)
		return;
	if (s->zip)
		zip_discard(s->zip);
	for (size_t i = 0; i < s->n; i++)
		free(s->entries[i].name);
	free(s->entries);
	free(s);
}

size_t source_count(const struct source *s)
{
	return s->n;
}

const char *source_name(const struct source *s, size_t i)
{
	return s->entries[i].name;
}

/* opens it if it is a plain file, for its size */
static int size_of(struct source *s, size_t i, int *ret_fd, uint64_t *ret)
{
	struct stat plain = { 0 };
	zip_stat_t st;
	int r = 0;

	if (s->zip) {
		zip_stat_init(&st);
		if (zip_stat_index(s->zip, s->entries[i].index, 0, &st) < 0)
			return -EBADMSG;
		*ret = st.size;
		return 0;
	}
	r = open_plain(&s->entries[i], ret_fd, &plain);
	if (r < 0)
		return r;
	*ret = (uint64_t)plain.st_size;
	return 0;
}

int source_read(struct source *s, size_t i, size_t max, char **ret, size_t *ret_len)
{
	_cleanup_close_ int fd = -1;
	uint64_t size = 0;
	char *data;
	int r = size_of(s, i, &fd, &size);

	if (r < 0)
		return r;
	if (size > max || (int64_t)size > s->left)
		return -EFBIG;
	data = malloc((size_t)size + 1);
	if (!data)
		return -ENOMEM;
	r = s->zip ? read_archived(s, &s->entries[i], data, (size_t)size)
		   : read_fd(fd, data, (size_t)size);
	if (r < 0) {
		free(data);
		return r;
	}
	s->left -= (int64_t)size;
	data[size] = '\0';
	*ret = data;
	*ret_len = (size_t)size;
	return 0;
}
