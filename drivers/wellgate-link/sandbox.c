#include "drivers/wellgate-link/sandbox.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "drivers/wellgate-link/frame.h"
#include "drivers/wellgate-link/l2cap.h"

#if defined(__x86_64__) && !defined(__ILP32__)
#define ARCHITECTURE AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define ARCHITECTURE AUDIT_ARCH_AARCH64
#elif defined(__arm__)
#define ARCHITECTURE AUDIT_ARCH_ARM
#else
#error "name this architecture as linux/audit.h does, and look at the system calls below"
#endif

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
	       "an argument's low half comes first in struct seccomp_data");

#define FIELD(member) ((unsigned int)offsetof(struct seccomp_data, member))
#define LOAD(member)  BPF_STMT(BPF_LD | BPF_W | BPF_ABS, FIELD(member))
/* the next `skip` instructions run only if the accumulator is `value` */
#define UNLESS_SKIP(value, skip) \
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned int)(value), 0, (skip))
#define ALLOW        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)
#define KILL         BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS)
#define CALL(number) UNLESS_SKIP(number, 1), ALLOW
/* a socket option of one level and name; seven instructions */
#define OPTION(number, option_level, name)                                                  \
	UNLESS_SKIP(number, 6), LOAD(args[1]), UNLESS_SKIP(option_level, 3), LOAD(args[2]), \
		UNLESS_SKIP(name, 1), ALLOW, LOAD(nr)

static const struct sock_filter filter[] = {
	LOAD(arch),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ARCHITECTURE, 1, 0),
	KILL,
	LOAD(nr),
#ifdef __NR_poll
	CALL(__NR_poll),
#endif
	CALL(__NR_ppoll),
#ifdef __NR_ppoll_time64
	CALL(__NR_ppoll_time64),
#endif
	CALL(__NR_recvfrom),
	CALL(__NR_sendto),
#ifdef __NR_recv
	CALL(__NR_recv),
	CALL(__NR_send),
#endif
	OPTION(__NR_getsockopt, SOL_BLUETOOTH, BT_SECURITY),
	OPTION(__NR_setsockopt, SOL_BLUETOOTH, BT_SECURITY),
	OPTION(__NR_getsockopt, SOL_SOCKET, SO_ERROR),
	CALL(__NR_clock_gettime),
#ifdef __NR_clock_gettime64
	CALL(__NR_clock_gettime64),
#endif
	CALL(__NR_restart_syscall),
	CALL(__NR_close),
	CALL(__NR_exit_group),
	KILL,
};

/* Memory is not limited: the filter lets nothing be mapped, and sanitizers want much before. */
static const struct {
	__rlimit_resource_t resource;
	rlim_t max;
} limits[] = {
	{ RLIMIT_CORE, 0 },    { RLIMIT_FSIZE, 0 },
	{ RLIMIT_NPROC, 0 },   { RLIMIT_NOFILE, FRAME_LINK_FD + 1 },
	{ RLIMIT_MEMLOCK, 0 },
};

int sandbox_prepare(void)
{
	for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
		const struct rlimit limit = { limits[i].max, limits[i].max };

		if (setrlimit(limits[i].resource, &limit) < 0)
			return -errno;
	}
	if (prctl(PR_SET_PDEATHSIG, SIGTERM, 0, 0, 0) < 0 ||
	    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return -errno;
	return 0;
}

int sandbox_close(void)
{
	struct sock_filter program[sizeof(filter) / sizeof(filter[0])];
	const struct sock_fprog fprog = { sizeof(filter) / sizeof(filter[0]), program };

	for (size_t i = 0; i < fprog.len; i++)
		program[i] = filter[i];
	return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &fprog, 0, 0) < 0 ? -errno : 0;
}
