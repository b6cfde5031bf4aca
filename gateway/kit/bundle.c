#include "gateway/kit/bundle.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "drivers/cleanup.h"
#include "gateway/control/signed.h"

#define HOME         "/etc/wellgate"
#define SIGNATURE    "manifest.sig"
#define DROP_IN      "50-kit.conf"
#define SIGNED_TEXT  88 /* base64 of 64 bytes */
#define KEYS_BYTES   ((size_t)8192)
#define FOLDER_FLAGS (O_RDONLY | O_DIRECTORY | O_CLOEXEC)

/* ---- files ---- */

int kit_read_file(int at, const char *name, size_t max, bool follow, uint8_t **ret, size_t *ret_len)
{
	_cleanup_close_ int fd =
		openat(at, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | (follow ? 0 : O_NOFOLLOW));
	_cleanup_free_ uint8_t *data = NULL;
	struct stat st;
	size_t len = 0;
	ssize_t n = 1;

	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EINVAL;
	data = malloc(max + 2);
	if (!data)
		return -ENOMEM;
	while (n > 0 && len <= max) {
		n = read(fd, data + len, max + 1 - len);
		if (n < 0)
			return -errno;
		len += (size_t)n;
	}
	if (len > max)
		return -EFBIG;
	data[len] = '\0';
	*ret = TAKE_PTR(data);
	*ret_len = len;
	return 0;
}

static int write_all(int fd, const uint8_t *data, size_t len)
{
	while (len > 0) {
		const ssize_t n = write(fd, data, len);

		if (n < 0 && errno != EINTR)
			return -errno;
		data += n > 0 ? n : 0;
		len -= n > 0 ? (size_t)n : 0;
	}
	return 0;
}

/* A new file, on disk when it returns. */
static int write_file(int at, const char *name, mode_t mode, const void *data, size_t len)
{
	_cleanup_close_ int fd =
		openat(at, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode);
	int r;

	if (fd < 0)
		return -errno;
	r = write_all(fd, data, len);
	if (r == 0 && fsync(fd) < 0)
		r = -errno;
	return r;
}

static int sync_folder(int at, const char *name)
{
	_cleanup_close_ int fd = openat(at, name, FOLDER_FLAGS);

	return fd >= 0 && fsync(fd) == 0 ? 0 : -errno;
}

/* A folder of ours, one level deep; that it is not there is good. */
static int remove_folder(int at, const char *name)
{
	_cleanup_close_ int fd = openat(at, name, FOLDER_FLAGS | O_NOFOLLOW);
	DIR *dir;
	int r = 0;

	if (fd < 0)
		return errno == ENOENT ? 0 : -errno;
	dir = fdopendir(fcntl(fd, F_DUPFD_CLOEXEC, 3));
	if (!dir)
		return -errno;
	for (const struct dirent *e; r == 0 && (e = readdir(dir));)
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0 &&
		    unlinkat(fd, e->d_name, 0) < 0)
			r = -errno;
	(void)closedir(dir);
	if (r == 0 && unlinkat(at, name, AT_REMOVEDIR) < 0)
		r = -errno;
	return r;
}

/* ---- making one ---- */

int kit_bundle_add(struct kit_bundle *b, const char *name, const void *data, size_t size)
{
	struct kit_manifest *m = &b->manifest;
	struct kit_entry *e = &m->files[m->n];

	if (m->n == KIT_FILES_MAX)
		return -ENOSPC;
	if (size > KIT_BYTES_MAX)
		return -EFBIG;
	if (kit_name_check(name) < 0)
		return -EBADMSG;
	b->data[m->n] = malloc(size + 1);
	if (!b->data[m->n])
		return -ENOMEM;
	(void)memcpy(b->data[m->n], data, size);
	(void)snprintf(e->name, sizeof(e->name), "%s", name);
	e->size = size;
	(void)crypto_hash_sha256(e->sha256, data, size);
	m->n++;
	return 0;
}

