/* Captures of a test, in a folder of its own. */
#pragma once

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CAPTURE_HEADER "# wellgate-capture: 1\n# consent: synthetic\n"
#define CAPTURE_START  "# start: 2026-11-16T07:58:00Z\n"

struct capture_folder {
	char path[64];
};

static inline int capture_folder_make(struct capture_folder *f)
{
	(void)snprintf(f->path, sizeof(f->path), "/tmp/wellgate-test-XXXXXX");
	return mkdtemp(f->path) ? 0 : -1;
}

/* the path of a file in the folder; good until the next call with the same buffer */
static inline char *capture_path(const struct capture_folder *f, const char *name, char buf[128])
{
	(void)snprintf(buf, 128, "%s/%s", f->path, name);
	return buf;
}

static inline int capture_write(const struct capture_folder *f, const char *name, const void *data,
				size_t len)
{
	char path[128];
	FILE *file = fopen(capture_path(f, name, path), "we");
	int r = -1;

	if (file && fwrite(data, 1, len, file) == len)
		r = 0;
	if (file && fclose(file) != 0)
		r = -1;
	return r;
}
