/* links: transports link_sandbox */
/*
 * The bearer with the real wellgate-link over a socketpair whose other end is the peer, and with
 * helpers that lie: this program, started as helper, plays the part that the peer's address names.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "drivers/transport/bearer.h"
#include "drivers/wellgate-link/frame.h"
#include "drivers/wellgate-link/l2cap.h"
#include "drivers/wellgate-link/sandbox.h"

#define LIMIT_MS 20000
#define PDUS     1000

#if defined(__SANITIZE_ADDRESS__)
#define DEATHS 200 /* a process takes ten times longer to start */
#else
#define DEATHS 1000
#endif

enum part {
	PART_SILENT_EXIT,
	PART_EXIT_AFTER_READY,
	PART_CRASH_AFTER_READY,
	PART_BUSY,
	PART_REFUSED,
	PART_NO_SOCKET,
	PART_UNKNOWN_TYPE,
	PART_EMPTY,
	PART_CONNECTED_BEFORE_READY,
	PART_READY_TWICE,
	PART_CONNECTED_TWICE,
	PART_LEVEL_ZERO,
	PART_LEVEL_FIVE,
	PART_LEVEL_TOO_LONG,
	PART_LEVEL_BEFORE_CONNECTED,
	PART_DATA_BEFORE_CONNECTED,
	PART_DATA_WITHOUT_LEVEL,
	PART_DATA_TOO_LONG,
	PART_DATA_BAD_LEVEL,
	PART_END_SHORT,
	PART_END_LONG,
	PART_END_ERRNO,
	PART_END_STAGE,
	PART_END_SETUP_LATE,
	PART_END_AND_MORE,
	PART_HANGS,
	PART_HANGS_CONNECTED,
	PART_LEVELS,
	PART_OPEN_FILES,
	PART_HEIR,
};

/* ---- the program as helper ---- */

static void say(const void *data, size_t len)
{
	if (send(FRAME_FD, data, len, MSG_NOSIGNAL) < 0)
		_exit(9);
}

#define SAY(...) say((const uint8_t[]){ __VA_ARGS__ }, sizeof((const uint8_t[]){ __VA_ARGS__ }))

static void hang(void)
{
	(void)signal(SIGTERM, SIG_IGN);
	for (;;)
		(void)pause();
}

static void play_data_too_long(void)
{
	uint8_t frame[FRAME_MAX + 1] = { FRAME_DATA, 1 };

	SAY(FRAME_CONNECTED, 1);
	say(frame, sizeof(frame));
}

/* its children hold the socket after it has ended */
static void play_heir(void)
{
	SAY(FRAME_CONNECTED, 1);
	if (fork() == 0) {
		(void)poll(NULL, 0, 2 * LIMIT_MS);
		_exit(0);
	}
	SAY(FRAME_DATA, 1, 7);
}

static void play_open_files(void)
{
	uint8_t others = 0;

	for (int fd = FRAME_FD + 1; fd < 1024; fd++)
		others = (uint8_t)(others + (fcntl(fd, F_GETFD) >= 0));
	SAY(FRAME_END, FRAME_STAGE_LINK, (uint8_t)(100 + others + (environ && environ[0])), 0);
}

static void play_ready_part(enum part part)
{
	switch ((int)part) {
	case PART_CRASH_AFTER_READY:
		(void)raise(SIGSEGV);
		break;
	case PART_BUSY:
		SAY(FRAME_END, FRAME_STAGE_LINK, EBUSY, 0);
		break;
	case PART_REFUSED:
		SAY(FRAME_END, FRAME_STAGE_LINK, ECONNREFUSED, 0);
		break;
	case PART_UNKNOWN_TYPE:
		SAY(0x7f);
		break;
	case PART_EMPTY:
		say("", 0);
		break;
	case PART_READY_TWICE:
		SAY(FRAME_READY);
		break;
	case PART_LEVEL_BEFORE_CONNECTED:
		SAY(FRAME_LEVEL, 1);
		break;
	case PART_DATA_BEFORE_CONNECTED:
		SAY(FRAME_DATA, 1, 7);
		break;
	case PART_END_SHORT:
		SAY(FRAME_END, FRAME_STAGE_LINK, 0);
		break;
	case PART_END_LONG:
		SAY(FRAME_END, FRAME_STAGE_LINK, 0, 0, 0);
		break;
	case PART_END_ERRNO:
		SAY(FRAME_END, FRAME_STAGE_LINK, 0x00, 0x10);
		break;
	case PART_END_STAGE:
		SAY(FRAME_END, 2, 5, 0);
		break;
	case PART_END_SETUP_LATE:
		SAY(FRAME_END, FRAME_STAGE_SETUP, 5, 0);
		break;
	case PART_HANGS:
		hang();
		break;
	case PART_OPEN_FILES:
		play_open_files();
		break;
	default:
		break;
	}
}

