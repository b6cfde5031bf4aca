/*
 * Preloaded into wellgated: writes down what it does to the files below one folder, and what it
 * says and hears on its sockets, in order. ../cuts.py makes of that what a power cut may leave.
 *
 * WELLGATE_TRACE names the file, WELLGATE_TRACE_DIR the folder. A record is a struct trace_record
 * and `len` bytes. ../cuts.py has the same layout.
 */
#undef _FILE_OFFSET_BITS
#undef _FORTIFY_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define FDS 1024

enum operation {
	TRACE_OPEN,     /* bytes: path; offset: flags of open() */
	TRACE_WRITE,    /* bytes: data */
	TRACE_TRUNCATE, /* offset: new length */
	TRACE_SYNC,
	TRACE_RENAME, /* bytes: from, NUL, to */
	TRACE_UNLINK, /* bytes: path */
	TRACE_SAID,   /* bytes: a packet */
	TRACE_HEARD,
};

struct trace_record {
	uint32_t operation, len;
	uint64_t inode, offset;
};

static int log_fd = -1;
static char folder[PATH_MAX];
static uint64_t inodes[FDS]; /* 0: not below the folder */

__attribute__((constructor)) static void begin(void)
{
	const char *path = getenv("WELLGATE_TRACE"), *dir = getenv("WELLGATE_TRACE_DIR");

	if (!path || !dir || strlen(dir) >= sizeof(folder))
		return;
	memcpy(folder, dir, strlen(dir) + 1);
	log_fd = (int)syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC,
			      0600);
	if (log_fd < 0)
		_exit(99);
}

/* One call, so that two threads do not write into each other's records. */
static void note(enum operation operation, uint64_t inode, uint64_t offset, const void *bytes,
		 size_t len)
{
	const int saved = errno;
	struct trace_record record = { (uint32_t)operation, (uint32_t)len, inode, offset };
	const struct iovec parts[2] = {
		{ .iov_base = &record, .iov_len = sizeof(record) },
		{ .iov_base = (void *)(uintptr_t)bytes, .iov_len = len },
	};

	if (log_fd >= 0 && syscall(SYS_writev, log_fd, parts, 2) != (long)(sizeof(record) + len))
		_exit(99); /* a trace with a hole would show what is not so */
	errno = saved;
}

static bool below(const char *path)
{
	const size_t len = strlen(folder);

	return len > 0 && strncmp(path, folder, len) == 0 && (path[len] == '/' || path[len] == 0);
}

