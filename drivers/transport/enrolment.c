#include "drivers/transport/enrolment.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "drivers/cleanup.h"
#include "drivers/transport/small_file.h"
#include "protocols/bytes/crc.h"

#define VERSION      "1"
#define SUFFIX       ".device"
#define NAME_BYTES   64 /* of a file */
#define CHECKSUM_LEN (sizeof("checksum=00000000\n") - 1)

static const char *const types[] = { [BLE_PUBLIC] = "public", [BLE_RANDOM] = "random", NULL };
static const char *const paths[] = {
	[ENROLMENT_BEARER] = "bearer", [ENROLMENT_BLUETOOTHD] = "bluetoothd", NULL
};

static const struct {
	const char *name;
	enum link_security level;
} levels[] = {
	{ "clear", LINK_CLEAR },
	{ "encrypted", LINK_ENCRYPTED },
	{ "authenticated", LINK_AUTHENTICATED },
	{ "broadcast", LINK_BROADCAST },
};

#define N_LEVELS (sizeof(levels) / sizeof(levels[0]))

/* ---- what a field may be ---- */

static bool is_driver(const char *text)
{
	const size_t len = strnlen(text, sizeof(((struct enrolment *)NULL)->driver));

	return len > 0 && len < sizeof(((struct enrolment *)NULL)->driver) &&
	       strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789_") == len;
}

/* length of the UTF-8 sequence at s, in its shortest form and not a surrogate; 0: none */
static size_t sequence(const uint8_t *s, size_t left)
{
	const size_t len = s[0] < 0x80 ? 1 : s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : 4;
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	uint32_t point = len == 1 ? s[0] : s[0] & (0x7fU >> len);

	if ((s[0] >= 0x80 && s[0] < 0xc2) || s[0] > 0xf4 || len > left)
		return 0;
	for (size_t i = 1; i < len; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
		point = point << 6 | (s[i] & 0x3f);
	}
	if (point < least[len] || point > 0x10ffff || (point >= 0xd800 && point <= 0xdfff))
		return 0;
	/* control characters of both blocks, and what ends a line or a paragraph */
	if (point < 0x20 || (point >= 0x7f && point < 0xa0) || point == 0x2028 || point == 0x2029)
		return 0;
	return len;
}

static bool is_name(const char *text)
{
	const size_t len = strnlen(text, sizeof(((struct enrolment *)NULL)->name));
	size_t n = 0;

	if (len >= sizeof(((struct enrolment *)NULL)->name))
		return false;
	for (size_t i = 0; i < len; i += n) {
		n = sequence((const uint8_t *)text + i, len - i);
		if (n == 0)
			return false;
	}
	return true;
}

static const char *level_name(enum link_security level)
{
	for (size_t i = 0; i < N_LEVELS; i++) {
		if (levels[i].level == level)
			return levels[i].name;
	}
	return NULL;
}

static bool is_valid(const struct enrolment *d)
{
	return (d->address.type == BLE_PUBLIC || d->address.type == BLE_RANDOM) &&
	       (d->path == ENROLMENT_BEARER || d->path == ENROLMENT_BLUETOOTHD) &&
	       level_name(d->level) && is_driver(d->driver) && is_name(d->name) &&
	       d->memory.n_consents <= DRV_CONSENTS_MAX && d->memory.kept_len <= DRV_KEPT_MAX &&
	       d->enrolled_ms >= 0;
}

/* ---- to text ---- */

struct text {
	char *data;
	size_t size, len;
	bool failed;
};

__attribute__((format(printf, 2, 3))) static void put(struct text *t, const char *format, ...)
{
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(t->data + t->len, t->size - t->len, format, args);
	va_end(args);
	if (n < 0 || (size_t)n >= t->size - t->len)
		t->failed = true;
	else
		t->len += (size_t)n;
}

static void put_consent(struct text *t, const struct drv_consent *c)
{
	put(t, "consent=%u %u%s\n", c->slot, c->code, c->refused ? " refused" : "");
}