static void play_connected_part(enum part part)
{
	switch ((int)part) {
	case PART_CONNECTED_TWICE:
		SAY(FRAME_CONNECTED, 1);
		SAY(FRAME_CONNECTED, 1);
		break;
	case PART_LEVEL_ZERO:
		SAY(FRAME_CONNECTED, 0);
		break;
	case PART_LEVEL_FIVE:
		SAY(FRAME_CONNECTED, 1);
		SAY(FRAME_LEVEL, 5);
		break;
	case PART_LEVEL_TOO_LONG:
		SAY(FRAME_CONNECTED, 1);
		SAY(FRAME_LEVEL, 1, 1);
		break;
	case PART_DATA_WITHOUT_LEVEL:
		SAY(FRAME_CONNECTED, 1);
		SAY(FRAME_DATA);
		break;
	case PART_DATA_BAD_LEVEL:
		SAY(FRAME_CONNECTED, 1);
		SAY(FRAME_DATA, 0, 7);
		break;
	case PART_DATA_TOO_LONG:
		play_data_too_long();
		break;
	case PART_HANGS_CONNECTED:
		SAY(FRAME_CONNECTED, 1);
		hang();
		break;
	case PART_END_AND_MORE:
		SAY(FRAME_CONNECTED, 1);
		SAY(FRAME_END, FRAME_STAGE_LINK, ECONNRESET, 0);
		SAY(FRAME_DATA, 1, 7);
		SAY(FRAME_END, FRAME_STAGE_LINK, EBUSY, 0);
		break;
	case PART_LEVELS:
		SAY(FRAME_CONNECTED, 1);
		SAY(FRAME_DATA, 1, 7);
		SAY(FRAME_LEVEL, 3);
		SAY(FRAME_DATA, 3, 8, 9);
		SAY(FRAME_END, FRAME_STAGE_LINK, ETIMEDOUT, 0);
		break;
	case PART_HEIR:
		play_heir();
		break;
	default:
		break;
	}
}

static int play_helper(void)
{
	uint8_t frame[FRAME_START_BYTES + 1];
	enum part part;

	if (recv(FRAME_FD, frame, sizeof(frame), 0) != FRAME_START_BYTES)
		return 8;
	part = (enum part)frame[14]; /* the last byte of the peer's address */
	if (part == PART_SILENT_EXIT)
		return 0;
	if (part == PART_NO_SOCKET)
		SAY(FRAME_END, FRAME_STAGE_SETUP, EAFNOSUPPORT, 0);
	if (part == PART_CONNECTED_BEFORE_READY)
		SAY(FRAME_CONNECTED, 1);
	SAY(FRAME_READY);
	play_ready_part(part);
	play_connected_part(part);
	return 0;
}

/* ---- one side of a link ---- */

enum {
	FREE_NEVER,
	FREE_CONNECTED,
	FREE_PDU,
	FREE_LEVEL,
	FREE_LOST,
	FREE_WRITABLE
};

struct stand {
	sd_event *event;
	struct bearer *bearer;
	int peer; /* the other end; -1: none */
	pid_t pid;
	/* what was told */
	unsigned int connected, levels, pdus, ends, writables;
	enum bearer_level level, pdu_level;
	size_t pdu_len;
	bool disorder;
	enum bearer_end end;
	int error;
	int free_in; /* FREE_... */
};

static char helper_path[4096], self_path[4096];

static void maybe_free(struct stand *s, int where)
{
	if (s->free_in != where)
		return;
	bearer_free(s->bearer);
	s->bearer = NULL;
}

static void on_connected(void *user, enum bearer_level level)
{
	struct stand *s = user;

	s->connected++;
	s->level = level;
	maybe_free(s, FREE_CONNECTED);
}

/* PDUs of these tests carry their number */
static void on_pdu(void *user, const uint8_t *data, size_t len, enum bearer_level level)
{
	struct stand *s = user;

	if (len >= 2 && (data[0] | data[1] << 8) != (int)(s->pdus & 0xffff))
		s->disorder = true;
	s->pdus++;
	s->pdu_len = len;
	s->pdu_level = level;
	maybe_free(s, FREE_PDU);
}

static void on_level(void *user, enum bearer_level level)
{
	struct stand *s = user;

	s->levels++;
	s->level = level;
	maybe_free(s, FREE_LEVEL);
}

static void on_lost(void *user, enum bearer_end end, int error)
{
	struct stand *s = user;

	s->ends++;
	s->end = end;
	s->error = error;
	maybe_free(s, FREE_LOST);
}

static void on_writable(void *user)
{
	struct stand *s = user;

	s->writables++;
	maybe_free(s, FREE_WRITABLE);
}

/* children of this process, also dead ones that nobody has reaped; *ret_last: the youngest */
static unsigned int children(pid_t *ret_last)
{
	char path[64], text[4096] = "";
	unsigned int n = 0;
	long last = 0;
	FILE *f;

	(void)snprintf(path, sizeof(path), "/proc/self/task/%d/children", (int)getpid());
	f = fopen(path, "re");
	assert_non_null(f);
	text[fread(text, 1, sizeof(text) - 1, f)] = '\0';
	(void)fclose(f);
	for (char *at = text, *next; *at; at = next) {
		const long pid = strtol(at, &next, 10);

		if (next == at || pid <= 0)
			break;
		last = pid;
		n++;
	}
	if (ret_last)
		*ret_last = (pid_t)last;
	return n;
}

/* 0 would be all of us, and the runner of the tests */
static int kill_one(pid_t pid, int number_of_signal)
{
	assert_true(pid > 1);
	return kill(pid, number_of_signal);
}