int kit_bundle_sign(struct kit_bundle *b, const uint8_t secret[64])
{
	const int len = kit_manifest_encode(&b->manifest, b->text, sizeof(b->text));

	if (len < 0)
		return len;
	b->len = (size_t)len;
	(void)crypto_sign_detached(b->signature, NULL, (const uint8_t *)b->text, b->len, secret);
	return 0;
}

static mode_t mode_of(const char *name)
{
	return strstr(name, "key") || strstr(name, "pass") ? 0640 : 0644;
}

/* The list comes last: a folder without one is no kit. */
static int write_files(const struct kit_bundle *b, int fd)
{
	const struct kit_manifest *m = &b->manifest;
	char text[SIGNED_TEXT + 2];
	int r = 0;

	(void)sodium_bin2base64(text, SIGNED_TEXT + 1, b->signature, sizeof(b->signature),
				sodium_base64_VARIANT_ORIGINAL);
	text[SIGNED_TEXT] = '\n';
	for (size_t i = 0; r == 0 && i < m->n; i++)
		r = write_file(fd, m->files[i].name, mode_of(m->files[i].name), b->data[i],
			       m->files[i].size);
	if (r == 0)
		r = write_file(fd, SIGNATURE, 0644, text, SIGNED_TEXT + 1);
	if (r == 0)
		r = write_file(fd, "manifest", 0644, b->text, b->len);
	return r < 0 ? r : fsync(fd) == 0 ? 0 : -errno;
}

int kit_bundle_write(const struct kit_bundle *b, const char *folder)
{
	_cleanup_close_ int at = open(folder, FOLDER_FLAGS);
	_cleanup_close_ int fd = -1;
	int r;

	if (at < 0 || mkdirat(at, KIT_FOLDER, 0750) < 0)
		return -errno;
	fd = openat(at, KIT_FOLDER, FOLDER_FLAGS | O_NOFOLLOW);
	r = fd >= 0 ? write_files(b, fd) : -errno;
	if (r < 0)
		(void)remove_folder(at, KIT_FOLDER);
	else if (fsync(at) < 0)
		r = -errno;
	return r;
}

/* ---- reading one ---- */

static int read_signature(int fd, uint8_t ret[64])
{
	_cleanup_free_ uint8_t *text = NULL;
	size_t len = 0, n = 0;
	int r = kit_read_file(fd, SIGNATURE, SIGNED_TEXT + 2, false, &text, &len);

	if (r < 0)
		return r == -EFBIG ? -EBADMSG : r;
	if (sodium_base642bin(ret, 64, (char *)text, len, "\r\n", &n, NULL,
			      sodium_base64_VARIANT_ORIGINAL) != 0 ||
	    n != 64)
		return -EBADMSG;
	return 0;
}

static int read_manifest(struct kit_bundle *b, int fd, const struct kit_door *door)
{
	_cleanup_free_ uint8_t *text = NULL;
	int r = read_signature(fd, b->signature);

	if (r == 0)
		r = kit_read_file(fd, "manifest", sizeof(b->text) - 1, false, &text, &b->len);
	if (r < 0)
		return r == -EFBIG ? -EBADMSG : r;
	(void)memcpy(b->text, text, b->len);
	return kit_open(door, b->text, b->len, b->signature, &b->manifest);
}

static int read_content(struct kit_bundle *b, int fd, size_t i)
{
	const struct kit_entry *e = &b->manifest.files[i];
	uint8_t hash[KIT_HASH];
	size_t len = 0;
	int r = kit_read_file(fd, e->name, e->size, false, &b->data[i], &len);

	if (r == -ENOMEM || r == -EIO)
		return r;
	if (r < 0 || len != e->size)
		return -EBADMSG;
	(void)crypto_hash_sha256(hash, b->data[i], len);
	return sodium_memcmp(hash, e->sha256, sizeof(hash)) == 0 ? 0 : -EBADMSG;
}

