#include "gateway/publish/publish.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "gateway/publish/batch.h"
#include "gateway/publish/origin.h"
#include "gateway/publish/reasons.h"
#include "gateway/publish/receipts.h"
#include "gateway/publish/uplink.h"

#define BURST             16   /* batches per turn of the loop: others want it too */
#define ACKED_MAX         512  /* rows: so many more may come twice after a crash */
#define WINDOW_MAX        1000 /* Paho looks through all messages on the way for each one */
#define PACKET_EXTRA      512  /* topic, properties and header of a PUBLISH */
#define US_PER_S          INT64_C(1000000)
#define AGAIN_ACCURACY_US ((uint64_t)US_PER_S)
#define EPOCH_EVERY_US    (3600 * US_PER_S) /* a service that is wrong must not use them up */
#define MQTT_REFUSED      0x80              /* reason codes from here on */
#define THREAD_END_US     (3 * US_PER_S)    /* Paho's own threads take up to 1.1 s to end */

/* What a tag says: kind in the low bits, above it a number that rises by one per kind. */
enum tag_kind {
	TAG_STATUS = LANE_END,
	TAG_SCHEMA,
	TAG_REPLY,
};
#define TAG_BITS 3

/* One batch on the way. */
struct entry {
	uint64_t first, last; /* sequences */
	unsigned int rows;
	bool done, tombstone;
};

/* Batches on the way are a queue in order of sequence. Confirmations may overtake each other; the
 * watermark moves over its confirmed front. */
struct outbox {
	struct entry *entries; /* window many, circular */
	uint64_t head, tail;   /* numbers of entries: oldest on the way, next */
	uint64_t cursor;       /* sequence: all up to here was handed to the uplink */
	uint64_t single_upto;  /* up to here one row per batch */
	uint64_t delivered;    /* up to here the broker has confirmed */
	uint64_t sent;         /* all up to here can have been sent under this epoch */
	bool exhausted;        /* the store had no more when it was last asked */
};

struct publish {
	const struct config *config;
	struct store *store;
	struct topics topics;
	struct uplink *uplink;
	sd_event_source *io, *more, *again;
	struct batch batch;
	struct receipts receipts;
	struct outbox lanes[LANE_END];
	enum lane turn;
	unsigned int window_max;
	size_t bytes_max; /* of a batch on this connection */
	struct publish_state state;
	bool stopping, schema_due, no_retain, epoch_due;
	int64_t epoch_at_us; /* when one was begun last, 0 = never */
	uint64_t parked;     /* rows of the store, when it was last looked at */
	uint64_t acked_rows; /* since the last commit of ours */
	/* status */
	Wellgate__V1__HubStatus *status;
	bool status_due, status_on_the_way, offline_confirmed;
	void (*progress)(void *user);
	void *progress_user;
	void (*heard)(void *user, enum inbound which, const uint8_t *data, size_t len);
	void *heard_user;
};

static int64_t now_us(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * US_PER_S + t.tv_nsec / 1000;
}

static const char *hub_name(const struct publish *p)
{
	return p->config->hub ? p->config->hub : store_identity(p->store)->hub;
}

/* What was committed has been sent, or is stepped over for good. */
static void exhaust(struct publish *p, enum lane lane)
{
	struct store_counts counts;

	store_counts(p->store, &counts);
	p->lanes[lane].exhausted = true;
	if (counts.last[lane] > p->lanes[lane].sent)
		p->lanes[lane].sent = counts.last[lane];
}

static bool window_open(const struct publish *p)
{
	return p->state.connected && p->state.in_flight < p->state.window;
}

/* ---- sending ---- */

static int hand_over(struct publish *p, struct message *m, const uint8_t *data)
{
	int r;

	m->payload = malloc(m->len);
	if (!m->payload)
		return -ENOMEM;
	(void)memcpy(m->payload, data, m->len);
	r = uplink_send(p->uplink, p->state.session, m);
	if (r == 0)
		p->state.in_flight++;
	return r;
}