static void put_bytes(struct text *t, const char *key, const uint8_t *data, size_t len)
{
	static const char digits[] = "0123456789abcdef";

	put(t, "%s=", key);
	if (t->failed || t->size - t->len < 2 * len + 2) {
		t->failed = true;
		return;
	}
	for (size_t i = 0; i < len; i++) {
		t->data[t->len++] = digits[data[i] >> 4];
		t->data[t->len++] = digits[data[i] & 0x0f];
	}
	put(t, "\n");
}

static int put_table(struct text *t, const struct att_table *table)
{
	uint8_t bytes[ATT_TABLE_BYTES_MAX];
	size_t len = 0;

	if (table->complete) {
		const int r = att_table_export(table, bytes, sizeof(bytes), &len);

		if (r < 0)
			return r;
	}
	put_bytes(t, "table", bytes, len);
	return 0;
}

int enrolment_print(const struct enrolment *device, char *buffer, size_t size, size_t *ret_len)
{
	const struct enrolment *d = device;
	struct text t = { buffer, size, 0, size == 0 };
	char address[BLE_ADDRESS_TEXT];
	int r;

	if (!is_valid(d))
		return -EINVAL;
	ble_address_print(&d->address, address);
	put(&t, "wellgate-device=%s\naddress=%s\ntype=%s\n", VERSION, address,
	    types[d->address.type]);
	put(&t, "driver=%s\nquirks=%" PRIu32 "\nname=%s\n", d->driver, d->quirks, d->name);
	put(&t, "level=%s\npath=%s\n", level_name(d->level), paths[d->path]);
	for (size_t i = 0; i < d->memory.n_consents; i++)
		put_consent(&t, &d->memory.consents[i]);
	put_bytes(&t, "kept", d->memory.kept, d->memory.kept_len);
	if (d->has_last_record)
		put(&t, "last_record=%" PRIu32 "\n", d->last_record);
	if (d->wipe)
		put(&t, "wipe=1\n");
	put(&t, "enrolled_ms=%" PRId64 "\n", d->enrolled_ms);
	r = put_table(&t, &d->table);
	if (r < 0)
		return r;
	put(&t, "checksum=%08" PRIx32 "\n", crc_32_iso_hdlc(t.data, t.len));
	if (t.failed)
		return -EMSGSIZE;
	*ret_len = t.len;
	return 0;
}

/* ---- from text ---- */

struct lines {
	const char *at, *end;
	bool failed;
};

/* the value of the next line if it has that key: pointer into the text, *ret_len bytes */
static const char *maybe(struct lines *l, const char *key, size_t *ret_len)
{
	const size_t n = strlen(key);
	const char *line = l->at, *newline;

	if (l->failed || (size_t)(l->end - line) <= n || memcmp(line, key, n) != 0 ||
	    line[n] != '=')
		return NULL;
	newline = memchr(line, '\n', (size_t)(l->end - line));
	if (!newline) {
		l->failed = true;
		return NULL;
	}
	l->at = newline + 1;
	*ret_len = (size_t)(newline - line) - n - 1;
	return line + n + 1;
}

/* the same, copied; without it the reading has failed */
static void take(struct lines *l, const char *key, char *ret, size_t size)
{
	size_t len = 0;
	const char *value = maybe(l, key, &len);

	ret[0] = '\0';
	if (!value || len >= size || memchr(value, '\0', len)) {
		l->failed = true;
		return;
	}
	memcpy(ret, value, len);
	ret[len] = '\0';
}

/* the only way to write that number: no sign, no zero before, no blank */
static uint64_t number(struct lines *l, const char *text, uint64_t max)
{
	const size_t len = strlen(text);
	uint64_t value = 0;

	if (len == 0 || len > 19 || strspn(text, "0123456789") != len ||
	    (len > 1 && text[0] == '0'))
		l->failed = true;
	for (size_t i = 0; i < len && !l->failed; i++)
		value = value * 10 + (uint64_t)(text[i] - '0');
	if (value > max)
		l->failed = true;
	return l->failed ? 0 : value;
}

static uint64_t take_number(struct lines *l, const char *key, uint64_t max)
{
	char text[24];

	take(l, key, text, sizeof(text));
	return number(l, text, max);
}