/* ret: PATH_MAX bytes, the absolute path of `name` in `dir` */
static bool path_of(int dir, const char *name, char *ret)
{
	char link[64];
	ssize_t n;

	if (name[0] == '/')
		return snprintf(ret, PATH_MAX, "%s", name) < PATH_MAX;
	(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", dir);
	n = readlink(link, ret, PATH_MAX - 1);
	if (n <= 0)
		return false;
	return snprintf(ret + n, (size_t)(PATH_MAX - n), "/%s", name) < PATH_MAX - n;
}

static int noted_open(int fd, int flags)
{
	char link[64], path[PATH_MAX];
	struct stat st;
	ssize_t n;

	if (fd < 0 || fd >= FDS || log_fd < 0)
		return fd;
	(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, path, sizeof(path) - 1);
	if (n <= 0)
		return fd;
	path[n] = 0;
	inodes[fd] = 0;
	if (!below(path) || fstat(fd, &st) < 0)
		return fd;
	inodes[fd] = st.st_ino;
	note(TRACE_OPEN, st.st_ino, (uint64_t)flags, path, (size_t)n);
	return fd;
}

static uint64_t inode_of(int fd)
{
	return fd >= 0 && fd < FDS ? inodes[fd] : 0;
}

static int open_at(int dir, const char *path, int flags, mode_t mode)
{
	return noted_open((int)syscall(SYS_openat, dir, path, flags, mode), flags);
}

int open(const char *path, int flags, ...)
{
	va_list ap;
	mode_t mode;

	va_start(ap, flags);
	mode = flags & O_CREAT ? va_arg(ap, mode_t) : 0;
	va_end(ap);
	return open_at(AT_FDCWD, path, flags, mode);
}

int openat(int dir, const char *path, int flags, ...)
{
	va_list ap;
	mode_t mode;

	va_start(ap, flags);
	mode = flags & O_CREAT ? va_arg(ap, mode_t) : 0;
	va_end(ap);
	return open_at(dir, path, flags, mode);
}

int open64(const char *path, int flags, ...) __attribute__((alias("open")));
int openat64(int dir, const char *path, int flags, ...) __attribute__((alias("openat")));

/* the names that _FORTIFY_SOURCE gives to the calls without a mode */
int __open64_2(const char *path, int flags);            /* NOLINT */
int __openat64_2(int dir, const char *path, int flags); /* NOLINT */

int __open64_2(const char *path, int flags) /* NOLINT */
{
	return open_at(AT_FDCWD, path, flags, 0);
}

int __openat64_2(int dir, const char *path, int flags) /* NOLINT */
{
	return open_at(dir, path, flags, 0);
}

int close(int fd)
{
	if (fd >= 0 && fd < FDS)
		inodes[fd] = 0;
	return (int)syscall(SYS_close, fd);
}

ssize_t pwrite(int fd, const void *from, size_t len, off_t at)
{
	const ssize_t n = syscall(SYS_pwrite64, fd, from, len, at);

	if (n > 0 && inode_of(fd))
		note(TRACE_WRITE, inode_of(fd), (uint64_t)at, from, (size_t)n);
	return n;
}

ssize_t pwrite64(int fd, const void *from, size_t len, off_t at) __attribute__((alias("pwrite")));

ssize_t write(int fd, const void *from, size_t len)
{
	const off_t at = inode_of(fd) ? syscall(SYS_lseek, fd, 0L, SEEK_CUR) : 0;
	const ssize_t n = syscall(SYS_write, fd, from, len);

	if (n > 0 && inode_of(fd))
		note(TRACE_WRITE, inode_of(fd), (uint64_t)at, from, (size_t)n);
	return n;
}

int ftruncate(int fd, off_t len)
{
	const int r = (int)syscall(SYS_ftruncate, fd, len);

	if (r == 0 && inode_of(fd))
		note(TRACE_TRUNCATE, inode_of(fd), (uint64_t)len, NULL, 0);
	return r;
}

int ftruncate64(int fd, off_t len) __attribute__((alias("ftruncate")));

static int noted_sync(int fd, long number)
{
	const int r = (int)syscall(number, fd);

	if (r == 0 && inode_of(fd))
		note(TRACE_SYNC, inode_of(fd), 0, NULL, 0);
	return r;
}

int fsync(int fd)
{
	return noted_sync(fd, SYS_fsync);
}

int fdatasync(int fd)
{
	return noted_sync(fd, SYS_fdatasync);
}

int unlinkat(int dir, const char *name, int flags)
{
	char path[PATH_MAX];
	const int r = (int)syscall(SYS_unlinkat, dir, name, flags);

	if (r == 0 && path_of(dir, name, path) && below(path))
		note(TRACE_UNLINK, 0, 0, path, strlen(path));
	return r;
}

int unlink(const char *path)
{
	return unlinkat(AT_FDCWD, path, 0);
}

int renameat(int from_dir, const char *from, int to_dir, const char *to)
{
	char paths[2 * PATH_MAX], target[PATH_MAX];
	const bool known = path_of(from_dir, from, paths) && path_of(to_dir, to, target);
	const int r = (int)syscall(SYS_renameat, from_dir, from, to_dir, to);
	size_t len;

	if (r < 0 || !known || !(below(paths) || below(target)))
		return r;
	len = strlen(paths) + 1;
	memcpy(paths + len, target, strlen(target) + 1);
	note(TRACE_RENAME, 0, 0, paths, len + strlen(target));
	return r;
}

int rename(const char *from, const char *to)
{
	return renameat(AT_FDCWD, from, AT_FDCWD, to);
}

static bool is_packets(int fd)
{
	int type = 0;
	socklen_t len = sizeof(type);

	return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) == 0 && type == SOCK_SEQPACKET;
}

ssize_t send(int fd, const void *from, size_t len, int flags)
{
	/* before it is said: a cut may come right after */
	if (is_packets(fd))
		note(TRACE_SAID, 0, 0, from, len);
	return syscall(SYS_sendto, fd, from, len, flags, NULL, 0);
}

ssize_t recv(int fd, void *to, size_t len, int flags)
{
	const ssize_t n = syscall(SYS_recvfrom, fd, to, len, flags, NULL, NULL);

	if (n > 0 && (size_t)n <= len && is_packets(fd))
		note(TRACE_HEARD, 0, 0, to, (size_t)n);
	return n;
}
