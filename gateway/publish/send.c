#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <MQTTReasonCodes.h>

#include "gateway/publish/origin.h"
#include "gateway/publish/parts.h"

#define BURST         16 /* messages per turn of the loop: others want it too */
#define BURST_BYTES   ((size_t)128 * 1024)
#define ENVELOPE_MAX  512 /* topic, properties and header of a PUBLISH */
#define BROKER_TOOBIG MQTTREASONCODE_PACKET_TOO_LARGE

bool publish_window_open(const struct publish *p)
{
	return p->state.connected && p->state.in_flight < p->state.window;
}

int publish_hand_over(struct publish *p, struct message *m, const uint8_t *data)
{
	int r;

	m->payload = malloc(m->len);
	if (!m->payload)
		return -ENOMEM;
	(void)memcpy(m->payload, data, m->len);
	r = uplink_send(p->uplink, p->state.session, m);
	if (r == 0) {
		p->state.in_flight++;
		p->burst_bytes += m->len;
	}
	return r;
}

static int send_schema(struct publish *p)
{
	struct message m = { .content = CONTENT_SCHEMA,
			     .retained = true,
			     .topic = p->topics.schema,
			     .len = wellgate_descriptor_len,
			     .tag = TAG_SCHEMA };

	return publish_hand_over(p, &m, wellgate_descriptor);
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
	r = publish_hand_over(p, &m, data);
	free(data);
	return r;
}

/* Status before rows; one status on the way at a time, so that the newest is the last. */
int publish_send_notices(struct publish *p)
{
	int r = 0;

	if (p->status_due && !p->status_on_the_way && publish_window_open(p)) {
		r = send_status(p);
		p->status_due = r < 0;
		p->status_on_the_way = r == 0;
	}
	if (r == 0 && p->schema_due && publish_window_open(p)) {
		r = send_schema(p);
		p->schema_due = r < 0;
	}
	return r;
}

void publish_learn(struct publish *p)
{
	struct store_counts counts;

	if (store_in_transaction(p->store))
		return;
	store_counts(p->store, &counts);
	for (int lane = 0; lane < LANE_END; lane++) {
		outbox_extend(&p->lanes[lane], counts.last[lane]);
		p->lanes[lane].paused = false;
	}
}

/*
 * The next row of a span: 1, or 0 if there is none and something else is to be tried. Numbers
 * without a row are stepped over: those rows were parked. Where the store has no more rows at all
 * that is true only if nobody is writing; else the lane waits for their commit.
 */
static int next_row(struct publish *p, enum lane lane, const struct span *picked,
		    struct store_row *ret)
{
	struct outbox *o = &p->lanes[lane];
	int r = store_next(p->store, lane, picked->first - 1, ret);

	if (r < 0)
		return r;
	if (r == 0 && store_in_transaction(p->store)) {
		o->paused = true;
		return 0;
	}
	if (r == 1 && ret->sequence <= picked->last)
		return 1;
	outbox_skip(o, picked, picked->last);
	publish_advance(p, lane);
	return 0;
}

/* Rows of the span for one message: 1, or 0. */
static int collect(struct publish *p, const struct span *picked, unsigned int rows)
{
	const struct outbox *o = &p->lanes[LANE_READINGS];
	struct store_row row;
	int r = next_row(p, LANE_READINGS, picked, &row);

	if (r <= 0)
		return r;
	if (outbox_goes_alone(o, row.sequence))
		rows = 1;
	batch_begin(&p->batch, rows, p->bytes_max);
	while (r == 1 && row.sequence <= picked->last && batch_add(&p->batch, &row)) {
		if (p->batch.n >= rows)
			return 1;
		r = store_next(p->store, LANE_READINGS, row.sequence, &row);
	}
	return r < 0 ? r : 1;
}

/* Larger than the broker lets anything be: it would end the connection, again and again. */
static bool is_too_large(const struct publish *p, const struct message *m)
{
	const size_t envelope = strlen(m->topic) + strlen(p->topics.content_type[m->content]) + 16;

	return p->packet_maximum > 0 && m->len + envelope > p->packet_maximum;
}

/* The row, under our name. *ret: malloc'd */
static int complete(struct publish *p, enum lane lane, const struct store_row *row,
		    struct message *m, bool *ret_tombstone, uint8_t **ret)
{
	const struct origin origin = { publish_hub(p), store_identity(p->store)->epoch,
				       lane == LANE_RESULTS };
	uint8_t *data = malloc(row->len + ORIGIN_MAX);

	if (!data)
		return -ENOMEM;
	if (row->len > 0)
		(void)memcpy(data, row->payload, row->len);
	m->len = origin_complete(&origin, data, row->len, ret_tombstone);
	*ret = data;
	return 0;
}

