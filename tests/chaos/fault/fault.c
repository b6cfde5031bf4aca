/*
 * Preloaded into a program under test: counts its fallible calls, and lets call number N fail, once
 * or from then on. What fails, and how, is in the page that WELLGATE_FAULT names (fault.h).
 *
 * Calls of the program and of its libraries are seen; those that libc makes inside itself are not,
 * but for its allocations.
 */
#undef _FILE_OFFSET_BITS
#undef _FORTIFY_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <unistd.h>

#include "fault.h"

#define CALLER        __builtin_return_address(0)
#define WAYS          5
#define SHORT         (-1) /* half of the work is done */
#define KERNEL_SIGSET 8    /* bytes; libc's set is larger */

/* what fails together when something fails for good */
enum group {
	GROUP_NONE,
	GROUP_MEMORY,
	GROUP_DISK,
	GROUP_OPEN,
	GROUP_NETWORK
};

enum kind {
	KIND_MALLOC,
	KIND_MMAP,
	KIND_OPEN,
	KIND_READ,
	KIND_WRITE,
	KIND_PREAD,
	KIND_PWRITE,
	KIND_FSYNC,
	KIND_FTRUNCATE,
	KIND_RENAME,
	KIND_UNLINK,
	KIND_MKDIR,
	KIND_STAT,
	KIND_FCNTL,
	KIND_FLOCK,
	KIND_SOCKET,
	KIND_BIND,
	KIND_LISTEN,
	KIND_ACCEPT,
	KIND_CONNECT,
	KIND_SEND,
	KIND_RECV,
	KIND_EPOLL_CREATE,
	KIND_EPOLL_CTL,
	KIND_EPOLL_WAIT,
	KIND_NEW_FD, /* eventfd, timerfd, signalfd */
	KIND_TIMER,
	KIND_RANDOM,
	KIND_THREAD,
	KIND_ADDRESS,
	KIND_END
};

static const struct {
	enum group group;
	int errors[WAYS]; /* up to the first 0 */
} kinds[KIND_END] = {
	[KIND_MALLOC] = { GROUP_MEMORY, { ENOMEM } },
	[KIND_MMAP] = { GROUP_MEMORY, { ENOMEM } },
	[KIND_OPEN] = { GROUP_OPEN, { EMFILE, EIO, EROFS, ENOSPC, EINTR } },
	[KIND_READ] = { GROUP_NONE, { EIO, EINTR, SHORT } },
	[KIND_WRITE] = { GROUP_DISK, { ENOSPC, EDQUOT, EIO, EINTR, SHORT } },
	[KIND_PREAD] = { GROUP_NONE, { EIO, EINTR, SHORT } },
	[KIND_PWRITE] = { GROUP_DISK, { ENOSPC, EDQUOT, EIO, EINTR, SHORT } },
	[KIND_FSYNC] = { GROUP_DISK, { EIO, ENOSPC, EDQUOT } },
	[KIND_FTRUNCATE] = { GROUP_DISK, { EIO, ENOSPC, EROFS } },
	[KIND_RENAME] = { GROUP_DISK, { EIO, ENOSPC, EROFS } },
	[KIND_UNLINK] = { GROUP_NONE, { EIO, EROFS } },
	[KIND_MKDIR] = { GROUP_NONE, { EIO, ENOSPC, EROFS } },
	[KIND_STAT] = { GROUP_NONE, { EIO, ENOMEM } },
	[KIND_FCNTL] = { GROUP_NONE, { EIO, ENOLCK } },
	[KIND_FLOCK] = { GROUP_NONE, { ENOLCK, EINTR } },
	[KIND_SOCKET] = { GROUP_OPEN, { EMFILE, ENOBUFS } },
	[KIND_BIND] = { GROUP_NONE, { EADDRINUSE, EACCES } },
	[KIND_LISTEN] = { GROUP_NONE, { EADDRINUSE } },
	[KIND_ACCEPT] = { GROUP_OPEN, { EMFILE, ECONNABORTED } },
	[KIND_CONNECT] = { GROUP_NETWORK, { ECONNREFUSED, ENETUNREACH } },
	[KIND_SEND] = { GROUP_NETWORK, { ECONNRESET, ENOBUFS, EPIPE, EAGAIN, EINTR } },
	[KIND_RECV] = { GROUP_NETWORK, { ECONNRESET, ENOMEM, EINTR } },
	[KIND_EPOLL_CREATE] = { GROUP_OPEN, { EMFILE, ENOMEM } },
	[KIND_EPOLL_CTL] = { GROUP_NONE, { ENOMEM, ENOSPC } },
	[KIND_EPOLL_WAIT] = { GROUP_NONE, { EINTR } },
	[KIND_NEW_FD] = { GROUP_OPEN, { EMFILE, ENOMEM } },
	[KIND_TIMER] = { GROUP_NONE, { EINVAL } },
	[KIND_RANDOM] = { GROUP_NONE, { EINTR } },
	[KIND_THREAD] = { GROUP_NONE, { EAGAIN } },
	[KIND_ADDRESS] = { GROUP_NONE, { ENOMEM } },
};

