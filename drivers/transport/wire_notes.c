#include "drivers/transport/wire_notes.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "drivers/cleanup.h"
#include "drivers/transport/small_file.h"
#include "protocols/bytes/crc.h"
#include "protocols/gatt/device_information.h"

#define HEAD   "wellgate-wire=1\n"
#define SUFFIX ".wire"

struct wire_notes {
	int directory;
};

/* ---- as text ---- */

static bool is_driver(const char *text, size_t size)
{
	const size_t len = strnlen(text, size);

	return len > 0 && len < size &&
	       strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789_") == len;
}

static bool is_identity(const char *text)
{
	char clean[WIRE_IDENTITY_MAX];
	const size_t len = strnlen(text, WIRE_IDENTITY_MAX);

	return len > 0 && len < WIRE_IDENTITY_MAX &&
	       gatt_text((const uint8_t *)text, len, clean, sizeof(clean)) == (int)len;
}

static size_t print_hex(const uint8_t *data, size_t len, char *ret)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < len; i++) {
		ret[2 * i] = digits[data[i] >> 4];
		ret[2 * i + 1] = digits[data[i] & 0x0f];
	}
	ret[2 * len] = '\0';
	return 2 * len;
}

int wire_note_print(const struct wire_note *note, char *buffer, size_t size, size_t *ret_len)
{
	char kept[2 * DRV_KEPT_MAX + 1], record[32] = "";
	char text[WIRE_NOTE_BYTES];
	int n;

	if (!is_driver(note->driver, sizeof(note->driver)) || !is_identity(note->identity) ||
	    note->kept_len > DRV_KEPT_MAX)
		return -EINVAL;
	(void)print_hex(note->kept, note->kept_len, kept);
	if (note->has_last_record)
		(void)snprintf(record, sizeof(record), "last_record=%" PRIu32 "\n",
			       note->last_record);
	n = snprintf(text, sizeof(text), HEAD "driver=%s\nidentity=%s\nkept=%s\n%s", note->driver,
		     note->identity, kept, record);
	if (n < 0 || (size_t)n >= sizeof(text))
		return -EMSGSIZE;
	n = snprintf(buffer, size, "%schecksum=%08" PRIx32 "\n", text,
		     crc_32_iso_hdlc(text, (size_t)n));
	if (n < 0 || (size_t)n >= size)
		return -EMSGSIZE;
	*ret_len = (size_t)n;
	return 0;
}

/* The value of the line at *at if it has that key, cut out of `text`; NULL: it has not. */
static char *take(char **at, const char *key)
{
	const size_t n = strlen(key);
	char *value = *at + n, *newline;

	if (strncmp(*at, key, n) != 0)
		return NULL;
	newline = strchr(value, '\n');
	if (!newline)
		return NULL;
	*newline = '\0';
	*at = newline + 1;
	return value;
}

