#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "gateway/publish/parts.h"

#define WINDOW_MAX        1000 /* Paho looks through all messages on the way for each one */
#define AGAIN_ACCURACY_US ((uint64_t)US_PER_S)
#define THREAD_END_US     (3 * US_PER_S) /* Paho's own threads take up to 1.1 s to end */

int64_t publish_now_us(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * US_PER_S + t.tv_nsec / 1000;
}

const char *publish_hub(const struct publish *p)
{
	return p->config->hub ? p->config->hub : store_identity(p->store)->hub;
}

bool publish_by_receipt(const struct publish *p)
{
	return p->config->delivery == DELIVERY_RECEIPT;
}

static int on_event(sd_event_source *source, int fd, uint32_t revents, void *user)
{
	struct publish *p = user;
	bool any = publish_take_events(p);

	(void)source;
	(void)fd;
	(void)revents;
	publish_pump(p);
	if (any && p->progress)
		p->progress(p->progress_user);
	return 0;
}

static int on_more(sd_event_source *source, void *user)
{
	(void)source;
	publish_pump(user);
	return 0;
}

/* ---- the face ---- */

static void set_status(struct publish *p, Wellgate__V1__HubStatus *copy)
{
	if (p->status)
		wellgate__v1__hub_status__free_unpacked(p->status, NULL);
	p->status = copy;
	if (!copy->hub)
		copy->hub = strdup(publish_hub(p));
	copy->has_epoch = copy->has_test = 1;
	copy->epoch = store_identity(p->store)->epoch;
	copy->test = p->config->test;
	if (!copy->has_state) {
		copy->has_state = 1;
		copy->state = WELLGATE__V1__HUB_STATUS__STATE__STATE_ONLINE;
	}
	copy->has_on_demand = p->config->connection == CONNECTION_ON_DEMAND;
	copy->on_demand = copy->has_on_demand;
	p->status_due = true;
}

static int copy_status(const Wellgate__V1__HubStatus *status, Wellgate__V1__HubStatus **ret)
{
	size_t len = wellgate__v1__hub_status__get_packed_size(status);
	uint8_t *data = malloc(len > 0 ? len : 1);

	if (!data)
		return -ENOMEM;
	(void)wellgate__v1__hub_status__pack(status, data);
	*ret = wellgate__v1__hub_status__unpack(NULL, len, data);
	free(data);
	return *ret ? 0 : -ENOMEM;
}

static int first_status(struct publish *p)
{
	Wellgate__V1__HubStatus status = WELLGATE__V1__HUB_STATUS__INIT, *copy;
	int r = copy_status(&status, &copy);

	if (r == 0)
		set_status(p, copy);
	return r;
}

static int init_lanes(struct publish *p)
{
	struct store_counts counts;

	p->window_max = p->config->window < WINDOW_MAX ? p->config->window : WINDOW_MAX;
	store_counts(p->store, &counts);
	p->parked = counts.parked;
	for (int lane = 0; lane < LANE_END; lane++) {
		struct outbox *o = &p->lanes[lane];
		int r = outbox_init(o, p->window_max);

		if (r < 0)
			return r;
		outbox_restart(o, counts.acknowledged[lane], counts.acknowledged[lane]);
		o->in_order = lane != LANE_READINGS;
	}
	publish_learn(p);
	/* perhaps it was, before we started */
	for (int lane = 0; lane < LANE_END; lane++)
		p->lanes[lane].sent = counts.last[lane];
	return 0;
}

static int init_sources(struct publish *p, sd_event *event)
{
	int r = sd_event_add_io(event, &p->io, uplink_fd(p->uplink), EPOLLIN, on_event, p);

	if (r >= 0)
		r = sd_event_add_time(event, &p->again, CLOCK_MONOTONIC, 0, AGAIN_ACCURACY_US,
				      publish_on_again, p);
	if (r >= 0)
		r = sd_event_source_set_enabled(p->again, SD_EVENT_OFF);
	if (r >= 0)
		r = sd_event_add_defer(event, &p->more, on_more, p);
	if (r >= 0)
		r = sd_event_source_set_enabled(p->more, SD_EVENT_OFF);
	if (r >= 0)
		r = sd_event_source_set_priority(p->more, SD_EVENT_PRIORITY_IDLE);
	return r < 0 ? r : publish_visit_init(p, event);
}

static int init_broker(struct publish *p, sd_event *event)
{
	struct connection_options options = { .config = p->config,
					      .topics = &p->topics,
					      .hub = publish_hub(p),
					      .epoch = store_identity(p->store)->epoch };
	int r = topics_init(&p->topics, p->config->site, publish_hub(p), wellgate_descriptor,
			    wellgate_descriptor_len);

	if (r >= 0)
		r = batch_init(&p->batch, publish_hub(p), options.epoch);
	if (r >= 0)
		r = init_lanes(p);
	if (r >= 0)
		r = first_status(p);
	if (r < 0)
		return r;
	options.window = p->window_max;
	options.inbound[INBOUND_COMMAND] = p->config->command_keys_file != NULL;
	options.inbound[INBOUND_RECEIPT] = publish_by_receipt(p);
	r = uplink_new(&options, &p->uplink);
	return r < 0 ? r : init_sources(p, event);
}