enum verdict {
	GO_ON,
	FAIL,
	HALF
};

/* what glibc keeps for those who put themselves before malloc */
void *__libc_malloc(size_t size);                     /* NOLINT */
void *__libc_calloc(size_t n, size_t size);           /* NOLINT */
void *__libc_realloc(void *old, size_t size);         /* NOLINT */
void *__libc_memalign(size_t alignment, size_t size); /* NOLINT */

static struct fault_page *page;
static int main_thread;
static __thread int thread __attribute__((tls_model("initial-exec"))); /* 0 = not asked yet */

__attribute__((constructor)) static void begin(void)
{
	const char *path = getenv("WELLGATE_FAULT");
	void *map;
	long fd;

	if (!path)
		return;
	fd = syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		_exit(99);
	map = (void *)syscall(SYS_mmap, NULL, sizeof(*page), PROT_READ | PROT_WRITE, MAP_SHARED, fd,
			      0L);
	(void)syscall(SYS_close, fd);
	if (map == MAP_FAILED)
		_exit(99);
	main_thread = (int)syscall(SYS_getpid);
	page = map;
}

static unsigned int count_ways(enum kind kind)
{
	unsigned int n = 0;

	while (n < WAYS && kinds[kind].errors[n] != 0)
		n++;
	return n;
}

/* Two threads that meet a new module at once may name it twice: both names are right. */
static uint8_t module_of(const char *name)
{
	uint32_t i;

	for (i = 0; i < page->modules && i < FAULT_MODULES; i++) {
		if (strncmp(page->names[i], name, FAULT_NAME - 1) == 0)
			return (uint8_t)i;
	}
	if (i >= FAULT_MODULES)
		return FAULT_MODULES - 1;
	(void)strncpy(page->names[i], name, FAULT_NAME - 1);
	page->modules = i + 1;
	return (uint8_t)i;
}

static struct fault_call describe(enum kind kind, const void *caller)
{
	struct fault_call call = { .kind = (uint8_t)kind, .ways = (uint16_t)count_ways(kind) };
	Dl_info info;

	if (dladdr(caller, &info) == 0 || !info.dli_fname)
		return call;
	call.module = module_of(info.dli_fname);
	call.where = (uint32_t)((uintptr_t)caller - (uintptr_t)info.dli_fbase);
	return call;
}

static enum verdict fail_with(int error)
{
	if (error == SHORT)
		return HALF;
	errno = error;
	return FAIL;
}

static bool fails_for_good(enum kind kind)
{
	const enum kind first = (enum kind)page->kind;

	if (!page->forever || page->state != FAULT_HIT)
		return false;
	return kind == first ||
	       (kinds[kind].group != GROUP_NONE && kinds[kind].group == kinds[first].group);
}

