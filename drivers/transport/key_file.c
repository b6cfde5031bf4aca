#include "drivers/transport/key_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>

#include "drivers/cleanup.h"

#define TEXT_MAX 1024

static int open_key(int directory, const char *path, int *ret)
{
	_cleanup_close_ int fd =
		openat(directory, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW);
	struct stat st;

	if (fd < 0)
		return errno == ELOOP ? -EPERM : -errno;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode) || st.st_uid != geteuid() || (st.st_mode & (S_IRWXG | S_IRWXO)))
		return -EPERM;
	*ret = TAKE_FD(fd);
	return 0;
}

static int read_all(int fd, uint8_t *data, size_t size, size_t *ret)
{
	size_t len = 0;

	while (len < size) {
		const ssize_t n = read(fd, data + len, size - len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		len += (size_t)n;
	}
	*ret = len;
	return 0;
}

static int nibble(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool is_blank(uint8_t c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == ':';
}

static int unhex(const uint8_t *text, size_t len, uint8_t *ret, size_t size, size_t *ret_len)
{
	unsigned int half = 0;
	size_t digits = 0;

	for (size_t i = 0; i < len; i++) {
		const int v = nibble(text[i]);

		if (v < 0 && is_blank(text[i]))
			continue;
		if (v < 0 || digits / 2 >= size)
			return -EBADMSG;
		half = (half << 4 | (unsigned int)v) & 0xff;
		if (digits++ % 2)
			ret[digits / 2 - 1] = (uint8_t)half;
	}
	if (digits == 0 || digits % 2)
		return -EBADMSG;
	*ret_len = digits / 2;
	return 0;
}

/* One line says something; two are not one secret. */
static int take_text(const uint8_t *text, size_t len, uint8_t *ret, size_t size, size_t *ret_len)
{
	const uint8_t *line = NULL;
	size_t line_len = 0;

	for (size_t i = 0, n; i < len; i += n + 1) {
		const uint8_t *end = memchr(text + i, '\n', len - i);

		n = end ? (size_t)(end - text) - i : len - i;
		if (n == 0 || text[i] == '#' || text[i] == '\r')
			continue;
		if (line)
			return -EBADMSG;
		line = text + i;
		line_len = n;
	}
	return line ? unhex(line, line_len, ret, size, ret_len) : -EBADMSG;
}

int key_file_read(int directory, const char *path, uint8_t *ret, size_t size, size_t *ret_len)
{
	_cleanup_close_ int fd = -1;
	uint8_t text[TEXT_MAX + 1], key[TEXT_MAX / 2];
	size_t len = 0, key_len = 0;
	int r = open_key(directory, path, &fd);

	if (r == 0)
		r = read_all(fd, text, sizeof(text), &len);
	if (r == 0 && len > TEXT_MAX)
		r = -EBADMSG;
	if (r == 0 && len == KEY_FILE_RAW) {
		memcpy(key, text, len);
		key_len = len;
	} else if (r == 0) {
		r = take_text(text, len, key, sizeof(key), &key_len);
	}
	if (r == 0 && key_len > size)
		r = -EBADMSG;
	if (r == 0) {
		memcpy(ret, key, key_len);
		*ret_len = key_len;
	}
	explicit_bzero(text, sizeof(text));
	explicit_bzero(key, sizeof(key));
	return r;
}