/* a result or a correction is one message; its row is what is sent */
static int make_single(struct publish *p, enum lane lane, const struct span *picked,
		       struct message *m, struct entry *entry, uint8_t **ret)
{
	struct store_row row;
	int r = next_row(p, lane, picked, &row);

	if (r <= 0)
		return r;
	m->content = lane == LANE_RESULTS ? CONTENT_RESULT : CONTENT_CORRECTION;
	m->topic = lane == LANE_RESULTS ? p->topics.goal[row.test || p->config->test]
					: p->topics.correction[row.test || p->config->test];
	entry->span = (struct span){ row.sequence, row.sequence };
	entry->rows = 1;
	r = complete(p, lane, &row, m, &entry->tombstone, ret);
	return r < 0 ? r : 1;
}

static int make_batch(struct publish *p, const struct span *picked, struct message *m,
		      struct entry *entry, const uint8_t **ret)
{
	const struct batch *b = &p->batch;
	int r = collect(p, picked, pace_batch(&p->pace));

	if (r <= 0)
		return r;
	*ret = batch_end(&p->batch, &m->len);
	m->content = CONTENT_BATCH;
	m->topic = p->topics.reading[b->test || p->config->test][b->group];
	entry->span = (struct span){ b->first, b->last };
	entry->rows = b->n;
	return 1;
}

static int park_too_large(struct publish *p, enum lane lane, const struct span *picked,
			  const struct entry *entry)
{
	int r = store_park(p->store, lane, entry->span.first, BROKER_TOOBIG);

	if (r < 0)
		return r;
	p->state.refused++;
	outbox_skip(&p->lanes[lane], picked, entry->span.last);
	publish_advance(p, lane);
	return 1;
}

static int send_made(struct publish *p, enum lane lane, const struct span *picked,
		     struct message *m, const struct entry *entry, const uint8_t *data)
{
	unsigned int number;
	int r;

	if (entry->rows == 1 && !entry->tombstone && is_too_large(p, m))
		return park_too_large(p, lane, picked, entry);
	number = outbox_take(&p->lanes[lane], picked, entry);
	m->tag = (uint64_t)number << TAG_BITS | (unsigned int)lane;
	r = publish_hand_over(p, m, data);
	if (r < 0) {
		outbox_again(&p->lanes[lane], number, false);
		return r;
	}
	p->rows_on_the_way += entry->rows;
	p->state.batches++;
	return 1;
}

/* A message of what was picked: 1; 0 if there was nothing in it. */
static int send_picked(struct publish *p, enum lane lane, const struct span *picked)
{
	struct message m = { 0 };
	struct entry entry = { 0 };
	const uint8_t *data = NULL;
	uint8_t *own = NULL;
	int r;

	if (lane == LANE_READINGS) {
		r = make_batch(p, picked, &m, &entry, &data);
	} else {
		r = make_single(p, lane, picked, &m, &entry, &own);
		data = own;
	}
	if (r > 0)
		r = send_made(p, lane, picked, &m, &entry, data);
	free(own);
	return r;
}

static bool may_go(const struct publish *p, const struct outbox *o, const struct span *picked)
{
	return outbox_is_live(o, picked) ||
	       pace_room(&p->pace, p->state.in_flight, p->rows_on_the_way);
}

/* Where it is the turn of the oldest and there is no room for it, the newest may go. */
static bool pick(struct publish *p, struct outbox *o, struct span *ret)
{
	if (!outbox_pick(o, ret))
		return false;
	if (may_go(p, o, ret))
		return true;
	p->limited = true;
	outbox_pick_newest(o, ret);
	return may_go(p, o, ret);
}

/* Sends the next message of a lane: 1; 0 if there is none, or no room for more of a backlog. */
static int send_next(struct publish *p, enum lane lane)
{
	struct outbox *o = &p->lanes[lane];
	struct span picked;
	int r = 0;

	while (r == 0 && pick(p, o, &picked))
		r = send_picked(p, lane, &picked);
	return r;
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
			p->lanes[lane].paused = true; /* until the next kick */
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
	publish_learn(p);
	return true;
}

void publish_pump(struct publish *p)
{
	int sent = 0, r = publish_send_notices(p);

	if (p->stopping)
		return;
	p->limited = false;
	p->burst_bytes = 0;
	while (r >= 0 && sent < BURST && publish_window_open(p)) {
		r = send_row(p);
		if (r <= 0)
			break;
		sent = p->burst_bytes < BURST_BYTES ? sent + 1 : BURST;
	}
	p->limited = p->limited || !publish_window_open(p);
	if (r < 0)
		p->state.errors++;
	if (tell_parked(p))
		sent = BURST;
	(void)sd_event_source_set_enabled(p->more, sent == BURST ? SD_EVENT_ONESHOT : SD_EVENT_OFF);
	publish_visit(p);
}
