#include "gateway/devices.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "drivers/cleanup.h"
#include "drivers/log.h"
#include "gateway/listener.h"

#define SOCKET_MODE  0660
#define REFUSED_MAX  128
#define REASON_BYTES 64
/* packets per turn of the loop, so that a flood does not starve the control socket */
#define TURN_MAX 200
/* the longest ToDevices */
#define OUT_BYTES 256
/* commands and clocks that wait for room in the socket */
#define SAY_MAX 16

struct refusal {
	uint64_t sequence;
	char reason[REASON_BYTES];
};

struct said {
	size_t len;
	uint8_t packet[OUT_BYTES];
};

struct devices {
	sd_event *event;
	struct pipeline *pipeline;
	char *path;
	int listen_fd, client_fd;
	sd_event_source *listen, *client, *drop;

	/* what is still to be said: `committed` is a watermark, so one suffices */
	bool say_committed, say_full, full;
	uint64_t committed;
	struct refusal refused[REFUSED_MAX];
	size_t n_refused;
	struct said said[SAY_MAX];
	size_t n_said;

	uint8_t packet[LISTENER_PACKET_MAX];
};

/* ---- to the devices ---- */

static int say(const struct devices *d, const Wellgate__V1__ToDevices *message)
{
	uint8_t packet[OUT_BYTES];
	const size_t len = wellgate__v1__to_devices__get_packed_size(message);

	if (len > sizeof(packet))
		return -EMSGSIZE;
	(void)wellgate__v1__to_devices__pack(message, packet);
	return listener_send(d->client_fd, packet, len);
}

static int say_refused(const struct devices *d, const struct refusal *refusal)
{
	Wellgate__V1__ToDevices message = WELLGATE__V1__TO_DEVICES__INIT;
	Wellgate__V1__Refused refused = WELLGATE__V1__REFUSED__INIT;
	char reason[REASON_BYTES];

	memcpy(reason, refusal->reason, sizeof(reason));
	refused.has_sequence = true;
	refused.sequence = refusal->sequence;
	refused.reason = reason;
	message.what_case = WELLGATE__V1__TO_DEVICES__WHAT_REFUSED;
	message.refused = &refused;
	return say(d, &message);
}

static int say_said(struct devices *d)
{
	const int r = listener_send(d->client_fd, d->said[0].packet, d->said[0].len);

	if (r == 0)
		memmove(&d->said[0], &d->said[1], --d->n_said * sizeof(d->said[0]));
	return r;
}

/* Refusals go first: `committed` covers their sequences too. */
static int say_next(struct devices *d)
{
	Wellgate__V1__ToDevices message = WELLGATE__V1__TO_DEVICES__INIT;
	int r;

	if (d->say_full) {
		message.what_case = WELLGATE__V1__TO_DEVICES__WHAT_FULL;
		message.full = d->full;
		r = say(d, &message);
		d->say_full = r < 0;
	} else if (d->n_refused > 0) {
		r = say_refused(d, &d->refused[0]);
		if (r == 0)
			memmove(&d->refused[0], &d->refused[1],
				--d->n_refused * sizeof(d->refused[0]));
	} else if (!d->say_committed) {
		r = say_said(d);
	} else {
		message.what_case = WELLGATE__V1__TO_DEVICES__WHAT_COMMITTED;
		message.committed = d->committed;
		r = say(d, &message);
		d->say_committed = r < 0;
	}
	return r;
}

static void end_later(struct devices *d)
{
	(void)sd_event_source_set_enabled(d->drop, SD_EVENT_ONESHOT);
}

static void flush(struct devices *d)
{
	int r = 0;

	if (d->client_fd < 0)
		return;
	while (r == 0 && (d->say_committed || d->say_full || d->n_refused > 0 || d->n_said > 0))
		r = say_next(d);
	if (r < 0 && r != -EAGAIN)
		end_later(d);
	(void)sd_event_source_set_io_events(d->client, r == -EAGAIN ? EPOLLIN | EPOLLOUT : EPOLLIN);
}

static void on_committed(void *user, uint64_t sequence)
{
	struct devices *d = user;

	d->committed = sequence;
	d->say_committed = true;
	flush(d);
}

static void on_full(void *user, bool full)
{
	struct devices *d = user;

	d->full = full;
	d->say_full = true;
	flush(d);
}

static void on_refused(void *user, uint64_t sequence, const char *reason)
{
	struct devices *d = user;

	if (d->n_refused == REFUSED_MAX) {
		end_later(d); /* it does not listen; all this comes again */
		return;
	}
	d->refused[d->n_refused].sequence = sequence;
	(void)snprintf(d->refused[d->n_refused++].reason, REASON_BYTES, "%s", reason);
	flush(d);
}