static int send_schema(struct publish *p)
{
	struct message m = { .content = CONTENT_SCHEMA,
			     .retained = true,
			     .topic = p->topics.schema,
			     .len = wellgate_descriptor_len,
			     .tag = TAG_SCHEMA };

	return hand_over(p, &m, wellgate_descriptor);
}

static int send_status(struct publish *p)
{
	struct message m = { .content = CONTENT_STATUS,
			     .retained = !p->no_retain,
			     .topic = p->topics.status,
			     .tag = TAG_STATUS };
	uint8_t *data;
	int r;

	p->status->has_session = 1;
	p->status->session = p->state.session;
	m.len = wellgate__v1__hub_status__get_packed_size(p->status);
	data = malloc(m.len);
	if (!data)
		return -ENOMEM;
	(void)wellgate__v1__hub_status__pack(p->status, data);
	r = hand_over(p, &m, data);
	free(data);
	return r;
}

/* Status before rows; one status on the way at a time, so that the newest is the last. */
static int send_notices(struct publish *p)
{
	int r = 0;

	if (p->status_due && !p->status_on_the_way && window_open(p)) {
		r = send_status(p);
		p->status_due = r < 0;
		p->status_on_the_way = r == 0;
	}
	if (r == 0 && p->schema_due && window_open(p)) {
		r = send_schema(p);
		p->schema_due = r < 0;
	}
	return r;
}

static unsigned int rows_of_next(const struct publish *p, const struct outbox *o)
{
	return o->cursor < o->single_upto ? 1 : p->config->batch;
}

/* Collects rows after the cursor: 1, or 0 if there are none. */
static int collect(struct publish *p, enum lane lane)
{
	struct outbox *o = &p->lanes[lane];
	uint64_t after = o->cursor;
	unsigned int rows = rows_of_next(p, o);
	struct store_row row;
	int r = 0;

	batch_begin(&p->batch, rows, p->bytes_max);
	while (p->batch.n < rows) {
		r = store_next(p->store, lane, after, &row);
		if (r <= 0 || !batch_add(&p->batch, &row))
			break;
		after = row.sequence;
	}
	if (r == 0)
		exhaust(p, lane);
	return r < 0 ? r : p->batch.n > 0;
}

/* the row, under our name */
static int hand_over_single(struct publish *p, enum lane lane, struct message *m,
			    const struct store_row *row, bool *ret_tombstone)
{
	const struct origin origin = { hub_name(p), store_identity(p->store)->epoch,
				       lane == LANE_RESULTS };
	uint8_t *data = malloc(row->len + ORIGIN_MAX);
	int r;

	if (!data)
		return -ENOMEM;
	if (row->len > 0)
		(void)memcpy(data, row->payload, row->len);
	m->len = origin_complete(&origin, data, row->len, ret_tombstone);
	r = hand_over(p, m, data);
	free(data);
	return r;
}

/* a result or a correction is one message; its row is what is sent */
static int send_single(struct publish *p, enum lane lane, struct message *m, struct entry *entry)
{
	struct outbox *o = &p->lanes[lane];
	struct store_row row;
	int r = store_next(p->store, lane, o->cursor, &row);

	if (r == 0)
		exhaust(p, lane);
	if (r <= 0)
		return r;
	m->content = lane == LANE_RESULTS ? CONTENT_RESULT : CONTENT_CORRECTION;
	m->topic = lane == LANE_RESULTS ? p->topics.goal[row.test || p->config->test]
					: p->topics.correction[row.test || p->config->test];
	*entry = (struct entry){ .first = row.sequence, .last = row.sequence, .rows = 1 };
	r = hand_over_single(p, lane, m, &row, &entry->tombstone);
	return r < 0 ? r : 1;
}

