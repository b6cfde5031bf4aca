#include "drivers/transport/phd_door.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "drivers/cleanup.h"
#include "drivers/log.h"
#include "drivers/registry.h"
#include "drivers/transport/cable.h"
#include "protocols/ieee11073/apdu.h"
#include "protocols/phdc/stream.h"

#define DRIVER_NAME "phd"
#define IN_MAX      16384
#define OUT_MAX     65536 /* bytes that wait to be sent */
#define ADDRESS_MAX 64

struct address {
	union {
		struct sockaddr any;
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
	} of;
	socklen_t len;
};

/* One connection as a wire. */
struct tcp {
	struct wire wire; /* first */
	struct wire_sink sink;
	int fd;
	sd_event_source *io, *work;
	bool held, ended, told; /* ended: no more to read or write */
	int error;
	size_t out_len;
	struct phdc_stream stream; /* of what is in `in` */
	uint8_t in[IN_MAX];
	uint8_t out[OUT_MAX];
};

/* One agent. */
struct agent {
	struct phd_door *door;
	uint32_t id;
	struct cable *cable;
	bool up;
	struct session_facts facts; /* as they were told last */
};

struct phd_door {
	sd_event *event;
	struct phd_door_sink sink;
	uint64_t *next_seq;
	uint32_t *next_id;
	int fd;
	uint16_t port;
	sd_event_source *io;
	struct agent *agents[PHD_DOOR_AGENTS_MAX];
};

/* ---- addresses ---- */

static int parse_port(const char *text, uint16_t *ret)
{
	char *end;
	unsigned long value;

	if (text[0] < '0' || text[0] > '9')
		return -EINVAL;
	errno = 0;
	value = strtoul(text, &end, 10);
	if (errno != 0 || *end != '\0' || value > UINT16_MAX)
		return -EINVAL;
	*ret = (uint16_t)value;
	return 0;
}

/* "[::1]" without its brackets, or the text itself */
static bool cut_brackets(char *host)
{
	const size_t len = strlen(host);

	if (len < 2 || host[0] != '[' || host[len - 1] != ']')
		return false;
	memmove(host, host + 1, len - 2);
	host[len - 2] = '\0';
	return true;
}

static int parse_host(char *host, uint16_t port, struct address *ret)
{
	struct address a = { .len = 0 };

	if (cut_brackets(host)) {
		a.of.v6.sin6_family = AF_INET6;
		a.of.v6.sin6_port = htons(port);
		a.len = sizeof(a.of.v6);
		if (inet_pton(AF_INET6, host, &a.of.v6.sin6_addr) != 1)
			return -EINVAL;
		if (!IN6_IS_ADDR_LOOPBACK(&a.of.v6.sin6_addr))
			return -EACCES;
	} else {
		a.of.v4.sin_family = AF_INET;
		a.of.v4.sin_port = htons(port);
		a.len = sizeof(a.of.v4);
		if (inet_pton(AF_INET, host, &a.of.v4.sin_addr) != 1)
			return -EINVAL;
		if (ntohl(a.of.v4.sin_addr.s_addr) >> 24 != IN_LOOPBACKNET)
			return -EACCES;
	}
	*ret = a;
	return 0;
}

static int parse_address(const char *text, struct address *ret)
{
	const char *colon = strrchr(text, ':');
	char host[ADDRESS_MAX];
	uint16_t port;
	size_t len;

	if (!colon || parse_port(colon + 1, &port) < 0)
		return -EINVAL;
	len = (size_t)(colon - text);
	if (len >= sizeof(host))
		return -EINVAL;
	memcpy(host, text, len);
	host[len] = '\0';
	return parse_host(host, port, ret);
}

int phd_door_check(const char *address)
{
	struct address a;

	return parse_address(address, &a);
}

/* ---- the wire: out ---- */

static struct tcp *tcp_of(struct wire *w)
{
	return (struct tcp *)(void *)w;
}

static void schedule(struct tcp *t)
{
	(void)sd_event_source_set_enabled(t->work, SD_EVENT_ONESHOT);
}

