/*
 * A line: LANDING TAB SENT_MS TAB TYPE TAB IDENTIFIER TAB PATIENT TAB DIGEST TAB WHY NEWLINE
 */
#include "gateway/record/fhir/fhir_ledger.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "drivers/cleanup.h"

#define LINE_MAX_BYTES 1024
#define FIELDS         7
#define ROWS_FIRST     64

struct fhir_ledger_file {
	int fd;
	struct fhir_row *rows;
	size_t n, room;
};

static const char *const names[FHIR_LANDINGS] = { "pending", "landed", "excluded" };

static struct fhir_row *find(const struct fhir_ledger_file *f, const char *identifier,
			     const char *patient)
{
	/* the latest are asked for most */
	for (size_t i = f->n; i > 0; i--) {
		if (strcmp(f->rows[i - 1].identifier, identifier) == 0 &&
		    strcmp(f->rows[i - 1].patient, patient) == 0)
			return &f->rows[i - 1];
	}
	return NULL;
}

static int remember(struct fhir_ledger_file *f, const struct fhir_row *row)
{
	struct fhir_row *at = find(f, row->identifier, row->patient);

	if (!at && f->n == f->room) {
		const size_t room = f->room ? 2 * f->room : ROWS_FIRST;
		struct fhir_row *rows = reallocarray(f->rows, room, sizeof(*rows));

		if (!rows)
			return -ENOMEM;
		f->rows = rows;
		f->room = room;
	}
	if (!at)
		at = &f->rows[f->n++];
	*at = *row;
	return 0;
}

/* ---- reading ---- */

static bool copy_field(char *to, size_t size, const char *from)
{
	const size_t len = strlen(from);

	if (len >= size)
		return false;
	(void)memcpy(to, from, len + 1);
	return true;
}

static bool parse_line(char *line, struct fhir_row *ret)
{
	char *fields[FIELDS], *end, *rest = line;
	unsigned int landing = 0;

	for (int i = 0; i < FIELDS; i++) {
		fields[i] = strsep(&rest, "\t");
		if (!fields[i])
			return false;
	}
	while (landing < FHIR_LANDINGS && strcmp(fields[0], names[landing]) != 0)
		landing++;
	*ret = (struct fhir_row){ .landing = (enum fhir_landing)landing };
	errno = 0;
	ret->sent_ms = strtoll(fields[1], &end, 10);
	return !rest && landing < FHIR_LANDINGS && errno == 0 && !*end && end != fields[1] &&
	       copy_field(ret->type, sizeof(ret->type), fields[2]) &&
	       copy_field(ret->identifier, sizeof(ret->identifier), fields[3]) &&
	       copy_field(ret->patient, sizeof(ret->patient), fields[4]) &&
	       copy_field(ret->digest, sizeof(ret->digest), fields[5]) &&
	       copy_field(ret->why, sizeof(ret->why), fields[6]);
}

/* Up to the end of the last whole line, which is where writing goes on. */
static int load(struct fhir_ledger_file *f, FILE *stream)
{
	char line[LINE_MAX_BYTES];
	struct fhir_row row;
	off_t good = 0;
	int r;

	while (fgets(line, sizeof(line), stream)) {
		char *end = strchr(line, '\n');

		if (!end && feof(stream))
			break; /* torn: it was cut off while it was written */
		if (!end)
			return -EBADMSG;
		*end = '\0';
		if (!parse_line(line, &row))
			return -EBADMSG;
		r = remember(f, &row);
		if (r < 0)
			return r;
		good = ftello(stream);
	}
	if (ferror(stream))
		return -EIO;
	return ftruncate(f->fd, good) < 0 ? -errno : 0;
}

int fhir_ledger_file_open(const char *path, struct fhir_ledger_file **ret)
{
	struct fhir_ledger_file *f = calloc(1, sizeof(*f));
	_cleanup_file_ FILE *stream = NULL;
	int copy, r;

	if (!f)
		return -ENOMEM;
	f->fd = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
	copy = f->fd < 0 ? -1 : fcntl(f->fd, F_DUPFD_CLOEXEC, 0);
	if (copy >= 0)
		stream = fdopen(copy, "r");
	r = stream ? load(f, stream) : -errno;
	if (r < 0) {
		if (copy >= 0 && !stream)
			(void)close(copy);
		fhir_ledger_file_close(f);
		return r;
	}
	*ret = f;
	return 0;
}

void fhir_ledger_file_close(struct fhir_ledger_file *f)
{
	if (!f)
		return;
	if (f->fd >= 0)
		(void)close(f->fd);
	free(f->rows);
	free(f);
}

/* ---- the door ---- */

static void put_clean(char *to, size_t size, const char *from)
{
	size_t n = 0;

	for (; from[n] && n + 1 < size; n++)
		to[n] = (char)((unsigned char)from[n] < 0x20 || from[n] == 0x7f ? ' ' : from[n]);
	to[n] = '\0';
}

static int file_put(void *behind, const struct fhir_row *row)
{
	struct fhir_ledger_file *f = behind;
	struct fhir_row clean = *row;
	char line[LINE_MAX_BYTES];
	int len, r;

	if ((unsigned int)row->landing >= FHIR_LANDINGS)
		return -EINVAL;
	put_clean(clean.why, sizeof(clean.why), row->why);
	len = snprintf(line, sizeof(line), "%s\t%" PRId64 "\t%s\t%s\t%s\t%s\t%s\n",
		       names[row->landing], clean.sent_ms, clean.type, clean.identifier,
		       clean.patient, clean.digest, clean.why);
	if (len < 0 || (size_t)len >= sizeof(line) || strcspn(line, "\n") + 1 != (size_t)len)
		return -EINVAL;
	r = remember(f, &clean);
	if (r < 0)
		return r;
	if (write(f->fd, line, (size_t)len) != len)
		return errno ? -errno : -EIO;
	return fdatasync(f->fd) < 0 ? -errno : 0;
}

static int file_get(void *behind, const char *identifier, const char *patient, struct fhir_row *ret)
{
	const struct fhir_row *row = find(behind, identifier, patient);

	if (!row)
		return -ENOENT;
	*ret = *row;
	return 0;
}

static int file_each_pending(void *behind, int (*fn)(void *user, const struct fhir_row *row),
			     void *user)
{
	struct fhir_ledger_file *f = behind;
	int r = 0;

	for (size_t i = 0; i < f->n && r == 0; i++) {
		const struct fhir_row row = f->rows[i]; /* fn may move the rows */

		if (row.landing == FHIR_PENDING)
			r = fn(user, &row);
	}
	return r;
}

struct fhir_ledger fhir_ledger_of_file(struct fhir_ledger_file *f)
{
	return (struct fhir_ledger){
		.put = file_put, .get = file_get, .each_pending = file_each_pending, .behind = f
	};
}

void fhir_ledger_counts(const struct fhir_ledger_file *f, uint64_t ret[FHIR_LANDINGS])
{
	for (unsigned int i = 0; i < FHIR_LANDINGS; i++)
		ret[i] = 0;
	for (size_t i = 0; i < f->n; i++)
		ret[f->rows[i].landing]++;
}
