#include "gateway/store/salvage.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "drivers/cleanup.h"
#include "gateway/store/database.h"
#include "protocols/bytes/cursor.h"

/* The file format is sqlite.org/fileformat2.html; the numbers in comments are its sections. */
#define PAGE         DATABASE_PAGE
#define LOG_HEADER   32 /* 4.1 */
#define FRAME_HEADER 24
#define FRAME        (FRAME_HEADER + PAGE)
#define FILE_HEADER  100
#define LEAF_TABLE   0x0d /* 1.6, first byte of a b-tree page */
#define LEAF_INDEX   0x0a
#define INNER_INDEX  0x02
#define RECORD_MAX   (ROW_PAYLOAD_MAX + 64)
#define CHAIN_MAX    (RECORD_MAX / (PAGE - 4) + 1)

struct scan {
	const uint8_t *page;
	salvage_fetch fetch;
	void *fetch_user;
	const struct salvage_sink *sink;
};

/* 1.6: big-endian base 128, at most nine bytes, the ninth counts whole */
static uint64_t varint(struct cursor *c)
{
	uint64_t v = 0;

	for (int i = 0; i < 8; i++) {
		uint8_t b = cursor_u8(c);

		v = v << 7 | (b & 0x7fU);
		if (!(b & 0x80U))
			return v;
	}
	return v << 8 | cursor_u8(c);
}

/* 2.1: integer of a serial type; other types fail the cursor */
static int64_t integer(struct cursor *c, uint64_t type)
{
	static const uint8_t sizes[] = { 0, 1, 2, 3, 4, 6, 8 };
	uint64_t v = 0;
	size_t n;

	if (type == 8 || type == 9)
		return (int64_t)(type - 8);
	if (type == 0 || type >= sizeof(sizes)) {
		c->failed = true;
		return 0;
	}
	n = sizes[type];
	for (size_t i = 0; i < n; i++) {
		uint8_t b = cursor_u8(c);

		v = i == 0 && b & 0x80U ? UINT64_MAX << 8 | b : v << 8 | b;
	}
	return (int64_t)v;
}

/* 2.1: bytes of a blob; other types fail the cursor */
static const uint8_t *blob(struct cursor *c, uint64_t type, size_t *ret_len)
{
	if (type < 12 || type % 2 != 0 || (type - 12) / 2 > RECORD_MAX) {
		c->failed = true;
		return NULL;
	}
	*ret_len = (size_t)(type - 12) / 2;
	return cursor_bytes(c, *ret_len);
}

static struct cursor record_header(struct cursor *body)
{
	size_t start = body->pos;
	uint64_t size = varint(body);
	size_t used = body->pos - start;

	if (size < used || size > 64) {
		body->failed = true;
		return cursor_of(NULL, 0);
	}
	return cursor_sub(body, (size_t)size - used);
}

static int take_row(const struct scan *s, int64_t id, struct cursor body)
{
	struct cursor head = record_header(&body);
	struct row row = { .id = id };
	int64_t kind;

	if (varint(&head) != 0) /* the number is the key of the tree, its column is NULL */
		return 0;
	kind = integer(&body, varint(&head));
	row.at_s = integer(&body, varint(&head));
	row.sum = (uint32_t)integer(&body, varint(&head));
	row.payload = blob(&body, varint(&head), &row.len);
	row.kind = (uint32_t)kind;
	if (!cursor_at_end(&head) || !cursor_at_end(&body) || kind < 0 || kind > UINT32_MAX)
		return 0;
	return row_is_sound(&row) ? s->sink->row(s->sink->user, &row) : 0;
}

static int take_seen(const struct scan *s, struct cursor body)
{
	struct cursor head = record_header(&body);
	struct seen_entry e = { 0 };
	const uint8_t *key;
	size_t len = 0;

	e.stamp = integer(&body, varint(&head));
	key = blob(&body, varint(&head), &len);
	e.sequence = (uint64_t)integer(&body, varint(&head));
	if (!cursor_at_end(&head) || !cursor_at_end(&body) || len != SEEN_KEY || !s->sink->seen)
		return 0;
	(void)memcpy(e.key, key, SEEN_KEY);
	return s->sink->seen(s->sink->user, &e);
}

