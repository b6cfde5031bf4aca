#include "gateway/import/zip.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "drivers/cleanup.h"
#include "protocols/bytes/zip.h"

#define LIST_MAX (UINT32_C(32) * 1024 * 1024)

static const char not_zip[] = "it is no zip archive, or a cut one";
static const char is_zip64[] = "it is larger than this reads; unpack it and import the folder";
static const char overlaps[] = "entries of the archive share bytes: somebody made it to do harm";

static int bad(const char *why, const char **ret_why)
{
	*ret_why = why;
	return -EBADMSG;
}

static int read_all(int fd, int64_t at, uint8_t *data, size_t len)
{
	while (len > 0) {
		const ssize_t n = pread(fd, data, len, at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EBADMSG;
		data += n;
		at += n;
		len -= (size_t)n;
	}
	return 0;
}

/* what zip_find_list() and zip_next_range() say */
static int explain(int r, const char **ret_why)
{
	return r < 0 ? bad(r == -EFBIG ? is_zip64 : not_zip, ret_why) : 0;
}

static int find_list(int fd, int64_t size, struct zip_list *ret, const char **ret_why)
{
	const int64_t len = size < ZIP_TAIL_MAX ? size : ZIP_TAIL_MAX;
	_cleanup_free_ uint8_t *tail = malloc(ZIP_TAIL_MAX);
	struct zip_list list = { 0 };
	int r;

	if (!tail)
		return -ENOMEM;
	r = read_all(fd, size - len, tail, (size_t)len);
	if (r < 0)
		return r;
	r = explain(zip_find_list(tail, (size_t)len, (uint64_t)size, &list), ret_why);
	if (r < 0)
		return r;
	if (list.len > LIST_MAX)
		return bad(not_zip, ret_why);
	*ret = list;
	return 0;
}

static int by_start(const void *a, const void *b)
{
	const struct zip_range *x = a, *y = b;

	return (x->start > y->start) - (x->start < y->start);
}

static int read_ranges(const uint8_t *data, const struct zip_list *l, struct zip_range *ranges,
		       const char **ret_why)
{
	struct cursor c = cursor_of(data, l->len);

	for (size_t i = 0; i < l->n; i++) {
		const int r = explain(zip_next_range(&c, &ranges[i]), ret_why);

		if (r < 0)
			return r;
	}
	return cursor_at_end(&c) ? 0 : bad(not_zip, ret_why);
}

static int check_ranges(struct zip_range *ranges, const struct zip_list *l, const char **ret_why)
{
	int64_t end = 0;

	qsort(ranges, l->n, sizeof(*ranges), by_start);
	for (size_t i = 0; i < l->n; i++) {
		if (ranges[i].start < end || ranges[i].end > l->at)
			return bad(overlaps, ret_why);
		end = ranges[i].end;
	}
	return 0;
}

static int check_list(int fd, const struct zip_list *l, const char **ret_why)
{
	uint8_t *data = malloc((size_t)l->len + 1);
	struct zip_range *ranges = calloc((size_t)l->n + 1, sizeof(*ranges));
	int r = data && ranges ? read_all(fd, l->at, data, (size_t)l->len) : -ENOMEM;

	if (r == 0)
		r = read_ranges(data, l, ranges, ret_why);
	if (r == 0)
		r = check_ranges(ranges, l, ret_why);
	free(data);
	free(ranges);
	return r;
}

int zip_guard(int fd, int64_t size, const char **ret_why)
{
	struct zip_list l = { 0 };
	int r;

	if (size < ZIP_END_BYTES)
		return bad(not_zip, ret_why);
	r = find_list(fd, size, &l, ret_why);
	return r < 0 ? r : check_list(fd, &l, ret_why);
}
