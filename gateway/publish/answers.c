#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "gateway/publish/parts.h"
#include "gateway/publish/reasons.h"

#define ACKED_MAX      512               /* rows: so many more may come twice after a crash */
#define PACKET_EXTRA   512               /* topic, properties and header of a PUBLISH */
#define EPOCH_EVERY_US (3600 * US_PER_S) /* a service that is wrong must not use them up */
#define MQTT_REFUSED   0x80              /* reason codes from here on */
/* a connection for it costs more than the readings: after 12 minutes, then up to 12 hours */
#define AGAIN_ON_DEMAND 12

/* Looks again later, unless that is due already, or nothing waits for a receipt. */
static void arm_again(struct publish *p)
{
	int enabled = SD_EVENT_OFF;
	bool waits = false;
	int64_t wait_us;

	for (int lane = 0; lane < LANE_END; lane++)
		waits = waits || p->lanes[lane].delivered > p->receipts.committed[lane];
	(void)sd_event_source_get_enabled(p->again, &enabled);
	if (!waits || enabled != SD_EVENT_OFF)
		return;
	wait_us = receipts_wait(&p->receipts);
	if (p->visit.on_demand)
		wait_us *= AGAIN_ON_DEMAND;
	(void)sd_event_source_set_time(p->again, (uint64_t)(publish_now_us() + wait_us));
	(void)sd_event_source_set_enabled(p->again, SD_EVENT_ONESHOT);
}

void publish_advance(struct publish *p, enum lane lane)
{
	struct outbox *o = &p->lanes[lane];
	const uint64_t watermark = outbox_watermark(o);

	if (watermark <= o->delivered)
		return; /* what went again */
	o->delivered = p->state.delivered[lane] = watermark;
	if (publish_by_receipt(p))
		arm_again(p);
	else if (store_acknowledge(p->store, lane, watermark) < 0)
		p->state.errors++;
}

