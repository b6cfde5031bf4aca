#include "gateway/publish/uplink.h"

#include <MQTTReasonCodes.h>
#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "gateway/publish/reasons.h"
#include "gateway/publish/socket.h"
#include "gateway/publish/tls.h"

#define US_PER_S        INT64_C(1000000)
#define FIRST_MIN_MS    200
#define FIRST_MAX_MS    1000
#define BACK_OFF_MAX_S  120
#define BACK_OFF_DATA_S 1800 /* where data is dear: a handshake that is refused costs 3 kB */
#define SILENCE_MIN_US  (5 * US_PER_S)  /* no confirmation for so long, and for 4 round trips */
#define CONNECT_MAX_US  (20 * US_PER_S) /* Paho's own limit is 10 s, looked at every 3 s */
#define CLOSE_MAX_US    (1 * US_PER_S)
#define RECEIVE_MAX     65535 /* MQTT 5.0 section 3.2.2.3.3, where none is stated */
#define LATER_ATTEMPT   4     /* "slow down" waits as long as the 5th attempt */
#define PERSON_ATTEMPT  7 /* up to 120 s; also, two hubs of one name must not chase each other */
#define SPARE           64

enum phase {
	PHASE_WAITING, /* until next_us */
	PHASE_CONNECTING,
	PHASE_UP,
	PHASE_LEAVING, /* the good-bye is on its way; then */
	PHASE_AWAY,    /* until we are wanted */
	PHASE_CLOSING,
	PHASE_OVER,
};

struct sent {
	uint64_t tag;
	int64_t at_us;
	bool waiting;
};

enum order_kind {
	ORDER_SEND,
	ORDER_DROP,
	ORDER_LEAVE,
	ORDER_COME,
};

struct order {
	enum order_kind kind;
	uint64_t session;
	int code;
	struct message message;
};

struct uplink {
	struct connection_options options;
	struct mailbox orders; /* loop -> uplink */
	struct mailbox events; /* uplink -> loop */
	struct notes notes;    /* Paho -> uplink */
	atomic_bool stop, stop_with_will;
	_Atomic(uint64_t) epoch;
	pthread_t thread;
	/* below: the thread's own */
	enum phase phase;
	struct connection *connection, *previous;
	struct sent *sent; /* by slot */
	bool unwanted;     /* on demand: there is nothing to be connected for */
	unsigned int in_flight;
	unsigned int attempts;
	int64_t next_us;     /* of the phase: when to go on, or to give up */
	int64_t progress_us; /* last confirmation, or first message after none */
	int64_t round_trip_us;
};

static int64_t now_us(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * US_PER_S + t.tv_nsec / 1000;
}

/* The loop takes events as they come; should it be stuck, the uplink waits for it. */
static bool tell(struct uplink *u, const struct uplink_event *event)
{
	while (!mailbox_post(&u->events, event)) {
		if (atomic_load(&u->stop))
			return false;
		(void)poll(NULL, 0, 10);
	}
	return true;
}

/* Full jitter: many hubs that lost one broker must not come back as one. */
static int64_t back_off_us(unsigned int attempts, uint32_t longest_s)
{
	uint32_t most_ms = FIRST_MAX_MS;

	for (unsigned int i = 1; i < attempts && most_ms < longest_s * 1000; i++)
		most_ms *= 2;
	if (most_ms > longest_s * 1000)
		most_ms = longest_s * 1000;
	return (int64_t)(FIRST_MIN_MS + randombytes_uniform(most_ms - FIRST_MIN_MS + 1)) * 1000;
}

static void wait_again(struct uplink *u)
{
	u->attempts++;
	u->phase = PHASE_WAITING;
	u->next_us = now_us() +
		     back_off_us(u->attempts, u->options.config->connection == CONNECTION_ON_DEMAND
						      ? BACK_OFF_DATA_S
						      : BACK_OFF_MAX_S);
}

/* a callback may have begun before the end: its memory stays for one more turn */
static void end_connection(struct uplink *u)
{
	u->in_flight = 0;
	if (!u->connection)
		return;
	connection_end(u->connection);
	connection_free(u->previous);
	u->previous = u->connection;
	u->connection = NULL;
}