/* 1.6: how much of a payload of n bytes stays in the cell of a table leaf */
static size_t local_size(size_t n)
{
	size_t most = PAGE - 35, least = (PAGE - 12) * 32 / 255 - 23;
	size_t k = least + (n - least) % (PAGE - 4);

	if (n <= most)
		return n;
	return k <= most ? k : least;
}

/* Gathers a record that runs over into other pages. false = the chain is broken. */
static bool follow(const struct scan *s, uint8_t *record, size_t have, size_t n, uint32_t next)
{
	uint8_t page[PAGE];

	for (size_t i = 0; have < n; i++) {
		size_t part = n - have < PAGE - 4 ? n - have : PAGE - 4;
		struct cursor c = cursor_of(page, sizeof(page));

		if (next == 0 || i > CHAIN_MAX || s->fetch(s->fetch_user, next, page) < 0)
			return false;
		next = cursor_be32(&c);
		(void)memcpy(record + have, page + 4, part);
		have += part;
	}
	return true;
}

static int long_cell(const struct scan *s, struct cursor c, int64_t id, size_t n)
{
	uint8_t record[RECORD_MAX];
	size_t have = local_size(n);
	const uint8_t *local = cursor_bytes(&c, have);
	uint32_t next = cursor_be32(&c);

	if (!cursor_ok(&c))
		return 0;
	(void)memcpy(record, local, have);
	return follow(s, record, have, n, next) ? take_row(s, id, cursor_of(record, n)) : 0;
}

static int table_cell(const struct scan *s, struct cursor c)
{
	uint64_t n = varint(&c);
	int64_t id = (int64_t)varint(&c);

	if (!cursor_ok(&c) || n > RECORD_MAX)
		return 0;
	if (local_size((size_t)n) < n)
		return long_cell(s, c, id, (size_t)n);
	struct cursor record = cursor_sub(&c, (size_t)n);
	return cursor_ok(&c) ? take_row(s, id, record) : 0;
}

static int index_cell(const struct scan *s, struct cursor c, bool inner)
{
	uint64_t n;

	if (inner)
		cursor_skip(&c, 4); /* child */
	n = varint(&c);
	if (n > 64) /* ours are about 30 bytes */
		return 0;
	struct cursor record = cursor_sub(&c, (size_t)n);
	return cursor_ok(&c) ? take_seen(s, record) : 0;
}

/*
 * The cell pointers of a page. Table leaves are walked whatever the page's type and count say,
 * as far as pointers make sense: each row proves itself. Entries of an index cannot, so there the
 * header must be right.
 */
static int walk(const struct scan *s, size_t header)
{
	uint8_t type = s->page[header];
	bool inner = type == INNER_INDEX, index = inner || type == LEAF_INDEX;
	struct cursor c = cursor_of(s->page, PAGE);
	size_t first = header + (inner ? 12 : 8), count;
	int r = 0;

	cursor_skip(&c, header + 3);
	count = index ? cursor_be16(&c) : PAGE / 2;
	c.pos = first;
	for (size_t i = 0; r == 0 && i < count && cursor_ok(&c); i++) {
		size_t at = cursor_be16(&c);
		struct cursor cell = cursor_of(s->page, PAGE);

		if (at < first || at >= PAGE)
			continue;
		cell.pos = at;
		r = index ? index_cell(s, cell, inner) : table_cell(s, cell);
	}
	return r;
}

int salvage_page(const uint8_t *page, uint32_t number, salvage_fetch fetch, void *fetch_user,
		 const struct salvage_sink *sink)
{
	struct scan s = { page, fetch, fetch_user, sink };

	return walk(&s, number == 1 ? FILE_HEADER : 0);
}

struct files {
	int db, log;
	uint32_t db_pages;
	uint32_t n_frames;     /* up to the last commit */
	uint32_t *frame_pages; /* page number of each */
};

