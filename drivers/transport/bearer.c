#include "drivers/transport/bearer.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "drivers/cleanup.h"
#include "drivers/wellgate-link/frame.h"
#include "protocols/bytes/cursor.h"
#include "protocols/bytes/writer.h"

#define USEC_PER_MSEC    1000
#define USEC_PER_SEC     INT64_C(1000000)
#define CONNECT_TIMEOUT  (10 * USEC_PER_SEC)
#define CONNECT_TIME_MAX (600 * USEC_PER_SEC)
/* The helper ends the attempt itself; later than this it hangs. */
#define HELPER_GRACE (3 * USEC_PER_SEC)
/* Frames handed on before other sources of the loop get their turn. */
#define TURN_MAX 32
/* Bounds what is under way to a helper that may be killed. */
#define SEND_BUFFER (64 * 1024)
#define ERRNO_MAX   4095 /* of the kernel */

_Static_assert(BEARER_PDU_MAX == FRAME_PDU_MAX, "both sides move the same PDUs");
_Static_assert((int)BEARER_CLEAR == FRAME_LEVEL_MIN && (int)BEARER_FIPS == FRAME_LEVEL_MAX,
	       "levels are the kernel's");

/*
 * The process, until it is reaped: outlives the bearer, and nobody waits for it. Its sources float,
 * so a loop that ends takes it along.
 */
struct child {
	pid_t pid; /* 0: reaped, or given up */
	int pidfd;
	sd_event_source *io; /* borrowed: the loop's own reference; its end is that of the child */
	sd_event_source *timer; /* from child_dismiss() on */
	unsigned int step;
	struct bearer *bearer; /* NULL: dismissed */
};

struct bearer {
	sd_event *event;
	struct bearer_handlers handlers;
	struct child *child;
	int fd; /* -1: the end is known */
	sd_event_source *io, *timer, *later;
	bool ready, connected;
	bool wants_room; /* a send was refused */
	bool held;
	bool dead;   /* the child was reaped: what its socket holds is all there will be */
	bool failed; /* it was never started: `end` is to be told */
	enum bearer_end end;
	int error;
	unsigned int busy; /* inside a dispatch: freed at its end */
	bool freed;
};

const char *bearer_end_name(enum bearer_end end)
{
	static const char *const names[] = {
		[BEARER_CLOSED] = "closed", [BEARER_REFUSED] = "refused",
		[BEARER_BUSY] = "busy",     [BEARER_LOST] = "lost",
		[BEARER_KILLED] = "killed", [BEARER_NO_HELPER] = "no_helper",
	};

	return (size_t)end < sizeof(names) / sizeof(names[0]) ? names[end] : "?";
}

/* ---- the process ---- */

static void on_reaped(struct bearer *b);

/* the io source has ended, with the child or with the loop */
static void child_destroy(void *userdata)
{
	struct child *c = userdata;

	if (c->bearer)
		c->bearer->child = NULL;
	if (c->pid > 0) {
		siginfo_t info;

		(void)pidfd_send_signal(c->pidfd, SIGTERM, NULL, 0);
		(void)waitid(P_PIDFD, (id_t)c->pidfd, &info, WEXITED | WNOHANG);
	}
	(void)sd_event_source_unref(c->timer);
	(void)close(c->pidfd);
	free(c);
}

/* c is gone after this, or at the end of the dispatch that called it */
static void child_release(struct child *c)
{
	c->pid = 0;
	if (c->timer) {
		(void)sd_event_source_set_enabled(c->timer, SD_EVENT_OFF);
		(void)sd_event_source_set_floating(c->timer, false);
	}
	(void)sd_event_source_set_enabled(c->io, SD_EVENT_OFF);
	(void)sd_event_source_set_floating(c->io, false);
}

static int on_child(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
	struct child *c = userdata;
	struct bearer *b = c->bearer;
	siginfo_t info = { .si_pid = 0 };

	(void)source;
	(void)revents;
	if (waitid(P_PIDFD, (id_t)fd, &info, WEXITED | WNOHANG) == 0 && info.si_pid == 0)
		return 0;
	c->bearer = NULL;
	child_release(c);
	if (b) {
		b->child = NULL;
		on_reaped(b);
	}
	return 0;
}