static int send_batch(struct publish *p, struct message *m, struct entry *entry)
{
	struct batch *b = &p->batch;
	const uint8_t *data;
	int r = collect(p, LANE_READINGS);

	if (r <= 0)
		return r;
	data = batch_end(b, &m->len);
	m->content = CONTENT_BATCH;
	m->topic = p->topics.reading[b->test || p->config->test][b->group];
	*entry = (struct entry){ .first = b->first, .last = b->last, .rows = b->n };
	r = hand_over(p, m, data);
	return r < 0 ? r : 1;
}

/* Sends the next message of a lane: 1, or 0 if there is none. */
static int send_next(struct publish *p, enum lane lane)
{
	struct outbox *o = &p->lanes[lane];
	struct message m = { .tag = o->tail << TAG_BITS | (unsigned int)lane };
	struct entry entry;
	int r;

	if (o->exhausted)
		return 0;
	r = lane == LANE_READINGS ? send_batch(p, &m, &entry) : send_single(p, lane, &m, &entry);
	if (r <= 0)
		return r;
	o->entries[o->tail++ % p->window_max] = entry;
	o->cursor = entry.last;
	if (o->cursor > o->sent)
		o->sent = o->cursor;
	p->state.batches++;
	return 1;
}

/* Lanes take turns. 1 = something was sent. */
static int send_row(struct publish *p)
{
	int r = 0;

	for (int i = 0; i < LANE_END && r == 0; i++) {
		enum lane lane = p->turn;

		p->turn = lane + 1 == LANE_END ? LANE_READINGS : (enum lane)(lane + 1);
		r = send_next(p, lane);
		if (r < 0)
			p->lanes[lane].exhausted = true; /* until the next kick */
	}
	return r;
}

/* Rows that were set aside leave tombstones, which want a commit and are rows to be sent. Within
 * somebody's transaction: with their commit and the kick that follows. true: there are some. */
static bool tell_parked(struct publish *p)
{
	struct store_counts counts;

	store_counts(p->store, &counts);
	if (counts.parked == p->parked || store_in_transaction(p->store))
		return false;
	if (store_commit(p->store) < 0) {
		p->state.errors++;
		return false; /* with a later one */
	}
	p->parked = counts.parked;
	p->lanes[LANE_CORRECTIONS].exhausted = false;
	return true;
}

static void pump(struct publish *p)
{
	int sent = 0, r = send_notices(p);

	if (p->stopping)
		return;
	while (r >= 0 && sent < BURST && window_open(p)) {
		r = send_row(p);
		if (r <= 0)
			break;
		sent++;
	}
	if (r < 0)
		p->state.errors++;
	if (tell_parked(p))
		sent = BURST;
	(void)sd_event_source_set_enabled(p->more, sent == BURST ? SD_EVENT_ONESHOT : SD_EVENT_OFF);
}

/* ---- answers ---- */

static bool by_receipt(const struct publish *p)
{
	return p->config->delivery == DELIVERY_RECEIPT;
}

/* Looks again later, unless that is due already, or nothing waits for a receipt. */
static void arm_again(struct publish *p)
{
	int enabled = SD_EVENT_OFF;
	bool waits = false;

	for (int lane = 0; lane < LANE_END; lane++)
		waits = waits || p->lanes[lane].delivered > p->receipts.committed[lane];
	(void)sd_event_source_get_enabled(p->again, &enabled);
	if (!waits || enabled != SD_EVENT_OFF)
		return;
	(void)sd_event_source_set_time(p->again,
				       (uint64_t)(now_us() + receipts_wait(&p->receipts)));
	(void)sd_event_source_set_enabled(p->again, SD_EVENT_ONESHOT);
}

static void advance(struct publish *p, enum lane lane)
{
	struct outbox *o = &p->lanes[lane];
	uint64_t watermark = 0;

	while (o->head != o->tail && o->entries[o->head % p->window_max].done) {
		const struct entry *e = &o->entries[o->head % p->window_max];

		watermark = e->last;
		p->acked_rows += e->rows;
		o->head++;
	}
	if (watermark <= o->delivered)
		return; /* what went again */
	o->delivered = p->state.delivered[lane] = watermark;
	if (by_receipt(p))
		arm_again(p);
	else if (store_acknowledge(p->store, lane, watermark) < 0)
		p->state.errors++;
}

