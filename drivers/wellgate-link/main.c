/*
 * wellgate-link: one Bluetooth LE link. Opens the socket on CID 4, shuts itself into its sandbox,
 * carries PDUs between the peer and its parent, and ends with the link. It knows no ATT, has no
 * arguments, no heap, no log. Started by the bearer (drivers/transport/bearer.h) only.
 *
 * A process of its own because Linux 6.1 may kill whoever closes such a socket. It therefore ends
 * by close() and then _exit(), also at SIGTERM: a socket that is closed by a dying process takes
 * the kernel into the same fault while it cleans up, and leaves a task that nobody can reap.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "drivers/wellgate-link/frame.h"
#include "drivers/wellgate-link/l2cap.h"
#include "drivers/wellgate-link/sandbox.h"
#include "protocols/bytes/cursor.h"
#include "protocols/bytes/writer.h"

#define USEC_PER_MSEC INT64_C(1000)
#define USEC_PER_SEC  INT64_C(1000000)
/* A raised level comes without an event; measured 20 to 110 ms after it was asked for. */
#define LEVEL_POLL_MS 10
/* two phases of a pairing with a person in it, 30 s each (Core 5.4, vol 3 part H, 3.4) */
#define LEVEL_WAIT_US (60 * USEC_PER_SEC)
/* what is still to be sent when the parent has gone */
#define ORPHAN_US (USEC_PER_SEC / 2)
/* the end of a dead socket reads as empty PDUs; so many in a row are no PDUs */
#define EMPTY_MAX 16

struct slot { /* one message that the other side could not take yet */
	uint8_t data[FRAME_MAX];
	size_t len; /* 0: none */
};

struct helper {
	/* START */
	bool stand_in;
	uint8_t adapter[6], peer[6], peer_type;
	uint8_t ask, stand_in_level, stand_in_reach;
	int64_t deadline; /* of the attempt */

	bool connected;
	uint8_t level; /* as last reported */
	uint8_t floor; /* what arrives from now on has at least this level */
	uint8_t wanted;
	int64_t wanted_until; /* 0: no elevation is pending */
	bool raising;         /* asked for on the live link, whose next POLLOUT may be the answer */
	struct slot down;     /* to the parent: a whole frame */
	struct slot up;       /* to the peer: a PDU; an empty one is never sent */
	bool ending, ended;
	enum frame_stage stage;
	int error;
	int64_t orphan_until; /* 0: the parent is there */
};

static _Noreturn void leave(int status)
{
	(void)close(FRAME_LINK_FD);
	_exit(status);
}

static void on_terminate(int number)
{
	leave(128 + number);
}

static int64_t now_us(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * USEC_PER_SEC + t.tv_nsec / 1000;
}

/* ---- to the parent ---- */