/*
 * A dismissed helper ends by itself when it sees that its parent's socket is closed. If not it is
 * asked, then killed; a task that the kernel cannot end is left alone at last.
 */
static int on_child_late(sd_event_source *source, uint64_t usec, void *userdata)
{
	static const struct {
		int signal;
		int64_t wait;
	} steps[] = {
		{ SIGTERM, USEC_PER_SEC },
		{ SIGKILL, 60 * USEC_PER_SEC },
	};
	struct child *c = userdata;

	(void)usec;
	if (c->step == sizeof(steps) / sizeof(steps[0])) {
		child_release(c);
		return 0;
	}
	(void)pidfd_send_signal(c->pidfd, steps[c->step].signal, NULL, 0);
	(void)sd_event_source_set_time_relative(source, (uint64_t)steps[c->step].wait);
	(void)sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
	c->step++;
	return 0;
}

static void child_dismiss(struct child *c)
{
	if (!c)
		return;
	c->bearer = NULL;
	if (sd_event_add_time_relative(sd_event_source_get_event(c->io), &c->timer, CLOCK_MONOTONIC,
				       USEC_PER_SEC, 0, on_child_late, c) < 0 ||
	    sd_event_source_set_floating(c->timer, true) < 0)
		(void)pidfd_send_signal(c->pidfd, SIGKILL, NULL, 0);
}

/* The child of a failed start: its socket is not even open yet. */
static void child_abort(pid_t pid)
{
	(void)kill(pid, SIGKILL);
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
}

static int child_watch(sd_event *event, pid_t pid, struct bearer *b)
{
	struct child *c = calloc(1, sizeof(*c));
	int r;

	if (!c)
		return -ENOMEM;
	c->pidfd = pidfd_open(pid, 0);
	r = c->pidfd < 0 ? -errno : sd_event_add_io(event, &c->io, c->pidfd, EPOLLIN, on_child, c);
	if (r >= 0)
		r = sd_event_source_set_floating(c->io, true);
	if (r < 0) {
		(void)sd_event_source_unref(c->io);
		if (c->pidfd >= 0)
			(void)close(c->pidfd);
		free(c);
		return r;
	}
	(void)sd_event_source_set_destroy_callback(c->io, child_destroy);
	c->pid = pid;
	c->bearer = b;
	b->child = c;
	(void)sd_event_source_unref(c->io); /* the loop has its own */
	return 0;
}

/* ---- the start ---- */

/* files: 0 to 2 lead nowhere, 3 and 4 are those of frame.h, and there are no others */
static int spawn_files(posix_spawn_file_actions_t *files, int fd, int stand_in)
{
	int r = 0;

	for (int i = 0; r == 0 && i < FRAME_FD; i++)
		r = posix_spawn_file_actions_addopen(files, i, "/dev/null", O_RDWR, 0);
	if (r == 0)
		r = posix_spawn_file_actions_adddup2(files, fd, FRAME_FD);
	if (r == 0 && stand_in >= 0)
		r = posix_spawn_file_actions_adddup2(files, stand_in, FRAME_LINK_FD);
	if (r == 0)
		r = posix_spawn_file_actions_addclosefrom_np(
			files, stand_in >= 0 ? FRAME_LINK_FD + 1 : FRAME_LINK_FD);
	return r;
}

static int spawn_attributes(posix_spawnattr_t *attributes)
{
	sigset_t none, all;
	int r;

	(void)sigemptyset(&none);
	(void)sigfillset(&all);
	r = posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK |
							 POSIX_SPAWN_SETSIGDEF);
	if (r == 0)
		r = posix_spawnattr_setpgroup(attributes, 0);
	if (r == 0)
		r = posix_spawnattr_setsigmask(attributes, &none);
	if (r == 0)
		r = posix_spawnattr_setsigdefault(attributes, &all);
	return r;
}

/* both descriptors are above those that the child will have; 0 or -errno */
static int spawn(const char *helper, int fd, int stand_in, pid_t *ret)
{
	char name[] = "wellgate-link";
	char *const arguments[] = { name, NULL }, *const environment[] = { NULL };
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attributes;
	int r = posix_spawn_file_actions_init(&files);

	if (r != 0)
		return -r;
	r = posix_spawnattr_init(&attributes);
	if (r == 0) {
		r = spawn_files(&files, fd, stand_in);
		if (r == 0)
			r = spawn_attributes(&attributes);
		if (r == 0)
			r = posix_spawn(ret, helper, &files, &attributes, arguments, environment);
		(void)posix_spawnattr_destroy(&attributes);
	}
	(void)posix_spawn_file_actions_destroy(&files);
	return -r;
}