static int nibble(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static int take_kept(struct wire_note *note, const char *hex)
{
	const size_t len = strlen(hex);

	if (len % 2 != 0 || len / 2 > DRV_KEPT_MAX)
		return -EBADMSG;
	for (size_t i = 0; i < len / 2; i++) {
		const int high = nibble(hex[2 * i]), low = nibble(hex[2 * i + 1]);

		if (high < 0 || low < 0)
			return -EBADMSG;
		note->kept[i] = (uint8_t)(high << 4 | low);
	}
	note->kept_len = len / 2;
	return 0;
}

static int copy(char *ret, size_t size, const char *text)
{
	if (!text || strlen(text) >= size)
		return -EBADMSG;
	memcpy(ret, text, strlen(text) + 1);
	return 0;
}

static int take_all(char *at, struct wire_note *note)
{
	const char *kept, *record;

	if (copy(note->driver, sizeof(note->driver), take(&at, "driver=")) < 0 ||
	    copy(note->identity, sizeof(note->identity), take(&at, "identity=")) < 0)
		return -EBADMSG;
	kept = take(&at, "kept=");
	if (!kept || take_kept(note, kept) < 0)
		return -EBADMSG;
	record = take(&at, "last_record=");
	note->has_last_record = record != NULL;
	if (record)
		note->last_record = (uint32_t)strtoul(record, NULL, 10);
	return 0;
}

/* What was read is written again and must be the same, checksum and all: so there is one way to
 * write a note, and nothing else is believed. */
int wire_note_parse(const char *text, size_t len, struct wire_note *ret)
{
	char copied[WIRE_NOTE_BYTES + 1], again[WIRE_NOTE_BYTES];
	struct wire_note note = { .kept_len = 0 };
	size_t n = 0;

	if (len > WIRE_NOTE_BYTES)
		return -EMSGSIZE;
	memcpy(copied, text, len);
	copied[len] = '\0';
	if (strncmp(copied, HEAD, strlen(HEAD)) != 0)
		return strncmp(copied, "wellgate-wire=", 14) == 0 ? -ENOMSG : -EBADMSG;
	if (take_all(copied + strlen(HEAD), &note) < 0 ||
	    wire_note_print(&note, again, sizeof(again), &n) < 0 || n != len ||
	    memcmp(again, text, n) != 0)
		return -EBADMSG;
	*ret = note;
	return 0;
}

/* ---- as files ---- */

/* Two devices with one name of a file: the second one is read from the beginning each time. */
static void file_name(const char *driver, const char *identity, char ret[SMALL_FILE_NAME_MAX])
{
	uint64_t h = UINT64_C(0xcbf29ce484222325); /* FNV-1a */

	for (const char *c = driver; *c; c++)
		h = (h ^ (uint8_t)*c) * UINT64_C(0x100000001b3);
	h = (h ^ '/') * UINT64_C(0x100000001b3);
	for (const char *c = identity; *c; c++)
		h = (h ^ (uint8_t)*c) * UINT64_C(0x100000001b3);
	(void)snprintf(ret, SMALL_FILE_NAME_MAX, "%016" PRIx64 SUFFIX, h);
}

int wire_notes_open(const char *directory, struct wire_notes **ret)
{
	struct wire_notes *n;

	if (mkdir(directory, 0700) < 0 && errno != EEXIST)
		return -errno;
	n = calloc(1, sizeof(*n));
	if (!n)
		return -ENOMEM;
	n->directory = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (n->directory < 0) {
		const int r = -errno;

		free(n);
		return r;
	}
	*ret = n;
	return 0;
}

void wire_notes_free(struct wire_notes *n)
{
	if (!n)
		return;
	(void)close(n->directory);
	free(n);
}

int wire_notes_load(struct wire_notes *n, const char *driver, const char *identity,
		    struct wire_note *ret)
{
	char text[WIRE_NOTE_BYTES + 1], name[SMALL_FILE_NAME_MAX];
	struct wire_note note;
	size_t len = 0;
	int r;

	file_name(driver, identity, name);
	r = small_file_read(n->directory, name, text, sizeof(text), &len);
	if (r == 0) {
		r = wire_note_parse(text, len, &note);
		if (r < 0)
			small_file_set_aside(n->directory, name);
	}
	if (r < 0)
		return r == -ENOMSG || r == -EMSGSIZE ? -EBADMSG : r;
	if (strcmp(note.driver, driver) != 0 || strcmp(note.identity, identity) != 0)
		return -ENOENT;
	*ret = note;
	return 0;
}

static void cleanup_dir(DIR **d)
{
	if (*d)
		(void)closedir(*d);
}

/* -ENOSPC: it would be one too many */
static int look_space(const struct wire_notes *n, const char *name)
{
	_cleanup_(cleanup_dir) DIR *folder = NULL;
	const struct dirent *entry;
	size_t files = 0;
	int fd;

	if (faccessat(n->directory, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
		return 0;
	fd = openat(n->directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	folder = fd < 0 ? NULL : fdopendir(fd);
	if (!folder) {
		if (fd >= 0)
			(void)close(fd);
		return -EIO;
	}
	while ((entry = readdir(folder)))
		files += entry->d_name[0] != '.';
	return files < WIRE_NOTES_MAX ? 0 : -ENOSPC;
}

int wire_notes_save(struct wire_notes *n, const struct wire_note *note)
{
	char text[WIRE_NOTE_BYTES], name[SMALL_FILE_NAME_MAX];
	bool replaced;
	size_t len = 0;
	int r = wire_note_print(note, text, sizeof(text), &len);

	if (r < 0)
		return r;
	file_name(note->driver, note->identity, name);
	r = look_space(n, name);
	return r < 0 ? r : small_file_replace(n->directory, name, text, len, &replaced);
}