int kit_bundle_read(const char *folder, const struct kit_door *door, struct kit_bundle **ret)
{
	_cleanup_close_ int at = open(folder, FOLDER_FLAGS);
	_cleanup_close_ int fd = at < 0 ? -1 : openat(at, KIT_FOLDER, FOLDER_FLAGS | O_NOFOLLOW);
	struct kit_bundle *b;
	int r;

	if (fd < 0)
		return -errno;
	b = calloc(1, sizeof(*b));
	if (!b)
		return -ENOMEM;
	r = read_manifest(b, fd, door);
	for (size_t i = 0; r == 0 && i < b->manifest.n; i++)
		r = read_content(b, fd, i);
	if (r == 0 || r == -EALREADY)
		*ret = TAKE_PTR(b);
	kit_bundle_free(b);
	return r;
}

void kit_bundle_free(struct kit_bundle *b)
{
	if (!b)
		return;
	for (size_t i = 0; i < KIT_FILES_MAX; i++) {
		if (i < b->manifest.n && b->data[i])
			sodium_memzero(b->data[i], b->manifest.files[i].size);
		free(b->data[i]);
	}
	free(b);
}

/* ---- taking it ---- */

static int open_home(const char *root)
{
	char path[512];
	int fd;

	if (snprintf(path, sizeof(path), "%s" HOME, root) >= (int)sizeof(path))
		return -ENAMETOOLONG;
	fd = open(path, FOLDER_FLAGS);
	return fd < 0 ? -errno : fd;
}

/* The daemon reads by the group of /etc/wellgate; only root can give it that. */
static int hand_over(int home, int fd, const struct kit_manifest *m)
{
	struct stat st;

	if (fstat(home, &st) < 0)
		return -errno;
	if (geteuid() != 0)
		return 0;
	if (fchown(fd, 0, st.st_gid) < 0)
		return -errno;
	for (size_t i = 0; i < m->n; i++)
		if (fchownat(fd, m->files[i].name, 0, st.st_gid, AT_SYMLINK_NOFOLLOW) < 0)
			return -errno;
	return 0;
}

/* The link first: until the kit is there it points nowhere, and a name that leads nowhere would
 * stop the daemon; so it is made only beside a kit. */
static int link_drop_in(int home)
{
	_cleanup_close_ int fd = -1;

	if (mkdirat(home, "wellgate.conf.d", 0755) < 0 && errno != EEXIST)
		return -errno;
	fd = openat(home, "wellgate.conf.d", FOLDER_FLAGS);
	if (fd < 0)
		return -errno;
	if (symlinkat("../kit/wellgate.conf", fd, DROP_IN) < 0 && errno != EEXIST)
		return -errno;
	return fsync(fd) == 0 ? 0 : -errno;
}

/* New in the place of old, in one step of the file system; what was there is kit.new then. */
static int put_in_place(int home, bool *ret_exchanged)
{
	*ret_exchanged = false;
	if (renameat2(home, "kit.new", home, "kit", RENAME_NOREPLACE) == 0)
		return sync_folder(home, ".");
	*ret_exchanged = true;
	if (errno != EEXIST || renameat2(home, "kit.new", home, "kit", RENAME_EXCHANGE) < 0)
		return -errno;
	return fsync(home) == 0 ? 0 : -errno;
}

static int take_back(int home, bool exchanged)
{
	if (exchanged)
		return renameat2(home, "kit.new", home, "kit", RENAME_EXCHANGE) == 0 ? 0 : -errno;
	if (unlinkat(home, "wellgate.conf.d/" DROP_IN, 0) < 0)
		return -errno;
	return renameat2(home, "kit", home, "kit.new", RENAME_NOREPLACE) == 0 ? 0 : -errno;
}

