/*
 * APPNOTE.TXT 4.3.12 (an entry of the central directory, 46 bytes and up) and 4.3.16 (its end, 22
 * bytes and a comment). Entries that share packed bytes make a few of them into terabytes; libzip
 * does not look for that.
 */
#include "gateway/import/zip.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "drivers/cleanup.h"
#include "gateway/import/source.h"

enum {
	END_BYTES = 22,
	ENTRY_BYTES = 46,
	LOCAL_BYTES = 30,
	COMMENT_MAX = 65535,
};
#define LIST_MAX    (INT64_C(32) * 1024 * 1024)
#define END_MAGIC   UINT32_C(0x06054b50)
#define ENTRY_MAGIC UINT32_C(0x02014b50)

static const char not_zip[] = "it is no zip archive, or a cut one";
static const char is_zip64[] = "it is larger than this reads; unpack it and import the folder";
static const char overlaps[] = "entries of the archive share bytes: somebody made it to do harm";
static const char too_many[] = "the archive has too many entries";

struct range {
	int64_t start, end;
};

static uint32_t u16(const uint8_t *p)
{
	return (uint32_t)p[0] | (uint32_t)p[1] << 8;
}

static uint32_t u32(const uint8_t *p)
{
	return u16(p) | u16(p + 2) << 16;
}

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

struct list {
	int64_t at, len;
	size_t n;
};

static int find_list(int fd, int64_t size, struct list *ret, const char **ret_why)
{
	const int64_t most = END_BYTES + COMMENT_MAX, len = size < most ? size : most;
	_cleanup_free_ uint8_t *tail = malloc((size_t)most);
	const uint8_t *end = NULL;
	int r;

	if (!tail)
		return -ENOMEM;
	r = read_all(fd, size - len, tail, (size_t)len);
	if (r < 0)
		return r;
	for (int64_t i = len - END_BYTES; i >= 0 && !end; i--) {
		/* a comment that reaches to the very end: others could be a second reading */
		if (u32(tail + i) == END_MAGIC && u16(tail + i + 20) == len - END_BYTES - i)
			end = tail + i;
	}
	if (!end)
		return bad(not_zip, ret_why);
	ret->n = u16(end + 10);
	ret->len = u32(end + 12);
	ret->at = u32(end + 16);
	if (ret->n == UINT16_MAX || ret->len == UINT32_MAX || ret->at == UINT32_MAX)
		return bad(is_zip64, ret_why);
	if (ret->len > LIST_MAX || ret->at + ret->len > size || u16(end + 8) != ret->n)
		return bad(not_zip, ret_why);
	return ret->n > SOURCE_ENTRIES_MAX ? bad(too_many, ret_why) : 0;
}

static int by_start(const void *a, const void *b)
{
	const struct range *x = a, *y = b;

	return (x->start > y->start) - (x->start < y->start);
}

static int read_ranges(const uint8_t *data, const struct list *l, struct range *ranges,
		       const char **ret_why)
{
	int64_t at = 0;

	for (size_t i = 0; i < l->n; i++) {
		const uint8_t *e = data + at;
		int64_t len;

		if (at + ENTRY_BYTES > l->len || u32(e) != ENTRY_MAGIC)
			return bad(not_zip, ret_why);
		if (u32(e + 20) == UINT32_MAX || u32(e + 24) == UINT32_MAX ||
		    u32(e + 42) == UINT32_MAX)
			return bad(is_zip64, ret_why);
		ranges[i].start = u32(e + 42);
		ranges[i].end = ranges[i].start + LOCAL_BYTES + u16(e + 28) + u32(e + 20);
		len = ENTRY_BYTES + (int64_t)u16(e + 28) + u16(e + 30) + u16(e + 32);
		if (at + len > l->len)
			return bad(not_zip, ret_why);
		at += len;
	}
	return at == l->len ? 0 : bad(not_zip, ret_why);
}

static int check_ranges(struct range *ranges, const struct list *l, const char **ret_why)
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

static int check_list(int fd, const struct list *l, const char **ret_why)
{
	uint8_t *data = malloc((size_t)l->len + 1);
	struct range *ranges = calloc(l->n + 1, sizeof(*ranges));
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
	struct list l;
	int r;

	if (size < END_BYTES)
		return bad(not_zip, ret_why);
	r = find_list(fd, size, &l, ret_why);
	return r < 0 ? r : check_list(fd, &l, ret_why);
}