/* Positive errno. It is told from the loop. */
static void end(struct tcp *t, int error)
{
	if (t->ended)
		return;
	t->ended = true;
	t->error = error;
	schedule(t);
}

/* not while what was read is not handed on: so the agent has to wait, too */
static bool wants_more(const struct tcp *t)
{
	return !t->held && !phdc_stream_is_pending(&t->stream);
}

static void look_events(struct tcp *t)
{
	uint32_t events = 0;

	if (wants_more(t))
		events |= EPOLLIN;
	if (t->out_len > 0)
		events |= EPOLLOUT;
	(void)sd_event_source_set_io_events(t->io, events);
	/* a hang-up that nobody can look into yet would be told for ever */
	(void)sd_event_source_set_enabled(t->io,
					  t->ended || events == 0 ? SD_EVENT_OFF : SD_EVENT_ON);
}

static void send_out(struct tcp *t)
{
	while (t->out_len > 0 && !t->ended) {
		const ssize_t n = send(t->fd, t->out, t->out_len, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return;
		if (n < 0) {
			end(t, ENODEV);
			return;
		}
		t->out_len -= (size_t)n;
		memmove(t->out, t->out + n, t->out_len);
	}
}

static int tcp_write(struct wire *w, uint16_t channel, const uint8_t *data, size_t len)
{
	struct tcp *t = tcp_of(w);

	if (channel != DRV_WIRE_APDU)
		return -ENOTSUP;
	if (t->ended)
		return -EPIPE;
	if (len > sizeof(t->out) - t->out_len)
		return -ENOBUFS;
	if (len > 0)
		memcpy(t->out + t->out_len, data, len);
	t->out_len += len;
	send_out(t);
	look_events(t);
	return 0;
}

static void tcp_hold(struct wire *w, bool hold)
{
	struct tcp *t = tcp_of(w);

	t->held = hold;
	look_events(t);
	if (!hold)
		schedule(t);
}

static void tcp_free(struct wire *w)
{
	struct tcp *t = tcp_of(w);

	send_out(t);
	(void)sd_event_source_disable_unref(t->io);
	(void)sd_event_source_disable_unref(t->work);
	(void)close(t->fd);
	free(t);
}

static const struct wire_ops tcp_ops = {
	.write = tcp_write,
	.hold = tcp_hold,
	.free = tcp_free,
};

/* ---- the wire: in ---- */

/* Hands on what is whole. last: nothing will follow, so it is not held back any more. */
static void hand_on(struct tcp *t, bool last)
{
	const uint8_t *apdu;
	size_t len;
	int r = 0;

	while (r == 0 && (!t->held || last) && phdc_stream_is_pending(&t->stream)) {
		r = phdc_stream_pull(&t->stream, &apdu, &len);
		if (r > 0 && len > APDU_MAX_FROM_AGENT)
			r = -EMSGSIZE;
		if (r <= 0)
			continue;
		t->sink.frame(t->sink.user, DRV_WIRE_APDU, apdu, len);
		r = 0;
	}
	if (r < 0)
		end(t, EPROTO);
}

static void receive(struct tcp *t)
{
	ssize_t n;

	do {
		n = recv(t->fd, t->in, sizeof(t->in), MSG_DONTWAIT);
	} while (n < 0 && errno == EINTR);
	if (n < 0 && errno == EAGAIN)
		return;
	if (n <= 0) {
		end(t, ENODEV);
		return;
	}
	(void)phdc_stream_push(&t->stream, t->in, (size_t)n); /* a preamble it would refuse */
	hand_on(t, false);
}

static int on_io(sd_event_source *source, int fd, uint32_t revents, void *user)
{
	struct tcp *t = user;

	(void)source;
	(void)fd;
	if (revents & EPOLLOUT)
		send_out(t);
	/* a half-closed or broken connection may still have something to read */
	if (!t->ended && !phdc_stream_is_pending(&t->stream) &&
	    revents & (EPOLLIN | EPOLLHUP | EPOLLERR))
		receive(t);
	look_events(t);
	return 0;
}

static int on_work(sd_event_source *source, void *user)
{
	struct tcp *t = user;

	(void)source;
	hand_on(t, t->ended && t->error != EPROTO);
	look_events(t);
	if (!t->ended || t->told)
		return 0;
	t->told = true;
	t->sink.gone(t->sink.user, t->error);
	return 0;
}

/* takes the descriptor if it succeeds */
static int tcp_new(sd_event *event, int fd, const struct wire_sink *sink, struct wire **ret)
{
	struct tcp *t = calloc(1, sizeof(*t));
	int r;

	if (!t)
		return -ENOMEM;
	t->wire.ops = &tcp_ops;
	phdc_stream_init(&t->stream, 1, false); /* of no packets: their size does not matter */
	t->sink = *sink;
	t->fd = fd;
	r = sd_event_add_io(event, &t->io, fd, EPOLLIN, on_io, t);
	if (r >= 0)
		r = sd_event_add_defer(event, &t->work, on_work, t);
	if (r >= 0)
		r = sd_event_source_set_enabled(t->work, SD_EVENT_OFF);
	if (r < 0) {
		(void)sd_event_source_disable_unref(t->io);
		(void)sd_event_source_disable_unref(t->work);
		free(t);
		return r;
	}
	*ret = &t->wire;
	return 0;
}

/* ---- agents ---- */

static int64_t utc_ms(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_REALTIME, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* The cable says that it works; who it is is not known before it has associated. */
static int on_up(void *user, const struct session *session)
{
	(void)user;
	(void)session;
	return 0;
}

static int say_up(struct agent *a, const struct session *session)
{
	const struct session_facts *facts = session_facts(session);
	int r;

	if (a->up && memcmp(a->facts.text, facts->text, sizeof(facts->text)) == 0)
		return 0;
	r = a->door->sink.up(a->door->sink.user, a->id, session);
	if (r < 0)
		return r;
	a->up = true;
	a->facts = *facts;
	return 0;
}

static int on_measurement(void *user, const struct session *session, const struct measurement *m,
			  uint64_t seq)
{
	struct agent *a = user;
	int r;

	if (!measurement_is_final(m)) /* news about the device: nothing to store */
		return 0;
	r = say_up(a, session);
	if (r < 0)
		return r;
	return a->door->sink.measurement(a->door->sink.user, a->id, m, seq, utc_ms());
}

static bool has_room(void *user)
{
	const struct agent *a = user;

	return a->door->sink.has_room(a->door->sink.user);
}

static void on_observe(void *user, const struct cap_event *event)
{
	const struct agent *a = user;

	a->door->sink.observe(a->door->sink.user, a->id, event, utc_ms());
}

static void drop(struct agent *a)
{
	struct phd_door *d = a->door;

	for (size_t i = 0; i < PHD_DOOR_AGENTS_MAX; i++) {
		if (d->agents[i] == a)
			d->agents[i] = NULL;
	}
	cable_free(a->cable);
	free(a);
}

static void on_ended(void *user, int error)
{
	struct agent *a = user;
	const struct session *session = cable_session(a->cable);

	if (say_up(a, session) < 0 || a->door->sink.down(a->door->sink.user, a->id, session) < 0)
		log_error("ieee11073: end of a connection not announced");
	log_info("ieee11073: connection closed link=%u error=%d", a->id, error);
	drop(a);
}

static int make_cable(struct agent *a)
{
	const struct cable_sink sink = {
		.up = on_up,
		.measurement = on_measurement,
		.has_room = has_room,
		.ended = on_ended,
		.observe = a->door->sink.observe ? on_observe : NULL,
		.user = a,
	};
	const struct driver *driver = registry_by_name(DRIVER_NAME);

	assert(driver);
	return cable_new(a->door->event, driver, 0, &sink, a->door->next_seq, &a->cable);
}

static int start(struct agent *a, int *fd)
{
	struct wire_sink sink;
	struct wire *wire;
	int r = make_cable(a);

	if (r < 0)
		return r;
	sink = cable_wire_sink(a->cable);
	r = tcp_new(a->door->event, *fd, &sink, &wire);
	if (r < 0)
		return r;
	*fd = -1;
	/* the clock of this machine is what an agent's is measured against; nothing is set by it */
	cable_set_clock(a->cable, true, 0);
	return cable_start(a->cable, wire);
}

static int add_agent(struct phd_door *d, int *fd)
{
	struct agent *a, **place = NULL;
	int r;

	for (size_t i = 0; i < PHD_DOOR_AGENTS_MAX && !place; i++) {
		if (!d->agents[i])
			place = &d->agents[i];
	}
	if (!place)
		return -EUSERS;
	a = calloc(1, sizeof(*a));
	if (!a)
		return -ENOMEM;
	a->door = d;
	a->id = (*d->next_id)++;
	*place = a;
	r = start(a, fd);
	if (r < 0)
		drop(a);
	else
		log_info("ieee11073: connection opened link=%u", a->id);
	return r;
}

static int on_connection(sd_event_source *source, int fd, uint32_t revents, void *user)
{
	struct phd_door *d = user;
	_cleanup_close_ int peer = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	const int on = 1;
	int r;

	(void)source;
	(void)revents;
	if (peer < 0)
		return 0;
	(void)setsockopt(peer, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	r = add_agent(d, &peer);
	if (r < 0)
		log_warning("ieee11073: connection turned away error=%d", -r);
	return 0;
}

/* ---- the door ---- */

static int listen_at(struct phd_door *d, const struct address *a)
{
	struct address bound = { .len = sizeof(bound.of) };
	const int on = 1;

	d->fd = socket(a->of.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (d->fd < 0)
		return -errno;
	if (setsockopt(d->fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
	    bind(d->fd, &a->of.any, a->len) < 0 || listen(d->fd, PHD_DOOR_AGENTS_MAX) < 0 ||
	    getsockname(d->fd, &bound.of.any, &bound.len) < 0)
		return -errno;
	d->port = ntohs(bound.of.any.sa_family == AF_INET6 ? bound.of.v6.sin6_port
							   : bound.of.v4.sin_port);
	return sd_event_add_io(d->event, &d->io, d->fd, EPOLLIN, on_connection, d);
}

int phd_door_new(sd_event *event, const char *address, const struct phd_door_sink *sink,
		 uint64_t *next_seq, uint32_t *next_id, struct phd_door **ret)
{
	struct phd_door *d;
	struct address a;
	int r = parse_address(address, &a);

	if (r < 0)
		return r;
	d = calloc(1, sizeof(*d));
	if (!d)
		return -ENOMEM;
	d->event = sd_event_ref(event);
	d->sink = *sink;
	d->next_seq = next_seq;
	d->next_id = next_id;
	r = listen_at(d, &a);
	if (r < 0) {
		phd_door_free(d);
		return r;
	}
	*ret = d;
	return 0;
}

void phd_door_free(struct phd_door *d)
{
	if (!d)
		return;
	(void)sd_event_source_disable_unref(d->io);
	for (size_t i = 0; i < PHD_DOOR_AGENTS_MAX; i++) {
		if (d->agents[i])
			drop(d->agents[i]);
	}
	if (d->fd >= 0)
		(void)close(d->fd);
	(void)sd_event_unref(d->event);
	free(d);
}

uint16_t phd_door_port(const struct phd_door *d)
{
	return d->port;
}

/* Ends are told from the loop, so none of these drops an agent. */

void phd_door_committed(struct phd_door *d, uint64_t seq)
{
	for (size_t i = 0; i < PHD_DOOR_AGENTS_MAX; i++) {
		if (d->agents[i])
			cable_committed(d->agents[i]->cable, seq);
	}
}

void phd_door_refused(struct phd_door *d, uint64_t seq)
{
	for (size_t i = 0; i < PHD_DOOR_AGENTS_MAX; i++) {
		if (d->agents[i])
			cable_refused(d->agents[i]->cable, seq);
	}
}

void phd_door_wake(struct phd_door *d)
{
	for (size_t i = 0; i < PHD_DOOR_AGENTS_MAX; i++) {
		if (d->agents[i])
			cable_wake(d->agents[i]->cable);
	}
}