/* code: of a CONNACK (refused) or DISCONNECT; negative: none came */
static void drop_for(struct uplink *u, int code, bool refused, const char *why)
{
	uint64_t session = u->connection ? connection_session(u->connection) : 0;

	end_connection(u);
	wait_again(u);
	(void)tell(u, &(struct uplink_event){ .kind = UPLINK_LOST,
					      .session = session,
					      .code = code,
					      .refused = refused,
					      .why = why });
}

static void drop(struct uplink *u, const char *why)
{
	drop_for(u, -1, false, why);
}

/* As many attempts as the broker's word is worth, if there were not that many already. */
static void heed(struct uplink *u, int code)
{
	static const unsigned int attempts[] = {
		[COMEBACK_SOON] = 0,
		[COMEBACK_LATER] = LATER_ATTEMPT,
		[COMEBACK_PERSON] = PERSON_ATTEMPT,
	};
	const unsigned int least = attempts[reason_comeback(code)];

	if (u->attempts < least)
		u->attempts = least;
}

static const char *failure_text(struct uplink *u, int code)
{
	const bool tls = code < MQTTREASONCODE_UNSPECIFIED_ERROR &&
			 strncmp(u->options.config->broker, "mqtts:", strlen("mqtts:")) == 0;
	const char *why = NULL;

	if (tls)
		why = tls_diagnose(u->options.config);
	if (why)
		return why;
	switch ((enum tls_trouble)atomic_load(&u->notes.tls)) {
	case TLS_UNTRUSTED:
		return "the broker's certificate is not trusted";
	case TLS_FAILED:
		return "no secure connection to the broker: certificate, key or port do not fit";
	case TLS_FINE:
	default:
		break;
	}
	return reason_text(code);
}

static void open_connection(struct uplink *u)
{
	uint64_t session;
	int r;

	randombytes_buf(&session, sizeof(session));
	if (session == 0)
		session = 1;
	atomic_store(&u->notes.overflowed, false);
	for (unsigned int i = 0; i < u->options.window; i++)
		u->sent[i].waiting = false;
	u->options.epoch = atomic_load(&u->epoch);
	r = connection_open(&u->options, session, &u->notes, &u->connection);
	if (r == 0) {
		u->phase = PHASE_CONNECTING;
		u->next_us = now_us() + CONNECT_MAX_US;
	} else if (r == -ENOMEM) {
		drop(u, "out of memory");
	} else if (r == -EIO) {
		drop(u, "the broker's address, certificate or key cannot be used");
	} else {
		drop(u, "the password file cannot be read");
	}
}

/* Paho 1.3.12 does not honour the broker's keep alive, so the next connection asks for it. */
static void on_connected(struct uplink *u, const struct note *note)
{
	unsigned int most = note->receive_maximum ? note->receive_maximum : RECEIVE_MAX;
	struct uplink_event event = {
		.kind = UPLINK_CONNECTED,
		.session = connection_session(u->connection),
		.window = u->options.window < most ? u->options.window : most,
		.packet_maximum = note->packet_maximum,
		.no_retain = note->no_retain,
	};

	if (note->no_qos) {
		drop(u, "the broker confirms no messages (no QoS 1)");
		return;
	}
	if (note->keep_alive != 0 && note->keep_alive < u->options.keep_alive) {
		u->options.keep_alive = note->keep_alive;
		u->attempts = 0;
		drop(u, "the broker asks for another keep alive");
		return;
	}
	u->phase = PHASE_UP;
	(void)socket_tune(socket_port(u->options.config->broker), u->options.keep_alive * 1000);
	(void)tell(u, &event);
	if (connection_subscribe(u->connection) < 0)
		drop(u, "the connection to the broker was lost");
}

static void on_refused(struct uplink *u, int code)
{
	if (code == MQTTREASONCODE_RETAIN_NOT_SUPPORTED)
		u->options.no_retain = true; /* of the will */
	heed(u, code);
	drop_for(u, code, true, failure_text(u, code));
}

