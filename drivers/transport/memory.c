#include "drivers/transport/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>

#include "drivers/cleanup.h"

/* Each line: position, start, path of the capture. The numbers have one width, so that a line
 * never moves. */
#define HEADER       "wellgate-memory 1\n"
#define NUMBER_WIDTH 20
#define NUMBERS_LEN  ((size_t)2 * (NUMBER_WIDTH + 1))

struct device_memory {
	uint64_t position;
	int64_t start_ms;
	off_t offset; /* of its line */
};

struct memory {
	char *const *files;
	size_t n_files;
	struct device_memory *devices;
	int fd; /* -1 = only in this process */
};

static void format_numbers(const struct device_memory *d, char buf[NUMBERS_LEN + 1])
{
	(void)snprintf(buf, NUMBERS_LEN + 1, "%0*" PRIu64 " %0*" PRId64 " ", NUMBER_WIDTH,
		       d->position, NUMBER_WIDTH, d->start_ms);
}

static void recall(struct memory *m, const char *path, uint64_t position, int64_t start_ms)
{
	for (size_t i = 0; i < m->n_files; i++) {
		if (strcmp(m->files[i], path) == 0) {
			m->devices[i].position = position;
			m->devices[i].start_ms = start_ms;
		}
	}
}

static int load_line(struct memory *m, char *line)
{
	char *end, *newline = strchr(line, '\n');
	uint64_t position;
	int64_t start_ms;

	if (!newline)
		return -EBADMSG;
	*newline = '\0';
	errno = 0;
	position = strtoull(line, &end, 10);
	if (errno != 0 || *end != ' ')
		return -EBADMSG;
	start_ms = strtoll(end + 1, &end, 10);
	if (errno != 0 || *end != ' ')
		return -EBADMSG;
	recall(m, end + 1, position, start_ms);
	return 0;
}

static int load(struct memory *m, const char *path)
{
	_cleanup_file_ FILE *f = fopen(path, "re");
	_cleanup_free_ char *line = NULL;
	size_t size = 0;
	int r = 0;

	if (!f)
		return errno == ENOENT ? 0 : -errno;
	if (getline(&line, &size, f) < 0 || strcmp(line, HEADER) != 0)
		return -EBADMSG;
	while (r == 0 && getline(&line, &size, f) >= 0)
		r = load_line(m, line);
	return ferror(f) ? -EIO : r;
}

static int write_lines(struct memory *m, FILE *f)
{
	char numbers[NUMBERS_LEN + 1];

	if (fputs(HEADER, f) == EOF)
		return -EIO;
	for (size_t i = 0; i < m->n_files; i++) {
		m->devices[i].offset = ftello(f);
		format_numbers(&m->devices[i], numbers);
		if (fprintf(f, "%s%s\n", numbers, m->files[i]) < 0)
			return -EIO;
	}
	return fflush(f) == 0 ? 0 : -errno;
}

/* A new file beside the old one, then in its place: a kill in between loses nothing. */
static int save(struct memory *m, const char *path)
{
	_cleanup_free_ char *temporary = NULL;
	_cleanup_file_ FILE *f = NULL;
	int r;

	if (asprintf(&temporary, "%s.new", path) < 0) {
		temporary = NULL;
		return -ENOMEM;
	}
	f = fopen(temporary, "we");
	if (!f)
		return -errno;
	r = write_lines(m, f);
	if (r < 0)
		return r;
	m->fd = fcntl(fileno(f), F_DUPFD_CLOEXEC, 0);
	if (m->fd < 0 || rename(temporary, path) < 0)
		return -errno;
	return 0;
}

static int store(struct memory *m, size_t file)
{
	char numbers[NUMBERS_LEN + 1];
	ssize_t n;

	if (m->fd < 0)
		return 0;
	format_numbers(&m->devices[file], numbers);
	n = pwrite(m->fd, numbers, NUMBERS_LEN, m->devices[file].offset);
	if (n < 0)
		return -errno;
	return (size_t)n == NUMBERS_LEN ? 0 : -EIO;
}

uint64_t memory_position(const struct memory *m, size_t file)
{
	return m->devices[file].position;
}

int memory_set_position(struct memory *m, size_t file, uint64_t position)
{
	m->devices[file].position = position;
	return store(m, file);
}

int64_t memory_start(const struct memory *m, size_t file)
{
	return m->devices[file].start_ms;
}

int memory_set_start(struct memory *m, size_t file, int64_t utc_ms)
{
	m->devices[file].start_ms = utc_ms;
	return store(m, file);
}

int memory_open(const char *path, char *const *files, size_t n_files, struct memory **ret)
{
	struct memory *m = calloc(1, sizeof(*m));
	int r = 0;

	if (m) {
		m->fd = -1;
		m->files = files;
		m->n_files = n_files;
		m->devices = calloc(n_files ? n_files : 1, sizeof(*m->devices));
	}
	if (!m || !m->devices) {
		memory_free(m);
		return -ENOMEM;
	}
	if (path) {
		r = load(m, path);
		if (r == 0)
			r = save(m, path);
	}
	if (r < 0) {
		memory_free(m);
		return r;
	}
	*ret = m;
	return 0;
}

void memory_free(struct memory *m)
{
	if (!m)
		return;
	if (m->fd >= 0)
		(void)close(m->fd);
	free(m->devices);
	free(m);
}