static void park(struct publish *p, enum lane lane, const struct entry *e, int code)
{
	uint64_t after = e->first - 1;
	struct store_row row;

	while (store_next(p->store, lane, after, &row) == 1 && row.sequence <= e->last) {
		after = row.sequence;
		if (store_park(p->store, lane, row.sequence, code) < 0)
			p->state.errors++;
	}
	p->state.refused += e->rows;
}

/* UPLINK_LOST follows and rewinds; until then nothing of this session counts any more. */
static void give_up_connection(struct publish *p, int code)
{
	p->state.errors++;
	p->state.connected = false;
	uplink_drop(p->uplink, p->state.session, code);
}

static void judge(struct publish *p, enum lane lane, struct entry *e, int code)
{
	enum verdict verdict = reason_verdict(code);

	/* a batch that is refused for what is in it goes again row by row, to find the one */
	if (verdict == VERDICT_NEVER_AS_IS && e->rows > 1) {
		p->lanes[lane].single_upto = e->last;
		give_up_connection(p, code);
		return;
	}
	/* A tombstone of a tombstone would be refused, too. Its lane stands still until the next
	 * connection: perhaps somebody lets us by then. */
	if (e->tombstone && (verdict == VERDICT_NEVER || verdict == VERDICT_NEVER_AS_IS)) {
		p->state.errors++;
		p->lanes[lane].exhausted = true;
		return;
	}
	switch (verdict) {
	case VERDICT_NO_SUBSCRIBER:
	case VERDICT_DELIVERED:
		p->state.acked++;
		p->state.no_subscriber += verdict == VERDICT_NO_SUBSCRIBER;
		break;
	case VERDICT_NEVER:
	case VERDICT_NEVER_AS_IS:
		park(p, lane, e, code);
		break;
	case VERDICT_LATER:
	case VERDICT_RECONNECT:
	default:
		give_up_connection(p, code);
		return;
	}
	e->done = true;
	advance(p, lane);
}

static void on_answer(struct publish *p, const struct uplink_event *event)
{
	unsigned int kind = event->tag & ((1U << TAG_BITS) - 1);
	uint64_t number = event->tag >> TAG_BITS;

	if (!p->state.connected || event->session != p->state.session)
		return;
	p->state.in_flight--;
	if (kind < LANE_END) {
		struct outbox *o = &p->lanes[kind];

		assert(number >= o->head && number < o->tail);
		judge(p, (enum lane)kind, &o->entries[number % p->window_max], event->code);
		return;
	}
	if (kind == TAG_STATUS) {
		p->status_on_the_way = false;
		p->offline_confirmed = p->stopping && !p->status_due;
	}
	if (reason_verdict(event->code) > VERDICT_NO_SUBSCRIBER)
		p->state.errors++; /* rows go on without it */
}

static void on_connected(struct publish *p, const struct uplink_event *event)
{
	p->state.connected = true;
	p->state.connects++;
	p->state.session = event->session;
	p->state.window = event->window;
	p->state.in_flight = 0;
	p->state.why[0] = '\0';
	p->bytes_max = BATCH_BYTES;
	if (event->packet_maximum > 0 && event->packet_maximum < BATCH_BYTES + PACKET_EXTRA)
		p->bytes_max = event->packet_maximum > PACKET_EXTRA
				       ? event->packet_maximum - PACKET_EXTRA
				       : 1;
	p->no_retain = event->no_retain;
	p->status_due = true;
	p->status_on_the_way = false;
	p->schema_due = !event->no_retain;
}