static void on_lost(struct uplink *u, int code)
{
	heed(u, code);
	drop_for(u, code, false,
		 code < MQTTREASONCODE_UNSPECIFIED_ERROR ? "the connection to the broker was lost"
							 : reason_text(code));
}

static void on_answer(struct uplink *u, const struct note *note)
{
	struct sent *sent = &u->sent[note->slot];
	int64_t took_us;

	if (note->slot >= u->options.window || !sent->waiting)
		return;
	if (note->code < 0) {
		on_lost(u, note->code);
		return;
	}
	u->progress_us = now_us();
	took_us = u->progress_us - sent->at_us;
	u->round_trip_us += (took_us - u->round_trip_us) / 8;
	sent->waiting = false;
	connection_release(u->connection, note->slot);
	u->in_flight--;
	u->attempts = 0;
	(void)tell(u, &(struct uplink_event){ .kind = UPLINK_ANSWER,
					      .session = note->session,
					      .tag = sent->tag,
					      .code = note->code,
					      .took_us = took_us });
}

/* A loop that is stuck while we stop hears no more of it. */
static void on_heard(struct uplink *u, const struct note *note)
{
	const struct uplink_event event = { .kind = UPLINK_HEARD,
					    .session = note->session,
					    .inbound = note->inbound,
					    .data = note->data,
					    .len = note->len };

	if (!tell(u, &event))
		free(note->data);
}

static void leave_done(struct uplink *u)
{
	end_connection(u);
	u->phase = PHASE_AWAY;
}

/* The good-bye is out, or the connection ended before it was. */
static void on_end(struct uplink *u, const struct note *note)
{
	if (u->phase == PHASE_LEAVING)
		leave_done(u);
	else if (u->phase == PHASE_CLOSING || note->kind == NOTE_CLOSED)
		u->phase = PHASE_OVER;
	else
		on_lost(u, note->code);
}

static void on_note(struct uplink *u, const struct note *note)
{
	if (!u->connection || note->session != connection_session(u->connection)) {
		free(note->data);
		return; /* of an earlier connection */
	}
	switch (note->kind) {
	case NOTE_CONNECTED:
		if (u->phase == PHASE_CONNECTING)
			on_connected(u, note);
		break;
	case NOTE_REFUSED:
		if (u->phase == PHASE_CONNECTING)
			on_refused(u, note->code);
		break;
	case NOTE_LOST:
	case NOTE_CLOSED:
		on_end(u, note);
		break;
	case NOTE_ANSWER:
		if (u->phase == PHASE_UP)
			on_answer(u, note);
		break;
	case NOTE_SUBSCRIBED:
		(void)tell(u, &(struct uplink_event){ .kind = UPLINK_SUBSCRIBED,
						      .session = note->session,
						      .code = note->code });
		break;
	case NOTE_HEARD:
		on_heard(u, note);
		break;
	default:
		assert(false);
	}
}

static void send_message(struct uplink *u, const struct message *m)
{
	unsigned int slot;

	if (connection_send(u->connection, m, &slot) < 0) {
		drop(u, "the connection to the broker was lost");
		return;
	}
	u->sent[slot] = (struct sent){ .tag = m->tag, .at_us = now_us(), .waiting = true };
	if (u->in_flight++ == 0)
		u->progress_us = u->sent[slot].at_us;
}

static void on_order(struct uplink *u, const struct order *o)
{
	bool current = u->connection && u->phase == PHASE_UP &&
		       connection_session(u->connection) == o->session;

	switch (o->kind) {
	case ORDER_SEND:
		if (current)
			send_message(u, &o->message);
		free(o->message.payload);
		break;
	case ORDER_DROP:
		if (!current)
			break;
		heed(u, o->code);
		drop(u, reason_text(o->code));
		break;
	case ORDER_LEAVE:
		u->unwanted = true;
		break;
	case ORDER_COME:
		u->unwanted = false;
		break;
	default:
		assert(false);
	}
}