static void note_last(const struct fault_call *call)
{
	page->last_where = call->where;
	page->last_module = call->module;
}

static enum verdict hit(enum kind kind, const struct fault_call *call)
{
	const uint32_t variant = page->variant;

	/* a call is not interrupted for good */
	if (variant >= call->ways || (page->forever && kinds[kind].errors[variant] == EINTR)) {
		page->state = FAULT_NO_SUCH_VARIANT;
		return GO_ON;
	}
	page->kind = (uint32_t)kind;
	page->module = call->module;
	page->where = call->where;
	page->error = kinds[kind].errors[variant] == SHORT ? 0 : kinds[kind].errors[variant];
	note_last(call);
	page->state = FAULT_HIT;
	if (page->dies) /* does not return */
		(void)syscall(SYS_kill, (pid_t)syscall(SYS_getpid), SIGKILL);
	return fail_with(kinds[kind].errors[variant]);
}

static enum verdict judge(enum kind kind, const void *caller)
{
	const int saved = errno;
	struct fault_call call;
	uint64_t number;
	unsigned int t;

	if (!page || (page->only != 0 && (page->only >> kind & 1) == 0))
		return GO_ON;
	if (thread == 0)
		thread = (int)syscall(SYS_gettid);
	t = thread == main_thread ? FAULT_MAIN : FAULT_OTHERS;
	number = __atomic_add_fetch(&page->calls[t], 1, __ATOMIC_RELAXED);
	if (fails_for_good(kind)) {
		call = describe(kind, caller);
		note_last(&call);
		return fail_with(page->error ? page->error : SHORT);
	}
	if (page->at != 0 && (page->at != number || page->thread != t))
		return GO_ON; /* only the run that counts needs to know who called */
	call = describe(kind, caller);
	if (number <= FAULT_CALLS)
		page->noted[t][number - 1] = call;
	errno = saved;
	return page->at == number && page->thread == t ? hit(kind, &call) : GO_ON;
}

static bool fails(enum kind kind, const void *caller)
{
	return judge(kind, caller) == FAIL;
}

/* *len: what may be done of it. false: it fails */
static bool granted(enum kind kind, const void *caller, size_t *len)
{
	const enum verdict verdict = judge(kind, caller);

	if (verdict == HALF && *len > 1)
		*len /= 2;
	return verdict != FAIL;
}

/* ---- memory ---- */

void *malloc(size_t size)
{
	return fails(KIND_MALLOC, CALLER) ? NULL : __libc_malloc(size);
}

void *calloc(size_t n, size_t size)
{
	return fails(KIND_MALLOC, CALLER) ? NULL : __libc_calloc(n, size);
}

void *realloc(void *old, size_t size)
{
	return fails(KIND_MALLOC, CALLER) ? NULL : __libc_realloc(old, size);
}

void *reallocarray(void *old, size_t n, size_t size)
{
	size_t all;

	if (__builtin_mul_overflow(n, size, &all)) {
		errno = ENOMEM;
		return NULL;
	}
	return fails(KIND_MALLOC, CALLER) ? NULL : __libc_realloc(old, all);
}

int posix_memalign(void **ret, size_t alignment, size_t size)
{
	void *p;

	if (fails(KIND_MALLOC, CALLER))
		return ENOMEM;
	p = __libc_memalign(alignment, size);
	if (!p)
		return ENOMEM;
	*ret = p;
	return 0;
}

void *aligned_alloc(size_t alignment, size_t size)
{
	return fails(KIND_MALLOC, CALLER) ? NULL : __libc_memalign(alignment, size);
}

void *mmap(void *at, size_t len, int protection, int flags, int fd, off_t offset)
{
	if (fails(KIND_MMAP, CALLER))
		return MAP_FAILED;
	return (void *)syscall(SYS_mmap, at, len, protection, flags, fd, offset);
}