/* What was on the way goes again, from the watermark. */
static void rewind_lanes(struct publish *p)
{
	struct store_counts counts;

	store_counts(p->store, &counts);
	for (int lane = 0; lane < LANE_END; lane++) {
		struct outbox *o = &p->lanes[lane];

		o->head = o->tail;
		o->cursor = counts.acknowledged[lane];
		if (by_receipt(p) && o->delivered > o->cursor)
			o->cursor = o->delivered; /* if the broker lost it, no receipt comes */
		o->exhausted = false;
	}
}

static void on_lost(struct publish *p, const struct uplink_event *event)
{
	p->state.connected = p->state.listening = false;
	p->state.in_flight = 0;
	(void)snprintf(p->state.why, sizeof(p->state.why), "%s", event->why);
	rewind_lanes(p);
}

static void on_subscribed(struct publish *p, const struct uplink_event *event)
{
	if (!p->state.connected || event->session != p->state.session)
		return;
	p->state.listening = event->code < MQTT_REFUSED;
	p->state.errors += !p->state.listening;
}

/* What is committed there is delivered, whatever we remember of it. */
static void acknowledge_all(struct publish *p)
{
	for (int i = 0; i < LANE_END; i++) {
		const uint64_t upto = p->receipts.committed[i];
		struct outbox *o = &p->lanes[i];

		if (upto > o->delivered)
			o->delivered = p->state.delivered[i] = upto;
		if (upto > o->cursor)
			o->cursor = upto;
		if (store_acknowledge(p->store, (enum lane)i, upto) < 0)
			p->state.errors++;
	}
}

static void take_receipt(struct publish *p, const uint8_t *data, size_t len)
{
	const uint64_t before = p->receipts.committed[LANE_READINGS];
	uint64_t sent[LANE_END];
	int r;

	for (int lane = 0; lane < LANE_END; lane++)
		sent[lane] = p->lanes[lane].sent;
	r = receipts_take(&p->receipts, hub_name(p), store_identity(p->store)->epoch, sent, data,
			  len);
	p->state.numbers_reused = p->state.numbers_reused || r == -ERANGE;
	p->epoch_due = p->epoch_due || (r == -ERANGE && by_receipt(p));
	p->state.receipts = p->receipts.taken;
	p->state.receipts_foreign = p->receipts.foreign;
	p->state.receipts_malformed = p->receipts.malformed;
	if (r <= 0 || !by_receipt(p))
		return;
	p->acked_rows += p->receipts.committed[LANE_READINGS] - before;
	acknowledge_all(p);
	(void)sd_event_source_set_enabled(p->again, SD_EVENT_OFF);
	arm_again(p);
}

/* No receipt for what the broker has confirmed: it may have lost it. */
static int on_again(sd_event_source *source, uint64_t usec, void *user)
{
	struct publish *p = user;
	struct store_counts counts;

	(void)source;
	(void)usec;
	p->state.sent_again++;
	store_counts(p->store, &counts);
	for (int lane = 0; lane < LANE_END; lane++) {
		struct outbox *o = &p->lanes[lane];

		o->cursor = counts.acknowledged[lane]; /* also by receipts of before a restart */
		o->delivered = o->cursor;
		o->exhausted = false;
	}
	if (p->state.connected)
		pump(p);
	arm_again(p);
	return 0;
}

static void on_heard(struct publish *p, const struct uplink_event *event)
{
	p->state.heard++;
	if (event->inbound == INBOUND_RECEIPT)
		take_receipt(p, event->data, event->len);
	else if (p->heard)
		p->heard(p->heard_user, event->inbound, event->data, event->len);
	free(event->data);
}

/* Acknowledgements become durable with the next commit of whoever commits; a long drain, in which
 * nobody does, commits by itself, so that a crash makes few rows go twice. */
static void settle(struct publish *p)
{
	if (p->acked_rows < ACKED_MAX || store_in_transaction(p->store))
		return;
	if (store_commit(p->store) < 0)
		p->state.errors++;
	p->acked_rows = 0;
}

/* From now on nothing that others sent under this name can be taken for ours. What is not
 * acknowledged goes again, under the new epoch. */