static unsigned int open_files(void)
{
	DIR *folder = opendir("/proc/self/fd");
	unsigned int n = 0;

	assert_non_null(folder);
	while (readdir(folder))
		n++;
	(void)closedir(folder);
	return n;
}

static void begin(struct stand *s, const struct bearer_options *with)
{
	const struct bearer_handlers handlers = { .connected = on_connected,
						  .pdu = on_pdu,
						  .level = on_level,
						  .lost = on_lost,
						  .writable = on_writable,
						  .user = s };

	if (!s->event)
		assert_true(sd_event_new(&s->event) >= 0);
	assert_int_equal(bearer_new(s->event, with, &handlers, &s->bearer), 0);
	(void)children(&s->pid);
	assert_int_equal(s->connected + s->pdus + s->levels + s->ends, 0);
}

/* the real helper; its link is a socketpair */
static void begin_real(struct stand *s, enum bearer_level level, enum bearer_level reach)
{
	struct bearer_options options = { .helper = helper_path,
					  .ask = BEARER_CLEAR,
					  .stand_in_level = level,
					  .stand_in_reach = reach };
	int pair[2];

	assert_int_equal(
		socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair), 0);
	s->peer = pair[0];
	options.stand_in = pair[1];
	begin(s, &options);
}

static void begin_fake(struct stand *s, enum part part, int64_t timeout)
{
	const struct bearer_options options = { .helper = self_path,
						.peer = { .bytes = { 2, 0, 0x5e, 0x10, 0,
								     (uint8_t)part } },
						.ask = BEARER_CLEAR,
						.connect_timeout_us = timeout,
						.stand_in = -1 };

	s->peer = -1;
	begin(s, &options);
}

static void turn(struct stand *s)
{
	assert_true(sd_event_run(s->event, 20000) >= 0);
}