void *mmap64(void *at, size_t len, int protection, int flags, int fd, off_t offset)
	__attribute__((alias("mmap")));

/* ---- files ---- */

static int open_at(int dir, const char *path, int flags, mode_t mode, const void *caller)
{
	if (fails(KIND_OPEN, caller))
		return -1;
	return (int)syscall(SYS_openat, dir, path, flags, mode);
}

int open(const char *path, int flags, ...)
{
	va_list ap;
	mode_t mode;

	va_start(ap, flags);
	mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(ap, mode_t) : 0;
	va_end(ap);
	return open_at(AT_FDCWD, path, flags, mode, CALLER);
}

int openat(int dir, const char *path, int flags, ...)
{
	va_list ap;
	mode_t mode;

	va_start(ap, flags);
	mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(ap, mode_t) : 0;
	va_end(ap);
	return open_at(dir, path, flags, mode, CALLER);
}

int open64(const char *path, int flags, ...) __attribute__((alias("open")));
int openat64(int dir, const char *path, int flags, ...) __attribute__((alias("openat")));

/* the names that _FORTIFY_SOURCE gives to the calls without a mode */
int __open64_2(const char *path, int flags);            /* NOLINT */
int __openat64_2(int dir, const char *path, int flags); /* NOLINT */

int __open64_2(const char *path, int flags) /* NOLINT */
{
	return open_at(AT_FDCWD, path, flags, 0, CALLER);
}

int __openat64_2(int dir, const char *path, int flags) /* NOLINT */
{
	return open_at(dir, path, flags, 0, CALLER);
}

FILE *fopen(const char *path, const char *mode)
{
	static FILE *(*next)(const char *, const char *);

	if (fails(KIND_OPEN, CALLER))
		return NULL;
	if (!next)
		next = (FILE * (*)(const char *, const char *)) dlsym(RTLD_NEXT, "fopen");
	return next(path, mode);
}

FILE *fopen64(const char *path, const char *mode) __attribute__((alias("fopen")));

ssize_t read(int fd, void *to, size_t len)
{
	return granted(KIND_READ, CALLER, &len) ? syscall(SYS_read, fd, to, len) : -1;
}

ssize_t readv(int fd, const struct iovec *parts, int n)
{
	return fails(KIND_READ, CALLER) ? -1 : syscall(SYS_readv, fd, parts, n);
}

ssize_t write(int fd, const void *from, size_t len)
{
	return granted(KIND_WRITE, CALLER, &len) ? syscall(SYS_write, fd, from, len) : -1;
}

ssize_t writev(int fd, const struct iovec *parts, int n)
{
	return fails(KIND_WRITE, CALLER) ? -1 : syscall(SYS_writev, fd, parts, n);
}

ssize_t pread(int fd, void *to, size_t len, off_t at)
{
	return granted(KIND_PREAD, CALLER, &len) ? syscall(SYS_pread64, fd, to, len, at) : -1;
}

ssize_t pread64(int fd, void *to, size_t len, off_t at) __attribute__((alias("pread")));

ssize_t pwrite(int fd, const void *from, size_t len, off_t at)
{
	return granted(KIND_PWRITE, CALLER, &len) ? syscall(SYS_pwrite64, fd, from, len, at) : -1;
}

ssize_t pwrite64(int fd, const void *from, size_t len, off_t at) __attribute__((alias("pwrite")));

int fsync(int fd)
{
	return fails(KIND_FSYNC, CALLER) ? -1 : (int)syscall(SYS_fsync, fd);
}

int fdatasync(int fd)
{
	return fails(KIND_FSYNC, CALLER) ? -1 : (int)syscall(SYS_fdatasync, fd);
}

int ftruncate(int fd, off_t len)
{
	return fails(KIND_FTRUNCATE, CALLER) ? -1 : (int)syscall(SYS_ftruncate, fd, len);
}