/* A connection that is being made is waited for: there is no other way to say good-bye. */
static void follow_wish(struct uplink *u)
{
	if (u->phase == PHASE_UP && u->unwanted) {
		u->phase = PHASE_LEAVING;
		u->next_us = now_us() + CLOSE_MAX_US;
		if (connection_close(u->connection, false) < 0)
			leave_done(u);
	} else if (u->phase == PHASE_WAITING && u->unwanted) {
		u->phase = PHASE_AWAY;
	}
	if (u->phase == PHASE_AWAY && !u->unwanted) {
		u->phase = PHASE_WAITING;
		u->attempts = 0;
		u->next_us = now_us();
	}
}

/* When something has to happen although nobody says anything; -1 = never. */
static int64_t deadline_us(const struct uplink *u)
{
	int64_t silence = 4 * u->round_trip_us;

	switch (u->phase) {
	case PHASE_WAITING:
	case PHASE_CONNECTING:
	case PHASE_LEAVING:
	case PHASE_CLOSING:
		return u->next_us;
	case PHASE_AWAY:
		return -1;
	case PHASE_UP:
		if (u->in_flight == 0)
			return -1;
		return u->progress_us + (silence > SILENCE_MIN_US ? silence : SILENCE_MIN_US);
	case PHASE_OVER:
	default:
		return 0;
	}
}

static void on_deadline(struct uplink *u)
{
	switch (u->phase) {
	case PHASE_WAITING:
		open_connection(u);
		break;
	case PHASE_CONNECTING:
		drop(u, "the broker cannot be reached");
		break;
	case PHASE_UP:
		drop(u, "the broker no longer confirms what it is sent");
		break;
	case PHASE_LEAVING:
		leave_done(u);
		break;
	case PHASE_AWAY:
		break;
	case PHASE_CLOSING:
	case PHASE_OVER:
	default:
		u->phase = PHASE_OVER;
		break;
	}
}

static void begin_stop(struct uplink *u)
{
	bool with_will = atomic_load(&u->stop_with_will);

	if (u->phase == PHASE_LEAVING) {
		u->phase = PHASE_CLOSING;
	} else if (u->phase == PHASE_UP && connection_close(u->connection, with_will) == 0) {
		u->phase = PHASE_CLOSING;
		u->next_us = now_us() + CLOSE_MAX_US;
	} else {
		u->phase = PHASE_OVER;
	}
}

static void sleep_until(struct uplink *u, int64_t deadline)
{
	struct pollfd fds[] = { { .fd = u->orders.fd, .events = POLLIN },
				{ .fd = u->notes.box.fd, .events = POLLIN } };
	int64_t left = deadline < 0 ? -1 : deadline - now_us();
	struct timespec t = { .tv_sec = left / US_PER_S, .tv_nsec = left % US_PER_S * 1000 };
	struct timespec none = { 0, 0 };

	(void)ppoll(fds, 2, deadline < 0 ? NULL : left > 0 ? &t : &none, NULL);
	if (fds[0].revents)
		mailbox_listen(&u->orders);
	if (fds[1].revents)
		mailbox_listen(&u->notes.box);
}

static void *run(void *user)
{
	struct uplink *u = user;
	struct note note;
	struct order order;

	while (u->phase != PHASE_OVER) {
		int64_t deadline = deadline_us(u);

		sleep_until(u, deadline);
		while (mailbox_take(&u->notes.box, &note))
			on_note(u, &note);
		while (mailbox_take(&u->orders, &order))
			on_order(u, &order);
		if (atomic_load(&u->notes.overflowed) && u->phase == PHASE_UP)
			drop(u, "the connection to the broker was lost");
		follow_wish(u);
		deadline = deadline_us(u);
		if (u->phase != PHASE_OVER && deadline >= 0 && deadline <= now_us())
			on_deadline(u);
		if (atomic_load(&u->stop) && u->phase != PHASE_CLOSING)
			begin_stop(u);
	}
	if (u->connection)
		connection_end(u->connection);
	return NULL;
}

static int start_thread(struct uplink *u)
{
	sigset_t all, before;
	int r;

	/* signals are the loop's; Paho's threads inherit the mask from ours */
	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &before);
	r = pthread_create(&u->thread, NULL, run, u);
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	return -r;
}