static void restart_lanes(struct publish *p)
{
	struct store_counts counts;

	store_counts(p->store, &counts);
	for (int lane = 0; lane < LANE_END; lane++) {
		p->lanes[lane].delivered = p->state.delivered[lane] = 0;
		p->lanes[lane].sent = counts.last[lane];
	}
	p->parked = counts.parked;
	receipts_restart(&p->receipts);
	(void)sd_event_source_set_enabled(p->again, SD_EVENT_OFF);
}

/* This card is a copy of one that went on without it. */
static void begin_epoch(struct publish *p)
{
	uint64_t epoch;

	if (!p->epoch_due || store_in_transaction(p->store))
		return;
	p->epoch_due = false;
	if (p->epoch_at_us > 0 && now_us() - p->epoch_at_us < EPOCH_EVERY_US)
		return;
	if (store_new_epoch(p->store, p->receipts.used) < 0) {
		p->state.errors++; /* the next receipt brings us here again */
		return;
	}
	p->epoch_at_us = now_us();
	epoch = store_identity(p->store)->epoch;
	p->state.epochs++;
	batch_set_epoch(&p->batch, epoch);
	uplink_set_epoch(p->uplink, epoch);
	p->status->epoch = epoch;
	restart_lanes(p);
	if (p->state.connected)
		uplink_drop(p->uplink, p->state.session, 0);
	p->state.connected = false; /* UPLINK_LOST follows */
}

static bool take_events(struct publish *p)
{
	struct uplink_event event;
	bool any = false;

	uplink_listen(p->uplink);
	while (uplink_next(p->uplink, &event)) {
		any = true;
		switch (event.kind) {
		case UPLINK_CONNECTED:
			on_connected(p, &event);
			break;
		case UPLINK_LOST:
			on_lost(p, &event);
			break;
		case UPLINK_ANSWER:
			on_answer(p, &event);
			break;
		case UPLINK_SUBSCRIBED:
			on_subscribed(p, &event);
			break;
		case UPLINK_HEARD:
			on_heard(p, &event);
			break;
		default:
			assert(false);
		}
	}
	settle(p);
	begin_epoch(p);
	return any;
}

static int on_event(sd_event_source *source, int fd, uint32_t revents, void *user)
{
	struct publish *p = user;
	bool any = take_events(p);

	(void)source;
	(void)fd;
	(void)revents;
	pump(p);
	if (any && p->progress)
		p->progress(p->progress_user);
	return 0;
}

static int on_more(sd_event_source *source, void *user)
{
	(void)source;
	pump(user);
	return 0;
}

/* ---- the face ---- */

static void set_status(struct publish *p, Wellgate__V1__HubStatus *copy)
{
	if (p->status)
		wellgate__v1__hub_status__free_unpacked(p->status, NULL);
	p->status = copy;
	if (!copy->hub)
		copy->hub = strdup(hub_name(p));
	copy->has_epoch = copy->has_test = 1;
	copy->epoch = store_identity(p->store)->epoch;
	copy->test = p->config->test;
	if (!copy->has_state) {
		copy->has_state = 1;
		copy->state = WELLGATE__V1__HUB_STATUS__STATE__STATE_ONLINE;
	}
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
	for (int lane = 0; lane < LANE_END; lane++) {
		p->lanes[lane].entries = calloc(p->window_max, sizeof(struct entry));
		if (!p->lanes[lane].entries)
			return -ENOMEM;
	}
	rewind_lanes(p);
	store_counts(p->store, &counts);
	p->parked = counts.parked;
	for (int lane = 0; lane < LANE_END; lane++)
		p->lanes[lane].sent = counts.last[lane]; /* perhaps, before we started */
	return 0;
}