static void flush_down(struct helper *h)
{
	ssize_t n;

	if (h->down.len == 0)
		return;
	n = send(FRAME_FD, h->down.data, h->down.len, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	h->down.len = 0;
	if (n < 0 && h->orphan_until == 0)
		h->orphan_until = now_us() + ORPHAN_US;
}

static bool can_tell(const struct helper *h)
{
	return h->down.len == 0;
}

/* only when can_tell() */
static void tell(struct helper *h, enum frame_type type, const void *fields, size_t len)
{
	h->down.data[0] = (uint8_t)type;
	if (len > 0)
		memcpy(h->down.data + 1, fields, len);
	h->down.len = 1 + len;
	flush_down(h);
}

static void tell_level(struct helper *h, enum frame_type type, uint8_t level)
{
	h->level = level;
	tell(h, type, &level, 1);
}

static void end(struct helper *h, enum frame_stage stage, int error)
{
	if (h->ending)
		return;
	h->ending = true;
	h->stage = stage;
	h->error = error;
	h->up.len = 0;
}

/* when all that came before has been told */
static void tell_end(struct helper *h)
{
	const uint8_t fields[] = { (uint8_t)h->stage, (uint8_t)(h->error & 0xff),
				   (uint8_t)(h->error >> 8) };

	if (!h->ended && can_tell(h)) {
		h->ended = true;
		tell(h, FRAME_END, fields, sizeof(fields));
	}
	if (h->ended && can_tell(h))
		leave(0);
}

/* ---- the security level ---- */

static uint8_t level_now(const struct helper *h)
{
	struct bt_security security = { 0, 0 };
	socklen_t len = sizeof(security);

	if (h->stand_in)
		return h->stand_in_level;
	if (getsockopt(FRAME_LINK_FD, SOL_BLUETOOTH, BT_SECURITY, &security, &len) < 0)
		return h->level;
	if (security.level < FRAME_LEVEL_MIN)
		return FRAME_LEVEL_MIN;
	return security.level > FRAME_LEVEL_MAX ? FRAME_LEVEL_MAX : security.level;
}

static void want_level(struct helper *h, uint8_t level)
{
	h->wanted = level;
	h->wanted_until = now_us() + LEVEL_WAIT_US;
}

static void raise_level(struct helper *h, uint8_t level)
{
	const struct bt_security security = { level, 0 };

	if (h->stand_in) {
		if (h->stand_in_reach > h->stand_in_level)
			h->stand_in_level = level < h->stand_in_reach ? level : h->stand_in_reach;
	} else if (setsockopt(FRAME_LINK_FD, SOL_BLUETOOTH, BT_SECURITY, &security,
			      sizeof(security)) < 0 &&
		   errno != EINVAL && errno != ENOTCONN) {
		/* EINVAL: it has that level already; ENOTCONN: poll() will say why */
		end(h, FRAME_STAGE_LINK, errno);
		return;
	}
	/* no POLLOUT while it is pending: the first one wakes us sooner than a timer would */
	h->raising = !h->stand_in;
	want_level(h, level);
}

/* Tells a change, and the answer to an elevation even if it is none. True: all is told. */
static bool look_at_level(struct helper *h, uint8_t level)
{
	const bool reached = h->wanted_until != 0 && level >= h->wanted;

	if (level != h->level || reached) {
		if (!can_tell(h))
			return false;
		tell_level(h, FRAME_LEVEL, level);
	}
	if (reached || (h->wanted_until != 0 && now_us() > h->wanted_until))
		h->wanted_until = 0;
	return true;
}

/* ---- from the peer ---- */

static int link_error(void)
{
	int error = 0;
	socklen_t len = sizeof(error);

	return getsockopt(FRAME_LINK_FD, SOL_SOCKET, SO_ERROR, &error, &len) < 0 ? errno : error;
}

static bool link_dead(void)
{
	struct pollfd p = { FRAME_LINK_FD, 0, 0 };

	return poll(&p, 1, 0) > 0;
}

/* 0: one PDU was told, and *ret_len is its length, or there was nothing and the link is dead;
 * -EAGAIN: there is none; another -errno */
static int relay_down(struct helper *h, uint8_t level, bool dead, size_t *ret_len)
{
	uint8_t fields[1 + FRAME_PDU_MAX + 1];
	const ssize_t n = recv(FRAME_LINK_FD, fields + 1, FRAME_PDU_MAX + 1, MSG_DONTWAIT);

	if (n < 0)
		return errno == EWOULDBLOCK ? -EAGAIN : -errno;
	if (n > FRAME_PDU_MAX)
		return -EMSGSIZE;
	fields[0] = level;
	*ret_len = (size_t)n;
	if (n > 0 || !(dead || link_dead()))
		tell(h, FRAME_DATA, fields, 1 + (size_t)n);
	return 0;
}

/*
 * What has arrived, with the level that it arrived at: `floor` is a level that the link already
 * had when its queue was last seen empty, so nothing that came in clear passes for encrypted when
 * the level rises behind it. True: the queue is empty.
 */
static bool drain(struct helper *h, bool dead, int *ret_error)
{
	const uint8_t sample = level_now(h);
	size_t empty = 0, len = 0;

	if (!dead && !look_at_level(h, sample))
		return false;
	while (can_tell(h)) {
		const int r = relay_down(h, sample < h->floor ? sample : h->floor, dead, &len);

		if (r == -EINTR)
			continue;
		if (r == -EAGAIN) {
			h->floor = sample;
			return true;
		}
		if (r == -EMSGSIZE) {
			*ret_error = EMSGSIZE;
			return true;
		}
		if (r < 0) { /* the socket tells its error once; what it had received comes after */
			if (*ret_error == 0)
				*ret_error = -r;
			dead = true;
			continue;
		}
		empty = len == 0 ? empty + 1 : 0;
		if (empty >= EMPTY_MAX)
			return dead; /* if not, poll() decides what it was */
	}
	return false;
}

/* Is the attempt over, and well? */
static bool try_connected(struct helper *h, short revents)
{
	const bool dead = revents & (POLLHUP | POLLERR | POLLNVAL);
	int error;

	if (!h->stand_in) { /* that one is up from the start */
		if (!dead && !(revents & POLLOUT))
			return false;
		error = link_error();
		if (error != 0 || dead) {
			end(h, FRAME_STAGE_LINK, error != 0 ? error : ENOTCONN);
			return false;
		}
	}
	h->connected = true;
	tell_level(h, FRAME_CONNECTED, level_now(h));
	if (h->stand_in)
		h->floor = h->level;
	else if (h->ask > FRAME_LEVEL_MIN)
		want_level(h, h->ask);
	return true;
}

static void link_ready(struct helper *h, short revents)
{
	const bool dead = revents & (POLLHUP | POLLERR | POLLNVAL);
	int error = h->error;

	if (h->ending)
		return;
	if (!h->connected && !try_connected(h, revents))
		return;
	if (dead && error == 0)
		error = link_error();
	if (drain(h, dead, &error) && (dead || error != 0))
		end(h, FRAME_STAGE_LINK, error);
	else
		h->error = error; /* told once by the kernel, kept until the queue is empty */
}

/* ---- from the parent ---- */

static void flush_up(struct helper *h)
{
	ssize_t n;

	if (h->up.len == 0 || h->ending)
		return;
	n = send(FRAME_LINK_FD, h->up.data, h->up.len, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (n >= 0) {
		h->up.len = 0;
		return;
	}
	if (errno == EAGAIN || errno == EINTR)
		return;
	if (errno == ENOTCONN && h->wanted_until != 0)
		return; /* no data while the level is being raised */
	if (errno == EMSGSIZE || errno == ENOTCONN)
		end(h, FRAME_STAGE_LINK, errno);
	else
		h->up.len = 0; /* the link is dead: poll() says so, and why */
}

/* The parent is right, or it is not our parent. */
static void obey(struct helper *h, const uint8_t *frame, size_t len)
{
	if (!h->connected || len < 2)
		leave(1);
	if (frame[0] == FRAME_RAISE && len == 2) {
		raise_level(h, frame[1]);
	} else if (frame[0] == FRAME_DATA && len <= 1 + FRAME_PDU_MAX) {
		memcpy(h->up.data, frame + 1, len - 1);
		h->up.len = len - 1;
		flush_up(h);
	} else {
		leave(1);
	}
}

static void parent_ready(struct helper *h)
{
	uint8_t frame[FRAME_MAX + 1];

	while (h->up.len == 0 && !h->ending) {
		const ssize_t n = recv(FRAME_FD, frame, sizeof(frame), MSG_DONTWAIT);

		if (n > 0)
			obey(h, frame, (size_t)n);
		else if (n == 0)
			leave(0);
		else if (errno == EAGAIN)
			return;
		else if (errno != EINTR && errno != ECONNRESET)
			leave(1);
	}
}

/* ---- the loop ---- */

static int wait_ms(const struct helper *h)
{
	int64_t until = INT64_MAX, left;

	if (!h->connected && !h->ending)
		until = h->deadline;
	if (h->orphan_until != 0 && h->orphan_until < until)
		until = h->orphan_until;
	left = until == INT64_MAX ? -1 : (until - now_us()) / USEC_PER_MSEC + 1;
	if (until != INT64_MAX && left < 0)
		left = 0;
	if (h->wanted_until != 0 && (left < 0 || left > LEVEL_POLL_MS))
		left = LEVEL_POLL_MS;
	return (int)left;
}

/* a descriptor nobody waits on is left out: its POLLHUP would end the wait at once */
static struct pollfd interest(int fd, short events, bool watch)
{
	return (struct pollfd){ watch ? fd : -1, events, 0 };
}

static void turn(struct helper *h)
{
	const short down = h->down.len > 0 ? POLLOUT : 0;
	const short up = h->up.len > 0 || h->raising || !h->connected ? POLLOUT : 0;
	const bool read_parent = h->up.len == 0 && !h->ending;
	const bool read_link = can_tell(h) && !h->ending;
	struct pollfd p[2];

	p[0] = interest(FRAME_FD, (short)(down | (read_parent ? POLLIN : 0)),
			down || read_parent || h->orphan_until == 0);
	p[1] = interest(FRAME_LINK_FD, (short)(up | (read_link ? POLLIN : 0)),
			read_link || (up && !h->ending));
	if (poll(p, 2, wait_ms(h)) < 0 && errno != EINTR)
		leave(1);
	if ((p[0].revents & (POLLHUP | POLLERR | POLLNVAL)) && h->orphan_until == 0)
		h->orphan_until = now_us() + ORPHAN_US;
	flush_down(h);
	if (p[0].revents & (POLLIN | POLLHUP | POLLERR))
		parent_ready(h);
	if (p[1].revents & (POLLHUP | POLLERR)) {
		h->up.len = 0; /* nobody is there to take it */
		h->raising = false;
	}
	if (p[1].revents & POLLOUT) {
		h->raising = false;
		flush_up(h);
	}
	if (can_tell(h) && (p[1].revents || (h->connected && h->wanted_until != 0)))
		link_ready(h, p[1].revents);
	if (!h->connected && !h->ending && now_us() > h->deadline)
		end(h, FRAME_STAGE_LINK, ETIMEDOUT);
	if (h->orphan_until != 0 && now_us() > h->orphan_until)
		leave(0);
}

/* ---- the beginning ---- */

static int start_parse(struct helper *h, const uint8_t *frame, size_t len)
{
	struct cursor c = cursor_of(frame, len);
	const bool good = cursor_u8(&c) == FRAME_START && cursor_u8(&c) == FRAME_VERSION;
	const bool stand_in = cursor_u8(&c) != 0;
	const uint8_t *adapter = cursor_bytes(&c, sizeof(h->adapter));
	const uint8_t *peer = cursor_bytes(&c, sizeof(h->peer));

	h->stand_in = stand_in;
	h->peer_type = cursor_u8(&c) ? BDADDR_LE_RANDOM : BDADDR_LE_PUBLIC;
	h->ask = cursor_u8(&c);
	h->stand_in_level = cursor_u8(&c);
	h->stand_in_reach = cursor_u8(&c);
	h->deadline = now_us() + (int64_t)cursor_le32(&c) * USEC_PER_MSEC;
	if (!good || !cursor_at_end(&c) || !adapter || !peer)
		return -EINVAL;
	for (size_t i = 0; i < sizeof(h->adapter); i++) {
		h->adapter[i] = adapter[sizeof(h->adapter) - 1 - i];
		h->peer[i] = peer[sizeof(h->peer) - 1 - i];
	}
	return 0;
}

/* The parent sent it before it started us. */
static int start_read(struct helper *h)
{
	uint8_t frame[FRAME_START_BYTES + 2];
	const ssize_t n = recv(FRAME_FD, frame, sizeof(frame), MSG_DONTWAIT);

	if (n < 0)
		return -errno;
	return start_parse(h, frame, (size_t)n);
}

/* A socket at FRAME_LINK_FD; a failure of the attempt itself is told as its end. */
static int link_open(struct helper *h)
{
	const struct bt_security security = { h->ask, 0 };
	struct sockaddr_l2 address = { .l2_family = AF_BLUETOOTH,
				       .l2_cid = L2CAP_CID_ATT,
				       .l2_bdaddr_type = BDADDR_LE_PUBLIC };
	int fd;

	if (h->stand_in)
		return 0;
	fd = socket(AF_BLUETOOTH, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, BTPROTO_L2CAP);
	if (fd < 0)
		return -errno;
	if (fd != FRAME_LINK_FD) {
		if (dup3(fd, FRAME_LINK_FD, O_CLOEXEC) < 0)
			return -errno;
		(void)close(fd);
	}
	memcpy(address.l2_bdaddr, h->adapter, sizeof(address.l2_bdaddr));
	if (bind(FRAME_LINK_FD, (const struct sockaddr *)&address, sizeof(address)) < 0 ||
	    (h->ask > FRAME_LEVEL_MIN && setsockopt(FRAME_LINK_FD, SOL_BLUETOOTH, BT_SECURITY,
						    &security, sizeof(security)) < 0)) {
		end(h, FRAME_STAGE_LINK, errno);
		return 0;
	}
	memcpy(address.l2_bdaddr, h->peer, sizeof(address.l2_bdaddr));
	address.l2_bdaddr_type = h->peer_type;
	if (connect(FRAME_LINK_FD, (const struct sockaddr *)&address, sizeof(address)) < 0 &&
	    errno != EINPROGRESS)
		end(h, FRAME_STAGE_LINK, errno);
	return 0;
}

int main(void)
{
	static struct helper helper;
	const struct sigaction terminate = { .sa_handler = on_terminate };
	int r = sandbox_prepare();

	helper.level = helper.floor = FRAME_LEVEL_MIN;
	if (r == 0 && sigaction(SIGTERM, &terminate, NULL) < 0)
		r = -errno;
	if (r == 0)
		r = start_read(&helper);
	if (r == 0)
		r = link_open(&helper);
	if (r == 0)
		r = sandbox_close();
	if (r < 0) {
		helper.ending = false;
		end(&helper, FRAME_STAGE_SETUP, -r);
	} else {
		tell(&helper, FRAME_READY, NULL, 0);
	}
	for (;;) {
		if (helper.ending)
			tell_end(&helper);
		turn(&helper);
	}
}