static void park(struct publish *p, enum lane lane, const struct entry *e, int code)
{
	uint64_t after = e->span.first - 1;
	struct store_row row;

	while (store_next(p->store, lane, after, &row) == 1 && row.sequence <= e->span.last) {
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

static void judge(struct publish *p, enum lane lane, unsigned int number, int code)
{
	struct outbox *o = &p->lanes[lane];
	const struct entry *e = &o->entries[number];
	enum verdict verdict = reason_verdict(code);
	const bool never = verdict == VERDICT_NEVER || verdict == VERDICT_NEVER_AS_IS;

	/* a batch that is refused for what is in it goes again row by row, to find the one */
	if (verdict == VERDICT_NEVER_AS_IS && e->rows > 1) {
		p->state.errors++;
		outbox_again(o, number, true);
		return;
	}
	/* A tombstone of a tombstone would be refused, too. Its lane stands still until the next
	 * connection: perhaps somebody lets us by then. */
	if (e->tombstone && never) {
		p->state.errors++;
		o->stuck = true;
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
	p->acked_rows += e->rows;
	outbox_done(o, number);
	publish_advance(p, lane);
}

static void on_row_answer(struct publish *p, enum lane lane, unsigned int number,
			  const struct uplink_event *event)
{
	const unsigned int rows = p->lanes[lane].entries[number].rows;

	assert(p->lanes[lane].entries[number].busy && rows <= p->rows_on_the_way);
	p->rows_on_the_way -= rows;
	pace_answer(&p->pace, rows, event->took_us, p->limited, publish_now_us());
	judge(p, lane, number, event->code);
}

static void on_answer(struct publish *p, const struct uplink_event *event)
{
	unsigned int kind = event->tag & ((1U << TAG_BITS) - 1);
	uint64_t number = event->tag >> TAG_BITS;

	if (!p->state.connected || event->session != p->state.session)
		return;
	p->state.in_flight--;
	reason_count(&p->reasons, REASON_PUBACK, event->code);
	if (kind < LANE_END) {
		on_row_answer(p, (enum lane)kind, (unsigned int)number, event);
		return;
	}
	if (kind == TAG_STATUS) {
		p->status_on_the_way = false;
		p->offline_confirmed = p->stopping && !p->status_due;
	}
	if (kind == TAG_SCHEMA && reason_verdict(event->code) <= VERDICT_NO_SUBSCRIBER)
		p->schema_sent = true;
	if (reason_verdict(event->code) > VERDICT_NO_SUBSCRIBER)
		p->state.errors++; /* rows go on without it */
}

static void on_connected(struct publish *p, const struct uplink_event *event)
{
	reason_count(&p->reasons, REASON_CONNACK, 0);
	p->state.connected = true;
	p->state.connects++;
	p->state.session = event->session;
	p->state.window = event->window;
	p->state.in_flight = p->rows_on_the_way = 0;
	p->state.why[0] = '\0';
	p->bytes_max = BATCH_BYTES;
	p->packet_maximum = event->packet_maximum;
	if (event->packet_maximum > 0 && event->packet_maximum < BATCH_BYTES + PACKET_EXTRA)
		p->bytes_max = event->packet_maximum > PACKET_EXTRA
				       ? event->packet_maximum - PACKET_EXTRA
				       : 1;
	pace_begin(&p->pace, event->window, p->config->batch);
	p->no_retain = event->no_retain;
	p->status_due = true;
	p->status_on_the_way = false;
	/* 25 kB: more than the readings of a month, where each connection would begin with it */
	p->schema_due = !event->no_retain && !(p->visit.on_demand && p->schema_sent);
	p->visit.asked = false;
	for (int lane = 0; lane < LANE_END; lane++)
		p->lanes[lane].stuck = false;
}

/* What was on the way goes again. What the broker confirmed does not, here: if it lost that, no
 * receipt comes for it. */
static void on_lost(struct publish *p, const struct uplink_event *event)
{
	p->state.connected = p->state.listening = false;
	p->state.in_flight = p->rows_on_the_way = 0;
	reason_count(&p->reasons, event->refused ? REASON_CONNACK : REASON_DISCONNECT, event->code);
	(void)snprintf(p->state.why, sizeof(p->state.why), "%s", event->why);
	for (int lane = 0; lane < LANE_END; lane++)
		outbox_lost(&p->lanes[lane]);
	publish_learn(p);
}

static void on_subscribed(struct publish *p, const struct uplink_event *event)
{
	if (!p->state.connected || event->session != p->state.session)
		return;
	reason_count(&p->reasons, REASON_SUBACK, event->code);
	p->state.listening = event->code < MQTT_REFUSED;
	p->visit.asked = true;
	p->state.errors += !p->state.listening;
	/* A receipt that came before we listened is lost. The service answers a status with one. */
	p->status_due = p->status_due || (p->state.listening && publish_by_receipt(p));
}

/* What is committed there is delivered, whatever we remember of it. What waits below was
 * acknowledged before and is repeated because somebody asked for it. */
static void acknowledge_all(struct publish *p)
{
	struct store_counts counts;

	store_counts(p->store, &counts);
	for (int i = 0; i < LANE_END; i++) {
		const uint64_t upto = p->receipts.committed[i];
		struct outbox *o = &p->lanes[i];

		if (upto > o->delivered)
			o->delivered = p->state.delivered[i] = upto;
		if (upto > counts.acknowledged[i])
			outbox_cover(o, counts.acknowledged[i] + 1, upto);
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
	r = receipts_take(&p->receipts, publish_hub(p), store_identity(p->store)->epoch, sent, data,
			  len);
	p->state.numbers_reused = p->state.numbers_reused || r == -ERANGE;
	p->epoch_due = p->epoch_due || (r == -ERANGE && publish_by_receipt(p));
	p->state.receipts = p->receipts.taken;
	if (r >= 0)
		p->receipt_us = publish_now_us();
	p->state.receipts_foreign = p->receipts.foreign;
	p->state.receipts_malformed = p->receipts.malformed;
	if (r <= 0 || !publish_by_receipt(p))
		return;
	p->acked_rows += p->receipts.committed[LANE_READINGS] - before;
	acknowledge_all(p);
	(void)sd_event_source_set_enabled(p->again, SD_EVENT_OFF);
	arm_again(p);
}

/* No receipt for what the broker has confirmed: it may have lost it. */
int publish_on_again(sd_event_source *source, uint64_t usec, void *user)
{
	struct publish *p = user;
	struct store_counts counts;

	(void)source;
	(void)usec;
	p->state.sent_again++;
	store_counts(p->store, &counts);
	for (int lane = 0; lane < LANE_END; lane++) {
		struct outbox *o = &p->lanes[lane];

		/* also by receipts of before a restart */
		o->delivered = counts.acknowledged[lane];
		outbox_rewind(o, counts.acknowledged[lane]);
	}
	arm_again(p);
	if (p->state.connected)
		publish_pump(p);
	else
		publish_visit(p);
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
		outbox_restart(&p->lanes[lane], counts.acknowledged[lane], counts.last[lane]);
		p->state.delivered[lane] = 0;
	}
	p->rows_on_the_way = 0;
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
	if (p->epoch_at_us > 0 && publish_now_us() - p->epoch_at_us < EPOCH_EVERY_US)
		return;
	if (store_new_epoch(p->store, p->receipts.used) < 0) {
		p->state.errors++; /* the next receipt brings us here again */
		return;
	}
	p->epoch_at_us = publish_now_us();
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

static void take_event(struct publish *p, const struct uplink_event *event)
{
	switch (event->kind) {
	case UPLINK_CONNECTED:
		on_connected(p, event);
		break;
	case UPLINK_LOST:
		on_lost(p, event);
		break;
	case UPLINK_ANSWER:
		on_answer(p, event);
		break;
	case UPLINK_SUBSCRIBED:
		on_subscribed(p, event);
		break;
	case UPLINK_HEARD:
		on_heard(p, event);
		break;
	default:
		assert(false);
	}
}

bool publish_take_events(struct publish *p)
{
	struct uplink_event event;
	bool any = false;

	uplink_listen(p->uplink);
	while (uplink_next(p->uplink, &event)) {
		any = true;
		take_event(p, &event);
	}
	if (any)
		p->visit.active_us = publish_now_us();
	settle(p);
	begin_epoch(p);
	return any;
}