static int on_say(void *user, const Wellgate__V1__ToDevices *message)
{
	const size_t len = wellgate__v1__to_devices__get_packed_size(message);
	struct devices *d = user;

	if (len > OUT_BYTES)
		return -EMSGSIZE;
	if (d->n_said == SAY_MAX)
		return -ENOBUFS;
	d->said[d->n_said].len = len;
	(void)wellgate__v1__to_devices__pack(message, d->said[d->n_said++].packet);
	flush(d);
	return 0;
}

static void on_restart(void *user)
{
	end_later(user);
}

/* ---- the connection ---- */

static void end(struct devices *d)
{
	if (d->client_fd < 0)
		return;
	pipeline_attach(d->pipeline, NULL);
	(void)sd_event_source_set_enabled(d->drop, SD_EVENT_OFF);
	d->client = sd_event_source_disable_unref(d->client);
	(void)close(d->client_fd);
	d->client_fd = -1;
	d->say_committed = d->say_full = false;
	d->n_refused = d->n_said = 0;
	log_info("devices process disconnected");
}

static int on_drop(sd_event_source *source, void *user)
{
	(void)source;
	end(user);
	return 0;
}

/* 1: there may be more; 0: nothing for now; or -errno: the connection is over. */
static int take_one(struct devices *d)
{
	const ssize_t n = listener_receive(d->client_fd, d->packet, sizeof(d->packet));
	int r = (int)n;

	if (n == -EAGAIN)
		return 0;
	if (n == 0)
		return -ECONNRESET;
	if (n > 0)
		r = pipeline_take(d->pipeline, d->packet, (size_t)n);
	if (r == -EBADMSG || r == -EMSGSIZE)
		log_warning("malformed packet on the devices socket: connection ended");
	return r < 0 ? r : 1;
}

static int on_client(sd_event_source *source, int fd, uint32_t events, void *user)
{
	struct devices *d = user;
	int r = 1;

	(void)source;
	(void)fd;
	if (events & EPOLLOUT)
		flush(d);
	for (unsigned int i = 0; i < TURN_MAX && r > 0; i++)
		r = take_one(d);
	(void)pipeline_commit(d->pipeline);
	if (r < 0)
		end(d);
	return 0;
}

static int on_listen(sd_event_source *source, int fd, uint32_t events, void *user)
{
	const struct pipeline_back back = { .committed = on_committed,
					    .full = on_full,
					    .refused = on_refused,
					    .restart = on_restart,
					    .say = on_say,
					    .user = user };
	struct devices *d = user;
	int client = -1, r;

	(void)source;
	(void)events;
	r = listener_accept(fd, true, &client);
	if (r < 0) {
		if (r != -EAGAIN)
			log_warning("devices socket: peer turned away: %s", strerror(-r));
		return 0;
	}
	end(d);
	r = sd_event_add_io(d->event, &d->client, client, EPOLLIN, on_client, d);
	if (r < 0) {
		(void)close(client);
		return 0;
	}
	d->client_fd = client;
	log_info("devices process connected");
	pipeline_attach(d->pipeline, &back);
	return 0;
}

int devices_new(sd_event *event, const char *path, struct pipeline *pipeline, struct devices **ret)
{
	struct devices *d = calloc(1, sizeof(*d));
	int r = -ENOMEM;

	if (!d)
		return r;
	d->listen_fd = d->client_fd = -1;
	d->event = event;
	d->pipeline = pipeline;
	d->path = strdup(path);
	if (d->path)
		r = listener_open(path, SOCKET_MODE, &d->listen_fd);
	if (r >= 0)
		r = sd_event_add_defer(event, &d->drop, on_drop, d);
	if (r >= 0)
		r = sd_event_source_set_enabled(d->drop, SD_EVENT_OFF);
	if (r >= 0)
		r = sd_event_add_io(event, &d->listen, d->listen_fd, EPOLLIN, on_listen, d);
	if (r < 0) {
		devices_free(d);
		return r;
	}
	*ret = d;
	return 0;
}

void devices_free(struct devices *d)
{
	if (!d)
		return;
	end(d);
	sd_event_source_disable_unref(d->listen);
	sd_event_source_disable_unref(d->drop);
	if (d->listen_fd >= 0) {
		(void)unlink(d->path);
		(void)close(d->listen_fd);
	}
	free(d->path);
	free(d);
}