int ftruncate64(int fd, off_t len) __attribute__((alias("ftruncate")));

int rename(const char *from, const char *to)
{
	return fails(KIND_RENAME, CALLER) ? -1 : (int)syscall(SYS_rename, from, to);
}

int renameat(int from_dir, const char *from, int to_dir, const char *to)
{
	return fails(KIND_RENAME, CALLER) ? -1
					  : (int)syscall(SYS_renameat, from_dir, from, to_dir, to);
}

int unlink(const char *path)
{
	return fails(KIND_UNLINK, CALLER) ? -1 : (int)syscall(SYS_unlink, path);
}

int unlinkat(int dir, const char *path, int flags)
{
	return fails(KIND_UNLINK, CALLER) ? -1 : (int)syscall(SYS_unlinkat, dir, path, flags);
}

int mkdir(const char *path, mode_t mode)
{
	return fails(KIND_MKDIR, CALLER) ? -1 : (int)syscall(SYS_mkdir, path, mode);
}

int mkdirat(int dir, const char *path, mode_t mode)
{
	return fails(KIND_MKDIR, CALLER) ? -1 : (int)syscall(SYS_mkdirat, dir, path, mode);
}

int fstatat(int dir, const char *path, struct stat *ret, int flags)
{
	return fails(KIND_STAT, CALLER) ? -1 : (int)syscall(SYS_newfstatat, dir, path, ret, flags);
}

int stat(const char *path, struct stat *ret)
{
	return fails(KIND_STAT, CALLER) ? -1 : (int)syscall(SYS_stat, path, ret);
}

int lstat(const char *path, struct stat *ret)
{
	return fails(KIND_STAT, CALLER) ? -1 : (int)syscall(SYS_lstat, path, ret);
}

int fstat(int fd, struct stat *ret)
{
	return fails(KIND_STAT, CALLER) ? -1 : (int)syscall(SYS_fstat, fd, ret);
}

int stat64(const char *path, struct stat64 *ret) __attribute__((alias("stat")));
int lstat64(const char *path, struct stat64 *ret) __attribute__((alias("lstat")));
int fstat64(int fd, struct stat64 *ret) __attribute__((alias("fstat")));
int fstatat64(int dir, const char *path, struct stat64 *ret, int flags)
	__attribute__((alias("fstatat")));

int fcntl(int fd, int command, ...)
{
	va_list ap;
	void *argument;

	va_start(ap, command);
	argument = va_arg(ap, void *);
	va_end(ap);
	return fails(KIND_FCNTL, CALLER) ? -1 : (int)syscall(SYS_fcntl, fd, command, argument);
}

int fcntl64(int fd, int command, ...) __attribute__((alias("fcntl")));

int flock(int fd, int operation)
{
	return fails(KIND_FLOCK, CALLER) ? -1 : (int)syscall(SYS_flock, fd, operation);
}

/* ---- sockets ---- */

int socket(int domain, int type, int protocol)
{
	return fails(KIND_SOCKET, CALLER) ? -1 : (int)syscall(SYS_socket, domain, type, protocol);
}

int bind(int fd, const struct sockaddr *address, socklen_t len)
{
	return fails(KIND_BIND, CALLER) ? -1 : (int)syscall(SYS_bind, fd, address, len);
}

int listen(int fd, int backlog)
{
	return fails(KIND_LISTEN, CALLER) ? -1 : (int)syscall(SYS_listen, fd, backlog);
}

int accept4(int fd, struct sockaddr *address, socklen_t *len, int flags)
{
	return fails(KIND_ACCEPT, CALLER) ? -1 : (int)syscall(SYS_accept4, fd, address, len, flags);
}

int connect(int fd, const struct sockaddr *address, socklen_t len)
{
	return fails(KIND_CONNECT, CALLER) ? -1 : (int)syscall(SYS_connect, fd, address, len);
}