/* The new one, as kit.new. */
static int put_beside(const struct kit_bundle *b, int home)
{
	_cleanup_close_ int fd = -1;
	int r = remove_folder(home, "kit.new"); /* of one that was cut short */

	if (r < 0)
		return r;
	if (mkdirat(home, "kit.new", 0750) < 0)
		return -errno;
	fd = openat(home, "kit.new", FOLDER_FLAGS | O_NOFOLLOW);
	if (fd < 0)
		return -errno;
	r = write_files(b, fd);
	return r < 0 ? r : hand_over(home, fd, &b->manifest);
}

int kit_bundle_install(const struct kit_bundle *b, const char *root, int (*check)(void *user),
		       void *user)
{
	_cleanup_close_ int home = open_home(root);
	bool exchanged = false;
	int r, back;

	if (home < 0)
		return home;
	r = put_beside(b, home);
	if (r == 0)
		r = put_in_place(home, &exchanged);
	if (r < 0)
		return r;
	r = link_drop_in(home);
	if (r == 0)
		r = check(user);
	if (r < 0) {
		back = take_back(home, exchanged);
		if (back < 0)
			return back;
	}
	back = remove_folder(home, "kit.new");
	return r < 0 ? r : back;
}

int kit_drop_in(const char *root)
{
	_cleanup_close_ int home = open_home(root);

	return home < 0 ? home : link_drop_in(home);
}

uint64_t kit_installed(const char *root)
{
	_cleanup_close_ int home = open_home(root);
	_cleanup_free_ uint8_t *text = NULL;
	struct kit_manifest m;
	size_t len;

	if (home < 0 || kit_read_file(home, "kit/manifest", KIT_TEXT_MAX, false, &text, &len) < 0 ||
	    kit_manifest_decode((char *)text, len, &m) < 0)
		return 0;
	return m.serial;
}

static int burn_one(int fd, const char *name, size_t size)
{
	static const uint8_t zeros[4096];
	_cleanup_close_ int file = openat(fd, name, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
	int r = file < 0 ? -errno : 0;

	for (size_t done = 0; r == 0 && done < size; done += sizeof(zeros))
		r = write_all(file, zeros,
			      size - done < sizeof(zeros) ? size - done : sizeof(zeros));
	if (r == 0 && fsync(file) < 0)
		r = -errno;
	if (r == 0 && unlinkat(fd, name, 0) < 0)
		r = -errno;
	return r;
}

int kit_bundle_burn(const struct kit_bundle *b, const char *folder)
{
	_cleanup_close_ int at = open(folder, FOLDER_FLAGS);
	_cleanup_close_ int fd = at < 0 ? -1 : openat(at, KIT_FOLDER, FOLDER_FLAGS | O_NOFOLLOW);
	int r = fd < 0 ? -errno : 0;

	for (size_t i = 0; fd >= 0 && i < b->manifest.n; i++) {
		const struct kit_entry *e = &b->manifest.files[i];
		int one;

		if (mode_of(e->name) != 0640)
			continue;
		one = burn_one(fd, e->name, e->size);
		r = r < 0 ? r : one;
	}
	return r;
}

/* ---- keys ---- */

static int take_key(const char *line, size_t len, uint8_t ret[32])
{
	char text[SIGNED_KEY_TEXT + 1];

	if (len != SIGNED_KEY_TEXT)
		return -EINVAL;
	(void)memcpy(text, line, len);
	text[len] = '\0';
	return signed_key_parse(text, ret);
}

int kit_keys_read(const char *path, uint8_t (*ret)[32], size_t room, size_t *ret_n)
{
	_cleanup_free_ uint8_t *text = NULL;
	size_t size, n = 0;
	int r = kit_read_file(AT_FDCWD, path, KEYS_BYTES, true, &text, &size);

	if (!text)
		return r;
	for (const char *at = (char *)text; r == 0 && *at;) {
		const size_t line = strcspn(at, "\n");
		const size_t len = strcspn(at, " \t\r\n");

		if (len > 0 && *at != '#')
			r = n < room ? take_key(at, len, ret[n++]) : -ENOSPC;
		at += line + (at[line] ? 1 : 0);
	}
	if (r == 0)
		*ret_n = n;
	return r;
}