int publish_new(sd_event *event, const struct config *config, struct store *store,
		struct publish **ret)
{
	struct publish *p = calloc(1, sizeof(*p));
	int r = 0;

	if (!p)
		return -ENOMEM;
	p->config = config;
	p->store = store;
	p->start_us = publish_now_us();
	p->state.configured = config->broker != NULL;
	(void)snprintf(p->state.why, sizeof(p->state.why), "%s",
		       config->broker ? "not connected yet" : "no broker is configured");
	if (config->broker)
		r = init_broker(p, event);
	if (r < 0) {
		publish_free(p, 0);
		return r;
	}
	*ret = p;
	return 0;
}

static void wait_events(struct publish *p, int64_t deadline_us)
{
	struct pollfd fd = { .fd = uplink_fd(p->uplink), .events = POLLIN };
	int64_t left_ms = (deadline_us - publish_now_us()) / 1000 + 1;

	(void)poll(&fd, 1, (int)(left_ms > 0 ? left_ms : 0));
	(void)publish_take_events(p);
	(void)publish_send_notices(p);
}

/* Outstanding confirmations, then the retained good-bye and its confirmation. */
static void say_offline(struct publish *p, int64_t deadline_us)
{
	p->stopping = true;
	p->status->has_state = 1;
	p->status->state = WELLGATE__V1__HUB_STATUS__STATE__STATE_OFFLINE;
	p->status_due = true;
	(void)publish_take_events(p);
	(void)publish_send_notices(p);
	while (p->state.connected && (p->state.in_flight > 0 || !p->offline_confirmed) &&
	       publish_now_us() < deadline_us)
		wait_events(p, deadline_us);
}

void publish_free(struct publish *p, int64_t timeout_us)
{
	bool gone = true;

	if (!p)
		return;
	if (p->uplink) {
		say_offline(p, publish_now_us() + timeout_us);
		gone = uplink_free(p->uplink, !p->offline_confirmed, THREAD_END_US) == 0;
	}
	(void)sd_event_source_disable_unref(p->io);
	(void)sd_event_source_disable_unref(p->more);
	(void)sd_event_source_disable_unref(p->again);
	(void)sd_event_source_disable_unref(p->visit.timer);
	/* the process ends; a thread that hangs in Paho still reads the topics */
	if (!gone)
		return;
	for (int lane = 0; lane < LANE_END; lane++)
		outbox_finish(&p->lanes[lane]);
	if (p->status)
		wellgate__v1__hub_status__free_unpacked(p->status, NULL);
	batch_finish(&p->batch);
	free(p);
}

void publish_kick(struct publish *p)
{
	if (!p->uplink)
		return;
	publish_learn(p);
	publish_pump(p);
}

void publish_set_status(struct publish *p, const Wellgate__V1__HubStatus *status)
{
	Wellgate__V1__HubStatus *copy;

	if (!p->uplink)
		return;
	if (copy_status(status, &copy) < 0) {
		p->state.errors++;
		return;
	}
	set_status(p, copy);
	publish_pump(p);
}

void publish_state(const struct publish *p, struct publish_state *ret)
{
	*ret = p->state;
	ret->away = p->visit.on_demand && !p->state.connected && p->state.why[0] == '\0';
	for (int lane = 0; lane < LANE_END; lane++)
		ret->sent[lane] = outbox_handed_over(&p->lanes[lane]);
	ret->running_us = publish_now_us() - p->start_us;
	ret->receipt_age_us = p->receipt_us > 0 ? publish_now_us() - p->receipt_us : -1;
}

uint64_t publish_reasons(const struct publish *p, enum reason_packet packet, uint8_t code)
{
	assert(packet < REASON_PACKETS);
	return p->reasons.of[packet][code];
}

bool publish_drained(const struct publish *p)
{
	for (int lane = 0; p->uplink && lane < LANE_END; lane++) {
		const struct outbox *o = &p->lanes[lane];

		if (o->n_busy > 0 || (o->n_waits > 0 && !o->paused))
			return false;
	}
	return true;
}

void publish_on_heard(struct publish *p,
		      void (*heard)(void *user, enum inbound which, const uint8_t *data,
				    size_t len),
		      void *user)
{
	p->heard = heard;
	p->heard_user = user;
}

int publish_reply(struct publish *p, const uint8_t *data, size_t len)
{
	struct message m = {
		.content = CONTENT_REPLY, .topic = p->topics.reply, .len = len, .tag = TAG_REPLY
	};

	if (!p->uplink || !p->state.connected)
		return -ENOTCONN;
	return publish_window_open(p) ? publish_hand_over(p, &m, data) : -ENOBUFS;
}

int publish_repeat(struct publish *p, enum lane lane, uint64_t first, uint64_t last)
{
	struct outbox *o = &p->lanes[lane];

	if (!p->uplink)
		return -ENOTCONN;
	publish_learn(p);
	if (first == 0 || first > last || last > o->end)
		return -ERANGE;
	outbox_repeat(o, first, last);
	(void)sd_event_source_set_enabled(p->more, SD_EVENT_ONESHOT);
	return 0;
}

void publish_on_progress(struct publish *p, void (*fn)(void *user), void *user)
{
	p->progress = fn;
	p->progress_user = user;
}