static int init_sources(struct publish *p, sd_event *event)
{
	int r = sd_event_add_io(event, &p->io, uplink_fd(p->uplink), EPOLLIN, on_event, p);

	if (r >= 0)
		r = sd_event_add_time(event, &p->again, CLOCK_MONOTONIC, 0, AGAIN_ACCURACY_US,
				      on_again, p);
	if (r >= 0)
		r = sd_event_source_set_enabled(p->again, SD_EVENT_OFF);
	if (r >= 0)
		r = sd_event_add_defer(event, &p->more, on_more, p);
	if (r >= 0)
		r = sd_event_source_set_enabled(p->more, SD_EVENT_OFF);
	if (r >= 0)
		r = sd_event_source_set_priority(p->more, SD_EVENT_PRIORITY_IDLE);
	return r;
}

static int init_broker(struct publish *p, sd_event *event)
{
	struct connection_options options = { .config = p->config,
					      .topics = &p->topics,
					      .hub = hub_name(p),
					      .epoch = store_identity(p->store)->epoch };
	int r = topics_init(&p->topics, p->config->site, hub_name(p), wellgate_descriptor,
			    wellgate_descriptor_len);

	if (r >= 0)
		r = batch_init(&p->batch, hub_name(p), options.epoch);
	if (r >= 0)
		r = init_lanes(p);
	if (r >= 0)
		r = first_status(p);
	if (r < 0)
		return r;
	options.window = p->window_max;
	options.inbound[INBOUND_COMMAND] = p->config->command_keys_file != NULL;
	options.inbound[INBOUND_RECEIPT] = by_receipt(p);
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
	int64_t left_ms = (deadline_us - now_us()) / 1000 + 1;

	(void)poll(&fd, 1, (int)(left_ms > 0 ? left_ms : 0));
	(void)take_events(p);
	(void)send_notices(p);
}

/* Outstanding confirmations, then the retained good-bye and its confirmation. */
static void say_offline(struct publish *p, int64_t deadline_us)
{
	p->stopping = true;
	p->status->has_state = 1;
	p->status->state = WELLGATE__V1__HUB_STATUS__STATE__STATE_OFFLINE;
	p->status_due = true;
	(void)take_events(p);
	(void)send_notices(p);
	while (p->state.connected && (p->state.in_flight > 0 || !p->offline_confirmed) &&
	       now_us() < deadline_us)
		wait_events(p, deadline_us);
}

void publish_free(struct publish *p, int64_t timeout_us)
{
	bool gone = true;

	if (!p)
		return;
	if (p->uplink) {
		say_offline(p, now_us() + timeout_us);
		gone = uplink_free(p->uplink, !p->offline_confirmed, THREAD_END_US) == 0;
	}
	(void)sd_event_source_disable_unref(p->io);
	(void)sd_event_source_disable_unref(p->more);
	(void)sd_event_source_disable_unref(p->again);
	/* the process ends; a thread that hangs in Paho still reads the topics */
	if (!gone)
		return;
	for (int lane = 0; lane < LANE_END; lane++)
		free(p->lanes[lane].entries);
	if (p->status)
		wellgate__v1__hub_status__free_unpacked(p->status, NULL);
	batch_finish(&p->batch);
	free(p);
}

void publish_kick(struct publish *p)
{
	if (!p->uplink)
		return;
	for (int lane = 0; lane < LANE_END; lane++)
		p->lanes[lane].exhausted = false;
	pump(p);
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
	pump(p);
}

void publish_state(const struct publish *p, struct publish_state *ret)
{
	*ret = p->state;
}

bool publish_drained(const struct publish *p)
{
	struct store_counts counts;

	if (!p->uplink)
		return true;
	store_counts(p->store, &counts);
	for (int lane = 0; lane < LANE_END; lane++) {
		const struct outbox *o = &p->lanes[lane];

		if (o->head != o->tail || (!o->exhausted && counts.last[lane] > o->cursor))
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
	return window_open(p) ? hand_over(p, &m, data) : -ENOBUFS;
}

void publish_on_progress(struct publish *p, void (*fn)(void *user), void *user)
{
	p->progress = fn;
	p->progress_user = user;
}
