#include "drivers/transport/recorder.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>

#include "drivers/cleanup.h"
#include "protocols/capture/stamp.h"

#define FILES_MAX 16
#define TRIES_MAX 1000

struct recording {
	uint32_t link;
	int64_t begin_us;
	FILE *file; /* NULL = free */
};

struct recorder {
	char *directory;
	struct recording recordings[FILES_MAX];
};

int recorder_header(FILE *file, const char *device, const char *provenance, const char *consent,
		    int64_t utc_ms)
{
	char start[STAMP_TEXT_MAX];

	if (stamp_format(utc_ms, start) < 0)
		return -ERANGE;
	if (fprintf(file, "# wellgate-capture: %d\n", CAP_VERSION) < 0 ||
	    (device && fprintf(file, "# device: %s\n", device) < 0) ||
	    fprintf(file, "# provenance: %s\n# consent: %s\n# start: %s\n", provenance, consent,
		    start) < 0)
		return -EIO;
	return fflush(file) == 0 ? 0 : -errno;
}

/* "20261116-075800.cap", or with a number if there is such a file already */
static int create(const struct recorder *r, int64_t utc_ms, FILE **ret)
{
	const struct stamp s = stamp_of_ms(utc_ms);

	for (unsigned int i = 0; i < TRIES_MAX; i++) {
		_cleanup_free_ char *path = NULL;
		int n, fd;

		n = asprintf(&path, "%s/%04d%02u%02u-%02u%02u%02u-%03u.cap", r->directory, s.year,
			     s.month, s.day, s.hour, s.minute, s.second, i);
		if (n < 0) {
			path = NULL;
			return -ENOMEM;
		}
		fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
		if (fd < 0 && errno == EEXIST)
			continue;
		if (fd < 0)
			return -errno;
		*ret = fdopen(fd, "w");
		if (*ret)
			return 0;
		(void)close(fd);
		return -ENOMEM;
	}
	return -EEXIST;
}

static struct recording *find(struct recorder *r, uint32_t link)
{
	for (size_t i = 0; i < FILES_MAX; i++) {
		if (r->recordings[i].file && r->recordings[i].link == link)
			return &r->recordings[i];
	}
	return NULL;
}

static int begin(struct recorder *r, uint32_t link, const struct cap_event *event, int64_t utc_ms)
{
	for (size_t i = 0; i < FILES_MAX; i++) {
		struct recording *rec = &r->recordings[i];
		int err;

		if (rec->file)
			continue;
		err = create(r, utc_ms, &rec->file);
		if (err < 0)
			return err;
		rec->link = link;
		rec->begin_us = event->at_us;
		return recorder_header(rec->file, NULL, "recorded by wellgate-devices",
				       "private, not for sharing", utc_ms);
	}
	return -ENFILE;
}

static int put(struct recording *rec, const struct cap_event *event)
{
	struct cap_event e = *event;
	char line[CAP_LINE_MAX];
	int n;

	e.at_us -= rec->begin_us;
	n = cap_write_event(&e, line, sizeof(line));
	if (n < 0)
		return n;
	if (fwrite(line, 1, (size_t)n, rec->file) != (size_t)n || fflush(rec->file) != 0)
		return -EIO;
	return 0;
}

int recorder_event(struct recorder *r, uint32_t link, const struct cap_event *event, int64_t utc_ms)
{
	struct recording *rec;
	int err = 0;

	if (event->kind == CAP_OPEN)
		err = begin(r, link, event, utc_ms);
	rec = find(r, link);
	if (err < 0 || !rec)
		return err;
	err = put(rec, event);
	if (err < 0 || event->kind == CAP_CLOSE) {
		(void)fclose(rec->file);
		rec->file = NULL;
	}
	return err;
}

int recorder_new(const char *directory, struct recorder **ret)
{
	struct recorder *r;

	if (access(directory, W_OK | X_OK) < 0)
		return -errno;
	r = calloc(1, sizeof(*r));
	if (r)
		r->directory = strdup(directory);
	if (!r || !r->directory) {
		recorder_free(r);
		return -ENOMEM;
	}
	*ret = r;
	return 0;
}

void recorder_free(struct recorder *r)
{
	if (!r)
		return;
	for (size_t i = 0; i < FILES_MAX; i++) {
		if (r->recordings[i].file)
			(void)fclose(r->recordings[i].file);
	}
	free(r->directory);
	free(r);
}