static int read_at(int fd, void *data, size_t n, off_t at)
{
	ssize_t got;

	do
		got = pread(fd, data, n, at);
	while (got < 0 && errno == EINTR);
	if (got < 0)
		return -errno;
	return (size_t)got == n ? 0 : -ENODATA;
}

static off_t frame_at(uint32_t frame)
{
	return LOG_HEADER + (off_t)frame * FRAME + FRAME_HEADER;
}

/* The newest version that was committed: the log's, else the file's. */
static int fetch(void *user, uint32_t page, uint8_t *ret)
{
	const struct files *f = user;

	for (uint32_t i = f->n_frames; i-- > 0;) {
		if (f->frame_pages[i] == page)
			return read_at(f->log, ret, PAGE, frame_at(i));
	}
	if (page == 0 || page > f->db_pages)
		return -ENODATA;
	return read_at(f->db, ret, PAGE, (off_t)(page - 1) * PAGE);
}

static uint32_t units(int fd, off_t head, off_t unit)
{
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0 || st.st_size < head)
		return 0;
	return st.st_size / unit > INT32_MAX ? INT32_MAX : (uint32_t)((st.st_size - head) / unit);
}

/* 4.1: frames whose salt is the header's, up to the last that ends a commit. What lies behind is
 * older or was never committed; a key from there would make a reading "seen" that nobody has. */
static int index_log(struct files *f)
{
	uint8_t data[LOG_HEADER];
	uint32_t n = units(f->log, LOG_HEADER, FRAME);
	uint64_t salt;

	if (n == 0 || read_at(f->log, data, sizeof(data), 0) < 0)
		return 0;
	struct cursor c = cursor_of(data, sizeof(data));
	cursor_skip(&c, 16);
	salt = cursor_be64(&c);
	f->frame_pages = calloc(n, sizeof(*f->frame_pages));
	if (!f->frame_pages)
		return -ENOMEM;
	for (uint32_t i = 0; i < n; i++) {
		uint32_t commit;

		if (read_at(f->log, data, FRAME_HEADER, frame_at(i) - FRAME_HEADER) < 0)
			break;
		c = cursor_of(data, FRAME_HEADER);
		f->frame_pages[i] = cursor_be32(&c);
		commit = cursor_be32(&c);
		if (cursor_be64(&c) != salt)
			break;
		if (commit != 0)
			f->n_frames = i + 1;
	}
	return 0;
}

static int open_part(int dir_fd, const char *name, int *ret)
{
	int fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

	if (fd < 0 && errno != ENOENT)
		return -errno;
	*ret = fd;
	return 0;
}

/* The log first: it is newer, and for rows that come twice the first one counts. A page that
 * cannot be read is passed over. */
static int scan_pages(struct files *f, const struct salvage_sink *sink)
{
	uint8_t page[PAGE];
	int r = 0;

	for (uint32_t i = f->n_frames; r == 0 && i-- > 0;) {
		if (read_at(f->log, page, PAGE, frame_at(i)) == 0)
			r = salvage_page(page, f->frame_pages[i], fetch, f, sink);
	}
	for (uint32_t i = 0; r == 0 && i < f->db_pages; i++) {
		if (read_at(f->db, page, PAGE, (off_t)i * PAGE) == 0)
			r = salvage_page(page, i + 1, fetch, f, sink);
	}
	return r;
}

int salvage_files(int dir_fd, const char *name, const struct salvage_sink *sink)
{
	_cleanup_close_ int db = -1, log = -1;
	char log_name[64];
	struct files f;
	int r;

	(void)snprintf(log_name, sizeof(log_name), "%s-wal", name);
	r = open_part(dir_fd, name, &db);
	if (r == 0)
		r = open_part(dir_fd, log_name, &log);
	if (r < 0)
		return r;
	f = (struct files){ .db = db, .log = log, .db_pages = units(db, 0, PAGE) };
	r = index_log(&f);
	if (r == 0)
		r = scan_pages(&f, sink);
	free(f.frame_pages);
	return r;
}
