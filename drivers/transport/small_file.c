#include "drivers/transport/small_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <unistd.h>

#include "drivers/cleanup.h"

/* O_NONBLOCK: a pipe with that name must not stop us. */
int small_file_read(int directory, const char *name, char *buffer, size_t size, size_t *ret_len)
{
	_cleanup_close_ int fd =
		openat(directory, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
	size_t len = 0;

	if (fd < 0)
		return -errno;
	while (len < size) {
		const ssize_t n = read(fd, buffer + len, size - len);

		if (n < 0 && errno != EINTR)
			return -errno;
		if (n == 0) {
			*ret_len = len;
			return 0;
		}
		if (n > 0)
			len += (size_t)n;
	}
	return -EMSGSIZE;
}

void small_file_set_aside(int directory, const char *name)
{
	char bad[NAME_MAX + 1];

	if (snprintf(bad, sizeof(bad), "%s.bad", name) < (int)sizeof(bad) &&
	    renameat(directory, name, directory, bad) == 0)
		(void)fsync(directory);
}

static int write_all(int fd, const char *data, size_t len)
{
	while (len > 0) {
		const ssize_t n = write(fd, data, len);

		if (n < 0 && errno != EINTR)
			return -errno;
		if (n > 0) {
			data += n;
			len -= (size_t)n;
		}
	}
	return fsync(fd) < 0 ? -errno : 0;
}

int small_file_replace(int directory, const char *name, const char *text, size_t len,
		       bool *ret_replaced)
{
	char fresh[SMALL_FILE_NAME_MAX + 4];
	_cleanup_close_ int fd = -1;
	int r;

	*ret_replaced = false;
	if (snprintf(fresh, sizeof(fresh), "%s.new", name) >= (int)sizeof(fresh))
		return -ENAMETOOLONG;
	/* never into a file that is there: it could be a link, or open to others */
	(void)unlinkat(directory, fresh, 0);
	fd = openat(directory, fresh, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	r = write_all(fd, text, len);
	if (r == 0 && renameat(directory, fresh, directory, name) < 0)
		r = -errno;
	if (r < 0) {
		(void)unlinkat(directory, fresh, 0);
		return r;
	}
	*ret_replaced = true;
	return fsync(directory) < 0 ? -errno : 0;
}