ssize_t send(int fd, const void *from, size_t len, int flags)
{
	return fails(KIND_SEND, CALLER) ? -1 : syscall(SYS_sendto, fd, from, len, flags, NULL, 0);
}

ssize_t sendto(int fd, const void *from, size_t len, int flags, const struct sockaddr *to,
	       socklen_t to_len)
{
	return fails(KIND_SEND, CALLER) ? -1
					: syscall(SYS_sendto, fd, from, len, flags, to, to_len);
}

ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
	return fails(KIND_SEND, CALLER) ? -1 : syscall(SYS_sendmsg, fd, message, flags);
}

ssize_t recv(int fd, void *to, size_t len, int flags)
{
	return fails(KIND_RECV, CALLER) ? -1
					: syscall(SYS_recvfrom, fd, to, len, flags, NULL, NULL);
}

ssize_t recvmsg(int fd, struct msghdr *message, int flags)
{
	return fails(KIND_RECV, CALLER) ? -1 : syscall(SYS_recvmsg, fd, message, flags);
}

/* NOLINTNEXTLINE(readability-inconsistent-declaration-parameter-name): libc's are reserved */
int getaddrinfo(const char *host, const char *service, const struct addrinfo *hints,
		struct addrinfo **ret)
{
	static int (*next)(const char *, const char *, const struct addrinfo *, struct addrinfo **);

	if (fails(KIND_ADDRESS, CALLER))
		return EAI_MEMORY;
	if (!next)
		next = (int (*)(const char *, const char *, const struct addrinfo *,
				struct addrinfo **))dlsym(RTLD_NEXT, "getaddrinfo");
	return next(host, service, hints, ret);
}

/* ---- events, threads, chance ---- */

int epoll_create1(int flags)
{
	return fails(KIND_EPOLL_CREATE, CALLER) ? -1 : (int)syscall(SYS_epoll_create1, flags);
}

int epoll_ctl(int fd, int operation, int other, struct epoll_event *event)
{
	return fails(KIND_EPOLL_CTL, CALLER)
		       ? -1
		       : (int)syscall(SYS_epoll_ctl, fd, operation, other, event);
}

int epoll_wait(int fd, struct epoll_event *ret, int max, int timeout_ms)
{
	return fails(KIND_EPOLL_WAIT, CALLER)
		       ? -1
		       : (int)syscall(SYS_epoll_wait, fd, ret, max, timeout_ms);
}

int eventfd(unsigned int value, int flags)
{
	return fails(KIND_NEW_FD, CALLER) ? -1 : (int)syscall(SYS_eventfd2, value, flags);
}

int timerfd_create(clockid_t clock, int flags)
{
	return fails(KIND_NEW_FD, CALLER) ? -1 : (int)syscall(SYS_timerfd_create, clock, flags);
}

int timerfd_settime(int fd, int flags, const struct itimerspec *value, struct itimerspec *ret_old)
{
	return fails(KIND_TIMER, CALLER)
		       ? -1
		       : (int)syscall(SYS_timerfd_settime, fd, flags, value, ret_old);
}

int signalfd(int fd, const sigset_t *mask, int flags)
{
	return fails(KIND_NEW_FD, CALLER)
		       ? -1
		       : (int)syscall(SYS_signalfd4, fd, mask, KERNEL_SIGSET, flags);
}

ssize_t getrandom(void *to, size_t len, unsigned int flags)
{
	return fails(KIND_RANDOM, CALLER) ? -1 : syscall(SYS_getrandom, to, len, flags);
}

int pthread_create(pthread_t *ret, const pthread_attr_t *attributes, void *(*start)(void *),
		   void *user)
{
	static int (*next)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);

	if (fails(KIND_THREAD, CALLER))
		return EAGAIN;
	if (!next)
		next = (int (*)(pthread_t *, const pthread_attr_t *, void *(*)(void *),
				void *))dlsym(RTLD_NEXT, "pthread_create");
	return next(ret, attributes, start, user);
}