static unsigned int take_word(struct lines *l, const char *key, const char *const *words)
{
	char text[24];

	take(l, key, text, sizeof(text));
	for (unsigned int i = 0; words[i]; i++) {
		if (strcmp(text, words[i]) == 0)
			return i;
	}
	l->failed = true;
	return 0;
}

static enum link_security take_level(struct lines *l)
{
	char text[24];

	take(l, "level", text, sizeof(text));
	for (size_t i = 0; i < N_LEVELS; i++) {
		if (strcmp(text, levels[i].name) == 0)
			return levels[i].level;
	}
	l->failed = true;
	return LINK_UNKNOWN;
}

static int nibble(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static size_t take_bytes(struct lines *l, const char *key, uint8_t *ret, size_t size)
{
	size_t len = 0;
	const char *value = maybe(l, key, &len);

	if (!value || len % 2 != 0 || len / 2 > size) {
		l->failed = true;
		return 0;
	}
	for (size_t i = 0; i < len / 2; i++) {
		const int high = nibble(value[2 * i]), low = nibble(value[2 * i + 1]);

		if (high < 0 || low < 0) {
			l->failed = true;
			return 0;
		}
		ret[i] = (uint8_t)(high << 4 | low);
	}
	return len / 2;
}

static void take_consents(struct lines *l, struct session_memory *memory)
{
	char text[24];
	char *code, *refused;

	while (!l->failed && (size_t)(l->end - l->at) > 8 && memcmp(l->at, "consent=", 8) == 0) {
		struct drv_consent *c = &memory->consents[memory->n_consents];

		take(l, "consent", text, sizeof(text));
		code = strchr(text, ' ');
		if (!code || memory->n_consents == DRV_CONSENTS_MAX) {
			l->failed = true;
			return;
		}
		*code++ = '\0';
		refused = strchr(code, ' ');
		c->refused = refused != NULL;
		if (refused && strcmp(refused, " refused") != 0)
			l->failed = true;
		if (refused)
			*refused = '\0';
		c->slot = (uint8_t)number(l, text, UINT8_MAX);
		c->code = (uint16_t)number(l, code, UINT16_MAX);
		memory->n_consents++;
	}
}

static void take_table(struct lines *l, struct att_table *ret)
{
	uint8_t bytes[ATT_TABLE_BYTES_MAX];
	const size_t len = take_bytes(l, "table", bytes, sizeof(bytes));

	if (len == 0)
		att_table_clear(ret);
	else if (att_table_import(bytes, len, ret) < 0)
		l->failed = true;
}

static void take_all(struct lines *l, struct enrolment *d)
{
	char address[BLE_ADDRESS_TEXT];

	take(l, "address", address, sizeof(address));
	d->address.type = (enum ble_address_type)take_word(l, "type", types);
	if (l->failed || ble_address_parse(address, d->address.type, &d->address) < 0) {
		l->failed = true;
		return;
	}
	take(l, "driver", d->driver, sizeof(d->driver));
	d->quirks = (uint32_t)take_number(l, "quirks", UINT32_MAX);
	take(l, "name", d->name, sizeof(d->name));
	d->level = take_level(l);
	d->path = (enum enrolment_path)take_word(l, "path", paths);
	take_consents(l, &d->memory);
	d->memory.kept_len = take_bytes(l, "kept", d->memory.kept, sizeof(d->memory.kept));
	d->has_last_record = l->end - l->at > 12 && memcmp(l->at, "last_record=", 12) == 0;
	if (d->has_last_record)
		d->last_record = (uint32_t)take_number(l, "last_record", UINT32_MAX);
	d->wipe = l->end - l->at > 5 && memcmp(l->at, "wipe=", 5) == 0;
	if (d->wipe && take_number(l, "wipe", 1) != 1)
		l->failed = true;
	d->enrolled_ms = (int64_t)take_number(l, "enrolled_ms", INT64_MAX);
	take_table(l, &d->table);
}

/* Only the one way to write it is accepted: small letters, but an address in capitals. */
static bool is_canonical(const struct enrolment *d, const char *text, size_t len)
{
	char again[ENROLMENT_BYTES_MAX];
	size_t n = 0;

	return enrolment_print(d, again, sizeof(again), &n) == 0 && n == len &&
	       memcmp(again, text, n) == 0;
}

int enrolment_parse(const char *text, size_t len, struct enrolment *ret)
{
	struct lines l = { text, text + len, false };
	struct enrolment d = { .quirks = 0 };
	char version[8], checksum[CHECKSUM_LEN + 1];

	if (len > ENROLMENT_BYTES_MAX)
		return -EMSGSIZE;
	take(&l, "wellgate-device", version, sizeof(version));
	if (l.failed || len < CHECKSUM_LEN)
		return -EBADMSG;
	(void)snprintf(checksum, sizeof(checksum), "checksum=%08" PRIx32 "\n",
		       crc_32_iso_hdlc(text, len - CHECKSUM_LEN));
	if (memcmp(text + len - CHECKSUM_LEN, checksum, CHECKSUM_LEN) != 0)
		return -EBADMSG;
	if (strcmp(version, VERSION) != 0)
		return -ENOMSG;
	take_all(&l, &d);
	if (l.failed || !is_canonical(&d, text, len))
		return -EBADMSG;
	*ret = d;
	return 0;
}

/* ---- files ---- */

struct enrolments {
	int directory;
	size_t n;
	struct enrolment *devices[ENROLMENT_MAX]; /* ascending addresses */
};

static void file_name(const struct ble_address *a, char ret[NAME_BYTES])
{
	char address[BLE_ADDRESS_TEXT];

	ble_address_print(a, address);
	(void)snprintf(ret, NAME_BYTES, "%s-%s" SUFFIX, address, types[a->type]);
}

static int compare(const struct ble_address *a, const struct ble_address *b)
{
	const int r = memcmp(a->bytes, b->bytes, sizeof(a->bytes));

	return r != 0 ? r : (int)a->type - (int)b->type;
}

/* where it is, or would be */
static size_t place(const struct enrolments *e, const struct ble_address *a)
{
	size_t i = 0;

	while (i < e->n && compare(&e->devices[i]->address, a) < 0)
		i++;
	return i;
}

static bool is_at(const struct enrolments *e, size_t i, const struct ble_address *a)
{
	return i < e->n && ble_address_equal(&e->devices[i]->address, a);
}

/* takes over d */
static void insert(struct enrolments *e, struct enrolment *d)
{
	const size_t i = place(e, &d->address);

	assert(e->n < ENROLMENT_MAX);
	for (size_t k = e->n++; k > i; k--)
		e->devices[k] = e->devices[k - 1];
	e->devices[i] = d;
}

/* What is in the way of reading any file, not only this one. */
static bool is_shortage(int r)
{
	return r == -ENOMEM || r == -EMFILE || r == -ENFILE;
}

static int load(const struct enrolments *e, const char *name, struct enrolment *ret)
{
	char text[ENROLMENT_BYTES_MAX + 1], expected[NAME_BYTES];
	size_t len = 0;
	int r = small_file_read(e->directory, name, text, sizeof(text), &len);

	if (r == 0)
		r = enrolment_parse(text, len, ret);
	if (r != 0)
		return r;
	file_name(&ret->address, expected);
	return strcmp(name, expected) == 0 ? 0 : -EBADMSG; /* a copy under another name */
}

static bool has_suffix(const char *name, const char *suffix)
{
	const size_t n = strlen(name), m = strlen(suffix);

	return n > m && strcmp(name + n - m, suffix) == 0;
}

/* takes over d, if it is a device that can be read */
static int load_device(struct enrolments *e, const char *name, struct enrolment *d,
		       unsigned int *bad)
{
	const int r = load(e, name, d);

	if (r == 0 && !is_at(e, place(e, &d->address), &d->address)) {
		insert(e, d);
		return 0;
	}
	free(d); /* a good one is listed twice if a rename happened meanwhile */
	if (r < 0 && is_shortage(r))
		return r;
	if (r < 0) {
		(*bad)++;
		small_file_set_aside(e->directory, name);
	}
	return 0;
}

static int load_entry(struct enrolments *e, const char *name, unsigned int *bad)
{
	struct enrolment *d;

	if (has_suffix(name, SUFFIX ".new")) /* the plug was pulled before it took its place */
		(void)unlinkat(e->directory, name, 0);
	if (!has_suffix(name, SUFFIX))
		return 0;
	if (e->n == ENROLMENT_MAX) {
		(*bad)++;
		return 0;
	}
	d = malloc(sizeof(*d));
	return d ? load_device(e, name, d, bad) : -ENOMEM;
}

static void cleanup_dir(DIR **d)
{
	if (*d)
		(void)closedir(*d);
}

static int load_all(struct enrolments *e, unsigned int *bad)
{
	_cleanup_(cleanup_dir) DIR *folder = NULL;
	const int fd = openat(e->directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	const struct dirent *entry;
	int r = 0;

	folder = fd < 0 ? NULL : fdopendir(fd);
	if (!folder) {
		r = -errno;
		if (fd >= 0)
			(void)close(fd);
		return r;
	}
	while (r == 0 && (errno = 0, entry = readdir(folder)))
		r = load_entry(e, entry->d_name, bad);
	return r < 0 ? r : -errno;
}

int enrolments_open(const char *directory, struct enrolments **ret, unsigned int *ret_bad)
{
	struct enrolments *e;
	unsigned int bad = 0;
	int r;

	if (mkdir(directory, 0700) < 0 && errno != EEXIST)
		return -errno;
	e = calloc(1, sizeof(*e));
	if (!e)
		return -ENOMEM;
	e->directory = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	r = e->directory < 0 ? -errno : load_all(e, &bad);
	if (r < 0) {
		enrolments_free(e);
		return r;
	}
	*ret = e;
	*ret_bad = bad;
	return 0;
}

void enrolments_free(struct enrolments *e)
{
	if (!e)
		return;
	for (size_t i = 0; i < e->n; i++)
		free(e->devices[i]);
	if (e->directory >= 0)
		(void)close(e->directory);
	free(e);
}

size_t enrolments_count(const struct enrolments *e)
{
	return e->n;
}

const struct enrolment *enrolments_at(const struct enrolments *e, size_t i)
{
	assert(i < e->n);
	return e->devices[i];
}

const struct enrolment *enrolments_find(const struct enrolments *e, const struct ble_address *a)
{
	const size_t i = place(e, a);

	return is_at(e, i, a) ? e->devices[i] : NULL;
}

int enrolments_put(struct enrolments *e, const struct enrolment *device)
{
	const size_t i = place(e, &device->address);
	const bool known = is_at(e, i, &device->address);
	char text[ENROLMENT_BYTES_MAX], name[NAME_BYTES];
	struct enrolment *d;
	bool replaced = false;
	size_t len = 0;
	int r;

	if (!known && e->n == ENROLMENT_MAX)
		return -ENOSPC;
	r = enrolment_print(device, text, sizeof(text), &len);
	if (r < 0)
		return r;
	d = known ? e->devices[i] : malloc(sizeof(*d));
	if (!d)
		return -ENOMEM;
	file_name(&device->address, name);
	r = small_file_replace(e->directory, name, text, len, &replaced);
	if (replaced)
		*d = *device;
	if (replaced && !known)
		insert(e, d);
	else if (!known)
		free(d);
	return r;
}

int enrolments_remove(struct enrolments *e, const struct ble_address *a)
{
	const size_t i = place(e, a);
	char name[NAME_BYTES];

	if (!is_at(e, i, a))
		return -ENOENT;
	file_name(a, name);
	if (unlinkat(e->directory, name, 0) < 0 && errno != ENOENT)
		return -errno;
	free(e->devices[i]);
	e->n--;
	for (size_t k = i; k < e->n; k++)
		e->devices[k] = e->devices[k + 1];
	return fsync(e->directory) < 0 ? -errno : 0;
}
