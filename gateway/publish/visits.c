/*
 * connection = on-demand: a hub on a data plan is connected only for as long as there is something
 * to say. A keep alive of 5 minutes alone costs 1.7 MB a month (domain.md 5.5); all readings of a
 * person in a month cost a tenth of that.
 *
 *   present   until nothing waits, nothing is on the way, and what we listen for has come, or
 *             nothing came for `linger`; then the broker is told good-bye, so that there is no will
 *   away      until a day is over, or for `collect` after something began to wait
 *
 * While away nothing wakes us but one timer. Commands wait at the broker (connection.c).
 */
#include "gateway/publish/parts.h"

#define DAY_US      (86400 * US_PER_S)
#define ACCURACY_US (US_PER_S / 4)

/* A lane that stands still until the next connection, or until the next kick, is no reason. */
static bool has_work(const struct publish *p)
{
	for (int lane = 0; lane < LANE_END; lane++) {
		const struct outbox *o = &p->lanes[lane];

		if (o->n_busy > 0 || (o->n_waits > 0 && !o->stuck && !o->paused))
			return true;
	}
	return p->state.connected && (p->state.in_flight > 0 || p->status_due || p->schema_due);
}

static bool expects_receipt(const struct publish *p)
{
	for (int lane = 0; publish_by_receipt(p) && lane < LANE_END; lane++) {
		if (p->lanes[lane].delivered > p->receipts.committed[lane])
			return true;
	}
	return false;
}

/* When all that can be heard was heard; commands have no end, so they get their time. */
static int64_t leave_at_us(const struct publish *p)
{
	const bool commands = p->config->command_keys_file != NULL;
	const bool listens = commands || publish_by_receipt(p);

	if (!listens || (p->visit.asked && !commands && !expects_receipt(p)))
		return 0;
	return p->visit.active_us + p->config->linger * US_PER_S;
}

static void look_again(struct publish *p, int64_t at_us)
{
	(void)sd_event_source_set_time(p->visit.timer, (uint64_t)at_us);
	(void)sd_event_source_set_enabled(p->visit.timer, SD_EVENT_ONESHOT);
}

static void leave(struct publish *p, int64_t now)
{
	uplink_leave(p->uplink);
	p->visit.present = false;
	p->visit.due_us = now + DAY_US;
	p->state.connected = p->state.listening = false;
	p->state.leaves++;
}

static void stay_or_leave(struct publish *p, int64_t now)
{
	int64_t at_us;

	/* without a connection the uplink tries by itself; work ends with an answer */
	(void)sd_event_source_set_enabled(p->visit.timer, SD_EVENT_OFF);
	if (!p->state.connected || has_work(p))
		return;
	at_us = leave_at_us(p);
	if (at_us > now) {
		look_again(p, at_us);
		return;
	}
	leave(p, now);
	look_again(p, p->visit.due_us);
}

static void wait_or_come(struct publish *p, int64_t now)
{
	const int64_t collected_us = now + p->config->collect * US_PER_S;

	if (has_work(p) && p->visit.due_us > collected_us)
		p->visit.due_us = collected_us;
	if (p->visit.due_us > now) {
		look_again(p, p->visit.due_us);
		return;
	}
	(void)sd_event_source_set_enabled(p->visit.timer, SD_EVENT_OFF);
	p->visit.present = true;
	uplink_come(p->uplink);
}

void publish_visit(struct publish *p)
{
	const int64_t now = publish_now_us();

	if (!p->visit.on_demand || p->stopping)
		return;
	if (p->visit.present)
		stay_or_leave(p, now);
	else
		wait_or_come(p, now);
}

static int on_timer(sd_event_source *source, uint64_t usec, void *user)
{
	(void)source;
	(void)usec;
	publish_visit(user);
	return 0;
}

/* The first visit begins at once: the uplink connects when it begins. */
int publish_visit_init(struct publish *p, sd_event *event)
{
	int r;

	p->visit.on_demand = p->config->connection == CONNECTION_ON_DEMAND;
	p->visit.present = true;
	if (!p->visit.on_demand)
		return 0;
	r = sd_event_add_time(event, &p->visit.timer, CLOCK_MONOTONIC, 0, ACCURACY_US, on_timer, p);
	return r < 0 ? r : sd_event_source_set_enabled(p->visit.timer, SD_EVENT_OFF);
}