static void dispose(struct uplink *u)
{
	struct uplink_event event;
	struct note note;
	struct order order;

	while (u->notes.box.ring.data && mailbox_take(&u->notes.box, &note))
		free(note.data);
	while (u->events.ring.data && mailbox_take(&u->events, &event))
		free(event.data);

	while (u->orders.ring.data && mailbox_take(&u->orders, &order)) {
		if (order.kind == ORDER_SEND)
			free(order.message.payload);
	}
	connection_free(u->connection);
	connection_free(u->previous);
	mailbox_finish(&u->orders);
	mailbox_finish(&u->events);
	notes_finish(&u->notes);
	free(u->sent);
	free(u);
}

int uplink_new(const struct connection_options *options, struct uplink **ret)
{
	/* at the end of a connection every message on the way gets its failure at once */
	size_t items = 2 * (size_t)options->window + SPARE;
	struct uplink *u;
	int r;

	assert(options->window > 0);
	if (sodium_init() < 0)
		return -EIO;
	u = calloc(1, sizeof(*u));
	if (!u)
		return -ENOMEM;
	u->options = *options;
	atomic_init(&u->epoch, options->epoch);
	u->options.keep_alive = options->config->keep_alive;
	u->phase = PHASE_WAITING; /* next_us 0: at once */
	r = notes_init(&u->notes, items);
	if (r < 0) {
		free(u);
		return r;
	}
	u->sent = calloc(options->window, sizeof(u->sent[0]));
	if (!u->sent)
		r = -ENOMEM;
	if (r == 0)
		r = mailbox_init(&u->orders, sizeof(struct order), items);
	if (r == 0)
		r = mailbox_init(&u->events, sizeof(struct uplink_event), items);
	if (r == 0)
		r = start_thread(u);
	if (r < 0) {
		dispose(u);
		return r;
	}
	*ret = u;
	return 0;
}

int uplink_fd(const struct uplink *u)
{
	return u->events.fd;
}

void uplink_listen(struct uplink *u)
{
	mailbox_listen(&u->events);
}

bool uplink_next(struct uplink *u, struct uplink_event *ret)
{
	return mailbox_take(&u->events, ret);
}

int uplink_send(struct uplink *u, uint64_t session, const struct message *m)
{
	struct order order = { .kind = ORDER_SEND, .session = session, .message = *m };

	if (mailbox_post(&u->orders, &order))
		return 0;
	free(m->payload);
	return -ENOBUFS;
}

void uplink_set_epoch(struct uplink *u, uint64_t epoch)
{
	atomic_store(&u->epoch, epoch);
}

void uplink_drop(struct uplink *u, uint64_t session, int code)
{
	struct order order = { .kind = ORDER_DROP, .session = session, .code = code };

	(void)mailbox_post(&u->orders, &order); /* full: a stuck uplink drops by itself */
}

static void post_wish(struct uplink *u, enum order_kind kind)
{
	struct order order = { .kind = kind };

	(void)mailbox_post(&u->orders, &order); /* nothing is on the way: there is room */
}

void uplink_leave(struct uplink *u)
{
	post_wish(u, ORDER_LEAVE);
}

void uplink_come(struct uplink *u)
{
	post_wish(u, ORDER_COME);
}

int uplink_free(struct uplink *u, bool with_will, int64_t timeout_us)
{
	struct timespec until;
	int r;

	if (!u)
		return 0;
	atomic_store(&u->stop_with_will, with_will);
	atomic_store(&u->stop, true);
	mailbox_wake(&u->orders);
	(void)clock_gettime(CLOCK_REALTIME, &until); /* what pthread_timedjoin_np goes by */
	until.tv_sec += timeout_us / US_PER_S;
	until.tv_nsec += timeout_us % US_PER_S * 1000;
	if (until.tv_nsec >= 1000000000) {
		until.tv_nsec -= 1000000000;
		until.tv_sec++;
	}
	r = pthread_timedjoin_np(u->thread, NULL, &until);
	if (r != 0) {
		(void)pthread_detach(u->thread);
		return -r;
	}
	dispose(u);
	return 0;
}