static int64_t now_ms(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static int64_t deadline(void)
{
	return now_ms() + LIMIT_MS;
}

static void turn_before(struct stand *s, int64_t end, const char *condition)
{
	if (now_ms() > end)
		fail_msg("never happened: %s", condition);
	turn(s);
}

/* the condition may be an action: it is tried once a turn, until it holds */
#define UNTIL(s, condition)                                  \
	for (const int64_t _end = deadline(); !(condition);) \
	turn_before(s, _end, #condition)

static void peer_close(struct stand *s)
{
	if (s->peer >= 0)
		(void)close(s->peer);
	s->peer = -1;
}

/* frees it, and sees that its process has gone and was reaped */
static void finish(struct stand *s)
{
	bearer_free(s->bearer);
	s->bearer = NULL;
	peer_close(s);
	UNTIL(s, children(NULL) == 0);
	s->event = sd_event_unref(s->event);
}

static void number(uint8_t pdu[static 2], unsigned int i)
{
	pdu[0] = (uint8_t)(i & 0xff);
	pdu[1] = (uint8_t)(i >> 8);
}

/* ---- relaying ---- */

static void a_thousand_pdus_each_way_in_order(void **state)
{
	struct stand s = { .peer = -1 };
	uint8_t pdu[BEARER_PDU_MAX] = { 0 }, heard[BEARER_PDU_MAX + 1];
	unsigned int sent = 0, given = 0, got = 0;
	const int64_t end = deadline();

	(void)state;
	begin_real(&s, BEARER_ENCRYPTED, 0);
	assert_int_equal(bearer_send(s.bearer, pdu, 2), -ENOTCONN);
	UNTIL(&s, s.connected == 1);
	assert_int_equal(s.level, BEARER_ENCRYPTED);
	while ((s.pdus < PDUS || got < PDUS) && now_ms() < end) {
		const size_t len = 2 + given % (BEARER_PDU_MAX - 1);

		number(pdu, given);
		if (given < PDUS && send(s.peer, pdu, len, 0) == (ssize_t)len)
			given++;
		number(pdu, sent);
		if (sent < PDUS && bearer_send(s.bearer, pdu, 2 + sent % (BEARER_PDU_MAX - 1)) == 0)
			sent++;
		assert_true(sd_event_run(s.event, 100) >= 0);
		for (ssize_t n; (n = recv(s.peer, heard, sizeof(heard), 0)) > 0; got++) {
			assert_int_equal(heard[0] | heard[1] << 8, got);
			assert_int_equal(n, 2 + got % (BEARER_PDU_MAX - 1));
		}
	}
	assert_int_equal(s.pdus, PDUS);
	assert_int_equal(got, PDUS);
	assert_false(s.disorder);
	assert_int_equal(s.pdu_level, BEARER_ENCRYPTED);
	assert_int_equal(bearer_send(s.bearer, pdu, 0), -EMSGSIZE);
	assert_int_equal(bearer_send(s.bearer, pdu, BEARER_PDU_MAX + 1), -EMSGSIZE);
	finish(&s);
}

static void a_peer_that_does_not_read_stops_the_sender(void **state)
{
	struct stand s = { .peer = -1 };
	uint8_t pdu[BEARER_PDU_MAX] = { 0 }, heard[BEARER_PDU_MAX + 1];
	unsigned int sent = 0, got = 0;
	int r = 0;

	(void)state;
	begin_real(&s, BEARER_CLEAR, 0);
	UNTIL(&s, s.connected == 1);
	/* until both buffers stay full: the helper had time to move on */
	for (int64_t quiet = now_ms(); now_ms() < quiet + 300;) {
		number(pdu, sent);
		r = bearer_send(s.bearer, pdu, sizeof(pdu));
		if (r == 0) {
			sent++;
			quiet = now_ms();
		} else {
			assert_int_equal(r, -EAGAIN);
			(void)sd_event_run(s.event, 10000);
		}
		assert_true(sent < 100000);
	}
	assert_false(bearer_writable(s.bearer));
	assert_true(sent > 10);
	s.writables = 0;
	while (got < sent) {
		const ssize_t n = recv(s.peer, heard, sizeof(heard), 0);

		if (n > 0)
			assert_int_equal(heard[0] | heard[1] << 8, got++ & 0xffff);
		else
			turn(&s);
	}
	UNTIL(&s, s.writables > 0);
	assert_true(bearer_writable(s.bearer));
	assert_int_equal(bearer_send(s.bearer, pdu, 2), 0);
	UNTIL(&s, recv(s.peer, heard, sizeof(heard), 0) == 2);
	finish(&s);
}

static void who_holds_the_bearer_stops_the_peer(void **state)
{
	struct stand s = { .peer = -1 };
	uint8_t pdu[BEARER_PDU_MAX] = { 0 };
	unsigned int given = 0;

	(void)state;
	begin_real(&s, BEARER_CLEAR, 0);
	UNTIL(&s, s.connected == 1);
	bearer_hold(s.bearer, true);
	for (int64_t quiet = now_ms(); now_ms() < quiet + 300;) {
		number(pdu, given);
		if (send(s.peer, pdu, sizeof(pdu), 0) > 0) {
			given++;
			quiet = now_ms();
		} else {
			turn(&s);
		}
		assert_true(given < 100000);
	}
	assert_true(given > 10);
	assert_int_equal(s.pdus, 0);
	/* the other direction goes on meanwhile */
	assert_int_equal(bearer_send(s.bearer, pdu, 5), 0);
	UNTIL(&s, recv(s.peer, pdu, sizeof(pdu), 0) == 5);
	peer_close(&s);
	for (int i = 0; i < 10; i++)
		turn(&s);
	assert_int_equal(s.pdus + s.ends, 0);
	bearer_hold(s.bearer, false);
	UNTIL(&s, s.ends == 1);
	assert_int_equal(s.pdus, given);
	assert_false(s.disorder);
	assert_int_equal(s.end, BEARER_LOST);
	finish(&s);
}

static void all_that_came_before_the_end_is_delivered(void **state)
{
	struct stand s = { .peer = -1 };
	uint8_t pdu[2];

	(void)state;
	begin_real(&s, BEARER_CLEAR, 0);
	for (unsigned int i = 0; i < 50; i++) {
		number(pdu, i);
		assert_int_equal(send(s.peer, pdu, 2, 0), 2);
	}
	peer_close(&s);
	UNTIL(&s, s.ends == 1);
	assert_int_equal(s.connected, 1);
	assert_int_equal(s.pdus, 50);
	assert_false(s.disorder);
	assert_int_equal(s.end, BEARER_LOST);
	assert_int_equal(s.error, 0);
	assert_int_equal(bearer_send(s.bearer, pdu, 2), -ENOTCONN);
	finish(&s);
}

static void an_empty_pdu_is_no_end(void **state)
{
	struct stand s = { .peer = -1 };

	(void)state;
	begin_real(&s, BEARER_CLEAR, 0);
	UNTIL(&s, s.connected == 1);
	assert_int_equal(send(s.peer, "", 0, 0), 0);
	UNTIL(&s, s.pdus == 1);
	assert_int_equal(s.pdu_len, 0);
	assert_int_equal(send(s.peer, "\1\0x", 3, 0), 3);
	UNTIL(&s, s.pdus == 2);
	assert_int_equal(s.pdu_len, 3);
	assert_int_equal(s.ends, 0);
	finish(&s);
}

static void a_pdu_beyond_the_largest_ends_the_link(void **state)
{
	struct stand s = { .peer = -1 };
	uint8_t pdu[BEARER_PDU_MAX + 1] = { 0 };

	(void)state;
	begin_real(&s, BEARER_CLEAR, 0);
	assert_int_equal(send(s.peer, pdu, sizeof(pdu) - 1, 0), sizeof(pdu) - 1);
	assert_int_equal(send(s.peer, pdu, sizeof(pdu), 0), sizeof(pdu));
	UNTIL(&s, s.ends == 1);
	assert_int_equal(s.pdus, 1);
	assert_int_equal(s.end, BEARER_LOST);
	assert_int_equal(s.error, -EMSGSIZE);
	finish(&s);
}

static void what_was_sent_before_bearer_free_goes_out(void **state)
{
	struct stand s = { .peer = -1 };
	uint8_t pdu[4];
	unsigned int got = 0;
	struct pollfd p;

	(void)state;
	begin_real(&s, BEARER_CLEAR, 0);
	UNTIL(&s, s.connected == 1);
	for (unsigned int i = 0; i < 20; i++) {
		number(pdu, i);
		assert_int_equal(bearer_send(s.bearer, pdu, 2), 0);
	}
	bearer_free(s.bearer);
	s.bearer = NULL;
	p = (struct pollfd){ s.peer, POLLIN, 0 };
	while (poll(&p, 1, LIMIT_MS) == 1 && recv(s.peer, pdu, sizeof(pdu), 0) == 2)
		assert_int_equal(pdu[0], got++);
	assert_int_equal(got, 20);
	finish(&s);
	assert_int_equal(s.ends, 0);
}

static void a_level_is_raised_or_nothing_happens(void **state)
{
	struct stand s = { .peer = -1 }, silent = { .peer = -1 };

	(void)state;
	begin_real(&s, BEARER_CLEAR, BEARER_ENCRYPTED);
	UNTIL(&s, s.connected == 1);
	assert_int_equal(bearer_raise(s.bearer, BEARER_AUTHENTICATED), 0);
	UNTIL(&s, s.levels == 1);
	assert_int_equal(s.level, BEARER_ENCRYPTED);
	assert_int_equal(bearer_raise(s.bearer, BEARER_ENCRYPTED), 0);
	UNTIL(&s, s.levels == 2); /* an answer although nothing changed */
	/* what waited in the queue counts as older than the level */
	assert_int_equal(send(s.peer, "\0\0", 2, 0), 2);
	UNTIL(&s, s.pdus == 1);
	assert_int_equal(s.pdu_level, BEARER_ENCRYPTED);
	finish(&s);
	begin_real(&silent, BEARER_CLEAR, 0);
	UNTIL(&silent, silent.connected == 1);
	assert_int_equal(bearer_raise(silent.bearer, BEARER_ENCRYPTED), 0);
	assert_int_equal(send(silent.peer, "\0\0", 2, 0), 2);
	UNTIL(&silent, silent.pdus == 1);
	assert_int_equal(silent.levels, 0);
	assert_int_equal(silent.pdu_level, BEARER_CLEAR);
	finish(&silent);
}

/* ---- deaths ---- */

/* until the helper has taken all that the peer sent, without a turn of our loop */
static void wait_taken(const struct stand *s)
{
	int waiting = 1;

	for (const int64_t end = deadline(); waiting > 0 && now_ms() < end;) {
		(void)poll(NULL, 0, 1);
		assert_int_equal(ioctl(s->peer, SIOCOUTQ, &waiting), 0);
	}
	assert_int_equal(waiting, 0);
}

static void a_killed_helper_costs_its_link_only(int number_of_signal)
{
	struct stand s = { .peer = -1 }, other = { .peer = -1 };
	uint8_t pdu[64] = { 0 };

	begin_real(&s, BEARER_ENCRYPTED, 0);
	other.event = sd_event_ref(s.event);
	begin_real(&other, BEARER_CLEAR, 0);
	UNTIL(&s, s.connected == 1 && other.connected == 1);
	for (unsigned int i = 0; i < 20; i++) {
		number(pdu, i);
		assert_int_equal(send(s.peer, pdu, sizeof(pdu), 0), sizeof(pdu));
	}
	wait_taken(&s);
	assert_int_equal(bearer_send(s.bearer, pdu, 2), 0);
	assert_int_equal(kill_one(s.pid, number_of_signal), 0);
	UNTIL(&s, s.ends == 1);
	assert_int_equal(s.end, BEARER_KILLED);
	assert_int_equal(s.error, 0);
	/* the last one may have been between two calls of the helper */
	assert_in_range(s.pdus, 19, 20);
	assert_false(s.disorder);
	assert_int_equal(bearer_send(s.bearer, pdu, 2), -ENOTCONN);
	assert_int_equal(bearer_raise(s.bearer, BEARER_ENCRYPTED), -ENOTCONN);
	assert_int_equal(other.ends, 0);
	assert_int_equal(bearer_send(other.bearer, pdu, 2), 0);
	assert_int_equal(send(other.peer, "\0\0", 2, 0), 2);
	UNTIL(&other, other.pdus == 1 && recv(other.peer, pdu, sizeof(pdu), 0) == 2);
	bearer_free(s.bearer);
	peer_close(&s);
	finish(&other);
	(void)sd_event_unref(s.event);
	assert_int_equal(s.ends, 1);
}

static void killed_by_the_kernel(void **state)
{
	(void)state;
	a_killed_helper_costs_its_link_only(SIGKILL);
	a_killed_helper_costs_its_link_only(SIGSEGV);
	a_killed_helper_costs_its_link_only(SIGBUS);
}

static void many_deaths_leave_nothing_behind(void **state)
{
	struct stand s = { .peer = -1 };
	unsigned int before = 0;

	(void)state;
	assert_true(sd_event_new(&s.event) >= 0);
	for (unsigned int i = 0; i < DEATHS; i++) {
		sd_event *event = s.event;

		memset(&s, 0, sizeof(s));
		s.event = event;
		begin_real(&s, BEARER_CLEAR, 0);
		if (i % 3 != 0) /* else in the middle of its start */
			UNTIL(&s, s.connected == 1);
		assert_int_equal(kill_one(s.pid, i % 2 ? SIGKILL : SIGSEGV), 0);
		UNTIL(&s, s.ends == 1);
		assert_true(s.end == BEARER_KILLED || (!s.connected && s.end == BEARER_NO_HELPER));
		bearer_free(s.bearer);
		s.bearer = NULL;
		peer_close(&s);
		if (i == 10) {
			UNTIL(&s, children(NULL) == 0);
			before = open_files();
		}
	}
	UNTIL(&s, children(NULL) == 0);
	assert_int_equal(open_files(), before);
	finish(&s);
}

static void freed_at_any_moment(void **state)
{
	unsigned int before = 0;

	(void)state;
	for (unsigned int i = 0; i < 60; i++) {
		struct stand s = { .peer = -1 };

		begin_real(&s, BEARER_CLEAR, BEARER_ENCRYPTED);
		for (unsigned int turns = 0; turns < i % 20; turns++)
			(void)sd_event_run(s.event, 100);
		finish(&s);
		assert_int_equal(s.ends, 0);
		before = i == 0 ? open_files() : before;
	}
	assert_int_equal(open_files(), before);
}

/* all that is there; always true */
static bool peer_reads(const struct stand *s)
{
	uint8_t pdu[BEARER_PDU_MAX];

	while (recv(s->peer, pdu, sizeof(pdu), 0) > 0)
		;
	return true;
}

/* all that a handler may be called for */
static void provoke(struct stand *s)
{
	uint8_t pdu[BEARER_PDU_MAX] = { 0 };

	(void)send(s->peer, pdu, 2, 0);
	(void)send(s->peer, "\1\0", 2, 0);
	UNTIL(s, !s->bearer || s->connected == 1);
	if (s->bearer)
		(void)bearer_raise(s->bearer, BEARER_ENCRYPTED);
	UNTIL(s, !s->bearer || (s->levels == 1 && s->pdus == 2));
	while (s->bearer && bearer_send(s->bearer, pdu, sizeof(pdu)) == 0)
		;
	UNTIL(s, peer_reads(s) && (!s->bearer || s->writables > 0));
	peer_close(s);
	UNTIL(s, !s->bearer || s->ends == 1);
}

static void freed_from_each_handler(void **state)
{
	(void)state;
	for (int where = FREE_CONNECTED; where <= FREE_WRITABLE; where++) {
		struct stand s = { .peer = -1, .free_in = where };
		unsigned int told;

		begin_real(&s, BEARER_CLEAR, BEARER_ENCRYPTED);
		provoke(&s);
		assert_null(s.bearer);
		told = s.connected + s.pdus + s.levels + s.ends + s.writables;
		finish(&s);
		assert_int_equal(s.connected + s.pdus + s.levels + s.ends + s.writables, told);
	}
}

static void a_helper_that_ignores_its_end_is_killed(void **state)
{
	struct stand s = { .peer = -1 };

	(void)state;
	begin_fake(&s, PART_HANGS_CONNECTED, 0);
	UNTIL(&s, s.connected == 1);
	finish(&s); /* waits until it is gone */
}

static void an_attempt_that_hangs_ends_by_our_timer(void **state)
{
	struct stand s = { .peer = -1 };

	(void)state;
	begin_fake(&s, PART_HANGS, 100000);
	UNTIL(&s, s.ends == 1);
	assert_int_equal(s.end, BEARER_REFUSED);
	assert_int_equal(s.error, -ETIMEDOUT);
	finish(&s);
}

static void the_loop_may_end_first(void **state)
{
	struct stand s = { .peer = -1 };
	siginfo_t info;

	(void)state;
	begin_fake(&s, PART_HANGS_CONNECTED, 0);
	UNTIL(&s, s.connected == 1);
	bearer_free(s.bearer);
	s.event = sd_event_unref(s.event);
	assert_int_equal(kill_one(s.pid, SIGKILL), 0);
	assert_int_equal(waitid(P_PID, (id_t)s.pid, &info, WEXITED), 0);
}

/* ---- helpers that lie ---- */

static void helpers_that_lie_are_dropped(void **state)
{
	static const struct {
		enum part part;
		enum bearer_end end;
		int error;
		unsigned int connected, pdus;
	} rows[] = {
		{ PART_SILENT_EXIT, BEARER_NO_HELPER, 0, 0, 0 },
		{ PART_EXIT_AFTER_READY, BEARER_KILLED, 0, 0, 0 },
		{ PART_CRASH_AFTER_READY, BEARER_KILLED, 0, 0, 0 },
		{ PART_BUSY, BEARER_BUSY, -EBUSY, 0, 0 },
		{ PART_REFUSED, BEARER_REFUSED, -ECONNREFUSED, 0, 0 },
		{ PART_NO_SOCKET, BEARER_NO_HELPER, -EAFNOSUPPORT, 0, 0 },
		{ PART_UNKNOWN_TYPE, BEARER_KILLED, -EPROTO, 0, 0 },
		{ PART_EMPTY, BEARER_KILLED, 0, 0, 0 },
		{ PART_CONNECTED_BEFORE_READY, BEARER_NO_HELPER, -EPROTO, 0, 0 },
		{ PART_READY_TWICE, BEARER_KILLED, -EPROTO, 0, 0 },
		{ PART_CONNECTED_TWICE, BEARER_KILLED, -EPROTO, 1, 0 },
		{ PART_LEVEL_ZERO, BEARER_KILLED, -EPROTO, 0, 0 },
		{ PART_LEVEL_FIVE, BEARER_KILLED, -EPROTO, 1, 0 },
		{ PART_LEVEL_TOO_LONG, BEARER_KILLED, -EPROTO, 1, 0 },
		{ PART_LEVEL_BEFORE_CONNECTED, BEARER_KILLED, -EPROTO, 0, 0 },
		{ PART_DATA_BEFORE_CONNECTED, BEARER_KILLED, -EPROTO, 0, 0 },
		{ PART_DATA_WITHOUT_LEVEL, BEARER_KILLED, -EPROTO, 1, 0 },
		{ PART_DATA_TOO_LONG, BEARER_KILLED, -EPROTO, 1, 0 },
		{ PART_DATA_BAD_LEVEL, BEARER_KILLED, -EPROTO, 1, 0 },
		{ PART_END_SHORT, BEARER_KILLED, -EPROTO, 0, 0 },
		{ PART_END_LONG, BEARER_KILLED, -EPROTO, 0, 0 },
		{ PART_END_ERRNO, BEARER_KILLED, -EPROTO, 0, 0 },
		{ PART_END_STAGE, BEARER_KILLED, -EPROTO, 0, 0 },
		{ PART_END_SETUP_LATE, BEARER_KILLED, -EPROTO, 0, 0 },
		{ PART_END_AND_MORE, BEARER_LOST, -ECONNRESET, 1, 0 },
		{ PART_LEVELS, BEARER_LOST, -ETIMEDOUT, 1, 2 },
		{ PART_OPEN_FILES, BEARER_REFUSED, -100, 0, 0 },
		{ PART_HEIR, BEARER_KILLED, 0, 1, 1 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct stand s = { .peer = -1 };

		begin_fake(&s, rows[i].part, 0);
		UNTIL(&s, s.ends == 1);
		if (s.end != rows[i].end || s.error != rows[i].error ||
		    s.connected != rows[i].connected || s.pdus != rows[i].pdus)
			fail_msg("part %d: %s %d, connected %u, pdus %u", rows[i].part,
				 bearer_end_name(s.end), s.error, s.connected, s.pdus);
		finish(&s);
		assert_int_equal(s.ends, 1);
	}
}

static void a_helper_that_cannot_start_is_told(void **state)
{
	static const struct {
		const char *helper;
		int error;
	} rows[] = { { "/nonexistent/wellgate-link", -ENOENT }, { "/dev/null", -EACCES } };

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		const struct bearer_options options = { .helper = rows[i].helper,
							.ask = BEARER_CLEAR,
							.stand_in = -1 };
		struct stand s = { .peer = -1 };

		begin(&s, &options);
		UNTIL(&s, s.ends == 1);
		assert_int_equal(s.end, BEARER_NO_HELPER);
		assert_int_equal(s.error, rows[i].error);
		finish(&s);
	}
}

/* Without Bluetooth in the kernel, or with an adapter that does not exist. */
static void a_missing_adapter_is_told(void **state)
{
	const struct bearer_options options = {
		.helper = helper_path,
		.adapter = { .bytes = { 2, 0, 0x5e, 0x10, 0xff, 0xfe } },
		.peer = { .bytes = { 2, 0, 0x5e, 0x10, 0xff, 0xff } },
		.ask = BEARER_ENCRYPTED,
		.stand_in = -1,
	};
	struct stand s = { .peer = -1 };

	(void)state;
	begin(&s, &options);
	UNTIL(&s, s.ends == 1);
	assert_true(s.end == BEARER_NO_HELPER || s.end == BEARER_REFUSED);
	assert_true(s.error < 0 && s.error != -EPROTO && s.error != -ETIMEDOUT);
	assert_int_equal(s.connected, 0);
	finish(&s);
}

/* ---- the sandbox ---- */

static void status_of(pid_t pid, char *buffer, size_t size)
{
	char path[64];
	FILE *f;

	(void)snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	f = fopen(path, "re");
	assert_non_null(f);
	buffer[fread(buffer, 1, size - 1, f)] = '\0';
	(void)fclose(f);
}

static void the_helper_is_shut_in(void **state)
{
	struct stand s = { .peer = -1 };
	char status[8192];

	(void)state;
	begin_real(&s, BEARER_CLEAR, 0);
	UNTIL(&s, s.connected == 1);
	status_of(s.pid, status, sizeof(status));
	assert_non_null(strstr(status, "\nNoNewPrivs:\t1\n"));
	assert_non_null(strstr(status, "\nSeccomp:\t2\n"));
	assert_int_equal(getpgid(s.pid), s.pid);
	finish(&s);
}

static void forbidden(int call)
{
	struct bt_security security = { 0, 0 };
	socklen_t len = sizeof(security);
	const int one = 1;

	switch (call) {
	case 0:
		(void)open("/dev/null", O_RDONLY | O_CLOEXEC);
		break;
	case 1:
		(void)socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
		break;
	case 2:
		(void)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
		break;
	case 3:
		(void)kill(getppid(), 0);
		break;
	case 4:
		(void)mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		break;
	case 5:
		(void)getsockopt(0, SOL_SOCKET, SO_PEERCRED, &security, &len);
		break;
	case 6:
		(void)setsockopt(0, SOL_SOCKET, SO_BROADCAST, &one, sizeof(one));
		break;
	case 7:
		(void)getsockopt(0, SOL_BLUETOOTH, BT_SECURITY + 1, &security, &len);
		break;
	case 8:
		(void)execl("/bin/true", "true", (char *)NULL);
		break;
	case 9:
		(void)syscall(SYS_connect, 0, &security, 0);
		break;
	default: /* allowed, all of them */
		(void)getsockopt(0, SOL_BLUETOOTH, BT_SECURITY, &security, &len);
		(void)setsockopt(0, SOL_BLUETOOTH, BT_SECURITY, &security, len);
		(void)getsockopt(0, SOL_SOCKET, SO_ERROR, &security, &len);
		(void)poll(NULL, 0, 1);
		(void)now_ms();
		(void)close(0);
		break;
	}
	(void)syscall(SYS_exit_group, 0); /* a leak sanitizer would look around in _exit() */
}

static void what_the_filter_forbids_kills(void **state)
{
	(void)state;
	for (int call = 0; call <= 10; call++) {
		const pid_t pid = fork();
		int status = 0;

		if (pid == 0) {
			if (sandbox_prepare() < 0 || sandbox_close() < 0)
				_exit(2);
			forbidden(call);
		}
		assert_int_equal(waitpid(pid, &status, 0), pid);
		if (call < 10 ? !WIFSIGNALED(status) || WTERMSIG(status) != SIGSYS : status != 0)
			fail_msg("call %d: status %x", call, (unsigned int)status);
	}
}

static void it_dies_with_its_parent(void **state)
{
	int report[2], pidfd, status = 0;
	struct pollfd p;
	pid_t helper = 0;
	pid_t parent;

	(void)state;
	assert_int_equal(pipe2(report, O_CLOEXEC), 0);
	parent = fork();
	if (parent == 0) {
		struct stand s = { .peer = -1 };

		begin_real(&s, BEARER_CLEAR, 0);
		UNTIL(&s, s.connected == 1);
		if (write(report[1], &s.pid, sizeof(s.pid)) != sizeof(s.pid))
			_exit(1);
		for (;;)
			(void)pause();
	}
	assert_int_equal(read(report[0], &helper, sizeof(helper)), sizeof(helper));
	pidfd = pidfd_open(helper, 0);
	assert_true(pidfd >= 0);
	p = (struct pollfd){ pidfd, POLLIN, 0 };
	assert_int_equal(poll(&p, 1, 0), 0);
	assert_int_equal(kill(parent, SIGKILL), 0);
	assert_int_equal(waitpid(parent, &status, 0), parent);
	assert_int_equal(poll(&p, 1, LIMIT_MS), 1);
	(void)close(pidfd);
	(void)close(report[0]);
	(void)close(report[1]);
}

static void every_end_has_a_name(void **state)
{
	(void)state;
	for (int end = BEARER_CLOSED; end <= BEARER_NO_HELPER; end++)
		assert_string_not_equal(bearer_end_name((enum bearer_end)end), "?");
	assert_string_equal(bearer_end_name((enum bearer_end)99), "?");
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_thousand_pdus_each_way_in_order),
		cmocka_unit_test(a_peer_that_does_not_read_stops_the_sender),
		cmocka_unit_test(who_holds_the_bearer_stops_the_peer),
		cmocka_unit_test(all_that_came_before_the_end_is_delivered),
		cmocka_unit_test(an_empty_pdu_is_no_end),
		cmocka_unit_test(a_pdu_beyond_the_largest_ends_the_link),
		cmocka_unit_test(what_was_sent_before_bearer_free_goes_out),
		cmocka_unit_test(a_level_is_raised_or_nothing_happens),
		cmocka_unit_test(killed_by_the_kernel),
		cmocka_unit_test(many_deaths_leave_nothing_behind),
		cmocka_unit_test(freed_at_any_moment),
		cmocka_unit_test(freed_from_each_handler),
		cmocka_unit_test(a_helper_that_ignores_its_end_is_killed),
		cmocka_unit_test(an_attempt_that_hangs_ends_by_our_timer),
		cmocka_unit_test(the_loop_may_end_first),
		cmocka_unit_test(helpers_that_lie_are_dropped),
		cmocka_unit_test(a_helper_that_cannot_start_is_told),
		cmocka_unit_test(a_missing_adapter_is_told),
		cmocka_unit_test(the_helper_is_shut_in),
		cmocka_unit_test(what_the_filter_forbids_kills),
		cmocka_unit_test(it_dies_with_its_parent),
		cmocka_unit_test(every_end_has_a_name),
	};
	ssize_t n;
	char *slash;

	if (argc > 0 && strcmp(argv[0], "wellgate-link") == 0)
		return play_helper();
	n = readlink("/proc/self/exe", self_path, sizeof(self_path) - 1);
	if (n <= 0)
		return 1;
	self_path[n] = '\0';
	memcpy(helper_path, self_path, (size_t)n + 1);
	slash = strrchr(helper_path, '/');
	if (!slash || (size_t)(slash - helper_path) + 16 > sizeof(helper_path))
		return 1;
	memcpy(slash, "/wellgate-link", 15);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