static int send_start(int fd, const struct bearer_options *o, int64_t timeout)
{
	uint8_t frame[FRAME_START_BYTES];
	struct writer w = writer_of(frame, sizeof(frame));

	writer_u8(&w, FRAME_START);
	writer_u8(&w, FRAME_VERSION);
	writer_u8(&w, o->stand_in >= 0);
	writer_bytes(&w, o->adapter.bytes, sizeof(o->adapter.bytes));
	writer_bytes(&w, o->peer.bytes, sizeof(o->peer.bytes));
	writer_u8(&w, o->peer.type == BLE_RANDOM);
	writer_u8(&w, (uint8_t)o->ask);
	writer_u8(&w, (uint8_t)o->stand_in_level);
	writer_u8(&w, (uint8_t)o->stand_in_reach);
	writer_le32(&w, (uint32_t)(timeout / USEC_PER_MSEC));
	assert(writer_ok(&w) && w.len == sizeof(frame));
	return send(fd, frame, w.len, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 ? -errno : 0;
}

/* a copy that dup2() in the child cannot run over */
static int move_up(int fd)
{
	const int moved = fcntl(fd, F_DUPFD_CLOEXEC, FRAME_LINK_FD + 1);

	return moved < 0 ? -errno : moved;
}

/* Out of something, or not there? The second is no use trying again. */
static bool is_shortage(int r)
{
	return r == -ENOMEM || r == -EAGAIN || r == -EMFILE || r == -ENFILE;
}

static int start_helper(struct bearer *b, const struct bearer_options *o, int link, int64_t timeout)
{
	const int size = SEND_BUFFER;
	_cleanup_close_ int theirs = -1, stand_in = -1;
	int pair[2], r;
	pid_t pid = 0;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	b->fd = pair[0];
	theirs = move_up(pair[1]);
	(void)close(pair[1]);
	if (theirs < 0)
		return theirs;
	if (link >= 0) {
		stand_in = move_up(link);
		if (stand_in < 0)
			return stand_in;
	}
	(void)setsockopt(b->fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	(void)setsockopt(theirs, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	r = send_start(b->fd, o, timeout);
	if (r == 0)
		r = spawn(o->helper, theirs, stand_in, &pid);
	if (r < 0)
		return r;
	r = child_watch(b->event, pid, b);
	if (r < 0)
		child_abort(pid);
	return r;
}

/* ---- the end ---- */

static void stop(struct bearer *b)
{
	b->io = sd_event_source_disable_unref(b->io);
	b->timer = sd_event_source_disable_unref(b->timer);
	b->later = sd_event_source_disable_unref(b->later);
	if (b->fd >= 0)
		(void)close(b->fd); /* the helper sees it, and ends */
	b->fd = -1;
	b->connected = false;
	child_dismiss(b->child);
	b->child = NULL;
}

static void finish(struct bearer *b, enum bearer_end end, int error)
{
	stop(b);
	b->handlers.lost(b->handlers.user, end, error);
}

/* without a word */
static void helper_died(struct bearer *b, int error)
{
	finish(b, b->ready ? BEARER_KILLED : BEARER_NO_HELPER, error);
}

static void enter(struct bearer *b)
{
	b->busy++;
}

static void dispatch_end(struct bearer *b)
{
	if (--b->busy == 0 && b->freed)
		free(b);
}

void bearer_free(struct bearer *b)
{
	if (!b || b->freed)
		return;
	stop(b);
	b->freed = true;
	sd_event_unref(b->event);
	if (b->busy == 0)
		free(b);
}

/* ---- what the helper says; not one byte of it is believed ---- */

static bool take_level(struct cursor *c, enum bearer_level *ret)
{
	const uint8_t level = cursor_u8(c);

	if (!cursor_ok(c) || level < FRAME_LEVEL_MIN || level > FRAME_LEVEL_MAX)
		return false;
	*ret = (enum bearer_level)level;
	return true;
}

static bool frame_connected(struct bearer *b, struct cursor *c)
{
	enum bearer_level level = BEARER_CLEAR;

	if (!b->ready || b->connected || !take_level(c, &level) || !cursor_at_end(c))
		return false;
	b->connected = true;
	b->timer = sd_event_source_disable_unref(b->timer);
	b->handlers.connected(b->handlers.user, level);
	return true;
}

static bool frame_level(struct bearer *b, struct cursor *c)
{
	enum bearer_level level = BEARER_CLEAR;

	if (!b->connected || !take_level(c, &level) || !cursor_at_end(c))
		return false;
	b->handlers.level(b->handlers.user, level);
	return true;
}

static bool frame_data(struct bearer *b, struct cursor *c)
{
	enum bearer_level level = BEARER_CLEAR;
	size_t len;

	if (!b->connected || !take_level(c, &level))
		return false;
	len = cursor_left(c);
	if (len > BEARER_PDU_MAX)
		return false;
	b->handlers.pdu(b->handlers.user, cursor_bytes(c, len), len, level);
	return true;
}

static bool frame_end(struct bearer *b, struct cursor *c)
{
	const uint8_t stage = cursor_u8(c);
	const uint16_t number = cursor_le16(c);
	const int error = -(int)number;

	if (!cursor_at_end(c) || number > ERRNO_MAX)
		return false;
	if (stage == FRAME_STAGE_SETUP && !b->ready)
		finish(b, BEARER_NO_HELPER, error);
	else if (stage == FRAME_STAGE_LINK && b->connected)
		finish(b, BEARER_LOST, error);
	else if (stage == FRAME_STAGE_LINK && b->ready)
		finish(b, number == EBUSY ? BEARER_BUSY : BEARER_REFUSED, error);
	else
		return false;
	return true;
}

static bool frame_ready(struct bearer *b, const struct cursor *c)
{
	if (b->ready || !cursor_at_end(c))
		return false;
	b->ready = true;
	return true;
}

static bool take_frame(struct bearer *b, const uint8_t *data, size_t len)
{
	struct cursor c = cursor_of(data, len);

	switch (cursor_u8(&c)) {
	case FRAME_READY:
		return frame_ready(b, &c);
	case FRAME_CONNECTED:
		return frame_connected(b, &c);
	case FRAME_LEVEL:
		return frame_level(b, &c);
	case FRAME_DATA:
		return frame_data(b, &c);
	case FRAME_END:
		return frame_end(b, &c);
	default:
		return false;
	}
}

/* One frame, or the end. False: nothing more for now. */
static bool pump_one(struct bearer *b)
{
	uint8_t frame[FRAME_MAX + 1];
	const ssize_t n = recv(b->fd, frame, sizeof(frame), MSG_DONTWAIT);

	if (n > 0) {
		if (!take_frame(b, frame, (size_t)n))
			helper_died(b, -EPROTO);
		return true;
	}
	/* ECONNRESET: it ended without reading all that we sent; told once, before what it sent */
	if (n < 0 && (errno == EINTR || errno == ECONNRESET))
		return true;
	if (n == 0 || errno != EAGAIN || b->dead)
		helper_died(b, 0);
	return false;
}

/* fd is -1 after any frame that ended it, or whose handler freed the bearer */
static void pump(struct bearer *b)
{
	for (unsigned int i = 0; i < TURN_MAX; i++) {
		if (b->fd < 0 || b->held || !pump_one(b))
			return;
	}
	/* a dead helper's socket need not become readable again */
	if (b->dead && b->later)
		(void)sd_event_source_set_enabled(b->later, SD_EVENT_ONESHOT);
}

/* ---- sources ---- */

static void update_io(struct bearer *b)
{
	const uint32_t events = (b->held ? 0 : EPOLLIN) | (b->wants_room ? EPOLLOUT : 0);

	if (!b->io)
		return;
	/* switched off without interest: a hang-up would be told again and again */
	(void)sd_event_source_set_io_events(b->io, events);
	(void)sd_event_source_set_enabled(b->io, events ? SD_EVENT_ON : SD_EVENT_OFF);
}

static int on_io(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
	struct bearer *b = userdata;

	(void)source;
	(void)fd;
	enter(b);
	if (b->wants_room && (revents & (EPOLLOUT | EPOLLHUP | EPOLLERR))) {
		b->wants_room = false;
		update_io(b);
		if (b->handlers.writable)
			b->handlers.writable(b->handlers.user);
	}
	pump(b);
	dispatch_end(b);
	return 0;
}

static int on_later(sd_event_source *source, void *userdata)
{
	struct bearer *b = userdata;

	(void)source;
	enter(b);
	if (b->failed)
		finish(b, b->end, b->error);
	else
		pump(b);
	dispatch_end(b);
	return 0;
}

static int on_hang(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct bearer *b = userdata;

	(void)source;
	(void)usec;
	enter(b);
	finish(b, BEARER_REFUSED, -ETIMEDOUT);
	dispatch_end(b);
	return 0;
}

static void on_reaped(struct bearer *b)
{
	enter(b);
	b->dead = true;
	pump(b);
	dispatch_end(b);
}

static int add_sources(struct bearer *b, int64_t timeout)
{
	int r = sd_event_add_defer(b->event, &b->later, on_later, b);

	if (r < 0)
		return r;
	if (b->failed)
		return 0;
	r = sd_event_source_set_enabled(b->later, SD_EVENT_OFF);
	if (r >= 0)
		r = sd_event_add_io(b->event, &b->io, b->fd, EPOLLIN, on_io, b);
	if (r >= 0)
		r = sd_event_add_time_relative(b->event, &b->timer, CLOCK_MONOTONIC,
					       (uint64_t)(timeout + HELPER_GRACE), 0, on_hang, b);
	return r < 0 ? r : 0;
}

int bearer_new(sd_event *event, const struct bearer_options *options,
	       const struct bearer_handlers *handlers, struct bearer **ret)
{
	const int64_t timeout =
		options->connect_timeout_us > 0 ? options->connect_timeout_us : CONNECT_TIMEOUT;
	_cleanup_close_ const int stand_in = options->stand_in;
	struct bearer *b;
	int r;

	assert(options->helper && timeout <= CONNECT_TIME_MAX);
	assert(handlers->connected && handlers->pdu && handlers->level && handlers->lost);
	assert(options->ask >= BEARER_CLEAR && options->ask <= BEARER_FIPS);
	b = calloc(1, sizeof(*b));
	if (!b)
		return -ENOMEM;
	b->event = sd_event_ref(event);
	b->handlers = *handlers;
	b->fd = -1;
	r = start_helper(b, options, stand_in, timeout);
	if (r < 0 && !is_shortage(r)) {
		b->failed = true;
		b->end = BEARER_NO_HELPER;
		b->error = r;
		r = 0;
	}
	if (r == 0)
		r = add_sources(b, timeout);
	if (r < 0) {
		bearer_free(b);
		return r;
	}
	*ret = b;
	return 0;
}

/* ---- to the peer ---- */

static int send_frame(struct bearer *b, enum frame_type type, const uint8_t *data, size_t len)
{
	uint8_t frame[FRAME_MAX];

	if (b->fd < 0 || !b->connected)
		return -ENOTCONN;
	frame[0] = (uint8_t)type;
	memcpy(frame + 1, data, len);
	if (send(b->fd, frame, 1 + len, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0)
		return 0;
	if (errno == EPIPE || errno == ECONNRESET)
		return -ENOTCONN; /* `lost` comes from the loop */
	if (errno != EAGAIN)
		return -errno;
	b->wants_room = true;
	update_io(b);
	return -EAGAIN;
}

int bearer_send(struct bearer *b, const uint8_t *data, size_t len)
{
	if (len == 0 || len > BEARER_PDU_MAX)
		return -EMSGSIZE;
	return send_frame(b, FRAME_DATA, data, len);
}

bool bearer_writable(const struct bearer *b)
{
	return b->fd >= 0 && b->connected && !b->wants_room;
}

int bearer_raise(struct bearer *b, enum bearer_level level)
{
	const uint8_t field = (uint8_t)level;

	assert(level > BEARER_CLEAR && level <= BEARER_FIPS);
	return send_frame(b, FRAME_RAISE, &field, 1);
}

void bearer_hold(struct bearer *b, bool hold)
{
	b->held = hold;
	update_io(b);
	if (!hold && b->dead && b->later)
		(void)sd_event_source_set_enabled(b->later, SD_EVENT_ONESHOT);
}
